"""Copies of models, and what they share with them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from functools import partial
from types import FunctionType
from typing import Any

from torch import Tensor, nn

from xsiamese.branches.standins import Alone
from xsiamese.model.held import OF_MODULES, exchanged


def kept_in_copies(model: nn.Module, tie: bool = True) -> dict[int, Any]:
    """What a copy of a model shares with it, as the memo of ``deepcopy``: tensors; tokenizers, which are as slow to
    copy as a model and which no pass changes; and what cannot be copied at all, such as a lock.

    Args:
        model: the model.
        tie: False copies parameters and buffers, and only what has a graph is shared, without it.
    """
    own: list[Tensor] = [*model.parameters(), *model.buffers()]
    attributes = (vars(module).items() for module in model.modules())
    held = {id(value): value for items in attributes for name, value in items if name not in OF_MODULES}
    tensors = [*own, *(tensor for value in held.values() for tensor in _tensors(value))]
    memo: dict[int, Any] = {id(t): t if tie else t.detach().clone() for t in tensors if tie or not t.is_leaf}
    memo |= {key: value for key, value in held.items() if hasattr(type(value), "convert_ids_to_tokens")}
    for key, value in held.items():
        try:
            deepcopy(value, dict(memo))
        except Exception:  # whatever its class says against a copy
            memo[key] = value
    return memo


def copied(model: nn.Module) -> Any:
    """A copy of a model with parameters of its own; what cannot be copied is shared."""
    return copied_with(model, kept_in_copies(model, tie=False))


def copied_with(module: nn.Module, memo: dict[int, Any]) -> nn.Module:
    """A copy with what the memo of ``deepcopy`` holds, and without wrappers for several processes, which have none."""
    wrappers = [m for m in module.modules() if isinstance(m, nn.parallel.DistributedDataParallel) and id(m) not in memo]
    for wrapper in reversed(wrappers):  # what is inside another one first
        memo[id(wrapper)] = Alone(deepcopy(wrapper.module, memo))
    made: nn.Module = deepcopy(module, memo)
    _keep_modes(module, made)
    hold_instead(made.modules(), {id(one): memo[id(one)] for one in module.modules() if id(one) in memo})
    return made


def hold_instead(modules: Iterable[nn.Module], others: dict[int, Any]) -> None:
    """Lets the functions that modules hold, as ``self.step = lambda x: self.net(x)``, hold other modules; those of our
    own modules are of what is explained, such as a target, and stay.

    Args:
        modules: of a copied model.
        others: the other modules, by the identity of those that they stand for.
    """
    for module in modules:
        if type(module).__module__.startswith("xsiamese."):
            continue
        for name, value in vars(module).items():
            if name not in OF_MODULES and isinstance(value, (FunctionType, partial, list, tuple, dict)):
                vars(module)[name] = exchanged(value, dict(others))


def _keep_modes(module: nn.Module, made: nn.Module) -> None:
    """Puts a copy into the mode of its original, part by part: programs of ``torch.fx`` are made anew, for training."""
    twins = dict(made.named_modules())
    for name, original in module.named_modules():  # what is around others first
        twin = twins.get(name)
        if twin is not None and twin.training != original.training:
            twin.train(original.training)


def _tensors(value: Any) -> Iterator[Tensor]:
    """The tensors that an attribute is or holds, such as activations that were kept in a list."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple, set, deque)):
        for one in value:
            yield from _tensors(one)
    elif isinstance(value, Mapping):
        yield from _tensors(list(value.values()))
