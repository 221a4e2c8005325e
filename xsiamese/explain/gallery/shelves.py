"""Where a gallery keeps what belongs to its items: rows by name, in memory or in a zarr store that is mapped there."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

Rows = Tensor | Sequence[Tensor]
MAPPED = 8  # files that are mapped at once: what was read of one counts as memory until it is let go


class Shelves(ABC):
    """Rows by name, put in blocks of one size (the last may be smaller) and taken one by one.

    Args:
        block: the number of rows of a block.
    """

    def __init__(self, block: int) -> None:
        self.block = block

    @abstractmethod
    def put(self, name: str, start: int, rows: Rows) -> None:
        """A block of rows, the first of which has the number ``start``: a tensor, or tensors of many shapes."""

    @abstractmethod
    def row(self, name: str, number: int) -> Tensor:
        """One row."""

    def whole(self, name: str) -> Rows | None:
        """All rows of a name, where they lie in memory."""
        return None

    @property
    @abstractmethod
    def names(self) -> Sequence[str]:
        """What the rows are called."""


class Memory(Shelves):
    """Rows in memory: one tensor for a name, or a list where they are of many shapes.

    Args:
        block: the number of rows of a block.
        count: how many rows there will be.
    """

    def __init__(self, block: int, count: int) -> None:
        super().__init__(block)
        self.count = count
        self._rows: dict[str, Tensor | list[Tensor]] = {}

    def put(self, name: str, start: int, rows: Rows) -> None:
        if not isinstance(rows, Tensor):
            cast(list[Tensor], self._rows.setdefault(name, [])).extend(rows)
            return
        if name not in self._rows:
            shape = self.count, *rows.shape[1:]
            dense = rows.stride(0) == rows[0].numel()  # as the rows lie, so that they are copied as they are
            self._rows[name] = rows.new_empty_strided(shape, rows.stride()) if dense else rows.new_empty(shape)
        cast(Tensor, self._rows[name])[start : start + len(rows)] = rows

    def row(self, name: str, number: int) -> Tensor:
        return self._rows[name][number]

    def whole(self, name: str) -> Rows | None:
        return self._rows[name]

    @property
    def names(self) -> Sequence[str]:
        return list(self._rows)


class Store(Shelves):
    """Rows in a group of a zarr store: an array for each name, uncompressed, a chunk for each block, so that the
    chunks' files are mapped into memory and nothing is read but the rows that are asked for.

    Rows of many shapes are laid one after the other, an array for each block.

    Args:
        folder: of the group.
        block: the number of rows of a block.
        count: how many rows there will be, for a new group; None opens one that is there.

    Raises:
        ImportError: if zarr is not installed.
        OSError: if the folder cannot be written.
    """

    def __init__(self, folder: Path, block: int, count: int | None = None) -> None:
        super().__init__(block)
        self.folder, self.count = folder, count
        self._group = zarr().open_group(str(folder), mode="w" if count is not None else "r")
        self._arrays: dict[str, Any] = {}  # opening one reads its description from a file
        self._maps: dict[tuple[str, int], Any] = {}
        self._ragged: dict[tuple[str, int], list[Tensor]] = {}

    def put(self, name: str, start: int, rows: Rows) -> None:
        if isinstance(rows, Tensor):
            if name not in self._arrays:  # opened anew it would leave out chunks of zeros
                shape, chunk = ((n, *rows.shape[1:]) for n in (self.count or 0, self.block))
                self._arrays[name] = self._array(self._group, name, shape, chunk, rows)
            self._arrays[name][start : start + len(rows)] = _numpy(rows)
            return
        of = self._group.require_group(name)
        values = torch.cat([one.reshape(-1) for one in rows])
        made = self._array(of, str(start // self.block), (len(values),), (max(1, len(values)),), values)
        made[:] = _numpy(values)
        made.attrs["shapes"] = [list(one.shape) for one in rows]

    def row(self, name: str, number: int) -> Tensor:
        block, at = divmod(number, self.block)
        if name not in self._arrays:
            self._arrays[name] = self._group[name]
        of = self._arrays[name]
        if hasattr(of, "shape"):
            if 0 in of.shape[1:]:  # of no numbers there is no file
                return torch.from_numpy(np.empty(of.shape[1:], of.dtype))
            # a copy of the one row: tensors must be writable, and the map is not
            return torch.from_numpy(np.array(self._mapped(name, block, of)[at]))
        if (name, block) not in self._ragged:
            array = of[str(block)]
            shapes = array.attrs["shapes"]
            numbers = self._mapped(f"{name}/{block}", 0, array) if array.shape[0] else np.empty(0, array.dtype)
            parts = torch.split(torch.from_numpy(np.array(numbers)), [math.prod(shape) for shape in shapes])
            self._ragged[name, block] = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
        return self._ragged[name, block][at]

    @property
    def names(self) -> Sequence[str]:
        return sorted(self._group)

    def _array(self, group: Any, name: str, shape: Sequence[int], chunk: Sequence[int], like: Tensor) -> Any:
        return group.create_array(
            name,
            shape=tuple(shape),
            chunks=tuple(max(1, size) for size in chunk),
            dtype=_numpy(like[:0]).dtype,
            compressors=None,
            config={"write_empty_chunks": True},  # a chunk of zeros is a file, too, to be mapped
        )

    def _mapped(self, name: str, block: int, array: Any) -> Any:
        """The file of a block, mapped into memory."""
        if (name, block) not in self._maps:
            while len(self._maps) >= MAPPED:
                self._maps.pop(next(iter(self._maps)))
            path = self.folder.joinpath(name, "c", str(block), *["0"] * (array.ndim - 1))
            try:
                self._maps[name, block] = np.memmap(path, dtype=array.dtype, mode="r", shape=array.chunks)
            except (OSError, ValueError) as error:
                raise ValueError(
                    f"the gallery's file {path} is missing or truncated: make the gallery again"
                ) from error
        return self._maps[name, block]


def zarr() -> Any:
    """The library of the store.

    Raises:
        ImportError: if it is not installed.
    """
    try:
        import zarr as found
    except ImportError as error:
        raise ImportError('a gallery on disk needs zarr: pip install "xsiamese[gallery]"') from error
    return found


def _numpy(rows: Tensor) -> np.ndarray[Any, Any]:
    plain = rows.detach().cpu()
    return (plain.float() if plain.dtype == torch.bfloat16 else plain).contiguous().numpy()


def nbytes(columns: Mapping[str, Rows]) -> int:
    """The bytes of some rows."""
    return sum(one.numel() * one.element_size() for rows in columns.values() for one in rows)
