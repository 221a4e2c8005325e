"""A model of which only the comparison is left to run, since its items are encoded already."""

from __future__ import annotations

from typing import Any

from torch import nn

from xsiamese.branches.intact import intact
from xsiamese.model.pair import SiameseModel


class Compared(SiameseModel):
    """The comparison of a model, which alone is put into evaluation mode, and back, for some hundred pairs.

    Whoever asks for an embedding nevertheless gets the whole model's.
    """

    def __init__(self, model: SiameseModel) -> None:
        nn.Module.__init__(self)
        self.comparison = model.comparison
        self.embedding = model.embedding
        self._whole = (model,)  # in a tuple: no module of this one

    @property
    def encoders(self) -> tuple[nn.Module, nn.Module]:
        return self._whole[0].encoders

    def encode(self, item: Any, side: int = 0) -> Any:
        with intact(self._whole[0]):
            return self._whole[0].encode(item, side)
