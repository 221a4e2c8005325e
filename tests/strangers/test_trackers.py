"""A layer that both sides pass beside one of a side's own, as in trackers: the template and the search region share a
backbone, and each, or one of them, has a head of its own.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import xsiamese
from xsiamese import TwoInputModel

METHODS = (
    "PairGradCAM", "PairHiResCAM", "PairEigenCAM", "PairAblationCAM", "PairScoreCAM", "PairLayerActivation",
    "PairLayerGradientXActivation", "PairLayerIntegratedGradients", "PairLayerConductance", "PairLayerFeatureAblation",
    "PairLayerDeepLift", "PairLayerLRP",
)  # fmt: skip


class Tracker(nn.Module):
    """The correlation of the template's features with those of the search region; ``heads`` says who has a head."""

    def __init__(self, heads: str, *, apart: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.enc = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(), nn.Conv2d(6, 8, 3, 2, 1), nn.ReLU())
        self.kz, self.kx = (nn.Conv2d(8, 8, 1) if side in heads else nn.Identity() for side in "ab")
        self.other = deepcopy(self.enc) if apart else None

    def forward(self, z: Tensor, x: Tensor) -> Tensor:
        first, second = self.kz(self.enc(z)), self.kx((self.enc if self.other is None else self.other)(x))
        return (functional.adaptive_avg_pool2d(first, 2) * functional.adaptive_avg_pool2d(second, 2)).sum((1, 2, 3))


def maps(name: str, model: nn.Module, layer: Any, size: int) -> Any:
    generator = torch.Generator().manual_seed(1)
    z, x = (torch.randn(2, 3, side, side, dtype=torch.float64, generator=generator) for side in (16, size))
    pair = TwoInputModel(model.double().eval(), higher_is_closer=True)
    return getattr(xsiamese, name)(pair, layer).attribute((z, x))


@pytest.mark.parametrize("size", [16, 28])
@pytest.mark.parametrize(("heads", "layer"), [("a", ("kz", "enc")), ("b", ("enc", "kx")), ("ab", ("enc", "kx"))])
@pytest.mark.parametrize("name", METHODS)
def test_a_shared_layer_beside_one_of_a_side(name: str, heads: str, layer: tuple[str, str], size: int) -> None:
    """Both calls of the shared layer were taken for that side's; what stood in for b's layer was put into a's call."""
    apart = (layer[0], "other" if layer[1] == "enc" else layer[1])
    found, expected = maps(name, Tracker(heads), layer, size), maps(name, Tracker(heads, apart=True), apart, size)
    for one, known in zip(found, expected, strict=True):
        torch.testing.assert_close(one, known, rtol=1e-9, atol=1e-12)
        assert known.any()


@pytest.mark.parametrize("size", [16, 28])
@pytest.mark.parametrize("heads", ["a", "b", "ab"])
def test_its_default_layers_have_maps(heads: str, size: int) -> None:
    found = maps("PairGradCAM", Tracker(heads), None, size)
    assert [one.shape[2:] for one in found] == [(4, 4), (size // 4, size // 4)]
    assert all(bool(one.any()) for one in found)
