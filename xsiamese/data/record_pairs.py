"""Tables of pairs of records as items and given pairs: what training takes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import torch

from xsiamese.data.columns import Columns
from xsiamese.data.given import components, cut, parted, say_shared
from xsiamese.data.items import Source
from xsiamese.data.rows import LabelledRows
from xsiamese.data.sided import Rows, label_of, pairs_of, records
from xsiamese.data.tabular import Missing, Table, complete, read_table

ENDINGS = (".txt", ".csv", ".tsv", ".csv.gz")


def folder_of_parts(path: Path) -> tuple[Path, Path, Path] | None:
    """The files train, valid and test of a folder, as the entity-matching benchmarks come, or None."""
    for ending in ENDINGS:
        train, valid, test = (path / f"{part}{ending}" for part in ("train", "valid", "test"))
        if train.is_file() and valid.is_file() and test.is_file():
            return train, valid, test
    return None


def load_pairs(
    path: Path,
    target: str | None = None,
    *,
    same: str = "1",
    rows: Rows | None = "pairs",
    missing: Missing = "refuse",
    without: Sequence[str] = (),
    valid: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
) -> tuple[Source[LabelledRows], Columns]:
    """Reads a table whose rows are pairs: the records are the items, and its pairs with their labels are what is
    trained on, calibrated on and tested on.

    Args:
        path: the table, see :func:`~xsiamese.data.sided.sided`; or a folder with train, valid and test tables.
        target: the column that says whether a pair is the same; the only one that is called ``label``, ``match`` or the
            like if left out.
        same: its value for a same pair; there must be one other value.
        rows: what is said of a row, see :func:`~xsiamese.data.sided.pairs_of`.
        missing: what is done with pairs that lack a value: "refuse", "drop" or "fill".
        without: stems of columns that are left out.
        valid, test: shares of the pairs; a folder says them itself. No record of a test pair is in a training pair
            where that can be, see :func:`~xsiamese.data.given.cut`.
        seed: of the split.

    Returns:
        The records of each part with its pairs, and the columns that made features of them.

    Raises:
        ValueError: for a table of which no column is on both sides; for labels that are not two; missing values; too
            few pairs.
    """
    files = folder_of_parts(path) or (path,)
    tables = [read_table(file, "fill") for file in files]
    found = pairs_of(tables[0], target, rows)
    if found is None:
        raise ValueError(f"{path} is no table of pairs: --rows pairs and columns of both sides are needed")
    label = label_of(tables[0], found, target)
    tables = [complete(table, missing, label) for table in tables]
    both, pairs = records(_joined(tables), found, label, same, without)
    if len(files) > 1:
        ends = torch.tensor([0, *map(len, tables)]).cumsum(0).tolist()
        parts = [torch.arange(low, high) for low, high in pairwise(ends)]
        say_shared(pairs, parts, str(path))
    else:
        parts = cut(len(both), pairs, valid, test, seed=seed, what=str(path))
    trained = torch.unique(torch.cat([pairs.a[parts[0]], pairs.b[parts[0]]]))
    columns = Columns.of_table(both.take(trained.tolist()), keys=False)
    groups = components(len(both), pairs.a[pairs.same], pairs.b[pairs.same])
    names = tuple(map(str, range(int(groups.max()) + 1)))
    items = LabelledRows(columns(both), groups, names, lines=both.lines)
    return parted(path.name.split(".")[0], items, pairs, parts), columns


def _joined(tables: Sequence[Table]) -> Table:
    """Tables of the same columns below each other.

    Raises:
        ValueError: if one lacks a column of the first.
    """
    columns = {name: tuple(text for table in tables for text in table.column(name)) for name in tables[0].columns}
    return Table(tables[0].path, columns, tuple(line for table in tables for line in table.lines))
