"""Masks of graphs neither collapse nor do so in silence: two dozen planted pairs, with a usual price and with one that
takes everything.
"""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch

from xsiamese.data.planted import planted
from xsiamese.zoo import shipped
from xsiamese_invariance import RobustPairExplainer

PAIRS = planted("motifs", 24)
FEW: dict[str, Any] = {"draws": 16, "steps": 60}


def test_a_usual_price_leaves_masks_that_keep_the_score() -> None:
    explainer = RobustPairExplainer(shipped("planted-motifs").model, coupling="none")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        found = explainer.explain(PAIRS.inputs, **FEW)
    assert 0.2 < float(found.maps[0].node_mask.mean()) < 0.8
    kept = found.columns["kept"]
    assert isinstance(kept, torch.Tensor)
    assert float((kept - found.scores).abs().mean()) < 0.08  # 0.16 where every mask is empty


def test_a_price_that_takes_everything_is_told_with_the_remedy() -> None:
    explainer = RobustPairExplainer(shipped("planted-motifs").model, coupling="none")
    with pytest.warns(UserWarning, match=r"not kept under the mask of .*: such a mask explains nothing; lower size="):
        found = explainer.explain(PAIRS.inputs, size=50.0, **FEW)
    assert float(found.maps[0].node_mask.max()) < 0.01
