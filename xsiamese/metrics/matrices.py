"""Matrices of parts of a by parts of b: against known matches, and against the model on pairs that lack some parts."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from xsiamese.metrics.metric import Metric
from xsiamese.metrics.scored import factored, surface
from xsiamese.metrics.truth import auroc
from xsiamese.metrics.units import default_fillings
from xsiamese.pairs.batch import PairBatch
from xsiamese.result.explanation import PairExplanation


class _Matches(Metric):
    """A number of each pair's matrix beside the matches that are right: what pulls together on both sides."""

    range = (0.0, 1.0)
    needs = frozenset({"matrix", "truth"})

    def compute(self, batch: PairBatch, explanation: PairExplanation, **options: Any) -> Tensor:
        """The number of each pair, NaN where nothing, or everything, matches."""
        found = []
        for i, matrix in enumerate(dense(explanation)):
            a, b = (
                _cells(truth[i], leaf, size)
                for truth, leaf, size in zip(
                    options["truth"], (batch.a.leaves[0], batch.b.leaves[0]), matrix.shape, strict=True
                )
            )
            right = a[:, None] & b[None]
            defined = bool(right.any()) and not bool(right.all())
            found.append(self.of(matrix, right) if defined else matrix.new_tensor(torch.nan))
        return torch.stack(found)

    @abstractmethod
    def of(self, matrix: Tensor, right: Tensor) -> Tensor:
        """The number of one matrix (n, m), beside the matches that are right, of the same shape."""


class MatrixHit(_Matches):
    r"""Whether the strongest entry is a right match; of several equal ones the share that is."""

    name = "matrix_hit"
    formula = r"[\arg\max A \in T]"

    def of(self, matrix: Tensor, right: Tensor) -> Tensor:
        return right[matrix == matrix.max()].double().mean()


class MatrixAUROC(_Matches):
    r"""The probability that a right match has a larger entry than a wrong one."""

    name = "matrix_auroc"
    formula = r"P(A_{ij} > A_{kl} \mid (i, j) \in T, (k, l) \notin T)"
    chance = 0.5

    def of(self, matrix: Tensor, right: Tensor) -> Tensor:
        return auroc(matrix.flatten(), right.flatten().long())


class OneToOne(_Matches):
    r"""The share of parts of a with a right match that have one in the best assignment, in which no part is used
    twice.
    """

    name = "one_to_one"
    formula = r"\max_\pi \sum_i A_{i \pi(i)}"

    def of(self, matrix: Tensor, right: Tensor) -> Tensor:
        try:
            from scipy.optimize import linear_sum_assignment
        except ImportError as error:
            raise ImportError('one_to_one needs scipy: pip install "xsiamese[graph]"') from error
        rows, columns = linear_sum_assignment(matrix.detach().cpu().numpy(), maximize=True)
        possible = min(int(right.any(1).sum()), int(right.any(0).sum()))
        return right[rows, columns].double().sum() / possible


class BlockFit(Metric):
    r"""How much of the score's variation over blocks of kept parts the matrix explains: R^2 on masks that it never saw.

    With parts T of a and T' of b kept, the score is compared with :math:`1_T^\top A 1_{T'}`, both less their row and
    column means, so that what belongs to one side alone does not count.

    Args:
        masks: for each side.
        share: of the parts that a mask keeps.
        filling: see :func:`~xsiamese.metrics.units.fill_in`; None takes the first that suits the input.
        seed: of the masks.
    """

    name = "block_fit"
    formula = r"1 - \frac{\sum (\tilde S - \widetilde{1^\top A 1})^2}{\sum \tilde S^2}"
    range = (-float("inf"), 1.0)
    needs = frozenset({"matrix"})

    def __init__(self, masks: int = 24, share: float = 0.5, filling: str | float | None = None, seed: int = 1) -> None:
        self.masks, self.share, self.filling, self.seed = masks, share, filling, seed

    def compute(self, batch: PairBatch, explanation: PairExplanation, **options: Any) -> Tensor:
        """R^2 of each pair.

        Raises:
            ValueError: if the model is not factored into encoder and comparison.
        """
        if not factored(batch):
            raise ValueError("block_fit compares parts of a with parts of b: a SiameseModel is needed")
        matrices = dense(explanation)
        sizes = tuple(matrices[0].shape)
        drawn = [
            torch.from_numpy(np.random.default_rng([self.seed, side]).random((self.masks, size)) < self.share)
            for side, size in enumerate(sizes)
        ]
        keep = tuple(
            [_spread(mask, leaf).expand(batch.pairs, -1) for mask in masks]
            for masks, leaf in zip(drawn, (batch.a.leaves[0], batch.b.leaves[0]), strict=True)
        )
        filling = default_fillings(batch)[0] if self.filling is None else self.filling
        scores = surface(batch, (keep[0], keep[1]), filling, self.seed).double()
        found = []
        for score, matrix in zip(scores, matrices, strict=True):
            predicted = drawn[0].double() @ matrix.double() @ drawn[1].double().T
            left, known = _centred(score - predicted), _centred(score)
            size = (known**2).sum()
            found.append(1 - (left**2).sum() / size if float(size) else size.new_tensor(torch.nan))
        return torch.stack(found)


def has_matrix(explanation: PairExplanation) -> bool:
    """Whether an explanation holds matrices of parts by parts."""
    return "matrix" in explanation.columns


def dense(explanation: PairExplanation) -> list[Tensor]:
    """The matrix of each pair, shape (parts of a, parts of b).

    Raises:
        ValueError: if the explanation has none.
    """
    if not has_matrix(explanation):
        raise ValueError(f"{explanation.method} gives maps and no matrix of parts by parts")
    found: Any = explanation.columns["matrix"]
    return [one if isinstance(one, Tensor) else one.dense() for one in found]


def _cells(truth: Tensor, leaf: Tensor, size: int) -> Tensor:
    """What pulls together, for each of ``size`` cells of an item, boolean."""
    right = (truth > 0).double()
    if right.numel() == size:
        return right.flatten() > 0
    grid = _grid(leaf, size)
    pool = functional.adaptive_max_pool2d if len(grid) == 2 else functional.adaptive_max_pool1d
    return pool(right[None, None], grid).flatten() > 0


def _spread(mask: Tensor, leaf: Tensor) -> Tensor:
    """A mask of cells as one of units, shape (1, units)."""
    places = leaf.shape[2:] or leaf.shape[1:]
    if mask.numel() == places.numel():
        return mask.reshape(1, -1)
    grown = functional.interpolate(mask.double().reshape(1, 1, *_grid(leaf, mask.numel())), tuple(places))
    return grown.reshape(1, -1) > 0.5


def _grid(leaf: Tensor, size: int) -> tuple[int, ...]:
    if leaf.dim() == 3:
        return (size,)
    edge = round(size**0.5)
    if leaf.dim() != 4 or edge * edge != size:
        raise ValueError(f"a matrix of {size} parts does not fit an input of shape {tuple(leaf.shape)}")
    return edge, edge


def _centred(values: Tensor) -> Tensor:
    return values - values.mean(0, keepdim=True) - values.mean(1, keepdim=True) + values.mean()
