"""What a job is and what of it is done: one line a unit, which counts only once it is on the disk."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from xsiamese.door.files import folder as in_a_folder
from xsiamese.door.files import locked
from xsiamese.jobs.disk import fsync, synchronised

FORMAT = 1
STEPS = ("begun", "arrays", "rows", "synchronised", "arrays renamed", "rows renamed", "settled", "named")


def reached(step: str) -> None:
    """Called when a step of the protocol is done: where a test stops the process."""


@dataclass(frozen=True)
class Entry:
    """A line of the manifest.

    Attributes:
        unit, start, stop: which pairs.
        errors: how many of them could not be explained, and the ``first`` reason.
        files: the size and the checksum of each file that was written.
    """

    unit: int
    start: int
    stop: int
    errors: int
    first: str
    files: Mapping[str, tuple[int, int]]

    @classmethod
    def parsed(cls, line: str) -> Self | None:
        """The entry of a line, or None of one that a dead process did not end."""
        try:
            told = json.loads(line)
            return cls(**{**told, "files": {name: (size, check) for name, (size, check) in told["files"].items()}})
        except (ValueError, TypeError, KeyError):
            return None


@dataclass(frozen=True)
class Shard:
    """A part of the units of a job: those whose number is ``index`` modulo ``count``."""

    index: int = 0
    count: int = 1

    @classmethod
    def parsed(cls, text: str) -> Self:
        """From ``i/n``, with i from 1 to n.

        Raises:
            ValueError: if it is anything else.
        """
        index, _, count = text.partition("/")
        if not (index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)):
            raise ValueError(f"--shard {text}: i/n with i from 1 to n is needed, as in 2/16")
        return cls(int(index) - 1, int(count))

    def __str__(self) -> str:
        return f"{self.index + 1}-of-{self.count}"


class Manifest:
    """What is done, one line a unit; one process writes it.

    Args:
        folder: of the job.
        shard: whose units it names.
    """

    def __init__(self, folder: Path, shard: Shard) -> None:
        self.path = folder / ("manifest.jsonl" if shard.count == 1 else f"manifest-{shard}.jsonl")

    def entries(self) -> dict[int, Entry]:
        """The entries by their units: the last one of each."""
        if not self.path.exists():
            return {}
        lines = self.path.read_text(encoding="utf-8").split("\n")
        found = (Entry.parsed(line) for line in lines[:-1])  # behind the last line break is nothing that was ended
        return {entry.unit: entry for entry in found if entry is not None}

    def append(self, entry: Entry) -> None:
        """Names a unit, which is done from then on."""
        line = json.dumps(asdict(entry)) + "\n"
        with self.path.open("r+b" if self.path.exists() else "w+b") as file:
            held = file.read()
            file.truncate(held.rfind(b"\n") + 1)  # what a dead process did not end
            file.seek(0, os.SEEK_END)
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())
        fsync(self.path.parent)
        reached("named")


@contextmanager
def held(folder: Path, about: Mapping[str, Any], shard: Shard) -> Iterator[Manifest]:
    """The manifest of a job in a folder, which no other job may write into for as long as the block lasts.

    Args:
        folder: made if it does not exist.
        about: what the job is, as JSON can hold it.
        shard: the part of it that is done here.

    Raises:
        ValueError: if the folder cannot be written, holds anything else, a job of which something differs (naming it),
            or if another process is at the same part of the job.
    """
    path = free(folder) / "job.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _once(path, {"format": FORMAT, **about})
        for made in ("arrays.zarr", "pairs"):
            (folder / made).mkdir(exist_ok=True)
        _once(folder / "arrays.zarr" / "zarr.json", {"zarr_format": 3, "node_type": "group", "attributes": {}})
    except OSError as error:
        raise ValueError(f"-o {folder} cannot be written: {error.strerror or error}") from error
    same(folder, about)
    taken = (
        f"another job is writing {folder}{'' if shard.count == 1 else f' ({shard})'}: wait for it, or give another -o"
    )
    with locked(folder / f".job-{shard}.lock", taken):
        yield Manifest(folder, shard)


def free(folder: Path) -> Path:
    """The folder, if a job can be in it.

    Raises:
        ValueError: if it cannot be made or written, or holds anything else.
    """
    in_a_folder(folder, "a job")
    held = folder.is_dir() and not (folder / "job.json").exists()
    if held and any(not one.name.startswith(".job") for one in folder.iterdir()):
        raise ValueError(f"-o {folder} holds other files and no job: give a new folder")
    return folder


def about_of(folder: Path) -> dict[str, Any]:
    """What the job of a folder is.

    Raises:
        ValueError: if the folder holds none, or one of a newer format.
    """
    path = folder / "job.json"
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        why = "there is no job.json" if isinstance(error, OSError) else str(error)
        raise ValueError(f"{folder} is no folder of a job: {why}") from error
    if found.get("format") != FORMAT:
        raise ValueError(f"{folder} is of format {found.get('format')}, and this version reads {FORMAT}")
    return found


def cleaned(folder: Path, shard: Shard) -> None:
    """Removes what dead processes began to write of the units of a shard."""
    for place in (folder / "arrays.zarr", folder / "pairs"):
        for old in place.glob(".*.tmp-*"):
            unit = old.name[1:].partition(".")[0]
            if not unit.isdecimal() or int(unit) % shard.count != shard.index:
                continue
            if old.is_dir():
                shutil.rmtree(old, ignore_errors=True)
            else:
                old.unlink(missing_ok=True)


def _once(path: Path, told: Mapping[str, Any]) -> None:
    """Writes a file whole, if there is none: the first of several processes wins."""
    if path.exists():
        return
    new = path.with_name(f".{path.name}.tmp-{uuid4().hex[:12]}")
    try:
        new.write_text(json.dumps(told, indent=1), encoding="utf-8")
        synchronised(new)
        if not path.exists():
            os.link(new, path)
    except FileExistsError:
        pass
    finally:
        new.unlink(missing_ok=True)
    fsync(path.parent)


def same(folder: Path, about: Mapping[str, Any]) -> None:
    """Refuses a folder whose job is another one.

    Raises:
        ValueError: with what differs.
    """
    before, now = about_of(folder), json.loads(json.dumps(about))
    changed = [name for name in now if before.get(name) != now[name]]
    if changed:
        told = ", ".join(f"{name}={_short(now[name])} (it was {_short(before.get(name))})" for name in changed[:3])
        raise ValueError(f"{folder} holds a job with another {told}: give another -o, or the same")


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
