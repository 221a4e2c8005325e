"""The result: text, pictures, files, and the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.problems import conv_encoder, images
from xsiamese import SiameseModel
from xsiamese_counterfactual import (
    Counterfactual,
    CounterfactualExplanation,
    PairMinimalMask,
    PairRegionSwap,
    PairTabularCounterfactual,
)

Run = Callable[..., tuple[int, str, str]]


def swap(**options: object) -> Counterfactual:
    model = SiameseModel(conv_encoder(), "euclidean")
    pair = images(1)
    threshold = 0.5 * float(model(*pair).detach())
    return PairRegionSwap(model, "4", threshold=threshold).find(pair, ids=[("left", "right")], **options)[0]  # type: ignore[arg-type]


def mask() -> Counterfactual:
    model = SiameseModel(conv_encoder(), "euclidean")
    pair = images(1)
    return PairMinimalMask(model, threshold=0.5 * float(model(*pair).detach())).find(pair, steps=5)[0]


def table() -> Counterfactual:
    model = SiameseModel(torch.nn.Identity(), "euclidean")
    pair = torch.zeros(1, 3), torch.tensor([[0.2, 3.0, 0.1]])
    return PairTabularCounterfactual(model, threshold=1.0).find(pair, ranges=(0, 4), names=["x", "y", "z"])[0]


@pytest.mark.parametrize("make", [swap, mask, table])
def test_saved_and_loaded(make: type[Counterfactual], tmp_path: Path) -> None:
    one = make()
    two = Counterfactual.load(one.save(tmp_path / "one.safetensors"))
    assert two.summary() == one.summary()
    assert two.edits == one.edits
    assert (two.grid, two.ids, two.layer, two.nearest, two.citation) == (
        one.grid,
        one.ids,
        one.layer,
        one.nearest,
        one.citation,
    )
    for what in ("inputs", "edited"):
        assert all(torch.equal(x, y) for x, y in zip(getattr(one, what), getattr(two, what), strict=True))
    assert (one.mask is None) == (two.mask is None)


def test_files_of_others_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    (tmp_path / "text").write_text("no")
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="not a safetensors file"):
        Counterfactual.load(tmp_path / "text")
    with pytest.raises(ValueError, match="no counterfactual that xsiamese saved"):
        Counterfactual.load(tmp_path / "other.safetensors")


@pytest.mark.parametrize("make", [swap, mask, table])
def test_drawn(make: type[Counterfactual]) -> None:
    pytest.importorskip("matplotlib")
    one = make()
    figure = one.plot()
    titles = [axis.get_title() for axis in figure.axes]
    assert "score (blue: alike)" in titles
    assert len(figure.axes) == (2 if one.kind == "tabular" else 5)
    if one.kind == "swap":
        assert len(figure.artists) == one.count  # an arrow for each edit
        assert titles.count("left, edited") + titles.count("right, edited") == 1
    assert "data:image/png" in one._repr_html_()


def test_vectors_of_images_are_not_drawn_but_told() -> None:
    one = replace(mask(), inputs=(torch.zeros(1, 3), torch.zeros(1, 3)))
    with pytest.raises(ValueError, match="can be drawn"):
        one.plot()
    assert one._repr_html_().startswith("<pre>")


def test_it_reads_well() -> None:
    one = swap()
    lines = one.summary().split("\n")
    assert lines[0].startswith("left - right: flips from different to alike with")
    assert f"in {one.side} at layer 4" in lines[0]
    assert "lower is closer" in lines[1]
    failed = swap(limit=1)
    if not failed.flipped:
        assert "stays different (1 edits, all that are allowed" in failed.summary()


def test_explanations_carry_their_counterfactuals(tmp_path: Path) -> None:
    model = SiameseModel(conv_encoder(), "euclidean")
    pair = images(3)
    found = PairRegionSwap(model, "4", threshold=0.5 * float(model(*pair).detach().min())).explain(pair)
    assert len(found.counterfactuals) == len(found) == 3
    assert found[1].counterfactuals == found.counterfactuals[1:2]
    assert found[-1].counterfactuals == found.counterfactuals[2:]
    loaded = CounterfactualExplanation.load(found.save(tmp_path / "found.safetensors"))
    assert loaded.summary() == found.summary()
    assert torch.equal(loaded.maps[0], found.maps[0])
    assert loaded.scores.tolist() == found.scores.tolist()
    with pytest.raises(ValueError, match="leave out target"):
        PairRegionSwap(model, "4", threshold=0.5).explain(pair, 0)


MODEL = """
import torch
from xsiamese import SiameseModel

def make():
    torch.manual_seed(0)
    from torch import nn

    encoder = nn.Sequential(nn.Conv2d(3, 6, 3, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return SiameseModel(encoder, "euclidean")
"""


def test_on_the_command_line(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = pytest.importorskip("PIL.Image")
    pytest.importorskip("matplotlib")
    pytest.importorskip("torchvision")
    (tmp_path / "mine.py").write_text(MODEL)
    for k, name in enumerate("ab"):
        noise = torch.randint(0, 255, (32, 32, 3), generator=torch.Generator().manual_seed(k), dtype=torch.uint8) // (
            1 + 3 * k
        )
        image.fromarray(noise.numpy()).save(tmp_path / f"{name}.png")
    monkeypatch.chdir(tmp_path)
    asked = ["explain", "a.png", "b.png", "--model", "mine:make", "--size", 32, "--threshold", 0.1, "--json"]
    code, out, errors = run(*asked, "--method", "counterfactual", "--layer", 1, "--output", "why.png")
    assert code == 0, errors
    told = json.loads(out)["counterfactuals"][0]
    assert told["flipped"]
    assert told["score_after"] <= 0.1 < told["score_before"]
    assert (tmp_path / "why.png").stat().st_size > 5000
    code, out, errors = run(*asked, "--method", "minimal_mask", "--output", "hole.png")
    assert code == 0, errors
    told = json.loads(out)["counterfactuals"][0]
    assert told["kind"] == "mask"
    assert told["flipped"] == (told["score_after"] <= 0.1)
    assert (tmp_path / "hole.png").stat().st_size > 5000
    code, _, errors = run(*(word for word in asked if word not in ("--threshold", 0.1)), "--method", "minimal_mask")
    assert code == 2
    assert "xsiamese.calibrate" in errors
    assert "Traceback" not in errors
