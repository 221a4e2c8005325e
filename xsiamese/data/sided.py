"""Tables whose rows are pairs: two columns for each thing that is known of a record, and one that says whether both are
the same.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from xsiamese.data.pairs import Pairs
from xsiamese.data.tabular import Table

Rows = Literal["pairs", "items"]
MARKS = (
    (r"left_(.+)", r"right_(.+)"),
    (r"ltable_(.+)", r"rtable_(.+)"),
    (r"(.+)_left", r"(.+)_right"),
    (r"(.+)_a", r"(.+)_b"),
)
LABELS = frozenset({"label", "gold", "match", "is_match", "same", "is_same", "is_duplicate", "duplicate"})
KEYS = frozenset({"id", "_id", "pair_id", "index", "idx", "key"})  # of records or lines, nothing to learn from


@dataclass(frozen=True)
class Sided:
    """Which columns of a table are of the left record of a pair, and which of the right one.

    Attributes:
        left, right: the column of each stem, by the stem: ``{"size": "left_size"}``.
        rest: the columns that are on neither side.

    Example:
        >>> sided(["left_size", "right_size", "label"])
        Sided(left={'size': 'left_size'}, right={'size': 'right_size'}, rest=('label',))
    """

    left: dict[str, str]
    right: dict[str, str]
    rest: tuple[str, ...]

    def records(self, table: Table, side: Literal["left", "right"]) -> Table:
        """The records of one side, with the columns called by their stems."""
        where: dict[str, str] = getattr(self, side)
        return Table(table.path, {stem: table.column(name) for stem, name in where.items()}, table.lines)


def sided(names: Sequence[str]) -> Sided | None:
    """The sides of these columns, or None if no column stands on both."""
    for marks in MARKS:
        left, right = (
            {found[1]: name for name in names if (found := re.fullmatch(mark, name, re.IGNORECASE))} for mark in marks
        )
        if both := [stem for stem in left if stem in right]:
            left, right = ({stem: side[stem] for stem in both} for side in (left, right))
            used = {*left.values(), *right.values()}
            return Sided(left, right, tuple(name for name in names if name not in used))
    return None


def pairs_of(table: Table, target: str | None, rows: Rows | None) -> Sided | None:
    """The sides of a table of pairs, or None for a table of items.

    Args:
        table: as it is in the file.
        target: the column that says what is alike, if it was named.
        rows: what a row is, if it was said.

    Raises:
        ValueError: if some columns are on both sides and others are not, so that it must be said what a row is; or if a
            row is said to be a pair and no column is on both sides.
    """
    if rows not in (None, "pairs", "items"):
        raise ValueError(f"rows={rows!r}: 'pairs' or 'items' is needed")
    found = sided(list(table.columns))
    if rows == "items" or (found is None and rows is None):
        return None
    if found is None:
        raise ValueError(
            f"{table.path}: rows of pairs need two columns for each thing, left_NAME and right_NAME (or ltable_ and "
            f"rtable_, NAME_left and NAME_right, NAME_a and NAME_b); it has {_few(table.columns)}"
        )
    others = [name for name in found.rest if name != target and name.lower() not in LABELS | KEYS]
    doubtful = others or (len(found.left) == 1 and next(iter(found.left.values())).lower().endswith("_a"))
    if doubtful and rows is None:
        both = _few([*found.left.values(), *found.right.values()])
        lone = f", and others do not ({_few(others)})" if others else ""
        raise ValueError(
            f"{table.path}: is a row a pair or one item? {both} look like two sides of a pair{lone}: --rows pairs "
            "trains on the pairs, without columns of no side; --rows items takes each row as one item"
        )
    return found


def label_of(table: Table, found: Sided, target: str | None) -> str:
    """The column that says whether a pair is the same: the named one, or the only one that is called so.

    Raises:
        ValueError: if there is none or there are several.
    """
    if target is not None:
        table.column(target)
        return target
    named = [name for name in found.rest if name.lower() in LABELS]
    if len(named) != 1:
        raise ValueError(
            f"{table.path} is a table of pairs: which column says whether both are the same? --target COLUMN; it has "
            f"{_few(named or found.rest) or 'none besides the sides'}"
        )
    return named[0]


def records(table: Table, found: Sided, label: str, same: str, without: Sequence[str] = ()) -> tuple[Table, Pairs]:
    """The different records of both sides, and which pairs of them are the same.

    Args:
        table: of pairs.
        found: its sides.
        label: the column that says whether a pair is the same.
        same: its value for a same pair; the other one is a different pair.
        without: stems that are left out.

    Raises:
        ValueError: for labels that are not two, one of them ``same``; or an unknown stem.
    """
    texts = table.column(label)
    values = sorted(set(texts))
    if len(values) != 2 or same not in values:
        raise ValueError(
            f"{table.path}: column {label!r} has {len(values)} values ({_few(values)}): two are needed, {same!r} for "
            "a same pair and another one for a different pair; --same-label says which is the same"
        )
    sides = [found.records(table, "left").without(without), found.records(table, "right").without(without)]
    if keys := [stem for stem in sides[0].columns if stem.lower() in KEYS]:
        warnings.warn(f"{table.path}: {_few(keys)} numbers records and is left out", stacklevel=3)
        sides = [side.without(keys) for side in sides]
    both = stacked(*sides)
    every = list(zip(*both.columns.values(), strict=True))
    first = {record: i for i, record in reversed(list(enumerate(every)))}
    place = {i: number for number, i in enumerate(sorted(first.values()))}
    index = torch.tensor([place[first[record]] for record in every])
    pairs = Pairs(index[: len(table)], index[len(table) :], torch.tensor([text == same for text in texts]))
    return both.take(sorted(first.values())), pairs


def stacked(left: Table, right: Table) -> Table:
    """Records of both sides below each other, the left ones first."""
    columns = {stem: (*left.column(stem), *right.column(stem)) for stem in left.columns}
    return Table(left.path, columns, (*left.lines, *right.lines))


def _few(names: Iterable[str], most: int = 8) -> str:
    """A short list of names."""
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more
