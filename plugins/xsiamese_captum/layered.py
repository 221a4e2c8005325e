"""captum's methods for a layer, each branch with its own activations."""

from __future__ import annotations

from typing import Any

import captum.attr as captum
from torch import Tensor

from xsiamese.author import Adapted, Maps, PairBatch
from xsiamese_captum.channels import check_channels, without_padding


class _Layered(Adapted):
    needs_layer = True
    hooks = True


class PairLayerActivation(_Layered):
    """The layer's output on each side.

    Example:
        >>> import torch
        >>> from xsiamese import PairLayerActivation, SiameseModel
        >>> model = SiameseModel(torch.nn.Sequential(torch.nn.ReLU()), comparison="dot")
        >>> a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -4.0]])
        >>> PairLayerActivation(model, layer="0").attribute((a, b))
        (tensor([[1., 2.]]), tensor([[3., 0.]]))
    """

    name, algorithm = "layer_activation", captum.LayerActivation
    formula = r"A"
    shows = "magnitude"
    uses_gradients = False
    of_activations = True


class PairLayerGradCam(_Layered):
    """captum's Grad-CAM: the layer's channels weighted by their mean gradients. :class:`PairGradCAM` gives the same
    maps faster, and also those of layers whose channels come last, which captum's does not read.

    Example:
        >>> import torch
        >>> from xsiamese import PairLayerGradCam, SiameseModel
        >>> model = SiameseModel(torch.nn.Sequential(torch.nn.ReLU()), comparison="dot")
        >>> a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -4.0]])
        >>> PairLayerGradCam(model, layer="0").attribute((a, b))
        (tensor([[3.]]), tensor([[3.]]))
    """

    linear = True
    name, algorithm = "layer_gradcam", captum.LayerGradCam
    formula = r"\sum_k \overline{\partial s / \partial A_k}\, A_k"
    reference = ("selvaraju2017",)
    modalities = frozenset({"image", "row", "series", "volume"})

    def compute(self, batch: PairBatch, **options: Any) -> Maps:
        sizes = check_channels(batch, self.layer, self.layout, type(self).__name__)
        return without_padding(batch, super().compute(batch, **options), sizes)


class PairLayerGradientXActivation(_Layered):
    """Gradient times activation of each branch.

    Example:
        >>> import torch
        >>> from xsiamese import PairLayerGradientXActivation, SiameseModel
        >>> model = SiameseModel(torch.nn.Sequential(torch.nn.ReLU()), comparison="dot")
        >>> a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -4.0]])
        >>> PairLayerGradientXActivation(model, layer="0").attribute((a, b))
        (tensor([[3., 0.]]), tensor([[3., 0.]]))
    """

    linear = True
    name, algorithm = "layer_gradient_x_activation", captum.LayerGradientXActivation
    formula = r"A \odot \partial s / \partial A"
    reference = ("shrikumar2016",)
    both_layers = True

    def compute(self, batch: PairBatch, **options: Any) -> Maps:
        maps = super().compute(batch, **options)
        for side in batch.moving:
            if batch.sides[side].kind == "text":  # which is told of tokens
                continue
            of_layers = maps[side] if isinstance(maps[side], tuple) else (maps[side],)
            for one in [one for one in of_layers if isinstance(one, Tensor) and one.dim() > 2]:
                product = batch.places(side, one, None, self.layout).first(one)
                batch.tell_cancelled(side, product, self.layer_names(batch))
        return maps


class PairLayerIntegratedGradients(_Layered):
    """Integrated gradients from the activations at the baseline to those of the pair, of each branch with the other one
    held; each map is complete. ``joint=True`` takes both branches on one path.

    Example:
        >>> import torch
        >>> from xsiamese import PairLayerIntegratedGradients, SiameseModel
        >>> model = SiameseModel(torch.nn.Sequential(torch.nn.ReLU()), comparison="dot")
        >>> a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -4.0]])
        >>> PairLayerIntegratedGradients(model, layer="0").attribute((a, b))
        (tensor([[3., 0.]]), tensor([[3., 0.]]))
    """

    linear = True
    name, algorithm = "layer_integrated_gradients", captum.LayerIntegratedGradients
    formula = r"(A - A_0) \odot \int_0^1 \partial s / \partial A \,(A_0 + t (A - A_0))\, dt"
    reference = ("sundararajan2017",)
    apart = True
    both_layers = complete = True
    differentiable = False


class PairLayerConductance(_Layered):
    """How much of the integrated gradients of the inputs flows through each unit of the layer.

    Example:
        >>> import torch
        >>> from xsiamese import PairLayerConductance, SiameseModel
        >>> model = SiameseModel(torch.nn.Sequential(torch.nn.ReLU()), comparison="dot")
        >>> a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -4.0]])
        >>> PairLayerConductance(model, layer="0").attribute((a, b))
        (tensor([[2.9967, 0.0000]]), tensor([[2.9967, 0.0000]]))
    """

    linear = True
    name, algorithm = "layer_conductance", captum.LayerConductance
    moves_inputs = True
    formula = r"\sum_i (x_i - x_{0,i}) \int_0^1 \frac{\partial s}{\partial A} \frac{\partial A}{\partial x_i}\, dt"
    reference = ("dhamdhere2019",)
    apart = True
    complete = moves_inputs = True


class PairInternalInfluence(_Layered):
    """The layer's gradient averaged along the path of the inputs from the baselines.

    Example:
        >>> import torch
        >>> from xsiamese import PairInternalInfluence, SiameseModel
        >>> model = SiameseModel(torch.nn.Sequential(torch.nn.ReLU()), comparison="dot")
        >>> a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -4.0]])
        >>> PairInternalInfluence(model, layer="0").attribute((a, b))
        (tensor([[3., 0.]]), tensor([[1., 2.]]))
    """

    linear = True
    name, algorithm = "internal_influence", captum.InternalInfluence
    moves_inputs = True
    formula = r"\int_0^1 \partial s / \partial A \,(x_0 + t (x - x_0))\, dt"
    reference = ("leino2018",)
    apart = True
    moves_inputs = True


class PairLayerDeepLift(_Layered):
    """DeepLIFT's contributions of the layer's units; see :class:`PairDeepLift` for when they are complete.

    Example:
        >>> import torch
        >>> from xsiamese import PairLayerDeepLift, SiameseModel
        >>> model = SiameseModel(torch.nn.Sequential(torch.nn.ReLU()), comparison="dot")
        >>> a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -4.0]])
        >>> PairLayerDeepLift(model, layer="0").attribute((a, b))
        (tensor([[3., 0.]]), tensor([[3., 0.]]))
    """

    linear = True
    name, algorithm = "layer_deep_lift", captum.LayerDeepLift
    formula = r"(A - A_0) \odot m"
    reference = ("shrikumar2017",)
    apart = True
    unique = returns_delta = True
    differentiable = False


class PairLayerDeepLiftShap(_Layered):
    """DeepLIFT of a layer averaged over several baselines.

    Example:
        >>> import torch
        >>> from xsiamese import PairLayerDeepLiftShap, SiameseModel
        >>> model = SiameseModel(torch.nn.Sequential(torch.nn.ReLU()), comparison="dot")
        >>> a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -4.0]])
        >>> samples = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
        >>> PairLayerDeepLiftShap(model, layer="0").attribute((a, b), baselines=(samples, samples))
        (tensor([[1.5000, 0.0000]]), tensor([[ 2.5000, -1.0000]]))
    """

    name, algorithm = "layer_deep_lift_shap", captum.LayerDeepLiftShap
    formula = r"\mathbb{E}_{x_0}\,[(A - A_0) \odot m]"
    reference = ("lundberg2017", "shrikumar2017")
    apart = True
    unique = returns_delta = distribution_baselines = True
    differentiable = False


class PairLayerGradientShap(_Layered):
    """Expected gradients of a layer, with baselines drawn from samples.

    Example:
        >>> import torch
        >>> from xsiamese import PairLayerGradientShap, SiameseModel
        >>> model = SiameseModel(torch.nn.Sequential(torch.nn.ReLU()), comparison="dot")
        >>> a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -4.0]])
        >>> samples = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
        >>> both = samples, samples  # of a, of b
        >>> map_a, map_b = PairLayerGradientShap(model, layer="0").attribute((a, b), baselines=both)
        >>> map_a.shape, map_b.shape
        (torch.Size([1, 2]), torch.Size([1, 2]))
    """

    name, algorithm = "layer_gradient_shap", captum.LayerGradientShap
    moves_inputs = True
    formula = r"\mathbb{E}_{x_0, t}\,[(A - A_0) \odot \partial s / \partial A]"
    reference = ("lundberg2017",)
    apart = True
    stochastic = distribution_baselines = returns_delta = True
    differentiable = False


class PairLayerFeatureAblation(_Layered):
    """What the score loses when a unit of one branch's layer is replaced by its baseline; ``layer_mask=(of a, of b)``
    groups units.

    Example:
        >>> import torch
        >>> from xsiamese import PairLayerFeatureAblation, SiameseModel
        >>> model = SiameseModel(torch.nn.Sequential(torch.nn.ReLU()), comparison="dot")
        >>> a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -4.0]])
        >>> PairLayerFeatureAblation(model, layer="0").attribute((a, b))
        (tensor([[3., 0.]]), tensor([[3., 0.]]))
    """

    linear = True
    name, algorithm = "layer_feature_ablation", captum.LayerFeatureAblation
    formula = r"s(A) - s(A_{\setminus i})"
    reference = ("zeiler2014",)
    uses_gradients = False


class PairLayerFeaturePermutation(_Layered):
    """What the score loses when a unit of the layer is exchanged among the pairs of the batch.

    Example:
        >>> import torch
        >>> from xsiamese import PairLayerFeaturePermutation, SiameseModel
        >>> model = SiameseModel(torch.nn.Sequential(torch.nn.ReLU()), comparison="dot")
        >>> a, b = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[3.0, -4.0], [1.0, 1.0]])  # two pairs
        >>> map_a, map_b = PairLayerFeaturePermutation(model, layer="0").attribute((a, b))
        >>> map_a.tolist()
        [[3.0, 0.0], [-1.0, -2.0]]
    """

    name, algorithm = "layer_feature_permutation", captum.LayerFeaturePermutation
    formula = r"s(A) - s(A_{i \leftarrow \pi(i)})"
    reference = ("fisher2019",)
    uses_gradients = False
    stochastic = across_pairs = True
