"""Checkpoints: safetensors with the card's name, the arguments and the calibrated threshold in the header. Never
pickle.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xsiamese.door.files import place, regular
from xsiamese.door.registry import models
from xsiamese.model.pair import PairModel, SiameseModel, TwoInputModel
from xsiamese.zoo.cards import ModelCard, Preprocessing


@dataclass(frozen=True)
class Checkpoint:
    """A trained model with its card.

    Attributes:
        model: in evaluation mode.
        card: what is known of its kind.
        about: what training wrote down: data, epochs, metrics, seed.
    """

    model: PairModel
    card: ModelCard
    about: Mapping[str, Any]


def save(
    path: str | Path,
    model: PairModel,
    card: str,
    arguments: Mapping[str, Any] | None = None,
    about: Mapping[str, Any] | None = None,
) -> Path:
    """Writes a model with the name of its card, the arguments that build it, and anything JSON can hold about its
    training.

    Raises:
        ValueError: if the path is a folder, or its folder does not exist.
        OSError: if the file cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    header = {
        "card": card,
        "arguments": dict(arguments or {}),
        "threshold": _threshold(model),
        "about": dict(about or {}),
    }
    tensors: dict[str, Tensor] = {
        k: v.detach().cpu().clone(memory_format=torch.contiguous_format) for k, v in model.state_dict().items()
    }  # copies: weights that share memory are refused by the format
    path = place(path)
    try:
        save_file(tensors, path, {"xsiamese": json.dumps(header)})
    except SafetensorError as error:
        raise OSError(f"{path} cannot be written: {error}") from error
    return path


def load(path: str | Path) -> Checkpoint:
    """Reads what :func:`save` wrote.

    Raises:
        ValueError: if it is no checkpoint of xsiamese, or does not match its card, naming the first tensors that do
            not.
    """
    tensors, described = _contents(path)
    card = find_card(described["card"])
    arguments = {**card.defaults, **described["arguments"]}
    if "weights" in arguments:
        arguments["weights"] = None  # they are in the file: what a stranger's header names is never downloaded
    expected = _expected(path, card, arguments)
    if expected is not None:
        _check_match(path, card, expected, tensors)
    model = _built(path, card, arguments)
    if expected is None:
        _check_match(path, card, model.state_dict(), tensors)
    model.load_state_dict(tensors)
    if isinstance(model, (SiameseModel, TwoInputModel)) and model.comparison is not None:
        model.comparison.threshold_ = described.get("threshold")
    trained_on = described["about"].get("preprocessing")
    preprocessing = Preprocessing.of(trained_on) if trained_on else card.preprocessing
    model.background = None if preprocessing is None else preprocessing.background
    model.typical = _typical(path, described["about"].get("typical"))
    return Checkpoint(model.eval(), card, described["about"])


def _typical(path: str | Path, rows: Any) -> Tensor | None:
    """The rows that a header keeps.

    Raises:
        ValueError: if they are no table of numbers.
    """
    if rows is None:
        return None
    try:
        found = torch.tensor(rows, dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError) as error:
        said = f"{path} is no checkpoint of xsiamese: 'typical' of its header are no rows: {error}"
        raise ValueError(said) from error
    if found.dim() != 2 or not found.numel() or not bool(found.isfinite().all()):
        raise ValueError(f"{path} is no checkpoint of xsiamese: 'typical' of its header are no rows of numbers")
    return found


def _contents(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the header of a checkpoint."""
    from safetensors import SafetensorError, safe_open

    size = regular(path, "a checkpoint").stat().st_size
    try:
        with safe_open(path, "pt") as file:
            header = (file.metadata() or {}).get("xsiamese")
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        described = None if header is None else json.loads(header)
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read as a checkpoint: {error}") from error
    if not isinstance(described, dict) or not isinstance(described.get("card"), str):
        raise ValueError(f"{path} is a safetensors file but no checkpoint of xsiamese: its header names no card")
    for key in ("arguments", "about"):
        if not isinstance(described.setdefault(key, {}), dict):
            raise ValueError(f"{path} is no checkpoint of xsiamese: {key!r} of its header is no mapping")
    if not isinstance(described.get("threshold"), (int, float, type(None))):
        raise ValueError(f"{path} is no checkpoint of xsiamese: its threshold is {described['threshold']!r}")
    for key, value in described["arguments"].items():
        if isinstance(value, int) and value > size:  # no network is larger than its file
            raise ValueError(f"{path} has {key}={value} in its header, and only {size} bytes: it is damaged or made up")
    return tensors, described


def _expected(path: str | Path, card: ModelCard, arguments: Mapping[str, Any]) -> Mapping[str, Tensor] | None:
    """What the card's tensors look like, without memory for them; None for a card that cannot be built so."""
    try:
        with torch.device("meta"):
            return _built(path, card, arguments).state_dict()
    except RuntimeError:  # it looks at values, of which there are none
        return None


def _built(path: str | Path, card: ModelCard, arguments: Mapping[str, Any]) -> PairModel:
    try:
        return card.build(**arguments)
    except (TypeError, ValueError, KeyError) as error:
        raise ValueError(f"{path} does not fit its card {card.name!r}: {error}") from error


def _check_match(
    path: str | Path, card: ModelCard, expected: Mapping[str, Tensor], tensors: Mapping[str, Tensor]
) -> None:
    """Refuses tensors that are not the card's, naming the first."""
    wrong = [
        f"{name}: {tuple(tensors[name].shape) if name in tensors else 'missing'} instead of "
        f"{tuple(expected[name].shape) if name in expected else 'nothing'}"
        for name in sorted({*expected, *tensors})
        if name not in tensors or name not in expected or tensors[name].shape != expected[name].shape
    ]
    if wrong:
        raise ValueError(
            f"{path} does not match its card {card.name!r}: {'; '.join(wrong[:3])}"
            + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else "")
        )


def shipped(name: str) -> Checkpoint:
    """The trained model that comes with the library, or with the plugin of the card, under this card's name.

    Raises:
        ValueError: if the card has no weights.
    """
    card = find_card(name)
    if card.weights is None:
        raise ValueError(f"{name!r} comes without weights: train it, or give a checkpoint")
    if isinstance(card.weights, Path):
        return load(card.weights)
    package, *parts = card.weights if isinstance(card.weights, tuple) else ("xsiamese.zoo", "weights", card.weights)
    with as_file(files(package).joinpath(*parts)) as path:
        return load(path)


def find_card(name: str) -> ModelCard:
    """The card of this name.

    Raises:
        ValueError: if there is none, with the nearest names.
    """
    from difflib import get_close_matches

    known = {**_ours(), **models()}
    if name not in known:
        near = get_close_matches(name, known, n=3)
        raise ValueError(
            f"no model is called {name!r}; "
            + (f"did you mean {' or '.join(map(repr, near))}?" if near else f"known: {', '.join(sorted(known))}")
        )
    card: ModelCard = known[name]
    return card


def _ours() -> dict[str, ModelCard]:
    from xsiamese.zoo import CARDS

    return {card.name: card for card in CARDS}


def _threshold(model: PairModel) -> float | None:
    return (
        model.comparison.threshold_
        if isinstance(model, (SiameseModel, TwoInputModel)) and model.comparison is not None
        else None
    )
