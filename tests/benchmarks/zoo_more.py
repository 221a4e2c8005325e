"""Measures Livieris' network on flowers and Koch's on Omniglot: ``python tests/benchmarks/zoo_more.py flowers|omniglot
[--minutes 4]``.

Omniglot is trained on the two small background sets (242 characters) and measured by the 20 one-shot runs of Lake et
al. Training goes on where
the last call stopped (folder ``--work``), for so many minutes a call; ``cpu_minutes`` counts all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback

from xsiamese.data import Augment, fixed_pairs, omniglot
from xsiamese.training.evaluation import closeness, embed
from xsiamese.training.oneshot import one_shot_accuracy
from xsiamese.training.quality import decisions
from xsiamese.training.run import fit, loaded, make_module, make_trainer, train
from xsiamese.training.settings import Settings, sized

OUT = Path(__file__).parents[2] / "docs" / "measurements"
DATA = Path(os.environ.get("XSIAMESE_DATA", Path(__file__).parents[3] / "shared" / "data"))


class Enough(Callback):
    """Stops when the time is over, also within an epoch."""

    def __init__(self, minutes: float) -> None:
        self.end = time.monotonic() + 60 * minutes

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        trainer.should_stop = trainer.should_stop or time.monotonic() > self.end


def flowers(work: Path) -> None:
    """A small ResNet of timm from scratch on 40 x 40 pixels, augmented; the images split by image."""
    how: dict[str, Any] = {
        "epochs": 15,
        "lr": 1e-3,
        "batch_size": 32,
        "optimizer": "AdamW",
        "schedule": "onecycle",
        "valid": 0.1,
        "test": 0.25,
    }
    augment = Augment(horizontal=0.5, degrees=15, shift=0.1, scale=0.2)
    settings = Settings(
        "livieris",
        str(DATA / "flowers"),
        output=work,
        arguments={"backbone": "timm/resnet10t"},
        augment=augment,
        device="cpu",
        progress=False,
        **how,
    )
    start = time.process_time()
    metrics = train(sized(settings, 40)).metrics
    minutes = round((time.process_time() - start) / 60, 1)
    write(
        "zoo_flowers.json",
        {**metrics, "backbone": "timm/resnet10t without weights", "size": 40, "cpu_minutes": minutes},
    )


def koch(work: Path, minutes: float) -> None:
    """Koch's network, as long as time allows."""
    settings = Settings(
        "koch",
        "Omniglot",
        data=DATA / "omniglot",
        output=work,
        device="cpu",
        progress=False,
        schedule="constant",
        lr=3e-4,
        epochs=1000,
        resume=True,
    )
    source = loaded(settings)
    torch.manual_seed(settings.seed)
    module = make_module(settings.build(), settings, source)
    stem = f"{work}/koch-Omniglot"
    trainer, last = make_trainer(settings, stem)
    trainer.callbacks.append(Enough(minutes))  # type: ignore[attr-defined]
    start = time.process_time()
    fit(trainer, module, settings, source, last if last.is_file() else None)
    clock = work / "cpu-minutes"
    spent = (float(clock.read_text()) if clock.is_file() else 0.0) + (time.process_time() - start) / 60
    clock.write_text(str(spent))
    model = module.model.eval()
    pairs = fixed_pairs(source.test.labels, 5000)
    z = embed(model, source.test.images, settings.pixels, 50)
    found = decisions(closeness(model, z[pairs.a], z[pairs.b]), pairs.same, model.decision(0.0))
    accuracy = one_shot_accuracy(model, omniglot.runs(settings.data), settings.pixels)
    history = {key: values for key, values in module.history.items() if values}
    numbers = {
        "one_shot_20_way_accuracy": accuracy,
        "roc_auc": found["roc_auc"],
        "eer": found["eer"],
        "test_pairs": len(pairs.same),
    }
    write(
        "zoo_omniglot.json",
        {
            **numbers,
            "steps": trainer.global_step,
            "epochs": len(history["train_loss"]),
            "cpu_minutes": round(spent, 1),
            "history": history,
        },
    )


def write(name: str, found: dict[str, Any]) -> None:
    """Writes and prints the numbers."""
    text = json.dumps(found)
    (OUT / name).write_text(text + "\n")
    print(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["flowers", "omniglot"])
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--work", type=Path, default=Path("zoo-work"))
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    arguments.work.mkdir(parents=True, exist_ok=True)
    if arguments.what == "flowers":
        flowers(arguments.work)
    else:
        koch(arguments.work, arguments.minutes)


if __name__ == "__main__":
    main()
