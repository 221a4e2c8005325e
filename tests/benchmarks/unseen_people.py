"""What a training on faces is told about its network, against what ten people show that it never got.

    python tests/benchmarks/unseen_people.py ORL_FACES [--seeds 3]

Of the people in the folder (30 of the ORL faces for the numbers in the docs) ten are put away, another ten for each
seed. The network is trained on the folder of the others, once with every person in training and test
(``split="items"``) and once with whole people held out (``split="classes"``, the default), and each time asked about
all pairs of the ten. Writes
docs/measurements/unseen_people.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch

from xsiamese.data.folders import read_folders
from xsiamese.data.pairs import fixed_pairs
from xsiamese.training.evaluation import closeness, embed
from xsiamese.training.quality import decisions
from xsiamese.training.run import train
from xsiamese.training.settings import Settings

NETWORKS: dict[str, dict[str, Any]] = {
    "siamese-contrastive": {"arguments": {"dimensions": 32}, "epochs": 60, "lr": 1e-3},
    "embedding-recommended": {"arguments": {"dimensions": 32}, "epochs": 30},
}
RESULT = Path(__file__).parents[2] / "docs" / "measurements" / "unseen_people.json"


def rates(found: dict[str, Any]) -> dict[str, float]:
    return {name: round(float(found[name]), 4) for name in ("roc_auc", "eer", "far", "frr")}


def measured(faces: Path, network: str, split: str, seed: int) -> dict[str, Any]:
    """What is told of a network, and what is so."""
    people = sorted(path for path in faces.iterdir() if path.is_dir())
    order = torch.randperm(len(people), generator=torch.Generator().manual_seed(seed)).tolist()
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, part in (("others", order[:10]), ("faces", order[10:])):
            for i in part:
                folder = Path(place, name)
                folder.mkdir(exist_ok=True)
                (folder / people[i].name).symlink_to(people[i].resolve())
        settings = Settings(
            network,
            f"{place}/faces",
            output=Path(place, "out"),
            valid=0.2,
            test=0.2,
            split=split,  # type: ignore[arg-type]
            seed=seed,
            device="cpu",
            progress=False,
            **NETWORKS[network],
        )
        trained = train(settings)
        others = read_folders(Path(place, "others"), settings.pixels)
        z, pairs = embed(trained.model, others.images, settings.pixels), fixed_pairs(others.labels, 20_000)  # type: ignore[arg-type]
    close = closeness(trained.model, z[pairs.a], z[pairs.b])  # type: ignore[arg-type]
    decision = trained.model.decision(trained.metrics["threshold"])
    told = trained.metrics
    return {
        "network": network,
        "split": split,
        "seed": seed,
        "told": rates(told),
        "told_far_interval": [round(x, 4) for x in told["far_interval"]],
        "told_frr_interval": [round(x, 4) for x in told["frr_interval"]],
        "ten_others": rates(decisions(close, pairs.same, decision)),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("faces", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    rows = []
    for network in NETWORKS:
        for seed in range(given.seeds):
            for split in ("items", "classes"):
                rows.append(measured(given.faces, network, split, seed))
                print(json.dumps(rows[-1]), flush=True)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
