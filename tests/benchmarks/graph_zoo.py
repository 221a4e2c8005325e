"""Measures the graph zoo: ``python tests/benchmarks/graph_zoo.py [--most N] [--only NETWORK]``.

Every run is one line of graph_zoo.json; what is there is not run again, so the script can be stopped and started at any
time. Every run is
one training by its recipe with another seed, of the network and of the split. "sizes" is no network: the mean over
training pairs of as many nodes.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from xsiamese.data.graphs import LabelledGraphs
from xsiamese.data.pairs import fixed_pairs
from xsiamese.model.pair import PairModel
from xsiamese.pairs.calibration import equal_error_rate
from xsiamese.training.inputs import Ready
from xsiamese.training.quality import ranked
from xsiamese.training.ranking import rank
from xsiamese.training.run import loaded, train
from xsiamese.training.settings import Settings

OUT = Path(__file__).parents[2] / "docs" / "measurements" / "graph_zoo.json"
DATA = Path(os.environ.get("XSIAMESE_DATA", Path(__file__).parents[3] / "shared" / "data"))
DTI: dict[str, Any] = {
    "dataset": str(DATA / "brain_bnu1_dti"),
    "reading": {"pattern": "*NORM*"},
    "valid": 0.15,
    "test": 0.3,
}
ABIDE: dict[str, Any] = {"dataset": str(DATA / "brain_abide_aal116"), "valid": 0.15, "test": 0.3}
MUTAG: dict[str, Any] = {"dataset": "MUTAG", "valid": 0.1, "test": 0.2}
SETS = {
    "BNU_1 DTI": DTI,
    "ABIDE": ABIDE,
    "MUTAG": MUTAG,
    "AIDS700nef": {"dataset": "AIDS700nef"},
    "LINUX": {"dataset": "LINUX"},
}
FIRST = [
    *(("brain-gcn", name, seed) for name in ("BNU_1 DTI", "ABIDE") for seed in range(3)),
    *(
        (network, "MUTAG", seed)
        for network in ("siamese-gcn", "siamese-gin", "siamese-gat", "graph-matching", "simgnn")
        for seed in range(3)
    ),
]
EDITED = [
    (network, name, seed)
    for seed in range(3)
    for network in ("sizes", "simgnn", "graph-matching")
    for name in ("LINUX", "AIDS700nef")
]
RUNS = [*FIRST, *EDITED, *(("siamese-gin", name, seed) for seed in range(3) for name in ("LINUX", "AIDS700nef"))]
KEPT = (
    "accuracy",
    "roc_auc",
    "eer",
    "test_graphs",
    "train_graphs",
    "test_pairs",
    "spearman",
    "spearman_of_all",
    "kendall",
    "precision_at_10",
    "precision_at_20",
    "mse",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=1000, help="runs before it stops")
    parser.add_argument("--only", default="", help="a network")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    done = json.loads(OUT.read_text()) if OUT.is_file() else []
    known = {(r["network"], r["dataset"], r["seed"]) for r in done}
    for run in [run for run in RUNS if run not in known and arguments.only in ("", run[0])][: arguments.most]:
        done.append(one(*run))
        print(done[-1], flush=True)
        OUT.write_text("[\n" + ",\n".join(json.dumps(r) for r in done) + "\n]\n")


def one(network: str, name: str, seed: int) -> dict[str, Any]:
    """One training and its numbers."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            "simgnn" if network == "sizes" else network,
            data=DATA,
            output=Path(folder),
            seed=seed,
            progress=False,
            device="cpu",
            **SETS[name],
        )
        start = time.process_time()
        metrics = by_sizes(settings) if network == "sizes" else train(settings).metrics
        seconds = time.process_time() - start
    found = {
        key: round(metrics[key], 5) if isinstance(metrics[key], float) else metrics[key]
        for key in KEPT
        if key in metrics
    }
    more = plain(loaded(settings).test) if network == "brain-gcn" else {}
    return {
        "network": network,
        "dataset": name,
        "seed": seed,
        "epochs": metrics["epochs"],
        **found,
        **more,
        "cpu_seconds": round(seconds),
    }


class Sizes(PairModel):
    """The mean similarity of the training pairs that have as many nodes; of all of them where there is none."""

    def __init__(self, graphs: LabelledGraphs) -> None:
        super().__init__()
        assert graphs.alike is not None
        assert graphs.known is not None
        alike, n = graphs.alike[graphs.known][:, graphs.known], graphs.sizes
        self.means = nn.Parameter(torch.full((100, 100), float(alike.mean())), requires_grad=False)
        for i in n.unique():
            for j in n.unique():
                self.means[i, j] = alike[n == i][:, n == j].mean()

    def forward(self, a: Any, b: Any, *extra: Any) -> Tensor:
        return self.means[a.ptr.diff(), b.ptr.diff()]


def by_sizes(settings: Settings) -> dict[str, Any]:
    """What the numbers of nodes alone say of how alike two graphs are."""
    source = loaded(settings)
    return {
        **rank(Sizes(source.train), source.test, source.train, Ready()),
        "train_graphs": len(source.train),
        "epochs": 0,
    }


def plain(test: LabelledGraphs) -> dict[str, Any]:
    """What the correlation of two brains' matrices, without any learning, says of the same pairs."""
    from torchmetrics.functional.classification import binary_auroc

    pairs = fixed_pairs(test.labels, 20_000)
    rows = test.x.view(len(test), -1)
    likeness = torch.corrcoef(rows)[pairs.a, pairs.b]
    auc = float(binary_auroc(ranked(likeness), pairs.same.int()))
    return {"plain_roc_auc": round(auc, 5), "plain_eer": round(equal_error_rate(likeness, pairs.same)[0], 5)}


if __name__ == "__main__":
    main()
