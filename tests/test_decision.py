"""Decisions: both directions of a score, a score exactly on the threshold, and one rule wherever alike is asked."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from xsiamese import Decision, PairExplanation, PairSaliency, SiameseModel, TwoInputModel, calibrate
from xsiamese.data.pairs import Pairs
from xsiamese.model.comparison import Function
from xsiamese.training.evaluation import evaluate


def scored(higher_is_closer: bool) -> SiameseModel:
    """A model whose score is the difference of two numbers."""
    return SiameseModel(nn.Identity(), Function(lambda a, b: (b - a).flatten(), higher_is_closer))


@pytest.mark.parametrize(
    ("higher_is_closer", "alike"), [(True, [False, True, True]), (False, [True, True, False])], ids=["up", "down"]
)
def test_a_score_exactly_on_the_threshold_is_alike_everywhere(higher_is_closer: bool, alike: list[bool]) -> None:
    model, score = scored(higher_is_closer), torch.tensor([0.25, 0.5, 0.75])
    decision = model.decision(0.5)
    model.comparison.threshold_ = 0.5
    assert model.decision() == decision == Decision(0.5, higher_is_closer)
    assert decision.alike(model.closeness(score)).tolist() == alike
    assert model.comparison.is_close(score).tolist() == alike
    margin = decision.margin(model.closeness(score))
    assert (margin >= 0).tolist() == alike
    assert sorted(margin.tolist()) == [-0.25, 0.0, 0.25]
    assert decision.score(decision.closeness(score)).tolist() == score.tolist()


def test_a_threshold_between_two_neighbours_of_single_precision_stays_between_them() -> None:
    low = torch.tensor(1.0)
    high = torch.nextafter(low, torch.tensor(2.0))
    scores, same = torch.stack([low, high]), torch.tensor([False, True])
    found = calibrate(scored(True), torch.zeros(2, 1), scores[:, None], same)
    assert (found.far, found.frr, found.accuracy) == (0.0, 0.0, 1.0)  # in single precision the middle is one of the two
    assert Decision(found.threshold).alike(scores).tolist() == [False, True]


def test_without_a_threshold_the_error_says_how_to_find_one() -> None:
    with pytest.raises(ValueError, match=r"xsiamese\.calibrate"):
        scored(True).decision()
    for bad in (math.nan, math.inf):
        with pytest.raises(ValueError, match="a finite number"):
            scored(True).decision(bad)


class Squashed(Function):
    """A similarity that is reported through a sigmoid."""

    def forward(self, z_a: Tensor, z_b: Tensor) -> Tensor:
        return self.reported(self.explained(z_a, z_b))

    def explained(self, z_a: Tensor, z_b: Tensor) -> Tensor:
        return super().forward(z_a, z_b)

    def reported(self, explained: Tensor) -> Tensor:
        return explained.sigmoid()


@pytest.mark.parametrize(
    ("comparison", "threshold", "told"),
    [
        ("clamped_euclidean", 1.5, ["different: clamped_euclidean 1 (unclamped 3), alike up to 1.5", "alike: "]),
        (
            Squashed(lambda a, b: (b - a).flatten(), True),
            2.0,
            ["alike: function 0.9526 (unclamped 3), alike from 2", "different: "],
        ),
    ],
    ids=["clamp", "sigmoid"],
)
def test_a_verdict_is_about_the_score_of_before_a_clamp(
    comparison: object, threshold: float, told: list[str], tmp_path: Path
) -> None:
    """A threshold beyond the clamp would otherwise call every pair alike, and one beyond 1 none of a sigmoid's."""
    model = SiameseModel(nn.Identity(), comparison)
    model.comparison.threshold_ = threshold
    pairs = torch.zeros(2, 1), torch.tensor([[3.0], [1.2]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = PairSaliency(model).explain(pairs)
    right = model.decision().alike(model.closeness(torch.tensor([3.0, 1.2]))).tolist()
    found.save(tmp_path / "found.safetensors")
    for one in (found, PairExplanation.load(tmp_path / "found.safetensors")):
        assert [one.verdict(k).startswith("alike") for k in (0, 1)] == right
        assert one.verdict(0) == told[0]
        assert one[1].verdict(0).startswith(told[1])


class Joint(nn.Module):
    """A distance that cannot be taken apart into encoder and comparison."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return (self.weight * (a - b)).abs().flatten()


class Numbers:
    """Items that are numbers."""

    def __init__(self, values: list[float]) -> None:
        self.values = torch.tensor(values)[:, None]
        self.labels = torch.zeros(len(values))

    def __len__(self) -> int:
        return len(self.values)

    def gather(self, index: Tensor) -> Tensor:
        return self.values[index]


def test_the_threshold_of_a_joint_distance_is_a_distance() -> None:
    numbers = Numbers([0.0, 1.0, 2.0, 4.0, 6.0])
    zero, others = torch.zeros(4, dtype=torch.long), torch.arange(1, 5)
    pairs = Pairs(zero, others, torch.tensor([True, True, False, False]))  # distances 1, 2 same; 4, 6 different
    model = TwoInputModel(Joint(), higher_is_closer=False)
    found = evaluate(model, numbers, numbers, nn.Identity(), pairs=(pairs, pairs))  # type: ignore[arg-type]
    assert found["threshold"] == 3.0  # between 2 and 4, in units of the distance: +3, not -3
    assert found["accuracy"] == 1.0
    assert found["confusion"] == [[2, 0], [0, 2]]
    assert found["eer"] == 0.0
