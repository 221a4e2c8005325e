"""Reference models for graphs. Nothing here needs PyTorch Geometric until a model is built."""

from __future__ import annotations

from typing import Any

from torch import nn

from xsiamese.model.comparison import Comparison, Learned
from xsiamese.model.pair import PairModel, SiameseModel, TwoInputModel
from xsiamese.zoo.cards import ModelCard
from xsiamese.zoo.image import weighted_l1


def siamese_gnn(
    inputs: int = 1,
    conv: Any = "gcn",
    hidden: int = 64,
    dimensions: int = 64,
    *,
    layers: int = 3,
    readout: Any = "mean",
    comparison: str = "cosine",
) -> SiameseModel:
    """A GNN of PyG and a comparison of the embeddings.

    Args:
        inputs: node features.
        conv: "gcn", "gin" or "gat".
        hidden: node features of each layer.
        dimensions: of the embedding.
        layers: of the GNN.
        readout: "mean", "sum" or "attention".
        comparison: "cosine", "euclidean", another name, or "learned": a logit of the weighted differences, as Koch et
            al. 2015.
    """
    from xsiamese.zoo.encoders import GraphEncoder

    chosen: str | Comparison = weighted_l1(dimensions) if comparison == "learned" else comparison
    return SiameseModel(
        GraphEncoder(inputs, conv, hidden, dimensions=dimensions, layers=layers, readout=readout), chosen
    )


def brain_gcn(inputs: int = 116, regions: int = 116, hidden: int = 32, order: int = 3, layers: int = 2) -> SiameseModel:
    """The Siamese GCN for brain networks of Ktena et al. 2018 (:cite:`ktena2018`): a logit of the products of two
    brains' regions.

    The paper's graph is shared by all subjects, and its filters are of order 9; a graph of each subject's own, as in Ma
    et al. 2019 (:cite:`ma2019`), works as well: the data decide.
    """
    from xsiamese.zoo.encoders import BrainGCN, RegionProduct

    return SiameseModel(BrainGCN(inputs, regions, hidden, order, layers), Learned(RegionProduct(regions), "product"))


def simgnn(inputs: int = 29, bins: int = 16, mean: float = 0.5, standardise: bool = False) -> PairModel:
    """SimGNN (:cite:`bai2019`), see :class:`~xsiamese.zoo.matching.SimGNN`."""
    from xsiamese.zoo.matching import SimGNN

    return SimGNN(inputs, bins=bins, mean=mean, standardise=standardise)


def graph_matching(
    inputs: int = 1,
    attributes: int = 0,
    hidden: int = 32,
    dimensions: int = 64,
    *,
    layers: int = 3,
    comparison: str = "euclidean",
) -> PairModel:
    """The Graph Matching Network (:cite:`li2019`), see :class:`~xsiamese.zoo.matching.GraphMatching`."""
    from xsiamese.zoo.matching import GraphMatching

    matching: nn.Module = GraphMatching(inputs, attributes, hidden, dimensions, layers)
    return TwoInputModel(matching, comparison)


def _card(
    name: str,
    build: Any,
    summary: str,
    paper: str,
    *,
    layer: str,
    embedding: int | None = 64,
    comparison: str = "cosine",
    **defaults: Any,
) -> ModelCard:
    """A card of a network for graphs; ``paper`` are keys of the bibliography, ``defaults`` arguments that the name
    implies.
    """
    keys = tuple(paper.split())
    return ModelCard(
        name,
        build,
        summary,
        embedding=embedding,
        comparison=comparison,
        layer=layer,
        paper=keys,
        modality="graph",
        defaults=defaults,
    )


LAST = "gnn.convs.2"
CARDS = (
    _card(
        "siamese-gcn", siamese_gnn, "Siamese GCN of PyG, 3 layers, mean over the nodes, cosine.", "kipf2017", layer=LAST
    ),
    _card(
        "siamese-gin",
        siamese_gnn,
        "Siamese GIN of PyG, 3 layers, mean over the nodes, cosine.",
        "xu2019",
        layer=LAST,
        conv="gin",
    ),
    _card(
        "siamese-gat",
        siamese_gnn,
        "Siamese GAT of PyG, 3 layers, mean over the nodes, cosine.",
        "velickovic2018",
        layer=LAST,
        conv="gat",
    ),
    _card(
        "brain-gcn",
        brain_gcn,
        "Siamese GCN for brain networks of one atlas, compared region by region: Ktena et al. 2018.",
        "ktena2018 defferrard2016 ma2019",
        layer="convs.1",
        embedding=None,
        comparison="learned",
    ),
    _card(
        "simgnn",
        simgnn,
        "SimGNN for graph edit distances, neural tensor network and histogram: Bai et al. 2019.",
        "bai2019",
        layer="convs.2",
        embedding=32,
        comparison="learned",
    ),
    _card(
        "graph-matching",
        graph_matching,
        "Graph Matching Network, attention across the two graphs: Li et al. 2019.",
        "li2019",
        layer="model.messages.2",
        comparison="euclidean",
    ),
)
