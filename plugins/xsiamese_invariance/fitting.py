"""One run of a learner: pairs and draws of every step, and the descent of all masks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor
from tqdm.auto import tqdm

from xsiamese.author import Leaves, Objective, PairModel
from xsiamese_invariance.descent import BOUND
from xsiamese_invariance.divergence import measure
from xsiamese_invariance.graph import GraphUnits
from xsiamese_invariance.masked import Masked, deleted_leaves, masked_leaves
from xsiamese_invariance.memory import FEW, pairs_that_fit
from xsiamese_invariance.problem import MaskProblem
from xsiamese_invariance.replacement import Kind, MaskedSide, Replacement
from xsiamese_invariance.simplicity import Simplicity
from xsiamese_invariance.units import Units
from xsiamese_invariance.unlabeled import Unlabeled, Weights


class Learner(Protocol):
    """The settings of a run, see :class:`~xsiamese_invariance.learner.InvarianceLearner`."""

    model: PairModel
    kind: str
    simplicity: Simplicity
    scope: str
    replacement: Kind
    weights: Weights
    confidence: float
    steps: int
    batch: int
    rate: float


class Fit:
    """One run of a learner: what its steps need."""

    def __init__(
        self,
        learner: Learner,
        unlabeled: Unlabeled,
        aligned: bool,
        *,
        units: Units | GraphUnits,
        pool: Leaves,
        groups: list[Tensor],
        scale: float,
    ) -> None:
        self.learner, self.unlabeled, self.units, self.groups, self.aligned = learner, unlabeled, units, groups, aligned
        model, kind, scores = learner.model, learner.kind, unlabeled.scores
        self.objective = Objective(model, unlabeled.queries, unlabeled.references, wrt="both" if aligned else "first")
        self.measure = measure(kind, scores.new_tensor(scale))
        deleted = (deleted_leaves(unlabeled.queries),) if unlabeled.queries.ragged else ()
        self.replacement = Replacement(learner.replacement, (pool, pool) if aligned else (pool,), deleted)
        self.leaves = (masked_leaves(unlabeled.queries), masked_leaves(unlabeled.references))
        chance = scores.sigmoid() if kind == "kl" else scores
        threshold = getattr(getattr(model, "comparison", None), "threshold_", None)
        cut = {"kl": 0.0, "probability": 0.5}.get(kind, None if threshold is None else model.decision(threshold).cut)
        confident = None if kind == "squared" else (2 * chance - 1).abs() >= learner.confidence
        self.chosen: tuple[Tensor, GraphUnits] | None = None  # the graphs of the masks that descend now
        self.cumulative = unlabeled.cumulative(None if cut is None else scores >= cut, learner.weights, confident)

    def learned(self, seed: int, show_progress: bool) -> tuple[Tensor, Tensor]:
        """The logits of all masks, and the course of the objective."""
        first = self.problem(torch.tensor([0]), torch.Generator().manual_seed(seed), min(self.learner.batch, FEW))
        start = first.own.new_zeros(1, self.units.count)
        size = min(len(self.groups), pairs_that_fit(first, start, self.learner.batch))
        chunks = list(torch.split(torch.arange(len(self.groups)), size))
        with tqdm(
            total=len(chunks) * self.learner.steps, desc="InvarianceLearner", unit="step", disable=not show_progress
        ) as bar:
            found = [
                self._descend(rows, torch.Generator().manual_seed(seed), start.expand(len(rows), -1).clone(), bar)
                for rows in chunks
            ]
        return torch.cat([theta for theta, _ in found]), torch.cat([trace for _, trace in found], 1)

    def problem(self, rows: Tensor, generator: torch.Generator, count: int) -> MaskProblem:
        """The ``count`` pairs and draws of one step for some of the masks. All masks get the same random numbers, so
        that each is learned as if alone.
        """
        query, reference = self._sampled(rows, generator, count)
        scores = self.unlabeled.scores[query, reference].T
        if self.unlabeled.queries.ragged:
            return self._of_graphs(rows, reference.T, scores, generator)
        items = [
            tuple(leaf[index.T] for leaf in leaves)
            for leaves, index in zip(self.leaves, (query, reference), strict=True)
        ]
        alike = [leaf.shape for leaf in items[0]] == [leaf.shape for leaf in items[1]]
        draws = self.replacement.draw(count, generator, items[1] if not self.aligned and alike else None)
        own = self.units if self.learner.scope != "query" else self.units.select(query[:, 0])
        sides = tuple(MaskedSide(leaves, z, own) for leaves, z in zip(items, draws, strict=False))
        arguments = self.unlabeled.arguments(self.objective, query.T, reference.T)
        where = (slice(0, self.units.count),) * len(sides)
        return MaskProblem(
            self.objective, sides, where, scores, self.measure, self.learner.simplicity, arguments, own.valid
        )

    def _of_graphs(self, rows: Tensor, reference: Tensor, scores: Tensor, generator: torch.Generator) -> MaskProblem:
        """The same for graphs, whose masks are on the query alone."""
        if self.chosen is None or not torch.equal(self.chosen[0], rows):
            self.chosen = (rows, GraphUnits(self.unlabeled.queries.select(rows.to(reference)), self.units.count))
        own = self.chosen[1]
        objective, arguments = self.unlabeled.graphs(self.learner.model, own.side, reference)
        masked = Masked(masked_leaves(own.side), own, (), deleted_leaves(own.side))
        sides = (masked.drawn(*self.replacement.draw(len(reference), generator)),)
        return MaskProblem(
            objective,
            sides,
            (slice(0, own.count),),
            scores,
            self.measure,
            self.learner.simplicity,
            arguments,
            own.valid,
        )

    def _sampled(self, rows: Tensor, generator: torch.Generator, count: int) -> tuple[Tensor, Tensor]:
        """The queries and references of one step, both (rows, count)."""
        device = self.unlabeled.scores.device
        if self.learner.scope == "query":
            query = rows[:, None].expand(-1, count)
        else:
            place = torch.rand(count, generator=generator, dtype=torch.float64)
            query = torch.stack([self.groups[row][(place * len(self.groups[row])).long()] for row in rows.tolist()])
        strata = (
            torch.arange(count, dtype=torch.float64) + torch.rand(count, generator=generator, dtype=torch.float64)
        ) / count
        strata = strata[torch.randperm(count, generator=generator)].to(device)
        query = query.to(device)
        ranks = self.cumulative[query]  # (rows, draws, references)
        levels = strata.to(ranks).expand(len(rows), -1)[..., None].contiguous()
        return query, torch.searchsorted(ranks, levels).squeeze(-1).clamp_max(ranks.shape[-1] - 1)

    def _descend(self, rows: Tensor, generator: torch.Generator, theta: Tensor, bar: Any) -> tuple[Tensor, Tensor]:
        steps, mean, trace = self.learner.steps, theta.clone(), []
        first = torch.Generator().manual_seed(generator.initial_seed())
        weight = self.problem(rows, first, self.learner.batch).balanced().weight  # one for all steps: one objective
        for step in range(steps):
            problem = replace(self.problem(rows, generator, self.learner.batch), weight=weight)
            value, slope, _ = problem.value_and_slope(theta)
            theta = torch.add(theta, slope, alpha=-self.learner.rate / (1 + step / 200)).clamp_(-BOUND, BOUND)
            if step % 25 == 0:
                trace.append(value)
            if step >= steps // 2:
                mean = theta.clone() if step == steps // 2 else mean + (theta - mean) / (step - steps // 2 + 1)
            bar.update()
        return mean, torch.stack(trace)
