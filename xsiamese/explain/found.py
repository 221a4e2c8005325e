"""What an explainer found of one part of a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from xsiamese.explain.maps import Maps, join
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
    def joined(cls, parts: Sequence[Found], create_graph: bool) -> Found:
        """Those of several parts of a batch, one after the other."""
        maps = [part.maps for part in parts if part.maps is not None]
        values = [part.value for part in parts if part.value is not None]
        return cls(
            maps=join(maps, create_graph) if len(maps) == len(parts) else None,
            value=torch.cat(values) if len(values) == len(parts) else None,
            columns=columns.joined([part.columns for part in parts]),
        )
