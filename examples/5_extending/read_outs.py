"""Two maps that read one run of masks, as a plugin in one file.

The sampler asks the model; read-outs only calculate. ``PairKept(model).explain(pair, sample=sample)`` costs no
pass, and
a sample of another model or pair is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

import torch
from torch import Tensor

from xsiamese import PairAttribution, hookimpl
from xsiamese.author import Column, Maps, PairBatch, ReadOut, Sampler


class PairMasked(Sampler):
    """What the model answers where features of both inputs are missing at random."""

    name = "masked"
    formula = r"s(x \odot m, y \odot m')"
    reference = ("petsiuk2018",)
    modalities = frozenset({"row"})
    uses_gradients = False
    stochastic = True
    symmetric = False

    def ask(self, batch: PairBatch, *, masks: int = 64) -> Mapping[str, Column]:
        """One run of masks.

        Args:
            batch: the pairs.
            masks: how many.
        """
        keep, embedded = [], []
        for i, side in enumerate(batch.sides):
            leaf = side.leaves[0]
            kept = torch.rand(masks, leaf.shape[1]).to(leaf).round()
            if i in batch.objective.moving:
                keep.append(kept)
            # row t * pairs + p is pair p under mask t; a side that is held stays whole
            copies = (leaf * kept[:, None] if i in batch.objective.moving else leaf.expand(masks, *leaf.shape)).flatten(
                0, 1
            )
            with torch.no_grad():
                embedded.append(batch.embed(i, copies))
        values = batch.closeness(*embedded).detach().reshape(masks, batch.pairs).T
        return {"keep": torch.cat(keep, 1).expand(batch.pairs, -1, -1), "values": values}


class Reads(ReadOut):
    """What both read-outs share."""

    requires: ClassVar[type[Sampler]] = PairMasked
    modalities = frozenset({"row"})
    reference = ("petsiuk2018",)
    uses_gradients = False
    stochastic = True
    fitted = True
    linear = True

    @staticmethod
    def maps(batch: PairBatch, both: Tensor) -> Maps:
        """The maps, from one row of all features of what moved."""
        return batch.maps(list(both.split([leaf.shape[1] for leaf in batch.moved], 1)))


class PairKept(Reads):
    """How much higher the score is than on average where a feature is kept (RISE)."""

    name = "kept"
    formula = r"E[s \mid m_i = 1] - E[s]"

    def read(self, batch: PairBatch, sample: Mapping[str, Column]) -> Maps:
        """The maps."""
        keep, values = _tensors(sample)
        weights = keep / keep.sum(1, keepdim=True).clamp(min=1)
        return self.maps(batch, ((values - values.mean(1, keepdim=True))[..., None] * weights).sum(1))


class PairFitted(Reads):
    """The coefficients of the score's regression on the masks."""

    name = "fitted"
    formula = r"Z^+ s"

    def read(self, batch: PairBatch, sample: Mapping[str, Column]) -> Maps:
        """The maps."""
        keep, values = _tensors(sample)
        return self.maps(batch, (torch.linalg.pinv(keep - keep.mean(1, keepdim=True)) @ values[..., None])[..., 0])


def _tensors(sample: Mapping[str, Column]) -> tuple[Tensor, Tensor]:
    keep, values = sample["keep"], sample["values"]
    assert isinstance(keep, Tensor)
    assert isinstance(values, Tensor)
    return keep.double(), values.double()


@hookimpl
def xsiamese_explainers() -> Iterable[type[PairAttribution]]:
    """What this plugin brings."""
    return [PairMasked, PairKept, PairFitted]
