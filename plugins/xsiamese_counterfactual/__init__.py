"""Counterfactuals: what would have to change for the decision on a pair to flip."""

from __future__ import annotations

from collections.abc import Iterable

from xsiamese import PairAttribution, hookimpl
from xsiamese_counterfactual.explanation import CounterfactualExplanation
from xsiamese_counterfactual.graph import PairGraphEdits
from xsiamese_counterfactual.maps import DecisionMaps, PairCounterfactualMaps
from xsiamese_counterfactual.mask import PairMinimalMask
from xsiamese_counterfactual.result import Counterfactual, Edit
from xsiamese_counterfactual.search import PairCounterfactual
from xsiamese_counterfactual.swap import PairRegionSwap
from xsiamese_counterfactual.tabular import PairTabularCounterfactual

__all__ = [
    "Counterfactual",
    "CounterfactualExplanation",
    "DecisionMaps",
    "Edit",
    "PairCounterfactual",
    "PairCounterfactualMaps",
    "PairGraphEdits",
    "PairMinimalMask",
    "PairRegionSwap",
    "PairTabularCounterfactual",
]


@hookimpl
def xsiamese_explainers() -> Iterable[type[PairAttribution]]:
    """Those of images and graphs; the tabular search is imported from this package."""
    return (PairRegionSwap, PairCounterfactualMaps, PairMinimalMask, PairGraphEdits)
