"""What a mask must be: faithful to the score, and simple."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from xsiamese.author import Objective, Side
from xsiamese_invariance.constraints import Profile
from xsiamese_invariance.divergence import Measure
from xsiamese_invariance.replacement import MaskedSide
from xsiamese_invariance.simplicity import Simplicity

EMPTY = 0.1  # nats: where replacing everything changes less, the empty mask explains as well as any
SHARE = 0.5  # of what the empty mask loses: what a full one may cost


@dataclass(frozen=True)
class Argument:
    """What an objective takes besides what is masked.

    Attributes:
        value: rows of each pair, (1 or draws, rows, ...); or anything, if it is no pair's own.
        of_pairs: whether it has rows of each pair.
        leaf: the side whose rows they are, and which of its leaves; None says that row i is pair i.
    """

    value: Any
    of_pairs: bool = True
    leaf: tuple[Side, int] | None = None

    def for_draws(self, draws: int) -> Any:
        """With its rows for each draw, one draw after the other."""
        return self.value.expand(draws, *self.value.shape[1:]).flatten(0, 1) if self.of_pairs else self.value

    def select(self, keep: Tensor) -> Argument:
        """That of some of the pairs."""
        if not self.of_pairs:
            return self
        if self.leaf is None:
            return Argument(self.value[:, keep])
        side, number = self.leaf
        return Argument(self.value[:, side.rows(number, keep)], leaf=(side.select(keep), number))


@dataclass(frozen=True)
class MaskProblem:
    r""":math:`J(\theta) = k F(m) + \Omega(m)`, with :math:`m = \sigma(\theta)` and F the mean divergence over the
    draws, for each pair on its own.

    One step needs one forward and one backward pass of the model on pairs x draws rows, and nothing more: the gradient
    is taken in the replaced inputs and brought to the mask by hand.

    Attributes:
        objective: the closeness of the pairs, once for each draw, ``objective(*moved, *arguments)``.
        sides: the masked sides.
        where: which logits are the mask of each side; twice the same for a shared mask.
        own: the score to be kept, shape (1 or draws, pairs).
        measure: how far a score is from it.
        simplicity: the price of a mask.
        arguments: further arguments.
        valid: which units a pair has, shape (pairs, units), if not all have all.
        weight: :math:`k`, what a nat of divergence counts, shape (pairs,): see :meth:`balanced`. None is 1.
    """

    objective: Objective
    sides: tuple[MaskedSide, ...]
    where: tuple[slice, ...]
    own: Tensor
    measure: Measure
    simplicity: Simplicity
    arguments: tuple[Argument, ...] = ()
    valid: Tensor | None = None
    weight: Tensor | None = None

    @property
    def draws(self) -> int:
        """How many draws there are."""
        return len(self.sides[0].draws[0])

    @property
    def width(self) -> int:
        """How many logits a pair has."""
        return max(int(where.stop) for where in self.where)

    @property
    def start(self) -> Tensor:
        """Logits of masks that keep half of everything."""
        return self.own.new_zeros(self.own.shape[1], self.width)

    def mask(self, theta: Tensor) -> Tensor:
        """The masks, shape (pairs, units), with zeros for units that a pair has not."""
        return theta.sigmoid() if self.valid is None else theta.sigmoid() * self.valid

    def scores(self, mask: Tensor) -> tuple[Tensor, list[list[Tensor]]]:
        """The scores (draws, pairs) under masks, and the replaced leaves of each side."""
        moved = [side.replaced(mask[:, where]) for side, where in zip(self.sides, self.where, strict=True)]
        if torch.is_grad_enabled():
            for leaf in (leaf for leaves in moved for leaf in leaves):
                leaf.requires_grad_()
        rows = [argument.for_draws(self.draws) for argument in self.arguments]
        try:
            found = self.objective(*(leaf for leaves in moved for leaf in leaves), *rows)
        except ValueError as error:
            if "NaN or infinite" not in str(error):
                raise
            raise ValueError(
                f"features replaced by draws from the pool, row = draw x {len(mask)} + pair: {error}"
            ) from error
        return found.view(self.draws, len(mask)), moved

    def pulled(self, scores: Tensor, moved: list[list[Tensor]], weights: Tensor) -> list[Tensor]:
        """For each side the gradient in its mask of the scores times weights."""
        leaves = [leaf for side in moved for leaf in side]
        if not scores.requires_grad:
            return [weights.new_zeros(scores.shape[1], side.units.count) for side in self.sides]
        slopes = torch.autograd.grad(scores, leaves, weights.to(scores.dtype), allow_unused=True)
        known = iter(
            [torch.zeros_like(leaf) if slope is None else slope for leaf, slope in zip(leaves, slopes, strict=True)]
        )
        return [side.pull([next(known) for _ in side.leaves]) for side in self.sides]

    def value_and_slope(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """J of each pair, its gradient in the logits, and F."""
        mask = self.mask(theta)
        with torch.enable_grad():
            scores, moved = self.scores(mask)
        changed = scores.detach().to(theta.dtype)
        faithfulness = self.measure.value(self.own, changed).mean(0)
        pulled = self.pulled(scores, moved, self.measure.slope(self.own, changed) / self.draws)
        slope = torch.zeros_like(theta)
        for part, where in zip(pulled, self.where, strict=True):
            slope[:, where] += part
        weight = torch.ones_like(faithfulness) if self.weight is None else self.weight
        slope = weight[:, None] * slope * mask * (1 - mask) + self.simplicity.slope(theta, mask)
        value = weight * faithfulness + self.simplicity.value(theta, mask, self.valid)
        return value, slope, faithfulness

    def influences(self, theta: Tensor) -> Tensor:
        """Whether the score depends on anything of each side, shape (pairs, sides): whether one gradient is not exactly
        zero.
        """
        with torch.enable_grad():
            scores, moved = self.scores(self.mask(theta))
        weights = torch.ones_like(scores)
        return torch.stack([(part != 0).any(1) for part in self.pulled(scores, moved, weights)], 1)

    def divergence(self, mask: Tensor) -> Tensor:
        """F of given masks (pairs, units), soft or hard, without gradients."""
        with torch.no_grad():
            return self.measure.value(self.own, self.scores(mask)[0].to(mask.dtype)).mean(0)

    def select(self, keep: Tensor) -> MaskProblem:
        return replace(
            self,
            objective=self.objective.select(keep),
            sides=tuple(side.select(keep) for side in self.sides),
            own=self.own[:, keep],
            measure=self.measure.select(keep),
            arguments=tuple(argument.select(keep) for argument in self.arguments),
            valid=None if self.valid is None else self.valid[keep],
            weight=None if self.weight is None else self.weight[keep],
        )

    def measured(self, measure: Measure) -> MaskProblem:
        """The same problem with another divergence."""
        return replace(self, measure=measure)

    def balanced(self) -> MaskProblem:
        """The same problem with divergences that outweigh the price of many units.

        A unit's price is made for few units. All of 1,568 pixels would cost 31, and losing the score altogether half a
        nat: the empty mask would be the best one. k is what makes a full mask cost no more than half of what the empty
        one loses, at the default price, and 1 where that is so already. The divergence grows rather than the price
        shrinks, because step sizes and tolerances are made for prices of this size.
        """
        lost = self.divergence(torch.zeros_like(self.start)).clamp_min(EMPTY)
        units = self.width if self.valid is None else self.valid.sum(1)
        return replace(self, weight=(Simplicity().size * units / (SHARE * lost)).clamp_min(1).to(self.own))

    def redrawn(self, draws: Sequence[Sequence[Tensor]]) -> MaskProblem:
        """The same problem with other draws."""
        return replace(self, sides=tuple(side.redrawn(z) for side, z in zip(self.sides, draws, strict=True)))


@dataclass(frozen=True)
class Penalised:
    r""":math:`J(\theta) + \beta\, KL(p_M \| p_m)`: the unconstrained form.

    Attributes:
        problem: J.
        profiles: those that the masks are held to.
        beta: the weight of each, one number or one a pair, shape (pairs, profiles).
    """

    problem: MaskProblem
    profiles: tuple[Profile, ...]
    beta: float | Tensor

    def value_and_slope(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        value, slope, faithfulness = self.problem.value_and_slope(theta)
        beta = torch.as_tensor(self.beta, dtype=theta.dtype, device=theta.device).expand(len(theta), len(self.profiles))
        for profile, weight in zip(self.profiles, beta.unbind(1), strict=True):
            value = value + weight * profile.divergence(theta)
            slope[:, profile.where] += profile.slope(theta, weight)
        return value, slope, faithfulness

    def select(self, keep: Tensor) -> Penalised:
        beta = self.beta[keep] if isinstance(self.beta, Tensor) and self.beta.dim() else self.beta
        return Penalised(self.problem.select(keep), tuple(profile.select(keep) for profile in self.profiles), beta)

    def redrawn(self, draws: Sequence[Sequence[Tensor]]) -> Penalised:
        """The same problem with other draws."""
        return replace(self, problem=self.problem.redrawn(draws))
