"""The user's model is left exactly as it was: flags, buffers, gradients and random numbers, also after an exception or
Ctrl-C.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from torch import Tensor, nn


@contextmanager
def intact(model: nn.Module, *, seed: int | None = None, freeze: bool = True) -> Iterator[None]:
    """Puts ``model`` into evaluation mode, and everything back as it was at the end.

    Args:
        seed: seeds torch, numpy (captum's GradientShap draws from it) and random; None leaves them where they are.
        freeze: takes ``requires_grad`` off the parameters, so that only what is explained has a graph.
    """
    modules = list(model.modules())
    training = [module.training for module in modules]
    parameters = [(p, p.requires_grad) for p in _of(modules, "_parameters") if p.is_leaf]
    buffers = [(buffer, buffer._version, buffer.detach().clone()) for buffer in _of(modules, "_buffers")]
    with ExitStack() as stack:
        stack.enter_context(seeded(seed))
        if any(type(module).__name__ == "OptimizedModule" for module in modules):
            stack.enter_context(torch.compiler.set_stance("force_eager"))  # hooks do not fire in compiled code
        try:
            for module in modules:
                module.training = False
            if freeze:
                for parameter, _ in parameters:
                    parameter.requires_grad_(False)
            yield
        finally:
            for module, flag in zip(modules, training, strict=True):
                module.training = flag
            for parameter, flag in parameters:
                parameter.requires_grad_(flag)
            with torch.no_grad():
                for buffer, version, before in buffers:
                    if buffer._version != version:
                        buffer.copy_(before)


def _of(modules: list[nn.Module], kind: str) -> list[Tensor]:
    """The parameters or buffers of all modules, each once."""
    found = {id(t): t for module in modules for t in getattr(module, kind).values() if t is not None}
    return list(found.values())


@contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """Seeds every generator for the time of the block and puts their states back after it."""
    if seed is None:
        yield
        return
    states = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(enabled=True):
        try:
            reseed(seed)
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])


def reseed(seed: int) -> None:
    """Seeds torch, numpy and random."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)
