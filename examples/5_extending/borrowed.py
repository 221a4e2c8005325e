"""A counterfactual without maps, as a plugin in one file: what a would have to borrow from b to be called alike.

``Found(maps=None, columns=...)`` has no maps: ``attribute`` then says "use explain", and the contract
compares its columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import torch

from xsiamese import PairAttribution, hookimpl
from xsiamese.author import Found, PairBatch, PairExplanation


class Borrowed(PairExplanation):
    """Which features were taken over, and the score after that."""

    @property
    def taken(self) -> list[list[int]]:
        """The features of each pair, in the order in which they were taken over."""
        return [list(one) for one in self.columns["taken"]]

    def summary(self) -> str:
        """One line a pair."""
        first, *rows = super().summary().split("\n")
        told = [f"{row}; a would borrow {taken}" for row, taken in zip(rows, self.taken, strict=False)]
        return "\n".join([first, *told, *rows[len(self) :]])


class PairBorrow(PairAttribution):
    """Takes over features of b into a, each time the one that helps most, until the decision is "alike".

    Args:
        model: the model.
        threshold: the score at which the decision turns; the calibrated one if left out.
    """

    name = "borrow"
    formula = r"\min |S|: \; s(x_{\bar S} \cup y_S, y) \; \mathrm{alike}"
    reference = ("goyal2019",)
    result: ClassVar[type[PairExplanation]] = Borrowed
    modalities = frozenset({"row"})
    needs_threshold = True
    takes_target = False
    uses_gradients = False
    symmetric = False
    chunk = 1

    def __init__(
        self, model: Callable[..., Any], layer: Any = None, *, threshold: float | None = None, **more: Any
    ) -> None:
        super().__init__(model, layer, **more)
        self.threshold = threshold

    def compute(self, batch: PairBatch, *, most: int = 16) -> Found:
        """The features.

        Args:
            batch: the pair.
            most: how many features may be taken over.
        """
        (x,), (y,) = batch.a.leaves, batch.b.leaves
        alike = self.model.decision(self.threshold).alike
        one = batch.one_sided("first")
        value, start, taken = batch.value().detach(), None, []
        start = value
        while not bool(alike(value)) and len(taken) < min(most, x.shape[1]):
            left = [i for i in range(x.shape[1]) if i not in taken]
            tries = x.repeat(len(left), 1)
            for row, i in enumerate(left):
                tries[row, i] = y[0, i]
            values = torch.cat([one.value(row[None]).detach() for row in tries])
            best = int(values.argmax())
            taken, x, value = [*taken, left[best]], tries[best : best + 1], values[best : best + 1]
        return Found(value=start, columns={"taken": [taken], "after": value, "alike": [bool(alike(value))]})


@hookimpl
def xsiamese_explainers() -> Iterable[type[PairAttribution]]:
    """What this plugin brings."""
    return [PairBorrow]
