"""Why this one rather than that one: explanations of s(a, p) - s(a, n), from two runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from torch import Tensor

from xsiamese.kinds import catalogue as kinds
from xsiamese.kinds.inputs import refuse_unsplit
from xsiamese.result import items
from xsiamese.result.columns import Packed
from xsiamese.result.explanation import PairExplanation


@dataclass(frozen=True, eq=False)
class Foil:
    """The foil of one pair that is more than one tensor, such as a text with its words.

    Attributes:
        kind: what kind of input it is, by name.
        item: a batch of one.
    """

    kind: str
    item: Any

    def packed(self) -> Packed:
        tensors, shape = items.pack("item", self.item, kinds.kind(self.kind))
        return tensors, {"kind": self.kind, "shape": shape}

    @classmethod
    def unpacked(cls, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> Foil:
        return cls(plain["kind"], items.unpack("item", tensors, plain["shape"], kinds.kind(plain["kind"])))


class FoilExplanation(PairExplanation):
    r"""Why a is nearer to p than to a foil n: :math:`s(a, p) - s(a, n)` of each triplet.

    The maps are of a, where what speaks for p is positive and what speaks for n negative, and of p; the third is
    :attr:`foil_map`. It is exact for what is linear in the value explained.
    """

    packables: ClassVar[tuple[type[Any], ...]] = (Foil,)

    @property
    def foil(self) -> Any:
        """The foils, one for each pair: a tensor, or a :class:`Foil` each of what is more than one tensor."""
        return self.columns["foil"]

    @property
    def foil_map(self) -> Any:
        """The map of the foils: positive is what makes a nearer to p than to n."""
        return self.columns["foil_map"]

    @property
    def foil_scores(self) -> Tensor:
        """The model's score of a and its foil, shape (pairs,)."""
        scores = self.columns["foil_score"]
        assert isinstance(scores, Tensor)
        return scores

    def summary(self) -> str:
        """One line a pair: how much nearer a is to p than to the foil."""
        first, *rows = super().summary().split("\n")
        gaps = (float(gap) for gap in self.scores - self.foil_scores)
        told = [f"{row}, {gap:+.4g} against the foil" for row, gap in zip(rows, gaps, strict=False)]
        return "\n".join([first, *told, *rows[len(self) :]])


def triplet(inputs: Any, foil: Any) -> tuple[Any, Any]:
    """The pair and the foil, of a triplet (a, p, n) as well.

    Raises:
        TypeError: see :func:`xsiamese.kinds.inputs.refuse_unsplit`.
    """
    refuse_unsplit(inputs)
    if foil is None and isinstance(inputs, (tuple, list)) and len(inputs) == 3:
        return tuple(inputs[:2]), inputs[2]
    return inputs, foil


def against(own: PairExplanation, foil: PairExplanation) -> FoilExplanation:
    """The explanation of a difference, from that of the pairs (a, p) and that of the pairs (a, n).

    Raises:
        ValueError: if the maps are no tensors of one shape on a's side.
    """
    first, other = own.maps[0], foil.maps[0]
    if not isinstance(first, Tensor) or not isinstance(other, Tensor) or first.shape != other.shape:
        raise ValueError("against= needs one map of a, a tensor, from both runs: explain the two pairs one by one")
    of, shown = foil.kinds[1], foil.inputs[1]
    if not isinstance(shown, Tensor):
        shown = tuple(Foil(of, items.take(shown, [i], kinds.kind(of))) for i in range(len(foil)))
    numbers: Mapping[str, Any] = {"foil": shown, "foil_map": -foil.maps[1], "foil_score": foil.scores}
    settings = {name: value for name, value in vars(own).items() if not name.startswith("_")}
    delta = None if own.delta is None or foil.delta is None else own.delta - foil.delta
    made = FoilExplanation(**{**settings, "maps": (first - other, own.maps[1]), "delta": delta})
    return replace(made, columns=dict(numbers), parameters={**own.parameters, "against": "foil"})
