"""A comparison that gives (pairs, 1) is explained as the same one that gives (pairs,), by every method."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.problems import tensors
from xsiamese import Gallery, PairRISE, PairSaliency, SiameseModel, calibrate, explainers
from xsiamese.training.losses import AllPairs, BinaryCrossEntropy, Graded

Compare = Callable[[Tensor, Tensor], Tensor]


def flat(u: Tensor, v: Tensor) -> Tensor:
    return (u * v).sum(1)


def column(u: Tensor, v: Tensor) -> Tensor:
    return flat(u, v)[:, None]


def encoder() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 4))


def items() -> Tensor:
    return torch.randn(4, 1, 6, 6, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", sorted(explainers()))
def test_every_method(name: str) -> None:
    found: list[Any] = []
    for comparison in (flat, column):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found.append(
                    explainers()[name](SiameseModel(encoder(), comparison)).explain((items()[:2], items()[2:]))
                )
        except Exception as error:  # a method that is not for this model says so of both
            found.append(str(error))
    one, other = found
    if isinstance(one, str):
        assert one == other
        return
    assert torch.equal(one.scores, other.scores)
    for expected, got in zip(tensors(one.maps), tensors(other.maps), strict=True):
        torch.testing.assert_close(got, expected)


def test_a_distance_of_torch() -> None:
    a, b = items()[:2], items()[2:]
    for cls in (PairRISE, PairSaliency):
        one, other = (
            cls(SiameseModel(encoder(), nn.PairwiseDistance(keepdim=keep))).explain((a, b)) for keep in (False, True)
        )
        torch.testing.assert_close(other.maps, one.maps)


def test_a_gallery_its_search_and_a_threshold() -> None:
    told = []
    for comparison in (flat, column):
        model = SiameseModel(encoder(), comparison)
        gallery = Gallery(PairRISE(model), items(), masks=20)
        calibrate(model, items()[:3], items()[1:], torch.tensor([True, False, True]))
        maps, hits = gallery.explain([(0, 1), (2, 3)])[:].maps, gallery.search([0], k=2)
        told.append((maps, hits.scores, model.comparison.threshold_))
    torch.testing.assert_close(told[1], told[0])


@pytest.mark.parametrize("loss", [BinaryCrossEntropy, Graded, AllPairs])
def test_training(loss: Any) -> None:
    of_pairs = loss is not AllPairs
    labels = torch.tensor([1.0, 0.0]) if of_pairs else torch.tensor([0, 0, 1, 1])
    one, other = (loss()(SiameseModel(encoder(), comparison), items(), labels) for comparison in (flat, column))
    assert float(one.detach()) == float(other.detach())


def test_a_target_picks_from_what_the_comparison_gives() -> None:
    model = SiameseModel(encoder(), column)
    a, b = items()[:2], items()[2:]
    picked = PairSaliency(model).attribute((a, b), target=0)
    torch.testing.assert_close(picked, PairSaliency(SiameseModel(encoder(), flat)).attribute((a, b)))
