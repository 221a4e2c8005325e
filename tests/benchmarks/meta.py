"""Which metrics tell the truth from noise on the planted sets. Writes docs/measurements/meta.json.

``python tests/benchmarks/meta.py patches rows`` measures these sets, all if left out, on 24 pairs each.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path

import torch

from xsiamese.data.planted import SCENES, planted
from xsiamese.metrics.meta import GRADES, meta_scores
from xsiamese.zoo import shipped

OUT = Path(__file__).parents[2] / "docs" / "measurements" / "meta.json"
SEED = 5  # pairs of neither half of the scoreboard


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", default=list(SCENES))
    parser.add_argument("--pairs", type=int, default=24)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    known = json.loads(OUT.read_text()) if OUT.exists() else {"grades": list(GRADES), "sets": {}}
    for name in options.sets:
        scores = meta_scores(shipped(f"planted-{name}").model, planted(name, options.pairs, SEED))
        known["sets"][name] = {
            metric: {
                "means": [round(mean, 4) for mean in one.means],
                "ordered": one.ordered,
                "pairs": one.pairs,
                "tells": one.tells,
                "error": one.error.splitlines()[0] if one.error else "",
            }
            for metric, one in scores.items()
        }
        print(name, [metric for metric, one in scores.items() if one.tells], flush=True)
        OUT.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main()
