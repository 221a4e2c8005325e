"""What an explainer found of one part of a batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xsiamese.door.arguments import shown
from xsiamese.explain.maps import Maps, join
from xsiamese.kinds.side import SIDES
from xsiamese.result import columns
from xsiamese.result.columns import Column


@dataclass(frozen=True, eq=False)
class Found:
    """What :meth:`PairAttribution.compute <xsiamese.PairAttribution.compute>` may return instead of a bare pair of
    maps.

    Attributes:
        maps: the map of a and the map of b, or None for a method that gives no maps.
        value: the value explained of each pair, shape (pairs,), where the method has it anyway: it saves a pass.
        columns: all else, by name, one entry a pair: see :mod:`xsiamese.result.columns`.

    Example:
        >>> found = Found(columns={"matrix": torch.eye(2)[None]})
        >>> found.maps is None, found.columns["matrix"].shape
        (True, torch.Size([1, 2, 2]))
    """

    maps: Maps | None = None
    value: Tensor | None = None
    columns: Mapping[str, Column] = field(default_factory=dict)

    @classmethod
    def of(cls, made: Any, who: str, pairs: int, *, ragged: tuple[bool, bool], layered: bool) -> Found:
        """What ``compute`` returned, checked.

        Args:
            made: two maps, or what was found.
            who: the explainer.
            pairs: how many it was given.
            ragged: whether the rows of each side are no pairs, as those of graphs.
            layered: whether maps are of a layer, whose rows may be several a pair, as windows are.

        Raises:
            TypeError: if it is no two maps of tensors.
            ValueError: if a row of a map, or of the value, is no pair.
        """
        found: Found = made if isinstance(made, Found) else cls(made)
        maps, value = found.maps, found.value
        if maps is None and isinstance(made, Found):
            return found._checked(who, value, pairs)
        if not isinstance(maps, (tuple, list)) or len(maps) != 2:
            many = f"a {type(maps).__name__} of {len(maps)}" if isinstance(maps, (tuple, list)) else shown(maps)
            raise TypeError(
                f"{who}.compute returned {many}: two maps are needed, (of a, of b), as batch.maps([...]) makes of one "
                "for each of batch.moved; or a Found"
            )
        for name, of_nodes, one in zip(SIDES, ragged, maps, strict=True):
            for tensor in _tensors(one):
                if not isinstance(tensor, Tensor):
                    raise TypeError(
                        f"{who}.compute returned {_a(tensor)} for the map of {name}: a tensor is needed"
                        + (", torch.from_numpy(...)" if isinstance(tensor, np.ndarray) else "")
                    )
                rows = len(tensor) if tensor.dim() else 0
                if not (of_nodes or (rows and layered and rows % pairs == 0) or rows == pairs):
                    raise ValueError(
                        f"{who}.compute returned a map of {name} of shape {tuple(tensor.shape)} for {pairs} pair"
                        f"{'s' if pairs > 1 else ''}: its first dimension must be that of the pairs"
                    )
        return replace(found, maps=(maps[0], maps[1]))._checked(who, value, pairs)

    def _checked(self, who: str, value: Any, pairs: int) -> Found:
        if value is not None and not (isinstance(value, Tensor) and tuple(value.shape) == (pairs,)):
            raise ValueError(f"{who}.compute found {_a(value)} as the value: a tensor of shape ({pairs},) is needed")
        return self

    @classmethod
    def joined(cls, parts: Sequence[Found], create_graph: bool) -> Found:
        """Those of several parts of a batch, one after the other."""
        maps = [part.maps for part in parts if part.maps is not None]
        values = [part.value for part in parts if part.value is not None]
        return cls(
            maps=join(maps, create_graph) if len(maps) == len(parts) else None,
            value=torch.cat(values) if len(values) == len(parts) else None,
            columns=columns.joined([part.columns for part in parts]),
        )


def _tensors(one: Any) -> Iterator[Any]:
    """What a map holds, whether it is one tensor, several, or some by name."""
    if isinstance(one, (tuple, list, Mapping)):
        for part in one.values() if isinstance(one, Mapping) else one:
            yield from _tensors(part)
    else:
        yield one


def _a(value: Any) -> str:
    """A tensor or an array by its shape, anything else by its type."""
    return shown(value) if hasattr(value, "shape") else f"a {type(value).__name__}"
