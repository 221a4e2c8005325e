"""Batches for training: gathered from one tensor in memory, the same for one seed and epoch however often training was
resumed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from xsiamese.data.items import Items
from xsiamese.data.pairs import Pairs

Kind = Literal["items", "pairs", "triplets"]
SIDES: dict[str, int] = {"items": 1, "pairs": 2, "triplets": 3}


class Apart(NamedTuple):
    """The two sides of pairs, each a batch of its own, for models that do not encode a side without the other."""

    a: Any
    b: Any


class Batch(NamedTuple):
    """One batch.

    Attributes:
        inputs: the items as they are stored (images: bytes), the sides below each other: all a, then all b; or
            :class:`Apart`.
        labels: classes of items, or 1 for same and 0 for different pairs, or how alike they are; shape (rows,).
        classes: the class of every item, shape (sides x rows,), or None where only pairs are known.
    """

    inputs: Any
    labels: Tensor
    classes: Tensor | None = None


class Batches:
    """The batches of an epoch.

    Attributes:
        batch_sampler: None; Lightning looks for one beside :attr:`sampler`.

    Args:
        items: what batches are made of.
        kind: "items" with their classes, "pairs" (half same) or "triplets". Every item is an anchor ``rounds`` times in
            an epoch.
        size: rows of a batch.
        seed: batches depend on the seed and the epoch only.
        fixed: pairs to go through instead of sampled ones.
        shuffle: False gives the same batches in every epoch, for validation.
        per_class: so many items of a class follow each other in batches of items, so that a batch has same pairs also
            with many classes.
        rounds: how often an epoch goes through the items: more than once for small sets.
        apart: whether the two sides of pairs are given as :class:`Apart`.

    Under torch.distributed every process takes its own rows.

    Example:
        >>> from xsiamese.data import LabelledImages
        >>> images, labels = torch.zeros(6, 1, 2, 2, dtype=torch.uint8), torch.tensor([0, 0, 0, 1, 1, 1])
        >>> items = LabelledImages(images, labels, ("a", "b"))
        >>> [tuple(batch.inputs.shape) for batch in Batches(items, "pairs", size=4)]
        [(8, 1, 2, 2), (4, 1, 2, 2)]
    """

    batch_sampler: None = None

    def __init__(
        self,
        items: Items,
        kind: Kind,
        size: int,
        *,
        seed: int = 0,
        fixed: Pairs | None = None,
        shuffle: bool = True,
        per_class: int = 1,
        rounds: int = 1,
        apart: bool = False,
    ) -> None:
        if size < 1:
            raise ValueError(f"batch size {size}: at least 1 is needed")
        self.items, self.kind, self.size, self.seed, self.fixed, self.shuffle, self.per_class = (
            items,
            kind,
            size,
            seed,
            fixed,
            shuffle,
            per_class,
        )
        self.epoch, self.rounds, self.apart = 0, rounds, apart
        self.index = items.partners() if fixed is None and kind != "items" else None
        if fixed is not None and not len(fixed.a):
            raise ValueError("there are no pairs to train on")
        self.rows = (
            len(fixed.a)
            if fixed is not None
            else rounds * (len(self.index.paired) if self.index and kind == "triplets" else len(items))
        )

    @property
    def sampler(self) -> Batches:
        """What Lightning tells the epoch to."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """The epoch that the next iteration is for."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-(self.rows // _world()[1]) // self.size)

    def __iter__(self) -> Iterator[Batch]:
        sides, labels = self.sampled()
        for start in range(0, len(labels), self.size):
            rows = slice(start, start + self.size)
            index = sides[:, rows].reshape(-1)
            inputs = (
                Apart(*(self.items.gather(side[rows]) for side in sides)) if self.apart else self.items.gather(index)
            )
            yield Batch(inputs, labels[rows], None if self.fixed is not None else self.items.labels[index])

    def sampled(self) -> tuple[Tensor, Tensor]:
        """The indices of this epoch, shape (sides, rows), and the labels, shape (rows,)."""
        epoch = self.epoch if self.shuffle else 0
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + epoch) % 2**63)
        if self.fixed is not None:
            order = torch.randperm(self.rows, generator=generator) if self.shuffle else torch.arange(self.rows)
            sides, labels = torch.stack([self.fixed.a[order], self.fixed.b[order]]), self.fixed.same[order].float()
        else:
            sides, labels = self._drawn(generator)
        rank, world = _world()
        return (
            (sides, labels)
            if world == 1
            # every world-th pair from the rank on; what does not fill a round is left out, so that all have as many
            else (
                sides[:, rank : self.rows // world * world : world],
                labels[rank : self.rows // world * world : world],
            )
        )

    def _drawn(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        count = len(self.items)
        anchors = torch.cat(
            [
                torch.randperm(count, generator=generator) if self.shuffle else torch.arange(count)
                for _ in range(self.rounds)
            ]
        )
        if self.per_class > 1:
            anchors = _grouped(anchors, self.items.labels, self.per_class, generator)
        if self.index is None:
            return anchors[None], self.items.labels[anchors]
        if self.kind == "pairs":
            pairs = self.index.pairs(anchors, generator)
            return torch.stack([pairs.a, pairs.b]), pairs.same.float()
        triplets = self.index.triplets(anchors, generator)
        return torch.stack(triplets), self.items.labels[triplets.anchor]


def _grouped(order: Tensor, labels: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """The same items, those of one class in groups of ``size`` that follow each other."""
    order = order[labels[order].argsort(stable=True)]
    counts = labels.bincount()
    # an item's number within its class: its place in the sorted order less where its class begins
    place = torch.arange(len(order)) - (counts.cumsum(0) - counts)[labels[order]]
    group = torch.unique(torch.stack([labels[order], place // size]), dim=1, return_inverse=True)[1]
    shuffled: Tensor = order[torch.rand(len(order), generator=generator)[group].argsort(stable=True)]
    return shuffled


def _world() -> tuple[int, int]:
    """This process and how many there are."""
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    return (torch.distributed.get_rank(), torch.distributed.get_world_size()) if distributed else (0, 1)
