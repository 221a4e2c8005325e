"""How much the explanation of one query changes with the reference it is compared to, and how much of that
had to be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from xsiamese.author import PairAttribution, PairBatch, SiameseModel
from xsiamese_invariance.metrics import mean_cosine, top_overlap


@dataclass(frozen=True)
class ReferenceInstability:
    r"""The gradients of one query's closeness to many references, and where their differences come from.

    With an encoder :math:`\phi` and a comparison :math:`\psi` the gradient is :math:`g_r = J^\top \psi_1(\phi_q,
    \phi_r)`, J the Jacobian of the encoder at the query. J does not depend on the reference; :math:`\psi_1` does, so
    that :math:`g_r` changes even where the encoder is linear.

    Attributes:
        gradients: of the query, one row a reference, shape (references, features); an input of several tensors, or of
            several dimensions, is flattened.
        k: how many features count as the top ones.
        jacobian: J, shape (dimensions, features), or None for a model that is not factored into encoder and comparison.
        embeddings: of the references, shape (references, dimensions), or None likewise.
        slope: B where :math:`\psi_1 = B \phi_r + \text{const}` for these references (squared distance, inner product,
            bilinear forms), else None.
        query_term: bounds the change of the gradient by a unit change of the query, :math:`L_J P + |J|^2 L_{11}`.
        reference_term: the same for a unit change of a reference, :math:`|J_q| |J_r| L_{12}`: it exists for models of
            two inputs only.
    """

    gradients: Tensor
    k: int
    jacobian: Tensor | None = None
    embeddings: Tensor | None = None
    slope: Tensor | None = None
    query_term: float | None = None
    reference_term: float | None = None

    @cached_property
    def covariance(self) -> Tensor:
        """The covariance of the gradients over the references, shape (features, features)."""
        return _covariance(self.gradients)

    @property
    def variance(self) -> Tensor:
        """Of each feature's gradient over the references, shape (features,)."""
        return self.gradients.var(0)

    @property
    def cosine(self) -> float:
        """The mean cosine of two references' gradients: 1 if all point the same way."""
        return mean_cosine(self.gradients)

    @property
    def overlap(self) -> float:
        """The mean share of the k features with the largest absolute gradient that two references have in common."""
        return top_overlap(self.gradients.abs(), self.k)

    @cached_property
    def closed_form(self) -> Tensor | None:
        r"""What :attr:`covariance` must be where ``slope`` is known: :math:`J^\top B \,\mathrm{Cov}(\phi_r) B^\top J`,
        shape (features, features).

        For :math:`-c |u - v|^2` the slope is :math:`2 c I`, and this is :math:`4 c^2 J^\top \mathrm{Cov}(\phi_r) J`.
        """
        if self.jacobian is None or self.embeddings is None or self.slope is None:
            return None
        through = self.slope.T @ self.jacobian
        return through.T @ _covariance(self.embeddings) @ through

    def summary(self) -> str:
        """What a reader needs, in a few lines."""
        lines = [
            f"{len(self.gradients)} references: mean cosine of two gradients {self.cosine:.2f}, overlap of their top "
            f"{self.k} features {self.overlap:.2f}"
        ]
        if self.closed_form is not None:
            error = float((self.covariance - self.closed_form).norm() / self.closed_form.norm().clamp(min=1e-300))
            lines.append(
                f"all of it is the spread of the references' embeddings (closed form, relative error {error:.0e})"
            )
        if self.reference_term is not None:
            lines.append(
                f"a unit change of the query moves the gradient by up to about {self.query_term:.3g}, one of a "
                f"reference by {self.reference_term:.3g}"
            )
        return "\n".join(lines)


class _Gradient(PairAttribution):
    """Opens a batch of pairs; what is computed on it is up to the caller."""

    def compute(self, batch: PairBatch) -> tuple[Any, Any]:
        return batch.maps(batch.gradients())


def reference_instability(
    model: Callable[..., Any], query: Any, references: Any, *, k: int = 4, radius: float = 0.1, seed: int = 0
) -> ReferenceInstability:
    r"""How much the gradient of a query's closeness changes with the reference.

    Args:
        model: a :class:`~xsiamese.SiameseModel`, or any two-input model; for the latter only the gradients are known.
        query: one item, shape (1, ...) or (...) as in a batch of one.
        references: items to compare it with, shape (references, ...), at least two.
        k: how many features count as the top ones.
        radius: how far from the query the Lipschitz constant of its Jacobian is looked for.
        seed: of the directions in which that is done.

    Raises:
        ValueError: for fewer than two references, a query that is not one item, or one that no reference has the shape
            of.

    The two terms of the bound are the largest values found at these inputs, not certificates over all inputs. With a
    linear encoder and a squared distance they are exact.

    Example:
        >>> from xsiamese import reference_instability
        >>> model = SiameseModel(torch.nn.Linear(3, 2, bias=False).double(), "squared_euclidean")
        >>> references = torch.randn(50, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        >>> found = reference_instability(model, references[:1], references[1:], k=1)
        >>> torch.allclose(found.covariance, found.closed_form, rtol=1e-12)
        True
    """
    if not isinstance(query, Tensor) or not isinstance(references, Tensor):
        raise TypeError(
            f"query is a {type(query).__name__}, references a {type(references).__name__}: tensors are needed"
        )
    query = query if query.dim() == references.dim() else query[None]
    if query.shape != references[:1].shape:
        raise ValueError(
            f"query has shape {tuple(query.shape)}: one item like the references, {tuple(references[:1].shape)}, is "
            "needed"
        )
    if len(references) < 2:
        raise ValueError(f"{len(references)} reference: at least two are needed for a spread")
    features = query[0].numel()
    if not 1 <= k <= features:
        raise ValueError(f"k={k}: between 1 and the {features} features")
    opened = _Gradient(model)
    with opened.prepared(
        (query.expand(len(references), *query.shape[1:]), references), wrt="first", seed=seed
    ) as batch:
        gradients = batch.gradients()[0].flatten(1).detach()
        if not isinstance(batch.model, SiameseModel):
            return ReferenceInstability(gradients, k)
        factors = _factors(batch.model, query.detach(), references.detach(), radius, seed)
    return ReferenceInstability(gradients, k, *factors)


def _factors(
    model: SiameseModel, query: Tensor, references: Tensor, radius: float, seed: int
) -> tuple[Tensor, Tensor, Tensor | None, float, float]:
    """Jacobian, embeddings, slope and the two terms of the bound."""
    with torch.no_grad():
        z_q, z_r = model.encode(query, 0).flatten(1), model.encode(references, 1).flatten(1)
    u, v = z_q.expand_as(z_r).clone().requires_grad_(), z_r.clone().requires_grad_()
    with torch.enable_grad():
        score = model.comparison.explained(u, v)
        first = torch.autograd.grad(model.closeness(score).sum(), u, create_graph=True)[0]
    within, between = _jacobians(first, (u, v))
    first = first.detach()
    away = int((z_r - z_q).abs().amin(1).argmax())  # where a comparison made of absolute values has its derivatives
    expected = first[away] + (z_r - z_r[away]) @ between[away].T
    tolerance = 1e3 * torch.finfo(first.dtype).eps * float(first.abs().max())
    slope = between[away] if float((first - expected).abs().max()) <= tolerance else None

    def jacobian(rows: Tensor, side: int) -> Tensor:
        moved = rows.clone().requires_grad_()
        with torch.enable_grad():
            return _jacobians(model.encode(moved, side).flatten(1), (moved,))[0]

    def largest(matrices: Tensor) -> float:
        return float(torch.linalg.matrix_norm(matrices, 2).max())

    generator = torch.Generator().manual_seed(seed)
    steps = torch.randn(8, *query.shape[1:], generator=generator, dtype=torch.float64).flatten(1)
    around = query + radius * torch.nn.functional.normalize(steps, dim=1).view(8, *query.shape[1:]).to(query)
    j_q = jacobian(query, 0)
    chunk = max(2**25 // j_q.numel(), 1)
    bend = max(largest(jacobian(part, 0) - j_q) for part in torch.split(around, chunk)) / radius
    spread = max(largest(jacobian(part, 1)) for part in torch.split(references, chunk))
    query_term = bend * float(first.norm(dim=1).max()) + largest(j_q) ** 2 * largest(within)
    return j_q[0], z_r, slope, query_term, largest(j_q) * spread * largest(between)


def _jacobians(values: Tensor, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The Jacobian of each row of ``values`` with respect to the same row of each input, shape (rows, values,
    features).
    """
    rows = [
        torch.autograd.grad(values[:, i].sum(), inputs, retain_graph=True, allow_unused=True, materialize_grads=True)
        for i in range(values.shape[1])
    ]
    return tuple(torch.stack([row[i].flatten(1) for row in rows], 1) for i in range(len(inputs)))


def _covariance(rows: Tensor) -> Tensor:
    centred = rows - rows.mean(0)
    return centred.T @ centred / (len(rows) - 1)
