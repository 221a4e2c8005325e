"""An explanation whose method found which part of a goes with which part of b."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor

from xsiamese.result.explanation import PairExplanation
from xsiamese.result.matrix import PairMatrix

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class MatrixExplanation(PairExplanation):
    """A :class:`~xsiamese.PairExplanation` with a :class:`~xsiamese.PairMatrix` a pair; its maps are their marginals.

    Example:
        >>> from xsiamese import PairMaskRegression, SiameseModel
        >>> import torch
        >>> pair = torch.ones(1, 3), torch.ones(1, 3)
        >>> explanation = PairMaskRegression(SiameseModel(torch.nn.Identity(), "dot")).explain(pair)
        >>> [match.of_b for match in explanation.matrix.matches()]
        [(0,), (1,), (2,)]
    """

    packables: ClassVar[tuple[type[Any], ...]] = (PairMatrix,)

    @property
    def matrices(self) -> tuple[PairMatrix, ...]:
        """The matrix of each pair."""
        return tuple(self.columns["matrix"])

    @property
    def matrix(self) -> PairMatrix:
        """The matrix of the one pair.

        Raises:
            ValueError: if there are several.
        """
        if len(self) != 1:
            raise ValueError(f"there are {len(self)} pairs: take one, explanation[0].matrix, or .matrices")
        return self.matrices[0]

    @property
    def gap(self) -> Tensor | None:
        """How far each matrix is from what both sides give together by the model itself, shape (pairs,), where the
        method claims that they are equal.
        """
        found = self.columns.get("gap")
        return found if isinstance(found, Tensor) else None

    def plot(self, pair: int | None = None, **options: Any) -> Figure:
        """Both items with what goes with what, and both marginals: :func:`xsiamese.plot.matrix.plot_matrix`.

        Args:
            pair: which pair, or None for the first.
            **options: passed on.
        """
        from xsiamese.plot.matrix import plot_matrix

        one = self[pair or 0]
        return plot_matrix(one, one.matrix, **options)

    def summary(self) -> str:
        """One line a pair: names, score, and the strongest match with its share of the score."""
        lines = super().summary().split("\n")
        for i, (matrix, score) in enumerate(zip(self.matrices, self.scores.tolist(), strict=True)):
            best = next(iter(matrix.matches(1)), None)
            if best is not None and score:
                lines[i + 1] += f"   {best.of_a} of a with {best.of_b} of b: {best.value:+.3g}"
        return "\n".join(lines)
