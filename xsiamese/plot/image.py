"""A pair of images with both signed maps on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from xsiamese.plot import captions
from xsiamese.plot.figure import new_figure
from xsiamese.plot.pixels import opacity, pale, said, seen
from xsiamese.plot.scale import DPI, Places, Scale, floored
from xsiamese.plot.shown import Pixels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from xsiamese.plot.shown import Shown

Norm = Literal["pair", "each", "global"]
MOST = 8
WIDTH = 1.4  # inches of an image at the least
FINEST = 600  # dpi


def plot_pair(
    explanation: Shown,
    *,
    preprocessing: Pixels | None = None,
    norm: Norm = "pair",
    quantile: float = 0.995,
    smooth: float | None = None,
    superpixels: int | None = None,
) -> Figure:
    """One row a pair (and a layer): image a, its map, image b, its map.

    Args:
        explanation: of images (pairs, channels, h, w); maps are brought to the images' sizes.
        preprocessing: what turned pixels into inputs, to be undone for showing; without it each image is stretched to
            its range.
        norm: what shares a colour scale: the two maps of a "pair", each map by itself ("each"), or all ("global").
        quantile: which quantile of the absolute values gets the full colour.
        smooth: the width of a Gaussian that smooths the maps, in pixels of the image; their sums are kept.
        superpixels: about how many parts of one colour each image is cut into; a part shows the mean of its pixels,
            and sums to what they sum to. See :func:`xsiamese.superpixels`.

    Raises:
        ImportError: if matplotlib, or scikit-image for superpixels, is not installed.
        ValueError: if the inputs are not images, or smoothing and superpixels are asked for at once.

    Example:
        >>> from xsiamese import PairGradCAM
        >>> from xsiamese.data import fashion_pair
        >>> from xsiamese.zoo import shipped
        >>> figure = PairGradCAM(shipped("fashion").model).explain(fashion_pair()).plot()
    """
    images = [pixels_of(side, name, preprocessing) for name, side in zip("ab", explanation.inputs, strict=True)]
    grown = seen(explanation[:MOST], smooth, superpixels)
    rows = [(pair, layer, maps) for pair in range(len(grown)) for layer, maps in enumerate(_layers(grown, pair))]
    finest = max(side for both in images for side in both.shape[-2:])
    dpi = min(max(DPI, finest / WIDTH), FINEST)  # no picture is drawn in fewer pixels than it has
    figure = new_figure(9.2, 2.45 * len(rows) + 0.55, dpi)
    axes = figure.subplots(len(rows), 4, squeeze=False)
    limits = [floored(_scale(maps, quantile), maps, explanation, pair) for pair, _, maps in rows]
    everything = max(_scale([m for _, _, maps in rows for m in maps], quantile), min(limits))
    for line, (pair, layer, maps), own in zip(axes, rows, limits, strict=True):
        shared = everything if norm == "global" else own
        scale = Scale(shared, captions.ends(explanation), explanation.shows)
        for side in (0, 1):
            limit = floored(_scale([maps[side]], quantile), maps, explanation, pair) if norm == "each" else shared
            picture = images[side][pair].movedim(0, -1).squeeze(-1).numpy()
            grey = images[side][pair].mean(0)
            line[2 * side].imshow(picture, cmap="gray", vmin=0, vmax=1)
            line[2 * side + 1].imshow(pale(grey).numpy(), cmap="gray", vmin=0, vmax=1)
            line[2 * side + 1].imshow(
                scale.drawn(maps[side]).numpy(),
                cmap=scale.map,
                vmin=-limit if explanation.shows == "signed" else 0,
                vmax=limit,
                alpha=opacity(maps[side], limit).numpy(),
            )
            line[2 * side].set_title(captions.item(explanation, pair, side), fontsize=9)
            line[2 * side + 1].set_title(_map_title(explanation, layer, side, said(smooth, superpixels)), fontsize=9)
        line[0].set_ylabel(captions.beside(explanation, pair), fontsize=9)
        for axis in line:
            axis.set_xticks([])
            axis.set_yticks([])
        scale.bar(figure, list(line), numbers=norm != "each")
    figure.suptitle(captions.title(explanation, MOST), fontsize=11)
    return figure


def pixels_of(side: Any, name: str, preprocessing: Pixels | None) -> Tensor:
    """The pixels of one side's images in [0, 1].

    Raises:
        ValueError: if they are no images.
    """
    if not isinstance(side, Tensor) or side.dim() != 4 or side.shape[1] not in (1, 3):
        what = tuple(side.shape) if isinstance(side, Tensor) else type(side).__name__
        raise ValueError(f"input {name} is {what}: plot() draws images (pairs, 1 or 3 channels, h, w)")
    side = side.detach().float().cpu()
    if preprocessing is not None:
        return preprocessing.undo(side)
    low, high = side.flatten(1).min(1).values, side.flatten(1).max(1).values
    stretched: Tensor = (side - low[:, None, None, None]) / (high - low).clamp_min(1e-12)[:, None, None, None]
    return stretched


def _layers(explanation: Shown, pair: int) -> list[list[Tensor]]:
    """For each layer the two maps (h, w) of a pair: channels are summed, which keeps sums."""
    sides = [value if isinstance(value, tuple) else (value,) for value in explanation.maps]
    found = []
    for both in zip(*sides, strict=True):
        if any(m.dim() != 4 for m in both):
            raise ValueError(
                f"a map of shape {tuple(both[0].shape)} is no grid (pairs, channels, h, w) to lay over "
                "an image: if its tokens are cells, layout= says how they lie; else explain the inputs"
            )
        found.append([m[pair].detach().float().cpu().sum(0) for m in both])
    return found


def _scale(maps: list[Tensor], quantile: float) -> float:
    values = torch.cat([m.abs().flatten() for m in maps])
    return max(float(values.quantile(quantile)) if values.numel() < 2**24 else float(values.max()), 1e-12)


def _map_title(explanation: Shown, layer: int, side: int, usual: str) -> str:
    names = explanation.parameters.get("layer")
    if captions.held(explanation) == side:
        return "held fixed"
    return f"layer {names[layer]}" if isinstance(names, list) and layer < len(names) else usual


def draw_image(axes: Axes, item: Tensor, values: Tensor, scale: Scale, labels: Sequence[str] | None = None) -> Places:
    """One image in grey under the colours of its values, its channels summed.

    Args:
        axes: where to draw.
        item: the image, shape (channels, height, width) or (height, width).
        values: of the same shape, or with one channel.
        scale: of the values.
        labels: not used: pixels have no names.

    Returns:
        Where each (row, column) stands, in the axes' units.
    """
    grey, strength = (t.detach().float().cpu().reshape(-1, *t.shape[-2:]) for t in (item, values))
    grey = grey.mean(0)
    overlay(axes, (grey - grey.min()) / (grey.max() - grey.min()).clamp_min(1e-12), strength.sum(0), scale)
    rows, columns = grey.shape
    return {(y, x): (float(x), float(y)) for y in range(rows) for x in range(columns)}


def overlay(axes: Axes, grey: Tensor, values: Tensor, scale: Scale) -> None:
    """A grey picture (height, width) in [0, 1], made pale, under the colours of its values."""
    axes.imshow(pale(grey).numpy(), cmap="gray", vmin=0, vmax=1)
    opaque = opacity(values, scale.limit).numpy()
    axes.imshow(values.numpy(), cmap=scale.map, vmin=scale.low, vmax=scale.limit, alpha=opaque)
    axes.set_xticks([])
    axes.set_yticks([])
