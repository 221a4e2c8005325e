"""What users call a model as a :class:`~xsiamese.model.pair.PairModel`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from copy import copy
from functools import partial
from typing import Any

from torch import Tensor, nn

from xsiamese.model.called import convention, handed_to
from xsiamese.model.comparison import Comparison, Function, comparison
from xsiamese.model.decision import which_way
from xsiamese.model.pair import PairModel, SiameseModel, TwoInputModel


def pair_model(
    model: Callable[..., Any],
    comparison: str | Comparison | Callable[[Tensor, Tensor], Tensor] | None = None,
    higher_is_closer: bool | None = None,
) -> PairModel:
    """``model`` as a :class:`PairModel`: itself if it is one, else wrapped; parallel wrappers are taken off. A module
    that takes one tensor, beside a comparison, is the encoder of a :class:`SiameseModel`.

    Raises:
        TypeError: if it cannot be called, such as a checkpoint, which holds a model.
        ValueError: if a model that has a comparison is given another one, or ``higher_is_closer`` is no bool.
    """
    if isinstance(model, type):
        raise TypeError(f"{model.__name__} is a class: make the model of it first, {model.__name__}(...)")
    if not callable(model):
        held = callable(getattr(model, "model", None))
        raise TypeError(
            f"a model is called as model(a, b), and a {type(model).__name__} cannot be: "
            + ("give its .model" if held else "give the model itself, or a function of two inputs")
        )
    if isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        model = model.module
    model = _handed_to_a_pair_model(model)
    higher_is_closer = None if higher_is_closer is None else which_way(higher_is_closer)
    inner = getattr(model, "_orig_mod", model)
    if isinstance(inner, PairModel):
        inner = _bare(inner)
        if comparison is not None:
            raise ValueError(f"{type(inner).__name__} has its own comparison: leave out comparison=")
        return inner if higher_is_closer in (None, inner.higher_is_closer) else _told(inner, higher_is_closer)
    wrapped: PairModel
    if comparison is not None and isinstance(model, nn.Module) and _takes_a_tensor(model):
        wrapped = SiameseModel(model, comparison, higher_is_closer=higher_is_closer)
    else:
        wrapped = TwoInputModel(model, comparison, higher_is_closer=higher_is_closer)
    if isinstance(model, nn.Module):
        wrapped.training = model.training  # train() would reach into the user's model
    return wrapped


def _handed_to_a_pair_model(model: Callable[..., Any]) -> Callable[..., Any]:
    """The pair model that a wrapper hands all that it is given to, such as a mean of weights or a ``partial`` without
    arguments; the model itself if there is none.
    """
    inside: Any = model
    while inside is not None and not isinstance(inside, PairModel):
        empty = isinstance(inside, partial) and not inside.args and not inside.keywords
        inside = inside.func if empty else handed_to(inside) if isinstance(inside, nn.Module) else None
    return model if inside is None else inside


def _bare(model: PairModel) -> PairModel:
    """The same model around the encoders that parallel wrappers hold, for explaining; the user's keeps its wrappers."""
    wrappers = (nn.DataParallel, nn.parallel.DistributedDataParallel)
    if not any(isinstance(module, wrappers) for module in model._modules.values()):
        return model
    bare = copy(model)
    bare._modules = {
        name: module.module if isinstance(module, wrappers) else module for name, module in model._modules.items()
    }
    return bare


def _told(model: PairModel, higher_is_closer: bool | None) -> PairModel:
    """The same model, whose score goes the other way."""
    given = getattr(model, "comparison", None)
    if isinstance(given, Function) or given is None:
        told = copy(model)  # around the same modules
        told._modules = dict(model._modules)
        if isinstance(given, Function):
            told.comparison = copy(given)
            told.comparison.higher_is_closer = bool(higher_is_closer)
        if not isinstance(model, SiameseModel):  # whose direction is its comparison's
            told.higher_is_closer = bool(higher_is_closer)
        return told
    comparison(given, higher_is_closer)  # says which way it goes
    return model


def _takes_a_tensor(module: nn.Module) -> bool:
    """Whether a module takes one tensor, and so no pair: its only argument is annotated so, or is handed on to such a
    module, as by ``nn.Sequential``.
    """
    if isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward:
        return len(module) > 0 and _takes_a_tensor(module[0])
    if convention(module) != "tuple":
        return False
    parameters = inspect.signature(module.forward).parameters.values()
    return next(iter(parameters)).annotation in (Tensor, "Tensor", "torch.Tensor")
