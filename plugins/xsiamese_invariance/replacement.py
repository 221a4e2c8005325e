"""What comes in place of removed features: rows of a pool, the same for both sides in half of the draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from xsiamese.inputs import Leaves
from xsiamese_invariance.units import Units

Kind = Literal["mixed", "shared", "independent", "zeros"]
NORMAL_ROWS = 256


@dataclass(frozen=True)
class Replacement:
    r"""Draws values for what a mask removes.

    A comparison makes the choice decisive. If both sides lose a feature and get the same value for it, they become alike, so that "alike" is
    explained by the empty mask; if they get different values they become different, so that "different" is. "mixed" does each in half of the
    draws, so that neither verdict is free. Where only one side is masked, "the same value" is the other side's own, if the two have one shape.

    Different values come as (z, z') and (z', z), so that swapping the sides swaps the masks.

    Attributes:
        kind: "mixed", "shared", "independent" or "zeros".
        pools: rows to draw from, for each masked side, one tensor a leaf; two sides of one shape have one pool.
    """

    kind: Kind
    pools: tuple[Leaves, ...]

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"replacement={self.kind!r}: one of {', '.join(get_args(Kind))} is needed")

    def draw(self, count: int, generator: torch.Generator, partners: Leaves | None = None) -> list[Leaves]:
        """``count`` rows for each masked side, each leaf of shape (count, 1 or pairs, ...).

        Args:
            count: how many.
            generator: what to draw with.
            partners: the leaves (1 or count, pairs, ...) of the other side, where one side is masked and the two have one shape.
        """
        if self.kind == "zeros":
            return [tuple(leaf.new_zeros(count, 1, *leaf.shape[1:]) for leaf in pool) for pool in self.pools]
        device = self.pools[0][0].device
        alike = [leaf.shape for leaf in self.pools[0]] == [leaf.shape for leaf in self.pools[-1]] if len(self.pools) > 1 else partners is not None
        twins = count // (4 if self.kind == "mixed" else 2) if self.kind != "shared" else 0
        same = count - 2 * twins  # what is not drawn in twins is shared
        if not alike:
            if self.kind == "shared":
                raise ValueError("replacement='shared' needs two sides of one shape: 'independent' draws for each by itself")
            places = [torch.randint(len(pool[0]), (count,), generator=generator).to(device) for pool in self.pools]
            return [tuple(leaf[at, None] for leaf in pool) for pool, at in zip(self.pools, places, strict=True)]
        rows = len(self.pools[0][0])
        first = torch.randint(rows, (same + twins,), generator=generator)
        other = (first[same:] + torch.randint(1, max(2, rows), (twins,), generator=generator)) % rows
        at = torch.cat([first, other]).to(device)
        if partners is not None:
            pool = self.pools[0]
            drawn = tuple(leaf[at, None].expand(-1, *p.shape[1:]).clone() for leaf, p in zip(pool, partners, strict=True))
            for leaf, partner in zip(drawn, partners, strict=True):
                leaf[:same] = partner[:same] if len(partner) > 1 else partner
            return [drawn]
        back = torch.cat([first[:same], other, first[same:]]).to(device)
        return [tuple(leaf[at, None] for leaf in self.pools[0]), tuple(leaf[back, None] for leaf in self.pools[0])]


class MaskedSide:
    """One side of some pairs with part of its features replaced, for all draws at once: :math:`z + m \\odot (x - z)`.

    Args:
        leaves: the features, each (1 or draws, pairs, ...).
        draws: what replaces them, each (draws, 1 or pairs, ...).
        units: which unit each feature belongs to.
    """

    def __init__(self, leaves: Sequence[Tensor], draws: Sequence[Tensor], units: Units) -> None:
        self.leaves, self.draws, self.units = tuple(leaves), tuple(draws), units
        self.difference = [leaf - draw for leaf, draw in zip(leaves, draws, strict=True)]

    def replaced(self, mask: Tensor) -> list[Tensor]:
        """What the model takes: each leaf of shape (draws x pairs, ...), all pairs with the first draw, then all with the second."""
        kept = self.units.expand(mask)
        return [torch.addcmul(z, m[None], d).flatten(0, 1) for z, m, d in zip(self.draws, kept, self.difference, strict=True)]

    def pull(self, slopes: Sequence[Tensor]) -> Tensor:
        """The gradient in the mask, (pairs, units), from those in what :meth:`replaced` gave."""
        return self.units.gather([(g.view_as(d) * d).sum(0) for g, d in zip(slopes, self.difference, strict=True)])

    def redrawn(self, draws: Sequence[Tensor]) -> MaskedSide:
        """The same side with other draws."""
        return MaskedSide(self.leaves, draws, self.units)

    def select(self, keep: Tensor) -> MaskedSide:
        """This side of some of the pairs."""
        draws = [draw if draw.shape[1] == 1 else draw[:, keep] for draw in self.draws]
        return MaskedSide([leaf[:, keep] for leaf in self.leaves], draws, self.units.select(keep))


def normal_pool(leaves: Leaves, seed: int = 0) -> Leaves:
    """Rows of standard normal numbers, the marginal of standardised features, shaped as the rows of the leaves."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(NORMAL_ROWS, *leaf.shape[1:], generator=generator, dtype=leaf.dtype).to(leaf.device) for leaf in leaves)
