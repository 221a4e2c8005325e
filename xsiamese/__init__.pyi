# Written by tools/stub.py: do not edit.

from xsiamese.branches.layout import ChannelsFirst as ChannelsFirst
from xsiamese.branches.layout import ChannelsLast as ChannelsLast
from xsiamese.branches.layout import Tokens as Tokens
from xsiamese.branches.record import record as record
from xsiamese.branches.untied import untied as untied
from xsiamese.door.hookspecs import hookimpl as hookimpl
from xsiamese.door.registry import public_names as public_names
from xsiamese.explain.attribution import PairAttribution as PairAttribution
from xsiamese.explain.catalogue import explainers as explainers
from xsiamese.explain.found import Found as Found
from xsiamese.kinds.graphs.side import collate_pairs as collate_pairs
from xsiamese.kinds.pool import Pool as Pool
from xsiamese.metrics.measure import measure as measure
from xsiamese.model.comparison import Comparison as Comparison
from xsiamese.model.decision import Decision as Decision
from xsiamese.model.pair import PairModel as PairModel
from xsiamese.model.pair import SiameseModel as SiameseModel
from xsiamese.model.pair import TwoInputModel as TwoInputModel
from xsiamese.pairs.batch import PairBatch as PairBatch
from xsiamese.pairs.calibration import Calibration as Calibration
from xsiamese.pairs.calibration import calibrate as calibrate
from xsiamese.plot.picture import compare as compare
from xsiamese.result.explanation import PairExplanation as PairExplanation
from xsiamese.result.explanation import load as load
from xsiamese.result.matrices import MatrixExplanation as MatrixExplanation
from xsiamese.result.matrix import Match as Match
from xsiamese.result.matrix import PairMatrix as PairMatrix
from xsiamese_captum.gradients import PairDeconvolution as PairDeconvolution
from xsiamese_captum.gradients import PairDeepLift as PairDeepLift
from xsiamese_captum.gradients import PairDeepLiftShap as PairDeepLiftShap
from xsiamese_captum.gradients import PairGradientShap as PairGradientShap
from xsiamese_captum.gradients import PairGuidedBackprop as PairGuidedBackprop
from xsiamese_captum.gradients import PairGuidedGradCam as PairGuidedGradCam
from xsiamese_captum.gradients import PairInputXGradient as PairInputXGradient
from xsiamese_captum.gradients import PairIntegratedGradients as PairIntegratedGradients
from xsiamese_captum.gradients import PairSaliency as PairSaliency
from xsiamese_captum.layered import PairInternalInfluence as PairInternalInfluence
from xsiamese_captum.layered import PairLayerActivation as PairLayerActivation
from xsiamese_captum.layered import PairLayerConductance as PairLayerConductance
from xsiamese_captum.layered import PairLayerDeepLift as PairLayerDeepLift
from xsiamese_captum.layered import PairLayerDeepLiftShap as PairLayerDeepLiftShap
from xsiamese_captum.layered import PairLayerFeatureAblation as PairLayerFeatureAblation
from xsiamese_captum.layered import PairLayerFeaturePermutation as PairLayerFeaturePermutation
from xsiamese_captum.layered import PairLayerGradCam as PairLayerGradCam
from xsiamese_captum.layered import PairLayerGradientShap as PairLayerGradientShap
from xsiamese_captum.layered import PairLayerGradientXActivation as PairLayerGradientXActivation
from xsiamese_captum.layered import PairLayerIntegratedGradients as PairLayerIntegratedGradients
from xsiamese_captum.noise import PairNoiseTunnel as PairNoiseTunnel
from xsiamese_captum.perturbation import PairFeatureAblation as PairFeatureAblation
from xsiamese_captum.perturbation import PairFeaturePermutation as PairFeaturePermutation
from xsiamese_captum.perturbation import PairKernelShap as PairKernelShap
from xsiamese_captum.perturbation import PairLime as PairLime
from xsiamese_captum.perturbation import PairOcclusion as PairOcclusion
from xsiamese_captum.perturbation import PairShapleyValueSampling as PairShapleyValueSampling
from xsiamese_captum.perturbation import PairShapleyValues as PairShapleyValues
from xsiamese_captum.relevance import PairLRP as PairLRP
from xsiamese_captum.relevance import PairLayerLRP as PairLayerLRP
from xsiamese_counterfactual.explanation import CounterfactualExplanation as CounterfactualExplanation
from xsiamese_counterfactual.graph import PairGraphEdits as PairGraphEdits
from xsiamese_counterfactual.maps import DecisionMaps as DecisionMaps
from xsiamese_counterfactual.maps import PairCounterfactualMaps as PairCounterfactualMaps
from xsiamese_counterfactual.mask import PairMinimalMask as PairMinimalMask
from xsiamese_counterfactual.result import Counterfactual as Counterfactual
from xsiamese_counterfactual.result import Edit as Edit
from xsiamese_counterfactual.search import PairCounterfactual as PairCounterfactual
from xsiamese_counterfactual.swap import PairRegionSwap as PairRegionSwap
from xsiamese_counterfactual.tabular import PairTabularCounterfactual as PairTabularCounterfactual
from xsiamese_gradcam.blackbox import PairAblationCAM as PairAblationCAM
from xsiamese_gradcam.blackbox import PairEigenCAM as PairEigenCAM
from xsiamese_gradcam.blackbox import PairScoreCAM as PairScoreCAM
from xsiamese_gradcam.gradient import PairGradCAM as PairGradCAM
from xsiamese_gradcam.gradient import PairGradCAMPlusPlus as PairGradCAMPlusPlus
from xsiamese_gradcam.gradient import PairHiResCAM as PairHiResCAM
from xsiamese_gradcam.gradient import PairLayerCAM as PairLayerCAM
from xsiamese_gradcam.gradient import PairXGradCAM as PairXGradCAM
from xsiamese_graph.branch import Branch as Branch
from xsiamese_graph.leave_one_out import PairLeaveOneOut as PairLeaveOneOut
from xsiamese_graph.leave_one_out import fingerprint_atoms as fingerprint_atoms
from xsiamese_graph.leave_one_out import leave_one_out as leave_one_out
from xsiamese_graph.mask import PairGNNExplainer as PairGNNExplainer
from xsiamese_graph.occlusion import PairGraphOcclusion as PairGraphOcclusion
from xsiamese_interactions.blackbox import BlackBoxEncoder as BlackBoxEncoder
from xsiamese_interactions.decomposition import PairActivationDecomposition as PairActivationDecomposition
from xsiamese_interactions.gradients import PairInteraction as PairInteraction
from xsiamese_interactions.gradients import PairLayerInteraction as PairLayerInteraction
from xsiamese_interactions.lifted import Lift as Lift
from xsiamese_interactions.regression import PairMaskRegression as PairMaskRegression
from xsiamese_interactions.relevance import PairBiLRP as PairBiLRP
from xsiamese_invariance.descent import Descent as Descent
from xsiamese_invariance.diagnostics import Convergence as Convergence
from xsiamese_invariance.explainer import RobustPairExplainer as RobustPairExplainer
from xsiamese_invariance.explanation import RobustExplanation as RobustExplanation
from xsiamese_invariance.instability import ReferenceInstability as ReferenceInstability
from xsiamese_invariance.instability import reference_instability as reference_instability
from xsiamese_invariance.invariance import Invariance as Invariance
from xsiamese_invariance.learner import InvarianceLearner as InvarianceLearner
from xsiamese_invariance.units import edge_units as edge_units
from xsiamese_invariance.units import grid_units as grid_units
from xsiamese_invariance.units import region_units as region_units
from xsiamese_masks.readouts import PairCorrRISE as PairCorrRISE
from xsiamese_masks.readouts import PairDistanceExplainer as PairDistanceExplainer
from xsiamese_masks.readouts import PairRELAX as PairRELAX
from xsiamese_masks.readouts import PairRISE as PairRISE
from xsiamese_masks.readouts import PairSBSM as PairSBSM
from xsiamese_masks.readouts import PairXFace as PairXFace
from xsiamese_masks.run import MaskRun as MaskRun

__all__ = [
    "BlackBoxEncoder",
    "Branch",
    "Calibration",
    "ChannelsFirst",
    "ChannelsLast",
    "Comparison",
    "Convergence",
    "Counterfactual",
    "CounterfactualExplanation",
    "Decision",
    "DecisionMaps",
    "Descent",
    "Edit",
    "Found",
    "Invariance",
    "InvarianceLearner",
    "Lift",
    "MaskRun",
    "Match",
    "MatrixExplanation",
    "PairAblationCAM",
    "PairActivationDecomposition",
    "PairAttribution",
    "PairBatch",
    "PairBiLRP",
    "PairCorrRISE",
    "PairCounterfactual",
    "PairCounterfactualMaps",
    "PairDeconvolution",
    "PairDeepLift",
    "PairDeepLiftShap",
    "PairDistanceExplainer",
    "PairEigenCAM",
    "PairExplanation",
    "PairFeatureAblation",
    "PairFeaturePermutation",
    "PairGNNExplainer",
    "PairGradCAM",
    "PairGradCAMPlusPlus",
    "PairGradientShap",
    "PairGraphEdits",
    "PairGraphOcclusion",
    "PairGuidedBackprop",
    "PairGuidedGradCam",
    "PairHiResCAM",
    "PairInputXGradient",
    "PairIntegratedGradients",
    "PairInteraction",
    "PairInternalInfluence",
    "PairKernelShap",
    "PairLRP",
    "PairLayerActivation",
    "PairLayerCAM",
    "PairLayerConductance",
    "PairLayerDeepLift",
    "PairLayerDeepLiftShap",
    "PairLayerFeatureAblation",
    "PairLayerFeaturePermutation",
    "PairLayerGradCam",
    "PairLayerGradientShap",
    "PairLayerGradientXActivation",
    "PairLayerIntegratedGradients",
    "PairLayerInteraction",
    "PairLayerLRP",
    "PairLeaveOneOut",
    "PairLime",
    "PairMaskRegression",
    "PairMatrix",
    "PairMinimalMask",
    "PairModel",
    "PairNoiseTunnel",
    "PairOcclusion",
    "PairRELAX",
    "PairRISE",
    "PairRegionSwap",
    "PairSBSM",
    "PairSaliency",
    "PairScoreCAM",
    "PairShapleyValueSampling",
    "PairShapleyValues",
    "PairTabularCounterfactual",
    "PairXFace",
    "PairXGradCAM",
    "Pool",
    "ReferenceInstability",
    "RobustExplanation",
    "RobustPairExplainer",
    "SiameseModel",
    "Tokens",
    "TwoInputModel",
    "calibrate",
    "collate_pairs",
    "compare",
    "edge_units",
    "explainers",
    "fingerprint_atoms",
    "grid_units",
    "hookimpl",
    "leave_one_out",
    "load",
    "measure",
    "public_names",
    "record",
    "reference_instability",
    "region_units",
    "untied",
]
__version__: str
