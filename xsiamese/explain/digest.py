"""Numbers that stand for tensors: equal for equal ones, other for others, the same in every process."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import torch
from torch import Tensor

from xsiamese.kinds.catalogue import kind
from xsiamese.kinds.side import Side


def digest(tensors: Iterable[Tensor], of: hashlib.blake2b | None = None) -> hashlib.blake2b:
    """A hash of shapes, types and numbers, 16 bytes.

    Args:
        tensors: in their order.
        of: a hash to go on from; it is not changed.
    """
    made = hashlib.blake2b(digest_size=16) if of is None else of.copy()
    for tensor in tensors:
        own = tensor.detach().cpu().contiguous()
        made.update(f"{tuple(own.shape)}{own.dtype}".encode())
        made.update(own.flatten().view(torch.uint8).numpy().tobytes() if own.numel() else b"")
    return made


def tensors_of(side: Side) -> list[Tensor]:
    """All tensors of the items of a side, in the order of their names: of graphs their edges, too."""
    packed, _ = kind(side.kind).pack(side.rebuild(side.leaves))
    return [packed[name] for name in sorted(packed)]
