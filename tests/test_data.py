"""Pairs, triplets, batches and sources: balanced, seeded, and clear about bad input."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.figures import bars, save_png, write_folders
from xsiamese.data import Augment, Batches, ClassIndex, LabelledImages, anchor_pairs, fixed_pairs, split
from xsiamese.data.folders import read_folders
from xsiamese.data.omniglot import load as load_omniglot
from xsiamese.data.omniglot import runs
from xsiamese.data.sources import load
from xsiamese.zoo.cards import Preprocessing

GREY = Preprocessing((28, 28), channels=1, mean=(0.5,), std=(0.5,))


@given(st.lists(st.integers(0, 4), min_size=2, max_size=40), st.integers(0, 1000))
@settings(deadline=None, max_examples=60)
def test_pairs_are_what_they_say(labels: list[int], seed: int) -> None:
    y = torch.tensor(labels)
    if len(set(labels)) < 2 or len(set(labels)) == len(labels):
        with pytest.raises(ValueError, match="class"):
            ClassIndex(y)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        index = ClassIndex(y)
    generator = torch.Generator().manual_seed(seed)
    pairs = index.pairs(torch.arange(len(y)), generator)
    assert torch.equal(pairs.same, y[pairs.a] == y[pairs.b])
    assert bool((pairs.a != pairs.b).all())
    triplets = index.triplets(torch.arange(len(y)), generator)
    assert bool((y[triplets.anchor] == y[triplets.positive]).all() & (y[triplets.anchor] != y[triplets.negative]).all())
    assert bool((triplets.anchor != triplets.positive).all())


def test_partners_are_uniform_and_half_of_the_pairs_are_same() -> None:
    labels = torch.tensor([0] * 3 + [1] * 5 + [2] * 2)
    index = ClassIndex(labels)
    generator = torch.Generator().manual_seed(0)
    anchors = torch.zeros(30_000, dtype=torch.long)
    positive = index.positives(anchors, generator).bincount(minlength=10) / 30_000
    negative = index.negatives(anchors, generator).bincount(minlength=10) / 30_000
    torch.testing.assert_close(positive, torch.tensor([0, 0.5, 0.5] + [0.0] * 7), atol=0.02, rtol=0)
    torch.testing.assert_close(negative, torch.tensor([0.0] * 3 + [1 / 7] * 7), atol=0.02, rtol=0)
    assert int(index.pairs(torch.arange(10), generator).same.sum()) == 5


def test_a_class_with_one_image_is_named_and_is_a_negative_only() -> None:
    labels = torch.tensor([0, 0, 1, 1, 2])
    with pytest.warns(UserWarning, match="class 'lonely' has one item: it takes part in different pairs only"):
        index = ClassIndex(labels, ("a", "b", "lonely"))
    pairs = index.pairs(torch.arange(5).repeat(100), torch.Generator().manual_seed(0))
    assert not bool(pairs.same[pairs.a == 4].any())
    assert bool((pairs.b == 4).any())


@pytest.mark.parametrize(("labels", "told"), [([], "no items"), ([0, 0], "one class"), ([0, 1, 2], "at least two")])
def test_labels_without_pairs_are_refused(labels: list[int], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        ClassIndex(torch.tensor(labels, dtype=torch.long))


def test_the_rule_of_livieris_gives_each_anchor_one_of_each() -> None:
    labels = torch.arange(12) % 3
    pairs = anchor_pairs(labels, iterations=2, seed=3)
    assert torch.equal(pairs.same, labels[pairs.a] == labels[pairs.b])
    for same in (True, False):
        assert pairs.a[pairs.same == same].bincount().tolist() == [2] * 12


def test_fixed_pairs_stay_and_small_sets_give_all() -> None:
    labels = torch.arange(50) % 5
    assert all(torch.equal(a, b) for a, b in zip(fixed_pairs(labels, 100, 1), fixed_pairs(labels, 100, 1), strict=True))
    assert not torch.equal(fixed_pairs(labels, 100, 1).b, fixed_pairs(labels, 100, 2).b)
    assert len(fixed_pairs(labels, 2000).a) == 50 * 49 // 2


@pytest.mark.parametrize("kind", ["items", "pairs", "triplets"])
def test_batches_depend_on_seed_and_epoch_only_and_hold_every_image(kind: str) -> None:
    items = bars(30)
    batches = Batches(items, kind, 8, seed=1)  # type: ignore[arg-type]

    def epoch(number: int, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
        again = Batches(items, kind, 8, seed=seed)  # type: ignore[arg-type]
        again.set_epoch(number)
        return again.sampled()

    assert torch.equal(epoch(2)[0], epoch(2)[0])
    assert not torch.equal(epoch(2)[0], epoch(3)[0])
    assert not torch.equal(epoch(2)[0], epoch(2, seed=2)[0])
    assert sorted(epoch(2)[0][0].tolist()) == list(range(30))
    assert len(list(batches)) == len(batches) == 4
    assert sum(len(batch.labels) for batch in batches) == 30


def test_batches_gather_the_images_they_name() -> None:
    items = bars(20)
    batches = Batches(items, "pairs", 20)
    sides, labels = batches.sampled()
    batch = next(iter(batches))
    assert torch.equal(batch.inputs, torch.cat([items.images[sides[0]], items.images[sides[1]]]))
    assert torch.equal(batch.labels, labels)


def test_an_epoch_can_go_through_a_small_set_more_than_once() -> None:
    batches = Batches(bars(20), "pairs", 8, rounds=3)
    sides, labels = batches.sampled()
    assert sides[0].bincount().tolist() == [3] * 20
    assert len(list(batches)) == len(batches) == 8
    assert not torch.equal(sides[1][:20], sides[1][20:40])
    together, apart = next(iter(batches)), next(iter(Batches(bars(20), "pairs", 8, rounds=3, apart=True)))
    assert torch.equal(torch.cat(apart.inputs), together.inputs)
    assert float(labels.mean()) == 0.5


def test_processes_share_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    from xsiamese.data import batches as module

    whole = Batches(bars(30), "items", 8).sampled()[0][0]
    parts = []
    for rank in range(3):
        monkeypatch.setattr(module, "_world", lambda rank=rank: (rank, 3))
        batches = Batches(bars(30), "items", 4)
        parts.append(batches.sampled()[0][0])
        assert len(list(batches)) == len(batches) == 3
    assert torch.equal(torch.stack(parts, 1).flatten(), whole)


def test_items_of_a_class_can_follow_each_other() -> None:
    items = bars(60)
    batches = Batches(items, "items", 6, per_class=2)
    labels = batches.sampled()[1]
    assert torch.equal(labels[::2], labels[1::2])
    assert sorted(batches.sampled()[0][0].tolist()) == list(range(60))
    assert labels.tolist() != sorted(labels.tolist())


def test_split_keeps_images_and_classes_apart() -> None:
    items = bars(60)
    parts = split(items, 0.1, 0.2, seed=5)
    assert [len(part) for part in parts] == [42, 6, 12]
    assert [part.labels.bincount().tolist() for part in parts] == [[14] * 3, [2] * 3, [4] * 3]
    together = torch.cat([part.images for part in parts]).flatten(1)
    assert len(torch.unique(together, dim=0)) == 60
    with pytest.raises(ValueError, match="nothing to train on"):
        split(items, 0.5, 0.5)


def test_folders_skip_and_name_corrupt_files(tmp_path: Path) -> None:
    root = write_folders(tmp_path, bars(12))
    (root / "a" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    (root / "notes.txt").write_text("no image")
    with pytest.warns(UserWarning, match=r"1 of 13 images cannot be read and are left out: .*broken\.png"):
        items = read_folders(root, GREY)
    assert len(items) == 12
    assert items.classes == ("a", "b", "c")
    assert len(items.skipped) == 1
    assert torch.equal(items.images[0], bars(12).images[0])
    assert items.paths[0].endswith("000.png")


def test_empty_folders_and_unknown_sets_are_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no folders"):
        load(str(tmp_path), tmp_path, GREY)
    (tmp_path / "a").mkdir()
    with pytest.raises(ValueError, match="holds no images"):
        load(str(tmp_path), tmp_path, GREY)
    with pytest.raises(ValueError, match="did you mean FashionMNIST"):
        load("FashonMNIST", tmp_path, GREY)
    with pytest.raises(ValueError, match="Omniglot"):
        load("omniglot", tmp_path, GREY)


def test_a_table_of_pairs(tmp_path: Path) -> None:
    items = bars(40)
    for i, image in enumerate(items.images):
        save_png(tmp_path / f"{i}.png", image)
    pairs = anchor_pairs(items.labels)
    lines = [
        f"{a}.png,{b}.png,{int(not same)}" for a, b, same in zip(*(column.tolist() for column in pairs), strict=True)
    ]
    table = tmp_path / "pairs.csv"
    table.write_text("path_a,path_b,label\n" + "\n".join(lines))
    with pytest.warns(UserWarning, match="items of test pairs are in training pairs too"):
        source = load(str(table), tmp_path, GREY, same_label="0")
    assert source.pairs is not None
    assert [len(part.a) for part in source.pairs] == [64, 8, 8]
    for part, held in zip(source.pairs, (source.train, source.valid, source.test), strict=True):
        names = [held.paths[i] for i in (*part.a.tolist(), *part.b.tolist())]
        true = items.labels[torch.tensor([int(name.removesuffix(".png")) for name in names])]
        assert torch.equal(part.same, true[: len(part.a)] == true[len(part.a) :])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a,b\n1,2\n", "no column 'path_a'"),
        ("path_a,path_b,label\n", "no pairs"),
        ("path_a,path_b,label\nx.png,,1\n", "line 2"),
        ("path_a,path_b,label\nx.png,y.png,1\n", "two are needed"),
    ],
)
def test_bad_tables_are_told(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(ValueError, match=told):
        load(str(tmp_path / "pairs.csv"), tmp_path, GREY)


def test_paired_augmentation_is_the_same_on_both_sides() -> None:
    images = bars(8).images.float().div(255)
    both = torch.cat([images, images])
    for augment in (
        Augment(degrees=30, shift=0.1, scale=0.1, horizontal=0.5),
        Augment(horizontal=0.5, vertical=0.5, contrast=0.3),
    ):
        torch.manual_seed(0)
        first, second = augment.changed(paired=True)(both, 2).chunk(2)
        assert torch.equal(first, second)
        assert not torch.allclose(first, images)
        first, second = augment(both, 2).chunk(2)
        assert not torch.allclose(first, second)


def test_augmentation_turns_and_flips_by_what_it_says() -> None:
    image = torch.zeros(1, 1, 9, 9)
    image[0, 0, 0, 4] = 1
    assert torch.equal(Augment(vertical=1.0)(image)[0, 0].nonzero(), torch.tensor([[8, 4]]))
    torch.testing.assert_close(Augment(vertical=1.0, degrees=1e-6)(image), image.flip(2), atol=1e-4, rtol=0)
    assert torch.equal(Augment(horizontal=1.0)(image.transpose(2, 3))[0, 0].nonzero(), torch.tensor([[4, 8]]))
    assert not Augment()
    with pytest.raises(ValueError, match="horizontal=2"):
        Augment(horizontal=2)


def test_labelled_images_are_checked() -> None:
    with pytest.raises(ValueError, match="uint8"):
        LabelledImages(torch.zeros(2, 1, 4, 4), torch.zeros(2, dtype=torch.long), ("a",))
    with pytest.raises(ValueError, match="no class is called 'z'"):
        bars(6).of(["z"])
    assert bars(6).of(["c", "a"]).labels.tolist() == [1, 0, 1, 0]


def test_omniglot_from_the_original_zips(real_data: Path) -> None:
    train, valid, test = load_omniglot(real_data / "omniglot", (28, 28), valid=0.1)
    assert {len(part.labels) // len(part.classes) for part in (train, valid, test)} == {20}
    assert not {*train.classes} & {*valid.classes, *test.classes}
    assert len(train.classes) + len(valid.classes) + len(test.classes) == 242
    found = runs(real_data / "omniglot", (28, 28))
    assert [(len(run.train), len(run.test), len(set(run.answers.tolist()))) for run in found] == [(20, 20, 20)] * 20


def test_mnist_from_its_files(real_data: Path) -> None:
    source = load("MNIST", real_data, GREY, valid=0.1)
    assert len(source.train) + len(source.valid) == 60_000
    assert abs(len(source.valid) - 6_000) < 10  # rounded class by class
    assert len(source.test) == 10_000
