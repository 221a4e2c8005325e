"""Measures robust explanations on real tables, connectomes and molecules: ``python tests/benchmarks/robust_tables.py
[--minutes 10] [--only wine dti]``.

A run is one set with one seed: split, net, queries, references and draws of its own. It is one line of
    robust_tables.json; what is there is not run again,
so the script can be stopped and started at any time.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.benchmarks.robust_graphs import GraphSetting, mutag
from tests.benchmarks.robust_rows import Setting
from tests.benchmarks.robust_sets import PROBLEMS, auc_of, trained
from xsiamese_invariance.metrics import effective_size, order_agreement, top_overlap, top_units

OUT = Path(__file__).parents[2] / "docs" / "measurements" / "robust_tables.json"
SEEDS, SETS = 5, (*PROBLEMS, "mutag")
COUPLINGS = {"uncoupled": "none", "KL": "kl", "ball": "ball", "order": "order"}


def measured(
    of: Setting, relevance: Tensor, mask: Tensor | None = None, again: Tensor | None = None
) -> dict[str, float]:
    """All metrics of one method on the pairs of a run; ``again`` are the relevances of a few of them with other random
    numbers.
    """
    there = torch.arange(relevance.shape[1]) < torch.tensor(of.sizes)[of.rows][:, None]
    ranked = torch.where(there, relevance, -1.0)
    tops = [top_units(ranked, k).to(relevance) for k in of.keeps]
    per_query = [
        rows[:, :size]
        for rows, size in zip(relevance.view(len(of.invariance), -1, relevance.shape[1]), of.sizes, strict=True)
    ]
    agreement = [
        order_agreement(rows, own[:size], of.top).mean()
        for rows, own, size in zip(per_query, of.invariance.mask, of.sizes, strict=True)
    ]
    found = {
        "keep": sum(of.divergence(top) for top in tops) / len(tops),
        "drop": sum(of.divergence(1 - top) for top in tops) / len(tops),
        "order": float(sum(agreement)) / len(of.invariance),
        "overlap": sum(top_overlap(rows, of.top) for rows in per_query) / len(of.invariance),
    }
    if mask is not None:
        found |= {
            "soft": of.divergence(mask),
            "size": float(mask.sum(1).mean()),
            "effective": float(effective_size(mask).mean()),
        }
    if again is not None:
        both = [top_units(rows.where(there[of.few], -1.0), of.top) for rows in (relevance[of.few], again)]
        found["floor"] = float((both[0] & both[1]).sum(1).double().mean() / of.top)
    return found


def convergence(trace: Any, mu: float) -> dict[str, Any]:
    """Who reached the tolerances: stationarity 1e-3, infeasibility mu lambda + 1e-4."""
    end = trace.final
    limit = mu * (end.multipliers.amax(1) if end.multipliers.shape[1] else end.infeasibility * 0) + 1e-4
    good = (end.stationarity <= 1e-3) & (end.infeasibility <= limit)
    return {
        "pairs": len(good),
        "good": int(good.sum()),
        "status": {s: trace.status.count(s) for s in sorted(set(trace.status))},
        "stationarity": float(end.stationarity.median()),
        "stationarity_95": float(end.stationarity.quantile(0.95)),
        "infeasibility_95": float(end.infeasibility.quantile(0.95)),
        "steps": float(trace.taken.double().mean()),
    }


def one(name: str, seed: int) -> dict[str, Any]:
    """One set, one seed."""
    start = time.process_time()
    problem = mutag(seed) if name == "mutag" else PROBLEMS[name](seed)
    model = trained(problem, seed, rate=2e-2 if name == "mutag" else 5e-3)
    of = (GraphSetting if name == "mutag" else Setting).of(problem, model, seed)
    methods: dict[str, Any] = {}
    for method, explain in of.baselines().items():
        methods[method] = measured(
            of, explain(seed), again=explain(seed + 100)[of.few] if method in ("random", "SmoothGrad") else None
        )
    methods["mean |grad| over pool"] = measured(of, of.mean_gradient())
    methods["copied M"] = measured(of, of.own.mask, of.own.mask)
    traces = {}
    for method, coupling in COUPLINGS.items():
        mask, trace = of.robust(coupling, seed=seed)
        again = of.robust(coupling, seed=seed + 100, rows=of.few)[0] if method in ("uncoupled", "ball") else None
        methods[method] = measured(of, mask, mask, again)
        traces[method] = convergence(
            trace, 0.0 if coupling in ("none", "kl") else 1e-2 if coupling == "order" else 1e-3
        )
    mask, _ = of.robust(
        "kl", seed=seed, beta=0.0
    )  # fresh draws alone: the difference to KL is the invariance's, that to "uncoupled" the draws'
    methods["KL, beta = 0"] = measured(of, mask, mask)
    mask, _ = of.robust("ball", seed=seed, invariance=of.shuffled())
    methods["ball, shuffled M"] = measured(of, mask, mask)
    other = of.untrained().invariance
    both = [top_units(invariance.mask, of.top) for invariance in (of.invariance, other)]
    return {
        "set": name,
        "seed": seed,
        "task": problem.task,
        "units": max(of.sizes),
        "train": len(problem.train),
        "pairs": len(of.rows),
        "top": of.top,
        "auc": auc_of(problem, model),
        "methods": methods,
        "convergence": traces,
        "spread": float(of.invariance.spread.mean()),
        "untrained_spread": float(other.spread.mean()),
        "untrained_overlap": float((both[0] & both[1]).sum(1).double().mean() / of.top),
        **of.instability(),
        "cpu_seconds": round(time.process_time() - start, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1e9, help="of CPU time before no further run is started")
    parser.add_argument("--only", nargs="+", default=list(SETS), help="some of the sets")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--output", type=Path, default=OUT)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    done = json.loads(arguments.output.read_text()) if arguments.output.is_file() else []
    known = {(run["set"], run["seed"]) for run in done}
    for seed in range(arguments.seeds):
        for name in SETS:
            if (name, seed) in known or name not in arguments.only or time.process_time() > 60 * arguments.minutes:
                continue
            done.append(rounded(one(name, seed)))
            print(json.dumps(done[-1]), flush=True)
            write(arguments.output, done)


def write(path: Path, runs: list[dict[str, Any]]) -> None:
    """A line a run."""
    path.write_text("[\n" + ",\n".join(json.dumps(run) for run in runs) + "\n]\n")


def rounded(value: Any) -> Any:
    """Numbers with five digits, which is more than they are worth."""
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    return float(f"{value:.5g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main()
