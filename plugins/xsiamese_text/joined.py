"""Two texts as the one sequence that a cross-encoder reads: where it stands, what is cut, and its score."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from xsiamese.author import Texts


@dataclass(frozen=True)
class Frame:
    """What a tokenizer puts around two texts.

    Attributes:
        ids: before a, between, and after b.
        types: of a's tokens, of b's, and of each of ``ids``; () where a model is told none.
        left: whether padding stands before the sequence.
        longest: the most tokens of the whole, None where there is no limit.
        pad: the id of padding.
    """

    ids: tuple[Sequence[int], Sequence[int], Sequence[int]]
    types: tuple[int, int, Sequence[int], Sequence[int], Sequence[int]] | tuple[()] = ()
    left: bool = False
    longest: int | None = None
    pad: int = 0

    @classmethod
    def of(cls, tokenizer: Any, longest: int | None, types: bool) -> Frame:
        """What a tokenizer puts around a pair of texts.

        Args:
            tokenizer: the model's own, a fast one.
            longest: the most tokens of the whole.
            types: whether the model takes ``token_type_ids``.
        """
        both = tokenizer("a", "b")
        sides = both.sequence_ids()
        first, second = sides.index(0), sides.index(1)
        spans = (
            slice(0, first), slice(len(sides) - sides[::-1].index(0), second),
            slice(len(sides) - sides[::-1].index(1), len(sides)),
        )  # fmt: skip
        ids = [both["input_ids"][span] for span in spans]
        told = both.get("token_type_ids") if types else None
        around = [told[span] for span in spans] if told else []
        of = (told[first], told[second], around[0], around[1], around[2]) if told else ()
        return cls((ids[0], ids[1], ids[2]), of, tokenizer.padding_side == "left", longest, tokenizer.pad_token_id or 0)

    def fitted(self, a: Texts, b: Texts) -> tuple[Texts, Texts]:
        """Both texts as they are read together: of a pair that is too long the longer text is cut, as tokenizers do,
        with a warning.
        """
        if self.longest is None:
            return a, b
        room = self.longest - sum(map(len, self.ids))
        counts = [_counted(texts).sum(1).tolist() for texts in (a, b)]
        shares = [_shares(n, m, room) for n, m in zip(*counts, strict=True)]
        cut = [
            (name, number, n - share[side])
            for side, name in enumerate("ab")
            for number, (n, share) in enumerate(zip(counts[side], shares, strict=True))
            if n > share[side]
        ]
        if not cut:
            return a, b
        which = ", ".join(f"{number} of {name} ({n} cut)" for name, number, n in cut[:8])
        warnings.warn(
            f"the model reads {self.longest} tokens of both texts together, of which {room} are theirs, and some are "
            f"longer: {which}",
            stacklevel=5,
        )
        first, second = zip(*shares, strict=True)
        return self._first(a, first), self._first(b, second)

    def steady(self, model: nn.Module) -> Frame:
        """Padding stands where the tokenizer has it, unless the score of a pair of two tokens moves less with padding
        behind it: positions that are counted from the left move with what stands there.
        """
        if not self.left or model.training:
            return self
        weight = next(model.parameters())
        ids = torch.tensor([[self.pad, self.pad, self.pad]], device=weight.device)
        some = [{"input_ids": ids[:, :n], "attention_mask": (torch.arange(n) < 1).to(ids)[None]} for n in (1, 3)]
        behind = replace(self, left=False)
        with torch.no_grad():
            alone, *padded = (
                Joined(model, self)(some[0], some[0]),
                *(Joined(model, one)(some[1], some[1]) for one in (self, behind)),
            )
        moved = [float((score - alone).abs().max()) for score in padded]
        return behind if moved[1] < moved[0] else self

    def own_part(self, texts: Texts) -> Texts:
        """Ids that came with beginnings and ends, without them: a cross-encoder has its own around both texts."""
        own = texts.own
        return self._kept(texts, (own.cumsum(1) > 0) & (own.flip(1).cumsum(1).flip(1) > 0))

    def _first(self, texts: Texts, most: Sequence[int]) -> Texts:
        counted = _counted(texts)
        return self._kept(texts, counted & (counted.cumsum(1) <= texts["input_ids"].new_tensor(most)[:, None]))

    def _kept(self, texts: Texts, kept: Tensor) -> Texts:
        """The texts with padding in place of all other tokens, as wide as the longest is."""
        order = (~kept).to(torch.int8).argsort(dim=1, stable=True)[:, : int(kept.sum(1).max())]
        stays = kept.gather(1, order)
        tensors = {
            key: torch.where(stays, one.gather(1, order), 0 if key == "attention_mask" else self.pad)
            for key, one in texts.tensors.items()
        }
        word_of = torch.where(stays, texts.word_of.gather(1, order), -1)
        pieces = [[names[i] for i in row] for names, row in zip(texts.pieces, order.tolist(), strict=True)]
        counts = (word_of.amax(1) + 1).tolist()
        words = [names[:count] for names, count in zip(texts.words, counts, strict=True)]
        column_of = [numbers[:count] for numbers, count in zip(texts.column_of, counts, strict=False)]
        return Texts(tensors, pieces, word_of, words, texts.missing, columns=texts.columns, column_of=column_of)


class Joined(nn.Module):
    """The one sequence that a cross-encoder reads, and its score. See :class:`~xsiamese_text.models.JointTextModel`."""

    def __init__(self, model: nn.Module, frame: Frame) -> None:
        super().__init__()
        self.model, self.frame = model, frame

    def forward(self, a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> Tensor:
        """The score of each pair, shape (pairs,), or all that the model gives, (pairs, labels)."""
        rows, own = len(a["input_ids"]), (a["input_ids"], b["input_ids"])
        first, middle, last = (own[0].new_tensor(part).expand(rows, -1) for part in self.frame.ids)
        ids = torch.cat([first, own[0], middle, own[1], last], 1)
        masks = [torch.ones_like(first), a["attention_mask"], torch.ones_like(middle), b["attention_mask"]]
        mask = torch.cat([*masks, torch.ones_like(last)], 1)
        # what counts keeps its order, and padding goes where the model has it
        order = (mask != 0 if self.frame.left else mask == 0).to(torch.int8).argsort(dim=1, stable=True)
        more = {}
        if self.frame.types:
            of_a, of_b, *around = self.frame.types
            told = [*around[0], *[of_a] * own[0].shape[1], *around[1], *[of_b] * own[1].shape[1], *around[2]]
            more["token_type_ids"] = (ids.new_tensor(told).expand_as(ids) * mask).gather(1, order)
        scores: Tensor = self.model(input_ids=ids.gather(1, order), attention_mask=mask.gather(1, order), **more).logits
        return scores[:, 0] if scores.shape[1] == 1 else scores


def _shares(n: int, m: int, room: int) -> tuple[int, int]:
    """How many tokens of each text are read, as tokenizers cut "longest first"."""
    if n + m <= room:
        return n, m
    half, rest = room // 2, room - room // 2
    if n > m:
        return (room - m, m) if m <= half else (rest, half)
    return (n, room - n) if n <= half else (half, rest)


def _counted(texts: Texts) -> Tensor:
    return texts["attention_mask"] != 0
