"""Texts: ids of tokens, or their embeddings."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor

from xsiamese.kinds.dense import Dense, check
from xsiamese.kinds.kind import Packed
from xsiamese.kinds.presence import PresenceSide
from xsiamese.kinds.side import Form, Leaves, Side, TensorSide
from xsiamese.kinds.words import Texts


class TokenSide(PresenceSide):
    """Ids of tokens whose texts are known.

    Attributes:
        pieces: the text of each token, one tuple a pair.
    """

    pieces: tuple[tuple[str, ...], ...] = ()

    def called(self, pieces: Sequence[tuple[str, ...]]) -> Self:
        """This side with the texts of its tokens."""
        self.pieces = tuple(pieces)
        return self

    def select(self, which: Tensor) -> Self:
        return super().select(which).called([self.pieces[i] for i in which.tolist()])

    def slice(self, start: int, stop: int) -> Self:
        return super().slice(start, stop).called(self.pieces[start:stop])


class Text(Dense):
    """Texts as ids of tokens (pairs, tokens), alone, as (ids, mask) or as a mapping with ``input_ids``, of which
    :class:`~xsiamese.kinds.words.Texts` knows its words; or as embeddings (pairs, tokens, dimensions), which must be
    said, since series look the same, or are the ``inputs_embeds`` of a mapping.

    Ids are names and cannot move: a method that removes tokens explains whether each is there, and a method that needs
    a gradient explains the embedding layer. Where the mask is 0 there is nothing to remove.

    Args:
        missing: the id that comes in place of a token that is missing: padding, or better the mask token of a model
            that has one. ``baselines=`` says it for a single call.
        special: ids that are never missing, such as the beginning and the end of a text.
        words: the text of an id, for pictures; its number if left out.

    Example:
        >>> Text(missing=103, special=(101, 102)).side(torch.tensor([[101, 7, 8, 102]]), "a").leaves[2]
        tensor([[ True, False, False,  True]])
    """

    name = "text"
    dims = frozenset({2})
    also = frozenset({3})
    shapes = "(pairs, tokens), or (pairs, tokens, dimensions) of embeddings"

    def __init__(
        self, missing: int = 0, special: Collection[int] = (), words: Callable[[int], str] | None = None
    ) -> None:
        self.pad = missing
        self.special = tuple(special)
        self.words = words or str

    def side(self, item: Any, name: str, *, asked: bool = False) -> Side | None:
        if not isinstance(item, Texts):
            return super().side(item, name, asked=asked)
        form, leaves = Form.of(item)
        check(form, leaves, name)
        return TokenSide.of(leaves, form, self.name, item.missing, ~item.own).called(item.pieces)

    def shows(self, form: Form, leaves: Leaves, shown: Tensor) -> bool:
        if shown.is_floating_point():
            return "inputs_embeds" in form.keys and shown.dim() in self.also
        return "input_ids" in form.keys or (shown.dim() == 2 and shown.dtype in (torch.int32, torch.int64))

    def gated(self, form: Form, leaves: Leaves) -> Side:
        order = sorted(range(len(leaves)), key=lambda i: form.keys[i : i + 1] != ("input_ids",))  # ids come first
        leaves, keys = tuple(leaves[i] for i in order), tuple(form.keys[i] for i in order if form.keys)
        ids, mask = leaves[0], self.mask(keys, leaves)
        kept = torch.isin(ids, ids.new_tensor(self.special))
        if mask is not None:
            kept |= mask == 0
        return PresenceSide.of(leaves, Form(keys, form.single), self.name, self.pad, kept)

    def labels(self, side: Side, pair: int) -> Sequence[str] | None:
        """The tokens of one text."""
        if isinstance(side, TokenSide):
            return side.pieces[pair]
        if isinstance(side, PresenceSide):
            return [self.words(number) for number in side.own[0][pair].tolist()]
        return [str(i) for i in range(side.leaves[0].shape[1])] if isinstance(side, TensorSide) else None

    def take(self, item: Any, which: Tensor) -> Any:
        return item.take(which) if isinstance(item, Texts) else super().take(item, which)

    def pack(self, item: Any) -> Packed:
        return item.packed() if isinstance(item, Texts) else super().pack(item)

    def unpack(self, tensors: Mapping[str, Tensor], about: Any) -> Any:
        return Texts.unpacked(tensors, about) if "pieces" in about else super().unpack(tensors, about)

    def mask(self, keys: tuple[str, ...], leaves: Leaves) -> Tensor | None:
        """Which tokens count: the ``attention_mask`` of a mapping, or the second of two tensors."""
        if keys:
            return super().mask(keys, leaves)
        return leaves[1] if len(leaves) > 1 and leaves[1].shape == leaves[0].shape else None
