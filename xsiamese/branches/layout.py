"""Where the cells of an image lie in a layer's output: (N, C, h, w), (N, h, w, C), or tokens after some prefix."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import isqrt, prod
from numbers import Integral

import torch
from torch import Tensor, nn

from xsiamese.kinds.places import Places

MOST_PREFIX = 17  # a class token and sixteen registers

Grid = tuple[int, int]


def _whole(number: object, least: int) -> bool:
    """Whether something is a whole number from ``least`` on."""
    return isinstance(number, Integral) and not isinstance(number, bool) and int(number) >= least


@dataclass(frozen=True)
class Tokens:
    """A transformer's output (N, tokens, C) as a grid.

    Args:
        grid: rows and columns of the patches; None takes the square that fits.
        prefix: how many tokens (class, registers) come before the patches.
        suffix: how many come after them, as those of detections or registers that are appended.
    """

    grid: Grid | None = None
    prefix: int = 1
    suffix: int = 0

    def __post_init__(self) -> None:
        counts = (1, 1) if self.grid is None else self.grid
        if not isinstance(counts, (tuple, list)) or len(counts) != 2 or not all(_whole(n, 1) for n in counts):
            raise ValueError(f"Tokens(grid={self.grid!r}): (rows, columns), two whole numbers from 1 on, are needed")
        for name, number in (("prefix", self.prefix), ("suffix", self.suffix)):
            if not _whole(number, 0):
                raise ValueError(f"Tokens({name}={number!r}): a whole number from 0 on is needed")

    def __call__(self, activation: Tensor) -> Tensor:
        if activation.dim() != 3:
            raise ValueError(f"layout Tokens needs (N, tokens, C), the layer's output is {tuple(activation.shape)}")
        patches = activation.shape[1] - self.prefix - self.suffix
        rows, columns = self.grid or (isqrt(max(patches, 1)), isqrt(max(patches, 1)))
        if rows * columns != patches:
            raise ValueError(
                f"{activation.shape[1]} tokens less {self.prefix + self.suffix} are not a {rows} x {columns} grid: "
                "give Tokens(grid=..., prefix=..., suffix=...)"
            )
        found = activation[:, self.prefix : self.prefix + patches]
        return found.transpose(1, 2).reshape(len(activation), -1, rows, columns)


@dataclass(frozen=True)
class ChannelsLast:
    """An output (N, H, W, C), as of Swin, or (N, D, H, W, C), of volumes, as a grid."""

    def __call__(self, activation: Tensor) -> Tensor:
        if activation.dim() not in (4, 5):
            raise ValueError(
                "layout ChannelsLast needs (N, H, W, C) or, of volumes, (N, D, H, W, C), the layer's output is "
                f"{tuple(activation.shape)}"
            )
        return activation.movedim(-1, 1)


@dataclass(frozen=True)
class ChannelsFirst:
    """An output (N, C, ...) as it is: of convolutions over images, series and volumes."""

    def __call__(self, activation: Tensor) -> Tensor:
        if activation.dim() < 3:
            raise ValueError(f"layout ChannelsFirst needs (N, C, ...), the layer's output is {tuple(activation.shape)}")
        return activation


@dataclass(frozen=True)
class PatchesLast:
    """An output (N, C, tokens), with its channels first, as a grid.

    Args:
        grid: rows and columns of the patches.
    """

    grid: Grid

    def __call__(self, activation: Tensor) -> Tensor:
        if activation.dim() != 3 or activation.shape[2] != self.grid[0] * self.grid[1]:
            raise ValueError(f"layout {self} does not fit the layer's output, {tuple(activation.shape)}")
        return activation.reshape(*activation.shape[:2], *self.grid)


@dataclass(frozen=True)
class InOrder:
    """An output (N, tokens, C) of which some tokens are the places of a text, a series or a row, in their order.

    Args:
        first: how many tokens come before these.
        count: how many they are.
    """

    first: int
    count: int

    def __call__(self, activation: Tensor) -> Tensor:
        if activation.dim() != 3 or activation.shape[1] < self.first + self.count:
            raise ValueError(f"layout {self} does not fit the layer's output, {tuple(activation.shape)}")
        return activation[:, self.first : self.first + self.count].transpose(1, 2)


@dataclass(frozen=True)
class InGrid:
    """An output (N, tokens, C) of which some tokens are a grid over the item, the last dimension of which runs fastest.

    Args:
        first: how many tokens come before these.
        grid: how many lie along each dimension.
    """

    first: int
    grid: tuple[int, ...]

    def __call__(self, activation: Tensor) -> Tensor:
        found = InOrder(self.first, prod(self.grid))(activation)
        return found.reshape(*found.shape[:2], *self.grid)


@dataclass(frozen=True)
class Turned:
    """A grid whose rows lie along the columns of the item, as that of a model that transposes its input; or one of a
    film with its frames last.

    Args:
        layout: the grid as the model has it.
        order: for each dimension of the item that of the grid which lies along it.
    """

    layout: ChannelsFirst | ChannelsLast | InGrid
    order: tuple[int, ...] = (1, 0)

    def __call__(self, activation: Tensor) -> Tensor:
        return self.layout(activation).permute(0, 1, *(2 + i for i in self.order))


KnownLayout = Tokens | ChannelsLast | ChannelsFirst | PatchesLast | InOrder | InGrid | Turned
Layout = KnownLayout | None
SideLayout = Layout | tuple[Layout, Layout]


class Cells(Places):
    """The cells of an image, wherever they lie in a layer's output.

    Args:
        layout: how they lie.
        dims: how many dimensions the output has.
    """

    def __init__(self, layout: KnownLayout, dims: int) -> None:
        super().__init__("cells", channel_of(layout, dims))
        object.__setattr__(self, "layout", layout)

    layout: KnownLayout

    def first(self, activation: Tensor) -> Tensor:
        return self.layout(activation)


def layouts(shape: Sequence[int], image: Grid, grids: Collection[Grid] = ()) -> list[KnownLayout]:
    """Every layout in which an output of this shape is a grid over an image, the likelier first.

    A grid has more than one cell, no more cells than the image has pixels, and the image's proportions.

    Args:
        shape: of the output, (N, ...).
        image: height and width of the input.
        grids: grids that other layers of the model have, which settle how many tokens are no patches.

    Example:
        >>> layouts((2, 197, 768), (224, 224))
        [Tokens(grid=(14, 14), prefix=1, suffix=0)]
        >>> layouts((2, 7, 7, 768), (224, 224))
        [ChannelsLast()]
    """
    found: list[KnownLayout] = []
    if len(shape) == 4:
        if lies_over((shape[2], shape[3]), image):
            found.append(ChannelsFirst())
        if lies_over((shape[1], shape[2]), image):
            found.append(ChannelsLast())
    if len(shape) == 3:
        if (cut := _patches(shape[1], image, grids)) is not None:
            found.append(Tokens(*cut))
        last = _patches(shape[2], image, grids, most=0)
        if last is not None and shape[1] > 1 and last[0][0] * 4 <= image[0]:  # as many channels as that are none
            found.append(PatchesLast(last[0]))
    return found


def by_width(module: nn.Module, shape: Sequence[int], options: Sequence[KnownLayout]) -> list[KnownLayout]:
    """The layouts whose channels are as many as the last parameters of the module, or all where these do not tell."""
    widths = [p.shape[0] for p in module.parameters() if p.dim() >= 1][-2:]
    fit = [one for one in options if shape[channel_of(one, len(shape))] in widths]
    return fit if fit else list(options)


def check_layout(layout: object) -> None:
    """Refuses what is no layout, before it is taken for one.

    Raises:
        TypeError: with what is needed.
    """
    both = layout if isinstance(layout, tuple) and len(layout) == 2 else (layout,)
    if all(one is None or isinstance(one, KnownLayout) for one in both):
        return
    said = layout.__name__ if isinstance(layout, type) else repr(layout)
    raise TypeError(
        f"layout={said}: Tokens(grid=(rows, columns), prefix=1, suffix=0), ChannelsLast(), ChannelsFirst(), a pair of "
        "them (of a, of b), or None, which recognises it, is needed"
    )


def for_side(layout: SideLayout, side: int) -> Layout:
    """The layout of one side, where one is given for each."""
    return layout[side] if isinstance(layout, tuple) else layout


def channel_of(layout: Layout, dims: int) -> int:
    """The dimension of a layer's output of some dimensions that holds the channels."""
    if isinstance(layout, Turned):
        return channel_of(layout.layout, dims)
    if isinstance(layout, ChannelsLast):
        return dims - 1
    return 2 if isinstance(layout, Tokens | InOrder | InGrid) else 1


def described(layout: KnownLayout, shape: Sequence[int]) -> str:
    """A layout in words, with the size of its grid."""
    rows, columns = layout(torch.empty(tuple(shape), device="meta")).shape[2:]
    if isinstance(layout, Tokens):
        sides = (("after", layout.prefix), ("before", layout.suffix))
        beside = [f" {word} {many} that {'is' if many == 1 else 'are'} no patch" for word, many in sides if many]
        return f"tokens of a {rows} x {columns} grid{' and'.join(beside)}"
    kind = {ChannelsLast: "(N, h, w, C)", ChannelsFirst: "(N, C, h, w)", PatchesLast: "(N, C, tokens)"}[type(layout)]
    return f"{kind}, a {rows} x {columns} grid"


def lies_over(grid: Grid, image: Grid) -> bool:
    """Whether a grid may lie over an image: of its proportions, up to a cell."""
    h, w = grid
    height, width = image
    return h * w > 1 and h <= height and w <= width and abs(h * width - w * height) <= max(image)


def _patches(tokens: int, image: Grid, grids: Collection[Grid], most: int = MOST_PREFIX) -> tuple[Grid, int] | None:
    """The grid of the patches among some tokens, and how many come before them."""
    cuts = []
    for prefix in range(min(most, tokens - 2) + 1):
        count = tokens - prefix
        # r * c = count and r / c = height / width: r is the root of count times that ratio
        rows = round((count * image[0] / image[1]) ** 0.5)
        near = [r for r in (rows - 1, rows, rows + 1) if r > 0 and count % r == 0 and lies_over((r, count // r), image)]
        cuts += [((r, count // r), prefix) for r in near]
    # many tokens that are no patches are believed only beside a grid that other layers have, or patches that tile
    ranks = {cut: (cut[0] not in grids, not _tiles(cut[0], image), cut[1]) for cut in cuts}
    sure = [cut for cut, (new, ragged, prefix) in ranks.items() if not (new and ragged and prefix > 2)]
    return min(sure, key=ranks.__getitem__, default=None)


def _tiles(grid: Grid, image: Grid) -> bool:
    """Whether cells of one size in whole pixels cover the image."""
    return image[0] % grid[0] == 0 and image[1] % grid[1] == 0


def lies_as(layout: Layout, output: Tensor) -> list[int] | str | None:
    """How an output lies as JSON can hold it: the first token and the grid of those from it on, "channels last", or
    None where it lies in another way, or already as its item.

    Example:
        >>> lies_as(Tokens((2, 3)), torch.zeros(1, 7, 5))
        [1, 2, 3]
    """
    if isinstance(layout, ChannelsLast):
        return "channels last" if output.dim() > 3 else None
    if layout is None or output.dim() != 3:
        return None
    number = layout(torch.arange(output.shape[1]).reshape(1, -1, 1))[0, 0]
    first = int(number.flatten()[0])
    in_order = torch.equal(number.flatten(), torch.arange(first, first + number.numel()))
    return [first, *number.shape] if in_order else None
