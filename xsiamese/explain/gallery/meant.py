"""What a user means: pairs and items by numbers or ids, hits of an index, an amount of memory."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
from torch import Tensor

from xsiamese.explain.attribution import PairAttribution

UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def bytes_of(memory: int | str) -> int:
    """An amount of memory in bytes.

    Raises:
        ValueError: if it is none.

    Example:
        >>> bytes_of("2GiB"), bytes_of(1000)
        (2147483648, 1000)
    """
    if isinstance(memory, str):
        found = re.fullmatch(r"\s*([0-9.]+)\s*([A-Za-z]*)\s*", memory)
        unit = UNITS.get(found[2].upper()) if found else None
        try:
            amount = float(found[1]) * unit if found and unit else 0.0
        except ValueError:
            amount = 0.0
    else:
        amount = float(memory)
    if not math.isfinite(amount) or amount < 1:
        raise ValueError(f"memory={memory!r}: bytes, or an amount like '512MiB' or '2GiB', is needed")
    return int(amount)


def options_of(explainer: PairAttribution, options: Mapping[str, Any]) -> Mapping[str, Any]:
    """An explainer's own options, none of those that only pairs have.

    Raises:
        TypeError: if one of them is said of pairs.
    """
    of_pairs = inspect.signature(explainer.explain).parameters.keys() - explainer.options().keys()
    if other := sorted(of_pairs & options.keys()):
        raise TypeError(
            f"a gallery takes no {other[0]}= and leaves it as it is by itself: explain((a, b), {other[0]}=...) takes it"
        )
    return options


def own_numbers(queries: Any, items: int) -> list[int] | None:
    """The numbers of items of the gallery that a list of whole numbers means; None for anything else.

    Raises:
        ValueError: if there is no such item, or the list is empty.
    """
    if not isinstance(queries, (list, tuple, range)):
        return None
    if not all(isinstance(one, (int, np.integer)) and not isinstance(one, bool) for one in queries):
        return None
    if not len(queries):
        raise ValueError("there are no queries: numbers of items of the gallery, or a batch of items, are needed")
    return [_number(int(one), items) for one in queries]


def numbered_pairs(pairs: Any, ids: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs by the numbers of their items, of numbers or ids.

    Raises:
        ValueError: if they are no pairs, or there is no such item.
    """
    plain = _plain(pairs)
    where = {name: number for number, name in enumerate(ids)}
    found = []
    for pair in plain if isinstance(plain, (list, tuple)) else [plain]:
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise ValueError(f"{pair!r:.60} is no pair: two numbers or ids of items each are needed")
        found.append((_item(pair[0], where), _item(pair[1], where)))
    return found


def hits_of(
    ids: Any, scores: Any, queries: int, names: Sequence[str]
) -> tuple[list[list[int]], list[list[float]] | None]:
    """What an index found, by the numbers of the items, and its scores.

    Raises:
        ValueError: if there is no such item, or the sizes do not fit.
    """
    rows, told = _plain(ids), None if scores is None else _plain(scores)
    if not isinstance(rows, (list, tuple)):
        raise ValueError(f"ids is a {type(ids).__name__}: for each query a list of numbers or ids is needed")
    if rows and not isinstance(rows[0], (list, tuple)):  # of the one query
        rows, told = [rows], None if told is None else [told]
    if len(rows) != queries:
        raise ValueError(f"ids of {len(rows)} queries for {queries}: for each query a list is needed")
    if told is not None and [len(row) for row in told] != [len(row) for row in rows]:
        raise ValueError("scores do not fit ids: one for each item that was found is needed")
    where = {name: number for number, name in enumerate(names)}
    kept = [[i for i, one in enumerate(row) if one != -1] for row in rows]
    numbers = [[_item(row[i], where) for i in some] for row, some in zip(rows, kept, strict=True)]
    if told is None:
        return numbers, None
    return numbers, [[float(row[i]) for i in some] for row, some in zip(told, kept, strict=True)]


def _item(one: Any, where: dict[str, int]) -> int:
    if isinstance(one, (int, np.integer)) and not isinstance(one, bool):
        return _number(int(one), len(where))
    if isinstance(one, str):
        if one not in where:
            near = get_close_matches(one, where, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f", which has {len(where)} of them"
            raise ValueError(f"no item of the gallery is called {one!r}{hint}")
        return where[one]
    raise ValueError(f"{one!r:.60} is a {type(one).__name__}: an item is meant by its number or its id")


def _number(one: int, items: int) -> int:
    if not 0 <= one < items:
        raise ValueError(f"there is no item {one}: the gallery holds {items}, numbered from 0")
    return one


def _plain(value: Any) -> Any:
    if isinstance(value, (Tensor, np.ndarray)):
        return value.tolist()
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value
