"""Signals that come while something is put back wait until that is done: a second Ctrl-C leaves nothing half restored.

Python calls a handler between any two steps of the main thread, also of a clean-up, which an exception would end there.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from contextlib import ExitStack
from types import CodeType, FrameType
from typing import Any, TypeVar
from weakref import ref

F = TypeVar("F", bound=Callable[..., Any])

_NUMBERS = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGALRM", "SIGHUP", "SIGUSR1", "SIGUSR2")
    if hasattr(signal, name)
]


def _nobody() -> None:
    """Of nobody."""


class Signals:
    """Stands before the handlers that raise, and lets them run only where nothing is half done.

    Which code must run to its end is told by the stack at the moment of the signal: no flag could be set early enough.

    Example:
        >>> waiting = Signals()
        >>> @waiting.whole
        ... def restore():
        ...     signal.raise_signal(signal.SIGINT)
        ...     print("restored")
        >>> waiting.begin(waiting)
        >>> restore()
        restored
        >>> try:
        ...     waiting.end(waiting)
        ... except KeyboardInterrupt:
        ...     print("interrupted")
        interrupted
    """

    def __init__(self) -> None:
        self._whole: set[CodeType] = set()
        self._before: dict[int, Callable[[int, FrameType | None], Any]] = {}
        self._pending: set[int] = set()
        self._owner: Callable[[], object | None] = _nobody

    def whole(self, function: F) -> F:
        """Marks a function, with all that it calls, as one that no signal cuts short."""
        self._whole.add(function.__code__)
        return function

    def begin(self, owner: object) -> None:
        """Takes the place of Python's handlers for an owner, unless it stands inside another; only the main thread
        gets signals.
        """
        if threading.current_thread() is not threading.main_thread() or self._owner() is not None:
            return
        self._owner = ref(owner)
        # what still waits was answered by one that came when the handlers were given back, before its turn
        self._pending.clear()
        for number in _NUMBERS:
            handler = signal.getsignal(number)
            if callable(handler) and handler != self._handle:
                self._before[number] = handler
                signal.signal(number, self._handle)

    def end(self, owner: object) -> None:
        """Gives the handlers back, and lets those run that had to wait."""
        if threading.current_thread() is not threading.main_thread():
            return
        try:
            if self._owner() is owner:
                self._owner = _nobody
                for number, handler in self._before.items():
                    if signal.getsignal(number) == self._handle:
                        signal.signal(number, handler)
        finally:  # one that comes here must not leave another waiting, which would end the next explanation
            self.deliver()

    def deliver(self) -> None:
        """Lets the handlers run that had to wait, each once, which may raise."""
        if threading.current_thread() is not threading.main_thread():
            return
        waiting, self._pending = self._pending, set()
        with ExitStack() as stack:  # all of them, also if one raises
            for number in waiting:
                stack.callback(self._before[number], number, None)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        inside = frame
        while inside is not None:
            if inside.f_code in self._whole:
                self._pending.add(number)
                return
            inside = inside.f_back
        self._pending.discard(number)  # this answers the one that waited, too
        self._before[number](number, frame)


SIGNALS = Signals()
