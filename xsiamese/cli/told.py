"""An explanation for machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xsiamese.data.columns import Columns
from xsiamese.kinds.words import Texts
from xsiamese.result.cells import Largest
from xsiamese.result.explanation import PairExplanation

BLUE, RED = (67, 147, 195), (214, 96, 77)  # of the scale of pictures, bright enough for black letters


def words_of(explanation: PairExplanation, *, colour: bool) -> list[str]:
    """The words of the texts of one pair, a line a side, or a line a column of rows of text columns, each word on the
    colour of its value or with the value behind it; nothing for what is no text.
    """
    if explanation.maps is None:
        return []
    both = zip("ab", explanation.inputs, explanation.maps, strict=True)
    sides = [(name, item, found) for name, item, found in both if isinstance(item, Texts)]
    limit = max((float(item.by_word(found)[0][1].abs().max()) for _, item, found in sides), default=0.0) or 1.0
    lines = []
    for name, item, found in sides:
        words, values = item.by_word(found)[0]
        shown = [
            painted(word, value / limit) if colour else f"{word} {value:+.3f}"
            for word, value in zip(words, values.tolist(), strict=True)
        ]
        between = " " if colour else ", "
        if not item.columns:
            lines.append(f"{name}: {between.join(shown)}")
            continue
        for number, (column, value) in enumerate(zip(*item.by_column(found)[0], strict=True)):
            own = [word for word, of in zip(shown, item.column_of[0], strict=True) if of == number]
            lines.append(f"{name} {column} {value:+.3f}: {between.join(own) or '(empty)'}")
    return lines


def of_text_columns(explanation: PairExplanation) -> dict[str, Any]:
    """Every column of rows of text columns, the strongest first: its words, and their sum in the map."""
    if explanation.maps is None:
        return {}
    found = {}
    for side, item, values in zip("ab", explanation.inputs, explanation.maps, strict=True):
        if not isinstance(item, Texts) or not item.columns:
            continue
        listed: list[dict[str, Any]] = []
        for number, (name, value) in enumerate(zip(*item.by_column(values)[0], strict=True)):
            own = [word for word, of in zip(item.words[0], item.column_of[0], strict=True) if of == number]
            listed.append({"column": name, "text": " ".join(own), "value": float(value)})
        found[side] = sorted(listed, key=lambda one: -abs(one["value"]))
    return {"columns": found} if found else {}


def painted(word: str, strength: float) -> str:
    r"""A word on blue where it pulls together and on red where it pushes apart, the paler the weaker, for a terminal.

    Example:
        >>> painted("cat", 1.0)
        '\x1b[48;2;67;147;195m\x1b[38;2;0;0;0mcat\x1b[0m'
    """
    full = BLUE if strength > 0 else RED
    red, green, blue = (round(255 + (end - 255) * min(abs(strength), 1.0)) for end in full)
    return f"\x1b[48;2;{red};{green};{blue}m\x1b[38;2;0;0;0m{word}\x1b[0m"


def described(
    explanation: PairExplanation,
    outputs: Sequence[Path],
    columns: Columns | None = None,
    texts: tuple[Mapping[str, str], Mapping[str, str]] | None = None,
) -> dict[str, Any]:
    """An explanation of one pair for machines; of rows the strongest features by their names, and each column with what
    the table says in it.
    """
    features = () if columns is None else columns.features

    def strongest(largest: Largest) -> dict[str, Any]:
        cells = explanation.top(3, largest=largest)[0]
        named = [
            [{**cell._asdict(), **({"feature": features[cell.place[0]]} if features else {})} for cell in side]
            for side in cells
        ]
        return dict(zip("ab", named, strict=True))

    places: dict[str, Any] = {}
    if explanation.maps is not None:
        if explanation.shows == "signed":
            places = {"closer": strongest("closer"), "apart": strongest("apart")}
        else:
            places = {{"relevance": "relevant", "magnitude": "strongest"}[explanation.shows]: strongest("either")}
    decision = explanation.decision
    return {
        "method": explanation.method,
        "score": float(explanation.scores[0]),
        "measure": explanation.measure,
        "higher_is_closer": explanation.higher_is_closer,
        "threshold": explanation.threshold,
        "decision": None if decision is None else explanation.verdict(0),
        "target": explanation.target,
        "ids": None if explanation.ids is None else explanation.ids[0],
        "parameters": dict(explanation.parameters),
        "seed": explanation.seed,
        **places,
        **(
            of_text_columns(explanation) if columns is None or texts is None else by_column(explanation, columns, texts)
        ),
        "versions": dict(explanation.versions),
        "output": [str(path) for path in outputs] or None,
        "counterfactuals": [found.packed()[1] for found in getattr(explanation, "counterfactuals", ())],
    }


def by_column(
    explanation: PairExplanation, columns: Columns, texts: tuple[Mapping[str, str], Mapping[str, str]]
) -> dict[str, Any]:
    """Every column of both rows, the strongest first: its text in the table, and its value in the map."""
    if explanation.maps is None or any(m.shape != (1, len(columns.features)) for m in explanation.maps):
        return {}
    found = {}
    for side, values, row in zip("ab", explanation.maps, texts, strict=True):
        per = columns.by_column(values.detach(), "amax" if explanation.unsigned else "sum")[0].tolist()
        listed = [
            {"column": column.name, "text": row[column.name], "value": value}
            for column, value in zip(columns.columns, per, strict=True)
        ]
        found[side] = sorted(listed, key=lambda one: -abs(one["value"]))
    return {"columns": found}
