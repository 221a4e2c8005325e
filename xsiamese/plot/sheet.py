"""A matplotlib figure that saves words as words. Needs matplotlib: :func:`xsiamese.plot.figure.new_figure` says so."""

from __future__ import annotations

from os import PathLike, fspath
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from xsiamese.door.files import place


class Sheet(Figure):
    """A figure whose SVG has text that can be searched, copied and edited, where matplotlib draws its outlines.

    :meta private:
    """

    def savefig(self, fname: Any, **options: Any) -> None:
        """Writes the figure: see :meth:`matplotlib.figure.Figure.savefig`.

        Raises:
            ValueError: if there is no such folder, or the name is a folder's.
        """
        if isinstance(fname, (str, PathLike)):
            place(fspath(fname))
        with rc_context({"svg.fonttype": "none"}):
            super().savefig(fname, **options)
