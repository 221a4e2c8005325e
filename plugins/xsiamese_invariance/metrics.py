"""Measures of relevances: how alike they are, how simple, how well they keep an invariance, and how much of the score
they carry.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def top_units(relevance: Tensor, k: int) -> Tensor:
    """Which k units of each row are the most relevant, shape of ``relevance``, boolean; of equal ones the first.

    Example:
        >>> top_units(torch.tensor([[0.1, 0.9, 0.5]]), 2).tolist()
        [[False, True, True]]
    """
    order = relevance.argsort(dim=1, descending=True, stable=True)[:, :k]
    return torch.zeros_like(relevance, dtype=torch.bool).scatter_(1, order, True)


def top_overlap(relevance: Tensor, k: int) -> float:
    """The mean share of their top k units that two rows have in common.

    Example:
        >>> top_overlap(torch.tensor([[3.0, 2.0, 1.0], [3.0, 1.0, 2.0]]), 2)
        0.5
    """
    top = top_units(relevance, k).double()
    common = top @ top.T / k
    rows = len(top)
    return float((common.sum() - common.diagonal().sum()) / (rows * (rows - 1)))


def mean_cosine(rows: Tensor) -> float:
    """The mean cosine of two rows; a row of zeros has cosine 0 with all others."""
    unit = torch.nn.functional.normalize(rows.double(), dim=1)
    common = unit @ unit.T
    return float((common.sum() - common.diagonal().sum()) / (len(rows) * (len(rows) - 1)))


def order_agreement(relevance: Tensor, invariance: Tensor, k: int) -> Tensor:
    """The share of pairs (i among the invariance's top k units, j not) with relevance i at least that of j, shape
    (rows,).

    Args:
        relevance: shape (rows, units).
        invariance: the mask that all rows are held against, shape (units,), or one a row.
        k: how many units are on top.

    Example:
        >>> order_agreement(torch.tensor([[0.9, 0.2, 0.5]]), torch.tensor([1.0, 0.8, 0.1]), 2).tolist()
        [0.5]
    """
    top = top_units(invariance.expand_as(relevance), k)
    right = (relevance[:, :, None] >= relevance[:, None, :]) & top[:, :, None] & ~top[:, None, :]
    return right.sum((1, 2)).double() / (k * (relevance.shape[1] - k))


def effective_size(masks: Tensor) -> Tensor:
    r"""How many units a mask is spread over, :math:`\exp H(m / \sum m)`, shape (rows,); 0 for an empty mask.

    Example:
        >>> effective_size(torch.tensor([[0.5, 0.5, 0.0]])).tolist()
        [2.0]
    """
    total = masks.sum(1, keepdim=True)
    share = masks / torch.where(total > 0, total, torch.ones_like(total))
    size: Tensor = torch.special.entr(share).sum(1).exp() * (total[:, 0] > 0)
    return size


def bernoulli_divergence(logit: Tensor, changed: Tensor) -> Tensor:
    r"""The KL divergence in nats of :math:`\mathrm{Bern}(\sigma(s'))` from :math:`\mathrm{Bern}(\sigma(s))`, from the
    logits s and s'.

    Example:
        >>> bernoulli_divergence(torch.tensor(0.0), torch.tensor(0.0)).item()
        0.0
    """
    from torch.nn.functional import logsigmoid

    kept = torch.sigmoid(logit) * (logsigmoid(logit) - logsigmoid(changed)) + torch.sigmoid(-logit) * (
        logsigmoid(-logit) - logsigmoid(-changed)
    )
    return kept.clamp(min=0)


def masked_divergence(
    score: Callable[[Tensor, Tensor], Tensor],
    a: Tensor,
    b: Tensor,
    masks: tuple[Tensor, Tensor],
    draws: tuple[Tensor, Tensor],
) -> Tensor:
    r"""How much the decision on each pair changes when all but the masked part of its rows is replaced, in nats, shape
    (pairs,).

    :math:`\frac1K \sum_k \mathrm{KL}(\mathrm{Bern}(\sigma(s(a, b))) \,\|\, \mathrm{Bern}(\sigma(s(m \odot a + (1 - m)
    \odot z_k, \ldots))))`.

    Args:
        score: the logit of pairs.
        a, b: rows, shape (pairs, units).
        masks: what is kept of a and of b, values in [0, 1], the shapes of a and b; ones keep a side as it is.
        draws: the values z that come in for what is not kept, on each side, shape (draws, units).
    """
    with torch.no_grad():
        whole = score(a, b)
        sides = [
            (m[None] * x[None] + (1 - m[None]) * z[:, None]).flatten(0, 1)
            for x, m, z in zip((a, b), masks, draws, strict=True)
        ]
        changed = score(*sides).view(len(draws[0]), len(a))
    return bernoulli_divergence(whole, changed).mean(0)


def mixed_draws(pool: Tensor, count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Replacement rows for the two sides, shape (count, units) each: the first half the same row on both sides, the
    other half two rows of their own.

    Shared values alone make two rows alike, values of their own alone make them differ: half of each leaves neither
    verdict free.
    """
    generator = torch.Generator().manual_seed(seed)
    first, second = (torch.randint(len(pool), (count,), generator=generator) for _ in range(2))
    second = torch.where(torch.arange(count) < count // 2, first, second)
    return pool[first], pool[second]
