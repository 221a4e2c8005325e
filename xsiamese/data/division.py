"""Which items are trained on, calibrated on and tested on: whole classes are held out where there are enough."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from xsiamese.data.items import AnyItems, Source, split

Division = Literal["classes", "items"]
ENOUGH = 10  # classes, from which on whole ones are held out


def divided(
    name: str, items: AnyItems, valid: float, test: float, *, seed: int = 0, by: Division | None = None
) -> Source[AnyItems]:
    """The parts of a set of items: a verification model will meet people that it was not trained on, so it is
    calibrated and tested on such.

    Args:
        name: of the set.
        items: what is divided.
        valid, test: shares in [0, 1): of the classes, or of the items of each class.
        seed: of the shuffle.
        by: "classes" holds out whole classes; of the classes that are left, the share ``test`` of the items (at least
            two) is held out too, for comparison. "items" takes the same shares of every class. None takes "classes"
            where at least 10 classes have two items.

    Raises:
        ValueError: if the shares leave nothing to train on, or ``by`` is neither.
    """
    if by not in ("classes", "items", None):
        raise ValueError(f"split={by!r}: 'classes' or 'items' is needed")
    enough = int((torch.bincount(items.labels, minlength=1) > 1).sum()) >= ENOUGH
    if by == "items" or (by is None and not enough):
        return Source(name, *split(items, valid, test, seed))
    train, held, tested = split_classes(items, valid, test, seed)
    kept, seen = _set_aside(train.labels, test, seed)
    return Source(name, train.take(kept), held, tested, seen=train.take(seen) if len(seen) else None)


def split_classes(items: AnyItems, valid: float, test: float, seed: int = 0) -> tuple[AnyItems, AnyItems, AnyItems]:
    """Training, validation and test items by whole classes: all items of a class are in one of the three.

    A class of one item, which makes no same pair, is trained on.

    Args:
        items: what is split.
        valid, test: shares in [0, 1) of the classes, rounded, at least two classes each where the share is not 0.
        seed: of the shuffle.

    Raises:
        ValueError: if less than two classes are left to train on.
    """
    if not (0 <= valid < 1 and 0 <= test < 1):
        raise ValueError(f"valid_size={valid:g} and test_size={test:g}: shares in [0, 1) are needed")
    paired = (torch.bincount(items.labels, minlength=1) > 1).nonzero().flatten()
    count = len(paired)
    tests, valids = (max(round(share * count), 2) if share else 0 for share in (test, valid))
    if count - tests - valids < 2:
        raise ValueError(
            f"{count} classes are too few for {tests} to test and {valids} to validate on: two to train on are needed"
        )
    order = paired[torch.randperm(count, generator=torch.Generator().manual_seed(seed))]
    held, tested = order[tests : tests + valids], order[:tests]
    where = [torch.isin(items.labels, part) for part in (held, tested)]
    masks = (~where[0] & ~where[1], *where)
    train, valid_items, test_items = (items.take(mask.nonzero().flatten()) for mask in masks)
    return train, valid_items, test_items


def _set_aside(labels: Tensor, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Which items are trained on, and which are set aside of every class that has four or more: at least two of it, so
    that they make a same pair, and never more than leaves two.
    """
    shuffled = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    aside = torch.zeros(len(labels), dtype=torch.bool)
    for label in torch.unique(labels).tolist() if share else ():
        mine = shuffled[labels[shuffled] == label]
        if len(mine) > 3:
            aside[mine[: min(max(round(share * len(mine)), 2), len(mine) - 2)]] = True
    return (~aside).nonzero().flatten(), aside.nonzero().flatten()
