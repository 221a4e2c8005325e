"""The contract of metrics: ours keep it, and broken ones are told what is wrong."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from xsiamese.author import Metric, hookimpl
from xsiamese.door.registry import registry
from xsiamese.metrics.catalogue import OURS, metrics
from xsiamese.metrics.simplicity import Gini
from xsiamese.testing import ContractError, check_metric

QUICK = ("auroc", "iou", "matrix_auroc", "partner_contrast", "marginal_agreement", "drop_top", "entropy", "swap")


@pytest.mark.parametrize("metric", [m for m in OURS if m.name in QUICK], ids=lambda m: m.name)
def test_ours_keep_it(metric: type[Metric]) -> None:
    check_metric(metric)


@pytest.mark.parametrize("metric", OURS, ids=lambda m: m.name)
def test_every_metric_says_what_it_is(metric: type[Metric]) -> None:
    assert metric.formula
    assert len(metric.__doc__ or "") > 60
    assert metric.kinds


class Good(Metric):
    """The largest value of the map of a."""

    name = "good"

    def compute(self, batch: Any, explanation: Any, **options: Any) -> Tensor:
        found: Tensor = explanation.maps[0].flatten(1).amax(1)
        return found


class Whole(Good):
    """One number for all pairs."""

    def compute(self, batch: Any, explanation: Any, **options: Any) -> Tensor:
        return explanation.maps[0].mean()[None]


class OutOfRange(Good):
    """Says a range that it does not keep."""

    range: ClassVar[tuple[float, float]] = (-2.0, -1.0)


class OfTheBatch(Good):
    """Scaled by the other pairs."""

    def compute(self, batch: Any, explanation: Any, **options: Any) -> Tensor:
        found = super().compute(batch, explanation)
        return found / found.sum()


class Drawn(Good):
    """Random, without a seed."""

    def compute(self, batch: Any, explanation: Any, **options: Any) -> Tensor:
        return torch.rand(len(explanation))


class Meddling(Good):
    """Changes the model."""

    def compute(self, batch: Any, explanation: Any, **options: Any) -> Tensor:
        with torch.no_grad():
            next(batch.model.parameters()).add_(1)
        return super().compute(batch, explanation)


class Bare(Good):
    name = ""


class Backwards(Good):
    """Has an empty range."""

    range: ClassVar[tuple[float, float]] = (1.0, 0.0)


class Lucky(Good):
    """Has by chance what it cannot have."""

    range: ClassVar[tuple[float, float]] = (0.0, 100.0)
    chance: ClassVar[float | None] = -0.5


class Counts(Good):
    """Counts in whole numbers."""

    def compute(self, batch: Any, explanation: Any, **options: Any) -> Tensor:
        return super().compute(batch, explanation).long()


class Sly(Good):
    """Changes the model behind the back of autograd."""

    def compute(self, batch: Any, explanation: Any, **options: Any) -> Tensor:
        next(batch.model.parameters()).data.add_(1)
        return super().compute(batch, explanation)


def test_a_good_one_passes() -> None:
    check_metric(Good())


@pytest.mark.parametrize(
    ("metric", "says"),
    [
        (Whole, r"shape and range: gave \(1,\) for 3 pairs"),
        (Bare, "described: has no name and no __doc__$"),
        (Backwards, "described: its range is from 1.0 to 0.0\n"),
        (Lucky, "described: chance, -0.5, is out of its range, 0.0 to 100.0$"),
        (Counts, "gave torch.int64: floating point numbers are needed, NaN for what is not defined$"),
        (Sly, "leaves the model: changed the model's encoder.0.weight$"),
        (OutOfRange, "out of its range"),
        (OfTheBatch, "in a batch and"),
        (Drawn, "draw from a generator with a seed"),
        (Meddling, "was written to while the model was explained"),
    ],
)
def test_a_broken_one_is_told_what_is_wrong(metric: type[Metric], says: str) -> None:
    with pytest.raises(ContractError, match=says):
        check_metric(metric)


def test_a_plugin_brings_metrics() -> None:
    class Plugin:
        @staticmethod
        @hookimpl
        def xsiamese_metrics() -> tuple[type[Metric], ...]:
            return (Good,)

    registry.manager.register(Plugin, name="captum-test")
    registry.plugins["captum-test"] = registry.plugins["captum"]
    try:
        assert metrics()["good"] is Good
        Good.name = Gini.name
        with pytest.raises(ValueError, match="there is one already"):
            metrics()
    finally:
        Good.name = "good"
        registry.manager.unregister(name="captum-test")
        del registry.plugins["captum-test"]
