"""The unlabelled pairs of a learner: their scores, which are the pseudo-labels, and how often each is drawn."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from xsiamese.author import Objective, PairModel, SiameseModel, Side, wide
from xsiamese_invariance.problem import Argument

Weights = Literal["balanced", "uniform", "confident"]
ROWS = 4096


@dataclass(frozen=True)
class Unlabeled:
    """Queries and references, with the model's own scores of all their pairs.

    Attributes:
        queries, references: the two sides, any number of items each.
        embeddings: of the references, if the model is factored.
        scores: the closeness of each pair, shape (queries, references).
    """

    queries: Side
    references: Side
    embeddings: Tensor | None
    scores: Tensor

    @classmethod
    def of(cls, model: PairModel, queries: Side, references: Side) -> Unlabeled:
        """Scores all pairs; a factored model encodes each item once."""
        with torch.no_grad():
            if isinstance(model, SiameseModel):
                with Objective(model, queries, references).naming_inputs():
                    first, second = (_encoded(model, side, number) for number, side in enumerate((queries, references)))
                if isinstance(first, Tensor) and isinstance(second, Tensor):
                    return cls(queries, references, second, _compared(model, first, second))
            pairs = torch.cartesian_prod(torch.arange(queries.pairs), torch.arange(references.pairs))
            found = []
            for i, j in (rows.T for rows in torch.split(pairs, ROWS if not queries.ragged else ROWS // 16)):
                a = queries.select(i)
                b = references.select(j).beside(a)
                objective, leaves = Objective(model, a, b), (*a.leaves, *b.leaves)
                found.append(
                    objective(*(leaves[k] for k in objective.moved_at), *(leaves[k] for k in objective.held_at))
                )
        return cls(queries, references, None, torch.cat(found).view(queries.pairs, references.pairs))

    def arguments(self, objective: Objective, query: Tensor, reference: Tensor) -> tuple[Argument, ...]:
        """What an objective takes besides the masked leaves, for pairs by their numbers (draws, rows)."""
        leaves = (*self.queries.leaves, *self.references.leaves)
        first = len(self.queries.leaves)
        held = tuple(leaves[k][query if k < first else reference] for k in objective.held_at)
        if objective.encodes_held:
            assert self.embeddings is not None
            held = (self.embeddings[reference], *held)
        return tuple(map(Argument, held))

    def graphs(self, model: PairModel, queries: Side, reference: Tensor) -> tuple[Objective, tuple[Argument, ...]]:
        """The value of graphs of some queries, each with references (draws, queries) of its own, and what it takes
        besides the queries' leaves.
        """
        if self.embeddings is not None:
            return Objective(model, queries, self.references, wrt="first"), (Argument(self.embeddings[reference]),)
        a = queries.select(torch.arange(queries.pairs, device=reference.device).repeat(len(reference)))
        b = self.references.select(reference.flatten()).beside(a)
        objective, leaves = Objective(model, a, b, wrt="first"), (*a.leaves, *b.leaves)
        return objective, tuple(Argument(leaves[k], of_pairs=False) for k in objective.held_at)

    def cumulative(self, alike: Tensor | None, weights: Weights, confident: Tensor | None) -> Tensor:
        """The cumulative probability with which each reference is drawn for a query, shape (queries, references).

        Args:
            alike: which pairs the model calls alike, its pseudo-labels, or None if it decides nothing.
            weights: "balanced" draws both verdicts equally often; "confident" draws only pairs of which the model is
                sure; "uniform" draws all alike.
            confident: of which pairs it is sure.
        """
        share = torch.ones_like(self.scores)
        if alike is not None:
            one_class = int(alike.all(1).sum() + (~alike).all(1).sum())
            if one_class:
                verdict = "alike" if bool(alike.float().mean() > 0.5) else "different"
                warnings.warn(
                    f"for {one_class} of {len(alike)} queries the model gives all {alike.shape[1]} references one "
                    f"verdict (mostly {verdict}): their invariance "
                    "knows that verdict only; give a pool with references of both kinds",
                    stacklevel=4,
                )
            if weights == "balanced":
                near, far = alike.sum(1, keepdim=True), (~alike).sum(1, keepdim=True)
                share = torch.where(alike, 0.5 / near.clamp_min(1), 0.5 / far.clamp_min(1)).to(share)
        if weights == "confident":
            if confident is None:
                raise ValueError(
                    "weights='confident' needs scores that are logits or probabilities: 'balanced' or 'uniform' is "
                    "needed for distances"
                )
            lost = (~confident).all(1)
            share = torch.where(confident | lost[:, None], share, 0)
            if bool(lost.any()):
                warnings.warn(
                    f"the model is sure of no pair of {int(lost.sum())} queries: all their pairs are used", stacklevel=4
                )
        total = share.cumsum(1)
        return total / total[:, -1:]


def _encoded(model: SiameseModel, side: Side, number: int) -> Any:
    parts = [
        model.encode(part.rebuild(part.leaves), number)
        for part in (side.slice(i, i + ROWS // 16) for i in range(0, side.pairs, ROWS // 16))
    ]
    return torch.cat(parts) if all(isinstance(part, Tensor) for part in parts) else None


def _compared(model: SiameseModel, first: Tensor, second: Tensor) -> Tensor:
    found = []
    rows = max(1, ROWS // max(1, len(second)))
    for part in torch.split(first, rows):
        i, j = (
            index.flatten()
            for index in torch.meshgrid(torch.arange(len(part)), torch.arange(len(second)), indexing="ij")
        )
        score = model.comparison.explained(part[i], second[j])
        found.append(score.view(len(part), len(second)))
    return model.closeness(wide(torch.cat(found)))
