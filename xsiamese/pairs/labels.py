"""Which pairs are alike, as users say it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from xsiamese.door.arguments import shown


def pair_labels(name: str, given: Any, pairs: int) -> Tensor:
    """Whether each pair is of the same, shape (pairs,), of bool.

    Args:
        name: what the argument is called, for errors.
        given: True or 1 for the same, False or 0 for different, one for each pair.
        pairs: how many there are.

    Raises:
        ValueError: if it is anything else.
    """
    try:
        found = torch.as_tensor(given).cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{name}={shown(given)}: True or False for each of the {pairs} pairs is needed") from error
    if found.shape != (pairs,):
        raise ValueError(f"{name}= has shape {tuple(found.shape)} for {pairs} pairs: one for each is needed")
    if found.dtype != torch.bool and not bool(((found == 0) | (found == 1)).all()):
        raise ValueError(
            f"{name}= holds other values than 0 and 1 (from {found.min()} to {found.max()}): give True for the same, "
            "False for different"
        )
    return found.bool()
