"""Options that are given for each tensor of the two sides: windows, strides and masks of features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from xsiamese.door.arguments import shown
from xsiamese.kinds.side import Side
from xsiamese.pairs.batch import PairBatch

WINDOWS = ("sliding_window_shapes", "strides")


def per_tensor(batch: PairBatch, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with one entry for each of ``batch.moved`` where the method takes them by tensor.

    A window or a stride is one for all tensors, or a pair (of a, of b), each one for all tensors of that side or a
    tuple of one a tensor. A mask is a pair (of a, of b), each a tensor or a tuple of them; equal numbers on the two
    sides are different features, unless ``joint=True`` says that they are one.

    Raises:
        ValueError: if there are not as many as tensors.
    """
    made, moving = dict(options), batch.objective.moving
    counts = [sum(batch.place(i)[0] is side for i in range(len(batch.moved))) for side in batch.sides]
    for name in WINDOWS:
        if made.get(name) is not None:
            made[name] = tuple(one for side in moving for one in _windows(name, made[name], side, counts[side]))
    if made.get(WINDOWS[0]) is not None:
        made |= _fitted(batch, made)
    if made.get("feature_mask") is not None:
        masks = [_masks(made["feature_mask"], side, counts[side]) for side in moving]
        # captum removes equal numbers together, and takes every number up to the largest for a feature
        games = [masks[0] + masks[1]] if made.get("joint") and len(masks) == 2 else masks
        numbered: list[Tensor] = []
        for game in games:
            known, before = torch.unique(torch.cat([mask.flatten() for mask in game])), _features(numbered)
            numbered += [torch.searchsorted(known, mask) + before for mask in game]
        made["feature_mask"] = tuple(numbered)
    return made


def _fitted(batch: PairBatch, made: Mapping[str, Any]) -> dict[str, Any]:
    """Windows and strides that fit the items: a text or a series that is shorter than a window is covered as a whole.

    Raises:
        ValueError: if they have other dimensions than the items, or are larger.
    """
    windows, strides = [], []
    for at, (leaf, window) in enumerate(zip(batch.moved, made[WINDOWS[0]], strict=True)):
        shape, side = tuple(leaf.shape[1:]), batch.place(at)[0]
        stride = 1 if made.get(WINDOWS[1]) is None else made[WINDOWS[1]][at]
        each = (stride,) * len(shape) if isinstance(stride, int) else tuple(stride)
        item = f"an item of input {'ab'[side is batch.b]} is {shape}"
        for name, given in ((WINDOWS[0], tuple(window)), (WINDOWS[1], each)):
            if len(given) != len(shape):
                raise ValueError(f"{name}={given}: {item}, and one number for each of its dimensions is needed")
        if side.kind in ("text", "series"):
            window = tuple(map(min, window, shape))
        # a window of all of a dimension has nowhere to go along it
        each = tuple(min(e, w) if w == n else e for e, w, n in zip(each, window, shape, strict=True))
        limits = (WINDOWS[0], tuple(window), shape, item), (WINDOWS[1], each, window, f"its window is {tuple(window)}")
        for name, given, most, what in limits:
            if any(one > limit for one, limit in zip(given, most, strict=True)):
                raise ValueError(f"{name}={given}: {what}, and no number may be larger")
        windows.append(window)
        strides.append(each)
    return {WINDOWS[0]: tuple(windows), WINDOWS[1]: tuple(strides)}


def spread(batch: PairBatch, stdevs: Any) -> tuple[float, ...]:
    """A standard deviation for each of ``batch.moved``, from one, or a pair (of a, of b)."""
    both = stdevs if isinstance(stdevs, (tuple, list)) else (stdevs, stdevs)
    # the leaves of both sides are numbered one after the other
    return tuple(float(both[at >= len(batch.a.leaves)]) for at in batch.objective.moved_at)


def masks_of(options: Mapping[str, Any]) -> tuple[list[Tensor], list[Tensor]] | None:
    """The masks of a and of b as the user gives them, each a list with one a tensor; None where there are none."""
    given = options.get("feature_mask")
    if given is None:
        return None
    both = [one if isinstance(one, (tuple, list)) else [one] for one in given] if _pair(given) else []
    if not both or not all(isinstance(mask, Tensor) for each in both for mask in each):
        raise ValueError(
            f"feature_mask must be a pair (mask of a, mask of b) of tensors, each a tuple for several, "
            f"not {shown(given)}"
        )
    first, second = (
        [mask[None] if mask.dim() == 1 else mask for mask in each] for each in both
    )  # a row of numbers is the mask of one item, for all pairs
    return first, second


def masks_differ(options: Mapping[str, Any], sides: tuple[Side, Side]) -> bool:
    """Whether each pair has masks of its own, as superpixels are, and not one pair of masks for all."""
    masks = masks_of(options)
    if masks is None or sides[0].ragged or sides[1].ragged or sides[0].pairs < 2:
        return False
    return any(len(mask) == sides[0].pairs for of_side in masks for mask in of_side)


def masks_at(options: Mapping[str, Any], which: slice) -> dict[str, Any]:
    """The options with the masks of some of the pairs; a mask for all pairs stays."""
    masks = masks_of(options)
    assert masks is not None
    cut = tuple(tuple(mask[which] if len(mask) > 1 else mask for mask in of_side) for of_side in masks)
    return {**options, "feature_mask": cut}


def total_of_groups(maps: Sequence[Any], options: Mapping[str, Any]) -> Tensor | None:
    """What both maps of each pair sum to where features are grouped, shape (pairs,): the places of a group share one
    value, which counts once. None where there are no groups.
    """
    masks = masks_of(options)
    if masks is None:
        return None
    most = max((len(mask) for of_side in masks for mask in of_side), default=1)
    if most > 1:  # masks of their own
        cut = [(_rows(maps, slice(i, i + 1)), masks_at(options, slice(i, i + 1))) for i in range(most)]
        return torch.cat([found for one, own in cut if (found := total_of_groups(one, own)) is not None])
    sums, seen = [], set()
    for side, of_side in enumerate(masks):
        values = list(maps[side].values()) if isinstance(maps[side], Mapping) else maps[side]
        for value, mask in zip([values] if isinstance(values, Tensor) else values, of_side, strict=True):
            flat, numbers = value.flatten(1), mask.expand(1, *value.shape[1:]).flatten()
            for number in torch.unique(numbers).tolist():
                key = number if options.get("joint") else (side, number)
                if key not in seen:
                    seen.add(key)
                    sums.append(flat[:, int((numbers == number).nonzero()[0])])
    return torch.stack(sums).sum(0)


def _rows(value: Any, which: slice) -> Any:
    """Some pairs of maps, however they are nested."""
    if isinstance(value, Tensor):
        return value[which]
    if isinstance(value, Mapping):
        return {name: _rows(one, which) for name, one in value.items()}
    return [_rows(one, which) for one in value]


def _pair(given: Any) -> bool:
    return isinstance(given, (tuple, list)) and len(given) == 2


def _features(masks: Sequence[Tensor]) -> int:
    return max((int(mask.max()) + 1 for mask in masks), default=0)


def _windows(name: str, value: Any, side: int, count: int) -> tuple[Any, ...]:
    """A window, or a stride, for each tensor of a side."""
    if _is_one(value):
        return (value,) * count
    if len(value) != 2:
        raise ValueError(f"{name}={value!r}: one for all, or a pair (of a, of b), is needed")
    if _is_one(value := value[side]):
        return (value,) * count
    if len(value) != count:
        raise ValueError(f"{name} holds {len(value)} for the {count} tensors of {'ab'[side]}: one for each is needed")
    return tuple(value)


def _is_one(value: Any) -> bool:
    """Whether it is a number, or the numbers of one window."""
    return isinstance(value, int) or all(isinstance(size, int) for size in value)


def _masks(given: Any, side: int, count: int) -> list[Tensor]:
    """A mask for each tensor of a side."""
    both = masks_of({"feature_mask": given})
    assert both is not None
    if len(both[side]) != count:
        raise ValueError(
            f"feature_mask holds {len(both[side])} for the {count} tensors of {'ab'[side]}: one for each is needed, "
            "(of a, of b) with each a tuple"
        )
    return [mask.contiguous() for mask in both[side]]  # captum views them flat, which an expanded mask refuses
