"""Faults that were put in on purpose and that no test saw: each is now told by a value known from elsewhere."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data
from torch_geometric.nn import MessagePassing

from tests.problems import images
from xsiamese import PairInputXGradient, PairSaliency, SiameseModel
from xsiamese.kinds.graphs.gates import Gate, gated
from xsiamese.kinds.graphs.structure import of_graphs
from xsiamese.model.decision import Decision
from xsiamese.pairs import fastest
from xsiamese.pairs.split import Split
from xsiamese_counterfactual import deletions


class Sums(MessagePassing):
    """Adds up what the neighbours have."""

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.propagate(edge_index, x=x)


@pytest.mark.parametrize("b_first", [False, True])
@pytest.mark.parametrize("one_tensor", [False, True])
def test_equal_graphs_have_each_their_own_gate(one_tensor: bool, b_first: bool) -> None:
    """Of one tensor of edges only the order of the calls can tell; of two the tensor itself does."""
    if one_tensor and b_first:
        pytest.skip("nothing tells the sides apart")
    edges = torch.tensor([[0, 1, 2], [1, 2, 0]])
    own = (edges, edges if one_tensor else edges.clone())
    values = torch.tensor([2.0, 3.0, 5.0]), torch.tensor([7.0, 11.0, 13.0])
    x = torch.tensor([[1.0], [10.0], [100.0]])
    layer = Sums()
    found: dict[int, list[float]] = {}
    with gated(layer, [Gate(own[side], values[side], 3) for side in (0, 1)]):
        for side in (1, 0) if b_first else (0, 1):
            found[side] = layer(x, own[side]).flatten().tolist()
    assert found == {0: [500.0, 2.0, 30.0], 1: [1300.0, 7.0, 110.0]}  # node j gets gate times the value of node i


def test_attributes_move_with_their_edges() -> None:
    """Edges that are not in the order of their graphs are sorted, and each keeps its own numbers."""
    edges = torch.tensor([[2, 0, 3, 1], [3, 1, 2, 0]])
    given = Batch.from_data_list([Data(x=torch.eye(2)[:, :1], edge_index=torch.tensor([[0, 1], [1, 0]]))] * 2)
    mixed = Data(x=given.x, edge_index=edges, batch=given.batch, edge_attr=10.0 * edges[0][:, None] + edges[1][:, None])
    data = of_graphs(mixed, "a").data
    assert data.edge_index.tolist() != edges.tolist()
    assert data.edge_attr.flatten().tolist() == (10 * data.edge_index[0] + data.edge_index[1]).tolist()


@pytest.mark.parametrize(("gains", "exactly", "size", "claimed"), [
    ([0.4, 0.4, 0.4], 3, 3, True),
    ([0.4, 0.4, 0.4], 1, 3, False),  # sets of two were not all tried
    ([0.6, 0.6, 0.1], 1, 2, True),  # all of one were, and none did
    ([1.2, 0.6, 0.1], 0, 1, True),
])  # fmt: skip
def test_the_fewest_are_claimed_only_where_all_smaller_sets_were_tried(
    gains: list[float], exactly: int, size: int, claimed: bool
) -> None:
    options: Any = SimpleNamespace(
        parts=gains,
        allowed=lambda sets: sets,
        closeness=lambda sets: 1 - sets.double() @ torch.tensor(gains, dtype=torch.float64),
    )
    found = deletions.fewest(options, Decision(0.0), 3, exactly, budget=1000, beam=2)
    assert (found.flipped, len(found.order), found.fewest) == (True, size, claimed)


@pytest.mark.parametrize("alike", [True, False])
def test_deletions_that_end_exactly_on_the_threshold_make_a_pair_alike(alike: bool) -> None:
    """Each moves the closeness by a half from 1 above the threshold, or below it: two end on it."""
    options: Any = SimpleNamespace(
        parts=[0] * 3,
        allowed=lambda sets: sets,
        closeness=lambda sets: (1 - 0.5 * sets.double().sum(1)) * (1 if alike else -1),
    )
    found = deletions.fewest(options, Decision(0.0), 3, 3, budget=1000, beam=2)
    assert (found.flipped, len(found.order), found.fewest) == (True, 3 if alike else 2, True)


@pytest.mark.parametrize(("norm", "limits"), [
    ("pair", [[2.0, 2.0], [8.0, 8.0]]), ("each", [[1.0, 2.0], [4.0, 8.0]]), ("global", [[8.0, 8.0], [8.0, 8.0]]),
])  # fmt: skip
def test_what_shares_a_scale_of_colours(norm: Any, limits: list[list[float]]) -> None:
    from xsiamese.plot.image import plot_pair

    explanation = PairInputXGradient(SiameseModel(nn.Flatten(), "dot")).explain(images(2, size=4))
    ones = torch.ones(1, 4, 4, dtype=torch.float64)
    explanation.maps[0].copy_(torch.stack([1 * ones, 4 * ones]))
    explanation.maps[1].copy_(torch.stack([-2 * ones, 8 * ones]))
    figure = plot_pair(explanation, norm=norm)
    shown = [axes.images[-1].get_clim() for axes in figure.axes if len(axes.images) == 2]
    assert shown == [(-limit, limit) for row in limits for limit in row]


def test_the_split_with_the_least_time_a_pair_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    seconds = {Split(1): 1.0, Split(4, stacked=True): 2.0, Split(2, stacked=True, channels_last=True): 0.8}

    def run(batch: Any, split: Split) -> Any:
        def passed() -> None:  # others take ten seconds a pair
            clock[0] += seconds.get(split, 10.0 * (split.pairs or 1))

        return passed

    monkeypatch.setattr(fastest, "_pass", run)
    monkeypatch.setattr(fastest.time, "perf_counter", lambda: clock[0])
    model = SiameseModel(nn.Flatten(), "dot")
    with PairSaliency(model).prepared(images(8, size=4)) as batch:
        assert fastest.fastest_split(batch) == Split(2, stacked=True, channels_last=True)  # 0.4 s a pair against 0.5
        clock[0] = 0.0
        seconds.clear()
        assert fastest.fastest_split(batch) == Split(2, stacked=True, channels_last=True)  # measured once
        assert clock[0] == 0
