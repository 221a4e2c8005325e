"""Attributes of graphs are cut where PyG cut them: nothing is dropped, re-cut or guessed from a length."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from xsiamese import PairGraphEdits, PairLeaveOneOut, SiameseModel
from xsiamese.kinds.catalogue import side
from xsiamese.kinds.graphs.structure import of_graphs
from xsiamese.kinds.graphs.variants import Variants, of_side

pyg = pytest.importorskip("torch_geometric")
from torch_geometric.data import Batch, Data  # noqa: E402


def ring(n: int, seed: int, k: int = 5) -> Data:
    generator = torch.Generator().manual_seed(seed)
    edges = torch.tensor([[i, (i + 1) % n] for i in range(n)]).T.contiguous()
    x = torch.randn(n, 3, generator=generator, dtype=torch.float64)
    extra = torch.randn(k, generator=generator, dtype=torch.float64)
    return Data(
        x=x, edge_index=edges, u=extra, t=0.5, name=f"g{n}", root_index=torch.tensor([n - 1]), z=torch.arange(n)
    )


class Encoder(nn.Module):
    """Sums over nodes and edges, and a term of every attribute of the graph as a whole."""

    def forward(self, data: Data) -> Tensor:
        graphs = int(data.num_graphs)
        nodes = torch.zeros(graphs, 3, dtype=torch.float64).index_add(0, data.batch, data.x)
        start, end = data.edge_index
        edges = torch.zeros(graphs, 3, dtype=torch.float64).index_add(0, data.batch[start], data.x[start] * data.x[end])
        rooted = data.x[data.root_index] if "root_index" in data else 0.0
        return (
            nodes
            + edges
            + rooted
            + 3 * data.u.view(graphs, -1)[:, :3]
            + data.t.view(-1, 1)
            + data.z[data.ptr[1:] - 1, None]
        )


def test_any_graphs_come_back_as_pyg_takes_them_apart() -> None:
    """Repeated, cut and reordered batches are those that PyG makes of the same graphs."""
    graphs = [ring(n, n) for n in (5, 3, 7)]  # of 5 nodes and edges with a u of 5
    structure = of_graphs(Batch.from_data_list(graphs), "a")
    for which in ([0, 1, 2], [2, 0], [1, 1, 0], [0]):
        ours, theirs = structure.select(torch.tensor(which)).data, Batch.from_data_list([graphs[i] for i in which])
        for key, value in theirs.to_dict().items():
            assert torch.equal(ours[key], value) if isinstance(value, Tensor) else ours[key] == value, key
        for one, i in zip(ours.to_data_list(), which, strict=True):
            assert set(one.keys()) == set(graphs[i].keys())
            assert torch.equal(one.root_index, graphs[i].root_index)
            assert torch.equal(one.u, graphs[i].u)


@pytest.mark.parametrize("sizes", [(4, 7), (6, 5)])
def test_leaving_out_edges_keeps_what_belongs_to_the_graph(sizes: tuple[int, int]) -> None:
    graphs = [ring(n, n) for n in sizes]
    for graph in graphs:
        del graph.root_index  # a node's number: refused where nodes may go
        graph.u = graph.u[:3] if len(graph.u) in sizes else graph.u
    a, b = (Batch.from_data_list([graph]) for graph in graphs)
    model = SiameseModel(Encoder(), "dot").eval()

    def without(i: int) -> Batch:
        less = graphs[0].clone()
        less.edge_index = less.edge_index[:, torch.arange(sizes[0]) != i]
        return Batch.from_data_list([less])

    score = float(model(a, b))
    by_hand = [score - float(model(without(i), b)) for i in range(sizes[0])]
    found = PairLeaveOneOut(model).explain(tuple(graphs), parts="edges")
    assert found.maps[0].edge_mask.tolist() == pytest.approx(by_hand)
    assert float(found.scores[0]) == pytest.approx(score)
    model.comparison.threshold_ = score - 1.0
    edited = PairGraphEdits(model).find(tuple(graphs), most=1)[0]
    assert edited.score_before == pytest.approx(score)


def test_what_cannot_be_known_is_refused_by_name() -> None:
    graph = ring(4, 0)
    batch = torch.tensor([0, 0, 1, 1])
    pair_of_two = {"x": graph.x, "edge_index": torch.tensor([[0, 2], [1, 3]]), "batch": batch}
    with pytest.raises(ValueError, match="u of input a has 10 rows for 4 nodes, 2 edges and 2 graphs: whose they are"):
        of_graphs(Data(**pair_of_two, u=torch.zeros(10)), "a")
    with pytest.raises(ValueError, match="in ascending order from 0, not -1"):
        of_graphs(Data(**{**pair_of_two, "batch": batch - 1}), "b")
    nested = Batch.from_data_list([Data(x=graph.x, edge_index=graph.edge_index, meta={"m": torch.ones(2)})])
    with pytest.raises(ValueError, match="meta of input a is nested"):
        of_graphs(nested, "a")
    sparse = torch.eye(4).to_sparse()
    with pytest.raises(ValueError, match=r"^adj of input a is sparse, which is not supported: take it off with del$"):
        of_graphs(Data(**pair_of_two, adj=sparse), "a")


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (
            lambda: Variants(Batch.from_data_list([ring(4, 0)])),
            "the graph is a DataBatch: a single torch_geometric.data.Data is needed",
        ),
        (
            lambda: Variants(Data(x=torch.ones(2, 1)), "input b"),
            "input b has no edge_index, so it has no edges to take away; a graph without edges has one of shape (2, 0)",
        ),
        (
            lambda: of_side(side(torch.ones(2, 3), "a"), "a"),
            "input a is a Tensor: parts are deleted from graphs, give a torch_geometric Batch",
        ),
    ],
)
def test_what_has_no_parts_to_take_away_is_told(call: Callable[[], object], told: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    assert str(caught.value) == told


class Counting(Encoder):
    """Another model where the batch is longer: the score of a pair hangs on what stands beside it."""

    def forward(self, data: Data) -> Tensor:
        return super().forward(data) * data.num_graphs


def test_graphs_built_anew_must_have_the_same_score() -> None:
    graphs = tuple(ring(n, n) for n in (4, 7))
    for graph in graphs:
        del graph.root_index
    with pytest.raises(ValueError, match="for the same graphs built anew, before anything is removed"):
        PairLeaveOneOut(SiameseModel(Counting(), "dot").eval()).explain(graphs, parts="edges")
