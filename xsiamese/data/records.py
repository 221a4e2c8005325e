"""Pairs of records as lines of text, in the layout of the entity-matching benchmarks of Magellan and DeepMatcher that
Ditto (:cite:`li2020`) wrote: ``COL name VAL value COL ... TAB COL name VAL value ... TAB label``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

MARK = "COL "  # what a file of records begins with
FIELD = re.compile(r"(?:^|\s)COL (\S+) VAL(?: |$)")


def read_records(lines: Iterable[str]) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header and the rows of a table of pairs: left_NAME, ..., right_NAME, ..., label; each row with its line.

    Raises:
        ValueError: for a line that is not two records and a label.

    Example:
        >>> read_records(["COL name VAL Ale COL abv VAL 5\\tCOL name VAL Stout COL abv VAL 8\\t0"])
        (['left_name', 'left_abv', 'right_name', 'right_abv', 'label'], [(1, ['Ale', '5', 'Stout', '8', '0'])])
    """
    read = []
    for number, line in enumerate(lines, 1):
        parts = line.rstrip("\n").split("\t")
        if len(parts) != 3 or not all(part.startswith(MARK) for part in parts[:2]):
            raise ValueError(f"line {number}: two records (COL name VAL value ...) and a label are needed, with tabs")
        read.append((number, _fields(parts[0]), _fields(parts[1]), parts[2].strip()))
    names = list(dict.fromkeys(name for _, left, right, _ in read for name in (*left, *right)))
    header = [*(f"left_{name}" for name in names), *(f"right_{name}" for name in names), "label"]
    rows = [
        (number, [*(left.get(name, "") for name in names), *(right.get(name, "") for name in names), label])
        for number, left, right, label in read
    ]
    return header, rows


def _fields(record: str) -> dict[str, str]:
    """The values of a record by their names."""
    _, *found = FIELD.split(record)  # what stands before the first name, then a name and its value in turn
    return {name: value.strip() for name, value in zip(found[::2], found[1::2], strict=True)}
