"""An explanation whose method found which part of a goes with which part of b."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor

from xsiamese.kinds.words import Texts
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

    def by_word(self) -> tuple[PairMatrix, ...]:
        """The matrix of each pair by the words of a text, on one side or both: what their tokens give, summed.

        Its value stays, since what tokens give that are of no word is in the constant.

        Raises:
            ValueError: if the words of neither input are known.
        """
        if not self._texts:
            raise ValueError("the words of the inputs are not known: explain a model of texts, see xsiamese_text")
        found = []
        for i, matrix in enumerate(self.matrices):
            sides = []
            for item, factor, grid in zip(self.inputs, (matrix.left, matrix.right), matrix.grids, strict=True):
                if isinstance(item, Texts):
                    factor, grid = _summed(factor, item.word_of[i], len(item.words[i])), (len(item.words[i]),)
                sides.append((factor, grid))
            (left, of_a), (right, of_b) = sides
            inner = PairMatrix(left, right, matrix.middle, (of_a, of_b))
            found.append(replace(inner, constant=float(matrix.value - inner.total)))
        return tuple(found)

    @property
    def _texts(self) -> bool:
        """Whether a side has words."""
        return any(isinstance(item, Texts) for item in self.inputs)

    @property
    def gap(self) -> Tensor | None:
        """How far each matrix is from what both sides give together by the model itself, shape (pairs,), where the
        method claims that they are equal.
        """
        found = self.columns.get("gap")
        return found if isinstance(found, Tensor) else None

    def plot(self, pair: int | None = None, *, pool: tuple[Any, Any] | None = None, **options: Any) -> Figure:
        """Both items (texts by their words) with what goes with what, and both marginals:
        :func:`xsiamese.plot.matrix.plot_matrix`.

        Args:
            pair: which pair, or None for the first.
            pool: coarser parts of a and of b, as :meth:`~xsiamese.PairMatrix.pool` takes them, such as
                ((7, 7), (7, 7)): of single pixels no line and no colour can be read.
            **options: passed on.

        Raises:
            ValueError: if the parts cannot be drawn or pooled.
        """
        from xsiamese.plot.matrix import plot_matrix
        from xsiamese.plot.picture import asked

        one = self[pair or 0]
        matrix = one.by_word()[0] if self._texts else one.matrix
        if pool is not None:
            matrix = matrix.pool(*pool)
        if self._texts:
            words = tuple(item.words[0] if isinstance(item, Texts) else None for item in one.inputs)
            options.setdefault("labels", words)
        asked(plot_matrix, options)
        return plot_matrix(one, matrix, **options)

    def summary(self) -> str:
        """One line a pair: names, score, and the strongest match with its value."""
        lines = super().summary().split("\n")
        matrices = self.by_word() if self._texts else self.matrices
        for i, matrix in enumerate(matrices):
            for best in matrix.matches(1):  # none of an item without parts
                of_a, of_b = (
                    repr(item.words[i][place[0]]) if isinstance(item, Texts) else place
                    for item, place in zip(self.inputs, (best.of_a, best.of_b), strict=True)
                )
                lines[i + 1] += f"   {of_a} of a with {of_b} of b: {best.value:+.3g}"
        return "\n".join(lines)


def _summed(factor: Tensor, word_of: Tensor, words: int) -> Tensor:
    """The rows of a factor of tokens, (tokens, r), added up by the word that each is of; those of no word are left out:
    they are of beginnings, ends and padding.
    """
    own = word_of.to(factor.device) >= 0
    number = word_of.to(factor.device)[own]
    return factor.new_zeros(words, factor.shape[1]).index_add(0, number, factor[own])
