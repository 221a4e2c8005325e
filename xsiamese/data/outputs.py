"""Where a result goes, checked before the work is done."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Iterable
from pathlib import Path

ROOM = 2**20  # bytes that are free beside what is written


def apart(path: Path, read: Iterable[str]) -> Path:
    """The path, if it is none of the files that are read, which would be lost.

    Raises:
        ValueError: if it is one of them, by whatever name.
    """
    for word in read:
        try:
            same = path.samefile(word)
        except (OSError, ValueError):  # no file has this name
            continue
        if same:
            raise ValueError(f"-o {path} is the file {word} that is read: give another name, or it would be lost")
    return path


def checked(path: Path, endings: Collection[str]) -> Path:
    """The path, if a file of one of these endings can be written there.

    Raises:
        ValueError: if the path is empty or a folder, has another ending, or its folder is missing, read-only or full.
    """
    if not path.name:
        raise ValueError(f"-o {str(path)!r} names no file: a name is needed, as in why.png")
    if path.suffix.lower() not in endings:
        raise ValueError(
            f"-o {path}: what {path.suffix or 'no ending'} means is not known; it can be {', '.join(sorted(endings))}"
        )
    if path.is_dir():
        raise ValueError(f"-o {path} is a folder: a file is needed")
    if not path.parent.is_dir():
        raise ValueError(f"-o {path}: there is no folder {path.parent}: make it first (mkdir -p {path.parent})")
    try:
        if path.exists():
            path.open("ab").close()
        with tempfile.TemporaryFile(dir=path.parent) as probe:
            probe.write(b"\0" * 4096)
        free = shutil.disk_usage(path.parent).free
    except OSError as error:
        raise ValueError(f"-o {path} cannot be written: {error.strerror or error}") from error
    if free < ROOM:
        raise ValueError(f"-o {path} cannot be written: {free} bytes are left on that disk")
    return path
