"""Every metric by its name: ours and those that plugins bring."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from types import MappingProxyType

from xsiamese.door.registry import metrics as brought
from xsiamese.metrics.captum import Infidelity, MaxSensitivity
from xsiamese.metrics.completeness import Completeness
from xsiamese.metrics.matrices import BlockFit, MatrixAUROC, MatrixHit, OneToOne
from xsiamese.metrics.metric import Metric
from xsiamese.metrics.robustness import BatchStability, NoiseStability, ReferenceStability, SeedStability
from xsiamese.metrics.sanity import CascadingRandomisation, ConstantModel, SelfPair, Swap
from xsiamese.metrics.simplicity import EffectiveSize, Entropy, Gini
from xsiamese.metrics.specificity import MarginalAgreement, PartnerContrast, PartnerInvariance, PartnerSensitivity
from xsiamese.metrics.surface import Deletion, Insertion, RelevanceGain, VerificationDeletion
from xsiamese.metrics.topk import AverageDrop, AverageIncrease, DropTop, KeepTop
from xsiamese.metrics.truth import (
    AUROC,
    AveragePrecision,
    HitAtK,
    IoU,
    MagnitudeAUROC,
    PointingGame,
    PositiveAUROC,
)

OURS: tuple[type[Metric], ...] = (
    *(AUROC, PositiveAUROC, MagnitudeAUROC, AveragePrecision, HitAtK, PointingGame, IoU),
    *(MatrixHit, MatrixAUROC, OneToOne, BlockFit),
    *(PartnerSensitivity, PartnerContrast, PartnerInvariance, MarginalAgreement),
    *(Deletion, Insertion, RelevanceGain, KeepTop, DropTop, AverageDrop, AverageIncrease, VerificationDeletion),
    *(Completeness, Infidelity, MaxSensitivity),
    *(NoiseStability, SeedStability, ReferenceStability, BatchStability),
    *(CascadingRandomisation, SelfPair, Swap, ConstantModel),
    *(Gini, Entropy, EffectiveSize),
)


def metrics() -> Mapping[str, type[Metric]]:
    """Every metric by its name, in the order of tables.

    Raises:
        ValueError: if a plugin brings one of our names.

    Example:
        >>> "auroc" in metrics()
        True
    """
    ours = {metric.name: metric for metric in OURS}
    for name, metric in brought().items():
        if name in ours and ours[name] is not metric:
            raise ValueError(f"a plugin brings a metric {name!r}, and there is one already: it must be renamed")
        ours[name] = metric
    return MappingProxyType(ours)


def made(spec: str | Metric | type[Metric]) -> Metric:
    """A metric from its name, its class, or itself.

    Raises:
        TypeError: if it is something else.
        ValueError: if there is none of that name, with the nearest.
    """
    if isinstance(spec, Metric):
        return spec
    if isinstance(spec, type) and issubclass(spec, Metric):
        return spec()
    if not isinstance(spec, str):
        raise TypeError(f"{spec!r} is no metric: a name, a Metric or its class is needed")
    known = metrics()
    if spec not in known:
        near = get_close_matches(spec.lower().replace("-", "_"), known, n=2)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"there are {', '.join(known)}"
        raise ValueError(f"no metric is called {spec!r}; {hint}")
    return known[spec]()


def chosen(metrics_: str | Iterable[str | Metric | type[Metric]] | Metric | type[Metric]) -> list[Metric]:
    """Metrics from a list, one of them, or "all".

    Raises:
        ValueError: if there is none, or two have one name.
    """
    specs: list[str | Metric | type[Metric]]
    if isinstance(metrics_, (str, Metric, type)):
        specs = [*metrics()] if metrics_ == "all" else [metrics_]
    elif isinstance(metrics_, Iterable):
        specs = list(metrics_)
    else:
        specs = [metrics_]  # which is told below
    if not specs:
        raise ValueError("no metric is named: give some, or 'all'")
    found = [made(spec) for spec in specs]
    names = [metric.name for metric in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two metrics are called {twice[0]!r}: give one of them a name of its own")
    return found
