"""Paths that start at nothing are told: what the maps should sum to is worked out from the model's own scores."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests import problems
from xsiamese import (
    PairDeepLift,
    PairDeepLiftShap,
    PairGradientShap,
    PairIntegratedGradients,
    PairLayerConductance,
    PairLayerDeepLift,
    PairLayerGradientXActivation,
    PairLayerIntegratedGradients,
    PairShapleyValues,
    SiameseModel,
)

ROWS = (
    PairIntegratedGradients,
    PairDeepLift,
    PairDeepLiftShap,
    PairGradientShap,
    partial(PairLayerConductance, layer="0"),
    partial(PairLayerIntegratedGradients, layer="0"),
)


class Normalised(nn.Module):
    """An encoder that brings its embedding to length 1 itself."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.normalize(x)


class Words(nn.Module):
    """The mean of the vectors of tokens, where id 0 is nothing."""

    def __init__(self, normalises: bool = False, nothing: int | None = 0) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.embedding = nn.Embedding(9, 5, padding_idx=nothing)
        self.normalises = normalises

    def forward(self, ids: Tensor) -> Tensor:
        mean = self.embedding(ids).mean(1)
        return nn.functional.normalize(mean) if self.normalises else mean


def rows(*, bias: bool = False) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8, bias=bias), nn.ReLU(), nn.Linear(8, 4, bias=bias))


def pair() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(2, 6), torch.randn(2, 6)


def said(make: Any, model: SiameseModel, inputs: Any, **options: Any) -> tuple[list[str], Any]:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        found = make(model).explain(inputs, **options)
    return [str(one.message) for one in seen], found


@pytest.mark.parametrize("make", ROWS)
def test_maps_from_a_start_without_a_score_are_told_whatever_the_method(make: Any) -> None:
    model = SiameseModel(rows(), "cosine")
    inputs = pair()
    with torch.no_grad():
        whole = float(2 * model(*inputs)[0])  # each side alone, from a score of nothing, which is 0
    told, found = said(make, model, inputs)
    assert abs(float(found.maps[0][0].sum() + found.maps[1][0].sum()) - whole) > 0.9 * abs(whole)
    assert len(told) == 1, told
    assert f"in all, and should to {whole:.2g}, by which the score changes" in told[0]
    assert "the embedding of a is zero at the baselines, where a cosine has no value (0/0)" in told[0]


@pytest.mark.parametrize("make", ROWS)
def test_where_the_start_has_a_score_nothing_is_said(make: Any) -> None:
    starts = pair()[::-1]
    for model in (
        SiameseModel(rows(bias=True), "cosine"),
        SiameseModel(rows(), "euclidean"),
        SiameseModel(rows(), "dot"),
    ):
        assert said(make, model, pair())[0] == []
    if make not in (PairDeepLiftShap, PairGradientShap):  # which take samples
        assert said(make, SiameseModel(rows(), "cosine"), pair(), baselines=starts)[0] == []


def test_an_encoder_that_normalises_by_itself_is_told_with_any_comparison() -> None:
    for comparison in ("dot", "euclidean"):
        told, _ = said(PairIntegratedGradients, SiameseModel(nn.Sequential(*rows(), Normalised()), comparison), pair())
        assert len(told) == 1
        assert "is zero at the baselines" in told[0]


def test_slopes_and_several_layers_are_no_shares_and_told_nothing() -> None:
    model = SiameseModel(rows(), "cosine")
    assert said(PairIntegratedGradients, model, pair(), multiply_by_inputs=False)[0] == []
    assert said(partial(PairLayerIntegratedGradients, layer=["0", "2"]), model, pair())[0] == []


def test_a_path_of_too_few_steps_is_told_with_how_to_take_more() -> None:
    model, inputs = SiameseModel(rows()[:1], "squared_euclidean"), pair()
    told, found = said(PairIntegratedGradients, model, inputs, n_steps=2, method="riemann_left")
    delta = found.delta
    assert delta is not None
    assert float(delta.abs().max()) > 0.5  # of two slopes, the first at the start
    assert any("take more n_steps=" in one for one in told), told
    assert said(PairIntegratedGradients, model, inputs, n_steps=200)[0] == []


WORDS = ((PairLayerIntegratedGradients, False), (PairLayerIntegratedGradients, True), (PairLayerDeepLift, False))


@pytest.mark.parametrize(("make", "normalises"), WORDS)
def test_words_that_start_at_padding_are_told(make: Any, normalises: bool) -> None:
    inputs = torch.tensor([[1, 2, 3]]), torch.tensor([[4, 2, 5]])
    model = SiameseModel(Words(normalises), "dot" if normalises else "cosine")
    told, _ = said(make, model, inputs)
    assert len(told) == 1
    assert "is zero at the baselines" in told[0]
    assert said(make, model, inputs, baselines=(8, 8))[0] == []  # another word has a vector
    assert said(make, SiameseModel(Words(normalises, None), "cosine"), inputs)[0] == []


def test_a_single_word_whose_vector_cancels_is_told() -> None:
    model = SiameseModel(Words(), "cosine")
    told, _ = said(PairLayerGradientXActivation, model, (torch.tensor([[1], [1]]), torch.tensor([[4], [5]])))
    assert [one[:52] for one in told] == [f"the map of {name} is zero for each token of pair 0, 1: wh" for name in "ab"]
    inputs = torch.tensor([[1, 2]]), torch.tensor([[4, 5]])
    assert said(PairLayerGradientXActivation, model, inputs)[0] == []


def test_what_is_named_in_their_place_sums_to_the_score() -> None:
    model, inputs = SiameseModel(rows(), "cosine"), pair()
    told, found = said(PairShapleyValues, model, inputs)
    assert told == []
    for value in found.maps:
        assert torch.allclose(value.sum(1), found.scores, atol=1e-5)
    images = SiameseModel(problems.conv_encoder(), "cosine")
    assert said(PairIntegratedGradients, images, problems.images(2))[0] == []
