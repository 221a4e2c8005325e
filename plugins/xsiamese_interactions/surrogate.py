r"""The score as a polynomial in the masks of a and of b: fitted in closed form, from samples of either side.

What is asked of the model and what is fitted belongs to an *item*, whatever it is compared with: :class:`Sampled`, or
:class:`Fitted` for comparisons that are a product of features. A pair takes the one of a and the one of b.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import torch
from torch import Tensor

from xsiamese.author import PairBatch, PairMatrix, SquaredEuclidean
from xsiamese_interactions.heads import Features, Product, every_score, product
from xsiamese_interactions.items import Item
from xsiamese_interactions.masks import Masks, Regression, draw

Grids = tuple[tuple[int, ...], tuple[int, ...]]


class Fitted(NamedTuple):
    """What of a mask regression belongs to one item.

    Attributes:
        slopes: what each part adds to the item's features, (parts, F).
        mean: of the features over the masks, (1, F).
        centre: how often each part stays, (parts,).
        residuals: what the fit leaves of the features, (draws, F); no draws where all masks were taken.
        spread: see :attr:`Regression.spread`, (parts, draws).
        embedding: that of the item, (1, D); ``empty`` that of what shows where all of it is masked.
    """

    slopes: Tensor
    mean: Tensor
    centre: Tensor
    residuals: Tensor
    spread: Tensor
    embedding: Tensor
    empty: Tensor


@dataclass(frozen=True, eq=False)
class Sampled:
    """One item's masks and its embeddings under them.

    Attributes:
        fit: the regression on the masks.
        embeddings: (masks, D).
        embedding: that of the item, (1, D); ``empty`` that of what shows where all of it is masked.
    """

    fit: Regression
    embeddings: Tensor
    embedding: Tensor
    empty: Tensor

    @classmethod
    def of(cls, item: Item, fill: Tensor, count: int, p: float, generator: torch.Generator) -> Self:
        """The embeddings of one item under masks.

        Raises:
            ValueError: if the masks cannot tell its parts apart; the model is not asked then.
        """
        fit = Regression.of(draw(item.parts.count, count, p, item.tensor, generator))
        return cls(fit, item.embed_masked(fit.masks.keep, fill), *item.ends(fill))

    @property
    def exact(self) -> bool:
        """Whether all masks were taken."""
        return self.fit.masks.weight is not None

    def more(self, item: Item, fill: Tensor, p: float, generator: torch.Generator) -> Sampled:
        """Twice as many masks, of which the half is known; these, if they are all there are."""
        known = self.fit.masks
        if self.exact:
            return self
        drawn = draw(known.keep.shape[1], len(known.keep), p, known.keep, generator)
        fresh = item.embed_masked(drawn.keep, fill)
        # the complements stay in the second half
        parts = 2 if known.mirrored else 1
        keep, z = (
            torch.cat([x for some in zip(old.chunk(parts), new.chunk(parts), strict=True) for x in some])
            for old, new in ((known.keep, drawn.keep), (self.embeddings, fresh))
        )
        return Sampled(Regression.of(Masks(keep, None, known.mirrored)), z, self.embedding, self.empty)

    def fitted(self, features: Features, *, errors: bool = True) -> Fitted:
        """The regression of some features of the embeddings, with or without what its errors are made of."""
        u, fit = features(self.embeddings), self.fit
        left, spread = (
            (fit.residuals(u), fit.spread) if errors else (u.new_zeros(0, u.shape[1]), u.new_zeros(len(fit.inverse), 0))
        )
        return Fitted(fit.slopes(u), fit.mean(u)[None], fit.centre, left, spread, self.embedding, self.empty)

    def columns(self) -> dict[str, Tensor]:
        """All of it as tensors."""
        masks = self.fit.masks
        weight = masks.keep.new_zeros(0) if masks.weight is None else masks.weight
        return {
            "keep": masks.keep,
            "weight": weight,
            "mirrored": torch.tensor([masks.mirrored]),
            "inverse": self.fit.inverse,
            "leverage": self.fit.leverage,
            "embeddings": self.embeddings,
            "embedding": self.embedding,
            "empty": self.empty,
        }

    @classmethod
    def of_columns(cls, told: Mapping[str, Tensor]) -> Self:
        """What :meth:`columns` told."""
        weight = told["weight"] if len(told["weight"]) else None
        masks = Masks(told["keep"], weight, bool(told["mirrored"]))
        fit = Regression(told["inverse"], masks, told["leverage"])
        return cls(fit, told["embeddings"], told["embedding"], told["empty"])


def factored(batch: PairBatch, u: Tensor, v: Tensor) -> Product | None:
    """The features of a comparison that is their product and nothing beside it; squared distances have more."""
    head = product(batch, u, v)
    return None if isinstance(getattr(batch.model, "comparison", None), SquaredEuclidean) else head


def banzhaf(batch: PairBatch, a: Sampled, b: Sampled, places: Grids) -> PairMatrix:
    """The matrix of both sides' samples, with what stands alone, and standard errors."""
    head = factored(batch, a.embedding, b.embedding)
    if head is None:  # what is of one side alone is no product
        known = product(batch, a.embedding, b.embedding)
        return of_scores(every_score(batch, a.embeddings, b.embeddings, known), [a.fit, b.fit], places)
    return of_factors(head, a.fitted(head.own), b.fitted(head.own), places)


def of_factors(head: Product, a: Fitted, b: Fitted, places: Grids) -> PairMatrix:
    """The matrix of a comparison that is a product of features."""
    of_a, of_b = head.after(0), head.after(1)
    left, right, (mean_a,), (mean_b,) = of_a(a.slopes), of_b(b.slopes), of_a(a.mean), of_b(b.mean)
    error = None
    if len(a.residuals) or len(b.residuals):
        of_left = a.spread @ (of_a(a.residuals) @ right.T).square()
        error = (of_left + (b.spread @ (of_b(b.residuals) @ left.T).square()).T).sqrt()
    found = PairMatrix(left, right, None, places, standard_error=error)
    return _settled(found, (left @ mean_b, right @ mean_a), float(mean_a @ mean_b), (a.centre, b.centre))


def of_scores(scores: Tensor, fits: list[Regression], places: Grids) -> PairMatrix:
    r"""The matrix :math:`Z_c^+ S (Z_c'^+)^\top` of the scores of all masks of a with all of b."""
    left = fits[1].slopes(fits[0].slopes(scores).T).T
    mean_a, mean_b = fits[1].mean(scores.T), fits[0].mean(scores)  # over the masks of the other side
    # seen from a, each mask of a has one value a part of b, its own slope; and the other way round
    by_a, by_b = fits[1].slopes(scores.T).T, fits[0].slopes(scores).T
    error = None
    if any(fit.masks.weight is None for fit in fits):
        of_left = fits[0].spread @ fits[0].residuals(by_a).square()
        error = (of_left + (fits[1].spread @ fits[1].residuals(by_b).square()).T).sqrt()
    found = PairMatrix.of(left, places=places, standard_error=error)
    main = (fits[0].slopes(mean_a), fits[1].slopes(mean_b))
    return _settled(found, main, float(fits[0].mean(mean_a)), (fits[0].centre, fits[1].centre))


def _settled(found: PairMatrix, main: tuple[Tensor, Tensor], mean: float, centres: tuple[Tensor, Tensor]) -> PairMatrix:
    """The fitted score as a polynomial in the masks.

    ``main`` is what a part adds at the other side's mean mask; what it adds at the other's empty mask stands alone.
    """
    left, right, (keep_a, keep_b) = found.left, found.right, centres
    folded_a, folded_b = left @ (keep_b @ right), right @ (keep_a @ left)
    constant = mean - float(keep_a @ main[0]) - float(keep_b @ main[1]) + float(keep_a @ folded_a)
    return replace(found, constant=constant, alone=(main[0] - folded_a, main[1] - folded_b))
