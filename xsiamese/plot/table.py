"""A pair of rows of a table with the values of their columns as bars on one scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor

from xsiamese.plot import captions
from xsiamese.plot.figure import new_figure
from xsiamese.plot.graph import INK
from xsiamese.plot.scale import Places, Scale, floored
from xsiamese.plot.shown import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from xsiamese.plot.shown import Shown

MOST = 4  # pairs in one picture
Texts: TypeAlias = tuple[Mapping[str, str], Mapping[str, str]]


def plot_rows(
    explanation: Shown,
    *,
    columns: Table | None = None,
    texts: Texts | None = None,
    names: Sequence[str] = (),
    most: int = 20,
    title: str = "",
) -> Figure:
    """One row a pair: a bar for each column of a, the same for b, the strongest on top, all of a pair on one scale.
    What both rows have in common is marked as equal.

    Args:
        explanation: of rows (pairs, features), its maps of the same shape.
        columns: of the table that the rows are of: a category is one bar, and values are written in the units of the
            table.
        texts: of one pair, what the table says in the row of a and in that of b, by the column: of categories and free
            text it is what is written, also where training did not see the value.
        names: of the features, if there are no ``columns``; their numbers by default.
        most: how many columns are shown, the strongest of each pair.
        title: above the picture; the method by default.

    Raises:
        ImportError: if matplotlib is not installed.
        ValueError: if the maps are not of the features, or columns or names do not fit.

    Example:
        >>> from xsiamese import PairSaliency, SiameseModel
        >>> model = SiameseModel(torch.nn.Linear(3, 2), "euclidean")
        >>> explanation = PairSaliency(model).explain((torch.ones(1, 3), torch.zeros(1, 3)))
        >>> figure = explanation.plot(names=["length", "width", "age"])
    """
    maps, values, names = _by_column(explanation, columns, names)
    if texts is not None:
        values = _said(values, names, texts, columns)
    pairs = min(len(explanation), MOST)
    shown = min(most, len(names))
    height = max(0.9 + 0.26 * shown, 2.2)  # what stands beside a pair needs room
    figure = new_figure(9.2, height * pairs + 0.5)
    lines = figure.subplots(pairs, 2, squeeze=False)
    for pair, line in enumerate(lines):
        strength = torch.stack([side[pair].abs() for side in maps]).amax(0)
        order = strength.argsort(descending=True, stable=True)[:shown].flip(0).tolist()  # the first bar is the lowest
        limit = floored(float(strength.max()), [side[pair] for side in maps], explanation, pair)
        for side, axes in enumerate(line):
            said = [values[k][pair] for k in (0, 1)]
            labels = [
                f"{names[i]} = {said[0][i]}" if side == 0 else f"{said[1][i]}{' (equal)' * (said[0][i] == said[1][i])}"
                for i in order
            ]
            _bars(axes, maps[side][pair][order], labels, limit, explanation)
            held = "   held fixed" if captions.held(explanation) == side else ""
            axes.set_title(captions.item(explanation, pair, side) + held, fontsize=10)
        line[0].set_ylabel(captions.beside(explanation, pair), fontsize=9)
    rest = f"   {shown} strongest of {len(names)} columns" if shown < len(names) else ""
    figure.suptitle(title or captions.title(explanation, MOST) + rest, fontsize=11)
    return figure


def _said(
    values: list[list[list[str]]], names: Sequence[str], texts: Texts, columns: Table | None
) -> list[list[list[str]]]:
    """The values of one pair of rows with what the table says for all that is not a number."""
    if columns is None or any(len(side) != 1 for side in values):
        raise ValueError("texts= are of one pair and go with columns=")
    numbers = {column.name for column in columns.columns if column.number}
    return [
        [[value if name in numbers else _short(row[name]) for name, value in zip(names, side[0], strict=True)]]
        for side, row in zip(values, texts, strict=True)
    ]


def _short(text: str, most: int = 32) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _bars(axes: Axes, values: Tensor, labels: list[str], limit: float, explanation: Shown) -> None:
    ends = captions.ends(explanation)
    scale = Scale(limit, ends, explanation.shows)
    values = scale.drawn(values)
    axes.barh(
        range(len(values)),
        values.numpy(),
        color=scale.colours(values),
        edgecolor=INK,
        linewidth=0.5,
        height=0.72,
    )
    axes.set_yticks(range(len(values)), [captions.text(label) for label in labels], fontsize=8)
    axes.set_xlim(1.05 * scale.low, 1.05 * limit)
    axes.tick_params(axis="x", labelsize=8)
    axes.tick_params(axis="y", length=0)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_xlabel(ends[1] if explanation.unsigned else f"← {ends[0]}          {ends[1]} →", fontsize=9)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _by_column(
    explanation: Shown, columns: Table | None, names: Sequence[str]
) -> tuple[list[Tensor], list[list[list[str]]], Sequence[str]]:
    """The maps (pairs, columns) of both sides, the values of their rows as texts, and the columns' names."""
    for name, rows, found in zip("ab", explanation.inputs, explanation.maps, strict=True):
        if (
            not isinstance(rows, Tensor)
            or not isinstance(found, Tensor)
            or rows.dim() != 2
            or found.shape != rows.shape
        ):
            what, of = (
                tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__ for value in (found, rows)
            )
            raise ValueError(
                f"the map of {name} is {what} and the input {of}: bars need a value for each feature of a row, as "
                "integrated gradients give it"
            )
    width, other = (found.shape[1] for found in explanation.maps)
    fits = len(columns.features) if columns is not None else len(names) or width
    if not width == other == fits:
        raise ValueError(
            f"a has {width} features, b {other}, and there are columns or names of {fits}: bars of one table are drawn"
        )
    maps = [found.detach().double().cpu() for found in explanation.maps]
    rows = [side.detach().double().cpu() for side in explanation.inputs]
    if columns is None:
        return (
            maps,
            [[[f"{value:.5g}" for value in row] for row in side.tolist()] for side in rows],
            names or [str(i) for i in range(width)],
        )
    texts = [
        [[value if isinstance(value, str) else f"{value:.5g}" for value in row.values()] for row in columns.undo(side)]
        for side in rows
    ]
    how = "amax" if explanation.unsigned else "sum"
    return (
        [columns.by_column(found.abs() if explanation.shows == "magnitude" else found, how) for found in maps],
        texts,
        [column.name for column in columns.columns],
    )


def draw_row(axes: Axes, item: Tensor, values: Tensor, scale: Scale, labels: Sequence[str] | None = None) -> Places:
    """One row of a table: a bar for each of its strongest features, the strongest on top.

    Args:
        axes: where to draw.
        item: the row, shape (features,).
        values: of the features.
        scale: of the values.
        labels: the features' names; their numbers by default.

    Returns:
        Where each (feature,) that is shown stands, in the axes' units.
    """
    row, strength = (t.detach().double().cpu().flatten() for t in (item, values))
    order = strength.abs().argsort(descending=True, stable=True)[:20].flip(0).tolist()  # the first bar is the lowest
    names = [f"{i if labels is None else labels[i]} = {float(row[i]):.5g}" for i in order]
    axes.barh(range(len(order)), strength[order].numpy(), color=scale.colours(strength[order]), edgecolor=INK)
    axes.set_yticks(range(len(order)), [captions.text(name) for name in names], fontsize=8)
    axes.set_xlim(1.05 * scale.low, 1.05 * scale.limit)
    axes.axvline(0, color=INK, linewidth=0.8)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    return {(i,): (float(strength[i]), float(spot)) for spot, i in enumerate(order)}
