"""Models that take a derivative inside their own forward pass, as a force field does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

INSIDE = "the model takes a derivative inside its own forward pass, as a force field does"
_depth: ContextVar[int] = ContextVar("explanations, one inside another", default=0)
_DERIVATIVES = (torch.autograd.grad, torch.autograd.backward, torch.Tensor.backward)
# what torch says of a derivative of what has no graph, or none that leads to it
_NO_GRAPH = ("does not require grad and does not have a grad_fn", "appears to not have been used in the graph")


def refuse_derivative(rules: str) -> None:
    """Refuses a derivative that a model takes in a pass of a method that changes gradients: the model would give
    another score.

    Args:
        rules: what changes gradients, such as "LRP's rules".

    Raises:
        ValueError: always.
    """
    raise ValueError(
        f"{INSIDE}, and {rules} would change what it gives: use PairIntegratedGradients, PairInputXGradient, or a "
        "method that removes and asks again"
    )


def transform() -> Any:
    """The transform of torch.func that takes a derivative here, or None; of vmap there is none."""
    stack: Any = torch._C._functorch.peek_interpreter_stack()
    vmap = stack is not None and stack.key() == torch._C._functorch.TransformType.Vmap
    return None if stack is None or vmap else stack.level()


class RefusedDerivatives(TorchFunctionMode):
    """Inside the block a model that takes a derivative is refused, see :func:`refuse_derivative`.

    Args:
        rules: what changes gradients, such as "LRP's rules".
    """

    def __init__(self, rules: str) -> None:
        super().__init__()
        self.rules, self.around, self.depth = rules, transform(), _depth.get()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        inside = func in _DERIVATIVES or transform() not in (None, self.around)
        if inside and self.depth == _depth.get():  # else it is of another explanation, as a target may ask for one
            refuse_derivative(self.rules)
        return func(*args, **(kwargs or {}))


@contextmanager
def one_explanation() -> Iterator[None]:
    """Derivatives inside the block are an explanation's own, also where it is made while a model is at work."""
    token = _depth.set(_depth.get() + 1)
    try:
        yield
    finally:
        _depth.reset(token)


@contextmanager
def naming_derivatives() -> Iterator[None]:
    """What torch says of a derivative that a model takes inside the block, of what has no graph there, in one line."""
    enabled = torch.is_grad_enabled()
    try:
        yield
    except RuntimeError as error:
        if not any(said in str(error) for said in _NO_GRAPH):
            raise
        where = "where gradients are off (take it inside torch.enable_grad()), or " if not enabled else ""
        raise ValueError(
            f"{INSIDE}, {where}of what a method puts in place of a layer's output: explain its inputs "
            "(PairIntegratedGradients, PairOcclusion), or another layer"
        ) from error
