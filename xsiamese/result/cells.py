"""The strongest places of a map, and grid maps brought to another size."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from xsiamese.kinds.kind import Kind

Largest = Literal["closer", "apart", "either"]
SIGN = {"closer": 1, "apart": -1, "either": 0}


class Cell(NamedTuple):
    """One place of a map: its place within the pair's map, and its value."""

    place: tuple[int, ...]
    value: float


def strongest(value: Any, k: int, largest: Largest, kind: Kind) -> list[list[Cell]]:
    """The k strongest places of one side's map, for each pair: only those of the sign that is asked for, so perhaps
    fewer.

    Raises:
        ValueError: if there is no one map, or ``largest`` or k does not fit.
    """
    if largest not in SIGN:
        raise ValueError(f"largest={largest!r}: 'closer', 'apart' or 'either' is needed")
    if k < 1:
        raise ValueError(f"k={k}: at least one place must be asked for")
    if isinstance(value, (tuple, list)):
        raise ValueError("top() needs one map a side: this explanation has several")
    return [_of_one(row, row.shape, k, SIGN[largest]) for row in kind.cells(value)]


def _of_one(values: Tensor, shape: torch.Size, k: int, sign: int) -> list[Cell]:
    flat = values.flatten()
    strength = flat * sign if sign else flat.abs()
    order = strength.topk(min(k, len(flat))).indices
    if sign:
        order = order[strength[order] > 0]  # what pulls the other way is no weak pull this way
    return [Cell(tuple(int(i) for i in torch.unravel_index(j, shape)), float(flat[j])) for j in order]


def grown(value: Any, item: Any, size: tuple[int, ...] | None, kind: Kind) -> Any:
    """A map over the places of its item, brought to ``size`` or to that of the item; others unchanged."""
    if isinstance(value, (tuple, list)):
        each = item if isinstance(item, (tuple, list)) else [item] * len(value)
        return tuple(grown(v, i, size, kind) for v, i in zip(value, each, strict=True))
    if kind.between is None or not isinstance(value, Tensor) or value.dim() != item.dim():
        return value
    goal = size or tuple(item.shape[2:])
    if tuple(value.shape[2:]) == goal:
        return value
    return functional.interpolate(value, goal, mode=kind.between, align_corners=False)
