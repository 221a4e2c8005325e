"""From strings to tokens by a tokenizer of the library tokenizers alone, which loads faster than transformers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

PADDING = "<|pad|>"


class Pieces:
    """A ``tokenizers.Tokenizer`` as :class:`~xsiamese_text.reading.Reader` asks one: as transformers' fast ones are.

    It is asked as it is, and neither copied nor changed: what it fills up with is taken off again. The id of padding is
    that of ``<|pad|>``, or the one behind the vocabulary, which no text has.

    Args:
        tokenizer: one that cuts nothing off.
    """

    is_fast = True
    model_max_length = 10**30
    unk_token = unk_token_id = mask_token_id = None

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        size: int = tokenizer.get_vocab_size()
        known: int | None = tokenizer.token_to_id(PADDING)
        self.pad_token_id = size if known is None else known
        self.all_special_ids = [self.pad_token_id]
        self.size = size + (known is None)

    def __len__(self) -> int:
        return self.size

    def __call__(self, texts: Sequence[str], *, add_special_tokens: bool = True, **_: Any) -> dict[str, list[Any]]:
        """The tokens of texts, none filled up."""
        rows = []
        for text in texts:
            one = self.tokenizer.encode(text, add_special_tokens=add_special_tokens)
            told = zip(one.ids, one.attention_mask, one.special_tokens_mask, one.offsets, strict=True)
            rows.append([(key, mask, special, span) for key, mask, special, span in told if mask])
        names = ("input_ids", "attention_mask", "special_tokens_mask", "offset_mapping")
        return {name: [[one[k] for one in row] for row in rows] for k, name in enumerate(names)}

    def convert_ids_to_tokens(self, ids: Sequence[int]) -> list[str]:
        """What the tokens are called."""
        return [PADDING if one == self.pad_token_id else self.tokenizer.id_to_token(one) for one in ids]
