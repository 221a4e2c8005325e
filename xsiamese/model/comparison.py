"""How two embeddings become one score: comparisons that know which way is closer and stay finite at ``a == b``."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from xsiamese.door.registry import comparisons
from xsiamese.model.called import shown
from xsiamese.model.decision import Decision, which_way
from xsiamese.model.known import closer, direction, row_by_row, warn_if_distance
from xsiamese.model.precision import wide

Join = Literal["absolute_difference", "product", "concat"]


class Comparison(nn.Module, ABC):
    """One score per pair from the two embeddings ``z_a`` and ``z_b``, each of shape (pairs, dimensions).

    Attributes:
        name: the name under which :func:`comparison` and the command line know it.
        higher_is_closer: True for a similarity, False for a distance. Every sign in xsiamese derives from it.
        threshold_: the calibrated decision threshold in the score's units, or None.
    """

    name: ClassVar[str]
    higher_is_closer: bool = True
    threshold_: float | None = None

    @abstractmethod
    def forward(self, z_a: Tensor, z_b: Tensor) -> Tensor:
        """The score of each pair, shape (pairs,)."""

    def explained(self, z_a: Tensor, z_b: Tensor) -> Tensor:
        """The score that explanations are about, shape (pairs,): :meth:`forward`, unless that saturates."""
        return one_each(self.forward(z_a, z_b))

    def reported(self, explained: Tensor) -> Tensor:
        """The score as :meth:`forward` gives it, from the explained one."""
        return explained

    def is_close(self, score: Tensor) -> Tensor:
        """Which pairs the calibrated threshold calls alike, shape (pairs,), boolean.

        Raises:
            ValueError: if no threshold is known.
        """
        if self.threshold_ is None:
            raise ValueError(
                f"{self.name} has no threshold: set comparison.threshold_ or calibrate it on labelled pairs"
            )
        decision = Decision(self.threshold_, self.higher_is_closer)
        return decision.alike(decision.closeness(score))


class Cosine(Comparison):
    r"""Cosine similarity :math:`u \cdot v / (|u| |v|)`, 0 where an embedding is zero.

    It does not change with the norms, so :math:`\sum x \odot \partial s/\partial x = 0` on a bias-free encoder: half of
    such a map is positive and half negative by construction. ``detach_norms=True`` takes the norms as constants, and
    the sum is the score.
    """

    name = "cosine"

    def __init__(self, detach_norms: bool = False) -> None:
        super().__init__()
        self.detach_norms = detach_norms

    def forward(self, z_a: Tensor, z_b: Tensor) -> Tensor:
        _check_sizes(z_a, z_b, self.name)
        norm = safe_sqrt(_dot(z_a, z_a)) * safe_sqrt(_dot(z_b, z_b))
        if self.detach_norms:
            norm = norm.detach()
        return _dot(z_a, z_b) / torch.where(norm > 0, norm, torch.ones_like(norm))


class Dot(Comparison):
    r"""Inner product :math:`u \cdot v`."""

    name = "dot"

    def forward(self, z_a: Tensor, z_b: Tensor) -> Tensor:
        _check_sizes(z_a, z_b, self.name)
        return _dot(z_a, z_b)


class SquaredEuclidean(Comparison):
    r"""Squared Euclidean distance :math:`|u - v|^2`."""

    name = "squared_euclidean"
    higher_is_closer = False

    def forward(self, z_a: Tensor, z_b: Tensor) -> Tensor:
        difference = _difference(z_a, z_b, self.name)
        return _dot(difference, difference)


class Euclidean(Comparison):
    r"""Euclidean distance :math:`|u - v|`, with gradient 0 at :math:`u = v` (the plain square root gives NaN there)."""

    name = "euclidean"
    higher_is_closer = False

    def forward(self, z_a: Tensor, z_b: Tensor) -> Tensor:
        difference = _difference(z_a, z_b, self.name)
        return safe_sqrt(_dot(difference, difference))


class ClampedEuclidean(Euclidean):
    r"""The distance :math:`\min(|u - v|, limit)` of Livieris et al. 2023 (:cite:`livieris2023`), explained unclamped.

    Beyond the limit the clamped distance is constant and every gradient is zero. Explanations are therefore about the
    unclamped distance, with a warning; ``explain_clamped=True`` explains the saturated score as published.
    """

    name = "clamped_euclidean"

    def __init__(self, limit: float = 1.0, explain_clamped: bool = False) -> None:
        super().__init__()
        self.limit = limit
        self.explain_clamped = explain_clamped

    def forward(self, z_a: Tensor, z_b: Tensor) -> Tensor:
        return super().forward(z_a, z_b).clamp(max=self.limit)

    def explained(self, z_a: Tensor, z_b: Tensor) -> Tensor:
        distance = super().forward(z_a, z_b)
        saturated = int((distance.detach() >= self.limit).sum())
        if not saturated:
            return distance
        what = "its gradient is zero" if self.explain_clamped else "the unclamped distance is explained instead"
        warnings.warn(f"the distance of {saturated} pair(s) is clamped at {self.limit:g}: {what}", stacklevel=2)
        return self.reported(distance) if self.explain_clamped else distance

    def reported(self, explained: Tensor) -> Tensor:
        return explained.clamp(max=self.limit)


class Manhattan(Comparison):
    r"""Manhattan distance :math:`\sum_k |u_k - v_k|`."""

    name = "manhattan"
    higher_is_closer = False

    def forward(self, z_a: Tensor, z_b: Tensor) -> Tensor:
        return _difference(z_a, z_b, self.name).abs().sum(1)


class Bilinear(Comparison):
    r"""Learned bilinear form :math:`u^\top W v`; the two embeddings may differ in size. Starts as the inner product."""

    name = "bilinear"

    def __init__(self, dimensions_a: int, dimensions_b: int | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(dimensions_a, dimensions_b or dimensions_a))

    def forward(self, z_a: Tensor, z_b: Tensor) -> Tensor:
        return _dot(z_a.flatten(1) @ self.weight, z_b)


class Learned(Comparison):
    """A learned head on the joined embeddings: ``head(join(z_a, z_b))`` gives one logit per pair.

    Args:
        head: maps (pairs, joined dimensions) to (pairs,) or (pairs, 1).
        join: "absolute_difference" (Koch et al. 2015, :cite:`koch2015`), "product" or "concat".
        higher_is_closer: what the head was trained to say.
    """

    name = "learned"

    def __init__(self, head: nn.Module, join: Join = "absolute_difference", higher_is_closer: bool = True) -> None:
        super().__init__()
        self.head = head
        self.join = join
        self.higher_is_closer = which_way(higher_is_closer)

    def forward(self, z_a: Tensor, z_b: Tensor) -> Tensor:
        if self.join == "concat":
            joined = torch.cat([z_a.flatten(1), z_b.flatten(1)], 1)
        elif self.join == "product":
            joined = z_a.flatten(1) * z_b.flatten(1)
        else:
            joined = _difference(z_a, z_b, self.name).abs()
        score: Tensor = self.head(joined)
        return score.flatten(1).squeeze(1) if score.dim() > 1 else score


class Function(Comparison):
    """Any function or module of the two embeddings as a comparison.

    Args:
        function: gives one score per pair. Distances of pytorch-metric-learning give their diagonal.
        higher_is_closer: None believes the function, or what is known of it, see :func:`xsiamese.model.known.closer`.
    """

    name = "function"

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor], higher_is_closer: bool | None = None) -> None:
        super().__init__()
        self.higher_is_closer = closer(function, higher_is_closer)
        self.assumed = higher_is_closer is None and direction(function) is None
        self.function = row_by_row(shown(function))

    def forward(self, z_a: Tensor, z_b: Tensor) -> Tensor:
        score = self.function(z_a, z_b)
        if self.assumed and self.higher_is_closer:
            warn_if_distance(self, self.function, z_a, z_b, score)
        return score


COMPARISONS: Mapping[str, type[Comparison]] = {
    cls.name: cls for cls in (Cosine, Dot, Euclidean, SquaredEuclidean, Manhattan, ClampedEuclidean, Bilinear, Learned)
}


def comparison(
    spec: str | Comparison | Callable[[Tensor, Tensor], Tensor], higher_is_closer: bool | None = None
) -> Comparison:
    """The comparison that ``spec`` names or is.

    Args:
        spec: a name ("cosine", "dot", "euclidean", ...; plugins may add more), a :class:`Comparison`, or a function or
            module of ``(z_a, z_b)``: ``nn.PairwiseDistance()``, ``F.cosine_similarity``, a distance of
            pytorch-metric-learning, or your own.
        higher_is_closer: which way a function's score goes, where it is not known.

    Raises:
        TypeError: if it is a class.
        ValueError: if no comparison has that name, if it needs arguments of its own, or if it goes the other way.

    Example:
        >>> comparison("euclidean").higher_is_closer
        False
        >>> comparison(nn.PairwiseDistance()).higher_is_closer
        False
    """
    if isinstance(spec, type):
        raise TypeError(f"{spec.__name__} is a class: make the comparison of it first, {spec.__name__}(...)")
    if not isinstance(spec, (Comparison, str)):
        return Function(spec, higher_is_closer)
    found = spec if isinstance(spec, Comparison) else _by_name(spec)
    if higher_is_closer is not None and which_way(higher_is_closer) != found.higher_is_closer:
        raise ValueError(
            f"in {found.name} {'higher' if found.higher_is_closer else 'lower'} is closer: leave out higher_is_closer="
        )
    return found


def _by_name(spec: str) -> Comparison:
    known: dict[str, type[Comparison]] = {**COMPARISONS, **comparisons()}
    if spec not in known:
        near = get_close_matches(spec, known)
        raise ValueError(
            f"no comparison is called {spec!r}; "
            + (f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}")
        )
    try:
        return known[spec]()
    except TypeError as error:
        raise ValueError(
            f"the comparison {spec!r} needs arguments: pass xsiamese.model.comparison.{known[spec].__name__}(...) "
            "itself"
        ) from error


def one_each(score: Tensor) -> Tensor:
    """Scores (pairs, 1), as of ``nn.PairwiseDistance(keepdim=True)``, as (pairs,); of others what they are."""
    alone = isinstance(score, Tensor) and score.dim() > 1 and score.shape[1:].numel() == 1
    return score.flatten() if alone else score


def _dot(u: Tensor, v: Tensor) -> Tensor:
    return (wide(u).flatten(1) * wide(v).flatten(1)).sum(1)


def safe_sqrt(square: Tensor) -> Tensor:
    """The square root with gradient 0 at 0; of NaN it is NaN, not 0, which would call two things the same."""
    zero = square == 0
    return torch.where(zero, torch.ones_like(square), square).sqrt() * ~zero


def _check_sizes(z_a: Tensor, z_b: Tensor, name: str) -> None:
    for one in (z_a, z_b):
        if not isinstance(one, Tensor):
            raise ValueError(
                f"the encoder returned a {type(one).__name__}, and {name} compares two tensors: give embedding=, the "
                "place, the name or a function that takes the embedding out"
            )
    if z_a.shape[1:] != z_b.shape[1:]:  # a size of 1 would broadcast without a word
        raise ValueError(
            f"{name} needs embeddings of one size: a is {tuple(z_a.shape)}, b is {tuple(z_b.shape)}; use Bilinear or "
            "Learned(join='concat')"
        )


def _difference(z_a: Tensor, z_b: Tensor, name: str) -> Tensor:
    """The difference of two embeddings of one size."""
    _check_sizes(z_a, z_b, name)
    return wide(z_a).flatten(1) - wide(z_b).flatten(1)
