"""What every metric must keep: its shape, its range, and that it is about the pair and not about the batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from xsiamese.branches.intact import intact
from xsiamese.contract.subject import ContractError
from xsiamese.data.planted import PlantedPairs, planted
from xsiamese.explain.catalogue import explainer
from xsiamese.metrics.measure import batch_of
from xsiamese.metrics.metric import Metric, number
from xsiamese.metrics.recipe import Recipe
from xsiamese.zoo.checkpoint import shipped

PAIRS = 3


def check_described(metric: Metric) -> None:
    """A metric says what it is."""
    kind = type(metric)
    missing = [what for what in ("name", "__doc__") if not getattr(kind, what, "")]
    if missing:
        raise ContractError(f"has no {' and no '.join(missing)}")
    low, high = kind.range
    if not low < high:
        raise ContractError(f"its range is from {low} to {high}")
    if kind.chance is not None and not low <= kind.chance <= high:
        raise ContractError(f"chance, {kind.chance}, is out of its range, {low} to {high}")
    from xsiamese.result.citations import bibtex

    bibtex(kind.reference)


def check_shape_and_range(metric: Metric) -> None:
    """One finite number a pair (or NaN), within the range."""
    found = _numbers(metric, _pairs(metric))
    if len(found) != PAIRS:
        raise ContractError(f"gave {tuple(found.shape)} for {PAIRS} pairs")
    if not found.is_floating_point():
        raise ContractError(f"gave {found.dtype}: floating point numbers are needed, NaN for what is not defined")
    low, high = type(metric).range
    inside = found.isnan() | ((found >= low - 1e-9) & (found <= high + 1e-9))
    if found.dim() == 1 and not bool(inside.all()):
        raise ContractError(f"gave {found[~inside].tolist()}, out of its range, {low} to {high}")


def check_batch_is_loop(metric: Metric) -> None:
    """A pair has the number that it has alone."""
    pairs = _pairs(metric)
    whole = _numbers(metric, pairs)
    for i in range(PAIRS):
        alone = _numbers(metric, pairs[i : i + 1])[0]
        if not torch.allclose(whole[i], alone, atol=1e-5, equal_nan=True):
            raise ContractError(f"gave {whole[i].tolist()} in a batch and {alone.tolist()} alone")


def check_repeats(metric: Metric) -> None:
    """The same twice, whatever the state of the generators."""
    pairs = _pairs(metric)
    first = _numbers(metric, pairs)
    torch.rand(7)
    if not torch.equal(first.nan_to_num(), _numbers(metric, pairs).nan_to_num()):
        raise ContractError("gave two numbers for one explanation: draw from a generator with a seed")


def check_leaves_the_model(metric: Metric) -> None:
    """Weights are as they were; modes are put back around every metric."""
    explaining = _explainer(metric)
    model = explaining.model
    before = {key: value.clone() for key, value in model.state_dict().items()}
    _numbers(metric, _pairs(metric), explaining)
    changed = [key for key, value in model.state_dict().items() if not torch.equal(value, before[key])]
    if changed:
        raise ContractError(f"changed the model's {changed[0]}")


CHECKS: dict[str, Callable[[Metric], None]] = {
    "described": check_described,
    "shape and range": check_shape_and_range,
    "batch is loop": check_batch_is_loop,
    "repeats": check_repeats,
    "leaves the model": check_leaves_the_model,
}


def _set(metric: Metric) -> str:
    """The planted set that a metric is tried on."""
    kinds = {"series": "words", "text": "words", "image": "patches", "row": "rows", "graph": "motifs"}
    return next(name for kind, name in kinds.items() if kind in metric.kinds)


def _pairs(metric: Metric) -> PlantedPairs:
    return planted(_set(metric), PAIRS)


def _explainer(metric: Metric) -> Any:
    return explainer("PairSaliency")(shipped(f"planted-{_set(metric)}").model)


def _numbers(metric: Metric, pairs: PlantedPairs, explaining: Any = None) -> Tensor:
    made = explaining or _explainer(metric)
    explanation = made.explain(pairs.inputs)
    generator = torch.Generator().manual_seed(1)
    if "matrix" in metric.needs:
        sizes = [t[0].numel() for t in pairs.truth]
        drawn = torch.randn(PAIRS, *sizes, generator=generator, dtype=torch.float64)
        matrices = tuple(drawn[int(pairs.a[i].sum() * 1e3) % PAIRS] for i in range(len(pairs)))
        explanation = replace(explanation, columns={**explanation.columns, "matrix": matrices})
    known = {
        "truth": pairs.truth,
        "partners": pairs.others,
        "partner_truth": pairs.other_truth,
        "twins": pairs.twins,
        "labels": pairs.alike,
        "explainer": Recipe(made),
    }
    if "labels" in metric.needs:
        known["labels"] = torch.arange(len(pairs)) % 2 == 0
    batch = batch_of(made, pairs.inputs)
    with intact(batch.model):
        return number(metric.compute(batch, explanation, **known)).detach()
