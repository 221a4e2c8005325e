"""What a class activation map prepares of each item once: the maps of all pairs, as those of pair by pair."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from xsiamese import Gallery, PairEigenCAM, PairExplanation, PairGradCAM, PairHiResCAM, PairXGradCAM, SiameseModel
from xsiamese.branches.intact import intact
from xsiamese.explain.attribution import PairAttribution
from xsiamese.explain.gallery.weights import Weights
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

    def seen(module: nn.Module, args: Any, out: Tensor) -> None:
        if len(out) > 1:  # a pass of one pair asks where the places of the layer lie
            graphs.append(torch.is_grad_enabled())

    encoder[-1].register_forward_hook(seen)  # type: ignore[index]

    def passes() -> list[bool]:
        graphs.clear()
        gallery = Gallery(explainer, items, internal_batch_size=4)
        made = list(graphs)
        first, second = (items[list(side)] for side in zip(*pairs, strict=True))
        expected = PairGradCAM(SiameseModel(encoder), "1").explain((first, second))
        for own, of in zip(gallery.explain(pairs)[:].maps, expected.maps, strict=True):
            torch.testing.assert_close(own, of, rtol=0, atol=1e-13)
        return made

    assert passes() == [True, False, False, False]  # once more as something behind the layer writes into its output
    assert passes() == [False, False, False]
    with torch.no_grad():
        encoder[0].weight.mul_(-1)  # type: ignore[index, union-attr, operator]  # before the layer: the head is the same
    assert passes() == [False, False, False]
    encoder.append(nn.Linear(7 if last else 5, 4).double())  # type: ignore[operator]
    assert passes() == [False, True, False, False]


@pytest.mark.parametrize("around", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("cls", [PairGradCAM, PairEigenCAM])
def test_a_gallery_inside_no_grad_is_the_one_outside(around: Any, cls: Any) -> None:
    torch.manual_seed(0)
    explainer, items = cls(SiameseModel(_pooled(nn.Linear(5, 7)).double()), "1"), torch.rand(3, 1, 8, 8).double()
    outside = explainer.explain((items[[0, 2]], items[[1, 1]]))
    with around():
        gallery = Gallery(explainer, items)
        inside, hits = gallery.explain([(0, 1), (2, 1)])[:], gallery.search(items[:1], k=2).explain()[:]
    for own, expected in zip(inside.maps, outside.maps, strict=True):
        torch.testing.assert_close(own, expected, rtol=0, atol=1e-13)
    assert not any(one.is_inference() for one in (*inside.maps, *hits.maps))


@pytest.mark.parametrize("layer", ["0", "1", "2"])
def test_a_gallery_of_rows_takes_every_layer(layer: str) -> None:
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 4)).double()
    rows, explainer = torch.rand(3, 5, dtype=torch.float64), PairGradCAM(SiameseModel(encoder, "dot"), layer)
    found = Gallery(explainer, rows).explain([(0, 1), (2, 1)])[:]
    # of a dot product the gradient at the embedding of a is that of b
    last = encoder(rows)
    slope = last[[1, 1]] if layer == "2" else last[[1, 1]] @ encoder[2].weight  # type: ignore[operator]
    at = [encoder[: int(layer) + 1](rows)[[0, 2]]][0]  # type: ignore[index]
    slope = slope * (1 - encoder[:2](rows)[[0, 2]] ** 2) if layer == "0" else slope  # type: ignore[index]
    torch.testing.assert_close(found.maps[0][:, 0], (slope * at).sum(1).detach(), rtol=0, atol=1e-13)


class Attends(nn.Module):
    """An encoder of sequences whose attention has no second derivative on processors."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.a(x)[:, None]
        found: Tensor = self.b(nn.functional.scaled_dot_product_attention(h, h, h)[:, 0]).tanh().mean(1)
        return found


def test_a_gallery_of_fused_attention_is_that_of_pairs() -> None:
    torch.manual_seed(0)
    explainer, items = PairGradCAM(SiameseModel(Attends()), "a"), torch.randn(4, 6, 4)
    expected, found = explainer.explain((items[:2], items[2:])), Gallery(explainer, items).explain([(0, 2), (1, 3)])[:]
    for own, of in zip(found.maps, expected.maps, strict=True):
        torch.testing.assert_close(own, of, rtol=1e-4, atol=1e-6)


def test_a_gallery_is_of_the_weights_that_encoded_it(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, items = SiameseModel(_pooled(nn.Linear(5, 7))), torch.rand(4, 1, 8, 8)
    gallery = Gallery(PairGradCAM(model, "1"), items)
    before = gallery.explain([(0, 1)])[:].maps[0]
    model.load_state_dict({name: one.clone() for name, one in model.state_dict().items()})
    assert torch.equal(gallery.explain([(0, 1)])[:].maps[0], before)  # the same numbers, written again
    with torch.no_grad():
        model.encoder[4].bias += 1  # type: ignore[index, union-attr]
    for ask in (
        lambda: gallery.search(items[:1], k=1),
        lambda: gallery.search([0], k=1),
        lambda: gallery.explain([(0, 1)])[:],
        lambda: gallery.explain([(0, 1)]).scores,
        lambda: gallery.save(tmp_path / "store"),
    ):
        with pytest.raises(ValueError, match="the weights of the model have changed since the gallery encoded"):
            ask()
    assert Gallery(PairGradCAM(model, "1"), items).explain([(0, 1)])[:].maps[0].shape == (1, 1, 6, 6)


def _replaced(net: nn.Module) -> None:
    net[0].weight = nn.Parameter(net[0].weight.detach() + 1)  # type: ignore[index]


CHANGES: dict[str, Any] = {
    "a weight in place": lambda net: net[0].weight.add_(1),
    "the data of a weight": lambda net: setattr(net[0].weight, "data", net[0].weight.data + 1),
    "another parameter": _replaced,
    "another module": lambda net: net.__setitem__(0, nn.Linear(2, 2)),
    "one module more": lambda net: net.append(nn.Linear(2, 2)),
    "a buffer in place": lambda net: net[1].running_mean.add_(1),
    "a new buffer": lambda net: net[1].register_buffer("own", torch.ones(1)),
    "other numbers": lambda net: net.double(),
}


@pytest.mark.parametrize("change", list(CHANGES))
def test_every_way_in_which_weights_change_is_seen_and_told_again(change: str) -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    weights = Weights(net)
    weights.check()
    with torch.no_grad():
        CHANGES[change](net)
    for _ in range(2):
        with pytest.raises(ValueError, match="the weights of the model have changed"):
            weights.check()


def test_weights_that_are_put_back_are_what_they_were() -> None:
    net = nn.Sequential(nn.Linear(2, 2))
    weights, before = Weights(net), net[0].weight.detach().clone()
    with torch.no_grad():
        net[0].weight.zero_()
        with pytest.raises(ValueError, match="have changed"):
            weights.check()
        net[0].weight.copy_(before)
    weights.check()
    net[0].weight = nn.Parameter(before.clone())
    weights.check()
