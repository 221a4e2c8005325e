"""Explainers that are about the decision on a pair."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from xsiamese.author import Comparison, Decision, Layer, Layout, PairAttribution


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
        return self.model.decision(self.threshold)


@contextmanager
def unclamped() -> Iterator[None]:
    """Silences the warning that a clamped distance is explained unclamped: a decision always is about the unclamped
    one.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the distance of .* is clamped")
        yield
