"""What captum's options mean: its own docstrings say it for one input."""

from __future__ import annotations

import inspect
import re
from typing import Any

OPTIONS: dict[str, str] = {
    "abs": "False keeps the sign of the gradient; True takes its size",
    "attr_dim_summation": "whether the weighted channels are summed to one",
    "attribute_to_layer_input": "explains what goes into the layer instead of what comes out",
    "custom_attribution_func": "a function of (multipliers, inputs, baselines) in place of their product, see captum",
    "detach_norms": "true takes the norms of a cosine as constants: the gradient then says what the angle is made of",
    "eps": "differences smaller than this count as none: the gradient takes the multiplier's place",
    "feature_mask": "a pair (mask of a, mask of b) of integers shaped as one item (1, ...) for all pairs, or as the "
    "inputs for masks of their own, each a tuple for a side of several tensors; what has one number is one "
    "feature; xsiamese.superpixels makes such of images",
    "interpolate_mode": "how the layer's map is brought to the input's size, see ``torch.nn.functional.interpolate``",
    "interpretable_model": "the linear model that is fitted, a captum ``Model``; a Lasso with alpha 0.01 if left out",
    "joint": "with a feature mask: equal numbers on the two sides are one feature, removed together",
    "layer_baselines": "what a unit of the layer is replaced by: a number, or a pair (of a, of b); zero if left out",
    "layer_mask": "a pair (mask of a, mask of b) of integers shaped as the layer's output; what has one number is "
    "one unit",
    "memory_efficient": "releases activations early, see captum",
    "method": "the quadrature of the path integral: gausslegendre, riemann_left, riemann_right, riemann_middle or "
    "riemann_trapezoid",
    "multiply_by_inputs": "False gives the slope rather than its product with the input's difference from the baseline",
    "n_samples": "how many samples are drawn; more is slower and less noisy",
    "n_steps": "how many points of the path are evaluated; more is slower and closer to complete",
    "perm_func": "a function of (tensor, mask) that exchanges a feature among the pairs of a batch",
    "perturb_func": "a function that draws a perturbed sample, see captum",
    "relu_attributions": "keeps only what pulls together",
    "similarity_func": "the kernel that weighs a sample by its nearness to the pair, see captum",
    "sliding_window_shapes": "the window (channels, height, width) for both sides, or a pair of such, each a tuple "
    "for a side of several tensors; a quarter of each side of an image, an eighth of a series if left out",
    "stdevs": "the standard deviation of the noise that is added to the inputs before sampling, in their units; one, "
    "or a pair (of a, of b)",
    "strides": "how far the window moves, an int or (channels, height, width), for both sides or a pair of such; if "
    "left out 1, or a third of an image's window that is taken by itself",
    "threshold": "the score at which the decision turns; the one that the comparison was calibrated to if left out",
}


def first_sentence(documented: Any) -> str:
    """What a docstring begins with, in one line however it is filled.

    Example:
        >>> from xsiamese import PairHiResCAM
        >>> first_sentence(PairHiResCAM)
        'HiResCAM: gradients are not averaged over places.'
    """
    paragraph = " ".join((inspect.getdoc(documented) or "").split("\n\n")[0].split())
    end = re.search(r"[.!?](?= [A-Z`*])", paragraph)
    return paragraph[: end.end()] if end else paragraph
