"""Every captum algorithm that has a meaning for a pair, right on shared encoders."""

from __future__ import annotations

from collections.abc import Iterable

from xsiamese import PairAttribution, hookimpl
from xsiamese_captum.gradients import (
    PairDeconvolution,
    PairDeepLift,
    PairDeepLiftShap,
    PairGradientShap,
    PairGuidedBackprop,
    PairGuidedGradCam,
    PairInputXGradient,
    PairIntegratedGradients,
    PairSaliency,
)
from xsiamese_captum.layered import (
    PairInternalInfluence,
    PairLayerActivation,
    PairLayerConductance,
    PairLayerDeepLift,
    PairLayerDeepLiftShap,
    PairLayerFeatureAblation,
    PairLayerFeaturePermutation,
    PairLayerGradCam,
    PairLayerGradientShap,
    PairLayerGradientXActivation,
    PairLayerIntegratedGradients,
)
from xsiamese_captum.noise import PairNoiseTunnel
from xsiamese_captum.perturbation import (
    PairFeatureAblation,
    PairFeaturePermutation,
    PairKernelShap,
    PairLime,
    PairOcclusion,
    PairShapleyValues,
    PairShapleyValueSampling,
)
from xsiamese_captum.relevance import PairLayerLRP, PairLRP

EXPLAINERS: tuple[type[PairAttribution], ...] = (
    PairDeconvolution,
    PairDeepLift,
    PairDeepLiftShap,
    PairGradientShap,
    PairGuidedBackprop,
    PairGuidedGradCam,
    PairInputXGradient,
    PairIntegratedGradients,
    PairLRP,
    PairSaliency,
    PairFeatureAblation,
    PairFeaturePermutation,
    PairKernelShap,
    PairLime,
    PairOcclusion,
    PairShapleyValueSampling,
    PairShapleyValues,
    PairInternalInfluence,
    PairLayerActivation,
    PairLayerConductance,
    PairLayerDeepLift,
    PairLayerDeepLiftShap,
    PairLayerFeatureAblation,
    PairLayerFeaturePermutation,
    PairLayerGradCam,
    PairLayerGradientShap,
    PairLayerGradientXActivation,
    PairLayerIntegratedGradients,
    PairLayerLRP,
    PairNoiseTunnel,
)

__all__ = [
    "PairDeconvolution",
    "PairDeepLift",
    "PairDeepLiftShap",
    "PairFeatureAblation",
    "PairFeaturePermutation",
    "PairGradientShap",
    "PairGuidedBackprop",
    "PairGuidedGradCam",
    "PairInputXGradient",
    "PairIntegratedGradients",
    "PairInternalInfluence",
    "PairKernelShap",
    "PairLRP",
    "PairLayerActivation",
    "PairLayerConductance",
    "PairLayerDeepLift",
    "PairLayerDeepLiftShap",
    "PairLayerFeatureAblation",
    "PairLayerFeaturePermutation",
    "PairLayerGradCam",
    "PairLayerGradientShap",
    "PairLayerGradientXActivation",
    "PairLayerIntegratedGradients",
    "PairLayerLRP",
    "PairLime",
    "PairNoiseTunnel",
    "PairOcclusion",
    "PairSaliency",
    "PairShapleyValueSampling",
    "PairShapleyValues",
]


@hookimpl
def xsiamese_explainers() -> Iterable[type[PairAttribution]]:
    """captum's algorithms on pairs."""
    return EXPLAINERS
