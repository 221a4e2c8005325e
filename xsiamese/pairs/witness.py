"""Sees the value of the pairs pass by, so that an explanation has its scores without a pass of their own, and whether
the model draws random numbers on its way.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
        drew: whether the model drew random numbers in its first pass, once there was one.
    """

    def __init__(self, leaves: Sequence[Tensor], starts: Sequence[Tensor] | None = None) -> None:
        self.leaves = leaves
        self.starts = starts
        self.value: Tensor | None = None
        self.start: Tensor | None = None
        self.drew: bool | None = None

    @contextmanager
    def pass_(self, device: torch.device) -> Iterator[None]:
        """A pass of the model inside the block; of the first one it notes whether numbers were drawn."""
        if self.drew is not None:
            yield
            return
        before = standing(device)
        yield
        self.drew = standing(device) != before

    def see(self, places: Sequence[int], moved: Sequence[Any], value: Tensor) -> None:
        """Looks at one evaluation: ``moved`` stand in ``places`` of the leaves, in one copy of all pairs or several."""
        if self.value is not None or not places:
            return
        if not all(_begins(tensor, self.leaves[place]) for place, tensor in zip(places, moved, strict=True)):
            return
        # methods stack copies of the batch; the first is the pairs as they are, and its value is the score
        copies = max(len(tensor) // len(self.leaves[place]) for place, tensor in zip(places, moved, strict=True))
        pairs = len(value) // copies
        self.value = value[:pairs].detach()
        if copies == 2 and self.starts is not None:
            rests = [tensor[len(self.leaves[place]) :] for place, tensor in zip(places, moved, strict=True)]
            if all(_begins(rest, self.starts[place]) for place, rest in zip(places, rests, strict=True)):
                self.start = value[pairs:].detach()

    def __deepcopy__(self, memo: dict[int, Any]) -> Witness:
        return self  # an untied copy of the model tells the same witness


def standing(device: torch.device) -> tuple[object, ...]:
    """Where the generators of torch and of Python stand; numpy's takes longer to say so than a small network to run."""
    states = [torch.get_rng_state()]
    if device.type != "cpu" and hasattr(module := torch.get_device_module(device), "get_rng_state"):
        states.append(module.get_rng_state(device))
    return *(state.numpy().tobytes() for state in states), random.getstate()


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
