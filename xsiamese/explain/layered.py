"""What an explainer knows of the layers that it explains on: their names, and what becomes of several calls of one."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Literal

import torch
from torch import Tensor

from xsiamese.branches.layers import Layer
from xsiamese.branches.layout import SideLayout, lies_as
from xsiamese.explain.traits import Declared
from xsiamese.pairs.batch import PairBatch


class Layered(Declared):
    """An explainer of the inputs, or of the output of layers."""

    layer: Layer
    layout: SideLayout
    calls: Literal["sum", "all"] | None
    detach_norms: bool

    @property
    def of_layer(self) -> bool:
        """Whether the maps are of a layer's output."""
        return self.needs_layer

    def layer_names(self, batch: PairBatch) -> list[str]:
        """The names of the layers that a batch is explained on, [] for an explainer without any."""
        some = next(
            batch.split(batch.rows or batch.pairs)
        )  # as many as are explained at once: more may not be in order
        return some.layer_names(self.layer) if self.of_layer else []

    def of_calls(self, maps: Sequence[Any]) -> Any:
        """The map of a layer on one side, from one of each of its calls there: see ``calls``."""
        if len(maps) == 1 or self.calls == "all":
            return maps[0] if len(maps) == 1 else tuple(maps)
        if self.calls is None:
            warnings.warn(
                f"the layer is called {len(maps)} times a side, and its maps are added: right where all calls see the "
                "item as it lies (calls='sum'); for turned or cut views calls='all' gives each",
                stacklevel=2,
            )
        return torch.stack(list(maps)).sum(0)

    def of_layers(self, maps: Sequence[Any], calls_a_side: Sequence[int]) -> list[Any]:
        """The maps of several layers on one side, from one of each call of each of them."""
        rest = iter(maps)
        return [self.of_calls([next(rest) for _ in range(calls)]) for calls in calls_a_side]

    def cells_told(self, batch: PairBatch, maps: Any) -> dict[str, Any]:
        """How the maps of a layer lie over images and volumes where they are tokens or have their channels last, for
        views of them; the maps themselves stay the layer's.
        """
        if not self.of_layer or isinstance(self.layer, list) or maps is None:
            return {}
        found: list[Any] = [None, None]
        for side in batch.moving:
            value, item = maps[side], batch.sides[side].leaves[0]
            raw = isinstance(value, Tensor) and (value.dim() == 3 or (value.dim() == item.dim() and len(value[0]) > 1))
            if raw and item.dim() > 3 and item.is_floating_point():
                with suppress(ValueError, LookupError):  # what has no layout is refused where places are asked for
                    found[side] = lies_as(batch.layout(self.layer, side, value[:1], self.layout), value)
        return {"cells": found} if any(found) else {}

    def layers_told(self, batch: PairBatch) -> dict[str, Any]:
        """The layers that a batch is explained on, one line on one that was taken because the user named none, and
        whether norms are constants.
        """
        some = next(batch.split(batch.rows or batch.pairs))
        line = some.layer_note(self.layer) if self.of_layer else None
        told = {"layer": self.layer_names(batch) or None, **({"taken": line} if line else {})}
        return told | ({"detach_norms": True} if self.detach_norms else {})
