"""Columns: what an explanation holds besides its maps, by name, one entry a pair.

A column is a tensor whose dimension 0 is the pair, or one entry a pair: a tensor of any shape, a value that JSON can
hold, or an object that packs itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import torch
from torch import Tensor

Column = Tensor | Sequence[Any]
Packed = tuple[dict[str, Tensor], dict[str, Any]]


@runtime_checkable
class Packable(Protocol):
    """An entry that packs itself into tensors and what JSON can hold, and is made of them again."""

    def packed(self) -> Packed: ...
    @classmethod
    def unpacked(cls, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> Self: ...


@dataclass(frozen=True, eq=False)
class Unknown:
    """An entry of a file whose type no installed plugin brings: its parts, as they were stored."""

    type: str
    tensors: Mapping[str, Tensor]
    plain: Mapping[str, Any]
    name: ClassVar[str] = "unknown"

    def packed(self) -> Packed:
        return dict(self.tensors), dict(self.plain)

    @classmethod
    def unpacked(cls, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> Self:
        return cls(cls.name, tensors, plain)


class Picked(Sequence[Any]):
    """Entries that are rows of one tensor, any of them several times, none copied.

    Args:
        whole: the tensor, (rows, ...).
        numbers: which row each entry is; all in their order if left out.
    """

    def __init__(self, whole: Tensor, numbers: Sequence[int] | None = None) -> None:
        self.whole, self.numbers = whole, range(len(whole)) if numbers is None else numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: Any) -> Any:
        chosen = self.numbers[index]
        return Picked(self.whole, chosen) if isinstance(index, slice) else self.whole[chosen]

    def stacked(self) -> Tensor:
        """The entries as one tensor, which is a part of the whole where they are rows that follow each other."""
        if (run := run_of(self.numbers)) is not None:
            return self.whole[run.start : run.stop]
        return self.whole[torch.as_tensor(self.numbers, dtype=torch.long, device=self.whole.device)]


def run_of(numbers: Sequence[int]) -> range | None:
    """The numbers as a range, if each is the one before it and one."""
    if not len(numbers):
        return None
    run = range(numbers[0], numbers[0] + len(numbers))
    return run if numbers == run or list(numbers) == list(run) else None


def check(columns: Mapping[str, Column], pairs: int) -> None:
    """Refuses a column that does not have one entry a pair.

    Raises:
        ValueError: naming the column.
    """
    for name, column in columns.items():
        if isinstance(column, str) or not isinstance(column, (Tensor, Sequence)):
            what = type(column).__name__
            raise ValueError(f"column {name!r} is a {what}: a tensor or a sequence with one entry a pair is needed")
        if (isinstance(column, Tensor) and not column.dim()) or len(column) != pairs:
            shape = tuple(column.shape) if isinstance(column, Tensor) else f"{len(column)} entries"
            raise ValueError(f"column {name!r} has {shape} for {pairs} pairs: one entry a pair is needed")


def joined(parts: Sequence[Mapping[str, Column]]) -> dict[str, Column]:
    """The columns of several parts of a batch, one after the other.

    Raises:
        ValueError: if the parts have different columns.
    """
    names = list(parts[0])
    if any(set(part) != set(names) for part in parts):
        found = " and ".join(str(sorted(part)) for part in parts)
        raise ValueError(f"the parts of one batch have different columns: {found}")
    return {name: _join([part[name] for part in parts]) for name in names}


def _join(parts: Sequence[Column]) -> Column:
    if len(parts) == 1:
        return parts[0]
    tensors = [part for part in parts if isinstance(part, Tensor)]
    if len(tensors) == len(parts) and len({part.shape[1:] for part in tensors}) == 1:
        return torch.cat(tensors)
    return tuple(entry for part in parts for entry in part)  # parts of other shapes: one entry a pair


def taken(columns: Mapping[str, Column], which: Sequence[int]) -> dict[str, Column]:
    """The entries of some of the pairs."""
    return {name: _taken(column, which) for name, column in columns.items()}


def _taken(column: Column, which: Sequence[int]) -> Column:
    if isinstance(column, Tensor):
        return column[torch.as_tensor(which, dtype=torch.long, device=column.device)]
    if isinstance(column, Picked):
        return Picked(column.whole, [column.numbers[i] for i in which])
    return tuple(column[i] for i in which)


def detached(columns: Mapping[str, Column]) -> dict[str, Column]:
    """The columns without a graph."""

    def free(entry: Any) -> Any:
        return entry.detach() if isinstance(entry, Tensor) else entry

    return {
        name: free(column) if isinstance(column, Tensor) else tuple(map(free, column))
        for name, column in columns.items()
    }


def pack(columns: Mapping[str, Column]) -> Packed:
    """Tensors by name and what JSON can hold, of all columns.

    Raises:
        TypeError: if an entry is neither a tensor, nor a JSON value, nor packs itself.
    """
    tensors: dict[str, Tensor] = {}
    plain: dict[str, Any] = {}
    for name, column in columns.items():
        if isinstance(column, Tensor):
            tensors[name] = column
            plain[name] = None
            continue
        plain[name] = [_pack(entry, f"{name}.{i}", tensors) for i, entry in enumerate(column)]
    return tensors, plain


def _pack(entry: Any, key: str, tensors: dict[str, Tensor]) -> Any:
    if isinstance(entry, Tensor):
        tensors[key] = entry
        return {"tensor": key}
    if isinstance(entry, Packable):
        inner, told = entry.packed()
        tensors.update({f"{key}.{part}": value for part, value in inner.items()})
        return {"type": entry.type if isinstance(entry, Unknown) else type(entry).__name__, "plain": told}
    if isinstance(entry, (str, int, float, bool, type(None), list, tuple, dict)):
        return {"value": entry}
    raise TypeError(f"{key} is a {type(entry).__name__}: a tensor, a JSON value, or what has packed() can be stored")


def unpack(tensors: Mapping[str, Tensor], plain: Mapping[str, Any], types: Iterable[type[Any]]) -> dict[str, Column]:
    """What :func:`pack` took apart; an entry of a type that is not among ``types`` stays as its parts."""
    known = {one.__name__: one for one in types}

    def entry(told: Mapping[str, Any], key: str) -> Any:
        if "tensor" in told:
            return tensors[told["tensor"]]
        if "value" in told:
            return told["value"]
        parts = {k.removeprefix(f"{key}."): value for k, value in tensors.items() if k.startswith(f"{key}.")}
        if told["type"] not in known:
            return Unknown(told["type"], parts, told["plain"])
        return known[told["type"]].unpacked(parts, told["plain"])

    return {
        name: tensors[name] if told is None else tuple(entry(one, f"{name}.{i}") for i, one in enumerate(told))
        for name, told in plain.items()
    }
