"""Measures an epoch of training against its floor: ``python tests/benchmarks/zoo_speed.py``, alone on the machine.

The floor is the same optimiser steps (contrastive loss, EmbeddingNet, Adam) on batches that already lie in memory as
floats. The epoch is
what ``xsiamese train`` runs between the start and the end of a training epoch: sampling of pairs, gathering, bytes to
floats, Lightning,
logging. Both take turns on one thread; the time is that of the processor, so that other work on the machine counts
little; medians are
compared. MNIST, as many anchors as ``--images`` says.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch
from lightning.pytorch import Callback

from xsiamese.data.sources import Source, load
from xsiamese.training.run import fit, make_module, make_trainer
from xsiamese.training.settings import Settings

OUT = Path(__file__).parents[2] / "docs" / "measurements"
DATA = Path(os.environ.get("XSIAMESE_DATA", Path(__file__).parents[3] / "shared" / "data"))


class Clock(Callback):
    """The seconds of each training epoch."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        self.start = time.process_time()

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        self.seconds.append(time.process_time() - self.start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=6400, help="anchors of an epoch")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for size in (32, 256):
        with tempfile.TemporaryDirectory() as folder:
            settings = Settings(
                "siamese-contrastive",
                "MNIST",
                data=DATA / "mnist",
                output=Path(folder),
                batch_size=size,
                epochs=1,
                device="cpu",
            )
            whole = load("MNIST", settings.data, settings.pixels)
            source = Source(
                "MNIST", whole.train.take(range(arguments.images)), whole.valid, whole.test.take(range(256))
            )
            pairs = [(floor(settings, source), epoch(settings, source)) for _ in range(arguments.rounds)]
        lower, ours = (median(column) for column in zip(*pairs, strict=True))
        steps = -(-arguments.images // size)
        rows.append(
            {
                "batch_size": size,
                "floor_ms_per_step": round(1e3 * lower / steps, 3),
                "epoch_ms_per_step": round(1e3 * ours / steps, 3),
                "ratio": round(ours / lower, 3),
                "ratios": [round(b / a, 3) for a, b in pairs],
                "parts_ms_per_step": parts(settings, source),
            }
        )
        print(rows[-1], flush=True)
    (OUT / "zoo_speed.json").write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


def floor(settings: Settings, source: Source) -> float:
    """Seconds of an epoch's steps on batches in memory."""
    torch.manual_seed(0)
    module = make_module(settings.build(), settings, source)
    optimizer = torch.optim.Adam(module.parameters(), settings.recipe.lr)
    from xsiamese.training.run import batches

    ready = [
        (module.ready(batch.inputs), batch.labels, batch.classes) for batch in batches(module, settings, source)[0]
    ]
    start = time.process_time()
    for images, labels, classes in ready:
        optimizer.zero_grad()
        module.loss(module.model, images, labels, classes).backward()
        optimizer.step()
    return time.process_time() - start


def epoch(settings: Settings, source: Source) -> float:
    """Seconds of the same epoch as it is trained."""
    torch.manual_seed(0)
    module, clock = make_module(settings.build(), settings, source), Clock()
    trainer, _ = make_trainer(settings, f"{settings.output}/run")
    trainer.callbacks.insert(0, clock)  # type: ignore[attr-defined]
    fit(trainer, module, settings, source)
    return clock.seconds[0]


def parts(settings: Settings, source: Source) -> dict[str, float]:
    """Where time beyond the floor goes: milliseconds a step of sampling and gathering, and of bytes to floats; the rest
    is Lightning's loop.
    """
    from xsiamese.training.run import batches

    module = make_module(settings.build(), settings, source)
    start = time.process_time()
    ready = list(batches(module, settings, source)[0])
    gathered = time.process_time()
    for batch in ready:
        module.ready(batch.inputs)
    done = time.process_time()
    return {
        "sampling and gathering": round(1e3 * (gathered - start) / len(ready), 3),
        "bytes to floats": round(1e3 * (done - gathered) / len(ready), 3),
    }


if __name__ == "__main__":
    main()
