"""Metrics of Quantus (:cite:`hedstrom2023`) on pairs: a side at a time, with the other one held."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from xsiamese.metrics.metric import Metric
from xsiamese.pairs.batch import PairBatch
from xsiamese.result.explanation import PairExplanation


class Quantus(Metric):
    """What a metric of Quantus says of both maps: the mean of the two sides, each as the only input of the model; where
    it gives a curve, its mean height.

    Quantus knows models of one input. Here it gets the closeness as a function of one side, the other held, pair by
    pair. It is not imported by this library and not installed with it (its licence is the LGPL): the metric is made
    with it and handed over, ``pip install "xsiamese[quantus]"``.

    Args:
        metric: of Quantus, made with its own settings.

    Example:
        >>> import quantus  # doctest: +SKIP
        >>> measure(explainer, pairs, [Quantus(quantus.PixelFlipping(features_in_step=16))])  # doctest: +SKIP
    """

    name = "quantus"
    kinds = frozenset({"image", "row", "series"})
    reference = ("hedstrom2023",)

    def __init__(self, metric: Any) -> None:
        self.metric = metric
        self.name = f"quantus_{type(metric).__name__}"  # type: ignore[misc]
        direction = getattr(getattr(metric, "score_direction", None), "name", "")
        self.higher_is_better = {"HIGHER": True, "LOWER": False}.get(direction)  # type: ignore[misc]

    def compute(self, batch: PairBatch, explanation: PairExplanation, **options: Any) -> Tensor:
        """The number of each pair.

        Raises:
            ValueError: if the maps have not the shape of the inputs.
        """
        sides = []
        for place, (value, leaf) in enumerate(zip(explanation.maps, batch.leaves, strict=True)):
            if not isinstance(value, Tensor) or value.shape != leaf.shape:
                raise ValueError(
                    f"{self.name} takes maps of the inputs' own shape, and {explanation.method} gave others: explain "
                    "the inputs"
                )
            rows = torch.split(torch.arange(batch.pairs, device=leaf.device), 1)
            sides.append([self._of(batch.select(row), place, value[row]) for row in rows])
        return torch.tensor(sides, dtype=torch.float64).mean(0)

    def _of(self, pair: PairBatch, place: int, value: Tensor) -> float:
        """The number of one map."""
        item = pair.leaves[place].detach()
        found = self.metric(
            model=Branch(pair, place).eval(),
            x_batch=item.cpu().numpy(),
            y_batch=torch.zeros(1, dtype=torch.long).numpy(),
            a_batch=value.detach().cpu().numpy(),
            softmax=False,  # of a single score it is 1, whatever the score
            device=str(item.device),
        )
        return float(np.mean(found[0]))


class Branch(nn.Module):
    """The value explained of one pair as a function of one side, shape (items, 1)."""

    def __init__(self, pair: PairBatch, place: int) -> None:
        super().__init__()
        self.alone = pair.one_sided("second" if place else "first")

    def forward(self, items: Tensor) -> Tensor:
        """The value with each of some items on that side."""
        return self.alone.value(items)[:, None]
