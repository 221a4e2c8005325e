"""Factual and counterfactual maps: the parts add up, the published form is corrected, and what it needs is said."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.problems import conv_encoder, images
from xsiamese import SiameseModel
from xsiamese.model.comparison import ClampedEuclidean
from xsiamese_counterfactual import DecisionMaps, PairCounterfactualMaps

LAYER = "3"


def maps_of(comparison: str = "euclidean", pairs: int = 5) -> tuple[DecisionMaps, SiameseModel]:
    model = SiameseModel(conv_encoder(), comparison)
    a, b = images(pairs)
    with torch.no_grad():
        scores = model(a, b)
    return PairCounterfactualMaps(model, LAYER, threshold=float(scores.sort().values[1:3].mean())).explain(
        (a, b)
    ), model


@pytest.mark.parametrize("comparison", ["euclidean", "cosine"])
def test_parts_are_split_by_the_decision_and_add_up(comparison: str) -> None:
    found, model = maps_of(comparison)
    close = found.scores >= found.threshold if model.higher_is_closer else found.scores <= found.threshold
    assert found.alike == tuple(close.tolist())
    assert 0 < sum(found.alike) < len(found)
    for factual, against, whole in zip(found.factual, found.counterfactual, found.maps, strict=True):
        assert torch.equal(factual + against, whole)
        for i, alike in enumerate(found.alike):
            assert bool((factual[i] >= 0).all()) if alike else bool((factual[i] <= 0).all())
            assert not bool((factual[i] * against[i]).any())


def test_swapping_the_inputs_swaps_everything() -> None:
    found, model = maps_of()
    turned = PairCounterfactualMaps(model, LAYER, threshold=found.threshold).explain(images(5)[::-1])
    for one, two in ((found.factual, turned.factual), (found.counterfactual, turned.counterfactual)):
        torch.testing.assert_close(one[0], two[1])
        torch.testing.assert_close(one[1], two[0])


def grad_cam(model: SiameseModel, a: Tensor, b: Tensor, sign: float) -> list[Tensor]:
    """relu of Grad-CAM of sign * distance on each branch, from two encoders that share nothing; over its maximum."""
    kept, layers = [], []
    for item in (a, b):
        layers.append(model.encoder[: int(LAYER) + 1](item).detach().requires_grad_())
        kept.append(model.encoder[int(LAYER) + 1 :](layers[-1]))
    (sign * (kept[0] - kept[1]).square().sum(1).sqrt()).sum().backward()
    heats = [
        (layer.grad.mean((2, 3), keepdim=True) * layer.detach()).sum(1, keepdim=True).relu()
        for layer in layers
        if layer.grad is not None
    ]
    return [heat / heat.amax((1, 2, 3), keepdim=True).clamp_min(1e-300) for heat in heats]


def test_the_published_form_has_each_branch_its_own_gradients() -> None:
    model = SiameseModel(conv_encoder(), "euclidean")
    a, b = images(4)
    found = PairCounterfactualMaps(model, LAYER).explain((a, b), form="livieris")
    assert found.alike == ()
    for published, sign in ((found.factual, 1.0), (found.counterfactual, -1.0)):
        for map_, expected in zip(published, grad_cam(model, a, b, sign), strict=True):
            torch.testing.assert_close(map_, expected)


def test_a_saturated_distance_gives_no_nan() -> None:
    encoder, pair = conv_encoder(), images(3)
    saturated = SiameseModel(encoder, ClampedEuclidean(1e-3))
    with pytest.warns(UserWarning, match="clamped"):
        found = PairCounterfactualMaps(saturated, LAYER).explain(pair, form="livieris")
    plain = PairCounterfactualMaps(SiameseModel(encoder, "euclidean"), LAYER).explain(pair, form="livieris")
    for one, two in zip(found.factual, plain.factual, strict=True):
        assert bool(torch.isfinite(one).all())
        torch.testing.assert_close(one, two)


def test_a_zero_map_is_zero_with_a_warning() -> None:
    a, _ = images(1)
    found = PairCounterfactualMaps(SiameseModel(conv_encoder(), "euclidean"), LAYER).explain(
        (a, a.clone()), form="livieris"
    )
    with pytest.warns(UserWarning, match=r"the factual map of 1 pair\(s\) is zero"):
        assert not bool(found.factual[0].any())


def test_rows_and_files_keep_the_decision(tmp_path: Path) -> None:
    found, _ = maps_of()
    assert found[3].alike == found.alike[3:4]
    assert torch.equal(found[1:3].factual[1], found.factual[1][1:3])
    loaded = DecisionMaps.load(found.save(tmp_path / "maps.safetensors"))
    assert isinstance(loaded, DecisionMaps)
    assert (loaded.alike, loaded.threshold, loaded.form) == (found.alike, found.threshold, found.form)
    assert torch.equal(loaded.counterfactual[0], found.counterfactual[0])
    assert loaded.summary().count(": alike: ") == sum(found.alike)


@pytest.mark.parametrize("form", ["signed", "livieris"])
def test_drawn(form: str) -> None:
    pytest.importorskip("matplotlib")
    found, model = maps_of()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        figure = PairCounterfactualMaps(model, LAYER, threshold=found.threshold).explain(images(2), form=form).plot()  # type: ignore[arg-type]
    assert len(figure.axes) == 12


def test_errors() -> None:
    explainer = PairCounterfactualMaps(SiameseModel(conv_encoder(), "cosine"), LAYER)
    with pytest.raises(ValueError, match="no threshold is known"):
        explainer.explain(images(1))
    with pytest.raises(ValueError, match="this model's score is a similarity"):
        explainer.explain(images(1), form="livieris")
    with pytest.raises(ValueError, match="form='published'"):
        explainer.explain(images(1), form="published")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="leave out target"):
        explainer.explain(images(1), 0)
