"""An explainer on trial on pairs of graphs: the same points, and that the order of nodes and edges does not matter."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data
from torch_geometric.explain import Explanation
from torch_geometric.nn import GCNConv, MessagePassing, global_mean_pool

from xsiamese.contract.subject import PAIRS, ContractError, Subject, near
from xsiamese.explain.attribution import PairAttribution

SIZES = (
    (4, 5, 3),
    (6, 7, 2),
)  # no two graphs and no two batches of them have as many nodes, so that their number tells which they are


class Encoder(nn.Sequential):
    """Layers that take nodes, message passing among them, and the mean over the nodes before the last."""

    def forward(self, data: Any) -> Tensor:
        h = data.x
        for i, layer in enumerate(self):
            if i == len(self) - 1:
                h = global_mean_pool(h, data.batch)
            h = layer(h, data.edge_index) if isinstance(layer, MessagePassing) else layer(h)
        return h  # type: ignore[no-any-return]


class GraphSubject(Subject):
    """An explainer class on trial on small graphs. An input is the tensor of its nodes' features, their number tells
    the graph.

    Args:
        cls: the class.
        options: options that keep it quick.
        mask: the mask that is looked at, "node_mask" or "edge_mask"; for the latter both are asked for.
    """

    def __init__(self, cls: type[PairAttribution], options: dict[str, Any], mask: str) -> None:
        known = {k: v for k, v in options.items() if k not in ("feature_mask", "sliding_window_shapes")}
        super().__init__(cls, {**known, "parts": ("nodes", "edges")} if mask == "edge_mask" else known)
        self.mask = mask
        self.kind = f" on graphs ({mask})"  # type: ignore[misc]

    def encoder(self, *, inplace: bool = False, norm: bool = False) -> nn.Sequential:
        with torch.random.fork_rng():
            torch.manual_seed(7)
            layers = [
                GCNConv(2, 4),
                nn.ReLU(inplace),
                nn.Identity(),
                GCNConv(4, 6),
                nn.BatchNorm1d(6) if norm else nn.Identity(),
                nn.ReLU(inplace),
                nn.Linear(6, 3),
            ]
            with torch.no_grad():
                layers[-1].weight.mul_(4)
            return Encoder(*layers).double().eval()

    def smooth(self) -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(5)
            return (
                Encoder(GCNConv(2, 4), nn.Tanh(), nn.Identity(), GCNConv(4, 3), nn.Tanh(), nn.Linear(3, 3))
                .double()
                .eval()
            )

    def pairs(self, count: int = PAIRS) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(11)
        a, b = (torch.randn(sum(sizes), 2, generator=generator, dtype=torch.float64) for sizes in SIZES)
        return a[: sum(SIZES[0][:count])].clone(), b[: sum(SIZES[1][:count])].clone()

    def one(self, inputs: tuple[Tensor, Tensor], i: int) -> tuple[Tensor, Tensor]:
        first, second = (x[sum(sizes[:i]) : sum(sizes[: i + 1])] for x, sizes in zip(inputs, SIZES, strict=True))
        return first, second

    def given(self, inputs: tuple[Tensor, Tensor]) -> Any:
        return tuple(_batch(x) for x in inputs)

    def plain(self, found: Any) -> Any:
        if not isinstance(found, tuple) or not all(isinstance(one, Explanation) for one in found):
            return found
        for side, one in zip("ab", found, strict=True):
            if self.mask not in one:
                raise ContractError(f"the explanation of {side} has no {self.mask}")
        return tuple(one[self.mask] for one in found)

    def total(self, explainer: Any, found: Any) -> Tensor:
        total: Tensor = found[0].x.new_zeros(found[0].ptr.numel() - 1)
        for one in found:
            total = total.index_add(0, one.batch, one.node_mask.sum(1))
            if "edge_mask" in one:
                total = total.index_add(0, one.batch[one.edge_index[0]], one.edge_mask)
        return total

    def mirrors(self, value: Any, leaf: Tensor) -> str:
        edges = _batch(leaf).edge_index.shape[1]
        widths = (1,) if self.cls.needs_layer else (1, leaf.shape[1])
        wanted = [(edges,)] if self.mask == "edge_mask" else [(len(leaf), width) for width in widths]
        return (
            ""
            if isinstance(value, Tensor) and tuple(value.shape) in wanted
            else f"a {self.mask} of shape {' or '.join(map(str, wanted))}"
        )

    def check_relabelling(self) -> None:
        model, (a, b) = self.model(), self.given(self.one(self.pairs(), 1))
        nodes = torch.tensor([2, 0, 4, 1, 3])
        edges = torch.arange(a.edge_index.shape[1]).flip(0)
        other = Data(x=a.x[nodes], edge_index=nodes.argsort()[a.edge_index[:, edges]])
        explainer = self.make(model)
        (first, second), (moved, same) = (
            self.plain(explainer.attribute(pair, **self.options)) for pair in ((a, b), (other, b))
        )
        near(
            (moved, same),
            (first[edges if self.mask == "edge_mask" else nodes], second),
            "when the nodes and edges of a are in another order",
        )


def _batch(x: Tensor) -> Any:
    """The graphs that have this number of nodes: rings with a chord."""
    known = {sum(sizes[:count]): sizes[:count] for sizes in SIZES for count in range(1, PAIRS + 1)} | {
        size: (size,) for sizes in SIZES for size in sizes
    }
    sizes = known[len(x)]
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    rings = [
        torch.tensor([[*range(n), 0], [*range(1, n), 0, n // 2]]) + start
        for n, start in zip(sizes, starts, strict=True)
    ]
    edges = torch.cat([torch.cat([ring, ring.flip(0)], 1) for ring in rings], 1)
    edges = torch.unique(edges[:, edges[0] != edges[1]], dim=1)
    owner = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    return Batch(x=x, edge_index=edges.to(x.device), batch=owner.to(x.device))
