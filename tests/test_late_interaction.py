"""Embeddings of one vector a token, compared by MaxSim: against sums that are written out here, token by token."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from xsiamese import (
    PairActivationDecomposition,
    PairInteraction,
    PairLayerInteraction,
    PairMaskRegression,
    PairRISE,
    PairTokenMatrix,
    SiameseModel,
)
from xsiamese.author import TextEncoder
from xsiamese.explain.gallery.gallery import Gallery
from xsiamese_masks.run import MaskRun

PAIR = torch.tensor([[1, 4, 2]]), torch.tensor([[3, 5, 0, 2]])
TABLE = torch.randn(6, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
TABLE[0] = 0  # the padding, with which a missing token is filled


class Words(TextEncoder):
    """Each token by itself: its row of a table, through one layer."""

    pooling: Any = "tokens"

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding.from_pretrained(TABLE.clone())
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.layer = nn.Linear(3, 2).double()

    def states(self, input_ids: Tensor, **more: Tensor) -> tuple[Tensor, Tensor]:
        vectors = self.layer(self.table(input_ids) if not input_ids.is_floating_point() else input_ids)
        return vectors, torch.ones_like(vectors[..., 0])


@pytest.fixture
def model() -> SiameseModel:
    return SiameseModel(Words(), "maxsim")


def words(model: SiameseModel) -> Words:
    encoder = model.encoders[0]
    assert isinstance(encoder, Words)
    return encoder


def score(model: SiameseModel, of_a: Tensor, of_b: Tensor) -> float:
    """MaxSim in two loops, from rows of the table."""
    layer = words(model).layer
    q, d = layer(of_a), layer(of_b)
    return sum(max(float((one * other).sum().detach()) for other in d) for one in q)


def without(ids: Tensor, kept: tuple[bool, ...]) -> Tensor:
    """Rows of the table of one text, those of tokens that are gone being the padding's."""
    return TABLE[ids[0]] * torch.tensor(kept)[:, None]


def test_the_score_and_the_matrix_of_tokens(model: SiameseModel) -> None:
    found = PairTokenMatrix(model).explain(PAIR)
    assert float(found.scores) == pytest.approx(score(model, TABLE[PAIR[0][0]], TABLE[PAIR[1][0]]), abs=1e-12)
    assert float(found.matrix.value) == pytest.approx(float(found.scores), abs=1e-12)
    assert ((found.matrix.dense() != 0).sum(1) == 1).all()  # each token of a has one of b


def test_mask_regression_is_the_mean_of_all_mixed_differences(model: SiameseModel) -> None:
    """All masks of three tokens with all of four, p = 1/2: the Banzhaf interaction, written out."""
    found = PairMaskRegression(model).explain(PAIR, masks=16, p=0.5).matrix.dense()
    masks_a, masks_b = (list(product((False, True), repeat=count)) for count in (3, 4))
    scores = {(k, m): score(model, without(PAIR[0], k), without(PAIR[1], m)) for k, m in product(masks_a, masks_b)}
    for i, j in product(range(3), range(4)):
        changes = [(1 if k[i] else -1) * (1 if m[j] else -1) * scores[k, m] for k, m in product(masks_a, masks_b)]
        assert float(found[i, j]) == pytest.approx(4 * sum(changes) / len(changes), abs=1e-10)


def test_rise_reads_the_scores_of_its_masks(model: SiameseModel) -> None:
    run = MaskRun(model).sample(PAIR, masks=40)
    keep = run.columns["masks_a"][0]
    scores = torch.tensor([score(model, without(PAIR[0], tuple(m.bool().tolist())), TABLE[PAIR[1][0]]) for m in keep])
    expected = (scores[:, None] * keep).sum(0) / keep.sum(0) - scores.mean()
    torch.testing.assert_close(PairRISE(model).attribute(PAIR, sample=run, masks=40)[0][0], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("rule", ["gauss", "secant"])
def test_the_integral_sums_to_what_both_sides_give_together(model: SiameseModel, rule: str) -> None:
    """Without a layer's bias the zero baselines give no score, and the whole score is together."""
    nn.init.zeros_(words(model).layer.bias)
    found = PairLayerInteraction(model, layer="encoder.table").explain(PAIR, steps=8, rule=rule)
    whole = score(model, TABLE[PAIR[0][0]], TABLE[PAIR[1][0]])
    assert float(found.matrix.total) == pytest.approx(whole, abs=2e-2 if rule == "gauss" else 1e-9)
    inputs = tuple(TABLE[ids] for ids in PAIR)
    again = PairInteraction(model).explain(inputs, steps=8, rule=rule, kind="text")
    torch.testing.assert_close(again.matrix.dense(), found.matrix.dense(), rtol=0, atol=1e-9)


def test_shares_of_a_layer_sum_to_the_score(model: SiameseModel) -> None:
    found = PairActivationDecomposition(model, layer="encoder.layer").explain(PAIR)
    assert float(found.matrix.value) == pytest.approx(float(found.scores), abs=1e-12)


def test_a_gallery_finds_the_closest(model: SiameseModel) -> None:
    texts = torch.tensor([[1, 4, 2], [3, 5, 2], [2, 2, 5], [4, 1, 1]])
    hits = Gallery(PairMaskRegression(model), texts).search(PAIR[1], k=3)
    expected = [score(model, TABLE[PAIR[1][0]], TABLE[one]) for one in texts]
    assert hits.scores is not None
    assert hits.scores[0] == pytest.approx(sorted(expected, reverse=True)[:3], abs=1e-12)
    assert len(hits.explain()) == 3
