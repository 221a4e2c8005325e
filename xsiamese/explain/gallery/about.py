"""What a gallery was made with, so that a store is not read with anything else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from xsiamese.explain.attribution import PairAttribution
from xsiamese.explain.digest import digest, weights
from xsiamese.explain.request import Request, described

FORMAT = 1


def about(explainer: PairAttribution, asked: Request) -> dict[str, Any]:
    """What a gallery depends on, as JSON can hold it: weights, comparison and layers of the model, the method, its
    layer and its options.
    """
    model = explainer.model
    settings = {name: getattr(explainer, name, None) for name in type(explainer).settings()}
    options = {name: _told(value) for name, value in sorted({**settings, **asked.options}.items())}
    return {
        "format": FORMAT,
        "the method": type(explainer).__name__,
        "the layer": described({"layer": explainer.layer, "layout": explainer.layout}),
        "its options": options,
        "the baselines": _told(asked.baselines),
        "the seed": asked.seed,
        "the comparison": type(getattr(model, "comparison", None)).__name__,
        "the model's modules": hashlib.blake2b(_modules(model).encode(), digest_size=16).hexdigest(),
        "the model's weights": digest(weights(model)).hexdigest(),
    }


def differences(stored: Mapping[str, Any], own: Mapping[str, Any]) -> list[str]:
    """What is not the same, each in a few words."""
    found = []
    for name, value in own.items():
        if name != "format" and json.dumps(stored.get(name)) != json.dumps(value):
            secret = name.startswith("the model's")  # a hash says nothing
            found.append(name if secret else f"{name} ({stored.get(name)!r:.60}, not {value!r:.60})")
    return found


def _modules(model: nn.Module) -> str:
    """The modules by what they are, with what they say of themselves, as an encoder on a file tells of the file."""
    return "\n".join(
        f"{name} {module.__class__.__qualname__} {module.extra_repr()}" for name, module in model.named_modules()
    )


def _told(value: Any) -> Any:
    if isinstance(value, Tensor):
        return digest([value]).hexdigest()
    if isinstance(value, (tuple, list)):
        return [_told(one) for one in value]
    return described({"value": value})["value"]
