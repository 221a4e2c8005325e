"""Galleries: the explanations of many pairs are those of pair by pair, and each item is encoded once."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xsiamese import Gallery, PairExplanation, PairGradCAM, SiameseModel, explainers
from xsiamese.contract.subject import encoder
from xsiamese.explain.gallery.explained import EveryPair, Explanations
from xsiamese.explain.gallery.given import Items
from xsiamese.explain.gallery.kept import Kept, Packing
from xsiamese.explain.gallery.meant import Names
from xsiamese.explain.request import Request
from xsiamese.model.comparison import Bilinear, Euclidean, Learned, Manhattan, SquaredEuclidean
from xsiamese.result.columns import Picked
from xsiamese.testing import quick_options

SHARING = sorted(
    name for name, cls in explainers().items() if cls.traits.shares != "never" and "image" in cls.modalities
)


def items(count: int = 6) -> Tensor:
    return torch.rand(count, 1, 6, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def model(comparison: Any = "cosine") -> SiameseModel:
    return SiameseModel(encoder(), comparison)


def made(name: str, of: SiameseModel, **arguments: Any) -> Gallery:
    cls = explainers()[name]
    explainer = cls(of, "3") if cls.needs_layer else cls(of)
    return Gallery(explainer, arguments.pop("items", items()), **{**quick_options(cls), **arguments})


def rows_of(of: SiameseModel) -> list[int]:
    rows: list[int] = []
    of.encoders[0].register_forward_hook(lambda *args: rows.append(len(args[2])))
    return rows


def close(found: PairExplanation, expected: PairExplanation, atol: float = 1e-6) -> None:
    torch.testing.assert_close(found.scores, expected.scores, rtol=0, atol=atol)
    if expected.maps is not None:
        for one, other in zip(found.maps, expected.maps, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=atol)
    assert found.columns.keys() == expected.columns.keys()
    if "matrix" in expected.columns:
        for one, other in zip(found.columns["matrix"], expected.columns["matrix"], strict=True):
            torch.testing.assert_close(one.dense(), other.dense(), rtol=0, atol=atol)
            torch.testing.assert_close(one.value, other.value, rtol=0, atol=atol)


def test_units_of_all_pairs_are_runs_of_one_item_until_these_are_short() -> None:
    pairs = [(i, j) for i in range(30) for j in range(i + 1, 30)]
    made: Any = list  # the pairs themselves in place of their explanation
    asked: Any = list(Explanations(EveryPair(30), made, torch.tensor, (16, 25)).units())
    assert [pair for unit in asked for pair in unit] == pairs  # each once, in their order
    assert [len(unit) for unit in asked[:6]] == [25, 4, 25, 3, 25, 2]
    assert [len(unit) for unit in asked[-2:]] == [3, 3]  # of one item, then of the last two together
    assert all(len({i for i, _ in unit}) == 1 for unit in asked[:-1])


@pytest.mark.parametrize("name", SHARING)
def test_all_pairs_are_those_of_pair_by_pair(name: str) -> None:
    of = model()
    gallery = made(name, of)
    assert gallery.shares
    rows = rows_of(of)
    units = list(gallery.explain().units(4))
    assert not rows  # a pair costs no pass of the encoder
    assert [len(unit) for unit in units] == [4, 4, 4, 3]
    own = gallery.explainer.explain
    numbers = [(i, j) for i in range(6) for j in range(i + 1, 6)]
    for k, unit in enumerate(units):
        some = numbers[4 * k : 4 * k + 4]
        first, second = [items()[[pair[side] for pair in some]] for side in (0, 1)]
        close(unit, own((first, second), **quick_options(type(gallery.explainer))))
        assert unit.ids == tuple((str(i), str(j)) for i, j in some)
        torch.testing.assert_close(unit.inputs[1], second)


@pytest.mark.parametrize("name", ["PairGradCAM", "PairEigenCAM"])
def test_each_item_is_encoded_once(name: str) -> None:
    of = model()
    rows = rows_of(of)
    gallery = made(name, of, internal_batch_size=4)
    gallery.search([0], k=3).explain()[:]
    list(gallery.explain([(0, 1), (1, 0), (2, 2)]).units())
    assert rows == [4, 2]


def test_norms_that_are_constants_are_so_in_a_gallery() -> None:
    explainer = explainers()["PairGradCAM"](model(), "3", detach_norms=True)
    found = Gallery(explainer, items()).explain([(0, 1), (3, 2)])[:]
    close(found, explainer.explain((items()[[0, 3]], items()[[1, 2]])))
    assert found.parameters["detach_norms"] is True
    assert (found.maps[0] - explainers()["PairGradCAM"](model(), "3").explain(found.inputs).maps[0]).abs().max() > 1e-3


def test_the_class_activation_maps_and_more_share() -> None:
    assert {"PairGradCAM", "PairHiResCAM", "PairXGradCAM", "PairEigenCAM"} <= set(SHARING)
    assert explainers()["PairSaliency"].traits.shares == "never"


def test_what_shares_nothing_loops_and_says_so_once() -> None:
    of = model()
    with pytest.warns(UserWarning, match="PairSaliency shares nothing between the pairs") as told:
        gallery = made("PairSaliency", of)
    assert len(told) == 1
    assert not gallery.shares
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = gallery.explain([(0, 1), (4, 2)])[:]
    close(found, gallery.explainer.explain((items()[[0, 4]], items()[[1, 2]])))
    with pytest.raises(ValueError, match="PairSaliency shares nothing between pairs: there is nothing to save"):
        gallery.save("nowhere")


def test_a_model_of_both_inputs_loops() -> None:
    both = lambda a, b: -((a - b) ** 2).flatten(1).sum(1)  # noqa: E731
    with pytest.warns(UserWarning, match="shares nothing"):
        gallery = Gallery(explainers()["PairSaliency"](both), items())
    found = gallery.explain([(0, 1)])
    torch.testing.assert_close(found.scores, both(items()[:1], items()[1:2]))
    torch.testing.assert_close(found[0].maps[0], 2 * (items()[:1] - items()[1:2]).abs())
    with pytest.raises(ValueError, match="has no embeddings to search by"):
        gallery.search([0])


def test_two_encoders_have_a_side_each() -> None:
    torch.manual_seed(0)
    towers = SiameseModel((encoder(), nn.Sequential(*encoder())), "dot")
    with torch.no_grad():
        for parameter in towers.encoder_b.parameters():
            parameter.add_(0.3)
    explainer = explainers()["PairGradCAM"](towers, ("encoder_a.3", "encoder_b.3"))
    gallery = Gallery(explainer, items())
    close(gallery.explain([(0, 1), (1, 0)])[:], explainer.explain((items()[[0, 1]], items()[[1, 0]])))
    hits = gallery.search(items(9)[6:], k=6)
    scores = torch.stack([towers(one.expand(6, -1, -1, -1), items()) for one in items(9)[6:, None]])
    assert [list(one) for one in hits.numbers] == scores.argsort(1, descending=True).tolist()


@pytest.mark.parametrize(
    "comparison",
    ["cosine", "dot", Euclidean(), SquaredEuclidean(), Manhattan(), Bilinear(3), Learned(nn.Linear(3, 1))],
    ids=str,
)
def test_search_finds_what_scoring_every_pair_finds(comparison: Any) -> None:
    of = model(comparison).double()
    gallery, queries = made("PairGradCAM", of, items=items(20)), items(23)[20:]
    with torch.no_grad():
        every = torch.stack([of(one.expand(20, -1, -1, -1), items(20)) for one in queries[:, None]])
    order = torch.argsort(every, dim=1, descending=of.higher_is_closer, stable=True)[:, :5]
    hits = gallery.search(queries, k=5)
    assert [list(one) for one in hits.numbers] == order.tolist()
    torch.testing.assert_close(torch.tensor(hits.scores, dtype=torch.float64), every.gather(1, order))
    found = hits[1].explain()
    assert [pair[1] for pair in found.pairs] == [0 + n for n in hits.numbers[1]]
    close(found[:], gallery.explainer.explain((queries[[1] * 5], items(20)[order[1]])))
    assert found[0].ids == (("query 1", str(order[1, 0].item())),)


def test_own_items_are_not_found_by_themselves_and_equals_come_in_their_order() -> None:
    doubled = torch.cat([items(3), items(3)])
    gallery = made("PairGradCAM", model(), items=doubled, ids=list("abcdef"))
    hits = gallery.search([1], k=5)
    assert hits.ids[0][0] == "e"
    assert hits.scores is not None
    assert hits.scores[0][0] == pytest.approx(1)
    others = list(hits.ids[0][1:])
    assert others in (["a", "d", "c", "f"], ["c", "f", "a", "d"])
    with pytest.warns(UserWarning, match="a and b are equal in pair 0"):
        hits.explain()[0]


def test_what_an_index_found_is_explained() -> None:
    gallery = made("PairGradCAM", model(), ids=[f"file{i}" for i in range(6)])
    faiss = np.array([[0.9, 0.5, -3e38], [0.7, 0.6, 0.5]], dtype=np.float32), np.array([[4, 2, -1], [1, 0, 5]])
    hits = gallery.hits(items(8)[6:], faiss[1], faiss[0])
    assert hits.numbers == ((4, 2), (1, 0, 5))
    assert hits.scores is not None
    assert hits.scores[0] == pytest.approx((0.9, 0.5))
    close(hits.explain()[[1, 4]], gallery.explainer.explain((items(8)[[6, 7]], items()[[2, 5]])))
    by_name = gallery.hits([3], ["file5", "file0"])
    assert by_name.ids == (("file5", "file0"),)
    assert by_name.scores is None
    assert by_name.explain()[1].ids == (("file3", "file0"),)


def test_embeddings_are_what_an_index_is_made_of() -> None:
    second = encoder()
    second[0].weight.data.neg_()  # no encoder of the same weights
    of = SiameseModel((encoder(), second), "cosine")
    gallery = made("PairGradCAM", of)
    for side, own in enumerate(of.encoders):
        torch.testing.assert_close(gallery.embeddings(side), own(items()).detach())
    gallery.embeddings(1).zero_()  # the user's own
    torch.testing.assert_close(gallery.embeddings(1), of.encoders[1](items()).detach())
    units = [nn.functional.normalize(gallery.embeddings(side)) for side in (0, 1)]
    order = (units[0] @ units[1].T).fill_diagonal_(-2).argsort(dim=1, descending=True)[:, :3]
    assert gallery.search(range(6), k=3).numbers == tuple(map(tuple, order.tolist()))
    for side in (2, -1, True, "b"):
        with pytest.raises(
            ValueError, match=f"^side={side!r}: 0, of what is asked, or 1, of what is found, is needed$"
        ):
            gallery.embeddings(side)  # type: ignore[arg-type]


@pytest.mark.parametrize("ids", [[5, 4, 3, 2, 1, 0], list("543210"), torch.arange(5, -1, -1), np.arange(5, -1, -1)])
def test_whole_numbers_are_ids_where_the_ids_are_whole_numbers(ids: Any) -> None:
    gallery = made("PairGradCAM", model(), ids=ids)
    assert gallery.ids == tuple("543210")
    hits = gallery.hits([0], [[0, 1, -1]])
    assert hits.ids == (("0", "1"),)
    assert hits.numbers == ((5, 4),)
    assert gallery.explain([(0, "1"), (5, 4)]).pairs == [(5, 4), (0, 1)]
    assert gallery.search([1], k=3).ids == gallery.search(["1"], k=3).ids
    assert gallery.search([1], k=3).numbers == made("PairGradCAM", model()).search([4], k=3).numbers
    far = made("PairGradCAM", model(), ids=[-1, 10, 20, 30, 40, 50])
    assert far.hits([10], [[-1, 50]]).numbers == ((0, 5),)  # an id, and not the -1 of faiss
    with pytest.raises(
        ValueError, match=r"^no item of the gallery is called 2: its ids are whole numbers, such as -1, "
    ):
        far.hits([10], [[2]])


def test_strings_are_ids_unless_the_model_reads_texts() -> None:
    gallery = made("PairGradCAM", model(), ids=list("abcdef"))
    assert gallery.search(["b", 2], k=3).numbers == gallery.search([1, 2], k=3).numbers
    assert gallery.hits(("b",), [["c"]]).explain()[0].ids == (("b", "c"),)
    reading = Names(("one", "two"), texts=True)
    with pytest.warns(UserWarning, match="^'two' is taken as a text, and is the id of item 1 as well"):
        assert reading.asked(["a text", "two"]) is None
    assert reading.asked([1]) == [1]


def test_pairs_by_name_tensor_and_array() -> None:
    gallery = made("PairGradCAM", model(), ids=list("abcdef"))
    for pairs in (
        [("a", "c"), ("f", "b")],
        torch.tensor([[0, 2], [5, 1]]),
        np.array([[0, 2], [5, 1]]),
        [[0, 2], (5, 1)],
    ):
        found = gallery.explain(pairs)
        assert found.pairs == [(0, 2), (5, 1)]
    assert found[1].ids == (("f", "b"),)
    assert [one.ids[0] for one in found] == [("a", "c"), ("f", "b")]
    assert len(found[:]) == 2
    assert repr(found) == "Explanations(2 pairs, not made yet)"
    torch.testing.assert_close(found.scores, gallery.explainer.scores((items()[[0, 5]], items()[[2, 1]])))


def test_a_budget_that_is_too_small_goes_to_disk_and_nothing_changes(tmp_path: Path) -> None:
    in_memory, on_disk = (
        made("PairHiResCAM", model(), memory=m, folder=tmp_path, internal_batch_size=4) for m in ("1MiB", 400)
    )
    assert on_disk.on_disk
    assert not in_memory.on_disk
    assert len(next(on_disk.explain().units())) == 1  # half of the budget holds no two pairs
    for one, other in zip(in_memory.explain(), on_disk.explain(), strict=True):
        close(one, other, atol=1e-15)  # numbers that lie elsewhere in memory are summed in another order


def test_half_precision_and_low_rank_are_as_near_as_they_say() -> None:
    of = model()
    exact = made("PairGradCAM", of).explain()[:]
    half = made("PairGradCAM", of, half=True).explain()[:]
    torch.testing.assert_close(half.scores, exact.scores, rtol=0, atol=0)  # embeddings stay as they are
    size = exact.maps[0].abs().max()
    error = (half.maps[0] - exact.maps[0]).abs().max() / size
    assert 0 < error < 1e-3
    full, one = (made("PairGradCAM", of, rank=rank).explain()[:] for rank in (2, 1))
    gallery = made("PairGradCAM", of, rank=1)
    factors = made("PairGradCAM", of)._encoded.kept(0).rows([0])["factor_0"][0]
    kept = gallery._encoded.kept(0).rows([0])["factor_0"][0]
    torch.testing.assert_close(
        torch.linalg.matrix_norm(kept.reshape(-1, 3), 2), torch.linalg.matrix_norm(factors.reshape(-1, 3), 2)
    )
    assert torch.linalg.matrix_rank(kept.reshape(-1, 3)) == 1
    distance = [(found.maps[0] - exact.maps[0]).norm() for found in (full, one)]
    assert 0 < distance[0] < distance[1]


@pytest.mark.parametrize(("kept", "asked", "said"), [
    ({}, {"half": True}, "half=True, and the gallery .* is kept in full precision"),
    ({}, {"rank": 1}, "rank=1, and the gallery .* is kept whole"),
    ({"rank": 1}, {"rank": 2}, "rank=2, and the gallery .* is kept with rank=1"),
    ({"half": True}, {"half": True}, None), ({"half": True}, {}, None), ({"rank": 1}, {"rank": 1}, None),
    ({"rank": 1}, {}, None), ({}, {"rank": 50}, None),  # a rank that saves nothing changes nothing
])  # fmt: skip
def test_a_gallery_is_not_opened_as_what_it_is_not(
    kept: dict[str, Any], asked: dict[str, Any], said: str | None, tmp_path: Path
) -> None:
    gallery = made("PairGradCAM", model(), **kept)
    path = gallery.save(tmp_path / "gallery")
    if said is None:
        opened = Gallery.open(path, gallery.explainer, items(), **asked)
        torch.testing.assert_close(opened.explain([(0, 1)])[:].maps, gallery.explain([(0, 1)])[:].maps)
        return
    with pytest.raises(ValueError, match=said):
        Gallery.open(path, gallery.explainer, items(), **asked)


def test_what_is_read_must_be_a_batch_of_one() -> None:
    pictures = torch.rand(3, 3, 6, 6, dtype=torch.float64)
    for read, shape in ((lambda i: pictures[i], r"\(3, 6, 6\)"), (lambda i: pictures[i : i + 2], r"\(2, 3, 6, 6\)")):
        with pytest.raises(ValueError, match=f"item 0 of the gallery, 0: read= gave a tensor of shape {shape}"):
            made("PairGradCAM", model(), items=range(2), read=read)


def test_a_saved_gallery_opens_without_a_pass_and_explains_the_same(tmp_path: Path) -> None:
    of = model()
    gallery = made("PairGradCAM", of, ids=list("abcdef"), internal_batch_size=4)
    path = gallery.save(tmp_path / "gallery")
    rows = rows_of(of)
    again = Gallery.open(path, explainers()["PairGradCAM"](of, "3"), items())
    assert again.on_disk
    assert again.ids == gallery.ids
    for one, other in zip(again.explain().units(), gallery.explain().units(), strict=True):
        close(one, other, atol=0)
    assert again.search([2], k=3).ids == gallery.search([2], k=3).ids
    assert not rows
    with pytest.raises(ValueError, match="is there already: give the gallery a place of its own"):
        gallery.save(path)
    assert [one.name for one in tmp_path.iterdir()] == ["gallery"]


def test_what_has_no_numbers_is_kept_on_disk_as_that(tmp_path: Path) -> None:
    """All deletions of four parts are fitted exactly, so that nothing is left over."""
    of = SiameseModel(nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 6)).double())
    rows, explainer = torch.randn(5, 4, dtype=torch.float64), explainers()["PairMaskRegression"](of)
    gallery = Gallery(explainer, rows, internal_batch_size=2)
    expected = gallery.explain()[:]
    again = Gallery.open(gallery.save(tmp_path / "gallery"), explainer, rows)
    small = Gallery(explainer, rows, internal_batch_size=2, memory=500, folder=tmp_path)
    assert small.on_disk
    for found in (again.explain()[:], small.explain()[:]):
        close(found, expected, atol=1e-14)


def test_a_store_of_anything_else_is_refused_and_told_what_differs(tmp_path: Path) -> None:
    of = model()
    path = made("PairGradCAM", of).save(tmp_path / "gallery")
    grad, hires = explainers()["PairGradCAM"], explainers()["PairHiResCAM"]
    other = model()
    with torch.no_grad():
        other.encoder[0].weight[0, 0, 0, 0] += 1e-9
    for explainer, arguments, told in (
        (grad(other, "3"), {}, "the model's weights"),
        (hires(of, "3"), {}, r"the method \('PairGradCAM', not 'PairHiResCAM'\)"),
        (grad(of, "1"), {}, "the layer"),
        (grad(model("dot"), "3"), {}, r"the comparison \('Cosine', not 'Dot'\)"),
        (grad(of, "3"), {"relu": True}, "its options"),
        (grad(of, "3"), {"seed": 1}, "the seed"),
    ):
        with pytest.raises(ValueError, match=f"was made with another: {told}"):
            Gallery.open(path, explainer, items(), **arguments)
    changed = items()
    changed[4, 0, 0, 0] += 1e-9
    with pytest.raises(ValueError, match="was made of other items: 4 differ"):
        Gallery.open(path, grad(of, "3"), changed)
    with pytest.raises(ValueError, match="6 ids for 5 items"):
        Gallery.open(path, grad(of, "3"), items(5))
    baselines = (torch.zeros(1, 1, 6, 6).double(),) * 2
    ablation = explainers()["PairMaskRegression"](of)
    with_baseline = Gallery(ablation, items(), masks=40, cells=(2, 2), filling="baseline", baselines=baselines)
    with_baseline.save(tmp_path / "filled")
    known = {"masks": 40, "cells": (2, 2), "filling": "baseline"}
    Gallery.open(tmp_path / "filled", ablation, items(), baselines=tuple(b.clone() for b in baselines), **known)
    with pytest.raises(ValueError, match="was made with another: the baselines"):
        Gallery.open(tmp_path / "filled", ablation, items(), baselines=tuple(b + 1 for b in baselines), **known)
    zarr = pytest.importorskip("zarr")
    zarr.open_group(str(tmp_path / "other"), mode="w")
    with pytest.raises(ValueError, match=r"other is a zarr store, and no gallery of xsiamese$"):
        Gallery.open(tmp_path / "other", grad(of, "3"), items())
    with pytest.raises(ValueError, match="is no gallery"):
        Gallery.open(tmp_path / "elsewhere", grad(of, "3"), items())
    next(one for one in path.glob("0/factor_0/c/**/0") if one.is_file()).unlink()
    with pytest.raises(ValueError, match="is missing or truncated"):
        Gallery.open(path, grad(of, "3"), items()).explain()[0]
    about = json.loads((path / "zarr.json").read_text())
    about["attributes"]["xsiamese_gallery"] = 99
    (path / "zarr.json").write_text(json.dumps(about))
    with pytest.raises(ValueError, match="newer xsiamese"):
        Gallery.open(path, grad(of, "3"), items())


class Reads:
    """Reads items by name, and counts."""

    def __init__(self, broken: str = "") -> None:
        self.read: list[str] = []
        self.broken = broken

    def __call__(self, name: str) -> Tensor:
        self.read.append(name)
        if name == self.broken:
            raise OSError("truncated file\nwith more")
        return items()[int(name)][None]


def test_items_are_read_when_they_are_needed(tmp_path: Path) -> None:
    names, read = list("012345"), Reads()
    gallery = made("PairGradCAM", model(), items=names, read=read, internal_batch_size=4, memory=10_000)
    close(gallery.explain()[:], made("PairGradCAM", model()).explain()[:], atol=1e-12)
    path = gallery.save(tmp_path / "gallery")
    again = made("PairGradCAM", model(), items=["0", "1", "3", "2", "4", "5"], read=Reads(), store=path)
    again.explain([(0, 1)])[0]
    with pytest.raises(ValueError, match="was made of other items: 2 differ"):
        again.explain([(0, 2)])[0]
    with pytest.raises(ValueError, match=r"item 3 of the gallery, '3', cannot be read: truncated file$"):
        made("PairGradCAM", model(), items=names, read=Reads("3"))


def test_of_items_that_are_read_as_many_are_held_as_fit() -> None:
    """An item has 288 bytes, so that two fit into 600: the one that was used last stays."""
    read = Reads()
    explainer = explainers()["PairGradCAM"](model(), "3")
    held = Items(explainer, Request((items(1), items(1))), ["0", "1", "2"], read, keep=600)
    for number in (0, 1, 0, 2, 0, 1):
        torch.testing.assert_close(held.some(0, [number]).given, items()[number : number + 1])
    assert read.read == ["0", "1", "2", "1"]


def test_a_column_that_no_file_can_hold_is_told(tmp_path: Path) -> None:
    kept = Kept(2, 2, 1000, tmp_path, False, Packing())
    said = "column 'of' of what is prepared holds a set: a gallery keeps tensors and JSON"
    with pytest.raises(TypeError, match=f"^{said}$"):
        kept.put(0, {"of": [torch.ones(2), {1}]})


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"items": items(1)[:0]}, "holds no items"),
        ({"items": [], "read": Reads()}, "holds no items"),
        ({"items": 5, "read": Reads()}, "^items is a int: with read= a sequence of what it reads is needed$"),
        ({"ids": ["a"]}, "1 ids for 6 items"),
        ({"memory": "much"}, "memory='much': bytes, or an amount like"),
        ({"rank": 0}, "rank=0: a whole number from 1 on"),
        ({"items": items() * torch.nan}, "NaN or infinite values in pair 0"),
        ({"items": items().float()}, "is torch.float32, the model torch.float64"),
        ({"nonsense": 1}, "has no option 'nonsense'"),
        ({"parts": ("nodes",)}, "^a gallery takes no parts= and leaves it as it is by itself: explain"),
        ({"wrt": "first"}, "^a gallery takes no wrt= "),
    ],
)
def test_a_gallery_of_nothing_that_can_be_explained_is_refused(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises((ValueError, TypeError), match=told):
        made("PairGradCAM", model(), **arguments)


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda g: g.search([0], k=6), "k=6: there are 5 items to find"),
        (lambda g: g.search(items(1), k=0), "k=0: there are 6 items to find"),
        (lambda g: g.search([9]), "there is no item 9: the gallery holds 6, numbered from 0"),
        (lambda g: g.search([]), "there are no queries"),
        (lambda g: g.search(torch.rand(2, 3)), "."),
        (lambda g: g.explain([(0, 7)]), "there is no item 7"),
        (lambda g: g.explain([(0, -1)]), "there is no item -1"),
        (lambda g: g.explain([("file1", "flie2")]), "no item of the gallery is called 'flie2'; did you mean 'file2'"),
        (lambda g: g.explain([(0, 1, 2)]), "is no pair"),
        (lambda g: g.explain([(0.5, 1)]), "0.5 is a float"),
        (lambda g: g.explain([]), "there is no pair to explain"),
        (lambda g: g.explain([(0, 1)]).units(0).__next__(), "size=0"),
        (lambda g: g.explain([(0, 1)])[1:], "means none of 1 pairs"),
        (lambda g: g.hits([0, 1], [[1]]), "ids of 1 queries for 2"),
        (lambda g: g.hits([0], [[1, 2]], [[0.5]]), "scores do not fit ids"),
        (lambda g: g.hits([0], 3), "^ids is a int: for each query a list of numbers or ids is needed$"),
        (lambda g: g.search(["file7"], k=1), "^no item of the gallery is called 'file7'; did you mean 'file"),
        (lambda g: g.search([True], k=1), "^input a is a list of bool: every part must be a tensor"),
    ],
)
def test_what_is_not_there_is_named(ask: Any, told: str) -> None:
    gallery = made("PairGradCAM", model(), ids=[f"file{i}" for i in range(6)])
    with pytest.raises((ValueError, IndexError, TypeError), match=told):
        ask(gallery)


def test_a_gallery_of_one_item_has_no_pair() -> None:
    with pytest.raises(ValueError, match="there is no pair to explain: the gallery has 1 items"):
        made("PairGradCAM", model(), items=items(1)).explain()


def test_without_zarr_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(ImportError, match=r'pip install "xsiamese\[gallery\]"'):
        made("PairGradCAM", model(), memory=100)
    with pytest.raises(ImportError, match=r'pip install "xsiamese\[gallery\]"'):
        made("PairGradCAM", model()).save(tmp_path / "gallery")


@pytest.mark.parametrize("memory", ["1MiB", 300])
def test_graphs_of_many_sizes_are_kept_in_memory_and_on_disk(memory: Any, tmp_path: Path) -> None:
    data = pytest.importorskip("torch_geometric.data")
    from torch_geometric.nn import GCNConv

    from tests.graphs import random_graph

    class Convolved(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.conv = GCNConv(3, 4).double()

        def forward(self, batch: Any) -> Tensor:
            h = self.conv(batch.x, batch.edge_index)
            return torch.zeros(batch.num_graphs, 4).double().index_add(0, batch.batch, h.tanh())

    graphs = [random_graph(nodes, nodes, seed=nodes) for nodes in (4, 6, 5)]
    explainer = explainers()["PairHiResCAM"](SiameseModel(Convolved(), "dot"), "conv")
    gallery = Gallery(explainer, data.Batch.from_data_list(graphs), memory=memory, internal_batch_size=2)
    assert gallery.shares
    assert gallery.on_disk == (memory == 300)
    sides = [data.Batch.from_data_list([graphs[k] for k in which]) for which in ([0, 0, 1], [1, 2, 2])]
    expected = explainer.explain((sides[0], sides[1]))
    again = Gallery.open(gallery.save(tmp_path / "gallery"), explainer, data.Batch.from_data_list(graphs))
    for found in (gallery.explain()[:], again.explain()[:]):
        torch.testing.assert_close(found.scores, expected.scores)
        for one, other in zip(found.maps, expected.maps, strict=True):
            torch.testing.assert_close(one.node_mask, other.node_mask)


def test_what_follows_a_layer_is_not_believed_of_items_that_it_does_not_fit() -> None:
    """A block of one item sees one linear piece of a ReLU behind the pooling, and other items lie on others."""
    torch.manual_seed(3)
    layers = nn.Conv2d(1, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 8), nn.ReLU()
    net = nn.Sequential(*layers, nn.Linear(8, 4)).double().eval()
    explainer = PairGradCAM(SiameseModel(net, "dot"), "1")
    items = torch.randn(12, 1, 8, 8, dtype=torch.float64) * torch.linspace(0.2, 4, 12).reshape(-1, 1, 1, 1).double()
    pairs = [(i, (i + 5) % 12) for i in range(12)]
    found = Gallery(explainer, items, internal_batch_size=1).explain(pairs)[:]
    first, second = (items[[pair[side] for pair in pairs]] for side in (0, 1))
    alone = explainer.copy_for(explainer.model).explain((first, second))
    for mine, theirs in zip(found.maps, alone.maps, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-10)
    with torch.no_grad():
        net.get_parameter("4.weight").mul_(1.5)  # trained on: what was known of it is no more
    again = Gallery(explainer, items, internal_batch_size=1).explain(pairs)[:]
    wanted = explainer.copy_for(explainer.model).explain((first, second))
    for mine, theirs in zip(again.maps, wanted.maps, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-10)


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("name", ["PairGradCAM", "PairMaskRegression", "PairActivationDecomposition"])
def test_one_encoder_may_take_items_of_two_sizes(side: int, name: str) -> None:
    of = model("dot")
    cls = explainers()[name]
    explainer = cls(of, "3") if cls.needs_layer else cls(of)
    large = torch.rand(3, 1, 9, 7, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    options = quick_options(cls)
    hits = Gallery(explainer, items(), side=side, other=large[:1], **options).search(large, k=2)
    with torch.no_grad():
        best = (of.encode(large) @ of.encode(items()).T).topk(2)
    assert hits.numbers == tuple(map(tuple, best.indices.tolist()))
    pair = large.repeat_interleave(2, 0), items()[best.indices.flatten()]
    close(hits.explain()[:], explainer.explain(pair if side else pair[::-1], **options), atol=1e-12)


def test_an_item_beside_which_there_is_no_score_is_told_before_anything_is_encoded() -> None:
    of = SiameseModel((encoder(), nn.Linear(4, 3).double()), "dot")
    rows = rows_of(of)
    with pytest.raises(ValueError, match="the model refused its inputs"):
        Gallery(explainers()["PairGradCAM"](of, ("3", "")), items(), side=0, other=torch.rand(1, 7).double())
    assert sum(rows) <= 1


class Turned(nn.Module):
    """Turns what it is given in place, which no mean over all places shows."""

    def forward(self, x: Tensor) -> Tensor:
        return x.copy_(x.flip(-1))


def test_what_follows_a_layer_may_work_on_its_output_in_place() -> None:
    torch.manual_seed(4)
    net = nn.Sequential(nn.Conv2d(1, 5, 3), Turned(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).double()
    gallery = Gallery(PairGradCAM(SiameseModel(net, "dot"), "0"), items(7), internal_batch_size=2)
    found = gallery.explain([(i, (i + 3) % 7) for i in range(7)])[:]
    activation = net[0](items(7)).detach()
    means = activation.mean((2, 3))
    for side, other in ((0, 3), (1, -3)):  # the dot product's share of each place, and of the item the other way round
        shares = torch.einsum("nchw,nc->nhw", activation, means.roll(-other, 0)) / 16
        wanted = shares if side == 0 else shares.roll(-3, 0)
        torch.testing.assert_close(found.maps[side][:, 0], wanted, rtol=0, atol=1e-12)


def test_rows_of_one_shape_are_one_tensor_of_which_pairs_copy_nothing() -> None:
    values = torch.arange(30.0).reshape(5, 2, 3)
    kept = Kept(5, 2, 2**20, Path("nowhere"))
    for start in (0, 2, 4):
        kept.put(start, {"factor": Picked(values.movedim(1, 2)[start : start + 2])})  # rows that lie otherwise
    column = kept.column("factor", [1, 2, 3])
    assert isinstance(column, Picked)
    whole = column.stacked()
    assert whole.data_ptr() == column.whole[1].data_ptr()
    assert torch.equal(whole, values.movedim(1, 2)[1:4])
    assert whole.stride() == (6, 1, 3)  # as they were given
    again = kept.column("factor", [4, 0, 4])
    assert isinstance(again, Picked)
    assert torch.equal(again.stacked(), values.movedim(1, 2)[[4, 0, 4]])
    assert again[0].data_ptr() == again[2].data_ptr() == kept.column("factor", range(4, 5))[0].data_ptr()
    assert torch.equal(again[1:][0], values[0].T)


def test_items_that_are_read_may_be_graphs_or_texts() -> None:
    pytest.importorskip("torch_geometric")
    from xsiamese.result.items import joined

    one, two = sample(), sample(1)
    found = joined([one, two])
    assert found.num_graphs == 2
    assert torch.equal(found.x, torch.cat([one.x, two.x]))
    assert joined(["a dog", "blue"]) == ["a dog", "blue"]
    assert torch.equal(joined([torch.ones(1, 2), torch.zeros(1, 2)]), torch.tensor([[1.0, 1.0], [0.0, 0.0]]))


def sample(number: int = 0) -> Any:
    from torch_geometric.data import Data

    return Data(x=torch.full((2, 3), float(number)), edge_index=torch.tensor([[0, 1], [1, 0]]))


def test_a_gallery_reads_graphs_one_by_one() -> None:
    geometric = pytest.importorskip("torch_geometric")
    torch.manual_seed(0)

    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = geometric.nn.GCNConv(3, 4)

        def forward(self, batch: Any) -> Any:
            h = self.conv(batch.x, batch.edge_index).relu()
            return geometric.nn.global_mean_pool(h, batch.batch)

    explainer = PairGradCAM(SiameseModel(Encoder()), "conv")
    whole = geometric.data.Batch.from_data_list([sample(n) for n in range(1, 4)])
    read = Gallery(explainer, [1, 2, 3], read=sample).explain([(0, 1), (2, 0)])[:]
    given = Gallery(explainer, whole).explain([(0, 1), (2, 0)])[:]
    assert torch.allclose(read.scores, given.scores, atol=1e-6)
    assert torch.allclose(read.maps[0].node_mask, given.maps[0].node_mask, atol=1e-6)
