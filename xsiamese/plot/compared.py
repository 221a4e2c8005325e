"""Several explanations of one pair, side by side."""

from __future__ import annotations

import re
from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from xsiamese.plot import captions
from xsiamese.plot.figure import new_figure
from xsiamese.plot.picture import asked, draw_pair, height, one_of
from xsiamese.plot.pixels import seen

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from xsiamese.plot.shown import Shown


def compare(
    explanations: Sequence[Shown],
    pair: int = 0,
    *,
    columns: int = 1,
    labels: tuple[Sequence[str] | None, Sequence[str] | None] | None = None,
    quantile: float = 0.995,
    smooth: float | None = None,
    superpixels: int | None = None,
) -> Figure:
    """Several methods on one pair, side by side: a row a method, each on a scale of its own, since their units differ.

    Args:
        explanations: of the same inputs, by any methods with one map a side.
        pair: which pair of them.
        columns: how many methods stand in one row, smaller the more there are.
        labels, quantile, smooth, superpixels: see :func:`~xsiamese.plot.picture.plot_items`.

    Raises:
        ImportError: if matplotlib, or scikit-image for superpixels, is not installed.
        ValueError: if there is none, a method gives no maps, they are of different inputs, or ``columns`` is not
            positive.
        IndexError: if there is no such pair.
        TypeError: if no list of explanations is given.

    Example:
        >>> from xsiamese import PairInputXGradient, PairSaliency, SiameseModel, compare
        >>> model, inputs = SiameseModel(torch.nn.Flatten(), "cosine"), (torch.rand(2, 3), torch.rand(2, 3))
        >>> figure = compare([method(model).explain(inputs) for method in (PairSaliency, PairInputXGradient)])
    """
    options = {"columns": columns, "quantile": quantile, "smooth": smooth, "superpixels": superpixels}
    asked(compare, options)
    if not isinstance(explanations, Sequence) or not all(hasattr(one, "maps") for one in explanations):
        raise TypeError("compare() takes a list of explanations, as [first, second]")
    if not explanations:
        raise ValueError("there is nothing to compare: give several explanations of the same pairs")
    first = explanations[0]
    first[pair]  # there is such a pair
    for one in explanations:
        if one.maps is None:
            raise ValueError(f"{one.method} gives no maps, and maps are what is compared")
        if not _same(one, first, pair):
            raise ValueError(f"{one.method} explains another pair than {first.method}: give the same inputs to all")
    shown = [seen(one[pair], smooth, superpixels) for one in explanations]
    size, letters, points = (1.0, 40, 10) if columns == 1 else (0.6, 20, 8)
    heights = [size * max(map(height, shown[k : k + columns])) for k in range(0, len(shown), columns)]
    square = 5.6 if columns == 1 else 3.8 * columns  # images need less
    width = square if set(first.kinds) == {"image"} else 9.6 * size * columns
    figure = new_figure(width, sum(heights) + 0.5)
    lines = figure.subplots(len(heights), 2 * columns, squeeze=False, gridspec_kw={"height_ratios": heights})
    for axes in lines.flat:
        axes.set_visible(False)  # the last row may have fewer methods
    for number, one in enumerate(shown):
        row, column = divmod(number, columns)
        line = list(lines[row, 2 * column : 2 * column + 2])
        for axes in line:
            axes.set_visible(True)
        draw_pair(figure, line, one, _called(one, shown, letters), points, quantile=quantile, labels=labels)
    signed = [f"{captions.pulls(one)}, " for one in shown if one.shows == "signed"][:1]
    figure.suptitle(f"{captions.score(first, pair)}\n{''.join(signed)}each method on its own scale", fontsize=11)
    return figure


def _called(one: Shown, among: Sequence[Shown], most: int) -> str:
    """The method in lines that stand beside a small picture, and the layer where the method is shown at several."""
    name, layer = one.method, one.parameters.get("layer")
    parts, lines = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name), -(-len(name) // most)
    if lines > 1:  # cut between words, into lines of about one length
        name = next(
            cut.replace(" ", "")
            for width in range(len(parts) // lines, len(parts) + 1)
            if (cut := fill(parts, width, break_long_words=False)).count("\n") < lines
        )
    alone = all(other.parameters.get("layer") == layer for other in among if other.method == one.method)
    return name if alone else f"{name}\nlayer {layer}"


def _same(one: Shown, other: Shown, pair: int) -> bool:
    """Whether two explanations are of the same pair."""
    if len(one) <= pair or len(other) <= pair or one.kinds != other.kinds:
        return False
    for mine, theirs in zip(one[pair].inputs, other[pair].inputs, strict=True):
        first, second = one_of(mine), one_of(theirs)
        if isinstance(first, Tensor) != isinstance(second, Tensor):
            return False
        if isinstance(first, Tensor) and not (first.shape == second.shape and torch.equal(first, second)):
            return False
    return True
