"""Methods that read a run of masks, against their formulas in plain loops, scipy, and an additive game."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import rankdata, spearmanr
from torch import Tensor, nn

from xsiamese import (
    MaskRun,
    PairCorrRISE,
    PairDistanceExplainer,
    PairRELAX,
    PairRISE,
    PairSBSM,
    PairXFace,
    SiameseModel,
)

METHODS = (PairRISE, PairCorrRISE, PairRELAX, PairSBSM, PairXFace, PairDistanceExplainer)


def setting(head: Any = "cosine") -> tuple[SiameseModel, tuple[Tensor, Tensor]]:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        encoder = nn.Sequential(nn.Linear(16, 6), nn.Tanh(), nn.Linear(6, 4)).double()
        a, b = torch.randn(2, 1, 16, dtype=torch.float64)
    return SiameseModel(encoder, head), (a, b)


def asked(model: SiameseModel, pair: tuple[Tensor, Tensor], masks: Tensor, side: int) -> list[float]:
    """The closeness under each mask, one by one."""
    found = []
    for mask in masks:
        items = [item * mask if k == side else item for k, item in enumerate(pair)]
        score = float(model(*items))
        found.append(score if model.higher_is_closer else -score)
    return found


def expected(method: type, masks: np.ndarray, s: np.ndarray, whole: float) -> list[float]:
    """The formula of a method, part by part."""
    values = []
    for i in range(masks.shape[1]):
        m = masks[:, i]
        if method in (PairRISE, PairRELAX):
            values.append(sum(s[m == 1]) / max(1, sum(m)) - np.mean(s))
        elif method is PairCorrRISE:
            ranks = rankdata(s)
            values.append(np.corrcoef(ranks, m)[0, 1])
            assert values[-1] == pytest.approx(spearmanr(s, m).statistic)
        elif method is PairSBSM:
            values.append(np.mean(whole - s[m == 0]))
        elif method is PairXFace:
            values.append(np.mean([(1 - m[t]) * (whole - s[t]) / max(1, sum(1 - masks[t])) for t in range(len(m))]))
        else:
            order = np.argsort(-s, kind="stable")
            tenth = int(0.1 * len(s))
            values.append(m[order[:tenth]].mean() - m[order[-tenth:]].mean())
    return values


@pytest.mark.parametrize("head", ["cosine", "euclidean"])
@pytest.mark.parametrize("method", METHODS)
def test_each_is_its_formula_on_both_sides(method: type, head: str) -> None:
    model, pair = setting(head)
    run = MaskRun(model).sample(pair, masks=60)
    maps = method(model).attribute(pair, sample=run, masks=60)
    whole = float(model(*pair)) * (1 if model.higher_is_closer else -1)
    for side, name in enumerate("ab"):
        masks = run.columns[f"masks_{name}"][0]
        s = np.array(asked(model, pair, masks, side))
        wanted = torch.tensor(expected(method, masks.numpy(), s, whole))
        torch.testing.assert_close(maps[side][0], wanted, rtol=0, atol=1e-8)


def test_one_run_serves_all_without_asking_again() -> None:
    model, pair = setting()
    calls: list[int] = []
    handle = model.encoder.register_forward_hook(lambda module, args, output: calls.append(len(output)))
    run = MaskRun(model).sample(pair, masks=50)
    assert sum(calls) == 2 * (50 + 1)
    calls.clear()
    for method in METHODS:
        method(model).explain(pair, sample=run, masks=50)
    assert sum(calls) == 0
    handle.remove()


def test_a_run_of_another_pair_is_refused() -> None:
    model, (a, b) = setting()
    run = MaskRun(model).sample((a, b), masks=50)
    with pytest.raises(ValueError, match="the sample is of other pairs"):
        PairRISE(model).attribute((b, a), sample=run, masks=50)


def test_an_additive_game() -> None:
    """I17: SBSM and RISE of a linear score are its weights up to scale, CorrRISE's Pearson limit likewise."""
    weights = torch.tensor([3.0, -2.0, 1.0, 0.0, 0.5]).double()
    encoder = nn.Linear(5, 1, bias=False).double()
    with torch.no_grad():
        encoder.weight.copy_(weights[None])
    pair = torch.ones(1, 5).double(), torch.ones(1, 5).double() / weights.sum()
    model = SiameseModel(encoder, "dot")
    run = MaskRun(model).sample(pair, masks=40000, p=0.5)
    rise, sbsm = (m(model).attribute(pair, sample=run, masks=40000, p=0.5)[0][0] for m in (PairRISE, PairSBSM))
    torch.testing.assert_close(rise, weights / 2, rtol=0, atol=0.05)  # w (1 - p)
    # without a part its own weight is lost, and half of all others
    torch.testing.assert_close(sbsm, weights / 2 + weights.sum() / 2, rtol=0, atol=0.05)


def test_signed_where_the_published_map_clips() -> None:
    model, pair = setting()
    found = PairSBSM(model).attribute(pair, masks=200)
    assert bool((found[0] < 0).any()) or bool((found[1] < 0).any())


def test_relax_says_how_unsure_it_is() -> None:
    model, pair = setting()
    found = PairRELAX(model).explain(pair, masks=60)
    run = MaskRun(model).sample(pair, masks=60)
    masks = run.columns["masks_a"][0]
    s = torch.tensor(asked(model, pair, masks, 0), dtype=torch.float64)
    variance = torch.stack([s[masks[:, i] == 1].var(correction=0) for i in range(16)])
    torch.testing.assert_close(found.columns["uncertainty_a"][0], variance, rtol=0, atol=1e-8)


def test_compared_with_the_other_item_masked_in_every_way() -> None:
    model, pair = setting()
    run = MaskRun(model).sample(pair, masks=30)
    found = PairRISE(model).attribute(pair, sample=run, masks=30, partner="masked")
    of_a, of_b = run.columns["masks_a"][0], run.columns["masks_b"][0]
    s = torch.tensor([[float(model(pair[0] * x, pair[1] * y)) for y in of_b] for x in of_a], dtype=torch.float64)
    wanted = torch.stack([s[of_a[:, i] == 1].mean() for i in range(16)]) - s.mean()
    torch.testing.assert_close(found[0][0], wanted, rtol=0, atol=1e-8)


@pytest.mark.parametrize("options", [{"masks": 1}, {"p": 0.0}, {"cells": (9, 9)}, {"partner": "none"}])
def test_what_cannot_be_is_said(options: dict[str, Any]) -> None:
    model = SiameseModel(nn.Flatten())
    with pytest.raises(ValueError, match=f"{next(iter(options))}="):
        PairRISE(model).attribute((torch.rand(1, 1, 8, 8), torch.rand(1, 1, 8, 8)), **options)


@pytest.mark.parametrize("method", METHODS)
def test_texts_are_masked_by_tokens(method: Any) -> None:
    """A text that is given as vectors is missing a whole token or none of it: the score is a sum over tokens, and a
    token has one value at all of its numbers, in the order of what it adds.
    """
    model = SiameseModel(SumOfTokens(), "dot")
    a, b = torch.randn(2, 1, 5, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = method(model).attribute((a, b), kind="text", masks=400)[0]
    assert torch.equal(found, found[..., :1].expand_as(found))
    adds = a[0] @ b[0].sum(0)
    assert spearmanr(found[0, :, 0], adds).statistic > 0.85


class SumOfTokens(nn.Module):
    def forward(self, vectors: Tensor) -> Tensor:
        return vectors.sum(1)


def test_a_thing_across_cells_has_its_peak_in_its_middle() -> None:
    """The score is what lies under one window, half of it in each of two cells: hard cells have two equal ones, and
    the softened map its peak where both meet.
    """
    window = torch.zeros(1, 1, 16, 16)
    window[..., 4:8, 6:10] = 1.0
    pair = window, torch.ones(1, 1, 16, 16)
    model = SiameseModel(nn.Flatten(), "dot")
    hard, soft = (
        PairRISE(model).attribute(pair, masks=400, cells=(4, 4), soften=soften)[0][0, 0] for soften in (False, None)
    )
    assert hard[5, 5] == hard[5, 4] > hard[5, 8] * 0.7 > 0
    row, column = divmod(int(soft.argmax()), 16)
    assert 4 <= row < 8
    assert 6 <= column < 10
    assert float(soft[4:8, 6:10].mean()) > float(soft[4:8, 2:6].mean())


def test_words_have_no_neighbours_to_share_with() -> None:
    pair = torch.rand(1, 4, 3), torch.rand(1, 4, 3)
    with pytest.raises(ValueError, match="soften=True: text input has no places beside each other"):
        PairRISE(SiameseModel(nn.Flatten(), "dot")).attribute(pair, kind="text", masks=20, soften=True)
