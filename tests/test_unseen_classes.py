"""What a network is told to be worth on people that it has not met: whole classes are held out, and said."""

from __future__ import annotations

import csv
import json
import warnings
from pathlib import Path

import pytest
import torch
from scipy.stats import binomtest

from xsiamese.data import LabelledImages
from xsiamese.data.division import divided, split_classes
from xsiamese.data.pairs import fixed_pairs
from xsiamese.pairs.calibration import calibrate, supported, wilson
from xsiamese.training.evaluation import embeddings
from xsiamese.training.modality import modality
from xsiamese.training.run import loaded, train, watched
from xsiamese.training.settings import Settings
from xsiamese.zoo import load


def images(counts: list[int]) -> LabelledImages:
    """So many one-pixel images of each class; the pixel is the image's number."""
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    pixels = torch.arange(len(labels), dtype=torch.uint8)[:, None, None, None]
    return LabelledImages(pixels, labels, tuple(f"person{i}" for i in range(len(counts))))


def numbers(items: LabelledImages | None) -> set[int]:
    return set() if items is None else set(items.images.flatten().tolist())


def persons(items: LabelledImages | None) -> set[int]:
    return set() if items is None else set(items.labels.tolist())


@pytest.mark.parametrize("seed", range(5))
def test_whole_classes_are_held_out_from_ten_on(seed: int) -> None:
    items = images([1, 6, 6, 6, 6, 6, 6, 6, 6, 6, 2, 3])
    found = divided("people", items, 0.1, 0.2, seed=seed)
    parts = (found.train, found.valid, found.test, found.seen)
    assert sum(map(len, map(numbers, parts))) == len(items)
    assert set.union(*map(numbers, parts)) == numbers(items)
    assert not persons(found.train) & (persons(found.valid) | persons(found.test))
    assert not persons(found.valid) & persons(found.test)
    assert len(persons(found.valid)) == 2  # a tenth of eleven classes with pairs is one, which has no different pairs
    assert len(persons(found.test)) == 2
    assert persons(found.seen) <= persons(found.train)
    assert 0 in persons(found.train)  # one item makes no same pair
    for part in (found.valid, found.test, found.seen):
        assert part is not None
        assert bool((torch.bincount(part.labels)[part.labels] > 1).all())
    again = divided("people", items, 0.1, 0.2, seed=seed)
    assert numbers(again.test) == numbers(found.test)


def test_below_ten_classes_or_if_asked_items_are_held_out() -> None:
    few, many = images([5] * 9), images([5] * 10)
    for found in (divided("few", few, 0.2, 0.2), divided("many", many, 0.2, 0.2, by="items")):
        assert found.seen is None
        assert persons(found.test) == persons(found.train) == persons(found.valid)
    assert not persons((asked := divided("few", few, 0.2, 0.2, by="classes")).test) & persons(asked.train)
    with pytest.raises(ValueError, match="two to train on are needed"):
        divided("three", images([5] * 3), 0.2, 0.2, by="classes")
    with pytest.raises(ValueError, match="'classes' or 'items' is needed"):
        divided("few", few, 0.2, 0.2, by="people")  # type: ignore[arg-type]
    assert len(split_classes(many, 0.0, 0.3)[1]) == 0


@pytest.mark.parametrize(("errors", "trials"), [(0, 28), (1, 28), (28, 28), (3, 1000), (7, 9)])
def test_the_intervals_are_wilson_s(errors: int, trials: int) -> None:
    known = binomtest(errors, trials).proportion_ci(method="wilson")
    assert wilson(errors, trials) == pytest.approx((known.low, known.high), abs=1e-6)


def test_a_calibration_says_how_sure_its_rates_are() -> None:
    score = torch.tensor([0.1, 0.2, 0.3, 0.8, 0.25, 0.7, 0.9, 0.95])[:, None]
    same = torch.tensor([False] * 4 + [True] * 4)
    found = calibrate(lambda a, b: b[:, 0], score, score, same, method="accuracy")
    assert (found.far, found.frr) == (0.25, 0.25)
    assert found.far_interval == found.frr_interval == wilson(1, 4)
    # the least rate that 28 pairs support: with it, all come out right in less than one of twenty cases
    assert (1 - supported(28)) ** 28 < 0.05 < (1 - 0.9 * supported(28)) ** 28


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 14 people, five rows each, around a place of their own."""
    path = tmp_path_factory.mktemp("people") / "people.csv"
    generator = torch.Generator().manual_seed(0)
    centres = 3 * torch.randn(14, 4, generator=generator)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["x0", "x1", "x2", "x3", "who"])
        for number, centre in enumerate(centres):
            for row in centre + 0.5 * torch.randn(5, 4, generator=generator):
                writer.writerow([*(f"{value:.4f}" for value in row.tolist()), f"person{number}"])
    return path


def settings(people: Path, output: Path, **more: object) -> Settings:
    how = {"epochs": 2, "progress": False, "device": "cpu", "reading": {"target": "who"}, **more}
    return Settings("siamese-mlp", str(people), output=output, **how)  # type: ignore[arg-type]


def test_the_report_is_about_people_that_training_has_not_met(people: Path, tmp_path: Path) -> None:
    how = settings(people, tmp_path)
    with pytest.warns(UserWarning, match=r"stands on 25 different and 20 same pairs .*FAR below 12\.0% and FRR below"):
        trained = train(how)
    metrics = json.loads((tmp_path / "siamese-mlp-people-metrics.json").read_text())
    assert metrics["test_classes"] == "not seen in training"
    assert metrics["calibration"]["classes"] == 2
    assert metrics["calibration"]["least_far"] == pytest.approx(3 / 25)
    assert "5_nn_accuracy" not in metrics  # of a class that has no training items it says nothing
    assert 0 <= metrics["seen_classes"]["5_nn_accuracy"] <= 1
    # every number again, by hand, from the checkpoint
    source, checkpoint = loaded(how), load(trained.files[0])
    threshold = checkpoint.model.comparison.threshold_  # type: ignore[attr-defined, union-attr]
    assert metrics["threshold"] == metrics["seen_classes"]["threshold"] == threshold
    for part, told in ((source.test, metrics), (source.seen, metrics["seen_classes"])):
        pairs = fixed_pairs(part.labels, 20_000)
        z = embeddings(checkpoint.model, part, modality(how).ready())
        with torch.no_grad():
            score = checkpoint.model.comparison(z[pairs.a], z[pairs.b])  # type: ignore[operator, union-attr]
        alike = score.double() >= threshold
        wrong = int((alike & ~pairs.same).sum()), int((~alike & pairs.same).sum())
        counts = int((~pairs.same).sum()), int(pairs.same.sum())
        assert told["far"] == wrong[0] / counts[0]
        assert told["frr"] == wrong[1] / counts[1]
        assert tuple(told["far_interval"]) == pytest.approx(wilson(wrong[0], counts[0]))
        assert tuple(told["frr_interval"]) == pytest.approx(wilson(wrong[1], counts[1]))
    text = (tmp_path / "siamese-mlp-people-metrics.txt").read_text()
    assert "test classes            not seen in training" in text
    assert "seen classes" in text


def test_items_are_held_out_if_asked_and_said(people: Path, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        metrics = train(settings(people, tmp_path, split="items", valid=0.0, test=0.4)).metrics
    assert metrics["test_classes"] == "seen in training"
    assert "seen_classes" not in metrics
    assert "5_nn_accuracy" in metrics
    for dataset, network in (("MNIST", "siamese-contrastive"), ("AIDS700nef", "siamese-gcn")):
        with pytest.raises(ValueError, match=r"split='classes'|no set|not in"):
            loaded(Settings(network, dataset, data=tmp_path, split="classes"))


def test_a_loss_of_the_training_classes_is_watched_on_these() -> None:
    from types import SimpleNamespace

    from xsiamese.data.items import Source
    from xsiamese.training import itemlosses, losses

    parts = divided("people", images([6] * 12), 0.2, 0.2)
    for loss, name in (
        (itemlosses.Classification(2, 12), "seen"),
        (itemlosses.Sum(itemlosses.Neighbours(), itemlosses.Centres(2, 12)), "seen"),
        (itemlosses.Neighbours(), "valid"),
        (losses.Contrastive(), "valid"),
        (losses.Logistic(), "valid"),
    ):
        module = SimpleNamespace(loss=loss)
        assert watched(module, parts)[0] == name  # type: ignore[arg-type]
        assert watched(module, Source("s", parts.train, parts.train, parts.test))[0] == "valid"  # type: ignore[arg-type]
