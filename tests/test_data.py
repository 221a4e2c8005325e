"""Pairs, triplets, batches and sources: balanced, seeded, and clear about bad input."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from zipfile import ZipFile

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.figures import bars, save_png, write_folders
from xsiamese.data import (
    Augment,
    Batches,
    ClassIndex,
    LabelledImages,
    anchor_pairs,
    fashion_pair,
    fixed_pairs,
    split,
)
from xsiamese.data.division import split_classes
from xsiamese.data.folders import decode, read_folders
from xsiamese.data.given import cut
from xsiamese.data.items import around
from xsiamese.data.omniglot import load as load_omniglot
from xsiamese.data.omniglot import runs
from xsiamese.data.pairs import Pairs
from xsiamese.data.readers import reader
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
    (root / "d").mkdir()
    (root / "d" / "only.png").write_bytes(b"nothing")
    with pytest.warns(UserWarning, match="class 'd' has no image that can be read: left out"):
        assert read_folders(root, GREY).classes == ("a", "b", "c")


def test_of_several_images_in_a_file_the_first_is_taken_and_said(tmp_path: Path) -> None:
    from PIL import Image

    first, second = (Image.new("L", (28, 28), grey) for grey in (10, 200))
    first.save(tmp_path / "two.tiff", save_all=True, append_images=[second])
    save_png(tmp_path / "one.png", torch.full((1, 28, 28), 30, dtype=torch.uint8))
    told = r"1 of 2 files hold several images, of which the first is taken: .*two\.tiff"
    with pytest.warns(UserWarning, match=told):
        images, kept, skipped = decode([tmp_path / "one.png", tmp_path / "two.tiff"], GREY)
    assert (images.flatten(1).unique(dim=1).flatten().tolist(), kept, skipped) == ([30, 10], [0, 1], [])


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
    with pytest.raises(ValueError, match=r"^none of 1 images can be read; the first: .*gone\.png"):
        decode([tmp_path / "gone.png"], GREY)


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


def test_pairs_whose_images_cannot_be_read_are_counted(tmp_path: Path) -> None:
    for image, name in zip(bars(2).images, "xy", strict=True):
        save_png(tmp_path / f"{name}.png", image)
    (tmp_path / "pairs.csv").write_text("path_a,path_b,label\nx.png,y.png,1\nx.png,gone.png,0\n")
    told = r"pairs\.csv: of 2 pairs 1 can be read, and they are not of both kinds$"
    with pytest.warns(UserWarning, match="1 of 3 images cannot be read"), pytest.raises(ValueError, match=told):
        load(str(tmp_path / "pairs.csv"), tmp_path, GREY)


def chain(*same: bool) -> Pairs:
    """Pairs of neighbours, so that all items hang together."""
    a = torch.arange(len(same))
    return Pairs(a, a + 1, torch.tensor(same, dtype=torch.bool))


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: Augment(degrees=3, scale=-0.5), "scale=-0.5: 0 or more is needed"),
        (lambda: Batches(bars(6), "pairs", size=0), "batch size 0: at least 1 is needed"),
        (lambda: Batches(bars(6), "pairs", 4, fixed=chain()), "there are no pairs to train on"),
        (
            lambda: LabelledImages(torch.zeros(3, 1, 2, 2, dtype=torch.uint8), torch.zeros(2).long(), ("a",)),
            "2 labels for 3 images: one each is needed",
        ),
        (
            lambda: split_classes(bars(6), 1.0, 0.25),
            "valid_size=1 and test_size=0.25: shares in [0, 1) are needed",
        ),
        (
            lambda: cut(4, chain(True, False, True), 0.4, 0.1),
            "the table: 3 pairs are too few to be split into training, validation and test pairs",
        ),
        (
            lambda: cut(11, chain(*[True] * 10), 0.1, 0.1, what="t.csv"),
            "t.csv: all 7 training pairs are of one kind: give more pairs or another --seed",
        ),
        (
            lambda: reader(SimpleNamespace(modality="smell")),  # type: ignore[arg-type]
            "items of a model of smell data cannot be read: those of image, tabular, graph, text, image and text can",
        ),
        (
            lambda: fashion_pair("boot"),
            "no class is called 'boot'; there are T-shirt, trouser, pullover, dress, coat, sandal, shirt, sneaker, "
            "bag, ankle boot",
        ),
    ],
)
def test_what_cannot_be_is_one_line(call: Callable[[], object], told: str) -> None:
    with pytest.raises(ValueError) as caught:
        call()
    assert str(caught.value) == told


def test_two_classes_have_one_order() -> None:
    assert around(bars(6, classes=2)).tolist() == [0, 1]


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


def test_saturation_moves_colours_to_their_grey_or_from_it_by_one_factor() -> None:
    images = torch.rand(3, 3, 5, 5, generator=torch.Generator().manual_seed(0)) / 4 + 0.4  # nothing is clamped
    found, grey = Augment(saturation=0.5)(images), images.mean(1, keepdim=True)
    factors = ((found - grey) / (images - grey)).flatten(1)
    torch.testing.assert_close(found.mean(1, keepdim=True), grey)
    assert all(0.5 <= float(of.min()) <= float(of.max()) <= 1.5 for of in factors)
    assert len({round(float(of.mean()), 4) for of in factors}) == 3  # each image by its own
    assert float((factors - factors.mean(1, keepdim=True)).abs().max()) < 1e-3
    assert torch.equal(Augment(saturation=0.5)(images[:, :1]), images[:, :1])  # grey has no colour


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


def test_drawings_of_a_small_zip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The layout of the set, with two alphabets of five characters; and what is told where it is not there."""
    from torchvision.datasets import Omniglot

    def refused(self: object, *args: object, **kwargs: object) -> None:
        raise RuntimeError("no network")

    monkeypatch.setattr(Omniglot, "__init__", refused)
    with pytest.raises(ValueError, match=r"^Omniglot is not in .* nor could it be downloaded \(no network\): give"):
        load("Omniglot", tmp_path, GREY)
    assert runs(tmp_path) == []
    (tmp_path / "images_background").mkdir()
    with pytest.raises(ValueError, match=r"^there are no drawings in .*images_background$"):
        load("Omniglot", tmp_path, GREY)
    save_png(tmp_path / "drawing.png", bars(1).images[0])
    with ZipFile(tmp_path / "images_background.zip", "w") as archive:
        for i in range(40):
            name = f"images_background/Greek{i % 2}/character{i // 2 % 5}/{i:02}.png"
            archive.write(tmp_path / "drawing.png", name)
    source = load("Omniglot", tmp_path, GREY, valid=0.2)
    parts = source.train, source.valid, source.test
    assert [len(part.classes) for part in parts] == [6, 2, 2]
    assert len({name for part in parts for name in part.classes}) == 10
    assert all(torch.equal(image, bars(1).images[0]) for part in parts for image in part.images)


def test_an_mnist_like_set_gets_the_size_and_the_channels_that_are_asked_for(tmp_path: Path) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    drawn = torch.zeros(4, 28, 28, dtype=torch.uint8)
    drawn[:, :, 14:] = 200
    for part, count in (("train", 4), ("t10k", 2)):
        heads = {"images-idx3": (0x803, count, 28, 28), "labels-idx1": (0x801, count)}
        bodies = {"images-idx3": drawn[:count], "labels-idx1": torch.arange(count, dtype=torch.uint8) % 2}
        for name, head in heads.items():
            content = b"".join(number.to_bytes(4) for number in head) + bodies[name].numpy().tobytes()
            (raw / f"{part}-{name}-ubyte").write_bytes(content)
    source = load("MNIST", tmp_path, Preprocessing((14, 14), channels=3))
    assert (source.train.images.shape, source.test.images.shape) == ((4, 3, 14, 14), (2, 3, 14, 14))
    row = source.test.images[1, 2, 5]
    assert (row[:6].unique().tolist(), row[8:].unique().tolist()) == ([0], [200])
    assert source.test.labels.tolist() == [0, 1]


def test_mnist_from_its_files(real_data: Path) -> None:
    source = load("MNIST", real_data, GREY, valid=0.1)
    assert len(source.train) + len(source.valid) == 60_000
    assert abs(len(source.valid) - 6_000) < 10  # rounded class by class
    assert len(source.test) == 10_000
