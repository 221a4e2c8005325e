"""How a model uses its modules: which serve both sides, in which order, and the layers to explain on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from xsiamese.branches.calls import Survey, survey
from xsiamese.branches.layers import Layer, default_layer, find_layers
from xsiamese.branches.record import LayerPair
from xsiamese.model.pair import PairModel, SiameseModel
from xsiamese.pairs.pairs import Pairs


@dataclass(frozen=True)
class Plan:
    """Which modules serve both sides, and how: found out once for a model and a shape of inputs."""

    layers: list[LayerPair]
    names: list[str]
    layer_order: list[tuple[int, ...]]
    shared: list[nn.Module]
    stacked: list[bool]
    order: list[tuple[int, ...]]


def find_plan(batch: Pairs, layer: Layer, layered: bool = True) -> Plan:
    """The plan for a batch: one forward pass of up to two pairs, and none for a model whose parts are known, once for a
    shape of inputs.

    Args:
        batch: the pairs.
        layer: the layers to explain on; None finds the last spatial one, or the last that sends messages between the
            nodes of graphs.
        layered: whether layers matter at all.

    Raises:
        ValueError: if a layer is not known, a module is called more often than there are sides, or one call gets the
            two sides in another order than a, b.
    """
    plans = batch.plans if batch.plans is not None else {}
    shapes = tuple(leaf.shape[1:] for leaf in (*batch.a.leaves, *batch.b.leaves))
    key = (
        layered,
        tuple(layer) if isinstance(layer, list) else layer,
        shapes,
        batch.pairs > 1,
    )  # a single pair does not tell an order
    if key not in plans:
        layers, names = find_layers(batch.model, layer) if layered and layer is not None else ([], [])
        known = isinstance(batch.model, SiameseModel) and (layer is not None or not layered)
        plans[key] = (
            _of_parts(batch.model, layers, names)
            if known
            else _surveyed(batch, layers, names, find_default=layered and layer is None)
        )
    found: Plan = plans[key]
    return found


def _of_parts(model: PairModel, layers: list[LayerPair], names: list[str]) -> Plan:
    """The plan of a SiameseModel, which encodes a first."""
    assert isinstance(model, SiameseModel)
    first, second = model.encoders
    shared: list[nn.Module] = [first] if first is second else []
    layer_order: list[tuple[int, ...]] = [(0, 1) if _together(pair, shared) else () for pair in layers]
    return Plan(layers, names, layer_order, shared, [False] * len(shared), [(0, 1)] * len(shared))


def _surveyed(batch: Pairs, layers: list[LayerPair], names: list[str], find_default: bool) -> Plan:
    """The plan of any model, from watching it at work."""
    few = next(replace(batch, wrt="both", create_graph=False, plans={}).split(2))
    moved = tuple(leaf.requires_grad_() for leaf in few.moved)
    of_a = sum(i < len(batch.a.leaves) for i in few.objective.moved_at)
    modules = [*batch.model.modules(), *(m for pair in layers for m in pair)]
    seen = survey(lambda: few.value(*moved), modules, (moved[:of_a], moved[of_a:]), few.pairs)
    rows = (few.a.layer_pairs, few.b.layer_pairs)
    if find_default:
        layers, names = default_layer(batch.model, seen, (len(rows[0]), len(rows[1])) if batch.a.ragged else None)
    if isinstance(batch.model, SiameseModel):
        return _of_parts(batch.model, layers, names)
    shared = seen.shared(batch.model)
    layer_order = [
        (seen.order(pair[0]) if seen.calls(pair[0]) == 2 else (0, 1)) if _together(pair, shared) else ()
        for pair in layers
    ]
    # an activation that is reused often belongs to no side
    shared = [module for module in shared if seen.calls(module) <= 2 or any(module.children())]
    stacked = [seen.stacked(module) for module in shared]
    _check_order(
        batch,
        few,
        seen,
        rows,
        [
            *(pair[0] for pair in layers if pair[0] is pair[1]),
            *(m for m, flag in zip(shared, stacked, strict=True) if flag),
        ],
    )
    order = [(0, 1) if flag else seen.order(module) for module, flag in zip(shared, stacked, strict=True)]
    for module, flag, sides in zip(shared, stacked, order, strict=True):
        if not flag and len(sides) != 2:
            raise ValueError(
                f"{type(module).__name__} is called {len(sides)} times in one pass, which does not fit 2 branches: "
                "it must serve each side once"
            )
    return Plan(layers, names, layer_order, shared, stacked, order)


def _check_order(
    batch: Pairs, few: Pairs, seen: Survey, rows: tuple[Tensor, Tensor], modules: Sequence[nn.Module]
) -> None:
    """Refuses a model that gives a module both sides in one call but not a first and then b: its rows would be taken
    for those of other pairs.
    """
    places = [few.place(i) for i in range(len(few.moved))]
    owners = tuple([side.pair_of(leaf) for side, leaf in places if side is one] for one in (few.a, few.b))
    graphs = torch.arange(few.pairs, device=rows[0].device)
    for module in modules:
        for expected in (rows, (graphs, graphs)):
            if module in seen.usage and seen.mixed(module, expected, (owners[0], owners[1])):
                name = next((name for name, m in batch.model.named_modules() if m is module), type(module).__name__)
                raise ValueError(
                    f"{name} gets both sides in one call, and not all of a followed by all of b: which row belongs "
                    "to which side cannot be told; "
                    "put them in this order, or call it once a side"
                )


def _together(pair: LayerPair, shared: Sequence[nn.Module]) -> bool:
    """Whether both sides pass both layers: they are one, or parts of one shared module."""
    return pair[0] is pair[1] or any(set(pair) <= set(module.modules()) for module in shared)
