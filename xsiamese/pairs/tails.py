"""What comes after a layer, as a function of the layer's output on one side: to the value, or to the embedding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from xsiamese.branches.layers import Layer
from xsiamese.branches.record import replaced
from xsiamese.model.pair import SiameseModel
from xsiamese.pairs.pairs import Pairs
from xsiamese.pairs.usage import find_plan


def tail(pairs: Pairs, layer: Layer, side: int, activation: Tensor) -> Tensor:
    """See :meth:`PairBatch.tail <xsiamese.pairs.batch.PairBatch.tail>`."""
    if pairs.pairs != 1:
        raise ValueError(f"tail() takes a single pair, not {pairs.pairs}: use split(1)")
    rows = len(activation)
    one = replace(pairs, wrt="first" if side == 0 else "second", witness=None)  # its inputs are the pair's own
    arguments = one.repeated(rows)  # before the layer is replaced: the held side passes it too
    copies = tuple(leaf.expand(rows, *leaf.shape[1:]) for leaf in one.moved)

    def run(moved: Sequence[Tensor]) -> Tensor:
        with _replaced(one, layer, side, activation):
            value: Tensor = one.objective(*moved, *arguments)
        return value

    if not one.objective.encodes_held:
        return run(copies)
    found: Tensor = _cheapest(pairs, ("tail", side, str(layer)), rows, lambda: run(one.moved), lambda: run(copies))
    return found


def tail_embedding(
    pairs: Pairs,
    layer: Layer,
    side: int,
    activation: Tensor | Callable[[Tensor], Tensor],
    met: Callable[[], None] | None = None,
) -> Tensor:
    """See :meth:`PairBatch.tail_embedding <xsiamese.pairs.batch.PairBatch.tail_embedding>`."""
    if not isinstance(pairs.model, SiameseModel) or (isinstance(activation, Tensor) and pairs.pairs != 1):
        raise ValueError(
            f"tail_embedding() takes a single pair of a SiameseModel, not {pairs.pairs} of {type(pairs.model).__name__}"
        )
    one = pairs.one_sided("first" if side == 0 else "second")
    model, of, leaves = pairs.model, pairs.sides[side], pairs.sides[side].leaves

    def put(output: Tensor) -> Tensor:
        if met is not None:
            met()
        return activation if isinstance(activation, Tensor) else activation(output)

    def run(copies: int) -> Tensor:
        item = of.rebuild(leaves if copies == 1 else [leaf.expand(copies, *leaf.shape[1:]) for leaf in leaves])
        with _replaced(one, layer, side, put):
            embedding: Tensor = model.encode(item, side)
        return embedding

    if not isinstance(activation, Tensor):
        return run(1)
    rows = len(activation)
    found: Tensor = _cheapest(pairs, ("tail", side, str(layer)), rows, lambda: run(1), lambda: run(rows))
    return found


def _cheapest(
    pairs: Pairs, key: tuple[object, ...], rows: int, once: Callable[[], Any], copied: Callable[[], Any]
) -> Any:
    """What comes after a layer, with one row before it, or with as many as after it for a model that reads the
    number of rows from its input.
    """
    plans = pairs.plans if pairs.plans is not None else {}
    if rows > 1 and not plans.get(key):
        try:
            found = once()
        except torch.OutOfMemoryError:
            raise
        except (ValueError, RuntimeError):
            found = None
        if isinstance(found, Tensor) and len(found) == rows:
            return found
        plans[key] = True
    return copied() if rows > 1 else once()


def _replaced(
    one: Pairs, layer: Layer, side: int, activation: Tensor | Callable[[Tensor], Tensor]
) -> AbstractContextManager[None]:
    """Puts ``activation`` in place of a layer's output on one side inside the block."""
    plan = find_plan(one, layer)
    module = plan.layers[0][side]
    if one.objective.encodes_held or not plan.layer_order[0] or not isinstance(activation, Tensor):
        return replaced(module, 0, None, activation)
    rows = len(activation)
    if any(module in set(s.modules()) and stacked for s, stacked in zip(plan.shared, plan.stacked, strict=True)):
        return replaced(module, 0, slice(side * rows, (side + 1) * rows), activation)
    return replaced(module, plan.layer_order[0].index(side), None, activation)
