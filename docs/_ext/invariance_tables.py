"""The tables of the page on robust explanations from docs/measurements/invariance_analytic.json and
invariance_speed.json.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from zoo_tables import rows

COLUMNS = {
    "keep top 6": "keep top 6 ↓",
    "drop top 4": "drop top 4 ↑",
    "soft": "soft ↓",
    "size": "size ↓",
    "agreement with M": "agrees with M ↑",
    "overlap": "overlap ↑",
    "invariant truth": "always relevant ↑",
    "pair truth": "relevant to the pair ↑",
}


def tables(folder: Path) -> dict[str, str]:
    """The text of each include file, by its name."""
    analytic, speed = (_read(folder / f"invariance_{name}.json") for name in ("analytic", "speed"))
    return {
        **{
            f"invariance_{net}.inc": methods(analytic[net]["table"]) if net in analytic else rows([], [])
            for net in ("first", "second")
        },
        "invariance_fresh.inc": fresh(analytic["first"]["fresh"])
        if "fresh" in analytic.get("first", {})
        else rows([], []),
        "invariance_controls.inc": controls(analytic["first"]) if "first" in analytic else rows([], []),
        "invariance_convergence.inc": convergence(analytic["first"]["course"]) if "first" in analytic else rows([], []),
        "invariance_speed.inc": fast(speed) if speed else rows([], []),
    }


def methods(found: dict[str, Any]) -> str:
    """Every method on the net with known relevance."""
    return rows(
        ["", *COLUMNS.values()], [[name, *(_spread(one.get(key)) for key in COLUMNS)] for name, one in found.items()]
    )


def fresh(found: dict[str, Any]) -> str:
    """What the aims are about, on seeds that nothing was chosen on."""
    keys = ("overlap", "pair truth", "keep top 6")
    lines = [
        [name, *(_spread(one[key]) for key in keys)]
        for name, one in (*found["table"].items(), ("difference on the same pairs", found["difference"]))
    ]
    return rows(["seeds {} to {}".format(*found["seeds"]), *(COLUMNS[key] for key in keys)], lines)


def controls(found: dict[str, Any]) -> str:
    """The noise of the draws, an untrained network, and what is learned besides the masks."""
    lines = [
        ("overlap of a pair's mask with that of other draws, no invariance", found["floor"]["no invariance"]),
        ("the same, ball of radius 0.05", found["floor"]["ball, eps 0.05"]),
        ("AUROC of M for the features that are always relevant", found["M"]["truth"]),
        ("the same of the mean absolute gradient over the pool", found["M"]["mean gradient"]),
        ("largest relevance of a feature that is not used, in M", found["M"]["unused"]),
        ("spread of M (largest less smallest relevance)", found["M"]["spread"]),
        ("the same for an untrained network", found["random weights"]["spread"]),
        (
            "share of pairs with a gradient norm of at most 1e-3 after 3,000 steps",
            found["convergence"]["mu 0.001"]["stationary"],
        ),
        ("share of pairs violated by at most mu lambda + 1e-4 then", found["convergence"]["mu 0.001"]["feasible"]),
    ]
    return rows(["", "mean ± standard deviation over the seeds"], [[text, _spread(value, 4)] for text, value in lines])


def convergence(found: dict[str, Any]) -> str:
    """Medians over the pairs of the first seed, with and without the ascent's regularisation."""
    names = ("stationarity", "infeasibility", "dual_gap", "multiplier")
    head = ["step", *(f"{name.replace('_', ' ')}, {mu}" for mu in found for name in names)]
    steps = next(iter(found.values()))["steps"]
    lines = [
        [str(step), *(f"{one['quartiles'][name][i][1]:.1e}" for one in found.values() for name in names)]
        for i, step in enumerate(steps)
        if i % 2 == 0
    ]
    return rows(head, lines)


def fast(found: dict[str, Any]) -> str:
    """Time over the passes alone, and over one pair after another; memory."""
    one, memory = found["speed"], found["memory"]
    each = ", ".join(f"{ratio:.2f}" for ratio in one["each_over_passes"])
    lines = [
        ("time over the forward and backward passes alone, median (each round)", f"{one['over_passes']:.2f} ({each})"),
        (
            f"one pair after another over all together ({one['pairs_timed_alone']} pairs timed)",
            f"{one['one_by_one_over_together']:.0f}",
        ),
        (
            "largest difference of a mask from that of the pair alone, float32",
            f"{one['largest_difference_float32']:.1e}",
        ),
        ("the same in float64", f"{one['largest_difference_float64']:.1e}"),
        ("bytes of memory for each further pair", ", ".join(f"{size:,}" for size in memory["bytes_a_pair"])),
        (
            "the median of these in copies of the pair's draws on one side (draws x features x 4 bytes)",
            f"{memory['rows_a_pair']:.0f}",
        ),
    ]
    title = (
        f"{one['pairs']} pairs, {one['features']} features, {one['draws']} draws, {one['steps']:,} steps, "
        f"{one['threads']} threads"
    )
    return rows(["", title], lines)


def _spread(value: list[float] | None, digits: int = 3) -> str:
    return "" if value is None else f"{value[0]:.{digits}f} ± {value[1]:.{digits}f}"


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
