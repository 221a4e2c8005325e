r"""The score as a polynomial in the masks of a and of b: fitted in closed form, from samples of either side."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from xsiamese.author import PairBatch, PairMatrix, SquaredEuclidean
from xsiamese_interactions.heads import every_score, product
from xsiamese_interactions.items import Item
from xsiamese_interactions.masks import Masks, Regression, draw

Grids = tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class Sampled:
    """One item's masks and its embeddings under them."""

    item: Item
    masks: Masks
    embeddings: Tensor
    fill: Tensor

    def more(self, generator: torch.Generator, p: float) -> Sampled:
        """Twice as many masks, of which the half is known; these, if they are all there are."""
        if self.masks.weight is not None:
            return self
        known = self.masks.keep
        drawn = draw(known.shape[1], len(known), p, known, generator)
        fresh = self.item.embed_masked(drawn.keep, self.fill, "masks")
        pairs = ((known, drawn.keep), (self.embeddings, fresh))
        if self.masks.mirrored:  # the complements stay in the second half
            keep, z = (
                torch.cat([x for half in zip(a.chunk(2), b.chunk(2), strict=True) for x in half]) for a, b in pairs
            )
        else:
            keep, z = (torch.cat(both) for both in pairs)
        return replace(self, masks=replace(self.masks, keep=keep), embeddings=z)


def sampled(item: Item, fill: Tensor, count: int, p: float, generator: torch.Generator) -> Sampled:
    """The embeddings of one item under masks.

    Raises:
        ValueError: if the masks cannot tell its parts apart; the model is not asked then.
    """
    masks = draw(item.parts.count, count, p, item.tensor, generator)
    Regression.of(masks)
    return Sampled(item, masks, item.embed_masked(masks.keep, fill, "masks"), fill)


def banzhaf(batch: PairBatch, sides: list[Sampled]) -> PairMatrix:
    """The matrix of both sides' samples, with what stands alone, and standard errors."""
    (u, v), fits = (side.embeddings for side in sides), [Regression.of(side.masks) for side in sides]
    places = (sides[0].item.parts.grid, sides[1].item.parts.grid)
    head = product(batch, *(side.item.embed(side.item.tensor) for side in sides))
    squares = isinstance(getattr(batch.model, "comparison", None), SquaredEuclidean)
    if head is None or squares:  # what is of one side alone is no product
        return of_scores(every_score(batch, u, v, head), fits, places)
    u, v = head.of_a(u), head.of_b(v)
    left, right = fits[0].slopes(u), fits[1].slopes(v)
    mean_u, mean_v = fits[0].mean(u), fits[1].mean(v)
    variance = fits[0].variance(fits[0].residuals(u) @ right.T) + fits[1].variance(fits[1].residuals(v) @ left.T).T
    return _settled(
        left,
        right,
        (left @ mean_v, right @ mean_u),
        float(mean_u @ mean_v),
        fits=fits,
        places=places,
        variance=variance,
    )


def of_scores(scores: Tensor, fits: list[Regression], places: Grids) -> PairMatrix:
    r"""The matrix :math:`Z_c^+ S (Z_c'^+)^\top` of the scores of all masks of a with all of b."""
    left = fits[1].slopes(fits[0].slopes(scores).T).T
    mean_a, mean_b = fits[1].mean(scores.T), fits[0].mean(scores)  # over the masks of the other side
    # seen from a, each mask of a has one value a part of b, its own slope; and the other way round
    by_a, by_b = fits[1].slopes(scores.T).T, fits[0].slopes(scores).T
    variance = fits[0].variance(fits[0].residuals(by_a)) + fits[1].variance(fits[1].residuals(by_b)).T
    whole = PairMatrix.of(left)
    main = (fits[0].slopes(mean_a), fits[1].slopes(mean_b))
    return _settled(
        whole.left, whole.right, main, float(fits[0].mean(mean_a)), fits=fits, places=places, variance=variance
    )


def _settled(
    left: Tensor,
    right: Tensor,
    main: tuple[Tensor, Tensor],
    mean: float,
    *,
    fits: list[Regression],
    places: Grids,
    variance: Tensor,
) -> PairMatrix:
    """The fitted score as a polynomial in the masks.

    ``main`` is what a part adds at the other side's mean mask; what it adds at the other's empty mask stands alone.
    """
    keep_a, keep_b = (fit.centre for fit in fits)
    folded_a, folded_b = left @ (keep_b @ right), right @ (keep_a @ left)
    alone = main[0] - folded_a, main[1] - folded_b
    constant = mean - float(keep_a @ main[0]) - float(keep_b @ main[1]) + float(keep_a @ folded_a)
    error = None if fits[0].masks.weight is not None and fits[1].masks.weight is not None else variance.sqrt()
    return PairMatrix(left, right, None, places, constant, alone, error)
