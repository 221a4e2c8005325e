"""Pictures of pair matrices: lines where there are matches, words where there are none."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from matplotlib.patches import ConnectionPatch
from torch import Tensor, nn

from xsiamese import MatrixExplanation, PairMatrix, Texts


def explained(matrix: PairMatrix, inputs: tuple[Any, Any], **columns: Any) -> MatrixExplanation:
    maps = tuple(torch.zeros(1, *grid) for grid in matrix.grids)
    return MatrixExplanation(
        (maps[0], maps[1]), inputs, torch.tensor([0.8]), "Method", columns={"matrix": [matrix], **columns}
    )


def images() -> tuple[Tensor, Tensor]:
    a, b = torch.rand(2, 1, 1, 12, 12)
    return a, b


def lines(figure: Any) -> list[ConnectionPatch]:
    return [one for one in figure.artists if isinstance(one, ConnectionPatch)]


def matched(size: float = 0.25, **known: Any) -> PairMatrix:
    """Four cells a side, of which three go with one of the other's each."""
    return PairMatrix.of(torch.diag(torch.tensor([size, size / 2, size / 3, 0.0])), places=((2, 2), (2, 2)), **known)


def said(figure: Any) -> str:
    return str(figure._supxlabel.get_text())


def test_a_line_for_each_match_as_thick_as_its_share() -> None:
    figure = explained(matched(0.5), images(), reference=torch.tensor([1.0])).plot()
    found = lines(figure)
    assert len(found) == 3
    assert found[0].get_linewidth() > found[1].get_linewidth() > found[2].get_linewidth()
    assert "92% of a full match" in said(figure)


def test_each_part_has_one_line_and_eight_are_the_most() -> None:
    matrix = PairMatrix.of(torch.ones(36, 36) / 36, places=((6, 6), (6, 6)))
    assert len(lines(explained(matrix, images(), reference=torch.tensor([1.0])).plot())) == 8
    assert len(lines(explained(matrix, images(), reference=torch.tensor([1.0])).plot(most=2))) == 2


def test_little_in_common_is_said_and_stays_pale() -> None:
    figure = explained(matched(0.004), images(), reference=torch.tensor([1.0])).plot()
    assert not lines(figure)
    assert "No part of a goes with one part of b" in said(figure)
    limits = [image.get_clim() for axes in figure.axes[2:4] for image in axes.images[1:]]
    assert len(set(limits)) == 1  # both marginals on one fixed scale, not on that of their own noise
    assert limits[0][1] == 0.5


def test_what_may_be_chance_gets_no_line() -> None:
    unsure = matched(0.5, standard_error=torch.full((4, 4), 0.3))
    assert not lines(explained(unsure, images(), reference=torch.tensor([1.0])).plot())


def test_rows_are_lists_of_columns() -> None:
    matrix = PairMatrix.of(torch.diag(torch.tensor([0.6, 0.3, 0.0])))
    rows = torch.rand(1, 3), torch.rand(1, 3)
    names = ["length", "width", "age"]
    figure = explained(matrix, rows, reference=torch.tensor([1.0])).plot(labels=(names, names))
    assert len(lines(figure)) == 2
    reach = [axes.get_xlim() for axes in figure.axes[2:4]]
    assert reach[0] == reach[1] == (pytest.approx(-0.63), pytest.approx(0.63))  # the longest bar of 0.6 is whole
    assert {"length", "age"} <= {text.get_text() for text in figure.axes[0].texts}
    with pytest.raises(ValueError, match="2 labels for the 3 parts of a"):
        explained(matrix, rows).plot(labels=(names[:2], names))


def test_graphs_join_their_nodes() -> None:
    data = pytest.importorskip("torch_geometric.data")
    edges = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    graphs = [data.Batch.from_data_list([data.Data(x=torch.rand(3, 2), edge_index=edges)]) for _ in range(2)]
    matrix = PairMatrix.of(torch.diag(torch.tensor([0.6, 0.3, 0.0])))
    maps = tuple(torch.zeros(1, 3) for _ in range(2))
    one = MatrixExplanation(
        maps,  # type: ignore[arg-type]
        (graphs[0], graphs[1]),
        torch.tensor([0.8]),
        "Method",
        columns={"matrix": [matrix], "reference": torch.tensor([1.0])},
    )
    assert len(lines(one.plot())) == 2


def test_of_several_pairs_one_is_drawn() -> None:
    one = explained(matched(), images())
    assert one.plot(0) is not None
    with pytest.raises(IndexError):
        one.plot(1)


def test_plots_of_a_real_explanation() -> None:
    from xsiamese import PairMaskRegression, SiameseModel

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = SiameseModel(nn.Sequential(nn.Flatten(), nn.Linear(144, 8)))
    figure = PairMaskRegression(model).explain(images(), masks=64, cells=(3, 3), ids=[("left", "right")]).plot()
    assert [axes.get_title() for axes in figure.axes[:2]] == ["left", "right"]
    assert [axes.get_title() for axes in figure.axes[2:4]] == ["what of it goes with the other"] * 2


def test_two_towers_are_drawn_each_as_what_it_is() -> None:
    """A picture with its cells beside the words of a text, sub-words summed."""
    ids, word_of = torch.tensor([[1, 7, 8, 4]]), torch.tensor([[-1, 0, 0, 1]])
    text = Texts({"input_ids": ids}, [("[CLS]", "sleep", "##y", "cat")], word_of, [("sleepy", "cat")])
    left, right = torch.rand(4, 3), torch.rand(4, 3)
    matrix = PairMatrix(left, right, places=((2, 2), (4,)))
    found = MatrixExplanation(
        maps=(torch.rand(1, 1, 2, 2), torch.rand(1, 4)),
        inputs=(torch.rand(1, 1, 8, 8), text),
        scores=torch.tensor([0.5]),
        method="by hand",
        columns={"matrix": [matrix]},
        kinds=("image", "text"),
    )
    (by_word,) = found.by_word()
    dense = left @ right.T
    assert torch.allclose(by_word.dense(), torch.stack([dense[:, 1] + dense[:, 2], dense[:, 3]], 1))
    assert by_word.grids == ((2, 2), (2,))
    assert torch.isclose(by_word.value, matrix.value)
    figure = found.plot()
    picture, words = figure.axes[:2]
    assert len(picture.images) == 1
    assert [one.get_text() for one in words.texts if one.get_text() in ("sleepy", "cat")] == ["sleepy", "cat"]
    assert "'sleepy' of b" in found.summary() or "'cat' of b" in found.summary()


def test_pixels_are_drawn_as_coarser_parts() -> None:
    fine = PairMatrix.of(torch.eye(36) / 36, places=((6, 6), (6, 6)))
    figure = explained(fine, images(), reference=torch.ones(1)).plot(pool=((2, 2), (2, 2)))
    sizes = [{(one.get_width(), one.get_height()) for one in axes.patches} for axes in figure.axes[:2]]
    assert sizes == [{(6.0, 6.0)}] * 2  # of 12 pixels; a cell of the matrix has 2
    assert "give 100% of a full match" in said(figure)
