"""What a trained pair model is worth: decisions, ranking, neighbours and one-shot accuracy, on fixed pairs."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from xsiamese.branches.intact import intact
from xsiamese.data.items import Items
from xsiamese.data.pairs import Pairs, fixed_pairs
from xsiamese.model.comparison import one_each
from xsiamese.model.pair import PairModel, SiameseModel, TwoInputModel
from xsiamese.pairs.calibration import Calibration, calibrate, supported
from xsiamese.training.inputs import Images, Ready
from xsiamese.training.quality import auc_interval, decisions, distance_auc, neighbour_accuracy
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


class Scored:
    """How close a model finds pairs of items: of a factored model every item is encoded once.

    Args:
        model: on whose comparison the threshold is set.
        ready: makes the items the model's input.
    """

    def __init__(self, model: PairModel, ready: Ready, batch: int = 256) -> None:
        self.model, self.ready, self.batch = model, ready, batch
        self._encoded: dict[int, tuple[Items, Tensor]] = {}  # with the items, so that no other ones get their id

    def embeddings(self, items: Items) -> Tensor:
        """Of all items, shape (items, dimensions)."""
        if id(items) not in self._encoded:
            self._encoded[id(items)] = items, embeddings(self.model, items, self.ready)
        return self._encoded[id(items)][1]

    def closeness(self, items: Items, pairs: Pairs) -> Tensor:
        """The unclamped score of pairs of items, larger for closer, shape (pairs,), on the CPU.

        Raises:
            FloatingPointError: if a score is not finite.
        """
        if isinstance(self.model, SiameseModel):
            z = self.embeddings(items)
            found = closeness(self.model, z[pairs.a], z[pairs.b])
        else:
            found = pair_scores(self.model, items, pairs, self.ready, self.batch)
        if wrong := int((~torch.isfinite(found)).sum()):
            raise FloatingPointError(
                f"the trained network's score is not finite for {wrong} of {len(found)} pairs: its training has "
                "diverged; try a smaller lr or gradient clipping"
            )
        return found

    def calibrated(self, items: Items, pairs: Pairs, on: str) -> Calibration:
        """Sets the model's threshold where both error rates of these pairs are equal."""
        close = self.closeness(items, pairs)[:, None]
        try:
            found = calibrate(lambda a, b: a[:, 0], close, close, pairs.same)
        except ValueError as error:
            raise ValueError(f"the threshold cannot be found on {on}: {error}") from error
        self.threshold = self.model.closeness(found.threshold)
        if isinstance(self.model, (SiameseModel, TwoInputModel)) and self.model.comparison is not None:
            self.model.comparison.threshold_ = self.threshold
        return found

    def metrics(self, items: Items, pairs: Pairs) -> dict[str, Any]:
        """What the decision at the threshold, and the score, are worth on these pairs."""
        found = decisions(self.closeness(items, pairs), pairs.same, self.model.decision(self.threshold))
        plain = {}
        if isinstance(self.model, SiameseModel):
            z = self.embeddings(items)
            plain = {"roc_auc_distance": distance_auc(z[pairs.a], z[pairs.b], pairs.same)}
        return {"threshold": self.threshold, **found, **plain}

    def interval(self, items: Items, pairs: Pairs, seed: int) -> dict[str, Any]:
        """The interval of the ROC-AUC."""
        if not isinstance(self.model, SiameseModel):
            return {}
        return {"roc_auc_interval": auc_interval(self.closeness(items, pairs), pairs, seed)}

    def nearest(self, train: Items, items: Items, neighbours: int) -> dict[str, float]:
        """The accuracy of a vote of the nearest training items."""
        if not isinstance(self.model, SiameseModel):
            return {}
        z_train, z = self.embeddings(train), self.embeddings(items)
        found = neighbour_accuracy(z_train, train.labels, z, items.labels, neighbours)
        return {f"{neighbours}_nn_accuracy": found}

    def size(self, items: Items) -> dict[str, int]:
        """How many numbers an embedding has."""
        return {"dimensions": self.embeddings(items).shape[1]} if isinstance(self.model, SiameseModel) else {}


def pair_scores(model: PairModel, items: Items, pairs: Pairs, ready: Ready, batch: int = 256) -> Tensor:
    """The scores of pairs of items by a model that is not factored, larger for closer, shape (pairs,), on the CPU."""
    device = next(model.parameters()).device
    ready = ready.to(device)
    found = []
    with intact(model), torch.no_grad():
        for a, b in zip(torch.split(pairs.a, batch), torch.split(pairs.b, batch), strict=True):
            found.append(one_each(model.explained(*(ready(items.gather(side).to(device)) for side in (a, b)))).cpu())
    return model.closeness(torch.cat(found))


def closeness(model: SiameseModel, z_a: Tensor, z_b: Tensor) -> Tensor:
    """The unclamped score of pairs of embeddings, larger for closer."""
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
    seen: Items | None = None,
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
        seen: where ``test`` holds classes that the model was not trained on, further items of those that it was: they
            are measured at the same threshold.
        pairs: calibration and test pairs; ``count`` fixed ones of each, half of them same, by default.
        count: how many pairs.
        neighbours: k of the nearest-neighbour accuracy.
        seed: of the fixed pairs.
        noun: how the items are called in the result.

    Returns:
        What JSON can hold: whether the test classes were trained on; accuracy at the threshold (the mean of both kinds
        of pairs, so that their numbers do not matter), false acceptance and rejection rates with their 95 % Wilson
        intervals, confusion matrix (rows different, same; columns called different, same), ROC-AUC of the score and of
        the Euclidean distance, equal error rate of the test pairs, nearest-neighbour accuracy (of classes that were
        trained on, not for a table of pairs), for at most 500 test images the 95 % confidence interval of the ROC-AUC,
        the same of ``seen``, on what the threshold stands, numbers of pairs and images. Without what needs an embedding
        for a model that is not factored.

    Raises:
        FloatingPointError: if the model's scores are not finite: its training has diverged.
    """
    ready = Images(preprocessing) if isinstance(preprocessing, Preprocessing) else preprocessing
    held = train if calibration is None or not len(calibration) else calibration
    first, second = pairs or (fixed_pairs(held.labels, count, seed + 1), fixed_pairs(test.labels, count, seed + 2))
    scored = Scored(model, ready)
    on = f"{'training' if held is train else 'validation'} {noun}"
    found = scored.calibrated(held, first, on)
    few = support(found, on, None if pairs else len(torch.unique(held.labels)))
    unseen = not bool(torch.isin(test.labels, train.labels).any())
    told = {} if pairs else {"test_classes": "not seen in training" if unseen else "seen in training"}
    interval = pairs is None and len(test) <= 500
    about = {**told, **scored.metrics(test, second), **(scored.interval(test, second, seed) if interval else {})}
    if not unseen and pairs is None:
        about |= scored.nearest(train, test, neighbours)
    if seen is not None:
        about["seen_classes"] = scored.metrics(seen, fixed_pairs(seen.labels, count, seed + 3))
        about["seen_classes"] |= scored.nearest(train, seen, neighbours)
    return {
        **about,
        "calibration": {"eer": found.eer, "pairs": found.same + found.different, "on": on, **few},
        f"train_{noun}": len(train),
        f"test_{noun}": len(test),
        **scored.size(test),
    }


def support(found: Calibration, on: str, classes: int | None = None) -> dict[str, Any]:
    """What error rates the pairs behind a threshold can support, with a warning where that is more than 1 %."""
    far, frr = supported(found.different), supported(found.same)
    if max(far, frr) > 0.01:
        of = "" if classes is None else f" of {classes} classes"
        warnings.warn(
            f"the threshold stands on {found.different} different and {found.same} same pairs ({on}{of}): "
            f"FAR below {far:.1%} and FRR below {frr:.1%} cannot be supported",
            stacklevel=3,
        )
    counted = {} if classes is None else {"classes": classes}
    return {**counted, "least_far": far, "least_frr": frr}


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
