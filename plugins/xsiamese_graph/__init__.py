"""Explainers of pairs of graphs."""

from __future__ import annotations

from collections.abc import Iterable

from xsiamese import PairAttribution, hookimpl
from xsiamese_graph.leave_one_out import PairLeaveOneOut, fingerprint_atoms, leave_one_out

__all__ = ["PairLeaveOneOut", "fingerprint_atoms", "leave_one_out"]


@hookimpl
def xsiamese_explainers() -> Iterable[type[PairAttribution]]:
    return (PairLeaveOneOut,)
