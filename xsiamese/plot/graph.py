"""Two graphs side by side, nodes and edges coloured on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from xsiamese.kinds.graphs.variants import Variants
from xsiamese.plot import captions
from xsiamese.plot.figure import new_figure
from xsiamese.plot.layout import positions
from xsiamese.plot.scale import Scale
from xsiamese.plot.shown import Shows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch_geometric.data import Data

INK, PALE = "#4a4a4a", "#a8a8a8"


@dataclass(frozen=True)
class Coloured:
    """A graph and what is to be shown on it.

    Attributes:
        graph: one ``torch_geometric.data.Data``.
        nodes: a value for each node, shape (nodes,), or None.
        edges: a value for each entry of ``edge_index``, shape (entries,), or None. Both entries of an undirected edge
            are added up.
        labels: a name for each node; None shows their numbers in small graphs.
        title: above it.
        gone: nodes and edges that are drawn as deleted: single numbers, and pairs of them.
    """

    graph: Data
    nodes: Tensor | None = None
    edges: Tensor | None = None
    labels: Sequence[str] | None = None
    title: str = ""
    gone: frozenset[tuple[int, ...]] = frozenset()

    def of_edges(self) -> tuple[Tensor, Tensor]:
        """The ends of each edge and its value."""
        parts = Variants(self.graph)
        values = torch.zeros(len(parts.ends), dtype=torch.float64)
        if self.edges is not None:
            values.index_add_(0, parts.edge_of.cpu(), self.edges.detach().cpu().double().flatten())
        return parts.ends.cpu(), values

    def strength(self) -> float:
        """The largest absolute value of a node or an edge."""
        values = torch.cat(
            [self.of_edges()[1], torch.zeros(1) if self.nodes is None else self.nodes.detach().cpu().flatten()]
        )
        return float(values.abs().max())


def plot_graphs(
    pairs: Sequence[tuple[Coloured, Coloured]],
    *,
    match: Tensor | None = None,
    title: str = "",
    scores: Sequence[str] = (),
    ends: tuple[str, str] = ("apart", "together"),
    limits: Sequence[float] = (),
    shows: Shows = "signed",
) -> Figure:
    """One row a pair: graph a and graph b, with one scale of colours for the nodes and edges of both.

    Args:
        pairs: the graphs and their values.
        match: which node of a is which of b, shape (matches, 2); see :func:`xsiamese.plot.layout.positions`.
        title: of the picture.
        scores: a line for each pair.
        ends: what the lowest and the highest colour mean.
        limits: the value of the full colour of each pair; its largest one by default.
        shows: what the values say; colours of what has no direction start at 0.

    Example:
        >>> from torch_geometric.data import Data
        >>> path = Data(edge_index=torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]]), num_nodes=3)
        >>> figure = plot_graphs([(Coloured(path, torch.tensor([1.0, 0.0, -1.0])), Coloured(path))])
    """
    figure = new_figure(9.2, 3.9 * len(pairs) + 0.4)
    rows = figure.subplots(len(pairs), 2, squeeze=False)
    for i, (row, pair) in enumerate(zip(rows, pairs, strict=True)):
        limit = limits[i] if limits else max(pair[0].strength(), pair[1].strength()) or 1.0
        scale = Scale(limit, ends, shows)
        places = positions(pair[0].graph, pair[1].graph, match)
        window = frame(places)
        for axis, shown, spots in zip(row, pair, places, strict=True):
            draw_graph(axis, shown, spots, scale)
            axis.set_xlim(*window[0])
            axis.set_ylim(*window[1])
        if i < len(scores):
            row[0].text(
                -0.02,
                0.5,
                captions.text(scores[i]),
                transform=row[0].transAxes,
                rotation=90,
                ha="right",
                va="center",
                fontsize=9,
            )
        if any(part.nodes is not None or part.edges is not None for part in pair):
            scale.bar(figure, list(row))
    if title:
        figure.suptitle(captions.text(title), fontsize=11)
    return figure


def draw_graph(axis: Axes, shown: Coloured, spots: Tensor, scale: Scale) -> None:
    """One graph: the stronger a value, the wider and more coloured the edge, the more coloured the node."""
    from matplotlib.collections import LineCollection

    ends, values = shown.of_edges()
    x, y = spots.T.numpy()
    count = max(len(spots), 1)
    size = min(260.0, 5200.0 / count)
    gone = torch.tensor([(u, v) in shown.gone or (v, u) in shown.gone for u, v in ends.tolist()], dtype=torch.bool)
    lines = spots[ends].numpy()
    kept = (~gone).numpy()
    base = 1.2 if count <= 60 else 0.5
    strong = (values.abs() / scale.limit).clamp(0, 1)
    width = base + 6.5 * strong.sqrt()
    casing = width + 1.4 if shown.edges is not None else torch.full_like(width, base)
    axis.add_collection(
        LineCollection(
            lines[kept], colors=PALE if shown.edges is not None else INK, linewidths=casing.numpy()[kept], zorder=1
        )
    )
    axis.add_collection(
        LineCollection(lines[~kept], colors="#e08214", linewidths=2.4, linestyles=(0, (2, 1.5)), zorder=2)
    )
    if shown.edges is not None:
        order = strong.argsort().numpy()
        order = order[kept[order]]
        axis.add_collection(
            LineCollection(lines[order], colors=scale.colours(values)[order], linewidths=width.numpy()[order], zorder=2)
        )
    lost = torch.tensor([(k,) in shown.gone for k in range(len(spots))], dtype=torch.bool).numpy()
    fill = scale.colours(shown.nodes) if shown.nodes is not None else "#f4f4f4"
    axis.scatter(x, y, s=size, c=fill, edgecolors=INK, linewidths=0.9, zorder=3)
    if lost.any():
        axis.scatter(
            x[lost], y[lost], s=1.15 * size, c="white", edgecolors="#e08214", linewidths=2.2, linestyles="--", zorder=4
        )
    _name(axis, shown, spots, scale.limit, size)
    axis.set_title(captions.text(shown.title), fontsize=10)
    axis.set_aspect("equal")
    axis.set_axis_off()


def _name(axis: Axes, shown: Coloured, spots: Tensor, limit: float, size: float) -> None:
    labels = shown.labels
    if labels is None and len(spots) <= 24:
        labels = [str(k) for k in range(len(spots))]
    if labels is None or len(spots) > 60:
        return
    dark = torch.zeros(len(spots)) if shown.nodes is None else shown.nodes.detach().cpu().flatten().abs() / limit
    for (x, y), label, strength in zip(spots.tolist(), labels, dark.tolist(), strict=True):
        room = min(9.0, 0.55 * size**0.5 * (1 if len(label) <= 2 else 2 / len(label)))
        axis.text(
            x,
            y,
            captions.text(label),
            fontsize=room,
            ha="center",
            va="center_baseline",
            color="white" if strength > 0.6 else "#222222",
            zorder=5,
        )


def frame(places: Sequence[Tensor]) -> list[tuple[float, float]]:
    """The same window for both graphs, so that matched nodes are in the same place of it."""
    every = torch.cat(list(places))
    low, high = every.min(0).values, every.max(0).values
    room = 0.09 * float((high - low).max()) + 0.12
    return [(float(low[k]) - room, float(high[k]) + room) for k in (0, 1)]
