"""Whether a thing is there at all: a gate of 1 on each token, column or cell whose own number cannot move."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor

from xsiamese.kinds.side import Form, Leaves, TensorSide


class PresenceSide(TensorSide):
    """Whole numbers, such as the ids of tokens, of which each is there or missing.

    They cannot move, so what is explained is a gate, 1 for each number that is there: where it is 0, the model gets
    what stands for something missing. To a method that removes and asks again, a gate is an input like any other, with
    the baseline 0. Values in between have no meaning, so there is no gradient.

    Args:
        leaves: the gate, what comes in place of each number, where a number is kept in any case, the numbers
            themselves, and what rides along (a mask).
        form: how the user holds the numbers and what rides along.
        kind: the name of the kind.
    """

    still = True

    def __init__(self, leaves: Leaves, form: Form, kind: str) -> None:
        super().__init__(leaves, form, kind)
        self.one_tensor = False

    @classmethod
    def of(cls, values: Leaves, form: Form, kind: str, missing: int = 0, kept: Tensor | None = None) -> Self:
        """The side of a user's whole numbers, all there.

        Args:
            values: the numbers, and what rides along.
            form: how the user holds them.
            kind: the name of the kind.
            missing: what comes in place of a number that is missing.
            kept: where a number is never missing, such as a separator or padding; boolean, of the numbers' shape.
        """
        own = values[0]
        kept = torch.zeros_like(own, dtype=torch.bool) if kept is None else kept
        return cls((torch.ones(own.shape, device=own.device), torch.full_like(own, missing), kept, *values), form, kind)

    def rebuild(self, leaves: Sequence[Tensor]) -> Any:
        gate, instead, kept, own, *along = self.filled(leaves)
        return self.form.around([torch.where((gate > 0.5) | kept, own, instead), *along])

    def result(self, maps: Sequence[Tensor]) -> Any:
        return self.whole(0, maps[0])

    @property
    def own(self) -> Leaves:
        return self.leaves[3:]

    @property
    def movable(self) -> Tensor:
        """Which of the numbers can be missing, boolean, of their shape."""
        return ~self.leaves[2]

    def suited(self, dtype: torch.dtype) -> Self:
        return self.holding((self.leaves[0].to(dtype), *self.leaves[1:]))

    def is_gate(self, leaf: int) -> bool:
        return leaf == 0

    def names(self, name: str) -> list[str]:
        own = [name] if len(self.own) == 1 else [f"{name}[{i}]" for i in range(len(self.own))]
        return [f"the presence of {name}", f"what {name} is without", f"what is kept of {name}", *own]

    def missing(self, value: Any, name: str) -> tuple[Self, Any]:
        """This side with the user's baseline, a whole number or one for each place, in place of what is missing."""
        if value is None:
            return self, None
        gate, _, *rest = self.leaves
        own = self.own[0]
        if isinstance(value, numbers.Number):
            value = torch.full_like(own, int(value))  # type: ignore[call-overload]
        elif not isinstance(value, Tensor) or value.is_floating_point() or value.shape[1:] != own.shape[1:]:
            what = f"{tuple(value.shape)} {value.dtype}" if isinstance(value, Tensor) else type(value).__name__
            raise ValueError(
                f"the baseline of {name} is {what}, and its input holds whole numbers of shape {tuple(own.shape)}: "
                "give the number that stands for something missing, or one for each place"
            )
        if len(value) not in (1, len(own)):
            raise ValueError(f"the baseline of {name} has {len(value)} rows for {len(own)} pairs: 1 or one each")
        return self.holding((gate, value.to(own).expand_as(own), *rest)), None

    def equals(self, other: Any) -> Tensor:
        if not isinstance(other, PresenceSide):
            return torch.zeros(self.pairs, dtype=torch.bool)
        return TensorSide(self.own, self.form).equals(TensorSide(other.own, other.form))
