"""Measures an explainer: explains pairs, and asks metrics how good the explanations are."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xsiamese.branches.intact import intact
from xsiamese.data.planted import PlantedPairs
from xsiamese.door.arguments import check, shown
from xsiamese.explain.attribution import PairAttribution
from xsiamese.explain.auto import check_explainer
from xsiamese.explain.request import Request
from xsiamese.kinds.side import SIDES
from xsiamese.metrics.catalogue import chosen
from xsiamese.metrics.matrices import has_matrix
from xsiamese.metrics.metric import Curve, Metric, number
from xsiamese.metrics.recipe import Recipe
from xsiamese.pairs.batch import PairBatch
from xsiamese.pairs.labels import pair_labels
from xsiamese.result.explanation import PairExplanation
from xsiamese.result.matrices import MatrixExplanation


@dataclass(frozen=True)
class Measured:
    """What one metric says.

    Attributes:
        metric: the metric.
        values: the number of each pair, NaN where it is not defined.
        mean: of all pairs (or what the metric makes of them instead).
        low, high: the 95 % interval of that, by resampling the pairs.
        curve: what was measured on the way, or None.
        error: why there is no number, or "".
    """

    metric: Metric
    values: Tensor
    mean: float
    low: float
    high: float
    curve: Curve | None = None
    error: str = ""

    @property
    def defined(self) -> int:
        """How many pairs have a number."""
        return int((~self.values.reshape(len(self.values), -1).isnan().any(1)).sum()) if len(self.values) else 0


@dataclass(frozen=True)
class Measurement(Mapping[str, Measured]):
    """What all metrics say of one explainer, by their names.

    Attributes:
        explanation: what was measured.
        found: by metric.
        seconds: that explaining took.
    """

    explanation: PairExplanation
    found: Mapping[str, Measured] = field(default_factory=dict)
    seconds: float = 0.0

    def __getitem__(self, name: str) -> Measured:
        return self.found[name]

    def __iter__(self) -> Any:
        return iter(self.found)

    def __len__(self) -> int:
        return len(self.found)

    def __str__(self) -> str:
        lines = [f"{self.explanation.method} on {len(self.explanation)} pairs"]
        for name, one in self.found.items():
            good = {True: "high is good", False: "low is good", None: ""}[one.metric.higher_is_better]
            said = one.error or f"{one.mean:.3f}  [{one.low:.3f}, {one.high:.3f}]  {good}".rstrip()
            lines.append(f"  {name:<22} {said}")
        return "\n".join(lines)


def measure(
    explainer: PairAttribution,
    pairs: Any,
    metrics: str | Iterable[str | Metric | type[Metric]] | Metric | type[Metric] = "all",
    *,
    truth: tuple[Any, Any] | None = None,
    partners: Any = None,
    partner_truth: Any = None,
    twins: Any = None,
    labels: Any = None,
    resamples: int = 1000,
    seed: int = 0,
    **options: Any,
) -> Measurement:
    """How good an explainer's maps of some pairs are.

    Args:
        explainer: the explainer, with its model.
        pairs: the two sides (a, b), or :class:`~xsiamese.data.planted.PlantedPairs`, which bring truth, partners, and
            twins.
        metrics: names, metrics, or "all": those that have what they need.
        truth: what the units of each side do: 1 pulls together, -1 pushes apart, 0 nothing.
        partners, partner_truth: other partners of a, which share something else with it, and what a's units do there.
        twins: partners of a that share with it what b shares.
        labels: which pairs are really alike.
        resamples: for the intervals.
        seed: of the intervals, and of what the explainer draws.
        **options: of the explainer's ``explain``.

    Raises:
        TypeError: for what is no explainer.
        ValueError: if a metric that was named needs what is not there, or cannot be had for these pairs; if there are
            no pairs, no metric, or labels or a truth that do not fit.

    Example:
        >>> from xsiamese import PairSaliency, SiameseModel, measure
        >>> pairs = torch.eye(2, 3), torch.eye(2, 3)
        >>> measure(PairSaliency(SiameseModel(torch.nn.Identity(), "dot")), pairs, ["gini"])["gini"].mean
        0.6666666666666667
    """
    check(measure, {"resamples": resamples, "seed": seed})
    options = {"seed": seed, **options}
    known = {
        "truth": truth, "partners": partners, "partner_truth": partner_truth, "twins": twins, "labels": labels,
    }  # fmt: skip
    wanted, batch, given, pairs = asked(explainer, pairs, metrics, known, options)
    with warnings.catch_warnings():
        if metrics == "all":
            warnings.simplefilter("ignore", UserWarning)
        given["explainer"] = Recipe(explainer, options)
        start = time.perf_counter()
        explanation = explainer.explain(pairs, **options)
        seconds = time.perf_counter() - start
    found = {}
    for metric in wanted:
        if said := _unsuited(metric, given, batch, explanation):
            if metrics == "all":
                continue
            raise ValueError(said)
        try:
            found[metric.name] = measured(metric, batch, explanation, given, resamples=resamples, seed=seed)
        except (ValueError, TypeError, RuntimeError, ImportError) as error:
            if metrics != "all":
                raise
            nothing = torch.full((len(explanation),), torch.nan)
            said, nan = f"{type(error).__name__}: {error}", float("nan")
            found[metric.name] = Measured(metric, nothing, nan, nan, nan, error=said)
    return Measurement(explanation, found, seconds)


def asked(
    explainer: PairAttribution,
    pairs: Any,
    metrics: str | Iterable[str | Metric | type[Metric]] | Metric | type[Metric],
    known: Mapping[str, Any],
    options: Mapping[str, Any] | None = None,
) -> tuple[list[Metric], PairBatch, dict[str, Any], Any]:
    """What :func:`measure` was asked for: metrics, the pairs as they take them, what they may need, and the two sides.

    Args:
        explainer, pairs, metrics, options: as :func:`measure` takes them.
        known: truth, partners, partner_truth, twins and labels, each None where it is not known.

    Raises:
        TypeError: for what is no explainer.
        ValueError: if a metric that was named needs what is not there, or something does not fit the pairs.
    """
    check_explainer(explainer)
    wanted, found = chosen(metrics), dict(known)
    if isinstance(pairs, PlantedPairs):
        own = {
            "truth": pairs.truth if all(map(len, pairs.truth)) else None, "labels": pairs.alike,
            "partners": pairs.others, "partner_truth": pairs.other_truth, "twins": pairs.twins,
        }  # fmt: skip
        found, pairs = {name: own[name] if found.get(name) is None else found[name] for name in own}, pairs.inputs
    batch = batch_of(explainer, pairs, options)
    given = {name: value for name, value in found.items() if value is not None}
    if "labels" in given:
        given["labels"] = pair_labels("labels", given["labels"], batch.pairs)
    _check_truth(given, batch)
    given["explainer"] = explainer
    if metrics != "all" and (said := next(filter(None, (_unsuited(one, given, batch) for one in wanted)), "")):
        raise ValueError(said)
    return wanted, batch, given, pairs


def _check_truth(given: Mapping[str, Any], batch: PairBatch) -> None:
    truth = given.get("truth")
    if truth is None:
        return
    if not isinstance(truth, (tuple, list)) or not all(isinstance(side, Tensor) for side in truth) or len(truth) != 2:
        raise ValueError(f"truth={shown(truth)}: two tensors are needed, what the units of a do and what those of b do")
    for name, side, own in zip(SIDES, truth, batch.sides, strict=True):
        if not own.ragged and len(side) != batch.pairs:
            raise ValueError(f"the truth of {name} has shape {tuple(side.shape)} for {batch.pairs} pairs")
        if not bool(torch.isfinite(side.double()).all()):
            raise ValueError(f"the truth of {name} holds NaN: 1, 0 or -1 for each unit is needed")


def measured(
    metric: Metric,
    batch: PairBatch,
    explanation: PairExplanation,
    given: Mapping[str, Any],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Measured:
    """What one metric says of an explanation, with its interval."""
    with intact(batch.model):
        result = metric.compute(batch, explanation, **given)
    values = number(result).detach().double().cpu()
    if len(values) != batch.pairs:
        raise ValueError(f"{metric.name} gave {len(values)} numbers for {batch.pairs} pairs")
    low, high = interval(metric, values, resamples, seed)
    curve = result if isinstance(result, Curve) else None
    return Measured(metric, values, metric.reduce(values), low, high, curve)


def interval(metric: Metric, values: Tensor, resamples: int = 1000, seed: int = 0) -> tuple[float, float]:
    """The 95 % interval of a metric over pairs, by resampling them with replacement (percentiles)."""
    drawn = np.random.default_rng(seed).integers(len(values), size=(resamples, len(values)))
    if type(metric).reduce is Metric.reduce:
        means = values[torch.from_numpy(drawn)].nanmean(1)
    else:
        means = torch.tensor([_reduced(metric, values[torch.from_numpy(rows)]) for rows in drawn[:200]])
    means = means[~means.isnan()]
    if not len(means):
        return float("nan"), float("nan")
    low, high = torch.quantile(means, torch.tensor([0.025, 0.975], dtype=means.dtype)).tolist()
    return low, high


def batch_of(explainer: PairAttribution, pairs: Any, options: Mapping[str, Any] | None = None) -> PairBatch:
    """The pairs as metrics take them."""
    known = {
        key: value for key, value in (options or {}).items() if key in ("target", "baselines", "wrt", "parts", "kind")
    }
    extra = (options or {}).get("additional_forward_args")
    return Request(explainer.model.taken(pairs), extra=extra, **known).batch(explainer)


def _unsuited(
    metric: Metric, given: Mapping[str, Any], batch: PairBatch, explanation: PairExplanation | None = None
) -> str:
    """Why a metric cannot be had of these pairs, or ""."""
    if (kind := batch.a.kind) not in {*metric.kinds, "tensor"}:
        return f"{metric.name} is for {', '.join(sorted(metric.kinds))}, and this is a {kind}"
    if "labels" in metric.needs and "labels" in given and len(given["labels"].unique()) < 2:
        return f"{metric.name} needs pairs that are alike and pairs that are not: all pairs have one label"
    truth = given.get("truth", ()) if "truth" in metric.needs else ()
    if truth and all(len(side.unique()) < 2 for side in truth):
        return f"{metric.name} needs units of two kinds, and all units of the truth are of one"
    if metric.needs >= {"truth", "partners"} and "partners" in given and "partner_truth" not in given:
        return f"{metric.name} needs partner_truth=, what the units of a do beside the other partners"
    whole = issubclass(given["explainer"].result, MatrixExplanation) if explanation is None else has_matrix(explanation)
    has = {*given, *(("matrix",) if whole else ())}
    if missing := sorted(metric.needs - has):
        return f"{metric.name} needs {' and '.join(missing)}: " + (
            "an explainer that gives one" if missing[0] == "matrix" else f"give {missing[0]}=, or planted pairs"
        )
    return ""


def _reduced(metric: Metric, values: Tensor) -> float:
    try:
        return metric.reduce(values)
    except ValueError:  # all of one label, by chance
        return float("nan")
