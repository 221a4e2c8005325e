"""What would stop a training is one line before it; what has diverged is not blamed on the inputs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from xsiamese import SiameseModel
from xsiamese.data.pairs import Pairs
from xsiamese.data.rows import LabelledRows
from xsiamese.plot.latent import plane
from xsiamese.training import losses
from xsiamese.training.evaluation import Scored
from xsiamese.training.modality import modality
from xsiamese.training.module import SiameseModule
from xsiamese.training.resume import FREE
from xsiamese.training.run import train
from xsiamese.training.settings import Settings, sized
from xsiamese.zoo import find_card, load
from xsiamese.zoo.backbones import backbone_features
from xsiamese.zoo.cards import ModelCard, Preprocessing
from xsiamese.zoo.checkpoint import save
from xsiamese.zoo.opened import open_model


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"seed": 2**70}, f"seed={2**70}: a whole number from 0 to"),
        ({"seed": -1}, "seed=-1: a whole number"),
        ({"devices": 0, "device": "cpu"}, "devices=0: from 1 to"),
        ({"devices": 1000, "device": "cpu"}, "devices=1000: from 1 to"),
        ({"precision": "16-true"}, "precision='16-true': one of 32-true"),
        ({"precision": "64-true"}, "precision='64-true'"),
        ({"reduction": "lda"}, "reduction='lda': 'pca', 'tsne' or 'umap' is needed"),
    ],
)
def test_settings_are_told_before_anything_is_read(wrong: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Settings("siamese-contrastive", "nowhere", **wrong)  # type: ignore[arg-type]


class Neither(nn.Module):
    """No model of pairs."""


def card_of(modality: str, make: Callable[[], nn.Module]) -> ModelCard:
    return ModelCard("own", make, "", modality=modality)  # type: ignore[call-arg, arg-type]


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (
            lambda: Settings("siamese-mlp", "t.csv").pixels,
            "the card 'siamese-mlp' has no preprocessing for images: it cannot be trained on 't.csv' from here",
        ),
        (
            lambda: Settings("siamese-mlp", "t.csv", device="mps"),
            "device='mps': this machine has no such device; use 'cpu' or 'auto'",
        ),
        (
            lambda: Settings("own", "t.csv").build(),
            "the card 'own' builds a Neither: training from here needs a SiameseModel or another PairModel",
        ),
        (
            lambda: modality(Settings("own", "t.csv")),
            "the card 'own' is for smell data: image, graph, tabular can be trained from here",
        ),
        (
            lambda: losses.Evidence(0.0, 1.0)(SiameseModel(nn.Identity()), torch.rand(2, 3), torch.zeros(2)),
            "the evidence loss needs a VAE, not SiameseModel",
        ),
        (
            lambda: backbone_features("vit_b_16"),
            "'vit_b_16' has neither .features nor .layer4: give timm/vit_b_16, or build SiameseModel(encoder, "
            "comparison) yourself",
        ),
        (
            lambda: Scored(SiameseModel(nn.Linear(1, 2)), nn.Identity()).closeness(  # type: ignore[arg-type]
                LabelledRows(torch.tensor([[0.0], [torch.nan], [1.0]]), torch.zeros(3).long(), ("a",)),
                Pairs(torch.tensor([0, 0]), torch.tensor([1, 2]), torch.tensor([True, False])),
            ),
            "the trained network's score is not finite for 1 of 2 pairs: its training has diverged; try a smaller lr "
            "or gradient clipping",
        ),
    ],
)
def test_what_cannot_be_trained_is_one_line(
    call: Callable[[], object], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    monkeypatch.setattr("xsiamese.training.settings.find_card", lambda name: find_card(name) if name != "own" else card)
    card = card_of("smell", Neither)
    with pytest.raises((ValueError, TypeError, FloatingPointError)) as caught:
        call()
    assert str(caught.value) == told


def test_sizes_of_networks_and_images_are_positive() -> None:
    with pytest.raises(ValueError, match="dimensions=-3: at least 1"):
        Settings("siamese-contrastive", "nowhere", arguments={"dimensions": -3}).build()
    with pytest.raises(ValueError, match="size=0: a positive number"):
        sized(Settings("livieris", "nowhere"), 0)


@pytest.mark.parametrize(("name", "field"), [("tensorboard", "logger"), ("umap", "reduction")])
def test_a_missing_extra_is_one_line_before_training(name: str, field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xsiamese.training.settings.find_spec", lambda module: None)
    with pytest.raises(ImportError, match=rf'pip install "xsiamese\[{name}\]"'):
        Settings("siamese-contrastive", "nowhere", **{field: name})  # type: ignore[arg-type]


def test_a_learning_rate_that_destroys_the_network_is_blamed_and_nothing_is_published(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x,k\n" + "".join(f"{x / 10},{'ab'[x % 2]}\n" for x in range(20)))
    how = {"epochs": 2, "progress": False, "device": "cpu", "reading": {"target": "k"}, "valid": 0.3, "test": 0.3}
    with pytest.raises(FloatingPointError, match=r"smaller lr"):
        train(Settings("siamese-mlp", str(path), output=tmp_path, lr=1e30, **how))  # type: ignore[arg-type]
    assert not (tmp_path / "siamese-mlp-t.safetensors").exists()


@pytest.mark.parametrize("reduction", ["pca", "tsne", "umap"])
@pytest.mark.parametrize("items", [1, 2, 3, 6])
def test_few_points_are_drawn(items: int, reduction: str) -> None:
    if reduction == "umap" and items > 3:
        pytest.skip("compiling UMAP takes longer than this file")
    points = plane(torch.randn(items, 4, generator=torch.Generator().manual_seed(0)), reduction)  # type: ignore[arg-type]
    assert points.shape == (items, 2)
    assert bool(points.isfinite().all())
    assert plane(torch.ones(items, 1), reduction).tolist() == [[1.0, 0.0]] * items  # type: ignore[arg-type]


class Tied(nn.Module):
    """Two layers with one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
        self.second.weight = self.first.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x).relu())  # type: ignore[no-any-return]


def test_tied_weights_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = ModelCard("tied", lambda: SiameseModel(Tied(), "dot"), "", modality="tabular")  # type: ignore[call-arg, arg-type]
    monkeypatch.setattr("xsiamese.zoo.checkpoint.models", lambda: {"tied": card})
    model, x = card.build(), torch.randn(4, 3)
    found = load(save(tmp_path / "tied.safetensors", model, "tied")).model
    assert torch.equal(found(x, x.flip(0)), model(x, x.flip(0)))
    assert found.encoder.first.weight is found.encoder.second.weight  # type: ignore[union-attr]


def test_what_a_factory_raises_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("their_module")

    def broken() -> None:
        raise RuntimeError("no weights here")

    module.broken, module.nothing = broken, lambda: None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "their_module", module)
    with pytest.raises(ValueError, match="the factory raised RuntimeError: no weights here"):
        open_model("their_module:broken")
    with pytest.raises(ValueError, match="gives None: a model"):
        open_model("their_module:nothing")


def test_what_a_factory_s_model_says_of_its_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its kind, and how images become input; of one that says nothing images of 224 pixels, or of those asked for."""
    module, pixels = ModuleType("their_module"), Preprocessing((8, 6), 1, (0.2,), (0.5,))
    models: dict[str, Any] = {"plain": lambda a, b: (a * b).sum(1), "function": lambda a, b: (a * b).sum(1)}
    models |= {name: SiameseModel(nn.Identity()) for name in ("rows", "pictures")}
    models["rows"].modality = "tabular"
    models["function"].preprocessing = models["pictures"].preprocessing = pixels
    for name, model in models.items():
        setattr(module, name, lambda model=model: model)
    monkeypatch.setitem(sys.modules, "their_module", module)
    found = {name: open_model(f"their_module:{name}") for name in models}
    assert all(found[name].model is model for name, model in models.items())
    assert {name: one.modality for name, one in found.items()} == dict.fromkeys(models, "image") | {"rows": "tabular"}
    assert [found[name].preprocessing for name in ("rows", "pictures", "function")] == [None, pixels, pixels]
    assert torch.equal(torch.as_tensor(models["pictures"].background), torch.as_tensor(pixels.background))
    assert not models["pictures"].training
    sizes = [open_model("their_module:plain", size=size).preprocessing for size in (None, 32)]
    assert [one and one.size for one in sizes] == [(224, 224), (32, 32)]


def test_weights_that_are_not_finite_after_an_epoch_are_named() -> None:
    module = SiameseModule.__new__(SiameseModule)
    nn.Module.__init__(module)
    module.model = SiameseModel(nn.Linear(2, 2))
    module.check_finite()
    with torch.no_grad():
        module.model.encoders[0].weight[0, 1] = torch.inf  # type: ignore[union-attr, index]
    monkey = type("Own", (SiameseModule,), {"current_epoch": 3, "_so": lambda self: "nothing is kept"})
    module.__class__ = monkey
    with pytest.raises(
        FloatingPointError, match=r"^the weights encoders?[.a-z0-9]*weight are not finite after epoch 3, "
    ):
        module.check_finite()


def test_what_may_change_is_what_is_not_compared() -> None:
    assert set(Settings.__dataclass_fields__) >= FREE
