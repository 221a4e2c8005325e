# Written by tools/stub.py: do not edit.
# fmt: off

from collections.abc import Mapping, Sequence
from typing import Any, Literal, overload

from torch import Tensor

from xsiamese.explain.request import BatchSize as _BatchSize
from xsiamese.kinds.inputs import Kinds as _Kinds
from xsiamese.kinds.side import Wrt as _Wrt
from xsiamese.pairs.objective import Target as _Target

from xsiamese.branches.layout import ChannelsFirst as ChannelsFirst
from xsiamese.branches.layout import ChannelsLast as ChannelsLast
from xsiamese.branches.layout import Tokens as Tokens
from xsiamese.branches.record import record as record
from xsiamese.branches.untied import untied as untied
from xsiamese.door.hookspecs import hookimpl as hookimpl
from xsiamese.door.registry import public_names as public_names
from xsiamese.explain.attribution import PairAttribution as PairAttribution
from xsiamese.explain.auto import auto as auto
from xsiamese.explain.catalogue import explainers as explainers
from xsiamese.explain.found import Found as Found
from xsiamese.explain.gallery.gallery import Gallery as Gallery
from xsiamese.jobs.explanations import open_explanations as open_explanations
from xsiamese.jobs.job import explain_pairs as explain_pairs
from xsiamese.kinds.graphs.side import collate_pairs as collate_pairs
from xsiamese.kinds.pool import Pool as Pool
from xsiamese.kinds.superpixels import superpixels as superpixels
from xsiamese.kinds.words import Texts as Texts
from xsiamese.metrics.measure import measure as measure
from xsiamese.model.blackbox import BlackBoxEncoder as BlackBoxEncoder
from xsiamese.model.comparison import Comparison as Comparison
from xsiamese.model.decision import Decision as Decision
from xsiamese.model.exported import export as export
from xsiamese.model.exported import open_exported as open_exported
from xsiamese.model.onnx import OnnxEncoder as OnnxEncoder
from xsiamese.model.pair import PairModel as PairModel
from xsiamese.model.pair import SiameseModel as SiameseModel
from xsiamese.model.pair import TwoInputModel as TwoInputModel
from xsiamese.pairs.batch import PairBatch as PairBatch
from xsiamese.pairs.calibration import Calibration as Calibration
from xsiamese.pairs.calibration import calibrate as calibrate
from xsiamese.plot.compared import compare as compare
from xsiamese.result.explanation import PairExplanation as PairExplanation
from xsiamese.result.explanation import load as load
from xsiamese.result.matrices import MatrixExplanation as MatrixExplanation
from xsiamese.result.matrix import Match as Match
from xsiamese.result.matrix import PairMatrix as PairMatrix
from xsiamese_captum.gradients import PairDeconvolution as _PairDeconvolution
from xsiamese_captum.gradients import PairDeepLift as _PairDeepLift
from xsiamese_captum.gradients import PairDeepLiftShap as _PairDeepLiftShap
from xsiamese_captum.gradients import PairGradientShap as _PairGradientShap
from xsiamese_captum.gradients import PairGuidedBackprop as _PairGuidedBackprop
from xsiamese_captum.gradients import PairGuidedGradCam as _PairGuidedGradCam
from xsiamese_captum.gradients import PairInputXGradient as _PairInputXGradient
from xsiamese_captum.gradients import PairIntegratedGradients as _PairIntegratedGradients
from xsiamese_captum.gradients import PairSaliency as _PairSaliency
from xsiamese_captum.layered import PairInternalInfluence as _PairInternalInfluence
from xsiamese_captum.layered import PairLayerActivation as _PairLayerActivation
from xsiamese_captum.layered import PairLayerConductance as _PairLayerConductance
from xsiamese_captum.layered import PairLayerDeepLift as _PairLayerDeepLift
from xsiamese_captum.layered import PairLayerDeepLiftShap as _PairLayerDeepLiftShap
from xsiamese_captum.layered import PairLayerFeatureAblation as _PairLayerFeatureAblation
from xsiamese_captum.layered import PairLayerFeaturePermutation as _PairLayerFeaturePermutation
from xsiamese_captum.layered import PairLayerGradCam as _PairLayerGradCam
from xsiamese_captum.layered import PairLayerGradientShap as _PairLayerGradientShap
from xsiamese_captum.layered import PairLayerGradientXActivation as _PairLayerGradientXActivation
from xsiamese_captum.layered import PairLayerIntegratedGradients as _PairLayerIntegratedGradients
from xsiamese_captum.noise import PairNoiseTunnel as PairNoiseTunnel
from xsiamese_captum.perturbation import PairFeatureAblation as _PairFeatureAblation
from xsiamese_captum.perturbation import PairFeaturePermutation as _PairFeaturePermutation
from xsiamese_captum.perturbation import PairKernelShap as _PairKernelShap
from xsiamese_captum.perturbation import PairLime as _PairLime
from xsiamese_captum.perturbation import PairOcclusion as _PairOcclusion
from xsiamese_captum.perturbation import PairShapleyValueSampling as _PairShapleyValueSampling
from xsiamese_captum.perturbation import PairShapleyValues as _PairShapleyValues
from xsiamese_captum.relevance import PairLRP as _PairLRP
from xsiamese_captum.relevance import PairLayerLRP as _PairLayerLRP
from xsiamese_counterfactual.explanation import CounterfactualExplanation as CounterfactualExplanation
from xsiamese_counterfactual.graph import PairGraphEdits as PairGraphEdits
from xsiamese_counterfactual.maps import DecisionMaps as DecisionMaps
from xsiamese_counterfactual.maps import PairCounterfactualMaps as _PairCounterfactualMaps
from xsiamese_counterfactual.mask import PairMinimalMask as PairMinimalMask
from xsiamese_counterfactual.result import Counterfactual as Counterfactual
from xsiamese_counterfactual.result import Edit as Edit
from xsiamese_counterfactual.search import PairCounterfactual as PairCounterfactual
from xsiamese_counterfactual.swap import PairRegionSwap as PairRegionSwap
from xsiamese_counterfactual.tabular import PairTabularCounterfactual as PairTabularCounterfactual
from xsiamese_gradcam.blackbox import PairAblationCAM as _PairAblationCAM
from xsiamese_gradcam.blackbox import PairEigenCAM as _PairEigenCAM
from xsiamese_gradcam.blackbox import PairScoreCAM as _PairScoreCAM
from xsiamese_gradcam.gradient import PairGradCAM as _PairGradCAM
from xsiamese_gradcam.gradient import PairGradCAMPlusPlus as _PairGradCAMPlusPlus
from xsiamese_gradcam.gradient import PairHiResCAM as _PairHiResCAM
from xsiamese_gradcam.gradient import PairLayerCAM as _PairLayerCAM
from xsiamese_gradcam.gradient import PairXGradCAM as _PairXGradCAM
from xsiamese_graph.branch import Branch as Branch
from xsiamese_graph.leave_one_out import PairLeaveOneOut as _PairLeaveOneOut
from xsiamese_graph.leave_one_out import fingerprint_atoms as fingerprint_atoms
from xsiamese_graph.leave_one_out import leave_one_out as leave_one_out
from xsiamese_graph.mask import PairGNNExplainer as _PairGNNExplainer
from xsiamese_graph.occlusion import PairGraphOcclusion as _PairGraphOcclusion
from xsiamese_interactions.decomposition import PairActivationDecomposition as _PairActivationDecomposition
from xsiamese_interactions.gradients import PairInteraction as _PairInteraction
from xsiamese_interactions.gradients import PairLayerInteraction as _PairLayerInteraction
from xsiamese_interactions.lifted import Lift as _Lift
from xsiamese_interactions.regression import PairMaskRegression as _PairMaskRegression
from xsiamese_interactions.relevance import PairBiLRP as _PairBiLRP
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
from xsiamese_text.clip import from_clip as from_clip
from xsiamese_text.matrix import PairTokenMatrix as _PairTokenMatrix
from xsiamese_text.maxsim import MaxSim as MaxSim
from xsiamese_text.models import JointTextModel as JointTextModel
from xsiamese_text.models import TextModel as TextModel
from xsiamese_text.pretrained import from_transformers as from_transformers
from xsiamese_text.sentences import from_sentence_transformers as from_sentence_transformers
from xsiamese_text.static import from_wordllama as from_wordllama

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
    "Gallery",
    "Invariance",
    "InvarianceLearner",
    "JointTextModel",
    "Lift",
    "MaskRun",
    "Match",
    "MatrixExplanation",
    "MaxSim",
    "OnnxEncoder",
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
    "PairTokenMatrix",
    "PairXFace",
    "PairXGradCAM",
    "Pool",
    "ReferenceInstability",
    "RobustExplanation",
    "RobustPairExplainer",
    "SiameseModel",
    "TextModel",
    "Texts",
    "Tokens",
    "TwoInputModel",
    "auto",
    "calibrate",
    "collate_pairs",
    "compare",
    "edge_units",
    "explain_pairs",
    "explainers",
    "export",
    "fingerprint_atoms",
    "from_clip",
    "from_sentence_transformers",
    "from_transformers",
    "from_wordllama",
    "grid_units",
    "hookimpl",
    "leave_one_out",
    "load",
    "measure",
    "open_explanations",
    "open_exported",
    "public_names",
    "record",
    "reference_instability",
    "region_units",
    "superpixels",
    "untied",
]
__version__: str

class Lift(_Lift):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., masks: Any = ..., cells: Any = ..., p: Any = ..., filling: Any = ..., explainer_options: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], masks: Any = ..., cells: Any = ..., p: Any = ..., filling: Any = ..., explainer_options: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., masks: Any = ..., cells: Any = ..., p: Any = ..., filling: Any = ..., explainer_options: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., masks: Any = ..., cells: Any = ..., p: Any = ..., filling: Any = ..., explainer_options: Any = ...) -> MatrixExplanation: ...  # type: ignore[override]

class PairAblationCAM(_PairAblationCAM):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., relu: Any = ..., soften: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], relu: Any = ..., soften: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., relu: Any = ..., soften: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., relu: Any = ..., soften: Any = ...) -> PairExplanation: ...  # type: ignore[override]

class PairActivationDecomposition(_PairActivationDecomposition):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True]) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ...) -> MatrixExplanation: ...  # type: ignore[override]

class PairBiLRP(_PairBiLRP):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., gamma: Any = ..., cells: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], gamma: Any = ..., cells: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., gamma: Any = ..., cells: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., gamma: Any = ..., cells: Any = ...) -> MatrixExplanation: ...  # type: ignore[override]

class PairCounterfactualMaps(_PairCounterfactualMaps):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., form: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], form: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., form: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., form: Any = ...) -> DecisionMaps: ...  # type: ignore[override]

class PairDeconvolution(_PairDeconvolution):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True]) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ...) -> PairExplanation: ...  # type: ignore[override]

class PairDeepLift(_PairDeepLift):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., multiply_by_inputs: Any = ..., eps: Any = ..., custom_attribution_func: Any = ..., joint: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], multiply_by_inputs: Any = ..., eps: Any = ..., custom_attribution_func: Any = ..., joint: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., multiply_by_inputs: Any = ..., eps: Any = ..., custom_attribution_func: Any = ..., joint: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., multiply_by_inputs: Any = ..., eps: Any = ..., custom_attribution_func: Any = ..., joint: Any = ...) -> PairExplanation: ...  # type: ignore[override]

class PairDeepLiftShap(_PairDeepLiftShap):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., multiply_by_inputs: Any = ..., custom_attribution_func: Any = ..., joint: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], multiply_by_inputs: Any = ..., custom_attribution_func: Any = ..., joint: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., multiply_by_inputs: Any = ..., custom_attribution_func: Any = ..., joint: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., multiply_by_inputs: Any = ..., custom_attribution_func: Any = ..., joint: Any = ...) -> PairExplanation: ...  # type: ignore[override]

class PairEigenCAM(_PairEigenCAM):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., relu: Any = ..., soften: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], relu: Any = ..., soften: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., relu: Any = ..., soften: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., relu: Any = ..., soften: Any = ...) -> PairExplanation: ...  # type: ignore[override]

class PairFeatureAblation(_PairFeatureAblation):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., feature_mask: Any = ..., joint: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], feature_mask: Any = ..., joint: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., feature_mask: Any = ..., joint: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., feature_mask: Any = ..., joint: Any = ...) -> PairExplanation: ...  # type: ignore[override]

class PairFeaturePermutation(_PairFeaturePermutation):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., perm_func: Any = ..., feature_mask: Any = ..., joint: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], perm_func: Any = ..., feature_mask: Any = ..., joint: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., perm_func: Any = ..., feature_mask: Any = ..., joint: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., perm_func: Any = ..., feature_mask: Any = ..., joint: Any = ...) -> PairExplanation: ...  # type: ignore[override]

class PairGNNExplainer(_PairGNNExplainer):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., epochs: Any = ..., lr: Any = ..., edge_size: Any = ..., edge_entropy: Any = ..., node_size: Any = ..., node_entropy: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], epochs: Any = ..., lr: Any = ..., edge_size: Any = ..., edge_entropy: Any = ..., node_size: Any = ..., node_entropy: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., epochs: Any = ..., lr: Any = ..., edge_size: Any = ..., edge_entropy: Any = ..., node_size: Any = ..., node_entropy: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., epochs: Any = ..., lr: Any = ..., edge_size: Any = ..., edge_entropy: Any = ..., node_size: Any = ..., node_entropy: Any = ...) -> PairExplanation: ...  # type: ignore[override]

class PairGradCAM(_PairGradCAM):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., relu: Any = ..., soften: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], relu: Any = ..., soften: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., relu: Any = ..., soften: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., relu: Any = ..., soften: Any = ...) -> PairExplanation: ...  # type: ignore[override]

class PairGradCAMPlusPlus(_PairGradCAMPlusPlus):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., relu: Any = ..., soften: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], relu: Any = ..., soften: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., relu: Any = ..., soften: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., relu: Any = ..., soften: Any = ...) -> PairExplanation: ...  # type: ignore[override]

class PairGradientShap(_PairGradientShap):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., multiply_by_inputs: Any = ..., n_samples: Any = ..., stdevs: Any = ..., joint: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], multiply_by_inputs: Any = ..., n_samples: Any = ..., stdevs: Any = ..., joint: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., multiply_by_inputs: Any = ..., n_samples: Any = ..., stdevs: Any = ..., joint: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., multiply_by_inputs: Any = ..., n_samples: Any = ..., stdevs: Any = ..., joint: Any = ...) -> PairExplanation: ...  # type: ignore[override]

class PairGraphOcclusion(_PairGraphOcclusion):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., unit: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], unit: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., unit: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., unit: Any = ...) -> PairExplanation: ...  # type: ignore[override]

class PairGuidedBackprop(_PairGuidedBackprop):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True]) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ...) -> PairExplanation: ...  # type: ignore[override]

class PairGuidedGradCam(_PairGuidedGradCam):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., interpolate_mode: Any = ..., attribute_to_layer_input: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], interpolate_mode: Any = ..., attribute_to_layer_input: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., interpolate_mode: Any = ..., attribute_to_layer_input: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., interpolate_mode: Any = ..., attribute_to_layer_input: Any = ...) -> PairExplanation: ...  # type: ignore[override]

class PairHiResCAM(_PairHiResCAM):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., relu: Any = ..., soften: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], relu: Any = ..., soften: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., relu: Any = ..., soften: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., relu: Any = ..., soften: Any = ...) -> PairExplanation: ...  # type: ignore[override]

class PairInputXGradient(_PairInputXGradient):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True]) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ...) -> PairExplanation: ...  # type: ignore[override]

class PairIntegratedGradients(_PairIntegratedGradients):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., multiply_by_inputs: Any = ..., n_steps: Any = ..., method: Any = ..., joint: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], multiply_by_inputs: Any = ..., n_steps: Any = ..., method: Any = ..., joint: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., multiply_by_inputs: Any = ..., n_steps: Any = ..., method: Any = ..., joint: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., multiply_by_inputs: Any = ..., n_steps: Any = ..., method: Any = ..., joint: Any = ...) -> PairExplanation: ...  # type: ignore[override]

class PairInteraction(_PairInteraction):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., form: Any = ..., steps: Any = ..., rule: Any = ..., cells: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], form: Any = ..., steps: Any = ..., rule: Any = ..., cells: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., form: Any = ..., steps: Any = ..., rule: Any = ..., cells: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., form: Any = ..., steps: Any = ..., rule: Any = ..., cells: Any = ...) -> MatrixExplanation: ...  # type: ignore[override]

class PairInternalInfluence(_PairInternalInfluence):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., n_steps: Any = ..., method: Any = ..., attribute_to_layer_input: Any = ..., joint: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], n_steps: Any = ..., method: Any = ..., attribute_to_layer_input: Any = ..., joint: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., n_steps: Any = ..., method: Any = ..., attribute_to_layer_input: Any = ..., joint: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., n_steps: Any = ..., method: Any = ..., attribute_to_layer_input: Any = ..., joint: Any = ...) -> PairExplanation: ...  # type: ignore[override]

class PairKernelShap(_PairKernelShap):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., feature_mask: Any = ..., n_samples: Any = ..., joint: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], feature_mask: Any = ..., n_samples: Any = ..., joint: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., feature_mask: Any = ..., n_samples: Any = ..., joint: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., feature_mask: Any = ..., n_samples: Any = ..., joint: Any = ...) -> PairExplanation: ...  # type: ignore[override]

class PairLRP(_PairLRP):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., rule: Any = ..., gamma: Any = ..., epsilon: Any = ..., box: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], rule: Any = ..., gamma: Any = ..., epsilon: Any = ..., box: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., rule: Any = ..., gamma: Any = ..., epsilon: Any = ..., box: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., rule: Any = ..., gamma: Any = ..., epsilon: Any = ..., box: Any = ...) -> PairExplanation: ...  # type: ignore[override]

class PairLayerActivation(_PairLayerActivation):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., attribute_to_layer_input: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], attribute_to_layer_input: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., attribute_to_layer_input: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., attribute_to_layer_input: Any = ...) -> PairExplanation: ...  # type: ignore[override]

class PairLayerCAM(_PairLayerCAM):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., relu: Any = ..., soften: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], relu: Any = ..., soften: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., relu: Any = ..., soften: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., relu: Any = ..., soften: Any = ...) -> PairExplanation: ...  # type: ignore[override]

class PairLayerConductance(_PairLayerConductance):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., n_steps: Any = ..., method: Any = ..., attribute_to_layer_input: Any = ..., joint: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], n_steps: Any = ..., method: Any = ..., attribute_to_layer_input: Any = ..., joint: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., n_steps: Any = ..., method: Any = ..., attribute_to_layer_input: Any = ..., joint: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., n_steps: Any = ..., method: Any = ..., attribute_to_layer_input: Any = ..., joint: Any = ...) -> PairExplanation: ...  # type: ignore[override]

class PairLayerDeepLift(_PairLayerDeepLift):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., multiply_by_inputs: Any = ..., attribute_to_layer_input: Any = ..., custom_attribution_func: Any = ..., joint: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], multiply_by_inputs: Any = ..., attribute_to_layer_input: Any = ..., custom_attribution_func: Any = ..., joint: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., multiply_by_inputs: Any = ..., attribute_to_layer_input: Any = ..., custom_attribution_func: Any = ..., joint: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., multiply_by_inputs: Any = ..., attribute_to_layer_input: Any = ..., custom_attribution_func: Any = ..., joint: Any = ...) -> PairExplanation: ...  # type: ignore[override]

class PairLayerDeepLiftShap(_PairLayerDeepLiftShap):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., multiply_by_inputs: Any = ..., attribute_to_layer_input: Any = ..., custom_attribution_func: Any = ..., joint: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], multiply_by_inputs: Any = ..., attribute_to_layer_input: Any = ..., custom_attribution_func: Any = ..., joint: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., multiply_by_inputs: Any = ..., attribute_to_layer_input: Any = ..., custom_attribution_func: Any = ..., joint: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., multiply_by_inputs: Any = ..., attribute_to_layer_input: Any = ..., custom_attribution_func: Any = ..., joint: Any = ...) -> PairExplanation: ...  # type: ignore[override]

class PairLayerFeatureAblation(_PairLayerFeatureAblation):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., layer_baselines: Any = ..., layer_mask: Any = ..., attribute_to_layer_input: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], layer_baselines: Any = ..., layer_mask: Any = ..., attribute_to_layer_input: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., layer_baselines: Any = ..., layer_mask: Any = ..., attribute_to_layer_input: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., layer_baselines: Any = ..., layer_mask: Any = ..., attribute_to_layer_input: Any = ...) -> PairExplanation: ...  # type: ignore[override]

class PairLayerFeaturePermutation(_PairLayerFeaturePermutation):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., layer_mask: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], layer_mask: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., layer_mask: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., layer_mask: Any = ...) -> PairExplanation: ...  # type: ignore[override]

class PairLayerGradCam(_PairLayerGradCam):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., attribute_to_layer_input: Any = ..., relu_attributions: Any = ..., attr_dim_summation: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], attribute_to_layer_input: Any = ..., relu_attributions: Any = ..., attr_dim_summation: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., attribute_to_layer_input: Any = ..., relu_attributions: Any = ..., attr_dim_summation: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., attribute_to_layer_input: Any = ..., relu_attributions: Any = ..., attr_dim_summation: Any = ...) -> PairExplanation: ...  # type: ignore[override]

class PairLayerGradientShap(_PairLayerGradientShap):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., multiply_by_inputs: Any = ..., n_samples: Any = ..., stdevs: Any = ..., attribute_to_layer_input: Any = ..., joint: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], multiply_by_inputs: Any = ..., n_samples: Any = ..., stdevs: Any = ..., attribute_to_layer_input: Any = ..., joint: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., multiply_by_inputs: Any = ..., n_samples: Any = ..., stdevs: Any = ..., attribute_to_layer_input: Any = ..., joint: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., multiply_by_inputs: Any = ..., n_samples: Any = ..., stdevs: Any = ..., attribute_to_layer_input: Any = ..., joint: Any = ...) -> PairExplanation: ...  # type: ignore[override]

class PairLayerGradientXActivation(_PairLayerGradientXActivation):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., multiply_by_inputs: Any = ..., memory_efficient: Any = ..., attribute_to_layer_input: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], multiply_by_inputs: Any = ..., memory_efficient: Any = ..., attribute_to_layer_input: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., multiply_by_inputs: Any = ..., memory_efficient: Any = ..., attribute_to_layer_input: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., multiply_by_inputs: Any = ..., memory_efficient: Any = ..., attribute_to_layer_input: Any = ...) -> PairExplanation: ...  # type: ignore[override]

class PairLayerIntegratedGradients(_PairLayerIntegratedGradients):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., multiply_by_inputs: Any = ..., n_steps: Any = ..., method: Any = ..., attribute_to_layer_input: Any = ..., joint: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], multiply_by_inputs: Any = ..., n_steps: Any = ..., method: Any = ..., attribute_to_layer_input: Any = ..., joint: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., multiply_by_inputs: Any = ..., n_steps: Any = ..., method: Any = ..., attribute_to_layer_input: Any = ..., joint: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., multiply_by_inputs: Any = ..., n_steps: Any = ..., method: Any = ..., attribute_to_layer_input: Any = ..., joint: Any = ...) -> PairExplanation: ...  # type: ignore[override]

class PairLayerInteraction(_PairLayerInteraction):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., form: Any = ..., steps: Any = ..., rule: Any = ..., cells: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], form: Any = ..., steps: Any = ..., rule: Any = ..., cells: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., form: Any = ..., steps: Any = ..., rule: Any = ..., cells: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., form: Any = ..., steps: Any = ..., rule: Any = ..., cells: Any = ...) -> MatrixExplanation: ...  # type: ignore[override]

class PairLayerLRP(_PairLayerLRP):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., rule: Any = ..., gamma: Any = ..., epsilon: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], rule: Any = ..., gamma: Any = ..., epsilon: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., rule: Any = ..., gamma: Any = ..., epsilon: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., rule: Any = ..., gamma: Any = ..., epsilon: Any = ...) -> PairExplanation: ...  # type: ignore[override]

class PairLeaveOneOut(_PairLeaveOneOut):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True]) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ...) -> PairExplanation: ...  # type: ignore[override]

class PairLime(_PairLime):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., interpretable_model: Any = ..., similarity_func: Any = ..., perturb_func: Any = ..., feature_mask: Any = ..., n_samples: Any = ..., joint: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], interpretable_model: Any = ..., similarity_func: Any = ..., perturb_func: Any = ..., feature_mask: Any = ..., n_samples: Any = ..., joint: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., interpretable_model: Any = ..., similarity_func: Any = ..., perturb_func: Any = ..., feature_mask: Any = ..., n_samples: Any = ..., joint: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., interpretable_model: Any = ..., similarity_func: Any = ..., perturb_func: Any = ..., feature_mask: Any = ..., n_samples: Any = ..., joint: Any = ...) -> PairExplanation: ...  # type: ignore[override]

class PairMaskRegression(_PairMaskRegression):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., masks: Any = ..., cells: Any = ..., p: Any = ..., index: Any = ..., filling: Any = ..., tolerance: Any = ..., errors: Any = ..., max_passes: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], masks: Any = ..., cells: Any = ..., p: Any = ..., index: Any = ..., filling: Any = ..., tolerance: Any = ..., errors: Any = ..., max_passes: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., masks: Any = ..., cells: Any = ..., p: Any = ..., index: Any = ..., filling: Any = ..., tolerance: Any = ..., errors: Any = ..., max_passes: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., masks: Any = ..., cells: Any = ..., p: Any = ..., index: Any = ..., filling: Any = ..., tolerance: Any = ..., errors: Any = ..., max_passes: Any = ...) -> MatrixExplanation: ...  # type: ignore[override]

class PairOcclusion(_PairOcclusion):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., sliding_window_shapes: Any = ..., strides: Any = ..., joint: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], sliding_window_shapes: Any = ..., strides: Any = ..., joint: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., sliding_window_shapes: Any = ..., strides: Any = ..., joint: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., sliding_window_shapes: Any = ..., strides: Any = ..., joint: Any = ...) -> PairExplanation: ...  # type: ignore[override]

class PairSaliency(_PairSaliency):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., abs: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], abs: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., abs: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., abs: Any = ...) -> PairExplanation: ...  # type: ignore[override]

class PairScoreCAM(_PairScoreCAM):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., relu: Any = ..., soften: Any = ..., softmax: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], relu: Any = ..., soften: Any = ..., softmax: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., relu: Any = ..., soften: Any = ..., softmax: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., relu: Any = ..., soften: Any = ..., softmax: Any = ...) -> PairExplanation: ...  # type: ignore[override]

class PairShapleyValueSampling(_PairShapleyValueSampling):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., feature_mask: Any = ..., n_samples: Any = ..., joint: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], feature_mask: Any = ..., n_samples: Any = ..., joint: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., feature_mask: Any = ..., n_samples: Any = ..., joint: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., feature_mask: Any = ..., n_samples: Any = ..., joint: Any = ...) -> PairExplanation: ...  # type: ignore[override]

class PairShapleyValues(_PairShapleyValues):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., feature_mask: Any = ..., joint: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], feature_mask: Any = ..., joint: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., feature_mask: Any = ..., joint: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., feature_mask: Any = ..., joint: Any = ...) -> PairExplanation: ...  # type: ignore[override]

class PairTokenMatrix(_PairTokenMatrix):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True]) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ...) -> MatrixExplanation: ...  # type: ignore[override]

class PairXGradCAM(_PairXGradCAM):
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[False] = ..., relu: Any = ..., soften: Any = ...) -> tuple[Tensor, Tensor]: ...
    @overload
    def attribute(self, inputs: tuple[Tensor, Tensor], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: Literal[True], relu: Any = ..., soften: Any = ...) -> tuple[tuple[Tensor, Tensor], Tensor]: ...
    @overload
    def attribute(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., create_graph: bool = ..., seed: int | None = ..., return_convergence_delta: bool = ..., relu: Any = ..., soften: Any = ...) -> Any: ...
    def explain(self, inputs: Sequence[Any] | Mapping[str, Any], target: _Target = ..., *, ids: Sequence[tuple[str, str]] | None = ..., against: Any = ..., baselines: Any = ..., additional_forward_args: Any = ..., wrt: _Wrt = ..., parts: Sequence[str] | None = ..., kind: _Kinds = ..., internal_batch_size: _BatchSize = ..., show_progress: bool = ..., seed: int | None = ..., relu: Any = ..., soften: Any = ...) -> PairExplanation: ...  # type: ignore[override]
