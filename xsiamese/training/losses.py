"""Losses: the textbook ones on pairs and triplets, and any loss of pytorch-metric-learning on pairs by an adapter."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xsiamese.data.batches import Apart, Kind
from xsiamese.model.comparison import one_each, safe_sqrt
from xsiamese.model.pair import PairModel, SiameseModel


class Loss(nn.Module, ABC):
    """What training minimises.

    A loss gets the model, the sides of a batch below each other (all a, then all b), the labels, and the class of every
    image where it is known. It may have parameters of its own, which are trained with the model's.

    Attributes:
        kind: the batches that it needs: "items", "pairs" or "triplets".
        embeddings: whether it needs the model's embeddings, or its scores only, so that any two-input model can learn
            by it.
    """

    kind: ClassVar[Kind]
    embeddings: ClassVar[bool] = True

    @property
    def of_classes(self) -> bool:
        """Whether it knows the training classes one by one, so that items of other classes have no loss."""
        return False

    @abstractmethod
    def forward(self, model: SiameseModel, images: Any, labels: Tensor, classes: Tensor | None = None) -> Tensor:
        """The mean loss of the batch, a scalar."""


class Contrastive(Loss):
    r"""Contrastive loss (:cite:`hadsell2006`): :math:`\tfrac12 [y d^2 + (1 - y) \max(0, m - d)^2]`, with y = 1 for the
    same and d the distance.

    pytorch-metric-learning's ContrastiveLoss has no squares and averages the non-zero terms only: another loss of that
    name.

    Args:
        margin: m, in the units of the distance.
        factor: 1/2 as published, 1 for Livieris et al. 2023.
        within: compares every image of a batch with every other one, same and different pairs in equal weight, where
            classes are known: the encoder does the same work, and n pairs become n (2 n - 1). False takes the given
            pairs only.

    Example:
        >>> loss = Contrastive(margin=2.0)
        >>> float(loss.of(torch.tensor([1.0, 1.0]), torch.tensor([1.0, 0.0])))
        0.5
    """

    kind = "pairs"

    def __init__(self, margin: float = 1.0, factor: float = 0.5, within: bool = False) -> None:
        super().__init__()
        self.margin, self.factor, self.within = margin, factor, within

    def of(self, distance: Tensor, same: Tensor) -> Tensor:
        """The loss of these distances, shape (pairs,), and labels."""
        return self.factor * torch.where(same > 0.5, distance.square(), F.relu(self.margin - distance).square()).mean()

    def forward(self, model: SiameseModel, images: Any, labels: Tensor, classes: Tensor | None = None) -> Tensor:
        # The comparison may be clamped (Livieris), which would leave no gradient beyond its limit: the plain distance
        # is learned.
        embedding = model.encode(images)
        if not self.within or classes is None:
            z_a, z_b = embedding.chunk(2)
            return self.of(_distance(z_a, z_b), labels)
        a, b = torch.triu_indices(len(embedding), len(embedding), 1, device=embedding.device)
        distance, same = _distance(embedding[a], embedding[b]), classes[a] == classes[b]
        return torch.stack(
            [self.of(distance[kind], same[kind].float()) for kind in (same, ~same) if bool(kind.any())]
        ).mean()


class BinaryCrossEntropy(Loss):
    r"""Cross entropy of the pair's logit (:cite:`koch2015`): :math:`-y \log \sigma(s) - (1 - y) \log(1 -
    \sigma(s))`.
    """

    kind = "pairs"
    embeddings = False

    def forward(self, model: PairModel, images: Any, labels: Tensor, classes: Tensor | None = None) -> Tensor:
        score = _scores(model, images)
        return F.binary_cross_entropy_with_logits(model.closeness(score), labels.to(score))


class Logistic(Loss):
    r"""Cross entropy of a line on the score, :math:`\sigma(w s + c)` with w > 0 and c learned: for any comparison and
    any two-input model.

    Where classes are known and the model encodes its sides one by one, all items of a batch are compared with each
    other, same and different pairs in equal weight. w and c are left behind: the threshold is calibrated.
    """

    kind = "pairs"
    embeddings = False

    def __init__(self, scale: float = 5.0, shift: float = 0.0) -> None:
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.tensor(scale).log()), nn.Parameter(torch.tensor(shift))

    def of(self, score: Tensor, same: Tensor) -> Tensor:
        """The loss of scores, larger for closer, and labels, shape (pairs,) each."""
        losses = F.binary_cross_entropy_with_logits(
            self.scale.exp() * score + self.shift, same.to(score), reduction="none"
        )
        return torch.stack([losses[kind].mean() for kind in (same > 0.5, same <= 0.5) if bool(kind.any())]).mean()

    def forward(self, model: PairModel, images: Any, labels: Tensor, classes: Tensor | None = None) -> Tensor:
        if classes is None or not isinstance(model, SiameseModel):
            score, same = _scores(model, images), labels
        else:
            embedding = model.encode(images)
            a, b = torch.triu_indices(len(embedding), len(embedding), 1, device=embedding.device)
            score, same = model.comparison.explained(embedding[a], embedding[b]), (classes[a] == classes[b]).float()
        return self.of(model.closeness(score), same)


class Graded(Loss):
    r"""Mean squared error of a pair's similarity where it is known how alike the two are, :math:`(t - \hat s)^2` with t
    in [0, 1] (:cite:`bai2019`).

    :math:`\hat s` is the score of a similarity, and :math:`e^{-s}` of a distance.
    """

    kind = "pairs"
    embeddings = False

    def forward(self, model: PairModel, images: Any, labels: Tensor, classes: Tensor | None = None) -> Tensor:
        score = model.reported(_scores(model, images))
        return F.mse_loss(similarity(score, model.higher_is_closer), labels.to(score))


class AllPairs(Loss):
    """Cross entropy of the logits of all pairs within a batch of items, same and different ones in equal weight.

    A batch of n items is encoded once and gives n (n - 1) / 2 pairs: for encoders that cost far more than their
    comparison.
    """

    kind = "items"

    def forward(self, model: SiameseModel, images: Any, labels: Tensor, classes: Tensor | None = None) -> Tensor:
        embedding = model.encode(images)
        a, b = torch.triu_indices(len(embedding), len(embedding), 1, device=embedding.device)
        score = one_each(model.compare(embedding[a], embedding[b]))
        same = labels[a] == labels[b]
        losses = F.binary_cross_entropy_with_logits(model.closeness(score), same.to(score), reduction="none")
        parts = [losses[side].mean() for side in (same, ~same) if bool(side.any())]
        return torch.stack(parts).mean()


class Triplet(Loss):
    r"""Triplet loss (:cite:`schroff2015`) :math:`\max(0, d(a, p) - d(a, n) + m)` on Euclidean distances.

    Args:
        margin: m, in the units of the distance.
        within: takes all triplets that the images of a batch make, where classes are known, as the paper does, which
            forms triplets in the batch: the encoder does the same work. Larger batches are taken in groups of 32 rows,
            because triplets grow with the third power. False takes the given triplets only.
    """

    kind = "triplets"

    def __init__(self, margin: float = 1.0, within: bool = False) -> None:
        super().__init__()
        self.margin, self.within = margin, within

    def forward(self, model: SiameseModel, images: Any, labels: Tensor, classes: Tensor | None = None) -> Tensor:
        embedding = model.encode(images)
        if not self.within or classes is None:
            anchors, positives, negatives = embedding.chunk(3)
            return F.triplet_margin_loss(anchors, positives, negatives, margin=self.margin)
        groups = torch.split(torch.arange(len(embedding), device=embedding.device).view(3, -1), 32, 1)
        parts = torch.stack(
            [self.among(embedding[group.flatten()], classes[group.flatten()]) * group.shape[1] for group in groups]
        )
        return parts.sum() / (len(embedding) // 3)

    def among(self, embedding: Tensor, classes: Tensor) -> Tensor:
        """The mean over all triplets of these embeddings, shape (items, dimensions)."""
        n = len(embedding)
        distance = _distance(embedding.repeat_interleave(n, 0), embedding.repeat(n, 1)).view(n, n)
        same = classes[:, None] == classes
        # every ordered pair of one class is anchor and positive; against all of other classes
        anchor, positive = (same & ~torch.eye(n, dtype=torch.bool, device=same.device)).nonzero().T
        other = ~same[anchor]
        return (
            F.relu(distance[anchor, positive][:, None] - distance[anchor] + self.margin) * other
        ).sum() / other.sum().clamp(min=1)


class Evidence(Loss):
    """The negative evidence lower bound of a variational autoencoder (:cite:`kingma2014`), in nats an image:
    reconstruction + KL divergence.
    """

    kind = "items"

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low, self.high = low, high

    def forward(self, model: SiameseModel, images: Any, labels: Tensor, classes: Tensor | None = None) -> Tensor:
        from xsiamese.zoo.image import VAE

        if not isinstance(model, VAE):
            raise TypeError(f"the evidence loss needs a VAE, not {type(model).__name__}")
        mean, log_variance = model.encoder.posterior(images)
        code = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        pixels = ((images - self.low) / (self.high - self.low)).clamp(0, 1)
        seen = F.binary_cross_entropy_with_logits(model.decoder(code), pixels, reduction="sum")
        divergence = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum()
        return (seen + divergence) / len(images)


class PairLoss(Loss):
    """A loss of pytorch-metric-learning on given pairs.

    Its losses take labels of items; fixed pairs go in by ``indices_tuple`` and ``ref_emb``, which is what this does.

    Args:
        loss: an instance of a pair-based loss, for example ``ContrastiveLoss()``.

    Example:
        >>> from pytorch_metric_learning.losses import ContrastiveLoss
        >>> z_a, z_b = torch.eye(2), torch.eye(2)
        >>> float(PairLoss(ContrastiveLoss()).of(z_a, z_b, torch.tensor([True, True])))
        0.0
    """

    kind = "pairs"

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def of(self, z_a: Tensor, z_b: Tensor, same: Tensor) -> Tensor:
        """The loss of these embeddings, shape (pairs, dimensions) each, and labels, shape (pairs,)."""
        p, n = ((same > 0.5) == wanted for wanted in (True, False))
        positive, negative = p.nonzero().flatten(), n.nonzero().flatten()
        return cast(Tensor, self.loss(z_a, indices_tuple=(positive, positive, negative, negative), ref_emb=z_b))

    def forward(self, model: SiameseModel, images: Any, labels: Tensor, classes: Tensor | None = None) -> Tensor:
        z_a, z_b = model.encode(images).chunk(2)
        return self.of(z_a, z_b, labels)


def similarity(score: Tensor, higher_is_closer: bool) -> Tensor:
    """A score as a similarity whose largest value is that of equal items: itself, or exp(-score) of a distance."""
    return score if higher_is_closer else (-score).exp()


def _scores(model: PairModel, inputs: Any) -> Tensor:
    """The scores of pairs whose sides lie below each other, or, unsaturated, of those that are given apart."""
    if isinstance(inputs, Apart):
        return one_each(model.explained(*inputs))
    assert isinstance(model, SiameseModel)
    return one_each(model.compare(*model.encode(inputs).chunk(2)))


def _distance(z_a: Tensor, z_b: Tensor) -> Tensor:
    """The Euclidean distance, with gradient 0 where it is 0, and NaN of what is NaN."""
    return safe_sqrt((z_a - z_b).square().sum(1))
