"""Values that depend on what is asked beside them, as those of layers quantised by the range of a whole batch."""

from __future__ import annotations

import re
import warnings
from contextlib import suppress

import torch
from torch import nn

from xsiamese.pairs.batch import PairBatch

DYNAMIC = "quantized.dynamic"  # in the names of torch's modules whose range is that of what they are given
FAR = 10  # times the numbers of an item: beside it the range is another
# in the names of modules that look at all that they are given: experts that take so many, solvers that choose steps
_TOGETHER = re.compile(r"MoE|Expert|Router|Switch|ODE|(^|[._])(moe|experts?|router|ode|odefunc|ode_func)($|[._])")
_NAMED = "named as looking at all"  # the plan of a model, which is looked through once
_SAID = "beside"  # the plan of an explainer whose user knows


class BesideWarning(UserWarning):
    """The value of a pair depends on the pairs beside it."""


def warn_beside(part: PairBatch, stacklevel: int = 7, *, last: bool = False) -> None:
    """Says so if a value depends on what is asked beside it.

    Args:
        part: pairs, of which the first is asked alone and beside others.
        stacklevel: of the warning.
        last: whether that is all that is said of the explainer from now on, as where units of pairs follow.
    """
    plans = {} if part.plans is None else part.plans
    if plans.get(_SAID) or part.a.ragged or part.b.ragged:
        return
    dynamic = any(DYNAMIC in type(module).__module__ for module in part.model.modules())
    if _NAMED not in plans:
        plans[_NAMED] = _together(part.model)
    if not dynamic and not plans[_NAMED]:
        return
    if last:
        plans[_SAID] = True
    one = next(iter(part.split(1)))
    # what is larger, and nothing at all, which of words is another text: they are kept or not, however far
    others = [(leaf * FAR if leaf.is_floating_point() else leaf, torch.zeros_like(leaf), leaf) for leaf in one.moved]
    # the pair comes last: experts that take so many take the first
    beside = [torch.cat([*three, leaf]) for leaf, three in zip(one.moved, others, strict=True)]
    alone = both = 0.0
    with torch.no_grad(), suppress(ValueError, RuntimeError):  # what is larger, or nothing, may have no score
        alone, both = float(one.value()), float(one.value(*beside)[-1])
    if abs(alone - both) > 1e-5 * abs(alone) + 1e-7:
        why = "are quantised by the range" if dynamic else "look at the whole"
        before = ", and the model before it was quantised gives one answer" if dynamic else ""
        warnings.warn(
            f"layers of the model {why} of all that is asked at once: the value of pair 0 is {alone:.4g} alone and "
            f"{both:.4g} beside others, so that its maps depend on the batch; internal_batch_size=1 asks one by one"
            f"{before}",
            BesideWarning,
            stacklevel=stacklevel,
        )


def _together(model: nn.Module) -> bool:
    """Whether modules are named as those are that look at all that they are given."""
    return any(_TOGETHER.search(type(one).__name__) or _TOGETHER.search(name) for name, one in model.named_modules())
