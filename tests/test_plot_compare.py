"""Several methods on one pair, side by side."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from xsiamese import PairFeatureAblation, PairInputXGradient, PairSaliency, SiameseModel, compare
from xsiamese.author import Found, PairAttribution, PairBatch

pytest.importorskip("matplotlib")

MODEL = SiameseModel(nn.Flatten(), "dot")


def test_a_row_a_method_each_on_its_own_scale() -> None:
    pair = torch.rand(2, 1, 6, 6), torch.rand(2, 1, 6, 6)
    found = [method(MODEL).explain(pair, ids=[("p", "q"), ("r", "s")]) for method in (PairInputXGradient, PairSaliency)]
    figure = compare(found, pair=1)
    names = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert names == ["PairInputXGradient", "PairSaliency"]
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["r", "s", "r", "s"]
    bars = [axes for axes in figure.axes if axes.get_label() == "<colorbar>"]
    # gradients of a dot product are the partner: their scale is not that of gradient times input
    assert len(bars) == 2
    assert bars[0].get_ylim() != bars[1].get_ylim()


def test_two_methods_in_a_row() -> None:
    pair = torch.rand(1, 1, 6, 6), torch.rand(1, 1, 6, 6)
    methods = (PairInputXGradient, PairSaliency, PairFeatureAblation)
    figure = compare([method(MODEL).explain(pair) for method in methods], columns=2)
    figure.draw_without_rendering()
    spots = {text.get_text(): axes.get_position() for axes in figure.axes for text in axes.texts}
    assert [name.replace("\n", "") for name in spots] == [method.__name__ for method in methods]
    first, second, third = spots.values()
    assert first.y0 == pytest.approx(second.y0, abs=0.01)
    assert first.x0 < second.x0
    assert third.y1 < first.y0
    assert sum(not axes.get_visible() for axes in figure.axes) == 2  # nothing stands beside the third


class Nothing(PairAttribution):
    """No maps."""

    modalities = frozenset({"image", "row"})

    def compute(self, batch: PairBatch) -> Found:
        return Found(columns={"value": batch.value()})


def test_what_cannot_be_compared_is_refused() -> None:
    pair = torch.rand(1, 1, 6, 6), torch.rand(1, 1, 6, 6)
    found = PairSaliency(MODEL).explain(pair)
    with pytest.raises(ValueError, match="nothing to compare"):
        compare([])
    with pytest.raises(ValueError, match="PairFeatureAblation explains another pair than PairSaliency"):
        compare([found, PairFeatureAblation(MODEL).explain((pair[1], pair[0]))])
    with pytest.raises(ValueError, match="columns=0: a whole number from 1 on"):
        compare([found], columns=0)
    with pytest.raises(ValueError, match="Nothing gives no maps"):
        compare([Nothing(MODEL).explain(pair)])
    two = PairSaliency(MODEL).explain((pair[0].repeat(2, 1, 1, 1), pair[1].repeat(2, 1, 1, 1)))
    with pytest.raises(ValueError, match="PairSaliency explains another pair than PairSaliency"):
        compare([two, found], pair=1)


@pytest.mark.parametrize("size", [28, 640])
def test_a_photograph_is_drawn_in_no_fewer_pixels_than_it_has(size: int) -> None:
    pair = (torch.rand(1, 1, size, size), torch.rand(1, 1, size, size))
    figure = PairSaliency(SiameseModel(nn.Sequential(nn.AvgPool2d(7), nn.Flatten()))).explain(pair).plot()
    figure.canvas.draw()
    boxes = [axes.get_window_extent() for axes in figure.axes if axes.images and axes.get_title()]
    assert len(boxes) == 4
    assert min(box.width for box in boxes) >= size
    assert figure.dpi >= 200
