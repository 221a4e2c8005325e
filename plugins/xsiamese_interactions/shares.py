"""What each place of a layer's output has of its item's embedding, where what follows is pooling and linear."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

import torch
from torch import Tensor

from xsiamese.author import Layer, PairBatch, SideLayout, channel_of, parts_of
from xsiamese_interactions.alone import Alone
from xsiamese_interactions.gradients import layer_line, map_places, recorded
from xsiamese_interactions.tangents import jacobian

ROOM = 2**24  # numbers of layer outputs in one pass: each item is in it once whole, once empty, and once for each place


class Where(NamedTuple):
    """A layer on one side."""

    side: int
    layer: Layer
    layout: SideLayout


class Shares(NamedTuple):
    """What each place of one item has of its embedding.

    Attributes:
        shares: (places + 1, D), the last row being the bias's.
        places: the part of each place of the layer's map.
        grid: how the parts lie.
        embedding: their sum, (1, ...).
    """

    shares: Tensor
    places: Tensor
    grid: list[int]
    embedding: Tensor


def shares_of(batch: PairBatch, where: Where) -> Iterator[Shares]:
    """The shares of each item of one side, as many items in one pass of the encoder as there is room for.

    Raises:
        ValueError: if something that is neither pooling nor linear follows the layer.
    """
    plans, item = batch.plans if batch.plans is not None else {}, batch.sides[where.side].leaves[0].shape[1:]
    key, start = ("shares", where.side, str(where.layer), *item), 0
    while start < batch.pairs:
        stop = min(start + plans.get(key, 1), batch.pairs)  # how large an output is shows after the first item
        every = stop - start == batch.pairs
        some = batch if every else batch.select(torch.arange(start, stop, device=batch.leaves[0].device))
        output, rows = _passed(some, where)
        if len(output) != some.pairs:
            some.check_rows(where.layer)
        plans[key] = 1 if rows is None else max(1, ROOM // (rows.shape[1] * output[0].numel()))
        for number, one in enumerate(some.split(1)):
            own = output if some.pairs == 1 else output[number : number + 1]
            yield _shares(one, where, own, None if rows is None else rows[number])
        start = stop


def _passed(batch: PairBatch, where: Where) -> tuple[Tensor, Tensor | None]:
    """The layer's output of some items, and the embeddings of each as it is, empty, and of each of its places alone,
    (items, 2 + places, ...), from one pass; None where what follows does not take so many rows.
    """
    side, seen, after = where.side, [], ExitStack()

    def put(output: Tensor) -> Tensor:
        seen.append(output.detach())
        if len(output) != batch.pairs or batch.sides[side].kind == "graph":  # there are no more nodes in one graph
            return output.clone()
        alone = Alone(output, channel_of(batch, side, output, where.layout))
        after.enter_context(alone)
        return alone.stand_in

    with torch.no_grad():
        try:
            with after:
                rows = batch.tail_embedding(where.layer, side, put)
        except (
            RuntimeError,
            ValueError,
            IndexError,
            AssertionError,
        ):  # what follows reads the number of rows from its input
            rows = torch.empty(0, 0)
        output = seen[-1] if seen else recorded(batch, where.layer, False)[0][side]
    each, left = divmod(len(rows), batch.pairs)
    return output, rows.reshape(batch.pairs, each, *rows.shape[1:]) if each > 1 and not left else None


def _shares(one: PairBatch, where: Where, output: Tensor, rows: Tensor | None) -> Shares:
    """The shares of the item of a single pair, from the rows of :func:`_passed`, or by the derivative of what follows:
    also of graphs, and of maximum pooling, which is linear where it is.
    """
    side, parts = where.side, parts_of(output, None, channel_of(one, where.side, output, where.layout))
    places, grid = map_places(one, side, parts, output, where.layout), list(parts.grid)
    if rows is not None and len(rows) == 2 + parts.count:
        flat = rows.flatten(1)
        found = Shares(torch.cat([flat[2:] - flat[1], flat[1:2]]), places, grid, rows[:1])
        if adds_up(found):
            return found
    line = layer_line(one, where.layer, side, output, end=output, parts=parts)
    with torch.no_grad():
        whole, bias = (line.encode(row) for row in (output, torch.zeros_like(output)))
        shares = jacobian(line.encode, output, output, parts)[1]
    found = Shares(torch.cat([shares, bias.flatten(1)]), places, grid, whole)
    if not adds_up(found):
        raise ValueError(
            f"what follows layer {', '.join(one.layer_names(where.layer))} is not only pooling and linear: its "
            "places' shares do not sum to the embedding; take a later layer=, or PairLayerInteraction"
        )
    return found


def adds_up(found: Shares) -> bool:
    """Whether shares, the bias's among them, sum to the embedding."""
    shares, whole = found.shares, found.embedding.flatten(1)
    gap = (shares.sum(0) - whole).abs().max()
    size = whole.abs().max() + shares[-1].abs().max() + shares.abs().sum(0).max()
    return bool(gap <= 1e4 * torch.finfo(whole.dtype).eps * size)
