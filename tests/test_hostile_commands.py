"""The hostile and ordinary files of the corpus at every other command that reads: evaluate, train, explain-pairs, and
``xsiamese.load``.
"""

from __future__ import annotations

import contextlib
import csv
import io
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
from xsiamese.cli import main
from xsiamese.report.pairs import read_pairs
from xsiamese.zoo import open_model, save, shipped

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


@pytest.mark.parametrize(
    ("said", "has"), [("", "no row"), ("a,b\n", "no row"), ("x,y\n1,2\n", "it has x, y"), ("a\n1\n", "it has a")]
)
def test_evaluate_names_the_table_that_holds_no_pairs(said: str, has: str, tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text(said)
    asked = ("evaluate", "--pairs", tmp_path / "pairs.csv", "--output", tmp_path / "report")
    one_line(asked, "pairs.csv needs the columns a and b and at least one row", has)
    assert not (tmp_path / "report").exists()


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


CAUSES = {
    "bomb": "exceeds limit", "folder": "it is a folder", "missing": "No such file", "never_made": "No such file",
    "circle": "symbolic links", "pipe": "which may never end; copy it to a file", "sparse": "of memory of this machine",
    "wide": "which are black and white is not known: save 8 or 16 bits", "loud": "bring them to [0, 1]",
    "half": "truncated", "empty": "cannot identify",
}  # fmt: skip


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
        what, _, why = row["error"].partition(" cannot be read as an image: ")
        assert what == f"a: {tmp_path / name}"  # the item of side a, and no other
        assert why, name
        assert "\n" not in why, name
        for part, cause in CAUSES.items():
            assert part not in name or cause in why, (name, why)
        assert row["score"] is None or row["score"] != row["score"], name


def told(path: Path, about: Any) -> None:
    save_file({"scores": torch.zeros(1)}, path, {"xsiamese": about if isinstance(about, str) else json.dumps(about)})


Made = Callable[[Path], Any]
NO_FILE = "is not a safetensors file: Error while deserializing header"
RESULTS: dict[str, tuple[Made, str]] = {
    "empty": (lambda p: p.write_bytes(b""), NO_FILE),
    "text": (lambda p: p.write_text("no result"), NO_FILE),
    "huge header": (lambda p: p.write_bytes(struct.pack("<Q", 2**60) + b"{}"), NO_FILE),
    "no header": (lambda p: save_file({"x": torch.zeros(1)}, p), "is a safetensors file but no explanation that"),
    "no JSON": (lambda p: told(p, "{"), "is no JSON: Expecting property name"),
    "a list": (lambda p: told(p, []), "its header holds a list, and names with values are needed"),
    "a newer format": (
        lambda p: told(p, {"format": 99}),
        "is of format 99, and this version reads up to 2: pip install",
    ),
    "no type": (lambda p: told(p, {"format": 2}), "its header has no 'type'"),
    "nothing in it": (lambda p: told(p, {}), "its header has no 'method'"),
    "wrong types": (
        lambda p: told(p, {"format": 2, "type": [], "distribution": 3, "columns": 5}),
        "its header says what none of ours does: unhashable type: 'list'",
    ),
    "deep JSON": (lambda p: told(p, "[" * 100_000), "is no JSON: maximum recursion depth"),
    "a folder": (lambda p: p.mkdir(), "it is a folder, and a file is needed"),
    "nothing": (lambda p: None, "there is no file"),
}


@pytest.mark.parametrize("name", RESULTS)
def test_foreign_results_are_one_clear_error(name: str, tmp_path: Path) -> None:
    make, said = RESULTS[name]
    make(tmp_path / "given.safetensors")
    with pytest.raises((ValueError, FileNotFoundError), match=r"given\.safetensors") as error:
        xsiamese.load(tmp_path / "given.safetensors")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_truncated_result_is_one_clear_error(tmp_path: Path) -> None:
    explanation = PairSaliency(SiameseModel(torch.nn.Flatten(), "dot")).explain(tuple(torch.rand(2, 1, 1, 3, 3)))
    explanation.save(tmp_path / "whole.safetensors")
    content = (tmp_path / "whole.safetensors").read_bytes()
    for share in (0.1, 0.5, 0.9, 0.999):
        (tmp_path / "cut.safetensors").write_bytes(content[: int(share * len(content))])
        with pytest.raises(ValueError, match=r"cut\.safetensors is (not a safetensors file|damaged)"):
            xsiamese.load(tmp_path / "cut.safetensors")


def test_what_is_read_is_never_written_over(tmp_path: Path) -> None:
    """Neither under its own name, nor another, nor through a link; nor a file of an option."""
    for name in ("a.png", "b.png"):
        ORDINARY["grey.png"](tmp_path / name)
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "link.png").symlink_to(tmp_path / "a.png")
    (tmp_path / "hard.png").hardlink_to(tmp_path / "a.png")
    (tmp_path / "sub").mkdir()
    for output in ("a.png", "sub/../a.png", "link.png", "hard.png"):
        for pair in (("a.png", "b.png"), ("b.png", "a.png")):
            asked = ("explain", *(tmp_path / name for name in pair), "--method", "saliency", "-o", tmp_path / output)
            one_line(asked, "that is read: give another name, or it would be lost", "a.png")
    save(tmp_path / "m.safetensors", shipped("fashion").model, "fashion", {})
    kept = (tmp_path / "m.safetensors").read_bytes()
    model = tmp_path / "m.safetensors"
    one_line(
        ("explain", tmp_path / "a.png", tmp_path / "b.png", "--model", model, "-o", model), "that is read", "m.safe"
    )
    assert (tmp_path / "a.png").read_bytes() == content
    assert (tmp_path / "m.safetensors").read_bytes() == kept
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.png", "b.png", "hard.png", "link.png", "m.safetensors", "sub"
    ]  # fmt: skip


@pytest.fixture
def talking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a factory whose module, making and passes print."""
    (tmp_path / "talks_much.py").write_text(
        "import torch\nfrom xsiamese import SiameseModel\nprint('imported')\n"
        "class Talking(torch.nn.Flatten):\n    def forward(self, x):\n        print('pass')\n"
        "        return super().forward(x)\n"
        "def make():\n    print('made'); return SiameseModel(Talking())\n"
    )
    monkeypatch.chdir(tmp_path)
    ORDINARY["grey.png"](tmp_path / "a.png")
    return "talks_much:make"


def test_json_stands_alone_whatever_the_model_prints(talking: str) -> None:
    code, out, err = run("explain", "a.png", "a.png", "--model", talking, "--size", 4, "--method", "saliency", "--json")
    assert code == 0, err
    assert json.loads(out)["score"] == pytest.approx(1.0)
    assert {"imported", "made", "pass"} <= set(err.splitlines())


@pytest.mark.parametrize("size", [0, -3, 10**6])
def test_images_of_no_size_and_of_every_size_are_refused(size: int, talking: str) -> None:
    one_line(("explain", "a.png", "a.png", "--model", talking, "--size", size), f"--size {size}: ", "from 1 to 16384")


def test_an_address_is_no_file(tmp_path: Path) -> None:
    ORDINARY["grey.png"](tmp_path / "a.png")
    for address in ("https://example.org/a.png", "file:///a.png"):
        one_line(("explain", address, tmp_path / "a.png"), f"{address} is an address: download it")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--n-steps", "0"), "n_steps=0: a whole number from 1"),
        (("--n-steps", "1000000000"), "n_steps=1000000000: a whole number from 1"),
        (("--baselines", "nan"), "the baseline of a is nan"),
        (("--baselines", "1e39"), "the baseline of a is 1e+39"),
    ],
)
def test_numbers_that_never_end_or_are_none(options: tuple[str, str], said: str, tmp_path: Path) -> None:
    ORDINARY["grey.png"](tmp_path / "a.png")
    image = tmp_path / "a.png"
    one_line(("explain", image, image, "--method", "integrated_gradients", *options), said)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", None])
def test_names_are_told_in_the_letters_that_the_terminal_has(
    encoding: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is a stream that is closed, for which there is nothing to do but the work."""
    ORDINARY["grey.png"](tmp_path / "写真.png")
    image = str(tmp_path / "写真.png")
    content = io.BytesIO()
    stream = None if encoding is None else io.TextIOWrapper(content, encoding, write_through=True)
    asked = ["xsiamese", "explain", image, image, "--method", "saliency", "-o", str(tmp_path / "why.json")]
    monkeypatch.setattr("sys.argv", asked)
    with contextlib.redirect_stdout(stream), pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    assert json.loads((tmp_path / "why.json").read_text(encoding="utf-8"))["ids"] == ["写真.png"] * 2
    if encoding is not None:
        assert rb"\u5199\u771f.png" in content.getvalue()


TABLES: dict[str, tuple[bytes, str]] = {
    "two columns a": (b"a,a,b\ng.png,h.png,g.png\n", "has two columns 'a'"),
    "UTF-16": ("a,b\ng.png,h.png\n".encode("utf-16"), "cannot be read as a CSV in UTF-8"),
    "an empty row": (b"a,b\ng.png,g.png\n,\n", "row 2: two items are needed, a is '', b ''"),
    "half a row": (b"a,b\ng.png\n", "row 1: two items are needed, a is 'g.png', b None"),
    "a label in words": (b"a,b,label\ng.png,g.png,maybe\n", "row 1: the label 'maybe' is not one of 1, 1.0, true, 0"),
}


@pytest.mark.parametrize("name", TABLES)
def test_evaluate_names_the_row_that_holds_no_pair(name: str, tmp_path: Path) -> None:
    content, said = TABLES[name]
    (tmp_path / "pairs.csv").write_bytes(content)
    ORDINARY["grey.png"](tmp_path / "g.png")
    one_line(("evaluate", "--pairs", tmp_path / "pairs.csv", "--output", tmp_path / "report"), "pairs.csv", said)
    assert not (tmp_path / "report").exists()


def test_a_table_of_pairs_as_a_spreadsheet_writes_it(tmp_path: Path) -> None:
    """With a mark at its start, carriage returns, and labels as words."""
    for name in ("g.png", "h.png"):
        ORDINARY["grey.png"](tmp_path / name)
    (tmp_path / "pairs.csv").write_bytes("\ufeffa,b,label\r\ng.png,h.png,TRUE\r\ng.png,g.png,0\r\n".encode())
    _, ids, labels = read_pairs(str(tmp_path / "pairs.csv"), open_model("fashion"), 24)
    assert ids == [("g.png", "h.png"), ("g.png", "g.png")]
    assert labels is not None
    assert labels.tolist() == [True, False]
