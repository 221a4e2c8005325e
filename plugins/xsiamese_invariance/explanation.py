"""An explanation by masks, with how their optimisation went."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

from xsiamese.author import PairExplanation
from xsiamese_invariance.diagnostics import Convergence


class RobustExplanation(PairExplanation):
    """A :class:`~xsiamese.PairExplanation` of masks, with the convergence of each pair."""

    packables: ClassVar[tuple[type[Any], ...]] = (Convergence,)

    @cached_property
    def convergence(self) -> Convergence:
        """How the optimisation of the pairs went."""
        return Convergence.joined(self.columns["convergence"])

    def summary(self) -> str:
        """One line a pair: ids, score, and whether its masks are at a solution."""
        first, *rows = super().summary().split("\n")
        told = [f"{row}, masks {one}" for row, one in zip(rows, self.convergence.status, strict=False)]
        return "\n".join([first, *told, *rows[len(self) :]])
