"""Explanations as files: one safetensors file each, which says what it is and is read as that, and never executed."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from xsiamese.door.registry import explainers, installed
from xsiamese.kinds import catalogue as kinds
from xsiamese.kinds.kind import Kind
from xsiamese.result import columns, items, stored

T = TypeVar("T")
FORMAT = 2  # 1 is the first edition, which did not say so
_TENSORS = ("maps", "inputs", "scores", "delta", "columns")
Cut = Callable[[str, Any, Kind], Any]


def save(explanation: Any, path: str | Path) -> Path:
    """Writes an explanation of any type: see :meth:`PairExplanation.save <xsiamese.PairExplanation.save>`."""
    return stored.write(path, *packed(explanation), "xsiamese")


def packed(explanation: Any) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An explanation of any type as tensors by name and what JSON can hold; :func:`unpacked` makes it again.

    ``scores``, ``delta`` and the tensors of maps and inputs that are tensors, ``maps.a.0``, have pairs first.
    """
    tensors: dict[str, Tensor] = {"scores": explanation.scores}
    shapes: dict[str, Any] = {}
    if explanation.delta is not None:
        tensors["delta"] = explanation.delta
    for what, sides in (("maps", explanation.maps), ("inputs", explanation.inputs)):
        for name, value, of in zip("ab", sides or (), explanation.kinds, strict=False):
            found, shape = items.pack(f"{what}.{name}", value, kinds.kind(of))
            tensors |= found
            shapes |= shape
    own, told = columns.pack(explanation.columns)
    tensors |= {f"columns.{key}": tensor for key, tensor in own.items()}
    plain = {f.name: getattr(explanation, f.name) for f in fields(explanation) if f.name not in _TENSORS}
    kind = type(explanation)
    about = {
        "format": FORMAT,
        "type": kind.__name__,
        "distribution": _distribution(kind),
        "columns": told,
        "_shapes": shapes,
    }
    return tensors, {**plain, **about}


def _distribution(kind: type[Any]) -> str:
    """The distribution of the plugin that a type is of."""
    package = kind.__module__.partition(".")[0]
    found = (one.distribution for one in installed().values() if one.module.partition(".")[0] == package)
    return next(found, package)


def load(path: str | Path, base: type[T]) -> T:
    """Reads an explanation of any type; ``base`` is :class:`~xsiamese.PairExplanation`, whose ``load`` this is."""
    tensors, plain = stored.read(path, "xsiamese", "explanation", needs="scores")
    damaged = f"{path} is damaged or made up: its header"
    if not isinstance(plain, Mapping):
        raise ValueError(f"{damaged} holds a {type(plain).__name__}, and names with values are needed")
    try:
        if plain.get("format", 1) == 1:
            plain.pop("format", None)
            first: T = _first_edition(path, base, tensors, plain)
            return first
        return unpacked(path, tensors, plain, base)
    except KeyError as error:
        raise ValueError(f"{damaged} has no {error}") from error
    except (AttributeError, TypeError, IndexError) as error:  # a header that is none of ours
        raise ValueError(f"{damaged} says what none of ours does: {error}") from error


def unpacked(
    path: str | Path, tensors: Mapping[str, Tensor], plain: Mapping[str, Any], base: type[T], cut: Cut | None = None
) -> T:
    """What :func:`packed` took apart.

    Args:
        path: where it comes from, for messages.
        tensors: by their names.
        plain: what JSON held.
        base: :class:`~xsiamese.PairExplanation`.
        cut: called with the name (``maps.a``), the value and the kind of each map and input, gives the part of it that
            is wanted, where the tensors are of some of the pairs only.

    Raises:
        ValueError: if it is of a newer format.
    """
    plain = dict(plain)
    number = plain.pop("format")
    if not isinstance(number, int) or number > FORMAT:
        raise ValueError(
            f"{path} is of format {number}, and this version reads up to {FORMAT}: pip install -U xsiamese"
        )
    made, distribution = plain.pop("type"), plain.pop("distribution")
    known = results(base)
    if made not in known:
        warnings.warn(
            f"{path} holds a {made} of {distribution or 'an unknown package'}, which no installed plugin brings: "
            "it is read as a PairExplanation with its columns",
            stacklevel=4,
        )
    kind: Any = known.get(made, base)
    told = plain.pop("columns")
    parts = {k.removeprefix("columns."): t for k, t in tensors.items() if k.startswith("columns.")}
    found: T = _made(kind, tensors, plain, cut, columns=columns.unpack(parts, told, kind.packables))
    return found


def results(base: type[T]) -> dict[str, type[T]]:
    """Every type of result of the core, such as that of a foil, and of installed explainers, by its name."""
    given = {cls.result.__name__: cls.result for cls in explainers().values()}
    own = base.__module__.partition(".")[0] + "."
    views = {one.__name__: one for one in base.__subclasses__() if one.__module__.startswith(own)}
    return {base.__name__: base, **views, **given}


def _made(kind: Any, tensors: Mapping[str, Tensor], plain: dict[str, Any], cut: Cut | None = None, **more: Any) -> Any:
    shapes = plain.pop("_shapes")
    plain["kinds"] = tuple(plain.get("kinds", ("", "")))  # files of the first edition told graphs only

    def both(what: str) -> Any:
        if f"{what}.a" not in shapes:
            return None
        found = []
        for name, of in zip("ab", plain["kinds"], strict=True):
            own, called = kinds.kind(of or "graph"), f"{what}.{name}"
            value = items.unpack(called, tensors, shapes, own)
            found.append(value if cut is None else cut(called, value, own))
        return tuple(found)

    plain["ids"] = tuple(map(tuple, plain["ids"])) if plain["ids"] else None
    if plain.pop("unsigned", False):  # files from before there were three kinds of maps
        plain.setdefault("shows", "relevance")
    known = {f.name for f in fields(kind)}
    return kind(
        maps=both("maps"),
        inputs=both("inputs"),
        scores=tensors["scores"],
        delta=tensors.get("delta"),
        **{key: value for key, value in plain.items() if key in known},
        **more,
    )


def _first_edition(path: str | Path, base: Any, tensors: Mapping[str, Tensor], plain: dict[str, Any]) -> Any:
    """A file without a format: its type is that of its method, what its subclasses had as fields become columns."""
    cls = explainers().get(plain["method"])
    kind = base if cls is None else cls.result
    found: dict[str, Any] = {}
    headers = stored.header(path, "xsiamese_counterfactuals") or ()
    known = {one.__name__: one for one in kind.packables}
    if headers and "Counterfactual" in known:
        made = known["Counterfactual"].unpacked
        starts = [f"counterfactual.{i}." for i in range(len(headers))]
        own = [{k.removeprefix(at): t for k, t in tensors.items() if k.startswith(at)} for at in starts]
        found["counterfactuals"] = tuple(made(parts, told) for parts, told in zip(own, headers, strict=True))
    if plain.get("alike"):
        found["alike"] = tuple(plain["alike"])
    if "form" in plain:
        plain["parameters"] = {**plain["parameters"], "form": plain["form"]}
    return _made(kind, tensors, plain, columns=found)
