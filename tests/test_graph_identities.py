"""What attributions of bias-free graph networks sum to: the score for node features, the number of layers times the
score for edges.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch
from torch_geometric.nn.conv.gcn_conv import gcn_norm

from tests import graph_problems as problems
from xsiamese import PairInputXGradient, SiameseModel

A, B = problems.pairs()
LAYERS = [1, 2, 3]


def sums(found: tuple[Any, Any], mask: str) -> list[Tensor]:
    return [
        problems.per_pair(one[mask], one.batch if mask == "node_mask" else one.batch[one.edge_index[0]])
        for one in found
    ]


def normalised(item: Any) -> Any:
    """The same graphs with the self-loops and weights that a GCN gives them, edge by edge, loops last."""
    edge_index, weight = gcn_norm(item.edge_index, None, item.num_nodes, dtype=torch.float64)
    return Batch(x=item.x, edge_index=edge_index, edge_weight=weight, batch=item.batch)


@pytest.mark.parametrize("layers", LAYERS)
@pytest.mark.parametrize("kind", ["gcn", "graph", "gin", "plain"])
def test_node_features_sum_to_the_score_on_each_side(kind: str, layers: int) -> None:
    model = SiameseModel(problems.Encoder(kind, layers=layers), "dot")
    score = model(A, B).detach()
    assert bool((score.abs() > 1e-3).all())
    for total in sums(PairInputXGradient(model).attribute((A, B)), "node_mask"):
        torch.testing.assert_close(total, score, rtol=0, atol=1e-10)


@pytest.mark.parametrize("layers", LAYERS)
@pytest.mark.parametrize("loops", [False, True])
def test_gates_of_all_messages_sum_to_the_number_of_layers_times_the_score(loops: bool, layers: int) -> None:
    """Each layer is linear in the gates: every message of it passes one. Loops of the graph count as its edges."""
    inputs = problems.pairs(loops=loops)
    model = SiameseModel(problems.Encoder("plain", layers=layers), "dot")
    for total in sums(PairInputXGradient(model).attribute(inputs, parts="edges"), "edge_mask"):
        torch.testing.assert_close(total, layers * model(*inputs).detach(), rtol=0, atol=1e-10)


@pytest.mark.parametrize("layers", LAYERS)
def test_weights_of_edges_and_loops_sum_to_the_number_of_layers_times_the_score(layers: int) -> None:
    """A GCN written with its own loops as weighted edges; where the layer adds them, the graph's edges have the very
    same share, and the loops keep theirs.
    """
    inside, outside = (SiameseModel(problems.Encoder(kind, layers=layers), "dot") for kind in ("gcn", "plain"))
    inputs = normalised(A), normalised(B)
    score = inside(A, B).detach()
    torch.testing.assert_close(outside(*inputs).detach(), score, rtol=0, atol=1e-12)
    spelled = PairInputXGradient(outside).attribute(inputs, parts="edge_weight")
    for total in sums(spelled, "edge_mask"):
        torch.testing.assert_close(total, layers * score, rtol=0, atol=1e-10)
    for own, all_of_them, item in zip(
        PairInputXGradient(inside).attribute((A, B), parts="edges"), spelled, (A, B), strict=True
    ):
        torch.testing.assert_close(own.edge_mask, all_of_them.edge_mask[: item.num_edges], rtol=0, atol=1e-10)
        assert bool(all_of_them.edge_mask[item.num_edges :].any())


def test_a_bias_takes_its_share() -> None:
    """What the identities need: with biases neither holds."""
    encoder = problems.Encoder("plain", bias=True)
    for conv in encoder.convs:
        nn.init.constant_(conv.bias, 0.3)
    model = SiameseModel(encoder, "dot")
    found = PairInputXGradient(model).attribute((A, B), parts=("nodes", "edges"))
    score = model(A, B).detach()
    for mask, times in (("node_mask", 1), ("edge_mask", 2)):
        assert all(bool(((total - times * score).abs() > 1e-3).all()) for total in sums(found, mask))
