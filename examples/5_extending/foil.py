"""Why p rather than n, as a plugin in one file: ``PairContribution(model).explain((a, p), against=n)``.

A method whose maps are linear in the value declares it; the contract proves it, and ``against=`` is exact by two runs.
"""

from __future__ import annotations

from collections.abc import Iterable

from xsiamese import PairAttribution, hookimpl
from xsiamese.author import Maps, PairBatch


class PairContribution(PairAttribution):
    """Gradient times input: what each number adds to the score, to first order."""

    name = "contribution"
    formula = r"x \odot \partial s / \partial x"
    reference = ("shrikumar2016",)
    linear = True

    def compute(self, batch: PairBatch) -> Maps:
        """The maps."""
        return batch.maps([leaf * slope for leaf, slope in zip(batch.moved, batch.gradients(), strict=True)])


@hookimpl
def xsiamese_explainers() -> Iterable[type[PairAttribution]]:
    """What this plugin brings."""
    return [PairContribution]
