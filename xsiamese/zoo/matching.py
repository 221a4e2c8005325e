"""Graph networks that look at both graphs before they score: they do not factor into an encoder and a comparison."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor, nn

from xsiamese.model.pair import PairModel
from xsiamese.zoo.encoders import checked, count

try:
    from torch_geometric.nn import GCNConv, MessagePassing
    from torch_geometric.nn.aggr import MeanAggregation, SumAggregation
    from torch_geometric.utils import to_dense_batch
except ImportError as error:
    raise ImportError('graph networks need PyTorch Geometric: pip install "xsiamese[graph]"') from error


class SimGNN(PairModel):
    r"""SimGNN (:cite:`bai2019`): the similarity :math:`e^{-2 \mathrm{GED} / (n_1 + n_2)}` of two graphs, in (0, 1).

    Three graph convolutions; a graph's embedding is the sum of its nodes', each weighted by the sigmoid of its product
    with a context vector. A neural tensor network compares the two embeddings; a histogram of all products of a node of
    one graph with a node of the other is added to it. The score is the sigmoid of what is explained.

    As published, the histogram only counts: no gradient goes through it. Attributions by gradients see what the tensor
    network sees;
    perturbations see both. The tensor network treats its two inputs differently, so that swapping them changes the
    score.

    Weights start as Glorot and Bengio say (:cite:`glorot2010`) and biases at 0, as in the authors' program, and the
    last bias so that the score is near ``mean``. From PyTorch's own start the score hardly depends on the pair; from
    another mean all weights move together at first. Either can leave no unit of the narrow layers of ReLU alive, and
    then all pairs get one score. ReLU is leaky (slope 0.01) in the layers after the tensor network.

    Args:
        inputs: node features.
        sizes: of the graph convolutions.
        slices: of the neural tensor network.
        bins: of the histogram; 0 leaves it out, and gradients see all there is.
        mean: of the similarities to learn; the score starts there.
        standardise: the node features before each ReLU over the nodes of a batch, which the paper does not. For graphs
            whose nodes all have the same features: what a graph's form adds to them is small beside what all nodes
            share, and little but the numbers of nodes is learned.

    Raises:
        ValueError: if ``mean`` is not between 0 and 1.
    """

    def __init__(
        self,
        inputs: int,
        sizes: tuple[int, ...] = (128, 64, 32),
        slices: int = 16,
        bins: int = 16,
        *,
        mean: float = 0.5,
        standardise: bool = False,
    ) -> None:
        super().__init__()
        if not 0 < mean < 1:
            raise ValueError(f"mean={mean:g}: the mean of similarities, between 0 and 1, is needed")
        self.inputs, self.bins = inputs, bins
        self.convs = nn.ModuleList(GCNConv(a, b) for a, b in zip((inputs, *sizes), sizes, strict=False))
        self.norms = nn.ModuleList(nn.BatchNorm1d(size) if standardise else nn.Identity() for size in sizes[:-1])
        self.context = nn.Linear(sizes[-1], sizes[-1], bias=False)
        self.mean, self.sum = MeanAggregation(), SumAggregation()
        self.bilinear = nn.Bilinear(sizes[-1], sizes[-1], slices, bias=False)
        self.linear = nn.Linear(2 * sizes[-1], slices)
        steps = [
            layer for a, b in ((slices + bins, 16), (16, 8), (8, 4)) for layer in (nn.Linear(a, b), nn.LeakyReLU())
        ]
        self.head = nn.Sequential(*steps, nn.Linear(4, 1))
        self._start(mean)

    def forward(self, a: Any, b: Any, *extra: Any) -> Tensor:
        return self.reported(self.explained(a, b))

    def explained(self, a: Any, b: Any, *extra: Any) -> Tensor:
        paired(a, b)
        u_a, u_b = self.nodes(a), self.nodes(b)
        z_a, z_b = self._read(u_a, a), self._read(u_b, b)
        tensor = (self.bilinear(z_a, z_b) + self.linear(torch.cat([z_a, z_b], 1))).relu()
        joined = torch.cat([tensor, self.histogram(u_a.detach(), a, u_b.detach(), b)], 1) if self.bins else tensor
        score: Tensor = self.head(joined)[:, 0]
        return score

    def reported(self, explained: Tensor) -> Tensor:
        return explained.sigmoid()

    def encode(self, item: Any) -> Tensor:
        """The embeddings of graphs, shape (graphs, dimensions): what the tensor network compares."""
        return self._read(self.nodes(item), item)

    def nodes(self, batch: Any) -> Tensor:
        """The features of all nodes, shape (nodes, dimensions)."""
        x: Tensor = checked(batch, self.inputs)
        for i, conv in enumerate(self.convs):
            x = cast(
                Tensor, conv(x if i == 0 else self.norms[i - 1](x).relu(), batch.edge_index, batch.get("edge_weight"))
            )
        return x

    def histogram(self, u_a: Tensor, a: Any, u_b: Tensor, b: Any) -> Tensor:
        """How the sigmoids of all products of two nodes spread over [0, 1], shape (pairs, bins); the smaller graph is
        filled up by zeros.
        """
        (dense_a, in_a), (dense_b, in_b) = (
            to_dense_batch(u, g.batch, batch_size=count(g)) for u, g in ((u_a, a), (u_b, b))
        )
        n_a, n_b = in_a.sum(1), in_b.sum(1)
        larger = torch.maximum(n_a, n_b)
        product = (dense_a @ dense_b.mT).sigmoid()
        inside = in_a[:, :, None] & in_b[:, None, :]
        # similarities in [0, 1] by bin; 1 itself belongs to the last
        place = (product * self.bins).long().clamp(max=self.bins - 1)
        counts: Tensor = product.new_zeros(len(product), self.bins).scatter_add_(
            1, place.flatten(1), inside.flatten(1).to(product)
        )
        counts[:, self.bins // 2] += (
            larger * larger - n_a * n_b
        )  # products with a filled-up node are 0, their sigmoids 1/2
        shares: Tensor = counts / (larger * larger)[:, None]
        return shares

    def _read(self, nodes: Tensor, batch: Any) -> Tensor:
        index = nodes.new_zeros(len(nodes), dtype=torch.long) if batch.batch is None else batch.batch
        context = self.context(self.mean(nodes, index, dim_size=count(batch))).tanh()
        attention = (nodes * context[index]).sum(1, keepdim=True).sigmoid()
        read: Tensor = self.sum(attention * nodes, index, dim_size=count(batch))
        return read

    def _start(self, mean: float) -> None:
        for layer in (self.context, self.linear, *self.head[::2]):
            nn.init.xavier_uniform_(cast(Tensor, layer.weight))
            if layer.bias is not None:
                nn.init.zeros_(cast(Tensor, layer.bias))
        for matrix in self.bilinear.weight:  # one by one: as a whole it would count 16 times as many inputs
            nn.init.xavier_uniform_(matrix)
        nn.init.constant_(cast(Tensor, self.head[-1].bias), math.log(mean / (1 - mean)))


class Messages(MessagePassing):
    """Messages along edges: an MLP of the two nodes' states (and the edge's attributes), summed at the receiver."""

    def __init__(self, hidden: int, attributes: int = 0) -> None:
        super().__init__(aggr="add")
        self.mlp = nn.Sequential(
            nn.Linear(2 * hidden + attributes, 2 * hidden), nn.ReLU(), nn.Linear(2 * hidden, 2 * hidden)
        )

    def forward(
        self, x: Tensor, edge_index: Tensor, edge_attr: Tensor | None = None, edge_weight: Tensor | None = None
    ) -> Tensor:
        summed: Tensor = self.propagate(edge_index, x=x, edge_attr=edge_attr, edge_weight=edge_weight)
        return summed

    def message(self, x_i: Tensor, x_j: Tensor, edge_attr: Tensor | None, edge_weight: Tensor | None) -> Tensor:
        states = [x_i, x_j] if edge_attr is None else [x_i, x_j, edge_attr]
        message: Tensor = self.mlp(torch.cat(states, 1))
        return message if edge_weight is None else edge_weight[:, None] * message


class GraphMatching(nn.Module):
    r"""The Graph Matching Network (:cite:`li2019`): two graphs whose nodes also attend to the other graph's, to two
    embeddings.

    In each layer a node hears its neighbours' messages and :math:`h_i - \sum_j a_{j \to i} h_j`, where the attention
    :math:`a_{j \to i} = \mathrm{softmax}_j(h_i \cdot h_j)` is over the nodes j of the other graph: what of it has no
    match there. A gated sum over the nodes is the embedding of a graph in the light of the other. Compare the two by
    their Euclidean distance.

    Args:
        inputs: node features.
        attributes: edge attributes that messages use, or 0.
        hidden: state of a node.
        dimensions: of the embeddings.
        layers: how many.
    """

    def __init__(
        self, inputs: int, attributes: int = 0, hidden: int = 32, dimensions: int = 64, layers: int = 3
    ) -> None:
        super().__init__()
        self.inputs, self.attributes = inputs, attributes
        self.first = nn.Linear(inputs, hidden)
        self.messages = nn.ModuleList(Messages(hidden, attributes) for _ in range(layers))
        self.updates = nn.ModuleList(nn.GRUCell(3 * hidden, hidden) for _ in range(layers))
        self.gate, self.value = nn.Linear(hidden, dimensions), nn.Linear(hidden, dimensions)
        self.sum, self.last = SumAggregation(), nn.Linear(dimensions, dimensions)

    def forward(self, a: Any, b: Any) -> tuple[Tensor, Tensor]:
        """The embeddings of the graphs of a and of b, shape (pairs, dimensions) each."""
        paired(a, b)
        h_a, h_b = (self.first(checked(batch, self.inputs)) for batch in (a, b))
        for messages, update in zip(self.messages, self.updates, strict=True):
            other_a, other_b = self.attended(h_a, a, h_b, b)
            heard_a, heard_b = (self._heard(messages, h, batch) for h, batch in ((h_a, a), (h_b, b)))
            h_a, h_b = (
                update(torch.cat([heard_a, h_a - other_a], 1), h_a),
                update(torch.cat([heard_b, h_b - other_b], 1), h_b),
            )
        return self._read(h_a, a), self._read(h_b, b)

    def attended(self, h_a: Tensor, a: Any, h_b: Tensor, b: Any) -> tuple[Tensor, Tensor]:
        """For each node of one graph the mean of the other graph's nodes, weighted by attention."""
        (dense_a, in_a), (dense_b, in_b) = (
            to_dense_batch(h, g.batch, batch_size=count(g)) for h, g in ((h_a, a), (h_b, b))
        )
        product = dense_a @ dense_b.mT
        to_a = product.masked_fill(~in_b[:, None, :], -torch.inf).softmax(2) @ dense_b
        to_b = product.mT.masked_fill(~in_a[:, None, :], -torch.inf).softmax(2) @ dense_a
        return to_a[in_a], to_b[in_b]

    def _heard(self, messages: nn.Module, h: Tensor, batch: Any) -> Tensor:
        heard: Tensor = messages(
            h, batch.edge_index, batch.edge_attr if self.attributes else None, batch.get("edge_weight")
        )
        return heard

    def _read(self, h: Tensor, batch: Any) -> Tensor:
        index = h.new_zeros(len(h), dtype=torch.long) if batch.batch is None else batch.batch
        embedding: Tensor = self.last(self.sum(self.gate(h).sigmoid() * self.value(h), index, dim_size=count(batch)))
        return embedding


def paired(a: Any, b: Any) -> None:
    """Raises a ValueError if there are not as many graphs on both sides."""
    if count(a) != count(b):
        raise ValueError(f"a holds {count(a)} graphs and b {count(b)}: a pair needs one of each")
