"""Functions that hold modules: as closures, globals, defaults, fixed arguments, or in the object whose method they are.

A function hides them from hooks, from ``eval()`` and from whoever looks for layers; as a module around it shows them.
"""

from __future__ import annotations

import dis
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from functools import cache, partial
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from torch import nn

# whose modules register all that they call
_PACKAGES = frozenset({
    "lightning", "open_clip", "pytorch_lightning", "sentence_transformers", "timm", "tokenizers", "torch",
    "torch_geometric", "torchaudio", "torchvision", "transformers",
})  # fmt: skip
OF_MODULES = frozenset(vars(nn.Module()))  # what every module has besides what its user gave it
_LIBRARIES = ("torch.", "numpy.", "functools.")  # whose functions hold nobody's modules


class Holding(nn.Module):
    """A function as a module, whose children are the modules that it holds.

    Copies of it, in which a child is another module, call a function that holds these instead.

    Args:
        function: the function.
        held: the modules that it holds, by name.
    """

    def __init__(self, function: Callable[..., Any], held: dict[str, nn.Module]) -> None:
        super().__init__()
        self.given = _Given(function, list(held.values()))
        for name, module in held.items():
            self.add_module(name, module)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.given.with_modules(list(self._modules.values()))(*args, **kwargs)


class _Given:
    """The function as the user holds it; copies of a model share it."""

    def __init__(self, function: Callable[..., Any], modules: list[nn.Module]) -> None:
        self.function, self.modules = function, modules

    def __deepcopy__(self, memo: dict[int, Any]) -> _Given:
        return self

    def with_modules(self, now: list[nn.Module | None]) -> Callable[..., Any]:
        """The function with other modules in the places of its own."""
        if all(new is old for new, old in zip(now, self.modules, strict=True)):
            return self.function
        others: dict[int, Any] = {id(old): new for old, new in zip(self.modules, now, strict=True)}
        function: Callable[..., Any] = exchanged(self.function, others)
        return function


def held(function: Callable[..., Any]) -> dict[str, nn.Module]:
    """The modules that a function holds, by the names that it calls them by.

    Example:
        >>> layer = nn.Linear(2, 2)
        >>> list(held(lambda x: layer(x)))
        ['layer']
    """
    found: dict[str, nn.Module] = {}
    for name, module in _inside(function, "", set()):
        if not any(module is known for known in found.values()):
            key = name.replace(".", "_") or "module"
            found[key if key not in found else f"{key}_{len(found)}"] = module
    return found


def hidden(model: nn.Module) -> dict[str, nn.Module]:
    """The modules with parameters that a model calls, or may call, and are no part of it: in plain objects that it
    holds, and globals of its own ``forward``.

    Example:
        >>> class Holder:
        ...     net = None
        >>> class Encoder(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.holder = Holder()
        ...         self.holder.net = nn.Linear(2, 2)
        >>> list(hidden(Encoder()))
        ['net']
    """
    own, found = set(model.modules()), dict[str, nn.Module]()
    for module in model.modules():
        if isinstance(module, Holding) or type(module).__module__.partition(".")[0] in _PACKAGES:
            continue
        values = [value for name, value in vars(module).items() if name not in OF_MODULES]
        for value in (type(module).forward, *values):
            known = type(value).__module__.partition(".")[0] in _PACKAGES
            for name, one in () if known else _inside(value, "", set()):
                if one not in own and any(True for _ in one.parameters()):
                    found[name or type(one).__name__] = one
    return found


def said_of_hidden(model: nn.Module) -> str | None:
    """What is said of a model that calls modules which are no part of it, to who needs its layers."""
    for name, module in hidden(model).items():
        return (
            f"the model calls {name!r}, a {type(module).__name__} that is no part of it, in a plain object or a "
            f"global: its layers cannot be told apart for a and b; make it an attribute of the model, self.{name} = "
            "..., or use a method that needs no modules, such as PairIntegratedGradients or PairOcclusion"
        )
    return None


def _parts(value: Any) -> dict[str, Any]:
    """What a callable, an object or a container holds, by name."""
    if isinstance(value, partial):
        code = getattr(value.func, "__code__", None)
        names = [] if code is None else list(code.co_varnames[: code.co_argcount])
        places = [*names, *map(_place, range(len(names), len(value.args)))]
        return {"func": value.func, **dict(zip(places, value.args, strict=False)), **value.keywords}
    if isinstance(value, MethodType):
        return {"func": value.__func__, "self": value.__self__}
    if isinstance(value, FunctionType):
        cells = zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)
        used = {name: value.__globals__[name] for name in _globals_of(value.__code__) if name in value.__globals__}
        return {
            **used,
            **_defaults(value),
            **(value.__kwdefaults__ or {}),
            **{name: cell.cell_contents for name, cell in cells if _full(cell)},
        }
    if isinstance(value, (list, tuple)):
        return {_place(i): one for i, one in enumerate(value)}
    if isinstance(value, dict):
        return {str(name): one for name, one in value.items()}
    return dict(getattr(value, "__dict__", {}))


def _inside(value: Any, name: str, seen: set[int], depth: int = 0) -> Iterator[tuple[str, nn.Module]]:
    """The modules in a value, each with a name."""
    if isinstance(value, nn.Module):
        yield name, value
        return
    if id(value) in seen or depth > 6 or not _may_hold(value):
        return
    seen.add(id(value))
    if callable(value):
        yield from _inside(type(value).__call__, name, seen, depth + 1)
    for key, part in _parts(value).items():
        # of an object that is no function what it holds itself, and not all that hangs on it
        deeper = depth + (1 if isinstance(value, (FunctionType, MethodType, partial, list, tuple, dict)) else 4)
        yield from _inside(part, key if not _is_place(key) or not name else f"{name}{key}", seen, deeper)


def _may_hold(value: Any) -> bool:
    if isinstance(value, (type, ModuleType, str, bytes, int, float, type(None))):
        return False
    known = f"{getattr(value, '__module__', None) or type(value).__module__}.".startswith(_LIBRARIES)
    return not known or isinstance(value, (partial, MethodType))


def exchanged(value: Any, others: dict[int, Any]) -> Any:
    """A value that holds other modules in the places of its own; itself where it holds none of them.

    Args:
        value: a function, an object or a container.
        others: the other modules, by the identity of those that they stand for.
    """
    if id(value) in others:
        return others[id(value)]
    inside = [id(module) for _, module in _inside(value, "", set())]
    if isinstance(value, nn.Module) or not any(key in others for key in inside):
        return value
    if isinstance(value, partial):
        new = [exchanged(one, others) for one in value.args]
        return partial(
            exchanged(value.func, others),
            *new,
            **{name: exchanged(one, others) for name, one in value.keywords.items()},
        )
    if isinstance(value, MethodType):
        return MethodType(exchanged(value.__func__, others), exchanged(value.__self__, others))
    if isinstance(value, FunctionType):
        return _function(value, others, inside=_globals_of(value.__code__))
    if isinstance(value, dict):
        return {name: exchanged(one, others) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        parts = [exchanged(one, others) for one in value]
        made: Any = type(value)
        return made(*parts) if hasattr(value, "_fields") else made(parts)
    other, own = copy(value), type(value)
    vars(other).update({name: exchanged(one, others) for name, one in vars(value).items()})
    if callable(value) and (call := exchanged(own.__call__, others)) is not own.__call__:
        other.__class__ = type(own.__name__, (own,), {"__call__": call})  # a call looks at the class alone
    return other


def _function(value: FunctionType, others: dict[int, Any], inside: Sequence[str]) -> FunctionType:
    cells = tuple(CellType() if _full(cell) else cell for cell in value.__closure__ or ())
    known = dict(value.__globals__)
    made = others[id(value)] = FunctionType(value.__code__, known, value.__name__, None, cells or None)
    # it may call itself, so that it is there before what it holds
    known.update({name: exchanged(known[name], others) for name in inside if name in known})
    for cell, old in zip(cells, value.__closure__ or (), strict=True):
        if cell is not old:
            cell.cell_contents = exchanged(old.cell_contents, others)
    made.__defaults__ = exchanged(value.__defaults__, others)
    made.__kwdefaults__ = exchanged(value.__kwdefaults__, others)
    return made


@cache
def _globals_of(code: CodeType) -> tuple[str, ...]:
    """The names of globals that code loads, also in functions inside it."""
    own = [str(step.argval) for step in dis.get_instructions(code) if step.opname == "LOAD_GLOBAL"]
    inner = (name for one in code.co_consts if isinstance(one, CodeType) for name in _globals_of(one))
    return tuple(dict.fromkeys((*own, *inner)))


def _defaults(function: FunctionType) -> dict[str, Any]:
    given = function.__defaults__ or ()
    code = function.__code__
    return dict(zip(code.co_varnames[code.co_argcount - len(given) : code.co_argcount], given, strict=True))


def _full(cell: CellType) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:  # not assigned yet
        return False


def _place(number: int) -> str:
    return f"_{number}"


def _is_place(name: str) -> bool:
    return name[:1] == "_" and name[1:].isdigit()
