"""PyTorch Geometric's own tools take our explanations: fidelity, unfaithfulness, pictures and subgraphs."""

from __future__ import annotations

from math import exp, log
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
import torch
from matplotlib import pyplot
from torch import Tensor, nn
from torch_geometric.data import Batch, Data
from torch_geometric.explain import DummyExplainer, Explainer, Explanation
from torch_geometric.explain.metric import fidelity, unfaithfulness
from torch_geometric.nn import GCNConv, global_add_pool

from tests import graph_problems as problems
from tests.graphs import graph
from xsiamese import PairGNNExplainer, PairInputXGradient, PairSaliency, SiameseModel, TwoInputModel
from xsiamese_graph import Branch

mpl.use("agg")


class Neighbours(nn.Module):
    """The embedding is the sum of what nodes receive: with a marked end node on a path, what its one edge carries."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = GCNConv(1, 1, bias=False, normalize=False, add_self_loops=False).double()
        nn.init.ones_(self.conv.lin.weight)

    def forward(self, data: Any) -> Tensor:
        return global_add_pool(self.conv(data.x, data.edge_index), data.batch)


def path(mark: float) -> Data:
    return graph([(0, 1), (1, 2), (2, 3)], 4, torch.tensor([[mark], [0.0], [0.0], [0.0]], dtype=torch.float64))


def judged(explanation: Explanation, branch: Branch, **masks: str) -> tuple[Explainer, Explanation]:
    """An explanation with what PyG's metrics look for: the class that the model gives each graph."""
    explainer = Explainer(branch, DummyExplainer(), explanation_type="model", model_config=branch.config, **masks)
    prediction = explainer.get_prediction(explanation.x, explanation.edge_index, batch=explanation.batch)
    explanation.target, explanation.prediction = explainer.get_target(prediction), prediction
    return explainer, explanation


@pytest.mark.parametrize("side", ["a", "b"])
def test_fidelity_and_unfaithfulness_of_an_edge_that_decides(side: Any) -> None:
    """The score is 2 x 3 = 6 with the edge and 0 without, the threshold 1."""
    model = SiameseModel(Neighbours(), "dot")
    a, b = (Batch.from_data_list([path(mark), path(mark)]) for mark in (2.0, 3.0))
    found = PairInputXGradient(model).attribute((a, b), parts="edges")[side == "b"]
    branch = Branch(model, b if side == "a" else a, side, threshold=1.0)
    right = found.threshold("topk_hard", 2)
    assert right.edge_mask.nonzero().flatten().tolist() == [0, 6]
    wrong = found.threshold("topk_hard", 2)
    wrong.edge_mask = 1 - right.edge_mask
    explainer, right = judged(right, branch, edge_mask_type="object")
    _, wrong = judged(wrong, branch, edge_mask_type="object")
    assert right.target.tolist() == [1, 1]
    assert fidelity(explainer, right) == (1.0, 0.0)
    assert fidelity(explainer, wrong) == (0.0, 1.0)
    assert unfaithfulness(explainer, right) == pytest.approx(0.0, abs=1e-12)
    whole, without = ((1 / (1 + exp(margin)), 1 / (1 + exp(-margin))) for margin in (5.0, -1.0))
    divergence = sum(q * (log(q) - log(p)) for p, q in zip(whole, without, strict=True))
    assert unfaithfulness(explainer, wrong) == pytest.approx(1 - exp(-divergence))


@pytest.mark.parametrize("kind", ["gcn", "gin", "gat"])
def test_masks_of_nodes_and_edges_on_layers_with_loops_of_their_own(kind: str) -> None:
    """A mask of ones changes nothing, one of zeros is the masked graph; the held side is not masked, and the model is
    as it was.
    """
    model = SiameseModel(problems.Encoder(kind, bias=True), "euclidean").train()
    a, b = problems.pairs()
    before = [m.training for m in model.modules()]
    branch = Branch(model, b, threshold=float(model(a, b).detach().median()))
    found = PairGNNExplainer(model).attribute((a, b), epochs=5)[0]
    explainer, found = judged(found, branch, node_mask_type="attributes", edge_mask_type="object")
    torch.testing.assert_close(found.prediction[:, 1], branch.threshold - model(a, b).detach())
    assert 0 < unfaithfulness(explainer, found) < 1
    assert all(0 <= value <= 1 for value in fidelity(explainer, found))
    found.node_mask, found.edge_mask = torch.ones_like(found.node_mask), torch.ones_like(found.edge_mask)
    assert unfaithfulness(explainer, found) == pytest.approx(0.0, abs=1e-12)
    assert fidelity(explainer, found)[1] == 0.0
    assert [m.training for m in model.modules()] == before
    assert all(getattr(m, "_edge_mask", None) is None for m in model.modules())


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda model, b: Branch(TwoInputModel(lambda x, y: x), b), TypeError, "a SiameseModel is needed"),
        (lambda model, b: Branch(model, b, "first"), ValueError, "side='first': 'a' or 'b' is needed"),
        (lambda model, b: Branch(model, b), ValueError, "no threshold is known"),
    ],
)
def test_what_no_branch_can_be_made_of(call: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        call(SiameseModel(Neighbours(), "dot"), path(1.0))


def test_pictures(tmp_path: Path) -> None:
    """Both of PyG's pictures, of a batch and of a single graph; a map of layers has no features, which PyG says."""
    a, b = problems.pairs()
    model = SiameseModel(problems.Encoder(), "dot")
    for inputs in ((a, b), (a[0], b[0])):
        for one in PairSaliency(model).attribute(inputs, parts=("nodes", "edges")):
            one.visualize_feature_importance(str(tmp_path / "features.png"), feat_labels=["w", "x", "y", "z"], top_k=3)
            one.visualize_graph(str(tmp_path / "graph.png"), backend="networkx")
            assert all((tmp_path / name).stat().st_size > 5000 for name in ("features.png", "graph.png"))
    assert not pyplot.get_fignums()


def test_the_subgraph_of_what_pulls_together() -> None:
    a, b = problems.pairs()
    found, _ = PairInputXGradient(SiameseModel(problems.Encoder(), "dot")).attribute((a, b), parts="edges")
    kept = found.get_explanation_subgraph()
    together = found.edge_mask > 0
    assert 0 < int(together.sum()) < len(together)
    assert torch.equal(kept.edge_index, a.edge_index[:, together])
    assert torch.equal(kept.edge_mask, found.edge_mask[together])
    assert kept.num_nodes == a.num_nodes
    nodes, _ = PairInputXGradient(SiameseModel(problems.Encoder(), "dot")).attribute((a, b))
    kept, rest = nodes.get_explanation_subgraph(), nodes.get_complement_subgraph()
    chosen = nodes.node_mask.sum(1) > 0
    assert torch.equal(kept.x, a.x[chosen])
    assert torch.equal(kept.batch, a.batch[chosen])
    assert torch.equal(kept.node_mask, nodes.node_mask[chosen])
    assert rest.num_nodes == 0
    assert kept.validate(raise_on_error=True)
