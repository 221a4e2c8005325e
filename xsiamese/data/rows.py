"""Rows of a table as items: what training takes, standardised on the training rows only."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from xsiamese.data.columns import Columns
from xsiamese.data.division import Division, divided
from xsiamese.data.items import Source
from xsiamese.data.pairs import ClassIndex, Pairs
from xsiamese.data.tabular import Missing, Table, read_table
from xsiamese.data.targets import CloseIndex, Target, closeness_width, target_of


@dataclass(frozen=True)
class LabelledRows:
    """Rows as features, each with a class or a number as its target.

    Attributes:
        rows: standardised, shape (items, features).
        labels: the class of each row, shape (items,); of a number the tenth of its values that it is in.
        classes: their names.
        numbers: the target itself where it is a number, shape (items,).
        width: how far apart two numbers may be to count as close.
        lines: the line of each row in the file.
    """

    rows: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    numbers: Tensor | None = None
    width: float = 0.0
    lines: tuple[int, ...] = ()
    skipped: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, index: Tensor | Sequence[int]) -> LabelledRows:
        """The rows of these indices, in this order; the classes stay."""
        where = torch.as_tensor(index, dtype=torch.long)
        numbers = None if self.numbers is None else self.numbers[where]
        lines = tuple(self.lines[i] for i in where.tolist()) if self.lines else ()
        return replace(self, rows=self.rows[where], labels=self.labels[where], numbers=numbers, lines=lines)

    def gather(self, index: Tensor) -> Tensor:
        """The rows of these indices."""
        return self.rows[index]

    def partners(self) -> ClassIndex | CloseIndex:
        """Draws pairs of one class and of two, or of close and of distant targets."""
        return ClassIndex(self.labels, self.classes) if self.numbers is None else CloseIndex(self.numbers, self.width)

    def fixed_pairs(self, count: int, seed: int = 0) -> Pairs:
        """Evaluation pairs, half of them same, always the same ones for one seed."""
        generator = torch.Generator().manual_seed(seed)
        return self.partners().pairs(torch.randint(len(self), (count,), generator=generator), generator)


def load_rows(
    path: Path,
    target: str,
    *,
    close: float | None = None,
    missing: Missing = "refuse",
    without: Sequence[str] = (),
    valid: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
    by: Division | None = None,
) -> tuple[Source[LabelledRows], Columns]:
    """Reads a table, splits its rows and standardises them by the training rows.

    Args:
        path: the CSV.
        target: its column; texts and a few whole numbers are classes (two rows are the same if they are of one class),
            other numbers are compared (two rows are the same if their targets are close).
        close: the share of all pairs of training rows that count as close, for numbers; 0.1 if left out.
        missing: what is done with rows that lack a value: "refuse", "drop" or "fill".
        without: columns that are left out.
        valid, test: shares of the rows, the same in every class.
        seed: of the split.
        by: whether whole classes are held out, see :func:`~xsiamese.data.division.divided`; numbers are split by rows.

    Returns:
        The rows, and the columns that made features of them.

    Raises:
        ValueError: for an unknown column, with the nearest ones; for a constant target; missing values; shares that
            leave nothing.
    """
    table = read_table(path, missing, needed=target)
    if target in without:
        raise ValueError(f"without={target!r}: this is the target, which is no feature anyhow: leave it out")
    found = target_of(table, target)
    if close is not None and found.numbers is None:
        raise ValueError(
            f"close={close:g} is for targets that are numbers, and {target!r} has {len(found.classes)} classes: leave "
            "it out"
        )
    features = table.without([target, *without])
    if found.numbers is not None:  # its labels are tenths of the values, not classes
        if by == "classes":
            raise ValueError(
                f"split='classes': the target {target!r} is a number, and there are no classes to hold out"
            )
        by = "items"
    numbered = LabelledRows(torch.arange(len(table))[:, None], found.labels, found.classes)
    name = path.name.split(".")[0]
    parts = divided(name, numbered, valid, test, seed=seed, by=by)
    places = [part.rows[:, 0] for part in (parts.train, parts.valid, parts.test, parts.seen) if part is not None]
    columns = Columns.of_table(features.take(places[0].tolist()))
    width = 0.0 if found.numbers is None else closeness_width(found.numbers[places[0]], 0.1 if close is None else close)
    with warnings.catch_warnings():
        warnings.filterwarnings("once", message=".*training did not see.*")
        train, held, tests, *seen = (_rows(features, found, columns, width, part) for part in places)
    return Source(name, train, held, tests, seen=next(iter(seen), None)), columns


def _rows(table: Table, target: Target, columns: Columns, width: float, places: Tensor) -> LabelledRows:
    part = table.take(places.tolist())
    numbers = None if target.numbers is None else target.numbers[places]
    return LabelledRows(columns(part), target.labels[places], target.classes, numbers, width, part.lines)
