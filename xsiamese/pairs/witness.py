"""Sees the value of the pairs pass by, so that an explanation has its scores without a pass of their own, and whether
the model draws random numbers on its way.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ctypes import string_at
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

GENERATORS = (torch.Generator, np.random.Generator, np.random.RandomState, random.Random)
PLAIN = frozenset({bool, int, float, str, tuple, list, dict, OrderedDict, set, type(None)})  # most of what modules hold
DRAWS = "the model draws random numbers in evaluation mode: asked twice, it gives"
REMEDY = "let them be drawn in training only, as F.dropout(x, p, self.training) does"
COUNTS = "the model keeps something from one pass to the next: asked twice, it gives"
UNCOUNTED = "so that its maps are of several models; take what it keeps out of its forward pass"


class Witness:
    """Keeps the value of the pairs themselves, and of the start of their path, when a method computes it on its way.

    Args:
        leaves: the tensors of both sides, by their places.
        starts: the same where the path to them starts, or None.
        own: generators of the model itself, see :func:`generators`.

    Attributes:
        value: the value of each pair, shape (pairs,), once it was seen.
        start: the value at each pair's start, once it was seen right behind the pairs themselves.
        drew: whether the model drew random numbers in its first pass, once there was one.
        rows: how many the model was asked for.
    """

    def __init__(
        self, leaves: Sequence[Tensor], starts: Sequence[Tensor] | None = None, own: Sequence[Any] = ()
    ) -> None:
        self.leaves = leaves
        self.own = own
        self.starts = starts
        self.value: Tensor | None = None
        self.start: Tensor | None = None
        self.drew: bool | None = None
        self.rows = 0

    @contextmanager
    def pass_(self, device: torch.device) -> Iterator[None]:
        """A pass of the model inside the block; of the first one it notes whether numbers were drawn."""
        if self.drew is not None:
            yield
            return
        before = standing(device, self.own)
        yield
        self.drew = standing(device, self.own) != before

    def see(self, places: Sequence[int], moved: Sequence[Any], value: Tensor) -> None:
        """Looks at one evaluation: ``moved`` stand in ``places`` of the leaves, in one copy of all pairs or several."""
        self.rows += len(value)
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


class Rest:
    """How a model stands before it is asked: whether it then draws random numbers, or keeps count of its calls.

    Attributes:
        own: the generators of the model itself.
        drew_before: whether it drew random numbers already when items were prepared.
        asked: how many rows it was asked for then, where they were many.
    """

    def __init__(self, model: nn.Module, device: torch.device) -> None:
        self.model, self.device, self.own = model, device, generators(model)
        self.drew_before, self.asked = False, 0
        self._drawn = standing(device, self.own)
        self._kept = _kept(model)

    def drew(self) -> bool:
        """Whether random numbers were drawn since."""
        return standing(self.device, self.own) != self._drawn

    def counted(self) -> bool:
        """Whether a number or a buffer that the model holds was written to since."""
        now = _kept(self.model)
        return now.keys() != self._kept.keys() or any(
            one is not two or version != before
            for (one, version), (two, before) in zip(now.values(), self._kept.values(), strict=True)
        )


def _kept(model: nn.Module) -> dict[tuple[int, str], tuple[Any, Any]]:
    """The numbers and small tensors that a model's modules hold, and the versions of these."""
    found: dict[tuple[int, str], tuple[Any, Any]] = {}
    for module in model.modules():
        for name, one in chain(vars(module).items(), module._buffers.items()):
            if type(one) is int or type(one) is float:
                found[id(module), name] = (None, one)
            elif isinstance(one, Tensor) and not one.is_inference() and (one.numel() == 1 or name in module._buffers):
                found[id(module), name] = (one, one._version)
    return found


def generators(model: nn.Module) -> list[Any]:
    """The generators that a model or its parts hold themselves."""
    held = (value for module in model.modules() for value in vars(module).values())
    return [value for value in held if type(value) not in PLAIN and isinstance(value, GENERATORS)]


def standing(device: torch.device, own: Sequence[Any] = ()) -> tuple[object, ...]:
    """Where the generators of torch, Python and numpy stand, and some more.

    Args:
        device: whose generator counts beside that of the processor.
        own: generators of the model itself.
    """
    states = [torch.get_rng_state()]
    if device.type != "cpu" and hasattr(module := torch.get_device_module(device), "get_rng_state"):
        states.append(module.get_rng_state(device))
    states += [one.get_state() for one in own if isinstance(one, torch.Generator)]
    others = [_stands(one) for one in own if not isinstance(one, torch.Generator)]
    return *(state.cpu().numpy().tobytes() for state in states), random.getstate(), _of_numpy(), *others


def _stands(one: Any) -> str:
    if isinstance(one, random.Random):
        return repr(one.getstate())
    return repr(one.bit_generator.state if isinstance(one, np.random.Generator) else one.get_state(legacy=False))


def _of_numpy() -> bytes:
    """The state of numpy's global generator as it lies in memory: numpy takes longer to tell it than a small network to
    run.
    """
    shared = np.random.get_bit_generator()  # type: ignore[attr-defined]  # public, and not in its stubs
    if not isinstance(shared, np.random.MT19937):  # somebody's own, of which it is not known how it lies
        return repr(shared.state).encode()
    return string_at(shared.ctypes.state_address, 624 * 4 + 4)  # the numbers, and how many of them are used


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
