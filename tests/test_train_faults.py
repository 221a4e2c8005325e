"""What would stop a training is one line before it; what has diverged is not blamed on the inputs."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

from xsiamese import SiameseModel
from xsiamese.plot.latent import plane
from xsiamese.training.resume import FREE
from xsiamese.training.run import train
from xsiamese.training.settings import Settings, sized
from xsiamese.zoo import load
from xsiamese.zoo.cards import ModelCard
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


def test_what_may_change_is_what_is_not_compared() -> None:
    assert set(Settings.__dataclass_fields__) >= FREE
