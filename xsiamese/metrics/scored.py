"""The value of pairs of which some units are taken away: each side is encoded once for all that is asked of it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from xsiamese.metrics.units import fill_in
from xsiamese.model.pair import SiameseModel
from xsiamese.pairs.batch import PairBatch

ROWS = 1024  # items in one forward pass, where the batch does not say

Keeps = Sequence[Tensor]


def factored(batch: PairBatch) -> bool:
    """Whether the two sides can be encoded apart and compared afterwards, in any combination."""
    return isinstance(batch.model, SiameseModel) and batch.target is None and not batch.extra


@torch.no_grad()
def surface(batch: PairBatch, keep: tuple[Keeps, Keeps], filling: str | float, seed: int) -> Tensor:
    """The value with the i-th part of a and the j-th part of b kept, shape (pairs, parts of a, parts of b).

    ``len(keep[0]) + len(keep[1])`` items are encoded for each pair.

    Args:
        batch: pairs of a factored model.
        keep: for each side the parts, each (pairs, units).
        filling: see :func:`~xsiamese.metrics.units.fill_in`.
        seed: of the noise.
    """
    z_a, z_b = (embedded(batch, side, keep[side], filling, seed) for side in (0, 1))
    flat = z_b.flatten(0, 1)
    repeated = (one.repeat(len(z_b), *[1] * (one.dim() - 1)) for one in z_a)
    rows = [batch.closeness(one, flat).view(len(z_b), -1) for one in repeated]
    return torch.stack(rows).permute(2, 0, 1)


@torch.no_grad()
def along(batch: PairBatch, keep: tuple[Keeps, Keeps], filling: str | float, seed: int) -> Tensor:
    """The value with the i-th parts of both sides kept, shape (pairs, parts); any model."""
    if factored(batch):
        z_a, z_b = (embedded(batch, side, keep[side], filling, seed) for side in (0, 1))
        return batch.closeness(z_a.flatten(0, 1), z_b.flatten(0, 1)).view(len(z_a), -1).T
    copies = max(1, (batch.rows or ROWS) // batch.pairs)
    values = []
    for start in range(0, len(keep[0]), copies):
        some = tuple(one[start : start + copies] for one in keep)
        moved = (*fill_in(batch, 0, some[0], filling, seed), *fill_in(batch, 1, some[1], filling, seed))
        values.append(batch.value(*moved).view(len(some[0]), -1))
    return torch.cat(values).T


@torch.no_grad()
def embedded(batch: PairBatch, side: int, keep: Keeps, filling: str | float, seed: int) -> Tensor:
    """The embeddings of one side with these parts kept, shape (parts, pairs, dimensions)."""
    copies = max(1, (batch.rows or ROWS) // batch.pairs)
    found = []
    for start in range(0, len(keep), copies):
        some = keep[start : start + copies]
        z = batch.embed(side, *fill_in(batch, side, some, filling, seed))
        found.append(z.reshape(len(some), batch.pairs, *z.shape[1:]))
    return torch.cat(found)
