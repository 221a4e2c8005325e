"""What is written beside explanations in pictures of every kind."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xsiamese.plot.shown import Shown


def text(name: str) -> str:
    r"""A name that a user gave as matplotlib shows it to the letter: a $ in it begins no formula.

    Example:
        >>> print(text("left_$^$_right.png"))
        left_\$^\$_right.png
    """
    return re.sub(r"(?<!\\)\$", r"\\$", name)


def title(explanation: Shown, most: int) -> str:
    """The method, which way is closer or that maps have no direction, and how many of the pairs are shown if these are
    more than ``most``.
    """
    closer = "higher is closer" if explanation.higher_is_closer else "lower is closer"
    rest = f"   first {most} of {len(explanation)} pairs" if len(explanation) > most else ""
    way = {"signed": closer, "magnitude": "strength, no direction", "relevance": "relevance, no direction"}
    return f"{explanation.method}   ({way[explanation.shows]}){rest}"


def score(explanation: Shown, pair: int) -> str:
    """What the model makes of a pair: its verdict where a threshold is known, else the score, or the target's value."""
    if explanation.threshold is not None and explanation.target == "closeness":
        return explanation.verdict(pair)
    name = "score" if explanation.target == "closeness" else text(explanation.target)
    return f"{name} {float(explanation.scores[pair]):.3g}"


def item(explanation: Shown, pair: int, side: int) -> str:
    """What a side of a pair is called."""
    return text(explanation.ids[pair][side]) if explanation.ids else "ab"[side]


def held(explanation: Shown) -> int | None:
    """Which side was held fixed, if one was."""
    return {"first": 1, "second": 0}.get(str(explanation.parameters.get("wrt")))


def ends(explanation: Shown) -> tuple[str, str]:
    """What the lowest and the highest value of maps mean; those without a direction begin with nothing."""
    if explanation.shows != "signed":
        return "", {"magnitude": "strength", "relevance": "relevance"}[explanation.shows]
    return ("apart", "together") if explanation.target == "closeness" else ("lowers", "raises")
