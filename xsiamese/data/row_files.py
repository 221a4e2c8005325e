"""Rows of tables from the words of a command line, as the rows that a model was trained on were read."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os.path import isfile
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from xsiamese.data.columns import Columns
from xsiamese.data.references import IMAGES, Kind, Reader
from xsiamese.data.sided import Sided, sided, stacked
from xsiamese.data.tabular import MISSING, Table, read_table
from xsiamese.door.files import regular

NEARLY = re.compile(r"(.+\.(?:csv|tsv)(?:\.gz)?)((?::[\w.+-]*){0,2})", re.IGNORECASE)


@dataclass(frozen=True)
class RowReader(Reader):
    """Reads ``table.csv:3``, the row of that number, from 0, in the order of the file; of a table of pairs one record
    of it, ``pairs.csv:3:left`` or ``pairs.csv:3:right``.

    Attributes:
        columns: what makes features of the table, as training found them.
        fill: whether a missing value is the mean, as in training with ``--missing fill``.
    """

    columns: Columns
    fill: bool = False

    @classmethod
    def of(cls, about: Mapping[str, Any]) -> Self:
        """The reader of a trained network.

        Args:
            about: what its checkpoint says of its training.

        Raises:
            ValueError: if that does not say which columns it was trained on.
        """
        if not about.get("columns"):
            raise ValueError(
                "the checkpoint does not say which columns it was trained on: explain from Python, "
                "explainer.explain((rows_a, rows_b))"
            )
        return cls(Columns.of(about["columns"]), about.get("reading", {}).get("missing") == "fill")

    def __call__(self, word: str | Path) -> Tensor:
        """One row, shape (1, features).

        Raises:
            ValueError: if the word names no row of a table; if the table lacks a column; or if the row lacks a value,
                or has a text for a number.
        """
        row = self._row(word)
        if lost := self._lost(row):
            raise ValueError(
                f"{word}: the row (line {row.lines[0]}) lacks a value in column {lost[0][1]!r}, and the model was "
                "trained on whole rows"
            )
        return self.columns(row)

    def texts(self, word: str) -> dict[str, str]:
        """What the table says in this row, by the column: also of values that training did not see."""
        return self.columns.texts(self._row(word))[0]

    def kind(self, word: str) -> Kind:
        return "row"

    def pool(self, path: Path, explained: Sequence[Tensor]) -> Tensor:
        """All rows of a table but those that are explained, shape (rows, features). Rows that lack a value are left out
        too.

        Args:
            path: the table.
            explained: rows as this reader gave them, shape (1, features) each.
        """
        table = read_table(path, "fill")
        if (found := self._sides(table)) is not None:
            table = stacked(found.records(table, "left"), found.records(table, "right"))
        if lost := {i for i, _ in self._lost(table)}:
            warnings.warn(
                f"{path}: {len(lost)} of {len(table)} rows lack a value and are left out of the pool", stacklevel=2
            )
            table = table.take([i for i in range(len(table)) if i not in lost])
        rows = self.columns(table)
        same = torch.stack([(rows == row).all(1) for row in explained]).any(0)
        return rows[~same]

    def _row(self, word: str | Path) -> Table:
        """The row that a word names, as it is in the table."""
        if not _parsed(str(word))[0]:
            refuse_no_side(str(word))
            raise ValueError(
                f"{word}: the model was trained on rows of a table, and there is no such table: FILE:ROW is "
                "needed, as in table.csv:3"
            )
        if Path(place := _parsed(str(word))[0]).suffix.lower() in IMAGES:
            raise ValueError(
                f"{place} cannot be read as a table: it is a picture, and the model was trained on rows of a table: "
                "FILE:ROW is needed, as in table.csv:3"
            )
        return _row_of(str(word), self._sides)

    def _sides(self, table: Table) -> Sided | None:
        """The sides of a table of pairs: one that lacks the model's columns and has each twice."""
        wanted = {column.name for column in self.columns.columns}
        found = sided(list(table.columns))
        return found if found is not None and not wanted <= set(table.columns) and wanted <= set(found.left) else None

    def _lost(self, table: Table) -> list[tuple[int, str]]:
        """Missing values in columns that count, unless they can be filled."""
        wanted = {column.name for column in self.columns.columns}
        return [] if self.fill else [(i, name) for i, name in table.missing() if name in wanted]


def record_of(word: str | Path) -> dict[str, str]:
    """The row that a word names as the text of each column, "" for a missing one.

    Raises:
        ValueError: if the table has no such row.
    """
    row = _row_of(str(word), lambda table: sided(list(table.columns)))
    return {name: "" if texts[0].lower() in MISSING else texts[0] for name, texts in row.columns.items()}


def _row_of(word: str, sides: Callable[[Table], Sided | None]) -> Table:
    """One row of a table, or of a table of pairs one record of it."""
    place, number, side = _parsed(word)
    table = read_table(Path(place), "fill")
    if not number.isdecimal() or int(number) >= len(table):
        raise ValueError(
            f"{word}: {place} has {len(table)} rows: {place}:0 to {place}:{len(table) - 1}, in the order of the file"
        )
    row, found = table.take([int(number)]), sides(table)
    if (found is not None) != bool(side):
        told = f"a row of {place} is a pair" if found else f"a row of {place} is one item, and no pair"
        wanted = f"{place}:{number}:left or {place}:{number}:right" if found else f"{place}:{number}"
        raise ValueError(f"{word}: {told}: {wanted} is needed")
    if found is None:
        return row
    return found.records(row, "left" if side == "left" else "right")


def refuse_no_row(word: str) -> None:
    """Refuses a word that is a table's name, or nearly one of its rows: of no side, no number or no such file.

    Args:
        word: that is no row, for a model that takes texts.

    Raises:
        ValueError: if it is one, with what is needed.
    """
    refuse_no_side(word)
    found = NEARLY.fullmatch(word)
    if found and (isfile(found[1]) or (found[2] and not re.search(r"\s", word))):
        place = regular(found[1], "a table")
        raise ValueError(f"{word} is no row of {place}, and the model takes texts: give words, or a row, as {place}:0")


def refuse_no_side(word: str) -> None:
    """Refuses what would be one record of a table of pairs, of a side that there is not.

    Raises:
        ValueError: if a word is that.
    """
    row, _, side = word.rpartition(":")
    place, _, number = row.rpartition(":")
    if number.isdecimal() and side not in ("left", "right") and re.fullmatch(r"\S*", side) and isfile(place):
        raise ValueError(f"{word}: there is no side {side!r} of a pair: {row}:left or {row}:right is needed")


def is_row(word: str | Path) -> bool:
    """Whether a word names a row of a table: a file, a colon and a number, and for pairs a colon and a side."""
    place, number, _ = _parsed(str(word))
    return number.isdecimal() and bool(place) and not Path(word).exists()


def _parsed(word: str) -> tuple[str, str, str]:
    """The file, the number and the side that a word names; no file if there is none."""
    side = next((side for side in ("left", "right") if word.endswith(f":{side}")), "")
    place, _, number = word.removesuffix(f":{side}" if side else "").rpartition(":")
    if isfile(place):  # a whole text may be too long for a name, which is no fault here
        return place, number, side
    return (word if isfile(word) else ""), "", ""
