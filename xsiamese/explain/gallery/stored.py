"""A gallery as a zarr store: what is kept of the items, and what it was made with."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xsiamese.door.files import folder
from xsiamese.explain.gallery.about import FORMAT, differences
from xsiamese.explain.gallery.kept import Kept, Packing
from xsiamese.explain.gallery.shelves import Store, zarr

MARK = "xsiamese_gallery"


@dataclass(frozen=True)
class Opened:
    """What a store holds.

    Attributes:
        path: of the store.
        about: what it was made with.
        ids: of the items.
        keys: of the items, equal for equal ones.
        kept: what was prepared of them, by the encoder (0 or 1).
    """

    path: Path
    about: Mapping[str, Any]
    ids: tuple[str, ...]
    keys: tuple[str, ...]
    kept: Mapping[int, Kept]

    def check(self, own: Mapping[str, Any]) -> None:
        """Refuses anything that the store was not made with.

        Raises:
            ValueError: naming what differs.
        """
        if other := differences(self.about, own):
            raise ValueError(f"the gallery {self.path} was made with another: {'; '.join(other)}")

    def check_packing(self, packing: Packing) -> None:
        """Refuses to be in half precision, or of a rank, if what is kept is not; nobody need say what it is.

        Raises:
            ValueError: naming the argument.
        """
        asked = packing.half or packing.rank is not None
        for kept in self.kept.values() if asked else ():
            for name in kept.numbers():
                half, rank = kept.packed(name)
                if packing.half and not half:
                    raise ValueError(f"half=True, and the gallery {self.path} is kept in full precision: leave it out")
                if packing.rank is not None and packing.rank != rank and (rank or packing.saves(kept.row(name, 0))):
                    raise ValueError(
                        f"rank={packing.rank}, and the gallery {self.path} is kept "
                        f"{f'with rank={rank}' if rank else 'whole'}: leave it out"
                    )

    def check_items(self, numbers: Sequence[int], keys: Sequence[str]) -> None:
        """Refuses other items than those that the store was made of, by their numbers and keys.

        Raises:
            ValueError: naming them.
        """
        other = [number for number, key in zip(numbers, keys, strict=True) if self.keys[number] != key]
        if other:
            told = ", ".join(self.ids[i] for i in other[:8]) + (", ..." if len(other) > 8 else "")
            raise ValueError(f"the gallery {self.path} was made of other items: {told} differ")


def written(
    path: Path, about: Mapping[str, Any], kept: Mapping[int, Kept], *, ids: Sequence[str], keys: Sequence[str]
) -> Path:
    """Writes a store: beside its place first, so that what stands there is whole.

    Raises:
        ValueError: if something is there already, the name is that of a file, or the folder cannot be written.
    """
    folder(path, "a gallery")
    if path.exists():
        raise ValueError(f"{path} is there already: give the gallery a place of its own")
    making = path.with_name(f"{path.name}.tmp{os.getpid()}")
    try:
        group = zarr().open_group(str(making), mode="w")
        for place, columns in kept.items():
            columns.write(making / str(place))
        told = {
            str(place): {"columns": one.about, "block": one.block, "ragged": one.ragged} for place, one in kept.items()
        }
        group.attrs.put({MARK: FORMAT, "about": dict(about), "ids": list(ids), "keys": list(keys), "kept": told})
        making.rename(path)
    except OSError as error:
        raise ValueError(f"the gallery cannot be written to {path}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return path


def opened(path: Path) -> Opened:
    """Reads what a store was made with; what is kept stays on disk.

    Raises:
        ValueError: if there is no gallery, or one of a newer format.
    """
    try:
        told = dict(zarr().open_group(str(path), mode="r").attrs)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"{path} is no gallery: {(str(error) or type(error).__name__).splitlines()[0]}") from error
    if MARK not in told:
        raise ValueError(f"{path} is a zarr store, and no gallery of xsiamese")
    if told[MARK] > FORMAT:
        raise ValueError(f"{path} was written by a newer xsiamese: format {told[MARK]}, known up to {FORMAT}")
    ids, keys = tuple(told["ids"]), tuple(told["keys"])
    kept = {
        int(place): Kept(
            len(ids), one["block"], 0, path / place, one["ragged"], Packing(), one["columns"],
            Store(path / place, one["block"]),
        )
        for place, one in told["kept"].items()
    }  # fmt: skip
    return Opened(path, told["about"], ids, keys, kept)
