"""What is said of the way a score goes: a bool, and no word that would count as True."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xsiamese import PairInputXGradient, PairModel, SiameseModel, TwoInputModel
from xsiamese.model.comparison import Comparison, Dot, Learned, comparison
from xsiamese.model.decision import Decision
from xsiamese_graph.leave_one_out import leave_one_out

A, B = torch.randn(2, 3, 6, generator=torch.Generator().manual_seed(1))


def distance(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().sum(1)


class Says(nn.Module):
    def __init__(self, way: Any) -> None:
        super().__init__()
        self.higher_is_closer = way

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return distance(a, b)


def own_pair_model(way: Any) -> PairModel:
    class Own(PairModel):
        higher_is_closer = way

        def forward(self, a: Any, b: Any, *extra: Any) -> Tensor:
            return distance(a, b)

    return Own()


def own_comparison(way: Any) -> SiameseModel:
    class Own(Comparison):
        name, higher_is_closer = "own", way

        def forward(self, z_a: Tensor, z_b: Tensor) -> Tensor:
            return distance(z_a, z_b)

    return SiameseModel(nn.Identity(), Own())


def explained(model: Any, **settings: Any) -> Tensor:
    return torch.cat(PairInputXGradient(model, **settings).attribute((A, B)))


WAYS: dict[str, Callable[[Any], Any]] = {
    "an explainer": lambda way: explained(distance, higher_is_closer=way),
    "an explainer of a pair model": lambda way: explained(TwoInputModel(distance), higher_is_closer=way),
    "an explainer with a comparison": lambda way: explained(nn.Identity(), comparison=distance, higher_is_closer=way),
    "a Siamese model": lambda way: explained(SiameseModel(nn.Identity(), distance, higher_is_closer=way)),
    "a model of two inputs": lambda way: explained(TwoInputModel(distance, higher_is_closer=way)),
    "the model itself": lambda way: explained(Says(way)),
    "the comparison itself": lambda way: explained(SiameseModel(nn.Identity(), Says(way))),
    "a pair model": lambda way: explained(own_pair_model(way)),
    "a class of comparisons": lambda way: explained(own_comparison(way)),
}


@pytest.mark.parametrize("word", ["no", "False", "distance", "", 2, 0.0, [False]])
@pytest.mark.parametrize("where", WAYS)
def test_a_word_is_refused(where: str, word: Any) -> None:
    with pytest.raises(
        ValueError, match=r"^higher_is_closer=.*True for a similarity or False for a distance is needed$"
    ):
        WAYS[where](word)


@pytest.mark.parametrize("where", WAYS)
def test_a_distance_is_the_similarity_with_its_sign_turned(where: str) -> None:
    square = torch.cat([2 * A * (A - B), -2 * B * (A - B)])  # x times the gradient of |a - b|^2
    for way, sign in ((True, 1), (np.True_, 1), (1, 1), (False, -1), (np.False_, -1), (0, -1)):
        assert torch.allclose(WAYS[where](way), sign * square)


@pytest.mark.parametrize("asked", [
    lambda no: comparison("dot", no), lambda no: Learned(nn.Linear(3, 1), "product", no),
    lambda no: Decision(0.5, no),
    lambda no: PairInputXGradient(SiameseModel(nn.Identity(), Dot()), higher_is_closer=no),
    lambda no: leave_one_out(lambda x, y: 1.0, ("a", "b"), lambda x, i: x, len, higher_is_closer=no),
])  # fmt: skip
def test_so_it_is_where_nothing_is_explained(asked: Callable[[Any], Any]) -> None:
    with pytest.raises(ValueError, match=r"^higher_is_closer='no': True for a similarity"):
        asked("no")
