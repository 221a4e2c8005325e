"""captum's own measures, on both inputs of a pair at once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from xsiamese.branches.intact import intact
from xsiamese.metrics.metric import Metric
from xsiamese.metrics.recipe import Recipe
from xsiamese.pairs.batch import PairBatch
from xsiamese.result.explanation import PairExplanation


class Infidelity(Metric):
    r"""How far the change of the score under noise is from what the maps say (:cite:`yeh2019`); captum's.

    Only for maps of the inputs' own shape, from an explainer of tensors.

    Args:
        scale: of the normal noise.
        draws: for each pair.
        seed: of the noise.
    """

    name = "infidelity"
    formula = r"\mathbb{E}_I (I \cdot m - (s(x) - s(x - I)))^2"
    higher_is_better = False
    range = (0.0, float("inf"))
    kinds = frozenset({"image", "row", "series", "volume", "text"})
    needs = frozenset({"explainer"})
    reference = ("yeh2019",)

    def __init__(self, scale: float = 0.05, draws: int = 10, seed: int = 0) -> None:
        self.scale, self.draws, self.seed = scale, draws, seed

    def compute(self, batch: PairBatch, explanation: PairExplanation, **options: Any) -> Tensor:
        from captum.metrics import infidelity

        recipe: Recipe = options["explainer"]
        inputs, maps = _tensors(explanation, self.name)
        generator = torch.Generator().manual_seed(self.seed)

        def perturb(*leaves: Any) -> Any:
            given = leaves[0] if len(leaves) == 1 else leaves
            noise = tuple(self.scale * _noise(torch.randn, x, len(explanation), generator) for x in given)
            return noise, tuple(x - n for x, n in zip(given, noise, strict=True))

        with intact(batch.model), torch.no_grad():
            found: Tensor = infidelity(
                recipe.explainer.forward_func, perturb, inputs, maps, n_perturb_samples=self.draws
            )
        return found.double()


class MaxSensitivity(Metric):
    r"""How far the maps move under the worst of a few small changes of the inputs (:cite:`yeh2019`); captum's.

    Args:
        radius: of the uniform noise.
        draws: how many changes.
        seed: of the noise.
    """

    name = "max_sensitivity"
    formula = r"\max_{|\delta| \le r} |m(x + \delta) - m(x)| / |m(x)|"
    higher_is_better = False
    range = (0.0, float("inf"))
    kinds = frozenset({"image", "row", "series", "volume", "text"})
    needs = frozenset({"explainer"})
    reference = ("yeh2019",)

    def __init__(self, radius: float = 0.02, draws: int = 4, seed: int = 0) -> None:
        self.radius, self.draws, self.seed = radius, draws, seed

    def compute(self, batch: PairBatch, explanation: PairExplanation, **options: Any) -> Tensor:
        from captum.metrics import sensitivity_max

        recipe: Recipe = options["explainer"]
        inputs, _ = _tensors(explanation, self.name)
        generator = torch.Generator().manual_seed(self.seed)

        def perturb(given: Any, *_: Any) -> tuple[Tensor, ...]:
            pairs = len(explanation)
            return tuple(x + self.radius * (2 * _noise(torch.rand, x, pairs, generator) - 1) for x in given)

        def maps(given: Any) -> tuple[Tensor, ...]:
            found: tuple[Tensor, ...] = recipe.explain(given).maps
            return found

        found: Tensor = sensitivity_max(maps, inputs, perturb_func=perturb, n_perturb_samples=self.draws)
        return found.double()


def _noise(draw: Any, leaf: Tensor, pairs: int, generator: torch.Generator) -> Tensor:
    """Noise for captum's copies of each pair, pair by pair: every pair gets the same, whatever the batch."""
    drawn: Tensor = draw(len(leaf) // pairs, *leaf.shape[1:], generator=generator, dtype=leaf.dtype).to(leaf.device)
    return drawn.repeat(pairs, *[1] * (leaf.dim() - 1))


def _tensors(explanation: PairExplanation, who: str) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    for value, item in zip(explanation.maps, explanation.inputs, strict=True):
        if not isinstance(value, Tensor) or value.shape != getattr(item, "shape", None):
            raise ValueError(f"{who} takes maps of the inputs' own shape, and {explanation.method} gave others")
    return explanation.inputs, explanation.maps
