"""Sizes that fit two dimensions at once: as many bands as frames, tokens as bands, channels as rows, hidden as tokens.

Where the layer taken by itself has its places is not told by their number: a part of the input that changes moves the
place where it lies.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from itertools import product
from math import prod
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from xsiamese import PairHiResCAM, SiameseModel
from xsiamese.branches.outputs import first_tensor
from xsiamese.kinds.catalogue import kind as kind_of
from xsiamese.kinds.places import of_tensor

transformers = pytest.importorskip("transformers")

Shape = tuple[int, ...]
Cut = Callable[[Tensor], Tensor]


class Does(nn.Module):
    """A function as a layer."""

    def __init__(self, function: Cut) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Bare(nn.Module):
    """Attention by which each token looks most at itself, and nothing goes around it."""

    def __init__(self, wide: int) -> None:
        super().__init__()
        self.value = nn.Linear(wide, wide)

    def forward(self, x: Tensor) -> Tensor:
        far = (x[:, :, None] - x[:, None]).square().sum(3)
        return torch.softmax(-far / 4, 2) @ self.value(x)  # type: ignore[no-any-return]


class Tokens(nn.Module):
    """Tokens (N, tokens, width) that ``cut`` makes of an item, after learned ones, through blocks."""

    def __init__(self, cut: Cut, width: int, wide: int, many: int, learned: int = 0, bare: bool = False) -> None:
        super().__init__()
        self.cut, self.embed = cut, nn.Linear(width, wide)
        self.learned = nn.Parameter(torch.randn(1, learned, wide)) if learned else None
        self.pos = nn.Parameter(torch.randn(1, many + learned, wide) * (3 if bare else 0.1))
        layer = partial(nn.TransformerEncoderLayer, wide, 1, 2 * wide, dropout=0, batch_first=True, norm_first=True)
        self.blocks = nn.Sequential(*(Bare(wide) if bare else layer() for _ in range(2)))

    def forward(self, x: Tensor) -> Tensor:
        z = self.embed(self.cut(x))
        z = z if self.learned is None else torch.cat([self.learned.expand(len(z), -1, -1), z], 1)
        z = self.blocks(z + self.pos)
        return z.mean(1) if self.learned is None or self.learned.shape[1] > 1 else z[:, 0]  # type: ignore[no-any-return]


class Last(nn.Module):
    """Cells of images or volumes with channels last, as ConvNeXt and Swin have them."""

    def __init__(self, conv: Any, channels: int, wide: int, step: int) -> None:
        super().__init__()
        self.stem = conv(channels, wide, step, step)
        self.rest = nn.Sequential(nn.LayerNorm(wide), nn.Linear(wide, wide), nn.GELU(), nn.Linear(wide, wide))

    def forward(self, x: Tensor) -> Tensor:
        z = self.stem(x).movedim(1, -1)
        return (z + self.rest(z)).flatten(1, -2).mean(1)  # type: ignore[no-any-return]


class Mixer(nn.Module):
    """Tokens (N, wide, tokens) that are weighed along themselves."""

    def __init__(self, many: int, wide: int) -> None:
        super().__init__()
        self.stem, self.across = nn.Conv2d(3, wide, 4, 4), nn.Linear(many, many)
        self.last = nn.Conv1d(wide, wide, 1)

    def forward(self, x: Tensor) -> Tensor:
        z = self.stem(x).flatten(2)
        return self.last(z + 0.1 * self.across(z)).mean(2)  # type: ignore[no-any-return]


def ast(bands: int, frames: int, size: int, steps: Shape, wide: int) -> nn.Module:
    sizes = {"hidden_size": wide, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    lie = {"patch_size": size, "frequency_stride": steps[0], "time_stride": steps[1]}
    config = transformers.ASTConfig(**sizes, **lie, num_mel_bins=bands, max_length=frames, attn_implementation="eager")
    return transformers.ASTModel(config)  # type: ignore[no-any-return]


def patches(conv: Any, before: Cut, size: Shape, step: Shape, channels: int, wide: int, **more: Any) -> nn.Module:
    """Tokens of a convolution over what ``before`` makes of the item."""
    cut = nn.Sequential(Does(before), conv(channels, wide, size, step), Does(lambda x: x.flatten(2).mT))
    return Tokens(cut, wide, wide, **more)


def stack(before: Cut, conv: Any, pool: Any, channels: int, wide: int, size: int, step: int) -> nn.Module:
    first = conv(channels, wide, size, step, padding=(size - 1) // 2)
    return nn.Sequential(
        Does(before), first, nn.LeakyReLU(0.5), conv(wide, wide, 1), nn.LeakyReLU(0.5), pool(1), nn.Flatten()
    )


def strips(size: tuple[int, int]) -> nn.Module:
    narrow = nn.Conv2d(1, 8, size, size)
    return nn.Sequential(Does(same), narrow, nn.LeakyReLU(0.5), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def same(x: Tensor) -> Tensor:
    return x


def lifted(x: Tensor) -> Tensor:
    return x[:, None]


def turned(x: Tensor) -> Tensor:
    return x.mT


def turned_and_lifted(x: Tensor) -> Tensor:
    return x.mT[:, None]


def by_hand(x: Tensor) -> Tensor:
    """Patches of 4 x 4 of planes, cut without a convolution."""
    return x.reshape(len(x), x.shape[1] // 4, 4, -1, 4).transpose(2, 3).flatten(3).flatten(1, 2)


def by_index(x: Tensor) -> Tensor:
    """The same patches, gathered in a way that no graph tells."""
    places = torch.arange(x[0].numel()).reshape(1, *x.shape[1:])
    return x.flatten(1)[:, by_hand(places)[0]]


def by_window(x: Tensor) -> Tensor:
    return nn.functional.unfold(x[:, None], 4, stride=4).mT


def pieces(x: Tensor, size: int) -> Tensor:
    return x.unfold(2, size, size).transpose(1, 2).flatten(2)


# encoder, item, kind, along which dimensions, how many, and what each sees, (size, step) along each; None for parts of
# one size that do not overlap
Trial = tuple[Callable[[], nn.Module], Shape, str, Shape, Shape, tuple[Shape, Shape] | None]
TRIALS: dict[str, Trial] = {}

for bands, frames, size, steps, wide in [
    (16, 16, 4, (4, 4), 16), (16, 16, 4, (4, 4), 18), (32, 16, 4, (4, 4), 16), (16, 32, 4, (4, 4), 32),
    (16, 8, 4, (4, 4), 8), (18, 16, 4, (4, 4), 16), (12, 20, 4, (2, 4), 16), (40, 24, 8, (4, 8), 24),
    (10, 12, 4, (2, 2), 20), (24, 24, 8, (4, 4), 26), (16, 34, 4, (4, 4), 34), (20, 20, 4, (4, 4), 20),
]:  # fmt: skip
    many = ((frames - size) // steps[1] + 1, (bands - size) // steps[0] + 1)
    TRIALS[f"AST: {bands} bands, {frames} frames, {prod(many)} patches, {wide} wide"] = (
        partial(ast, bands, frames, size, steps, wide), (frames, bands), "series", (1, 2), many,
        ((size, size), steps[::-1]),
    )  # fmt: skip

for shape, sizes, steps, wide, learned in [
    ((16, 16), (4, 4), (4, 4), 16, 0), ((16, 16), (4, 4), (4, 4), 16, 1), ((16, 32), (4, 4), (4, 4), 32, 2),
    ((16, 16), (6, 6), (2, 5), 18, 1), ((32, 16), (8, 4), (4, 2), 49, 0), ((12, 24), (4, 8), (2, 8), 15, 2),
    ((24, 8), (4, 4), (4, 4), 12, 0),
]:  # fmt: skip
    many = ((shape[0] - sizes[0]) // steps[0] + 1, (shape[1] - sizes[1]) // steps[1] + 1)
    for before, said in ((same, "image"), (turned, "image"), (lifted, "series"), (turned_and_lifted, "text")):
        laid = (sizes[::-1], steps[::-1]) if before in (turned, turned_and_lifted) else (sizes, steps)
        TRIALS[
            f"patches of {said}: {before.__name__.replace('_', ' ')}, {shape[0]} x {shape[1]}, {prod(many)} of "
            f"{sizes[0]} x {sizes[1]}, {learned} beside, {wide} wide"
        ] = (
            partial(patches, nn.Conv2d, before, *laid, 1, wide, many=prod(many), learned=learned),
            (1, *shape) if said == "image" else shape, said, (2, 3) if said == "image" else (1, 2), many,
            (sizes, steps),
        )  # fmt: skip

for side, cut, bare in product((16, 12), (by_hand, by_index, by_window), (False, True)):
    TRIALS[f"plane cut {cut.__name__.replace('_', ' ')}: {side} x {side}{', bare' * bare}"] = (
        partial(Tokens, cut, 16, 16, side * side // 16, bare=bare), (side, side), "series", (1, 2), (side // 4,) * 2,
        None,
    )  # fmt: skip

for times, features, wide, learned, bare in [
    (12, 12, 12, 0, False), (12, 12, 13, 1, False), (16, 8, 16, 0, False), (12, 12, 12, 0, True),
    (12, 12, 13, 2, True), (10, 12, 12, 2, False),
]:  # fmt: skip
    about = f"{times} places of {features}, {learned} beside, {wide} wide{', bare' * bare}"
    for name, cut, shape, said, along in (
        ("text", same, (times, features), "text", (1,)), ("series", turned, (features, times), "series", (2,)),
        ("variates", same, (times, features), "series", (1,)),  # a token is a whole channel
    ):  # fmt: skip
        made = partial(Tokens, cut, features, wide, times, learned, bare)
        TRIALS[f"{name}: {about}"] = made, shape, said, along, (times,), None

for channels, times, size, wide, learned in [(6, 24, 4, 6, 0), (7, 24, 4, 12, 1), (8, 32, 4, 8, 0), (12, 12, 2, 6, 1)]:
    made = partial(Tokens, partial(pieces, size=size), channels * size, wide, times // size, learned)
    TRIALS[f"pieces of series: {size} of {channels} x {times}, {learned} beside, {wide} wide"] = (
        made, (channels, times), "series", (2,), (times // size,), None,
    )  # fmt: skip

for channels, times, wide, size, step in [(16, 16, 16, 3, 1), (8, 16, 8, 3, 2), (12, 12, 6, 3, 2), (5, 10, 10, 1, 1)]:
    for before, shape, said, along in (
        (same, (channels, times), "series", (2,)), (turned, (times, channels), "text", (1,)),
    ):  # fmt: skip
        TRIALS[f"convolutions of {said}: {channels} of {times}, {wide} wide, every {step}"] = (
            partial(stack, before, nn.Conv1d, nn.AdaptiveAvgPool1d, channels, wide, size, step), shape, said, along,
            (times // step,), None,
        )  # fmt: skip

for channels, side, wide, step in [(16, 16, 16, 1), (8, 16, 8, 2), (4, 8, 8, 1)]:
    many, many_3 = (side // step,) * 2, (side // step,) * 3
    TRIALS[f"convolutions of image: {channels} x {side} x {side}, {wide} wide"] = (
        partial(stack, same, nn.Conv2d, nn.AdaptiveAvgPool2d, channels, wide, 3, step), (channels, side, side), "image",
        (2, 3), many, None,
    )  # fmt: skip
    TRIALS[f"convolutions of volume: {channels} x {side} x {side} x {side}, {wide} wide"] = (
        partial(stack, same, nn.Conv3d, nn.AdaptiveAvgPool3d, channels, wide, 3, step), (channels, *(side,) * 3),
        "volume", (2, 3, 4), many_3, None,
    )  # fmt: skip

for strip in (
    (4, 1),
    (1, 8),
    (16, 1),
):  # a grid of other proportions than the image's, after a layer of the image's own
    TRIALS[f"convolutions of image: every {strip[0]} x {strip[1]} of 16 x 32"] = (
        partial(strips, strip), (1, 16, 32), "image", (2, 3), (16 // strip[0], 32 // strip[1]), None,
    )  # fmt: skip

for wide in (16, 4, 8):
    TRIALS[f"image with channels last: 16 x 16, {wide} wide"] = (
        partial(Last, nn.Conv2d, 3, wide, 4), (3, 16, 16), "image", (2, 3), (4, 4), None,
    )  # fmt: skip
    TRIALS[f"volume with channels last: 8 x 8 x 8, {wide} wide"] = (
        partial(Last, nn.Conv3d, 4, wide, 2), (4, 8, 8, 8), "volume", (2, 3, 4), (4, 4, 4), None,
    )  # fmt: skip
    TRIALS[f"mixed tokens: 16 x 16, {wide} wide"] = (
        partial(Mixer, 16, wide),
        (3, 16, 16),
        "image",
        (2, 3),
        (4, 4),
        None,
    )
    TRIALS[f"patches of volume: 8 x 8 x 4, {wide * 2} wide"] = (
        partial(patches, nn.Conv3d, same, (2, 2, 2), (2, 2, 2), 4, 2 * wide, many=32, learned=1), (4, 8, 8, 4),
        "volume", (2, 3, 4), (4, 4, 2), None,
    )  # fmt: skip

for columns, wide in [(8, 8), (8, 9), (7, 8)]:
    made = partial(Tokens, Does(lambda x: x[..., None]), 1, wide, columns, 1)
    TRIALS[f"columns of a row: {columns}, {wide} wide"] = made, (columns,), "row", (1,), (columns,), None


def test_there_are_trials_enough() -> None:
    assert len(TRIALS) >= 60


@pytest.mark.parametrize("name", TRIALS)
def test_what_changes_moves_the_place_where_it_lies(name: str) -> None:
    make, shape, kind, along, many, sees = TRIALS[name]
    torch.manual_seed(0)
    encoder = make().double().eval()
    for conv in (m for m in encoder.modules() if isinstance(m, nn.Conv1d | nn.Conv2d | nn.Conv3d)):
        if conv.kernel_size > conv.stride:  # what two places see is of the nearer one
            middle: Any = (..., *(size // 2 for size in conv.kernel_size))
            conv.weight.data[middle] *= 20
    a, b = torch.randn(2, 1, *shape, dtype=torch.float64)
    explainer = PairHiResCAM(SiameseModel(encoder, "dot"))
    with warnings.catch_warnings():
        if along != (1,) or kind != "series":  # which is told
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", "gradient times activation cancels")  # whose places are right
        explained = explainer.explain((a, b), kind=kind)
    assert tuple(explained.maps[0].shape[2:]) == many, explained.parameters["taken"]
    plan: Any = next(plan for plan in explainer._plans.values() if hasattr(plan, "taken"))
    layer, layout = plan.layers[0][0], plan.taken[0].layout
    outputs: list[Any] = []
    handle = layer.register_forward_hook(lambda module, args, output: outputs.append(first_tensor(output)))
    sizes, steps = sees or (tuple(shape[dim - 1] // n for dim, n in zip(along, many, strict=True)),) * 2
    marks = list(product(*(sorted({0, (n - 1) // 2, n - 1}) for n in many)))
    with torch.no_grad():
        encoder(a)
        for mark in marks:
            changed = a.repeat(16, *[1] * len(shape))
            part = changed
            for dim, place, size, step in zip(along, mark, sizes, steps, strict=True):
                part = part.narrow(dim, place * step + (size - step) // 2, step)
            part.add_(0.01 * torch.randn_like(part))
            encoder(changed)
    handle.remove()
    read = layout or of_tensor(outputs[0], layer, kind_of(kind).three).first
    for mark, output in zip(marks, outputs[1:], strict=True):
        moved = (read(output) - read(outputs[0])).square().sum((0, 1))
        peak = tuple(int(i) for i in torch.unravel_index(moved.argmax(), moved.shape))
        assert peak == mark, (peak, mark, explained.parameters["taken"])
