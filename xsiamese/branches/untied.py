"""A model in which every call of a shared module is a module of its own, around the same tensors.

Hook-based tools keep what they see per module; on the untied copy of a Siamese model they are right, and the user's
model is not touched.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from xsiamese.branches.copies import copied_with, hold_instead, kept_in_copies
from xsiamese.branches.outputs import first_tensor
from xsiamese.branches.record import LayerPair
from xsiamese.branches.standins import Branches, Elsewhere, Handing, Ported


class Views:
    """A copy of a model around the same tensors, in which every call of a shared module is a module of its own."""

    def __init__(
        self,
        model: nn.Module,
        shared: Sequence[nn.Module],
        stacked: Sequence[bool],
        order: Sequence[tuple[int, ...]],
        tie: bool,
    ) -> None:
        tensors = kept_in_copies(model, tie)
        self._memos: list[dict[int, Any]] = [dict(tensors)]
        self.model: nn.Module = copied_with(model, self._memos[0])
        self._inside: dict[int, tuple[list[dict[int, Any]], tuple[int, ...]]] = {}
        for module, is_stacked, sides in zip(shared, stacked, order, strict=True):
            memos = [self._memos[0], *(dict(tensors) for _ in sides[1:])]
            views = [memos[0][id(module)], *(copied_with(module, memo) for memo in memos[1:])]
            replace(self.model, memos[0][id(module)], Branches(views, is_stacked))
            for inner in module.modules():
                self._inside[id(inner)] = (memos, sides)
        for module in self.model.modules():
            if getattr(module, "inplace", False) is True:
                module.inplace = False  # type: ignore[assignment]  # what a hook keeps must not change afterwards

    def of(self, layers: LayerPair) -> LayerPair | None:
        """The first views of a layer in branch a and in branch b, or None if it is not part of the model."""
        found = self.all_of(layers)
        return None if found is None else (found[0][0], found[1][0])

    def all_of(self, layers: LayerPair) -> tuple[list[nn.Module], list[nn.Module]] | None:
        """The views of a layer in branch a and in branch b, one for each call of what is shared around it; None if it
        is not part of the model.
        """
        if any(id(layer) not in self._memos[0] for layer in layers):
            return None
        first, second = (self._views(layer, side) for side, layer in enumerate(layers))
        return first, second

    def _views(self, layer: nn.Module, side: int) -> list[nn.Module]:
        memos, sides = self._inside.get(id(layer), (self._memos, (side,)))
        return [memo[id(layer)] for memo, of in zip(memos, sides, strict=True) if of == side]


def untied(
    model: nn.Module,
    shared: nn.Module | Sequence[nn.Module],
    *,
    stacked: Sequence[bool] | bool = False,
    order: Sequence[tuple[int, ...]] | None = None,
    tie: bool = True,
) -> Views:
    """A copy of ``model`` in which the i-th call of each ``shared`` module goes to its own view, around the same
    parameters and buffers.

    The user's model is not touched: hooks, masks and flags land on the copy and vanish with it.

    Args:
        model: the whole model, which calls the shared modules twice or once with a stacked batch.
        shared: the modules to untie.
        stacked: for each, whether it is called once with both sides as one batch.
        order: for each, the side of the i-th call.
        tie: False copies the parameters as well, for tools that change weights.

    Example:
        >>> encoder = nn.Linear(2, 2)
        >>> class Twin(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.encoder = encoder
        ...     def forward(self, a, b):
        ...         return (self.encoder(a) * self.encoder(b)).sum(1)
        >>> views = untied(Twin(), encoder)
        >>> view_a, view_b = views.of((encoder, encoder))
        >>> view_a is not view_b and view_a.weight is view_b.weight is encoder.weight
        True
    """
    modules = [shared] if isinstance(shared, nn.Module) else list(shared)
    flags = [stacked] * len(modules) if isinstance(stacked, bool) else list(stacked)
    return Views(model, modules, flags, order or [(0, 1)] * len(modules), tie)


def count_calls(model: nn.Module, run: Callable[[], Any]) -> Counter[nn.Module]:
    """How often each module of ``model`` is called in one pass without gradients."""
    return Counter({module: len(outputs) for module, outputs in outputs_of(model, run).items()})


def outputs_of(model: nn.Module, run: Callable[[], Any]) -> dict[nn.Module, list[Any]]:
    """What each module of ``model`` returns in one pass without gradients, call by call."""
    found: dict[nn.Module, list[Any]] = {}
    with ExitStack() as stack, torch.no_grad():
        for module in model.modules():
            stack.callback(module.register_forward_hook(lambda m, _, out: found.setdefault(m, []).append(out)).remove)
        run()
    return found


def with_ports(model: nn.Module, layers: LayerPair, outputs: dict[nn.Module, list[Any]]) -> LayerPair:
    """The layers, which in a copied model hand on copies, or where one returns more than a tensor, the port of its
    first.
    """
    ports = []
    for layer in layers:
        several = any(not isinstance(one, Tensor) and first_tensor(one) is not None for one in outputs.get(layer, ()))
        handing = Ported(layer) if several else Handing(layer)
        if several or layer is not model:
            replace(model, layer, handing)
        ports.append(handing.port if isinstance(handing, Ported) else layer)
    return ports[0], ports[1]


def one_by_one(model: nn.Module, layer: nn.Module, run: Callable[[], Any]) -> list[nn.Module]:
    """Puts, in a copied model, a module of its own for each call of a layer in a pass, and gives these."""
    counts = count_calls(model, run)
    if counts[layer] < 2:
        return [layer]
    # what is called often around it is taken apart first, from the top, so that nothing in it is met again
    around = (m for m in model.modules() if counts[m] > 1 and not isinstance(m, Branches))
    top = next(m for m in around if any(inner is layer for inner in m.modules()))
    memos = _apart(model, top, counts[top])
    return [view for memo in memos for view in one_by_one(model, memo[id(layer)], run)]


def untie_repeats(model: nn.Module, run: Callable[[], Any]) -> None:
    """Unties, in a copied model, every module that is still called more than once in a pass (a reused activation)."""
    for _ in range(8):
        counts = count_calls(model, run)
        repeated = [
            m
            for m, n in counts.items()
            if n > 1 and not isinstance(m, Branches) and not _inside_repeated(model, m, counts)
        ]
        if not repeated:
            return
        for module in repeated:
            _apart(model, module, counts[module])


def _apart(model: nn.Module, module: nn.Module, calls: int) -> list[dict[int, Any]]:
    """Puts a module of its own for each call of one; for each what stands for the modules inside, the first being
    themselves.
    """
    tensors = kept_in_copies(model)
    memos: list[dict[int, Any]] = [dict(tensors) for _ in range(calls - 1)]
    views = [module, *(copied_with(module, memo) for memo in memos)]
    replace(model, module, Branches(views))
    return [{id(inner): inner for inner in module.modules()}, *memos]


def replace(root: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Puts ``new`` wherever ``old`` is registered below ``root``: itself in the first place, :class:`Elsewhere` in the
    others.
    """
    places = [(parent, name) for parent in root.modules() for name, child in parent._modules.items() if child is old]
    for i, (parent, name) in enumerate(places):
        parent._modules[name] = new if i == 0 else Elsewhere(new)
    inside = set(new.modules())
    hold_instead([module for module in root.modules() if module not in inside], {id(old): new})


def hide(root: nn.Module, module: nn.Module) -> None:
    """Puts :class:`Elsewhere` wherever a module is registered below ``root``, so that tools do not meet it."""
    for parent in [*root.modules()]:
        for name, child in parent._modules.items():
            if child is module:
                parent._modules[name] = Elsewhere(module)


def _inside_repeated(root: nn.Module, child: nn.Module, counts: Counter[nn.Module]) -> bool:
    """Whether a module around ``child`` is itself called more than once; :class:`Branches` is, but calls each view
    once.
    """
    around = (m for m in root.modules() if m is not child and any(c is child for c in m.modules()))
    return any(counts[m] > 1 and not isinstance(m, Branches) for m in around)
