"""One side of a pair as the engines see it: the tensor whose parts are explained, and what rides along."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from xsiamese.author import Cells, Found, ItemBatch, PairBatch, PairMatrix, Parts, channel_of, parts_of

MOST = 2**16  # parts of an image that are explained if no grid is asked for: its matrix's factors are of these and D
ROOM = 2**22  # numbers of masked items in one pass, where the user gives no number of pairs


@dataclass(frozen=True, eq=False)
class Item:
    """One item of a single pair.

    Attributes:
        batch: the pair.
        side: 0 for a, 1 for b.
        leaf: the number of the tensor that is explained among the side's.
        parts: of that tensor.
    """

    batch: PairBatch
    side: int
    leaf: int
    parts: Parts

    @classmethod
    def of(cls, batch: PairBatch, side: int, cells: Cells, who: str) -> Item:
        """The item of one side of a single pair.

        Raises:
            ValueError: if it has several tensors that move.
        """
        one = batch.sides[side]
        moving = [i for i, leaf in enumerate(one.leaves) if leaf.is_floating_point()]
        if len(moving) != 1:
            raise ValueError(
                f"{who} explains one tensor of each side, and {len(moving)} of {'ab'[side]} can move: "
                "give the others inside the encoder, or as whole numbers"
            )
        tensor = one.leaves[moving[0]]
        grid = (cells or _pooled(tensor, "ab"[side])) if one.kind == "image" else None
        return cls(batch, side, moving[0], parts_of(tensor, grid, channel_of(batch, side, tensor)))

    @property
    def tensor(self) -> Tensor:
        """The tensor that is explained."""
        return self.batch.leaves[self._first + self.leaf]

    @property
    def baseline(self) -> Tensor:
        """What the user says replaces it."""
        return self.batch.baselines[self.side][self.leaf]

    @property
    def _first(self) -> int:
        return len(self.batch.a.leaves) if self.side else 0

    def leaves(self, tensor: Tensor, copies: int) -> list[Tensor]:
        """All tensors of the side for several copies of it, ``tensor`` in place of the one that is explained."""
        own = self.batch.leaves[self._first : self._first + len(self.batch.sides[self.side].leaves)]
        return [
            tensor if i == self.leaf else leaf.repeat(copies, *[1] * (leaf.dim() - 1)) for i, leaf in enumerate(own)
        ]

    def embed(self, tensor: Tensor) -> Tensor:
        """The embeddings of copies of the item with other values, (copies, ...)."""
        copies = len(tensor) // len(self.tensor)
        return self.batch.embed(self.side, *self.leaves(tensor, copies))

    def masked(self, keep: Tensor, fill: Tensor) -> Tensor:
        """Copies of the item with some parts replaced, one after the other."""
        kept = self.parts.kept(keep)
        return (fill + kept * (self.tensor - fill)).flatten(0, 1)

    def ends(self, fill: Tensor) -> tuple[Tensor, Tensor]:
        """The embeddings of the item as it is and of what shows where all of it is masked, (1, ...) each."""
        with torch.no_grad():
            first, second = self.embed(torch.cat([self.tensor, fill])).chunk(2)
        return first, second

    def embed_masked(self, keep: Tensor, fill: Tensor, desc: str = "masks") -> Tensor:
        """The embeddings of the item under each mask, (masks, ...)."""
        chunks: Iterable[Tensor] = torch.split(keep, self.at_once)
        if self.batch.show_progress:
            chunks = tqdm(chunks, desc=f"{desc} of {'ab'[self.side]}", total=-(-len(keep) // self.at_once))
        with torch.no_grad():
            return torch.cat([self.embed(self.masked(part, fill)) for part in chunks])

    @property
    def at_once(self) -> int:
        """How many copies go through the model at once."""
        return max(1, min(self.batch.rows or ROOM, ROOM // max(1, self.tensor.numel())))


def each(items: ItemBatch) -> Iterable[PairBatch]:
    """The items one by one, each as a pair with itself; one bar for all of them."""
    alone = replace(items.pairs, show_progress=items.pairs.show_progress and len(items) == 1)
    parts = (one.trimmed() for one in alone.split(1))
    return tqdm(parts, desc="items", total=len(items)) if items.pairs.show_progress and len(items) > 1 else parts


def places_of(items: tuple[Item, Item]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """How the parts of both items lie."""
    return items[0].parts.grid, items[1].parts.grid


def result(items: tuple[Item, Item], matrix: PairMatrix, value: Tensor | None = None, **columns: Any) -> Found:
    """What an engine found of a pair.

    Args:
        items: the two.
        matrix: its marginals are spread over the inputs as maps.
        value: the value explained, (1,).
        **columns: others, each a tensor (1,) or a single entry.
    """
    batch = items[0].batch
    spread = [item.parts.spread(values) for item, values in zip(items, matrix.marginals, strict=True)]
    more = {name: value if isinstance(value, Tensor) else [value] for name, value in columns.items()}
    of_all = {"matrix": [whole(matrix, *items)], **more}
    return Found(batch.maps([spread[side] for side in batch.objective.moving]), value, of_all)


def whole(matrix: PairMatrix, first: Item | None, second: Item) -> PairMatrix:
    """A matrix with lines of zeros for padding and for tokens that are never missing; None has none of these."""

    def of_a(lines: Tensor) -> Tensor:
        return lines if first is None else first.batch.a.whole(first.leaf, lines, 0)

    def of_b(lines: Tensor) -> Tensor:
        return second.batch.b.whole(second.leaf, lines, 0)

    left, right, error = of_a(matrix.left), of_b(matrix.right), matrix.standard_error
    if (len(left), len(right)) == matrix.shape:
        return matrix
    grids = [
        grid if len(new) == len(old) else (len(new),)
        for grid, new, old in zip(matrix.grids, (left, right), (matrix.left, matrix.right), strict=True)
    ]
    return PairMatrix(
        left, right, matrix.middle, (grids[0], grids[1]), matrix.constant,
        None if matrix.alone is None else (of_a(matrix.alone[0]), of_b(matrix.alone[1])),
        None if error is None else of_b(of_a(error).T).T,
    )  # fmt: skip


def _pooled(image: Tensor, name: str) -> Cells:
    """The finest grid of square cells by which a large image is no more than :data:`MOST` parts, and says so; None for
    its pixels.
    """
    places = image.shape[2:]
    side = math.ceil(math.sqrt(math.prod(places) / MOST))
    if side < 2:
        return None
    grid = tuple(math.ceil(size / side) for size in places)
    while math.prod(grid) > MOST:  # what was rounded up may be a row and a column too many
        side += 1
        grid = tuple(math.ceil(size / side) for size in places)
    told = " x ".join(map(str, grid))
    warnings.warn(
        f"{math.prod(places):,} pixels of {name} are pooled to {told} cells, {side} x {side} pixels each: give cells= "
        "for others",
        stacklevel=2,
    )
    return grid
