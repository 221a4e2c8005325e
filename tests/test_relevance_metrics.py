"""Measures of relevances on cases whose answer is known."""

from __future__ import annotations

import pytest
import torch

from xsiamese_invariance.metrics import (
    bernoulli_divergence,
    effective_size,
    masked_divergence,
    mean_cosine,
    mixed_draws,
    order_agreement,
    top_overlap,
    top_units,
)


def test_overlap_of_random_relevances_is_k_over_units() -> None:
    rows = torch.rand(400, 20, generator=torch.Generator().manual_seed(0))
    assert abs(top_overlap(rows, 5) - 0.25) < 0.01
    assert top_overlap(rows[:1].repeat(3, 1), 5) == 1


def test_ties_do_not_take_more_than_k() -> None:
    assert top_units(torch.zeros(2, 6), 3).sum(1).tolist() == [3, 3]


def test_cosine_of_opposite_and_empty_rows() -> None:
    assert mean_cosine(torch.tensor([[1.0, 2.0], [-1.0, -2.0]])) == pytest.approx(-1)
    assert mean_cosine(torch.tensor([[1.0, 2.0], [0.0, 0.0]])) == 0


def test_order_agreement_of_the_invariance_with_itself_is_one_and_reversed_is_zero() -> None:
    mask = torch.rand(8, generator=torch.Generator().manual_seed(0))
    assert order_agreement(mask[None], mask, 3).tolist() == [1]
    assert order_agreement(-mask[None], mask, 3).tolist() == [0]
    assert order_agreement(torch.zeros(1, 8), mask, 3).tolist() == [
        1
    ]  # nothing is out of order: size is measured apart


def test_effective_size_of_a_flat_and_of_a_single_unit() -> None:
    assert effective_size(torch.tensor([[0.3] * 7, [0, 0, 2.0, 0, 0, 0, 0], [0.0] * 7])).tolist() == pytest.approx(
        [7, 1, 0]
    )


def test_divergence_is_that_of_two_coins() -> None:
    logits = torch.tensor([-2.0, 0.3, 40.0], dtype=torch.float64), torch.tensor([1.0, 0.3, -40.0], dtype=torch.float64)
    p, q = (torch.distributions.Bernoulli(logits=x) for x in logits)
    assert torch.allclose(bernoulli_divergence(*logits), torch.distributions.kl_divergence(p, q))
    assert torch.isfinite(bernoulli_divergence(torch.tensor([200.0]), torch.tensor([-200.0]))).all()


def test_a_whole_mask_changes_nothing_and_a_unit_that_is_not_used_neither() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b, pool = (torch.randn(n, 3, generator=generator, dtype=torch.float64) for n in (5, 5, 40))

    def score(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x[:, 0] * y[:, 1]

    draws = mixed_draws(pool, 16)
    whole, used = torch.ones_like(a), torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64).expand_as(a)
    assert masked_divergence(score, a, b, (whole, whole), draws).abs().max() == 0
    assert masked_divergence(score, a, b, (used, used), draws).abs().max() < 1e-12
    assert masked_divergence(score, a, b, (1 - used, 1 - used), draws).min() > 0
    by_hand = torch.stack(
        [bernoulli_divergence(score(a[1:2], b[1:2]), draws[0][k, :1] * draws[1][k, 1:2]) for k in range(16)]
    ).mean()
    assert torch.allclose(masked_divergence(score, a, b, (1 - used, 1 - used), draws)[1], by_hand)


def test_half_of_the_draws_are_shared() -> None:
    first, second = mixed_draws(torch.arange(100.0)[:, None], 32)
    assert torch.equal(first[:16], second[:16])
    assert not torch.equal(first[16:], second[16:])
    assert torch.equal(first, mixed_draws(torch.arange(100.0)[:, None], 32)[0])
