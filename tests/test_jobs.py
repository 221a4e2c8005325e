"""Jobs: what they find is what an explainer finds, whatever the items are, however they are cut, on any engine."""

# ruff: noqa: E402

from __future__ import annotations

from multiprocessing import Pipe
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip("zarr", reason='jobs are tested with pip install "xsiamese[jobs]"')
pa = pytest.importorskip("pyarrow", reason='jobs are tested with pip install "xsiamese[jobs]"')
pc = pytest.importorskip("pyarrow.compute")
parquet = pytest.importorskip("pyarrow.parquet")

import xsiamese
from tests import jobs
from tests.jobs import PAIRS, UNITS, contents, explainer, items, job, pairs, same
from xsiamese import PairFeatureAblation, PairMaskRegression, PairSaliency, SiameseModel, open_explanations
from xsiamese.jobs.table import PairTable
from xsiamese.result.matrix import PairMatrix


def test_what_is_found_is_what_the_explainer_finds(tmp_path: Path) -> None:
    """Every pair by itself, explained outside of any job, is what the job's folder holds of it."""
    found = job(tmp_path / "out")
    rows = open_explanations(tmp_path / "out").table().to_pylist()
    assert [row["pair"] for row in rows] == list(range(PAIRS))
    for i, (a, b) in enumerate(pairs().tolist()):
        alone = explainer().explain((items()[a : a + 1], items()[b : b + 1]), n_steps=5)
        one, row = found[i], rows[i]
        torch.testing.assert_close(one.maps, alone.maps, rtol=0, atol=1e-12)
        torch.testing.assert_close(one.inputs, alone.inputs, rtol=0, atol=0)
        assert one.ids == ((str(a), str(b)),)
        assert (row["a"], row["b"], row["status"], row["error"], row["seed"]) == (str(a), str(b), "ok", None, 0)
        assert row["score"] == pytest.approx(float(alone.scores), abs=1e-12)
        assert row["delta"] == pytest.approx(float(alone.delta), abs=1e-12)  # type: ignore[arg-type]
        assert row["alike"] == (float(alone.scores) >= 0.25)
        best = alone.maps[0].abs().argmax()
        assert row["top"][0] == {"a": [int(best)], "b": None, "value": pytest.approx(float(alone.maps[0][0, best]))}
        assert row["versions"].startswith(
            f"xsiamese {xsiamese.__version__}, torch {torch.__version__.partition('+')[0]}"
        )


def test_some_of_the_pairs(tmp_path: Path) -> None:
    found = job(tmp_path / "out")
    scores = np.array(found.table(["score"])["score"])
    high = found.filter(pc.field("score") > 0.0)
    assert len(high) == (scores > 0).sum()
    assert [float(one.scores) for one in high] == pytest.approx(scores[scores > 0])
    alike = high.filter(pc.field("alike"))
    assert len(alike) == (scores >= 0.25).sum()
    assert float(alike[-1].scores) == pytest.approx(scores[scores >= 0.25][-1])
    assert sum(len(batch) for batch in found.batches()) == PAIRS
    with pytest.raises(IndexError, match="there is no pair 10: the explanation holds 10 pairs"):
        found[PAIRS]
    with pytest.raises(ValueError, match="there is no column 'skore': pair, a, b"):
        found.table(["skore"])


@pytest.mark.parametrize("changed", [{"unit": 3}, {"unit": 100, "batch": 1}])
def test_units_change_nothing(changed: dict[str, Any], tmp_path: Path) -> None:
    usual, other = job(tmp_path / "usual"), job(tmp_path / "other", **changed)
    for i in range(PAIRS):
        torch.testing.assert_close(usual[i].maps, other[i].maps, rtol=0, atol=1e-12)


def test_two_workers_write_what_one_writes(tmp_path: Path) -> None:
    """And one of the two dies on the way: its unit is done again."""
    dying = jobs.Dying(items(), tmp_path / "died")
    job(tmp_path / "two", workers=2, items=dying)
    assert (tmp_path / "died").exists()
    job(tmp_path / "one", items=jobs.Dying(items(), tmp_path / "died"))
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert one.pop("named") == two.pop("named") == list(range(UNITS))
    assert same(one, two)


def test_shards_are_one_job(tmp_path: Path) -> None:
    job(tmp_path / "whole")
    for shard in ("2/3", "1/3"):
        found = job(tmp_path / "out", shard=shard)
    assert repr(found).startswith("StoredExplanations(8 of 10 pairs by PairIntegratedGradients, 0 with an error")
    job(tmp_path / "out", shard="3/3")
    assert same(contents(tmp_path / "out"), contents(tmp_path / "whole"))


def test_the_first_rows_only(tmp_path: Path) -> None:
    assert len(job(tmp_path / "out", limit=5)) == 5


def test_half_precision(tmp_path: Path) -> None:
    """16 bits of the largest value of a unit: 2**-11 of it, whatever its size; what is exact stays exact."""
    full, half = job(tmp_path / "full"), job(tmp_path / "half", precision="half")
    for start in range(0, PAIRS, 4):
        which = range(start, min(start + 4, PAIRS))
        largest = max(float(full[i].maps[0].abs().max()) for i in which)
        for i in which:
            assert float((half[i].maps[0] - full[i].maps[0]).abs().max()) <= largest * 2**-11
            assert half[i].maps[0].dtype == torch.float64
            assert torch.equal(half[i].inputs[0], full[i].inputs[0])
    assert half.table(["score", "delta"]) == full.table(["score", "delta"])


def test_an_item_of_many_pairs_is_kept_once(tmp_path: Path) -> None:
    job(tmp_path / "out", pairs=[(0, 1), (0, 2), (0, 3)])
    arrays = contents(tmp_path / "out")
    assert len(arrays["000000/inputs.a.0"]) == 1
    assert len(arrays["000000/inputs.b.0"]) == 3


def test_pair_matrices(tmp_path: Path) -> None:
    model = SiameseModel(nn.Linear(4, 3, bias=False).double(), "dot")
    found = job(tmp_path / "out", explainer=PairMaskRegression(model), n_steps=None, seed=3)
    weight = model.encoders[0].weight  # type: ignore[union-attr]
    for i in (1, 6):
        a, b = (items()[n] for n in pairs()[i].tolist())
        exact = (weight * a).T @ (weight * b)  # of a linear model: x_i w_i . w_j y_j
        matrix = found[i].matrix  # type: ignore[attr-defined]
        torch.testing.assert_close(matrix.dense(), exact.detach(), rtol=0, atol=1e-10)
        (row,) = found.filter(pc.field("pair") == i).table(["top"]).to_pylist()
        best = max(row["top"], key=lambda one: abs(one["value"]))
        assert abs(best["value"]) == pytest.approx(float(exact.detach().abs().max()))


def test_texts(tmp_path: Path) -> None:
    """Strings, of which no two have the same number of words: ids, pieces and words come back as they were."""
    from tests.jobs import Spelled

    texts = ["a cat", "one small cat", "dogs"]
    found = job(tmp_path / "out", pairs=[(0, 1), (1, 2), (2, 0)], items=texts, explainer=PairFeatureAblation(Spelled()),
                n_steps=None)  # fmt: skip
    alone = PairFeatureAblation(Spelled()).explain((["one small cat"], ["dogs"]))
    assert [side.words for side in found[1].inputs] == [(("one", "small", "cat"),), (("dogs",),)]
    words = [one.inputs[0].by_word(one.maps[0])[0][1] for one in (found[1], alone)]
    torch.testing.assert_close(*words)


def test_graphs(tmp_path: Path) -> None:
    data = pytest.importorskip("torch_geometric.data", reason='graphs need pip install "xsiamese[graph]"')
    from tests.jobs import summed

    graphs = [data.Data(x=torch.randn(n, 2).double(), edge_index=torch.tensor([[0], [1]])) for n in (2, 5, 3)]
    found = job(tmp_path / "out", pairs=[(0, 1), (1, 2), (2, 0)], items=graphs, explainer=PairSaliency(summed()),
                n_steps=None)  # fmt: skip
    for one, (a, b) in zip(found, [(0, 1), (1, 2), (2, 0)], strict=True):
        alone = PairSaliency(summed()).explain((graphs[a], graphs[b]))
        torch.testing.assert_close(one.maps[0].node_mask, alone.maps[0].node_mask)
        assert torch.equal(one.inputs[1].x, graphs[b].x)


def test_bad_pairs_are_rows(tmp_path: Path) -> None:
    """A number that is none, one of no item, an item that is NaN, and a model that breaks on one pair of many."""
    broken = items().clone()
    broken[3, 1] = float("nan")
    broken[4, 0] = 99.0  # what the model chokes on
    asked = [(0, 1), ("x", 1), (1, 17), (2, 3), (5, 6), (4, 7), (8, 9)]
    chokes = PairSaliency(SiameseModel(jobs.Choking(), "dot"))
    found = job(tmp_path / "out", pairs=asked, items=broken, explainer=chokes, n_steps=None, unit=7)
    rows = found.table().to_pylist()
    assert [row["status"] for row in rows] == ["ok", "error", "error", "error", "ok", "error", "ok"]
    assert [row["row"] for row in rows] == [0, None, None, None, 1, None, 2]
    assert [row["error"] for row in rows if row["error"]] == [
        "a: 'x': the number of an item, 0 to 9, is needed",
        "b: '17': the number of an item, 0 to 9, is needed",
        "b: 3 holds NaN or infinite values",
        "a row of 99 is too much",
    ]
    assert rows[1]["score"] is None
    assert [one.ids for one in found] == [(("0", "1"),), (("5", "6"),), (("8", "9"),)]
    alone = chokes.explain((broken[8:9], broken[9:10]))
    torch.testing.assert_close(found[6].maps, alone.maps)
    with pytest.raises(ValueError, match="pair 5 could not be explained: a row of 99 is too much"):
        found[5]
    assert len(found.filter(pc.field("status") == "error")) == 4


def test_nothing_but_bad_pairs(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="none of the first 2 pairs of pairs can be read; row 0: a: 'x': the number"):
        job(tmp_path / "out", pairs=[("x", "y"), ("y", "x")])
    assert not (tmp_path / "out").exists()


def test_what_fits_no_pair_is_an_error_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mat1 and mat2 shapes cannot be multiplied"):
        job(tmp_path / "out", items=torch.zeros(10, 7, dtype=torch.float64))
    assert not (tmp_path / "out").exists()


def test_items_of_another_shape_are_rows_with_an_error(tmp_path: Path) -> None:
    """Of a unit, the shape that most pairs have is explained."""
    rows = [*items()[:4, None], torch.zeros(1, 3, dtype=torch.float64)]
    found = job(tmp_path / "out", pairs=[(0, 1), (4, 2), (2, 3)], items=rows)
    told = "items of shape {} and {} among others of {} and {}: one job explains items of one shape"
    four, three = "(4,) torch.float64", "(3,) torch.float64"
    assert found.table(["error"]).to_pylist() == [
        {"error": None},
        {"error": told.format(three, four, four, four)},
        {"error": None},
    ]


def test_graphs_of_other_attributes_are_rows_with_an_error(tmp_path: Path) -> None:
    """PyG's batches need the same ones of all graphs: the others are explained all the same."""
    data = pytest.importorskip("torch_geometric.data", reason='graphs need pip install "xsiamese[graph]"')
    ends = torch.tensor([[0], [1]])
    graphs = [data.Data(x=torch.randn(n, 2).double(), edge_index=ends, y=torch.tensor(n)) for n in (2, 5, 3)]
    graphs += [data.Data(x=torch.ones(2, 3).double(), edge_index=ends, y=torch.tensor(0))]
    graphs += [data.Data(x=torch.ones(2, 2).double(), edge_index=ends)]
    found = job(tmp_path / "out", pairs=[(0, 1), (1, 2), (3, 0), (0, 4)], items=graphs, n_steps=None,
                explainer=PairSaliency(jobs.summed()))  # fmt: skip
    usual = "Data(edge_index [2], x [2], y [])"
    told = f"items of shape {{}} and {{}} among others of {usual} and {usual}: one job explains items of one shape"
    assert found.table(["error"])["error"].to_pylist() == [
        None,
        None,
        told.format("Data(edge_index [2], x [3], y [])", usual),
        told.format(usual, "Data(edge_index [2], x [2])"),
    ]
    torch.testing.assert_close(found[1].scores, PairSaliency(jobs.summed()).explain((graphs[1], graphs[2])).scores)


@pytest.mark.parametrize("kind", ["texts", "graphs"])
def test_one_of_many_texts_or_graphs_breaks_the_model(kind: str, tmp_path: Path) -> None:
    """What is found of the others is what the explainer finds of each alone."""
    given: list[Any] = ["a cat", "one small cat", "dogs", "overwhelminglylongword"]  # of more letters than it knows
    explainer: Any = PairFeatureAblation(jobs.Spelled())
    if kind == "graphs":
        data = pytest.importorskip("torch_geometric.data", reason='graphs need pip install "xsiamese[graph]"')
        given = [data.Data(x=torch.randn(n, 2).double(), edge_index=torch.tensor([[0], [1]])) for n in (2, 5, 3)]
        given.append(data.Data(x=torch.full((2, 2), 99.0).double(), edge_index=torch.tensor([[0], [1]])))
        explainer = PairSaliency(jobs.summed())
    asked = [(0, 1), (2, 3), (1, 2)]
    found = job(tmp_path / "out", pairs=asked, items=given, explainer=explainer, n_steps=None)
    assert found.table(["status"])["status"].to_pylist() == ["ok", "error", "ok"]
    for i in (0, 2):
        alone = explainer.explain(tuple(given[n] if kind == "graphs" else [given[n]] for n in asked[i]))
        torch.testing.assert_close(found[i].scores, alone.scores)


def test_values_of_other_tokens_and_maps_that_are_not_there() -> None:
    from xsiamese.jobs.rows import strongest

    with pytest.raises(ValueError, match=r"^values of shape \(2, 5\) are not of 1 texts of 2 tokens$"):
        jobs.spelled(["a cat"]).by_token(torch.zeros(2, 5))
    rows = torch.ones(2, 3)
    found = xsiamese.PairExplanation(None, (rows, rows), torch.ones(2), "M", kinds=("row", "row"))
    assert strongest(found) == [[], []]


def entries(kind: str) -> xsiamese.PairExplanation:
    """Three pairs with a column of entries, of which each has its own shape, or its own parts."""
    made = {
        "shapes": [torch.full((n, 2), float(n)) for n in (1, 3, 2)],
        "values": ["one", 2.5, None],
        "parts": [
            PairMatrix(torch.ones(2, 1), torch.ones(3, 1), alone=None if n == 1 else (torch.ones(2), torch.ones(3) * n))
            for n in range(3)
        ],
        "none": [torch.zeros(0, 2) for _ in range(3)],
    }[kind]
    maps = tuple(torch.arange(12.0).reshape(3, 4).bfloat16() + side for side in (0, 20))
    cls = xsiamese.MatrixExplanation if kind == "parts" else xsiamese.PairExplanation
    return cls(
        maps,
        (torch.rand(3, 4), torch.rand(3, 4)),
        torch.arange(3.0),
        "M",
        columns={"matrix": made},
        kinds=("row", "row"),
    )


@pytest.mark.parametrize("rows", [[2, 0], [1], None])
@pytest.mark.parametrize("kind", ["shapes", "values", "parts", "none"])
def test_entries_of_any_shape_come_back_to_their_pairs(kind: str, rows: list[int] | None) -> None:
    import zarr

    from xsiamese.jobs import arrays

    whole = entries(kind)
    group = zarr.create_group({})
    arrays.write(group, whole, (["x", "y", "z"], ["u", "v", "u"]), "full")
    found = arrays.read(group, rows)
    for n, i in enumerate(range(3) if rows is None else rows):
        assert torch.equal(found.scores[n], whole.scores[i])
        assert found.maps is not None
        assert whole.maps is not None
        assert all(torch.equal(one[n], of[i]) for one, of in zip(found.maps, whole.maps, strict=True))
        one, of = found.columns["matrix"][n], whole.columns["matrix"][i]
        if isinstance(of, PairMatrix):
            assert (one.alone is None) == (of.alone is None)
            one, of = one.dense(alone=True), of.dense(alone=True)
        assert torch.equal(one, of) if isinstance(of, torch.Tensor) else one == of


def test_tables(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("who,first_a,first_b\nx,left.png,right.png\n")
    parquet.write_table(pa.table({"b": [2, 3], "a": [0, 1]}), tmp_path / "p.parquet")
    assert PairTable.of(tmp_path / "p.csv").both(0, 1) == (["left.png"], ["right.png"])
    assert PairTable.of(tmp_path / "p.csv", ("who", "first_b")).both(0, 1) == (["x"], ["right.png"])
    assert PairTable.of(tmp_path / "p.parquet").both(0, 2) == (["0", "1"], ["2", "3"])
    (tmp_path / "r.csv").write_text("left_name,right_name,label\nx,y,1\n")
    assert PairTable.of(tmp_path / "r.csv").both(0, 1) == (["r.csv:0:left"], ["r.csv:0:right"])


def test_columns_of_files_are_named(tmp_path: Path) -> None:
    """Also where they are called as the two sides of a record, and the records have nothing else."""
    (tmp_path / "notes.txt").write_text("a cat")
    for header, row in (("left_img,right_img,same", "x.png,y.png,1"), ("one,same,other", "notes.txt,0,notes.txt")):
        (tmp_path / "p.csv").write_text(f"{header}\n{row}\n")
        two = [name for name, word in zip(header.split(","), row.split(","), strict=True) if "." in word]
        said = f"it has .*; --columns {two[0]},{two[1]} says which two: they hold names of files"
        with pytest.raises(ValueError, match=said):
            PairTable.of(tmp_path / "p.csv")
        assert PairTable.of(tmp_path / "p.csv", (two[0], two[1])).both(0, 1)[0] == [row.split(",")[0]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x,y\n1,2\n", "p.csv has no columns a and b: it has x, y; --columns FIRST,SECOND says which two"),
        ("a,b\n", "p.csv holds no rows"),
        ("", "p.csv holds no rows"),
        ("a,b\n1,2,3\n", "p.csv, line 2: 3 values for 2 columns"),
        (None, "cannot be read as a table"),
    ],
)
def test_bad_tables(text: str | None, said: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "p.csv").write_text(text)
    with pytest.raises(ValueError, match=said):
        job(tmp_path / "out", pairs=tmp_path / "p.csv")
    assert not (tmp_path / "out").exists()


def test_a_parquet_table_without_rows_and_a_blank_word_are_told(tmp_path: Path) -> None:
    from xsiamese.jobs.source import Files
    from xsiamese.zoo import open_model

    path = tmp_path / "p.parquet"
    parquet.write_table(pa.table({"a": pa.array([], pa.string()), "b": pa.array([], pa.string())}), path)
    with pytest.raises(ValueError, match=r"p\.parquet holds no rows: there are no pairs to explain$"):
        PairTable.of(path)
    with pytest.raises(ValueError, match=r"^'  ' names no item$"):
        Files(open_model("fashion"), tmp_path)("  ")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"pairs": []}, "there are no pairs to explain"),
        ({"pairs": ["ab"]}, "'ab' is no pair: two items are needed"),
        ({"pairs": [(1, 2, 3)]}, r"\(1, 2, 3\) is no pair"),
        ({"unit": 0}, "unit=0: a whole number from 1 on is needed"),
        ({"workers": 0}, "workers=0: a whole number from 1 on is needed"),
        ({"shard": "4/3"}, "--shard 4/3: i/n with i from 1 to n is needed"),
        ({"items": None}, "give model= by name, or items="),
        ({"items": "gone.npy"}, "gone.npy cannot be read as an array of items"),
        ({"n_stepz": 3}, "has no option 'n_stepz'; did you mean 'n_steps'"),
    ],
)
def test_bad_arguments(changed: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises((ValueError, TypeError), match=said):
        job(tmp_path / "out", **changed)
    assert not (tmp_path / "out").exists()


def test_rows_that_repeat_others_are_said(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="pairs: 1 of 3 rows repeat an earlier one: each is explained"):
        assert len(job(tmp_path / "out", pairs=[(0, 1), (2, 1), (0, 1)])) == 3


def test_items_by_their_ids(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("id,item\nx,0\ny,1\nx,2\n")
    with pytest.raises(ValueError, match="two items with the id 'x'"):
        job(tmp_path / "out", pairs=[("x", "y")], items=tmp_path / "items.csv")


def test_a_mapped_array_is_not_copied(tmp_path: Path) -> None:
    import pickle

    from xsiamese.jobs.source import Rows

    np.save(tmp_path / "items.npy", items().numpy())
    source = Rows(tmp_path / "items.npy")
    assert torch.equal(source("3"), items()[3:4])
    assert isinstance(source.array, np.memmap)
    assert len(pickle.dumps(source)) < 500
    assert len(job(tmp_path / "out", items=tmp_path / "items.npy")) == PAIRS


class Told:
    """A worker without a process, whose answers are given."""

    answers: list[Any] = []
    ended = 0

    def __init__(self, task: Any) -> None:
        self.pipe, self.theirs = Pipe()
        self.unit: Any = None
        self.process = SimpleNamespace(exitcode=-9)

    def give(self, unit: Any) -> None:
        self.unit = unit
        self.theirs.send("ready")

    def answer(self) -> Any:
        self.unit = self.pipe.recv() and None
        return Told.answers.pop(0)

    def end(self) -> None:
        Told.ended += 1


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ([ValueError("no room")], "^no room$"),
        (
            [None, None],
            "^a worker was killed by SIGKILL at pairs 0 to 3, twice: often there is not enough memory; give fewer "
            "--workers, a smaller --batch or a smaller --unit in a new folder$",
        ),
    ],
)
def test_what_a_worker_says_ends_the_job_and_all_workers(
    answers: list[Any], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xsiamese.jobs import local
    from xsiamese.jobs.unit import units

    monkeypatch.setattr(local, "Worker", Told)
    monkeypatch.setattr(Told, "answers", answers)
    monkeypatch.setattr(Told, "ended", 0)
    with pytest.raises(ValueError, match=told):
        list(local.Workers(1)(None, units(4, 4)))  # type: ignore[arg-type]
    assert (Told.answers, Told.ended) == ([], 1)


def test_engines_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Ray it is named; where processes cannot be forked by a server they are spawned."""
    from xsiamese.jobs import job as jobs_job
    from xsiamese.jobs import local

    monkeypatch.setattr(jobs_job, "find_spec", lambda name: None)
    with pytest.raises(ImportError) as caught:
        jobs_job._engine("ray", 2, None)
    assert str(caught.value) == jobs_job.MISSING
    monkeypatch.setattr(local, "get_all_start_methods", lambda: ["spawn"])
    assert local._context().get_start_method() == "spawn"


def test_a_job_leaves_the_interpreter_as_it_was(tmp_path: Path) -> None:
    """Also one that ends early: its threads, how long one runs before another may, and where garbage is looked for."""
    import gc
    import sys

    from xsiamese.jobs.local import here
    from xsiamese.jobs.recipe import Given
    from xsiamese.jobs.source import Rows
    from xsiamese.jobs.store import Store
    from xsiamese.jobs.task import Task
    from xsiamese.jobs.unit import units

    for made in ("pairs", "arrays.zarr"):
        (tmp_path / made).mkdir()
    task = Task(PairTable.of(pairs()), Rows(items().numpy()), Given(explainer()), Store(tmp_path))
    gc.unfreeze()  # a command in a test before may have kept what was there, as the command line does
    before = torch.get_num_threads(), sys.getswitchinterval(), gc.get_freeze_count()
    running = here(task, units(PAIRS, 2))
    next(running)
    assert gc.get_freeze_count() > before[2]
    running.close()
    assert (torch.get_num_threads(), sys.getswitchinterval(), gc.get_freeze_count()) == before
    assert list(here(task, [])) == []


def test_several_pairs_of_a_job_are_these_pairs_and_others_are_told(tmp_path: Path) -> None:
    found = jobs.job(tmp_path / "out")
    names = [one.ids for one in found]
    mask = np.arange(10) % 3 == 0
    asked: list[Any] = [slice(2, 7), slice(None, None, 4), slice(0, 0), [1, 5, 9], mask, torch.tensor([0, 3]), [-2, -1]]
    for index in asked:
        assert [one.ids for one in found[index]] == [names[i] for i in np.arange(10)[index].tolist()]
    assert [one.ids for one in found[2:9][1:5][[0, 3]]] == [names[3], names[6]]
    assert found[2:9][-1].ids == names[8]
    scores = sorted(float(one.scores) for one in found)
    high = found.filter(pc.field("score") > (scores[4] + scores[5]) / 2)
    assert len(high) == 5
    assert [one.ids for one in high[1:3]] == [one.ids for one in high][1:3]
    wrong: list[tuple[Any, str]] = [
        (lambda: found["x"], "^an explanation is indexed by pairs and 'x' is a str: "),
        (lambda: found[10], "^there is no pair 10: "),
        (lambda: found[::-1], "^several pairs of a job come in the order of its table"),
        (lambda: found[[3, 3]], "^several pairs of a job come in the order of its table"),
        (lambda: found.filter("score > 0"), "^'score > 0' is a str: an expression of pyarrow is needed, as in "),
        (lambda: found.filter(pc.field("nope") > 0), "^there is no column 'nope': pair, a, b, status, "),
        (lambda: found.filter(pc.field("score") > "x"), r"^pairs cannot be filtered by \(score > \"x\"\): [^\n]*$"),
        (lambda: found.filter(pc.field("score")), "^pairs cannot be filtered by score: [^\n]*$"),
        (lambda: found.table("score"), "^columns='score': a list of names of columns is needed$"),
    ]
    for ask, told in wrong:
        with pytest.raises((TypeError, ValueError, IndexError), match=told):
            ask()
