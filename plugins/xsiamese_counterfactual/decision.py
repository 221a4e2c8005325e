"""Which side of the threshold a pair is on, and how far from it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from xsiamese.author import Comparison, Layer, Layout, PairAttribution, PairModel


@dataclass(frozen=True)
class Decision:
    """A pair is called alike where its score reaches a threshold; everything here is about the unclamped score.

    Attributes:
        threshold: in the units of the score.
        higher_is_closer: whether a higher score means more alike.
    """

    threshold: float
    higher_is_closer: bool

    @classmethod
    def of(cls, model: PairModel, threshold: float | None = None) -> Decision:
        """The decision of a model: at ``threshold``, or else at the one that its comparison was calibrated to.

        Raises:
            ValueError: if neither is known.
        """
        known = getattr(getattr(model, "comparison", None), "threshold_", None)
        chosen = known if threshold is None else threshold
        if chosen is None:
            raise ValueError(
                f"no threshold is known for this {type(model).__name__}, so there is no decision to flip: "
                "find one with xsiamese.calibrate(model, a, b, same) on labelled pairs, or give threshold="
            )
        return cls(float(chosen), model.higher_is_closer)

    @property
    def cut(self) -> float:
        """The least closeness that is called alike."""
        return self.threshold if self.higher_is_closer else -self.threshold

    def alike(self, closeness: Tensor) -> Tensor:
        """Which pairs are called alike, from the values that explainers see: the score, negated if it is a distance."""
        return closeness.double() >= self.cut

    def score(self, closeness: Tensor) -> Tensor:
        """The unclamped score."""
        return closeness if self.higher_is_closer else -closeness

    def flipped(self, closeness: Tensor, before: Tensor | bool) -> Tensor:
        """Whether the decision is not what it was."""
        return self.alike(closeness) != torch.as_tensor(before, device=closeness.device)

    def progress(self, closeness: Tensor, before: Tensor | bool) -> Tensor:
        """How far beyond the threshold a value is on the way away from the decision before; negative while it has not
        got there.
        """
        away = closeness - self.cut
        return torch.where(torch.as_tensor(before, device=closeness.device), -away, away)


class DecisionExplainer(PairAttribution):
    """An explainer that is about the decision, and so knows a threshold."""

    def __init__(
        self,
        model: Callable[..., Any],
        layer: Layer = None,
        *,
        threshold: float | None = None,
        comparison: str | Comparison | Callable[[Tensor, Tensor], Tensor] | None = None,
        higher_is_closer: bool | None = None,
        layout: Layout = None,
    ) -> None:
        super().__init__(model, layer, comparison=comparison, higher_is_closer=higher_is_closer, layout=layout)
        self.threshold = threshold

    def decision(self) -> Decision:
        """The decision that is explained: at :attr:`threshold`, or else at the one that the comparison was calibrated
        to.
        """
        return Decision.of(self.model, self.threshold)


@contextmanager
def unclamped() -> Iterator[None]:
    """Silences the warning that a clamped distance is explained unclamped: a decision always is about the unclamped
    one.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the distance of .* is clamped")
        yield
