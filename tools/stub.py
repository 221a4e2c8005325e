"""Writes ``xsiamese/__init__.pyi``: what type checkers and editors see of the names that are loaded on demand.

Run ``python tools/stub.py`` after a public name came or went; ``tests/test_typing.py`` holds the file current.
"""

from __future__ import annotations

import ast
from pathlib import Path

import xsiamese
from xsiamese.door.registry import public_names
from xsiamese.explain.catalogue import explainers

ROOT = Path(__file__).parents[1] / "xsiamese"


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


def stub() -> str:
    """The text of the file."""
    found = imports()
    lines = [
        f"from {module} import {name} as {name}" for name, module in sorted(found.items(), key=lambda x: (x[1], x[0]))
    ]
    names = "".join(f'    "{name}",\n' for name in sorted(found))
    return "\n".join(
        ["# Written by tools/stub.py: do not edit.", "", *lines, "", f"__all__ = [\n{names}]", "__version__: str", ""]
    )


if __name__ == "__main__":
    (ROOT / "__init__.pyi").write_text(stub(), encoding="utf-8")
