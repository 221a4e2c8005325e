"""Model cards: everything that an explainer, the command line and a reader need to know of a reference model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from xsiamese.model.pair import PairModel
from xsiamese.zoo.pixels import as_bytes

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Preprocessing:
    """What turns an image into a model's input.

    Attributes:
        size: height and width in pixels.
        channels: 1 for grey, 3 for RGB.
        mean, std: of each channel, subtracted and divided by, on values in [0, 1].
        invert: whether dark strokes on light paper become light on dark.
    """

    size: tuple[int, int]
    channels: int = 3
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    invert: bool = False

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> Preprocessing:
        """From what JSON made of it in a checkpoint."""
        height, width = described["size"]
        mean, std = (tuple(float(v) for v in described[key]) for key in ("mean", "std"))
        return cls((int(height), int(width)), int(described["channels"]), mean, std, bool(described["invert"]))

    def __call__(self, image: Image) -> Tensor:
        """The image as a tensor (channels, height, width), read as :func:`~xsiamese.zoo.pixels.eight_bits` says."""
        return self.normalise(as_bytes(image, self.size, self.channels))

    def normalise(self, pixels: Tensor) -> Tensor:
        """The model's input from grey or RGB values in [0, 255], shape (..., channels, height, width)."""
        scale, shift = self.affine()
        return pixels.float() / 255 * scale.to(pixels.device) + shift.to(pixels.device)

    def undo(self, tensor: Tensor) -> Tensor:
        """Pixel values in [0, 1] from a model's input (..., channels, height, width)."""
        scale, shift = (part.to(tensor) for part in self.affine())
        return ((tensor - shift) / scale).clamp(0, 1)

    @property
    def background(self) -> tuple[float, ...]:
        """The model's input, a value for each channel, where an image shows nothing: black, or the light paper of what
        is inverted. 0, the mean of the data, is a grey.
        """
        return tuple(-m / s for m, s in zip(self.mean, self.std, strict=True))  # both are 0 before it is normalised

    def affine(self) -> tuple[Tensor, Tensor]:
        """The scale and the shift, shape (channels, 1, 1) each, that take values in [0, 1] to the model's input:
        inverted, then normalised.
        """
        mean, std = (torch.tensor(v)[:, None, None] for v in (self.mean, self.std))
        return (-1 / std, (1 - mean) / std) if self.invert else (1 / std, -mean / std)


@dataclass(frozen=True)
class ModelCard:
    """One reference model.

    Attributes:
        name: how the command line and checkpoints call it.
        build: makes the model, untrained; keyword arguments only, stored in its checkpoints.
        summary: one line.
        input: the shape of one item.
        embedding: the number of dimensions of the embedding, or None.
        comparison: the name of its comparison.
        layer: the layer that explainers take by default.
        preprocessing: of its images, or None.
        licence: of the shipped weights, or of the code where none are shipped.
        paper: keys of the sources in the bibliography.
        modality: "image", "graph" or "tabular".
        weights: the checkpoint that comes with it, or None: a path, as ``Path(__file__).with_name("a.safetensors")``;
            (package, file) of a file inside an installed package; or the name of one of ours.
        defaults: arguments of ``build`` that the name implies.
    """

    name: str
    build: Callable[..., PairModel]
    summary: str
    input: tuple[int, ...] = ()
    embedding: int | None = None
    comparison: str = "cosine"
    layer: str | None = None
    preprocessing: Preprocessing | None = None
    licence: str = "BSD-3-Clause"
    paper: tuple[str, ...] = ()
    modality: str = "image"
    weights: str | tuple[str, str] | Path | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
