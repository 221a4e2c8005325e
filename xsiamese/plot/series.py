"""A series: its curve, and under it a strip of its values; one of many channels, such as a spectrogram, as bands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from xsiamese.plot import captions
from xsiamese.plot.graph import INK
from xsiamese.plot.image import overlay
from xsiamese.plot.scale import Places, Scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 4  # channels whose curves are in one picture
BANDS = 12  # channels from which on all of them are drawn, as bands
BAND, STRIP = 1.5, (-0.32, -0.1)  # the height of a channel with its strip, and where the strip lies under the curve


def draw_series(axes: Axes, item: Tensor, values: Tensor, scale: Scale, labels: Sequence[str] | None = None) -> Places:
    """The curves of a series, each over the strip of its values; one strip for all if the values have one channel.

    A series of twelve channels or more, such as a spectrogram, is drawn as bands, channel 0 below: grey from the lowest
    value of the channel to its highest, under the colours of the map.

    Args:
        axes: where to draw.
        item: the series, shape (channels, times) or (times,).
        values: its values, shape (channels, times), (1, times) or (times,).
        scale: of the values.
        labels: names of the channels.

    Returns:
        Where each (time,) stands on the first curve, or in the middle of the bands, in the axes' units.
    """
    curves, strips = (t.detach().double().cpu().reshape(-1, t.shape[-1]) for t in (item, values))
    shown = strips.abs().sum(1).topk(min(MOST, len(strips))).indices.sort().values
    together = len(strips) != len(curves)  # the values are of all channels at once, or of a layer's own
    strips = strips.sum(0, keepdim=True) if together else strips
    drawn = range(min(MOST, len(curves))) if together else shown.tolist()
    low, high = curves.min(1, keepdim=True).values, curves.max(1, keepdim=True).values
    heights = torch.where(high > low, (curves - low) / (high - low).clamp_min(1e-12), 0.5)
    times = curves.shape[1]
    if len(curves) >= BANDS:
        _draw_bands(axes, 1 - heights, strips.expand_as(curves), scale)
        return {(t,): (float(t), len(curves) / 2 - 0.5) for t in range(times)}
    for band, channel in enumerate(drawn):
        bottom = -band * (1.1 if together else BAND)
        axes.plot(range(times), (heights[channel] + bottom).tolist(), color=INK, linewidth=1.0)
        if not together or band == len(drawn) - 1:
            row = strips[0] if together else strips[channel]
            start, stop = STRIP
            axes.imshow(
                row[None].numpy(), cmap=scale.map, vmin=scale.low, vmax=scale.limit, aspect="auto",
                interpolation="nearest", extent=(-0.5, times - 0.5, bottom + start, bottom + stop),
            )  # fmt: skip
    floor = -(len(drawn) - 1) * (1.1 if together else BAND) + STRIP[0]
    axes.set_xlim(-0.5, times - 0.5)
    axes.set_ylim(floor - 0.06, 1.1)
    spots = [0.5 - band * (1.1 if together else BAND) for band in range(len(drawn))]
    names = [str(channel) if labels is None else captions.text(labels[channel]) for channel in drawn]
    axes.set_yticks(spots if len(curves) > 1 else [], names if len(curves) > 1 else [], fontsize=8)
    axes.tick_params(axis="x", labelsize=8)
    axes.set_xlabel("position", fontsize=8)
    axes.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    return {(t,): (float(t), float(heights[drawn[0], t])) for t in range(times)}


def _draw_bands(axes: Axes, grey: Tensor, values: Tensor, scale: Scale) -> None:
    """All channels (channels, times) over each other, the first one below."""
    from matplotlib.ticker import MaxNLocator

    overlay(axes, grey, values, scale)
    axes.invert_yaxis()
    axes.set_aspect("auto")
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.tick_params(axis="x", labelsize=8)
    axes.tick_params(axis="y", labelsize=8, length=0)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.set_xlabel("position", fontsize=8)
