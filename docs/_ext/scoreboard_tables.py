"""The tables of the scoreboard, from docs/measurements/scoreboard.json, and that of the metrics, from their classes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from zoo_tables import rows

from xsiamese.explain.auto import table
from xsiamese.metrics.catalogue import metrics

TITLES = {
    "patches": "Planted patches: which of two textures two images share",
    "digits": "Planted digits: which of two digits two images share",
    "rows": "Planted rows: which columns agree",
    "motifs": "Planted motifs: which of two subgraphs two graphs share",
    "words": "Planted words: which words mean the same",
    "series": "Planted series: which of two waves two series share",
    "fashion": "The shipped Fashion-MNIST model, without a truth",
    "mutagenicity": "Mutagenicity: the nitro and amino groups of two mutagens",
    "molecules": "Molecules of ESOL: the largest common part of two",
    "concrete": "Concrete: columns of a known formula of strength",
    "adsorption": "Adsorption on platinum: columns of a known formula of energy",
    "connectomes": "Connectomes of BNU 1, without a truth",
    "mnist": "MNIST, without a truth",
    "faces": "ORL faces of unseen people, without a truth",
    "flowers": "Flowers, without a truth",
}
REAL = ("mutagenicity", "molecules", "concrete", "adsorption", "connectomes", "mnist", "faces", "flowers")


def tables(folder: Path) -> dict[str, str]:
    """The text of each include file, by its name."""
    path = folder / "scoreboard.json"
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"sets": {}}
    chosen = chosen_table(found.get("chosen", {}))
    text = {
        "chosen.inc": chosen,
        "scoreboard.inc": scoreboard(found["sets"]) or rows([], []),
        "metrics.inc": all_metrics(folder / "meta.json"),
    }
    text |= {"defaults.inc": defaults(), "baselines.inc": baselines(folder / "baselines.json")}
    return text | {"tokens.inc": tokens(folder / "tokens.json")}


def chosen_table(found: dict[str, Any]) -> str:
    """What nobody's choice gives on many pairs that chose nothing, and what peers give on the same."""
    lines = []
    for name, budgets in found.items():
        alike: dict[str, list[str]] = {}  # budgets that take the same are one row
        for budget, one in budgets.items():
            alike.setdefault(json.dumps(one, sort_keys=True), []).append("" if one.get("peer") else budget)
        for text, of in alike.items():
            one = json.loads(text)
            numbers = [_cell(one["numbers"][m]) for m in ("auroc", "pointing_game", "partner_sensitivity")]
            settings = [f"{key}={value}" for key, value in one.get("options", {}).items()]
            detached = ["norms detached"] if one.get("norms detached") else []
            method = f"*{one['method']}*" if one.get("peer") else ", ".join([one["method"], *detached, *settings])
            lines.append([name, ", ".join(filter(None, of)), method, *numbers])
    return rows(["Pairs", "Budget", "Method", "AUROC", "Hit", "Specificity"], lines)


def baselines(path: Path) -> str:
    """What a path or a game starts from: a row for each set, method and start, with both ways to move the sides."""
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    lines: dict[tuple[str, str, str], dict[str, str]] = {}
    for key, one in found.items():
        name, method, start, way = key.split("|")
        lines.setdefault((name, method, start), {})[way] = _cell(one["number"])
    ways = ("one side at a time", "both at once")
    shown = [[*key, *(cells.get(way, "") for way in ways)] for key, cells in lines.items()]
    return rows(["Pairs", "Method", "Starts from", "One side at a time", "Both at once"], shown)


def defaults() -> str:
    """What is taken for each kind of input and budget if nobody names a method, and why."""
    lines: list[list[str]] = []
    for kind, budgets in table().items():
        for budget, one in budgets.items():
            more = ", norms detached" if one.get("detach_norms") else ""
            more += "".join(f", ``{name}={value}``" for name, value in one.get("options", {}).items())
            shown = f":doc:`/reference/generated/explainers/{one['method']}`{more}"
            if lines and [lines[-1][0], *lines[-1][2:]] == [kind, shown, one["reason"]]:
                lines[-1][1] += f", {budget}"  # more time buys nothing better
            else:
                lines.append([kind, budget, shown, one["reason"]])
    return rows(["Input", "Budget", "Method", "Why"], lines)


def tokens(path: Path) -> str:
    """A row for each method, and a column for each network that takes images as tokens: AUROC (hit), with defaults."""
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    methods = dict.fromkeys(method for network in found.values() for method in network["methods"])
    lines = []
    for method in methods:
        given = [network["methods"].get(method, {}).get("ways", {}).get("") for network in found.values()]
        numbers = [one and one["report"] for one in given]
        cells = [f"{_cell(one['auroc'])} ({one['pointing_game'][0]:.2f})" if one else "-" for one in numbers]
        lines.append([f":class:`~xsiamese.{method}`", *cells])
    return rows(["Method", *found], lines)


def scoreboard(sets: dict[str, Any]) -> str:
    """A table for each set."""
    text = []
    for name, title in TITLES.items():
        if name in sets:
            text += [f"{title}\n{'-' * len(title)}\n", one_set(name, sets[name]), failures(sets[name])]
    return "\n".join(text)


def one_set(name: str, methods: dict[str, Any]) -> str:
    """A row for each method, and a second one where a setting is better than the defaults."""
    truth = any("auroc" in one.get("defaults", {}).get("numbers", {}) for one in methods.values())
    unlike = any("partner_invariance" in one.get("defaults", {}).get("numbers", {}) for one in methods.values())
    partner = ["Unlike partner"] if unlike else ["Specificity"] if truth and name not in REAL else []
    head = [
        "Method",
        *(["Truth"] if truth else []),
        *partner,
        *([] if truth else ["Top 20 % kept"]),
        "Faithfulness",
        "Sanity",
        "ms",
        "MiB",
    ]
    leading = "auroc" if truth else "relevance_gain"
    lines = []
    for name, one in methods.items():
        if "defaults" not in one:
            continue
        shown = f"*{name}*" if one["peer"] else f":doc:`/reference/generated/explainers/{name}`"
        shown = name if name.startswith("EdgeDetector") else shown
        default = one["defaults"]
        best = one.get("best", {})
        leads = max(r["numbers"][leading][0] for r in (default, best) if "numbers" in r)
        held = f"{one['memory']:.1f}" if one.get("memory") is not None else ""
        lines.append((-leads, name, 0, [shown, *_cells(default, truth), held]))
        if "numbers" in best:
            lines.append((-leads, name, 1, [f"... {best['setting']}", *_cells(best, truth), ""]))
    return rows(head, [line for *_, line in sorted(lines, key=lambda item: item[:3])])


def verdicts(folder: Path) -> dict[str, str]:
    """For each explainer a row for each set: what it found, and its place among those that were measured."""
    path = folder / "scoreboard.json"
    sets = json.loads(path.read_text(encoding="utf-8"))["sets"] if path.is_file() else {}
    lines: dict[str, list[list[str]]] = {}
    for name, title in TITLES.items():
        if name in REAL:  # few pairs, and on a page of their own
            continue
        leading = "relevance_gain" if name == "fashion" else "auroc"
        told = {key: one for key, one in sets.get(name, {}).items() if "error" not in one and not one["peer"]}
        order = sorted(told, key=lambda key: -told[key]["defaults"]["numbers"][leading][0])
        for place, key in enumerate(order, 1):
            one = told[key]["defaults"]
            numbers = one["numbers"]
            truth = [_cell(numbers[m]) if m in numbers else "" for m in ("auroc", "partner_sensitivity")]
            hit = [f"{numbers['pointing_game'][0]:.2f}" if "pointing_game" in numbers else ""]
            cells = [
                truth[0],
                *hit,
                truth[1],
                _cell(numbers["relevance_gain"]),
                f"{place} of {len(order)}",
                f"{one['ms']:.0f}",
            ]
            lines.setdefault(key, []).append([title.split(":")[0].split(",")[0], *cells])
    head = ["Pairs", "Truth", "Hit", "Specificity", "Faithfulness", "Place", "ms"]
    note = (
        "Of its defaults. Truth is an AUROC (0.5 is chance), hit how often the strongest place is on it, "
        "specificity how often its peak follows the partner, "
        "faithfulness its order of places against the reverse (0 is chance); the place is by truth, and by "
        "faithfulness where no truth is known. Intervals are in the :doc:`scoreboard </explanation/scoreboard>`.\n"
    )
    return {key: f"{rows(head, cells)}\n{note}" for key, cells in lines.items()}


def failures(methods: dict[str, Any]) -> str:
    """What gave no numbers, and why."""
    failed = [f"{name} ({one['error']})" for name, one in sorted(methods.items()) if "error" in one]
    return f"Without numbers: {'; '.join(failed)}.\n" if failed else ""


def all_metrics(path: Path) -> str:
    """Every metric: its direction, range, needs, on which planted sets it tells the truth from noise, and what it
    says.
    """
    meta = json.loads(path.read_text(encoding="utf-8"))["sets"] if path.is_file() else {}
    lines = []
    for name, metric in metrics().items():
        good = {True: "high", False: "low", None: ""}[metric.higher_is_better]
        low, high = ("" if abs(v) == float("inf") else f"{v:g}" for v in metric.range)
        said = (metric.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")
        said = re.sub(r":class:`~?([\w.]+)`", r"``\1``", said)  # they stand on no page of their own
        needs = ", ".join(sorted(metric.needs - {"explainer"}))
        asked = {on: one[name] for on, one in meta.items() if not one.get(name, {"error": "unknown"})["error"]}
        told = ", ".join(on for on, one in asked.items() if one["tells"]) or ("none" if asked else "not asked")
        spread = f"{low} .. {high}" if low or high else ""
        lines.append([f"``{name}``", good, spread, needs, told, " ".join(said.split())])
    return rows(["Metric", "Good", "Range", "Needs", "Tells truth from noise", "What it says"], lines)


def _cells(one: dict[str, Any], truth: bool) -> list[str]:
    numbers = one["numbers"]
    partner = ("partner_sensitivity", "partner_invariance")
    cells = [_cell(numbers[m]) for m in (*partner, *(() if truth else ("keep_top",))) if m in numbers]
    if truth:
        cells.insert(0, f"{_cell(numbers['auroc'])} ({numbers['pointing_game'][0]:.2f})")
    return [*cells, _cell(numbers["relevance_gain"]), _cell(numbers["randomisation"]), f"{one['ms']:.1f}"]


def _cell(value: list[float]) -> str:
    mean, low, high = value
    return "-" if mean != mean else f"{mean:.2f} ± {(high - low) / 2:.2f}"
