"""What is prepared of all items of a gallery: columns, perhaps in half precision or of low rank, by the item."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from xsiamese.explain.gallery.shelves import Memory, Rows, Shelves, Store, nbytes
from xsiamese.result.columns import Column, Picked

PLAIN = (str, int, float, bool, list, tuple, dict, type(None))
EMBEDDING = "embedding"  # stays as it is: what is searched by must not be rounded


@dataclass
class Packing:
    """How numbers are kept.

    Attributes:
        half: whether in half precision.
        rank: of a matrix (places, D), as a product of two of this rank, where that is smaller; None as it is.
    """

    half: bool = False
    rank: int | None = None

    def pack(self, name: str, rows: Rows) -> dict[str, Rows]:
        """A column by its parts."""
        if name == EMBEDDING or not (rows[0].is_floating_point() if len(rows) else False):
            return {name: rows}
        parts = {name: rows}
        if self.rank is not None and rows[0].dim() > 1 and self.saves(rows[0]):
            factors = [self._factored(one) for one in rows]
            parts = {f"{name}.left": [left for left, _ in factors], f"{name}.right": [right for _, right in factors]}
        return {key: _in_half(value) if self.half else value for key, value in parts.items()}

    def saves(self, one: Tensor) -> bool:
        """Whether a matrix is smaller as two factors."""
        places, dimensions = one.numel() // one.shape[-1], one.shape[-1]
        return self.rank is not None and self.rank * (places + dimensions) < places * dimensions

    def _factored(self, one: Tensor) -> tuple[Tensor, Tensor]:
        u, size, vh = torch.linalg.svd(one.reshape(-1, one.shape[-1]), full_matrices=False)
        left = u[:, : self.rank] * size[: self.rank]
        return left.reshape(*one.shape[:-1], -1), vh[: self.rank]


@dataclass
class Keeping:
    """Where and how what is prepared is kept.

    Attributes:
        budget: the most bytes of memory for all of it.
        folder: of a store, where it does not fit; None makes a temporary one.
        packing: how numbers are kept.
    """

    budget: int
    folder: Path | None = None
    packing: Packing = field(default_factory=Packing)
    _temporary: list[TemporaryDirectory[str]] = field(default_factory=list)

    def place(self, name: str) -> Path:
        """A folder for a store."""
        if self.folder is not None:
            return self.folder / name
        self._temporary.append(TemporaryDirectory(prefix="xsiamese_gallery_"))
        return Path(self._temporary[-1].name) / name


@dataclass
class Kept:
    """Columns of all items of one encoder.

    Attributes:
        count: the number of items.
        block: how many are put at once.
        budget: the most bytes in memory; what is more goes to the folder.
        folder: where a store may be made, or what makes such a place when there is one to be made.
        ragged: whether the items are of many sizes.
        packing: how numbers are kept.
        about: of each column whether its entries are tensors of their own ("listed"), its "dtype", and whether it is
            kept as two "factors"; or its entries, where these are "plain" JSON.
    """

    count: int
    block: int
    budget: int
    folder: Path | Callable[[], Path]
    ragged: bool = False
    packing: Packing = field(default_factory=Packing)
    about: dict[str, dict[str, Any]] = field(default_factory=dict)
    shelves: Shelves | None = None

    @property
    def on_disk(self) -> bool:
        """Whether it is in a store."""
        return isinstance(self.shelves, Store)

    def put(self, start: int, columns: Mapping[str, Column]) -> None:
        """The columns of the items from number ``start`` on, in the order of the numbers.

        Raises:
            TypeError: if a column holds anything but tensors and what JSON can hold.
        """
        parts: dict[str, Rows] = {}
        for name, column in columns.items():
            whole = column.stacked() if isinstance(column, Picked) else column
            rows = whole if isinstance(whole, Tensor) else [one for one in column if isinstance(one, Tensor)]
            if not len(rows) and all(isinstance(one, PLAIN) for one in column):
                self.about.setdefault(name, {"plain": []})["plain"].extend(column)
                continue
            if len(rows) != len(column):
                what = next(type(one).__name__ for one in column if not isinstance(one, Tensor))
                raise TypeError(f"column {name!r} of what is prepared holds a {what}: a gallery keeps tensors and JSON")
            packed = self.packing.pack(name, rows)
            self.about[name] = {
                "listed": not isinstance(column, Tensor), "dtype": str(rows[0].dtype), "factors": name not in packed,
            }  # fmt: skip
            parts.update(packed)
        if self.shelves is None:
            size = nbytes(parts) * self.count // max(1, len(next(iter(parts.values()), ())))
            self.shelves = self._store() if size > self.budget else Memory(self.block, self.count)
        for name, found in parts.items():
            self.shelves.put(name, start, self._one(found) if self.on_disk else found)

    def _store(self) -> Store:
        folder = self.folder if isinstance(self.folder, Path) else self.folder()
        return Store(folder, self.block, self.count)

    @cached_property
    def row_bytes(self) -> int:
        """The bytes in memory of what is kept of one item, that of the first."""
        rows = [self.row(name, 0) for name, about in self.about.items() if "plain" not in about]
        return sum(row.numel() * row.element_size() for row in rows)

    def rows(self, which: Sequence[int]) -> dict[str, Column]:
        """The columns of items with these numbers; an item's entry of a list is one object, however often it comes."""
        return {name: self.column(name, which) for name in self.about}

    def column(self, name: str, which: Sequence[int]) -> Column:
        """One of them."""
        if (plain := self.about[name].get("plain")) is not None:
            return tuple(plain[number] for number in which)
        whole = None if self.about[name]["factors"] else self._whole(name)
        if isinstance(whole, Sequence):
            return tuple(map(whole.__getitem__, which))
        if whole is not None:
            picked = Picked(whole, which)
            return picked if self.about[name]["listed"] else picked.stacked()
        row = self._reading(name)
        distinct = {number: row(number) for number in sorted(set(which))}  # block by block
        entries = [distinct[number] for number in which]
        return tuple(entries) if self.about[name]["listed"] else torch.stack(entries)

    def _whole(self, name: str) -> Rows | None:
        """A column as it lies in memory, if it is of the right type there."""
        whole = None if self.shelves is None else self.shelves.whole(name)
        return whole if whole is not None and whole[0].dtype == self._dtype(name) else None

    def numbers(self) -> list[str]:
        """The columns that a packing changes."""
        return [
            name
            for name, about in self.about.items()
            if "plain" not in about and name != EMBEDDING and self._dtype(name).is_floating_point
        ]

    def packed(self, name: str) -> tuple[bool, int | None]:
        """Whether a column is in half precision, and its rank where it is kept as two factors."""
        assert self.shelves is not None
        factors = self.about[name]["factors"]
        first = self.shelves.row(f"{name}.left" if factors else name, 0)
        return first.dtype == torch.float16, first.shape[-1] if factors else None

    def row(self, name: str, number: int) -> Tensor:
        """An item's entry of a column."""
        return self._reading(name)(number)

    def _dtype(self, name: str) -> torch.dtype:
        """Of what is prepared, whatever it is kept in."""
        found: torch.dtype = getattr(torch, self.about[name]["dtype"].removeprefix("torch."))
        return found

    def _reading(self, name: str) -> Callable[[int], Tensor]:
        """What reads an item's entry of a column."""
        shelves, dtype = self.shelves, self._dtype(name)
        assert shelves is not None

        def plain(number: int) -> Tensor:
            row = shelves.row(name, number)
            return row if row.dtype == dtype else row.to(dtype)

        def multiplied(number: int) -> Tensor:
            left, right = (shelves.row(f"{name}.{part}", number).to(dtype) for part in ("left", "right"))
            return left @ right

        return multiplied if self.about[name]["factors"] else plain

    def write(self, folder: Path) -> None:
        """All of it as a store in another folder."""
        made = Store(folder, self.block, self.count)
        assert self.shelves is not None
        for name in self.shelves.names:
            for start in range(0, self.count, self.block):
                rows = [self.shelves.row(name, i) for i in range(start, min(start + self.block, self.count))]
                made.put(name, start, self._one(rows))

    def _one(self, rows: Rows) -> Rows:
        """Rows as one tensor, where all rows of the column are of one shape."""
        return rows if isinstance(rows, Tensor) or self.ragged else torch.stack(list(rows))


def _in_half(rows: Rows) -> Rows:
    return rows.half() if isinstance(rows, Tensor) else [one.half() for one in rows]
