"""What was chosen for the zoo's trainings, chosen on 10,000 held-out training images: ``python
tests/benchmarks/zoo_choices.py [--only NETWORK]``.

The test set has no part in it, and the seed is none of those of zoo_quality.py. Every run is one line of
zoo_choices.json; what is there is not run again.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from xsiamese.data.pairs import fixed_pairs
from xsiamese.data.sources import load
from xsiamese.training import itemlosses, losses, recipes
from xsiamese.training.evaluation import embed
from xsiamese.training.quality import distance_auc, neighbour_accuracy
from xsiamese.training.run import batches, make_module, make_trainer
from xsiamese.training.settings import Settings

OUT = Path(__file__).parents[2] / "docs" / "measurements" / "zoo_choices.json"
DATA = Path(os.environ.get("XSIAMESE_DATA", Path(__file__).parents[3] / "shared" / "data"))
FOLDERS = {"MNIST": "mnist", "FashionMNIST": "fashion_mnist"}
SAME: dict[str, Any] = {"epochs": 5, "lr": 1e-4, "batch_size": 32, "optimizer": "Adam", "schedule": "constant"}
SEED, SPLIT, NEIGHBOURS = 10, 77, 15_000
Loss = Callable[[recipes.Task], losses.Loss]


def classification(**how: Any) -> Loss:
    return lambda task: itemlosses.Classification(task.dimensions, task.classes, **how)


CHOICES: dict[str, dict[str, tuple[Loss | None, dict[str, Any]]]] = {
    "embedding-classification": {
        "PyTorch's start": (classification(), SAME),
        "even directions, random order": (classification(radius=32.0), SAME),
        "even directions, neighbours alike": (None, SAME),
    },
    "triplet-loss-net": {
        "given triplets": (lambda task: losses.Triplet(), SAME),
        "all triplets of a batch": (None, SAME),
    },
    "embedding-recommended": {
        f"3 epochs, learning rate {lr:g}": (None, {"lr": lr, "epochs": 3}) for lr in (3e-3, 1e-2, 3e-2)
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=CHOICES)
    parser.add_argument("--sets", nargs="*", default=list(FOLDERS), choices=FOLDERS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    done = json.loads(OUT.read_text()) if OUT.is_file() else []
    known = {(r["network"], r["dataset"], r["choice"]) for r in done}
    for network in [arguments.only] if arguments.only else CHOICES:
        for dataset in arguments.sets:
            for choice in CHOICES[network]:
                if (network, dataset, choice) not in known:
                    done.append(one(network, dataset, choice))
                    print(done[-1], flush=True)
                    OUT.write_text("[\n" + ",\n".join(json.dumps(r) for r in done) + "\n]\n")


def one(network: str, dataset: str, choice: str) -> dict[str, Any]:
    """One training on 50,000 images and its numbers on the other 10,000."""
    loss, how = CHOICES[network][choice]
    known = recipes.RECIPES[network]
    changed = known if loss is None else replace(known, loss=loss)
    with tempfile.TemporaryDirectory() as folder, patch.dict(recipes.RECIPES, {network: changed}):  # type: ignore[arg-type]
        settings = Settings(
            network,
            dataset,
            data=DATA / FOLDERS[dataset],
            output=Path(folder),
            seed=SEED,
            progress=False,
            device="cpu",
            **how,
        )
        source = load(dataset, settings.data, settings.pixels, valid=1 / 6, seed=SPLIT)
        torch.manual_seed(SEED)
        model = settings.build()
        module = make_module(model, settings, source)
        trainer, _ = make_trainer(settings, f"{folder}/run")
        trainer.callbacks.clear()  # type: ignore[attr-defined]
        trainer.fit(module, batches(module, settings, source)[0])
    model.eval()
    near = source.train.take(range(NEIGHBOURS))
    z_near, z_held = (embed(model, part.images, settings.pixels) for part in (near, source.valid))
    pairs = fixed_pairs(source.valid.labels, 20_000, 5)
    neighbours = neighbour_accuracy(z_near, near.labels, z_held, source.valid.labels)
    return {
        "network": network,
        "dataset": dataset,
        "choice": choice,
        "5_nn_accuracy": round(neighbours, 4),
        "roc_auc_distance": round(distance_auc(z_held[pairs.a], z_held[pairs.b], pairs.same), 4),
    }


if __name__ == "__main__":
    main()
