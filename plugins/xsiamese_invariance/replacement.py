"""What comes in place of removed features: rows of a pool, the same for both sides in half of the draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from xsiamese.author import Leaves
from xsiamese_invariance.graph import GraphUnits
from xsiamese_invariance.units import Units

Kind = Literal["mixed", "shared", "independent", "zeros"]
NORMAL_ROWS = 256


@dataclass(frozen=True)
class Replacement:
    r"""Draws values for what a mask removes.

    A comparison makes the choice decisive. If both sides lose a feature and get the same value for it, they become
    alike, so that "alike" is explained by the empty mask; if they get different values they become different, so that
    "different" is. "mixed" does each in half of the draws, so that neither verdict is free. Where only one side is
    masked, "the same value" is the other side's own, if the two have one shape.

    Different values come as (z, z') and (z', z), so that swapping the sides swaps the masks.

    What a mask removes of the edges of a graph is deleted, and nothing is drawn. There "shared" deletes on both sides,
    which makes them alike, and "independent" on one side and then on the other, which makes them differ. All removed
    nodes of a graph get one row.

    Attributes:
        kind: "mixed", "shared", "independent" or "zeros".
        pools: rows to draw from, for each masked side, one tensor a leaf; two sides of one shape have one pool.
        deleted: which leaves of each side are edges to delete, if any are.
    """

    kind: Kind
    pools: tuple[Leaves, ...]
    deleted: tuple[tuple[bool, ...], ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"replacement={self.kind!r}: one of {', '.join(get_args(Kind))} is needed")

    def draw(self, count: int, generator: torch.Generator, partners: Leaves | None = None) -> list[Leaves]:
        """``count`` rows for each masked side, each leaf of shape (count, 1 or pairs, ...); for edges to delete the
        share that is put back, (count, 1).

        Args:
            count: how many.
            generator: what to draw with.
            partners: the leaves (1 or count, pairs, ...) of the other side, where one side is masked and the two have
                one shape.
        """
        twins = count // {"mixed": 4, "independent": 2}.get(self.kind, count + 1)
        same = count - 2 * twins  # what is not drawn in twins is shared
        drawn = self._rows(count, same, twins, generator, partners)
        for number, (leaves, deleted) in enumerate(zip(drawn, self.deleted, strict=False)):
            back = leaves[0].new_zeros(count, 1)
            if len(drawn) > 1:
                back[same + twins :] = 1 - number
                back[same : same + twins] = number
            drawn[number] = tuple(back if gone else leaf for leaf, gone in zip(leaves, deleted, strict=True))
        return drawn

    def enough(self, count: int) -> int:
        """How many of ``count`` draws are needed: few, if nothing is random."""
        few = {"mixed": 4, "independent": 2}.get(self.kind, 1)
        return min(count, few) if self.deleted and all(all(leaves) for leaves in self.deleted) else count

    def _rows(
        self, count: int, same: int, twins: int, generator: torch.Generator, partners: Leaves | None
    ) -> list[Leaves]:
        """Rows of the pools, as if nothing were deleted."""
        if self.kind == "zeros":
            return [tuple(leaf.new_zeros(count, 1, *leaf.shape[1:]) for leaf in pool) for pool in self.pools]
        device = self.pools[0][0].device
        alike = (
            [leaf.shape for leaf in self.pools[0]] == [leaf.shape for leaf in self.pools[-1]]
            if len(self.pools) > 1
            else partners is not None
        )
        if not alike:
            if self.kind == "shared" and not self.deleted:
                raise ValueError(
                    "replacement='shared' needs two sides of one shape: 'independent' draws for each by itself"
                )
            places = [torch.randint(len(pool[0]), (count,), generator=generator).to(device) for pool in self.pools]
            return [_taken(pool, at) for pool, at in zip(self.pools, places, strict=True)]
        rows = len(self.pools[0][0])
        first = torch.randint(rows, (same + twins,), generator=generator)
        # a step of 1 to rows - 1 around the pool never lands on the row itself
        other = (first[same:] + torch.randint(1, max(2, rows), (twins,), generator=generator)) % rows
        at = torch.cat([first, other]).to(device)
        if partners is not None:
            pool = self.pools[0]
            drawn = tuple(
                leaf[at, None].expand(-1, *p.shape[1:]).clone() for leaf, p in zip(pool, partners, strict=True)
            )
            for leaf, partner in zip(drawn, partners, strict=True):
                leaf[:same] = partner[:same] if len(partner) > 1 else partner
            return [drawn]
        back = torch.cat([first[:same], other, first[same:]]).to(device)
        return [_taken(self.pools[0], at), _taken(self.pools[0], back)]


class MaskedSide:
    """One side of some pairs with part of its features replaced, for all draws at once: :math:`z + m \\odot (x - z)`.

    Args:
        leaves: the features, each (1 or draws, pairs, ...).
        draws: what replaces them, each (draws, 1 or pairs, ...).
        units: which unit each feature belongs to.
    """

    def __init__(self, leaves: Sequence[Tensor], draws: Sequence[Tensor], units: Units | GraphUnits) -> None:
        self.leaves, self.draws, self.units = tuple(leaves), tuple(draws), units
        self.difference = [leaf - draw for leaf, draw in zip(leaves, draws, strict=True)]

    def replaced(self, mask: Tensor) -> list[Tensor]:
        """What the model takes: each leaf of shape (draws x pairs, ...), all pairs with the first draw, then all with
        the second.
        """
        kept = self.units.expand(mask)
        return [
            torch.addcmul(z, m[None], d).flatten(0, 1)
            for z, m, d in zip(self.draws, kept, self.difference, strict=True)
        ]

    def pull(self, slopes: Sequence[Tensor]) -> Tensor:
        """The gradient in the mask, (pairs, units), from those in what :meth:`replaced` gave."""
        return self.units.gather([(g.view_as(d) * d).sum(0) for g, d in zip(slopes, self.difference, strict=True)])

    def redrawn(self, draws: Sequence[Tensor]) -> MaskedSide:
        """The same side with other draws."""
        return MaskedSide(self.leaves, draws, self.units)

    def select(self, keep: Tensor) -> MaskedSide:
        """This side of some of the pairs."""
        rows = [self.units.rows(i, keep) for i in range(len(self.leaves))]
        draws = [draw if draw.shape[1] == 1 else draw[:, at] for draw, at in zip(self.draws, rows, strict=True)]
        return MaskedSide(
            [leaf[:, at] for leaf, at in zip(self.leaves, rows, strict=True)], draws, self.units.select(keep)
        )


def _taken(pool: Leaves, at: Tensor) -> Leaves:
    """Rows of each leaf; those of graphs have different numbers of them."""
    return tuple(
        leaf[at % len(leaf), None] if len(leaf) else leaf.new_zeros(len(at), 1, *leaf.shape[1:]) for leaf in pool
    )


def normal_pool(leaves: Leaves, seed: int = 0) -> Leaves:
    """Rows of standard normal numbers, the marginal of standardised features, shaped as the rows of the leaves."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(
        torch.randn(NORMAL_ROWS, *leaf.shape[1:], generator=generator, dtype=leaf.dtype).to(leaf.device)
        for leaf in leaves
    )
