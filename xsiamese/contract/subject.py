"""What is on trial: an explainer class, on a small model and pairs that are always the same."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from xsiamese.contract.numbers import Numbers
from xsiamese.explain.attribution import PairAttribution
from xsiamese.model.pair import SiameseModel
from xsiamese.result.explanation import PairExplanation

PAIRS = 3
THRESHOLD = 0.25
NO_MAPS = "gives no maps: use explain"  # what attribute says of a method without any


class LeftOut(Exception):
    """A point says nothing of what is on trial; the message says why."""


class ContractError(AssertionError):
    """An explainer breaks the contract; the message names the check and says what is wrong."""


@dataclass
class Subject:
    """An explainer class on trial, with options that keep it quick: on pairs of small images.

    Attributes:
        cls: the class.
        options: what keeps it quick.
        kind: how failures call what it is tried on.
        comparison: of the embeddings, by name.
        checks: the points that it is tried on; none means all.
        mapless: whether it was found to give no maps: then its columns are looked at.
    """

    cls: type[PairAttribution]
    options: dict[str, Any] = field(default_factory=dict)
    kind: ClassVar[str] = ""
    comparison: ClassVar[str] = "dot"
    checks: ClassVar[frozenset[str]] = frozenset()
    mapless: bool = field(default=False, init=False)

    def make(self, model: Callable[..., Any], layer: Any = "3") -> Any:
        """The explainer of a model; one that needs a threshold gets one that the contract's pairs can cross."""
        options: dict[str, Any] = {"threshold": THRESHOLD} if "threshold" in self.cls.settings() else {}
        return self.cls(model, layer, **options) if self.cls.needs_layer else self.cls(model, **options)

    def attribute(
        self, model: Callable[..., Any], inputs: tuple[Tensor, Tensor], layer: Any = "3", **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """The maps of a model made by this module."""
        explainer = self.make(model, layer)
        options = {
            k: tuple(m.to(inputs[0].device) for m in v) if k == "feature_mask" else v for k, v in self.options.items()
        }
        if inputs[0].dim() != 4:
            options = {k: v for k, v in options.items() if k not in ("feature_mask", "sliding_window_shapes")}
        return self.quietly(explainer, inputs, {**options, **kwargs})

    def quietly(self, explainer: Any, inputs: tuple[Tensor, Tensor], options: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """The maps of some inputs, without warnings; of a method without maps the numbers of its columns."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            if self.mapless:
                asked = {name: value for name, value in options.items() if name != "create_graph"}
                return Numbers(explainer.explain(self.given(inputs), **asked).columns)  # type: ignore[return-value]
            try:
                found = explainer.attribute(self.given(inputs), **options)
            except ValueError as error:
                if NO_MAPS not in str(error):
                    raise
                self.mapless = True
                return self.quietly(explainer, inputs, options)
        plain: tuple[Tensor, Tensor] = self.plain(found)
        return plain

    def explain(self, explainer: Any, inputs: tuple[Tensor, Tensor], **options: Any) -> PairExplanation:
        """The whole result, without warnings."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            found: PairExplanation = explainer.explain(self.given(inputs), **{**self.options, **options})
        return found

    def model(self, encoder: nn.Module | tuple[nn.Module, nn.Module] | None = None) -> SiameseModel:
        """The model of an encoder, of two, or of the one on trial."""
        return SiameseModel(self.encoder() if encoder is None else encoder, self.comparison)

    def encoder(self, *, inplace: bool = False, norm: bool = False) -> nn.Sequential:
        """The encoder on trial, always with the same weights; its layer "3" is a convolution."""
        return encoder(inplace=inplace, norm=norm)

    def smooth(self) -> nn.Module:
        """An encoder without kinks."""
        with torch.random.fork_rng():
            torch.manual_seed(5)
            layers = [
                nn.Conv2d(1, 3, 3),
                nn.Tanh(),
                nn.AdaptiveAvgPool2d(1),
                nn.Conv2d(3, 4, 1),
                nn.Tanh(),
                nn.Flatten(),
                nn.Linear(4, 3),
            ]
        return nn.Sequential(*layers).double()

    def pairs(self, count: int = PAIRS) -> tuple[Tensor, Tensor]:
        """Always the same pairs: for graphs the features of their nodes."""
        return pairs(count)

    def one(self, inputs: tuple[Tensor, Tensor], i: int) -> tuple[Tensor, Tensor]:
        """One of the pairs."""
        return inputs[0][i : i + 1], inputs[1][i : i + 1]

    def given(self, inputs: tuple[Tensor, Tensor]) -> Any:
        """What a user gives."""
        return inputs

    def plain(self, found: Any) -> Any:
        """What a user gets, as two tensors."""
        return found

    def total(self, explainer: Any, found: Any) -> Tensor:
        """What both maps of each pair sum to."""
        sums: Tensor = explainer.total(found, self.options)
        return sums

    def check_relabelling(self) -> None:
        """Inputs whose rows have no order of their own have none to change."""
        raise LeftOut("its parts have an order of their own")

    def mirrors(self, value: Any, leaf: Tensor) -> str:
        """What a map should have been, or nothing if it is."""
        of_layer = self.cls.needs_layer and not getattr(self.cls, "input_level", False)
        if isinstance(value, Tensor) and value.shape[0] == PAIRS and (of_layer or value.shape == leaf.shape):
            return ""
        return "a tensor with one row a pair" if of_layer else f"a tensor of shape {tuple(leaf.shape)}"


def encoder(*, inplace: bool = False, norm: bool = False) -> nn.Sequential:
    """A small CNN in float64, always with the same weights; its layer "3" is a convolution."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        layers = [
            nn.Conv2d(1, 4, 3, padding=1),
            nn.ReLU(inplace),
            nn.MaxPool2d(2),
            nn.Conv2d(4, 6, 3, padding=1),
            nn.BatchNorm2d(6) if norm else nn.Identity(),
            nn.ReLU(inplace),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(6, 3),
        ]
        with torch.no_grad():
            layers[-1].weight.mul_(4)  # type: ignore[operator]
        return nn.Sequential(*layers).double().eval()


def pairs(count: int = PAIRS) -> tuple[Tensor, Tensor]:
    """Always the same pairs of 6 x 6 images in float64."""
    generator = torch.Generator().manual_seed(11)
    a, b = (torch.randn(count, 1, 6, 6, generator=generator, dtype=torch.float64) for _ in range(2))
    return a, b


def near(found: Any, expected: Any, what: str, tolerance: float = 1e-7) -> None:
    for name, x, y in zip(names_of(found), found, expected, strict=True):
        if x.shape != y.shape:
            raise ContractError(f"{name} has shape {tuple(x.shape)}, not {tuple(y.shape)}, {what}")
        worst = float((x - y).abs().max()) if x.numel() else 0.0
        if not worst <= tolerance * (1 + float(y.abs().max()) if y.numel() else 1):
            raise ContractError(f"{name} is off by {worst:.2g} {what}")


def names_of(found: Any) -> tuple[str, ...]:
    """What failures call the parts of what was found."""
    return found.names if isinstance(found, Numbers) else ("the map of a", "the map of b")
