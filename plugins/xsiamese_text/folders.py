"""What the command line opens: folders that sentence-transformers or transformers saved, and names."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn

from xsiamese.author import PairModel
from xsiamese_text.clip import from_clip
from xsiamese_text.pretrained import from_transformers
from xsiamese_text.sentences import KINDS, from_sentence_transformers
from xsiamese_text.static import from_wordllama

# what tokenizers keep their words in
_TOKENIZERS = (
    "tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "tokenizer.model", "sentencepiece.bpe.model",
    "tokenizer_config.json",
)  # fmt: skip


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
    made: nn.Module = getattr(library, name if name in KINDS else "SentenceTransformer")(
        str(folder), local_files_only=True
    )
    return made
