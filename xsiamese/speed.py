"""The fastest way to cut a batch of pairs, measured once for a model and a shape."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch
from torch import nn

if TYPE_CHECKING:
    from xsiamese.batch import PairBatch

_MEASURED: WeakKeyDictionary[nn.Module, dict[tuple[object, ...], int]] = WeakKeyDictionary()


def fastest_split(batch: PairBatch) -> int:
    """How many pairs a forward pass should hold: of 1, 2, 4, ... the number with the least time per pair.

    On two cores the same 16 images through ResNet-50 cost up to twice as much in one batch as in small ones, which stay in the cache.
    Measured by passes without gradients, twice each, once for a model, a shape, a device and a number of threads.
    On a GPU a batch is taken whole, and halved until it fits into memory.
    """
    leaves = (*batch.a.leaves, *batch.b.leaves)
    known = _MEASURED.setdefault(batch.model, {})
    key = (tuple(leaf.shape[1:] for leaf in leaves), leaves[0].dtype, leaves[0].device, torch.get_num_threads(), _power(batch.pairs))
    if key not in known:
        sizes = [2**i for i in range(_power(batch.pairs) + 1)]
        if leaves[0].is_cuda:
            sizes = sizes[::-1]
        known[key] = _largest_that_fits(batch, sizes) if leaves[0].is_cuda else min(sizes, key=lambda size: _seconds_per_pair(batch, size))
    return known[key]


def _power(pairs: int) -> int:
    """Of the sizes tried the largest is 2 to this."""
    return min(pairs, 16).bit_length() - 1


def _seconds_per_pair(batch: PairBatch, size: int) -> float:
    part = next(batch.split(size))
    times = []
    with torch.no_grad():
        for _ in range(3):
            start = time.perf_counter()
            part.value()
            times.append(time.perf_counter() - start)
    return min(times[1:]) / size


def _largest_that_fits(batch: PairBatch, sizes: list[int]) -> int:
    for size in sizes:
        try:
            with torch.no_grad():
                next(batch.split(size)).value()
            return size
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
    return 1
