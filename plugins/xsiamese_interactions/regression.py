r"""Pair matrices from nothing but the model's answers: masks of a, masks of b, and one closed form."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from xsiamese.author import Found, MatrixExplanation, PairAttribution, PairBatch, PairMatrix, SiameseModel
from xsiamese_interactions.heads import full_match, most, product
from xsiamese_interactions.items import Item, result
from xsiamese_interactions.joint import of_both
from xsiamese_interactions.masks import Filling, filled, generator_of
from xsiamese_interactions.parts import Cells
from xsiamese_interactions.shapley import shapley
from xsiamese_interactions.surrogate import banzhaf, sampled

Index = Literal["banzhaf", "shapley"]
SURE = 1.959964  # standard errors to either side of a 95 % interval
TOP = 8  # cells whose intervals decide whether to draw more
MOST = 2**14  # masks of an item


class PairMaskRegression(PairAttribution):
    r"""Which part of a goes with which part of b, from masks alone: no gradient, no layer.

    Each item is masked N times and its embeddings u are regressed on its masks; the coefficients belong to the item,
    and the matrix is their product. It is, exactly, the cross block of the least-squares regression of all
    :math:`N \cdot M` scores on both masks (InteractionLIME), of Faith-Banzhaf's, and with all masks the Banzhaf
    interaction index itself; with ``index="shapley"`` the Shapley interaction index. N + M encodings instead of N x M;
    for a comparison that is no product of features, the scores of all embeddings with all.

    ``matrix.alone`` is what each part gives while the other item is gone, ``matrix.constant`` the score with both gone.
    Each cell has a heteroscedasticity-consistent standard error (HC3).

    Example:
        >>> import torch
        >>> from xsiamese import PairMaskRegression, SiameseModel
        >>> encoder = torch.nn.Linear(3, 2, bias=False).double()
        >>> with torch.no_grad():
        ...     _ = encoder.weight.copy_(torch.tensor([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]]))
        >>> explainer = PairMaskRegression(SiameseModel(encoder, "dot"))
        >>> found = explainer.explain((torch.ones(1, 3).double(), torch.ones(1, 3).double()))
        >>> found.matrix.dense().round(decimals=6) + 0.0
        tensor([[1., 0., 0.],
                [0., 4., 0.],
                [0., 0., 0.]], dtype=torch.float64)
    """

    name = "mask_regression"
    formula = r"A = (Z_c^+ U)(Z_c'^+ V)^\top"
    reference = ("joukovsky2023", "baniecki2025", "grabisch1999", "tsai2023")
    result: ClassVar[type[MatrixExplanation]] = MatrixExplanation
    modalities = frozenset({"image", "row", "series", "volume", "text", "graph"})
    known_parts = ("nodes",)
    uses_gradients = False
    stochastic = True
    fitted = True
    linear = True
    chunk = 1

    def compute(
        self,
        batch: PairBatch,
        *,
        masks: int = 512,
        cells: Cells = None,
        p: float = 0.5,
        index: Index = "banzhaf",
        filling: Filling | None = None,
        tolerance: float | None = None,
        max_passes: int | None = None,
    ) -> Found:
        """The matrix.

        Args:
            batch: the pair.
            masks: how many masks of each item; all there are, if these are no more.
            cells: the grid of an image that is masked by cells; None takes 7 x 7, or every pixel of smaller ones.
            p: how often a part stays.
            index: the "banzhaf" or the "shapley" interaction index.
            filling: what shows where a part is masked: a "blur" of the image, its "mean", "noise" like it, the
                "partner"'s pixels, or the "baseline". None takes the blur for images of 16 pixels and more.
            tolerance: draws more masks, up to 16,384, until the strongest cells are known to this share of the score
                (half of their 95 % intervals).
            max_passes: for a model that takes both inputs at once: how many passes it may cost, masks of a times masks
                of b.

        Raises:
            ValueError: if the masks cannot tell the parts apart, or the passes are not confirmed.
        """
        if index not in ("banzhaf", "shapley"):
            raise ValueError(f"index={index!r}: 'banzhaf' or 'shapley' is needed")
        who = type(self).__name__
        items = Item.of(batch, 0, grid_of(batch, 0, cells), who), Item.of(batch, 1, grid_of(batch, 1, cells), who)
        fills = fills_of(items, filling)
        if not isinstance(batch.model, SiameseModel) or batch.target is not None:
            with torch.no_grad():
                value = batch.value()
            return result(items, of_both(batch, items, fills, masks, p=p, max_passes=max_passes), value)
        drawing = [generator_of(item.tensor, batch.seed) for item in items]
        if index == "shapley":
            return self._result(batch, items, fills, shapley(batch, items, fills, masks, drawing))
        sides = [sampled(item, fill, masks, p, g) for item, fill, g in zip(items, fills, drawing, strict=True)]
        found = banzhaf(batch, sides)
        while tolerance is not None and _wide(found, tolerance) and len(sides[0].masks.keep) < MOST:
            sides = [side.more(g, p) for side, g in zip(sides, drawing, strict=True)]
            found = banzhaf(batch, sides)
        return self._result(batch, items, fills, found, masks=[len(side.masks.keep) for side in sides])

    def _result(
        self, batch: PairBatch, items: tuple[Item, Item], fills: list[Tensor], matrix: PairMatrix, **more: Any
    ) -> Found:
        """The matrix with the pair's value, and that of a full match: the most that such factors could give."""
        with torch.no_grad():
            u, v = ((item.embed(item.tensor), item.embed(fill)) for item, fill in zip(items, fills, strict=True))
            reference = most(matrix)
            if product(batch, u[0], v[0]) is None:  # what both items give with themselves, if that is more
                reference = torch.maximum(full_match(batch, u, v, None), matrix.total.abs()[None])
            return result(items, matrix, batch.closeness(u[0], v[0]), reference=reference, **more)


def grid_of(batch: PairBatch, side: int, cells: Cells) -> Cells:
    """The grid by which an image is masked."""
    places = next(leaf for leaf in batch.sides[side].leaves if leaf.is_floating_point()).shape[2:]
    return tuple(min(7, size) for size in places) if cells is None else cells


def fills_of(items: tuple[Item, Item], filling: Filling | None) -> list[Tensor]:
    """What shows where parts of either item are masked."""

    def usual(item: Item) -> Filling:
        image = item.tensor.dim() == 4 and min(item.tensor.shape[-2:]) >= 16
        return "blur" if image else "baseline"

    return [
        filled(item.tensor, filling or usual(item), item.baseline, other.tensor, generator_of(item.tensor, 1))
        for item, other in zip(items, items[::-1], strict=True)
    ]


def _wide(matrix: PairMatrix, tolerance: float) -> bool:
    """Whether the strongest cells are known less well than to this share of the score."""
    size = abs(float(matrix.value)) or 1.0
    return any(SURE * (match.error or 0.0) > tolerance * size for match in matrix.top(TOP))
