"""Batches for training: gathered from one tensor in memory, the same for one seed and epoch however often training was resumed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from xsiamese.data.items import LabelledImages
from xsiamese.data.pairs import ClassIndex, Pairs

Kind = Literal["items", "pairs", "triplets"]
SIDES: dict[str, int] = {"items": 1, "pairs": 2, "triplets": 3}


class Batch(NamedTuple):
    """One batch.

    Attributes:
        images: the sides below each other, shape (sides x rows, channels, height, width), uint8: all a, then all b.
        labels: classes of items, or 1 for same and 0 for different pairs; shape (rows,).
        classes: the class of every image, shape (sides x rows,), or None where only pairs are known.
    """

    images: Tensor
    labels: Tensor
    classes: Tensor | None = None


class Batches:
    """The batches of an epoch.

    Attributes:
        batch_sampler: None; Lightning looks for one beside :attr:`sampler`.

    Args:
        items: where the images are.
        kind: "items" with their classes, "pairs" (half same) or "triplets". Every image is an anchor once in an epoch.
        size: rows of a batch.
        seed: batches depend on the seed and the epoch only.
        fixed: pairs to go through instead of sampled ones.
        shuffle: False gives the same batches in every epoch, for validation.
        per_class: so many items of a class follow each other in batches of items, so that a batch has same pairs also with many classes.

    Under torch.distributed every process takes its own rows.

    Example:
        >>> items = LabelledImages(torch.zeros(6, 1, 2, 2, dtype=torch.uint8), torch.tensor([0, 0, 0, 1, 1, 1]), ("a", "b"))
        >>> [tuple(batch.images.shape) for batch in Batches(items, "pairs", size=4)]
        [(8, 1, 2, 2), (4, 1, 2, 2)]
    """

    batch_sampler: None = None

    def __init__(
        self, items: LabelledImages, kind: Kind, size: int, seed: int = 0, fixed: Pairs | None = None, shuffle: bool = True, per_class: int = 1
    ) -> None:
        if size < 1:
            raise ValueError(f"batch size {size}: at least 1 is needed")
        self.items, self.kind, self.size, self.seed, self.fixed, self.shuffle, self.per_class = items, kind, size, seed, fixed, shuffle, per_class
        self.epoch = 0
        self.index = ClassIndex(items.labels, items.classes) if fixed is None and kind != "items" else None
        if fixed is not None and not len(fixed.a):
            raise ValueError("there are no pairs to train on")
        self.rows = len(fixed.a) if fixed is not None else len(self.index.paired) if self.index and kind == "triplets" else len(items)

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
        images, classes = self.items.images, self.items.labels
        for start in range(0, len(labels), self.size):
            rows = slice(start, start + self.size)
            index = sides[:, rows].reshape(-1)
            yield Batch(images[index], labels[rows], None if self.fixed is not None else classes[index])

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
        return (sides, labels) if world == 1 else (sides[:, rank : self.rows // world * world : world], labels[rank : self.rows // world * world : world])

    def _drawn(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        anchors = torch.randperm(len(self.items), generator=generator) if self.shuffle else torch.arange(len(self.items))
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
    place = torch.arange(len(order)) - (counts.cumsum(0) - counts)[labels[order]]
    group = torch.unique(torch.stack([labels[order], place // size]), dim=1, return_inverse=True)[1]
    shuffled: Tensor = order[torch.rand(len(order), generator=generator)[group].argsort(stable=True)]
    return shuffled


def _world() -> tuple[int, int]:
    """This process and how many there are."""
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    return (torch.distributed.get_rank(), torch.distributed.get_world_size()) if distributed else (0, 1)
