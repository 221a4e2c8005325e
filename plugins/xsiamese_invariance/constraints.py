"""How a local mask is held to the invariance: a ball around its profile, its order, or the profile's divergence as a
price.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


class Constraint(Protocol):
    """Functions :math:`g(\\theta) \\le 0` of the logits of each pair's masks."""

    @property
    def names(self) -> tuple[str, ...]:
        """What each constraint is called."""

    def values(self, theta: Tensor) -> Tensor:
        """g of each pair, shape (pairs, constraints)."""

    def pull(self, theta: Tensor, multipliers: Tensor) -> Tensor:
        """The gradient of the sum of multipliers times g in the logits, shaped as they are."""

    def select(self, keep: Tensor) -> Constraint:
        """The constraints of some of the pairs."""


@dataclass(frozen=True)
class Profile:
    r""":math:`KL(p_M \| p_m)` of the masks' profiles :math:`p = m / \sum_i m_i`: which units count, whatever the mask's
    size.

    Attributes:
        target: :math:`p_M`, shape (pairs, units); units with 0 do not belong to the pair.
        where: which logits are the mask's.
    """

    target: Tensor
    where: slice

    @classmethod
    def of(cls, mask: Tensor, where: slice) -> Profile:
        """The profile of an invariance's masks, one row a pair."""
        return cls(mask / mask.sum(1, keepdim=True), where)

    def divergence(self, theta: Tensor) -> Tensor:
        """In nats, shape (pairs,)."""
        own = theta[:, self.where]
        logs = logsigmoid(own)
        size = torch.where(self.target > 0, own.sigmoid(), 0).sum(1)
        found: Tensor = (torch.special.xlogy(self.target, self.target) - self.target * logs).sum(1) + size.log()
        return found

    def slope(self, theta: Tensor, weights: Tensor) -> Tensor:
        r"""Weights times its derivative in the logits, :math:`(1 - m_i) (p_i - p_{M,i})`, shape (pairs, units)."""
        mask = theta[:, self.where].sigmoid()
        kept = torch.where(self.target > 0, mask, 0)
        return weights[:, None] * (1 - mask) * (kept / kept.sum(1, keepdim=True) - self.target)

    def select(self, keep: Tensor) -> Profile:
        return Profile(self.target[keep], self.where)


@dataclass(frozen=True)
class Ball:
    r""":math:`KL(p_M \| p_m) \le \epsilon`: the local profile stays near the invariant one."""

    profile: Profile
    radius: float
    names: tuple[str, ...] = ("ball",)

    def values(self, theta: Tensor) -> Tensor:
        return (self.profile.divergence(theta) - self.radius)[:, None]

    def pull(self, theta: Tensor, multipliers: Tensor) -> Tensor:
        found = torch.zeros_like(theta)
        found[:, self.profile.where] = self.profile.slope(theta, multipliers[:, 0])
        return found

    def select(self, keep: Tensor) -> Ball:
        return Ball(self.profile.select(keep), self.radius, self.names)


@dataclass(frozen=True)
class Order:
    r""":math:`m_j + \xi \le m_i` for units i above j in the invariance.

    Attributes:
        above, below: the units i and j of each constraint, as places among the logits, shape (pairs, constraints).
        margin: :math:`\xi`.
    """

    above: Tensor
    below: Tensor
    margin: float

    @property
    def names(self) -> tuple[str, ...]:
        same = bool((self.above == self.above[:1]).all() and (self.below == self.below[:1]).all())
        pairs = zip(self.above[0].tolist(), self.below[0].tolist(), strict=True)
        return (
            tuple(f"{i} above {j}" for i, j in pairs)
            if same
            else tuple(f"order {i}" for i in range(self.above.shape[1]))
        )

    @classmethod
    def of(cls, mask: Tensor, where: slice, top: int, margin: float) -> Order:
        """The 2 k - 1 neighbouring pairs around the k-th unit of an invariance: each of the first k - 1 above it, and
        it above the k next.
        """
        ranked = mask.argsort(dim=1, descending=True, stable=True) + where.start
        last = int((mask > 0).sum(1).min())
        if not 1 <= top < last:
            raise ValueError(f"top={top}: the order of the first k units needs 1 <= k < {last}, the units there are")
        kth = ranked[:, top - 1 : top]
        after = ranked[:, top : min(2 * top, last)]
        above = torch.cat([ranked[:, : top - 1], kth.expand_as(after)], 1)
        return cls(above, torch.cat([kth.expand(-1, top - 1), after], 1), margin)

    def values(self, theta: Tensor) -> Tensor:
        mask = theta.sigmoid()
        return mask.gather(1, self.below) - mask.gather(1, self.above) + self.margin

    def pull(self, theta: Tensor, multipliers: Tensor) -> Tensor:
        mask = theta.sigmoid()
        # a unit stands in several constraints, above in some and below in others: its slopes add up
        found = (
            torch.zeros_like(theta).scatter_add_(1, self.below, multipliers).scatter_add_(1, self.above, -multipliers)
        )
        return found * mask * (1 - mask)

    def select(self, keep: Tensor) -> Order:
        return Order(self.above[keep], self.below[keep], self.margin)


@dataclass(frozen=True)
class Several:
    """Constraints of several kinds or sides, or none, as one."""

    parts: Sequence[Constraint] = ()

    @property
    def names(self) -> tuple[str, ...]:
        sides = [f"{'qr'[side]}: " if len(self.parts) > 1 else "" for side in range(len(self.parts))]
        return tuple(side + name for side, part in zip(sides, self.parts, strict=True) for name in part.names)

    def values(self, theta: Tensor) -> Tensor:
        return (
            torch.cat([part.values(theta) for part in self.parts], 1) if self.parts else theta.new_zeros(len(theta), 0)
        )

    def pull(self, theta: Tensor, multipliers: Tensor) -> Tensor:
        found, start = torch.zeros_like(theta), 0
        for part in self.parts:
            found += part.pull(theta, multipliers[:, start : (start := start + len(part.names))])
        return found

    def select(self, keep: Tensor) -> Several:
        return Several([part.select(keep) for part in self.parts])
