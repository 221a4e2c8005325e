"""An explainer with the options that it was asked with, to ask it again of other pairs or another model."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from xsiamese.explain.attribution import PairAttribution
from xsiamese.metrics.units import Units, both_units
from xsiamese.model.pair import PairModel
from xsiamese.pairs.batch import PairBatch
from xsiamese.result.explanation import PairExplanation


@dataclass(frozen=True)
class Recipe:
    """How an explanation was made.

    Attributes:
        explainer: the explainer.
        options: of its ``explain``.
    """

    explainer: PairAttribution
    options: Mapping[str, Any] = field(default_factory=dict)

    def explain(self, inputs: Any, model: PairModel | None = None, **changed: Any) -> PairExplanation:
        """The explanation of other pairs, of another model of the same structure, or with other options."""
        explainer = self.explainer if model is None else self._for(model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the first explanation has said it
            return explainer.explain(inputs, **{**self.options, **changed})

    def _for(self, model: PairModel) -> PairAttribution:
        explainer = self.explainer.copy_for(model)
        if isinstance(explainer.layer, nn.Module):  # one of the old model: the new one has another of that name
            named = {module: name for name, module in self.explainer.model.named_modules()}
            explainer = copy(explainer)
            explainer.layer = named[explainer.layer]
        return explainer


def agreement(batch: PairBatch, one: PairExplanation, other: PairExplanation) -> Tensor:
    """Pearson's correlation of two explanations' maps, shape (pairs,), the mean over both sides; NaN where a map is
    constant.
    """
    sides = [correlation(x, y) for x, y in zip(both_units(batch, one), both_units(batch, other), strict=True)]
    return torch.stack(sides).nanmean(0)


def correlation(one: Units, other: Units) -> Tensor:
    """Pearson's correlation of two maps of each pair, shape (pairs,), NaN where one is constant."""
    centred = []
    for units in (one, other):
        values = units.values.masked_fill(~units.real, 0)
        mean = values.sum(1, keepdim=True) / units.counts[:, None]
        centred.append((values - mean).masked_fill(~units.real, 0))
    norms = [x.norm(dim=1) for x in centred]
    flat = torch.stack(
        [
            norm <= 1e-12 * (1 + u.values.masked_fill(~u.real, 0).abs().amax(1))
            for norm, u in zip(norms, (one, other), strict=True)
        ]
    ).any(0)
    found = (centred[0] * centred[1]).sum(1) / torch.where(flat, 1.0, norms[0] * norms[1])
    return torch.where(flat, torch.nan, found)
