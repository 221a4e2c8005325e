"""What is left of the score when only the top share of both maps is kept, or when it is dropped."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from xsiamese.metrics.metric import Metric
from xsiamese.metrics.scored import along
from xsiamese.metrics.units import Units, both_units, default_fillings
from xsiamese.pairs.batch import PairBatch
from xsiamese.result.explanation import PairExplanation


class _Share(Metric):
    """Args:
    share: of the units of each side that are on top.
    filling: see :func:`~xsiamese.metrics.units.fill_in`; None takes the mean over two that suit the input.
    seed: of the order of equal values, and of noise.
    """

    def __init__(self, share: float = 0.2, filling: str | float | None = None, seed: int = 0) -> None:
        if not 0 < share < 1:
            raise ValueError(f"share={share}: a number between 0 and 1 is needed")
        self.share, self.filling, self.seed = share, filling, seed

    def score(self, batch: PairBatch, explanation: PairExplanation, dropped: bool) -> Tensor:
        """The closeness with the top share kept, or dropped."""
        ranks = [
            one.ranks(self.seed + i) < (one.counts * self.share).round()[:, None]
            for i, one in enumerate(both_units(batch, explanation))
        ]
        keep = tuple([~top if dropped else top] for top in ranks)
        return _over_fillings(batch, (keep[0], keep[1]), self.filling, self.seed)[:, 0]


class KeepTop(_Share):
    r"""The score of only the top share of both items. High is good; in units of the score, negated if it is a
    distance.
    """

    name = "keep_top"
    formula = r"s(a_{\le p}, b_{\le p})"

    def compute(self, batch: PairBatch, explanation: PairExplanation, **options: Any) -> Tensor:
        return self.score(batch, explanation, dropped=False)


class DropTop(_Share):
    r"""The score of both items without their top share. Low is good; in units of the score, negated if it is a
    distance.
    """

    name = "drop_top"
    formula = r"s(a_{> p}, b_{> p})"
    higher_is_better = False

    def compute(self, batch: PairBatch, explanation: PairExplanation, **options: Any) -> Tensor:
        return self.score(batch, explanation, dropped=True)


class AverageDrop(Metric):
    r"""By what share the score falls when both items are multiplied with their maps (:cite:`chattopadhay2018`).

    Maps lose their negative part and are scaled to a maximum of 1; the rest is filled. Only for scores above zero;
    other pairs have NaN, and so have those whose maps have no positive value: with nothing kept, two items are equal,
    which would be the best of values.
    """

    name = "average_drop"
    formula = r"\max(0, s - s') / s"
    higher_is_better = False
    range = (0.0, float("inf"))
    reference = ("chattopadhay2018",)

    def __init__(self, filling: str | float | None = None, seed: int = 0) -> None:
        self.filling, self.seed = filling, seed

    def compute(self, batch: PairBatch, explanation: PairExplanation, **options: Any) -> Tensor:
        whole, masked = self._scores(batch, explanation)
        drop = (whole - masked).clamp(min=0) / whole
        return torch.where(whole > 0, drop, torch.nan)

    def _scores(self, batch: PairBatch, explanation: PairExplanation) -> tuple[Tensor, Tensor]:
        units = both_units(batch, explanation)
        keep = tuple([torch.ones_like(one.values), _soft(one)] for one in units)
        scores = _over_fillings(batch, (keep[0], keep[1]), self.filling, self.seed)
        kept = torch.stack([one.sum(1) for _, one in keep]).sum(0) > 0
        return scores[:, 0], torch.where(kept.to(scores.device), scores[:, 1], torch.nan)


class AverageIncrease(AverageDrop):
    r"""How often the score rises when both items are multiplied with their maps: 1 or 0 a pair, NaN where the maps have
    no positive value.
    """

    name = "average_increase"
    formula = r"[s' > s]"
    higher_is_better = True
    range = (0.0, 1.0)

    def compute(self, batch: PairBatch, explanation: PairExplanation, **options: Any) -> Tensor:
        whole, masked = self._scores(batch, explanation)
        return torch.where(masked.isnan(), torch.nan, (masked > whole).to(whole))


def _over_fillings(batch: PairBatch, keep: tuple[list[Tensor], list[Tensor]], filling: Any, seed: int) -> Tensor:
    fillings = default_fillings(batch) if filling is None else (filling,)
    return torch.stack([along(batch, keep, one, seed) for one in fillings]).mean(0)


def _soft(units: Units) -> Tensor:
    values = units.values.clamp(min=0).masked_fill(~units.real, 0)
    highest = values.amax(1, keepdim=True)
    return values / torch.where(highest > 0, highest, torch.ones_like(highest))
