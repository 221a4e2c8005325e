"""The graph zoo: what must be true of its networks, on hand-made graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

pytest.importorskip("torch_geometric", reason='graphs need pip install "xsiamese[graph]"')

from torch_geometric.data import Batch, Data
from torch_geometric.utils import to_undirected

from xsiamese import PairAttribution, PairInputXGradient, PairIntegratedGradients, PairSaliency
from xsiamese.model.pair import PairModel, SiameseModel
from xsiamese.zoo import find_card, load, save
from xsiamese.zoo.encoders import BrainGCN, GraphEncoder
from xsiamese.zoo.graph import CARDS
from xsiamese.zoo.matching import GraphMatching, SimGNN

NAMES = [card.name for card in CARDS]
FEATURES = 5


def graphs(sizes: tuple[int, ...], seed: int = 0) -> list[Data]:
    """Connected graphs with random features and a few random edges beyond a path."""
    generator = torch.Generator().manual_seed(seed)
    made = []
    for n in sizes:
        path = torch.stack([torch.arange(n - 1), torch.arange(1, n)])
        more = torch.randint(n, (2, n), generator=generator)
        edges = torch.cat([path, more[:, more[0] != more[1]]], 1)
        made.append(
            Data(
                x=torch.randn(n, FEATURES, generator=generator, dtype=torch.float64),
                edge_index=to_undirected(edges, num_nodes=n),
            )
        )
    return made


def built(name: str, **more: Any) -> PairModel:
    torch.manual_seed(0)
    card = find_card(name)
    regions = {"regions": 6} if name == "brain-gcn" else {}
    model: PairModel = card.build(**{**card.defaults, "inputs": FEATURES, **regions, **more}).double().eval()
    return model


def sides(name: str) -> tuple[list[Data], list[Data]]:
    sizes = ((6, 6, 6), (6, 6, 6)) if name == "brain-gcn" else ((4, 7, 3), (6, 2, 9))
    return graphs(sizes[0], 1), graphs(sizes[1], 2)


def permuted(graph: Data, order: Tensor) -> Data:
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order))
    return Data(x=graph.x[order], edge_index=place[graph.edge_index])


def batches(name: str) -> tuple[Batch, Batch]:
    a, b = sides(name)
    return Batch.from_data_list(a), Batch.from_data_list(b)


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_equals_a_loop_so_that_nothing_leaks_from_pair_to_pair(name: str) -> None:
    model, (a, b) = built(name), sides(name)
    together = model(*batches(name))
    one_by_one = torch.cat(
        [model(Batch.from_data_list([x]), Batch.from_data_list([y])) for x, y in zip(a, b, strict=True)]
    )
    torch.testing.assert_close(together, one_by_one, rtol=1e-12, atol=1e-12)
    assert together.shape == (3,)
    assert len(torch.unique(together.detach())) == 3
    torch.testing.assert_close(model(a[0], b[0]), together[:1], rtol=1e-12, atol=1e-12)  # graphs that are in no batch


@pytest.mark.parametrize("name", [name for name in NAMES if name != "brain-gcn"])
def test_the_order_of_the_nodes_does_not_matter(name: str) -> None:
    model, (a, b) = built(name), sides(name)
    moved = [
        permuted(graph, torch.randperm(graph.num_nodes, generator=torch.Generator().manual_seed(i)))
        for i, graph in enumerate(a)
    ]
    torch.testing.assert_close(
        model(Batch.from_data_list(moved), Batch.from_data_list(b)), model(*batches(name)), rtol=1e-9, atol=1e-12
    )


def test_the_order_of_regions_does_matter_to_brains() -> None:
    model, (a, b) = built("brain-gcn"), sides("brain-gcn")
    moved = [permuted(graph, torch.tensor([1, 0, 2, 3, 4, 5])) for graph in a]
    assert not torch.allclose(model(Batch.from_data_list(moved), Batch.from_data_list(b)), model(*batches("brain-gcn")))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "simgnn"])
def test_swapping_the_two_changes_nothing(name: str) -> None:
    model, (a, b) = built(name), batches(name)
    torch.testing.assert_close(model(a, b), model(b, a), rtol=1e-12, atol=1e-12)


def test_the_tensor_network_of_simgnn_is_not_symmetric_and_its_histogram_is() -> None:
    model, (a, b) = built("simgnn"), batches("simgnn")
    assert isinstance(model, SimGNN)
    assert not torch.allclose(model(a, b), model(b, a), rtol=1e-9)
    u_a, u_b = model.nodes(a), model.nodes(b)
    torch.testing.assert_close(model.histogram(u_a, a, u_b, b), model.histogram(u_b, b, u_a, a))


def test_the_histogram_by_hand_and_without_a_gradient() -> None:
    model, (a, b) = built("simgnn"), batches("simgnn")
    assert isinstance(model, SimGNN)
    found = model.histogram(model.nodes(a), a, model.nodes(b), b)
    for i, (x, y) in enumerate(zip(*sides("simgnn"), strict=True)):
        u, v = model.nodes(x), model.nodes(y)
        n = max(len(u), len(v))
        filled = [torch.cat([w, w.new_zeros(n - len(w), w.shape[1])]) for w in (u, v)]
        by_hand = torch.histc((filled[0] @ filled[1].T).sigmoid().detach(), bins=16, min=0, max=1) / n**2
        torch.testing.assert_close(found[i], by_hand)
    torch.testing.assert_close(found.sum(1), torch.ones(3, dtype=torch.float64))
    model.head[0].weight.data[:, :16] = 0  # what is left of the score is the histogram
    a.x.requires_grad_()
    (gradient,) = torch.autograd.grad(model(a, b).sum(), a.x)
    assert not bool(gradient.any())


def test_simgnn_reports_the_sigmoid_of_what_is_explained() -> None:
    model, pair = built("simgnn"), batches("simgnn")
    torch.testing.assert_close(model(*pair), model.explained(*pair).sigmoid())
    assert not model.factored


@pytest.mark.parametrize("seed", range(20))
def test_simgnn_starts_alive_and_near_the_mean_that_it_is_told(seed: int) -> None:
    torch.manual_seed(seed)
    model = SimGNN(FEATURES, mean=0.2).double()
    a, b = batches("simgnn")
    score = model(a, b)
    assert float((score.detach() - 0.2).abs().max()) < 0.15
    assert float(score.detach().std()) > 1e-3
    (gradient,) = torch.autograd.grad(score[0], model.convs[0].lin.weight)
    assert bool(gradient.any())


def test_without_node_features_simgnn_tells_a_path_from_a_star_if_it_standardises() -> None:
    ends = torch.arange(1, 8)
    forms = [
        Data(x=torch.ones(8, 1), edge_index=to_undirected(torch.stack([start, ends]))) for start in (ends - 1, 0 * ends)
    ]
    for standardise in (False, True):
        torch.manual_seed(0)
        path, star = SimGNN(1, standardise=standardise).encode(Batch.from_data_list(forms))
        apart = float((path - star).detach().norm() / path.detach().norm())
        assert apart > 0.5 if standardise else apart < 0.1


def test_cross_attention_crosses() -> None:
    """Another partner changes a graph's embedding; without attention it does not; a graph that meets itself finds a
    match for every node.
    """
    torch.manual_seed(0)
    network = GraphMatching(FEATURES).double().eval()
    a, b = batches("graph-matching")
    other = Batch.from_data_list(graphs((5, 5, 5), 7))
    assert bool(((network(a, b)[0] - network(a, other)[0]).abs().amax(1) > 1e-6).all())
    h_a, h_b = torch.eye(3, dtype=torch.float64)[[0, 1]] * 50, torch.eye(3, dtype=torch.float64)[[1, 0, 2]] * 50
    two, three = (Data(x=h, edge_index=torch.empty(2, 0, dtype=torch.long)) for h in (h_a, h_b))
    to_a, to_b = network.attended(h_a, two, h_b, three)
    torch.testing.assert_close(to_a, h_a)  # far apart, so that each node attends to its equal only
    torch.testing.assert_close(to_b[:2], h_b[:2])
    torch.testing.assert_close(to_b[2], h_a.mean(0))  # no match: all alike
    network.attended = lambda h_a, a, h_b, b: (h_a, h_b)  # type: ignore[method-assign]
    torch.testing.assert_close(network(a, b)[0], network(a, other)[0])


def test_identical_graphs_are_closest() -> None:
    for name in ("siamese-gcn", "siamese-gin", "siamese-gat", "graph-matching"):
        model, (a, b) = built(name), batches(name)
        same, other = model(a, a), model(a, b)
        assert bool(((same > other) if model.higher_is_closer else (same < other)).all()), name


@pytest.mark.parametrize("readout", ["mean", "sum", "attention"])
@pytest.mark.parametrize("comparison", ["cosine", "euclidean", "learned"])
def test_every_readout_and_head(readout: str, comparison: str) -> None:
    model = built("siamese-gin", readout=readout, comparison=comparison, layers=2, hidden=8, dimensions=4)
    assert isinstance(model, SiameseModel)
    a, b = batches("siamese-gin")
    assert model.encode(a).shape == (3, 4)
    twice = Batch.from_data_list([*sides("siamese-gin")[0], *sides("siamese-gin")[1]])
    torch.testing.assert_close(model.compare(*model.encode(twice).chunk(2)), model(a, b))


def test_edge_weights_count_where_the_network_knows_them() -> None:
    for name in ("siamese-gcn", "brain-gcn", "simgnn", "graph-matching"):
        model, (a, b) = built(name), batches(name)
        plain = model(a, b)
        a.edge_weight = torch.ones(a.num_edges, dtype=torch.float64)
        torch.testing.assert_close(model(a, b), plain)
        a.edge_weight = torch.linspace(0.1, 3, a.num_edges, dtype=torch.float64)
        assert not torch.allclose(model(a, b), plain), name


def test_edge_attributes_reach_the_matching_network() -> None:
    model, (a, b) = built("graph-matching", attributes=2), batches("graph-matching")
    a.edge_attr, b.edge_attr = (torch.zeros(g.num_edges, 2, dtype=torch.float64) for g in (a, b))
    plain = model(a, b)
    a.edge_attr = a.edge_attr + 1
    assert not torch.allclose(model(a, b), plain)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_saved_comes_back(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    card, arguments = find_card(name), {"inputs": FEATURES, **({"regions": 6} if name == "brain-gcn" else {})}
    model = card.build(**{**card.defaults, **arguments}).eval()
    if (comparison := getattr(model, "comparison", None)) is not None:
        comparison.threshold_ = 0.25
    found = load(save(tmp_path / "m.safetensors", model, name, arguments))
    a, b = (batch.apply(lambda t: t.float() if t.is_floating_point() else t) for batch in batches(name))
    assert torch.equal(found.model(a, b), model(a, b))
    if comparison is not None:
        assert found.model.comparison.threshold_ == 0.25  # type: ignore[union-attr, attr-defined]


@pytest.mark.parametrize("name", NAMES)
def test_the_layer_of_the_card_is_there(name: str) -> None:
    model, card = built(name), find_card(name)
    assert card.layer is not None
    inner = model.encoder if isinstance(model, SiameseModel) else model
    assert inner.get_submodule(card.layer)
    if card.embedding is not None and isinstance(model, SiameseModel):
        assert model.encode(batches(name)[0]).shape[1] == card.embedding


def test_bad_words_and_bad_graphs_are_told() -> None:
    with pytest.raises(ValueError, match=r"conv='gcnn': one of gcn, gin, gat"):
        GraphEncoder(3, "gcnn")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"readout='max'"):
        GraphEncoder(3, readout="max")  # type: ignore[arg-type]
    a, b = batches("siamese-gcn")
    for name in NAMES:
        with pytest.raises(ValueError, match=r"node features have shape \(14, 5\): \(nodes, 4\) is needed"):
            built(name, inputs=4)(a, b)
    with pytest.raises(ValueError, match="have shape None"):
        GraphEncoder(3)(Data(edge_index=torch.tensor([[0], [1]]), num_nodes=2))
    with pytest.raises(ValueError, match="14 nodes in 3 graphs: 6 regions each are needed"):
        BrainGCN(FEATURES, 6).double()(a)
    with pytest.raises(ValueError, match="mean=1: the mean of similarities, between 0 and 1"):
        SimGNN(FEATURES, mean=1)
    for name in ("simgnn", "graph-matching"):
        with pytest.raises(ValueError, match="a holds 1 graphs and b 3"):
            built(name)(Batch.from_data_list(sides(name)[0][:1]), b)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("explainer", [PairSaliency, PairInputXGradient, PairIntegratedGradients])
def test_every_network_is_explained(name: str, explainer: type[PairAttribution]) -> None:
    model, (a, b) = built(name), batches(name)
    first, second = explainer(model).attribute((a, b))
    assert (first.node_mask.shape, second.node_mask.shape) == (a.x.shape, b.x.shape)
    assert bool(first.node_mask.any())
    assert bool(second.node_mask.any())
    edges = explainer(model).attribute((a, b), parts=("edges",))
    assert [found.edge_mask.shape for found in edges] == [(a.num_edges,), (b.num_edges,)]


@pytest.mark.parametrize("name", ["siamese-gin", "brain-gcn", "graph-matching"])
def test_integrated_gradients_sum_to_the_change_of_the_score(name: str) -> None:
    model, (a, b) = built(name), batches(name)
    _, delta = PairIntegratedGradients(model).attribute((a, b), n_steps=300, return_convergence_delta=True)
    change = model(a, b) - model(*(Batch(x=0 * g.x, edge_index=g.edge_index, batch=g.batch, ptr=g.ptr) for g in (a, b)))
    assert float(delta.abs().max()) < 2e-2 * float(change.detach().abs().max())
