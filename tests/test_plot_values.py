"""What pictures say, against values put in by hand: which side, which sign, which colour, which number."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from matplotlib.text import Text

from xsiamese import MatrixExplanation, PairExplanation, PairMatrix, compare
from xsiamese.plot.compared import _called, _same
from xsiamese.plot.connectome import _around, plot_connectomes
from xsiamese.plot.explained import draw_masks
from xsiamese.plot.figure import new_figure
from xsiamese.plot.image import draw_image, pixels_of
from xsiamese.plot.latent import _neighbours, against, curves, frame, latent_space, plane
from xsiamese.plot.layout import _given, _spread, _turned, _union, _upright, matching, positions
from xsiamese.plot.matched import Names, Nodes, Picture
from xsiamese.plot.picture import height, picture, plot_items
from xsiamese.plot.pixels import pale
from xsiamese.plot.scale import Scale, floored
from xsiamese.plot.series import MOST, draw_series
from xsiamese.plot.table import draw_row
from xsiamese.plot.text import LINE, WIDTH, draw_text, values_of_tokens
from xsiamese.plot.text import positions as lines_of
from xsiamese.plot.volume import draw_volume

A, B = torch.tensor([[[0.0, 1.0], [2.0, 4.0]]]), torch.tensor([[[8.0, 0.0], [4.0, 2.0]]])
OF_A, OF_B = torch.tensor([[[1.0, -0.5], [0.25, 0.0]]]), torch.tensor([[[-2.0, 0.75], [0.5, 1.5]]])


def made(kind: type[PairExplanation] = PairExplanation, **changes: Any) -> PairExplanation:
    """Two pairs of pictures, the second one with the sides and the signs the other way round."""
    known = {
        "maps": (torch.stack([OF_A, -OF_B]), torch.stack([OF_B, -OF_A])),
        "inputs": (torch.stack([A, B]), torch.stack([B, A])),
        "scores": torch.tensor([0.25, 1.5]),
        "method": "Method",
        "ids": (("p", "q"), ("r", "s")),
    }
    return kind(**known | changes)  # type: ignore[arg-type]


def bars(figure: Any) -> list[Any]:
    return [axes for axes in figure.axes if axes.get_label() == "<colorbar>"]


def written(bar: Any) -> list[str]:
    return [label.get_text() for label in bar.get_yticklabels()]


def blue(colour: Any) -> bool:
    return bool(colour[2] > colour[0])


def colour_of(image: Any, row: int, column: int) -> Any:
    return image.cmap(image.norm(image.get_array()))[row, column]


def words(text: str) -> str:
    return " ".join(text.split())


def test_pictures_and_maps_stand_on_their_own_side_with_their_own_sign() -> None:
    figure = made().plot(quantile=1.0)
    rows = [figure.axes[0:4], figure.axes[4:8]]
    for row, sides, maps, names in zip(
        rows, ((A, B), (B, A)), ((OF_A, OF_B), (-OF_B, -OF_A)), ("pq", "rs"), strict=True
    ):
        for side in (0, 1):
            picture, mapped = row[2 * side : 2 * side + 2]
            stretched = sides[side][0] / sides[side].max()  # their least is 0
            assert torch.allclose(torch.tensor(picture.images[0].get_array()), stretched)
            assert picture.images[0].get_clim() == (0, 1)
            under = torch.tensor(mapped.images[0].get_array())
            assert torch.allclose(under, 0.72 + 0.28 * stretched)
            assert mapped.images[-1].get_array().tolist() == maps[side][0].tolist()
            assert mapped.images[-1].get_clim() == (-2.0, 2.0)
            assert (picture.get_title(), mapped.get_title()) == (names[side], "map")
            for y in (0, 1):
                for x in (0, 1):
                    value = float(maps[side][0, y, x])
                    colour = colour_of(mapped.images[-1], y, x)
                    assert blue(colour) == (value > 0) or abs(value) < 0.3
                    opaque = float(mapped.images[-1].get_alpha()[y, x])
                    assert opaque == pytest.approx(0.9 * abs(value) / 2)
    assert [words(row[0].get_ylabel()) for row in rows] == [
        "score 0.25 (higher is closer)", "score 1.5 (higher is closer)",
    ]  # fmt: skip
    assert figure.get_suptitle() == "Method: blue pulls together, red pushes apart"


def test_the_bar_says_which_colour_means_what_and_of_how_much() -> None:
    (first, _) = bars(made().plot(quantile=1.0))
    assert written(first) == ["apart\n−2", "0", "together\n+2"]
    assert first.get_ylim() == (-2.0, 2.0)
    assert list(first.get_yticks()) == [-2.0, 0.0, 2.0]
    colours = first.collections[-1].cmap
    assert not blue(colours(0.1))
    assert blue(colours(0.9))
    assert written(bars(made().plot(quantile=1.0, norm="each"))[0]) == ["apart", "0", "together"]  # each has its own
    assert written(bars(made().plot(quantile=1.0, norm="global"))[0]) == ["apart\n−2", "0", "together\n+2"]
    named = made(target="output 2").plot(quantile=1.0)
    assert written(bars(named)[0]) == ["lowers\n−2", "0", "raises\n+2"]
    assert named.get_suptitle() == "Method: blue raises output 2, red lowers it"
    assert words(named.axes[4].get_ylabel()) == "output 2 1.5"


def test_what_has_no_direction_is_drawn_by_its_size() -> None:
    figure = made(shows="magnitude").plot(quantile=1.0)
    assert figure.axes[3].images[-1].get_array().tolist() == OF_B[0].abs().tolist()
    assert figure.axes[3].images[-1].get_clim() == (0.0, 2.0)
    assert written(bars(figure)[0]) == ["0", "strength\n2"]
    assert figure.get_suptitle() == "Method: the darker, the more it counts, either way"


def test_the_verdict_stands_beside_a_pair_and_a_held_side_is_said() -> None:
    distance = made(higher_is_closer=False, parameters={"wrt": "first"})
    figure = distance.plot()
    assert words(figure.axes[0].get_ylabel()) == "score 0.25 (lower is closer)"
    assert [axes.get_title() for axes in figure.axes[:4]] == ["p", "map", "q", "held fixed"]
    assert [axes.get_title() for axes in made(parameters={"wrt": "second"}).plot().axes[:4]] == [
        "p", "held fixed", "q", "map",
    ]  # fmt: skip
    known = made(higher_is_closer=False, threshold=1.0).plot()
    beside = [words(known.axes[4 * pair].get_ylabel()) for pair in (0, 1)]
    assert beside[0].startswith("alike: ")
    assert beside[1].startswith("different: ")
    assert all(text.endswith("alike up to 1") for text in beside)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"kinds": ("image", "smell")}, "^input b is a smell, which has no drawing: there are those of "),
        (
            {"maps": ((OF_A[None], OF_A[None]), (OF_B[None], OF_B[None]))},
            "^this explanation has several maps a side: explain one layer or one tensor to draw it$",
        ),
    ],
)
def test_what_has_no_drawing_is_told(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        plot_items(SimpleNamespace(**{"kinds": ("image", "image"), "maps": (OF_A, OF_B)} | changes))  # type: ignore[arg-type]


def test_pixels_are_of_one_or_three_channels() -> None:
    for given, what in ((torch.ones(1, 2, 4, 4), r"\(1, 2, 4, 4\)"), ([1], "list")):
        with pytest.raises(
            ValueError, match=rf"^input b is {what}: plot\(\) draws images \(pairs, 1 or 3 channels, h, w"
        ):
            pixels_of(given, "b", None)


def test_layers_have_a_row_each_and_their_names() -> None:
    maps = tuple((torch.full((1, 1, 2, 2), k), torch.full((1, 1, 1, 1), 2 * k)) for k in (1.0, -3.0))
    figure = made(
        maps=maps, inputs=(A[None], B[None]), scores=torch.ones(1), ids=None, parameters={"layer": ["3", "7"]}
    ).plot(quantile=1.0)
    assert [axes.get_title() for axes in figure.axes[:8]] == [
        "a",
        "layer 3",
        "b",
        "layer 3",
        "a",
        "layer 7",
        "b",
        "layer 7",
    ]
    drawn = [float(figure.axes[k].images[-1].get_array()[1, 1]) for k in (1, 3, 5, 7)]
    assert drawn == [1.0, -3.0, 2.0, -6.0]


def test_more_pairs_than_a_picture_holds_are_said() -> None:
    ten = made(
        maps=(OF_A.expand(10, 1, 2, 2), OF_B.expand(10, 1, 2, 2)),
        inputs=(A.expand(10, 1, 2, 2), B.expand(10, 1, 2, 2)),
        scores=torch.arange(10.0),
        ids=None,
    )
    figure = ten.plot()
    assert figure.get_suptitle().endswith("red pushes apart   first 8 of 10 pairs")
    assert len(bars(figure)) == 8
    assert [words(figure.axes[4 * k].get_ylabel()).split()[1] for k in range(8)] == [str(k) for k in range(8)]


def test_methods_beside_each_other_keep_sides_and_signs() -> None:
    figure = compare([made(), made(maps=(10 * OF_A.expand(2, 1, 2, 2), 10 * OF_B.expand(2, 1, 2, 2)))], quantile=1.0)
    shown = [axes for axes in figure.axes if len(axes.images) == 2]
    assert [axes.get_title() for axes in shown] == ["p", "q", "p", "q"]
    for axes, expected, limit in zip(shown, (OF_A, OF_B, 10 * OF_A, 10 * OF_B), (2.0, 2.0, 20.0, 20.0), strict=True):
        assert axes.images[-1].get_array().tolist() == expected[0].tolist()
        assert axes.images[-1].get_clim() == (-limit, limit)
    assert words(figure.get_suptitle()).startswith("score 0.25 (higher is closer) blue pulls together")


def test_where_the_places_of_an_image_stand() -> None:
    axes = plot_items(made()).axes[0]
    values = torch.tensor([[[1.0, -1.0, 0.0], [0.0, 0.5, 0.25]]])
    spots = draw_image(axes, torch.rand(3, 2, 3), values.expand(1, 2, 3), Scale(4.0))
    assert spots == {(y, x): (x, y) for y in (0, 1) for x in (0, 1, 2)}  # x is the column, and counts first in axes
    assert axes.images[-1].get_array().tolist() == values[0].tolist()
    assert axes.images[-1].get_clim() == (-4.0, 4.0)


def test_words_have_the_colours_of_their_values() -> None:
    axes = plot_items(made()).axes[0]
    values = torch.tensor([[2.0, -2.0], [-1.0, 0.0], [0.0, 4.0]])  # summed: 0, -1, 4
    spots = draw_text(axes, torch.rand(3, 2), values, Scale(4.0), ["one", "two", "three"])
    texts = {one.get_text(): one for one in axes.texts}
    neutral, against, towards = (texts[word].get_bbox_patch().get_facecolor() for word in ("one", "two", "three"))
    assert min(neutral[:3]) > 0.95
    assert against[0] > against[2]
    assert blue(towards)
    assert texts["three"].get_color() == "white"
    assert texts["two"].get_color() != "white"
    # a word takes its letters and two more: the middles of 3 + 2, 3 + 2 and 5 + 2 characters
    assert spots == {(0,): (2.5, 0.0), (1,): (7.5, 0.0), (2,): (13.5, 0.0)}
    assert texts["three"].get_position() == spots[2,]


def test_bars_of_a_row_have_the_strongest_on_top() -> None:
    axes = plot_items(made()).axes[0]
    row, values = torch.arange(25.0), torch.linspace(-2.0, 1.0, 25)
    spots = draw_row(axes, row, values, Scale(2.0), [f"x{i}" for i in range(25)])
    order = sorted(range(25), key=lambda i: (-abs(float(values[i])), i))[:20]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[::-1] == [f"x{i} = {i}" for i in order]
    assert [bar.get_width() for bar in axes.patches][::-1] == pytest.approx([float(values[i]) for i in order])
    assert spots[(0,)] == (-2.0, 19.0)
    assert axes.get_xlim() == pytest.approx((-2.1, 2.1))
    assert not blue(axes.patches[-1].get_facecolor())


def test_a_share_of_the_scale() -> None:
    values = torch.tensor([-8.0, -4.0, -1.0, 0.0, 2.0, 4.0, 9.0])
    assert Scale(4.0).share(values).tolist() == [0.0, 0.0, 0.375, 0.5, 0.75, 1.0, 1.0]
    assert Scale(4.0, shows="magnitude").share(values).tolist() == [1.0, 1.0, 0.25, 0.0, 0.5, 1.0, 1.0]
    assert Scale(4.0, shows="relevance").share(values).tolist() == [0.0, 0.0, 0.0, 0.0, 0.5, 1.0, 1.0]
    pale = Scale(4.0, pale=True).map
    whole = Scale(4.0).map
    assert pale(0) == pytest.approx(whole(0.14))
    assert pale(255) == pytest.approx(whole(0.86))


@pytest.mark.parametrize(("threshold", "pair", "value", "limit"), [
    (None, 0, 0.005, 0.01),  # of a score of 1, values that sum to 0.025 instead of a twentieth are half as strong
    (None, 1, 0.005, 0.04),  # the score of this pair is 4
    (8.0, 1, 0.005, 0.08),  # and the threshold larger
    (None, 0, 0.5, 0.5),
    (None, 1, 0.0, 4.0),  # nothing at all is white on the scale of the score
])  # fmt: skip
def test_next_to_nothing_looks_like_it(threshold: float | None, pair: int, value: float, limit: float) -> None:
    one = made(scores=torch.tensor([1.0, -4.0]), threshold=threshold)
    maps = [torch.full((1, 2), value), torch.tensor([[-value, 2 * value]])]  # their sizes sum to five times the value
    assert floored(value, maps, one, pair) == pytest.approx(limit)


def test_a_faint_relevance_stays_faint() -> None:
    one = made(shows="relevance")
    assert floored(0.001, [torch.tensor([0.001])], one, 0) == 0.1
    assert floored(0.7, [torch.tensor([0.7])], one, 0) == 0.7


DOLLARS = ["$^$", "$x$", "costs $5"]


def drawn_with_dollars(what: str) -> Any:
    matrix = PairMatrix.of(torch.diag(torch.tensor([0.6, 0.3, 0.2])))
    rows = torch.rand(1, 3), torch.rand(1, 3)
    if what == "matrix":
        known = {"columns": {"matrix": [matrix]}, "maps": (torch.zeros(1, 3),) * 2, "inputs": rows}
        return made(**known, scores=torch.ones(1), ids=None, kind=MatrixExplanation).plot(labels=(DOLLARS, DOLLARS))
    if what == "matrix of graphs":
        data = pytest.importorskip("torch_geometric.data")
        edges = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
        graphs = (data.Batch.from_data_list([data.Data(x=torch.rand(3, 2), edge_index=edges)]),) * 2
        known = {"columns": {"matrix": [matrix]}, "maps": (torch.zeros(1, 3),) * 2, "inputs": graphs}
        return made(**known, scores=torch.ones(1), ids=None, kind=MatrixExplanation).plot(labels=(DOLLARS, DOLLARS))
    if what == "connectome":
        return plot_connectomes([torch.rand(3, 3)], names=DOLLARS, groups=DOLLARS)
    figure = new_figure(4.0, 4.0)
    draw, item = {
        "row": (draw_row, rows[0][0]),
        "series": (draw_series, torch.rand(3, 5)),
        "text": (draw_text, torch.rand(3, 2)),
        "volume": (draw_volume, torch.rand(1, 3, 2, 2)),
    }[what]
    draw(figure.add_subplot(), item, item, Scale(), DOLLARS)
    return figure


@pytest.mark.parametrize("what", ["matrix", "matrix of graphs", "connectome", "row", "series", "text", "volume"])
def test_names_of_places_are_no_formulas(what: str) -> None:
    figure = drawn_with_dollars(what)
    figure.draw_without_rendering()  # a formula of ^ alone is an error
    shown = {text.get_text() for text in figure.findobj(Text)}
    assert any("\\$^\\$" in one for one in shown)
    assert not any(re.search(r"(?<!\\)\$", one) for one in shown)


def test_the_strip_of_a_series_has_the_values_of_its_channel() -> None:
    axes = new_figure(4.0, 4.0).add_subplot()
    item = torch.tensor([[0.0, 2.0, 4.0], [5.0, 5.0, 5.0], [3.0, 1.0, 2.0], [1.0, 2.0, 3.0], [1.0, 0.0, 1.0]])
    values = torch.tensor([[1.0, -1.0, 0.0], [0.1, 0.0, 0.0], [0.0, 3.0, -2.0], [0.5, 0.5, 0.5], [0.0, 0.0, 0.2]])
    spots = draw_series(axes, item, values, Scale(3.0), list("vwxyz"))
    kept = [0, 2, 3, 4]  # of five channels the one of the smallest values is left out
    assert [image.get_array()[0].tolist() for image in axes.images] == [pytest.approx(values[k].tolist()) for k in kept]
    assert all(image.get_clim() == (-3.0, 3.0) for image in axes.images)
    assert [image.get_extent() for image in axes.images] == [
        pytest.approx((-0.5, 2.5, -1.5 * band - 0.32, -1.5 * band - 0.1)) for band in range(4)
    ]
    assert [list(line.get_ydata()) for line in axes.lines] == [
        pytest.approx([0.0, 0.5, 1.0]), pytest.approx([-0.5, -1.5, -1.0]), pytest.approx([-3.0, -2.5, -2.0]),
        pytest.approx([-3.5, -4.5, -3.5]),
    ]  # fmt: skip
    assert [label.get_text() for label in axes.get_yticklabels()] == ["v", "x", "y", "z"]
    assert axes.get_xlabel() == "position"
    assert spots == {(0,): (0.0, 0.0), (1,): (1.0, 0.5), (2,): (2.0, 1.0)}
    one = new_figure(4.0, 4.0).add_subplot()
    draw_series(one, item[:2], values[2:3], Scale(3.0))  # values of all channels at once have one strip, at the end
    assert [image.get_array()[0].tolist() for image in one.images] == [[0.0, 3.0, -2.0]]
    assert [list(line.get_ydata()) for line in one.lines][1] == pytest.approx(
        [-0.6] * 3
    )  # what is constant, in the middle


def test_the_slices_of_a_volume_are_those_of_the_largest_values() -> None:
    axes = new_figure(4.0, 4.0).add_subplot()
    item = torch.arange(20.0).reshape(1, 5, 2, 2)
    values = torch.zeros(5, 2, 2)
    values[1], values[2, 0, 0], values[4] = -1.0, 0.5, 2.0
    spots = draw_volume(axes, item, values[None], Scale(2.0))
    insets = axes.child_axes
    assert [inset.get_title() for inset in insets] == ["slice 1 of 5", "slice 2 of 5", "slice 4 of 5"]
    assert [inset.images[1].get_array().tolist() for inset in insets] == values[[1, 2, 4]].tolist()
    assert insets[2].images[0].get_array().tolist() == (0.72 + 0.28 * item[0, 4] / 19).tolist()
    assert set(spots) == {(k, y, x) for k in (1, 2, 4) for y in (0, 1) for x in (0, 1)}
    assert spots[4, 1, 0] == pytest.approx((2 / 3 + 0.96 / 3 / 4, 0.9 / 4))  # below, on the left


def test_connections_and_regions_of_a_connectome() -> None:
    matrix = torch.tensor([[0.0, 1.0, -2.0], [1.0, 0.0, 0.5], [-2.0, 0.5, 0.0]])
    figure = plot_connectomes([matrix, -matrix], groups=["left", "right", "left"], titles=["p", "q"], strongest=2)
    assert figure.get_size_inches().tolist() == [4.4 * 2 + 0.8, 9.0]
    first, second, circle, _ = figure.axes[:4]
    order = [0, 2, 1]  # the regions of a group are beside each other
    assert first.images[0].get_array().tolist() == matrix[order][:, order].tolist()
    assert second.images[0].get_array().tolist() == (-matrix)[order][:, order].tolist()
    assert (first.get_title(), second.get_title()) == ("p", "q")
    assert [label.get_text() for label in first.get_xticklabels()] == ["left", "right"]
    assert list(first.get_xticks()) == [0.5, 2.0]
    assert [line.get_ydata()[0] for line in first.lines if line.get_ydata()[0] == line.get_ydata()[1]] == [1.5]
    weaker, stronger = circle.patches  # 1 between 0 and 1, then -2 between 0 and 2
    assert blue(weaker.get_edgecolor())
    assert not blue(stronger.get_edgecolor())
    assert stronger.get_linewidth() > weaker.get_linewidth()
    spots, angles = _around([0, 2, 1], ["left", "right", "left"])
    assert (stronger.get_path().vertices[[0, 2]] == spots[[0, 2]].numpy()).all()
    assert bool((spots[[0, 2], 0] < 0).all())  # left is on the left
    assert float(spots[1, 0]) > 0
    assert torch.allclose(spots, torch.stack([angles.cos(), angles.sin()], 1))


def test_the_cells_of_a_picture_are_where_they_were_masked() -> None:
    """5 x 7 pixels in 2 x 3 cells: pixel i of 5 is of cell i * 2 // 5, so rows 0 to 2 are the first."""
    axes = new_figure(4.0, 4.0).add_subplot()
    values = torch.tensor([[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]])
    picture = Picture(torch.rand(1, 5, 7), (2, 3))
    picture.draw(axes, values, Scale(6.0))
    expected = [[float(values[y * 2 // 5, x * 3 // 7]) for x in range(7)] for y in range(5)]
    assert axes.images[-1].get_array().tolist() == expected
    middle = picture.mark(axes, (1, 2), "#0072B2", 4)
    (frame,) = axes.patches
    own = [(y, x) for y in range(5) for x in range(7) if expected[y][x] == -6]
    top, left = min(own)
    bottom, right = max(own)
    assert (*frame.get_xy(), frame.get_width(), frame.get_height()) == (left, top, right + 1 - left, bottom + 1 - top)
    assert middle == ((left + right + 1) / 2, (top + bottom + 1) / 2)
    assert axes.texts[-1].get_text() == "4"


def test_both_graphs_have_the_colours_of_their_own_values() -> None:
    data = pytest.importorskip("torch_geometric.data")
    edges = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    graphs = [data.Batch.from_data_list([data.Data(x=torch.ones(3, 1), edge_index=edges)]) for _ in "ab"]
    nodes = torch.tensor([[1.0], [0.0], [-2.0]]), torch.tensor([[-1.0], [1.5], [0.5]])
    maps = tuple(
        data.Batch.from_data_list([data.Data(x=torch.ones(3, 1), edge_index=edges, node_mask=one)]) for one in nodes
    )
    found = made(maps=maps, inputs=tuple(graphs), scores=torch.ones(1), ids=(("p", "q"),))
    figure = found.plot(kind="graph")
    for side in (0, 1):
        axes = figure.axes[side]
        assert axes.get_title() == "pq"[side]
        faces = torch.tensor(axes.collections[-1].get_facecolors())
        assert torch.allclose(faces, torch.tensor(Scale(2.0).colours(nodes[side].flatten())), atol=1e-6)
    assert written(bars(figure)[0]) == ["apart\n−2", "0", "together\n+2"]


def test_points_in_the_plane_keep_the_distances_that_they_have_there() -> None:
    """Of points that lie in a plane of five dimensions all of them, with the longer extent across."""
    flat = torch.randn(30, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([3.0, 1.0])
    turn = torch.linalg.qr(torch.randn(5, 5, generator=torch.Generator().manual_seed(1))).Q[:2]
    found = plane(flat @ turn + 7)
    torch.testing.assert_close(torch.cdist(found, found), torch.cdist(flat, flat), rtol=1e-3, atol=1e-3)
    assert found[:, 0].std() > found[:, 1].std()
    assert found.mean(0).abs().max() < 1e-4
    assert torch.equal(plane(flat), flat)
    assert plane(flat[:, :1]).tolist() == [[x, 0.0] for x in flat[:, 0].tolist()]
    assert plane(torch.ones(1, 3)).tolist() == [[0.0, 0.0]]
    few = torch.randn(4, 3, generator=torch.Generator().manual_seed(2))
    assert torch.equal(plane(few, "tsne"), plane(few))  # four points have too few neighbours
    pytest.importorskip("sklearn")
    assert not torch.equal(plane(torch.cat([few, few[:1] + 1]), "tsne"), plane(torch.cat([few, few[:1] + 1])))
    assert [_neighbours("tsne", 3, items).perplexity for items in (7, 91, 92, 200)] == pytest.approx([2, 30, 30, 30])
    assert _neighbours("tsne", 3, 7).random_state == 3


def test_pictures_of_training_show_what_they_are_given() -> None:
    points, labels = torch.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]), torch.tensor([0, 5, 0])
    axes = latent_space(points, labels, ("zero",), "T", limits=torch.tensor([[-1.0, -2.0], [8.0, 9.0]])).axes[0]
    assert [one.get_offsets().tolist() for one in axes.collections] == [[[0.0, 1.0], [4.0, 5.0]], [[2.0, 3.0]]]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["zero", "5"]
    assert (axes.get_xlim(), axes.get_ylim(), axes.get_title()) == ((-1, 8), (-2, 9), "T")
    for count, named in ((20, True), (21, False)):
        axes = latent_space(torch.rand(count, 2), torch.arange(count)).axes[0]
        assert (axes.get_legend() is not None) is named
    assert latent_space(points, labels, legend=False).axes[0].get_legend() is None
    sizes = [
        latent_space(torch.rand(n, 2), torch.zeros(n)).axes[0].collections[0].get_sizes()[0] for n in (9, 400, 8000)
    ]
    assert sizes == [40, 20, 4]
    axes = curves({"train_loss": [3.0, 1.0], "test": []}).axes[0]
    (line,) = axes.lines
    assert (line.get_xydata().tolist(), line.get_label()) == ([[1.0, 3.0], [2.0, 1.0]], "train loss")
    axes = against(torch.tensor([0.0, 2.0]), torch.tensor([-1.0, 1.0])).axes[0]
    assert axes.lines[0].get_xydata().tolist() == [[-1.0, -1.0], [2.0, 2.0]]
    assert axes.collections[0].get_offsets().tolist() == [[0.0, -1.0], [2.0, 1.0]]
    assert frame(new_figure(2.0, 1.0)).size == (200, 100)


CHAIN = [(0, 1), (1, 2), (2, 3), (3, 4), (2, 5)]  # no symmetry but that of its ends


def graph(edges: list[tuple[int, int]], nodes: int, **more: Any) -> Any:
    data = pytest.importorskip("torch_geometric.data")
    index = torch.tensor(edges).T.reshape(2, -1)
    return data.Data(x=torch.ones(nodes, 1), edge_index=torch.cat([index, index.flip(0)], 1), num_nodes=nodes, **more)


def test_a_layout_lies_across_and_is_turned_onto_another() -> None:
    spots = torch.tensor([[0.0, 0.0], [0.0, 4.0], [0.0, 5.0], [1.0, 2.0]]).double()
    upright = _upright(spots)
    torch.testing.assert_close(torch.cdist(upright, upright), torch.cdist(spots, spots))
    assert upright.mean(0).abs().max() < 1e-12
    assert upright[:, 0].std() > upright[:, 1].std()
    assert bool((upright.pow(3).sum(0) >= 0).all())
    torch.testing.assert_close(_upright(spots * torch.tensor([-1.0, 1.0])), upright)  # mirrored to the same way
    assert _upright(spots[:1]).tolist() == [[0.0, 0.0]]
    turn, match = torch.tensor([[0.6, 0.8], [-0.8, 0.6]]).double(), torch.tensor([[0, 2], [1, 0], [2, 3], [3, 1]])
    moved = (spots @ turn + 3)[[1, 3, 0, 2]]
    torch.testing.assert_close(_turned(moved, spots, match), spots[[1, 3, 0, 2]])
    torch.testing.assert_close(_turned(moved * torch.tensor([1.0, -1.0]), spots, match), spots[[1, 3, 0, 2]])
    assert _turned(moved, spots, match[:1]) is moved


def test_two_graphs_as_one_and_parts_beside_each_other() -> None:
    first, second = torch.zeros(3, 3), torch.zeros(3, 3)
    first[0, 1] = first[1, 0] = second[0, 2] = second[2, 0] = second[1, 2] = second[2, 1] = 1
    merged, place = _union(first, second, torch.tensor([[1, 0], [2, 2]]))  # b's 0 and 2 are a's 1 and 2; its 1 is new
    assert place.tolist() == [1, 3, 2]
    assert merged.nonzero().tolist() == [[0, 1], [1, 0], [1, 2], [2, 1], [2, 3], [3, 2]]
    pytest.importorskip("networkx")
    near = torch.zeros(5, 5, dtype=torch.float64)
    near[0, 1] = near[1, 0] = near[2, 3] = near[3, 2] = 1
    spots = _spread(near)
    gaps = [float(spots[[2, 3], 0].min() - spots[[0, 1], 0].max()), float(spots[4, 0] - spots[[2, 3], 0].max())]
    assert gaps == pytest.approx([0.9, 0.9])
    assert spots.mean(0).abs().max() < 1e-12
    assert float((spots[0] - spots[1]).norm()) == pytest.approx(2)


def test_a_graph_with_its_nodes_in_another_order_is_drawn_in_the_same_place() -> None:
    pytest.importorskip("scipy")
    order = torch.tensor([3, 0, 5, 1, 4, 2])  # node i is there as order[i]
    a, b = graph(CHAIN, 6), graph([(int(order[i]), int(order[j])) for i, j in CHAIN], 6)
    match = dict(matching(a, b).tolist())
    assert {frozenset((match[i], match[j])) for i, j in CHAIN} == {frozenset(one) for one in b.edge_index.T.tolist()}
    first, second = positions(a, b)
    torch.testing.assert_close(second[[match[i] for i in range(6)]], first)
    assert float((first[:, None] - first[None]).norm(dim=2).add(torch.eye(6) * 9).min()) > 0.3
    placed = graph(CHAIN, 6, pos=torch.arange(18.0).reshape(6, 3))
    assert _given(placed).tolist() == torch.arange(18.0).reshape(6, 3)[:, :2].tolist()  # type: ignore[union-attr]
    assert torch.equal(positions(placed, b)[0], _given(placed))  # type: ignore[arg-type]
    assert _given(graph(CHAIN, 6, pos=torch.zeros(6, 1))) is None
    assert _given(a) is None


def test_methods_are_called_in_lines_and_by_their_layer_where_there_are_several() -> None:
    def of(method: str, layer: Any = None) -> PairExplanation:
        return made(method=method, parameters={"layer": layer})

    one, other = of("PairGradCAM", ["a"]), of("PairGradCAM", ["b"])
    assert _called(one, [one, of("PairSaliency", ["b"])], 20) == "PairGradCAM"
    assert _called(one, [one, other], 20) == "PairGradCAM\nlayer ['a']"
    long = of("PairIntegratedGradients")  # 23 letters in four words
    assert _called(long, [long], 23) == "PairIntegratedGradients"
    assert _called(long, [long], 22) == "PairIntegrated\nGradients"
    assert _called(long, [long], 8) == "Pair\nIntegrated\nGradients"


def test_which_explanations_are_of_one_pair() -> None:
    one = made()
    assert _same(one, made(method="Other"), 1)
    assert not _same(one, made(), 2)  # there are two
    assert not _same(one, made(inputs=(torch.stack([A, B]), torch.stack([B, A + 1]))), 1)
    assert _same(one, made(inputs=(torch.stack([A, B]), torch.stack([B, A + 1]))), 0)
    assert not _same(one, made(kinds=("image", "series")), 0)
    assert not _same(one, made(inputs=(torch.zeros(2, 1, 4, 1),) * 2), 0)


@pytest.mark.parametrize(("options", "said"), [
    ({"smooth": True, "kinds": ("row", "row")}, "smooth= is for maps of images, and the inputs are row and row"),
    ({"quantile": 1.1}, "quantile=1.1: a share in"), ({"quantile": -0.1}, "quantile=-0.1"),
    ({"size": 3}, "plot_pair has no option 'size'; it has "),
])  # fmt: skip
def test_what_a_picture_cannot_be_asked(options: dict[str, Any], said: str) -> None:
    kinds = options.pop("kinds", ("image", "image"))
    with pytest.raises((TypeError, ValueError), match=said):
        picture(made(kinds=kinds), **options)
    assert picture(made(), quantile=1.0)
    assert picture(made(), quantile=0.0)


def test_words_stand_in_lines() -> None:
    """A word takes its letters and two for its frame; one that does not fit any more begins the next line."""
    words = ["a" * (WIDTH - 4), "", "b", "c" * (WIDTH + 5), "dd"]
    assert lines_of(words) == [
        ((WIDTH - 2) / 2, 0.0), (WIDTH - 1.0, 0.0), (1.5, -LINE), ((WIDTH + 7) / 2, -2 * LINE), (2.0, -3 * LINE),
    ]  # fmt: skip
    assert values_of_tokens(torch.tensor([[1.0, 2.0]]), 2).tolist() == [1.0, 2.0]
    assert values_of_tokens(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), 2).tolist() == [3.0, 7.0]
    axes = new_figure(3.0, 3.0).add_subplot()
    places = draw_text(axes, torch.tensor([7, 8, 9]), torch.tensor([0.5, -1.0, 0.65]), Scale(1.0))
    assert [text.get_text() for text in axes.texts] == ["7", "8", "9"]
    assert [text.get_color() for text in axes.texts] == ["#222222", "white", "white"]  # upon strong colours
    assert [places[i,] for i in range(3)] == lines_of(["7", "8", "9"])
    assert (axes.get_xlim(), axes.get_ylim()) == ((0, WIDTH), (-LINE, LINE))
    draw_text(axes, torch.zeros(2, 4), torch.zeros(2), Scale(1.0))
    assert [text.get_text() for text in axes.texts[3:]] == ["0", "1"]  # vectors have numbers


@pytest.mark.parametrize(("kind", "shape", "inches"), [
    ("image", (2, 1, 2, 2), 2.4), ("series", (2, 1, 9), 2.0), ("series", (2, 4, 9), 0.6 + 0.75 * 4),
    ("series", (2, 99, 9), 0.6 + 0.75 * MOST), ("text", (2, 5, 3), 2.0), ("text", (2, 400, 3), None),
])  # fmt: skip
def test_how_high_the_row_of_a_pair_is(kind: str, shape: tuple[int, ...], inches: float | None) -> None:
    side = torch.zeros(shape)
    one = made(inputs=(side, side), maps=(side, side), kinds=(kind, kind))
    if inches is None:
        last = lines_of([str(i) for i in range(400)])[-1][1]
        inches = 0.6 + 0.22 * (1 - last / LINE)
    assert height(one[0]) == pytest.approx(inches)


def test_nodes_and_names_beside_each_other() -> None:
    axes = new_figure(3.0, 3.0).add_subplot()
    nodes = Nodes(torch.tensor([[0.0, 1.0], [2.0, 3.0]]), torch.tensor([[0, 1]]), ["p", "q"])
    nodes.draw(axes, torch.tensor([1.0, -1.0]), Scale(1.0))
    assert axes.lines[0].get_xydata().tolist() == [[0.0, 1.0], [2.0, 3.0]]
    assert blue(axes.collections[0].get_facecolors()[0])
    assert not blue(axes.collections[0].get_facecolors()[1])
    assert [(text.get_text(), text.get_position()) for text in axes.texts] == [("p", (0, 1)), ("q", (2, 3))]
    assert nodes.mark(axes, (1,), "k", 1) == (2.0, 3.0)
    for side, edge, align in ((0, 0.7, "right"), (1, 0.3, "left")):
        names = Names(["x", "y", "z"], [2, 0], side)
        axes = new_figure(3.0, 3.0).add_subplot()
        names.draw(axes, None, Scale(1.0))
        assert [(t.get_text(), t.get_position(), t.get_ha()) for t in axes.texts] == [
            ("z", (edge, 0), align), ("x", (edge, 1), align),
        ]  # fmt: skip
        assert (axes.get_xlim(), axes.get_ylim()) == ((0, 1), (1.5, -0.5))
        assert names.mark(axes, (0,), "k", 1) == (pytest.approx(edge + (0.04, -0.04)[side]), 1)
        axes = new_figure(3.0, 3.0).add_subplot()
        names.draw(axes, torch.tensor([0.5, 9.0, -0.25]), Scale(2.0))
        assert [patch.get_width() for patch in axes.patches] == [-0.25, 0.5]
        assert axes.get_xlim() == (-2, 2)
        assert [label.get_text() for label in axes.get_yticklabels()] == ["z", "x"]
        assert (axes.yaxis.get_ticks_position() == "right") is bool(side)


def test_the_masks_of_one_graph() -> None:
    one = graph(CHAIN, 6)
    axes = new_figure(3.0, 3.0).add_subplot()
    values = graph(CHAIN, 6, node_mask=torch.arange(12.0).reshape(6, 2))
    places = draw_masks(axes, one, values, Scale(21.0))
    assert [*places] == [(i,) for i in range(6)]
    torch.testing.assert_close(torch.tensor([*places.values()]).double(), positions(one, one)[0])
    drawn = {tuple(round(x, 4) for x in at) for group in axes.collections for at in group.get_offsets().tolist()}
    assert {tuple(round(x, 4) for x in at) for at in places.values()} <= drawn


def test_an_image_is_grey_from_its_darkest_to_its_lightest_place() -> None:
    """The mean of two channels: 2, 3, 4 and 6."""
    item = torch.tensor([[[1.0, 3.0], [4.0, 6.0]], [[3.0, 3.0], [4.0, 6.0]]])
    axes = new_figure(3.0, 3.0).add_subplot()
    places = draw_image(axes, item, torch.tensor([[[0.5, -0.5], [0.0, 1.0]]]), Scale(1.0))
    expected = pale(torch.tensor([[0.0, 0.25], [0.5, 1.0]]))
    torch.testing.assert_close(torch.from_numpy(axes.images[0].get_array().data), expected)
    assert axes.images[1].get_array().tolist() == [[0.5, -0.5], [0.0, 1.0]]
    assert places[1, 0] == (0.0, 1.0)
