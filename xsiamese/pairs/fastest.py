"""The fastest way to run a batch of pairs through a model, measured once for a model and a shape."""

from __future__ import annotations

import time
from collections.abc import Callable
from weakref import WeakKeyDictionary

import torch
from torch import nn

from xsiamese.model.pair import SiameseModel
from xsiamese.pairs.pairs import Pairs
from xsiamese.pairs.split import Split

_MEASURED: WeakKeyDictionary[nn.Module, dict[tuple[object, ...], Split]] = WeakKeyDictionary()
_LARGEST = 16
_LARGEST_GRAPHS = 256  # a graph is small


def fastest_split(batch: Pairs) -> Split:
    """The split with the least time per pair, by passes without gradients; measured once for a model, a shape and a
    device.

    On two cores the same 16 images through ResNet-50 cost up to twice as much in one batch as in small ones, which stay
    in the cache. On a GPU a batch is taken whole, and halved until it fits into memory.
    """
    leaves = (*batch.a.leaves, *batch.b.leaves)
    known = _MEASURED.setdefault(batch.model, {})
    largest = _LARGEST if not batch.a.ragged else _LARGEST_GRAPHS
    sizes = [2**i for i in range(min(batch.pairs, largest).bit_length())]
    key = (
        tuple(leaf.shape[1:] for leaf in leaves),
        leaves[0].dtype,
        leaves[0].device,
        torch.get_num_threads(),
        sizes[-1],
        batch.wrt,
    )
    if key not in known:
        known[key] = _largest_that_fits(batch, sizes) if leaves[0].is_cuda else _measured(batch, sizes)
    return known[key]


def can_stack(batch: Pairs) -> bool:
    """Whether both sides can go through the encoder in one call: it is shared, and takes one tensor of one shape."""
    a, b = batch.a.leaves, batch.b.leaves
    shared = isinstance(batch.model, SiameseModel) and batch.model.encoders[0] is batch.model.encoders[1]
    return shared and batch.a.one_tensor and batch.b.one_tensor and a[0].shape[1:] == b[0].shape[1:]


def _measured(batch: Pairs, sizes: list[int]) -> Split:
    images = all(leaf.dim() == 4 for leaf in (*batch.a.leaves, *batch.b.leaves))
    splits = (
        [Split(1), *(Split(size, stacked=True) for size in sizes)]
        if can_stack(batch)
        else [Split(size) for size in sizes]
    )
    splits += [Split(split.pairs, split.stacked, channels_last=True) for split in splits if images]
    runs = {split: _pass(batch, split) for split in splits}
    times: dict[Split, list[float]] = {split: [] for split in splits}
    with torch.no_grad():
        for number in range(4):  # in turn, so that a slow moment of the machine hits all; the first round warms up
            for split, run in runs.items():
                start = time.perf_counter()
                run()
                if number:
                    times[split].append((time.perf_counter() - start) / (split.pairs or 1))
    return min(splits, key=lambda split: min(times[split]))


def _pass(batch: Pairs, split: Split) -> Callable[[], object]:
    part = next(batch.laid_out(split).split(split.pairs or batch.pairs))
    return part.value


def _largest_that_fits(batch: Pairs, sizes: list[int]) -> Split:
    for size in reversed(sizes):
        try:
            with torch.no_grad():
                _pass(batch, Split(size))()
            return Split(size)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
    return Split(1)
