"""An explanation by masks, with how their optimisation went."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor

from xsiamese.author import PairExplanation
from xsiamese_invariance.diagnostics import Convergence

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 4


class RobustExplanation(PairExplanation):
    """A :class:`~xsiamese.PairExplanation` of masks, with the score that is left under them and their convergence."""

    packables: ClassVar[tuple[type[Any], ...]] = (Convergence,)

    @cached_property
    def convergence(self) -> Convergence:
        """How the optimisation of the pairs went."""
        return Convergence.joined(self.columns["convergence"])

    @property
    def kept(self) -> Tensor | None:
        """The mean score of each pair with the mask applied, shape (pairs,); None in files of older versions."""
        found = self.columns.get("kept")
        return found if isinstance(found, Tensor) else None

    def plot(self, pair: int | None = None, **options: Any) -> Figure:
        """As of every explanation, with what is left of the scores in the title."""
        figure = super().plot(pair, **options)
        if self.kept is not None:
            shown = self.kept.tolist() if pair is None else [float(self.kept[pair])]
            told = ", ".join(f"{one:.3g}" for one in shown[:SHOWN]) + (", ..." if len(shown) > SHOWN else "")
            figure.suptitle(f"{figure.get_suptitle()}   under the mask: {told}", fontsize=11)
        return figure

    def summary(self) -> str:
        """One line a pair: ids, score, what is left of it under the masks, and whether these are at a solution."""
        first, *rows = super().summary().split("\n")
        left = [""] * len(self) if self.kept is None else [f", under the masks {one:.4g}" for one in self.kept.tolist()]
        both = zip(rows, left, self.convergence.status, strict=False)
        told = [f"{row}{kept}, masks {one}" for row, kept, one in both]
        return "\n".join([first, *told, *rows[len(self) :]])
