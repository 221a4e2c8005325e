"""The matrix in closed form, where what follows a layer is pooling and linear."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from xsiamese.author import Found, MatrixExplanation, PairAttribution, PairBatch, PairMatrix
from xsiamese_interactions.gradients import layer_line, layer_maps
from xsiamese_interactions.heads import product
from xsiamese_interactions.parts import parts_of
from xsiamese_interactions.paths import Line
from xsiamese_interactions.tangents import jacobian


class PairActivationDecomposition(PairAttribution):
    r"""The score as a sum over pairs of places of the last layer, exactly.

    Where pooling (average, maximum, flattening) and linear layers, batch norms among them, follow the layer, each
    place i of a has a share :math:`e_i` of the embedding, and the bias the rest: :math:`u = \sum_i e_i + e_0`. So has
    b, and :math:`A_{ij} = e_i \cdot e'_j`, for a cosine over both norms. Products with the bias stand in
    ``matrix.alone`` and ``matrix.constant``, so that ``matrix.value`` is the score. One pass of the encoder a side.

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
    modalities = frozenset({"image", "graph"})
    needs_layer = True
    differentiable = False
    linear = True
    chunk = 1

    def compute(self, batch: PairBatch) -> Found:
        """The matrix.

        Raises:
            ValueError: if something that is neither pooling nor linear follows the layer, or the comparison is no
                product of the two embeddings.
        """
        found = [self._shares(batch, side) for side in (0, 1)]
        (u, left, bias_a, _), (v, right, bias_b, _) = found
        head = product(batch, u, v, detach_norms=True)
        if head is None:
            raise ValueError(
                f"{type(self).__name__} needs a comparison that is a product of the embeddings (dot, cosine, squared "
                "Euclidean, bilinear): use PairLayerInteraction"
            )
        left, bias_a = head.of_a(left), head.of_a(bias_a)[0]
        right, bias_b = head.of_b(right), head.of_b(bias_b)[0]
        value = batch.closeness(u, v)
        alone = left @ bias_b, right @ bias_a
        rest = value[0] - left.sum(0) @ right.sum(0) - alone[0].sum() - alone[1].sum()
        lines = (found[0][3], found[1][3])
        matrix = PairMatrix(left, right, None, (lines[0].parts.grid, lines[1].parts.grid), float(rest), alone)
        more = {"matrix": [matrix], "reference": left.sum(0).norm()[None] * right.sum(0).norm()}
        return Found(layer_maps(batch, lines, matrix.marginals), value, more)

    def _shares(self, batch: PairBatch, side: int) -> tuple[Tensor, Tensor, Tensor, Line]:
        """The embedding (1, D), the places' shares in it (places, D), the bias's (1, D), and the layer's output."""
        met: list[Tensor] = []

        def apart(output: Tensor) -> Tensor:
            """The output as it is, none of it, and each place alone: all the encoder is asked, in one pass."""
            met.append(output.detach())
            if batch.sides[side].modality == "graph":
                return output
            parts = parts_of(output, None, self.layout)
            every = torch.eye(parts.count, dtype=output.dtype, device=output.device)
            return torch.cat([output, torch.zeros_like(output), parts.kept(every).flatten(0, 1) * output])

        with torch.no_grad():
            rows = batch.tail_embedding(self.layer, side, apart).flatten(1)
            line = layer_line(batch, self.layer, side, met[0], met[0], self.layout, None)
            whole = rows[:1]
            bias = rows[1:2] if len(rows) > 2 else line.encode(torch.zeros_like(met[0]))
            shares = rows[2:] - bias
        if len(rows) == 1 or not _adds_up(whole, shares, bias):  # graphs; maximum pooling, linear where it is
            shares = jacobian(line.encode, met[0], met[0], line.parts)
        if not _adds_up(whole, shares, bias):
            raise ValueError(
                f"what follows layer {', '.join(batch.layer_names(self.layer))} is not only pooling and linear: its "
                "places' shares do not sum to the embedding; take a later layer=, or PairLayerInteraction"
            )
        return whole, shares, bias, line


def _adds_up(whole: Tensor, shares: Tensor, bias: Tensor) -> bool:
    gap = (shares.sum(0) + bias - whole).abs().max()
    size = whole.abs().max() + bias.abs().max() + shares.abs().sum(0).max()
    return bool(gap <= 1e4 * torch.finfo(whole.dtype).eps * size)
