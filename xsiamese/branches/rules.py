"""The rules of layer-wise relevance propagation: what a layer's relevance is divided by on its way back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

Rule = Literal["epsilon", "gamma", "zplus", "gradient"]


class Affine(NamedTuple):
    """A layer that is affine in its input: ``of(input, weight, bias)`` is its output."""

    of: Callable[..., Tensor]
    weight: Tensor
    bias: Tensor | None
    outputs: int = 0  # the dimension of the weight that counts outputs


@dataclass(frozen=True)
class Rules:
    r"""Which rule each layer follows. Of the contributions :math:`z_{jk} = a_j w_{jk}` to :math:`z_k = \sum_j z_{jk} +
    b_k`, each takes its share of the relevance :math:`R_k`:

    - "epsilon": :math:`z_{jk} / (z_k + \epsilon\, \mathrm{sign}\, z_k)`; with :math:`\epsilon = 0` it is LRP-0, which
      is gradient times input on a network of ReLUs.
    - "gamma": :math:`(z_{jk} + \gamma z_{jk}^+) / (z_k + \gamma \sum_j z_{jk}^+ + \gamma b_k^+)` where :math:`z_k \geq
      0`, and with the negative parts where it is negative, so that no denominator is smaller than :math:`|z_k|`.
    - "zplus": :math:`z_{jk}^+ / (\sum_j z_{jk}^+ + b_k^+)`, and again the negative parts where :math:`z_k` is: what
      "gamma" becomes when :math:`\gamma` grows.
    - "gradient": the layer is differentiated.
    - ``box=(low, high)``, for the layers that get the input itself, whose values lie between the two:
      :math:`(z_{jk} - l_j w_{jk}^+ - h_j w_{jk}^-)` over its sum, the rule :math:`z^B`.

    Attributes:
        rule: one for all layers, or a mapping from the beginnings of dotted names to rules; the longest that fits
            counts, and "epsilon" where none does.
        gamma: how much more positive contributions weigh.
        epsilon: what is added to denominators, in units of the layer's output. None needs it to be finite: it takes
            from the relevance of outputs near zero, which are noisy.
        box: the lowest and the highest value of the input, each a number or a tensor for one item.

    Example:
        >>> Rules({"features": "gamma"}).of("features.0"), Rules({"features": "gamma"}).of("head")
        ('gamma', 'epsilon')
    """

    rule: Rule | Mapping[str, Rule] = "epsilon"
    gamma: float = 0.25
    epsilon: float = 0.0
    box: tuple[float | Tensor, float | Tensor] | None = None

    def __post_init__(self) -> None:
        for rule in self.rule.values() if isinstance(self.rule, Mapping) else (self.rule,):
            if rule not in get_args(Rule):
                raise ValueError(f"rule={rule!r}: one of {', '.join(get_args(Rule))} is needed")
        for name in ("gamma", "epsilon"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name}={getattr(self, name)!r}: a number that is not negative is needed")
        if self.box is not None and not (isinstance(self.box, (tuple, list)) and len(self.box) == 2):
            raise ValueError(f"box={self.box!r}: a pair (lowest, highest value of the input) is needed")

    def of(self, name: str) -> Rule:
        """The rule of the layer of this dotted name."""
        if not isinstance(self.rule, Mapping):
            return self.rule
        fitting = [start for start in self.rule if name == start or name.startswith(f"{start}.") or not start]
        return self.rule[max(fitting, key=len)] if fitting else "epsilon"

    def shared_out(self, rule: Rule, layer: Affine, a: Tensor, z: Tensor) -> Tensor:
        """``z`` with a graph along which gradients are relevances over values."""
        return self._ratio(self._denominator(rule, layer, a, z), z)

    def boxed(self, layer: Affine, x: Tensor, z: Tensor) -> Tensor:
        """``z`` with a graph along which the gradient of ``x`` is its relevance by the rule :math:`z^B`.

        Raises:
            ValueError: if ``x`` leaves the box.
        """
        assert self.box is not None
        low, high = (torch.as_tensor(end, dtype=x.dtype, device=x.device).expand_as(x) for end in self.box)
        x_, slack = x.detach(), 1e-6 * (high - low).abs()
        if bool((x_ < low - slack).any()) or bool((x_ > high + slack).any()):
            raise ValueError(
                f"the input reaches from {float(x_.min()):.4g} to {float(x_.max()):.4g} and leaves the box: give the "
                "lowest and the highest value that the input can have, after normalisation"
            )
        gate = x - x_ + 1  # ones: what is differentiated is the presence of a value and of its bounds
        above, below = (
            layer.of(low * gate, layer.weight.clamp(min=0), None),
            layer.of(high * gate, layer.weight.clamp(max=0), None),
        )
        return self._ratio(layer.of(x_ * gate, layer.weight, None) - above - below, z)

    def passed_on(self, a: Tensor, value: Tensor) -> Tensor:
        """``value``, a function of each number of ``a`` alone, with a graph that passes relevance on as it is."""
        return value.detach() + (a - a.detach()) * self._over(value, a)

    def _denominator(self, rule: Rule, layer: Affine, a: Tensor, z: Tensor) -> Tensor:
        if rule == "epsilon" or (rule == "gamma" and not self.gamma):
            return layer.of(a, layer.weight, layer.bias)
        up, down = layer.weight.clamp(min=0), layer.weight.clamp(max=0)
        bias_up, bias_down = (None, None) if layer.bias is None else (layer.bias.clamp(min=0), layer.bias.clamp(max=0))
        above, below = a.clamp(min=0), a.clamp(max=0)
        mixed = bool((a.detach() < 0).any())  # after a ReLU half of the passes are zero
        positive = layer.of(above, up, bias_up) + (layer.of(below, down, None) if mixed else 0)
        negative = layer.of(above, down, bias_down) + (layer.of(below, up, None) if mixed else 0)
        alike = torch.where(z.detach() >= 0, positive, negative)
        return alike if rule == "zplus" else layer.of(a, layer.weight, layer.bias) + self.gamma * alike

    def _ratio(self, p: Tensor, z: Tensor) -> Tensor:
        return z.detach() + (p - p.detach()) * self._over(z, p)

    def _over(self, value: Tensor, by: Tensor) -> Tensor:
        """The ratio of two values as a constant, 0 where there is nothing to divide by, or next to nothing."""
        value, by = value.detach(), by.detach()
        ratio = value / (by + self.epsilon * torch.where(by < 0, -1.0, 1.0).to(by.dtype))
        return torch.where((by == 0) | ~ratio.isfinite(), torch.zeros_like(value), ratio)


def affine(module: nn.Module) -> Affine | None:
    """What a layer computes of its input; None for a layer that is not affine."""
    if isinstance(module, nn.Linear):
        return Affine(functional.linear, module.weight, module.bias)
    if not isinstance(module, nn.modules.conv._ConvNd):
        return None
    if not isinstance(module, nn.modules.conv._ConvTransposeNd):
        return Affine(cast(nn.Conv2d, module)._conv_forward, module.weight, module.bias)
    transposed = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d, 3: functional.conv_transpose3d}
    settings: dict[str, Any] = {
        name: getattr(module, name) for name in ("stride", "padding", "output_padding", "groups", "dilation")
    }
    function = partial(transposed[len(module.kernel_size)], **settings)
    return Affine(function, module.weight, module.bias, outputs=1)


def fused(layer: Affine, norm: nn.modules.batchnorm._BatchNorm) -> Affine:
    """An affine layer and the batch normalisation after it as one layer."""
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    slope = (variance + norm.eps).rsqrt()
    slope = slope if norm.weight is None else slope * norm.weight
    shift = (-mean if layer.bias is None else layer.bias - mean) * slope
    shape = [-1 if i == layer.outputs else 1 for i in range(layer.weight.dim())]
    return layer._replace(
        weight=layer.weight * slope.reshape(shape), bias=shift if norm.bias is None else shift + norm.bias
    )
