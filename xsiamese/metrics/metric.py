"""What a metric is: a number for each pair of how good its explanation is, with what that number means."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from inspect import signature
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from xsiamese.door.arguments import check
from xsiamese.pairs.batch import PairBatch
from xsiamese.result.explanation import PairExplanation


@dataclass(frozen=True)
class Curve:
    """What a metric measured on its way to a number.

    Attributes:
        shares: where, for example the shares of the units that are gone, shape (steps,).
        values: what was measured there, shape (pairs, steps), or (pairs, steps, steps) for a surface.
        number: the number of each pair, shape (pairs,).
    """

    shares: Tensor
    values: Tensor
    number: Tensor


class Metric(ABC):
    r"""How good explanations are, a number a pair.

    To add one, subclass this, fill in the class attributes and write :meth:`compute`.

    Attributes:
        name: how tables and the command line call it.
        formula: what the number is, in LaTeX.
        higher_is_better: the direction, or None where neither is good by itself.
        range: the smallest and the largest possible number.
        chance: the number of a map that says nothing, or None if that depends on the model.
        kinds: what kinds of input it is for.
        needs: what it takes besides model and maps: "truth", "partners", "twins", "explainer", "labels", "matrix". Each
            is an option of :meth:`compute` of that name.
        reference: keys of the sources in the bibliography.

    Example:
        >>> class Size(Metric):
        ...     "How much there is in the map of a."
        ...     name = "size"
        ...     def compute(self, batch, explanation):
        ...         return explanation.maps[0].abs().flatten(1).sum(1)
        >>> Size().name
        'size'
    """

    name: ClassVar[str]
    formula: ClassVar[str] = ""
    higher_is_better: ClassVar[bool | None] = True
    range: ClassVar[tuple[float, float]] = (-float("inf"), float("inf"))
    chance: ClassVar[float | None] = None
    kinds: ClassVar[frozenset[str]] = frozenset({"image", "row", "series", "volume", "text", "graph"})
    needs: ClassVar[frozenset[str]] = frozenset()
    reference: ClassVar[tuple[str, ...]] = ()

    def __new__(cls, *args: Any, **settings: Any) -> Self:
        names = [*signature(cls.__init__).parameters][1:]  # without self
        check(cls, {**dict(zip(names, args, strict=False)), **settings})
        return super().__new__(cls)

    @abstractmethod
    def compute(self, batch: PairBatch, explanation: PairExplanation, **options: Any) -> Tensor | Curve:
        """The number of each pair, shape (pairs,), NaN where it is not defined; or a :class:`Curve`.

        Args:
            batch: the pairs, checked and ready, with the model.
            explanation: of these pairs.
            **options: what the metric :attr:`needs`, by those names.
        """

    def reduce(self, numbers: Tensor) -> float:
        """One number of all pairs: the mean of those that are defined, NaN if none is."""
        return float(numbers.double().nanmean()) if len(numbers) else float("nan")

    def __repr__(self) -> str:
        shown = ", ".join(f"{key}={value!r}" for key, value in vars(self).items() if not key.startswith("_"))
        return f"{type(self).__name__}({shown})"


def number(found: Tensor | Curve) -> Tensor:
    """The numbers of what :meth:`Metric.compute` gave, shape (pairs, ...)."""
    return found.number if isinstance(found, Curve) else found


def area(values: Tensor) -> Tensor:
    """The mean height of curves over equal steps by the trapezoidal rule, over the last dimension."""
    return torch.trapezoid(values, dim=-1) / (values.shape[-1] - 1)
