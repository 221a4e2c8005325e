"""Rows of text columns, as one text for a model and as columns for people."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from typing import Any

BETWEEN = " | "  # as the benchmarks of entity matching write their rows


class Record:
    """A row of text columns as a model reads it, "title | brand | price".

    Args:
        row: the text of each column by its name; None is an empty one.

    Example:
        >>> row = Record({"title": "red shoe", "brand": "Acme"})
        >>> row.text, row.column("", row.text, (10, 15)), row.column("", row.text, (9, 10))
        ('red shoe | Acme', 1, None)
    """

    def __init__(self, row: Mapping[str, Any]) -> None:
        self.names = tuple(map(str, row))
        values = ["" if value is None else " ".join(str(value).split()) for value in row.values()]
        self.text = BETWEEN.join(values)
        self.filled = any(values)
        starts = accumulate((len(value) + len(BETWEEN) for value in values[:-1]), initial=0)
        self.spans = [(start, start + len(value)) for start, value in zip(starts, values, strict=True)]

    @staticmethod
    def shown_by(item: Any) -> bool:
        """Whether something is such a row: a mapping of names to texts and numbers, and not what a tokenizer gave."""
        return (
            isinstance(item, Mapping)
            and bool(item)
            and all(isinstance(key, str) for key in item)
            and all(value is None or isinstance(value, (str, int, float)) for value in item.values())
        )

    def column(self, prompt: str, text: str, span: tuple[int, int]) -> int | None:
        """The number of the column that a token is of, None if it is of none.

        Args:
            prompt: what stands before the row.
            text: the prompt and the row.
            span: where the token begins and ends in that.
        """
        # a token begins with the space before its word, or is that space
        first = next((i for i in range(span[0], len(text)) if not text[i].isspace()), len(text))
        place = first - len(prompt)
        return next((number for number, (start, stop) in enumerate(self.spans) if start <= place < stop), None)
