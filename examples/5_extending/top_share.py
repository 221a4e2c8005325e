"""A metric of explanations, as a plugin in one file: ``xsiamese.measure(explainer, pairs, ["top_share"])``.

A metric says its range, whether higher is better, and what a map that says nothing gets; tables read that.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import torch
from torch import Tensor

from xsiamese import hookimpl
from xsiamese.author import Metric, PairBatch, PairExplanation


class TopShare(Metric):
    """How much of both maps lies on the strongest tenth of their places."""

    name = "top_share"
    formula = r"\sum_{i \in \mathrm{top}} |m_i| \,/\, \sum_i |m_i|"
    higher_is_better: ClassVar[bool | None] = None  # sparse is no virtue by itself
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    kinds = frozenset({"image", "row", "series", "volume"})
    reference = ("chalasani2020",)

    def compute(self, batch: PairBatch, explanation: PairExplanation, **options: Any) -> Tensor:
        """The share of each pair, NaN where both maps are zero."""
        sizes = torch.cat([m.abs().flatten(1) for m in explanation.maps], 1).double()
        top = sizes.topk(max(1, sizes.shape[1] // 10), 1).values
        return top.sum(1) / sizes.sum(1)


@hookimpl
def xsiamese_metrics() -> Iterable[Metric]:
    """What this plugin brings."""
    return [TopShare()]
