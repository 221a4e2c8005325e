"""A volume: the slices where its values are strongest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from xsiamese.plot import captions
from xsiamese.plot.image import overlay
from xsiamese.plot.scale import Places, Scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SLICES = 3


def draw_volume(axes: Axes, item: Tensor, values: Tensor, scale: Scale, labels: Sequence[str] | None = None) -> Places:
    """The three slices along the depth whose values are strongest, in the order of their depth.

    Args:
        axes: where to draw.
        item: the volume, shape (channels, depth, height, width) or without channels.
        values: its values, of the same shape, or with one channel.
        scale: of the values.
        labels: names of the slices.

    Returns:
        Where each (depth, height, width) of the slices that are shown stands, in the axes' units.
    """
    grey, strength = (t.detach().float().cpu().reshape(-1, *t.shape[-3:]) for t in (item, values))
    grey, strength = grey.mean(0), strength.sum(0)
    depth, height, width = grey.shape
    shown = strength.abs().sum((1, 2)).topk(min(SLICES, depth)).indices.sort().values.tolist()
    grey = (grey - grey.min()) / (grey.max() - grey.min()).clamp_min(1e-12)
    axes.set_axis_off()
    places: Places = {}
    for k, slice_ in enumerate(shown):
        left, room = k / len(shown), 0.96 / len(shown)  # a slice and the gap to the next
        inset = axes.inset_axes((left, 0, room, 0.9))
        overlay(inset, grey[slice_], strength[slice_], scale)
        inset.set_title(
            f"slice {slice_} of {depth}" if labels is None else captions.text(labels[slice_]), fontsize=8, pad=3
        )
        for y in range(height):
            for x in range(width):
                across, down = (x + 0.5) / width, (y + 0.5) / height
                places[(slice_, y, x)] = (left + room * across, 0.9 * (1 - down))
    return places
