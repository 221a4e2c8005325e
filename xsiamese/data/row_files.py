"""Rows of tables from the words of a command line, as the rows that a model was trained on were read."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from xsiamese.data.tabular import Columns, Table, read_table


@dataclass(frozen=True)
class RowReader:
    """Reads ``table.csv:3``, the row of that number, from 0, in the order of the file.

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
        place, colon, number = str(word).rpartition(":")
        if not colon or not Path(place).is_file():
            if not Path(word).is_file():
                raise ValueError(
                    f"{word}: the model was trained on rows of a table, and there is no such table: FILE:ROW is "
                    "needed, as in table.csv:3"
                )
            place, number = str(word), ""
        table = read_table(Path(place), "fill")
        if not number.isdecimal() or int(number) >= len(table):
            raise ValueError(
                f"{word}: {place} has {len(table)} rows: {place}:0 to {place}:{len(table) - 1}, in the order of the "
                "file"
            )
        row = table.take([int(number)])
        if lost := self._lost(row):
            raise ValueError(
                f"{word}: the row (line {row.lines[0]}) lacks a value in column {lost[0][1]!r}, and the model was "
                "trained on whole rows"
            )
        return self.columns(row)

    def pool(self, path: Path, explained: Sequence[Tensor]) -> Tensor:
        """All rows of a table but those that are explained, shape (rows, features). Rows that lack a value are left out
        too.

        Args:
            path: the table.
            explained: rows as this reader gave them, shape (1, features) each.
        """
        table = read_table(path, "fill")
        if lost := {i for i, _ in self._lost(table)}:
            warnings.warn(
                f"{path}: {len(lost)} of {len(table)} rows lack a value and are left out of the pool", stacklevel=2
            )
            table = table.take([i for i in range(len(table)) if i not in lost])
        rows = self.columns(table)
        same = torch.stack([(rows == row).all(1) for row in explained]).any(0)
        return rows[~same]

    def _lost(self, table: Table) -> list[tuple[int, str]]:
        """Missing values in columns that count, unless they can be filled."""
        wanted = {column.name for column in self.columns.columns}
        return [] if self.fill else [(i, name) for i, name in table.missing() if name in wanted]


def is_row(word: str | Path) -> bool:
    """Whether a word names a row of a table: a file, a colon and a number."""
    place, _, number = str(word).rpartition(":")
    return number.isdecimal() and Path(place).is_file() and not Path(word).exists()
