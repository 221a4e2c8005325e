"""Whether a row of what a layer gives is a pair."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from xsiamese.branches.calls import survey
from xsiamese.branches.layers import Layer
from xsiamese.branches.outputs import first_tensor
from xsiamese.branches.refused import refuse_beside, refuse_pieces, refuse_times_first
from xsiamese.branches.untied import outputs_of
from xsiamese.pairs.objective import Objective
from xsiamese.pairs.pairs import Pairs
from xsiamese.pairs.usage import find_plan


def refuse_other_dimension(one: Pairs, views: Objective, called: Mapping[nn.Module, list[Any]]) -> None:
    """Refuses a model of which an activation has pairs in another dimension than the first: those of the pairs and of
    their baselines are told apart by rows.

    Args:
        one: a single pair.
        views: the copied model.
        called: what its modules give of it.
    """
    both = [torch.cat([leaf, leaf]) for leaf in one.moved]
    of_two = outputs_of(views, partial(views, *both, *one.repeated(2)))
    for name, layer, single, double in _activations(views, called, of_two):
        if not isinstance(layer, (nn.Identity, nn.modules.dropout._DropoutNd)):  # which leave all as it is
            refuse_times_first(name, single, double)


def refuse_other_rows(pairs: Pairs, views: Objective) -> None:
    """Refuses graph models of which a layer's rows are not those of the pairs and then of their baselines, as of one
    that stacks its nodes several times in a dimension of its own.
    """
    both = [torch.cat(rows) for rows in zip(pairs.moved, pairs.moved_baselines, strict=True)]
    runs = partial(views, *pairs.moved, *pairs.arguments), partial(views, *both, *pairs.repeated(2))
    few, many = (outputs_of(views, run) for run in runs)
    for name, _, one, two in _activations(views, few, many):
        if len(two) != 2 * len(one):
            raise ValueError(
                f"{name!r} gives {len(one)} rows for these pairs and {len(two)} with their baselines, so that rows of "
                "other nodes would be compared: use PairIntegratedGradients, or a method that removes and asks again"
            )


def _activations(
    views: Objective, first: Mapping[nn.Module, list[Any]], second: Mapping[nn.Module, list[Any]]
) -> Iterator[tuple[str, nn.Module, Tensor, Tensor]]:
    """What is compared by rows, modules without any part: their names, themselves, and what they gave in two passes."""
    for name, layer in views.named_modules():
        if [*layer.children(), *layer.parameters()]:
            continue
        for one, two in zip(first.get(layer, ()), second.get(layer, ()), strict=False):
            if isinstance(one, Tensor) and one.is_floating_point() and one.dim():
                yield name.removeprefix("model."), layer, one, two


def check_rows(pairs: Pairs, layer: Layer) -> None:
    """See :meth:`PairBatch.check_rows <xsiamese.pairs.batch.PairBatch.check_rows>`."""
    if pairs.a.ragged or pairs.b.ragged:
        return
    one = next(replace(pairs, wrt="both", witness=None).split(1))
    plan, two = find_plan(one, layer), one.select(torch.zeros(2, dtype=torch.long, device=one.a.leaves[0].device))
    modules = [module for pair in plan.layers for module in pair]
    with torch.no_grad():
        few, many = (survey(some.value, modules, ((), ()), some.pairs).usage for some in (one, two))
    for pair, name in zip(plan.layers, plan.names, strict=True):
        outputs, others = ({m: usage[m].outputs for m in pair if m in usage} for usage in (few, many))
        refuse_odd_rows(name, pair, outputs, partial(dict, others))


def refuse_odd_rows(
    name: str,
    modules: Collection[nn.Module],
    of_one: Mapping[nn.Module, list[Any]],
    of_two: Callable[[], Mapping[nn.Module, list[Any]]],
    *,
    alone: bool = False,
) -> None:
    """Refuses a layer of which a row is no pair, by what its modules give of one pair and of two, which are asked only
    where there is more than a row; ``alone`` says that each gets one side only.
    """
    outputs = {module: [first_tensor(one) for one in of_one.get(module, ())] for module in modules}
    if not any(one is not None and one.dim() and len(one) > 1 for calls in outputs.values() for one in calls):
        return
    others = of_two()
    for module, calls in outputs.items():
        refuse_beside(name, _rows(of_one.get(module)), _rows(others.get(module)))
        for one, two in zip(calls, map(first_tensor, others.get(module, ())), strict=False):
            if one is not None and two is not None:
                refuse_times_first(name, one, two)
                if alone:
                    refuse_pieces(name, one, two)


def _rows(outputs: list[Any] | None) -> int:
    first = first_tensor(outputs[0]) if outputs else None
    return len(first) if first is not None and first.dim() else 0
