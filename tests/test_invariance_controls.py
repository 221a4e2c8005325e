"""Controls of robust explanations on the net with known relevance: what must fall when the invariance is wrong, and
what must beat what.

The thresholds are those of the method's note, or were set before the first run;
``tests/benchmarks/invariance_analytic.py`` measures the same on more seeds.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from tests.problems import known_relevance, relevant
from xsiamese import InvarianceLearner, PairSaliency, RobustPairExplainer, SiameseModel
from xsiamese_invariance.invariance import Invariance
from xsiamese_invariance.metrics import masked_divergence, mixed_draws, top_overlap, top_units

QUERIES, REFERENCES, FEATURES, TOP, KEPT = 2, 12, 20, 4, 6


@dataclass(frozen=True)
class Setting:
    """Queries with references that are not in the pool, and what was learned from the pool."""

    model: SiameseModel
    queries: Tensor
    pool: Tensor
    a: Tensor
    b: Tensor
    invariance: Invariance
    rows: Tensor

    def masks(self, coupling: str, invariance: Invariance | None = None, seed: int = 0) -> Tensor:
        held = self.invariance if invariance is None else invariance
        found: Tensor = RobustPairExplainer(self.model, coupling=coupling).attribute(  # type: ignore[arg-type]
            (self.a, self.b), invariance=held[self.rows], masks="shared", pool=self.pool, seed=seed
        )[0]
        return found

    def overlap(self, masks: Tensor) -> float:
        """The share of top 4 units that the explanations of one query have in common."""
        return sum(top_overlap(masks[self.rows == query], TOP) for query in range(QUERIES)) / QUERIES

    def divergence(self, masks: Tensor) -> float:
        """On draws that no mask has seen."""
        draws = mixed_draws(self.pool, 512, seed=99)
        return float(masked_divergence(self.model, self.a, self.b, (masks, masks), draws).mean())

    def keeping(self, masks: Tensor) -> float:
        """The divergence with the six most relevant units kept."""
        return self.divergence(top_units(masks, KEPT).to(masks))

    def truth(self, masks: Tensor) -> float:
        """The AUROC for what counts for each pair."""
        return sum(auroc(mask, truth) for mask, truth in zip(masks, relevant(self.a, self.b), strict=True)) / len(masks)


def auroc(score: Tensor, truth: Tensor) -> float:
    gap = score[truth][:, None] - score[~truth][None]
    return float((gap > 0).double().mean() + 0.5 * (gap == 0).double().mean())


@pytest.fixture(scope="module")
def setting() -> Setting:
    generator = torch.Generator().manual_seed(20)
    queries, pool, references = (torch.randn(n, FEATURES, generator=generator) for n in (QUERIES, 512, REFERENCES))
    rows = torch.arange(QUERIES).repeat_interleave(REFERENCES)
    model = known_relevance()
    return Setting(
        model,
        queries,
        pool,
        queries[rows],
        references.repeat(QUERIES, 1),
        InvarianceLearner(model).fit(queries, pool),
        rows,
    )


@pytest.fixture(scope="module")
def ball(setting: Setting) -> Tensor:
    return setting.masks("ball")


def test_what_always_counts_is_found_as_well_as_by_the_mean_gradient_over_the_pool(setting: Setting) -> None:
    always = torch.arange(FEATURES) < 4
    gradients = [
        PairSaliency(setting.model).attribute((query.expand(512, -1), setting.pool))[0].abs().mean(0)
        for query in setting.queries
    ]
    ours, plain = (sum(auroc(row, always) for row in rows) / QUERIES for rows in (setting.invariance.mask, gradients))
    assert ours > 0.9
    assert ours > plain - 0.05


def test_a_permuted_invariance_is_told_by_hard_faithfulness_and_by_the_truth(setting: Setting, ball: Tensor) -> None:
    order = torch.randperm(FEATURES, generator=torch.Generator().manual_seed(0))
    wrong = setting.masks("ball", setting.invariance.with_mask(setting.invariance.mask[:, order]))
    assert setting.keeping(wrong) > 1.5 * setting.keeping(ball)
    assert setting.truth(wrong) < setting.truth(ball) - 0.15


def test_masks_that_are_held_are_more_stable_and_as_faithful_and_truer_and_smaller_than_a_copied_invariance(
    setting: Setting, ball: Tensor
) -> None:
    free = setting.masks("none")
    assert setting.overlap(ball) > setting.overlap(free) + 0.05
    assert setting.keeping(ball) < 1.05 * setting.keeping(free)
    copied = setting.invariance.mask[setting.rows]
    assert setting.truth(ball) > setting.truth(copied)
    assert float(ball.sum(1).mean()) < float(copied.sum(1).mean())


def test_references_differ_by_more_than_other_draws_do(setting: Setting, ball: Tensor) -> None:
    again = setting.masks("ball", seed=1)
    floor = sum(top_overlap(torch.stack(two), TOP) for two in zip(ball, again, strict=True)) / len(ball)
    assert floor > 0.9
    assert setting.overlap(ball) < floor
