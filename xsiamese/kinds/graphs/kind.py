"""Graphs as a kind of input. torch_geometric is imported when the first one is seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from xsiamese.kinds.kind import Kind, Packed
from xsiamese.kinds.places import Nodes, Places
from xsiamese.kinds.side import Side


class Graphs(Kind):
    """Graphs of ``torch_geometric``: ``Data`` of one, or a ``Batch`` of one graph a pair."""

    name = "graph"

    def side(self, item: Any, name: str, *, asked: bool = False) -> Side | None:
        if not is_graph(item):
            return None
        from xsiamese.kinds.graphs.side import graph_side

        return graph_side(item, name)

    def places(self, activation: Tensor, side: Side, module: nn.Module | None = None) -> Places:
        pair_of = side.layer_pairs
        if len(activation) != len(pair_of):
            raise ValueError(
                f"the output of the layer has {len(activation)} rows for {len(pair_of)} nodes: choose a layer before "
                "the readout"
            )
        return Nodes(pair_of=pair_of)

    def two(self, inputs: Any) -> tuple[Any, Any] | None:
        if not is_graph(inputs):
            return None
        from xsiamese.kinds.graphs.side import two_graphs

        return two_graphs(inputs)

    def joined(self, inputs: Any) -> Callable[[Any, Any], Any] | None:
        if not is_graph(inputs):
            return None
        from xsiamese.kinds.graphs.side import joined_graphs

        return joined_graphs(inputs)

    def count(self, item: Any) -> int:
        return 1 if item.get("batch") is None else int(item.batch.max()) + 1

    def take(self, item: Any, which: Tensor) -> Any:
        from xsiamese.kinds.graphs.structure import some_graphs

        return some_graphs(item, which)

    def cells(self, found: Any) -> Sequence[Tensor]:
        """The values of the nodes of each graph, their features summed."""
        if found.get("node_mask") is None:
            raise ValueError("top() of graphs names nodes: this explanation has none; explain the nodes")
        values, batch = found.node_mask.flatten(1).sum(1), found.get("batch")
        sizes = [len(values)] if batch is None else torch.bincount(batch).tolist()
        return list(torch.split(values, sizes))

    def pack(self, item: Any) -> Packed:
        return {key: value for key, value in item.to_dict().items() if isinstance(value, Tensor)}, type(item).__name__

    def unpack(self, tensors: Mapping[str, Tensor], about: Any) -> Any:
        from xsiamese.kinds.graphs.structure import graph_of

        return graph_of(about, dict(tensors))


def is_graph(item: Any) -> bool:
    """Whether an object is one of torch_geometric's graphs, which can be told without importing it."""
    return any(cls.__module__.startswith("torch_geometric.") for cls in type(item).__mro__)
