"""Maps of nodes without ``layer=``, and models that give one call of a layer both sides."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data
from torch_geometric.nn import (
    GAT,
    GCN,
    GIN,
    MLP,
    ARMAConv,
    GraphNorm,
    GraphSAGE,
    Set2Set,
    TopKPooling,
    global_mean_pool,
)

import xsiamese
from tests import graph_problems as problems
from tests import problems as images
from xsiamese import PairGradCAM, PairHiResCAM, SiameseModel
from xsiamese.zoo import find_card

A, B = problems.pairs()
CAMS = ["PairGradCAM", "PairHiResCAM", "PairXGradCAM", "PairGradCAMPlusPlus", "PairLayerCAM"]


class Basic(nn.Module):
    """A network of PyG, normalised after each layer, and a head."""

    def __init__(self, gnn: Any, **options: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.gnn = gnn(problems.FEATURES, 6, 3, **options)
        self.head = nn.Linear(6, 3)
        self.double().eval()

    def forward(self, data: Any) -> Tensor:
        batch = {"batch": data.batch} if self.gnn.norms is not None else {}
        return self.head(global_mean_pool(self.gnn(data.x, data.edge_index, **batch), data.batch))  # type: ignore[no-any-return]


def same(found: Any, expected: Any) -> None:
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.node_mask, other.node_mask, rtol=1e-9, atol=1e-12)
        assert bool(one.node_mask.any())


@pytest.mark.parametrize("gnn", [GCN, GIN, GAT, GraphSAGE])
@pytest.mark.parametrize(
    "options",
    [{}, {"norm": "batch_norm", "jk": "cat", "out_channels": 6}, {"norm": GraphNorm(6), "dropout": 0.5}],
    ids=str,
)
def test_the_last_layer_that_sends_messages(gnn: Any, options: dict[str, Any]) -> None:
    explainer = PairGradCAM(SiameseModel(Basic(gnn, **options)))
    found = explainer.attribute((A, B))
    assert explainer.layer_names_ == ["gnn.convs.2"]
    same(found, PairGradCAM(explainer.model, "gnn.convs.2").attribute((A, B)))


@pytest.mark.parametrize("name", CAMS)
def test_every_map_of_nodes_finds_it_in_every_form_of_model(name: str) -> None:
    cls = xsiamese.explainers()[name]
    encoder, other = problems.Encoder("gin", bias=True), problems.Encoder("gcn", bias=True, layers=3)
    expected = cls(SiameseModel(encoder, "dot"), "convs.1").attribute((A, B))
    for model in (
        SiameseModel(encoder, "dot"),
        problems.Dot(encoder),
        problems.Backwards(encoder),
        problems.Joint(encoder),
    ):
        explainer = cls(model)
        same(explainer.attribute((A, B)), expected)
        assert explainer.layer_names_[0].endswith("convs.1")
    pseudo = cls(SiameseModel((encoder, other), "dot"))
    same(pseudo.attribute((A, B)), cls(SiameseModel((encoder, other), "dot"), ("convs.1", "convs.2")).attribute((A, B)))
    assert pseudo.layer_names_ == ["convs.1 / convs.2"]


@pytest.mark.parametrize("card", ["siamese-gcn", "siamese-gin", "siamese-gat", "simgnn", "graph-matching"])
def test_the_zoo_names_the_layer_that_is_found(card: str) -> None:
    known = find_card(card)
    torch.manual_seed(0)
    explainer = PairGradCAM(known.build(inputs=problems.FEATURES, **known.defaults).double().eval())
    same(explainer.attribute((A, B)), PairGradCAM(explainer.model, known.layer).attribute((A, B)))
    assert known.layer.removeprefix("model.") == explainer.layer_names_[0]


def test_layers_after_a_pooling_that_drops_nodes_are_passed_over() -> None:
    explainer = PairGradCAM(SiameseModel(problems.Pooled(), "dot"))
    explainer.attribute((A, B))
    assert explainer.layer_names_ == ["convs.0"]


def test_without_such_a_layer_one_must_be_given() -> None:
    class Dense(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = MLP([problems.FEATURES, 6, 6], norm=None).double()

        def forward(self, data: Any) -> Tensor:
            return global_mean_pool(self.layers(data.x), data.batch)

    class PooledFirst(problems.Encoder):
        def __init__(self) -> None:
            super().__init__("graph")
            self.pool = TopKPooling(problems.FEATURES, 0.5).double()

        def forward(self, data: Any) -> Tensor:
            x, edge_index, _, batch, *_ = self.pool(data.x, data.edge_index, batch=data.batch)
            return global_mean_pool(self.nodes(x, edge_index), batch)

    for encoder in (Dense(), PooledFirst()):
        with pytest.raises(
            ValueError,
            match="no MessagePassing layer of torch_geometric has one row for each node to explain on: give layer=",
        ):
            PairGradCAM(SiameseModel(encoder, "dot")).attribute((A, B))
    assert PairGradCAM(SiameseModel(Dense(), "dot"), "layers").attribute((A, B))[0].node_mask.shape == (15, 1)


# both sides in one call


class Ordered(problems.Dot):
    """One call of the encoder with the graphs of both sides in an order of its own."""

    def __init__(self, encoder: nn.Module, order: str) -> None:
        super().__init__(encoder)
        self.order = order

    def forward(self, a: Any, b: Any) -> Tensor:
        both = [Data(x=one.x, edge_index=one.edge_index) for side in (a, b) for one in side.to_data_list()]
        count = a.num_graphs
        rows = {
            "a, b": range(2 * count),
            "b, a": [*range(count, 2 * count), *range(count)],
            "in turn": [i + count * k for i in range(count) for k in (0, 1)],
        }
        where = torch.tensor(list(rows[self.order])).argsort()
        z = self.encoder(Batch.from_data_list([both[i] for i in rows[self.order]]))[where]
        return (z[:count] * z[count:]).sum(1)


class CrossedOrdered(nn.Module):
    """The same, and after the first layer every node of a pair looks at all nodes of both graphs."""

    def __init__(self, order: str) -> None:
        super().__init__()
        self.first, self.second, self.order = problems.Encoder(bias=True, layers=1), nn.Linear(6, 3).double(), order

    def forward(self, a: Any, b: Any) -> Tensor:
        sizes = [torch.bincount(one.batch).tolist() for one in (a, b)]
        count = a.num_graphs
        rows = (
            [(side, pair) for pair in range(count) for side in (0, 1)]
            if self.order == "in turn"
            else [(s, p) for s in (0, 1) for p in range(count)]
        )
        parts = [one.to_data_list() for one in (a, b)]
        both = Batch.from_data_list([Data(x=parts[s][p].x, edge_index=parts[s][p].edge_index) for s, p in rows])
        pair_of = torch.tensor([p for s, p in rows]).repeat_interleave(torch.tensor([sizes[s][p] for s, p in rows]))
        h = self.first.nodes(both.x, both.edge_index)
        near = (h @ h.t()).masked_fill(pair_of[:, None] != pair_of, float("-inf")).softmax(1)
        return self.second(global_mean_pool(near @ h, pair_of)).tanh().sum(1)


EQUAL = xsiamese.collate_pairs([(problems.graph(5, 9, i), problems.graph(5, 9, 10 + i)) for i in range(3)])


@pytest.mark.parametrize("cls", [PairGradCAM, PairHiResCAM])
@pytest.mark.parametrize("inputs", [(A, B), EQUAL], ids=["different sizes", "one size"])
@pytest.mark.parametrize("layer", [None, "encoder.convs.0"])
def test_sides_in_another_order_are_refused(cls: Any, inputs: Any, layer: str | None) -> None:
    encoder = problems.Encoder(bias=True)
    expected = cls(SiameseModel(encoder, "dot"), "convs.0" if layer else None).attribute(inputs)
    same(cls(Ordered(encoder, "a, b"), layer).attribute(inputs), expected)
    for order in ("b, a", "in turn"):
        with pytest.raises(
            ValueError,
            match=r"convs\.. gets both sides in one call, and not all of a followed by all of b: which row belongs "
            r"to which side",
        ):
            cls(Ordered(encoder, order), layer).attribute(inputs)


def test_a_single_pair_in_turn_is_in_order() -> None:
    """A plan that was made for one pair is not trusted for several."""
    encoder = problems.Encoder(bias=True)
    explainer = PairGradCAM(Ordered(encoder, "in turn"))
    one = PairGradCAM(SiameseModel(encoder, "dot"))
    same(explainer.attribute((A[1], B[1])), one.attribute((A[1], B[1])))
    with pytest.raises(ValueError, match="gets both sides in one call"):
        explainer.attribute((A, B))
    same(explainer.attribute((A, B), internal_batch_size=1), one.attribute((A, B)))


@pytest.mark.parametrize("inputs", [(A, B), EQUAL], ids=["different sizes", "one size"])
def test_a_model_that_does_not_factor_may_still_be_in_order(inputs: Any) -> None:
    found = PairHiResCAM(CrossedOrdered("a, b")).attribute(inputs)
    alone = [PairHiResCAM(CrossedOrdered("a, b")).attribute((inputs[0][i], inputs[1][i])) for i in range(3)]
    for side in (0, 1):
        torch.testing.assert_close(found[side].node_mask, torch.cat([one[side].node_mask for one in alone]))
    with pytest.raises(ValueError, match="gets both sides in one call"):
        PairHiResCAM(CrossedOrdered("in turn")).attribute(inputs)


@pytest.mark.parametrize("name", ["PairGradCAM", "PairLayerGradCam", "PairDeepLift"])
def test_images_in_turn_are_refused_as_well(name: str) -> None:
    class InTurn(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = images.conv_encoder()

        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            z = self.encoder(torch.stack([a, b], 1).flatten(0, 1))
            return (z[::2] * z[1::2]).sum(1)

    cls = xsiamese.explainers()[name]
    with pytest.raises(ValueError, match="gets both sides in one call, and not all of a followed by all of b"):
        cls(InTurn(), *(["encoder.3"] if cls.needs_layer else [])).attribute(images.images(2))


# whole numbers as features, towers, and pools that keep small graphs whole


class Atoms(nn.Module):
    """Features that are numbers of categories, each with vectors of its own, as those of atoms are."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.vectors = nn.ModuleList(nn.Embedding(5, 6) for _ in range(2))
        self.convs = nn.ModuleList(GIN(6, 6, 1) for _ in range(2))
        self.double().eval()

    def forward(self, data: Any) -> Tensor:
        x = torch.stack([one(data.x[:, i]) for i, one in enumerate(self.vectors)]).sum(0)
        for conv in self.convs:
            x = conv(x, data.edge_index).tanh()
        return global_mean_pool(x, data.batch)


def atoms(like: Any, seed: int) -> Any:
    generator = torch.Generator().manual_seed(seed)
    graphs = [Data(x=torch.randint(0, 5, (g.num_nodes, 2), generator=generator), edge_index=g.edge_index)
              for g in like.to_data_list()]  # fmt: skip
    return Batch.from_data_list(graphs)


def by_hand(encoder: nn.Module, layer: str, pair: tuple[Any, Any]) -> list[Tensor]:
    """Grad-CAM of two encoders that share nothing, from the outputs of their layer."""
    outputs: list[Tensor] = []
    embeddings = []
    for tower, graphs in zip((encoder, deepcopy(encoder)), pair, strict=True):
        hook = tower.get_submodule(layer).register_forward_hook(lambda _, __, output: outputs.append(output))
        embeddings.append(tower(graphs))
        hook.remove()
    slopes = torch.autograd.grad((embeddings[0] * embeddings[1]).sum(), outputs)
    return [
        (global_mean_pool(slope, graphs.batch)[graphs.batch] * output).sum(1, keepdim=True).detach()
        for slope, output, graphs in zip(slopes, outputs, pair, strict=True)
    ]


class Towers(nn.Module):
    """Two encoders in a module of one's own."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, a: Any, b: Any) -> Tensor:
        return (self.first(a) * self.second(b)).sum(1)


FORMS: dict[str, Any] = {
    "shared": lambda encoder: SiameseModel(encoder, "dot"),
    "pair": lambda encoder: SiameseModel((encoder, deepcopy(encoder)), "dot"),
    "own module": problems.Dot,
    "two towers": lambda encoder: Towers(encoder, deepcopy(encoder)),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["atoms", "floats"])
def test_a_map_of_nodes_is_that_of_two_encoders_by_hand(kind: str, form: str) -> None:
    encoder: nn.Module = Atoms() if kind == "atoms" else problems.Encoder("gin", bias=True)
    pair = (atoms(A, 0), atoms(B, 1)) if kind == "atoms" else (A, B)
    explainer = PairGradCAM(FORMS[form](encoder))
    found = explainer.attribute(pair)
    (name,) = explainer.layer_names_
    layer = "convs.1.convs.0" if kind == "atoms" else "convs.1"
    assert name == {"own module": f"encoder.{layer}", "two towers": f"first.{layer} / second.{layer}"}.get(form, layer)
    for one, expected in zip(found, by_hand(encoder, layer, pair), strict=True):
        torch.testing.assert_close(one.node_mask, expected)


@pytest.mark.parametrize("name", xsiamese.explainers())
def test_whole_numbers_of_nodes_are_explained_or_one_line_says_by_what(name: str) -> None:
    """And what the line names explains them."""
    cls = xsiamese.explainers()[name]
    if "graph" not in cls.traits.modalities:
        return
    made: dict[str, Any] = {"threshold": 0.5} if cls.traits.needs_threshold else {}
    pair = atoms(A, 0), atoms(B, 1)
    if name in (*CAMS, "PairLeaveOneOut", "PairGraphEdits"):
        found = cls(SiameseModel(Atoms(), "dot"), **made).explain(pair)
        assert bool(found.maps[0].node_mask.any() or found.maps[1].node_mask.any())
        return
    curved = "what follows layer convs.1.convs.0 is not only pooling and linear"  # of decompositions
    with pytest.raises(
        ValueError, match=rf"^x of input a is torch.int64: .* by removal \(PairLeaveOneOut\)$|^{curved}"
    ) as caught:
        cls(SiameseModel(Atoms(), "dot"), **made).explain(pair)
    if "parts=('edges',)" in str(caught.value):
        coupling: dict[str, Any] = {"coupling": "none"} if "coupling" in cls.settings() else {}
        edges = cls(SiameseModel(Atoms(), "dot"), **coupling).explain(pair, parts=("edges",))
        assert "edge_mask" in edges.maps[0]


def test_a_pool_that_keeps_small_graphs_whole_is_seen_in_the_large_ones() -> None:
    """The first pairs have nothing to drop, and as many nodes stay as two pairs have embeddings."""
    one, two = problems.graph(1, 0, 0), problems.graph(2, 1, 1)
    pair = xsiamese.collate_pairs([(one, two), (two, one), (problems.graph(7, 12, 2), problems.graph(8, 9, 3))])
    encoder = problems.Pooled()
    for form in FORMS.values():
        explainer = PairGradCAM(form(encoder))
        found = explainer.attribute(pair)
        for mask, expected in zip(found, by_hand(encoder, "convs.0", pair), strict=True):
            torch.testing.assert_close(mask.node_mask, expected)
    with pytest.raises(ValueError, match=r"the output of the layer has \d+ rows for \d+ nodes: choose a layer before"):
        xsiamese.PairLayerInteraction(SiameseModel(encoder, "dot"), "convs.1").attribute(pair)


class Read(nn.Module):
    """A layer, and a readout."""

    def __init__(self, conv: nn.Module, readout: Any, width: int) -> None:
        super().__init__()
        self.conv, self.readout, self.head = conv, readout, nn.Linear(width, 3)
        self.double().eval()

    def forward(self, data: Any) -> Tensor:
        found: Tensor = self.head(self.readout(self.conv(data.x, data.edge_index), data.batch))
        return found


def test_deeplift_of_graphs_reads_what_a_readout_asks_of_its_layers_and_tells_rows_of_other_nodes() -> None:
    """``Set2Set`` asks its LSTM for the number of layers; ``ARMAConv`` stacks its nodes, of which captum compared the
    stacks.
    """
    torch.manual_seed(0)
    asking = Read(GIN(problems.FEATURES, 4, 2), Set2Set(4, 2), 8)
    found = xsiamese.PairDeepLift(SiameseModel(asking, "dot")).attribute((A, B))
    same(found, xsiamese.PairDeepLift(SiameseModel((asking, deepcopy(asking)), "dot")).attribute((A, B)))
    for stacks in (1, 2):
        stacked = Read(ARMAConv(problems.FEATURES, 4, num_stacks=stacks), global_mean_pool, 4)
        with pytest.raises(ValueError, match="so that rows of other nodes would be compared: use PairIntegratedGrad"):
            xsiamese.PairDeepLift(SiameseModel(stacked, "dot")).attribute((A, B))
