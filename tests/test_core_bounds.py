"""Where the core turns: how much at once, what counts as equal, which names are told, each by hand."""

from __future__ import annotations

import random
import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import Attribution
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode

from xsiamese import (
    Gallery,
    PairDeepLift,
    PairFeatureAblation,
    PairGradientShap,
    PairInputXGradient,
    PairIntegratedGradients,
    PairLayerDeepLift,
    PairNoiseTunnel,
    PairSaliency,
    SiameseModel,
)
from xsiamese.explain import run as running
from xsiamese.explain.attribution import PairAttribution
from xsiamese.explain.auto import auto, check_explainer
from xsiamese.explain.captum import _GRAPHS, _ROWS, _rows_at_once, adapt
from xsiamese.explain.found import Found
from xsiamese.explain.gallery.between import ROOM, UNIT, Between, _may_be_same
from xsiamese.explain.gallery.explained import EveryPair, Explanations
from xsiamese.explain.gallery.given import LARGEST, Items, _repeated, names_of
from xsiamese.explain.gallery.given import ROOM as ITEMS
from xsiamese.explain.gallery.hits import Hits, every_score
from xsiamese.explain.gallery.kept import Keeping, Kept, Packing
from xsiamese.explain.gallery.meant import bytes_of, side_of
from xsiamese.explain.gallery.stored import written
from xsiamese.explain.maps import warn_identical
from xsiamese.explain.options import options_of
from xsiamese.explain.per_tensor import masks_of, spread, total_of_groups
from xsiamese.explain.prepare import ItemBatch, _glance, _same, keys_of, prepared
from xsiamese.explain.request import Request, _a, _some
from xsiamese.explain.traits import Traits
from xsiamese.kinds.catalogue import side
from xsiamese.model.comparison import Bilinear, Comparison, Cosine, Dot, Euclidean, Manhattan, SquaredEuclidean

DOT = SiameseModel(nn.Identity(), "dot")


def told(ask: Any) -> list[str]:
    """What is warned of."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        ask()
    return [str(one.message) for one in found]


# runs


@pytest.mark.parametrize(("rows", "traits", "alone", "size"), [
    (None, {}, False, 10), (3, {}, False, 3), (None, {"chunk": 4}, False, 4), (3, {"chunk": 4}, False, 3),
    (5, {"chunk": 4}, False, 4), (3, {"chunk": 4}, True, 1), (None, {}, True, 1),
    (3, {"chunk": 4, "across_pairs": True}, True, 10),
])  # fmt: skip
def test_how_many_pairs_a_part_has(
    rows: int | None, traits: Any, alone: bool, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bars: list[Any] = []

    def bar(parts: Any, **how: Any) -> Any:
        bars.append(how)
        return parts

    monkeypatch.setattr(running, "tqdm", bar)
    for show in (False, True):
        batch: Any = SimpleNamespace(rows=rows, pairs=10, split=lambda size: size, show_progress=show)
        found: Any = running._parts(batch, Traits(**traits), "some", alone)
        assert found == size
    assert bars == [{"total": -(-10 // size), "desc": "some", "unit": "batch"}]


def explaining(**traits: Any) -> tuple[Any, list[int]]:
    """An explainer with some traits, and how many pairs it was given at a time."""
    sizes: list[int] = []

    def compute(self: Any, batch: Any, **options: Any) -> Any:
        sizes.append(batch.pairs)
        return batch.maps([leaf.detach() for leaf in batch.moved])

    return type("Some", (PairAttribution,), {"name": "some", "compute": compute, **traits})(DOT), sizes


@pytest.mark.parametrize(("traits", "sizes"), [
    ({}, [4, 1]), ({"stochastic": True}, [1] * 5), ({"stochastic": True, "common_draws": True}, [4, 1]),
    ({"common_draws": True}, [4, 1]), ({"across_pairs": True}, [5]), ({"chunk": 2}, [2, 2, 1]),
])  # fmt: skip
def test_what_draws_is_given_pair_by_pair(traits: Any, sizes: list[int]) -> None:
    explainer, found = explaining(**traits)
    a, b = torch.rand(2, 5, 3)
    map_a, map_b = explainer.attribute((a, b), internal_batch_size=4)
    assert found == sizes
    assert torch.equal(map_a, a)
    assert torch.equal(map_b, b)


def test_a_method_that_draws_nothing_leaves_the_generators() -> None:
    states = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # type: ignore[index]
    drawing, _ = explaining(stochastic=True)
    for explainer in (explaining()[0], drawing, PairSaliency(DOT)):
        explainer.attribute((torch.rand(1, 3, generator=torch.Generator()), torch.ones(1, 3)), seed=7)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.random.get_state()[1].tolist() == states[1]  # type: ignore[index]
    assert random.getstate() == states[2]


class Ranged(nn.Module):
    """What it gives hangs on all that it is given: by the largest or the least number, or by how many there are."""

    __module__ = "own.quantized.dynamic"

    def __init__(self, how: str, step: float = 0.0) -> None:
        super().__init__()
        self.how, self.step = how, step

    def forward(self, x: Tensor) -> Tensor:
        if self.how == "largest":
            return x / x.abs().max().clamp(min=1)
        if self.how == "least":
            return x.double() + x.min()
        return x + self.step * (len(x) > 1)


def test_a_value_that_hangs_on_what_is_asked_beside_it() -> None:
    """2 . 3 with each divided by the largest is 1, and beside ten times these a hundredth of it."""
    pair = torch.tensor([[2.0]]), torch.tensor([[3.0]])
    model = SiameseModel(Ranged("largest"), "dot")
    (line,) = told(lambda: PairFeatureAblation(model).attribute(pair))
    assert "the value of pair 0 is 1 alone and 0.01 beside others" in line
    assert not told(lambda: PairFeatureAblation(model).attribute(pair, internal_batch_size=1))
    two = tuple(torch.cat([x, 2 * x]) for x in pair)
    assert len(told(lambda: PairFeatureAblation(model).attribute(two, internal_batch_size=2))) == 1  # said once
    # whole numbers are not grown; beside them is nothing: (2, 5) . (4, 6) alone, and then (1, 4) . (2, 4)
    ids = torch.tensor([[1, 4]]), torch.tensor([[2, 4]])
    least = PairFeatureAblation(SiameseModel(Ranged("least"), "dot"))
    lines = told(lambda: [least.attribute(ids, kind=kind) for kind in ("text", "row")])
    assert len(lines) == 2
    assert all("the value of pair 0 is 38 alone and 18 beside others" in line for line in lines)
    plain = SiameseModel(type("Plain", (Ranged,), {"__module__": "own"})("least"), "dot")
    assert not told(lambda: PairSaliency(plain).attribute(pair))


@pytest.mark.parametrize(("step", "says"), [(6e-6, False), (6.667e-6, False), (6.72e-6, True), (-6.8e-6, True)])
def test_a_value_is_the_same_up_to_a_hundred_thousandth(step: float, says: bool) -> None:
    """1 . 2 beside others is (1 + s)(2 + s), which is 3 s more; 2.01e-5 is the bound."""
    pair = torch.tensor([[1.0]]).double(), torch.tensor([[2.0]]).double()
    found = told(lambda: PairSaliency(SiameseModel(Ranged("many", step), "dot")).attribute(pair))
    assert bool(found) is says


def test_a_bar_is_shown_to_who_asks_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    explainer, pairs = explaining()[0], torch.rand(2, 3, 2)
    for shown in ({}, {"show_progress": False}, {"show_progress": True}):
        for ask in (explainer.attribute, explainer.explain):
            ask(tuple(pairs), **shown)
            assert ("Some: 100%" in capsys.readouterr().err) is (shown == {"show_progress": True})
        with explainer.prepared(tuple(pairs), **shown) as batch:
            assert batch.show_progress is (shown == {"show_progress": True})


def test_a_pair_may_be_equal_where_an_embedding_is_not_known() -> None:
    one = torch.ones(1, 2)
    for known, may in (
        (({"embedding": one}, {}), True), (({}, {"embedding": one}), True),
        (({"embedding": one}, {"embedding": [one[0]]}), True), (({"embedding": one}, {"embedding": one + 1}), False),
    ):  # fmt: skip
        batch: Any = SimpleNamespace(prepared=known)
        assert _may_be_same(batch) is may


def test_a_map_of_what_is_as_small_as_rounding() -> None:
    """Of 128 features each is one of 128, and a number of eight bits is right there to one."""
    a = torch.ones(1, 128)
    for gone, batches in ((a.bfloat16(), None), (a.bfloat16().repeat(3, 1), 1)):
        ablating = PairFeatureAblation(DOT)
        found = told(lambda: ablating.attribute((gone, gone), internal_batch_size=batches))  # noqa: B023
        start = "at the most, and the model keeps scores in torch.bfloat16, to 1: what it shows is rounding"
        assert [f"the map of {side} is 1 {start}" in line for side, line in zip("ab", found, strict=True)] == [True] * 2
    assert not told(lambda: PairFeatureAblation(DOT).attribute((a, a)))
    assert not told(lambda: PairInputXGradient(DOT).attribute((a.bfloat16(), 2 * a.bfloat16())))  # it asks once


def test_eight_equal_pairs_are_named() -> None:
    rows = torch.arange(20.0).reshape(10, 2)
    sides: Any = SimpleNamespace(a=side(rows, "a"), b=side(rows.clone(), "b"))
    assert told(lambda: warn_identical(sides)) == [
        "a and b are equal in pair 0, 1, 2, 3, 4, 5, 6, 7: the score is stationary there, and a map of gradients is "
        "noise"
    ]
    other: Any = SimpleNamespace(a=side(rows, "a"), b=side(rows + 1, "b"))
    assert not told(lambda: warn_identical(other))


# items


def test_items_that_differ_where_a_glance_does_not_look_are_two() -> None:
    """Of forty numbers every third is looked at: the second is not."""
    items = torch.arange(40.0).repeat(3, 1)
    items[1, 1] = -1
    of_a = side(items, "a")
    assert len({_glance(of_a, i) for i in range(3)}) == 1
    assert [key == keys_of(of_a)[0] for key in keys_of(of_a)] == [True, False, True]
    asked: list[Tensor] = []

    def prepare(some: Any) -> Any:
        asked.append(some.leaves[0].detach().clone())
        return {"own": some.leaves[0][:, 1].detach()}

    batch = Request((items, items[[1, 1, 0]])).batch(PairSaliency(DOT))
    found: Any = prepared(batch, prepare).prepared
    assert [one.tolist() for one in asked] == [items[:2].tolist()]
    assert [side["own"].tolist() for side in found] == [[1.0, -1.0, 1.0], [-1.0, -1.0, 1.0]]
    for i in range(0, 40, 3):
        other = items.clone()
        other[1] = other[0]
        other[1, i] += 1
        assert _glance(side(other, "a"), 0) != _glance(side(other, "a"), 1)


def test_what_is_embedded_of_items() -> None:
    """The items, or any copies of them, each by the encoder of its side."""
    first, second = nn.Linear(2, 3), nn.Linear(2, 3)
    rows = torch.rand(4, 2)
    batch = Request((rows, rows.flip(0))).batch(PairSaliency(SiameseModel((first, second), "dot")))
    with torch.no_grad():
        for place, encoder in enumerate((first, second)):
            items = ItemBatch(batch, place)
            own = (rows, rows.flip(0))[place]
            torch.testing.assert_close(items.embed(), encoder(own))
            torch.testing.assert_close(items.embed(-own[[2, 2, 0, 1]]), encoder(-own[[2, 2, 0, 1]]))
            assert len(items) == 4
            assert items.seeds == ItemBatch(batch, 1 - place).seeds[::-1]  # by their numbers, on either side


def test_baselines_that_are_the_same_for_all() -> None:
    one, two = torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 3.0]])
    assert _same(torch.cat([one, one]), one)
    assert _same(one, torch.cat([one, two]))  # the first says what is the same
    assert not _same(torch.cat([one, two]), torch.cat([one, two]))
    assert not _same(two, one)
    assert not _same(torch.ones(2, 3), torch.ones(1, 1))
    assert not _same(torch.ones(2, 1, 3), torch.ones(1, 2, 3))


@pytest.mark.parametrize(("shape", "at_once"), [
    ((3, 2), LARGEST), ((3, 2**13), ITEMS // 2**13), ((3, 2, 2**13), ITEMS // 2**14), ((3, ITEMS), 1),
    ((3, 2 * ITEMS), 1), ((3, 0), LARGEST),
])  # fmt: skip
def test_about_a_million_numbers_of_items_are_prepared_at_once(shape: tuple[int, ...], at_once: int) -> None:
    leaves = [torch.empty(shape, device="meta")]
    items: Any = SimpleNamespace(own=SimpleNamespace(leaves=leaves), batch=SimpleNamespace(pairs=3))
    assert Items.at_once.fget(items) == at_once  # type: ignore[attr-defined]
    leaves.append(torch.empty((3, 5), dtype=torch.float64, device="meta"))
    assert Items.size.fget(items) == 4 * torch.Size(shape[1:]).numel() + 40  # type: ignore[attr-defined]


def test_one_item_as_often_as_there_are_others() -> None:
    item = torch.tensor([[1.0, 2.0]])
    assert _repeated(item, 3, "row").tolist() == [[1.0, 2.0]] * 3
    assert _repeated(item, 3, "row").stride(0) == 0
    both = _repeated((item, item + 1), 2, "row")
    assert type(both) is tuple
    assert [one.tolist() for one in both] == [[[1.0, 2.0]] * 2, [[2.0, 3.0]] * 2]
    assert type(_repeated([item], 2, "row")) is list
    data = pytest.importorskip("torch_geometric.data", reason='pip install "xsiamese[graph]"')
    graph = data.Batch.from_data_list([data.Data(x=item, edge_index=torch.zeros(2, 0, dtype=torch.long))])
    found = _repeated(graph, 3, "graph")
    assert found.num_graphs == 3
    assert found.x.tolist() == [[1.0, 2.0]] * 3


# a gallery


def encoded(about: tuple[int, int, int], read: Any) -> Any:
    size, row_bytes, budget = about
    return SimpleNamespace(
        items=SimpleNamespace(size=size, read=read), row_bytes=row_bytes, keeping=SimpleNamespace(budget=budget)
    )


@pytest.mark.parametrize(("first", "second", "allowed", "unit"), [
    ((100, 112, 2**20), (100, 112, 2**20), 512, 512),  # half of it over two sides of 4 x 100 + 112 bytes
    ((100, 112, 2**20), (100, 624, 2**20), 256, 256),  # the larger of the two
    ((100, 624, 2**20), (100, 112, 2**20), 256, 256),
    ((100, 112, 2**22), (100, 112, 2**22), UNIT, UNIT),
    ((100, 112, 1), (100, 112, 1), 1, 1),
    ((0, 0, 2**6), (0, 0, 2**6), 4, 4),
    ((2**15, 0, 2**40), (2**14, 0, 2**40), UNIT, ROOM // 2**15),  # by the larger items
    ((2**14, 0, 2**40), (2**15, 0, 2**40), UNIT, ROOM // 2**15),
    ((2 * ROOM, 0, 2**60), (1, 0, 2**60), UNIT, 1),
])  # fmt: skip
def test_how_many_pairs_a_budget_of_memory_allows(first: Any, second: Any, allowed: int, unit: int) -> None:
    for reads in ((None, None), (None, len), (len, None)):
        between = Between(encoded(first, reads[0]), encoded(second, reads[1]))
        assert between.unit == unit
        assert between.row_unit == (allowed if reads == (None, None) else unit)


def test_every_pair_by_its_number() -> None:
    for items in range(2, 12):
        pairs = [(i, j) for i in range(items) for j in range(i + 1, items)]
        every = EveryPair(items)
        assert len(every) == len(pairs)
        assert [every[k] for k in range(len(pairs))] == pairs
        assert every[-1] == pairs[-1]
        assert every[2:-1:2] == pairs[2:-1:2]
        for k, (i, _) in enumerate(pairs):
            assert every.row_end(k) == sum(one <= i for one, _ in pairs)
            assert every.row_before(k) == sum(one < i for one, _ in pairs)
        assert every.row_before(len(pairs)) == every.row_before(len(pairs) + 3) == len(pairs)
        for wrong in (len(pairs), -len(pairs) - 1):
            with pytest.raises(IndexError):
                every[wrong]


def test_units_hold_all_pairs_in_their_order(capsys: pytest.CaptureFixture[str]) -> None:
    made: list[Any] = []

    def make(pairs: Any) -> Any:
        made.append(list(pairs))
        return [list(pairs)]

    for pairs in (EveryPair(9), [(0, 1)] * 7):
        for units in ((1, 1), (3, 5), (4, 4), (100, 100)):
            found = Explanations(pairs, make, lambda pairs: torch.zeros(len(pairs)), units)
            for size in (None, 1, 2, 50):
                made.clear()
                whole: Any = [pair for (unit,) in found.units(size) for pair in unit]
                assert whole == list(pairs)
                most = max(units) if size is None else size
                assert max(map(len, made)) <= most
                if size is not None or not isinstance(pairs, EveryPair):
                    each = units[0] if size is None else size
                    assert [len(one) for one in made[:-1]] == [each] * (len(made) - 1)
            assert len([*found]) == len([*found.units()])
    assert capsys.readouterr().err == ""
    list(Explanations([(0, 1)] * 7, make, lambda pairs: torch.zeros(len(pairs)), (3, 3)).units(show_progress=True))
    assert "7/7" in capsys.readouterr().err


class Own(Comparison):
    name = "own"

    def forward(self, z_a: Tensor, z_b: Tensor) -> Tensor:
        return (z_a * z_b[:, :1]).sum(1)


@pytest.mark.parametrize("comparison", [
    Cosine(), Dot(), Bilinear(3), Euclidean(), SquaredEuclidean(), Manhattan(), Own(),
], ids=lambda one: type(one).__name__)  # fmt: skip
def test_every_score_is_that_of_the_two(comparison: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(4, 3, generator=generator), torch.randn(5, 3, generator=generator)
    a[1], b[2], b[3] = 0, a[0], b[3] / 100
    if isinstance(comparison, Bilinear):
        comparison.weight.data = torch.randn(3, 3, generator=generator)
    with torch.no_grad():
        expected = torch.stack([torch.cat([comparison(u[None], v[None]) for v in b]) for u in a])
        torch.testing.assert_close(every_score(comparison, a, b), expected)


def test_a_byte_is_an_amount_of_memory() -> None:
    assert (bytes_of(1), bytes_of("1"), bytes_of("1.5B"), bytes_of(" 2 kib ")) == (1, 1, 1, 2048)
    for nothing in (0, 0.99, "0.5", "0.5B", -1, float("inf")):
        with pytest.raises(ValueError, match="an amount like '512MiB' or '2GiB', is needed"):
            bytes_of(nothing)  # type: ignore[arg-type]


def test_what_is_kept_of_items_takes_its_bytes() -> None:
    """Four items of a matrix (2, 3), a number each and words; half precision halves what is no embedding."""
    columns = {
        "matrix": torch.arange(24.0).reshape(4, 2, 3), "embedding": torch.ones(4, 5), "whole": torch.arange(4),
        "word": ("p", "q", "r", "s"),
    }  # fmt: skip
    for half, size in ((False, 6 * 4 + 5 * 4 + 8), (True, 6 * 2 + 5 * 4 + 8)):
        kept = Kept(4, 2, 10**6, lambda: None, packing=Packing(half))  # type: ignore[arg-type,return-value]
        for start in (0, 2):
            kept.put(start, {name: column[start : start + 2] for name, column in columns.items()})  # type: ignore[index]
        assert not kept.on_disk
        assert kept.row_bytes == (size if not half else 6 * 4 + 5 * 4 + 8)  # as they are read
        assert kept.numbers() == ["matrix"]
        assert kept.packed("matrix") == (half, None)
        rows = kept.rows([3, 0, 3])
        assert rows["word"] == ("s", "p", "s")
        for name in ("matrix", "embedding", "whole"):
            assert torch.equal(rows[name], columns[name][[3, 0, 3]])  # type: ignore[index,arg-type]


@pytest.mark.parametrize("block", [1, 2, 4])
@pytest.mark.parametrize(("budget", "on_disk"), [(32, False), (31, True)])
def test_what_is_kept_of_all_is_told_by_the_first_block(block: int, budget: int, on_disk: bool, tmp_path: Any) -> None:
    """Four items of two numbers are 32 bytes, however many are put at once."""
    rows = torch.arange(8.0).reshape(4, 2)
    kept = Kept(4, block, budget, tmp_path / "own")
    for start in range(0, 4, block):
        kept.put(start, {"own": rows[start : start + block]})
    assert kept.on_disk is on_disk
    assert torch.equal(kept.column("own", [3, 1, 2, 0]), rows[[3, 1, 2, 0]])  # type: ignore[arg-type]


def test_a_place_for_what_does_not_fit() -> None:
    keeping = Keeping(10)
    first, second = keeping.place("0"), keeping.place("1")
    assert (first.name, second.name) == ("0", "1")
    assert first.parent != second.parent
    assert first.parent.is_dir()
    assert Keeping(10, first).place("2") == first / "2"


@pytest.mark.parametrize(("given", "other", "expected"), [(1, None, 1), (1, 3, 1), (0, 3, 0), (1.0, None, 1)])
def test_where_items_stand(given: Any, other: Any, expected: int) -> None:
    found = side_of(given, other)
    assert found == expected
    assert type(found) is int


# captum


class Asked(Attribution):
    """Notes what it is asked with, and gives its inputs."""

    asked: list[Any] = []

    def attribute(
        self, inputs: Any, baselines: Any = None, target: Any = None, additional_forward_args: Any = None,
        internal_batch_size: int | None = None, perturbations_per_eval: int = 1, show_progress: bool = False,
        n_steps: int = 50,
    ) -> Any:  # fmt: skip
        self.asked.append({
            "type": inputs[0].dtype, "pairs": len(inputs[0]),
            "sides": len(inputs), "rows": internal_batch_size, "progress": show_progress,
            "at once": perturbations_per_eval, "more": additional_forward_args, "steps": n_steps,
        })  # fmt: skip
        return inputs


@pytest.mark.parametrize(("pairs", "size", "across", "at_once"), [
    (1, None, False, _ROWS), (3, None, False, _ROWS // 3), (_ROWS + 4, None, False, 1), (3, 3, False, 1),
    (1, 7, False, 7),
    (3, 2, False, 1), (1, None, True, 1),
])  # fmt: skip
def test_what_captum_is_asked(pairs: int, size: int | None, across: bool, at_once: int) -> None:
    explainer = adapt(Asked, across_pairs=across, chunk=None)(DOT)
    Asked.asked.clear()
    a, b = torch.rand(2, pairs, 2)
    explainer.attribute((a, b), internal_batch_size=size, n_steps=9)
    one = Asked.asked[0]
    assert one["at once"] == at_once
    assert (one["rows"], one["sides"], one["steps"], one["more"]) == (size, 2, 9, None)
    assert one["pairs"] == (min(pairs, size) if size and not across else pairs)
    Asked.asked.clear()
    with_bar = adapt(Asked)(DOT)
    with_bar.attribute((a, b), show_progress=True)
    assert Asked.asked[0]["progress"] is (pairs == 1)


@pytest.mark.parametrize(("given", "hooks", "asked"), [
    (torch.bfloat16, False, torch.bfloat16), (torch.bfloat16, True, torch.float32),
    (torch.float64, True, torch.float64), (torch.float32, True, torch.float32),
])  # fmt: skip
def test_what_hooks_is_asked_in_single_precision_where_numbers_have_less(given: Any, hooks: bool, asked: Any) -> None:
    Asked.asked.clear()
    a, b = torch.rand(2, 1, 2).to(given)
    maps = adapt(Asked, hooks=hooks)(DOT).attribute((a, b))
    assert [one["type"] for one in Asked.asked] == [asked]
    assert all(one.dtype == given for one in maps)


def test_deep_lift_of_a_layer_behind_words() -> None:
    """A linear layer on the mean of some vectors: each unit's part is what it is more than of the word 0, times b's."""

    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.layer = nn.Embedding(6, 2), nn.Linear(2, 2, bias=False)

        def forward(self, ids: Tensor) -> Tensor:
            return self.layer(self.table(ids).mean(1))  # type: ignore[no-any-return]

    encoder = Words()
    a, b = torch.tensor([[1, 2, 3]]), torch.tensor([[4, 5, 1]])
    found = PairLayerDeepLift(SiameseModel(encoder, "dot"), "layer").attribute((a, b))
    with torch.no_grad():
        of_a, of_b, of_none = (encoder(ids) for ids in (a, b, torch.zeros_like(a)))
    torch.testing.assert_close(found[0], (of_a - of_none) * of_b)
    torch.testing.assert_close(found[1], (of_b - of_none) * of_a)


def test_rows_of_graphs_are_as_many_pairs() -> None:
    def rows(size: int | None, pairs: int, ragged: bool = True) -> int | None:
        batch: Any = SimpleNamespace(a=SimpleNamespace(ragged=ragged), rows=size, pairs=pairs, moved=[range(7)])
        return _rows_at_once(batch)

    assert rows(5, 3, ragged=False) == 5
    assert rows(None, 3, ragged=False) is None
    assert rows(6, 3) == 2 * 7  # two copies of three pairs, whose nodes are seven
    assert rows(2, 3) == 7
    assert rows(None, 64) == _GRAPHS // 64 * 7


# features


def test_groups_of_pixels_count_once_whatever_the_channels() -> None:
    """Two channels share a mask: the first place of a group says what it is worth."""
    first = torch.tensor([[[[1.0, 1.0], [2.0, 2.0]], [[1.0, 1.0], [2.0, 2.0]]]])
    second = torch.tensor([[[[5.0, 7.0]], [[5.0, 7.0]]]])
    masks = torch.tensor([[[[0, 0], [1, 1]]]]), torch.tensor([[[[1, 2]]]])
    for joint, total in ((False, 1 + 2 + 5 + 7), (True, 1 + 2 + 7)):  # 1 of b may be that of a
        found = total_of_groups((first, second), {"feature_mask": masks, "joint": joint})
        assert found is not None
        assert found.tolist() == [total]
    per_channel = torch.tensor([[[[0]], [[3]]]]), torch.tensor([[[[1, 2]]]])
    split = first[:, :, :1, :1], second
    found = total_of_groups(split, {"feature_mask": per_channel})
    assert found is not None
    assert found.tolist() == [1 + 1 + 5 + 7]


def test_masks_are_a_pair_of_tensors() -> None:
    one, row = torch.tensor([[0, 1]]), torch.tensor([0, 1])
    first, second = masks_of({"feature_mask": (row, (one, row))})  # type: ignore[misc]
    assert [mask.tolist() for mask in first] == [[[0, 1]]]  # a row is that of one item
    assert [mask.tolist() for mask in second] == [[[0, 1]], [[0, 1]]]
    for wrong in (one, (one,), (one, one, one), (one, 3), (one, (one, None)), "ab", {"a": one}):
        with pytest.raises(ValueError, match="feature_mask must be a pair"):
            masks_of({"feature_mask": wrong})


def test_each_tensor_of_a_side_has_the_spread_of_its_side() -> None:
    class Both(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return x + y

    x = torch.ones(1, 2)
    explainer = PairSaliency(SiameseModel(Both(), "dot"))
    with explainer.prepared(((x, x), (x, x))) as batch:
        assert spread(batch, (0.5, 2)) == (0.5, 0.5, 2.0, 2.0)
    with explainer.prepared(((x, x), (x, x)), wrt="second") as batch:
        assert spread(batch, [0.5, 2]) == (2.0, 2.0)


# what is said


def test_options_are_listed_whether_described_or_not() -> None:
    """Of a tunnel only those that are described: it hands on those of the method inside."""

    def compute(self: Any, batch: Any, *, odd: int = 3, **options: Any) -> Any:
        return batch.maps([leaf.detach() for leaf in batch.moved])

    (one,) = options_of(type("Some", (PairAttribution,), {"name": "some", "compute": compute}))[-1:]
    assert (one.name, one.default, one.text, one.setting) == ("odd", 3, "", False)
    found = {option.name: option for option in options_of(PairNoiseTunnel)}
    assert {"nt_type", "nt_samples", "stdevs"} <= set(found) <= set(PairNoiseTunnel.options())
    assert all(option.text for option in found.values())


def test_who_does_it_is_told() -> None:
    assert _some([], "text") == "no explainer that is installed does"
    assert _some(["A", "B", "C"], "text") == "these do: A, B, C"
    assert _some(["A", "B", "C", "D", "E"], "row") == "these do: A, B, C and 2 more (xsiamese explainers --kind row)"
    assert _some(["A", "PairOcclusion", "PairFeatureAblation"], "image") == (
        "these do: PairFeatureAblation and 2 more (xsiamese explainers --kind image)"
    )
    assert [_a(kind) for kind in ("image", "row", "text")] == ["an image", "a row", "a text"]


def test_what_is_no_explainer() -> None:
    chosen = auto(DOT, "fast", kind="row")
    check_explainer(PairSaliency(DOT))
    check_explainer(chosen, choices=True)
    for value, said in (
        (chosen, r"^auto\(\.\.\.\) is a choice: give its \.explainer"),
        (PairSaliency, r"^PairSaliency is a class: make an explainer of it with a model, PairSaliency\(model\)"),
        (int, r"is no explainer: one is needed"), ("saliency", r"^'saliency' is no explainer"),
        (DOT, r"is no explainer"),
    ):  # fmt: skip
        for choices in (False, True):
            if value is chosen and choices:
                continue
            with pytest.raises(TypeError, match=said):
                check_explainer(value, choices=choices)


def test_what_was_found_is_joined_where_all_parts_have_it() -> None:
    one, two = torch.ones(1, 2), torch.zeros(2, 2)
    parts = [Found((one, one), torch.ones(1), {"x": one}), Found((two, two), torch.zeros(2), {"x": two})]
    whole = Found.joined(parts, False)
    assert whole.maps is not None
    assert whole.value is not None
    assert [one.tolist() for one in whole.maps] == [[[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]]] * 2
    assert whole.value.tolist() == [1.0, 0.0, 0.0]
    half = Found.joined([parts[0], Found(None, None, {"x": two})], False)
    assert half.maps is None
    assert half.value is None
    assert len(half.columns["x"]) == 3


def test_the_delta_of_a_foil_is_the_difference() -> None:
    """Three steps from nothing miss something of a path along which the score grows by its cube."""

    class Cube(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x**3

    explainer = PairIntegratedGradients(SiameseModel(Cube(), "dot"))
    a, p, n = (torch.tensor([row]).double() for row in ([1.0, 2.0], [3.0, -1.0], [0.5, 1.0]))
    how: Any = {"n_steps": 3, "method": "riemann_left"}
    own, foil = explainer.explain((a, p), **how), explainer.explain((a, n), **how)
    both = explainer.explain((a, p), against=n, **how)
    assert own.delta is not None
    assert foil.delta is not None
    assert both.delta is not None
    assert own.delta.abs() > 0.1
    torch.testing.assert_close(both.delta, own.delta - foil.delta)
    for found, other in ((own, p), (foil, n)):
        total = sum(one.sum() for one in found.maps)
        torch.testing.assert_close(found.delta, (total - 2 * (a**3 * other**3).sum())[None])  # each side moves alone
    assert PairInputXGradient(DOT).explain((a, p), against=n).delta is None


# what is left out


def test_a_request_of_nothing_more() -> None:
    asked = Request((1, 2))
    assert (asked.create_graph, asked.show_progress, asked.seed, asked.moving, asked.wrt) == (
        False, False, 0, True, "both",
    )  # fmt: skip
    assert asked.told() == {}


def test_what_is_drawn_is_that_of_the_seed_zero() -> None:
    def compute(self: Any, batch: Any, **options: Any) -> Any:
        return batch.maps([torch.rand(leaf.shape) * leaf for leaf in batch.moved])

    own = {"name": "some", "stochastic": True, "same_draws": True, "compute": compute}
    drawing = type("Some", (PairAttribution,), own)(DOT)
    pair = torch.ones(1, 3), torch.ones(1, 3)
    known = torch.rand(2, 3, generator=torch.Generator().manual_seed(0))
    for maps in (drawing.attribute(pair), drawing.explain(pair).maps):
        assert torch.equal(torch.cat(maps), known)
        assert not any(one.requires_grad for one in maps)
    assert drawing.explain(pair).seed == 0
    with drawing.prepared(pair) as batch:
        assert batch.seed == 0
        assert torch.equal(torch.rand(2, 3), known)
    assert all(one.isfinite().all() for one in drawing.attribute(pair, seed=None))
    assert all(one.isfinite().all() for one in PairGradientShap(DOT).attribute(pair, seed=None))


def test_a_path_leaves_the_generators() -> None:
    state = torch.get_rng_state()
    PairIntegratedGradients(DOT).attribute((torch.ones(1, 3), torch.ones(1, 3)))
    assert torch.equal(torch.get_rng_state(), state)


def test_an_adapted_method_asks_for_nothing_that_it_does_not_say() -> None:
    plain = adapt(Asked)
    names = ("hooks", "unique", "both_layers", "input_level", "separable", "needs_layer", "apart")
    assert [getattr(plain, name) for name in names] == [False] * len(names)
    assert plain.takes_baselines
    assert not PairSaliency.takes_baselines
    known = {cls: "joint" in cls.options() for cls in (
        plain, adapt(Asked, apart=True), PairFeatureAblation, PairIntegratedGradients, PairSaliency,
    )}  # fmt: skip
    assert list(known.values()) == [False, True, True, True, False]
    assert adapt(Asked, apart=True).options()["joint"].default is False


def test_further_arguments_of_a_model_may_be_of_any_kind() -> None:
    """A linear encoder, a score times a number and plus another: the map of a is a (W' W b) times the number."""
    layer = nn.Linear(2, 2, bias=False)
    layer.weight.data = torch.tensor([[1.0, 2.0], [-1.0, 3.0]])

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.Sequential(layer)

        def forward(self, a: Tensor, b: Tensor, by: int, which: Tensor, more: Tensor) -> Tensor:
            return by * (self.encoder(a) * self.encoder(b)).sum(1) + more[which]  # type: ignore[no-any-return]

    a, b, gram = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -4.0]]), torch.tensor([[2.0, -1.0], [-1.0, 13.0]])
    extra = 3, torch.tensor([1]), torch.tensor([5.0, 7.0])
    for cls in (PairDeepLift, PairInputXGradient, PairFeatureAblation):
        maps = cls(Scaled()).attribute((a, b), additional_forward_args=extra)
        torch.testing.assert_close(maps[0], 3 * a * (b @ gram))
        torch.testing.assert_close(maps[1], 3 * b * (a @ gram))


def test_a_copy_for_another_model_asks_that_model() -> None:
    explainer = PairSaliency(DOT)
    other = explainer.copy_for(SiameseModel(nn.Identity(), "squared_euclidean"))
    a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -4.0]])
    assert explainer.forward_func(a, b).tolist() == [-5.0]
    assert other.forward_func(a, b).tolist() == [-40.0]  # nearer is more
    assert other._plans is not explainer._plans


class Halves(PairAttribution):
    """Prepares eight bytes of each item."""

    name = "halves"
    shares = "always"

    def prepare(self, items: Any, *args: Any, **options: Any) -> Any:
        return {"embedding": items.embed().detach(), "own": items.leaves[0].detach() / 2}

    def compute(self, batch: Any, *args: Any, **options: Any) -> Any:
        return batch.maps([side["own"] for side in batch.prepared])


@pytest.mark.parametrize(("memory", "on_disk"), [(640, False), (638, True)])
def test_what_is_kept_may_take_half_of_the_memory(memory: int, on_disk: bool, tmp_path: Any) -> None:
    """Twenty items of two numbers, kept twice: 320 bytes."""
    items = torch.arange(40.0).reshape(20, 2)
    items[3:6] = 0  # a block of zeros is there, too
    gallery = Gallery(Halves(DOT), items, memory=memory, folder=tmp_path / "own", internal_batch_size=3)
    assert gallery.on_disk is on_disk
    found = gallery.explain([(0, 7), (4, 19), (3, 3)])[:]
    assert found.maps[0].tolist() == (items[[0, 4, 3]] / 2).tolist()
    assert found.maps[1].tolist() == (items[[7, 19, 3]] / 2).tolist()
    assert [len(one) for one in gallery.search([0, 1]).numbers] == [10, 10]  # ten where nobody says how many


def test_a_gallery_that_cannot_be_written_leaves_nothing(tmp_path: Any) -> None:
    def write(folder: Any) -> None:
        folder.mkdir()
        raise OSError(28, "No space left on device")

    kept: Any = {0: SimpleNamespace(write=write)}
    with pytest.raises(ValueError, match=r"cannot be written to .*: No space left"):
        written(tmp_path / "own", {}, kept, ids=(), keys=())
    assert list(tmp_path.iterdir()) == []


def test_equal_graphs_have_one_name_wherever_they_are() -> None:
    data = pytest.importorskip("torch_geometric.data", reason='pip install "xsiamese[graph]"')
    graph, other = (data.Data(x=torch.full((2, 1), value), edge_index=torch.tensor([[0], [1]])) for value in (1.0, 2.0))
    first, second, third = names_of(side(data.Batch.from_data_list([graph, graph, other]), "a"))
    assert first == second != third


def test_what_may_be_pairs_or_sides_is_asked_back() -> None:
    explainer = PairSaliency(DOT)
    asks: list[Any] = [
        explainer.attribute,
        explainer.explain,
        explainer.scores,
        lambda x: explainer.prepared(x).__enter__(),
    ]
    for inputs, said in (
        ([("one", "two"), ("three", "four")], "^inputs are a list of 2 times two texts"),
        ({"input_ids": torch.ones(1, 2), "attention_mask": torch.ones(1, 2)}, "^inputs are what a tokenizer made of"),
    ):  # fmt: skip
        for ask in asks:
            with pytest.raises(TypeError, match=said):
                ask(inputs)


def test_rows_that_a_model_knows_are_for_rows() -> None:
    model = SiameseModel(nn.Sequential(nn.Linear(2, 2)), "dot")
    model.typical = torch.rand(3, 2)
    assert auto(model, kind="row").options["baselines"] == "typical"
    assert "baselines" not in auto(model, kind="series").options
    plain = SiameseModel(nn.Sequential(nn.Linear(2, 2)), "dot")
    assert "baselines" not in auto(plain, kind="row").options


def test_one_path_of_both_from_the_partner_is_its_own_mirror_image() -> None:
    explainer, pair = PairIntegratedGradients(DOT), (torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -4.0]]))
    with pytest.raises(ValueError, match=r"^joint=True from the partner"):
        explainer.attribute(pair, baselines="partner", joint=True)
    a, b = pair
    map_a, map_b = explainer.attribute(pair, baselines="partner")  # a moves from b to a, with b held
    torch.testing.assert_close(map_a, (a - b) * b)
    torch.testing.assert_close(map_b, (b - a) * a)
    both = explainer.attribute(pair, joint=True)  # from nothing: half of a . b each
    torch.testing.assert_close(both[0], a * b / 2)


@pytest.mark.parametrize("cls", [Halves, PairSaliency])
def test_what_is_kept_is_of_the_weights_that_made_it(cls: Any) -> None:
    layer = nn.Linear(2, 2)
    gallery = Gallery(cls(SiameseModel(layer, "dot")), torch.rand(4, 2))
    ask: Any = (lambda: gallery.explain([(0, 1)])[0]) if cls is Halves else (lambda: gallery.search([0], k=1))
    ask()
    layer.weight.data = layer.weight.data * 2
    for _ in range(2):
        with pytest.raises(ValueError, match="weights of the model have changed since"):
            ask()
    layer.weight.data = layer.weight.data / 2
    ask()


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("items", [1, 3])
def test_a_gallery_of_one_side_may_hold_one_item(side: int, items: int) -> None:
    """Queries of three numbers stand on the other side than items of two."""
    towers = nn.Linear(2, 4), nn.Linear(3, 4)
    model = SiameseModel(towers if side == 0 else towers[::-1], "dot")
    held, queries = torch.rand(items, 2), torch.rand(5, 3)
    gallery = Gallery(PairInputXGradient(model), held, side=side, other=queries[:1])
    hits = gallery.search(queries, k=1)
    with torch.no_grad():
        scores = towers[1](queries) @ towers[0](held).T
    assert [one for (one,) in hits.numbers] == scores.argmax(1).tolist()
    assert hits.scores is not None
    torch.testing.assert_close(torch.tensor(hits.scores), scores.amax(1, keepdim=True))
    found = hits.explain()[:]
    assert found.maps[side].shape == (5, 2)
    assert found.maps[1 - side].shape == (5, 3)


def test_inside_a_transform_there_is_nothing_to_look_at() -> None:
    a, b = torch.rand(3, 2), torch.rand(3, 2)
    for ask in (PairSaliency(DOT).attribute, PairFeatureAblation(DOT).attribute, PairSaliency(DOT).scores):
        with pytest.raises(ValueError, match=r"^an explanation was asked for inside a transform of torch\.func"):
            torch.func.vmap(lambda x, y, ask=ask: ask((x[None], y[None])))(a, b)
        with FakeTensorMode(), pytest.raises(ValueError, match=r"^FakeTensorMode is on"):
            ask((torch.rand(3, 2), torch.rand(3, 2)))


def test_a_threshold_is_of_the_score_and_of_no_other_target() -> None:
    model: Any = SiameseModel(nn.Identity(), "euclidean")
    model.comparison.threshold_ = 0.5
    pair = torch.tensor([[1.0, 2.0]]), torch.tensor([[4.0, 6.0]])
    of_score = PairInputXGradient(model).explain(pair)
    assert (of_score.threshold, of_score.higher_is_closer, of_score.target) == (0.5, False, "closeness")
    twice = PairInputXGradient(model).explain(pair, target=lambda distance: 2 * distance)
    assert (twice.threshold, twice.higher_is_closer, twice.scores.tolist()) == (None, True, [10.0])
    assert PairInputXGradient(SiameseModel(nn.Identity(), "euclidean")).explain(pair).threshold is None


def test_hits_of_one_query() -> None:
    asked: list[Any] = []
    for scores in (((0.5, 0.25), (2.0,)), None):
        hits = Hits(((3, 1), (0,)), (("d", "b"), ("a",)), scores, lambda pairs: asked.append(list(pairs)))  # type: ignore[arg-type]
        one = hits[-1]
        assert (one.numbers, one.ids, one.scores) == (((0,),), (("a",),), None if scores is None else ((2.0,),))
        assert [found.numbers for found in hits] == [((3, 1),), ((0,),)]
        assert repr(hits) == "Hits(2 queries, 3 items)"
        asked.clear()
        hits.explain()
        one.explain()
        assert asked == [[(0, 3), (0, 1), (1, 0)], [(1, 0)]]


def test_items_that_are_read_are_read_once_to_be_encoded_and_saved(tmp_path: Any) -> None:
    """Of twenty items two stay in memory: their names are taken as they come by."""
    read: list[int] = []

    def reader(number: int) -> Tensor:
        read.append(number)
        return torch.tensor([[float(number), 1.0]])

    gallery = Gallery(Halves(DOT), list(range(20)), read=reader, memory=64, internal_batch_size=4)
    assert sorted(set(read)) == list(range(20))
    seen = len(read)
    gallery.save(tmp_path / "own")
    assert len(read) == seen
    again = Gallery.open(tmp_path / "own", Halves(DOT), list(range(20)), read=reader, memory=64)
    assert again.explain([(3, 4)])[0].maps[0].tolist() == [[1.5, 0.5]]
    other = Gallery.open(tmp_path / "own", Halves(DOT), [*range(19), 7], read=reader, memory=64)
    with pytest.raises(ValueError, match=r"was made of other items: 19 differ"):
        other.explain([(3, 19)])[0]


def test_whole_numbers_of_nodes_are_removed_and_scored_and_not_moved() -> None:
    """The sum over the nodes of a one times that of b: without its first node a is one node of (2, 0)."""
    data = pytest.importorskip("torch_geometric.data", reason='pip install "xsiamese[graph]"')
    from xsiamese import PairLeaveOneOut

    class Sum(nn.Module):
        def forward(self, graphs: Any) -> Tensor:
            out = torch.zeros(graphs.num_graphs, 2, dtype=torch.float64)
            return out.index_add(0, graphs.batch, graphs.x.double())

    def graph(*nodes: tuple[int, int]) -> Any:
        one = data.Data(x=torch.tensor(nodes), edge_index=torch.tensor([[0, 1], [1, 0]]))
        return data.Batch.from_data_list([one])

    model = SiameseModel(Sum(), "dot")
    pair = graph((1, 3), (2, 0)), graph((1, 1), (0, 2))
    assert PairSaliency(model).scores(pair).tolist() == [3.0 * 1 + 3 * 3]
    with pytest.raises(ValueError, match=r"^x of input a is torch\.int64: only floating point values can move"):
        PairSaliency(model).attribute(pair)
    found = PairLeaveOneOut(model).attribute(pair, parts="nodes")
    assert found[0].node_mask.sum(1).tolist() == [1.0 * 1 + 3 * 3, 2.0]


def test_parameters_are_frozen_unless_maps_are_to_be_differentiated() -> None:
    layer, seen = nn.Linear(2, 2), list[bool]()

    def compute(self: Any, batch: Any, **options: Any) -> Any:
        seen.append(layer.weight.requires_grad)
        return batch.maps([leaf * 1 for leaf in batch.moved])

    explainer = type("Some", (PairAttribution,), {"name": "some", "compute": compute})(SiameseModel(layer, "dot"))
    pair = torch.ones(1, 2), torch.ones(1, 2)
    explainer.attribute(pair)
    explainer.attribute(pair, create_graph=True)
    explainer.explain(pair)
    assert seen == [False, True, False]
    assert layer.weight.requires_grad
