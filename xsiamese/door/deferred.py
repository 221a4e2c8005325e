"""Modules that others load and seldom need, run only when somebody asks them for a name."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from threading import RLock
from types import ModuleType
from typing import Any

_lock = RLock()
TOLD = ("__all__", "__version__", "__version_info__")
"""Names with underscores that people ask a module for, and ``from module import *`` does."""


class Later(ModuleType):
    """A module that runs when it is asked for a name that it does not have yet; a package also for what is in it."""

    def __getattr__(self, name: str) -> Any:
        inside = name == "__path__" and self.__spec__ is not None and self.__spec__.submodule_search_locations
        if name.startswith("__") and name not in TOLD and not inside:  # inspect and the like ask every module in turn
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        run(self)
        return getattr(self, name)

    def __dir__(self) -> list[str]:
        run(self)
        return dir(self)


class Deferring(MetaPathFinder, Loader):
    """Finds some modules where they lie, and makes each a :class:`Later`.

    Args:
        early: names of modules, and the names that others take out of each while they are imported: functions, which
            run the module when they are called, or what stands in an annotation.
    """

    def __init__(self, early: Mapping[str, Sequence[str]]) -> None:
        self.early = early
        self.made: list[Later] = []

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name not in self.early:
            _run_above(name)  # a package runs before what is in it
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None:
            spec.loader_state, spec.loader = spec.loader, self
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        made = Later(spec.name)
        if spec.submodule_search_locations is not None:
            made.__path__ = spec.submodule_search_locations
        self.made.append(made)
        return made

    def exec_module(self, module: ModuleType) -> None:
        vars(module).update({name: partial(_called, module, name) for name in self.early[module.__name__]})

    def end(self) -> None:
        """From now on whoever asks a module for anything runs it: nobody else is given what stands for a name."""
        for module in self.made:
            if isinstance(module, Later):
                for name in ("__path__", *self.early[module.__name__]):
                    vars(module).pop(name, None)


@contextmanager
def deferred(early: Mapping[str, Sequence[str]]) -> Iterator[None]:
    """What is imported within finds these modules as :class:`Later`; ``early`` as in :class:`Deferring`."""
    finder = Deferring(early)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        finder.end()


def run(module: ModuleType) -> None:
    """Runs the module, once, and before it the package that it is in."""
    with _lock:
        _run_above(module.__name__)
        spec = module.__spec__
        if isinstance(module, Later) and spec is not None:
            module.__class__ = ModuleType  # type: ignore[assignment]  # before it runs: what it loads may look at it
            if spec.submodule_search_locations is not None:
                module.__path__ = spec.submodule_search_locations
            try:
                spec.loader_state.exec_module(module)
            except BaseException:
                module.__class__ = Later
                vars(module).pop("__path__", None)
                raise


def _run_above(name: str) -> None:
    above = sys.modules.get(name.rpartition(".")[0])
    if isinstance(above, Later):
        run(above)


def _called(module: ModuleType, name: str, *args: Any, **kwargs: Any) -> Any:
    run(module)
    return getattr(module, name)(*args, **kwargs)
