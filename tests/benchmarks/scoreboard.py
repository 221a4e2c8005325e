"""Every explainer on pairs whose explanation is known. Writes docs/measurements/scoreboard.json.

``python tests/benchmarks/scoreboard.py patches rows motifs fashion`` measures these sets, all if left out; what a file
already holds is not measured again, ``--again Slow`` but the rows whose error says so, ``--afresh`` but all that is
named. Each method is measured with its defaults, and with the best of a few settings, which is chosen by the AUROC on
pairs that the table does not show. For tools/choose_defaults.py, settings that mean the same on any model are measured
on those pairs, too. Peers are formulas written here, and captum and pytorch-grad-cam on one branch at a time with the
other embedding held. Sets of real data (scoreboard_real.py), but for rows, have the defaults only, and
what :func:`xsiamese.auto` takes is measured once more on many pairs of every planted set that chose nothing,
``--chosen``.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import scoreboard_real
import torch
from live_memory import peak
from scoreboard_peers import PEERS
from torch import Tensor, nn

import xsiamese
from xsiamese import PairAttribution, SiameseModel, measure
from xsiamese.data.planted import planted, scene
from xsiamese.data.samples import CLASSES, fashion_pair
from xsiamese.metrics.sanity import CascadingRandomisation, EdgeDetector
from xsiamese.metrics.surface import RelevanceGain
from xsiamese.metrics.topk import KeepTop
from xsiamese.model.comparison import Cosine
from xsiamese.zoo import shipped

ROOT = Path(__file__).parents[2]
OUT = Path(os.environ.get("SCOREBOARD", ROOT / "docs" / "measurements" / "scoreboard.json"))
PLANTED = ("patches", "rows", "motifs", "words", "series", "digits")
SETS = (*PLANTED, "fashion", *filter(scoreboard_real.here, scoreboard_real.FOLDERS))
TUNING, REPORT = 1, 2  # seeds: settings are chosen on the first, and the table is of the second
EARLIER = {"patches": "encoder.5", "digits": "encoder.5", "series": "encoder.2"}
KINDS = {"motifs": "graph", "rows": "row", "words": "text", "series": "series", **scoreboard_real.KINDS}
# settings that mean the same on any model; a layer's name or a window's size does not
ANYWHERE: dict[str, dict[str, Any]] = {
    "": {},
    "norms detached": {"detach": True},
    "softened": {"soften": True},
    "norms detached, softened": {"detach": True, "soften": True},
    "512 samples": {"n_samples": 512},
    "from typical rows": {"baselines": "typical"},
}
PROMISING = 0.75  # AUROC: what finds the truth less often is no default
QUICK, SEVERAL = 100.0, 4  # a pair of what takes fewer milliseconds is one of four times as many that choose


class Slow(Exception):
    """A method took longer than it may."""


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """Of the processor's time: what else runs on the machine does not count."""

    def stop(*_: Any) -> None:
        raise Slow(f"took over {seconds} s")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def pairs_of(name: str, count: int, seed: int) -> Any:
    """Planted pairs, or real ones; of the fashion model shipped images, half of them of one class. Words are ids of a
    vocabulary.
    """
    if name in scoreboard_real.FOLDERS:
        return scoreboard_real.pairs_of(name, count, seed)
    if name == "fashion":
        number = 2 if seed == TUNING else 0
        found = [
            fashion_pair(CLASSES[i % 10], CLASSES[(i + (i % 2) * seed) % 10], number=i // 10 + number)
            for i in range(count)
        ]
        return tuple(torch.cat(side) for side in zip(*found, strict=True))
    pairs = planted(name, count, seed)
    if name != "words":
        return pairs
    return replace(pairs, a=ids(pairs.a), b=ids(pairs.b), others=ids(pairs.others), twins=ids(pairs.twins))


def ids(words: Tensor) -> Tensor:
    """The number of each word (items, channels, words) in the vocabulary, from 1 on; 0 is a word that is missing."""
    return torch.cdist(words.transpose(1, 2), scene("words").table).argmin(2) + 1  # type: ignore[attr-defined]


class Vectors(nn.Module):
    """The word vectors of ids (items, words), shape (items, channels, words)."""

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.table = nn.Embedding(len(table) + 1, table.shape[1])
        self.table.weight = nn.Parameter(torch.cat([torch.zeros_like(table[:1]), table]), requires_grad=False)

    def forward(self, words: Tensor) -> Tensor:
        vectors: Tensor = self.table(words)
        return vectors.transpose(1, 2)


def model_of(name: str, detach: bool) -> tuple[SiameseModel, str | None]:
    """The set's model, and the layer that its card names."""
    if name in scoreboard_real.FOLDERS:
        trained = scoreboard_real.model_of(name)
        found = SiameseModel(trained.encoder, Cosine(detach_norms=detach)).eval()
        found.typical = trained.typical
        return found, None
    checkpoint = shipped("fashion" if name == "fashion" else f"planted-{name}")
    model, layer = checkpoint.model, checkpoint.card.layer
    assert isinstance(model, SiameseModel)
    encoder: Any = model.encoder
    if name == "words":  # as in a model of texts, the layer to explain on is that of the word vectors
        encoder, layer = nn.Sequential(Vectors(scene("words").table), *encoder), None  # type: ignore[attr-defined]
    found = SiameseModel(encoder, Cosine(detach_norms=detach)).eval()
    found.typical = model.typical
    return found, layer


def metrics_of(name: str) -> list[Any]:
    return [*truths(name), RelevanceGain(10), KeepTop(0.2), CascadingRandomisation(2)]


def truths(name: str) -> list[str]:
    """What is asked of the truth and the partner: of real pairs, whose partners share nothing that is known, how alike
    the map of a is beside an unlike partner.
    """
    if name in scoreboard_real.FOLDERS:
        known = ["auroc", "pointing_game"] if name in scoreboard_real.TRUE else []
        return [*known, "partner_invariance"]
    return [] if name == "fashion" else ["auroc", "pointing_game", "partner_sensitivity"]


def kind(name: str) -> str:
    return KINDS.get(name, "image")


def settings(name: str, cls: type[PairAttribution]) -> dict[str, dict[str, Any]]:
    """A few ways to call a method, by what a table calls them."""
    found = {how: asked for how, asked in anywhere(name, cls).items() if how}
    if cls.needs_layer and name in EARLIER:
        found[f"layer {EARLIER[name]}"] = {"layer": EARLIER[name]}
        found[f"layer {EARLIER[name]}, norms detached"] = {"layer": EARLIER[name], "detach": True}
    known = cls.options()
    if "sliding_window_shapes" in known and kind(name) == "image":
        deep = 3 if name == "flowers" else 1  # channels
        window = {"sliding_window_shapes": (deep, 6, 6), "strides": (deep, 2, 2)}
        found["6 x 6 windows"] = {key: value for key, value in window.items() if key in known}
    if {"cells", "filling"} <= set(known) and name in ("patches", "digits"):
        found["8 x 8 cells, filled with the mean"] = {"cells": (8, 8), "filling": "mean"}
    if name == "rows" and not cls.needs_layer:
        found["one side at a time, from the partner"] = {"baselines": "partner", "wrt": "first"}
    return found


def anywhere(name: str, cls: type[PairAttribution]) -> dict[str, dict[str, Any]]:
    """The settings of a method that mean the same on any model; rows to start from are of a model that knows some."""
    starts = kind(name) == "row" and (cls.traits.apart or cls.traits.distribution_baselines)
    known = cls.options().get("soften")
    softens = kind(name) in ("image", "series") and known is not None and known.default is False
    suits = {
        "norms detached": cls.uses_gradients,
        "softened": softens,
        "norms detached, softened": softens and cls.uses_gradients,
        "512 samples": "n_samples" in cls.options(),
        "from typical rows": starts,
    }
    return {how: asked for how, asked in ANYWHERE.items() if suits.get(how, True)}


def made(name: str, cls: Callable[..., Any], asked: dict[str, Any]) -> tuple[PairAttribution, dict[str, Any]]:
    """An explainer of the set's model, and what is left for its ``explain``."""
    asked = dict(asked)
    model, layer = model_of(name, asked.pop("detach", False))
    layer = asked.pop("layer", layer)
    if kind(name) == "graph" and getattr(cls, "graph_parts", ("nodes",)) != ("nodes",):
        asked["parts"] = "nodes"  # what the truth is of, and the other methods
    return (cls(model, layer) if cls.needs_layer else cls(model)), asked  # type: ignore[attr-defined]


def measured(
    name: str, cls: Callable[..., Any], pairs: Any, asked: dict[str, Any], metrics: list[Any]
) -> dict[str, Any]:
    """One row: the numbers with their intervals, and the milliseconds that a pair takes."""
    explainer, options = made(name, cls, asked)
    found = measure(explainer, pairs, metrics, **options)
    count = len(found.explanation)
    return {"numbers": rounded(found), "ms": round(found.seconds / count * 1000, 2), "pairs": count}


def rounded(found: Any) -> dict[str, list[float]]:
    """The mean of each metric with its 95 % interval."""
    return {m: [round(v, 4) for v in (one.mean, one.low, one.high)] for m, one in found.items()}


def memory(name: str, cls: Any, count: int) -> float:
    """The most MiB that tensors hold while all pairs are explained at once."""
    explainer, options = made(name, cls, {})
    pairs = pairs_of(name, count, REPORT)
    inputs = pairs if isinstance(pairs, tuple) else pairs.inputs
    return round(peak(lambda: explainer.attribute(inputs, **options)) / 2**20, 3)


def ways(name: str, cls: Any, known: dict[str, Any], count: int) -> dict[str, Any]:
    """What the settings that mean the same anywhere give on the pairs that choose one, and, where that is promising, on
    those of the table.
    """
    chooses = [*truths(name), RelevanceGain(10)]
    found: dict[str, Any] = {}
    enough = SEVERAL * count if name in PLANTED and known["defaults"]["ms"] < QUICK else count
    for how, asked in anywhere(name, cls).items():
        tuned = measured(name, cls, pairs_of(name, enough, TUNING), asked, chooses)["numbers"]
        best = known.get("best", {})
        report = best["numbers"] if best.get("setting") == how and "numbers" in best else None
        if not how:
            report = known["defaults"]["numbers"]
        elif report is None and tuned.get("auroc", [1.0])[0] > PROMISING:
            report = measured(name, cls, pairs_of(name, count, REPORT), asked, metrics_of(name))["numbers"]
        found[how] = {"tuned": tuned, "report": report}
    return found


def row(name: str, method: str, cls: Any, count: int, limit: int, tune: bool) -> dict[str, Any]:
    """A method with its defaults, and with the best of its settings."""
    found: dict[str, Any] = {}
    try:
        with at_most(limit):
            found["defaults"] = measured(name, cls, pairs_of(name, count, REPORT), {}, metrics_of(name))
    except Exception as error:
        found["error"] = f"{type(error).__name__}: {error}".splitlines()[0][:200]
    if "error" in found:  # windows of one pixel are too many where those of six are not
        tried = {how: asked for how, asked in settings(name, cls).items() if "windows" in how}
        return found | (only(name, cls, tried, limit, count) if tried and "Slow" in found["error"] else {})
    if not tune or (name not in PLANTED and kind(name) != "row"):
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


def only(name: str, cls: Any, asked: dict[str, dict[str, Any]], limit: int, count: int) -> dict[str, Any]:
    """A method with the only setting that may be in time."""
    ((how, options),) = asked.items()
    try:
        with at_most(limit):
            return {
                "best": {
                    "setting": how,
                    **measured(name, cls, pairs_of(name, count, REPORT), options, metrics_of(name)),
                }
            }
    except Exception:
        return {}


def methods(name: str) -> dict[str, Any]:
    """Ours that suit the set, a fake, and the peers."""
    ours = {
        key: cls
        for key, cls in xsiamese.explainers().items()
        if kind(name) in cls.modalities and not cls.needs_threshold
    }
    fake = {"EdgeDetector (a fake)": EdgeDetector} if kind(name) == "image" else {}
    peers = {key: cls for key, cls in PEERS.items() if kind(name) in cls.modalities}
    return {**ours, **fake, **peers}


def chosen(options: argparse.Namespace) -> None:
    """What :func:`xsiamese.auto` takes for each planted set and budget, on pairs that chose nothing; and each peer on
    the same pairs.
    """
    known = json.loads(OUT.read_text())
    for name in options.sets:
        rows = known.setdefault("chosen", {}).setdefault(name, {})
        for budget in ("fast", "normal", "thorough"):
            if (budget in rows and not options.afresh) or name not in PLANTED:
                continue
            model, layer = model_of(name, False)
            taken = xsiamese.auto(model, budget, kind=kind(name), layer=layer)
            metrics = truths(name)
            found = measure(taken.explainer, pairs_of(name, options.pairs, REPORT), metrics, **taken.options)
            rows[budget] = {
                "method": type(taken.explainer).__name__,
                "norms detached": taken.explainer.detach_norms,
                "options": {key: str(value) for key, value in taken.options.items()},
                "pairs": options.pairs,
                "numbers": rounded(found),
            }
            print(name, budget, rows[budget], flush=True)
            OUT.write_text(json.dumps(known, indent=1) + "\n")
        for peer, cls in PEERS.items() if name in PLANTED else ():
            if peer == "random" or kind(name) not in cls.modalities or (peer in rows and not options.afresh):
                continue
            try:
                with at_most(options.limit):
                    explainer, _ = made(name, cls, {})
                    found = measure(explainer, pairs_of(name, options.pairs, REPORT), truths(name))
                rows[peer] = {"method": peer, "peer": True, "pairs": options.pairs, "numbers": rounded(found)}
            except Exception as error:
                print(name, peer, f"{type(error).__name__}: {error}".splitlines()[0][:200])
                continue
            print(name, peer, rows[peer], flush=True)
            OUT.write_text(json.dumps(known, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", default=list(SETS))
    parser.add_argument("--methods", nargs="*", help="these only")
    parser.add_argument("--pairs", type=int, default=16)
    parser.add_argument(
        "--limit", type=int, default=40, help="seconds of the processor that a method may take for one measurement"
    )
    parser.add_argument("--no-settings", action="store_true", help="defaults only")
    parser.add_argument("--again", help="measures rows again whose error says this")
    parser.add_argument("--afresh", action="store_true", help="measures what is named again")
    parser.add_argument(
        "--chosen", action="store_true", help="what xsiamese.auto takes, and the peers, and nothing else"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    if options.chosen:
        chosen(options)
        return
    for name in options.sets:
        pairs_of(name, 1, REPORT)  # what it imports must not count, nor be cut short, in the first method's time
        for method, cls in methods(name).items():
            if method in (options.methods or [method]):
                complete(name, method, cls, options)


def complete(name: str, method: str, cls: Any, options: argparse.Namespace) -> None:
    """Measures what the file does not hold of one method."""
    known = json.loads(OUT.read_text()) if OUT.exists() else {"sets": {}}
    rows = known["sets"].setdefault(name, {})
    before = json.dumps(rows.get(method))
    one = rows.get(method)
    if one is None or options.afresh or (options.again and options.again in one.get("error", "")):
        one = row(name, method, cls, options.pairs, options.limit, not options.no_settings)
        one["peer"] = method in PEERS
    if "error" not in one and "memory" not in one:
        one |= guarded(options.limit, memory, name, cls, options.pairs)
    tunes = name in (*PLANTED, "fashion") and method in xsiamese.explainers()
    if "error" not in one and tunes and {*anywhere(name, cls)} - {*one.get("ways", {})}:
        one |= guarded(3 * options.limit, ways, name, cls, one, options.pairs)
    if json.dumps(one) == before:
        return
    rows[method] = one
    OUT.write_text(json.dumps({**known, "torch": torch.__version__}, indent=1) + "\n")
    if name in scoreboard_real.FOLDERS and name not in known.setdefault("models", {}):
        known["models"][name] = round(scoreboard_real.quality(name), 3)
        OUT.write_text(json.dumps(known, indent=1) + "\n")
    said = one.get("error") or {k: v[0] for k, v in one["defaults"]["numbers"].items()}
    print(name, method, said, one.get("best", {}).get("setting", ""), one.get("memory"), flush=True)


def guarded(limit: int, ask: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
    """What is asked for, by its name; nothing if it takes too long or fails: a row without it is still a row."""
    try:
        with at_most(limit):
            return {ask.__name__: ask(*arguments)}
    except Exception as error:
        print("   ", f"{type(error).__name__}: {error}".splitlines()[0][:200])
        return {}


if __name__ == "__main__":
    main()
