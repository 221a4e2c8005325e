"""Which part of a goes with which part of b: a matrix of parts x parts, kept as two thin factors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, Self

import torch
from torch import Tensor

from xsiamese.result.matches import assigned, mutual, strongest
from xsiamese.result.places import Groups, Shape, coarser, number_of, place_of, summed

Which = Literal["closer", "apart", "either"]
DENSE = 2**28  # cells of a matrix that is made as a whole: 1 GiB in single precision
SIGN = {"closer": 1, "apart": -1, "either": 0}


class Match(NamedTuple):
    """A part of a and a part of b: their places, and the value of the two together."""

    of_a: Shape
    of_b: Shape
    value: float
    error: float | None = None


@dataclass(frozen=True, eq=False)
class PairMatrix:
    r"""The matrix :math:`A = L M R^\top` of one pair: :math:`A_{ij}` is what part i of a and part j of b give together.

    Only the factors are kept; nothing here makes n x m numbers but :meth:`dense` and the assignment of :meth:`matches`.
    What belongs to one part alone (a bias of the other side, an effect beside the reference) is in ``alone``, what
    belongs to none in ``constant``: together they are the :attr:`value` explained.

    Attributes:
        left: the factor of a, shape (n, r); ``right`` that of b, shape (m, r').
        middle: shape (r, r'), or None for the identity.
        places: how the parts of a and of b lie, two shapes of n and of m places, as (7, 7); (n,) and (m,) if left out.
        constant: the part of the value that belongs to no part of either side.
        alone: what each part of a, shape (n,), and each of b, shape (m,), gives by itself.
        standard_error: of each A_ij, shape (n, m), where it was sampled and that is not too large to keep.

    Raises:
        ValueError: if the shapes do not fit each other.

    Example:
        >>> matrix = PairMatrix(torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0], [0.0], [-1.0]]))
        >>> matrix.dense()
        tensor([[ 3.,  0., -1.],
                [ 6.,  0., -2.]])
        >>> matrix.marginals
        (tensor([2., 4.]), tensor([ 9.,  0., -3.]))
        >>> matrix.top(1)
        [Match(of_a=(1,), of_b=(0,), value=6.0, error=None)]
    """

    left: Tensor
    right: Tensor
    middle: Tensor | None = None
    places: tuple[Shape, Shape] | None = None
    constant: float = 0.0
    alone: tuple[Tensor, Tensor] | None = None
    standard_error: Tensor | None = None

    def __post_init__(self) -> None:
        if self.places is None:
            object.__setattr__(self, "places", ((self.left.shape[0],), (self.right.shape[0],)))
        self._check()

    def _check(self) -> None:
        inner = (*self.left.shape[1:], *self.right.shape[1:])
        if len(inner) != 2 or inner != (inner[:1] * 2 if self.middle is None else tuple(self.middle.shape)):
            middle = "" if self.middle is None else f" and middle {tuple(self.middle.shape)}"
            raise ValueError(
                f"left {tuple(self.left.shape)}, right {tuple(self.right.shape)}{middle} do not multiply: "
                "left (n, r), middle (r, r') and right (m, r') are needed"
            )
        (n, m), (of_a, of_b) = self.shape, self.alone or (None, None)
        for name, count, grid in zip("ab", (n, m), self.grids, strict=True):
            if math.prod(grid) != count:
                raise ValueError(f"the places of {name} are {grid}, {math.prod(grid)} in all, for {count} parts")
        beside = (("alone_a", of_a, (n,)), ("alone_b", of_b, (m,)), ("standard_error", self.standard_error, (n, m)))
        for name, tensor, shape in beside:
            if tensor is not None and tensor.shape != shape:
                raise ValueError(f"{name} has shape {tuple(tensor.shape)} for {n} x {m} parts: {shape} is needed")

    @classmethod
    def of(cls, matrix: Tensor, **known: Any) -> PairMatrix:
        """A matrix that is there as it is, shape (n, m); ``known`` are the other attributes."""
        rows, columns = matrix.shape
        if rows <= columns:  # the smaller side gets the identity
            return cls(torch.eye(rows, dtype=matrix.dtype, device=matrix.device), matrix.T, **known)
        return cls(matrix, torch.eye(columns, dtype=matrix.dtype, device=matrix.device), **known)

    @property
    def shape(self) -> tuple[int, int]:
        """The number of parts of a and of b."""
        return self.left.shape[0], self.right.shape[0]

    @property
    def grids(self) -> tuple[Shape, Shape]:
        """How the parts of each side lie."""
        assert self.places is not None
        return self.places

    @property
    def _folded(self) -> Tensor:
        """The factor of b with the middle one in it, shape (m, r)."""
        return self.right if self.middle is None else self.right @ self.middle.T

    @property
    def total(self) -> Tensor:
        """The sum of the whole matrix."""
        return self.left.sum(0) @ self._folded.sum(0)

    @property
    def value(self) -> Tensor:
        """The value explained: the sum of the matrix, of what the parts give alone, and the constant."""
        alone = 0 if self.alone is None else sum(part.sum() for part in self.alone)
        return self.total + alone + self.constant

    @property
    def marginals(self) -> tuple[Tensor, Tensor]:
        """The row sums and the column sums in the shape of the places: the maps of a and of b.

        Both sum to :attr:`total`.
        """
        folded = self._folded
        of_a, of_b = self.left @ folded.sum(0), folded @ self.left.sum(0)
        return of_a.reshape(self.grids[0]), of_b.reshape(self.grids[1])

    def row(self, i: int | Shape) -> Tensor:
        """What goes with part i of a (its number or its place), in the shape of b's places."""
        return (self._folded @ self.left[number_of(i, self.grids[0], "a")]).reshape(self.grids[1])

    def column(self, j: int | Shape) -> Tensor:
        """What goes with part j of b (its number or its place), in the shape of a's places."""
        return (self.left @ self._folded[number_of(j, self.grids[1], "b")]).reshape(self.grids[0])

    def block(self, rows: Tensor | slice, columns: Tensor | slice) -> Tensor:
        """The matrix of some parts of a and some of b, by their numbers."""
        return self.left[rows] @ self._folded[columns].T

    def dense(self, *, alone: bool = False) -> Tensor:
        """The whole matrix, shape (n, m).

        Args:
            alone: whether a last row and a last column hold what the parts give alone, and the corner the constant, so
                that it sums to the :attr:`value`; shape (n + 1, m + 1).

        Raises:
            ValueError: if it would have more than 2**28 cells.
        """
        n, m = self.shape
        if n * m > DENSE:
            raise ValueError(
                f"{n} x {m} cells would take {n * m * self.left.element_size() / 2**30:.1f} GiB: pool them first, as "
                "by pool((28, 28), (28, 28)), or ask for row, block, top or matches, which need the factors only"
            )
        inner = self.left @ self._folded.T
        if not alone:
            return inner
        whole = inner.new_zeros(self.shape[0] + 1, self.shape[1] + 1)
        whole[:-1, :-1], whole[-1, -1] = inner, self.constant
        if self.alone is not None:
            whole[:-1, -1], whole[-1, :-1] = self.alone
        return whole

    @property
    def T(self) -> PairMatrix:
        """The matrix of the pair (b, a)."""
        return PairMatrix(
            self.right,
            self.left,
            None if self.middle is None else self.middle.T,
            (self.grids[1], self.grids[0]),
            self.constant,
            None if self.alone is None else (self.alone[1], self.alone[0]),
            None if self.standard_error is None else self.standard_error.T,
        )

    def __neg__(self) -> PairMatrix:
        return self * -1.0

    def __mul__(self, factor: float) -> PairMatrix:
        return replace(
            self,
            right=self.right * factor,
            constant=self.constant * factor,
            alone=None if self.alone is None else (self.alone[0] * factor, self.alone[1] * factor),
            standard_error=None if self.standard_error is None else self.standard_error * abs(factor),
        )

    __rmul__ = __mul__

    def __add__(self, other: PairMatrix) -> PairMatrix:
        """The sum of two matrices of the same parts: of two values, or of one pair by independent samples.

        Raises:
            ValueError: if their parts differ.
        """
        if self.grids != other.grids:
            raise ValueError(f"matrices of {self.grids} and of {other.grids} places have no common parts to add up")
        pairs = zip(self.alone or other._nothing, other.alone or self._nothing, strict=True)
        both = self.alone is not None or other.alone is not None
        errors = (self.standard_error, other.standard_error)
        return PairMatrix(
            torch.cat([self.left, other.left], 1),
            torch.cat([self._folded, other._folded], 1),
            None,
            self.grids,
            self.constant + other.constant,
            tuple(x + y for x, y in pairs) if both else None,  # type: ignore[arg-type]
            None if errors[0] is None or errors[1] is None else torch.hypot(errors[0], errors[1]),
        )

    def __sub__(self, other: PairMatrix) -> PairMatrix:
        return self + -other

    @property
    def _nothing(self) -> tuple[Tensor, Tensor]:
        return self.left.new_zeros(self.shape[0]), self.left.new_zeros(self.shape[1])

    def pool(self, of_a: Shape | Groups | None = None, of_b: Shape | Groups | None = None) -> PairMatrix:
        """Larger parts: what was two is one, and its value their *sum*, so that :attr:`total` stays.

        Args:
            of_a: a coarser grid, as (7, 7), or the number of the new part that each part belongs to, as a tensor (n,);
                None leaves them. ``of_b`` alike.

        Raises:
            ValueError: if a grid is finer than the parts, or the numbers are not one for each part.
        """
        (first, grid_a), (second, grid_b) = (
            coarser(how, grid, name) for how, grid, name in zip((of_a, of_b), self.grids, "ab", strict=True)
        )
        alone = self.alone
        return PairMatrix(
            summed(self.left, first, grid_a),
            summed(self.right, second, grid_b),
            self.middle,
            (grid_a, grid_b),
            self.constant,
            None if alone is None else (summed(alone[0], first, grid_a), summed(alone[1], second, grid_b)),
            self.standard_error if first is None and second is None else None,  # the parts' errors are not independent
        )

    def compress(self, rank: int | None = None, *, tolerance: float = 1e-6) -> PairMatrix:
        """The nearest matrix of a lower rank, by the singular values of the product of the factors.

        Args:
            rank: how many; None takes as many as leave ``tolerance`` of the Frobenius norm.
            tolerance: what may be lost.
        """
        (q_left, r_left), (q_right, r_right) = torch.linalg.qr(self.left), torch.linalg.qr(self._folded)
        u, size, vh = torch.linalg.svd(r_left @ r_right.T)
        lost = size.square().flip(0).cumsum(0).flip(0).sqrt()  # what is left out from each singular value on
        kept = int((lost > tolerance * lost[:1]).sum()) if rank is None else rank
        kept = max(1, min(kept, len(size)))
        root = size[:kept].sqrt()
        return replace(self, left=q_left @ u[:, :kept] * root, right=q_right @ vh[:kept].T * root, middle=None)

    def top(self, k: int = 5, *, largest: Which = "either") -> list[Match]:
        """The k strongest pairs of parts, the strongest first, without forming the matrix.

        Args:
            k: how many.
            largest: what pulls "closer", what pushes "apart", or "either", by size; values of the other sign are left
                out.
        """
        return self._matches(strongest(self.left, self._folded, k, SIGN[largest]))

    def matches(self, k: int | None = 8, *, assign: bool = False, largest: Which = "closer") -> list[Match]:
        """Which part goes with which: pairs of parts that are each other's strongest, the strongest first.

        Args:
            k: how many at most; None gives all.
            assign: gives every part of the smaller side a partner of its own instead, such that the sum is largest;
                this forms the matrix and needs scipy.
            largest: what pulls "closer", what pushes "apart", or "either", by size; values of the other sign are left
                out.

        Raises:
            ValueError: if the matrix is too large to assign.
        """
        sign = SIGN[largest]
        factors = self.left, self._folded
        found = self._matches(assigned(*factors, sign) if assign else mutual(*factors, sign, k))
        kept = [match for match in found if match.value * sign > 0 or not sign]
        return sorted(kept, key=lambda match: (-abs(match.value), match.of_a, match.of_b))[:k]

    def _matches(self, places: Tensor) -> list[Match]:
        values = (self.left[places[:, 0]] * self._folded[places[:, 1]]).sum(1).tolist()
        errors: Sequence[float | None] = [None] * len(values)
        if self.standard_error is not None:
            errors = self.standard_error[places[:, 0], places[:, 1]].tolist()
        return [
            Match(place_of(i, self.grids[0]), place_of(j, self.grids[1]), value, error)
            for (i, j), value, error in zip(places.tolist(), values, errors, strict=True)
        ]

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """This matrix on another device or in another dtype."""
        moved = {key: value.to(*args, **kwargs) for key, value in self._tensors().items()}
        return replace(self, **_attributes(moved))

    def detach(self) -> Self:
        """This matrix without the graph of its factors."""
        return replace(self, **_attributes({key: value.detach() for key, value in self._tensors().items()}))

    def packed(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The tensors, and what JSON holds, from which :meth:`unpacked` makes it again."""
        return self._tensors(), {"places": [list(grid) for grid in self.grids], "constant": float(self.constant)}

    @classmethod
    def unpacked(cls, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> Self:
        """What :meth:`packed` gave."""
        first, second = (tuple(grid) for grid in plain["places"])
        return cls(**_attributes(tensors), places=(first, second), constant=plain["constant"])

    def _tensors(self) -> dict[str, Tensor]:
        known = {"left": self.left, "right": self.right, "middle": self.middle, "standard_error": self.standard_error}
        if self.alone is not None:
            known.update(alone_a=self.alone[0], alone_b=self.alone[1])
        return {key: value for key, value in known.items() if value is not None}


def _attributes(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    known: dict[str, Any] = {key: value for key, value in tensors.items() if not key.startswith("alone_")}
    if "alone_a" in tensors:
        known["alone"] = (tensors["alone_a"], tensors["alone_b"])
    return known
