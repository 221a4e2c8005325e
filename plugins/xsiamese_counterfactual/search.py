"""What every search for a counterfactual shares: the threshold, the choice of the side to edit, and the explanation
around it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from inspect import Parameter, signature
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from tqdm.auto import tqdm

from xsiamese.author import Decision, Found, PairBatch, PairExplanation
from xsiamese_counterfactual.decision import DecisionExplainer, unclamped
from xsiamese_counterfactual.explanation import CounterfactualExplanation
from xsiamese_counterfactual.result import Counterfactual

SIDE_NAMES: tuple[Literal["a"], Literal["b"]] = ("a", "b")


class PairCounterfactual(DecisionExplainer):
    """Finds the smallest edit of one side of a pair that flips the decision.

    Args:
        model, layer, comparison, higher_is_closer, layout: see :class:`~xsiamese.PairAttribution`.
        threshold: where the decision turns, in the units of the unclamped score; None takes the comparison's calibrated
            one.
    """

    result: ClassVar[type[PairExplanation]] = CounterfactualExplanation
    needs_threshold: ClassVar[bool] = True
    takes_target: ClassVar[bool] = False
    takes_baselines: ClassVar[bool] = False
    uses_gradients: ClassVar[bool] = False
    differentiable: ClassVar[bool] = False

    def compute(self, batch: PairBatch, *args: Any, **options: Any) -> Found:
        """What flips each decision, and the closeness lost on the way as maps of the inputs. Needs a threshold."""
        decision = self.decision()
        with unclamped():
            found = [self.search(batch, decision, side, **options) for side in batch.objective.moving]
        best = [min(each, key=self.preferred) for each in zip(*found, strict=True)]
        return Found(self.spread_on(batch, found), columns={"counterfactuals": best})

    def spread_on(self, batch: PairBatch, found: Sequence[Sequence[Counterfactual]]) -> Any:
        """The maps of the counterfactuals of the sides that may be edited."""
        maps = []
        for side, each in zip(batch.objective.moving, found, strict=True):
            rows = zip(each, batch.sides[side].leaves[0], strict=True)
            maps.append(torch.stack([self.spread(one, row) for one, row in rows]))
        return batch.maps(maps)

    def spread(self, found: Counterfactual, row: Tensor) -> Tensor:
        """The closeness that a counterfactual took away, on the values of one item; zeros where nothing was changed."""
        raise TypeError(f"{type(self).__name__} gives maps of a layer, which nothing is spread on")

    @classmethod
    def options(cls) -> dict[str, Parameter]:
        return {p.name: p for p in signature(cls.search).parameters.values() if p.kind is p.KEYWORD_ONLY}

    @abstractmethod
    def search(
        self, batch: PairBatch, decision: Decision, side: int, *args: Any, **options: Any
    ) -> list[Counterfactual]:
        """The best edit of one side (0 for a, 1 for b) of each pair. ``batch`` is checked and ready; ``options`` are
        the method's own.
        """

    def find(self, inputs: Sequence[Any] | Mapping[str, Any], **arguments: Any) -> list[Counterfactual]:
        """One counterfactual for each pair: those of :meth:`explain`.

        Args:
            inputs: the two sides (a, b).
            **arguments: those of :meth:`PairAttribution.explain <xsiamese.PairAttribution.explain>` and the method's
                own, see its :meth:`search`. ``wrt`` says which side may be edited; an edit changes one side only, and
                "both" tries each and takes the smaller one that flips.

        Returns:
            A list with one :class:`Counterfactual` a pair. A pair that nothing allowed can flip gets one with
            ``flipped=False`` and a reason.

        Raises:
            ValueError: if no threshold is known, or inputs or options do not fit.
        """
        explanation = self.explain(inputs, **arguments)
        assert isinstance(explanation, CounterfactualExplanation)
        return list(explanation.counterfactuals)

    def preferred(self, found: Counterfactual) -> tuple[Any, ...]:
        """The order of results: what flips comes first, then fewer and smaller edits; of what does not flip, what comes
        nearest to it.
        """
        away = abs(found.score_after - found.threshold)
        return (False, found.count, found.size, -away) if found.flipped else (True, away, 0, 0)


class Neighbours:
    """Distances to the nearest of some real examples, given as rows."""

    def __init__(self, real: Tensor) -> None:
        self.real = real.flatten(1).to(torch.promote_types(real.dtype, torch.float32))
        self.typical: float | None = None
        if len(real) > 1:
            between = torch.cdist(self.real, self.real).fill_diagonal_(torch.inf)
            self.typical = float(between.min(1).values.median())

    def distance(self, edited: Tensor) -> float:
        """From one row to the nearest."""
        return float(torch.cdist(edited.reshape(1, -1).to(self.real), self.real).min())


def pairs_of(batch: PairBatch, name: str) -> Iterator[PairBatch]:
    """The pairs one by one, with a bar if one was asked for."""
    parts = batch.split(1)
    return iter(tqdm(parts, total=batch.pairs, desc=name, unit="pair")) if batch.show_progress else parts
