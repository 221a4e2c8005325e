"""Which of an encoder's outputs is the embedding: encoders of transformers return several, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from numpy import ndarray
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

Embedding = str | int | Callable[[Any], Tensor] | None

# the first that is there is taken: pooled embeddings of sentence-transformers, CLIP and BERT, then pooling of tokens
KNOWN = ("sentence_embedding", "image_embeds", "text_embeds", "pooler_output")


def embedding_of(output: Any, choice: Embedding = None, item: Any = None) -> Any:
    """The embedding (pairs, dimensions) in what an encoder returned.

    Args:
        output: what it returned: a tensor is the embedding; of a mapping, a ``ModelOutput`` or a named tuple the
            embedding is chosen.
        choice: its key, its place in a tuple, or a function that takes it out. None takes what is known by name:
            ``sentence_embedding``, ``image_embeds``, ``text_embeds``, ``pooler_output``, or the mean of
            ``last_hidden_state`` over the tokens that ``attention_mask`` of the item keeps.
        item: what the encoder was given.

    Raises:
        ValueError: if the encoder returns no known embedding, or not the one that is chosen.

    Example:
        >>> import torch
        >>> embedding_of({"pooler_output": torch.ones(2, 3), "loss": None}).shape
        torch.Size([2, 3])
    """
    if callable(choice):
        return choice(output)
    if choice is not None:
        return _chosen(output, choice)
    named = _named(output)
    if named is None:
        return _embedding(output)
    for name in KNOWN:
        if isinstance(named.get(name), Tensor):
            return named[name]
    hidden = named.get("last_hidden_state", named.get("token_embeddings"))
    if isinstance(hidden, Tensor) and hidden.dim() == 3:
        return _mean(hidden, _mask(item, named))
    tensors = [value for value in named.values() if isinstance(value, Tensor)]
    if len(tensors) == 1:
        return tensors[0]
    raise ValueError(
        f"the encoder returned {_described(output)}, none of which is known as the embedding: give "
        "embedding= its name or a function that takes it out"
    )


def _embedding(output: Any) -> Any:
    """An output without names, unless no comparison can take it."""
    if isinstance(output, Tensor):
        if output.is_complex():
            raise ValueError(
                f"the encoder returned complex numbers ({output.dtype}): give embedding= a function such as torch.abs"
            )
        return output
    if output is None or isinstance(output, (str, bytes, int, float, ndarray, Iterator)) or _is_of_numbers(output):
        raise ValueError(f"the encoder returned {_described(output)}: a tensor (pairs, dimensions) is needed")
    return output


def _is_of_numbers(output: Any) -> bool:
    return isinstance(output, (list, tuple)) and not any(isinstance(part, Tensor) for part in output)


def _chosen(output: Any, choice: str | int) -> Any:
    named = _named(output)
    try:
        if isinstance(choice, str):
            return named[choice] if named is not None else getattr(output, choice)
        return output[choice] if named is None else list(named.values())[choice]
    except (KeyError, IndexError, AttributeError, TypeError) as error:
        raise ValueError(f"embedding={choice!r}: the encoder returned {_described(output)}") from error


def _named(output: Any) -> Mapping[str, Any] | None:
    """The parts of an output that have names."""
    if isinstance(output, Mapping):
        return output
    if isinstance(output, tuple) and hasattr(output, "_asdict") and not isinstance(output, PackedSequence):
        return dict(output._asdict())
    return None


def _mask(item: Any, named: Mapping[str, Any]) -> Tensor | None:
    given = item.get("attention_mask") if isinstance(item, Mapping) else named.get("attention_mask")
    return given if isinstance(given, Tensor) else None


def _mean(hidden: Tensor, mask: Tensor | None) -> Tensor:
    """The mean of (pairs, tokens, dimensions) over the tokens that the mask (pairs, tokens) keeps."""
    if mask is None:
        return hidden.mean(1)
    kept = mask.to(hidden.dtype)[..., None]
    return (hidden * kept).sum(1) / kept.sum(1).clamp(min=1)


def _described(output: Any) -> str:
    def of(value: Any) -> str:
        return str(tuple(value.shape)) if isinstance(value, Tensor) else type(value).__name__

    named = _named(output)
    if named is not None:
        return ", ".join(f"{key!r} {of(value)}" for key, value in named.items())
    if isinstance(output, (tuple, list)):
        return f"a {type(output).__name__} of {', '.join(map(of, output))}"
    return f"a {of(output)}"
