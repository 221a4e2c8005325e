"""The pairs of a report: planted ones by name, or those of a table."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xsiamese.data.planted import PlantedPairs, scene
from xsiamese.data.readers import reader
from xsiamese.zoo import OpenedModel

LABELS = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False}


def read_pairs(
    spec: str, opened: OpenedModel, count: int, seed: int = 0
) -> tuple[PlantedPairs | tuple[Any, Any], list[tuple[str, str]], Tensor | None]:
    """Pairs by name or from a CSV, two names for each, and which are alike where that is known.

    Raises:
        ValueError: if there are none, or the file has other columns.
    """
    if spec.startswith("planted:"):
        found = scene(spec.removeprefix("planted:")).pairs(count, seed)
        return found, [(f"a{i}", f"b{i}") for i in range(count)], None
    path = Path(spec)
    if not path.is_file():
        raise ValueError(f"--pairs {spec}: there is no such file; give a CSV with columns a and b, or planted:NAME")
    rows = _rows(path)[:count]
    read = reader(opened)
    sides = [[read(read.placed(row[side], path.parent)) for row in rows] for side in "ab"]
    a, b = (read.together(side) for side in sides)
    ids = [(row["a"], row["b"]) for row in rows]
    label = [LABELS[row["label"].strip().lower()] for row in rows] if "label" in rows[0] else None
    return (a, b), ids, None if label is None else torch.tensor(label)


def _rows(path: Path) -> list[dict[str, str]]:
    """The rows of a table of pairs.

    Raises:
        ValueError: if it is no text, has no rows or other columns, or a row has no item or a label that means nothing.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            rows, names = list(table), list(table.fieldnames or ())
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"--pairs {path} cannot be read as a CSV in UTF-8: {error}") from error
    if not rows or not {"a", "b"} <= set(names):
        has = ", ".join(names) if rows else "no row"
        raise ValueError(f"--pairs {path} needs the columns a and b and at least one row; it has {has}")
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"--pairs {path} has two columns {twice!r}: every column needs a name of its own")
    for number, row in enumerate(rows, 1):
        if not all((row[side] or "").strip() for side in "ab"):
            raise ValueError(f"--pairs {path}, row {number}: two items are needed, a is {row['a']!r}, b {row['b']!r}")
        if "label" in row and (row["label"] or "").strip().lower() not in LABELS:
            raise ValueError(
                f"--pairs {path}, row {number}: the label {row['label']!r} is not one of {', '.join(LABELS)}"
            )
    return rows
