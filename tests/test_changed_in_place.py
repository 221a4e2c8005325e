"""A layer whose output the model changes in place is explained as the same model that changes a copy."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.problems import Shared, tensors
from xsiamese import SiameseModel, explainers

Change = Callable[[Tensor], Tensor]
CHANGES: list[tuple[Change, Change]] = [
    (lambda y: y.relu_(), lambda y: y.relu()),
    (lambda y: y.mul_(2).add_(1).relu_(), lambda y: (2 * y + 1).relu()),
    (lambda y: y.add_(1), lambda y: y + 1),
]
LAYERED = sorted(name for name, one in explainers().items() if one.traits.needs_layer)


class Encoder(nn.Module):
    """Goes on with a layer's output, and reads the layer's weight beside calling it, as towers of CLIP do."""

    def __init__(self, change: Change) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.linear, self.change = nn.Conv2d(2, 6, 3), nn.Linear(6, 4), change

    def forward(self, x: Tensor) -> Tensor:
        pooled: Tensor = self.linear(self.change(self.conv(x.to(self.conv.weight.dtype))).mean((2, 3)))
        return pooled


class Several(Encoder):
    """Its layer gives a tensor and something else."""

    def __init__(self, change: Change) -> None:
        super().__init__(change)
        self.both = Both(self.conv)

    def forward(self, x: Tensor) -> Tensor:
        pooled: Tensor = self.linear(self.change(self.both(x)[0]).mean((2, 3)))
        return pooled


class Both(nn.Module):
    def __init__(self, conv: nn.Module) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor) -> tuple[Tensor, int]:
        return self.conv(x), len(x)


def found(name: str, model: nn.Module, layer: str) -> Any:
    a, b = torch.randn(2, 2, 2, 8, 9, generator=torch.Generator().manual_seed(1))
    cls = explainers()[name]
    options: dict[str, Any] = {"threshold": 0.5} if cls.traits.needs_threshold else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return cls(model, layer=layer, **options).explain((a, b)).maps
        except ValueError as error:  # a method that is not for this model says so of both
            return str(error)


@pytest.mark.parametrize("wrapped", [SiameseModel, Shared])
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", LAYERED)
def test_every_method_of_layers(name: str, change: tuple[Change, Change], wrapped: Any) -> None:
    layer = "conv" if wrapped is SiameseModel else "encoder.conv"
    got, expected = (found(name, wrapped(Encoder(one)).eval(), layer) for one in change)
    if isinstance(expected, str):
        assert got == expected
        return
    for one, other in zip(tensors(got), tensors(expected), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("name", LAYERED)
def test_layers_that_give_more_than_a_tensor(name: str) -> None:
    got, expected = (found(name, SiameseModel(Several(one)), "both") for one in CHANGES[1])
    if isinstance(expected, str):
        assert got == expected
        return
    for one, other in zip(tensors(got), tensors(expected), strict=True):
        torch.testing.assert_close(one, other)
