"""From strings to tokens: a tokenizer of transformers or of sentence-transformers, and what it must not be given."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional

from xsiamese.author import Texts, words_of
from xsiamese_text.records import Record

# the inputs of a model of transformers that a tokenizer gives and that have a value a token
_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


class Reader:
    """Splits texts with a tokenizer of transformers.

    Args:
        tokenizer: the model's own.
        vocabulary: how many ids the model knows; None does not check.
        longest: the most tokens that it reads; None takes the tokenizer's, if that is a number.
        takes: which of the tokenizer's outputs the model takes.
        missing: the id that comes in place of a token that is missing; None takes the tokenizer's padding.
        features: gives a model's inputs for texts, where they are more than the tokenizer's.
        specials: whether beginnings and ends are added.
        prompt: what the model is told before each text; its tokens are none of the text's own.
        filled: whether every text is filled up to the longest that the model reads.

    Raises:
        ValueError: if the tokenizer is of another model.
    """

    def __init__(
        self,
        tokenizer: Any,
        vocabulary: int | None = None,
        longest: int | None = None,
        *,
        takes: Sequence[str] = _INPUTS,
        missing: int | None = None,
        features: Callable[[list[str]], Mapping[str, Any]] | None = None,
        specials: bool = True,
        prompt: str = "",
        filled: bool = False,
    ) -> None:
        known = len(tokenizer)
        if vocabulary is not None and known > vocabulary:
            raise ValueError(
                f"the tokenizer knows {known} tokens and the model {vocabulary}: it is the tokenizer of another model"
            )
        if vocabulary is not None and known < 0.98 * vocabulary:  # tables are filled up to a round number
            warnings.warn(
                f"the tokenizer knows {known} tokens and the model {vocabulary}: make sure that it is the model's own",
                stacklevel=3,
            )
        self.tokenizer = tokenizer
        self.vocabulary = vocabulary or known
        own = tokenizer.model_max_length
        self.longest = longest or (int(own) if own < 10**6 else None)  # a huge number stands for none
        self.takes = tuple(takes)
        pad = tokenizer.pad_token_id
        self.missing = int(next(one for one in (missing, pad, tokenizer.unk_token_id, 0) if one is not None))
        if not 0 <= self.missing < self.vocabulary:
            raise ValueError(f"missing={self.missing}: the model knows ids from 0 to {self.vocabulary - 1}")
        self.features = features
        self.specials = specials
        self.prompt = prompt
        self.filled = filled

    def __deepcopy__(self, memo: Any) -> Self:
        """Copies share the tokenizer: it is as slow to copy as a model, and splitting changes nothing in it."""
        return copy(self)

    def __call__(self, item: Any, name: str) -> Texts:
        """The tokens of a batch of texts.

        Args:
            item: texts, or one text; rows of text columns, each a mapping of names to texts; or what a tokenizer gave:
                a ``BatchEncoding``, a mapping, or ids.
            name: how errors call it.

        Raises:
            TypeError: if it is something else.
            ValueError: if there is no text, or one is empty or holds no token of its own, or an id is unknown.
        """
        if isinstance(item, Texts):
            return item
        if isinstance(item, str) or Record.shown_by(item):
            item = [item]
        if isinstance(item, (list, tuple)) and item and all(isinstance(text, str) for text in item):
            return self._of_texts([str(text) for text in item], name)
        if isinstance(item, (list, tuple)) and item and all(map(Record.shown_by, item)):
            rows = [Record(row) for row in item]
            return self._of_texts([row.text for row in rows], name, rows)
        if isinstance(item, (list, tuple)) and not item:
            raise ValueError(f"input {name} holds no text")
        if isinstance(item, (list, tuple)) and all(
            isinstance(text, Sequence) and not isinstance(text, (str, bytes)) and all(isinstance(i, int) for i in text)
            for text in item
        ):
            return self._of_ids(self._padded([list(text) for text in item]), name)
        if isinstance(item, Tensor) and not item.is_floating_point() and item.dim() == 2:
            return self._of_ids({"input_ids": item}, name)
        if hasattr(item, "keys") and isinstance(item.get("input_ids"), Tensor):
            return self._of_ids({key: item[key] for key in item.keys()}, name)  # noqa: SIM118 (a BatchEncoding)
        raise TypeError(f"input {name} is {_described(item)}: this model takes texts, a list of strings or their ids")

    def _of_texts(self, texts: list[str], name: str, rows: Sequence[Record] = ()) -> Texts:
        for number, text in enumerate(texts):
            if not text.strip() or (rows and not rows[number].filled):
                raise ValueError(f"text {number} of {name} is empty: {text!r}")
        whole = [self.prompt + text for text in texts]
        found = self.tokenizer(
            whole, padding="max_length" if self.filled else True, truncation=self.longest is not None,
            max_length=self.longest, return_tensors="pt",
            return_special_tokens_mask=True, add_special_tokens=self.specials,
            return_offsets_mapping=bool(self.tokenizer.is_fast),
        )  # fmt: skip
        inputs = self._inputs(found if self.features is None else self.features(texts))
        self._tell_cut(whole, name)
        ids = inputs["input_ids"]
        special, read = self._special(ids, inputs.get("attention_mask")), found["input_ids"]
        spans: list[list[tuple[int, int]]] | None = None
        if read.shape[1] <= ids.shape[1] and bool((read == ids[:, : read.shape[1]]).all()):
            added = ids.shape[1] - read.shape[1]  # what a model of queries fills up with, after the text
            special |= functional.pad(found["special_tokens_mask"].bool(), (0, added), value=True)
            if "offset_mapping" in found:
                spans = [[tuple(span) for span in row] + [(0, 0)] * added for row in found["offset_mapping"].tolist()]
                special |= torch.tensor([[0 < stop <= len(self.prompt) for _, stop in row] for row in spans])
        if not rows:
            return self._named(inputs, special, name, whole, spans)
        if spans is None:
            raise ValueError(
                f"input {name} holds rows of text columns, and the tokenizer does not say where its tokens stand: a "
                "fast one is needed"
            )
        columns = [
            [row.column(self.prompt, text, span) for span in of_text]
            for row, text, of_text in zip(rows, whole, spans, strict=True)
        ]
        special |= torch.tensor(
            [[one is None for one in of_text] for of_text in columns]
        )  # what stands between columns
        made = self._named(inputs, special, name, whole, spans)
        column_of = []
        for numbers, of_text in zip(made.word_of.tolist(), columns, strict=True):
            first = {
                word: column for word, column in zip(reversed(numbers), reversed(of_text), strict=True) if word >= 0
            }
            column_of.append([first[word] or 0 for word in range(len(first))])
        made.columns, made.column_of = tuple(row.names for row in rows), tuple(map(tuple, column_of))
        return made

    def _of_ids(self, given: Mapping[str, Any], name: str) -> Texts:
        inputs = self._inputs(given)
        ids = inputs["input_ids"]
        largest, smallest = int(ids.max()), int(ids.min())
        if largest >= self.vocabulary or smallest < 0:
            wrong = largest if largest >= self.vocabulary else smallest
            raise ValueError(
                f"input {name} holds the id {wrong}: the model knows those from 0 to {self.vocabulary - 1}"
            )
        return self._named(inputs, self._special(ids, inputs.get("attention_mask")), name)

    def _named(
        self,
        inputs: Mapping[str, Tensor],
        special: Tensor,
        name: str,
        texts: Sequence[str] | None = None,
        spans: Sequence[Sequence[tuple[int, int]]] | None = None,
    ) -> Texts:
        """The tokens with their texts and words; words are found by where tokens stand, else each token is one."""
        numbers, words, pieces, unknown = [], [], [], self.tokenizer.unk_token_id
        for row, (ids, skip) in enumerate(zip(inputs["input_ids"].tolist(), special.tolist(), strict=True)):
            names = [str(piece) for piece in self.tokenizer.convert_ids_to_tokens(ids)]
            own = [not one for one in skip]
            if not any(own):
                shown = " ".join(names[:8]) if texts is None else repr(texts[row])
                raise ValueError(f"text {row} of {name} holds no token of its own, only special ones: {shown}")
            if unknown is not None and {one for one, mine in zip(ids, own, strict=True) if mine} == {unknown}:
                warnings.warn(
                    f"text {row} of {name} holds no token that the tokenizer knows, only {self.tokenizer.unk_token}: "
                    "is it in the model's language, and the tokenizer the model's own?",
                    stacklevel=6,
                )
            if texts is not None and spans is not None:
                number, word = words_of(texts[row], spans[row], own)
            else:
                word = [one for one, mine in zip(names, own, strict=True) if mine]
                count = iter(range(len(word)))
                number = [next(count) if mine else -1 for mine in own]
            numbers.append(number)
            words.append(word)
            pieces.append(names)
        return Texts(inputs, pieces, torch.tensor(numbers), words, self.missing)

    def _inputs(self, found: Mapping[str, Any]) -> dict[str, Tensor]:
        """What the model takes, ids first; a mask of ones where there is none."""
        inputs = {"input_ids": found["input_ids"]}
        inputs |= {key: found[key] for key in self.takes if key in found and isinstance(found[key], Tensor)}
        if "attention_mask" in self.takes and "attention_mask" not in inputs:
            inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        return inputs

    def _special(self, ids: Tensor, mask: Tensor | None) -> Tensor:
        """Where a token is none of the text's own: begins, ends, separates or fills up."""
        of_text = {self.tokenizer.unk_token_id, self.tokenizer.mask_token_id}
        known = [one for one in self.tokenizer.all_special_ids if one not in of_text]
        special = torch.isin(ids, torch.tensor(known, dtype=ids.dtype, device=ids.device))
        return special if mask is None else special | (mask == 0)

    def _tell_cut(self, texts: list[str], name: str) -> None:
        if self.longest is None:
            return
        whole = self.tokenizer(texts, add_special_tokens=self.specials, truncation=False, verbose=False)["input_ids"]
        cut = {number: len(ids) - self.longest for number, ids in enumerate(whole) if len(ids) > self.longest}
        if cut:
            which = ", ".join(f"{number} ({count} cut)" for number, count in list(cut.items())[:8])
            warnings.warn(
                f"the model reads {self.longest} tokens, and texts of {name} are longer: {which}", stacklevel=6
            )

    def _padded(self, texts: list[list[int]]) -> dict[str, Tensor]:
        longest, pad = max(map(len, texts)), self.tokenizer.pad_token_id or 0
        return {
            "input_ids": torch.tensor([ids + [pad] * (longest - len(ids)) for ids in texts]),
            "attention_mask": torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids in texts]),
        }


def _described(item: Any) -> str:
    if isinstance(item, Tensor):
        return f"a tensor of shape {tuple(item.shape)}, {str(item.dtype).removeprefix('torch.')}"
    if isinstance(item, (list, tuple)):
        return f"a {type(item).__name__} of {type(item[0]).__name__}"
    return f"a {type(item).__name__}"
