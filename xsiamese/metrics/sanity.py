"""Whether a map is about this model and this pair at all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from xsiamese.branches.copies import copied
from xsiamese.explain.attribution import PairAttribution
from xsiamese.explain.maps import Maps
from xsiamese.metrics.metric import Metric
from xsiamese.metrics.recipe import Recipe, agreement, correlation
from xsiamese.metrics.units import both_units
from xsiamese.model.pair import PairModel, SiameseModel
from xsiamese.pairs.batch import PairBatch
from xsiamese.result.explanation import PairExplanation


class CascadingRandomisation(Metric):
    r"""How alike the maps stay when the model's layers become random, from the last to the first
    (:cite:`adebayo2018`). Low is good: a map that does not change is not about what the model has learned.

    Each weight becomes a normal one with the mean and the spread of its tensor. A constant map counts as 0.

    Args:
        stages: how many times the maps are made again, with equal shares of the layers random; at the last all are.
        seed: of the weights.
    """

    name = "randomisation"
    formula = r"\tfrac1K \sum_k |\mathrm{corr}(m, m_{\text{last } k/K \text{ random}})|"
    higher_is_better = False
    range = (0.0, 1.0)
    chance = 0.0
    needs = frozenset({"explainer"})
    reference = ("adebayo2018",)

    def __init__(self, stages: int = 3, seed: int = 0) -> None:
        self.stages, self.seed = stages, seed

    def compute(self, batch: PairBatch, explanation: PairExplanation, **options: Any) -> Tensor:
        recipe: Recipe = options["explainer"]
        model = copied(recipe.explainer.model)
        weights = [p for p in model.parameters() if p.is_floating_point()]
        if not weights:
            raise ValueError("the model has no parameters that could be made random: a module is needed")
        generator = torch.Generator().manual_seed(self.seed)
        found, done = [], 0
        for stage in range(1, self.stages + 1):
            reach = round(len(weights) * stage / self.stages)
            for weight in weights[::-1][done:reach]:
                _randomise(weight, generator)
            done = reach
            changed = agreement(batch, explanation, recipe.explain(explanation.inputs, model))
            found.append(changed.abs().nan_to_num(0.0))
        return torch.stack(found).mean(0)


class LabelRandomisation(Metric):
    r"""How alike the maps are to those of a model that was trained on random labels. Low is good.

    Args:
        model: of the same structure, trained on random labels.
    """

    name = "label_randomisation"
    formula = r"|\mathrm{corr}(m, m_{\text{random labels}})|"
    higher_is_better = False
    range = (0.0, 1.0)
    chance = 0.0
    needs = frozenset({"explainer"})
    reference = ("adebayo2018",)

    def __init__(self, model: PairModel) -> None:
        self.model = model

    def compute(self, batch: PairBatch, explanation: PairExplanation, **options: Any) -> Tensor:
        recipe: Recipe = options["explainer"]
        other = recipe.explain(explanation.inputs, self.model)
        return agreement(batch, explanation, other).abs().nan_to_num(0.0)


class SelfPair(Metric):
    r"""Whether an item beside itself has one map on both sides: their correlation. NaN where the map is constant, as
    gradients of many scores are there.
    """

    name = "self_pair"
    formula = r"\mathrm{corr}(m_a(a, a), m_b(a, a))"
    range = (-1.0, 1.0)
    needs = frozenset({"explainer"})

    def compute(self, batch: PairBatch, explanation: PairExplanation, **options: Any) -> Tensor:
        recipe: Recipe = options["explainer"]
        item = explanation.inputs[0]
        same = recipe.explain((item, item))
        return correlation(*both_units(replace(batch, b=batch.a, baselines=(batch.baselines[0],) * 2), same))


class Swap(Metric):
    r"""Whether swapping the inputs of a model with one encoder swaps the maps: their correlation, 1 if it does."""

    name = "swap"
    formula = r"\mathrm{corr}((m_a, m_b)(a, b), (m_b, m_a)(b, a))"
    range = (-1.0, 1.0)
    needs = frozenset({"explainer"})

    def compute(self, batch: PairBatch, explanation: PairExplanation, **options: Any) -> Tensor:
        model = batch.model
        if isinstance(model, SiameseModel) and model.encoders[0] is not model.encoders[1]:
            return torch.full((batch.pairs,), torch.nan)
        recipe: Recipe = options["explainer"]
        found = recipe.explain(explanation.inputs[::-1])
        first, second = both_units(batch, explanation)
        b, a = both_units(replace(batch, a=batch.b, b=batch.a, baselines=batch.baselines[::-1]), found)
        return torch.stack([correlation(first, a), correlation(second, b)]).nanmean(0)


class ConstantModel(Metric):
    r"""What is left of the maps when the model gives every item one embedding, relative to their size. 0 is right: a
    score that nothing changes has nothing to explain.
    """

    name = "constant_model"
    formula = r"\max |m_{\text{constant}}| / \max |m|"
    higher_is_better = False
    range = (0.0, float("inf"))
    needs = frozenset({"explainer"})

    def compute(self, batch: PairBatch, explanation: PairExplanation, **options: Any) -> Tensor:
        recipe: Recipe = options["explainer"]
        if not isinstance(recipe.explainer.model, SiameseModel):
            return torch.full((batch.pairs,), torch.nan)
        model = copied(recipe.explainer.model)
        for encoder in dict.fromkeys(model.encoders):
            encoder.register_forward_hook(_constant)
        found = both_units(batch, recipe.explain(explanation.inputs, model))
        largest = [_largest(both_units(batch, explanation)), _largest(found)]
        return torch.where(largest[0] > 0, largest[1] / largest[0], torch.nan)


class EdgeDetector(PairAttribution):
    """A fake: the edges of both images, whatever the model. It looks like an explanation, and every sanity check must
    refuse it.
    """

    name = "edge_detector"
    formula = r"\sqrt{(\partial_x a)^2 + (\partial_y a)^2}"
    reference = ("adebayo2018",)
    modalities = frozenset({"image"})
    uses_gradients = False
    shows = "relevance"
    of_activations = True

    def compute(self, batch: Any) -> Maps:
        """The edges."""
        return batch.maps([_edges(image) for image in batch.moved])  # type: ignore[no-any-return]


def _edges(image: Tensor) -> Tensor:
    sobel = image.new_tensor([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]])
    channels = image.shape[1]
    padded = functional.pad(image, (1, 1, 1, 1), mode="replicate")
    x, y = (functional.conv2d(padded, kernel.expand(channels, 1, 3, 3), groups=channels) for kernel in (sobel, sobel.T))
    size = (x**2 + y**2).sqrt()
    found: Tensor = size / size.amax((1, 2, 3), keepdim=True).clamp(min=1e-12)
    return found


def _constant(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
    return output * 0 + 1


@torch.no_grad()
def _randomise(weight: Tensor, generator: torch.Generator) -> None:
    drawn = torch.randn(weight.shape, generator=generator, dtype=torch.float64).to(weight)
    spread = weight.std() if weight.numel() > 1 else weight.abs().mean()
    weight.copy_(weight.mean() + drawn * spread)


def _largest(units: Any) -> Tensor:
    first, second = (u.values.masked_fill(~u.real, 0).abs().amax(1) for u in units)
    return torch.maximum(first, second)
