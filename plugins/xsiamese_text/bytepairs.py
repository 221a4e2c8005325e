"""From strings to tokens by the tokenizer of open_clip, which is none of transformers."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from copy import copy
from typing import Any, Self

import torch

from xsiamese.author import Texts

_END = "</w>"  # of a token that ends a word


class BytePairReader:
    """Splits texts with a ``SimpleTokenizer`` of open_clip.

    Args:
        tokenizer: the model's own.
        vocabulary: how many ids the model knows; None does not check.
        missing: the id that comes in place of a token that is missing.

    Raises:
        ValueError: if the tokenizer shows no byte pairs, or is of another model.
    """

    def __init__(self, tokenizer: Any, vocabulary: int | None = None, missing: int = 0) -> None:
        if not hasattr(tokenizer, "encode") or not hasattr(tokenizer, "decoder"):
            raise ValueError(
                f"a {type(tokenizer).__name__} shows no byte pairs: a SimpleTokenizer of open_clip is needed"
            )
        if vocabulary is not None and tokenizer.vocab_size > vocabulary:
            raise ValueError(
                f"the tokenizer knows {tokenizer.vocab_size} tokens and the model {vocabulary}: it is the tokenizer of "
                "another model"
            )
        if not 0 <= missing < (vocabulary or tokenizer.vocab_size):
            raise ValueError(
                f"missing={missing}: the model knows ids from 0 to {(vocabulary or tokenizer.vocab_size) - 1}"
            )
        self.tokenizer = tokenizer
        self.missing = missing

    def __deepcopy__(self, memo: Any) -> Self:
        """Copies share the tokenizer, as a :class:`~xsiamese_text.reading.Reader`'s do."""
        return copy(self)

    def __call__(self, item: Any, name: str) -> Texts:
        """The tokens of a batch of texts.

        Raises:
            TypeError: if it is something else.
            ValueError: if there is no text, or one is empty.
        """
        if isinstance(item, Texts):
            return item
        texts = [item] if isinstance(item, str) else item
        if isinstance(texts, (list, tuple)) and not texts:
            raise ValueError(f"input {name} holds no text")
        if not isinstance(texts, (list, tuple)) or not all(isinstance(text, str) for text in texts):
            raise TypeError(f"input {name} is a {type(item).__name__}: this model takes texts, a list of strings")
        for number, text in enumerate(texts):
            if not text.strip():
                raise ValueError(f"text {number} of {name} is empty: {text!r}")
        ids = self.tokenizer(list(texts))
        self._tell_cut(texts, ids.shape[1], name)
        specials = torch.tensor([self.tokenizer.sot_token_id, self.tokenizer.eot_token_id])
        ends = (ids == self.tokenizer.eot_token_id).int().argmax(1)  # what comes after the end fills up
        own = ~torch.isin(ids, specials) & (torch.arange(ids.shape[1]) < ends[:, None])
        numbers, words, pieces = [], [], []
        for row, (of_text, mine) in enumerate(zip(ids.tolist(), own.tolist(), strict=True)):
            if not any(mine):
                raise ValueError(f"text {row} of {name} holds no token of its own, only special ones: {texts[row]!r}")
            names = [str(self.tokenizer.decoder[one]) for one in of_text]
            word_of = _numbered(names, mine)
            of_word: dict[int, list[int]] = {}
            for one, word in zip(of_text, word_of, strict=True):
                of_word.setdefault(word, []).append(one)
            numbers.append(word_of)
            words.append([self.tokenizer.decode(of_word[word]).strip() for word in range(max(word_of) + 1)])
            pieces.append(names)
        return Texts({"input_ids": ids}, pieces, torch.tensor(numbers), words, self.missing)

    def _tell_cut(self, texts: Sequence[str], longest: int, name: str) -> None:
        cut = {number: len(self.tokenizer.encode(text)) + 2 - longest for number, text in enumerate(texts)}
        which = ", ".join(f"{number} ({count} cut)" for number, count in cut.items() if count > 0)
        if which:
            warnings.warn(f"the model reads {longest} tokens, and texts of {name} are longer: {which}", stacklevel=4)


def _numbered(pieces: Sequence[str], own: Sequence[bool]) -> list[int]:
    """The word that each piece is of, -1 for none: a word ends where a piece says so.

    Example:
        >>> _numbered(["<s>", "sleep", "y</w>", "cat</w>"], [False, True, True, True])
        [-1, 0, 0, 1]
    """
    numbers, word = [], 0
    for piece, mine in zip(pieces, own, strict=True):
        numbers.append(word if mine else -1)
        word += mine and piece.endswith(_END)
    return numbers
