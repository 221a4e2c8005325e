"""What a user means: pairs and items by numbers or ids, hits of an index, an amount of memory."""

from __future__ import annotations

import inspect
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
from torch import Tensor

from xsiamese.explain.attribution import PairAttribution

WHOLE = re.compile("0|-?[1-9][0-9]*")
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


def side_of(side: int, other: Any) -> int:
    """Where the items of a gallery stand.

    Raises:
        ValueError: if there is no such side, or it is a's and nothing stands beside it.
    """
    if isinstance(side, bool) or side not in (0, 1):
        raise ValueError(f"side={side!r}: 1, what is found, or 0 is needed")
    if side == 0 and other is None:
        raise ValueError(
            "side=0 is for models whose sides are of two kinds, and needs other=, one item of the other side; else "
            "items stand on both sides"
        )
    return int(side)


class Names:
    """What items are called, and which a number or a string means.

    A string is an id. A whole number is an id where all ids are whole numbers, as those of a database are, and else
    the number of an item, counted from 0.

    Args:
        ids: a name for each item.
        texts: whether the model reads strings, so that a list of them is texts to ask about.
    """

    def __init__(self, ids: Sequence[str], *, texts: bool = False) -> None:
        self.where = {name: number for number, name in enumerate(ids)}
        self.own = any(name != str(number) for name, number in self.where.items())
        self.numbers = self.own and all(map(WHOLE.fullmatch, ids))
        self.texts = texts

    def item(self, one: Any) -> int:
        """The number of an item.

        Raises:
            ValueError: if there is none.
        """
        number = isinstance(one, (int, np.integer)) and not isinstance(one, bool)
        if not number and not isinstance(one, str):
            raise ValueError(f"{one!r:.60} is a {type(one).__name__}: an item is meant by its number or its id")
        if number and not self.numbers:
            return _number(int(one), len(self.where))
        if str(one) in self.where:
            return self.where[str(one)]
        near = get_close_matches(one, self.where) if isinstance(one, str) else []
        hint = f"; did you mean {near[0]!r}?" if near else f", which has {len(self.where)} of them"
        if number:
            hint = f": its ids are whole numbers, such as {next(iter(self.where))}, so that whole numbers mean ids"
        raise ValueError(f"no item of the gallery is called {one if number else repr(one)}{hint}")

    def asked(self, queries: Any) -> list[int] | None:
        """The numbers of the items that queries mean; None where they are items themselves.

        Raises:
            ValueError: if there is no such item, or the list is empty.
        """
        if not isinstance(queries, (list, tuple, range)):
            return None
        if not len(queries):
            raise ValueError("there are no queries: numbers or ids of items of the gallery, or a batch, are needed")
        known = (int, np.integer) if self.texts else (int, np.integer, str)
        if all(isinstance(one, known) and not isinstance(one, bool) for one in queries):
            return list(map(self.item, queries))
        again = [one for one in queries if isinstance(one, str) and one in self.where]
        if self.own and again:
            warnings.warn(
                f"{again[0]!r:.60} is taken as a text, and is the id of item {self.where[again[0]]} as well: in place "
                "of ids give numbers of items to ask about these",
                stacklevel=3,
            )
        return None


def numbered_pairs(pairs: Any, names: Names) -> list[tuple[int, int]]:
    """Pairs by the numbers of their items, of numbers or ids.

    Raises:
        ValueError: if they are no pairs, or there is no such item.
    """
    plain = _plain(pairs)
    found = []
    for pair in plain if isinstance(plain, (list, tuple)) else [plain]:
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise ValueError(f"{pair!r:.60} is no pair: two numbers or ids of items each are needed")
        found.append((names.item(pair[0]), names.item(pair[1])))
    return found


def hits_of(ids: Any, scores: Any, queries: int, names: Names) -> tuple[list[list[int]], list[list[float]] | None]:
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
    nothing = None if names.numbers and "-1" in names.where else -1
    kept = [[i for i, one in enumerate(row) if one != nothing] for row in rows]
    numbers = [[names.item(row[i]) for i in some] for row, some in zip(rows, kept, strict=True)]
    if told is None:
        return numbers, None
    return numbers, [[float(row[i]) for i in some] for row, some in zip(told, kept, strict=True)]


def _number(one: int, items: int) -> int:
    if not 0 <= one < items:
        raise ValueError(f"there is no item {one}: the gallery holds {items}, numbered from 0")
    return one


def _plain(value: Any) -> Any:
    if isinstance(value, (Tensor, np.ndarray)):
        return value.tolist()
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value
