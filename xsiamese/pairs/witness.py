"""Sees the value of the pairs pass by, so that an explanation has its scores without a pass of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


class Witness:
    """Keeps the value of the pairs themselves, and of the start of their path, when a method computes it on its way.

    Args:
        leaves: the tensors of both sides, by their places.
        starts: the same where the path to them starts, or None.

    Attributes:
        value: the value of each pair, shape (pairs,), once it was seen.
        start: the value at each pair's start, once it was seen right behind the pairs themselves.
    """

    def __init__(self, leaves: Sequence[Tensor], starts: Sequence[Tensor] | None = None) -> None:
        self.leaves = leaves
        self.starts = starts
        self.value: Tensor | None = None
        self.start: Tensor | None = None

    def see(self, places: Sequence[int], moved: Sequence[Any], value: Tensor) -> None:
        """Looks at one evaluation: ``moved`` stand in ``places`` of the leaves, in one copy of all pairs or several."""
        if self.value is not None or not places:
            return
        if not all(_begins(tensor, self.leaves[place]) for place, tensor in zip(places, moved, strict=True)):
            return
        # # methods stack copies of the batch; the first is the pairs as they are, and its value is the score
        copies = max(len(tensor) // len(self.leaves[place]) for place, tensor in zip(places, moved, strict=True))
        pairs = len(value) // copies
        self.value = value[:pairs].detach()
        if copies == 2 and self.starts is not None:
            rests = [tensor[len(self.leaves[place]) :] for place, tensor in zip(places, moved, strict=True)]
            if all(_begins(rest, self.starts[place]) for place, rest in zip(places, rests, strict=True)):
                self.start = value[pairs:].detach()

    def __deepcopy__(self, memo: dict[int, Any]) -> Witness:
        return self  # an untied copy of the model tells the same witness


def _begins(tensor: Any, own: Tensor) -> bool:
    """Whether the first copy in a tensor is the pairs' own: told by its memory, else by its numbers."""
    if not isinstance(tensor, Tensor) or tensor.shape[1:] != own.shape[1:] or tensor.dtype != own.dtype:
        return False
    if not len(own) or len(tensor) % len(own) or not len(tensor):
        return False
    first = tensor[: len(own)].detach()
    if first.data_ptr() == own.data_ptr() and first.stride() == own.stride():
        return True
    return torch.equal(first, own.detach())
