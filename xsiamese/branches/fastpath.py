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
_INSIDE: list[tuple[int, bool]] = []  # for each block the thread that is in it, and whether the path was open before


@contextmanager
def without_fast_path(modules: list[nn.Module]) -> Iterator[None]:
    """Keeps to the slow path inside the block if there is one among the modules that has two; it is open again once no
    thread is inside.
    """
    if not any(isinstance(module, nn.MultiheadAttention) for module in modules):
        yield
        return
    with _LOCK:
        _INSIDE.append((threading.get_ident(), torch.backends.mha.get_fastpath_enabled()))
        torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        with _LOCK:
            mine = max(i for i, (thread, _) in enumerate(_INSIDE) if thread == threading.get_ident())
            _, before = _INSIDE.pop(mine)
            if not _INSIDE:
                torch.backends.mha.set_fastpath_enabled(before)
            elif not mine:  # whoever is inside still knows how it was before all of them
                _INSIDE[0] = _INSIDE[0][0], before


@contextmanager
def on_fast_path() -> Iterator[None]:
    """Opens the fast path inside a block of :func:`without_fast_path`, as for a call of the user's own without
    gradients; not while another thread is in such a block, which would be on it, too.
    """
    with _LOCK:
        before, alone = torch.backends.mha.get_fastpath_enabled(), len({thread for thread, _ in _INSIDE}) == 1
        torch.backends.mha.set_fastpath_enabled(_INSIDE[0][1] if alone else before)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
