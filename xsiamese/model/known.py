"""Distances and similarities of other libraries: which way each says closer, and how it scores pairs row by row."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

_DISTANCES: tuple[Any, ...] = (functional.pairwise_distance,)
_SIMILARITIES: tuple[Any, ...] = (functional.cosine_similarity,)
_LOOKS_LIKE_A_DISTANCE = re.compile(r"dist(ance)?(s|$|_)|Distance|euclid|manhattan|divergence", re.IGNORECASE)


def closer(function: Callable[..., Any], told: bool | None = None) -> bool:
    """Whether more of what a function or a module returns means closer.

    What the user tells goes first, then the function's own ``higher_is_closer``, then what is known of PyTorch's and of
    pytorch-metric-learning's distances. Anything else is a similarity, with a warning where its name says otherwise.
    """
    if told is not None:
        return told
    said = getattr(function, "higher_is_closer", None)
    if isinstance(said, bool):
        return said
    if isinstance(function, nn.PairwiseDistance) or any(function is one for one in _DISTANCES):
        return False
    if isinstance(function, nn.CosineSimilarity) or any(function is one for one in _SIMILARITIES):
        return True
    if _of_metric_learning(function):
        return bool(function.is_inverted)  # type: ignore[attr-defined]
    name = getattr(function, "__name__", type(function).__name__)
    if _LOOKS_LIKE_A_DISTANCE.search(name):
        warnings.warn(
            f"{name} is taken for a similarity, in which higher is closer; if it is a distance, say so with "
            "higher_is_closer=False, and if it is not, with higher_is_closer=True",
            stacklevel=5,
        )
    return True


def row_by_row(function: Callable[..., Any]) -> Callable[[Tensor, Tensor], Tensor]:
    """The score of each pair of rows: the function itself, but for a distance of pytorch-metric-learning, which gives
    the whole matrix.
    """
    return _Rows(function) if _of_metric_learning(function) else function


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
