"""Planted rows: in each pair some of the columns that count agree and the others do not."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from xsiamese.data.planted import PlantedPairs, Scene

COLUMNS = 10
COUNTING = (0, 2, 3, 5, 7, 8)  # the others have no influence


class Rows(Scene):
    """Rows of ten numbers in [-2, 2], six of which count. How alike two rows are is the mean of exp(-2 (x - y)^2) over
    those six.

    In a pair a value that is shared moves by less than 0.1, and another one is at least 1 away.
    """

    name = "rows"

    def plain(self, side: Any) -> Tensor:
        """The columns that do not count: the others are the answer."""
        idle = [column for column in range(COLUMNS) if column not in COUNTING]
        columns: Tensor = side[:, idle]
        return columns

    def draw(self, chosen: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        raise NotImplementedError("rows hold no things: use pairs")

    def batch(self, items: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        first = _uniform(items // 2, generator)
        shared = torch.rand(items // 2, COLUMNS, generator=generator) < 0.5
        rows = torch.cat([first, _partner(first, shared, generator)])
        apart = (rows[:, None] - rows[None])[..., list(COUNTING)]
        return rows, torch.exp(-2 * apart**2).mean(-1)

    def pairs(self, count: int, seed: int = 0) -> PlantedPairs:
        generator = torch.Generator().manual_seed(seed)
        a = _uniform(count, generator)
        number = torch.randint(1, len(COUNTING), (count, 1), generator=generator)
        # a random rank for each column: those below ``number`` are a random set of that size
        rank = torch.rand(count, len(COUNTING), generator=generator).argsort(1).argsort(1)
        counting, shared = torch.zeros(COLUMNS, dtype=torch.bool), torch.zeros(count, COLUMNS, dtype=torch.bool)
        counting[list(COUNTING)] = True
        shared[:, counting] = rank < number
        # what does not count agrees as often as what does, and not in the same pairs
        idle = torch.rand(count, COLUMNS, generator=generator) < 0.5
        agrees = torch.where(counting, shared, idle)
        others = torch.where(counting, ~shared, idle)
        truth = torch.where(shared, 1, -1) * counting
        twins = torch.where(shared, shared, ~counting & ~idle)
        b = _partner(a, agrees, generator)
        second = _partner(a, others, generator)
        again = torch.where(counting, b, _partner(a, twins, generator))
        return PlantedPairs(a, b, (truth, truth), number[:, 0] > len(COUNTING) // 2, second, -truth, again, self.name)

    def verification(self, count: int, seed: int = 0) -> PlantedPairs:
        return self.pairs(count, seed)


def _uniform(rows: int, generator: torch.Generator) -> Tensor:
    return torch.rand(rows, COLUMNS, generator=generator) * 4 - 2


def _partner(a: Tensor, agrees: Tensor, generator: torch.Generator) -> Tensor:
    """A row that has the values of ``a`` where it ``agrees``, and others elsewhere."""
    near = a + 0.2 * torch.rand(a.shape, generator=generator) - 0.1
    # uniform over what of [-2, 2] is at least 1 away from a: the room below it, then that above
    below, above = (a + 1).clamp(min=0), (1 - a).clamp(min=0)
    at = torch.rand(a.shape, generator=generator) * (below + above)
    far = torch.where(at < below, at - 2, a + 1 + at - below)
    return torch.where(agrees, near, far)
