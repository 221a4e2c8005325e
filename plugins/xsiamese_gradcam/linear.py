r"""Maps that are linear in the score's gradient: what of one belongs to the item alone.

Such a map is :math:`L\, \partial s / \partial z` with a factor :math:`L`, places by dimensions of the embedding z, that
is the item's own. A gallery keeps the factors, and a pair then costs two products of a matrix and a vector.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, cast

import torch
from torch import Tensor

from xsiamese.author import Column, Found, ItemBatch, PairBatch, Picked, Places
from xsiamese_gradcam.cam import PairCAM, finished

MOST = 256  # tangents or cotangents of an item: more would cost more than the pairs of a usual gallery save
ROOM = 2**21  # numbers of a layer's output that move at once
SMALL = 2**13  # numbers of a factor that are sooner copied beside others than multiplied alone
ALIKE = 64.0  # rounding errors by which gradients may differ that are one


class PairLinearCAM(PairCAM):
    """A class activation map that is linear in the gradient, for constant gradients the channels weighted by these."""

    linear: ClassVar[bool] = True
    shares: ClassVar[str] = "kept"

    def prepare(self, items: ItemBatch, *, relu: bool = False, soften: bool = False) -> dict[str, Column] | None:
        """The embedding of each item, and for each layer its factor, shape (..., D) over its grid."""
        constants = _constants(items)
        if constants:
            known = self._by_constants(constants, items, *items.recorded(self.layer, graph=False))
            if known is not None:
                return known
            constants.clear()
        outputs, embeddings = items.recorded(self.layer)
        if embeddings.dim() != 2 or not embeddings.requires_grad:
            return None
        columns: dict[str, Column] = {"embedding": embeddings.detach()}
        for i, (output, layer) in enumerate(outputs):
            places = items.pairs.places(items.place, output, layer, self.layout)
            activation = places.real(places.first(output.detach()))

            def pulled(cotangents: Tensor, graph: bool = False, output: Tensor = output, of: Places = places) -> Tensor:
                return of.real(of.first(_pulled(embeddings, output, cotangents, graph)))

            def mapped(gradient: Tensor, activation: Tensor = activation, of: Places = places) -> Tensor:
                return self.combine(activation, gradient, of)

            owner = items.side.layer_pairs if items.side.ragged else None
            rows = None if owner is not None else _rows(embeddings, pulled)
            if rows is not None:
                shares = _shares(activation, rows)
                offset = embeddings[0].detach() - shares[0].reshape(-1, shares.shape[-1]).sum(0)
                if _gives(shares, offset, embeddings.detach()):
                    constants[i] = Constant(rows, offset)
                found: Sequence[Tensor] | None = Picked(shares)
            else:
                if self.products:  # of the items alone: what cancels does so beside any other
                    product = activation * pulled(_probe(embeddings))
                    items.pairs.tell_cancelled(items.place, product, self.layer_names(items.pairs))
                found = _factors(embeddings, pulled, mapped, owner)
            if found is None:
                return None
            columns[f"factor_{i}"] = found
        if len(constants) < len(outputs):  # without a graph nothing is had unless all layers are known
            constants.clear()
        return columns

    def _by_constants(
        self,
        constants: Mapping[int, Constant],
        items: ItemBatch,
        outputs: Sequence[tuple[Tensor, Any]],
        embeddings: Tensor,
    ) -> dict[str, Column] | None:
        """The same by what is known of all layers, as long as that gives these embeddings, else None."""
        columns: dict[str, Column] = {"embedding": embeddings}
        for i, (output, layer) in enumerate(outputs):
            places = items.pairs.places(items.place, output, layer, self.layout)
            activation = places.real(places.first(output.detach()))
            found = _by_constant(constants[i], activation, embeddings)
            if found is None:
                return None
            columns[f"factor_{i}"] = found
        return columns

    def compute(self, batch: PairBatch, *, relu: bool = False, soften: bool = False) -> tuple[Any, Any] | Found:
        """The maps.

        Args:
            batch: the pairs.
            relu: keeps only what pulls together.
            soften: neighbouring places of a grid share their values, see :meth:`PairCAM.compute`.
        """
        if not batch.prepared[0]:
            return super().compute(batch, relu=relu, soften=soften)
        z_a, z_b = (cast(Tensor, side["embedding"]).detach().requires_grad_() for side in batch.prepared)
        with torch.enable_grad():
            value = batch.closeness(z_a, z_b)
        slopes = batch.differentiate(value, (z_a, z_b))
        sides = []
        for side, slope in enumerate(slopes):
            factors = [column for name, column in batch.prepared[side].items() if name.startswith("factor_")]
            found = [_maps(cast(Sequence[Tensor], one), slope, batch.sides[side].ragged) for one in factors]
            found = [finished(batch, side, one, relu, soften) for one in found]
            if side not in batch.moving:
                found = [torch.zeros_like(one) for one in found]
            sides.append(found[0] if len(found) == 1 else tuple(found))
        return Found((sides[0], sides[1]), value.detach())


def _pulled(embeddings: Tensor, output: Tensor, cotangents: Tensor, graph: bool = False) -> Tensor:
    """The gradient of ``(embeddings * cotangents).sum()`` with respect to a layer's output."""
    found = torch.autograd.grad(
        embeddings, output, cotangents, retain_graph=True, create_graph=graph, allow_unused=True
    )[0]
    return torch.zeros_like(output) if found is None else found


class Constant(NamedTuple):
    """What follows a layer where its gradients are the same at all places of all items.

    Attributes:
        rows: a number where the embedding is the cells' sum times it, or a matrix (D, channels) that maps the sum.
        offset: what is added to that, (D,).
    """

    rows: Tensor
    offset: Tensor


def _constants(items: ItemBatch) -> dict[int, Constant]:
    """What was found of the layers by items before these, by the number of the layer."""
    plans = items.pairs.plans
    return {} if plans is None else plans.setdefault(("constant", items.place), {})


def _shares(activation: Tensor, rows: Tensor) -> Tensor:
    """What each cell of an activation (items, channels, ...) has of the embedding, (items, ..., D)."""
    if rows.dim() == 0:
        return activation.movedim(1, -1) * rows
    # as the channels lie: to bring them to the end first would copy all of it
    shares: Tensor = rows @ _flat(activation)
    return shares.reshape(*shares.shape[:2], *activation.shape[2:]).movedim(1, -1)


def _by_constant(known: Constant, activation: Tensor, embeddings: Tensor) -> Picked | None:
    """The factors, or None where they do not give these embeddings: of another model, or on another device."""
    rows, offset = known
    if (offset.dtype, offset.device) != (activation.dtype, activation.device):
        return None
    if activation.shape[1] != (len(offset) if rows.dim() == 0 else rows.shape[1]):
        return None
    shares = _shares(activation, rows)
    return Picked(shares) if _gives(shares, offset, embeddings) else None


def _gives(shares: Tensor, offset: Tensor, embeddings: Tensor) -> bool:
    """Whether the cells' shares and the offset are the embeddings."""
    ends = shares.reshape(len(shares), -1, shares.shape[-1]).sum(1) + offset
    return ends.shape == embeddings.shape and _alike(ends, embeddings)


def _rows(embeddings: Tensor, pulled: Callable[[Tensor], Tensor]) -> Tensor | None:
    """The rows of :class:`Constant` where one matrix maps the mean activation to the embedding, as global average
    pooling and linear layers do. None where the gradients of a random direction are not the same everywhere.
    """
    count, dimensions = embeddings.shape
    probe = _probe(embeddings)[0]
    found = _flat(pulled(probe.expand_as(embeddings)))
    if not found.numel() or not _alike(found, found[:1, :, :1].expand_as(found)):
        return None
    slope = found[0, :, 0]
    if slope.shape == probe.shape:
        scale = (slope @ probe) / (probe @ probe)
        if _alike(slope, scale * probe):  # pooling, and nothing after it
            return scale
    if dimensions > MOST * count:
        return None
    each = torch.eye(dimensions).to(embeddings)  # one dimension an item, since all items have one matrix
    padded = torch.cat([each, each.new_zeros(-dimensions % count, dimensions)])
    rows = torch.cat([_flat(pulled(some))[:, :, 0] for some in torch.split(padded, count)])
    return rows[:dimensions]


def _probe(embeddings: Tensor) -> Tensor:
    """A random direction, the same for all embeddings (items, D)."""
    generator = torch.Generator().manual_seed(0)
    found = torch.randn(embeddings.shape[1], generator=generator, dtype=torch.float64).to(embeddings)
    return found.expand_as(embeddings)


def _flat(output: Tensor) -> Tensor:
    """A layer's output as (items, channels, places)."""
    return output.reshape(*output.shape[:2], -1)


def _alike(found: Tensor, expected: Tensor) -> bool:
    if torch.equal(found, expected):
        return True
    return bool((found - expected).abs().max() <= ALIKE * torch.finfo(found.dtype).eps * found.abs().max())


def _factors(
    embeddings: Tensor, pulled: Callable[..., Tensor], mapped: Callable[[Tensor], Tensor], owner: Tensor | None
) -> list[Tensor] | None:
    """The factors of any encoder: a cell of all items at a time, or a dimension where these are fewer.

    Args:
        embeddings: (items, D).
        pulled: cotangents of the embeddings to gradients at the layer, (items, channels, ...).
        mapped: such gradients to maps.
        owner: the graph of each node, where the layer's output has nodes for rows.
    """
    try:
        found = _by_cells(embeddings, pulled, mapped, owner)
    except RuntimeError:  # an operation that has no second derivative
        found = None
    return found if found is not None else _by_dimensions(embeddings, pulled, mapped, owner)


def _by_cells(
    embeddings: Tensor, pulled: Callable[..., Tensor], mapped: Callable[[Tensor], Tensor], owner: Tensor | None
) -> list[Tensor] | None:
    """The factors, a cell of all items at a time; None where dimensions are fewer."""
    at = torch.zeros_like(embeddings, requires_grad=True)
    with torch.enable_grad():
        gradient = pulled(at, True)
        maps = mapped(gradient)
    if not maps.requires_grad:  # the layer has no say in the embedding
        return None
    number = _numbers(maps, owner)
    cells = int(number.max()) + 1
    if cells > min(MOST, embeddings.shape[1]):
        return None
    picked = number.expand_as(maps) == torch.arange(cells, device=maps.device).reshape(-1, *[1] * maps.dim())
    at_once = max(1, ROOM // gradient.numel())
    found = [
        torch.autograd.grad(maps, at, some.to(maps.dtype), retain_graph=True, is_grads_batched=True)[0]
        for some in torch.split(picked, at_once)
    ]
    rows = torch.cat(found).transpose(0, 1)  # (items, cells, D)
    if owner is None:
        return list(rows.reshape(len(rows), *maps.shape[2:], -1))
    sizes = torch.bincount(owner, minlength=len(embeddings)).tolist()
    return [own[:size] for own, size in zip(rows, sizes, strict=True)]


def _by_dimensions(
    embeddings: Tensor, pulled: Callable[..., Tensor], mapped: Callable[[Tensor], Tensor], owner: Tensor | None
) -> list[Tensor] | None:
    """The same, with as many backward passes as the embedding has dimensions."""
    if embeddings.shape[1] > MOST:
        return None
    each = torch.eye(embeddings.shape[1]).to(embeddings)
    found = torch.stack([mapped(pulled(one.expand_as(embeddings))).detach()[:, 0] for one in each], -1)
    return list(found) if owner is None else list(torch.split(found, torch.bincount(owner).tolist()))


def _numbers(maps: Tensor, owner: Tensor | None) -> Tensor:
    """The number of each place among those of its item, of the shape of the maps or broadcast to it."""
    if owner is None:
        return torch.arange(maps[0].numel(), device=maps.device).reshape(maps[:1].shape)
    starts = torch.searchsorted(owner, owner)  # the first node of each node's graph
    return (torch.arange(len(owner), device=maps.device) - starts)[:, None]


def _maps(factors: Sequence[Tensor], slopes: Tensor, ragged: bool) -> Tensor:
    """The maps of some pairs: each pair's factor times its slope, those of one item in one product."""
    if ragged:
        return torch.cat([factor @ slope for factor, slope in zip(factors, slopes, strict=True)])[:, None]
    grid = factors[0].shape[:-1]
    # an item's factor is one object, or one row of a tensor, in all of its pairs
    own = factors.numbers if isinstance(factors, Picked) else list(map(id, factors))
    different = len(set(own))
    if different == 1:
        found = slopes @ factors[0].reshape(-1, slopes.shape[1]).T
    elif different == len(own) and factors[0].numel() < SMALL:
        stacked = factors.stacked() if isinstance(factors, Picked) else torch.stack(list(factors))
        found = torch.bmm(stacked.reshape(len(factors), -1, slopes.shape[1]), slopes[:, :, None])
    else:
        found = slopes.new_empty(len(factors), grid.numel())
        pairs_of: dict[int, list[int]] = {}
        for pair, factor in enumerate(own):
            pairs_of.setdefault(factor, []).append(pair)
        for pairs in pairs_of.values():
            found[pairs] = slopes[pairs] @ factors[pairs[0]].reshape(-1, slopes.shape[1]).T
    return found.reshape(-1, 1, *grid)
