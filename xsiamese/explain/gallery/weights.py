"""Whether a model is still the one that encoded the items of a gallery."""

from __future__ import annotations

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
        self._written: list[tuple[int, ...]] = []
        self._numbers: list[int] = []
        self._look()

    def check(self) -> None:
        """That they hold the same numbers; these are looked at only where something was written or put in.

        Raises:
            ValueError: if they do not.
        """
        if self._marks() == self._written:
            return
        before = self._numbers
        self._look()
        if self._numbers != before:
            self._written, self._numbers = [], before  # so that whoever asks again is told again
            raise ValueError(
                "the weights of the model have changed since the gallery encoded its items: make the gallery anew, or "
                "keep the model it was made with"
            )

    def _look(self) -> None:
        modules = list(self.model.modules())
        # the dictionaries themselves: to walk through a large model for every hundred pairs would cost as much as these
        self._held = [held for module in modules for held in (module._parameters, module._buffers)]
        self._inside = [module._modules for module in modules]
        self._written, self._numbers = self._marks(), self._summed()

    def _marks(self) -> list[tuple[int, ...]]:
        """Where each tensor lies and how often it was written, and which modules there are."""
        tensors = ((one.data_ptr(), 0 if one.is_inference() else one._version) for one in self._tensors())
        return [*tensors, *(tuple(map(id, inside.values())) for inside in self._inside)]

    def _summed(self) -> list[int]:
        return [checksum(one) for one in dict.fromkeys(self._tensors())]  # tied ones once

    def _tensors(self) -> list[Tensor]:
        every = (one for held in self._held for one in held.values() if one is not None)
        return [one for one in every if not is_lazy(one) and one.layout is torch.strided]
