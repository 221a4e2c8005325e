"""How the parts of an item lie: their numbers and their places, and coarser parts made of finer ones."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

Shape = tuple[int, ...]
Groups = Sequence[int] | Tensor


def place_of(number: int, grid: Shape) -> Shape:
    """The place of a part in its grid, the last dimension running fastest."""
    return tuple(int(i) for i in torch.unravel_index(torch.tensor(number), grid))


def number_of(at: int | Shape, grid: Shape, name: str) -> int:
    """The number of a part from its number or its place.

    Raises:
        IndexError: if side ``name`` has no such part.
    """
    place = (at,) if isinstance(at, int) else tuple(at)
    shape = (math.prod(grid),) if isinstance(at, int) else grid
    if len(place) != len(shape) or any(not 0 <= i < size for i, size in zip(place, shape, strict=True)):
        raise IndexError(f"{name} has no part {at}: its places are {grid}")
    number = 0
    for i, size in zip(place, shape, strict=True):
        number = number * size + i
    return number


def coarser(how: Shape | Groups | None, grid: Shape, name: str) -> tuple[Tensor | None, Shape]:
    """The number of the new part that each part falls into, and how the new parts lie.

    Args:
        how: a coarser grid, the number of the new part of each part, or None for the parts as they are.
        grid: how the parts of side ``name`` lie.

    Raises:
        ValueError: if the new grid is finer, or the numbers are not one for each part.
    """
    if how is None:
        return None, grid
    if isinstance(how, tuple):
        if len(how) != len(grid) or any(new > old or new < 1 for new, old in zip(how, grid, strict=False)):
            raise ValueError(f"{how} is no coarser grid than {grid}, in which the parts of {name} lie")
        number = torch.zeros((), dtype=torch.long)
        for new, old in zip(how, grid, strict=True):
            # place i of `old` falls into i * new // old of `new`, which differ in size by one at the most
            number = number[..., None] * new + torch.arange(old) * new // old
        return number.flatten(), how
    number = torch.as_tensor(how, dtype=torch.long)
    if number.shape != (math.prod(grid),) or int(number.min()) < 0:
        raise ValueError(f"{tuple(number.shape)} numbers of new parts for the {math.prod(grid)} parts of {name}")
    return number, (int(number.max()) + 1,)


def summed(values: Tensor, groups: Tensor | None, grid: Shape) -> Tensor:
    """The rows of ``values`` that fall into each new part, added up."""
    if groups is None:
        return values
    return values.new_zeros(math.prod(grid), *values.shape[1:]).index_add(0, groups.to(values.device), values)
