r"""The mixed path integral of a pair: its matrix from the two sides' paths and the head's second derivative.

.. math:: A_{ij} = \Delta_i \Delta'_j \int_0^1\!\!\int_0^1 \frac{\partial^2 s}{\partial x_i \partial y_j}
          \big(r + \alpha \Delta, r' + \beta \Delta'\big)\, d\alpha\, d\beta
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from xsiamese.author import PairBatch, PairMatrix, Parts, wide
from xsiamese_interactions.heads import Product, coupling, four_terms, full_match, product, step_coupling
from xsiamese_interactions.secant import Begun, segments, unit_shares
from xsiamese_interactions.tangents import jacobian, nodes

MISSED = 0.25  # of what both sides give together, or of a tenth of a full match: more is said


@dataclass(frozen=True, eq=False)
class Line:
    """One side's straight path from the reference to the item, at a layer or the input.

    Attributes:
        begun: the embeddings of rows of tensors there, and what is called where these come in.
        start: the reference; ``end`` the item, (1, ...) or (nodes, features).
        parts: of such a tensor.
    """

    begun: Begun
    start: Tensor
    end: Tensor
    parts: Parts

    def encode(self, tensor: Tensor) -> Tensor:
        """The embeddings of rows of tensors."""
        return self.begun(tensor, lambda: None)

    def ends(self) -> tuple[Tensor, Tensor]:
        """The embeddings of the item and of its reference."""
        with torch.no_grad():
            return wide(self.encode(self.end)), wide(self.encode(self.start))

    def slopes(self, places: Tensor, features: Callable[[Tensor], Tensor] | None) -> tuple[Tensor, Tensor]:
        """Embeddings or their features (points, ...), and what each part moves there, (points, parts, D)."""
        direction = self.end - self.start
        encode = self.encode if features is None else (lambda h: features(self.encode(h)))
        found = [jacobian(encode, self.start + place * direction, direction, self.parts) for place in places]
        return wide(torch.cat([z for z, _ in found])), wide(torch.stack([slope for _, slope in found]))


@dataclass(frozen=True, eq=False)
class Integral:
    """A pair's matrix by its path integral.

    Attributes:
        matrix: the matrix; its constant is the score with one side or none.
        gap: how far its sum is from what both sides give together, (1,).
        reference: the value of a full match, (1,).
        value: the value explained, (1,).
    """

    matrix: PairMatrix
    gap: Tensor
    reference: Tensor
    value: Tensor


def integral(
    batch: PairBatch, lines: tuple[Line, Line], rule: str, steps: int, *, detach_norms: bool = False
) -> Integral:
    """The matrix of one pair.

    Args:
        batch: the pair.
        lines: the paths of a and of b.
        rule: "secant", or where the path is looked at: "gauss", "midpoint", "left" or "right".
        steps: how many points or steps.
        detach_norms: whether the norms of a cosine are constants.
    """
    u, v = (line.ends() for line in lines)
    head = product(batch, u[0], v[0], detach_norms=detach_norms)
    found = (_by_secants if rule == "secant" else _by_nodes)(batch, lines, head, rule, steps)
    with torch.no_grad():
        scores = batch.closeness(torch.cat([u[0], u[1], u[1], u[0]]), torch.cat([v[1], v[0], v[1], v[0]]))
        whole = four_terms(batch, u, v, head)
        gap, reference = found.total.detach() - whole, full_match(batch, u, v, head)
    missed = gap.abs() > MISSED * torch.maximum(whole.abs(), 0.1 * reference.abs())
    at_pair = rule == "right" and steps == 1  # the derivative there, which is no integral
    if bool(missed.any()) and bool(found.total.any()) and not at_pair:  # of nothing at all the run tells why
        warnings.warn(
            f"the integral misses {-float(gap):.2g} of {float(whole):.2g} that both sides give together: take "
            "more steps=, rule='secant' of an encoder of ReLU and affine layers, or, where the encoder gives zeros for "
            "the baselines, so that a cosine has no value there, form='jacobian'",
            stacklevel=2,
        )
    places = (lines[0].parts.grid, lines[1].parts.grid)
    rest = float(scores[0] + scores[1] - scores[2])  # so that the value of the matrix is the score
    matrix = PairMatrix(found.left, found.right, found.middle, places, rest)
    return Integral(matrix, gap.reshape(1), reference, scores[3:])


def _by_nodes(batch: PairBatch, lines: tuple[Line, Line], head: Product | None, rule: Any, steps: int) -> PairMatrix:
    places, weights = nodes(rule, steps, lines[0].end)
    (u, left), (v, right) = (line.slopes(places, None if head is None else head[k]) for k, line in enumerate(lines))
    left, right = left * weights[:, None, None], right * weights[:, None, None]
    if head is not None:
        return PairMatrix(left.sum(0), right.sum(0))
    return _joined(left, coupling(batch, u, v), right)


def _by_secants(batch: PairBatch, lines: tuple[Line, Line], head: Product | None, rule: Any, steps: int) -> PairMatrix:
    if batch.a.ragged or batch.b.ragged:
        raise ValueError("rule='secant' takes the points of a path as rows, and a graph's are its nodes: use 'gauss'")
    (u, left), (v, right) = (
        map(wide, segments(line.begun, line.start, line.end, line.parts, steps=steps)) for line in lines
    )
    if head is None:
        return _joined(left, step_coupling(batch, u, v), right)
    if not head.linear:
        return PairMatrix(unit_shares(u, left).sum(0), unit_shares(v, right).sum(0))
    return PairMatrix(head.of_a(left.sum(0)), head.of_b(right.sum(0)))


def _joined(left: Tensor, middle: Tensor, right: Tensor) -> PairMatrix:
    """The matrix of slopes (points, parts, D) of both sides and the couplings (points, D, points, D') of them."""
    first, second = (side.transpose(0, 1).flatten(1) for side in (left, right))  # (parts, points * D)
    inner = middle.flatten(2).flatten(0, 1)
    if len(first) * len(second) <= first.numel() + second.numel() + inner.numel():
        return PairMatrix.of(first @ inner @ second.T)  # as it is, it takes less room than its factors
    return PairMatrix(first, second, inner)
