"""Going on with a training: only with the settings and the data that began it, and one at a time in a folder."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from xsiamese.data.items import Source
from xsiamese.door.files import locked

if TYPE_CHECKING:
    from xsiamese.training.settings import Settings

FREE = frozenset(
    {"data", "dataset", "output", "device", "devices", "logger", "log_interval", "progress", "resume", "reduction"}
)  # what may change: it leaves the weights as they would be
OF_RECIPE = ("lr", "epochs", "batch_size", "optimizer", "schedule", "options", "augment", "rounds", "per_class")
KEY = "xsiamese_settings"


def described(settings: Settings, source: Source[Any]) -> dict[str, str]:
    """What decides the weights of a training, each as text: settings, the recipe's where none are given, and the data
    by the labels of their parts.
    """
    found = {field.name: getattr(settings, field.name) for field in fields(settings) if field.name not in FREE}
    found |= {name: getattr(settings.recipe, name) for name in OF_RECIPE}
    if settings.recipe.augment is not None:
        found["augment"] = asdict(settings.recipe.augment)
    digest = sha256()
    for part in (source.train, source.valid, source.test):
        digest.update(part.labels.numpy().tobytes() + b"|")
    counts = f"{len(source.train)}, {len(source.valid)} and {len(source.test)} items"
    return {name: str(value) for name, value in found.items()} | {"data": f"{counts} ({digest.hexdigest()[:12]})"}


def continued(last: Path, settings: Settings, source: Source[Any]) -> Path | None:
    """The state to go on from, or None where there is none.

    Raises:
        ValueError: if it cannot be read, or was made with other settings or other data: naming the first that differs.
    """
    if not settings.resume or not last.is_file():
        return None
    start = "leave out --resume to start anew, or give another --output"
    try:
        state: Mapping[str, Any] = torch.load(last, map_location="cpu", weights_only=True, mmap=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(f"{last} cannot be read ({str(error).splitlines()[0]}): {start}") from error
    before, now = state.get(KEY), described(settings, source)
    if before is None:
        raise ValueError(f"{last} does not say with which settings it was made: {start}")
    epochs = {"epochs"} if settings.recipe.schedule != "onecycle" else set()
    changed = [name for name in now if before.get(name) != now[name] and name not in epochs]
    if changed == ["epochs"]:
        raise ValueError(
            f"--resume with epochs={now['epochs']}: the one-cycle schedule was laid out for {before['epochs']} epochs "
            f"from the start; {start}"
        )
    if changed:
        told = ", ".join(f"{name}={now[name]} (it was {before.get(name)})" for name in changed[:3])
        raise ValueError(f"--resume with {told}: the weights so far were not trained so; {start}")
    if (done := int(state["epoch"]) + 1) > settings.recipe.epochs:
        raise ValueError(f"--resume with epochs={settings.recipe.epochs}: {done} are trained already; {start}")
    return last


@contextmanager
def alone(stem: str) -> Iterator[None]:
    """Keeps other trainings out of the same files for as long as this one lives: a lock of the operating system, which
    ends with the process however that ends.

    Raises:
        ValueError: if another training has them.
    """
    if int(os.environ.get("LOCAL_RANK", "0")):  # one of several processes of a training that has the lock
        yield
        return
    folder = Path(f"{stem}-checkpoints")
    folder.mkdir(exist_ok=True)
    taken = f"another training is writing {stem}...: wait for it, or give another --output"
    with locked(folder / "training.lock", taken):
        yield
