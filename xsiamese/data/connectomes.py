"""Brain networks from connectivity matrices: features from their rows, edges from their strongest connections."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from xsiamese.data.division import split_classes
from xsiamese.data.graphs import LabelledGraphs
from xsiamese.data.items import Source, split
from xsiamese.door.files import regular

SUFFIXES = (".mat", ".npy", ".txt", ".csv", ".tsv")
SCAN = re.compile(r"sub-([A-Za-z0-9]+)_ses-([A-Za-z0-9]+)")
By = Literal["subject", "folder"]


def load_connectomes(
    folder: Path,
    *,
    pattern: str = "*",
    by: By | None = None,
    neighbours: int | None = 10,
    density: float | None = None,
    shared: bool = False,
    valid: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
) -> Source[LabelledGraphs]:
    """Reads a folder of square matrices, one a scan, and splits it.

    Args:
        folder: with .mat, .npy, .txt, .csv or .tsv files at any depth.
        pattern: which file names, for example "*NORM*".
        by: what two scans must share to be the same: "subject" (``sub-XXXX_ses-Y`` in the name; whole subjects are held
            out for validation and testing) or "folder" (the name of the file's folder, a diagnosis; every folder is
            split in the same shares). None takes "subject" where some subject has two sessions.
        neighbours, density, shared: of the edges, see :func:`connectome_graphs`. The shared graph is that of the mean
            training matrix.
        valid, test: shares of subjects, or of the scans of each folder.
        seed: of the split.

    Raises:
        ValueError: naming the file that is no square finite matrix or has another size, or the scan that has two files.
    """
    files = sorted(
        path for path in folder.rglob(pattern) if path.suffix.lower() in SUFFIXES and "README" not in path.name
    )
    scans = [SCAN.search(path.name) for path in files]
    named = [scan.group(1) for scan in scans if scan]
    chosen = by or ("subject" if len(set(named)) < len(named) else "folder")
    if chosen not in ("subject", "folder"):
        raise ValueError(f"by={by!r}: 'subject' or 'folder' is needed")
    if chosen == "subject":
        files, groups = [path for path, scan in zip(files, scans, strict=True) if scan], named
        seen: dict[tuple[str, str], Path] = {}
        for path, scan in zip(files, (scan for scan in scans if scan), strict=True):
            if (key := (scan.group(1), scan.group(2))) in seen:
                raise ValueError(
                    f"scan sub-{key[0]}_ses-{key[1]} has two files, {seen[key].name} and {path.name}: choose with "
                    "--pattern, for example '*NORM*'"
                )
            seen[key] = path
    else:
        groups = [path.parent.name for path in files]
    if not files:
        raise ValueError(
            f"{folder} holds no matrices whose name is like {pattern!r} (looked for {', '.join(SUFFIXES)})"
        )
    matrices = torch.stack(_one_size([read_matrix(path) for path in files], files))
    classes = tuple(sorted(set(groups)))
    labels = torch.tensor([classes.index(group) for group in groups])
    graphs = connectome_graphs(
        matrices, labels, classes, neighbours=neighbours, density=density, names=tuple(path.name for path in files)
    )
    divide = split_classes if chosen == "subject" else split
    parts = divide(graphs, valid, test, seed)
    if shared:
        number = {name: i for i, name in enumerate(graphs.names)}
        mean = matrices[[number[name] for name in parts[0].names]].mean(0)
        edges = strongest(mean[None], neighbours, density)[:2]
        parts = tuple(_on(part, *edges) for part in parts)  # type: ignore[assignment]
    return Source(folder.resolve().name, *parts)


def connectome_graphs(
    matrices: Tensor,
    labels: Tensor,
    classes: tuple[str, ...],
    *,
    neighbours: int | None = 10,
    density: float | None = None,
    names: tuple[str, ...] = (),
) -> LabelledGraphs:
    """Graphs of connectivity matrices.

    A node is a region; its features are its row of the matrix (:cite:`ktena2018`), without the diagonal; of matrices
    without negative values (streamlines) as log(1 + w / m), with m the median of the subject's positive ones. An edge's
    weight is the absolute value.

    Args:
        matrices: symmetric, shape (graphs, regions, regions).
        labels, classes: of the graphs.
        neighbours: an edge where one of the two regions is among the other's so many strongest.
        density: instead, the strongest share of all pairs of regions, in (0, 1].
        names: of the graphs.
    """
    clean = matrices.float() * (1 - torch.eye(matrices.shape[1]))
    if not bool((clean < 0).any()):
        median = torch.stack([one[one > 0].median() if bool((one > 0).any()) else torch.ones(()) for one in clean])
        clean = torch.log1p(clean / median[:, None, None])
    edge_index, weight, counts = strongest(clean, neighbours, density)
    regions, count = clean.shape[1], len(clean)
    return LabelledGraphs(
        clean.reshape(-1, regions),
        edge_index,
        torch.arange(count + 1) * regions,
        torch.cat([counts.new_zeros(1), counts.cumsum(0)]),
        labels,
        classes,
        edge_weight=weight,
        names=names,
    )


def strongest(
    matrices: Tensor, neighbours: int | None = 10, density: float | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The edges that are kept, shape (2, edges), numbered within their graph, their absolute weights, and how many each
    graph has.
    """
    size = matrices.abs() * (1 - torch.eye(matrices.shape[1]))
    regions = size.shape[1]
    if density is not None:
        if not 0 < density <= 1:
            raise ValueError(f"density={density:g}: a share in (0, 1] is needed")
        upper = torch.triu_indices(regions, regions, 1)
        kept = max(round(density * upper.shape[1]), 1)
        least = size[:, upper[0], upper[1]].topk(kept, dim=1).values[:, -1]
        mask = size >= least[:, None, None]
    else:
        if neighbours is None or not 1 <= neighbours < regions:
            raise ValueError(f"neighbours={neighbours}: between 1 and {regions - 1} are needed for {regions} regions")
        near = torch.zeros_like(size).scatter_(2, size.topk(neighbours, dim=2).indices, 1.0)
        # one end's choice is enough, so that the graph is symmetric
        mask = (near + near.mT) > 0
    graph, a, b = (mask & (size > 0)).nonzero().T
    return torch.stack([a, b]), size[graph, a, b], graph.bincount(minlength=len(size))


def read_matrix(path: Path) -> Tensor:
    """A connectivity matrix from a file, shape (regions, regions).

    Raises:
        ValueError: if there is no square, symmetric matrix of finite numbers in it.
    """
    try:
        values = np.asarray(_values(regular(path, "a matrix")), dtype=np.float64)
    except ImportError:
        raise
    except Exception as error:  # readers of .mat and .npy raise whatever a damaged file makes them meet
        told = str(error).removeprefix(f"{path} cannot be read as a matrix: ") or type(error).__name__
        raise ValueError(f"{path} cannot be read as a matrix: {told}") from error
    if values.ndim != 2 or values.shape[0] != values.shape[1]:
        raise ValueError(f"{path} has shape {values.shape}: a square matrix is needed")
    if not np.isfinite(values).all():
        raise ValueError(f"{path} holds {int((~np.isfinite(values)).sum())} values that are NaN or infinite")
    if not np.allclose(values, values.T, rtol=1e-3, atol=1e-6):
        raise ValueError(f"{path} is not symmetric: the connections of a network without directions are needed")
    return torch.from_numpy(values)


def _values(path: Path) -> Any:
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return np.load(path, allow_pickle=False)
    if suffix != ".mat":
        return np.loadtxt(path, delimiter={".csv": ",", ".tsv": "\t"}.get(suffix))
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise ImportError('.mat files need SciPy: pip install "xsiamese[graph]"') from error
    found = {
        key: value
        for key, value in loadmat(path).items()
        if not key.startswith("__") and getattr(value, "ndim", 0) == 2 and 1 < value.shape[0] == value.shape[1]
    }
    if len(found) != 1:
        raise ValueError(f"it has {len(found)} square matrices ({', '.join(found) or 'none'}): one is needed")
    return next(iter(found.values()))


def _one_size(matrices: list[Tensor], files: Sequence[Path]) -> list[Tensor]:
    for matrix, path in zip(matrices, files, strict=True):
        if matrix.shape != matrices[0].shape:
            raise ValueError(
                f"{path} has {len(matrix)} regions and {files[0].name} has {len(matrices[0])}: all must be of one atlas"
            )
    return matrices


def _on(graphs: LabelledGraphs, edge_index: Tensor, weight: Tensor) -> LabelledGraphs:
    """The graphs on the same edges."""
    count, edges = len(graphs), edge_index.shape[1]
    return replace(
        graphs,
        edge_index=edge_index.repeat(1, count),
        edge_weight=weight.repeat(count),
        edges=torch.arange(count + 1) * edges,
    )
