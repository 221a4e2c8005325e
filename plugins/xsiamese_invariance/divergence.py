"""How far a score with features replaced is from the score of the pair itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from xsiamese.author import Cosine, PairModel

Divergence = Literal["auto", "kl", "squared", "probability"]


class Measure(Protocol):
    """A divergence of scores (draws, pairs) from the pairs' own (1 or draws, pairs): its values, and its derivative in
    the former.
    """

    def value(self, own: Tensor, changed: Tensor) -> Tensor: ...

    def slope(self, own: Tensor, changed: Tensor) -> Tensor: ...

    def select(self, keep: Tensor) -> Measure: ...


@dataclass(frozen=True)
class BernoulliKL:
    r"""Scores are logits: :math:`KL(\mathrm{Bern}(\sigma(s)) \,\|\, \mathrm{Bern}(\sigma(s')))` in nats, from the
    logits themselves.

    Example:
        >>> own = torch.zeros(1, 1)
        >>> BernoulliKL().value(own, own).item(), round(BernoulliKL().value(own, own + 2).item(), 3)
        (0.0, 0.434)
    """

    def value(self, own: Tensor, changed: Tensor) -> Tensor:
        like = own.sigmoid()
        entropy = like * logsigmoid(own) + (1 - like) * logsigmoid(-own)
        return (entropy - logsigmoid(changed) + (1 - like) * changed).clamp_min(0)

    def slope(self, own: Tensor, changed: Tensor) -> Tensor:
        return changed.sigmoid() - own.sigmoid()

    def select(self, keep: Tensor) -> BernoulliKL:
        return self


@dataclass(frozen=True)
class ProbabilityKL:
    r"""The same for scores that are probabilities already, kept ``margin`` away from 0 and 1."""

    margin: float = 1e-6

    def value(self, own: Tensor, changed: Tensor) -> Tensor:
        return BernoulliKL().value(
            own.clamp(self.margin, 1 - self.margin).logit(), changed.clamp(self.margin, 1 - self.margin).logit()
        )

    def slope(self, own: Tensor, changed: Tensor) -> Tensor:
        inside = changed.clamp(self.margin, 1 - self.margin)
        return (inside - own.clamp(self.margin, 1 - self.margin)) / (inside * (1 - inside)) * (inside == changed)

    def select(self, keep: Tensor) -> ProbabilityKL:
        return self


@dataclass(frozen=True)
class Squared:
    r"""Scores are distances or regressions: :math:`(s - s')^2 / 2 \varsigma^2`.

    Attributes:
        scale: the scores' standard deviation :math:`\varsigma`, shape () or (pairs,).
    """

    scale: Tensor

    def value(self, own: Tensor, changed: Tensor) -> Tensor:
        return 0.5 * ((changed - own) / self.scale).square()

    def slope(self, own: Tensor, changed: Tensor) -> Tensor:
        return (changed - own) / self.scale.square()

    def select(self, keep: Tensor) -> Squared:
        return Squared(self.scale[keep]) if self.scale.dim() else self


def kind_for(divergence: str, model: PairModel, of_target: bool = False) -> str:
    """What "auto" means: "squared" for distances and the cosine, "kl" for every other score, which is taken for a
    logit: that of an unfactored model as well, whose comparison cannot be seen.

    Raises:
        ValueError: if there is no divergence of that name.
    """
    if divergence not in ("auto", "kl", "squared", "probability"):
        raise ValueError(
            f"divergence={divergence!r}: 'auto', 'kl' (scores are logits), 'probability' or 'squared' is needed"
        )
    if divergence != "auto":
        return divergence
    bounded = not model.higher_is_closer or isinstance(getattr(model, "comparison", None), Cosine)
    return "squared" if bounded and not of_target else "kl"


def measure(kind: str, scale: Tensor) -> Measure:
    """The divergence of a kind; ``scale`` is that of squared differences, and 1 where the scores do not vary."""
    if kind == "squared":
        return Squared(torch.where(scale > 0, scale, torch.ones_like(scale)))
    return BernoulliKL() if kind == "kl" else ProbabilityKL()
