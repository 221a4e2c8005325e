"""How few units a map says that it is about."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor

from xsiamese.metrics.metric import Metric
from xsiamese.metrics.units import Units, both_units
from xsiamese.pairs.batch import PairBatch
from xsiamese.result.explanation import PairExplanation


class _Simplicity(Metric):
    """The mean over both sides of a number of the shares of the map's size. A map of zeros counts as flat."""

    higher_is_better = None

    def compute(self, batch: PairBatch, explanation: PairExplanation, **options: Any) -> Tensor:
        first, second = (self.of(_shares(one), one.counts) for one in both_units(batch, explanation))
        return (first + second) / 2

    @abstractmethod
    def of(self, shares: Tensor, counts: Tensor) -> Tensor:
        """The number from the shares of each pair's units, which sum to 1, and how many units there are."""


class Gini(_Simplicity):
    r"""The Gini coefficient of the absolute values: 0 for a flat map, :math:`1 - 1/n` for a single unit
    (:cite:`chalasani2020`).
    """

    name = "gini"
    formula = r"1 - 2 \sum_k \frac{|m_{(k)}|}{\sum |m|} \frac{n - k + 1/2}{n}"
    range = (0.0, 1.0)
    chance = 0.0
    reference = ("chalasani2020",)

    def of(self, shares: Tensor, counts: Tensor) -> Tensor:
        # ascending with the padding first: it adds nothing, and the k-th real unit from the top has n - k + 1/2 = place
        rising = shares.sort(1).values
        place = torch.arange(shares.shape[1], 0, -1, dtype=shares.dtype, device=shares.device) - 0.5
        return 1 - 2 * (rising * place).sum(1) / counts


class Entropy(_Simplicity):
    r"""The entropy of the absolute values in nats: 0 for a single unit, :math:`\ln n` for a flat map
    (:cite:`bhatt2020`).
    """

    name = "entropy"
    formula = r"-\sum_k p_k \ln p_k, \quad p_k = |m_k| / \sum |m|"
    range = (0.0, float("inf"))
    reference = ("bhatt2020",)

    def of(self, shares: Tensor, counts: Tensor) -> Tensor:
        found: Tensor = torch.special.entr(shares).sum(1)
        return found


class EffectiveSize(Entropy):
    r"""How many units the map is spread over, the exponential of its entropy."""

    name = "effective_size"
    formula = r"\exp\left(-\sum_k p_k \ln p_k\right)"
    range = (1.0, float("inf"))

    def of(self, shares: Tensor, counts: Tensor) -> Tensor:
        return super().of(shares, counts).exp()


def _shares(units: Units) -> Tensor:
    size = units.values.masked_fill(~units.real, 0).abs()
    total = size.sum(1, keepdim=True)
    flat = units.real.double() / units.counts[:, None]
    return torch.where(total > 0, size / torch.where(total > 0, total, torch.ones_like(total)), flat)
