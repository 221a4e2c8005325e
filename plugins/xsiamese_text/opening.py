"""Models of transformers, of sentence-transformers and of wordllama as pair models of texts."""

from __future__ import annotations

import inspect
import json
import sys
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from xsiamese.author import Comparison, PairModel, Pooling
from xsiamese_text.clip import from_clip
from xsiamese_text.encoders import SentenceEncoder, StaticEncoder, TransformersEncoder
from xsiamese_text.joined import Frame
from xsiamese_text.maxsim import MaxSim
from xsiamese_text.models import JointTextModel, TextModel
from xsiamese_text.pieces import Pieces
from xsiamese_text.positions import longest_of, positions_of, reads_padding, step_of
from xsiamese_text.reading import Reader

_KINDS = ("SentenceTransformer", "SparseEncoder", "MultiVectorEncoder", "CrossEncoder")
# what tokenizers keep their words in
_TOKENIZERS = (
    "tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "tokenizer.model", "sentencepiece.bpe.model",
    "tokenizer_config.json",
)  # fmt: skip
# what is asked of a tokenizer
_ASKED = ("convert_ids_to_tokens", "all_special_ids", "model_max_length", "is_fast", "pad_token_id", "__len__")
# how sentence-transformers calls the most numbers of a sparse embedding that are not 0
_ACTIVE = "max_active_dims"
_COMPARISONS: dict[str, Callable[[], str | Comparison]] = {
    "cosine": lambda: "cosine",
    "dot": lambda: "dot",
    "euclidean": lambda: "euclidean",
    "manhattan": lambda: "manhattan",
    "maxsim": MaxSim,
    "meanmaxsim": partial(MaxSim, mean=True),
}


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
    if not isinstance(model, nn.Module) or not all(hasattr(tokenizer, name) for name in _ASKED):
        raise ValueError(
            f"from_transformers takes a model and its tokenizer; got a {type(model).__name__} and a "
            f"{type(tokenizer).__name__}: PreTrainedTokenizerFast(tokenizer_object=...) makes one of a "
            "tokenizers.Tokenizer, and a model of ids needs none, SiameseModel(encoder)"
        )
    vocabulary = getattr(getattr(model, "config", None), "vocab_size", None)
    takes = tuple(key for key in ("input_ids", "attention_mask", "token_type_ids") if key in _arguments(model))
    if _reads_both(model):
        return _joint(model, tokenizer, vocabulary, missing, longest)
    most, positions = longest_of(model, tokenizer, longest)
    reader = Reader(tokenizer, vocabulary, most, takes=takes, missing=missing, positions=positions, step=step_of(model))
    usual = {"splade": "dot", "tokens": "maxsim"}.get(pooling, "cosine")
    chosen = _COMPARISONS[usual]() if comparison is None else comparison
    encoder = TransformersEncoder(model, pooling).train(model.training)
    reader.read = partial(reads_padding, encoder, *_some_ids(reader), takes)
    made = TextModel(encoder, chosen, (reader, reader))
    made.train(model.training)
    return made


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
    kind = next((c.__name__ for c in type(model).__mro__ if c.__name__ in _KINDS), None)
    if kind is None:
        raise ValueError(
            f"a {type(model).__name__} is no model of sentence-transformers: there are {', '.join(_KINDS)}"
        )
    known: Any = model
    if tasks is not None and (kind == "CrossEncoder" or len(tasks) != 2):
        raise ValueError(f'tasks={tasks!r}: ("query", "document") is needed, and none of a CrossEncoder')
    tokenizer, longest = known.tokenizer, known.max_seq_length
    if kind == "CrossEncoder":
        inner: Any = next(filter(_reads_both, model.modules()), None)
        if inner is None:
            raise ValueError(
                "a CrossEncoder is known that holds a model ...ForSequenceClassification; this one holds "
                f"{', '.join(type(m).__name__ for m in model.children())}"
            )
        if known.prompts.get(known.default_prompt_name):
            raise ValueError("a CrossEncoder with a prompt is not known: set its default_prompt_name to None")
        limits = [most for most in (longest, positions_of(inner)) if most is not None]
        return _joint(inner, tokenizer, getattr(inner.config, "vocab_size", None), missing, min(limits, default=None))
    similarity = str(known.similarity_fn_name)
    if similarity not in _COMPARISONS:
        raise ValueError(f"similarity {similarity!r} is not known: there are {', '.join(_COMPARISONS)}")
    names = [type(module).__name__ for module in model.children()]
    if names in (["StaticEmbedding"], ["StaticEmbedding", "Normalize"]):
        prompt = known.prompts.get(known.default_prompt_name) or ""
        vectors, normalises = known[0].embedding.weight.detach(), len(names) == 2
        if known.truncate_dim is not None:
            if normalises and similarity != "cosine":  # the length is that of the whole vector
                raise ValueError(
                    f"truncate_dim={known.truncate_dim} behind Normalize is not known of static vectors compared by "
                    f"{similarity!r}: set similarity_fn_name to 'cosine', or truncate_dim to None"
                )
            vectors, normalises = vectors[:, : known.truncate_dim], False
        return _static(known[0].tokenizer, vectors, similarity, missing, prompt, normalises=normalises)
    if not all(hasattr(tokenizer, name) for name in _ASKED):
        raise ValueError(
            f"the model splits texts with a {type(tokenizer).__name__} ({', '.join(names)}), and a tokenizer of "
            "transformers is needed; a model of ids needs none, SiameseModel(encoder)"
        )
    two = tasks or (("query", "document") if kind == "MultiVectorEncoder" else (None, None))
    if two == (None, None) and any("query" in getattr(m, "sub_modules", ()) for m in model.modules()):
        warnings.warn(
            "the model has a Router for queries and documents, and both texts are encoded by encode(): "
            'tasks=("query", "document") encodes a by encode_query() and b by encode_document()',
            stacklevel=2,
        )
    readers = tuple(_reader(known, tokenizer, longest, missing, task) for task in two)
    pooling, cut, active = (pooling_of(model), *(getattr(model, name, None) for name in ("truncate_dim", _ACTIVE)))
    if active is not None or (cut is not None and "Normalize" in names):  # which is no plain sum over tokens
        pooling = pooling if pooling == "tokens" else None
    encoders = [SentenceEncoder(model, pooling, task, cut, active).train(model.training) for task in two]
    for encoder, reader in zip(encoders, readers, strict=True):
        reader.read = partial(reads_padding, encoder, *_some_ids(reader), ("input_ids", "attention_mask"))
    made = TextModel(
        encoders[0] if two[0] is None else (encoders[0], encoders[1]),
        _COMPARISONS[similarity](),
        (readers[0], readers[1]),
    )
    made.train(model.training)
    return made


def from_wordllama(llama: Any = None) -> PairModel:
    """A ``WordLlama`` as a pair model of texts: static vectors, their mean, the cosine.

    Args:
        llama: what ``WordLlama.load()`` gives; the one inside the package, which needs no download, if left out.
    """
    if llama is None:
        import wordllama

        # its loader looks for the tokenizer that it ships in another folder than it ships it in, but in a cache rightly
        llama = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
    return _static(llama.tokenizer, torch.tensor(llama.embedding), "cosine")


def _static(
    tokenizer: Any,
    vectors: Tensor,
    comparison: str,
    missing: int | None = None,
    prompt: str = "",
    *,
    normalises: bool = False,
) -> TextModel:
    """The mean of one vector for each token, whatever stands around it."""
    pieces = Pieces(tokenizer)
    if len(pieces) > len(vectors):  # the id of padding, which no text has
        vectors = torch.cat([vectors, vectors.new_zeros(len(pieces) - len(vectors), vectors.shape[1])])
    takes = ("input_ids", "attention_mask")
    reader = Reader(pieces, len(vectors), takes=takes, missing=missing, specials=False, prompt=prompt)
    made = TextModel(StaticEncoder(vectors, normalises), _COMPARISONS[comparison](), (reader, reader))
    made.eval()
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


def opened(spec: str) -> PairModel | None:
    """The model of a folder or of a name on the command line: "wordllama", or what sentence-transformers or
    transformers saved; None if it is none of these.

    Raises:
        ImportError: if the library that reads it is not installed.
        ValueError: if the folder holds no tokenizer.
    """
    folder = Path(spec)
    if spec == "wordllama":
        return from_wordllama()
    if (folder / "modules.json").is_file():
        with _bars_for_people():
            return from_sentence_transformers(_sentence_transformer(folder)).eval()
    if not (folder / "config.json").is_file():
        return None
    try:
        import transformers
    except ImportError as error:
        raise ImportError(f'{spec} is a model of transformers: pip install "xsiamese[text]"') from error
    with _bars_for_people():
        return _of_transformers(transformers, spec)


def _of_transformers(transformers: Any, spec: str) -> PairModel:
    folder, config = Path(spec), transformers.AutoConfig.from_pretrained(spec)
    if hasattr(config, "vision_config") and hasattr(config, "text_config"):
        towers = transformers.AutoModel.from_pretrained(spec)
        processor: Any = transformers.AutoProcessor
        return from_clip(towers, processor.from_pretrained(spec)).eval()
    if not any((folder / name).is_file() for name in _TOKENIZERS):  # one without any words would be made up
        raise ValueError(
            f"{spec} holds a model of transformers ({config.model_type}) and no tokenizer: save it beside the model, "
            "tokenizer.save_pretrained(folder); a model of images is opened by package.module:factory"
        )
    joint = any(name.endswith("ForSequenceClassification") for name in config.architectures or ())
    auto = transformers.AutoModelForSequenceClassification if joint else transformers.AutoModel
    return from_transformers(auto.from_pretrained(spec), transformers.AutoTokenizer.from_pretrained(spec)).eval()


@contextmanager
def _bars_for_people() -> Iterator[None]:
    """The bar that transformers shows while it loads, in a terminal only."""
    try:
        from transformers.utils import logging
    except ImportError:  # whoever reads the model says what is not installed
        yield
        return
    bars: Any = logging  # which it does not type
    shown = bars.is_progress_bar_enabled()
    if not sys.stderr.isatty():
        bars.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            bars.enable_progress_bar()


def _sentence_transformer(folder: Path) -> nn.Module:
    try:
        import sentence_transformers as library
    except ImportError as error:
        raise ImportError(f'{folder} is a model of sentence-transformers: pip install "xsiamese[text]"') from error
    about = folder / "config_sentence_transformers.json"
    told = json.loads(about.read_text(encoding="utf-8")) if about.is_file() else {}
    name = told.get("model_type", "SentenceTransformer")
    made: nn.Module = getattr(library, name if name in _KINDS else "SentenceTransformer")(
        str(folder), local_files_only=True
    )
    return made


def _of_tokens(model: nn.Module) -> bool:
    return any(c.__name__ == "MultiVectorEncoder" for c in type(model).__mro__)


def _reader(model: Any, tokenizer: Any, longest: int | None, missing: int | None, task: str | None) -> Reader:
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
        tokenizer, vocabulary, longest, takes=takes, missing=missing, features=features, prompt=prompt,
        positions=None if inner is None else positions_of(inner), step=step_of(model),
    )  # fmt: skip


def _joint(model: Any, tokenizer: Any, vocabulary: int | None, missing: int | None, longest: int | None) -> PairModel:
    """A cross-encoder, with the ids that its tokenizer puts before, between and after two texts."""
    if not tokenizer.is_fast:
        raise ValueError("a cross-encoder needs a fast tokenizer, which says where its special tokens stand")
    reader = Reader(tokenizer, vocabulary, None, takes=("input_ids", "attention_mask"), missing=missing, specials=False)
    reader.longest = None  # both texts share what the model reads
    frame = Frame.of(tokenizer, longest_of(model, tokenizer, longest)[0], "token_type_ids" in _arguments(model))
    made = JointTextModel(model, reader, frame.steady(model))
    reader.read = partial(reads_padding, _Logits(model), *_some_ids(reader), ("input_ids", "attention_mask"))
    made.train(model.training)
    return made


def _some_ids(reader: Reader) -> tuple[list[int], int]:
    """Four tokens of texts, and what fills texts up."""
    pad, special = reader.fill["input_ids"], set(reader.tokenizer.all_special_ids)
    known = [one for one in range(min(reader.vocabulary, 5000)) if one != pad and one not in special] or [0]
    return [known[-1 - 3 * k % len(known)] for k in range(4)], pad


class _Logits(nn.Module):
    """What a cross-encoder makes of ids."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.training = model.training

    def forward(self, **given: Tensor) -> Tensor:
        logits: Tensor = self.model(**given).logits
        return logits


def _reads_both(model: nn.Module) -> bool:
    """Whether a model of transformers classifies sequences, as cross-encoders do."""
    return any(cls.__name__.endswith("ForSequenceClassification") for cls in type(model).__mro__)


def _arguments(model: nn.Module) -> Collection[str]:
    return inspect.signature(model.forward).parameters
