"""Which token of a goes with which token of b, exactly, from one pass a side."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from xsiamese.author import (
    Cosine,
    Dot,
    Found,
    MatrixExplanation,
    PairAttribution,
    PairBatch,
    PairMatrix,
    PresenceSide,
    SiameseModel,
    TextEncoder,
    Unsuited,
)
from xsiamese_text.maxsim import MaxSim


class PairTokenMatrix(PairAttribution):
    r"""The score of two texts as a sum over pairs of their tokens, as the last layer sees them: exact.

    For the mean over tokens, :math:`A_{ij} = h_i \cdot k_j / (n m |u| |v|)`, without the norms for an inner product;
    for SPLADE, each word of the vocabulary at the two tokens that give it its weight, :math:`A_{ij} = \sum_v w_{iv}
    w'_{jv}\,[i = \arg\max_i w_{iv}]\,[j = \arg\max_j w'_{jv}]`; for late interaction, :math:`A_{ij} = q_i \cdot d_j\,[j
    = \arg\max_j q_i \cdot d_j]`. One pass of the encoder a side, no gradient.

    What tokens give that are none of the text's own (beginnings, ends) stands in ``matrix.alone`` and
    ``matrix.constant``, so that ``matrix.value`` is the score. A vector of the last layer has seen its whole text: what
    the words themselves do is what ``PairLayerIntegratedGradients`` and ``PairMaskRegression`` explain.

    Example:
        >>> import torch
        >>> from xsiamese import PairTokenMatrix, SiameseModel
        >>> from xsiamese_text.encoders import StaticEncoder
        >>> model = SiameseModel(StaticEncoder(torch.eye(4)), "dot")
        >>> found = PairTokenMatrix(model).explain((torch.tensor([[1, 2]]), torch.tensor([[2, 3]])))
        >>> found.matrix.dense()
        tensor([[0.0000, 0.0000],
                [0.2500, 0.0000]])
    """

    name = "token_matrix"
    formula = r"A_{ij} = h_i \cdot k_j / (n\,m\,|u|\,|v|)"
    reference = ("khattab2020", "formal2021", "moeller2023")
    result: ClassVar[type[MatrixExplanation]] = MatrixExplanation
    modalities = frozenset({"text"})
    uses_gradients = False
    symmetric = False
    linear = True

    def compute(self, batch: PairBatch) -> Found:
        """The matrices.

        Raises:
            Unsuited: if the model makes its embedding of tokens in another way.
        """
        own = [_own(batch, side) for side in (0, 1)]
        with torch.no_grad():
            dense, value, most = _matrices(batch)
        matrices = [_parted(*one) for one in zip(dense, *own, strict=True)]
        rows, columns = zip(*(matrix.marginals for matrix in matrices), strict=True)
        return Found((torch.stack(rows), torch.stack(columns)), value, {"matrix": matrices, "reference": most})


def _matrices(batch: PairBatch) -> tuple[Tensor, Tensor, Tensor]:
    """What all tokens give, shape (pairs, tokens of a, tokens of b), the values explained, and those of full matches:
    of the same direction, and in late interaction of a with itself.
    """
    first, second = _encoders(batch)
    comparison = batch.model.comparison
    (h, n), (k, m) = (
        _states(encoder, side.rebuild(side.leaves)) for encoder, side in zip((first, second), batch.sides, strict=True)
    )
    u, v = first.pooled(h, n), second.pooled(k, m)
    if isinstance(comparison, MaxSim):
        found = comparison.matrix(u, v)
        return found, found.sum((1, 2)), comparison(u, u)
    if first.pooling == "splade":
        found = _by_word(first.weights(h) * n[..., None], second.weights(k) * m[..., None])
    else:
        shares = [x * c[..., None] / c.sum(1)[:, None, None].clamp(min=1) for x, c in ((h, n), (k, m))]
        found = shares[0] @ shares[1].transpose(1, 2)
    norms = u.norm(dim=1) * v.norm(dim=1)
    if isinstance(comparison, Cosine) or first.normalises:
        found = found / torch.where(norms > 0, norms, 1)[:, None, None]
        norms = torch.ones_like(norms)
    return found, found.sum((1, 2)), norms


def _states(encoder: TextEncoder, item: Any) -> tuple[Tensor, Tensor]:
    if isinstance(item, Tensor):
        return encoder.states(item)
    return encoder.states(**item) if isinstance(item, dict) else encoder.states(item[0], attention_mask=item[1])


def _encoders(batch: PairBatch) -> tuple[TextEncoder, TextEncoder]:
    model = batch.model
    encoders = model.encoders if isinstance(model, SiameseModel) else (None, None)
    first, second = encoders
    if not isinstance(first, TextEncoder) or not isinstance(second, TextEncoder):
        confirmed = "" if isinstance(model, SiameseModel) else " with max_passes="
        raise Unsuited(
            f"{type(model).__name__} shows no vectors of tokens: make it with from_transformers or "
            f"from_sentence_transformers, or take PairMaskRegression{confirmed}, which needs none"
        )
    comparison: Any = batch.model.comparison
    fits = {"mean": (Cosine, Dot), "splade": (Cosine, Dot), "tokens": (MaxSim,)}.get(str(first.pooling), ())
    alike = first.pooling == second.pooling and first.normalises == second.normalises
    if not isinstance(comparison, fits) or not alike or batch.target is not None:
        raise Unsuited(
            f"no exact matrix is known of {first.pooling or 'other'!r} pooling compared by "
            f"{comparison.name!r}: take PairMaskRegression"
        )
    return first, second


def _by_word(w_a: Tensor, w_b: Tensor) -> Tensor:
    """The products of the largest weights of each word of the vocabulary, at the tokens that give them."""
    (top_a, at_a), (top_b, at_b) = w_a.max(1), w_b.max(1)  # (pairs, vocabulary)
    cell = at_a * w_b.shape[1] + at_b  # row i and column j of a matrix with w_b.shape[1] columns
    flat = w_a.new_zeros(len(w_a), w_a.shape[1] * w_b.shape[1]).scatter_add(1, cell, top_a * top_b)
    return flat.reshape(len(w_a), w_a.shape[1], w_b.shape[1])


def _own(batch: PairBatch, side: int) -> Tensor:
    """Which tokens are the text's own, shape (pairs, tokens)."""
    of = batch.sides[side]
    if not isinstance(of, PresenceSide):
        raise ValueError(f"input {'ab'[side]} holds embeddings of tokens: give texts or their ids")
    return of.movable


def _parted(dense: Tensor, own_a: Tensor, own_b: Tensor) -> PairMatrix:
    """The matrix between the texts' own tokens; what the others give stands beside it."""
    a, b = own_a.to(dense), own_b.to(dense)
    with_others = dense @ (1 - b) * a, (1 - a) @ dense * b
    rest = float((1 - a) @ dense @ (1 - b))
    return PairMatrix.of(dense * a[:, None] * b, alone=with_others, constant=rest)
