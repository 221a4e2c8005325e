"""Encoders of texts that show the vectors of tokens, and how one embedding is made of these."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Pooling = Literal["mean", "cls", "max", "last", "splade", "tokens"]


class TextEncoder(nn.Module, ABC):
    """Ids of tokens to an embedding, by way of a vector for each token.

    Attributes:
        pooling: how the embedding is made of the tokens' vectors; None where that is not known, so that only the
            embedding is.
        normalises: whether the embedding is brought to length 1.

    Example:
        >>> class Table(TextEncoder):
        ...     pooling = "mean"
        ...
        ...     def states(self, input_ids, **more):
        ...         return torch.eye(3)[input_ids], torch.ones(input_ids.shape)
        >>> Table()(torch.tensor([[0, 2]]))
        tensor([[0.5000, 0.0000, 0.5000]])
    """

    pooling: Pooling | None = None
    normalises: bool = False

    @abstractmethod
    def states(self, input_ids: Tensor, **more: Tensor) -> tuple[Tensor, Tensor]:
        """The vector of each token, shape (texts, tokens, dimensions), and which count, shape (texts, tokens)."""

    def forward(self, input_ids: Tensor, **more: Tensor) -> Tensor:
        """The embeddings, shape (texts, dimensions)."""
        found = self.pooled(*self.states(input_ids, **more))
        return functional.normalize(found, dim=-1) if self.normalises else found

    def pooled(self, vectors: Tensor, counted: Tensor) -> Tensor:
        """One embedding a text, shape (texts, dimensions); for "tokens" their vectors with a last channel that says
        which count, (texts, tokens, dimensions + 1).

        Args:
            vectors: of the tokens, shape (texts, tokens, dimensions).
            counted: 1 where a token counts, shape (texts, tokens).

        Raises:
            ValueError: if the pooling is not known.
        """
        kept = counted[..., None]
        if self.pooling == "mean":
            return (vectors * kept).sum(1) / kept.sum(1).clamp(min=1)
        if self.pooling == "tokens":
            return torch.cat([vectors * kept, kept], -1)
        if self.pooling == "splade":
            return (self.weights(vectors) * kept).amax(1)
        if self.pooling == "max":
            return vectors.masked_fill(kept == 0, -torch.inf).amax(1)
        if self.pooling not in ("cls", "last"):
            raise ValueError(f"{type(self).__name__} has no pooling that is known: {self.pooling!r}")
        # argmax gives the first of equal values: the first token that counts, or with the order turned the last
        last = counted.shape[1] - 1 - counted.flip(1).argmax(1)
        place = counted.argmax(1) if self.pooling == "cls" else last
        return vectors[torch.arange(len(vectors), device=vectors.device), place]

    @staticmethod
    def weights(logits: Tensor) -> Tensor:
        """The weight that a token gives to each word of the vocabulary in SPLADE, log(1 + relu(x))."""
        return torch.log1p(torch.relu(logits))
