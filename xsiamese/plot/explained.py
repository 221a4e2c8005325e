"""The picture that fits an explanation of graphs: molecules, connectomes, or graphs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch
from torch import Tensor

from xsiamese.plot import captions
from xsiamese.plot.connectome import plot_connectomes
from xsiamese.plot.graph import Coloured, draw_graph, plot_graphs
from xsiamese.plot.layout import positions
from xsiamese.plot.molecule import plot_molecules, read
from xsiamese.plot.scale import Places, Scale, floored

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from xsiamese.plot.shown import Shown

Kind = Literal["molecule", "connectome", "graph"]
MOST = 4  # pairs in one picture
REGIONS, DENSE = (
    30,
    0.1,
)  # a network of at least so many nodes, of whose possible edges so many exist, is drawn as a matrix


def plot_explained(
    explanation: Shown,
    *,
    kind: Kind | None = None,
    labels: Sequence[Sequence[str]] | None = None,
    match: Tensor | None = None,
    groups: Sequence[str] | None = None,
    strongest: int = 60,
    title: str = "",
) -> Figure:
    """Both graphs of each pair with their values, positive ones pulling together; relevances without a sign on colours
    that start at 0.

    Args:
        explanation: of graphs.
        kind: how they are drawn. None takes molecules for graphs with ``smiles``; connectomes (the first pair only) for
            networks with as many nodes on both sides, dense ones or such whose nodes have the rows of a matrix as
            features; and else graphs.
        labels: the names of the nodes of a and of b, for a single pair.
        match: for graphs, which node of a is which of b; see :func:`xsiamese.plot.layout.positions`.
        groups: for connectomes, the group of each region.
        strongest: for connectomes, how many connections the circle shows.
        title: above the picture; the method by default.

    Raises:
        ImportError: if matplotlib, networkx or rdkit is needed and not installed.
        ValueError: if ``kind`` does not fit the graphs.
    """
    if kind is not None and kind not in get_args(Kind):
        raise ValueError(f"kind={kind!r}: {', '.join(get_args(Kind))} or None is needed")
    shown = [explanation[i] for i in range(min(len(explanation), MOST))]
    rows = [tuple(_coloured(one, side, labels) for side in (0, 1)) for one in shown]
    kind = kind or _kind(shown[0], rows[0])
    ends = captions.ends(explanation)
    scores = [captions.score(one, 0) for one in shown]
    limits = [_limit(one, row) for one, row in zip(shown, rows, strict=True)]
    title = title or captions.title(explanation, MOST)
    if kind == "graph":
        return plot_graphs(
            [(a, b) for a, b in rows],
            match=match,
            title=title,
            scores=scores,
            ends=ends,
            limits=limits,
            shows=explanation.shows,
        )
    if kind == "molecule":
        both = [one for row in rows for one in row]
        titles = [f"{one.title}   {scores[k // 2]}" if k % 2 == 0 else one.title for k, one in enumerate(both)]
        bonds = [None if one.edges is None else _of_bonds(one) for one in both]
        return plot_molecules(
            [molecule_of(one.graph) for one in both],
            [one.nodes for one in both],
            bonds,
            titles=titles,
            title=title,
            ends=ends,
            limit=max(limits),
            shows=explanation.shows,
        )
    names = None if labels is None else labels[0]
    matrices = [_matrix(explanation[0], side, one) for side, one in enumerate(rows[0])]
    return plot_connectomes(
        matrices,
        names=names,
        groups=groups,
        strongest=strongest,
        titles=[one.title for one in rows[0]],
        title=f"{title}   {scores[0]}",
        ends=ends,
        limit=limits[0] if limits[0] > max(one.strength() for one in rows[0]) else None,
        shows=explanation.shows,
    )


def draw_masks(axes: Axes, item: Any, values: Any, scale: Scale, labels: Sequence[str] | None = None) -> Places:
    """One graph with its node and edge masks on one scale.

    Args:
        axes: where to draw.
        item: the graph.
        values: an explanation of it.
        scale: of the values.
        labels: names of the nodes.

    Returns:
        Where each (node,) stands, in the axes' units.
    """
    graph = item.to_data_list()[0] if hasattr(item, "to_data_list") else item
    nodes = values.get("node_mask")
    shown = Coloured(
        graph, None if nodes is None else nodes.reshape(len(nodes), -1).sum(1), values.get("edge_mask"), labels
    )
    spots = positions(graph, graph)[0]
    draw_graph(axes, shown, spots, scale)
    return {(i,): (float(x), float(y)) for i, (x, y) in enumerate(spots.tolist())}


def _limit(one: Shown, row: Sequence[Coloured]) -> float:
    """The value of the full colour of a single pair."""
    maps = [value for shown in row for value in (shown.nodes, shown.edges) if value is not None]
    return floored(max(shown.strength() for shown in row) or 1.0, maps, one, 0)


def _coloured(one: Shown, side: int, labels: Sequence[Sequence[str]] | None) -> Coloured:
    """One graph of a single pair."""
    graph, found = one.inputs[side], _masks(one, side)
    graph = graph.to_data_list()[0] if hasattr(graph, "to_data_list") else graph
    nodes, edges = found.get("node_mask"), found.get("edge_mask")
    return Coloured(
        graph,
        None if nodes is None else nodes.reshape(len(nodes), -1).sum(1),
        edges,
        None if labels is None else labels[side],
        captions.item(one, 0, side),
    )


def _masks(one: Shown, side: int) -> Any:
    found = one.maps[side]
    if isinstance(found, (tuple, list)):
        if len(found) > 1:
            raise ValueError(f"this explanation has maps of {len(found)} layers: explain one of them to draw it")
        found = found[0]
    return found


def _kind(one: Shown, row: Sequence[Coloured]) -> Kind:
    if all("smiles" in one.graph for one in row):
        return "molecule"
    sizes = {int(part.graph.num_nodes or 0) for part in row}
    if len(sizes) > 1:
        return "graph"
    count = sizes.pop()
    rows_of_matrix = all(_is_square(_masks(one, side)) and "edge_weight" in row[side].graph for side in (0, 1))
    dense = all(part.graph.num_edges >= DENSE * count * (count - 1) for part in row) and count >= REGIONS
    known = all(part.edges is not None or _is_square(_masks(one, side)) for side, part in enumerate(row))
    return "connectome" if rows_of_matrix or (dense and known) else "graph"


def _is_square(masks: Any) -> bool:
    nodes = masks.get("node_mask")
    return nodes is not None and nodes.dim() == 2 and nodes.shape[0] == nodes.shape[1]


def molecule_of(graph: Any) -> Any:
    """The RDKit molecule of a graph, with hydrogens if the graph has them.

    Raises:
        ValueError: if its atoms are not the graph's nodes.
    """
    from rdkit import Chem

    if "smiles" not in graph:
        raise ValueError('a graph without smiles cannot be drawn as a molecule: kind="graph" draws it')
    text = graph.smiles[0] if isinstance(graph.smiles, list) else graph.smiles
    molecule = read(text)
    if molecule.GetNumAtoms() != graph.num_nodes:
        molecule = Chem.AddHs(molecule)
    if molecule.GetNumAtoms() != graph.num_nodes:
        raise ValueError(
            f"{text} has {molecule.GetNumAtoms()} atoms with hydrogens, and its graph has {graph.num_nodes} nodes"
        )
    return molecule


def _of_bonds(one: Coloured) -> list[float]:
    ends, values = one.of_edges()
    known = {frozenset(pair): value for pair, value in zip(ends.tolist(), values.tolist(), strict=True)}
    return [
        known.get(frozenset((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())), 0.0)
        for bond in molecule_of(one.graph).GetBonds()
    ]


def _matrix(one: Shown, side: int, shown: Coloured) -> Tensor:
    """A value for each connection: of its edge, both directions added up, or of the two features that it is in the rows
    of a connectivity matrix.

    Raises:
        ValueError: if there is neither.
    """
    nodes, count = _masks(one, side).get("node_mask"), int(shown.graph.num_nodes or 0)
    if shown.edges is None and not _is_square(_masks(one, side)):
        raise ValueError(
            'only nodes were explained, and a connectome shows connections: explain parts="edges", or draw kind="graph"'
        )
    matrix = torch.zeros(count, count, dtype=torch.float64)
    if shown.edges is None:
        matrix += nodes.detach().cpu()
    else:
        matrix.index_put_(tuple(shown.graph.edge_index.cpu()), shown.edges.detach().cpu().double(), accumulate=True)
    return matrix + matrix.T
