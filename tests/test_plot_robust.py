"""Pictures of robust explanations: what is drawn is what was given."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("matplotlib", reason='pip install "xsiamese[plot]"')

from xsiamese.plot.robust import convergence, invariance_table, stability


def trace(records: int = 5, pairs: int = 7, constraints: int = 2, scale: float = 1.0) -> SimpleNamespace:
    generator = torch.Generator().manual_seed(0)
    course = {
        name: scale * torch.rand(records, pairs, generator=generator)
        for name in ("stationarity", "infeasibility", "dual_gap")
    }
    return SimpleNamespace(
        steps=50 * torch.arange(records),
        course=SimpleNamespace(**course, multipliers=torch.rand(records, pairs, constraints, generator=generator)),
    )


def test_convergence_draws_medians_on_a_logarithmic_scale() -> None:
    given = trace()
    figure = convergence({"mu = 1e-3": given, "mu = 0": trace(scale=0.1)}, tolerances={"stationarity": 1e-3})
    assert len(figure.axes) == 4
    assert all(axes.get_yscale() == "log" for axes in figure.axes)
    first = figure.axes[0]
    assert torch.allclose(torch.tensor(first.lines[0].get_ydata()), given.course.stationarity.double().median(1).values)
    assert first.lines[0].get_xdata().tolist() == [0, 50, 100, 150, 200]
    assert first.lines[-1].get_ydata()[0] == 1e-3
    assert [text.get_text() for text in first.get_legend().get_texts()] == ["mu = 1e-3 (7 pairs)", "mu = 0 (7 pairs)"]
    largest = given.course.multipliers.amax(2).double().median(1).values
    assert torch.allclose(torch.tensor(figure.axes[3].lines[0].get_ydata()), largest)


def test_convergence_of_what_has_no_constraints_and_of_exact_zeros() -> None:
    given = trace(constraints=0)
    given.course.infeasibility.zero_()
    figure = convergence(given)
    assert all(bool((torch.tensor(line.get_ydata()) > 0).all()) for axes in figure.axes for line in axes.lines)
    with pytest.raises(ValueError, match="has no records"):
        convergence(trace(records=0))


def test_stability_marks_the_top_units_and_says_how_many_are_shared() -> None:
    same = torch.tensor([[3.0, -2.0, 1.0, 0.1]]).repeat(3, 1)
    turned = torch.stack([same[0].roll(i) for i in range(3)])
    figure = stability({"before": turned, "after": same}, ["w", "x", "y", "z"], k=1)
    before, after = figure.axes[:2]
    assert "overlap 0.00" in before.get_title()
    assert "overlap 1.00" in after.get_title()
    assert [label.get_text() for label in after.get_xticklabels()] == ["w", "x", "y", "z"]
    assert after.collections[0].get_offsets().tolist() == [[0, 0], [0, 1], [0, 2]]
    assert before.collections[0].get_offsets()[:, 0].tolist() == [0, 1, 2]
    assert float(after.images[0].get_array()[0, 1]) == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="k=5: between 1 and the 4"):
        stability({"a": same}, k=5)
    with pytest.raises(ValueError, match=r"shapes \(2, 4\), \(3, 4\)"):
        stability({"a": same, "b": same[:2]})


def test_the_invariance_of_a_table_is_sorted_and_named() -> None:
    figure = invariance_table(
        torch.tensor([0.2, 0.9, 0.5]), ["a", "b", "c"], ["1", "2", "3"], {"other": torch.tensor([0.0, 2.0, -4.0])}
    )
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a = 1", "c = 3", "b = 2"]
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([0.2, 0.5, 0.9])
    assert axes.collections[0].get_offsets()[:, 0].tolist() == [0, 1, 0.5]
    with pytest.raises(ValueError, match="3 units, 2 names"):
        invariance_table(torch.rand(3), ["a", "b"])
