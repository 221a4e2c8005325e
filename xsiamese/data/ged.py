"""Graphs with known edit distances: the plain files of GEDGNN, and PyG's GEDDataset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xsiamese.data.graphs import LabelledGraphs
from xsiamese.data.items import Source
from xsiamese.door.files import regular


def load_ged(folder: Path, name: str, *, valid: float = 0.25, seed: int = 0) -> Source[LabelledGraphs]:
    """Reads ``train/*.json``, ``test/*.json`` (n, labels, graph) and ``*.npz`` (ids, ged: edit distances of all pairs).

    Args:
        folder: where they are.
        name: of the set.
        valid: the share of training graphs for validation; 0.25 gives the 60 : 20 : 20 of Bai et al. 2019
            (:cite:`bai2019`).
        seed: of the choice.

    Raises:
        ValueError: naming the file that cannot be read, or the graph without distances.
    """
    tables = sorted(folder.glob("*.npz"))
    if len(tables) != 1:
        raise ValueError(
            f"{folder} has {len(tables)} .npz files: one with ids and ged, the edit distances of all pairs, is needed"
        )
    with np.load(tables[0]) as table:
        if missing := {"ids", "ged"} - set(table.files):
            raise ValueError(
                f"{tables[0]} has no {sorted(missing)[0]!r}: ids and ged are needed, found {', '.join(table.files)}"
            )
        ids, ged = [str(i) for i in table["ids"]], torch.from_numpy(table["ged"].astype(np.float32))
    files = [
        (part, path)
        for part in ("train", "test")
        for path in sorted((folder / part).glob("*.json"), key=lambda p: (len(p.stem), p.stem))
    ]
    row = {name: i for i, name in enumerate(ids)}
    if unknown := [path for _, path in files if path.stem not in row]:
        raise ValueError(f"{unknown[0]} has no edit distances in {tables[0].name}")
    kinds = kinds_of(folder)
    graphs = [graph_of(path, kinds) for _, path in files]
    known = torch.tensor([row[path.stem] for _, path in files])
    tested = torch.tensor([part == "test" for part, _ in files])
    return graded(
        name, graphs, ged[known][:, known], tested, valid=valid, seed=seed, names=tuple(path.stem for _, path in files)
    )


def from_pyg(train: Any, test: Any, *, valid: float = 0.25, seed: int = 0) -> Source[LabelledGraphs]:
    """The two parts of a :class:`torch_geometric.datasets.GEDDataset`, which knows no distances of two test graphs."""
    graphs = [*train, *test]
    places = torch.tensor([int(graph.i) for graph in graphs])
    tested = torch.arange(len(graphs)) >= len(train)
    return graded(train.name, graphs, train.ged[places][:, places], tested, valid=valid, seed=seed)


def graded(
    name: str,
    graphs: list[Any],
    ged: Tensor,
    tested: Tensor,
    *,
    valid: float = 0.25,
    seed: int = 0,
    names: tuple[str, ...] = (),
) -> Source[LabelledGraphs]:
    r"""Graphs labelled by :math:`e^{-2 \mathrm{GED} / (n_1 + n_2)}`, the similarity of Bai et al. 2019
    (:cite:`bai2019`).

    Args:
        name: of the set.
        graphs: PyG graphs.
        ged: the edit distance of any two of them, shape (graphs, graphs), infinite where it is not known.
        tested: which of them are for testing, shape (graphs,), boolean.
        valid: the share of the others for validation.
        seed: of their choice.
        names: of the graphs.

    The class of a graph is its number of nodes: what a latent space is coloured by.
    """
    if not 0 < valid < 1:
        raise ValueError(
            f"valid_size={valid:g}: edit distances are learned with validation graphs, a share between 0 and 1 is "
            "needed"
        )
    sizes = torch.tensor([graph.num_nodes for graph in graphs])
    alike = torch.exp(-2 * ged / (sizes[:, None] + sizes)).masked_fill(~torch.isfinite(ged), torch.nan)
    present, labels = torch.unique(sizes, return_inverse=True)
    classes = tuple(f"{n} nodes" for n in present.tolist())
    items = LabelledGraphs.of(graphs, labels, classes, alike=alike, known=torch.arange(len(graphs)), names=names)
    rest = (~tested).nonzero().flatten()
    order = rest[torch.randperm(len(rest), generator=torch.Generator().manual_seed(seed))]
    held = max(round(valid * len(rest)), 1)
    return Source(
        name,
        items.take(order[held:].sort().values),
        items.take(order[:held].sort().values),
        items.take(tested.nonzero().flatten()),
    )


def kinds_of(folder: Path) -> list[str]:
    """All labels of nodes in ``train/*.json`` and ``test/*.json``, sorted."""
    return sorted(
        {label for part in ("train", "test") for path in (folder / part).glob("*.json") for label in _read(path)[1]}
    )


def graph_of(path: Path, kinds: list[str]) -> Any:
    """The PyG graph of a JSON file, its nodes one-hot by label, or constant where there are no labels.

    Raises:
        ValueError: if it is no graph, or has a label that is none of ``kinds``.
    """
    from torch_geometric.data import Data
    from torch_geometric.utils import to_undirected

    count, labels, edges = _read(path)
    if unknown := [label for label in labels if label not in kinds]:
        raise ValueError(f"{path} has a node {unknown[0]!r}, and the set knows {', '.join(kinds) or 'no labels'} only")
    x = torch.eye(len(kinds))[[kinds.index(label) for label in labels]] if labels else torch.ones(count, 1)
    return Data(x=x, edge_index=to_undirected(edges, num_nodes=count))


def _read(path: Path) -> tuple[int, list[str], Tensor]:
    """The number of nodes, their labels and the edges in one direction, shape (2, edges)."""
    try:
        found = json.loads(regular(path, "a graph").read_text(encoding="utf-8"))
        count, labels, ends = int(found["n"]), found["labels"] or [], found["graph"]
        if uneven := [edge for edge in ends if len(edge) != 2]:
            raise ValueError(f"an edge has two ends, and {uneven[0]} has {len(uneven[0])}")
        if any(label is None for label in labels):
            raise ValueError(f"node {labels.index(None)} has the label null")
        labels = [str(label) for label in labels]
        edges = torch.tensor(ends, dtype=torch.long).reshape(-1, 2).T
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, OverflowError) as error:
        raise ValueError(f"{path} is no graph (n, labels, graph): {type(error).__name__}: {error}") from error
    if not 0 < count < 2**31:
        raise ValueError(f"{path} has n={count}: at least one node is needed")
    if labels and len(labels) != count:
        raise ValueError(f"{path} has {len(labels)} labels for {count} nodes")
    if edges.numel() and not 0 <= int(edges.min()) <= int(edges.max()) < count:
        raise ValueError(f"{path} has an edge to node {int(edges.max())}, and nodes 0 to {count - 1} only")
    return count, labels, edges
