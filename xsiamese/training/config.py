"""The ``config.yml`` of Grad_CAM_Siamese (Livieris et al. 2023), key by key as it is, checked."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from xsiamese.data.augment import Augment
from xsiamese.door.files import regular
from xsiamese.training.settings import Settings
from xsiamese.zoo.cards import Preprocessing

try:
    import yaml
    from pydantic import BaseModel, ConfigDict, Field, ValidationError
except ImportError as error:
    raise ImportError('a config.yml needs pydantic and PyYAML: pip install "xsiamese[train]"') from error

Share = Annotated[float, Field(ge=0, lt=1)]
Probability = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
NotNegative = Annotated[float, Field(ge=0)]


class _Keys(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class Normalization(_Keys):
    """Mean and standard deviation of each channel, of values in [0, 1]."""

    mean: list[float] = [0.485, 0.456, 0.406]
    std: list[Positive] = [0.229, 0.224, 0.225]


class Image(_Keys):
    """Size (height, width) and augmentation of the images."""

    size: tuple[Count, Count] = (320, 320)
    normalization: Normalization = Normalization()
    Channels: Literal[1, 3] = 3
    HorizontalFlip: Probability = 0.0
    VerticalFlip: Probability = 0.0
    RandomRotationDegrees: NotNegative = 0.0
    brightness: NotNegative = 0.0
    contrast: NotNegative = 0.0
    saturation: NotNegative = 0.0
    hue: NotNegative = 0.0


class Hyperparameters(_Keys):
    """Of the training."""

    epochs: Count = 100
    verbose: bool = True
    batch_size: Count = 4
    num_workers: Annotated[int, Field(ge=0)] = 0
    optimizer: Literal["SGD", "Adam", "AdamW"] = "Adam"
    learning_rate: Positive = 5e-6
    weight_decay: NotNegative = 0.0
    momentum: NotNegative = 0.9
    nesterov: bool = False
    max_norm: Positive | None = None


class Early(_Keys):
    """Early stopping."""

    patience: Count = 25
    min_delta: NotNegative = 0.0


class Plateau(_Keys):
    """ReduceLROnPlateau."""

    patience: Annotated[int, Field(ge=0)] = 15
    min_lr: NotNegative = 0.0
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    verbose: bool = True


class Config(_Keys):
    """The whole file."""

    data_path: str
    number_of_iterations: Count = 1
    backbone_model: str = "MobileNet"
    pretrained: bool = True
    checkpoints_path: str = "checkpoints"
    test_size: Share = 0.1
    valid_size: Share = 0.1
    image: Image = Image()
    hyperparameters: Hyperparameters = Hyperparameters()
    early_stopping: Early | None = None
    LRScheduler: Plateau | None = None
    seed: int = 42
    cuda: bool = False
    gpu: Annotated[int, Field(ge=0)] = 0


SECTIONS: dict[str, type[BaseModel]] = {
    "": Config,
    "image": Image,
    "image.normalization": Normalization,
    "hyperparameters": Hyperparameters,
    "early_stopping": Early,
    "LRScheduler": Plateau,
}


def read_config(path: Path) -> Config:
    """Reads and checks a config.yml.

    Raises:
        ValueError: naming the file, the key and what is wrong with its value; for an unknown key, the nearest one.
    """
    try:
        text = regular(path, "a config.yml").read_text(encoding="utf-8")
        if any(
            isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)
        ):  # a few of them name billions of values
            raise ValueError(f"{path} has aliases (*name), which are not read: write the values out")
        content = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not YAML: {error}".replace("\n", " ")) from error
    if not isinstance(content, dict):
        raise ValueError(
            f"{path} holds {type(content).__name__}: keys and values are needed (data_path, backbone_model, image, "
            "hyperparameters, ...)"
        )
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        problem = error.errors()[0]
        raise ValueError(
            f"{path}: {_told(problem)}" + (f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else "")
        ) from None


def settings_from(config: Config, output: Path | None = None) -> tuple[Settings, list[str]]:
    """The training that a config.yml describes, and what of it cannot be followed to the letter.

    ``pretrained`` asks torchvision for its default weights. The optimiser gets ``weight_decay``, and SGD ``momentum``
    and ``nesterov`` too.
    """
    import torch

    image, hyper = config.image, config.hyperparameters
    if len(image.normalization.mean) != image.Channels or len(image.normalization.std) != image.Channels:
        sizes = f"{len(image.normalization.mean)} means and {len(image.normalization.std)} stds"
        raise ValueError(
            f"image.normalization has {sizes} for image.Channels={image.Channels}: one of each a channel is needed"
        )
    notes = [
        f"{name} is set but not used here"
        for name, value in (("image.hue", image.hue), ("hyperparameters.num_workers", hyper.num_workers))
        if value
    ]
    device = "cuda" if config.cuda and torch.cuda.is_available() else "cpu"
    if config.cuda and device == "cpu":
        notes.append("cuda is asked for and not there: the CPU is used")
    options: dict[str, Any] = {"weight_decay": hyper.weight_decay}
    if hyper.optimizer == "SGD":
        options |= {"momentum": hyper.momentum, "nesterov": hyper.nesterov}
    schedule = config.LRScheduler
    settings = Settings(
        "livieris",
        config.data_path,
        output=output or Path(config.checkpoints_path),
        lr=hyper.learning_rate,
        epochs=hyper.epochs,
        batch_size=hyper.batch_size,
        optimizer=hyper.optimizer,
        schedule="plateau" if schedule else "constant",
        options=options,
        clip=hyper.max_norm,
        plateau={"patience": schedule.patience, "factor": schedule.factor, "min_lr": schedule.min_lr}
        if schedule
        else {},
        patience=config.early_stopping.patience if config.early_stopping else None,
        min_delta=config.early_stopping.min_delta if config.early_stopping else 0.0,
        valid=config.valid_size,
        test=config.test_size,
        iterations=config.number_of_iterations,
        seed=config.seed,
        device=device,
        devices=[config.gpu] if device == "cuda" else 1,
        progress=hyper.verbose,
        arguments={"backbone": config.backbone_model, "weights": "DEFAULT" if config.pretrained else None},
        preprocessing=Preprocessing(
            image.size, image.Channels, tuple(image.normalization.mean), tuple(image.normalization.std)
        ),
        augment=Augment(
            horizontal=image.HorizontalFlip,
            vertical=image.VerticalFlip,
            degrees=image.RandomRotationDegrees,
            brightness=image.brightness,
            contrast=image.contrast,
            saturation=image.saturation,
        ),
    )
    return settings, notes


def _told(problem: Any) -> str:
    key = ".".join(map(str, problem["loc"]))
    if problem["type"] == "missing":
        return f"the key {key} is missing"
    if problem["type"] == "extra_forbidden":
        place = SECTIONS[".".join(map(str, problem["loc"][:-1]))]
        near = get_close_matches(str(problem["loc"][-1]), list(place.model_fields), n=1, cutoff=0.4)
        return f"{key} is no key" + (
            f"; did you mean {near[0]}?" if near else f"; known: {', '.join(place.model_fields)}"
        )
    return f"{key}={problem['input']!r}: {problem['msg'][0].lower()}{problem['msg'][1:]}"
