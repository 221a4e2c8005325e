"""Scores that are decisions or whole numbers: methods that remove and ask again take them, gradients say so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from xsiamese import (
    PairFeatureAblation,
    PairGradCAM,
    PairIntegratedGradients,
    PairOcclusion,
    PairSaliency,
    PairShapleyValues,
    calibrate,
)

A, B = torch.tensor([[1.0, 2.0, 0.5]]), torch.tensor([[1.0, 1.0, -1.0]])


class Decides(nn.Module):
    def __init__(self, made: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.made = made

    def forward(self, a: Tensor, b: Tensor) -> Any:
        return self.made((a * b).sum(1))


MADE: list[tuple[torch.dtype, Callable[[Tensor], Any]]] = [
    (torch.bool, lambda s: s > 1),
    (torch.int64, lambda s: (2 * s).long()),
]


@pytest.mark.parametrize(("dtype", "made"), MADE)
def test_what_is_lost_is_counted_by_hand(dtype: torch.dtype, made: Callable[[Tensor], Any]) -> None:
    whole = made((A * B).sum(1)).double()
    expected = []
    for i in range(3):
        left = A.clone()
        left[0, i] = 0
        expected.append(float(whole - made((left * B).sum(1)).double()))
    assert any(expected)
    found = PairFeatureAblation(Decides(made)).explain((A, B))
    assert found.maps[0].tolist() == [expected]
    assert found.scores.tolist() == whole.tolist()
    total = PairShapleyValues(Decides(made)).attribute((A, B), joint=True)
    assert float(total[0].sum() + total[1].sum()) == pytest.approx(float(whole - made(torch.zeros(1)).double()))


@pytest.mark.parametrize(("dtype", "made"), MADE)
@pytest.mark.parametrize("cls", [PairSaliency, PairIntegratedGradients])
def test_gradients_need_floats(cls: Any, dtype: torch.dtype, made: Callable[[Tensor], Any]) -> None:
    with pytest.raises(ValueError, match=f"the score is of {dtype}, and a gradient needs one of floats.*PairOcclusion"):
        cls(Decides(made)).attribute((A, B))


def test_no_effect_is_none_and_layers_say_the_same() -> None:
    class Twin(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 3)

        def forward(self, a: Tensor, b: Tensor) -> Any:
            return (self.conv(a) * self.conv(b)).sum((1, 2, 3)) > -1e9

    images = torch.rand(1, 1, 6, 6)
    with pytest.warns(UserWarning, match="no effect"):
        maps = PairOcclusion(Twin()).attribute((images, images + 1))
    assert not maps[0].any()
    with pytest.raises(ValueError, match=r"the score is of torch.bool"):
        PairGradCAM(Twin(), layer="conv").attribute((images, images + 1))


@pytest.mark.parametrize("made", [lambda s: float(s.detach().sum()), lambda s: s.detach().numpy()])
def test_what_is_no_tensor_is_told_to_be_one(made: Callable[[Tensor], Any]) -> None:
    for ask in (
        lambda: PairOcclusion(Decides(made)).attribute((A, B)),
        lambda: PairSaliency(Decides(made)).attribute((A, B)),
        lambda: calibrate(Decides(made), A.repeat(2, 1), B.repeat(2, 1), torch.tensor([True, False])),
    ):
        with pytest.raises(ValueError, match=r"(float|ndarray).*a tensor of one score a pair, shape \(pairs,\)"):
            ask()
