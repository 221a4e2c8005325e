"""The two maps of a batch: joined from parts, summed, checked."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from xsiamese.kinds.dense import all_finite
from xsiamese.kinds.side import SIDES, TensorSide
from xsiamese.model.precision import LOW
from xsiamese.pairs.batch import PairBatch
from xsiamese.pairs.jump import why_missed

Maps = tuple[Any, Any]
_HELD = "whole numbers that are held"  # the plan of an explainer whose user knows
CANCELS = 1e-5  # of what the numbers of a vector give, up to which their sum is rounding


def join(parts: list[Maps], create_graph: bool) -> Maps:
    """The maps of several parts of a batch, one after the other."""

    def cat(items: Sequence[Any]) -> Any:
        if isinstance(items[0], Tensor):
            whole = items[0] if len(items) == 1 else torch.cat(list(items))
            return whole if create_graph else whole.detach()
        if isinstance(items[0], dict):
            return {name: cat([item[name] for item in items]) for name in items[0]}
        return type(items[0])(cat(column) for column in zip(*items, strict=True))

    return cat([part[0] for part in parts]), cat([part[1] for part in parts])


def in_dtype(value: Any, dtype: torch.dtype) -> Any:
    if isinstance(value, Tensor):
        return value.to(dtype) if dtype.is_floating_point else value
    if isinstance(value, dict):
        return {name: in_dtype(one, dtype) for name, one in value.items()}
    return type(value)(in_dtype(v, dtype) for v in value) if isinstance(value, (tuple, list)) else value


def warn_identical(batch: PairBatch) -> None:
    """Most comparisons are stationary where the two inputs are equal."""
    same = batch.a.equals(batch.b)
    if bool(same.any()):
        which = ", ".join(map(str, same.nonzero().flatten().tolist()[:8]))
        warnings.warn(
            f"a and b are equal in pair {which}: the score is stationary there, and a map of gradients is noise",
            stacklevel=4,
        )


def warn_held(batch: PairBatch) -> None:
    """Says once of whole numbers beside others, which ride along as a mask does, that they have no map, if an embedding
    may read them.
    """
    tables = [m for m in batch.model.modules() if isinstance(m, (nn.Embedding, nn.EmbeddingBag))]
    told = {} if batch.plans is None else batch.plans
    if not tables or _HELD in told:
        return
    most = max(table.num_embeddings for table in tables)
    for place in batch.moving:
        side = batch.sides[place]
        if side.still or side.ragged or not isinstance(side, TensorSide) or side.form.single:
            continue
        names = side.form.keys or side.names(SIDES[place])
        held = [
            name
            for name, leaf in zip(names, side.leaves, strict=True)
            if not leaf.is_floating_point() and leaf.numel() and leaf.dtype != torch.bool and 1 < int(leaf.max()) < most
        ]
        if held:
            told[_HELD] = True
            warnings.warn(
                f"input {SIDES[place]} holds whole numbers beside others, {', '.join(map(repr, held))}: they are held, "
                "as masks and lengths are, and have a map of zeros; if they are ids, name the layers that read them, "
                "PairLayerFeatureAblation(model, layer=(of a, of b)), or explain a model of the ids that holds the "
                "rest",
                stacklevel=4,
            )


def warn_missed(batch: PairBatch, sums: Tensor, value: Tensor, start: Tensor, *, integral: bool) -> bool:
    """Says so, and whether it does, where the maps of a method along a path are no shares of the score, see
    :func:`~xsiamese.pairs.jump.why_missed`.
    """
    why = why_missed(batch, sums, value, start, integral=integral)
    if why is not None:
        warnings.warn(why, stacklevel=5)
    return why is not None


def warn_cancelled(batch: PairBatch, maps: Maps) -> None:
    """Says of texts that no token has a share, where what the numbers of each vector give cancels."""
    for side in batch.moving:
        value, of = maps[side], batch.sides[side]
        tokens = tuple(of.own[0].shape[:2])
        if of.kind != "text" or not isinstance(value, Tensor) or value.dim() != 3 or tuple(value.shape[:2]) != tokens:
            continue
        found = value.detach()
        whole, left = found.abs().sum(2).amax(1), found.sum(2).abs().amax(1)
        cancelled = ((whole > 0) & (left <= CANCELS * whole)).nonzero().flatten().tolist()
        if cancelled:
            which = ", ".join(str(batch.first_pair + i) for i in cancelled[:8])
            warnings.warn(
                f"the map of {SIDES[side]} is zero for each token of pair {which}: what the numbers of its vector give "
                "cancels, as of a single word under a cosine, which does not change with the length of a vector; "
                "PairFeatureAblation asks without the word",
                stacklevel=5,
            )


def check_map(value: Any, name: str, who: str, why: Callable[[], str] | None, least: float = 0.0) -> None:
    """Warns of a map that is not finite, or zero but for the rounding of scores, up to ``least``; ``why`` says for what
    reason, and is None where the method says itself why a side has none (a search that edits the other side only).
    """
    tensors = [value] if isinstance(value, Tensor) else list(value.values() if isinstance(value, dict) else value)
    if not all(map(all_finite, tensors)):
        warnings.warn(
            f"{who} gave NaN or infinite values for input {name}: the model's gradients are not finite at this pair",
            stacklevel=4,
        )
    elif why is not None and not any(bool((t.detach().abs() > least).any()) for t in tensors):
        warnings.warn(why(), stacklevel=4)


def why_lost(value: Any, dtype: torch.dtype, name: str, why: Callable[[], str]) -> str:
    """What is said of a map that is zero in the precision of its input: that it is not, before, or else ``why``."""
    tensors = [value] if isinstance(value, Tensor) else list(value.values() if isinstance(value, dict) else value)
    largest = max((float(t.detach().abs().max()) for t in tensors if isinstance(t, Tensor) and t.numel()), default=0.0)
    if dtype not in LOW or not largest or bool(torch.tensor(largest, dtype=torch.float64).to(dtype)):
        return why()
    least = torch.finfo(dtype).smallest_normal * torch.finfo(dtype).eps
    return (
        f"the map of input {name} is zero in {dtype}, whose smallest number is {least:.2g}: its largest value is "
        f"{largest:.2g}; make the model one of float32, model.float()"
    )


def detached(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, (tuple, list)):
        return tuple(detached(v) for v in value)
    if isinstance(value, dict):
        return {name: detached(one) for name, one in value.items()}
    return value.detach() if hasattr(value, "detach") else value
