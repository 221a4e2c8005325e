"""The strongest places of a map, and grid maps brought to another size."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from xsiamese.kinds.kind import Kind
from xsiamese.kinds.places import is_plane, over_plane

Largest = Literal["closer", "apart", "either"]
_OVER = {"bilinear": 4, "trilinear": 5}  # the dimensions of items over more than a line
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
    if not isinstance(k, int) or k < 1:
        raise ValueError(f"k={k}: at least one place must be asked for, as a whole number")
    cells, sign = cells_of(value, kind), SIGN[largest]
    same = len({row.shape for row in cells}) == 1
    found = []
    for values in [torch.stack(list(cells))] if same else [row[None] for row in cells]:
        places, own = ordered(values, k, sign)
        # what pulls the other way is no weak pull this way
        found += [
            [Cell(tuple(place), value) for place, value in zip(*both, strict=True) if not sign or value * sign > 0]
            for both in zip(places.tolist(), own.tolist(), strict=True)
        ]
    return found


def cells_of(value: Any, kind: Kind) -> Sequence[Tensor]:
    """The map of each pair as the places of its kind.

    Raises:
        ValueError: if there are several maps a side.
    """
    if isinstance(value, (tuple, list)):
        raise ValueError("top() needs one map a side: this explanation has several")
    return kind.cells(value)


def ordered(values: Tensor, k: int, sign: int = 0) -> tuple[np.ndarray, Tensor]:
    """The k strongest places of each of some maps of one shape, (maps, k, dimensions), and their values, (maps, k): by
    size, or the largest times ``sign``.
    """
    flat = values.detach().flatten(1)
    order = (flat * sign if sign else flat.abs()).topk(min(k, flat.shape[1])).indices
    # the number of a cell in its flattened map as its place: one array for each dimension
    places = np.stack(np.unravel_index(order.cpu().numpy(), tuple(values.shape[1:])), -1)
    return places, flat.gather(1, order)


def refuse_tokens(value: Any, item: Any, kind: Kind) -> None:
    """Refuses maps (pairs, tokens, channels) of a layer where places of an image or a volume are asked for.

    Raises:
        ValueError: with what has such places.
    """
    if not (isinstance(value, Tensor) and isinstance(item, Tensor)):
        return
    if value.dim() == 3 and item.dim() == _OVER.get(kind.between or ""):
        raise ValueError(
            f"a map of shape {tuple(value.shape)} is no grid (pairs, channels, ...) to lay over the {kind.name}: if "
            "its tokens are cells, layout= says how they lie; else take PairGradCAM or explain the inputs"
        )


def folded(value: Any, lies: Sequence[int] | str | None, *, sized: bool = False) -> Any:
    """The map of a layer over the cells of its item, channels summed, (pairs, 1, ...); others unchanged.

    Args:
        value: the map, (pairs, tokens, channels) or with its channels last.
        lies: the first token and the grid of those from it on, or "channels last".
        sized: whether sizes are summed, whatever the sign.
    """
    if not lies or not isinstance(value, Tensor):
        return value
    value = value.abs() if sized else value
    if isinstance(lies, str):
        return value.sum(-1)[:, None]
    first, *grid = lies
    return value[:, first : first + prod(grid)].sum(2).reshape(len(value), 1, *grid)


def grown(value: Any, item: Any, size: tuple[int, ...] | None, kind: Kind) -> Any:
    """A map over the places of its item, brought to ``size`` or to that of the item; others unchanged."""
    if isinstance(value, (tuple, list)):
        each = item if isinstance(item, (tuple, list)) else [item] * len(value)
        return tuple(grown(v, i, size, kind) for v, i in zip(value, each, strict=True))
    if isinstance(value, Tensor) and isinstance(item, Tensor) and is_plane(value, item):
        return over_plane(value, item, size)
    refuse_tokens(value, item, kind)
    if kind.between is None or not isinstance(value, Tensor) or value.dim() != item.dim():
        return value
    goal = size or tuple(item.shape[2:])
    if tuple(value.shape[2:]) == goal:
        return value
    return functional.interpolate(value, goal, mode=kind.between, align_corners=False)
