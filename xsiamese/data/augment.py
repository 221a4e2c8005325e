"""Augmentation of a batch of images, every image by its own draw, on its device."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Augment:
    """Random flips, rotations, shifts, scales and colours.

    torchvision's transforms draw once for a batch; these draw once for an image, and once for a pair where ``paired``.

    Attributes:
        horizontal, vertical: the probabilities of a flip.
        degrees: the largest rotation to either side.
        shift: the largest shift to either side, in parts of the width and height.
        scale: the largest change of size, in parts.
        brightness, contrast, saturation: the largest change to either side, in parts.
        fill: what comes in from outside: "zeros" (black), "border" or "reflection".
        paired: True does the same to all sides of a pair or triplet; False draws for each side on its own.
    """

    horizontal: float = 0.0
    vertical: float = 0.0
    degrees: float = 0.0
    shift: float = 0.0
    scale: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    fill: str = "zeros"
    paired: bool = False

    def __post_init__(self) -> None:
        for name in ("horizontal", "vertical"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}={getattr(self, name)}: a probability in [0, 1] is needed")
        if negative := [
            n for n in ("degrees", "shift", "scale", "brightness", "contrast", "saturation") if getattr(self, n) < 0
        ]:
            raise ValueError(f"{negative[0]}={getattr(self, negative[0])}: 0 or more is needed")

    def __bool__(self) -> bool:
        return any(
            (
                self.horizontal,
                self.vertical,
                self.degrees,
                self.shift,
                self.scale,
                self.brightness,
                self.contrast,
                self.saturation,
            )
        )

    def changed(self, **settings: Any) -> Augment:
        """This one with other settings."""
        return replace(self, **settings)

    def __call__(self, images: Tensor, sides: int = 1) -> Tensor:
        """Changes images (sides x rows, channels, height, width) with values in [0, 1]."""
        if self.degrees or self.shift or self.scale:
            images = self._moved(images, sides)  # flips included
        else:
            for chance, dim in ((self.horizontal, 3), (self.vertical, 2)):
                if chance:
                    flip = (self._uniform(images, sides) < chance)[:, None, None, None]
                    images = torch.where(flip, images.flip(dim), images)
        return self._coloured(images, sides)

    def _moved(self, images: Tensor, sides: int) -> Tensor:
        def signed(size: float) -> Tensor:
            return (2 * self._uniform(images, sides) - 1) * size

        angle, size = signed(self.degrees * torch.pi / 180), 1 + signed(self.scale)
        flip_x = torch.where(self._uniform(images, sides) < self.horizontal, -1.0, 1.0)
        flip_y = torch.where(self._uniform(images, sides) < self.vertical, -1.0, 1.0)
        ratio = images.shape[2] / images.shape[3]
        rows = (
            torch.stack([angle.cos() * flip_x, -angle.sin() * ratio * flip_y, signed(2 * self.shift)], 1),
            torch.stack([angle.sin() / ratio * flip_x, angle.cos() * flip_y, signed(2 * self.shift)], 1),
        )
        theta = torch.stack(rows, 1) / torch.stack([size, size, torch.ones_like(size)], 1)[:, None]
        grid = F.affine_grid(theta, list(images.shape), align_corners=False).to(images)
        return F.grid_sample(images, grid, padding_mode=self.fill, align_corners=False)

    def _coloured(self, images: Tensor, sides: int) -> Tensor:
        def factor(size: float) -> Tensor:
            return (1 + (2 * self._uniform(images, sides) - 1) * size)[:, None, None, None]

        if self.brightness:
            images = images * factor(self.brightness)
        if self.contrast:
            mean = images.mean((1, 2, 3), keepdim=True)
            images = mean + (images - mean) * factor(self.contrast)
        if self.saturation and images.shape[1] == 3:
            grey = images.mean(1, keepdim=True)
            images = grey + (images - grey) * factor(self.saturation)
        return images.clamp(0, 1) if self.brightness or self.contrast or self.saturation else images

    def _uniform(self, images: Tensor, sides: int) -> Tensor:
        """One draw in [0, 1) an image, or one a row of a paired batch."""
        if self.paired:
            return torch.rand(len(images) // sides, device=images.device).repeat(sides)
        return torch.rand(len(images), device=images.device)
