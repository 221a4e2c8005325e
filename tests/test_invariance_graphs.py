"""Robust explanations of pairs of graphs: a net whose relevant atoms and bonds are known, hand-written gradients, what
must not change a result, bad input.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

pytest.importorskip("torch_geometric", reason='graphs need pip install "xsiamese[graph]"')

from torch_geometric.data import Batch, Data
from torch_geometric.explain import Explanation
from torch_geometric.nn import MessagePassing, global_add_pool

from tests import graph_problems as problems
from xsiamese import (
    Descent,
    Invariance,
    InvarianceLearner,
    PairExplanation,
    RobustPairExplainer,
    SiameseModel,
    collate_pairs,
)
from xsiamese.explain.request import Request
from xsiamese.kinds.catalogue import side
from xsiamese.model.comparison import Function
from xsiamese_invariance.divergence import BernoulliKL
from xsiamese_invariance.graph import GraphUnits
from xsiamese_invariance.options import local_of

KINDS = 4  # of atoms; a bond between an atom of kind 0 and one of kind 1 is all that counts
BOTH = ("nodes", "edges")


class Sum(MessagePassing):
    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        found: Tensor = self.propagate(edge_index, x=x)
        return found


class Counting(nn.Module):
    """The number of bonds between atoms of kind 0 and of kind 1."""

    def __init__(self) -> None:
        super().__init__()
        self.sum = Sum(aggr="add")

    def forward(self, data: Any) -> Tensor:
        return global_add_pool(data.x[:, :1] * self.sum(data.x[:, 1:2], data.edge_index), data.batch)


def counting(offset: float = 3.0, strength: float = 1.5) -> SiameseModel:
    return SiameseModel(Counting(), Function(lambda u, v: offset - strength * (u - v).square().sum(1)))


def molecule(kinds: list[int], bonds: list[tuple[int, int]]) -> Data:
    both = torch.tensor([pair for u, v in bonds for pair in ((u, v), (v, u))], dtype=torch.long).reshape(-1, 2).T
    return Data(x=torch.eye(KINDS, dtype=torch.float64)[kinds], edge_index=both)


def batch(*items: Data) -> Any:
    return Batch.from_data_list(list(items))


RING = [(i, (i + 1) % 6) for i in range(6)]
QUERIES = batch(molecule([0, 1, 2, 3, 2, 3], RING), molecule([2, 0, 1, 0, 3], [(0, 1), (1, 2), (2, 3), (3, 4), (0, 4)]))
COUNTS = [
    torch.tensor([1, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]).bool(),  # nodes 0 and 1, and the bond 0-1
    torch.tensor([0, 1, 1, 1, 0, 0, 0, 1, 1, 0]).bool(),
]  # nodes, and then bonds as (0, 1), (0, 4), (1, 2), (2, 3), (3, 4)
REFERENCES = batch(
    molecule([2, 3, 2, 2], [(0, 1), (1, 2), (2, 3)]),
    molecule([0, 1, 2], [(0, 1), (1, 2)]),
    molecule([1, 0, 1, 3], [(0, 1), (1, 2), (2, 3)]),
    molecule([3, 0, 1, 0, 1], [(0, 1), (1, 2), (2, 3), (3, 4)]),
)
NEUTRAL = batch(
    molecule([2, 3, 3], [(0, 1), (1, 2)]), molecule([2, 2, 3], [(0, 1), (1, 2)])
)  # of atoms that count nowhere


@pytest.fixture(scope="module")
def learned() -> Invariance:
    return InvarianceLearner(counting(), steps=300).fit(QUERIES, REFERENCES, pool=NEUTRAL)


def on_units(explanation: Any) -> list[Tensor]:
    """The masks of each graph on its nodes and then its undirected edges."""
    units = GraphUnits(side(explanation, "a").explaining(BOTH, "a"))
    rows = [explanation.node_mask[:, 0], explanation.edge_mask]
    found = torch.zeros(units.side.pairs, units.count, dtype=torch.float64)
    for leaf, row in enumerate(rows):
        found[units.side.pair_of(leaf), units.index[leaf]] = row
    return [row[valid] for row, valid in zip(found, units.valid, strict=True)]


def test_atoms_and_bonds_that_count_are_found(learned: Invariance) -> None:
    for mask, truth in zip(on_units(learned.maps), COUNTS, strict=True):
        assert float(mask[truth].min()) > 0.6
        assert float(mask[~truth].max()) < 0.2
    for coupling, steps in (("ball", 2000), ("order", 500), ("kl", 200)):
        pair = (QUERIES, batch(REFERENCES[0], REFERENCES[0]))
        explainer = RobustPairExplainer(counting(), coupling=coupling)
        found, trace = explainer.attribute(
            pair, invariance=learned, top=2, pool=NEUTRAL, draws=8, steps=steps, return_convergence=True
        )
        for mask, truth in zip(on_units(found[0]), COUNTS, strict=True):
            assert float(mask[truth].min()) > float(mask[~truth].max())
        if coupling == "ball":
            assert trace.share() == 1
            assert (
                float((found[0].edge_mask[::2] - found[0].edge_mask[1::2]).abs().max()) == 0
            )  # both entries of a bond are one unit


def test_the_empty_mask_does_not_explain_that_two_molecules_are_alike() -> None:
    """Deleted edges on both sides make two graphs alike; in half of the draws one side keeps its own."""
    pair, explainer = (
        (batch(QUERIES[0]), batch(REFERENCES[1])),
        RobustPairExplainer(counting(5.0, 6.0), coupling="none"),
    )
    mixed = explainer.attribute(pair, parts=("edges",))
    assert float(mixed[0].edge_mask.max()) > 0.5
    with pytest.warns(UserWarning, match="pair 0: replacing everything changes the score by 0.1 nats or less"):
        shared = explainer.attribute(pair, parts=("edges",), replacement="shared")
    assert float(shared[0].edge_mask.max()) < 0.1


def graph_pair() -> tuple[Any, Any, SiameseModel]:
    a, b = problems.pairs()
    model = SiameseModel(problems.Encoder("gin", bias=True), "dot")
    with torch.no_grad():
        model.encoder.convs[-1].nn[-1].weight.mul_(8)  # type: ignore[operator, union-attr, index]
    return a, b, model


@pytest.mark.parametrize("parts", [("nodes",), ("edges",), BOTH, ("edges", "nodes")])
@pytest.mark.parametrize("wrt", ["both", "second"])
def test_the_gradient_is_that_of_autograd(parts: tuple[str, ...], wrt: Any) -> None:
    a, b, model = graph_pair()
    explainer = RobustPairExplainer(model, coupling="none")
    with torch.random.fork_rng():
        checked = Request((a, b), wrt=wrt, parts=parts).batch(explainer)
        local = local_of(
            checked,
            "none",
            None,
            None,
            pool=None,
            shared=False,
            replacement="mixed",
            draws=8,
            prices=(0.02, 0.01),
            divergence="auto",
            held=(0.1, 0.2, 0.05, 2),
            steps=None,
            rule=None,
        )
        problem, _ = local.problem(checked)
    theta = torch.randn(problem.start.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    _, slope, _ = problem.value_and_slope(theta)

    def value(logits: Tensor) -> Tensor:
        mask = logits.sigmoid() * problem.valid
        moved = [
            leaf
            for one, where in zip(problem.sides, problem.where, strict=True)
            for leaf in one.replaced(mask[:, where])
        ]
        scores = problem.objective(*moved, *(argument.for_draws(problem.draws) for argument in problem.arguments)).view(
            problem.draws, -1
        )
        weight = 1.0 if problem.weight is None else problem.weight  # what a nat counts among so many units
        price = problem.simplicity.value(logits, mask, problem.valid)
        return weight * BernoulliKL().value(problem.own, scores).mean(0) + price

    logits = theta.clone().requires_grad_()
    (expected,) = torch.autograd.grad(value(logits).sum(), logits)
    torch.testing.assert_close(slope, expected, rtol=1e-9, atol=1e-12)
    keep = torch.tensor([2, 0])
    some = problem.select(keep)
    torch.testing.assert_close(some.value_and_slope(theta[keep])[1], slope[keep], rtol=1e-9, atol=1e-12)
    again = some.select(torch.tensor([1]))
    torch.testing.assert_close(again.value_and_slope(theta[:1])[1], slope[:1], rtol=1e-9, atol=1e-12)


def test_units_are_nodes_then_edges_and_sums_are_expansions_transposed() -> None:
    a, _, _ = graph_pair()
    for parts in (BOTH, ("edges", "nodes")):
        units = GraphUnits(side(a, "a").explaining(parts, "a"))
        mask = torch.rand(3, units.count, dtype=torch.float64)
        slopes = [torch.rand_like(units.side.leaves[leaf]) for leaf in units.leaves]
        forward = torch.zeros(3, dtype=torch.float64)
        for leaf, (values, slope) in enumerate(zip(units.expand(mask), slopes, strict=True)):
            forward = forward.index_add(
                0, units.side.pair_of(leaf), (values * slope).flatten(1).sum(1) if slope.dim() > 1 else values * slope
            )
        torch.testing.assert_close(forward, (mask * units.gather(slopes)).sum(1))
        undirected = [len({tuple(sorted(edge)) for edge in a[i].edge_index.T.tolist()}) for i in range(3)]
        assert units.valid.sum(1).tolist() == [a[i].num_nodes + undirected[i] for i in range(3)]
    one_way = GraphUnits(
        side(Data(x=a[0].x, edge_index=torch.tensor([[0, 1, 2], [1, 2, 0]])), "a").explaining(("edges",), "a")
    )
    assert one_way.count == 3


def test_a_batch_is_a_loop_and_swapping_swaps() -> None:
    a, b, model = graph_pair()
    pool = batch(*problems.graphs((5, 6, 4), seed=70))
    explainer = RobustPairExplainer(model, coupling="none")
    first, second = explainer.attribute((a, b), pool=pool, steps=40)
    for i in range(3):
        alone = explainer.attribute((a[i], b[i]), pool=pool, steps=40)
        for whole, one in ((first, alone[0]), (second, alone[1])):
            torch.testing.assert_close(whole.node_mask[whole.batch == i], one.node_mask, rtol=1e-9, atol=1e-12)
            torch.testing.assert_close(
                whole.edge_mask[whole.batch[whole.edge_index[0]] == i], one.edge_mask, rtol=1e-9, atol=1e-12
            )
    swapped = explainer.attribute((b, a), pool=pool, steps=40)
    torch.testing.assert_close(swapped[1].node_mask, first.node_mask, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(swapped[0].edge_mask, second.edge_mask, rtol=1e-9, atol=1e-12)


def test_relabelling_a_graph_relabels_its_masks_and_its_invariance() -> None:
    """All removed nodes of a graph get the same row, so that no draw depends on the order of the nodes."""
    a, b, model = graph_pair()
    other, nodes, edges = problems.relabelled(a[1])
    pool = batch(*problems.graphs((5, 6, 4, 7), seed=70))
    whole, moved = (InvarianceLearner(model, steps=30).fit(one, pool) for one in (a[1], other))
    torch.testing.assert_close(moved.maps.node_mask, whole.maps.node_mask[nodes], rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(moved.maps.edge_mask, whole.maps.edge_mask[edges], rtol=1e-7, atol=1e-9)
    first, second = (
        RobustPairExplainer(model).attribute((one, b[1]), invariance=held, steps=60)[0]
        for one, held in ((a[1], whole), (other, moved))
    )
    torch.testing.assert_close(second.node_mask, first.node_mask[nodes], rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(second.edge_mask, first.edge_mask[edges], rtol=1e-7, atol=1e-9)


def test_a_model_that_does_not_factor_learns_and_explains_the_same() -> None:
    a, b, model = graph_pair()
    pool = batch(*problems.graphs((5, 6, 4, 7), seed=70), a[2])  # one with the edges of a query among them
    factored = InvarianceLearner(model, steps=10).fit(a, pool)
    for joint in (problems.Dot(model.encoder), problems.Joint(model.encoder)):  # type: ignore[arg-type]
        learned = InvarianceLearner(joint, steps=10).fit(a, pool)
        torch.testing.assert_close(learned.mask, factored.mask, rtol=1e-9, atol=1e-12)
        for wrt in ("both", "first"):
            expected, found = (
                RobustPairExplainer(m).attribute((a, b), invariance=factored, steps=60, wrt=wrt)[0]
                for m in (model, joint)
            )
            torch.testing.assert_close(found.node_mask, expected.node_mask, rtol=1e-9, atol=1e-12)
            torch.testing.assert_close(found.edge_mask, expected.edge_mask, rtol=1e-9, atol=1e-12)


def test_graphs_without_edges_and_with_weights() -> None:
    a, b, model = graph_pair()
    lone = Data(x=a[0].x[:1], edge_index=torch.zeros(2, 0, dtype=torch.long))
    mixed = batch(a[0], lone)
    held = InvarianceLearner(model, steps=5).fit(mixed, batch(*problems.graphs(seed=70)))
    first, second = RobustPairExplainer(model).attribute((mixed, batch(lone, b[0])), invariance=held, steps=5)
    assert first.node_mask.shape == (6, 1)
    assert second.edge_mask.shape == (b[0].edge_index.shape[1],)
    alone = RobustPairExplainer(model).attribute((lone, b[0]), invariance=held[1], steps=5)
    torch.testing.assert_close(alone[0].node_mask, first.node_mask[5:])
    only = RobustPairExplainer(model, coupling="none").attribute(
        (mixed, batch(lone, b[0])), parts=("edges",), steps=5, internal_batch_size=1
    )
    assert only[0].edge_mask.shape == (a[0].edge_index.shape[1],)
    settled = RobustPairExplainer(model, coupling="none").attribute(
        (mixed, batch(lone, b[0])), descent=Descent(tolerance=1e3, every=2)
    )
    assert (
        settled[0].edge_mask.shape == only[0].edge_mask.shape
    )  # what is left when a pair has settled may have no edges
    weighted = problems.pairs(weights=True)
    found = RobustPairExplainer(SiameseModel(problems.Encoder("graph"), "dot"), coupling="none").attribute(
        weighted, parts=("nodes", "edge_weight"), steps=20
    )
    gated = RobustPairExplainer(SiameseModel(problems.Encoder("graph"), "dot"), coupling="none").attribute(
        weighted, parts=BOTH, steps=20
    )
    torch.testing.assert_close(
        found[0].edge_mask, gated[0].edge_mask
    )  # a weight of zero and a closed gate are the same where weights only multiply


def test_an_invariance_of_graphs_is_kept_and_drawn(learned: Invariance, tmp_path: Path) -> None:
    assert isinstance(learned.maps, Explanation)
    read = Invariance.load(learned.save(tmp_path / "m.safetensors"))
    assert torch.equal(read.mask, learned.mask)
    assert torch.equal(read.maps.edge_mask, learned.maps.edge_mask)
    assert torch.equal(read.maps.edge_index, QUERIES.edge_index)
    assert torch.equal(learned[[1, 0]].maps.node_mask[:5], learned.maps.node_mask[6:])
    explained = RobustPairExplainer(counting()).explain(
        (QUERIES, batch(REFERENCES[0], REFERENCES[3])), invariance=read, steps=5
    )
    assert explained.unsigned
    assert torch.equal(
        PairExplanation.load(explained.save(tmp_path / "e.safetensors")).maps[0].node_mask, explained.maps[0].node_mask
    )


def test_bad_graphs_and_options_are_named(learned: Invariance) -> None:
    model, pair = counting(), (QUERIES, batch(REFERENCES[0], REFERENCES[3]))
    explainer = RobustPairExplainer(model)
    for make, message in (
        (
            lambda: InvarianceLearner(model, scope="dataset").fit(QUERIES, REFERENCES),
            "scope='dataset': graphs have no units in common",
        ),
        (
            lambda: InvarianceLearner(model, units=torch.zeros(6).long()).fit(QUERIES, REFERENCES),
            "graphs have no units in common; leave out units=",
        ),
        (
            lambda: InvarianceLearner(model, aligned=True).fit(QUERIES, REFERENCES),
            "aligned=True: the nodes of two graphs have no common order",
        ),
        (
            lambda: InvarianceLearner(model, parts=("atoms",)).fit(QUERIES, REFERENCES),
            r"parts=\('atoms',\): one or several of nodes, edges",
        ),
        (
            lambda: InvarianceLearner(model, parts=("nodes",)).fit(torch.rand(2, 3), torch.rand(4, 3)),
            "input queries is no graph and has no parts",
        ),
        (
            lambda: InvarianceLearner(SiameseModel(problems.Pooled(), "dot")).fit(*problems.pairs()),
            "layer 'encoder.convs.1' .* not those of the graph",
        ),
        (
            lambda: explainer.attribute(pair, invariance=learned, parts=("nodes",)),
            "invariance is of nodes and edges and the masks of a of nodes: use the same",
        ),
        (
            lambda: explainer.attribute(pair[::-1], invariance=learned),
            "invariance of pair 0 is of a graph with other numbers of nodes and edges .* of input a",
        ),
        (
            lambda: explainer.attribute(pair, invariance=learned, units=torch.zeros(6).long()),
            "units of a cannot be chosen",
        ),
        (
            lambda: explainer.attribute(pair, invariance=learned, masks="shared"),
            "masks='shared' needs both sides to move and to have the same units",
        ),
        (
            lambda: explainer.attribute(pair, invariance=learned, pool=torch.rand(4, 3)),
            r"the pool of a holds items of shape \(3,\)",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            make()
    with pytest.warns(UserWarning, match="the reference of pair 1 is one that the invariance was learned from"):
        explainer.attribute(
            (QUERIES, collate_pairs([(QUERIES[0], NEUTRAL[0]), (QUERIES[1], REFERENCES[1])])[1]),
            invariance=learned,
            steps=2,
        )
