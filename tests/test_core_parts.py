"""More of the core by hand: layers that the score does not use, words of a command line, and what galleries keep."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from captum.attr import InputXGradient, IntegratedGradients
from torch import Tensor, nn

from xsiamese import (
    Gallery,
    PairDeepLift,
    PairExplanation,
    PairFeatureAblation,
    PairGradCAM,
    PairIntegratedGradients,
    PairInteraction,
    PairLayerDeepLift,
    PairLayerGradientXActivation,
    PairNoiseTunnel,
    PairSaliency,
    PairShapleyValueSampling,
    SiameseModel,
)
from xsiamese.explain.annotated import check_options
from xsiamese.explain.captum import _mean, adapt
from xsiamese.explain.digest import digest
from xsiamese.explain.foil import FoilExplanation
from xsiamese.explain.gallery import encoded, stored
from xsiamese.explain.gallery.between import UNIT, Between
from xsiamese.explain.gallery.compared import Compared
from xsiamese.explain.gallery.explained import EveryPair, Explanations
from xsiamese.explain.gallery.given import Items
from xsiamese.explain.gallery.hits import Hits
from xsiamese.explain.gallery.kept import Keeping, Packing
from xsiamese.explain.gallery.meant import Names, bytes_of, hits_of, options_of
from xsiamese.explain.gallery.shelves import MAPPED, Store
from xsiamese.explain.gallery.stored import written
from xsiamese.explain.maps import join
from xsiamese.explain.meant import Meant
from xsiamese.explain.prepare import ItemBatch, prepared
from xsiamese.explain.request import Request, fitted, without_edges
from xsiamese.explain.run import ONE_DRAW, _warn_again
from xsiamese.explain.traits import Declared
from xsiamese.kinds.graphs.gates import GateMisfit
from xsiamese.pairs.split import Split
from xsiamese.pairs.witness import DRAWS

A, B = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -4.0]])


class Aside(nn.Module):
    """A layer whose output the score does not use, beside the one that it uses."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.aside = nn.Linear(2, 2, bias=False), nn.Linear(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        self.aside(x)
        return self.used(x)  # type: ignore[no-any-return]


def test_a_layer_that_the_score_does_not_use_has_a_map_of_zeros() -> None:
    model = SiameseModel(Aside(), "dot")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, size in (("aside", 3), ("used", 2)):
            found = PairLayerGradientXActivation(model, name).attribute((A, B))
            assert [tuple(one.shape) for one in found] == [(1, size)] * 2
            assert [bool(one.any()) for one in found] == [name == "used"] * 2
    u, v = model.encode(A), model.encode(B)
    for one in PairLayerGradientXActivation(model, "used").attribute((A, B)):
        torch.testing.assert_close(one, u * v)

    class Refusing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("not today")

    with pytest.raises(RuntimeError, match="not today"):
        PairLayerGradientXActivation(SiameseModel(nn.Sequential(Refusing()), "dot"), "0").attribute((A, B))


def test_deep_lift_of_a_model_in_half_precision_is_that_of_its_numbers() -> None:
    """s = (W a) . (W b) is linear in a: the map of a is a * (W^T W b), in whole numbers here."""
    layer = nn.Linear(2, 2, bias=False)
    layer.weight.data = torch.tensor([[1.0, 2.0], [-1.0, 3.0]])
    model, gram = SiameseModel(nn.Sequential(layer.bfloat16()), "dot"), torch.tensor([[2.0, -1.0], [-1.0, 13.0]])
    maps = PairDeepLift(model).attribute((A.bfloat16(), B.bfloat16()))
    assert maps[0].dtype == torch.bfloat16
    assert maps[0].tolist() == (A * (B @ gram)).tolist()
    assert maps[1].tolist() == (B * (A @ gram)).tolist()
    for one in PairLayerDeepLift(model, "0").attribute((A.bfloat16(), B.bfloat16())):
        assert one.tolist() == (model.encode(A.bfloat16()) * model.encode(B.bfloat16())).tolist()
    assert layer.weight.dtype == torch.bfloat16


def test_deep_lift_of_vectors_of_words() -> None:
    """The mean of three vectors each, and their dot product: a vector's part is (e - e_0) . (mean of b) / 3."""

    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(6, 2)

        def forward(self, ids: Tensor) -> Tensor:
            return self.table(ids).mean(1)  # type: ignore[no-any-return]

    encoder = Words()
    a, b = torch.tensor([[1, 2, 3]]), torch.tensor([[4, 5, 1]])
    found = PairLayerDeepLift(SiameseModel(encoder, "dot"), "table").attribute((a, b))
    table = encoder.table.weight.detach()
    for ids, other, one in ((a, b, found[0]), (b, a, found[1])):
        expected = (table[ids] - table[0]) * table[other].mean(1, keepdim=True) / 3
        torch.testing.assert_close(one, expected)


def told(call: Callable[[], Any]) -> str:
    with pytest.raises(ValueError) as error:
        call()
    return str(error.value)


def test_words_of_a_command_line_that_no_method_takes() -> None:
    image, tower = SiameseModel(nn.Conv2d(1, 1, 1), "dot"), SiameseModel((nn.ReLU(), nn.ReLU()), "dot")

    def of(model: Any, kind: str | None, words: Any = {}, **said: Any) -> str:  # noqa: B006
        return told(lambda: Meant.of(model, kind, words, **said))

    assert of(image, "image", method="saliency", threshold=0.5) == (
        "--threshold is for methods about the decision, and saliency explains the score: leave it out, or use "
        "--method counterfactual"
    )
    assert of(image, "image", method="saliency", layer="0") == (
        "--layer is for methods that explain a layer, and saliency explains the inputs: leave it out"
    )
    assert of(image, "image", method="saliency", budget="fast") == (
        "--budget fast is for the choice of a method, and --method saliency names one"
    )
    for kind, what in (("text", "are text"), (None, "are of two kinds")):
        assert f"and the inputs of this model {what}: --method" in of(tower, kind, method="counterfactual")
    assert of(image, "image", threshold=0.5) == "--threshold is a setting of one method: say which by --method"
    assert of(image, "image", {"n-steps": "3"}) == "--n-steps is a setting of one method: say which by --method"
    assert (
        of(image, "image", {"n-steps-more": "3"}) == "there is no option --n-steps-more, of the command or of a method"
    )
    for layer, usual, used in (("a", "b", "a"), (None, "b", "b"), (None, None, None)):
        made = Meant.of(image, "image", {}, method="gradcam", layer=layer, usual_layer=usual)
        assert made.explainer.layer == used
        assert made.explains is made.explainer
        assert (made.options, made.files) == ({}, {})
    plain = Meant.of(image, "image", {"abs": "false"}, method="saliency", usual_layer="b")
    assert (plain.explainer.layer, plain.options) == (None, {"abs": False})
    near = Meant.of(image, "image", {}, method="counterfactual", threshold=0.25)
    assert near.explainer.known_threshold() == 0.25


def test_edges_that_cannot_be_explained_leave_what_else_was_asked_for() -> None:
    def batch(*parts: tuple[str, ...]) -> Any:
        return SimpleNamespace(a=SimpleNamespace(parts=parts[0]), b=SimpleNamespace(parts=parts[1]))

    for parts, left in (
        ((("edges",), ("edges",)), ("nodes",)),
        ((("nodes", "edges"), ("nodes", "edges")), ("nodes",)),
        ((("edges", "edge_attr"), ("edge_weight", "edge_attr")), ("nodes", "edge_attr", "edge_weight")),
    ):
        with pytest.warns(UserWarning, match="^edges cannot be explained, and nodes are instead: a misfit$"):
            assert without_edges(batch(*parts), GateMisfit("a misfit")) == left


def test_what_does_not_fit_into_memory_is_told_how_to() -> None:
    def run(split: Split) -> None:
        raise torch.OutOfMemoryError("too much")

    hint = "internal_batch_size='auto' halves what goes through the model at once until it fits"
    with PairSaliency(SiameseModel(nn.Identity(), "dot")).prepared((A, B)) as batch:
        sizes: list[Any] = [None, 1, "auto"]
        for size in sizes:
            with pytest.raises(torch.OutOfMemoryError) as error:
                fitted(batch, size, run)
            assert getattr(error.value, "__notes__", []) == ([] if size == "auto" else [hint])
        assert fitted(batch, 7, lambda split: split.pairs) == 7


def test_maps_by_name_are_joined_by_name() -> None:
    one, two = torch.ones(1), torch.zeros(2)
    found = join([({"x": one, "y": two}, one), ({"x": two, "y": one}, two)], False)[0]
    assert {name: value.tolist() for name, value in found.items()} == {"x": [1, 0, 0], "y": [0, 0, 1]}
    assert join([({"x": one}, one)], False)[0]["x"].tolist() == [1.0]


@pytest.mark.parametrize("towers", [False, True])
@pytest.mark.parametrize(("of_b", "asked"), [([0, 2], [[0, 2]]), ([2, 0], [[0, 2]]), ([0, 7], [[0, 2], [7]])])
def test_items_are_prepared_once_each(towers: bool, of_b: list[int], asked: list[list[int]]) -> None:
    """Of one encoder those of b only where they are none of a's; of two each for its own."""
    model = SiameseModel((nn.Identity(), nn.Identity()) if towers else nn.Identity(), "dot")
    seen: list[list[int]] = []

    def prepare(items: ItemBatch) -> dict[str, Any]:
        (leaf,) = items.leaves
        seen.append([int(row[0]) for row in leaf])
        return {"ten": 10 * leaf[:, 0], "where": [items.place] * len(items)}

    rows = torch.arange(10.0)[:, None].expand(10, 2).contiguous()
    pairs = rows[[0, 2]], rows[of_b]
    with PairSaliency(model).prepared(pairs) as batch:
        found = prepared(batch, prepare).prepared
        assert seen == ([[0, 2], of_b] if towers else asked)
        assert [side["ten"].tolist() for side in found] == [[0, 20], [10 * number for number in of_b]]  # type: ignore[union-attr]
        of_other = [1, 1] if towers else [int(number == 7) for number in of_b]
        assert [list(side["where"]) for side in found] == [[0, 0], of_other]
        assert prepared(batch, lambda items: None) is batch


def rows(count: int = 5) -> Tensor:
    return torch.arange(2.0 * count).reshape(count, 2)


def test_a_gallery_of_a_method_that_prepares_nothing_is_searched_by_its_model() -> None:
    """s = a . b of (0, 1), (2, 3), ...: the last one is closest to all."""
    for size in (None, 2):
        with pytest.warns(UserWarning, match=r"^PairSaliency shares nothing between the pairs of this model: both "):
            gallery = Gallery(PairSaliency(SiameseModel(nn.Identity(), "dot")), rows(), internal_batch_size=size)
        assert not gallery.shares
        assert torch.equal(gallery.embeddings(1), rows())
        hits = gallery.search([1, 4], k=2)
        assert hits.numbers == ((4, 3), (3, 2))
        assert hits.scores == ((43.0, 33.0), (111.0, 77.0))
        assert repr(hits) == "Hits(2 queries, 4 items)"
        assert [one.ids for one in hits] == [(("4", "3"),), (("3", "2"),)]
        assert hits[1].explain()[0].ids == (("4", "3"),)
        assert repr(gallery) == "Gallery(5 items, PairSaliency)"
        with pytest.raises(ValueError, match=r"^PairSaliency shares nothing between pairs: there is nothing to save$"):
            gallery.save("nowhere")
    assert repr(Hits(((1,), (2, 3)), (("1",), ("2", "3")), None, lambda pairs: None)) == "Hits(2 queries, 3 items)"  # type: ignore[arg-type]


def test_an_explainer_that_can_prepare_nothing_of_a_model_explains_each_pair() -> None:
    class Nothing(PairSaliency):
        shares = "kept"

        def prepare(self, items: Any, **options: Any) -> None:
            return None

    explainer = Nothing(SiameseModel(nn.Identity(), "dot"))
    with pytest.warns(UserWarning, match="shares nothing"):
        gallery = Gallery(explainer, rows())
    assert not gallery.shares
    found = gallery.explain([(1, 3)])[0]
    assert found.maps[0].tolist() == [[6.0, 7.0]]
    assert found.scores.tolist() == [33.0]
    assert found.ids == (("1", "3"),)


def test_a_bar_over_items_has_a_step_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[str, Any]] = []

    def bar(parts: Any, **said: Any) -> Any:
        told.append(said)
        return parts

    monkeypatch.setattr(encoded, "tqdm", bar)
    model = SiameseModel(nn.Sequential(nn.Conv2d(1, 2, 1), nn.Flatten()), "dot")
    for size, steps in ((2, 3), (5, 1), (4, 2)):
        Gallery(PairGradCAM(model, "0"), torch.rand(5, 1, 2, 2), show_progress=True, internal_batch_size=size)
        assert told.pop() == {"total": steps, "desc": "gallery", "unit": "block"}
    assert told == []


def test_a_model_whose_items_are_encoded_has_the_encoders_of_the_whole() -> None:
    model = SiameseModel((nn.Linear(2, 1), nn.Linear(2, 1)), "dot")
    assert Compared(model).encoders == model.encoders
    assert list(Compared(model).parameters()) == []


def test_few_files_of_a_store_are_mapped_at_once(tmp_path: Path) -> None:
    """Blocks of zeros have files, too, and rows without numbers need none."""
    count = MAPPED + 3
    store = Store(tmp_path / "store", 1, count)
    for start in range(count):
        store.put("x", start, torch.full((1, 2), float(start)))
        store.put("ragged", start, [torch.full((start % 3, 2), float(start))])
    assert store.names == ["ragged", "x"]
    again = Store(tmp_path / "store", 1)
    for number in (*range(count), 0, 5, count - 1):
        assert again.row("x", number).tolist() == [number, number]
    assert len(again._maps) == MAPPED
    for number in range(count):
        assert again.row("ragged", number).tolist() == [[number, number]] * (number % 3)
    (tmp_path / "store" / "x" / "c" / "1" / "0").unlink()
    with pytest.raises(ValueError, match=r"^the gallery's file .*1.0 is missing or truncated: make the gallery again$"):
        Store(tmp_path / "store", 1).row("x", 1)


def raising(error: Exception) -> Callable[..., Any]:
    def fails(*args: Any, **said: Any) -> Any:
        raise error

    return fails


@pytest.mark.parametrize(("error", "said"), [
    (OSError(13, "Permission denied"), "Permission denied"), (OSError("of another kind"), "of another kind"),
])  # fmt: skip
def test_why_a_gallery_cannot_be_written(
    error: OSError, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "rename", raising(error))
    for what, name in ((ValueError(), "ValueError"), (KeyError("x", "y"), "('x', 'y')"), (OSError("one\ntwo"), "one")):
        with monkeypatch.context() as patch:
            patch.setattr(stored, "zarr", lambda what=what: SimpleNamespace(open_group=raising(what)))
            assert told(lambda: stored.opened(Path("place"))) == f"place is no gallery: {name}"
    with pytest.raises(ValueError, match=f"^the gallery cannot be written to .*store: {said}$"):
        written(tmp_path / "store", {}, {}, ids=(), keys=())
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(
        ValueError, match=r"^here.json: a gallery is a folder, and .json is the ending of a file: leave it"
    ):
        written(Path("here.json"), {}, {}, ids=(), keys=())


@pytest.mark.parametrize(("text", "size"), [
    ("3", 3), ("3B", 3), ("3 b", 3), ("3KB", 3_000), ("3MB", 3_000_000), ("3GB", 3_000_000_000), ("3kib", 3_072),
    ("3MiB", 3_145_728), (" 3 GiB ", 3_221_225_472), ("0.5KB", 500), ("1.5", 1), (7, 7), (7.9, 7), (1, 1),
])  # fmt: skip
def test_an_amount_of_memory(text: Any, size: int) -> None:
    assert bytes_of(text) == size


@pytest.mark.parametrize("text", ["", "3TB", "GB", "-3", "3.3.3KB", "0", 0, 0.5, -1, float("inf"), float("nan"), "0.5"])
def test_what_is_no_amount_of_memory(text: Any) -> None:
    assert told(lambda: bytes_of(text)) == (f"memory={text!r}: bytes, or an amount like '512MiB' or '2GiB', is needed")


def test_what_is_prepared_of_one_side_alone_is_of_no_use() -> None:
    """Pairs are then explained as explain does it: s = a . b, and each map is the other item."""

    class Half(PairSaliency):
        shares = "kept"

        def prepare(self, items: ItemBatch, **options: Any) -> dict[str, Any] | None:
            return None if items.place else {"embedding": items.embed()}

    model = SiameseModel((nn.Identity(), nn.Identity()), "dot")
    with pytest.warns(UserWarning, match="shares nothing"):
        gallery = Gallery(Half(model), rows())
    assert gallery.explain([(1, 3)])[0].maps[0].tolist() == [[6.0, 7.0]]
    encoded_items = encoded.Encoded(Items(Half(model), Request(None), rows()), Keeping(2**20))
    found = Between(encoded_items, encoded_items).explain([(1, 3), (4, 0)], [("1", "3"), ("4", "0")])
    assert [one.tolist() for one in found.maps] == [[[6.0, 7.0], [0.0, 1.0]], [[2.0, 3.0], [8.0, 9.0]]]
    assert not encoded_items.shares


def test_methods_that_say_what_they_do_not_do() -> None:
    model = SiameseModel(nn.Identity(), "dot")
    with pytest.raises(ValueError, match=r"^PairSaliency has no convergence delta: its maps are not claimed to sum to"):
        PairSaliency(model).attribute((A, B), return_convergence_delta=True)
    with pytest.raises(ValueError, match=r"^PairFeatureAblation gives no differentiable maps: leave out create_graph$"):
        PairFeatureAblation(model).attribute((A, B), create_graph=True)
    maps, delta = PairIntegratedGradients(model).attribute((A, B), return_convergence_delta=True, joint=True)
    assert float(maps[0].sum() + maps[1].sum()) == pytest.approx(-5.0, abs=1e-4)
    assert delta.tolist() == pytest.approx([0.0], abs=1e-4)


@pytest.mark.parametrize(("dimensions", "rank", "packed"), [
    (6, None, False), (6, 1, True), (6, 2, True), (6, 3, False), (6, 4, False),  # 12 a rank
    (3, 1, True), (3, 2, False), (5, 2, True), (5, 3, False),  # 9 and 11: 2 save nothing of 18, and 3 of 30
])  # fmt: skip
@pytest.mark.parametrize("half", [False, True])
def test_a_factor_is_packed_where_that_is_smaller(dimensions: int, rank: int | None, packed: bool, half: bool) -> None:
    """Of (2, 3) places and 6 dimensions there are 36 numbers, and 6 + 6 for each rank: three save nothing."""
    packing = Packing(half, rank)
    generator = torch.Generator().manual_seed(0)
    plain = torch.rand(2, 2, 3, dimensions, generator=generator)
    found = packing.pack("x", plain)
    size = torch.float16 if half else torch.float32
    if not packed:
        assert list(found) == ["x"]
        assert torch.equal(found["x"], plain.to(size))  # type: ignore[arg-type]
    else:
        assert list(found) == ["x.left", "x.right"]
        for left, right, one in zip(found["x.left"], found["x.right"], plain, strict=True):
            assert left.dtype == right.dtype == size
            assert (left.shape, right.shape) == ((2, 3, rank), (rank, dimensions))
            u, sizes, v = torch.svd(one.reshape(6, dimensions))
            near = (u[:, :rank] * sizes[:rank]) @ v[:, :rank].T
            torch.testing.assert_close((left.float() @ right.float()).reshape(6, dimensions), near, atol=2e-3, rtol=0)
    for name, rows in (("embedding", plain), ("numbers", torch.arange(6).reshape(2, 3))):
        assert packing.pack(name, rows) == {name: rows}  # as they are: what is searched by, and whole numbers
    vectors = packing.pack("v", plain[:, 0, 0])
    assert list(vectors) == ["v"]  # no matrices
    assert Packing() == Packing(False, None)


@pytest.mark.parametrize("items", [2, 3, 7])
def test_where_runs_of_every_pair_end(items: int) -> None:
    """Against a list of all pairs; the run of the first item is that of pairs that begin with it."""
    pairs, every = [(i, j) for i in range(items) for j in range(i + 1, items)], EveryPair(items)
    assert list(every) == every[:] == pairs
    assert every[-1] == pairs[-1]
    begins = [k for k, (i, _) in enumerate(pairs) if k == 0 or pairs[k - 1][0] != i] + [len(pairs)]
    for number in range(len(pairs)):
        assert every.row_end(number) == next(k for k in begins if k > number)
        assert every.row_before(number) == max(k for k in begins if k <= number)
    assert every.row_before(len(pairs)) == every.row_before(len(pairs) + 5) == len(pairs)


@pytest.mark.parametrize(("items", "units", "size", "cuts"), [
    (5, (4, 4), None, [(0, 4), (4, 7), (7, 9), (9, 10)]),  # runs of 4, 3, 2 and 1
    (5, (2, 3), None, [(0, 3), (3, 4), (4, 7), (7, 9), (9, 10)]),
    (5, (16, 16), None, [(0, 4), (4, 7), (7, 10)]),  # those of 2 are too short for a unit of 16
    (5, (32, 32), None, [(0, 10)]),
    (17, (128, 128), None, [(0, 126), (126, 136)]),  # at most 128, and whole runs
    (5, (4, 4), 3, [(0, 3), (3, 6), (6, 9), (9, 10)]),
])  # fmt: skip
def test_units_of_every_pair_are_runs_of_an_item(items: int, units: Any, size: Any, cuts: list[Any]) -> None:
    made: list[Any] = []

    def make(pairs: Any) -> Any:
        made.append(list(pairs))
        return pairs

    found = Explanations(EveryPair(items), make, lambda pairs: torch.zeros(len(pairs)), units)
    pairs = list(EveryPair(items))
    assert [list(unit) for unit in found.units(size)] == made == [pairs[start:stop] for start, stop in cuts]
    assert repr(found) == f"Explanations({len(pairs)} pairs, not made yet)"
    assert found.scores.shape == (len(pairs),)
    listed = Explanations(pairs, make, lambda pairs: torch.zeros(len(pairs)), units)
    assert len(next(iter(listed.units(size)))) == min(units[0] if size is None else size, len(pairs))
    with pytest.raises(
        IndexError, match=rf"^\[\] means none of {len(pairs)} pairs, and there is no explanation of none$"
    ):
        found[[]]


class Ids(nn.Module):
    """Vectors of whole numbers, and their mean; without a table their numbers."""

    def __init__(self, table: str = "table") -> None:
        super().__init__()
        if table:
            self.add_module(table, nn.Embedding(6, 2))

    def forward(self, ids: Tensor) -> Tensor:
        tables = list(self.children())
        return tables[0](ids).mean(1) if tables else ids.double()


def test_whole_numbers_are_scored_and_not_moved() -> None:
    a, b = torch.tensor([[1, 2]]), torch.tensor([[3, 4]])
    moved, other = torch.tensor([[1.0, 2.0]]), Ids()
    both, towers = SiameseModel(other, "dot"), SiameseModel((Ids(), Ids()), "dot")
    mixed, named = SiameseModel((nn.Identity(), Ids()), "dot"), SiameseModel((Ids(), Ids("words")), "dot")
    start = "PairSaliency moves what it explains, and input {} is int64 (text): whole numbers cannot move"
    end = "or use a method that removes and asks again, such as PairFeatureAblation"
    layer = "explain the layer that makes vectors of them, PairLayerIntegratedGradients(model, layer="

    def said(model: SiameseModel, pair: Any, **options: Any) -> str:
        explainer = PairSaliency(model)
        assert explainer.scores(pair, kind=options.get("kind")).tolist() == model(*pair).tolist()
        with pytest.raises(TypeError) as error:
            explainer.attribute(pair, **options)
        return str(error.value)

    assert said(both, (a, b), kind="text") == f"{start.format('a')}; {layer}'table'), {end}"
    assert said(towers, (a, b), kind="text") == f"{start.format('a')}; {layer}'table'), {end}"
    assert said(named, (a, b), kind="text") == (
        f"{start.format('a')}; {layer}('table', 'words')), hold a with wrt='second', {end}"
    )
    assert "('table', 'words')), hold b with wrt='first', or" in said(named, (a, b), kind="text", wrt="second")
    with pytest.raises(
        TypeError, match=r"vectors of them, PairLayerInteraction\(model, layer=\('table', 'words'\)\), or"
    ):
        PairInteraction(named).explain((a, b), kind="text")
    assert said(mixed, (moved, b), kind=("row", "text")).startswith(start.format("b"))
    plain = SiameseModel(Ids(""), "dot")
    assert said(plain, (a, b), kind="row") == (f"{start.format('a').replace('text', 'row')}; give a.float(), {end}")


class Drawing(nn.Module):
    """Adds a number that grows with every call to the second of its rows; draws one."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def forward(self, x: Tensor) -> Tensor:
        torch.rand(1)
        self.asked += 1
        return x + torch.tensor([[0.0], [self.asked]]) if len(x) == 2 else x


def test_a_gallery_of_a_model_that_draws_says_by_how_much() -> None:
    class Kept(PairSaliency):
        shares = "kept"

        def prepare(self, items: ItemBatch, **options: Any) -> dict[str, Any]:
            return {"embedding": items.embed()}

    with pytest.warns(UserWarning, match="an item embeddings that differ by 1, so that what the gallery keeps is of"):
        Gallery(Kept(SiameseModel(Drawing(), "dot")), rows(2))


@pytest.mark.parametrize(("error", "said"), [
    (ValueError("first\nsecond"), "first"), (KeyError(), "KeyError"), (OSError("", "x"), "[Errno ] x"),
])  # fmt: skip
def test_why_an_item_cannot_be_read(error: Exception, said: str) -> None:
    def read(word: str) -> Tensor:
        if word == "bad":
            raise error
        return rows(1) if word == "good" else torch.zeros(1, 3)

    explainer = PairSaliency(SiameseModel(nn.Identity(), "dot"))
    own = Items(explainer, Request(None), ["good", "bad", "good", "wide"], read)
    with pytest.raises(ValueError) as found:
        own.some(0, [0, 1])
    assert str(found.value) == f"item 1 of the gallery, 'bad', cannot be read: {said}"
    with pytest.raises(ValueError, match=r"^items 0 to 3 do not make one batch: Sizes of tensors must match"):
        own.some(0, [3, 2, 0])


def test_items_of_a_store_are_looked_at_once() -> None:
    explainer = PairSaliency(SiameseModel(nn.Identity(), "dot"))
    own = Items(explainer, Request(None), ["0", "1", "2"], lambda word: rows(3)[int(word)][None])
    asked: list[list[int]] = []
    own.expect(lambda numbers, keys: asked.append(list(numbers)))
    for which in ([1], [1, 0], [0, 1], [2, 2], [1]):
        own.some(0, which)
    assert asked == [[1], [0, 1], [2]]
    keys = own.some(0, [0, 1, 2]).side
    (batch,) = [part for _, part in own.parts(0, 3)]
    assert torch.equal(keys.leaves[0], rows(3))
    assert batch.seeds == tuple(int(digest([row]).hexdigest()[:15], 16) for row in rows(3))


def test_pairs_are_scored_by_their_own_sides() -> None:
    """Towers that multiply by 2 and by 3: s(i, j) = 6 i . j, by embeddings or, of another model, pair by pair."""
    numbers = [(0, 4), (3, 1), (2, 2)]
    expected = [6.0 * float(rows()[i] @ rows()[j]) for i, j in numbers]

    class Times(nn.Module):
        def __init__(self, by: float) -> None:
            super().__init__()
            self.by = by

        def forward(self, x: Tensor) -> Tensor:
            return self.by * x

    def weighted(a: Tensor, b: Tensor) -> Tensor:
        return (2 * a * (3 * b)).sum(1) if len(a) <= UNIT else a.new_zeros(0)

    for model in (SiameseModel((Times(2.0), Times(3.0)), "dot"), weighted):
        with pytest.warns(UserWarning, match="shares nothing"):
            gallery = Gallery(PairSaliency(model), rows())
        assert gallery.explain(numbers).scores.tolist() == expected
        assert gallery.explain(numbers)[1].scores.tolist() == expected[1:2]
        for one in gallery.explain(numbers[:1]):
            assert [m.tolist() for m in one.maps] == [[[48.0, 54.0]], [[0.0, 6.0]]]


def test_a_side_of_a_gallery_that_is_none() -> None:
    with pytest.warns(UserWarning, match="shares nothing"):
        gallery = Gallery(PairSaliency(SiameseModel(nn.Identity(), "dot")), rows())
    with pytest.raises(ValueError, match=r"^a.csv: what a gallery keeps is a folder, and .csv is the ending of a file"):
        Gallery(PairSaliency(SiameseModel(nn.Identity(), "dot")), rows(), folder="a.csv")
    sides: list[Any] = [True, False, 2, -1, "a"]
    for side in sides:
        with pytest.raises(ValueError, match=f"^side={side!r}: 0, of what is asked, or 1, of what is found, is needed"):
            gallery.embeddings(side)
    own = gallery.embeddings(0)
    own.zero_()
    assert torch.equal(gallery.embeddings(1), rows())
    with pytest.warns(UserWarning, match="shares nothing"):
        other = Gallery(PairSaliency(lambda a, b: (a * b).sum(1)), rows())
    with pytest.raises(ValueError, match=r"^TwoInputModel has no embeddings to search by: wrap the encoder as Siamese"):
        other.embeddings(0)
    for ids, name in ((["a", "b", "b", "c", "c"], "b"), (["a", "b", "c", "d", "a"], "a")):
        with pytest.raises(ValueError, match=f"^two items have the id '{name}': every item needs an id of its own$"):
            Gallery(PairSaliency(SiameseModel(nn.Identity(), "dot")), rows(), ids=ids)
    with pytest.raises(ValueError, match=r"^4 ids for 5 items: one for each is needed$"):
        Gallery(PairSaliency(SiameseModel(nn.Identity(), "dot")), rows(), ids="abcd")


def test_baselines_of_a_gallery_that_keeps_nothing() -> None:
    """Of paths from a baseline of ones: s = a . b, and the map of a is (a - 1) * b."""
    explainer = PairIntegratedGradients(SiameseModel(nn.Identity(), "dot"))
    with pytest.warns(UserWarning, match="shares nothing"):
        gallery = Gallery(explainer, rows().double(), baselines=1.0)
    found = gallery.explain([(1, 4)])[0].maps
    torch.testing.assert_close(found[0], torch.tensor([[1.0 * 8, 2.0 * 9]]).double())
    torch.testing.assert_close(found[1], torch.tensor([[7.0 * 2, 8.0 * 3]]).double())


def test_what_an_index_found_for_one_query() -> None:
    names = Names(["a", "b", "c"])
    assert hits_of([2, 0, -1], [0.5, 0.25, 9.0], 1, names) == ([[2, 0]], [[0.5, 0.25]])
    assert hits_of([[2], ["a", -1]], None, 2, names) == ([[2], [0]], None)
    assert hits_of(torch.tensor([[1, -1]]), torch.tensor([[0.5, 0.0]]), 1, names) == ([[1]], [[0.5]])
    for ids, scores, queries, said in (
        (3, None, 1, "ids is a int: for each query a list of numbers or ids is needed"),
        ([[1], [2]], None, 1, "ids of 2 queries for 1: for each query a list is needed"),
        ([[1, 2]], [[0.5]], 1, "scores do not fit ids: one for each item that was found is needed"),
    ):
        assert told(lambda: hits_of(ids, scores, queries, names)) == said  # noqa: B023
    texts = Names(["a", "b"], texts=True)
    with pytest.warns(UserWarning, match=r"^'b' is taken as a text, and is the id of item 1 as well: in place of ids "):
        assert texts.asked(["x", "b", "a"]) is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert texts.asked(["x", "y"]) is None
        assert Names(["0", "1"], texts=True).asked(["0"]) is None  # numbers, which were given to nobody
    with pytest.raises(
        TypeError, match=r"^a gallery takes no against= and leaves it .* explain\(\(a, b\), against=...\)"
    ):
        options_of(PairSaliency(SiameseModel(nn.Identity(), "dot")), {"wrt": "first", "against": 3})


def test_a_mean_of_one_part_is_that_part() -> None:
    assert [one.tolist() for one in _mean([(A, B)])] == [A.tolist(), B.tolist()]
    assert [adapt(one).takes_baselines for one in (InputXGradient, IntegratedGradients)] == [False, True]


@pytest.mark.parametrize(("size", "rows"), [(None, 16), (3, 3), (18, 16)])
def test_a_model_that_draws_is_asked_again_about_a_few_pairs(size: int | None, rows: int) -> None:
    asked: list[int] = []

    def model(a: Tensor, b: Tensor) -> Tensor:
        asked.append(len(a))
        return (a * b).sum(1)

    pairs = torch.ones(20, 2), torch.ones(20, 2)
    with PairSaliency(model).prepared(pairs, internal_batch_size=size) as batch:
        asked.clear()
        assert not _warn_again(batch, torch.full((20,), 2.0), DRAWS, ONE_DRAW)  # what it gives once more
        shifted = torch.full((20,), 2.0) - torch.eye(20)[7] / 2
        with pytest.warns(UserWarning, match=r"pair 7 1.5 and 2, so that its maps are those of one draw") as found:
            assert _warn_again(replace(batch, rows=None), shifted, DRAWS, ONE_DRAW)
    assert (asked[0], len(found)) == (rows, 1)


@pytest.mark.parametrize(("trait", "wrong", "right", "needed"), [
    ("needs_layer", [1, None, "yes"], [True, False], "True or False"),
    ("moves_inputs", [1, "no"], [True, False, None], "True, False or None"),
    ("chunk", [0, -1, True, 1.5, "3"], [1, 7, None], "a positive number or None"),
    ("cost", [3, None, ("a",)], ["", "two passes"], "a string"),
    ("reference", ["a", ["a"], ("a", 1)], [(), ("a", "b")], "a tuple of strings"),
    ("modalities", ["image", ("image",), {1}], [{"image"}, frozenset({"row", "text"})], "a set of strings"),
    ("result", [3, int, None], [PairExplanation, FoilExplanation], "a subclass of PairExplanation"),
    ("files", [3, ["x"], None], [{}, {"x": "y"}], "a mapping of strings"),
])  # fmt: skip
def test_what_a_trait_may_be(trait: str, wrong: list[Any], right: list[Any], needed: str) -> None:
    for value in wrong:
        with pytest.raises(TypeError) as error:
            type("Own", (Declared,), {trait: value})
        assert str(error.value) == f"Own.{trait} is {value!r}: {needed} is needed"
    for value in right:
        assert getattr(type("Own", (Declared,), {trait: value}).traits, trait) == value  # type: ignore[attr-defined]


def test_traits_that_are_none_and_what_a_map_shows() -> None:
    def own(base: type[Any] = Declared, **told: Any) -> Any:
        return type("Own", (base,), told)

    for told, said in (
        ({"needs_layers": True}, "Own.needs_layers is no trait of an explainer; did you mean 'needs_layer'?"),
        ({"zzz": 3}, "Own.zzz is no trait of an explainer; if it is the class's own, declare it: zzz: ClassVar[...]"),
        ({"shares": "ever"}, "Own.shares is 'ever': never, kept, always is needed"),
        ({"shows": "size"}, "Own.shows is 'size': signed, magnitude, relevance is needed"),
    ):
        with pytest.raises(TypeError) as error:
            own(**told)
        assert str(error.value) == said
    assert own(zzz=3, __annotations__={"zzz": "ClassVar[int]"}).zzz == 3
    assert own(_zzz=3)._zzz == 3
    assert own(needs_layer=property(lambda self: True)).traits.needs_layer is False  # decided by the object
    older, newer, plain = own(unsigned=True), own(shows="magnitude"), own()
    for cls, shows, unsigned in (
        (older, "relevance", True), (newer, "magnitude", False), (plain, "signed", False),
        (own(older), "relevance", True), (own(older, shows="signed"), "signed", False),
        (own(newer), "magnitude", False), (own(newer, unsigned=True), "relevance", True),
        (own(newer, unsigned=False), "magnitude", False),
    ):  # fmt: skip
        assert (cls.traits.shows, cls.traits.unsigned) == (shows, unsigned)


def test_what_was_said_is_told_and_no_more() -> None:
    assert Request((A, B)).told() == {}
    asked = Request((A, B), 3, 0.5, "x", "first", ("nodes",), size=7, kind="row", options={"n_steps": 3}, seed=9)
    assert asked.told() == {
        "baselines": 0.5, "additional_forward_args": "x", "wrt": "first", "parts": ("nodes",), "kind": "row",
        "internal_batch_size": 7, "n_steps": 3,
    }  # fmt: skip
    assert asked.names(None) is None
    assert asked.names([(1, "b"), ["c", 2]]) == (("1", "b"), ("c", "2"))  # type: ignore[list-item]
    wrong: list[Any] = ["ab", 3, ("a",), ("a", "b", "c")]
    for one in wrong:
        with pytest.raises(ValueError) as error:
            asked.names([("a", "b"), one])
        assert str(error.value) == f"ids= holds {one!r}: two names for each pair, (of a, of b), are needed"
    moved = replace(asked, options={"x": A, "y": (A, (B, 3)), "z": [A]}).on(torch.device("meta")).options
    assert moved["x"].device.type == moved["y"][0].device.type == moved["y"][1][0].device.type == "meta"
    assert (moved["y"][1][1], moved["z"][0] is A) == (3, True)


def test_what_an_explainer_says_of_itself() -> None:
    model = SiameseModel(nn.Conv2d(1, 1, 1), "cosine")
    saliency = PairSaliency(model, detach_norms=True)
    assert repr(saliency) == "PairSaliency(SiameseModel, detach_norms=True)"
    assert repr(PairSaliency(model)) == "PairSaliency(SiameseModel)"
    assert repr(PairGradCAM(model, "0", layout=None)) == "PairGradCAM(SiameseModel, layer='0')"
    twin = saliency.copy_for(SiameseModel(nn.Flatten(), "cosine"))
    assert twin.model.comparison.detach_norms  # type: ignore[union-attr]
    assert twin._plans is not saliency._plans
    assert saliency.known_threshold() is None
    model.comparison.threshold_ = 0
    assert PairSaliency(model).known_threshold() == 0.0
    with pytest.raises(
        ValueError, match=r"^PairFeatureAblation takes no gradients: detach_norms= changes nothing, leave"
    ):
        PairFeatureAblation(model, detach_norms=True)
    with pytest.raises(ValueError, match=r"^calls=0: 'sum', 'all' or None is needed$"):
        PairGradCAM(model, calls=0)  # type: ignore[arg-type]
    assert saliency.total((A, B), {}).tolist() == [2.0]  # 1 + 2 + 3 - 4
    assert "detach_norms" in PairSaliency.settings()
    assert "detach_norms" not in PairFeatureAblation.settings()


@pytest.mark.parametrize(("cls", "name", "most", "usual"), [
    (PairIntegratedGradients, "n_steps", 5_000, 50), (PairShapleyValueSampling, "n_samples", 1_000_000, 25),
    (PairNoiseTunnel, "nt_samples", 1_000_000, 5),
])  # fmt: skip
def test_how_much_a_method_may_be_asked_for(cls: Any, name: str, most: int, usual: int) -> None:
    for value in (1, most):
        check_options(cls, {name: value})
    for value in (0, most + 1):
        assert told(lambda value=value: check_options(cls, {name: value})) == (  # type: ignore[misc]
            f"{name}={value}: a whole number from 1 to {most} is needed; {usual} if left out"
        )


@pytest.mark.parametrize(("function", "switches", "seed"), [
    (PairSaliency.attribute, {"show_progress", "return_convergence_delta", "create_graph"}, 0),
    (PairSaliency.explain, {"show_progress"}, 0), (PairSaliency.prepared, {"show_progress"}, 0),
    (PairSaliency.scores, set(), None), (PairSaliency.__init__, {"detach_norms"}, None),
    (Gallery.__init__, {"show_progress", "half"}, 0), (Explanations.units, {"show_progress"}, None),
])  # fmt: skip
def test_what_is_left_out_is_off_and_drawn_with_the_seed_zero(function: Any, switches: set[str], seed: Any) -> None:
    """All else is None, but for which sides move, how much memory there is and that what is found stands second."""
    known = {name: p.default for name, p in inspect.signature(function).parameters.items() if p.default is not p.empty}
    assert {name for name, value in known.items() if value is False} == switches
    assert known.get("seed") == seed
    others = {name: value for name, value in known.items() if value is not None and name not in {*switches, "seed"}}
    usual = ("wrt", "both"), ("memory", "2GiB"), ("side", 1)
    assert others == {name: value for name, value in usual if name in known}
