"""The hostile and ordinary files of the corpus at every other command that reads: evaluate, train, explain-pairs, and
``xsiamese.load``.
"""

from __future__ import annotations

import csv
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import xsiamese
from tests.test_hostile_files import GREY, HOSTILE, ORDINARY, Image, one_line, run
from xsiamese import PairSaliency, SiameseModel

pytestmark = pytest.mark.filterwarnings("ignore")


def table(path: Path, rows: list[tuple[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("a", "b"), *rows])
    return path


def made(corpus: dict[str, Callable[[Path], Any]], folder: Path) -> list[str]:
    """The names of those files of a corpus that this file system takes."""
    names = []
    for name, make in corpus.items():
        try:
            make(folder / name)
        except OSError:
            continue
        names.append(name)
    return names


@pytest.mark.parametrize("name", ["half.png", "missing.png", "bomb.png", "pipe.png", "folder.png", "loud.tif"])
def test_evaluate_names_the_file_that_is_no_image(name: str, tmp_path: Path) -> None:
    ORDINARY["grey.png"](tmp_path / "grey.png")
    HOSTILE[name](tmp_path / name)
    pairs = table(tmp_path / "pairs.csv", [("grey.png", "grey.png"), ("grey.png", name)])
    asked = ("evaluate", "--pairs", pairs, "--methods", "saliency", "--output", tmp_path / "report")
    one_line(asked, name, "cannot be read as an image")
    assert not (tmp_path / "report").exists()


@pytest.mark.parametrize("said", ["", "a,b\n", "x,y\n1,2\n", "a\n1\n"])
def test_evaluate_names_the_table_that_holds_no_pairs(said: str, tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text(said)
    one_line(("evaluate", "--pairs", tmp_path / "pairs.csv", "--output", tmp_path / "report"), "columns a and b")


def test_a_class_folder_leaves_out_what_is_no_image_and_counts_it(tmp_path: Path) -> None:
    """Every hostile file in one folder of a class: the others are read, and each that is left out is named."""
    from xsiamese.data.folders import read_folders
    from xsiamese.zoo.cards import Preprocessing

    for label in ("one", "two"):
        (tmp_path / label).mkdir()
        for i in range(3):
            Image.fromarray((GREY + 40 * i).astype("uint8")).save(tmp_path / label / f"{i}.png")
    names = made({name: make for name, make in HOSTILE.items() if name != "missing.png"}, tmp_path / "one")
    with pytest.warns(UserWarning, match="cannot be read and are left out") as told:
        items = read_folders(tmp_path, Preprocessing((28, 28), 1))
    assert len(items.labels) == 6
    said = " ".join(str(one.message) for one in told)
    images = {name for name in names if Path(name).suffix not in (".svg", ".pdf")}  # these name no image
    named = {name for name in names if f"/{name}" in said}
    assert len(named) == 3  # the first ones
    assert named <= images
    assert said.split(" ")[0] == str(len(images))


def test_a_job_keeps_what_is_no_image_as_a_row_with_its_error(tmp_path: Path) -> None:
    pytest.importorskip("zarr", reason='pip install "xsiamese[jobs]"')
    pytest.importorskip("pyarrow", reason='pip install "xsiamese[jobs]"')
    good, bad = made(ORDINARY, tmp_path), [*made(HOSTILE, tmp_path), "never_made.png"]
    pairs = table(tmp_path / "pairs.csv", [(name, "grey.png") for name in (*good, *bad)])
    code, _, err = run("explain-pairs", pairs, "--method", "saliency", "-o", tmp_path / "out")
    assert code == 0, err
    rows = xsiamese.open_explanations(tmp_path / "out").table().to_pylist()
    assert len(rows) == len(good) + len(bad)
    for row in rows[: len(good)]:  # the same picture in every mode is itself
        assert not row["error"]
        assert row["score"] == pytest.approx(1.0, abs=5e-4)
    for name, row in zip(bad, rows[len(good) :], strict=True):
        assert row["error"] and "\n" not in row["error"], name  # noqa: PT018
        assert row["score"] is None or row["score"] != row["score"], name


def told(path: Path, about: Any) -> None:
    save_file({"scores": torch.zeros(1)}, path, {"xsiamese": about if isinstance(about, str) else json.dumps(about)})


RESULTS: dict[str, Callable[[Path], Any]] = {
    "empty": lambda p: p.write_bytes(b""),
    "text": lambda p: p.write_text("no result"),
    "huge header": lambda p: p.write_bytes(struct.pack("<Q", 2**60) + b"{}"),
    "no header": lambda p: save_file({"x": torch.zeros(1)}, p),
    "no JSON": lambda p: told(p, "{"),
    "a list": lambda p: told(p, []),
    "a newer format": lambda p: told(p, {"format": 99}),
    "no type": lambda p: told(p, {"format": 2}),
    "nothing in it": lambda p: told(p, {}),
    "wrong types": lambda p: told(p, {"format": 2, "type": [], "distribution": 3, "columns": 5}),
    "deep JSON": lambda p: told(p, "[" * 100_000),
    "a folder": lambda p: p.mkdir(),
    "nothing": lambda p: None,
}


@pytest.mark.parametrize("name", RESULTS)
def test_foreign_results_are_one_clear_error(name: str, tmp_path: Path) -> None:
    RESULTS[name](tmp_path / "given.safetensors")
    with pytest.raises((ValueError, FileNotFoundError), match=r"given\.safetensors") as error:
        xsiamese.load(tmp_path / "given.safetensors")
    assert "\n" not in str(error.value)


def test_a_truncated_result_is_one_clear_error(tmp_path: Path) -> None:
    explanation = PairSaliency(SiameseModel(torch.nn.Flatten(), "dot")).explain(tuple(torch.rand(2, 1, 1, 3, 3)))
    explanation.save(tmp_path / "whole.safetensors")
    content = (tmp_path / "whole.safetensors").read_bytes()
    for share in (0.1, 0.5, 0.9, 0.999):
        (tmp_path / "cut.safetensors").write_bytes(content[: int(share * len(content))])
        with pytest.raises(ValueError, match=r"cut\.safetensors"):
            xsiamese.load(tmp_path / "cut.safetensors")
