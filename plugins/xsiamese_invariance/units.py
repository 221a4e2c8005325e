"""What a mask keeps or removes: single numbers, or groups of them such as pixels, cells of a grid, superpixels and
edges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Units:
    """Which unit each number of an item belongs to.

    Attributes:
        shapes: of one row of each tensor of the item.
        index: the unit of each number, all tensors one after another, shape (1 or pairs, numbers); ``count`` for a
            number that is never removed. None makes each number a unit.
        count: how many units there are, the most of any pair.
        valid: which units a pair has, shape (pairs, count), if not all have all.
    """

    shapes: tuple[tuple[int, ...], ...]
    index: Tensor | None
    count: int
    valid: Tensor | None = None

    @property
    def leaves(self) -> list[int]:
        """The tensors that are masked: all of them."""
        return list(range(len(self.shapes)))

    def expand(self, mask: Tensor, fixed: float = 1.0) -> list[Tensor]:
        """A mask (pairs, count) on the numbers of each tensor, (pairs, ...); numbers that belong to no unit get
        ``fixed``.
        """
        flat = mask
        if self.index is not None:
            # numbers of no unit point at one more column, which is fixed
            padded = torch.cat([mask, mask.new_full((len(mask), 1), fixed)], 1)
            flat = padded[:, self.index[0]] if len(self.index) == 1 else padded.gather(1, self.index)
        parts = torch.split(flat, [prod(shape) for shape in self.shapes], 1) if len(self.shapes) > 1 else (flat,)
        return [part.reshape(len(mask), *shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def gather(self, slopes: Sequence[Tensor]) -> Tensor:
        """Sums of the numbers of each unit, (pairs, count): what :meth:`expand` does, transposed."""
        flat = slopes[0].flatten(1) if len(slopes) == 1 else torch.cat([slope.flatten(1) for slope in slopes], 1)
        if self.index is None:
            return flat
        # the last column collects numbers of no unit and is dropped
        found = flat.new_zeros(len(flat), self.count + 1)
        if len(self.index) == 1:
            found.index_add_(1, self.index[0], flat)
        else:
            found.scatter_add_(1, self.index, flat)
        return found[:, : self.count]

    def rows(self, place: int, keep: Tensor) -> Tensor:
        """The rows of a tensor that belong to some of the pairs: row i is pair i."""
        return keep

    def maps(self, mask: Tensor) -> Any:
        """A mask on the numbers of an item, a tensor or a tuple of several."""
        found = self.expand(mask, fixed=0.0)
        return found[0] if len(found) == 1 else tuple(found)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Itself as tensors, and as what JSON can hold."""
        tensors = {name: value for name in ("index", "valid") if (value := getattr(self, name)) is not None}
        return tensors, {"shapes": self.shapes, "count": self.count}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> Units:
        """What :meth:`state` gave."""
        return cls(
            tuple(tuple(shape) for shape in plain["shapes"]), tensors.get("index"), plain["count"], tensors.get("valid")
        )

    def select(self, keep: Tensor) -> Units:
        """Those of some of the pairs."""
        index = self.index if self.index is None or len(self.index) == 1 else self.index[keep]
        return Units(self.shapes, index, self.count, None if self.valid is None else self.valid[keep])


def units_of(leaves: Sequence[Tensor], index: Any = None, name: str = "units", least: int = 0) -> Units:
    """The units of the tensors of a side.

    Args:
        leaves: each of shape (pairs, ...).
        index: the unit of each number: integers that broadcast to the shape of a row, the same for all pairs, or of all
            rows, (pairs, ...), as for superpixels; -1 where nothing may be removed. A tuple has one for each tensor.
            None makes every number a unit, and every pixel of an image, with all its channels.
        name: how errors call it.
        least: how many units there are at least, where each row has a map of its own.

    Raises:
        ValueError: if an index does not fit.
    """
    shapes = tuple(tuple(leaf.shape[1:]) for leaf in leaves)
    if index is None:
        if all(leaf.dim() != 4 or leaf.shape[1] == 1 for leaf in leaves):
            return Units(shapes, None, sum(prod(shape) for shape in shapes))
        index = tuple(
            torch.arange(prod(s[1:] if len(s) == 3 else s)).reshape(s[1:] if len(s) == 3 else s) for s in shapes
        )
    maps = index if isinstance(index, (tuple, list)) else (index,)
    if len(maps) != len(leaves):
        raise ValueError(f"{name} has {len(maps)} maps for {len(leaves)} tensors: give one each")
    flat, start, each = (
        [],
        0,
        any(isinstance(one, Tensor) and one.dim() == leaf.dim() for leaf, one in zip(leaves, maps, strict=True)),
    )
    for leaf, one in zip(leaves, maps, strict=True):
        if not isinstance(one, Tensor) or one.is_floating_point() or one.dim() > leaf.dim():
            raise ValueError(
                f"{name} is {tuple(one.shape) if isinstance(one, Tensor) else type(one).__name__}: integers for each "
                "number of a row are needed"
            )
        goal = tuple(leaf.shape) if one.dim() == leaf.dim() else (1, *leaf.shape[1:])
        try:
            spread = one.to(leaf.device, torch.long).expand(goal).flatten(1)
        except RuntimeError as error:
            raise ValueError(
                f"{name} has shape {tuple(one.shape)}, which does not fit items of shape {tuple(leaf.shape)}"
            ) from error
        if int(spread.max()) < 0:
            raise ValueError(f"{name} holds no unit: all of it is negative")
        flat.append(torch.where(spread < 0, -1, spread + start))
        start += int(spread.max()) + 1
    pairs = max(len(part) for part in flat)
    joined = torch.cat([part.expand(pairs, -1) for part in flat], 1)
    if not each:  # numbers without a gap
        found, dense = torch.unique(joined, return_inverse=True)
        lowest = int(found[0] < 0)
        count = len(found) - lowest
        return Units(shapes, torch.where(joined < 0, count, dense - lowest), count)
    start = max(start, least)
    joined = torch.where(joined < 0, start, joined)
    there = torch.zeros(pairs, start + 1, dtype=torch.bool, device=joined.device).scatter_(1, joined, True)[:, :start]
    return Units(shapes, joined, start, there)


def grid_units(height: int, width: int, rows: int, columns: int | None = None) -> Tensor:
    """Cells of a grid on images of height x width pixels, for ``units=``.

    Example:
        >>> grid_units(2, 4, 1, 2)
        tensor([[0, 0, 1, 1],
                [0, 0, 1, 1]])
    """
    columns = columns or rows
    if not 1 <= rows <= height or not 1 <= columns <= width:
        raise ValueError(f"{rows} x {columns} cells do not fit {height} x {width} pixels")
    # cells row by row; their sizes differ by one pixel where they do not divide the image
    return (torch.arange(height) * rows // height)[:, None] * columns + torch.arange(width) * columns // width


def edge_units(regions: int) -> Tensor:
    """The undirected edges of matrices (regions, regions), for ``units=``: (i, j) and (j, i) are one unit, the diagonal
    is none.

    Example:
        >>> edge_units(3)
        tensor([[-1,  0,  1],
                [ 0, -1,  2],
                [ 1,  2, -1]])
    """
    if regions < 2:
        raise ValueError(f"a matrix of {regions} regions has no edge")
    found = torch.full((regions, regions), -1)
    i, j = torch.triu_indices(regions, regions, 1)
    found[i, j] = found[j, i] = torch.arange(len(i))
    return found


def region_units(regions: int) -> Tensor:
    """The rows of matrices (regions, regions), for ``units=``: one unit for the profile of each region."""
    return torch.arange(regions)[:, None].expand(regions, regions)
