"""How good a metric is: whether it tells explanations apart whose order is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xsiamese.data.planted import PlantedPairs
from xsiamese.explain.attribution import PairAttribution
from xsiamese.metrics.catalogue import chosen
from xsiamese.metrics.measure import batch_of, measured
from xsiamese.metrics.metric import Metric
from xsiamese.metrics.recipe import Recipe
from xsiamese.result.explanation import PairExplanation

GRADES = ("oracle", "oracle with noise 0.5", "oracle with noise 1.5", "random", "inverted")
_SHARES = (1.0, 1.0, 1.0, 0.0, -1.0)
_NOISE = (0.0, 0.5, 1.5, 1.0, 0.0)


@dataclass(frozen=True)
class MetaScore:
    """Whether a metric puts explanations in the order that is known.

    Attributes:
        metric: its name.
        means: of each of :data:`GRADES`, the best first.
        ordered: the share of resamples of the pairs in which every one is better than the next.
        pairs: how many there were.
        error: why there is no score, or "".
    """

    metric: str
    means: tuple[float, ...]
    ordered: float
    pairs: int
    error: str = ""

    @property
    def tells(self) -> bool:
        """Whether it can be relied on with this many pairs: the order is right in 95 % of the resamples."""
        return self.ordered >= 0.95


class Graded(PairAttribution):
    """An explainer that knows the truth and says a part of it: the truth, with noise, nothing of it, or its reverse.

    It takes the pairs that :meth:`of` was told.
    """

    name = "graded"
    formula = r"c\, t + \sigma \varepsilon"
    modalities = frozenset({"image", "row", "series", "text", "graph"})
    uses_gradients = False

    def of(self, pairs: PlantedPairs, grade: int, seed: int = 0) -> Graded:
        """This explainer for these pairs, at one of the :data:`GRADES`."""
        self._truths: list[tuple[Any, Any]] = [(pairs.inputs, pairs.truth)]
        if pairs.others is not None:
            nothing = torch.zeros_like(pairs.truth[1])
            self._truths.append(((pairs.a, pairs.others), (pairs.other_truth, nothing)))
            self._truths.append(((pairs.a, pairs.twins), (pairs.truth[0], nothing)))
        self._grade, self._seed = grade, seed
        return self

    def compute(self, batch: Any, **options: Any) -> Any:
        raise NotImplementedError("it explains the pairs that it was told only")

    def explain(self, inputs: Any, target: Any = None, **options: Any) -> PairExplanation:
        """What it says of the pairs it knows."""
        truth = next((t for known, t in self._truths if known[1] is inputs[1]), None)
        if truth is None:
            raise ValueError("this explainer knows the truth of its own pairs only, and of their partners")
        # numpy's stream, so that fewer pairs get the same noise; another seed for each partner
        generator = np.random.default_rng([self._seed, *(int(abs(float(t.float().sum()))) for t in truth)])
        maps = tuple(self._map(t, item, generator) for t, item in zip(truth, inputs, strict=True))
        return PairExplanation(maps=maps, inputs=inputs, scores=self.scores(inputs), method=GRADES[self._grade])

    def _map(self, truth: Any, item: Any, generator: Any) -> Any:
        noise = torch.from_numpy(generator.standard_normal(tuple(truth.shape)))
        found = _SHARES[self._grade] * truth.double() + _NOISE[self._grade] * noise
        if hasattr(item, "edge_index"):
            from torch_geometric.explain import Explanation

            return Explanation(**item.to_dict(), node_mask=found[:, None])
        return found if item.dim() == 2 else found[:, None].expand(-1, item.shape[1], *found.shape[1:]) / item.shape[1]


def meta_scores(
    model: Any,
    pairs: PlantedPairs,
    metrics: str | Iterable[str | Metric | type[Metric]] = "all",
    *,
    resamples: int = 500,
    seed: int = 0,
) -> Mapping[str, MetaScore]:
    """Whether each metric tells a map of the truth from the truth with noise, from noise, and from its reverse.

    Args:
        model: of the planted set.
        pairs: as many as are to be measured with: what a metric tells with 200 pairs it may not tell with 10.
        metrics: names, metrics, or "all" that have a direction and do not ask for another explainer's behaviour.
        resamples: of the pairs.
        seed: of noise and resamples.

    Example:
        >>> from xsiamese.data.planted import planted
        >>> from xsiamese.zoo import shipped
        >>> scores = meta_scores(shipped("planted-words").model, planted("words", 16), ["auroc", "gini"])
        >>> scores["auroc"].tells, scores["gini"].error
        (True, 'gini has no direction')
    """
    graded = [Graded(model).of(pairs, grade, seed) for grade in range(len(GRADES))]
    explanations = [one.explain(pairs.inputs) for one in graded]
    batch = batch_of(graded[0], pairs.inputs)
    given = {"truth": pairs.truth, "partners": pairs.others, "partner_truth": pairs.other_truth, "twins": pairs.twins}
    given = {**{key: value for key, value in given.items() if value is not None}, "labels": pairs.alike}
    found = {}
    for metric in chosen(metrics):
        try:
            if metric.higher_is_better is None:
                raise ValueError(f"{metric.name} has no direction")
            values = [
                measured(metric, batch, one, {**given, "explainer": Recipe(explainer)}, resamples=1).values
                for one, explainer in zip(explanations, graded, strict=True)
            ]
            found[metric.name] = _scored(metric, values, resamples, seed)
        except (KeyError, ValueError, RuntimeError, TypeError) as error:
            said = f"needs {error}" if isinstance(error, KeyError) else str(error)
            found[metric.name] = MetaScore(metric.name, (), 0.0, len(pairs), said)
    return found


def _scored(metric: Metric, values: Sequence[Tensor], resamples: int, seed: int) -> MetaScore:
    sign = 1 if metric.higher_is_better else -1
    count = len(values[0])
    right = 0
    for rows in np.random.default_rng(seed).integers(count, size=(resamples, count)):
        numbers = [sign * _reduced(metric, one[torch.from_numpy(rows)]) for one in values]
        right += all(better > worse for better, worse in pairwise(numbers))
    means = tuple(metric.reduce(one) for one in values)
    return MetaScore(metric.name, means, right / resamples, count)


def _reduced(metric: Metric, values: Tensor) -> float:
    try:
        return metric.reduce(values)
    except ValueError:  # all of one label, by chance
        return float("nan")
