"""Parts of the core against numbers by hand: how maps are joined and told apart, foils, fingerprints, defaults."""

from __future__ import annotations

import inspect
import warnings
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytest
import torch
from captum.attr import InputXGradient, LayerActivation
from safetensors.torch import save_file
from torch import Tensor, nn

from xsiamese import (
    Gallery,
    PairGradCAM,
    PairInputXGradient,
    PairMatrix,
    PairNoiseTunnel,
    PairSaliency,
    SiameseModel,
    calibrate,
    explainers,
)
from xsiamese.explain.attribution import PairAttribution
from xsiamese.explain.auto import auto, kinds_of, table
from xsiamese.explain.captum import _for_side, _is_unused, _mean, _single, adapt
from xsiamese.explain.catalogue import explainer
from xsiamese.explain.digest import checksum, digest
from xsiamese.explain.gallery import hits
from xsiamese.explain.gallery.between import _alone, _may_be_same
from xsiamese.explain.gallery.given import Items
from xsiamese.explain.gallery.kept import Kept
from xsiamese.explain.gallery.stored import Opened
from xsiamese.explain.maps import check_map, detached, in_dtype, join
from xsiamese.explain.options import Option, _arguments, _read, _types, options_of, parsed
from xsiamese.explain.per_tensor import _windows, masks_at, masks_differ, per_tensor, spread, total_of_groups
from xsiamese.explain.request import Request, _a, _some, chosen_split, described, target_name
from xsiamese.explain.run import _warn_rounded
from xsiamese.explain.traits import Declared, Traits, compiled
from xsiamese.explain.words import first_sentence
from xsiamese.kinds.catalogue import kind
from xsiamese.model.comparison import ClampedEuclidean
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


@pytest.mark.parametrize(("hint", "default", "types"), [
    (None, 3, (int,)), (Any, "x", (str,)), (None, None, ()), (None, object(), ()), (int, None, (int,)),
    (int | None, None, (int, type(None))), (Annotated[float, "positive"], 1.0, (float,)),
    (Literal["a", "b"], "a", (Literal["a", "b"],)), (tuple[int, ...], (), (tuple[int, ...],)),
    (tuple[list, int], (), ()), (list, [], ()), (Annotated[int | str | int, "one"], 1, (int, str)), (Tensor, None, ()),
])  # fmt: skip
def test_what_an_option_may_be(hint: Any, default: Any, types: tuple[Any, ...]) -> None:
    assert _types(hint, default) == types


def test_options_in_words() -> None:
    def option(default: Any, *types: Any) -> Option:
        return Option("n_steps", default, types, "how many", False)

    for usual, shown in ((50, " [50]"), (True, " [true]"), (None, " [none]"), ("Sum", " [Sum]"), (nn.ReLU, " [ReLU]")):
        assert str(option(usual)) == f"  --n-steps{' ' * 16}how many{shown}"
    assert str(option(inspect.Parameter.empty)).endswith("how many")
    assert option(3, int, type(None)).value("None") is None
    assert option(3, int, type(None)).value("4") == 4
    for types, needed in (
        ((int,), "a whole number"), ((float, type(None)), "a number or none"), ((bool,), "true or false"),
        ((tuple[int, int],), "numbers with commas between them"), ((Literal["a", 2],), "a or 2"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"^--n-steps x: {needed} is needed$"):
            option(3, *types).value("x")
    with pytest.raises(ValueError, match=r"^--n-steps is for Python only$"):
        option(3).value("x")
    told = """One.

    Args:
        first: what it is
            and more.
        *rest: others.

    Returns:
        third: none.
    """
    assert _arguments(inspect.cleandoc(told)) == {"first": "what it is and more.", "rest": "others."}
    assert _arguments(None) == {}
    cls = explainer("PairIntegratedGradients")
    assert parsed(cls, {"n-steps": "7", "--method": "gausslegendre"})[1] == {"n_steps": 7, "method": "gausslegendre"}
    assert parsed(cls, {"detach-norms": "yes"})[0] == {"detach_norms": True}
    with pytest.raises(ValueError, match=r"has no option --n-step; did you mean --n-steps\?$"):
        parsed(cls, {"n_step": "7"})
    with pytest.raises(ValueError, match="has no option --qq; its own are --"):
        parsed(cls, {"qq": "7"})
    made = [one.setting for one in options_of(cls)]
    assert made == sorted(made, reverse=True)
    assert any(made)


def test_names_of_methods() -> None:
    assert explainer("PairSaliency") is explainer("saliency") is PairSaliency
    with pytest.raises(ValueError, match="saliency"):
        explainer("salienzy")
    assert [_a(kind) for kind in ("image", "row", "order", "text", "edge")] == [
        "an image", "a row", "an order", "a text", "an edge",
    ]  # fmt: skip
    general = ["PairFeatureAblation", "PairShapleyValueSampling"]
    assert _some(["X", *general], "row") == (
        "these do: PairFeatureAblation, PairShapleyValueSampling and 1 more (xsiamese explainers --kind row)"
    )
    assert _some(["X", "Y", "Z", "U", "V"], "row") == "these do: X, Y, Z and 2 more (xsiamese explainers --kind row)"
    assert _some(["X"], "row") == "these do: X"
    assert _some([], "row") == "no explainer that is installed does"
    for text, first in (
        ("Does it. And more.", "Does it."), ("Does it\n    all", "Does it all"),
        ("Of v1.2 only. `X` too.", "Of v1.2 only."),
        ("Is it? No.\n\nMore.", "Is it?"), ("", ""),
    ):  # fmt: skip
        documented = type("Documented", (), {"__doc__": text})
        assert first_sentence(documented) == first


def test_what_a_request_says_of_itself() -> None:
    asked = Request((A, P), wrt="first", size="auto", options={"n_steps": 3})
    assert asked.told() == {"wrt": "first", "internal_batch_size": "auto", "n_steps": 3}
    assert Request((A, P)).told() == {}
    everything = Request((A, P), baselines=A, extra=3, parts=("nodes",), kind="row")
    assert [*everything.told()] == ["baselines", "additional_forward_args", "parts", "kind"]
    assert asked.names([(1, 2), ("p", "q")]) == (("1", "2"), ("p", "q"))  # type: ignore[list-item]
    assert asked.names(None) is None
    assert asked.names([]) is None
    for wrong in (["ab"], [("a",)], [("a", "b", "c")], [3]):
        with pytest.raises(ValueError, match="two names for each pair"):
            asked.names(wrong)  # type: ignore[arg-type]
    assert described({"a": 1, "b": torch.zeros(2, 3), "c": (1, [nn.ReLU]), "d": None, "e": {1}}) == {
        "a": 1, "b": "tensor(2, 3)", "c": [1, ["ReLU"]], "d": None, "e": "{1}",
    }  # fmt: skip
    assert [target_name(one) for one in (None, 3, torch.zeros(2), len)] == ["closeness", "3", "tensor(2,)", "len"]
    defaults = Request((A, P))
    assert (defaults.wrt, defaults.create_graph, defaults.show_progress, defaults.seed) == ("both", False, False, 0)
    assert (defaults.moving, defaults.size) == (True, None)


@pytest.mark.parametrize(("asked", "said"), [
    ({"wrt": "a"}, "wrt='a': 'both', 'first' or 'second' is needed"),
    ({"target": [0, 1]}, r"target=\[0, 1\] picks one of several outputs"),
    ({"ids": [("a", "b")] * 2}, "ids= holds 2 for 1 pairs"),
    ({"options": {"abz": True}}, "PairSaliency.attribute has no option 'abz'; did you mean 'abs'"),
    ({"options": {"zz": 1}}, "no option 'zz'; its own options are abs"),
    ({"options": {"layer": 1}}, r"it is said before, PairSaliency\(model, layer=\.\.\.\)"),
    ({"seed": -1}, "seed=-1"), ({"show_progress": 3}, "show_progress=3"),
])  # fmt: skip
def test_what_cannot_be_asked(asked: dict[str, Any], said: str) -> None:
    with pytest.raises((TypeError, ValueError), match=said):
        Request((A, P), **asked).batch(PairSaliency(SiameseModel(nn.Identity(), "dot")))


def test_there_is_one_target_for_each_pair() -> None:
    explainer = PairSaliency(lambda a, b: a * b)
    assert Request((A, P), target=[1]).batch(explainer).target == [1]
    with pytest.raises(ValueError, match="target holds 2 indices for 1 pairs: give one each, or a single int"):
        Request((A, P), target=[0, 1]).batch(explainer)


@pytest.mark.parametrize("size", [0, -1, True, 1.0, "all"])
def test_what_is_no_number_of_pairs(size: Any) -> None:
    batch = Request((A, P)).batch(PairSaliency(SiameseModel(nn.Identity(), "dot")))
    assert chosen_split(batch, 1).pairs == 1
    assert chosen_split(batch, None).pairs is None
    with pytest.raises(ValueError, match=f"internal_batch_size={size!r}: a positive number of pairs"):
        chosen_split(batch, size)


@pytest.mark.parametrize(("largest", "warned"), [(0.0, False), (0.5, True), (1.0, True), (1.1, False)])
def test_what_is_as_small_as_the_rounding_of_autocast(largest: float, warned: bool) -> None:
    """Of scores up to 64 in bfloat16, which has steps of 2^-7 there: 0.5, and a map twice that is still rounding."""
    maps, scores = torch.tensor([[0.0, -largest]]), torch.tensor([1.0, -64.0])
    for on in (True, False):
        with warnings.catch_warnings(record=True) as found, torch.autocast("cpu", torch.bfloat16, enabled=on):
            warnings.simplefilter("always")
            _warn_rounded(maps, scores, "b", torch.device("cpu"))
            _warn_rounded(maps, None, "b", torch.device("cpu"))
            _warn_rounded({}, scores, "b", torch.device("cpu"))
        assert len(found) == (warned and on)
        assert not found or str(found[0].message).startswith(
            f"the map of b is {largest:.2g} at the most, and autocast keeps scores in torch.bfloat16, to 0.5: "
        )


def test_a_model_that_draws_is_told_with_the_pair_that_differs_most() -> None:
    """The third pair is moved by one each time it is asked."""

    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.asked = 0

        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            self.asked += 1
            torch.rand(1)
            return (a * b).sum(1) + torch.tensor([0.0, 0.01, -1.0]) * self.asked

    a, b = torch.ones(2, 3, 2)
    with pytest.warns(UserWarning, match=r"pair 2 1 and 0, so that its maps are those of one draw"):
        PairInputXGradient(Counting()).attribute((a, b))


def test_groups_of_pairs_of_their_own() -> None:
    """One mask for all of a, one for each pair of b."""
    maps = torch.tensor([[1.0, 1.0], [2.0, 2.0]]), torch.tensor([[5.0, 5.0], [7.0, 8.0]])
    masks = torch.tensor([[0, 0]]), torch.tensor([[0, 0], [0, 1]])
    found = total_of_groups(maps, {"feature_mask": masks})
    assert found is not None
    assert found.tolist() == [6.0, 17.0]
    cut = masks_at({"feature_mask": masks, "other": 3}, slice(1, 2))
    assert cut["other"] == 3
    assert [mask.tolist() for (mask,) in cut["feature_mask"]] == [[[0, 0]], [[0, 1]]]
    explaining = PairInputXGradient(SiameseModel(nn.Identity(), "dot"))
    with explaining.prepared((torch.ones(2, 2), torch.ones(2, 2))) as batch:
        assert masks_differ({"feature_mask": masks}, batch.sides)
        assert not masks_differ({"feature_mask": (masks[0], masks[0])}, batch.sides)
        assert not masks_differ({}, batch.sides)
        assert spread(batch, 0.5) == (0.5, 0.5)
        assert spread(batch, (0.5, 2)) == (0.5, 2.0)
    with explaining.prepared((A, P)) as batch:
        assert not masks_differ({"feature_mask": (torch.zeros(1, 3),) * 2}, batch.sides)
    with explaining.prepared((A, P), wrt="second") as batch:
        assert spread(batch, (0.5, 2)) == (2.0,)


def test_small_parts_of_captums_methods() -> None:
    one = torch.ones(1)
    assert _single([one]) is _single((one,)) is _single(one) is one
    assert type(_single([one, one])) is tuple
    assert _for_side({"strides": ((1,), (2,)), "n_steps": (3, 4)}, 1)["n_steps"] == (3, 4)
    mean = _mean([(one, (one, 3 * one)), (3 * one, (one, one))])
    assert [float(mean[0]), *map(float, mean[1])] == [2.0, 1.0, 2.0]
    for text, unused in (("appears to not have been used in the graph", True), ("else", False),
                         ("element 0 of tensors does not require grad", True)):  # fmt: skip
        assert _is_unused(RuntimeError(text)) is unused
    assert adapt(InputXGradient).__name__ == "PairInputXGradient"
    assert adapt(InputXGradient, "Own").__name__ == "Own"
    assert [adapt(one).needs_layer for one in (InputXGradient, LayerActivation)] == [False, True]
    assert [adapt(one).hooks for one in (InputXGradient, LayerActivation)] == [False, True]  # type: ignore[attr-defined]


def test_which_explainers_move_their_inputs() -> None:
    def cls(**told: Any) -> type[PairAttribution]:
        return type("Some", (PairAttribution,), {"name": "some", **told})

    gradients = {"uses_gradients": True}
    assert cls(**gradients).needs_motion()
    assert not cls(uses_gradients=False).needs_motion()
    assert not cls(**gradients, needs_layer=True).needs_motion()
    assert cls(**gradients, needs_layer=True, moves_inputs=True).needs_motion()
    assert not cls(**gradients, moves_inputs=False).needs_motion()
    with pytest.raises(TypeError, match=r"PairSaliency has no setting 'layr'; did you mean layer=\?"):
        PairSaliency(nn.Identity(), layr=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="has no setting 'zzz'; there are model, layer, comparison"):
        PairSaliency(nn.Identity(), zzz=3)  # type: ignore[call-arg]


def test_recurrent_encoders_are_explained_on_their_inputs() -> None:
    class Last(nn.Module):
        def __init__(self, *before: nn.Module) -> None:
            super().__init__()
            self.before, self.inner = nn.Sequential(*before), nn.GRU(2, 3, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(self.before(x).mT)[1][0]  # type: ignore[no-any-return]

    for encoder, budget, method in (
        (Last(), "fast", "PairInputXGradient"), (Last(), "normal", "PairOcclusion"),
        (Last(nn.Conv1d(2, 2, 1)), "fast", table()["series"]["fast"]["method"]),
    ):  # fmt: skip
        chosen = auto(SiameseModel(encoder, "dot"), budget, kind="series")  # type: ignore[arg-type]
        assert type(chosen.explainer).__name__ == method
    assert kinds_of(SiameseModel(nn.Conv2d(1, 1, 1), "dot")) == ("image",)
    with pytest.raises(ValueError, match="do not show what it takes"):
        kinds_of(SiameseModel(nn.Identity(), "dot"))


def test_what_a_gallery_says_and_refuses() -> None:
    with pytest.raises(TypeError, match="holds a set: a gallery keeps tensors and JSON"):
        Kept(count=2, block=2, budget=10, folder=None).put(0, {"z": [torch.ones(1), {1}]})
    one, two = (torch.ones(1),), (torch.ones(1), torch.zeros(1))
    assert _alone(one) is one[0]
    assert _alone(two) is two


@pytest.mark.parametrize("name", ["PairSaliency", "PairGradCAM", "PairNoiseTunnel", "PairRegionSwap", "PairKernelShap"])
def test_every_option_that_is_described_can_be_said_on_the_command_line(name: str) -> None:
    cls = explainers()[name]
    found = {one.name: one.setting for one in options_of(cls)}
    own = {*cls.options()}
    if name != "PairNoiseTunnel":  # which hands on those of the method inside
        assert {one for one, setting in found.items() if not setting} == own
    assert {one for one, setting in found.items() if setting} == {*cls.settings()}
    assert set(found) <= own | {*cls.settings()}
    assert [one.text for one in options_of(cls) if not one.text] == []


def test_maps_of_several_calls_and_of_several_layers() -> None:
    model = SiameseModel(nn.Sequential(nn.Conv2d(1, 2, 1), nn.Flatten()), "dot")
    one, two = torch.ones(1, 2), torch.full((1, 2), 3.0)
    added, each, unsaid = (PairGradCAM(model, "0", calls=calls) for calls in ("sum", "all", None))  # type: ignore[arg-type]
    for made in (added, each, unsaid):
        assert made.of_calls([one]) is one
    assert added.of_calls([one, two]).tolist() == [[4.0, 4.0]]
    assert each.of_calls([one, two]) == (one, two)
    with pytest.warns(UserWarning, match="the layer is called 2 times a side, and its maps are added"):
        assert unsaid.of_calls([one, two]).tolist() == [[4.0, 4.0]]
    first, second = added.of_layers([one, two, one], [2, 1])
    assert (first.tolist(), second) == ([[4.0, 4.0]], one)
    pair = torch.rand(1, 1, 4, 4), torch.rand(1, 1, 4, 4)
    told = PairGradCAM(model).explain(pair).parameters
    assert told["layer"] == ["0"]
    assert told["taken"].startswith("0: (N, C, h, w), a 4 x 4 grid")
    assert PairGradCAM(model, "0").explain(pair).parameters == {"layer": ["0"]}
    assert PairSaliency(model).explain(pair).parameters == {"layer": None}
    with pytest.raises(ValueError, match="calls='mean': 'sum', 'all' or None is needed"):
        PairGradCAM(model, "0", calls="mean")  # type: ignore[arg-type]


def test_a_tunnel_tells_the_layer_of_the_method_inside() -> None:
    model = SiameseModel(nn.Sequential(nn.Conv2d(1, 2, 1), nn.Flatten()), "dot")
    pair = torch.rand(1, 1, 4, 4), torch.rand(1, 1, 4, 4)
    tunnel = PairNoiseTunnel(PairGradCAM(model))
    told = tunnel.explain(pair).parameters
    assert told["layer"] == tunnel.layer_names_ == ["0"]
    assert told["taken"].startswith("0: ")
    assert PairNoiseTunnel(PairSaliency(model)).explain(pair).parameters["layer"] is None


def test_what_prepares_items_does_so_always_unless_it_says_otherwise() -> None:
    def cls(base: type[PairAttribution] = PairSaliency, **told: Any) -> Any:
        return type("Some", (base,), told)

    def prepare(self: Any, items: Any) -> None:
        return None

    assert cls().shares == PairSaliency.shares != "always"
    assert cls(prepare=prepare).shares == "always"
    assert cls(prepare=prepare, shares="kept").shares == "kept"
    assert cls(shares="kept").shares == "kept"
    assert cls(cls(prepare=prepare, shares="kept")).shares == "kept"


def test_items_of_a_gallery_are_pairs_from_the_first_on(monkeypatch: pytest.MonkeyPatch) -> None:
    items = torch.arange(12.0).reshape(6, 2)
    own = Gallery(PairSaliency(SiameseModel(nn.Identity(), "dot")), items)._encoded.items
    some = own.pairs(own.some(0, [3, 1]), own.some(1, [2, 2]))
    assert (some.first_pair, some.pairs) == (0, 2)
    assert [leaf.tolist() for leaf in some.leaves] == [items[[3, 1]].tolist(), items[[2, 2]].tolist()]
    assert [start for start, _ in own.parts(0, 4)] == [0, 4]
    assert [len(part.leaves[0]) for _, part in own.parts(0, 4)] == [4, 2]
    monkeypatch.setattr(hits, "ROOM", 1)  # one row of a at a time, at least
    far = hits.every_score(ClampedEuclidean(2.0), items, items)
    torch.testing.assert_close(far, torch.cdist(items, items).clamp(max=2.0))
    numbers, scores = hits.closest(ClampedEuclidean(9.0), items[:3], items, 2, without=[0, 1, 2])
    assert numbers.tolist() == [[1, 2], [0, 2], [1, 3]]
    torch.testing.assert_close(scores, torch.tensor([[8.0, 32.0], [8.0, 8.0], [8.0, 8.0]]).sqrt())


def test_items_that_were_read_stay_for_a_while() -> None:
    """Of three items two fit, of eight bytes each: what was asked for longest ago goes first, and one stays always."""
    explainer, read = PairSaliency(SiameseModel(nn.Identity(), "dot")), list[str]()

    def reader(word: str) -> Tensor:
        read.append(word)
        return torch.full((1, 2), float(word))

    own = Items(explainer, Request(None), ["1", "2", "3"], reader, keep=16)
    read.clear()  # the first one is read to see what it is
    asked = (([0, 1], ["2"]), ([1], []), ([0], []), ([2], ["3"]), ([0], []), ([1], ["2"]), ([0, 2], ["3"]))
    for numbers, expected in asked:
        some = own.some(0, numbers)
        assert (some.side.leaves[0][:, 0].tolist(), read) == ([n + 1.0 for n in numbers], expected), numbers
        read.clear()
    assert own.some(0, [1, 1, 0]).side.leaves[0].tolist() == [[2.0] * 2, [2.0] * 2, [1.0] * 2]
    assert (len(own), own.size, own.one_encoder) == (3, 8, True)
    least = Items(explainer, Request(None), ["1", "2"], reader, keep=0)
    read.clear()
    for number in (0, 1, 1, 0):
        least.some(0, [number])
    assert read == ["2", "1"]
    uneven = Items(explainer, Request(None), ["1", "2"], lambda word: torch.ones(1, int(word)))
    with pytest.raises(ValueError, match="items 0 to 1 do not make one batch: Sizes of tensors must match"):
        uneven.some(0, [0, 1])
    with pytest.raises(ValueError, match="item 0 of the gallery, 'x', cannot be read: could not convert"):
        Items(explainer, Request(None), ["x"], lambda word: torch.full((1, 1), float(word)))
    with pytest.raises(TypeError, match="items is a set: with read= a sequence"):
        Items(explainer, Request(None), {1}, reader)
    with pytest.raises(ValueError, match="the gallery holds no items"):
        Items(explainer, Request(None), [], reader)


def test_items_of_a_batch_as_views_or_copies() -> None:
    rows = torch.arange(12.0).reshape(6, 2)
    own = Items(PairSaliency(SiameseModel((nn.Identity(), nn.Identity()), "dot")), Request(None), rows)
    for numbers in ([2], [2, 2, 2], [1, 2, 3], [3, 1, 3], [2, 3, 5], [3, 2, 1], [0, 2]):
        some = own.some(1, numbers)
        assert torch.equal(some.given, rows[numbers])
        assert torch.equal(some.side.leaves[0], rows[numbers])
        assert some.baselines[0].shape == (len(numbers), 2)
    assert own.some(0, [2, 2]).side.leaves[0].stride(0) == 0  # one row, without a copy
    assert not own.one_encoder
    asked: list[Any] = []
    own.expect(lambda numbers, keys: asked.append((list(numbers), keys)))
    assert asked[0][0] == list(range(6))
    assert len(set(asked[0][1])) == 6


def test_what_a_store_was_made_of_is_checked() -> None:
    opened = Opened(Path("place"), {"method": "A"}, tuple("abcdefghijk"), ("k",) * 11, {})
    opened.check({"method": "A"})
    opened.check_items([1, 2], ["k", "k"])
    for others, told in (
        ([3], "d differ"),
        (range(8), "a, b, c, d, e, f, g, h differ"),
        (range(9), "g, h, ... differ"),
    ):
        with pytest.raises(ValueError, match=f"the gallery place was made of other items: .*{told}$"):
            opened.check_items([*others, 10], ["x"] * len(others) + ["k"])
    with pytest.raises(ValueError, match=r"the gallery place was made with another: .*A.*B"):
        opened.check({"method": "B"})


def test_a_gallery_says_of_what_it_cannot_be() -> None:
    explainer, rows = PairSaliency(SiameseModel(nn.Identity(), "dot")), torch.rand(3, 2)
    with pytest.raises(ValueError, match="'b'"):
        Gallery(explainer, rows, ids=["a", "b", "b"])

    class Drawing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(1, 1, 1)

        def forward(self, x: Tensor) -> Tensor:
            return (self.layer(x) + torch.rand(1)).flatten(1)  # type: ignore[no-any-return]

    with pytest.warns(UserWarning, match=r"an item embeddings that differ by 0\.\d+, so that what the gallery keeps"):
        Gallery(PairGradCAM(SiameseModel(Drawing(), "dot"), "layer"), torch.rand(3, 1, 2, 2))
    for same, other, expected in (
        ([[1.0, 2.0]], [[1.0, 2.0]], True), ([[1.0, 2.0]], [[1.0, 3.0]], False),
        ([[1.0, 2.0], [3.0, 4.0]], [[0.0, 2.0], [3.0, 4.0]], True), ([[1.0, 2.0]], [[1.0]], False),
    ):  # fmt: skip
        batch: Any = type(
            "Batch", (), {"prepared": ({"embedding": torch.tensor(same)}, {"embedding": torch.tensor(other)})}
        )
        assert _may_be_same(batch) is expected
    assert _may_be_same(type("Batch", (), {"prepared": ({}, {})}))  # type: ignore[arg-type]


def test_what_an_explainer_shows_is_one_of_three() -> None:
    with pytest.raises(TypeError, match=r"^Odd.shows is 'nothing': signed, magnitude, relevance is needed$"):
        type("Odd", (Declared,), {"shows": "nothing"})


def test_a_layer_that_passes_messages_is_of_graphs() -> None:
    class Passes(nn.Linear):
        def propagate(self) -> None: ...

    assert kinds_of(SiameseModel(nn.Sequential(Passes(2, 2)), "dot")) == ("graph",)
