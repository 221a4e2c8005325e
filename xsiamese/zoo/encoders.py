"""Graph encoders: a batch of graphs to embeddings, shape (graphs, dimensions)."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

try:
    from torch_geometric.nn import GAT, GCN, GIN, ChebConv
    from torch_geometric.nn.aggr import AttentionalAggregation, MeanAggregation, SumAggregation
except ImportError as error:
    raise ImportError('graph networks need PyTorch Geometric: pip install "xsiamese[graph]"') from error

Conv = Literal["gcn", "gin", "gat"]
Readout = Literal["mean", "sum", "attention"]
CONVS = {"gcn": GCN, "gin": GIN, "gat": GAT}


class GraphEncoder(nn.Module):
    """A GNN of PyG, a readout and a linear layer.

    Args:
        inputs: node features.
        conv: "gcn" (:cite:`kipf2017`; uses ``edge_weight`` where graphs have it), "gin" (:cite:`xu2019`) or "gat"
            (:cite:`velickovic2018`).
        hidden: node features of each layer.
        dimensions: of the embedding.
        layers: of the GNN.
        readout: "mean", "sum" or "attention" over the nodes of a graph.

    Raises:
        ValueError: for another conv or readout.

    Example:
        >>> from torch_geometric.data import Data
        >>> GraphEncoder(4)(Data(x=torch.ones(3, 4), edge_index=torch.tensor([[0, 1], [1, 2]]))).shape
        torch.Size([1, 64])
    """

    def __init__(
        self,
        inputs: int,
        conv: Conv = "gcn",
        hidden: int = 64,
        *,
        dimensions: int = 64,
        layers: int = 3,
        readout: Readout = "mean",
    ) -> None:
        super().__init__()
        readouts = {
            "mean": MeanAggregation,
            "sum": SumAggregation,
            "attention": lambda: AttentionalAggregation(nn.Linear(hidden, 1)),
        }
        for name, value, known in (("conv", conv, CONVS), ("readout", readout, readouts)):
            if value not in known:
                raise ValueError(f"{name}={value!r}: one of {', '.join(known)} is needed")
        self.gnn = CONVS[conv](inputs, hidden, layers)
        self.readout = readouts[readout]()
        self.head = nn.Linear(hidden, dimensions)

    def forward(self, batch: Any) -> Tensor:
        """The embeddings of the graphs of a PyG batch."""
        weights = (
            {"edge_weight": batch.edge_weight}
            if self.gnn.supports_edge_weight and batch.get("edge_weight") is not None
            else {}
        )
        nodes = self.gnn(checked(batch, self.gnn.in_channels), batch.edge_index, **weights)
        embedding: Tensor = self.head(self.readout(nodes, batch.batch, dim_size=count(batch)))
        return embedding


class BrainGCN(nn.Module):
    """The encoder of Ktena et al. 2018 (:cite:`ktena2018`): Chebyshev convolutions (:cite:`defferrard2016`) on the
    regions of a brain, all of them kept.

    The embedding is the features of all regions, one region after the other; the regions of two brains are compared one
    by one. Every feature is standardised over the brains of the training, which the paper does not do: what all brains
    share is then no likeness.

    Args:
        inputs: features of a region.
        regions: of the atlas.
        hidden: features of a region in each layer.
        order: how many polynomials of the Laplacian, so that features travel ``order - 1`` connections in a layer.
        layers: how many.
    """

    def __init__(self, inputs: int, regions: int, hidden: int = 32, order: int = 3, layers: int = 2) -> None:
        super().__init__()
        self.regions = regions
        self.convs = nn.ModuleList(ChebConv(inputs if i == 0 else hidden, hidden, order) for i in range(layers))
        self.norm = nn.BatchNorm1d(regions * hidden, affine=False)

    def forward(self, batch: Any) -> Tensor:
        """The features of all regions of each graph, shape (graphs, regions x hidden)."""
        x = checked(batch, self.convs[0].in_channels)  # type: ignore[arg-type]
        if x.shape[0] != count(batch) * self.regions:
            raise ValueError(f"{x.shape[0]} nodes in {count(batch)} graphs: {self.regions} regions each are needed")
        for i, conv in enumerate(self.convs):
            x = conv(x if i == 0 else x.relu(), batch.edge_index, batch.get("edge_weight"), batch=batch.batch)
        embedding: Tensor = self.norm(x.reshape(count(batch), -1))
        return embedding


class RegionProduct(nn.Module):
    """From the products of two embeddings' entries to a logit: averaged over each region, then weighted
    (:cite:`ktena2018`); all regions alike at first.
    """

    def __init__(self, regions: int) -> None:
        super().__init__()
        self.regions = regions
        self.weight = nn.Linear(regions, 1)
        nn.init.constant_(self.weight.weight, 1 / regions)
        nn.init.zeros_(self.weight.bias)

    def forward(self, product: Tensor) -> Tensor:
        logit: Tensor = self.weight(product.reshape(len(product), self.regions, -1).mean(2))
        return logit


def count(batch: Any) -> int:
    """The number of graphs of a batch, or of one graph."""
    return int(batch.num_graphs) if batch.batch is not None else 1


def checked(batch: Any, inputs: int) -> Tensor:
    """The node features.

    Raises:
        ValueError: if there are none, or not as many as the model takes.
    """
    x = batch.x
    if not isinstance(x, torch.Tensor) or x.dim() != 2 or x.shape[1] != inputs:
        shape = tuple(x.shape) if isinstance(x, torch.Tensor) else None
        raise ValueError(f"the node features have shape {shape}: (nodes, {inputs}) is needed")
    return x
