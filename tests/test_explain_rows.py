"""``xsiamese explain table.csv:3 table.csv:17``: rows named on the command line, read with the columns of the
checkpoint.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import torch

from xsiamese import PairExplanation
from xsiamese.cli import app
from xsiamese.data.columns import Columns
from xsiamese.data.row_files import RowReader, is_row
from xsiamese.data.tabular import read_table
from xsiamese.zoo import load, save
from xsiamese.zoo.tabular import siamese_mlp

ROWS = 60
HEAD = "x,metal,y,strength"


def write(folder: Path, name: str = "bars.csv") -> Path:
    """Two numbers, a category, and a column that the model was not given."""
    numbers = torch.randn(ROWS, 3, generator=torch.Generator().manual_seed(0)).tolist()
    lines = [f"{x:.4f},{('iron', 'gold', 'tin')[i % 3]},{y:.4f},{z:.4f}" for i, (x, y, z) in enumerate(numbers)]
    path = folder / name
    path.write_text("\n".join([HEAD, *lines]) + "\n")
    return path


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write(tmp_path)


def columns(table: Path) -> Columns:
    return Columns.of_table(read_table(table).take(range(40)).without(["strength"]))


@pytest.fixture
def checkpoint(table: Path, tmp_path: Path) -> Path:
    """A network as training leaves it, with the columns of the first 40 rows."""
    torch.manual_seed(0)
    arguments = {"inputs": 5, "hidden": 8, "dimensions": 4}
    model = siamese_mlp(**arguments)
    with torch.no_grad():
        model.encoder[0].weight[:, 0] *= 8.0  # one column decides, as after training
        model.encoder[-1].weight *= 3.0
    about = {"columns": columns(table).described(), "reading": {"target": "strength"}}
    return save(tmp_path / "m.safetensors", model, "siamese-mlp", arguments, about)


def call(*words: object) -> None:
    app([str(word) for word in words], result_action="return_value")


def test_a_word_is_the_row_standardised_as_in_training(table: Path, checkpoint: Path) -> None:
    read = RowReader.of(load(checkpoint).about)
    every = columns(table)(read_table(table))
    for number in (0, 17, ROWS - 1):
        assert torch.equal(read(f"{table}:{number}"), every[number : number + 1])
    packed = table.with_suffix(".csv.gz")
    packed.write_bytes(gzip.compress(table.read_bytes()))
    assert torch.equal(read(f"{packed}:17"), every[17:18])
    shuffled = table.with_name("other.csv")  # other columns in another order
    shuffled.write_text("note;y;metal;x\nfirst;0,5;tin;1\n".replace("0,5", "0.5"))
    x, y = (column for column in columns(table).columns if not column.values)
    assert read(f"{shuffled}:0").tolist() == [pytest.approx([(1 - x.mean) / x.std, 0, 0, 1, (0.5 - y.mean) / y.std])]
    assert is_row(f"{table}:3")
    assert not any(map(is_row, (str(table), f"{table}:x", "CC[CH2:3]", "no.csv:3")))


def test_a_pool_has_every_row_but_those_that_are_explained(table: Path, checkpoint: Path) -> None:
    read = RowReader.of(load(checkpoint).about)
    every = columns(table)(read_table(table))
    explained = read(f"{table}:3"), read(f"{table}:17")
    kept = [i for i in range(ROWS) if i not in (3, 17)]
    assert torch.equal(read.pool(table, explained), every[kept])
    lines = table.read_text().splitlines()
    twice = table.with_name(
        "twice.csv"
    )  # an explained row in another place, a gap where it counts, and one where it does not
    twice.write_text("\n".join([lines[0], lines[4], lines[1], ",iron,0,0", "1,iron,0,"]))
    with pytest.warns(UserWarning, match=r"1 of 4 rows lack a value and are left out of the pool"):
        assert read.pool(twice, explained).shape == (2, 5)
    assert RowReader(read.columns, fill=True).pool(twice, explained).shape == (3, 5)


def test_rows_are_explained_and_drawn(
    table: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = f"{table}:3", f"{table}:17"
    call("explain", a, b, "--model", checkpoint, "--json", "-o", tmp_path / "why.png")
    said = json.loads(capsys.readouterr().out)
    assert (tmp_path / "why.png").stat().st_size > 5000
    assert said["method"] == "PairIntegratedGradients"
    assert said["parameters"]["chosen"].startswith("PairIntegratedGradients for row input, budget normal: ")
    assert said["ids"] == ["bars.csv:3", "bars.csv:17"]
    named = ("explain", a, b, "--model", checkpoint, "--method", "integrated_gradients")
    call(*named, "-o", tmp_path / "why.safetensors")
    assert "bars.csv:3 - bars.csv:17: " in capsys.readouterr().out
    call(*named, "--json")
    said = json.loads(capsys.readouterr().out)
    found, model = PairExplanation.load(tmp_path / "why.safetensors"), load(checkpoint).model
    zero = torch.zeros(1, 5)
    total = found.maps[0].sum() + found.maps[1].sum()
    with torch.no_grad():
        a_row, b_row = found.inputs  # one side at a time: each map sums to what its own side changes
        change = 2 * model(a_row, b_row) - model(zero, b_row) - model(a_row, zero)
        assert float(total) == pytest.approx(float(change), abs=1e-3)
    features = columns(table).features
    for side, values in zip("ab", found.maps, strict=True):
        for which, signed in (("closer", values[0]), ("apart", -values[0])):
            listed = said[which][side]
            assert len(listed) == min(3, int((signed > 0).sum()))  # never a value of the other sign
            if listed:
                assert listed[0]["feature"] == features[int(signed.argmax())]
                assert abs(listed[0]["value"]) == pytest.approx(float(signed.max()))


def test_robust_explanations_without_and_with_a_pool(
    table: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("explain", f"{table}:3", f"{table}:17", "--model", checkpoint, "--method", "robust", "--json")
    with pytest.warns(UserWarning, match="no invariance is given"):
        call(*words, "-o", tmp_path / "free.png")
    free = json.loads(capsys.readouterr().out)
    assert "closer" not in free
    values = {cell["feature"]: cell["value"] for cell in free["relevant"]["a"]}
    assert all(0 <= value <= 1 for value in values.values())
    call(*words, "--pool", table, "-o", tmp_path / "held.safetensors")
    held = PairExplanation.load(tmp_path / "held.safetensors")
    assert held.unsigned
    assert "Invariance(query, 1 x 3 units" in held.parameters["invariance"]
    for side in held.maps:
        assert torch.equal(side[0, 1:4], side[0, 1].expand(3))  # the values of a category are one unit
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["free.png"]


def test_a_pool_is_for_robust_explanations_of_rows(table: Path, checkpoint: Path, tmp_path: Path) -> None:
    pair = f"{table}:3", f"{table}:17"
    with pytest.raises(ValueError, match="the method saliency has no option --pool; its own are --detach-norms, --abs"):
        call("explain", *pair, "--model", checkpoint, "--method", "saliency", "--pool", table)
    lines = table.read_text().splitlines()
    small = tmp_path / "small.csv"
    small.write_text("\n".join([lines[0], lines[4], lines[18]]))
    with pytest.raises(ValueError, match="the pool of references is empty"):
        call("explain", *pair, "--model", checkpoint, "--method", "robust", "--pool", small)


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("bars.csv:60", "bars.csv has 60 rows: bars.csv:0 to bars.csv:59"),
        ("bars.csv", "bars.csv: bars.csv has 60 rows"),
        ("bars.csv:-1", "has 60 rows"),
        ("bars.csv:last", "has 60 rows"),
        (
            "no.csv:1",
            "no.csv:1: the model was trained on rows of a table, and there is no such table: FILE:ROW is needed",
        ),
        ("CCO", "CCO: the model was trained on rows of a table"),
        ("image.png:0", "image.png cannot be read as a table"),
        ("image.png", "^image.png cannot be read as a table: it is a picture, and the model was trained on rows of a"),
        (
            "bars.csv:0:middle",
            "^bars.csv:0:middle: there is no side 'middle' of a pair: bars.csv:0:left or bars.csv:0:",
        ),
        ("word.csv:0", "word.csv holds no rows"),
        ("narrow.csv:0", "narrow.csv has no column 'metal'; did you mean 'metals'"),
        ("holes.csv:0", r"holes.csv:0: the row \(line 2\) lacks a value in column 'x'"),
        ("holes.csv:1", "holes.csv, line 3: column 'x' holds 'many': a number is needed"),
    ],
)
def test_rows_that_are_not_there_are_told(
    word: str, told: str, table: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(table.parent)
    Path("image.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    Path("word.csv").write_text("hello\n")
    Path("narrow.csv").write_text("x,y,metals\n1,2,tin\n")
    Path("holes.csv").write_text("x,metal,y\n,tin,1\nmany,tin,1\n1,,1\n")
    for pair in ((word, "bars.csv:1"), ("bars.csv:1", word)):
        with pytest.raises(ValueError, match=told) as caught:
            call("explain", *pair, "--model", checkpoint)
        assert "\n" not in str(caught.value)


def test_an_unknown_value_of_a_category_is_warned_of(
    table: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table.with_name("new.csv").write_text("x,metal,y\n1,lead,1\n")
    with pytest.warns(UserWarning, match="values that training did not see, taken as none: lead"):
        call("explain", f"{table.parent}/new.csv:0", f"{table}:1", "--model", checkpoint)
    assert "new.csv:0 - bars.csv:1" in capsys.readouterr().out


def test_images_and_rows_are_not_taken_for_each_other(table: Path, tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    with pytest.raises(ValueError, match=r"bars.csv:3 is a row of a table, and the model takes images"):
        call("explain", f"{table}:3", f"{table}:17")
    with pytest.raises(ValueError, match=r"bars.csv cannot be read as an image"):
        call("explain", table, table)
    unknown = save(tmp_path / "u.safetensors", siamese_mlp(), "siamese-mlp")
    with pytest.raises(ValueError, match="the checkpoint does not say which columns it was trained on"):
        call("explain", f"{table}:3", f"{table}:17", "--model", unknown)


@pytest.mark.slow
def test_concrete_is_trained_explained_and_held_to_its_pool(
    real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("cement", "slag", "ash", "water", "plasticizer", "coarse", "fine", "age", "strength")
    path = tmp_path / "concrete.csv"
    with gzip.open(real_data / "tabular_uci" / "concrete" / "data.csv.gz", "rt") as file:
        path.write_text(",".join(names) + "\n" + file.read())
    call("train", "siamese-mlp", path, "--target", "strength", "--epochs", "20", "--output", tmp_path / "out")
    model = tmp_path / "out" / "siamese-mlp-concrete.safetensors"
    assert f"xsiamese explain {path}:0 {path}:1 --model {model} explains pairs with it" in capsys.readouterr().out
    for method, more in (("integrated_gradients", ()), ("robust", ("--pool", path))):
        call(
            "explain",
            f"{path}:3",
            f"{path}:17",
            "--model",
            model,
            "--method",
            method,
            *more,
            "-o",
            tmp_path / f"{method}.png",
            "--json",
        )
        said = json.loads(capsys.readouterr().out)
        cells = said["relevant" if method == "robust" else "closer"]["a"]
        assert {cell["feature"] for cell in cells} < set(names) - {"strength"}
        assert (tmp_path / f"{method}.png").stat().st_size > 5000
