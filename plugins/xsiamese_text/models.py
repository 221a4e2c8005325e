"""Models of two texts: each encoded by itself, or both read at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from xsiamese.author import Comparison, SiameseModel, Texts, TwoInputModel
from xsiamese_text.reading import Reader


class TextModel(SiameseModel):
    """A Siamese model of texts: takes two lists of strings, or what their tokenizer made of them.

    Args:
        encoder: of ids, or (of a, of b).
        comparison: of two embeddings.
        readers: split the texts of a and of b.
    """

    modality = "text"

    def __init__(
        self,
        encoder: nn.Module | tuple[nn.Module, nn.Module],
        comparison: str | Comparison,
        readers: tuple[Reader, Reader],
    ) -> None:
        super().__init__(encoder, comparison)
        self.readers = readers

    def taken(self, inputs: Any) -> Any:
        """Both texts as tokens.

        Raises:
            TypeError: if they are no two texts.
            ValueError: if a text is empty, or holds no token of its own.
        """
        return _both(inputs, self.readers, self)

    def encode(self, item: Any, side: int = 0) -> Any:
        if isinstance(item, str) or (isinstance(item, (list, tuple)) and item and isinstance(item[0], str)):
            item = moved(self.readers[side](item, "ab"[side]), self)
        return super().encode(item, side)


class JointTextModel(TwoInputModel):
    """A cross-encoder, which reads both texts at once: beginning, a, separator, b, end.

    Each text is split by itself, without beginnings and ends, and both are joined in the forward pass, so that each
    side keeps its tokens. Padding between them is moved to the end.

    Args:
        model: gives ``logits`` for pairs, as those of transformers for the classification of sequences.
        reader: splits either text.
        frame: the ids before a, between, and after b, and whether types tell a from b.
    """

    modality = "text"

    def __init__(
        self, model: nn.Module, reader: Reader, frame: tuple[Sequence[int], Sequence[int], Sequence[int]], types: bool
    ) -> None:
        super().__init__(Joined(model, frame, types), higher_is_closer=True)
        self.reader = reader

    def taken(self, inputs: Any) -> Any:
        """Both texts as tokens; see :meth:`TextModel.taken`."""
        return _both(inputs, (self.reader, self.reader), self)

    def forward(self, a: Any, b: Any, *extra: Any) -> Any:
        return super().forward(*self.taken((a, b)), *extra)


class Joined(nn.Module):
    """The one sequence that a cross-encoder reads, and its score. See :class:`JointTextModel`."""

    def __init__(self, model: nn.Module, frame: tuple[Sequence[int], ...], types: bool) -> None:
        super().__init__()
        self.model, self.frame, self.types = model, tuple(map(tuple, frame)), types

    def forward(self, a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> Tensor:
        """The score of each pair, shape (pairs,), or all that the model gives, (pairs, labels)."""
        rows = len(a["input_ids"])
        first, middle, last = (a["input_ids"].new_tensor(part).expand(rows, -1) for part in self.frame)
        ids = torch.cat([first, a["input_ids"], middle, b["input_ids"], last], 1)
        mask = torch.cat(
            [torch.ones_like(first), a["attention_mask"], torch.ones_like(middle), b["attention_mask"],
             torch.ones_like(last)], 1
        )  # fmt: skip
        start = ids.shape[1] - b["input_ids"].shape[1] - last.shape[1]
        types = (torch.arange(ids.shape[1], device=ids.device) >= start).to(ids).expand_as(ids)
        order = (mask == 0).to(torch.int8).argsort(dim=1, stable=True)  # what counts keeps its order, padding goes last
        ids, mask, types = (one.gather(1, order) for one in (ids, mask, types))
        scores: Tensor = self.model(
            input_ids=ids, attention_mask=mask, **({"token_type_ids": types * mask} if self.types else {})
        ).logits
        return scores[:, 0] if scores.shape[1] == 1 else scores


def _both(inputs: Any, readers: tuple[Reader, Reader], model: nn.Module) -> tuple[Any, Any]:
    two = tuple(inputs.values()) if isinstance(inputs, Mapping) else inputs
    if isinstance(two, str) or not isinstance(two, (tuple, list)) or len(two) != 2:
        what = f"a {type(inputs).__name__}" + (f" of {len(two)}" if isinstance(two, (tuple, list)) else "")
        raise TypeError(f"inputs must be the two sides of the pairs, (texts of a, texts of b); got {what}")
    a, b = (moved(reader(item, name), model) for reader, item, name in zip(readers, two, "ab", strict=True))
    return a, b


def moved(tokens: Texts, model: nn.Module) -> Texts:
    """The tokens on the device of the model."""
    found = next(model.parameters(), None)
    if found is None or found.device == tokens.word_of.device:
        return tokens
    return tokens.to(found.device)
