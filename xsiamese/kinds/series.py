"""Series: sounds, sensors, heart beats."""

from __future__ import annotations

from xsiamese.kinds.dense import Dense


class Series(Dense):
    """Series (pairs, channels, times); or (pairs, times), which must be said, since rows look the same."""

    name = "series"
    three = "time"
    between = "linear"
    dims = frozenset({3})
    also = frozenset({2})
    shapes = "(pairs, channels, times)"
