"""Planted images: two textures, or two digits, somewhere on a noisy ground."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor
from torch.nn import functional

from xsiamese.data.planted import Scene

SIZE = 32
FONT = (  # 3 x 5, rows of each digit from the top
    "111 101 101 101 111",
    "010 110 010 010 111",
    "111 001 111 100 111",
    "111 001 111 001 111",
    "101 101 111 001 001",
    "111 100 111 001 111",
    "111 100 111 101 111",
    "111 001 010 010 010",
    "111 101 111 101 111",
    "111 101 111 001 111",
)


class _Images(Scene):
    """Two stamps in two of four quarters of an image, each moved by up to ``room`` pixels."""

    @abstractmethod
    def stamp(self, thing: int, generator: torch.Generator) -> Tensor:
        """What a thing looks like, shape (height, width), at most 16 x 16."""

    def draw(self, chosen: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        items = len(chosen)
        images = torch.rand(items, 1, SIZE, SIZE, generator=generator) * 0.2
        owner = torch.full((items, SIZE, SIZE), -1)
        quarters = torch.rand(items, 4, generator=generator).argsort(1)
        for i, things in enumerate(chosen.tolist()):
            for k, thing in enumerate(things):
                stamp = self.stamp(thing, generator)
                height, width = stamp.shape
                row, column = divmod(int(quarters[i, k]), 2)
                down, right = (int(torch.randint(17 - n, (1,), generator=generator)) for n in (height, width))
                top, left = row * 16 + down, column * 16 + right
                area = images[i, 0, top : top + height, left : left + width]
                area.copy_(torch.maximum(area, stamp))
                owner[i, top : top + height, left : left + width] = k
        return images, owner


class Patches(_Images):
    """Two of eight textures of 8 x 8 pixels, each half black and half white."""

    name = "patches"

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(20)
        # blobs of two pixels, so that a texture survives pooling; half of the pixels are on, so that brightness says
        # nothing
        coarse = torch.rand(self.things, 16, generator=generator).argsort(1) < 8
        self.textures = functional.interpolate(coarse.float().view(-1, 1, 4, 4), (8, 8))[:, 0]

    def stamp(self, thing: int, generator: torch.Generator) -> Tensor:
        return self.textures[thing] * (0.7 + 0.3 * torch.rand(1, generator=generator))


class Digits(_Images):
    """Two of ten digits, drawn in different sizes, slants, and strengths."""

    name = "digits"
    things = 10

    def __init__(self) -> None:
        rows = [[[float(c) for c in row] for row in digit.split()] for digit in FONT]
        self.glyphs = functional.pad(torch.tensor(rows)[:, None], (1, 1, 1, 1))  # a border, so that slants stay inside

    def stamp(self, thing: int, generator: torch.Generator) -> Tensor:
        slant, wide, high, ink = (torch.rand(4, generator=generator) * 2 - 1).tolist()
        turn = torch.tensor([[[1 + 0.15 * wide, 0.25 * slant, 0.0], [0.0, 1 + 0.1 * high, 0.0]]])
        grid = functional.affine_grid(turn, [1, 1, 14, 12], align_corners=False)
        drawn = functional.grid_sample(self.glyphs[thing : thing + 1], grid, align_corners=False)
        smooth = functional.avg_pool2d(drawn, 3, 1, 1)[0, 0]
        # every digit has the same grey values, given out by how much ink is there: brightness does not say which it is
        values = (torch.linspace(2.2, -2.5, smooth.numel()).clamp(0, 1)) * (0.85 + 0.15 * ink)
        drawn_by_rank: Tensor = values[smooth.flatten().argsort(descending=True).argsort()].view(smooth.shape)
        return drawn_by_rank
