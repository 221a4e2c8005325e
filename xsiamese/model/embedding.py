"""Which of an encoder's outputs is the embedding: encoders of transformers return several, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from numpy import ndarray
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

Embedding = str | int | Callable[[Any], Tensor] | None

# the first that is there is taken: pooled embeddings of sentence-transformers, CLIP and BERT, then pooling of tokens
KNOWN = ("sentence_embedding", "image_embeds", "text_embeds", "pooler_output")

# how encoders of sounds tell which of their frames are padding, from the mask of the samples
_FRAMES: dict[str, Callable[[Callable[..., Any], int, Tensor], Any]] = {
    "_get_feature_vector_attention_mask": lambda told, tokens, mask: told(tokens, mask),
    "_get_output_attention_mask": lambda told, tokens, mask: told(mask, target_length=tokens),
}


def embedding_of(output: Any, choice: Embedding = None, item: Any = None, encoder: nn.Module | None = None) -> Any:
    """The embedding (pairs, dimensions) in what an encoder returned.

    Args:
        output: what it returned: a tensor is the embedding; of a mapping, a ``ModelOutput`` or a named tuple the
            embedding is chosen.
        choice: its key, its place in a tuple, or a function that takes it out. None takes what is known by name:
            ``sentence_embedding``, ``image_embeds``, ``text_embeds``, ``pooler_output``, or the mean of
            ``last_hidden_state`` over the tokens that ``attention_mask`` of the item keeps.
        item: what the encoder was given.
        encoder: which may tell of a mask of samples which of its frames are padding, as those of sounds do.

    Raises:
        ValueError: if the encoder returns no known embedding, or not the one that is chosen, or the mask is of other
            places than what it returns.

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
        return _mean(hidden, _of_frames(_mask(item, named), hidden, encoder))
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


def frames_of(encoder: nn.Module | None, mask: Tensor, frames: int) -> Tensor | None:
    """Which of an encoder's frames are an item's own, by the mask of its samples; None where the encoder does not tell,
    or gives another number of frames.

    Args:
        encoder: such as one of sounds of transformers.
        mask: 1 for an item's own samples, (pairs, samples).
        frames: how many there are.
    """
    for part in encoder.modules() if encoder is not None else ():
        for name, told in _FRAMES.items():
            if hasattr(part, name):
                try:
                    every, found = (told(getattr(part, name), frames, of) for of in (torch.ones_like(mask), mask))
                except (IndexError, RuntimeError):  # there are fewer than the samples give
                    return None
                return found if isinstance(found, Tensor) and bool(every.all()) else None
    return None


def _of_frames(mask: Tensor | None, hidden: Tensor, encoder: nn.Module | None) -> Tensor | None:
    """A mask of as many places as the encoder gives, of one of the samples that it was given."""
    frames = hidden.shape[1]
    if mask is None or mask.dim() != 2 or mask.shape[1] == frames:
        return mask
    found = frames_of(encoder, mask, frames)
    if found is None:
        raise ValueError(
            f"attention_mask has {mask.shape[1]} places and the encoder gives {frames}, and which of these are padding "
            "it does not tell: give embedding= a function that pools them, such as lambda out: "
            "out.last_hidden_state.mean(1)"
        )
    return found


def _mean(hidden: Tensor, mask: Tensor | None) -> Tensor:
    """The mean of (pairs, tokens, dimensions) over the tokens that the mask (pairs, tokens) keeps."""
    if mask is None:
        return hidden.mean(1)
    kept = mask.to(hidden.dtype)[..., None]
    hidden = torch.where((kept == 0) & hidden.isnan(), 0, hidden)  # what stands at padding may be no number
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
