"""One explanation of a model at a time: what two of them would change belongs to one thread until it is put back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from threading import Lock, RLock, get_ident
from typing import Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary
from weakref import ref as ref_to

from torch import nn
from torch.utils.weak import WeakIdKeyDictionary

P = ParamSpec("P")
T = TypeVar("T")

_WAKE = 0.1  # seconds after which a waiting thread looks whether a signal has come


class Turn:
    """A re-entrant lock that has its place in the one order in which all of one explanation are taken.

    Explanations inside others take theirs in an order of their own; a circle of threads that wait for each other is
    found by the last of them and refused.
    """

    _numbers = count()

    def __init__(self) -> None:
        self.number = next(self._numbers)
        self._lock = RLock()
        self._depth = 0
        self._thread: int | None = None

    @contextmanager
    def taken(self, waiting: Callable[[], None]) -> Iterator[None]:
        """Waits for the lock, calling ``waiting`` (which may raise) now and then, and holds it inside the block.

        Raises:
            RuntimeError: if the thread that has it waits for one that this thread has.
        """
        try:
            while not self._lock.acquire(timeout=_WAKE):
                self._refuse_circle()
                waiting()
        finally:
            _WAITED_FOR.pop(get_ident(), None)
        self._thread, self._depth = get_ident(), self._depth + 1
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                self._thread = None  # before the release: a thread named here has the lock
            self._lock.release()

    def _refuse_circle(self) -> None:
        me, seen, turn = get_ident(), set[int](), self
        with _GUARD:  # the threads of a circle ask one after another, so that only the first is refused
            _WAITED_FOR[me] = self
            while (holder := turn._thread) is not None and holder not in seen:
                if holder == me:
                    raise RuntimeError(
                        "two threads wait for each other: each explains, inside an explanation of one model, another "
                        "model that the other thread is explaining; explain them one after another, or in one order"
                    )
                seen.add(holder)
                if (waited_for := _WAITED_FOR.get(holder)) is None:
                    return
                turn = waited_for


GENERATORS = Turn()  # torch's, numpy's and random's are the process's own, whatever the model
_GUARD = Lock()
_WAITED_FOR: dict[int, Turn] = {}  # by each thread that waits, so that a circle is seen
_TURNS: Any = WeakIdKeyDictionary()  # of each module and parameter, for as long as it lives
# of each model the parts that it had, and the locks of all of them: looking up hundreds of parts costs as much as all
# else before a pass
_SEEN: WeakKeyDictionary[nn.Module, tuple[Sequence[ref_to[Any]], Sequence[Turn]]] = WeakKeyDictionary()


@contextmanager
def locked(model: nn.Module, *, seeded: bool = False, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Holds the lock of a model, and of every other that shares a module or a parameter with it, inside the block.

    Args:
        model: two wrappers around one network have one lock.
        seeded: whether the random generators are needed, too, which no two threads can have at once.
        waiting: called now and then while another thread has it.
    """
    modules = list(model.modules())
    parts = [*modules[1:], *(p for module in modules for p in module._parameters.values() if p is not None)]
    turns = [*_known_turns(model, parts), *([GENERATORS] if seeded else [])]
    with ExitStack() as stack:
        for turn in turns:
            stack.enter_context(turn.taken(waiting))
        yield


def _known_turns(model: nn.Module, parts: list[Any]) -> list[Turn]:
    """The locks of a model, which stay the same as long as its parts do."""
    seen, turns = _SEEN.get(model, ((), ()))
    if len(seen) != len(parts) or not all(ref() is part for ref, part in zip(seen, parts, strict=True)):
        turns = _turns([model, *parts])
        _SEEN[model] = tuple(map(ref_to, parts)), turns
    return list(turns)


def _turns(parts: Iterable[Any]) -> list[Turn]:
    """The locks of these parts: one, unless models that had locks of their own have been put into one model."""
    with _GUARD:
        parts = list(parts)
        known = {turn for part in parts if (turn := _TURNS.get(part)) is not None} or {Turn()}
        first = min(known, key=lambda turn: turn.number)
        for part in parts:
            _TURNS.setdefault(part, first)
        return sorted(known, key=lambda turn: turn.number)


def own(hook: Callable[P, T]) -> Callable[P, T | None]:
    """``hook`` for the calls of this thread only: others may serve the same model at the same time."""
    thread = get_ident()

    def called(*args: P.args, **kwargs: P.kwargs) -> T | None:
        return hook(*args, **kwargs) if get_ident() == thread else None

    return called
