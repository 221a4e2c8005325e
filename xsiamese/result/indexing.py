"""Which pairs of an explanation are meant: numbers, slices, lists or masks; anything else is refused by name."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

Index = int | slice | Sequence[int] | Sequence[bool] | Tensor | np.ndarray


def chosen(index: Any, pairs: int) -> list[int]:
    """The numbers of the pairs that an index means.

    Raises:
        TypeError: if it is no index: torch would ask an explanation for its items without end.
        IndexError: if a pair does not exist, or a mask has another length.
    """
    if isinstance(index, slice):
        return list(range(pairs))[index]
    if isinstance(index, (Tensor, np.ndarray)):
        index = index.tolist()
    number = hasattr(index, "__index__") and not isinstance(index, (bool, np.bool_))
    if not number and not _is_list(index):
        raise TypeError(
            f"an explanation is indexed by pairs and {index!r:.80} is a {type(index).__name__}: "
            "a number, a slice, a list of numbers or a mask is needed"
        )
    if not _is_list(index):
        return [_number(index, pairs)]
    if len(index) and all(isinstance(one, (bool, np.bool_)) for one in index):
        if len(index) != pairs:
            raise IndexError(f"a mask of {len(index)} for {pairs} pairs: one True or False a pair is needed")
        return [i for i, one in enumerate(index) if one]
    return [_number(one, pairs) for one in index]


def _is_list(index: Any) -> bool:
    return isinstance(index, (list, tuple, range))


def _number(one: Any, pairs: int) -> int:
    if isinstance(one, (bool, np.bool_)) or not hasattr(one, "__index__"):
        raise TypeError(f"{one!r:.80} is a {type(one).__name__}, and a pair is meant by its number")
    number = operator.index(one)
    if not -pairs <= number < pairs:
        raise IndexError(f"there is no pair {number}: the explanation holds {pairs} pairs")
    return number % pairs
