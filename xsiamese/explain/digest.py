"""Numbers that stand for tensors: equal for equal ones, other for others, the same in every process."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

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


def weights(model: nn.Module) -> Iterator[Tensor]:
    """The tensors of a model's state in their order, and what quantised modules pack away in it, as floats.

    Example:
        >>> [tuple(one.shape) for one in weights(nn.Linear(3, 2))]
        [(2, 3), (2,)]
    """
    for value in model.state_dict().values():
        yield from _within(value)


def checksum(tensor: Tensor) -> int:
    """A number that tells the same weights from others, 32 bits: five times as fast as a hash, which reads a network's
    weights about as long as the network takes for a few small images.
    """
    return zlib.crc32(_bytes(tensor))


def _within(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value.dequantize() if value.is_quantized else value
    elif isinstance(value, (tuple, list)):
        for one in value:
            yield from _within(one)
    elif isinstance(value, torch.ScriptObject):
        yield from _within(value.__getstate__())
    else:
        yield torch.tensor(list(str(value).encode()), dtype=torch.uint8)


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data


def tensors_of(side: Side) -> list[Tensor]:
    """All tensors of the items of a side, in the order of their names: of graphs their edges, too."""
    packed, _ = kind(side.kind).pack(side.rebuild(side.leaves))
    return [packed[name] for name in sorted(packed)]
