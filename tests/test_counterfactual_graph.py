"""Graph edits: optimal where all sets are tried, known answers, really edited graphs, and honest where
nothing flips.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data
from torch_geometric.utils import subgraph

from tests.graphs import Convolved, edge_count, graph, node_count, one, random_graph, triangles, without
from xsiamese import SiameseModel
from xsiamese.kinds.graphs.variants import Variants
from xsiamese_counterfactual import Counterfactual, CounterfactualExplanation, PairGraphEdits

Part = tuple[int, ...]


def parts(data: Data, delete: str) -> list[Part]:
    edges = [(u, v) for u, v in data.edge_index.T.tolist() if u < v]
    nodes = [(k,) for k in range(int(data.num_nodes or 0))]
    return [*(edges if delete != "nodes" else []), *(nodes if delete != "edges" else [])]


def fewest(model: Any, a: Data, b: Data, threshold: float, delete: str, sides: str, most: int = 3) -> int | None:
    """The fewest deletions that flip the decision of a distance, by plain loops."""

    def alike(x: Data, y: Data) -> bool:
        return float(model(one(x), one(y)).detach()) <= threshold

    options = [
        *[("a", part) for part in parts(a, delete) if "a" in sides],
        *[("b", part) for part in parts(b, delete) if "b" in sides],
    ]
    before = alike(a, b)
    for count in range(1, most + 1):
        for chosen in combinations(options, count):
            gone = {side: {part for where, part in chosen if where == side} for side in "ab"}
            if any(
                len(gone[side] & set(parts(data, "nodes"))) == data.num_nodes for side, data in (("a", a), ("b", b))
            ):
                continue
            if delete == "both" and any(
                len(part) == 1
                and any(part[0] in edge and edge not in gone[side] for edge in parts((a, b)["ab".index(side)], "edges"))
                for side, part in chosen
            ):
                continue
            if alike(without(a, gone["a"]), without(b, gone["b"])) != before:
                return count
    return None


@pytest.mark.parametrize("delete", ["edges", "nodes", "both"])
@pytest.mark.parametrize(("sides", "wrt"), [("ab", "both"), ("a", "first"), ("b", "second")])
@pytest.mark.parametrize(("seed", "share"), [(0, 0.75), (1, 0.5), (2, 1.3)])
def test_no_fewer_deletions_flip(seed: int, share: float, sides: str, wrt: Any, delete: Any) -> None:
    model = SiameseModel(Convolved(seed), "euclidean")
    a, b = random_graph(5, 6, seed), random_graph(4, 4, seed + 10)
    threshold = share * float(model(one(a), one(b)).detach())
    found = PairGraphEdits(model, threshold=threshold).find((one(a), one(b)), wrt=wrt, delete=delete)[0]
    optimum = fewest(model, a, b, threshold, delete, sides)
    if optimum is None:
        assert not found.flipped or found.count > 3
        return
    assert found.flipped
    assert found.count == len(found.edits) == optimum
    assert {edit.side for edit in found.edits} <= set(sides)
    beam = PairGraphEdits(model, threshold=threshold).find((one(a), one(b)), wrt=wrt, delete=delete, exact=0)[0]
    assert not beam.flipped or beam.count >= optimum


@pytest.mark.parametrize("delete", ["edges", "nodes", "both"])
def test_the_graphs_are_really_edited_and_the_score_is_the_models_own(delete: Any) -> None:
    model = SiameseModel(Convolved(1), "euclidean")
    a, b = random_graph(7, 9, 1), random_graph(6, 8, 2)
    before = float(model(one(a), one(b)).detach())
    found = PairGraphEdits(model, threshold=0.5 * before).find((one(a), one(b)), delete=delete)[0]
    assert found.flipped
    assert found.score_before == pytest.approx(before, abs=1e-12)
    edited = [
        without(data, {edit.where for edit in found.edits if edit.side == side}) for side, data in (("a", a), ("b", b))
    ]
    for mine, theirs in zip(found.edited, edited, strict=True):
        assert torch.equal(mine.x, theirs.x)
        assert {tuple(pair) for pair in mine.edge_index.T.tolist()} == {
            tuple(pair) for pair in theirs.edge_index.T.tolist()
        }
        assert mine.is_undirected()
    assert float(model(one(edited[0]), one(edited[1])).detach()) == pytest.approx(found.score_after, abs=1e-12)
    assert found.path[-1] == pytest.approx(found.score_after, abs=1e-12)
    assert (found.score_after <= 0.5 * before) == found.flipped


@pytest.mark.parametrize("missing", [1, 2, 3, 6])
def test_as_many_edges_as_one_graph_has_too_many(missing: int) -> None:
    edges = list(combinations(range(6), 2))
    a, b = graph(edges, 6), graph(edges[missing:], 6)
    search = PairGraphEdits(lambda x, y: (edge_count(x) - edge_count(y)).abs(), threshold=0.5, higher_is_closer=False)
    found = search.find((one(a), one(b)))[0]
    assert (found.flipped, found.count, found.side) == (True, missing, "a")
    assert search.find((one(b), one(a)))[0].side == "b"
    held = search.find((one(b), one(a)), wrt="first")[0]
    assert not held.flipped
    assert held.reason
    assert held.count == 0
    assert held.score_after == held.score_before


def test_a_node_goes_with_its_edges_or_after_them() -> None:
    star = graph([(0, k) for k in range(1, 4)], 4)
    search = PairGraphEdits(lambda x, y: node_count(x) - node_count(y) + 1, threshold=0.5, higher_is_closer=True)
    found = search.find((one(star), one(star)), wrt="first", delete="nodes")[0]
    assert found.count == 1
    apart = search.find((one(star), one(star)), wrt="first", delete="both")[0]
    assert [len(edit.where) for edit in apart.edits] == [2, 1]  # a leaf: its edge, then itself
    assert apart.edited[0].num_nodes == 3


@pytest.mark.parametrize("planted", [1, 3, 5])
def test_one_edge_of_each_planted_triangle(planted: int) -> None:
    """More than the search tries exhaustively: the beam follows the score."""
    rings = [(3 * k + i, 3 * k + j) for k in range(planted) for i, j in ((0, 1), (1, 2), (0, 2))]
    bridges = [(3 * k, 3 * k + 3) for k in range(planted)]
    a, b = graph([*rings, *bridges], 3 * planted + 1), graph([(0, 1), (1, 2), (0, 2)], 3)
    found = PairGraphEdits(lambda x, y: triangles(x) * triangles(y), threshold=0.5).find((one(a), one(b)), wrt="first")[
        0
    ]
    assert found.flipped
    assert found.count == planted
    assert {edit.where for edit in found.edits} <= set(rings)
    assert len({edit.where[0] // 3 for edit in found.edits}) == planted
    assert (
        PairGraphEdits(lambda x, y: triangles(x) * triangles(y), threshold=0.5).find((one(a), one(b)))[0].count == 1
    )  # b's only triangle is cheaper


def test_what_turns_out_to_be_needless_is_put_back() -> None:
    """The first step is a dead end: edge 0 alone gains most, but 1 and 2 are enough."""
    path = graph([(0, 1), (1, 2), (2, 3)], 4)
    path.edge_attr = torch.tensor([0.0, 0.0, 1.0, 1.0, 2.0, 2.0]).double()[:, None]

    def score(x: Any, y: Any) -> Tensor:
        there = torch.stack(
            [
                torch.zeros(x.num_graphs)
                .double()
                .index_put_((x.batch[x.edge_index[0]],), (x.edge_attr[:, 0] == k).double(), True)
                for k in range(3)
            ]
        )
        gone = 1 - there / 2
        return 1 - torch.maximum(0.5 * gone[0], 0.45 * (gone[1] + gone[2]))

    greedy = PairGraphEdits(score, threshold=0.2).find((one(path), one(path)), wrt="first", exact=0, beam=1)[0]
    assert sorted(edit.where for edit in greedy.edits) == [(1, 2), (2, 3)]
    assert greedy.flipped


def test_a_model_of_two_inputs_is_searched_like_a_factored_one() -> None:
    encoder = Convolved(3)

    class TwoInputs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(self, a: Any, b: Any) -> Tensor:
            return (self.encoder(a) - self.encoder(b)).norm(dim=1)

    a, b = one(random_graph(6, 7, 5)), one(random_graph(5, 6, 6))
    factored = SiameseModel(encoder, "euclidean")
    threshold = 0.5 * float(factored(a, b).detach())
    first = PairGraphEdits(factored, threshold=threshold).find((a, b))[0]
    second = PairGraphEdits(TwoInputs(), threshold=threshold, higher_is_closer=False).find((a, b))[0]
    small = PairGraphEdits(TwoInputs(), threshold=threshold, higher_is_closer=False).find(
        (a, b), internal_batch_size=7
    )[0]
    assert [e.where for e in first.edits] == [e.where for e in second.edits] == [e.where for e in small.edits]
    assert first.score_after == pytest.approx(second.score_after, abs=1e-12)


def test_a_batch_equals_a_loop_and_nothing_is_left_behind() -> None:
    model = SiameseModel(Convolved(0), "euclidean").train()
    pairs = [(random_graph(6, 7, k), random_graph(5, 5, k + 20)) for k in range(3)]
    sides = tuple(Batch.from_data_list([pair[k] for pair in pairs]) for k in (0, 1))
    kept = [side.clone() for side in sides]
    together = PairGraphEdits(model, threshold=3.0).find(sides, ids=[("x", str(k)) for k in range(3)])
    for pair, found in zip(pairs, together, strict=True):
        alone = PairGraphEdits(model, threshold=3.0).find((one(pair[0]), one(pair[1])))[0]
        assert alone.edits == found.edits
        assert alone.score_after == found.score_after
    assert model.training
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    for side, before in zip(sides, kept, strict=True):
        assert all(torch.equal(side[key], before[key]) for key in ("x", "edge_index", "batch"))


def test_whole_numbers_as_features() -> None:
    a, b = graph([(0, 1), (1, 2)], 3, torch.tensor([[1], [2], [1]])), graph([(0, 1)], 2, torch.tensor([[1], [2]]))
    found = PairGraphEdits(
        lambda x, y: (edge_count(x) - edge_count(y)).abs(), threshold=0.5, higher_is_closer=False
    ).find((one(a), one(b)))[0]
    assert found.count == 1
    assert found.edited[0].x.dtype == torch.long


def test_directed_edges_go_one_by_one() -> None:
    a = Data(x=torch.ones(3, 1), edge_index=torch.tensor([[0, 1, 0], [1, 2, 2]]))
    found = PairGraphEdits(lambda x, y: edge_count(x), threshold=1.2).find((one(a), one(a)), wrt="first")[0]
    assert found.count == 1
    assert found.edited[0].num_edges == 2


@pytest.mark.parametrize("threshold", [-1.0, 1.0])
def test_what_nothing_flips_says_so(threshold: float) -> None:
    a = one(graph([(0, 1), (1, 2), (0, 2)], 3))
    found = PairGraphEdits(lambda x, y: torch.zeros(x.num_graphs), threshold=threshold).find((a, a))[0]
    assert not found.flipped
    assert found.reason == "no set of up to 6 of the 6 edges was found; all sets of up to 3 were tried"
    assert found.edits == ()
    assert "stays" in found.summary()
    few = PairGraphEdits(lambda x, y: torch.zeros(x.num_graphs), threshold=threshold).find((a, a), most=2)[0]
    assert few.reason == "no set of up to 2 of the 6 edges does it: all were tried"
    bare = one(graph([], 2))
    assert (
        PairGraphEdits(lambda x, y: torch.zeros(x.num_graphs), threshold=threshold).find((bare, bare))[0].reason
        == "there are no edges to delete"
    )


def test_a_model_that_gives_no_number_without_edges_is_searched_around_it() -> None:
    a = one(graph([(0, 1), (1, 2)], 3))

    def mean_edge(x: Any, y: Any) -> Tensor:
        return edge_count(x) * edge_count(x) / edge_count(x)  # 0 / 0 without edges

    found = PairGraphEdits(mean_edge, threshold=1.5).find((a, a), wrt="first")[0]
    assert (found.flipped, found.count, found.score_after) == (True, 1, 1.0)


def test_saved_and_drawn(tmp_path: Any) -> None:
    model = SiameseModel(Convolved(1), "euclidean")
    a, b = one(random_graph(7, 9, 1)), one(random_graph(6, 8, 2))
    explanation = PairGraphEdits(model, threshold=0.5 * float(model(a, b).detach())).explain(
        (a, b), parts="edges", delete="both"
    )
    assert isinstance(explanation, CounterfactualExplanation)
    found = explanation.counterfactuals[0]
    again = Counterfactual.load(found.save(tmp_path / "x.safetensors"))
    assert again.edits == found.edits
    for mine, theirs in zip((*again.inputs, *again.edited), (*found.inputs, *found.edited), strict=True):
        assert torch.equal(mine.edge_index, theirs.edge_index)
        assert torch.equal(mine.x, theirs.x)
        assert torch.equal(mine.batch, theirs.batch)
    figure = again.plot()
    assert len(figure.axes) == 3
    figure.savefig(tmp_path / "x.png")
    dashed = sum(len(axis.collections[1].get_segments()) for axis in figure.axes[:2])
    assert dashed == sum(len(edit.where) == 2 for edit in found.edits) > 0
    whole = CounterfactualExplanation.load(explanation.save(tmp_path / "y.safetensors"))
    assert whole.counterfactuals[0].edits == found.edits
    assert torch.equal(whole.maps[0].edge_mask, explanation.maps[0].edge_mask)


def test_maps_hold_the_closeness_that_was_lost() -> None:
    model = SiameseModel(Convolved(1), "euclidean")
    a, b = one(random_graph(7, 9, 1)), one(random_graph(6, 8, 2))
    search = PairGraphEdits(model, threshold=0.5 * float(model(a, b).detach()))
    found = search.find((a, b))[0]
    for asked, key in (("edges", "edge_mask"), ("nodes", "node_mask")):
        maps = search.attribute((a, b), parts=asked)
        total = sum(float(side[key].sum()) for side in maps)
        assert total == pytest.approx(
            found.score_after - found.score_before
        )  # a distance: closeness lost is distance gained
    first = search.attribute((a, b), parts="edges")[0]
    on = {tuple(pair) for pair, value in zip(a.edge_index.T.tolist(), first.edge_mask.tolist(), strict=True) if value}
    assert on == {pair for edit in found.edits if edit.side == "a" for pair in (edit.where, edit.where[::-1])}


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"delete": "atoms"}, ValueError, "'edges', 'nodes' or 'both'"),
        ({"most": 0}, ValueError, "most=0"),
        ({"beam": 0}, ValueError, "beam=0"),
        ({"bean": 3}, TypeError, "did you mean 'beam'"),
    ],
)
def test_options_that_do_not_fit(change: dict[str, Any], error: type[Exception], said: str) -> None:
    a = one(graph([(0, 1)], 2))
    with pytest.raises(error, match=said):
        PairGraphEdits(lambda x, y: edge_count(x), threshold=0.5).find((a, a), **change)


def test_inputs_that_do_not_fit() -> None:
    a = one(graph([(0, 1)], 2))
    with pytest.raises(ValueError, match="no threshold is known"):
        PairGraphEdits(lambda x, y: edge_count(x)).find((a, a))
    with pytest.raises(TypeError, match=r"PairGraphEdits does not explain a row, .*say kind=, one of graph"):
        PairGraphEdits(lambda x, y: x.sum(1), threshold=0.5).find((torch.ones(1, 2), torch.ones(1, 2)))
    with pytest.raises(ValueError, match="one score per pair"):
        PairGraphEdits(lambda x, y: x.x, threshold=0.5).find((a, a))
    ring = graph([(0, 1)], 2)
    ring.tree_index = torch.tensor([0, 1])
    with pytest.raises(ValueError, match="node numbers in tree_index"):
        Variants(ring)
    with pytest.raises(ValueError, match="an edge ends outside"):
        Variants(Data(x=torch.ones(2, 1), edge_index=torch.tensor([[0], [2]])))
    with pytest.raises(TypeError, match="a single"):
        Variants(a)


@pytest.mark.parametrize("seed", range(3))
def test_variants_are_what_torch_geometric_makes_one_by_one(seed: int) -> None:
    data = random_graph(8, 12, seed)
    data.edge_attr, data.y, data.name = torch.randn(24, 2), torch.tensor([seed]), "x"
    parts = Variants(data)
    generator = torch.Generator().manual_seed(seed)
    nodes, edges = (torch.rand(20, size, generator=generator) < 0.3 for size in (8, len(parts.ends)))
    made = parts.without(nodes, edges)
    expected = []
    for row in range(20):
        left = ~edges[row][parts.edge_of]
        edge_index, edge_attr = subgraph(
            ~nodes[row], data.edge_index[:, left], data.edge_attr[left], relabel_nodes=True, num_nodes=8
        )
        expected.append(Data(x=data.x[~nodes[row]], edge_index=edge_index, edge_attr=edge_attr, y=data.y, name="x"))
    whole = Batch.from_data_list(expected)
    assert set(whole.keys()) == set(made.keys())
    for key in set(whole.keys()):
        assert torch.equal(whole[key], made[key]) if isinstance(whole[key], Tensor) else whole[key] == made[key]
    for mine, theirs in zip(made.to_data_list(), expected, strict=True):
        assert torch.equal(mine.edge_index, theirs.edge_index)
