"""The convolutional parts of torchvision's and timm's classifiers, by name."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from torch import nn


def backbone_features(name: str, weights: Any = None) -> tuple[nn.Module, int]:
    """The convolutional part of a torchvision or timm model (grid of features out), and its number of channels."""
    if name.startswith("timm/"):
        timm = _needed("timm", "train")
        model = _named(
            name[5:],
            timm.list_models(),
            "timm",
            lambda: timm.create_model(name[5:], pretrained=bool(weights), num_classes=0, global_pool=""),
        )
        return model, int(model.num_features)
    models = _needed("torchvision.models", "image")
    name = {"MobileNet": "mobilenet_v2", "ResNet50": "resnet50"}.get(name, name)
    classifiers = [n for n in models.list_models() if "/" not in n and hasattr(models, n)]
    model = _named(name, classifiers, "torchvision", lambda: models.get_model(name, weights=_of(models, name, weights)))
    if hasattr(model, "features"):
        features: nn.Module = model.features
    elif hasattr(model, "layer4"):
        features = nn.Sequential()
        for child, module in model.named_children():
            if child not in ("avgpool", "fc"):
                features.add_module(child, module)
    else:
        raise ValueError(
            f"{name!r} has neither .features nor .layer4: give timm/{name}, or build SiameseModel(encoder, "
            "comparison) yourself"
        )
    return features, _channels(features)


def _of(models: Any, name: str, weights: Any) -> Any:
    """Weights by their name."""
    known = models.get_model_weights(name)
    if isinstance(weights, str) and weights not in known.__members__ and "." not in weights:
        raise ValueError(f"weights={weights!r}: {name} has {', '.join(known.__members__)}")
    return weights


def _channels(features: nn.Module) -> int:
    import torch

    from xsiamese.branches.intact import intact

    with intact(features), torch.no_grad():
        return int(features(torch.zeros(1, 3, 64, 64)).shape[1])


def _named(name: str, known: list[str], where: str, make: Callable[[], Any]) -> Any:
    from difflib import get_close_matches

    if name not in known:
        near = get_close_matches(name, known, n=3)
        raise ValueError(
            f"{where} has no backbone {name!r}"
            + (f"; did you mean {' or '.join(map(repr, near))}?" if near else f" among its {len(known)}")
        )
    return make()


def _needed(module: str, extra: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(f'{module.split(".")[0]} is needed: pip install "xsiamese[{extra}]"') from error
