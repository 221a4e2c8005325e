"""Given pairs as training, validation and test pairs: no item stands in two of them where that can be."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor

from xsiamese.data.items import AnyItems, Source
from xsiamese.data.pairs import Pairs

PARTS = ("training", "validation", "test")


def components(count: int, a: Tensor, b: Tensor) -> Tensor:
    """A number for each item, the same for items that pairs connect, shape (count,).

    Example:
        >>> components(4, torch.tensor([0, 1]), torch.tensor([1, 3])).tolist()
        [0, 0, 1, 0]
    """
    group = torch.arange(count)
    while True:
        lowest = torch.minimum(group[a], group[b])
        # both ends of a pair take the lower number, until nothing changes: linked items have one number
        spread = group.scatter_reduce(0, torch.cat([a, b]), lowest.repeat(2), "amin")
        if torch.equal(spread, group):
            numbers: Tensor = torch.unique(group, return_inverse=True)[1]
            return numbers
        group = spread


def cut(count: int, pairs: Pairs, valid: float, test: float, *, seed: int = 0, what: str = "the table") -> list[Tensor]:
    """Which pairs are for training, validation and testing, as three tensors of indices.

    Items that pairs connect, whether the same or different, go together into one part, so that no item of a test pair
    was trained on. Where too many are connected for the shares, the pairs are cut at random, and a warning says how
    many items are then in both.

    Args:
        count: how many items there are.
        pairs: of them.
        valid, test: shares of the pairs.
        seed: of the cut.
        what: they are of, for messages.

    Raises:
        ValueError: if there are too few pairs, or a part has pairs of one kind only.
    """
    total = len(pairs.same)
    tests, valids = max(round(test * total), 2), round(valid * total)
    if tests + valids >= total:
        raise ValueError(f"{what}: {total} pairs are too few to be split into training, validation and test pairs")
    apart = _apart(count, pairs, tests, valids, seed)
    if apart is not None:
        return apart
    order = torch.randperm(total, generator=torch.Generator().manual_seed(seed))
    parts = [order[tests + valids :], order[tests : tests + valids], order[:tests]]
    for name, part in zip(PARTS, parts, strict=True):
        if len(part) and not _both(pairs.same[part]):
            raise ValueError(f"{what}: all {len(part)} {name} pairs are of one kind: give more pairs or another --seed")
    say_shared(pairs, parts, what)
    return parts


def say_shared(pairs: Pairs, parts: Sequence[Tensor], what: str) -> None:
    """Warns of items that are in test pairs and in training pairs."""
    trained, tested = (torch.unique(torch.cat([pairs.a[part], pairs.b[part]])) for part in (parts[0], parts[2]))
    if shared := int(torch.isin(tested, trained).sum()):
        warnings.warn(
            f"{what}: {shared} of {len(tested)} items of test pairs are in training pairs too, so that the test is "
            "not of unseen items",
            stacklevel=3,
        )


def parted(name: str, items: AnyItems, pairs: Pairs, parts: Sequence[Tensor]) -> Source[AnyItems]:
    """The data set of these parts: each has the items of its pairs, numbered anew."""
    taken, numbered = [], []
    for part in parts:
        used, index = torch.unique(torch.cat([pairs.a[part], pairs.b[part]]), return_inverse=True)
        taken.append(items.take(used))
        numbered.append(Pairs(index[: len(part)], index[len(part) :], pairs.same[part]))
    return Source(name, taken[0], taken[1], taken[2], (numbered[0], numbered[1], numbered[2]))


def _apart(count: int, pairs: Pairs, tests: int, valids: int, seed: int) -> list[Tensor] | None:
    """Whole components for each part, by chance until the share is reached, or None if that gives too much of one part
    (half again its share, and never less than half of all to train on), or a part without pairs of both kinds.
    """
    group = components(count, pairs.a, pairs.b)[pairs.a]
    sizes = torch.bincount(group)
    order = torch.randperm(len(sizes), generator=torch.Generator().manual_seed(seed)).tolist()
    chosen: list[list[int]] = [[], [], []]
    room = [0, valids, tests]
    for component in order:
        size = int(sizes[component])
        # into the first part that still needs pairs and does not get far more than its share, else into training
        fit = next((i for i in (2, 1) if room[i] > 0 and size <= max(1.5 * room[i], 1)), 0) if size else 0
        room[fit] -= size
        chosen[fit].append(component)
    parts = [torch.isin(group, torch.tensor(part, dtype=torch.long)).nonzero().flatten() for part in chosen]
    wanted = (len(pairs.same) - tests - valids, valids, tests)
    enough = all(2 * len(part) >= share for part, share in zip(parts, wanted, strict=True))
    both = all(_both(pairs.same[part]) for part, share in zip(parts, wanted, strict=True) if share)
    return parts if enough and both else None


def _both(same: Tensor) -> bool:
    return bool(same.any()) and not bool(same.all())
