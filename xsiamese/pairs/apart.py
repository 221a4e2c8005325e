"""A batch on a copy of its model: with modules of its own for each side, or with relevance in place of gradients."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from xsiamese.branches.calls import survey
from xsiamese.branches.copies import copied
from xsiamese.branches.derivative import RefusedDerivatives
from xsiamese.branches.layers import Layer
from xsiamese.branches.outputs import first_tensor, of_neither
from xsiamese.branches.record import LayerPair
from xsiamese.branches.refused import (
    refuse_packed,
    refuse_transformed,
)
from xsiamese.branches.relevance import Relevance, rules_of
from xsiamese.branches.relevance import propagating as propagate
from xsiamese.branches.rules import Rules
from xsiamese.branches.several import refuse_routing, views_apart
from xsiamese.branches.untied import Views, hide, one_by_one, outputs_of, untie_repeats, with_ports
from xsiamese.branches.untied import untied as untie
from xsiamese.model.held import said_of_hidden
from xsiamese.model.pair import PairModel, SiameseModel, TwoInputModel
from xsiamese.model.precision import LOW, wide
from xsiamese.pairs.objective import Objective
from xsiamese.pairs.pairs import Pairs
from xsiamese.pairs.refused import refuse_scripted
from xsiamese.pairs.rows import refuse_odd_rows, refuse_other_dimension, refuse_other_rows
from xsiamese.pairs.split import Split
from xsiamese.pairs.usage import differing, find_plan

_Batch = TypeVar("_Batch", bound=Pairs)


def untied(
    pairs: Pairs, layer: Layer, *, layered: bool, unique: bool, tie: bool, ports: bool, compared: bool
) -> tuple[Objective, list[list[LayerPair]]]:
    """See :meth:`PairBatch.untied <xsiamese.pairs.batch.PairBatch.untied>`."""
    _check_modules(pairs)
    refuse_scripted(pairs.model)
    if pairs.split_.stacked:
        apart = pairs.laid_out(Split(pairs.split_.pairs))
        return untied(apart, layer, layered=layered, unique=unique, tie=tie, ports=ports, compared=compared)
    plan = find_plan(pairs, layer, layered)
    alone = pairs.objective.encodes_held
    shared = [] if alone else plan.shared
    views = untie(
        pairs.objective, shared, stacked=[] if alone else plan.stacked, order=[] if alone else plan.order, tie=tie
    )
    assert isinstance(views.model, Objective)
    groups = []
    for pair, name in zip(plan.layers if layered else [], plan.names, strict=False):
        found = views.all_of(pair)
        if found is None:
            raise ValueError(f"layer {name!r} is not a submodule of the model: register it there")
        groups.append(_of_each_call(pairs, views.model, found, name, ports))
    if compared:
        _refuse_routing(pairs, views.model)
    if unique:
        _take_views_apart(pairs, views.model, {module for calls in groups for pair in calls for module in pair})
        with RefusedDerivatives("rules for layers"):
            untie_repeats(views.model, lambda: views.model(*pairs.moved, *pairs.arguments))
        _hide_unmoved(pairs, views.model)
    return views.model, groups


@contextmanager
def propagating(pairs: _Batch, rules: Rules, layer: Layer) -> Iterator[tuple[_Batch, Layer, Relevance]]:
    """See :meth:`PairBatch.propagating <xsiamese.pairs.batch.PairBatch.propagating>`."""
    _check_modules(pairs)
    refuse_scripted(pairs.model)
    low = _is_low(pairs)
    views = untie(pairs.model, [], tie=not low)
    model = cast(PairModel, views.model)
    here = replace(pairs, model=model, plans={}, split_=Split(pairs.split_.pairs))
    here = _widened(here) if low else here
    if isinstance(model, SiameseModel):
        roots = list(dict.fromkeys(model.encoders))
    else:
        shared = find_plan(pairs, None, layered=False).shared
        roots = [_in_copy(module, views) for module in shared] or [cast(nn.Module, cast(TwoInputModel, model).model)]
    with propagate(roots, rules, here.moved, rules_of(model, roots, rules)) as relevance:
        yield here, _in_copy(layer, views), relevance


def in_float32(pairs: _Batch) -> _Batch:
    """See :meth:`PairBatch.in_float32 <xsiamese.pairs.batch.PairBatch.in_float32>`."""
    return _widened(replace(pairs, model=cast(PairModel, copied(pairs.model)), plans={})) if _is_low(pairs) else pairs


def _is_low(pairs: Pairs) -> bool:
    """Whether pairs or their model are of half precision."""
    return any(one.dtype in LOW for one in (*pairs.a.leaves, *pairs.b.leaves, *pairs.model.parameters()))


def _widened(pairs: _Batch) -> _Batch:
    """The same pairs in float32, their model with them."""
    a, b = (side.holding(tuple(map(wide, side.leaves))) for side in pairs.sides)
    starts = [tuple(map(wide, leaves)) for leaves in pairs.baselines]
    extra = tuple(wide(one) if isinstance(one, Tensor) else one for one in pairs.extra)
    return replace(
        pairs, model=pairs.model.float(), a=a, b=b, baselines=(starts[0], starts[1]), extra=extra, witness=None
    )


def _check_modules(pairs: Pairs) -> None:
    """Refuses a model whose modules cannot be seen."""
    if isinstance(pairs.model, TwoInputModel) and not isinstance(pairs.model.model, nn.Module):
        raise ValueError(
            "this explainer needs the model's modules, and a plain function hides them: wrap it in an nn.Module, "
            "or use SiameseModel"
        )
    if said := said_of_hidden(pairs.model):
        raise ValueError(said)


def _take_views_apart(pairs: Pairs, views: Objective, layers: Collection[nn.Module]) -> None:
    """Gives each of several views of a side in one call a module of its own, see :func:`views_apart`."""
    if pairs.a.ragged or pairs.b.ragged:
        return
    one = next(replace(pairs, plans={}, witness=None).split(1))
    starts = [m if s.shape != m.shape else s for s, m in zip(one.moved_baselines, one.moved, strict=True)]
    both = [torch.cat(rows) for rows in zip(one.moved, starts, strict=True)]
    runs = (
        partial(views, *one.moved, *one.arguments),
        partial(views, *starts, *one.arguments),
        partial(views, *both, *one.repeated(2)),
    )
    views_apart(views, runs, layers)


def _refuse_routing(pairs: Pairs, views: Objective) -> None:
    """Refuses a model whose layers get other rows for the baselines than for the pairs, see :func:`refuse_routing`, or
    are called inside a transform.
    """
    if pairs.a.ragged or pairs.b.ragged:
        refuse_other_rows(pairs, views)
        return
    few = next(replace(pairs, plans={}, witness=None).split(1))
    called = outputs_of(views, partial(views, *few.moved, *few.arguments))
    refuse_transformed(one for outputs in called.values() for one in map(first_tensor, outputs) if one is not None)
    refuse_other_dimension(few, views, called)
    layers = (layer for layer in views.modules() if not list(layer.children()))
    # a layer that has no part in it may be an expert of another pair
    idle = any(layer not in called and any(True for _ in layer.parameters()) for layer in layers)
    some = replace(pairs, witness=None) if idle else few
    starts = [m if s.shape != m.shape else s for s, m in zip(some.moved_baselines, some.moved, strict=True)]
    others = (some.moved, starts, differing(some.moved))
    refuse_routing(views, [partial(views, *leaves, *some.arguments) for leaves in others])


def _hide_unmoved(pairs: Pairs, views: Objective) -> None:
    """Keeps tools from modules that no input reaches, as of a bank of prototypes or a table of places: their hooks want
    a gradient and a row for each pair.
    """
    ragged = pairs.a.ragged or pairs.b.ragged  # the copied model holds the edges of all graphs
    few = pairs if ragged else next(replace(pairs, plans={}, witness=None).split(1))
    leaves = [leaf.detach().requires_grad_(leaf.is_floating_point()) for leaf in few.moved]
    runs = (partial(views, *some, *few.arguments) for some in (leaves, differing(few.moved)))
    with torch.enable_grad():
        seen, others = (survey(run, [*views.modules()], ((), ()), 1) for run in runs)
    still = seen.unmoved(others)
    for module in still:
        if not any(module is not outer and any(module is one for one in outer.modules()) for outer in still):
            hide(views, module)


def _of_each_call(
    pairs: Pairs, views: Objective, found: tuple[list[nn.Module], list[nn.Module]], name: str, ports: bool
) -> list[LayerPair]:
    """A layer's views (of a, of b) in an untied copy, a pair for each of its calls on a side; refuses one that is
    never called, or not as often on either side, before any work is done.
    """
    few = next(replace(pairs, plans={}, witness=None).split(1))
    run = partial(views, *few.moved, *few.arguments)
    seen = outputs_of(views, run)
    refuse_transformed(
        one for view in (*found[0], *found[1]) for one in map(first_tensor, seen.get(view, ())) if one is not None
    )
    for view in (*found[0], *found[1]):
        refuse_packed(name, seen.get(view, ()))
    if not (pairs.a.ragged or pairs.b.ragged):
        of_two = partial(views, *(torch.cat([one, one]) for one in few.moved), *few.repeated(2))
        alone = found[0] != found[1] or pairs.objective.encodes_held
        refuse_odd_rows(name, (*found[0], *found[1]), seen, lambda: outputs_of(views, of_two), alone=alone)
    if not all(seen.get(view) for side in pairs.objective.moving for view in found[side]):
        raise ValueError(f"layer {name!r} is never called in the forward pass: choose one that is")
    if found[0] == found[1] and not pairs.objective.encodes_held:
        rows = max(len(output) for view in found[0] for output in seen[view])  # of one pair
        raise ValueError(
            f"layer {name!r} gets several views of a side in one call, {rows} rows for one pair, so that which row "
            "is whose cannot be told: call it once for each view"
            if rows > 2 and rows % 2 == 0
            else f"layer {name!r} sees both inputs together and has no map for each: choose a layer inside the "
            "encoder, or layer=(layer_a, layer_b)"
        )
    apart = {view: one_by_one(views, view, run) for view in dict.fromkeys((*found[0], *found[1]))}
    if any(len(one) > 1 for one in apart.values()):
        seen = outputs_of(views, run)
        others = outputs_of(views, partial(views, *differing(few.moved), *few.arguments))
        for view, calls in apart.items():
            passed = of_neither(
                *([first_tensor(found) for one in calls for found in some[one]] for some in (seen, others))
            )
            apart[view] = [one for i, one in enumerate(calls) if i not in passed]
    first, second = ([one for view in side for one in apart[view]] for side in found)
    if len(first) != len(second) and len(pairs.objective.moving) == 2:
        raise ValueError(
            f"layer {name!r} is called {len(first)} times for a and {len(second)} times for b: choose a layer "
            "called as often on either side"
        )
    if len(pairs.objective.moving) == 1:  # the side that is held has no calls to explain
        first, second = (first, first) if pairs.objective.moving[0] == 0 else (second, second)
    return [with_ports(views, pair, seen) if ports else pair for pair in zip(first, second, strict=True)]


def _in_copy(layer: Any, views: Views) -> Any:
    """What a layer, given in any way, is in a copy of the model."""
    if isinstance(layer, nn.Module):
        found = views.of((layer, layer))
        if found is None:
            raise ValueError(f"layer {type(layer).__name__} is not a submodule of the model: register it there")
        return found[0]
    return type(layer)(_in_copy(one, views) for one in layer) if isinstance(layer, (tuple, list)) else layer
