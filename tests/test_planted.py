"""The planted sets: always the same, without shortcuts, and understood by the models that come with the library."""

from __future__ import annotations

from importlib.resources import files

import pytest
import torch
from torch import Tensor

from xsiamese.data.planted import SCENES, planted, scene, shortcuts
from xsiamese.data.planted_fit import about, fit, quality
from xsiamese.data.planted_rows import COUNTING
from xsiamese.metrics.meta import meta_scores
from xsiamese.zoo import shipped


@pytest.fixture(autouse=True, params=list(SCENES))
def name(request: pytest.FixtureRequest) -> str:
    if request.param == "motifs":
        pytest.importorskip("torch_geometric")
    return str(request.param)


def flat(side: object) -> Tensor:
    return side if isinstance(side, Tensor) else side.edge_index.double()  # type: ignore[attr-defined, no-any-return]


def test_one_seed_gives_one_set(name: str) -> None:
    one, same, other = planted(name, 5, seed=3), planted(name, 5, seed=3), planted(name, 5, seed=4)
    assert torch.equal(flat(one.a), flat(same.a))
    assert torch.equal(one.truth[0], same.truth[0])
    assert flat(one.a).shape != flat(other.a).shape or not torch.equal(flat(one.a), flat(other.a))
    assert torch.equal(flat(one[2:4].b), flat(one[torch.tensor([2, 3])].b))
    assert len(one[2:4]) == 2


def test_no_simple_statistic_tells_what_is_shared(name: str) -> None:
    found = shortcuts(scene(name).verification(600, seed=5))
    assert max(found.values()) < 0.6, found  # three standard errors of chance are 0.07


def test_the_shipped_model_knows_what_is_shared(name: str) -> None:
    assert (files("xsiamese.zoo") / "weights" / f"planted_{name}.safetensors").stat().st_size < 60_000  # type: ignore[attr-defined]
    found = shipped(f"planted-{name}")
    assert quality(found.model, name, 400, seed=7)["accuracy"] > 0.95
    kept, again = found.about, about(found.model, name)  # what is measured anew is what it says of itself
    assert isinstance(kept, dict)
    assert [again[key] for key in ("data", "steps", "seed")] == [kept[key] for key in ("data", "steps", "seed")]
    assert again["accuracy"] == pytest.approx(kept["accuracy"], abs=0.002)
    assert again["threshold"] == pytest.approx(kept["threshold"], abs=1e-4)
    assert ("typical" in again) == (name == "rows")
    if name == "rows":
        torch.testing.assert_close(torch.tensor(again["typical"]), torch.tensor(kept["typical"]))


def test_twins_and_other_partners_share_what_they_should(name: str) -> None:
    model = shipped(f"planted-{name}").model
    pairs = planted(name, 40, seed=9)
    with torch.no_grad():
        first, twin, other = (model(pairs.a, b) for b in (pairs.b, pairs.twins, pairs.others))
    threshold = model.comparison.threshold_
    if name != "rows":  # there the share of both partners varies
        assert float((twin > threshold).float().mean()) > 0.9
        assert float((other > threshold).float().mean()) > 0.9
    assert float((first - twin).abs().mean()) < 0.5 * float(first.std() + 0.2)
    assert int(pairs.truth[0].ne(0).sum()) > 0
    assert not bool(((pairs.truth[0] > 0) & (pairs.other_truth > 0)).any())


def test_a_few_steps_of_training_are_reproducible(name: str) -> None:
    first, second = (next(iter(fit(name, steps=2, batch=8).parameters())) for _ in range(2))
    assert torch.equal(first, second)


def test_the_truth_is_told_from_noise_by_metrics_of_truth(name: str) -> None:
    scores = meta_scores(shipped(f"planted-{name}").model, planted(name, 24), ["auroc", "average_precision", "gini"])
    assert scores["auroc"].tells
    assert list(scores["auroc"].means) == sorted(scores["auroc"].means, reverse=True)
    assert scores["gini"].error == "gini has no direction"


def test_rows_agree_where_the_truth_says_so(name: str) -> None:
    if name != "rows":
        pytest.skip("of rows")
    pairs = planted(name, 200)
    apart = (pairs.a - pairs.b).abs()
    assert float(apart[pairs.truth[0] == 1].max()) <= 0.1 + 1e-6
    assert float(apart[pairs.truth[0] == -1].min()) >= 1 - 1e-6
    assert sorted({int(i) for i in pairs.truth[0].nonzero()[:, 1]}) == sorted(COUNTING)
    assert float(pairs.b.abs().max()) <= 2.1


def test_no_pair_is_no_set(name: str) -> None:
    with pytest.raises(ValueError, match=f"none of the 2 pairs of '{name}' is left"):
        planted(name, 2)[:0]
    with pytest.raises(ValueError, match=r"^count=0: at least one pair is needed$"):
        planted(name, 0)


def test_pairs_of_one_class_show_no_shortcut(name: str) -> None:
    pairs = scene(name).verification(8, 0)
    with pytest.raises(ValueError, match=r"^all pairs are alike, or none: give those of Scene\.verification$"):
        shortcuts(pairs[torch.tensor([i for i in range(8) if pairs.alike[i]])])


# of pairs 3 with seed 5: the mean square of a, b, others and twins (for graphs the edges of a), the mean of the last
# times the cosine of its place, and the mean of the truth of a, and of other_truth, times that of theirs
MARKS = {
    "patches": ([0.053536, 0.060259, 0.053092, 0.057422], [-0.003886, 0.001285, 0.000524]),
    "digits": ([0.085219, 0.090609, 0.0868, 0.080501], [0.001669, -0.000412, 0.000099]),
    "rows": ([1.731883, 1.68451, 1.3368, 1.668818], [0.010278, 0.097947, -0.097947]),
    "series": ([0.879445, 0.839319, 0.871881, 0.853482], [0.003671, 0.001042, -0.008175]),
    "words": ([0.25, 0.25, 0.25, 0.25], [0.0127, -0.03213, 0.051723]),
    "motifs": ([933.5], [-0.218285, -0.011162, 0.013605]),
}


def test_the_sets_that_were_published_do_not_change(name: str) -> None:
    """Numbers in the documentation are of these pairs, and models that are shipped were trained on them."""

    def turned(numbers: Tensor) -> float:
        return float((numbers.double().flatten() * torch.arange(numbers.numel()).double().cos()).mean())

    pairs, (squares, turns) = scene(name).pairs(3, 5), MARKS[name]
    sides = [flat(pairs.a)] if name == "motifs" else [pairs.a, pairs.b, pairs.others, pairs.twins]
    assert [float(side.double().square().mean()) for side in sides] == pytest.approx(squares, abs=1e-5)
    assert pairs.other_truth is not None
    assert [turned(one) for one in (sides[-1], pairs.truth[0], pairs.other_truth)] == pytest.approx(turns, abs=1e-5)
