"""Where what branches tell turns: sizes, counts and orders at their bounds, each by hand."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xsiamese.branches import probe
from xsiamese.branches.calls import NEITHER, Survey, Usage, survey
from xsiamese.branches.cut import NoGradientError, Watched
from xsiamese.branches.intact import _is_compiled, intact
from xsiamese.branches.layers import find_layers
from xsiamese.branches.layout import (
    ChannelsFirst,
    ChannelsLast,
    KnownLayout,
    PatchesLast,
    Tokens,
    _patches,
    by_width,
    layouts,
)
from xsiamese.branches.lock import _WAITED_FOR, Turn, _known_turns, _turns
from xsiamese.branches.outputs import of_neither, unmoved
from xsiamese.branches.probe import _handed_on, _options, _reach, all_pass, follows, halves_of, in_attention, tied
from xsiamese.branches.record import Recording, record, replaced
from xsiamese.branches.rules import Rules, affine
from xsiamese.branches.several import _of_several, views_apart
from xsiamese.branches.spread import Lies, last_places
from xsiamese.branches.standins import Branches
from xsiamese.branches.untied import hide, untie_repeats, untied
from xsiamese.model.pair import SiameseModel

# layouts


@pytest.mark.parametrize(("tokens", "image", "found"), [
    (12, (36, 10), ((6, 2), 0)),  # the root of 12 x 3.6 is 6.6: a row less than the nearest whole number fits
    (12, (100, 99), ((4, 3), 0)),  # that of 12 x 1.01 is 3.48: a row more
    (27, (36, 20), ((6, 4), 3)),  # 36 / 6 and 20 / 4 are whole, and 20 / 6 is not
    (53, (25, 50), ((5, 10), 3)),  # 25 / 10 is not, either
])  # fmt: skip
def test_patches_of_images_that_are_not_square(tokens: int, image: Any, found: Any) -> None:
    assert _patches(tokens, image, ()) == found


@pytest.mark.parametrize(("shape", "image", "found"), [
    ((1, 9, 5, 8), (32, 64), [ChannelsFirst()]),  # a row of 64 pixels more than 4 x 8
    ((1, 9, 6, 8), (32, 64), []),  # two rows more are too many
    ((1, 9, 8, 5), (64, 32), [ChannelsFirst()]),
    ((1, 9, 8, 6), (64, 32), []),
    ((1, 9, 33, 64), (32, 64), []),  # more rows than the image has
    ((1, 9, 32, 65), (32, 64), []),
    ((1, 9, 1, 1), (32, 32), []),  # one cell is no grid
    ((1, 9, 1, 2), (32, 32), [ChannelsFirst()]),
    ((1, 1, 64), (32, 32), []),  # one channel
    ((1, 2, 64), (32, 32), [PatchesLast((8, 8))]),
    ((1, 5, 16), (64, 16), [PatchesLast((8, 2))]),  # of four tokens and one that is none, four are of 4 x 1
    ((1, 5, 16), (16, 64), [PatchesLast((2, 8))]),
    ((1, 3, 16), (16, 4), []),  # cells of two pixels
    ((1, 3, 65), (32, 32), []),  # what has its channels first has no token that is no patch
])  # fmt: skip
def test_grids_of_images_that_are_not_square(shape: tuple[int, ...], image: Any, found: Any) -> None:
    assert [one for one in layouts(shape, image) if not isinstance(one, Tokens)] == found


def test_the_last_two_parameters_of_a_module_tell_how_wide_it_is() -> None:
    both: list[KnownLayout] = [ChannelsFirst(), ChannelsLast()]
    shape = 1, 8, 7, 7
    steps = nn.Sequential(nn.Conv2d(3, 8, 3), nn.LayerNorm(7))
    assert by_width(steps, shape, both) == [ChannelsLast()]  # and not the bias of the layer before the last
    bare = nn.Conv2d(3, 8, 3, bias=False)
    assert by_width(nn.Sequential(nn.LayerNorm(7), bare), shape, both) == both  # the bias before it is the second
    bare.scale = nn.Parameter(torch.ones(()))  # which has no width
    assert by_width(bare, shape, both) == [ChannelsFirst()]


# what is a place


def test_which_outputs_are_grids_of_a_side() -> None:
    module = nn.Identity()
    a, b = (torch.rand(3, 1, 8, 8, requires_grad=True) for _ in range(2))
    of_a, of_b = (x[:, :, ::2, ::2].expand(-1, 2, -1, -1) * 1 for x in (a, b))

    def options(*outputs: Tensor) -> list[KnownLayout]:
        return _options(Survey({module: Usage([*outputs])}, ([a], [b]), 3), module, (8, 8), set())

    grid: list[KnownLayout] = [ChannelsFirst()]
    both = torch.cat([of_a, of_b])
    assert options(of_a) == options(of_a, of_b) == options(both) == grid
    assert options(of_a[:2]) == options(both[:5]) == options(torch.cat([both, of_a])) == []  # a row for each pair
    assert options((9 * both).long()) == []
    assert options(of_a, of_b[:, :, :2]) == []  # of two shapes
    assert options(of_a.mean((2, 3), keepdim=True).expand(-1, -1, 4, 4)) == []  # no two cells differ
    assert options(of_a + of_b) == options(of_a.detach()) == []


def test_what_has_no_graph_does_not_reach_the_score() -> None:
    module, other = nn.Identity(), nn.Identity()
    a = torch.rand(2, 3, requires_grad=True)
    of_a = a * 2
    seen = Survey({module: Usage([of_a]), other: Usage([torch.ones(2, 5)])}, ([a], []), 2, of_a.square().sum(1))
    found = _reach(seen, [module, other])
    assert found is not None
    torch.testing.assert_close(found[module], 2 * of_a)  # its size: no number is below zero here
    assert found[other].tolist() == [[0.0] * 5] * 2


def correlations(moved: Tensor, layout: Any) -> float:
    """The same as follows, by numpy's own correlation of each two halves."""
    energies = torch.stack([layout(one).square().sum(1) for one in moved]).double().flatten(2).numpy()
    shares = energies / energies.sum(0)
    lie = halves_of(layout.grid).double().flatten(1).numpy()
    found = [
        np.mean([np.corrcoef(of_item[i] - of_item[j], lie[i] - lie[j])[0, 1] for of_item in shares.swapaxes(0, 1)])
        for i, j in ((0, 1), (1, 2), (2, 0))
    ]
    return float(min(found))


@pytest.mark.parametrize("grid", [(3, 4), (5, 2)])
@pytest.mark.parametrize("louder", [0.0, 1.0])
def test_how_far_cells_follow_is_the_least_correlation(grid: tuple[int, int], louder: float) -> None:
    generator = torch.Generator().manual_seed(0)
    layout, cells = Tokens(grid, 1), grid[0] * grid[1]
    for share in (0.0, 0.5, 1.0):
        lie = halves_of(grid).flatten(1)[:, None, :, None]
        moved = share * lie + torch.rand(3, 2, cells, 2, generator=generator)
        moved[0] += louder  # one half moves all cells
        moved = torch.cat([torch.full((3, 2, 1, 2), 7.0), moved], 2)
        assert follows(moved, layout) == pytest.approx(correlations(moved, layout))


@pytest.mark.parametrize(("cells", "follows", "cell"), [
    (16, 0.50, False), (16, 0.53, True),  # 2 / sqrt(15) = 0.516
    (8, 0.74, False), (8, 0.77, True),  # 2 / sqrt(7) = 0.756
    (4, 0.84, False), (4, 0.86, True),  # 2 / sqrt(3) is more than one: 0.85 is enough
])  # fmt: skip
def test_twice_what_chance_correlates_is_asked_of_tokens(
    cells: int, follows: float, cell: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, layout = nn.Identity(), Tokens((2, cells // 2), 0)
    seen = Survey({module: Usage([torch.zeros(1, cells, 3)])}, ((), ()), 1)
    monkeypatch.setattr(probe, "follows", lambda moved, layout: follows)
    assert tied(seen, module, layout, lambda: {module: torch.zeros(3, 1, cells, 3)}) is cell
    assert tied(seen, module, layout, dict)  # what is not known to be none is one
    assert tied(seen, module, ChannelsFirst(), lambda: {module: torch.zeros(3)})


def test_whether_all_that_is_known_of_the_inputs_passes_a_module() -> None:
    a, other = (torch.ones(1, 2, requires_grad=True) for _ in range(2))
    root, inner = nn.Identity(), nn.Identity()
    made = a * 2

    def passes(output: Tensor | None, value: Tensor | None, *leaves: Any) -> bool:
        usage: dict[nn.Module, Usage] = {inner: Usage([made])}
        if output is not None:
            usage[root] = Usage([output])
        return all_pass(Survey(usage, leaves or ([a], [other]), 1, value), root, inner)

    assert passes(made * 3, None)
    assert passes(made, None)
    assert not passes(made * 3 + a, None)
    assert not passes(other * 1, None)
    assert passes(made * 3, made * 3 + a)  # what goes around the root is not asked
    assert passes(None, made * 3)  # of a root that is never called itself, the score is
    assert not passes(None, made * 3 + a)
    assert passes(None, None)
    assert passes(made * 3 + a, None, [other], [])  # a is no input
    shared = a.exp()
    assert not passes(made * shared * shared, None)


def test_what_is_inside_an_attention() -> None:
    class SelfAttention(nn.Sequential):
        pass

    inner, beside = nn.Linear(1, 1), nn.Linear(1, 1)
    around = SelfAttention(nn.Sequential(inner))
    root = nn.Sequential(around, beside)
    assert in_attention(root, inner)
    assert in_attention(root, around)
    assert not in_attention(root, beside)
    assert not in_attention(around, inner)  # of an encoder that is an attention itself, all would be


# calls


def test_calls_with_nothing_of_either_side() -> None:
    """A bank of prototypes goes through a layer before, between or after the two sides."""
    layer, other = nn.Identity(), nn.Identity()
    a, b, bank = torch.ones(2, 1, requires_grad=True), torch.ones(2, 1, requires_grad=True), torch.tensor([[5.0]])

    def seen(*outputs: Tensor, alone: bool = True) -> Survey:
        return Survey({layer: Usage(list(outputs), given=[None] * len(outputs), alone=alone)}, ([a], [b]), 2)

    for place, order in ((0, (NEITHER, 1, 0)), (1, (1, NEITHER, 0)), (2, (1, 0, NEITHER))):
        calls = [b * 2, a * 2]
        calls.insert(place, bank)
        one, another = seen(*calls), seen(*(one if one is bank else one + 1 for one in calls))
        assert one.constant()
        one.pass_over(another)
        usage = one.usage[layer]
        assert usage.of_neither == (place,)
        assert len(usage.outputs) == len(usage.given) == 2
        assert all(output is not bank for output in usage.outputs)
        assert one.order(layer) == order
        assert not one.constant()
        assert one.shared(nn.Sequential(layer)) == [layer]
    # one call of a and the bank: the only call that is left is known by its gradient
    alone = seen(a * 2, bank)
    alone.pass_over(seen(a * 3, bank))
    assert alone.order(layer) == (0, NEITHER)
    assert alone.shared(nn.Sequential(layer)) == [layer]
    for kept, others in (
        (seen(a * 2, bank, alone=False), seen(a * 3, bank)),  # the rest of what it returned is not known
        (seen(a * 2, bank), seen(a * 3)),  # not called as often
        (seen(a * 2, bank), Survey({other: Usage([a * 3, bank])}, ([a], [b]), 2)),
        (seen(a * 2, b * 2), seen(a * 2, b * 3)),  # the same by chance: the graph knows of a
        (seen(bank, bank), seen(bank, bank)),  # nothing moves at all
    ):
        before = list(kept.usage[layer].outputs)
        kept.pass_over(others)
        assert kept.usage[layer].of_neither == ()
        assert all(map(torch.equal, kept.usage[layer].outputs, before))
    assert not seen(a * 2, b * 2).constant()
    assert seen(a * 2, bank).constant()
    assert not seen(bank).constant()  # called once


def test_the_order_of_calls_where_a_side_has_no_gradient() -> None:
    """Its calls are those that give something else with other numbers."""
    layer = nn.Identity()
    a, fixed = torch.ones(2, 1, requires_grad=True), torch.zeros(2, 1)
    for outputs, others, order in (
        ([fixed, a * 2], [fixed + 1, a * 2], (1, 0)), ([a * 2, fixed], [a * 2, fixed + 1], (0, 1)),
        ([fixed, fixed], [fixed + 1, fixed + 1], (0, 1)),  # which is not known
    ):  # fmt: skip
        moved = Survey({layer: Usage(others)}, ([a], []), 2)
        assert Survey({layer: Usage(outputs)}, ([a], []), 2, still={1: moved}).order(layer) == order


def test_places_of_both_sides_in_one_call() -> None:
    a, b = (torch.rand(3, 2, 4, requires_grad=True) for _ in range(2))
    module = nn.Conv1d(2, 2, 1)
    lies = Lies("time", ((2,),), (3, 2, 4), lambda number: {})
    for rows, found in ((6, module), (5, None), (9, None), (2, None)):
        output = module(torch.cat([a, b, a])[:rows])
        seen = Survey({module: Usage([output])}, ([a], [b]), 3, output.sum((1, 2)))
        taken, _, _ = last_places(seen, [module], 0, lies)
        assert (taken and taken.module) is found


def test_modules_that_no_input_reaches() -> None:
    layer, other = nn.Identity(), nn.Identity()
    a, plain, more = torch.ones(2, 1, requires_grad=True), torch.ones(2, 1), torch.full((2, 1), 2.0)

    def found(own: list[Tensor], others: list[Tensor], alone: bool = True) -> list[nn.Module]:
        first = Survey({layer: Usage(own, alone=alone), other: Usage([plain])}, ([a], []), 2)
        return first.unmoved(Survey({layer: Usage(others)}, ([a], []), 2))

    assert found([plain, more], [plain.clone(), more.clone()]) == [layer]
    assert found([plain, more], [plain, plain]) == []  # moved in one of its calls
    assert found([plain], [plain, plain]) == []
    assert found([plain], [plain], alone=False) == []
    assert found([a * 1, plain], [plain, plain]) == []  # the graph knows of a
    assert found([0 * plain], [0 * plain]) == []  # units that are silent tell nothing


def test_what_is_the_same_of_other_inputs() -> None:
    one, two, none = torch.ones(2), torch.tensor([1.0, 2.0]), torch.zeros(2)
    assert [unmoved(*both) for both in ((one, one.clone()), (one, two), (none, none), (one, None), (None, one))] == [
        True, False, False, False, False,
    ]  # fmt: skip
    assert of_neither([one, two, one], [one, one, one]) == {0, 2}
    assert of_neither([one, two], [one, two]) == set()  # all of them: then nothing is known
    assert of_neither([one, two], [one]) == set()
    assert of_neither([], []) == set()


def test_an_output_goes_on_as_it_is_unless_it_is_one_of_several() -> None:
    class Both(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x, x * 2

    single, several, lists = nn.Linear(2, 2), Both(), nn.Embedding(3, 2)
    a, ids, made = torch.ones(1, 2, requires_grad=True), torch.tensor([[0, 2]]), list[Any]()
    for module in (single, several, lists):
        module.register_forward_hook(lambda module, args, output: made.append(output))

    def run() -> Tensor:
        out, (first, second) = single(a), several(a)
        assert out is made[0]
        assert first is not made[1][0]  # a view: what is read of it alone is known
        assert second is made[1][1]
        plain = several(ids)
        assert plain[0] is made[2][0]  # of whole numbers there is no graph
        return lists(plain[0]).sum() + out.sum() + first.sum()  # type: ignore[no-any-return]

    seen = survey(run, [single, several, lists, single], ((a,), ()), 1)
    assert [seen.usage[module].alone for module in (single, several, lists)] == [True, False, True]
    assert [seen.usage[module].finished for module in (single, several, lists)] == [1, 3, 4]
    assert [seen.calls(module) for module in (single, several, lists)] == [1, 2, 1]
    assert seen.usage[lists].given[0] is ids
    assert seen.usage[single].given == [None]
    assert not single._forward_hooks.keys() - {next(iter(single._forward_hooks))}


def test_the_last_layer_of_nodes_has_a_row_for_each() -> None:
    layers = pytest.importorskip("torch_geometric.nn", reason='pip install "xsiamese[graph]"')
    first, second, pooled = (layers.GCNConv(2, 2) for _ in range(3))
    for outputs, found in (
        ([torch.zeros(3, 2), torch.zeros(4, 2)], second), ([torch.zeros(7, 2)], second),
        ([torch.zeros(3, 2), torch.zeros(5, 2)], first), ([torch.zeros(1, 2)], first),
    ):  # fmt: skip
        seen = Survey({
            first: Usage([torch.zeros(4, 2)], 1), second: Usage(outputs, 2), pooled: Usage([torch.zeros(2, 2)], 3),
            nn.Linear(2, 2): Usage([torch.zeros(7, 2)], 4),
        }, ((), ()), 2)  # fmt: skip
        assert seen.last_of_nodes((3, 4)) is found
    assert Survey({pooled: Usage([torch.zeros(2, 2)])}, ((), ()), 2).last_of_nodes((3, 4)) is None


def test_an_error_holds_all_that_it_was_made_of() -> None:
    assert NoGradientError("none", "here", remedy="do").args == ("none", "here", "do")


# recordings


@pytest.mark.parametrize("copies", [False, True])
@pytest.mark.parametrize("writes", [False, True])
def test_what_follows_gets_the_output_itself_where_that_is_allowed(copies: bool, writes: bool) -> None:
    layer, x = nn.Linear(2, 2), torch.ones(1, 2)
    with torch.no_grad():
        expected = layer(x)
        with record([(layer, layer)], ["layer"], 0, order=[((), ())], copies=copies) as seen:
            out = layer(x)
            assert not seen.overwritten
            if writes:
                out.add_(1)
    ((found, _),) = seen.activations
    assert (found is out) is not copies
    assert seen.overwritten is (writes and not copies)
    torch.testing.assert_close(found, expected + 1 if seen.overwritten else expected)
    with record(
        [(layer, layer)], ["layer"], 0, order=[((), ())], copies=copies
    ) as seen:  # in a graph it is a copy always
        layer(x).add_(1)
    assert not seen.overwritten
    assert torch.equal(seen.activations[0][0], expected)


def test_calls_on_a_bank_of_prototypes_are_of_neither_side() -> None:
    """They give the same on either side; what is the same in all calls is told by nothing."""
    layer = nn.Identity()
    of_a, of_b, bank, more = torch.ones(2, 1), torch.full((2, 1), 2.0), torch.full((5, 1), 7.0), torch.ones(2, 1) * 3

    def recorded(*calls: Tensor, order: tuple[int, ...] = (0, 1)) -> list[tuple[list[float], list[float]]]:
        seen = Recording([(layer, layer)], ["layer"], [(order, order)], (2, 2))
        seen.calls[layer] = [*calls]
        return [(a.flatten().tolist(), b.flatten().tolist()) for a, b in seen.activations]

    one, five = ([1.0] * 2, [2.0] * 2), ([7.0] * 5, [7.0] * 5)
    assert recorded(of_a, bank, of_b, bank) == recorded(bank, of_a, bank, of_b) == [one]
    assert recorded(of_a, bank, more, of_b, bank, more + 1) == [one, ([3.0] * 2, [4.0] * 2)]
    assert recorded(bank, bank, bank, bank) == [five, five]
    assert recorded(of_a, bank, of_b, bank, order=(0, 2, 1, 2)) == [one]


def test_an_output_is_replaced_in_one_call() -> None:
    layer, x, new = nn.Identity(), torch.arange(6.0).reshape(3, 2), torch.full((1, 2), 9.0)

    def run() -> list[list[list[float]]]:
        return [layer(x + step).tolist() for step in (0, 10, 20)]

    plain = run()
    for call in range(3):
        with replaced(layer, call, None, new) as calls:
            assert calls() == 0
            found = run()
            assert calls() == 3
        assert found == [new.tolist() if i == call else one for i, one in enumerate(plain)]
        with replaced(layer, call, slice(1, 3), lambda output: -output[1:]):
            found = run()
        assert found[call] == [plain[call][0], *[[-u, -v] for u, v in plain[call][1:]]]
        assert [one for i, one in enumerate(found) if i != call] == [one for i, one in enumerate(plain) if i != call]
    assert run() == plain
    with pytest.raises(ArithmeticError), replaced(layer, 0, None, new):
        raise ArithmeticError("inside")
    assert run() == plain
    assert x.tolist() == plain[0]  # a row of it was written in a copy


# copies


def test_repeated_modules_are_untied_until_none_is_left() -> None:
    """A block that is called twice and calls a layer twice: each of the four calls has a layer of its own."""
    relu = nn.ReLU()
    block = nn.Sequential(relu, nn.Linear(1, 1), relu)
    model, x = nn.Sequential(block, block), torch.ones(1, 1)
    before = model(x)
    untie_repeats(model, lambda: model(x))
    assert torch.equal(model(x), before)
    calls: list[nn.Module] = []
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(lambda module, args, output: calls.append(module))
    model(x)
    assert len(calls) == len(set(calls)) == 4
    assert len(list(model.parameters())) == 2  # around the same numbers
    once = nn.Sequential(nn.ReLU(), nn.ReLU())
    kept = list(once.modules())
    untie_repeats(once, lambda: once(x))
    assert list(once.modules()) == kept


def test_in_a_copy_nothing_is_written_in_place() -> None:
    """A switch that is off, or that a module does not have, stays as it is."""
    model = nn.Sequential(nn.ReLU(inplace=True), nn.ReLU(), nn.Linear(1, 1))
    views = untied(model, [])
    assert [vars(module).get("inplace") for module in views.model.children()] == [False, False, None]
    assert [vars(module).get("inplace") for module in model.children()] == [True, False, None]


def test_a_hidden_module_is_called_and_not_met() -> None:
    layer = nn.Linear(1, 1)
    model = nn.Sequential(layer, nn.Sequential(layer, nn.Tanh()))
    x = torch.ones(1, 1)
    before = model(x)
    hide(model, layer)
    assert torch.equal(model(x), before)
    assert layer not in set(model.modules())
    assert not list(model.parameters())


def test_views_of_an_item_that_are_two() -> None:
    """Rows off by more than a hundredth of the largest are of another view; a row a pair is one view."""

    class Views(nn.Module):
        def __init__(self, second: float) -> None:
            super().__init__()
            self.inner, self.second = nn.Linear(1, 1, bias=False), second
            nn.init.ones_(self.inner.weight)

        def forward(self, x: Tensor) -> Tensor:
            both = self.inner(torch.cat([x, x + self.second]))
            return both.reshape(2, len(x)).sum(0)  # type: ignore[no-any-return]

    x = torch.tensor([[100.0]])
    for other, apart in ((x + 3, True), (x + 0.6, False)):  # rows are off by 2.5, and by 0.1, which may be rounding
        model = Views(0.5)
        runs = [lambda x=x, model=model: model(x) for x in (x, other, torch.cat([x, other]))]
        views_apart(model, (runs[0], runs[1], runs[2]))
        assert isinstance(model.inner, Branches) is apart
        assert model(x).tolist() == [200.5]


def test_views_that_differ_by_rounding_are_apart() -> None:
    """By what the rows have in common: 0.6 of 400 is taken for rounding, 6 is not."""

    class Mixing(nn.Module):
        def __init__(self, share: float) -> None:
            super().__init__()
            self.share = share

        def forward(self, x: Tensor) -> Tensor:
            return x + self.share * x.mean(0) ** 2 / 100

    class Views(nn.Module):
        def __init__(self, share: float) -> None:
            super().__init__()
            self.inner = Mixing(share)

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(torch.cat([x, 3 * x])).reshape(2, len(x)).sum(0)  # type: ignore[no-any-return]

    x, start = torch.tensor([[100.0]]), torch.tensor([[10.0]])
    for share in (0.01, 0.1):
        model = Views(share)
        runs = [partial(model, one) for one in (x, start, torch.cat([x, start]))]
        if share < 0.1:
            views_apart(model, (runs[0], runs[1], runs[2]))
            assert isinstance(model.inner, Branches)
            continue
        with pytest.raises(ValueError, match=r"^inner gets several views"):
            views_apart(model, (runs[0], runs[1], runs[2]))


# the model is left as it was


def test_what_is_compiled() -> None:
    class OptimizedModule(nn.Module):  # of torch.compile(module)
        pass

    compiled: Any = nn.Linear(1, 1)
    compiled._compiled_call_impl = compiled.forward  # as module.compile() leaves it
    assert [_is_compiled(one) for one in (nn.Linear(1, 1), OptimizedModule(), compiled)] == [False, True, True]


def test_a_signal_that_comes_as_the_model_is_prepared_is_answered_before_anything_is_explained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, ran = nn.Linear(1, 1).train(), []

    def stop(number: int, frame: Any) -> None:
        raise InterruptedError(number)

    def prepare(*args: Any) -> None:
        model.eval()
        signal.raise_signal(signal.SIGUSR1)
        ran.append("on")

    monkeypatch.setattr("xsiamese.branches.intact._prepare", prepare)
    before = signal.signal(signal.SIGUSR1, stop)
    try:
        with pytest.raises(InterruptedError), intact(model):
            ran.append("inside")
        assert signal.getsignal(signal.SIGUSR1) is stop
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert ran == ["on"]
    assert model.training


def test_only_dictionaries_are_hooks() -> None:
    """What a model calls so and is none is its own affair."""
    model: Any = nn.Identity()
    model.web_hooks, model.own_hooks = ["one"], {"kept": 1}
    with intact(model):
        model.web_hooks.append("two")
        model.own_hooks["new"] = 2
    assert model.web_hooks == ["one", "two"]
    assert model.own_hooks == {"kept": 1}
    model.own_hooks = {}
    with intact(model):
        model.own_hooks["new"] = 2
    assert model.own_hooks == {}


@pytest.mark.parametrize("write", [
    lambda buffer: buffer.add_(1), lambda buffer: buffer.data.add_(1), lambda buffer: None,
], ids=["counted", "uncounted", "not at all"])  # fmt: skip
def test_buffers_of_one_type_are_copied_together_and_each_is_put_back(write: Callable[[Tensor], Any]) -> None:
    model: Any = nn.Sequential(*(nn.Module() for _ in range(3)))
    given = [torch.arange(6.0).reshape(2, 3).T, torch.tensor(5.0), torch.arange(4)]
    for module, buffer in zip(model, given, strict=True):
        module.register_buffer("held", buffer.clone())
        module.register_buffer("none", None)
    model[0].register_buffer("sparse", torch.eye(3).to_sparse())
    stood = {name: buffer.to_dense().clone() for name, buffer in model.named_buffers()}
    for which in range(3):
        with intact(model):
            write(model[which].held)
        with intact(model):
            model[0].sparse.mul_(2)
        for name, buffer in model.named_buffers():
            assert torch.equal(buffer.to_dense(), stood[name]), name


def test_locks_are_those_of_the_parts_that_a_model_has_now() -> None:
    """A part that is put in the place of another brings its own lock; of two the older one comes first."""
    model: Any = nn.Sequential(nn.Linear(1, 1))
    other: Any = nn.Sequential(nn.Linear(1, 1))

    def turns(one: nn.Module) -> list[Any]:
        return _known_turns(one, list(one.modules())[1:])

    first, second = turns(model), turns(other)
    assert len(first) == len(second) == 1
    assert first != second
    assert turns(model) == first
    model[0] = other[0]
    assert turns(model) == first + second
    model[0] = nn.ReLU()  # which has none yet: the model's own
    assert turns(model) == first
    assert _turns([model[0]]) == first
    assert _turns([other[0], model]) == first + second


def test_parameters_that_are_made_of_others_keep_their_graph() -> None:
    """As torch puts them into a module where it is called with others; a flag can be set of a leaf only."""
    model: Any = nn.Linear(1, 1)
    weight = model.weight * 2
    model._parameters["weight"] = weight
    with intact(model):
        assert weight.requires_grad
        assert not model.bias.requires_grad
    assert model.bias.requires_grad
    with torch.inference_mode():
        made = nn.Linear(1, 1).train()
    with intact(made):
        assert not made.training
    assert made.training


def test_who_has_got_a_lock_waits_for_none() -> None:
    turn, waited = Turn(), list[bool]()
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with turn.taken(lambda: None):
            held.set()
            done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    me = threading.get_ident()

    def waiting() -> None:
        waited.append(me in _WAITED_FOR)
        done.set()

    with turn.taken(waiting):
        assert me not in _WAITED_FOR
    thread.join(10)
    assert waited
    assert all(waited)


def test_of_two_locks_what_is_new_gets_the_older() -> None:
    first, second, new = nn.Identity(), nn.Identity(), nn.Identity()
    (older,), (younger,) = _turns([first]), _turns([second])
    assert _turns([second, new, first]) == [older, younger]
    assert _turns([new]) == [older]


# one walk through a graph


def test_a_graph_of_many_ways_is_walked_once() -> None:
    """Sixty sums of a tensor with itself have 2^60 ways through them."""
    a, module, root, layer = torch.ones(1, 4, 3, requires_grad=True), nn.Identity(), nn.Identity(), nn.Identity()
    made = a * 2
    end = made
    for _ in range(60):
        end = end + end
    seen = Survey({module: Usage([made]), root: Usage([end]), layer: Usage([end])}, ([a], []), 1, end.sum())
    assert all_pass(seen, root, module)
    assert seen.sides_of(end) == {0}
    assert not _handed_on(end, (2, 2))


def test_how_much_rows_move_with_each_side_of_each_pair() -> None:
    """The sizes of all slopes, where what is differentiated is weighed by cos 0, cos 1, ..."""
    a, more, b = torch.ones(2, 3, requires_grad=True), torch.ones(3, 1, requires_grad=True), torch.ones(2, 1)
    b.requires_grad_()
    block = torch.stack([2 * a[0].sum() - 5 * more[2, 0], 3 * b[1, 0] + more[0, 0]])
    pair, of_more = torch.arange(2), torch.tensor([0, 0, 1])
    found = Survey({}, ([a, more, torch.ones(2)], [b]), 2)._reach(block, ([pair, of_more, pair], [pair]))
    c = torch.arange(2.0, dtype=torch.float64).cos()
    expected = torch.stack([
        torch.stack([3 * 2 * c[0] + c[1], 5 * c[0]]), torch.stack([torch.zeros(()).double(), 3 * c[1]]),
    ])  # fmt: skip
    torch.testing.assert_close(found, expected)


# where a graph is cut


class Kinds(nn.Module):
    """Modules that get ids and numbers in every way."""

    def __init__(self) -> None:
        super().__init__()
        self.same, self.table, self.named = nn.Identity(), nn.Sequential(nn.Embedding(4, 2)), ByName()
        self.several, self.ignored = Several(), Several()

    def forward(self, ids: Tensor, x: Tensor) -> Tensor:
        vectors = self.table(self.same(ids))
        self.ignored(ids)
        return (self.named(x=vectors) + self.several([x], x)[0]).sum((1, 2))  # type: ignore[no-any-return]


class ByName(nn.Module):
    def forward(self, *, x: Tensor) -> Tensor:
        return x * 2


class Several(nn.Module):
    def forward(self, x: Any, y: Any = None) -> Any:
        return (y, 1.0) if y is not None else (x.float(), 1.0)


def test_vectors_begin_where_a_module_of_none_others_makes_numbers_of_ids() -> None:
    model = Kinds()
    ids, x = torch.tensor([[1, 3]]), torch.ones(1, 2, 2, requires_grad=True)
    seen = Watched(model, model, [ids, x])
    (vectors,) = seen.first
    assert torch.equal(vectors, model.table(ids))
    assert vectors.is_leaf
    assert seen.unseen is None
    (slope,) = torch.autograd.grad(seen.value.sum(), vectors)
    assert slope.tolist() == [[[2.0] * 2] * 2]
    with torch.no_grad():
        assert Watched(model, model, [ids, x]).unseen == (
            "at 'several', which is called inside no_grad or inference_mode"
        )


# relevance


@pytest.mark.parametrize("layer", [nn.Conv3d(2, 3, 2), nn.ConvTranspose3d(2, 3, 2, stride=2, bias=False)])
def test_layers_over_volumes_are_affine(layer: Any) -> None:
    one, x = affine(layer), torch.rand(1, 2, 3, 3, 3)
    assert one is not None
    torch.testing.assert_close(one.of(x, one.weight, one.bias), layer(x))
    assert layer.weight.shape[one.outputs] == 3


def test_what_is_added_to_a_denominator_has_its_sign() -> None:
    ratio = Rules(epsilon=0.25)._over(torch.full((4,), 3.0), torch.tensor([0.5, 1.25, -0.5, 0.0]))
    assert ratio.tolist() == [4.0, 2.0, -4.0, 0.0]


def test_a_feature_of_one_value_has_a_box_without_width() -> None:
    rules, layer = Rules(box=(torch.tensor([5.0, -1.0]), torch.tensor([5.0, 1.0]))), affine(nn.Linear(2, 1))
    assert layer is not None
    x = torch.tensor([[5.0, 0.5]])
    z = layer.of(x, layer.weight, layer.bias)
    assert torch.equal(rules.boxed(layer, x, z), z)
    for other in (4.9, 5.1):
        with pytest.raises(ValueError, match="leaves the box"):
            rules.boxed(layer, torch.tensor([[other, 0.5]]), z)


# what a layer gives


def test_a_gradient_has_no_graph_unless_it_is_asked_for() -> None:
    layer, x = nn.Identity(), torch.tensor([[2.0, 3.0], [5.0, 7.0]], requires_grad=True)
    with record([(layer, layer)], ["layer"], 1, order=[((0, 1), (0, 1))]) as seen:
        value = torch.cat([layer(x[:1]) ** 3, layer(x[1:]) ** 2]).sum(1)
    for graph in (True, False):  # the last one lets the graph go
        ((of_a, of_b),) = seen.gradients(value, create_graph=True) if graph else seen.gradients(value)
        assert of_a.tolist() == [[12.0, 27.0]]
        assert of_b.tolist() == [[10.0, 14.0]]
        assert of_a.requires_grad is of_b.requires_grad is graph


@pytest.mark.parametrize("detach", [True, False])
def test_where_the_graph_of_a_recording_begins(detach: bool) -> None:
    layer = nn.Identity()
    whole, plain, grown = torch.arange(2), torch.ones(2), torch.ones(2, requires_grad=True) * 2
    with record([(layer, layer)], ["layer"], 2, order=[((), ())], detach=detach) as seen:
        gone = [layer(one) for one in (whole, plain, grown)]
    kept = seen.calls[layer]
    assert all(map(torch.equal, kept, (whole, plain, grown)))
    assert [one.requires_grad for one in kept] == [False, detach, True]
    assert kept[2] is grown  # what has a graph keeps it
    assert [one is other for one, other in zip(gone, kept, strict=True)] == [True, not detach, False]


def test_where_views_are_told_by_rows_that_are_off() -> None:
    """By more than a hundredth of the largest; of one row a pair, or of other shapes, nothing is said."""
    layer = nn.Identity()
    model = nn.Sequential(layer)
    views, start = torch.tensor([[0.0], [100.0]]), torch.tensor([[50.0], [1.0]])

    def found(two: Tensor, x: Tensor = views, of_start: Tensor = start) -> Any:
        return _of_several(model, [partial(model, one) for one in (x, of_start, two)])

    both = torch.cat([views, start])
    for row in range(4):
        for step, told in ((0.9, False), (-0.9, False), (1.1, True), (-1.1, True)):
            two = both.clone()
            two[row] += step
            assert found(two) == (("", model, 2) if told else None)
    assert found(torch.tensor([[7.0], [9.0]]), views[:1], start[:1]) is None
    zeros = torch.zeros(2, 1)
    assert found(torch.zeros(4, 1), zeros, zeros) is None


@pytest.mark.parametrize(("layers", "more"), [(13, False), (14, False), (15, True)])
def test_thirty_names_are_told(layers: int, more: bool) -> None:
    model = SiameseModel(nn.Sequential(*(nn.ReLU() for _ in range(layers))), "dot")
    names = {*dict(model.named_modules()), *dict(model.encoders[0].named_modules())} - {""}
    assert (len(names) > 30) is more
    with pytest.raises(ValueError, match="no layer is called") as error:
        find_layers(model, "zzz")
    assert str(error.value).endswith(", ...") is more
