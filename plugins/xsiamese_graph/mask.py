"""The smallest part of both graphs that keeps the score: masks found by optimisation, for all pairs of a
batch at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from xsiamese.author import AtLeast, PairAttribution, PairBatch

Price = Annotated[float, AtLeast(0)]


class PairGNNExplainer(PairAttribution):
    r"""GNNExplainer for pairs: a mask in (0, 1) on every node feature and every edge of both graphs that keeps the
    score and is small and decided.

    Each pair has a loss of its own, :math:`\big((s(m) - s) / (s - s_0)\big)^2` plus the size and the entropy of its
    masks, where :math:`s_0` is the score of the fully masked pair; all are optimised in one Adam run, in which they do
    not touch each other. What the score does not depend on is zero. The masks say what matters, not which way it pulls.

    Example:
        >>> import torch
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GraphConv, global_add_pool
        >>> from xsiamese import PairGNNExplainer, SiameseModel
        >>> class Encoder(torch.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.conv = GraphConv(2, 4)
        ...     def forward(self, data):
        ...         return global_add_pool(self.conv(data.x, data.edge_index).relu(), data.batch)
        >>> graph = Data(x=torch.rand(3, 2), edge_index=torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]]))
        >>> map_a, map_b = PairGNNExplainer(SiameseModel(Encoder(), "dot")).attribute((graph, graph.clone()), epochs=10)
        >>> map_a.node_mask.shape, map_a.edge_mask.shape
        (torch.Size([3, 2]), torch.Size([4]))
    """

    name = "gnnexplainer"
    formula = r"\arg\min_m \Big(\frac{s(m) - s}{s - s_0}\Big)^2 + \sum_p \alpha_p |m_p| + \beta_p \overline{H(m_p)}"
    reference = ("ying2019",)
    modalities: ClassVar[frozenset[str]] = frozenset({"graph"})
    graph_parts: ClassVar[tuple[str, ...]] = ("nodes", "edges")
    differentiable = False
    shows = "relevance"

    def compute(
        self,
        batch: PairBatch,
        *,
        epochs: int = 100,
        lr: float = 0.01,
        edge_size: Price = 0.005,
        edge_entropy: Price = 1.0,
        node_size: Price = 1.0,
        node_entropy: Price = 0.1,
    ) -> tuple[Any, Any]:
        """The masks.

        Args:
            batch: the pairs.
            epochs: steps of the optimiser.
            lr: its learning rate.
            edge_size: weight of the sum of a graph's edge masks.
            edge_entropy: weight of their mean entropy.
            node_size: weight of the mean of a graph's masks of node features.
            node_entropy: weight of their mean entropy.
        """
        if not lr > 0:
            raise ValueError(f"lr={lr!r}: a positive learning rate is needed")
        with torch.no_grad():
            goal = batch.value()
            span = goal - batch.value(*batch.moved_baselines)
        scale = torch.where(span != 0, span.square(), 1)
        regularisers = [
            Regulariser(batch, i, (edge_size, edge_entropy), (node_size, node_entropy)) for i in range(len(batch.moved))
        ]
        logits = [torch.zeros_like(leaf).requires_grad_() for leaf in batch.moved]
        spans = [leaf - start for leaf, start in zip(batch.moved, batch.moved_baselines, strict=True)]
        optimiser = torch.optim.Adam(logits, lr=lr)
        matters: Sequence[Tensor] = []
        steps = range(epochs)
        for _ in tqdm(steps, desc=type(self).__name__, unit="step") if batch.show_progress else steps:
            with torch.enable_grad():
                masks = [logit.sigmoid() for logit in logits]
                moved = [
                    torch.addcmul(start, mask, span)
                    for start, mask, span in zip(batch.moved_baselines, masks, spans, strict=True)
                ]
                value = batch.value(*moved)
                loss = ((value - goal).square() / scale).sum()
                for regulariser, logit, mask in zip(regularisers, logits, masks, strict=True):
                    loss = loss + regulariser(logit, mask)
                matters = matters or _matters(value, masks)
            for logit, gradient in zip(logits, torch.autograd.grad(loss, logits), strict=True):
                logit.grad = gradient
            optimiser.step()
        return batch.maps([logit.detach().sigmoid() * matter for logit, matter in zip(logits, matters, strict=True)])


class Regulariser:
    """The size and the entropy of the masks on one part of one side: sums over a graph for edges, means over it for the
    features of nodes.
    """

    def __init__(self, batch: PairBatch, moved: int, edges: tuple[float, float], nodes: tuple[float, float]) -> None:
        side, leaf = batch.place(moved)
        per_pair = torch.bincount(side.pair_of(leaf), minlength=side.pairs)[side.pair_of(leaf)].to(
            batch.moved[moved].dtype
        )
        share = 1 / per_pair.reshape(-1, *[1] * (batch.moved[moved].dim() - 1)) / batch.moved[moved][0].numel()
        is_nodes = side.parts[leaf] == "nodes"
        size, entropy = nodes if is_nodes else edges
        self.size = size * share if is_nodes else size * torch.ones_like(share)
        self.entropy = entropy * share

    def __call__(self, logit: Tensor, mask: Tensor) -> Tensor:
        entropy = nn.functional.softplus(logit) - logit * mask  # -m log m - (1 - m) log(1 - m)
        total: Tensor = (self.size * mask + self.entropy * entropy).sum()
        return total


def _matters(value: Tensor, masks: Sequence[Tensor]) -> list[Tensor]:
    """1 where the score moves with a mask, 0 where it does not."""
    if not value.requires_grad:
        return [torch.zeros_like(mask) for mask in masks]
    slopes = torch.autograd.grad(value.sum(), masks, retain_graph=True, allow_unused=True)
    return [
        torch.zeros_like(mask) if slope is None else (slope != 0).to(mask.dtype)
        for mask, slope in zip(masks, slopes, strict=True)
    ]
