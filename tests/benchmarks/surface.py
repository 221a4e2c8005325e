"""What the deletion surface costs: 100 pairs, K = 50, a small network, one thread, by processor time.

The floor is a batched pass of the same 2(K + 1) items of each pair; a loop asks for the diagonal alone, step by step
and pair by pair, as metrics of one input do. Run ``python tests/benchmarks/surface.py``; it writes
``docs/measurements/surface.json``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from xsiamese import PairGradCAM
from xsiamese.metrics.measure import batch_of
from xsiamese.metrics.scored import ROWS
from xsiamese.metrics.surface import Deletion
from xsiamese.zoo import shipped

OUT = Path(__file__).parents[2] / "docs" / "measurements" / "surface.json"
PAIRS, STEPS, ROUNDS, LOOPED = 100, 50, 5, 10


def seconds(run: Callable[[], Any]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = shipped("fashion").model
    a, b = torch.rand(2, PAIRS, 1, 28, 28)
    explainer, metric = PairGradCAM(model, "encoder.7"), Deletion(steps=STEPS, filling="mean")
    explanation, batch = explainer.explain((a, b)), batch_of(explainer, (a, b), {})
    calls: list[int] = []
    counted = model.encoders[0].register_forward_hook(lambda module, args, output: calls.append(len(output)))
    metric.compute(batch, explanation)
    counted.remove()
    items = torch.cat([a, b]).repeat(STEPS + 1, 1, 1, 1)

    def batched() -> None:
        with torch.no_grad():
            for part in items.split(ROWS):
                model.encode(part)

    def looped() -> None:
        with torch.no_grad():
            for i in range(LOOPED):
                for _ in range(STEPS + 1):
                    model(a[i : i + 1], b[i : i + 1])

    rounds = [(seconds(lambda: metric.compute(batch, explanation)), seconds(batched)) for _ in range(ROUNDS)]
    spent, floor = (min(column) for column in zip(*rounds, strict=True))
    loop = min(seconds(looped) for _ in range(ROUNDS)) / LOOPED
    found = {
        "torch": torch.__version__,
        "pairs": PAIRS,
        "steps": STEPS,
        "items_a_pair": sum(calls) / PAIRS,
        "encoder_calls": len(calls),
        "ms_a_pair": round(1000 * spent / PAIRS, 2),
        "over_batched_passes": round(spent / floor, 3),
        "loop_of_the_diagonal_over_ours": round(loop / (spent / PAIRS), 2),
    }
    OUT.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    print(found)


if __name__ == "__main__":
    main()
