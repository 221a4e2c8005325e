"""Why a map is zero: four reasons that look alike, each said only where it was found."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor
from torch.utils.checkpoint import CheckpointError

from xsiamese.branches.cut import INSIDE, NoGradientError, Watched
from xsiamese.branches.intact import outside_inference
from xsiamese.pairs.pairs import Pairs

CHECKPOINTS = (
    "the model checkpoints its activations, which are then made anew in the backward pass, where this method needs "
    "those of the forward pass: switch it off to explain (gradient_checkpointing_disable(), use_checkpoint=False, or "
    "without torch.utils.checkpoint); use_reentrant=False is enough for gradients of the inputs"
)
NOTHING = 2e-3  # of channels that are of any sign chance leaves ten times as much, whatever their number
_REENTRANT = "use_reentrant=True"  # what torch says of gradients of tensors
COARSE = 1e-5  # of single precision 5e-7, of half 4e-3, by which whole inputs may count


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
    moved = [leaf.detach().clone().requires_grad_(gradients) for leaf in one.moved]
    ids = any(one.place(i)[0].still for i in range(len(moved)))
    with torch.inference_mode(False), torch.enable_grad():
        seen = Watched(one.model, one.value, moved)
        slopes = _slopes(seen.value, seen.first if ids else moved)  # ids have no gradient: what is made of them has
        changed = _changes(one, seen.value)
    no_effect = f"input {name} has no effect on the value explained: its map is zero"
    if not gradients or (ids and not seen.first):
        return f"the map of input {name} is zero, though the score changes with it" if changed else no_effect
    if slopes is None and changed:
        raise NoGradientError(f"the score carries no gradient to input {name}, though it changes with it", seen.place)
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


def warn_cancelled(product: Tensor, side: int, names: Sequence[str]) -> None:
    """Says so if gradient times activation cancels at most places, as it does wherever what follows does not notice the
    size of an activation (Euler's theorem): what is left in its sum over channels is rounding.

    Args:
        product: of gradients and activations, shape (pairs, channels, ...).
        side: 0 for a, 1 for b.
        names: of the layers.
    """
    left, whole = product.detach().sum(1).abs(), product.detach().abs().sum(1)
    read = whole > 0
    cancelled = read & (left < NOTHING * whole)
    if 4 * int(cancelled.sum()) > 3 * int(read.sum()):  # a class token among them may not
        warnings.warn(
            f"gradient times activation cancels at the places of {', '.join(map(repr, names)) or 'the layer'}: what "
            f"follows reads input {'ab'[side]} there through a norm, which does not notice sizes, and the sum over "
            f"channels, {float((left[cancelled] / whole[cancelled]).max()):.1g} of its parts, is no more than rounding "
            "and the norm's epsilon; take PairGradCAM, PairOcclusion or another layer",
            stacklevel=6,
        )


@contextmanager
def naming_the_cut(batch: Pairs, *, gradients: bool) -> Iterator[None]:
    """What goes wrong in a method of gradients inside the block, as what it comes from where the graph is cut.

    Args:
        batch: the pairs.
        gradients: whether the method takes gradients: else only a layer that could not be found is told about.

    Raises:
        NoGradientError: with the module behind which the graph of the score is cut.
        ValueError: if the model checkpoints its activations in a way that no gradient of tensors passes.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (NoGradientError, RuntimeError, AttributeError, TypeError) as error:
        checkpoints = isinstance(error, CheckpointError) or _REENTRANT in str(error)
        if not (gradients or checkpoints or isinstance(error, NoGradientError)):
            raise
        if (told := _told(batch, error)) is None:
            raise
        raise told from error


def _told(batch: Pairs, error: Exception) -> Exception | None:
    """What an error comes from, where the graph is cut or the model checkpoints; None if neither was found."""
    if isinstance(error, CheckpointError) or _REENTRANT in str(error):
        return ValueError(CHECKPOINTS)
    if isinstance(error, NoGradientError) and error.place != INSIDE:
        return error
    few = next(replace(batch, wrt="both", plans={}, create_graph=False, witness=None).split(2))
    moved = [leaf.detach().clone().requires_grad_() for leaf in few.moved]
    try:
        with outside_inference(), torch.enable_grad():
            seen = Watched(few.model, few.value, moved)
            cut = _slopes(seen.value, [*moved, *seen.first]) is None and _changes(few, seen.value)
            place = seen.place if cut else seen.unseen
    except Exception as another:  # the model's own
        return ValueError(CHECKPOINTS) if _REENTRANT in str(another) else None
    if isinstance(error, NoGradientError):
        return None if place is None else NoGradientError(error.what, place, error.remedy)
    return NoGradientError("the score carries no gradient", seen.place) if cut else None


def _slopes(value: Tensor, moved: Sequence[Tensor]) -> list[Tensor] | None:
    """The gradients of the score, or None where it has none at all."""
    if not value.requires_grad:
        return None
    found = torch.autograd.grad(value.sum(), list(moved), retain_graph=True, allow_unused=True) if moved else ()
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
