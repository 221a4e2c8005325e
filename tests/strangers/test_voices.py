"""A trained speaker encoder, an LSTM over mel spectrograms, against its twin and against asking it by hand."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
import torch
from captum.attr import IntegratedGradients
from torch import Tensor, nn

from tests.strangers.test_models import TwoEncoders, close
from xsiamese import PairFeatureAblation, PairGradCAM, PairIntegratedGradients, PairOcclusion, SiameseModel, auto

pytestmark = pytest.mark.slow
TIMES, SPAN = 24, 4  # frames of 10 ms


@pytest.fixture(scope="module")
def encoder() -> nn.Module:
    # it trims silences with a package that needs an old setuptools, and nothing is trimmed here
    sys.modules.setdefault("webrtcvad", ModuleType("webrtcvad"))
    library = pytest.importorskip("resemblyzer", reason='voices are tested with pip install "xsiamese[test]"')
    return library.VoiceEncoder("cpu", verbose=False).double().eval()  # type: ignore[no-any-return]


def voices() -> tuple[Tensor, Tensor]:
    """Two batches of power spectrograms (pairs, times, bands)."""
    drawn = torch.randn(2, 2, TIMES, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    a, b = drawn.mul(2).sub(4).exp()
    return a, b


def test_a_speaker_encoder_is_explained_as_its_twin(encoder: nn.Module) -> None:
    a, b = voices()
    quiet = torch.full_like(a, 1e-3)
    found = PairIntegratedGradients(SiameseModel(encoder, "dot")).attribute(
        (a, b), baselines=(quiet, quiet), n_steps=4, joint=True
    )
    expected = IntegratedGradients(TwoEncoders(encoder)).attribute((a, b), baselines=(quiet, quiet), n_steps=4)
    close(found, expected)


def test_a_span_of_time_counts_what_the_score_loses_without_it(encoder: nn.Module) -> None:
    a, b = voices()
    spans = (torch.arange(TIMES) // SPAN)[:, None].expand(1, TIMES, 40)
    model = SiameseModel(encoder, "cosine")
    grouped = PairFeatureAblation(model).attribute((a, b), feature_mask=(spans, spans))
    slid = PairOcclusion(model).attribute((a, b), sliding_window_shapes=(SPAN, 40), strides=(SPAN, 40))
    with torch.no_grad():
        score = nn.functional.cosine_similarity(encoder(a), encoder(b))
        for side in (0, 1):
            for start in range(0, TIMES, SPAN):
                silent = [x.clone() for x in (a, b)]
                silent[side][:, start : start + SPAN] = 0
                lost = score - nn.functional.cosine_similarity(encoder(silent[0]), encoder(silent[1]))
                assert lost.abs().min() > 1e-6
                for found in (grouped, slid):
                    of_span = found[side][:, start : start + SPAN]
                    torch.testing.assert_close(of_span, lost[:, None, None].expand_as(of_span), rtol=1e-6, atol=1e-9)


def test_a_last_state_has_no_layer_of_times(encoder: nn.Module) -> None:
    model = SiameseModel(encoder)
    with pytest.raises(ValueError, match="hands on its last state has no places at any layer: explain its inputs"):
        PairGradCAM(model).attribute(voices())
    for budget in ("fast", "normal"):
        found = auto(model, budget, kind="series").explain(voices())  # type: ignore[arg-type]
        assert found.maps[0].shape == (2, TIMES, 40)
        assert all(one.any() for one in found.maps)
