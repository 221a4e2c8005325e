"""Which part of a goes with which part of b: pair matrices from activations, from gradients, and from answers alone."""

from __future__ import annotations

from collections.abc import Iterable

from xsiamese import PairAttribution, hookimpl
from xsiamese_interactions.decomposition import PairActivationDecomposition
from xsiamese_interactions.gradients import PairInteraction, PairLayerInteraction
from xsiamese_interactions.lifted import Lift
from xsiamese_interactions.regression import PairMaskRegression
from xsiamese_interactions.relevance import PairBiLRP

__all__ = [
    "Lift",
    "PairActivationDecomposition",
    "PairBiLRP",
    "PairInteraction",
    "PairLayerInteraction",
    "PairMaskRegression",
]


@hookimpl
def xsiamese_explainers() -> Iterable[type[PairAttribution]]:
    """The engines of pair matrices."""
    return (
        PairActivationDecomposition,
        PairInteraction,
        PairLayerInteraction,
        PairMaskRegression,
        PairBiLRP,
        Lift,
    )
