"""The tables of the graph zoo's page: the networks from their cards, the numbers from
docs/measurements/graph_zoo.json.
"""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from zoo_tables import rows

from xsiamese.zoo.graph import CARDS

PAPER = {
    "AIDS700nef": ("1.189", "0.843", "0.690", "0.421", "0.514"),
    "LINUX": ("1.509", "0.939", "0.830", "0.942", "0.933"),
}
NAMES = tuple(card.name for card in CARDS)
RANKED = ("spearman", "kendall", "precision_at_10", "precision_at_20")


def tables(folder: Path) -> dict[str, str]:
    """The text of each include file, by its name."""
    path = folder / "graph_zoo.json"
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    return {
        "graph_networks.inc": networks(),
        "graph_brains.inc": brains(found),
        "graph_classes.inc": classes(found),
        "graph_edits.inc": edits(found),
    }


def networks() -> str:
    """One row a card."""
    papers = [", ".join(f":cite:`{key}`" for key in card.paper) for card in CARDS]
    lines = [
        [f"``{c.name}``", c.comparison, f"``{c.layer}``", c.summary, p] for c, p in zip(CARDS, papers, strict=True)
    ]
    return rows(["Network", "Comparison", "Layer", "What it is", "Source"], lines)


def brains(found: list[dict[str, Any]]) -> str:
    """Brain networks, beside the plain correlation of the matrices."""
    lines = []
    for dataset, task in (("BNU_1 DTI", "same person"), ("ABIDE", "same diagnosis")):
        runs = of(found, "brain-gcn", dataset)
        if runs:
            cells = [spread(runs, key) for key in ("roc_auc", "accuracy", "eer", "plain_roc_auc")]
            lines.append([f"{dataset}, {task}", *cells, sizes(runs), seconds(runs)])
    return rows(
        ["Data", "ROC-AUC", "Accuracy", "EER", "ROC-AUC of plain correlation", "Graphs to train / test", "CPU seconds"],
        lines,
    )


def classes(found: list[dict[str, Any]]) -> str:
    """Pairs of MUTAG."""
    lines = []
    for name in NAMES:
        runs = of(found, name, "MUTAG")
        if runs:
            lines.append(
                [
                    f"``{name}``",
                    *(spread(runs, key) for key in ("accuracy", "roc_auc", "eer")),
                    sizes(runs),
                    seconds(runs),
                ]
            )
    return rows(["Network", "Pair accuracy", "ROC-AUC", "EER", "Graphs to train / test", "CPU seconds"], lines)


def edits(found: list[dict[str, Any]]) -> str:
    """Edit distances, beside what Bai et al. print."""
    lines = []
    for dataset, printed in PAPER.items():
        lines.append([dataset, "SimGNN as printed :cite:`bai2019`", *printed, "", ""])
        for name in ("sizes", *NAMES):
            runs = of(found, name, dataset)
            if runs:
                error = [{"mse": 1e3 * r["mse"]} for r in runs]
                called = "no network: numbers of nodes" if name == "sizes" else f"``{name}``"
                lines.append(
                    [
                        dataset,
                        called,
                        spread(error, "mse"),
                        *(spread(runs, key) for key in RANKED),
                        str(len(runs)),
                        seconds(runs),
                    ]
                )
    head = ["Data", "Network", "MSE, 1e-3", "Spearman", "Kendall", "p@10", "p@20", "Seeds", "CPU seconds"]
    return rows(head, lines if found else [])


def of(found: list[dict[str, Any]], network: str, dataset: str) -> list[dict[str, Any]]:
    """The runs of a network on a data set."""
    return [r for r in found if (r["network"], r["dataset"]) == (network, dataset)]


def spread(runs: list[dict[str, Any]], key: str) -> str:
    """Mean and standard deviation over the seeds."""
    values = [r[key] for r in runs]
    return f"{mean(values):.3f} ± {stdev(values):.3f}" if len(values) > 1 else f"{values[0]:.3f}"


def sizes(runs: list[dict[str, Any]]) -> str:
    return f"{runs[0]['train_graphs']} / {runs[0]['test_graphs']}"


def seconds(runs: list[dict[str, Any]]) -> str:
    return f"{mean(r['cpu_seconds'] for r in runs):.0f}"
