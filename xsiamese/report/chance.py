"""One number beside a picture of one pair of images, and what chance gives: the model's score with only the strongest
share of both maps kept, or with the partner's pixels where a map says "apart".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from xsiamese.metrics.measure import batch_of
from xsiamese.metrics.scored import along
from xsiamese.metrics.units import Units, both_units
from xsiamese.pairs.batch import PairBatch
from xsiamese.result.explanation import PairExplanation

DRAWS = 200
CELLS = 7  # chance takes connected places too: cells of a 7 x 7 grid in random order

Question = Literal["kept", "a changed", "b changed"]


@dataclass(frozen=True)
class Chance:
    """A score, and the scores that maps in random order give.

    Attributes:
        score: with the share that the map names.
        drawn: with that share of random maps, shape (draws,).
    """

    score: float
    drawn: Tensor

    @property
    def mean(self) -> float:
        """What chance gives on average."""
        return float(self.drawn.mean())

    @property
    def high(self) -> float:
        """What chance exceeds in one of twenty draws."""
        return float(self.drawn.quantile(0.95))


def against_chance(
    model: object,
    explanation: PairExplanation,
    question: Question = "kept",
    *,
    share: float = 0.2,
    draws: int = DRAWS,
    seed: int = 0,
) -> Chance:
    """The score with a share of the images, as the maps order them, and as random maps do.

    Args:
        model: the model that was explained.
        explanation: of one pair of images.
        question: "kept": only the strongest share of both images is left, the rest blurred. "a changed": where a's map
            says "apart" most strongly, a gets b's pixels; "b changed" likewise.
        share: of the pixels.
        draws: of random maps.
        seed: of the draws.

    Example:
        >>> from xsiamese import PairOcclusion
        >>> from xsiamese.data import fashion_pair
        >>> from xsiamese.zoo import shipped
        >>> model = shipped("fashion").model
        >>> window = {"sliding_window_shapes": (1, 6, 6), "strides": (1, 2, 2), "baselines": "partner"}
        >>> found = PairOcclusion(model).explain(fashion_pair("T-shirt", "dress"), **window)
        >>> swapped = against_chance(model, found, "a changed")
        >>> swapped.score > swapped.high > swapped.mean
        True
    """
    from xsiamese.explain.catalogue import explainer

    batch = batch_of(explainer("PairOcclusion")(model), explanation.inputs)  # type: ignore[arg-type]
    side, apart = (1 if question == "b changed" else 0), question != "kept"
    chosen = tuple(
        torch.cat([_first(one, share, apart), _random(leaf, share, draws, seed + i)])
        for i, (one, leaf) in enumerate(zip(both_units(batch, explanation), _images(batch), strict=True))
    )
    keep = [list((~places if apart else places)[:, None]) for places in chosen]
    if apart:
        keep[1 - side] = [torch.ones_like(one) for one in keep[1 - side]]
    values = along(batch, (keep[0], keep[1]), "partner" if apart else "blur", seed)[0]
    scores = batch.objective.reported(values)
    return Chance(float(scores[0]), scores[1:])


def _images(batch: PairBatch) -> tuple[Tensor, Tensor]:
    return batch.a.leaves[0], batch.b.leaves[0]


def _first(units: Units, share: float, apart: bool) -> Tensor:
    """The first share of the places, shape (1, places), boolean."""
    ordered = Units(-units.values, units.real) if apart else units
    return ordered.ranks() < round(share * units.values.shape[1])


def _random(image: Tensor, share: float, draws: int, seed: int) -> Tensor:
    """The same share of places in random order of cells, shape (draws, places), boolean."""
    drawn = torch.rand(draws, 1, CELLS, CELLS, generator=torch.Generator().manual_seed(seed))
    values = functional.interpolate(drawn, tuple(image.shape[2:])).flatten(1)
    return Units(values, torch.ones_like(values, dtype=torch.bool)).ranks(seed) < round(share * values.shape[1])
