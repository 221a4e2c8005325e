"""Jobs over many pairs: what the store costs, whether memory grows, what Ray costs, and pairs a second by method.

20,000 pairs of MNIST test images on the shipped network. Rates are of the wall clock, on one thread a process; the job
and the loop from memory take turns of 10,240 pairs, so that both see the same machine.

Run ``python tests/benchmarks/jobs.py --data FOLDER_OF_MNIST [--part throughput|memory|engines|methods]``; it writes
``docs/measurements/jobs.json``. The engines need ``pip install "xsiamese[ray]"``.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

import xsiamese
from xsiamese import explain_pairs
from xsiamese.data.sources import torchvision_set
from xsiamese.explain.catalogue import explainer as find
from xsiamese.jobs.cluster import Cluster
from xsiamese.jobs.local import engine
from xsiamese.jobs.recipe import Given
from xsiamese.jobs.source import Rows
from xsiamese.jobs.store import Store
from xsiamese.jobs.table import PairTable
from xsiamese.jobs.task import Task
from xsiamese.jobs.unit import Unit, decode, units
from xsiamese.zoo import open_model

OUT = Path(__file__).parents[2] / "docs" / "measurements" / "jobs.json"
UNIT, BATCH, ROUND = 512, 64, 10_240
METHODS: dict[str, dict[str, Any]] = {
    "saliency": {},
    "gradcam": {},
    "integrated_gradients": {"n_steps": 16},
    "corr_rise": {"masks": 100},
    "interaction": {},
    "mask_regression": {"masks": 200},
}
HEAVY = frozenset({"interaction", "mask_regression"})  # of which fewer pairs are measured


def mnist(data: Path) -> Tensor:
    """The test images as the shipped network takes them, shape (10000, 1, 28, 28)."""
    card = open_model("fashion").preprocessing
    assert card is not None
    images = torchvision_set("MNIST", data, False, card).images
    return card.normalise(images)


def drawn(count: int) -> Tensor:
    """Pairs of images, each drawn by chance; no pair twice."""
    generator = torch.Generator().manual_seed(0)
    numbers = torch.randperm(10_000 * 10_000, generator=generator)[: count + 10_000]
    pairs = torch.stack([numbers // 10_000, numbers % 10_000], 1)
    return pairs[pairs[:, 0] != pairs[:, 1]][:count]


def made(method: str) -> Given:
    """An explainer of the shipped network."""
    opened, cls = open_model("fashion"), find(method)
    known = {name: value for name, value in METHODS[method].items() if name in cls.options()}
    return Given(cls(opened.model, *((opened.layer,) if cls.needs_layer else ())), known)


def task_of(items: Tensor, pairs: Tensor, method: str, folder: Path, precision: Any = "full") -> Task:
    """What a job does with a unit; the folders are there."""
    (folder / "pairs").mkdir(parents=True)
    (folder / "arrays.zarr").mkdir()
    return Task(PairTable.of(pairs), Rows(items), made(method), Store(folder, precision), BATCH)


def throughput(items: Tensor, method: str, count: int) -> dict[str, Any]:
    """Seconds of a job, of explaining the same units from memory, and of the parts of the store."""
    pairs = drawn(count)
    with tempfile.TemporaryDirectory(dir=OUT.parents[2]) as place:
        task = task_of(items, pairs, method, Path(place, "out"))
        every = units(count, UNIT)
        spent: dict[str, list[float]] = {"job": [], "memory": []}
        turn = ROUND // UNIT
        processor = {"job": 0.0, "memory": 0.0}
        for start in range(0, len(every), turn):
            some = every[start : start + turn]
            order = ("job", "memory") if start // turn % 2 else ("memory", "job")
            for which in order:
                begun, own = time.perf_counter(), time.process_time()
                list(engine(1)(task, some)) if which == "job" else _from_memory(task, some)
                spent[which].append(time.perf_counter() - begun)
                processor[which] += time.process_time() - own
        ratios = [memory / job for job, memory in zip(spent["job"], spent["memory"], strict=True)]
        found = task.explained(decode(every[0], task.table, task.source))
        begun = time.perf_counter()
        for _ in range(5):
            task.store.write(found)
        write = (time.perf_counter() - begun) / 5
    return {
        "pairs": count,
        "job_pairs_per_s": round(count / sum(spent["job"]), 1),
        "memory_pairs_per_s": round(count / sum(spent["memory"]), 1),
        "ratio": round(sum(spent["memory"]) / sum(spent["job"]), 3),
        "median_ratio": round(median(ratios), 3),
        "processor_ratio": round(processor["memory"] / processor["job"], 3),
        "write_ms_per_unit": round(1000 * write, 1),
    }


def _from_memory(task: Task, some: Sequence[Unit]) -> None:
    """The same units, items taken from one tensor, results dropped."""
    items = torch.from_numpy(task.source.array)  # type: ignore[attr-defined]
    ready = task.recipe.made
    for unit in some:
        a, b = (torch.tensor([int(word) for word in side]) for side in task.table.both(unit.start, unit.stop))
        ready.explain((items[a], items[b]), seed=0, internal_batch_size=BATCH, **ready.options)


def memory(data: Path) -> dict[str, Any]:
    """The peak of resident memory of a job, by its number of pairs; each in a process of its own."""
    found = {}
    for count in (2_000, 20_000):
        command = [sys.executable, __file__, "--data", str(data), "--part", "peak", "--count", str(count)]
        told = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
        found[str(count)] = float(told.stdout.split()[-1])
    return {"peak_mib": found, "growth": round(found["20000"] / found["2000"] - 1, 4)}


def peak(items: Tensor, count: int) -> None:
    """Prints the peak of a job with Grad-CAM, in MiB."""
    with tempfile.TemporaryDirectory(dir=OUT.parents[2]) as place:
        explain_pairs(drawn(count), Path(place, "out"), made("gradcam").explains, items=items, show_progress=False)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def engines(items: Tensor, count: int) -> dict[str, Any]:
    """Pairs a second of two workers of each engine between the first unit and the last, as the start is the same
    imports."""
    found = {}
    for name, make in (("local", lambda: engine(2)), ("ray", lambda: Cluster(2))):
        with tempfile.TemporaryDirectory(dir=OUT.parents[2]) as place:
            task = task_of(items, drawn(count), "gradcam", Path(place, "out"))
            begun = time.perf_counter()
            ends = [time.perf_counter() for _ in make()(task, units(count, UNIT))]
            # the first two units end at about one time, and the pairs after them are done between there and the end
            found[name] = {
                "start_s": round(ends[1] - begun, 1),
                "pairs_per_s": round((count - 2 * UNIT) / (ends[-1] - ends[1]), 1),
            }
    slower = found["local"]["pairs_per_s"] / found["ray"]["pairs_per_s"] - 1
    return {"pairs": count, "method": "gradcam", **found, "ray_slower_a_pair": round(slower, 3)}


def methods(items: Tensor, most: int) -> list[dict[str, Any]]:
    """Processor time and bytes a pair, by method and precision, one process."""
    rows = []
    for method in METHODS:
        for precision in ("full", "half"):
            with tempfile.TemporaryDirectory(dir=OUT.parents[2]) as place:
                count = most // 8 if method in HEAVY else most
                task = task_of(items, drawn(count), method, Path(place, "out"), precision)
                every = units(count, count // 2)
                list(engine(1)(task, every[:1]))
                begun = time.process_time()
                list(engine(1)(task, every[1:]))
                spent = time.process_time() - begun
                sizes = {
                    part: sum(p.stat().st_size for p in Path(place).rglob("*") if p.is_file() and part in str(p))
                    for part in ("inputs.", "pairs/", "")
                }
            rows.append(
                {
                    "method": method,
                    "options": METHODS[method],
                    "precision": precision,
                    "cpu_ms_per_pair": round(1000 * spent / (count // 2), 3),
                    "bytes_per_pair": round(sizes[""] / count),
                    "of_inputs": round(sizes["inputs."] / count),
                    "of_rows": round(sizes["pairs/"] / count),
                }
            )
            print(rows[-1])
    return rows


def main() -> None:
    """Measures, and writes what was measured beside what other parts wrote."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--part", choices=["throughput", "memory", "engines", "methods", "peak"])
    parser.add_argument("--count", type=int, default=20_000)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    items = mnist(given.data)
    if given.part == "peak":
        peak(items, given.count)
        return
    found: dict[str, Any] = json.loads(OUT.read_text()) if OUT.exists() else {}
    found |= {"torch": torch.__version__, "xsiamese": xsiamese.__version__, "cores": os.cpu_count(), "unit": UNIT}
    if given.part in (None, "throughput"):
        counts = {"gradcam": given.count, "integrated_gradients": min(given.count, 1024)}
        found["throughput"] = {name: throughput(items, name, count) for name, count in counts.items()}
    if given.part in (None, "memory"):
        found["memory"] = memory(given.data)
    if given.part in (None, "engines"):
        found["engines"] = engines(items, min(given.count, 6144))
    if given.part in (None, "methods"):
        found["methods"] = methods(items, 512)
    OUT.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
