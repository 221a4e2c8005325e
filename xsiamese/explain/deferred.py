"""captum without its pictures, until somebody asks for one: they load pyplot, a sixth of a whole start.

``captum.attr`` loads its module of pictures for two functions of language models. Here that module is found as usual
and run when one of its names is first used, by us or by anybody; all else of captum is as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from threading import RLock
from types import ModuleType
from typing import Any

PICTURES = "captum.attr._utils.visualization"
EARLY = ("draw_mask_border", "draw_mask_legend")  # what captum takes out of it by name while it is imported
_lock = RLock()


class Later(ModuleType):
    """A module that runs when it is asked for a name that it does not have yet."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # inspect and the like ask every module in turn
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        run(self)
        return getattr(self, name)


class Deferring(MetaPathFinder, Loader):
    """Finds the module of pictures where it lies, and makes it a :class:`Later`."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name == PICTURES else None
        if spec is not None:
            spec.loader_state, spec.loader = spec.loader, self
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return Later(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        vars(module).update({name: partial(_called, module, name) for name in EARLY})


def run(module: ModuleType) -> None:
    """Runs the module, once."""
    with _lock:
        if isinstance(module, Later) and module.__spec__ is not None:
            module.__class__ = ModuleType  # type: ignore[assignment]  # before it runs: what it loads may look at it
            try:
                module.__spec__.loader_state.exec_module(module)
            except BaseException:
                module.__class__ = Later
                raise


def _called(module: ModuleType, name: str, *args: Any, **kwargs: Any) -> Any:
    run(module)
    return getattr(module, name)(*args, **kwargs)


_deferring = Deferring()
sys.meta_path.insert(0, _deferring)
try:
    from captum.attr import Attribution as Attribution
finally:
    sys.meta_path.remove(_deferring)
