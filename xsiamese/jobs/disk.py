"""Files and folders that are on the disk whole, whatever ends the process, and what is known of them."""

from __future__ import annotations

import os
import shutil
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def synchronised(path: Path) -> None:
    """Waits until a file, or a folder with all that is in it, is on the disk."""
    with ThreadPoolExecutor(8) as several:  # a journal takes those that wait at once in one go
        list(several.map(fsync, [path, *path.rglob("*")]))


def fsync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def renamed(new: Path, path: Path, tries: int = 5) -> None:
    """Puts a folder in its place; an older one there, which no manifest names, goes.

    Raises:
        OSError: if it cannot be put there, or others put theirs there again and again.
    """
    try:
        os.rename(new, path)
    except OSError:
        if tries == 1 or not path.exists():
            raise
        old = new.with_name(f"{new.name}.old")
        os.rename(path, old)
        shutil.rmtree(old, ignore_errors=True)
        renamed(new, path, tries - 1)  # another attempt at the same unit may have put its own there in between


def check(path: Path) -> tuple[int, int]:
    """The size and the checksum of a file."""
    size = check = 0
    with path.open("rb") as file:
        while block := file.read(2**20):
            size, check = size + len(block), zlib.crc32(block, check)
    return size, check


def checked(path: Path, name: str) -> dict[str, tuple[int, int]]:
    if path.is_file():
        return {name: check(path)}
    return {key: found for one in sorted(path.iterdir()) for key, found in checked(one, f"{name}/{one.name}").items()}
