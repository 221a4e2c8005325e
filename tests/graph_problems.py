"""Small Siamese graph networks and pairs of graphs, in float64, whose true attributions are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data
from torch_geometric.nn import GATConv, GCNConv, GINConv, GraphConv, TopKPooling, global_add_pool, global_mean_pool

from xsiamese import collate_pairs

FEATURES = 4
CONVS: dict[str, Callable[[int, int, bool], nn.Module]] = {
    "gcn": lambda i, o, bias: GCNConv(i, o, bias=bias),
    "graph": lambda i, o, bias: GraphConv(i, o, bias=bias),
    "gin": lambda i, o, bias: GINConv(nn.Sequential(nn.Linear(i, o, bias=bias), nn.ReLU(), nn.Linear(o, o, bias=bias))),
    "gat": lambda i, o, bias: GATConv(i, o // 2, heads=2, bias=bias),
    "plain": lambda i, o, bias: GCNConv(i, o, bias=bias, normalize=False, add_self_loops=False),
}


class Encoder(nn.Module):
    """Two or more layers of one kind, ReLU between, a readout: no bias unless asked for, so that everything is
    homogeneous.
    """

    def __init__(
        self,
        kind: str = "gcn",
        *,
        bias: bool = False,
        layers: int = 2,
        seed: int = 0,
        readout: Callable[..., Tensor] = global_mean_pool,
    ) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.convs = nn.ModuleList(CONVS[kind](FEATURES if i == 0 else 6, 6, bias) for i in range(layers))
        self.readout = readout
        self.weighted = kind in ("plain", "graph")
        self.double().eval()

    def nodes(self, x: Tensor, edge_index: Tensor, weight: Tensor | None = None) -> Tensor:
        for i, conv in enumerate(self.convs):
            x = conv(x if i == 0 else x.relu(), edge_index, *([weight] if self.weighted and weight is not None else []))
        return x

    def forward(self, data: Any) -> Tensor:
        return self.readout(self.nodes(data.x, data.edge_index, data.get("edge_weight")), data.batch)


class Dot(nn.Module):
    """One encoder, called twice."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, a: Any, b: Any) -> Tensor:
        return (self.encoder(a) * self.encoder(b)).sum(1)


class Backwards(Dot):
    """Called for b first."""

    def forward(self, a: Any, b: Any) -> Tensor:
        z_b = self.encoder(b)
        return (self.encoder(a) * z_b).sum(1)


class Twin(nn.Module):
    """Two encoders with equal weights that share nothing."""

    def __init__(self, make: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.first, self.second = make(), make()

    def forward(self, a: Any, b: Any) -> Tensor:
        return (self.first(a) * self.second(b)).sum(1)


class Joint(Dot):
    """One call of the encoder with the graphs of a and then those of b."""

    def forward(self, a: Any, b: Any) -> Tensor:
        edges = torch.cat([a.edge_index, b.edge_index + a.num_nodes], 1)
        both = Batch(x=torch.cat([a.x, b.x]), edge_index=edges, batch=torch.cat([a.batch, b.batch + a.num_graphs]))
        z_a, z_b = self.encoder(both).chunk(2)
        return (z_a * z_b).sum(1)


class Crossed(nn.Module):
    """Does not factor: after the first layer every node looks at the other graph of its pair."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.conv1, self.conv2 = GCNConv(FEATURES, 6), GCNConv(6, 6)
        self.double().eval()

    def forward(self, a: Any, b: Any) -> Tensor:
        h_a, h_b = self.conv1(a.x, a.edge_index).tanh(), self.conv1(b.x, b.edge_index).tanh()
        together = (h_a @ h_b.t()).masked_fill(a.batch[:, None] != b.batch, float("-inf"))
        h_a, h_b = h_a - together.softmax(1) @ h_b, h_b - together.t().softmax(1) @ h_a
        h_a, h_b = self.conv2(h_a, a.edge_index), self.conv2(h_b, b.edge_index)
        return (global_add_pool(h_a, a.batch) * global_add_pool(h_b, b.batch)).sum(1)


class Pooled(Encoder):
    """Drops nodes between two layers."""

    def __init__(self) -> None:
        super().__init__("graph")
        self.pool = TopKPooling(6, 0.5).double()

    def forward(self, data: Any) -> Tensor:
        x = self.convs[0](data.x, data.edge_index).relu()
        x, edge_index, _, batch, *_ = self.pool(x, data.edge_index, batch=data.batch)
        return global_mean_pool(self.convs[1](x, edge_index), batch)


def graph(nodes: int, edges: int, seed: int, *, weights: bool = False, loops: bool = False) -> Data:
    """A random graph without loops, every edge in both directions."""
    generator = torch.Generator().manual_seed(seed)
    found = torch.randint(0, nodes, (2, edges), generator=generator)
    found = found[:, found[0] != found[1]]
    edge_index = torch.cat([found, found.flip(0)], 1)
    if loops:
        edge_index = torch.cat([edge_index, torch.arange(nodes).expand(2, -1)], 1)
    data = Data(x=torch.randn(nodes, FEATURES, generator=generator, dtype=torch.float64), edge_index=edge_index)
    if weights:
        data.edge_weight = 0.5 + torch.rand(edge_index.shape[1], generator=generator, dtype=torch.float64)
    return data


def graphs(sizes: tuple[int, ...] = (5, 7, 3), seed: int = 0, **options: bool) -> list[Data]:
    return [graph(nodes, 2 * nodes, seed + i, **options) for i, nodes in enumerate(sizes)]


def pairs(**options: bool) -> tuple[Any, Any]:
    """Three pairs of graphs of different sizes."""
    a, b = collate_pairs(list(zip(graphs(**options), graphs((6, 4, 8), seed=50, **options), strict=True)))
    return a, b


def per_pair(value: Tensor, batch: Tensor) -> Tensor:
    """The sum of what belongs to each pair."""
    return torch.zeros(int(batch.max()) + 1, dtype=value.dtype).index_add(
        0, batch, value.flatten(1).sum(1) if value.dim() > 1 else value
    )


def relabelled(data: Data, seed: int = 0) -> tuple[Data, Tensor, Tensor]:
    """The same graph with its nodes and edges in another order: node i is old node nodes[i], edge j is old edge
    edges[j].
    """
    generator = torch.Generator().manual_seed(seed)
    nodes = torch.randperm(len(data.x), generator=generator)
    edges = torch.randperm(data.edge_index.shape[1], generator=generator)
    more = {key: data[key][edges] for key in ("edge_weight", "edge_attr") if key in data}
    return Data(x=data.x[nodes], edge_index=nodes.argsort()[data.edge_index[:, edges]], **more), nodes, edges
