"""Mask regression is what its identities say, against games evaluated by their definitions."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.pair_games import banzhaf, banzhaf_values, least_squares, shapley, shapley_values
from xsiamese import BlackBoxEncoder, PairInteraction, PairMaskRegression, PairMatrix, SiameseModel, TwoInputModel
from xsiamese.model.comparison import Bilinear, Euclidean, Function, Learned
from xsiamese_interactions.masks import generator_of

N, M = 4, 3


def tower(width: int, seed: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(width, 6), nn.Tanh(), nn.Linear(6, 5)).double()


def rbf(z_a: Tensor, z_b: Tensor) -> Tensor:
    return torch.exp(-0.5 * (z_a - z_b).square().sum(1))


def model(head: Any = "cosine") -> SiameseModel:
    return SiameseModel((tower(N, 1), tower(M, 2)), Function(rbf) if head == "rbf" else head)


def pair() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return tuple(torch.randn(1, k, generator=generator, dtype=torch.float64) for k in (N, M))  # type: ignore[return-value]


def game(head: Any = "cosine") -> Any:
    scored, (a, b) = model(head), pair()

    def value(of_a: Tensor, of_b: Tensor) -> Tensor:
        with torch.no_grad():
            score = scored(of_a * a, of_b * b)
        return score if scored.higher_is_closer else -score

    return value


def matrix(head: Any = "cosine", **options: Any) -> PairMatrix:
    return PairMaskRegression(model(head)).explain(pair(), **{"p": 0.5, **options}).matrix


def close(found: Tensor, expected: Tensor, tolerance: float = 1e-12) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("head", ["cosine", "dot", "rbf", "euclidean", "squared_euclidean"])
def test_with_all_masks_it_is_the_banzhaf_interaction(head: str) -> None:
    close(matrix(head).dense(), banzhaf(game(head), N, M))


def test_at_another_probability_it_is_the_weighted_one() -> None:
    close(matrix(p=0.8).dense(), banzhaf(game(), N, M, 0.8))
    close(matrix(p=0.8).dense(), least_squares(game(), N, M, within=True, p=0.8))


@pytest.mark.parametrize("within", [False, True], ids=["bilinear", "Faith-Banzhaf"])
def test_it_is_the_cross_block_of_the_full_regression(within: bool) -> None:
    close(matrix().dense(), least_squares(game(), N, M, within=within))


@pytest.mark.parametrize("head", ["cosine", "dot"])
def test_by_nodes_in_p_it_is_the_shapley_interaction(head: str) -> None:
    close(matrix(head, index="shapley").dense(), shapley(game(head), N, M))


@pytest.mark.parametrize("head", ["cosine", "rbf"])
def test_what_stands_alone_are_the_effects_without_the_other_item(head: str) -> None:
    found = matrix(head)
    assert found.alone is not None
    main = torch.cat([found.alone[k] + found.marginals[k] / 2 for k in (0, 1)])  # at the other's mean mask
    close(main, banzhaf_values(game(head), N, M))


def test_the_value_is_the_score_where_the_score_is_bilinear() -> None:
    linear = SiameseModel((nn.Linear(N, 5).double(), nn.Linear(M, 5).double()), "dot")
    found = PairMaskRegression(linear).explain(pair())
    close(found.matrix.value, found.scores[0])


def test_other_heads_than_products() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        learned = Learned(nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 1)).double())
        bilinear = Bilinear(5).double()
        nn.init.normal_(bilinear.weight)
    for head in (learned, bilinear, Euclidean()):
        close(matrix(head).dense(), banzhaf(game(head), N, M))


def test_a_sample_comes_near_and_knows_how_near() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        encoder = nn.Sequential(nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 5)).double()
        a, b = torch.randn(2, 1, 12, dtype=torch.float64)
    explainer = PairMaskRegression(SiameseModel(encoder))
    exact = explainer.explain((a, b), masks=2**12).matrix
    few, many = (explainer.explain((a, b), masks=k).matrix for k in (100, 1600))
    error = [(one.dense() - exact.dense()).norm() / exact.dense().norm() for one in (few, many)]
    assert error[1] < error[0] / 2.5
    assert exact.standard_error is None
    assert few.standard_error is not None


@pytest.mark.parametrize(("parts", "masks"), [((6, 5), 32), ((12, 10), 64)])
def test_intervals_cover(parts: tuple[int, int], masks: int) -> None:
    """What 95 % intervals say, over 200 seeds: the embeddings of all masks are known, so that drawing is cheap."""
    from xsiamese_interactions.masks import Masks, Regression, draw

    generator = torch.Generator().manual_seed(0)
    nets = [tower(parts[0], 8), tower(parts[1], 9)]
    every = [draw(k, 2**k, 0.5, torch.zeros(1).double(), generator) for k in parts]

    def slopes(masks: list[Masks]) -> tuple[Tensor, Tensor]:
        fits = [Regression.of(one) for one in masks]
        with torch.no_grad():
            z = [nn.functional.normalize(net(one.keep), dim=1) for net, one in zip(nets, masks, strict=True)]
        left, right = (fit.slopes(one) for fit, one in zip(fits, z, strict=True))
        variance = fits[0].spread @ (fits[0].residuals(z[0]) @ right.T).square()
        return left @ right.T, variance + (fits[1].spread @ (fits[1].residuals(z[1]) @ left.T).square()).T

    truth, _ = slopes(every)
    for mirrored in (True, False):
        inside = []
        for seed in range(200):
            drawing = torch.Generator().manual_seed(seed)
            # 0.5 draws each mask with its complement, anything else by itself
            some = [
                draw(k, masks - (not mirrored), 0.5 if mirrored else 0.5 + 1e-9, every[0].keep, drawing) for k in parts
            ]
            some = [one if one.weight is None else draw(5, 30, 0.5, every[0].keep, drawing) for one in some]
            try:
                found, variance = slopes(some)
            except ValueError:  # these few masks could not tell the parts apart
                continue
            inside.append(((found - truth).abs() < 1.96 * variance.sqrt()).double().mean())
        assert len(inside) > 190
        assert 0.93 <= float(torch.stack(inside).mean()) <= 0.97


def test_masks_with_their_complements_are_orthogonal() -> None:
    """No part's slope has to be told from another's, and what triples of parts do disturbs them less."""
    from xsiamese_interactions.masks import Regression, draw

    like, drawing = torch.zeros(1).double(), torch.Generator()
    for parts, count in ((5, 16), (12, 32), (12, 96), (16, 64)):
        signs = 2 * draw(parts, count, 0.5, like, drawing.manual_seed(0)).keep - 1
        close(signs.T @ signs, count * torch.eye(parts).double())
        assert torch.equal(signs[: count // 2], -signs[count // 2 :])
        close(signs, 2 * draw(parts, count, 0.5, like, drawing.manual_seed(0)).keep - 1)
        assert not torch.equal(signs, 2 * draw(parts, count, 0.5, like, drawing.manual_seed(1)).keep - 1)
    truth = torch.randn(12, generator=drawing.manual_seed(2)).double()

    def cubic(keep: Tensor) -> Tensor:
        """Slopes of a hand-made game: ``truth`` and, of triples of parts, nothing at one half."""
        signs = 2 * keep - 1
        return keep @ truth + signs[:, :10].mul(signs[:, 1:11]).mul(signs[:, 2:12]).sum(1)

    def error(count: int, plain: bool) -> float:
        found = []
        for seed in range(50):
            drawn = draw(12, count, 0.5, like, drawing.manual_seed(seed))
            if plain:
                half = (torch.rand(count // 2, 12, generator=drawing) < 0.5).double()
                drawn = replace(drawn, keep=torch.cat([half, 1 - half]))
            found.append((Regression.of(drawn).slopes(cubic(drawn.keep)) - truth).square().mean())
        return float(torch.stack(found).mean())

    assert error(64, plain=False) < 0.75 * error(64, plain=True)
    for seed in range(20):  # fewer than a block: plain draws, of which a part of a block would not tell 17 parts apart
        assert Regression.of(draw(17, 42, 0.5, like, drawing.manual_seed(seed))).inverse.isfinite().all()


def test_it_draws_until_the_strongest_cells_are_known() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        encoder = nn.Sequential(nn.Linear(14, 8), nn.Tanh(), nn.Linear(8, 5)).double()
        a, b = torch.randn(2, 1, 14, dtype=torch.float64)
    found = PairMaskRegression(SiameseModel(encoder)).explain((a, b), masks=64, tolerance=0.1)
    assert found.columns["masks"][0][0] > 64
    assert all(1.96 * match.error <= 0.1 * abs(float(found.matrix.value)) for match in found.matrix.top(8))


def test_masks_belong_to_the_item() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        encoder = nn.Sequential(nn.Linear(14, 8), nn.Tanh(), nn.Linear(8, 5)).double()
        a, b = torch.randn(2, 1, 14, dtype=torch.float64)
    explainer = PairMaskRegression(SiameseModel(encoder))
    first, swapped, own = (explainer.explain(p, masks=64).matrix for p in ((a, b), (b, a), (a, a.clone())))
    close(swapped.dense(), first.dense().T)
    close(own.dense(), own.dense().T)
    assert float(torch.linalg.eigvalsh(own.dense()).min()) > -1e-12
    first_a, again, first_b, reseeded = (generator_of(*of).initial_seed() for of in ((a, 0), (a, 0), (b, 0), (a, 1)))
    assert first_a == again
    assert len({first_a, first_b, reseeded}) == 3


FIRST, SECOND = zip(*((i, j) for i in range(6) for j in range(i)), strict=True)  # all pairs of six items


@pytest.mark.parametrize("head", ["cosine", "bilinear", "squared_euclidean", "rbf"])
def test_all_pairs_of_six_items_are_six_runs_of_masks(head: str) -> None:
    encoder, items = tower(14, 5), torch.randn(6, 14, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    made = {"rbf": lambda: Function(rbf), "bilinear": lambda: Bilinear(5).double()}.get(head, lambda: head)()
    explainer, rows = PairMaskRegression(SiameseModel(encoder, made)), []
    encoder.register_forward_hook(lambda module, args, output: rows.append(len(output)))
    found = explainer.explain((items[list(FIRST)], items[list(SECOND)]), masks=64)
    assert sum(rows) == 6 * (64 + 2) + 2 * 8  # a pair beside copies of itself and beside others, once
    for k in (0, 7, 14):  # by itself, and by the way of a pair of which nothing is shared
        alone = items[FIRST[k], None], items[SECOND[k], None]
        one = explainer.explain(alone, masks=64, tolerance=1e9)
        close(found[k].matrix.dense(alone=True), one.matrix.dense(alone=True))
        close(found[k].matrix.standard_error, one.matrix.standard_error)
        close(found[k].columns["reference"], one.columns["reference"])
        close(found[k].scores, one.scores)


def test_less_is_kept_without_errors_and_pair_by_pair_if_it_is_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, items = tower(14, 5), torch.randn(6, 14, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    explainer, pairs = PairMaskRegression(SiameseModel(encoder)), (items[list(FIRST)], items[list(SECOND)])
    whole = explainer.explain(pairs, masks=64)
    bare = explainer.explain(pairs, masks=64, errors=False)
    monkeypatch.setattr("xsiamese_interactions.regression.ROOM", 1)
    by_pair = explainer.explain(pairs, masks=64)
    for k in range(len(FIRST)):
        assert bare[k].matrix.standard_error is None
        close(bare[k].matrix.dense(alone=True), whole[k].matrix.dense(alone=True))
        close(by_pair[k].matrix.standard_error, whole[k].matrix.standard_error)


def test_an_item_with_another_baseline_is_another_item() -> None:
    encoder, (a, b, c) = tower(5, 5), torch.randn(3, 1, 5, dtype=torch.float64)
    explainer, pairs = PairMaskRegression(SiameseModel(encoder)), (torch.cat([a, a]), torch.cat([b, c]))
    for baselines in ("partner", (torch.cat([b, c]), 0.0)):
        both = explainer.explain(pairs, baselines=baselines, filling="baseline")
        for k, other in enumerate((b, c)):
            starts = baselines if isinstance(baselines, str) else (other, 0.0)
            one = explainer.explain((a, other), baselines=starts, filling="baseline")
            close(both[k].matrix.dense(), one.matrix.dense())
    swapped = explainer.explain((torch.cat([a, b]), torch.cat([b, a])), baselines=(0.0, 0.5))
    one = explainer.explain((b, a), baselines=(0.0, 0.5))
    close(swapped[1].matrix.dense(), one.matrix.dense())


def test_a_model_of_both_inputs_gives_the_same_for_more_passes() -> None:
    scored = model()
    joint = TwoInputModel(lambda a, b: scored(a, b))
    with pytest.raises(ValueError, match=r"16 x 8 masks are 128 passes: confirm them by max_passes=128"):
        PairMaskRegression(joint).explain(pair())
    found = PairMaskRegression(joint).explain(pair(), max_passes=128, p=0.5).matrix
    close(found.dense(), matrix().dense())


def test_nothing_but_answers_is_needed() -> None:
    inner = tower(N, 1)

    def answers(items: Any) -> Any:
        return inner(torch.as_tensor(items)).detach().numpy()

    a, b = pair()[0], pair()[0] + 0.5
    asked = PairMaskRegression(SiameseModel(BlackBoxEncoder(answers))).explain((a, b)).matrix
    close(asked.dense(), PairMaskRegression(SiameseModel(inner)).explain((a, b)).matrix.dense())
    with pytest.raises(ValueError, match="use PairMaskRegression"):
        PairInteraction(SiameseModel(BlackBoxEncoder(answers))).explain((a, b))
    with pytest.raises(ValueError, match="one row of an embedding for each"):
        SiameseModel(BlackBoxEncoder(lambda items: items[:1]))(a.expand(2, N), b.expand(2, N))


def test_a_target_is_of_the_pair_and_not_of_its_items() -> None:
    asked: list[int] = []
    encoder = BlackBoxEncoder(lambda items: asked.append(len(items)) or items[:, :3])
    with pytest.raises(ValueError, match="confirm them by max_passes=128"):
        PairMaskRegression(SiameseModel(encoder)).explain((torch.rand(1, 4), torch.rand(1, 3)), lambda s: 2 * s)
    assert sum(asked) < 10  # the pair itself, and no mask


def test_the_shapley_index_of_a_bilinear_game_is_its_matrix_and_half_its_sums_the_values() -> None:
    """I14."""
    linear = SiameseModel((nn.Linear(N, 5, bias=False).double(), nn.Linear(M, 5, bias=False).double()), "dot")
    (first, second), (a, b) = linear.encoders, pair()
    expected = ((first.weight * a).T @ (second.weight * b)).detach()
    found = PairMaskRegression(linear).explain((a, b), index="shapley").matrix
    close(found.dense(), expected)
    value = shapley_values(lambda x, y: linear(x * a, y * b).detach(), N, M)
    close(torch.cat(found.marginals) / 2, value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"masks": 40, "cells": (7, 7)}, "more than 49 different masks are needed, got 40"),
        ({"masks": 64, "cells": (7, 7), "p": 0.5}, "64 masks do not tell 49 parts apart"),
        ({"index": "owen"}, "'banzhaf' or 'shapley' is needed"),
        ({"filling": "grey"}, "filling='grey'"),
        ({"p": 1.0}, "between 0 and 1"),
        ({"cells": (9, 9)}, "no finer than"),
    ],
)
def test_what_cannot_be_is_said_before_the_model_is_asked(options: dict[str, Any], said: str) -> None:
    asked = []
    encoder = BlackBoxEncoder(lambda items: asked.append(len(items)) or items.reshape(len(items), -1))
    with pytest.raises(ValueError, match=said):
        PairMaskRegression(SiameseModel(encoder)).explain((torch.rand(1, 1, 8, 8), torch.rand(1, 1, 8, 8)), **options)
    assert sum(asked) == 0


def test_what_does_not_suit_the_model_or_the_items_is_said() -> None:
    rows, other = torch.rand(1, 4), torch.rand(1, 5)
    dot = SiameseModel((nn.Linear(4, 3), nn.Linear(5, 3)), "dot")
    for model, pair, options, said in (
        (
            SiameseModel(nn.Linear(4, 3), "euclidean"),
            (rows, rows),
            {"index": "shapley"},
            "index='shapley' needs a comparison that is a product of features: use index='banzhaf'",
        ),
        (dot, (rows, other), {"filling": "partner"}, "filling='partner': a (1, 4) cannot be filled from a (1, 5)"),
        (
            dot,
            (rows, other),
            {"filling": "blur"},
            "filling='blur' is for images, and this is (1, 4): 'baseline' or 'mean' fit",
        ),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
            PairMaskRegression(model).explain(pair, **options)


def test_without_a_seed_each_run_draws_masks_of_its_own() -> None:
    def drawn() -> Tensor:
        torch.manual_seed(next(seeds))
        pair = torch.arange(8.0)[None], torch.ones(1, 8)
        model = SiameseModel(nn.Tanh(), "dot")
        return PairMaskRegression(model).explain(pair, seed=None, masks=40).matrix.dense()

    seeds = iter((0, 1, 0))
    first, second, again = drawn(), drawn(), drawn()
    assert torch.equal(first, again)
    assert not torch.allclose(first, second)


def test_more_masks_than_all_and_than_are_held_are_not_drawn() -> None:
    """A tolerance of nothing is never met: all 16 masks of four parts are exact, and of many parts MOST are the end."""
    close_ = SiameseModel(nn.Identity(), "euclidean")
    a, b = torch.rand(1, 4, generator=torch.Generator().manual_seed(0)), torch.ones(1, 4)
    exact = PairMaskRegression(close_).explain((a, b), masks=16)
    found = PairMaskRegression(close_).explain((a, b), masks=16, tolerance=0.0)
    close(found.matrix.dense(), exact.matrix.dense())
    assert list(found.columns["masks"]) == [[16, 16]]


@pytest.mark.parametrize("filling", ["blur", "mean", "noise", "partner", "baseline"])
def test_every_filling_fills(filling: str) -> None:
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 4)).double()
    a, b = torch.rand(2, 1, 1, 8, 8, dtype=torch.float64)
    found = PairMaskRegression(SiameseModel(encoder)).explain((a, b), cells=(2, 2), filling=filling)
    close(found.maps[0].sum(), found.matrix.total)
    close(found.maps[1].sum(), found.matrix.total)


def test_a_linear_model_is_recovered_from_one_mask_more_than_parts() -> None:
    """I17's game: an additive one, exactly."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        encoder = nn.Linear(9, 3, bias=False).double()
        a, b = torch.randn(2, 1, 9, dtype=torch.float64)
    expected = (encoder.weight * a).T @ (encoder.weight * b)
    found = PairMaskRegression(SiameseModel(encoder, "dot")).explain((a, b), masks=24).matrix
    close(found.dense(), expected.detach(), 1e-10)


def test_a_constant_encoder_gives_zeros() -> None:
    encoder = BlackBoxEncoder(lambda items: items[:, :2] * 0 + 1)
    found = PairMaskRegression(SiameseModel(encoder)).explain((torch.rand(1, 5), torch.rand(1, 5))).matrix
    assert float(found.dense().abs().max()) < 1e-6


def test_a_text_is_filled_with_the_mean_of_its_tokens() -> None:
    """The mean is one over the places of an item, be they pixels, times, tokens or nodes: never over the channels."""
    from xsiamese.author import parts_of
    from xsiamese_interactions.masks import filled

    text, image = torch.randn(1, 5, 3), torch.randn(1, 3, 4, 4)
    of_text = filled(text, "mean", text, text, parts_of(text, None, 2))
    of_image = filled(image, "mean", image, image, parts_of(image, (2, 2), 1))
    of_nodes = filled(text[0], "mean", text[0], text[0], parts_of(text[0], None, 0))
    assert torch.allclose(of_text, text.mean(1, keepdim=True).expand_as(text))
    assert torch.allclose(of_image, image.mean((2, 3), keepdim=True).expand_as(image))
    assert torch.allclose(of_nodes, text.mean(1).expand(5, 3))


def test_each_side_has_a_bar(capsys: pytest.CaptureFixture[str]) -> None:
    PairMaskRegression(SiameseModel(nn.Identity(), "dot")).explain(
        (torch.rand(1, 4), torch.rand(1, 4)), masks=16, show_progress=True
    )
    told = capsys.readouterr().err
    assert "masks of a: 100%" in told
    assert "masks of b: 100%" in told
