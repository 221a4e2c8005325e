"""What a plugin may bring besides explainers and metrics must keep: comparisons, model cards, kinds of input."""

from __future__ import annotations

import json
from typing import Any

import torch

from xsiamese.contract.subject import ContractError
from xsiamese.kinds.kind import Kind
from xsiamese.kinds.side import Form
from xsiamese.model.comparison import Comparison
from xsiamese.model.pair import SiameseModel
from xsiamese.zoo.cards import ModelCard
from xsiamese.zoo.checkpoint import shipped

ROWS, DIMENSIONS = 4, 3


def comparison(made: Comparison) -> None:
    """A score a pair, of that pair alone, with finite gradients at two equal embeddings; a name and a docstring."""
    who = type(made).__name__
    if not getattr(made, "name", "") or not type(made).__doc__:
        raise ContractError(f"{who}: a name and a docstring are needed")
    if not isinstance(made.higher_is_closer, bool):
        raise ContractError(f"{who}: higher_is_closer is {made.higher_is_closer!r}: True or False is needed")
    z = torch.randn(2, ROWS, DIMENSIONS, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    scores = made.double()(*z)
    if scores.shape != (ROWS,):
        raise ContractError(f"{who}: the score has shape {tuple(scores.shape)} for {ROWS} pairs: ({ROWS},) is needed")
    alone = torch.cat([made(z[0, i : i + 1], z[1, i : i + 1]) for i in range(ROWS)])
    if not torch.allclose(scores, alone):
        raise ContractError(f"{who}: a pair has another score in a batch than alone")
    if not torch.allclose(made.reported(made.explained(*z)), scores):
        raise ContractError(f"{who}: reported() does not give the score from explained()")
    same = z[0].clone().requires_grad_(), z[0].clone().requires_grad_()
    explained = made.explained(*same).sum()
    slopes = torch.autograd.grad(explained, same, allow_unused=True) if explained.requires_grad else (None, None)
    if any(slope is None or not bool(torch.isfinite(slope).all()) for slope in slopes):
        raise ContractError(f"{who}: no finite gradient where both embeddings are equal")


def card(given: ModelCard) -> None:
    """It builds a model that scores two items of its shape, by the comparison and with the layer that it names, and its
    weights can be read.
    """
    if not given.name or not given.summary:
        raise ContractError("a card needs a name and a summary")
    model = shipped(given.name).model if given.weights is not None else given.build(**given.defaults)
    found = getattr(getattr(model, "comparison", None), "name", None)
    if found is not None and found != given.comparison:
        raise ContractError(f"{given.name}: the model compares by {found}, and the card says {given.comparison}")
    if given.layer is not None and not any(
        name == given.layer or name.endswith(f".{given.layer}") for name, _ in model.named_modules()
    ):
        raise ContractError(f"{given.name}: the model has no layer {given.layer!r}")
    if not given.input:
        return
    two = torch.zeros(2, *given.input), torch.ones(2, *given.input)
    with torch.no_grad():
        scores = model.eval()(*two)
    if scores.shape != (2,):
        raise ContractError(f"{given.name}: two pairs of items {given.input} give scores {tuple(scores.shape)}")
    if isinstance(model, SiameseModel) and given.embedding is not None:
        with torch.no_grad():
            size = model.encode(two[0], 0).shape[-1]
        if size != given.embedding:
            raise ContractError(f"{given.name}: embeddings have {size} dimensions, and the card says {given.embedding}")


def kind(given: Kind, item: Any) -> None:
    """It knows its items by their form or when it is asked, gives some of them, and brings them back from a file."""
    who = type(given).__name__
    side = given.side(item, "a", asked=True)
    if side is None:
        raise ContractError(f"{who}: the item is none of its own")
    if side.kind != given.name:
        raise ContractError(f"{who}: its side is of the kind {side.kind!r}, not {given.name!r}")
    if given.side(object(), "a") is not None:
        raise ContractError(f"{who}: it takes what is of no kind at all")
    count = given.count(item)
    if side.pairs != count:
        raise ContractError(f"{who}: count says {count} pairs and its side has {side.pairs}")
    labels = given.labels(side, 0)
    if labels is not None and not all(isinstance(label, str) for label in labels):
        raise ContractError(f"{who}: labels must be strings")
    tensors, about = given.pack(item)
    backwards = torch.arange(count).flip(0)
    ways = (
        ("from a file", given.unpack(tensors, json.loads(json.dumps(about))), side),
        ("by take, in another order", given.take(item, backwards), side.select(backwards)),
    )
    for what, other, wanted in ways:
        found = given.side(other, "a", asked=True)
        if found is None or not _same(found.rebuild(found.leaves), wanted.rebuild(wanted.leaves)):
            raise ContractError(f"{who}: the model gets something else of an item that comes back {what}")


def _same(one: Any, other: Any) -> bool:
    first, second = Form.of(one)[1], Form.of(other)[1]
    return len(first) == len(second) and all(map(torch.equal, first, second))
