"""Callables around a module: a partial or a bound method hides it from hooks, and this shows it again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from inspect import Parameter, signature
from typing import Any

from torch import nn
from torch.export import ExportedProgram

from xsiamese.model.held import Holding, held

_ARGS, _KWARGS = Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD


class Called(nn.Module):
    """A module that is called by a method of its own, or with some arguments fixed.

    Args:
        module: the module.
        method: the name of the method; None calls the module.
        fixed: the arguments that are fixed, by place and by name.
    """

    def __init__(self, module: nn.Module, method: str | None, fixed: tuple[tuple[Any, ...], dict[str, Any]]) -> None:
        super().__init__()
        self.module = module
        self.method = method
        self.fixed = fixed

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        function = self.module if self.method is None else getattr(self.module, self.method)
        return function(*self.fixed[0], *args, **{**self.fixed[1], **kwargs})


class Plain(nn.Module):
    """A function without any module, as one."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)


def module_of(encoder: Callable[..., Any]) -> nn.Module:
    """An encoder as a module, whatever callable it is.

    Raises:
        TypeError: if it cannot be called.

    Example:
        >>> import torch
        >>> module_of(lambda images: images.flatten(1))(torch.ones(2, 3, 4)).shape
        torch.Size([2, 12])
    """
    if not callable(encoder):
        raise TypeError(f"the encoder is {encoder!r}: a module that makes embeddings, or a tuple of two, is needed")
    refuse_unmade(encoder)
    found = shown(encoder)
    return found if isinstance(found, nn.Module) else Plain(found)


def refuse_unmade(module: Callable[..., Any]) -> None:
    """Refuses a class, and a module that only holds others.

    Raises:
        TypeError: with what to give.
    """
    if isinstance(module, type):
        raise TypeError(f"{module.__name__} is a class: make the module of it first, {module.__name__}(...)")
    forward = getattr(module, "forward", None)
    if isinstance(module, nn.Module) and getattr(forward, "__func__", None) is nn.Module.forward:
        inside = ", ".join(name for name, _ in module.named_children()) or "nothing"
        raise TypeError(
            f"a {type(module).__name__} has no forward, it only holds modules ({inside}): give one of them, or a "
            "module that calls them"
        )


def shown(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, or a module around the one that it hides.

    Raises:
        TypeError: if it is a program of torch.export, which only its ``module()`` can be called of.

    Example:
        >>> type(shown(partial(nn.Linear(2, 2)))).__name__, type(shown(nn.Linear(2, 2).forward)).__name__
        ('Called', 'Called')
    """
    if not isinstance(function, nn.Module):  # hooks do not fire in what torch.compile made of a function
        function = getattr(function, "_torchdynamo_orig_callable", function)
    inner, args, named = function, (), {}  # type: ignore[var-annotated]
    while isinstance(inner, partial):
        args, named, inner = (*inner.args, *args), {**inner.keywords, **named}, inner.func
    if isinstance(inner, ExportedProgram):
        raise TypeError(
            "a program of torch.export is no model that can be called: give program.module(), exported with a dynamic "
            "batch dimension"
        )
    owner = getattr(inner, "__self__", None)
    if isinstance(inner, nn.Module) and inner is not function:
        return Called(inner, None, (args, named))
    if isinstance(owner, nn.Module):
        return Called(owner, inner.__name__, (args, named))
    if not isinstance(function, nn.Module) and (modules := held(function)):
        return Holding(function, modules)
    return function


def takes_whole(module: nn.Module, item: Mapping[str, Any]) -> bool:
    """Whether a module takes a mapping as its one argument, and not its members by name.

    Example:
        >>> class Whole(nn.Module):
        ...     def forward(self, batch):
        ...         return batch["image"].flatten(1)
        >>> takes_whole(Whole(), {"image": None}), takes_whole(nn.Linear(2, 2), {"input": None})
        (True, False)
    """
    try:
        known = signature(function_of(module)).parameters
    except (TypeError, ValueError):  # scripted modules have none
        return False
    if any(one.kind is one.VAR_KEYWORD for one in known.values()) or set(item) & set(known):
        return False
    needed = [one for one in known.values() if one.default is one.empty and one.kind is not one.VAR_POSITIONAL]
    return len(needed) == 1 and needed[0].kind is not needed[0].KEYWORD_ONLY


def function_of(model: Callable[..., Any]) -> Callable[..., Any]:
    """What is called in the end, whose signature says what it takes."""
    if isinstance(model, Plain):
        return model.function
    if isinstance(model, Holding):
        return model.given.function
    if isinstance(model, Called):
        return partial(getattr(model.module, model.method or "forward"), *model.fixed[0], **model.fixed[1])
    if not isinstance(model, nn.Module):
        return model
    inside = handed_to(model)
    return model.forward if inside is None else function_of(inside)


def handed_to(model: nn.Module) -> nn.Module | None:
    """What a wrapper hands all that it is given to, such as one that keeps a mean of weights, or a stand-in in a copied
    model.
    """
    inside = getattr(model, "stands_for", getattr(model, "module", None))
    if not isinstance(inside, nn.Module) or inside is model:
        return None
    try:
        kinds = [one.kind for one in signature(model.forward).parameters.values()]
    except (TypeError, ValueError):  # scripted modules have none
        return None
    return inside if kinds in ([_ARGS], [_ARGS, _KWARGS], [_KWARGS]) else None


def arguments_of(model: Callable[..., Any]) -> set[str]:
    """What a callable's arguments are called."""
    try:
        return set(signature(function_of(model)).parameters)
    except (TypeError, ValueError):  # scripted modules have none
        return set()


def convention(model: Callable[..., Any]) -> str | tuple[str, str]:
    """Whether a callable takes the pair as two arguments, by place or by name, or as one."""
    try:
        parameters = signature(function_of(model)).parameters.values()
    except (TypeError, ValueError):
        return "two"
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    by_name = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    if len(by_name) == 2 and not positional and not any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return by_name[0], by_name[1]
    return "tuple" if len(positional) == 1 and not any(p.kind is p.VAR_POSITIONAL for p in parameters) else "two"
