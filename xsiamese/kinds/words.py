"""Texts that a tokenizer has split: ids for the model, and for people the pieces and the words that they are of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

# a run of letters and digits, with what joins it inside; each sign of a script without spaces; a run of other marks
_WORD = re.compile(r"[぀-ヿ㐀-鿿]|[^\W぀-ヿ㐀-鿿]+(?:['’-][^\W぀-ヿ㐀-鿿]+)*|[^\w\s]+")


class Texts(Mapping[str, Tensor]):
    """A batch of texts as a model takes them, a mapping of tensors (pairs, tokens), with what people read.

    Args:
        tensors: ``input_ids`` first, then what rides along, such as ``attention_mask``.
        pieces: the text of each token, one tuple a text.
        word_of: the word that each token is of, numbered from 0 in each text, shape (pairs, tokens); -1 for tokens that
            are none of the text's own: beginnings and ends, padding.
        words: the words of each text, one tuple a text.
        missing: the id that comes in place of a token that is missing.
        columns: of texts that are rows of text columns the names of these, one tuple a text.
        column_of: with them the number of the column of each word, one tuple a text.

    Example:
        >>> ids, word_of = torch.tensor([[1, 7, 8, 2]]), torch.tensor([[-1, 0, 0, -1]])
        >>> text = Texts({"input_ids": ids}, [("[CLS]", "sleep", "##y", "[SEP]")], word_of, [("sleepy",)])
        >>> text.by_word(torch.tensor([[9.0, 1.0, 2.0, 9.0]]))
        [(('sleepy',), tensor([3.]))]
    """

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        pieces: Sequence[Sequence[str]],
        word_of: Tensor,
        words: Sequence[Sequence[str]],
        missing: int = 0,
        *,
        columns: Sequence[Sequence[str]] = (),
        column_of: Sequence[Sequence[int]] = (),
    ) -> None:
        self.tensors = dict(tensors)
        self.pieces = tuple(map(tuple, pieces))
        self.word_of = word_of
        self.words = tuple(map(tuple, words))
        self.missing = missing
        self.columns = tuple(map(tuple, columns))
        self.column_of = tuple(map(tuple, column_of))

    def __getitem__(self, key: str) -> Tensor:
        return self.tensors[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)

    def __repr__(self) -> str:
        pairs, tokens = self.word_of.shape
        return f"Texts({pairs} texts of up to {tokens} tokens)"

    @property
    def own(self) -> Tensor:
        """Which tokens are the text's own, shape (pairs, tokens), boolean."""
        return self.word_of >= 0

    def take(self, which: Tensor) -> Texts:
        """The texts with these numbers."""
        rows = which.tolist()
        return Texts(
            {key: tensor[which.to(tensor.device)] for key, tensor in self.tensors.items()},
            [self.pieces[i] for i in rows],
            self.word_of[which.to(self.word_of.device)],
            [self.words[i] for i in rows],
            self.missing,
            columns=[self.columns[i] for i in rows] if self.columns else (),
            column_of=[self.column_of[i] for i in rows] if self.columns else (),
        )

    def to(self, device: torch.device) -> Texts:
        """The same texts on another device."""
        tensors = {key: tensor.to(device) for key, tensor in self.tensors.items()}
        word_of = self.word_of.to(device)
        return Texts(
            tensors, self.pieces, word_of, self.words, self.missing, columns=self.columns, column_of=self.column_of
        )

    def by_token(self, values: Tensor) -> Tensor:
        """One value a token, shape (pairs, tokens): what a token's dimensions sum to, and 0 where it is none of the
        text's own.

        Args:
            values: of a map, shape (pairs, tokens), (pairs, 1, tokens) as a class activation map has it, or
                (pairs, tokens, dimensions).

        Raises:
            ValueError: if the values are not of these tokens.
        """
        shape = tuple(self.word_of.shape)
        if values.dim() == 3 and tuple(values.shape[:2]) == shape:
            values = values.sum(2)
        elif values.dim() == 3 and values.shape[1] == 1:
            values = values[:, 0]
        if tuple(values.shape) != shape:
            raise ValueError(f"values of shape {tuple(values.shape)} are not of {shape[0]} texts of {shape[1]} tokens")
        return values * self.own.to(values)

    def by_word(self, values: Tensor) -> list[tuple[tuple[str, ...], Tensor]]:
        """The words of each text and one value a word, the sum over its tokens.

        Args:
            values: see :meth:`by_token`.
        """
        found = []
        for names, number, row in zip(self.words, self.word_of.to(values.device), self.by_token(values), strict=True):
            own = number >= 0  # what is none of the text's own has no word to be added to
            found.append((names, row.new_zeros(len(names)).index_add(0, number[own], row[own])))
        return found

    def by_column(self, values: Tensor) -> list[tuple[tuple[str, ...], Tensor]]:
        """The columns of each row of text columns and one value a column, the sum over its words; 0 for an empty one.

        Args:
            values: see :meth:`by_token`.

        Raises:
            ValueError: if the texts are no rows of columns.
        """
        if not self.columns:
            raise ValueError("these texts have no columns: give each as a mapping, {'title': ..., 'brand': ...}")
        found = []
        for names, number, (_, row) in zip(self.columns, self.column_of, self.by_word(values), strict=True):
            places = torch.tensor(number, dtype=torch.long, device=row.device)
            found.append((names, row.new_zeros(len(names)).index_add(0, places, row)))
        return found

    def packed(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The tensors, and what JSON holds, from which :meth:`unpacked` makes it again."""
        told = {"pieces": self.pieces, "words": self.words, "missing": self.missing, "keys": list(self.tensors)}
        if self.columns:
            told |= {"columns": self.columns, "column_of": self.column_of}
        return {**self.tensors, "word_of": self.word_of}, told

    @classmethod
    def unpacked(cls, tensors: Mapping[str, Tensor], told: Mapping[str, Any]) -> Texts:
        """What :meth:`packed` gave."""
        inputs = {key: tensors[key] for key in told["keys"]}
        columns = {key: told.get(key, ()) for key in ("columns", "column_of")}
        return cls(inputs, told["pieces"], tensors["word_of"], told["words"], told["missing"], **columns)


def words_of(text: str, spans: Sequence[tuple[int, int]], own: Sequence[bool]) -> tuple[list[int], list[str]]:
    """The word that each token is of, by where it stands in the text, and the words.

    Args:
        text: the text.
        spans: where each token begins and ends in it.
        own: which tokens are the text's own.

    Returns:
        The number of the word of each token, -1 where it is none of the text's own, and the words that have tokens.
        Words that share a token are one; a token between two words is a word by itself; one of spaces alone, as it
        begins a word of many tokenizers, is of the word behind it, and behind the last word of that.

    Example:
        >>> words_of("Sleepy dogs", [(0, 5), (5, 6), (6, 7), (7, 11)], [True, True, True, True])
        ([0, 0, 1, 1], ['Sleepy', 'dogs'])
    """
    word_at = {i: match.span() for match in _WORD.finditer(text) for i in range(*match.span())}
    places = [_place(text, span) if mine else None for span, mine in zip(spans, own, strict=True)]
    found: list[tuple[int, int]] = []  # where the words begin and end, each with the tokens that are seen in it
    of_place: dict[int, int] = {}
    for number, place in enumerate(places):
        if place is None:
            continue
        start, stop = word_at.get(place[0], place)[0], word_at.get(place[1] - 1, place)[1]
        if found and start < found[-1][1] and stop > found[-1][0]:
            found[-1] = min(start, found[-1][0]), max(stop, found[-1][1])
        else:
            found.append((start, stop))
        of_place[number] = len(found) - 1
    numbers, behind = [], len(found) - 1
    for number, mine in reversed(list(enumerate(own))):
        behind = of_place.get(number, behind)
        numbers.append(max(behind, 0) if mine else -1)
    return numbers[::-1], [text[slice(*word)] for word in found] or ([text.strip()] if any(own) else [])


def _place(text: str, span: tuple[int, int]) -> tuple[int, int] | None:
    """Where the letters of a token begin and end, None of one without any."""
    letters = [i for i in range(*span) if not text[i].isspace()]
    return (letters[0], letters[-1] + 1) if letters else None
