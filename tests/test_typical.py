"""``baselines="typical"``: rows start from rows as the model was trained on, of which a checkpoint keeps a few."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xsiamese import PairIntegratedGradients, Pool, SiameseModel, auto, measure
from xsiamese.data.columns import Columns
from xsiamese.data.planted import planted
from xsiamese.data.tabular import Table
from xsiamese.data.typical import typical_rows
from xsiamese.zoo import save, shipped
from xsiamese.zoo.checkpoint import load


def rows(count: int = 200) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(count, 4, generator=generator, dtype=torch.float64) * torch.tensor([1.0, 5.0, 0.1, 2.0]) + 3


def test_every_column_has_its_own_quantiles_and_no_row_is_kept() -> None:
    data = rows()
    found = typical_rows(data, count=8)
    assert found.shape == (8, 4)
    theirs = np.quantile(data.numpy(), (np.arange(8) + 0.5) / 8, axis=0)  # numpy's, linear between order statistics
    assert np.allclose(found.sort(0).values.numpy(), theirs)
    assert torch.cdist(found, data).min() > 1e-3
    assert not torch.equal(found[:, 0].argsort(), found[:, 1].argsort())  # a column's order says nothing of another's
    assert torch.equal(found, typical_rows(data, count=8))
    with pytest.raises(ValueError, match="columns of 3 features"):
        typical_rows(data, [1, 2])


def test_a_category_stays_one_value_as_often_as_the_data_have_it() -> None:
    texts = ["red"] * 50 + ["blue"] * 25 + [""] * 25
    table = Table(Path("t.csv"), {"colour": tuple(texts), "size": tuple(map(str, range(100)))}, tuple(range(100)))
    columns = Columns.of_table(table)
    found = torch.tensor(columns.typical(columns(table)))
    assert [column.name for column in columns.columns] == ["colour", "size"]
    assert torch.equal(found[:, :2].sum(0), torch.tensor([4.0, 8.0]))  # blue, red: of 16, and 4 without a colour
    assert found[:, :2].sum(1).max() == 1
    numbers = torch.tensor([[0.0, 2.0, 1.0], [1.0, 4.0, 3.0]])  # a column of three numbers is no category: its mean
    assert typical_rows(numbers, [3], count=2).tolist() == [[0.5, 3.0, 2.0]] * 2


def inner_product() -> SiameseModel:
    model = SiameseModel(nn.Identity(), "dot").eval()
    model.typical = rows(5)
    return model


def test_integrated_gradients_of_an_inner_product_start_there() -> None:
    """The path's closed form, (a - mean of the rows) b, one side at a time."""
    a, b = rows()[:6].clone(), rows()[6:12].clone()
    method = PairIntegratedGradients(inner_product())
    map_a, map_b = method.attribute((a, b), baselines="typical")
    mean = rows(5).mean(0)
    assert torch.allclose(map_a, (a - mean) * b, atol=1e-9)
    assert torch.allclose(map_b, (b - mean) * a, atol=1e-9)
    same = method.attribute((a, b), baselines=Pool(rows(5)))
    assert torch.equal(map_a, same[0])


def test_what_cannot_start_there_says_why() -> None:
    model, pair = inner_product(), (rows()[:2], rows()[2:4])
    model.typical = None
    with pytest.raises(ValueError, match=r"set model\.typical"):
        PairIntegratedGradients(model).explain(pair, baselines="typical")
    model.typical = torch.zeros(3, 7)
    with pytest.raises(ValueError, match=r"shape \(3, 7\) and input a \(2, 4\)"):
        PairIntegratedGradients(model).explain(pair, baselines="typical")
    image = torch.rand(1, 1, 4, 4)
    with pytest.raises(ValueError, match="is for rows on both sides"):
        PairIntegratedGradients(SiameseModel(nn.Flatten())).explain((image, image), baselines="typical")


def test_a_checkpoint_keeps_them_and_refuses_what_are_none(tmp_path: Path) -> None:
    shipped_rows = shipped("planted-rows")
    assert shipped_rows.model.typical is not None
    assert shipped_rows.model.typical.shape == (16, 10)
    path = save(tmp_path / "m.safetensors", shipped_rows.model, "planted-rows", about={"typical": [[1.0] * 10]})
    assert torch.equal(load(path).model.typical, torch.ones(1, 10))  # type: ignore[arg-type]
    for wrong in ([[1.0], [1.0, 2.0]], [1.0], "rows", [["x"]], json.loads("[[NaN]]")):
        save(path, shipped_rows.model, "planted-rows", about={"typical": wrong})
        with pytest.raises(ValueError, match="'typical' of its header are no rows"):
            load(path)


def test_a_model_that_knows_them_is_explained_from_them() -> None:
    """The truth of rows is found, on pairs of a seed of its own, without anybody giving rows."""
    model, pairs = shipped("planted-rows").model, planted("rows", 16, seed=11)
    chosen = auto(model)
    assert chosen.options["baselines"] == "typical"
    found = measure(chosen.explainer, pairs, ["auroc"], **chosen.options)["auroc"].mean
    assert found > 0.97
    assert found > measure(chosen.explainer, pairs, ["auroc"])["auroc"].mean + 0.05
    assert auto(SiameseModel(nn.Linear(4, 2))).options.get("baselines") is None
