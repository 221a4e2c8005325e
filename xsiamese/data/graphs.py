"""Labelled graphs, kept as one disconnected graph, so that any batch of them is a few indexing operations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from xsiamese.data.pairs import ClassIndex, Pairs, Partners, Triplets
from xsiamese.data.targets import CloseIndex
from xsiamese.kinds.graphs.attributes import keep_cuts

try:
    from torch_geometric.data import Batch, Data
except ImportError as error:
    raise ImportError('graphs need PyTorch Geometric: pip install "xsiamese[graph]"') from error


@dataclass(frozen=True)
class LabelledGraphs:
    """Graphs with a class each, or with a known similarity of each two.

    Attributes:
        x: features of all nodes, graph after graph, shape (all nodes, features).
        edge_index: all directed edges, graph after graph, numbered within their graph, shape (2, all edges).
        nodes, edges: where the nodes and the edges of each graph begin, and the end of the last; shape (graphs + 1,).
        labels: the index of each graph's class, shape (graphs,).
        classes: the names of the classes.
        edge_weight: shape (all edges,), or None.
        edge_attr: shape (all edges, attributes), or None.
        alike: how alike any two graphs are, in [0, 1], shape (known graphs, known graphs); NaN where it is not known;
            or None.
        known: which row of ``alike`` each graph is, shape (graphs,); or None.
        numbers: the target itself where it is a number, shape (graphs,); two graphs are the same where theirs differ by
            at most ``width``.
        names: of the graphs: files, SMILES; may be empty.
        skipped: what could not be read, each with the reason.

    Example:
        >>> path = Data(x=torch.eye(3), edge_index=torch.tensor([[0, 1], [1, 2]]))
        >>> dot = Data(x=torch.ones(1, 3), edge_index=torch.empty(2, 0, dtype=torch.long))
        >>> graphs = LabelledGraphs.of([path, dot], torch.tensor([0, 1]), ("path", "dot"))
        >>> graphs.gather(torch.tensor([1, 0, 0]))
        DataBatch(x=[7, 3], edge_index=[2, 4], batch=[7], ptr=[4])
    """

    x: Tensor
    edge_index: Tensor
    nodes: Tensor
    edges: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    edge_weight: Tensor | None = None
    edge_attr: Tensor | None = None
    alike: Tensor | None = None
    known: Tensor | None = None
    numbers: Tensor | None = None
    width: float = 0.0
    names: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not len(self.nodes) == len(self.edges) == len(self.labels) + 1:
            raise ValueError(f"{len(self.labels)} labels for {len(self.nodes) - 1} graphs: one each is needed")
        if not bool(torch.isfinite(self.x).all()):
            # the graph whose nodes end behind the first bad row
            bad = int(torch.bucketize((~torch.isfinite(self.x)).any(1).nonzero()[0], self.nodes[1:], right=True))
            raise ValueError(f"graph {self.names[bad] if self.names else bad} has features that are NaN or infinite")

    @classmethod
    def of(cls, graphs: Sequence[Data], labels: Tensor, classes: tuple[str, ...], **more: Any) -> LabelledGraphs:
        """From PyG graphs, all with the same attributes; those without features get a constant one."""
        if not graphs:
            raise ValueError("there are no graphs")
        whole = Batch.from_data_list([_plain(graph) for graph in graphs])
        edges = torch.tensor([0, *(graph.num_edges for graph in graphs)]).cumsum(0)
        # PyG numbers nodes through the batch: each edge less where its graph's nodes begin
        local = whole.edge_index - whole.ptr[:-1].repeat_interleave(edges.diff())
        return cls(
            whole.x,
            local,
            whole.ptr,
            edges,
            labels,
            classes,
            getattr(whole, "edge_weight", None),
            getattr(whole, "edge_attr", None),
            **more,
        )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def features(self) -> int:
        """The number of node features."""
        return self.x.shape[1]

    @property
    def sizes(self) -> Tensor:
        """The number of nodes of each graph, shape (graphs,)."""
        return self.nodes.diff()

    def take(self, index: Tensor | Sequence[int]) -> LabelledGraphs:
        """The graphs of these indices, in this order; the classes stay."""
        where = torch.as_tensor(index, dtype=torch.long)
        (node, nodes), (edge, edges) = _ranges(self.nodes, where), _ranges(self.edges, where)
        return replace(
            self,
            x=self.x[node],
            edge_index=self.edge_index[:, edge],
            nodes=nodes,
            edges=edges,
            labels=self.labels[where],
            edge_weight=_at(self.edge_weight, edge),
            edge_attr=_at(self.edge_attr, edge),
            known=_at(self.known, where),
            numbers=_at(self.numbers, where),
            names=tuple(self.names[i] for i in where.tolist()) if self.names else (),
        )

    def gather(self, index: Tensor) -> Batch:
        """The graphs of these indices as a PyG batch, without a loop over them."""
        (node, ptr), (edge, edges) = _ranges(self.nodes, index), _ranges(self.edges, index)
        sizes = ptr.diff()
        # nodes are kept by their number within the graph: each edge plus where its graph begins in this batch
        parts = {"x": self.x[node], "edge_index": self.edge_index[:, edge] + ptr[:-1].repeat_interleave(edges.diff())}
        parts |= {
            name: value[edge]
            for name, value in (("edge_weight", self.edge_weight), ("edge_attr", self.edge_attr))
            if value is not None
        }
        batch = Batch(**parts, batch=torch.arange(len(index)).repeat_interleave(sizes), ptr=ptr)
        starts = {name: ptr if name == "x" else edges for name in parts}
        whole: Batch = keep_cuts(batch, starts, {"edge_index": ptr[:-1]})
        return whole

    def partners(self) -> Partners:
        """Draws pairs of one class and of two, of close and of distant targets, or any pairs whose similarity is
        known.
        """
        if self.numbers is not None:
            return CloseIndex(self.numbers, self.width)
        if self.alike is None or self.known is None:
            return ClassIndex(self.labels, self.classes)
        return GradedPairs(self.alike[self.known][:, self.known])

    def fixed_pairs(self, count: int, seed: int = 0) -> Pairs:
        """Evaluation pairs, half of them the same, always the same ones for one seed."""
        generator = torch.Generator().manual_seed(seed)
        return self.partners().pairs(torch.randint(len(self), (count,), generator=generator), generator)


class GradedPairs:
    """Draws pairs of which it is known how alike they are.

    Args:
        alike: in [0, 1], shape (items, items), NaN where it is not known.

    Raises:
        ValueError: if no pair is known.

    Example:
        >>> graded = GradedPairs(torch.tensor([[1.0, 0.3], [0.3, 1.0]]))
        >>> graded.pairs(torch.arange(2), torch.Generator().manual_seed(0)).same.shape
        torch.Size([2])
    """

    def __init__(self, alike: Tensor) -> None:
        self.alike, self.chance = alike, torch.isfinite(alike).double()
        if not bool(self.chance.any()):
            raise ValueError(f"of the pairs of {len(alike)} graphs none is labelled by how alike they are")

    @property
    def paired(self) -> Tensor:
        """The items that are in a known pair."""
        return self.chance.any(1).nonzero().flatten()

    def pairs(self, anchors: Tensor, generator: torch.Generator) -> Pairs:
        """One known pair for each anchor, the partner drawn uniformly; the anchor itself is among them where it is
        known.
        """
        anchors = anchors[self.chance.any(1)[anchors]]
        partners = torch.multinomial(self.chance[anchors], 1, generator=generator)[:, 0]
        return Pairs(anchors, partners, self.alike[anchors, partners])

    def triplets(self, anchors: Tensor, generator: torch.Generator) -> Triplets:
        raise ValueError("pairs that are labelled by how alike they are have no triplets: a loss of pairs is needed")


def _plain(graph: Data) -> Data:
    """The parts of a graph that models here take."""
    x = torch.ones(graph.num_nodes or 0, 1) if graph.x is None else graph.x.float()
    kept = {name: graph[name].float() for name in ("edge_weight", "edge_attr") if graph.get(name) is not None}
    return Data(x=x, edge_index=graph.edge_index, **kept)


def _ranges(starts: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """The places from ``starts[i]`` to ``starts[i + 1]`` for each i of ``index``, after each other, and where each i
    begins among them.
    """
    counts = (starts[1:] - starts[:-1])[index]
    begins = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    # a running number, moved for each range from where it begins here to where it begins in the whole
    return torch.arange(int(begins[-1])) + (starts[index] - begins[:-1]).repeat_interleave(counts), begins


def _at(values: Tensor | None, index: Tensor) -> Tensor | None:
    return None if values is None else values[index]
