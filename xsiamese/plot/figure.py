"""The figure that every picture is drawn in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xsiamese.plot.scale import DPI

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def new_figure(width: float, height: float, dpi: float = DPI, layout: Any = "constrained") -> Figure:
    """A figure that pyplot knows nothing of, and whose words stay words in an SVG.

    Args:
        width, height: in inches.
        dpi: of what is saved, where ``savefig`` is told no other.
        layout: matplotlib's, or None for places that the caller gives.

    Raises:
        ImportError: if matplotlib is not installed.
    """
    try:
        from xsiamese.plot.sheet import Sheet
    except ImportError as error:
        raise ImportError('plots need matplotlib: pip install "xsiamese[plot]"') from error
    return Sheet(figsize=(width, height), dpi=dpi, layout=layout)
