"""Everything that an explanation could leave behind: a model's whole state, and the generators of random numbers."""

from __future__ import annotations

import random
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from xsiamese import SiameseModel
from xsiamese.branches.signals import SIGNALS

Seen = dict[str, Any]


def whole_state(model: nn.Module) -> Seen:
    """What can be told of a model and of the generators: identities, values, flags and versions of nothing else."""
    seen: Seen = {
        "torch": torch.get_rng_state().tolist(),
        "numpy": [np.asarray(part).tolist() for part in np.random.get_state()],
        "python": random.getstate(),
        "gradients": torch.is_grad_enabled(),
    }
    for name, module in model.named_modules():
        seen[f"{name}: modules"] = [(key, id(child)) for key, child in module._modules.items()]
        for key, value in vars(module).items():
            if key in ("_parameters", "_buffers"):
                seen[f"{name}: {key}"] = [(k, None if t is None else _tensor(t)) for k, t in value.items()]
            elif "_hooks" in key and isinstance(value, dict):
                seen[f"{name}: {key}"] = [(number, id(hook)) for number, hook in value.items()]
            elif key != "_modules":
                seen[f"{name}: {key}"] = id(value)
    return seen


def _tensor(tensor: Tensor) -> Any:
    grad = tensor.grad
    return (
        id(tensor),
        tensor.requires_grad,
        tensor.tolist(),
        None if grad is None else (id(grad), grad.tolist()),
    )


def differences(before: Seen, after: Seen) -> list[str]:
    """The names of what is not as it was."""
    return [key for key in {**before, **after} if before.get(key) != after.get(key)]


class Remembers(nn.Module):
    """Passes its input on, and keeps count in buffers: in place, re-assigned, and in one that was None."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(1, dtype=torch.float64))
        self.register_buffer("average", torch.zeros(1, dtype=torch.float64))
        self.register_buffer("last", None)

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.average = 0.9 * self.average + 0.1 * x.detach().mean()
        self.last = x.detach().sum()[None]
        return x


def restless(training: bool = True, seed: int = 0) -> SiameseModel:
    """A model with everything that could be left changed: flags of all kinds, gradients, hooks and buffers; layer "3"
    has a grid.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        encoder = nn.Sequential(
            nn.Conv2d(1, 3, 3, padding=1),
            Remembers(),
            nn.Dropout(0.3),
            nn.Conv2d(3, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(16, 3),
        ).double()
    model = SiameseModel(encoder, "cosine").train(training)
    encoder[4].train(not training)
    encoder[8].weight.requires_grad_(False)
    encoder[0].weight.grad = torch.ones_like(encoder[0].weight)
    encoder[5].register_forward_hook(lambda module, args, output: None)
    return model


def seed_all(seed: int) -> None:
    """Every generator in a state that no explainer would leave by chance."""
    torch.manual_seed(1000 + seed)
    np.random.seed(2000 + seed)
    random.seed(3000 + seed)


class Injected(Exception):
    """Raised on purpose."""


def at_line(number: int, run: Callable[[], Any], happens: Callable[[], None], clean_up: bool = False) -> int:
    """Runs ``run`` with ``happens()`` called at one of the lines that our code and captum's pass through.

    Args:
        number: the line at which it happens, counted from 0; -1 for never.
        run: what is run.
        happens: what happens: an exception, a signal.
        clean_up: counts only the lines of what no signal may cut short, else only all others.

    Returns:
        How many such lines were passed.
    """
    passed = 0

    def traced(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal passed
        path = frame.f_code.co_filename
        if not any(part in path for part in ("xsiamese", "captum", "contextlib")) or "wholestate" in path:
            return None
        if event == "line" and _in_clean_up(frame) == clean_up:
            passed += 1
            if passed == number + 1:
                happens()
        return traced

    before = sys.gettrace()  # that of who counts the lines that tests take
    sys.settrace(traced)
    try:
        run()
    finally:
        sys.settrace(before)
    return passed


def _in_clean_up(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code in SIGNALS._whole:
            return True
        frame = frame.f_back
    return False


def inject() -> None:
    raise Injected


def press() -> None:
    """Ctrl-C."""
    signal.raise_signal(signal.SIGINT)


def interrupted_after(seconds: float, run: Callable[[], Any], times: int = 3, pause: float = 2e-4) -> bool:
    """Whether real signals of a timer, the first after some seconds and others right behind it, ended ``run``."""
    came = 0

    def handler(number: int, frame: FrameType | None) -> None:
        nonlocal came
        came += 1
        if came >= times:
            signal.setitimer(signal.ITIMER_REAL, 0)
        inside = frame
        while inside is not None and inside.f_code is not within.__code__:
            inside = inside.f_back
        if frame is None or inside is not None:  # never in the middle of the test itself
            raise KeyboardInterrupt

    def within() -> None:
        run()

    before = signal.signal(signal.SIGALRM, handler)
    said, sys.unraisablehook = (
        sys.unraisablehook,
        lambda unraisable: None,
    )  # a signal in a __del__ has no way out
    ended = True
    with suppress(KeyboardInterrupt):
        signal.setitimer(signal.ITIMER_REAL, seconds, pause)
        within()
        ended = False
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
    sys.unraisablehook = said
    return ended
