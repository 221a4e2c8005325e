"""A model that draws random numbers in evaluation mode is told, from wherever it draws them, and behind a gallery."""

from __future__ import annotations

import random
import warnings

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xsiamese import Gallery, PairGradCAM, PairSaliency, SiameseModel

IMAGES = torch.rand(4, 1, 9, 9)


class Noisy(nn.Module):
    """Pools what comes in, with noise from one of several places, or none."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.calls: list[int] = []  # a number would be a count that is kept
        self.of_torch = torch.Generator().manual_seed(1)
        self.of_numpy = np.random.default_rng(0)
        self.old = np.random.RandomState(0)
        self.of_python = random.Random(0)

    def forward(self, x: Tensor) -> Tensor:
        self.calls.append(len(x))
        pooled, shape = x.mean((2, 3)), (len(x), x.shape[1])
        if self.how == "none":
            return pooled
        drawn = {
            "dropout": lambda: nn.functional.dropout(torch.ones(shape), 0.5, training=True),
            "numpy": lambda: torch.from_numpy(np.random.standard_normal(shape)),
            "python": lambda: torch.tensor([[random.random() for _ in range(shape[1])]]).expand(shape),
            "own of torch": lambda: torch.randn(shape, generator=self.of_torch),
            "own of numpy": lambda: torch.from_numpy(self.of_numpy.standard_normal(shape)),
            "own, old": lambda: torch.from_numpy(self.old.standard_normal(shape)),
            "own of python": lambda: torch.tensor([[self.of_python.random() for _ in range(shape[1])]]).expand(shape),
        }[self.how]()
        return pooled + drawn.float()


def made(how: str) -> tuple[SiameseModel, Noisy]:
    last = Noisy(how)
    return SiameseModel(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), last), "euclidean").eval(), last


def told(said: list[warnings.WarningMessage]) -> int:
    return sum("the model draws random numbers in evaluation mode" in str(one.message) for one in said)


PLACES = ["dropout", "numpy", "python", "own of torch", "own of numpy", "own, old", "own of python"]


@pytest.mark.parametrize("how", PLACES)
def test_wherever_they_come_from(how: str) -> None:
    model, _ = made(how)
    for ask in (
        lambda: PairSaliency(model).explain((IMAGES[:2], IMAGES[2:])),
        lambda: PairGradCAM(model, "encoder.1").explain((IMAGES[:2], IMAGES[2:])),
        lambda: Gallery(PairGradCAM(model, "encoder.1"), IMAGES).explain([(0, 2), (1, 3)])[:],
        lambda: Gallery(PairSaliency(model), IMAGES).explain([(0, 2), (1, 3)])[:],
    ):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            ask()
        assert told(said) == 1


def test_no_other_model_is_asked_twice() -> None:
    model, last = made("none")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        Gallery(PairGradCAM(model, "encoder.1"), IMAGES).explain([(0, 2), (1, 3)])[:]
    quiet = len(last.calls)
    noisy, asked = made("numpy")
    with warnings.catch_warnings(record=True):
        Gallery(PairGradCAM(noisy, "encoder.1"), IMAGES).explain([(0, 2), (1, 3)])[:]
    assert told(said) == 0
    assert quiet < len(asked.calls)
