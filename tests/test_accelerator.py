"""Memory that does not hold all pairs, and what an accelerator alone can show; the latter is skipped without one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import xsiamese
from xsiamese import (
    Gallery,
    PairActivationDecomposition,
    PairAttribution,
    PairDeepLift,
    PairGradCAM,
    PairIntegratedGradients,
    PairInteraction,
    PairMaskRegression,
    PairOcclusion,
    PairSaliency,
    SiameseModel,
    auto,
    explainers,
    measure,
)
from xsiamese.data.planted import planted
from xsiamese.testing import check_explainer
from xsiamese.zoo.checkpoint import shipped

FOUND = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
ACCELERATOR = FOUND or torch.device("cpu")
on_accelerator = pytest.mark.skipif(FOUND is None, reason="there is no accelerator here")
GIB = 2**30


class Small(nn.Module):
    """An encoder with memory for few rows: fewer with gradients than without."""

    def __init__(self, fits: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.fits, self.sent = fits, [0]

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > self.fits * (1 if torch.is_grad_enabled() else 4):
            raise torch.OutOfMemoryError("there is not enough memory for these rows")
        self.sent.append(len(x))
        found: Tensor = self.layers(x)
        return found


@pytest.fixture
def small() -> Small:
    torch.manual_seed(0)
    return Small(4).double().eval()


def batch(pairs: int, size: int = 8) -> tuple[Tensor, Tensor]:
    a, b = torch.randn(2, pairs, 1, size, size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return a, b


@pytest.mark.parametrize("cls", [PairSaliency, PairGradCAM, PairIntegratedGradients, PairOcclusion])
def test_auto_takes_less_at_once_until_it_fits(small: Small, cls: type[PairAttribution]) -> None:
    model = SiameseModel(small, "dot")
    options = {"sliding_window_shapes": (1, 4, 4)} if cls is PairOcclusion else {}
    pairs = zip(*batch(9), strict=True)
    one_by_one = [cls(model).attribute((a[None], b[None]), internal_batch_size=1, **options) for a, b in pairs]
    found = cls(model).attribute(batch(9), internal_batch_size="auto", **options)
    for side in (0, 1):
        assert torch.allclose(found[side], torch.cat([maps[side] for maps in one_by_one]), atol=1e-12)
    assert small.sent[-1] <= 4 * (4 if cls is PairOcclusion else 1)


def test_what_fitted_is_remembered(small: Small) -> None:
    refused = []
    refuse = small.forward

    def counted(x: Tensor) -> Tensor:
        try:
            return refuse(x)
        except torch.OutOfMemoryError:
            refused.append(len(x))
            raise

    small.forward = counted  # type: ignore[method-assign]
    explainer = PairSaliency(SiameseModel(small, "dot"))
    explainer.explain(batch(9), internal_batch_size="auto")
    assert refused
    refused.clear()
    explainer.explain(batch(9), internal_batch_size="auto")
    assert not refused


def test_a_gallery_takes_less_at_once_until_it_fits(small: Small) -> None:
    items = batch(20)[0]
    gallery = Gallery(PairGradCAM(SiameseModel(small, "dot"), "layers.0"), items, internal_batch_size="auto")
    with_room = Gallery(PairGradCAM(SiameseModel(small, "dot"), "layers.0"), items, internal_batch_size=1)
    found, wanted = (one.explain([(0, 1), (7, 19)])[:] for one in (gallery, with_room))
    assert torch.allclose(found.maps[0], wanted.maps[0])
    assert torch.allclose(found.scores, wanted.scores)


def test_memory_that_holds_no_single_pair_is_said(small: Small) -> None:
    small.fits = 0
    with pytest.raises(torch.OutOfMemoryError):
        PairSaliency(SiameseModel(small, "dot")).explain(batch(2), internal_batch_size="auto")
    assert all(p.requires_grad for p in small.parameters())


def test_without_auto_the_error_names_it(small: Small) -> None:
    with pytest.raises(torch.OutOfMemoryError) as told:
        PairSaliency(SiameseModel(small, "dot")).explain(batch(9))
    assert any("internal_batch_size='auto'" in note for note in told.value.__notes__)


# -- on an accelerator ------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def whole_memory() -> Iterator[None]:
    yield
    if torch.cuda.is_available():
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()


def resnet() -> nn.Module:
    from torchvision.models import resnet18

    torch.manual_seed(0)
    made: nn.Module = resnet18(num_classes=32).eval()
    return made


@on_accelerator
@pytest.mark.parametrize("name", explainers())
def test_maps_are_those_of_the_processor(name: str) -> None:
    check_explainer(explainers()[name], only="13 device and dtype")


@on_accelerator
@pytest.mark.parametrize("cls", [PairGradCAM, PairIntegratedGradients, PairSaliency])
def test_real_memory_that_is_too_small(monkeypatch: pytest.MonkeyPatch, cls: type[PairAttribution]) -> None:
    """256 pairs of photographs, 0.4 MiB each and about 100 times as much on the way, in 2 GiB."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    model = SiameseModel(resnet().to(ACCELERATOR))
    a, b = torch.randn(2, 256, 3, 224, 224, device=ACCELERATOR)
    torch.cuda.set_per_process_memory_fraction(2 * GIB / torch.cuda.get_device_properties(0).total_memory)
    options: dict[str, Any] = {"n_steps": 4} if cls is PairIntegratedGradients else {}
    with pytest.raises(torch.OutOfMemoryError):
        cls(model).explain((a, b), **options)
    torch.cuda.empty_cache()
    found = cls(model).explain((a, b), internal_batch_size="auto", **options)
    torch.cuda.empty_cache()
    some = cls(model).explain((a[100:104], b[100:104]), internal_batch_size=4, **options)
    scale = found.maps[0].abs().max()
    assert float((found.maps[0][100:104] - some.maps[0]).abs().max()) < 5e-3 * float(scale)


@on_accelerator
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("cls", [PairGradCAM, PairSaliency, PairIntegratedGradients, PairOcclusion, PairInteraction])
def test_autocast_changes_a_map_by_its_rounding_only(cls: type[PairAttribution], dtype: torch.dtype) -> None:
    model = SiameseModel(resnet().to(ACCELERATOR))
    a, b = torch.randn(2, 2, 3, 64, 64, device=ACCELERATOR)
    options: dict[str, Any] = {"sliding_window_shapes": (3, 32, 32), "strides": (3, 32, 32)}
    options = options if cls is PairOcclusion else {}
    explainer = cls(model, "layer4") if cls in (PairGradCAM, PairInteraction) else cls(model)
    plain = explainer.explain((a, b), **options)
    with torch.autocast("cuda", dtype):
        found = explainer.explain((a, b), **options)
    for exact, rounded in zip(plain.maps, found.maps, strict=True):
        exact, rounded = exact.flatten(1).float(), rounded.flatten(1).float()
        assert torch.isfinite(rounded).all()
        assert float(torch.cosine_similarity(exact, rounded).min()) > (0.85 if cls is PairOcclusion else 0.9)


@on_accelerator
@pytest.mark.parametrize("cell", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("cls", [PairSaliency, PairIntegratedGradients, PairDeepLift])
def test_recurrent_encoders_in_evaluation_mode(cls: type[PairAttribution], cell: Any) -> None:
    """cuDNN's have no derivative in evaluation mode."""

    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = cell(3, 8, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.cell(x)[0][:, -1]
            return found

    torch.manual_seed(0)
    model = SiameseModel(Last().double()).eval()
    a, b = torch.randn(2, 3, 7, 3, dtype=torch.float64)
    here = cls(model).explain((a, b), kind="text")
    there = cls(model.to(ACCELERATOR)).explain((a.to(ACCELERATOR), b.to(ACCELERATOR)), kind="text")
    assert torch.allclose(here.maps[0], there.maps[0].cpu(), atol=1e-9)
    assert torch.backends.cudnn.enabled
    assert not model.training


@on_accelerator
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("cls", [PairInteraction, PairGradCAM, PairIntegratedGradients])
def test_fused_attention(cls: type[PairAttribution], attention: str) -> None:
    """Its kernels have no second and no forward derivative."""
    import transformers

    torch.manual_seed(0)
    config = transformers.ViTConfig(
        image_size=32, patch_size=8, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
    )  # fmt: skip
    config._attn_implementation = attention
    model = SiameseModel(transformers.ViTModel(config)).eval()
    a, b = torch.randn(2, 2, 3, 32, 32)
    layer = next(name for name, _ in model.named_modules() if name.endswith("layer.0") or name.endswith("layers.0"))
    explainer = cls(model, layer) if cls.needs_layer or cls is PairInteraction else cls(model)
    here = explainer.explain((a, b))
    there = explainer.copy_for(model.to(ACCELERATOR)).explain((a.to(ACCELERATOR), b.to(ACCELERATOR)))
    assert torch.allclose(here.maps[0], there.maps[0].cpu(), atol=2e-3 * float(here.maps[0].abs().max()))


@on_accelerator
def test_a_gallery_and_a_matrix_on_an_accelerator() -> None:
    model = SiameseModel(resnet().to(ACCELERATOR))
    items = torch.randn(40, 3, 64, 64, device=ACCELERATOR)
    gallery = Gallery(PairActivationDecomposition(model), items, internal_batch_size="auto")
    found = gallery.explain([(0, 1), (3, 39)])[:]
    alone = PairActivationDecomposition(model).explain((items[[0, 3]], items[[1, 39]]))
    assert torch.allclose(found.scores, alone.scores, atol=1e-4)
    assert torch.allclose(found.maps[0], alone.maps[0], atol=1e-3)


@on_accelerator
def test_mask_regression_and_the_robust_optimizer() -> None:
    from xsiamese import RobustPairExplainer

    model = SiameseModel(resnet().to(ACCELERATOR))
    a, b = torch.randn(2, 2, 3, 64, 64, device=ACCELERATOR)
    found = PairMaskRegression(model).explain((a, b), masks=200)
    assert found.maps[0].device.type == ACCELERATOR.type
    again = PairMaskRegression(model).explain((a, b), masks=200)
    assert torch.allclose(found.maps[0], again.maps[0], atol=1e-4)
    rows = SiameseModel(nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4)).to(ACCELERATOR))
    x, y = torch.randn(2, 4, 6, device=ACCELERATOR)
    robust = RobustPairExplainer(rows).explain((x, y))
    assert robust.maps[0].device.type == ACCELERATOR.type


@on_accelerator
@pytest.mark.parametrize("name", ["patches", "digits", "rows", "series", "words", "motifs"])
def test_measures_files_and_pictures(name: str, tmp_path: Path) -> None:
    """The truth stays where it is, as a user would leave it."""
    here, model = planted(name, 6), shipped(f"planted-{name}").model
    wanted = measure(auto(model, "fast").explainer, here, "all")
    model = model.to(ACCELERATOR)
    moved = {key: getattr(here, key).to(ACCELERATOR) for key in ("a", "b", "others", "twins")}
    found = measure(auto(model, "fast").explainer, replace(here, **moved), "all")
    failed = {key: one.error for key, one in found.found.items() if one.error and not wanted.found[key].error}
    assert not failed
    for key in ("auroc", "gini", "deletion", "partner_sensitivity", "completeness"):
        if key in found.found:
            assert found[key].mean == pytest.approx(wanted[key].mean, abs=2e-2, nan_ok=True)
    again = xsiamese.load(found.explanation.save(tmp_path / "why.safetensors"))
    assert torch.allclose(again.scores, found.explanation.scores.cpu())
    found.explanation.plot()


@on_accelerator
@pytest.mark.parametrize("budget", ["fast", "normal", "thorough"])
@pytest.mark.parametrize("name", ["patches", "rows", "words", "motifs"])
def test_what_is_taken_by_itself(name: str, budget: Any) -> None:
    model, pairs = shipped(f"planted-{name}").model, planted(name, 2)
    here = auto(model, budget).explain(pairs.inputs)
    there = auto(model.to(ACCELERATOR), budget).explain((pairs.a.to(ACCELERATOR), pairs.b.to(ACCELERATOR)))
    assert torch.allclose(here.scores, there.scores.cpu(), atol=2e-3)
