"""Metrics of Quantus on pairs, and ours beside theirs where both mean the same."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xsiamese import PairGradCAM, PairInputXGradient, SiameseModel, measure
from xsiamese.metrics.quantus import Quantus


def pairs() -> tuple[SiameseModel, tuple[Tensor, Tensor]]:
    torch.manual_seed(0)
    a, b = torch.rand(2, 3, 1, 4, 4)
    return SiameseModel(nn.Sequential(nn.Flatten(), nn.Linear(16, 5, bias=False)), "dot").eval(), (a, b)


class Told:
    """A metric with the interface of Quantus: the change of the score where the largest place is blanked."""

    score_direction = SimpleNamespace(name="HIGHER")

    def __call__(self, model: Any, x_batch: Any, y_batch: Any, a_batch: Any, **more: Any) -> list[float]:
        x, largest = torch.tensor(x_batch), int(np.abs(a_batch).argmax())
        blanked = x.clone()
        blanked.view(-1)[largest] = 0
        scores = model(torch.cat([x, blanked]))  # two items at once
        assert scores.shape == (2, 1)
        assert y_batch.shape == (1,)
        assert more["softmax"] is False
        return [float(scores[0, 0] - scores[1, 0])]


def test_a_side_at_a_time_with_its_own_partner_held() -> None:
    """The score is bilinear: what one pixel is worth is gradient times input there."""
    model, (a, b) = pairs()
    method = PairInputXGradient(model)
    maps = method.attribute((a, b))
    flat = [m.flatten(1) for m in maps]
    by_hand = sum(f.gather(1, f.abs().argmax(1, keepdim=True))[:, 0] for f in flat) / 2
    found = measure(method, (a, b), [Quantus(Told())])["quantus_Told"]
    assert isinstance(by_hand, Tensor)
    assert torch.allclose(found.values, by_hand.double(), atol=1e-5)
    assert found.metric.higher_is_better is True


def test_maps_of_another_shape_are_refused() -> None:
    torch.manual_seed(0)
    model = SiameseModel(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3))).eval()
    with pytest.raises(ValueError, match="quantus_Told takes maps of the inputs' own shape, and PairGradCAM"):
        measure(PairGradCAM(model, "encoder.0"), pairs()[1], [Quantus(Told())])


def test_nothing_imports_it() -> None:
    code = "import sys, xsiamese, xsiamese.metrics.quantus, xsiamese.metrics.catalogue; print('quantus' in sys.modules)"
    found = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_ours_and_theirs_where_they_mean_the_same() -> None:
    quantus = pytest.importorskip("quantus", reason='needs pip install "xsiamese[quantus]"')
    model, (a, b) = pairs()
    quiet = {"disable_warnings": True, "normalise": False}
    sparse = Quantus(quantus.Sparseness(**quiet))
    flip = Quantus(quantus.PixelFlipping(features_in_step=4, perturb_baseline=0.0, **quiet))
    method = PairInputXGradient(model)
    found = measure(method, (a, b), [sparse, "gini", flip])
    assert torch.allclose(found["quantus_Sparseness"].values, found["gini"].values, atol=1e-6)
    # bilinear: what is left after each step is the score less the largest parts, four at a time
    curves = []
    for side in method.attribute((a, b)):
        gone = side.flatten(1).sort(1, descending=True).values.reshape(3, 4, 4).sum(2).cumsum(1)
        curves.append((model(a, b).detach()[:, None] - gone).mean(1))
    by_hand = (curves[0] + curves[1]) / 2
    assert torch.allclose(found["quantus_PixelFlipping"].values, by_hand.double(), atol=1e-5)
