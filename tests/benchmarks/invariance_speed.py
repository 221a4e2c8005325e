"""Robust explanations of 256 pairs against the passes that their steps need, against one pair after another, and in
memory.

``python tests/benchmarks/invariance_speed.py [--steps 1000] [--threads 2]`` writes
docs/measurements/invariance_speed.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import time
import warnings
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from xsiamese import Descent, Invariance, InvarianceLearner, RobustPairExplainer, SiameseModel

OUT = Path(__file__).parents[2] / "docs" / "measurements" / "invariance_speed.json"
FEATURES, DRAWS = 20, 32


def setting(pairs: int) -> tuple[SiameseModel, tuple[Tensor, Tensor], Invariance]:
    """A Siamese MLP 20-64-64-32 on standard normal pairs, and the invariance of the data."""
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Linear(FEATURES, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32))
    for layer in encoder:
        if isinstance(layer, nn.Linear):
            layer.weight.data.mul_(2.5)  # logits of a trained network's size
    model = SiameseModel(encoder, "dot").requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    a, b, pool = (torch.randn(n, FEATURES, generator=generator) for n in (pairs, pairs, 512))
    return model, (a, b), InvarianceLearner(model, scope="dataset", steps=100).fit(a[:64], pool)


def rule(steps: int) -> Descent:
    """All pairs take all steps."""
    return Descent(steps=steps, tolerance=0.0, slack=0.0)


def passes(model: SiameseModel, pairs: int, steps: int) -> None:
    """The forward and backward passes alone: pairs x draws rows on both sides, gradients in the inputs."""
    rows = [torch.randn(pairs * DRAWS, FEATURES) for _ in range(2)]
    weights = torch.randn(pairs * DRAWS)
    for _ in range(steps):
        sides = [row.detach().requires_grad_() for row in rows]
        torch.autograd.grad(model(*sides), sides, weights)


def speed(pairs: int, steps: int, rounds: int, alone: int) -> dict[str, Any]:
    """Medians of ratios within one round."""
    model, (a, b), invariance = setting(pairs)
    explainer = RobustPairExplainer(model)

    def together() -> tuple[Tensor, Tensor]:
        found: tuple[Tensor, Tensor] = explainer.attribute(
            (a, b), invariance=invariance, draws=DRAWS, descent=rule(steps)
        )
        return found

    def one_by_one() -> list[tuple[Tensor, Tensor]]:
        return [
            explainer.attribute((a[i : i + 1], b[i : i + 1]), invariance=invariance, draws=DRAWS, descent=rule(steps))
            for i in range(alone)
        ]

    times: dict[str, list[float]] = {"passes": [], "together": [], "one by one": []}
    passes(model, pairs, 20)
    for _ in range(rounds):
        for name, run in (
            ("passes", lambda: passes(model, pairs, steps)),
            ("together", together),
            ("one by one", one_by_one),
        ):
            start = time.perf_counter()
            result = run()
            times[name].append((time.perf_counter() - start) * (pairs / alone if name == "one by one" else 1))
            if name == "together":
                whole = result
            elif name == "one by one":
                single = result
    worst = max(float((whole[side][i] - single[i][side][0]).abs().max()) for side in (0, 1) for i in range(alone))  # type: ignore[index]
    doubled = _in_double(pairs, min(alone, 4), steps)
    return {
        "pairs": pairs,
        "features": FEATURES,
        "draws": DRAWS,
        "steps": steps,
        "threads": torch.get_num_threads(),
        "rounds": rounds,
        "pairs_timed_alone": alone,
        "over_passes": round(median(x / y for x, y in zip(times["together"], times["passes"], strict=True)), 3),
        "each_over_passes": [round(x / y, 3) for x, y in zip(times["together"], times["passes"], strict=True)],
        "one_by_one_over_together": round(
            median(x / y for x, y in zip(times["one by one"], times["together"], strict=True)), 1
        ),
        "largest_difference_float32": worst,
        "largest_difference_float64": doubled,
        "seconds": {name: round(median(t), 2) for name, t in times.items()},
        "torch": torch.__version__,
        "machine": platform.machine(),
    }


def _in_double(pairs: int, alone: int, steps: int) -> float:
    """The largest difference between masks found together and one by one, in float64."""
    model, (a, b), invariance = setting(pairs)
    explainer = RobustPairExplainer(model.double())
    a, b = a[:32].double(), b[:32].double()
    whole = explainer.attribute((a, b), invariance=invariance, draws=DRAWS, descent=rule(steps))
    found = 0.0
    for i in range(alone):
        single = explainer.attribute(
            (a[i : i + 1], b[i : i + 1]), invariance=invariance, draws=DRAWS, descent=rule(steps)
        )
        found = max(found, *(float((w[i] - s[0]).abs().max()) for w, s in zip(whole, single, strict=True)))
    return found


def peak(pairs: int) -> int:
    """The most bytes that a fresh process holds beyond what it held before the first step, for so many pairs."""
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import invariance_speed as s; "
        f"s.report({pairs})"
    )
    return int(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()[-1]
    )


def report(pairs: int) -> None:
    """Prints the growth of the process while it explains."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    model, (a, b), invariance = setting(pairs)
    RobustPairExplainer(model).attribute((a[:1], b[:1]), invariance=invariance, draws=DRAWS, descent=rule(2))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    RobustPairExplainer(model).attribute((a, b), invariance=invariance, draws=DRAWS, descent=rule(10))
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)


def memory() -> dict[str, Any]:
    """Peaks for growing numbers of pairs, and the bytes a pair between them, also in rows (draws x features
    x 4 bytes).
    """
    sizes = (256, 512, 1024, 2048, 4096)
    peaks = {pairs: peak(pairs) for pairs in sizes}
    each = [(peaks[y] - peaks[x]) / (y - x) for x, y in pairwise(sizes)]
    return {
        "peak_bytes": {str(k): v for k, v in peaks.items()},
        "bytes_a_pair": [round(v) for v in each],
        "rows_a_pair": round(median(each) / (DRAWS * FEATURES * 4), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--pairs", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--alone", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)
    torch.set_num_threads(options.threads)
    found = {"memory": memory()}
    print(found, flush=True)
    found["speed"] = speed(options.pairs, options.steps, options.rounds, options.alone)
    options.out.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found["speed"], indent=1))


if __name__ == "__main__":
    main()
