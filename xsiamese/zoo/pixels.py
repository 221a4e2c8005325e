"""The one reader of image files: upright, eight bits, over white; what cannot be known of a file is refused by name."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from xsiamese.door.files import regular

if TYPE_CHECKING:
    from PIL.Image import Image

T = TypeVar("T")
PHOTOMETRIC, BITS = 262, 258  # TIFF's numbers of these tags


class Picture(NamedTuple):
    """What is read of an image file.

    Attributes:
        pixels: grey or RGB, shape (channels, height, width), uint8.
        frames: how many images the file holds; the first one is taken.
    """

    pixels: Tensor
    frames: int


def read_picture(source: str | Path | IO[bytes], size: tuple[int, int], channels: int) -> Picture:
    """Reads an image file as it is seen: see :func:`eight_bits`, then resized bilinearly.

    Args:
        source: the file, or what it holds.
        size: height and width.
        channels: 1 for grey, 3 for RGB.

    Raises:
        ValueError: if it is no image, truncated or too large, or its range of values is not known.
    """

    def read(image: Image) -> Picture:
        frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)  # a phone's MPO: one photograph
        return Picture(as_bytes(image, size, channels), frames)

    return _opened(source, read)


def upright(source: str | Path | IO[bytes]) -> Image:
    """An image file as it is seen, in RGB and in its own size, for a model that brings its own preprocessing.

    Raises:
        ValueError: see :func:`read_picture`.
    """
    return _opened(source, lambda image: eight_bits(image).convert("RGB"))


def _opened(source: str | Path | IO[bytes], read: Callable[[Image], T]) -> T:
    """What is read of an image file; whatever is wrong with it is a ValueError that names it."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError('images need Pillow: pip install "xsiamese[image]"') from error
    name = source if isinstance(source, (str, Path)) else "the image"
    if isinstance(source, str) and "://" in source:
        raise ValueError(f"{name} is an address: download it, and give the file")
    try:
        with Image.open(regular(source, "an image") if isinstance(source, (str, Path)) else source) as image:
            image.load()
            return read(image)
    except ValueError as error:
        known = str(error).startswith(f"{Path(name)} ")
        raise ValueError(str(error) if known else f"{name} cannot be read as an image: {error}") from error
    except Exception as error:  # decoders raise whatever a damaged file makes them meet
        told = str(error) or type(error).__name__
        raise ValueError(f"{name} cannot be read as an image: {told.splitlines()[0]}") from error


def as_bytes(image: Image, size: tuple[int, int], channels: int) -> Tensor:
    """An image as bytes, shape (channels, height, width)."""
    plain = eight_bits(image).convert("L" if channels == 1 else "RGB")
    if (plain.height, plain.width) != tuple(size):
        plain = plain.resize((size[1], size[0]), resample=2)  # bilinear, antialiased
    return torch.from_numpy(np.array(plain)).reshape(*size, channels).permute(2, 0, 1).contiguous()


def eight_bits(image: Image) -> Image:
    """An image as it is seen: turned as its EXIF says, sixteen bits (and a TIFF's twelve) scaled by their range,
    floating point values by theirs, [0, 1], and what is transparent laid over white.

    Raises:
        ValueError: if the range of the values cannot be known: integers of 32 bits, or numbers outside [0, 1].
    """
    from PIL import Image as Pillow

    if image.mode[0] in "IF":
        image = _scaled(image)
    image = _upright(image)
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        whole = image.convert("RGBA")
        return Pillow.alpha_composite(Pillow.new("RGBA", whole.size, "white"), whole)
    return image


def _upright(image: Image) -> Image:
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(image)
    except Exception as error:  # whatever a damaged EXIF block does
        warnings.warn(f"the EXIF block cannot be read ({error}): the image is taken as it is stored", stacklevel=2)
        return image


def _scaled(image: Image) -> Image:
    """Grey values of more than eight bits by their range."""
    from PIL import Image as Pillow

    values = np.asarray(image).astype(np.float64)
    tags = getattr(image, "tag_v2", {})
    if image.mode == "F":
        low, high = float(values.min()), float(values.max())
        if not (low >= 0 and high <= 1):  # also where one is NaN
            raise ValueError(
                f"it holds numbers from {low:g} to {high:g}, and which are black and white is not known: bring them "
                "to [0, 1], or save 8 or 16 bits"
            )
        largest = 1.0
    elif image.mode.startswith("I;16") or image.format in ("PNG", "PPM"):  # 16 bits, as mode I
        largest = 2.0 ** tags.get(BITS, (16,))[0] - 1
    else:
        raise ValueError(
            f"it holds integers of 32 bits, from {values.min():g} to {values.max():g}, and which are black and white "
            "is not known: save 8 or 16 bits"
        )
    if tags.get(PHOTOMETRIC) == 0:  # a TIFF whose zero is white
        values = largest - values
    grey = np.rint(values * (255 / largest)).clip(0, 255)
    if isinstance(clear := image.info.get("transparency"), int):
        grey[np.asarray(image) == clear] = 255
    scaled = Pillow.fromarray(grey.astype(np.uint8))
    scaled.info["exif"] = image.info.get("exif", b"")
    return scaled
