"""Layers of which a row is no pair: times come first, or each item comes in pieces."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import xsiamese
from xsiamese import PairDeepLift, PairGuidedBackprop, PairInputXGradient, PairLRP, SiameseModel

LAYERED = (
    "PairGradCAM", "PairEigenCAM", "PairAblationCAM", "PairLayerActivation", "PairLayerGradientXActivation",
    "PairLayerIntegratedGradients", "PairLayerConductance", "PairInternalInfluence", "PairLayerGradCam",
    "PairLayerDeepLift", "PairLayerGradientShap", "PairLayerFeatureAblation", "PairLayerLRP", "PairLayerInteraction",
)  # fmt: skip
ROWS = r"dimension 0 of a layer's output must be the pair"


class Encoder(nn.Module):
    """The mean over times of what a small network makes of each; the same whichever dimension they lie in."""

    def __init__(self, times_first: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.times_first = times_first
        self.enter, self.act, self.out = nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        vectors = self.out(self.act(self.enter(x.transpose(0, 1) if self.times_first else x)))
        return vectors.mean(0 if self.times_first else 1)


class Frames(nn.Module):
    """A film whose frames are items of the layer's batch."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net, self.out = nn.Sequential(nn.Conv2d(2, 4, 3, 2, 1), nn.ReLU()), nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        frames = self.net(x.transpose(1, 2).flatten(0, 1)).mean((2, 3))
        found: Tensor = self.out(frames).unflatten(0, (len(x), -1)).mean(1)
        return found


def explained(name: str, encoder: nn.Module, layer: str, inputs: tuple[Tensor, Tensor]) -> Any:
    return getattr(xsiamese, name)(SiameseModel(encoder.double().eval(), "cosine"), layer).attribute(inputs)


def series(pairs: int, times: int) -> tuple[Tensor, Tensor]:
    a, b = torch.randn(2, pairs, times, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return a, b


@pytest.mark.parametrize("name", LAYERED)
@pytest.mark.parametrize(("pairs", "times"), [(2, 5), (2, 2), (1, 5)])
def test_a_layer_with_times_first_is_refused(name: str, pairs: int, times: int) -> None:
    """Of as many pairs as times the maps of two pairs were mixed in silence; else errors of PyTorch's."""
    with pytest.raises(ValueError, match=ROWS):
        explained(name, Encoder(True), "act", series(pairs, times))


@pytest.mark.parametrize("name", LAYERED)
def test_a_layer_with_pairs_first_is_not(name: str) -> None:
    found = explained(name, Encoder(False), "act", series(2, 2))
    assert [len(one) for one in found] == [2, 2]
    assert all(bool(one.any()) for one in found)


@pytest.mark.parametrize(("pairs", "times"), [(2, 5), (3, 3)])
def test_methods_of_the_inputs_do_not_mind(pairs: int, times: int) -> None:
    inputs = series(pairs, times)
    for cls in (PairGuidedBackprop, PairInputXGradient, PairLRP):
        first, last = (cls(SiameseModel(Encoder(one).double(), "cosine")).attribute(inputs) for one in (True, False))
        torch.testing.assert_close(first, last)
    with pytest.raises(ValueError, match=ROWS):  # the pairs and their baselines are told apart by rows
        PairDeepLift(SiameseModel(Encoder(True).double(), "cosine")).attribute(inputs)


@pytest.mark.parametrize("name", LAYERED)
def test_a_layer_of_frames_is_refused(name: str) -> None:
    """Six rows for two pairs came back, or errors of PyTorch's, or nothing at all."""
    a, b = torch.randn(2, 2, 2, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with pytest.raises(ValueError, match=ROWS + "|gets each item in pieces|items in pieces"):
        explained(name, Frames(), "net", (a, b))
