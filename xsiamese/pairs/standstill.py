"""A model where its score stands still, as that of an item with itself: which layers reach it is told elsewhere, so
that a model has one layer, whichever pair it meets first.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from xsiamese.branches.calls import Survey, survey
from xsiamese.kinds.side import Leaves
from xsiamese.model.precision import wide
from xsiamese.pairs.embedding import embed
from xsiamese.pairs.pairs import Pairs


def watched(few: Pairs, modules: Sequence[nn.Module]) -> tuple[Leaves, Survey]:
    """What moves of some pairs, which gets a gradient, and how the model uses ``modules`` on them."""
    moved, leaves = _starts(few)
    return moved, survey(partial(few.value, *moved), modules, leaves, few.pairs)


def stands_still(few: Pairs, seen: Survey) -> bool:
    """Whether the score of some pairs has no gradient that tells anything, but by rounding: both items of a pair are
    one, as in a gallery, or it is saturated.
    """
    a, b = few.a.leaves, few.b.leaves
    if seen.value is None or not seen.value.requires_grad:
        return False
    return (len(a) == len(b) and all(map(torch.equal, a, b))) or not seen.moves()


def watched_elsewhere(few: Pairs, modules: Sequence[nn.Module]) -> tuple[Pairs, Leaves, Survey]:
    """The same where a number moves: one of the embeddings, or of a model that has none the score beside another b;
    with the pairs that were asked about.
    """
    moved, leaves = _starts(few)
    with suppress(ValueError):  # of a model without two embeddings
        return few, moved, survey(partial(_of_embeddings, few, moved), modules, leaves, few.pairs)
    few = replace(few, b=few.b.holding(tuple(map(_changed, few.b.leaves))))
    return few, *watched(few, modules)


def _starts(few: Pairs) -> tuple[Leaves, tuple[Leaves, Leaves]]:
    moved = tuple(leaf.requires_grad_() for leaf in few.moved)
    of_a = sum(i < len(few.a.leaves) for i in few.objective.moved_at)
    return moved, (moved[:of_a], moved[of_a:])


def _changed(leaf: Tensor) -> Tensor:
    """Other numbers, about as large, and not evenly, or a normalisation would take it away; ids stay."""
    if not leaf.is_floating_point():
        return leaf
    waves = torch.arange(leaf.numel(), device=leaf.device).cos().reshape(leaf.shape).to(leaf)
    return leaf + 3 * leaf.std(correction=0) * waves


def _of_embeddings(few: Pairs, moved: Sequence[Tensor]) -> Tensor:
    """A number that every dimension of all embeddings moves, each by another weight."""
    filled = dict(zip(few.objective.moved_at, moved, strict=True))
    leaves, of_a = [filled.get(i, leaf) for i, leaf in enumerate(few.leaves)], len(few.a.leaves)
    found = [wide(embed(few, side, own)).flatten() for side, own in enumerate((leaves[:of_a], leaves[of_a:]))]
    return torch.stack([z @ torch.arange(len(z), device=z.device).cos().to(z) for z in found]).sum()
