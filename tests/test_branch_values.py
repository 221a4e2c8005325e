"""How layers are found, what a call belongs to, and the rules of relevance, each by hand."""

from __future__ import annotations

import signal
import threading
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn, vmap

from xsiamese.branches.calls import Survey, Usage, survey
from xsiamese.branches.copies import kept_in_copies
from xsiamese.branches.layers import find_layers, names_of
from xsiamese.branches.layout import (
    ChannelsFirst,
    ChannelsLast,
    PatchesLast,
    Tokens,
    _patches,
    by_width,
    channel_of,
    described,
    for_side,
    layouts,
)
from xsiamese.branches.lock import _WAITED_FOR, Turn
from xsiamese.branches.outputs import first_tensor, with_first_tensor
from xsiamese.branches.probe import PassedBy, _apart, _handed_on, _reach, _reaches, follows, halves_of, last_cells
from xsiamese.branches.record import Recording, record
from xsiamese.branches.refused import refuse_backward
from xsiamese.branches.relevance import _layer_norm, _which
from xsiamese.branches.rules import Affine, Rules, affine, fused
from xsiamese.branches.several import _calls
from xsiamese.branches.signals import Signals
from xsiamese.branches.standins import Branches
from xsiamese.branches.untied import one_by_one, outputs_of, replace, untied
from xsiamese.model.pair import SiameseModel


@pytest.mark.parametrize(("tokens", "image", "grids", "found"), [
    (49, (100, 100), (), ((7, 7), 0)),
    (51, (100, 100), (), ((7, 7), 2)),  # 7 cells do not tile 100 pixels, and two tokens may be others
    (52, (100, 100), (), None),  # three are not believed
    (52, (100, 100), {(7, 7)}, ((7, 7), 3)),  # but beside another layer of that grid
    (52, (98, 98), (), ((7, 7), 3)),  # or where the patches tile the image
    (66, (98, 98), (), ((7, 7), 17)),
    (67, (98, 98), (), None),  # 18 that are no patches are too many, and 8 x 8 do not tile
    (98, (70, 140), (), ((7, 14), 0)),
    (98, (140, 70), (), ((14, 7), 0)),
    (2, (100, 100), (), ((1, 2), 0)),
    (1, (100, 100), (), None),
    (197, (224, 224), {(13, 14)}, ((13, 14), 15)),  # a grid that is there counts for more than fewer others
])  # fmt: skip
def test_patches_among_tokens(tokens: int, image: Any, grids: Any, found: Any) -> None:
    assert _patches(tokens, image, grids) == found


def test_grids_are_of_the_images_proportions_up_to_a_cell() -> None:
    assert layouts((1, 8, 4, 5), (32, 32)) == [ChannelsFirst()]  # 4 x 5 of a square lacks a row
    assert layouts((1, 8, 4, 6), (32, 32)) == []
    assert layouts((1, 8, 32, 32), (32, 32)) == [ChannelsFirst()]
    assert layouts((1, 8, 33, 33), (32, 32)) == []  # more cells than pixels
    assert layouts((1, 8, 8, 8), (32, 32)) == [ChannelsFirst(), ChannelsLast()]
    assert layouts((1, 3, 64), (32, 32))[-1] == PatchesLast((8, 8))
    assert layouts((1, 64, 64), (16, 16)) == [Tokens((8, 8), 0)]  # cells of two pixels are no patches of channels


def test_of_several_layouts_the_width_of_the_last_parameters_tells() -> None:
    options = layouts((1, 8, 8, 8), (32, 32))
    assert by_width(nn.ReLU(), (1, 8, 8, 8), options) == options
    shape = (1, 8, 7, 7)
    assert by_width(nn.Conv2d(3, 8, 3), shape, [ChannelsFirst(), ChannelsLast()]) == [ChannelsFirst()]
    assert by_width(nn.LayerNorm(7), shape, [ChannelsFirst(), ChannelsLast()]) == [ChannelsLast()]
    assert layouts((1, 20, 7, 7), (28, 28)) == [ChannelsFirst()]  # 20 x 7 is no grid


def test_layouts_bring_channels_first() -> None:
    tokens = torch.arange(2 * 7 * 3.0).reshape(2, 7, 3)
    assert torch.equal(Tokens((2, 3), 1)(tokens)[1, 2], tokens[1, 1:, 2].reshape(2, 3))
    assert torch.equal(Tokens(None, 3)(tokens)[0, 1], tokens[0, 3:, 1].reshape(2, 2))
    with pytest.raises(ValueError, match="7 tokens less 1 are not a 2 x 2 grid"):
        Tokens()(tokens)
    last = torch.arange(24.0).reshape(1, 2, 3, 4)
    assert torch.equal(ChannelsLast()(last)[0, 3], last[0, :, :, 3])
    assert torch.equal(PatchesLast((2, 2))(last[0])[1, 2], last[0, 1, 2].reshape(2, 2))


def test_halves_of_a_grid_count_a_cell_in_the_middle_by_half() -> None:
    upper, left, across = halves_of((3, 2))
    assert upper.tolist() == [[1, 1], [0.5, 0.5], [0, 0]]
    assert left.tolist() == [[1, 0]] * 3
    assert across.tolist() == [[1, 0], [0.5, 0.5], [0, 1]]
    assert halves_of((4,)).tolist() == [[1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1]]
    assert halves_of((2,)).tolist() == [[1, 0], [0.5, 0.5], [0.5, 0.5]]
    deep, high, wide, odd = halves_of((2, 2, 2)).flatten(1).tolist()
    assert (deep, high, wide) == ([1] * 4 + [0] * 4, [1, 1, 0, 0] * 2, [1, 0] * 4)
    assert odd == [1, 0, 0, 1, 0, 1, 1, 0]


def moves(share: Tensor) -> Tensor:
    """Changes (halves, items, tokens, channels) whose energies are given shares, (halves, rows, columns)."""
    loud = (
        torch.rand(1, share[0].numel(), generator=torch.Generator().manual_seed(0)) + 0.1
    )  # some move more than others
    return (share.flatten(1) * loud).sqrt()[:, None, :, None] * torch.tensor([0.6, -0.8])


def test_cells_follow_the_halves_that_they_lie_in_and_nothing_else_does() -> None:
    layout, own = Tokens((4, 4), 0), halves_of((4, 4))
    assert follows(moves(own), layout) == pytest.approx(1)
    assert follows(moves(halves_of((2, 6))), Tokens((2, 6), 0)) == pytest.approx(1)
    assert follows(moves(own + 0.5), layout) > 0.9  # all move a little with all
    before = torch.cat([torch.full((3, 1, 2, 2), 9.0), moves(own)], 2)
    assert follows(before, Tokens((4, 4), 2)) == pytest.approx(1)
    rows, columns = own.clone(), own.clone()
    rows[1:], columns[::2] = 0.5, 0.5
    windows = own.unflatten(1, (2, 2)).unflatten(3, (2, 2)).transpose(2, 3).reshape(own.shape)
    for other in (own.mT, own.flip(1), rows, columns, windows):
        assert follows(moves(other), layout) < 0.3
    assert follows(torch.zeros(3, 1, 16, 2), layout) == 0


def test_what_hands_on_the_cells_of_a_convolution_is_seen_in_the_graph() -> None:
    conv, norm, mix = nn.Conv2d(1, 8, 2, 2), nn.LayerNorm(8), nn.Linear(8, 8)
    cells = conv(torch.randn(2, 1, 8, 8))
    tokens = cells.flatten(2).mT
    more = torch.cat([torch.zeros(2, 1, 8), tokens], 1)
    for kept in (
        tokens,
        cells.flatten(2).permute(0, 2, 1),
        more,
        norm(more + mix(more)).double(),
        more * torch.ones(8),
    ):
        assert _handed_on(kept, (4, 4))
        assert not _handed_on(kept, (2, 8))
    latents = torch.zeros(1, 16, 8, requires_grad=True)
    for made in (latents + mix(tokens), more[:, :16], latents, mix(tokens), cells.unflatten(2, (2, 2)).flatten(2).mT):
        assert not _handed_on(made, (4, 4))


Named = namedtuple("Named", ["score", "state"])


@dataclass
class Output:
    loss: Any
    state: Tensor


STATE, OTHER = torch.ones(2), torch.zeros(3)


@pytest.mark.parametrize("given", [
    STATE, (None, STATE, OTHER), [STATE, OTHER], Named(None, STATE), OrderedDict(loss=None, state=STATE, more=OTHER),
    Output(None, STATE), (None, {"inner": [STATE]}, OTHER),
], ids=["tensor", "tuple", "list", "named", "mapping", "dataclass", "nested"])  # fmt: skip
def test_the_first_tensor_of_an_output_and_the_output_around_another(given: Any) -> None:
    assert first_tensor(given) is STATE
    new = torch.full((2,), 7.0)
    made = with_first_tensor(given, new)
    assert type(made) is type(given)
    assert first_tensor(made) is new
    assert first_tensor(given) is STATE  # what was given stays
    if isinstance(given, (tuple, list)):
        assert len(made) == len(given)
        assert all(one is other for one, other in list(zip(made, given, strict=True))[2:])
    if isinstance(given, OrderedDict):
        assert list(made) == list(given)
        assert made["more"] is OTHER
    assert first_tensor({"a": None, "b": 3}) is None


def recorded(calls: list[Tensor], order: tuple[int, ...], rows: tuple[int, int] = (2, 3)) -> Any:
    layer = nn.Identity()
    recording = Recording([(layer, layer)], ["layer"], [(order, order)], rows)
    recording.calls[layer] = calls
    return [(a.flatten().tolist(), b.flatten().tolist()) for a, b in recording.activations]


def test_which_call_is_of_which_side() -> None:
    one, two, more, most = (torch.full((n, 1), float(k)) for k, n in ((1, 2), (2, 3), (3, 2), (4, 3)))
    stacked = torch.arange(5.0)[:, None]
    assert recorded([one, two], (0, 1)) == [([1.0] * 2, [2.0] * 3)]
    assert recorded([two, one], (1, 0)) == [([1.0] * 2, [2.0] * 3)]
    assert recorded([stacked], (0, 1)) == [([0.0, 1.0], [2.0, 3.0, 4.0])]
    assert recorded([one, two, more, most], (0, 1, 0, 1)) == [([1.0] * 2, [2.0] * 3), ([3.0] * 2, [4.0] * 3)]
    # an encoder that calls it twice: all of a before b
    assert recorded([one, more, two, most], (0, 1)) == [([1.0] * 2, [2.0] * 3), ([3.0] * 2, [4.0] * 3)]
    with pytest.raises(ValueError, match="'layer' is never called in the forward pass"):
        recorded([], (0, 1))
    with pytest.raises(ValueError, match=r"once with 10 rows for 2 and 3: it gets several views of a side in one call"):
        recorded([torch.zeros(10, 1)], (0, 1))
    with pytest.raises(ValueError, match=r"once with 7 rows for 2 and 3: it sees both inputs together"):
        recorded([torch.zeros(7, 1)], (0, 1))
    with pytest.raises(ValueError, match=r"is called 3 times, which does not fit 2 branches"):
        recorded([one, two, more], (0, 1))
    with pytest.raises(ValueError, match=r"is called 2 times for a and 1 times for b"):
        recorded([one, two, more], (0, 1, 0))


def test_gradients_of_calls_that_do_not_count_are_zero() -> None:
    layer = nn.Identity()
    recording = Recording([(layer, layer)], ["layer"], [((0, 1), (0, 1))], (1, 1))
    used, unused = (torch.ones(1, 2, requires_grad=True) for _ in range(2))
    recording.calls[layer] = [used, unused]
    ((of_a, of_b),) = recording.gradients((used * torch.tensor([2.0, 3.0])).sum(1))
    assert of_a.tolist() == [[2.0, 3.0]]
    assert of_b.tolist() == [[0.0, 0.0]]
    with torch.no_grad():
        ((of_a, _),) = recording.gradients((3 * used).sum(1).detach())  # a value without a graph
    assert of_a.tolist() == [[0.0, 0.0]]


class Twice(nn.Module):
    """Two layers of one item each, one of both, and one that nothing calls."""

    def __init__(self) -> None:
        super().__init__()
        self.own, self.other, self.both, self.idle = (nn.Linear(2, 2) for _ in range(4))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.both(self.own(a) * self.other(b)).sum(1)


def test_what_each_module_serves() -> None:
    model = Twice()
    a, b = (torch.rand(3, 2, requires_grad=True) for _ in range(2))
    seen = survey(lambda: model(a, b), list(model.modules()), ((a,), (b,)), 3)
    assert [seen.serves(model.own, side) for side in (0, 1)] == [True, False]
    assert [seen.serves(model.other, side) for side in (0, 1)] == [False, True]
    assert [seen.serves(model.both, side) for side in (0, 1)] == [False, False]
    assert [seen.serves(model.idle, side) for side in (0, 1)] == [False, False]
    assert seen.made_of(model.both, 0) == {0, 1}
    assert seen.serving(model, 0) == [model.own]
    assert seen.serving(model, 1) == [model.other]


@pytest.mark.parametrize("task", [0, 5])
def test_a_call_in_a_backward_pass_is_refused_from_the_first_one_on(task: int, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_backward()  # there is none now
    monkeypatch.setattr(torch._C, "_current_graph_task_id", lambda: task)
    with pytest.raises(ValueError, match="checkpoints its activations"):
        refuse_backward()


def test_calls_take_turns_and_a_stacked_batch_is_halved() -> None:
    class Times(nn.Module):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.factor = factor

        def forward(self, x: Tensor, *rest: Any, **named: Any) -> Any:
            return self.factor * x, {"rest": rest, **named}

    turns = Branches([Times(1.0), Times(10.0)])
    assert [turns(torch.ones(1))[0].item() for _ in range(4)] == [1.0, 10.0, 1.0, 10.0]
    halves = Branches([Times(1.0), Times(10.0)], stacked=True)
    x = torch.tensor([1.0, 2.0, 3.0, 4.0])
    out, told = halves(x, [x, 5], mask=x, scale=torch.tensor(3.0))
    assert out.tolist() == [1.0, 2.0, 30.0, 40.0]
    assert told["mask"].tolist() == x.tolist()
    assert told["rest"][0][0].tolist() == x.tolist()
    assert told["rest"][0][1] == 5
    assert float(told["scale"]) == 3  # what has no rows is one for both


RULED = Affine(nn.functional.linear, torch.tensor([[2.0, -3.0, 1.0]]), torch.tensor([0.5]))
BELOW, FREE = RULED._replace(bias=torch.tensor([-0.5])), RULED._replace(bias=None)


@pytest.mark.parametrize(("rule", "options", "values", "shares"), [
    ("epsilon", {}, [1.0, 2.0, 3.0], [2 / -0.5, -6 / -0.5, 3 / -0.5]),  # z = 2 - 6 + 3 + 0.5
    ("epsilon", {"epsilon": 0.5}, [1.0, 2.0, 3.0], [2 / -1.0, -6 / -1.0, 3 / -1.0]),
    ("epsilon", {"epsilon": 0.5}, [1.0, 0.0, 1.0], [2 / 4.0, 0.0, 1 / 4.0]),  # z = 3.5
    ("zplus", {}, [1.0, 2.0, 3.0], [0.0, 1.0, 0.0]),  # a negative output is made of its negative parts
    ("zplus", {}, [1.0, 0.5, 3.0], [2 / 5.5, 0.0, 3 / 5.5]),  # and a positive one of 2 + 3 + 0.5
    ("zplus", {}, [-1.0, -2.0, 1.0], [0.0, 6 / 7.5, 1 / 7.5]),  # -1 times 2 is negative, -2 times -3 is not
    ("zplus", {}, [-1.0, 2.0, 1.0], [2 / 8, 6 / 8, 0.0]),  # z = -6.5, of which -2 and -6 are negative
    ("gamma", {"gamma": 1.0}, [-1.0, 2.0, 1.0], [-4 / -14.5, -12 / -14.5, 1 / -14.5]),
    ("gamma", {"gamma": 1.0}, [1.0, 0.5, 3.0], [4 / 9.5, -1.5 / 9.5, 6 / 9.5]),  # z = 4, with 5.5 more
    ("gamma", {"gamma": 1.0}, [1.0, 2.0, 3.0], [2 / -6.5, -12 / -6.5, 3 / -6.5]),
    ("gamma", {"gamma": 0.0}, [1.0, 2.0, 3.0], [2 / -0.5, -6 / -0.5, 3 / -0.5]),
])  # fmt: skip
def test_the_shares_of_relevance(rule: Any, options: Any, values: list[float], shares: list[float]) -> None:
    a = torch.tensor([values], requires_grad=True)
    z = RULED.of(a, RULED.weight, RULED.bias)
    out = Rules(rule, **options).shared_out(rule, RULED, a, z)
    assert torch.equal(out, z)
    (slope,) = torch.autograd.grad(out.sum() / z.detach().sum(), a)
    assert (slope * a.detach()).flatten().tolist() == pytest.approx(shares, rel=1e-5)


@pytest.mark.parametrize(("layer", "values", "shares"), [
    (BELOW, [1.0, 0.5, 3.0], [2 / 5, 0.0, 3 / 5]),  # z = 3: a bias below zero is none of the positive parts
    (BELOW, [1.0, 2.0, 3.0], [0.0, 6 / 6.5, 0.0]),  # z = -1.5: and one of the negative
    (FREE, [1.0, 0.5, 3.0], [2 / 5, 0.0, 3 / 5]),
    (FREE, [-1.0, 2.0, 1.0], [2 / 8, 6 / 8, 0.0]),
    (FREE, [3.0, 2.0, 0.0], [1.0, 0.0, 0.0]),  # z = 0 counts as positive
])  # fmt: skip
def test_the_bias_has_its_share_where_it_has_the_sign(layer: Affine, values: list[float], shares: list[float]) -> None:
    a = torch.tensor([values], requires_grad=True)
    z = layer.of(a, layer.weight, layer.bias)
    out = Rules().shared_out("zplus", layer, a, z) if z.any() else Rules()._denominator("zplus", layer, a, z)
    (slope,) = torch.autograd.grad(out.sum() / out.detach().sum(), a)
    assert (slope * a.detach()).flatten().tolist() == pytest.approx(shares, rel=1e-5)


def test_rules_as_they_are_made_and_what_is_none() -> None:
    assert (Rules().rule, Rules().gamma, Rules().epsilon, Rules().box) == ("epsilon", 0.25, 0.0, None)
    assert Rules(gamma=0.0, epsilon=0.0, box=(0, 1)).box == (0, 1)
    for wrong, said in (
        ({"gamma": -0.1}, "gamma=-0.1: a number that is not"), ({"epsilon": float("nan")}, "epsilon=nan"),
        ({"rule": "alpha"}, "rule='alpha': one of epsilon, gamma, zplus, gradient"),
        ({"rule": {"": "beta"}}, "rule='beta'"),
        ({"box": (1, 2, 3)}, r"box=\(1, 2, 3\): a pair"), ({"box": 3}, "box=3"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=said):
            Rules(**wrong)  # type: ignore[arg-type]
    # nothing is divided by nothing, and the sign of what divides is that of what is added to it
    ratio = Rules(epsilon=0.5)._over(torch.tensor([3.0, 3.0, 3.0]), torch.tensor([0.0, 1.0, -1.0]))
    assert ratio.tolist() == [0.0, 2.0, -2.0]


def test_a_value_on_the_wall_of_a_box_is_in_it() -> None:
    """Up to a millionth of its width."""
    rules = Rules(box=(torch.tensor([-2.0, 0.0, 0.0]), 2.0))
    for values, inside in (
        ([-2.0, 0.0, 2.0], True), ([-2.0 - 3e-6, 0.0, 2.0], True), ([-2.0, -1e-6, 2.0], True),
        ([-2.0, -1e-5, 2.0], False), ([-2.0, 0.0, 2.0 + 1e-5], False),
    ):  # fmt: skip
        x = torch.tensor([values])
        z = RULED.of(x, RULED.weight, RULED.bias)
        if inside:
            assert torch.equal(rules.boxed(RULED, x, z), z)
            continue
        with pytest.raises(ValueError, match=r"reaches from -2 to 2 and leaves the box"):
            rules.boxed(RULED, x, z)


def test_the_shares_of_a_box() -> None:
    """z_B: x w - l w+ - h w- over its sum, for x = (1, 2, 0) in [-1, 3]: contributions 4, 3 and 1 of 8."""
    x = torch.tensor([[1.0, 2.0, 0.0]], requires_grad=True)
    z = RULED.of(x, RULED.weight, RULED.bias)
    rules = Rules("epsilon", box=(-1.0, 3.0))
    out = rules.boxed(RULED, x, z)
    assert torch.equal(out, z)
    (relevance,) = torch.autograd.grad(out.sum() / z.detach().sum(), x)
    assert relevance.flatten().tolist() == pytest.approx([4 / 8, 3 / 8, 1 / 8])
    for beyond in (-1.1, 3.1):
        with pytest.raises(ValueError, match="leaves the box"):
            rules.boxed(RULED, torch.full((1, 3), beyond), z)


@pytest.mark.parametrize("layer", [
    nn.Linear(3, 4), nn.Linear(3, 4, bias=False), nn.Conv1d(3, 4, 2), nn.Conv2d(3, 4, 2, stride=2, padding=1),
    nn.ConvTranspose1d(3, 4, 2, stride=2), nn.ConvTranspose2d(3, 4, 3, padding=1, output_padding=1, stride=2),
], ids=["linear", "no bias", "conv1", "conv2", "up1", "up2"])  # fmt: skip
@pytest.mark.parametrize("plain", [True, False])
def test_a_layer_and_the_normalisation_after_it_as_one(layer: Any, plain: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    one = affine(layer)
    assert one is not None
    dims = {nn.Linear: 0, nn.Conv1d: 1, nn.ConvTranspose1d: 1}.get(type(layer), 2)
    norm = (nn.BatchNorm2d if dims == 2 else nn.BatchNorm1d)(4, affine=plain).eval()
    for value in (norm.running_mean, norm.running_var, *(p.data for p in norm.parameters())):
        value.copy_(torch.rand(4, generator=generator) + 0.5)
    x = torch.rand(2, 3, *[5] * dims, generator=generator)
    both = fused(one, norm)
    with torch.no_grad():
        torch.testing.assert_close(one.of(x, one.weight, one.bias), layer(x))
        torch.testing.assert_close(both.of(x, both.weight, both.bias), norm(layer(x)))
    assert affine(nn.ReLU()) is None


def test_of_modules_that_serve_a_side_the_last_is_first() -> None:
    class Steps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.other = (nn.Linear(2, 2) for _ in range(3))

        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return (self.two(self.one(a)) * self.other(b)).sum(1)

    model = Steps()
    a, b = (torch.rand(3, 2, requires_grad=True) for _ in range(2))
    seen = survey(lambda: model(a, b), list(model.modules()), ((a,), (b,)), 3)
    assert seen.serving(model, 0) == [model.two, model.one]
    assert seen.serving(model, 1) == [model.other]
    assert seen.moves()


class Repeats(nn.Module):
    """A layer that is called twice, so that all passes both; then one beside what goes around it."""

    def __init__(self) -> None:
        super().__init__()
        self.again, self.aside = (nn.Conv2d(1, 1, 1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        y = self.again(self.again(x))
        y = y + self.aside(y)
        return y.mean((2, 3))  # type: ignore[no-any-return]


def test_of_layers_that_are_no_good_place_the_one_that_all_passes_is_taken() -> None:
    model = SiameseModel(Repeats(), "dot")
    a, b = (torch.rand(2, 1, 4, 6, requires_grad=True) for _ in range(2))
    seen = survey(lambda: model(a, b), list(model.modules()), ((a,), (b,)), 2)
    taken, passed = last_cells(seen, [model.encoder], (4, 6), dict)  # type: ignore[list-item]
    assert taken is not None
    assert taken.module is model.encoder.again
    assert taken.why == "(N, C, h, w), a 4 x 6 grid; the last place where cells stand apart and reach the score"
    assert not passed.unread + passed.gathered
    assert last_cells(seen, [model.encoder], (40, 6), dict)[0] is None  # type: ignore[list-item]


def test_layouts_in_words() -> None:
    for layout, shape, words in (
        (Tokens((2, 3), 1), (1, 7, 5), "tokens of a 2 x 3 grid after 1 that is no patch"),
        (Tokens((2, 3), 2), (1, 8, 5), "tokens of a 2 x 3 grid after 2 that are no patch"),
        (Tokens((2, 3), 0), (1, 6, 5), "tokens of a 2 x 3 grid"),
        (Tokens((2, 3), 1, 2), (1, 9, 5), "tokens of a 2 x 3 grid after 1 that is no patch and before 2 that are no "
         "patch"),
        (ChannelsLast(), (1, 2, 3, 5), "(N, h, w, C), a 2 x 3 grid"),
        (ChannelsFirst(), (1, 5, 2, 3), "(N, C, h, w), a 2 x 3 grid"),
        (PatchesLast((2, 3)), (1, 5, 6), "(N, C, tokens), a 2 x 3 grid"),
    ):  # fmt: skip
        assert described(layout, shape) == words
    assert [channel_of(one, 4) for one in (Tokens(), ChannelsLast(), ChannelsFirst(), PatchesLast((1, 2)), None)] == [
        2, 3, 1, 1, 1,
    ]  # fmt: skip
    assert for_side((None, Tokens()), 1) == for_side(Tokens(), 0) == Tokens()
    assert str(PassedBy([nn.ReLU(), nn.ReLU(), nn.Tanh(), nn.GELU()], [nn.Linear(1, 1)])) == (
        " (of what comes after it, ReLU, Tanh, the score reads no place, only what is gathered from them; "
        "the tokens of Linear, after it, do not lie as the places of the input)"
    )
    assert str(PassedBy()) == ""
    for layout, shape, said in (
        (Tokens(), (1, 2), r"needs \(N, tokens, C\), the layer's output is \(1, 2\)"),
        (ChannelsLast(), (1, 2, 3), r"needs \(N, H, W, C\) or, .*, the layer's output is \(1, 2, 3\)"),
        (ChannelsFirst(), (1, 2), r"needs \(N, C, ...\), the layer's output is \(1, 2\)"),
        (PatchesLast((2, 3)), (1, 2, 5), r"does not fit the layer's output, \(1, 2, 5\)"),
        (PatchesLast((2, 3)), (1, 6), r"does not fit the layer's output, \(1, 6\)"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=said):
            layout(torch.zeros(shape))
    assert ChannelsFirst()(torch.zeros(1, 2, 3)).shape == (1, 2, 3)


def test_cells_differ_and_more_than_one_reaches_the_score() -> None:
    one, two = torch.zeros(2, 3, 2, 2), torch.zeros(2, 3, 2, 2)
    one[0, 1, 1, 0] = two[0, 1, 1, 0] = two[1, 2, 0, 1] = 1  # of any item, in any channel
    assert [_reaches(size, ChannelsFirst()) for size in (torch.zeros(1, 1, 2, 2), one, two)] == [False, False, True]
    even = torch.arange(6.0).reshape(2, 3, 1, 1).expand(2, 3, 2, 2)  # channels and items differ, cells do not
    assert not _apart(even)
    for cell in ((1, 1), (0, 1), (1, 0), (0, 0)):
        other = even.clone()
        other[(1, 2, *cell)] += 1
        assert _apart(other)


def test_which_side_each_call_is_of() -> None:
    """By gradients; by numbers where a side's cannot move; by their order where neither tells."""
    layer = nn.Identity()
    a, b, fixed = torch.ones(2, 1, requires_grad=True), torch.ones(2, 1, requires_grad=True), torch.zeros(2, 1)

    def order(*outputs: Tensor) -> tuple[int, ...]:
        return Survey({layer: Usage(list(outputs))}, ((a,), (b,)), 2).order(layer)

    assert order(2 * b, 2 * a) == (1, 0)
    assert order(b * 1, a * 1, b * 1) == (1, 0, 1)
    assert order(2 * a, fixed) == order(a * b, b * 1) == order(a * 1, a * 2) == (0, 1)
    whole = Survey({layer: Usage([torch.zeros(4, 1)])}, ((), ()), 2)
    assert whole.stacked(layer)
    assert not Survey({layer: Usage([torch.zeros(2, 4)])}, ((), ()), 2).stacked(layer)
    assert not Survey({layer: Usage([torch.zeros(4, 1)] * 2)}, ((), ()), 2).stacked(layer)
    assert (whole.calls(layer), whole.calls(nn.Identity())) == (1, 0)
    # of whole numbers: with others in b the first call gives the same as it did, and the second does not
    moved = Survey({layer: Usage([fixed, fixed + 1])}, ((), ()), 2)
    still = Survey({layer: Usage([fixed, fixed])}, ((), ()), 2, still={1: moved})
    assert [still.made_of(layer, call) for call in (0, 1)] == [set(), {1}]
    fewer = Survey({layer: Usage([fixed, fixed])}, ((), ()), 2, still={1: Survey({}, ((), ()), 2)})
    assert fewer.made_of(layer, 0) == {1}  # it was not called then


def test_a_layer_of_one_tower_is_that_sides_alone() -> None:
    first, second = (nn.Sequential(OrderedDict({name: nn.Linear(2, 2), "both": nn.ReLU()})) for name in ("own", "its"))
    model = SiameseModel((first, second), "dot")
    assert find_layers(model, "own") == find_layers(model, "encoder_a.own") == [(first.own, None)]
    assert find_layers(model, second.its) == [(None, second.its)]  # type: ignore[arg-type]
    assert find_layers(model, ["both", ("own", "its")]) == [(first.both, second.both), (first.own, second.its)]
    assert names_of(model, [(first.own, None), (first.both, second.both), (first.own, second.its)]) == [  # type: ignore[list-item]
        "own", "both", "own / its",
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"a tuple is \(of a, of b\); several layers are a list"):
        find_layers(model, ("own", "its", "both"))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"layer=\[\] names no layer"):
        find_layers(model, [])
    many = SiameseModel(nn.Sequential(*(nn.ReLU() for _ in range(32))), "dot")
    with pytest.raises(ValueError, match=r"there are 0, 1, .*, 29, \.\.\.$"):
        find_layers(many, "zz")


def test_copies_share_what_they_should() -> None:
    """Tensors where weights are tied; without that only what has a graph, and what cannot be copied always."""

    class Locked:
        def __deepcopy__(self, memo: Any) -> Any:
            raise TypeError("there is one")

    layer = nn.Linear(1, 1)
    layer.register_buffer("kept", torch.ones(1))
    grown, lock = layer.weight * 2, Locked()
    layer.held, layer.lock = {"some": [grown]}, lock  # type: ignore[assignment]
    tied, apart = kept_in_copies(layer), kept_in_copies(layer, tie=False)
    for tensor in (layer.weight, layer.bias, layer.kept, grown):
        assert tied[id(tensor)] is tensor
    assert set(apart) == {id(grown), id(lock)}
    assert not apart[id(grown)].requires_grad
    assert tied[id(lock)] is apart[id(lock)] is lock


def test_each_call_has_a_module_of_its_own_however_deep() -> None:
    """An outer block that is called twice and calls a layer twice: four calls, four modules, in their order."""
    inner = nn.Linear(1, 1, bias=False)
    nn.init.constant_(inner.weight, 2.0)
    outer = nn.Sequential(inner, nn.Sequential(inner))
    model = nn.Sequential(outer, outer)
    x = torch.ones(1, 1)
    views = one_by_one(model, inner, lambda: model(x))
    assert len(set(views)) == 4
    assert float(model(x)) == 16
    seen = outputs_of(model, lambda: model(x))
    assert [seen[view][0].item() for view in views] == [2.0, 4.0, 8.0, 16.0]
    other = nn.ReLU()
    assert one_by_one(nn.Sequential(other), other, lambda: other(x)) == [other]
    twice = nn.Sequential(other, other)
    replace(twice, other, nn.Tanh())
    assert type(twice[0]) is nn.Tanh
    assert torch.equal(twice(x), x.tanh().tanh())  # the same one in both places
    assert len(list(twice.modules())) == 3


def test_what_each_call_got_and_gave() -> None:
    layer = nn.Linear(2, 1)
    found = _calls(layer, lambda: layer(torch.zeros(3, 2)))
    assert [(rows, len(given)) for rows, given in found[layer]] == [(3, 3)]

    class Around(nn.Module):
        def forward(self, count: int) -> Tensor:
            return layer(torch.zeros(count, 2)).sum(0)  # type: ignore[no-any-return]

    around = Around()
    assert [(rows, len(given)) for rows, given in _calls(around, lambda: around(4))[around]] == [(0, 1)]


def test_each_view_gets_the_call_of_its_side() -> None:
    model = Twice()
    model.other = model.own  # one layer for both
    views = untied(model, model.own)
    a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]])
    seen = outputs_of(views.model, lambda: views.model(a, b))
    of_a, of_b = views.of((model.own, model.own))  # type: ignore[misc]
    assert torch.equal(seen[of_a][0], model.own(a))
    assert torch.equal(seen[of_b][0], model.own(b))
    assert [len(seen[view]) for view in (of_a, of_b)] == [1, 1]
    assert views.of((model.own, nn.Linear(2, 2))) is None


def test_which_input_a_layer_gets_as_it_is() -> None:
    leaves = torch.ones(2, 2, requires_grad=True), torch.zeros(2, 2, requires_grad=True)
    for inputs in (leaves, (leaves[0] * 2, leaves[1].exp())):
        for i, x in enumerate(inputs):
            for same in (x, x.clone(), x.flatten(), x.mT.unsqueeze(0)):
                assert _which(same, inputs) == i
            assert _which(x + 1, inputs) is None
    plain = torch.ones(2), torch.ones(2)
    assert [_which(x, plain) for x in (*plain, plain[1].view(1, 2), torch.ones(2))] == [0, 1, 1, None]


def test_what_is_inside_a_transform_is_not_recorded() -> None:
    layer = nn.Linear(2, 2)
    with record([(layer, layer)], ["layer"], 1), pytest.raises(ValueError, match=r"inside a transform of torch\.func"):
        vmap(layer)(torch.ones(3, 2))


def test_signals_that_python_does_not_handle_are_left_alone() -> None:
    """Ignored ones stay ignored, and a handler that is set meanwhile stays; who does not own them gives none back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT)}
    signals, other = Signals(), Signals()
    try:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        signals.begin(signals)
        assert signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGUSR2) == before[signal.SIGUSR2]
        mine = signal.getsignal(signal.SIGINT)
        assert mine != before[signal.SIGINT]
        signals.begin(other)  # one stands inside another
        signals.end(other)
        assert signal.getsignal(signal.SIGINT) == mine
        signals.end(signals)
        assert signal.getsignal(signal.SIGINT) == before[signal.SIGINT]
        signals.begin(signals)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signals.end(signals)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.parametrize("signals", [1, 2])
def test_each_signal_that_waited_is_let_run_once(signals: int) -> None:
    found: list[int] = []
    numbers = [signal.SIGUSR1, signal.SIGUSR2][:signals]
    before = {number: signal.signal(number, lambda number, frame: found.append(number)) for number in numbers}
    waiting = Signals()

    @waiting.whole
    def clean() -> None:
        for number in numbers * 2:
            signal.raise_signal(number)
        assert not found

    try:
        waiting.begin(waiting)
        clean()
        waiting.deliver()
        assert sorted(found) == sorted(numbers)
        waiting.end(waiting)
        assert len(found) == signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_who_waits_for_another_thread_gets_its_turn() -> None:
    turn, held, done = Turn(), threading.Event(), threading.Event()

    def hold() -> None:
        with turn.taken(lambda: None), turn.taken(lambda: None):  # the same thread may take it again
            held.set()
            done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    with turn.taken(done.set):  # which is called while this one waits
        thread.join(10)
        assert turn._thread == threading.get_ident()
    assert turn._thread is None
    assert turn.number < Turn().number < Turn().number


def test_the_order_of_rows_in_one_call_is_told_by_what_they_depend_on() -> None:
    layer, pair = nn.Identity(), torch.arange(3)
    a, b, unused = (torch.rand(3, 2, requires_grad=True) for _ in range(3))

    def mixed(output: Tensor, calls: int = 1) -> bool:
        seen = Survey({layer: Usage([output] * calls)}, ((a, unused), (b, torch.zeros(3, 2))), 3)
        return seen.mixed(layer, (pair, pair), ((pair, pair), (pair, pair)))

    assert not mixed(torch.cat([a, b]))
    assert not mixed(torch.cat([a, b]).softmax(1))  # a softmax sums to one: its plain sum has no slope
    assert not mixed(torch.cat([a * 2 + a.mean(0) / 9, b]))  # a little of the others is in all
    assert not mixed(torch.cat([a + b, b + a]))
    assert mixed(torch.cat([b, a]))
    assert mixed(torch.stack([a, b], 1).flatten(0, 1))
    assert mixed(torch.cat([a.flip(0), b]))
    assert mixed(torch.cat([a, b[[0, 2, 1]]]))
    for nothing in (torch.cat([b, a]).detach(), torch.cat([b, a, a])):
        assert not mixed(nothing)
    assert not mixed(torch.cat([b, a]), calls=2)


def test_a_circle_of_others_is_theirs() -> None:
    """Two threads wait for each other, and a third one for the first: it does not look for the end of it for ever."""
    first, second = Turn(), Turn()
    first._thread, second._thread = -1, -2
    _WAITED_FOR.update({-1: second, -2: first})
    looking = threading.Thread(target=first._refuse_circle, daemon=True)
    try:
        looking.start()
        looking.join(5)
        assert not looking.is_alive()
        second._thread = threading.get_ident()
        with pytest.raises(RuntimeError, match="two threads wait for each other"):  # the first waits for this one
            first._refuse_circle()
    finally:
        for thread in (-1, -2, looking.ident, threading.get_ident()):
            _WAITED_FOR.pop(thread, None)  # type: ignore[arg-type]


def test_what_reaches_a_score_without_gradients_is_not_known() -> None:
    layer = nn.Linear(2, 2)
    a, b = torch.rand(1, 2, requires_grad=True), torch.rand(1, 2)

    def reach(second: Tensor, cut: bool = False, value: bool = True) -> Any:
        def run() -> Tensor:
            found: Tensor = (layer(a) - layer(second)).square().sum(1)
            return found.detach() if cut else found

        seen = survey(run, [layer], ((a,), (second,)), 1)
        seen.value = seen.value if value else None
        return _reach(seen, [layer])

    assert reach(b)[layer].any()
    assert reach(b, cut=True) is reach(b, value=False) is reach(a) is None  # of equal ones nothing moves


def test_a_layer_normalisation_takes_its_spread_as_a_constant() -> None:
    norm = nn.LayerNorm(3)
    norm.weight.data, norm.bias.data = torch.tensor([2.0, 3.0, 5.0]), torch.tensor([1.0, -1.0, 0.5])
    x = torch.tensor([[1.0, 2.0, 6.0]], requires_grad=True)
    found = _layer_norm(norm, "norm", x, norm(x))
    torch.testing.assert_close(found, norm(x))
    (slope,) = torch.autograd.grad(found.sum(), x)
    spread = (14 / 3 + norm.eps) ** 0.5  # of -2, -1 and 3
    torch.testing.assert_close(slope, (norm.weight.data - 10 / 3)[None] / spread)
    bare = nn.LayerNorm(3, elementwise_affine=False)
    torch.testing.assert_close(_layer_norm(bare, "norm", x, x), bare(x))
