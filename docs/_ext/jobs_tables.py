"""The tables of the page of many pairs, from docs/measurements/gallery.json, jobs*.json and two_processes.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from zoo_tables import rows


def tables(folder: Path) -> dict[str, str]:
    """The text of each include file, by its name."""
    return {
        "gallery.inc": gallery(_read(folder, "gallery")),
        "jobs_cost.inc": cost(_read(folder, "jobs")),
        "jobs_sizes.inc": sizes(_read(folder, "jobs").get("methods", [])),
        "jobs_scale.inc": scale(_read(folder, "jobs_scale")),
        "jobs_kill.inc": kills(_read(folder, "jobs_kill")),
        "two_processes.inc": processes(_read(folder, "two_processes")),
    }


def gallery(found: dict[str, Any]) -> str:
    """What a gallery and its explanations take, over the encodings that they cannot do without."""
    if not found:
        return "Nothing has been measured in this checkout yet.\n"
    resnet, query, memory = found["resnet50_112"], found["one_query"], found["memory"]
    all_of = f"All {resnet['pairs']:,} pairs of {resnet['images']} images, ResNet-50"
    lines = [
        [name, f"{one['over_encodings']:.2f}", "{:.2f} to {:.2f}".format(*one["least_and_most"]), bound, loop]
        for name, one, bound, loop in (
            (f"{all_of}, both maps", resnet["maps"], "1.3", _times(resnet["maps"])),
            (f"{all_of}, matrices", resnet["matrices"], "1.3", _times(resnet["matrices"])),
            (f"One query and {query['references']:,} of 28 x 28, both maps", query, "1.2", ""),
        )
    ]
    head = ["What", "Times the encodings", "Least and most", "At most", "Pair by pair"]
    return "\n".join(
        [
            rows(head, lines),
            f"Of a stored gallery a thousand hits are explained in {query['stored_s_a_thousand_hits']:.2f} s; it keeps "
            f"{query['stored_bytes_an_item']:,} bytes an item. A gallery of {memory['references']:,} items that would "
            f"take three times its budget of {memory['budget_mib']} MiB takes {memory['taken_mib']} MiB.\n",
        ]
    )


def _times(one: dict[str, Any]) -> str:
    return f"{one['pair_by_pair_over_encodings']:.0f}"


def cost(found: dict[str, Any]) -> str:
    """What a job costs beside explaining the same pairs from memory."""
    lines = [
        [
            name, f"{one['pairs']:,}", f"{one['median_ratio']:.2f}", f"{one['processor_ratio']:.2f}",
            f"{one['write_ms_per_unit']:.0f} ms",
        ]
        for name, one in found.get("throughput", {}).items()
    ]  # fmt: skip
    head = ["Method", "Pairs", "Rate, of memory's", "Processor time", "Write of a unit"]
    text = [rows(head, lines)]
    if memory := found.get("memory"):
        few, many = memory["peak_mib"].values()
        text.append(
            f"Peak memory: {few:.0f} MiB for 2,000 pairs, {many:.0f} MiB for 20,000 ({memory['growth']:+.1%}).\n"
        )
    if engines := found.get("engines"):
        local, ray = engines["local"]["pairs_per_s"], engines["ray"]["pairs_per_s"]
        text.append(
            f"Two workers of Ray against two local ones: {engines['ray_slower_a_pair']:+.1%} time a pair ({ray:.0f}, "
            f"{local:.0f} pairs a second of {engines['method']}).\n"
        )
    return "\n".join(text)


def sizes(found: list[dict[str, Any]]) -> str:
    """Time and bytes of a pair, by method and precision."""
    lines = [
        [
            one["method"] + "".join(f", {name}={value}" for name, value in one["options"].items()), one["precision"],
            f"{one['cpu_ms_per_pair']:.2f} ms", f"{1000 / one['cpu_ms_per_pair']:,.0f}", f"{one['bytes_per_pair']:,}",
            f"{one['of_inputs']:,}", f"{one['of_rows']:,}",
        ]
        for one in found
    ]  # fmt: skip
    head = ["Method", "Precision", "Processor", "Pairs a second", "Bytes a pair", "of inputs", "of rows"]
    return rows(head, lines)


def scale(found: dict[str, Any]) -> str:
    """A billion pairs by the number of workers."""
    lines = [
        [
            one["method"], one["precision"], f"{one['unit']:,}", f"{one['workers']:,}", f"{one['days']:,.1f}",
            f"{one['of_workers']:.0%}", f"{one['busiest']} {one['busy']:.0%}", f"{one['core_hours']:,}",
            f"{one['terabytes']:.1f}", f"{one['million_files']:.1f} M",
        ]
        for one in found.get("rows", [])
    ]  # fmt: skip
    head = [
        "Method", "Precision", "Unit", "Workers", "Days", "Workers explain", "Busiest", "Core hours", "TB", "Files",
    ]  # fmt: skip
    return rows(head, lines)


def kills(found: dict[str, Any]) -> str:
    """What fifty kills left."""
    if not found:
        return "Nothing has been measured in this checkout yet.\n"
    same = found["jobs_equal_to_the_uninterrupted"]
    return (
        f"{found['kills']} kills (SIGKILL) at random moments of {found['jobs']} jobs: {same} of {found['jobs']} were "
        "in the end what an uninterrupted job is, value for value, and nothing more.\n"
    )


def processes(found: dict[str, Any]) -> str:
    """By how much a training on two processes differs from one."""
    if not found:
        return "Nothing has been measured in this checkout yet.\n"
    sgd, adam = found["SGD"], found["Adam"]
    return (
        f"Measured with ``siamese-mlp``, a global batch of {found['global_batch']} and {found['epochs']} epochs: with "
        f"SGD no weight differs by more than {max(sgd['weights'].values()):.1e}, with Adam no score by more than "
        f"{adam['scores']:.1e}.\n"
    )


def _read(folder: Path, name: str) -> dict[str, Any]:
    path = folder / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found
