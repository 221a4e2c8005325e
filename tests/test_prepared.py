"""What a class activation map prepares of each item once: the maps of all pairs, as those of pair by pair."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from xsiamese import Gallery, PairEigenCAM, PairExplanation, PairGradCAM, PairHiResCAM, PairXGradCAM, SiameseModel
from xsiamese.branches.intact import intact
from xsiamese.explain.attribution import PairAttribution
from xsiamese.explain.prepare import prepared
from xsiamese.explain.request import Request

FIRST, SECOND = torch.tensor([0, 1, 2, 0, 0, 3]), torch.tensor([1, 2, 5, 4, 3, 0])


class Residual(nn.Module):
    """An encoder whose layer ``b`` is stepped around, and which is not linear behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.last = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.a(x).relu()
        found: Tensor = self.last((h + self.b(h)).tanh().mean((2, 3)))
        return found


class InPlace(nn.Module):
    """Works on the output of the layer before it."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mul_(2)


def _pooled(*last: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 5, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), *last)


ENCODERS: dict[str, tuple[Any, Any]] = {
    "pooled": (_pooled, "1"),
    "pooled and linear": (lambda: _pooled(nn.Linear(5, 7)), "1"),
    "a head": (lambda: _pooled(nn.Linear(5, 70), nn.Tanh(), nn.Linear(70, 60)), "1"),
    "flattened": (lambda: nn.Sequential(nn.Conv2d(1, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(180, 7)), "1"),
    "maximum": (lambda: nn.Sequential(nn.Conv2d(1, 5, 3), nn.AdaptiveMaxPool2d(2), nn.Flatten()), "0"),
    "residual": (Residual, "b"),
    "two layers": (lambda: _pooled(nn.Linear(5, 7)), ["0", "1"]),
}


def of_each_item_once(explainer: PairAttribution, inputs: tuple[Tensor, Tensor]) -> tuple[PairExplanation, int]:
    """The explanation by way of what is prepared, and how many rows the encoder got."""
    rows: list[int] = []
    asked = Request(inputs, plans=explainer._plans)
    encoder: nn.Module = explainer.model.encoder  # type: ignore[assignment]
    handle = encoder.register_forward_hook(lambda *args: rows.append(len(args[2])))
    batch = asked.batch(explainer)
    with intact(explainer.model):
        batch = prepared(batch, explainer.prepare)
    found = explainer.of_prepared(batch, asked, ids=None, layers={})
    handle.remove()
    return found, sum(rows)


def maps_of(found: PairExplanation) -> list[Tensor]:
    return [one for side in found.maps for one in (side if isinstance(side, tuple) else (side,))]


@pytest.mark.parametrize("comparison", ["cosine", "manhattan"])
@pytest.mark.parametrize("cls", [PairGradCAM, PairHiResCAM, PairXGradCAM, PairEigenCAM])
@pytest.mark.parametrize("name", list(ENCODERS))
def test_prepared_maps_are_those_of_pairs_and_each_item_is_encoded_once(name: str, cls: Any, comparison: str) -> None:
    torch.manual_seed(0)
    make, layer = ENCODERS[name]
    explainer = cls(SiameseModel(make().double(), comparison), layer)
    items = torch.rand(6, 1, 8, 8, dtype=torch.float64)
    pairs = items[FIRST], items[SECOND]
    by_pair = explainer.explain(pairs)
    found, rows = of_each_item_once(explainer, pairs)
    assert rows == 6
    torch.testing.assert_close(found.scores, by_pair.scores, rtol=0, atol=1e-13)
    for own, expected in zip(maps_of(found), maps_of(by_pair), strict=True):
        torch.testing.assert_close(own, expected, rtol=0, atol=1e-13)


def test_a_run_prepares_only_where_that_saves_it_something() -> None:
    asked: list[str] = []

    class Prepares(PairGradCAM):
        def prepare(self, items: Any, *args: Any, **options: Any) -> Any:
            asked.append("prepared")
            return super().prepare(items, *args, **options)

    class Kept(Prepares):
        shares = "kept"

    pairs = torch.rand(2, 1, 8, 8), torch.rand(2, 1, 8, 8)
    Kept(SiameseModel(_pooled()), "1").explain(pairs)
    assert not asked
    assert Prepares.traits.shares == "always"
    Prepares(SiameseModel(_pooled()), "1").explain(pairs)
    assert asked
    with pytest.raises(TypeError, match="shares is 'sometimes': never, kept, always"):
        type("Misspelt", (Kept,), {"shares": "sometimes"})


@pytest.mark.parametrize("last", [(), (nn.Linear(5, 7),)], ids=["pooled", "pooled and linear"])
def test_a_head_is_known_from_the_items_before_until_it_gives_other_embeddings(last: tuple[nn.Module, ...]) -> None:
    torch.manual_seed(0)
    encoder = _pooled(*last).double()
    encoder.insert(2, InPlace())  # type: ignore[operator]
    items, pairs = torch.rand(12, 1, 8, 8, dtype=torch.float64), [(0, 5), (11, 3), (7, 8)]
    explainer = PairGradCAM(SiameseModel(encoder), "1")
    graphs: list[bool] = []
    encoder[-1].register_forward_hook(lambda *args: graphs.append(torch.is_grad_enabled()))  # type: ignore[index]

    def passes() -> list[bool]:
        graphs.clear()
        gallery = Gallery(explainer, items, internal_batch_size=4)
        made = list(graphs)
        first, second = (items[list(side)] for side in zip(*pairs, strict=True))
        expected = PairGradCAM(SiameseModel(encoder), "1").explain((first, second))
        for own, of in zip(gallery.explain(pairs)[:].maps, expected.maps, strict=True):
            torch.testing.assert_close(own, of, rtol=0, atol=1e-13)
        return made

    assert passes() == [True, False, False]
    assert passes() == [False, False, False]
    with torch.no_grad():
        encoder[0].weight.mul_(-1)  # type: ignore[index, union-attr, operator]  # before the layer: the head is the same
    assert passes() == [False, False, False]
    encoder.append(nn.Linear(7 if last else 5, 4).double())  # type: ignore[operator]
    assert passes() == [False, True, False, False]
