"""How a batch of pairs is cut and laid out."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Split:
    """How to cut and lay out a batch of pairs.

    Attributes:
        pairs: how many go into one pass; None for all.
        stacked: whether a shared encoder gets both sides in one call.
        channels_last: whether images are laid out with their channels last.
    """

    pairs: int | None = None
    stacked: bool = False
    channels_last: bool = False

    @property
    def layout(self) -> torch.memory_format | None:
        """The memory format of images, or None for the one they have."""
        return torch.channels_last if self.channels_last else None


WHOLE = Split()
