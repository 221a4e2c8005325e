"""Scores that depend on the rows beside them, or on how often the model was asked, are told; ordinary models cost no
pass more.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.problems import Shared
from xsiamese import (
    Gallery,
    PairFeatureAblation,
    PairGradCAM,
    PairIntegratedGradients,
    PairMaskRegression,
    PairOcclusion,
    PairRISE,
    PairSaliency,
    SiameseModel,
)
from xsiamese.explain.beside import BesideWarning


def pair() -> tuple[Tensor, Tensor]:
    a, b = torch.randn(2, 1, 2, 10, 12, generator=torch.Generator().manual_seed(0)).double()
    return a, b


def encoder(norm: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 6, 3), norm, nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 4)
    ).double()


class Own(nn.BatchNorm2d):
    """A norm of one's own, which trains whatever it is told."""

    def forward(self, x: Tensor) -> Tensor:
        self.train()
        return super().forward(x)


class Functional(nn.Module):
    """No module tells that it looks at all rows."""

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(x, None, None, training=True)


class Counting(nn.Module):
    """A layer that adds how often it was called."""

    def __init__(self, buffer: bool) -> None:
        super().__init__()
        self.buffer, self.calls = buffer, 0
        self.many: Tensor
        self.register_buffer("many", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.many += 1
        return x + (self.many if self.buffer else self.calls)


def told(call: Callable[[], Any]) -> list[warnings.WarningMessage]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [one for one in caught if "asked" in str(one.message)]


@pytest.mark.parametrize("wrapped", [SiameseModel, Shared])
@pytest.mark.parametrize("norm", [
    nn.BatchNorm2d(6, track_running_stats=False), nn.SyncBatchNorm(6, track_running_stats=False), Own(6), Functional()
])  # fmt: skip
def test_a_norm_by_the_statistics_of_the_batch_is_told(norm: nn.Module, wrapped: Any) -> None:
    a, b = pair()
    model = wrapped(encoder(norm)).eval()
    with torch.no_grad():
        alone = float(model(a, b))
        beside = float(model(*(torch.cat([x, 10 * x, 0 * x, x]) for x in (a, b)))[-1])
    assert abs(alone - beside) > 1e-4
    (one,) = told(lambda: PairIntegratedGradients(model).attribute((a, b), n_steps=100))
    assert issubclass(one.category, BesideWarning)
    assert f"the value of pair 0 is {alone:.4g} alone and {beside:.4g} beside others" in str(one.message)
    assert not isinstance(norm, nn.modules.batchnorm._BatchNorm) or type(norm).__name__ in str(one.message)
    assert not told(lambda: PairIntegratedGradients(model).attribute((a, b), internal_batch_size=1))
    if not isinstance(norm, Functional):  # a plain gradient asks too little for a search of what no module tells
        assert len(told(lambda: PairSaliency(model).attribute((a, b)))) == 1


@pytest.mark.parametrize("cls", [PairRISE, PairMaskRegression, PairFeatureAblation])
def test_methods_of_many_passes_find_out_by_asking(cls: Any) -> None:
    assert len(told(lambda: cls(SiameseModel(encoder(Functional()))).explain(pair()))) == 1


def test_a_gallery_of_a_norm_by_the_batch_tells_it_once() -> None:
    items = torch.randn(6, 2, 10, 12, generator=torch.Generator().manual_seed(1)).double()
    explainer = PairFeatureAblation(SiameseModel(encoder(nn.BatchNorm2d(6, track_running_stats=False))))

    def whole() -> None:
        gallery = Gallery(explainer, items)
        gallery.explain([(0, 1), (2, 3)])[:]

    assert len(told(whole)) == 1


@pytest.mark.parametrize("wrapped", [SiameseModel, Shared])
@pytest.mark.parametrize("buffer", [True, False])
@pytest.mark.parametrize("cls", [PairOcclusion, PairSaliency, PairGradCAM])
def test_a_model_that_keeps_count_is_told(cls: Any, buffer: bool, wrapped: Any) -> None:
    model = wrapped(nn.Sequential(Counting(buffer), encoder(nn.Identity()))).eval()
    a, b = pair()
    with torch.no_grad():
        assert float(model(a, b)) != float(model(a, b))  # the fault itself
    (one,) = told(lambda: cls(model).attribute((a, b)))
    assert "keeps something from one pass to the next: asked twice, it gives pair 0" in str(one.message)


def test_a_count_that_changes_no_score_is_not_told() -> None:
    counting = Counting(True)
    counting.register_forward_hook(lambda module, args, output: args[0])
    model = SiameseModel(nn.Sequential(counting, encoder(nn.Identity())))
    assert not told(lambda: PairOcclusion(model).explain(pair()))
    assert not told(lambda: PairSaliency(model).explain(pair()))


@pytest.mark.parametrize("norm", [nn.BatchNorm2d(6), nn.InstanceNorm2d(6), nn.GroupNorm(2, 6)])
def test_ordinary_models_are_told_nothing_and_a_gradient_asks_no_more(norm: nn.Module) -> None:
    inner, rows = encoder(norm), []
    model = SiameseModel(inner)
    inner.register_forward_hook(lambda module, args, output: rows.append(len(output)))
    assert not told(lambda: PairSaliency(model).attribute(pair()))
    assert sum(rows) == 2
    explainer = PairFeatureAblation(model)
    assert not told(lambda: explainer.attribute(pair()))
    first, rows[:] = sum(rows) - 2, []
    explainer.attribute(pair())
    assert first - sum(rows) == 16  # the pair beside copies of itself and beside others, once for an explainer
