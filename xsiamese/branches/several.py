"""Several views of a side in one call: a module of its own for each, in a copied model."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from xsiamese.branches.copies import kept_in_copies
from xsiamese.branches.outputs import first_tensor
from xsiamese.branches.refused import refuse_beside
from xsiamese.branches.standins import Branches
from xsiamese.branches.untied import replace

# rows of another view are off by as much as there is; an accelerator's rounding is a thousandth of it
_OFF = 1e-2
_MOST = 64

Run = Callable[[], Tensor]


def views_apart(model: nn.Module, runs: tuple[Run, Run, Run], layers: Collection[nn.Module] = ()) -> None:
    """Puts, in a copied model, a module of its own for each of the views that one gets in one call, views first and
    pairs second: hooks that put inputs before baselines would take the rows of one view for those of another.

    Args:
        model: the copied model.
        runs: the value of one pair, of its baselines, and of both at once.
        layers: what is explained on, which must stay one module.

    Raises:
        ValueError: if the views cannot be taken apart, since what gets them mixes them, or a layer is among them; or if
            something else is in one call with the items.
    """
    before = _value(runs[2])
    for _ in range(_MOST):
        found = _of_several(model, runs)
        if found is None:
            break
        name, module, views = found
        if views < 2 or any(inner in layers for inner in module.modules()):
            raise ValueError(_refusal(name))
        copies = [deepcopy(module, dict(kept_in_copies(model))) for _ in range(views - 1)]
        replace(model, module, Branches([module, *copies], stacked=True))
        if (_value(runs[2]) - before).abs().max() > _OFF * before.abs().max():
            raise ValueError(_refusal(name))


def _refusal(name: str) -> str:
    return (
        f"{name.removeprefix('model.')} gets several views of a side in one call, so that which row is whose cannot be "
        "told by this method: call it once for each view"
    )


def refuse_routing(model: nn.Module, runs: Sequence[Run]) -> None:
    """Refuses a model that sends some rows to one module and some to another, as a router does to experts: what such a
    one gives for the pair and for its baselines is of different rows.

    Args:
        model: the model.
        runs: the value of the same pairs and of others.

    Raises:
        ValueError: with the module.
    """
    seen = [{module: [rows for rows, _ in calls] for module, calls in _calls(model, run).items()} for run in runs]
    for name, module in model.named_modules():
        if len({tuple(rows.get(module, ())) for rows in seen}) > 1:
            called = re.sub(r"^model\.|(?<=\.)views\.\d+\.", "", name)
            raise ValueError(
                f"{called} gets other rows for other inputs, as an expert that a router chooses, so that what it gives "
                "for a pair and for its baselines cannot be compared: take a method that compares scores only, such as "
                "PairIntegratedGradients or PairFeatureAblation"
            )


def _value(run: Run) -> Tensor:
    with torch.no_grad():
        return run()


def _of_several(model: nn.Module, runs: Sequence[Run]) -> tuple[str, nn.Module, int] | None:
    """The topmost module that gets several views in one call, its name, and how many of one pair."""
    seen = [_calls(model, run) for run in runs]
    for name, module in model.named_modules():
        for (rows, x), (_, start), (_, two) in zip(*(calls.get(module, ()) for calls in seen), strict=False):
            if isinstance(module, Branches) or len(x) == 1:
                continue  # a row a pair is one view
            refuse_beside(name, len(x), len(two))
            expected = torch.cat([x, start])
            if two.shape == expected.shape and (two - expected).abs().max() > _OFF * expected.abs().max():
                # what makes the views itself gets a row a pair, and is no place to take them apart
                if rows == len(x):
                    return name, module, len(x)
                if not list(module.children()):
                    return name, module, 0
    return None


def _calls(model: nn.Module, run: Run) -> dict[nn.Module, list[tuple[int, Tensor]]]:
    """Of each call of each module how many rows it got, and the tensor that it gave."""
    found: dict[nn.Module, list[tuple[int, Tensor]]] = {}

    def note(module: nn.Module, args: Any, output: Any) -> None:
        given = first_tensor(args)
        wrapped = isinstance(output, Tensor) and torch._C._functorch.is_functorch_wrapped_tensor(output)
        if isinstance(output, Tensor) and output.dim() and not wrapped:
            rows = len(given) if given is not None and given.dim() else 0
            found.setdefault(module, []).append((rows, output))

    with ExitStack() as stack, torch.no_grad():
        for module in model.modules():
            stack.callback(module.register_forward_hook(note).remove)
        run()
    return found
