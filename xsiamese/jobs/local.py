"""Units done on this machine: one after the other in this process, or by several worker processes."""

from __future__ import annotations

import gc
import signal
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import islice
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from typing import Any

import torch

from xsiamese.door.faults import sentence
from xsiamese.jobs.manifest import Entry
from xsiamese.jobs.task import Engine, Task, answered
from xsiamese.jobs.unit import Unit

AHEAD = 2  # units that are decoded before their turn
SWITCH = 2e-4  # seconds: after each operation the thread that explains waits so long for those that read and write


def engine(workers: int) -> Engine:
    """What does units with so many processes; 1 is this one alone."""
    return here if workers == 1 else Workers(workers)


def here(task: Task, units: Sequence[Unit], /) -> Iterator[Entry]:
    """One unit after the other; the next ones are decoded, and the last one is written, in threads meanwhile."""
    with unhindered(task), ThreadPoolExecutor(1) as decodes, ThreadPoolExecutor(1) as writes:
        rest = iter(units)
        ahead = deque(decodes.submit(task.decoded, unit) for unit in islice(rest, AHEAD))
        written: Future[Entry] | None = None
        while ahead:
            try:
                found = task.explained(ahead.popleft().result())
            except KeyboardInterrupt:
                if written is not None:  # it is done, and need not be done again
                    yield written.result()
                raise
            if (unit := next(rest, None)) is not None:
                ahead.append(decodes.submit(task.decoded, unit))
            if written is not None:
                yield written.result()
            written = writes.submit(task.store.write, found)
        if written is not None:
            yield written.result()


@contextmanager
def unhindered(task: Task) -> Iterator[None]:
    """The interpreter as a job needs it: the task's threads of torch; threads that read and write give way at once; and
    what is there by now is not gone through for garbage, which took more of a unit's writing than its rows did.
    """
    threads, interval, frozen = torch.get_num_threads(), sys.getswitchinterval(), gc.get_freeze_count()
    torch.set_num_threads(task.threads)
    sys.setswitchinterval(SWITCH)
    gc.freeze()
    try:
        yield
    finally:
        if not frozen:  # else it is whoever froze it who lets it go
            gc.unfreeze()
        sys.setswitchinterval(interval)
        torch.set_num_threads(threads)


class Workers:
    """Processes that do whole units. One that dies is replaced, and its unit done again, once."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __call__(self, task: Task, units: Sequence[Unit], /) -> Iterator[Entry]:
        _check_pickles(task, self.count)
        waiting, again = deque(units), set()
        workers = [Worker(task) for _ in range(min(self.count, len(units)))]
        try:
            while waiting or any(worker.unit for worker in workers):
                for worker in workers:
                    if worker.unit is None and waiting:
                        worker.give(waiting.popleft())
                busy = {worker.pipe: worker for worker in workers if worker.unit is not None}
                for pipe in wait(list(busy)):  # also of a dead process, whose pipe is at its end
                    worker = busy[pipe]
                    unit, answer = worker.unit, worker.answer()
                    assert unit is not None
                    if isinstance(answer, Entry):
                        yield answer
                        continue
                    if isinstance(answer, Exception):
                        raise answer
                    if unit in again:
                        raise ValueError(_died(worker, unit))
                    again.add(unit)
                    waiting.appendleft(unit)
                    workers[workers.index(worker)] = Worker(task)
        finally:
            for worker in workers:
                worker.end()


class Worker:
    """A process that does one unit at a time."""

    def __init__(self, task: Task) -> None:
        context = _context()
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(task, theirs), daemon=True)
        self.process.start()
        theirs.close()  # or its end would never be seen
        self.unit: Unit | None = None

    def give(self, unit: Unit) -> None:
        """A unit to do."""
        self.unit = unit
        with suppress(OSError):  # of a dead one, which is seen when it should answer
            self.pipe.send(unit)

    def answer(self) -> Entry | Exception | None:
        """What was written, or what went wrong; None of a process that is dead."""
        self.unit = None
        try:
            found: Entry | Exception = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            return None
        return found

    def end(self) -> None:
        """Stops it, whatever it does: what is half written is not named and will be done again."""
        self.process.terminate()
        self.process.join()
        self.pipe.close()


def _context() -> Any:
    """How processes begin: as copies of one that has imported everything and has no threads, where there is such a
    thing; a copy of this one may stand still.
    """
    if "forkserver" not in get_all_start_methods():
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _work(task: Task, pipe: Connection) -> None:
    """What a worker does until its parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends its workers
    with unhindered(task):
        while True:
            try:
                unit = pipe.recv()
            except EOFError:
                return
            pipe.send(answered(task, unit))


def _died(worker: Worker, unit: Unit) -> str:
    code = worker.process.exitcode or 0
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    return (
        f"a worker {how} at pairs {unit.start} to {unit.stop - 1}, twice: often there is not enough memory; give fewer "
        "--workers, a smaller --batch or a smaller --unit in a new folder"
    )


def _check_pickles(task: Task, count: int) -> None:
    try:
        ForkingPickler.dumps(task)
    except Exception as error:  # whatever a model holds
        raise ValueError(
            f"workers={count}: the explainer or the items cannot be sent to other processes ({sentence(error)}): give "
            "model= by name, or workers=1"
        ) from error
