"""Numbers of few digits: half a word each, in which differences of scores are lost."""

from __future__ import annotations

import torch
from torch import Tensor

LOW = (torch.bfloat16, torch.float16)


def wide(z: Tensor) -> Tensor:
    """Numbers in float32 at least: a score of eight bits hides what one part of an input is worth."""
    return z.float() if z.dtype in LOW else z
