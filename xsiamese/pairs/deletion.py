"""The value explained of a pair of graphs without some of their nodes and edges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from xsiamese.kinds.catalogue import side
from xsiamese.kinds.graphs.variants import Removed, Variants
from xsiamese.model.pair import SiameseModel
from xsiamese.pairs.batch import PairBatch

ROOM = 2**18  # nodes and edges in one forward pass


def values_without(one: PairBatch, graphs: tuple[Variants, Variants], removed: tuple[Removed, Removed]) -> Tensor:
    """The value explained of a single pair, without the parts that each row names, shape (rows,).

    A factored model encodes each different variant of each graph once.

    Args:
        one: the pair.
        graphs: its two graphs.
        removed: for each side the nodes and the edges that go, see :meth:`Variants.without`; as many rows on both
            sides.

    Raises:
        ValueError: if the model refuses the graphs, or does not give one score for each.
    """
    largest = max(graph.nodes + len(graph.edge_of) for graph in graphs)
    rows = max(1, min(one.rows or ROOM, ROOM // max(largest, 1)))
    with torch.no_grad(), one.naming_inputs():
        if isinstance(one.model, SiameseModel) and one.target is None:
            score = one.model.comparison.explained(
                *(_encoded(one.model, k, graphs[k], removed[k], rows) for k in (0, 1))
            ).reshape(-1)
            values = one.model.closeness(score)
        else:
            starts = range(0, len(removed[0][0]), rows)
            sides = ([graphs[k].without(*(r[s : s + rows] for r in removed[k])) for k in (0, 1)] for s in starts)
            values = torch.cat([_scored(one, built) for built in sides])
        _check_whole(one, values, removed)
    return values


def _eps(values: Tensor) -> float:
    """The rounding of the numbers that scores were made with: a graph built anew may be summed in another order."""
    device = values.device.type
    coarse = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else values.dtype
    return max(torch.finfo(coarse).eps, torch.finfo(values.dtype).eps)


def _check_whole(one: PairBatch, values: Tensor, removed: tuple[Removed, Removed]) -> None:
    """That graphs built anew without a removal have the model's own value: else something of them was lost."""
    whole = ~torch.cat([mask for side in removed for mask in side], 1).any(1)
    if not bool(whole.any()):
        return
    given = [side.rebuild(side.leaves) for side in (one.a, one.b)]
    built, own = float(values[whole.to(values.device)][0]), float(_scored(one, given))
    room = max(1e-3, 8 * _eps(values)) * max(float(values.nan_to_num().abs().max()), abs(own))
    if abs(built - own) > room:
        raise ValueError(
            f"the model gives pair {one.first_pair} {own:.4g}, and {built:.4g} for the same graphs built anew, before "
            "anything is removed: an attribute of theirs is not a tensor of nodes, edges or graphs, or the model is "
            "random"
        )


def _encoded(model: SiameseModel, side: int, graph: Variants, removed: Removed, rows: int) -> Tensor:
    """The embedding of each row's variant."""
    nodes, edges = removed
    different, place = torch.unique(torch.cat([nodes, edges], 1), dim=0, return_inverse=True)
    batches = (graph.without(part[:, : graph.nodes], part[:, graph.nodes :]) for part in different.split(rows))
    return torch.cat([model.encode(batch, side) for batch in batches])[place]


def _scored(one: PairBatch, sides: Sequence[Any]) -> Tensor:
    """The value explained of several variants of one pair, by a model that takes both sides at once."""
    count = int(sides[0].num_graphs)
    extra = tuple(_repeated(value, count) for value in one.extra)
    if one.target is not None:
        target = _repeated(one.target, count)
        a, b = (side(batch, name) for batch, name in zip(sides, "ab", strict=True))
        return replace(one, a=a, b=b, wrt="both", extra=extra, target=target, baselines=((), ()), plans={}).value()
    score = one.model.explained(*sides, *extra)
    if not isinstance(score, Tensor) or score.numel() != count:
        what = tuple(score.shape) if isinstance(score, Tensor) else type(score).__name__
        raise ValueError(
            f"the model returned {what} for {count} pairs of graphs: one score per pair is needed, shape ({count},)"
        )
    return one.model.closeness(score.reshape(-1))


def _repeated(value: Any, count: int) -> Any:
    """What belongs to a single pair, for several."""
    if isinstance(value, Tensor) and value.shape[:1] == (1,):
        return value.expand(count, *value.shape[1:])
    return value * count if isinstance(value, list) and len(value) == 1 else value
