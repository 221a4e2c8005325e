"""Parts of models against values by hand: what a model is by itself, odd comparisons, and what is said of files."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from xsiamese import SiameseModel, TwoInputModel
from xsiamese.model.comparison import Comparison, Function, Learned
from xsiamese.model.decision import Decision
from xsiamese.model.pair import PairModel, pair_model


class Bare(PairModel):
    """Says nothing of itself."""

    def forward(self, a: Any, b: Any, *extra: Any) -> Any:
        return (a * b).sum(1)


class Plain(Comparison):
    name = "plain"

    def forward(self, z_a: Tensor, z_b: Tensor) -> Tensor:
        return z_a[:, 0] - z_b[:, 0]


def test_what_a_model_is_that_says_nothing_of_itself() -> None:
    model, a, b = Bare(), torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]])
    assert (model.higher_is_closer, model.factored, model.modality) == (True, False, "image")
    assert (model.background, model.typical) == (None, None)
    assert model.explained(a, b).tolist() == [11.0]
    assert model.taken("ab") == "ab"
    assert model.reported(a) is a
    assert model.closeness(3.0) == 3.0
    assert model.called_with(("a", "b")) is model
    assert pair_model(model, higher_is_closer=True) is pair_model(model) is model
    away = pair_model(model, higher_is_closer=False)
    assert (away.higher_is_closer, model.higher_is_closer, away.closeness(3.0)) == (False, True, -3.0)
    assert away.decision(2.0) == Decision(2.0, higher_is_closer=False)
    with pytest.raises(ValueError, match=r"^no threshold is known for this Bare, so there is no decision: find one "):
        model.decision()
    assert SiameseModel(nn.Identity()).factored
    comparison = Plain()
    assert (comparison.higher_is_closer, comparison.threshold_) == (True, None)
    assert comparison.explained(a, b).tolist() == [-2.0]
    assert comparison.reported(a) is a
    comparison.threshold_ = -2.0
    assert comparison.is_close(torch.tensor([-3.0, -2.0, 1.0])).tolist() == [False, True, True]
    model = SiameseModel(nn.Identity(), comparison)  # type: ignore[assignment]
    assert model.decision() == Decision(-2.0)
    assert model.decision(threshold=0.0) == Decision(0.0)  # what is given goes first, also where it is nothing


def test_a_function_is_looked_at_for_a_distance_only_where_that_can_be_told() -> None:
    """It gives nothing of an embedding and itself, or there is no pair."""
    a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        of_two: Any = lambda u, v: None if u is v else (u - v).abs().sum(1)  # noqa: E731
        assert SiameseModel(nn.Identity(), of_two)(a, b).tolist() == [4.0]
        model = SiameseModel(nn.Identity(), lambda u, v: (u - v).abs().sum(1))
        assert model(a[:0], b[:0]).shape == (0,)
        told = SiameseModel(nn.Identity(), lambda u, v: (u - v).abs().sum(1), higher_is_closer=True)
        assert told(a, b).tolist() == [4.0]
    with pytest.warns(UserWarning, match="^the comparison gives 0 for equal embeddings and more for others"):
        Function(lambda u, v: (u - v).abs().sum(1))(a, b)


def test_how_a_head_is_given_two_embeddings() -> None:
    u, v = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -4.0]])

    class Shown(nn.Module):
        def forward(self, joined: Tensor) -> Tensor:
            return joined @ torch.tensor([1.0, 10.0, 100.0, 1000.0])[: joined.shape[1]]

    for join, value in (("absolute_difference", 62.0), ("product", -77.0), ("concat", 1.0 + 20 + 300 - 4000)):
        head = Learned(Shown(), join)  # type: ignore[arg-type]
        assert head(u, v).tolist() == [value]
        assert head.higher_is_closer
    assert Learned(Shown()).join == "absolute_difference"
    assert Learned(nn.Linear(2, 1))(u, v).shape == (1,)
    assert not Learned(Shown(), higher_is_closer=False).higher_is_closer


def test_a_model_of_two_inputs_for_a_mapping_is_as_it_was() -> None:
    """Its mode, its background and its typical rows go on; the user's module is not touched."""

    class Named(nn.Module):
        def forward(self, pair: Any) -> Tensor:
            return pair["x"] - pair["y"]  # type: ignore[no-any-return]

    inner = Named().eval()
    model = TwoInputModel(inner, higher_is_closer=False)
    model.training, model.background, model.typical = False, (0.5,), torch.ones(1, 1)
    other = model.called_with(("x", "y"))
    assert (other.training, other.background, other.higher_is_closer) == (False, (0.5,), False)
    assert other.typical is model.typical
    assert other(torch.tensor([5.0]), torch.tensor([2.0])).tolist() == [3.0]
    assert other.model is inner
    assert not inner.training
    wrapped = pair_model(inner)
    assert not wrapped.training  # as the module is
    assert pair_model(Named().train()).training
