"""Deletion and insertion of both sides: one order of each, and the score for every share of a and of b that is gone."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from xsiamese.metrics.metric import Curve, Metric, area
from xsiamese.metrics.scored import along, factored, surface
from xsiamese.metrics.units import Units, both_units, default_fillings
from xsiamese.pairs.batch import PairBatch
from xsiamese.result.explanation import PairExplanation

Part = Literal["volume", "diagonal", "edges"]


class _Removal(Metric):
    r"""What a deletion and an insertion have in common: the surface :math:`S(p, q)`.

    Args:
        steps: K, the number of steps; 2(K + 1) items are encoded for each pair and filling.
        part: "volume" (the mean of the surface), "diagonal" (the same share of both sides goes), or "edges" (only one
            side loses anything, the mean of both). A model that is not factored gives the mean of diagonal and edges as
            its volume.
        filling: what is put in, see :func:`~xsiamese.metrics.units.fill_in`; None takes the mean over two that suit the
            input.
        seed: of the order of equal values, and of noise.
    """

    reference = ("petsiuk2018", "samek2017")

    def __init__(
        self, steps: int = 20, part: Part = "volume", filling: str | float | None = None, seed: int = 0
    ) -> None:
        self.steps, self.part, self.filling, self.seed = steps, part, filling, seed

    def curve(self, batch: PairBatch, explanation: PairExplanation, last: bool) -> Curve:
        """The surface when the highest values go first, or last; its number is that of ``part``."""
        units = both_units(batch, explanation)
        shares = torch.linspace(0, 1, self.steps + 1, dtype=torch.float64, device=units[0].values.device)
        keep = tuple(_kept(one, shares, self.seed + side, last) for side, one in enumerate(units))
        fillings = default_fillings(batch) if self.filling is None else (self.filling,)
        found = [self._measured(batch, (keep[0], keep[1]), filling) for filling in fillings]
        values = torch.stack([value for value, _ in found]).mean(0)
        numbers = torch.stack([number for _, number in found]).mean(0)
        if explanation.unsigned:
            # a relevance does not say which way: what carries the score should move it to where nothing is left
            flat = values.flatten(1)  # first and last: everything there, and nothing
            whole, empty = flat[:, 0], flat[:, -1]
            numbers = torch.where(whole >= empty, numbers, -numbers)
        return Curve(shares, values, numbers)

    def _measured(
        self, batch: PairBatch, keep: tuple[list[Tensor], list[Tensor]], filling: Any
    ) -> tuple[Tensor, Tensor]:
        if factored(batch):
            values = surface(batch, keep, filling, self.seed)
            diagonal = values.diagonal(dim1=1, dim2=2)
            first, second = values[:, :, 0], values[:, 0, :]
            volume = area(area(values))
        else:
            whole: tuple[list[Tensor], ...] = tuple([one[0]] * len(one) for one in keep)
            values = diagonal = along(batch, keep, filling, self.seed)
            first = along(batch, (keep[0], whole[1]), filling, self.seed)
            second = along(batch, (whole[0], keep[1]), filling, self.seed)
            volume = (area(diagonal) + area(first) + area(second)) / 3
        edges = (area(first) + area(second)) / 2
        return values, {"volume": volume, "diagonal": area(diagonal), "edges": edges}[self.part]


class Deletion(_Removal):
    r"""The deletion surface: what the score becomes when the strongest places of both sides go first.

    :math:`S(p, q)` is the closeness of a without its first share p and b without its first share q, in the order of
    their maps, and the number is its mean. Low is good: what pulls together was found and is gone early. In units of
    the score.

    Example:
        >>> from xsiamese import PairSaliency, SiameseModel, measure
        >>> a, b = torch.tensor([[1.0, 2.0, 0.0]]), torch.tensor([[3.0, 1.0, 5.0]])
        >>> saliency = PairSaliency(SiameseModel(torch.nn.Identity(), "dot"))
        >>> round(measure(saliency, (a, b), [Deletion(steps=3, part="diagonal", filling="zero")])["deletion"].mean, 4)
        1.8333
    """

    name = "deletion"
    formula = r"\int_0^1 \int_0^1 S(p, q)\, dp\, dq"
    higher_is_better = False

    def compute(self, batch: PairBatch, explanation: PairExplanation, **options: Any) -> Curve:
        return self.curve(batch, explanation, last=False)


class Insertion(_Removal):
    r"""The insertion surface: what the score becomes when only the strongest places of both sides are there.

    The number is the mean of the closeness of a's first share p and b's first share q, all else filled. High is good.
    In units of the score.
    """

    name = "insertion"
    formula = r"\int_0^1 \int_0^1 s(a_{\le p}, b_{\le q})\, dp\, dq"

    def compute(self, batch: PairBatch, explanation: PairExplanation, **options: Any) -> Curve:
        found = self.curve(batch, explanation, last=True)  # by what is gone: turned round, it is by what is there
        return Curve(found.shares, found.values.flip(*range(1, found.values.dim())), found.number)


class RelevanceGain(_Removal):
    r"""Insertion less deletion: what the order of a map gains over its reverse.

    The filling's own influence is in both and falls out, so that this is the one number to compare methods by
    (:cite:`blucher2024`). A random order has 0, and reversing the maps turns the sign.
    """

    name = "relevance_gain"
    formula = r"\int\!\!\int s(a_{\le p}, b_{\le q}) - S(p, q)\, dp\, dq"
    chance = 0.0
    reference = ("blucher2024", "petsiuk2018")

    def compute(self, batch: PairBatch, explanation: PairExplanation, **options: Any) -> Curve:
        last, first = (self.curve(batch, explanation, last=last) for last in (True, False))
        return Curve(first.shares, last.values - first.values, last.number - first.number)


class VerificationDeletion(_Removal):
    r"""How well the decision still works while the strongest places go: the area between chance and the accuracy.

    The accuracy at the best threshold of all pairs, when the first share p of both sides is gone, less a half, as a
    mean over p. Low is good. Needs ``labels``, which pairs are really alike.

    Args:
        steps, filling, seed: as of :class:`Deletion`; both sides lose the same share.
        by: "accuracy", or "eer": one half less the equal error rate.
    """

    name = "verification_deletion"
    formula = r"\int_0^1 \max_\tau \mathrm{accuracy}_\tau(S(p, p)) - \tfrac12\, dp"
    higher_is_better = False
    range = (0.0, 0.5)
    needs = frozenset({"labels"})

    def __init__(
        self,
        steps: int = 20,
        filling: str | float | None = None,
        seed: int = 0,
        by: Literal["accuracy", "eer"] = "accuracy",
    ) -> None:
        super().__init__(steps, "diagonal", filling, seed)
        self.by = by

    def compute(self, batch: PairBatch, explanation: PairExplanation, **options: Any) -> Curve:
        labels: Tensor = options["labels"]
        units = both_units(batch, explanation)
        shares = torch.linspace(0, 1, self.steps + 1, dtype=torch.float64, device=units[0].values.device)
        keep = tuple(_kept(one, shares, self.seed + side, False) for side, one in enumerate(units))
        fillings = default_fillings(batch) if self.filling is None else (self.filling,)
        scores = torch.stack([along(batch, (keep[0], keep[1]), one, self.seed) for one in fillings]).mean(0)
        return Curve(shares, scores, torch.cat([labels.to(scores)[:, None], scores], 1))

    def reduce(self, numbers: Tensor) -> float:
        same, scores = numbers[:, 0] > 0.5, numbers[:, 1:]
        if bool(same.all()) or not bool(same.any()):
            raise ValueError("all pairs have one label: verification needs pairs that are alike and pairs that are not")
        above = [
            _accuracy(column, same) - 0.5 if self.by == "accuracy" else 0.5 - equal_error(column, same)
            for column in scores.T
        ]
        return float(area(torch.stack(above)))


def equal_error(scores: Tensor, same: Tensor) -> Tensor:
    """The equal error rate: the mean of both error rates where they are nearest to each other.

    Args:
        scores: of pairs, closer is higher, shape (pairs,).
        same: which of them are alike.
    """
    thresholds = torch.cat([torch.unique(scores), scores.new_tensor([torch.inf])])
    accepted = scores[None] >= thresholds[:, None]
    missed, let_in = 1 - accepted[:, same].double().mean(1), accepted[:, ~same].double().mean(1)
    at = (missed - let_in).abs().argmin()
    return (missed[at] + let_in[at]) / 2


def _accuracy(scores: Tensor, same: Tensor) -> Tensor:
    """The balanced accuracy at the best threshold."""
    right = torch.stack(
        [((scores >= t) == same).double() for t in [*torch.unique(scores), scores.new_tensor(torch.inf)]]
    )
    return ((right[:, same].mean(1) + right[:, ~same].mean(1)) / 2).max()


def _kept(units: Units, shares: Tensor, seed: int, last: bool) -> list[Tensor]:
    """What stays at each step: all but the first share of the order, or with ``last`` only the last of what went: the
    share that is gone is then the lowest one.
    """
    ranks = units.ranks(seed)
    gone = (units.counts[:, None] * shares).round()
    if last:
        return [ranks < (units.counts - gone[:, i])[:, None] for i in range(len(shares))]
    return [ranks >= gone[:, i, None] for i in range(len(shares))]
