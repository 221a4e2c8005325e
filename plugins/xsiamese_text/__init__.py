"""Pairs of texts: sentence encoders, sparse and multi-vector ones and cross-encoders, by token and by word."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from xsiamese import PairAttribution, hookimpl
from xsiamese.author import Comparison, PairModel, Texts
from xsiamese_text.clip import from_clip
from xsiamese_text.folders import opened
from xsiamese_text.matrix import PairTokenMatrix
from xsiamese_text.maxsim import MaxSim
from xsiamese_text.models import JointTextModel, TextModel
from xsiamese_text.pretrained import from_transformers
from xsiamese_text.sentences import from_sentence_transformers
from xsiamese_text.static import from_wordllama

__all__ = [
    "JointTextModel",
    "MaxSim",
    "PairTokenMatrix",
    "TextModel",
    "Texts",
    "from_clip",
    "from_sentence_transformers",
    "from_transformers",
    "from_wordllama",
]


@hookimpl
def xsiamese_explainers() -> Iterable[type[PairAttribution]]:
    """What needs vectors of tokens."""
    return (PairTokenMatrix,)


@hookimpl
def xsiamese_comparisons() -> Iterable[type[Comparison]]:
    """Late interaction."""
    return (MaxSim,)


@hookimpl
def xsiamese_openers() -> Iterable[Callable[[str], PairModel | None]]:
    """What opens a folder or a name on the command line."""
    return (opened,)
