"""The tables of the page on what robust explanations are worth, from docs/measurements/robust_tables.json."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import sqrt
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from zoo_tables import rows

T_95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}  # Student's, two-sided, for so many seeds
METRICS = ("keep", "drop", "soft", "size", "effective", "order", "overlap", "floor")
COMPARED = (
    ("KL", "KL, beta = 0"),
    ("KL", "|grad|"),
    ("ball", "uncoupled"),
    ("ball", "|grad|"),
    ("order", "uncoupled"),
    ("order", "|grad|"),
)
Run = dict[str, Any]


def tables(path: Path) -> dict[str, str]:
    """The text of each include file, by its name."""
    found: list[Run] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    sets = {name: [run for run in found if run["set"] == name] for name in dict.fromkeys(run["set"] for run in found)}
    return {
        "robust_sets.inc": described(sets),
        "robust_methods.inc": "\n".join(methods(name, runs) for name, runs in sets.items()) or rows([], []),
        "robust_gains.inc": gains(sets),
        "robust_convergence.inc": convergence(sets),
        "robust_controls.inc": controls(sets),
    }


def described(sets: dict[str, list[Run]]) -> str:
    """One row a set."""
    lines = []
    for name, runs in sets.items():
        first, pairs = runs[0], sum(run["pairs"] for run in runs)
        lines.append(
            [
                name,
                first["task"],
                str(first["units"]),
                str(first["top"]),
                str(first["train"]),
                str(pairs),
                of(runs, lambda run: run["auc"]),
            ]
        )
    return rows(["Set", "Alike means", "Units", "k", "Training items", "Pairs explained", "Test ROC-AUC"], lines)


def methods(name: str, runs: list[Run]) -> str:
    """All methods and metrics on one set."""
    lines = [
        [
            method.replace("|", "\\|"),
            *(of(runs, lambda run, m=method, k=key: run["methods"].get(m, {}).get(k)) for key in METRICS),
        ]
        for method in runs[0]["methods"]
    ]
    return f"**{name}**\n\n{rows(['Method', *(key.capitalize() for key in METRICS)], lines)}"


def gains(sets: dict[str, list[Run]]) -> str:
    """The coupled masks less others, on the same pairs of the same seeds."""
    lines = []
    for name, runs in sets.items():
        for key in ("keep", "overlap"):
            differences = [
                of(runs, lambda run, a=a, b=b, k=key: less(run["methods"], a, b, k), sign=True) for a, b in COMPARED
            ]
            lines.append([name, key.capitalize(), *differences])
    return rows(["Set", "Metric", *(f"{a} less {b}".replace("|", "\\|") for a, b in COMPARED)], lines)


def less(found: dict[str, dict[str, float]], a: str, b: str, metric: str) -> float | None:
    """The metric of one method less that of another, where both were measured."""
    return found[a][metric] - found[b][metric] if a in found and b in found else None


def convergence(sets: dict[str, list[Run]]) -> str:
    """Who reached the tolerances."""
    lines = []
    for name, runs in sets.items():
        for method in runs[0]["convergence"]:
            each = [run["convergence"][method] for run in runs]
            pairs, good = (sum(one[key] for one in each) for key in ("pairs", "good"))
            status = ", ".join(
                f"{n} {s}"
                for s in ("converged", "max_iter", "infeasible")
                if (n := sum(one["status"].get(s, 0) for one in each))
            )
            worst, steps = max(one["stationarity_95"] for one in each), mean(one["steps"] for one in each)
            lines.append(
                [name, method, f"{good} of {pairs} ({good / pairs:.1%})", status, f"{worst:.1e}", f"{steps:.0f}"]
            )
    return rows(
        [
            "Set",
            "Coupling",
            "Within both tolerances",
            "Status",
            "95 % quantile of the stationarity, worst seed",
            "Mean steps",
        ],
        lines,
    )


def controls(sets: dict[str, list[Run]]) -> str:
    """What must not be good, and whether it is."""
    lines = []
    for name, runs in sets.items():
        spreads = [of(runs, lambda run, k=key: run[k]) for key in ("spread", "untrained_spread", "untrained_overlap")]
        worse = of(runs, lambda run: less(run["methods"], "ball, shuffled M", "ball", "keep"), sign=True)
        chance, closed = (
            f"{runs[0]['top'] / runs[0]['units']:.2f}",
            f"{max(known):.0e}"
            if (known := [run["closed_form_error"] for run in runs if "closed_form_error" in run])
            else "",
        )
        lines.append([name, *spreads, chance, worse, of(runs, lambda run: run["gradient_cosine"]), closed])
    head = [
        "Set",
        "Spread of M",
        "Spread of M, random weights",
        "Overlap of the two",
        "By chance",
        "Keep: shuffled less ball",
        "Cosine of two gradients",
        "Closed form",
    ]
    return rows(head, lines)


def of(runs: list[Run], value: Callable[[Run], float | None], sign: bool = False) -> str:
    """The mean over seeds and the half width of its 95 % confidence interval."""
    values = [found for run in runs if (found := value(run)) is not None]
    if not values:
        return ""
    middle = f"{mean(values):{'+' if sign else ''}.3f}"
    if len(values) not in T_95:
        return middle
    half = T_95[len(values)] * stdev(values) / sqrt(len(values))
    clear = sign and abs(mean(values)) > half
    return f"**{middle} ± {half:.3f}**" if clear else f"{middle} ± {half:.3f}"
