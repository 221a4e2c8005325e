"""Pair matrices of models that take both inputs at once: every mask of a with every mask of b."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from xsiamese.author import PairBatch, PairMatrix
from xsiamese_interactions.items import Item, places_of
from xsiamese_interactions.masks import Regression, draw, generator_of
from xsiamese_interactions.surrogate import of_scores


def of_both(
    batch: PairBatch, items: tuple[Item, Item], fills: list[Tensor], count: int, *, p: float, max_passes: int | None
) -> PairMatrix:
    """The matrix of a model that takes both inputs at once.

    Raises:
        ValueError: if so many passes are not confirmed.
    """
    drawing = [generator_of(item.tensor, batch.seed) for item in items]
    masks = [draw(item.parts.count, count, p, item.tensor, g) for item, g in zip(items, drawing, strict=True)]
    fits = [Regression.of(one) for one in masks]
    passes = math.prod(len(one.keep) for one in masks)
    if max_passes is None or passes > max_passes:
        raise ValueError(
            f"this model takes both inputs at once, so that {len(masks[0].keep)} x {len(masks[1].keep)} masks are "
            f"{passes} passes: confirm them by max_passes={passes}, or take fewer masks="
        )
    a, b = (item.masked(one.keep, fill) for item, one, fill in zip(items, masks, fills, strict=True))
    lines = [_line(batch.one_sided("both"), items, row, b) for row in torch.split(a, len(items[0].tensor))]
    return of_scores(torch.stack(lines), fits, places_of(items))


def _line(both: PairBatch, items: tuple[Item, Item], of_a: Tensor, of_b: Tensor) -> Tensor:
    """The closeness of one masked a with every masked b, (masks of b,)."""
    rows, found = len(items[1].tensor), []
    for some in torch.split(of_b, rows * items[1].at_once):
        copies = len(some) // rows
        repeated = of_a.repeat(copies, *[1] * (of_a.dim() - 1))
        leaves = (*items[0].leaves(repeated, copies), *items[1].leaves(some, copies))
        with torch.no_grad():
            found.append(both.value(*(leaves[i] for i in both.objective.moved_at)))
    return torch.cat(found)
