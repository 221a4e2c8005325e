"""Tables: the rows of a CSV as standardised features."""

from __future__ import annotations

import csv
import gzip
import warnings
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from xsiamese.door.files import regular

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


@dataclass(frozen=True)
class Column:
    """How a column becomes features: a number is standardised, each value of a category is a feature of its own, 0 or
    1.

    Attributes:
        name: of the column.
        mean, std: of a number, on the training rows.
        values: of a category; empty for a number.
    """

    name: str
    mean: float = 0.0
    std: float = 1.0
    values: tuple[str, ...] = ()

    @property
    def features(self) -> tuple[str, ...]:
        """The names of its features."""
        return tuple(f"{self.name}={value}" for value in self.values) or (self.name,)


@dataclass(frozen=True)
class Columns:
    """What turns a table into a model's input; found on the training rows and kept with the checkpoint.

    Attributes:
        columns: the columns in the order of the features.

    Example:
        >>> table = Table(Path("t.csv"), {"size": ("1", "3"), "colour": ("red", "blue")}, (2, 3))
        >>> columns = Columns.of_table(table)
        >>> columns.features, columns(table).tolist()
        (('size', 'colour=blue', 'colour=red'), [[-1.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
    """

    columns: tuple[Column, ...]

    @classmethod
    def of_table(cls, table: Table) -> Columns:
        """The columns of these rows. One whose values are all the same says nothing and is left out, and so is a text
        that is different in every row.

        Raises:
            ValueError: if no column is left.
        """
        found, constant, names = [], [], []
        for name, texts in table.columns.items():
            kept = [text for text in texts if text.lower() not in MISSING]
            values = tuple(sorted(set(kept)))
            if len(values) < 2:
                constant.append(name)
            elif (numbers := numbers_of(kept)) is not None:
                found.append(Column(name, float(numbers.mean()), float(numbers.std(correction=0))))
            elif len(values) == len(kept) > 2:
                names.append(name)
            else:
                found.append(Column(name, values=values))
        for which, why in ((constant, "has one value"), (names, "has another text in every row")):
            if which:
                warnings.warn(f"{table.path}: column {', '.join(map(repr, which))} {why} and is left out", stacklevel=3)
        if not found:
            raise ValueError(f"{table.path} has no column that differs between rows besides the target")
        return cls(tuple(found))

    @classmethod
    def of(cls, described: Sequence[Mapping[str, Any]]) -> Columns:
        """From what JSON made of :meth:`described` in a checkpoint."""
        return cls(
            tuple(
                Column(str(d["name"]), float(d["mean"]), float(d["std"]), tuple(map(str, d["values"])))
                for d in described
            )
        )

    def described(self) -> list[dict[str, Any]]:
        """What JSON can hold."""
        return [{"name": c.name, "mean": c.mean, "std": c.std, "values": list(c.values)} for c in self.columns]

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features, one a number and one for each value of a category."""
        return tuple(name for column in self.columns for name in column.features)

    @property
    def column_of(self) -> Tensor:
        """The number of the column that each feature is of, shape (features,)."""
        return torch.tensor([i for i, column in enumerate(self.columns) for _ in column.features])

    def __call__(self, table: Table) -> Tensor:
        """The rows as the model's input, shape (rows, features). A missing value is the mean of a number, and no value
        of a category.
        """
        parts = []
        for column in self.columns:
            texts = table.column(column.name)
            if not column.values:
                numbers = numbers_of([str(column.mean) if text.lower() in MISSING else text for text in texts])
                if numbers is None:
                    wrong = next(
                        i for i, text in enumerate(texts) if text.lower() not in MISSING and numbers_of([text]) is None
                    )
                    raise ValueError(
                        f"{table.path}, line {table.lines[wrong]}: column {column.name!r} holds {texts[wrong]!r}: a "
                        "number is needed"
                    )
                parts.append((numbers[:, None] - column.mean) / column.std)
                continue
            if new := sorted({text for text in texts if text not in column.values and text.lower() not in MISSING}):
                warnings.warn(
                    f"{table.path}: column {column.name!r} has values that training did not see, taken as none: "
                    f"{', '.join(new[:5])}",
                    stacklevel=2,
                )
            known = torch.tensor(
                [[float(text == value) for value in column.values] for text in texts], dtype=torch.float64
            )
            parts.append(known.view(len(table), len(column.values)))
        return torch.cat(parts, 1).float()

    def undo(self, rows: Tensor) -> list[dict[str, float | str]]:
        """The rows in the units of the table, for reading: a category is its strongest value, or "none" where it has
        none.
        """
        found: list[dict[str, float | str]] = [{} for _ in rows]
        for column, part in zip(
            self.columns, torch.split(rows, [len(c.features) for c in self.columns], 1), strict=True
        ):
            for row, values in zip(found, part, strict=True):
                strongest = column.values[int(values.argmax())] if column.values and float(values.max()) > 0 else "none"
                row[column.name] = strongest if column.values else float(values[0]) * column.std + column.mean
        return found

    def by_column(self, maps: Tensor, how: Literal["sum", "amax"] = "sum") -> Tensor:
        """Maps of features, shape (rows, features), as maps of columns, shape (rows, columns).

        Args:
            maps: of rows.
            how: what makes the features of a category one value: their "sum", or the largest, "amax", for relevances in
                [0, 1].
        """
        of = self.column_of.to(maps.device).expand_as(maps)
        return maps.new_zeros(len(maps), len(self.columns)).scatter_reduce(1, of, maps, how)


def read_table(path: Path, missing: Missing = "refuse", needed: str | None = None) -> Table:
    """Reads a CSV with a header (comma, semicolon or tab between values; ``.gz`` too).

    Args:
        path: the file.
        missing: what to do with rows that lack a value: "refuse" says where, "drop" leaves the rows out, "fill" takes
            the mean.
        needed: a column that must be there (the target): rows without it are left out for "fill" too.

    Raises:
        ValueError: for a file without a header or rows, a repeated column, a line of another length, or missing values,
            naming where.
    """
    try:
        unpack = gzip.open if path.suffix == ".gz" else open
        with unpack(regular(path, "a table"), "rt", newline="", encoding="utf-8-sig") as file:
            head = file.readline()
            delimiter = max(",;\t", key=head.count)
            header = [name.strip() for name in next(csv.reader([head], delimiter=delimiter), [])]
            reader = csv.reader(file, delimiter=delimiter)
            rows = [(reader.line_num + 1, [text.strip() for text in row]) for row in reader if row]
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error) as error:
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
    gaps = table.missing()
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


def numbers_of(texts: Sequence[str]) -> Tensor | None:
    """The texts as finite numbers, shape (texts,), or None if one of them is none."""
    try:
        numbers = torch.tensor([float(text) for text in texts], dtype=torch.float64)
    except ValueError:
        return None
    return numbers if bool(torch.isfinite(numbers).all()) else None
