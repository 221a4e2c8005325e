"""Processes of their own that do something of a test's, and may be killed in the middle of it."""

from __future__ import annotations

import multiprocessing
import multiprocessing.forkserver
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

PRELOADED = ["xsiamese.jobs.local", "xsiamese.training.run", "tests.jobs"]  # what a child would import anew each time
_SERVER: dict[str, int] = {}  # the one that was started with them


def ended(act: Callable[..., Any], *given: Any, kill_after: float | None = None) -> int:
    """How a process ended that does something: its exit code, or less than 0 for a signal.

    It is a copy of a server that has done nothing: a copy of this process cannot differentiate any more once another
    test has made autograd's threads.

    Args:
        act: what is done, a function of a module.
        given: what it is given.
        kill_after: seconds after its beginning, when it is killed if it still lives.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    _preloaded()
    begun = context.Event()
    child = context.Process(target=_begin, args=(begun, act, *given))
    child.start()
    if kill_after is not None and begun.wait(60):
        time.sleep(kill_after)
        assert child.pid
        with suppress(ProcessLookupError):  # it was done sooner
            os.kill(child.pid, signal.SIGKILL)
    child.join()
    assert child.exitcode is not None
    return child.exitcode


def _preloaded() -> None:
    """Sees to a server that has loaded what children need: a job with workers may have started one that has not."""
    server: Any = multiprocessing.forkserver._forkserver  # type: ignore[attr-defined]
    if server._forkserver_pid != _SERVER.get("pid"):
        server._stop()
    server.ensure_running()
    _SERVER["pid"] = server._forkserver_pid


def _begin(begun: Any, act: Callable[..., Any], *given: Any) -> None:
    begun.set()
    act(*given)
