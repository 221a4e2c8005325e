"""What is done once for each different item, whatever number of pairs it is in and on whichever side it stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import NamedTuple

import torch
from torch import Tensor, nn

from xsiamese.branches.layers import Layer
from xsiamese.branches.record import Orders, Recording, record
from xsiamese.explain.digest import digest, tensors_of
from xsiamese.kinds.side import Side
from xsiamese.model.pair import SiameseModel
from xsiamese.pairs.batch import PairBatch
from xsiamese.pairs.usage import find_plan
from xsiamese.result import columns
from xsiamese.result.columns import Column


@dataclass(frozen=True, eq=False)
class ItemBatch:
    """Different items of one encoder.

    Attributes:
        pairs: the items, each paired with itself, so that all verbs of a batch are at hand.
        place: which encoder they are for, 0 for that of a, 1 for that of b.
    """

    pairs: PairBatch
    place: int

    def __len__(self) -> int:
        return self.pairs.pairs

    @property
    def seeds(self) -> tuple[int, ...]:
        """A seed of each item: what is drawn for it is the same on either side and in any batch."""
        return tuple(int(key[:15], 16) for key in keys_of(self.side))

    @property
    def side(self) -> Side:
        """The items."""
        return self.pairs.sides[self.place]

    @cached_property
    def leaves(self) -> tuple[Tensor, ...]:
        """The tensors of the items, safe from in-place changes."""
        return self.pairs.safe(self.side.leaves)

    @property
    def baselines(self) -> tuple[Tensor, ...]:
        """What a removed part of each leaf is replaced by."""
        return self.pairs.baselines[self.place]

    def embed(self, *leaves: Tensor) -> Tensor:
        """Their embeddings, or those of any number of copies of them: see :meth:`PairBatch.embed
        <xsiamese.pairs.batch.PairBatch.embed>`.
        """
        return self.pairs.embed(self.place, *(leaves or self.leaves))

    def recorded(self, layer: Layer, graph: bool = True) -> tuple[list[Recorded], Tensor]:
        """What some layers give of the items, and their embeddings, from one pass.

        Args:
            layer: as an explainer takes it.
            graph: whether with a graph from the layers on.
        """
        plan = find_plan(self.pairs, layer)
        modules = [both[self.place] for both in plan.layers]

        def passed(copies: bool) -> tuple[Recording, Tensor]:
            # one side is encoded alone, so that each layer is called once: whose call it is is no question
            pairs = [(m, m) for m in modules]
            order: list[Orders] = [((), ())] * len(modules)
            with torch.set_grad_enabled(graph), record(pairs, plan.names, 0, order=order, copies=copies) as seen:
                return seen, self.embed()

        plans = {} if self.pairs.plans is None else self.pairs.plans
        writes = "writes into its layers", self.place
        recording, embeddings = passed(copies=graph or writes in plans)
        if recording.overwritten:
            plans[writes] = True
            recording, embeddings = passed(copies=True)
        given = zip(recording.activations, modules, strict=True)
        return [Recorded(one, module) for (one, _), module in given], embeddings


class Recorded(NamedTuple):
    """The output of a layer, a tensor with a row for each item (or node), and the layer."""

    activation: Tensor
    layer: nn.Module


GLANCE = 16  # numbers, by which most items differ
Prepare = Callable[[ItemBatch], Mapping[str, Column] | None]


def prepared(batch: PairBatch, prepare: Prepare) -> PairBatch:
    """The same pairs with what ``prepare`` finds of their items, each different one prepared once.

    Args:
        batch: the pairs.
        prepare: gives columns with one entry an item, or None for nothing.
    """
    model = batch.model
    if batch.target is not None:  # of the pair's output, and of no item's embedding
        return batch
    one_encoder = isinstance(model, SiameseModel) and model.encoders[0] is model.encoders[1]
    keys = _keys(batch)
    found: list[dict[str, Column]] = []
    where: list[dict[str, int]] = [{}, {}]
    for place, own in enumerate(keys):
        known = where[0] if one_encoder else where[place]
        new = {key: i for i, key in reversed(list(enumerate(own))) if key not in known}
        order = sorted(new.values())
        start = len(known)
        known.update({own[i]: start + n for n, i in enumerate(order)})
        where[place] = known
        if not order:  # one encoder, and all items of b are items of a
            continue
        columns_of = prepare(_items_of(batch, place, order))
        if columns_of is None:
            return batch
        columns.check(columns_of, len(order))
        found.append(dict(columns_of))
    pools = [columns.joined(found)] * 2 if one_encoder else found
    sides = [columns.taken(pools[place], [where[place][key] for key in own]) for place, own in enumerate(keys)]
    return replace(batch, prepared=(sides[0], sides[1]))


def seed_of(pair: PairBatch) -> int:
    """The seed of a single pair, of the seed asked for and what its items hold: the same in any batch, and for (b, a).

    One that counted the pairs would give a pair other draws alone than beside others.
    """
    assert pair.seed is not None
    return (pair.seed + sum(int(key[:15], 16) for side in pair.sides for key in keys_of(side))) % 2**63


def _items_of(batch: PairBatch, place: int, which: list[int]) -> ItemBatch:
    """Some items of one side of a batch (0 for a, 1 for b)."""
    every = which == list(range(batch.pairs))
    some = batch if every else batch.select(torch.tensor(which, device=batch.leaves[0].device))
    side, baseline = some.sides[place], some.baselines[place]
    alone = replace(
        some, a=side, b=side, baselines=(baseline, baseline), target=None, wrt="both", first_pair=0, witness=None,
        given=batch.described,
    )  # fmt: skip
    return ItemBatch(alone, place)


def _keys(batch: PairBatch) -> list[list[str]]:
    """A key of each item of both sides and of what replaces it, where that is not the same for all. Of items that
    differ at a glance not all numbers are read.
    """
    glances = [[_glance(side, i) for i in range(side.pairs)] for side in batch.sides]
    often = Counter(chain(*glances))
    keys = []
    for place, (side, seen) in enumerate(zip(batch.sides, glances, strict=True)):
        own = [_key(side, i) if side.ragged or often[glance] > 1 else glance for i, glance in enumerate(seen)]
        starts, first = batch.baselines[place], batch.baselines[0]
        common = len(starts) == len(first) and all(map(_same, starts, first))
        if not (common or batch.distribution or side.ragged):
            own = [f"{key}{digest(leaf[i % len(leaf)] for leaf in starts).hexdigest()}" for i, key in enumerate(own)]
        keys.append(own)
    return keys


def _same(rows: Tensor, other: Tensor) -> bool:
    return rows.shape[1:] == other.shape[1:] and bool((rows == other[:1]).all())


def keys_of(side: Side) -> list[str]:
    """A key of each item, equal for items with the same numbers; graphs, of no common shape, are all their own."""
    return [_key(side, i) for i in range(side.pairs)]


def _key(side: Side, i: int) -> str:
    if side.ragged:
        return f"{digest(tensors_of(side.select(torch.tensor([i])))).hexdigest()}{i:x}"
    return digest(leaf[i] for leaf in side.leaves).hexdigest()


def _glance(side: Side, i: int) -> str:
    """A key of an item's shape and some of its numbers."""
    if side.ragged:
        return ""
    some = [leaf[i].flatten()[:: leaf[i].numel() // GLANCE + 1] for leaf in side.leaves]
    return f"{[tuple(leaf.shape[1:]) for leaf in side.leaves]}{digest(some).hexdigest()}"
