"""What a word of a command line refers to: an image file, a row of a table, a molecule or a graph; parsed once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any, Literal, Protocol

Kind = Literal["file", "row", "smiles", "number", "text"]


class Opened(Protocol):
    """An opened model, as far as references know it."""

    @property
    def modality(self) -> str: ...
    @property
    def about(self) -> Mapping[str, Any]: ...


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


def refer(word: str, opened: Opened) -> Reference:
    """The reference that a word is for a model.

    Raises:
        ValueError: for an empty word, or one that holds a line break or a zero byte.
    """
    if not word.strip() or any(mark in word for mark in "\n\r\0"):
        raise ValueError(f"{word!r} names no item: one line of text is needed")
    if opened.modality == "tabular":
        return Reference(word, "row")
    if opened.modality == "text":
        return Reference(word, "file" if word.endswith(".txt") else "text")
    if opened.modality != "graph":
        return Reference(word, "file")
    kinds: dict[str, Kind] = {"smiles": "smiles", "collected": "number"}
    return Reference(word, kinds.get((opened.about.get("graphs") or {}).get("kind", ""), "file"))


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
