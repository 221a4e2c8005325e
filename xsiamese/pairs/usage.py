"""How a model uses its modules: which serve both sides, in which order, and the layers to explain on."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from xsiamese.branches.calls import Survey, survey
from xsiamese.branches.layers import (
    Layer,
    SomeLayers,
    default_layers,
    default_of_nodes,
    find_layers,
    names_of,
)
from xsiamese.branches.probe import Taken
from xsiamese.branches.record import LayerPair, Orders
from xsiamese.model.pair import PairModel, SiameseModel
from xsiamese.pairs.halves import halves_by, halves_of_images, image_of, lies_of, warn_turned
from xsiamese.pairs.objective import NotFiniteError
from xsiamese.pairs.pairs import Pairs
from xsiamese.pairs.refused import refuse_scripted
from xsiamese.pairs.standstill import stands_still, watched, watched_elsewhere


@dataclass(frozen=True)
class Plan:
    """Which modules serve both sides, and how: found out once for a model and a shape of inputs.

    Attributes:
        layers: to explain on, (of a, of b).
        names: what they are called.
        layer_order: the side of each call of a layer, (of a's, of b's), that both sides pass; () where one does.
        shared: the modules that serve both sides.
        stacked: whether such a one gets both in one call.
        order: the side of each of its calls.
        taken: the layers that were taken by themselves, and why.
        alone: the only side that a layer was given or found for; the other one can only be held.
    """

    layers: list[LayerPair]
    names: list[str]
    layer_order: list[Orders]
    shared: list[nn.Module]
    stacked: list[bool]
    order: list[tuple[int, ...]]
    taken: tuple[Taken | None, Taken | None] = (None, None)
    alone: int | None = None

    @property
    def note(self) -> str | None:
        """One line that says which layers were taken by themselves, how their outputs lie, and why."""
        names = self.names[0].split(" / ") if self.names else []
        lines = [f"{name}: {one.why}" for name, one in zip((names * 2)[:2], self.taken, strict=False) if one]
        return " / ".join(dict.fromkeys(lines)) or None


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
    wanted = layered, tuple(layer) if isinstance(layer, list) else layer, batch.shapes
    key = (*wanted, True)
    if batch.pairs == 1 and key not in plans:  # which does not tell an order, nor of small graphs what a pooling drops
        key = (*wanted, False)
    if key not in plans:
        if layered:
            refuse_scripted(batch.model)
        given = find_layers(batch.model, layer) if layered and layer is not None else []
        whole = all(None not in pair for pair in given)
        known = isinstance(batch.model, SiameseModel) and whole and (layer is not None or not layered)
        find_default = not whole or (layered and layer is None)
        plans[key] = _of_parts(batch.model, given) if known else _surveyed(batch, given, find_default)
    found: Plan = plans[key]
    return found


def _of_parts(
    model: PairModel,
    given: Sequence[SomeLayers],
    taken: tuple[Taken | None, Taken | None] = (None, None),
    alone: int | None = None,
) -> Plan:
    """The plan of a SiameseModel, which encodes a first; a side without a layer has its encoder in the layer's place,
    so that it can be held.
    """
    assert isinstance(model, SiameseModel)
    first, second = model.encoders
    layers = [(a or first, b or second) for a, b in given]
    shared: list[nn.Module] = [first] if first is second else []
    layer_order: list[Orders] = [((0, 1), (0, 1)) if _together(pair, shared) else ((), ()) for pair in layers]
    names = names_of(model, layers)
    order: list[tuple[int, ...]] = [(0, 1)] * len(shared)
    return Plan(layers, names, layer_order, shared, [False] * len(shared), order, taken, alone)


@torch.enable_grad()  # which layer the score reads is told by gradients, also for a caller in no_grad
def _surveyed(batch: Pairs, given: Sequence[SomeLayers], find_default: bool) -> Plan:
    """The plan of any model, from watching it at work."""
    few = _few(replace(batch, wrt="both", create_graph=False, plans={}))
    modules = [*batch.model.modules(), *(m for pair in given for m in pair if m is not None)]
    moved, seen = watched(few, modules)
    if find_default and not batch.a.ragged and stands_still(few, seen):
        few, moved, seen = watched_elsewhere(few, modules)
    for side, one in enumerate((few.a, few.b)):
        if one.still:  # its numbers have no gradient: what changes with them is asked
            seen.still[side] = _without(few, side, modules, seen.leaves)
    if seen.constant():
        with torch.no_grad():
            others = survey(partial(few.value, *differing(moved)), modules, ((), ()), few.pairs)
        seen.pass_over(others)
    rows = (few.a.layer_pairs, few.b.layer_pairs)
    taken: tuple[Taken | None, Taken | None] = (None, None)
    alone: int | None = None
    if find_default and batch.a.ragged:
        given = [default_of_nodes(batch.model, seen, (len(rows[0]), len(rows[1])))]
    elif find_default:
        images, by = (image_of(few.a), image_of(few.b)), halves_by(few, seen)
        halves, ids = partial(halves_of_images, few, by), few.a.still and few.b.still
        pair, taken = default_layers(batch.model, seen, images, halves, lies_of(few, by), ids=ids)
        alone = next((pair.index(None) for pair in given or [pair] if None in pair), None)
        given = [(a or pair[0], b or pair[1]) for a, b in given] or [pair]
    if isinstance(batch.model, SiameseModel):
        return _of_parts(batch.model, given, taken, None if alone is None else 1 - alone)
    layers = [(a, b) for a, b in given if a is not None and b is not None]
    names = names_of(batch.model, layers)
    if not find_default:
        warn_turned(few, seen, layers, names)
    shared = seen.shared(batch.model)
    for pair, name in zip(layers, names, strict=True):
        used = [one for one in dict.fromkeys(pair) if one in seen.usage]
        if any(seen.usage[one].of_neither for one in used) and not (
            len(used) == 1 and {0, 1} <= set(seen.order(used[0]))
        ):
            raise ValueError(
                f"layer {name!r} is also called on what is of neither side, such as a bank of prototypes: explain the "
                "inputs, or keep what it gives of that as a buffer of the model"
            )
    layer_order = [_orders(seen, pair, shared) for pair in layers]
    # an activation that is reused often belongs to no side
    shared = [m for m in shared if seen.calls(m) <= 2 or [*m.children(), *m.parameters()]]
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
    return Plan(layers, names, layer_order, shared, stacked, order, taken)


def _few(batch: Pairs) -> Pairs:
    """The first pair of a SiameseModel, whose order is known, and two of others; of graphs those with the largest a and
    the largest b, from which a pooling that drops nodes drops some.
    """
    if not batch.a.ragged:
        return next(batch.split(1 if isinstance(batch.model, SiameseModel) else 2))
    largest = [int(torch.bincount(side.layer_pairs, minlength=batch.pairs).argmax()) for side in batch.sides]
    some = sorted([*dict.fromkeys((*largest, *range(min(2, batch.pairs))))][:2])
    return batch.select(torch.tensor(some, device=batch.a.leaves[0].device)) if len(some) < batch.pairs else batch


def _without(
    few: Pairs, side: int, modules: Sequence[nn.Module], leaves: tuple[Sequence[Tensor], Sequence[Tensor]]
) -> Survey:
    """The model at work where the numbers of a side are 0; where it takes no such, as lengths that a mask of nothing
    would give, what is only 0 or 1 stays as it is, or all but the first.
    """
    one = (few.a, few.b)[side]
    nothing = tuple(map(torch.zeros_like, one.leaves))
    masked = tuple(leaf if bool((leaf <= 1).all()) else zero for leaf, zero in zip(one.leaves, nothing, strict=True))

    def seen(numbers: tuple[Tensor, ...]) -> Survey:
        without = one.holding(numbers)
        other = replace(few, a=few.a if side else without, b=without if side else few.b, witness=None)
        return survey(partial(_any_value, other), modules, leaves, few.pairs)

    with suppress(RuntimeError, ValueError):
        return seen(nothing)
    with suppress(RuntimeError, ValueError):
        return seen(masked)
    return seen((nothing[0], *one.leaves[1:]))


def _any_value(few: Pairs) -> Tensor | None:
    """The value; None where it is NaN, as that of a text of which nothing is left: what changes was seen by then."""
    try:
        return few.value()
    except NotFiniteError:
        return None


def differing(leaves: Sequence[Tensor]) -> list[Tensor]:
    """Other inputs of the same kinds, which differ from any given ones: 1 where these are 0, and 0 elsewhere."""
    return [(leaf == 0).to(leaf.dtype) for leaf in leaves]


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


def _orders(seen: Survey, pair: LayerPair, shared: Sequence[nn.Module]) -> Orders:
    """The side of each call of both layers; () of one that serves its own side only."""
    if _together(pair, shared):
        order = seen.order(pair[0]) if seen.calls(pair[0]) >= 2 else (0, 1)
        return order, order
    return _own_order(seen, pair[0]), _own_order(seen, pair[1])


def _own_order(seen: Survey, layer: nn.Module) -> tuple[int, ...]:
    if layer not in seen.usage:  # which is told where its output is needed
        return ()
    if seen.stacked(layer):
        return 0, 1
    made_of = [seen.made_of(layer, call) for call in range(seen.calls(layer))]
    order = tuple(side for sides in made_of for side in sides)
    return order if set(order) == {0, 1} and len(order) == len(made_of) else ()


def _together(pair: LayerPair, shared: Sequence[nn.Module]) -> bool:
    """Whether both sides pass both layers: they are one, or parts of one shared module."""
    return pair[0] is pair[1] or any(set(pair) <= set(module.modules()) for module in shared)
