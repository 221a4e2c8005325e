"""captum's perturbation methods on the two inputs: they ask the model, and need no gradient."""

from __future__ import annotations

from typing import Any

import captum.attr as captum

from xsiamese.author import Adapted, PairBatch


class PairFeatureAblation(Adapted):
    """What the score loses when a feature is replaced by its baseline. On an additive score that is the feature's
    share.

    A factored model encodes the side that is not being changed once only. ``feature_mask=(mask_a, mask_b)`` groups
    features;
    equal numbers on the two sides are removed one by one, or together with ``joint=True``.
    """

    linear = True
    name, algorithm = "feature_ablation", captum.FeatureAblation
    formula = r"s(x) - s(x_{\setminus i})"
    reference = ("zeiler2014",)
    uses_gradients = False
    separable = True


class PairOcclusion(Adapted):
    """What the score loses, on average, when a sliding window covers a value.

    ``sliding_window_shapes`` (channels, height, width) is one for both sides or a pair; so are ``strides``.
    """

    linear = True
    name, algorithm = "occlusion", captum.Occlusion
    formula = r"\mathrm{mean}_{w \ni i}\,[s(x) - s(x_{\setminus w})]"
    reference = ("zeiler2014",)
    uses_gradients = False
    separable = True

    def compute(self, batch: PairBatch, **options: Any) -> tuple[Any, Any]:
        options.setdefault("sliding_window_shapes", tuple(_window(leaf.shape[1:]) for leaf in batch.moved))
        return super().compute(batch, **options)


class PairFeaturePermutation(Adapted):
    """What the score loses when a feature is exchanged among the pairs of the batch. Needs several pairs; the map
    depends on all.
    """

    name, algorithm = "feature_permutation", captum.FeaturePermutation
    formula = r"s(x) - s(x_{i \leftarrow \pi(i)})"
    reference = ("fisher2019",)
    uses_gradients = False
    stochastic = across_pairs = True


class PairShapleyValueSampling(Adapted):
    """Shapley values of all features of both sides as one game, from sampled orders; they sum to the change of the
    score exactly.
    """

    linear = True
    name, algorithm = "shapley_value_sampling", captum.ShapleyValueSampling
    formula = r"\mathbb{E}_\pi\,[s(x_{\pi \leq i}) - s(x_{\pi < i})]"
    reference = ("strumbelj2010",)
    uses_gradients = False
    complete = stochastic = True


class PairShapleyValues(Adapted):
    """Exact Shapley values, over all orders of the features: for a handful of features or of groups in
    ``feature_mask``.
    """

    linear = True
    name, algorithm = "shapley_values", captum.ShapleyValues
    formula = r"\frac{1}{n!} \sum_\pi [s(x_{\pi \leq i}) - s(x_{\pi < i})]"
    reference = ("shapley1953",)
    uses_gradients = False
    complete = True


class PairLime(Adapted):
    """The weights of a sparse linear model of the score around the pair, in features present or absent (needs
    scikit-learn).
    """

    name, algorithm = "lime", captum.Lime
    formula = r"\arg\min_w \sum_z k(z) (s(z) - w^\top z)^2 + \alpha |w|_1"
    reference = ("ribeiro2016",)
    uses_gradients = False
    stochastic = fitted = True


class PairKernelShap(Adapted):
    """Shapley values as the weights of a weighted linear regression (needs scikit-learn)."""

    linear = True
    name, algorithm = "kernel_shap", captum.KernelShap
    formula = r"\arg\min_w \sum_z \frac{n - 1}{\binom{n}{|z|} |z| (n - |z|)} (s(z) - w^\top z)^2"
    reference = ("lundberg2017",)
    uses_gradients = False
    stochastic = complete = fitted = True


def _window(shape: tuple[int, ...]) -> tuple[int, ...]:
    """All channels of about a quarter of each side of an image; one value of a vector."""
    return (shape[0], *(max(1, size // 4) for size in shape[1:])) if len(shape) > 1 else (1,) * len(shape)
