"""Explanations of graphs against truths that are known. Writes docs/measurements/graph_truth.json.

``python tests/benchmarks/graph_truth.py ged`` measures counterfactual edits against exact edit distances
(graph_distances.py), ``motifs`` every explainer of
edges against the NO2 and NH2 groups of Mutagenicity (graph_motifs.py). Without a part both are run. Real data:
XSIAMESE_DATA or ../shared/data.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[2]
OUT = ROOT / "docs" / "measurements" / "graph_truth.json"
DATA = Path(os.environ.get("XSIAMESE_DATA", ROOT.parent / "shared" / "data"))


def keep(part: str, name: str, found: dict[str, Any]) -> None:
    """Writes one result beside those that are known."""
    known = json.loads(OUT.read_text()) if OUT.exists() else {}
    known[part] = {**known.get(part, {}), name: found}
    OUT.write_text(json.dumps({**known, "torch": torch.__version__}, indent=2) + "\n")
    print(part, name, json.dumps(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="?", choices=("ged", "motifs"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--pairs", type=int, default=0, help="of each edit distance, or of each kind; 0 is the published number"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.part in (None, "ged"):
        from graph_distances import distances

        for name, each in (("Linux", 25), ("AIDS", 10)):
            for decider in ("exact", "trained"):
                keep("ged", f"{name} {decider}", distances(DATA, name, decider, options.seeds, options.pairs or each))
    if options.part in (None, "motifs"):
        from graph_motifs import motifs

        keep("motifs", "Mutagenicity", motifs(DATA, options.seeds, options.pairs or 40))


if __name__ == "__main__":
    main()
