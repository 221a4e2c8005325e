"""What scores of labelled pairs are worth: decisions at a threshold, areas and rates with intervals, neighbours."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from xsiamese.data.pairs import Pairs
from xsiamese.model.decision import Decision
from xsiamese.pairs.calibration import equal_error_rate, wilson


def decisions(score: Tensor, same: Tensor, decision: Decision) -> dict[str, Any]:
    """Accuracy, ROC-AUC, equal error rate and confusion matrix of scores, larger for closer."""
    from torchmetrics.functional.classification import binary_auroc, binary_confusion_matrix

    alike = decision.alike(score)
    accepted, rejected, different, held = (
        int(count) for count in (alike[~same].sum(), (~alike[same]).sum(), (~same).sum(), same.sum())
    )
    eer, _ = equal_error_rate(score, same)
    return {
        "accuracy": float((alike[same].double().mean() + (~alike[~same]).double().mean()) / 2),
        "far": accepted / different,
        "far_interval": wilson(accepted, different),
        "frr": rejected / held,
        "frr_interval": wilson(rejected, held),
        "roc_auc": float(binary_auroc(ranked(score), same.int())),
        "eer": eer,
        "confusion": binary_confusion_matrix(alike.int(), same.int()).tolist(),
        "test_pairs": len(same),
    }


def distance_auc(z_a: Tensor, z_b: Tensor, same: Tensor) -> float:
    """The ROC-AUC of the plain Euclidean distance of embeddings, shape (pairs, dimensions) each."""
    from torchmetrics.functional.classification import binary_auroc

    return float(binary_auroc(ranked(-(z_a - z_b).square().sum(1).sqrt()), same.int()))


def ranked(score: Tensor) -> Tensor:
    """The ranks of scores in (0, 1): torchmetrics squeezes anything else through a sigmoid, which ties large scores."""
    values, place = torch.unique(score.double(), return_inverse=True)
    ranks: Tensor = (place.double() + 0.5) / len(values)
    return ranks


def auc_interval(
    score: Tensor, pairs: Pairs, seed: int = 0, resamples: int = 1000, level: float = 0.95
) -> tuple[float, float]:
    """The bootstrap confidence interval of the ROC-AUC over images: pairs that share an image are not independent.

    A resample draws as many images with replacement as there are; a pair counts as often as the product of its two
    images' draws.
    """
    items = int(max(pairs.a.max(), pairs.b.max())) + 1
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(items, (resamples, items), generator=generator)
    times = torch.zeros(resamples, items).scatter_add_(1, drawn, torch.ones(resamples, items))
    parts = torch.split(times, 100)
    found = torch.cat([_weighted_auc(score, pairs.same, part[:, pairs.a] * part[:, pairs.b]) for part in parts])
    limits = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.float64)
    low, high = torch.quantile(found[torch.isfinite(found)], limits).tolist()
    return low, high


def _weighted_auc(score: Tensor, same: Tensor, weights: Tensor) -> Tensor:
    """The ROC-AUC for each row of weights of the pairs, NaN where all same or all different pairs weigh nothing."""
    values, place = torch.unique(score, return_inverse=True)
    weight = weights.double()
    apart = weight.new_zeros(len(weights), len(values)).index_add_(1, place[~same], weight[:, ~same])
    below = apart.cumsum(1) - apart / 2  # a tie counts half
    return (weight[:, same] * below[:, place[same]]).sum(1) / (weight[:, same].sum(1) * weight[:, ~same].sum(1))


def neighbour_accuracy(z_train: Tensor, train: Tensor, z_test: Tensor, test: Tensor, neighbours: int = 5) -> float:
    """The share of test items whose nearest training embeddings (Euclidean) vote for their class."""
    from sklearn.neighbors import KNeighborsClassifier

    classifier = KNeighborsClassifier(min(neighbours, len(z_train))).fit(z_train.numpy(), train.numpy())
    return float(classifier.score(z_test.numpy(), test.numpy()))
