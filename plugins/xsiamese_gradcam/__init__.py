"""Pair Grad-CAM and its family."""

from __future__ import annotations

from collections.abc import Iterable

from xsiamese import PairAttribution, hookimpl
from xsiamese_gradcam.blackbox import PairAblationCAM, PairEigenCAM, PairScoreCAM
from xsiamese_gradcam.gradient import PairGradCAM, PairGradCAMPlusPlus, PairHiResCAM, PairLayerCAM, PairXGradCAM

__all__ = [
    "PairAblationCAM",
    "PairEigenCAM",
    "PairGradCAM",
    "PairGradCAMPlusPlus",
    "PairHiResCAM",
    "PairLayerCAM",
    "PairScoreCAM",
    "PairXGradCAM",
]


@hookimpl
def xsiamese_explainers() -> Iterable[type[PairAttribution]]:
    """The Grad-CAM family."""
    return (
        PairGradCAM,
        PairHiResCAM,
        PairGradCAMPlusPlus,
        PairLayerCAM,
        PairXGradCAM,
        PairEigenCAM,
        PairScoreCAM,
        PairAblationCAM,
    )
