"""Explanations of many pairs that are made when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import isqrt
from typing import Any

from torch import Tensor
from tqdm.auto import tqdm

from xsiamese.door.arguments import check
from xsiamese.result.explanation import PairExplanation
from xsiamese.result.indexing import Index, chosen

Pairs = Sequence[tuple[int, int]]
Make = Callable[[Pairs], PairExplanation]
SHORT = 8  # a run of fewer pairs than a unit's by this is too short for a unit of its own


class Explanations(Sequence[PairExplanation]):
    """The explanations of many pairs, as a sequence: nothing is made until it is asked for, and nothing is kept.

    ``found[3]`` is the explanation of one pair, ``found[:100]`` one explanation of a hundred, as those of a
    :class:`~xsiamese.PairExplanation` are. Iterating gives one pair after the other, :meth:`units` one explanation for
    some hundred pairs at a time, which is all of the maps that is ever in memory.

    Args:
        pairs: the numbers of both items of each pair.
        make: explains some of them.
        score: scores some of them.
        units: how many are made at once, and how many of one item with a run of others, which cost less memory.
    """

    def __init__(self, pairs: Pairs, make: Make, score: Callable[[Pairs], Tensor], units: tuple[int, int]) -> None:
        self.pairs = pairs
        self._make, self._score, self._units = make, score, units

    def __len__(self) -> int:
        return len(self.pairs)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} pairs, not made yet)"

    def __getitem__(self, index: Index) -> Any:  # one or several pairs are one explanation
        """The explanation of some of the pairs, by a number, a slice, a list of numbers or a mask."""
        which = chosen(index, len(self))
        if not which:
            raise IndexError(f"{index!r} means none of {len(self)} pairs, and there is no explanation of none")
        return self._make([self.pairs[i] for i in which])

    def __iter__(self) -> Iterator[PairExplanation]:
        for unit in self.units():
            yield from unit

    def units(self, size: int | None = None, *, show_progress: bool = False) -> Iterator[PairExplanation]:
        """All pairs, some at a time.

        Args:
            size: how many at a time; None takes as many as the gallery's budget of memory allows.
            show_progress: shows a bar over them.

        Raises:
            ValueError: if the size is not positive.
        """
        check(Explanations.units, {"size": size, "show_progress": show_progress})
        bar = tqdm(total=len(self), desc="gallery", unit="pair", disable=not show_progress)
        with bar:
            for start, stop in self._cuts(size):
                yield self._make(self.pairs[start:stop])
                bar.update(stop - start)

    def _cuts(self, size: int | None) -> Iterator[tuple[int, int]]:
        """Where units begin and end: those of every pair with the run of one item, of which neither side is copied."""
        unit, row_unit = self._units if size is None else (size, size)
        every = self.pairs if isinstance(self.pairs, EveryPair) and size is None else None
        start = 0
        while start < len(self):
            stop = min(start + unit, len(self))
            if every is not None:
                end = every.row_end(start)
                # short runs, at the end of all, are taken together
                stop = min(end, start + row_unit) if end - start > unit // SHORT else every.row_before(stop) or stop
            yield start, stop
            start = stop

    @property
    def scores(self) -> Tensor:
        """The model's own scores of all pairs, shape (pairs,), from the embeddings that are there."""
        return self._score(self.pairs)


class EveryPair(Sequence[tuple[int, int]]):
    """All pairs (i, j) of n items with i < j, in the order of i and then of j, without a list of them.

    Example:
        >>> list(EveryPair(3)), len(EveryPair(100))
        ([(0, 1), (0, 2), (1, 2)], 4950)
    """

    def __init__(self, items: int) -> None:
        self.items = items

    def __len__(self) -> int:
        return self.items * (self.items - 1) // 2

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self._pair(k) for k in range(*index.indices(len(self)))]
        return self._pair(range(len(self))[index])

    def row_end(self, number: int) -> int:
        """The number after the last pair that begins with the same item."""
        return number + self.items - self._pair(number)[1]

    def row_before(self, number: int) -> int:
        """The number of the last pair up to ``number`` that begins with another item than the one before it."""
        if number >= len(self):
            return len(self)
        first, second = self._pair(number)
        return number - (second - first - 1)

    def _pair(self, number: int) -> tuple[int, int]:
        # the rows i = n - 2, n - 3, ... hold 1, 2, ... pairs, so that from the end the row is a triangular root
        left = len(self) - 1 - number
        row = (isqrt(8 * left + 1) - 1) // 2
        return self.items - 2 - row, self.items - 1 - (left - row * (row + 1) // 2)
