"""What comes after a layer, as a function of the layer's output on one side: to the value, or to the embedding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from xsiamese.branches.calls import Usage, survey
from xsiamese.branches.derivative import naming_derivatives
from xsiamese.branches.layers import Layer
from xsiamese.branches.outputs import of_neither
from xsiamese.branches.record import replaced
from xsiamese.kinds.side import Side
from xsiamese.model.pair import SiameseModel
from xsiamese.pairs.pairs import Pairs
from xsiamese.pairs.usage import differing, find_plan

Activation = Tensor | Callable[[Tensor], Tensor]


def tail(pairs: Pairs, layer: Layer, side: int, activation: Tensor) -> Tensor:
    """See :meth:`PairBatch.tail <xsiamese.pairs.batch.PairBatch.tail>`."""
    if pairs.pairs != 1:
        raise ValueError(f"tail() takes a single pair, not {pairs.pairs}: use split(1)")
    rows = len(activation)
    one = replace(pairs, wrt="first" if side == 0 else "second", witness=None)  # its inputs are the pair's own
    arguments = one.repeated(rows)  # before the layer is replaced: the held side passes it too
    copies = tuple(leaf.expand(rows, *leaf.shape[1:]) for leaf in one.moved)

    def run(moved: Sequence[Tensor]) -> Tensor:
        return _with_put_in(one, layer, side, activation, lambda: one.objective(*moved, *arguments))

    if not one.objective.encodes_held:
        return run(copies)
    found: Tensor = _cheapest(pairs, ("tail", side, str(layer)), rows, lambda: run(one.moved), lambda: run(copies))
    return found


def tail_embedding(
    pairs: Pairs,
    layer: Layer,
    side: int,
    activation: Activation,
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
        return _with_put_in(one, layer, side, put, lambda: model.encode(item, side))

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
        except (ValueError, RuntimeError, IndexError, AssertionError):  # a mask of as many rows as there were before
            found = None
        if isinstance(found, Tensor) and len(found) == rows:
            return found
        plans[key] = True
    return copied() if rows > 1 else once()


def _with_put_in(one: Pairs, layer: Layer, side: int, activation: Activation, run: Callable[[], Tensor]) -> Tensor:
    """What ``run`` gives with ``activation`` in place of a layer's output on one side.

    In a pass of one side that calls the layer again, it is put into the first call that has something of the item, and
    not of a bank of prototypes, say, which is looked for only then.
    """
    plan = find_plan(one, layer)
    module, order = plan.layers[0][side], plan.layer_order[0][side]

    def at(call: int, rows: slice | None = None) -> tuple[Tensor, int]:
        with naming_derivatives(), replaced(module, call, rows, activation) as calls:
            return run(), calls()

    if not one.objective.encodes_held and order and isinstance(activation, Tensor):  # a pass of both sides
        rows, stacked = len(activation), zip(plan.shared, plan.stacked, strict=True)
        if any(flag and module in set(shared.modules()) for shared, flag in stacked):
            return at(0, slice(side * rows, (side + 1) * rows))[0]
        return at(order.index(side))[0]
    plans, key = one.plans if one.plans is not None else {}, ("own call", side, str(layer))
    if key in plans or not isinstance(one.model, SiameseModel):
        return at(plans.get(key, 0))[0]
    try:
        found, calls = at(0)
    except (ValueError, RuntimeError, IndexError):
        plans[key] = _own_call(one.model, module, one.sides[side], side)
        if not plans[key]:
            raise
        return at(plans[key])[0]
    if calls > 1:
        plans[key] = _own_call(one.model, module, one.sides[side], side)
    return at(plans[key])[0] if plans.get(key) else found


def _own_call(model: SiameseModel, module: nn.Module, of: Side, side: int) -> int:
    """Which of a module's calls in the pass of one side is the first that changes with the item."""
    runs = (partial(model.encode, of.rebuild(leaves), side) for leaves in (of.leaves, differing(of.leaves)))
    with torch.no_grad():
        seen, others = (survey(run, [module], ((), ()), of.pairs).usage.get(module, Usage()).outputs for run in runs)
    passed = of_neither(seen, others)
    return next((i for i in range(len(seen)) if i not in passed), 0)
