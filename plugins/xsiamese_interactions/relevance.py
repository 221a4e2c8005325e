"""BiLRP: relevances of each dimension of both embeddings, multiplied."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from xsiamese.author import (
    AtLeast,
    Cells,
    Found,
    MatrixExplanation,
    PairAttribution,
    PairBatch,
    PairMatrix,
    RefusedDerivatives,
    refuse_scripted,
)
from xsiamese_interactions.gradients import refuse_black_box
from xsiamese_interactions.heads import joined, most
from xsiamese_interactions.items import Item, places_of, result
from xsiamese_interactions.tangents import jacobian

Favour = Annotated[float, AtLeast(0)]

LINEAR = {functional.linear, functional.conv1d, functional.conv2d, functional.conv3d, torch.conv1d, torch.conv2d}
STABLE = 1e-9


class Gamma(RefusedDerivatives):
    r"""Makes gradient times input the LRP-gamma rule: each linear layer gives :math:`\tilde z\, [z / \tilde z]`, the
    bracket a constant, with :math:`\tilde z` of the weights :math:`w + \gamma w^+`.

    Args:
        gamma: one for all layers, or one for each in the order in which they are called.
    """

    def __init__(self, gamma: float | Sequence[float]) -> None:
        super().__init__("LRP's rules")
        self.gamma = gamma
        self.calls = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        known = dict(kwargs or {})
        if func not in LINEAR:
            return super().__torch_function__(func, types, args, known)
        gamma, self.calls = self._next(), self.calls + 1
        plain: Tensor = func(*args, **known)
        names = ("input", "weight", "bias")
        given = {**dict(zip(names, args, strict=False)), **{k: known.pop(k) for k in names if k in known}}
        weight, bias = given["weight"], given.get("bias")
        bent: Tensor = func(
            given["input"],
            weight + gamma * weight.clamp_min(0),
            None if bias is None else bias + gamma * bias.clamp_min(0),
            *args[3:],
            **known,
        )
        stable = torch.where(bent >= 0, bent + STABLE, bent - STABLE)
        return bent * (plain / stable).detach()

    def _next(self) -> float:
        if isinstance(self.gamma, (int, float)):
            return float(self.gamma)
        if self.calls >= len(self.gamma):
            raise ValueError(f"gamma has {len(self.gamma)} values, and the encoder calls more linear layers")
        return float(self.gamma[self.calls])


class PairBiLRP(PairAttribution):
    r"""BiLRP: which pixel of a goes with which of b, by layer-wise relevance of each dimension of both embeddings.

    :math:`A = \sum_k \mathrm{LRP}(u_k)\, \mathrm{LRP}(v_k)^\top`, for a cosine with the norms as constants. On encoders
    of linear layers, convolutions and ReLUs without biases it sums to the score for any gamma; what biases, gates and
    other curves take, which are differentiated, is said as ``matrix.constant``. With gamma 0 and no biases it is the
    derivative times both inputs, ``PairInteraction(form="hessian")``.

    Example:
        >>> from xsiamese import PairBiLRP, SiameseModel
        >>> from torch import nn
        >>> encoder = nn.Sequential(nn.Linear(4, 8, bias=False), nn.ReLU(), nn.Linear(8, 3, bias=False))
        >>> found = PairBiLRP(SiameseModel(encoder)).explain((torch.rand(1, 4), torch.rand(1, 4)), gamma=0.5)
        >>> bool(torch.isclose(found.matrix.total, found.scores[0], atol=1e-4))
        True
    """

    name = "bilrp"
    cost = "one for each dimension of the embedding"
    formula = r"\sum_k \mathrm{LRP}(u_k)\, \mathrm{LRP}(v_k)^\top"
    reference = ("eberle2022", "bach2015")
    result: ClassVar[type[MatrixExplanation]] = MatrixExplanation
    takes_baselines = differentiable = False
    linear = True
    chunk = 1

    def compute(self, batch: PairBatch, *, gamma: Favour | Sequence[Favour] = 0.25, cells: Cells = None) -> Found:
        """The matrix.

        Args:
            batch: the pair.
            gamma: how much positive weights are favoured, one for all or one for each linear layer in order.
            cells: a coarser grid of parts for images, as (28, 28).

        Raises:
            ValueError: if the model or a part of it was scripted, traced or exported, and gamma is not 0.
        """
        refuse_black_box(batch, type(self).__name__)
        if gamma:  # rules are for what is called, which programs do out of sight
            refuse_scripted(batch.model)
        batch = batch.in_float32()
        items = Item.of(batch, 0, cells, type(self).__name__), Item.of(batch, 1, cells, type(self).__name__)
        u, v = (item.embed(item.tensor) for item in items)

        def relevances(item: Item) -> Tensor:
            def bent(tensor: Tensor) -> Tensor:
                with Gamma(gamma):
                    return item.embed(tensor)

            return jacobian(bent, item.tensor, item.tensor, item.parts)[1]

        left, right, middle = joined(batch, relevances(items[0]), relevances(items[1]), u, v)
        inner = PairMatrix(left, right, middle, places_of(items))
        value = batch.closeness(u, v)
        matrix = replace(inner, constant=float(value[0] - inner.total))
        return result(items, matrix, value, reference=most(matrix))
