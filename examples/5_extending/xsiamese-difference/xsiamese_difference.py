"""An explainer for xsiamese in a package of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from xsiamese import PairAttribution, PairBatch, hookimpl


class PairDifference(PairAttribution):
    """Gradient times the difference of the two inputs: to first order, what the score gains when a value is taken over from the other input.

    Needs two inputs of one shape.
    """

    name = "difference"
    formula = r"(y - x) \odot \partial s / \partial x"
    reference = ("shrikumar2016",)

    def compute(self, batch: PairBatch) -> tuple[Any, Any]:
        """The maps of one batch of pairs."""
        moved = dict(zip(batch.objective.moved, batch.gradients(), strict=True))
        count, leaves = len(batch.a.leaves), batch.leaves
        for a, b in zip(leaves[:count], leaves[count:], strict=True):
            if a.shape != b.shape:
                raise ValueError(f"PairDifference needs inputs of one shape: a is {tuple(a.shape)}, b is {tuple(b.shape)}")
        other = (*leaves[count:], *leaves[:count])
        return batch.maps([(other[i] - leaves[i]) * gradient for i, gradient in moved.items()])


@hookimpl
def xsiamese_explainers() -> Iterable[type[PairAttribution]]:
    """What this package brings."""
    return [PairDifference]
