"""Rows of tables and connectomes for the measurements of robust explanations: the pairs, the methods, and what their
relevances are measured with.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor

from tests.benchmarks.robust_sets import Problem
from xsiamese import (
    InvarianceLearner,
    PairIntegratedGradients,
    PairNoiseTunnel,
    PairOcclusion,
    PairSaliency,
    RobustPairExplainer,
    SiameseModel,
    reference_instability,
)
from xsiamese_invariance.descent import Descent
from xsiamese_invariance.metrics import masked_divergence, mixed_draws
from xsiamese_invariance.options import ORDER

QUERIES, REFERENCES, DRAWS = 6, 16, 16
NOISE_QUERIES = 2


@dataclass(frozen=True)
class Setting:
    """One run: a net, its pairs (all references of the first query, then of the second, ...) and the invariance. One
    mask is laid on both sides.

    Attributes:
        problem, model: the set and its net.
        a, b: the pairs.
        pool: what replaces removed features.
        invariance: of the queries; ``rows`` is the query of each pair.
        top: how many units are compared; ``keeps`` how many are kept in turn.
        price: of a mask.
        rate: of descent.
        few: some of the pairs, for noise floors.
        seed: of all this.
    """

    problem: Any
    model: SiameseModel
    a: Any
    b: Any
    pool: Any
    invariance: Any
    rows: Tensor
    top: int
    keeps: tuple[int, ...]
    price: dict[str, float]
    rate: float
    few: slice
    seed: int

    @classmethod
    def of(cls, problem: Problem, model: SiameseModel, seed: int) -> Self:
        """Queries and references from the test rows, the unlabelled pool from the training rows."""
        order = torch.randperm(len(problem.test), generator=torch.Generator().manual_seed(seed))
        queries, references = problem.test[order[:QUERIES]], problem.test[order[QUERIES : QUERIES + REFERENCES]]
        pool = problem.train[torch.randperm(len(problem.train), generator=torch.Generator().manual_seed(seed))[:256]]
        count = queries.shape[1]
        price = {"size": 0.02 * min(1, 20 / count), "entropy": 0.01 * min(1, 20 / count)}
        invariance = InvarianceLearner(model, **price).fit(queries, pool, seed=seed)
        rows = torch.arange(QUERIES).repeat_interleave(len(references))
        top, keeps = (4, (1, 2, 4, 6)) if count < 50 else (8, (4, 8, 16, 32))
        rate = 4 * max(1, count / 20)  # smaller prices bend the objective less, and take longer steps
        few = slice(0, NOISE_QUERIES * len(references))
        return cls(
            problem,
            model,
            queries[rows],
            references.repeat(QUERIES, 1),
            pool,
            invariance,
            rows,
            top,
            keeps,
            price,
            rate,
            few,
            seed,
        )

    @property
    def own(self) -> Any:
        """The invariance of each pair's query."""
        return self.invariance[self.rows]

    @property
    def sizes(self) -> list[int]:
        """How many units each query has."""
        return [self.a.shape[1]] * QUERIES

    @property
    def training(self) -> Any:
        """References without labels."""
        return self.problem.train[:256]

    def pair(self, rows: slice) -> tuple[Any, Any]:
        """Some of the pairs."""
        return self.a[rows], self.b[rows]

    def divergence(self, kept: Tensor) -> float:
        """How much the score changes when only part of the units (pairs, units) is kept, in nats, on draws that no
        method has seen.
        """
        return float(
            masked_divergence(
                self.model, self.a, self.b, (kept, kept), mixed_draws(self.pool, 64, seed=10_000 + self.seed)
            ).mean()
        )

    def robust(
        self, coupling: str, *, seed: int = 0, rows: slice = slice(None), invariance: Any = None, **more: Any
    ) -> tuple[Tensor, Any]:
        """The masks of some pairs, shape (pairs, units), and how the optimisation went."""
        rule = replace(ORDER, rate=self.rate / 2, steps=4000) if coupling == "order" else Descent(rate=self.rate)
        if coupling == "kl":
            rule = Descent(steps=1000, rate=self.rate)
        held: dict[str, Any] = (
            {}
            if coupling == "none"
            else {"invariance": (self.own if invariance is None else invariance)[torch.arange(len(self.rows))[rows]]}
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            maps, trace = RobustPairExplainer(self.model, coupling=coupling).attribute(
                self.pair(rows),
                top=self.top,
                seed=seed,
                descent=rule,
                return_convergence=True,
                **held,
                **self.how(),
                **self.price,
                **more,
            )
        return self.of_masks(maps), trace

    def how(self) -> dict[str, Any]:
        """How masks are laid on the pairs."""
        return {"masks": "shared", "pool": self.pool, "draws": DRAWS}

    def of_masks(self, maps: tuple[Any, Any]) -> Tensor:
        """The mask of each unit, shape (pairs, units)."""
        found: Tensor = maps[0]
        return found

    def on_units(self, maps: tuple[Any, Any]) -> Tensor:
        """The relevance of each unit, shape (pairs, units), from the maps of both sides."""
        found: Tensor = maps[0].abs() + maps[1].abs()
        return found

    def baselines(self) -> dict[str, Callable[[int], Tensor]]:
        """The relevance of each unit in each pair by methods that know no invariance; a function of the seed."""
        pairs, model = (self.a, self.b), self.model
        gradients = PairSaliency(model).attribute(pairs)
        difference = (gradients[0] * (self.a - self.b), gradients[1] * (self.b - self.a))
        return {
            "random": lambda seed: torch.rand(self.a.shape, generator=torch.Generator().manual_seed(seed)),
            "|grad|": lambda seed: self.on_units(gradients),
            "grad x difference": lambda seed: self.on_units(difference),
            "integrated gradients": lambda seed: self.on_units(
                PairIntegratedGradients(model).attribute(pairs, baselines="partner", n_steps=20)
            ),
            "SmoothGrad": lambda seed: self.on_units(
                PairNoiseTunnel(model).attribute(pairs, nt_samples=16, stdevs=0.3, seed=seed)
            ),
            "occlusion": lambda seed: self.on_units(
                PairOcclusion(model).attribute(pairs, sliding_window_shapes=(1,), strides=(1,))
            ),
        }

    def mean_gradient(self) -> Tensor:
        """The mean absolute gradient of each query over unlabelled references, copied to every pair."""
        found = []
        for query in self.a[:: len(self.a) // QUERIES]:
            gradient = PairSaliency(self.model).attribute((query.expand_as(self.training), self.training), wrt="first")[
                0
            ]
            found.append(gradient.abs().mean(0))
        return torch.stack(found)[self.rows]

    def shuffled(self) -> Any:
        """The invariance with the units of each query permuted."""
        generator = torch.Generator().manual_seed(self.seed)
        mask = self.invariance.mask.clone()
        for row, size in zip(mask, self.sizes, strict=True):
            row[:size] = row[torch.randperm(size, generator=generator)]
        return self.invariance.with_mask(mask)[self.rows]

    def untrained(self) -> Self:
        """The same for a net with random weights."""
        torch.manual_seed(self.seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self.of(self.problem, self.problem.net().eval(), self.seed)

    def instability(self) -> dict[str, float]:
        """How the gradient of a query changes with the reference, in float64."""
        each = len(self.b) // QUERIES
        references = self.b[:each].double()
        found = [
            reference_instability(self.model.double(), query.double(), references, k=self.top)
            for query in self.a[::each]
        ]
        self.model.float()
        return {
            "gradient_cosine": sum(u.cosine for u in found) / QUERIES,
            "reference_term": sum(u.reference_term or 0.0 for u in found) / QUERIES,
            "query_term": sum(u.query_term or 0.0 for u in found) / QUERIES,
            "closed_form_error": max(
                float((u.covariance - u.closed_form).norm() / u.closed_form.norm())
                for u in found
                if u.closed_form is not None
            ),
        }
