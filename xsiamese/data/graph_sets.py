"""Where labelled graphs come from: TUDataset-like sets, graphs with edit distances, tables of SMILES, folders of
connectivity matrices.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import torch

from xsiamese.data.division import Division, divided
from xsiamese.data.graphs import LabelledGraphs
from xsiamese.data.items import Source

EDITED = ("AIDS700nef", "LINUX")
COLLECTED = (
    "MUTAG",
    "Mutagenicity",
    "AIDS",
    "BZR",
    "COX2",
    "DHFR",
    "ENZYMES",
    "NCI1",
    "NCI109",
    "PROTEINS",
    "PTC_MR",
    "COLLAB",
    "IMDB-BINARY",
    "IMDB-MULTI",
    "REDDIT-BINARY",
)
FOLDERS = {"AIDS700nef": ("AIDS700nef", "AIDS"), "LINUX": ("LINUX", "Linux")}
Kind = Literal["smiles", "edited", "collected", "matrices"]
MATRICES = ("pattern", "by", "neighbours", "density", "shared")


def load_graphs(
    dataset: str,
    data: Path,
    *,
    valid: float | None = None,
    test: float | None = None,
    seed: int = 0,
    split: Division | None = None,
    **reading: Any,
) -> Source[LabelledGraphs]:
    """Loads a set of graphs by its name or path.

    Args:
        dataset: AIDS700nef or LINUX (graphs with edit distances); MUTAG, Mutagenicity or another TUDataset; a CSV with
            a column ``smiles``; a folder in the layout of one of these; or a folder of connectivity matrices.
        data: where a named set lies, at most two folders deep; a TUDataset that is not there is downloaded to it by
            PyG. Nothing is written beside files that are there.
        valid, test: shares of the graphs (0.1 each); of edit distances, ``valid`` is the share of the training graphs
            (0.25), and the set says which graphs are for testing; of connectivity matrices see
            :func:`~xsiamese.data.connectomes.load_connectomes`.
        seed: of the split.
        split: whether whole classes are held out, see :func:`~xsiamese.data.division.divided`; the sets with edit
            distances and of matrices say themselves what is held out.
        reading: ``target``, ``smiles`` and ``close`` of a CSV; ``pattern``, ``by``, ``neighbours``, ``density`` and
            ``shared`` of connectivity matrices.

    Raises:
        ValueError: for an unknown set, with the nearest names; for what its reader says.
    """
    kind, path = kind_of(dataset, data)
    shares: dict[str, Any] = {name: value for name, value in (("valid", valid), ("test", test)) if value is not None}
    if split is not None and kind in ("edited", "matrices"):
        raise ValueError(f"split={split!r} has no meaning for {dataset}: the set itself says what is held out")
    if kind == "smiles":
        from xsiamese.data.molecules import read_smiles

        _only(reading, ("target", "smiles", "close"), "a table of SMILES")
        molecules = read_smiles(path, **reading)
        if molecules.numbers is not None:  # their labels are tenths of the values, not classes
            if split == "classes":
                raise ValueError("split='classes': the targets are numbers, and there are no classes to hold out")
            split = "items"
        return divided(path.stem, molecules, *_shares(valid, test), seed=seed, by=split)
    if kind == "edited":
        from xsiamese.data.ged import load_ged

        _only({**reading, **({} if test is None else {"test_size": test})}, (), "a set whose test graphs are given")
        return load_ged(
            path,
            dataset if dataset in EDITED else path.resolve().name,
            **({} if valid is None else {"valid": valid}),
            seed=seed,
        )
    if kind == "matrices":
        from xsiamese.data.connectomes import load_connectomes

        _only(reading, MATRICES, "a folder of matrices")
        return load_connectomes(path, **shares, **reading, seed=seed)
    _only(reading, (), "a TUDataset")
    if not path.is_dir():
        _download(dataset, data)
    name = collected_name(path)
    return divided(name, read_tu(path, name), *_shares(valid, test), seed=seed, by=split)


def kind_of(dataset: str, data: Path) -> tuple[Kind, Path]:
    """What kind of set a name or a path is, and where it lies; a TUDataset that is nowhere would lie in ``data``.

    Raises:
        ValueError: for an unknown set, with the nearest names.
    """
    path = Path(dataset)
    if path.suffix.lower() == ".csv" and path.is_file():
        return "smiles", path
    found = path if path.is_dir() else _found(dataset, data)
    if found is not None:
        return ("edited" if _edited(found) else "collected" if collected_name(found) else "matrices"), found
    if dataset in COLLECTED:
        return "collected", data / dataset
    names = (*EDITED, *COLLECTED)
    near = get_close_matches(dataset, names, n=2) or [n for n in names if n.lower() == dataset.lower()]
    if dataset in EDITED:
        raise ValueError(
            f"{dataset} is not in {data}: give --data a folder that holds {' or '.join(FOLDERS[dataset])}, with "
            "train/*.json, test/*.json and an .npz"
        )
    hint = (
        f"did you mean {' or '.join(near)}?"
        if near
        else f"known: {', '.join(names)}, a CSV of SMILES, or a folder of matrices"
    )
    raise ValueError(f"no set of graphs is called {dataset!r} and no such file or folder exists; {hint}")


def read_tu(folder: Path, name: str) -> LabelledGraphs:
    """Reads the raw files of a TUDataset (``NAME_A.txt``, ...). Node features are attributes and one-hot labels, or
    constant where there are none.
    """
    from torch_geometric.io import read_tu_data

    try:
        data, slices, _ = read_tu_data(str(folder / "raw"), name)
    except (OSError, ValueError, RuntimeError, IndexError) as error:
        raise ValueError(f"{folder / 'raw'} cannot be read as the TUDataset {name}: {error}") from error
    if data.y is None or data.y.dim() != 1 or data.y.is_floating_point():
        raise ValueError(f"{name} has no classes of graphs ({name}_graph_labels.txt)")
    present, labels = torch.unique(data.y, return_inverse=True)
    if "x" in slices:
        nodes, x = slices["x"], data.x.float()
    else:
        counts = torch.as_tensor(data._num_nodes if hasattr(data, "_num_nodes") else slices["num_nodes"].diff())
        nodes = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        x = torch.ones(int(nodes[-1]), 1)
    attributes = None if data.edge_attr is None else data.edge_attr.float()
    names = tuple(str(number) for number in present.tolist())
    return LabelledGraphs(x, data.edge_index, nodes, slices["edge_index"], labels, names, edge_attr=attributes)


def _found(dataset: str, data: Path) -> Path | None:
    """The folder of a named set, at most two folders deep."""
    names = FOLDERS.get(dataset, (dataset,))
    return next(
        (
            place
            for place in _below(data)
            if place.name in names and (_edited(place) if dataset in EDITED else collected_name(place))
        ),
        None,
    )


def _below(data: Path) -> Iterator[Path]:
    if data.is_dir():
        yield data
        first = sorted(p for p in data.iterdir() if p.is_dir())
        yield from first
        for folder in first:
            yield from sorted(p for p in folder.iterdir() if p.is_dir())


def _edited(folder: Path) -> bool:
    return (folder / "train").is_dir() and (folder / "test").is_dir() and any(folder.glob("*.npz"))


def collected_name(folder: Path) -> str:
    """The name of the TUDataset whose raw files are in a folder, or nothing."""
    found = next(iter(sorted((folder / "raw").glob("*_graph_indicator.txt"))), None)
    return "" if found is None else found.name.removesuffix("_graph_indicator.txt")


def _download(name: str, data: Path) -> None:
    from torch_geometric.datasets import TUDataset

    try:
        TUDataset(str(data), name)
    except Exception as error:  # whatever the network does
        raise ValueError(
            f"{name} is not in {data} and could not be downloaded there ({error}): give --data the folder that holds "
            f"{name}/raw"
        ) from error


def _shares(valid: float | None, test: float | None) -> tuple[float, float]:
    return 0.1 if valid is None else valid, 0.1 if test is None else test


def _only(given: dict[str, Any], known: tuple[str, ...], what: str) -> None:
    if wrong := sorted(set(given) - set(known)):
        raise ValueError(
            f"{wrong[0]}={given[wrong[0]]!r} has no meaning for {what}"
            + (f": it takes {', '.join(known)}" if known else "")
        )
