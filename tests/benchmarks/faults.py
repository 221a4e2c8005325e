"""Exceptions, signals and threads at full count: what is left on the model, and memory over many explanations and
pictures; into docs/measurements/faults.json.

    python tests/benchmarks/faults.py [--only "memory" ...]
"""

from __future__ import annotations

import argparse
import gc
import io
import json
import random
import re
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from tests.test_state import QUICK, explained, in_threads, same
from tests.wholestate import (
    Injected,
    at_line,
    differences,
    inject,
    interrupted_after,
    restless,
    seed_all,
    whole_state,
)
from xsiamese import PairGradCAM, PairMaskRegression
from xsiamese.data import fashion_pair
from xsiamese.zoo import shipped

OUT = Path(__file__).parents[2] / "docs" / "measurements" / "faults.json"
EXCEPTIONS, SIGNALS, ROUNDS = 1000, 300, 200
EXPLANATIONS, PICTURES = 3000, 180


def exceptions() -> dict[str, int]:
    """Exceptions at lines drawn at random from all that an explanation passes through."""
    model, draw, raised, left = restless(), random.Random(0), 0, 0
    seed_all(2)
    before = whole_state(model)
    lines = {name: at_line(-1, partial(explained, name, model), inject) for name in QUICK}
    for i in range(EXCEPTIONS):
        name = list(QUICK)[i % len(QUICK)]
        try:
            at_line(draw.randrange(lines[name]), partial(explained, name, model), inject)
        except Injected:
            raised += 1
        left += bool(differences(before, whole_state(model)))
    return {"tried": EXCEPTIONS, "raised": raised, "models changed": left}


def signals() -> dict[str, int]:
    """Real signals of a timer, three in a row 0.2 ms apart."""
    model, draw, ended, left = restless(), random.Random(1), 0, 0
    seed_all(3)
    before = whole_state(model)
    for i in range(SIGNALS):
        name = list(QUICK)[i % len(QUICK)]
        ended += interrupted_after(draw.uniform(1e-4, 0.02), partial(explained, name, model))
        left += bool(differences(before, whole_state(model)))
    return {"tried": SIGNALS, "interrupted": ended, "models changed": left}


def threads(training: bool) -> dict[str, int]:
    """Two explanations at once on one model."""
    names, wrong, left = list(QUICK), 0, 0
    right = {name: explained(name, restless(training)) for name in names}
    for i in range(ROUNDS):
        model = restless(training)
        seed_all(i)
        before = whole_state(model)
        pair = names[i % 12], names[(i // 12) % 12]
        found = in_threads([partial(explained, name, model) for name in pair])
        wrong += sum(not same(one, right[name]) for one, name in zip(found, pair, strict=True))
        left += bool(differences(before, whole_state(model)))
    return {"tried": ROUNDS, "wrong maps": wrong, "models changed": left}


def resident() -> float:
    """The memory of this process in MiB; figures refer to themselves, so that they wait for the collector."""
    gc.collect()
    told = re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text(encoding="utf-8"))
    assert told is not None
    return int(told[1]) / 1024


def memory() -> dict[str, float]:
    """MiB of the process at a tenth of the explanations and at the end, and the same of pictures."""
    model, names, found = restless(), list(QUICK), {}
    for i in range(1, EXPLANATIONS + 1):
        explained(names[i % len(names)], model)
        if i in (EXPLANATIONS // 10, EXPLANATIONS):
            found[f"{i} explanations"] = round(resident(), 1)
    pair, fashion = fashion_pair(), shipped("fashion").model
    matrix, cam = PairMaskRegression(fashion).explain(pair, masks=64), PairGradCAM(fashion).explain(pair)
    for i in range(1, PICTURES + 1):
        (matrix if i % 2 else cam).plot().savefig(io.BytesIO(), format="png")
        if i in (PICTURES // 3, PICTURES):
            found[f"{i} pictures"] = round(resident(), 1)
    return found


PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "injected exceptions": exceptions,
    "real signals": signals,
    "two threads, training model": partial(threads, True),
    "two threads, serving model": partial(threads, False),
    "memory": memory,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=list(PARTS))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    found = json.loads(OUT.read_text()) if OUT.exists() else {}
    found |= {name: part() for name, part in PARTS.items() if not asked.only or name in asked.only}
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
