"""Small image sets whose classes are easy: bars in different places."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from xsiamese.data import LabelledImages


def bars(items: int = 60, classes: int = 3, size: int = 28, seed: int = 0, channels: int = 1) -> LabelledImages:
    """Noise with a bright bar whose row tells the class."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(items) % classes
    images = torch.randint(0, 60, (items, channels, size, size), generator=generator)
    step = size // classes
    for image, label in zip(images, labels.tolist(), strict=True):
        image[:, label * step + 1 : label * step + step - 2, 3:-3] += 180
    return LabelledImages(images.to(torch.uint8), labels, tuple("abcdefgh"[:classes]))


def write_folders(root: Path, items: LabelledImages) -> Path:
    """The images as PNG files, a folder per class."""
    for i, (image, label) in enumerate(zip(items.images, items.labels.tolist(), strict=True)):
        folder = root / items.classes[label]
        folder.mkdir(parents=True, exist_ok=True)
        save_png(folder / f"{i:03}.png", image)
    return root


def save_png(path: Path, image: Tensor) -> None:
    from torchvision.transforms.v2.functional import to_pil_image

    to_pil_image(image).save(path)
