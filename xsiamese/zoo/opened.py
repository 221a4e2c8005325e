"""A model opened by name, with what is needed to feed it."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from xsiamese.door.registry import openers
from xsiamese.model.pair import PairModel
from xsiamese.zoo.cards import ModelCard, Preprocessing
from xsiamese.zoo.checkpoint import find_card, load, shipped
from xsiamese.zoo.pixels import read_picture

LARGEST = 2**14
"""The most pixels of a side that an image is brought to: one more than fits most memories as a batch of a few."""


@dataclass(frozen=True)
class OpenedModel:
    """A model that is ready to explain.

    Attributes:
        model: the model, in evaluation mode.
        layer: the layer to explain on, or None.
        preprocessing: of its images, or None if it takes other data.
        about: what the checkpoint says of the training.
        modality: what it takes: "image", "graph", "tabular", "text" or "image and text".
    """

    model: Callable[..., Any]
    layer: str | None
    preprocessing: Preprocessing | None
    about: Mapping[str, Any] = field(default_factory=dict)
    modality: str = "image"

    @property
    def kind(self) -> str | None:
        """The kind of input that both sides are, or None for two towers of different kinds."""
        return None if " and " in self.modality else self.modality

    def read(self, path: str | Path) -> Tensor:
        """An image file as the model's input, shape (1, channels, height, width).

        Raises:
            ValueError: if the file is missing, truncated or no image; or if the model takes no images.
        """
        if self.preprocessing is None:
            raise ValueError(f"the model is for {self.modality} data, not for image files")
        picture = read_picture(path, self.preprocessing.size, self.preprocessing.channels)
        if picture.frames > 1:
            warnings.warn(f"{path} holds {picture.frames} images: the first is taken", stacklevel=2)
        return self.preprocessing.normalise(picture.pixels)[None]


_WEIGHTS = frozenset({".pt", ".pth", ".ckpt", ".bin", ".pkl", ".onnx", ".h5"})  # as files of weights end


def open_model(spec: str, *, size: int | None = None) -> OpenedModel:
    """A model by zoo name, checkpoint file or ``package.module:factory``, or what a plugin opens: a folder that
    transformers or sentence-transformers saved.

    Args:
        spec: "fashion", "run/model.safetensors", "my.models:make" or "models/all-MiniLM-L6-v2".
        size: the height and width of the images, for a factory: its model has no card.

    Raises:
        ValueError: if there is no such model, it comes without weights, or it says itself of which size its images are.
    """
    if size is not None and not 0 < size <= LARGEST:
        raise ValueError(f"--size {size}: the pixels of a side are needed, from 1 to {LARGEST}")
    opened = _opened(spec, size)
    own = None if opened.preprocessing is None else opened.preprocessing.size
    if size is not None and own != (size, size):
        told = f"takes {opened.modality}" if own is None else f"says itself that its images are {own[0]} x {own[1]}"
        raise ValueError(f"--size {size}: the model {spec} {told}: leave --size out")
    return opened


def _opened(spec: str, size: int | None) -> OpenedModel:
    if Path(spec).suffix == ".safetensors":
        checkpoint = load(spec)
        trained_on = checkpoint.about.get("preprocessing")
        opened = _with_card(checkpoint.model, checkpoint.card, checkpoint.about)
        return replace(opened, preprocessing=Preprocessing.of(trained_on)) if trained_on else opened
    if ":" in spec:
        return _made(spec, size)
    for opener in openers().values():
        found = opener(spec)
        if found is not None:
            return OpenedModel(found, None, None, modality=found.modality)
    path = Path(spec)
    if path.is_file():
        raise ValueError(
            f"--model {spec}: no checkpoint of ours (.safetensors), and of weights alone the model is not known: give "
            "package.module:factory, a function that makes the model and loads them"
        )
    if path.suffix in _WEIGHTS:
        raise ValueError(f"--model {spec}: there is no such file")
    return _with_card(shipped(spec).model, find_card(spec))


def _with_card(model: Callable[..., Any], card: ModelCard, about: Mapping[str, Any] | None = None) -> OpenedModel:
    return OpenedModel(model, card.layer, card.preprocessing, about or {}, card.modality)


def _made(spec: str, size: int | None) -> OpenedModel:
    module, _, name = spec.partition(":")
    if module.endswith(".py"):
        dotted = module.removesuffix(".py").replace("/", ".").strip(".")
        raise ValueError(f"--model {spec}: a module goes by its name, {dotted}:{name}")
    try:
        with _current_folder():
            make = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"--model {spec}: {error}; package.module:factory is needed, a function without arguments that gives the "
            "model"
        ) from error
    except (Exception, SystemExit) as error:  # whatever the user's code does
        raise ValueError(f"--model {spec}: importing {module} raised {type(error).__name__}: {error}") from error
    try:
        model = make()
    except (Exception, SystemExit) as error:
        raise ValueError(f"--model {spec}: the factory raised {type(error).__name__}: {error}") from error
    if not callable(model):
        raise ValueError(f"--model {spec} gives {model!r}: a model, a callable of two inputs, is needed")
    if isinstance(model, nn.Module):
        model.eval()
    modality = getattr(model, "modality", "image")
    if modality != "image":
        return OpenedModel(model, None, None, modality=str(modality))
    preprocessing = getattr(model, "preprocessing", None)
    if not isinstance(preprocessing, Preprocessing):
        return OpenedModel(model, None, Preprocessing((size or 224, size or 224)))
    if isinstance(model, PairModel) and model.background is None:
        model.background = preprocessing.background
    return OpenedModel(model, None, preprocessing)


@contextmanager
def _current_folder() -> Iterator[None]:
    """Modules of the current folder are found, as by ``python -m``, after all that is installed."""
    place = str(Path.cwd())
    if place in sys.path or "" in sys.path:
        yield
        return
    sys.path.append(place)
    try:
        yield
    finally:
        sys.path.remove(place)
