"""What a path or a game starts from, on pairs whose explanation is known. Writes docs/measurements/baselines.json.

Integrated gradients, DeepLIFT and Shapley values (of cells, for images) from zeros, from the background, from real
items, one side at a time and both at once. The planted images are taken as they are, where 0 is the background, and
from 0.5, which is what 0 means after the usual normalisation with mean 0.5: a grey. The number is the AUROC of the
signed map against the truth of each pair, and of the shipped model, which has no truth, what the order of the maps
gains over its reverse.

Run ``python tests/benchmarks/baselines.py``; a few minutes.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import xsiamese
from xsiamese import Pool, measure
from xsiamese.data.planted import planted, scene
from xsiamese.data.samples import CLASSES, fashion_pair, fashion_samples
from xsiamese.metrics.surface import RelevanceGain
from xsiamese.zoo import find_card, shipped

OUT = Path(__file__).parents[2] / "docs" / "measurements" / "baselines.json"
METHODS = ("PairIntegratedGradients", "PairDeepLift", "PairShapleyValueSampling")
GREY = 0.5


def starts(name: str) -> dict[str, Any]:
    """The baselines of a set, by what a table calls them."""
    if name == "fashion":
        preprocessing = find_card("fashion").preprocessing
        assert preprocessing is not None
        items = preprocessing.normalise(fashion_samples().images)
        return {"zeros (a grey)": 0, "background": "background", "real items": Pool(items, most=8)}
    generator = torch.Generator().manual_seed(7)
    items = scene(name).batch(64, generator)[0]
    pool = Pool(items, most=8)
    if name == "rows":
        return {"zeros": 0, "real items": pool, "partner": "partner"}
    return {"grey": GREY, "background": "background", "real items": pool}


def pairs_of(name: str, count: int) -> tuple[Any, Any]:
    """Pairs, and their truth, or None."""
    if name != "fashion":
        found = planted(name, count, 2)
        return found.inputs, found.truth
    two = [fashion_pair(CLASSES[i % 10], CLASSES[(i + (i % 2) * 2) % 10], number=i // 10) for i in range(count)]
    return tuple(torch.cat(side) for side in zip(*two, strict=True)), None


def cells(inputs: tuple[Tensor, Tensor], side: int) -> tuple[Tensor, ...]:
    """A number for each square of pixels, of both sides."""
    found = []
    for x in inputs:
        height, width = x.shape[-2:]
        rows, columns = torch.arange(height) // side, torch.arange(width) // side
        found.append((rows[:, None] * (-(-width // side)) + columns)[None, None])
    return tuple(found)


def measured(name: str, method: str, start: Any, joint: bool, count: int) -> list[float]:
    inputs, truth = pairs_of(name, count)
    model = shipped("fashion" if name == "fashion" else f"planted-{name}").model
    options: dict[str, Any] = {"baselines": start, "joint": joint}
    if method == "PairShapleyValueSampling":
        options["n_samples"] = 10
        if name != "rows":
            options["feature_mask"] = cells(inputs, 4)
    metric: Any = RelevanceGain(10) if truth is None else "auroc"
    found = measure(xsiamese.explainers()[method](model), inputs, [metric], truth=truth, **options)
    (one,) = found.values()
    return [round(v, 4) for v in (one.mean, one.low, one.high)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=24)
    parser.add_argument("sets", nargs="*", default=["rows", "patches", "digits", "fashion"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for name in options.sets:
        for method in METHODS:
            for start, value in starts(name).items():
                for joint in (False, True):
                    known = json.loads(OUT.read_text()) if OUT.exists() else {}
                    key = f"{name}|{method}|{start}|{'both at once' if joint else 'one side at a time'}"
                    many = method == "PairShapleyValueSampling" and start == "real items" and name != "rows"
                    if key in known or many or (start == "partner" and joint):
                        continue  # a game of each of eight items is too much for images; a partner is one side's
                    known[key] = {"number": measured(name, method, value, joint, options.pairs), "pairs": options.pairs}
                    OUT.write_text(json.dumps(known, indent=1) + "\n")
                    print(key, known[key], flush=True)


if __name__ == "__main__":
    main()
