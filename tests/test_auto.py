"""What is taken when nobody names a method, why, and the pictures that one sees first."""

from __future__ import annotations

import copy
import importlib.util
import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import xsiamese
from tests.test_cancelled import Vision
from xsiamese import PairOcclusion, PairSaliency, SiameseModel, auto, measure
from xsiamese.explain.auto import table
from xsiamese.zoo import shipped

ROOT = Path(__file__).parents[1]


def tool() -> Any:
    spec = importlib.util.spec_from_file_location("choose_defaults", ROOT / "tools" / "choose_defaults.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def images() -> SiameseModel:
    torch.manual_seed(0)
    return SiameseModel(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 3)), "cosine")


def numbers(auroc: float | None, gain: tuple[float, float, float]) -> dict[str, Any]:
    known = ("auroc", "pointing_game") if auroc is not None else ()
    truth = {name: [auroc] * 3 for name in known} | ({} if auroc is None else {"partner_sensitivity": [1.0] * 3})
    all_numbers = {**truth, "relevance_gain": list(gain)}
    return {
        "defaults": {"numbers": all_numbers, "ms": 5.0, "pairs": 12},
        "ways": {"": {"tuned": all_numbers, "report": all_numbers}},
        "peer": False,
    }


def test_the_shipped_choices_are_those_of_the_scoreboard() -> None:
    chooser = tool()
    sets, networks = json.loads(chooser.SCOREBOARD.read_text())["sets"], json.loads(chooser.TOKENS.read_text())
    found = json.loads(chooser.TABLE.read_text())
    assert found == chooser.defaults(sets, networks), "run python tools/choose_defaults.py"


def test_the_best_that_beats_chance_everywhere_wins() -> None:
    chooser = tool()
    sure, none = (0.2, 0.1, 0.3), (0.01, -0.04, 0.05)
    good, best = numbers(0.9, sure), numbers(0.99, sure)
    sets = {"patches": {"PairGradCAM": good, "PairHiResCAM": best, "PairSaliency": numbers(0.6, sure)}}
    assert chooser.choice(sets, "image", "normal")["method"] == "PairHiResCAM"
    sets["patches"]["a peer"] = {**numbers(1.0, sure), "peer": True}
    assert chooser.choice(sets, "image", "normal")["method"] == "PairHiResCAM"
    sets["fashion"] = {"PairGradCAM": numbers(None, sure), "PairHiResCAM": numbers(None, none)}
    assert chooser.choice(sets, "image", "normal")["method"] == "PairGradCAM"
    sets["fashion"]["PairGradCAM"] = numbers(None, none)
    found = chooser.choice(sets, "image", "normal")
    assert found["method"] == "PairMaskRegression"
    assert "no method is better than chance" in found["reason"]
    assert chooser.choice({}, "row", "normal")["method"] == "PairFeatureAblation"


def test_among_those_that_find_the_truth_as_often_the_peak_decides_and_then_the_order() -> None:
    chooser = tool()
    sure, surer = (0.2, 0.1, 0.3), (0.4, 0.3, 0.5)
    first, second, third = numbers(0.98, surer), numbers(0.98, sure), numbers(0.975, surer)
    for one, hit in ((first, 0.8), (second, 0.97), (third, 0.96)):
        one["ways"][""]["tuned"] = {**one["ways"][""]["tuned"], "pointing_game": [hit] * 3}
    sets = {"patches": {"PairGradCAM": first, "PairHiResCAM": second, "PairLayerCAM": third}}
    assert chooser.choice(sets, "image", "fast")["method"] == "PairLayerCAM"  # as good a peak, and a better order
    del sets["patches"]["PairLayerCAM"]
    assert chooser.choice(sets, "image", "fast")["method"] == "PairHiResCAM"


def test_what_chooses_is_not_what_is_quoted_and_a_setting_wins_only_where_it_was_measured_everywhere() -> None:
    chooser = tool()
    sure = (0.2, 0.1, 0.3)
    row = numbers(0.8, sure)
    detached = numbers(0.99, sure)["ways"][""]["tuned"]
    row["ways"]["norms detached"] = {"tuned": detached, "report": {**detached, "auroc": [0.91] * 3}}
    found = chooser.choice({"patches": {"PairGradCAM": row}}, "image", "fast")
    assert found["detach_norms"] is True
    assert "AUROC 0.91" in found["reason"]
    plain = numbers(0.9, sure)
    found = chooser.choice({"patches": {"PairGradCAM": row}, "digits": {"PairGradCAM": plain}}, "image", "fast")
    assert "detach_norms" not in found


def test_every_choice_can_be_made_and_says_why() -> None:
    known = xsiamese.explainers()
    for kind, budgets in table().items():
        for budget, row in budgets.items():
            cls = known[row["method"]]
            assert set(row.get("options", {})) <= set(cls.options()), (kind, budget)
            assert len(row["reason"]) > 20
            assert kind.partition(",")[0] in {*cls.modalities, "tensor"}, (kind, budget)


def of_networks(**found: dict[str, Any]) -> dict[str, Any]:
    """What tokens.json holds, of networks and the AUROC of their methods."""
    return {
        name: {
            "attends": not name.startswith("conv"),
            "methods": {
                method: {"ways": {"": {**numbers(auroc, (0.2, 0.1, 0.3))["ways"][""], "ms": 5.0}}, "pairs": 12}
                for method, auroc in methods.items()
            },
        }
        for name, methods in found.items()
    }


def test_with_attention_what_finds_the_truth_in_every_network_wins_and_nothing_that_cancels() -> None:
    chooser = tool()
    first = {"PairHiResCAM": 0.99, "PairGradCAM": 0.8, "PairOcclusion": 0.9}
    networks = of_networks(a=first, b={**first, "PairOcclusion": 0.95}, conv={"PairOcclusion": 0.1})
    assert chooser.of_tokens(networks, "normal")["method"] == "PairOcclusion"
    assert chooser.of_tokens(networks, "fast")["method"] == "PairGradCAM"
    networks["b"]["methods"]["PairGradCAM"] = of_networks(b={"PairGradCAM": 0.4})["b"]["methods"]["PairGradCAM"]
    found = chooser.of_tokens(networks, "fast")
    assert found["method"] == "PairOcclusion"
    assert found["reason"].startswith("with attention no method of one pass finds the truth everywhere; best of")
    assert "b: AUROC 0.95" in found["reason"]
    del networks["b"]["methods"]["PairOcclusion"]
    assert chooser.of_tokens(networks, "normal")["method"] == "PairMaskRegression"


@pytest.mark.parametrize("budget", ["fast", "normal", "thorough"])
def test_images_as_tokens_have_a_map_that_is_no_rounding(budget: Any) -> None:
    encoder, (a, b) = Vision(), torch.rand(2, 2, 1, 16, 16)
    chosen = auto(SiameseModel(encoder), budget)
    assert chosen.kind == "image"
    assert "with attention" in chosen.reason
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="gradient times activation cancels")
        single = chosen.explain((a, b)).maps[0]
        assert single.abs().max() > 1e-4
    exact = auto(SiameseModel(copy.deepcopy(encoder).double()), budget).explain((a.double(), b.double())).maps[0]
    torch.testing.assert_close(single.double(), exact, rtol=1e-3, atol=1e-3 * float(exact.abs().max()))
    assert type(auto(images(), budget).explainer).__name__ == table()["image"][budget]["method"]
    towers = SiameseModel((encoder, nn.Sequential(nn.Embedding(9, 16), Mean())))
    both = auto(towers, budget)
    by = "PairOcclusion" if budget == "fast" else "PairRISE"
    assert (both.kind, type(both.explainer).__name__) == ("image and text", by)
    assert [one.shape for one in both.explain((a, torch.randint(0, 9, (2, 5)))).maps] == [a.shape, (2, 5)]


class Mean(nn.Module):
    def forward(self, vectors: Tensor) -> Tensor:
        return vectors.mean(1)


def test_a_result_says_what_was_chosen_and_why() -> None:
    chosen = auto(images(), "fast")
    pair = torch.rand(1, 1, 8, 8), torch.rand(1, 1, 8, 8)
    found = chosen.explain(pair, seed=3)
    assert chosen.kind == "image"
    assert found.parameters["chosen"] == str(chosen)
    assert chosen.reason in str(chosen)
    assert found.seed == 3
    assert torch.equal(chosen.attribute(pair)[0], found.maps[0])


def test_norms_are_detached_in_a_model_of_its_own() -> None:
    model = images()
    model.comparison.threshold_ = 0.5
    fast = auto(model, "fast").explainer.model
    assert fast.comparison.detach_norms  # type: ignore[attr-defined]
    assert fast.comparison.threshold_ == 0.5  # type: ignore[attr-defined]
    assert not model.comparison.detach_norms  # type: ignore[attr-defined]
    assert fast.encoder is model.encoder  # type: ignore[attr-defined]


def test_the_kind_is_read_off_the_layers_or_asked_for() -> None:
    assert auto(images()).kind == "image"
    assert auto(SiameseModel(nn.Linear(4, 2))).kind == "row"
    assert auto(SiameseModel(nn.Conv1d(1, 2, 3))).kind == "series"
    assert auto(SiameseModel(nn.Embedding(5, 2)), kind="row").kind == "row"
    with pytest.raises(ValueError, match="give kind="):
        auto(SiameseModel(nn.Identity()))
    with pytest.raises(ValueError, match="budget='cheap': 'fast', 'normal', 'thorough'"):
        auto(images(), "cheap")  # type: ignore[arg-type]


def test_real_rows_are_started_from_where_they_are_given() -> None:
    from xsiamese.data.planted import planted, scene

    model, pairs = shipped("planted-rows").model, planted("rows", 8, seed=5)
    items = scene("rows").batch(32, torch.Generator().manual_seed(3))[0]
    chosen = auto(model, items=items)
    found = measure(chosen.explainer, pairs, ["auroc"], **chosen.options)["auroc"].mean
    assert found > 0.95
    assert found > measure(chosen.explainer, pairs, ["auroc"])["auroc"].mean
    assert "from rows as in training" in chosen.reason
    assert chosen.explain(pairs.inputs).parameters["chosen"] == str(chosen)
    with pytest.raises(ValueError, match="items= are rows to start from, and this model takes image"):
        auto(images(), items=torch.rand(4, 1, 8, 8))


def test_a_model_of_both_inputs_at_once_is_asked_part_by_part() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mix = nn.Conv2d(2, 1, 3)

        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return self.mix(torch.cat([a, b], 1)).flatten(1).sum(1)

    chosen = auto(Both())
    assert chosen.explainer.name == "occlusion"
    assert "both inputs at once" in chosen.reason


def test_what_the_demo_shows_is_better_than_chance_or_says_that_it_is_not() -> None:
    pytest.importorskip("matplotlib")
    from xsiamese.cli import demo
    from xsiamese.report.chance import against_chance

    checkpoint = shipped("fashion")
    found, _, _ = demo.alike(checkpoint)
    kept = against_chance(checkpoint.model, found, "kept")
    assert kept.score > kept.high > kept.mean
    apart, figure, said = demo.sleeves(checkpoint)
    for question in ("a changed", "b changed"):
        changed = against_chance(checkpoint.model, apart, question)  # type: ignore[arg-type]
        assert changed.score > changed.high
        assert changed.score > float(apart.scores)
        assert f"{changed.score:.2f}" in said
    assert "reddest" in figure.get_supxlabel()
    little, figure, said = demo.different(checkpoint)
    alone = against_chance(checkpoint.model, little, "kept")
    assert alone.score < alone.high
    assert "no more than a random 20 %" in said
    assert said[:30] in figure.get_supxlabel()
    # pale: the strongest part of a different pair has less than half of what that of a like pair has
    assert _strongest(little) < 0.6 * _strongest(found)


def _strongest(found: Any) -> float:
    return max(float(m.max()) for m in found.matrix.marginals) / float(found.columns["reference"][0])


def test_a_map_in_random_order_is_no_better_than_chance() -> None:
    from xsiamese.data import fashion_pair
    from xsiamese.report.chance import against_chance

    model = shipped("fashion").model
    found = PairSaliency(model).explain(fashion_pair("shirt", "shirt"))
    again, other = (against_chance(model, found, draws=40, seed=seed) for seed in (0, 0))
    assert torch.equal(again.drawn, other.drawn)
    assert again.drawn.std() > 0
    assert 0.025 <= float((again.drawn > again.high).double().mean()) <= 0.06


def test_the_readme_runs_as_it_stands_on_two_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    image = pytest.importorskip("PIL.Image")
    for name, grey in (("a.png", 40), ("b.png", 200)):
        image.linear_gradient("L").point(lambda x, grey=grey: (x + grey) % 256).save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    block = (ROOT / "README.md").read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    exec(block, {})
    assert (tmp_path / "why.png").stat().st_size > 5000


class Categories(nn.Module):
    """Rows of which a column is read as an id."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table, self.out = nn.Embedding(7, 4), nn.Linear(9, 6)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.out(torch.cat([self.table(x[:, 0].long()), x[:, 1:]], 1))
        return found


class Spectra(nn.Module):
    """Waves that the model turns into a spectrogram."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.out = nn.Conv2d(1, 6, 3, padding=1), nn.Linear(6, 5)
        self.register_buffer("window", torch.hann_window(16))

    def forward(self, x: Tensor) -> Tensor:
        power = torch.stft(x, 16, 8, window=self.window, return_complex=True).abs().square()
        found: Tensor = self.out(self.conv((power + 1e-3).log()[:, None]).relu().mean((2, 3)))
        return found


@pytest.mark.parametrize("budget", ["fast", "normal", "thorough"])
def test_inputs_whose_places_no_layer_has_are_explained_part_by_part(budget: Any) -> None:
    """It ended with an error about layers that nobody had named."""
    rows = tuple(torch.cat([torch.randint(1, 7, (2, 1)), torch.randn(2, 5)], 1) for _ in "ab")
    waves = torch.randn(2, 2, 80).unbind()
    for encoder, pair in ((Categories(), rows), (Spectra(), waves)):
        model = SiameseModel(encoder.eval(), "cosine")
        chosen = auto(model, budget)
        found = chosen.explain(pair)
        assert "no layer of the model has the places of these inputs" in found.parameters["chosen"]
        for one, other, known in zip(
            found.maps, chosen.attribute(pair), PairOcclusion(model).attribute(pair), strict=True
        ):
            torch.testing.assert_close(one, known)
            torch.testing.assert_close(other, known)
