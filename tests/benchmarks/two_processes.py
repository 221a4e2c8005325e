"""A training by two processes with gloo, as torchrun begins them, against one process with the same global batch.

The weights after two epochs of ``siamese-mlp`` with SGD, and the embeddings' distances of all pairs with Adam. Adam
divides a gradient by its own size: the last bias of an encoder whose embeddings are subtracted has a gradient of
rounding noise alone, and moves by the learning rate in a direction of its own on every machine; no score depends on it.

Run ``python tests/benchmarks/two_processes.py``; it writes ``docs/measurements/two_processes.json``.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from xsiamese.zoo import open_model

OUT = Path(__file__).parents[2] / "docs" / "measurements" / "two_processes.json"
BATCH = 32  # of all processes together


def table(path: Path) -> None:
    """256 rows of four classes."""
    draw = random.Random(0)
    rows = [f"{draw.gauss(i % 4, 1)},{draw.gauss(-(i % 4), 1)},{draw.gauss(0, 1)},k{i % 4}" for i in range(256)]
    path.write_text("x,y,z,kind\n" + "\n".join(rows) + "\n")


def trained(folder: Path, processes: int, optimizer: str) -> Any:
    """The network that the command line trains."""
    out = folder / f"{optimizer}-{processes}"
    many = ["torch.distributed.run", "--nproc-per-node", str(processes), "-m"] if processes > 1 else []
    command = [
        sys.executable, "-m", *many, "xsiamese", "train", "siamese-mlp", str(folder / "t.csv"), "--target", "kind",
        "--epochs", "2", "--batch-size", str(BATCH // processes), "--device", "cpu", "--devices", str(processes),
        "--optimizer", optimizer, "--output", str(out),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return open_model(str(out / "siamese-mlp-t.safetensors")).model


def main() -> None:
    """Trains, compares, and writes by how much they differ."""
    found: dict[str, Any] = {"global_batch": BATCH, "epochs": 2}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        table(folder / "t.csv")
        rows = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
        for optimizer in ("SGD", "Adam"):
            one, two = (trained(folder, processes, optimizer) for processes in (1, 2))
            other = two.state_dict()
            weights = {key: float((value - other[key]).abs().max()) for key, value in one.state_dict().items()}
            with torch.no_grad():
                scores = one(rows[:100], rows[100:]) - two(rows[:100], rows[100:])
            found[optimizer] = {"weights": weights, "scores": float(scores.abs().max())}
    OUT.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
