"""Models of transformers as pair models of texts: encoders, and cross-encoders, which read both texts at once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn

from xsiamese.author import Comparison, PairModel, Pooling
from xsiamese_text.encoders import TransformersEncoder
from xsiamese_text.joined import Frame
from xsiamese_text.maxsim import MaxSim
from xsiamese_text.models import JointTextModel, TextModel
from xsiamese_text.positions import longest_of, reads_padding, step_of
from xsiamese_text.reading import Reader

# what compares the embeddings of texts, as sentence-transformers calls it
COMPARISONS: dict[str, Callable[[], str | Comparison]] = {
    "cosine": lambda: "cosine",
    "dot": lambda: "dot",
    "euclidean": lambda: "euclidean",
    "manhattan": lambda: "manhattan",
    "maxsim": MaxSim,
    "meanmaxsim": partial(MaxSim, mean=True),
}
# what is asked of a tokenizer
_ASKED = ("convert_ids_to_tokens", "all_special_ids", "model_max_length", "is_fast", "pad_token_id", "__len__")


def from_transformers(
    model: nn.Module,
    tokenizer: Any,
    pooling: Pooling = "mean",
    comparison: str | Comparison | None = None,
    *,
    missing: int | None = None,
    longest: int | None = None,
) -> PairModel:
    """A model of transformers as a pair model of texts.

    Args:
        model: an encoder, or a cross-encoder (``...ForSequenceClassification``), which reads both texts at once.
        tokenizer: the model's own.
        pooling: how the embedding is made of tokens: "mean" over those that are no padding, "cls" (the first), "last",
            "max", "splade" (of a masked language model) or "tokens" (none; MaxSim compares them).
        comparison: of the embeddings; None takes the cosine, the inner product for "splade", MaxSim for "tokens".
        missing: the id that stands for a missing token; if left out the tokenizer's padding, without one its unknown
            token, and without that its end. Where positions are
            counted from what is no padding (RoBERTa, MPNet) the mask token is better.
        longest: the most tokens of a text; the tokenizer's if left out.

    Raises:
        ValueError: if the tokenizer is of another model or none, there is no such pooling, or the model has not that
            many positions.
    """
    if not isinstance(model, nn.Module) or not is_tokenizer(tokenizer):
        raise ValueError(
            f"from_transformers takes a model and its tokenizer; got a {type(model).__name__} and a "
            f"{type(tokenizer).__name__}: PreTrainedTokenizerFast(tokenizer_object=...) makes one of a "
            "tokenizers.Tokenizer, and a model of ids needs none, SiameseModel(encoder)"
        )
    vocabulary = getattr(getattr(model, "config", None), "vocab_size", None)
    takes = tuple(key for key in ("input_ids", "attention_mask", "token_type_ids") if key in _arguments(model))
    if reads_both(model):
        return joint_of(model, tokenizer, vocabulary, missing, longest)
    most, positions = longest_of(model, tokenizer, longest)
    reader = Reader(tokenizer, vocabulary, most, takes=takes, missing=missing, positions=positions, step=step_of(model))
    usual = {"splade": "dot", "tokens": "maxsim"}.get(pooling, "cosine")
    chosen = COMPARISONS[usual]() if comparison is None else comparison
    encoder = TransformersEncoder(model, pooling).train(model.training)
    watched(reader, encoder, takes)
    made = TextModel(encoder, chosen, (reader, reader))
    made.train(model.training)
    return made


def joint_of(model: Any, tokenizer: Any, vocabulary: int | None, missing: int | None, longest: int | None) -> PairModel:
    """A cross-encoder, with the ids that its tokenizer puts before, between and after two texts."""
    if not tokenizer.is_fast:
        raise ValueError("a cross-encoder needs a fast tokenizer, which says where its special tokens stand")
    reader = Reader(tokenizer, vocabulary, None, takes=("input_ids", "attention_mask"), missing=missing, specials=False)
    reader.longest = None  # both texts share what the model reads
    frame = Frame.of(tokenizer, longest_of(model, tokenizer, longest)[0], "token_type_ids" in _arguments(model))
    made = JointTextModel(model, reader, frame.steady(model))
    watched(reader, _Logits(model), ("input_ids", "attention_mask"))
    made.train(model.training)
    return made


def watched(reader: Reader, encoder: nn.Module, takes: Sequence[str]) -> None:
    """Lets a reader of texts of several lengths ask once whether an encoder reads what they are filled up with.

    Args:
        reader: the texts'.
        encoder: of ids.
        takes: the inputs of the encoder.
    """
    pad, special = reader.fill["input_ids"], set(reader.tokenizer.all_special_ids)
    known = [one for one in range(min(reader.vocabulary, 5000)) if one != pad and one not in special] or [0]
    four = [known[-1 - 3 * k % len(known)] for k in range(4)]
    reader.read = partial(reads_padding, encoder, four, pad, takes)


def is_tokenizer(tokenizer: Any) -> bool:
    """Whether it is one of transformers'."""
    return all(hasattr(tokenizer, name) for name in _ASKED)


def reads_both(model: nn.Module) -> bool:
    """Whether a model of transformers classifies sequences, as cross-encoders do."""
    return any(cls.__name__.endswith("ForSequenceClassification") for cls in type(model).__mro__)


def _arguments(model: nn.Module) -> Collection[str]:
    return inspect.signature(model.forward).parameters


class _Logits(nn.Module):
    """What a cross-encoder makes of ids."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.training = model.training

    def forward(self, **given: Tensor) -> Tensor:
        logits: Tensor = self.model(**given).logits
        return logits
