"""Pictures of rows of tables: bars for both sides on one scale, with the names and values of the columns."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from matplotlib import colormaps

from xsiamese import PairExplanation, PairGradCAM, PairNoiseTunnel, PairSaliency, SiameseModel
from xsiamese.data.columns import Column, Columns
from xsiamese.plot import plot_rows
from xsiamese.zoo.tabular import mlp

COLUMNS = Columns((Column("size", 10.0, 2.0), Column("metal", values=("gold", "iron")), Column("age", 5.0, 1.0)))


def made(a: list[float], b: list[float], **changes: Any) -> PairExplanation:
    """One pair of rows: size 14, gold, age 5, and size 8, iron, age 4."""
    rows = torch.tensor([[2.0, 1.0, 0.0, 0.0]]), torch.tensor([[-1.0, 0.0, 1.0, -1.0]])
    return PairExplanation(
        maps=(torch.tensor([a]), torch.tensor([b])),
        inputs=rows,
        scores=torch.tensor([0.25]),
        method="PairSaliency",
        **changes,
    )


def bars(axes: Any) -> list[tuple[str, float]]:
    """The label and the width of each bar, from the top."""
    labels = [label.get_text() for label in axes.get_yticklabels()]
    return [(label, round(bar.get_width(), 6)) for label, bar in zip(labels, axes.patches, strict=True)][::-1]


def test_both_sides_have_named_bars_on_one_scale_and_a_category_is_one() -> None:
    figure = made([0.5, 3.0, -1.0, 0.0], [-4.0, 1.0, 0.0, 0.25], ids=(("t.csv:3", "t.csv:7"),)).plot(columns=COLUMNS)
    left, right = figure.axes
    assert bars(left) == [("size = 14", 0.5), ("metal = gold", 2.0), ("age = 5", 0.0)]
    assert bars(right) == [("8", -4.0), ("iron", 1.0), ("4", 0.25)]
    assert left.get_xlim() == right.get_xlim() == (-4.2, 4.2)
    assert (left.get_title(), right.get_title()) == ("t.csv:3", "t.csv:7")
    assert left.get_ylabel().split() == ["score", "0.25", "(higher", "is", "closer)"]
    assert left.get_xlabel().split() == ["←", "apart", "together", "→"]
    for axes, place, value in ((right, 2, -4.0), (left, 1, 2.0)):  # from below
        assert axes.patches[place].get_facecolor() == pytest.approx(colormaps["RdBu"](value / 8 + 0.5), abs=0.01)


def test_relevances_without_a_sign_start_at_zero_and_a_category_has_its_largest() -> None:
    left, right = made([0.1, 0.75, 0.5, 0.0], [0.5, 0.25, 0.25, 0.0], shows="relevance").plot(columns=COLUMNS).axes
    assert bars(left) == [("metal = gold", 0.75), ("size = 14", 0.1), ("age = 5", 0.0)]
    assert bars(right) == [("iron", 0.25), ("8", 0.5), ("4", 0.0)]
    assert left.get_xlim() == (0.0, pytest.approx(0.7875))
    assert left.get_xlabel() == "relevance"
    assert left.patches[2].get_facecolor() == pytest.approx(colormaps["Purples"](1.0))


def test_what_both_rows_hold_is_marked_as_equal() -> None:
    rows = torch.tensor([[1.5, 2.0, 3.0]]), torch.tensor([[1.5, -2.0, 3.00000001]])
    found = PairSaliency(SiameseModel(torch.nn.Flatten(), "euclidean")).explain(rows)
    right = {label for label, _ in bars(found.plot(names=["x", "y", "z"]).axes[1])}
    assert right == {"1.5 (equal)", "-2", "3 (equal)"}  # as they are written


def test_the_strongest_columns_of_each_pair_and_at_most_four_pairs() -> None:
    torch.manual_seed(0)
    model = SiameseModel(mlp(30), "euclidean")
    found = PairSaliency(model).explain((torch.randn(6, 30), torch.randn(6, 30)), wrt="first")
    figure = found.plot(names=[f"x{i}" for i in range(30)])
    assert len(figure.axes) == 8
    said = "PairSaliency: the darker, the more it counts, either way   first 4 of 6 pairs   20 strongest of 30 columns"
    assert figure.get_suptitle() == said
    for pair in range(4):
        strongest = found.maps[0][pair].abs().argsort(descending=True)[:20].tolist()
        assert [label.split(" = ")[0] for label, _ in bars(figure.axes[2 * pair])] == [f"x{i}" for i in strongest]
    assert figure.axes[1].get_title() == "b   held fixed"
    assert found.plot(most=30).get_suptitle() == said.partition("   20 strongest")[0]  # all of them
    assert bars(found.plot(2, title="of rows").axes[0])[0][0].startswith(f"{int(found.maps[0][2].abs().argmax())} = ")


def test_maps_that_are_all_zero_are_drawn() -> None:
    assert bars(made([0.0] * 4, [0.0] * 4).plot().axes[0]) == [
        ("0 = 2", 0.0),
        ("1 = 1", 0.0),
        ("2 = 0", 0.0),
        ("3 = 0", 0.0),
    ]


def test_what_does_not_fit_is_said() -> None:
    one = made([0.0] * 4, [0.0] * 4)
    with pytest.raises(ValueError, match="a has 4 features, b 4, and there are columns or names of 2"):
        one.plot(names=["size", "age"])
    with pytest.raises(ValueError, match=r"^texts= are of one pair and go with columns=$"):
        one.plot(texts=({"size": "1"}, {"size": "2"}))
    with pytest.raises(ValueError, match="columns or names of 3"):
        one.plot(columns=Columns(COLUMNS.columns[:2]))
    torch.manual_seed(0)
    model = SiameseModel(mlp(4), "euclidean")
    of_layer = PairGradCAM(model, "0").explain(one.inputs)
    with pytest.raises(
        ValueError, match=r"the map of a is \(1, 1\) and the input \(1, 4\): bars need a value for each feature"
    ):
        of_layer.plot()
    with pytest.raises(ValueError, match=r"the input \(1, 3, 8, 8\)"):
        plot_rows(
            PairExplanation(
                maps=(torch.ones(1, 1, 2, 2),) * 2,
                inputs=(torch.ones(1, 3, 8, 8),) * 2,
                scores=torch.ones(1),
                method="m",
            )
        )


@pytest.mark.parametrize(
    ("explainer", "options", "shows"),
    [
        (PairSaliency, {}, "magnitude"),
        (PairSaliency, {"abs": False}, "signed"),
        (PairNoiseTunnel, {"nt_type": "smoothgrad_sq"}, "magnitude"),
        (PairNoiseTunnel, {"nt_type": "vargrad", "abs": False}, "magnitude"),
        (PairNoiseTunnel, {"abs": False}, "signed"),
        (PairNoiseTunnel, {}, "magnitude"),
    ],
)
def test_what_has_no_direction_is_not_drawn_with_one(explainer: Any, options: Any, shows: str, tmp_path: Any) -> None:
    torch.manual_seed(0)
    found = explainer(SiameseModel(mlp(6), "euclidean")).explain((torch.randn(1, 6), torch.randn(1, 6)), **options)
    assert found.shows == PairExplanation.load(found.save(tmp_path / "why.safetensors")).shows == shows
    axes = found.plot().axes[0]
    assert (axes.get_xlabel() == "strength") == (axes.get_xlim()[0] == 0) == (shows == "magnitude")
    if shows == "magnitude":
        with pytest.raises(ValueError, match="a magnitude and do not say which way"):
            found.top(largest="closer")


def test_next_to_nothing_is_pale() -> None:
    strong, weak = (made([k, 0.0, 0.0, 0.0], [0.0] * 4).plot().axes[0] for k in (0.25, 0.000125))
    assert strong.get_xlim()[1] == pytest.approx(1.05 * 0.25)
    assert weak.get_xlim()[1] == pytest.approx(1.05 * 0.0125)  # a twentieth of the score
