"""Tabular counterfactuals: optimal for small counts, within what is allowed, and honest beyond."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.problems import smooth_encoder, vectors
from xsiamese import SiameseModel
from xsiamese_counterfactual import PairTabularCounterfactual

NAMES = ["v", "w", "x", "y", "z"]


def fewest(model: SiameseModel, a: Tensor, b: Tensor, threshold: float, values: list[float]) -> int | None:
    """The fewest features of a that flip the decision, by plain loops."""
    alike = float(model(a, b).detach()) <= threshold
    for count in range(1, 6):
        for subset in combinations(range(5), count):
            for chosen in product(values, repeat=count):
                row = a.clone()
                row[0, list(subset)] = torch.tensor(chosen, dtype=a.dtype)
                if (float(model(row, b).detach()) <= threshold) != alike:
                    return count
        if count == 3:
            return None
    return None


@pytest.mark.parametrize("seed", range(6))
def test_exact_for_small_counts(seed: int) -> None:
    model = SiameseModel(smooth_encoder(seed), "euclidean")
    a, b = vectors(1, seed)
    threshold = 0.6 * float(model(a, b).detach())
    one = PairTabularCounterfactual(model, threshold=threshold).find((a, b), wrt="first", ranges=(-2, 2), steps=1.0)[0]
    inside = {k: float(b[0, k]) for k in range(5)}
    optimum = fewest(model, a, b, threshold, [-2.0, -1.0, 0.0, 1.0, 2.0])
    assert optimum is not None
    assert one.flipped
    assert one.count == optimum
    assert all(edit.after in (-2, -1, 0, 1, 2) or edit.after == inside[edit.where[0]] for edit in one.edits)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 50),
    low=st.floats(-2, -0.5),
    width=st.floats(0.1, 3),
    fixed=st.sets(st.sampled_from(NAMES), max_size=4),
    budget=st.sampled_from([0, 5000]),
)
def test_edits_stay_within_what_is_allowed_and_are_real(
    seed: int, low: float, width: float, fixed: set[str], budget: int
) -> None:
    model = SiameseModel(smooth_encoder(seed), "euclidean")
    a, b = vectors(1, seed)
    threshold = 0.8 * float(model(a, b).detach())
    one = PairTabularCounterfactual(model, threshold=threshold).find(
        (a, b), ranges=(low, low + width), immutable=sorted(fixed), names=NAMES, budget=budget, levels=5
    )[0]
    side = "ab".index(one.side)
    changed = (one.edited[side] != one.inputs[side])[0].nonzero().flatten().tolist()
    assert changed == [edit.where[0] for edit in one.edits]
    for edit in one.edits:
        assert edit.name not in fixed
        assert edit.after is not None
        assert low - 1e-9 <= edit.after <= low + width + 1e-9
    score = float(model(*one.edited).detach())
    assert score == pytest.approx(one.score_after)
    assert one.flipped == (score <= threshold)
    assert one.flipped or one.reason


def test_changes_are_as_small_as_the_decision_allows() -> None:
    model = SiameseModel(nn.Identity(), "euclidean")
    a, b = torch.zeros(1, 3), torch.tensor([[0.0, 4.0, 0.0]])
    one = PairTabularCounterfactual(model, threshold=1.0).find((a, b), wrt="first", ranges=(-5, 5))[0]
    assert one.count == 1
    assert one.edits[0].after == pytest.approx(3.0, abs=1e-3)
    stepped = PairTabularCounterfactual(model, threshold=1.0).find((a, b), wrt="first", ranges=(-5, 5), steps={1: 2.0})[
        0
    ]
    assert stepped.edits[0].after == 3.0  # -5, -3, ..., 3, 5


def test_many_features_go_greedily_and_needless_changes_are_taken_back() -> None:
    model = SiameseModel(nn.Identity(), "squared_euclidean")
    a, b = torch.zeros(1, 30), torch.arange(30.0)[None] / 10
    threshold = float(b.square().sum()) - float(b[0, -6:].square().sum()) + 1e-3
    one = PairTabularCounterfactual(model, threshold=threshold).find(
        (a, b), wrt="first", ranges=(0, 3), levels=31, budget=10_000
    )[0]
    assert one.flipped
    assert one.count == 6  # the six largest differences are needed, and enough


def test_the_reference_gives_ranges_and_distance() -> None:
    model = SiameseModel(nn.Identity(), "euclidean")
    rows = torch.rand(20, 4)
    a, b = rows[:1], rows[1:2]
    found = PairTabularCounterfactual(model, threshold=0.5 * float(model(a, b))).find((a, b), reference=rows)[0]
    assert found.flipped
    assert found.nearest is not None
    assert found.typical is not None
    edited = found.edited["ab".index(found.side)]
    assert bool(((edited >= rows.min(0).values - 1e-6) & (edited <= rows.max(0).values + 1e-6)).all())


def test_what_cannot_be_flipped_is_said() -> None:
    model = SiameseModel(nn.Identity(), "euclidean")
    a, b = torch.zeros(1, 3), torch.full((1, 3), 4.0)
    one = PairTabularCounterfactual(model, threshold=1.0).find((a, b), wrt="first", ranges=(0, 1))[0]
    assert not one.flipped
    assert one.reason == "no allowed change of up to 3 of 3 features reaches the threshold"
    assert one.score_after < one.score_before
    assert one.count == 3


def test_as_maps() -> None:
    model = SiameseModel(nn.Identity(), "euclidean")
    a, b = torch.zeros(1, 3), torch.tensor([[0.0, 4.0, 4.0]])
    explanation = PairTabularCounterfactual(model, threshold=1.0).explain((a, b), wrt="first", ranges=(0, 4))
    one = explanation.counterfactuals[0]
    assert float(explanation.maps[0].sum()) == pytest.approx(
        one.score_after - one.score_before
    )  # what changed had pushed apart
    assert float(explanation.maps[0][0, 0]) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ranges": (0, 1), "immutable": [0, 1, 2]}, "all 3 features are immutable"),
        ({"ranges": (1, 0)}, "the range of feature 0 is empty: from 1 to 0"),
        ({"ranges": {0: (0, 1)}}, "no range is known for feature 1, feature 2"),
        ({}, "no range is known"),
        ({"ranges": (0, 1), "steps": 0}, "the step of feature 0 is 0"),
        ({"ranges": (0, 1), "immutable": ["age"]}, "immutable names the feature 'age'"),
        ({"ranges": (0, 1), "names": ["x"]}, "1 names for 3 features"),
        ({"ranges": torch.zeros(2, 2)}, r"ranges is \(2, 2\)"),
        ({"reference": torch.zeros(4, 2)}, r"reference is \(4, 2\)"),
        ({"ranges": (0, 1), "levels": 1}, "levels=1"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PairTabularCounterfactual(SiameseModel(nn.Identity(), "euclidean"), threshold=1.0).find(
            (torch.zeros(1, 3), torch.ones(1, 3)), **options
        )


def test_rows_are_needed() -> None:
    with pytest.raises(TypeError, match="PairTabularCounterfactual does not explain an image, and input a is one"):
        PairTabularCounterfactual(SiameseModel(nn.Flatten()), threshold=0.5).find(
            (torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)), ranges=(0, 1)
        )
