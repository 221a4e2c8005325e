r"""Pair matrices from nothing but the model's answers: masks of a, masks of b, and one closed form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Literal, cast

import torch
from torch import Tensor

from xsiamese.author import (
    AtLeast,
    Cells,
    Column,
    Found,
    ItemBatch,
    MatrixExplanation,
    PairAttribution,
    PairBatch,
    PairMatrix,
    SiameseModel,
)
from xsiamese_interactions.heads import full_match, product
from xsiamese_interactions.items import Item, each, places_of, result
from xsiamese_interactions.joint import of_both
from xsiamese_interactions.masks import Filling, filled, generator_of
from xsiamese_interactions.shapley import shapley
from xsiamese_interactions.surrogate import Fitted, Sampled, banzhaf, factored, of_factors

Index = Literal["banzhaf", "shapley"]
NEAR = 0.8  # how often a part stays: on planted patches and digits matches are found that masks of one half miss
SURE = 1.959964  # standard errors to either side of a 95 % interval
TOP = 8  # cells whose intervals decide whether to draw more
MOST = 2**14  # masks of an item
ROOM = 2**31  # bytes that are kept of all items of a run at most


class PairMaskRegression(PairAttribution):
    r"""Which part of a goes with which part of b, from masks alone: no gradient, no layer.

    Each item is masked N times and its embeddings u are regressed on its masks; the coefficients belong to the item,
    and the matrix is their product. It is, exactly, the cross block of the least-squares regression of all
    :math:`N \cdot M` scores on both masks (InteractionLIME), of Faith-Banzhaf's, and with all masks the Banzhaf
    interaction index itself, weighted by ``p``; with ``index="shapley"`` the Shapley interaction index. N + M encodings
    instead of N x M; for a comparison that is no product of features, the scores of all embeddings with all.

    ``matrix.alone`` is what each part gives while the other item is gone, ``matrix.constant`` the score with both gone.
    Each cell has a heteroscedasticity-consistent standard error (HC3; HC2 for masks with their complements).

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
    reference = ("joukovsky2023", "baniecki2025", "grabisch1999", "tsai2023", "plackett1946", "mackinnon1985")
    result: ClassVar[type[MatrixExplanation]] = MatrixExplanation
    modalities = frozenset({"image", "row", "series", "volume", "text", "graph"})
    known_parts = ("nodes",)
    uses_gradients = False
    stochastic = same_draws = True
    fitted = True
    trims = True
    linear = True
    chunk = 1

    def compute(
        self,
        batch: PairBatch,
        *,
        masks: int = 512,
        cells: Cells = None,
        p: float = NEAR,
        index: Index = "banzhaf",
        filling: Filling | None = None,
        tolerance: Annotated[float, AtLeast(0)] | None = None,
        errors: bool = True,
        max_passes: int | None = None,
    ) -> Found:
        """The matrix.

        Args:
            batch: the pair.
            masks: how many masks of each item; all there are, if these are no more.
            cells: the grid of an image that is masked by cells; None takes 7 x 7, or every pixel of smaller ones.
            p: how often a part stays. Four fifths stay near the item; with 0.5 masks come with their complements, and
                all masks give the Banzhaf index itself.
            index: the "banzhaf" or the "shapley" interaction index.
            filling: what shows where a part is masked: a "blur" of the image, its "mean", "noise" like it, the
                "partner"'s pixels, or the "baseline". None takes the blur for images of 16 pixels and more.
            tolerance: draws more masks, up to 16,384, until the strongest cells are known to this share of the score
                (half of their 95 % intervals).
            errors: whether each cell gets its standard error. What is kept of an item for all its pairs is several
                times smaller without.
            max_passes: for a model that takes both inputs at once: how many passes it may cost, masks of a times masks
                of b.

        Raises:
            ValueError: if the masks cannot tell the parts apart, or the passes are not confirmed.
        """
        items = self._item(batch, 0, cells), self._item(batch, 1, cells)
        if batch.prepared[0]:
            return _compared(batch, items, *(_read(columns) for columns in batch.prepared), errors=errors)
        fills = [fill_of(items[k], filling, items[1 - k].tensor) for k in (0, 1)]
        if not isinstance(batch.model, SiameseModel) or batch.target is not None:
            with torch.no_grad():
                value = batch.value()
            return result(items, of_both(batch, items, fills, masks, p=p, max_passes=max_passes), value)
        drawing = [generator_of(item.tensor, batch.seed) for item in items]
        if index == "shapley":
            ends = [item.ends(fill) for item, fill in zip(items, fills, strict=True)]
            return _told(batch, items, shapley(batch, items, fills, masks, drawing), ends)
        a, b = (Sampled.of(items[k], fills[k], masks, p, drawing[k]) for k in (0, 1))
        while tolerance is not None and _wide(banzhaf(batch, a, b, places_of(items)), tolerance):
            if max(len(a.embeddings), len(b.embeddings)) >= MOST:
                break
            a, b = (one.more(items[k], fills[k], p, drawing[k]) for k, one in enumerate((a, b)))
        found = _compared(batch, items, a, b, errors=errors)
        return replace(found, columns={**found.columns, "masks": [[len(a.embeddings), len(b.embeddings)]]})

    def prepare(
        self,
        items: ItemBatch,
        *,
        masks: int = 512,
        cells: Cells = None,
        p: float = NEAR,
        index: Index = "banzhaf",
        filling: Filling | None = None,
        tolerance: Annotated[float, AtLeast(0)] | None = None,
        errors: bool = True,
        max_passes: int | None = None,
    ) -> dict[str, Column] | None:
        """The run of masks of each item, and what is fitted to it; None where that is a matter of the pair."""
        alone = isinstance(items.pairs.model, SiameseModel) and index == "banzhaf"
        if not alone or filling == "partner" or tolerance is not None:
            return None
        found = []
        for one in each(items):
            item = self._item(one, items.place, cells)
            fill = fill_of(item, filling, item.tensor)
            sample = Sampled.of(item, fill, masks, p, generator_of(item.tensor, one.seed))
            head = factored(one, sample.embedding, sample.embedding)
            found.append(sample.columns() if head is None else sample.fitted(head.own, errors=errors)._asdict())
            if len(found) == 1 and len(items) * sum(map(_bytes, found[0].values())) > ROOM:
                return None  # all of it would not fit beside the results: pair by pair, then
        columns: dict[str, Column] = {name: [one[name] for one in found] for name in found[0]}
        return {**columns, "embedding": torch.cat([one["embedding"] for one in found])}

    def _item(self, batch: PairBatch, side: int, cells: Cells) -> Item:
        return Item.of(batch, side, grid_of(batch, side, cells), type(self).__name__)


def grid_of(batch: PairBatch, side: int, cells: Cells) -> Cells:
    """The grid by which an image is masked."""
    places = next(leaf for leaf in batch.sides[side].leaves if leaf.is_floating_point()).shape[2:]
    return tuple(min(7, size) for size in places) if cells is None else cells


def fill_of(item: Item, filling: Filling | None, partner: Tensor) -> Tensor:
    """What shows where parts of an item are masked."""
    image = item.batch.sides[item.side].kind == "image" and min(item.tensor.shape[-2:]) >= 16
    usual: Filling = "blur" if image else "baseline"
    return filled(item.tensor, filling or usual, item.baseline, partner, item.parts)


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _read(columns: Mapping[str, Column]) -> Sampled | Fitted:
    """What was prepared of one item."""
    told = {name: cast(Tensor, column[0]) for name, column in columns.items()}
    told["embedding"] = told["embedding"][None]
    return Fitted(**told) if "slopes" in told else Sampled.of_columns(told)


def _compared(
    batch: PairBatch, items: tuple[Item, Item], a: Sampled | Fitted, b: Sampled | Fitted, *, errors: bool
) -> Found:
    """The matrix of two items whose masks were asked for."""
    if isinstance(a, Sampled) and isinstance(b, Sampled):
        found = banzhaf(batch, a, b, places_of(items))
        found = found if errors else replace(found, standard_error=None)
        return _told(batch, items, found, [(one.embedding, one.empty) for one in (a, b)])
    assert isinstance(a, Fitted)
    assert isinstance(b, Fitted)
    head = factored(batch, a.embedding, b.embedding)
    assert head is not None
    found = of_factors(head, a, b, places_of(items))
    return _told(batch, items, found, [(one.embedding, one.empty) for one in (a, b)])


def _told(
    batch: PairBatch, items: tuple[Item, Item], matrix: PairMatrix, ends: Sequence[tuple[Tensor, Tensor]]
) -> Found:
    """The matrix with the pair's value, and that of a full match: what both items give with themselves, which is the
    same whatever the masks are, or what they give together if that is more.

    Args:
        batch: the pair.
        items: the two.
        matrix: theirs.
        ends: for each the embedding of the item and that of what shows where all of it is masked.
    """
    u, v = ends
    reference = torch.maximum(full_match(batch, u, v, product(batch, u[0], v[0])), matrix.total.abs()[None])
    return result(items, matrix, batch.closeness(u[0], v[0]), reference=reference)


def _wide(matrix: PairMatrix, tolerance: float) -> bool:
    """Whether the strongest cells are known less well than to this share of the score."""
    size = abs(float(matrix.value)) or 1.0
    return any(SURE * (match.error or 0.0) > tolerance * size for match in matrix.top(TOP))
