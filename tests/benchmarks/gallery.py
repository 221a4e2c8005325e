"""Galleries against the encodings that they cannot do without, on one thread, by processor time.

* all 4,950 pairs of 100 images, ResNet-50 (random weights) at 112 pixels, both maps, and pair matrices;
* one query against 10,000 references of 28 x 28 pixels, the shipped network of fashion;
* hits explained from a stored gallery; what half precision and low rank cost; the memory beyond what was there before.

The encodings are taken in batches of the same size as the gallery's, before and after, and their mean counts: others
may be at work on the machine. Both sides run in a process whose allocator keeps what is freed: by its defaults it gives
memory back and takes it anew, for half of the time of the query's small network, now in one part, now in the other.

Run ``python tests/benchmarks/gallery.py``; it writes ``docs/measurements/gallery.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torchvision
from torch import Tensor, nn

from xsiamese import Gallery, PairActivationDecomposition, PairAttribution, PairGradCAM, SiameseModel
from xsiamese.zoo import shipped

OUT = Path(__file__).parents[2] / "docs" / "measurements" / "gallery.json"
BUDGET = 64 * 2**20
RESIDENT = {False: "VmRSS", True: "VmHWM"}
GIVEN_BACK = {"MALLOC_MMAP_THRESHOLD_": "65536"}  # what is freed goes back to the system, else its keeping is measured
ROUNDS = 9  # of each; a ratio is the median of theirs
QUERY_ROUNDS = 21  # which vary by a tenth either way
KEPT = {name: str(2**32) for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")}


def seconds(run: Callable[[], Any]) -> float:
    """The processor time of a call."""
    start = time.process_time()
    run()
    return time.process_time() - start


def encoded(model: Any, items: Tensor, size: int) -> None:
    """All items, once, without gradients: the floor."""
    with torch.no_grad():
        for part in items.split(size):
            model.encode(part)


def all_pairs(gallery: Gallery) -> None:
    """Every pair's explanation, made and let go."""
    for _ in gallery.explain().units():
        pass


def of_method(explainer: PairAttribution, items: Tensor, size: int) -> dict[str, Any]:
    """A gallery and all its pairs, over the encodings."""
    made: list[Gallery] = []

    def make() -> None:
        made[:] = [Gallery(explainer, items, internal_batch_size=size)]

    rounds = []
    for _ in range(ROUNDS):
        before = seconds(lambda: encoded(explainer.model, items, size))
        making = seconds(make)
        explaining = seconds(lambda: all_pairs(made[0]))
        floor = (before + seconds(lambda: encoded(explainer.model, items, size))) / 2
        rounds.append((floor, making, explaining))
    floor, making, explaining = (median(column) for column in zip(*rounds, strict=True))
    ratios = sorted((making + explaining) / floor for floor, making, explaining in rounds)
    by_pair = seconds(lambda: explainer.explain((items[:4], items[4:8]))) / 4
    return {
        "encodings_s": round(floor, 2),
        "gallery_s": round(making, 2),
        "pairs_s": round(explaining, 2),
        "over_encodings": round(median(ratios), 3),
        "least_and_most": [round(ratios[0], 3), round(ratios[-1], 3)],
        "pair_by_pair_over_encodings": round(by_pair * len(made[0].explain()) / floor, 1),
    }


def of_resnet(images: int) -> dict[str, Any]:
    """All pairs of some images, over the encodings of these images."""
    net = torchvision.models.resnet50(weights=None)
    net.fc = nn.Identity()
    model, items, size = SiameseModel(net.eval()), torch.rand(images, 3, 112, 112), 25
    encoded(model, items[:size], size)
    found: dict[str, Any] = {"images": images, "pairs": images * (images - 1) // 2}
    for name, cls in (("maps", PairGradCAM), ("matrices", PairActivationDecomposition)):
        found[name] = of_method(cls(model, "layer4"), items, size)
    return found


def of_references(count: int) -> dict[str, Any]:
    """A query against references, over the encodings of these, and the hits of a stored gallery."""
    model, size = shipped("fashion").model, 128  # the encoder alone is as fast by 64
    items, query = torch.rand(count, 1, 28, 28), torch.rand(1, 1, 28, 28)
    explainer = PairGradCAM(model, "encoder.7")
    Gallery(explainer, items[:size]).search(query, k=5).explain()[:]
    made: list[Gallery] = []

    def whole() -> None:
        made[:] = [Gallery(explainer, items, internal_batch_size=size)]
        for _ in made[0].search(query, k=count).explain().units():
            pass

    whole()
    rounds = []
    for _ in range(QUERY_ROUNDS):
        before = seconds(lambda: encoded(model, items, size))
        spent = seconds(whole)
        rounds.append(((before + seconds(lambda: encoded(model, items, size))) / 2, spent))
    floor, spent = (median(column) for column in zip(*rounds, strict=True))
    ratios = sorted(spent / floor for floor, spent in rounds)
    with TemporaryDirectory() as folder:
        path = made[0].save(f"{folder}/gallery")
        opened = Gallery.open(path, explainer, items)
        hits = opened.search(items[:10], k=1000).explain()
        a_thousand = seconds(lambda: [None for _ in hits.units()]) / len(hits) * 1000
        stored = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    exact = made[0].explain([(0, j) for j in range(1, 257)])[:].maps[0]
    packed = {}
    for name, how in (("half", {"half": True}), ("rank_4", {"rank": 4})):
        near = Gallery(explainer, items[:257], **how).explain([(0, j) for j in range(1, 257)])[:].maps[0]
        packed[f"{name}_error"] = float(f"{float((near - exact).abs().max() / exact.abs().max()):.2g}")
    return {
        "references": count,
        "encodings_s": round(floor, 2),
        "search_and_explain_s": round(spent, 2),
        "over_encodings": round(median(ratios), 3),
        "least_and_most": [round(ratios[0], 3), round(ratios[-1], 3)],
        "stored_s_a_thousand_hits": round(a_thousand, 3),
        "stored_bytes_an_item": stored // count,
        **packed,
    }


def resident(peak: bool = False) -> int:
    """The bytes of memory of this process, now or at its peak since that was last forgotten."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(RESIDENT[peak]))
    return int(line.split()[1]) * 1024


def of_memory(count: int) -> int:
    """The bytes that a gallery takes at its peak beyond what was there before, in this process."""
    model = shipped("fashion").model
    items = torch.rand(count, 1, 28, 28)
    explainer = PairGradCAM(model, "encoder.4")  # 14 x 14 places: what is kept would take three times the budget
    Gallery(explainer, items[:256], memory=1000).explain([(0, 1)])[:]  # loads what is loaded once
    before = resident()
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
    gallery = Gallery(explainer, items, memory=BUDGET)
    assert gallery.on_disk
    for _ in gallery.search(items[:1], k=count).explain().units():
        pass
    return resident(peak=True) - before


def alone(part: str, asked: argparse.Namespace, allocator: dict[str, str]) -> Any:
    """What a part prints in a process of its own, with settings of the allocator."""
    sizes = "--images", str(asked.images), "--references", str(asked.references)
    child = [sys.executable, __file__, part, *sizes]
    told = subprocess.run(child, check=True, capture_output=True, text=True, env=os.environ | allocator).stdout
    return json.loads(told.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--references", type=int, default=10_000)
    parser.add_argument("--memory", action="store_true", help="only prints what a gallery takes")
    parser.add_argument("--query", action="store_true", help="only prints what a query takes")
    parser.add_argument("--resnet", action="store_true", help="only prints what all pairs of some images take")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if asked.memory or asked.query or asked.resnet:
        one = of_resnet if asked.resnet else of_memory if asked.memory else of_references
        print(json.dumps(one(asked.images if asked.resnet else asked.references)))
        return
    taken = alone("--memory", asked, GIVEN_BACK)
    found = {
        "torch": torch.__version__,
        "threads": 1,
        "clock": "processor time",
        "resnet50_112": alone("--resnet", asked, KEPT),
        "one_query": alone("--query", asked, KEPT),
        "memory": {"budget_mib": BUDGET >> 20, "taken_mib": taken >> 20, "references": asked.references},
    }
    OUT.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
