"""Measures the networks of the image zoo on full MNIST and FashionMNIST: ``python tests/benchmarks/zoo_quality.py
[--most N]``.

Every run is one line of zoo_quality.json; what is there is not run again, so the script can be stopped and started at
any time.
Columns: 5-NN accuracy of the test embedding in the train embedding, and ROC-AUC of 20,000 test pairs by Euclidean
    distance.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from xsiamese.data.sources import load
from xsiamese.training.evaluation import evaluate
from xsiamese.training.run import fit, make_module, make_trainer
from xsiamese.training.settings import Settings

OUT = Path(__file__).parents[2] / "docs" / "measurements"
DATA = Path(os.environ.get("XSIAMESE_DATA", Path(__file__).parents[3] / "shared" / "data"))
FOLDERS = {"MNIST": "mnist", "FashionMNIST": "fashion_mnist"}
SAME: dict[str, Any] = {"epochs": 5, "lr": 1e-4, "batch_size": 32, "optimizer": "Adam", "schedule": "constant"}
FRIENDS = ("siamese-contrastive", "siamese-binary-cross-entropy", "triplet-loss-net", "embedding-classification")
RUNS = [
    *(("embedding-recommended", dataset, 0, {}) for dataset in FOLDERS),
    *((network, dataset, 0, SAME) for network in FRIENDS for dataset in FOLDERS),
    *(("small", dataset, 0, {}) for dataset in FOLDERS),
    *((network, dataset, seed, SAME) for seed in (1, 2) for dataset in FOLDERS for network in FRIENDS),
    *(("embedding-recommended", dataset, seed, {}) for seed in (1, 2) for dataset in FOLDERS),
    *(("vae", dataset, 0, {}) for dataset in FOLDERS),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=1000, help="runs before it stops")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, one thread each")
    parser.add_argument("--only", default="", help="a network")
    arguments = parser.parse_args()
    path = OUT / "zoo_quality.json"
    done = json.loads(path.read_text()) if path.is_file() else []
    known = {(r["network"], r["dataset"], r["seed"]) for r in done}
    left = [run for run in RUNS if run[:3] not in known and arguments.only in ("", run[0])][: arguments.most]
    with get_context("spawn").Pool(arguments.jobs) as pool:
        for result in pool.imap(one, left):
            print(result, flush=True)
            done.append(result)
            path.write_text("[\n" + ",\n".join(json.dumps(r) for r in done) + "\n]\n")


def one(run: tuple[str, str, int, dict[str, Any]]) -> dict[str, Any]:
    """One training and its numbers."""
    network, dataset, seed, how = run
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            network,
            dataset,
            data=DATA / FOLDERS[dataset],
            output=Path(folder),
            seed=seed,
            progress=False,
            device="cpu",
            **how,
        )
        source = load(dataset, settings.data, settings.pixels, seed=seed)
        torch.manual_seed(seed)
        model = settings.build()
        module = make_module(model, settings, source)
        trainer, _ = make_trainer(settings, f"{folder}/run")
        start = time.perf_counter()
        fit(trainer, module, settings, source)
        seconds = time.perf_counter() - start
        metrics = evaluate(model.eval(), source.train, source.test, settings.pixels, seed=seed)
    recipe = settings.recipe
    return {
        "network": network,
        "dataset": dataset,
        "seed": seed,
        "epochs": recipe.epochs,
        "lr": recipe.lr,
        "batch_size": recipe.batch_size,
        "5_nn_accuracy": round(metrics["5_nn_accuracy"], 4),
        "roc_auc_distance": round(metrics["roc_auc_distance"], 4),
        "roc_auc": round(metrics["roc_auc"], 4),
        "accuracy": round(metrics["accuracy"], 4),
        "eer": round(metrics["eer"], 4),
        "seconds": round(seconds),
    }


if __name__ == "__main__":
    main()
