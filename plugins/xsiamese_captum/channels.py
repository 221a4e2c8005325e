"""The channels of a layer, and what its methods need of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from xsiamese.author import Layer, Maps, PairBatch, SideLayout


def check_channels(batch: PairBatch, layer: Layer, layout: SideLayout, who: str) -> dict[int, tuple[int, ...]]:
    """Refuses a layer whose channels are not its dimension 1, for captum's Grad-CAM takes them for just that.

    Returns:
        How the places of the layer's output lie, of each side that moves.

    Raises:
        ValueError: if it gives tokens, or cells with channels last.
    """
    plans = {} if batch.plans is None else batch.plans
    seen = (batch.wrt, *(side.kind for side in batch.sides), *(leaf.shape[1:] for leaf in batch.leaves))
    key = ("channels first", str(layer), *seen)
    if key in plans:  # a pass of one pair, for the first part of the first call only
        known: dict[int, tuple[int, ...]] = plans[key]
        return known
    sizes: dict[int, tuple[int, ...]] = {}
    one = next(batch.split(1))
    with one.record(layer) as recording, torch.no_grad():
        one.value()
    for modules, outputs in zip(recording.layers, recording.activations, strict=True):
        for side in one.objective.moving:
            output = outputs[side]
            sizes[side] = tuple(output.shape[2:])
            if batch.sides[side].kind == "graph" or output.dim() < 3:
                continue
            channel = batch.places(side, output, modules[side], layout).channel
            if channel != 1:
                raise ValueError(
                    f"{who} reads dimension 1 of a layer's output as its channels, and here, {tuple(output.shape)}, "
                    f"dimension {channel} holds them: PairGradCAM and its family know tokens and channels last"
                )
    plans[key] = sizes
    return sizes


def without_padding(batch: PairBatch, maps: Maps, sizes: Mapping[int, tuple[int, ...]]) -> Maps:
    """Maps of captum's Grad-CAM, which averages over all places of a layer, as if there were none of padding.

    Args:
        batch: the pairs.
        maps: of the inputs.
        sizes: how the layer's places lie, as :func:`check_channels` gives them.
    """

    def scaled(side: int, found: Any) -> Any:
        if isinstance(found, tuple):
            return tuple(scaled(side, one) for one in found)
        if isinstance(found, Mapping):
            return {key: scaled(side, one) for key, one in found.items()}
        size = sizes.get(side, ())
        if len(size) != 1 or found.dim() != 3:
            return found
        ones = found.new_ones(batch.pairs, 1, *size)
        places = batch.places(side, ones)
        own = places.real(found) if found.shape[2:] == size else found
        return own * size[0] / places.total(ones)  # which is how many are no padding

    return scaled(0, maps[0]), scaled(1, maps[1])
