"""What reads the two sides from what a person types."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def read_text(spec: str) -> list[str]:
    """A text: the words themselves, or those of a .txt file."""
    path = Path(spec)
    return [path.read_text(encoding="utf-8") if path.suffix == ".txt" else spec]


def reader(opened: Any) -> Any:
    """What reads a side for the model: an image file, a text, or a row or a graph as the model was trained on."""
    from xsiamese.data.row_files import RowReader, is_row

    if opened.modality == "tabular":
        return RowReader.of(opened.about)
    if opened.modality == "text":
        return read_text
    if opened.modality == "graph":
        from xsiamese.data.graph_files import graph_reader

        read = graph_reader(opened.about)
        return read

    def image(path: str | Path) -> Any:
        if is_row(path):
            raise ValueError(
                f"{path} is a row of a table, and the model takes images: give --model the checkpoint of a network "
                "that was trained on a table"
            )
        return opened.read(path)

    return image
