"""The items of a gallery as an explainer takes them: any of them as one side of pairs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from xsiamese.explain.attribution import PairAttribution
from xsiamese.explain.prepare import ItemBatch, keys_of
from xsiamese.explain.request import Request
from xsiamese.kinds.catalogue import kind as kind_of
from xsiamese.kinds.catalogue import side as side_of
from xsiamese.kinds.side import SIDES, Leaves, Side, TensorSide
from xsiamese.model.pair import SiameseModel
from xsiamese.pairs.batch import PairBatch
from xsiamese.pairs.pairs import taken_rows
from xsiamese.result import items as parted
from xsiamese.result.columns import run_of

LARGEST = 256  # items that are prepared at once
ROOM = 2**20  # numbers of items that are prepared at once: more leave the cache of a core
ONE_SIDE = "of a model whose sides are of two kinds Gallery(..., side=, other=) says of which one the items are"
DIGITS = 32  # of a key: what follows tells equal graphs of one batch apart
Check = Callable[[Sequence[int], Sequence[str]], None]


@dataclass(frozen=True)
class Beside:
    """What stands on the other side where items of only one side are meant, as images of a model of images and texts.

    Attributes:
        side: where the items stand, 0 or 1.
        other: one item of the other side, with which layers are found; no embedding depends on it.
    """

    side: int
    other: Any

    def pair(self, items: Any, other: Any) -> tuple[Any, Any]:
        """Items and others in the order of the sides."""
        return (other, items) if self.side else (items, other)


@dataclass(frozen=True)
class Some:
    """Some items as one side of pairs."""

    side: Side
    baselines: Leaves
    given: Any


class Items:
    """Items, checked, in the form in which the user has them: a batch of them, or words that a reader reads.

    Args:
        explainer: what they are for.
        asked: how it is asked about them; its inputs are left out.
        items: a batch of items as one side of :meth:`PairAttribution.explain <xsiamese.PairAttribution.explain>`, or a
            sequence of whatever ``read`` takes.
        read: reads one item, a batch of one; None for a batch.
        keep: the most bytes of items that stay in memory after they were read.
        beside: what stands on the other side, where the items are no items of both.

    Raises:
        ValueError: if there is no item, or one of them cannot be read or explained.
    """

    def __init__(
        self,
        explainer: PairAttribution,
        asked: Request,
        items: Any,
        read: Callable[[Any], Any] | None = None,
        *,
        keep: int = 2**28,
        beside: Beside | None = None,
    ) -> None:
        self.explainer, self.asked, self.read, self.beside = explainer, asked, read, beside
        self._words: Sequence[Any] = items if read is not None else ()
        if read is not None and not (hasattr(items, "__len__") and hasattr(items, "__getitem__")):
            raise TypeError(f"items is a {type(items).__name__}: with read= a sequence of what it reads is needed")
        if hasattr(items, "__len__") and len(items) == 0:
            raise ValueError("the gallery holds no items: one at least is needed")
        self._read: OrderedDict[int, Any] = OrderedDict()
        self._keep = keep
        self._whole = None if read is not None else self._checked(items)
        first = self._whole or self._checked(self._given([0]))
        self.batch: PairBatch = first[0]
        self._expected: Check | None = None
        self._seen: set[int] = set()

    def __len__(self) -> int:
        return self.batch.pairs if self.read is None else len(self._words)

    @property
    def one_encoder(self) -> bool:
        """Whether what is prepared of an item holds for both of its sides."""
        if self.beside is not None:  # they stand on one side, and on that they are to be found
            return False
        model = self.explainer.model
        return not isinstance(model, SiameseModel) or model.encoders[0] is model.encoders[1]

    @property
    def places(self) -> tuple[int, ...]:
        """The sides on which the items may stand."""
        return (0, 1) if self.beside is None else (self.beside.side,)

    @property
    def own(self) -> Side:
        """The items as one side."""
        return self.batch.sides[self.places[0]]

    @property
    def at_once(self) -> int:
        """How many are prepared at once, where the user does not say."""
        size = sum(leaf.numel() for leaf in self.own.leaves) // self.batch.pairs
        return max(1, min(LARGEST, ROOM // max(1, size)))

    @property
    def size(self) -> int:
        """The bytes of one item, roughly."""
        return sum(leaf.numel() * leaf.element_size() for leaf in self.own.leaves) // self.batch.pairs

    def some(self, place: int, which: Sequence[int]) -> Some:
        """Items with these numbers, some perhaps several times, as side a (0) or b (1)."""
        if self._whole is not None:
            batch, given = self._whole
            return _taken(batch, given, place, which)
        distinct = sorted(set(which))
        batch, given = self._checked(self._given(distinct))
        if self._expected is not None and not self._seen.issuperset(distinct):
            self._expected(distinct, names_of(batch.sides[self.places[0]]))
            self._seen.update(distinct)
        if list(which) == distinct:
            return Some(batch.sides[place], batch.baselines[place], given)
        where = {number: i for i, number in enumerate(distinct)}
        return _taken(batch, given, place, [where[number] for number in which])

    def expect(self, check: Check) -> None:
        """Has the keys of the items looked at: now those of a batch, and those that are read when they are read.

        Args:
            check: gets the numbers of items and their keys, and raises if they are not the right ones.
        """
        if self._whole is not None:
            check(range(len(self)), names_of(self.own))
        else:
            self._expected = check

    def one(self, number: int) -> Any:
        """An item, as the model takes it."""
        return self.some(self.places[0], [number]).given

    def pairs(self, first: Some, second: Some) -> PairBatch:
        """Some items of side a, each with one of side b."""
        return replace(
            self.batch, a=first.side, b=second.side, baselines=(first.baselines, second.baselines), first_pair=0
        )

    def parts(self, place: int, size: int) -> Iterator[tuple[int, ItemBatch]]:
        """All items, some at a time, with the number of the first."""
        for start in range(0, len(self), size):
            which = range(start, min(start + size, len(self)))
            one = self.some(place, which)
            if self.beside is None:
                two = one, one
            else:  # one of them as often as there are items
                two = self.beside.pair(one, Some(*_rows(self.batch, 1 - place, [0] * len(which)), None))
            yield start, ItemBatch(self.pairs(*two), place)

    def _checked(self, given: Any) -> tuple[PairBatch, Any]:
        """Items as a batch of each with itself or with what is beside it, and as the model takes them."""
        model = self.explainer.model
        if self.beside is None:
            try:
                taken = model.taken((given, given))[0]
                return replace(self.asked, inputs=(taken, taken)).batch(self.explainer), taken
            except (TypeError, ValueError) as error:
                if self.one_encoder:
                    raise
                raise ValueError(f"{error}; {ONE_SIDE}") from error
        two = model.taken(self.beside.pair(given, self.beside.other))
        taken, other = two[self.beside.side], two[1 - self.beside.side]
        kinds = self.asked.kind if isinstance(self.asked.kind, tuple) else (self.asked.kind,) * 2
        items, alone = (side_of(two[i], SIDES[i], kinds[i]) for i in (self.beside.side, 1 - self.beside.side))
        if alone.pairs != 1:
            raise ValueError(f"other= holds {alone.pairs} items: one is needed, with which layers are found")
        inputs = self.beside.pair(taken, _repeated(other, items.pairs, alone.kind))
        return replace(self.asked, inputs=inputs).batch(self.explainer), taken

    def _given(self, which: Sequence[int]) -> Any:
        found = [self._one(number) for number in which]
        together = getattr(self.read, "together", parted.joined)
        try:
            return together(found)
        except (RuntimeError, TypeError, AttributeError, KeyError, ImportError) as error:
            raise ValueError(
                f"items {which[0]} to {which[-1]} do not make one batch: {str(error).splitlines()[0]}"
            ) from error

    def _one(self, number: int) -> Any:
        if number in self._read:
            self._read.move_to_end(number)
            return self._read[number]
        word = self._words[number]
        assert self.read is not None
        try:
            item = self.read(word)
        except Exception as error:  # whatever a reader meets in a damaged file
            told = (str(error) or type(error).__name__).splitlines()[0]
            raise ValueError(f"item {number} of the gallery, {word!r:.120}, cannot be read: {told}") from error
        for one in item if isinstance(item, tuple) else (item,):
            if isinstance(one, Tensor) and (not one.dim() or len(one) != 1):
                raise ValueError(
                    f"item {number} of the gallery, {word!r:.120}: read= gave a tensor of shape {tuple(one.shape)}, "
                    "and a batch of one is needed, (1, ...): x[None] makes one of an item"
                )
        if isinstance(item, Tensor):
            self._read[number] = item
            while len(self._read) * item.numel() * item.element_size() > self._keep and len(self._read) > 1:
                self._read.popitem(last=False)
        return item


def names_of(side: Side) -> list[str]:
    """A key of each item by its numbers alone, equal for equal ones."""
    return [key[:DIGITS] for key in keys_of(side)]


def _repeated(item: Any, times: int, kind: str) -> Any:
    """A batch of one item as one of many of it; a tensor takes no memory for that."""
    if isinstance(item, Tensor):
        return item.expand(times, *item.shape[1:])
    if type(item) in (tuple, list):
        return type(item)(_repeated(one, times, kind) for one in item)
    return parted.take(item, [0] * times, kind_of(kind))


def _taken(batch: PairBatch, given: Any, place: int, which: Sequence[int]) -> Some:
    chosen, starts = _rows(batch, place, which)
    if type(chosen) is TensorSide:  # the user's own tensors, which need not be taken twice
        return Some(chosen, starts, chosen.result(chosen.leaves))
    return Some(chosen, starts, parted.take(given, list(which), kind_of(chosen.kind)))


def _rows(batch: PairBatch, place: int, which: Sequence[int]) -> tuple[Side, Leaves]:
    """Some items of one side, and what replaces them."""
    side = batch.sides[place]
    first, run, device = which[0], run_of(which), side.leaves[0].device
    rows = torch.as_tensor(which, device=device) if run is None else torch.arange(run.start, run.stop, device=device)
    starts = tuple(taken_rows(one, side.rows(i, rows)) for i, one in enumerate(batch.baselines[place]))
    if type(side) is TensorSide and len(set(which)) == 1:  # no copy either way
        chosen: Side = side.holding(
            tuple(leaf[first : first + 1].expand(len(which), *leaf.shape[1:]) for leaf in side.leaves)
        )
    elif run is not None:
        chosen = side.slice(run.start, run.stop)
    else:
        chosen = side.select(rows)
    return chosen, starts
