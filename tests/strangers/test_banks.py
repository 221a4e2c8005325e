"""Encoders that are also asked about what is of neither side: a bank of prototypes, a third input that is held."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import xsiamese
from xsiamese import PairGradCAM, PairLayerFeatureAblation, PairLRP, SiameseModel

METHODS = (
    "PairGradCAM", "PairHiResCAM", "PairEigenCAM", "PairLayerActivation", "PairLayerGradientXActivation",
    "PairLayerIntegratedGradients", "PairLayerFeatureAblation", "PairLayerConductance", "PairLayerDeepLift",
    "PairDeepLift", "PairGuidedBackprop", "PairLRP", "PairIntegratedGradients",
)  # fmt: skip


def encoder() -> nn.Sequential:
    torch.manual_seed(0)
    first, second = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 4, 3, padding=1)
    head = nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 5)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), *head).double().eval()


def images(seed: int = 1) -> tuple[Tensor, Tensor]:
    a, b = torch.randn(2, 2, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return a, b


class Bank(nn.Module):
    """The closeness of a and b, seen from prototypes that the same encoder reads, or from what it gave of them."""

    def __init__(self, count: int, when: int, kept: bool) -> None:
        super().__init__()
        self.encoder, self.when = encoder(), when
        bank = torch.randn(count, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
        self.register_buffer("bank", self.encoder(bank).detach() if kept else bank)
        self.kept = kept

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        rows = [a, b] if self.kept else [*(a, b)[: self.when], self.bank, *(a, b)[self.when :]]
        found = [self.encoder(x) for x in rows]
        bank = self.bank if self.kept else found.pop(self.when)
        return ((found[0] @ bank.T) * (found[1] @ bank.T)).sum(1)


class Inside(nn.Module):
    """An embedding that is the likeness to prototypes."""

    def __init__(self, whole: Bank) -> None:
        super().__init__()
        self.encoder, self.bank, self.kept = whole.encoder, whole.bank, whole.kept

    def forward(self, x: Tensor) -> Tensor:
        bank = self.bank if self.kept else self.encoder(self.bank)
        return self.encoder(x) @ bank.T  # type: ignore[no-any-return, operator]


def maps(name: str, model: nn.Module, layer: Any, **options: Any) -> Any:
    cls = getattr(xsiamese, name)
    return cls(model, *((layer,) if cls.traits.needs_layer else ())).attribute(images(), **options)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("when", [0, 1, 2])
@pytest.mark.parametrize("count", [2, 3])  # as many as pairs, which no shape tells apart
@pytest.mark.parametrize("name", METHODS)
def test_a_bank_that_the_encoder_reads_is_none_of_the_sides(name: str, count: int, when: int) -> None:
    bank, kept = Bank(count, when, False), Bank(count, when, True)
    for layer in (None, "encoder.3"):
        expected = maps(name, kept, layer)
        for found, known in zip(maps(name, bank, layer), expected, strict=True):
            torch.testing.assert_close(found, known, rtol=1e-9, atol=1e-12)
            assert known.any()


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("wrt", ["both", "first", "second"])
@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("name", METHODS)
def test_a_bank_inside_an_encoder_is_no_call_of_a_side(name: str, count: int, wrt: Any) -> None:
    bank, kept = (SiameseModel(Inside(Bank(count, 0, flag)), "dot") for flag in (False, True))
    for layer in (None, "encoder.encoder.3"):
        expected = maps(name, kept, layer, wrt=wrt)
        for found, known in zip(maps(name, bank, layer, wrt=wrt), expected, strict=True):
            torch.testing.assert_close(found, known, rtol=1e-9, atol=1e-12)
        assert any(known.any() for known in expected)


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("name", ["PairAblationCAM", "PairActivationDecomposition", "PairLayerInteraction"])
def test_what_is_put_in_place_of_a_layer_goes_to_the_item_and_not_to_the_bank(name: str, count: int) -> None:
    """The bank is read first: its call got the rows, an error where their number did not fit, else another map."""
    found, known = (
        getattr(xsiamese, name)(SiameseModel(Inside(Bank(count, 0, flag)), "dot"), "encoder.encoder.3").explain(
            images()
        )
        for flag in (False, True)
    )
    for mine, theirs in zip(found.maps, known.maps, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-12)
        assert theirs.any()
    for mine, theirs in zip(found.columns.get("matrix", ()), known.columns.get("matrix", ()), strict=True):
        torch.testing.assert_close(mine.dense(), theirs.dense(), rtol=1e-9, atol=1e-12)


class Joined(nn.Module):
    """The bank in one call with the items: of one side, or of both."""

    def __init__(self, count: int, order: str) -> None:
        super().__init__()
        whole = Bank(count, 0, False)
        self.encoder, self.bank, self.order = whole.encoder, whole.bank, order

    def forward(self, a: Tensor, b: Tensor | None = None) -> Tensor:
        items = {"a": a, "k": self.bank} | ({} if b is None else {"b": b})
        order = [one for one in self.order if one in items]
        found = self.encoder(torch.cat([items[one] for one in order])).split([len(items[one]) for one in order])
        z = dict(zip(order, found, strict=True))
        of_a: Tensor = z["a"] @ z["k"].T
        return of_a if b is None else (of_a * (z["b"] @ z["k"].T)).sum(1)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("order", ["abk", "kab", "akb"])
@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("name", ["PairDeepLift", "PairLayerDeepLift", "PairLayerActivation", "PairGradCAM",
                                  "PairLayerInteraction", "PairActivationDecomposition"])  # fmt: skip
def test_a_bank_in_one_call_with_the_items_is_told(name: str, count: int, order: str) -> None:
    """DeepLIFT took its rows for those of baselines: as many prototypes as pairs gave other maps in silence."""
    cls = getattr(xsiamese, name)
    layer = ("encoder.3",) if cls.traits.needs_layer else ()
    inside = "gives {} rows for one pair and {} for two: it gets something else in one call with the items"
    with pytest.raises(ValueError, match=inside.format(1 + count, 2 + count)):
        cls(SiameseModel(Joined(count, order), "dot"), *(f"encoder.{one}" for one in layer)).attribute(images())
    if name not in ("PairLayerInteraction", "PairActivationDecomposition"):  # of factored models
        of_both = "a bank of prototypes" if name == "PairGradCAM" else inside.format(2 + count, 4 + count)
        with pytest.raises(ValueError, match=of_both):
            cls(Joined(count, order), *layer).attribute(images())


@pytest.mark.parametrize("name", ["PairLRP", "PairIntegratedGradients"])
def test_gradients_do_not_mind_a_bank_in_one_call_with_the_items(name: str) -> None:
    for found, known in zip(maps(name, Joined(2, "akb"), None), maps(name, Bank(2, 0, True), None), strict=True):
        torch.testing.assert_close(found, known, rtol=1e-9, atol=1e-12)
        assert known.any()


def test_the_secant_form_tells_that_an_encoder_reads_a_bank() -> None:
    said = r"this encoder reads something else beside it, as a bank of prototypes: use rule='gauss'$"
    with pytest.raises(ValueError, match=said):
        xsiamese.PairInteraction(SiameseModel(Inside(Bank(2, 0, False)), "dot")).explain(images(), rule="secant")


class Three(nn.Module):
    """Nearer to b than to c."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = encoder()

    def forward(self, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        z = [self.encoder(x) for x in (c, a, b)]
        return (z[1] * z[2]).sum(1) - (z[1] * z[0]).sum(1)


class ThreeTowers(nn.Module):
    """The same with three encoders."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = (encoder() for _ in range(3))

    def forward(self, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        return (self.first(a) * (self.second(b) - self.third(c))).sum(1)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", METHODS)
def test_a_third_input_passes_the_same_encoder(name: str) -> None:
    c = images(5)[0]
    expected = maps(name, ThreeTowers(), ("first.3", "second.3"), additional_forward_args=c)
    for found, known in zip(maps(name, Three(), "encoder.3", additional_forward_args=c), expected, strict=True):
        torch.testing.assert_close(found, known, rtol=1e-9, atol=1e-12)
        assert known.any()


class Towers(nn.Module):
    """Two encoders, of which that of one side reads the bank."""

    def __init__(self, reads: int) -> None:
        super().__init__()
        whole = Bank(3, 0, False)
        self.first, self.second, self.bank = whole.encoder, deepcopy(whole.encoder), whole.bank
        self.reads = reads

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        bank = (self.first, self.second)[self.reads](self.bank)
        return ((self.first(a) @ bank.T) * (self.second(b) @ bank.T)).sum(1)


@pytest.mark.parametrize("cls", [PairGradCAM, PairLayerFeatureAblation])
@pytest.mark.parametrize("reads", [0, 1])
def test_a_bank_that_one_of_two_towers_reads_is_told(cls: Any, reads: int) -> None:
    """Occlusion of the layer took the bank for pairs."""
    said = "is also called on what is of neither side, such as a bank of prototypes: explain the inputs, or keep"
    own = ("first.3", "second.3")
    for layer in (None, own[reads], own):
        with pytest.raises(ValueError, match=said):
            cls(Towers(reads), layer).attribute(images())
    found = PairLRP(Towers(reads)).attribute(images())
    torch.testing.assert_close(found, PairLRP(Bank(3, 0, True)).attribute(images()))
