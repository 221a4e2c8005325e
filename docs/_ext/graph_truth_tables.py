"""The tables of the page on graphs from docs/measurements/graph_truth.json and graph_speed.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from zoo_tables import rows

PEERS = {
    "PairSaliency": "CaptumExplainer('Saliency')",
    "PairIntegratedGradients": "CaptumExplainer('IntegratedGradients')",
    "PairGNNExplainer": "GNNExplainer",
}
DECIDERS = {
    "Linux exact": "LINUX, a score that is exact",
    "Linux trained": "LINUX, a trained Siamese GIN",
    "AIDS exact": "AIDS, a score that is exact",
    "AIDS trained": "AIDS, a trained Siamese GIN",
}


def tables(folder: Path) -> dict[str, str]:
    """The text of each include file, by its name."""
    found, fast = (_read(folder / f"graph_{name}.json") for name in ("truth", "speed"))
    return {
        "graph_truth_edits.inc": edits(found.get("ged", {})),
        "graph_truth_motifs.inc": motifs(found.get("motifs", {}).get("Mutagenicity")),
        "graph_speed.inc": speed(fast) if fast else rows([], []),
    }


def edits(found: dict[str, Any]) -> str:
    """Deletions against edit distances."""
    lines = []
    for key, name in DECIDERS.items():
        for value, one in found[key]["by_distance"].items() if key in found else ():
            shares = [
                f"{one[what][0]:.0%} ± {one[what][1]:.0%}"
                for what in ("flipped", "equal", "fewer", "more", "isomorphic", "equal_deletions")
            ]
            known = f" (of {one['deletions_known'][0]:.0%})" if "AIDS" in key else ""
            lines.append([name, value, f"{one['pairs'][0]:.0f}", *shares[:-1], shares[-1] + known])
    head = [
        "Graphs, decided by",
        "Edit distance",
        "Pairs a seed",
        "Flipped",
        "As many deletions",
        "Fewer",
        "More",
        "Really the same graph then",
        "As the deletion distance",
    ]
    return rows(head, lines)


def motifs(found: dict[str, Any] | None) -> str:
    """Explainers of edges against NO2 and NH2."""
    if found is None:
        return rows([], [])

    def cell(value: list[float]) -> str:
        return f"{value[0]:.2f} ± {value[1]:.2f}"

    unsigned = ("random", "PairSaliency", "PairGNNExplainer")
    order = sorted(
        found["explainers"].items(), key=lambda item: -item[1]["alike size"][0] - item[1]["different size"][0]
    )
    lines = [
        [name if name == "random" or name.startswith("PyG") else _page(name)]
        + [cell(one[key]) for key in ("alike size", "different size")]
        + [
            "" if name in unsigned or name.startswith("PyG") else cell(one[key])
            for key in ("alike signed", "different signed")
        ]
        + [f"{one['seconds'][0]:.1f}"]
        for name, one in order
    ]
    head = ["Edges ranked by", "Alike, size", "Different, size", "Alike, signed", "Different, signed", "CPU seconds"]
    return f"ROC-AUC of the models on held-out pairs: {cell(found['pair_auc'])}.\n\n" + rows(head, lines)


def speed(found: dict[str, Any]) -> str:
    """Time over the passes that a method needs, and PyG's explainers twice a pair."""
    alone = {(row["explainer"], row["part"]): row for row in found["rows"] if row["explainer"].startswith("PyG")}
    lines = []
    for row in found["rows"]:
        if row["explainer"].startswith("PyG"):
            continue
        peer = alone.get((f"PyG {PEERS.get(row['explainer'])}", row["part"]))
        cells = [
            f"{row['ratio']:.2f} ({min(row['ratios']):.2f} to {max(row['ratios']):.2f})",
            f"{row['floor_ms_a_pair']:.2f}",
            f"{row['ms_a_pair']:.2f}",
        ]
        lines.append(
            [
                _page(row["explainer"]),
                row["part"],
                str(row["passes"]),
                *cells,
                f"{peer['ms_a_pair']:.1f}" if peer else "",
            ]
        )
    head = [
        "",
        "Explained",
        "Passes",
        "Time / floor (each round)",
        "Floor, ms a pair",
        "Ours, ms a pair",
        "PyG, ms a pair",
    ]
    pairs = max((row["pairs"] for row in alone.values()), default=0)
    return (
        f"{found['pairs']} pairs, {found['nodes']:,} nodes and {found['edges']:,} directed edges, {found['threads']} "
        f"thread, {found['rounds']} rounds, "
        f"{found['machine']}, torch {found['torch']}; PyG on {pairs} of the pairs.\n\n{rows(head, lines)}"
    )


def _page(name: str) -> str:
    return f":doc:`/reference/generated/explainers/{name}`"


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
