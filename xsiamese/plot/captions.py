"""What is written beside explanations in pictures of every kind."""

from __future__ import annotations

import re
from textwrap import fill
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
    """A sentence: the method, what its colours say, and how many of the pairs are shown if these are more than
    ``most``.
    """
    rest = f"   first {most} of {len(explanation)} pairs" if len(explanation) > most else ""
    way = {"magnitude": "the darker, the more it counts, either way", "relevance": "the darker, the more it counts"}
    return f"{explanation.method}: {way.get(explanation.shows) or pulls(explanation)}{rest}"


def pulls(explanation: Shown) -> str:
    """What the two colours of signed maps say."""
    if explanation.target == "closeness":
        return "blue pulls together, red pushes apart"
    return f"blue raises {text(explanation.target)}, red lowers it"


def score(explanation: Shown, pair: int) -> str:
    """What the model makes of a pair: its verdict where a threshold is known, else the score and which way is closer,
    or the target's value.
    """
    if explanation.threshold is not None and explanation.target == "closeness":
        return explanation.verdict(pair)
    number = f"{float(explanation.scores[pair]):.3g}"
    if explanation.target != "closeness":
        return f"{text(explanation.target)} {number}"
    return f"score {number} ({'higher' if explanation.higher_is_closer else 'lower'} is closer)"


def beside(explanation: Shown, pair: int) -> str:
    """The same in lines that stand beside one row of a picture, cut where a reader would pause."""
    return "\n".join(fill(part, 31) for part in re.split(r"(?<=,) | (?=\()", score(explanation, pair)))


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
