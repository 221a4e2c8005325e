"""captum's gradient methods on the two inputs."""

from __future__ import annotations

import captum.attr as captum

from xsiamese.author import Adapted


class PairSaliency(Adapted):
    """How much the score reacts to each value: the size of its gradient (``abs=False`` keeps the sign)."""

    name, algorithm = "saliency", captum.Saliency
    formula = r"|\partial s / \partial x|"
    reference = ("simonyan2014",)
    modalities = frozenset({"image", "row", "series", "volume", "text", "graph"})


class PairInputXGradient(Adapted):
    """Gradient times input. On a bias-free ReLU encoder with a dot product each side's map sums to the score."""

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
    """

    linear = True
    name, algorithm = "integrated_gradients", captum.IntegratedGradients
    formula = r"(x - x_0) \odot \int_0^1 \partial s / \partial x \,(x_0 + t (x - x_0))\, dt"
    reference = ("sundararajan2017",)
    apart = True
    modalities = frozenset({"image", "row", "series", "volume", "text", "graph"})
    complete = True


class PairGradientShap(Adapted):
    """Expected gradients: integrated gradients from baselines drawn from samples. Each pair gets the same draws."""

    name, algorithm = "gradient_shap", captum.GradientShap
    formula = r"\mathbb{E}_{x_0, t}\,[(x - x_0) \odot \partial s / \partial x\,(x_0 + t (x - x_0))]"
    reference = ("lundberg2017",)
    apart = True
    stochastic = distribution_baselines = returns_delta = True
    differentiable = False


class PairDeepLift(Adapted):
    """DeepLIFT's rescale rule: differences of activations from those at the baselines, in place of gradients.

    Exact where the comparison is linear in the embedding of the side that moves (dot, bilinear). The comparison itself
    has no rescale rule: captum uses its gradient at the pair, so ask for ``return_convergence_delta`` and read it.

    Of graphs it explains node features, through layers that are linear in them (GCN, GIN, GraphSAGE); attention is a
    product, which has no rule
    either, and so is the weight of an edge times its message. captum sees activations that are modules, ``nn.ReLU`` and
    not ``torch.relu``.
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
    """DeepLIFT averaged over several baselines, given as a pair of tensors with one sample a row."""

    name, algorithm = "deep_lift_shap", captum.DeepLiftShap
    formula = r"\mathbb{E}_{x_0}\,[\mathrm{DeepLIFT}(x, x_0)]"
    reference = ("lundberg2017", "shrikumar2017")
    apart = True
    hooks = unique = returns_delta = distribution_baselines = True
    differentiable = False


class PairGuidedBackprop(Adapted):
    """Gradients in which every ``nn.ReLU`` passes back only what is positive, forwards and backwards. Sensitive to
    edges, less to weights.
    """

    name, algorithm = "guided_backprop", captum.GuidedBackprop
    formula = r"\partial s / \partial x \text{ with } R^l = 1[z > 0]\, 1[R^{l+1} > 0]\, R^{l+1}"
    reference = ("springenberg2015",)
    hooks = unique = True


class PairDeconvolution(Adapted):
    """Gradients in which every ``nn.ReLU`` passes back what is positive, whatever it did forwards."""

    name, algorithm = "deconvolution", captum.Deconvolution
    formula = r"\partial s / \partial x \text{ with } R^l = 1[R^{l+1} > 0]\, R^{l+1}"
    reference = ("zeiler2014",)
    hooks = unique = True


class PairGuidedGradCam(Adapted):
    """Guided backpropagation times what is positive of Grad-CAM, each branch with its own: what pushes apart is cut, as
    in the paper.
    """

    name, algorithm = "guided_gradcam", captum.GuidedGradCam
    formula = r"\mathrm{GuidedBackprop} \odot \uparrow \mathrm{relu}(\mathrm{GradCAM})"
    reference = ("selvaraju2017",)
    needs_layer = hooks = unique = input_level = moves_inputs = True
    modalities = frozenset({"image", "series", "volume"})
    differentiable = False
