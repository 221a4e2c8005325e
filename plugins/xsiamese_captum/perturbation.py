"""captum's perturbation methods on the two inputs: they ask the model, and need no gradient."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import captum.attr as captum
import torch
from captum._utils.models.linear_model import SkLearnLinearRegression

from xsiamese.author import Adapted, PairBatch
from xsiamese_captum.subsets import SubsetShapley

PLACES = 1000  # of a window in a series, about, at the most: each is a pass


class PairFeatureAblation(Adapted):
    """What the score loses when a feature is replaced by its baseline. On an additive score that is the feature's
    share.

    A factored model encodes the side that is not being changed once only. ``feature_mask=(mask_a, mask_b)`` groups
    features;
    equal numbers on the two sides are removed one by one, or together with ``joint=True``.

    Example:
        >>> import torch
        >>> from xsiamese import PairFeatureAblation, SiameseModel
        >>> model = SiameseModel(torch.nn.Identity(), comparison="dot")
        >>> a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -4.0]])
        >>> PairFeatureAblation(model).attribute((a, b))
        (tensor([[ 3., -8.]]), tensor([[ 3., -8.]]))
    """

    linear = True
    name, algorithm = "feature_ablation", captum.FeatureAblation
    formula = r"s(x) - s(x_{\setminus i})"
    reference = ("zeiler2014",)
    uses_gradients = False
    apart = separable = True


class PairOcclusion(Adapted):
    """What the score loses, on average, when a sliding window covers a value.

    ``sliding_window_shapes`` (channels, height, width) is one for both sides or a pair, each a tuple for a side of
    several tensors; so are ``strides``. Left out, the window is all channels of about a quarter of an image's height
    and width and moves by a third of itself, about a hundred passes a side; of a series it is an eighth, at each of up
    to a thousand places.

    Example:
        >>> import torch
        >>> from xsiamese import PairOcclusion, SiameseModel
        >>> model = SiameseModel(torch.nn.Identity(), comparison="dot")
        >>> a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -4.0]])
        >>> PairOcclusion(model).attribute((a, b))
        (tensor([[ 3., -8.]]), tensor([[ 3., -8.]]))
    """

    linear = True
    name, algorithm = "occlusion", captum.Occlusion
    formula = r"\mathrm{mean}_{w \ni i}\,[s(x) - s(x_{\setminus w})]"
    reference = ("zeiler2014",)
    uses_gradients = False
    apart = separable = trims = True

    def compute(self, batch: PairBatch, **options: Any) -> tuple[Any, Any]:
        if "sliding_window_shapes" not in options:
            leaves = [(batch.place(i)[0], tuple(leaf.shape[1:])) for i, leaf in enumerate(batch.moved)]
            for name, usual in (("sliding_window_shapes", _window), ("strides", _stride)):
                sides = ([usual(shape, of.kind) for of, shape in leaves if of is side] for side in batch.sides)
                options.setdefault(name, tuple(map(tuple, sides)))
        return super().compute(batch, **options)


class PairFeaturePermutation(Adapted):
    """What the score loses when a feature is exchanged among the pairs of the batch. Needs several pairs; the map
    depends on all.

    Example:
        >>> import torch
        >>> from xsiamese import PairFeaturePermutation, SiameseModel
        >>> model = SiameseModel(torch.nn.Identity(), comparison="dot")
        >>> a, b = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[3.0, -4.0], [1.0, 1.0]])  # two pairs
        >>> map_a, map_b = PairFeaturePermutation(model).attribute((a, b))
        >>> map_a.tolist()
        [[3.0, -8.0], [-1.0, -2.0]]
    """

    name, algorithm = "feature_permutation", captum.FeaturePermutation
    formula = r"s(x) - s(x_{i \leftarrow \pi(i)})"
    reference = ("fisher2019",)
    uses_gradients = False
    stochastic = across_pairs = moves_inputs = True


class PairShapleyValueSampling(Adapted):
    """Shapley values of the features of each side, the other one held, from sampled orders; each map sums to the change
    of the score exactly. ``joint=True`` makes one game of both sides.

    Example:
        >>> import torch
        >>> from xsiamese import PairShapleyValueSampling, SiameseModel
        >>> model = SiameseModel(torch.nn.Identity(), comparison="dot")
        >>> a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -4.0]])
        >>> PairShapleyValueSampling(model).attribute((a, b))
        (tensor([[ 3., -8.]]), tensor([[ 3., -8.]]))
    """

    linear = True
    name, algorithm = "shapley_value_sampling", captum.ShapleyValueSampling
    cost = "n_samples for each feature"
    formula = r"\mathbb{E}_\pi\,[s(x_{\pi \leq i}) - s(x_{\pi < i})]"
    reference = ("strumbelj2010",)
    apart = True
    uses_gradients = False
    complete = stochastic = trims = True


class PairShapleyValues(Adapted):
    """Exact Shapley values of each side, from the value of every subset of its features: for 12 features at the most,
    or as many groups in ``feature_mask``. ``joint=True`` makes one game of both sides.

    captum's ``ShapleyValues`` asks for every order, n! of them, and gives the same.

    Example:
        >>> import torch
        >>> from xsiamese import PairShapleyValues, SiameseModel
        >>> model = SiameseModel(torch.nn.Identity(), comparison="dot")
        >>> a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -4.0]])
        >>> PairShapleyValues(model).attribute((a, b))
        (tensor([[ 3., -8.]]), tensor([[ 3., -8.]]))
    """

    linear = True
    name, algorithm = "shapley_values", SubsetShapley
    cost = "one for each subset of the features"
    formula = r"\sum_{S \ni i} \frac{(|S| - 1)!\,(n - |S|)!}{n!}\,[s(x_S) - s(x_{S \setminus i})]"
    reference = ("shapley1953",)
    apart = True
    uses_gradients = False
    complete = trims = True


class PairLime(Adapted):
    """The weights of a linear model of the score around the pair, in features present or absent (needs scikit-learn).

    Sparsity is in units of the score, and what makes one sparse erases another: there is none unless you ask for it,
    ``interpretable_model=SkLearnLasso(alpha=...)`` of captum. As many samples are drawn as the shap library draws,
    2,048 and two for each feature: with some dozens the order of 24 features is left to chance. Of images, group pixels
    with ``feature_mask``.

    Example:
        >>> import torch
        >>> from xsiamese import PairLime, SiameseModel
        >>> model = SiameseModel(torch.nn.Identity(), comparison="dot")
        >>> a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -4.0]])
        >>> map_a, map_b = PairLime(model).attribute((a, b), n_samples=100)
        >>> map_a.round(decimals=2), map_b.round(decimals=2)
        (tensor([[ 3., -8.]]), tensor([[ 3., -8.]]))
    """

    name, algorithm = "lime", captum.Lime
    formula = r"\arg\min_{w, c} \sum_z k(z) (s(z) - w^\top z - c)^2"
    apart = True
    reference = ("ribeiro2016",)
    uses_gradients = False
    stochastic = fitted = trims = True

    def compute(self, batch: PairBatch, **options: Any) -> tuple[Any, Any]:
        options.setdefault("n_samples", _enough(batch, options))
        if "interpretable_model" not in options:
            _check_regression(self.name)
            options["interpretable_model"] = SkLearnLinearRegression()
        return super().compute(batch, **options)


class PairKernelShap(Adapted):
    """Shapley values as the weights of a weighted linear regression (needs scikit-learn).

    2,048 samples are drawn, and two for each feature, as in the shap library: with some dozens the order of 24 features
    is left to chance. Of images, group pixels with ``feature_mask``.

    Example:
        >>> import torch
        >>> from xsiamese import PairKernelShap, SiameseModel
        >>> model = SiameseModel(torch.nn.Identity(), comparison="dot")
        >>> a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -4.0]])
        >>> map_a, map_b = PairKernelShap(model).attribute((a, b), n_samples=100)
        >>> map_a.round(decimals=2), map_b.round(decimals=2)
        (tensor([[ 3., -8.]]), tensor([[ 3., -8.]]))
    """

    linear = True
    name, algorithm = "kernel_shap", captum.KernelShap
    formula = r"\arg\min_w \sum_z \frac{n - 1}{\binom{n}{|z|} |z| (n - |z|)} (s(z) - w^\top z)^2"
    apart = True
    reference = ("lundberg2017",)
    uses_gradients = False
    stochastic = complete = fitted = trims = True

    def compute(self, batch: PairBatch, **options: Any) -> tuple[Any, Any]:
        _check_regression(self.name)
        options.setdefault("n_samples", _enough(batch, options))
        return super().compute(batch, **options)


def _check_regression(name: str) -> None:
    """captum fits by scikit-learn, and notices late that it is not there."""
    if find_spec("sklearn") is None:
        raise ImportError(f'{name} fits a regression by scikit-learn: pip install "xsiamese[lime]"')


def _enough(batch: PairBatch, options: dict[str, Any]) -> int:
    """How many samples order the features of the larger side."""
    masks = options.get("feature_mask")
    if isinstance(masks, (tuple, list)):
        sides = [mask if isinstance(mask, (tuple, list)) else [mask] for mask in masks]
        return 2048 + 2 * max(len(torch.unique(torch.cat([mask.flatten() for mask in side]))) for side in sides)
    return 2048 + 2 * max(leaf[0].numel() for leaf in batch.moved)


def _stride(shape: tuple[int, ...], kind: str) -> tuple[int, ...]:
    """How far such a window moves: a third of its own height and width over an image, where its peak was found on what
    is planted more often than at every place; a long series at a thousand places.
    """
    if len(shape) < 3:
        window = _window(shape, kind)
        return window if kind == "text" else (*shape[:-1], max(1, shape[-1] // PLACES) if len(shape) == 2 else 1)
    return (shape[0], *(-(-wide // 3) for wide in _window(shape, kind)[1:]))


def _window(shape: tuple[int, ...], kind: str) -> tuple[int, ...]:
    """All channels of about a quarter of each side of an image, an eighth of a series; one token with all its
    dimensions, one value of a vector.

    A quarter of a series is as long as what is looked for in one, and its peak is anywhere on it or beside it.
    """
    if len(shape) == 1 or kind == "text":
        return (1, *shape[1:])
    share = 8 if len(shape) == 2 else 4
    return (shape[0], *(max(1, size // share) for size in shape[1:]))
