"""Explainers of pairs of graphs."""

from __future__ import annotations

from collections.abc import Iterable

from xsiamese import PairAttribution, hookimpl
from xsiamese_graph.branch import Branch
from xsiamese_graph.leave_one_out import PairLeaveOneOut, fingerprint_atoms, leave_one_out
from xsiamese_graph.mask import PairGNNExplainer
from xsiamese_graph.occlusion import PairGraphOcclusion

__all__ = ["Branch", "PairGNNExplainer", "PairGraphOcclusion", "PairLeaveOneOut", "fingerprint_atoms", "leave_one_out"]


@hookimpl
def xsiamese_explainers() -> Iterable[type[PairAttribution]]:
    """Explainers that are about nodes and edges."""
    return (PairGNNExplainer, PairGraphOcclusion, PairLeaveOneOut)
