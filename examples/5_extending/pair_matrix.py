"""Which part of a goes with which part of b, from masks alone, as a plugin in one file.

What is more than two maps is a column, one entry a pair; a result type is a view of the columns, and
``Found`` holds both.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import torch

from xsiamese import PairAttribution, hookimpl
from xsiamese.author import Found, Match, PairBatch, PairExplanation, PairMatrix


class Matches(PairExplanation):
    """What goes with what: a view without fields, so that slices and files are right by themselves."""

    packables: ClassVar[tuple[type, ...]] = (PairMatrix,)

    @property
    def best(self) -> list[Match]:
        """The strongest match of each pair."""
        return [matrix.top(1)[0] for matrix in self.columns["matrix"]]


class PairCrossRegression(PairAttribution):
    """Regresses the scores of masked items on the masks of both: how much feature i of a and feature j of b give only
    together.
    """

    name = "cross_regression"
    formula = r"A = Z_a^+ S (Z_b^+)^\top"
    reference = ("joukovsky2023",)
    result: ClassVar[type[PairExplanation]] = Matches
    modalities = frozenset({"row"})
    uses_gradients = False
    stochastic = True
    fitted = True
    linear = True
    chunk = 1  # one pair at a time

    def compute(self, batch: PairBatch, *, masks: int = 64) -> Found:
        """The matrix and its marginals.

        Args:
            batch: the pair.
            masks: how many masks of each item.
        """
        keep = [torch.rand(masks, side.leaves[0].shape[1]).to(side.leaves[0]).round() for side in batch.sides]
        with torch.no_grad():
            u, v = (batch.embed(i, kept * batch.sides[i].leaves[0]) for i, kept in enumerate(keep))
        # row t of the scores: mask t of a with every mask of b
        scores = torch.stack([batch.closeness(one.expand_as(v), v) for one in u])
        of_a, of_b = (torch.linalg.pinv((kept - kept.mean(0)).double()) for kept in keep)
        matrix = PairMatrix.of(of_a @ scores.double() @ of_b.T)
        first, second = matrix.marginals
        return Found((first[None], second[None]), columns={"matrix": [matrix]})


@hookimpl
def xsiamese_explainers() -> Iterable[type[PairAttribution]]:
    """What this plugin brings."""
    return [PairCrossRegression]
