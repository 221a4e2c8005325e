"""What means the same is explained the same: columns or nodes in another order, another SMILES, more padding."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from tests.graphs import one, random_graph
from xsiamese import (
    PairGradCAM,
    PairInputXGradient,
    PairIntegratedGradients,
    PairOcclusion,
    PairSaliency,
    SiameseModel,
)

OF_ROWS = [PairSaliency, PairInputXGradient, PairIntegratedGradients, PairOcclusion]


@pytest.mark.parametrize("explainer", OF_ROWS)
def test_columns_in_another_order(explainer: type) -> None:
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3)).double()
    order = torch.tensor([3, 0, 4, 1, 2])
    other = copy.deepcopy(encoder)
    other[0].weight.data = encoder[0].weight.data[:, order]  # feature i of the other model is feature order[i] of this
    pair = torch.randn(2, 4, 5, dtype=torch.float64)
    options = {"sliding_window_shapes": (1,)} if explainer is PairOcclusion else {}
    maps = explainer(SiameseModel(encoder, "cosine")).attribute(tuple(pair), **options)
    moved = explainer(SiameseModel(other, "cosine")).attribute(tuple(pair[..., order]), **options)
    for found, again in zip(maps, moved, strict=True):
        assert torch.allclose(found[:, order], again, rtol=0, atol=1e-12)
        assert float(found.std()) > 1e-3  # nothing is equal because it is zero


def renumbered(graph: object, order: Tensor, seed: int) -> object:
    """Node i of the result is node ``order[i]`` of the graph, and the edges stand in another order."""
    from torch_geometric.data import Data

    place = order.argsort()  # where each node went
    edges = place[graph.edge_index]  # type: ignore[attr-defined]
    shuffled = torch.randperm(edges.shape[1], generator=torch.Generator().manual_seed(seed))
    return Data(x=graph.x[order], edge_index=edges[:, shuffled])  # type: ignore[attr-defined]


class OfGraphs(nn.Module):
    """A graph network with a mean over nodes."""

    def __init__(self, features: int) -> None:
        from torch_geometric.nn import GCNConv

        super().__init__()
        self.first, self.second = GCNConv(features, 6), GCNConv(6, 4)

    def forward(self, data: object) -> Tensor:
        from torch_geometric.nn import global_mean_pool

        x = self.first(data.x, data.edge_index).tanh()  # type: ignore[attr-defined]
        return global_mean_pool(self.second(x, data.edge_index), data.batch)  # type: ignore[attr-defined]


@pytest.mark.parametrize("explainer", [PairSaliency, PairInputXGradient, PairIntegratedGradients, PairGradCAM])
def test_nodes_renumbered(explainer: type) -> None:
    torch.manual_seed(0)
    model = SiameseModel(OfGraphs(3).double(), "cosine")
    a, b = random_graph(8, 11, seed=1), random_graph(6, 7, seed=2)
    orders = [torch.randperm(n, generator=torch.Generator().manual_seed(n)) for n in (8, 6)]
    moved = [renumbered(graph, order, 5) for graph, order in zip((a, b), orders, strict=True)]
    layer = ("second",) if explainer is PairGradCAM else ()
    maps = explainer(model, *layer).attribute((one(a), one(b)))
    again = explainer(model, *layer).attribute((one(moved[0]), one(moved[1])))
    for found, other, order in zip(maps, again, orders, strict=True):
        assert torch.allclose(_of_nodes(found)[order], _of_nodes(other), rtol=0, atol=1e-12)
        assert float(_of_nodes(found).abs().max()) > 1e-4


def _of_nodes(found: object) -> Tensor:
    """One number a node."""
    values = found if isinstance(found, Tensor) else found.node_mask  # type: ignore[attr-defined]
    return values.reshape(len(values), -1).sum(1) if values.dim() > 1 else values


@pytest.mark.parametrize(("smiles", "other"), [("CCOc1ccccc1N", "Nc1ccccc1OCC"), ("OC(=O)CCl", "ClCC(O)=O")])
def test_a_molecule_as_another_smiles(smiles: str, other: str) -> None:
    rdkit = pytest.importorskip("rdkit.Chem")
    from xsiamese.data.molecules import molecule

    first, second, partner = (molecule(text) for text in (smiles, other, "CC(=O)Nc1ccc(O)cc1"))
    # atom i of the other SMILES is atom order[i] of the first: RDKit's own match, not our reading
    found, pattern = (rdkit.MolFromSmiles(text) for text in (smiles, other))
    order = torch.tensor(found.GetSubstructMatch(pattern))
    torch.manual_seed(0)
    model = SiameseModel(OfGraphs(first.x.shape[1]).double(), "cosine")
    for graph in (first, second, partner):
        graph.x = graph.x.double()
    explainer = PairIntegratedGradients(model)
    maps = explainer.attribute((one(first), one(partner)))
    again = explainer.attribute((one(second), one(partner)))
    assert torch.allclose(_of_nodes(maps[0])[order], _of_nodes(again[0]), rtol=0, atol=1e-8)
    assert torch.allclose(_of_nodes(maps[1]), _of_nodes(again[1]), rtol=0, atol=1e-8)
    assert float(_of_nodes(maps[0]).std()) > 1e-4


class OfTokens(nn.Module):
    """The mean of what a mask leaves of a text."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(4, 6), nn.Linear(6, 3)

    def forward(self, vectors: Tensor, mask: Tensor) -> Tensor:
        kept = mask[..., None].to(vectors)
        return (self.two(self.one(vectors).tanh()) * kept).sum(1) / kept.sum(1)


@pytest.mark.parametrize("explainer", [PairSaliency, PairIntegratedGradients])
def test_a_padded_text(explainer: type) -> None:
    torch.manual_seed(0)
    model = SiameseModel(OfTokens().double(), "cosine")
    vectors, mask = torch.randn(2, 3, 5, 4, dtype=torch.float64), torch.ones(3, 5, dtype=torch.bool)
    mask[1, 3:] = False
    longer = nn.functional.pad(vectors, (0, 0, 0, 4), value=7.0), nn.functional.pad(mask, (0, 4))
    maps = explainer(model).attribute(((vectors[0], mask), (vectors[1], mask)))
    again = explainer(model).attribute(((longer[0][0], longer[1]), (longer[0][1], longer[1])))
    for found, other in zip(maps, again, strict=True):
        short, long = (part[0] if isinstance(part, tuple) else part for part in (found, other))
        assert torch.allclose(short, long[:, :5], rtol=0, atol=1e-12)
        assert not long[:, 5:].any()
        assert float(short.std()) > 1e-3
