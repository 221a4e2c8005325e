"""Attention of PyTorch without its fast path, whose layers give nested tensors to those that look on, and other numbers
at padding than with gradients.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

_LOCK = threading.Lock()
_INSIDE: list[bool] = []  # for each block that any thread is in, whether the path was open before


@contextmanager
def without_fast_path(modules: list[nn.Module]) -> Iterator[None]:
    """Keeps to the slow path inside the block if there is one among the modules that has two; it is open again once no
    thread is inside.
    """
    if not any(isinstance(module, nn.MultiheadAttention) for module in modules):
        yield
        return
    with _LOCK:
        _INSIDE.append(torch.backends.mha.get_fastpath_enabled())
        torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        with _LOCK:
            if len(_INSIDE) == 1:
                torch.backends.mha.set_fastpath_enabled(_INSIDE[0])
            _INSIDE.pop()


@contextmanager
def on_fast_path() -> Iterator[None]:
    """Opens the fast path inside a block of :func:`without_fast_path`, as for a call of the user's own without
    gradients.
    """
    with _LOCK:
        before = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(bool(_INSIDE) and _INSIDE[0])
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
