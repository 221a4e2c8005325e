"""Black-box maps of a and of b as read-outs of one run of masks."""

from __future__ import annotations

from collections.abc import Iterable

from xsiamese import PairAttribution, hookimpl
from xsiamese_masks.readouts import (
    PairCorrRISE,
    PairDistanceExplainer,
    PairRELAX,
    PairRISE,
    PairSBSM,
    PairXFace,
)
from xsiamese_masks.run import MaskRun

__all__ = [
    "MaskRun",
    "PairCorrRISE",
    "PairDistanceExplainer",
    "PairRELAX",
    "PairRISE",
    "PairSBSM",
    "PairXFace",
]


@hookimpl
def xsiamese_explainers() -> Iterable[type[PairAttribution]]:
    """The methods that read a run of masks."""
    return (PairRISE, PairCorrRISE, PairRELAX, PairSBSM, PairXFace, PairDistanceExplainer)
