"""What the house promises, by counting: ``explain`` is one run, and no search is run twice.

``python tests/benchmarks/house.py`` writes ``docs/measurements/house.json``, which the page on performance shows.
Nothing is timed: speed.py does that.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from torch import nn

import xsiamese
from xsiamese import SiameseModel
from xsiamese.contract.subject import THRESHOLD, encoder, pairs
from xsiamese.testing import quick_options

WRITTEN = Path(__file__).parents[2] / "docs" / "measurements" / "house.json"
SIZE = 2  # internal_batch_size


class Counted:
    """Counts the calls of a module, and their rows."""

    def __init__(self, module: nn.Module) -> None:
        self.rows: list[int] = []
        module.register_forward_hook(lambda *args: self.rows.append(len(args[2])))


def one_run(name: str) -> dict[str, Any]:
    """The encoder's rows in ``attribute`` and in ``explain`` of one explainer of images, and the most at once."""
    cls = xsiamese.explainers()[name]
    counts = {}
    for way in ("attribute", "explain"):
        model = SiameseModel(encoder(), "dot")
        settings = {"threshold": THRESHOLD} if "threshold" in signature(cls.__init__).parameters else {}
        explainer = cls(model, "3", **settings) if cls.needs_layer else cls(model, **settings)
        counted = Counted(model.encoder[0])
        getattr(explainer, way)(pairs(), internal_batch_size=SIZE, **quick_options(cls))
        counts[way] = sum(counted.rows)
    return {**counts, "ratio": counts["explain"] / max(1, counts["attribute"])}


def searches() -> dict[str, dict[str, int]]:
    """Encoder calls and rows of each search in ``find`` and in ``explain``."""
    images = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    rows = nn.Sequential(nn.Linear(3, 3, bias=False))
    with torch.no_grad():
        rows[0].weight.copy_(torch.eye(3))
    grid = torch.rand(1, 1, 8, 8), 3 * torch.rand(1, 1, 8, 8)
    row = torch.zeros(1, 3), torch.tensor([[1.0, 0.5, 0.2]])
    todo: dict[str, tuple[nn.Module, Any, dict[str, Any], dict[str, Any]]] = {
        "PairMinimalMask": (images, grid, {"threshold": 0.2}, {"replacement": "partner"}),
        "PairRegionSwap": (images, grid, {"threshold": 0.3, "layer": "1"}, {}),
        "PairTabularCounterfactual": (rows, row, {"threshold": 0.5}, {"ranges": {0: (-1, 2), 1: (-1, 2), 2: (-1, 2)}}),
    }
    found = {}
    for name, (module, inputs, settings, options) in todo.items():
        cls, made = getattr(xsiamese, name), {}
        ways: dict[str, Callable[[Any], Any]] = {
            "find": lambda search, inputs=inputs, options=options: search.find(inputs, **options),
            "explain": lambda search, inputs=inputs, options=options: search.explain(inputs, **options),
        }
        for way, ask in ways.items():
            counted = Counted(module[0])
            ask(cls(SiameseModel(module, "euclidean"), **settings))
            made |= {f"{way}_calls": len(counted.rows), f"{way}_rows": sum(counted.rows)}
        found[name] = made
    return found


def main() -> None:
    """Counts and writes."""
    torch.manual_seed(0)
    names = [name for name, cls in xsiamese.explainers().items() if cls.modalities & {"image"}]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = {"torch": torch.__version__, "rows": {name: one_run(name) for name in names}, "searches": searches()}
    WRITTEN.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found["searches"], indent=1), max(one["ratio"] for one in found["rows"].values()))


if __name__ == "__main__":
    main()
