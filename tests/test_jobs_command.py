"""``xsiamese explain-pairs``: images, texts, rows and molecules of a table; one line for what is wrong."""

# ruff: noqa: E402

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

for name in ("zarr", "pyarrow", "PIL", "torchvision"):
    pytest.importorskip(name, reason='jobs over images are tested with pip install "xsiamese[jobs,image]"')

import torch
from PIL import Image

import xsiamese
from xsiamese import PairGradCAM, open_explanations
from xsiamese.data import fashion_samples
from xsiamese.zoo import open_model

pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(run: Run) -> Run:
    """Runs ``xsiamese explain-pairs ...`` and gives its exit code, output and errors."""
    return partial(run, "explain-pairs")


@pytest.fixture
def boots(tmp_path: Path) -> Path:
    """A table of pairs of images that lie beside it, in a folder that is not the current one."""
    folder = tmp_path / "data"
    folder.mkdir()
    for i, image in enumerate(fashion_samples().images[:4]):
        Image.fromarray(image[0].numpy()).save(folder / f"{i}.png")
    whole = (folder / "3.png").read_bytes()
    (folder / "short.png").write_bytes(whole[: len(whole) // 2])
    table = folder / "pairs.csv"
    table.write_text("a,b\n0.png,1.png\n1.png,2.png\nshort.png,0.png\ngone.png,1.png\n2.png,3.png\n")
    return table


def test_images(run: Run, boots: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, said, _ = run(boots, "-o", out, "--method", "gradcam", "--unit", 2)
    assert code == 0
    assert said.splitlines()[0].startswith("5 of 5 pairs by PairGradCAM, ")
    assert "2 with an error, the first in row 2: a: " in said
    assert "short.png" in said
    opened = open_model("fashion")
    both = [opened.read(boots.parent / f"{i}.png") for i in (2, 3)]
    alone = PairGradCAM(opened.model, opened.layer).explain(both)
    found = open_explanations(out)
    torch.testing.assert_close(found[4].maps, alone.maps)
    assert found[4].ids == (("2.png", "3.png"),)
    assert len(found[4].top(2)[0][0]) == 2
    rows = found.table(["status", "error"]).to_pylist()
    assert [row["status"] for row in rows] == ["ok", "ok", "error", "error", "ok"]
    assert "gone.png cannot be read as an image: No such file" in rows[3]["error"]


def test_the_choice_of_the_scoreboard(run: Run, boots: Path, tmp_path: Path) -> None:
    code, said, _ = run(boots, "-o", tmp_path / "out", "--budget", "fast", "--limit", 2)
    assert code == 0
    assert said.startswith("2 of 2 pairs by Pair")
    assert "chosen" in open_explanations(tmp_path / "out")[0].parameters


def test_ids_of_a_table_of_items(run: Run, boots: Path, tmp_path: Path) -> None:
    (boots.parent / "items.csv").write_text("id,item\nleft,0.png\nright,1.png\n")
    (tmp_path / "pairs.csv").write_text("a,b\nleft,right\nright,middle\n")
    out = tmp_path / "out"
    code, _, said = run(tmp_path / "pairs.csv", "-o", out, "--items", boots.parent / "items.csv", "--method", "gradcam")
    assert code == 0, said
    assert open_explanations(out).table(["error"]).to_pylist() == [
        {"error": None},
        {"error": f"b: {boots.parent / 'items.csv'} has no item with the id 'middle'"},
    ]


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (["--method", "gradcamm"], "no explainer is called 'gradcamm'; did you mean 'gradcam'"),
        (["--method", "saliency", "--stepz", "3"], "the method saliency has no option --stepz"),
        (["--stepz", "3"], "there is no option --stepz, of the command or of a method"),
        (["--devise", "cpu"], "there is no option --devise: did you mean --device?"),
        (["--method", "saliency", "--layer", "7"], "--layer is for methods that explain a layer"),
        (
            ["--columns", "x,y"],
            "has no column 'x': it has a, b; --columns a,b says which two: they hold names of files",
        ),
        (["--columns", "x"], "--columns x: the names of two columns with a comma between them are needed"),
        (["--model", "nope"], "no model is called 'nope'"),
        (["--shard", "0/2"], "--shard 0/2: i/n with i from 1 to n is needed"),
        (["--items", "none.npy"], "none.npy cannot be read as an array of items"),
    ],
)
def test_bad_words_are_one_line(given: list[str], line: str, run: Run, boots: Path, tmp_path: Path) -> None:
    code, _, said = run(boots, "-o", tmp_path / "out", *given)
    assert code == 2
    assert said.startswith("xsiamese: ")
    assert line in said
    assert len(said.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_table_that_is_none(run: Run, tmp_path: Path) -> None:
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 is not enough")
    for name, line in (("gone.csv", "cannot be read as a table"), ("broken.parquet", "cannot be read as a Parquet")):
        code, _, said = run(tmp_path / name, "-o", tmp_path / "out")
        assert code == 2
        assert line in said


def test_rows_of_tables(run: Run, tmp_path: Path) -> None:
    """Records that stand side by side in a table, and rows that are named by their number, of a trained network."""
    from xsiamese.data.columns import Column, Columns
    from xsiamese.zoo import find_card
    from xsiamese.zoo.checkpoint import save

    card = find_card("siamese-mlp")
    columns = Columns((Column("size"), Column("weight")))
    arguments = {**card.defaults, "inputs": 2}
    path = save(tmp_path / "rows.safetensors", card.build(**arguments), card.name, arguments,
                {"columns": columns.described()})  # fmt: skip
    (tmp_path / "records.csv").write_text("left_size,left_weight,right_size,right_weight\n1,2,3,4\n5,6,7,8\n")
    (tmp_path / "items.csv").write_text("size,weight\n1,2\n3,4\n")
    (tmp_path / "pairs.csv").write_text("a,b\nitems.csv:0,items.csv:1\nitems.csv:0,items.csv:7\n")
    for table in ("records", "pairs"):
        code, said, error = run(
            tmp_path / f"{table}.csv", "-o", tmp_path / table, "--model", path, "--method", "saliency"
        )
        assert code == 0, said + error
    records, named = (open_explanations(tmp_path / name) for name in ("records", "pairs"))
    torch.testing.assert_close(records[0].inputs[1], torch.tensor([[3.0, 4.0]]))
    torch.testing.assert_close(records[0].maps, named[0].maps)
    assert "items.csv has 2 rows" in named.table(["error"]).to_pylist()[1]["error"]
    assert json.loads((tmp_path / "pairs" / "job.json").read_text())["method"] == "PairSaliency"


def test_molecules_by_their_smiles(run: Run, tmp_path: Path) -> None:
    """A SMILES that means nothing is a row with its error, and what others give is what they give alone."""
    pytest.importorskip("rdkit", reason='SMILES need pip install "xsiamese[graph]"')
    from xsiamese.data.molecules import molecule
    from xsiamese.zoo import find_card
    from xsiamese.zoo.checkpoint import save

    card = find_card("siamese-gcn")
    ethanol, ether = molecule("CCO"), molecule("C/C=C/OC")
    arguments = {**card.defaults, "inputs": ethanol.x.shape[1]}
    torch.manual_seed(0)
    path = save(tmp_path / "graphs.safetensors", card.build(**arguments), card.name, arguments,
                {"graphs": {"kind": "smiles", "place": "molecules.csv", "reading": {}}})  # fmt: skip
    table = tmp_path / "pairs.csv"
    table.write_text("a,b\nCCO,C/C=C/OC\nCCO,C1CC\nc1ccccc1,CCO\n")
    code, said, error = run(table, "-o", tmp_path / "out", "--model", path, "--method", "leave_one_out")
    assert code == 0, said + error
    found = open_explanations(tmp_path / "out")
    rows = found.table(["status", "error"]).to_pylist()
    assert [row["status"] for row in rows] == ["ok", "error", "ok"]
    assert "'C1CC' is no SMILES" in rows[1]["error"]
    assert found[0].ids == (("CCO", "C/C=C/OC"),)
    alone = xsiamese.PairLeaveOneOut(open_model(str(path)).model).explain((ethanol, ether))
    for one, other in zip(found[0].maps, alone.maps, strict=True):
        torch.testing.assert_close(one.node_mask, other.node_mask)
