"""Where the items of a job come from: read from words, rows of an array, members of a sequence, or named in a table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xsiamese.data.readers import reader
from xsiamese.data.references import Reader
from xsiamese.jobs.table import PairTable
from xsiamese.result.items import joined

SHOWN = 1000  # rows of an array that stand for all of them in its digest


class Source(ABC):
    """Gives items by their words. It goes to other processes, so that it can be pickled."""

    @abstractmethod
    def __call__(self, word: str) -> Any:
        """One item as the model takes it, one pair in front.

        Raises:
            ValueError: if there is no such item, or it cannot be read.
        """

    @abstractmethod
    def together(self, items: Sequence[Any]) -> Any:
        """Items as one batch."""

    @abstractmethod
    def described(self) -> str:
        """What tells it from another one."""


class Files(Source):
    """What the words of a table name: image files, texts, rows of other tables, molecules, graphs.

    Args:
        opened: the opened model, whose reader reads them.
        folder: where the table lies.
    """

    def __init__(self, opened: Any, folder: Path) -> None:
        self.read: Reader = reader(opened)
        self.folder = folder.absolute()

    def __call__(self, word: str) -> Any:
        if not word.strip():
            raise ValueError(f"{word!r} names no item")
        return self.read(self.read.placed(word, self.folder))

    def together(self, items: Sequence[Any]) -> Any:
        return self.read.together(items)

    def described(self) -> str:
        return f"words in {self.folder.resolve()}"


class Rows(Source):
    """Rows of an array or a tensor, which are the model's input as they are; words are their numbers.

    Args:
        items: the array, or a ``.npy`` file, of which only those rows that are asked for are read.
    """

    def __init__(self, items: Tensor | np.ndarray | Path) -> None:
        self.items = items.detach().cpu().numpy() if isinstance(items, Tensor) else items

    @cached_property
    def array(self) -> np.ndarray:
        """All rows."""
        if not isinstance(self.items, Path):
            return self.items
        try:
            mapped: np.ndarray = np.load(self.items, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise ValueError(f"{self.items} cannot be read as an array of items: {error}") from error
        return mapped

    def __getstate__(self) -> dict[str, Any]:
        return {"items": self.items}  # a mapped file is mapped again, not copied

    def __call__(self, word: str) -> Tensor:
        number = numbered(word, len(self.array))
        return torch.from_numpy(np.array(self.array[number : number + 1]))

    def together(self, items: Sequence[Any]) -> Tensor:
        return torch.cat(list(items))

    def described(self) -> str:
        array = self.array
        step = max(1, len(array) // SHOWN)
        rows = np.ascontiguousarray(array[::step])
        return f"{array.shape} {array.dtype} {blake2b(rows.tobytes(), digest_size=16).hexdigest()}"


class Members(Source):
    """Members of a sequence: texts, tensors of one pair each, or graphs of ``torch_geometric``; words are numbers."""

    def __init__(self, items: Sequence[Any]) -> None:
        self.items = items

    def __call__(self, word: str) -> Any:
        return self.items[numbered(word, len(self.items))]

    def together(self, items: Sequence[Any]) -> Any:
        return joined(items)

    def described(self) -> str:
        return f"{len(self.items)} items"


class Listed(Source):
    """Items by ids that a table gives to the words of another source.

    Args:
        words: the word of each id.
        source: what reads the words.
        name: of the table, for messages.
    """

    def __init__(self, words: Mapping[str, str], source: Source, name: str) -> None:
        self.words, self.source, self.name = words, source, name

    def __call__(self, word: str) -> Any:
        if word not in self.words:
            raise ValueError(f"{self.name} has no item with the id {word!r}")
        return self.source(self.words[word])

    def together(self, items: Sequence[Any]) -> Any:
        return self.source.together(items)

    def described(self) -> str:
        told = blake2b(repr(sorted(self.words.items())).encode(), digest_size=16).hexdigest()
        return f"{len(self.words)} ids ({told}) of {self.source.described()}"


def numbered(word: str, count: int) -> int:
    """The number that a word is.

    Raises:
        ValueError: if it is none, or there are fewer items.
    """
    if not word.isdecimal() or int(word) >= count:
        raise ValueError(f"{word!r}: the number of an item, 0 to {count - 1}, is needed")
    return int(word)


def source_of(items: Any, opened: Any, table: PairTable) -> Source:
    """The source of a job's items.

    Args:
        items: None, where the words of the table name them; an array, a tensor or a ``.npy`` file of them; a sequence;
            a table with the columns ``id`` and ``item``; or a source.
        opened: the opened model, where words are read.
        table: the pairs.

    Raises:
        ValueError: if the items cannot be read.
    """
    if isinstance(items, Source):
        return items
    if isinstance(items, (Tensor, np.ndarray)):
        return Rows(items)
    if isinstance(items, (str, Path)):
        path = Path(items)
        if path.suffix == ".npy":
            return Rows(path.absolute())
        named = PairTable.read(path, ("id", "item"))
        ids, words = named.both(0, len(named))
        if len(set(ids)) < len(ids):
            again = next(one for i, one in enumerate(ids) if one in ids[:i])
            raise ValueError(f"{path} has two items with the id {again!r}: every item needs an id of its own")
        return Listed(dict(zip(ids, words, strict=True)), source_of(None, opened, named), str(path))
    if items is not None:
        return Members(items)
    if opened is None:
        raise ValueError("the words of the table must be read as the model takes them: give model= by name, or items=")
    return Files(opened, table.folder)
