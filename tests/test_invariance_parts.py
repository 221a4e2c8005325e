"""The parts of robust explanations: hand-written gradients against autograd, units, and what replaces
removed features.
"""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor

import xsiamese
from tests.test_invariance_descent import balls, invariant, problem
from xsiamese import SiameseModel, edge_units, grid_units, region_units
from xsiamese_invariance.constraints import Ball, Order, Profile, Several
from xsiamese_invariance.divergence import BernoulliKL, Measure, ProbabilityKL, Squared, kind_for
from xsiamese_invariance.problem import MaskProblem, Penalised
from xsiamese_invariance.replacement import MaskedSide, Replacement
from xsiamese_invariance.simplicity import Simplicity
from xsiamese_invariance.units import Units, units_of


def logits(pairs: int = 3, units: int = 7, seed: int = 0) -> Tensor:
    return 3 * torch.randn(pairs, units, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("of", [BernoulliKL(), ProbabilityKL(), Squared(torch.tensor(1.7, dtype=torch.float64))])
def test_slope_of_a_divergence_is_its_derivative(of: Measure) -> None:
    own, changed = torch.rand(1, 5, dtype=torch.float64), torch.rand(4, 5, dtype=torch.float64).requires_grad_()
    value = of.value(own, changed)
    assert bool((value >= 0).all())
    (expected,) = torch.autograd.grad(value.sum(), changed)
    assert torch.allclose(of.slope(own, changed.detach()), expected)
    assert float(of.value(own, own).abs().max()) < 1e-12


def test_divergence_of_logits_is_that_of_their_probabilities_and_bears_large_ones() -> None:
    own, changed = logits(1, 6), logits(4, 6, 1)
    from torch.distributions import Bernoulli, kl_divergence

    assert torch.allclose(
        BernoulliKL().value(own, changed), kl_divergence(Bernoulli(logits=own.expand(4, -1)), Bernoulli(logits=changed))
    )
    far = torch.tensor([[-200.0, 200.0, 0.0]])
    assert bool(torch.isfinite(BernoulliKL().value(far, far.flip(1))).all())
    assert kind_for("auto", SiameseModel(torch.nn.Identity(), "euclidean")) == "squared"
    assert kind_for("auto", SiameseModel(torch.nn.Identity(), "cosine")) == "squared"
    assert kind_for("auto", SiameseModel(torch.nn.Identity(), "dot")) == "kl"
    with pytest.raises(ValueError, match="divergence='js'"):
        kind_for("js", SiameseModel(torch.nn.Identity(), "dot"))


def test_simplicity_and_its_slope() -> None:
    theta = logits().requires_grad_()
    price = Simplicity(0.3, 0.2)
    mask = theta.sigmoid()
    textbook = (0.3 * mask - 0.2 * (mask * mask.log() + (1 - mask) * (1 - mask).log())).sum(1)
    assert torch.allclose(price.value(theta, mask), textbook)
    (expected,) = torch.autograd.grad(textbook.sum(), theta)
    assert torch.allclose(price.slope(theta, mask), expected)
    saturated = torch.tensor([[-8.0, 8.0, 90.0, -90.0]])
    assert bool(torch.isfinite(price.value(saturated, saturated.sigmoid())).all())
    with pytest.raises(ValueError, match=r"size=-1"):
        Simplicity(-1)


def test_slopes_of_constraints_are_their_derivatives() -> None:
    theta = logits(3, 14).requires_grad_()
    target = torch.rand(3, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    target[1, 2] = 0  # a unit that this pair has not
    parts = [Ball(Profile.of(target, slice(0, 7)), 0.1), Order.of(target, slice(7, 14), 3, 0.05)]
    several = Several(parts)
    weights = torch.rand(3, len(several.names), generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    (expected,) = torch.autograd.grad((several.values(theta) * weights).sum(), theta)
    found = several.pull(theta.detach(), weights)
    expected[1, 2] = found[1, 2]  # the mask of a unit that is not there does not matter
    assert torch.allclose(found, expected)
    keep = torch.tensor([2, 0])
    assert torch.equal(several.select(keep).values(theta[keep]), several.values(theta)[keep])


def test_profile_is_the_divergence_of_normalised_masks() -> None:
    theta, target = logits(), torch.rand(3, 7, dtype=torch.float64)
    p, own = target / target.sum(1, keepdim=True), theta.sigmoid() / theta.sigmoid().sum(1, keepdim=True)
    assert torch.allclose(Profile.of(target, slice(0, 7)).divergence(theta), (p * (p / own).log()).sum(1))


def test_order_takes_the_neighbours_of_the_kth_unit() -> None:
    mask = torch.tensor([[0.1, 0.9, 0.7, 0.3, 0.5, 0.2]])  # order 1 2 4 3 5 0
    order = Order.of(mask, slice(0, 6), 3, 0.05)
    assert list(zip(order.above[0].tolist(), order.below[0].tolist(), strict=True)) == [
        (1, 4),
        (2, 4),
        (4, 3),
        (4, 5),
        (4, 0),
    ]
    with pytest.raises(ValueError, match="top=6"):
        Order.of(mask, slice(0, 6), 6, 0.05)


@pytest.mark.parametrize("shared", [True, False])
def test_slope_of_the_local_problem_is_its_derivative(shared: bool) -> None:
    """By finite differences: the gradient is taken in the replaced inputs and brought to the logits by hand."""
    local, _ = problem(3, 8, shared=shared)
    _, profile = balls(local)
    for one in (local, Penalised(local, (Profile.of(invariant(local)[:, :20], slice(0, 20)),), 0.3)):
        theta = logits(3, local.width)
        _, slope, _ = one.value_and_slope(theta)
        for i in (0, 5, 12, local.width - 1):
            step = torch.zeros_like(theta)
            step[:, i] = 1e-6
            change = one.value_and_slope(theta + step)[0] - one.value_and_slope(theta - step)[0]
            assert torch.allclose(slope[:, i], change / 2e-6, atol=1e-7)
    assert profile.where == slice(0, local.width)


def test_a_full_mask_keeps_the_score_and_an_empty_one_replaces_everything() -> None:
    local, _ = problem(3, 8)
    whole, _ = local.scores(torch.ones_like(local.start))
    assert torch.allclose(whole, local.own.expand(8, -1))
    empty, _ = local.scores(torch.zeros_like(local.start))
    assert torch.allclose(empty, empty[:, :1].expand(-1, 3))
    assert torch.allclose(
        local.divergence(torch.ones_like(local.start)), torch.zeros(3, dtype=torch.float64), atol=1e-12
    )


def test_mixed_draws_are_shared_in_one_half_and_swapped_in_the_other() -> None:
    pool = (torch.arange(100.0)[:, None],)
    first, second = (
        z[0][:, 0, 0] for z in Replacement("mixed", (pool, pool)).draw(32, torch.Generator().manual_seed(0))
    )
    assert torch.equal(first[:16], second[:16])
    assert torch.equal(first[16:24], second[24:])
    assert torch.equal(first[24:], second[16:24])
    assert bool((first[16:] != second[16:]).all())
    alone = Replacement("independent", (pool, pool)).draw(32, torch.Generator().manual_seed(0))
    assert bool((alone[0][0] != alone[1][0]).all())
    shared = Replacement("shared", (pool, pool)).draw(32, torch.Generator().manual_seed(0))
    assert torch.equal(shared[0][0], shared[1][0])
    assert not Replacement("zeros", (pool, pool)).draw(4, torch.Generator())[0][0].any()


def test_one_masked_side_gets_the_other_s_own_values_in_half_of_the_draws() -> None:
    pool, partner = (torch.arange(100.0)[:, None],), (torch.full((1, 3, 1), -1.0),)
    (drawn,) = Replacement("mixed", (pool,)).draw(32, torch.Generator().manual_seed(0), partner)
    assert drawn[0].shape == (32, 3, 1)
    assert bool((drawn[0][:16] == -1).all())
    assert bool((drawn[0][16:] >= 0).all())


def test_sides_of_different_shape_are_drawn_for_apart() -> None:
    pools = ((torch.rand(9, 2),), (torch.rand(5, 3),))
    first, second = Replacement("mixed", pools).draw(8, torch.Generator())
    assert first[0].shape == (8, 1, 2)
    assert second[0].shape == (8, 1, 3)
    with pytest.raises(ValueError, match="sides of one shape"):
        Replacement("shared", pools).draw(8, torch.Generator())
    with pytest.raises(ValueError, match="replacement='mean'"):
        Replacement("mean", pools)  # type: ignore[arg-type]


def transposed(units: Units, rows: int) -> None:
    """gather is the transpose of expand."""
    mask = torch.rand(rows, units.count, dtype=torch.float64)
    slopes = [torch.rand(rows, *shape, dtype=torch.float64) for shape in units.shapes]
    forward = sum((m * g).flatten(1).sum(1) for m, g in zip(units.expand(mask, 0.0), slopes, strict=True))
    assert torch.allclose(forward, (mask * units.gather(slopes)).sum(1))


def test_units_of_every_kind() -> None:
    table, image, matrix = torch.zeros(2, 5), torch.zeros(2, 3, 4, 6), torch.zeros(2, 4, 4)
    assert units_of((table,)).count == 5
    assert units_of((image,)).count == 24
    assert units_of((image,), grid_units(4, 6, 2, 3)).count == 6
    assert units_of((matrix,), edge_units(4)).count == 6
    assert units_of((matrix,), region_units(4)).count == 4
    superpixels = torch.stack([torch.arange(24).reshape(1, 4, 6) // 6, torch.arange(24).reshape(1, 4, 6) // 12])
    each = units_of((image,), superpixels)
    assert each.count == 4
    assert each.valid is not None
    assert each.valid.tolist() == [[True] * 4, [True, True, False, False]]
    several = units_of((table, matrix), (torch.tensor([7, 7, 3, -1, 3]), edge_units(4)))
    assert several.count == 8
    for units in (units_of((table,)), units_of((image,)), units_of((matrix,), edge_units(4)), each, several):
        transposed(units, 2)
    kept = several.expand(torch.zeros(2, 8))
    assert kept[0].tolist() == [[0, 0, 0, 1, 0]] * 2
    assert bool((kept[1].diagonal(dim1=1, dim2=2) == 1).all())


@pytest.mark.parametrize(
    ("units", "message"),
    [
        (torch.zeros(5), "integers for each number of a row"),
        (torch.zeros(4, dtype=torch.long), r"shape \(4,\), which does not fit items of shape \(2, 5\)"),
        (torch.full((5,), -1), "holds no unit"),
        ((torch.zeros(5, dtype=torch.long),) * 2, "2 maps for 1 tensors"),
    ],
)
def test_units_that_do_not_fit_are_named(units: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        units_of((torch.zeros(2, 5),), units)
    for make in (lambda: grid_units(4, 4, 5), lambda: edge_units(1)):
        with pytest.raises(ValueError, match=r"fit|edge"):
            make()


def test_a_masked_side_of_some_pairs_is_theirs() -> None:
    local, _ = problem(4, 8)
    keep, theta = torch.tensor([3, 1]), logits(4, local.width)
    for whole, part in zip(local.value_and_slope(theta), local.select(keep).value_and_slope(theta[keep]), strict=True):
        assert torch.allclose(whole[keep], part)
    side = local.sides[0]
    assert isinstance(side, MaskedSide)
    assert isinstance(local, MaskProblem)
    assert side.select(keep).replaced(theta[keep, :20].sigmoid())[0].shape == (16, 20)


def test_many_units_do_not_end_with_an_empty_mask() -> None:
    """Five of 300 features carry the cosine: they are kept at the default price, which for all of them would be more
    than losing the score.
    """
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(2, 300, generator=generator, dtype=torch.float64) for _ in range(2))
    b[:, :5] = a[:, :5]
    weight = torch.zeros(5, 300, dtype=torch.float64)
    weight[range(5), range(5)] = 1.0
    encoder = torch.nn.Linear(300, 5, bias=False).double()
    encoder.weight.data = weight
    explainer = xsiamese.RobustPairExplainer(xsiamese.SiameseModel(encoder, "cosine"), coupling="none")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = explainer.explain((a, b), draws=32, steps=150)
    assert found.kept is not None
    assert bool((found.kept > 0.8 * found.scores).all())
    assert f"under the masks {float(found.kept[0]):.4g}" in found.summary()
    assert float(found.maps[0][:, :5].mean()) > 10 * float(found.maps[0][:, 5:].mean())
    assert torch.equal(
        explainer.explain((a, b), draws=32, steps=3, return_convergence=True)[1].kept,
        explainer.explain((a, b), draws=32, steps=3)[1:].kept,
    )
    with pytest.warns(
        UserWarning, match=r"not kept under the mask of pair 0: .* instead of 1, .*lower size= \(now 20\)"
    ):
        explainer.explain((a, b), draws=32, steps=150, size=20.0)
