"""The rows of a report, a method each: the best first, for a terminal and as a file."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xsiamese.metrics.catalogue import metrics as known_metrics

Row = dict[str, Any]


def ordered(rows: Sequence[Row], metrics: Sequence[str]) -> list[Row]:
    """The best first, by the first metric that has a direction and numbers; failures last."""
    known = known_metrics()
    leading = next(
        (
            m
            for m in metrics
            if known[m].higher_is_better is not None and any(_mean(row, m) is not None for row in rows)
        ),
        None,
    )
    if leading is None:
        return list(rows)
    sign = -1 if known[leading].higher_is_better else 1
    return sorted(
        rows, key=lambda row: (_mean(row, leading) is None, sign * (_mean(row, leading) or 0.0), row["method"])
    )


def text(rows: Sequence[Row], metrics: Sequence[str], most: int = 6) -> str:
    """A table for the terminal: the first metrics that have numbers, with their intervals."""
    shown = [m for m in metrics if any(_mean(row, m) is not None for row in rows)][:most]
    width = max((len(row["method"]) for row in rows), default=6)
    lines = [f"{'method':<{width}}  {'s':>6}  " + "  ".join(f"{m:<22}" for m in shown)]
    for row in rows:
        cells = []
        for m in shown:
            one = row["metrics"].get(m, {})
            number = _mean(row, m)
            cells.append(
                f"{'-':<22}" if number is None else f"{number:6.3f} [{one['low']:.3f}, {one['high']:.3f}]".ljust(22)
            )
        said = row["error"] or "  ".join(cells).rstrip()
        lines.append(f"{row['method']:<{width}}  {row['seconds']:6.2f}  {said}")
    return "\n".join(lines)


def write(path: Path, rows: Sequence[Row], metrics: Sequence[str]) -> None:
    """A CSV of all numbers with their intervals."""
    shown = [m for m in metrics if any(m in row["metrics"] for row in rows)]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["method", "seconds", "error", *[f"{m}{part}" for m in shown for part in ("", "_low", "_high")]]
        )
        for row in rows:
            cells = [row["metrics"].get(m, {}).get(part) for m in shown for part in ("mean", "low", "high")]
            writer.writerow([row["method"], f"{row['seconds']:.3f}", row["error"], *cells])


def _mean(row: Row, metric: str) -> float | None:
    found: float | None = row["metrics"].get(metric, {}).get("mean")
    return found
