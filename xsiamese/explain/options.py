"""The options of an explainer in words and from words: what each means, and its value from a command line's text."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from xsiamese.explain.annotated import annotations_of
from xsiamese.explain.attribution import PairAttribution
from xsiamese.explain.words import OPTIONS

_PLAIN = (bool, int, float, str)


@dataclass(frozen=True)
class Option:
    """One option of an explainer's own.

    Attributes:
        name: in Python.
        default: what it is if left out.
        types: what a value may be: plain types and literal values; empty if it can be given in Python only.
        text: what it means.
        setting: whether it is given when the explainer is made, rather than with the pairs.
    """

    name: str
    default: Any
    types: tuple[Any, ...]
    text: str
    setting: bool

    @property
    def flag(self) -> str:
        """How the command line spells it."""
        return f"--{self.name.replace('_', '-')}"

    def value(self, text: str) -> Any:
        """The value that a text means.

        Raises:
            ValueError: naming the option, the text and what is needed.
        """
        for wanted in self.types:
            try:
                return _read(text, wanted)
            except ValueError:
                continue
        needed = " or ".join(map(_told, self.types))
        raise ValueError(f"{self.flag} {text}: {needed} is needed" if needed else f"{self.flag} is for Python only")

    def __str__(self) -> str:
        usual = "" if self.default is inspect.Parameter.empty else f" [{_shown(self.default)}]"
        return f"  {self.flag:<24} {self.text}{usual}"


def options_of(cls: type[PairAttribution]) -> list[Option]:
    """All options of an explainer's own, those of its making first."""
    made = cls.settings()
    told = {**OPTIONS, **_arguments(inspect.getdoc(cls)), **described(cls)}
    hints = annotations_of(cls)

    def option(name: str, p: inspect.Parameter, setting: bool) -> Option:
        return Option(name, p.default, _types(hints.get(name), p.default), told.get(name, ""), setting)

    own = [option(name, p, False) for name, p in cls.options().items() if name in told or cls.name != "noise_tunnel"]
    return [*(option(name, p, True) for name, p in made.items()), *own]


def described(cls: type[PairAttribution]) -> dict[str, str]:
    """What the docstring of the function that takes the options says of each of them."""
    found: dict[str, str] = {}
    for one in (getattr(cls, "requires", None), cls):  # a read-out takes the options of its sampler, too
        for name in ("compute", "read", "ask", "search"):
            found |= _arguments(inspect.getdoc(getattr(one, name, None)))
    return found


def parsed(cls: type[PairAttribution], given: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a command line gives for a method: arguments of its making, and options for the pairs.

    Raises:
        ValueError: if an option is unknown, with the nearest, or a value does not fit.
    """
    known = {option.name: option for option in options_of(cls)}
    made: dict[str, Any] = {}
    own: dict[str, Any] = {}
    for name, text in given.items():
        key = name.lstrip("-").replace("-", "_")
        if key not in known:
            near = get_close_matches(key, known)
            hint = f"did you mean {known[near[0]].flag}?" if near else _all(known, cls.files)
            raise ValueError(f"the method {cls.name} has no option --{key.replace('_', '-')}; {hint}")
        (made if known[key].setting else own)[key] = known[key].value(text)
    return made, own


def _all(known: Mapping[str, Option], files: Mapping[str, str]) -> str:
    flags = ", ".join([*(option.flag for option in known.values() if option.types), *(f"--{name}" for name in files)])
    return f"its own are {flags}" if flags else "it has none of its own"


def _arguments(text: str | None) -> dict[str, str]:
    """The arguments that a docstring describes."""
    told = (text or "").partition("Args:")[2].partition("\n\n")[0]
    found = re.findall(r"^ {4}\*{0,2}(\w+): (.+(?:\n {8}.+)*)", told, re.MULTILINE)
    return {name: " ".join(meaning.split()) for name, meaning in found}


def _types(hint: Any, default: Any) -> tuple[Any, ...]:
    """What a value may be: from the annotation, else from the default."""
    if hint is None or hint is Any:
        return (type(default),) if isinstance(default, _PLAIN) else ()
    if get_origin(hint) is Annotated:
        return _types(get_args(hint)[0], default)
    if get_origin(hint) in (Union, types.UnionType):
        found = tuple(dict.fromkeys(one for part in get_args(hint) for one in _types(part, default)))
        return () if found == (type(None),) else found  # a tensor or nothing: no word means one
    if get_origin(hint) is Literal:
        return (hint,)
    if hint in _PLAIN or hint is type(None):
        return (hint,)
    if get_origin(hint) is tuple and all(part in _PLAIN or part is Ellipsis for part in get_args(hint)):
        return (hint,)
    return ()


def _read(text: str, wanted: Any) -> Any:
    if wanted is type(None) or wanted is bool:
        known = {"none": None} if wanted is type(None) else {"true": True, "yes": True, "false": False, "no": False}
        if text.lower() not in known:
            raise ValueError(text)
        return known[text.lower()]
    if get_origin(wanted) is Literal:
        same = [choice for choice in get_args(wanted) if str(choice) == text]
        if not same:
            raise ValueError(text)
        return same[0]
    if get_origin(wanted) is tuple:
        kinds = [part for part in get_args(wanted) if part is not Ellipsis]
        words = text.split(",")
        if Ellipsis not in get_args(wanted) and len(words) != len(kinds):
            raise ValueError(text)
        return tuple(_read(word, kinds[min(i, len(kinds) - 1)]) for i, word in enumerate(words))
    return wanted(text)


def _told(wanted: Any) -> str:
    if get_origin(wanted) is Literal:
        return " or ".join(map(str, get_args(wanted)))
    if get_origin(wanted) is tuple:
        return "numbers with commas between them"
    return {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}.get(wanted, "none")


def _shown(default: Any) -> str:
    return (
        str(getattr(default, "__name__", default)).lower()
        if isinstance(default, bool) or default is None
        else str(getattr(default, "__name__", default))
    )
