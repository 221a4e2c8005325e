"""Maps against a truth that is known: which units pull together (1), push apart (-1) or do nothing (0)."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor

from xsiamese.kinds.side import SIDES, Side
from xsiamese.metrics.metric import Metric
from xsiamese.metrics.units import Units, both_units, padded
from xsiamese.pairs.batch import PairBatch
from xsiamese.result.explanation import PairExplanation


class Truth(Metric):
    """The mean over the sides of a number of a map beside its truth; NaN where a side has none.

    The option ``truth`` holds the truth of each side, (pairs, units...), or one value a node or edge for graphs.
    """

    needs = frozenset({"truth"})
    range = (0.0, 1.0)

    def compute(self, batch: PairBatch, explanation: PairExplanation, **options: Any) -> Tensor:
        """The number of each pair.

        Raises:
            ValueError: if a truth does not fit its input, or no pair has units of two kinds.
        """
        sides = []
        for units, side, truth, name in zip(
            both_units(batch, explanation), (batch.a, batch.b), options["truth"], SIDES, strict=True
        ):
            known = truth_of(truth, side, units, name)
            values = units.values
            if explanation.unsigned and not bool((known > 0).any()):
                values = torch.where(units.real, -values, values)  # a relevance does not say which way a unit pulls
            sides.append(self.of(values, known, units.real))
        found = torch.stack(sides).nanmean(0)
        if bool(found.isnan().all()):
            raise ValueError(f"{self.name}: the truth of every pair has units of one kind only, and nothing to rank")
        return found

    @abstractmethod
    def of(self, values: Tensor, truth: Tensor, real: Tensor) -> Tensor:
        """The number of one side of each pair, shape (pairs,), NaN where it is not defined.

        Args:
            values: of the map, shape (pairs, units).
            truth: 1, 0 or -1, the same shape.
            real: which units are no padding.
        """


class AUROC(Truth):
    r"""The probability that of two units with different truths the one that pulls together more has the higher value.

    The area under the ROC curve where the truth has two kinds; equal values count one half, so a flat map has 0.5.
    """

    name = "auroc"
    formula = r"P(m_i > m_j \mid t_i > t_j) + \tfrac12 P(m_i = m_j \mid t_i > t_j)"
    chance = 0.5
    reference = ("fawcett2006",)

    def of(self, values: Tensor, truth: Tensor, real: Tensor) -> Tensor:
        return _per_pair(auroc, values, truth, real)


class PositiveAUROC(AUROC):
    r"""As :class:`AUROC`, of the positive part of the map against what pulls together: what is below zero does not
    count.
    """

    name = "auroc_positive"
    formula = r"\mathrm{AUROC}(\max(m, 0), t > 0)"

    def of(self, values: Tensor, truth: Tensor, real: Tensor) -> Tensor:
        return super().of(values.clamp(min=0), (truth > 0).long(), real)


class MagnitudeAUROC(AUROC):
    r"""As :class:`AUROC`, of the map's size against what has any influence: the sign does not count."""

    name = "auroc_magnitude"
    formula = r"\mathrm{AUROC}(|m|, t \ne 0)"

    def of(self, values: Tensor, truth: Tensor, real: Tensor) -> Tensor:
        return super().of(values.abs(), (truth != 0).long(), real)


class AveragePrecision(Truth):
    r"""The average precision of the map for the units that pull together, or where there are none, of its negative for
    those that push apart. Units of one value are taken in at once.
    """

    name = "average_precision"
    formula = r"\sum_k (R_k - R_{k-1}) P_k"

    def of(self, values: Tensor, truth: Tensor, real: Tensor) -> Tensor:
        return _per_pair(average_precision, *_oriented(values, truth, real), real)


class HitAtK(Truth):
    r"""The share of the k strongest units that are right; of equal values the expected share over their orders.

    Args:
        k: how many.
    """

    name = "hit_at_k"
    formula = r"\tfrac1k |\mathrm{top}_k(m) \cap \{t > 0\}|"

    def __init__(self, k: int = 5) -> None:
        self.k = k

    def of(self, values: Tensor, truth: Tensor, real: Tensor) -> Tensor:
        return _per_pair(lambda m, t: top_share(m, t, min(self.k, len(m))), *_oriented(values, truth, real), real)


class PointingGame(HitAtK):
    r"""Whether the strongest unit is right, 1 or 0 (:cite:`zhang2018`); of several equal ones the share that is."""

    name = "pointing_game"
    formula = r"[t_{\arg\max m} > 0]"
    reference = ("zhang2018",)

    def __init__(self) -> None:
        super().__init__(1)


class IoU(Truth):
    r"""The overlap of the right units with as many of the strongest ones; of equal values the expected hits count."""

    name = "iou"
    formula = r"\frac{|\mathrm{top}_n \cap T|}{|\mathrm{top}_n \cup T|}, \quad n = |T|"

    def of(self, values: Tensor, truth: Tensor, real: Tensor) -> Tensor:
        def overlap(m: Tensor, t: Tensor) -> Tensor:
            count = int(t.sum())
            hits = top_share(m, t, count) * count
            return hits / (2 * count - hits)

        return _per_pair(overlap, *_oriented(values, truth, real), real)


def auroc(values: Tensor, truth: Tensor) -> Tensor:
    """The probability that a unit of a higher truth has the higher value, for one map of (units,); equal values count
    one half; NaN if all truths are equal.

    Example:
        >>> float(auroc(torch.tensor([0.9, 0.1, 0.4]), torch.tensor([1, 0, 0])))
        1.0
    """
    right, all_of = values.new_zeros((), dtype=torch.float64), 0
    levels = torch.unique(truth)
    for i, high in enumerate(levels):
        for low in levels[:i]:
            x, y = values[truth == high].double(), values[truth == low].double().sort().values
            # among the sorted lower ones: how many are smaller, how many not larger; in their mean a tie counts half
            below = torch.searchsorted(y, x, right=False)
            not_above = torch.searchsorted(y, x, right=True)
            right = right + (below + not_above).double().sum() / 2
            all_of += len(x) * len(y)
    return right / all_of if all_of else right.new_tensor(torch.nan)


def average_precision(values: Tensor, truth: Tensor) -> Tensor:
    """The average precision for one map of (units,) and the units with truth 1; NaN if there are none, or no others.

    Example:
        >>> float(average_precision(torch.tensor([0.9, 0.8, 0.1]), torch.tensor([1, 0, 1])))
        0.8333333333333333
    """
    kinds, at = torch.unique(values, return_inverse=True)
    # by distinct value, the largest first: ties are taken at once, so that their order gives no favour
    hits = truth.new_zeros(len(kinds), dtype=torch.float64).index_add(0, at, truth.double()).flip(0)
    units = torch.zeros_like(hits).index_add(0, at, torch.ones_like(truth).double()).flip(0)
    total = hits.sum()
    if not 0 < float(total) < len(truth):
        return total.new_tensor(torch.nan)
    return (hits * hits.cumsum(0) / units.cumsum(0)).sum() / total


def top_share(values: Tensor, truth: Tensor, k: int) -> Tensor:
    """The share of the k largest of (units,) whose truth is 1, expected over the orders of equal values.

    Example:
        >>> float(top_share(torch.tensor([1.0, 1.0, 0.0]), torch.tensor([1, 0, 0]), 1))
        0.5
    """
    least = values.topk(k).values[-1]
    above, equal = values > least, values == least
    room = k - above.sum()
    hits = truth[above].double().sum() + room * truth[equal].double().mean()
    return hits / k


def truth_of(truth: Any, side: Side, units: Units, name: str) -> Tensor:
    """A truth as (pairs, units).

    Raises:
        ValueError: if it does not fit the input.
    """
    if side.ragged:
        if len(truth) != len(side.leaves[0]):
            raise ValueError(
                f"the truth of {name} has {len(truth)} values for {len(side.leaves[0])} {side.parts[0]}: one each is "
                "needed"
            )
        return padded(truth, side)[0].sign().long()
    if tuple(truth.shape[:1]) != (side.pairs,) or truth[0].numel() != units.values.shape[1]:
        raise ValueError(
            f"the truth of {name} has shape {tuple(truth.shape)} for {side.pairs} pairs of {units.values.shape[1]} "
            "units: one value a unit is needed"
        )
    known: Tensor = truth.to(units.values.device).reshape(side.pairs, -1).sign().long()
    return known


def _oriented(values: Tensor, truth: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """Maps and truths with what is to be found above: what pulls together, or where there is nothing, what pushes
    apart.
    """
    apart = ~((truth > 0) & real).any(1, keepdim=True)
    return torch.where(apart, -values, values), torch.where(apart, truth < 0, truth > 0).long()


def _per_pair(of: Any, values: Tensor, truth: Tensor, real: Tensor) -> Tensor:
    """A number of each pair's own units; NaN where the truth is all one kind."""
    found = []
    for m, t, r in zip(values, truth, real, strict=True):
        one_kind = len(torch.unique(t[r])) < 2
        found.append(m.new_tensor(torch.nan, dtype=torch.float64) if one_kind else of(m[r], t[r]))
    return torch.stack(found)
