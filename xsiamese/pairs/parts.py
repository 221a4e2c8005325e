"""Which numbers of a tensor are one part: a cell of a grid, a token, a node, a feature."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from xsiamese.branches.layout import SideLayout
from xsiamese.pairs.batch import PairBatch

Cells = tuple[int, ...] | None


@dataclass(frozen=True, eq=False)
class Parts:
    """The parts of one item's tensor: which of its numbers are one cell, token, node or feature.

    Attributes:
        number: the part of each number of the tensor, of its shape or broadcast to it.
        grid: how the parts lie; their numbers run through it, the last dimension fastest.
        shape: that of the tensor.
    """

    number: Tensor
    grid: tuple[int, ...]
    shape: torch.Size

    @property
    def count(self) -> int:
        """How many parts there are."""
        return math.prod(self.grid)

    @property
    def coarse(self) -> bool:
        """Whether a part is more than one place."""
        return self.count < self.number.numel()

    def summed(self, values: Tensor) -> Tensor:
        """What values of the tensor's shape, any number of them (rows, ...), sum to in each part, (rows, parts)."""
        flat = values.reshape(-1, self.shape.numel())
        number = self.number.expand(self.shape).flatten()
        return values.new_zeros(len(flat), self.count).index_add(1, number, flat)

    def kept(self, masks: Tensor) -> Tensor:
        """Masks of the parts (rows, parts) as masks of the tensor, (rows, ...)."""
        return masks[:, self.number.flatten()].reshape(len(masks), *self.number.shape)

    def spread(self, values: Tensor) -> Tensor:
        """A value for each part, shared out evenly over its numbers: a map of the tensor's shape, of the same sum."""
        number = self.number.expand(self.shape)
        size = torch.bincount(number.flatten(), minlength=self.count)
        return (values.flatten() / size)[number]

    def repeated(self, values: Tensor) -> Tensor:
        """A value for each part at every one of its numbers: a map of the tensor's shape."""
        return values.flatten()[self.number.expand(self.shape)]


def parts_of(tensor: Tensor, cells: Cells = None, channel: int | None = 1) -> Parts:
    """The parts of a tensor of one item, dimension 0 being the pair; or of a graph, whose nodes are its rows.

    Args:
        tensor: (1, channels, ...), (1, tokens, channels), (1, features), or (nodes, features).
        cells: a coarser grid for images; None takes every place.
        channel: the dimension whose numbers belong to one part; None makes every feature one, and 0 every row.

    Raises:
        ValueError: if the cells are finer than the places, or no grid.
    """
    shape, device = tensor.shape, tensor.device
    along = (0,) if channel == 0 else tuple(i for i in range(1, tensor.dim()) if i != channel)
    places = tuple(shape[i] for i in along)
    grid = places if cells is None else tuple(cells)
    if len(grid) != len(places) or any(not 0 < new <= old for new, old in zip(grid, places, strict=False)):
        raise ValueError(f"cells={cells}: a grid no finer than {places} is needed for {tuple(shape)}")
    number = torch.zeros((), dtype=torch.long, device=device)
    for new, old in zip(grid, places, strict=True):
        # place i of `old` is in cell i * new // old of `new`: cells differ in size by one at the most
        number = number[..., None] * new + torch.arange(old, device=device) * new // old
    broadcast = [shape[i] if i in along else 1 for i in range(tensor.dim())]
    return Parts(number.reshape(broadcast), grid, shape)


def channel_of(
    batch: PairBatch, side: int, tensor: Tensor, layout: SideLayout = None, module: nn.Module | None = None
) -> int | None:
    """Which dimension of one side's tensor holds what belongs to one part, as :func:`parts_of` takes it."""
    graph = batch.sides[side].kind == "graph"
    if tensor.dim() == 2 and not graph:
        return None
    places = batch.places(side, tensor, module, layout)  # of a graph refused where rows are no nodes
    return 0 if graph else places.channel
