"""Thresholds: the three ways to choose one, both directions of a score, and what bad labels get."""

from __future__ import annotations

import math
import warnings
from fractions import Fraction
from itertools import accumulate, product
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from xsiamese import Calibration, Decision, SiameseModel, calibrate
from xsiamese.model.comparison import ClampedEuclidean, Function
from xsiamese.pairs.calibration import equal_error_rate
from xsiamese.training.quality import decisions


def scored(higher_is_closer: bool = True) -> SiameseModel:
    """A model whose score is the difference of two numbers."""
    return SiameseModel(nn.Identity(), Function(lambda a, b: (b - a).flatten(), higher_is_closer))


def noisy(pairs: int = 400, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Scores of same pairs around 1, of different ones around -1."""
    generator = torch.Generator().manual_seed(seed)
    same = torch.rand(pairs, generator=generator) < 0.3
    scores = torch.randn(pairs, generator=generator) + torch.where(same, 1.0, -1.0)
    return torch.zeros(pairs, 1), scores[:, None], same


@pytest.mark.parametrize("method", ["eer", "far", "accuracy"])
def test_a_distance_is_a_similarity_turned_round(method: str) -> None:
    a, b, same = noisy()
    up, down = (calibrate(scored(flag), a, b if flag else -b, same, method=method) for flag in (True, False))  # type: ignore[arg-type]
    assert down.threshold == pytest.approx(-up.threshold)
    assert (down.accuracy, down.far, down.frr, down.eer) == (up.accuracy, up.far, up.frr, up.eer)


def test_rates_are_those_of_the_model_with_its_threshold() -> None:
    a, b, same = noisy()
    model = scored()
    found = calibrate(model, a, b, same)
    alike = model.comparison.is_close(model(a, b))
    assert model.comparison.threshold_ == found.threshold
    assert found.far == pytest.approx(float(alike[~same].float().mean()))
    assert found.frr == pytest.approx(float((~alike[same]).float().mean()))
    assert found.accuracy == pytest.approx(float((alike == same).float().mean()))
    assert (found.same, found.different) == (int(same.sum()), int((~same).sum()))
    assert abs(found.far - found.frr) <= 1 / min(found.same, found.different)
    assert found.eer == pytest.approx((found.far + found.frr) / 2)


def test_accuracy_is_the_best_of_all_thresholds() -> None:
    a, b, same = noisy()
    best = max(float(((b.flatten() >= t) == same).float().mean()) for t in [-math.inf, *b.flatten().tolist(), math.inf])
    assert calibrate(scored(), a, b, same, method="accuracy").accuracy == pytest.approx(best)


@pytest.mark.parametrize("far", [0.0, 0.05, 0.2])
def test_far_is_kept_and_no_looser_threshold_keeps_it(far: float) -> None:
    a, b, same = noisy()
    found = calibrate(scored(), a, b, same, method="far", far=far)
    assert found.far <= far
    looser = b.flatten()[same & (b.flatten() < found.threshold)].max()
    assert float((b.flatten()[~same] >= looser).float().mean()) > far


def test_separable_pairs_get_the_middle_of_the_gap() -> None:
    a, b = torch.zeros(4, 1), torch.tensor([[1.0], [2.0], [8.0], [9.0]])
    for how in ({"method": "eer"}, {"method": "far", "far": 0}, {"method": "accuracy"}):
        found = calibrate(scored(), a, b, torch.tensor([0, 0, 1, 1]), **how)  # type: ignore[arg-type]
        assert (found.threshold, found.eer, found.accuracy) == (5, 0, 1)


def test_a_clamped_distance_is_judged_unclamped() -> None:
    model = SiameseModel(nn.Identity(), ClampedEuclidean(limit=1))
    a, b = torch.zeros(4, 1), torch.tensor([[1.5], [2.0], [4.0], [5.0]])
    assert calibrate(model, a, b, torch.tensor([1, 1, 0, 0])).threshold == 3


def test_batches_and_training_mode_change_nothing() -> None:
    a, b, same = noisy(50)
    model = SiameseModel(nn.Sequential(nn.Linear(1, 3), nn.BatchNorm1d(3)), "euclidean").train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    assert calibrate(model, a, b, same, internal_batch_size=7).threshold == pytest.approx(
        calibrate(model, a, b, same).threshold, rel=1e-5
    )
    assert model.training
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_a_callable_gets_its_threshold_in_the_result_only() -> None:
    a, b, same = noisy()
    assert calibrate(lambda a, b: (b - a).flatten(), a, b, same) == calibrate(scored(), a, b, same)


def test_the_checkpoint_keeps_it(tmp_path: Path) -> None:
    from xsiamese.zoo import load, save
    from xsiamese.zoo.image import fashion

    torch.manual_seed(0)
    model = fashion()
    images = torch.randn(2, 8, 1, 28, 28)
    found = calibrate(model, images[0], images[1], torch.arange(8) % 2)
    loaded = load(save(tmp_path / "model.safetensors", model, "fashion")).model
    assert isinstance(loaded, SiameseModel)
    assert loaded.comparison.threshold_ == found.threshold


def test_it_reads_well() -> None:
    found = Calibration(0.5, "eer", 0.1, 0.9, 0.1, 0.1, 10, 20, False)
    assert str(found).startswith("alike if score <= 0.5 (eer): accuracy 90.0%")


@pytest.mark.parametrize(
    ("same", "options", "message"),
    [
        (torch.ones(3), {}, r"shape \(3,\) for 4 pairs"),
        (torch.ones(4), {}, "all 4 pairs are labelled the same"),
        (torch.zeros(4), {}, "all 4 pairs are labelled different"),
        (torch.tensor([0, 1, 2, 1]), {}, "other values than 0 and 1"),
        (torch.tensor([0, 1, 0, 1]), {"method": "roc"}, "method='roc'"),
        (torch.tensor([0, 1, 0, 1]), {"far": 1.0}, "far=1.0"),
        (torch.tensor([0, 1, 0, 1]), {"internal_batch_size": 0}, "internal_batch_size=0"),
    ],
)
def test_bad_input_is_named(same: Tensor, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        calibrate(scored(), torch.zeros(4, 1), torch.arange(4.0)[:, None], same, **options)  # type: ignore[arg-type]


def test_a_far_that_cannot_be_measured_warns() -> None:
    with pytest.warns(UserWarning, match="cannot be measured on 2 different pairs"):
        calibrate(scored(), torch.zeros(4, 1), torch.arange(4.0)[:, None], torch.tensor([0, 0, 1, 1]), method="far")


def test_infinite_and_many_scores_are_refused() -> None:
    same = torch.tensor([0, 1])
    with pytest.raises(ValueError, match="NaN or infinite for pair 0 of 2"):
        calibrate(lambda a, b: (a / b).flatten(), torch.zeros(2, 1), torch.tensor([[0.0], [1.0]]), same)
    with pytest.raises(ValueError, match="one score per pair"):
        calibrate(lambda a, b: (a, b), torch.zeros(2, 1), torch.zeros(2, 1), same)


def by_definition(score: list[int], same: list[bool], cuts: list[float]) -> list[tuple[Fraction, Fraction]]:
    """Both error rates at every cut, by counting."""
    return [
        (
            Fraction(sum(s >= cut for s, y in zip(score, same, strict=True) if not y), same.count(False)),
            Fraction(sum(s < cut for s, y in zip(score, same, strict=True) if y), same.count(True)),
        )
        for cut in cuts
    ]


@pytest.mark.parametrize("pairs", [3, 4, 5, 6, 7])
def test_the_equal_error_rate_of_all_orders_is_the_definition_s(pairs: int) -> None:
    ranks = [list(range(pairs))]  # and all ways in which neighbours may tie, for few pairs
    if pairs <= 5:
        ranks = [list(accumulate((0, *steps))) for steps in product((0, 1), repeat=pairs - 1)]
    for score, same in product(ranks, product((False, True), repeat=pairs)):
        if all(same) or not any(same):
            continue
        rates = by_definition(score, list(same), [*range(max(score) + 2)])
        least = min(abs(far - frr) for far, frr in rates)
        wanted = float(min((far + frr) / 2 for far, frr in rates if abs(far - frr) == least))
        scores, labels = torch.tensor(score, dtype=torch.float32), torch.tensor(same)
        rate, cut = equal_error_rate(scores, labels)
        assert rate == pytest.approx(wanted), (score, same)
        [(far, frr)] = by_definition(score, list(same), [cut])  # the cut is one at which the rate is met
        assert float(far + frr) / 2 == pytest.approx(wanted), (score, same)
        assert decisions(scores, labels, Decision(cut))["eer"] == rate  # what metrics.json says
        for way in (True, False):
            b = (scores if way else -scores)[:, None]
            found = calibrate(scored(way), torch.zeros_like(b), b, labels)
            assert (found.eer, found.far, found.frr) == pytest.approx((wanted, float(far), float(frr)))


@pytest.mark.parametrize("value", [1.0, 1e20, -1e20])
def test_neighbouring_doubles_and_huge_scores_are_told_apart(value: float) -> None:
    low = torch.tensor([value], dtype=torch.float64)
    score = torch.cat([low, low.nextafter(torch.tensor(math.inf, dtype=torch.float64))])
    rate, cut = equal_error_rate(score, torch.tensor([False, True]))
    assert rate == 0.0
    assert Decision(cut).alike(score).tolist() == [False, True]
    assert equal_error_rate(score[:1].repeat(2), torch.tensor([False, True]))[0] == 0.5


def test_rates_that_pairs_cannot_tell_are_told_for_that_method_only() -> None:
    """Of four different pairs a rate of a quarter can be measured, and nothing below it but none at all."""
    model = SiameseModel(torch.nn.Identity(), "euclidean")
    a, b = torch.zeros(6, 1), torch.tensor([[1.0], [2.0], [3.0], [4.0], [5.0], [6.0]])
    same = torch.tensor([True, True, False, False, False, False])
    said = "cannot be measured on 4 different pairs: the threshold accepts none of them"
    with pytest.warns(UserWarning, match=f"far=0.2 {said}"):
        assert calibrate(model, a, b, same, method="far", far=0.2).far == 0.0
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*cannot be measured")
        assert calibrate(model, a, b, same, method="far", far=0.25).far == 0.25
        assert calibrate(model, a, b, same, method="far", far=0.0).far == 0.0
        calibrate(model, a, b, same)
    for wrong in (1.0, -0.1):
        with pytest.raises(ValueError, match=rf"far={wrong}: a share in \[0, 1\) is needed"):
            calibrate(model, a, b, same, method="far", far=wrong)
