"""What a tokenizer makes of texts, a list of tokens a text; what fills them up to one length is put there here."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

Span = tuple[int, int]
_One = TypeVar("_One")


@dataclass(frozen=True)
class Split:
    """Texts as a tokenizer splits them, none filled up: it need know no padding, nor give tensors.

    Attributes:
        ids: of the tokens of each text.
        special: which of them are none of the text's own, as the tokenizer says.
        spans: where each begins and ends in its text; None where the tokenizer does not say.
        types: of each token; None where there are none.
    """

    ids: list[list[int]]
    special: list[list[bool]]
    spans: list[list[Span]] | None
    types: list[list[int]] | None

    @classmethod
    def of(cls, tokenizer: Any, texts: list[str], name: str, specials: bool, longest: int | None = None) -> Split:
        """What a tokenizer makes of texts.

        Args:
            tokenizer: one of transformers, or one that is asked as they are.
            texts: the texts.
            name: how errors call them.
            specials: whether beginnings and ends are added.
            longest: the most tokens of a text; None cuts nothing off.

        Raises:
            ValueError: if what the tokenizer says of the special tokens of a text is of another number of tokens.
        """
        found = tokenizer(
            texts, add_special_tokens=specials, truncation=longest is not None, max_length=longest, verbose=False,
            return_special_tokens_mask=True, return_offsets_mapping=bool(tokenizer.is_fast),
        )  # fmt: skip
        ids = _lists(found["input_ids"])
        marks = _lists(found["special_tokens_mask"]) if "special_tokens_mask" in found else [[0] * len(x) for x in ids]
        for number, (own, mark) in enumerate(zip(ids, marks, strict=True)):
            if len(own) != len(mark):
                raise ValueError(
                    f"text {number} of {name} has {len(own)} tokens, and the special tokens mask of the "
                    f"{type(tokenizer).__name__} {len(mark)}: its get_special_tokens_mask must count those that its "
                    "build_inputs_with_special_tokens adds"
                )
        spans = [[(start, stop) for start, stop in row] for row in _lists(found.get("offset_mapping") or [])]
        types = _lists(found["token_type_ids"]) if "token_type_ids" in found else None
        return cls(ids, [[bool(one) for one in row] for row in marks], spans or None, types)

    @property
    def longest(self) -> int:
        """How many tokens the longest text has."""
        return max(map(len, self.ids))

    def filled(self, fill: Mapping[str, int], width: int, left: bool) -> dict[str, Tensor]:
        """The texts as tensors of one length: ids, a mask and types.

        Args:
            fill: what fills up the ids, and the types.
            width: how many tokens each has then.
            left: whether padding stands before a text, and not behind it.
        """
        rows = {"input_ids": self.ids, "attention_mask": [[1] * len(ids) for ids in self.ids]}
        if self.types is not None:
            rows["token_type_ids"] = self.types
        return {key: torch.tensor(placed(row, fill.get(key, 0), width, left)) for key, row in rows.items()}


def placed(rows: Sequence[Sequence[_One]], fill: _One, width: int, left: bool) -> list[list[_One]]:
    """Rows filled up to one length, behind them or before.

    Example:
        >>> placed([[1, 2], [3]], 0, 2, True)
        [[1, 2], [0, 3]]
    """
    around = [(list(row), [fill] * (width - len(row))) for row in rows]
    return [more + row if left else row + more for row, more in around]


def turned(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same texts with padding behind them: before a text it would move the positions that many models count.

    Example:
        >>> turned({"input_ids": torch.tensor([[0, 0, 7, 8]]), "attention_mask": torch.tensor([[0, 0, 1, 1]])})
        {'input_ids': tensor([[7, 8, 0, 0]]), 'attention_mask': tensor([[1, 1, 0, 0]])}
    """
    mask = inputs.get("attention_mask")
    if mask is None or bool((mask.diff(dim=1) <= 0).all()):
        return dict(inputs)
    order = (mask == 0).to(torch.int8).argsort(dim=1, stable=True)
    return {key: one.gather(1, order) for key, one in inputs.items()}


def nearest_to_padding(tokenizer: Any) -> int:
    """The id of what stands for a token that is missing: padding, or what comes nearest to it."""
    for name in ("pad_token_id", "unk_token_id", "eos_token_id"):
        known = getattr(tokenizer, name, None)
        if known is not None:
            return int(known)
    warnings.warn(
        "the tokenizer has no padding, no unknown token and no end: a token that is missing becomes the one with the "
        f"id 0, {tokenizer.convert_ids_to_tokens([0])[0]!r}; missing= takes another",
        stacklevel=4,
    )
    return 0


def _lists(rows: Any) -> list[list[Any]]:
    return [row.tolist() if hasattr(row, "tolist") else list(row) for row in rows]
