"""The colours of values: one scale for all that one picture shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

Places = dict[tuple[int, ...], tuple[float, float]]
"""Where the places of an item stand in a picture, in the units of its axes."""

SIGNED = "RdBu"  # red pushes apart, blue pulls together; safe for colour-blind readers
UNSIGNED = "Purples"


@dataclass(frozen=True)
class Scale:
    """Values that pull either way are red or blue, with 0 white in the middle; relevances that have no sign go from
    white at 0 to purple.

    Attributes:
        limit: the value of the full colour.
        ends: what the lowest and the highest colour mean.
        unsigned: whether values have no sign.
        pale: whether to leave out the dark ends, upon which symbols could not be read.
    """

    limit: float = 1.0
    ends: tuple[str, str] = ("apart", "together")
    unsigned: bool = False
    pale: bool = False

    @property
    def low(self) -> float:
        """The value of the lowest colour."""
        return 0.0 if self.unsigned else -self.limit

    @property
    def map(self) -> Colormap:
        """The colours themselves."""
        from matplotlib import colormaps
        from matplotlib.colors import ListedColormap

        whole: Colormap = colormaps[UNSIGNED if self.unsigned else SIGNED]
        if not self.pale:
            return whole
        first, last = (0.0, 0.72) if self.unsigned else (0.14, 0.86)
        return ListedColormap([whole(first + (last - first) * k / 255) for k in range(256)])

    def share(self, values: Tensor | Sequence[float]) -> Tensor:
        """How far up the scale values are, in [0, 1]."""
        numbers = torch.as_tensor(values).detach().cpu().double().flatten()
        return ((numbers - self.low) / (self.limit - self.low)).clamp(0, 1)

    def colours(self, values: Tensor | Sequence[float]) -> Any:
        """A colour for each value, array of shape (values, 4)."""
        return self.map(self.share(values).numpy())

    def bar(self, figure: Figure, axes: list[Axes]) -> Any:
        """The scale itself, beside several axes."""
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        bar = figure.colorbar(
            ScalarMappable(Normalize(self.low, self.limit), self.map), ax=axes, fraction=0.03, pad=0.02, aspect=24
        )
        if self.unsigned:
            bar.set_ticks([0, self.limit], labels=["0", f"{self.ends[1]}\n{self.limit:.2g}"])
        else:
            bar.set_ticks(
                [self.low, 0, self.limit],
                labels=[f"{self.ends[0]}\n−{self.limit:.2g}", "0", f"{self.ends[1]}\n+{self.limit:.2g}"],
            )
        bar.ax.tick_params(labelsize=8)
        bar.outline.set_visible(False)
        return bar
