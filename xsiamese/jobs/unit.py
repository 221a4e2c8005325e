"""A unit of a job: some hundred pairs that are decoded, explained and written together, or not at all."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from xsiamese.door.faults import sentence
from xsiamese.explain.beside import BesideWarning
from xsiamese.jobs.recipe import Made
from xsiamese.jobs.source import Source
from xsiamese.jobs.table import PairTable
from xsiamese.result.explanation import PairExplanation


class Unit(NamedTuple):
    """The pairs of some rows of the table."""

    number: int
    start: int
    stop: int


@dataclass(frozen=True)
class Decoded:
    """The items of a unit.

    Attributes:
        unit: which.
        words: of a and of b, of every pair.
        good: the places of the pairs whose items were read, in their order.
        errors: what is wrong with the others, by their place.
        sides: the batches of both sides of the good pairs; None if there is none.
    """

    unit: Unit
    words: tuple[list[str], list[str]]
    good: list[int]
    errors: Mapping[int, str]
    sides: tuple[Any, Any] | None


@dataclass(frozen=True)
class Explained:
    """What was found of a unit: an explanation of the ``good`` pairs, in their order, and the errors of the others."""

    unit: Unit
    words: tuple[list[str], list[str]]
    good: list[int] = field(default_factory=list)
    errors: Mapping[int, str] = field(default_factory=dict)
    explanation: PairExplanation | None = None


def units(pairs: int, size: int) -> list[Unit]:
    """The units of a table.

    Example:
        >>> units(5, 2)[-1]
        Unit(number=2, start=4, stop=5)
    """
    return [Unit(i, start, min(start + size, pairs)) for i, start in enumerate(range(0, pairs, size))]


def decode(unit: Unit, table: PairTable, source: Source) -> Decoded:
    """Reads the items of a unit, each word once; a pair with one that cannot be read has the reason as its error."""
    words = table.both(unit.start, unit.stop)
    items: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for word in dict.fromkeys([*words[0], *words[1]]):
        try:
            items[word] = source(word)
        except Exception as error:  # whatever a file does to its reader, the other pairs go on
            wrong[word] = sentence(error)
    for word in _not_finite(items):
        wrong[word] = f"{word} holds NaN or infinite values"
        del items[word]
    good, errors = [], {}
    for i, (a, b) in enumerate(zip(*words, strict=True)):
        if a in items and b in items:
            good.append(i)
        else:
            errors[i] = "; ".join(f"{side}: {wrong[word]}" for side, word in (("a", a), ("b", b)) if word in wrong)
    return together(Decoded(unit, words, good, errors, None), items, source)


def together(decoded: Decoded, items: Mapping[str, Any], source: Source) -> Decoded:
    """The same unit with the batches of both sides; where items make no batch, those unlike the first are errors."""
    if not decoded.good:
        return decoded
    good, errors = decoded.good, dict(decoded.errors)
    form_of = {word: _form(item) for word, item in items.items()}
    forms = [tuple(form_of[words[i]] for words in decoded.words) for i in good]
    if len(set(forms)) > 1:
        most = max(set(forms), key=lambda form: (forms.count(form), -forms.index(form)))
        told = "items of shape {} among others of {}: one job explains items of one shape"
        errors |= {
            i: told.format(" and ".join(form), " and ".join(most))
            for i, form in zip(good, forms, strict=True)
            if form != most
        }
        good = [i for i in good if i not in errors]
    first, second = (source.together([items[words[i]] for i in good]) for words in decoded.words)
    return replace(decoded, good=good, errors=errors, sides=(first, second))


def explained(decoded: Decoded, made: Made, *, batch: int, seed: int, device: str = "cpu") -> Explained:
    """Explains the pairs of a unit; one that cannot be explained has the reason as its error.

    Args:
        decoded: the items.
        made: the explainer.
        batch: the most pairs in one pass of the model.
        seed: of everything random.
        device: where the model is.
    """
    good, errors = decoded.good, dict(decoded.errors)
    if decoded.sides is None:
        return Explained(decoded.unit, decoded.words, [], errors)
    sides = tuple(side.to(device) if hasattr(side, "to") else side for side in decoded.sides)
    ids = [(decoded.words[0][i], decoded.words[1][i]) for i in good]

    def explain(which: Sequence[int]) -> PairExplanation:
        some = sides if len(which) == len(good) else tuple(_some(side, which) for side in sides)
        return made.explain(some, ids=[ids[i] for i in which], seed=seed, internal_batch_size=batch, **made.options)

    everything = list(range(len(good)))
    found: PairExplanation | None
    with told_of(decoded.unit):
        try:
            found = explain(everything)
        except Exception:  # of one pair or of several: which ones, is found by halves
            failed = _failing(everything, explain)
            errors |= {good[i]: why for i, why in failed.items()}
            kept = [i for i in everything if i not in failed]
            found, good = explain(kept) if kept else None, [good[i] for i in kept]
    return Explained(decoded.unit, decoded.words, good, errors, found)


@contextmanager
def told_of(unit: Unit) -> Iterator[None]:
    """Warnings say of which unit they are: an explainer counts the pairs that it is given from 0. What holds of all
    is said of the first.
    """
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        yield
    told = [one for one in said if issubclass(one.category, UserWarning)]
    for message in dict.fromkeys(str(one.message) for one in told if unit.number == 0 or one.category != BesideWarning):
        message = message.replace("internal_batch_size=", "batch=")  # as a job calls it
        warnings.warn(f"rows {unit.start} to {unit.stop - 1}, counted from the first: {message}", stacklevel=3)


def _failing(which: Sequence[int], explain: Callable[[Sequence[int]], Any]) -> dict[int, str]:
    """The pairs that cannot be explained, with the reason."""
    try:
        explain(which)
    except Exception as error:  # whatever a model does with a pair
        if len(which) == 1:
            return {which[0]: sentence(error)}
        middle = len(which) // 2
        return _failing(which[:middle], explain) | _failing(which[middle:], explain)
    return {}


def _some(side: Any, which: Sequence[int]) -> Any:
    if isinstance(side, Tensor):
        return side[torch.tensor(which)]
    if isinstance(side, list):
        return [side[i] for i in which]
    return type(side).from_data_list([side[i] for i in which])  # a batch of graphs


def _not_finite(items: Mapping[str, Any]) -> list[str]:
    """The words of tensors that are not finite: a sum is not, where one of its terms is not."""
    words = [word for word, item in items.items() if isinstance(item, Tensor) and item.is_floating_point()]
    sums = torch.stack([items[word].sum(dtype=torch.float64) for word in words]) if words else torch.zeros(0)
    return [words[i] for i in (~torch.isfinite(sums)).nonzero().flatten().tolist()]


def _form(item: Any) -> str:
    """What items of one batch have in common: of graphs the attributes, with their shapes but for what is joined."""
    if isinstance(item, Tensor):
        return f"{tuple(item.shape[1:])} {item.dtype}"
    name = type(item).__name__
    if not hasattr(item, "__cat_dim__"):
        return name
    return f"{name}({', '.join(_attribute(item, key, value) for key, value in sorted(item.to_dict().items()))})"


def _attribute(graph: Any, key: str, value: Any) -> str:
    if not isinstance(value, Tensor):
        return key
    along = graph.__cat_dim__(key, value)
    joined = [] if along is None else torch.arange(max(value.dim(), 1))[torch.tensor(along)].reshape(-1).tolist()
    return f"{key} {[size for i, size in enumerate(value.shape) if i not in joined]}"
