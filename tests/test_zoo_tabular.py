"""The Siamese MLP: card, checkpoint with its columns, and ``xsiamese train siamese-mlp table.csv --target COLUMN``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from xsiamese import PairIntegratedGradients
from xsiamese.cli import app
from xsiamese.data.columns import Columns
from xsiamese.data.rows import load_rows
from xsiamese.data.tabular import read_table
from xsiamese.training.run import train
from xsiamese.training.settings import Settings
from xsiamese.zoo import find_card, load, open_model, save
from xsiamese.zoo.tabular import siamese_mlp


def write(folder: Path, rows: int = 200, name: str = "bars.csv", gap: bool = False) -> Path:
    """A table in which x, a category and noise make a number and a class."""
    generator = torch.Generator().manual_seed(0)
    x, noise = torch.randn(2, rows, generator=generator).tolist()
    lines = ["x,metal,noise,id,strength,kind"]
    for i in range(rows):
        metal = ("iron", "gold", "tin")[i % 3]
        value = 2 * x[i] + (i % 3) * 4
        lines.append(
            f"{'' if gap and i == 4 else round(x[i], 4)},{metal},{noise[i]:.4f},row{i},{value:.4f},"
            f"{'soft' if value > 3 else 'hard'}"
        )
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return path


def call(*words: str) -> None:
    app(words, result_action="return_value")


def settings(folder: Path, target: str, **changed: object) -> Settings:
    path = write(folder)
    return Settings(
        "siamese-mlp",
        str(path),
        output=folder / "out",
        epochs=6,
        progress=False,
        device="cpu",
        reading={"target": target, **changed},
    )


def test_the_card_builds_what_a_checkpoint_can_hold(tmp_path: Path) -> None:
    card = find_card("siamese-mlp")
    assert card.modality == "tabular"
    arguments = {"inputs": 5, "hidden": 7, "dimensions": 3, "layers": 2}
    model = card.build(**arguments)
    rows = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    found = load(save(tmp_path / "m.safetensors", model, "siamese-mlp", arguments))
    assert torch.equal(found.model(rows, rows.flip(0)), model(rows, rows.flip(0)))
    with pytest.raises(ValueError, match="hidden=0: at least 1"):
        siamese_mlp(hidden=0)
    with pytest.raises(ValueError, match="the model is for tabular data, not for image files"):
        open_model(str(tmp_path / "m.safetensors")).read("a.png")


def test_the_score_is_symmetric_and_largest_for_a_row_with_itself() -> None:
    torch.manual_seed(0)
    model = siamese_mlp(4).double()
    a, b = torch.randn(2, 6, 4, dtype=torch.float64)
    assert torch.equal(model(a, b), model(b, a))
    assert torch.allclose(model(a, a), torch.ones(6, dtype=torch.float64))
    assert bool((model(a, b) < 1).all())
    _, delta = PairIntegratedGradients(model).attribute((a, b), return_convergence_delta=True)
    assert float(delta.abs().max()) < 1e-3


def test_rows_are_standardised_by_the_training_rows_only(tmp_path: Path) -> None:
    source, columns = load_rows(write(tmp_path), "strength", without=["kind", "id"], seed=3)
    assert columns.features == ("x", "metal=gold", "metal=iron", "metal=tin", "noise")
    assert torch.allclose(source.train.rows[:, [0, 4]].mean(0), torch.zeros(2), atol=1e-5)
    assert torch.allclose(source.train.rows[:, [0, 4]].std(0, correction=0), torch.ones(2), atol=1e-5)
    assert float(source.test.rows[:, 0].mean().abs()) > 1e-4
    lines = [set(part.lines) for part in (source.train, source.valid, source.test)]
    assert (len(lines[0] | lines[1] | lines[2]), sum(map(len, lines))) == (200, 200)
    whole = read_table(write(tmp_path))
    again = columns(whole.take([line - 2 for line in source.test.lines]))
    assert torch.equal(again, source.test.rows)


@pytest.mark.parametrize("target", ["strength", "kind"])
def test_a_training_learns_the_planted_rule_and_keeps_its_columns(tmp_path: Path, target: str) -> None:
    found = train(
        settings(tmp_path, target, without=("id", "kind") if target == "strength" else ("id", "strength")).changed(
            epochs=15
        )
    )
    assert found.metrics["roc_auc"] > 0.85
    if target == "strength":
        assert found.metrics["5_nn_error"] < 0.5 * found.metrics["error_of_the_mean"]
    else:
        assert found.metrics["5_nn_accuracy"] > 0.8
    checkpoint = load(found.files[0])
    columns = Columns.of(checkpoint.about["columns"])
    assert columns.features == ("x", "metal=gold", "metal=iron", "metal=tin", "noise")
    rows = columns(read_table(write(tmp_path)))
    scores = checkpoint.model(rows[:50], rows[50:100])
    assert torch.equal(scores, found.model(rows[:50], rows[50:100]))
    map_a, _ = PairIntegratedGradients(checkpoint.model).attribute((rows[:50], rows[50:100]), baselines="partner")
    strength = columns.by_column(map_a.abs()).mean(0)
    assert int(strength.argmin()) == [c.name for c in columns.columns].index("noise")


def test_the_command_line_writes_the_same_artifacts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, gap=True)
    out = tmp_path / "out"
    words = (
        "train",
        "siamese-mlp",
        str(path),
        "--target",
        "strength",
        "--without",
        "id",
        "--without",
        "kind",
        "--epochs",
        "2",
        "--close",
        "0.2",
    )
    call(*words, "--missing", "fill", "--output", str(out))
    names = sorted(p.name for p in out.iterdir() if p.is_file())
    stem = "siamese-mlp-bars"
    endings = [
        "-metrics.json",
        "-metrics.txt",
        "-stats.png",
        "-testing-set-embedding.png",
        "-training-set-embedding.png",
        ".safetensors",
    ]
    assert names == sorted(stem + ending for ending in endings)
    metrics = json.loads((out / f"{stem}-metrics.json").read_text())
    assert metrics["train_rows"] + metrics["test_rows"] < 200
    assert metrics["epochs"] == 2
    printed = capsys.readouterr().out
    assert "close within" in printed
    assert f"xsiamese explain {path}:0 {path}:1 --model {out / stem}.safetensors explains pairs with it" in printed
    assert load(out / f"{stem}.safetensors").about["reading"]["close"] == 0.2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--target", "strenght"), "no column 'strenght'; did you mean 'strength'"),
        ((), "--target COLUMN is needed: which column of .* It has x, metal, noise, id, strength, kind"),
        (("--target", "strength", "--without", "nose"), "no column 'nose'; did you mean 'noise'"),
        (("--target", "strength", "--close", "1"), "close=1"),
        (("--target", "one"), "the target 'one' is '1' in all 30 rows"),
        (("--target", "each"), "each of the 30 classes has one item"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_cannot_be_trained_is_told_in_one_line(tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    path = write(tmp_path, 30)
    if "one" in words or "each" in words:
        lines = path.read_text().splitlines()
        path.write_text("\n".join([lines[0] + ",one,each", *(f"{line},1,name{i}" for i, line in enumerate(lines[1:]))]))
    with pytest.raises(ValueError, match=told) as caught:
        call("train", "siamese-mlp", str(path), *words, "--output", str(tmp_path / "out"))
    assert "\n" not in str(caught.value)


def test_missing_values_are_named_before_anything_is_trained(tmp_path: Path) -> None:
    path = write(tmp_path, gap=True)
    with pytest.raises(ValueError, match=r"lacks 1 value.* line 6 column 'x': --missing drop"):
        call("train", "siamese-mlp", str(path), "--target", "kind", "--output", str(tmp_path / "out"))


def test_a_table_is_for_networks_of_tables(tmp_path: Path) -> None:
    path = write(tmp_path)
    with pytest.raises(
        ValueError, match="target='kind' says how other data are read than siamese-contrastive's images"
    ):
        call("train", "siamese-contrastive", str(path), "--target", "kind", "--output", str(tmp_path / "out"))
    with pytest.raises(
        ValueError, match=r"takes a table, a CSV with a header, or a folder .*, and there is no file MNIST"
    ):
        call("train", "siamese-mlp", "MNIST", "--target", "kind", "--output", str(tmp_path / "out"))
