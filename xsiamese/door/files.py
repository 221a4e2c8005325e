"""What comes in as a file, and where results go: what can be read and written, or a sentence that says why not."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILES = frozenset({
    ".csv", ".eps", ".gif", ".html", ".jpeg", ".jpg", ".json", ".parquet", ".pdf", ".png", ".ps", ".safetensors",
    ".svg", ".tif", ".tiff", ".txt", ".webp",
})  # fmt: skip
"""Endings that no folder of results has."""


def regular(path: str | Path, what: str = "a file") -> Path:
    """The path of a file that can be read to its end.

    Pipes and devices never end, and folders never begin; a file with holes may claim more than there is memory.

    Args:
        path: of the file.
        what: how an error calls what should be there.

    Raises:
        ValueError: if there is no such file, or it is none that ends or fits.
    """
    path = Path(path)
    refused = f"{path} cannot be read as {what}:"
    try:
        state = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ValueError(f"{refused} {reason}") from error
    if stat.S_ISDIR(state.st_mode):
        raise ValueError(f"{refused} it is a folder, and a file is needed")
    if not stat.S_ISREG(state.st_mode):
        raise ValueError(f"{refused} it is a pipe or a device, which may never end; copy it to a file")
    if state.st_size > memory():
        raise ValueError(
            f"{refused} its {state.st_size / 2**30:.1f} GiB are more than the {memory() / 2**30:.1f} GiB "
            "of memory of this machine"
        )
    return path


def place(path: str | Path) -> Path:
    """The path of a file that may be written.

    Raises:
        ValueError: if it is a folder, or its folder does not exist.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder: the name of a file is needed")
    if not path.parent.is_dir():
        raise ValueError(f"{path}: there is no folder {path.parent}: make it first")
    return path


def folder(path: str | Path, what: str) -> Path:
    """The path of a folder that may be written, for results that are more than a file.

    Args:
        path: of the folder, which need not exist.
        what: how an error calls what is written.

    Raises:
        ValueError: if it is a file, ends as a file does, or cannot be made or written where it stands.
    """
    path = Path(path)
    if path.suffix.lower() in FILES:
        raise ValueError(f"{path}: {what} is a folder, and {path.suffix} is the ending of a file: leave it out")
    if path.exists() and not path.is_dir():
        raise ValueError(f"{path} is a file, and {what} is a folder: give another name")
    there = next(one for one in (path.absolute(), *path.absolute().parents) if one.exists())
    if not there.is_dir():
        raise ValueError(f"{path} cannot be written: {there} is a file, and {what} is a folder: give another name")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f"{path} cannot be written: {there} may not be changed by this user: give another name")
    return path


@contextmanager
def locked(path: Path, taken: str) -> Iterator[None]:
    """Holds a lock for as long as this process lives: one of the operating system, which ends with the process however
    that ends, whether or not its file stays.

    Args:
        path: of the file that is locked, in a folder that exists.
        taken: what the error says if another process holds it.

    Raises:
        ValueError: if another process holds it.
    """
    from filelock import FileLock, Timeout

    try:
        with FileLock(path, timeout=0):
            yield
    except Timeout as error:
        raise ValueError(taken) from error


def memory() -> int:
    """The bytes of memory of this machine, as far as it says."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return 2**63
