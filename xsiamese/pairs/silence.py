"""Why a map is zero: four reasons that look alike, each said only where it was found."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from xsiamese.branches.record import first_tensor
from xsiamese.pairs.pairs import Pairs

NEEDS_NONE = (
    "PairFeatureAblation, PairOcclusion, PairMaskRegression and other methods that remove and ask again need none"
)
COARSE = 1e-5  # of single precision 5e-7, of half 4e-3, by which whole inputs may count


class NoGradientError(ValueError):
    """The score changes with an input and carries no gradient to it."""


def why_zero(batch: Pairs, side: int, *, gradients: bool, layered: bool) -> str:
    """Why the map of a side is zero, in one sentence.

    Args:
        batch: the pairs.
        side: 0 for a, 1 for b.
        gradients: whether the map is made of gradients.
        layered: whether it is of a layer's output.

    Raises:
        NoGradientError: if the score does change with the input, and has no gradient to lead there.
    """
    name = "ab"[side]
    one = replace(batch, wrt=("first", "second")[side], plans={}, create_graph=False)
    moved = [leaf.detach().clone().requires_grad_() for leaf in one.moved]
    ids = any(one.place(i)[0].still for i in range(len(moved)))
    with torch.inference_mode(False), torch.enable_grad():
        value, last, first = _watched(one, moved)
        slopes = _slopes(value, first if ids else moved)  # ids have no gradient: what is made of them has
        changed = _changes(one, value)
    no_effect = f"input {name} has no effect on the value explained: its map is zero"
    if not gradients or (ids and not first):
        return f"the map of input {name} is zero, though the score changes with it" if changed else no_effect
    if slopes is None and changed:
        raise NoGradientError(
            f"the score carries no gradient to input {name}, though it changes with it: the graph is cut {last}; "
            f"{NEEDS_NONE}"
        )
    if not changed:
        return no_effect
    if slopes is not None and (ids or any(bool(slope.any()) for slope in slopes)):
        if layered and not ids:
            return f"the layer's first output is not used by the score of input {name}: its map is zero; choose another"
        return f"the map of input {name} is zero, though the score has a gradient to it"
    return (
        f"the score is flat here: it changes with input {name}, and its gradient at this pair is zero (a saturated or "
        "clamped score, or equal embeddings)"
    )


def _slopes(value: Tensor, moved: Sequence[Tensor]) -> list[Tensor] | None:
    """The gradients of the score, or None where it has none at all."""
    if not value.requires_grad:
        return None
    found = torch.autograd.grad(value.sum(), list(moved), allow_unused=True) if moved else ()
    return [slope for slope in found if slope is not None] or None


def _changes(one: Pairs, value: Tensor) -> bool:
    """Whether the score of any pair changes where the whole input does."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        other = [
            torch.zeros_like(leaf)
            if one.place(i)[0].still
            else leaf + (leaf.std(correction=0) + 1) * torch.randn(leaf.shape, generator=generator).to(leaf)
            for i, leaf in enumerate(one.moved)
        ]
        return not torch.allclose(one.value(*other), value.detach(), rtol=rounding(value), atol=0.0, equal_nan=True)


def rounding(value: Tensor) -> float:
    """What scores may differ by, relatively, that are one: some roundings, and nothing where these are coarse."""
    least = 4 * torch.finfo(value.dtype).eps
    return least if least < COARSE else 0.0


def _watched(one: Pairs, moved: Sequence[Tensor]) -> tuple[Tensor, str, list[Tensor]]:
    """The score, behind which module its graph ends, and the vectors that are made of ids, where it begins."""
    names = {module: name for name, module in one.model.named_modules()}
    last: list[str] = []
    first: list[Tensor] = []
    unseen: list[str] = []

    def before(module: nn.Module, args: Any) -> None:
        moves = any(isinstance(arg, Tensor) and arg.requires_grad for arg in args)  # a held side has none to lose
        if moves and not torch.is_grad_enabled() and not unseen and names[module]:  # the outermost comes first
            unseen.append(names[module].removeprefix("model."))

    def note(module: nn.Module, args: Any, output: Any) -> Any:
        tensor, found = first_tensor(output), None
        of_ids = args and isinstance(args[0], Tensor) and not args[0].is_floating_point()
        if of_ids and not any(module.children()) and isinstance(output, Tensor) and output.is_floating_point():
            first.append(output.detach().requires_grad_())
            tensor = found = first[-1] * 1  # what follows may write into it, and into no leaf
        if tensor is not None and tensor.requires_grad and names[module]:
            last[:] = [names[module].removeprefix("model.")]
        return found

    with ExitStack() as stack:
        for module in names:
            stack.callback(module.register_forward_pre_hook(before).remove)
            stack.callback(module.register_forward_hook(note).remove)
        value: Tensor = one.value(*moved)
    cut = f"after {last[0]!r}" if last else "before the first module is reached"
    if unseen:
        return value, f"at {unseen[0]!r}, which is called inside no_grad or inference_mode", first
    return value, f"{cut} (no_grad, detach, numpy, whole numbers or a quantised layer)", first
