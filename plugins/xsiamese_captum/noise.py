"""Smoothed explanations: the mean over noisy copies of the pair."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from xsiamese.author import AtLeast, PairAttribution, PairBatch, Shows
from xsiamese_captum.gradients import PairSaliency

Deviation = Annotated[float, AtLeast(0)]


class PairNoiseTunnel(PairAttribution):
    """The mean, mean square or variance of any explainer's maps over pairs with Gaussian noise; each side has noise of
    its own.

    On graphs noise is added to features, weights and attributes; the gates of edges stay at 1.

    Args:
        explainer: an explainer of ours, or a model, for which :class:`PairSaliency` is smoothed (SmoothGrad).

    Example:
        >>> import torch
        >>> from xsiamese import PairNoiseTunnel, PairSaliency, SiameseModel
        >>> model = SiameseModel(torch.nn.Identity(), comparison="dot")
        >>> a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -4.0]])
        >>> map_a, map_b = PairNoiseTunnel(PairSaliency(model)).attribute((a, b), nt_samples=10, stdevs=0.01)
        >>> map_a.round(decimals=1), map_b.round(decimals=1)
        (tensor([[3., 4.]]), tensor([[1., 2.]]))
    """

    name = "noise_tunnel"
    formula = r"\mathbb{E}_{\epsilon \sim N(0, \sigma^2)}\,[A(x + \epsilon)]"
    reference = ("smilkov2017", "adebayo2018")
    modalities = frozenset({"image", "row", "series", "volume", "text", "graph"})
    stochastic = same_draws = trims = True
    differentiable = False

    def __init__(self, explainer: PairAttribution | Callable[..., Any], layer: Any = None, **settings: Any) -> None:
        self.explainer = (
            explainer if isinstance(explainer, PairAttribution) else PairSaliency(explainer, layer, **settings)
        )
        super().__init__(self.explainer.model, self.explainer.layer)

    @property
    def of_layer(self) -> bool:
        return self.explainer.of_layer

    @property
    def takes_baselines(self) -> bool:  # type: ignore[override]
        return self.explainer.takes_baselines

    def showing(self, options: Mapping[str, Any]) -> Shows:
        inner = {name: value for name, value in options.items() if name in self.explainer.options()}
        return self.explainer.showing(inner) if options.get("nt_type", "smoothgrad") == "smoothgrad" else "magnitude"

    def compute(
        self,
        batch: PairBatch,
        *,
        nt_type: Literal["smoothgrad", "smoothgrad_sq", "vargrad"] = "smoothgrad",
        nt_samples: int = 5,
        stdevs: Deviation | tuple[Deviation, Deviation] = 0.1,
        **options: Any,
    ) -> tuple[Any, Any]:
        """The smoothed maps.

        Args:
            batch: the pairs.
            nt_type: "smoothgrad" (mean), "smoothgrad_sq" (mean of squares) or "vargrad" (variance).
            nt_samples: how many noisy copies.
            stdevs: the standard deviation of the noise in units of the input, one or (of a, of b).
            **options: those of the explainer.
        """
        spread = stdevs if isinstance(stdevs, (tuple, list)) else (stdevs, stdevs)
        noisy = [
            side.holding(tuple(_noisy(leaf, nt_samples, sigma) for leaf in side.leaves))
            for side, sigma in zip((batch.a, batch.b), spread, strict=True)
        ]
        inner = self.explainer.copy_for(batch.model)
        starts = [
            tuple(side.whole(i, start.repeat(nt_samples, *[1] * (start.dim() - 1))) for i, start in enumerate(leaves))
            for side, leaves in zip(batch.sides, batch.baselines, strict=True)
        ]
        maps = inner.attribute(
            [side.rebuild(side.leaves) for side in noisy],
            batch.target,
            baselines=starts if self.takes_baselines else None,
            wrt=batch.wrt,
            seed=None,
            internal_batch_size=batch.rows,
            additional_forward_args=tuple(
                v.expand(nt_samples, *v.shape[1:]) if isinstance(v, Tensor) else v for v in batch.extra
            )
            or None,
            parts=batch.a.parts or None,
            **options,
        )
        first, second = (
            side.unwrapped(found, inner.of_layer) for side, found in zip((batch.a, batch.b), maps, strict=True)
        )
        return _summary(first, nt_type, nt_samples), _summary(second, nt_type, nt_samples)

    @classmethod
    def options(cls) -> dict[str, Any]:
        from inspect import Parameter

        from xsiamese.author import explainers

        inner = {name: p for other in explainers().values() if other is not cls for name, p in other.options().items()}
        return {**{name: Parameter(name, Parameter.KEYWORD_ONLY) for name in inner}, **super().options()}


def _noisy(leaf: Tensor, samples: int, sigma: float) -> Tensor:
    """Copies of a leaf with Gaussian noise, the draws that captum's NoiseTunnel makes."""
    many = leaf.detach().repeat(samples, *[1] * (leaf.dim() - 1))
    if not leaf.is_floating_point():
        return many
    return many + torch.normal(0, torch.full(many.shape, float(sigma), device=leaf.device)).to(leaf.dtype)


def _summary(maps: Any, nt_type: str, samples: int) -> Any:
    if isinstance(maps, Mapping):
        return {name: _summary(m, nt_type, samples) for name, m in maps.items()}
    if not isinstance(maps, Tensor):
        return tuple(_summary(m, nt_type, samples) for m in maps)
    each = maps.reshape(samples, -1, *maps.shape[1:])
    if not maps.is_floating_point():  # of a mask that rides along: zeros
        return each[0]
    if nt_type == "smoothgrad":
        return each.mean(0)
    squares = each.square().mean(0)
    return squares if nt_type == "smoothgrad_sq" else squares - each.mean(0).square()
