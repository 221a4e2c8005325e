"""What a trained pair model is worth: decisions, ranking, neighbours and one-shot accuracy, on fixed pairs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from xsiamese.branches.intact import intact
from xsiamese.data.items import Items
from xsiamese.data.pairs import Pairs, fixed_pairs
from xsiamese.model.decision import Decision
from xsiamese.model.pair import PairModel, SiameseModel, TwoInputModel
from xsiamese.pairs.calibration import calibrate, equal_error_rate
from xsiamese.training.inputs import Images, Ready
from xsiamese.zoo.cards import Preprocessing


def embed(model: SiameseModel, images: Tensor, preprocessing: Preprocessing, batch: int = 500) -> Tensor:
    """The embeddings of images given as bytes, shape (items, dimensions), on the CPU."""
    return _encoded(model, torch.split(images, batch), Images(preprocessing))


def embeddings(model: PairModel, items: Items, ready: Ready, batch: int = 500) -> Tensor:
    """The embeddings of items, shape (items, dimensions), on the CPU; ``ready`` makes them the model's input."""
    return _encoded(model, (items.gather(index) for index in torch.split(torch.arange(len(items)), batch)), ready)


def _encoded(model: Any, parts: Iterable[Any], ready: Ready) -> Tensor:
    device = next(model.parameters()).device
    ready = ready.to(device)
    with intact(model), torch.no_grad():
        return torch.cat([model.encode(ready(part.to(device))).flatten(1).cpu() for part in parts])


def pair_scores(model: PairModel, items: Items, pairs: Pairs, ready: Ready, batch: int = 256) -> Tensor:
    """The scores of pairs of items by a model that is not factored, larger for closer, shape (pairs,), on the CPU."""
    device = next(model.parameters()).device
    ready = ready.to(device)
    found = []
    with intact(model), torch.no_grad():
        for a, b in zip(torch.split(pairs.a, batch), torch.split(pairs.b, batch), strict=True):
            found.append(model.explained(*(ready(items.gather(side).to(device)) for side in (a, b))).cpu())
    return model.closeness(torch.cat(found))


def closeness(model: SiameseModel, z_a: Tensor, z_b: Tensor) -> Tensor:
    """The unclamped score of pairs of embeddings, larger for closer."""
    import warnings

    comparison = model.comparison
    device = next(iter(comparison.parameters()), z_a).device
    with torch.no_grad(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the distance of .* is clamped")
        parts = [
            comparison.explained(a.to(device), b.to(device)).cpu()
            for a, b in zip(torch.split(z_a, 4096), torch.split(z_b, 4096), strict=True)
        ]
    return model.closeness(torch.cat(parts))


def evaluate(
    model: PairModel,
    train: Items,
    test: Items,
    preprocessing: Preprocessing | Ready,
    *,
    calibration: Items | None = None,
    pairs: tuple[Pairs, Pairs] | None = None,
    count: int = 20_000,
    neighbours: int = 5,
    seed: int = 0,
    noun: str = "images",
) -> dict[str, Any]:
    """Sets the threshold of the model's comparison and measures it on test pairs.

    Args:
        model: what is measured; of a model that is not factored, every pair is scored by itself.
        train: its items are the neighbours.
        test: items that the model has not seen.
        preprocessing: of both: of images, or what makes them the model's input.
        calibration: where the threshold is found (equal error rate); the training items by default.
        pairs: calibration and test pairs; ``count`` fixed ones of each, half of them same, by default.
        count: how many pairs.
        neighbours: k of the nearest-neighbour accuracy.
        seed: of the fixed pairs.
        noun: how the items are called in the result.

    Returns:
        What JSON can hold: accuracy at the threshold (the mean of both kinds of pairs, so that their numbers do not
            matter), confusion matrix
        (rows different, same; columns called different, same), ROC-AUC of the score and of the Euclidean distance,
        equal error rate of the
        test pairs, nearest-neighbour accuracy (not for a table of pairs), for at most 500 test images the 95 %
        confidence interval of the
        ROC-AUC, numbers of pairs and images. Without what needs an embedding for a model that is not factored.
    """
    ready = Images(preprocessing) if isinstance(preprocessing, Preprocessing) else preprocessing
    held = train if calibration is None or not len(calibration) else calibration
    chosen = pairs or (fixed_pairs(held.labels, count, seed + 1), fixed_pairs(test.labels, count, seed + 2))
    about = {"on": f"{'training' if held is train else 'validation'} {noun}"}
    if not isinstance(model, SiameseModel):
        return _evaluated(model, held, test, ready, chosen, about) | {
            f"train_{noun}": len(train),
            f"test_{noun}": len(test),
        }
    z_train, z_test = (embeddings(model, part, ready) for part in (train, test))
    z_held = z_train if held is train else embeddings(model, held, ready)
    found = calibrate(
        SiameseModel(nn.Identity(), model.comparison), z_held[chosen[0].a], z_held[chosen[0].b], chosen[0].same
    )
    return {
        **pair_metrics(model, z_test, chosen[1], found.threshold),
        **(
            {}
            if train is test
            else {
                f"{neighbours}_nn_accuracy": neighbour_accuracy(z_train, train.labels, z_test, test.labels, neighbours)
            }
        ),
        **(
            {}
            if pairs or len(test) > 500
            else {
                "roc_auc_interval": auc_interval(closeness(model, *(z_test[i] for i in chosen[1][:2])), chosen[1], seed)
            }
        ),
        "calibration": {"eer": found.eer, "pairs": found.same + found.different, **about},
        f"train_{noun}": len(train),
        f"test_{noun}": len(test),
        "dimensions": z_test.shape[1],
    }


def _evaluated(
    model: PairModel, held: Items, test: Items, ready: Ready, chosen: tuple[Pairs, Pairs], about: dict[str, str]
) -> dict[str, Any]:
    """Calibrates and measures a model that is not factored."""
    scores = [
        pair_scores(model, items, pairs, ready)[:, None] for items, pairs in zip((held, test), chosen, strict=True)
    ]
    found = calibrate(lambda a, b: a[:, 0], scores[0], scores[0], chosen[0].same)
    threshold = model.closeness(found.threshold)
    if isinstance(model, TwoInputModel) and model.comparison is not None:
        model.comparison.threshold_ = threshold
    calibration = {"eer": found.eer, "pairs": found.same + found.different, **about}
    return {
        "threshold": threshold,
        **decisions(scores[1][:, 0], chosen[1].same, model.decision(threshold)),
        "calibration": calibration,
    }


def pair_metrics(model: SiameseModel, embeddings: Tensor, pairs: Pairs, threshold: float) -> dict[str, Any]:
    """Accuracy at the threshold, confusion matrix, ROC-AUC and equal error rate of pairs of embeddings."""
    from torchmetrics.functional.classification import binary_auroc

    z_a, z_b, same = embeddings[pairs.a], embeddings[pairs.b], pairs.same
    found = decisions(closeness(model, z_a, z_b), same, model.decision(threshold))
    distance = (z_a - z_b).square().sum(1).sqrt()
    return {"threshold": threshold, **found, "roc_auc_distance": float(binary_auroc(ranked(-distance), same.int()))}


def decisions(score: Tensor, same: Tensor, decision: Decision) -> dict[str, Any]:
    """Accuracy, ROC-AUC, equal error rate and confusion matrix of scores, larger for closer."""
    from torchmetrics.functional.classification import binary_auroc, binary_confusion_matrix

    alike = decision.alike(score)
    eer, _ = equal_error_rate(score, same)
    return {
        "accuracy": float((alike[same].double().mean() + (~alike[~same]).double().mean()) / 2),
        "roc_auc": float(binary_auroc(ranked(score), same.int())),
        "eer": eer,
        "confusion": binary_confusion_matrix(alike.int(), same.int()).tolist(),
        "test_pairs": len(same),
    }


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


def table(metrics: Mapping[str, Any]) -> str:
    """The metrics as text, one a line."""
    lines = []
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            value = ", ".join(f"{k} {v:.4f}" if isinstance(v, float) else f"{k} {v}" for k, v in value.items())
        if isinstance(value, tuple):
            value = " to ".join(f"{v:.4f}" for v in value)
        lines.append(
            f"{name.replace('_', ' '):<24}{value:.4f}"
            if isinstance(value, float)
            else f"{name.replace('_', ' '):<24}{value}"
        )
    return "\n".join(lines) + "\n"
