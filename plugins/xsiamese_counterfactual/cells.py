"""Where regions are swapped: the cells of a layer's output, or patches of pixels, both as rows of numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from xsiamese.author import Layer, Layout, PairBatch, SiameseModel

ROOM = 2**25  # numbers in one forward pass of many candidates


class Place(ABC):
    """One side of a single pair, seen as cells, and the closeness of the pair as a function of them.

    Attributes:
        raw: the layer's output or the image, one row.
        grid: rows and columns of the cells, or (tokens,).
        rows: the most rows in one forward pass.
        other: the embedding of the side that is not edited, one row, or None where the model cannot be taken apart.
    """

    raw: Tensor
    grid: tuple[int, ...]
    layer: str = ""

    def __init__(self, batch: PairBatch, side: int, other: Tensor | None = None) -> None:
        self.batch = batch
        self.side = side
        self.other = other

    @property
    def rows(self) -> int:
        return min(self.batch.rows or 4096, max(1, ROOM // max(self.raw.numel(), self.batch.leaves[0].numel())))

    @abstractmethod
    def cells(self, raw: Tensor) -> Tensor:
        """The cells of each row, (rows, cells, numbers)."""

    @abstractmethod
    def made_of(self, cells: Tensor) -> Tensor:
        """Rows made of cells, as the model takes them."""

    def closeness(self, raw: Tensor) -> Tensor:
        """The closeness of the pair with each row in place of this side, (rows,)."""
        return self.whole(raw) if self.other is None else self.compared(self.embedding(raw))

    def compared(self, embedding: Tensor) -> Tensor:
        """The closeness of each row of embeddings to the other side."""
        assert isinstance(self.batch.model, SiameseModel)
        assert self.other is not None
        comparison, other = self.batch.model.comparison, self.other.expand(len(embedding), *self.other.shape[1:])
        score = comparison.explained(*((embedding, other) if self.side == 0 else (other, embedding)))
        return self.batch.model.closeness(score)

    @abstractmethod
    def whole(self, raw: Tensor) -> Tensor:
        """:meth:`closeness` of a model that cannot be taken apart."""

    @abstractmethod
    def embedding(self, raw: Tensor) -> Tensor:
        """The embedding of each row, (rows, dimensions)."""

    def values(self, cells: Tensor) -> Tensor:
        """The closeness with cells in place of this side's, (rows,), in passes that fit into memory."""
        with torch.no_grad():
            return torch.cat([self.closeness(self.made_of(part)) for part in torch.split(cells, self.rows)])

    def embeddings(self, cells: Tensor) -> Tensor:
        """The embeddings of cells in place of this side's, in float64."""
        with torch.no_grad():
            return torch.cat(
                [self.embedding(self.made_of(part)).flatten(1).double() for part in torch.split(cells, self.rows)]
            )


class LayerPlace(Place):
    """The cells of a layer's output."""

    def __init__(
        self,
        batch: PairBatch,
        side: int,
        layer: Layer,
        *,
        raw: Tensor,
        layout: Layout = None,
        other: Tensor | None = None,
    ) -> None:
        super().__init__(batch, side, other)
        self.where, self.raw, self.layout = layer, raw, layout
        if raw.dim() not in (3, 4):
            raise ValueError(
                f"the output of the layer is {tuple(raw.shape)}: swapping regions needs a grid (N, C, H, W) or "
                "tokens (N, tokens, C)"
            )
        numbers = self._grid(torch.arange(raw.numel(), device=raw.device).view(raw.shape))
        self.grid, self.at = tuple(numbers.shape[2:]), numbers.flatten(2).transpose(1, 2)[0]

    def _grid(self, raw: Tensor) -> Tensor:
        if self.layout is None:
            return raw.transpose(1, 2) if raw.dim() == 3 else raw
        return self.layout(raw)

    def cells(self, raw: Tensor) -> Tensor:
        return self._grid(raw).flatten(2).transpose(1, 2)

    def made_of(self, cells: Tensor) -> Tensor:
        made = self.raw.expand(len(cells), *self.raw.shape[1:]).flatten(1).clone()  # what is no cell stays
        made[:, self.at.flatten()] = cells.flatten(1)
        return made.view(len(cells), *self.raw.shape[1:])

    def whole(self, raw: Tensor) -> Tensor:
        return self.batch.tail(self.where, self.side, raw)

    def embedding(self, raw: Tensor) -> Tensor:
        return self.batch.tail_embedding(self.where, self.side, raw)


class PixelPlace(Place):
    """Square patches of an image."""

    def __init__(self, batch: PairBatch, side: int, patch: int, other: Tensor | None = None) -> None:
        super().__init__(batch, side, other)
        self.one = batch.one_sided("second" if side else "first")
        leaves = (batch.b if side else batch.a).leaves
        if len(leaves) != 1:
            raise ValueError(f"patch= swaps pixels of one image a side; input {'ab'[side]} is {len(leaves)} tensors")
        self.raw, self.patch = leaves[0], patch
        height, width = self.raw.shape[2:]
        if patch < 1 or height % patch or width % patch:
            raise ValueError(f"patch={patch} does not divide the {height} x {width} pixels of input {'ab'[side]}")
        self.grid = (height // patch, width // patch)

    def cells(self, raw: Tensor) -> Tensor:
        return functional.unfold(raw, self.patch, stride=self.patch).transpose(1, 2)

    def made_of(self, cells: Tensor) -> Tensor:
        return functional.fold(cells.transpose(1, 2), tuple(self.raw.shape[2:]), self.patch, stride=self.patch)

    def whole(self, raw: Tensor) -> Tensor:
        return self.one.value(raw)

    def embedding(self, raw: Tensor) -> Tensor:
        assert isinstance(self.batch.model, SiameseModel)
        found: Tensor = self.batch.model.encode(raw, self.side)
        return found


@dataclass(frozen=True)
class Source:
    """Cells to copy from.

    Attributes:
        cells: (cells, numbers).
        grid: their rows and columns.
        image: where they come from if not from the partner.
    """

    cells: Tensor
    grid: tuple[int, ...]
    image: Tensor | None = None


def place_of(index: int, grid: tuple[int, ...]) -> tuple[int, ...]:
    """A cell's row and column."""
    return (index,) if len(grid) == 1 else divmod(index, grid[1])


def composed(
    image: Tensor, source: Tensor, edits: list[tuple[int, int]], grid: tuple[int, ...], source_grid: tuple[int, ...]
) -> Tensor:
    """A picture of swapped cells: the pixels under each cell, copied."""
    if (
        image.dim() != 4
        or source.shape[1] != image.shape[1]
        or source.dim() != 4
        or len(grid) != 2
        or len(source_grid) != 2
    ):
        return image
    made = image.clone()
    for to, origin in edits:
        (top, bottom), (left, right) = (
            span(k, n, size) for k, n, size in zip(place_of(to, grid), grid, image.shape[2:], strict=True)
        )
        (up, down), (west, east) = (
            span(k, n, size)
            for k, n, size in zip(place_of(origin, source_grid), source_grid, source.shape[2:], strict=True)
        )
        piece = source[..., up:down, west:east]
        made[..., top:bottom, left:right] = functional.interpolate(piece.float(), (bottom - top, right - left)).to(made)
    return made


def span(index: int, cells: int, size: int) -> tuple[int, int]:
    """The pixels of one cell along one direction."""
    return round(index * size / cells), max(round((index + 1) * size / cells), round(index * size / cells) + 1)
