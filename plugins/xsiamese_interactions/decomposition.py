"""The matrix in closed form, where what follows a layer is pooling and linear."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from xsiamese.author import (
    Column,
    Found,
    ItemBatch,
    MatrixExplanation,
    PairAttribution,
    PairBatch,
    PairMatrix,
    SiameseModel,
    wide,
)
from xsiamese_interactions.gradients import refuse_black_box
from xsiamese_interactions.heads import of_item, of_side
from xsiamese_interactions.shares import Shares, Where, shares_of


class Prepared(NamedTuple):
    """What is prepared of an item.

    Attributes:
        shares: what of the comparison's features each place has, the last row being the bias's, (places + 1, D).
        places: the part of each place of the layer's map; ``spread``: one over how many places its part has.
        in_order: whether each place is a part, in the order of the parts.
        grid: how the parts lie.
        embedding: of the item, (1, ...).
    """

    shares: Tensor
    places: Tensor
    spread: Tensor
    in_order: bool
    grid: list[int]
    embedding: Tensor

    @classmethod
    def of(cls, batch: PairBatch, one: Shares) -> Prepared:
        """That of an item with these shares."""
        flat = one.places.flatten()
        spread = 1 / torch.bincount(flat, minlength=len(one.shares) - 1)[one.places]
        shares = of_item(batch, wide(one.shares), wide(one.embedding))
        in_order = torch.equal(flat, torch.arange(len(shares) - 1, device=flat.device))
        return cls(shares, one.places, spread.to(shares.dtype), in_order, one.grid, one.embedding)


class Factors(NamedTuple):
    """One side of the matrices of some pairs.

    Attributes:
        items: what was prepared of each.
        parts: what each place has of the features of this side, (places, D) of each; of an item that comes several
            times one tensor.
        ends: what all places have, and the bias, (pairs, 2, D).
        sizes: the norms of what all places have; None for a comparison that is no product of features.
    """

    items: Sequence[Prepared]
    parts: Sequence[Tensor]
    ends: Tensor
    sizes: Sequence[float] | None


class PairActivationDecomposition(PairAttribution):
    r"""The score as a sum over pairs of places of the last layer, exactly.

    Where pooling (average, maximum, flattening) and linear layers, batch norms among them, follow the layer, each
    place i of a has a share :math:`e_i` of the embedding, and the bias the rest: :math:`u = \sum_i e_i + e_0`. So has
    b, and :math:`A_{ij} = e_i \cdot e'_j`, for a cosine over both norms. Products with the bias stand in
    ``matrix.alone`` and ``matrix.constant``, so that ``matrix.value`` is the score. One pass of the encoder a side. For
    a comparison that is no product, the mixed derivative stands between the shares, and the constant takes the rest.

    Its marginals are Grad-CAM's maps for average pooling (:cite:`selvaraju2017`), and HiResCAM's for maximum pooling.

    Example:
        >>> from xsiamese import PairActivationDecomposition, SiameseModel
        >>> from torch import nn
        >>> layers = nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
        >>> pair = torch.rand(1, 1, 6, 6), torch.rand(1, 1, 6, 6)
        >>> found = PairActivationDecomposition(SiameseModel(nn.Sequential(*layers)), "1").explain(pair)
        >>> bool(torch.isclose(found.matrix.value, found.scores[0]))
        True
    """

    name = "activation_decomposition"
    formula = r"A_{ij} = \frac{e_i \cdot e'_j}{|u||v|}, \quad u = \sum_i e_i + e_0"
    reference = ("stylianou2019", "zhu2021")
    result: ClassVar[type[MatrixExplanation]] = MatrixExplanation
    modalities = frozenset({"image", "series", "volume", "text", "graph"})
    known_parts = ("nodes",)
    needs_layer = True
    takes_baselines = differentiable = False
    linear = True

    def compute(self, batch: PairBatch) -> Found:
        """The matrix.

        Raises:
            ValueError: if something that is neither pooling nor linear follows the layer, or the model is not factored.
        """
        refuse_black_box(batch, type(self).__name__)
        sides = [self._prepared(batch, side) for side in (0, 1)]
        value = batch.closeness(*(torch.cat([one.embedding for one in side]) for side in sides))
        first, second = (factors(batch, side, of) for side, of in enumerate(sides))
        found, marginals = joined(batch, first, second, value.tolist())
        moving = batch.moving
        maps_a, maps_b = (
            maps(of, values, side in moving) for side, (of, values) in enumerate(zip(sides, marginals, strict=True))
        )
        most = value.new_tensor([most for _, most in found])
        return Found((maps_a, maps_b), value, {"matrix": [matrix for matrix, _ in found], "reference": most})

    def prepare(self, items: ItemBatch) -> dict[str, Column] | None:
        """The shares of each item, whatever it is compared with."""
        model = items.pairs.model
        if not isinstance(model, SiameseModel) or model.encoders[0] is not model.encoders[1]:
            return None  # an item of one of two towers makes no pair with itself, in which layers could be found
        found = [one._asdict() for one in self._made(items.pairs, items.place)]
        columns: dict[str, Column] = {name: [one[name] for one in found] for name in found[0]}
        return {**columns, "embedding": torch.cat([one["embedding"] for one in found])}

    def _made(self, batch: PairBatch, side: int) -> list[Prepared]:
        return [Prepared.of(batch, one) for one in shares_of(batch, Where(side, self.layer, self.layout))]

    def _prepared(self, batch: PairBatch, side: int) -> list[Prepared]:
        columns = batch.prepared[side]
        if not columns:
            return self._made(batch, side)
        *fields, last = Prepared._fields
        of_all = columns[last]  # embeddings of many sizes are no tensor
        one_each = torch.split(of_all, 1) if isinstance(of_all, Tensor) else [z[None] for z in of_all]
        return [Prepared._make(each) for each in zip(*(columns[name] for name in fields), one_each, strict=True)]


def factors(batch: PairBatch, side: int, of: Sequence[Prepared]) -> Factors:
    """The factors of the items of a side; those of one that comes several times are made once."""
    once = {id(one.shares): one.shares for one in of}
    parts, whole = {}, {}
    for key, shares in once.items():
        found = of_side(batch, shares[:-1], side)
        parts[key] = shares[:-1] if found is None else found
        whole[key] = parts[key].sum(0)
    keys = [id(one.shares) for one in of]
    bias = torch.stack([one.shares[-1] for one in of])
    found = of_side(batch, bias, side)
    ends = torch.stack([torch.stack([whole[key] for key in keys]), bias if found is None else found], 1)
    sizes = None if found is None else ends[:, 0].norm(dim=1).tolist()
    return Factors(of, [parts[key] for key in keys], ends, sizes)


def joined(
    batch: PairBatch, first: Factors, second: Factors, values: Sequence[float]
) -> tuple[list[tuple[PairMatrix, float]], tuple[list[Tensor], list[Tensor]]]:
    """The matrix of each pair, and the most that it could sum to, were its sides parallel; and its marginals, by side.

    What is small is multiplied for all pairs at once. The constant is what no place of either side has, so that the
    matrix sums to the value.
    """
    middles: list[Tensor] = []
    of_a, of_b = first.ends, second.ends
    if first.sizes is None:  # a matrix of the embeddings' size each: one pair's at a time
        middles = [
            batch.mixed(wide(a.embedding), wide(b.embedding))[0] for a, b in zip(first.items, second.items, strict=True)
        ]
        of_a = torch.stack([end @ middle for end, middle in zip(first.ends, middles, strict=True)])
        of_b = torch.stack([end @ middle.T for end, middle in zip(second.ends, middles, strict=True)])
    each_a, each_b = with_ends(first.parts, of_b), with_ends(second.parts, of_a)
    sums = (first.ends @ of_b.mT).tolist()
    found = []
    for i, (a, b, value) in enumerate(zip(first.items, second.items, values, strict=True)):
        (total, alone_a), (alone_b, _) = sums[i]
        alone = (each_a[i][1], each_b[i][1])
        places = tuple(a.grid), tuple(b.grid)
        middle, constant = middles[i] if middles else None, value - total - alone_a - alone_b
        matrix = PairMatrix(first.parts[i], second.parts[i], middle, places, constant, alone)
        most = first.sizes[i] * second.sizes[i] if first.sizes is not None and second.sizes is not None else abs(total)
        found.append((matrix, most))
    return found, ([each[0] for each in each_a], [each[0] for each in each_b])


def with_ends(parts: Sequence[Tensor], ends: Tensor) -> Sequence[Tensor]:
    """What each place of an item has with all places of the other, and with its bias, (2, places), of each pair."""
    if all(one is parts[0] for one in parts):
        return list(ends @ parts[0].T)
    return [end @ one.T for one, end in zip(parts, ends, strict=True)]


def maps(items: Sequence[Prepared], values: Sequence[Tensor], moving: bool) -> Tensor:
    """A value for each part as maps, shared out over the places of the part; zeros for a side that is held."""
    if all(one.in_order and one.spread.shape == items[0].spread.shape for one in items):
        found = torch.cat(list(values)).reshape(-1, *items[0].spread.shape[1:])
    else:
        found = torch.cat([one[item.places] * item.spread for item, one in zip(items, values, strict=True)])
    return found if moving else torch.zeros_like(found)
