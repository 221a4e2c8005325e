"""What explains the pairs of a job, such that every process can make it anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol, Self, cast

import torch

from xsiamese.explain.attribution import PairAttribution
from xsiamese.explain.auto import Auto, Budget
from xsiamese.explain.digest import digest, weights
from xsiamese.explain.meant import Meant
from xsiamese.explain.request import described
from xsiamese.result.explanation import PairExplanation
from xsiamese.zoo import OpenedModel, open_model

Precision = Literal["full", "half"]


def check_device(name: str) -> None:
    """Refuses a device that is none, or not here.

    Raises:
        ValueError: with the name and what there is.
    """
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        why = "it is none of cpu, cuda, cuda:1, mps" if "device string" in str(error) else "it is not here"
        raise ValueError(f"--device {name}: {why}") from error


@dataclass(frozen=True)
class Made:
    """An explainer that is ready.

    Attributes:
        explain: explains a batch of pairs.
        explainer: whose ``explain`` that is.
        options: of it.
        opened: the model that was opened for it, if it was opened by name.
    """

    explain: Callable[..., PairExplanation]
    explainer: PairAttribution
    options: Mapping[str, Any]
    opened: OpenedModel | None = None

    @classmethod
    def of(
        cls, explains: PairAttribution | Auto, options: Mapping[str, Any], opened: OpenedModel | None = None
    ) -> Self:
        """An explainer, or a choice of one with the options that were chosen for it."""
        if isinstance(explains, PairAttribution):
            return cls(explains.explain, explains, options, opened)
        choice = cast(Auto, explains)
        return cls(choice.explain, choice.explainer, {**choice.options, **options}, opened)

    def described(self) -> dict[str, Any]:
        """What decides what it says of a pair, as JSON can hold it: the method, how it is called, and the weights."""
        own = self.explainer
        settings = {name: getattr(own, name, None) for name in type(own).settings()}
        return {
            "method": type(own).__name__,
            "layer": None if own.layer is None else str(own.layer),
            "settings": described(settings),
            "options": described({key: value for key, value in self.options.items() if value is not None}),
            "threshold": own.known_threshold(),
            "weights": digest(weights(own.model)).hexdigest(),
        }


class Recipe(Protocol):
    """What makes the explainer."""

    @property
    def made(self) -> Made: ...


@dataclass(frozen=True)
class Given:
    """An explainer of Python, with the options of its ``explain``."""

    explains: PairAttribution | Auto
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def made(self) -> Made:
        """The explainer as it is."""
        return Made.of(self.explains, self.options)


@dataclass(frozen=True)
class Named:
    """A model and a method by name, as on the command line.

    Attributes:
        model: a zoo name, a checkpoint, package.module:factory or a folder.
        method: the name of the explainer; the scoreboard's choice for the ``budget`` if None.
        layer: the layer to explain on; the model's own if None.
        size: the height and width of images, for a model without a card.
        words: the explainer's own options, each as it is typed.
        device: where the model runs.
    """

    model: str
    method: str | None = None
    budget: Budget = "normal"
    layer: str | None = None
    size: int | None = None
    words: Mapping[str, str] = field(default_factory=dict)
    device: str = "cpu"

    @cached_property
    def made(self) -> Made:
        """The explainer, of a model that is opened once a process.

        Raises:
            ValueError: if there is no such model, method or option.
        """
        opened = open_model(self.model, size=self.size)
        if isinstance(opened.model, torch.nn.Module):
            opened.model.to(self.device)
        meant = Meant.of(
            opened.model, opened.kind, self.words, method=self.method, budget=self.budget, layer=self.layer,
            usual_layer=opened.layer,
        )  # fmt: skip
        if meant.files:
            first = next(iter(meant.files))
            raise ValueError(f"--{first} belongs to one pair and cannot be given for many: use xsiamese explain")
        return Made.of(meant.explains, meant.options, opened)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key != "made"}
