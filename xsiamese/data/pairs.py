"""Pairs and triplets by index: sampled for a whole epoch at once, seeded, without a loop over the data."""

from __future__ import annotations

import warnings
from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class Pairs(NamedTuple):
    """Pairs of items by index.

    Attributes:
        a, b: the indices of the two items, shape (pairs,).
        same: whether they are of one class, shape (pairs,), boolean; or how alike they are, a number, where that is
            known.
    """

    a: Tensor
    b: Tensor
    same: Tensor


class Triplets(NamedTuple):
    """An anchor, another item of its class and one of another class, by index, shape (triplets,) each."""

    anchor: Tensor
    positive: Tensor
    negative: Tensor


class Partners(Protocol):
    """Draws partners for many anchors in one go."""

    @property
    def paired(self) -> Tensor:
        """The items that have a same partner."""

    def pairs(self, anchors: Tensor, generator: torch.Generator) -> Pairs:
        """One pair for each anchor."""

    def triplets(self, anchors: Tensor, generator: torch.Generator) -> Triplets:
        """One triplet for each anchor that has a same partner."""


class ClassIndex:
    """Where the items of each class are: draws partners for many anchors in one go.

    Args:
        labels: the class of each item, shape (items,), integers.
        names: the names of the classes, for messages.

    Raises:
        ValueError: if there are no items, or all are of one class, so that no pair can be different.

    Example:
        >>> index = ClassIndex(torch.tensor([0, 0, 1, 1]))
        >>> pairs = index.pairs(torch.arange(4), torch.Generator().manual_seed(0))
        >>> int(pairs.same.sum()), bool((pairs.a != pairs.b).all())
        (2, True)
    """

    def __init__(self, labels: Tensor, names: tuple[str, ...] = ()) -> None:
        if not len(labels):
            raise ValueError("there are no items to make pairs of")
        _, self.group, counts = torch.unique(labels, return_inverse=True, return_counts=True)
        if len(counts) < 2:
            only = names[int(labels[0])] if names else int(labels[0])
            raise ValueError(
                f"all {len(labels)} items are of one class ({only!r}): different pairs need at least two classes"
            )
        self.order = self.group.argsort(stable=True)
        # items by class, where each class begins in that order, and each item's place in it
        self.starts = counts.cumsum(0) - counts
        self.counts = counts
        self.place = torch.empty_like(self.order)
        self.place[self.order] = torch.arange(len(labels))
        lonely = (self.counts[self.group] == 1).nonzero().flatten()
        if len(lonely) == len(labels):
            raise ValueError(
                f"each of the {len(counts)} classes has one item: same pairs need a class with at least two"
            )
        if len(lonely):
            which = [repr(names[int(labels[i])]) if names else str(int(labels[i])) for i in lonely[:5]]
            more = f" and {len(lonely) - 5} more" if len(lonely) > 5 else ""
            warnings.warn(
                f"class {', '.join(which)}{more} has one item: it takes part in different pairs only", stacklevel=3
            )

    def __len__(self) -> int:
        return len(self.order)

    @property
    def paired(self) -> Tensor:
        """The items that have another one of their class."""
        found: Tensor = (self.counts[self.group] > 1).nonzero().flatten()
        return found

    def positives(self, anchors: Tensor, generator: torch.Generator) -> Tensor:
        """For each anchor another item of its class, uniformly."""
        start, count = self.starts[self.group[anchors]], self.counts[self.group[anchors]]
        drawn = start + below(count - 1, generator)
        found: Tensor = self.order[drawn + (drawn >= self.place[anchors]).long()]
        return found

    def negatives(self, anchors: Tensor, generator: torch.Generator) -> Tensor:
        """For each anchor an item of another class, uniformly."""
        start, count = self.starts[self.group[anchors]], self.counts[self.group[anchors]]
        drawn = below(len(self) - count, generator)
        found: Tensor = self.order[drawn + (drawn >= start).long() * count]
        return found

    def pairs(self, anchors: Tensor, generator: torch.Generator) -> Pairs:
        """One pair for each anchor, half of them same; an anchor without another of its class gets a different one."""
        same = torch.arange(len(anchors)) % 2 == 0
        same = same[torch.randperm(len(anchors), generator=generator)] & (self.counts[self.group[anchors]] > 1)
        partners = torch.empty_like(anchors)
        partners[same] = self.positives(anchors[same], generator)
        partners[~same] = self.negatives(anchors[~same], generator)
        return Pairs(anchors, partners, same)

    def triplets(self, anchors: Tensor, generator: torch.Generator) -> Triplets:
        """One triplet for each anchor that has another item of its class."""
        anchors = anchors[self.counts[self.group[anchors]] > 1]
        return Triplets(anchors, self.positives(anchors, generator), self.negatives(anchors, generator))


def fixed_pairs(labels: Tensor, count: int, seed: int = 0) -> Pairs:
    """Evaluation pairs, always the same for one seed.

    ``count`` pairs, half of them same, whose anchors are drawn with replacement; all distinct pairs of a set that has
    no more than ``count``.
    """
    if len(labels) * (len(labels) - 1) // 2 <= count:
        a, b = torch.triu_indices(len(labels), len(labels), 1)
        return Pairs(a, b, labels[a] == labels[b])
    generator = torch.Generator().manual_seed(seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="class .* has one item")
        index = ClassIndex(labels)
    anchors = torch.randint(len(labels), (count,), generator=generator)
    return index.pairs(anchors, generator)


def anchor_pairs(labels: Tensor, iterations: int = 1, seed: int = 0, names: tuple[str, ...] = ()) -> Pairs:
    """The pair rule of Livieris et al. 2023 (:cite:`livieris2023`): each anchor once with a positive and once with a
    negative.

    Their files label a positive 0 and a negative 1; here a pair is ``same`` or not. An anchor is never its own
    positive.

    Args:
        labels: the class of each item, shape (items,).
        iterations: how often the rule goes through all items.
        seed: of the draws.
        names: of the classes, for messages.
    """
    generator = torch.Generator().manual_seed(seed)
    index = ClassIndex(labels, names)
    anchors = torch.arange(len(labels)).repeat(iterations)
    paired = anchors[index.counts[index.group[anchors]] > 1]
    a = torch.cat([paired, anchors])
    b = torch.cat([index.positives(paired, generator), index.negatives(anchors, generator)])
    return Pairs(a, b, torch.arange(len(a)) < len(paired))


def below(limits: Tensor, generator: torch.Generator) -> Tensor:
    """One integer in [0, limit) for each limit, uniformly."""
    return (torch.rand(len(limits), generator=generator, dtype=torch.float64) * limits).long()
