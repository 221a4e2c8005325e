"""Whether a map depends on the partner as it should: the property that makes it an explanation of a pair."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from xsiamese.metrics.metric import Metric
from xsiamese.metrics.recipe import Recipe, correlation
from xsiamese.metrics.truth import top_share, truth_of
from xsiamese.metrics.units import Units, units_of
from xsiamese.pairs.batch import PairBatch
from xsiamese.result.explanation import PairExplanation


class PartnerSensitivity(Metric):
    r"""Whether the map of a moves to what it shares with its partner: 1 if its peak is right both times, else 0.

    a holds two parts; b shares the first, ``partners`` the second. Among the units of both parts the peak of a's map
    must lie on the first beside b and on the second beside the other partner. A map that does not look at the partner
    has 0; one at random about 0.25.
    """

    name = "partner_sensitivity"
    formula = r"[\arg\max m_a(b) \in P]\,[\arg\max m_a(b') \in Q]"
    range = (0.0, 1.0)
    chance = 0.25
    needs = frozenset({"truth", "partners", "explainer"})

    def compute(self, batch: PairBatch, explanation: PairExplanation, **options: Any) -> Tensor:
        first, second, p, q = self._both(batch, explanation, options)
        hits = []
        for m, other, in_p, in_q in zip(first.values, second.values, p, q, strict=True):
            either = in_p | in_q
            if not bool(in_p.any()) or not bool(in_q.any()):
                hits.append(m.new_tensor(torch.nan))
                continue
            hits.append(top_share(m[either], in_p[either].long(), 1) * top_share(other[either], in_q[either].long(), 1))
        return torch.stack(hits)

    def _both(
        self, batch: PairBatch, explanation: PairExplanation, options: Any
    ) -> tuple[Units, Units, Tensor, Tensor]:
        """a's map beside both partners, and where the two parts are."""
        recipe: Recipe = options["explainer"]
        moved = recipe.explain((explanation.inputs[0], options["partners"]))
        first, second = (units_of(e.maps[0], batch.a, "a", e.method) for e in (explanation, moved))
        p, q = (truth_of(t, batch.a, first, "a") > 0 for t in (options["truth"][0], options["partner_truth"]))
        return first, second, p, q


class PartnerContrast(PartnerSensitivity):
    r"""How far the map of a moves to what it shares: the difference of the means on both parts, beside both partners.

    1 if all of the map is on the right part both times, -1 if on the wrong one, 0 for a map that does not look at the
    partner.
    """

    name = "partner_contrast"
    formula = r"\frac{\bar m_P(b) - \bar m_Q(b) + \bar m_Q(b') - \bar m_P(b')}{\sum |\bar m|}"
    range = (-1.0, 1.0)
    chance = 0.0

    def compute(self, batch: PairBatch, explanation: PairExplanation, **options: Any) -> Tensor:
        first, second, p, q = self._both(batch, explanation, options)
        means = [
            torch.stack([_mean(first, p), _mean(first, q)]),
            torch.stack([_mean(second, q), _mean(second, p)]),
        ]
        size = sum(m.abs().sum(0) for m in means)
        moved = sum(m[0] - m[1] for m in means)
        assert isinstance(size, Tensor)
        return torch.where(size > 0, moved / torch.where(size > 0, size, 1.0), torch.zeros_like(size))


class PartnerInvariance(Metric):
    r"""Whether the map of a stays when the partner changes in what does not matter: the correlation of both maps.

    ``twins`` are partners that share the same with a, drawn again in all else. Good only beside a high
    :class:`PartnerSensitivity`: a map that never looks at the partner stays as well.
    """

    name = "partner_invariance"
    formula = r"\mathrm{corr}(m_a(b), m_a(b''))"
    range = (-1.0, 1.0)
    needs = frozenset({"twins", "explainer"})

    def compute(self, batch: PairBatch, explanation: PairExplanation, **options: Any) -> Tensor:
        recipe: Recipe = options["explainer"]
        again = recipe.explain((explanation.inputs[0], options["twins"]))
        first, second = (units_of(e.maps[0], batch.a, "a", e.method) for e in (explanation, again))
        return correlation(first, second)


class MarginalAgreement(Metric):
    r"""Whether both maps say the same of the pair: 1 if they have one sum, 0 if their signs differ."""

    name = "marginal_agreement"
    formula = r"1 - \frac{|\sum m_a - \sum m_b|}{|\sum m_a| + |\sum m_b|}"
    range = (0.0, 1.0)

    def compute(self, batch: PairBatch, explanation: PairExplanation, **options: Any) -> Tensor:
        first, second = (
            _sum(units_of(value, side, name, explanation.method))
            for value, side, name in zip(explanation.maps, (batch.a, batch.b), "ab", strict=True)
        )
        size = first.abs() + second.abs()
        return torch.where(size > 0, 1 - (first - second).abs() / size, torch.nan)


def _mean(units: Units, part: Tensor) -> Tensor:
    """The mean of a map over a part, shape (pairs,), 0 where there is none."""
    inside = part & units.real
    return units.values.masked_fill(~inside, 0).sum(1) / inside.sum(1).clamp(min=1)


def _sum(units: Units) -> Tensor:
    return units.values.masked_fill(~units.real, 0).sum(1)
