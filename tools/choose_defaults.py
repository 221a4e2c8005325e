"""Writes ``xsiamese/explain/defaults.json``, what :func:`xsiamese.auto` takes, from docs/measurements/scoreboard.json,
and for images that a model takes as tokens from docs/measurements/tokens.json.

Run ``python tools/choose_defaults.py`` after either was measured; tests/test_auto.py holds the file current.
For each kind of input the method and setting win that find the planted truth best, and among equals those whose
strongest place is on it, whose order of places gains most, and the simplest or a complete one; among those that are
better than chance wherever they were measured: they find the truth, their peak follows the partner, and their order
gains something, beyond its interval where there is no truth. All of this on the pairs that settings are chosen on; the
reason quotes the others. Where none is, or nothing was measured, a rule holds.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from xsiamese import explainers

ROOT = Path(__file__).parents[1]
SCOREBOARD = ROOT / "docs" / "measurements" / "scoreboard.json"
TOKENS = ROOT / "docs" / "measurements" / "tokens.json"
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
# one forward and at most one backward pass of each branch, the simplest first: among equals it wins
ONE_PASS = (
    "PairInputXGradient", "PairHiResCAM", "PairLayerGradientXActivation", "PairGradCAM", "PairXGradCAM",
    "PairGradCAMPlusPlus", "PairLayerCAM", "PairActivationDecomposition", "PairLRP", "PairLayerLRP", "PairDeepLift",
    "PairLayerDeepLift",
)  # fmt: skip
ATTENDED = "image, by attention"
# behind a layer that a norm alone reads their maps are rounding and the norm's epsilon, wherever that may point
CANCEL = ("PairHiResCAM", "PairLayerGradientXActivation")
NORMAL = 5000.0  # milliseconds of a pair on the scoreboard's small networks, on a busy core, that "normal" may take
# settings of the scoreboard that mean the same on any model; a layer's name or a window's size does not
ANYWHERE: dict[str, dict[str, Any]] = {
    "": {},
    "norms detached": {"detach_norms": True},
    "softened": {"options": {"soften": True}},
    "norms detached, softened": {"detach_norms": True, "options": {"soften": True}},
    "512 samples": {"options": {"n_samples": 512}},
}
PLANTED = frozenset({"patches", "digits", "rows", "motifs", "series", "words"})  # sets whose truth is known
BUDGETS = ("fast", "normal", "thorough")
TYPICAL = "from typical rows"  # a setting of the scoreboard, of models that know some
TRUE = 0.75  # AUROC: what finds the truth less often is no default
NEAR = {"auroc": 0.015, "hit": 0.02, "gain": 0.05}  # numbers as near as that are equal; the next one then decides


def defaults(sets: dict[str, Any], networks: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What is taken for each kind of input and budget, and why; for rows also where some to start from are known, and
    for images where a model takes them as tokens.
    """
    found: dict[str, dict[str, Any]] = {
        kind: {budget: choice(sets, kind, budget) for budget in BUDGETS} for kind in SETS
    }
    found["row"]["items"] = from_items(sets.get("rows", {}))
    found[ATTENDED] = {budget: of_tokens(networks, budget) for budget in BUDGETS}
    return found


def of_tokens(networks: dict[str, Any], budget: str) -> dict[str, Any]:
    """The same choice among networks with attention, each of which was trained on planted images; where no method of
    one pass finds the truth in all of them, one pass is none.
    """
    sets = {
        name: {method: as_row(one) for method, one in network["methods"].items() if method not in CANCEL}
        for name, network in networks.items()
        if network["attends"]
    }
    found = entries(sets, [*sets], [*sets], budget, strict=True)
    if not found and budget == "fast":
        made = of_tokens(networks, "normal")
        return made | {"reason": f"with attention no method of one pass finds the truth everywhere; {made['reason']}"}
    if not found:
        made = rule("image", budget, "no method finds the truth in every network with attention")
        return made | {"reason": f"{made['reason']} ({told(sets, [*sets], made['method'], '')})"}
    winner = best_of(found, budget)
    numbers = told(sets, [*sets], winner["method"], winner["setting"])
    reason = f"best of the trained networks with attention ({numbers})"
    return {"method": winner["method"], **ANYWHERE[winner["setting"]], "reason": reason}


def as_row(one: dict[str, Any]) -> dict[str, Any]:
    """A method of tokens.json as a row of the scoreboard."""
    ways = one.get("ways", {})
    if "" not in ways:
        return {"error": one.get("error", "not measured"), "peer": False}
    usual = {"numbers": ways[""]["report"], "ms": ways[""]["ms"], "pairs": one["pairs"]}
    return {"ways": ways, "defaults": usual, "peer": False}


def from_items(rows: dict[str, Any]) -> dict[str, Any]:
    """The method that finds the truth of rows best from rows as in training, and what it finds from zeros."""
    tried = {
        method: row["ways"]
        for method, row in rows.items()
        if "error" not in row and (row.get("ways") or {}).get(TYPICAL, {}).get("report")
    }
    if not tried:
        return rule("row", "normal", "no rows to start from were measured")
    reach = max(ways[TYPICAL]["tuned"]["auroc"][0] for ways in tried.values()) - NEAR["auroc"]
    equal = [method for method, ways in tried.items() if ways[TYPICAL]["tuned"]["auroc"][0] >= reach]
    best = min(equal, key=lambda method: preference(method, "normal"))
    one, other = tried[best][TYPICAL]["report"], rows[best]["defaults"]
    numbers = f"hit {one['pointing_game'][0]:.2f}, specificity {one['partner_sensitivity'][0]:.2f}"
    zeros = f"from zeros {other['numbers']['auroc'][0]:.2f}, {other['pairs']} pairs"
    return {"method": best, "reason": f"from rows as in training (AUROC {one['auroc'][0]:.2f}, {numbers}; {zeros})"}


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
    if not found:
        return rule(kind, budget, "none of one pass finds the truth on every set of this kind")
    winner = best_of(found, budget)
    reason = f"best of the scoreboard ({told(sets, measured, winner['method'], winner['setting'])})"
    return {"method": winner["method"], **ANYWHERE[winner["setting"]], "reason": reason}


def best_of(found: list[dict[str, Any]], budget: str) -> dict[str, Any]:
    """The winner of some entries."""
    for number, near in NEAR.items():  # of those that find the truth as often, those whose peak is on it, ...
        best = max(one[number] for one in found)
        found = [one for one in found if one[number] >= best - near]
    return min(found, key=lambda one: (preference(one["method"], budget), one["setting"]))


def preference(method: str, budget: str) -> tuple[int, int, str]:
    """What wins among equals: the simplest of one pass; if more may be spent, before that what sums to the change of
    the score.
    """
    simple = ONE_PASS.index(method) if method in ONE_PASS else len(ONE_PASS)
    return int(budget != "fast" and not explainers()[method].traits.complete), simple, method


def entries(
    sets: dict[str, Any], measured: list[str], planted: list[str], budget: str, strict: bool
) -> list[dict[str, Any]]:
    """The methods that may win, with each of the settings that mean the same anywhere, on the pairs that choose."""
    found = []
    for method in sets[planted[0]]:
        rows = {name: sets[name].get(method, {"error": "not measured"}) for name in measured}
        if any("error" in row or row["peer"] for row in rows.values()) or (budget == "fast" and method not in ONE_PASS):
            continue
        if budget == "normal" and max(row["defaults"]["ms"] for row in rows.values()) > NORMAL:
            continue
        for way in ANYWHERE:
            tuned = {name: (row.get("ways") or {}).get(way, {}).get("tuned") for name, row in rows.items()}
            numbers = [one for one in tuned.values() if one]
            if len(numbers) < len(rows) or not all(better(one, strict) for one in numbers):
                continue
            of_truth = [tuned[name] for name in planted]
            found.append(
                {
                    "method": method,
                    "setting": way,
                    "auroc": sum(one["auroc"][0] for one in of_truth) / len(of_truth),
                    "hit": sum(one["pointing_game"][0] for one in of_truth) / len(of_truth),
                    "gain": min(one["relevance_gain"][0] for one in numbers),
                }
            )
    return found


def better(numbers: dict[str, Any], strict: bool) -> bool:
    """Whether a method finds the truth of a set and its order does not speak against it; where there is no truth,
    whether the interval of what its order gains lies above chance, or, if it is not strict, reaches it.
    """
    gain = numbers["relevance_gain"]
    if "auroc" not in numbers:
        return bool(gain[1 if strict else 2] > 0)
    return bool(numbers["auroc"][0] > TRUE and numbers["partner_sensitivity"][1] > 0.25 and gain[0] > 0)


def told(sets: dict[str, Any], measured: list[str], method: str, setting: str) -> str:
    """What was measured of a method on the pairs that chose nothing, in numbers."""
    said = []
    for name in measured:
        row = sets[name].get(method, {"error": ""})
        numbers = None if "error" in row else reported(row, setting)
        if numbers is None:
            continue
        gain = f"gain of its order {numbers['relevance_gain'][0]:.2f}"
        truth = (
            f"AUROC {numbers['auroc'][0]:.2f}, hit {numbers['pointing_game'][0]:.2f}, specificity "
            f"{numbers['partner_sensitivity'][0]:.2f}, "
            if "auroc" in numbers
            else ""
        )
        said.append(f"{name}: {truth}{gain}, {row['defaults']['pairs']} pairs")
    return "; ".join(said)


def reported(row: dict[str, Any], setting: str) -> dict[str, Any] | None:
    """What was measured of one setting on the pairs that chose none, if it was."""
    found: dict[str, Any] | None = (
        row["defaults"]["numbers"] if not setting else (row.get("ways") or {}).get(setting, {}).get("report")
    )
    return found


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
    of_tokens_measured = json.loads(TOKENS.read_text(encoding="utf-8"))
    table = defaults(json.loads(SCOREBOARD.read_text(encoding="utf-8"))["sets"], of_tokens_measured)
    TABLE.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
