"""Which part of a goes with which part of b: both items with lines between matched parts, and both marginals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from textwrap import fill
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from xsiamese.plot import captions
from xsiamese.plot.figure import new_figure
from xsiamese.plot.graph import INK
from xsiamese.plot.image import pixels_of
from xsiamese.plot.matched import Item, Names, Nodes, Picture
from xsiamese.plot.scale import Scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from xsiamese.plot.shown import Pixels, Shown

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F3C8D", "#8C6D31")  # Okabe-Ito and two
MOST = 8  # matches: more lines cannot be followed
LISTED = 18  # names of a list
Labels = tuple[Sequence[str] | None, Sequence[str] | None] | None
FULL = 6.0  # full colour is this many times the share that a part has if all have the same
HALF = 0.5  # or this share, where parts are few: what gives half of a full match is as full as can be
LEAST = 0.5  # times that share a match must have to get a line
SEARCHED = 500  # strongest cells among which each part's first is taken


class Match(Protocol):
    @property
    def of_a(self) -> tuple[int, ...]: ...
    @property
    def of_b(self) -> tuple[int, ...]: ...
    @property
    def value(self) -> float: ...
    @property
    def error(self) -> float | None: ...


class Matrix(Protocol):
    """A pair matrix, as far as pictures know it: :class:`~xsiamese.PairMatrix` is one."""

    @property
    def grids(self) -> tuple[tuple[int, ...], tuple[int, ...]]: ...
    @property
    def marginals(self) -> tuple[Tensor, Tensor]: ...
    @property
    def total(self) -> Tensor: ...
    def top(self, k: int = ..., *, largest: Any = ...) -> Sequence[Match]: ...


def plot_matrix(
    explanation: Shown,
    matrix: Matrix,
    *,
    most: int = MOST,
    reference: float | None = None,
    labels: Labels = None,
    preprocessing: Pixels | None = None,
    title: str = "",
) -> Figure:
    """Both items with matched parts in one colour and a line between them, and below what each part gives in all.

    Lines are as thick, and colours as full, as a part's share of a *full match* (what the two items would give together
    if they were alike in everything): a pair that has little in common stays pale.

    Args:
        explanation: of one pair.
        matrix: its matrix.
        most: how many matches at most.
        reference: the value of a full match; the explanation's own, or else the size of its score.
        labels: the names of the parts of a and of b, as words or columns; None for numbers, also for one side.
        preprocessing: what turned pixels into inputs, to be undone for showing.
        title: above the picture.

    Raises:
        ImportError: if matplotlib is not installed.
        ValueError: if the parts cannot be drawn.
    """
    full = reference or _reference(explanation) or 1.0
    items = _items(explanation, matrix, labels, preprocessing)
    even = 1 / min(math.prod(grid) for grid in matrix.grids)  # the share of a part if all had the same
    shown = _worth(matrix, LEAST * even * full)[: min(most, len(COLOURS))]
    scale = Scale(min(FULL * even, HALF), ("apart", "together"))
    figure = new_figure(8.6, 8.2)
    axes = figure.subplots(2, 2, height_ratios=(1.25, 1))
    shares = [(marginal.detach().cpu() / full).float() for marginal in matrix.marginals]
    longest = 1.05 * max(float(share.abs().max()) for share in shares)
    for side in (0, 1):
        items[side].draw(axes[0, side], None, scale)
        items[side].draw(axes[1, side], shares[side], scale)
        if isinstance(items[side], Names) and longest > scale.limit:
            axes[1, side].set_xlim(-longest, longest)  # no bar is cut off
        axes[0, side].set_title(fill(captions.item(explanation, 0, side), 28), fontsize=11)
        axes[1, side].set_title("what of it goes with the other", fontsize=9)
    for number, (match, colour) in enumerate(zip(shown, COLOURS, strict=False), start=1):
        _join(figure, axes[0], items, match, colour=colour, number=number, full=full, limit=scale.limit)
    bar = scale.bar(figure, list(axes[1]))
    bar.set_ticks(
        [scale.low, 0, scale.limit],
        labels=[f"apart\n−{scale.limit:.0%}", "0", f"together\n+{scale.limit:.0%}"],
    )
    bar.set_label("share of a full match", fontsize=8)
    figure.suptitle(f"{title or explanation.method}   {captions.score(explanation, 0)}", fontsize=12)
    figure.supxlabel(_said(matrix, shown, LEAST * even, full), fontsize=9, color=INK)
    return figure


def _worth(matrix: Matrix, least: float) -> list[Match]:
    """Matches that are worth a line, the strongest first, each part once: not below ``least``, nor lost in their error,
    which many cells had the chance to exceed.
    """
    cells = math.prod(map(math.prod, matrix.grids))
    sure = NormalDist().inv_cdf(1 - 0.025 / cells)
    found: list[Match] = []
    for match in matrix.top(SEARCHED, largest="closer"):
        known = match.error is None or match.value > sure * match.error
        if match.value > least and known and not any(one.of_a == match.of_a or one.of_b == match.of_b for one in found):
            found.append(match)
    return found


def _said(matrix: Matrix, shown: Sequence[Match], least: float, full: float) -> str:
    """What the picture says, in words."""
    whole = f"In all, parts of a with parts of b give {float(matrix.total) / full:.0%} of a full match."
    if not shown:
        return f"{whole}\nNo part of a goes with one part of b for more than {least:.1%}, or surely so."
    shares = ", ".join(f"{number}: {match.value / full:.1%}" for number, match in enumerate(shown, start=1))
    return f"{whole}\nThe strongest matches: {shares}."


def _join(
    figure: Figure,
    axes: Any,
    items: tuple[Item, Item],
    match: Match,
    *,
    colour: str,
    number: int,
    full: float,
    limit: float,
) -> None:
    from matplotlib.patches import ConnectionPatch

    ends = [
        item.mark(one, place, colour, number)
        for item, one, place in zip(items, axes, (match.of_a, match.of_b), strict=True)
    ]
    width = 0.8 + 5 * min(1.0, match.value / full / limit)
    # lines of parts side by side would lie on each other: each is bent in a way of its own
    bend = f"arc3,rad={(-1) ** number * 0.05 * number:.2f}"
    kept = {"axesA": axes[0], "axesB": axes[1], "color": colour, "linewidth": width, "alpha": 0.8}
    line = ConnectionPatch(ends[0], ends[1], "data", "data", connectionstyle=bend, **kept)
    line.set_in_layout(False)
    figure.add_artist(line)


def _reference(explanation: Shown) -> float:
    """The value of a full match."""
    known = getattr(explanation, "columns", {}).get("reference")
    return float(known[0]) if known is not None else abs(float(explanation.scores[0]))


def _items(explanation: Shown, matrix: Matrix, labels: Labels, preprocessing: Pixels | None) -> tuple[Item, Item]:
    """Each side by what it is: the two towers of a model may see different things."""
    inputs, names = explanation.inputs, labels or (None, None)
    if all(hasattr(item, "edge_index") for item in inputs):
        return _graphs(inputs, names)
    found: list[Item] = []
    for side, (item, grid) in enumerate(zip(inputs, matrix.grids, strict=True)):
        if isinstance(item, Tensor) and item.dim() == 4 and len(grid) == 2:
            found.append(Picture(pixels_of(item, "ab"[side], preprocessing)[0], grid))
        elif hasattr(item, "edge_index"):
            found.append(_graphs((item, item), (names[side],) * 2)[side])
        else:
            found.append(_list(matrix, side, names[side]))
    return found[0], found[1]


def _graphs(inputs: Sequence[Any], labels: tuple[Sequence[str] | None, Sequence[str] | None]) -> tuple[Item, Item]:
    from xsiamese.kinds.graphs.variants import Variants
    from xsiamese.plot.layout import positions

    graphs = [graph.to_data_list()[0] if hasattr(graph, "to_data_list") else graph for graph in inputs]
    spots = positions(graphs[0], graphs[1])
    names = [label or [str(i) for i in range(len(spot))] for spot, label in zip(spots, labels, strict=True)]
    first, second = (
        Nodes(spot, Variants(graph).ends.cpu(), name) for spot, graph, name in zip(spots, graphs, names, strict=True)
    )
    return first, second


def _list(matrix: Matrix, side: int, labels: Sequence[str] | None) -> Item:
    """A list of names: of all parts of a side, or of those that matter most and those that are matched."""
    grid, values = matrix.grids[side], matrix.marginals[side]
    count = math.prod(grid)
    names = [str(place) for place in range(count)] if labels is None else labels
    if len(names) != count:
        raise ValueError(f"{len(names)} labels for the {count} parts of {'ab'[side]}")
    matches = matrix.top(MOST, largest="closer") if len(grid) == 1 else []
    strength = values.detach().flatten().abs().cpu()
    strength[torch.tensor([(match.of_a, match.of_b)[side][0] for match in matches], dtype=torch.long)] = torch.inf
    return Names(names, sorted(strength.topk(min(LISTED, count)).indices.tolist()), side)
