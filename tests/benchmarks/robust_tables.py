"""Measures robust explanations on real tables and connectomes: ``python tests/benchmarks/robust_tables.py [--minutes 10] [--only wine dti]``.

A run is one set with one seed: split, net, queries, references and draws of its own. It is one line of robust_tables.json; what is there is not run again,
so the script can be stopped and started at any time.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.benchmarks.robust_sets import ATOMS, PROBLEMS, Problem, atoms_of, auc_of, loose_atoms, trained
from xsiamese import (
    InvarianceLearner,
    PairIntegratedGradients,
    PairNoiseTunnel,
    PairOcclusion,
    PairSaliency,
    RobustPairExplainer,
    SiameseModel,
    reference_instability,
)  # fmt: skip
from xsiamese_invariance.descent import Descent
from xsiamese_invariance.local import ORDER
from xsiamese_invariance.metrics import effective_size, masked_divergence, mixed_draws, order_agreement, top_overlap, top_units

OUT = Path(__file__).parents[2] / "docs" / "measurements" / "robust_tables.json"
SEEDS, QUERIES, REFERENCES, DRAWS = 5, 6, 16, 16
NOISE_QUERIES = 2
COUPLINGS = {"uncoupled": "none", "KL": "kl", "ball": "ball", "order": "order"}
FREE = "KL, beta = 0"


@dataclass(frozen=True)
class Setting:
    """One run: a net, its pairs (all references of the first query, then of the second, ...), the invariance, and what it is measured with.

    In tables and connectomes a unit is a feature, and one mask is laid on both sides; in molecules it is an atom of the query, and the reference stays whole.
    """

    problem: Problem
    model: SiameseModel
    a: Tensor
    b: Tensor
    pool: Tensor
    invariance: Any
    rows: Tensor
    top: int
    keeps: tuple[int, ...]
    price: dict[str, float]
    rate: float
    seed: int
    units: Tensor | None = None

    @property
    def own(self) -> Any:
        """The invariance of each pair's query."""
        return self.invariance[self.rows]

    @property
    def queries(self) -> Tensor:
        """The queries, each once."""
        return self.a[:: len(self.a) // QUERIES]

    @property
    def sizes(self) -> list[int]:
        """How many units each query has."""
        return [self.a.shape[1]] * QUERIES if self.units is None else [int(one.max()) + 1 for one in self.units[:: len(self.a) // QUERIES]]

    def on_units(self, maps: tuple[Tensor, Tensor]) -> Tensor:
        """The relevance of each unit, shape (pairs, units), from the maps of both sides."""
        return maps[0].abs() + maps[1].abs() if self.units is None else maps[0][:, :, :ATOMS].abs().sum(2)

    def divergence(self, kept: Tensor) -> float:
        """How much the score changes when only part of the units (pairs, units) is kept, in nats, on draws that no method has seen."""
        if self.units is None:
            return float(masked_divergence(self._score, self.a, self.b, (kept, kept), mixed_draws(self.pool, 64, seed=10_000 + self.seed)).mean())
        generator = torch.Generator().manual_seed(10_000 + self.seed)
        draws = self.pool[torch.randint(len(self.pool), (32,), generator=generator)]
        mask = torch.where(self.units >= 0, kept[:, :, None], 1.0)
        return float(masked_divergence(self._score, self.a, self.b, (mask, torch.ones_like(self.b)), (draws, draws)).mean())

    def _score(self, a: Tensor, b: Tensor) -> Tensor:
        score: Tensor = self.model(a, b)
        return score


def setting(problem: Problem, model: SiameseModel, seed: int) -> Setting:
    """Queries and references from the test rows, the unlabelled pool from the training rows."""
    order = torch.randperm(len(problem.test), generator=torch.Generator().manual_seed(seed))
    queries, references = problem.test[order[:QUERIES]], problem.test[order[QUERIES : QUERIES + REFERENCES]]
    pool = problem.train[torch.randperm(len(problem.train), generator=torch.Generator().manual_seed(seed))[:256]]
    count = queries.shape[1]
    price = {"size": 0.02 * min(1, 20 / count), "entropy": 0.01 * min(1, 20 / count)}
    units = atoms_of(queries) if queries.dim() == 3 else None
    values = pool if units is None else loose_atoms(pool, seed)
    invariance = InvarianceLearner(model, units=units, aligned=units is None, **price).fit(queries, pool, pool=values, seed=seed)
    rows = torch.arange(QUERIES).repeat_interleave(len(references))
    top, keeps = (4, (1, 2, 4, 6)) if count < 50 else (8, (4, 8, 16, 32))
    rate = 4 * max(1, count / 20)  # smaller prices bend the objective less, and take longer steps
    b = references.repeat(QUERIES, *[1] * (references.dim() - 1))
    return Setting(problem, model, queries[rows], b, values, invariance, rows, top, keeps, price, rate, seed, None if units is None else units[rows])


def robust(of: Setting, coupling: str, *, seed: int = 0, rows: slice = slice(None), invariance: Any = None, **more: Any) -> tuple[Tensor, Any]:
    """The shared masks of the pairs, shape (pairs, units), and how the optimisation went."""
    rule = replace(ORDER, rate=of.rate / 2, steps=4000) if coupling == "order" else Descent(rate=of.rate)
    if coupling == "kl":
        rule = Descent(steps=1000)
    held: dict[str, Any] = {} if coupling == "none" else {"invariance": (of.own if invariance is None else invariance)[torch.arange(len(of.a))[rows]]}
    how: dict[str, Any] = {"masks": "shared"} if of.units is None else {"wrt": "first", "units": (of.units[rows], None)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        maps, trace = RobustPairExplainer(of.model, coupling=coupling).attribute(
            (of.a[rows], of.b[rows]), pool=of.pool, draws=DRAWS if of.units is None else DRAWS // 2, top=of.top, seed=seed, descent=rule,
            return_convergence=True, **held, **how, **of.price, **more,
        )  # fmt: skip
    return maps[0] if of.units is None else maps[0][:, :, 0], trace


def baselines(of: Setting) -> dict[str, Callable[[int], Tensor]]:
    """The relevance of each unit in each pair, both sides together, by methods that know no invariance; a function of the seed."""
    pairs, model = (of.a, of.b), of.model
    gradients = PairSaliency(model).attribute(pairs)
    difference = (gradients[0] * (of.a - of.b), gradients[1] * (of.b - of.a))
    start = "partner" if of.units is None else (loose_atoms(of.a, of.seed), of.b)
    window = (1,) if of.units is None else (1, ATOMS)
    return {
        "random": lambda seed: torch.rand(of.a.shape[:2], generator=torch.Generator().manual_seed(seed)),
        "|grad|": lambda seed: of.on_units(gradients),
        "grad x difference": lambda seed: of.on_units(difference),
        "integrated gradients": lambda seed: of.on_units(PairIntegratedGradients(model).attribute(pairs, baselines=start, n_steps=20)),
        "SmoothGrad": lambda seed: of.on_units(PairNoiseTunnel(model).attribute(pairs, nt_samples=16, stdevs=0.3, seed=seed)),
        "occlusion": lambda seed: of.on_units(PairOcclusion(model).attribute(pairs, sliding_window_shapes=window, strides=window)),
    }


def mean_gradient(of: Setting) -> Tensor:
    """The mean absolute gradient of each query over unlabelled references, copied to every pair."""
    references = of.problem.train[:256]
    found = []
    for query in of.queries:
        gradient = PairSaliency(of.model).attribute((query.expand(len(references), *query.shape), references), wrt="first")[0]
        found.append(of.on_units((gradient, torch.zeros_like(gradient))).mean(0))
    return torch.stack(found)[of.rows]


def measured(of: Setting, relevance: Tensor, mask: Tensor | None = None, again: Tensor | None = None, few: slice = slice(0)) -> dict[str, float]:
    """All metrics of one method on the pairs of a run; ``again`` are the relevances of a few of them with other random numbers."""
    there = torch.arange(relevance.shape[1]) < torch.tensor(of.sizes)[of.rows][:, None]
    ranked = torch.where(there, relevance, -1.0)
    tops = [top_units(ranked, k).to(of.a) for k in of.keeps]
    per_query = [rows[:, :size] for rows, size in zip(relevance.view(QUERIES, -1, relevance.shape[1]), of.sizes, strict=True)]
    agreement = [order_agreement(rows, own[:size], of.top).mean() for rows, own, size in zip(per_query, of.invariance.mask, of.sizes, strict=True)]
    found = {
        "keep": sum(of.divergence(top) for top in tops) / len(tops),
        "drop": sum(of.divergence(1 - top) for top in tops) / len(tops),
        "order": float(sum(agreement)) / QUERIES,
        "overlap": sum(top_overlap(rows, of.top) for rows in per_query) / QUERIES,
    }
    if mask is not None:
        found |= {"soft": of.divergence(mask), "size": float(mask.sum(1).mean()), "effective": float(effective_size(mask).mean())}
    if again is not None:
        both = [top_units(rows.where(there[few], -1.0), of.top) for rows in (relevance[few], again)]
        found["floor"] = float((both[0] & both[1]).sum(1).double().mean() / of.top)
    return found


def convergence(trace: Any, mu: float) -> dict[str, Any]:
    """Who reached the tolerances: stationarity 1e-3, infeasibility mu lambda + 1e-4."""
    end = trace.final
    limit = mu * (end.multipliers.amax(1) if end.multipliers.shape[1] else end.infeasibility * 0) + 1e-4
    good = (end.stationarity <= 1e-3) & (end.infeasibility <= limit)
    return {
        "pairs": len(good), "good": int(good.sum()), "status": {s: trace.status.count(s) for s in sorted(set(trace.status))},
        "stationarity": float(end.stationarity.median()), "stationarity_95": float(end.stationarity.quantile(0.95)),
        "infeasibility_95": float(end.infeasibility.quantile(0.95)), "steps": float(trace.taken.double().mean()),
    }  # fmt: skip


def one(name: str, seed: int) -> dict[str, Any]:
    """One set, one seed."""
    start = time.process_time()
    problem = PROBLEMS[name](seed)
    model = trained(problem, seed)
    of = setting(problem, model, seed)
    few = slice(0, NOISE_QUERIES * (len(of.a) // QUERIES)) if of.units is None else slice(None, None, QUERIES // NOISE_QUERIES)
    methods: dict[str, Any] = {}
    for method, explain in baselines(of).items():
        methods[method] = measured(of, explain(seed), again=explain(seed + 100)[few] if method in ("random", "SmoothGrad") else None, few=few)
    methods["mean |grad| over pool"] = measured(of, mean_gradient(of))
    copied = torch.nn.functional.pad(of.own.mask, (0, of.a.shape[1] - of.own.mask.shape[1]))
    methods["copied M"] = measured(of, copied, copied)
    traces = {}
    for method, coupling in COUPLINGS.items():
        mask, trace = robust(of, coupling, seed=seed)
        again = robust(of, coupling, seed=seed + 100, rows=few)[0] if method in ("uncoupled", "ball") else None
        methods[method] = measured(of, mask, mask, again, few)
        traces[method] = convergence(trace, 0.0 if coupling in ("none", "kl") else 1e-2 if coupling == "order" else 1e-3)
    methods[FREE] = free(of)
    methods["ball, shuffled M"] = measured(of, *2 * (robust(of, "ball", seed=seed, invariance=shuffled(of))[0],))
    spread, shared = untrained(of)
    return {
        "set": name, "seed": seed, "task": problem.task, "units": len(problem.units), "train": len(problem.train), "pairs": len(of.a), "top": of.top,
        "auc": auc_of(problem, model), "methods": methods, "convergence": traces, "spread": float(of.invariance.spread.mean()),
        "untrained_spread": spread, "untrained_overlap": shared, **instability(of), "cpu_seconds": round(time.process_time() - start, 1),
    }  # fmt: skip


def free(of: Setting) -> dict[str, float]:
    """What stochastic descent with fresh draws gives without an invariance: the difference to KL is the invariance's, that to "uncoupled" the draws'."""
    mask, _ = robust(of, "kl", seed=of.seed, beta=0.0)
    return measured(of, mask, mask)


def shuffled(of: Setting) -> Any:
    """The invariance with the units of each query permuted."""
    generator = torch.Generator().manual_seed(of.seed)
    mask = of.invariance.mask.clone()
    for row, size in zip(mask, of.sizes, strict=True):
        row[:size] = row[torch.randperm(size, generator=generator)]
    return of.invariance.with_mask(mask)[of.rows]


def untrained(of: Setting) -> tuple[float, float]:
    """The spread of the invariance of a net with random weights, and what its top units share with the trained one's."""
    torch.manual_seed(of.seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = setting(of.problem, of.problem.net().eval(), of.seed).invariance
    both = [top_units(one.mask, of.top) for one in (of.invariance, found)]
    return float(found.spread.mean()), float((both[0] & both[1]).sum(1).double().mean() / of.top)


def instability(of: Setting) -> dict[str, float]:
    """How the gradient of a query changes with the reference, in float64."""
    references = of.b[: len(of.b) // QUERIES].double()
    found = [reference_instability(of.model.double(), query.double(), references, k=of.top) for query in of.queries]
    of.model.float()
    return {
        "gradient_cosine": sum(u.cosine for u in found) / QUERIES,
        "reference_term": sum(u.reference_term or 0.0 for u in found) / QUERIES, "query_term": sum(u.query_term or 0.0 for u in found) / QUERIES,
        "closed_form_error": max(float((u.covariance - u.closed_form).norm() / u.closed_form.norm()) for u in found if u.closed_form is not None),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1e9, help="of CPU time before no further run is started")
    parser.add_argument("--only", nargs="+", default=list(PROBLEMS), help="some of the sets")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--output", type=Path, default=OUT)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    done = json.loads(arguments.output.read_text()) if arguments.output.is_file() else []
    for run in done:
        if FREE not in run["methods"] and run["set"] in arguments.only:  # runs from before this control
            problem = PROBLEMS[run["set"]](run["seed"])
            run["methods"][FREE] = rounded(free(setting(problem, trained(problem, run["seed"]), run["seed"])))
            print(run["set"], run["seed"], run["methods"][FREE], flush=True)
            write(arguments.output, done)
    known = {(run["set"], run["seed"]) for run in done}
    for seed in range(arguments.seeds):
        for name in PROBLEMS:
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
