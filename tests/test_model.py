"""Two-input models in every form, and comparisons that are finite where the textbook formula is not."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import xsiamese
from tests import problems
from xsiamese import (
    PairFeatureAblation,
    PairGradCAM,
    PairInputXGradient,
    PairIntegratedGradients,
    PairSaliency,
    SiameseModel,
    TwoInputModel,
)
from xsiamese.model.blackbox import BlackBoxEncoder
from xsiamese.model.called import Called, Plain, module_of, shown, takes_whole
from xsiamese.model.comparison import (
    COMPARISONS,
    Bilinear,
    ClampedEuclidean,
    Comparison,
    Cosine,
    Function,
    Learned,
    comparison,
)
from xsiamese.model.embedding import embedding_of
from xsiamese.model.tokens import Pooling, TextEncoder
from xsiamese.model.wrapped import pair_model


def head() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1)).double()


def bilinear() -> Bilinear:
    made = Bilinear(4).double()
    made.weight.data = torch.randn(4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return made


def norm(v: list[float]) -> float:
    return math.sqrt(sum(x * x for x in v))


# the comparison, and its formula on plain lists of numbers
FORMULAS: dict[str, tuple[Callable[[], Comparison], Callable[[list[float], list[float]], float]]] = {
    "cosine": (
        lambda: comparison("cosine"),
        lambda u, v: sum(x * y for x, y in zip(u, v, strict=True)) / norm(u) / norm(v),
    ),
    "cosine detached": (
        lambda: Cosine(detach_norms=True),
        lambda u, v: sum(x * y for x, y in zip(u, v, strict=True)) / norm(u) / norm(v),
    ),
    "dot": (lambda: comparison("dot"), lambda u, v: sum(x * y for x, y in zip(u, v, strict=True))),
    "euclidean": (lambda: comparison("euclidean"), lambda u, v: norm([x - y for x, y in zip(u, v, strict=True)])),
    "squared_euclidean": (
        lambda: comparison("squared_euclidean"),
        lambda u, v: sum((x - y) ** 2 for x, y in zip(u, v, strict=True)),
    ),
    "manhattan": (lambda: comparison("manhattan"), lambda u, v: sum(abs(x - y) for x, y in zip(u, v, strict=True))),
    "clamped_euclidean": (
        lambda: ClampedEuclidean(2.5),
        lambda u, v: min(2.5, norm([x - y for x, y in zip(u, v, strict=True)])),
    ),
    "bilinear": (
        bilinear,
        lambda u, v: sum(u[i] * float(bilinear().weight[i, j]) * v[j] for i in range(4) for j in range(4)),
    ),
    "learned": (
        lambda: Learned(head()),
        lambda u, v: float(
            head()(torch.tensor([[abs(x - y) for x, y in zip(u, v, strict=True)]], dtype=torch.float64))
        ),
    ),
    "learned product": (
        lambda: Learned(head(), join="product"),
        lambda u, v: float(head()(torch.tensor([[x * y for x, y in zip(u, v, strict=True)]], dtype=torch.float64))),
    ),
}


def embeddings(pairs: int = 5) -> tuple[Tensor, Tensor]:
    a, b = problems.vectors(pairs, size=4)
    return a, b


def test_every_comparison_has_a_formula_here() -> None:
    assert set(COMPARISONS) <= set(FORMULAS)


@pytest.mark.parametrize("name", FORMULAS)
def test_value_is_the_formula(name: str) -> None:
    make, formula = FORMULAS[name]
    u, v = embeddings()
    expected = torch.tensor([formula(x, y) for x, y in zip(u.tolist(), v.tolist(), strict=True)], dtype=torch.float64)
    torch.testing.assert_close(make()(u, v).detach(), expected)


@pytest.mark.parametrize("name", [n for n in FORMULAS if n != "cosine detached"])
def test_gradients_and_second_gradients_match_finite_differences(name: str) -> None:
    u, v = (t.requires_grad_() for t in embeddings(3))
    assert torch.autograd.gradcheck(FORMULAS[name][0](), (u, v))
    assert torch.autograd.gradgradcheck(FORMULAS[name][0](), (u, v))


@pytest.mark.parametrize("where", ["a == b", "a = 0", "both 0"])
@pytest.mark.parametrize("name", FORMULAS)
def test_value_and_gradients_are_finite_everywhere(name: str, where: str) -> None:
    u, v = embeddings()
    u = torch.zeros_like(u) if where != "a == b" else u
    v = {"a == b": u.clone(), "a = 0": v, "both 0": torch.zeros_like(v)}[where]
    u, v = u.requires_grad_(), v.requires_grad_()
    value = FORMULAS[name][0]()(u, v)
    first = torch.autograd.grad(value.sum(), (u, v), create_graph=True)
    assert all(torch.isfinite(t).all() for t in (value, *first))
    if first[0].requires_grad:
        second = torch.autograd.grad(sum(g.square().sum() for g in first), (u, v), allow_unused=True)  # type: ignore[arg-type]
        assert all(torch.isfinite(t).all() for t in second if t is not None)


@pytest.mark.parametrize("name", ["cosine", "euclidean"])
def test_bfloat16_embeddings_give_finite_scores(name: str) -> None:
    u, v = (t.bfloat16() for t in embeddings())
    assert torch.isfinite(comparison(name)(u, v)).all()


def test_detached_norms_have_the_gradient_of_the_dot_product_over_the_norms() -> None:
    u, v = embeddings()
    u.requires_grad_()
    (gradient,) = torch.autograd.grad(Cosine(detach_norms=True)(u, v).sum(), u)
    torch.testing.assert_close(gradient, v / (u.detach().norm(dim=1) * v.norm(dim=1))[:, None])


def test_which_way_is_closer() -> None:
    assert {name for name, cls in COMPARISONS.items() if not cls.higher_is_closer} == {
        "euclidean",
        "squared_euclidean",
        "manhattan",
        "clamped_euclidean",
    }
    assert not Learned(head(), higher_is_closer=False).higher_is_closer


@pytest.mark.parametrize(
    ("name", "score", "close"), [("cosine", [0.9, 0.1], [True, False]), ("euclidean", [0.9, 0.1], [False, True])]
)
def test_threshold(name: str, score: list[float], close: list[bool]) -> None:
    made = comparison(name)
    with pytest.raises(ValueError, match=f"{name} has no threshold"):
        made.is_close(torch.tensor(score))
    made.threshold_ = 0.5
    assert made.is_close(torch.tensor(score)).tolist() == close


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("cosinus", "no comparison is called 'cosinus'; did you mean 'cosine'"),
        ("qqq", "no comparison is called 'qqq'; known: .*bilinear, clamped_euclidean, cosine"),
        ("bilinear", r"'bilinear' needs arguments: pass xsiamese.model.comparison.Bilinear\(...\)"),
        ("learned", r"'learned' needs arguments: pass xsiamese.model.comparison.Learned\(...\)"),
    ],
)
def test_comparisons_that_cannot_be_had_by_name(spec: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        comparison(spec)


@pytest.mark.parametrize("name", ["euclidean", "manhattan", "squared_euclidean"])
def test_embeddings_of_two_sizes_are_refused_by_distances(name: str) -> None:
    with pytest.raises(
        ValueError, match=rf"{name} needs embeddings of one size: a is \(2, 4\), b is \(2, 3\); use Bilinear"
    ):
        comparison(name)(torch.rand(2, 4), torch.rand(2, 3))


@pytest.mark.parametrize("name", ["cosine", "dot"])
def test_embeddings_of_two_sizes_are_refused_by_products(name: str) -> None:
    with pytest.raises(
        ValueError, match=rf"{name} needs embeddings of one size: a is \(2, 4\), b is \(2, 3\); use Bilinear"
    ):
        comparison(name)(torch.rand(2, 4), torch.rand(2, 3))
    with pytest.raises(ValueError, match=f"{name} needs embeddings of one size"):
        comparison(name)(torch.rand(2, 4), torch.rand(2, 1))  # would broadcast


def test_bilinear_and_concat_take_embeddings_of_two_sizes() -> None:
    u, v = torch.rand(2, 4), torch.rand(2, 3)
    assert Bilinear(4, 3)(u, v).shape == (2,)
    assert Learned(nn.Linear(7, 1), join="concat")(u, v).shape == (2,)


# the clamped distance


def far() -> tuple[Tensor, Tensor]:
    return torch.full((2, 5), 3.0, dtype=torch.float64), torch.full((2, 5), -3.0, dtype=torch.float64)


def test_the_clamped_distance_is_explained_unclamped_with_a_warning() -> None:
    model, plain = (
        SiameseModel(problems.smooth_encoder(), ClampedEuclidean(0.1)),
        SiameseModel(problems.smooth_encoder(), "euclidean"),
    )
    with pytest.warns(
        UserWarning, match=r"the distance of 2 pair\(s\) is clamped at 0.1: the unclamped distance is explained instead"
    ):
        found = PairSaliency(model).attribute(far())
    for x, y in zip(found, PairSaliency(plain).attribute(far()), strict=True):
        assert y.any()
        torch.testing.assert_close(x, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert PairSaliency(model).explain(far()).scores.tolist() == [0.1, 0.1]  # the reported score is the model's own


def test_the_clamped_distance_as_published_has_no_gradient_and_says_so() -> None:
    model = SiameseModel(problems.smooth_encoder(), ClampedEuclidean(0.1, explain_clamped=True))
    with pytest.warns(UserWarning, match="its gradient is zero"):
        maps = PairSaliency(model).attribute(far())
    assert not any(m.any() for m in maps)


def test_below_the_limit_there_is_no_warning() -> None:
    """Just above the distance of both pairs; at it, there is one."""
    encoder = problems.smooth_encoder()
    plain = PairSaliency(SiameseModel(encoder, "euclidean")).explain(far())
    limit = float(plain.scores.max())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = PairSaliency(SiameseModel(encoder, ClampedEuclidean(limit * (1 + 1e-12)))).explain(far())
    for x, y in zip((*found.maps, found.scores), (*plain.maps, plain.scores), strict=True):
        assert y.any()
        torch.testing.assert_close(x, y)
    with pytest.warns(UserWarning, match="is clamped at"):
        PairSaliency(SiameseModel(encoder, ClampedEuclidean(limit * (1 - 1e-12)))).attribute(far())


# signs


@pytest.mark.parametrize("name", ["euclidean", "manhattan"])
def test_maps_are_about_closeness(name: str) -> None:
    a, b = problems.vectors(2)
    distance = PairSaliency(SiameseModel(nn.Identity(), name)).attribute((a, b), abs=False)
    negated = PairSaliency(SiameseModel(nn.Identity(), Function(lambda u, v: -comparison(name)(u, v)))).attribute(
        (a, b), abs=False
    )
    for x, y in zip(distance, negated, strict=True):
        torch.testing.assert_close(x, y)
    callable_ = PairSaliency(lambda a, b: comparison(name)(a, b), higher_is_closer=False).attribute((a, b), abs=False)
    torch.testing.assert_close(callable_[0], distance[0])


# calling conventions


class DictModel(nn.Module):
    def forward(self, pair: dict[str, Tensor]) -> Tensor:
        return (pair["left"] * pair["right"]).sum(1)


CALLS: dict[str, tuple[Callable[..., Any], bool]] = {
    "two": (lambda a, b: (a * b).sum(1), False),
    "two, column": (lambda a, b: (a * b).sum(1, keepdim=True), False),
    "tuple": (lambda pair: (pair[0] * pair[1]).sum(1), False),
    "star": (lambda *pair: (pair[0] * pair[1]).sum(1), False),
    "default argument": (lambda a, b, scale=1.0: scale * (a * b).sum(1), False),
    "dict": (lambda pair: (pair["left"] * pair["right"]).sum(1), True),
    "dict module": (DictModel(), True),
}


@pytest.mark.parametrize("name", CALLS)
def test_callables_are_called_as_they_are_written(name: str) -> None:
    function, mapping = CALLS[name]
    a, b = problems.vectors()
    found = PairSaliency(function).attribute({"left": a, "right": b} if mapping else (a, b), abs=False)
    torch.testing.assert_close(found[0], b)
    torch.testing.assert_close(found[1], a)


def test_explaining_a_mapping_keeps_its_order() -> None:
    a, b = problems.vectors()
    explanation = PairSaliency(DictModel()).explain({"left": a, "right": b})
    torch.testing.assert_close(explanation.inputs[0], a)
    torch.testing.assert_close(explanation.scores, (a * b).sum(1))


def test_additional_forward_args_reach_the_model() -> None:
    a, b = problems.vectors()
    scale = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    found = PairSaliency(lambda a, b, s: s * (a * b).sum(1)).attribute(
        (a, b), additional_forward_args=(scale,), abs=False, internal_batch_size=1
    )
    torch.testing.assert_close(found[0], scale[:, None] * b)


def test_a_siamese_model_refuses_additional_forward_args() -> None:
    with pytest.raises(ValueError, match="takes the two inputs only, not 1 additional_forward_args"):
        PairSaliency(SiameseModel(nn.Identity())).attribute(problems.vectors(), additional_forward_args=(1,))


def test_embeddings_with_a_comparison() -> None:
    encoder = problems.smooth_encoder()
    inputs = problems.vectors()
    found = PairSaliency(problems.Embeddings(encoder, lambda u, v: u), comparison="cosine").attribute(inputs)
    for x, y in zip(found, PairSaliency(SiameseModel(encoder, "cosine")).attribute(inputs), strict=True):
        torch.testing.assert_close(x, y)


def test_wrapping_a_pair_model_gives_itself_and_wrapping_changes_no_flag() -> None:
    model = SiameseModel(nn.Linear(2, 2))
    assert pair_model(model) is model
    inner = nn.Sequential(nn.Linear(2, 2), nn.Dropout()).train()
    inner[0].eval()
    assert isinstance(pair_model(inner), TwoInputModel)
    assert [m.training for m in inner.modules()] == [True, False, True]
    with pytest.raises(ValueError, match="SiameseModel has its own comparison: leave out comparison="):
        pair_model(model, "cosine")


@pytest.mark.parametrize("target", [1, torch.tensor([1, 1, 1]), [1, 1, 1], lambda output: output[:, 1]])
def test_targets(target: Any) -> None:
    a, b = problems.vectors()
    found = PairSaliency(lambda a, b: torch.stack([(a - b).sum(1), (a * b).sum(1)], 1)).attribute(
        (a, b), target, abs=False, internal_batch_size=2
    )
    torch.testing.assert_close(found[0], b)
    torch.testing.assert_close(found[1], a)


# pseudo-Siamese models and sides of several tensors


class WordsAndWeights(nn.Module):
    """An encoder of (integer tokens, their weights)."""

    def __init__(self, dimensions: int = 4) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(10, dimensions).double()

    def forward(self, tokens: Tensor, weights: Tensor) -> Tensor:
        return torch.tanh(torch.einsum("ntd,nt->nd", self.table(tokens), weights))


def sentences(pairs: int = 3, length: int = 6) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(length)
    return torch.randint(0, 10, (pairs, length), generator=generator), torch.rand(
        pairs, length, generator=generator, dtype=torch.float64
    )


def test_sides_of_several_tensors_one_of_them_of_integers() -> None:
    model = SiameseModel(WordsAndWeights(), "dot")
    a, b = sentences(length=6), sentences(length=4)
    (of_tokens, of_weights), _ = PairIntegratedGradients(model).attribute((a, b), n_steps=64)
    assert not of_tokens.any()  # an integer has no gradient, and no place between two values
    assert of_weights.shape == (3, 6)
    explanation = PairIntegratedGradients(model).explain((a, b), n_steps=64)
    assert explanation.delta is not None
    assert explanation.delta.abs().max() < 1e-4
    ablation = PairFeatureAblation(model).attribute((a, b), internal_batch_size=1)
    i, j = 1, 2
    without = a[1].clone()
    without[i, j] = 0
    change = model(a, b)[i] - model((a[0], without), b)[i]
    torch.testing.assert_close(ablation[0][1][i, j], change.detach())


@pytest.mark.parametrize("wrt", ["both", "first", "second"])
def test_two_encoders_of_two_kinds_and_sizes(wrt: Any) -> None:
    """An image on one side, a sentence on the other."""
    image = problems.conv_encoder()
    model = SiameseModel((image, nn.Sequential(nn.Linear(5, 6), nn.Tanh()).double()), "cosine")
    a, b = problems.images(3)[0], problems.vectors(3)[1]
    map_a, map_b = PairIntegratedGradients(model).attribute((a, b), wrt=wrt, n_steps=8)
    assert map_a.shape == a.shape
    assert map_b.shape == b.shape
    assert bool(map_a.any()) == (wrt != "second")
    assert bool(map_b.any()) == (wrt != "first")
    cam_a, cam_b = PairGradCAM(model, ("3", "0")).attribute((a, b))
    assert cam_a.shape == (3, 1, 4, 4)
    assert cam_b.shape == (3, 1)


def test_images_of_two_sizes() -> None:
    model = SiameseModel(problems.conv_encoder(), "cosine")
    a, b = problems.images(2, size=8)[0], problems.images(2, size=12)[1]
    maps = PairGradCAM(model).attribute((a, b))
    assert [tuple(m.shape) for m in maps] == [(2, 1, 4, 4), (2, 1, 6, 6)]
    assert [m.shape for m in PairSaliency(model).attribute((a, b))] == [a.shape, b.shape]


def test_a_function_is_an_encoder_and_what_is_none_is_refused() -> None:
    model = SiameseModel(lambda images: images.flatten(1), "dot")
    a, b = torch.rand(2, 1, 2, 2), torch.rand(2, 1, 2, 2)
    assert torch.equal(PairInputXGradient(model).attribute((a, b))[0], a * b)
    with pytest.raises(TypeError, match="the encoder is 'resnet18': a module that makes embeddings"):
        SiameseModel("resnet18")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="3 encoders are given: one for both sides, or a tuple of two"):
        SiameseModel((nn.Identity(), nn.Identity(), nn.Identity()))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["PairGradCAM", "PairMaskRegression", "PairOcclusion", "PairRegionSwap"])
def test_a_checkpoint_is_no_model_and_its_model_is_named(name: str) -> None:
    from xsiamese.zoo import shipped

    with pytest.raises(TypeError, match=r"a Checkpoint cannot be: give its \.model"):
        xsiamese.explainers()[name](shipped("fashion"))
    with pytest.raises(TypeError, match="a str cannot be: give the model itself"):
        xsiamese.explainers()[name]("fashion")


# parts by hand

U, V = torch.tensor([[3.0, 4.0], [1.0, 0.0]]).double(), torch.tensor([[0.0, 0.0], [1.0, -2.0]]).double()


def test_comparisons_as_they_are_made_without_a_word() -> None:
    """Distances 5 and 2: the clamp is at 1, a bilinear form is the inner product, and joined is |u - v|."""
    assert ClampedEuclidean()(U, V).tolist() == [1.0, 1.0]
    assert ClampedEuclidean(2.0)(U, V).tolist() == [2.0, 2.0]
    with pytest.warns(UserWarning, match=r"the distance of 2 pair\(s\) is clamped at 2: the unclamped distance"):
        assert ClampedEuclidean(2.0).explained(U, V).tolist() == [5.0, 2.0]  # at the limit the slope is gone, too
    with pytest.warns(UserWarning, match=r"the distance of 1 pair\(s\) is clamped at 4: its gradient is zero"):
        assert ClampedEuclidean(4.0, explain_clamped=True).explained(U, V).tolist() == [4.0, 2.0]
    assert Bilinear(2).double()(U, V).tolist() == [0.0, 1.0]
    assert Bilinear(2, 3).weight.tolist() == [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    weigh = nn.Linear(4, 1, bias=False).double()
    weigh.weight.data = torch.tensor([[1.0, 10.0, 100.0, 1000.0]]).double()
    assert Learned(weigh, "concat")(U, V).tolist() == [43.0, -1899.0]
    assert Learned(nn.Identity())(U[:, :1], V[:, 1:]).tolist() == [3.0, 3.0]  # |3 - 0| and |1 + 2|
    assert Learned(lambda joined: joined.sum(1), "product")(U, V).tolist() == [0.0, 1.0]  # type: ignore[arg-type]
    assert Learned(nn.Identity()).higher_is_closer
    grid = torch.arange(8.0).reshape(2, 2, 2)
    assert comparison("dot")(grid, grid).tolist() == [14.0, 126.0]
    assert comparison("manhattan")(grid, grid.flip(0)).tolist() == [16.0, 16.0]


@pytest.mark.parametrize("name", ["cosine", "euclidean", "clamped_euclidean"])
def test_what_is_not_differentiable_at_zero_has_no_slope_there(name: str) -> None:
    u = torch.zeros(1, 2, requires_grad=True)
    (slope,) = torch.autograd.grad(comparison(name)(u, torch.zeros(1, 2)).sum(), u)
    assert slope.tolist() == [[0.0, 0.0]]


VECTORS = torch.tensor([
    [[9.0, 9.0], [1.0, -4.0], [3.0, 2.0], [8.0, 8.0]],
    [[1.0, 2.0], [-1.0, 5.0], [3.0, -7.0], [1.0, 0.0]],
    [[9.0, 9.0], [5.0, 5.0], [-2.0, 0.5], [7.0, 7.0]],
])  # fmt: skip
COUNTED = torch.tensor([[0.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.0]])


class Shows(TextEncoder):
    def states(self, input_ids: Tensor, **more: Tensor) -> tuple[Tensor, Tensor]:
        return VECTORS[input_ids], COUNTED[input_ids]


@pytest.mark.parametrize(("pooling", "expected"), [
    ("mean", [[2.0, -1.0], [1.0, 0.0], [-2.0, 0.5]]),
    ("cls", [[1.0, -4.0], [1.0, 2.0], [-2.0, 0.5]]),
    ("last", [[3.0, 2.0], [1.0, 0.0], [-2.0, 0.5]]),
    ("max", [[3.0, 2.0], [3.0, 5.0], [-2.0, 0.5]]),
    ("splade", [[math.log(4), math.log(3)], [math.log(4), math.log(6)], [0.0, math.log(1.5)]]),
])  # fmt: skip
def test_one_embedding_of_the_vectors_of_tokens(pooling: Pooling, expected: list[list[float]]) -> None:
    """Three texts of four tokens, of which the first and the last of the first text count for nothing."""
    encoder = Shows()
    encoder.pooling = pooling
    found = encoder(torch.arange(3))
    torch.testing.assert_close(found, torch.tensor(expected))
    encoder.normalises = True
    torch.testing.assert_close(encoder(torch.arange(3)), found / found.norm(dim=1, keepdim=True))


def test_the_vectors_of_tokens_and_a_pooling_that_is_none() -> None:
    encoder = Shows()
    encoder.pooling = "tokens"
    found = encoder(torch.arange(3))
    assert found.shape == (3, 4, 3)
    assert found[0].tolist() == [[0.0, 0.0, 0.0], [1.0, -4.0, 1.0], [3.0, 2.0, 1.0], [0.0, 0.0, 0.0]]
    encoder.normalises = True
    lengths = encoder(torch.arange(3)).norm(dim=-1)  # each token's own
    torch.testing.assert_close(lengths, COUNTED)
    with pytest.raises(ValueError, match="Shows has no pooling that is known: None"):
        Shows()(torch.arange(3))


class Sums(nn.Module):
    def forward(self, x: Any, y: Any, *, scale: Any = 1, shift: Any = 0) -> Any:
        return scale * x + 10 * y + shift

    def minus(self, x: Any, y: Any) -> Any:
        return x - y


class Unsigned(nn.Module):
    forward = staticmethod(max)  # type: ignore[assignment] # whose arguments nobody knows


def test_a_module_behind_a_partial_or_a_method_is_shown_with_what_is_fixed() -> None:
    module = Sums()
    found: Any = shown(partial(partial(module, 1, scale=2), 3, shift=4))
    assert isinstance(found, Called)
    assert (found(), found(scale=3), shown(partial(module, 1))(7)) == (36, 37, 71)  # type: ignore[operator]
    method: Any = shown(partial(module.minus, 9))
    assert (method(2), shown(module.minus)(5, 3)) == (7, 2)
    assert list(method.modules()) == [method, module]
    assert shown(module) is module
    assert shown(max) is max
    plain = module_of(lambda x, y=0: x - y)
    assert isinstance(plain, Plain)
    assert (plain(3), plain(3, y=1)) == (3, 2)
    assert not takes_whole(Unsigned(), {"x": None})
    assert TwoInputModel(Unsigned())(1, 2) == 2  # what says nothing is called with two


class OfATensor(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


OfATensor.forward.__annotations__["x"] = Tensor  # as where annotations are no texts


class OfAText(nn.Module):
    def forward(self, x: torch.Tensor) -> Tensor:
        return x


class OfAPair(nn.Module):
    def forward(self, pair: Any) -> Any:
        return pair


def test_a_module_of_one_tensor_is_an_encoder_beside_a_comparison() -> None:
    of_a_pair = nn.Sequential(OfAPair(), OfATensor())
    for encoder in (
        OfATensor(),
        OfAText(),
        nn.Sequential(OfATensor(), OfAPair()),
        nn.Sequential(nn.Sequential(OfAText())),
    ):
        assert isinstance(pair_model(encoder, "dot"), SiameseModel), encoder
        assert isinstance(pair_model(encoder), TwoInputModel)
    for other in (OfAPair(), of_a_pair, nn.Sequential(), Sums(), torch.dot):
        assert isinstance(pair_model(other, "dot"), TwoInputModel), other
    assert pair_model(OfAPair(), "dot")(U, V).tolist() == [0.0, 1.0]
    for mode in (True, False):
        assert pair_model(OfATensor().train(mode), "dot").training is mode
    assert pair_model(nn.DataParallel(SiameseModel(nn.Identity())).module).factored
    wrapped = pair_model(SiameseModel(nn.DataParallel(OfATensor()), "dot"))
    assert type(wrapped.encoders[0]) is OfATensor  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "output",
    [None, "text", b"text", 1, 1.0, [1.0, 2.0], (), iter([U]), U.numpy()],
    ids=lambda one: type(one).__name__,
)
def test_what_is_no_embedding_is_refused_with_what_it_is(output: Any) -> None:
    what = f"a {type(output).__name__}"
    with pytest.raises(ValueError, match=f"the encoder returned {what}.*: a tensor"):
        embedding_of(output)
    assert embedding_of([U, V]) == [U, V]


def test_which_output_is_the_embedding() -> None:
    """By the order of what is known, whatever the order in the output; of tokens the mean over those that count."""
    words, mask = torch.tensor([[[1.0], [3.0], [8.0]]]), torch.tensor([[1, 1, 0]])
    names = ["sentence_embedding", "image_embeds", "text_embeds", "pooler_output"]
    for i, name in enumerate(names):
        given = {"last_hidden_state": words, **{one: torch.full((1, 2), float(k)) for k, one in enumerate(names)}}
        kept = {key: value for key, value in reversed(given.items()) if key not in names[:i]}
        assert embedding_of(kept) is given[name]
    assert embedding_of({"last_hidden_state": words, "other": U}).tolist() == [[4.0]]
    assert embedding_of({"token_embeddings": words, "attention_mask": mask}).tolist() == [[2.0]]
    assert embedding_of({"last_hidden_state": words}, item={"attention_mask": mask}).tolist() == [[2.0]]
    assert embedding_of({"last_hidden_state": words}, item={"attention_mask": [1]}).tolist() == [[4.0]]
    with pytest.raises(ValueError, match=r"the encoder returned 'x' \(2, 2\), 'y' \(2, 2\), 'z' int, none of which"):
        embedding_of({"x": U, "y": V, "z": 3})
    assert embedding_of((U, V), 1) is V
    with pytest.raises(ValueError, match=r"embedding=2: the encoder returned a tuple of \(2, 2\), int"):
        embedding_of((U, 3), 2)
    with pytest.raises(ValueError, match="returned complex numbers"):
        embedding_of(U.to(torch.complex64))


def test_an_encoder_of_arrays() -> None:
    halves = BlackBoxEncoder(lambda x, shift=0: [x.reshape(len(x), -1) / 2 + shift, "more"])
    assert halves(U).dtype == torch.float64
    assert halves(U, shift=2 * U).tolist() == [[7.5, 10.0], [2.5, 0.0]]
    whole = halves(torch.tensor([[1], [2]]))
    assert (whole.dtype, whole.tolist()) == (torch.float32, [[0.5], [1.0]])
    for wrong, shape in ((lambda x: x[:1], r"\(1, 2\)"), (lambda x: x[:, 0], r"\(2,\)")):
        with pytest.raises(ValueError, match=f"the function returned {shape} for 2 items"):
            BlackBoxEncoder(wrong)(U)


def test_the_same_model_for_inputs_by_name() -> None:
    model = TwoInputModel(OfAPair(), "euclidean").eval()
    model.background, model.typical = (1.0,), U
    named: Any = model.called_with(("left", "right"))
    assert named.call == ("left", "right")
    assert (named.training, named.background, named.typical) == (False, (1.0,), U)
    assert not named.higher_is_closer
    assert model.train().called_with(("left", "right")).training
    two: Any = TwoInputModel(lambda a, b: (a, b), "euclidean")
    assert two.called_with(dict) is two
    of_an_object: Any = model.called_with(lambda a, b: (b, a))
    assert [z.tolist() for z in of_an_object._call(U, V)] == [V.tolist(), U.tolist()]
    with pytest.raises(ValueError, match="call='three': 'two', 'tuple' or the two keys"):
        TwoInputModel(Sums(), call="three")(U, V)
    with pytest.raises(ValueError, match=r"must return two embeddings \(z_a, z_b\); it returned \(2, 2\)"):
        TwoInputModel(Sums(), "dot")(U, V)
