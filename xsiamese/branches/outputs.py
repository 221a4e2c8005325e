"""What modules return: the first tensor of several, and which calls other inputs do not move."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from copy import copy
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor


def first_tensor(value: Any) -> Tensor | None:
    """The first tensor with rows of a module's output, of a tuple, a mapping, a ``ModelOutput`` or a dataclass that
    holds one; a number without any, as a loss, only where there is no other.
    """
    tensors = [*_tensors(value)]
    return next((t for t in tensors if t.dim()), tensors[0] if tensors else None)


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    else:
        for part in _parts(value).values():
            yield from _tensors(part)


def with_first_tensor(value: Any, tensor: Tensor) -> Any:
    """The same output around another first tensor."""
    if isinstance(value, Tensor):
        return tensor
    parts, first = _parts(value), first_tensor(value)
    where = next(key for key, part in parts.items() if first_tensor(part) is first)
    part = with_first_tensor(parts[where], tensor)
    if isinstance(value, (tuple, list)):
        items = [part if i == where else item for i, item in enumerate(value)]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if isinstance(value, MutableMapping):
        other = copy(value)  # a ModelOutput keeps its class and its attributes in step
        other[where] = part
        return other
    return replace(value, **{where: part})


def _parts(value: Any) -> Mapping[Any, Any]:
    """What an output is made of, by key, by place or by field."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, (tuple, list)):
        return dict(enumerate(value))
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value) if field.init}
    return {}


def of_neither(first: Sequence[Tensor | None], second: Sequence[Tensor | None]) -> set[int]:
    """Which calls of a module have nothing of the inputs, such as a bank of prototypes: they give the same with others,
    where other calls do not.

    Args:
        first: what each call gave.
        second: what each gave with other inputs.
    """
    if len(first) != len(second):
        return set()
    same = {i for i, (one, two) in enumerate(zip(first, second, strict=True)) if unmoved(one, two)}
    return set() if len(same) == len(first) else same


def unmoved(one: Tensor | None, other: Tensor | None) -> bool:
    """Whether a module gave the same of other inputs; zeros, as of units that are silent on both, tell nothing."""
    if one is None or other is None or torch._C._functorch.is_functorch_wrapped_tensor(one):
        return False
    if one.is_nested or other.is_nested:  # texts without their padding, which have no numbers of a common shape
        return False
    return torch.equal(one, other) and bool(one.any())
