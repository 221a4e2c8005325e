"""The base of every class activation map: channels of a layer, weighted and summed, on both sides from one backward
pass.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor

from xsiamese.author import PairAttribution, PairBatch, as_grid


class Grid:
    """The places of a grid or of tokens: all dimensions after the channels."""

    def mean(self, tensor: Tensor) -> Tensor:
        """The mean over all places, with the dimensions kept."""
        return (
            tensor.flatten(2).mean(2).reshape(*tensor.shape[:2], *[1] * (tensor.dim() - 2))
            if tensor.dim() > 2
            else tensor
        )

    def total(self, tensor: Tensor) -> Tensor:
        """The sum over all places."""
        return self.mean(tensor) * tensor[0, 0].numel()


class Nodes:
    """The places of graphs: the nodes of each."""

    def __init__(self, pair_of: Tensor, rows: int, layer: list[str]) -> None:
        if rows != len(pair_of):
            raise ValueError(
                f"the output of layer {', '.join(layer)} has {rows} rows for {len(pair_of)} nodes: choose a layer "
                "before the readout"
            )
        self.pair_of = pair_of
        self.size = torch.bincount(pair_of)[pair_of, None]

    def mean(self, tensor: Tensor) -> Tensor:
        """The mean over the nodes of a graph, at each of its nodes."""
        return self.total(tensor) / self.size

    def total(self, tensor: Tensor) -> Tensor:
        """The sum over the nodes of a graph, at each of its nodes."""
        sums = tensor.new_zeros(int(self.pair_of[-1]) + 1, *tensor.shape[1:]).index_add(0, self.pair_of, tensor)
        return sums[self.pair_of]


Places = Grid | Nodes


class PairCAM(PairAttribution):
    r"""A map :math:`\sum_k w_k A_k` of a layer with channels :math:`A_k`, for each side from its own activations and
    gradients.

    Maps have the shape (pairs, 1, h, w) of the layer's grid, or (pairs, 1, tokens), or (nodes, 1) as the node mask of
    graphs; :meth:`PairExplanation.upsample
    <xsiamese.PairExplanation.upsample>` brings them to the image. They are signed: no ReLU unless ``relu=True``.
    A list of layers gives a tuple of maps for each side, all from one pass.
    """

    modalities: ClassVar[frozenset[str]] = frozenset({"image", "graph"})
    known_parts: ClassVar[tuple[str, ...]] = ("nodes",)
    needs_layer: ClassVar[bool] = True

    def compute(self, batch: PairBatch, *, relu: bool = False) -> tuple[Any, Any]:
        """The maps.

        Args:
            batch: the pairs.
            relu: keeps only what pulls together.
        """
        both = batch.one_sided("both")
        with both.record(self.layer) as recording:
            value = both.value()
        gradients = recording.gradients(value, both.create_graph) if self.uses_gradients else recording.activations
        sides: tuple[list[Tensor], list[Tensor]] = ([], [])
        for activations, gradient in zip(recording.activations, gradients, strict=True):
            for side in (0, 1):
                item = (batch.a, batch.b)[side]
                activation, slope = as_grid(activations[side], self.layout), as_grid(gradient[side], self.layout)
                places = (
                    Nodes(item.layer_pairs, len(activation), batch.layer_names(self.layer))
                    if item.modality == "graph"
                    else Grid()
                )
                found = (
                    self.combine(activation, slope, places)
                    if side in batch.objective.moving
                    else torch.zeros_like(activation[:, :1])
                )
                sides[side].append(found.relu() if relu else found)
        first, second = sides
        return (first[0], second[0]) if len(first) == 1 else (tuple(first), tuple(second))

    @abstractmethod
    def combine(self, activation: Tensor, gradient: Tensor, places: Places) -> Tensor:
        """The map (pairs, 1, ...) of one side from its activation and the score's gradient, both (pairs, channels,
        ...); ``places`` knows their means.

        For graphs these are (nodes, 1) and (nodes, channels).
        """


class PairBlackBoxCAM(PairCAM):
    """A map whose channel weights come from asking the model again, for each pair and each channel."""

    modalities: ClassVar[frozenset[str]] = frozenset({"image"})
    uses_gradients: ClassVar[bool] = False
    chunk: ClassVar[int | None] = 1
    rows: ClassVar[int] = 32

    def compute(self, batch: PairBatch, *, relu: bool = False) -> tuple[Any, Any]:
        both = batch.one_sided("both")
        with both.record(self.layer) as recording, torch.no_grad():
            value = both.value()
        if len(recording.layers) != 1:
            raise ValueError(f"{type(self).__name__} takes one layer, not {len(recording.layers)}")
        maps = []
        for side in (0, 1):
            raw = recording.activations[0][side].detach()
            activation = as_grid(raw, self.layout)
            weights = (
                self.weigh(batch, side, raw, activation, value)
                if side in batch.objective.moving
                else activation.new_zeros(activation.shape[1])
            )
            found = torch.einsum("k,nk...->n...", weights.to(activation.dtype), activation)[:, None]
            maps.append(found.relu() if relu else found)
        return maps[0], maps[1]

    def combine(self, activation: Tensor, gradient: Tensor, places: Places) -> Tensor:
        return activation * gradient

    @abstractmethod
    def weigh(self, batch: PairBatch, side: int, raw: Tensor, activation: Tensor, value: Tensor) -> Tensor:
        """The weight of each channel of one side, shape (channels,).

        ``raw`` is the layer's output as it is, ``activation`` as (1, channels, ...), ``value`` the score explained.
        """
