"""The columns of a table as features: numbers standardised, categories one-hot, free text as hashed n-grams."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from xsiamese.data.grams import WIDTH, hashed
from xsiamese.data.tabular import MISSING, Table, numbers_of
from xsiamese.data.typical import typical_rows

MOST = 50  # values of a category; what has more is free text


@dataclass(frozen=True)
class Column:
    """How a column becomes features: a number is standardised, each value of a category is a feature of its own, 0 or
    1, and free text is hashed n-grams.

    Attributes:
        name: of the column.
        mean, std: of a number, on the training rows.
        values: of a category; empty for a number.
        grams: how many features free text is hashed to, see :func:`~xsiamese.data.grams.hashed`; 0 for what is none.
    """

    name: str
    mean: float = 0.0
    std: float = 1.0
    values: tuple[str, ...] = ()
    grams: int = 0

    @property
    def features(self) -> tuple[str, ...]:
        """The names of its features."""
        if self.grams:
            return tuple(f"{self.name}~{i}" for i in range(self.grams))
        return tuple(f"{self.name}={value}" for value in self.values) or (self.name,)

    @property
    def number(self) -> bool:
        """Whether the column is one of numbers."""
        return not self.values and not self.grams


@dataclass(frozen=True)
class Columns:
    """What turns a table into a model's input; found on the training rows and kept with the checkpoint.

    Attributes:
        columns: the columns in the order of the features.

    Example:
        >>> from pathlib import Path
        >>> table = Table(Path("t.csv"), {"size": ("1", "3"), "colour": ("red", "blue")}, (2, 3))
        >>> columns = Columns.of_table(table)
        >>> columns.features, columns(table).tolist()
        (('size', 'colour=blue', 'colour=red'), [[-1.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
    """

    columns: tuple[Column, ...]

    @classmethod
    def of_table(cls, table: Table, keys: bool = True) -> Columns:
        """The columns of these rows. One whose values are all the same says nothing and is left out. A column of more
        than 50 texts, or of another one in every row, is free text.

        Args:
            table: the rows.
            keys: whether single words that are different in every row are keys of the rows and left out, as in a table
                of items; in records of pairs they are what is compared.

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
            elif len(values) <= MOST and not len(values) == len(kept) > 2:
                found.append(Column(name, values=values))
            elif keys and len(values) == len(kept) and not any(" " in value for value in values):
                names.append(name)
            else:
                found.append(Column(name, grams=WIDTH))
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
                Column(
                    str(d["name"]),
                    float(d["mean"]),
                    float(d["std"]),
                    tuple(map(str, d["values"])),
                    int(d.get("grams", 0)),
                )
                for d in described
            )
        )

    def described(self) -> list[dict[str, Any]]:
        """What JSON can hold."""
        return [
            {"name": c.name, "mean": c.mean, "std": c.std, "values": list(c.values), "grams": c.grams}
            for c in self.columns
        ]

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features, one a number and one for each value of a category."""
        return tuple(name for column in self.columns for name in column.features)

    @property
    def column_of(self) -> Tensor:
        """The number of the column that each feature is of, shape (features,)."""
        return torch.tensor([i for i, column in enumerate(self.columns) for _ in column.features])

    def typical(self, rows: Tensor) -> list[list[float]]:
        """A few rows, as features, with the same columns as some training rows, each drawn by itself: what a checkpoint
        keeps to start from, see :mod:`xsiamese.data.typical`.
        """
        found: list[list[float]] = typical_rows(rows, [len(column.features) for column in self.columns]).tolist()
        return [[round(value, 5) for value in row] for row in found]

    def __call__(self, table: Table) -> Tensor:
        """The rows as the model's input, shape (rows, features). A missing value is the mean of a number, and no value
        of a category, and no text.
        """
        parts = []
        for column in self.columns:
            texts = table.column(column.name)
            if column.grams:
                parts.append(hashed(["" if text.lower() in MISSING else text for text in texts], column.grams))
                continue
            if column.number:
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
        """The rows in the units of the table, for reading: a category is its strongest value. What cannot be read back
        is said to be so: a value that training did not see, and free text; :meth:`texts` has them from the table.
        """
        found: list[dict[str, float | str]] = [{} for _ in rows]
        for column, part in zip(
            self.columns, torch.split(rows, [len(c.features) for c in self.columns], 1), strict=True
        ):
            for row, values in zip(found, part, strict=True):
                if column.number:
                    row[column.name] = float(values[0]) * column.std + column.mean
                elif float(values.max()) <= 0:
                    row[column.name] = "(missing or new)"
                else:
                    row[column.name] = column.values[int(values.argmax())] if column.values else "(text)"
        return found

    def texts(self, table: Table) -> list[dict[str, str]]:
        """What the table says in each row, for reading: of every column its true text, also of one that training did
        not see.
        """
        rows = zip(*(table.column(column.name) for column in self.columns), strict=True)
        names = [column.name for column in self.columns]
        return [
            {name: text if text.lower() not in MISSING else "(missing)" for name, text in zip(names, row, strict=True)}
            for row in rows
        ]

    def by_column(self, maps: Tensor, how: Literal["sum", "amax"] = "sum") -> Tensor:
        """Maps of features, shape (rows, features), as maps of columns, shape (rows, columns).

        Args:
            maps: of rows.
            how: what makes the features of a category one value: their "sum", or the largest, "amax", for relevances in
                [0, 1].
        """
        of = self.column_of.to(maps.device).expand_as(maps)
        return maps.new_zeros(len(maps), len(self.columns)).scatter_reduce(1, of, maps, how)
