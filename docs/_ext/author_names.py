"""What a plugin may use, from ``xsiamese.author`` itself: its names by what they are for."""

from __future__ import annotations

import inspect
import re
from types import ModuleType
from typing import Any

from xsiamese import author

ROOMS = {
    "explain": "An explainer, and what it finds",
    "pairs": "The pairs that it is given",
    "result": "The result",
    "branches": "What happens inside the model",
    "model": "Models and comparisons",
    "kinds": "Kinds of input",
    "metrics": "Metrics",
    "zoo": "Model cards",
    "door": "The door",
}
TYPES = {
    "Cells": "The grid by which a picture is cut into parts, or None for every place.",
    "Column": "One entry a pair: a tensor with pairs first, or a sequence of tensors, JSON values or ``Packable``.",
    "Layer": "How a layer is named: a dotted name, a module, a pair of them, a list of several, or None.",
    "Layout": "Where the cells of an image are in a layer's output, or None.",
    "Leaves": "The tensors of one side.",
    "Maps": "The map of a and the map of b.",
    "Pooling": "How the embedding of a text is made of the vectors of its tokens.",
    "Rule": "The name of a rule of relevance propagation.",
    "Shows": 'What a map says: "signed", "magnitude" or "relevance".',
    "SideLayout": "One layout for both sides, or a pair of them.",
    "Wrt": 'Which sides move: "both", "first" or "second".',
}
HOMES = {
    "Cells": "pairs", "Layer": "branches", "Layout": "branches", "SideLayout": "branches", "Column": "result",
    "Leaves": "kinds", "Maps": "explain", "Rule": "branches", "Pooling": "model", "Shows": "explain", "Wrt": "kinds",
}  # fmt: skip


def groups() -> dict[str, list[tuple[str, str]]]:
    """The names with their first lines, by what they are for."""
    found: dict[str, list[tuple[str, str]]] = {title: [] for title in ROOMS.values()}
    for name in dir(author):
        thing = getattr(author, name)
        home = HOMES.get(name) or _module(thing).split(".")[1]
        found[ROOMS[home]].append((_link(name, thing), TYPES.get(name) or _first_line(thing)))
    return {title: rows for title, rows in found.items() if rows}


def _module(thing: Any) -> str:
    if isinstance(thing, ModuleType):
        return thing.__name__
    module = getattr(thing, "__module__", "")
    return module if module.startswith("xsiamese.") else "xsiamese.door"  # hookimpl is made by pluggy


def _link(name: str, thing: Any) -> str:
    if isinstance(thing, ModuleType):
        return f":mod:`{name} <{thing.__name__}>`"
    if name in TYPES or not hasattr(thing, "__qualname__"):
        return f"``{name}``"
    role = "class" if inspect.isclass(thing) else "func"
    return f":{role}:`{name} <{thing.__module__}.{thing.__qualname__}>`"


def _first_line(thing: Any) -> str:
    if not (inspect.isclass(thing) or inspect.isfunction(thing) or isinstance(thing, ModuleType)):
        return "Marks a function as the implementation of a hook."
    text = (inspect.getdoc(thing) or "").partition("\n\n")[0]
    return re.sub(r"\s+", " ", text)
