r"""Shapley interactions of the parts of a with those of b, from the same closed form at several probabilities."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from xsiamese.author import PairBatch, PairMatrix
from xsiamese_interactions.heads import Features, product
from xsiamese_interactions.items import Item, places_of
from xsiamese_interactions.masks import Regression, draw

NODES = 8  # probabilities at most where masks are drawn: their error is larger than that of the rule


def shapley(
    batch: PairBatch, items: tuple[Item, Item], fills: list[Tensor], count: int, drawing: list[torch.Generator]
) -> PairMatrix:
    r"""The Shapley interaction index: the mean of the p-weighted matrices over p, by Gauss-Legendre nodes, exactly."""
    head = product(batch, *(item.embed(item.tensor) for item in items))
    if head is None:
        raise ValueError("index='shapley' needs a comparison that is a product of features: use index='banzhaf'")
    nodes = math.ceil((items[0].parts.count + items[1].parts.count - 1) / 2)
    few = [2**item.parts.count <= count for item in items if item.parts.count < 31]
    nodes = nodes if len(few) == 2 and all(few) else min(nodes, NODES)
    places, weights = np.polynomial.legendre.leggauss(nodes)
    sides = [
        _at_every_p(item, fill, count, ((places + 1) / 2).tolist(), features=head[k], generator=drawing[k])
        for k, (item, fill) in enumerate(zip(items, fills, strict=True))
    ]
    root = torch.as_tensor(weights / 2).sqrt().to(sides[0][0])
    left, right = (torch.cat([one * w for one, w in zip(side, root, strict=True)], 1) for side in sides)
    return PairMatrix(left, right, None, places_of(items)).compress(tolerance=0.0)


def _at_every_p(
    item: Item, fill: Tensor, count: int, places: list[float], *, features: Features, generator: torch.Generator
) -> list[Tensor]:
    """The slopes (parts, D) of one item's features for masks that keep each part with each of several probabilities."""
    found: list[Tensor] = []
    known: Tensor | None = None
    for p in places:
        masks = draw(item.parts.count, count, p, item.tensor, generator)
        regression = Regression.of(masks)
        if known is None or masks.weight is None:  # all masks are the same ones at every p, with other weights
            known = features(item.embed_masked(masks.keep, fill, f"masks at p = {p:.2f}"))
        found.append(regression.slopes(known))
    return found
