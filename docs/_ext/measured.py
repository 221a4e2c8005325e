"""The performance page's tables from what tests/benchmarks/speed.py and house.py write to docs/measurements."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

MEBIBYTE = 2**20


def performance(path: Path) -> str:
    """The measured tables in reStructuredText, or how to make them."""
    if not path.exists():
        return (
            "Nothing has been measured in this checkout yet: ``make bench`` measures, and the next build of "
            "this page shows the result.\n"
        )
    found = json.loads(path.read_text(encoding="utf-8"))
    text = [
        f"Measured by ``tests/benchmarks/speed.py`` (``make bench``) with torch {found['torch']}, {found['threads']} "
        f"threads, {found['rounds']} rounds. "
        "Every round times everything once; a ratio is the median over the rounds.\n"
    ]
    for one in found["gradcam"]:
        text.append(
            _heading(f"Grad-CAM of both sides, ResNet-50, 224 px, {one['pairs']} pair{'s' if one['pairs'] > 1 else ''}")
        )
        text.append(f"The floor is the *{one['floor']}*: {one['floor_ms_per_image']} ms an image.\n")
        text.append(_gradcam(one))
        if one["peak_bytes"]:
            text.append(
                "The layer's activations and their gradient together take "
                f"{one['activations_and_gradient_bytes'] / MEBIBYTE:.1f} MiB.\n"
            )
    text.append(_heading("Perturbation of one side"))
    text.append(
        '``wrt="first"`` on a factored model encodes the other side once. Time in units of captum\'s on the same '
        "model:\n"
    )
    text.append(
        _rows(["Method", "xsiamese / captum"], [[name, f"{ratio:.2f}"] for name, ratio in found["one_side"].items()])
    )
    text.append(_heading("Import"))
    text.append(f"``import xsiamese`` takes {found['import']:.2f} times as long as ``import torch, captum``.\n")
    return "\n".join(text)


def on_accelerator(path: Path) -> str:
    """What tests/benchmarks/accelerator.py found on a GPU."""
    if not path.exists():
        return "Nothing has been measured on a GPU yet: ``python tests/benchmarks/accelerator.py`` measures.\n"
    found = json.loads(path.read_text(encoding="utf-8"))
    head = ["Pairs", "Precision", "Floor", "auto", "unsplit", "captum, once a branch", "Peak MiB: floor", "auto"]
    lines = [
        [
            str(one["pairs"]), precision, f"{one['floor_ms']:.1f} ms",
            *(f"{one['ratio'][name]:.2f}" if name in one["ratio"] else "" for name in (
                "PairGradCAM", "PairGradCAM, unsplit", "captum LayerGradCam, once a branch",
            )),
            *(f"{one['peak_mib'][name]:,.0f}" for name in (one["floor"], "PairGradCAM")),
        ]
        for precision in ("float32", "bfloat16")
        for one in found[precision]["gradcam"]
    ]  # fmt: skip
    paths = [
        f"{one['pairs']} pairs in {precision} {one['ratio']['auto']:.2f} (captum pair by pair "
        f"{one['ratio']['captum, pair by pair']:.2f})"
        for precision in ("float32", "bfloat16")
        for one in found[precision]["integrated gradients"]
    ]
    return "\n".join(
        [
            f"Measured by ``tests/benchmarks/accelerator.py`` on an {found['device']} with torch {found['torch']}, "
            f"{found['rounds']} rounds: Grad-CAM of both sides, ResNet-50, 224 px, over the fastest pass of the same "
            "images. A GPU runs a few images in the time in which Python tells it what to do, and the copy of a "
            "model's state shows there; bfloat16 is ``torch.autocast``.\n",
            _rows(head, lines),
            f"Integrated gradients of 32 steps, over passes forward and back of all pairs step by step: "
            f"{'; '.join(paths)}.\n",
        ]
    )


def first_call(path: Path) -> str:
    """What docs/measurements/first_call.json says of the call that finds the layer by itself."""
    if not path.exists():
        return "Nothing has been measured in this checkout yet: ``python tests/benchmarks/first_call.py`` measures.\n"
    found = json.loads(path.read_text(encoding="utf-8"))["models"]
    lines = [
        [
            name, str(one["first"]["rows"]), str(one["second"]["rows"]), f"{one['first']['seconds']:.2f} s",
            f"{one['second']['seconds']:.2f} s", f"{one['pass_and_back']:.2f} s", f"{one['first']['MiB']:.0f}",
            f"{one['second']['MiB']:.0f}",
        ]
        for name, one in found.items()
    ]  # fmt: skip
    head = ["Encoder", "Rows: first", "second", "Time: first", "second", "pass and back", "Peak MiB: first", "second"]
    return _rows(head, lines)


def followed(path: Path) -> str:
    """What docs/measurements/newcomer.json says of "Getting started", followed in a fresh environment."""
    if not path.exists():
        return "Nothing has been measured in this checkout yet: ``python tests/benchmarks/newcomer.py`` measures.\n"
    found = json.loads(path.read_text(encoding="utf-8"))
    seconds = dict(found["seconds"])
    torch = seconds.pop("import torch")
    whole = sum(seconds.values())
    own = sum(spent - torch for name, spent in seconds.items() if name != "pip install")
    return "\n".join(
        [
            _rows(["Step", "Seconds"], [[name, f"{spent:.0f}"] for name, spent in seconds.items()]),
            f"That is {whole / 60:.0f} minutes, of which {own:.0f} s are this library's and its model's: the rest is "
            f"the download, and {torch:.1f} s of ``import torch`` a step.\n",
        ]
    )


def started(path: Path) -> str:
    """What docs/measurements/startup.json says of commands in processes of their own."""
    if not path.exists():
        return "Nothing has been measured in this checkout yet: ``python tests/benchmarks/startup.py`` measures.\n"
    found = json.loads(path.read_text(encoding="utf-8"))
    lines = [
        [
            name if name.startswith("explain:") else f"``{name}``",
            f"{one['processor_seconds']:.2f}",
            f"{one['ratio']:.2f}",
        ]
        for name, one in found["rows"].items()
    ]
    return "\n".join(
        [
            f"Measured by ``tests/benchmarks/startup.py``, {found['rounds']} rounds, torch {found['torch']}; "
            "seconds and ratios of processor time:\n",
            _rows(["Process", "Seconds", "Over ``import torch``"], lines),
        ]
    )


def removed(path: Path) -> str:
    """What docs/measurements/surface.json says of the deletion surface."""
    if not path.exists():
        return "Nothing has been measured in this checkout yet: ``python tests/benchmarks/surface.py`` measures.\n"
    found = json.loads(path.read_text(encoding="utf-8"))
    return (
        f"The deletion surface of {found['pairs']} pairs, K = {found['steps']}, on the shipped network: "
        f"{found['items_a_pair']:.0f} items a pair in {found['encoder_calls']} calls of the encoder for all pairs, "
        f"{found['over_batched_passes']:.2f} times a batched pass of these items (the aim was 2). A loop over the "
        f"{found['steps'] + 1} steps of the diagonal alone takes {found['loop_of_the_diagonal_over_ours']:.2f} times "
        "as long as the whole surface.\n"
    )


def counted(path: Path) -> str:
    """What docs/measurements/house.json says of one run: tests/benchmarks/house.py counts, and times nothing."""
    if not path.exists():
        return "Nothing has been counted in this checkout yet: ``python tests/benchmarks/house.py`` counts.\n"
    found = json.loads(path.read_text(encoding="utf-8"))
    ratios = [one["ratio"] for one in found["rows"].values()]
    text = [
        f"Counted by ``tests/benchmarks/house.py``. Rows of the encoder in ``explain`` over those in ``attribute``, "
        f"three pairs, two at a time: {min(ratios):.2f} to {max(ratios):.2f} for the {len(ratios)} explainers of "
        "images. The first edition ran every search twice in ``explain``; encoder calls now:\n",
        _rows(
            ["Search", "find", "explain"],
            [[name, str(one["find_calls"]), str(one["explain_calls"])] for name, one in found["searches"].items()],
        ),
    ]
    return "\n".join(text)


def broken(path: Path, named: Path) -> str:
    """What docs/measurements/mutants.json says of the faults that tools/mutants.py put in, and why some change nothing,
    from tools/mutants.toml.
    """
    found = json.loads(path.read_text(encoding="utf-8"))
    reasons = tomllib.loads(named.read_text(encoding="utf-8"))["equivalent"]
    lines = []
    for room, one in sorted(found.items(), key=lambda item: (item[0] == "elsewhere", item[0])):
        same = len(one["equivalent"])
        seen = one["killed"] + one["later"]
        lines.append([
            room, str(one["tried"]), str(same), str(one["killed"]), str(one["later"]), str(len(one["survived"])),
            f"{seen / (one['tried'] - same):.0%}",
        ])  # fmt: skip
    head = [
        "Room",
        "Faults",
        "Change nothing",
        "Killed",
        "Killed since",
        "Survive",
        "Killed, of all that change something",
    ]
    why = [f"* ``{name}``: {reasons[name]}" for one in found.values() for name in one["equivalent"]]
    return "\n".join([_rows(head, lines), "Those that change nothing, and why:", "", *why, ""])


def _gradcam(one: dict[str, Any]) -> str:
    rows = [
        [
            f"**{name}**" if name == one["floor"] else name,
            f"{ratio:.2f}",
            f"{one['peak_bytes'][name] / MEBIBYTE:.0f}" if name in one["peak_bytes"] else "",
        ]
        for name, ratio in one["ratio"].items()
    ]
    return _rows(["Run", "Time / floor", "Peak MiB"], rows)


TRIED = {
    "injected exceptions": "an exception at a line drawn from all that an explanation passes through",
    "real signals": "three real signals in a row, 0.2 ms apart, the first at a random moment",
    "two threads, training model": "two explanations at once in two threads, model in training mode",
    "two threads, serving model": "the same, model in evaluation mode",
}
"""What docs/measurements/faults.json calls what was tried, in words."""


def left_as_it_was(path: Path) -> str:
    """What tests/benchmarks/faults.py counted, and how much memory many explanations and pictures took."""
    found = json.loads(path.read_text(encoding="utf-8"))
    lines = [
        [told, str(one.get("raised", one["tried"])), str(one.get("wrong maps", "--")), str(one["models changed"])]
        for one, told in ((found[name], told) for name, told in TRIED.items())
    ]
    memory = ", ".join(f"{size:.0f} MiB after {what}" for what, size in found["memory"].items())
    table = _rows(["What happened", "Times", "Wrong maps", "Models changed"], lines)
    return (
        f"{table}\nThe memory of one process that went through twelve explainers and two kinds of pictures: {memory}.\n"
    )


def _rows(head: list[str], rows: list[list[str]]) -> str:
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in [head, *rows]:
        lines += [f"   {'* -' if i == 0 else '  -'} {cell}".rstrip() for i, cell in enumerate(row)]
    return "\n".join(lines) + "\n"


def _heading(text: str) -> str:
    return f"{text}\n{'-' * len(text)}\n"
