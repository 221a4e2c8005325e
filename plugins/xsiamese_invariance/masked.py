"""What masks are laid on: the sides of a batch of pairs that move, what is kept or removed together there, and what
comes in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from xsiamese.author import Leaves, PairBatch, Side, side
from xsiamese_invariance.graph import DELETED, GraphUnits
from xsiamese_invariance.problem import Argument
from xsiamese_invariance.replacement import MaskedSide, Replacement, normal_pool
from xsiamese_invariance.units import Units, units_of


@dataclass(frozen=True)
class Masked:
    """One side of a batch, before anything is drawn.

    Attributes:
        leaves: the numbers that are masked, in float32 at least.
        units: which unit each of them belongs to.
        pool: rows that come in their place, one tensor a leaf.
        deleted: which leaves are the edges of graphs, whose removal needs no pool.
    """

    leaves: Leaves
    units: Units | GraphUnits
    pool: Leaves
    deleted: tuple[bool, ...]

    def put_back(self, draws: Leaves) -> Leaves:
        """Draws as values of the leaves that have any: of edges they are the share of an edge that stays."""
        values = [z * leaf if gone else z for z, leaf, gone in zip(draws, self.leaves, self.deleted, strict=True)]
        return tuple(values[leaf] for leaf in self.units.leaves)

    def drawn(self, draws: Leaves) -> MaskedSide:
        """With draws in place of what is removed."""
        return MaskedSide([self.leaves[leaf][None] for leaf in self.units.leaves], self.put_back(draws), self.units)


def masked_leaves(one: Side) -> Leaves:
    """The numbers of a side that a mask can be laid on, in float32 at least."""
    return tuple(
        leaf.detach().to(torch.promote_types(leaf.dtype, torch.float32))
        for leaf in one.leaves
        if leaf.is_floating_point()
    )


def masked_sides(batch: PairBatch) -> dict[int, Leaves]:
    """The masked numbers of each side that moves; graphs may have none, where only edges are masked.

    Raises:
        ValueError: if a side has no tensor of them.
    """
    found = {number: masked_leaves((batch.a, batch.b)[number]) for number in batch.objective.moving}
    if not all(found.values()):
        raise ValueError("a mask needs numbers that can be replaced: one of the sides holds no floating point tensor")
    return {number: leaves for number, leaves in found.items() if any(map(len, leaves))}


def units_for(batch: PairBatch, number: int, leaves: Leaves, given: Any, least: int) -> Units | GraphUnits:
    """What is kept or removed together on a side.

    Args:
        batch: the pairs.
        number: 0 for a, 1 for b.
        leaves: the masked numbers.
        given: the user's map of units, see :func:`~xsiamese_invariance.units.units_of`.
        least: how many units there are at least.
    """
    one, name = (batch.a, batch.b)[number], f"units of {'ab'[number]}"
    if not one.ragged:
        return units_of(leaves, _rows(given, batch), name, least)
    if given is not None:
        raise ValueError(f"{name} cannot be chosen: those of a graph are its nodes and its edges, see parts=")
    return GraphUnits(one, least)


def pool_for(one: Side, number: int, leaves: Leaves, given: Any, learned: Leaves) -> Leaves:
    """Rows that come in place of what is removed: of given items, else what an invariance was learned with, else
    standard normal ones.

    Raises:
        ValueError: if they do not fit the side.
    """
    name, wanted = f"pool of {'ab'[number]}", [leaf.shape[1:] for leaf in leaves]
    if given is not None:
        items = side(given, name)
        rows = (items.explaining(one.parts, name) if one.ragged and items.ragged else items).leaves
    elif [leaf.shape[1:] for leaf in learned] == wanted:
        rows = learned
    else:
        rows = normal_pool(leaves)
    if [leaf.shape[1:] for leaf in rows] != wanted:
        raise ValueError(f"the {name} holds items of shape {tuple(rows[0].shape[1:])}, the input {tuple(wanted[0])}")
    return tuple(leaf.to(like) for leaf, like in zip(rows, leaves, strict=True))


def replacement_for(kind: Any, masked: Sequence[Masked]) -> Replacement:
    """What draws for some sides."""
    deleted = tuple(one.deleted for one in masked)
    return Replacement(kind, tuple(one.pool for one in masked), deleted if any(map(any, deleted)) else ())


def deleted_leaves(one: Side) -> tuple[bool, ...]:
    """Which of the masked leaves are edges to delete."""
    return tuple(part in DELETED for part in one.parts) if one.ragged else (False,) * len(masked_leaves(one))


def arguments_of(batch: PairBatch) -> tuple[Argument, ...]:
    """What the objective of a batch takes besides the masked numbers."""
    held = len(batch.arguments) - len(batch.extra) - isinstance(batch.target, (Tensor, list))
    leaves = [None] * batch.objective.encodes_held + [_place(batch, i) for i in batch.objective.held_at]
    found = []
    for i, value in enumerate(batch.arguments):
        own = i < held or (isinstance(value, Tensor) and value.shape[:1] == (batch.pairs,))
        place = leaves[i] if i < held else None
        found.append(Argument(value[None], leaf=place) if own else Argument(value, of_pairs=False))
    return tuple(found)


def partners_of(batch: PairBatch, leaves: Sequence[Leaves]) -> Leaves | None:
    """The other side's numbers, where one side moves and the two have one shape."""
    if len(batch.objective.moving) == 2 or not batch.a.aligned:
        return None
    other = [t for t in (batch.a, batch.b)[1 - batch.objective.moving[0]].leaves if t.is_floating_point()]
    if [t.shape for t in other] != [t.shape for t in leaves[0]]:
        return None
    return tuple(t.detach().to(like)[None] for t, like in zip(other, leaves[0], strict=True))


def _place(batch: PairBatch, i: int) -> tuple[Side, int]:
    first = len(batch.a.leaves)
    return (batch.a, i) if i < first else (batch.b, i - first)


def _rows(units: Any, batch: PairBatch) -> Any:
    """A map of units for each pair of the user's batch, for this part of it."""
    if isinstance(units, (tuple, list)):
        return tuple(_rows(one, batch) for one in units)
    if (
        isinstance(units, Tensor)
        and len(units) > batch.pairs
        and any(units.dim() == leaf.dim() for leaf in (*batch.a.leaves, *batch.b.leaves))
    ):
        return units[batch.first_pair : batch.first_pair + batch.pairs]
    return units
