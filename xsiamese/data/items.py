"""Items with labels: what training needs of them, and images, decoded once and kept as one tensor of bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, Self, TypeVar

import torch
from torch import Tensor

from xsiamese.data.pairs import ClassIndex, Pairs, Partners


class Items(Protocol):
    """What training needs of a set of items, be they images, graphs or rows of a table."""

    @property
    def labels(self) -> Tensor:
        """The index of each item's class, shape (items,)."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""

    @property
    def skipped(self) -> tuple[str, ...]:
        """What could not be read, each with the reason."""

    def __len__(self) -> int: ...

    def take(self, index: Tensor | Sequence[int]) -> Self:
        """The items of these indices, in this order; the classes stay."""

    def gather(self, index: Tensor) -> Any:
        """The items of these indices as one batch, as they are stored: anything that has ``.to(device)``, or a tuple of
        such.
        """

    def partners(self) -> Partners:
        """What draws the pairs of an epoch.

        Raises:
            ValueError: if no pairs can be made of these items.
        """


AnyItems = TypeVar("AnyItems", bound=Items)


@dataclass(frozen=True)
class Source(Generic[AnyItems]):
    """A data set, split.

    Attributes:
        name: for file names and titles.
        train, valid, test: the items; ``valid`` may be empty.
        pairs: given pairs of train, valid and test, or None where pairs are sampled.
        seen: further items of the training classes, where ``valid`` and ``test`` hold other classes.
    """

    name: str
    train: AnyItems
    valid: AnyItems
    test: AnyItems
    pairs: tuple[Pairs, Pairs, Pairs] | None = None
    seen: AnyItems | None = None


@dataclass(frozen=True)
class LabelledImages:
    """Images of one size with a class each.

    Attributes:
        images: shape (items, channels, height, width), uint8.
        labels: the index of each image's class, shape (items,).
        classes: the names of the classes.
        paths: where each image comes from; empty where the set has no files.
        skipped: files that could not be read, each with the reason.
    """

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    paths: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.images.dim() != 4 or self.images.dtype != torch.uint8:
            raise ValueError(
                f"images are {tuple(self.images.shape)} {self.images.dtype}: (items, channels, height, width) uint8 "
                "is needed"
            )
        if self.labels.shape != self.images.shape[:1]:
            raise ValueError(f"{len(self.labels)} labels for {len(self.images)} images: one each is needed")

    def __len__(self) -> int:
        return len(self.images)

    def take(self, index: Tensor | Sequence[int]) -> LabelledImages:
        """The images of these indices, in this order; the classes stay."""
        where = torch.as_tensor(index, dtype=torch.long)
        paths = tuple(self.paths[i] for i in where.tolist()) if self.paths else ()
        return replace(self, images=self.images[where], labels=self.labels[where], paths=paths)

    def gather(self, index: Tensor) -> Tensor:
        """The images of these indices, bytes."""
        return self.images[index]

    def partners(self) -> ClassIndex:
        """Draws pairs of one class and of two."""
        return ClassIndex(self.labels, self.classes)

    def of(self, classes: Sequence[str]) -> LabelledImages:
        """The images of these classes, numbered in this order.

        Raises:
            ValueError: if there is no such class.
        """
        if missing := [name for name in classes if name not in self.classes]:
            raise ValueError(f"no class is called {missing[0]!r}; known: {', '.join(self.classes[:12])}")
        number = torch.full((len(self.classes),), -1)
        number[[self.classes.index(name) for name in classes]] = torch.arange(len(classes))
        kept = (number[self.labels] >= 0).nonzero().flatten()
        taken = self.take(kept)
        return replace(taken, labels=number[taken.labels], classes=tuple(classes))


def split(items: AnyItems, valid: float, test: float, seed: int = 0) -> tuple[AnyItems, AnyItems, AnyItems]:
    """Training, validation and test items: every item is in one of the three, every class in the same shares.

    Args:
        items: what is split.
        valid, test: shares in [0, 1) of the items of each class, rounded; a class keeps at least one item for training.
        seed: of the shuffle.

    Raises:
        ValueError: if the shares leave nothing to train on.
    """
    if not (0 <= valid < 1 and 0 <= test < 1 and valid + test < 1):
        raise ValueError(
            f"valid_size={valid:g} and test_size={test:g} leave nothing to train on: shares in [0, 1) whose sum is "
            "below 1 are needed"
        )
    generator = torch.Generator().manual_seed(seed)
    shuffled = torch.randperm(len(items), generator=generator)
    parts: tuple[list[Tensor], list[Tensor], list[Tensor]] = ([], [], [])
    for label in range(len(items.classes)):
        mine = shuffled[items.labels[shuffled] == label]
        tests = min(round(test * len(mine)), max(len(mine) - 1, 0))
        valids = min(round(valid * len(mine)), max(len(mine) - tests - 1, 0))
        for part, chosen in zip(
            parts, (mine[tests + valids :], mine[tests : tests + valids], mine[:tests]), strict=True
        ):
            part.append(chosen)
    return tuple(items.take(torch.cat(part).sort().values) for part in parts)  # type: ignore[return-value]


def around(items: LabelledImages) -> Tensor:
    """The classes in an order in which neighbours look alike: that of their mean images around the plane of the first
    two principal components.

    Example:
        >>> images = torch.tensor([[[[0, 0]]], [[[9, 9]]], [[[0, 9]]], [[[9, 0]]]], dtype=torch.uint8)
        >>> order = around(LabelledImages(images, torch.arange(4), ("none", "both", "right", "left"))).tolist()
        >>> abs(order.index(0) - order.index(1))  # opposite each other
        2
    """
    means = torch.stack(
        [items.images[items.labels == label].double().mean(0).flatten() for label in range(len(items.classes))]
    )
    if len(means) < 3:
        return torch.arange(len(means))
    means = (means - means.nanmean(0)).nan_to_num()  # a class may have no images here
    x, y = (means @ torch.linalg.svd(means, full_matrices=False).Vh[:2].T).T
    order: Tensor = torch.atan2(y, x).argsort()
    return order
