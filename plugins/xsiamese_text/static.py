"""Models that have one vector for each token, whatever stands around it, as pair models of texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xsiamese.author import PairModel
from xsiamese_text.encoders import StaticEncoder
from xsiamese_text.models import TextModel
from xsiamese_text.pieces import Pieces
from xsiamese_text.pretrained import COMPARISONS
from xsiamese_text.reading import Reader


def from_wordllama(llama: Any = None) -> PairModel:
    """A ``WordLlama`` as a pair model of texts: static vectors, their mean, the cosine.

    Args:
        llama: what ``WordLlama.load()`` gives; the one inside the package, which needs no download, if left out.
    """
    if llama is None:
        import wordllama

        # its loader looks for the tokenizer that it ships in another folder than it ships it in, but in a cache rightly
        llama = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
    return static_of(llama.tokenizer, torch.tensor(llama.embedding), "cosine")


def static_of(
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
    made = TextModel(StaticEncoder(vectors, normalises), COMPARISONS[comparison](), (reader, reader))
    made.eval()
    return made
