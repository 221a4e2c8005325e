"""What bad graphs get from every explainer of graphs: one clear error before the model is run, and a model that is left
as it was.
"""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor
from torch_geometric.data import Data

import xsiamese
from tests import graph_problems as problems
from tests.test_graphs import BAD, masks, same, untouched  # noqa: F401
from xsiamese import PairAttribution, SiameseModel, collate_pairs
from xsiamese.kinds.graphs.gates import GateMisfit

A, B = problems.pairs()
EXPLAINERS = sorted(name for name, cls in xsiamese.explainers().items() if "graph" in cls.modalities)
QUICK: dict[str, Any] = {
    "PairGNNExplainer": {"epochs": 3},
    "RobustPairExplainer": {"steps": 3, "draws": 4},
    "PairGraphEdits": {"most": 2, "exact": 1},
}


def takes_whole_numbers(name: str) -> bool:
    """Whether a graph of whole numbers can be explained: it only loses parts, or a layer makes numbers of them."""
    cls = xsiamese.explainers()[name]
    return cls.removes or (cls.needs_layer and not cls.takes_baselines)


# the model itself must be asked whether it takes so many features, or whole numbers
BEFORE = [
    (what, name)
    for what in BAD
    for name in EXPLAINERS
    if what != "features" and not (what == "integers" and takes_whole_numbers(name))
]


def made(name: str, model: Any) -> PairAttribution:
    cls = xsiamese.explainers()[name]
    return cls(model, **({"threshold": 0.5} if cls.needs_threshold else {}))


@pytest.mark.parametrize(("what", "name"), BEFORE)
def test_bad_graphs_are_refused_before_the_model_is_run(what: str, name: str, untouched: SiameseModel) -> None:  # noqa: F811
    inputs, error, message = BAD[what]
    explainer, ran = made(name, untouched), []
    handle = untouched.register_forward_pre_hook(lambda *_: ran.append(1))
    other = untouched.encoder.register_forward_pre_hook(lambda *_: ran.append(1))
    with pytest.raises(error, match=f"(?s){message}"):
        explainer.attribute(inputs)
    handle.remove()
    other.remove()
    assert not ran


@pytest.mark.parametrize("name", EXPLAINERS)
def test_a_wrong_number_of_features_is_said(name: str, untouched: SiameseModel) -> None:  # noqa: F811
    with pytest.raises(ValueError, match=r"the model refused its inputs.*b.x \(\d+, 2\) float64"):
        made(name, untouched).attribute(BAD["features"][0])


@pytest.mark.parametrize("name", [name for name in EXPLAINERS if takes_whole_numbers(name)])
def test_whole_numbers_that_the_model_does_not_take_are_said(name: str, untouched: SiameseModel) -> None:  # noqa: F811
    with pytest.raises(ValueError, match=r"inputs; some are whole numbers, and it takes others.*a.x \(\d+, \d\) int64"):
        made(name, untouched).attribute(BAD["integers"][0])


@pytest.mark.parametrize("name", EXPLAINERS)
def test_single_nodes_and_graphs_without_edges(name: str) -> None:
    """Alone and among others: finite maps of the right shapes, or an error that names the pair."""
    lone = Data(x=A.x[:1], edge_index=A.edge_index[:, :0])
    bare = Data(x=A.x[:4], edge_index=A.edge_index[:, :0])
    explainer = made(name, SiameseModel(problems.Encoder(bias=True)))
    for inputs, alone in (
        ((bare, bare), False),
        ((lone, bare), True),
        (collate_pairs([(bare, B[0]), (A[1], lone), (B[2], A[2])]), True),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if name == "PairLeaveOneOut" and alone:
                with pytest.raises(
                    ValueError,
                    match=r"the graph of input [ab] in pair \d has a single node and cannot be without it: explain "
                    r"edges",
                ):
                    explainer.attribute(inputs)
                continue
            found = explainer.attribute(inputs, **QUICK.get(name, {}))
        for one, item in zip(found, inputs, strict=True):
            assert one.validate(raise_on_error=True)
            assert all(bool(torch.isfinite(mask).all()) for mask in masks((one,)))
            assert one.node_mask.shape[0] == item.num_nodes


@pytest.mark.parametrize("name", [name for name in EXPLAINERS if "edges" in xsiamese.explainers()[name].known_parts])
def test_only_edges_of_graphs_that_have_none(name: str) -> None:
    bare = Data(x=A.x[:4], edge_index=A.edge_index[:, :0])
    with pytest.raises(
        ValueError, match=r"have no edges, and only edges were to be explained: explain parts=\('nodes',\)"
    ):
        made(name, SiameseModel(problems.Encoder())).attribute((bare, bare), parts="edges")


GATED = [
    "PairSaliency",
    "PairInputXGradient",
    "PairIntegratedGradients",
    "PairGNNExplainer",
    "PairGraphOcclusion",
    "PairNoiseTunnel",
]
REMOVING = ["PairLeaveOneOut", "PairGraphEdits"]


@pytest.mark.parametrize("name", GATED)
def test_edges_behind_pooling_layers_are_refused_if_they_were_asked_for(name: str) -> None:
    explainer = made(name, SiameseModel(problems.Pooled(), "dot"))
    said = r"layer 'encoder.convs.1' \(GraphConv\) .* cannot be explained: ask for parts=\('nodes',\)"
    with pytest.raises(GateMisfit, match=said):
        explainer.attribute((A, B), parts=("nodes", "edges"), **QUICK.get(name, {}))


@pytest.mark.parametrize("name", ["PairGNNExplainer", "RobustPairExplainer"])
def test_pooling_layers_leave_the_nodes_where_nothing_was_asked_for(name: str) -> None:
    explainer = made(name, SiameseModel(problems.Pooled(), "dot"))
    assert "edges" in explainer.graph_parts
    with pytest.warns(
        UserWarning, match=r"edges cannot be explained, and nodes are instead: layer 'encoder.convs.1' \(GraphConv\)"
    ):
        found = explainer.attribute((A, B), **QUICK.get(name, {}))
    assert all("edge_mask" not in one for one in found)
    same(found, explainer.attribute((A, B), parts="nodes", **QUICK.get(name, {})))


class Counted(problems.Encoder):
    """Takes whole numbers."""

    def forward(self, data: Any) -> Tensor:
        return super().forward(Data(x=data.x.double(), edge_index=data.edge_index, batch=data.batch))


@pytest.mark.parametrize("name", ["PairInputXGradient", "PairIntegratedGradients", "PairGraphOcclusion"])
def test_edges_of_graphs_whose_features_are_whole_numbers(name: str) -> None:
    whole = BAD["integers"][0][0]
    floats = Data(x=whole.x.double(), edge_index=whole.edge_index, batch=whole.batch)
    found = made(name, SiameseModel(Counted(), "dot")).attribute((whole, whole), parts="edges")
    expected = made(name, SiameseModel(problems.Encoder(), "dot")).attribute((floats, floats), parts="edges")
    for one, other in zip(found, expected, strict=True):
        assert bool(other.edge_mask.any())
        torch.testing.assert_close(one.edge_mask.double(), other.edge_mask, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", REMOVING)
def test_what_really_removes_edges_needs_no_gates(name: str) -> None:
    """Pooling layers, and node features that are whole numbers."""
    whole = BAD["integers"][0][0]
    for encoder, inputs in ((problems.Pooled(), (A, B)), (Counted(), (whole, whole))):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.filterwarnings("error", "edges cannot be explained")
            found = made(name, SiameseModel(encoder, "euclidean")).attribute(
                inputs, parts="edges", **QUICK.get(name, {})
            )
        assert all(one.edge_mask.shape == one.edge_index.shape[1:] for one in found)


@pytest.mark.parametrize("kind", ["gcn", "gat"])
@pytest.mark.parametrize("name", GATED)
def test_loops_that_layers_add_leave_edges_in_line(name: str, kind: str) -> None:
    """A layer that puts loops of its own in the place of the graph's."""
    inputs = problems.pairs(loops=True)
    found = made(name, SiameseModel(problems.Encoder(kind, bias=True), "dot")).attribute(
        inputs, parts="edges", **QUICK.get(name, {})
    )
    for one, item in zip(found, inputs, strict=True):
        loops = item.edge_index[0] == item.edge_index[1]
        assert not bool(one.edge_mask[loops].any())
        assert bool((one.edge_mask[~loops] != 0).float().mean() > 0.5)
