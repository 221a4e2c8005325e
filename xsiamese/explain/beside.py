"""Values that depend on what is asked beside them, or on how often was asked: of layers quantised by the range of a
whole batch, of norms by its statistics, of models that keep count.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from contextlib import suppress

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from xsiamese.pairs.batch import PairBatch
from xsiamese.pairs.witness import COUNTS, UNCOUNTED, Rest

DYNAMIC = "quantized.dynamic"  # in the names of torch's modules whose range is that of what they are given
FAR = 10  # times the numbers of an item: beside it the range is another
MANY = 200  # rows that a method asks for anyway, beside which eight more weigh little
# in the names of modules that look at all that they are given: experts that take so many, solvers that choose steps
_TOGETHER = re.compile(r"MoE|Expert|Router|Switch|ODE|(^|[._])(moe|experts?|router|ode|odefunc|ode_func)($|[._])")
_KNOWN = "looks at all"  # the plan of a model, which is looked through once for names
_SAID = "beside"  # the plan of an explainer whose user knows
_WHOLE = "layers of the model look at the whole of all that is asked at once"
_QUANTISED = "layers of the model are quantised by the range of all that is asked at once"
_NORMED = "{} of the model takes the statistics of all that is asked at once"
_MIXED = "the model mixes the pairs that it is asked about at once"


class BesideWarning(UserWarning):
    """The value of a pair depends on the pairs beside it."""


def warn_beside(part: PairBatch, stacklevel: int = 7, *, last: bool = False, rows: int = 0) -> None:
    """Says so if a value depends on what is asked beside it: where a layer is known to do so, or so much is asked
    anyway that finding out costs little.

    Args:
        part: pairs, of which the first is asked beside copies of itself and beside others.
        stacklevel: of the warning.
        last: whether that is all that is said of the explainer from now on, as where units of pairs follow.
        rows: how many were asked for until now.
    """
    plans = {} if part.plans is None else part.plans
    if plans.get(_SAID) or part.a.ragged or part.b.ragged:
        return
    known = _known(part.model)
    if known is None:
        if _KNOWN not in plans:
            plans[_KNOWN] = _together(part.model)
        known = _WHOLE if plans[_KNOWN] else None
    if known is None and rows < MANY:
        return
    plans[_SAID] = last or known is None
    one = next(iter(part.split(1)))
    # what is larger, and nothing at all, which of words is another text: they are kept or not, however far
    others = [(leaf * FAR if leaf.is_floating_point() else leaf, torch.zeros_like(leaf)) for leaf in one.moved]
    # the pair comes last: experts that take so many take the first
    beside = [torch.cat([leaf, *two, leaf]) for leaf, two in zip(one.moved, others, strict=True)]
    alone = [torch.cat([leaf] * 4) for leaf in one.moved]  # beside itself: as many rows are rounded alike
    remedy = "ask all pairs in one batch"
    with suppress(RuntimeError, ValueError):  # a model need not take four, nor have a score of nothing
        if known is not None:
            with suppress(RuntimeError, ValueError):  # some norms have no statistics of one
                _last(one, one.moved)
                alone = list(one.moved)
        itself, both = _last(one, alone), _last(one, beside)
        if _alike(itself, both, one):
            return
        plans[_SAID] = last
        rest = Rest(one.model, one.a.leaves[0].device)
        again = _last(one, alone)
        if rest.drew():
            return  # which is told elsewhere
        if not _alike(itself, again, one):
            warnings.warn(f"{COUNTS} pair 0 {itself:.4g} and {again:.4g}, {UNCOUNTED}", stacklevel=stacklevel)
            return
        with suppress(RuntimeError, ValueError):
            itself, remedy = _last(one, one.moved), "internal_batch_size=1 asks one by one"
        if known == _QUANTISED:
            remedy += ", and the model before it was quantised gives one answer"
        warnings.warn(
            f"{known or _MIXED}: the value of pair 0 is {itself:.4g} alone and {both:.4g} beside others, so that its "
            f"maps depend on the batch; {remedy}",
            BesideWarning,
            stacklevel=stacklevel,
        )


def _known(model: nn.Module) -> str | None:
    """What of a model in evaluation mode is known to look at all rows, or None."""
    for module in model.modules():
        if DYNAMIC in type(module).__module__:
            return _QUANTISED
        if isinstance(module, _BatchNorm) and (module.training or module.running_mean is None):
            return _NORMED.format(type(module).__name__)
        trained = getattr(module, "training", False)  # a frozen one of TorchScript has none
        if trained and next(module.children(), None) is None:  # switched on by the model itself
            return _NORMED.format(f"{type(module).__name__}, which it trains,")
    return None


def _last(one: PairBatch, moved: Sequence[Tensor]) -> float:
    with torch.no_grad():
        return float(one.value(*moved)[-1])


def _alike(one: float, other: float, of: PairBatch) -> bool:
    dtype = of.objective.dtypes[0] if of.objective.dtypes else None
    share = max(1e-5, 0.0 if dtype is None else 8 * torch.finfo(dtype).eps)
    return abs(one - other) <= share * abs(one) + 1e-7


def _together(model: nn.Module) -> bool:
    """Whether modules are named as those are that look at all that they are given."""
    return any(_TOGETHER.search(type(one).__name__) or _TOGETHER.search(name) for name, one in model.named_modules())
