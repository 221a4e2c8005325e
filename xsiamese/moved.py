"""Where the modules of the first edition went: their old names work until 0.3, with a warning that names the new."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED = {
    "adapt": "explain.captum",
    "attribution": "explain.attribution",
    "batch": "pairs.batch",
    "calibration": "pairs.calibration",
    "citations": "result.citations",
    "comparison": "model.comparison",
    "explanation": "result.explanation",
    "gates": "kinds.graphs.gates",
    "graphs": "kinds.graphs.side",
    "hookspecs": "door.hookspecs",
    "inputs": "kinds.inputs",
    "layers": "branches.layers",
    "maps": "explain.maps",
    "objective": "pairs.objective",
    "plan": "pairs.usage",
    "plugins": "door.registry",
    "request": "explain.request",
    "speed": "pairs.split",
    "state": "branches.intact",
    "stored": "result.stored",
    "structure": "kinds.graphs.structure",
    "survey": "branches.calls",
    "variants": "kinds.graphs.variants",
    "views": "branches.untied",
}


class _Renamed(Loader):
    """Gives the module of the new name for the old one."""

    def __init__(self, old: str, new: str) -> None:
        self.old, self.new = old, new

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        warnings.warn(f"{self.old} is {self.new} now; the old name goes with 0.3", DeprecationWarning, stacklevel=2)
        module = import_module(self.new)
        self.own = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """The module has run under its own name already; import has put the old one into its spec."""
        module.__spec__ = self.own


class Finder(MetaPathFinder):
    """Finds ``xsiamese.OLD`` where it is now. It is asked last, so that a module that exists is never hidden."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, old = name.rpartition(".")
        if package != "xsiamese" or old not in MOVED:
            if package == "xsiamese" and (near := _near(old)):  # ``from xsiamese import PairGradCam``
                raise ImportError(f"cannot import name {old!r} from 'xsiamese'; {near}", name=package)
            return None
        return ModuleSpec(name, _Renamed(name, f"xsiamese.{MOVED[old]}"))


def _near(name: str) -> str:
    """What the package itself says of a name that it does not have, if it knows a near one."""
    try:
        getattr(sys.modules["xsiamese"], name)
    except AttributeError as error:
        _, found, near = str(error).partition("did you mean")
        return found + near
    return ""


def install() -> None:
    """Makes the old names known to ``import``, once."""
    if not any(isinstance(finder, Finder) for finder in sys.meta_path):
        sys.meta_path.append(Finder())
