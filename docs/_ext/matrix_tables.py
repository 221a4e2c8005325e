"""What pair matrices cost, from what tests/benchmarks/matrices.py writes to docs/measurements/matrices.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from zoo_tables import rows


def tables(path: Path) -> dict[str, str]:
    """The text of the include file, by its name."""
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    lines = [line for name, of in LINES.items() if name in found for line in of(found[name])]
    head = rows(["What", "Measured", "Goal", "Met"], lines)
    told = f"One thread, torch {found['torch']}; times are of the processor, the least of all rounds.\n\n"
    return {"matrices.inc": (told if found else "") + head}


def _line(what: str, value: float, goal: float, unit: str = "", *, least: bool = False) -> list[str]:
    met = value >= goal if least else value <= goal
    return [what, f"{value:g}{unit}", f"{'≥' if least else '≤'} {goal:g}{unit}", "yes" if met else "no"]


def _tangents(one: dict[str, Any]) -> list[list[str]]:
    bound = min(1.03, 0.8 * one["dimensions"] / one["cells"]) * 1.05
    what = f"ResNet-18, layer3: passes of the rest for each of {one['cells']} cells"
    return [_line(what, one["tail_passes_a_cell"], round(bound, 2))]


def _regression(one: dict[str, Any]) -> list[list[str]]:
    return [
        _line(
            "Mask regression beside the least squares of all scores: times as fast",
            one["times_faster"],
            100,
            least=True,
        ),
        _line("The same: its error, of the peer's; the median of a dozen networks", one["error_of_the_peers"], 0.2),
    ]


def _tokens(one: dict[str, Any]) -> list[list[str]]:
    longer = [
        [f"The same, words' vectors {times} times as long", f"{count}", "none", ""]
        for times, count in one["nodes_of_longer_words"].items()
        if times != "1"
    ]
    return [
        _line("Tokens, 6 layers, 384 dimensions: points for an error of 1e-5", one["nodes_for_1e-5"], 8),
        *longer,
        _line("The same beside a loop at 250 points: times as fast", one["times_faster"], 10, least=True),
    ]


LINES = {
    "tangents": _tangents,
    "closed_form": lambda one: [_line("ResNet-50, closed form: forward passes of both images", one["ratio"], 1.1)],
    "mask_regression": _regression,
    "gallery": lambda one: [_line("All 4,950 matrices of 100 images: times their encodings", one["ratio"], 1.2)],
    "one_run": lambda one: [_line("Five read-outs of one run of masks: times the encodings", one["ratio"], 1.05)],
    "regression_on_images": lambda one: [
        ["Mask regression as it is called: times its encodings", f"{one['ratio']:g}", "none", ""]
    ],
    "input_level": lambda one: [
        _line("224 x 224 pixels pooled to 28 x 28: memory", one["peak_gib_grown"], 1.0, " GiB")
    ],
    "tokens": _tokens,
}
