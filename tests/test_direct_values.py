"""Small parts against values worked out by hand: each of these was once wrong on purpose, and no other test saw it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from xsiamese import Decision, PairIntegratedGradients, PairScoreCAM, SiameseModel
from xsiamese.metrics.completeness import Completeness
from xsiamese.metrics.units import _filling, blurred
from xsiamese.pairs.calibration import wilson
from xsiamese.result.indexing import _number
from xsiamese.result.matrices import _summed
from xsiamese.result.places import coarser, summed


def test_flipped_is_the_other_side_of_the_threshold() -> None:
    closeness = torch.tensor([-0.25, -0.5, -0.75])  # of distances 0.25, 0.5 and 0.75
    decision = Decision(0.5, higher_is_closer=False)
    assert decision.flipped(closeness, True).tolist() == [False, False, True]
    assert decision.flipped(closeness, torch.tensor([False, True, False])).tolist() == [True, False, False]
    assert decision.progress(closeness, True).tolist() == [-0.25, 0.0, 0.25]
    assert decision.progress(closeness, False).tolist() == [0.25, 0.0, -0.25]
    assert decision.margin(closeness).tolist() == [0.25, 0.0, -0.25]


def test_a_siamese_model_takes_two_inputs_only() -> None:
    with pytest.raises(ValueError, match="takes the two inputs only, not 1 additional_forward_args"):
        SiameseModel(nn.Identity(), "dot")(torch.ones(1, 2), torch.ones(1, 2), 3)


@pytest.mark.parametrize("one", [True, 1.5, "1", None])
def test_what_is_no_number_means_no_pair(one: Any) -> None:
    with pytest.raises(TypeError, match="a pair is meant by its number"):
        _number(one, 3)


def test_a_grid_that_stays_as_it_is_and_a_coarser_one() -> None:
    number, grid = coarser((2, 3), (2, 3), "a")
    assert (number.tolist() if number is not None else None, grid) == ([0, 1, 2, 3, 4, 5], (2, 3))
    number, grid = coarser((1, 2), (2, 4), "a")
    assert (number.tolist() if number is not None else None, grid) == ([0, 0, 1, 1] * 2, (1, 2))
    values = torch.tensor([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]])
    assert summed(values, torch.tensor([1, 1, 0]), (2,)).tolist() == [[4.0, 40.0], [3.0, 30.0]]


def test_tokens_of_the_first_word_count_and_those_of_none_do_not() -> None:
    factor = torch.tensor([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0], [8.0, 80.0]])
    assert _summed(factor, torch.tensor([-1, 0, 0, 1]), 2).tolist() == [[6.0, 60.0], [8.0, 80.0]]


def test_the_interval_of_a_rate_solves_its_equation() -> None:
    """Wilson's limits are where |rate - p| is z standard errors of p: the two roots, put into the equation."""
    for errors, trials in ((3, 10), (0, 28), (17, 20)):
        for limit in wilson(errors, trials):
            assert abs(errors / trials - limit) == pytest.approx(1.959964 * (limit * (1 - limit) / trials) ** 0.5)
    assert wilson(3, 10) == pytest.approx((0.107789, 0.603222), abs=1e-5)


def test_a_map_by_asking_needs_no_gradient() -> None:
    assert not PairScoreCAM.traits.uses_gradients


def test_completeness_is_what_is_missed_of_the_change() -> None:
    """s = a^2 b^2 from zero, one side moving: a map that is 0.5 too large misses 0.5 of 36."""
    model = SiameseModel(lambda x: x.square(), "dot")
    a, b = torch.tensor([[2.0]]).double(), torch.tensor([[3.0]]).double()
    explainer = PairIntegratedGradients(model)
    found = explainer.explain((a, b), wrt="first")
    found.maps[0].copy_(torch.tensor([[36.5]]))
    found.maps[1].zero_()
    assert found.delta is not None
    found.delta.copy_(torch.tensor([0.5]))
    with explainer.prepared((a, b)) as batch:
        assert Completeness().compute(batch, found).tolist() == pytest.approx([0.5 / 36.0])


def test_a_blur_is_as_wide_to_the_left_as_to_the_right_and_keeps_what_is_even() -> None:
    point = torch.zeros(1, 1, 21, 21, dtype=torch.float64)
    point[..., 10, 10] = 1
    found = blurred(point)
    for dim in (2, 3):
        torch.testing.assert_close(found, found.flip(dim))
    assert float(found.sum()) == pytest.approx(1.0)
    assert found.argmax() == point.argmax()
    torch.testing.assert_close(blurred(torch.full_like(point, 3.0)), torch.full_like(point, 3.0))


def test_noise_lies_around_the_mean_of_each_channel() -> None:
    leaf = 5 + torch.rand(1, 2, 40, 40, dtype=torch.float64)
    side: Any = SimpleNamespace(aligned=True)
    found = _filling(leaf, leaf, side, "noise", 0)
    assert found.mean((2, 3)).flatten().tolist() == pytest.approx(leaf.mean((2, 3)).flatten().tolist(), abs=0.05)
    assert found.std((2, 3)).flatten().tolist() == pytest.approx(leaf.std((2, 3)).flatten().tolist(), rel=0.1)
