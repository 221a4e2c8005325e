"""Every explainer on pairs whose explanation is known. Writes docs/measurements/scoreboard.json.

``python tests/benchmarks/scoreboard.py patches rows motifs fashion`` measures these sets, all if left out; what a file
already holds is not measured again. Each method is measured with its defaults, and with the best of a few settings,
which is chosen by the AUROC on pairs that the table does not show. Peers are formulas written here, and captum and
pytorch-grad-cam on one branch at a time with the other embedding held.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from scoreboard_peers import PEERS

import xsiamese
from xsiamese import PairAttribution, SiameseModel, measure
from xsiamese.data.planted import planted
from xsiamese.data.samples import CLASSES, fashion_pair
from xsiamese.metrics.sanity import CascadingRandomisation, EdgeDetector
from xsiamese.metrics.surface import RelevanceGain
from xsiamese.metrics.topk import KeepTop
from xsiamese.model.comparison import Cosine
from xsiamese.zoo import shipped

ROOT = Path(__file__).parents[2]
OUT = Path(os.environ.get("SCOREBOARD", ROOT / "docs" / "measurements" / "scoreboard.json"))
SETS = ("patches", "rows", "motifs", "words", "series", "digits", "fashion")
TUNING, REPORT = 1, 2  # seeds: settings are chosen on the first, and the table is of the second
EARLIER = {"patches": "encoder.5", "digits": "encoder.5", "series": "encoder.2", "words": "encoder.2"}


class Slow(Exception):
    """A method took longer than it may."""


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise Slow(f"took over {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def pairs_of(name: str, count: int, seed: int) -> Any:
    """Planted pairs; of the fashion model shipped images, half of them of one class."""
    if name != "fashion":
        return planted(name, count, seed)
    found = [fashion_pair(CLASSES[i % 10], CLASSES[(i + (i % 2) * seed) % 10], number=i // 10) for i in range(count)]
    return tuple(torch.cat(side) for side in zip(*found, strict=True))


def metrics_of(name: str) -> list[Any]:
    truth = [] if name == "fashion" else ["auroc", "pointing_game", "partner_sensitivity"]
    return [*truth, RelevanceGain(10), KeepTop(0.2), CascadingRandomisation(2)]


def settings(name: str, cls: type[PairAttribution]) -> dict[str, dict[str, Any]]:
    """A few ways to call a method, by what a table calls them."""
    found: dict[str, dict[str, Any]] = {"norms detached": {"detach": True}}
    if cls.needs_layer and name in EARLIER:
        found[f"layer {EARLIER[name]}"] = {"layer": EARLIER[name]}
        found[f"layer {EARLIER[name]}, norms detached"] = {"layer": EARLIER[name], "detach": True}
    known = cls.options()
    if "sliding_window_shapes" in known and name in ("patches", "digits", "fashion"):
        window = {"sliding_window_shapes": (1, 6, 6), "strides": (1, 2, 2)}
        found["6 x 6 windows"] = {key: value for key, value in window.items() if key in known}
    if {"cells", "filling"} <= set(known) and name in ("patches", "digits"):
        found["8 x 8 cells, filled with the mean"] = {"cells": (8, 8), "filling": "mean"}
    if "n_samples" in known:
        found["512 samples"] = {"n_samples": 512}
    if name == "rows" and not cls.needs_layer:
        found["one side at a time, from the partner"] = {"baselines": "partner", "wrt": "first"}
    return found


def measured(
    name: str, cls: Callable[..., Any], pairs: Any, asked: dict[str, Any], metrics: list[Any]
) -> dict[str, Any]:
    """One row: the numbers with their intervals, and the milliseconds that a pair takes."""
    checkpoint = shipped("fashion" if name == "fashion" else f"planted-{name}")
    model = checkpoint.model
    asked = dict(asked)
    if asked.pop("detach", False):
        assert isinstance(model, SiameseModel)
        model = SiameseModel(model.encoder, Cosine(detach_norms=True)).eval()
    layer = asked.pop("layer", checkpoint.card.layer)
    made = cls(model, layer) if cls.needs_layer else cls(model)
    found = measure(made, pairs, metrics, **asked)
    count = len(found.explanation)
    numbers = {m: [round(v, 4) for v in (one.mean, one.low, one.high)] for m, one in found.items()}
    return {"numbers": numbers, "ms": round(found.seconds / count * 1000, 2), "pairs": count}


def row(name: str, method: str, cls: Any, count: int, limit: int, tune: bool) -> dict[str, Any]:
    """A method with its defaults, and with the best of its settings."""
    found: dict[str, Any] = {}
    try:
        with at_most(limit):
            found["defaults"] = measured(name, cls, pairs_of(name, count, REPORT), {}, metrics_of(name))
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}".splitlines()[0][:200]}
    if not tune or name == "fashion":
        return found
    scores = {}
    for how, asked in {"": {}, **settings(name, cls)}.items():
        try:
            with at_most(limit):
                tried = measured(name, cls, pairs_of(name, count, TUNING), asked, ["auroc"])
            scores[how] = tried["numbers"]["auroc"][0]
        except Exception as error:  # a setting that does not suit the method is none of its settings
            scores[how] = f"{type(error).__name__}: {error}".splitlines()[0][:120]
    numbers = {how: score for how, score in scores.items() if isinstance(score, float)}
    best = max(numbers, key=lambda how: (numbers[how], how == ""), default="")
    found["tried"] = scores
    if best:
        try:
            with at_most(limit):
                asked = settings(name, cls)[best]
                found["best"] = {
                    "setting": best,
                    **measured(name, cls, pairs_of(name, count, REPORT), asked, metrics_of(name)),
                }
        except Exception as error:
            found["best"] = {"setting": best, "error": str(error)}
    return found


def methods(name: str) -> dict[str, Any]:
    """Ours that suit the set, a fake, and the peers."""
    kind = {"motifs": "graph", "rows": "row", "words": "series", "series": "series"}.get(name, "image")
    ours = {
        key: cls for key, cls in xsiamese.explainers().items() if kind in cls.modalities and not cls.needs_threshold
    }
    fake = {"EdgeDetector (a fake)": EdgeDetector} if name in ("patches", "digits", "fashion") else {}
    peers = {key: cls for key, cls in PEERS.items() if kind in cls.modalities}
    return {**ours, **fake, **peers}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", default=list(SETS))
    parser.add_argument("--methods", nargs="*", help="these only")
    parser.add_argument("--pairs", type=int, default=16)
    parser.add_argument("--limit", type=int, default=40, help="seconds that a method may take for one measurement")
    parser.add_argument("--no-settings", action="store_true", help="defaults only")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for name in options.sets:
        pairs_of(name, 1, REPORT)  # what it imports must not count, nor be cut short, in the first method's time
        for method, cls in methods(name).items():
            known = json.loads(OUT.read_text()) if OUT.exists() else {"sets": {}}
            rows = known["sets"].setdefault(name, {})
            if method in rows or method not in (options.methods or [method]):
                continue
            rows[method] = row(name, method, cls, options.pairs, options.limit, not options.no_settings)
            rows[method]["peer"] = method in PEERS
            OUT.write_text(json.dumps({**known, "torch": torch.__version__}, indent=1) + "\n")
            said = rows[method].get("error") or {k: v[0] for k, v in rows[method]["defaults"]["numbers"].items()}
            print(name, method, said, rows[method].get("best", {}).get("setting", ""), flush=True)


if __name__ == "__main__":
    main()
