"""The local problem of a batch of pairs: its score under masks, and how these are held to invariances."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from xsiamese.author import Leaves, PairBatch
from xsiamese_invariance.constraints import Ball, Order, Profile, Several
from xsiamese_invariance.descent import Descent, Solution, descend, untouched
from xsiamese_invariance.diagnostics import Convergence
from xsiamese_invariance.divergence import Measure, measure
from xsiamese_invariance.graph import GraphUnits, check_same
from xsiamese_invariance.invariance import Invariance
from xsiamese_invariance.masked import (
    Masked,
    arguments_of,
    deleted_leaves,
    masked_sides,
    partners_of,
    pool_for,
    replacement_for,
    units_for,
)
from xsiamese_invariance.memory import FEW, pairs_that_fit
from xsiamese_invariance.problem import EMPTY, MaskProblem, Penalised
from xsiamese_invariance.replacement import Kind
from xsiamese_invariance.simplicity import Simplicity
from xsiamese_invariance.stochastic import wander
from xsiamese_invariance.units import Units

Coupling = Literal["kl", "ball", "order", "none"]
FAR = 0.25  # of the divergence of the empty mask: a score half way to what is left of it


class Interruptible:
    """That Ctrl-C ends a run with the masks so far, and whether it came: one for all parts of a batch."""

    happened = False

    def __repr__(self) -> str:
        return "True"  # what the record of a run's parameters says of it


@dataclass(frozen=True)
class Local:
    """How local problems are made and solved; the fields are the options of
    :class:`~xsiamese_invariance.explainer.RobustPairExplainer`.
    """

    coupling: Coupling
    invariances: tuple[Invariance | None, ...]
    units: tuple[Any, Any]
    pool: Any
    shared: bool
    replacement: Kind
    draws: int
    kind: str
    simplicity: Simplicity
    eps: float
    beta: float
    xi: float
    top: int
    rule: Descent
    seed: int

    def pairs_at_once(self, batch: PairBatch) -> int:
        """How many pairs fit into memory."""
        first = replace(self, draws=min(self.draws, FEW)).problem(next(batch.split(1)))[0]
        return min(
            batch.pairs, pairs_that_fit(first, first.start, max(first.draws, self.draws if first.draws == FEW else 0))
        )

    def explained(
        self, batch: PairBatch, record: list[Convergence], keep: Interruptible | None
    ) -> tuple[list[Tensor], Tensor]:
        """The masks of a batch, one for each leaf, and the mean score of each pair under them; what happened on the way
        is added to ``record``. With ``keep``, Ctrl-C ends with the masks so far, and what comes after is left as it
        begins.
        """
        problem, draw = self.problem(batch)
        warn_of_traps(problem, batch.first_pair)
        stopped = keep is not None and keep.happened
        solution = self.solve(problem, draw, batch, keep is not None, stopped)
        record.append(solution.convergence)
        if keep is not None and "interrupted" in solution.convergence.status:
            keep.happened = True
        mask = problem.mask(solution.theta)
        used = problem.influences(problem.start) | problem.influences(solution.theta)
        found = []
        for number, (one, where) in enumerate(zip(problem.sides, problem.where, strict=True)):
            found += one.units.expand(mask[:, where] * used[:, number : number + 1], fixed=0.0)
        with torch.no_grad():
            kept = batch.objective.reported(problem.scores(mask)[0].mean(0))
        if not stopped:
            warn_of_loss(problem, mask, kept, batch, self.simplicity.size)
        return found, kept

    def problem(self, batch: PairBatch) -> tuple[MaskProblem, Callable[[int, torch.Generator], list[Leaves]]]:
        """The problem of a batch, and what makes draws for it."""
        masked = self._masked(batch)
        units = [one.units for one in masked]
        if self.shared and (
            len(masked) != 2 or units[0].shapes != units[1].shapes or units[0].count != units[1].count or batch.a.ragged
        ):
            raise ValueError("masks='shared' needs both sides to move and to have the same units")
        widths = [u.count for u in units]
        where = (slice(0, widths[0]), slice(0, widths[0]) if self.shared else slice(widths[0], sum(widths)))[
            : len(masked)
        ]
        replacement, partners = (
            replacement_for(self.replacement, masked),
            partners_of(batch, [one.leaves for one in masked]),
        )

        def draw(count: int, generator: torch.Generator) -> list[Leaves]:
            drawn = replacement.draw(replacement.enough(count), generator, partners)
            return [one.put_back(draws) for one, draws in zip(masked, drawn, strict=True)]

        drawn = replacement.draw(replacement.enough(self.draws), torch.Generator().manual_seed(self.seed), partners)
        sides = tuple(one.drawn(draws) for one, draws in zip(masked, drawn, strict=True))
        with torch.no_grad():
            own = batch.value().to(masked[0].leaves[0].dtype)[None]
        valid = _valid(units, self.shared, batch.pairs)
        problem = MaskProblem(
            batch.objective, sides, where, own, measure("kl", own), self.simplicity, arguments_of(batch), valid
        )
        return problem.measured(self._measure(problem)).balanced(), draw

    def _masked(self, batch: PairBatch) -> list[Masked]:
        """The sides that masks are laid on."""
        given = self.pool if isinstance(self.pool, (tuple, list)) else (self.pool, self.pool)
        if len(given) != 2:
            raise ValueError(f"pool holds {len(given)} parts: items for both sides, or a pair (of a, of b), are needed")
        learned = next((one.pool for one in self.invariances if one is not None and one.pool), ())
        held = dict(zip(batch.objective.moving, self.invariances, strict=True))
        found = []
        for number, leaves in masked_sides(batch).items():
            one, invariance = (batch.a, batch.b)[number], held[number]
            units = units_for(
                batch, number, leaves, self.units[number], 0 if invariance is None else invariance.mask.shape[1]
            )
            found.append(
                Masked(leaves, units, pool_for(one, number, leaves, given[number], learned), deleted_leaves(one))
            )
        return found

    def _measure(self, problem: MaskProblem) -> Measure:
        """The divergence. Without a known scale, squared differences are in units of the change when everything is
        replaced.
        """
        known = next((one.scale for one in self.invariances if one is not None), None)
        if self.kind != "squared" or known is not None:
            return measure(self.kind, problem.own.new_tensor(known or 1.0))
        with torch.no_grad():
            empty = problem.scores(torch.zeros_like(problem.start))[0].to(problem.own)
        return measure("squared", (empty - problem.own).square().mean(0).sqrt())

    def _held(self, problem: MaskProblem, batch: PairBatch) -> list[tuple[Tensor, slice]]:
        """The invariant masks of the pairs, and which logits each holds."""
        found, first = [], batch.first_pair
        invariances = dict(zip(batch.objective.moving, self.invariances, strict=True))
        for place, number in enumerate(masked_sides(batch)):
            one, where = invariances[number], problem.where[place]
            if one is None or (place and self.shared):
                continue
            mask, units = one.rows_for(first, batch.pairs).to(problem.own), problem.sides[place].units
            if len(mask) != batch.pairs:
                raise ValueError(
                    f"the invariance has {len(one)} rows for {first + batch.pairs} pairs: one row, or a row a pair, "
                    "as in invariance[[0, 0, 1]]"
                )
            if isinstance(one.units, GraphUnits) and isinstance(units, GraphUnits):
                check_same(one.units, units, first, "ab"[number])
            if mask.shape[1] != units.count:
                raise ValueError(
                    f"the invariance has {mask.shape[1]} units, the side it is for {units.count}: learn it with the "
                    "same units="
                )
            found.append((mask, where))
        return found

    def solve(
        self,
        problem: MaskProblem,
        draw: Callable[[int, torch.Generator], list[Leaves]],
        batch: PairBatch,
        keep: bool,
        skip: bool,
    ) -> Solution:
        """The logits of a batch."""
        held = self._held(problem, batch)
        profiles = tuple(Profile.of(mask, where) for mask, where in held)
        constraints = Several()
        if self.coupling == "ball":
            constraints = Several([Ball(profile, self.eps) for profile in profiles])
        elif self.coupling == "order":
            constraints = Several([Order.of(mask, where, self.top, self.xi) for mask, where in held])
        if skip:
            return untouched(constraints, problem.start, self.rule)
        if self.coupling != "kl" or not profiles:
            return descend(problem, constraints, problem.start, self.rule, keep_on_interrupt=keep)
        generator = torch.Generator().manual_seed(self.seed)
        penalised = Penalised(problem, profiles, self.beta)
        return wander(penalised, problem.start, self.rule, lambda count: draw(count, generator), keep_on_interrupt=keep)


def warn_of_traps(problem: MaskProblem, first: int) -> None:
    """Says where the empty mask explains as well as any: the price of nothing decides then."""
    empty = problem.divergence(torch.zeros_like(problem.start))
    bad = (empty < EMPTY).nonzero().flatten().tolist()
    if bad:
        warnings.warn(
            f"pair {', '.join(str(first + i) for i in bad[:8])}{', ...' if len(bad) > 8 else ''}: replacing "
            f"everything changes the score by {EMPTY} nats "
            "or less, so that the empty mask explains it; replacements that make the two sides alike ('zeros', "
            "'shared') do this to pairs called alike: "
            "use 'mixed'",
            stacklevel=5,
        )


def warn_of_loss(problem: MaskProblem, mask: Tensor, kept: Tensor, batch: PairBatch, size: float) -> None:
    """Says whose mask does not keep the score, and what would help."""
    lost = problem.divergence(torch.zeros_like(problem.start))
    far = (problem.divergence(mask) > FAR * lost) & (lost >= EMPTY)
    own = batch.objective.reported(problem.own.mean(0))
    told = [
        f"pair {batch.first_pair + i}: {float(kept[i]):.3g} instead of {float(own[i]):.3g}, strongest unit "
        f"{float(mask[i].max()):.2g}"
        for i in far.nonzero().flatten().tolist()
    ]
    if told:
        warnings.warn(
            f"the score is not kept under the mask of {'; '.join(told[:8])}{'; ...' if len(told) > 8 else ''}: such a "
            f"mask explains nothing; lower size= (now {size:.3g}), take more steps=, or another replacement=",
            stacklevel=5,
        )


def _valid(units: Sequence[Units | GraphUnits], shared: bool, pairs: int) -> Tensor | None:
    used = units[:1] if shared else units
    if all(u.valid is None for u in used):
        return None
    device = next(u.valid.device for u in used if u.valid is not None)
    return torch.cat(
        [torch.ones(pairs, u.count, dtype=torch.bool, device=device) if u.valid is None else u.valid for u in used], 1
    )
