"""Which layer is taken by itself of sets, points, series, rows and pictures, and where its places lie: by hand."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from xsiamese import (
    PairAblationCAM,
    PairDeepLift,
    PairFeatureAblation,
    PairGradCAM,
    PairHiResCAM,
    PairIntegratedGradients,
    SiameseModel,
)
from xsiamese.branches.fastpath import on_fast_path, without_fast_path

D = 8


class Parts(nn.Module):
    """An encoder of two parts, of which the first gives a vector to each place."""

    def __init__(self, first: nn.Module, rest: nn.Module) -> None:
        super().__init__()
        self.first, self.rest = first, rest

    def forward(self, x: Tensor) -> Tensor:
        return self.rest(self.first(x))  # type: ignore[no-any-return]


class By(nn.Module):
    """Modules, and what is done with them."""

    def __init__(self, does: Callable[..., Tensor], *parts: nn.Module) -> None:
        super().__init__()
        self.does, self.parts = does, nn.ModuleList(parts)
        self.learned = nn.Parameter(torch.randn(1, 3, D))

    def forward(self, x: Tensor) -> Tensor:
        return self.does(x, self.learned.expand(len(x), -1, -1), *self.parts)


def block() -> nn.Module:
    return nn.TransformerEncoderLayer(D, 2, 2 * D, dropout=0, batch_first=True)


def looks() -> nn.Module:
    return nn.MultiheadAttention(D, 2, batch_first=True)


def vectors() -> nn.Module:
    return nn.Sequential(nn.Linear(5, D), nn.ReLU())


def causal(x: Tensor, _: Tensor, conv: nn.Module) -> Tensor:
    return conv(nn.functional.pad(x, (2, 0))).relu()[..., -1]  # type: ignore[no-any-return]


def with_token(x: Tensor, learned: Tensor, inner: nn.Module) -> Tensor:
    return inner(torch.cat([learned[:, :1], x], 1))  # type: ignore[no-any-return]


def columns(x: Tensor, learned: Tensor, inner: nn.Module) -> Tensor:
    return inner(torch.cat([learned[:, :1], x[..., None] * learned[:, 1:2] + learned[:, 2:]], 1))  # type: ignore[no-any-return]


def seeded(x: Tensor, learned: Tensor, pool: nn.Module) -> Tensor:
    return (learned[:, :1] + pool(learned[:, :1], x, x)[0])[:, 0]  # type: ignore[no-any-return]


def latents(x: Tensor, learned: Tensor, pool: nn.Module, inner: nn.Module) -> Tensor:
    return inner(learned + pool(learned, x, x)[0]).mean(1)  # type: ignore[no-any-return]


def again(x: Tensor, _: Tensor, inner: nn.Module) -> Tensor:
    for _i in range(3):
        x = inner(x)
    return x.mean(1)


def gated(x: Tensor, _: Tensor, key: nn.Module, value: nn.Module, gate: nn.Module) -> Tensor:
    return (gate(x).sigmoid() * (key(x).exp() * value(x)).cumsum(1)).mean(1)  # type: ignore[no-any-return]


Made = tuple[Callable[[], nn.Module], Callable[[], nn.Module], tuple[int, ...], str, int]
# the first part, the rest, the shape of an item, its kind, and how many tokens of the first part come before its places
PLACES: dict[str, Made] = {
    "set summed": (vectors, lambda: By(lambda x, _: x.sum(1)), (7, 5), "text", 0),
    "set gathered by a seed": (vectors, lambda: By(seeded, looks()), (7, 5), "text", 0),
    "set gathered by latents": (vectors, lambda: By(latents, looks(), block()), (7, 5), "text", 0),
    "points first in channels": (
        lambda: nn.Sequential(nn.Conv1d(3, D, 1), nn.ReLU()), lambda: By(lambda x, _: x.amax(2)), (3, 20), "series", 0,
    ),
    "series of which the last time is read": (
        lambda: nn.Sequential(nn.Conv1d(2, D, 3, padding=1), nn.ReLU()), lambda: By(causal, nn.Conv1d(D, 4, 3)),
        (2, 16), "series", 0,
    ),
    "class token of a series": (
        lambda: nn.Sequential(nn.Linear(5, D), By(with_token, block())),
        lambda: By(lambda x, _, inner: inner(x)[:, 0], block()), (7, 5), "text", 1,
    ),
    "class token of a row": (
        lambda: By(columns, block()), lambda: By(lambda x, _, inner: inner(x)[:, 0], block()), (6,), "row", 1,
    ),
    "depth of one layer": (vectors, lambda: By(again, block()), (7, 5), "text", 0),
    "gates": (lambda: nn.Linear(5, D), lambda: By(gated, *(nn.Linear(D, D) for _ in range(3))), (7, 5), "text", 0),
}  # fmt: skip


@pytest.mark.parametrize("name", PLACES)
def test_the_last_places_of_the_item_are_taken_and_no_others(name: str) -> None:
    first, rest, shape, kind, before = PLACES[name]
    torch.manual_seed(0)
    encoder = Parts(first(), rest()).double().eval()
    inputs = tuple(torch.randn(2, 2, *shape, dtype=torch.float64))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = PairHiResCAM(SiameseModel(encoder, "dot")).explain(inputs, kind=kind)
    assert found.parameters["layer"][0].split(".")[0] == "first"
    hidden = [encoder.first(x).detach().requires_grad_() for x in inputs]
    score = (encoder.rest(hidden[0]) * encoder.rest(hidden[1])).sum()
    for side, slope in enumerate(torch.autograd.grad(score, hidden)):
        places = (slope * hidden[side]).detach().sum(1 if kind == "series" else 2)[:, before:]
        torch.testing.assert_close(found.maps[side][:, 0], places, rtol=1e-6, atol=1e-12)
        assert int((places != 0).sum(1).min()) > 1
        assert places.shape[1] == (shape[-1] if kind != "text" else shape[0])


class Relative(nn.Module):
    """A norm of each place, and of a table; what stands where is lost to the graph."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.norm = nn.Linear(5, D), nn.LayerNorm(D)
        self.table = nn.Parameter(torch.randn(4, D))

    def forward(self, x: Tensor) -> Tensor:
        return (self.norm(self.embed(x.flip(1).flip(1))) + self.norm(self.table).mean(0)).mean(1)  # type: ignore[no-any-return]


def test_a_norm_that_is_also_called_on_a_table_has_the_places_of_the_items() -> None:
    torch.manual_seed(0)
    encoder = Relative().double().eval()
    a, b = torch.randn(2, 2, 7, 5, dtype=torch.float64)
    found = PairHiResCAM(SiameseModel(encoder, "dot")).explain((a, b), kind="text")
    assert "as halves of the input that change tell" in found.parameters["taken"]
    assert found.parameters["layer"] == ["norm"]
    places = encoder.norm(encoder.embed(a)) * encoder(b)[:, None] / 7
    torch.testing.assert_close(found.maps[0][:, 0], places.sum(2).detach())


class Symmetric(nn.Module):
    """A token for each region of a network, of its row and of its column alike."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.Linear(40, D)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flip(1).flip(1)  # which the graph does not tell
        return self.rows(x + x.mT).tanh()  # type: ignore[no-any-return]


def test_places_that_move_with_two_dimensions_alike_are_told() -> None:
    torch.manual_seed(0)
    encoder = Parts(Symmetric(), By(lambda x, _: x.mean(1))).double().eval()
    a, b = torch.randn(2, 1, 40, 40, dtype=torch.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of dimension 1
        found = PairHiResCAM(SiameseModel(encoder, "dot")).explain((a, b))
    assert "it cannot be told whether they lie along dimension" in found.parameters["taken"]
    assert found.maps[0].shape == (1, 1, 40)


def test_items_of_another_length_have_other_places() -> None:
    """Those of the first call were read of the second: the first 7 of 11."""
    first, rest, *_ = PLACES["class token of a series"]
    model = SiameseModel(Parts(first(), rest()).double().eval(), "dot")
    short, long = (tuple(torch.randn(2, 2, n, 5, dtype=torch.float64)) for n in (7, 11))
    explainer = PairHiResCAM(model)
    explainer.attribute(short, kind="text")
    found, expected = explainer.attribute(long, kind="text"), PairHiResCAM(model).attribute(long, kind="text")
    assert found[0].shape == (2, 1, 11)
    assert all(torch.equal(x, y) for x, y in zip(found, expected, strict=True))


@pytest.mark.parametrize("first", [nn.Linear, nn.GRU])
def test_items_whose_features_come_last_are_told_from_series(first: Any) -> None:
    """A map of 40 places would be drawn over 5 times."""
    torch.manual_seed(0)
    takes = {"batch_first": True} if first is nn.GRU else {}
    encoder = Parts(first(5, D, **takes), By(lambda x, _: (x if isinstance(x, Tensor) else x[0]).mean(1)))
    a, b = torch.randn(2, 2, 40, 5)  # of few places a recurrence mixes too much to tell them
    said = r"shape \(pairs, 40, 5\), is read as a series of 5 times, and the places of layer 'first' are the 40 of dim"
    with pytest.warns(UserWarning, match=said):
        found = PairGradCAM(SiameseModel(encoder.eval(), "dot")).attribute((a, b))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expected = PairGradCAM(SiameseModel(encoder, "dot")).attribute((a, b), kind="text")
    assert expected[0].shape == (2, 1, 40)
    assert all(torch.equal(x, y) for x, y in zip(found, expected, strict=True))


def pictures(turn: Callable[[Tensor], Tensor]) -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Conv2d(3, D, 4, 4), nn.ReLU(), nn.Conv2d(D, D, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    return nn.Sequential(By(lambda x, _: turn(x)), *layers).eval()


def films() -> nn.Module:
    layers = nn.Conv3d(3, 4, 2, 2), nn.ReLU(), nn.Conv3d(4, 4, 1), nn.AdaptiveAvgPool3d(1), nn.Flatten()
    return nn.Sequential(By(lambda x, _: x.transpose(1, 2)), *layers).eval()


TURNED: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "mirrored": (lambda: pictures(lambda x: x.flip(-1)), (3, 16, 16)),
    "channels last": (lambda: pictures(lambda x: x.permute(0, 3, 1, 2)), (16, 16, 3)),
    "times before channels": (films, (4, 3, 8, 8)),
}


@pytest.mark.parametrize("name", TURNED)
def test_cells_of_an_input_that_the_model_turns_first_are_not_taken_for_its_own(name: str) -> None:
    """A map of them would be drawn over other places."""
    encoder, shape = TURNED[name]
    with pytest.raises(
        ValueError, match=r"^the places of .* do not follow those of the input .* give it as the first layer takes it"
    ):
        PairGradCAM(SiameseModel(encoder(), "dot")).attribute(tuple(torch.randn(2, 1, *shape)))


@pytest.mark.parametrize("height", [16, 32])
def test_cells_of_a_transposed_picture_are_laid_back(height: int) -> None:
    a, b = torch.randn(2, 1, 3, height, 16)
    found = PairGradCAM(SiameseModel(pictures(lambda x: x.transpose(2, 3)), "dot")).explain((a, b))
    assert "which the model turns" in found.parameters["taken"]
    expected = PairGradCAM(SiameseModel(pictures(lambda x: x), "dot")).attribute((a.mT, b.mT))
    for x, y in zip(found.maps, expected, strict=True):
        torch.testing.assert_close(x, y.mT)
        assert y.any()


def test_channels_in_another_order_turn_nothing() -> None:
    a, b = torch.randn(2, 1, 3, 16, 16)
    found = PairGradCAM(SiameseModel(pictures(lambda x: x.flip(1)), "dot")).attribute((a, b))
    expected = PairGradCAM(SiameseModel(pictures(lambda x: x), "dot")).attribute((a.flip(1), b.flip(1)))
    assert all(torch.equal(x, y) and y.any() for x, y in zip(found, expected, strict=True))


class Scales(nn.Module):
    """What a decoder reads, at two scales."""

    def __init__(self) -> None:
        super().__init__()
        self.fine, self.coarse = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 6, 3, 2, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        fine = self.fine(x)
        return fine, self.coarse(fine).relu()


def of_scales(z_a: tuple[Tensor, Tensor], z_b: tuple[Tensor, Tensor]) -> Tensor:
    return sum(((u - v).abs().mean((1, 2, 3)) for u, v in zip(z_a, z_b, strict=True)), torch.zeros(()))


def test_of_an_encoder_of_several_scales_the_place_is_taken_that_all_of_them_pass() -> None:
    torch.manual_seed(0)
    encoder = Scales().double().eval()
    inputs = tuple(torch.randn(2, 2, 3, 8, 8, dtype=torch.float64))
    found = PairHiResCAM(SiameseModel(encoder, of_scales, higher_is_closer=False)).explain(inputs)
    assert found.parameters["layer"] == ["fine"]
    fine = [encoder.fine(x).detach().requires_grad_() for x in inputs]
    score = -of_scales(*((f, encoder.coarse(f).relu()) for f in fine)).sum()
    for side, slope in enumerate(torch.autograd.grad(score, fine)):
        torch.testing.assert_close(found.maps[side], (slope * fine[side]).sum(1, keepdim=True).detach())


class Padded(nn.Module):
    """A transformer that leaves out frames of zeros, and reads its first one."""

    def __init__(self) -> None:
        super().__init__()
        self.inp, self.blocks = nn.Linear(5, D), nn.TransformerEncoder(block(), 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(self.inp(x), src_key_padding_mask=(x == 0).all(2))[:, 0]  # type: ignore[no-any-return]


@contextmanager
def slow_path() -> Iterator[None]:
    torch.backends.mha.set_fastpath_enabled(False)
    yield
    torch.backends.mha.set_fastpath_enabled(True)


@pytest.fixture
def frames() -> tuple[Padded, Tensor, Tensor]:
    torch.manual_seed(0)
    encoder = Padded().double().eval()
    a, b = torch.randn(2, 2, 7, 5, dtype=torch.float64)
    a[0, 5:], b[1, 4:] = 0, 0
    return encoder, a, b


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("cls", [PairDeepLift, PairIntegratedGradients, PairGradCAM, PairFeatureAblation])
def test_the_fast_path_of_attention_changes_no_map(cls: Any, frames: tuple[Padded, Tensor, Tensor]) -> None:
    """In it layers give nested tensors, and frames that are left out come back as zeros."""
    encoder, a, b = frames
    options = {"baselines": ((a + 1) * (a != 0), (b + 1) * (b != 0))} if cls.takes_baselines else {}
    with slow_path():
        expected = cls(SiameseModel(encoder, "dot")).explain((a, b), kind="text", **options)
    found = cls(SiameseModel(encoder, "dot")).explain((a, b), kind="text", **options)
    assert torch.backends.mha.get_fastpath_enabled()
    assert torch.equal(found.scores, expected.scores)
    assert all(torch.equal(x, y) and y.any() for x, y in zip(found.maps, expected.maps, strict=True))


def test_a_block_that_gets_a_mask_beside_is_asked_without_each_channel(frames: tuple[Padded, Tensor, Tensor]) -> None:
    encoder, a, b = frames
    pair = a[:1], b[:1]
    found = PairAblationCAM(SiameseModel(encoder, "dot")).explain(pair, kind="text")
    assert found.parameters["layer"] == ["blocks.layers.0"]
    left_out = [(x == 0).all(2) for x in pair]
    first, last = encoder.blocks.layers
    with torch.no_grad(), slow_path():
        hidden = [first(encoder.inp(x), src_key_padding_mask=out) for x, out in zip(pair, left_out, strict=True)]
        z_a, z_b = (last(h, src_key_padding_mask=out)[0, 0] for h, out in zip(hidden, left_out, strict=True))
        without = [hidden[0] * (torch.arange(D) != channel) for channel in range(D)]
        lost = [z_a @ z_b - last(h, src_key_padding_mask=left_out[0])[0, 0] @ z_b for h in without]
    torch.testing.assert_close(found.maps[0][0, 0], hidden[0][0] @ torch.stack(lost))


def test_the_fast_path_is_not_opened_for_another_thread() -> None:
    """It is one switch for the whole process; whoever goes last puts it back as it was before the first came."""
    on, modules = torch.backends.mha.get_fastpath_enabled, [nn.MultiheadAttention(4, 1)]
    inside, leave = threading.Event(), threading.Event()

    def first() -> None:
        with without_fast_path(modules):
            inside.set()
            leave.wait(30)

    thread = threading.Thread(target=first)
    thread.start()
    assert inside.wait(30)
    with without_fast_path(modules):
        with on_fast_path():
            assert not on()
        leave.set()
        thread.join()
        assert not on()
        with on_fast_path():
            assert on()
        assert not on()
    assert on()
