"""The local problem of a batch of pairs: its score under masks, and how these are held to invariances."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from xsiamese import PairBatch
from xsiamese.inputs import Leaves, side
from xsiamese_invariance.constraints import Ball, Order, Profile, Several
from xsiamese_invariance.descent import Descent, Solution, descend, untouched
from xsiamese_invariance.diagnostics import Convergence
from xsiamese_invariance.divergence import Measure, kind_for, measure
from xsiamese_invariance.invariance import Invariance
from xsiamese_invariance.memory import pairs_that_fit
from xsiamese_invariance.problem import MaskProblem, Penalised
from xsiamese_invariance.replacement import Kind, MaskedSide, Replacement, normal_pool
from xsiamese_invariance.simplicity import Simplicity
from xsiamese_invariance.stochastic import wander
from xsiamese_invariance.units import Units, units_of

Coupling = Literal["kl", "ball", "order", "none"]
EMPTY = 0.1
ORDER = Descent(dual_rate=0.5, mu=1e-2, cap=2.0)


@dataclass(frozen=True)
class Local:
    """How local problems are made and solved; the fields are the options of :class:`~xsiamese_invariance.explainer.RobustPairExplainer`."""

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
        first = self.problem(next(batch.split(1)))[0]
        return min(batch.pairs, pairs_that_fit(first, first.start))

    def explained(self, batch: PairBatch, record: list[Convergence] | None) -> list[Tensor]:
        """The masks of a batch, one for each leaf; what happened on the way is added to ``record``."""
        problem, draw = self.problem(batch)
        warn_of_traps(problem, batch.first_pair)
        stopped = record is not None and bool(record) and "interrupted" in record[-1].status
        solution = self.solve(problem, draw, batch.first_pair, record is not None, stopped)
        if record is not None:
            record.append(solution.convergence)
        mask = problem.mask(solution.theta)
        used = problem.influences(problem.start) | problem.influences(solution.theta)
        found = []
        for number, (one, where) in enumerate(zip(problem.sides, problem.where, strict=True)):
            found += one.units.expand(mask[:, where] * used[:, number : number + 1], fixed=0.0)
        return found

    def problem(self, batch: PairBatch) -> tuple[MaskProblem, Callable[[int, torch.Generator], list[Leaves]]]:
        """The problem of a batch, and what makes draws for it."""
        moving = batch.objective.moving
        moved = [t.detach().to(torch.promote_types(t.dtype, torch.float32)) for t in batch.moved]
        of_a = len([i for i in batch.objective.moved_at if i < len(batch.a.leaves)])
        leaves = [part for part in (tuple(moved[:of_a]), tuple(moved[of_a:])) if part]
        if len(leaves) != len(moving):
            raise ValueError("a mask needs numbers that can be replaced: one of the sides holds no floating point tensor")
        least = [0 if one is None else one.mask.shape[1] for one in self.invariances]
        units = [
            units_of(part, _rows(self.units[number], batch), f"units of {'ab'[number]}", count)
            for number, part, count in zip(moving, leaves, least, strict=True)
        ]
        if self.shared and (len(leaves) != 2 or units[0].shapes != units[1].shapes or units[0].count != units[1].count):
            raise ValueError("masks='shared' needs both sides to move and to have the same units")
        widths = [u.count for u in units]
        where = (slice(0, widths[0]), slice(0, widths[0]) if self.shared else slice(widths[0], sum(widths)))[: len(leaves)]
        replacement = Replacement(self.replacement, self._pools(leaves, moving))
        partners = _partners(batch, moving, leaves)

        def draw(count: int, generator: torch.Generator) -> list[Leaves]:
            return replacement.draw(count, generator, partners)

        drawn = draw(self.draws, torch.Generator().manual_seed(self.seed))
        sides = tuple(MaskedSide([leaf[None] for leaf in part], z, u) for part, z, u in zip(leaves, drawn, units, strict=True))
        with torch.no_grad():
            own = batch.value().to(leaves[0][0].dtype)[None]
        arguments = tuple(t[None] if isinstance(t, Tensor) and t.dim() and len(t) == batch.pairs else t for t in batch.arguments)
        problem = MaskProblem(batch.objective, sides, where, own, measure("kl", own), self.simplicity, arguments, _valid(units, self.shared, batch.pairs))
        return problem.measured(self._measure(problem)), draw

    def _measure(self, problem: MaskProblem) -> Measure:
        """The divergence. Without a known scale, squared differences are in units of the change when everything is replaced."""
        known = next((one.scale for one in self.invariances if one is not None), None)
        if self.kind != "squared" or known is not None:
            return measure(self.kind, problem.own.new_tensor(known or 1.0))
        with torch.no_grad():
            empty = problem.scores(torch.zeros_like(problem.start))[0].to(problem.own)
        return measure("squared", (empty - problem.own).square().mean(0).sqrt())

    def _pools(self, leaves: Sequence[Leaves], moving: Sequence[int]) -> tuple[Leaves, ...]:
        """What each masked side's replacements are drawn from: what was given, else the invariance's pool, else standard normal rows."""
        given = self.pool if isinstance(self.pool, (tuple, list)) else (self.pool, self.pool)
        if len(given) != 2:
            raise ValueError(f"pool holds {len(given)} parts: items for both sides, or a pair (of a, of b), are needed")
        learned = next((one.pool for one in self.invariances if one is not None and one.pool), ())
        found: list[Leaves] = []
        for number, part in zip(moving, leaves, strict=True):
            name, wanted = f"pool of {'ab'[number]}", [leaf.shape[1:] for leaf in part]
            rows = normal_pool(part) if given[number] is None else side(given[number], name).leaves
            if given[number] is None and [leaf.shape[1:] for leaf in learned] == wanted:
                rows = learned
            if [leaf.shape[1:] for leaf in rows] != wanted:
                raise ValueError(f"the {name} holds items of shape {tuple(rows[0].shape[1:])}, the input {tuple(wanted[0])}")
            found.append(tuple(leaf.to(like) for leaf, like in zip(rows, part, strict=True)))
        return tuple(found)

    def _held(self, problem: MaskProblem, first: int) -> list[tuple[Tensor, slice]]:
        """The invariant masks of the pairs from ``first`` on, and which logits each holds."""
        found, pairs = [], problem.own.shape[1]
        for number, (one, where) in enumerate(zip(self.invariances, problem.where, strict=False)):
            if one is None or (number and self.shared):
                continue
            mask = one.rows_for(first, pairs).to(problem.own)
            if mask.shape[1] != where.stop - where.start:
                raise ValueError(f"the invariance has {mask.shape[1]} units, the side it is for {where.stop - where.start}: learn it with the same units=")
            if len(mask) != pairs:
                raise ValueError(f"the invariance has {len(one)} rows for {first + pairs} pairs: one row, or a row a pair, as in invariance[[0, 0, 1]]")
            found.append((mask, where))
        return found

    def solve(self, problem: MaskProblem, draw: Callable[[int, torch.Generator], list[Leaves]], first: int, keep: bool, skip: bool) -> Solution:
        """The logits of a batch."""
        held = self._held(problem, first)
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


def local_of(
    batch: PairBatch, coupling: Coupling, invariance: Any, units: Any, pool: Any, shared: bool, replacement: Kind, draws: int, prices: tuple[float, float],
    divergence: str, held: tuple[float, float, float, int], steps: int | None, rule: Descent | None,
) -> Local:  # fmt: skip
    """The options, checked before any work.

    Raises:
        ValueError: if one does not fit.
    """
    eps, beta, xi, top = held
    if eps <= 0:
        raise ValueError(f"eps={eps}: a positive radius is needed; at 0 the constraint's gradient vanishes on its boundary and multipliers grow without bound")
    if beta < 0 or xi < 0 or draws < 1:
        raise ValueError(f"beta={beta}, xi={xi}, draws={draws}: a price and a margin of at least 0, and a draw, are needed")
    both = tuple(invariance) if isinstance(invariance, (tuple, list)) else (invariance, None)
    if len(both) != 2 or not all(one is None or isinstance(one, Invariance) for one in both):
        raise TypeError(f"invariance is {type(invariance).__name__}: an Invariance, or a pair (for a's mask, for b's) of them, is needed")
    if batch.wrt == "second" and both[1] is None:
        both = (both[1], both[0])
    used = tuple(both[number] for number in batch.objective.moving)
    if coupling != "none" and not any(used):
        warnings.warn("no invariance is given, so that nothing holds the masks: learn one with InvarianceLearner, or say coupling='none'", stacklevel=6)
    for one in used if coupling != "none" else ():
        if one is not None and (seen := one.seen(batch.b.leaves)):
            which = ", ".join(str(batch.first_pair + i) for i in seen[:8])
            warnings.warn(
                f"the reference of pair {which} is one that the invariance was learned from: what is said of stability needs references that were not",
                stacklevel=6,
            )
    default = ORDER if coupling == "order" else Descent()
    rule = rule or default
    known = next((one for one in used if one is not None), None)
    kind = known.divergence if known is not None and divergence == "auto" else kind_for(divergence, batch.model, batch.target is not None)
    maps = units if isinstance(units, (tuple, list)) else _learned_units(batch, used) if units is None else (units, units)
    return Local(
        coupling, used, (maps[0], maps[1]), pool, shared, replacement, draws, kind, Simplicity(*prices), eps, beta,
        xi, top, rule if steps is None else replace(rule, steps=steps), int(torch.randint(2**31, ())),
    )  # fmt: skip


def _learned_units(batch: PairBatch, used: Sequence[Invariance | None]) -> tuple[Any, Any]:
    """The units that the invariances were learned on; a side without one gets those of the other, if they are the same for all items and fit."""
    found: list[Any] = [None, None]
    for number, one in zip(batch.objective.moving, used, strict=True):
        index = None if one is None or len(one.units.shapes) != 1 else one.units.index
        if one is None or index is None:
            continue
        shape, common = one.units.shapes[0], one.units.valid is None
        found[number] = torch.where(index == one.units.count, -1, index).reshape(shape if common else (len(index), *shape))
        other = (batch.a, batch.b)[1 - number].leaves
        if found[1 - number] is None and common and len(other) == 1 and tuple(other[0].shape[1:]) == shape:
            found[1 - number] = found[number]
    return found[0], found[1]


def warn_of_traps(problem: MaskProblem, first: int) -> None:
    """Says where the empty mask explains as well as any: the price of nothing decides then."""
    empty = problem.divergence(torch.zeros_like(problem.start))
    bad = (empty < EMPTY).nonzero().flatten().tolist()
    if bad:
        warnings.warn(
            f"pair {', '.join(str(first + i) for i in bad[:8])}{', ...' if len(bad) > 8 else ''}: replacing everything changes the score by {EMPTY} nats "
            "or less, so that the empty mask explains it; replacements that make the two sides alike ('zeros', 'shared') do this to pairs called alike: "
            "use 'mixed'",
            stacklevel=5,
        )


def _rows(units: Any, batch: PairBatch) -> Any:
    """A map of units for each pair of the user's batch, for this part of it."""
    if isinstance(units, (tuple, list)):
        return tuple(_rows(one, batch) for one in units)
    if isinstance(units, Tensor) and len(units) > batch.pairs and any(units.dim() == leaf.dim() for leaf in (*batch.a.leaves, *batch.b.leaves)):
        return units[batch.first_pair : batch.first_pair + batch.pairs]
    return units


def _partners(batch: PairBatch, moving: Sequence[int], leaves: Sequence[Leaves]) -> Leaves | None:
    """The other side's numbers, where one side moves and the two have one shape."""
    if len(moving) == 2:
        return None
    other = [t for t in (batch.a, batch.b)[1 - moving[0]].leaves if t.is_floating_point()]
    if [t.shape for t in other] != [t.shape for t in leaves[0]]:
        return None
    return tuple(t.detach().to(like)[None] for t, like in zip(other, leaves[0], strict=True))


def _valid(units: Sequence[Units], shared: bool, pairs: int) -> Tensor | None:
    used = units[:1] if shared else units
    if all(u.valid is None for u in used):
        return None
    device = next(u.valid.device for u in used if u.valid is not None)
    return torch.cat([torch.ones(pairs, u.count, dtype=torch.bool, device=device) if u.valid is None else u.valid for u in used], 1)
