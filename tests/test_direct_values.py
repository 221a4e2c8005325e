"""Small parts against values worked out by hand: each of these was once wrong on purpose, and no other test saw it."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.problems import conv_encoder, images
from xsiamese import (
    Decision,
    Gallery,
    MatrixExplanation,
    PairHiResCAM,
    PairInputXGradient,
    PairIntegratedGradients,
    PairMatrix,
    PairSaliency,
    PairScoreCAM,
    SiameseModel,
    explainers,
)
from xsiamese.author import side as side_of
from xsiamese.metrics.completeness import Completeness
from xsiamese.metrics.matrices import _cells, _spread
from xsiamese.metrics.measure import Measured, measured
from xsiamese.metrics.metric import Metric
from xsiamese.metrics.recipe import correlation
from xsiamese.metrics.surface import Deletion, Insertion, RelevanceGain
from xsiamese.metrics.units import Units, _filling, blurred, fill_in, per_unit, units_of
from xsiamese.model.pair import TwoInputModel
from xsiamese.pairs.calibration import wilson
from xsiamese.result.indexing import _number
from xsiamese.result.matrices import _summed
from xsiamese.result.places import coarser, summed
from xsiamese_gradcam.linear import _alike


def test_flipped_is_the_other_side_of_the_threshold() -> None:
    closeness = torch.tensor([-0.25, -0.5, -0.75])  # of distances 0.25, 0.5 and 0.75
    decision = Decision(0.5, higher_is_closer=False)
    assert decision.flipped(closeness, True).tolist() == [False, False, True]
    assert decision.flipped(closeness, torch.tensor([False, True, False])).tolist() == [True, False, False]
    assert decision.progress(closeness, True).tolist() == [-0.25, 0.0, 0.25]
    assert decision.progress(closeness, False).tolist() == [0.25, 0.0, -0.25]
    assert decision.margin(closeness).tolist() == [0.25, 0.0, -0.25]


def test_a_siamese_model_takes_two_inputs_only() -> None:
    with pytest.raises(ValueError, match="takes the two inputs only, not 1 additional_forward_args"):
        SiameseModel(nn.Identity(), "dot")(torch.ones(1, 2), torch.ones(1, 2), 3)


@pytest.mark.parametrize("one", [True, 1.5, "1", None])
def test_what_is_no_number_means_no_pair(one: Any) -> None:
    with pytest.raises(TypeError, match="a pair is meant by its number"):
        _number(one, 3)


def test_a_grid_that_stays_as_it_is_and_a_coarser_one() -> None:
    number, grid = coarser((2, 3), (2, 3), "a")
    assert (number.tolist() if number is not None else None, grid) == ([0, 1, 2, 3, 4, 5], (2, 3))
    number, grid = coarser((1, 2), (2, 4), "a")
    assert (number.tolist() if number is not None else None, grid) == ([0, 0, 1, 1] * 2, (1, 2))
    values = torch.tensor([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]])
    assert summed(values, torch.tensor([1, 1, 0]), (2,)).tolist() == [[4.0, 40.0], [3.0, 30.0]]


def test_tokens_of_the_first_word_count_and_those_of_none_do_not() -> None:
    factor = torch.tensor([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0], [8.0, 80.0]])
    assert _summed(factor, torch.tensor([-1, 0, 0, 1]), 2).tolist() == [[6.0, 60.0], [8.0, 80.0]]


def test_the_interval_of_a_rate_solves_its_equation() -> None:
    """Wilson's limits are where |rate - p| is z standard errors of p: the two roots, put into the equation."""
    for errors, trials in ((3, 10), (0, 28), (17, 20)):
        for limit in wilson(errors, trials):
            assert abs(errors / trials - limit) == pytest.approx(1.959964 * (limit * (1 - limit) / trials) ** 0.5)
    assert wilson(3, 10) == pytest.approx((0.107789, 0.603222), abs=1e-5)


def test_a_map_by_asking_needs_no_gradient() -> None:
    assert not PairScoreCAM.traits.uses_gradients


def test_completeness_is_what_is_missed_of_the_change() -> None:
    """s = a^2 b^2 from zero, one side moving: a map that is 0.5 too large misses 0.5 of 36."""
    model = SiameseModel(lambda x: x.square(), "dot")
    a, b = torch.tensor([[2.0]]).double(), torch.tensor([[3.0]]).double()
    explainer = PairIntegratedGradients(model)
    found = explainer.explain((a, b), wrt="first")
    found.maps[0].copy_(torch.tensor([[36.5]]))
    found.maps[1].zero_()
    assert found.delta is not None
    found.delta.copy_(torch.tensor([0.5]))
    with explainer.prepared((a, b)) as batch:
        assert Completeness().compute(batch, found).tolist() == pytest.approx([0.5 / 36.0])


def test_a_blur_is_as_wide_to_the_left_as_to_the_right_and_keeps_what_is_even() -> None:
    point = torch.zeros(1, 1, 21, 21, dtype=torch.float64)
    point[..., 10, 10] = 1
    found = blurred(point)
    for dim in (2, 3):
        torch.testing.assert_close(found, found.flip(dim))
    assert float(found.sum()) == pytest.approx(1.0)
    assert found.argmax() == point.argmax()
    torch.testing.assert_close(blurred(torch.full_like(point, 3.0)), torch.full_like(point, 3.0))


def test_noise_lies_around_the_mean_of_each_channel() -> None:
    leaf = 5 + torch.rand(1, 2, 40, 40, dtype=torch.float64)
    side: Any = SimpleNamespace(aligned=True)
    found = _filling(leaf, leaf, side, "noise", 0)
    assert found.mean((2, 3)).flatten().tolist() == pytest.approx(leaf.mean((2, 3)).flatten().tolist(), abs=0.05)
    assert found.std((2, 3)).flatten().tolist() == pytest.approx(leaf.std((2, 3)).flatten().tolist(), rel=0.1)


@pytest.mark.parametrize("size", [(7, 7), (5, 9), (4, 12), (20,)])
def test_the_blur_is_scipys(size: tuple[int, ...]) -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    leaf = torch.rand(2, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    sigma = 0.15 * min(size)
    for item, found in zip(leaf, blurred(leaf), strict=True):
        for channel, one in zip(item, found, strict=True):
            theirs = ndimage.gaussian_filter(channel.numpy(), sigma, mode="nearest", radius=int(3 * sigma) + 1)
            assert torch.allclose(one, torch.from_numpy(theirs))


def test_what_stays_of_units_and_how_equal_ones_are_ordered() -> None:
    """Padding is last, whatever the size of the values; what rounding alone may tell apart is in a drawn order."""
    values = torch.tensor([[3e-9, 1e-9, 2e-9, -torch.inf], [4.0, 8.0, 2.0, 6.0]]).double()
    units = Units(values, torch.isfinite(values))
    assert units.counts.tolist() == [3, 4]
    assert units.ranks().tolist() == [[0, 2, 1, 3], [2, 0, 3, 1]]
    assert units.without(0.0).tolist() == [[True] * 4] * 2
    assert units.without(0.5).tolist() == [[False, True, False, True], [True, False, True, False]]  # 1.5 rounds to 2
    assert units.without(1.0).tolist() == [[False, False, False, True], [False] * 4]
    even = Units(torch.tensor([[1.0, 1.0 + 1e-7, 1.0 - 1e-7, 1.0, 0.0]]).double(), torch.ones(1, 5, dtype=torch.bool))
    orders = {tuple(even.ranks(seed)[0].tolist()) for seed in range(30)}
    assert len(orders) > 10
    assert all(order[4] == 4 and sorted(order) == [0, 1, 2, 3, 4] for order in orders)


PRODUCT = torch.tensor([[1.0, 2.0, 4.0]]).double(), torch.tensor([[5.0, 3.0, 1.0]]).double()


class Total(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.sum(1, keepdim=True)


class Totals(nn.Module):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a.sum(1) * b.sum(1)


@pytest.mark.parametrize("part", ["volume", "diagonal", "edges"])
@pytest.mark.parametrize("factors", [True, False])
@pytest.mark.parametrize("summed", [True, False])
def test_surfaces_by_hand(part: Any, factors: bool, summed: bool) -> None:
    """s = a . b, where a column gone on one side is gone, and s = sum a sum b, where it is not: every cell of the
    surface is such a product of what is left, and areas are those of trapezes.
    """
    model: Any = SiameseModel(Total() if summed else nn.Identity(), "dot")
    if not factors:
        model = TwoInputModel(Totals() if summed else _Dot())
    explainer = PairInputXGradient(model)
    found = explainer.explain(PRODUCT)
    a, b = ([float(x) for x in side[0]] for side in PRODUCT)
    products = [x * y for x, y in zip(a, b, strict=True)]  # 5, 6, 4
    maps = (a, b) if summed else (products, products)  # times the other side's sum, which orders nothing
    orders = [sorted(range(3), key=lambda i, values=values: -values[i]) for values in maps]  # type: ignore[misc]

    def left(side: int, k: int, last: bool) -> list[float]:
        gone = orders[side][3 - k :] if last else orders[side][:k]
        return [0.0 if i in gone else x for i, x in enumerate((a, b)[side])]

    def at(p: int, q: int, last: bool) -> float:
        x, y = left(0, p, last), left(1, q, last)
        return sum(x) * sum(y) if summed else sum(u * v for u, v in zip(x, y, strict=True))

    def area(values: list[float]) -> float:
        return sum((x + y) / 2 for x, y in pairwise(values)) / (len(values) - 1)

    def number(last: bool) -> float:
        diagonal, first, second = (
            area([at(k * p, k * q, last) for k in range(4)]) for p, q in ((1, 1), (1, 0), (0, 1))
        )
        volume = area([area([at(p, q, last) for q in range(4)]) for p in range(4)])
        expected = {"volume": volume if factors else (diagonal + first + second) / 3, "diagonal": diagonal}
        return {**expected, "edges": (first + second) / 2}[part]

    kinds = (Deletion, Insertion, RelevanceGain)
    with explainer.prepared(PRODUCT) as batch:
        curves = [kind(steps=3, part=part, filling="zero").compute(batch, found) for kind in kinds]
    assert [float(curve.number) for curve in curves] == pytest.approx(
        [number(False), number(True), number(True) - number(False)]
    )
    gone, there = ([[at(p, q, last) for q in range(4)] for p in range(4)] for last in (False, True))
    by_hand = [
        gone,
        [row[::-1] for row in there[::-1]],
        [[y - x for x, y in zip(*rows, strict=True)] for rows in zip(gone, there, strict=True)],
    ]
    for curve, values in zip(curves, by_hand, strict=True):
        wanted = values if factors else [values[k][k] for k in range(4)]
        assert torch.allclose(curve.values[0], torch.tensor(wanted).double())


class _Dot(nn.Module):
    def forward(self, a: Tensor, b: Tensor, scale: float = 1.0, *, shift: float = 0.0) -> Tensor:
        return scale * (a * b).sum(1) + shift


def test_more_arguments_by_place_and_by_name() -> None:
    model, (a, b) = TwoInputModel(_Dot()), PRODUCT
    assert model(a, b).tolist() == [15.0]
    assert model(a, b, 2.0).tolist() == [30.0]
    assert model(a, b, {"shift": 1.0}).tolist() == [16.0]
    assert model(a, b, {"shift": 1.0}, 2.0).tolist() == [31.0]


def test_what_is_put_where_something_is_taken_away() -> None:
    """Images of two channels, the left column taken away."""
    a = torch.tensor([[[[1.0, 2.0], [3.0, 6.0]], [[10.0, 20.0], [30.0, 60.0]]]]).double()
    b = -a.flip(-1)
    keep = torch.tensor([[False, True, False, True]])
    explainer = PairSaliency(SiameseModel(nn.Flatten(), "dot"))
    with explainer.prepared((a, b)) as batch:
        for filling, left in (("zero", (0.0, 0.0)), (7.0, (7.0, 7.0)), ("mean", (3.0, 3.0)), ("partner", (-2.0, -6.0))):
            (found,) = fill_in(batch, 0, [keep], filling)
            assert found[0, 0].tolist() == [[left[0], 2.0], [left[1], 6.0]]
            ten = 1 if filling == 7.0 else 10
            assert found[0, 1].tolist() == [[ten * left[0], 20.0], [ten * left[1], 60.0]]
        (half,) = fill_in(batch, 1, [0.25 * torch.ones(1, 4), torch.ones(1, 4)], "zero")
        assert torch.equal(half, torch.cat([0.25 * b, b]))
        (noise,) = fill_in(batch, 0, [torch.zeros(1, 4)], "noise", seed=3)
        (other,) = fill_in(batch, 0, [torch.zeros(1, 4)], "noise", seed=4)
        assert not torch.equal(noise, other)
        (noise,) = fill_in(batch, 0, [torch.zeros(1, 4)] * 1, "noise", seed=3)
        z = (noise[0] - a[0].mean((1, 2), keepdim=True)) / a[0].std((1, 2), keepdim=True)
        torch.testing.assert_close(z, torch.from_numpy(np.random.default_rng(3).standard_normal((2, 2, 2))))


def test_each_line_of_a_summary_has_the_match_of_its_own_pair() -> None:
    matrices = [PairMatrix.of(torch.tensor(rows)) for rows in ([[1.0, 0.0], [0.0, 5.0]], [[0.0, 0.0], [7.0, 1.0]])]
    found = MatrixExplanation(
        maps=(torch.zeros(2, 2),) * 2,
        inputs=(torch.ones(2, 2),) * 2,
        scores=torch.tensor([6.0, 8.0]),
        method="by hand",
        columns={"matrix": matrices},
        ids=(("p", "q"), ("r", "s")),
    )
    title, first, second = found.summary().split("\n")[:3]
    assert "of a with" not in title
    assert first.startswith("p - q: ")
    assert first.endswith("(1,) of a with (1,) of b: +5")
    assert second.startswith("r - s: ")
    assert second.endswith("(1,) of a with (0,) of b: +7")


CAMS = sorted(name for name, cls in explainers().items() if cls.__module__.startswith("xsiamese_gradcam"))


@pytest.mark.parametrize("name", CAMS)
def test_what_a_class_activation_map_claims_of_itself(name: str) -> None:
    """Only maps of the activations alone stay as they are beside another partner; none takes a baseline."""
    cls = explainers()[name]
    explainer = cls(SiameseModel(conv_encoder(), "euclidean"), "3")
    a, b = images(1)
    one, other = (explainer.attribute((a, partner))[0] for partner in (b, b.roll(3, -1) * 2))
    assert torch.allclose(one, other) == cls.traits.of_activations
    assert not cls.traits.takes_baselines
    with pytest.raises((TypeError, ValueError), match="baselines"):
        explainer.attribute((a, b), baselines=torch.zeros_like(a))


def test_wide_embeddings_are_kept_by_the_cells_which_are_fewer() -> None:
    """300 dimensions are more than a gallery keeps one by one, and 16 cells are not."""
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), nn.Flatten(), nn.Linear(32, 300), nn.Tanh()).double()
    rows: list[int] = []
    encoder.register_forward_hook(lambda *args: rows.append(len(args[2])))
    explainer = PairHiResCAM(SiameseModel(encoder, "euclidean"), "0")
    items = torch.rand(4, 1, 6, 6, dtype=torch.float64)
    found = Gallery(explainer, items).explain([(0, 1), (2, 3), (1, 3)])[:]
    assert sum(rows) == 4
    expected = explainer.attribute((items[[0, 2, 1]], items[[1, 3, 3]]))
    for mine, theirs in zip(found.maps, expected, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_what_is_constant_but_for_rounding_has_no_correlation() -> None:
    ones = torch.ones(1, 4, dtype=torch.bool)

    def units(*values: float) -> Units:
        return Units(
            torch.tensor([values], dtype=torch.float64), ones
        )  # what is told apart is lost in single precision

    rising, large = units(1.0, 2.0, 3.0, 4.0), units(1e9, 1e9 + 1e-6, 1e9, 1e9 - 1e-6)
    assert correlation(rising, large).isnan().all()
    assert correlation(large, rising).isnan().all()
    assert correlation(rising, units(1e-9, 2e-9, 3e-9, 4e-9)).tolist() == pytest.approx([1.0])
    assert correlation(rising, units(-5.0, -10.0, -15.0, -20.0)).tolist() == pytest.approx([-1.0])
    assert correlation(rising, units(1.0, -1.0, -1.0, 1.0)).tolist() == pytest.approx([0.0])
    ragged = Units(torch.tensor([[1.0, 2.0, -torch.inf, 4.0]]).double(), torch.tensor([[True, True, False, True]]))
    theirs = np.corrcoef([1.0, 2.0, 4.0], [3.0, -1.0, 5.0])[0, 1]
    other = Units(torch.tensor([[3.0, -1.0, -torch.inf, 5.0]]).double(), ragged.real)
    assert correlation(ragged, other).tolist() == pytest.approx([theirs])


def test_features_of_a_node_and_channels_of_a_pixel_add_up() -> None:
    data = pytest.importorskip("torch_geometric.data")
    graphs = data.Batch.from_data_list(
        [data.Data(x=torch.ones(n, 2), edge_index=torch.tensor([[0, 1], [1, 0]])) for n in (3, 2)]
    )
    side = side_of(graphs, "a")
    mask = data.Batch.from_data_list(
        [data.Data(node_mask=torch.arange(6.0).reshape(3, 2)), data.Data(node_mask=torch.ones(2, 2))]
    )
    found = units_of(mask, side)
    assert found.values.tolist() == [[1.0, 5.0, 9.0], [2.0, 2.0, -torch.inf]]
    assert found.real.tolist() == [[True, True, True], [True, True, False]]
    assert per_unit(torch.arange(8.0).reshape(1, 2, 2, 2), torch.zeros(1, 3, 2, 2)).tolist() == [[4.0, 6.0, 8.0, 10.0]]


def test_a_metric_that_fails_among_all_says_why_and_has_no_number() -> None:
    class Failing(Metric):
        name = "failing"

        def compute(self, batch: Any, explanation: Any, **options: Any) -> Any:
            raise ValueError("not today")

    class Long(Metric):
        name = "long"

        def compute(self, batch: Any, explanation: Any, **options: Any) -> Any:
            return torch.ones(3)

    explainer = PairSaliency(SiameseModel(nn.Identity(), "dot"))
    with explainer.prepared(PRODUCT) as batch:
        found = explainer.explain(PRODUCT)
        with pytest.raises(ValueError, match="long gave 3 numbers for 1 pairs"):
            measured(Long(), batch, found, {})
        with pytest.raises(ValueError, match="not today"):
            measured(Failing(), batch, found, {})


def test_a_channel_that_is_the_same_everywhere_has_a_mask_of_nothing() -> None:
    """Score-CAM: the channel of ones, brought to [0, 1], hides everything, and so gains nothing."""
    conv = nn.Conv2d(1, 2, 1).double()
    with torch.no_grad():
        conv.weight.copy_(torch.tensor([1.0, 0.0]).reshape(2, 1, 1, 1))
        conv.bias.copy_(torch.tensor([0.0, 1.0]))  # type: ignore[union-attr]
    model = SiameseModel(nn.Sequential(conv, nn.AdaptiveAvgPool2d(1), nn.Flatten()), "dot")
    a, b = torch.tensor([[[[0.0, 1.0], [2.0, 4.0]]]]).double(), torch.ones(1, 1, 2, 2).double()
    found, _ = PairScoreCAM(model, "0").attribute((a, b))
    # channel 0 is a itself: of a the share a / 4 is left, whose mean is 21 / 16, and b's is 1
    assert torch.allclose(found[0, 0], 21 / 16 * a[0, 0])


def test_values_are_alike_up_to_the_rounding_of_the_largest() -> None:
    eps = torch.finfo(torch.float64).eps
    large, small = torch.tensor([0.0, 1e6]).double(), torch.tensor([1e-6]).double()
    assert _alike(large * (1 + 8 * eps), large)
    assert not _alike(large * (1 + 200 * eps), large)
    assert _alike(small * (1 + 8 * eps), small)
    assert not _alike(small * (1 + 200 * eps), small)
    assert _alike(torch.zeros(2), torch.zeros(2))


def test_masks_of_cells_become_masks_of_units() -> None:
    cells = torch.tensor([True, False, False, True])
    image, series, row = torch.zeros(2, 3, 4, 6), torch.zeros(2, 3, 8), torch.zeros(2, 4)
    top, bottom = [True] * 3 + [False] * 3, [False] * 3 + [True] * 3
    assert _spread(cells, image).tolist() == [top * 2 + bottom * 2]
    assert _spread(cells, series).tolist() == [[True] * 2 + [False] * 4 + [True] * 2]
    assert _spread(cells, row).tolist() == [cells.tolist()]
    with pytest.raises(ValueError, match="a matrix of 3 parts does not fit an input of shape"):
        _spread(cells[:3], image)
    truth = torch.zeros(4, 6)
    truth[3, 0], truth[0, 5] = 1, -1  # what pushes apart is no match
    assert _cells(truth, image, 4).tolist() == [False, False, True, False]
    assert _cells(torch.tensor([0.0, 0, 0, 0, 0, 2, 0, 0]), series, 4).tolist() == [False, False, True, False]


def test_the_number_of_pairs_that_have_one() -> None:
    def defined(values: list[Any]) -> int:
        return Measured(Completeness(), torch.tensor(values), 0.0, 0.0, 0.0).defined

    nan = float("nan")
    assert [defined(values) for values in ([1.0, nan, 0.0], [nan], [], [[1.0, nan], [0.0, 2.0], [nan, nan]])] == [
        2,
        0,
        0,
        1,
    ]
