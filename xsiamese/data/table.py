"""A table of pairs: a CSV with the columns path_a, path_b, label."""

from __future__ import annotations

import csv
from pathlib import Path

import torch

from xsiamese.data.folders import decode
from xsiamese.data.given import components, cut, parted
from xsiamese.data.items import LabelledImages, Source
from xsiamese.data.pairs import Pairs
from xsiamese.door.files import regular
from xsiamese.zoo.cards import Preprocessing

COLUMNS = ("path_a", "path_b", "label")


def load(
    path: Path, preprocessing: Preprocessing, *, valid: float = 0.1, test: float = 0.1, seed: int = 0, same: str = "1"
) -> Source[LabelledImages]:
    """Reads pairs and splits them.

    Args:
        path: the CSV; relative paths in it are relative to it.
        preprocessing: size and channels of the images.
        valid, test: shares of the pairs.
        seed: of the split.
        same: the label of a same pair; the other one is a different pair. (Livieris et al. label a same pair 0.)

    No image of a test pair is in a training pair where that can be, see :func:`~xsiamese.data.given.cut`. The images
    are numbered by connected components of same pairs, so that an embedding can be coloured by them.

    Raises:
        ValueError: for missing columns, an unknown label (its line), no pairs, or pairs of one kind only.
    """
    rows = read(path)
    labels = sorted({label for *_, label in rows})
    if len(labels) != 2 or same not in labels:
        raise ValueError(
            f"{path} has the labels {', '.join(map(repr, labels))}: two are needed, {same!r} for the same and "
            "another one for different"
        )
    files = sorted({name for a, b, _ in rows for name in (a, b)})
    images, kept, skipped = decode([path.parent / name for name in files], preprocessing)
    number = {files[i]: place for place, i in enumerate(kept)}
    usable = [(number[a], number[b], label == same) for a, b, label in rows if a in number and b in number]
    if len({label for *_, label in usable}) < 2:
        raise ValueError(f"{path}: of {len(rows)} pairs {len(usable)} can be read, and they are not of both kinds")
    pairs = Pairs(*(torch.tensor(column) for column in zip(*usable, strict=True)))
    groups = components(len(images), pairs.a[pairs.same], pairs.b[pairs.same])
    items = LabelledImages(
        images, groups, tuple(map(str, range(int(groups.max()) + 1))), tuple(files[i] for i in kept), tuple(skipped)
    )
    return parted(path.stem, items, pairs, cut(len(images), pairs, valid, test, seed=seed, what=str(path)))


def read(path: Path) -> list[tuple[str, str, str]]:
    """The rows of the table.

    Raises:
        ValueError: for missing columns, an incomplete line (its number), or no pairs.
    """
    with regular(path, "a table").open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        if missing := [name for name in COLUMNS if name not in (reader.fieldnames or ())]:
            raise ValueError(
                f"{path} has no column {missing[0]!r}: {', '.join(COLUMNS)} are needed, found "
                f"{', '.join(reader.fieldnames or ()) or 'nothing'}"
            )
        rows = []
        for row in reader:
            values = tuple((row[name] or "").strip() for name in COLUMNS)
            if not all(values):
                raise ValueError(
                    f"{path}, line {reader.line_num}: a value is missing (found {', '.join(map(repr, values))})"
                )
            rows.append(values)
    if not rows:
        raise ValueError(f"{path} has no pairs")
    return rows  # type: ignore[return-value]
