"""One-shot classification: the nearest of one example per class."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from xsiamese.data.omniglot import OneShotRun
from xsiamese.model.pair import SiameseModel
from xsiamese.training.evaluation import closeness, embed
from xsiamese.zoo.cards import Preprocessing


def one_shot_accuracy(model: SiameseModel, runs: Sequence[OneShotRun], preprocessing: Preprocessing) -> float:
    """The share of test drawings whose closest training drawing is of their character, over all runs (chance is 1 in
    20).
    """
    right = total = 0
    for run in runs:
        closest = one_shot_scores(model, run, preprocessing).argmax(1)
        right += int((closest == run.answers).sum())
        total += len(run.answers)
    return right / total


def one_shot_scores(model: SiameseModel, run: OneShotRun, preprocessing: Preprocessing) -> torch.Tensor:
    """The closeness of every test drawing to every training drawing of a run, shape (test, train)."""
    z_train, z_test = (embed(model, images, preprocessing) for images in (run.train, run.test))
    rows, columns = len(z_test), len(z_train)
    scores = closeness(model, z_test.repeat_interleave(columns, 0), z_train.repeat(rows, 1))
    return scores.view(rows, columns)
