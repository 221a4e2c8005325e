"""The tables of the zoo page: the networks from their cards, the numbers from docs/measurements/zoo_*.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from xsiamese.zoo.image import CARDS

ORIGINAL = {
    ("embedding-classification", "MNIST"): (0.893, 0.923),
    ("embedding-classification", "FashionMNIST"): (0.653, 0.867),
    ("siamese-contrastive", "MNIST"): (0.929, 0.982),
    ("siamese-contrastive", "FashionMNIST"): (0.757, 0.949),
    ("siamese-binary-cross-entropy", "MNIST"): (0.583, 0.876),
    ("siamese-binary-cross-entropy", "FashionMNIST"): (0.608, 0.878),
    ("triplet-loss-net", "MNIST"): (0.913, 0.974),
    ("triplet-loss-net", "FashionMNIST"): (0.755, 0.940),
}


def tables(folder: Path) -> dict[str, str]:
    """The text of each include file, by its name."""
    return {
        "zoo_networks.inc": networks(),
        "zoo_same.inc": same_settings(_read(folder, "zoo_quality")),
        "zoo_recommended.inc": recommended(_read(folder, "zoo_quality")),
        "zoo_choices.inc": choices(_read(folder, "zoo_choices")),
        "zoo_speed.inc": speed(_read(folder, "zoo_speed")),
        "zoo_more.inc": more(_read(folder, "zoo_omniglot"), _read(folder, "zoo_flowers")),
    }


def networks() -> str:
    """One row a card."""
    return rows(
        ["Network", "Input", "Embedding", "Comparison", "Layer", "What it is"],
        [
            [
                f"``{c.name}``",
                " x ".join(map(str, c.input)),
                str(c.embedding),
                c.comparison,
                f"``{c.layer}``",
                c.summary,
            ]
            for c in CARDS
        ],
    )


def same_settings(found: list[dict[str, Any]]) -> str:
    """The four networks under the settings of the original, beside it."""
    lines = []
    for (network, dataset), (neighbours, auc) in ORIGINAL.items():
        runs = [r for r in found if (r["network"], r["dataset"]) == (network, dataset)]
        if runs:
            ours = [f"{mean(r[key] for r in runs):.3f}" for key in ("5_nn_accuracy", "roc_auc_distance")]
            lines.append([f"``{network}``", dataset, f"{neighbours:.3f} / {auc:.3f}", " / ".join(ours), str(len(runs))])
    return rows(["Network", "Data", "Original", "xsiamese", "Seeds"], lines)


def recommended(found: list[dict[str, Any]]) -> str:
    """The recommended recipes and the VAE."""
    lines = []
    for network in ("embedding-recommended", "small", "vae"):
        for dataset in ("MNIST", "FashionMNIST"):
            runs = [r for r in found if (r["network"], r["dataset"]) == (network, dataset)]
            if runs:
                numbers = [f"{mean(r[key] for r in runs):.4f}" for key in ("5_nn_accuracy", "roc_auc", "eer")]
                lines.append([f"``{network}``", dataset, str(runs[0]["epochs"]), *numbers, str(len(runs))])
    return rows(["Network", "Data", "Epochs", "5-NN accuracy", "ROC-AUC", "EER", "Seeds"], lines)


def choices(found: list[dict[str, Any]]) -> str:
    """What was chosen on held-out training images."""
    lines = [
        [f"``{r['network']}``", r["dataset"], r["choice"], f"{r['5_nn_accuracy']:.4f}", f"{r['roc_auc_distance']:.3f}"]
        for r in found
    ]
    return rows(["Network", "Data", "Choice", "5-NN accuracy", "ROC-AUC"], lines)


def speed(found: list[dict[str, Any]]) -> str:
    """Epoch against floor."""
    lines = []
    for r in found:
        numbers = [
            *(r[key] for key in ("floor_ms_per_step", "epoch_ms_per_step", "ratio")),
            *r["parts_ms_per_step"].values(),
        ]
        lines.append([str(r["batch_size"]), *(f"{value:.2f}" for value in numbers)])
    return rows(
        [
            "Batch",
            "Floor, ms a step",
            "Epoch, ms a step",
            "Epoch / floor",
            "Sampling and gathering, ms",
            "Bytes to floats, ms",
        ],
        lines,
    )


def more(omniglot: Any, flowers: Any) -> str:
    """Omniglot and flowers."""
    lines = []
    if omniglot:
        result = (
            f"20-way one-shot accuracy {omniglot['one_shot_20_way_accuracy']:.3f} (published: 0.92), "
            f"verification ROC-AUC {omniglot['roc_auc']:.3f}"
        )
        lines.append(
            [
                "Koch, Omniglot",
                f"{result} on characters not trained on",
                f"{omniglot['steps']} steps of 64 drawings, {omniglot['cpu_minutes']:g} minutes of one core",
            ]
        )
    if flowers:
        low, high = flowers["roc_auc_interval"]
        result = (
            f"test ROC-AUC {flowers['roc_auc']:.3f}, 95 % interval {low:.3f} to {high:.3f}, "
            f"{flowers['test_images']} test images"
        )
        how = (
            f"{flowers['backbone']}, {flowers['size']} pixels, {flowers['epochs']} epochs, "
            f"{flowers['cpu_minutes']:g} minutes of one core"
        )
        lines.append(["Livieris, flowers", result, how])
    return rows(["Network, data", "Result", "Training"], lines)


def rows(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A list table, or that there is nothing yet."""
    if not lines:
        return "Nothing has been measured in this checkout yet.\n"
    text = [".. list-table::", "   :header-rows: 1", ""]
    for line in (head, *lines):
        text += [f"   {'*' if i == 0 else ' '} - {cell}" for i, cell in enumerate(line)]
    return "\n".join(text) + "\n"


def _read(folder: Path, name: str) -> Any:
    path = folder / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
