"""Whether an explanation stays when nothing that matters changes: noise, seeds, references, the batch."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xsiamese.kinds.side import Side
from xsiamese.metrics.metric import Metric
from xsiamese.metrics.recipe import Recipe, agreement
from xsiamese.metrics.units import both_units
from xsiamese.pairs.batch import PairBatch
from xsiamese.result.explanation import PairExplanation


class _Stability(Metric):
    """The mean correlation of the maps with those that were made again; NaN where all maps are constant."""

    range = (-1.0, 1.0)
    needs = frozenset({"explainer"})
    reference = ("alvarezmelis2018",)

    def compute(self, batch: PairBatch, explanation: PairExplanation, **options: Any) -> Tensor:
        found = [agreement(batch, explanation, one) for one in self.again(batch, explanation, options["explainer"])]
        return torch.stack(found).nanmean(0)

    @abstractmethod
    def again(self, batch: PairBatch, explanation: PairExplanation, recipe: Recipe) -> Iterator[PairExplanation]:
        """The explanations that should be the same."""


class NoiseStability(_Stability):
    r"""The correlation with the maps of inputs with a little noise.

    Args:
        scale: of the noise, relative to the root mean square of each item.
        draws: how many times.
        seed: of the noise; every pair gets the same.
    """

    name = "noise_stability"
    formula = r"\mathbb{E}\,\mathrm{corr}(m(a, b), m(a + \varepsilon, b + \varepsilon'))"

    def __init__(self, scale: float = 0.05, draws: int = 3, seed: int = 0) -> None:
        self.scale, self.draws, self.seed = scale, draws, seed

    def again(self, batch: PairBatch, explanation: PairExplanation, recipe: Recipe) -> Iterator[PairExplanation]:
        for draw in range(self.draws):
            noisy = []
            for i, side in enumerate((batch.a, batch.b)):
                noisy.append(side.rebuild((self._noisy(side, [self.seed, draw, i]), *side.leaves[1:])))
            yield recipe.explain(tuple(noisy))

    def _noisy(self, side: Side, seed: list[int]) -> Tensor:
        leaf = side.leaves[0].detach()
        unit, pair = side.unit_of(0), side.pair_of(0)
        # one row of noise for each unit, whatever pair it is of: the stream does not depend on how many there are
        shape = (int(unit.max()) + 1, *leaf.shape[1:])
        noise = torch.from_numpy(np.random.default_rng(seed).standard_normal(shape)).to(leaf)[unit]
        size = leaf.double().reshape(len(leaf), -1).pow(2).mean(1)
        mean = size.new_zeros(side.pairs).index_add(0, pair, size) / torch.bincount(pair, minlength=side.pairs).clamp(
            min=1
        )
        return leaf + self.scale * noise * mean.sqrt()[pair].to(leaf).reshape(-1, *[1] * (leaf.dim() - 1))


class SeedStability(_Stability):
    r"""The correlation with the maps of other seeds; 1 for what draws nothing.

    Args:
        seeds: the others.
    """

    name = "seed_stability"
    formula = r"\mathbb{E}_k\,\mathrm{corr}(m, m_k)"

    def __init__(self, seeds: tuple[int, ...] = (1, 2)) -> None:
        self.seeds = seeds

    def again(self, batch: PairBatch, explanation: PairExplanation, recipe: Recipe) -> Iterator[PairExplanation]:
        for seed in self.seeds:
            yield recipe.explain(explanation.inputs, seed=seed)


class ReferenceStability(_Stability):
    r"""The correlation with the maps from other baselines; 1 for what uses none.

    Args:
        baselines: what ``explain`` takes; numbers by default, so that they suit every input.
    """

    name = "reference_stability"
    formula = r"\mathbb{E}_r\,\mathrm{corr}(m, m_r)"

    def __init__(self, baselines: tuple[Any, ...] = (0.25, 0.5)) -> None:
        self.baselines = baselines

    def again(self, batch: PairBatch, explanation: PairExplanation, recipe: Recipe) -> Iterator[PairExplanation]:
        for baselines in self.baselines:
            yield recipe.explain(explanation.inputs, baselines=baselines)


class BatchStability(Metric):
    r"""How far the maps are off when each pair is explained alone, relative to their largest value; 0 is right."""

    name = "batch_stability"
    formula = r"\max |m - m^{\text{alone}}| / \max |m|"
    higher_is_better = False
    range = (0.0, float("inf"))
    needs = frozenset({"explainer"})

    def compute(self, batch: PairBatch, explanation: PairExplanation, **options: Any) -> Tensor:
        recipe: Recipe = options["explainer"]
        found = []
        for i, part in enumerate(batch.split(1)):
            alone = both_units(part, recipe.explain(explanation[i].inputs))
            together = both_units(part, explanation[i])
            off = [(x.values - y.values).abs().max() for x, y in zip(together, alone, strict=True)]
            size = torch.stack([x.values.abs().max() for x in together]).max()
            found.append(torch.stack(off).max() / (size if float(size) else 1.0))
        return torch.stack(found)
