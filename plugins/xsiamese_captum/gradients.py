"""captum's gradient methods on the two inputs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import captum.attr as captum
from torch import nn

from xsiamese.author import Adapted, Maps, PairBatch, Shows
from xsiamese_captum.channels import check_channels, without_padding


class PairSaliency(Adapted):
    """How much the score reacts to each value: the size of its gradient (``abs=False`` keeps the sign).

    Example:
        >>> import torch
        >>> from xsiamese import PairSaliency, SiameseModel
        >>> model = SiameseModel(torch.nn.Identity(), comparison="dot")
        >>> a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -4.0]])
        >>> PairSaliency(model).attribute((a, b))
        (tensor([[3., 4.]]), tensor([[1., 2.]]))
    """

    name, algorithm = "saliency", captum.Saliency
    formula = r"|\partial s / \partial x|"
    shows = "magnitude"
    reference = ("simonyan2014",)
    modalities = frozenset({"image", "row", "series", "volume", "text", "graph"})

    def showing(self, options: Mapping[str, Any]) -> Shows:
        return "magnitude" if options.get("abs", True) else "signed"


class PairInputXGradient(Adapted):
    """Gradient times input. On a bias-free ReLU encoder with a dot product each side's map sums to the score.

    Example:
        >>> import torch
        >>> from xsiamese import PairInputXGradient, SiameseModel
        >>> model = SiameseModel(torch.nn.Identity(), comparison="dot")
        >>> a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -4.0]])
        >>> PairInputXGradient(model).attribute((a, b))
        (tensor([[ 3., -8.]]), tensor([[ 3., -8.]]))
    """

    linear = True
    name, algorithm = "input_x_gradient", captum.InputXGradient
    formula = r"x \odot \partial s / \partial x"
    reference = ("shrikumar2016",)
    modalities = frozenset({"image", "row", "series", "volume", "text", "graph"})


class PairIntegratedGradients(Adapted):
    """The gradient along the straight path of each side from its baseline to its input, the other side held.

    The map of a sums to F(a, b) - F(a0, b) and that of b to F(a, b) - F(a, b0). ``joint=True`` moves both sides on one
    path, along which both maps together sum to F(a, b) - F(a0, b0): from zeros that is a way between two identical
    pairs, and the sign of what it finds on alike pairs is left to chance.

    Example:
        >>> import torch
        >>> from xsiamese import PairIntegratedGradients, SiameseModel
        >>> model = SiameseModel(torch.nn.Identity(), comparison="dot")
        >>> a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -4.0]])
        >>> PairIntegratedGradients(model).attribute((a, b))
        (tensor([[ 3., -8.]]), tensor([[ 3., -8.]]))
    """

    linear = True
    name, algorithm = "integrated_gradients", captum.IntegratedGradients
    formula = r"(x - x_0) \odot \int_0^1 \partial s / \partial x \,(x_0 + t (x - x_0))\, dt"
    reference = ("sundararajan2017",)
    apart = True
    modalities = frozenset({"image", "row", "series", "volume", "text", "graph"})
    complete = True


class PairGradientShap(Adapted):
    """Expected gradients: integrated gradients from baselines drawn from samples. Each pair gets the same draws.

    Example:
        >>> import torch
        >>> from xsiamese import PairGradientShap, SiameseModel
        >>> model = SiameseModel(torch.nn.Identity(), comparison="dot")
        >>> a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -4.0]])
        >>> samples = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
        >>> map_a, map_b = PairGradientShap(model).attribute((a, b), baselines=(samples, samples), n_samples=20)
        >>> map_a.shape, map_b.shape
        (torch.Size([1, 2]), torch.Size([1, 2]))
    """

    name, algorithm = "gradient_shap", captum.GradientShap
    formula = r"\mathbb{E}_{x_0, t}\,[(x - x_0) \odot \partial s / \partial x\,(x_0 + t (x - x_0))]"
    reference = ("lundberg2017",)
    apart = True
    stochastic = distribution_baselines = returns_delta = trims = True
    differentiable = False


class PairDeepLift(Adapted):
    """DeepLIFT's rescale rule: differences of activations from those at the baselines, in place of gradients.

    Exact where the comparison is linear in the embedding of the side that moves (dot, bilinear). The comparison itself
    has no rescale rule: captum uses its gradient at the pair, so ask for ``return_convergence_delta`` and read it.

    Of graphs it explains node features, through layers that are linear in them (GCN, GIN, GraphSAGE); attention is a
    product, which has no rule either, and so is the weight of an edge times its message. captum sees activations that
    are modules, ``nn.ReLU`` and not ``torch.relu``.

    Example:
        >>> import torch
        >>> from xsiamese import PairDeepLift, SiameseModel
        >>> model = SiameseModel(torch.nn.Identity(), comparison="dot")
        >>> a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -4.0]])
        >>> PairDeepLift(model).attribute((a, b))
        (tensor([[ 3., -8.]]), tensor([[ 3., -8.]]))
    """

    linear = True
    name, algorithm = "deep_lift", captum.DeepLift
    formula = r"(x - x_0) \odot m, \quad m = \Delta y / \Delta x \text{ at each nonlinearity}"
    reference = ("shrikumar2017",)
    apart = True
    hooks = unique = returns_delta = True
    differentiable = False
    modalities = frozenset({"image", "row", "series", "volume", "text", "graph"})
    known_parts = ("nodes",)


class PairDeepLiftShap(Adapted):
    """DeepLIFT averaged over several baselines, given as a pair of tensors with one sample a row.

    Example:
        >>> import torch
        >>> from xsiamese import PairDeepLiftShap, SiameseModel
        >>> model = SiameseModel(torch.nn.Identity(), comparison="dot")
        >>> a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -4.0]])
        >>> samples = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
        >>> PairDeepLiftShap(model).attribute((a, b), baselines=(samples, samples))
        (tensor([[ 1.5000, -6.0000]]), tensor([[ 2.5000, -9.0000]]))
    """

    name, algorithm = "deep_lift_shap", captum.DeepLiftShap
    formula = r"\mathbb{E}_{x_0}\,[\mathrm{DeepLIFT}(x, x_0)]"
    reference = ("lundberg2017", "shrikumar2017")
    apart = True
    hooks = unique = returns_delta = distribution_baselines = True
    differentiable = False


class OfRectifiers(Adapted):
    """A method that changes how ``nn.ReLU`` passes gradients back, and so is the plain gradient without one."""

    def compute(self, batch: PairBatch, **options: Any) -> Maps:
        if not any(isinstance(module, nn.ReLU) for module in batch.model.modules()):
            warnings.warn(
                f"{type(self).__name__} changes the gradient of nn.ReLU modules, and the model has none, so that the "
                "maps are those of the plain gradient: use nn.ReLU modules in place of functional or other "
                "activations, or another method",
                stacklevel=2,
            )
        return super().compute(batch, **options)


class PairGuidedBackprop(OfRectifiers):
    """Gradients in which every ``nn.ReLU`` passes back only what is positive, forwards and backwards. Sensitive to
    edges, less to weights.

    Example:
        >>> import torch
        >>> from xsiamese import PairGuidedBackprop, SiameseModel
        >>> model = SiameseModel(torch.nn.Sequential(torch.nn.ReLU()), comparison="dot")
        >>> a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -4.0]])
        >>> PairGuidedBackprop(model).attribute((a, b))
        (tensor([[3., 0.]]), tensor([[1., 0.]]))
    """

    name, algorithm = "guided_backprop", captum.GuidedBackprop
    formula = r"\partial s / \partial x \text{ with } R^l = 1[z > 0]\, 1[R^{l+1} > 0]\, R^{l+1}"
    reference = ("springenberg2015",)
    hooks = unique = True


class PairDeconvolution(OfRectifiers):
    """Gradients in which every ``nn.ReLU`` passes back what is positive, whatever it did forwards.

    Example:
        >>> import torch
        >>> from xsiamese import PairDeconvolution, SiameseModel
        >>> model = SiameseModel(torch.nn.Sequential(torch.nn.ReLU()), comparison="dot")
        >>> a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -4.0]])
        >>> PairDeconvolution(model).attribute((a, b))
        (tensor([[3., 0.]]), tensor([[1., 2.]]))
    """

    name, algorithm = "deconvolution", captum.Deconvolution
    formula = r"\partial s / \partial x \text{ with } R^l = 1[R^{l+1} > 0]\, R^{l+1}"
    reference = ("zeiler2014",)
    hooks = unique = True


class PairGuidedGradCam(OfRectifiers):
    """Guided backpropagation times what is positive of Grad-CAM, each branch with its own: what pushes apart is cut, as
    in the paper.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from xsiamese import PairGuidedGradCam, SiameseModel
        >>> encoder = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> model, pair = SiameseModel(encoder, "dot"), (torch.rand(2, 1, 8, 8), torch.rand(2, 1, 8, 8))
        >>> map_a, map_b = PairGuidedGradCam(model, layer="1").attribute(pair)
        >>> map_a.shape, map_b.shape
        (torch.Size([2, 1, 8, 8]), torch.Size([2, 1, 8, 8]))
    """

    name, algorithm = "guided_gradcam", captum.GuidedGradCam
    formula = r"\mathrm{GuidedBackprop} \odot \uparrow \mathrm{relu}(\mathrm{GradCAM})"
    reference = ("selvaraju2017",)
    needs_layer = hooks = unique = input_level = moves_inputs = True
    modalities = frozenset({"image", "series", "volume"})
    differentiable = False

    def compute(self, batch: PairBatch, **options: Any) -> Maps:
        sizes = check_channels(batch, self.layer, self.layout, type(self).__name__)
        return without_padding(batch, super().compute(batch, **options), sizes)
