"""Distances and similarities of others, functions or modules: which way is closer is known, believed or told."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests import problems
from xsiamese import PairGradCAM, PairInputXGradient, PairSaliency, SiameseModel
from xsiamese.model.comparison import Cosine, comparison


class Distance(nn.Module):
    """A distance that says so."""

    higher_is_closer = False

    def forward(self, u: Tensor, v: Tensor) -> Tensor:
        return functional.pairwise_distance(u, v)


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (nn.PairwiseDistance(), "euclidean"),
        (nn.PairwiseDistance(p=1), "manhattan"),
        (functional.pairwise_distance, "euclidean"),
        (Distance(), "euclidean"),
        (nn.CosineSimilarity(), "cosine"),
        (functional.cosine_similarity, "cosine"),
    ],
)
def test_its_maps_are_those_of_the_comparison_by_name(function: Any, named: str) -> None:
    encoder, inputs = problems.conv_encoder(), problems.images()
    found = PairGradCAM(SiameseModel(encoder, function)).attribute(inputs)
    expected = PairGradCAM(SiameseModel(encoder, named)).attribute(inputs)
    for x, y in zip(found, expected, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-3, atol=1e-5)  # their distance adds 1e-6 to every difference


@pytest.mark.parametrize("name", ["LpDistance", "SNRDistance", "CosineSimilarity", "DotProductSimilarity"])
@pytest.mark.parametrize("settings", [{}, {"power": 2}])
def test_distances_of_pytorch_metric_learning_give_their_diagonal(name: str, settings: dict[str, Any]) -> None:
    distances = pytest.importorskip("pytorch_metric_learning.distances")
    distance = getattr(distances, name)(**settings)
    u, v = problems.vectors()
    found = comparison(distance)
    torch.testing.assert_close(found(u, v), distance(u, v).diagonal(), rtol=1e-4, atol=1e-5)
    assert found.higher_is_closer is name.endswith("Similarity")


def test_a_function_whose_name_says_distance_is_not_taken_for_a_similarity_in_silence() -> None:
    def my_distance(u: Tensor, v: Tensor) -> Tensor:
        return (u - v).abs().sum(1)

    with pytest.warns(UserWarning, match="my_distance is taken for a similarity.*higher_is_closer=False"):
        assert SiameseModel(nn.Identity(), my_distance).higher_is_closer
    assert not SiameseModel(nn.Identity(), my_distance, higher_is_closer=False).higher_is_closer


def test_every_explainer_can_be_told_and_the_model_stays_as_it_was() -> None:
    def drift(u: Tensor, v: Tensor) -> Tensor:
        return (u - v).square().sum(1)

    encoder, inputs = problems.conv_encoder(), problems.images()
    model = SiameseModel(encoder, drift)
    told = PairSaliency(model, higher_is_closer=False)
    assert model.higher_is_closer
    assert not told.model.higher_is_closer
    for x, y, z in zip(
        told.attribute(inputs, abs=False),
        PairSaliency(SiameseModel(encoder, "squared_euclidean")).attribute(inputs, abs=False),
        PairSaliency(model).attribute(inputs, abs=False),
        strict=True,
    ):
        torch.testing.assert_close(x, y)
        torch.testing.assert_close(x, -z)
    assert PairSaliency(SiameseModel(encoder, "cosine"), higher_is_closer=True).model.higher_is_closer


@pytest.mark.parametrize("spec", ["cosine", Cosine()])
def test_what_is_known_cannot_be_told_otherwise(spec: Any) -> None:
    with pytest.raises(ValueError, match="in cosine higher is closer: leave out higher_is_closer="):
        SiameseModel(nn.Identity(), spec, higher_is_closer=False)
    with pytest.raises(ValueError, match="in cosine higher is closer"):
        PairSaliency(SiameseModel(nn.Identity(), spec), higher_is_closer=False)


def test_a_whole_model_that_says_so_is_believed() -> None:
    class Scores(problems.Shared):
        higher_is_closer = False

    model = Scores(problems.smooth_encoder(), lambda u, v: (u - v).square().sum(1))
    plain = problems.Shared(problems.smooth_encoder(), lambda u, v: (u - v).square().sum(1))
    for x, y in zip(
        PairSaliency(model).attribute(problems.vectors(), abs=False),
        PairSaliency(plain).attribute(problems.vectors(), abs=False),
        strict=True,
    ):
        torch.testing.assert_close(x, -y)


@pytest.mark.parametrize(
    "distance",
    [
        lambda u, v: (u - v).norm(dim=1),
        lambda u, v: (u - v).square().sum(1),
        lambda u, v: 1 - nn.functional.cosine_similarity(u, v),
        lambda u, v: nn.functional.pairwise_distance(u, v),  # adds 1e-6 to each difference
    ],
)
def test_a_distance_that_has_no_name_is_told_by_what_it_gives_for_equal_embeddings(distance: Any) -> None:
    a, b = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    with pytest.warns(UserWarning, match="as a distance does, and is taken for a similarity.*higher_is_closer=False"):
        PairSaliency(SiameseModel(nn.Identity(), distance)).attribute((a, b))
    model = SiameseModel(nn.Identity(), distance, higher_is_closer=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        PairSaliency(model).attribute((a, b))


@pytest.mark.parametrize(
    "similarity",
    [
        lambda u, v: (u * v).sum(1),
        lambda u, v: -(u - v).norm(dim=1),
        lambda u, v: torch.exp(-(u - v).square().sum(1)),
        lambda u, v: 0 * (u * v).sum(1),
    ],
)
def test_a_similarity_that_has_no_name_is_believed(similarity: Any) -> None:
    a, b = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        PairInputXGradient(SiameseModel(nn.Identity(), similarity)).attribute((a, b))
    assert not any("distance" in str(one.message) for one in caught)


@pytest.mark.parametrize(("equal", "least", "warned"), [
    (0.0, 0.0, True), (0.9, 0.0, True), (1.1, 0.0, False), (-0.9, 0.0, True), (-1.1, 0.0, False),
    (0.0, -0.9, True), (0.0, -1.1, False),
])  # fmt: skip
def test_how_near_nothing_counts_as_nothing(equal: float, least: float, warned: bool) -> None:
    """Of scores up to 1000 anything up to 1, as distances of PyTorch give for equal embeddings."""
    a, b = torch.zeros(2, 1), torch.ones(2, 1)

    def scores(u: Tensor, v: Tensor) -> Tensor:
        return torch.full((2,), equal) if torch.equal(u, v) else torch.tensor([1000.0, least])

    made = comparison(scores)
    for times in (int(warned), 0):  # once for each comparison
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            made(a, b)
        assert len(caught) == times


def test_of_two_kinds_of_embeddings_none_is_compared_with_itself() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = comparison(lambda u, v: u.sum(1) - v[0].sum(1))(torch.ones(2, 2), (torch.ones(2, 1),))  # type: ignore[arg-type]
        assert found.tolist() == [1.0, 1.0]
        fails = comparison(lambda u, v: (u @ torch.ones(2, 3) * v).sum(1))
        assert fails(torch.ones(1, 2), torch.ones(1, 3)).tolist() == [6.0]


@pytest.mark.parametrize(("name", "said"), [
    ("dist", True), ("distances", True), ("my_dist_of", True), ("PairDistance", True), ("EUCLIDEAN", True),
    ("manhattan", True), ("kl_divergence", True), ("distinct", False), ("similarity", False),
])  # fmt: skip
def test_names_that_say_distance(name: str, said: bool) -> None:
    named = type(name, (nn.Module,), {"forward": lambda self, u, v: (u * v).sum(1)})()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert comparison(named).higher_is_closer
    assert len(caught) == said
