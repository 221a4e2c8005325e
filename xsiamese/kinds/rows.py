"""Rows of a table."""

from __future__ import annotations

from xsiamese.kinds.dense import Dense


class Rows(Dense):
    """Rows of a table (pairs, features), or a number a pair."""

    name = "row"
    three = "time"  # a row that a network takes for a signal becomes (pairs, channels, places)
    dims = frozenset({1, 2})
    shapes = "(pairs, features)"
