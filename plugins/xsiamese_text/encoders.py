"""Encoders of texts: what they make of each token, and how one embedding is made of that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, get_args

import torch
from torch import Tensor, nn

from xsiamese.author import Pooling, TextEncoder


class TransformersEncoder(TextEncoder):
    """A model of transformers.

    Args:
        model: gives ``last_hidden_state``; for "splade" one with a masked language head, which gives ``logits``.
        pooling: "mean", "cls" (the first token), "last", "max", "splade" or "tokens" (no pooling, for MaxSim).

    Raises:
        ValueError: if there is no such pooling.
    """

    def __init__(self, model: nn.Module, pooling: Pooling = "mean") -> None:
        super().__init__()
        if pooling not in get_args(Pooling):
            raise ValueError(f"pooling={pooling!r}: {', '.join(map(repr, get_args(Pooling)))} is needed")
        self.model = model
        self.pooling = pooling

    def states(self, input_ids: Tensor, **more: Tensor) -> tuple[Tensor, Tensor]:
        output = self.model(input_ids=input_ids, **more)
        name = "logits" if self.pooling == "splade" else "last_hidden_state"
        vectors = getattr(output, name, None)
        if not isinstance(vectors, Tensor) or vectors.dim() != 3:
            known = ", ".join(output) if hasattr(output, "keys") else type(output).__name__
            raise ValueError(f"the encoder returned {known}, and {self.pooling!r} pooling needs {name}")
        return vectors, _counted(input_ids, more.get("attention_mask"), vectors)


class SentenceEncoder(TextEncoder):
    """A ``SentenceTransformer``, ``SparseEncoder`` or ``MultiVectorEncoder``.

    Args:
        model: the model.
        pooling: what its modules do, see :func:`xsiamese_text.sentences.pooling_of`.
        task: "query" or "document", for a model that tells them apart.
        dimensions: how many of the first are kept of an embedding; None keeps all.
        active: how many of the largest are kept of an embedding, the others are 0; None keeps all.
    """

    def __init__(
        self,
        model: nn.Module,
        pooling: Pooling | None,
        task: str | None = None,
        dimensions: int | None = None,
        active: int | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.pooling = pooling
        self.task = task
        self.dimensions = dimensions
        self.active = active
        self.normalises = any(type(m).__name__ == "Normalize" for m in model.children()) and pooling != "tokens"

    def states(self, input_ids: Tensor, **more: Tensor) -> tuple[Tensor, Tensor]:
        features: dict[str, Any] = {"input_ids": input_ids, **more}
        for module in self.model.children():
            if type(module).__name__ in ("Pooling", "SpladePooling", "StaticEmbedding"):
                break
            told = "task" in getattr(module, "forward_kwargs", ()) or type(module).__name__ == "Router"
            features = module(features, **({"task": self.task} if told else {}))
        vectors = features["token_embeddings"][..., : self.dimensions]
        return vectors, _counted(input_ids, features.get("attention_mask"), vectors)

    def forward(self, input_ids: Tensor, **more: Tensor) -> Tensor:
        if self.pooling in ("splade", "tokens"):
            return super().forward(input_ids, **more)
        given = {"task": self.task, "max_active_dims": self.active}
        with _gradients_of_splade(self.model):
            told = {key: value for key, value in given.items() if value is not None}
            whole: Tensor = self.model({"input_ids": input_ids, **more}, **told)["sentence_embedding"]
        found = whole[..., : self.dimensions]
        if self.active is None or self.active >= found.shape[-1]:
            return found
        largest = found.abs().topk(self.active, dim=-1).indices
        return found * torch.zeros_like(found).scatter(-1, largest, 1)


@contextmanager
def _gradients_of_splade(model: nn.Module) -> Iterator[None]:
    """Sentence-transformers' SPLADE works in place unless it is trained, and has no gradient then; it draws nothing."""
    parts = [m for m in model.modules() if type(m).__name__ == "SpladePooling" and not m.training]
    for part in parts:
        part.training = True
    try:
        yield
    finally:
        for part in parts:
            part.training = False


class StaticEncoder(TextEncoder):
    """One vector for each token, whatever is around it: the mean over the text.

    Args:
        vectors: shape (vocabulary, dimensions).
        normalises: whether the embedding is brought to length 1.

    Example:
        >>> encoder = StaticEncoder(torch.eye(3))
        >>> encoder(torch.tensor([[0, 2]]), attention_mask=torch.tensor([[1, 1]]))
        tensor([[0.5000, 0.0000, 0.5000]])
    """

    pooling: Pooling | None = "mean"

    def __init__(self, vectors: Tensor, normalises: bool = False) -> None:
        super().__init__()
        self.normalises = normalises
        self.embedding = nn.Embedding(vectors.shape[0], vectors.shape[1], _weight=vectors, _freeze=True)

    def states(self, input_ids: Tensor, **more: Tensor) -> tuple[Tensor, Tensor]:
        vectors = self.embedding(input_ids)
        return vectors, _counted(input_ids, more.get("attention_mask"), vectors)


def _counted(ids: Tensor, mask: Tensor | None, like: Tensor) -> Tensor:
    return torch.ones_like(ids).to(like) if mask is None else mask.to(like)
