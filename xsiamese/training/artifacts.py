"""What a training writes: the checkpoint, metrics and pictures, whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from xsiamese.data.sources import Source
from xsiamese.door.files import folder as in_a_folder
from xsiamese.model.pair import PairModel
from xsiamese.plot.latent import curves, frame, latent_space, plane
from xsiamese.training.engine import Callback, LightningModule, Trainer
from xsiamese.training.evaluation import table
from xsiamese.training.latent import LatentSpace
from xsiamese.training.modality import modality
from xsiamese.training.module import SiameseModule
from xsiamese.training.resume import KEY, described
from xsiamese.training.settings import Settings
from xsiamese.zoo.checkpoint import save


class Keep(Callback):
    """Writes the network after every epoch beside the finished one, and into the state the settings that made it."""

    def __init__(self, path: Path, settings: Settings, source: Source[Any]) -> None:
        self.path, self.settings, self.described = path, settings, described(settings, source)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero:
            assert isinstance(pl_module, SiameseModule)
            pl_module.check_finite()
            about = {**modality(self.settings).described(), "epochs": trainer.current_epoch + 1}
            keep(self.path, pl_module.model, self.settings, about)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint[KEY] = self.described


def artifacts(
    model: PairModel,
    module: SiameseModule,
    settings: Settings,
    source: Source[Any],
    *,
    stem: str,
    second: str,
    latent: LatentSpace | None,
    finished: bool,
) -> tuple[dict[str, Any], tuple[Path, ...]]:
    """Measures, and writes the checkpoint, the metrics and the pictures; they take the places of older ones when all
    are written. An interrupted training does not replace what a finished one gave: it writes beside it. ``second`` is
    whose the second curve is.
    """
    kind = modality(settings)
    metrics: dict[str, Any] = {
        **kind.measure(model, source),
        "epochs": len(module.history["train_loss"]),
        "finished": finished,
        "skipped_files": len(source.train.skipped),
    }
    history = {"train_loss": module.history["train_loss"], f"{second}_loss": module.history["valid_loss"]}
    figures = pictures(model, settings, source, history)
    name = Path(stem).name
    if not finished and _is_finished(Path(f"{stem}.safetensors")):
        name += "-interrupted"
    with TemporaryDirectory(prefix=".xsiamese-", dir=settings.output) as place:
        files = [Path(place, f"{name}.safetensors")]
        keep(files[0], model, settings, {**kind.described(), "epochs": metrics["epochs"], "metrics": metrics})
        for end, text in (
            ("metrics.json", json.dumps({**metrics, "history": history}, indent=2)),
            ("metrics.txt", table(metrics)),
        ):
            files.append(Path(place, f"{name}-{end}"))
            files[-1].write_text(text, encoding="utf-8")
        for end, figure in figures.items():
            files.append(Path(place, f"{name}-{end}"))
            frame(figure).save(files[-1])
        if latent is not None and latent.frames:
            path = Path(place, f"{name}-latent-space-development.gif")
            files.append(latent.save(path, settings.reduction, f"{settings.network}, {source.name}"))
        for path in reversed(files):  # the checkpoint last
            os.replace(path, settings.output / path.name)
    return metrics, tuple(settings.output / path.name for path in files)


def pictures(
    model: PairModel, settings: Settings, source: Source[Any], history: dict[str, list[float]]
) -> dict[str, Any]:
    """Curves, and the embedding of the training and the test items, by the end of the file's name."""
    kind, title = modality(settings), f"{settings.network}, {source.name}"
    found = {"stats.png": curves(history, title), **kind.figures(model, source)}
    embedded = (
        (("training-set-embedding.png", source.train), ("testing-set-embedding.png", source.test))
        if hasattr(model, "encode")
        else ()
    )
    for name, part in embedded:
        shown = part.take(torch.linspace(0, len(part) - 1, min(10_000, len(part))).long())
        points = plane(kind.embed(model, shown), settings.reduction, settings.seed)
        found[name] = latent_space(points, shown.labels, shown.classes, f"{title}: {name.split('-')[0]} set")
    return found


def _is_finished(path: Path) -> bool:
    """Whether a checkpoint is that of a training that came to its end."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {}).get("xsiamese", "{}")).get("about", {})
    except (SafetensorError, OSError, ValueError):
        return False
    return bool(about.get("metrics", {}).get("finished"))


@contextmanager
def written(stem: str) -> Iterator[None]:
    """Says of what cannot be written that it cannot, whoever writes it."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, SafetensorError) as error:
        raise OSError(
            f"{stem}... cannot be written ({error}): make room, or give another --output; what a finished training "
            "wrote there is as it was"
        ) from error


def keep(path: Path, model: PairModel, settings: Settings, about: dict[str, Any]) -> Path:
    """Writes the checkpoint with everything that made it."""
    recipe = settings.recipe
    how = {
        "dataset": settings.dataset,
        "seed": settings.seed,
        "lr": recipe.lr,
        "batch_size": recipe.batch_size,
        "optimizer": recipe.optimizer,
    }
    arguments = {k: v for k, v in settings.arguments.items() if k != "weights"}  # the checkpoint has the weights
    partial = path.with_suffix(".partial")
    try:
        save(partial, model, settings.network, arguments, {**how, **about})
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def writable(folder: Path) -> None:
    """Makes the folder, and says at once if it cannot be written."""
    in_a_folder(folder, "the output")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".xsiamese-write-test"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ValueError(f"the output {folder} cannot be written: {error}") from error
