"""The page of a comparison: a table that sorts by any column, and the maps of the first pair side by side."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from xsiamese.explain.words import first_sentence
from xsiamese.metrics.catalogue import metrics as known_metrics
from xsiamese.metrics.metric import Metric

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem; color: #222; }
table { border-collapse: collapse; } th, td { padding: .25rem .6rem; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: #fff; }
thead th { cursor: pointer; border-bottom: 2px solid #222; vertical-align: bottom; }
tbody tr:nth-child(odd) { background: #f6f6f6; }
small { color: #666; } .wide { overflow-x: auto; } .error { text-align: left; color: #a00; white-space: normal; }
.maps { display: grid; grid-template-columns: repeat(auto-fill, minmax(26rem, 1fr)); gap: 1rem; }
.maps img { width: 100%; } figure { margin: 0; } .best { font-weight: bold; }
.meaning td { text-align: left; white-space: normal; vertical-align: top; } .meaning td:last-child { max-width: 46rem; }
.meaning td:nth-child(-n+4) { white-space: nowrap; }
"""
DIRECTIONS = {True: "high is good", False: "low is good", None: "neither is good"}
SCRIPT = """
document.querySelectorAll("#methods thead th").forEach((head, column) => head.addEventListener("click", () => {
  const body = document.querySelector("#methods tbody"), up = head.dataset.up !== "1";
  const value = row => {
    const v = row.cells[column]?.dataset.value;
    return v === undefined || v === "" ? null : isNaN(v) ? v : Number(v);
  };
  [...body.rows].sort((x, y) => {
    const [a, b] = [value(x), value(y)];
    return a === null ? 1 : b === null ? -1 : (a < b ? -1 : a > b ? 1 : 0) * (up ? 1 : -1);
  }).forEach(row => body.append(row));
  head.dataset.up = up ? "1" : "0";
}));
"""


def page(rows: Sequence[Mapping[str, Any]], metrics: Sequence[str], about: Mapping[str, Any]) -> str:
    """One HTML page, which needs nothing from the network."""
    known = known_metrics()
    shown = [m for m in metrics if any(row["metrics"].get(m, {}).get("mean") is not None for row in rows)]
    best = {m: _best(rows, m, known[m].higher_is_better) for m in shown}
    heads = "".join(
        f'<th title="{escape(_said(known[m]))}">{escape(m)}<br>'
        f"<small>{DIRECTIONS[known[m].higher_is_better]}</small></th>"
        for m in shown
    )
    body = "".join(_line(row, shown, best) for row in rows)
    maps = "".join(
        f'<figure><img src="{escape(row["picture"])}" alt="the maps of {escape(row["method"])}" loading="lazy">'
        f"<figcaption>{escape(row['method'])}</figcaption></figure>"
        for row in rows
        if row.get("picture")
    )
    said = f"{about['count']} pairs of {about['pairs']}, model {about['model']}, seed {about['seed']}"
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Which explanation is right?</title>"
        f"<style>{STYLE}</style>"
        f"<h1>Which explanation is right?</h1><p>{escape(said)}. Each number is the mean over the pairs, with its 95 % "
        "interval from resampling them; the best of each column is bold, and what each column means stands below the "
        "table. A click on a column sorts by it.</p>"
        f'<div class="wide"><table id="methods"><thead><tr><th>method</th><th>seconds</th>{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
        + _meanings([known[m] for m in shown])
        + (f'<h2>The first pair</h2><div class="maps">{maps}</div>' if maps else "")
        + f"<script>{SCRIPT}</script></html>"
    )


def _meanings(metrics: Sequence[type[Metric]]) -> str:
    """What each column says, which way is good, what it can be, and what a map that says nothing has."""
    lines = []
    for metric in metrics:
        low, high = ("∞" if abs(v) == float("inf") else f"{v:g}" for v in metric.range)
        between = f"{'-' if metric.range[0] == -float('inf') else ''}{low} to {high}"
        chance = "depends on the model" if metric.chance is None else f"{metric.chance:g}"
        cells = (metric.name, DIRECTIONS[metric.higher_is_better], between, chance, _said(metric))
        row = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        lines.append(f'<tr id="{escape(metric.name)}">{row}</tr>')
    if not lines:
        return ""
    head = "".join(
        f"<th>{text}</th>" for text in ("metric", "direction", "range", "a map that says nothing", "meaning")
    )
    return (
        '<h2>What the columns mean</h2><div class="wide"><table class="meaning">'
        f"<tr>{head}</tr>{''.join(lines)}</table></div>"
    )


def _said(metric: type[Metric]) -> str:
    """The first sentence of a metric's description, without the markup of the documentation."""
    text = re.sub(r" \(:cite:`[^`]*`\)", "", first_sentence(metric))
    return re.sub(r":\w+:`~?([^`]*)`", r"\1", text)


def _line(row: Mapping[str, Any], shown: Sequence[str], best: Mapping[str, float | None]) -> str:
    name = f'<td data-value="{escape(row["method"])}">{escape(row["method"])}</td>'
    if row["error"]:
        return f'<tr>{name}<td class="error" colspan="{len(shown) + 1}">{escape(row["error"])}</td></tr>'
    cells = [f'<td data-value="{row["seconds"]}">{row["seconds"]:.2f}</td>']
    for m in shown:
        one = row["metrics"].get(m, {})
        if one.get("mean") is None:
            cells.append(f'<td data-value="" title="{escape(one.get("error") or "not for this method")}">-</td>')
            continue
        mark = ' class="best"' if one["mean"] == best[m] else ""
        between = "" if one["low"] is None else f" <small>[{one['low']:.3f}, {one['high']:.3f}]</small>"
        cells.append(f'<td data-value="{one["mean"]}"{mark}>{one["mean"]:.3f}{between}</td>')
    return f"<tr>{name}{''.join(cells)}</tr>"


def _best(rows: Sequence[Mapping[str, Any]], metric: str, higher: bool | None) -> float | None:
    numbers = [one["mean"] for row in rows if (one := row["metrics"].get(metric, {})).get("mean") is not None]
    return None if higher is None or not numbers else max(numbers) if higher else min(numbers)
