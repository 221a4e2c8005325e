"""Smoothed explanations: the mean over noisy copies of the pair."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import captum.attr as captum
from torch import Tensor

from xsiamese import PairAttribution, PairBatch

from xsiamese_captum.gradients import PairSaliency


class PairNoiseTunnel(PairAttribution):
    """The mean, mean square or variance of any explainer's maps over pairs with Gaussian noise; each side has noise of its own.

    Args:
        explainer: an explainer of ours, or a model, for which :class:`PairSaliency` is smoothed (SmoothGrad).
    """

    name = "noise_tunnel"
    formula = r"\mathbb{E}_{\epsilon \sim N(0, \sigma^2)}\,[A(x + \epsilon)]"
    reference = ("smilkov2017", "adebayo2018")
    stochastic = True
    differentiable = False

    def __init__(self, explainer: PairAttribution | Callable[..., Any], layer: Any = None, **settings: Any) -> None:
        self.explainer = explainer if isinstance(explainer, PairAttribution) else PairSaliency(explainer, layer, **settings)
        super().__init__(self.explainer.model, self.explainer.layer)

    def compute(
        self, batch: PairBatch, *, nt_type: str = "smoothgrad", nt_samples: int = 5, stdevs: float | tuple[float, float] = 0.1, **options: Any
    ) -> tuple[Any, Any]:
        """The smoothed maps.

        Args:
            batch: the pairs.
            nt_type: "smoothgrad" (mean), "smoothgrad_sq" (mean of squares) or "vargrad" (variance).
            nt_samples: how many noisy copies.
            stdevs: the standard deviation of the noise in units of the input, one or (of a, of b).
            **options: those of the explainer.
        """
        if not all(isinstance(side.rebuild(side.leaves), Tensor) for side in (batch.a, batch.b)):
            raise ValueError("PairNoiseTunnel needs one tensor a side")
        inner = self.explainer.copy_for(batch.model)
        found = captum.NoiseTunnel(inner).attribute(
            batch.leaves, nt_type, nt_samples, max(1, (batch.rows or nt_samples) // batch.pairs), stdevs,
            wrt=batch.wrt, target=batch.target, additional_forward_args=batch.extra or None, internal_batch_size=batch.rows, seed=None, **options,
        )  # fmt: skip
        return found[0], found[1]

    @classmethod
    def options(cls) -> dict[str, Any]:
        from inspect import Parameter

        from xsiamese import explainers

        inner = {name: p for other in explainers().values() if other is not cls for name, p in other.options().items()}
        return {**{name: Parameter(name, Parameter.KEYWORD_ONLY) for name in inner}, **super().options()}
