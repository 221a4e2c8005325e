"""When to take each explainer and when not, in a sentence each: what a class's own docstring has no reason to say."""

from __future__ import annotations

from collections.abc import Mapping

_CAM = "More than pooling and a linear layer follows and you need sums, or the pair is nearly identical."
_LAYER = "You want maps of the inputs: a layer's grid is drawn larger than it is."
_SHARED = "You have gradients: a pass or two say as much. Of single pixels, group them first."

WHEN: Mapping[str, tuple[str, str]] = {
    "Lift": (
        "You trust a map of one side and want to know which part of the partner each of its values hangs on.",
        "You want a matrix that sums to something: it need not.",
    ),
    "PairAblationCAM": ("Gradients are not to be had, and you want a class activation map.", _LAYER),
    "PairActivationDecomposition": (
        "Pooling and linear layers follow the last convolution: the matrix is then exact, from one pass a side.",
        "More than that follows the layer: it is then an approximation, and says how far it is off.",
    ),
    "PairBiLRP": (
        "The encoder has no biases and you want which pixel goes with which.",
        "The encoder has biases: relevance is lost to them and the sum is not the score.",
    ),
    "PairCorrRISE": ("You may only call the model, and know the method from face verification.", _SHARED),
    "PairCounterfactualMaps": (
        "You want the positive and the negative half of a class activation map as two pictures.",
        "You want to know what would flip the decision: nothing is changed and checked here. Take PairRegionSwap.",
    ),
    "PairDeconvolution": (
        "You compare with older work.",
        "Nearly always: it shows edges, whatever the weights are.",
    ),
    "PairDeepLift": (
        "You want pixels or columns, from one pass, that sum to the change from a baseline.",
        "The model has attention or multiplications of two activations, for which it has no rule.",
    ),
    "PairDeepLiftShap": (
        "You have a sample of real items to start from and no single baseline is right.",
        "One baseline says what you mean: PairDeepLift is that, and cheaper.",
    ),
    "PairDistanceExplainer": (
        "You may only call the model and want the places whose covering brings two items nearer or farther.",
        _SHARED,
    ),
    "PairEigenCAM": (
        "You ask where the features are strong, whatever the score is.",
        "You ask why these two are alike: it never looks at the score.",
    ),
    "PairFeatureAblation": (
        "You have a few features or regions and want what the score loses without each, in its own unit.",
        "Two features say the same: without either of them nothing is lost, and both look unimportant.",
    ),
    "PairFeaturePermutation": (
        "You have a batch of pairs and want another item's value instead of a baseline.",
        "You explain a single pair: there is nothing to take a value from.",
    ),
    "PairGNNExplainer": (
        "You want a small part of two graphs that is enough for the score.",
        "You want all that counts: of two parts that are each enough it finds one.",
    ),
    "PairGradCAM": (
        "A first look at convolutional networks and graph convolutions: one backward pass, in units of the score.",
        _CAM,
    ),
    "PairGradCAMPlusPlus": (
        "You compare with published maps that used it.",
        "You want to see what speaks against: it keeps positive gradients only, and hardly notices random weights.",
    ),
    "PairGradientShap": (
        "You have real items as baselines and want integrated gradients averaged over them.",
        "You need the same numbers twice without a seed, or sums that hold exactly.",
    ),
    "PairGraphEdits": (
        "You ask for the fewest nodes or edges whose removal flips the decision.",
        "The decision hangs on many small things: the search then ends at its limit, and says so.",
    ),
    "PairGraphOcclusion": (
        "You may only call the model and want what each node or edge costs when it is gone.",
        "Graphs of thousands of nodes: one pass for each.",
    ),
    "PairGuidedBackprop": (
        "You want a sharp picture for a slide, and say so.",
        "You want to learn about the model: the picture hardly changes with random weights.",
    ),
    "PairGuidedGradCam": (
        "You want the places of Grad-CAM with fine detail.",
        "You want evidence: the detail is guided backpropagation's, which shows edges.",
    ),
    "PairHiResCAM": (
        "You want a class activation map whose values sum to the score where the rest is linear.",
        _CAM,
    ),
    "PairInputXGradient": (
        "You want each pixel, column or connection in one pass, and know the model is close to linear in them.",
        "The comparison is cosine and the encoder has no biases: it then sums to zero whatever the pair.",
    ),
    "PairIntegratedGradients": (
        "You want values of inputs that sum to the change from a baseline, and a baseline means something.",
        "No baseline means anything for your inputs: take a pool of real ones, or another question.",
    ),
    "PairInteraction": (
        "You want which column, token or pixel of a goes with which of b, from gradients.",
        "The encoder is a deep ReLU network and the rule is Gauss: look at ``gap``, or take ``rule='secant'``.",
    ),
    "PairInternalInfluence": (
        "You ask which units of a layer the score hangs on, averaged along a path.",
        "You want shares that sum to something: that is PairLayerConductance. Or only pooling follows the "
        "layer: all of its places then have one value.",
    ),
    "PairKernelShap": ("You want Shapley values of a few dozen features of any model.", _SHARED),
    "PairLRP": (
        "You want how much each pixel or token adds, by rules known for their readable maps (``rule='gamma'``).",
        "The model has layers without a rule: it says which.",
    ),
    "PairLayerActivation": ("You want to see the layer itself.", "You want an explanation: the score plays no part."),
    "PairLayerCAM": (
        "You explain on an early, fine layer.",
        "You want to see what speaks against: it keeps positive gradients only.",
    ),
    "PairLayerConductance": ("You want the shares of a layer's units, complete, along a path.", _LAYER),
    "PairLayerDeepLift": ("You want the shares of a layer's units from one pass.", _LAYER),
    "PairLayerDeepLiftShap": ("The same with a sample of real items as baselines.", _LAYER),
    "PairLayerFeatureAblation": ("You want what the score loses without a unit or channel of a layer.", _LAYER),
    "PairLayerFeaturePermutation": (
        "The same with another pair's activation in its place.",
        "You explain a single pair: there is nothing to take a value from.",
    ),
    "PairLayerGradCam": (
        "You have captum's Grad-CAM in your code and want it right for both sides.",
        "You want pytorch-grad-cam's family around it: PairGradCAM is the same map.",
    ),
    "PairLayerGradientShap": ("You want a layer's shares with real items as baselines.", _LAYER),
    "PairLayerGradientXActivation": (
        "You want each unit's first-order share in one pass.",
        "You want one value for each place: sum over channels yourself, or take PairHiResCAM.",
    ),
    "PairLayerIntegratedGradients": (
        "Texts: on the embedding layer it explains tokens. Else the shares of a layer, complete.",
        _LAYER,
    ),
    "PairLayerInteraction": (
        "You want which cell of a layer's grid in a goes with which in b, from gradients.",
        _LAYER,
    ),
    "PairLayerLRP": ("You want LRP down to a layer only.", _LAYER),
    "PairLeaveOneOut": (
        "The similarity is any function of two graphs, also one that is no network.",
        "Two atoms matter only together: each alone changes nothing.",
    ),
    "PairLime": (
        "You want a linear model of a few features near the pair, perhaps a sparse one.",
        "You want numbers that someone else will get: kernel width, samples and sparsity all change them.",
    ),
    "PairMaskRegression": (
        "You want which part goes with which for any model that only answers, with standard errors.",
        "A pass is dear: it takes some hundred of each item, though once for an item however many pairs it is in.",
    ),
    "PairMinimalMask": (
        "You ask for the smallest blurred region that flips the decision.",
        "The decision is already what you ask for: it says so.",
    ),
    "PairNoiseTunnel": (
        "A gradient map is noisy and you can pay ten times for a calmer one.",
        "The map it smooths answers the wrong question: it will, calmly.",
    ),
    "PairOcclusion": (
        "You want to cover a window and see what the score loses, on any model: the easiest to explain to others.",
        "What you look for is larger than the window, or there twice.",
    ),
    "PairRELAX": ("You may only call the encoder and want what an embedding hangs on, with its uncertainty.", _SHARED),
    "PairRISE": ("You may only call the model and want the classic of random masks.", _SHARED),
    "PairRegionSwap": (
        "You ask which regions of a, pasted into b, would flip the decision.",
        "Pasting makes images that no camera saw, and your model is sensitive to that.",
    ),
    "PairSBSM": ("You may only call the model, want similarity, and know the method from image retrieval.", _SHARED),
    "PairSaliency": (
        "You ask what the score reacts to, whatever is there, in one pass.",
        "You ask what makes them alike: it says how much, not which way, and hardly knows the partner.",
    ),
    "PairScoreCAM": (
        "You want a class activation map without gradients.",
        "You want a sign, or a map from a few passes: it costs one for each channel.",
    ),
    "PairShapleyValueSampling": (
        "You want fair shares of some dozens of features, with no regression between.",
        _SHARED,
    ),
    "PairShapleyValues": (
        "You have at most twelve features, or groups of them, and want the exact values.",
        "You have more: the number of subsets doubles with each.",
    ),
    "PairTokenMatrix": (
        "You want which word goes with which, exactly, from one pass: a sentence encoder, SPLADE, late interaction.",
        "Your model reads both texts at once, or you ask what the words do before the last layer has mixed them.",
    ),
    "PairXFace": ("You compare with work on face verification.", _SHARED),
    "PairXGradCAM": (
        "You want Grad-CAM with weights from the activations themselves.",
        "The layer is pooled and a linear layer follows: it is then Grad-CAM.",
    ),
    "RobustPairExplainer": (
        "You have unlabelled items and want an explanation that does not change with whom an item is compared to.",
        "You want to know why *this* partner: what belongs to it alone is what is left out.",
    ),
}
"""For each explainer: when, and when not."""

SHOWN: Mapping[str, str] = {
    "PairDeconvolution": (
        "Four fifths of it lie on the empty background, at regular places: it lets signals back through units that "
        "were off, so that the grid of the network is seen more than the shoes."
    ),
    "PairGNNExplainer": (
        "Nearly all edges of a graph have one shade: in its hundred steps it found no small part of this pair that "
        "keeps the score."
    ),
    "PairScoreCAM": (
        "Its strongest place on the sneaker is the empty opening above the shoe: a channel that lights up on the "
        "background counts by what the image kept under it scores, as any other."
    ),
}
"""What a picture shows, where it does not speak for itself."""
