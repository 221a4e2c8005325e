"""Decisions: the threshold on a model's score that calls a pair alike, found on labelled pairs."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Any, Literal

import torch
from torch import Tensor

from xsiamese.branches.intact import intact
from xsiamese.door.arguments import check
from xsiamese.kinds.inputs import two_sides
from xsiamese.kinds.side import Side
from xsiamese.model.pair import PairModel, SiameseModel, TwoInputModel
from xsiamese.model.wrapped import pair_model
from xsiamese.pairs.labels import pair_labels
from xsiamese.pairs.objective import check_fit, needed

Method = Literal["eer", "far", "accuracy"]
FAR = 0.01


@dataclass(frozen=True)
class Calibration:
    """A decision threshold and what it costs on the pairs that it was found on.

    Attributes:
        threshold: in the units of the score, unclamped.
        method: how it was chosen.
        eer: the equal error rate, in [0, 1]: where as many different pairs are accepted as same ones are rejected.
        accuracy: the share of all pairs that the threshold calls right.
        far: the false acceptance rate at the threshold: different pairs called alike, as a share of all different ones.
        frr: the false rejection rate at the threshold: same pairs called different, as a share of all same ones.
        same, different: how many pairs of each there were.
        higher_is_closer: whether a pair is called alike at or above the threshold (True) or at or below it.
    """

    threshold: float
    method: str
    eer: float
    accuracy: float
    far: float
    frr: float
    same: int
    different: int
    higher_is_closer: bool

    @property
    def far_interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval of the false acceptance rate, pairs taken as independent."""
        return wilson(round(self.far * self.different), self.different)

    @property
    def frr_interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval of the false rejection rate, pairs taken as independent."""
        return wilson(round(self.frr * self.same), self.same)

    def __str__(self) -> str:
        sign = ">=" if self.higher_is_closer else "<="
        rates = f"accuracy {self.accuracy:.1%}, FAR {self.far:.1%}, FRR {self.frr:.1%}, EER {self.eer:.1%}"
        return (
            f"alike if score {sign} {self.threshold:.4g} ({self.method}): {rates} on {self.same} same and "
            f"{self.different} different pairs"
        )


def calibrate(
    model: Callable[..., Any],
    a: Any,
    b: Any,
    same: Tensor,
    *,
    method: Method = "eer",
    far: float = FAR,
    internal_batch_size: int = 256,
) -> Calibration:
    r"""Finds the threshold :math:`\tau` of a model's score on labelled pairs and sets it as
    ``model.comparison.threshold_``.

    A pair is called alike if :math:`s \ge \tau` for a similarity and :math:`s \le \tau` for a distance. The score is
    the unclamped one, that explanations and counterfactuals are about. :math:`\tau` lies midway between two
    neighbouring scores, in the widest gap where several do equally well. Checkpoints keep it.

    Args:
        model: a :class:`~xsiamese.SiameseModel`, or any two-input module or callable. A callable has no comparison to
            keep the threshold:
            take it from the result.
        a, b: the two sides of the pairs, as every explainer takes them.
        same: which pairs are the same, shape (pairs,), boolean or 0 and 1.
        method: "eer" makes both error rates equal; "far" keeps the false acceptance rate at or below ``far`` and
            accepts as many same pairs as that allows; "accuracy" calls the most pairs right.
        far: the share of different pairs that may be called alike, in [0, 1), for ``method="far"``.
        internal_batch_size: the most pairs in one forward pass.

    Returns:
        The threshold with its error rates.

    Raises:
        ValueError: if the labels do not fit the pairs, are all alike, or the model does not give one score per pair.

    Example:
        >>> from xsiamese import SiameseModel
        >>> model = SiameseModel(torch.nn.Identity(), "euclidean")
        >>> a, b = torch.zeros(4, 1), torch.tensor([[1.0], [2.0], [4.0], [5.0]])
        >>> calibrate(model, a, b, torch.tensor([True, True, False, False])).threshold
        3.0
        >>> model.comparison.threshold_
        3.0
    """
    pair = pair_model(model)
    sides = two_sides(pair.taken((a, b)))
    check_fit(pair, sides)
    labels = _of_both_kinds(pair_labels("same", same, sides[0].pairs))
    check(calibrate, {"method": method, "far": far, "internal_batch_size": internal_batch_size})
    if not 0 <= far < 1:
        raise ValueError(f"far={far}: a share in [0, 1) is needed")
    if far != FAR and method != "far":
        raise ValueError(f"far={far} is for method='far', and this is method={method!r}: leave it out")
    scores = _scores(pair, sides, internal_batch_size).cpu()
    closeness = pair.closeness(scores).double()
    if method == "far" and 0 < far < 1 / int((~labels).sum()):
        warnings.warn(
            f"far={far:g} cannot be measured on {int((~labels).sum())} different pairs: the threshold accepts none "
            "of them",
            stacklevel=2,
        )
    cut, eer = _cut(closeness, labels, method, far)
    threshold = pair.closeness(cut)
    if isinstance(pair, (SiameseModel, TwoInputModel)) and pair.comparison is not None:
        pair.comparison.threshold_ = threshold
    alike = pair.decision(threshold).alike(closeness)
    return Calibration(
        threshold=threshold,
        method=method,
        eer=eer,
        accuracy=_share(alike == labels),
        far=_share(alike[~labels]),
        frr=_share(~alike[labels]),
        same=int(labels.sum()),
        different=int((~labels).sum()),
        higher_is_closer=pair.higher_is_closer,
    )


def equal_error_rate(closeness: Tensor, same: Tensor) -> tuple[float, float]:
    """The error rate where as many different pairs are accepted as same ones are rejected, and the least closeness
    that is called alike there.

    Of all thresholds that lie between two neighbouring values, or beyond all of them, those count at which both rates
    are nearest to each other; the rate is the mean of the two where that is least.

    Args:
        closeness: shape (pairs,), larger for closer.
        same: which pairs are the same, shape (pairs,), boolean, of both kinds.

    Example:
        >>> equal_error_rate(torch.tensor([0.0, 1.0, 2.0, 3.0]), torch.tensor([True, False, False, True]))[0]
        0.5
    """
    cut, rate = _cut(closeness.double(), same, "eer", 0.0)
    return rate, cut


def wilson(errors: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    r"""The score interval of a rate (:cite:`wilson1927`), which keeps its level for few trials and rates near 0.

    .. math:: \frac{p + z^2 / 2n \pm z \sqrt{p (1 - p) / n + z^2 / 4n^2}}{1 + z^2 / n}

    Args:
        errors, trials: the rate is p = errors / trials, n = trials.
        z: 1.96 for a level of 95 %.

    Example:
        >>> [round(limit, 3) for limit in wilson(0, 28)]
        [0.0, 0.121]
    """
    rate, more = errors / trials, z * z / trials
    half = z * sqrt(rate * (1 - rate) / trials + more / (4 * trials))
    low, high = ((rate + more / 2 + sign * half) / (1 + more) for sign in (-1, 1))
    return max(low, 0.0), min(high, 1.0)


def supported(trials: int) -> float:
    """The least error rate that so many pairs can support: with a higher one, all of them come out right in less than
    5 % of all cases, by the rule of three (:cite:`hanley1983`), 3 / n.

    Example:
        >>> f"{supported(28):.0%}"
        '11%'
    """
    return min(3 / trials, 1.0)


def _cut(closeness: Tensor, labels: Tensor, method: Method, far: float) -> tuple[float, float]:
    """The least closeness that is called alike, and the equal error rate."""
    values = torch.unique(closeness)
    beyond = torch.maximum(values[-1:] + 1, values[-1:].nextafter(values.new_tensor(torch.inf)))
    edges = torch.cat([values[:1] - 1, values, beyond])
    cuts, gaps = (edges[1:] + edges[:-1]) / 2, edges.diff()
    cuts = torch.where(cuts > edges[:-1], cuts, edges[1:])  # between two neighbouring doubles there is no middle
    same, different = int(labels.sum()), int((~labels).sum())
    accepted = different - _below(closeness[~labels], cuts)
    rejected = _below(closeness[labels], cuts)
    # Rates times same * different: whole numbers, so that thresholds that do equally well are equal.
    far_of, frr_of = accepted * same, rejected * different
    apart = (far_of - frr_of).abs()
    both = torch.where(apart == apart.min(), far_of + frr_of, 2 * same * different + 1)
    if method == "eer":
        cost = both
    elif method == "far":
        cost = torch.where(accepted.double() / different <= far, rejected, same + 1)
    else:
        cost = accepted + rejected
    best = torch.where(cost == cost.min(), gaps, -1).argmax()
    return float(cuts[best]), int(both.min()) / (2 * same * different)


def _below(values: Tensor, cuts: Tensor) -> Tensor:
    """How many of ``values`` are below each cut."""
    return torch.searchsorted(values.sort().values, cuts)


def _scores(model: PairModel, sides: tuple[Side, Side], rows: int) -> Tensor:
    a, b = sides
    found = []
    with intact(model), torch.no_grad(), warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="the distance of .* is clamped"
        )  # the unclamped one is what is wanted here
        for start in range(0, a.pairs, rows):
            stop = min(start + rows, a.pairs)
            one, two = a.slice(start, stop), b.slice(start, stop)
            score = model.explained(one.rebuild(one.leaves), two.rebuild(two.leaves))
            if not isinstance(score, Tensor) or score.numel() != stop - start:
                what = tuple(score.shape) if isinstance(score, Tensor) else type(score).__name__
                raise ValueError(
                    f"the model returned {what} for {stop - start} pairs: one score per pair is needed; "
                    f"{needed(score).removesuffix(', or a callable target=')}"
                )
            found.append(score.reshape(-1))
    scores = torch.cat(found)
    if not bool(torch.isfinite(scores).all()):
        bad = (~torch.isfinite(scores)).nonzero().flatten().tolist()
        raise ValueError(
            f"the score is NaN or infinite for pair {', '.join(map(str, bad[:8]))} of {len(scores)}: leave such "
            "pairs out"
        )
    return scores


def _of_both_kinds(labels: Tensor) -> Tensor:
    if bool(labels.all()) or not bool(labels.any()):
        raise ValueError(
            f"all {len(labels)} pairs are labelled {'the same' if bool(labels.all()) else 'different'}: a threshold "
            "needs pairs of both kinds"
        )
    return labels


def _share(values: Tensor) -> float:
    return float(values.double().mean())
