"""Minimal masks: the hard mask is what flips, for every replacement, and a batch equals a loop."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.problems import conv_encoder, images
from xsiamese import SiameseModel
from xsiamese_counterfactual import PairMinimalMask
from xsiamese_counterfactual.filling import blurred
from xsiamese_counterfactual.relaxation import regions


def model_and_threshold(pairs: int = 4) -> tuple[SiameseModel, tuple[Tensor, Tensor], float]:
    model = SiameseModel(conv_encoder(), "euclidean")
    a, b = images(pairs, size=16)
    with torch.no_grad():
        scores = model(a, b).sort().values
    return model, (a, b), float(scores[pairs // 2 - 1 : pairs // 2 + 1].mean())


@pytest.mark.parametrize("replacement", ["auto", "blur", "mean", "partner", "noise"])
def test_the_score_is_that_of_the_hard_mask(replacement: str) -> None:
    model, pair, threshold = model_and_threshold()
    found = PairMinimalMask(model, threshold=threshold).find(pair, replacement=replacement, steps=40)
    for one in found:
        assert one.mask is not None
        side = "ab".index(one.side)
        with torch.no_grad():
            assert one.score_after == pytest.approx(float(model(*one.edited)))
        assert one.flipped == ((one.score_after <= threshold) != one.alike_before)
        assert torch.equal(one.edited[1 - side], one.inputs[1 - side])
        changed = (one.edited[side] != one.inputs[side]).any(1, keepdim=True)
        assert not bool((changed & ~one.mask).any())
        assert one.size == pytest.approx(float(one.mask.double().mean()))
        assert one.flipped or one.reason
    if replacement in ("auto", "partner"):
        assert all(one.flipped for one in found if not one.alike_before)


def test_a_batch_is_a_loop_and_the_batch_size_changes_nothing() -> None:
    model, (a, b), threshold = model_and_threshold(3)
    search = PairMinimalMask(model, threshold=threshold)
    whole, parts = search.find((a, b), steps=20), search.find((a, b), steps=20, internal_batch_size=1)
    alone = [search.find((a[i : i + 1], b[i : i + 1]), steps=20)[0] for i in range(3)]
    for one, two, three in zip(whole, parts, alone, strict=True):
        for other in (two, three):
            assert one.mask is not None
            assert other.mask is not None
            assert torch.equal(one.mask, other.mask)
            assert one.score_after == pytest.approx(other.score_after)


def test_it_is_small_where_little_decides() -> None:
    """The score sees one quarter of the image only: the mask need not be larger, and lies there."""
    model = SiameseModel(Quarter(), "euclidean")
    a = torch.zeros(1, 1, 16, 16).double()
    b = a.clone()
    b[..., :8, :8] = 1
    one = PairMinimalMask(model, threshold=0.5).find((a, b), wrt="second", replacement="partner", steps=80)[0]
    assert one.flipped
    assert one.mask is not None
    assert float(one.mask[..., :8, :8].sum() / one.mask.sum()) > 0.85
    assert one.size <= 0.2


class Quarter(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[..., :8, :8].mean((2, 3))


def test_what_cannot_be_flipped_is_said() -> None:
    model, pair, _ = model_and_threshold(2)
    found = PairMinimalMask(model, threshold=1e9).find(pair, steps=5)
    assert all(not one.flipped and one.alike_before and "another replacement" in one.reason for one in found)
    assert all(one.score_after >= one.score_before for one in found)


def test_as_maps_and_explanation() -> None:
    model, pair, threshold = model_and_threshold(2)
    explanation = PairMinimalMask(model, threshold=threshold).explain(pair, wrt="first", steps=20)
    for i, one in enumerate(explanation.counterfactuals):
        assert float(explanation.maps[0][i].sum()) == pytest.approx(one.score_after - one.score_before)
    assert not bool(explanation.maps[1].any())


def test_regions_and_blur() -> None:
    mask = torch.zeros(6, 7, dtype=torch.bool)
    assert regions(mask) == 0
    mask[0, :5], mask[:, 0], mask[5, 3:6], mask[2, 2] = True, True, True, True
    assert regions(mask) == 3
    mask[3, 3] = True  # a corner does not connect
    assert regions(mask) == 4
    assert torch.allclose(blurred(torch.full((1, 2, 9, 9), 3.0)), torch.tensor(3.0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"replacement": "black"}, "replacement='black'"),
        ({"steps": 0}, "steps=0"),
        ({"grid": 1}, "grid=1"),
        ({"l1": -1.0}, "l1=-1.0"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    model, pair, threshold = model_and_threshold(2)
    with pytest.raises(ValueError, match=message):
        PairMinimalMask(model, threshold=threshold).find(pair, **options)


def test_images_are_needed() -> None:
    with pytest.raises(TypeError, match=r"PairMinimalMask does not explain a row, and input a is one"):
        PairMinimalMask(SiameseModel(nn.Identity()), threshold=0.5).find((torch.zeros(1, 3), torch.ones(1, 3)))


def test_a_partner_of_another_size_cannot_be_shown() -> None:
    model = SiameseModel(nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()), "dot")
    said = "replacement='partner' needs images of one shape: a and b are (1, 1, 8, 8) and (1, 1, 9, 9)"
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        PairMinimalMask(model, threshold=0.5).find(
            (torch.rand(1, 1, 8, 8), torch.rand(1, 1, 9, 9)), wrt="first", replacement="partner"
        )
