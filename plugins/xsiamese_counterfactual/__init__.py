"""Counterfactuals: what would have to change for the decision on a pair to flip."""

from __future__ import annotations

from collections.abc import Iterable

from xsiamese import PairAttribution, hookimpl
from xsiamese_counterfactual.decision import Decision
from xsiamese_counterfactual.result import Counterfactual, Edit
from xsiamese_counterfactual.search import CounterfactualExplanation, PairCounterfactual
from xsiamese_counterfactual.swap import PairRegionSwap

__all__ = ["Counterfactual", "CounterfactualExplanation", "Decision", "Edit", "PairCounterfactual", "PairRegionSwap"]


@hookimpl
def xsiamese_explainers() -> Iterable[type[PairAttribution]]:
    """Those whose maps need no threshold."""
    return (PairRegionSwap,)
