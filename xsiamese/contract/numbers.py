"""What a method without maps found, as numbers that can be compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from xsiamese.result.columns import Column, Packable


class Numbers(tuple[Tensor, ...]):
    """The numbers of each column, all pairs one after the other, in the order of the columns' names.

    Texts are no numbers: they say what something is, not how large.

    Example:
        >>> found = Numbers({"sum": torch.tensor([1.0, 2.0]), "words": [["a"], ["b"]], "steps": [[3], [4, 5]]})
        >>> for name, part in zip(found.names, found):
        ...     print(name, part.tolist())
        column steps [3.0, 4.0, 5.0]
        column sum [1.0, 2.0]
        column words []
    """

    names: tuple[str, ...]

    def __new__(cls, columns: Mapping[str, Column]) -> Numbers:
        nothing = torch.zeros(0).double()
        made = super().__new__(cls, (torch.cat([nothing, *_numbers(columns[name])]) for name in sorted(columns)))
        made.names = tuple(f"column {name}" for name in sorted(columns))
        return made


def _numbers(entry: Any) -> Iterator[Tensor]:
    if isinstance(entry, Tensor):
        yield entry.detach().cpu().double().flatten()
    elif isinstance(entry, (bool, int, float)):
        yield torch.tensor([float(entry)]).double()
    elif isinstance(entry, Mapping):
        for name in sorted(entry):
            yield from _numbers(entry[name])
    elif isinstance(entry, (list, tuple)):
        for one in entry:
            yield from _numbers(one)
    elif isinstance(entry, Packable):
        tensors, plain = entry.packed()
        yield from _numbers(tensors)
        yield from _numbers(plain)
