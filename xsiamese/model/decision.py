"""Which side of the threshold a pair is on, and how far from it; which way of a score is closer is spelt here once."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from xsiamese.door.arguments import shown

Score = TypeVar("Score", float, Tensor)


def which_way(told: Any) -> bool:
    """What is told of ``higher_is_closer``, as a bool: a word such as "no" would count as True.

    Raises:
        ValueError: if it is none.
    """
    if isinstance(told, (bool, np.bool_)) or (type(told) is int and told in (0, 1)):
        return bool(told)
    raise ValueError(f"higher_is_closer={shown(told)}: True for a similarity or False for a distance is needed")


def toward_closer(score: Score, higher_is_closer: bool) -> Score:
    """The closeness of a score, and the score of a closeness: itself for a similarity, negated for a distance."""
    return score if which_way(higher_is_closer) else -score


@dataclass(frozen=True)
class Decision:
    """A pair is called alike where its score reaches a threshold; everything here is about the unclamped score.

    What is compared is the closeness that explainers see, the score negated if it is a distance
    (:meth:`~xsiamese.PairModel.closeness`), in double precision: a threshold that lies between two neighbouring
    numbers of the model's own precision stays between them. A pair exactly on the threshold is alike.

    Attributes:
        threshold: in the units of the score.
        higher_is_closer: whether a higher score means more alike.

    Raises:
        ValueError: if the threshold is NaN or infinite, or ``higher_is_closer`` no bool.

    Example:
        >>> decision = Decision(0.5, higher_is_closer=False)  # of a distance
        >>> decision.alike(decision.closeness(torch.tensor([0.25, 0.5, 0.75]))).tolist()
        [True, True, False]
        >>> decision.margin(decision.closeness(torch.tensor([0.25, 0.75]))).tolist()
        [0.25, -0.25]
    """

    threshold: float
    higher_is_closer: bool = True

    def __post_init__(self) -> None:
        if not isfinite(self.threshold):
            raise ValueError(f"threshold={self.threshold}: a finite number in the units of the score is needed")
        which_way(self.higher_is_closer)

    @property
    def cut(self) -> float:
        """The least closeness that is called alike."""
        return toward_closer(self.threshold, self.higher_is_closer)

    def closeness(self, score: Score) -> Score:
        """The closeness of an unclamped score."""
        return toward_closer(score, self.higher_is_closer)

    def score(self, closeness: Score) -> Score:
        """The unclamped score."""
        return toward_closer(closeness, self.higher_is_closer)

    def alike(self, closeness: Tensor) -> Tensor:
        """Which pairs are called alike, boolean."""
        return closeness.double() >= self.cut

    def margin(self, closeness: Tensor) -> Tensor:
        """How far inside "alike" the pairs are, in the units of the score: at least 0 exactly where they are alike."""
        return closeness.double() - self.cut

    def flipped(self, closeness: Tensor, before: Tensor | bool) -> Tensor:
        """Whether the decision is not what it was."""
        return self.alike(closeness) != torch.as_tensor(before, device=closeness.device)

    def progress(self, closeness: Tensor, before: Tensor | bool) -> Tensor:
        """How far beyond the threshold a value is on the way away from the decision before; negative while it has not
        got there.
        """
        away = closeness - self.cut
        return torch.where(torch.as_tensor(before, device=closeness.device), -away, away)
