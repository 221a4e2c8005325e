"""A kind of input, sentences, with leave-one-word-out, as a plugin in one file.

A kind says which items are its own and what the model gets of them; here a word has a number, and 0 is
no word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import torch
from torch import Tensor

from xsiamese import PairAttribution, hookimpl
from xsiamese.author import Kind, Maps, PairBatch, Side
from xsiamese.author import side as side_of

WORDS = 97  # numbers of words; a real plugin has a vocabulary


def number(word: str) -> int:
    """The number of a word, from 1 on."""
    return 1 + crc32(word.lower().encode()) % (WORDS - 1)


@dataclass(frozen=True)
class Lines:
    """What a user gives for one side: a sentence for each pair."""

    texts: tuple[str, ...]


class Sentences(Kind):
    """Sentences in words, of which each is there or missing."""

    name = "sentence"

    def side(self, item: Any, name: str, *, asked: bool = False) -> Side | None:
        if not isinstance(item, Lines):
            return None
        rows = [[number(word) for word in text.split()] for text in item.texts]
        longest = max(map(len, rows), default=0)
        if not longest:
            raise ValueError(f"input {name} holds no word")
        found = side_of(torch.tensor([row + [0] * (longest - len(row)) for row in rows]), name, "text")
        found.kind = self.name
        return found

    # maps are tensors, which the kind that this one is of knows how to count, cut and keep

    def count(self, item: Any) -> int:
        return len(item.texts) if isinstance(item, Lines) else super().count(item)

    def take(self, item: Any, which: Tensor) -> Any:
        return Lines(tuple(item.texts[i] for i in which)) if isinstance(item, Lines) else super().take(item, which)

    def pack(self, item: Any) -> tuple[dict[str, Tensor], Any]:
        return ({}, list(item.texts)) if isinstance(item, Lines) else super().pack(item)

    def unpack(self, tensors: Mapping[str, Tensor], about: Any) -> Any:
        return Lines(tuple(about)) if isinstance(about, list) else super().unpack(tensors, about)


class PairLeaveWordOut(PairAttribution):
    """What the score loses when a word is missing."""

    name = "leave_word_out"
    formula = r"s(x, y) - s(x \setminus i, y)"
    reference = ("zeiler2014",)
    modalities = frozenset({"text", "sentence"})
    uses_gradients = False
    linear = True

    def compute(self, batch: PairBatch) -> Maps:
        """The maps."""
        whole, maps = batch.value(), [torch.zeros_like(leaf) for leaf in batch.moved]
        for found, leaf in zip(maps, batch.moved, strict=True):
            for place in range(leaf.shape[1]):
                without = leaf.clone()
                without[:, place] = 0  # the word's gate, or its embedding
                others = [without if one is leaf else one for one in batch.moved]
                lost = (whole - batch.value(*others)).detach()
                # an embedding's loss is spread over its numbers, so that they sum to it
                found[:, place] = lost.reshape(-1, *[1] * (leaf.dim() - 2)) / leaf[0, 0].numel()
        return batch.maps(maps)


@hookimpl
def xsiamese_kinds() -> Sequence[Kind]:
    """The kind."""
    return [Sentences()]


@hookimpl
def xsiamese_explainers() -> Iterable[type[PairAttribution]]:
    """The method."""
    return [PairLeaveWordOut]
