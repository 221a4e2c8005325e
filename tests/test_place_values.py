"""How outputs of layers lie, and real items to start from, by hand."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from xsiamese.kinds.places import Nodes, Places, by_module, by_width, of_tensor, softened
from xsiamese.kinds.pool import Pool


@pytest.mark.parametrize(("module", "where"), [
    (nn.Conv1d(4, 6, 1), "first"), (nn.BatchNorm1d(4), "first"), (nn.AvgPool1d(2), "first"), (nn.Linear(4, 6), "last"),
    (nn.LSTM(4, 6), "last"), (nn.LayerNorm(4), "last"), (nn.ReLU(), None), (None, None), (nn.Sequential(), None),
    (nn.Sequential(nn.Conv1d(4, 6, 1), nn.Linear(4, 6)), "last"),
    (nn.Sequential(nn.Linear(4, 6), nn.Conv1d(4, 6, 1)), "first"),
])  # fmt: skip
def test_the_type_of_a_layer_tells_where_channels_are(module: Any, where: str | None) -> None:
    assert by_module(module) == where


class Wide(nn.Module):
    def __init__(self, *widths: int) -> None:
        super().__init__()
        self.all = nn.ParameterList(torch.zeros(width) for width in widths)


@pytest.mark.parametrize(("widths", "shape", "where"), [
    ((6,), (2, 6, 9), "first"), ((9,), (2, 6, 9), "last"), ((6, 9), (2, 6, 9), None), ((5,), (2, 6, 9), None),
    ((9, 6, 6), (2, 6, 9), "first"), ((), (2, 6, 9), None),
])  # fmt: skip
def test_the_last_parameters_tell_where_channels_are(widths: tuple[int, ...], shape: Any, where: str | None) -> None:
    assert by_width(Wide(*widths), shape) == where
    assert by_width(None, shape) is None


def test_places_by_the_number_of_dimensions() -> None:
    def told(dims: int, module: Any = None, three: str = "time") -> tuple[str, int]:
        places = of_tensor(torch.zeros([2] * dims), module, three)
        return places.name, places.channel

    assert [told(dims) for dims in (2, 3, 4, 5, 6)] == [
        ("features", 1), ("time", 1), ("grid", 1), ("volume", 1), ("features", 1),
    ]  # fmt: skip
    assert told(3, three="tokens") == ("tokens", 2)
    assert told(3, nn.Linear(2, 2)) == ("tokens", 2)
    assert told(3, nn.Conv1d(2, 2, 1), "tokens") == ("time", 1)


def test_sums_and_means_over_places() -> None:
    values = torch.arange(24.0).reshape(2, 3, 4)
    tokens, row = Places("tokens", 2), torch.tensor([[1.0, 2.0]])
    assert torch.equal(tokens.first(values)[1, 3], values[1, :, 3])
    assert torch.equal(tokens.given(tokens.first(values)), values)
    assert (
        tokens.total(values).tolist()
        == values.sum(2, keepdim=True).tolist()
        == [[[6.0], [22.0], [38.0]], [[54.0], [70.0], [86.0]]]
    )
    assert tokens.mean(values)[0].flatten().tolist() == [1.5, 5.5, 9.5]
    assert tokens.mean(row[..., None, None] * torch.tensor([[1.0, 3.0], [5.0, 7.0]])).flatten().tolist() == [4.0, 8.0]
    assert tokens.total(row).tolist() == tokens.mean(row).tolist() == row.tolist()  # a row has one place
    nodes = Nodes(pair_of=torch.tensor([0, 0, 0, 1]))
    of_nodes = torch.tensor([[1.0], [2.0], [6.0], [4.0]])
    assert nodes.total(of_nodes).flatten().tolist() == [9.0, 9.0, 9.0, 4.0]
    assert nodes.mean(of_nodes).flatten().tolist() == [3.0, 3.0, 3.0, 4.0]


def test_a_pool_draws_whole_items_without_repeating_them() -> None:
    items = torch.arange(20.0)[:, None], 100 + torch.arange(20.0)[:, None]
    first, second = Pool(items, most=8).drawn()
    assert len(set(first.flatten().tolist())) == 8
    assert torch.equal(second, first + 100)  # the tensors of one item stay together
    assert first.flatten().tolist() == sorted(first.flatten().tolist())
    assert not torch.equal(Pool(items, most=8, seed=1).drawn()[0], first)
    assert torch.equal(Pool(items, most=8).drawn()[0], first)
    assert len(Pool(items[0][:16]).drawn()[0]) == 16
    assert repr(Pool(items[0], most=3)) == "Pool(3 items of (1,), seed=0)"


@pytest.mark.parametrize(("items", "options", "error", "said"), [
    ([], {}, TypeError, "at least one row"), (torch.zeros(0, 2), {}, TypeError, "at least one row"),
    (torch.tensor(1.0), {}, TypeError, "at least one row"), ([torch.zeros(2), "x"], {}, TypeError, "a tensor of items"),
    ([torch.zeros(2, 1), torch.zeros(3, 1)], {}, ValueError, r"have \[2, 3\] rows"),
    (torch.zeros(2, 1), {"most": 0}, ValueError, "most=0"),
])  # fmt: skip
def test_what_is_no_pool(items: Any, options: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        Pool(items, **options)
    Pool(torch.zeros(1, 1), most=1)


@pytest.mark.parametrize(
    ("kind", "shape"), [("series", (2, 1, 5)), ("image", (2, 1, 4, 3)), ("volume", (1, 2, 3, 1, 2))]
)
def test_neighbours_share_half_of_what_they_have(kind: str, shape: tuple[int, ...]) -> None:
    """Each place, by hand: half its own and a quarter of each neighbour's, along every dimension, nothing outside."""
    values = torch.randn(shape, dtype=torch.float64)
    expected = torch.zeros_like(values)
    for place in np.ndindex(shape):
        for step in product((-1, 0, 1), repeat=len(shape) - 2):
            beside = [at + by for at, by in zip(place[2:], step, strict=True)]
            if all(0 <= at < size for at, size in zip(beside, shape[2:], strict=True)):
                expected[place] += values[(*place[:2], *beside)] * 0.5 ** sum(1 + abs(by) for by in step)
    torch.testing.assert_close(softened(values, kind), expected)


def test_what_has_no_grid_is_not_softened() -> None:
    tokens = torch.randn(2, 1, 5)
    assert softened(tokens, "image") is tokens
    with pytest.raises(ValueError, match="soften=True: graph input has no places beside each other"):
        softened(tokens, "graph")
