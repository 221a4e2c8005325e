"""Models of sentence-transformers as pair models of texts."""

from __future__ import annotations

import warnings
from typing import Any

from torch import nn

from xsiamese.author import PairModel, Pooling
from xsiamese_text.encoders import SentenceEncoder
from xsiamese_text.models import TextModel
from xsiamese_text.positions import positions_of, step_of
from xsiamese_text.pretrained import COMPARISONS, is_tokenizer, joint_of, reads_both, watched
from xsiamese_text.reading import Reader
from xsiamese_text.static import static_of

KINDS = ("SentenceTransformer", "SparseEncoder", "MultiVectorEncoder", "CrossEncoder")
# how sentence-transformers calls the most numbers of a sparse embedding that are not 0
_ACTIVE = "max_active_dims"


def from_sentence_transformers(
    model: nn.Module, *, missing: int | None = None, tasks: tuple[str, str] | None = None
) -> PairModel:
    """A model of sentence-transformers as a pair model of texts: a ``SentenceTransformer``, a ``SparseEncoder``, a
    ``MultiVectorEncoder`` (a is the query, b the document) or a ``CrossEncoder``.

    The score is ``model.similarity(model.encode(a), model.encode(b))``, with the model's own ``truncate_dim``,
    ``max_active_dims`` and default prompt, of distances without the minus; of a ``CrossEncoder`` it is the logit.

    Args:
        model: the model.
        missing: see :func:`from_transformers`.
        tasks: what a and b are to a model with a ``Router`` or prompts of its own for each: ``("query", "document")``
            encodes a by ``encode_query`` and b by ``encode_document``. Left out, both are encoded by ``encode``, and
            by those two in a ``MultiVectorEncoder``.

    Raises:
        ValueError: if the model's similarity or tokenizer is not known, queries are expanded, or a ``CrossEncoder`` is
            given tasks.
    """
    kind = next((c.__name__ for c in type(model).__mro__ if c.__name__ in KINDS), None)
    if kind is None:
        raise ValueError(f"a {type(model).__name__} is no model of sentence-transformers: there are {', '.join(KINDS)}")
    if tasks is not None and (kind == "CrossEncoder" or len(tasks) != 2):
        raise ValueError(f'tasks={tasks!r}: ("query", "document") is needed, and none of a CrossEncoder')
    if kind == "CrossEncoder":
        return _cross_encoder(model, missing)
    known: Any = model
    similarity = str(known.similarity_fn_name)
    if similarity not in COMPARISONS:
        raise ValueError(f"similarity {similarity!r} is not known: there are {', '.join(COMPARISONS)}")
    names = [type(module).__name__ for module in model.children()]
    if names in (["StaticEmbedding"], ["StaticEmbedding", "Normalize"]):
        return _static(model, similarity, missing)
    if not is_tokenizer(known.tokenizer):
        raise ValueError(
            f"the model splits texts with a {type(known.tokenizer).__name__} ({', '.join(names)}), and a tokenizer of "
            "transformers is needed; a model of ids needs none, SiameseModel(encoder)"
        )
    two = tasks or (("query", "document") if kind == "MultiVectorEncoder" else (None, None))
    if two == (None, None) and any("query" in getattr(m, "sub_modules", ()) for m in model.modules()):
        warnings.warn(
            "the model has a Router for queries and documents, and both texts are encoded by encode(): "
            'tasks=("query", "document") encodes a by encode_query() and b by encode_document()',
            stacklevel=2,
        )
    return _contextual(model, similarity, missing, two)


def _cross_encoder(model: Any, missing: int | None) -> PairModel:
    inner: Any = next(filter(reads_both, model.modules()), None)
    if inner is None:
        raise ValueError(
            "a CrossEncoder is known that holds a model ...ForSequenceClassification; this one holds "
            f"{', '.join(type(m).__name__ for m in model.children())}"
        )
    if model.prompts.get(model.default_prompt_name):
        raise ValueError("a CrossEncoder with a prompt is not known: set its default_prompt_name to None")
    longest = min((most for most in (model.max_seq_length, positions_of(inner)) if most is not None), default=None)
    return joint_of(inner, model.tokenizer, getattr(inner.config, "vocab_size", None), missing, longest)


def _static(model: Any, similarity: str, missing: int | None) -> PairModel:
    vectors, normalises, first = model[0].embedding.weight.detach(), len(model) == 2, model.truncate_dim
    if first is not None:
        if normalises and similarity != "cosine":  # the length is that of the whole vector
            raise ValueError(
                f"truncate_dim={first} behind Normalize is not known of static vectors compared by "
                f"{similarity!r}: set similarity_fn_name to 'cosine', or truncate_dim to None"
            )
        vectors, normalises = vectors[:, :first], False
    prompt = model.prompts.get(model.default_prompt_name) or ""
    return static_of(model[0].tokenizer, vectors, similarity, missing, prompt, normalises=normalises)


def _contextual(
    model: nn.Module, similarity: str, missing: int | None, tasks: tuple[str | None, str | None]
) -> PairModel:
    """Tokens that are told from what stands around them, by the encoder of each task."""
    pooling, cut, active = (pooling_of(model), *(getattr(model, name, None) for name in ("truncate_dim", _ACTIVE)))
    normalises = any(type(m).__name__ == "Normalize" for m in model.children())
    if active is not None or (cut is not None and normalises):  # which is no plain sum over tokens
        pooling = pooling if pooling == "tokens" else None
    readers = [_reader(model, missing, task) for task in tasks]
    encoders = [SentenceEncoder(model, pooling, task, cut, active).train(model.training) for task in tasks]
    for encoder, reader in zip(encoders, readers, strict=True):
        watched(reader, encoder, ("input_ids", "attention_mask"))
    shared = tasks[0] is None
    made = TextModel(
        encoders[0] if shared else (encoders[0], encoders[1]), COMPARISONS[similarity](), (readers[0], readers[1])
    )
    made.train(model.training)
    return made


def pooling_of(model: nn.Module) -> Pooling | None:
    """How a model of sentence-transformers makes an embedding of its tokens, or None where a layer comes after it.

    Raises:
        ValueError: if the embedding depends on where a prompt ends.
    """
    modules = list(model.children())
    names = [type(module).__name__ for module in modules]
    pooling: Any = next((m for m in modules if type(m).__name__ in ("Pooling", "SpladePooling")), None)
    if pooling is None:
        return "mean" if names == ["StaticEmbedding"] else "tokens" if _of_tokens(model) else None
    if not getattr(pooling, "include_prompt", True) and any(getattr(model, "prompts", {}).values()):
        raise ValueError("the model leaves its prompt out of the pooling (include_prompt=False), which is not known")
    if type(pooling).__name__ == "SpladePooling":
        known = pooling.pooling_strategy == "max" and pooling.activation_function == "relu"
        return "splade" if known else None
    rest = names[names.index("Pooling") + 1 :]
    plain = all(name in ("Normalize", "Dropout") for name in rest)
    modes: dict[Any, Pooling] = {"mean": "mean", "cls": "cls", "max": "max", "lasttoken": "last"}
    return modes.get(pooling.pooling_mode) if plain else None


def _of_tokens(model: nn.Module) -> bool:
    return any(c.__name__ == "MultiVectorEncoder" for c in type(model).__mro__)


def _reader(model: Any, missing: int | None, task: str | None) -> Reader:
    prompts, default = getattr(model, "prompts", {}), getattr(model, "default_prompt_name", None)
    names = {None: (default,), "document": ("document", "passage", "corpus")}.get(task, (task,))
    fallback = prompts.get(default) if task and not _of_tokens(model) else None
    prompt = next((prompts[name] for name in names if name in prompts), fallback) or ""

    def features(texts: list[str]) -> Any:
        return model.preprocess(texts, **({"prompt": prompt} if prompt else {}), **({"task": task} if task else {}))

    table = next((m for m in model.modules() if isinstance(m, (nn.Embedding, nn.EmbeddingBag))), None)
    vocabulary = None if table is None else table.num_embeddings
    inner = next((m for m in model.modules() if hasattr(m, "config") and positions_of(m)), None)
    takes = ("input_ids", "attention_mask", "token_type_ids", "query_expansion_positions")
    return Reader(
        model.tokenizer,
        vocabulary,
        model.max_seq_length,
        takes=takes,
        missing=missing,
        features=features,
        prompt=prompt,
        positions=None if inner is None else positions_of(inner),
        step=step_of(model),
    )
