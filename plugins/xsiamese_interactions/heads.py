r"""How a comparison joins two embeddings: as a product of features where it can be written so, else by its mixed
second derivative.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from xsiamese.author import (
    Bilinear,
    Comparison,
    Cosine,
    Dot,
    PairBatch,
    PairMatrix,
    SiameseModel,
    SquaredEuclidean,
    wide,
)

Features = Callable[[Tensor], Tensor]
ROOM = 2**30  # numbers of second derivatives at once


@dataclass(frozen=True)
class Product:
    r"""A comparison whose part that needs both sides is :math:`\varphi(u) \cdot \psi(v)`.

    Attributes:
        of_a: :math:`\varphi`, rows to rows; ``of_b`` is :math:`\psi`.
        linear: whether both are linear.
    """

    of_a: Features
    of_b: Features
    linear: bool = True

    def __getitem__(self, side: int) -> Features:
        return self.of_b if side else self.of_a

    @property
    def own(self) -> Features:
        """What of the features belongs to an item, on whichever side it stands."""
        return _same if self.linear else self.of_a

    def after(self, side: int) -> Features:
        """What is left to be done to :attr:`own` on one side: linear."""
        return self[side] if self.linear else _same


def product(batch: PairBatch, u: Tensor, v: Tensor, *, detach_norms: bool = False) -> Product | None:
    """The features of a batch's comparison, in closeness, or None if it is no product of features.

    Args:
        batch: the pairs.
        u, v: the embeddings of one pair, whose norms count as constants where norms are detached.
        detach_norms: whether they are for the cosine, whatever it says itself.
    """
    if not isinstance(batch.model, SiameseModel) or batch.target is not None:
        return None
    head: Comparison = batch.model.comparison
    if type(head) is Cosine:
        if head.detach_norms or detach_norms:
            first, second = (float(z.detach().norm()) or 1.0 for z in (u, v))
            return Product(lambda z: z.flatten(1) / first, lambda z: z.flatten(1) / second)
        return Product(_unit, _unit, linear=False)
    if type(head) is Dot:
        return Product(_same, _same)
    if type(head) is SquaredEuclidean:  # -|u - v|^2 = 2 u.v less what is of one side alone
        return Product(lambda z: 2 * z.flatten(1), _same)
    if type(head) is Bilinear:
        weight = wide(head.weight)
        return Product(lambda z: wide(z.flatten(1)) @ weight, lambda z: wide(_same(z)))
    return None


def of_item(batch: PairBatch, shares: Tensor, z: Tensor) -> Tensor:
    """Shares of an embedding, rows, as products of features take them, as far as that is the item's own, on whichever
    side it stands: over its norm, a constant, for a cosine.
    """
    if not isinstance(batch.model, SiameseModel) or type(batch.model.comparison) is not Cosine:
        return shares
    return shares / (float(z.detach().norm()) or 1.0)


def of_side(batch: PairBatch, shares: Tensor, side: int) -> Tensor | None:
    """What :func:`of_item` gave, as a side of the comparison takes it, or None if that is no product of features."""
    if isinstance(batch.model, SiameseModel) and type(batch.model.comparison) is Cosine:
        return shares
    head = product(batch, shares, shares)
    return None if head is None else head[side](shares)


def joined(batch: PairBatch, left: Tensor, right: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """The factors of a pair matrix from shares of both embeddings, (rows, D) each, and what stands between them.

    Where the comparison is a product of features, with the norms of a cosine as constants, that is nothing; else its
    mixed second derivative at the pair.
    """
    head = product(batch, u, v, detach_norms=True)
    if head is None:
        return left, right, batch.mixed(u, v)[0]
    return head.of_a(left), head.of_b(right), None


def four_terms(batch: PairBatch, u: tuple[Tensor, Tensor], v: tuple[Tensor, Tensor], head: Product | None) -> Tensor:
    r"""What both sides give together, :math:`s(u, v) - s(u_0, v) - s(u, v_0) + s(u_0, v_0)`, with the same norms in all
    four.

    Args:
        batch: the pairs.
        u: one embedding of a and its reference's, rows; ``v`` of b.
        head: the features, if the comparison has them.
    """
    if head is not None:
        return ((head.of_a(u[0]) - head.of_a(u[1])) * (head.of_b(v[0]) - head.of_b(v[1]))).sum(-1)
    scores = batch.closeness(torch.cat([u[0], u[1], u[0], u[1]]), torch.cat([v[0], v[0], v[1], v[1]]))
    both, without_a, without_b, neither = scores.chunk(4)
    return both - without_a - without_b + neither


def full_match(batch: PairBatch, u: tuple[Tensor, Tensor], v: tuple[Tensor, Tensor], head: Product | None) -> Tensor:
    """What both items would give together if they were alike in everything, shape (1,): the geometric mean of what each
    gives with itself, which for products of features is the most that there can be.

    The arguments are those of :func:`four_terms`.
    """
    if head is not None:
        change: Tensor = head.of_a(u[0]) - head.of_a(u[1])
        other: Tensor = head.of_b(v[0]) - head.of_b(v[1])
        return (change.square().sum(1) * other.square().sum(1)).sqrt()[:1]
    if u[0].shape == v[0].shape:
        alone = four_terms(batch, u, u, None).abs() * four_terms(batch, v, v, None).abs()
        return alone.sqrt()[:1]
    return batch.closeness(u[0], v[0]).abs()[:1]


def most(matrix: PairMatrix) -> Tensor:
    """The most that a matrix of such factors could sum to, were its sides parallel, shape (1,)."""
    if matrix.middle is not None:
        return matrix.total.abs()[None]
    return (matrix.left.sum(0).square().sum() * matrix.right.sum(0).square().sum()).sqrt()[None]


def coupling(batch: PairBatch, u: Tensor, v: Tensor) -> Tensor:
    """The mixed second derivative of closeness at every pair of points, shape (points of a, D_a, points of b, D_b).

    Raises:
        ValueError: if it does not fit.
    """
    if u.numel() * v.numel() > ROOM:
        head: Any = batch.model.comparison
        raise ValueError(
            f"{len(u)} x {len(v)} points of embeddings of {u[0].numel()} and {v[0].numel()} numbers are too many for a "
            f"{head.name}, which is no product of features: take fewer steps=, or PairMaskRegression"
        )
    found = batch.mixed(u.repeat_interleave(len(v), 0), v.repeat(len(u), *[1] * (v.dim() - 1)))
    return found.reshape(len(u), len(v), u[0].numel(), v[0].numel()).transpose(1, 2)


def step_coupling(batch: PairBatch, u: Tensor, v: Tensor, count: int = 4) -> Tensor:
    r"""What a step of u and a step of v do together, as a matrix between them, for neighbouring points of both paths.

    Of shape (points of a - 1, D_a, points of b - 1, D_b): the mean of :func:`coupling` over the two straight steps.
    What a quadrature of it misses of :math:`s(u_1, v_1) - s(u_0, v_1) - s(u_1, v_0) + s(u_0, v_0)`, at a kink or where
    a distance vanishes, is added along the steps themselves.
    """
    places, weights = (u.new_tensor(part) for part in np.polynomial.legendre.leggauss(count))
    mean = u.new_zeros(len(u) - 1, u[0].numel(), len(v) - 1, v[0].numel())
    for s, p in zip((places + 1) / 2, weights / 2, strict=True):
        for t, q in zip((places + 1) / 2, weights / 2, strict=True):
            mean += p * q * coupling(batch, torch.lerp(u[:-1], u[1:], s), torch.lerp(v[:-1], v[1:], t))
    step_u, step_v = u.diff(dim=0).flatten(1), v.diff(dim=0).flatten(1)
    exact = every_score(batch, u, v, None).diff(dim=0).diff(dim=1)
    missed = exact - torch.einsum("ad,adbe,be->ab", step_u, mean, step_v)
    size = step_u.square().sum(1)[:, None] * step_v.square().sum(1)
    share = torch.where(size > 0, missed / torch.where(size > 0, size, 1), 0)
    return mean + torch.einsum("ab,ad,be->adbe", share, step_u, step_v)


def every_score(batch: PairBatch, u: Tensor, v: Tensor, head: Product | None, rows: int = 2**14) -> Tensor:
    """The closeness of every row of u with every row of v, shape (rows of u, rows of v)."""
    if head is not None and type(batch.model.comparison) in (Cosine, Dot, Bilinear):
        return head.of_a(u) @ head.of_b(v).T
    at_once = max(1, rows // len(v))
    parts = [
        batch.closeness(part.repeat_interleave(len(v), 0), v.repeat(len(part), *[1] * (v.dim() - 1)))
        for part in torch.split(u, at_once)
    ]
    return torch.cat(parts).reshape(len(u), len(v))


def _unit(z: Tensor) -> Tensor:
    return functional.normalize(z.flatten(1), dim=1, eps=1e-30 if z.dtype == torch.float64 else 1e-20)


def _same(z: Tensor) -> Tensor:
    return z.flatten(1)
