"""How layers are found, what a call belongs to, and the rules of relevance, each by hand."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from xsiamese.branches.calls import survey
from xsiamese.branches.layout import (
    ChannelsFirst,
    ChannelsLast,
    PatchesLast,
    Tokens,
    _patches,
    by_width,
    layouts,
    recognised,
)
from xsiamese.branches.probe import _follows, _handed_on, halves_of
from xsiamese.branches.record import Recording, first_tensor, with_first_tensor
from xsiamese.branches.rules import Affine, Rules, affine, fused
from xsiamese.branches.untied import Branches, refuse_backward


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
    assert recognised(nn.LayerNorm(7), torch.zeros(1, 20, 7, 7), (28, 28)) == ChannelsFirst()  # 20 x 7 is no grid
    assert recognised(nn.LayerNorm(7), torch.zeros(1, 20, 7, 7), None) is None


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


def moves(share: Tensor) -> Tensor:
    """Changes (halves, items, tokens, channels) whose energies are given shares, (halves, rows, columns)."""
    loud = (
        torch.rand(1, share[0].numel(), generator=torch.Generator().manual_seed(0)) + 0.1
    )  # some move more than others
    return (share.flatten(1) * loud).sqrt()[:, None, :, None] * torch.tensor([0.6, -0.8])


def test_cells_follow_the_halves_that_they_lie_in_and_nothing_else_does() -> None:
    layout, own = Tokens((4, 4), 0), halves_of((4, 4))
    assert _follows(moves(own), layout) == pytest.approx(1)
    assert _follows(moves(own + 0.5), layout) > 0.9  # all move a little with all
    before = torch.cat([torch.full((3, 1, 2, 2), 9.0), moves(own)], 2)
    assert _follows(before, Tokens((4, 4), 2)) == pytest.approx(1)
    rows, columns = own.clone(), own.clone()
    rows[1:], columns[::2] = 0.5, 0.5
    windows = own.unflatten(1, (2, 2)).unflatten(3, (2, 2)).transpose(2, 3).reshape(own.shape)
    for other in (own.mT, own.flip(1), rows, columns, windows):
        assert _follows(moves(other), layout) < 0.3
    assert _follows(torch.zeros(3, 1, 16, 2), layout) == 0


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
    recording = Recording([(layer, layer)], ["layer"], [order], rows)
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
    recording = Recording([(layer, layer)], ["layer"], [(0, 1)], (1, 1))
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


@pytest.mark.parametrize(("rule", "options", "values", "shares"), [
    ("epsilon", {}, [1.0, 2.0, 3.0], [2 / -0.5, -6 / -0.5, 3 / -0.5]),  # z = 2 - 6 + 3 + 0.5
    ("epsilon", {"epsilon": 0.5}, [1.0, 2.0, 3.0], [2 / -1.0, -6 / -1.0, 3 / -1.0]),
    ("epsilon", {"epsilon": 0.5}, [1.0, 0.0, 1.0], [2 / 4.0, 0.0, 1 / 4.0]),  # z = 3.5
    ("zplus", {}, [1.0, 2.0, 3.0], [0.0, 1.0, 0.0]),  # a negative output is made of its negative parts
    ("zplus", {}, [1.0, 0.5, 3.0], [2 / 5.5, 0.0, 3 / 5.5]),  # and a positive one of 2 + 3 + 0.5
    ("zplus", {}, [-1.0, -2.0, 1.0], [0.0, 6 / 7.5, 1 / 7.5]),  # -1 times 2 is negative, -2 times -3 is not
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
