"""What each tool returns on a layer of a shared encoder, measured when the documentation is built, on a shipped model
and a shipped pair.

``python docs/_ext/shared.py`` prints the table.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import captum.attr as captum
import torch
from torch import Tensor, nn
from torch.nn import functional

import xsiamese
from xsiamese import PairAttribution
from xsiamese.data import fashion_pair
from xsiamese.zoo import shipped

LAYER = 7
Inputs = tuple[Tensor, Tensor]


class Shared(nn.Module):
    """One encoder, called for a and then for b."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return functional.cosine_similarity(self.encoder(a), self.encoder(b))


class Twin(nn.Module):
    """Two encoders with equal weights: no tool can mix up their calls, so what a tool says here is what it
    should say.
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.first, self.second = deepcopy(encoder), deepcopy(encoder)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return functional.cosine_similarity(self.first(a), self.second(b))


class Plain(nn.Module):
    """The encoder with a function in place of its flatten module, for which captum's LRP has no rule."""

    def __init__(self, encoder: nn.Sequential) -> None:
        super().__init__()
        self.grid, self.last = deepcopy(encoder[:-2]), deepcopy(encoder[-1])

    def forward(self, item: Tensor) -> Tensor:
        z: Tensor = self.last(self.grid(item).flatten(1))
        return z


class Stacked(nn.Module):
    """A pair as the channels of one tensor, for tools of one input."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, both: Tensor) -> Tensor:
        score: Tensor = self.model(*both.chunk(2, dim=1))
        return score


@dataclass(frozen=True)
class Measured:
    """What one tool returned.

    Attributes:
        tool: its name.
        from_a, from_b: the relative distance of what it returned from the true map of a and of b; None if it raised.
        ours: the larger of the relative distances of the two maps of xsiamese from the true ones; None if there is no
            counterpart.
        error: what it raised.
        size: how large what it returned is, relative to the true map of b.
    """

    tool: str
    from_a: float | None = None
    from_b: float | None = None
    ours: float | None = None
    error: str = ""
    size: float = 1.0


def distance(found: Tensor, truth: Tensor) -> float:
    """The relative distance of two maps: 0 for equal ones, about 1.4 for unrelated ones of one size."""
    return float((found - truth).norm() / truth.norm())


def measure() -> list[Measured]:
    """Every tool of the table, in float64."""
    inputs = tuple(side.double() for side in fashion_pair("sneaker", "ankle boot"))
    encoder = shipped("fashion").model.encoder.double()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layered = [
            _layered(name, encoder, inputs)
            for name in (
                "LayerGradCam",
                "LayerActivation",
                "LayerGradientXActivation",
                "LayerConductance",
                "InternalInfluence",
                "LayerDeepLift",
                "LayerIntegratedGradients",
                "LayerFeatureAblation",
            )
        ]
        return [
            *layered,
            _guided(encoder, inputs),
            *(_input(name, encoder, inputs) for name in ("DeepLift", "LRP")),
            _gradcam(encoder, inputs),
        ]


def _layered(name: str, encoder: nn.Sequential, inputs: Inputs) -> Measured:
    channels = torch.arange(64).reshape(1, 64, 1, 1).repeat(1, 1, 7, 7)  # ablated one by one
    options = {"layer_mask": channels, "perturbations_per_eval": 64} if name == "LayerFeatureAblation" else {}
    algorithm = getattr(captum, name)

    def tool(model: nn.Module, layer: nn.Module) -> Tensor:
        found: Tensor = algorithm(model, layer).attribute(inputs, **options)
        return (found[0] if isinstance(found, tuple) else found).detach()

    model, twin = Shared(encoder), Twin(encoder)
    if name == "LayerIntegratedGradients":  # both branches on one path, as ours
        truths = tuple(t.detach() for t in algorithm(twin, [twin.first[LAYER], twin.second[LAYER]]).attribute(inputs))
    else:
        truths = tool(twin, twin.first[LAYER]), tool(twin, twin.second[LAYER])
    return _measured(
        f"captum {name}",
        lambda: tool(model, encoder[LAYER]),
        truths,
        _ours(f"Pair{name}", model, inputs, encoder[LAYER], {"layer_mask": (channels, channels)} if options else {}),
    )


def _guided(encoder: nn.Sequential, inputs: Inputs) -> Measured:
    """Both maps are of the inputs; that of a is multiplied with a Grad-CAM, and the question is whose."""
    model, twin = Shared(encoder), Twin(encoder)
    found = captum.GuidedGradCam(model, encoder[LAYER]).attribute(inputs)[0]
    own = captum.GuidedGradCam(twin, twin.first[LAYER]).attribute(inputs)
    other = captum.GuidedGradCam(twin, twin.second[LAYER]).attribute(inputs)
    ours = xsiamese.explainers()["PairGuidedGradCam"](model, encoder[LAYER]).attribute(inputs)
    return Measured(
        "captum GuidedGradCam (of a)",
        distance(found, own[0]),
        distance(found, other[0]),
        max(distance(ours[0], own[0]), distance(ours[1], other[1])),
    )


def _input(name: str, encoder: nn.Sequential, inputs: Inputs) -> Measured:
    algorithm, plain = getattr(captum, name), Plain(encoder)
    truths = algorithm(Twin(plain)).attribute(inputs)
    worst = None  # captum's LRP is of the score times the gradient, ours of the score: not the same on any model
    if name != "LRP":
        ours = xsiamese.explainers()[f"Pair{name}"](Shared(plain)).attribute(inputs, joint=True)
        worst = max(distance(found, truth) for found, truth in zip(ours, truths, strict=True))
    try:
        found = algorithm(Shared(plain)).attribute(inputs)
    except Exception as error:
        said = "module used more than once" if "more than once" in str(error) else str(error).splitlines()[0]
        return Measured(f"captum {name}", ours=worst, error=f"{type(error).__name__}: {said}")
    return Measured(f"captum {name}", distance(found[0], truths[0]), distance(found[1], truths[1]), worst)


def _gradcam(encoder: nn.Sequential, inputs: Inputs) -> Measured:
    try:
        from pytorch_grad_cam import GradCAM
        from pytorch_grad_cam.utils.image import scale_cam_image
    except ImportError:
        return Measured(
            "pytorch-grad-cam GradCAM", error='not installed where this was built: pip install "grad-cam>=1.5.5"'
        )

    def tool(model: nn.Module, layer: nn.Module) -> Tensor:
        return torch.from_numpy(
            GradCAM(Stacked(model), [layer])(torch.cat(inputs, 1), targets=[lambda score: score])
        ).double()

    model, twin = Shared(encoder), Twin(encoder)
    size = inputs[0].shape[-2:]

    def ours() -> tuple[Tensor, ...]:  # cut and stretched as pytorch-grad-cam does
        maps = xsiamese.explainers()["PairGradCAM"](model, encoder[LAYER]).attribute(inputs)
        return tuple(
            torch.from_numpy(scale_cam_image(scale_cam_image(m[0].relu().numpy(), size[::-1]))).double() for m in maps
        )

    return _measured(
        "pytorch-grad-cam GradCAM",
        lambda: tool(model, encoder[LAYER]),
        (tool(twin, twin.first[LAYER]), tool(twin, twin.second[LAYER])),
        ours,
    )


def _ours(
    name: str, model: nn.Module, inputs: Inputs, layer: nn.Module, options: dict[str, Any]
) -> Callable[[], tuple[Tensor, ...]]:
    cls: type[PairAttribution] = xsiamese.explainers()[name]
    both = {"joint": True} if "joint" in cls.options() else {}  # captum moves both sides at once
    return lambda: cls(model, layer).attribute(inputs, **options, **both)


def _measured(tool: str, run: Callable[[], Tensor], truths: tuple[Tensor, ...], ours: Callable[[], Any]) -> Measured:
    mine = max(distance(found, truth) for found, truth in zip(ours(), truths, strict=True))
    try:
        found = run()
    except Exception as error:
        return Measured(tool, ours=mine, error=f"{type(error).__name__}: {error}")
    return Measured(
        tool, distance(found, truths[0]), distance(found, truths[1]), mine, size=float(found.norm() / truths[1].norm())
    )


def verdict(row: Measured) -> str:
    """What a tool returned, in words."""
    if row.from_a is None or row.from_b is None:
        return row.error
    if row.from_b < 1e-6:
        return (
            "the map of b, no warning"
            if "Guided" not in row.tool
            else "the map of a times the Grad-CAM of b, no warning"
        )
    if row.from_a < 1e-6:
        return "the map of a, no warning"
    return (
        f"neither map, no warning; its size is {row.size:.1g} of that of b"
        if row.size < 0.5
        else "neither map, no warning"
    )


def table() -> list[list[str]]:
    """The cells of the table, measured now."""

    def number(value: float | None) -> str:
        return "" if value is None else "0" if value == 0 else f"{value:.1e}" if value < 0.01 else f"{value:.2f}"

    return [[row.tool, verdict(row), number(row.from_a), number(row.from_b), number(row.ours)] for row in measure()]


if __name__ == "__main__":
    for cells in table():
        print(" | ".join(cells))
