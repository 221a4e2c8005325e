"""What is no batch of tensors is told how to become one; a method for nn.ReLU says where there is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from xsiamese import PairDeconvolution, PairGuidedBackprop, PairGuidedGradCam, PairSaliency, SiameseModel


def model(activation: nn.Module) -> SiameseModel:
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 2, 3), activation, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2)
    return SiameseModel(nn.Sequential(*layers).double(), "dot")


def picture() -> Any:
    return pytest.importorskip("PIL.Image").new("RGB", (8, 8))


@pytest.mark.parametrize(
    ("item", "told"),
    [
        (lambda: np.zeros((1, 3, 8, 8)), r"is a ndarray: .*torch.from_numpy\(array\) makes one"),
        (lambda: (np.zeros(3),), r"tuple of ndarray: .*torch.from_numpy\(array\) makes one"),
        (picture, r"is a Image: .*to_tensor\(image\)\[None\] makes one of shape \(1, channels, height, width\)"),
    ],
)
def test_arrays_and_pictures_name_the_conversion(item: Any, told: str) -> None:
    with pytest.raises(TypeError, match=told):
        PairSaliency(model(nn.ReLU())).attribute((item(), item()))


def test_a_missing_batch_dimension_is_told_with_the_shape_that_was_given() -> None:
    one, other = torch.rand(2, 3, 8, 8, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"has the shape \(3, 8, 8\), without the batch .*makes it \(1, 3, 8, 8\)"):
        PairSaliency(model(nn.ReLU())).attribute((one, other))


@pytest.mark.parametrize("explainer", [PairGuidedBackprop, PairDeconvolution, PairGuidedGradCam])
def test_a_model_without_relu_is_warned_of(explainer: type, recwarn: pytest.WarningsRecorder) -> None:
    pair = tuple(torch.rand(2, 1, 3, 8, 8, dtype=torch.float64))
    layer = ("1",) if explainer is PairGuidedGradCam else ()
    explainer(model(nn.ReLU()), *layer).attribute(pair)
    assert not [w for w in recwarn if "nn.ReLU" in str(w.message)]
    with pytest.warns(
        UserWarning, match=rf"{explainer.__name__} changes the gradient of nn.ReLU .* the model has none"
    ):
        explainer(model(nn.Tanh()), *layer).attribute(pair)
