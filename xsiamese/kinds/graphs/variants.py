"""Graphs without some of their nodes and edges: many variants of one graph as a single batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from xsiamese.kinds.graphs.attributes import dimension, keep_cuts
from xsiamese.kinds.side import Side

if TYPE_CHECKING:
    from torch_geometric.data import Batch, Data

Removed = tuple[Tensor, Tensor]  # nodes and edges, a row for each variant


class Variants:
    """One graph, and copies of it that lack some of its parts.

    An undirected edge is one part, though it has two entries in ``edge_index``; so are parallel edges. A graph counts
    as undirected if every entry has its reverse.

    Args:
        graph: a single ``torch_geometric.data.Data``.
        name: how errors call it.
        roles: what attributes have a row for, "nodes", "edges" or "graphs", where more is known than this one graph
            tells; PyG's own word (``is_node_attr``, ``is_edge_attr``) for the others.

    Attributes:
        nodes: how many nodes there are.
        ends: the two nodes of each edge, shape (edges, 2).
        edge_of: the edge that each entry of ``edge_index`` belongs to, shape (entries,).

    Raises:
        TypeError: if it is no ``Data``, or heterogeneous.
        ValueError: if it has no ``edge_index``, or an edge points outside.

    Example:
        >>> from torch_geometric.data import Data
        >>> path = Data(x=torch.eye(3), edge_index=torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]]))
        >>> parts = Variants(path)
        >>> parts.ends.tolist()
        [[0, 1], [1, 2]]
        >>> two = parts.without(edges=torch.eye(2, dtype=torch.bool))
        >>> two.num_graphs, two.edge_index.tolist()
        (2, [[1, 2, 3, 4], [2, 1, 4, 3]])
    """

    def __init__(self, graph: Data, name: str = "the graph", roles: Mapping[str, str] | None = None) -> None:
        from torch_geometric.data import Batch, Data

        if not isinstance(graph, Data) or isinstance(graph, Batch):
            raise TypeError(f"{name} is a {type(graph).__name__}: a single torch_geometric.data.Data is needed")
        if not isinstance(graph.edge_index, Tensor):
            raise ValueError(
                f"{name} has no edge_index, so it has no edges to take away; a graph without edges has one of shape "
                "(2, 0)"
            )
        self.graph, self.nodes, self._roles = graph, int(graph.num_nodes or 0), dict(roles or {})
        start, end = graph.edge_index
        if start.numel() and not 0 <= int(graph.edge_index.min()) <= int(graph.edge_index.max()) < self.nodes:
            raise ValueError(
                f"edge_index of {name} points at node {int(graph.edge_index.max())} of {self.nodes}: an edge ends "
                "outside the graph"
            )
        foreign = [
            key
            for key, value in graph
            if key != "edge_index" and isinstance(value, Tensor) and bool(graph.__inc__(key, value))
        ]
        if foreign:
            raise ValueError(
                f"{name} holds node numbers in {', '.join(foreign)} besides edge_index: leave them out before parts "
                "are deleted"
            )
        forward = start * self.nodes + end
        undirected = bool(torch.isin(end * self.nodes + start, forward).all())
        # an edge's key is its two ends as one number; of an undirected one the smaller end comes first
        key = torch.minimum(start, end) * self.nodes + torch.maximum(start, end) if undirected else forward
        edges, self.edge_of = torch.unique(key, return_inverse=True)
        self.ends = torch.stack([edges // max(self.nodes, 1), edges % max(self.nodes, 1)], 1)

    def incidence(self) -> Tensor:
        """Which edges each node has, shape (nodes, edges), boolean."""
        found = torch.zeros(self.nodes, len(self.ends), dtype=torch.bool, device=self.ends.device)
        for end in self.ends.T:
            found[end, torch.arange(len(end), device=end.device)] = True
        return found

    def none(self, variants: int) -> Removed:
        """The nodes and edges of variants that lack nothing yet, for :meth:`without`."""
        nodes, edges = (
            torch.zeros(variants, size, dtype=torch.bool, device=self.ends.device)
            for size in (self.nodes, len(self.ends))
        )
        return nodes, edges

    def on(self, side: Side, nodes: Tensor, edges: Tensor) -> list[Tensor]:
        """Values of nodes and edges as the maps that a side asks for, their sum kept.

        Where only nodes are asked for, an edge's value is shared by its ends, where only edges are, a node's by its
        edges. Both entries of an undirected edge have half of its value.

        Args:
            side: the side whose one graph this is.
            nodes: shape (nodes,).
            edges: shape (edges,).

        Raises:
            ValueError: if something else than nodes and edges is asked for.
        """
        asked = tuple(getattr(side, "parts", ()))
        if not asked or set(asked) - {"nodes", "edges"}:
            raise ValueError(f"parts={asked}: nodes and edges can be taken away, so these can be explained")
        incidence = self.incidence().to(nodes.dtype)
        if "edges" not in asked:
            nodes, edges = nodes + incidence @ (edges / incidence.sum(0).clamp_min(1)), torch.zeros_like(edges)
        if "nodes" not in asked:
            edges = edges + (nodes / incidence.sum(1).clamp_min(1)) @ incidence
        entries = edges / torch.bincount(self.edge_of, minlength=len(self.ends)).clamp_min(1)
        return [nodes[:, None] if part == "nodes" else entries[self.edge_of] for part in asked]

    def without(self, nodes: Tensor | None = None, edges: Tensor | None = None) -> Batch:
        """A batch with one variant for each row.

        Args:
            nodes: the nodes to leave out, with all their edges, shape (variants, nodes), boolean; None leaves out none.
            edges: the edges to leave out, shape (variants, edges), boolean.
        """
        from torch_geometric.data import Batch

        count = len(nodes if nodes is not None else edges if edges is not None else (0,))
        start, end = self.graph.edge_index
        kept = torch.ones(count, self.nodes, dtype=torch.bool, device=start.device) if nodes is None else ~nodes
        entries = kept[:, start] & kept[:, end]
        if edges is not None:
            entries &= ~edges[:, self.edge_of]
        # a kept node's new number: how many are kept before it, in all variants
        number = (kept.flatten().cumsum(0) - 1).reshape(kept.shape)
        slices = {
            "nodes": _cumulated(kept),
            "entries": _cumulated(entries),
            "graphs": torch.arange(count + 1, device=start.device),
        }
        made: dict[str, Any] = {}
        which: dict[str, Tensor] = {}
        for key, value in self.graph:
            if key == "edge_index":
                made[key], which[key] = (
                    torch.stack([number[:, start][entries], number[:, end][entries]]),
                    slices["entries"],
                )
            elif key == "num_nodes":
                made[key] = int(kept.sum())
            elif not isinstance(value, Tensor):
                made[key], which[key] = [value] * count, slices["graphs"]
            else:
                made[key], which[key] = self._kept(key, value, kept, entries, slices)
        batch: Any = Batch(_base_cls=type(self.graph), **made)
        batch.ptr = slices["nodes"]
        batch.batch = torch.repeat_interleave(slices["graphs"][:-1], kept.sum(1))
        kept_cuts: Batch = keep_cuts(batch, which, {"edge_index": batch.ptr[:-1]})
        return kept_cuts

    def _kept(
        self, key: str, value: Tensor, kept: Tensor, entries: Tensor, slices: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """What is left of an attribute in all variants, and where each variant's part begins."""
        along = dimension(self.graph, key, value) if value.dim() else None
        if along is None:  # PyG stacks these
            return value.expand(len(kept), *value.shape), slices["graphs"]
        rows = value.movedim(along, 0)
        everywhere = rows.expand(len(kept), *rows.shape)
        role = self._roles.get(key)
        if role == "nodes" or (role is None and self.graph.is_node_attr(key)):
            found, starts = everywhere[kept], slices["nodes"]
        elif role == "edges" or (role is None and self.graph.is_edge_attr(key)):
            found, starts = everywhere[entries], slices["entries"]
        else:
            found, starts = everywhere.flatten(0, 1), slices["graphs"] * len(rows)
        return found.movedim(0, along), starts


def of_side(side: Side, name: str) -> Variants:
    """The one graph of a side of a single pair.

    Raises:
        TypeError: if the side holds no graph.
    """
    item = side.rebuild(side.leaves)
    if not hasattr(item, "to_data_list"):
        raise TypeError(
            f"input {name} is a {type(item).__name__}: parts are deleted from graphs, give a torch_geometric Batch"
        )
    roles = {key: cut.role for key, cut in getattr(item, "_cuts", {}).items()}
    return Variants(item.to_data_list()[0], f"input {name}", roles)


def _cumulated(kept: Tensor) -> Tensor:
    return torch.cat([kept.new_zeros(1, dtype=torch.long), kept.sum(1).cumsum(0)])
