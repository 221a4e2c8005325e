"""Tables: the rows of a CSV as they are in the file."""

from __future__ import annotations

import csv
import gzip
import warnings
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from xsiamese.data.records import MARK, read_records
from xsiamese.door.files import regular

BOMB = 2**26  # bytes that a compressed table may unpack to whatever its size
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})
Missing = Literal["refuse", "drop", "fill"]


@dataclass(frozen=True)
class Table:
    """A CSV as it is in the file.

    Attributes:
        path: of the file, for messages.
        columns: the texts of each column by its name, each one value a row.
        lines: the line of each row in the file.
    """

    path: Path
    columns: Mapping[str, tuple[str, ...]]
    lines: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.lines)

    def column(self, name: str) -> tuple[str, ...]:
        """The texts of a column.

        Raises:
            ValueError: if there is none of this name, with the nearest ones.
        """
        if name not in self.columns:
            near = get_close_matches(name, self.columns, n=3) or [n for n in self.columns if n.lower() == name.lower()]
            hint = (
                f"did you mean {' or '.join(map(repr, near))}?"
                if near
                else f"it has {', '.join(list(self.columns)[:12])}"
            )
            raise ValueError(f"{self.path} has no column {name!r}; {hint}")
        return self.columns[name]

    def without(self, names: Sequence[str]) -> Table:
        """The table without these columns."""
        for name in names:
            self.column(name)
        return replace(self, columns={name: values for name, values in self.columns.items() if name not in names})

    def take(self, index: Sequence[int]) -> Table:
        """The rows of these indices, in this order."""
        columns = {name: tuple(values[i] for i in index) for name, values in self.columns.items()}
        return Table(self.path, columns, tuple(self.lines[i] for i in index))

    def missing(self) -> list[tuple[int, str]]:
        """Every missing value: its row and its column."""
        return [
            (i, name)
            for name, values in self.columns.items()
            for i, value in enumerate(values)
            if value.lower() in MISSING
        ]


def _refuse_a_bomb(path: Path) -> None:
    """Counts what a compressed file unpacks to, without keeping it: a few kilobytes can hold more than the memory."""
    allowed, total = max(BOMB, 100 * path.stat().st_size), 0  # text shrinks to a twentieth at best
    with gzip.open(path, "rb") as file:
        while part := file.read(2**20):
            total += len(part)
            if total > allowed:
                raise ValueError(
                    f"its {path.stat().st_size:,} bytes unpack to more than {allowed / 2**20:.0f} MiB, which no table "
                    "does: unpack it yourself if it is one"
                )


def read_table(path: Path, missing: Missing = "refuse", needed: str | None = None) -> Table:
    """Reads a CSV with a header (comma, semicolon or tab between values; ``.gz`` too), or pairs of records as lines of
    text (:mod:`xsiamese.data.records`).

    Args:
        path: the file.
        missing: what to do with rows that lack a value: "refuse" says where, "drop" leaves the rows out, "fill" takes
            the mean.
        needed: a column that must be there (the target): rows without it are left out for "fill" too.

    Raises:
        ValueError: for a file without a header or rows, a repeated column, a line of another length, or missing values,
            naming where.
    """
    path = regular(path, "a table")
    try:
        unpack = open
        if path.suffix == ".gz":
            unpack = gzip.open  # type: ignore[assignment]
            _refuse_a_bomb(path)
        with unpack(path, "rt", newline="", encoding="utf-8-sig") as file:
            head = file.readline()
            header, rows = read_records([head, *file]) if head.startswith(MARK) else _values(head, file)
    except (OSError, ValueError, EOFError, csv.Error, zlib.error) as error:
        raise ValueError(f"{path} cannot be read as a table: {error}") from error
    if not header or not rows:
        raise ValueError(f"{path} holds no rows: a header and a line for each row are needed")
    if twice := [name for name in header if header.count(name) > 1]:
        raise ValueError(f"{path} has two columns {twice[0]!r}: every column needs a name of its own")
    for line, row in rows:
        if len(row) != len(header):
            raise ValueError(f"{path}, line {line}: {len(row)} values for {len(header)} columns")
    table = Table(
        path, {name: tuple(row[i] for _, row in rows) for i, name in enumerate(header)}, tuple(line for line, _ in rows)
    )
    return complete(table, missing, needed)


def complete(table: Table, missing: Missing = "refuse", needed: str | None = None) -> Table:
    """The rows that can be used: see :func:`read_table`.

    Raises:
        ValueError: for missing values that are refused, naming where; or if no row is left.
    """
    path, gaps = table.path, table.missing()
    if gaps and missing == "refuse":
        where = ", ".join(f"line {table.lines[i]} column {name!r}" for i, name in sorted(gaps)[:3])
        raise ValueError(
            f"{path} lacks {len(gaps)} value(s), the first at {where}: --missing drop leaves such rows out, "
            "--missing fill takes the mean"
        )
    lost = {i for i, name in gaps if missing == "drop" or name == needed}
    if len(lost) == len(table):
        raise ValueError(f"{path}: every row lacks a value: --missing fill takes the mean instead")
    if lost:
        warnings.warn(f"{path}: {len(lost)} of {len(table)} rows lack a value and are left out", stacklevel=2)
    return table.take([i for i in range(len(table)) if i not in lost]) if lost else table


def _values(head: str, file: Iterable[str]) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header of a CSV, and its rows, each with its line."""
    delimiter = max(",;\t", key=head.count)
    header = [name.strip() for name in next(csv.reader([head], delimiter=delimiter), [])]
    reader = csv.reader(file, delimiter=delimiter)
    return header, [(reader.line_num + 1, [text.strip() for text in row]) for row in reader if row]


def numbers_of(texts: Sequence[str]) -> Tensor | None:
    """The texts as finite numbers, shape (texts,), or None if one of them is none."""
    try:
        numbers = torch.tensor([float(text) for text in texts], dtype=torch.float64)
    except ValueError:
        return None
    return numbers if bool(torch.isfinite(numbers).all()) else None
