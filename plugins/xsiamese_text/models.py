"""Models of two texts: each encoded by itself, or both read at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from xsiamese.author import Comparison, SiameseModel, Texts, TwoInputModel
from xsiamese_text.joined import Frame, Joined
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
        if _are_strings(item):
            item = moved(self.readers[side](item, "ab"[side]), self)
        return super().encode(item, side)


class JointTextModel(TwoInputModel):
    """A cross-encoder, which reads both texts at once: beginning, a, separator, b, end.

    Each text is split by itself, without beginnings and ends, and both are joined in the forward pass, so that each
    side keeps its tokens. Padding between them is moved to the end.

    Args:
        model: gives ``logits`` for pairs, as those of transformers for the classification of sequences.
        reader: splits either text.
        frame: what stands before a, between, and after b.
    """

    modality = "text"

    def __init__(self, model: nn.Module, reader: Reader, frame: Frame) -> None:
        super().__init__(Joined(model, frame), higher_is_closer=True)
        self.reader = reader
        self.frame = frame

    def taken(self, inputs: Any) -> Any:
        """Both texts as tokens, cut to what is read of both; see :meth:`TextModel.taken`."""
        a, b = _both(inputs, (self.reader, self.reader), self)
        a, b = (
            one if _are_strings(item) else self.frame.own_part(one)
            for one, item in zip((a, b), _two(inputs), strict=True)
        )
        return self.frame.fitted(a, b)

    def forward(self, a: Any, b: Any, *extra: Any) -> Any:
        if type(a) is not dict or type(b) is not dict:  # which are taken already, maybe with all tokens removed
            a, b = self.taken((a, b))
        return super().forward(a, b, *extra)


def _are_strings(item: Any) -> bool:
    return isinstance(item, str) or (isinstance(item, (list, tuple)) and bool(item) and isinstance(item[0], str))


def _two(inputs: Any) -> tuple[Any, Any]:
    two = tuple(inputs.values()) if isinstance(inputs, Mapping) else inputs
    if isinstance(two, str) or not isinstance(two, (tuple, list)) or len(two) != 2:
        what = f"a {type(inputs).__name__}" + (f" of {len(two)}" if isinstance(two, (tuple, list)) else "")
        raise TypeError(f"inputs must be the two sides of the pairs, (texts of a, texts of b); got {what}")
    return two[0], two[1]


def _both(inputs: Any, readers: tuple[Reader, Reader], model: nn.Module) -> tuple[Any, Any]:
    a, b = (moved(reader(item, name), model) for reader, item, name in zip(readers, _two(inputs), "ab", strict=True))
    return a, b


def moved(tokens: Texts, model: nn.Module) -> Texts:
    """The tokens on the device of the model."""
    found = next(model.parameters(), None)
    if found is None or found.device == tokens.word_of.device:
        return tokens
    return tokens.to(found.device)
