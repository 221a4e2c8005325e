"""An explanation with what would flip each decision."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

from xsiamese.author import PairExplanation
from xsiamese_counterfactual.result import Counterfactual


class CounterfactualExplanation(PairExplanation):
    """A :class:`~xsiamese.PairExplanation` with what would flip each decision."""

    packables: ClassVar[tuple[type[Any], ...]] = (Counterfactual,)

    @cached_property
    def counterfactuals(self) -> tuple[Counterfactual, ...]:
        """One :class:`Counterfactual` for each pair, with the names that the explanation has for it."""
        layers = self.parameters.get("layer") or [None]
        return tuple(
            replace(
                one,
                method=one.method or self.method,
                parameters=one.parameters or self.parameters,
                layer=layers[0] if one.layer is None else one.layer or None,
                ids=self.ids[i] if self.ids else None,
                seed=self.seed,
                citation=one.citation or self.citation,
            )
            for i, one in enumerate(self.columns["counterfactuals"])
        )

    def summary(self) -> str:
        """What would flip each decision, in a few lines a pair."""
        told = [one.summary() for one in self.counterfactuals]
        return "\n".join([f"{self.method}: what would flip the decision", *told])

    def plot(self, pair: int | None = None, *, columns: Any = None, texts: Any = None, **options: Any) -> Any:
        """The counterfactual of one pair, the first if none is named; see :meth:`Counterfactual.plot`.

        Args:
            pair: its number.
            columns, texts: of a table's rows, as in other pictures; the edits have their names already.
            **options: of the picture.
        """
        shown = self if pair is None else self[pair]
        return shown.counterfactuals[0].plot(**options)
