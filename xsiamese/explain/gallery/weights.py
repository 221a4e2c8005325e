"""Whether a model is still the one that encoded the items of a gallery."""

from __future__ import annotations

from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from xsiamese.explain.digest import checksum


class Weights:
    """The parameters and buffers of a model as they are now: where they lie, how often they were written, checksums.

    Args:
        model: the model.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self._written, self._numbers = self._marks(), self._summed()

    def check(self) -> None:
        """That they hold the same numbers; these are looked at only where something was written.

        Raises:
            ValueError: if they do not.
        """
        marks = self._marks()
        if marks == self._written:
            return
        if self._summed() != self._numbers:
            raise ValueError(
                "the weights of the model have changed since the gallery encoded its items: make the gallery anew, or "
                "keep the model it was made with"
            )
        self._written = marks

    def _tensors(self) -> list[Tensor]:
        held = chain(self.model.parameters(), self.model.buffers())
        return [one for one in held if not is_lazy(one) and one.layout is torch.strided]

    def _marks(self) -> list[tuple[int, int]]:
        return [(one.data_ptr(), 0 if one.is_inference() else one._version) for one in self._tensors()]

    def _summed(self) -> list[int]:
        return list(map(checksum, self._tensors()))
