"""Images."""

from __future__ import annotations

from xsiamese.kinds.dense import Dense


class Images(Dense):
    """Images (pairs, channels, height, width)."""

    name = "image"
    between = "bilinear"
    dims = frozenset({4})
    also = frozenset({3})
    shapes = "(pairs, channels, height, width)"
