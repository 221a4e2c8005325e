"""From items as they are stored to the model's input, on the device where they are."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from xsiamese.data.augment import Augment
from xsiamese.zoo.cards import Preprocessing


class Ready(nn.Module):
    """Makes stored items the model's input. This one takes them as they are."""

    def forward(self, inputs: Any) -> Any:
        """The model's input."""
        return inputs

    def augmented(self, inputs: Any, sides: int) -> Any:
        """The model's input for training; ``sides`` is how many sides lie below each other."""
        return self(inputs)


class Pixels(nn.Module):
    """Bytes to the model's input: values in [0, 1], then inverted and normalised as the card says."""

    scale: Tensor
    shift: Tensor

    def __init__(self, preprocessing: Preprocessing) -> None:
        super().__init__()
        for name, part in zip(("scale", "shift"), preprocessing.affine(), strict=True):
            self.register_buffer(name, part, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Values in [0, 1], not inverted."""
        return images.to(torch.float32).div_(255)

    def normalise(self, images: Tensor) -> Tensor:
        """The model's input from values in [0, 1]."""
        return images * self.scale + self.shift


class Images(Ready):
    """Images as bytes to the model's input, augmented in training.

    Args:
        preprocessing: of the images; their size is already right.
        augment: what is done to training images.
    """

    def __init__(self, preprocessing: Preprocessing, augment: Augment | None = None) -> None:
        super().__init__()
        self.pixels, self.augment = Pixels(preprocessing), augment

    def forward(self, inputs: Tensor) -> Tensor:
        return self.pixels.normalise(self.pixels(inputs))

    def augmented(self, inputs: Tensor, sides: int) -> Tensor:
        images = self.pixels(inputs)
        if self.augment is not None:
            images = self.augment(images, sides)
        return self.pixels.normalise(images)
