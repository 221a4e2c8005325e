"""Pairs of graphs: inputs of every form, masks of each branch, and every bad graph with its message; the model is left
as it was.
"""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

pytest.importorskip("torch_geometric", reason='graphs need pip install "xsiamese[graph]"')

from torch_geometric.data import Batch, Data, HeteroData
from torch_geometric.explain import Explanation
from torch_geometric.nn import GCNConv, global_mean_pool

import xsiamese
from tests import graph_problems as problems
from xsiamese import (
    PairExplanation,
    PairGradientShap,
    PairInputXGradient,
    PairIntegratedGradients,
    PairSaliency,
    SiameseModel,
    collate_pairs,
)
from xsiamese.contract.traces import _traces as traces
from xsiamese.kinds import catalogue
from xsiamese.kinds.graphs.gates import GateMisfit

METHODS = [PairSaliency, PairInputXGradient, PairIntegratedGradients]
PARTS = [None, ("nodes", "edges"), ("edges",)]
A, B = problems.pairs()


def masks(found: tuple[Any, Any]) -> list[Tensor]:
    return [one[key] for one in found for key in ("node_mask", "edge_mask", "edge_attr_mask") if key in one]


def same(found: Any, expected: Any) -> None:
    for one, other in zip(masks(found), masks(expected), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_torch_geometric_is_not_imported_before_the_first_graph() -> None:
    code = (
        "import sys, torch, xsiamese; xsiamese.PairSaliency(lambda a, b: (a * "
        "b).sum(1)).attribute((torch.ones(2, 3), torch.rand(2, 3)));"
    )
    subprocess.run(
        [
            sys.executable,
            "-c",
            code + "assert 'torch_geometric' not in sys.modules and 'xsiamese.kinds.graphs.side' not in sys.modules",
        ],
        check=True,
    )


def test_what_comes_back() -> None:
    for parts, kinds in (
        (None, {"node_mask"}),
        (("edges",), {"edge_mask"}),
        (("nodes", "edges"), {"node_mask", "edge_mask"}),
    ):
        for found, side in zip(
            PairSaliency(SiameseModel(problems.Encoder(), "dot")).attribute((A, B), parts=parts), (A, B), strict=True
        ):
            assert isinstance(found, Explanation)
            assert found.validate(raise_on_error=True)
            assert {key for key in found.keys() if key.endswith("_mask")} == kinds  # noqa: SIM118
            assert torch.equal(found.x, side.x)
            assert torch.equal(found.edge_index, side.edge_index)
            assert torch.equal(found.batch, side.batch)
            assert all(bool(m.any()) for m in masks((found, found)))


# how graphs are given


def test_a_graph_is_one_pair_and_a_batch_is_a_loop() -> None:
    for cls in METHODS:
        explainer = cls(SiameseModel(problems.Encoder("gat", bias=True)))
        for parts in PARTS:
            whole = explainer.attribute((A, B), parts=parts)
            alone = [explainer.attribute((A[i], B[i]), parts=parts) for i in range(3)]
            for side in (0, 1):
                for key in ("node_mask", "edge_mask"):
                    if key in whole[side]:
                        torch.testing.assert_close(whole[side][key], torch.cat([one[side][key] for one in alone]))
            same(explainer.attribute((A, B), parts=parts, internal_batch_size=1), whole)
            same(explainer.attribute((A, B), parts=parts, internal_batch_size=2), whole)
    same(explainer.attribute((A, B), parts=parts, internal_batch_size="auto"), whole)


class PairData(Data):
    def __inc__(self, key: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        return {"edge_index_s": lambda: self.x_s.size(0), "edge_index_t": lambda: self.x_t.size(0)}.get(
            key, lambda: 0
        )()


def pair_data(follow: list[str] | None) -> Any:
    made = [
        PairData(
            x_s=A[i].x,
            edge_index_s=A[i].edge_index,
            x_t=B[i].x,
            edge_index_t=B[i].edge_index,
            edge_weight_s=None,
            edge_weight_t=None,
        )
        for i in range(3)
    ]
    return Batch.from_data_list(made, follow_batch=follow)


def test_pair_data_with_follow_batch() -> None:
    model = SiameseModel(problems.Encoder(), "dot")
    for cls in METHODS:
        same(
            cls(model).attribute(pair_data(["x_s", "x_t"]), parts=("nodes", "edges")),
            cls(model).attribute((A, B), parts=("nodes", "edges")),
        )
    with pytest.raises(
        ValueError, match=r"does not say which pair a node belongs to: DataLoader\(..., follow_batch=\['x_s'"
    ):
        PairSaliency(model).attribute(pair_data(None))
    alone = pair_data(["x_s", "x_t"]).to_data_list()[1]  # one pair, in no batch
    same(
        PairInputXGradient(model).attribute(alone, parts=("nodes", "edges")),
        PairInputXGradient(model).attribute((A[1], B[1]), parts=("nodes", "edges")),
    )


def test_a_graph_is_no_tensor() -> None:
    """Of two sides of other kinds nothing is equal and nothing put in another order."""
    graph, rows = catalogue.side(A, "a"), catalogue.side(torch.ones(len(A), 3), "b")
    assert graph.equals(rows).tolist() == [False] * len(A)
    assert graph.beside(rows) is graph  # type: ignore[attr-defined]
    graphs = catalogue.kind("graph")
    assert (graphs.two(torch.ones(2, 3)), graphs.joined(torch.ones(2, 3))) == (None, None)


def test_a_model_of_pair_data_gets_pair_data() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = problems.Encoder()

        def forward(self, pair: Any) -> Tensor:
            sides = [
                self.encoder(Data(x=pair[f"x_{s}"], edge_index=pair[f"edge_index_{s}"], batch=pair[f"x_{s}_batch"]))
                for s in "st"
            ]
            return (sides[0] * sides[1]).sum(1)

    same(
        PairInputXGradient(Model()).attribute(pair_data(["x_s", "x_t"])),
        PairInputXGradient(SiameseModel(problems.Encoder(), "dot")).attribute((A, B)),
    )


def test_collate_pairs_in_a_loader() -> None:
    items = [(A[i], B[i], i % 2 == 0) for i in range(3)]
    (a, b, label), (a2, b2, _) = torch.utils.data.DataLoader(items, batch_size=2, collate_fn=collate_pairs)  # type: ignore[arg-type, var-annotated]
    assert (a.num_graphs, b.num_graphs, label.tolist(), a2.num_graphs) == (2, 2, [1, 0], 1)
    assert torch.equal(a2.x, A[2].x)
    assert torch.equal(b2.edge_index, B[2].edge_index)


def test_edges_in_any_order_come_back_in_that_order() -> None:
    order = torch.randperm(A.edge_index.shape[1], generator=torch.Generator().manual_seed(0))
    mixed = Batch(x=A.x, edge_index=A.edge_index[:, order], batch=A.batch)
    model = SiameseModel(problems.Encoder(), "dot")
    for cls in METHODS:
        (expected, _), (found, _) = (
            cls(model).attribute((A, B), parts=("nodes", "edges")),
            cls(model).attribute((mixed, B), parts=("nodes", "edges")),
        )
        assert torch.equal(found.edge_index, mixed.edge_index)
        torch.testing.assert_close(found.edge_mask, expected.edge_mask[order])
        torch.testing.assert_close(found.node_mask, expected.node_mask)
        part = cls(model).attribute((mixed, B), parts=("nodes", "edges"), internal_batch_size=1)[0]
        torch.testing.assert_close(part.edge_mask, expected.edge_mask[order])


def test_other_attributes_travel_with_their_rows() -> None:
    class Positions(problems.Encoder):
        def forward(self, data: Any) -> Tensor:
            assert len(data.smiles) == data.num_graphs == len(data.charge)
            h = self.nodes(data.x, data.edge_index) * data.pos.sum(1, keepdim=True)
            h = h + data.x[data.picked_index][data.batch].sum(1, keepdim=True)
            return global_mean_pool(h, data.batch) * data.charge[:, None]

    def with_more(item: Data, i: int) -> Data:
        item = item.clone()
        item.pos, item.charge, item.smiles, item.picked_index = (
            item.x[:, :3] + i,
            torch.tensor([1.0 + i], dtype=torch.float64),
            "C",
            torch.tensor([i]),
        )
        return item

    items = [(with_more(A[i], i), with_more(B[i], i)) for i in range(3)]
    explainer = PairIntegratedGradients(SiameseModel(Positions(), "dot"))
    whole = explainer.attribute(collate_pairs(items))
    alone = [explainer.attribute(item) for item in items]
    torch.testing.assert_close(whole[1].node_mask, torch.cat([one[1].node_mask for one in alone]))
    same(explainer.attribute(collate_pairs(items), internal_batch_size=2), whole)


def test_a_model_may_take_its_batch_apart() -> None:
    class Apart(problems.Encoder):
        def forward(self, data: Any) -> Tensor:
            return torch.stack([self.nodes(one.x, one.edge_index).mean(0) for one in data.to_data_list()])

    whole, apart = (
        PairIntegratedGradients(SiameseModel(encoder(), "dot")).attribute((A, B))
        for encoder in (problems.Encoder, Apart)
    )
    same(apart, whole)


# what is explained


@pytest.mark.parametrize("kind", ["graph", "plain"])
def test_edge_weights_and_gates_say_the_same_where_weights_only_multiply(kind: str) -> None:
    inputs = problems.pairs(weights=True)
    explainer = PairInputXGradient(SiameseModel(problems.Encoder(kind)))
    same(
        explainer.attribute(inputs, parts=("nodes", "edge_weight")),
        explainer.attribute(inputs, parts=("nodes", "edges")),
    )


def test_edge_attributes_have_a_mask_of_their_own() -> None:
    class Attributed(problems.Encoder):
        def forward(self, data: Any) -> Tensor:
            return global_mean_pool(self.nodes(data.x, data.edge_index, data.edge_attr.sum(1)), data.batch)

    items = problems.pairs(weights=True)
    for one in items:
        one.edge_attr = torch.stack([one.edge_weight, 2 * one.edge_weight], 1)
        del one.edge_weight
    first, _ = PairInputXGradient(SiameseModel(Attributed("plain"))).attribute(items, parts=("edge_attr", "edges"))
    assert first.edge_attr_mask.shape == items[0].edge_attr.shape
    torch.testing.assert_close(first.edge_attr_mask.sum(1), first.edge_mask)
    torch.testing.assert_close(first.edge_attr_mask[:, 1], 2 * first.edge_attr_mask[:, 0])


@pytest.mark.parametrize("kind", problems.CONVS)
def test_the_gradient_of_a_gate_is_the_slope_of_the_score(kind: str) -> None:
    """Against central differences of a model whose messages are scaled by hand, self-loops of the layers untouched."""
    from xsiamese.kinds.graphs.gates import Gate, gated

    encoder = problems.Encoder(kind, bias=True)
    model = SiameseModel(encoder, "cosine")
    found = PairSaliency(model).attribute((A, B), parts=("edges",), abs=False)
    for side, edge in ((0, 0), (0, 7), (1, 3)):
        scores = []
        for value in (1 + 1e-5, 1 - 1e-5):
            gates = torch.ones_like(found[side].edge_mask)
            gates[edge] = value
            with torch.no_grad(), gated(encoder, [Gate((A, B)[side].edge_index, gates, (A, B)[side].num_nodes)]):
                moved = encoder((A, B)[side])
            with torch.no_grad():
                z = [moved if i == side else encoder((A, B)[i]) for i in (0, 1)]
                scores.append(model.compare(*z).sum())
        torch.testing.assert_close(found[side].edge_mask[edge], (scores[0] - scores[1]) / 2e-5, rtol=1e-5, atol=1e-9)


# each branch its own mask

EQUAL = collate_pairs([(A[i], Data(x=A[i].x.flip(0) + 0.1, edge_index=A[i].edge_index)) for i in range(3)])


@pytest.mark.parametrize("inputs", [(A, B), EQUAL, (A[0], B[1])], ids=["different", "same edges", "one"])
@pytest.mark.parametrize("kind", ["gcn", "gin", "gat"])
def test_every_way_of_sharing_an_encoder_gives_the_masks_of_its_twin(kind: str, inputs: Any) -> None:
    def make() -> nn.Module:
        return problems.Encoder(kind, bias=True)

    for parts in PARTS:
        expected = PairInputXGradient(problems.Twin(make)).attribute(inputs, parts=parts)
        assert not torch.equal(*masks(expected)[:1], *masks(expected)[-1:])
        for model in (
            SiameseModel(make(), "dot"),
            SiameseModel((make(), make()), "dot"),
            problems.Dot(make()),
            problems.Backwards(make()),
            problems.Joint(make()),
        ):
            same(PairInputXGradient(model).attribute(inputs, parts=parts), expected)


@pytest.mark.parametrize("inputs", [(A, B), EQUAL], ids=["different", "same edges"])
def test_a_model_that_does_not_factor(inputs: Any) -> None:
    """Against finite differences of the weights of its edges."""
    model = problems.Crossed()
    for side in (0, 1):
        moved = "first" if side == 0 else "second"
        found = PairSaliency(model).attribute(inputs, parts=("nodes", "edges"), wrt=moved, abs=False)
        assert not any(bool(m.any()) for m in masks((found[1 - side],)))
        both = PairSaliency(model).attribute(inputs, parts=("nodes", "edges"), abs=False)
        same((found[side],), (both[side],))
        at = (1, 2)
        scores = []
        for step in (1e-6, -1e-6):
            items = [one.clone() for one in inputs]
            items[side].x[at] += step
            scores.append(model(*items).sum().detach())
        torch.testing.assert_close(found[side].node_mask[at], (scores[0] - scores[1]) / 2e-6, rtol=1e-5, atol=1e-9)


def test_edges_that_pooling_drops_are_refused() -> None:
    explainer = PairSaliency(SiameseModel(problems.Pooled(), "dot"))
    for parts in ("edges", ("nodes", "edges")):
        with pytest.raises(
            GateMisfit,
            match=r"layer 'encoder.convs.1' \(GraphConv\) sends messages along \d+ edges that are not those",
        ):
            explainer.attribute((A, B), parts=parts)


def test_a_later_pair_is_refused_and_so_is_smoothing() -> None:
    """Edges are tried by the work itself, so that it does not matter which pair, or whose explainer, meets the layer
    that drops some.
    """

    class Choosy(problems.Encoder):
        def forward(self, data: Any) -> Tensor:
            kept = data.x[data.edge_index[0], 0] < 10
            return self.readout(self.nodes(data.x, data.edge_index[:, kept]), data.batch)

    a = A.clone()
    a.x[a.ptr[2], 0] = 20.0
    plain = PairSaliency(SiameseModel(Choosy(), "dot"))
    for explainer, options in ((plain, {}), (xsiamese.PairNoiseTunnel(plain), {"stdevs": 0.0})):
        for size in (None, 1):
            with pytest.raises(GateMisfit, match=r"layer 'encoder.convs.0' \(GCNConv\) sends messages along"):
                explainer.attribute((a, B), parts=("edges",), internal_batch_size=size, **options)


def test_steps_of_a_path_are_taken_in_parts() -> None:
    """All steps of many graphs in one pass would be far slower, and hold all of their activations."""
    seen: list[int] = []

    class Counting(problems.Encoder):
        def forward(self, data: Any) -> Tensor:
            seen.append(data.num_graphs)
            return super().forward(data)

    explainer = PairIntegratedGradients(SiameseModel(Counting(), "dot"))
    found = explainer.attribute((A, B), n_steps=200, joint=True)
    assert max(seen) == 255  # 85 steps of 3 pairs
    assert sum(seen) == 2 * 3 * (200 + 2)  # and the two ends, which the maps should sum to
    seen.clear()
    same(found, explainer.attribute((A, B), n_steps=200, internal_batch_size=600, joint=True))
    assert max(seen) == 600


def test_edges_of_a_model_without_message_passing_are_refused() -> None:
    class Dense(nn.Module):
        def forward(self, data: Any) -> Tensor:
            return global_mean_pool(data.x, data.batch)

    with pytest.raises(GateMisfit, match="no layer of the model is a MessagePassing layer"):
        PairSaliency(SiameseModel(Dense(), "dot")).attribute((A, B), parts=("edges",))


# results


def test_an_explanation_of_graphs_is_kept_cut_and_read_again(tmp_path: Any) -> None:
    explained = PairIntegratedGradients(SiameseModel(problems.Encoder(), "dot")).explain(
        (A, B), parts=("nodes", "edges"), ids=[("a", "b")] * 3
    )
    assert len(explained) == 3
    read = PairExplanation.load(explained.save(tmp_path / "graphs.safetensors"))
    for one, other in zip((*explained.maps, *explained.inputs), (*read.maps, *read.inputs), strict=True):
        assert isinstance(other, type(one))
        assert {k for k, v in one.to_dict().items() if isinstance(v, Tensor)} == set(other.to_dict())
        assert all(torch.equal(v, other[k]) for k, v in one.to_dict().items() if isinstance(v, Tensor))
    alone = PairIntegratedGradients(SiameseModel(problems.Encoder(), "dot")).attribute(
        (A[1], B[1]), parts=("nodes", "edges")
    )
    same(read[1].maps, alone)
    assert torch.equal(read[1].inputs[1].edge_index, B[1].edge_index)
    with pytest.raises(ValueError, match="the map of a is of 3 graphs for 2 scores"):
        PairExplanation(explained.maps, explained.inputs, explained.scores[:2], "x")


# bad input


def changed(item: Any = A, **values: Any) -> Any:
    item = item.clone()
    for key, value in values.items():
        item[key] = value
    return item


def holding_nan(tensor: Tensor, row: int) -> Tensor:
    tensor = tensor.clone()
    tensor[row] = float("nan")
    return tensor


LAST = A.num_nodes - 1
HETERO = HeteroData()
HETERO["atom"].x = torch.ones(3, 4)
WEIGHTED = problems.pairs(weights=True)
BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "edges outside": (
        (changed(edge_index=A.edge_index + 1), B),
        ValueError,
        rf"edge \d+ of input a is \(.*{LAST + 1}.*\), and there are {LAST + 1} nodes: edge_index points outside",
    ),
    "negative edges": (
        (changed(edge_index=A.edge_index - 1), B),
        ValueError,
        r"edge \d+ of input a is .*points outside",
    ),
    "edges between pairs": (
        (changed(edge_index=torch.tensor([[0], [LAST]])), B),
        ValueError,
        "edge 0 of input a joins the graphs of pairs 0 and 2",
    ),
    "empty graph": (
        (collate_pairs([(A[0], A[0]), (Data(x=A.x[:0], edge_index=A.edge_index[:, :0]), A[0])])[0], A),
        ValueError,
        "input a in pair 1 is empty: it has no node",
    ),
    "no node": ((Data(x=A.x[:0], edge_index=A.edge_index[:, :0]), A), ValueError, "input a holds no node"),
    "NaN features": (
        (A, changed(B, x=holding_nan(B.x, 7))),
        ValueError,
        r"x of input b, shape \(18, 4\), holds NaN or infinite values in pair 1: clean",
    ),
    "NaN weights": (
        (changed(WEIGHTED[0], edge_weight=holding_nan(WEIGHTED[0].edge_weight, 0)), WEIGHTED[1]),
        ValueError,
        "edge_weight of input a.*in pair 0",
    ),
    "heterogeneous": ((HETERO, HETERO), TypeError, "heterogeneous graphs are not supported yet"),
    "weights on one side": (
        (WEIGHTED[0], B),
        ValueError,
        "the graphs of input a have edge_weight and those of input b have none",
    ),
    "number of weights": (
        (changed(edge_weight=torch.ones(3)), B),
        ValueError,
        r"edge_weight of input a has shape \(3,\) for \d+ edges",
    ),
    "no features": (
        (Data(edge_index=A.edge_index), B),
        ValueError,
        r"input a needs node features x of shape \(nodes, features\), not None",
    ),
    "numbers of atoms": (
        (Data(z=torch.ones(3, dtype=torch.long), pos=torch.ones(3, 3), edge_index=A.edge_index[:, :0]), B),
        ValueError,
        r"input a needs node features x .*, not None; a\.x = a\.z\[:, None\] makes it",
    ),
    "no edge_index": (
        (A, Data(x=B.x)),
        ValueError,
        r"input b needs edge_index of shape \(2, edges\) in int64, not None; .* torch.empty\(2, 0, dtype=torch.long\)",
    ),
    "edges of floats": ((changed(edge_index=A.edge_index.double()), B), ValueError, "input a needs edge_index"),
    "unsorted batch": (
        (changed(batch=A.batch.flip(0)), B),
        ValueError,
        "batch of input a must give the graph of each of 15 nodes, in ascending order",
    ),
    "numbers of graphs": ((A, B[0]), ValueError, "a holds 3 items .* and b holds 1"),
    "features": ((A, changed(B, x=B.x[:, :2])), ValueError, r"the model refused its inputs.*b.x \(18, 2\) float64"),
    "dtype": (
        (changed(x=A.x.float()), B),
        ValueError,
        r"input a, shape \(15, 4\), is torch.float32, the model torch.float64",
    ),
    "integers": (
        (changed(x=A.x.long()), B),
        ValueError,
        r"x of input a is torch.int64: only floating point values can move",
    ),
    "one graph": (A, TypeError, "inputs must be the two sides of the pairs"),
    "device": (
        (changed(edge_index=A.edge_index.to("meta")), B),
        ValueError,
        r"input a has x on cpu and edge_index on meta",
    ),
}


@pytest.fixture
def untouched() -> Iterator[SiameseModel]:
    """A model in training, checked afterwards."""
    model = SiameseModel(problems.Encoder("gat", bias=True), "cosine").train()
    before = traces(model), [m.training for m in model.modules()], [p.requires_grad for p in model.parameters()]
    state = {k: v.clone() for k, v in model.state_dict().items()}
    yield model
    assert (
        traces(model),
        [m.training for m in model.modules()],
        [p.requires_grad for p in model.parameters()],
    ) == before
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
    for module in model.modules():
        hooks = [value for key, value in vars(module).items() if key.endswith("hooks") and isinstance(value, dict)]
        assert not any(hooks)
        assert getattr(module, "_edge_mask", None) is None


@pytest.mark.parametrize("parts", [None, ("nodes", "edges")])
@pytest.mark.parametrize("what", BAD)
def test_bad_graphs(what: str, parts: Any, untouched: SiameseModel) -> None:
    inputs, error, message = BAD[what]
    with pytest.raises(error, match=f"(?s){message}"):
        PairSaliency(untouched).attribute(inputs, parts=parts)


CALLS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown part": ({"parts": ("node",)}, "one or several of nodes, edges, edge_weight, edge_attr"),
    "no part": ({"parts": ()}, "one or several of"),
    "part that is not there": ({"parts": ("edge_weight",)}, "the graphs of input a have no edge_weight"),
    "two edge masks": ({"parts": ("edges", "edge_weight")}, "both make the edge mask"),
    "pools": (
        {"baselines": (xsiamese.Pool(torch.zeros(3, 4)),) * 2},
        "^a Pool is for tensors: the nodes of graphs and the tokens of texts have no common order$",
    ),
    "partner": ({"baselines": "partner"}, "the nodes of two graphs have no common order"),
    "baseline": (
        {"baselines": (torch.zeros(2, 4), None)},
        r"the baseline of a has shape \(2, 4\): \(15, 4\) or one row of it is needed",
    ),
}


@pytest.mark.parametrize("what", CALLS)
def test_bad_calls(what: str, untouched: SiameseModel) -> None:
    options, message = CALLS[what]
    with pytest.raises(ValueError, match=message):
        PairIntegratedGradients(untouched).attribute((A, B), **options)


def test_parts_are_for_graphs() -> None:
    with pytest.raises(ValueError, match="input a is no graph and has no parts to choose from"):
        PairSaliency(lambda a, b: (a * b).sum(1)).attribute((torch.ones(2, 3), torch.ones(2, 3)), parts="edges")


def test_methods_without_a_meaning_on_graphs_say_so(untouched: SiameseModel) -> None:
    for name, cls in xsiamese.explainers().items():
        if "graph" not in cls.modalities:
            with pytest.raises(
                TypeError, match=f"{name} does not explain a graph, and input a is one; these do: PairGraphOcclusion"
            ):
                cls(untouched, *(["convs.1"] if cls.needs_layer else [])).attribute((A, B))
    assert "graph" not in PairGradientShap.modalities


@pytest.mark.parametrize("kind", problems.CONVS)
def test_graphs_that_are_small_but_sound(kind: str) -> None:
    """A single node, and graphs without edges, alone and among others."""
    lone = Data(x=A.x[:1], edge_index=A.edge_index[:, :0])
    bare = Data(x=A.x[:4], edge_index=A.edge_index[:, :0])
    explainer = PairIntegratedGradients(SiameseModel(problems.Encoder(kind, bias=True)))
    for inputs in ((lone, bare), collate_pairs([(lone, bare), (A[1], lone), (bare, B[0])])):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = explainer.attribute(inputs, parts=("nodes", "edges"))
        for one in found:
            assert one.validate(raise_on_error=True)
            assert all(bool(torch.isfinite(m).all()) for m in masks((one,)))
            assert one.edge_mask.shape == one.edge_index.shape[1:]
    with pytest.raises(ValueError, match="have no edges, and only edges were to be explained"):
        explainer.attribute((lone, bare), parts=("edges",))


def test_self_loops_line_up() -> None:
    """Layers that replace a graph's loops by their own, and layers that take them as they are."""
    inputs = problems.pairs(loops=True)
    loops = inputs[0].edge_index[0] == inputs[0].edge_index[1]
    for kind, own in (("gcn", False), ("gat", False), ("gin", True), ("plain", True)):
        found, _ = PairSaliency(SiameseModel(problems.Encoder(kind))).attribute(inputs, parts=("edges",))
        assert bool(found.edge_mask[loops].any()) == own
        assert bool(found.edge_mask[~loops].all()) or bool(found.edge_mask[~loops].any())


def test_a_layer_whose_loops_cannot_be_placed_is_named() -> None:
    class Doubled(problems.Encoder):
        def nodes(self, x: Tensor, edge_index: Tensor, weight: Tensor | None = None) -> Tensor:
            return super().nodes(x, torch.cat([edge_index.flip(1), edge_index[:, :1]], 1))

    with pytest.raises(GateMisfit, match=r"layer 'encoder.convs.0' \(GCNConv\)"):
        PairSaliency(SiameseModel(Doubled(), "dot")).attribute((A, B), parts=("nodes", "edges"))


def test_nothing_stays_when_the_model_fails(untouched: SiameseModel) -> None:
    class Fails(GCNConv):
        def update(self, inputs: Tensor) -> Tensor:
            raise KeyError("on purpose")

    untouched.encoder.convs.append(Fails(6, 6).double())
    with pytest.raises(KeyError):
        PairSaliency(untouched).attribute((A, B), parts=("nodes", "edges"))
    assert not any(
        value
        for key, value in vars(untouched.encoder.convs[2]).items()
        if key.endswith("hooks") and isinstance(value, dict)
    )
    del untouched.encoder.convs[2]


@pytest.mark.parametrize("name", ["PairGradCAM", "PairHiResCAM", "PairXGradCAM", "PairGradCAMPlusPlus", "PairLayerCAM"])
def test_class_activation_maps_of_nodes(name: str) -> None:
    """A batch is a loop; with a mean over the nodes and a dot product the exact ones sum to the score on each side."""
    cls = xsiamese.explainers()[name]
    model = SiameseModel(problems.Encoder("gin"), "dot")
    whole = cls(model, "convs.1").attribute((A, B))
    alone = [cls(model, "convs.1").attribute((A[i], B[i])) for i in range(3)]
    for side in (0, 1):
        assert whole[side].node_mask.shape == ((A, B)[side].num_nodes, 1)
        torch.testing.assert_close(whole[side].node_mask, torch.cat([one[side].node_mask for one in alone]))
        if name in ("PairGradCAM", "PairHiResCAM", "PairXGradCAM"):
            torch.testing.assert_close(
                problems.per_pair(whole[side].node_mask, (A, B)[side].batch),
                model(A, B).detach(),
                rtol=1e-10,
                atol=1e-12,
            )
    for other in (problems.Dot(model.encoder), problems.Backwards(model.encoder), problems.Joint(model.encoder)):
        same(cls(other, "encoder.convs.1").attribute((A, B)), whole)
    first, second = cls(model, ["convs.0", "convs.1"]).attribute((A, B))[0]
    assert not torch.equal(first.node_mask, second.node_mask)
    torch.testing.assert_close(second.node_mask, whole[0].node_mask)


def test_a_layer_after_the_readout_has_no_nodes() -> None:
    class Headed(problems.Encoder):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(6, 3).double()

        def forward(self, data: Any) -> Tensor:
            return self.head(super().forward(data))

    with pytest.raises(
        ValueError, match="the output of the layer has 3 rows for 15 nodes: choose a layer before the readout"
    ):
        xsiamese.PairGradCAM(SiameseModel(Headed()), "head").attribute((A, B))


@pytest.mark.parametrize("inner", [lambda m: PairSaliency(m), lambda m: xsiamese.PairGradCAM(m, "convs.1")])
def test_noise_on_graphs(inner: Any) -> None:
    """A batch is a loop, without noise it is the explainer itself."""
    explainer = inner(SiameseModel(problems.Encoder("gat", bias=True)))
    tunnel = xsiamese.PairNoiseTunnel(explainer)
    parts = None if explainer.needs_layer else ("nodes", "edges")
    same(tunnel.attribute((A, B), parts=parts, stdevs=0.0), explainer.attribute((A, B), parts=parts))
    whole, alone = (
        tunnel.attribute((A, B), parts=parts),
        [tunnel.attribute((A[i], B[i]), parts=parts) for i in range(3)],
    )
    torch.testing.assert_close(whole[1].node_mask, torch.cat([one[1].node_mask for one in alone]))
    assert not torch.allclose(whole[0].node_mask, explainer.attribute((A, B), parts=parts)[0].node_mask)
