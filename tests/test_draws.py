"""What a method of one's own draws: other numbers for other pairs, the same whatever stands beside them."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import NormalDist
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from xsiamese import PairAttribution, PairShapleyValueSampling, SiameseModel, measure

LINEAR = SiameseModel(nn.Identity(), "dot")
PAIRS, FEATURES = 64, 6
Sides = tuple[Tensor, Tensor]


def drawing(**traits: Any) -> PairAttribution:
    def compute(self: Any, batch: Any) -> Any:
        return batch.maps([torch.rand_like(leaf) for leaf in batch.moved])

    own = {"name": "drawn", "compute": compute, "stochastic": True, "uses_gradients": False, **traits}
    made: PairAttribution = type("Drawn", (PairAttribution,), own)(LINEAR)
    return made


def different(found: Tensor) -> int:
    return len({tuple(row) for row in found.tolist()})


@pytest.fixture
def pairs() -> Sides:
    a, b = torch.randn(2, PAIRS, FEATURES, generator=torch.Generator().manual_seed(3))
    return a, b


def chosen(pairs: Sides, which: Tensor) -> Sides:
    return pairs[0][which], pairs[1][which]


def rows(maps: Iterable[Tensor]) -> Tensor:
    return torch.cat([*maps], 1)


def test_each_pair_has_draws_of_its_own(pairs: Sides) -> None:
    found = rows(drawing().attribute(pairs))
    assert different(found) == PAIRS
    assert different(found.reshape(-1, 1)) == found.numel()


def test_draws_are_the_same_alone_in_any_order_and_again(pairs: Sides) -> None:
    explainer, order = drawing(), torch.randperm(PAIRS)
    found = rows(explainer.attribute(pairs))
    assert torch.equal(rows(explainer.attribute(pairs, internal_batch_size=5)), found)
    assert torch.equal(rows(explainer.attribute(chosen(pairs, order))), found[order])
    assert torch.equal(
        torch.cat([rows(explainer.attribute(chosen(pairs, torch.tensor([i])))) for i in range(3)]), found[:3]
    )


def test_another_seed_draws_others(pairs: Sides) -> None:
    explainer = drawing()
    found = torch.cat([rows(explainer.attribute(pairs, seed=seed)) for seed in (0, 1, 2)])
    assert different(found) == 3 * PAIRS


def test_pairs_that_are_turned_round_share_their_draws(pairs: Sides) -> None:
    explainer = drawing()
    assert torch.equal(rows(explainer.attribute(pairs[::-1])), rows(explainer.attribute(pairs)))


def test_random_maps_are_at_chance(pairs: Sides) -> None:
    truth = torch.zeros(PAIRS, FEATURES)
    truth[:, 1] = -1
    # one unit against five others: its rank is uniform, and the mean over sides and pairs is about normal
    off = NormalDist().inv_cdf(1 - 1e-5) * ((FEATURES**2 - 1) / 12 / (FEATURES - 1) ** 2 / (2 * PAIRS)) ** 0.5
    means = []
    for seed in range(3):
        found = measure(drawing(), pairs, ["auroc"], truth=(truth, truth), seed=seed)["auroc"]
        assert abs(found.mean - 0.5) < off
        assert found.low < found.mean < found.high
        means.append(found.mean)
    assert len(set(means)) == 3


def test_same_draws_are_said_by_a_trait(pairs: Sides) -> None:
    assert different(rows(drawing(same_draws=True).attribute(pairs))) == 1
    assert PairShapleyValueSampling.traits.same_draws
