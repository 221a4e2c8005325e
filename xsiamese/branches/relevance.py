r"""Layer-wise relevance propagation as back-propagation: inside :func:`propagating` a gradient is relevance over value.

Write :math:`R_k = z_k G_k` for the relevance of an output, where :math:`G_k` is what arrives by back-propagation. A
layer whose output is :math:`p_k \lfloor z_k / p_k \rfloor`, the same value with another graph, passes back :math:`G_j =
\sum_k (\partial p_k / \partial a_j) R_k / p_k`, and :math:`R_j = a_j G_j` is the rule of denominator :math:`p_k`. So
what enters at the top is the derivative of whatever is differentiated (a score, or each dimension of an embedding), and
ReLUs, pooling, sums and views need nothing done: they pass relevance on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from xsiamese.branches.derivative import refuse_derivative, transform
from xsiamese.branches.layers import find_layers, name_of
from xsiamese.branches.refused import refuse_transformed
from xsiamese.branches.rules import Affine, Rule, Rules, affine, fused
from xsiamese.model.pair import PairModel

_CURVED = (nn.Tanh, nn.Sigmoid, nn.GELU, nn.SiLU, nn.Mish, nn.ELU, nn.SELU, nn.CELU, nn.Softplus, nn.Hardswish)
_AFFINE = {
    layer.forward
    for layer in (
        nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d,
    )
}  # fmt: skip
_RULES = "LRP's rules"
_AS_IT_IS = ("Clone", "Alias", "View", "UnsafeView", "ReshapeAlias", "Unsqueeze", "Squeeze", "Transpose", "Permute")
_DIFFERENTIATED = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.Embedding, nn.PReLU)


class Relevance:
    """What propagates relevance through a model for the time of one pass."""

    def __init__(self, rules: Rules, inputs: Sequence[Tensor]) -> None:
        self.rules = rules
        self.inputs = inputs
        self._boxed: set[int] = set()
        self._sources: dict[int, tuple[Rule, Affine, Tensor, Tensor]] = {}
        self._inside: list[None] = []  # for each root that is at work; hooks of tensors may hold no tensors

    def maps(self, gradients: Sequence[Tensor]) -> list[Tensor]:
        """The relevance of each input from its gradient.

        Raises:
            ValueError: if a box is asked for and some input reaches no layer as it is.
        """
        if self.rules.box is None:
            return [x * g for x, g in zip(self.inputs, gradients, strict=True)]
        if len(self._boxed) < len({x.untyped_storage().data_ptr() for x in self.inputs}):
            raise ValueError(
                "box= is for a model whose first linear layer or convolution gets the input as it is: this one changes "
                "it before; leave out box="
            )
        return list(gradients)

    def hook(self, module: nn.Module, name: str, rule: Rule) -> Any:
        """What changes the graph of a module's output by its rule, or None where a gradient is right.

        Raises:
            ValueError: if there is no rule for a module with parameters of its own.
        """
        if rule == "gradient":
            return None
        if affine(module) is not None:
            return lambda module, inputs, output: self._affine(module, name, inputs[0], output, rule)
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)):
            return self._batch_norm
        if isinstance(module, nn.LayerNorm):
            return lambda module, inputs, output: _layer_norm(module, name, inputs[0], output)
        if isinstance(module, _CURVED):
            return lambda _, inputs, output: self.rules.passed_on(inputs[0], output)
        if isinstance(module, (nn.MultiheadAttention, nn.RNNBase)) or (
            not list(module.children()) and list(module.parameters()) and not isinstance(module, _DIFFERENTIATED)
        ):
            raise ValueError(_no_rule(module, name))
        return None

    def enter(self, *_: Any) -> None:
        """A pass of a root begins."""
        self._inside.append(None)

    def leave(self, *_: Any) -> None:
        """A pass of a root ends."""
        self._inside.pop()

    def watching(self, hook: Any) -> Any:
        """A hook that refuses a model which differentiates inside its own pass: with rules in place of derivatives it
        would give another score.
        """

        def hooked(module: nn.Module, inputs: Any, output: Any) -> Any:
            if transform() is not None:
                refuse_derivative(_RULES)
            if isinstance(output, Tensor):
                refuse_transformed([output])
            found = hook(module, inputs, output)
            if isinstance(found, Tensor) and found.requires_grad:
                found.register_hook(partial(_refuse_inside, self._inside))  # type: ignore[no-untyped-call]
            return found

        return hooked

    def _affine(self, module: nn.Module, name: str, a: Tensor, z: Tensor, rule: Rule) -> Tensor:
        layer = affine(module)
        assert layer is not None
        if getattr(module.forward, "__func__", None) not in _AFFINE and not _gives(
            layer.of, (a, layer.weight, layer.bias), z
        ):
            # weights that are standardised in each pass, say: where the layer is affine, LRP-0 is its gradient
            if rule != "epsilon" or self.rules.epsilon or self.rules.box is not None or not _is_affine(module, a, z):
                raise ValueError(_no_rule(module, name))
            return z
        if self.rules.box is not None and (given := _which(a, self.inputs)) is not None:
            self._boxed.add(given)
            return self.rules.boxed(layer, a, z)
        found = self.rules.shared_out(rule, layer, a, z)
        self._sources[id(found)] = (rule, layer, a, found)  # holds the tensor, so that its id stays its own
        return found

    def _batch_norm(self, norm: Any, inputs: tuple[Tensor, ...], z: Tensor) -> Tensor:
        """With the layer before it, a batch normalisation is one layer; else it is differentiated."""
        if id(inputs[0]) not in self._sources or norm.running_mean is None:
            return z
        rule, layer, a, _ = self._sources[id(inputs[0])]
        return self.rules.shared_out(rule, fused(layer, norm), a, z)


def rules_of(model: PairModel, roots: Sequence[nn.Module], rules: Rules) -> dict[nn.Module, tuple[str, Rule]]:
    """What the modules inside some are called, and the rules that they follow: that of the innermost layer around them
    that was named.

    Raises:
        ValueError: if no layer has a name that was given a rule.
    """
    inside = [module for root in roots for module in root.modules()]
    if not isinstance(rules.rule, Mapping):
        return {module: (name_of(model, module), rules.rule) for module in inside}
    found: dict[nn.Module, Rule] = {}
    chosen = [
        (module, rule)
        for name, rule in rules.rule.items()
        for pair in (find_layers(model, name) if name else [(root, None) for root in roots])
        for module in pair
        if module is not None
    ]
    for module, rule in sorted(
        chosen, key=lambda one: -sum(1 for _ in one[0].modules())
    ):  # what is around others first
        found |= dict.fromkeys(module.modules(), rule)
    return {module: (name_of(model, module), found.get(module, "epsilon")) for module in inside}


@contextmanager
def propagating(
    roots: Sequence[nn.Module],
    rules: Rules,
    inputs: Sequence[Tensor] = (),
    known: Mapping[nn.Module, tuple[str, Rule]] | None = None,
) -> Iterator[Relevance]:
    """Inside the block, gradients through ``roots`` are relevances over values.

    Args:
        roots: the modules that propagate relevance, with all that is inside them.
        rules: which rule each layer follows, by its dotted name below its root.
        inputs: what enters the model, for the rule of the box.
        known: what modules are called, and the rules that they follow, in place of these.

    Example:
        >>> import torch
        >>> layer, x = nn.Linear(2, 1, bias=False), torch.tensor([[1.0, 2.0]], requires_grad=True)
        >>> _ = nn.init.constant_(layer.weight, 3.0)
        >>> with propagating([layer], Rules("gamma")) as relevance:
        ...     gradient, = torch.autograd.grad(layer(x).sum(), x)
        >>> (x * gradient).tolist()
        [[3.0, 6.0]]
    """
    relevance = Relevance(rules, inputs)
    named = {module: (name, rules.of(name)) for root in roots for name, module in root.named_modules()}
    hooks = {module: relevance.hook(module, *(known or named).get(module, own)) for module, own in named.items()}
    with ExitStack() as stack:
        for module, hook in hooks.items():
            if hook is not None:
                stack.callback(module.register_forward_hook(relevance.watching(hook)).remove)
        for root in dict.fromkeys(roots):
            stack.callback(root.register_forward_pre_hook(relevance.enter).remove)
            stack.callback(root.register_forward_hook(relevance.leave).remove)
        yield relevance


def _refuse_inside(inside: Sequence[None], gradient: Tensor) -> None:
    if inside:
        refuse_derivative(_RULES)


def _layer_norm(norm: nn.Module, name: str, a: Tensor, z: Tensor) -> Tensor:
    """Layer normalisation with its standard deviation as a constant (Ali et al. 2022), over the last dimensions, or
    over channels that come first, as those of convolutional networks are.
    """
    assert isinstance(norm, nn.LayerNorm)
    if type(norm).forward is nn.LayerNorm.forward:
        return _normalised(a, norm)
    for dim in (-1, 1):
        turned = a.movedim(dim, -1)
        if turned.shape[-len(norm.normalized_shape) :] == norm.normalized_shape:
            found = _normalised(turned, norm).movedim(-1, dim)
            if _alike(found, z):
                return found
    raise ValueError(_no_rule(norm, name))


def _normalised(x: Tensor, norm: nn.LayerNorm) -> Tensor:
    axes = tuple(range(-len(norm.normalized_shape), 0))
    centred = x - x.mean(axes, keepdim=True)
    scaled = centred * (centred.detach().square().mean(axes, keepdim=True) + norm.eps).rsqrt()
    scaled = scaled if norm.weight is None else scaled * norm.weight
    return scaled if norm.bias is None else scaled + norm.bias


def _no_rule(module: nn.Module, name: str) -> str:
    return (
        f"LRP has no rule for {name!r}, a {type(module).__name__}: rule={{{name!r}: 'gradient'}} takes its gradient "
        "instead"
    )


def _is_affine(module: nn.Module, a: Tensor, z: Tensor) -> bool:
    """Whether a layer gives as much more of an input as it gave of that one."""
    with torch.no_grad():
        return _alike(module.forward(2 * a) - z, z - module.forward(0 * a))


def _gives(function: Any, given: tuple[Any, ...], z: Tensor) -> bool:
    """Whether a function gives this output."""
    with torch.no_grad():
        try:
            return _alike(function(*given), z)
        except RuntimeError:  # of another shape
            return False


def _alike(x: Tensor, z: Tensor) -> bool:
    return x.shape == z.shape and bool((x - z).abs().max() <= torch.finfo(z.dtype).eps ** 0.5 * z.abs().max())


def _which(tensor: Tensor, inputs: Sequence[Tensor]) -> int | None:
    """Which of the inputs a tensor is, or is a copy or a view of, told by its graph; None if it was made of them."""
    node = tensor.grad_fn
    while node is not None and node.name().startswith(_AS_IT_IS):
        node = node.next_functions[0][0]
    begins = tensor if node is None else getattr(node, "variable", None)
    if begins is None:
        return next((i for i, x in enumerate(inputs) if x.grad_fn is node), None)
    place = begins.untyped_storage().data_ptr()
    return next((i for i, x in enumerate(inputs) if x.untyped_storage().data_ptr() == place), None)
