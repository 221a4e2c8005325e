"""Pair matrices from gradients: at the input, or at the output of a layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from xsiamese.author import (
    BlackBoxEncoder,
    Cells,
    Found,
    Layer,
    MatrixExplanation,
    PairAttribution,
    PairBatch,
    Parts,
    SiameseModel,
    SideLayout,
    channel_of,
    parts_of,
)
from xsiamese_interactions.items import Item, result
from xsiamese_interactions.paths import Integral, Line, integral
from xsiamese_interactions.tangents import Rule

LayerPair = tuple[nn.Module, nn.Module]
Form = Literal["path", "jacobian", "hessian"]


class PairInteraction(PairAttribution):
    r"""Which part of a goes with which part of b, from the mixed derivative of the score.

    ``form="path"`` integrates it over both paths from the references to the items; its sum is exactly what both sides
    give together, :math:`s(x, y) - s(r, y) - s(x, r') + s(r, r')`, for the full cosine, the inner product, distances,
    RBF and learned heads of models as they come. ``form="jacobian"`` (integrated Jacobians) takes the norms of a cosine
    as constants; ``form="hessian"`` is the derivative at the pair alone, times both inputs.

    ``matrix.constant`` is the rest of the score, which is of one side or none; :attr:`gap
    <xsiamese.MatrixExplanation.gap>` is what the integral misses.

    Example:
        >>> from xsiamese import PairInteraction, SiameseModel
        >>> pair = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -1.0]])
        >>> PairInteraction(SiameseModel(torch.nn.Identity(), "dot")).explain(pair).matrix.dense().round()
        tensor([[ 3.,  0.],
                [ 0., -2.]])
    """

    name = "interaction"
    cost = "one for each step and each dimension of the embedding"
    formula = (
        r"\Delta_i \Delta'_j \int_0^1\!\!\int_0^1 \frac{\partial^2 s}{\partial x_i\, \partial y_j}"
        r"(r + \alpha \Delta, r' + \beta \Delta')\, d\alpha\, d\beta"
    )
    reference = ("moeller2023", "eberle2022", "shrikumar2017", "yang2023")
    result: ClassVar[type[MatrixExplanation]] = MatrixExplanation
    modalities = frozenset({"image", "row", "series", "volume", "text", "graph"})
    known_parts = ("nodes",)
    differentiable = False
    linear = True
    chunk = 1

    def compute(
        self,
        batch: PairBatch,
        *,
        form: Form = "path",
        steps: int = 8,
        rule: Rule = "gauss",
        cells: Cells = None,
    ) -> Found:
        """The matrix.

        Args:
            batch: the pair.
            form: the mixed integral along a "path", the integrated "jacobian", or the "hessian" times both inputs.
            steps: how many points of the path, or steps.
            rule: where they are: "gauss" (Gauss-Legendre: exact with few points for smooth encoders), "midpoint",
                "left", "right"; or "secant", complete at every number of steps, for encoders of affine layers, ReLU and
                other elementwise functions, and max pooling.
            cells: a coarser grid of parts for images, as (28, 28).

        Raises:
            ValueError: if the model is not factored, or its embeddings carry no gradient.
        """
        refuse_black_box(batch, type(self).__name__)
        batch = batch if self._holds_modules else batch.in_float32()
        if form == "hessian":
            rule, steps = "right", 1  # the one point is the item itself
        lines = self._lines(batch, cells)
        return self._result(batch, lines, integral(batch, lines, rule, steps, detach_norms=form == "jacobian"))

    @property
    def _holds_modules(self) -> bool:
        """Whether the layer is not told by a name, which a copy of the model has, too."""
        names = self.layer if isinstance(self.layer, (tuple, list)) else (self.layer,)
        return not all(name is None or isinstance(name, str) for name in names)

    def _lines(self, batch: PairBatch, cells: Cells) -> tuple[Line, Line]:
        first, second = (input_line(Item.of(batch, side, cells, type(self).__name__)) for side in (0, 1))
        return first, second

    def _result(self, batch: PairBatch, lines: tuple[Line, Line], found: Integral) -> Found:
        first, second = (Item.of(batch, side, lines[side].parts.grid, type(self).__name__) for side in (0, 1))
        return result((first, second), found.matrix, found.value, gap=found.gap, reference=found.reference)


class PairLayerInteraction(PairInteraction):
    """:class:`PairInteraction` between the places of a layer's output: its cells, tokens or nodes.

    The references are the layer's outputs at the baselines. At the last convolution the rest of the encoder is nearly
    linear, and a few points suffice.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from xsiamese import PairLayerInteraction, SiameseModel
        >>> encoder = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> pair = torch.rand(1, 1, 8, 8), torch.rand(1, 1, 8, 8)
        >>> found = PairLayerInteraction(SiameseModel(encoder, "dot"), layer="1").explain(pair)
        >>> found.matrix.dense().shape  # 36 cells of a, 36 of b
        torch.Size([36, 36])
    """

    name = "layer_interaction"
    modalities = frozenset({"image", "series", "volume", "text", "graph"})
    needs_layer = True

    def _lines(self, batch: PairBatch, cells: Cells) -> tuple[Line, Line]:
        (ends, modules), (starts, _) = recorded(batch, self.layer, False), recorded(batch, self.layer, True)
        lines = []
        for side in (0, 1):
            channel = channel_of(batch, side, ends[side], self.layout, modules[side])
            parts = parts_of(ends[side], cells if ends[side].dim() == 4 else None, channel)
            lines.append(layer_line(batch, self.layer, side, starts[side], end=ends[side], parts=parts))
        return lines[0], lines[1]

    def _result(self, batch: PairBatch, lines: tuple[Line, Line], found: Integral) -> Found:
        places = tuple(map_places(batch, k, line.parts, line.end, self.layout) for k, line in enumerate(lines))
        maps = layer_maps(batch, (places[0], places[1]), found.matrix.marginals)
        return Found(maps, found.value, {"matrix": [found.matrix], "gap": found.gap, "reference": found.reference})


def input_line(item: Item) -> Line:
    """The path of one side at the input."""

    def begun(tensor: Tensor, begin: Callable[[], None]) -> Tensor:
        begin()
        return item.embed(tensor)

    return Line(begun, item.baseline.clone(), item.tensor, item.parts)


def layer_line(batch: PairBatch, layer: Layer, side: int, start: Tensor, *, end: Tensor, parts: Parts) -> Line:
    """The path of one side at the output of a layer."""

    def begun(tensor: Tensor, begin: Callable[[], None]) -> Tensor:
        return batch.tail_embedding(layer, side, tensor.clone(), begin)

    return Line(begun, start, end, parts)


def recorded(batch: PairBatch, layer: Layer, at_baselines: bool) -> tuple[tuple[Tensor, Tensor], LayerPair]:
    """The outputs of a layer for both items, or for their baselines, and the layer's module on either side.

    Raises:
        ValueError: if several layers are meant.
    """
    both = batch.one_sided("both")
    with both.record(layer) as recording, torch.no_grad():
        both.value(*(both.moved_baselines if at_baselines else both.moved))
    if len(recording.layers) > 1 and at_baselines:  # two that are equal do not tell a call of theirs from a bank's
        return (_at_baseline(batch, layer, 0), _at_baseline(batch, layer, 1)), recording.layers[0]
    if len(recording.layers) != 1:
        raise ValueError(f"a pair matrix is of one layer, called once a side, not of {len(recording.layers)}")
    first, second = recording.activations[0]
    batch.check_rows(layer, (first, second))
    return (first.detach(), second.detach()), recording.layers[0]


def _at_baseline(batch: PairBatch, layer: Layer, side: int) -> Tensor:
    """The output of a layer for the baseline of one side, by itself."""
    sides = [one.holding(start) for one, start in zip(batch.sides, batch.baselines, strict=True)]
    seen: list[Tensor] = []

    def note(output: Tensor) -> Tensor:
        seen.append(output.detach().clone())
        return output

    with torch.no_grad():
        replace(batch, a=sides[0], b=sides[1], witness=None).tail_embedding(layer, side, note)
    return seen[-1]


def map_places(batch: PairBatch, side: int, parts: Parts, output: Tensor, layout: SideLayout) -> Tensor:
    """The part of each place of a layer's map, (1, 1, ...), or (nodes, 1) for graphs."""
    number = parts.number
    return number if batch.sides[side].kind == "graph" else batch.places(side, output, None, layout).first(number)


def layer_maps(
    batch: PairBatch, places: tuple[Tensor, Tensor], marginals: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """Marginals as maps of one channel, each shared out over the places of its part; zeros for a side that is held.

    Args:
        batch: the pair.
        places: of :func:`map_places`.
        marginals: a value for each part.
    """
    maps = []
    for side, (at, values) in enumerate(zip(places, marginals, strict=True)):
        found = (values.flatten() / torch.bincount(at.flatten(), minlength=values.numel()))[at]
        maps.append(found if side in batch.objective.moving else torch.zeros_like(found))
    return maps[0], maps[1]


def refuse_black_box(batch: PairBatch, who: str) -> None:
    """Refuses an encoder without gradients and a model without encoders, and says what needs none.

    Raises:
        ValueError: if the model is one.
    """
    if not isinstance(batch.model, SiameseModel):
        raise ValueError(
            f"{who} needs a model that is factored into encoder and comparison, SiameseModel(encoder, comparison), and "
            f"{type(batch.model).__name__} is not: use PairMaskRegression with max_passes=, which asks for every "
            "mask of a with every mask of b"
        )
    if any(isinstance(module, BlackBoxEncoder) for module in batch.model.modules()):
        raise ValueError(f"{who} needs gradients, and this encoder only answers: use PairMaskRegression")
