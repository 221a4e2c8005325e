"""Robust explanations: masks that respect an invariance learned from unlabelled pairs."""

from __future__ import annotations

from collections.abc import Iterable

from xsiamese import PairAttribution, hookimpl
from xsiamese_invariance.descent import Descent
from xsiamese_invariance.diagnostics import Convergence
from xsiamese_invariance.explainer import RobustPairExplainer
from xsiamese_invariance.explanation import RobustExplanation
from xsiamese_invariance.instability import ReferenceInstability, reference_instability
from xsiamese_invariance.invariance import Invariance
from xsiamese_invariance.learner import InvarianceLearner
from xsiamese_invariance.units import edge_units, grid_units, region_units

__all__ = [
    "Convergence",
    "Descent",
    "Invariance",
    "InvarianceLearner",
    "ReferenceInstability",
    "RobustExplanation",
    "RobustPairExplainer",
    "edge_units",
    "grid_units",
    "reference_instability",
    "region_units",
]


@hookimpl
def xsiamese_explainers() -> Iterable[type[PairAttribution]]:
    """The one explainer."""
    return (RobustPairExplainer,)
