"""The fastest way to run a batch of pairs through a model, measured once for a model and a shape."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import nn

from xsiamese.model.pair import SiameseModel
from xsiamese.pairs.pairs import Pairs
from xsiamese.pairs.split import Split

_MEASURED: WeakKeyDictionary[nn.Module, dict[tuple[object, ...], Split]] = WeakKeyDictionary()
_LARGEST = 16
_LARGEST_GRAPHS = 256  # a graph is small
_LARGEST_ON_ACCELERATOR = 256  # an H200 is 1 % slower than with 1,024, in a quarter of the memory

T = TypeVar("T")


def fastest_split(batch: Pairs) -> Split:
    """The split with the least time per pair, by passes without gradients; measured once for a model, a shape and a
    device.

    On two cores the same 16 images through ResNet-50 cost up to twice as much in one batch as in small ones, which stay
    in the cache. On a GPU a batch is taken whole, up to 256 pairs, and :func:`fitting` halves what is too much.
    """
    known, key = _known(batch)
    if key not in known:
        known[key] = (
            _on_accelerator(batch) if batch.a.leaves[0].device.type != "cpu" else _measured(batch, _sizes(batch))
        )
    return known[key]


def fitting(batch: Pairs, split: Split, run: Callable[[Split], T]) -> T:
    """What a run gives of the first split, halved from the one given, that fits into memory; it is remembered.

    Raises:
        torch.OutOfMemoryError: if not even a single pair fits.
    """
    while True:
        try:
            found = run(split)
        except torch.OutOfMemoryError:
            if split.pairs is None or split.pairs <= 1:
                raise
        else:
            known, key = _known(batch)
            known[key] = split
            return found
        gc.collect()  # out of the except block, whose error holds the tensors of the failed run
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        split = replace(split, pairs=split.pairs // 2)


def can_stack(batch: Pairs) -> bool:
    """Whether both sides can go through the encoder in one call: it is shared, and takes one tensor of one shape."""
    a, b = batch.a.leaves, batch.b.leaves
    shared = isinstance(batch.model, SiameseModel) and batch.model.encoders[0] is batch.model.encoders[1]
    return shared and batch.a.one_tensor and batch.b.one_tensor and a[0].shape[1:] == b[0].shape[1:]


def _known(batch: Pairs) -> tuple[dict[tuple[object, ...], Split], tuple[object, ...]]:
    """The splits that are known of a model, and what this one depends on."""
    leaves = (*batch.a.leaves, *batch.b.leaves)
    return _MEASURED.setdefault(batch.model, {}), (
        tuple(leaf.shape[1:] for leaf in leaves),
        leaves[0].dtype,
        leaves[0].device,
        torch.get_num_threads(),
        _sizes(batch)[-1],
        batch.wrt,
    )


def _sizes(batch: Pairs) -> list[int]:
    largest = _LARGEST if not batch.a.ragged else _LARGEST_GRAPHS
    return [2**i for i in range(min(batch.pairs, largest).bit_length())]


def _on_accelerator(batch: Pairs) -> Split:
    return Split(_LARGEST_ON_ACCELERATOR, stacked=can_stack(batch))


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
            for split, run in list(runs.items()):
                start = time.perf_counter()
                try:
                    run()
                except torch.OutOfMemoryError:
                    del runs[split]
                    continue
                if number:
                    times[split].append((time.perf_counter() - start) / (split.pairs or 1))
    return min(runs, key=lambda split: min(times[split])) if runs else Split(1)


def _pass(batch: Pairs, split: Split) -> Callable[[], object]:
    part = next(batch.laid_out(split).split(split.pairs or batch.pairs))
    return part.value
