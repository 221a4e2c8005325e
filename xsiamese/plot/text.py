"""A text: its words on the colour of their values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from xsiamese.kinds.words import Texts
from xsiamese.plot import captions
from xsiamese.plot.scale import Places, Scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, LINE = 44, 1.7  # characters in a line, and the height of a line in those of the letters


def draw_text(axes: Axes, item: Tensor, values: Tensor, scale: Scale, labels: Sequence[str] | None = None) -> Places:
    """The words of a text one after the other, each on the colour of its value.

    Args:
        axes: where to draw.
        item: the ids of its tokens, shape (tokens,), or their embeddings, (tokens, dimensions).
        values: of each token, shape (tokens,), (1, tokens), or (tokens, dimensions), which are summed.
        scale: of the values.
        labels: the words; the ids, or the numbers of the tokens, if left out.

    Returns:
        Where the middle of each (token,) stands, in the axes' units.
    """
    strength = values_of_tokens(values, len(item))
    words = labels or [str(i) for i in (item.tolist() if item.dim() == 1 else range(len(item)))]
    spots = positions(words)
    colours, dark = scale.colours(strength), (strength.abs() / scale.limit > 0.6).tolist()
    for word, (x, y), colour, white in zip(words, spots, colours, dark, strict=True):
        axes.text(
            x, y, captions.text(word), family="monospace", fontsize=9, ha="center", va="center",
            color="white" if white else "#222222",
            bbox={"facecolor": colour, "edgecolor": "#d0d0d0", "linewidth": 0.4, "boxstyle": "round,pad=0.25"},
        )  # fmt: skip
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(min(y for _, y in spots) - LINE, LINE)
    axes.set_axis_off()
    return {(i,): spot for i, spot in enumerate(spots)}


def values_of_tokens(values: Tensor, tokens: int) -> Tensor:
    """One value a token: (1, tokens) of a class activation map as it is, dimensions of a token summed."""
    values = values.detach().double().cpu()
    if values.dim() == 2:
        values = values.sum(0) if values.shape == (1, tokens) else values.sum(1)
    return values


def positions(words: Sequence[str]) -> list[tuple[float, float]]:
    """The middle of each word in lines of :data:`WIDTH` characters; lines go down."""
    spots, x, y = [], 0.0, 0.0
    for word in words:
        room = len(word) + 2.0  # a word and its frame
        if x and x + room > WIDTH:
            x, y = 0.0, y - LINE
        spots.append((x + room / 2, y))
        x += room
    return spots


def in_columns(item: Texts, words: Sequence[str], values: Tensor) -> tuple[tuple[str, ...], Tensor]:
    """The words of one text and their values; in a row of text columns the name of each stands before its words, with
    no value of its own.
    """
    if not item.columns:
        return tuple(words), values
    shown: list[str] = []
    of_shown: list[Tensor] = []
    for number, name in enumerate(item.columns[0]):
        own = [i for i, column in enumerate(item.column_of[0]) if column == number]
        shown += [f"{name}:", *(words[i] for i in own)]
        of_shown += [values.new_zeros(1), values[own]]
    return tuple(shown), torch.cat(of_shown)
