"""The colours of values: one scale for all that one picture shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from xsiamese.plot.shown import Shows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

    from xsiamese.plot.shown import Shown

Places = dict[tuple[int, ...], tuple[float, float]]
"""Where the places of an item stand in a picture, in the units of its axes."""

DPI = 200  # of every picture, where savefig is told no other
SIGNED = "RdBu"  # red pushes apart, blue pulls together; safe for colour-blind readers
COLOURS: dict[Shows, str] = {"signed": SIGNED, "magnitude": "Greens", "relevance": "Purples"}
DARK: dict[Shows, tuple[float, float]] = {"signed": (0.14, 0.86), "magnitude": (0.0, 0.72), "relevance": (0.0, 0.72)}
LEAST: dict[Shows, float] = {"signed": 0.05, "magnitude": 1e-5, "relevance": 0.0}  # shares of the score, see floored
FAINT = 0.1  # the least relevance that gets the full colour


@dataclass(frozen=True)
class Scale:
    """Values that pull either way are red or blue, with 0 white in the middle; what has no direction goes from white at
    0 to green (magnitudes, by their size) or purple (relevances).

    Attributes:
        limit: the value of the full colour.
        ends: what the lowest and the highest colour mean.
        shows: what the values say.
        pale: whether to leave out the dark ends, upon which symbols could not be read.
    """

    limit: float = 1.0
    ends: tuple[str, str] = ("apart", "together")
    shows: Shows = "signed"
    pale: bool = False

    @property
    def low(self) -> float:
        """The value of the lowest colour."""
        return -self.limit if self.shows == "signed" else 0.0

    @property
    def map(self) -> Colormap:
        """The colours themselves."""
        from matplotlib import colormaps
        from matplotlib.colors import ListedColormap

        whole: Colormap = colormaps[COLOURS[self.shows]]
        if not self.pale:
            return whole
        first, last = DARK[self.shows]
        return ListedColormap([whole(first + (last - first) * k / 255) for k in range(256)])

    def drawn(self, values: Any) -> Any:
        """Values as they are drawn: of a magnitude only the size counts."""
        return values.abs() if self.shows == "magnitude" and isinstance(values, Tensor) else values

    def share(self, values: Tensor | Sequence[float]) -> Tensor:
        """How far up the scale values are, in [0, 1]."""
        numbers: Tensor = self.drawn(torch.as_tensor(values)).detach().cpu().double().flatten()
        return ((numbers - self.low) / (self.limit - self.low)).clamp(0, 1)

    def colours(self, values: Tensor | Sequence[float]) -> Any:
        """A colour for each value, array of shape (values, 4)."""
        return self.map(self.share(values).numpy())

    def bar(self, figure: Figure, axes: list[Axes], numbers: bool = True) -> Any:
        """The scale itself, beside several axes; without numbers where each of them has a limit of its own."""
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        bar = figure.colorbar(
            ScalarMappable(Normalize(self.low, self.limit), self.map), ax=axes, fraction=0.03, pad=0.02, aspect=24
        )
        number = f"{self.limit:.2g}" if numbers else ""
        if self.shows != "signed":
            bar.set_ticks([0, self.limit], labels=["0", f"{self.ends[1]}\n{number}".strip()])
        else:
            low, high = (f"−{number}", f"+{number}") if numbers else ("", "")
            ends = [f"{self.ends[0]}\n{low}".strip(), "0", f"{self.ends[1]}\n{high}".strip()]
            bar.set_ticks([self.low, 0, self.limit], labels=ends)
        bar.ax.tick_params(labelsize=8)
        bar.outline.set_visible(False)
        return bar


def floored(limit: float, maps: Iterable[Tensor], explanation: Shown, pair: int) -> float:
    """The value of the full colour, large enough for maps of next to nothing to look like that.

    Signed values whose sizes sum to less than a twentieth of the score (or of the threshold) are paler in that
    proportion; so is a magnitude of a hundred thousandth, which has a unit of its own and is told from rounding only.

    Args:
        limit: the largest value, or a quantile.
        maps: those of both sides of the pair.
        explanation: whose they are.
        pair: which one.
    """
    if explanation.shows == "relevance":
        return max(limit, FAINT)
    whole = max(abs(float(explanation.scores[pair])), abs(explanation.threshold or 0.0))
    total = sum(float(one.detach().abs().double().sum()) for one in maps)
    if not total:
        return whole or 1.0
    return max(limit, 1e-12) * max(1.0, LEAST[explanation.shows] * whole / total)
