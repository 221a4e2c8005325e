"""Where a path starts at nothing: a cosine of a zero embedding has no value, and what begins there misses a jump."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import torch
from torch import Tensor

from xsiamese.kinds.side import SIDES, Wrt
from xsiamese.model.pair import SiameseModel
from xsiamese.pairs.embedding import closeness, embed
from xsiamese.pairs.objective import MOVING
from xsiamese.pairs.pairs import Pairs

MISSED = 0.25  # of the change of the score, from which on maps are no shares of it
NEAR = 1e-4  # of the way from the start to the input: a score that is smooth has hardly changed by then
LENGTH = 1e-3  # by which a length may differ from 1
LITTLE = 0.2  # of the score, as which a smaller change counts: those of a and of b may cancel


def why_missed(batch: Pairs, sums: Tensor, value: Tensor, start: Tensor, *, integral: bool) -> str | None:
    """Why the maps of some pair do not sum to the change of its score, in one sentence; None where they do, or where a
    method that is no integral misses it for reasons of its own.

    Args:
        batch: the pairs.
        sums: what both maps sum to, shape (pairs,).
        value: the value explained.
        start: the value that the maps are counted from.
        integral: whether the method is one along the path, which misses nothing else but by its steps.
    """
    change = value.detach() - start.detach()
    missed = (sums - change).abs() > MISSED * torch.maximum(change.abs(), LITTLE * value.detach().abs())
    if not bool(missed.any()):
        return None
    first = int(missed.nonzero()[0])
    one = replace(batch.select(torch.tensor([first], device=batch.leaves[0].device)), witness=None)
    paths: tuple[Wrt, ...] = ("first", "second") if one.apart and one.wrt == "both" else (one.wrt,)
    where = None
    with suppress(RuntimeError, ValueError):  # a model need not take a single pair
        where = next((wrt for wrt in paths if starts_at_nothing(one.one_sided(wrt))), None)
    told = (
        f"the maps of pair {batch.first_pair + first} sum to {float(sums[first]):.2g} in all, and should "
        f"to {float(change[first]):.2g}, by which the score changes"
    )
    if where is not None:
        return (
            f"{told}: the embedding of {' and '.join(SIDES[i] for i in MOVING[where])} is zero at the baselines, where "
            "a cosine has no value (0/0), and no path from there says what the score is made of; give baselines= at "
            "which it is not zero, or take PairFeatureAblation or PairShapleyValues, of texts PairTokenMatrix"
        )
    if not integral:
        return None
    return (
        f"{told}: take more n_steps=, or baselines= at which no embedding is zero, or PairFeatureAblation where the "
        "model reads numbers as whole ones (x.long(), round), which have no slope"
    )


def starts_at_nothing(one: Pairs) -> bool:
    """Whether the score of the first pair changes at once where a path leaves its start, as a cosine does at zero."""
    one = replace(next(one.split(1)), witness=None)
    with torch.no_grad():
        return _jumps(one)


def _jumps(one: Pairs) -> bool:
    moved = one.moved
    starts = [s if s.shape == m.shape else s[:1].expand_as(m) for s, m in zip(one.moved_baselines, moved, strict=True)]
    if not any(one.place(i)[0].still for i in range(len(moved))):
        near = [torch.lerp(s, m, NEAR) for s, m in zip(starts, moved, strict=True)]
        return _apart(one.value(*starts), one.value(*near), one.value())
    if not isinstance(one.model, SiameseModel) or one.target is not None:
        return False  # of ids nothing lies between, and of no embedding can be asked
    ends = [embed(one, side) for side in (0, 1)]
    zeros = list(ends)
    for i, start in enumerate(starts):
        side, leaf = one.place(i)
        place = 0 if side is one.a else 1
        leaves = list(side.leaves)
        leaves[leaf] = start
        zeros[place] = embed(one, place, leaves)
    if all(bool(zero.any()) for side, zero in enumerate(zeros) if side in one.moving):
        return False
    near = [torch.lerp(zero, end, NEAR) for zero, end in zip(zeros, ends, strict=True)]
    if _apart(closeness(one, *zeros), closeness(one, *near), closeness(one, *ends)):
        return True
    # an encoder that brings its embedding to length 1 jumps by itself
    return all(bool(((end.flatten(1).norm(dim=1) - 1).abs() < LENGTH).all()) for end in ends)


def _apart(at: Tensor, near: Tensor, end: Tensor) -> bool:
    return bool((near - at).abs() > MISSED * (end - at).abs())
