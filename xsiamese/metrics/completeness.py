"""Whether the maps sum to what they should."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from xsiamese.metrics.metric import Metric
from xsiamese.metrics.units import Units, both_units
from xsiamese.pairs.batch import PairBatch
from xsiamese.result.explanation import PairExplanation


class Completeness(Metric):
    r"""By how much the sum of both maps misses the change of the value from the baselines, relative to that change.

    Taken from the explanation's own delta where it has one, for it knows the baselines; else the baselines are those of
    the batch, zeros. NaN for relevances that have no sign. 0 is exact; a map of zeros has 1.
    """

    name = "completeness"
    formula = r"\frac{|\sum m_a + \sum m_b - (F(a, b) - F(a_0, b_0))|}{|F(a, b) - F(a_0, b_0)|}"
    higher_is_better = False
    range = (0.0, float("inf"))
    reference = ("sundararajan2017",)

    @torch.no_grad()
    def compute(self, batch: PairBatch, explanation: PairExplanation, **options: Any) -> Tensor:
        if explanation.unsigned:
            return torch.full((batch.pairs,), torch.nan)
        first, second = (_total(one) for one in both_units(batch, explanation))
        total = first + second
        if explanation.delta is not None:
            missed = explanation.delta.detach().to(total)
            change = total - missed
        else:
            change = (batch.value() - batch.value(*batch.moved_baselines)).to(total)
            missed = total - change
        return torch.where(change != 0, missed.abs() / change.abs(), torch.where(missed == 0, 0.0, torch.nan))


def _total(units: Units) -> Tensor:
    return units.values.masked_fill(~units.real, 0).sum(1)
