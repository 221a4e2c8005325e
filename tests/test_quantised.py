"""Dynamically quantised models: a value that depends on the batch is told once, and weights that are packed away."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from xsiamese import Gallery, MaskRun, PairFeatureAblation, PairMaskRegression, PairRISE, SiameseModel, explain_pairs
from xsiamese.explain.beside import BesideWarning
from xsiamese.explain.digest import digest, weights

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:torch.quantize_per_tensor")


def rows() -> Tensor:
    drawn = torch.randn(12, 4, generator=torch.Generator().manual_seed(1))
    return drawn * torch.linspace(0.2, 4, 12)[:, None]


def encoder(seed: int = 0, layer: Any = nn.Linear) -> nn.Module:
    from torch.ao.quantization import quantize_dynamic

    torch.manual_seed(seed)
    inner = [nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 8)] if layer is nn.Linear else [layer(4, 8)]
    made: nn.Module = quantize_dynamic(nn.Sequential(*inner), {layer}).eval()
    return made


def told(call: Callable[[], Any]) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [str(one.message) for one in caught if "quantised by the range" in str(one.message)]


def said(model: SiameseModel, a: Tensor, b: Tensor) -> str:
    """By hand: a pair alone, and beside the same ten times as far and nothing at all."""
    with torch.no_grad():
        alone = float(model(a[None], b[None]))
        beside = float(model(*(torch.stack([x, 10 * x, 0 * x]) for x in (a, b)))[0])
    assert abs(alone - beside) > 1e-4
    return f"the value of pair 0 is {alone:.4g} alone and {beside:.4g} beside others"


@pytest.mark.parametrize("cls", [PairFeatureAblation, PairRISE, PairMaskRegression])
def test_a_gallery_tells_once_that_a_value_depends_on_the_items_beside(cls: Any) -> None:
    """Whether what is prepared of its items is kept or every pair is asked again."""
    explainer = cls(SiameseModel(encoder(), "cosine"))

    def whole(size: int | None) -> None:
        gallery = Gallery(explainer, rows(), internal_batch_size=size)
        gallery.explain([(0, 1), (2, 3)])[:]
        list(gallery.explain().units())
        gallery.search([0, 1], k=2)

    (line,) = told(lambda: whole(None))
    assert said(explainer.model, *rows()[:2]) in line
    assert "internal_batch_size=1 asks one by one" in line
    assert not told(lambda: whole(1))
    fresh = cls(SiameseModel(encoder(), "cosine"))
    for _ in range(2):  # of a call the call says it, each time
        assert len(told(lambda: fresh.explain((rows()[:2], rows()[2:4])))) == 1


def test_a_job_tells_once_that_a_value_depends_on_the_pairs_beside(tmp_path: Path) -> None:
    explainer = PairFeatureAblation(SiameseModel(encoder(), "cosine"))
    pairs = torch.tensor([(i, i + 1) for i in range(10)])

    def job(folder: str, batch: int) -> Any:
        return explain_pairs(
            pairs, tmp_path / folder, explainer, items=rows(), unit=4, batch=batch, show_progress=False
        )

    (line,) = told(lambda: job("four", 4))
    assert line.startswith("rows 0 to 3, counted from the first: layers of the model are quantised")
    assert said(explainer.model, *rows()[:2]) in line
    assert "batch=1 asks one by one" in line
    assert "internal" not in line
    assert not told(lambda: job("one", 1))
    again = job("one", 1)  # and finds its own folder
    alone = [explainer.explain((rows()[i : i + 1], rows()[i + 1 : i + 2]), internal_batch_size=1) for i in range(10)]
    for stored, one in zip(again, alone, strict=True):
        torch.testing.assert_close(stored.maps[0], one.maps[0])
    explainer.model.encoder = encoder(seed=1)
    with pytest.raises(ValueError, match="weights"):
        job("one", 1)


def test_weights_that_are_packed_away_tell_one_model_from_another(tmp_path: Path) -> None:
    for layer in (nn.Linear, nn.LSTM, nn.GRU):
        same, one, other = (digest(weights(encoder(seed, layer))).hexdigest() for seed in (0, 0, 1))
        assert same == one != other
    model, foreign = (PairRISE(SiameseModel(encoder(seed), "cosine")) for seed in (0, 1))
    pair = rows()[:1], rows()[1:2]
    sample = MaskRun(model.model).sample(pair, masks=20, internal_batch_size=1)
    model.explain(pair, sample=sample, masks=20, internal_batch_size=1)
    with pytest.raises(ValueError, match="sample"):
        foreign.explain(pair, sample=sample, masks=20, internal_batch_size=1)
    gallery = Gallery(PairMaskRegression(model.model), rows(), internal_batch_size=1, masks=20)
    expected = gallery.explain([(0, 1)])[:]
    folder = gallery.save(tmp_path / "kept")
    read = Gallery(PairMaskRegression(model.model), rows(), internal_batch_size=1, store=folder, masks=20)
    assert torch.equal(read.explain([(0, 1)])[:].maps[0], expected.maps[0])
    with pytest.raises(ValueError, match="weights"):
        Gallery(PairMaskRegression(foreign.model), rows(), internal_batch_size=1, store=folder, masks=20)
    assert issubclass(BesideWarning, UserWarning)
