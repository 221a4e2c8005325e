"""The base of every class activation map: channels of a layer, weighted and summed, on both sides from one backward
pass.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from xsiamese.author import Found, PairAttribution, PairBatch, Places, softened, wide


class PairCAM(PairAttribution):
    r"""A map :math:`\sum_k w_k A_k` of a layer with channels :math:`A_k`, for each side from its own activations and
    gradients.

    Maps have the shape (pairs, 1, h, w) of the layer's grid, (pairs, 1, times) of a series, (pairs, 1, d, h, w) of a
    volume, (pairs, 1, tokens), or (nodes, 1) as the node mask of graphs; :meth:`PairExplanation.upsample
    <xsiamese.PairExplanation.upsample>` brings them to the image. They are signed: no ReLU unless ``relu=True``.
    ``soften=True`` lets neighbouring places share their values, see :meth:`compute`.
    A list of layers gives a tuple of maps for each side, all from one pass.
    """

    modalities: ClassVar[frozenset[str]] = frozenset({"image", "row", "series", "volume", "text", "graph"})
    known_parts: ClassVar[tuple[str, ...]] = ("nodes",)
    needs_layer: ClassVar[bool] = True
    takes_baselines: ClassVar[bool] = False
    products: ClassVar[bool] = False
    """Whether a map is the sum over channels of gradient times activation, which may cancel."""

    def compute(self, batch: PairBatch, *, relu: bool = False, soften: bool = False) -> tuple[Any, Any] | Found:
        """The maps.

        Args:
            batch: the pairs.
            relu: keeps only what pulls together.
            soften: neighbouring places of a grid share their values, 1 : 2 : 1 along each dimension. A layer's places
                overlap in what they see, and the one that reacts most often lies beside the thing.
        """
        both = batch.one_sided("both")
        with both.record(self.layer) as recording:
            value = both.value()
        gradients = recording.gradients(value, both.create_graph) if self.uses_gradients else recording.activations
        sides: tuple[list[Tensor], list[Tensor]] = ([], [])
        for layers, activations, gradient in zip(recording.layers, recording.activations, gradients, strict=True):
            batch.check_rows(self.layer, activations)
            for side in (0, 1):
                places = batch.places(side, activations[side], layers[side], self.layout)
                # weights are sums and powers of gradients: in half precision they vanish, or are all rounding
                activation, slope = (wide(places.real(places.first(one[side]))) for one in (activations, gradient))
                if self.products and side in batch.objective.moving:
                    batch.tell_cancelled(side, activation * slope, recording.names)
                found = (
                    self.combine(activation, slope, places)
                    if side in batch.objective.moving
                    else torch.zeros_like(activation[:, :1])
                )
                sides[side].append(finished(batch, side, found, relu, soften))
        first, second = (self.of_layers(side, recording.calls_a_side) for side in sides)
        return (first[0], second[0]) if len(first) == 1 else (tuple(first), tuple(second))

    @abstractmethod
    def combine(self, activation: Tensor, gradient: Tensor, places: Places) -> Tensor:
        """The map (pairs, 1, ...) of one side from its activation and the score's gradient, both (pairs, channels,
        ...); ``places`` knows their means.

        For graphs these are (nodes, 1) and (nodes, channels).
        """


class PairBlackBoxCAM(PairCAM):
    """A map whose channel weights come from asking the model again, for each pair and each channel."""

    modalities: ClassVar[frozenset[str]] = frozenset({"image", "row", "series", "volume", "text"})
    uses_gradients: ClassVar[bool] = False
    chunk: ClassVar[int | None] = 1
    rows: ClassVar[int] = 32

    def compute(self, batch: PairBatch, *, relu: bool = False, soften: bool = False) -> tuple[Any, Any]:
        return self.weighed(batch, relu, soften)

    def weighed(
        self, batch: PairBatch, relu: bool, soften: bool, scale: Callable[[Tensor], Tensor] | None = None
    ) -> tuple[Any, Any]:
        """The maps of one pair; ``scale`` makes channel weights of what :meth:`weigh` gives for each side."""
        both = batch.one_sided("both")
        with both.record(self.layer) as recording, torch.no_grad():
            value = both.value()
        if len(recording.layers) != 1:
            raise ValueError(f"{type(self).__name__} takes one layer, called once a side, not {len(recording.layers)}")
        batch.check_rows(self.layer, recording.activations[0])
        maps = []
        for side in (0, 1):
            raw = recording.activations[0][side].detach()
            places = batch.places(side, raw, recording.layers[0][side], self.layout)
            activation = wide(places.real(places.first(raw)))
            if side in batch.objective.moving:
                weights = self.weigh(batch, side, raw, activation=activation, value=value, places=places)
                weights = weights if scale is None else scale(weights)
            else:
                weights = activation.new_zeros(activation.shape[1])
            found = torch.einsum("k,nk...->n...", weights.to(activation.dtype), activation)[:, None]
            maps.append(finished(batch, side, found, relu, soften))
        return maps[0], maps[1]

    def combine(self, activation: Tensor, gradient: Tensor, places: Places) -> Tensor:
        return activation * gradient

    @abstractmethod
    def weigh(
        self, batch: PairBatch, side: int, raw: Tensor, *, activation: Tensor, value: Tensor, places: Places
    ) -> Tensor:
        """The weight of each channel of one side, shape (channels,).

        ``raw`` is the layer's output as it is, ``activation`` as (1, channels, ...), ``value`` the score explained;
        ``places`` knows which dimension of ``raw`` holds the channels.
        """


def finished(batch: PairBatch, side: int, found: Tensor, relu: bool, soften: bool) -> Tensor:
    """A map as the options want it."""
    found = softened(found, batch.sides[side].kind) if soften else found
    return found.relu() if relu else found
