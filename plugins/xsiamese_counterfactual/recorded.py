"""What one pass of some pairs gives, kept while both sides are searched."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from xsiamese.author import Layer, PairBatch, SiameseModel
from xsiamese.author import side as side_of


@dataclass(frozen=True)
class Recorded:
    """What one pass of some pairs gives.

    Attributes:
        raws: the layer's outputs, or the images, on both sides.
        embeddings: of both sides, or None where the model cannot be taken apart.
        closeness: of each pair.
    """

    raws: tuple[Tensor, Tensor]
    embeddings: tuple[Tensor, Tensor] | None
    closeness: Tensor

    @classmethod
    def joined(cls, parts: list[Recorded]) -> Recorded:
        """Several passes as one."""

        def cat(sides: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
            return torch.cat([first for first, _ in sides]), torch.cat([second for _, second in sides])

        embeddings = [part.embeddings for part in parts if part.embeddings is not None]
        return cls(
            cat([part.raws for part in parts]),
            cat(embeddings) if embeddings else None,
            torch.cat([part.closeness for part in parts]),
        )

    def row(self, i: int) -> Recorded:
        """One pair."""
        embeddings = None if self.embeddings is None else (self.embeddings[0][i : i + 1], self.embeddings[1][i : i + 1])
        return Recorded((self.raws[0][i : i + 1], self.raws[1][i : i + 1]), embeddings, self.closeness[i : i + 1])

    def like(self, side: int) -> Tensor:
        """All items of both sides, or of one side alone if they differ in shape."""
        first, second = self.raws
        return torch.cat([first, second]) if first.shape[1:] == second.shape[1:] else self.raws[side]


def recorded(batch: PairBatch, layer: Layer, patch: int | None = None) -> Recorded:
    """One pass of all pairs: the layer's outputs (or the images), the embeddings and the closeness."""
    parts = [one_pass(part, layer, layered=patch is None) for part in batch.split(batch.rows or 64)]
    return Recorded.joined(parts)


def one_pass(batch: PairBatch, layer: Layer, *, layered: bool = True) -> Recorded:
    """One pass: the layer's outputs (the default layer's for None), or the images."""
    both = batch.one_sided("both")
    if not layered:
        images = batch.a.leaves[0], batch.b.leaves[0]
        return Recorded(images, *_values(both))
    with both.record(layer) as recording, torch.no_grad():
        embeddings, closeness = _values(both)
    if len(recording.layers) != 1:
        raise ValueError(f"a region swap takes one layer, called once a side, not {len(recording.layers)}")
    first, second = recording.activations[0]
    batch.check_rows(layer, (first, second))
    return Recorded((first.detach(), second.detach()), embeddings, closeness)


def _values(both: PairBatch) -> tuple[tuple[Tensor, Tensor] | None, Tensor]:
    """Both embeddings, if the model can be taken apart, and the closeness; one pass of each side."""
    model = both.model
    with torch.no_grad():
        if not isinstance(model, SiameseModel) or both.target is not None:
            return None, both.value()
        with both.naming_inputs():
            z_a, z_b = model.encode(both.a.rebuild(both.a.leaves), 0), model.encode(both.b.rebuild(both.b.leaves), 1)
        score = model.comparison.explained(z_a, z_b)
        return (z_a, z_b), model.closeness(score)


def raws_of(batch: PairBatch, layer: Layer, side: int, items: Tensor, patch: int | None) -> Tensor:
    """The layer's outputs of items in place of one side's, or the items themselves."""
    if patch is not None:
        return items
    given = next(batch.split(1))
    held = given.b if side == 0 else given.a
    parts = []
    for part in torch.split(items.to(given.leaves[0].device), batch.rows or 64):
        still = held.holding(tuple(leaf.expand(len(part), *leaf.shape[1:]) for leaf in held.leaves))
        sides = (side_of(part, "reference"), still) if side == 0 else (still, side_of(part, "reference"))
        parts.append(one_pass(replace(given, a=sides[0], b=sides[1]), layer).raws[side])
    return torch.cat(parts)
