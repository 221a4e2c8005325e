"""Parts of models against values by hand: what a model is by itself, odd comparisons, and what is said of files."""

from __future__ import annotations

import warnings
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence

from xsiamese import SiameseModel, TwoInputModel
from xsiamese.model.called import convention
from xsiamese.model.comparison import Comparison, Function, Learned
from xsiamese.model.decision import Decision
from xsiamese.model.embedding import embedding_of
from xsiamese.model.known import warn_if_distance
from xsiamese.model.onnx import Session
from xsiamese.model.pair import PairModel
from xsiamese.model.wrapped import pair_model

A = torch.tensor([[1.0, 2.0]])


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


def test_the_mean_of_the_tokens_that_are_kept() -> None:
    """Of none, one and both of two; without a mask of all. The mask is the item's, or else the output's."""
    hidden = torch.tensor([[[1.0, 2.0], [5.0, 8.0]]]).expand(3, 2, 2)
    mask = torch.tensor([[0, 0], [1, 0], [1, 1]])
    kept, every = [[0.0, 0.0], [1.0, 2.0], [3.0, 5.0]], [[3.0, 5.0]] * 3
    outputs: list[tuple[Any, Any, Any]] = [
        ({"last_hidden_state": hidden}, {"attention_mask": mask}, kept),
        ({"last_hidden_state": hidden}, {"attention_mask": "none"}, every),
        ({"last_hidden_state": hidden}, {"input_ids": mask}, every),
        ({"last_hidden_state": hidden, "attention_mask": mask}, None, kept),
        ({"token_embeddings": hidden}, mask, every),
        ({"token_embeddings": hidden, "pooler_output": hidden[:, 0]}, None, [[1.0, 2.0]] * 3),
        ({"last_hidden_state": hidden[:, 0], "loss": None}, None, [[1.0, 2.0]] * 3),  # the only tensor
    ]
    for output, item, expected in outputs:
        assert embedding_of(output, None, item).tolist() == expected, output.keys()
    assert embedding_of({"x": 1, "y": 2}, 1) == embedding_of((1, 2), -1) == embedding_of({"y": 2}, "y") == 2
    assert embedding_of(Bare(), "modality") == "image"  # an attribute of what has no names
    wrong: list[tuple[Any, Any, str]] = [
        ({"x": 1, "y": A}, "z", "embedding='z': the encoder returned 'x' int, 'y' (1, 2)"),
        ((A, 1), 2, "embedding=2: the encoder returned a tuple of (1, 2), int"),
        ([A], "x", "embedding='x': the encoder returned a list of (1, 2)"),
        ({"x": 1}, 1, "embedding=1: the encoder returned 'x' int"),
        (A, "x", "embedding='x': the encoder returned a (1, 2)"),
    ]
    for output, choice, said in wrong:
        with pytest.raises(ValueError) as error:
            embedding_of(output, choice)
        assert str(error.value) == said


def test_a_model_is_told_which_way_it_goes() -> None:
    """Its comparison where that is a function, which is copied; one that is known is not told otherwise."""
    of_two = SiameseModel(nn.Identity(), lambda u, v: u[:, 0] - v[:, 0], higher_is_closer=True)
    away = pair_model(of_two, higher_is_closer=False)
    assert (away.higher_is_closer, of_two.higher_is_closer) == (False, True)
    assert away.comparison is not of_two.comparison
    assert away.encoder is of_two.encoder
    whole = TwoInputModel(lambda a, b: a[:, 0] - b[:, 0])
    away = pair_model(whole, higher_is_closer=False)
    assert (away.higher_is_closer, whole.higher_is_closer) == (False, True)
    both = TwoInputModel(lambda a, b: (a, b), lambda u, v: u[:, 0] - v[:, 0], higher_is_closer=True)
    away = pair_model(both, higher_is_closer=False)
    assert (away.higher_is_closer, away.comparison.higher_is_closer) == (False, False)  # type: ignore[union-attr]
    assert (both.higher_is_closer, both.comparison.higher_is_closer) == (True, True)  # type: ignore[union-attr]
    for model in (SiameseModel(nn.Identity(), "euclidean"), TwoInputModel(lambda a, b: (a, b), "euclidean")):
        with pytest.raises(ValueError, match=r"^in euclidean lower is closer: leave out higher_is_closer=$"):
            pair_model(model, higher_is_closer=True)
        assert pair_model(model, higher_is_closer=False) is model


def test_what_a_session_takes() -> None:
    class Runs:
        def run(self, names: Any, arrays: Any) -> Any:
            if arrays["x"].shape[0] == 3:
                raise RuntimeError("not three\nat all")
            return [arrays["x"] * 2, arrays["y"]]

    session = Session.__new__(Session)
    session.path, session.inputs = Path("place/model.onnx"), [("x", np.float32), ("y", None)]
    session._session = Runs()
    x, y = np.ones((2, 1), np.int64), np.ones((2, 1), np.int16)
    for found in (session(x, y), session(x, y=y), session(y=y, x=x)):
        assert found.dtype == np.float32
        assert found.tolist() == [[2.0], [2.0]]
    for items, named, got in (
        ((x,), {}, "1 inputs"), ((x, y, x), {}, "3 inputs"), ((), {}, "0 inputs"), ((x,), {"z": y, "w": y}, "z, w"),
    ):  # fmt: skip
        with pytest.raises(ValueError) as error:
            session(*items, **named)
        assert str(error.value) == f"model.onnx takes x, y, and got {got}"
    with pytest.raises(ValueError, match=r"^model.onnx does not take x \(3, 1\), y \(2, 1\): not three$"):
        session(np.ones((3, 1)), y)


def test_which_callables_take_a_pair_as_two_and_which_as_one() -> None:
    class OfRest(nn.Module):
        def forward(self, first: Any, *rest: Any) -> Any:
            return first, rest

    class Named(nn.Module):
        def forward(self, *, left: Any, right: Any, scale: float = 1.0) -> Any:
            return left, right, scale

    class Three(nn.Module):
        def forward(self, *, left: Any, right: Any, more: Any) -> Any:
            return left, right, more

    class Mixed(nn.Module):
        def forward(self, pair: Any, *, left: Any, right: Any) -> Any:
            return pair, left, right

    for model, call in (
        (lambda a, b: a, "two"), (lambda pair: pair, "tuple"), (lambda *pair: pair, "two"), (OfRest(), "two"),
        (lambda pair, scale=1: pair, "two"), (Named(), ("left", "right")), (Three(), "two"), (Mixed(), "tuple"),
        (max, "two"),
    ):  # fmt: skip
        assert convention(model) == call
    taken = TwoInputModel(lambda a, b, *more, **named: (a, b, more, named))
    assert taken(1, 2, 3, 4) == (1, 2, (3, 4), {})
    assert taken(1, 2, {"x": 3}, 4) == (1, 2, (4,), {"x": 3})


def test_outputs_with_names_are_taken_by_name_and_packed_ones_are_one() -> None:
    out = namedtuple("out", ["last_hidden_state", "pooler_output"])
    hidden, pooled = torch.rand(1, 2, 3), torch.rand(1, 3)
    assert embedding_of(out(hidden, pooled)) is pooled
    assert embedding_of(out(hidden, None)).tolist() == hidden.mean(1).tolist()
    assert embedding_of(out(hidden, pooled), "last_hidden_state") is hidden
    packed = pack_sequence([torch.rand(2, 3), torch.rand(1, 3)])
    assert embedding_of(packed) is packed


@pytest.mark.parametrize("why", ["compiled", "traced", "no numbers", "nothing"])
def test_where_a_function_is_not_looked_at(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]])
    score: Any = torch.tensor([4.0]) if why != "no numbers" else [4.0]
    if why == "compiled":
        monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    if why == "traced":
        monkeypatch.setattr(torch._C, "_get_tracing_state", object)
    asked: list[Tensor] = []

    def function(u: Tensor, v: Tensor) -> Tensor:
        asked.append(u)
        return (u - v).abs().sum(1)

    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        comparison = nn.Identity()
        for _ in range(2):
            warn_if_distance(comparison, function, a, b, score)
    assert len(asked) == len(found) == (why == "nothing")  # once for each comparison


def test_each_side_has_its_own_encoder_if_there_are_two() -> None:
    """a is doubled, b is turned round: 2 * (1, 2) . -(3, 5)."""
    double, turn = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
    nn.init.eye_(double.weight).data.mul_(2), nn.init.eye_(turn.weight).data.mul_(-1)
    model = SiameseModel((double, turn), "dot")
    a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 5.0]])
    assert model(a, b).tolist() == [-26.0]
    assert model.explained(a, b).tolist() == [-26.0]
    assert (model.encode(a, 0).tolist(), model.encode(a, 1).tolist()) == ([[2.0, 4.0]], [[-1.0, -2.0]])
    with pytest.raises(TypeError, match=r"a ModuleDict has no forward, it only holds modules \(x\): give one of them"):
        TwoInputModel(nn.ModuleDict({"x": nn.Linear(2, 2)}))
