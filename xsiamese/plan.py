"""How a model uses its modules: which serve both sides, in which order, and the layers to explain on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from torch import nn

from xsiamese.branches import LayerPair, survey
from xsiamese.layers import Layer, default_layer, find_layers
from xsiamese.model import PairModel, SiameseModel

if TYPE_CHECKING:
    from xsiamese.batch import PairBatch


@dataclass(frozen=True)
class Plan:
    """Which modules serve both sides, and how: found out once for a model and a shape of inputs."""

    layers: list[LayerPair]
    names: list[str]
    layer_order: list[tuple[int, ...]]
    shared: list[nn.Module]
    stacked: list[bool]
    order: list[tuple[int, ...]]


def find_plan(batch: PairBatch, layer: Layer, layered: bool = True) -> Plan:
    """The plan for a batch: one forward pass of up to two pairs, and none for a model whose parts are known, once for a shape of inputs.

    Args:
        batch: the pairs.
        layer: the layers to explain on; None finds the last spatial one.
        layered: whether layers matter at all.

    Raises:
        ValueError: if a layer is not known, or a module is called more often than there are sides.
    """
    plans = batch.plans if batch.plans is not None else {}
    key = (layered, tuple(layer) if isinstance(layer, list) else layer, tuple(leaf.shape[1:] for leaf in (*batch.a.leaves, *batch.b.leaves)))
    if key not in plans:
        layers, names = find_layers(batch.model, layer) if layered and layer is not None else ([], [])
        known = isinstance(batch.model, SiameseModel) and (layer is not None or not layered)
        plans[key] = _of_parts(batch.model, layers, names) if known else _surveyed(batch, layers, names, find_default=layered and layer is None)
    return plans[key]


def _of_parts(model: PairModel, layers: list[LayerPair], names: list[str]) -> Plan:
    """The plan of a SiameseModel, which encodes a first."""
    assert isinstance(model, SiameseModel)
    first, second = model.encoders
    shared: list[nn.Module] = [first] if first is second else []
    layer_order: list[tuple[int, ...]] = [(0, 1) if _together(pair, shared) else () for pair in layers]
    return Plan(layers, names, layer_order, shared, [False] * len(shared), [(0, 1)] * len(shared))


def _surveyed(batch: PairBatch, layers: list[LayerPair], names: list[str], find_default: bool) -> Plan:
    """The plan of any model, from watching it at work."""
    few = next(replace(batch, wrt="both", create_graph=False, plans={}).split(2))
    moved = tuple(leaf.requires_grad_() for leaf in few.moved)
    of_a = sum(i < len(batch.a.leaves) for i in few.objective.moved_at)
    modules = [*batch.model.modules(), *(m for pair in layers for m in pair)]
    seen = survey(lambda: few.value(*moved), modules, (moved[:of_a], moved[of_a:]), few.pairs)
    if find_default:
        layers, names = default_layer(batch.model, seen)
    if isinstance(batch.model, SiameseModel):
        return _of_parts(batch.model, layers, names)
    shared = seen.shared(batch.model)
    layer_order = [(seen.order(pair[0]) if seen.calls(pair[0]) == 2 else (0, 1)) if _together(pair, shared) else () for pair in layers]
    # an activation that is reused often belongs to no side
    shared = [module for module in shared if seen.calls(module) <= 2 or any(module.children())]
    stacked = [seen.stacked(module) for module in shared]
    order = [(0, 1) if flag else seen.order(module) for module, flag in zip(shared, stacked, strict=True)]
    for module, flag, sides in zip(shared, stacked, order, strict=True):
        if not flag and len(sides) != 2:
            raise ValueError(f"{type(module).__name__} is called {len(sides)} times in one pass, which does not fit 2 branches: it must serve each side once")
    return Plan(layers, names, layer_order, shared, stacked, order)


def _together(pair: LayerPair, shared: Sequence[nn.Module]) -> bool:
    """Whether both sides pass both layers: they are one, or parts of one shared module."""
    return pair[0] is pair[1] or any(set(pair) <= set(module.modules()) for module in shared)
