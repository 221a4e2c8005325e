"""Writes ``xsiamese/__init__.pyi``: what type checkers and editors see of the names that are loaded on demand.

Every explainer is a class with its own options as keywords, so that a misspelt one is seen before anything runs. Run
``python tools/stub.py`` after a public name or an option came or went; ``tests/test_typing.py`` holds the file current.
"""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import xsiamese
from xsiamese import PairAttribution
from xsiamese.door.registry import public_names
from xsiamese.explain.catalogue import explainers

ROOT = Path(__file__).parents[1] / "xsiamese"
HEAD = """# Written by tools/stub.py: do not edit.
# fmt: off

from collections.abc import Mapping, Sequence
from typing import Any, Literal, overload

from torch import Tensor

from xsiamese.explain.request import BatchSize as _BatchSize
from xsiamese.kinds.inputs import Kinds as _Kinds
from xsiamese.kinds.side import Wrt as _Wrt
from xsiamese.pairs.objective import Target as _Target
"""
TYPES = {
    "target": "_Target",
    "wrt": "_Wrt",
    "kind": "_Kinds",
    "internal_batch_size": "_BatchSize",
    "parts": "Sequence[str] | None",
    "ids": "Sequence[tuple[str, str]] | None",
    "show_progress": "bool",
    "create_graph": "bool",
    "seed": "int | None",
}
TENSORS = "tuple[Tensor, Tensor]"
ITEMS = "Sequence[Any] | Mapping[str, Any]"


def imports() -> dict[str, str]:
    """The module of every public name of ``xsiamese``."""
    tree = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))
    direct = {
        alias.name: str(node.module)
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name
    }
    brought = {name: value.__module__ for name, value in {**public_names(), **explainers()}.items()}
    return {**brought, **xsiamese.ON_DEMAND, **direct}


def plain(cls: type[PairAttribution]) -> bool:
    """Whether an explainer's options are those of its ``compute`` and no others."""
    options = inspect.signature(cls.compute).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in options) and "algorithm" not in vars(cls) | vars(cls.__mro__[1]):
        return False  # it passes on what another one takes
    return cls.attribute is PairAttribution.attribute and cls.explain is PairAttribution.explain


def spelled(cls: type[PairAttribution], function: str, inputs: str, delta: str | None, result: str) -> str:
    """One signature of ``attribute`` or ``explain``."""
    shared = inspect.signature(getattr(PairAttribution, function)).parameters
    told = [
        f"{name}: {TYPES.get(name, 'Any')} = ..."
        for name, p in shared.items()
        if p.kind is p.KEYWORD_ONLY and name != "return_convergence_delta"
    ]
    told += [f"return_convergence_delta: {delta}"] if delta else []
    told += [f"{name}: Any = ..." for name in cls.options() if name not in shared]
    return f"    def {function}(self, inputs: {inputs}, target: _Target = ..., *, {', '.join(told)}) -> {result}: ..."


def stubbed(name: str, cls: type[PairAttribution]) -> list[str]:
    """The class of an explainer, with its own options in both methods."""
    result = cls.result.__name__ if cls.result.__name__ in imports() else "PairExplanation"
    attribute = [
        (TENSORS, "Literal[False] = ...", TENSORS),
        (TENSORS, "Literal[True]", f"tuple[{TENSORS}, Tensor]"),
        (ITEMS, "bool = ...", "Any"),
    ]
    lines = [f"class {name}(_{name}):"]
    for asked in attribute:
        lines += ["    @overload", spelled(cls, "attribute", *asked)]
    explain = spelled(cls, "explain", ITEMS, None, result)
    return [*lines, f"{explain}  # type: ignore[override]", ""]


def stub() -> str:
    """The text of the file."""
    found = imports()
    own = {name: cls for name, cls in sorted(explainers().items()) if plain(cls)}
    lines = [
        f"from {module} import {name} as {'_' * (name in own)}{name}"
        for name, module in sorted(found.items(), key=lambda x: (x[1], x[0]))
    ]
    classes = [line for name, cls in own.items() for line in stubbed(name, cls)]
    names = "".join(f'    "{name}",\n' for name in sorted(found))
    return "\n".join([HEAD, *lines, "", f"__all__ = [\n{names}]", "__version__: str", "", *classes])


if __name__ == "__main__":
    (ROOT / "__init__.pyi").write_text(stub(), encoding="utf-8")
