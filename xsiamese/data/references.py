"""What a word of a command line refers to: an image file, a row of a table, a molecule or a graph; parsed once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any, Literal

from xsiamese.result.items import joined

IMAGES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"})
Kind = Literal["file", "row", "smiles", "number", "text"]


@dataclass(frozen=True)
class Reference:
    """An item by the word that a user typed.

    Attributes:
        word: what was typed, to the letter.
        kind: what it refers to: a "file", a "row" of one, a "smiles", the "number" of a graph in its set, or
            a "text" of its own.
    """

    word: str
    kind: Kind

    @property
    def name(self) -> str:
        """What pictures and summaries call the item: the name of a file without its folders, else the word.

        Example:
            >>> Reference("C/C=C/C", "smiles").name, Reference("photos/me.jpg", "file").name
            ('C/C=C/C', 'me.jpg')
        """
        if self.kind == "text":
            return shorten(self.word, 40, placeholder=" ...")
        return Path(self.word).name or self.word if self.kind in ("file", "row") else self.word


class Reader(ABC):
    """Reads the items of a model from words."""

    columns: Any = None
    """What makes features of a table, where the model was trained on one."""

    @abstractmethod
    def __call__(self, word: str | Path) -> Any:
        """The item as the model takes it, one pair in front.

        Raises:
            ValueError: if it is missing, unreadable, or none of the model's.
        """

    def kind(self, word: str) -> Kind:
        """What a word refers to."""
        return "file"

    def texts(self, word: str) -> dict[str, str]:
        """What a table says of the item, by the column; nothing of what stands in none."""
        return {}

    def together(self, items: Sequence[Any]) -> Any:
        """Items that were read one by one as one batch."""
        return joined(items)

    def placed(self, word: str, folder: Path) -> str:
        """The word as it is read from elsewhere, of a word in a table that lies in a folder: a file is looked for
        beside the table, what names none stays as it is.
        """
        return str(folder / word) if self.kind(word) in ("file", "row") else word

    def refer(self, word: str) -> Reference:
        """The reference that a word is.

        Raises:
            ValueError: for an empty word, or one that holds a line break or a zero byte.
        """
        if not word.strip() or any(mark in word for mark in "\n\r\0"):
            raise ValueError(f"{word!r} names no item: one line of text is needed")
        return Reference(word, self.kind(word))


def names(a: Reference, b: Reference) -> tuple[str, str]:
    """What two items are called beside each other: files of one name by as many folders as tell them apart.

    Example:
        >>> names(Reference("x/run1/me.jpg", "file"), Reference("x/run2/me.jpg", "file"))
        ('run1/me.jpg', 'run2/me.jpg')
    """
    if a.name != b.name or a.word == b.word or {"smiles", "text"} & {a.kind, b.kind}:
        return a.name, b.name
    parts = [Path(reference.word).parts for reference in (a, b)]
    for depth in range(2, max(map(len, parts)) + 1):
        first, second = ("/".join(part[-depth:]) for part in parts)
        if first != second:
            return first, second
    return a.word, b.word
