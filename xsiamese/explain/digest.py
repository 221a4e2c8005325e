"""Numbers that stand for tensors: equal for equal ones, other for others, the same in every process."""

from __future__ import annotations

import hashlib
import zlib
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
        made.update(f"{tuple(tensor.shape)}{tensor.dtype}".encode())
        made.update(_bytes(tensor))
    return made


def checksum(tensor: Tensor) -> int:
    """A number that tells the same weights from others, 32 bits: five times as fast as a hash, which reads a network's
    weights about as long as the network takes for a few small images.
    """
    return zlib.crc32(_bytes(tensor))


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data


def tensors_of(side: Side) -> list[Tensor]:
    """All tensors of the items of a side, in the order of their names: of graphs their edges, too."""
    packed, _ = kind(side.kind).pack(side.rebuild(side.leaves))
    return [packed[name] for name in sorted(packed)]
