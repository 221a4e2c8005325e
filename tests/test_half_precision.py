"""Models in bfloat16 and float16: the same weights and the same draws in float64 tell what is lost."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import xsiamese
from xsiamese import SiameseModel

masks = pytest.importorskip("xsiamese_masks.run")
READ = ("PairRISE", "PairCorrRISE", "PairRELAX", "PairSBSM", "PairXFace")
ASKED = (
    "PairOcclusion", "PairFeatureAblation", "PairShapleyValueSampling", "PairKernelShap", "PairLime", "PairScoreCAM",
    "PairAblationCAM", "PairIntegratedGradients", "PairGradCAM",
)  # fmt: skip
CELLS = torch.arange(256).reshape(1, 1, 16, 16) // 64 * 4 + torch.arange(16) // 4


def model(dtype: torch.dtype, comparison: str = "cosine") -> SiameseModel:
    torch.manual_seed(0)
    first, second = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
    layers = first, nn.ReLU(), second, nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 16)
    return SiameseModel(nn.Sequential(*layers).bfloat16().to(dtype).eval(), comparison)


def images(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    a, b = torch.randn(2, 2, 1, 16, 16, generator=torch.Generator().manual_seed(1)).bfloat16().to(dtype)
    return a, b


def maps(name: str, dtype: torch.dtype, comparison: str = "cosine") -> Any:
    options: dict[str, Any] = {"PairOcclusion": {"sliding_window_shapes": (1, 4, 4)}}.get(name, {})
    if name in ("PairFeatureAblation", "PairShapleyValueSampling", "PairKernelShap", "PairLime"):
        options = {"feature_mask": (CELLS, CELLS)}
    return getattr(xsiamese, name)(model(dtype, comparison)).attribute(images(dtype), **options)


@pytest.mark.parametrize("comparison", ["cosine", "euclidean"])
@pytest.mark.parametrize("name", [*READ, *ASKED])
def test_maps_in_bfloat16_are_those_of_its_weights(name: str, comparison: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """RISE was out by ten times its largest value, occlusion by all of it: scores and their means had eight bits."""
    drawn = masks._drawn  # by the bytes of an item, which are others in float64
    monkeypatch.setattr(masks, "_drawn", lambda item, *rest: drawn(item.double(), *rest).to(item))
    found, expected = (maps(name, dtype, comparison) for dtype in (torch.bfloat16, torch.float64))
    for one, known in zip(found, expected, strict=True):
        assert one.dtype == torch.bfloat16
        assert float((one.double() - known).abs().max()) < 0.1 * float(known.abs().max())


SHARED_OUT = (
    "PairDeepLift", "PairDeepLiftShap", "PairLayerDeepLift", "PairLRP", "PairLayerLRP", "PairBiLRP",
    "PairGuidedBackprop", "PairDeconvolution",
)  # fmt: skip


@pytest.mark.parametrize("wrt", ["both", "first"])
@pytest.mark.parametrize("low", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", SHARED_OUT)
def test_shares_of_half_precision_are_those_of_its_weights(name: str, low: torch.dtype, wrt: Any) -> None:
    """BiLRP was out by four times its largest value, or not a number; LRP and DeepLIFT of alike pairs by a quarter."""

    def found(dtype: torch.dtype) -> Any:
        torch.manual_seed(0)
        middle = [nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.GELU()) for _ in range(3)]
        layers = nn.Conv2d(1, 8, 3), *middle, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 16), nn.LayerNorm(16)
        encoder = nn.Sequential(*layers).to(low).to(dtype).eval()
        before = {key: value.clone() for key, value in encoder.state_dict().items()}
        pair = torch.randn(2, 2, 1, 12, 12, generator=torch.Generator().manual_seed(1)).to(low).to(dtype)
        cls = getattr(xsiamese, name)
        layer = (encoder[2],) if cls.traits.needs_layer else ()
        made = cls(SiameseModel(encoder, "cosine"), *layer).explain((pair[0], pair[1]), wrt=wrt)
        assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())
        assert {p.dtype for p in encoder.parameters()} == {dtype}
        return made

    made, known = found(low), found(torch.float32)
    for one, other in zip(made.maps, known.maps, strict=True):
        assert one.dtype == low
        assert float((one.float() - other).abs().max()) <= 4e-3 * float(other.abs().max())
    for one, other in zip(made.columns.get("matrix", ()), known.columns.get("matrix", ()), strict=True):
        torch.testing.assert_close(one.dense(), other.dense(), rtol=1e-4, atol=1e-7)
    assert known.maps[0].any()


def test_late_interaction_of_bfloat16_has_scores_of_more_than_eight_bits() -> None:
    maxsim = pytest.importorskip("xsiamese_text").MaxSim()
    z = torch.randn(2, 3, 40, 17, generator=torch.Generator().manual_seed(2)).bfloat16()
    z[..., -1] = 1
    found, known = maxsim(z[0], z[1]), maxsim(z[0].double(), z[1].double())
    torch.testing.assert_close(found.double(), known, rtol=1e-6, atol=1e-6)


class Joint(nn.Module):
    """A model with a score of its own, in the steps of bfloat16."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((1,), 1e-3).bfloat16())

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return 8 + (a * b * self.weight).sum(1) * 10


def test_a_score_of_eight_bits_is_told() -> None:
    a, b = torch.ones(1, 4).bfloat16(), torch.tensor([[3.0, 2.0, 1.0, 5.0]]).bfloat16()
    said = (
        r"at the most, and the model keeps scores in torch.bfloat16, to 0.063: what it shows is rounding; make the "
        r"model one of float32, model.float\(\)$"
    )
    with pytest.warns(UserWarning, match=said):
        xsiamese.PairFeatureAblation(Joint()).attribute((a, b))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        xsiamese.PairFeatureAblation(Joint().float()).attribute((a.float(), b.float()))


def deep(low: torch.dtype, dtype: torch.dtype, depth: int = 5) -> nn.Sequential:
    """A network whose gradients are far below one, its weights in half precision."""
    torch.manual_seed(3)
    middle = [nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()) for _ in range(depth)]
    layers = nn.Conv2d(1, 8, 3, padding=1), *middle, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 16)
    return nn.Sequential(*layers).to(low).to(dtype).eval()


@pytest.mark.parametrize("comparison", ["cosine", "euclidean"])
@pytest.mark.parametrize("low", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(
    ("name", "layer", "options", "within"),
    [
        ("PairInteraction", None, {"cells": (4, 4)}, 1e-3),
        ("PairLayerInteraction", "1", {"cells": (4, 4)}, 1e-3),
        ("PairMaskRegression", None, {"cells": (2, 2), "masks": 64}, 0.1),
        ("PairActivationDecomposition", "2", {}, 0.1),
    ],
)  # fmt: skip
def test_matrices_of_half_precision_are_those_of_its_weights(
    name: str, layer: str | None, options: dict[str, Any], within: float, low: torch.dtype, comparison: str
) -> None:
    """The mixed derivative of a distance was not a number in float16 (it is one over its cube), and the regression met
    distances in float32.
    """
    pair = torch.randn(2, 1, 1, 12, 12, generator=torch.Generator().manual_seed(1)).to(low)
    found = [
        getattr(xsiamese, name)(SiameseModel(deep(low, dtype, 1), comparison), layer).explain(
            (pair[0].to(dtype), pair[1].to(dtype)), **options
        )
        for dtype in (low, torch.float32)
    ]
    made, known = (one.columns["matrix"][0].dense().double() for one in found)
    assert known.any()
    assert float((made - known).abs().max()) <= within * float(known.abs().max())


@pytest.mark.parametrize("name", ["PairGradCAMPlusPlus", "PairXGradCAM", "PairGradCAM", "PairAblationCAM"])
def test_weights_of_channels_do_not_vanish_in_half_precision(name: str) -> None:
    """Squares and cubes of gradients of a thousandth are zero in float16: all weights of Grad-CAM++ were."""
    pair = torch.randn(2, 2, 1, 12, 12, generator=torch.Generator().manual_seed(1)).half()
    cls = getattr(xsiamese, name)
    made, known = (
        cls(SiameseModel(deep(torch.float16, dtype), "cosine"), "1").attribute((pair[0].to(dtype), pair[1].to(dtype)))
        for dtype in (torch.float16, torch.float32)
    )
    for one, other in zip(made, known, strict=True):
        assert one.dtype == torch.float16
        assert float((one.float() - other).abs().max()) <= 0.1 * float(other.abs().max())


def test_a_map_that_float16_cannot_hold_is_told_as_that() -> None:
    """The layer was blamed, as one that the score does not use."""
    pair = 1e-3 * torch.randn(2, 1, 1, 12, 12, generator=torch.Generator().manual_seed(1)).half()
    known = xsiamese.PairGuidedGradCam(SiameseModel(deep(torch.float16, torch.float32), "cosine"), "1")
    largest = [float(one.abs().max()) for one in known.attribute((pair[0].float(), pair[1].float()))]
    assert 0 < max(largest) < 2e-8
    method = xsiamese.PairGuidedGradCam(SiameseModel(deep(torch.float16, torch.float16), "cosine"), "1")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert not any(one.any() for one in method.attribute((pair[0], pair[1])))
    told = [str(one.message) for one in caught if "is zero" in str(one.message)]
    assert len(told) == 2
    for line, name, value in zip(told, "ab", largest, strict=True):
        if value:
            said = (
                f"the map of input {name} is zero in torch.float16, whose smallest number is 6e-08: its largest value"
            )
            assert line.startswith(said)
            assert line.endswith("make the model one of float32, model.float()")
