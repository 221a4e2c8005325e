"""The units of a map: the places of which a metric says how much they count, and what is put where one is taken away.

A unit is a pixel of an image (pairs, channels, height, width), a step of a series (pairs, channels, steps), a token
of a text (pairs, tokens), or (pairs, tokens, channels) of its vectors, a column of a row, a node or an edge of a graph.
A unit's value is the sum of its channels or features. A map of a layer is brought to the size of the input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from xsiamese.kinds.places import over_plane
from xsiamese.kinds.side import SIDES, Side
from xsiamese.pairs.batch import PairBatch
from xsiamese.result.explanation import PairExplanation


@dataclass(frozen=True)
class Units:
    """One side's units.

    Attributes:
        values: of each unit of each pair, shape (pairs, units); graphs are padded with -inf.
        real: which of them are no padding, the same shape.
    """

    values: Tensor
    real: Tensor

    @cached_property
    def counts(self) -> Tensor:
        """The number of units of each pair, shape (pairs,)."""
        return self.real.sum(1)

    def ranks(self, seed: int = 0) -> Tensor:
        """The place of each unit when the largest comes first, shape (pairs, units); padding comes last.

        Equal values, and those that rounding alone may tell apart, stand in an order that is drawn with ``seed``, the
        same for every pair however many there are.
        """
        largest = self.values.masked_fill(~self.real, 0).abs().amax(1, keepdim=True)
        values = (self.values / torch.where(largest > 0, largest, 1.0) * 1e5).round()
        width = self.values.shape[1]
        # numpy's stream does not depend on how many numbers are asked for: a wider batch of graphs draws the same
        key = torch.from_numpy(np.random.default_rng(seed).random(width)).argsort().to(values.device)
        return key[values[:, key].argsort(dim=1, descending=True, stable=True)].argsort(1)

    def without(self, share: Tensor | float, seed: int = 0) -> Tensor:
        """Which units stay when the first ``share`` of the order is gone, shape (pairs, units)."""
        return self.ranks(seed) >= (self.counts * share).round()[:, None]


def both_units(batch: PairBatch, explanation: PairExplanation) -> tuple[Units, Units]:
    """The units of both sides.

    Raises:
        ValueError: if a map does not fit its input, or holds NaN.
    """
    first, second = (
        units_of(value, side, SIDES[i], explanation.method)
        for i, (value, side) in enumerate(zip(explanation.maps, (batch.a, batch.b), strict=True))
    )
    return first, second


def units_of(value: Any, side: Side, name: str = "a", method: str = "the explainer") -> Units:
    """The units of one map.

    Raises:
        ValueError: if the map does not fit the input, or holds NaN.
    """
    if side.ragged:
        return _of_graphs(value, side, name, method)
    if not isinstance(value, Tensor):
        raise ValueError(f"{method} gave several maps for input {name}: metrics take one; explain one layer or tensor")
    leaf = side.leaves[0]
    _check(value, name, method)
    value = over_plane(value, leaf)
    if side.kind == "text" and leaf.dim() == 2 and value.dim() == 3:
        value = value.sum(2)  # of the vectors of ids, (pairs, tokens, dimensions): as many places as there are ids
    flat = per_unit(_channels_first(value, side, leaf.dim()), _channels_first(leaf, side, leaf.dim()), name)
    return Units(flat, torch.ones_like(flat, dtype=torch.bool))


def per_unit(value: Tensor, leaf: Tensor, name: str = "a") -> Tensor:
    """A map as one value a unit of ``leaf``, shape (pairs, units): channels summed, a layer's grid brought to the
    input's size.

    Raises:
        ValueError: if it does not fit.
    """
    places = tuple(leaf.shape[2:]) or tuple(leaf.shape[1:])
    found = value
    if leaf.dim() > 2 and value.dim() == leaf.dim():
        found = value.sum(1)
    if value.dim() == leaf.dim() and leaf.dim() in (3, 4) and tuple(found.shape[1:]) != places:
        mode = {3: "linear", 4: "bilinear"}[leaf.dim()]
        found = functional.interpolate(found[:, None], places, mode=mode, align_corners=False)[:, 0]
    if tuple(found.shape) != (len(leaf), *places):
        raise ValueError(
            f"the map of {name} has shape {tuple(value.shape)} and its input {tuple(leaf.shape)}: a value for each "
            "place of the input is needed, or a layer's grid"
        )
    return found.detach().flatten(1).double()


def padded(value: Tensor, side: Side, leaf: int = 0, fill: float = 0.0) -> tuple[Tensor, Tensor]:
    """One value a row of a leaf as (pairs, units), and which of them are real; the rows of one unit are summed."""
    pair, unit = side.pair_of(leaf), side.unit_of(leaf)
    width = int(unit.max()) + 1 if len(unit) else 0
    value = value.to(pair.device).double()
    found = value.new_zeros(side.pairs, width).index_put((pair, unit), value, accumulate=True)
    real = torch.zeros(side.pairs, width, dtype=torch.bool, device=pair.device)
    real[pair, unit] = True
    return found.masked_fill(~real, fill), real


def _channels_first(value: Tensor, side: Side, dims: int) -> Tensor:
    """Embeddings of tokens (pairs, tokens, channels) as everything else lies, (pairs, channels, tokens)."""
    return value.movedim(2, 1) if side.kind == "text" and dims == value.dim() == 3 else value


def _channels_last(value: Tensor, side: Side, dims: int) -> Tensor:
    """The reverse of :func:`_channels_first`."""
    return value.movedim(1, 2) if side.kind == "text" and dims == value.dim() == 3 else value


def _of_graphs(value: Any, side: Side, name: str, method: str) -> Units:
    if len(side.leaves) != 1:
        raise ValueError(f"{method} explained {' and '.join(side.parts)}: metrics take one part of a graph")
    key = {"nodes": "node_mask"}.get(side.parts[0], "edge_mask")
    rows = value.get(key) if hasattr(value, "get") else None
    if rows is None or len(rows) != len(side.leaves[0]):
        raise ValueError(f"the map of {name} has no {key} for its {len(side.leaves[0])} {side.parts[0]}")
    _check(rows, name, method)
    rows = rows.detach().reshape(len(rows), -1).sum(1)
    found, real = padded(rows, side, fill=-float("inf"))
    return Units(found, real)


def _check(value: Tensor, name: str, method: str) -> None:
    finite = torch.isfinite(value.detach()).reshape(len(value), -1).all(1)
    if not bool(finite.all()):
        bad = (~finite).nonzero().flatten().tolist()
        raise ValueError(
            f"{method} gave NaN or infinite values for input {name}, row {', '.join(map(str, bad[:8]))}: there is no "
            "order of such a map"
        )


def fill_in(
    batch: PairBatch, side: int, keep: Sequence[Tensor], filling: str | float, seed: int = 0
) -> tuple[Tensor, ...]:
    """The leaf of one side in several copies, with the ``filling`` where a copy does not keep.

    Args:
        batch: the pairs.
        side: 0 for a, 1 for b.
        keep: for each copy what stays, shape (pairs, units), booleans or shares.
        filling: "zero", "mean" (of each channel of the item), "blur", "noise" (normal, with the item's mean and
            spread), "partner" (what is there in the other item), or a number.
        seed: of the noise.
    """
    this = (batch.a, batch.b)[side]
    leaf, other = this.leaves[0].detach(), (batch.b, batch.a)[side].leaves[0].detach()
    first, second = (_channels_first(x, this, leaf.dim()) for x in (leaf, other))
    replaced = _channels_last(_filling(first, second, this, filling, seed + side), this, leaf.dim())
    copies = []
    for one in keep:
        if this.ragged:
            rows = one[this.pair_of(0), this.unit_of(0)].to(leaf)
            rows = rows.reshape([-1] + [1] * (leaf.dim() - 1))
        else:
            first = _channels_first(leaf, this, leaf.dim())
            rows = one.to(leaf).reshape(len(leaf), *(first.shape[2:] if leaf.dim() > 2 else leaf.shape[1:]))
            rows = _channels_last(rows[:, None], this, leaf.dim()) if leaf.dim() > 2 else rows
        copies.append(torch.where(rows == 1, leaf, rows * leaf + (1 - rows) * replaced))
    return (torch.cat(copies), *(t.repeat(len(keep), *[1] * (t.dim() - 1)) for t in this.leaves[1:]))


def _filling(leaf: Tensor, other: Tensor, side: Side, filling: str | float, seed: int) -> Tensor:
    if not isinstance(filling, str):
        return torch.full_like(leaf, float(filling))
    if filling == "zero":
        return torch.zeros_like(leaf)
    if filling == "partner":
        if leaf.shape != other.shape or not side.aligned:
            raise ValueError("filling='partner' puts the other item's values in: the two must have one shape and order")
        return other
    spatial = tuple(range(2, leaf.dim()))
    if filling in ("mean", "noise", "blur") and not spatial:
        raise ValueError(
            f"filling={filling!r} is for items with places, and this is a row, {tuple(leaf.shape)}: 'zero', 'partner' "
            "or a number"
        )
    if filling == "mean":
        return leaf.mean(spatial, keepdim=True).expand_as(leaf)
    if filling == "noise":
        drawn = torch.from_numpy(np.random.default_rng(seed).standard_normal(tuple(leaf.shape[1:]))).to(leaf)
        return leaf.mean(spatial, keepdim=True) + drawn * leaf.std(spatial, keepdim=True)
    if filling == "blur":
        return blurred(leaf)
    raise ValueError(f"filling={filling!r}: 'zero', 'mean', 'blur', 'noise', 'partner' or a number is needed")


def blurred(leaf: Tensor, share: float = 0.15) -> Tensor:
    """Items blurred by a Gaussian of ``share`` of their shorter side, edges repeated."""
    found = leaf
    for dim in range(2, leaf.dim()):
        size = leaf.shape[dim]
        sigma = max(share * min(leaf.shape[2:]), 1e-6)
        at = torch.arange(size, dtype=leaf.dtype, device=leaf.device)
        reach = torch.arange(-int(3 * sigma) - 1, int(3 * sigma) + 2, dtype=leaf.dtype, device=leaf.device)
        weight = torch.exp(-(reach**2) / (2 * sigma**2))
        source = (at[:, None] + reach).clamp(0, size - 1).long()  # row i of the blur looks at these; edges repeat
        matrix = torch.zeros(size, size, dtype=leaf.dtype, device=leaf.device)
        matrix.scatter_add_(1, source, (weight / weight.sum()).expand(size, -1))
        found = (found.movedim(dim, -1) @ matrix.T).movedim(-1, dim)
    return found


def default_fillings(batch: PairBatch) -> tuple[str, ...]:
    """Two where there are two that make sense, so that none decides alone: blur and mean of images, mean and noise of
    series, the partner's values and zero for rows, zero for graphs.
    """
    leaf = batch.a.leaves[0]
    if batch.a.ragged or batch.a.is_gate(0):
        return ("zero",)  # of a gate, that is: not there
    if leaf.dim() == 2:
        return ("partner", "zero") if leaf.shape == batch.b.leaves[0].shape else ("zero",)
    return ("blur", "mean") if leaf.dim() == 4 else ("mean", "noise")
