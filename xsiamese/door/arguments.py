"""Whether the value of an argument is one that its annotation allows: told in one line, before any work."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from functools import cache
from math import inf
from numbers import Integral, Real
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import numpy as np

_PLAIN = (bool, int, float, str)
SOME = 3  # of a list of tensors, those that an error shows
SEED = 2**63 - 1  # the largest that tables keep


@dataclass(frozen=True)
class AtLeast:
    """The least of a number, as part of its annotation: ``Annotated[int, AtLeast(0)]``.

    A whole number counts something: without this it is 1 at least, or 0 where that is the default, and for a seed. A
    text there is what errors say is needed: ``Annotated[tuple[int, ...], "a window (height, width)"]``.
    """

    least: int


class _Range(NamedTuple):
    """From where numbers are taken, whole ones and others, and up to where whole ones are."""

    whole: float
    any: float
    most: int | None


def check(
    function: Callable[..., Any], given: Mapping[str, Any], *, most: Mapping[str, int] = types.MappingProxyType({})
) -> None:
    """Refuses a value that the annotation of its argument does not allow.

    Numbers, texts, choices, classes, and tuples of them are known; what an annotation says beyond is left to the
    function. Its defaults are taken as they are.

    Args:
        function: a function, or a class that is made with the arguments.
        given: values by name.
        most: the largest of some whole numbers.

    Raises:
        ValueError: with the argument, the value and what is needed.

    Example:
        >>> def blur(image: list[float], steps: int = 3) -> None: ...
        >>> check(blur, {"image": [0.5], "steps": 1.5})
        Traceback (most recent call last):
        ValueError: steps=1.5: a whole number from 1 on is needed; 3 if left out
    """
    check_each(hints(function), defaults(function), given, most=most)


def check_each(
    annotated: Mapping[str, Any], usual: Mapping[str, Any], given: Mapping[str, Any], *, most: Mapping[str, int]
) -> None:
    """As :func:`check`, with annotations and defaults of several functions."""
    for name, value in given.items():
        default = usual.get(name, inspect.Parameter.empty)
        hint = annotated.get(name, type(default) if type(default) in _PLAIN else Any)
        range_ = _Range(_least(name, default), -inf, most.get(name, SEED if name == "seed" else None))
        if value is default or _fits(value, hint, range_):
            continue
        left_out = "" if default is inspect.Parameter.empty else f"; {shown(default)} if left out"
        raise ValueError(f"{name}={shown(value)}: {_needed(hint, range_)} is needed{left_out}")


@cache
def hints(function: Callable[..., Any]) -> Mapping[str, Any]:
    """The annotations of a function's arguments, or of a class's making, as far as they can be read."""
    # a dataclass has its annotations as a class, which also says where their names are from
    made = isinstance(function, type) and not is_dataclass(function)
    asked: Any = function.__init__ if made else inspect.unwrap(function)
    try:
        return get_type_hints(asked, include_extras=True)
    except (NameError, TypeError):  # an annotation that only a type checker can read: the others say what they do
        return dict(_readable(asked))


def _readable(asked: Any) -> Iterator[tuple[str, Any]]:
    for name, text in getattr(asked, "__annotations__", {}).items():
        try:
            yield name, eval(text, asked.__globals__) if isinstance(text, str) else text
        except (NameError, TypeError, AttributeError):
            continue


@cache
def defaults(function: Callable[..., Any]) -> Mapping[str, Any]:
    """The default of each of a function's arguments that has one."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def _least(name: str, default: Any) -> int:
    return 0 if name in ("seed", "seeds") or (isinstance(default, int) and default <= 0) else 1


def _fits(value: Any, hint: Any, range_: _Range) -> bool:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _fits(value, inner[0], _of(inner[1:], range_))
    if origin in (Union, types.UnionType):
        return any(_fits(value, one, range_) for one in inner)
    if origin is Literal:
        return any(isinstance(value, type(choice)) and value == choice for choice in inner)
    if origin is tuple:
        some = [one for one in inner if one is not Ellipsis]
        if not isinstance(value, (tuple, list)) or (Ellipsis not in inner and len(value) != len(some)):
            return False
        return all(_fits(one, some[min(i, len(some) - 1)], range_) for i, one in enumerate(value))
    if hint is bool:
        return isinstance(value, (bool, np.bool_))
    if hint is int:
        whole = isinstance(value, Integral) and not isinstance(value, bool)
        return whole and range_.whole <= int(value) and (range_.most is None or int(value) <= range_.most)
    if hint is float:
        return isinstance(value, Real) and not isinstance(value, bool) and float(value) >= range_.any  # NaN is not
    of_kind = hint if origin is None else origin
    if of_kind is Any or not isinstance(of_kind, type):
        return True
    if getattr(of_kind, "_is_protocol", False):
        return all(hasattr(value, part) for part in vars(of_kind) if not part.startswith("_"))
    if of_kind is Sequence and isinstance(value, Sequence):
        free = _Range(-inf, -inf, None)  # what a list holds are places, say, and no counts
        return not isinstance(value, str) and all(_fits(one, inner[0], free) for one in value)
    return isinstance(value, of_kind)


def _of(extras: Iterable[Any], range_: _Range) -> _Range:
    least = next((one.least for one in extras if isinstance(one, AtLeast)), None)
    return range_ if least is None else _Range(least, least, range_.most)


def _needed(hint: Any, range_: _Range) -> str:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        words = next((one for one in inner[1:] if isinstance(one, str)), None)
        return words or _needed(inner[0], _of(inner[1:], range_))
    if origin in (Union, types.UnionType):
        return _either(dict.fromkeys(_needed(one, range_) for one in inner))
    if origin is Literal:
        return _either(map(repr, inner))
    if origin is tuple:
        return f"({', '.join('...' if one is Ellipsis else _needed(one, range_) for one in inner)})"
    whole = f"a whole number from {range_.whole} {'on' if range_.most is None else f'to {range_.most}'}"
    number = "a number" if range_.any == -inf else f"a number from {range_.any:g} on"
    told = {
        bool: "True or False", int: whole, float: number, str: "a text", type(None): "None", Callable: "a function",
        Sequence: "a list", Mapping: "a mapping",
    }  # fmt: skip
    kind = hint if origin is None else origin
    return told.get(kind, getattr(kind, "__name__", str(kind)))


def _either(choices: Iterable[str]) -> str:
    *first, last = choices
    return f"{', '.join(first)} or {last}" if first else last


def shown(value: Any) -> str:
    """A value in few letters, and in one line."""
    shape = getattr(value, "shape", None)
    if shape is not None and not isinstance(value, np.generic):
        return f"{type(value).__name__}{tuple(shape)}"
    if isinstance(value, (list, tuple)) and any(hasattr(one, "shape") for one in value[:SOME]):
        some = ", ".join(map(shown, value[:SOME])) + (", ..." if len(value) > SOME else "")
        return f"({some})" if isinstance(value, tuple) else f"[{some}]"
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
