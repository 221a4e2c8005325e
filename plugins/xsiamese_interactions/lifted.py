"""Any explainer of one side's parts, lifted to pairs of parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from xsiamese.author import (
    Cells,
    Found,
    MatrixExplanation,
    PairAttribution,
    PairBatch,
    PairMatrix,
    channel_of,
    explainers,
    parts_of,
)
from xsiamese_interactions.items import Item, whole
from xsiamese_interactions.masks import Filling, Regression, draw, generator_of
from xsiamese_interactions.regression import fill_of, grid_of


class Lift(PairAttribution):
    r"""Any first-order explainer of ours as a pair matrix: how its map of a changes with each part of b.

    The map of a is computed for masked copies of b and regressed on their masks: :math:`L = (Z_c'^+ a)^\top`. For
    gradient times input of a bilinear model it is :math:`x_i y_j\, \partial^2 s / \partial x_i \partial y_j`. Row sums
    are what all parts of b give to the map of a.

    Args:
        explainer: an explainer of ours with one map a side, or a model, for which ``PairInputXGradient`` is lifted.

    Example:
        >>> from xsiamese import Lift, PairInputXGradient, SiameseModel
        >>> model = SiameseModel(torch.nn.Identity(), "dot")
        >>> pair = torch.tensor([[1.0, 2.0]]).double(), torch.tensor([[3.0, -1.0]]).double()
        >>> Lift(PairInputXGradient(model)).explain(pair).matrix.dense().round(decimals=6) + 0.0
        tensor([[ 3.,  0.],
                [ 0., -2.]], dtype=torch.float64)
    """

    name = "lift"
    formula = r"L = (Z_c'^+\, a(x, y_{T'}))^\top"
    reference = ("joukovsky2023",)
    result: ClassVar[type[MatrixExplanation]] = MatrixExplanation
    differentiable = False
    stochastic = same_draws = True
    symmetric = False
    fitted = True
    trims = True
    chunk = 1

    def __init__(self, explainer: PairAttribution | Callable[..., Any], layer: Any = None, **settings: Any) -> None:
        if not isinstance(explainer, PairAttribution):
            explainer = explainers()["PairInputXGradient"](explainer, layer, **settings)
        self.explainer = explainer
        super().__init__(explainer.model, explainer.layer)

    def compute(
        self,
        batch: PairBatch,
        *,
        masks: int = 128,
        cells: Cells = None,
        p: float = 0.5,
        filling: Filling | None = None,
        explainer_options: Mapping[str, Any] | None = None,
    ) -> Found:
        """The matrix.

        Args:
            batch: the pair.
            masks: how many masks of b.
            cells: the grid of an image by which b is masked; None takes 7 x 7, or every pixel of smaller ones.
            p: how often a part of b stays.
            filling: what shows where a part is masked, as for :class:`PairMaskRegression`.
            explainer_options: those of the explainer.
        """
        who = type(self).__name__
        first, second = (Item.of(batch, side, grid_of(batch, side, cells), who) for side in (0, 1))
        fill = fill_of(second, filling, first.tensor)
        drawn = draw(second.parts.count, masks, p, second.tensor, generator_of(second.tensor, batch.seed))
        fit = Regression.of(drawn)
        maps = self._maps_of_a(batch, first, second, second.masked(drawn.keep, fill), explainer_options or {})
        parts = parts_of(maps[:1], None, channel_of(batch, 0, maps[:1], self.layout))
        slopes = fit.slopes(parts.summed(maps))
        matrix = PairMatrix.of(slopes.T, places=(parts.grid, second.parts.grid))
        spread = parts.spread(matrix.marginals[0]), second.parts.spread(matrix.marginals[1])
        with torch.no_grad():
            both = spread[0], batch.b.whole(second.leaf, spread[1])
            return Found(both, batch.value(), {"matrix": [whole(matrix, None, second)]})

    def _maps_of_a(
        self, batch: PairBatch, first: Item, second: Item, masked: Tensor, options: Mapping[str, Any]
    ) -> Tensor:
        """The explainer's map of a for each masked b, (masks, ...)."""
        found = []
        for some in torch.split(masked, first.at_once):
            copies = len(some)
            sides = [
                batch.a.rebuild(first.leaves(first.tensor.repeat(copies, *[1] * (first.tensor.dim() - 1)), copies)),
                batch.b.rebuild(second.leaves(some, copies)),
            ]
            inner = self.explainer.copy_for(batch.model)
            maps = inner.attribute(sides, batch.target, wrt="first", seed=batch.seed, **options)[0]
            if not isinstance(maps, Tensor):
                if inner.of_layer:
                    raise ValueError(f"{type(inner).__name__} gives several maps of a: lift one with a single layer")
                maps = [*maps.values()][first.leaf] if isinstance(maps, Mapping) else maps[first.leaf]
            found.append(maps)
        return torch.cat(found)
