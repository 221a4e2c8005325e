"""An explainer for xsiamese in a package of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from xsiamese import PairAttribution, PairBatch, hookimpl


class PairDifference(PairAttribution):
    """Gradient times the difference of the two inputs: to first order, what the score gains when a value is taken over
    from the other input.

    Needs two inputs of one shape.
    """

    name = "difference"
    formula = r"(y - x) \odot \partial s / \partial x"
    reference = ("shrikumar2016",)

    def compute(self, batch: PairBatch) -> tuple[Any, Any]:
        """The maps of one batch of pairs."""
        return batch.maps(
            [
                (other - x) * slope
                for x, other, slope in zip(batch.moved, batch.partners, batch.gradients(), strict=True)
            ]
        )


@hookimpl
def xsiamese_explainers() -> Iterable[type[PairAttribution]]:
    """What this package brings."""
    return [PairDifference]
