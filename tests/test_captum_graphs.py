"""Graphs against captum itself: two encoders with equal weights that share nothing, explained by captum's own classes,
are what ours says of the shared one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import captum.attr as captum
import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import GCN, GIN, global_mean_pool

import xsiamese
from tests import graph_problems as problems
from xsiamese import (
    PairDeepLift,
    PairGradCAM,
    PairGraphOcclusion,
    PairHiResCAM,
    PairInputXGradient,
    PairIntegratedGradients,
    PairSaliency,
    SiameseModel,
)

pytestmark = pytest.mark.filterwarnings("ignore:Input Tensor", "ignore:Setting .* hooks")  # what captum says of itself
PAIRS = [(a, b) for a, b in zip(*(one.to_data_list() for one in problems.pairs(weights=True)), strict=True)]


class Raw(nn.Module):
    """One pair of graphs as captum needs it: a row is a whole side, features (1, nodes, features) and edge weights (1,
    edges), and captum may add rows.
    """

    def __init__(self, make: Callable[[], nn.Module], pair: tuple[Any, Any], weights: bool = False) -> None:
        super().__init__()
        self.twin, self.pair, self.weights = problems.Twin(make), pair, weights

    def inputs(self) -> tuple[Tensor, ...]:
        rows = [(one.x[None], one.edge_weight[None]) if self.weights else (one.x[None],) for one in self.pair]
        return (*rows[0], *rows[1])

    def forward(self, *moved: Tensor) -> Tensor:
        half = len(moved) // 2
        sides = [
            self._copies(one, *values) for one, values in zip(self.pair, (moved[:half], moved[half:]), strict=True)
        ]
        return self.twin(*sides)  # type: ignore[no-any-return]

    def _copies(self, one: Any, x: Tensor, weight: Tensor | None = None) -> Data:
        starts = torch.arange(len(x)) * one.num_nodes
        edges = (one.edge_index[:, None] + starts[None, :, None]).flatten(1)
        copies = Data(x=x.flatten(0, 1), edge_index=edges, batch=torch.arange(len(x)).repeat_interleave(one.num_nodes))
        copies.edge_weight = (one.edge_weight.expand(len(x), -1) if weight is None else weight).flatten()
        return copies


def equal(found: tuple[Any, Any], raw: tuple[Tensor, ...]) -> None:
    masks = [one[key] for one in found for key in ("node_mask", "edge_mask") if key in one]
    for mine, theirs in zip(masks, raw, strict=True):
        torch.testing.assert_close(mine, theirs[0].detach(), rtol=0, atol=1e-10)
        assert bool(mine.any())


def encoder(kind: str) -> Callable[[], nn.Module]:
    return lambda: problems.Encoder(kind, bias=True)


@pytest.mark.parametrize("kind", ["gcn", "gin", "gat", "graph"])
@pytest.mark.parametrize("method", ["Saliency", "InputXGradient", "IntegratedGradients"])
def test_gradients_of_node_features_and_edge_weights(method: str, kind: str) -> None:
    ours = {
        "Saliency": PairSaliency,
        "InputXGradient": PairInputXGradient,
        "IntegratedGradients": PairIntegratedGradients,
    }[method]
    weights = kind == "graph"
    for pair in PAIRS:
        raw = Raw(encoder(kind), pair, weights)
        joint = {"joint": True} if method == "IntegratedGradients" else {}  # captum moves both sides at once
        found = ours(SiameseModel(encoder(kind)(), "dot")).attribute(
            pair, parts=("nodes", "edge_weight") if weights else None, **joint
        )
        equal(found, getattr(captum, method)(raw).attribute(raw.inputs()))


def test_a_batch_of_pairs_is_captum_pair_by_pair() -> None:
    a, b = problems.pairs(weights=True)
    found = PairIntegratedGradients(SiameseModel(encoder("graph")(), "dot")).attribute(
        (a, b), parts=("nodes", "edge_weight"), joint=True
    )
    raws = [Raw(encoder("graph"), pair, weights=True) for pair in PAIRS]
    alone = [captum.IntegratedGradients(raw).attribute(raw.inputs()) for raw in raws]
    equal(found, tuple(torch.cat(rows, 1) for rows in zip(*alone, strict=True)))


@pytest.mark.parametrize("kind", ["gcn", "gin"])
def test_layers_of_each_branch(kind: str) -> None:
    """captum takes every node for an example of its own, so that its Grad-CAM is our HiResCAM; the mean over the nodes
    makes it ours.
    """
    for pair in PAIRS:
        raw, model = Raw(encoder(kind), pair), SiameseModel(encoder(kind)(), "dot")
        views = [side.convs[1] for side in (raw.twin.first, raw.twin.second)]  # type: ignore[index]
        fine, coarse = (cls(model, "convs.1").attribute(pair) for cls in (PairHiResCAM, PairGradCAM))
        for side, view in enumerate(views):
            shown = captum.LayerActivation(raw, view).attribute(raw.inputs()).detach()
            times = captum.LayerGradientXActivation(raw, view).attribute(raw.inputs()).detach()
            gradient = (
                captum.LayerGradientXActivation(raw, view, multiply_by_inputs=False).attribute(raw.inputs()).detach()
            )
            torch.testing.assert_close(fine[side].node_mask, times.sum(1, keepdim=True), rtol=0, atol=1e-10)
            torch.testing.assert_close(
                fine[side].node_mask,
                captum.LayerGradCam(raw, view).attribute(raw.inputs()).detach(),
                rtol=0,
                atol=1e-10,
            )
            torch.testing.assert_close(
                coarse[side].node_mask, (gradient.mean(0) * shown).sum(1, keepdim=True), rtol=0, atol=1e-10
            )


def test_occlusion_of_nodes_features_and_edges() -> None:
    """captum gives each value of a group the loss of the whole group, ours an equal share of it."""
    for pair in PAIRS:
        raw, model = Raw(encoder("graph"), pair, weights=True), SiameseModel(encoder("graph")(), "dot")
        sizes = [(one.num_nodes, one.num_edges) for one in pair]
        for unit in ("node", "feature", "value"):
            groups: list[Tensor] = []
            for nodes, edges in sizes:
                numbers = torch.arange(nodes * problems.FEATURES).reshape(1, nodes, -1)
                numbers = {
                    "node": numbers // problems.FEATURES,
                    "feature": numbers % problems.FEATURES,
                    "value": numbers,
                }[unit]
                for one in (numbers, torch.arange(edges)[None]):
                    groups.append(one + (int(groups[-1].max()) + 1 if groups else 0))
            theirs = captum.FeatureAblation(raw).attribute(raw.inputs(), feature_mask=tuple(groups))
            shares = [
                values / torch.bincount(group.flatten())[group] for values, group in zip(theirs, groups, strict=True)
            ]
            equal(PairGraphOcclusion(model).attribute(pair, parts=("nodes", "edge_weight"), unit=unit), tuple(shares))


class Modules(nn.Module):
    """A network of PyG whose activation is one module, which captum's DeepLift refuses; ``apart`` gives each layer its
    own.
    """

    def __init__(self, gnn: Any, apart: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.gnn = gnn(problems.FEATURES, 6, 3, norm="batch_norm")
        self.acts = nn.ModuleList([nn.ReLU(), nn.ReLU()] if apart else [])
        self.head = nn.Linear(6, 3)
        self.double().eval()
        if apart:
            for conv in self.gnn.convs:
                if hasattr(conv, "nn"):
                    conv.nn.act = nn.ReLU()

    def forward(self, data: Any) -> Tensor:
        h = data.x
        for i, conv in enumerate(self.gnn.convs):
            h = conv(h, data.edge_index)
            if i < 2:
                h = (self.acts[i] if self.acts else self.gnn.act)(self.gnn.norms[i](h))
        return self.head(global_mean_pool(h, data.batch))  # type: ignore[no-any-return]


@pytest.mark.parametrize("gnn", [GCN, GIN])
def test_deep_lift_of_node_features(gnn: Any) -> None:
    """On a network that reuses its ReLU as on one that does not, and complete on each side while the other is held."""
    reused = PairDeepLift(SiameseModel(Modules(gnn, apart=False), "dot"))
    for pair in PAIRS:
        raw = Raw(lambda: Modules(gnn, apart=True), pair)
        theirs = captum.DeepLift(raw).attribute(raw.inputs())
        equal(reused.attribute(pair, joint=True), theirs)
        equal(PairDeepLift(SiameseModel(Modules(gnn, apart=True), "dot")).attribute(pair, joint=True), theirs)
    batch = problems.pairs()
    whole = reused.attribute(batch)
    alone = [reused.attribute((batch[0][i], batch[1][i])) for i in range(3)]
    for side, wrt in enumerate(("first", "second")):
        torch.testing.assert_close(whole[side].node_mask, torch.cat([one[side].node_mask for one in alone]))
        found, delta = reused.attribute(batch, wrt=wrt, return_convergence_delta=True)
        assert bool(problems.per_pair(found[side].node_mask, batch[side].batch).abs().gt(1e-6).all())
        torch.testing.assert_close(delta, torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-10)
    # a product is no rescaled sum: both sides at once leave a rest, one at a time does not
    assert (reused.attribute(batch, joint=True, return_convergence_delta=True)[1].abs() > 1e-6).any()
    torch.testing.assert_close(reused.attribute(batch, return_convergence_delta=True)[1], delta, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("name", "parts", "said"),
    [
        (
            "PairDeepLift",
            "edges",
            "PairDeepLift explains nodes of a graph, not edges; these do: PairGraphOcclusion",
        ),
        ("PairDeepLift", ("nodes", "edge_weight"), "not edge_weight; these do: PairGraphOcclusion"),
        (
            "PairGradCAM",
            "edges",
            "PairGradCAM explains nodes of a graph, not edges; these do: PairGraphOcclusion",
        ),
        (
            "PairLeaveOneOut",
            "edge_weight",
            "PairLeaveOneOut explains nodes and edges of a graph, not edge_weight; these do: .*PairGraphOcclusion",
        ),
    ],
)
def test_parts_that_a_method_does_not_explain(name: str, parts: Any, said: str) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("no work before the check")

    with pytest.raises(ValueError, match=said):
        xsiamese.explainers()[name](never).attribute(problems.pairs(weights=True), parts=parts)


@pytest.mark.parametrize("size", [2, 4])
def test_no_more_copies_of_a_graph_pass_at_once_than_are_allowed(size: int) -> None:
    """Whatever the sizes of the two graphs: captum counts nodes, and users count pairs."""
    encoder, passed = problems.Encoder(), []
    encoder.register_forward_hook(lambda module, inputs, output: passed.append(len(output)))
    small, large = problems.graph(3, 4, 0), problems.graph(17, 31, 1)
    for pair in ((small, large), (large, small)):
        passed.clear()
        PairIntegratedGradients(SiameseModel(encoder)).attribute(pair, n_steps=12, internal_batch_size=size)
        assert max(passed) == size
