"""Every picture looks as it did: each is compared with a small one that was looked at and kept.

``python tests/test_plot_kept.py`` keeps what is drawn now; look at it before you commit it.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

pytest.importorskip("matplotlib")
pillow = pytest.importorskip("PIL.Image")

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
from test_plot_overlap import PICTURES  # noqa: E402

KEPT = Path(__file__).parent / "kept"
DRAWN_BY = KEPT / "matplotlib"  # the version: another one lays out by rules of its own, up to 14 of 255 apart
WIDTH = 120  # of a kept picture, in pixels
MOST = 0.6  # mean difference, of 255: rounding is 0.15, and a picture without its titles 0.96 to 39


def small(name: str) -> Tensor:
    """A picture as colours of a few cells, shape (height, width, 3), in [0, 255]."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        figure: Any = PICTURES[name]()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    drawn = torch.tensor(bytearray(canvas.buffer_rgba()), dtype=torch.uint8)
    width, height = canvas.get_width_height()
    cells = drawn.view(height, width, 4)[..., :3].permute(2, 0, 1)[None].float()
    shape = (round(height * WIDTH / width), WIDTH)
    return torch.nn.functional.interpolate(cells, shape, mode="area")[0].permute(1, 2, 0)


def kept(name: str) -> Path:
    """Where a picture is kept."""
    return KEPT / f"{name.replace(' ', '-').replace(',', '')}.png"


def version() -> str:
    """Of matplotlib, without what mends faults only."""
    import matplotlib

    return ".".join(matplotlib.__version__.split(".")[:2])


def test_every_picture_is_kept() -> None:
    assert {kept(name).name for name in PICTURES} == {path.name for path in KEPT.glob("*.png")}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_the_one_that_was_kept(name: str) -> None:
    if version() != DRAWN_BY.read_text(encoding="utf-8"):
        pytest.skip(f"the kept pictures are of matplotlib {DRAWN_BY.read_text(encoding='utf-8')}, here is {version()}")
    with pillow.open(kept(name)) as picture:
        before = torch.tensor(bytearray(picture.tobytes()), dtype=torch.uint8).view(picture.height, picture.width, 3)
    now = small(name)
    assert abs(len(now) - len(before)) <= 1
    rows = min(len(now), len(before))
    apart = float((now[:rows] - before[:rows].float()).abs().mean())
    assert apart < MOST, f"mean difference {apart:.2f} of 255"


if __name__ == "__main__":
    KEPT.mkdir(exist_ok=True)
    DRAWN_BY.write_text(version(), encoding="utf-8")
    for each in PICTURES:
        pillow.fromarray(small(each).round().to(torch.uint8).numpy()).save(kept(each), optimize=True)
