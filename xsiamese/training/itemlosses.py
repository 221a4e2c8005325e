"""Losses of embeddings with the classes of their items: classifiers, learned centres, neighbours, and any of
pytorch-metric-learning.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xsiamese.model.pair import SiameseModel
from xsiamese.training.losses import Loss


class OnItems(Loss):
    """A loss of embeddings with the classes of their items."""

    kind = "items"

    @property
    def of_classes(self) -> bool:
        return any(True for _ in self.parameters())  # weights, centres or proxies of the classes

    @abstractmethod
    def of(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of embeddings, shape (items, dimensions), with their classes, shape (items,)."""

    def forward(self, model: SiameseModel, images: Any, labels: Tensor, classes: Tensor | None = None) -> Tensor:
        return self.of(model.encode(images), labels)


class Classification(OnItems):
    """Cross entropy of a linear classifier on the embedding. The classifier is trained with the encoder and left
    behind.

    Args:
        dimensions: of the embedding.
        classes: how many.
        radius: starts the weights of the classes as evenly spread directions in the first two dimensions, of this
            length, and the biases at zero. Short weights need long embeddings, and while those grow, distances along a
            ray are as large as those between classes; long ones let the embedding settle soon. None starts as PyTorch
            does.
        order: the classes around the circle, best so that neighbours look alike; a random order if left out.
    """

    def __init__(self, dimensions: int, classes: int, radius: float | None = None, order: Tensor | None = None) -> None:
        super().__init__()
        self.classifier = nn.Linear(dimensions, classes)
        if radius is not None:
            with torch.no_grad():
                self.classifier.weight[torch.randperm(classes) if order is None else order, :2] = radius * _circle(
                    classes
                )
                self.classifier.bias.zero_()

    def of(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.classifier(embeddings), labels)


class Centres(OnItems):
    r"""Cross entropy of :math:`\mathrm{softmax}_c(-|z - \mu_c|^2)` with learned class centres, prototypes as in
    :cite:`snell2017`.

    Args:
        dimensions: of the embedding.
        classes: how many.
        spread: the standard deviation of the first centres; small, so that they can still change places.
        radius: starts them on a circle of this radius in the first two dimensions instead, in the order of the classes.
    """

    def __init__(self, dimensions: int, classes: int, spread: float = 0.5, radius: float | None = None) -> None:
        super().__init__()
        start = spread * torch.randn(classes, dimensions)
        if radius is not None:
            start = torch.cat([radius * _circle(classes), start[:, 2:]], 1)
        self.centres = nn.Parameter(start)

    def of(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(-(embeddings[:, None] - self.centres).square().sum(2), labels)


class ItemLoss(OnItems):
    """A loss of pytorch-metric-learning on labelled items, all pairs of a batch: ``ItemLoss(SupConLoss())``."""

    def __init__(self, loss: Any) -> None:
        super().__init__()
        self.loss = loss

    def of(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        return cast(Tensor, self.loss(embeddings, labels))


class Neighbours(OnItems):
    r"""Neighbourhood component analysis (:cite:`goldberger2004`): :math:`-\log p_i`, where :math:`p_i` is the chance
    that item i picks a neighbour
    of its class by :math:`\mathrm{softmax}_j(-|z_i - z_j|^2)`.

    In logarithms throughout: pytorch-metric-learning's NCALoss drops the items whose chance underflows, which are those
    to be learned.
    """

    def of(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        itself = torch.eye(len(embeddings), dtype=torch.bool, device=embeddings.device)
        chance = (-(embeddings[:, None] - embeddings).square().sum(2)).masked_fill(itself, -torch.inf).log_softmax(1)
        same = (labels[:, None] == labels) & ~itself
        paired = same.any(1)
        return -chance.masked_fill(~same, -torch.inf)[paired].logsumexp(1).sum() / paired.sum().clamp(min=1)


class Sum(OnItems):
    """The sum of losses of items; the items are encoded once."""

    def __init__(self, *parts: OnItems) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def of(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        return torch.stack([cast(OnItems, part).of(embeddings, labels) for part in self.parts]).sum()


def _circle(count: int) -> Tensor:
    """Points evenly spread on the unit circle, shape (count, 2)."""
    angle = torch.arange(count) * (2 * torch.pi / count)
    return torch.stack([angle.cos(), angle.sin()], 1)
