"""Which dimensions of an input places come from, against moving one place of the input and seeing what moves."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from xsiamese.branches.origin import Origin, origin_of

T, F = 6, 6  # as many of both, so that no size tells


def tall(x: Tensor) -> Tensor:
    return nn.functional.linear(x, torch.eye(F)[:5] + 0.1)


def cells(x: Tensor) -> Tensor:
    return nn.functional.conv2d(x, torch.ones(3, 1, 2, 2), stride=2)


Made = tuple[Callable[[Tensor], Tensor], tuple[int, ...], Origin | None]
MADE: dict[str, Made] = {
    "linear": (tall, (1,), Origin((1,), 0, (6,))),
    "linear, its features": (tall, (2,), None),
    "turned": (lambda x: tall(x.mT), (1,), Origin((2,), 0, (6,))),
    "turned twice": (lambda x: tall(x.permute(0, -1, 1).transpose(-1, -2)), (1,), Origin((1,), 0, (6,))),
    "rows of all items": (lambda x: tall(x.reshape(-1, F)).reshape(len(x), T, 5), (1,), Origin((1,), 0, (6,))),
    "after two tokens": (lambda x: torch.cat([torch.zeros(len(x), 2, 5), tall(x)], 1), (1,), Origin((1,), 2, (6,))),
    "before one": (lambda x: torch.cat([tall(x), torch.zeros(len(x), 1, 5)], 1), (1,), Origin((1,), 0, (6,))),
    "a token put before and taken away": (
        lambda x: torch.cat([torch.zeros(len(x), 1, 5), tall(x)], 1)[:, 1:], (1,), Origin((1,), 0, (6,)),
    ),
    "half of the input": (lambda x: tall(x[:, 3:]), (1,), None),
    "convolved": (
        lambda x: nn.functional.conv1d(x, torch.ones(3, T, 2), stride=2), (2,), Origin((2,), 0, (3,)),
    ),
    "convolved along the other": (
        lambda x: nn.functional.conv1d(x.mT, torch.ones(3, F, 2), stride=2).mT, (1,), Origin((1,), 0, (3,)),
    ),
    "cells": (lambda x: cells(x[:, None]), (2, 3), Origin((1, 2), 0, (3, 3))),
    "patches": (lambda x: cells(x[:, None]).flatten(2).mT, (1,), Origin((1, 2), 0, (3, 3))),
    "patches of the turned": (lambda x: cells(x.mT[:, None]).flatten(2).mT, (1,), Origin((2, 1), 0, (3, 3))),
    "patches, columns first": (lambda x: cells(x[:, None]).mT.flatten(2).mT, (1,), Origin((2, 1), 0, (3, 3))),
    "patches cut by hand": (
        lambda x: x.reshape(-1, 3, 2, 3, 2).transpose(2, 3).reshape(-1, 9, 4), (1,), Origin((1, 2), 0, (3, 3)),
    ),
    "windows": (lambda x: nn.functional.unfold(x[:, None], 2, stride=2).mT, (1,), Origin((1, 2), 0, (3, 3))),
    "pieces": (lambda x: x.unfold(1, 2, 2).flatten(2), (1,), Origin((1,), 0, (3,))),
    "bands given up": (lambda x: cells(x[:, None]).permute(0, 2, 1, 3).flatten(2), (1,), Origin((1,), 0, (3,))),
    "pooled": (lambda x: nn.functional.avg_pool1d(x, 2), (2,), Origin((2,), 0, (3,))),
    "spread": (lambda x: tall(x).reshape(-1, 3, 10).relu().reshape(-1, T, 5), (1,), Origin((1,), 0, (6,))),
    "mirrored": (lambda x: tall(x.flip(1)), (1,), None),
    "weighed along places": (lambda x: tall(x.mT).mT, (1,), None),
    "attention": (lambda x: (x @ x.mT).softmax(2) @ x, (1,), None),
    "attention beside": (lambda x: x + (x @ x.mT).softmax(2) @ x, (1,), Origin((1,), 0, (6,))),
    "written into": (
        lambda x: torch.index_put(tall(x), (torch.tensor([0]),), torch.zeros(())), (1,), Origin((1,), 0, (6,)),
    ),
    "weights of each item": (lambda x: x @ torch.ones(1, F, 5, requires_grad=True).expand(len(x), -1, -1), (1,),
                             Origin((1,), 0, (6,))),
    "lost behind a convolution": (
        lambda x: nn.functional.conv1d(x.cumsum(2).flip(2), torch.ones(3, T, 2), stride=2), (2,), Origin((), 0, (3,)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("rows", [2, 1])
@pytest.mark.parametrize("name", MADE)
def test_where_places_come_from(name: str, rows: int) -> None:
    make, where, expected = MADE[name]
    x = torch.rand(rows, T, F, requires_grad=True)
    assert origin_of(make(x), where, [x]) == expected
    assert origin_of(make(x), where, [torch.rand(rows, T, F)]) in (None, Origin((), 0, (3,)), Origin((), 0, (3, 3)))


@pytest.mark.parametrize("name", [n for n, (_, _, o) in MADE.items() if o is not None and o.dims and "beside" not in n])
def test_what_moves_at_an_end_of_the_input_moves_the_end_of_the_places(name: str) -> None:
    make, where, origin = MADE[name]
    assert origin is not None
    x = torch.rand(2, T, F)
    for number, dim in enumerate(origin.dims):
        for end in (0, T - 1):
            changed = x.clone()
            changed.select(dim, end).add_(1)
            moved = (make(changed) - make(x)).abs().movedim(where, tuple(range(len(where)))).flatten(len(where)).sum(-1)
            places = moved.flatten()[origin.first :][: torch.tensor(origin.grid).prod()].reshape(origin.grid)
            others = tuple(i for i in range(len(origin.grid)) if i != number)
            along = places.sum(others) if others else places
            assert int(along.argmax()) == (0 if end == 0 else origin.grid[number] - 1)
