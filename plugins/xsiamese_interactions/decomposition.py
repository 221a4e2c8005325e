"""The matrix in closed form, where what follows a layer is pooling and linear."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
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
from xsiamese_interactions.gradients import layer_line, layer_maps, map_places, recorded
from xsiamese_interactions.heads import joined, most
from xsiamese_interactions.items import each
from xsiamese_interactions.parts import Parts, channel_of, parts_of
from xsiamese_interactions.tangents import jacobian


class Shares(NamedTuple):
    """What each place of one item has of its embedding.

    Attributes:
        shares: (places + 1, D), the last row being the bias's.
        places: the part of each place of the layer's map.
        grid: how the parts lie.
        embedding: their sum, (1, D).
    """

    shares: Tensor
    places: Tensor
    grid: list[int]
    embedding: Tensor


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
    differentiable = False
    linear = True
    chunk = 1

    def compute(self, batch: PairBatch) -> Found:
        """The matrix.

        Raises:
            ValueError: if something that is neither pooling nor linear follows the layer.
        """
        if batch.prepared[0]:
            a, b = (_read(columns) for columns in batch.prepared)
        else:
            a, b = self._shares(batch, 0), self._shares(batch, 1)
        rows, columns, middle = joined(batch, a.shares, b.shares, a.embedding, b.embedding)
        whole = PairMatrix(rows, columns, middle)
        value, last = batch.closeness(a.embedding, b.embedding), (len(rows) - 1, len(columns) - 1)
        alone = whole.column(last[1])[:-1], whole.row(last[0])[:-1]
        inner = PairMatrix(rows[:-1], columns[:-1], middle, (tuple(a.grid), tuple(b.grid)), alone=alone)
        matrix = replace(inner, constant=float(value[0] - inner.value))
        maps = layer_maps(batch, (a.places, b.places), matrix.marginals)
        return Found(maps, value, {"matrix": [matrix], "reference": most(matrix)})

    def prepare(self, items: ItemBatch) -> dict[str, Column] | None:
        """The shares of each item, whatever it is compared with."""
        if not isinstance(items.pairs.model, SiameseModel):
            return None
        found = [self._shares(one, items.place)._asdict() for one in each(items)]
        columns: dict[str, Column] = {name: [one[name] for one in found] for name in found[0]}
        return {**columns, "embedding": torch.cat([one["embedding"] for one in found])}

    def _shares(self, batch: PairBatch, side: int) -> Shares:
        outputs: list[Tensor] = []

        def apart(output: Tensor) -> Tensor:
            outputs.append(output.detach())
            return _apart(output, self._parts(batch, side, output))

        with torch.no_grad():
            try:
                rows = batch.tail_embedding(self.layer, side, apart).flatten(1)
            except (RuntimeError, ValueError):  # it reads the number of rows from its input
                rows = torch.empty(0)
            output = outputs[0] if outputs else recorded(batch, self.layer, False)[0][side]
            line = layer_line(batch, self.layer, side, output, end=output, parts=self._parts(batch, side, output))
            if len(rows) != 2 + line.parts.count:  # the same, one by one: also for graphs
                rows = torch.cat([line.encode(row) for row in (output, torch.zeros_like(output))])
        whole, bias, shares = rows[:1], rows[1:2], rows[2:] - rows[1:2]
        if not _adds_up(whole, shares, bias):  # maximum pooling is linear where it is
            shares = jacobian(line.encode, output, output, line.parts)[1]
        if not _adds_up(whole, shares, bias):
            raise ValueError(
                f"what follows layer {', '.join(batch.layer_names(self.layer))} is not only pooling and linear: its "
                "places' shares do not sum to the embedding; take a later layer=, or PairLayerInteraction"
            )
        places = map_places(batch, side, line, self.layout)
        return Shares(torch.cat([shares, bias]), places, list(line.parts.grid), whole)

    def _parts(self, batch: PairBatch, side: int, output: Tensor) -> Parts:
        return parts_of(output, None, channel_of(batch, side, output, self.layout))


def _read(columns: Mapping[str, Column]) -> Shares:
    """What was prepared of one item."""
    return Shares(**{name: column if name == "embedding" else column[0] for name, column in columns.items()})  # type: ignore[arg-type]


def _apart(output: Tensor, parts: Parts) -> Tensor:
    """A layer's output as it is, none of it, and each place of it alone: all that the rest of the encoder is asked."""
    if len(output) != 1:  # the nodes of a graph, of which there are no more in one graph
        return output.clone()
    flat = output.reshape(1, -1)
    made = output.new_zeros(2 + parts.count, flat.numel())
    made[0] = flat
    # number k of the output stands in the row of its own part and in no other: nothing else is written
    made[2:].scatter_(0, parts.number.expand(output.shape).reshape(1, -1), flat)
    return made.reshape(-1, *output.shape[1:])


def _adds_up(whole: Tensor, shares: Tensor, bias: Tensor) -> bool:
    if not len(shares):
        return False
    gap = (shares.sum(0) + bias - whole).abs().max()
    size = whole.abs().max() + bias.abs().max() + shares.abs().sum(0).max()
    return bool(gap <= 1e4 * torch.finfo(whole.dtype).eps * size)
