"""What a layer's output was made of, as its graph tells: whether the input was turned, and what laid channels last."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection
from typing import Any, NamedTuple

from torch import Tensor

_TURNS = re.compile(r"(Transpose|Permute|Flip|Roll|Rot90|T)Backward\d")
_WEIGHS = re.compile(r"\w*(Convolution|Mm|Mv|Dot)\w*Backward\d|AddmmBackward\d|BaddbmmBackward\d")
# what leaves each place of (N, places, ...) where it is
_KEEPS = re.compile(
    r"(Add|Sub|Mul|Div|Cat|NativeLayerNorm|NativeBatchNorm|NativeGroupNorm|View|UnsafeView|Unsqueeze|Squeeze|Expand"
    r"|Clone|Alias|ToCopy|Addmm|Mm|Relu|Gelu|Silu|Elu|LeakyRelu|Tanh|Sigmoid|Pow|Neg)Backward\d"
)
_CONVOLVES = re.compile(r"\w*Convolution\w*Backward\d")


def turned(output: Tensor, leaves: Collection[Tensor]) -> bool:
    """Whether some leaf is transposed, permuted, flipped or rolled before anything weighs it, so that a grid made of it
    need not lie as the leaf does. Channels in another order turn nothing.

    Example:
        >>> import torch
        >>> x, layer = torch.ones(1, 3, 4, 4, requires_grad=True), torch.nn.Conv2d(3, 2, 1)
        >>> turned(layer(x), [x]), turned(layer(x.flip(3)), [x]), turned(layer(x.flip(1)), [x])
        (False, True, False)
    """
    makes: dict[Any, list[Any]] = defaultdict(list)
    waiting, seen = [output.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        for before, _ in node.next_functions:
            makes[before].append(node)
            waiting.append(before)
    own = {id(leaf) for leaf in leaves}
    ahead, met = [node for node in makes if id(getattr(node, "variable", None)) in own], set()
    while ahead:
        for node in makes[ahead.pop()]:
            name = type(node).__name__
            if _TURNS.match(name) and not _of_channels(node):
                return True
            if node not in met and not _WEIGHS.match(name):
                met.add(node)
                ahead.append(node)
    return False


class Handed(NamedTuple):
    """Places that an output (N, tokens, C) was handed.

    Attributes:
        dim: the dimension of the leaf that they lie along; 0 for those of a convolution.
        first: how many tokens come before them.
        many: how many they are.
    """

    dim: int
    first: int
    many: int


def handed_on(output: Tensor, leaves: Collection[Tensor]) -> Handed | None:
    """The places of a leaf, or of a convolution (N, C, places), that sums, norms, linear layers and the like hand on to
    an output (N, tokens, C), each in its place; None if there are none.

    Example:
        >>> import torch
        >>> x, layer = torch.ones(1, 4, 3, requires_grad=True), torch.nn.Linear(3, 2)
        >>> handed_on(torch.cat([torch.zeros(1, 1, 2), layer(x).tanh()], 1), [x])
        Handed(dim=1, first=1, many=4)
        >>> handed_on(torch.nn.Conv1d(4, 2, 1)(x).mT, [x]), handed_on(layer(x).sum(2), [x])
        (Handed(dim=0, first=0, many=3), None)
    """
    own, rows = {id(leaf) for leaf in leaves}, len(output)
    waiting, seen = [(output.grad_fn, 1, 0, int(output.shape[1]))], set()
    while waiting:
        state = node, dim, first, count = waiting.pop()
        if node is None or state in seen:
            continue
        seen.add(state)
        name = type(node).__name__
        if id(getattr(node, "variable", None)) in own:
            return Handed(dim, first, count)
        if dim == 2 and _CONVOLVES.match(name):
            return Handed(0, first, count)
        if not _KEEPS.match(name) and not name.startswith(("Transpose", "Permute")):
            continue
        turns, start = not _KEEPS.match(name), first
        before = [(one, tuple(one._input_metadata[i].shape) if one else ()) for one, i in node.next_functions]
        # what has no gradient, as a frozen class token, is taken for one token
        widths = [1 if one is None else shape[dim] if len(shape) > dim else 0 for one, shape in before]
        if (
            name.startswith("Cat")
            and sum(widths) == count
            and getattr(node, "_saved_dim", None) in (dim, 2**64 - 3 + dim)
        ):
            for (one, _), width in zip(before, widths, strict=True):
                waiting.append((one, dim, start, width))
                start += width
            continue
        for one, shape in before:
            if one is not None and (of := _places_of(shape, rows, count, 3 - dim if turns else dim)) is not None:
                waiting.append((one, of, first, count))
    return None


def _places_of(shape: tuple[int, ...], rows: int, count: int, dim: int) -> int | None:
    """The dimension that holds so many places, which is to be the given one, or the last of (N, places); None if none
    does.
    """
    if shape == (rows, count):
        return 1
    if dim == 2:
        return 2 if len(shape) == 3 and shape[::2] == (rows, count) else None
    return 1 if shape[:2] == (rows, count) or shape[:1] == (rows * count,) else None


def features_last(output: Tensor) -> bool | None:
    """Whether what gave an output (N, ., .) has its features last, as linear layers have, or first, as convolutions;
    None where it was turned since, or nothing tells.

    Example:
        >>> import torch
        >>> x = torch.ones(1, 3, 4)
        >>> features_last(torch.nn.Linear(4, 4)(x).tanh()), features_last(torch.nn.Conv1d(3, 3, 1)(x).relu())
        (True, False)
    """
    node = output.grad_fn
    while node is not None and not _TURNS.match(name := type(node).__name__):
        if name.startswith(("Addmm", "Mm", "NativeLayerNorm")):
            return True
        if _CONVOLVES.match(name) or name.startswith("NativeBatchNorm"):
            return False
        if _WEIGHS.match(name):
            return None
        node = next((one for one, _ in node.next_functions if one is not None), None)
    return None


def laid_last(output: Tensor) -> bool:
    """Whether something turned an output after its last convolution, which gives channels first; or there is none.

    Example:
        >>> import torch
        >>> made = torch.nn.Conv2d(3, 2, 1)(torch.ones(1, 3, 4, 4))
        >>> laid_last(made.relu()), laid_last(made.permute(0, 2, 3, 1))
        (False, True)
    """
    waiting, seen, convolved = [output.grad_fn], set(), False
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if _TURNS.match(type(node).__name__):
            return True
        if _CONVOLVES.match(type(node).__name__):
            convolved = True
        else:
            waiting += [before for before, _ in node.next_functions]
    return not convolved


def _of_channels(node: Any) -> bool:
    """Whether a node flips channels only, as from red, green and blue to blue, green and red."""
    dims = getattr(node, "_saved_dims", None)
    return type(node).__name__.startswith("Flip") and dims is not None and set(dims) <= {1, 2**64 - 3}
