"""Factual and counterfactual maps: the evidence for the decision and the evidence against it, on both images."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from xsiamese.author import Found, PairBatch, PairExplanation
from xsiamese_counterfactual.decision import DecisionExplainer

Form = Literal["signed", "livieris"]


class DecisionMaps(PairExplanation):
    """Signed maps with what speaks for the decision (:attr:`factual`) and against it (:attr:`counterfactual`)."""

    @property
    def alike(self) -> tuple[bool, ...]:
        """Which pairs the model calls alike, () where no threshold is known."""
        return tuple(bool(one) for one in self.columns.get("alike", ()))

    @property
    def form(self) -> str:
        """ "signed", or "livieris"."""
        return str(self.parameters.get("form", "signed"))

    @property
    def factual(self) -> tuple[Tensor, Tensor]:
        """What speaks for the decision, of a and of b. It is positive where it pulls together, negative where it pushes
        apart.
        """
        return self._part(True)

    @property
    def counterfactual(self) -> tuple[Tensor, Tensor]:
        """What speaks against the decision, of a and of b."""
        return self._part(False)

    def _part(self, factual: bool) -> tuple[Tensor, Tensor]:
        if self.form == "livieris":
            return self._published(self.maps[0], factual), self._published(self.maps[1], factual)
        keep = torch.tensor(self.alike) == factual  # which pairs show what pulls together
        first, second = (
            torch.where(keep.to(m.device).reshape(-1, *[1] * (m.dim() - 1)), m.clamp(min=0), m.clamp(max=0))
            for m in self.maps
        )
        return first, second

    def _published(self, closeness: Tensor, factual: bool) -> Tensor:
        """relu of the map of D = -closeness, or of 1 - D, over its maximum."""
        heat = (-closeness if factual else closeness).relu()
        top = heat.flatten(1).max(1).values.reshape(-1, *[1] * (heat.dim() - 1))
        if not bool((top > 0).all()):
            warnings.warn(
                f"the {'factual' if factual else 'counterfactual'} map of {int((top == 0).sum())} pair(s) is zero: "
                "shown as zeros",
                stacklevel=4,
            )
        return heat / torch.where(top > 0, top, 1)

    def plot(self, pair: int | None = None, **options: Any) -> Any:
        """Both images with both maps each; ``preprocessing=`` turns inputs back into pixels."""
        from xsiamese_counterfactual.drawing import draw_maps

        return draw_maps(self if pair is None else self[pair], **options)


class PairCounterfactualMaps(DecisionExplainer):
    r"""Factual and counterfactual Grad-CAM: what speaks for the decision on a pair, and what speaks against it, on both
    images.

    :meth:`attribute` gives the signed map of closeness, each side from its own activations and its own gradients.
    :meth:`explain` splits it by the decision: on a pair called alike what pulls together is factual and what pushes
    apart is counterfactual; on a pair called different it is the other way round. The two parts add up to the whole
    map.

    ``explain(..., form="livieris")`` gives the maps of Livieris et al. 2023: with the distance d and :math:`D = \min(d,
    1)` the factual map is :math:`\mathrm{relu}` of Grad-CAM on D, the counterfactual one :math:`\mathrm{relu}` of
    Grad-CAM on 1 - D, each divided by its maximum. The published code gives the second image the first one's gradients,
    and divides 0 by 0 where d exceeds 1; here each branch has its own gradients, and d is not clamped.

    Args:
        threshold: where the decision turns, in the units of the unclamped score; None takes the comparison's calibrated
            one.

    Example:
        >>> from xsiamese import PairCounterfactualMaps, SiameseModel
        >>> from torch import nn
        >>> encoder = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> maps = PairCounterfactualMaps(SiameseModel(encoder, "euclidean"), layer="1", threshold=0.5)
        >>> found = maps.explain((torch.rand(2, 1, 8, 8), torch.rand(2, 1, 8, 8)))
        >>> torch.equal(found.factual[0] + found.counterfactual[0], found.maps[0])
        True
    """

    name = "counterfactual_maps"
    formula = (
        r"M = \sum_k \Big(\tfrac{1}{hw} \sum_{ij} \frac{\partial s}{\partial A_{kij}}\Big) A_k, \quad M = M^{+} + M^{-}"
    )
    reference = ("livieris2023", "selvaraju2017")
    modalities: ClassVar[frozenset[str]] = frozenset({"image"})
    result: ClassVar[type[PairExplanation]] = DecisionMaps
    needs_layer: ClassVar[bool] = True
    takes_target: ClassVar[bool] = False
    takes_baselines: ClassVar[bool] = False

    def compute(self, batch: PairBatch, *, form: Form = "signed") -> Found:
        """The signed maps of closeness, (pairs, 1, h, w) or (pairs, 1, tokens), and which pairs are called alike.

        Args:
            batch: the pairs.
            form: "signed", or "livieris" as published (needs a distance, and no threshold).

        Raises:
            ValueError: if no threshold is known, or the published form is asked for of a similarity.
        """
        both = batch.one_sided("both")
        with both.record(self.layer) as recording:
            value = both.value()
        if len(recording.layers) != 1:
            raise ValueError(f"{type(self).__name__} takes one layer, called once a side, not {len(recording.layers)}")
        activations, gradients = recording.activations[0], recording.gradients(value, both.create_graph)[0]
        batch.check_rows(self.layer, activations)
        maps = []
        for side in (0, 1):
            places = batch.places(side, activations[side], recording.layers[0][side], self.layout)
            activation, slope = places.first(activations[side]), places.first(gradients[side])
            weight = (
                slope.flatten(2).mean(2).reshape(*slope.shape[:2], *[1] * (slope.dim() - 2))
                if slope.dim() > 2
                else slope
            )
            maps.append((weight * activation).sum(1, keepdim=True) * (side in batch.objective.moving))
        threshold = self.known_threshold()
        columns = {} if threshold is None else {"alike": self.decision().alike(value.detach())}
        return Found((maps[0], maps[1]), value.detach(), columns)

    def check(self, options: Mapping[str, Any], *, explaining: bool) -> None:
        """Refuses the published form of a similarity, and parts for and against a decision without a threshold."""
        if options.get("form") == "livieris":
            if self.model.higher_is_closer:
                raise ValueError(
                    "form='livieris' is about a distance D and 1 - D, and this model's score is a similarity: use "
                    "form='signed'"
                )
        elif explaining:
            self.decision()
