"""The two halves of a factored model on a batch: items to embeddings, embeddings to the value explained."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import Tensor

from xsiamese.door.arguments import shown
from xsiamese.kinds.graphs.gates import gated
from xsiamese.model.pair import SiameseModel
from xsiamese.pairs.pairs import Pairs


def siamese(pairs: Pairs) -> SiameseModel:
    """The model of the pairs, which must be factored.

    Raises:
        ValueError: if it is not, or a target is explained, which is no function of two embeddings.
    """
    if not isinstance(pairs.model, SiameseModel):
        raise ValueError(
            f"{type(pairs.model).__name__} is not factored into encoder and comparison, and embeddings are needed: "
            "wrap the encoder as SiameseModel(encoder, comparison); a model that reads both inputs at once has none, "
            "so that PairFeatureAblation or PairShapleyValueSampling is its method"
        )
    if pairs.target is not None:
        raise ValueError(
            f"target={shown(pairs.target)} is no function of two embeddings: leave it out to explain closeness"
        )
    return pairs.model


def embed(pairs: Pairs, side: int, leaves: Sequence[Tensor] = ()) -> Tensor:
    """See :meth:`PairBatch.embed <xsiamese.pairs.batch.PairBatch.embed>`."""
    model, of = siamese(pairs), pairs.sides[side]
    first = len(pairs.a.leaves)
    given = tuple(leaves) or (pairs.leaves[:first] if side == 0 else pairs.leaves[first:])
    # leaves may hold several copies of the pairs, one behind the other; those that stay are one copy
    copies = max(of.count(i, leaf) for i, leaf in enumerate(given)) // pairs.pairs
    if not pairs.rows or pairs.rows >= copies * pairs.pairs or of.ragged:
        return _encoded(pairs, model, side, given)
    if pairs.rows < pairs.pairs:
        return _by_pairs(pairs, side, given, copies)
    # whole copies of all pairs at once, so that every chunk rebuilds as the side itself does
    at_once = pairs.rows // pairs.pairs * pairs.pairs
    chunks = zip(*(torch.split(leaf, at_once) for leaf in given), strict=True)
    return torch.cat([_encoded(pairs, model, side, chunk) for chunk in chunks])


def _by_pairs(pairs: Pairs, side: int, given: Sequence[Tensor], copies: int) -> Tensor:
    """The embeddings of fewer pairs at once than there are, all copies of some pairs before those of the next."""
    each, start = [leaf.reshape(copies, pairs.pairs, *leaf.shape[1:]) for leaf in given], 0
    found = []
    for part in pairs.split(pairs.rows or pairs.pairs):
        stop = start + part.pairs
        z = embed(part, side, [leaf[:, start:stop].flatten(0, 1) for leaf in each])
        found.append(z.reshape(copies, part.pairs, *z.shape[1:]))
        start = stop
    return torch.cat(found, 1).flatten(0, 1)


def _encoded(pairs: Pairs, model: SiameseModel, side: int, leaves: Sequence[Tensor]) -> Tensor:
    of = pairs.sides[side]
    seen = nullcontext() if pairs.witness is None else pairs.witness.pass_(of.leaves[0].device)
    with pairs.naming_inputs(), gated(model, of.gates(leaves)), seen:
        z = model.encode(of.rebuild(leaves), side)
    if not isinstance(z, Tensor):
        raise ValueError(f"the encoder returned a {type(z).__name__}: one tensor of embeddings is needed")
    if pairs.witness is not None:
        pairs.witness.rows += len(z)
    return z


def closeness(pairs: Pairs, z_a: Tensor, z_b: Tensor) -> Tensor:
    """See :meth:`PairBatch.closeness <xsiamese.pairs.batch.PairBatch.closeness>`."""
    model = siamese(pairs)
    score = model.comparison.explained(z_a, z_b)
    if not isinstance(score, Tensor):
        raise ValueError(f"the comparison returned {shown(score)}: a tensor of one score a pair is needed")
    if not score.dim() and len(z_a) > 1:
        raise ValueError(
            f"the comparison gave one score for {len(z_a)} pairs: one for each is needed, as .sum(1) of a product gives"
        )
    if not score.is_floating_point():  # a decision, which may be asked about without its slope
        score = score.to(torch.get_default_dtype())
    return score if model.higher_is_closer else -score


def mixed(pairs: Pairs, z_a: Tensor, z_b: Tensor) -> Tensor:
    """See :meth:`PairBatch.mixed <xsiamese.pairs.batch.PairBatch.mixed>`."""
    u, v = (z.detach().clone().requires_grad_() for z in (z_a, z_b))
    with torch.enable_grad():
        slope = torch.autograd.grad(closeness(pairs, u, v).sum(), u, create_graph=True)[0]
        if not slope.requires_grad:  # linear in u alone: nothing acts together
            return u.new_zeros(len(u), u[0].numel(), v[0].numel())
        columns = []
        # one dimension of u at a time: its slope's gradient with respect to all of v
        for one in slope.flatten(1).unbind(1):
            found = torch.autograd.grad(one.sum(), v, retain_graph=True, allow_unused=True)[0]
            columns.append((torch.zeros_like(v) if found is None else found).flatten(1))
    return torch.stack(columns, 1)
