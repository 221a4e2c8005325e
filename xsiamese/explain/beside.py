"""Values that depend on what is asked beside them, as those of layers quantised by the range of a whole batch."""

from __future__ import annotations

import warnings

import torch

from xsiamese.pairs.batch import PairBatch

DYNAMIC = "quantized.dynamic"  # in the names of torch's modules whose range is that of what they are given
FAR = 10  # times the numbers of an item: beside it the range is another
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
    if not any(DYNAMIC in type(module).__module__ for module in part.model.modules()):
        return
    if last:
        plans[_SAID] = True
    one = next(iter(part.split(1)))
    # what is larger, and nothing at all, which of words is another text: they are kept or not, however far
    others = [(leaf * FAR if leaf.is_floating_point() else leaf, torch.zeros_like(leaf)) for leaf in one.moved]
    beside = [torch.cat([leaf, *two]) for leaf, two in zip(one.moved, others, strict=True)]
    with torch.no_grad():
        alone, both = float(one.value()), float(one.value(*beside)[0])
    if abs(alone - both) > 1e-5 * abs(alone) + 1e-7:
        warnings.warn(
            f"layers of the model are quantised by the range of all that is asked at once: the value of pair 0 is "
            f"{alone:.4g} alone and {both:.4g} beside others, so that its maps depend on the batch; "
            "internal_batch_size=1 asks one by one, and the model before it was quantised gives one answer",
            BesideWarning,
            stacklevel=stacklevel,
        )
