"""Volumes: scans, fields, short films."""

from __future__ import annotations

from xsiamese.kinds.dense import Dense


class Volumes(Dense):
    """Volumes (pairs, channels, depth, height, width); or without channels, which must be said."""

    name = "volume"
    between = "trilinear"
    dims = frozenset({5})
    also = frozenset({4})
    shapes = "(pairs, channels, depth, height, width)"
