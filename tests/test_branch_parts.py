"""Where a graph is cut, wrappers of layers, and what a block leaves of a model, each by hand."""

from __future__ import annotations

import random
import signal
import threading
from collections import OrderedDict, namedtuple
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xsiamese import PairGradCAM, SiameseModel
from xsiamese.branches.calls import Survey, Usage
from xsiamese.branches.copies import copied
from xsiamese.branches.cut import WAYS, NoGradientError, Watched
from xsiamese.branches.intact import beside, intact, reseed
from xsiamese.branches.layers import as_grid, find_layers, names_of
from xsiamese.branches.layout import ChannelsFirst, Tokens
from xsiamese.branches.lock import GENERATORS, locked
from xsiamese.branches.probe import _reaches
from xsiamese.branches.record import record
from xsiamese.branches.refused import refuse_backward
from xsiamese.branches.several import views_apart
from xsiamese.branches.spread import Lies, last_places
from xsiamese.branches.standins import Alone, Branches, Elsewhere, Ported
from xsiamese.branches.untied import with_ports

Pair = namedtuple("Pair", ["first", "second"])


def test_when_a_score_is_cut_from_all_inputs() -> None:
    """Without a score, of whole numbers, or beside another that could move, nothing is said."""
    a, b = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    plain, other = torch.ones(2), torch.ones(2, requires_grad=True)

    def cut(value: Tensor | None, *leaves: Tensor, still: Any = None) -> bool:
        return Survey({}, ([*leaves[:1]], [*leaves[1:]]), 2, value, still).cut()

    assert not cut(None, a, b)
    assert not cut(a * b, a, b)
    assert not cut(a * 2, a, b)
    assert not cut(b * 2, a, b)
    assert not cut(b * 2, plain, b)
    assert cut(other * 2, a, b)
    assert cut(plain, a, b)
    assert not cut(plain, a, b, still={1: Survey({}, ([], []), 2)})
    assert not cut(plain, plain, plain)


def of_sides(a: Tensor, b: Tensor, usage: dict[nn.Module, Usage], value: Tensor | None = None) -> Survey:
    return Survey(usage, ([a], [b]), len(a), value)


def test_what_serves_a_side_by_what_it_is_made_of() -> None:
    """The topmost modules, the one that ends last before the others; what both sides are mixed in serves none."""
    a, b = torch.ones(2, 3, requires_grad=True), torch.ones(2, 3, requires_grad=True)
    own, its, both, mixed, inner, unused = (nn.Sequential() for _ in range(6))
    around = nn.Sequential(inner)
    inner.add_module("own", own)
    root = nn.Sequential(own, around, its, both, mixed, unused)
    seen = of_sides(a, b, {
        own: Usage([a * 2], 3), its: Usage([b * 2], 7), both: Usage([a * 3, b * 3], 5), mixed: Usage([a + b], 9),
        inner: Usage([a * 4], 4), unused: Usage([], 1),
    })  # fmt: skip
    assert [seen.serves(own, side) for side in (0, 1)] == [True, False]
    assert [seen.serves(its, side) for side in (0, 1)] == [False, True]
    assert [seen.serves(both, side) for side in (0, 1)] == [True, True]
    for none in (mixed, unused, around):
        assert not any(seen.serves(none, side) for side in (0, 1))
    assert seen.serving(root, 0) == [both, inner, own]
    assert seen.serving(root, 1) == [its, both]
    assert seen.serving(around, 0) == [inner]
    assert seen.shared(root) == [both]
    assert seen.shared(nn.Sequential(nn.Sequential(both), both)) == [both]
    assert seen.sides_of(a * b) == {0, 1}
    assert seen.sides_of(a.detach()) == set()
    # the rows of both in one call are of each side, and a call that is given both once more is none of either
    stacked = of_sides(a, b, {own: Usage([torch.cat([a, b])]), its: Usage([a * 1, a + b])})
    assert [seen.serves(own, side) for seen in (stacked,) for side in (0, 1)] == [True, True]
    assert not stacked.serves(its, 0)
    assert stacked.shared(nn.Sequential(own)) == [own]


def test_a_score_moves_with_the_last_four_embeddings() -> None:
    """Outputs of two dimensions that have a graph; what is before the last four of them does not count."""
    ends = [torch.ones(1, 2, requires_grad=True) * 1 for _ in range(5)]
    grid, plain = torch.ones(1, 2, 2, requires_grad=True) * 1, torch.ones(1, 2)

    def moves(value: Tensor, *outputs: Tensor) -> bool:
        usage: dict[nn.Module, Usage] = {nn.Identity(): Usage([one]) for one in outputs}
        return of_sides(plain, plain, usage, value).moves()

    assert not moves(ends[0].sum(), *ends)
    for i in (1, 2, 3, 4):
        assert moves(ends[i].sum(), *ends)
        assert not moves(0 * ends[i].sum(), *ends)
    assert not moves(grid.sum(), ends[0], grid)
    assert moves(ends[0].sum(), ends[0], grid, *[plain] * 4)
    assert moves(plain.sum(), grid, plain)  # nothing is known of it
    ends[0][0, 0].requires_grad_()
    assert moves(ends[0][0, 0], ends[0])  # one number is enough


def test_which_module_has_the_last_places() -> None:
    """Those of a row for each pair, or for both sides', with more than one place, of which the score reads several."""
    a, b = torch.ones(2, 3, requires_grad=True), torch.ones(2, 3, requires_grad=True)

    def grown(x: Tensor, *shape: int) -> Tensor:
        return (x.sum() * torch.rand(shape)).clone()

    outputs = {
        "early": grown(a, 2, 3, 2), "one place": grown(a, 2, 3, 1), "rows": grown(a, 2, 3),
        "times first": grown(a, 3, 2, 4), "late": grown(a, 2, 3, 1, 2), "the last alone": grown(a, 2, 3, 4),
        "unread": grown(a, 2, 3, 4), "of b": grown(b, 2, 3, 5),
    }  # fmt: skip
    modules: dict[str, nn.Module] = {name: nn.Sequential() for name in outputs}
    root = nn.Sequential(*modules.values())
    usage = {modules[name]: Usage([output], i) for i, (name, output) in enumerate(outputs.items())}
    parts = [o[..., -1] if name == "the last alone" else o for name, o in outputs.items() if name != "unread"]
    read = sum((part.sum() for part in parts), torch.zeros(()))
    lies = Lies("time", (), (2, 3), lambda number: {})

    def last(seen: Survey, root: nn.Module, side: int) -> nn.Module | None:
        taken = last_places(seen, [root], side, lies)[0]
        return None if taken is None else taken.module

    seen = of_sides(a, b, usage, read)
    assert last(seen, root, 0) is modules["late"]
    assert last(seen, root, 1) is modules["of b"]
    assert last(seen, nn.Sequential(modules["early"], modules["rows"]), 0) is modules["early"]
    assert last(seen, nn.Sequential(modules["one place"], modules["times first"]), 0) is None
    passed = last_places(seen, [root], 0, lies)[1]
    assert passed.unread == [modules["unread"], modules["the last alone"]]
    for value in (None, torch.ones(1)):  # it tells nothing
        assert last(of_sides(a, b, usage, value), root, 0) is modules["unread"]


def test_which_table_of_words_is_asked() -> None:
    """The first that gets a row for each pair, of the side, below the roots or, without any, of all."""
    a, b = torch.ones(2, 3, requires_grad=True), torch.ones(2, 3, requires_grad=True)
    place, second, first, other = (nn.Embedding(2, 2) for _ in range(4))
    ids, one = torch.zeros(2, 5, dtype=torch.long), torch.zeros(1, 5, dtype=torch.long)
    usage: dict[nn.Module, Usage] = {
        place: Usage([a * 1], 1, [one]), second: Usage([a * 1], 5, [ids]), first: Usage([a * 1], 3, [None, ids]),
        other: Usage([b * 1], 2, [torch.cat([ids, ids])]),
    }  # fmt: skip
    seen = of_sides(a, b, usage)
    assert [seen.sides_differ(table) for table in (place, second, first, other)] == [False, True, True, True]
    assert seen.word_embedding([], 0) is first
    assert seen.word_embedding([], 1) is other
    assert seen.word_embedding([nn.Sequential(second, nn.Embedding(1, 1))], 0) is second
    assert seen.word_embedding([nn.Sequential(place)], 0) is None


class Steps(nn.Module):
    """Four modules in a row; before one of them something is done to what goes on."""

    def __init__(self, before: int, cut: Any) -> None:
        super().__init__()
        self.steps = nn.ModuleList(nn.Linear(2, 2) for _ in range(4))
        self.before, self.cut = before, cut

    def forward(self, x: Tensor) -> Tensor:
        for i, step in enumerate(self.steps):
            x = step(self.cut(x) if i == self.before else x)
        return x.sum(1)


@pytest.mark.parametrize(("before", "place"), [
    (0, f"before the first module is reached {WAYS}"), (1, f"after 'steps.0' {WAYS}"),
    (2, f"after 'steps.1' {WAYS}"), (3, f"after 'steps.2' {WAYS}"),
])  # fmt: skip
def test_a_cut_is_behind_the_last_module_that_is_reached(before: int, place: str) -> None:
    model, x = Steps(before, lambda x: x.detach()), torch.ones(1, 2, requires_grad=True)
    seen = Watched(model, model, [x])
    assert (seen.place, seen.unseen, seen.first) == (place, None, [])
    torch.testing.assert_close(seen.value, model(x))
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in model.modules())
    told = NoGradientError("no gradient", seen.place, "do another thing")
    assert str(told) == f"no gradient: the graph is cut {place}; do another thing"
    assert str(NoGradientError("none")).startswith("none: the graph is cut inside the model; PairFeatureAblation, Pair")


class Outer(nn.Module):
    """Calls an inner module without gradients, or in a block of the module around it."""

    def __init__(self, around: bool) -> None:
        super().__init__()
        self.first, self.inner, self.around = nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2), nn.ReLU()), around

    def forward(self, x: Tensor, held: Tensor) -> Tensor:
        x = self.first(x)
        with torch.no_grad():
            self.first(held)  # a held side has none to lose
            x = self.inner(x) if self.around else self.inner[1](self.inner[0](x))
        return x.sum(1)


@pytest.mark.parametrize(("around", "name"), [(True, "inner"), (False, "inner.0")])
def test_the_outermost_module_without_gradients_is_named(around: bool, name: str) -> None:
    model, x = Outer(around), torch.ones(1, 2, requires_grad=True)
    seen = Watched(model, lambda x: model(x, torch.ones(1, 2)), [x])
    assert seen.place == seen.unseen == f"at {name!r}, which is called inside no_grad or inference_mode"


def test_of_whole_numbers_the_vectors_begin_the_graph() -> None:
    """Those of the table, and of nothing that is made of them; what follows may write into them."""

    class Words(nn.Module):
        def __init__(self, cut: bool) -> None:
            super().__init__()
            self.table, self.layer, self.cut = nn.Embedding(5, 2), nn.Linear(2, 2), cut

        def forward(self, ids: Tensor) -> Tensor:
            vectors = self.table(ids).mul_(2)
            vectors = self.layer(vectors)
            return (vectors.detach() if self.cut else vectors).sum((1, 2))  # type: ignore[no-any-return]

    ids = torch.tensor([[1, 2, 3]])
    for cut in (False, True):
        model = Words(cut)
        model.requires_grad_(False)
        seen = Watched(model, model, [ids])
        (first,) = seen.first
        assert torch.equal(first, model.table(ids))
        torch.testing.assert_close(seen.value, model(ids))
        assert seen.value.requires_grad is not cut
        assert seen.place == f"after 'layer' {WAYS}"
        if not cut:
            (slope,) = torch.autograd.grad(seen.value.sum(), first)
            torch.testing.assert_close(slope, (2 * model.layer.weight.sum(0)).expand(1, 3, 2))


def test_the_port_of_a_layer_that_gives_several_tensors() -> None:
    """Hooks on the port see the first of them, and what they make of it goes on; other layers are their own."""

    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell, self.head, self.none = nn.GRU(2, 3, batch_first=True), nn.Linear(3, 1), nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            self.none(None)
            every, last = self.cell(x)
            return self.head(every.sum(1) + 10 * last[0])  # type: ignore[no-any-return]

    model, x = Recurrent(), torch.rand(1, 4, 2)
    cell, (every, last) = model.cell, model.cell(x)
    outputs: dict[nn.Module, list[Any]] = {cell: [(every, last)], model.head: [every], model.none: [None]}
    plain = model.head, model.none
    assert with_ports(model, plain, outputs) == plain
    before = model(x)
    port, head = with_ports(model, (cell, plain[0]), outputs)
    assert head is plain[0]
    assert isinstance(model.cell, Ported)
    assert model.cell.port is port
    assert model.cell.module is cell
    assert torch.equal(model(x), before)
    port.register_forward_hook(lambda module, args, output: 2 * output)
    torch.testing.assert_close(model(x), model.head(2 * every.sum(1) + 10 * last[0]))
    assert Ported(nn.Identity())(None) is None
    for wrapper in (Alone, Elsewhere):
        assert torch.equal(wrapper(model.head)(every), model.head(every))
    assert len(list(Alone(model.head).parameters())) == 2
    assert len(list(Elsewhere(model.head).parameters())) == 0  # met where it is registered, and only there


def test_a_copy_has_numbers_of_its_own() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    other = copied(model)
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    for name, value in other.state_dict().items():
        assert torch.equal(value, kept[name])
        value.add_(1)
    assert all(torch.equal(value, kept[name]) for name, value in model.state_dict().items())


def test_a_parameter_that_was_written_to_is_named() -> None:
    for which, name in ((0, "0.weight"), (3, "1.bias")):
        model = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
        with pytest.raises(ValueError, match=f"^{name} was written to while the model was explained"), intact(model):
            list(model.parameters())[which].mul_(2)


def test_recurrent_layers_of_an_accelerator_are_differentiated_in_training_without_dropout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = nn.Sequential(nn.GRU(2, 2, num_layers=2, dropout=0.5), nn.Dropout()).train()
    monkeypatch.setattr(nn.Parameter, "is_cuda", True, raising=False)
    for training in (True, False):
        model.train(training)
        with intact(model):
            assert [module.training for module in model.modules()] == [False, True, False]
            assert model[0].dropout == 0.0
        assert all(module.training is training for module in model.modules())
        assert model[0].dropout == 0.5
    monkeypatch.setattr(nn.Parameter, "is_cuda", False, raising=False)
    with intact(model):
        assert not model[0].training
        assert model[0].dropout == 0.5


@pytest.mark.parametrize("accelerator", [False, True])
@pytest.mark.parametrize("seed", [3, 2**32 + 3])
def test_all_generators_are_seeded(accelerator: bool, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: accelerator)
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    try:
        reseed(seed)
        found = torch.rand(1), np.random.rand(), random.random()
    finally:
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])
        random.setstate(states[2])
    assert torch.equal(found[0], torch.rand(1, generator=torch.Generator().manual_seed(seed)))
    assert found[1] == np.random.RandomState(3).rand()
    assert found[2] == random.Random(seed).random()


@pytest.mark.parametrize(("of_a", "of_b", "said"), [
    (True, False, "^no layer has a spatial grid"), (False, True, "^no layer has a spatial grid"),
    (True, True, "^no layer has a spatial grid"), (False, False, "^every layer of this model sees both inputs"),
])  # fmt: skip
def test_why_a_model_of_two_inputs_has_no_layer(of_a: bool, of_b: bool, said: str) -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.of_a, self.of_b, self.both = nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 1)

        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            u, v = self.of_a(a) if of_a else a, self.of_b(b) if of_b else b
            return self.both(u * v)[:, 0]  # type: ignore[no-any-return]

    pair = torch.rand(1, 2), torch.rand(1, 2)
    with pytest.raises(ValueError, match=said):
        PairGradCAM(Two()).attribute(pair)
    with pytest.raises(ValueError, match=r"^this explainer needs the model's modules, and a plain function hides them"):
        PairGradCAM(lambda a, b: (a * b).sum(1)).attribute(pair)


def test_layers_of_one_tower_and_of_both() -> None:
    """A name or a module of one encoder alone is that side's; what both have is a pair, in the order of the sides."""
    first = nn.Sequential(OrderedDict(one=nn.Linear(2, 2), both=nn.ReLU()))
    second = nn.Sequential(OrderedDict(two=nn.Linear(2, 2), both=nn.ReLU()))
    towers, shared = SiameseModel((first, second), "dot"), SiameseModel(first, "dot")
    for given, found in (
        ("one", (first.one, None)), ("two", (None, second.two)), ("encoder_b.two", (None, second.two)),
        (first.one, (first.one, None)), (second.both, (None, second.both)), ("both", (first.both, second.both)),
        (("one", "two"), (first.one, second.two)), (("both", second.two), (first.both, second.two)),
    ):  # fmt: skip
        assert find_layers(towers, given) == [found]  # type: ignore[arg-type]
    assert find_layers(shared, ["one", ("both", "one")]) == [(first.one,) * 2, (first.both, first.one)]
    both: list[Any] = [(first.one, second.two), (first.both, second.both)]
    assert names_of(towers, both) == ["one / two", "both"]
    with pytest.raises(ValueError, match=r"^no layer is called 'bot'; did you mean 'both'\?$"):
        find_layers(shared, "bot")
    with pytest.raises(
        ValueError, match=r"^no layer is called 'zzz'; there are one, both, encoder, encoder.one, encoder."
    ):
        find_layers(shared, "zzz")
    with pytest.raises(TypeError, match=r"^layer is a int: a dotted name, a module, or a pair of them is needed$"):
        find_layers(shared, 3)  # type: ignore[arg-type]
    x = torch.arange(24.0).reshape(2, 3, 4)
    assert torch.equal(as_grid(x, ChannelsFirst()), x)
    assert torch.equal(as_grid(x, None), x.mT)  # tokens are thought of
    assert torch.equal(as_grid(x, Tokens(None, 2)), x.mT[..., 2:].unsqueeze(-1))


def test_halves_of_what_several_calls_gave_are_put_together() -> None:
    """Branches cut a stacked batch into views, and join what each of them gives, whatever it is in."""

    class Named(nn.Module):
        def __init__(self, by: float) -> None:
            super().__init__()
            self.by = by

        def forward(self, x: Tensor, given: Any, scale: Any = 1) -> Any:
            y = self.by * x * scale
            return {"y": y, "list": [y, given["z"]], "pair": (y, Pair(y, "text")), "t": torch.tensor(0.5), "n": None}

    x, z = torch.arange(4.0)[:, None], torch.arange(10.0, 14.0)[:, None]
    found = Branches([Named(1.0), Named(10.0)], stacked=True)(x, {"z": z, "text": "as it is"}, scale=torch.tensor(2.0))
    y = torch.tensor([[0.0], [2.0], [40.0], [60.0]])
    assert list(found) == ["y", "list", "pair", "t", "n"]
    assert torch.equal(found["y"], y)
    assert torch.equal(found["list"][0], y)
    assert torch.equal(found["list"][1], z)
    assert type(found["pair"][1]) is Pair
    assert torch.equal(found["pair"][1].first, y)
    assert (found["pair"][1].second, float(found["t"]), found["n"]) == ("text", 0.5, None)
    turns = Branches([Named(1.0), Named(10.0)])
    assert [float(turns(x[1:2], {"z": z})["y"]) for _ in range(5)] == [1.0, 10.0, 1.0, 10.0, 1.0]


def test_hooks_are_put_back_as_they_were() -> None:
    """What was there before, what came inside a block, and what the block around it had."""
    model, called = nn.Sequential(nn.Linear(1, 1)), list[str]()

    def note(name: str) -> Any:
        return model[0].register_forward_hook(lambda *args: called.append(name))

    note("before")
    x = torch.ones(1, 1)
    with intact(model):
        note("outer")
        with intact(model):
            note("inner")
            model(x)
            assert called == ["before", "inner"]
        called.clear()
        model(x)
        assert called == ["before", "outer"]
    called.clear()
    model(x)
    assert called == ["before"]


def test_draws_inside_a_block_are_those_of_its_seed_and_go_on_behind_it() -> None:
    def drawn() -> tuple[float, float, float]:
        return float(torch.rand(1)), float(np.random.rand()), random.random()

    known = float(torch.rand(1, generator=torch.Generator().manual_seed(7))), np.random.RandomState(7).rand()
    reseed(5)
    first, second = drawn(), drawn()
    reseed(5)
    assert drawn() == first
    for _ in range(2):
        with intact(nn.Identity(), seed=7):
            assert drawn() == (*known, random.Random(7).random())
    assert drawn() == second
    reseed(5)
    with intact(nn.Identity()):
        assert drawn() == first  # no seed: they are left as they are
    assert drawn() == second


def test_one_cell_of_many_items_is_one_place() -> None:
    both, column, row = (torch.zeros(2, 3, 2, 2) for _ in range(3))
    both[:, 1, 1, 0] = 1
    column[0, :, :, 1] = row[0, 2, 1] = 1
    assert [_reaches(size, ChannelsFirst()) for size in (both, column, row)] == [False, True, True]


@pytest.mark.parametrize("towers", [False, True])
def test_a_layer_that_is_called_again_is_passed_by(towers: bool) -> None:
    """Of one encoder for both sides, that is more than twice; of one tower more than once."""

    class Again(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.again, self.flat = nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1), nn.Flatten()

        def forward(self, x: Tensor) -> Tensor:
            return self.flat(self.again(self.again(self.first(x))))  # type: ignore[no-any-return]

    explainer = PairGradCAM(SiameseModel((Again(), Again()) if towers else Again(), "dot"))
    explainer.attribute((torch.rand(1, 1, 4, 4), torch.rand(1, 1, 4, 4)))
    assert explainer.layer_names_ == ["first"]


def test_a_block_that_cannot_be_entered_leaves_all_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    model, before = nn.Sequential(nn.Dropout(), nn.Linear(1, 1)).train(), signal.getsignal(signal.SIGINT)

    def fails(*args: Any) -> None:
        model.eval()
        model.requires_grad_(False)
        raise ArithmeticError("not now")

    monkeypatch.setattr("xsiamese.branches.intact._prepare", fails)
    block = intact(model, seed=0)
    with pytest.raises(ArithmeticError), block:
        raise AssertionError("never reached")
    assert signal.getsignal(signal.SIGINT) == before
    assert all(module.training for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())
    monkeypatch.undo()
    with block:
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


class OfViews(nn.Module):
    """The sum of what an encoder gives of the views of each item, which it gets in one call."""

    def __init__(self, encoder: nn.Module, *, views_first: bool = True, by: float = 1.0) -> None:
        super().__init__()
        self.encoder, self.views_first, self.by = encoder, views_first, by

    def forward(self, x: Tensor) -> Tensor:
        if self.views_first:
            return self.by * self.encoder(x.mT.flatten()[:, None]).view(*x.mT.shape).sum(0)  # type: ignore[no-any-return]
        return self.by * self.encoder(x.flatten()[:, None]).view(*x.shape).sum(1)  # type: ignore[no-any-return]


class LastAndFirst(nn.Module):
    """Adds the first row to the last: rows are mixed."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x[:-1], x[-1:] + x[:1]])


def apart(model: nn.Module, layers: Any = ()) -> nn.Module:
    one, start = torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[5.0, 7.0, 9.0]])
    runs: Any = [lambda x=x: model(x) for x in (one, start, torch.cat([one, start]))]
    values = [run() for run in runs]
    views_apart(model, (runs[0], runs[1], runs[2]), layers)
    assert all(torch.equal(run(), value) for run, value in zip(runs, values, strict=True))
    return model


def test_views_of_one_call_are_taken_apart_where_they_come_first() -> None:
    for by in (1.0, 0.0):  # also of a score that is nothing
        of_views: Any = apart(OfViews(nn.Sequential(nn.Linear(1, 1)), by=by))
        assert isinstance(of_views.encoder, Branches)
        assert len(of_views.encoder.views) == 3
        assert of_views.encoder.stacked
        assert len(list(of_views.parameters())) == 2  # around the same numbers
    for model in (OfViews(nn.Linear(1, 1), views_first=False), OfViews(nn.Identity()).encoder):
        before = list(model.modules())
        apart(model)
        assert list(model.modules()) == before
    said = (
        r"^encoder gets several views of a side in one call, so that which row is whose cannot be told by this method"
    )
    with pytest.raises(ValueError, match=said):
        apart(OfViews(LastAndFirst()))
    for layer in (0, 1):
        linear = nn.Linear(1, 1)
        nn.init.ones_(linear.weight)
        inside = nn.Sequential(linear, nn.ReLU())
        with pytest.raises(ValueError, match=said):
            apart(OfViews(inside), [inside[layer]])
    with pytest.raises(ValueError, match=r"^around.encoder gets several views"):
        apart(nn.Sequential(OrderedDict(model=nn.Sequential(OrderedDict(around=OfViews(LastAndFirst()))))))


def test_a_module_without_a_mode_gets_none() -> None:
    """As one that torch.jit has frozen."""
    model = nn.Sequential(nn.Identity(), nn.Identity())
    del model[0].training
    for training in (True, False):
        model.training = model[1].training = training
        with intact(model):
            assert [vars(module).get("training") for module in model.modules()] == [False, None, False]
        assert [vars(module).get("training") for module in model.modules()] == [training, None, training]


@pytest.mark.parametrize(("default", "own", "inside"), [
    ("meta", "meta", "meta"), ("meta", "cpu", "cpu"), ("meta", None, "cpu"), ("cpu", "meta", "cpu"),
    ("cpu", "cpu", "cpu"),
])  # fmt: skip
def test_a_default_device_that_is_not_the_models_is_left(default: str, own: str | None, inside: str) -> None:
    model = nn.Identity() if own is None else nn.Linear(1, 1, device=own)
    with torch.device(default):
        with beside(model):
            assert torch.ones(1).device.type == inside
        assert torch.ones(1).device.type == default


def test_only_who_draws_waits_for_the_generators() -> None:
    me, model = threading.get_ident(), nn.Identity()
    for seeded, holder in ((False, None), (True, me)):
        with locked(model, seeded=seeded):
            assert GENERATORS._thread == holder
    with locked(model):
        assert GENERATORS._thread is None


@pytest.mark.parametrize(("task", "refused"), [(-1, False), (0, True), (1, True)])
def test_the_first_backward_pass_of_a_process_is_one(task: int, refused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch._C, "_current_graph_task_id", lambda: task)
    layer, x = nn.Linear(1, 1), torch.ones(1, 1)
    asked: list[Any] = [lambda: layer(x), refuse_backward, lambda: Branches([layer, layer])(x)]
    with record([(layer, layer)], ["layer"], 1):
        for ask in asked:
            if refused:
                with pytest.raises(
                    ValueError, match=r"^the model checkpoints its activations: a (shared module|layer) is"
                ):
                    ask()
            else:
                ask()
