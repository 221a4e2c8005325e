"""Exceptions, signals and threads at full count: what is left on the model, into docs/measurements/faults.json."""

from __future__ import annotations

import json
import random
import warnings
from functools import partial
from pathlib import Path

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

OUT = Path(__file__).parents[2] / "docs" / "measurements" / "faults.json"
EXCEPTIONS, SIGNALS, ROUNDS = 1000, 300, 200


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


def main() -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    found = {
        "injected exceptions": exceptions(),
        "real signals": signals(),
        "two threads, training model": threads(True),
        "two threads, serving model": threads(False),
    }
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
