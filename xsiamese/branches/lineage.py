"""What a layer's output was made of, as its graph tells: whether the input was turned, and what laid channels last."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection
from typing import Any

from torch import Tensor

_TURNS = re.compile(r"(Transpose|Permute|Flip|Roll|Rot90|T)Backward\d")
_WEIGHS = re.compile(r"\w*(Convolution|Mm|Mv|Dot)\w*Backward\d|AddmmBackward\d|BaddbmmBackward\d")
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
