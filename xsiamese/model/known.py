"""Distances and similarities of other libraries: which way each says closer, and how it scores pairs row by row."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

import torch
from torch import Tensor, nn
from torch.nn import functional

from xsiamese.model.decision import which_way

_DISTANCES: tuple[Any, ...] = (functional.pairwise_distance,)
_SIMILARITIES: tuple[Any, ...] = (functional.cosine_similarity,)
_LOOKS_LIKE_A_DISTANCE = re.compile(r"dist(ance)?(s|$|_)|Distance|euclid|manhattan|divergence", re.IGNORECASE)
_LOOKED_AT: WeakSet[nn.Module] = WeakSet()


def closer(function: Callable[..., Any], told: bool | None = None) -> bool:
    """Whether more of what a function or a module returns means closer.

    What the user tells goes first, then the function's own ``higher_is_closer``, then what is known of PyTorch's and of
    pytorch-metric-learning's distances. Anything else is a similarity, with a warning where its name says otherwise.
    """
    known = direction(function) if told is None else which_way(told)
    if known is not None:
        return known
    name = getattr(function, "__name__", type(function).__name__)
    if _LOOKS_LIKE_A_DISTANCE.search(name):
        warnings.warn(
            f"{name} is taken for a similarity, in which higher is closer; if it is a distance, say so with "
            "higher_is_closer=False, and if it is not, with higher_is_closer=True",
            stacklevel=5,
        )
    return True


def direction(function: Callable[..., Any]) -> bool | None:
    """Whether more of what a function or a module returns means closer, where that is said or known."""
    said = getattr(function, "higher_is_closer", None)
    if said is not None:
        return which_way(said)
    if isinstance(function, nn.PairwiseDistance) or any(function is one for one in _DISTANCES):
        return False
    if isinstance(function, nn.CosineSimilarity) or any(function is one for one in _SIMILARITIES):
        return True
    return bool(function.is_inverted) if _of_metric_learning(function) else None  # type: ignore[attr-defined]


def warn_if_distance(comparison: nn.Module, function: Callable[..., Any], z_a: Any, z_b: Any, score: Any) -> None:
    """Says so, once for each comparison, if its function, taken for a similarity, is lowest, 0, for equal embeddings.

    A name may say nothing, as that of a lambda; the values do.
    """
    if torch.compiler.is_compiling() or torch._C._get_tracing_state() or not all(map(_plain, (z_a, z_b, score))):
        return
    if comparison in _LOOKED_AT:
        return
    _LOOKED_AT.add(comparison)
    with torch.no_grad():
        try:
            equal = function(z_a, z_a)
        except Exception:  # two towers whose embeddings are no two of a kind: that is the user's
            return
    if not isinstance(equal, Tensor) or not score.dim() or not len(score) or not score.is_floating_point():
        return
    nothing = 1e-3 * float(score.detach().abs().max())  # distances of PyTorch add 1e-6 to each dimension
    if nothing and float(equal.abs().max()) <= nothing and bool((score >= -nothing).all()):
        warnings.warn(
            "the comparison gives 0 for equal embeddings and more for others, as a distance does, and is taken for a "
            "similarity: say higher_is_closer=False; or True, if more is closer",
            stacklevel=3,
        )


def row_by_row(function: Callable[..., Any]) -> Callable[[Tensor, Tensor], Tensor]:
    """The score of each pair of rows: the function itself, but for a distance of pytorch-metric-learning, which gives
    the whole matrix.
    """
    return _Rows(function) if _of_metric_learning(function) else function


def _plain(value: Any) -> bool:
    """Whether a value is a tensor whose numbers can be looked at."""
    return isinstance(value, Tensor) and not torch._C._functorch.is_functorch_wrapped_tensor(value)


class _Rows(nn.Module):
    """The diagonal of a pytorch-metric-learning distance, without the rest of its matrix."""

    def __init__(self, distance: Any) -> None:
        super().__init__()
        self.distance = distance

    def forward(self, z_a: Tensor, z_b: Tensor) -> Tensor:
        normal = self.distance.maybe_normalize
        found: Tensor = self.distance.pairwise_distance(normal(z_a), normal(z_b))
        power = self.distance.power
        return found if power == 1 else found**power


def _of_metric_learning(function: Any) -> bool:
    return isinstance(function, nn.Module) and hasattr(function, "is_inverted") and hasattr(function, "maybe_normalize")
