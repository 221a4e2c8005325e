"""A billion pairs: a calculation from what was measured on this machine, and a discrete simulation of where it bends.

Measured (``docs/measurements/jobs.json`` and here): processor seconds of a pair, bytes and files of a unit, and the
time of one synchronised line of the manifest. Assumed, and said in the table: a file system that all workers share with
2 GB/s and 5,000 operations on files a second, a worker that dies every 500 hours and is back after a minute.

Each simulated worker explains a unit, and then waits in turn for three servers that all share: the file system's
operations, its bandwidth, and the one process that writes the manifest. Each serves who comes first, one at a time.

Run ``python tests/benchmarks/jobs_scale.py`` after ``jobs.py --part methods``; it writes
``docs/measurements/jobs_scale.json``.
"""

from __future__ import annotations

import heapq
import json
import random
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xsiamese.jobs.manifest import Entry, Manifest, Shard

MEASUREMENTS = Path(__file__).parents[2] / "docs" / "measurements"
PAIRS = 10**9
BANDWIDTH, OPERATIONS = 2e9, 5000.0  # of the shared file system: bytes and operations a second
LIFE, BACK = 500 * 3600.0, 60.0  # seconds until a worker dies, and until it is replaced
FILES = 13  # of a unit: two a side of inputs and maps, the scores', the group's, and the rows'
PER_FILE = 5  # operations: create, write, synchronise, rename or its share, look up
SERVERS = ("operations", "bandwidth", "manifest")


@dataclass(frozen=True)
class Plan:
    """What is simulated: seconds of explaining a unit, and of each server for it."""

    explain: float
    serve: tuple[float, float, float]


def simulated(plan: Plan, workers: int, units: int, seed: int = 0) -> dict[str, float]:
    """The rate of units, the part of the time in which workers explain, and how busy each server is."""
    draw = random.Random(seed)
    free = [0.0] * len(plan.serve)
    # the time at which each worker has explained its unit; they do not all begin at once
    ready = [(draw.random() * plan.explain, worker) for worker in range(workers)]
    heapq.heapify(ready)
    warm, begun, done, lost, end = units // 5, 0.0, 0, 0, 0.0
    while done < units:
        now, worker = heapq.heappop(ready)
        for i, service in enumerate(plan.serve):
            now = free[i] = max(now, free[i]) + service
        done, end = done + 1, max(end, now)
        if done == warm:
            begun = now
        spent = plan.explain * draw.uniform(0.9, 1.1)
        while draw.random() < spent / LIFE:  # it dies in the middle of a unit, which is done again
            now, lost = now + spent / 2 + BACK, lost + 1
        heapq.heappush(ready, (now + spent, worker))
    rate = (units - warm) / (end - begun)
    busy = {name: min(1.0, rate * service) for name, service in zip(SERVERS, plan.serve, strict=True)}
    return {"units_per_s": rate, "workers": min(1.0, rate * plan.explain / workers), "lost": lost / units, **busy}


def line_seconds() -> float:
    """One line of the manifest, synchronised: the median of 50."""
    with tempfile.TemporaryDirectory(dir=MEASUREMENTS.parents[1]) as place:
        manifest = Manifest(Path(place), Shard())
        files = {f"arrays.zarr/000000/maps.a.0/{i}": (123456, 2**31) for i in range(FILES)}
        spent = []
        for i in range(50):
            begun = time.perf_counter()
            manifest.append(Entry(i, 512 * i, 512 * (i + 1), 0, "", files))
            spent.append(time.perf_counter() - begun)
    return statistics.median(spent)


def main() -> None:
    """Calculates, simulates, and writes."""
    measured = json.loads((MEASUREMENTS / "jobs.json").read_text())
    line = line_seconds()
    rows: list[dict[str, Any]] = []
    for method, precision, unit in (
        ("gradcam", "full", 512), ("integrated_gradients", "full", 512), ("integrated_gradients", "half", 512),
        ("integrated_gradients", "half", 4096),
    ):  # fmt: skip
        own = next(r for r in measured["methods"] if (r["method"], r["precision"]) == (method, precision))
        seconds, size = own["cpu_ms_per_pair"] / 1000, own["bytes_per_pair"]
        plan = Plan(seconds * unit, (FILES * PER_FILE / OPERATIONS, size * unit / BANDWIDTH, line))
        for workers in (1, 64, 1024, 16384):
            found = simulated(plan, workers, max(2_000, 12 * workers))
            busiest = max(SERVERS, key=lambda name: found[name])
            rows.append(
                {
                    "method": method,
                    "precision": precision,
                    "unit": unit,
                    "workers": workers,
                    "days": round(PAIRS / unit / found["units_per_s"] / 86400, 2),
                    "of_workers": round(found["workers"], 3),
                    "busiest": busiest,
                    "busy": round(found[busiest], 3),
                    "core_hours": round(PAIRS * seconds / 3600),
                    "terabytes": round(PAIRS * size / 1e12, 2),
                    "million_files": round(PAIRS / unit * FILES / 1e6, 1),
                }
            )
    found = {
        "pairs": PAIRS, "line_ms": round(1000 * line, 2), "bandwidth": BANDWIDTH, "operations": OPERATIONS,
        "files_of_a_unit": FILES, "operations_a_file": PER_FILE, "life_h": LIFE / 3600, "rows": rows,
    }  # fmt: skip
    (MEASUREMENTS / "jobs_scale.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
