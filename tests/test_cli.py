"""The command line: two images in, a picture, text or JSON out; errors are one line and exit code 2."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

import xsiamese
from xsiamese import PairExplanation, SiameseModel, auto

Image = pytest.importorskip("PIL.Image")
pytest.importorskip("torchvision")

pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked")

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def images(tmp_path: Path) -> tuple[Path, Path]:
    from torchvision.transforms.functional import to_pil_image

    from xsiamese.data import fashion_pair
    from xsiamese.zoo import find_card

    preprocessing = find_card("fashion").preprocessing
    assert preprocessing is not None
    paths = tmp_path / "one.png", tmp_path / "other.png"
    for path, tensor in zip(paths, fashion_pair("sneaker", "bag"), strict=True):
        to_pil_image(preprocessing.undo(tensor)[0]).save(path)
    return paths


def make_model() -> SiameseModel:
    """A factory for ``--model tests.test_cli:make_model``."""
    torch.manual_seed(0)
    return SiameseModel(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()), "euclidean"
    )


def test_explain_writes_a_picture(run: Run, images: tuple[Path, Path], tmp_path: Path) -> None:
    code, out, err = run("explain", *images, "-o", tmp_path / "why.png")
    assert (code, err) == (0, "")
    from xsiamese.zoo import shipped

    method = auto(shipped("fashion").model, kind="image").explainer
    assert out.startswith(f"{type(method).__name__} of closeness, higher scores are closer\none.png - other.png: ")
    assert f"\nchosen: {type(method).__name__} for image input, budget normal: " in out
    assert f"written to {tmp_path / 'why.png'}" in out
    assert Image.open(tmp_path / "why.png").size[0] > 200


def test_explain_for_machines(run: Run, images: tuple[Path, Path]) -> None:
    code, out, _ = run("explain", *images, "--method", "PairOcclusion", "--json")
    assert code == 0
    said = json.loads(out)
    assert said["method"] == "PairOcclusion"
    assert said["ids"] == ["one.png", "other.png"]
    assert -1 <= said["score"] <= 1
    assert said["higher_is_closer"] is True
    assert {"closer", "apart", "parameters", "seed", "versions"} <= set(said)
    values = [cell["value"] for cell in said["closer"]["a"]]
    assert len(values) == 3
    assert values == sorted(values, reverse=True)
    assert said["output"] is None


@pytest.mark.parametrize(("threshold", "alike"), [(-0.9, True), (0.99, False)])
def test_the_threshold_that_is_asked_for_is_the_one_that_decides(
    threshold: float, alike: bool, run: Run, images: tuple[Path, Path], tmp_path: Path
) -> None:
    path = tmp_path / "why.safetensors"
    code, out, err = run(
        "explain", *images, "--method", "counterfactual", "--threshold", threshold, "--json", "-o", path
    )
    assert (code, err) == (0, "")
    assert json.loads(out)["threshold"] == threshold  # and not the one of the checkpoint
    assert (json.loads(out)["score"] >= threshold) == alike
    for one in xsiamese.load(path).counterfactuals:  # type: ignore[attr-defined]
        assert one.threshold == threshold
        assert (one.score_before >= threshold) == alike
        assert (one.score_after >= threshold) == (alike != one.flipped)


def test_explain_saves_the_explanation(run: Run, images: tuple[Path, Path], tmp_path: Path) -> None:
    code, _, _ = run(
        "explain", *images, "--method", "hirescam", "--layer", "4", "-o", tmp_path / "why.safetensors", "--seed", 5
    )
    assert code == 0
    found = PairExplanation.load(tmp_path / "why.safetensors")
    assert found.method == "PairHiResCAM"
    assert found.parameters["layer"] == ["4"]
    assert found.seed == 5
    assert found.ids == (("one.png", "other.png"),)


def test_pictures_have_two_hundred_pixels_an_inch_and_words_of_an_svg_are_words(
    run: Run, images: tuple[Path, Path], tmp_path: Path
) -> None:
    image = pytest.importorskip("PIL.Image")
    code, *_ = run("explain", *images, "--method", "hirescam", "-o", tmp_path / "why.png", "-o", tmp_path / "why.svg")
    assert code == 0
    with image.open(tmp_path / "why.png") as picture:
        assert round(picture.info["dpi"][0]) == 200
        assert picture.width > 1600
    svg = (tmp_path / "why.svg").read_text(encoding="utf-8")
    assert re.search(r"<text[^>]*>one\.png", svg)


def test_explain_with_a_factory_and_with_a_checkpoint(run: Run, images: tuple[Path, Path], tmp_path: Path) -> None:
    code, out, _ = run("explain", *images, "--model", "tests.test_cli:make_model", "--size", 24, "--json")
    assert code == 0
    assert json.loads(out)["higher_is_closer"] is False
    from xsiamese.zoo import save, shipped

    path = save(tmp_path / "mine.safetensors", shipped("fashion").model, "fashion")
    assert run("explain", *images, "--model", path)[1] == run("explain", *images)[1]


def test_the_tables(run: Run) -> None:
    code, out, _ = run("plugins")
    assert code == 0
    assert "xsiamese_gradcam" in out
    assert "xsiamese_explainers" in out
    rows = json.loads(run("plugins", "--json")[1])
    assert {"captum", "gradcam"} <= {row["name"] for row in rows}
    assert not [row for row in rows if row["failure"]]
    out = run("explainers")[1]
    assert [line for line in out.splitlines() if line.startswith("gradcam ") and "PairGradCAM" in line]
    assert {row["class"] for row in json.loads(run("explainers", "--json")[1])} == set(xsiamese.explainers())
    of_graphs = {row["class"] for row in json.loads(run("explainers", "--kind", "graph", "--json")[1])}
    assert "PairGraphOcclusion" in of_graphs
    assert "PairLime" not in of_graphs
    code, _, err = run("explainers", "--kind", "grph")
    assert code == 2
    assert "graph" in err
    assert "fashion" in run("zoo")[1]
    assert json.loads(run("zoo", "--json")[1])[0]["weights"]


@pytest.mark.parametrize("command", [[], ["explain"], ["plugins"], ["explainers"], ["zoo"]])
def test_help(run: Run, command: list[str]) -> None:
    code, out, _ = run(*command, "--help")
    assert code == 0
    assert "Usage: xsiamese" in out
    for word in ["--method", "--model", "--layer", "--json"] if command == ["explain"] else []:
        assert word in out


def test_help_shows_options_by_what_they_are_about(run: Run) -> None:
    """No option is left over in a group without a meaning, and each command is in one of its own kind."""
    of_all = run("--help")[1]
    at = [of_all.index(title) for title in (" Explain ", " Train and judge ", " What there is ", " Help ")]
    assert at == sorted(at)
    assert at[0] < of_all.index("│ explain-pairs") < at[1] < of_all.index("│ train") < at[2] < of_all.index("│ zoo")
    for command in ("explain", "explain-pairs", "evaluate", "train"):
        out = run(command, "--help")[1]
        assert "─ Parameters ─" not in out, command
        titles = re.findall(r"╭─ (.+?) ─", out)
        assert len(titles) == len(set(titles)) >= 3, command
    out = run("explain", "--help")[1]
    assert out.index("─ The model") < out.index("--size") < out.index("─ The explanation") < out.index("--layer")
    assert out.index("--layer") < out.index("─ What is written") < out.index("--json")
    assert "*NORM*" in run("train", "--help")[1]


def test_explainers_by_cost_fit_a_terminal(run: Run) -> None:
    lines = run("explainers")[1].splitlines()
    assert max(map(len, lines)) <= 100
    assert not [line for line in lines if "`" in line]
    titles = [number for number, line in enumerate(lines) if line.startswith("# ")]
    of = {
        line.split()[0]: max(t for t in titles if t < n) for n, line in enumerate(lines) if re.match(r"\w+ +\w", line)
    }
    assert set(of) == {cls.name for cls in xsiamese.explainers().values()}
    cost = {name: titles.index(title) for name, title in of.items()}
    known = {
        "gradcam": 0, "eigencam": 0, "integrated_gradients": 1, "lime": 1, "occlusion": 2, "bilrp": 2,
        "rise": 3, "robust": 3,
    }  # fmt: skip
    assert {name: cost[name] for name in known} == known
    rows = {row["name"]: row["cost"] for row in json.loads(run("explainers", "--json")[1])}
    assert (rows["rise"], rows["gradcam"]) == ("masks=1000", "")
    line = next(line for line in lines if line.startswith("minimal_mask "))
    assert line.split() == ["minimal_mask", "PairMinimalMask", "image"]


def test_version(run: Run) -> None:
    for words in (["--version"], ["explain", "--version"], ["explain", "a.png", "b.png", "--version"]):
        assert run(*words)[1].strip() == xsiamese.__version__  # it was that of the parser, behind a command


def test_errors_are_one_line_and_exit_code_2(run: Run, images: tuple[Path, Path], tmp_path: Path) -> None:
    one, other = images
    truncated, text = tmp_path / "truncated.png", tmp_path / "text.png"
    truncated.write_bytes(one.read_bytes()[:60])
    text.write_text("no image")
    foreign = tmp_path / "foreign.safetensors"
    foreign.write_bytes(b"no tensors")
    for arguments, message in (
        ((one, tmp_path / "missing.png"), "missing.png"),
        ((one, truncated), "truncated.png cannot be read as an image"),
        ((text, other), "text.png cannot be read as an image"),
        ((one, other, "--method", "gradcan"), "no explainer is called 'gradcan'; did you mean 'gradcam'"),
        ((one, other, "--method", "gradcam", "--layer", "77"), "no layer is called '77'; did you mean"),
        ((one, other, "--model", "fasion"), "no model is called 'fasion'; did you mean 'fashion'"),
        ((one, other, "--model", foreign), "cannot be read as a checkpoint"),
        ((one, other, "--model", tmp_path / "missing.safetensors"), "missing.safetensors"),
        ((one, other, "--model", "no.such:thing"), "package.module:factory is needed"),
        ((one, other, "--model", "tests.test_cli:nothing"), "package.module:factory is needed"),
        ((one, other, "--model", text.with_suffix(".pt")), "there is no such file"),
        ((one, other, "--model", text), "of weights alone the model is not known: give package.module:factory"),
        ((one, other, "--model", "sub/mine.py:make"), "a module goes by its name, sub.mine:make"),
        ((one, other, "--modle", "fashion"), "there is no option --modle: did you mean --model?"),
        ((one, other, "--outptu", "why.png", "--method", "saliency"), "--outptu: did you mean --output?"),
        ((one, other, "--device", "cuda"), "there is no option --device, of the command or of a method"),
        ((one, other, "--n-steps", "9"), "--n-steps is a setting of one method: say which by --method"),
        ((one, other, "--target", "1"), "target"),
        ((one, other, "--smooth", "2"), "--smooth is of the picture, and none is written: add -o why.png"),
        (
            (one, other, "--method", "PairRegionSwap", "--smooth", "2", "-o", tmp_path / "why.png"),
            "--smooth is for maps of images, and counterfactual draws something else",
        ),
        (
            (one, other, "--model", "planted-rows", "--smooth", "2", "-o", tmp_path / "why.png"),
            "--smooth is for maps of images, and the model planted-rows takes tabular",
        ),
        ((one, other, "-o", tmp_path / "why.gif.foo"), "foo"),
        ((one, other, "-o", tmp_path / "no" / "folder.png"), "folder"),
    ):
        code, out, err = run("explain", *arguments)
        assert code == 2, (arguments, out, err)
        assert out == ""
        assert err.startswith("xsiamese: "), err
        assert message in err
        assert len(err.strip().splitlines()) == 1, err
        assert "Traceback" not in err


BROKEN = {
    "raises": ("def make():\n    raise RuntimeError('no\\nweights')", "the factory raised RuntimeError: no weights"),
    "leaves": ("import sys\ndef make():\n    sys.exit(3)", "the factory raised SystemExit: 3"),
    "argument": ("def make(path):\n    return path", "the factory raised TypeError: make() missing 1 required"),
    "nothing": ("def make():\n    pass", "gives None: a model, a callable of two inputs, is needed"),
    "syntax": ("def make(:\n", "importing broken_syntax raised SyntaxError: invalid syntax"),
    "import": ("import sys\nsys.exit('not here')", "importing broken_import raised SystemExit: not here"),
    "name": ("make = nowhere", "importing broken_name raised NameError: name 'nowhere' is not defined"),
    "shape": (
        "from torch import nn\ndef make():\n    return nn.Linear(3, 4)",
        "make a model of it: SiameseModel(encoder, comparison=...)",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_factory_that_fails_is_one_line(
    run: Run, images: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    text, message = BROKEN[kind]
    (tmp_path / f"broken_{kind}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    code, out, err = run("explain", *images, "--model", f"broken_{kind}:make")
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert "bug" not in err


def test_what_has_no_maps_is_told_without_places() -> None:
    from xsiamese.cli.told import by_column, described, of_text_columns, words_of

    rows = torch.ones(1, 3)
    found = PairExplanation(None, (rows, rows), torch.tensor([0.5]), "M", kinds=("row", "row"))
    said = described(found, [])
    assert (said["method"], said["score"], said["output"]) == ("M", 0.5, None)
    assert not {"closer", "apart", "strongest", "relevant", "columns"} & set(said)
    nothing = (words_of(found, colour=False), of_text_columns(found), by_column(found, None, ({}, {})))  # type: ignore[arg-type]
    assert nothing == ([], {}, {})


def test_a_wrong_option_is_refused(run: Run, images: tuple[Path, Path]) -> None:
    code, out, err = run("explain", *images, "--methd", "gradcam")
    assert code != 0
    assert "--methd" in out + err
    assert run("explain", images[0])[0] != 0
    assert run("explan", *images)[0] != 0


def test_python_m_is_the_same() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "xsiamese", "explain", "a.png", "b.png"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("xsiamese: a.png cannot be read as an image")
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_tensor_or_nothing_is_no_option_of_words() -> None:
    from xsiamese.explain.options import parsed
    from xsiamese_counterfactual import PairRegionSwap

    with pytest.raises(ValueError, match=r"^--reference is for Python only$"):
        parsed(PairRegionSwap, {"reference": "table.csv"})
    with pytest.raises(ValueError, match=r"its own are (?!.*--reference)(?=.*--threshold).*, --distractor$"):
        parsed(PairRegionSwap, {"xyz": "1"})


def test_counterfactual_is_the_search_of_the_kind_of_input() -> None:
    from xsiamese.explain.catalogue import explainer
    from xsiamese.kinds.catalogue import names

    for kind in ("image", "graph", "row", "tabular"):
        assert names(frozenset({kind})) <= names(explainer("counterfactual").for_kind(kind).modalities)
    assert explainer("saliency").for_kind("row").name == "saliency"


@pytest.mark.slow
def test_a_counterfactual_of_rows_is_told_in_the_units_of_the_table(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nights are whole numbers, and the category stays; the edit flips the decision of the network on a row of it."""
    monkeypatch.chdir(tmp_path)
    drawn = torch.Generator().manual_seed(0)
    rows = torch.randint(0, 30, (80,), generator=drawn).tolist()
    lines = [f"{n},{100 + 7.5 * (i % 13)},{'red' if i % 2 else 'blue'},{int(n > 14)}" for i, n in enumerate(rows)]
    (tmp_path / "t.csv").write_text("\n".join(["nights,price,colour,y", *lines]) + "\n")
    run("train", "siamese-mlp", "t.csv", "--target", "y", "--epochs", "3", "-o", "run")
    a, b = rows.index(min(rows)), rows.index(max(rows))
    words = ("explain", f"t.csv:{a}", f"t.csv:{b}", "--model", "run/siamese-mlp-t.safetensors")
    search = ("--method", "counterfactual", "--reference", "t.csv")
    asked = (*words, *search, "--json", "-o", "why.png", "-o", "w.safetensors")
    (found,) = json.loads(run(*asked)[1])["counterfactuals"]
    assert found["flipped"]
    assert (tmp_path / "why.png").stat().st_size > 5000
    changed = {"a": lines[a].split(","), "b": lines[b].split(",")}
    for _, _, before, after, _, name, *_ in found["edits"]:
        place = ["nights", "price"].index(name)  # never the category
        assert before == pytest.approx(float(changed[found["side"]][place]), abs=1e-3)
        assert name != "nights" or after == pytest.approx(round(after), abs=1e-3)
        changed[found["side"]][place] = str(after)
    (tmp_path / "new.csv").write_text("\n".join(["nights,price,colour,y", *map(",".join, changed.values())]) + "\n")
    again = json.loads(run("explain", "new.csv:0", "new.csv:1", *words[3:], "--method", "saliency", "--json")[1])
    assert again["score"] == pytest.approx(found["score_after"], abs=1e-4)
    code, _, errors = run(*words, "--method", "counterfactual")
    assert (code, "add --reference TABLE, a table of such rows" in errors) == (2, True)


def test_counterfactual_of_what_it_does_not_search_names_what_does(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    from xsiamese.cli.explain import explain

    opened = SimpleNamespace(modality="text", kind="text", model=None, layer=None)
    monkeypatch.setattr("xsiamese.zoo.open_model", lambda *_, **__: opened)
    with pytest.raises(ValueError, match="--method feature_ablation says"):
        explain("a cat", "a dog", model="m", method="counterfactual")
