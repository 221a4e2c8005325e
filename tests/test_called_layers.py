"""Layers of a partial and of a bound method go by the names of the module itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xsiamese import PairGradCAM, PairLayerIntegratedGradients, SiameseModel


class Twin(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 4))

    def encode(self, x: Tensor) -> Tensor:
        found: Tensor = self.net(x)
        return found

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return F.cosine_similarity(self.net(a), self.net(b))


@pytest.mark.parametrize("wrap", [partial, lambda one: one.forward, lambda one: SiameseModel(one.encode)])
def test_both_names_find_it(wrap: Callable[[Twin], Any]) -> None:
    a, b = torch.randn(2, 1, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    expected = PairGradCAM(Twin(), layer="net.1").attribute((a, b))
    for name in ("net.1", "module.net.1"):
        torch.testing.assert_close(PairGradCAM(wrap(Twin()), layer=name).attribute((a, b)), expected)


class Loop(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.linear = nn.Conv2d(1, 3, 3), nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.linear(self.conv(one[None]).relu().mean((2, 3))) for one in x.unbind()])


@pytest.mark.parametrize("pairs", [1, 2])
def test_a_layer_that_is_called_for_each_item_is_told_as_one(pairs: int) -> None:
    a, b = torch.randn(2, pairs, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match="the model calls the layer for one item at a time"):
        PairLayerIntegratedGradients(SiameseModel(Loop()), layer="conv").attribute((a, b))
