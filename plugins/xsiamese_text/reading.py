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
from xsiamese_text.ids import are_ids, described, ends_in_padding, tensors
from xsiamese_text.records import Record
from xsiamese_text.split import Span, Split, nearest_to_padding, placed, turned

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
        positions: how many tokens the model has positions for; None does not check.
        step: of what number of tokens the model reads a multiple, to which it would fill texts up itself.

    Attributes:
        read: finds out whether the model reads padding though it takes a mask, once a text is filled up; or what it
            found.

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
        positions: int | None = None,
        step: int = 1,
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
        self.missing = nearest_to_padding(tokenizer) if missing is None else missing
        if not 0 <= self.missing < self.vocabulary:
            raise ValueError(f"missing={self.missing}: the model knows ids from 0 to {self.vocabulary - 1}")
        pad = tokenizer.pad_token_id
        self.fill = {
            "input_ids": self.missing if pad is None else pad,
            "token_type_ids": getattr(tokenizer, "pad_token_type_id", 0),
        }
        self.left = getattr(tokenizer, "padding_side", "right") == "left"
        self.features = features
        self.specials = specials
        self.prompt = prompt
        self.filled = filled
        self.positions = positions
        self.step = step
        self.read: bool | Callable[[], bool] = False

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
        if hasattr(item, "tolist") and not isinstance(item, Tensor):  # an array, a column of a table
            item = item.tolist()
        if isinstance(item, str) or Record.shown_by(item):
            item = [item]
        if isinstance(item, (list, tuple)) and item and all(isinstance(text, str) for text in item):
            return self._of_texts([str(text) for text in item], name)
        if isinstance(item, (list, tuple)) and item and all(map(Record.shown_by, item)):
            rows = [Record(row) for row in item]
            return self._of_texts([row.text for row in rows], name, rows)
        if isinstance(item, (list, tuple)) and not item:
            raise ValueError(f"input {name} holds no text")
        if are_ids(item):
            return self._of_ids({"input_ids": item}, name)
        if hasattr(item, "keys") and "input_ids" in item and are_ids(item["input_ids"]):
            return self._of_ids({key: item[key] for key in item.keys()}, name)  # noqa: SIM118 (a BatchEncoding)
        raise TypeError(f"input {name} is {described(item)}: this model takes texts, a list of strings or their ids")

    def _of_texts(self, texts: list[str], name: str, rows: Sequence[Record] = ()) -> Texts:
        for number, text in enumerate(texts):
            if not text.strip() or (rows and not rows[number].filled):
                raise ValueError(f"text {number} of {name} is empty: {text!r}")
        whole = [self.prompt + text for text in texts]
        split = Split.of(self.tokenizer, whole, name, self.specials)
        if self._tell_cut(split, name):
            split = Split.of(self.tokenizer, whole, name, self.specials, self.longest)
        width = self.longest if self.filled and self.longest else split.longest
        # a model that is told of no padding reads it: it stays where the tokenizer has it
        masked = "attention_mask" in self.takes
        left = not masked and self.left
        if self.features is None:
            inputs = self._inputs(split.filled(self.fill, width, left), name)
        else:
            inputs = turned(self._inputs(self.features(texts), name))
        self._tell_read([len(own) for own in split.ids], split.longest, masked, name)
        ids = inputs["input_ids"]
        special, width = self._special(ids, inputs.get("attention_mask")), ids.shape[1]
        spans: list[list[Span]] | None = None
        if split.longest <= width:
            read = torch.tensor(placed(split.ids, -1, width, left))
            if bool(((read < 0) | (read == ids)).all()):  # and not what a model puts before its texts
                special |= torch.tensor(placed(split.special, True, width, left))
                if split.spans is not None:
                    spans = placed(split.spans, (0, 0), width, left)
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
        given = tensors(given, self.takes, self.fill, self.left)
        inputs = self._inputs(given, name)
        ids = inputs["input_ids"]
        largest, smallest = int(ids.max()), int(ids.min())
        if largest >= self.vocabulary or smallest < 0:
            wrong = largest if largest >= self.vocabulary else smallest
            raise ValueError(
                f"input {name} holds the id {wrong}: the model knows those from 0 to {self.vocabulary - 1}"
            )
        if "attention_mask" in self.takes and "attention_mask" not in given and ends_in_padding(ids, self.tokenizer):
            warnings.warn(
                f"input {name} holds padding ({self.tokenizer.pad_token}) and no attention_mask, so that the model "
                'reads it: give {"input_ids": ids, "attention_mask": mask}',
                stacklevel=5,
            )
        if "attention_mask" in inputs:
            counts = inputs["attention_mask"].sum(1).tolist()
            self._tell_read(counts, max(counts), True, name)
        return self._named(inputs, self._special(ids, inputs.get("attention_mask")), name)

    def _named(
        self,
        inputs: Mapping[str, Tensor],
        special: Tensor,
        name: str,
        texts: Sequence[str] | None = None,
        spans: Sequence[Sequence[Span]] | None = None,
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

    def _inputs(self, found: Mapping[str, Any], name: str) -> dict[str, Tensor]:
        """What the model takes, ids first; a mask of ones where there is none."""
        ids = found["input_ids"]
        inputs = {"input_ids": ids}
        inputs |= {key: found[key] for key in self.takes if key in found and isinstance(found[key], Tensor)}
        if "attention_mask" in inputs:
            inputs["attention_mask"] = inputs["attention_mask"].to(ids.dtype)  # which some have as floats
        if "attention_mask" in self.takes and "attention_mask" not in inputs:
            inputs["attention_mask"] = torch.ones_like(ids)
        for key, one in inputs.items():
            if one.shape != ids.shape:
                raise ValueError(
                    f"input {name} holds {key} of shape {tuple(one.shape)} for ids of shape {tuple(ids.shape)}"
                )
        if self.positions is not None and ids.shape[1] > self.positions:
            raise ValueError(
                f"input {name} holds {ids.shape[1]} tokens a text, and the model has positions for {self.positions}: "
                "cut the ids, or texts by longest= or the model's own max_seq_length"
            )
        more = -ids.shape[1] % self.step
        if more and "attention_mask" in inputs and (self.positions is None or ids.shape[1] + more <= self.positions):
            inputs = {key: functional.pad(one, (0, more), value=self.fill.get(key, 0)) for key, one in inputs.items()}
        return inputs

    def _special(self, ids: Tensor, mask: Tensor | None) -> Tensor:
        """Where a token is none of the text's own: begins, ends, separates or fills up."""
        of_text = {self.tokenizer.unk_token_id, self.tokenizer.mask_token_id}
        known = [one for one in self.tokenizer.all_special_ids if one not in of_text]
        special = torch.isin(ids, torch.tensor(known, dtype=ids.dtype, device=ids.device))
        return special if mask is None else special | (mask == 0)

    def _tell_cut(self, split: Split, name: str) -> bool:
        """Whether a text is longer than what the model reads, with a warning."""
        longest = self.longest
        cut = {number: len(ids) - longest for number, ids in enumerate(split.ids) if longest and len(ids) > longest}
        if cut:
            which = ", ".join(f"{number} ({count} cut)" for number, count in list(cut.items())[:8])
            warnings.warn(f"the model reads {longest} tokens, and texts of {name} are longer: {which}", stacklevel=6)
        return bool(cut)

    def _tell_read(self, counts: Sequence[int], width: int, masked: bool, name: str) -> None:
        """Tells that a model reads what fills its texts up to the longest beside them."""
        short = [number for number, count in enumerate(counts) if count < width]
        if not short or self.filled:
            return
        if not isinstance(self.read, bool):
            self.read = self.read()
        if self.read or not masked:
            why = "reads padding whatever its attention_mask says, and" if masked else "takes no attention_mask and"
            warnings.warn(
                f"the model {why} reads what fills up text {short[0]} of {name} to the {width} tokens of the longest "
                "beside it: alone it has another score",
                stacklevel=6,
            )
