"""Each place of a layer's output alone: what follows gives what it would for rows written out."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xsiamese import PairActivationDecomposition, SiameseModel
from xsiamese_interactions.alone import Alone

ITEMS = 2


def written_out(output: Tensor, channel: int | None) -> Tensor:
    """The rows, by loops over places."""
    rows = []
    for item in output:
        rows += [item, torch.zeros_like(item)]
        along = [d for d in range(item.dim()) if channel is None or d != channel - 1]
        for place in torch.cartesian_prod(*(torch.arange(item.shape[d]) for d in along)).reshape(-1, len(along)):
            index = [slice(None)] * item.dim()
            for d, k in zip(along, place.tolist(), strict=True):
                index[d] = k  # type: ignore[call-overload]
            alone = torch.zeros_like(item)
            alone[tuple(index)] = item[tuple(index)]
            rows.append(alone)
    return torch.stack(rows)


def in_place(x: Tensor) -> Tensor:
    """Changes what it is given, and goes on with that."""
    F.relu_(x)
    x += 1
    return x.mean((2, 3))


IMAGE, TOKENS, ROW = (torch.randn(ITEMS, *shape, dtype=torch.float64) for shape in ((3, 4, 2), (5, 3), (6,)))
TAILS: dict[str, tuple[Tensor, int | None, Callable[[Tensor], Tensor], bool]] = {
    "adaptive": (IMAGE, 1, nn.AdaptiveAvgPool2d(1), True),
    "mean": (IMAGE, 1, lambda x: x.mean((2, 3)), True),
    "mean from the end": (IMAGE, 1, lambda x: x.mean((-1, -2), keepdim=True), True),
    "channels last": (IMAGE, 3, lambda x: x.mean((1, 2)), True),
    "channels last, kept": (IMAGE, 3, lambda x: x.mean((1, 2), keepdim=True), True),
    "tokens": (TOKENS, 2, lambda x: x.mean(1), True),
    "mean, then maximum": (IMAGE, 1, lambda x: torch.stack([x.mean((2, 3)), x.amax((2, 3))]).sum(0), False),
    "maximum, then mean": (IMAGE, 1, lambda x: torch.stack([x.amax((2, 3)), x.mean((2, 3))]).sum(0), False),
    "of one dimension": (IMAGE, 1, lambda x: x.mean(2), False),
    "of channels too": (IMAGE, 1, lambda x: x.mean((1, 2, 3)), False),
    "in single precision": (IMAGE, 1, lambda x: x.mean((2, 3), dtype=torch.float32), False),
    "maximum": (IMAGE, 1, nn.AdaptiveMaxPool2d(1), False),
    "flat": (IMAGE, 1, lambda x: x.flatten(1), False),
    "sum": (IMAGE, 1, lambda x: x.sum((2, 3)), False),
    "in place": (IMAGE, 1, in_place, False),
    "features": (ROW, None, lambda x: 2 * x, False),
    "a feature's mean": (ROW, None, lambda x: x.mean(1), False),
}


@pytest.mark.parametrize("name", TAILS)
def test_what_follows_gives_what_it_gives_for_the_rows(name: str) -> None:
    output, channel, tail, spared = TAILS[name]
    expected = tail(written_out(output, channel))
    mode = Alone(output.clone(), channel)
    with torch.no_grad(), mode:
        found = tail(mode.stand_in)
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12, check_dtype=True)
    assert (mode.rows is None) is spared


def test_what_gets_past_the_mode_is_no_number() -> None:
    assert Alone(IMAGE, 1).stand_in.isnan().all()


class Aside(nn.Module):
    """Takes its numbers out of torch."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.from_numpy(x.numpy().mean((2, 3)))


class Mean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


def test_a_tail_outside_of_torch_gets_the_rows() -> None:
    layers = nn.Conv2d(1, 3, 3).double(), nn.ReLU()
    a, b = torch.rand(2, 1, 1, 6, 6, dtype=torch.float64)
    found, expected = (
        PairActivationDecomposition(SiameseModel(nn.Sequential(*layers, tail())), "1").explain((a, b)).matrix
        for tail in (Aside, Mean)
    )
    torch.testing.assert_close(found.dense(), expected.dense())
    assert found.dense().count_nonzero()


class Counts(nn.Module):
    """An encoder that looks up each item by its number after the layer, for as many rows as come."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 3, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.layer(x)
        return torch.stack([h[i].mean((1, 2)) * x[i].new_ones(()) for i in range(len(h))])


def test_what_looks_up_its_items_by_number_is_asked_in_another_way() -> None:
    torch.manual_seed(0)
    model, (a, b) = SiameseModel(Counts().double(), "dot"), torch.rand(2, 2, 1, 5, 5, dtype=torch.float64)
    found = PairActivationDecomposition(model, "layer").explain((a, b))
    for pair in range(2):  # of a mean each place has a ninth
        u, v = (model.encoder.layer(one[pair : pair + 1])[0].flatten(1).T / 9 for one in (a, b))  # type: ignore[operator, union-attr]
        torch.testing.assert_close(found.matrices[pair].dense()[:9, :9], (u @ v.T).detach(), rtol=0, atol=1e-12)
