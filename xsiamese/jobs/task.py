"""What a process needs to do any unit of a job."""

from __future__ import annotations

import errno
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Protocol

from xsiamese.door.faults import sentence
from xsiamese.jobs.manifest import Entry
from xsiamese.jobs.recipe import Recipe
from xsiamese.jobs.source import Source
from xsiamese.jobs.store import Store
from xsiamese.jobs.table import PairTable
from xsiamese.jobs.unit import Decoded, Explained, Unit, decode, explained

TRIED = 4  # pairs that are explained before the work, so that what fits none is an error and no table of errors
LOOKED = 64  # rows among which these are looked for


@dataclass(frozen=True)
class Task:
    """What is done with any unit.

    Attributes:
        table: the pairs.
        source: of their items.
        recipe: what explains them.
        store: where results go.
        batch: the most pairs in one pass of the model.
        threads: of PyTorch, in each process that explains: the same for any number of them, so that numbers are too.
        device: where the model is.
    """

    table: PairTable
    source: Source
    recipe: Recipe
    store: Store
    batch: int = 64
    threads: int = 1
    device: str = "cpu"

    def decoded(self, unit: Unit) -> Decoded:
        """A unit with its items."""
        return decode(unit, self.table, self.source)

    def explained(self, decoded: Decoded) -> Explained:
        """A unit with what was found of it."""
        made = self.recipe.made
        return explained(decoded, made, batch=self.batch, seed=self.store.seed, device=self.device)

    def done(self, what: Unit | Decoded) -> Entry:
        """A unit, decoded, explained and written.

        Raises:
            OSError: if it cannot be written.
        """
        return self.store.write(self.explained(what if isinstance(what, Decoded) else self.decoded(what)))

    def try_first(self) -> None:
        """Explains the first pairs that can be read, until one of them can be explained.

        Raises:
            ValueError: what the first one says, if none can be read or explained.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the units say it
            self._try_first()

    def _try_first(self) -> None:
        looked = min(len(self.table), LOOKED)
        each = (self.decoded(Unit(i, i, i + 1)) for i in range(looked))
        readable = islice((one for one in each if one.good), TRIED)
        first = next(readable, None)
        if first is None:
            said = self.decoded(Unit(0, 0, 1)).errors[0]
            raise ValueError(f"none of the first {looked} pairs of {self.table.name} can be read; row 0: {said}")
        why = ""
        for one in chain([first], readable):
            tried = self.explained(one)
            if tried.good:
                return
            why = why or tried.errors[0]
        raise ValueError(why)


def answered(task: Task, what: Unit | Decoded) -> Entry | Exception:
    """What was written of a unit, or what went wrong as an error that any other process can read."""
    try:
        return task.done(what)
    except OSError as error:
        return OSError(error.errno or errno.EIO, error.strerror or str(error))
    except Exception as error:  # of any class, which the other process need not know
        return ValueError(sentence(error))


class Engine(Protocol):
    """Does units in any order, and gives what was written of each as soon as it is on the disk."""

    def __call__(self, task: Task, units: Sequence[Unit], /) -> Iterable[Entry]: ...
