"""Small graphs and models of them whose answers are known."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data
from torch_geometric.utils import subgraph


def graph(edges: list[tuple[int, int]], nodes: int, x: Tensor | None = None) -> Data:
    """An undirected graph; each node's features are ones unless given."""
    both = [pair for u, v in edges for pair in ((u, v), (v, u))]
    return Data(
        x=torch.ones(nodes, 1, dtype=torch.float64) if x is None else x,
        edge_index=torch.tensor(both, dtype=torch.long).reshape(-1, 2).T,
    )


def random_graph(nodes: int, edges: int, seed: int, features: int = 3) -> Data:
    """Random edges, no double ones, and random features."""
    generator = torch.Generator().manual_seed(seed)
    every = torch.combinations(torch.arange(nodes))
    chosen = every[torch.randperm(len(every), generator=generator)[:edges]]
    x = torch.randn(nodes, features, generator=generator, dtype=torch.float64)
    return graph([(int(u), int(v)) for u, v in chosen], nodes, x)


def one(data: Data) -> Any:
    return Batch.from_data_list([data])


def without(data: Data, gone: set[tuple[int, ...]]) -> Data:
    """By the tools of torch_geometric alone."""
    start, end = data.edge_index
    kept = torch.tensor([(k,) not in gone for k in range(int(data.num_nodes or 0))])
    left = torch.tensor(
        [(u, v) not in gone and (v, u) not in gone for u, v in zip(start.tolist(), end.tolist(), strict=True)],
        dtype=torch.bool,
    )
    edge_index, _ = subgraph(kept, data.edge_index[:, left], relabel_nodes=True, num_nodes=data.num_nodes)
    return Data(x=data.x[kept], edge_index=edge_index)


def edge_count(batch: Any) -> Tensor:
    """Undirected edges of each graph."""
    return torch.bincount(batch.batch[batch.edge_index[0]], minlength=batch.num_graphs).double() / 2


def node_count(batch: Any) -> Tensor:
    return torch.bincount(batch.batch, minlength=batch.num_graphs).double()


def triangles(batch: Any) -> Tensor:
    """Triangles of each graph: trace(A^3) / 6."""
    from torch_geometric.utils import to_dense_adj

    dense = to_dense_adj(batch.edge_index, batch.batch, batch_size=batch.num_graphs).double()
    return torch.diagonal(dense @ dense @ dense, dim1=1, dim2=2).sum(1) / 6


class Convolved(nn.Module):
    """Two rounds of sums over neighbours, smooth, with random weights; sum pooling."""

    def __init__(self, seed: int, features: int = 3, width: int = 6) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        shapes = ((features, width), (features, width), (width, width), (width, width))
        self.weights = nn.ParameterList(
            [nn.Parameter(torch.randn(*shape, generator=generator, dtype=torch.float64) / 2) for shape in shapes]
        )

    def forward(self, batch: Any) -> Tensor:
        h = batch.x
        for own, other in (self.weights[:2], self.weights[2:]):
            gathered = torch.zeros_like(h).index_add_(0, batch.edge_index[1], h[batch.edge_index[0]])
            h = torch.tanh(h @ own + gathered @ other)
        return h.new_zeros(batch.num_graphs, h.shape[1]).index_add_(0, batch.batch, h)
