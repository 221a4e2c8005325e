"""Parts of the core against numbers by hand: how maps are joined and told apart, foils, fingerprints, defaults."""

from __future__ import annotations

import warnings
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from xsiamese import PairInputXGradient, PairMatrix, PairSaliency, SiameseModel, calibrate
from xsiamese.explain.digest import checksum, digest
from xsiamese.explain.maps import check_map, detached, in_dtype, join
from xsiamese.explain.options import _read
from xsiamese.explain.per_tensor import _windows, per_tensor, total_of_groups
from xsiamese.explain.traits import Declared, Traits, compiled
from xsiamese.kinds.catalogue import kind
from xsiamese.model.embedding import embedding_of
from xsiamese.pairs.calibration import supported
from xsiamese.result.cells import strongest
from xsiamese.result.columns import check, joined, taken
from xsiamese.result.files import _distribution
from xsiamese.result.indexing import chosen
from xsiamese.result.stored import header

A, P, N = (torch.tensor([row]).double() for row in ([1.0, 2.0, 3.0], [4.0, 0.0, -1.0], [0.5, 1.0, 2.0]))


@pytest.mark.parametrize("trait", fields(Traits), ids=lambda trait: trait.name)
def test_a_trait_has_one_default(trait: Any) -> None:
    """It is written twice, for those who read a class and for those who read its traits."""
    assert getattr(Traits(), trait.name) == getattr(Declared, trait.name) == getattr(compiled(Declared), trait.name)


def test_of_a_difference_each_map_is_that_of_its_own_pair() -> None:
    """s = a . b: the map of a is a (p - n), that of p is a p, and that of n is what a n takes away."""
    explainer = PairInputXGradient(SiameseModel(nn.Identity(), "dot"))
    for found in (explainer.explain((A, P), against=N), explainer.explain((A, P, N))):
        assert found.maps[0].tolist() == (A * (P - N)).tolist()
        assert found.maps[1].tolist() == (A * P).tolist()
        assert found.foil_map.tolist() == (-A * N).tolist()  # type: ignore[attr-defined]
        assert found.scores.tolist() == [1.0]
        assert found.foil_scores.tolist() == [8.5]  # type: ignore[attr-defined]
        assert found.foil.tolist() == N.tolist()  # type: ignore[attr-defined]
        assert found.parameters["against"] == "foil"
        title, row, *_ = found.summary().split("\n")
        assert "against the foil" not in title
        assert row.endswith(", -7.5 against the foil")


def test_parts_of_a_batch_are_joined_in_their_order() -> None:
    parts = [
        ((torch.full((n, 1), float(k)), torch.full((n, 2), 10.0 * k)), torch.full((n, 3), -float(k)))
        for k, n in ((1, 2), (2, 1))
    ]
    (first, second), third = join(parts, False)
    assert first.flatten().tolist() == [1.0, 1.0, 2.0]
    assert second[:, 1].tolist() == [10.0, 10.0, 20.0]
    assert third[:, 2].tolist() == [-1.0, -1.0, -2.0]
    one = torch.ones(1, requires_grad=True)
    assert [join([(one * 2, one)], keep)[0].requires_grad for keep in (True, False)] == [True, False]


def test_types_and_graphs_of_maps() -> None:
    given = (torch.ones(1, dtype=torch.float64), [torch.ones(1, dtype=torch.float64)])
    made = in_dtype(given, torch.float32)
    assert (type(made), type(made[1])) == (tuple, list)
    assert made[0].dtype == made[1][0].dtype == torch.float32
    assert in_dtype(given, torch.int64)[0].dtype == torch.float64
    graph = torch.ones(1, requires_grad=True) * 2
    assert not any(t.requires_grad for t in (detached(graph), *detached([graph, graph])))
    assert detached("text") == "text"


def test_what_is_said_of_a_map() -> None:
    def told(value: Any, why: Any = lambda: "the score is flat", least: float = 0.0) -> list[str]:
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            check_map(value, "b", "PairX", why, least)
        return [str(one.message) for one in found]

    zero, one = torch.zeros(2), torch.tensor([0.0, 1.0])
    assert told(one) == []
    assert told(zero) == ["the score is flat"]
    assert told(-one * 1e-9) == []
    assert told(-one * 1e-9, least=1e-9) == ["the score is flat"]
    assert told((zero, one)) == []
    assert told((zero, zero)) == ["the score is flat"]
    assert told(zero, None) == []
    for wrong in (torch.tensor([torch.nan, 0.0]), torch.tensor([1.0, torch.inf]), (one, torch.tensor([-torch.inf]))):
        assert told(wrong) == [
            "PairX gave NaN or infinite values for input b: the model's gradients are not finite at this pair"
        ]


def test_equal_items_are_named() -> None:
    explainer = PairSaliency(SiameseModel(nn.Identity(), "dot"))
    rows = torch.arange(8.0).reshape(4, 2)
    with pytest.warns(UserWarning, match="a and b are equal in pair 1, 3: the score is stationary"):
        explainer.attribute((rows, torch.stack([rows[0] + 1, rows[1], rows[2] - 1, rows[3]])))


def test_fingerprints_tell_what_differs() -> None:
    base = torch.arange(6.0)
    others = {
        "as it is": [base], "again": [base.clone()], "turned": [base.reshape(2, 3)], "of another type": [base.double()],
        "one number": [base + torch.eye(6)[2]], "two": [base, base], "in two": [base[:3], base[3:]],
        "swapped": [base[3:], base[:3]], "none": [],
    }  # fmt: skip
    made = {name: digest(tensors).hexdigest() for name, tensors in others.items()}
    assert made["as it is"] == made["again"]
    assert len(set(made.values())) == len(made) - 1
    assert len(made["none"]) == 32  # 16 bytes
    begun = digest([base[:3]])
    assert digest([base[3:]], begun).hexdigest() == made["in two"]
    assert digest([base[3:]], begun).hexdigest() == made["in two"]  # which is not changed by going on
    assert checksum(base) == checksum(base.reshape(2, 3).clone())
    assert checksum(base) != checksum(base + 1)
    assert checksum(torch.eye(3)[:, 1]) == checksum(torch.eye(3)[1])  # of numbers, wherever they lie


def test_a_window_for_each_tensor_of_each_side() -> None:
    assert _windows("strides", 2, 0, 3) == (2, 2, 2)
    assert _windows("strides", (1, 3), 1, 2) == ((1, 3), (1, 3))  # the numbers of one window
    assert _windows("strides", ((1,), (2,)), 0, 2) == ((1,), (1,))
    assert _windows("strides", ((1,), (2,)), 1, 2) == ((2,), (2,))
    assert _windows("strides", ((1,), ((2,), (3,))), 1, 2) == ((2,), (3,))
    with pytest.raises(ValueError, match="one for all, or a pair"):
        _windows("strides", ((1,), (2,), (3,)), 0, 1)
    with pytest.raises(ValueError, match="holds 1 for the 2 tensors of b"):
        _windows("strides", ((1,), ((2,),)), 1, 2)


@pytest.mark.parametrize(("joint", "expected"), [(False, [13.0, 136.0]), (True, [8.0, 81.0])])
def test_a_group_counts_once(joint: bool, expected: list[float]) -> None:
    """Groups 0 and 1 of a are worth 1 and 2, groups 1 and 4 of b 5 each, where 1 may be that of a."""
    maps = (
        torch.tensor([[1.0, 2.0, 2.0], [10.0, 20.0, 20.0]]),
        torch.tensor([[5.0, 5.0, 5.0], [55.0, 51.0, 55.0]]),
    )
    masks = torch.tensor([[0, 1, 1]]), torch.tensor([[1, 4, 1]])
    found = total_of_groups(maps, {"feature_mask": masks, "joint": joint})
    assert found is not None
    assert found.tolist() == expected
    assert total_of_groups(maps, {}) is None
    with pytest.raises(ValueError, match="must be a pair"):
        total_of_groups(maps, {"feature_mask": masks[:1]})


def test_features_of_the_two_sides_are_numbered_apart_unless_they_are_one_game() -> None:
    explainer = PairInputXGradient(SiameseModel(nn.Identity(), "dot"))
    masks = torch.tensor([[7, 3, 7]]), torch.tensor([[3, 9, 9]])
    with explainer.prepared((A, P)) as batch:
        apart = per_tensor(batch, {"feature_mask": masks})["feature_mask"]
        joint = per_tensor(batch, {"feature_mask": masks, "joint": True})["feature_mask"]
        assert [mask.tolist() for mask in apart] == [[[1, 0, 1]], [[2, 3, 3]]]
        assert [mask.tolist() for mask in joint] == [[[1, 0, 1]], [[0, 2, 2]]]
        assert per_tensor(batch, {"strides": ((1,), (2,))})["strides"] == ((1,), (2,))
        assert per_tensor(batch, {"other": 3}) == {"other": 3}
        with pytest.raises(ValueError, match="feature_mask holds 2 for the 1 tensors of a"):
            per_tensor(batch, {"feature_mask": ([masks[0]] * 2, masks[1])})
    with explainer.prepared((A, P), wrt="second") as batch:
        (only,) = per_tensor(batch, {"feature_mask": masks})["feature_mask"]
        assert only.tolist() == [[0, 1, 1]]


@pytest.mark.parametrize(("text", "wanted", "value"), [
    ("none", type(None), None), ("None", type(None), None), ("true", bool, True), ("Yes", bool, True),
    ("no", bool, False), ("false", bool, False), ("3", int, 3), ("1e-3", float, 0.001), ("a b", str, "a b"),
    ("sum", Literal["sum", "all"], "sum"), ("2", Literal[1, 2], 2), ("1,2,3", tuple[int, ...], (1, 2, 3)),
    ("1,2.5", tuple[int, float], (1, 2.5)),
])  # fmt: skip
def test_what_a_word_of_the_command_line_means(text: str, wanted: Any, value: Any) -> None:
    found = _read(text, wanted)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(("text", "wanted"), [
    ("nothing", type(None)), ("1", bool), ("3.5", int), ("x", float), ("mean", Literal["sum", "all"]),
    ("1,2,3", tuple[int, int]), ("x,1", tuple[int, ...]),
])  # fmt: skip
def test_words_that_mean_nothing(text: str, wanted: Any) -> None:
    with pytest.raises(ValueError, match=text.split(",1")[0]):
        _read(text, wanted)


@pytest.mark.parametrize(("index", "numbers"), [
    (0, [0]), (-1, [3]), (3, [3]), (-4, [0]), (slice(1, 3), [1, 2]), (slice(None, None, -2), [3, 1]),
    ([2, 0, 2], [2, 0, 2]), ([-1, 1], [3, 1]), ([True, False, True, False], [0, 2]), ([], []), (range(1, 4, 2), [1, 3]),
    (torch.tensor([1, 2]), [1, 2]), (torch.tensor(2), [2]), (np.array([False, True, True, False]), [1, 2]),
    (np.int64(2), [2]), ((False,) * 4, []),
])  # fmt: skip
def test_which_pairs_an_index_means(index: Any, numbers: list[int]) -> None:
    assert chosen(index, 4) == numbers


@pytest.mark.parametrize(("index", "error", "said"), [
    (4, IndexError, "no pair 4"), (-5, IndexError, "no pair -5"), ([0, 4], IndexError, "no pair 4"),
    ([True], IndexError, "a mask of 1 for 4 pairs"), (True, TypeError, "by pairs and True is a bool"),
    ("0", TypeError, "by pairs and '0' is a str"),
    (1.0, TypeError, "is a float"), ([0, 1.0], TypeError, "1.0 is a float"), ([0, True], TypeError, "True is a bool"),
    (None, TypeError, "NoneType"),
])  # fmt: skip
def test_what_means_no_pairs(index: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        chosen(index, 4)


def test_the_strongest_places_of_each_sign() -> None:
    maps = torch.tensor([[[1.0, -5.0, 0.0], [2.0, 0.5, -1.0]], [[-1.0, -2.0, -3.0], [0.0, 0.0, -4.0]]])
    found = {which: strongest(maps, 2, which, kind("row")) for which in ("closer", "apart")}
    assert found["closer"] == [[((1, 0), 2.0), ((0, 0), 1.0)], []]  # nothing of the second pulls together
    assert found["apart"] == [[((0, 1), -5.0), ((1, 2), -1.0)], [((1, 2), -4.0), ((0, 2), -3.0)]]
    assert strongest(maps, 3, "either", kind("row"))[0] == [((0, 1), -5.0), ((1, 0), 2.0), ((0, 0), 1.0)]
    assert len(strongest(maps, 99, "either", kind("row"))[0]) == 6
    assert len(strongest(maps, 99, "closer", kind("row"))[0]) == 3


def test_columns_are_joined_cut_and_refused() -> None:
    ragged = [{"x": torch.zeros(1, 2), "y": ["p"]}, {"x": torch.ones(2, 3), "y": ["q", "r"]}]
    made = joined(ragged)
    assert [tuple(one.shape) for one in made["x"]] == [(2,), (3,), (3,)]
    assert made["y"] == ("p", "q", "r")
    even = joined([{"x": torch.zeros(1, 2)}, {"x": torch.ones(2, 2)}])["x"]
    assert isinstance(even, torch.Tensor)
    assert even.tolist() == [[0.0, 0.0], [1.0, 1.0], [1.0, 1.0]]
    cut = taken({"x": even, "y": ("p", "q", "r")}, [2, 0])
    assert (cut["x"].tolist(), cut["y"]) == ([[1.0, 1.0], [0.0, 0.0]], ("r", "p"))  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="different columns"):
        joined([{"x": torch.zeros(1)}, {"y": torch.zeros(1)}])
    for column, said in (
        (torch.tensor(1.0), r"has \(\)"),
        (torch.zeros(2), r"has \(2,\) for 3"),
        ("abc", "is a str"),
        ([1], "1 entries"),
    ):
        with pytest.raises(ValueError, match=said):
            check({"x": column}, 3)
    check({"x": torch.zeros(3, 2), "y": [1, 2, 3]}, 3)


def test_matches_of_each_sign_however_small() -> None:
    matrix = PairMatrix.of(torch.tensor([[0.5, 0.0, 0.0], [0.0, 0.25, 0.0], [0.0, 0.0, -0.75]]))
    assert [match.value for match in matrix.matches()] == [0.5, 0.25]
    assert [match.value for match in matrix.matches(largest="apart")] == [-0.75]
    assert [(match.of_a, match.of_b) for match in matrix.matches()] == [((0,), (0,)), ((1,), (1,))]


def test_the_header_of_a_file(tmp_path: Path) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "one.safetensors", {"mine": '{"a": 3}'})
    assert header(tmp_path / "one.safetensors", "mine") == {"a": 3}
    assert header(tmp_path / "one.safetensors", "yours") is None


def test_whose_a_type_is() -> None:
    assert _distribution(type("Own", (), {"__module__": "other.inner.most"})) == "other"


def test_what_errors_can_be_supported_and_a_threshold_beyond_equal_scores() -> None:
    assert supported(28) == pytest.approx(3 / 28)
    assert supported(2) == 1
    model = SiameseModel(nn.Identity(), lambda u, v: (v - u)[:, 0], higher_is_closer=True)
    found = calibrate(model, torch.zeros(4, 1), torch.ones(4, 1), torch.tensor([1, 1, 0, 0]), method="far", far=0.0)
    assert (found.far, found.frr) == (0, 1)  # none of four equal scores is called alike
    assert found.threshold > 1


def test_the_only_tensor_of_an_output_is_the_embedding() -> None:
    own = torch.ones(2, 3)
    assert embedding_of({"custom": own, "note": "text"}) is own
    with pytest.raises(ValueError, match="none of which is known as the embedding"):
        embedding_of({"custom": own, "other": own})
