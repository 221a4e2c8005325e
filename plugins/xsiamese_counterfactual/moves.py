"""All edits of a step at once: as matrix algebra on embeddings where the head allows it, else as one batch through the
head.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from xsiamese.author import ClampedEuclidean, Comparison, Cosine, Dot, Euclidean, SiameseModel, SquaredEuclidean
from xsiamese_counterfactual.cells import Place
from xsiamese_counterfactual.changes import Changes, changes_of

Move = tuple[int, int]
PAIRS_AT_MOST = 2**24


class Moves(ABC):
    """The closeness of a pair after edits, each of which copies cell j of the source over cell i of the edited side.

    Attributes:
        targets, sources: how many cells there are to edit, and to copy from.
    """

    targets: int
    sources: int

    @abstractmethod
    def values(self, done: list[Move]) -> Tensor:
        """The closeness after ``done`` and one more edit (i, j), for all of them, (targets, sources)."""

    @abstractmethod
    def value(self, done: list[Move]) -> float:
        """The closeness after ``done``."""

    def best_two(self, sign: float) -> tuple[list[Move], float]:
        """The two edits of different cells after which ``sign`` times the closeness is largest, by trying all."""
        if (self.targets * self.sources) ** 2 // 2 > PAIRS_AT_MOST:
            raise ValueError(
                f"all pairs of {self.targets} x {self.sources} edits are too many to try: choose a coarser layer or "
                "patch, or search='greedy'"
            )
        best: tuple[list[Move], float] = ([], -torch.inf)
        for i in range(self.targets - 1):
            for j in range(self.sources):
                # targets behind i only: a pair of moves counts once, and the flat index below starts at i + 1
                values = sign * self.values([(i, j)])[i + 1 :]
                top = int(values.argmax())
                if float(values.flatten()[top]) > best[1]:
                    best = [(i, j), (i + 1 + top // self.sources, top % self.sources)], float(values.flatten()[top])
        return best


class Head(Moves):
    """Every edited map through the model's head, all candidates of a step in one batch (or in as few as fit into
    memory).
    """

    def __init__(self, place: Place, cells: Tensor, source: Tensor) -> None:
        self.place, self.cells, self.source = place, cells, source
        self.targets, self.sources = len(cells), len(source)

    def values(self, done: list[Move]) -> Tensor:
        base = edited(self.cells, self.source, done)
        found = []
        whole = torch.arange(self.targets * self.sources, device=base.device)
        for part in torch.split(whole, self.place.rows):
            rows = base.repeat(len(part), 1, 1)
            # number k of all moves: target k // sources takes the source k % sources
            rows[torch.arange(len(part)), part // self.sources] = self.source[part % self.sources]
            found.append(self.place.values(rows))
        return torch.cat(found).reshape(self.targets, self.sources).double()

    def value(self, done: list[Move]) -> float:
        return float(self.place.values(edited(self.cells, self.source, done)[None])[0])


class Algebra(Moves):
    r"""Edits that add up in the embedding: :math:`z' = z + \sum \delta_{ij}`, so that a step costs a few matrix
    products and no forward pass.

    With global pooling :math:`\delta_{ij} = (e(c_j) - e(c_i))/n`, where :math:`e(c)` is the embedding of a map that
    holds the cell c everywhere: n + m rows through the head tell all n m edits. With a flattened linear head
    :math:`\delta_{ij} = W_i (c_j - c_i)`.

    Args:
        start: z, (dimensions,).
        changes: all :math:`\delta_{ij}`.
        other: the embedding of the other side.
        closeness: from the embeddings of the edited side, (rows, dimensions).
        formula: from :math:`z' \cdot w` and :math:`|z'|^2`, if the comparison is a function of these only.
    """

    def __init__(
        self,
        start: Tensor,
        changes: Changes,
        other: Tensor,
        closeness: Callable[[Tensor], Tensor],
        formula: Callable[[Tensor, Tensor], Tensor] | None,
    ) -> None:
        self.targets, self.sources = changes.targets, changes.sources
        self.start, self.changes, self.other = start, changes, other
        self.closeness, self.formula = closeness, formula
        if formula is not None:
            self.along, self.squares = changes.along(other), changes.squares()

    def values(self, done: list[Move]) -> Tensor:
        z = self._after(done)
        if self.formula is None:
            return torch.stack([self.closeness(z + self.changes.of(i)) for i in range(self.targets)])
        return self.formula(z @ self.other + self.along, z @ z + 2 * self.changes.along(z) + self.squares)

    def value(self, done: list[Move]) -> float:
        return float(self.closeness(self._after(done)[None])[0])

    def best_two(self, sign: float) -> tuple[list[Move], float]:
        count = self.targets * self.sources
        if self.formula is None or count**2 > PAIRS_AT_MOST or count * len(self.start) > PAIRS_AT_MOST:
            return super().best_two(sign)
        change, along = torch.cat([self.changes.of(i) for i in range(self.targets)]).float(), self.along.flatten()
        single = (2 * self.changes.along(self.start) + self.squares).flatten()
        # moves lie target by target: the target of each, since one cell is not moved twice
        cell = torch.arange(count, device=along.device) // self.sources
        own, dot = float(self.start @ self.start), float(self.start @ self.other)
        found: list[tuple[float, int]] = []
        for rows in torch.split(
            torch.arange(count, device=along.device), 2**18 // count + 1
        ):  # single precision finds the best few
            square = (own + single[rows, None] + single).float().addmm_(change[rows], change.T, alpha=2)
            values = sign * self.formula((dot + along[rows, None] + along).float(), square)
            values[cell[rows, None] == cell] = -torch.inf
            best = values.flatten().topk(min(4, values.numel()))
            found += zip(best.values.tolist(), (best.indices + rows[0] * count).tolist(), strict=True)
        pairs = [
            [divmod(k, self.sources) for k in divmod(where, count)] for _, where in sorted(found, reverse=True)[:64]
        ]
        exact = [sign * self.value(pair) for pair in pairs]  # and double precision the best
        top = max(range(len(pairs)), key=exact.__getitem__)
        return pairs[top], exact[top]

    def _after(self, done: list[Move]) -> Tensor:
        return self.start + sum((self.changes.of(i)[j] for i, j in done), torch.zeros_like(self.start))


def moves(place: Place, cells: Tensor, source: Tensor) -> Moves:
    """The quickest exact way to the values of all edits that this model's head allows.

    Args:
        place: where the cells are.
        cells: those to edit, (targets, numbers).
        source: those to copy from, (sources, numbers).
    """
    head = Head(place, cells, source)
    if place.other is None:
        return head
    model = place.batch.model
    assert isinstance(model, SiameseModel)
    changes, start = changes_of(place, cells, source)
    if changes is None:
        return head
    other = place.other.flatten().double()

    def closeness(z: Tensor) -> Tensor:
        with torch.no_grad():
            return place.compared(z.to(place.raw.dtype)).double()

    return Algebra(start, changes, other, closeness, formula(model.comparison, float(other @ other)))


def formula(comparison: Comparison, square: float) -> Callable[[Tensor, Tensor], Tensor] | None:
    """The closeness as a function of z.w and z.z for a fixed w with w.w = ``square``, for comparisons that are one."""
    if isinstance(comparison, ClampedEuclidean) and comparison.explain_clamped:
        return None
    kind = type(comparison)
    if kind is Dot:
        return lambda dot, _: dot
    if kind is Cosine:
        return lambda dot, own: torch.where(own * square > 0, dot / (own * square).clamp_min(1e-300).sqrt(), 0)
    if kind is SquaredEuclidean:
        return lambda dot, own: -(own - 2 * dot + square)
    if kind in (Euclidean, ClampedEuclidean):
        return lambda dot, own: -(own - 2 * dot + square).clamp_min(0).sqrt()
    return None


def edited(cells: Tensor, source: Tensor, done: list[Move]) -> Tensor:
    """The cells after edits."""
    made = cells.clone()
    for i, j in done:
        made[i] = source[j]
    return made
