"""Omniglot: drawings by character, and the one-shot runs of Lake et al. 2015, from torchvision's folders or the
original zips.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from zipfile import ZipFile

import torch
from torch import Tensor

from xsiamese.data.items import LabelledImages, split
from xsiamese.zoo.pixels import read_picture

BACKGROUND = ("images_background", "images_background_small1", "images_background_small2")
RUNS = "all_runs"


class OneShotRun(NamedTuple):
    """One run: for each test drawing, which of the training drawings, one a character, is of its character?

    Attributes:
        train, test: drawings as bytes, shape (characters, 1, height, width).
        answers: the index in ``train`` for each of ``test``.
    """

    train: Tensor
    test: Tensor
    answers: Tensor


def load(
    data: Path, size: tuple[int, int] = (105, 105), *, valid: float = 0.0, test: float = 0.15, seed: int = 0
) -> tuple[LabelledImages, LabelledImages, LabelledImages]:
    """Training, validation and test drawings of the background set. Whole characters are kept apart: no test character
    is trained on.

    Args:
        data: holds ``images_background.zip``, the small zips, or torchvision's ``omniglot-py``, at any depth; otherwise
            torchvision downloads there.
        size: of the images.
        valid, test: shares of the characters.
        seed: of the split.
    """
    found = {name: where for name, where in ((n, _place(data, n)) for n in BACKGROUND) if where is not None}
    if "images_background" in found:
        found = {"images_background": found["images_background"]}
    if not found:
        found = {"images_background": _download(data)}
    images: dict[str, Tensor] = {}
    for where in found.values():
        for name, content in _files(where):
            path = PurePosixPath(name)
            images.setdefault("/".join(path.parts[-3:]), _drawing(content, size))
    if not images:
        raise ValueError(f"there are no drawings in {', '.join(map(str, found.values()))}")
    names = sorted(images)
    characters = sorted({name.rpartition("/")[0] for name in names})
    number = {name: i for i, name in enumerate(characters)}
    labels = torch.tensor([number[name.rpartition("/")[0]] for name in names])
    items = LabelledImages(torch.stack([images[name] for name in names]), labels, tuple(characters), tuple(names))
    train, held, tests = (items.of(part) for part in _characters(characters, valid, test, seed))
    return train, held, tests


def runs(data: Path, size: tuple[int, int] = (105, 105)) -> list[OneShotRun]:
    """The 20 one-shot runs, or none if ``all_runs.zip`` or the folder ``all_runs`` is not below ``data``."""
    where = _place(data, RUNS)
    if where is None:
        return []
    files = dict(_files(where, images=False))
    found = []
    for listing in sorted(name for name in files if name.endswith("class_labels.txt")):
        pairs = [line.split() for line in files[listing].decode().splitlines() if line.strip()]
        root = str(PurePosixPath(listing).parent.parent)
        prefix = "" if root == "." else f"{root}/"
        tests, trains = [name for name, _ in pairs], sorted({name for _, name in pairs})
        train, test = (
            torch.stack([_drawing(files[prefix + name], size) for name in group]) for group in (trains, tests)
        )
        found.append(OneShotRun(train, test, torch.tensor([trains.index(name) for _, name in pairs])))
    return found


def _characters(characters: list[str], valid: float, test: float, seed: int) -> Iterator[list[str]]:
    """Characters for training, validation and test, the same shares of every alphabet."""
    alphabets = sorted({name.partition("/")[0] for name in characters})
    labels = torch.tensor([alphabets.index(name.partition("/")[0]) for name in characters])
    numbers = LabelledImages(
        torch.zeros(len(characters), 1, 1, 1, dtype=torch.uint8), labels, tuple(alphabets), tuple(characters)
    )
    for part in split(numbers, valid, test, seed):
        yield list(part.paths)


def _place(data: Path, name: str) -> Path | None:
    """The zip or the folder of that name, at most three folders down."""
    for pattern in (name, f"*/{name}", f"*/*/{name}"):
        for path in (*sorted(data.glob(f"{pattern}.zip")), *sorted(data.glob(pattern))):
            return path
    return None


def _files(where: Path, images: bool = True) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the files of a zip or a folder."""
    if where.is_file():
        with ZipFile(where) as archive:
            for name in archive.namelist():
                if name.endswith(".png") or (not images and name.endswith(".txt")):
                    yield name, archive.read(name)
        return
    for path in sorted(where.rglob("*")):
        if path.suffix == ".png" or (not images and path.suffix == ".txt"):
            yield path.relative_to(where).as_posix(), path.read_bytes()


def _drawing(content: bytes, size: tuple[int, int]) -> Tensor:
    """A drawing as bytes (1, height, width): dark strokes on white paper, as it is in the file."""
    return read_picture(io.BytesIO(content), size, 1).pixels


def _download(data: Path) -> Path:
    from torchvision.datasets import Omniglot

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            Omniglot(data, background=True, download=True)
    except (RuntimeError, OSError) as error:
        raise ValueError(
            f"Omniglot is not in {data} nor could it be downloaded ({error}): give --data the folder with "
            "images_background*.zip"
        ) from error
    return data / "omniglot-py" / "images_background"
