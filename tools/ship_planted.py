"""Trains and writes the reference models of the planted sets that the package ships, a few minutes on one core.

python tools/ship_planted.py [patches digits rows series words motifs]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from xsiamese.data.planted import SCENES
from xsiamese.data.planted_fit import about, fit
from xsiamese.zoo import find_card, save

WEIGHTS = Path(__file__).parents[1] / "xsiamese" / "zoo" / "weights"


def main() -> None:
    """Trains, measures, writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(SCENES), metavar="NAME")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.names:
        model = fit(name, seed=options.seed)
        said = about(model, name, options.seed)
        card = find_card(f"planted-{name}")
        assert card.weights is not None
        save(WEIGHTS / card.weights, model, card.name, card.defaults, said)
        print(name, said, flush=True)


if __name__ == "__main__":
    main()
