"""Maps of pixels as they are looked at: over their image made pale, smoothed, or as one value for each superpixel. What
they sum to is kept.
"""

from __future__ import annotations

import math
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from xsiamese.kinds.superpixels import MISSING
from xsiamese.kinds.superpixels import superpixels as cut
from xsiamese.plot.shown import Shown


def pale(grey: Tensor) -> Tensor:
    """An image in [0, 1] as it stands under a map: no darker than a colour scale's middle, which would outline it."""
    return 0.72 + 0.28 * grey


def opacity(values: Tensor, limit: float) -> Tensor:
    """How much of its colour a value has: none where it is nothing, so that noise stays quiet."""
    return 0.9 * (values.abs() / limit).clamp(0, 1)


def seen(explanation: Shown, smooth: float | None = None, superpixels: int | None = None) -> Shown:
    """The explanation with maps brought to the size of their images, and those of images smoothed or averaged.

    Args:
        explanation: with an image on one side at least, if anything is asked for.
        smooth: the standard deviation of a Gaussian, in pixels. At the edges the map is mirrored, so that nothing of it
            is lost.
        superpixels: about how many parts of one colour each image is cut into (:func:`xsiamese.superpixels`). Each
            shows the mean of its pixels, so that it sums to what they sum to.

    Raises:
        ImportError: if superpixels are asked for and scikit-image is not installed.
        ValueError: if both are given, one is not positive, or there is no image.
    """
    check(smooth, superpixels)
    whole: Any = explanation.upsample()
    if smooth is None and superpixels is None:
        return whole  # type: ignore[no-any-return]
    if "image" not in explanation.kinds:
        name = "smooth" if superpixels is None else "superpixels"
        raise ValueError(f"{name}= is for maps of images, and the inputs are {' and '.join(explanation.kinds)}")

    def changed(found: Any, item: Any, kind: str) -> Any:
        if isinstance(found, (tuple, list)):
            each = item if isinstance(item, (tuple, list)) else [item] * len(found)
            return tuple(changed(one, of, kind) for one, of in zip(found, each, strict=True))
        if kind != "image" or not isinstance(found, Tensor) or found.shape[-2:] != item.shape[-2:]:
            return found
        values = found.detach().double()
        values = values.abs() if explanation.shows == "magnitude" else values
        new = averaged(values, cut(item, superpixels)) if superpixels is not None else smoothed(values, smooth or 1.0)
        return new.to(found.dtype)

    sides = zip(whole.maps, whole.inputs, whole.kinds, strict=True)
    made: Shown = replace(whole, maps=tuple(changed(*side) for side in sides))
    return made


def check(smooth: float | None, superpixels: int | None) -> None:
    """Refuses at once what :func:`seen` cannot do."""
    if smooth is not None and superpixels is not None:
        raise ValueError(f"smooth={smooth} and superpixels={superpixels}: only one of them can be drawn")
    if smooth is not None and not 0 < smooth < math.inf:
        raise ValueError(f"smooth={smooth}: a positive number of pixels is needed")
    if superpixels is not None and superpixels < 1:
        raise ValueError(f"superpixels={superpixels}: at least one is needed")
    if superpixels is not None and find_spec("skimage") is None:
        raise ImportError(MISSING)


def said(smooth: float | None, superpixels: int | None) -> str:
    """What stands above such a map."""
    if superpixels is not None:
        return "mean of each superpixel"
    return "map" if smooth is None else f"map, smoothed ({smooth:g} px)"


def smoothed(maps: Tensor, sigma: float) -> Tensor:
    """Maps (..., height, width) under a Gaussian; each sums to what it did."""
    height, width = maps.shape[-2:]
    down, across = (_gaussian(size, sigma).to(maps) for size in (height, width))
    return down @ maps @ across.T


def averaged(maps: Tensor, parts: Tensor) -> Tensor:
    """Maps (pairs, channels, height, width) with the mean of each part in all of its pixels.

    Args:
        maps: the values.
        parts: the number of each pixel's part, from 0, shape (pairs, 1, height, width).
    """
    flat, numbers = maps.flatten(2), parts.flatten(2).to(maps.device)
    shape = (*flat.shape[:2], int(numbers.max()) + 1)
    spread = numbers.expand_as(flat)
    sums = flat.new_zeros(shape).scatter_add_(2, spread, flat)
    sizes = flat.new_zeros(shape).scatter_add_(2, spread, torch.ones_like(flat))
    return (sums / sizes.clamp_min(1)).gather(2, spread).view_as(maps)


def _gaussian(size: int, sigma: float) -> Tensor:
    """What a line of ``size`` pixels is multiplied with: symmetric, and every row sums to one, so every column does."""
    if sigma > 4 * size:  # mirrored again and again it is flat, to a part in 100,000
        return torch.full((size, size), 1 / size, dtype=torch.float64)
    reach = math.ceil(4 * sigma)
    steps = torch.arange(-reach, reach + 1)
    weights = torch.exp(-0.5 * (steps / sigma) ** 2).double()
    # beyond its ends the line is mirrored with its last pixel twice, c b a | a b c | c b a: of period 2 * size
    places = (torch.arange(size)[:, None] + steps) % (2 * size)
    places = torch.where(places < size, places, 2 * size - 1 - places)
    found = torch.zeros(size, size, dtype=torch.float64)
    return found.scatter_add_(1, places, (weights / weights.sum()).expand(size, -1).contiguous())
