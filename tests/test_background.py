"""``baselines="background"``: an image starts from where it shows nothing, which 0 is not after normalisation."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import xsiamese
from xsiamese import PairFeatureAblation, PairIntegratedGradients, SiameseModel
from xsiamese.contract.kinds import subjects
from xsiamese.testing import quick_options
from xsiamese.zoo import ModelCard, Preprocessing, find_card, open_model, shipped
from xsiamese.zoo.checkpoint import load, save


def images() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    a, b = torch.randn(2, 3, 2, 4, 4, dtype=torch.float64)
    return a, b


def inner_product() -> SiameseModel:
    model = SiameseModel(nn.Flatten(), "dot").eval()
    model.background = (-1.0, 0.5)
    return model


def test_integrated_gradients_of_an_inner_product_start_there() -> None:
    model, (a, b) = inner_product(), images()
    ground = torch.tensor([-1.0, 0.5], dtype=torch.float64)[:, None, None]
    method = PairIntegratedGradients(model)
    (map_a, map_b), delta = method.attribute((a, b), baselines="background", return_convergence_delta=True)
    assert torch.allclose(map_a, (a - ground) * b, atol=1e-12)
    assert torch.allclose(map_b, (b - ground) * a, atol=1e-12)
    assert delta.abs().max() < 1e-7  # the quadrature of captum
    assert method.explain((a, b), baselines="background").parameters["baselines"] == "background"
    first, second = method.attribute((a, b), baselines=("background", 0))
    assert torch.allclose(first, map_a)
    assert torch.allclose(second, b * a, atol=1e-12)


def test_what_is_removed_is_replaced_by_it() -> None:
    model, (a, b) = inner_product(), images()
    found, _ = PairFeatureAblation(model).attribute((a, b), baselines="background")
    ground = torch.tensor([-1.0, 0.5], dtype=torch.float64)[:, None, None]
    assert torch.allclose(found, (a - ground) * b, atol=1e-12)


@pytest.mark.parametrize("invert", [False, True])
def test_a_card_knows_what_its_images_hold_where_nothing_is(invert: bool) -> None:
    """Black, or white paper that is inverted: what the preprocessing itself makes of such a picture."""
    one = Preprocessing((2, 2), 3, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4), invert)
    nothing = torch.full((3, 2, 2), 255.0 if invert else 0.0)
    made = torch.tensor(one.background)[:, None, None].expand(3, 2, 2)
    assert torch.allclose(one.normalise(nothing), made, atol=1e-6)


def test_models_with_a_card_bring_it_and_those_of_a_checkpoint_what_they_were_trained_with(tmp_path: Path) -> None:
    card = find_card("fashion")
    assert isinstance(card, ModelCard)
    assert card.preprocessing is not None
    model = shipped("fashion").model
    assert model.background == card.preprocessing.background
    assert model.background[0] < -0.5
    assert shipped("planted-rows").model.background is None
    trained = {"size": [28, 28], "channels": 1, "mean": [0.5], "std": [0.25], "invert": False}
    path = save(tmp_path / "model.safetensors", model, "fashion", about={"preprocessing": trained})
    assert load(path).model.background == (-2.0,)


def test_the_copy_of_a_model_of_one_argument_keeps_it() -> None:
    from xsiamese.model.pair import TwoInputModel

    model = TwoInputModel(lambda pair: (pair["x"] * pair["y"]).flatten(1).sum(1), call=("x", "y"))
    model.background = (-1.0, 0.5)
    a, b = images()
    found = PairIntegratedGradients(model).attribute({"x": a, "y": b}, baselines="background")
    expected = PairIntegratedGradients(inner_product()).attribute((a, b), baselines="background")
    values = list(found.values()) if isinstance(found, dict) else list(found)
    assert all(torch.allclose(x, y, atol=1e-12) for x, y in zip(values, expected, strict=True))


def test_where_it_is_not_known_or_makes_no_sense_it_says_so() -> None:
    model, (a, b) = inner_product(), images()
    method = PairIntegratedGradients(model)
    with pytest.raises(ValueError, match="2 channels and input a 3"):
        method.attribute((torch.rand(1, 3, 4, 4), torch.rand(1, 3, 4, 4)), baselines="background")
    with pytest.raises(ValueError, match="is for images, and these are of the kinds row and row"):
        method.attribute((torch.rand(2, 3), torch.rand(2, 3)), baselines="background")
    with pytest.raises(ValueError, match="'partner', 'background' or 'typical' is needed"):
        method.attribute((a, b), baselines="black")
    model.background = None
    with pytest.raises(ValueError, match=r"set model\.background"):
        method.attribute((a, b), baselines="background")


def test_the_command_line_takes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image: Any = pytest.importorskip("PIL.Image")
    from xsiamese.cli.explain import explain

    words = []
    for name, grey in (("a.png", 40), ("b.png", 200)):
        image.linear_gradient("L").point(lambda x, grey=grey: (x + grey) % 256).save(tmp_path / name)
        words.append(str(tmp_path / name))
    ways: dict[Any, Any] = {}
    ground = shipped("fashion").model.background
    assert ground is not None
    for baselines in (None, "background", str(ground[0]), ",".join(words)):
        path = tmp_path / f"{len(ways)}.safetensors"
        explain(*words, method="input_x_gradient" if baselines is None else "integrated_gradients",
                baselines=baselines, output=[path])  # fmt: skip
        ways[baselines] = xsiamese.load(path)
    first, second = list(ways.values())[1:3]
    assert torch.allclose(first.maps[0], second.maps[0], atol=1e-6)
    assert "Pool(2 items" in list(ways.values())[3].parameters["baselines"]
    with pytest.raises(ValueError, match="--baselines nowhere"):
        explain(*words, method="integrated_gradients", baselines="nowhere")
    assert open_model("fashion").preprocessing is not None


def test_beside_a_row_only_the_image_starts_there() -> None:
    model, (a, _) = inner_product(), images()
    towers = SiameseModel((nn.Flatten(), nn.Identity()), "dot").eval()
    towers.background = model.background
    b = torch.randn(3, 32, dtype=torch.float64)
    of_image, of_row = PairIntegratedGradients(towers).attribute((a, b), baselines="background")
    ground = torch.tensor([-1.0, 0.5], dtype=torch.float64)[:, None, None]
    assert torch.allclose(of_image, (a - ground) * b.view_as(a), atol=1e-12)
    assert torch.allclose(of_row, b * a.flatten(1), atol=1e-12)
    with pytest.raises(ValueError, match="is for images, and these are of the kinds image and row"):
        PairIntegratedGradients(towers).attribute((a, b), baselines=(0, "background"))


# PairTokenMatrix needs vectors of tokens, which no network here has
@pytest.mark.parametrize("name", sorted({*xsiamese.explainers()} - {"PairTokenMatrix"}))
def test_an_explainer_says_whether_baselines_change_its_maps(name: str) -> None:
    cls = xsiamese.explainers()[name]
    subject = subjects(cls, quick_options(cls))[0]
    model, pairs = SiameseModel(subject.encoder(), "dot"), subject.one(subject.pairs(), 0)
    explainer = subject.make(model)
    start: Any = tuple(torch.full_like(one, 0.3).repeat(2, 1, 1, 1) for one in pairs)  # samples, where they are taken
    start = start if cls.distribution_baselines else 0.3
    plain, found = (_tensors(subject.attribute(model, pairs, baselines=given)) for given in (None, start))
    assert all(torch.equal(x, y) for x, y in zip(plain, found, strict=True)) is not explainer.takes_baselines


def _tensors(value: Any) -> list[Tensor]:
    return [value] if isinstance(value, Tensor) else [leaf for part in value for leaf in _tensors(part)]


@pytest.mark.parametrize("name", ["PairGradCAM", "PairSaliency", "PairBiLRP"])
def test_baselines_that_change_nothing_are_answered_by_name(name: str) -> None:
    model = SiameseModel(nn.Sequential(nn.Conv2d(2, 2, 3), nn.Flatten(), nn.Linear(8, 2)).double(), "dot")
    cls = xsiamese.explainers()[name]
    explainer = cls(model, "0") if cls.needs_layer else cls(model)
    with pytest.warns(UserWarning, match=f"{name} starts from no baselines: baselines= changes nothing"):
        explainer.attribute(images(), baselines=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        explainer.attribute(images())


def test_the_noise_tunnel_starts_where_its_explainer_does() -> None:
    model, (a, b) = SiameseModel(nn.Flatten(), "dot"), images()
    tunnel = xsiamese.PairNoiseTunnel(PairIntegratedGradients(model))
    ground = torch.arange(3.0, dtype=torch.float64)[:, None, None, None].expand_as(a)  # one baseline a pair
    map_a, map_b = tunnel.attribute((a, b), baselines=(ground, 0.5), nt_samples=3, stdevs=0.0)
    assert torch.allclose(map_a, (a - ground) * b, atol=1e-12)
    assert torch.allclose(map_b, (b - 0.5) * a, atol=1e-12)
