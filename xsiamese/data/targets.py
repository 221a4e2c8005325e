"""What makes two rows of a table alike: one class, or targets that lie close together."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from xsiamese.data.pairs import Pairs, Triplets, below
from xsiamese.data.tabular import Table, numbers_of


@dataclass(frozen=True)
class Target:
    """What makes two rows alike.

    Attributes:
        labels: the class of each row, shape (rows,); of a number the tenth of its values that it is in.
        classes: their names.
        numbers: the target itself if it is a number, shape (rows,), else None.
    """

    labels: Tensor
    classes: tuple[str, ...]
    numbers: Tensor | None = None


def target_of(table: Table, name: str, most: int = 10) -> Target:
    """The target of each row: classes for texts, and for whole numbers of at most ``most`` different values; else
    numbers.

    Raises:
        ValueError: if the column is unknown, or has one value only.
    """
    texts = table.column(name)
    values = sorted(set(texts))
    if len(values) < 2:
        raise ValueError(
            f"{table.path}: the target {name!r} is {values[0]!r} in all {len(texts)} rows: pairs can be different "
            "only with two classes or values"
        )
    numbers = numbers_of(texts)
    if numbers is None or (len(values) <= most and bool((numbers == numbers.round()).all())):
        values = sorted(values, key=float) if numbers is not None else values
        return Target(torch.tensor([values.index(text) for text in texts]), tuple(values))
    edges = torch.unique(torch.quantile(numbers, torch.linspace(0, 1, 11, dtype=torch.float64)))
    labels = torch.bucketize(numbers, edges[1:-1], right=True)
    names = tuple(f"{low:.3g} to {high:.3g}" for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
    return Target(labels, names, numbers)


def closeness_width(numbers: Tensor, share: float) -> float:
    """The difference below which that share of all pairs of these targets lies.

    Raises:
        ValueError: for a share outside (0, 1), or targets so often equal that no pair would be different.
    """
    if not 0 < share < 1:
        raise ValueError(f"close={share:g}: the share of pairs that count as close must lie between 0 and 1")
    numbers = numbers[torch.linspace(0, len(numbers) - 1, min(len(numbers), 2000)).long()]
    a, b = torch.triu_indices(len(numbers), len(numbers), 1)
    gaps = (numbers[a] - numbers[b]).abs().sort().values
    width = float(gaps[min(int(share * len(gaps)), len(gaps) - 1)])
    if width >= float(gaps[-1]):
        raise ValueError(
            f"close={share:g}: all pairs of targets lie within {width:g} of each other; take a smaller share"
        )
    return width


class CloseIndex:
    """Which rows have close targets: draws partners for many anchors in one go, as
    :class:`~xsiamese.data.pairs.ClassIndex` does for classes.

    Args:
        numbers: the target of each row, shape (rows,).
        width: two targets at most so far apart are the same, others different.

    Raises:
        ValueError: if all rows are close to each other, or none to another.

    Example:
        >>> index = CloseIndex(torch.tensor([0.0, 0.1, 5.0, 5.2]), width=1.0)
        >>> pairs = index.pairs(torch.arange(4), torch.Generator().manual_seed(0))
        >>> pairs.same.sum().item(), torch.equal((pairs.a // 2) == (pairs.b // 2), pairs.same)
        (2, True)
    """

    def __init__(self, numbers: Tensor, width: float) -> None:
        values, self.order = numbers.sort(stable=True)
        place = torch.empty_like(self.order)
        place[self.order] = torch.arange(len(values))
        self.place = place
        # in sorted order the close ones of an item are a range: from the first not below to the last not above
        self.low = torch.searchsorted(values, values - width)[place]
        self.high = torch.searchsorted(values, values + width, right=True)[place]
        self.close = self.high - self.low - 1
        self.apart = len(values) - (self.high - self.low)
        if not bool(self.close.any()) or not bool(self.apart.any()):
            which = "no two" if bool(self.apart.any()) else "any two"
            raise ValueError(
                f"{which} of {len(values)} targets lie within {width:g} of each other: pairs of both kinds are needed"
            )

    @property
    def paired(self) -> Tensor:
        """The rows that have a close one."""
        found: Tensor = self.close.nonzero().flatten()
        return found

    def positives(self, anchors: Tensor, generator: torch.Generator) -> Tensor:
        """For each anchor another row with a close target, uniformly."""
        drawn = self.low[anchors] + below(self.close[anchors], generator)
        found: Tensor = self.order[drawn + (drawn >= self.place[anchors]).long()]
        return found

    def negatives(self, anchors: Tensor, generator: torch.Generator) -> Tensor:
        """For each anchor a row whose target is not close, uniformly."""
        drawn = below(self.apart[anchors], generator)
        found: Tensor = self.order[drawn + (drawn >= self.low[anchors]).long() * (self.high - self.low)[anchors]]
        return found

    def pairs(self, anchors: Tensor, generator: torch.Generator) -> Pairs:
        """One pair for each anchor, half of them close; an anchor that has partners of one kind only gets one of that
        kind.
        """
        same = torch.arange(len(anchors)) % 2 == 0
        same = same[torch.randperm(len(anchors), generator=generator)] & (self.close[anchors] > 0) | (
            self.apart[anchors] == 0
        )
        partners = torch.empty_like(anchors)
        partners[same] = self.positives(anchors[same], generator)
        partners[~same] = self.negatives(anchors[~same], generator)
        return Pairs(anchors, partners, same)

    def triplets(self, anchors: Tensor, generator: torch.Generator) -> Triplets:
        """One triplet for each anchor that has partners of both kinds."""
        anchors = anchors[(self.close[anchors] > 0) & (self.apart[anchors] > 0)]
        return Triplets(anchors, self.positives(anchors, generator), self.negatives(anchors, generator))
