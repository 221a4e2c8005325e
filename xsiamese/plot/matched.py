"""How the items of a pair are drawn so that their parts can be joined by lines: images, graphs, words, columns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from xsiamese.plot import captions
from xsiamese.plot.pixels import opacity, pale
from xsiamese.plot.scale import Scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Place = tuple[int, ...]
INK, PALE = "#3c3c3c", "#b4b4b4"


class Item(Protocol):
    """One item of a pair that knows how to draw itself."""

    def draw(self, axes: Axes, values: Tensor | None, scale: Scale) -> None:
        """Draws it, its parts coloured by ``values`` if there are any."""

    def mark(self, axes: Axes, place: Place, colour: Any, number: int) -> tuple[float, float]:
        """Marks a part with a colour and a number, and says where it is, in the axes' units."""


class Picture:
    """An image whose parts are the cells of a grid.

    Args:
        pixels: (channels, h, w) in [0, 1].
        grid: rows and columns of the cells.
    """

    def __init__(self, pixels: Tensor, grid: Place) -> None:
        self.pixels, self.grid = pixels, grid

    def draw(self, axes: Axes, values: Tensor | None, scale: Scale) -> None:
        height, width = self.pixels.shape[1:]
        extent = (0, width, height, 0)
        axes.set_xticks([])
        axes.set_yticks([])
        if values is None:
            shown = self.pixels.movedim(0, -1).squeeze(-1).numpy()
            axes.imshow(shown, cmap="gray", vmin=0, vmax=1, extent=extent)
            return
        axes.imshow(pale(self.pixels.mean(0)).numpy(), cmap="gray", vmin=0, vmax=1, extent=extent)
        number = torch.zeros(())
        for new, old in zip(self.grid, (height, width), strict=True):
            number = (
                number[..., None] * new + torch.arange(old) * new // old
            )  # the cell of each pixel, as it was masked
        cells = values.flatten()[number.long()]
        opaque = opacity(cells, scale.limit).numpy()
        axes.imshow(cells.numpy(), cmap=scale.map, vmin=scale.low, vmax=scale.limit, alpha=opaque, extent=extent)

    def mark(self, axes: Axes, place: Place, colour: Any, number: int) -> tuple[float, float]:
        from matplotlib.patches import Rectangle

        size = self.pixels.shape[1:]
        # the first pixel of a cell is the first whose number times cells // size reaches it
        first = [math.ceil(i * old / new) for i, new, old in zip(place, self.grid, size, strict=True)]
        last = [math.ceil((i + 1) * old / new) for i, new, old in zip(place, self.grid, size, strict=True)]
        (top, left), (bottom, right) = first, last
        axes.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=colour, linewidth=2.4))
        middle = ((left + right) / 2, (top + bottom) / 2)
        label(axes, middle, number, colour)
        return middle


class Nodes:
    """A graph whose parts are its nodes.

    Args:
        spots: where the nodes are, (nodes, 2).
        ends: the two nodes of each edge, (edges, 2).
        names: of the nodes.
    """

    def __init__(self, spots: Tensor, ends: Tensor, names: Sequence[str]) -> None:
        self.spots, self.ends, self.names = spots, ends, [captions.text(name) for name in names]

    def draw(self, axes: Axes, values: Tensor | None, scale: Scale) -> None:
        axes.set_axis_off()
        axes.set_aspect("equal")
        axes.margins(0.14)
        for i, j in self.ends.tolist():
            axes.plot(*self.spots[[i, j]].T.numpy(), color=PALE, linewidth=1.1, zorder=1)
        colours = ["white"] * len(self.spots) if values is None else scale.colours(values)
        x, y = self.spots.T.numpy()
        axes.scatter(x, y, s=150, c=colours, edgecolors=INK, linewidths=0.8, zorder=2)
        for spot, name in zip(self.spots.tolist(), self.names, strict=True):
            axes.text(spot[0], spot[1], name, fontsize=7, ha="center", va="center", color=INK, zorder=3)

    def mark(self, axes: Axes, place: Place, colour: Any, number: int) -> tuple[float, float]:
        x, y = self.spots[place[0]].tolist()
        axes.scatter([x], [y], s=290, facecolors="none", edgecolors=[colour], linewidths=2.6, zorder=4)
        return x, y


class Names:
    """A list of names, one a part: the columns of a row, or the words of a text.

    Args:
        names: of the parts.
        shown: the numbers of the parts that have a line.
        side: 0 to the left of its lines, 1 to the right.
    """

    def __init__(self, names: Sequence[str], shown: Sequence[int], side: int) -> None:
        self.names, self.side = [captions.text(name) for name in names], side
        self.line: Mapping[int, int] = {number: at for at, number in enumerate(shown)}

    def draw(self, axes: Axes, values: Tensor | None, scale: Scale) -> None:
        axes.set_ylim(len(self.line) - 0.5, -0.5)
        for border in ("top", "right", "bottom", "left"):
            axes.spines[border].set_visible(False)
        axes.set_xticks([])
        if values is None:
            axes.set_xlim(0, 1)
            axes.set_yticks([])
            for number, at in self.line.items():
                axes.text(
                    self._edge, at, self.names[number], fontsize=9, va="center", ha="left" if self.side else "right"
                )
            return
        chosen = values.flatten()[list(self.line)]
        axes.barh(list(self.line.values()), chosen.numpy(), color=scale.colours(chosen), edgecolor=INK, linewidth=0.4)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_xlim(-scale.limit, scale.limit)
        axes.set_yticks(list(self.line.values()), [self.names[number] for number in self.line], fontsize=8)
        if self.side:
            axes.yaxis.tick_right()
        axes.tick_params(length=0)

    def mark(self, axes: Axes, place: Place, colour: Any, number: int) -> tuple[float, float]:
        at = self.line[place[0]]
        end = self._edge + 0.04 * (1 - 2 * self.side)  # beside the name, where the line begins
        axes.scatter([end], [at], s=26, color=[colour], zorder=4, clip_on=False)
        return end, at

    @property
    def _edge(self) -> float:
        """Where names end that have their lines to the right, or begin that have them to the left: lines need room."""
        return 0.3 if self.side else 0.7


def label(axes: Axes, at: tuple[float, float], number: int, colour: Any) -> None:
    """The number of a match."""
    axes.text(
        at[0],
        at[1],
        str(number),
        fontsize=7.5,
        ha="center",
        va="center",
        color="white",
        zorder=6,
        bbox={"boxstyle": "circle,pad=0.18", "facecolor": colour, "edgecolor": "white", "linewidth": 0.6},
    )
