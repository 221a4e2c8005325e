"""More of the core by hand: layers that the score does not use, words of a command line, and what galleries keep."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from xsiamese import (
    Gallery,
    PairDeepLift,
    PairFeatureAblation,
    PairGradCAM,
    PairIntegratedGradients,
    PairLayerDeepLift,
    PairLayerGradientXActivation,
    PairSaliency,
    SiameseModel,
)
from xsiamese.explain.gallery import encoded
from xsiamese.explain.gallery.compared import Compared
from xsiamese.explain.gallery.hits import Hits
from xsiamese.explain.gallery.shelves import MAPPED, Store
from xsiamese.explain.gallery.stored import written
from xsiamese.explain.maps import join
from xsiamese.explain.meant import Meant
from xsiamese.explain.prepare import ItemBatch, prepared
from xsiamese.explain.request import fitted, without_edges
from xsiamese.kinds.graphs.gates import GateMisfit
from xsiamese.pairs.split import Split

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
    for kind, what in (("row", "are row"), (None, "are of two kinds")):
        assert f"the inputs of this model {what}: of rows it needs" in of(tower, kind, method="counterfactual")
    assert of(image, "image", threshold=0.5) == "--threshold is a setting of one method: say which by --method"
    assert of(image, "image", {"n-steps-more": "3"}) == (
        "--n-steps-more is a setting of one method: say which by --method"
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


@pytest.mark.parametrize(("error", "said"), [
    (OSError(13, "Permission denied"), "Permission denied"), (OSError("of another kind"), "of another kind"),
])  # fmt: skip
def test_why_a_gallery_cannot_be_written(
    error: OSError, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: Path, target: Any) -> None:
        raise error

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(ValueError, match=f"^the gallery cannot be written to .*store: {said}$"):
        written(tmp_path / "store", {}, {}, ids=(), keys=())
    assert list(tmp_path.iterdir()) == []


def test_methods_that_say_what_they_do_not_do() -> None:
    model = SiameseModel(nn.Identity(), "dot")
    with pytest.raises(ValueError, match=r"^PairSaliency has no convergence delta: its maps are not claimed to sum to"):
        PairSaliency(model).attribute((A, B), return_convergence_delta=True)
    with pytest.raises(ValueError, match=r"^PairFeatureAblation gives no differentiable maps: leave out create_graph$"):
        PairFeatureAblation(model).attribute((A, B), create_graph=True)
    maps, delta = PairIntegratedGradients(model).attribute((A, B), return_convergence_delta=True, joint=True)
    assert float(maps[0].sum() + maps[1].sum()) == pytest.approx(-5.0, abs=1e-4)
    assert delta.tolist() == pytest.approx([0.0], abs=1e-4)
