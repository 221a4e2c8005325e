"""Gradient descent-ascent: minimise an objective of each pair under constraints, with bounded multipliers, all pairs at
once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

import torch
from torch import Tensor

from xsiamese.author import check
from xsiamese_invariance.constraints import Constraint
from xsiamese_invariance.diagnostics import SEVEN, Convergence, Diagnostics, Status

BOUND = 8.0
RISES = 5
CALM = 500


class Problem(Protocol):
    """An objective of each pair on its own, in logits (pairs, units)."""

    def value_and_slope(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The objective of each pair (pairs,), its gradient (pairs, units), and the part of it that is faithfulness
        (pairs,).
        """

    def select(self, keep: Tensor) -> Self:
        """The problem of some of the pairs."""


@dataclass(frozen=True)
class Descent:
    r"""How :func:`descend` goes.

    Attributes:
        steps: the most steps.
        rate: :math:`\eta_\theta`, the step size on logits. A pair's own is halved when its steps raise the Lagrangian
            five times in a row.
        dual_rate: :math:`\eta_\lambda`, that of the multipliers.
        mu: the strength of the ascent's regularisation :math:`\frac{\mu}{2} \|\lambda\|^2`.
        cap: :math:`\Lambda`, the bound of a multiplier.
        tolerance: the gradient norm, and the complementarity, at which a pair is called converged.
        slack: what a violation (beyond :math:`\mu \lambda`) and the dual gap may be then.
        every: how many steps between looks at the diagnostics.
        bound: logits stay within ± this.
        stretch: how much longer a step may be where a mask saturates, and its gradient vanishes with :math:`m (1 - m)`;
            1 for plain descent.
        damping: how many steps of ascent ahead the descent looks, growing to this within 500 steps; 0 can go round a
            solution for ever.
    """

    steps: int = 2000
    rate: float = 4.0
    dual_rate: float = 1.0
    mu: float = 1e-3
    cap: float = 10.0
    tolerance: float = 1e-3
    slack: float = 1e-4
    every: int = 50
    bound: float = BOUND
    stretch: float = 16.0
    damping: float = 1.0

    def __post_init__(self) -> None:
        check(Descent, vars(self))
        if min(self.rate, self.dual_rate, self.cap, self.bound) <= 0 or min(self.mu, self.damping) < 0:
            raise ValueError(f"{self}: positive rates, cap and bound, and mu and damping of at least 0 are needed")


@dataclass(frozen=True)
class Solution:
    """Logits (pairs, units) and how they were found."""

    theta: Tensor
    convergence: Convergence


def descend(
    problem: Problem, constraints: Constraint, theta: Tensor, rule: Descent, *, keep_on_interrupt: bool = False
) -> Solution:
    r"""Alternates descent in :math:`\theta` and ascent in :math:`\lambda` on

    .. math:: L(\theta, \lambda) = J(\theta) + \lambda \cdot g(\theta) - \tfrac{\mu}{2} \|\lambda\|^2, \quad \lambda \in
       [0, \Lambda]^C,

    for each pair on its own. A pair that has settled twice in a row is taken out: the others' steps become cheaper, and
    its result is the one that it has alone.

    Args:
        problem: the objective J.
        constraints: g.
        theta: where to start, shape (pairs, units).
        rule: step sizes and tolerances.
        keep_on_interrupt: whether Ctrl-C ends it with the best iterate so far, rather than with an exception.
    """
    run = _Run(problem, constraints, theta, rule)
    try:
        for step in range(rule.steps + 1):
            if run.step(step) and not len(run.live):
                break
    except KeyboardInterrupt:
        if not keep_on_interrupt:
            raise
        run.interrupt()
    return run.solution()


def untouched(constraints: Constraint, theta: Tensor, rule: Descent) -> Solution:
    """The solution of an optimisation that was interrupted before it began."""
    run = _Run(None, constraints, theta, rule)
    run.interrupt()
    return run.solution()


class _Run:
    """The state of one descent: what is still moving, and what is known of all pairs."""

    def __init__(self, problem: Problem | None, constraints: Constraint, theta: Tensor, rule: Descent) -> None:
        self.problem, self.constraints, self.rule = problem, constraints, rule
        pairs, device = len(theta), theta.device
        self.live = torch.arange(pairs, device=device)
        self.theta, self.g = theta.clone(), constraints.values(theta)
        self.multipliers = torch.zeros_like(self.g)
        self.rate = theta.new_full((pairs, 1), rule.rate)
        self.before = theta.new_full(
            (pairs,), torch.inf
        )  # the Lagrangian before the last step in theta, at the multipliers that it answered to
        self.held = self.multipliers
        self.rises = torch.zeros(pairs, dtype=torch.long, device=device)
        self.settled_once = torch.zeros(pairs, dtype=torch.bool, device=device)
        self.found, self.best, self.least = theta.clone(), theta.clone(), torch.full_like(self.before, torch.inf)
        self.objective, self.faithfulness = (
            torch.full_like(self.before, torch.nan),
            torch.full_like(self.before, torch.nan),
        )
        self.taken = torch.zeros(pairs, dtype=torch.long, device=device)
        self.status: list[Status] = ["max_iter"] * pairs
        self.steps: list[int] = []
        self.records: list[Diagnostics] = []

    def step(self, number: int) -> bool:
        """One step of both players; whether the diagnostics were looked at."""
        rule = self.rule
        assert self.problem is not None
        value, slope, faithfulness = self.problem.value_and_slope(self.theta)
        look = number % rule.every == 0 or number == rule.steps
        if look:
            stay = self.look(number, value, slope, faithfulness)
            if number == rule.steps or not len(self.live):
                return True
            if stay is not None:
                value, slope = value[stay], slope[stay]
        after = value + (self.held * self.g).sum(1)
        rose = after > self.before + 100 * torch.finfo(value.dtype).eps * (1 + self.before.abs())
        self.rises = torch.where(rose, self.rises + 1, 0)
        self.rate = torch.where((self.rises >= RISES)[:, None], self.rate / 2, self.rate)
        self.rises = torch.where(self.rises >= RISES, 0, self.rises)
        self.held = self.ahead(number)
        self.before = value + (self.held * self.g).sum(1)
        stretched = self.rate if rule.stretch == 1 else self.rate * stretch(self.theta, rule.stretch)
        slope = slope + self.constraints.pull(self.theta, self.held)
        self.theta = torch.addcmul(self.theta, stretched, slope, value=-1).clamp_(-rule.bound, rule.bound)
        self.g = self.constraints.values(self.theta)
        self.multipliers = (self.multipliers + rule.dual_rate * (self.g - rule.mu * self.multipliers)).clamp_(
            0, rule.cap
        )
        return look

    def ahead(self, number: int) -> Tensor:
        """The multipliers that the ascent is about to reach: the same as now at a solution, and on the way what keeps
        the two players from going round it.
        """
        rule = self.rule
        far = (
            rule.damping * rule.dual_rate * min(1.0, number / CALM)
        )  # constraints that pull with all their might at once lead to worse minima
        return (
            (self.multipliers + far * (self.g - rule.mu * self.multipliers)).clamp_(0, rule.cap)
            if far
            else self.multipliers
        )

    def look(self, number: int, value: Tensor, slope: Tensor, faithfulness: Tensor) -> Tensor | None:
        """Takes down the diagnostics, and takes out the pairs that have settled; which rows stay, if any went."""
        lagrangian_slope = slope + self.constraints.pull(self.theta, self.multipliers)
        now, best_response = diagnose(
            self.constraints,
            self.theta,
            self.multipliers,
            self.g,
            slope=slope,
            lagrangian_slope=lagrangian_slope,
            rule=self.rule,
        )
        if not bool(torch.isfinite(now.stationarity).all()):
            bad = self.live[~torch.isfinite(now.stationarity)].tolist()
            raise ValueError(
                f"the gradient of pair {bad[0]} is NaN or infinite at step {number}: the model is not differentiable "
                "at one of its draws"
            )
        self.records.append(now if not self.records else self.records[-1].put(self.live, now))
        self.steps.append(number)
        self.found[self.live], self.taken[self.live] = self.theta, number
        self.objective[self.live], self.faithfulness[self.live] = value, faithfulness
        merit = value + (best_response * self.g).sum(1) - 0.5 * self.rule.mu * best_response.square().sum(1)
        better = merit < self.least[self.live]
        rows = self.live[better]
        self.best[rows], self.least[rows] = self.theta[better], merit[better]
        done, stuck = settled(now, self.rule)
        leave = (done | stuck) & self.settled_once
        if number == self.rule.steps:
            leave = done | stuck  # nothing is left to see it twice
        for row, is_stuck in zip(self.live[leave].tolist(), stuck[leave].tolist(), strict=True):
            self.status[row] = "infeasible" if is_stuck else "converged"
        self.settled_once = done | stuck
        if not bool(leave.any()):
            return None
        stay = (~leave).nonzero().flatten()
        self.live, self.theta, self.g, self.multipliers = (
            self.live[stay],
            self.theta[stay],
            self.g[stay],
            self.multipliers[stay],
        )
        self.rate, self.before, self.held, self.rises = (
            self.rate[stay],
            self.before[stay],
            self.held[stay],
            self.rises[stay],
        )
        self.settled_once = self.settled_once[stay]
        if len(stay) and self.problem is not None:
            self.problem, self.constraints = self.problem.select(stay), self.constraints.select(stay)
        return stay

    def interrupt(self) -> None:
        """Goes back to the best iterate of each pair that was still moving."""
        for row in self.live.tolist():
            self.status[row] = "interrupted"
        self.found[self.live] = self.best[self.live]

    def solution(self) -> Solution:
        """What was found."""
        names = self.constraints.names
        if not self.records:  # interrupted before the first look
            nothing = torch.full_like(self.before, torch.nan)
            self.records.append(
                Diagnostics(**dict.fromkeys(SEVEN, nothing), multipliers=torch.zeros_like(self.multipliers))
            )
            self.steps.append(0)
        course = Diagnostics.course(self.records)
        trace = Convergence(
            torch.tensor(self.steps), course, tuple(self.status), self.taken, self.objective, self.faithfulness, names
        )
        return Solution(self.found, trace)


def diagnose(
    constraints: Constraint,
    theta: Tensor,
    multipliers: Tensor,
    g: Tensor,
    *,
    slope: Tensor,
    lagrangian_slope: Tensor,
    rule: Descent,
) -> tuple[Diagnostics, Tensor]:
    """The seven diagnostics at a point, from the gradients of the objective and of the Lagrangian there; and the
    multipliers that answer best to it.
    """
    best = (
        (g / rule.mu).clamp(0, rule.cap)
        if rule.mu
        else torch.where(g > 0, torch.full_like(g, rule.cap), torch.zeros_like(g))
    )
    gap = ((best - multipliers) * g - 0.5 * rule.mu * (best.square() - multipliers.square())).sum(1)
    answered = (multipliers + g - rule.mu * multipliers).clamp(0, rule.cap)
    zero = g.new_zeros(len(g), 1)
    found = Diagnostics(
        stationarity=_inward(lagrangian_slope, theta, rule.bound).norm(dim=1),
        infeasibility=torch.cat([g, zero], 1).amax(1).clamp_min(0),
        complementarity=torch.cat([(multipliers * g).abs(), zero], 1).amax(1),
        dual_residual=(multipliers - answered).norm(dim=1),
        dual_gap=gap.clamp_min(0),
        at_cap=(multipliers >= rule.cap * (1 - 1e-6)).sum(1),
        envelope=_inward(slope + constraints.pull(theta, best), theta, rule.bound).norm(dim=1),
        multipliers=multipliers,
    )
    return found, best


def stretch(theta: Tensor, most: float) -> Tensor:
    r"""The factor :math:`\frac{1}{4 m (1 - m)}` of each step, at most ``most``: 1 for an undecided unit, and more for
    one that is nearly kept or removed.
    """
    return (0.5 + 0.5 * theta.cosh()).clamp_max(most)


def settled(now: Diagnostics, rule: Descent) -> tuple[Tensor, Tensor]:
    """Which pairs are at a solution, and which at a point where a constraint cannot be met: both shape (pairs,)."""
    largest = torch.cat([now.multipliers, now.multipliers.new_zeros(len(now.multipliers), 1)], 1).amax(1)
    flat = now.stationarity <= rule.tolerance
    feasible = now.infeasibility <= rule.mu * largest + rule.slack
    complementary = now.complementarity <= rule.mu * largest.square() + rule.tolerance
    gap = (now.dual_gap <= rule.slack) if rule.mu else torch.ones_like(flat)
    capped = now.at_cap > 0
    return flat & feasible & complementary & gap, flat & capped & ~feasible


def _inward(slope: Tensor, theta: Tensor, bound: float) -> Tensor:
    """A gradient without the parts along which a step would leave the bounds."""
    out = ((theta <= -bound) & (slope > 0)) | ((theta >= bound) & (slope < 0))
    return torch.where(out, 0, slope)
