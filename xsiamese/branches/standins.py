"""Modules that stand in a copied model for those of the user."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from copy import copy
from typing import Any

import torch
from torch import Tensor, nn

from xsiamese.branches.outputs import first_tensor, with_first_tensor
from xsiamese.branches.refused import refuse_backward


class Branches(nn.Module):
    """Sends the i-th call of a forward pass to its own view of a shared module, or the equal parts of a stacked batch
    to a view each.
    """

    def __init__(self, views: Sequence[nn.Module], stacked: bool = False) -> None:
        super().__init__()
        self.views = nn.ModuleList(views)
        self.stacked = stacked
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:  # what a model reads of its module, such as the number of layers of an LSTM
            return getattr(self.views[0], name)

    @property
    def stands_for(self) -> nn.Module:
        """The user's module, whose arguments are known."""
        return self.views[0]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if self.stacked:
            parts = len(self.views)
            return _join([view(*_part(args, i, parts), **_part(kwargs, i, parts)) for i, view in enumerate(self.views)])
        refuse_backward()
        # branches take turns: call k is of view k, and a second round begins after the last
        view = self.views[self.calls % len(self.views)]
        self.calls += 1
        return view(*args, **kwargs)


class Elsewhere(nn.Module):
    """Stands where a module is registered once more: tools that walk through a model meet the module itself only once,
    and hook it once.
    """

    module: nn.Module

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.__dict__["module"] = module  # not registered

    def __getattr__(self, name: str) -> Any:
        """What the module has, as its weight, which a model may read without calling it."""
        return getattr(self.__dict__["module"], name) if "module" in self.__dict__ else super().__getattr__(name)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)


class Alone(nn.Module):
    """What a wrapper for several processes holds, without it and under the same name."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)


class Handing(nn.Module):
    """A module that hands on a copy of the tensor that it returns, so that what a hook keeps of it, or puts in its
    place, stays as it is where the model goes on in place, as ``conv(x).relu_()``.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def __getattr__(self, name: str) -> Any:
        """What the module has, as its weight, which a model may read without calling it."""
        if name == "module":
            return super().__getattr__(name)
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.module, name)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.handed(self.module(*args, **kwargs))

    def handed(self, output: Any) -> Any:
        """What is handed on in place of an output."""
        return output.clone() if isinstance(output, Tensor) else output


class Ported(Handing):
    """A module whose first tensor of several passes a module of its own, :attr:`port`, where hooks find a tensor."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__(module)
        self.port = nn.Identity()

    def handed(self, output: Any) -> Any:
        tensor = first_tensor(output)
        return output if tensor is None else with_first_tensor(output, self.port(tensor).clone())


def _part(value: Any, index: int, parts: int) -> Any:
    if isinstance(value, Tensor) and value.dim():
        return value.chunk(parts)[index]
    if isinstance(value, (tuple, list)):
        return _like(value, [_part(item, index, parts) for item in value])
    return {k: _part(v, index, parts) for k, v in value.items()} if isinstance(value, dict) else value


def _join(parts: list[Any]) -> Any:
    first, *_ = parts
    if isinstance(first, Tensor):
        return torch.cat(parts) if first.dim() else first  # a temperature, say, has no rows
    if isinstance(first, (tuple, list)):
        return _like(first, [_join(list(items)) for items in zip(*parts, strict=True)])
    if isinstance(first, MutableMapping):
        whole = copy(first)
        for key in first:
            whole[key] = _join([part[key] for part in parts])
        return whole
    return first


def _like(given: Any, items: list[Any]) -> Any:
    """A tuple, a named tuple or a list, as the given one is."""
    return type(given)(*items) if hasattr(given, "_fields") else type(given)(items)
