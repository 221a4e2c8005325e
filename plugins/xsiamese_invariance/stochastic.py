"""Stochastic gradient descent with fresh draws in every step, for the form with the divergence as a price."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import chain

import torch
from torch import Tensor

from xsiamese_invariance.constraints import Several
from xsiamese_invariance.descent import Descent, Solution, diagnose, stretch
from xsiamese_invariance.diagnostics import Convergence, Diagnostics, Status
from xsiamese_invariance.problem import MaskProblem, Penalised

LONG = 100
Draw = Callable[[int], Sequence[Sequence[Tensor]]]


def wander(
    problem: Penalised,
    theta: Tensor,
    rule: Descent,
    draw: Draw,
    *,
    batch: int = 8,
    evaluation: int = 4096,
    keep_on_interrupt: bool = False,
) -> Solution:
    r"""Minimises the expected :math:`J + \beta KL` over draws, with steps :math:`\eta / \sqrt{1 + t / 50}`, longer
    where a mask saturates.

    The gradient is looked at at the end, on ``evaluation`` draws, and before if there are many steps, on a quarter of
    them that is the same each time: that of a step's few draws would only measure their noise. What is returned is the
    mean of the logits over the last half.

    Args:
        problem: the objective; its own draws are not used.
        theta: where to start.
        rule: steps, rate, stretch, tolerance and bound.
        draw: gives any number of draws for each side.
        batch: how many draws a step takes.
        evaluation: how many draws the diagnostics take at the end.
        keep_on_interrupt: whether Ctrl-C ends it with the iterate so far, rather than with an exception.
    """
    parts = [draw(32) for _ in range(-(-evaluation // 128))]
    looks = {rule.steps // 4, rule.steps // 2} if rule.steps >= LONG else set()
    mean, since = theta.clone(), rule.steps // 2
    records: list[tuple[int, Diagnostics]] = []
    done = 0
    try:
        for step in range(rule.steps):
            _, slope, _ = problem.redrawn(draw(batch)).value_and_slope(theta)
            theta = torch.add(
                theta, slope * stretch(theta, rule.stretch), alpha=-rule.rate / (1 + step / 50) ** 0.5
            ).clamp_(-rule.bound, rule.bound)
            mean = theta.clone() if step < since else mean + (theta - mean) / (step - since + 1)
            done = step + 1
            if done in looks:
                records.append((done, evaluated(problem, mean, parts, rule)[0]))
    except KeyboardInterrupt:
        if not keep_on_interrupt:
            raise
    more = (draw(32) for _ in range(3 * len(parts)))  # not kept: a draw may be as large as the pairs
    now, value, faithfulness = evaluated(problem, mean, chain(parts, more), rule)
    records.append((done, now))
    flat = (now.stationarity <= rule.tolerance).tolist()
    status: tuple[Status, ...] = tuple(
        "interrupted" if done < rule.steps else "converged" if ok else "max_iter" for ok in flat
    )
    trace = Convergence(
        torch.tensor([step for step, _ in records]),
        Diagnostics.course([record for _, record in records]),
        status,
        torch.full((len(theta),), done, device=theta.device),
        value,
        faithfulness,
    )
    return Solution(mean, trace)


def evaluated(
    problem: Penalised, theta: Tensor, parts: Iterable[Sequence[Sequence[Tensor]]], rule: Descent
) -> tuple[Diagnostics, Tensor, Tensor]:
    """The diagnostics, the objective and the faithfulness on many draws. What belongs to constraints is zero: there are
    none.

    The mean of finitely many draws has a gradient where the expectation has none. Its expected square, the variance of
    that mean, is known from how the parts differ, and is taken off the square of the norm.
    """
    found = [problem.redrawn(part).value_and_slope(theta) for part in parts]
    values, slopes, faithful = (torch.stack(column) for column in zip(*found, strict=True))
    none, slope = theta.new_zeros(len(theta), 0), slopes.mean(0)
    now = diagnose(Several(), theta, none, none, slope=slope, lagrangian_slope=slope, rule=rule)[0]
    noise = slopes.var(0).sum(1) / len(slopes) if len(slopes) > 1 else torch.zeros_like(now.stationarity)
    norm = (now.stationarity.square() - noise).clamp_min(0).sqrt()
    return replace(now, stationarity=norm, envelope=norm), values.mean(0), faithful.mean(0)


def kept_divergence(problem: MaskProblem, mask: Tensor, parts: Sequence[Sequence[Sequence[Tensor]]]) -> Tensor:
    """The divergence of given masks, soft or hard, on fresh draws, shape (pairs,)."""
    return torch.stack([problem.redrawn(part).divergence(mask) for part in parts]).mean(0)
