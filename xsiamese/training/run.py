"""One training from settings to artifacts: what ``xsiamese train`` does."""

from __future__ import annotations

import signal
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from xsiamese.data.batches import Batches
from xsiamese.data.pairs import Pairs, anchor_pairs
from xsiamese.data.sources import Source
from xsiamese.model.pair import PairModel
from xsiamese.training.artifacts import Keep, artifacts, writable, written
from xsiamese.training.engine import Callback, Trainer
from xsiamese.training.evaluation import embeddings
from xsiamese.training.latent import LatentSpace
from xsiamese.training.modality import modality
from xsiamese.training.module import SiameseModule
from xsiamese.training.recipes import Task
from xsiamese.training.resume import alone, continued
from xsiamese.training.settings import Settings


@dataclass(frozen=True)
class Trained:
    """What a training gave.

    Attributes:
        model: in evaluation mode, with its threshold.
        metrics: as in the JSON file.
        files: what was written, the checkpoint first; nothing by the other processes of a training on several devices.
        finished: False after Ctrl-C.
    """

    model: PairModel
    metrics: dict[str, Any]
    files: tuple[Path, ...]
    finished: bool


def train(settings: Settings) -> Trained:
    """Trains a network of the zoo and writes curves, latent space, metrics and the checkpoint.

    What was there before is replaced when everything is written, and by a finished training only.

    Raises:
        ValueError: before training, for anything that would stop it: an output that cannot be written, data without
            pairs, another training there, a state to resume that was made with other settings.
        FloatingPointError: for a loss that is not finite; the batch is saved and the network of the last epoch kept.
        OSError: if something cannot be written, such as on a full disk; what was there before is as it was.
    """
    settings.check_arguments()
    writable(settings.output)
    source = loaded(settings)
    settings = settings.changed(arguments={**modality(settings).arguments(source), **settings.arguments})
    stem = f"{settings.output}/{settings.network}-{source.name}"
    with alone(stem), written(stem):
        return _trained(settings, source, stem)


def _trained(settings: Settings, source: Source[Any], stem: str) -> Trained:
    resumed = continued(Path(f"{stem}-checkpoints", "last.ckpt"), settings, source)
    torch.manual_seed(settings.seed)
    model = settings.build()
    last = Path(f"{stem}-last-epoch.safetensors")
    module = make_module(model, settings, source, Path(f"{stem}-nan-batch.safetensors"), last)
    latent = (
        LatentSpace(source.test if len(source.test) else source.train)
        if settings.animation and hasattr(model, "encode")
        else None
    )
    validated = watched(module, source)[0] == "valid"
    trainer = make_trainer(settings, stem, latent, validated=validated)[0]
    trainer.callbacks.append(Keep(last, settings, source))  # type: ignore[attr-defined]
    finished = fit(trainer, module, settings, source, resumed)
    keeper: Any = trainer.checkpoint_callback
    best = keeper.best_model_path if validated else ""
    if finished and best:
        module.load_state_dict(torch.load(best, map_location="cpu", weights_only=True)["state_dict"])
    model.eval().cpu()
    if not trainer.is_global_zero:  # one process of several evaluates and writes
        return Trained(model, {}, (), finished)
    second = watched(module, source)[0]
    metrics, files = artifacts(
        model, module, settings, source, stem=stem, second=second, latent=latent, finished=finished
    )
    last.unlink(missing_ok=True)
    return Trained(model, metrics, files, finished)


def loaded(settings: Settings) -> Source[Any]:
    """The data set of these settings; a tenth is for validation where the training depends on it and
    nothing is said.
    """
    valid = 0.1 if settings.valid is None and settings.needs_validation else settings.valid
    kind = modality(settings)
    found = kind.load(valid)
    if settings.needs_validation and not len(found.valid):
        raise ValueError(
            f"valid={valid}: early stopping and the plateau schedule need validation {kind.noun}, and there are none"
        )
    kind.check(found)
    return found


def make_module(
    model: PairModel,
    settings: Settings,
    source: Source[Any],
    bad_batch: Path | None = None,
    kept: Path | None = None,
) -> SiameseModule:
    """The Lightning module of these settings.

    Raises:
        ValueError: if the loss compares embeddings and the model has none.
    """
    recipe, kind = settings.recipe, modality(settings)
    ready = kind.ready()
    dimensions = embeddings(model, source.train.take([0]), ready).shape[1] if model.factored else 0
    pixels = settings.card.preprocessing and settings.pixels
    loss = recipe.loss(
        Task(settings.card, dimensions, len(source.train.classes), pixels, kind.graded(source), source.train)
    )
    if loss.embeddings and not model.factored:
        raise ValueError(
            f"{type(loss).__name__} compares embeddings, and {settings.network} does not encode a side without the "
            "other: a loss of scores is needed"
        )
    return SiameseModule(
        model,
        loss,
        ready,
        lr=recipe.lr,
        optimizer=recipe.optimizer,
        options=recipe.options,
        schedule=recipe.schedule,
        plateau=settings.plateau,
        seed=settings.seed,
        log_interval=settings.log_interval,
        bad_batch=bad_batch,
        kept=kept,
    )


def make_trainer(
    settings: Settings, stem: str, latent: LatentSpace | None = None, validated: bool = False
) -> tuple[Trainer, Path]:
    """Lightning's trainer and where its last state is written for ``resume``."""
    from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, TQDMProgressBar
    from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

    folder = Path(f"{stem}-checkpoints")
    if not settings.resume and folder.is_dir():
        for old in folder.glob("*.ckpt"):
            old.unlink()
    watch: dict[str, Any] = {"monitor": "valid_loss"} if validated else {}
    callbacks: list[Callback] = [
        ModelCheckpoint(
            folder,
            filename="best",
            save_last=True,
            enable_version_counter=False,
            save_on_train_epoch_end=not validated,
            **watch,
        ),
    ]
    if latent is not None:
        callbacks.insert(0, latent)
    if settings.patience is not None:
        callbacks.append(EarlyStopping("valid_loss", patience=settings.patience, min_delta=settings.min_delta))
    if settings.progress:
        callbacks.append(TQDMProgressBar(refresh_rate=settings.log_interval))
    made = {"csv": CSVLogger, "tensorboard": TensorBoardLogger}[settings.logger](
        settings.output, name=f"{Path(stem).name}-logs"
    )
    trainer = Trainer(
        max_epochs=settings.recipe.epochs,
        accelerator={"cuda": "gpu"}.get(settings.device, settings.device),
        devices=settings.devices,
        precision=settings.precision,  # type: ignore[arg-type]  # Lightning names them one by one
        gradient_clip_val=settings.clip,
        logger=made,
        callbacks=callbacks,
        log_every_n_steps=settings.log_interval,
        enable_model_summary=False,
        enable_progress_bar=settings.progress,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )
    return trainer, folder / "last.ckpt"


def fit(
    trainer: Trainer, module: SiameseModule, settings: Settings, source: Source[Any], resume: Path | None = None
) -> bool:
    """Trains; False if it was stopped by Ctrl-C."""
    train_batches, valid_batches = batches(module, settings, source)
    before = signal.getsignal(signal.SIGINT)
    try:
        with torch.random.fork_rng(), warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore",
                message=".*(does not have many workers|Checkpoint directory|LeafSpec|srun|number of training "
                "batches).*",
            )
            trainer.fit(
                module,
                train_batches,
                valid_batches,
                ckpt_path=None if resume is None else str(resume),
                weights_only=True,
            )
    except SystemExit:  # what Lightning makes of Ctrl-C, which it ignores from then on
        if not trainer.interrupted:
            raise
        signal.signal(signal.SIGINT, before)
    return not trainer.interrupted


def watched(module: SiameseModule, source: Source[Any]) -> tuple[str, Any]:
    """The items of the second curve, and whose they are: of a loss that knows the training classes one by one, items of
    these.
    """
    if module.loss.of_classes and source.seen is not None:
        return "seen", source.seen
    return ("valid", source.valid) if len(source.valid) else ("test", source.test)


def batches(module: SiameseModule, settings: Settings, source: Source[Any]) -> tuple[Batches, Batches]:
    """Training batches, and fixed ones for the second curve: of validation items, or of test items where there are
    none.
    """
    size, kind, given = settings.recipe.batch_size, module.loss.kind, source.pairs
    second = watched(module, source)[1]
    if given is None and settings.recipe.given_pairs and kind == "pairs":
        given = tuple(  # type: ignore[assignment]
            anchor_pairs(part.labels, settings.iterations, settings.seed + i, part.classes) if len(part) else None
            for i, part in enumerate((source.train, source.valid, source.test))
        )
    pairs: tuple[Pairs | None, Pairs | None] = (
        (None, None) if given is None else (given[0], given[1] if len(source.valid) else given[2])
    )
    rows, groups, rounds, apart = (
        modality(settings).rows(second, size),
        settings.recipe.per_class,
        settings.recipe.rounds,
        not module.model.factored,
    )
    return (
        Batches(
            source.train, kind, size, seed=settings.seed, fixed=pairs[0], per_class=groups, rounds=rounds, apart=apart
        ),
        Batches(second, kind, rows, seed=settings.seed, fixed=pairs[1], shuffle=False, per_class=groups, apart=apart),
    )
