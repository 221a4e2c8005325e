"""What one pass of some pairs gives, kept while both sides are searched."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


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

    def everything(self) -> Tensor:
        """All items of both sides, or of a alone if they differ in shape."""
        first, second = self.raws
        return torch.cat([first, second]) if first.shape[1:] == second.shape[1:] else first
