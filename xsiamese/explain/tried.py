"""What a model takes and where it starts, tried on small items of our own making: its layers do not tell all."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from xsiamese.branches.intact import intact
from xsiamese.explain.attribution import PairAttribution
from xsiamese.model.pair import PairModel, SiameseModel
from xsiamese.pairs.jump import starts_at_nothing
from xsiamese.pairs.objective import dtype_of

IDS = ((1, 2, 3), (2, 1, 3)), ((3, 2, 2), (1, 3, 1))
WORDS = ["one red cat"], ["two blue cats"]  # of one length: nothing is filled up


@dataclass(frozen=True)
class Tried:
    """What a method did on items that a model took.

    Attributes:
        works: whether it gave maps.
        at_nothing: whether its paths start where the score has no value.
    """

    works: bool
    at_nothing: bool


def tried(model: PairModel, kind: str, method: type[PairAttribution]) -> Tried | None:
    """What becomes of a method by itself on a model of rows or of texts; None if the model takes none of our items.

    Args:
        model: the model.
        kind: "row" or "text".
        method: the explainer.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of items that are nobody's
        explainer, few = method(model), {"n_steps": 2} if "n_steps" in method.options() else {}
        for inputs in _rows(model) if kind == "row" else _texts(model):
            at_nothing: bool | None = None
            with suppress(Exception), explainer.prepared(inputs) as batch:
                at_nothing = starts_at_nothing(batch)
                wanted = [side.own[0].shape[:2] for side in batch.sides]
            if at_nothing is None:
                continue
            with suppress(Exception):
                maps = explainer.attribute(inputs, **few)
                return Tried([one.shape[:2] for one in maps] == wanted, at_nothing)
            return Tried(False, at_nothing)
    return None


def takes_ids(model: PairModel, side: int = 0) -> bool:
    """Whether the encoder of a side takes ids of tokens, alone, with a mask, or as a mapping."""
    return _takes(model, side, _of_ids(model, IDS[side]))


def takes_rows(model: PairModel, side: int = 0) -> bool:
    """Whether the encoder of a side takes rows of numbers, as many as its first linear layer does."""
    return _takes(model, side, (rows[side] for rows in _rows(model)))


def _takes(model: PairModel, side: int, items: Iterator[Any]) -> bool:
    if not isinstance(model, SiameseModel):
        return False
    with intact(model), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for item in items:
            with suppress(Exception):
                return isinstance(model.encode(item, side), Tensor)
    return False


def _rows(model: nn.Module) -> Iterator[Any]:
    first = next((layer for layer in model.modules() if isinstance(layer, nn.Linear)), None)
    weight, draw = next(model.parameters(), None), torch.Generator().manual_seed(0)
    many = 3 if first is None else first.in_features
    rows = (torch.randn(2, many, generator=draw, dtype=torch.float32).to(dtype_of(model)) for _ in "ab")
    yield tuple(one if weight is None else one.to(weight.device) for one in rows)


def _texts(model: PairModel) -> Iterator[Any]:
    with suppress(Exception):
        read = model.taken(WORDS)
        if read is not WORDS:  # a model that splits strings itself knows what stands for a missing word
            yield read
            return
    yield from zip(*(_of_ids(model, rows) for rows in IDS), strict=True)


def _of_ids(model: nn.Module, rows: tuple[tuple[int, ...], ...]) -> Iterator[Any]:
    known = [layer.num_embeddings for layer in model.modules() if isinstance(layer, (nn.Embedding, nn.EmbeddingBag))]
    weight = next(model.parameters(), None)
    ids = torch.tensor(rows, device=None if weight is None else weight.device).clamp(max=max(known, default=4) - 1)
    mask = torch.ones_like(ids)
    yield ids
    yield {"input_ids": ids, "attention_mask": mask}
    yield ids, mask
