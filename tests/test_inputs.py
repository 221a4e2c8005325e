"""What of an input is explained, baselines, and every bad input with its message; the model is left as it was after
each.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import xsiamese
from tests import problems
from xsiamese import (
    PairAttribution,
    PairFeatureAblation,
    PairGradCAM,
    PairIntegratedGradients,
    PairOcclusion,
    PairSaliency,
    SiameseModel,
)
from xsiamese.contract.traces import _traces as traces
from xsiamese.kinds.inputs import baseline_leaves, how_given, two_items, two_sides, with_background, with_typical
from xsiamese.kinds.pool import Pool
from xsiamese.model.pair import TwoInputModel
from xsiamese.pairs.refused import misfit, unbatched

A, B = problems.images(3)


def bad(shape: tuple[int, ...], pair: int, value: float = float("nan")) -> Tensor:
    made = torch.ones(shape, dtype=torch.float64)
    made[pair].fill_(value)
    return made


MODEL = SiameseModel(nn.Sequential(*problems.conv_encoder(), nn.BatchNorm1d(6).double()), "cosine")
INPUTS: dict[str, tuple[Any, type[Exception], str]] = {
    "batch sizes": (
        (A, B[:2]),
        ValueError,
        r"a holds 3 items \(shape \(3, 1, 8, 8\)\) and b holds 2 \(shape \(2, 1, 8, 8\)\).*\.expand",
    ),
    "empty": ((A[:0], B[:0]), ValueError, r"input a has shape \(0, 1, 8, 8\): it holds no pair"),
    "no batch dimension": ((torch.tensor(1.0), B), ValueError, r"input a has shape \(\): it holds no pair"),
    "NaN": (
        (A, bad((3, 1, 8, 8), 1)),
        ValueError,
        r"input b, shape \(3, 1, 8, 8\), holds NaN or infinite values in pair 1: clean or leave out",
    ),
    "inf": (
        (bad((3, 1, 8, 8), 2, float("inf")), B),
        ValueError,
        r"input a, shape \(3, 1, 8, 8\), holds NaN or infinite values in pair 2",
    ),
    "one tensor": (
        A,
        TypeError,
        r"inputs must be the two sides of the pairs, \(a, b\); got a tensor of shape \(3, 1, 8, 8\)",
    ),
    "three": ((A, B, A), TypeError, r"inputs must be the two sides of the pairs, \(a, b\); got a tuple"),
    "a string": (("a.png", "b.png"), TypeError, "input a is a str: a tensor or a tuple of tensors is needed"),
    "none": ((None, B), TypeError, "input a is a NoneType: a tensor"),
    "list of arrays": (([1.0], B), TypeError, "input a is a list of float: every part must be a tensor"),
    "rows of a side": (((A, A[:2]), B), ValueError, r"a\[1\] has 2 rows and a\[0\] has 3"),
    "dtype": (
        (A.float(), B),
        ValueError,
        r"input a, shape \(3, 1, 8, 8\), is torch.float32, the model torch.float64: use a.to\(torch.float64\)",
    ),
    "device": (
        (A, B.to("meta")),
        ValueError,
        r"input b, shape \(3, 1, 8, 8\), is on meta, the model on cpu: use b.to\('cpu'\)",
    ),
    "channels": (
        (A.expand(-1, 3, -1, -1), B),
        ValueError,
        r"the model refused its inputs.*\(a \(3, 3, 8, 8\) float64, b .*1 channels",
    ),
    "dimensions": ((A.flatten(1), B), ValueError, r"the model refused its inputs.*\(a \(3, 64\) float64"),
}


@pytest.fixture
def untouched() -> Iterator[SiameseModel]:
    """A model in training, checked afterwards."""
    model = MODEL.train()
    model.encoder[1].eval()
    model.encoder[0].weight.grad = torch.ones_like(model.encoder[0].weight)
    before = traces(model), [m.training for m in model.modules()], [p.requires_grad for p in model.parameters()]
    state = {k: v.clone() for k, v in model.state_dict().items()}
    rng = torch.get_rng_state()
    yield model
    assert (
        traces(model),
        [m.training for m in model.modules()],
        [p.requires_grad for p in model.parameters()],
    ) == before
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
    assert torch.equal(model.encoder[0].weight.grad, torch.ones_like(model.encoder[0].weight))
    assert torch.equal(rng, torch.get_rng_state())


@pytest.mark.parametrize("cls", [PairGradCAM, PairIntegratedGradients, PairFeatureAblation])
@pytest.mark.parametrize("what", INPUTS)
def test_bad_inputs(what: str, cls: type[PairAttribution], untouched: SiameseModel) -> None:
    inputs, error, message = INPUTS[what]
    with pytest.raises(error, match=f"(?s){message}"):
        cls(untouched, **({"layer": "3"} if cls.needs_layer else {})).attribute(inputs)


CALLS: dict[str, tuple[Callable[[SiameseModel], Any], type[Exception], str]] = {
    "unknown option": (
        lambda m: PairIntegratedGradients(m).attribute((A, B), n_step=4),
        TypeError,
        "PairIntegratedGradients.attribute has no option 'n_step'; did you mean 'n_steps'",
    ),
    "option of no use": (
        lambda m: PairGradCAM(m, "3").attribute((A, B), foo=4),
        TypeError,
        "has no option 'foo'; its own options are relu",
    ),
    "wrt": (
        lambda m: PairGradCAM(m, "3").attribute((A, B), wrt="a"),
        ValueError,
        "wrt='a': 'both', 'first' or 'second' is needed",
    ),
    "internal batch size": (
        lambda m: PairGradCAM(m, "3").attribute((A, B), internal_batch_size=0),
        ValueError,
        "internal_batch_size=0: a positive number",
    ),
    "delta": (
        lambda m: PairGradCAM(m, "3").attribute((A, B), return_convergence_delta=True),
        ValueError,
        "PairGradCAM has no convergence delta",
    ),
    "create_graph": (
        lambda m: PairFeatureAblation(m).attribute((A, B), create_graph=True),
        ValueError,
        "gives no differentiable maps: leave out create_graph",
    ),
    "targets": (
        lambda m: PairSaliency(lambda a, b: (a * b).flatten(1)).attribute((A, B), [1, 2]),
        ValueError,
        "target holds 2 indices for 3 pairs",
    ),
    "target": (lambda m: PairSaliency(m).attribute((A, B), [1, 2]), ValueError, "gives one score a pair, its cosine"),
    "layer": (
        lambda m: PairGradCAM(m, "33").attribute((A, B)),
        ValueError,
        "no layer is called '33'; did you mean .*'3'",
    ),
    "layer type": (
        lambda m: PairGradCAM(m, 3).attribute((A, B)),
        TypeError,
        "layer is a int: a dotted name, a module, or a pair of them is needed",
    ),  # type: ignore[arg-type]
    "foreign layer": (
        lambda m: PairGradCAM(m, nn.ReLU()).attribute((A, B)),
        ValueError,
        "never called in the forward pass",
    ),
    "baseline shape": (
        lambda m: PairIntegratedGradients(m).attribute((A, B), baselines=(torch.zeros(1, 8, 8), None)),
        ValueError,
        r"the baseline of a has shape \(1, 8, 8\): \(3, 1, 8, 8\) or one row of it is needed",
    ),
    "baselines of several tensors": (
        lambda m: PairIntegratedGradients(m).attribute((A, B), baselines=((A, A), None)),
        ValueError,
        "^input a has 1 tensors and its baseline 2$",
    ),
    "kinds": (
        lambda m: PairSaliency(m).attribute((A, B), kind=("image",) * 3),
        ValueError,
        r"^kind=\('image', 'image', 'image'\): one kind, or a pair \(of a, of b\), is needed$",
    ),
    "baselines": (
        lambda m: PairIntegratedGradients(m).attribute((A, B), baselines=A),
        ValueError,
        "baselines must be None, a number, a Pool, 'partner' or a pair",
    ),
    "baseline name": (
        lambda m: PairIntegratedGradients(m).attribute((A, B), baselines="blur"),
        ValueError,
        "baselines='blur'",
    ),
    "feature mask": (
        lambda m: PairFeatureAblation(m).attribute((A, B), feature_mask=A.long()),
        ValueError,
        "feature_mask must be a pair",
    ),
}


@pytest.mark.parametrize("what", CALLS)
def test_bad_calls(what: str, untouched: SiameseModel) -> None:
    call, error, message = CALLS[what]
    with pytest.raises(error, match=message):
        call(untouched)


def test_bad_inputs_are_refused_before_any_work() -> None:
    def never(z_a: Tensor, z_b: Tensor) -> Tensor:
        raise AssertionError("the model was run")

    model = SiameseModel(problems.conv_encoder(), never)
    for what in ("batch sizes", "empty", "NaN", "inf", "one tensor", "three", "a string", "dtype"):
        inputs, error, _ = INPUTS[what]
        with pytest.raises(error):
            PairGradCAM(model, "3").attribute(inputs)


# outputs


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            lambda a, b: a * b,
            r"the value to explain has shape \(3, 5\) for 3 pairs: one score per pair is needed; give target=",
        ),
        (lambda a, b: (a * b).sum(), r"the value to explain has shape \(\) for 3 pairs"),
        (lambda a, b: (a, b), "the model returned a tuple: give comparison= for two embeddings, or a callable target="),
        (lambda a, b: {"score": a.sum(1)}, "the model returned a dict: give comparison="),
        (lambda a, b: (a * b).sum(1) / torch.tensor([1.0, 0.0, 1.0]), "the score is NaN or infinite in pair 1:"),
    ],
)
def test_outputs_that_are_not_one_finite_score_a_pair(function: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PairSaliency(function).attribute(problems.vectors())


@pytest.mark.parametrize("wrt", ["both", "first", "second"])
@pytest.mark.parametrize("side", [0, 1])
def test_the_side_that_is_held_is_named_as_well(wrt: Any, side: int) -> None:
    inputs = [A, B]
    inputs[side] = inputs[side].expand(-1, 3, -1, -1)
    with pytest.raises(ValueError, match=rf"the model refused its inputs.*{'ab'[side]} \(3, 3, 8, 8\) float64"):
        PairSaliency(SiameseModel(problems.conv_encoder())).attribute(inputs, wrt=wrt)


@pytest.mark.parametrize("size", [None, 1, 2])
def test_the_pair_with_a_bad_score_is_named_by_its_number_in_the_users_batch(size: int | None) -> None:
    a, b = problems.vectors()
    broken = torch.tensor([1.0, 1.0, 0.0])
    with pytest.raises(ValueError, match="the score is NaN or infinite in pair 2: look at"):
        PairSaliency(lambda a, b, c: (a * b).sum(1) / c).attribute(
            (a, b), additional_forward_args=broken, internal_batch_size=size
        )


@pytest.mark.parametrize("output", [torch.zeros(3), "no"])
def test_a_comparison_needs_two_embeddings(output: Any) -> None:
    with pytest.raises(ValueError, match="a comparison was given, so the model must return two embeddings"):
        PairSaliency(lambda a, b: output, comparison="cosine").attribute(problems.vectors())


def test_a_function_hides_its_modules() -> None:
    from xsiamese import PairLayerConductance

    encoder = problems.conv_encoder()
    found = weakref.ref(encoder)  # one that it holds itself would be seen
    with pytest.raises(ValueError, match="a plain function hides them: wrap it in an nn"):
        PairLayerConductance(lambda a, b: (found()(a) * found()(b)).sum(1), encoder[3]).attribute((A, B))


# baselines


def test_baselines_in_every_form() -> None:
    a, b = two_sides(problems.vectors(2))
    zero, number, partner = (baseline_leaves(given, a, b) for given in (None, 0.5, "partner"))
    assert not zero[0][0].any()
    assert (number[1][0] == 0.5).all()
    assert torch.equal(partner[0][0], b.leaves[0])
    assert torch.equal(partner[1][0], a.leaves[0])
    row = torch.arange(5.0, dtype=torch.float64)[None]
    (first,), (second,) = baseline_leaves((row, 2), a, b)
    assert torch.equal(first, row.expand(2, 5))
    assert (second == 2).all()


def test_partner_needs_partners_of_one_shape() -> None:
    with pytest.raises(ValueError, match="the baseline of a has shape"):
        baseline_leaves("partner", *two_sides((torch.zeros(2, 3), torch.zeros(2, 4))))


def test_inputs_that_require_gradients_stay_as_they_are() -> None:
    a, b = (t.clone().requires_grad_() for t in (A, B))
    maps = PairSaliency(SiameseModel(problems.conv_encoder())).attribute((a, b))
    assert a.grad is None
    assert not any(m.requires_grad for m in maps)


@pytest.mark.parametrize(
    "name",
    ["PairGradCAM", "PairSaliency", "PairDeepLift", "PairLayerConductance", "PairLRP", "PairLayerIntegratedGradients"],
)
def test_no_grad_around_it_changes_nothing(name: str) -> None:
    cls = xsiamese.explainers()[name]
    explainer = cls(SiameseModel(problems.conv_encoder()), *(["3"] if cls.needs_layer else []))
    expected = explainer.attribute((A, B))
    with torch.no_grad():
        torch.testing.assert_close(explainer.attribute((A, B)), expected)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_one_number_that_is_none_is_found_wherever_it_stands(bad: float, dtype: torch.dtype) -> None:
    from xsiamese.kinds.dense import all_finite

    values = torch.full((3, 5), torch.finfo(dtype).max, dtype=dtype)  # of which a sum would be infinite
    assert all_finite(values)
    for i in range(values.numel()):
        changed = values.clone()
        changed.view(-1)[i] = bad
        assert not all_finite(changed)
    assert all_finite(values[:0])


def test_the_two_items_of_what_holds_them() -> None:
    pair = torch.ones(2, 3), torch.zeros(2, 3)
    for whole in (pair, list(pair), torch.ones(2, 2)):
        assert two_items(whole) is whole
        assert how_given(whole) is None
    assert two_items({"x": pair[0], "y": pair[1]}) == pair
    assert how_given({"x": pair[0], "y": pair[1]}) == ("x", "y")
    assert how_given({"x": 1, "y": 2, "z": 3}) is None
    with pytest.raises(ValueError, match=r"kind=\('row',\): one kind, or a pair"):
        two_sides(pair, kind=("row",))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"got a tuple; a triplet \(a, p, n\) is for explain"):
        two_sides((*pair, pair[0]))
    with pytest.raises(TypeError, match=r"got a list$"):
        two_sides([*pair, *pair])


IMAGE, ROW = torch.zeros(2, 3, 4, 5), torch.zeros(2, 3)


def test_the_colour_of_the_background() -> None:
    a, b = two_sides((IMAGE, IMAGE[:, :1]))
    row = two_sides((ROW, ROW))[0]
    colour = [1.0, 2.0, 3.0]
    assert with_background(0.5, a, b, colour) == 0.5
    assert with_background((0.5, None), a, b, colour) == (0.5, None)
    (both,) = {tuple(one[0, :, 3, 4].tolist()) for one in with_background("background", a, a, colour)}
    assert both == (1.0, 2.0, 3.0)
    first, second = with_background("background", a, row, colour)  # beside an image nothing is said of a row
    assert first.shape == (1, 3, 4, 5)
    assert second is None
    first, second = with_background((0.5, "background"), row, a, colour)
    assert (first, second[0, :, 0, 0].tolist()) == (0.5, colour)
    for baselines, sides, known, said in (
        ("background", (row, row), colour, "is for images, and these are of the kinds row and row"),
        (("background", "background"), (a, row), colour, "of the kinds image and row"),
        ("background", (a, a), None, "nothing says what the images of this model hold"),
        ("background", (a, b), colour, "the background has 3 channels and input b 1"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=said):
            with_background(baselines, *sides, known)  # type: ignore[arg-type]


def test_typical_rows() -> None:
    a, image = two_sides((ROW, ROW))[0], two_sides((IMAGE, IMAGE))[0]
    rows = torch.arange(60.0).reshape(20, 3)
    found = with_typical("typical", a, a, rows)
    assert len(found.drawn()[0]) == 20  # all of them, though a Pool takes 16 by itself
    assert with_typical(0.5, a, a, rows) == 0.5
    for baselines, sides, known, said in (
        ("typical", (a, image), rows, "of the kinds row and image"),
        (("typical", 0), (a, a), rows, "rows on both sides"),
        ("typical", (a, a), None, "nothing says what rows this model was trained on"),
        ("typical", (a, a), rows[:, :2], r"model.typical has shape \(20, 2\) and input a \(2, 3\)"),
        ("typical", (a, a), rows[0], r"model.typical has shape \(3,\)"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=said):
            with_typical(baselines, *sides, known)  # type: ignore[arg-type]


@pytest.mark.parametrize(("baselines", "said"), [
    ("zero", "baselines='zero': a number, a Pool"), (torch.ones(2, 3), "must be None, a number, a Pool"),
    ((1, 2, 3), "must be None, a number"), ((float("nan"), 0), "the baseline of a is nan, which torch.float32"),
    ((0, float("inf")), "the baseline of b is inf"), ((0, 1e39), "the baseline of b is 1e[+]39, which torch.float32"),
    ((0, torch.ones(3, 3)), r"the baseline of b has shape \(3, 3\): \(2, 3\) or one row of it"),
    ((torch.ones(2, 4), 0), r"the baseline of a has shape \(2, 4\)"),
    ((torch.full((1, 3), torch.nan), 0), "the baseline of a, shape .* holds NaN"),
    (([torch.ones(1, 3)] * 2, 0), "input a has 1 tensors and its baseline 2"),
    ((Pool(ROW), 0), "both baselines must be Pools"), ((Pool(ROW), Pool(torch.ones(3, 3))), "same number of items"),
])  # fmt: skip
def test_baselines_that_are_none(baselines: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        baseline_leaves(baselines, *two_sides((ROW, ROW)))


def test_baselines_that_are_some() -> None:
    a, b = two_sides((ROW + 1, ROW + 2))
    for given, expected in (
        (None, (0, 0)), (3, (3, 3)), ("partner", (2, 1)), ((None, 4.5), (0, 4.5)), ((torch.ones(1, 3), 2), (1, 2)),
        ((torch.full((2, 3), 7.0), 3e38), (7, 3e38)),
    ):  # fmt: skip
        (first,), (second,) = baseline_leaves(given, a, b)
        for found, value in zip((first, second), expected, strict=True):
            assert torch.equal(found, torch.full((2, 3), float(value)))
    (first,), (second,) = baseline_leaves((torch.ones(5, 3), 2), a, b, distribution=True)
    assert (first.shape, second.tolist()) == ((5, 3), [[2.0] * 3] * 2)
    (first,), _ = baseline_leaves((Pool(torch.ones(4, 3)), Pool(torch.ones(4, 3))), a, b)
    assert first.shape == (4, 3)


def test_why_a_model_refuses_its_inputs() -> None:
    images = SiameseModel(nn.Conv2d(1, 1, 1), "dot")
    for shape, index in (("8, 9", "None, None"), ("1, 8, 9", "None")):
        said = f"has the shape ({shape}), without the batch dimension: x[{index}] makes it (1, 1, 8, 9)"
        assert said in unbatched(images, f"a ({shape}) float32")
    for described in ("a (2, 1, 8, 9) float32, b (8, 9) float32", "a (8,) float32"):
        assert unbatched(images, described) == ""
    assert unbatched(SiameseModel(nn.Linear(1, 1), "dot"), "a (8, 9) float32") == ""
    joint = TwoInputModel(lambda pair: pair)
    for error, model, begins in (
        (TypeError("linear(): argument must be Tensor, not tuple"), joint, "function takes one input and was given"),
        (TypeError("f() missing 1 required positional argument: 'c'"), images, "the model is called with other argum"),
        (RuntimeError("mat1 and mat2 shapes\nsecond line"), images, "the model refused its inputs; bring them to the"),
        (RuntimeError("Guard failed: x"), images, "the model is a program of torch.export"),
    ):  # fmt: skip
        found = misfit(error, model, "a (2, 3) float32" if model is joint else "a (2, 3, 4, 5) float32")
        assert found is not None
        assert found.startswith(begins)
        assert "second line" not in found
    several = misfit(TypeError("takes 2 positional arguments"), images, "a[0] (3, 4) float32, a[1] (3, 4) float32")
    assert several is not None
    assert "torch.stack(a)" in several
    for own in (AssertionError("the shape"), RuntimeError("what else"), KeyError("x")):
        assert misfit(own, images, "a (2, 3, 4, 5) float32") is None


class Shown(nn.Module):
    """A picture with a row of numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.lin = nn.Conv2d(1, 2, 3), nn.Linear(3, 2)

    def forward(self, image: Tensor, numbers: Tensor) -> Tensor:
        found: Tensor = self.conv(image).mean((2, 3)) + self.lin(numbers)
        return found


SEVERAL = (
    "explains one tensor of each side, and 2 of a can move: give the others inside the encoder, or as whole numbers"
)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        (
            "PairScoreCAM",
            {},
            "PairScoreCAM masks images (pairs, channels, h, w) by a grid; the input of a is (1, 1, 8, 8)",
        ),
        ("PairRegionSwap", {"patch": 2}, "patch= swaps pixels of one image a side; input a is 2 tensors"),
        (
            "PairMinimalMask",
            {},
            "a mask covers one image (pairs, channels, height, width); input a is 2 tensors",
        ),
        ("PairMaskRegression", {}, f"PairMaskRegression {SEVERAL}"),
        ("PairInteraction", {}, f"PairInteraction {SEVERAL}"),
        ("PairRISE", {}, "one tensor of each side can be masked, and 2 of a could move"),
    ],
)
def test_a_method_of_one_tensor_says_so_of_several(name: str, options: dict[str, Any], said: str) -> None:
    explainer = xsiamese.explainers()[name]
    settings = {"threshold": 0.5} if "threshold" in explainer.settings() else {}
    layer = ("conv",) if explainer.needs_layer else ()
    pair = tuple((torch.rand(1, 1, 8, 8), torch.rand(1, 3)) for _ in "ab")
    with pytest.raises(ValueError) as error:
        explainer(SiameseModel(Shown(), "dot"), *layer, **settings).explain(pair, **options)
    assert str(error.value) == said


@pytest.mark.parametrize(
    ("name", "options"), [("PairRegionSwap", {}), ("PairRegionSwap", {"patch": 2}), ("PairScoreCAM", {})]
)
def test_an_encoder_that_is_called_with_other_arguments_is_told_by_every_way_to_ask_it(
    name: str, options: dict[str, Any]
) -> None:
    class Together(Shown):
        def forward(self, both: Any) -> Tensor:  # type: ignore[override]
            return super().forward(*both)

    explainer = xsiamese.explainers()[name]
    settings = {"threshold": 0.5} if "threshold" in explainer.settings() else {}
    pair = tuple((torch.rand(1, 1, 8, 8), torch.rand(1, 3)) for _ in "ab")
    with pytest.raises(ValueError, match=r"^the model is called with other arguments than it takes \(a\[0\] "):
        explainer(SiameseModel(Together(), "dot"), "conv", **settings).explain(pair, **options)
    with pytest.raises(ValueError, match=r"^the model is called with other arguments than it takes \(a\[0\] "):
        xsiamese.InvarianceLearner(SiameseModel(Together(), "dot"), steps=2).fit(*pair)


def test_what_does_not_fit_two_branches_is_told() -> None:
    class Thrice(nn.Module):
        """Asks its encoder of a twice."""

        def __init__(self) -> None:
            super().__init__()
            self.lin = nn.Linear(4, 3)

        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return (self.lin(a) * self.lin(b)).sum(1) + self.lin(2 * a).sum(1)

    rows = torch.rand(1, 4), torch.rand(1, 4)
    said = "layer 'lin' is called 2 times for a and 1 times for b: choose a layer called as often on either side"
    with pytest.raises(ValueError, match=f"^{said}$"):
        PairGradCAM(Thrice(), "lin").explain(rows)
    said = "call='both': 'two', 'tuple' or the two keys of a dictionary are needed"
    with pytest.raises(ValueError, match=f"^{said}$"):
        PairSaliency(TwoInputModel(Thrice(), call="both")).explain(rows)
    graphs = pytest.importorskip("torch_geometric.data")
    one = graphs.Data(x=torch.rand(2, 3), edge_index=torch.tensor([[0, 1], [1, 0]]))
    model = SiameseModel(lambda data: data.x.sum(0, keepdim=True), "dot")
    with pytest.raises(ValueError, match=r"^lr=0\.0: a positive learning rate is needed$"):
        xsiamese.explainers()["PairGNNExplainer"](model).explain((one, one), lr=0.0)
    with (
        PairSaliency(model).prepared((one, one)) as batch,
        pytest.raises(
            ValueError, match=r"^inputs whose rows mean the same are needed: the nodes of two graphs have no"
        ),
    ):
        _ = batch.partners


IMAGES = torch.rand(2, 2, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("window", "strides", "said"), [
    ((1, 9, 9), None, r"^sliding_window_shapes=\(1, 9, 9\): an item of input a is \(1, 8, 8\), and no number"),
    ((4, 4), None, r"^sliding_window_shapes=\(4, 4\): an item of input a is \(1, 8, 8\), and one number for each"),
    ((1, 4, 4), (2, 2), r"^strides=\(2, 2\): an item of input a is \(1, 8, 8\), and one number for each"),
    ((1, 4, 4), 5, r"^strides=\(1, 5, 5\): its window is \(1, 4, 4\), and no number may be larger"),
    (((1, 4, 4), (1, 4, 9)), None, r"^sliding_window_shapes=\(1, 4, 9\): an item of input b is"),
])  # fmt: skip
def test_windows_that_do_not_fit_the_items(window: Any, strides: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        PairOcclusion(SiameseModel(nn.Flatten(), "dot")).attribute(
            tuple(IMAGES), sliding_window_shapes=window, strides=strides
        )


def test_a_window_of_all_channels_takes_any_stride_there() -> None:
    explainer = PairOcclusion(SiameseModel(nn.Flatten(), "dot"))
    whole = [
        explainer.attribute(tuple(IMAGES), sliding_window_shapes=(1, 4, 4), strides=strides)
        for strides in (2, (1, 2, 2))
    ]
    for one, other in zip(*whole, strict=True):
        assert torch.equal(one, other)


def test_a_text_that_is_shorter_than_a_window_is_covered_as_a_whole() -> None:
    """Of three tokens every two are covered; one token alone is all of its text, in a batch as by itself."""
    vectors = torch.tensor([[[1.0], [2.0], [4.0]], [[3.0], [0.0], [0.0]]])
    mask = torch.tensor([[1, 1, 1], [1, 0, 0]])

    class Summed(nn.Module):
        def forward(self, inputs_embeds: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            return (inputs_embeds * attention_mask[..., None]).sum(1)

    item = {"inputs_embeds": vectors, "attention_mask": mask}
    found = PairOcclusion(SiameseModel(Summed(), "dot")).attribute((item, item), sliding_window_shapes=(2, 1))[0]
    # the sum of a text is 7, or 3: without 1 + 2 the score loses 21, without 2 + 4 it loses 42; a place has the mean
    assert found["inputs_embeds"][..., 0].tolist() == [[21.0, 31.5, 42.0], [9.0, 0.0, 0.0]]
