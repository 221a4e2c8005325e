"""What reads an item from the word that a person types, by what the model takes: a command line, a table of pairs and a
job read alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os.path import isfile
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from xsiamese.data.references import IMAGES, Kind, Reader
from xsiamese.door.files import regular


class Opened(Protocol):
    """An opened model, as far as readers know it."""

    @property
    def modality(self) -> str: ...
    @property
    def about(self) -> Mapping[str, Any]: ...
    def read(self, path: str | Path) -> Any: ...


class ImageReader(Reader):
    """Image files, as an opened model reads them."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened

    def __call__(self, word: str | Path) -> Any:
        from xsiamese.data.row_files import is_row

        if is_row(word):
            raise ValueError(
                f"{word} is a row of a table, and the model takes images: give --model the checkpoint of a network "
                "that was trained on a table"
            )
        return self._opened.read(word)


class GraphReader(Reader):
    """Graphs as a network was trained on them: molecules as SMILES, files, or numbers in a set."""

    def __init__(self, opened: Opened) -> None:
        from xsiamese.data.graph_files import graph_reader

        kinds: dict[str, Kind] = {"smiles": "smiles", "collected": "number"}
        self._kind = kinds.get((opened.about.get("graphs") or {}).get("kind", ""), "file")
        self._read = graph_reader(opened.about)

    def __call__(self, word: str | Path) -> Any:
        return self._read(str(word))

    def kind(self, word: str) -> Kind:
        return self._kind

    def placed(self, word: str, folder: Path) -> str:
        # of a set of files the stem of one of its graphs is a name, too
        return str(folder / word) if self._kind == "file" and (folder / word).exists() else word


class TextReader(Reader):
    """A text: the words themselves, those of a .txt file, or a row of text columns, table.csv:3 or pairs.csv:3:left."""

    def __call__(self, word: str | Path) -> list[Any]:
        from xsiamese.data.row_files import is_row, record_of, refuse_no_row

        if is_row(word):
            return [record_of(word)]
        refuse_no_row(str(word))  # or the name would be explained
        path = Path(word)
        if path.suffix.lower() in IMAGES and isfile(path):  # its name would be explained, and nothing would say so
            raise ValueError(f"{word} is a picture, and the model takes texts: give words, or a .txt file")
        if path.suffix.lower() != ".txt":
            return [str(word)]
        try:
            return [regular(path, "a text").read_text(encoding="utf-8-sig")]
        except UnicodeDecodeError as error:
            raise ValueError(f"{word} cannot be read as a text: it is no UTF-8 from byte {error.start} on") from error
        except OSError as error:
            raise ValueError(f"{word} cannot be read as a text: {error.strerror or error}") from error

    def kind(self, word: str) -> Kind:
        from xsiamese.data.row_files import is_row

        return "row" if is_row(word) else "file" if word.lower().endswith(".txt") else "text"

    def placed(self, word: str, folder: Path) -> str:
        from xsiamese.data.row_files import is_row

        return str(folder / word) if is_row(folder / word) else super().placed(word, folder)


class ImageTextReader(TextReader):
    """An image file, for the one tower of a model, or a text, for the other; which of them a word is, its ending and
    the disk tell.
    """

    def __call__(self, word: str | Path) -> list[Any]:
        if self.kind(str(word)) == "text" or Path(word).suffix.lower() == ".txt":
            return super().__call__(word)
        from xsiamese.zoo.pixels import upright

        return [upright(word)]

    def kind(self, word: str) -> Kind:
        path = Path(word)
        return "file" if path.suffix.lower() in IMAGES or isfile(path) else "text"


def _rows(opened: Opened) -> Reader:
    from xsiamese.data.row_files import RowReader

    return RowReader.of(opened.about)


READERS: Mapping[str, Callable[[Opened], Reader]] = MappingProxyType(
    {
        "image": ImageReader,
        "tabular": _rows,
        "graph": GraphReader,
        "text": lambda opened: TextReader(),
        "image and text": lambda opened: ImageTextReader(),
    }
)
"""What makes the reader of a model, by the model's ``modality``."""


def reader(opened: Opened) -> Reader:
    """What reads an item for an opened model: an image file, a text, a row or a graph as the model was trained on.

    Raises:
        ValueError: if the checkpoint does not say how its data were read; or if items of its kind have no words.
    """
    if opened.modality not in READERS:
        raise ValueError(
            f"items of a model of {opened.modality} data cannot be read: those of {', '.join(READERS)} can"
        )
    return READERS[opened.modality](opened)
