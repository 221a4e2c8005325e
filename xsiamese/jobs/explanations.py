"""What a job found, read from its folder as it is asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Self, overload

import numpy as np
import pyarrow as pa
import zarr
from pyarrow import dataset
from pyarrow.compute import Expression, field
from torch import Tensor

from xsiamese.jobs import arrays
from xsiamese.jobs.manifest import Entry, Manifest, Shard, about_of
from xsiamese.jobs.rows import SCHEMA
from xsiamese.jobs.store import Store
from xsiamese.result.explanation import PairExplanation
from xsiamese.result.indexing import Index, chosen


@dataclass(frozen=True, eq=False, repr=False)
class StoredExplanations:
    """The pairs of a job, or some of them. Nothing but their numbers is in memory.

    Attributes:
        folder: of the job.
        about: what the job is: method, model, options, seed, ...
        parts: what is done, by the number of the unit.
        chosen: which pairs, as an expression of the columns of :meth:`table`; None for all.

    Example:
        >>> import pyarrow.compute as pc
        >>> found = open_explanations(folder)                                      # doctest: +SKIP
        >>> [one.ids for one in found.filter((pc.field("score") > 0.9) & ~pc.field("alike"))]    # doctest: +SKIP
    """

    folder: Path
    about: Mapping[str, Any]
    parts: Mapping[int, Entry]
    chosen: Expression | None = None

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of the pairs, in the order of the job's table.

        Args:
            columns: which; all if left out: ``pair`` (the row of the job's table), ``a``, ``b``, ``status`` ("ok" or
                "error"), ``error``, ``score``, ``alike``, ``delta``, ``seed``, ``versions``, ``top`` (the strongest
                places of a and of b, or matches of both), ``unit`` and ``row``.

        Raises:
            TypeError: if columns are no list.
            ValueError: if there is no such column.
        """
        if columns is not None and not isinstance(columns, (list, tuple)):
            raise TypeError(f"columns={columns!r:.60}: a list of names of columns is needed")
        for name in columns or ():
            if name not in SCHEMA.names:
                raise ValueError(_unknown(name))
        return self._dataset.to_table(columns=list(columns) if columns else None, filter=self.chosen)

    def filter(self, expression: Expression) -> Self:
        """The pairs of which an expression of pyarrow is true, such as ``pc.field("score") > 0.9``.

        Raises:
            TypeError: if it is no expression.
            ValueError: if it asks for a column that is not there, or is neither true nor false of a pair.

        Example:
            >>> import pyarrow.compute as pc
            >>> bad = pc.field("status") == "error"
        """
        if not isinstance(expression, Expression):
            raise TypeError(
                f"{expression!r:.60} is a {type(expression).__name__}: an expression of pyarrow is needed, as in "
                'found.filter(pyarrow.compute.field("score") > 0.9)'
            )
        try:
            SCHEMA.empty_table().filter(expression)
        except pa.ArrowException as error:
            told, other = str(error).splitlines()[0], re.search(r"FieldRef\.Name\((.*?)\)", str(error))
            raise ValueError(
                _unknown(other[1]) if other else f"pairs cannot be filtered by {expression}: {told}"
            ) from None
        return self._filtered(expression)

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> PairExplanation: ...
    @overload
    def __getitem__(self, index: slice | Sequence[int] | Sequence[bool] | Tensor | np.ndarray) -> Self: ...
    def __getitem__(self, index: Index) -> PairExplanation | Self:
        """The explanation of one pair, of the type that the method gives; of a slice, a list of numbers or a mask these
        pairs, still unread, of which :meth:`batches` gives explanations of many.

        Raises:
            TypeError: if it is no index.
            IndexError: if there is no such pair.
            ValueError: if it could not be explained, with its error; or if several are not in the order of the table.
        """
        which = chosen(index, len(self))
        if isinstance(index, (slice, list, tuple, range, Tensor, np.ndarray)):
            return self._some(which)
        (place,) = self._places.slice(which[0], 1).to_pylist()
        if place["row"] is None:
            raise ValueError(f"pair {place['pair']} could not be explained: {place['error']}")
        return self._read(place["unit"], [place["row"]])

    def __iter__(self) -> Iterator[PairExplanation]:
        """The pairs one by one, those left out that could not be explained."""
        return (one for batch in self.batches() for one in batch)

    def batches(self) -> Iterator[PairExplanation]:
        """The pairs unit by unit, each an explanation of many, those left out that could not be explained."""
        rows: dict[int, list[int]] = {}
        for unit, row in zip(self._places["unit"].to_pylist(), self._places["row"].to_pylist(), strict=True):
            if row is not None:
                rows.setdefault(unit, []).append(row)
        return (self._read(unit, some) for unit, some in rows.items())

    def __repr__(self) -> str:
        errors = sum(entry.errors for entry in self.parts.values())
        done = sum(entry.stop - entry.start for entry in self.parts.values())
        some = "" if self.chosen is None else f", those with {' '.join(str(self.chosen).split()):.120}"
        pairs, method = self.about["pairs"], self.about["method"]
        return f"StoredExplanations({done} of {pairs} pairs by {method}, {errors} with an error{some}: {self.folder})"

    def _some(self, which: Sequence[int]) -> Self:
        if any(later <= one for one, later in pairwise(which)):
            raise ValueError("several pairs of a job come in the order of its table: numbers that rise are needed")
        pairs = self._places["pair"].take(pa.array(which, pa.int64())).combine_chunks()
        if len(which) and which[-1] - which[0] == len(which) - 1:  # a run is two numbers, however long
            return self._filtered((field("pair") >= pairs[0]) & (field("pair") <= pairs[-1]))
        return self._filtered(field("pair").isin(pairs))

    def _filtered(self, expression: Expression) -> Self:
        return replace(self, chosen=expression if self.chosen is None else self.chosen & expression)

    @cached_property
    def _dataset(self) -> dataset.Dataset:
        store = Store(self.folder)
        return dataset.dataset(
            [str(store.place(unit)[1]) for unit in sorted(self.parts)], schema=SCHEMA, format="parquet"
        )

    @cached_property
    def _places(self) -> pa.Table:
        return self.table(["pair", "unit", "row", "error"])

    def _read(self, unit: int, rows: Sequence[int]) -> PairExplanation:
        return arrays.read(zarr.open_group(str(Store(self.folder).place(unit)[0]), mode="r"), rows)


def _unknown(name: object) -> str:
    return f"there is no column {name!r}: {', '.join(SCHEMA.names)} are known"


def open_explanations(path: str | Path) -> StoredExplanations:
    """What a job found so far, also of one that is still at work.

    Args:
        path: its folder.

    Raises:
        ValueError: if it is none, or nothing is done yet.

    Example:
        >>> from xsiamese import open_explanations
        >>> open_explanations("out")[3].plot()                                              # doctest: +SKIP
    """
    folder = Path(path)
    about = about_of(folder)
    shards = (Shard(i, about["shards"]) for i in range(about["shards"]))
    parts = {number: entry for shard in shards for number, entry in Manifest(folder, shard).entries().items()}
    return StoredExplanations(folder, about, parts)
