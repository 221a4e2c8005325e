"""How the output of a layer lies where its shape alone misleads: tokens behind the patches or among them, volumes with
their channels last, and cells that were cut into windows.
"""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests import problems
from xsiamese import ChannelsLast, PairAblationCAM, PairHiResCAM, PairRegionSwap, SiameseModel, Tokens
from xsiamese.branches.layout import InGrid, KnownLayout, PatchesLast
from xsiamese.branches.origin import origin_of


class Appended(nn.Module):
    """Patches of a 4 x 6 grid with some tokens before, among and behind them, and a mean over the patches."""

    def __init__(self, before: int, behind: int, among: int = 0, frozen: bool = False) -> None:
        torch.manual_seed(before + 2 * behind)
        super().__init__()
        self.patches = nn.Conv2d(1, 8, 4, 4)
        self.others = nn.ParameterList(torch.randn(1, n, 8) for n in (before, among, behind)).requires_grad_(not frozen)
        self.block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        cut, many = (12 if among else 24), before + among
        self.at = [*range(before, before + cut), *range(many + cut, many + 24)]
        self.double().eval()

    def forward(self, x: Tensor) -> Tensor:
        patches, (before, among, behind) = (
            self.patches(x).flatten(2).mT,
            (o.expand(len(x), -1, -1) for o in self.others),
        )
        halves = [patches[:, :12], among, patches[:, 12:]] if among.shape[1] else [patches]
        return self.block(torch.cat([before, *halves, behind], 1))[:, self.at].mean(1)  # type: ignore[no-any-return]


def images(seed: int = 0) -> tuple[Tensor, Tensor]:
    a, b = torch.randn(2, 2, 1, 16, 24, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return a, b


def by_hand(model: SiameseModel, layer: nn.Module, inputs: tuple[Tensor, Tensor]) -> Tensor:
    """Activation times gradient of every token of a, from a hook of one's own."""
    outputs: list[Tensor] = []
    with layer.register_forward_hook(lambda module, given, output: outputs.append(output)):
        score = model(*inputs).sum()
    return (outputs[0] * torch.autograd.grad(score, outputs[0])[0]).sum(2).detach()[: len(inputs[0])]


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize(("before", "behind"), [(0, 1), (1, 5), (0, 4), (2, 40), (3, 0)])
@pytest.mark.parametrize("layer", [None, "block"])
def test_tokens_behind_the_patches_are_no_prefix(layer: Any, before: int, behind: int, frozen: bool) -> None:
    encoder, inputs = Appended(before, behind, frozen=frozen), images()
    model = SiameseModel(encoder, "dot")
    explainer = PairHiResCAM(model, layer)
    right = by_hand(model, encoder.block, inputs)[:, encoder.at].view(2, 1, 4, 6)
    torch.testing.assert_close(explainer.attribute(inputs)[0], right)
    given = PairHiResCAM(model, "block", layout=Tokens((4, 6), before, behind)).attribute(inputs)[0]
    torch.testing.assert_close(given, right)
    if layer is None:
        told = explainer.explain(inputs).parameters["taken"]
        assert (f" before {behind} that {'is' if behind == 1 else 'are'} no patch" in told) == bool(behind)
        assert (f" after {before} that" in told) == bool(before)


def test_tokens_among_the_patches_are_told_and_passed_by() -> None:
    encoder, inputs = Appended(1, 0, among=2), images()
    model = SiameseModel(encoder, "dot")
    with pytest.warns(UserWarning, match=r"the 27 tokens of layer 'block' are no 4 x 6 grid of patches one after"):
        maps = PairHiResCAM(model, "block").attribute(inputs)
    torch.testing.assert_close(maps[0], by_hand(model, encoder.block, inputs)[:, None])  # of all tokens, in order
    explainer = PairHiResCAM(model)
    found = explainer.attribute(inputs)[0]
    assert explainer.layer_names_ == ["patches"]
    outputs: list[Tensor] = []
    with encoder.patches.register_forward_hook(lambda module, given, output: outputs.append(output)):
        score = model(*inputs).sum()
    slope = torch.autograd.grad(score, outputs[0])[0]
    torch.testing.assert_close(found, (outputs[0] * slope).sum(1, keepdim=True).detach())


def test_what_is_put_behind_each_other_again_is_one_grid() -> None:
    x, conv = torch.randn(2, 1, 16, 24, requires_grad=True), nn.Conv2d(1, 8, 4, 4)
    tokens, others = conv(x).flatten(2).mT, torch.zeros(2, 3, 8)
    for parts, first, parted in (
        ([others, tokens[:, :7], tokens[:, 7:], others], 3, False),
        ([tokens[:, :7], others, tokens[:, 7:]], None, True),
        ([tokens[:, 7:], tokens[:, :7]], None, True), ([others, others[:, :1], tokens, others], 4, False),
    ):  # fmt: skip
        found = origin_of(torch.cat(parts, 1), [1], [x])
        assert found is not None
        assert (found.dims, found.grid, found.parted) == ((2, 3), (4, 6), parted)
        assert first is None or found.first == first


@pytest.mark.parametrize("layout", [Tokens((2, 3), 1, 2), PatchesLast((3, 2)), InGrid(2, (2, 3)), ChannelsLast()])
def test_cells_that_are_swapped_lie_where_the_layout_says(layout: KnownLayout) -> None:
    from xsiamese_counterfactual.cells import LayerPlace

    shape = {PatchesLast: (1, 4, 6), ChannelsLast: (1, 2, 3, 4)}.get(type(layout), (1, 9, 4))
    raw = 1 + torch.arange(torch.Size(shape).numel()).view(shape)
    place: Any = LayerPlace(None, 0, None, raw=raw, layout=layout)  # type: ignore[arg-type]
    cells = place.cells(raw)
    torch.testing.assert_close(cells, layout(raw).flatten(2).mT)
    torch.testing.assert_close(place.made_of(cells), raw)
    other = place.made_of(-cells.flip(1))
    torch.testing.assert_close(layout(other).flatten(2), -layout(raw).flatten(2).flip(2))
    assert int((other != raw).sum()) == cells.numel()  # what is no cell stays


def test_swapped_regions_leave_tokens_behind_the_patches_alone() -> None:
    encoder, inputs = Appended(0, 4), images(1)
    found: Any = PairRegionSwap(SiameseModel(encoder, "dot"), threshold=1e6).explain((inputs[0][:1], inputs[1][:1]))
    assert found.counterfactuals[0].grid == (4, 6)


class Film(nn.Module):
    """A film as a volume with its channels last, or permuted first."""

    def __init__(self, last: bool) -> None:
        torch.manual_seed(0)
        super().__init__()
        self.stem, self.mix, self.act, self.last = nn.Conv3d(1, 5, 4, 4), nn.Linear(5, 5), nn.Tanh(), last
        self.block = nn.Identity()
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        cells = self.act(self.mix(self.stem(x).movedim(1, -1)))
        return self.block(cells if self.last else cells.movedim(-1, 1)).square().flatten(1)  # type: ignore[no-any-return]


@pytest.mark.parametrize("layer", [None, "mix", "act", "block"])
@pytest.mark.parametrize("cls", [PairHiResCAM, PairAblationCAM])
def test_volumes_with_their_channels_last_have_the_map_of_a_twin_that_permutes(cls: Any, layer: str | None) -> None:
    """The twin scores by the same numbers in another order, which an inner product does not see."""
    a, b = torch.randn(2, 2, 1, 8, 12, 16, dtype=torch.float64)
    right = cls(SiameseModel(Film(last=False), "dot"), "block").attribute((a, b))[0]
    model = SiameseModel(Film(last=True), "dot")
    found = cls(model, layer).attribute((a, b))[0]
    given = cls(model, "mix" if layer == "mix" else "block", layout=ChannelsLast()).attribute((a, b))[0]
    assert found.shape == right.shape == (2, 1, 2, 3, 4)
    torch.testing.assert_close(found, given)
    if layer != "mix":
        torch.testing.assert_close(found, right)


class Attention(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.softmax(x @ x.mT, -1) @ x


class Windows(nn.Module):
    """Cells (N, C, 8, 8) as windows (N, 4, 16, C), as of NesT, or (N, C, place, window), as of MobileViT."""

    def __init__(self, first: bool, size: int) -> None:
        torch.manual_seed(1)
        super().__init__()
        self.stem, self.inner, self.attend = nn.Conv2d(1, 6, 4, 4), nn.Identity(), Attention()
        self.around, self.first, self.side = nn.Conv2d(6, 5, 1), first, size // 8
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        cells = self.stem(x)
        parts = cells.unflatten(3, (-1, self.side)).unflatten(2, (-1, self.side))  # (N, C, H, h, W, w)
        windows = parts.permute(0, 2, 4, 3, 5, 1).flatten(3, 4).flatten(1, 2)  # (N, windows, places, C)
        if self.first:
            windows = self.inner(windows.permute(0, 3, 2, 1).contiguous()).permute(0, 3, 2, 1)
        else:
            windows = self.inner(windows)
        back = self.attend(windows).unflatten(2, (self.side, self.side)).unflatten(1, (2, 2))
        return self.around(back.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)).square().flatten(1)  # type: ignore[no-any-return]


@pytest.mark.parametrize(("first", "size"), [(False, 32), (True, 32), (True, 16)])
def test_windows_that_are_named_are_told_and_what_lies_around_them_is_not(first: bool, size: int) -> None:
    """Of an image of 16 pixels the places of a window are as many as the windows: their shape tells nothing."""
    model, inputs = SiameseModel(Windows(first, size), "dot"), problems.images(2, size=size)
    with pytest.warns(UserWarning, match=r"layer 'inner' gives .* no two of its dimensions are found to lie over the"):
        PairHiResCAM(model, "inner").attribute(inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for layer in ("around", "stem"):
            assert PairHiResCAM(model, layer).attribute(inputs)[0].shape == (2, 1, size // 4, size // 4)


def test_a_plain_network_is_not_watched_for_a_layer_that_its_shape_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xsiamese.pairs.named.survey", lambda *args: pytest.fail("one pass more"))
    assert PairHiResCAM(SiameseModel(problems.conv_encoder()), "0").attribute(problems.images(1))[0].dim() == 4


class FramesLast(nn.Module):
    """A film's cells as tokens of which the frames run fastest, as TimeSformer has them, behind a class token."""

    def __init__(self) -> None:
        torch.manual_seed(2)
        super().__init__()
        self.stem, self.mix, self.cls = nn.Conv3d(1, 5, 4, 4), nn.Linear(5, 5), nn.Parameter(torch.randn(1, 1, 5))
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.stem(x).permute(0, 3, 4, 2, 1).flatten(1, 3)
        return self.mix(torch.cat([self.cls.expand(len(x), -1, -1), tokens], 1)).tanh().flatten(1)  # type: ignore[no-any-return]


def test_tokens_of_a_film_in_another_order_are_laid_as_the_film_is() -> None:
    a, b = torch.randn(2, 2, 1, 8, 12, 16, dtype=torch.float64)
    encoder = FramesLast()
    model = SiameseModel(encoder, "dot")
    explainer = PairHiResCAM(model)
    found = explainer.explain((a, b))
    of_tokens = by_hand(model, encoder.mix, (a, b))
    assert explainer.layer_names_ == ["mix"]
    assert "which it has in another order beside 1 that is none" in found.parameters["taken"]
    for t, h, w in ((0, 0, 1), (1, 2, 3), (0, 2, 0), (1, 0, 0)):
        torch.testing.assert_close(found.maps[0][:, 0, t, h, w], of_tokens[:, 1 + (h * 4 + w) * 2 + t])


class Transposed(nn.Module):
    """Tokens of a spectrogram (N, 1, times, bands) that is transposed first, as AST has them."""

    def __init__(self) -> None:
        torch.manual_seed(3)
        super().__init__()
        self.patches, self.mix = nn.Conv2d(1, 5, 4, 4), nn.Linear(5, 5)
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        return self.mix(self.patches(x.mT).flatten(2).mT).tanh().flatten(1)  # type: ignore[no-any-return]


@pytest.mark.parametrize("layer", [None, "mix"])
@pytest.mark.parametrize("size", [(24, 16), (16, 16)])
def test_a_named_layer_of_turned_tokens_lies_as_the_one_that_is_taken(layer: Any, size: tuple[int, int]) -> None:
    a, b = torch.randn(2, 2, 1, *size, dtype=torch.float64)
    encoder = Transposed()
    model = SiameseModel(encoder, "dot")
    right = by_hand(model, encoder.mix, (a, b)).view(2, 1, size[1] // 4, size[0] // 4).mT
    torch.testing.assert_close(PairHiResCAM(model, layer).attribute((a, b))[0], right)
