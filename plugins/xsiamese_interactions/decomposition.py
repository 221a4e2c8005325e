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
        shares = of_item(batch, one.shares, one.embedding)
        in_order = torch.equal(flat, torch.arange(len(shares) - 1, device=flat.device))
        return cls(shares, one.places, spread.to(shares.dtype), in_order, one.grid, one.embedding)


class Factor(NamedTuple):
    """One side of a matrix.

    Attributes:
        item: what was prepared of it.
        parts: what each place has of the features of this side, (places, D).
        ends: what all places have, and the bias, (2, D).
        size: the norm of what all places have; None for a comparison that is no product of features.
    """

    item: Prepared
    parts: Tensor
    ends: Tensor
    size: float | None


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
        moving = batch.objective.moving
        maps_a, maps_b = (
            maps(of, values, side in moving)
            for side, (of, values) in enumerate(zip((first, second), marginals, strict=True))
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
        each = zip(*(columns[name] for name in Prepared._fields), strict=True)
        return [Prepared._make((*fields, z[None])) for *fields, z in each]


def factors(batch: PairBatch, side: int, of: Sequence[Prepared]) -> list[Factor]:
    """The factor of each item of a side; of items that come several times it is one object, and made once."""
    made: dict[int, Factor] = {}
    for one in of:
        if id(one.shares) not in made:
            made[id(one.shares)] = _factor(batch, side, one)
    return [made[id(one.shares)] for one in of]


def _factor(batch: PairBatch, side: int, one: Prepared) -> Factor:
    found = of_side(batch, one.shares, side)
    rows = one.shares if found is None else found
    ends = torch.stack([rows[:-1].sum(0), rows[-1]])
    return Factor(one, rows[:-1], ends, None if found is None else float(ends[0].norm()))


def joined(
    batch: PairBatch, first: Sequence[Factor], second: Sequence[Factor], values: Sequence[float]
) -> tuple[list[tuple[PairMatrix, float]], tuple[list[Tensor], list[Tensor]]]:
    """The matrix of each pair, and the most that it could sum to, were its sides parallel; and its marginals, by side.

    What is small is multiplied for all pairs at once. The constant is what no place of either side has, so that the
    matrix sums to the value.
    """
    middles: list[Tensor] = []
    of_a, of_b = own = torch.stack([one.ends for one in first]), torch.stack([one.ends for one in second])
    if first[0].size is None:  # a matrix of the embeddings' size each: one pair's at a time
        middles = [batch.mixed(a.item.embedding, b.item.embedding)[0] for a, b in zip(first, second, strict=True)]
        of_a = torch.stack([end @ middle for end, middle in zip(own[0], middles, strict=True)])
        of_b = torch.stack([end @ middle.T for end, middle in zip(own[1], middles, strict=True)])
    each_a, each_b = with_ends(first, of_b), with_ends(second, of_a)
    sums = (own[0] @ of_b.mT).tolist()
    found = []
    for i, (a, b, value) in enumerate(zip(first, second, values, strict=True)):
        (total, alone_a), (alone_b, _) = sums[i]
        alone = (each_a[i][1], each_b[i][1])
        places = tuple(a.item.grid), tuple(b.item.grid)
        middle, constant = middles[i] if middles else None, value - total - alone_a - alone_b
        matrix = PairMatrix(a.parts, b.parts, middle, places, constant, alone)
        found.append((matrix, abs(total) if a.size is None or b.size is None else a.size * b.size))
    return found, ([each[0] for each in each_a], [each[0] for each in each_b])


def with_ends(factors: Sequence[Factor], ends: Tensor) -> Sequence[Tensor]:
    """What each place of an item has with all places of the other, and with its bias, (2, places), of each pair."""
    if all(one is factors[0] for one in factors):
        return list(ends @ factors[0].parts.T)
    return [end @ one.parts.T for one, end in zip(factors, ends, strict=True)]


def maps(factors: Sequence[Factor], values: Sequence[Tensor], moving: bool) -> Tensor:
    """A value for each part as maps, shared out over the places of the part; zeros for a side that is held."""
    items = [one.item for one in factors]
    if all(one.in_order and one.spread.shape == items[0].spread.shape for one in items):
        found = torch.cat(list(values)).reshape(-1, *items[0].spread.shape[1:])
    else:
        found = torch.cat([one[item.places] * item.spread for item, one in zip(items, values, strict=True)])
    return found if moving else torch.zeros_like(found)
