"""The solvers against problems with known answers: an analytic KKT point, scipy's constrained solver, contradictory
constraints, Ctrl-C.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.problems import known_relevance
from xsiamese.kinds.catalogue import side
from xsiamese.pairs.objective import Objective
from xsiamese_invariance.constraints import Ball, Order, Profile, Several
from xsiamese_invariance.descent import Descent, descend
from xsiamese_invariance.diagnostics import Convergence
from xsiamese_invariance.divergence import BernoulliKL
from xsiamese_invariance.problem import MaskProblem, Penalised
from xsiamese_invariance.replacement import MaskedSide, Replacement
from xsiamese_invariance.simplicity import Simplicity
from xsiamese_invariance.stochastic import evaluated, wander
from xsiamese_invariance.units import units_of


@dataclass(frozen=True)
class Quadratic:
    """Half the squared distance from a point."""

    point: Tensor

    def value_and_slope(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        value = 0.5 * (theta - self.point).square().sum(1)
        return value, theta - self.point, value

    def select(self, keep: Tensor) -> Quadratic:
        return Quadratic(self.point[keep])


@dataclass(frozen=True)
class HalfSpace:
    """c . theta <= b."""

    normal: Tensor
    offset: Tensor
    names: tuple[str, ...] = ("half-space",)

    def values(self, theta: Tensor) -> Tensor:
        return ((self.normal * theta).sum(1) - self.offset)[:, None]

    def pull(self, theta: Tensor, multipliers: Tensor) -> Tensor:
        return multipliers * self.normal

    def select(self, keep: Tensor) -> HalfSpace:
        return HalfSpace(self.normal[keep], self.offset[keep])


def toy(pairs: int = 6) -> tuple[Quadratic, HalfSpace, Tensor, Tensor]:
    """Points on both sides of their half-spaces, and the violation and squared normal of each."""
    generator = torch.Generator().manual_seed(0)
    a, c = (torch.randn(pairs, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    b = (a * c).sum(1) - torch.linspace(-1, 2, pairs, dtype=torch.float64)
    return Quadratic(a), HalfSpace(c, b), (a * c).sum(1) - b, c.square().sum(1)


def problem(
    pairs: int = 6, draws: int = 16, *, features: int = 20, seed: int = 0, shared: bool = True, kind: Any = "mixed"
) -> tuple[MaskProblem, Any]:
    """The local problem of pairs of the net with known relevance, in float64, and what draws for it."""
    generator = torch.Generator().manual_seed(seed)
    query, reference, pool = (
        torch.randn(n, features, generator=generator, dtype=torch.float64) for n in (pairs, pairs, 256)
    )
    model = known_relevance()
    replacement = Replacement(kind, ((pool,), (pool,)))
    drawn = replacement.draw(draws, torch.Generator().manual_seed(seed))
    units = units_of((query,))
    sides = tuple(MaskedSide([x[None]], z, units) for x, z in zip((query, reference), drawn, strict=True))
    where = (slice(0, features), slice(0, features) if shared else slice(features, 2 * features))
    objective = Objective(model, side(query, "a"), side(reference, "b"))
    return MaskProblem(objective, sides, where, model(query, reference)[None], BernoulliKL(), Simplicity()), replacement


def invariant(problem: MaskProblem, seed: int = 5) -> Tensor:
    """Made-up invariant masks, which know most of the truth."""
    generator = torch.Generator().manual_seed(seed)
    mask = 0.1 + 0.1 * torch.rand(problem.start.shape, generator=generator, dtype=torch.float64)
    mask[:, :4] += 0.7
    return mask


def balls(of: MaskProblem, eps: float = 0.1) -> tuple[Several, Profile]:
    profile = Profile.of(invariant(of), slice(0, of.width))
    return Several([Ball(profile, eps)]), profile


@pytest.mark.parametrize("mu", [0.0, 0.05])
def test_convex_toy_reaches_its_kkt_point(mu: float) -> None:
    quadratic, half, violation, square = toy()
    rule = Descent(steps=6000, rate=0.1, dual_rate=0.1, mu=mu, cap=100, tolerance=0, slack=0, bound=100, stretch=1)
    found = descend(quadratic, half, torch.zeros_like(quadratic.point), rule)
    expected = violation.clamp_min(0) / (square + mu)
    multipliers = found.convergence.multipliers[:, 0]
    assert float((multipliers - expected).abs().max()) < 1e-4
    assert float((found.theta - (quadratic.point - half.normal * expected[:, None])).abs().max()) < 1e-4
    active = expected > 0
    assert bool(active.any())
    assert not bool(active.all())
    g = half.values(found.theta)[:, 0]
    assert float((g[active] - mu * multipliers[active]).abs().max()) < 1e-4
    end = found.convergence.final
    assert (
        float(
            torch.cat([end.stationarity, end.complementarity - mu * expected.square(), end.dual_residual]).abs().max()
        )
        < 1e-3
    )
    if mu:
        assert float(end.dual_gap.max()) < 1e-4
        assert float(end.envelope.max()) < 1e-3


def test_pairs_that_have_settled_are_taken_out_and_end_as_they_do_alone() -> None:
    quadratic, half, _, _ = toy()
    rule = Descent(steps=4000, rate=0.1, dual_rate=0.1, mu=0.05, cap=100, bound=100, stretch=1)
    whole = descend(quadratic, half, torch.zeros_like(quadratic.point), rule)
    assert whole.convergence.share() == 1
    assert len(set(whole.convergence.taken.tolist())) > 1
    for i in range(6):
        one = torch.tensor([i])
        alone = descend(quadratic.select(one), half.select(one), torch.zeros(1, 4, dtype=torch.float64), rule)
        assert torch.allclose(alone.theta[0], whole.theta[i], atol=1e-12)
        assert int(alone.convergence.taken) == int(whole.convergence.taken[i])
        assert torch.allclose(alone.convergence.final.stationarity, whole.convergence.final.stationarity[one])


def test_too_large_a_step_is_halved_for_the_pair_that_needs_it() -> None:
    point = torch.tensor([[1.0, -2.0]], dtype=torch.float64)

    class Steep(Quadratic):
        """Curvature 10: steps above 0.2 diverge."""

        def value_and_slope(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            value, slope, _ = super().value_and_slope(theta)
            return 10 * value, 10 * slope, 10 * value

    rule = Descent(steps=300, rate=0.3, bound=100, stretch=1)
    found = descend(Steep(point), Several(), torch.zeros_like(point), rule)
    assert found.convergence.status == ("converged",)
    assert torch.allclose(found.theta, point, atol=1e-3)


@pytest.mark.parametrize(("damping", "settles"), [(0.0, False), (1.0, True)])
def test_damping_ends_going_round_the_solution(damping: float, settles: bool) -> None:
    """A linear objective against one constraint: plain descent-ascent circles about theta = 0, lambda = 1 for ever."""

    class Slope(Quadratic):
        """Pushes along the constraint's normal and does not bend."""

        def value_and_slope(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            value = -theta.sum(1)
            return value, -torch.ones_like(theta), value

    start = torch.full((1, 1), 0.5, dtype=torch.float64)
    half = HalfSpace(torch.ones_like(start), torch.zeros(1, dtype=torch.float64))
    rule = Descent(steps=2000, rate=0.2, dual_rate=0.5, mu=0.0, damping=damping, stretch=1)
    found = descend(Slope(start), half, start, rule)
    assert (found.convergence.status == ("converged",)) == settles
    away = max(float(found.theta.abs()), float((found.convergence.multipliers - 1).abs()))
    assert (away < 1e-3) == settles


def test_contradictory_orders_are_infeasible_with_both_multipliers_at_the_cap() -> None:
    local, _ = problem(4)
    pairs = torch.tensor([[12, 13]]).expand(4, -1)  # features that are not used
    constraints = Several([Order(pairs, pairs.flip(1), 0.05)])
    found = descend(local, constraints, local.start, Descent(steps=3000, dual_rate=0.5, mu=1e-2, cap=2.0))
    trace = found.convergence
    assert trace.status == ("infeasible",) * 4
    assert torch.equal(trace.multipliers, torch.full((4, 2), 2.0, dtype=torch.float64))
    assert bool((trace.final.at_cap == 2).all())
    g = constraints.values(found.theta)
    assert float(g.min()) > 0.03
    assert float(g.max()) < 0.07
    assert "12 above 13, 13 above 12 cannot hold; multiplier at its bound 2" in str(trace)


def test_a_violation_that_the_regularisation_absorbs_is_not_called_infeasible() -> None:
    local, _ = problem(2)
    pairs = torch.tensor([[0, 1]]).expand(2, -1)
    found = descend(
        local,
        Several([Order(pairs, pairs.flip(1), 0.05)]),
        local.start,
        Descent(steps=3000, dual_rate=0.5, mu=1e-1, cap=2.0),
    )
    assert found.convergence.status == ("converged",) * 2


def test_the_violation_is_mu_lambda_and_the_kl_form_is_stationary_there() -> None:
    """Two facts of the theory: g = mu lambda at an active constraint, and a solution of the ball is one of the price
    beta = lambda.

    A pair that rests on a kink of the network's ReLU has no vanishing gradient and is not called converged.
    """
    local, _ = problem(8)
    constraints, profile = balls(local, 0.15)
    rule = Descent(steps=2000, tolerance=1e-5, slack=1e-6)
    found = descend(local, constraints, local.start, rule)
    multipliers = found.convergence.multipliers
    g = constraints.values(found.theta)
    done = torch.tensor([status == "converged" for status in found.convergence.status])
    active = (multipliers[:, 0] > 0.01) & done
    assert int(active.sum()) >= 6
    assert float((g / (rule.mu * multipliers))[active].sub(1).abs().max()) < 0.1
    assert bool((g <= rule.mu * multipliers + 1e-4)[done].all())
    priced = Penalised(local, (profile,), multipliers)
    assert float(priced.value_and_slope(found.theta)[1].norm(dim=1)[done].max()) < 1e-3
    assert float(priced.value_and_slope(local.start)[1].norm(dim=1).min()) > 0.05


@pytest.mark.parametrize("shared", [True, False])
def test_gda_finds_what_slsqp_finds(shared: bool) -> None:
    scipy = pytest.importorskip("scipy.optimize")
    local, _ = problem(4, 8, features=12, shared=shared)
    profile = Profile.of(invariant(local)[:, :12], slice(0, 12))
    constraints = Several([Ball(profile, 0.1)])
    found = descend(local, constraints, local.start, Descent(steps=3000, mu=1e-5, tolerance=1e-6, slack=1e-7))
    for i in range(4):
        one = local.select(torch.tensor([i]))
        ball = constraints.select(torch.tensor([i]))

        def value(x: Any, one: MaskProblem = one) -> Any:
            j, slope, _ = one.value_and_slope(torch.as_tensor(x)[None])
            return float(j), slope[0].numpy()

        def room(x: Any, ball: Several = ball) -> float:
            return -float(ball.values(torch.as_tensor(x)[None]))

        def room_slope(x: Any, ball: Several = ball) -> Any:
            return -ball.pull(torch.as_tensor(x)[None], torch.ones(1, 1, dtype=torch.float64))[0].numpy()

        solved = scipy.minimize(
            value,
            local.start[0].numpy(),
            jac=True,
            method="SLSQP",
            bounds=[(-8, 8)] * local.width,
            constraints={"type": "ineq", "fun": room, "jac": room_slope},
            options={"maxiter": 500, "ftol": 1e-12},
        )
        polished = scipy.minimize(
            value,
            found.theta[i].numpy(),
            jac=True,
            method="SLSQP",
            bounds=[(-8, 8)] * local.width,
            constraints={"type": "ineq", "fun": room, "jac": room_slope},
            options={"maxiter": 500, "ftol": 1e-12},
        )
        ours = float(found.convergence.objective[i])
        assert ours <= solved.fun * (1 + 1e-3), f"pair {i}: SLSQP finds {solved.fun}, descent-ascent {ours}"
        assert abs(ours - polished.fun) <= 1e-3 * polished.fun, (
            f"pair {i}: {ours} is no optimum, SLSQP goes on from it to {polished.fun}"
        )


def test_stochastic_descent_approaches_a_stationary_point_of_the_expected_objective() -> None:
    local, replacement = problem(4)
    profile = Profile.of(invariant(local), slice(0, local.width))
    norms = []
    for steps in (60, 600):
        generator = torch.Generator().manual_seed(0)
        found = wander(
            Penalised(local, (profile,), 0.2),
            local.start,
            Descent(steps=steps),
            lambda n, generator=generator: replacement.draw(n, generator),
            evaluation=2048,
        )
        norms.append(float(found.convergence.final.stationarity.median()))
        assert found.convergence.steps.tolist() == ([60] if steps == 60 else [150, 300, 600])
    assert norms[1] < 0.02
    assert norms[1] < 0.5 * norms[0]


@dataclass(frozen=True)
class Noisy:
    """A gradient that is known, plus the mean of draws."""

    slope: Tensor
    noise: Tensor | None = None

    def redrawn(self, draws: Any) -> Noisy:
        return Noisy(self.slope, draws)

    def value_and_slope(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        assert self.noise is not None
        value = theta.new_zeros(len(theta))
        return value, self.slope + self.noise.mean(0), value


@pytest.mark.parametrize("norm", [0.0, 0.1])
def test_the_noise_of_the_draws_is_taken_off_the_gradient_s_norm(norm: float) -> None:
    """Noise of norm 0.14 in 32 parts of 32 draws, for 200 pairs: the plain norm of the mean would say 0.14 and 0.17."""
    generator = torch.Generator().manual_seed(0)
    slope = torch.zeros(200, 20, dtype=torch.float64)
    slope[:, 0] = norm
    parts = [torch.randn(32, 200, 20, generator=generator, dtype=torch.float64) for _ in range(32)]
    of: Any = Noisy(slope)
    now, _, _ = evaluated(of, torch.zeros_like(slope), parts, Descent())  # type: ignore[arg-type]
    assert abs(float(now.stationarity.square().mean()) ** 0.5 - norm) < (0.01 if norm else 0.06)
    assert torch.equal(now.stationarity, now.envelope)
    assert float((slope + torch.stack(parts).mean((0, 1))).norm(dim=1).mean()) > 0.13


class Interrupting:
    """A problem that is stopped by Ctrl-C after some steps."""

    def __init__(self, inner: MaskProblem, after: int) -> None:
        self.inner, self.left = inner, after

    def value_and_slope(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return self.inner.value_and_slope(theta)

    def select(self, keep: Tensor) -> Interrupting:
        return Interrupting(self.inner.select(keep), self.left)


def test_ctrl_c_gives_the_best_masks_so_far_when_asked_to() -> None:
    local, _ = problem(3)
    constraints, _ = balls(local)
    with pytest.raises(KeyboardInterrupt):
        descend(Interrupting(local, 120), constraints, local.start, Descent())
    found = descend(Interrupting(local, 120), constraints, local.start, Descent(), keep_on_interrupt=True)
    assert found.convergence.status == ("interrupted",) * 3
    assert found.convergence.steps.tolist() == [0, 50, 100]
    start, end = (local.value_and_slope(theta)[0] for theta in (local.start, found.theta))
    assert bool((end < start).all())
    early = descend(Interrupting(local, 0), constraints, local.start, Descent(), keep_on_interrupt=True)
    assert torch.equal(early.theta, local.start)
    assert bool(early.convergence.final.stationarity.isnan().all())
    assert str(early.convergence) == "3 pairs: 3 interrupted\n3 not begun"


def test_courses_of_different_length_are_joined() -> None:
    local, _ = problem(2)
    constraints, _ = balls(local)
    parts = [descend(local, constraints, local.start, Descent(steps=steps)).convergence for steps in (100, 200)]
    whole = Convergence.joined(parts)
    assert len(whole) == 4
    assert whole.steps.tolist() == [0, 50, 100, 150, 200]
    assert torch.equal(whole.course.stationarity[-1, :2], parts[0].final.stationarity)
    assert torch.equal(whole.course.stationarity[:, 2:], parts[1].course.stationarity)


@pytest.mark.parametrize(
    "options", [{"steps": 0}, {"rate": 0.0}, {"dual_rate": -1.0}, {"cap": 0.0}, {"mu": -1e-3}, {"damping": -1.0}]
)
def test_bad_settings_are_named(options: dict[str, Any]) -> None:
    name, value = next(iter(options.items()))
    with pytest.raises(ValueError, match=f"{name}={value}"):
        Descent(**options)
