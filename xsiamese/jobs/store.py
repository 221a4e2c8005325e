"""The folder of a job: what is written is whole or not there, whatever ends the process, and is never written twice.

``job.json`` says what the job is. A unit is a group of ``arrays.zarr`` and a part of ``pairs``. Both are written beside
their places, synchronised with the disk, renamed, and only then named in the manifest, which is synchronised as well.
What the manifest names and can be read is done; anything else is done again.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import zarr
from pyarrow import parquet

from xsiamese.jobs import arrays, manifest
from xsiamese.jobs.disk import check, checked, fsync, renamed, synchronised
from xsiamese.jobs.manifest import Entry
from xsiamese.jobs.recipe import Precision
from xsiamese.jobs.rows import rows_of
from xsiamese.jobs.unit import Explained


@dataclass(frozen=True)
class Store:
    """The folder of a job, as the processes that write into it see it."""

    folder: Path
    precision: Precision = "full"
    seed: int = 0
    versions: str = ""

    def place(self, unit: int) -> tuple[Path, Path]:
        """Where the arrays and the rows of a unit are."""
        return self.folder / "arrays.zarr" / f"{unit:06d}", self.folder / "pairs" / f"{unit:06d}.parquet"

    def write(self, explained: Explained) -> Entry:
        """Writes a unit, whole or not at all; it counts only when the manifest names it.

        Raises:
            OSError: if it cannot be written, such as on a full disk; nothing of it is left then.
        """
        unit, (group, part) = explained.unit, self.place(explained.unit.number)
        mark = f".tmp-{uuid4().hex[:12]}"  # of this attempt alone: another one may still be alive elsewhere
        new_group, new_part = group.with_name(f".{group.name}{mark}"), part.with_name(f".{part.name}{mark}")
        manifest.reached("begun")
        try:
            made = zarr.create_group(store=str(new_group))
            if explained.explanation is not None:
                words = [[side[i] for i in explained.good] for side in explained.words]
                arrays.write(made, explained.explanation, words, self.precision)
            manifest.reached("arrays")
            parquet.write_table(rows_of(explained, self.seed, self.versions), new_part, compression="zstd")
            manifest.reached("rows")
            synchronised(new_group)
            synchronised(new_part)
            found = {**checked(new_group, self._name(group)), **checked(new_part, self._name(part))}
            manifest.reached("synchronised")
            renamed(new_group, group)
            manifest.reached("arrays renamed")
            os.replace(new_part, part)
            manifest.reached("rows renamed")
        finally:
            shutil.rmtree(new_group, ignore_errors=True)
            new_part.unlink(missing_ok=True)
        for folder in (group.parent, part.parent):
            fsync(folder)
        manifest.reached("settled")
        errors = [explained.errors[i] for i in sorted(explained.errors)]
        return Entry(unit.number, unit.start, unit.stop, len(errors), errors[0] if errors else "", found)

    def readable(self, entry: Entry) -> bool:
        """Whether everything that a line of the manifest names is there as it was written."""
        try:
            return all(check(self.folder / name) == told for name, told in entry.files.items())
        except OSError:
            return False

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self.folder))
