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

from torch import Tensor

from xsiamese.door.registry import models
from xsiamese.model.pair import PairModel, SiameseModel, TwoInputModel
from xsiamese.zoo.cards import ModelCard


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
    """
    from safetensors.torch import save_file

    header = {
        "card": card,
        "arguments": dict(arguments or {}),
        "threshold": _threshold(model),
        "about": dict(about or {}),
    }
    tensors: dict[str, Tensor] = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    path = Path(path)
    save_file(tensors, path, {"xsiamese": json.dumps(header)})
    return path


def load(path: str | Path) -> Checkpoint:
    """Reads what :func:`save` wrote.

    Raises:
        ValueError: if it is no checkpoint of xsiamese, or does not match its card, naming the first tensors that do
            not.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            header = (file.metadata() or {}).get("xsiamese")
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} cannot be read as a checkpoint: {error}") from error
    if header is None or "card" not in json.loads(header):
        raise ValueError(f"{path} is a safetensors file but no checkpoint of xsiamese: its header names no card")
    described = json.loads(header)
    card = find_card(described["card"])
    model = card.build(**{**card.defaults, **described["arguments"]})
    expected = model.state_dict()
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
    model.load_state_dict(tensors)
    if isinstance(model, (SiameseModel, TwoInputModel)) and model.comparison is not None:
        model.comparison.threshold_ = described.get("threshold")
    return Checkpoint(model.eval(), card, described.get("about", {}))


def shipped(name: str) -> Checkpoint:
    """The trained model that comes with the library under this card's name.

    Raises:
        ValueError: if the card has no weights.
    """
    card = find_card(name)
    if card.weights is None:
        raise ValueError(f"{name!r} comes without weights: train it, or give a checkpoint")
    with as_file(files("xsiamese.zoo").joinpath("weights", card.weights)) as path:
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
