"""Writes ``xsiamese/explain/defaults.json``, what :func:`xsiamese.auto` takes, from docs/measurements/scoreboard.json.

Run ``python tools/choose_defaults.py`` after the scoreboard was measured; tests/test_auto.py holds the file current.
For each kind of input the method wins that finds the planted truth best (AUROC on the pairs that settings were chosen
on; the reason quotes the others), among those that are better than chance wherever they were measured: their order
of places beats its reverse on every set of the kind, their peak follows the partner, and they find the truth at all.
Where none is, or nothing was measured, a rule holds.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SCOREBOARD = ROOT / "docs" / "measurements" / "scoreboard.json"
TABLE = ROOT / "xsiamese" / "explain" / "defaults.json"

SETS = {
    "image": ("patches", "digits", "fashion"),
    "row": ("rows",),
    "graph": ("motifs",),
    "series": ("series",),
    "text": ("words",),
    "volume": (),
    "tensor": (),
}
# one forward and at most one backward pass of each branch
ONE_PASS = {
    "PairGradCAM", "PairHiResCAM", "PairXGradCAM", "PairGradCAMPlusPlus", "PairLayerCAM", "PairInputXGradient",
    "PairActivationDecomposition", "PairDeepLift", "PairLRP",
}  # fmt: skip
NORMAL = 5000.0  # milliseconds of a pair on the scoreboard's small networks, on a busy core, that "normal" may take
# settings of the scoreboard that mean the same on any model; a layer's name or a window's size does not
ANYWHERE: dict[str, dict[str, Any]] = {
    "": {},
    "norms detached": {"detach_norms": True},
    "512 samples": {"options": {"n_samples": 512}},
}
PLANTED = frozenset({"patches", "digits", "rows", "motifs", "series", "words"})  # sets whose truth is known
BUDGETS = ("fast", "normal", "thorough")
TRUE = 0.75  # AUROC: what finds the truth less often is no default
NEAR = 0.01  # AUROCs that differ by less are equal; the order of places then decides


def defaults(sets: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What is taken for each kind of input and budget, and why."""
    return {kind: {budget: choice(sets, kind, budget) for budget in BUDGETS} for kind in SETS}


def choice(sets: dict[str, Any], kind: str, budget: str) -> dict[str, Any]:
    """The scoreboard's winner, or the rule where there is none; for one pass what is at least not worse than chance."""
    measured = [name for name in SETS[kind] if name in sets]
    planted = [name for name in measured if name in PLANTED]
    if not planted:
        return rule(kind, budget, "the scoreboard has no set of this kind")
    found = entries(sets, measured, planted, budget, strict=True)
    if not found and budget != "fast":
        made = rule(kind, budget, "no method is better than chance on every set of this kind")
        numbers = told(sets, measured, made["method"], "")
        return made | {"reason": f"{made['reason']} ({numbers})"}
    found = found or entries(sets, measured, planted, budget, strict=False)
    best = max(one["auroc"] for one in found)
    winner = min((one for one in found if one["auroc"] > best - NEAR), key=lambda one: (-one["gain"], one["method"]))
    reason = f"best of the scoreboard ({told(sets, measured, winner['method'], winner['setting'])})"
    return {"method": winner["method"], **ANYWHERE[winner["setting"]], "reason": reason}


def entries(
    sets: dict[str, Any], measured: list[str], planted: list[str], budget: str, strict: bool
) -> list[dict[str, Any]]:
    """The methods that may win, each with the best of its settings that mean the same anywhere."""
    found = []
    for method in sets[planted[0]]:
        rows = {name: sets[name].get(method, {"error": "not measured"}) for name in measured}
        if any("error" in row or row["peer"] for row in rows.values()) or (budget == "fast" and method not in ONE_PASS):
            continue
        ways = {rows[name].get("best", {}).get("setting", "") for name in planted}
        way = ways.pop() if len(ways) == 1 and ways <= set(ANYWHERE) else ""
        numbers = [numbers_of(row, way) for row in rows.values()]
        slow = max(row["defaults"]["ms"] for row in rows.values()) > NORMAL
        if (budget == "normal" and slow) or not all(better(one, strict) for one in numbers):
            continue
        tuned = [
            rows[name].get("tried", {}).get(way, rows[name]["defaults"]["numbers"]["auroc"][0]) for name in planted
        ]
        gain = min(one["relevance_gain"][0] for one in numbers)
        found.append({"method": method, "setting": way, "auroc": sum(tuned) / len(tuned), "gain": gain})
    return found


def numbers_of(row: dict[str, Any], setting: str) -> dict[str, Any]:
    """What was measured of one setting on the pairs that chose none; of the defaults where only they were."""
    kept: dict[str, Any] = (
        row["best"]["numbers"] if setting and "numbers" in row.get("best", {}) else row["defaults"]["numbers"]
    )
    return kept


def better(numbers: dict[str, Any], strict: bool) -> bool:
    """Whether a method finds the truth of a set, where there is one, and its intervals lie above chance, or, if it is
    not strict, reach it.
    """
    if "auroc" not in numbers:
        return bool(numbers["relevance_gain"][1 if strict else 2] > 0)
    finds, moves = numbers["auroc"][0] > TRUE, numbers["partner_sensitivity"][1] > 0.25
    return bool(finds and moves and numbers["relevance_gain"][1] > 0)


def told(sets: dict[str, Any], measured: list[str], method: str, setting: str) -> str:
    """What was measured of a method, in numbers."""
    said = []
    for name in measured:
        row = sets[name].get(method, {"error": ""})
        if "error" in row:
            continue
        numbers = numbers_of(row, setting)
        gain = f"gain of its order {numbers['relevance_gain'][0]:.2f}"
        truth = (
            f"AUROC {numbers['auroc'][0]:.2f}, specificity {numbers['partner_sensitivity'][0]:.2f}, "
            if "auroc" in numbers
            else ""
        )
        said.append(f"{name}: {truth}{gain}, {row['defaults']['pairs']} pairs")
    return "; ".join(said)


def rule(kind: str, budget: str, why: str) -> dict[str, Any]:
    """Which part goes with which, from masks and so of any model; columns for rows; one pass if that is asked for."""
    if budget == "fast":
        usual = {"image": "PairGradCAM", "graph": "PairGradCAM", "text": "PairLayerGradientXActivation"}
        return {"method": usual.get(kind, "PairInputXGradient"), "reason": f"the usual one pass: {why}"}
    if kind == "text":  # ids of tokens cannot move, the vectors behind them can
        return {"method": "PairLayerIntegratedGradients", "reason": f"token by token, on the embedding layer: {why}"}
    if kind == "row":
        return {"method": "PairFeatureAblation", "reason": f"column by column: {why}"}
    found: dict[str, Any] = {"method": "PairMaskRegression", "reason": f"which part goes with which: {why}"}
    return found | ({"options": {"masks": 4096}} if budget == "thorough" else {})


if __name__ == "__main__":
    table = defaults(json.loads(SCOREBOARD.read_text(encoding="utf-8"))["sets"])
    TABLE.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
