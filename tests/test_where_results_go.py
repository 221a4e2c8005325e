"""Where a result cannot go: one clear line, in Python and on the command line, whatever the result is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import xsiamese
from xsiamese import Gallery, PairGradCAM, PairInteraction, PairSaliency, SiameseModel
from xsiamese.cli.demo import demo
from xsiamese.data import fashion_pair
from xsiamese.jobs.manifest import Shard, held
from xsiamese.report.evaluate import report
from xsiamese.training.artifacts import writable
from xsiamese.zoo import save, shipped

Save = Callable[[Path], Any]
ROWS = (torch.rand(2, 3), torch.rand(2, 3))


def rows(name: str) -> Any:
    return xsiamese.explainers()[name](SiameseModel(nn.Linear(3, 2), "euclidean")).explain(ROWS)


def counterfactual() -> Any:
    model = shipped("fashion").model
    return xsiamese.explainers()["PairRegionSwap"](model).explain(fashion_pair("sneaker", "bag"))


FILES: dict[str, Callable[[], Save]] = {
    "maps": lambda: rows("PairSaliency").save,
    "matrix": lambda: rows("PairInteraction").save,
    "counterfactuals": lambda: counterfactual().save,
    "counterfactual": lambda: counterfactual().counterfactuals[0].save,
}


@pytest.fixture(scope="module", params=FILES)
def saving(request: pytest.FixtureRequest) -> Save:
    return FILES[request.param]()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("x.png", r"x\.png: save\(\) writes tensors, .*\.safetensors; a picture is plot\(\)\.savefig\('x\.png'\)"),
        ("x.txt", r"x\.txt: save\(\) writes tensors"),
        ("no/x.safetensors", "there is no folder .*no: make it first"),
        ("folder", "folder is a folder: the name of a file is needed"),
        ("file/x", "there is no folder .*file: make it first"),
    ],
)
def test_a_result_that_is_a_file(saving: Save, tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=said) as refused:
        saving(tmp_path / name)
    assert "\n" not in str(refused.value)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["file", "folder"]


def test_what_the_system_refuses_is_named(tmp_path: Path) -> None:
    place = Path("/proc/x.safetensors")
    if not place.parent.is_dir():
        pytest.skip("no folder that nobody may write into")
    with pytest.raises(OSError, match=r"^'/proc/x\.safetensors' cannot be written: "):
        rows("PairSaliency").save(place)


def test_a_checkpoint_goes_into_a_folder_that_is_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no folder"):
        save(tmp_path / "no" / "x.safetensors", shipped("fashion").model, "fashion")


FOLDERS: dict[str, Save] = {
    "gallery": lambda path: Gallery(PairGradCAM(shipped("fashion").model), torch.rand(2, 1, 28, 28)).save(path),
    "job": lambda path: held(path, {}, Shard()).__enter__(),
    "report": lambda path: report(
        "planted:rows", model="fashion", methods="saliency", metrics="all", output=path, count=1, seed=0, layer=None
    ),
    "training": writable,
    "demo": lambda path: demo(output=path),
}


@pytest.mark.parametrize("of", FOLDERS)
def test_a_result_that_is_a_folder(of: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"x\.PNG: .* is a folder, and \.PNG is the ending of a file") as refused:
        FOLDERS[of](tmp_path / "x.PNG")
    assert "\n" not in str(refused.value)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"file (is a file|is there already)"):
        FOLDERS[of](tmp_path / "file")
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("method", [PairSaliency, PairInteraction])
def test_words_of_an_svg_are_words_and_endings_are_matplotlib_s(method: Any, tmp_path: Path) -> None:
    figure = rows(method.__name__).plot(pair=0)
    figure.savefig(tmp_path / "x.svg")
    assert "<text" in (tmp_path / "x.svg").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="'foo' is not supported") as refused:
        figure.savefig(tmp_path / "x.foo")
    assert "\n" not in str(refused.value)
