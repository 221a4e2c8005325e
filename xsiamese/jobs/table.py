"""Which pairs a job explains: a table with the words of both items of each pair."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from os.path import isfile
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
from pyarrow import ArrowInvalid, parquet
from torch import Tensor

from xsiamese.data.references import IMAGES
from xsiamese.data.sided import sided
from xsiamese.data.tabular import read_table
from xsiamese.door.files import regular

Columns = tuple[str, str]


@dataclass(frozen=True)
class PairTable:
    """Pairs of items, each named by a word.

    Attributes:
        words: a table of arrow with the columns ``a`` and ``b``, texts; a row is a pair.
        name: of the table, for messages.
        folder: where files that it names lie.
    """

    words: pa.Table
    name: str = "pairs"
    folder: Path = Path()

    def __len__(self) -> int:
        return len(self.words)

    @classmethod
    def of(cls, pairs: str | Path | Tensor | Sequence[Sequence[Any]], columns: Columns | None = None) -> Self:
        """A table from a CSV or Parquet file, from the numbers of items, shape (pairs, 2), or from two words a pair.

        Args:
            pairs: the pairs.
            columns: of a file, which two hold the items: ``a`` and ``b``, or the only two that are called alike with
                ``_a`` and ``_b`` behind, if left out.

        Raises:
            ValueError: if the file cannot be read, has no rows or no such columns (with those that it has), or pairs
                are not two items each.

        Example:
            >>> PairTable.of([("left.png", "right.png")]).both(0, 1)
            (['left.png'], ['right.png'])
        """
        if isinstance(pairs, (str, Path)):
            return cls.read(Path(pairs), columns)
        rows = pairs.tolist() if isinstance(pairs, Tensor) else list(pairs)
        if not rows:
            raise ValueError("there are no pairs to explain")
        wrong = next((row for row in rows if isinstance(row, str) or not isinstance(row, Sequence) or len(row) != 2), 0)
        if wrong:
            raise ValueError(f"{wrong!r:.80} is no pair: two items are needed, words or numbers")
        a, b = ([str(row[side]) for row in rows] for side in (0, 1))
        return cls(_checked(pa.table({"a": a, "b": b}), "pairs"))

    @classmethod
    def read(cls, path: Path, columns: Columns | None = None) -> Self:
        """A table from a file: see :meth:`of`."""
        if path.suffix.lower() in (".parquet", ".pq"):
            try:
                found = parquet.read_table(regular(path, "a table of pairs"))
            except (ArrowInvalid, OSError) as error:
                raise ValueError(f"{path} cannot be read as a Parquet table: {error}") from error
            names = found.column_names
            files = _of_files({name: found.column(name).slice(0, 1).to_pylist() for name in names}, path.parent)
        else:
            table = read_table(path, "fill")
            names = list(table.columns)
            files = _of_files(table.columns, path.parent)
            if columns is None and _named(names) is None and sided(names) is not None and len(files) != 2:
                # every row is two records side by side, which the reader of rows takes apart
                found = pa.table({side: [f"{path.name}:{i}:{side}" for i in range(len(table))] for side in SIDED})
                columns = SIDED
            else:
                found = pa.table({name: list(values) for name, values in table.columns.items()})
        chosen = columns or _named(names)
        if chosen is not None and chosen[0] == chosen[1]:
            raise ValueError(f"--columns {','.join(chosen)}: both items would be the same: two columns are needed")
        if chosen is None or not set(chosen) <= set(found.column_names):
            asked = f"no column {next(c for c in chosen if c not in names)!r}" if chosen else "no columns a and b"
            two, why = (",".join(files), ": they hold names of files") if len(files) == 2 else ("FIRST,SECOND", "")
            raise ValueError(f"{path} has {asked}: it has {', '.join(names)}; --columns {two} says which two{why}")
        a, b = (found.column(name).cast(pa.string()).fill_null("") for name in chosen)
        if not len(a):
            raise ValueError(f"{path} holds no rows: there are no pairs to explain")
        return cls(_checked(pa.table({"a": a, "b": b}), str(path)), str(path), path.parent)

    def both(self, start: int, stop: int) -> tuple[list[str], list[str]]:
        """The words of a and of b from one row to another."""
        some = self.words.slice(start, stop - start)
        return some.column("a").to_pylist(), some.column("b").to_pylist()

    def first(self, count: int | None) -> Self:
        """The table of the first rows only."""
        return type(self)(self.words.slice(0, count), self.name, self.folder)

    def digest(self) -> str:
        """A number that stands for all pairs in their order."""
        made = blake2b(digest_size=16)
        for start in range(0, len(self), 65536):
            made.update(repr(self.both(start, min(start + 65536, len(self)))).encode())
        return made.hexdigest()


SIDED = ("left", "right")


def _named(names: Sequence[str]) -> Columns | None:
    """The two columns that hold the items."""
    if {"a", "b"} <= set(names):
        return "a", "b"
    stems = [name.removesuffix("_a") for name in names if name.endswith("_a") and f"{name[:-2]}_b" in names]
    return (f"{stems[0]}_a", f"{stems[0]}_b") if len(stems) == 1 else None


def _of_files(columns: Mapping[str, Sequence[Any]], folder: Path) -> list[str]:
    """The columns that hold names of files, by their first row: of pictures, or of what lies beside the table."""
    first = {name: str(values[0]) for name, values in columns.items() if len(values) and values[0]}
    return [name for name, word in first.items() if Path(word).suffix.lower() in IMAGES or isfile(folder / word)]


def _checked(words: pa.Table, name: str) -> pa.Table:
    """The same pairs; a warning where some are there twice."""
    twice = len(words) - len(words.group_by(["a", "b"]).aggregate([]))
    if twice:
        warnings.warn(f"{name}: {twice} of {len(words)} rows repeat an earlier one: each is explained", stacklevel=4)
    return words
