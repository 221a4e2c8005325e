"""The settings of a training: what the command line and a config.yml say, checked before anything starts."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from inspect import signature
from math import inf
from pathlib import Path
from typing import Any

import torch

from xsiamese.data.augment import Augment
from xsiamese.data.division import Division
from xsiamese.door.arguments import check
from xsiamese.model.pair import PairModel
from xsiamese.plot.latent import Reduction
from xsiamese.training.recipes import OLD_NAMES, Optimizer, Recipe, Schedule, recipe
from xsiamese.zoo.cards import ModelCard, Preprocessing
from xsiamese.zoo.checkpoint import find_card

# Inputs are made in single precision, so that weights in half or double precision do not fit them.
PRECISIONS = ("32-true", "32", "bf16-mixed", "16-mixed")
PLAIN = (
    "lr", "epochs", "batch_size", "optimizer", "schedule", "clip", "patience", "min_delta", "valid", "test", "split",
    "iterations", "animation", "reduction", "log_interval", "seed", "resume", "progress",
)  # fmt: skip
"""The settings that are numbers, choices or switches."""


@dataclass(frozen=True)
class Settings:
    """A training. What is None comes from the network's recipe.

    Attributes:
        network: the name of a card; the misspelt names of "Siamese networks and Friends" are taken too.
        dataset: MNIST, FashionMNIST, KMNIST, Omniglot, a folder of class folders, or a CSV of pairs.
        data: where a named set lies, or is downloaded to.
        output: the folder that everything is written to.
        lr, epochs, batch_size, optimizer, schedule: of the training.
        options: further arguments of the optimiser (weight_decay, momentum, nesterov).
        plateau: arguments of ReduceLROnPlateau (patience, factor, min_lr), for schedule "plateau".
        clip: the largest norm of the gradient, or None.
        patience: epochs without a better validation loss before training stops, or None; ``min_delta`` is what counts
            as better.
        valid, test: shares of validation and test images.
        split: "classes" holds out whole classes for validation and testing, "items" the same share of every class; None
            takes "classes" where there are at least 10.
        augment: of training images.
        arguments: of the network (dimensions, backbone, weights).
        preprocessing: instead of the card's.
        iterations: how often the pair rule of Livieris et al. goes through all images.
        animation: whether the latent space is drawn after each epoch.
        reduction: how more than two dimensions are drawn: "pca", "tsne" or "umap".
        log_interval: batches between two reports.
        seed: of everything random.
        device: "auto", "cpu", "cuda", "mps"; ``devices`` how many; ``precision`` as Lightning calls it ("32-true",
            "bf16-mixed", "16-mixed").
        logger: "csv" or "tensorboard".
        reading: how data other than images are read; what there is depends on the network (see its training's
            ``reading``).
        same_label: the label of a same pair in a CSV of pairs; the other one is a different pair.
        resume: goes on from the last epoch in ``output``, if there is one.
        progress: whether there is a progress bar.
    """

    network: str
    dataset: str
    data: Path = Path("data")
    output: Path = Path("tmp")
    lr: float | None = None
    epochs: int | None = None
    batch_size: int | None = None
    optimizer: Optimizer | None = None
    schedule: Schedule | None = None
    options: dict[str, Any] | None = None
    plateau: dict[str, Any] = field(default_factory=dict)
    clip: float | None = None
    patience: int | None = None
    min_delta: float = 0.0
    valid: float | None = None
    test: float | None = None
    split: Division | None = None
    augment: Augment | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    preprocessing: Preprocessing | None = None
    iterations: int = 1
    animation: bool = False
    reduction: Reduction = "pca"
    log_interval: int = 50
    seed: int = 0
    device: str = "auto"
    devices: int | list[int] | str = 1
    reading: dict[str, Any] = field(default_factory=dict)
    same_label: str = "1"
    precision: str = "32-true"
    logger: str = "csv"
    resume: bool = False
    progress: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "network", OLD_NAMES.get(self.network, self.network))
        _ = self.card
        check(Settings, {name: getattr(self, name) for name in PLAIN}, most={"seed": 2**32 - 1})
        for name in ("lr", "clip"):
            if (value := getattr(self, name)) is not None and not 0 < value < inf:
                raise ValueError(f"{name}={value}: a positive number is needed")
        for name, value in (self.options or {}).items():
            if isinstance(value, float) and not 0 <= value < inf:
                raise ValueError(f"{name}={value}: a number from 0 on is needed")
        for name, known in (
            ("logger", ("csv", "tensorboard")),
            ("device", ("auto", "cpu", "cuda", "gpu", "mps")),
            ("precision", PRECISIONS),
        ):
            if getattr(self, name) not in known:
                raise ValueError(f"{name}={getattr(self, name)!r}: one of {', '.join(known)} is needed")
        for name, module in (("tensorboard", "tensorboard"), ("umap", "umap")):
            if name in (self.logger, self.reduction) and find_spec(module) is None:
                raise ImportError(f'{name} is not installed: pip install "xsiamese[{name}]"')
        if self.device in ("cuda", "gpu") and not torch.cuda.is_available():
            raise ValueError(f"device={self.device!r}: this machine has no CUDA device; use 'cpu' or 'auto'")
        mps = torch.backends.mps.is_available()
        if self.device == "mps" and not mps:
            raise ValueError("device='mps': this machine has no such device; use 'cpu' or 'auto'")
        here = self.device == "cpu" or not (torch.cuda.is_available() or mps)
        if here and self.precision == "16-mixed":
            raise ValueError("precision='16-mixed' is for GPUs, and this is a training on processors: 'bf16-mixed'")
        if here and self.devices == -1:
            raise ValueError(
                "devices=-1, all of them, is for GPUs, and this is a training on processors: give a number"
            )
        most = torch.cuda.device_count() if self.device in ("cuda", "gpu") else os.cpu_count() or 1
        if isinstance(self.devices, int) and not (self.devices == -1 or 1 <= self.devices <= most):
            raise ValueError(f"devices={self.devices}: from 1 to {most} are here (device={self.device!r})")

    def changed(self, **settings: Any) -> Settings:
        """These settings with others."""
        return replace(self, **settings)

    @property
    def card(self) -> ModelCard:
        """The network's card."""
        return find_card(self.network)

    @property
    def recipe(self) -> Recipe:
        """The network's recipe with everything that is set here."""
        base = recipe(self.network)
        base = replace(base, **base.for_data.get(self.dataset, {}))
        changed = {
            n: getattr(self, n)
            for n in ("lr", "epochs", "batch_size", "optimizer", "schedule", "options", "augment")
            if getattr(self, n) is not None
        }
        if "optimizer" in changed and "options" not in changed and changed["optimizer"] != base.optimizer:
            changed["options"] = {}
        return replace(base, **changed)

    @property
    def pixels(self) -> Preprocessing:
        """How images become input."""
        if self.preprocessing is not None:
            return self.preprocessing
        found = self.card.preprocessing
        if found is None:
            raise ValueError(
                f"the card {self.network!r} has no preprocessing for images: it cannot be trained on "
                f"{self.dataset!r} from here"
            )
        return found

    @property
    def needs_validation(self) -> bool:
        """Whether the course of the training depends on a validation loss."""
        return self.patience is not None or self.recipe.schedule == "plateau"

    def build(self) -> PairModel:
        """The network, untrained.

        Raises:
            ValueError: if it does not take one of the arguments, or is no model of pairs.
        """
        self.check_arguments()
        card = self.card
        model = card.build(**{**card.defaults, **self.arguments})
        if not isinstance(model, PairModel):
            raise ValueError(
                f"the card {self.network!r} builds a {type(model).__name__}: training from here needs a SiameseModel "
                "or another PairModel"
            )
        return model

    def check_arguments(self) -> None:
        """Refuses arguments that the network does not take.

        Raises:
            ValueError: with the argument, its value and those that it takes.
        """
        card = self.card
        for name in ("dimensions", "layers", "hidden"):
            if isinstance(value := self.arguments.get(name), int) and value < 1:
                raise ValueError(f"{name}={value}: at least 1 is needed")
        taken = signature(card.build).parameters
        if wrong := [
            name
            for name in self.arguments
            if name not in taken and not any(p.kind is p.VAR_KEYWORD for p in taken.values())
        ]:
            raise ValueError(
                f"{self.network} takes no {wrong[0]} ({self.arguments[wrong[0]]!r}); it takes "
                f"{', '.join(taken) or 'nothing'}"
            )


def sized(settings: Settings, size: int | None) -> Settings:
    """The settings for images of this height and width.

    Raises:
        ValueError: if the network takes one size only.
    """
    if size is None:
        return settings
    if size < 1:
        raise ValueError(f"size={size}: a positive number of pixels is needed")
    if settings.card.preprocessing is None:
        raise ValueError(f"size={size} is for images, and {settings.network} takes {settings.card.modality} data")
    base = settings.pixels
    if (
        settings.network != "livieris"
        and (size, size) != base.size
        and settings.card.weights is None
        and settings.card.input[0] == 1
    ):
        raise ValueError(f"size={size}: {settings.network} takes images of {base.size[0]} x {base.size[1]} only")
    return settings.changed(preprocessing=replace(base, size=(size, size)))
