"""Modules that only hold others, bags of embeddings, ids that no table holds, and items one by one: one line each."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import nn

from xsiamese import (
    PairFeatureAblation,
    PairGradCAM,
    PairInteraction,
    PairLayerIntegratedGradients,
    SiameseModel,
)


@pytest.mark.parametrize("made", [
    lambda m: SiameseModel(m), lambda m: SiameseModel((nn.Linear(3, 2), m)), lambda m: PairFeatureAblation(m),
])  # fmt: skip
@pytest.mark.parametrize("holder", [nn.ModuleDict({"left": nn.Linear(3, 2)}), nn.ModuleList([nn.Linear(3, 2)])])
def test_a_module_that_only_holds_others_is_told_where_it_is_given(made: Any, holder: nn.Module) -> None:
    inside = "left" if isinstance(holder, nn.ModuleDict) else "0"
    said = rf"^a {type(holder).__name__} has no forward, it only holds modules \({inside}\): give one of them, or a"
    with pytest.raises(TypeError, match=said):
        made(holder)


def bag() -> SiameseModel:
    torch.manual_seed(0)
    return SiameseModel(nn.EmbeddingBag(27, 6).double(), "cosine")


IDS = torch.tensor([[3, 5, 7], [2, 2, 9]]), torch.tensor([[1, 4, 26], [8, 6, 5]])


@pytest.mark.parametrize("cls", [PairGradCAM, PairLayerIntegratedGradients])
def test_a_bag_of_embeddings_has_no_layer_and_is_explained_by_its_ids(cls: Any) -> None:
    with pytest.raises(ValueError, match=r"^nn.EmbeddingBag sums the vectors of all ids at once, so that no layer has"):
        cls(bag()).explain(IDS)
    model = bag()
    found = PairFeatureAblation(model).attribute(IDS)[0]
    without = IDS[0].clone()
    without[1, 2] = 0
    torch.testing.assert_close(found[1, 2], (model(*IDS) - model(without, IDS[1]))[1].detach())


@pytest.mark.parametrize(("side", "wrong"), [(0, 27), (1, -1)])
@pytest.mark.parametrize("table", [nn.EmbeddingBag, nn.Embedding])
def test_an_id_that_no_table_holds_is_named_with_its_place(table: Any, side: int, wrong: int) -> None:
    layers = [table(27, 6)] if table is nn.EmbeddingBag else [table(27, 6), nn.Flatten()]
    inputs = [ids.clone() for ids in IDS]
    inputs[side][1, 2] = wrong
    said = f"^input {'ab'[side]} holds the id {wrong}, of token 2 of text 1: the model knows those from 0 to 26$"
    with pytest.raises(ValueError, match=said):
        PairFeatureAblation(SiameseModel(nn.Sequential(*layers), "cosine")).explain(tuple(inputs))
    assert PairFeatureAblation(SiameseModel(nn.Sequential(*layers), "cosine")).explain(IDS).maps[0].any()


def test_items_one_by_one_are_told_how_to_become_one_side() -> None:
    explains = PairFeatureAblation(SiameseModel(nn.Linear(3, 2), "cosine"))
    items = [{"x": torch.ones(3)}, {"x": torch.ones(3)}]
    with pytest.raises(TypeError, match=r"a list of dict, dict: every part must be a tensor; one mapping a side, each"):
        explains.explain((items, items))
    data = pytest.importorskip("torch_geometric.data")
    graph = data.Data(x=torch.ones(2, 3), edge_index=torch.tensor([[0], [1]]))
    with pytest.raises(TypeError, match=r"Batch.from_data_list\(graphs\) makes one side of a list of graphs$"):
        explains.explain(([graph, graph], [graph, graph]))


def test_the_derivative_at_the_pair_is_no_integral_that_misses_anything() -> None:
    torch.manual_seed(0)
    model = SiameseModel(nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)).double(), "cosine")
    pair = tuple(torch.randn(2, 1, 4, dtype=torch.float64) * 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        PairInteraction(model).explain(pair, form="hessian")
    with pytest.warns(
        UserWarning, match="take more steps=, rule='secant' of an encoder of ReLU and affine layers, or,"
    ):
        PairInteraction(model).explain(pair, steps=1)
