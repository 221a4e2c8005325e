"""Words for the reference that no code holds: captum's options, and why some of its classes have no counterpart for
pairs.
"""

from __future__ import annotations

CAPTUM = {
    "NoiseTunnel": "PairNoiseTunnel",
    "LRP": "PairLRP",
    "LayerLRP": "PairLayerLRP",
    "ShapleyValues": "PairShapleyValues",
}
"""Explainers that do what a captum class does without being an adaptation of it."""

NOT_METHODS = {
    "Attribution",
    "GradientAttribution",
    "PerturbationAttribution",
    "NeuronAttribution",
    "LayerAttribution",  # bases
    "InterpretableInput",
    "ImageMaskInput",
    "InterpretableEmbeddingBase",
    "TextTemplateInput",
    "TextTokenInput",
    "TokenReferenceBase",
    "ProductBaselines",
    "LLMAttributionResult",
    "RemoteLLMProvider",
    "VLLMProvider",
    "Summarizer",
    "CommonStats",
    "ClassSummarizer",
    "Mean",
    "StdDev",
    "MSE",
    "Var",
    "Min",
    "Max",
    "Sum",
    "Count",
    "StatValue",
    "SummarizerSingleTensor",
}
"""Names of ``captum.attr`` that explain nothing by themselves."""

_NEURON = (
    "explains one unit inside the encoder, which sees one input: the plain captum class on the encoder alone is right"
)
_TEXT = "explains the text that one generating model writes, not the score of two inputs"

UNSUPPORTED = {
    **dict.fromkeys(
        (
            "NeuronConductance",
            "NeuronDeconvolution",
            "NeuronDeepLift",
            "NeuronDeepLiftShap",
            "NeuronFeatureAblation",
            "NeuronGradient",
            "NeuronGradientShap",
            "NeuronGuidedBackprop",
            "NeuronIntegratedGradients",
        ),
        _NEURON,
    ),
    **dict.fromkeys(("LLMAttribution", "LLMGradientAttribution", "RemoteLLMAttribution"), _TEXT),
    "DataLoaderAttribution": "sums an attribution over a data loader into one number per feature; a pair has no "
    "place in it. Loop over the loader",
    "LimeBase": "the frame that ``Lime`` and ``KernelShap`` fill in; it has no interpretable representation of its own",
}
"""Why a captum algorithm has no explainer of pairs."""
