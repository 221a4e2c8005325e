"""Where the graph of a score is cut, so that no gradient of it reaches an input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from xsiamese.branches.outputs import first_tensor

NEEDS_NONE = (
    "PairFeatureAblation, PairOcclusion, PairMaskRegression and other methods that remove and ask again need none"
)
INSIDE = "inside the model"  # where it is not known yet
WAYS = "(no_grad, detach, numpy, whole numbers or a quantised layer)"


class NoGradientError(ValueError):
    """The score carries no gradient to what is explained.

    Args:
        what: what is so.
        place: where the graph is cut, as far as it is known.
        remedy: what can be done.

    Example:
        >>> print(NoGradientError("the score carries no gradient", remedy="explain by removing things"))
        the score carries no gradient: the graph is cut inside the model; explain by removing things
    """

    def __init__(self, what: str, place: str = INSIDE, remedy: str = NEEDS_NONE) -> None:
        super().__init__(what, place, remedy)
        self.what, self.place, self.remedy = what, place, remedy

    def __str__(self) -> str:
        return f"{self.what}: the graph is cut {self.place}; {self.remedy}"


class Watched:
    """One pass of a model, in which each module's output is kept.

    Args:
        model: the model.
        run: gives the score of ``moved``.
        moved: what is explained; whole numbers begin no graph, the vectors that are made of them do.

    Attributes:
        value: the score.
        first: the vectors that are made of whole numbers.
    """

    def __init__(self, model: nn.Module, run: Callable[..., Tensor], moved: Sequence[Tensor]) -> None:
        self.moved = moved
        self.first: list[Tensor] = []
        self._unseen: list[str] = []
        self._outputs: list[tuple[str, Tensor]] = []
        self._names = {module: name.removeprefix("model.") for name, module in model.named_modules()}
        with ExitStack() as stack:
            for module in self._names:
                stack.callback(module.register_forward_pre_hook(self._before).remove)
                stack.callback(module.register_forward_hook(self._after).remove)
            self.value = run(*moved)

    @property
    def unseen(self) -> str | None:
        """Where, by the outermost module that is called inside no_grad."""
        return f"at {self._unseen[0]!r}, which is called inside no_grad or inference_mode" if self._unseen else None

    @property
    def place(self) -> str:
        """Where the graph is cut that does not reach the score: behind the last module that it reaches."""
        if self.unseen:
            return self.unseen
        last = next((name for name, tensor in reversed(self._outputs) if self._reached(tensor)), None)
        return f"{'before the first module is reached' if last is None else f'after {last!r}'} {WAYS}"

    def _reached(self, tensor: Tensor) -> bool:
        """Whether a gradient leads back from an output; that of a quantised layer has a graph that leads nowhere."""
        starts = [*self.moved, *self.first]
        starts = [start for start in starts if start.requires_grad]
        found = torch.autograd.grad(tensor.sum(), starts, retain_graph=True, allow_unused=True) if starts else ()
        return any(slope is not None for slope in found)

    def _before(self, module: nn.Module, args: Any) -> None:
        moves = any(isinstance(arg, Tensor) and arg.requires_grad for arg in args)  # a held side has none to lose
        if moves and not torch.is_grad_enabled() and self._names[module]:  # the outermost comes first
            self._unseen.append(self._names[module])

    def _after(self, module: nn.Module, args: Any, output: Any) -> Any:
        tensor, found = first_tensor(output), None
        of_ids = args and isinstance(args[0], Tensor) and not args[0].is_floating_point()
        if of_ids and not list(module.children()) and isinstance(output, Tensor) and output.is_floating_point():
            self.first.append(output.detach().requires_grad_())
            tensor = found = self.first[-1] * 1  # what follows may write into it, and into no leaf
        if tensor is not None and tensor.requires_grad and self._names[module]:
            self._outputs.append((self._names[module], tensor))
        return found
