"""Metrics of explanations on models whose answer is known by hand."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import xsiamese
from xsiamese import PairExplanation, PairGradCAM, PairSaliency, SiameseModel, measure
from xsiamese.contract.subject import encoder
from xsiamese.contract.subject import pairs as pair_items
from xsiamese.data.planted import planted, scene
from xsiamese.metrics.catalogue import made
from xsiamese.metrics.measure import batch_of
from xsiamese.metrics.meta import GRADES, Graded
from xsiamese.metrics.metric import number
from xsiamese.metrics.recipe import Recipe
from xsiamese.metrics.sanity import EdgeDetector
from xsiamese.metrics.scored import along, surface
from xsiamese.metrics.simplicity import Gini
from xsiamese.metrics.states import over_batches
from xsiamese.metrics.surface import Deletion, Insertion, RelevanceGain
from xsiamese.metrics.topk import DropTop
from xsiamese.metrics.truth import auroc, average_precision, top_share
from xsiamese.metrics.units import Units, blurred, units_of
from xsiamese.zoo import shipped

TOLERANCE = 1e-12


def rows(pairs: int, units: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    a, b = torch.randn(2, pairs, units, generator=generator, dtype=torch.float64)
    return a, b


def linear(units: int, dimensions: int = 3, seed: int = 0) -> SiameseModel:
    """s(a, b) = a' W' W b: bilinear, so that what is kept of both sides is a block of A_ij = a_i b_j (W'W)_ij."""
    torch.manual_seed(seed)
    return SiameseModel(nn.Linear(units, dimensions, bias=False).double(), "dot").eval()


def explained(model: Any, maps: tuple[Any, Any], inputs: tuple[Any, Any], **known: Any) -> tuple[Any, PairExplanation]:
    """A batch, and an explanation of it that says what it is told."""
    saliency = PairSaliency(model)
    explanation = PairExplanation(maps=maps, inputs=inputs, scores=saliency.scores(inputs), method="told", **known)
    return batch_of(saliency, inputs), explanation


def values(metric: Any, model: Any, maps: tuple[Any, Any], inputs: tuple[Any, Any], **needs: Any) -> Tensor:
    batch, explanation = explained(model, maps, inputs)
    return number(made(metric).compute(batch, explanation, **needs))


def test_the_surface_of_a_bilinear_model_is_the_sum_of_what_is_kept() -> None:
    model, (a, b) = linear(5), rows(3, 5)
    matrix = a[:, :, None] * b[:, None] * (model.encoder.weight.T @ model.encoder.weight)
    keep = [torch.rand(3, 5, generator=torch.Generator().manual_seed(k)) < 0.6 for k in range(7)]
    batch, _ = explained(model, (a, b), (a, b))
    found = surface(batch, (keep[:4], keep[4:]), "zero", 0)
    by_hand = [[torch.einsum("pi,pij,pj->p", x.double(), matrix, y.double()) for y in keep[4:]] for x in keep[:4]]
    assert (found - torch.stack([torch.stack(row) for row in by_hand]).permute(2, 0, 1)).abs().max() < TOLERANCE
    assert found.shape == (3, 4, 3)


def test_a_joint_model_gives_the_diagonal_and_the_edges_of_the_same_surface() -> None:
    model, inputs = linear(4), rows(3, 4)
    maps = rows(3, 4, 1)
    for part in ("diagonal", "edges"):
        metric = Deletion(4, part=part, filling="zero")
        assert torch.allclose(values(metric, model, maps, inputs), values(metric, Joint(model), maps, inputs))


class Joint(nn.Module):
    """The same score, and no encoder to be seen."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        found: Tensor = self.model(a, b)
        return found


def test_of_all_orders_the_true_one_is_best_and_its_reverse_worst() -> None:
    model = SiameseModel(nn.Identity(), "dot")
    weights = torch.tensor([0.3, -1.0, 2.0, 0.7], dtype=torch.float64)
    a, b = weights[None], torch.ones(1, 4, dtype=torch.float64)
    flat = torch.zeros(1, 4, dtype=torch.float64)
    for metric, best in (
        (Deletion(4, filling="zero", part="edges"), min),
        (Insertion(4, filling="zero", part="edges"), max),
    ):
        orders = {
            o: float(values(metric, model, (torch.tensor([o]).double(), flat), (a, b))) for o in permutations(range(4))
        }
        oracle = float(values(metric, model, (weights[None], flat), (a, b)))
        inverted = float(values(metric, model, (-weights[None], flat), (a, b)))
        assert oracle == pytest.approx(best(orders.values()), abs=1e-12)
        assert inverted == pytest.approx((max if best is min else min)(orders.values()), abs=1e-12)
    gain = RelevanceGain(4, filling="zero")
    assert values(gain, model, (a, a), (a, b)) == pytest.approx(-values(gain, model, (-a, -a), (a, b)))


def test_a_random_order_loses_the_score_in_proportion() -> None:
    model = SiameseModel(nn.Identity(), "dot")
    a, b = rows(1, 8)
    metric = [Deletion(8, filling="zero", part="diagonal", seed=seed) for seed in range(0, 2000, 10)]
    batch, explanation = explained(model, (torch.zeros_like(a), torch.zeros_like(b)), (a, b))
    curves = torch.stack([one.compute(batch, explanation).values[0] for one in metric])
    share = 1 - torch.linspace(0, 1, 9, dtype=torch.float64)
    whole = float(model(a, b))
    error = curves.std(0) / math.sqrt(len(curves))
    # unit i stays on both sides with probability (1-p)(1-q), for a flat map's orders of the two sides are independent
    off = (curves.mean(0) - whole * share[:, None] * share[None]).abs()
    assert bool((off <= 5 * error + 1e-9).all())


def test_deletion_is_that_of_rise_where_only_one_input_counts() -> None:
    """RISE's own definition: pixels are blanked from the most important on, and the area is trapezoidal."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 2)).double()
    image = torch.rand(1, 1, 6, 6, dtype=torch.float64)
    saliency = torch.rand(1, 1, 6, 6, dtype=torch.float64)
    target = torch.tensor([[1.0, -2.0]], dtype=torch.float64)
    model = SiameseModel((network, nn.Identity()), "dot")
    order = saliency.flatten().argsort(descending=True)
    scores, now = [], image.clone()
    for step in range(13):
        scores.append(float((network(now).detach() * target).sum()))
        now.view(-1)[order[3 * step : 3 * step + 3]] = 0
    theirs = (sum(scores) - scores[0] / 2 - scores[-1] / 2) / (len(scores) - 1)
    batch, explanation = explained(model, (saliency, torch.zeros_like(target)), (image, target))
    found = Deletion(12, filling="zero").compute(batch, explanation)
    assert (found.values[0, :, 0] - torch.tensor(scores, dtype=torch.float64)).abs().max() < 1e-9
    assert float(torch.trapezoid(found.values[0, :, 0])) / 12 == pytest.approx(theirs, abs=1e-9)


def test_equal_values_favour_no_place() -> None:
    flat = Units(torch.zeros(1, 20), torch.ones(1, 20, dtype=torch.bool))
    places = torch.stack([flat.ranks(seed)[0] for seed in range(600)]).double().mean(0)
    assert (places - 9.5).abs().max() < 5 * 20 / math.sqrt(12 * 600)
    padded = Units(torch.tensor([[0.0] * 20 + [-math.inf] * 5]), torch.arange(25)[None] < 20)
    assert torch.equal(padded.ranks(3)[:, :20], flat.ranks(3))  # a wider batch of graphs draws the same order


def test_measures_against_the_truth() -> None:
    truth = torch.tensor([1, 0, 0, 1, 0])
    assert float(auroc(truth.double(), truth)) == 1
    assert float(auroc(-truth.double(), truth)) == 0
    assert float(auroc(torch.zeros(5), truth)) == 0.5
    assert float(auroc(torch.tensor([3.0, 1.0, 2.0]), torch.tensor([1, -1, 0]))) == 1  # three kinds, all in order
    assert float(average_precision(torch.zeros(5), truth)) == pytest.approx(0.4)  # a flat map: the share of right ones
    assert float(top_share(torch.zeros(5), truth, 1)) == pytest.approx(0.4)
    sklearn = pytest.importorskip("sklearn.metrics")
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        m, t = torch.randint(5, (30,), generator=generator).double(), torch.rand(30, generator=generator) < 0.3
        assert float(auroc(m, t.long())) == pytest.approx(sklearn.roc_auc_score(t, m))
        assert float(average_precision(m, t.long())) == pytest.approx(sklearn.average_precision_score(t, m))


TRUTHS = ("auroc", "auroc_positive", "auroc_magnitude", "average_precision", "hit_at_k", "pointing_game", "iou")


@pytest.mark.parametrize("name", TRUTHS)
def test_the_oracle_is_at_the_top_and_chance_is_chance(name: str) -> None:
    pairs = planted("patches", 40)
    model = shipped("planted-patches").model
    oracle = tuple(t[:, None].double() for t in pairs.truth)
    assert values(name, model, oracle, pairs.inputs, truth=pairs.truth).min() == 1
    assert made(name).higher_is_better
    inverted = tuple(-t[:, None].double() for t in pairs.truth)
    assert name == "auroc_magnitude" or values(name, model, inverted, pairs.inputs, truth=pairs.truth).max() < 0.51
    noise = tuple(torch.randn(40, 1, 32, 32, generator=torch.Generator().manual_seed(k)) for k in range(2))
    found = values(name, model, noise, pairs.inputs, truth=pairs.truth)
    chance = {"auroc": 0.5, "auroc_positive": 0.5, "auroc_magnitude": 0.5, "iou": 1 / 31}.get(name, 1 / 16)
    assert abs(float(found.mean()) - chance) < 4 * float(found.std()) / math.sqrt(40) + 0.003


def test_simplicity_of_a_flat_map_and_of_a_single_unit() -> None:
    model, inputs = linear(8), rows(2, 8)
    flat, single = torch.ones(2, 8).double(), torch.eye(8).double()[:2]
    for name, of_flat, of_single in (("gini", 0, 1 - 1 / 8), ("entropy", math.log(8), 0), ("effective_size", 8, 1)):
        assert values(name, model, (flat, flat), inputs).tolist() == pytest.approx([of_flat] * 2, abs=1e-12)
        assert values(name, model, (single, -single), inputs).tolist() == pytest.approx([of_single] * 2, abs=1e-12)
        assert values(name, model, (0 * flat, 0 * flat), inputs).tolist() == pytest.approx([of_flat] * 2, abs=1e-12)


def test_completeness_of_exact_maps_is_zero_and_of_no_map_one() -> None:
    model, (a, b) = SiameseModel(nn.Identity(), "dot"), rows(3, 4)
    half = a * b / 2
    assert values("completeness", model, (half, half), (a, b)).max() < TOLERANCE
    assert values("completeness", model, (0 * half, 0 * half), (a, b)) == pytest.approx(torch.ones(3))


def test_the_block_fit_of_the_true_matrix_is_one() -> None:
    model, (a, b) = linear(5), rows(3, 5)
    matrix = a[:, :, None] * b[:, None] * (model.encoder.weight.T @ model.encoder.weight).detach()
    batch, explanation = explained(model, (a, b), (a, b))
    object.__setattr__(explanation, "columns", {"matrix": list(matrix)})
    fit = made("block_fit")
    fit.filling = "zero"  # type: ignore[attr-defined]
    assert number(fit.compute(batch, explanation)) == pytest.approx(torch.ones(3), abs=1e-12)
    object.__setattr__(explanation, "columns", {"matrix": list(torch.zeros_like(matrix))})
    assert number(fit.compute(batch, explanation)) == pytest.approx(torch.zeros(3), abs=1e-12)


def test_matrices_against_known_matches() -> None:
    truth = torch.tensor([[1, 0, 0, 1], [0, 1, 0, 0]])
    right = (truth[:, :, None] * truth.flip(0)[:, None]).double()
    batch, explanation = explained(linear(4), (truth.double(), truth.double()), rows(2, 4))
    for name in ("matrix_hit", "matrix_auroc", "one_to_one"):
        object.__setattr__(explanation, "columns", {"matrix": list(right)})
        assert number(made(name).compute(batch, explanation, truth=(truth, truth.flip(0)))).tolist() == [1, 1]
        object.__setattr__(explanation, "columns", {"matrix": list(-right)})
        assert number(made(name).compute(batch, explanation, truth=(truth, truth.flip(0)))).max() == 0


class Oracle(PairSaliency):
    """The exact share of each column of a dot product, half for each side: moves with the partner as it should."""

    name = "oracle"
    unsigned = False

    def compute(self, batch: Any, **options: Any) -> Any:
        product = batch.leaves[0] * batch.leaves[1] / 2
        return product, product


class Blind(PairSaliency):
    """Each side's own size, whatever the partner."""

    name = "blind"
    unsigned = False

    def compute(self, batch: Any, **options: Any) -> Any:
        return batch.leaves[0].abs(), batch.leaves[1].abs()


def two_parts(pairs: int = 6) -> dict[str, Any]:
    """a holds columns 0, 1 and 2, 3; b shares the first two, the other partner the last two."""
    a = torch.rand(pairs, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 0.5
    first = torch.tensor([1.0, 1.0, 0.0, 0.0], dtype=torch.float64).expand(pairs, 4)
    truth = first.long()
    return {
        "pairs": (a, first),
        "partners": 1 - first,
        "partner_truth": 1 - truth,
        "truth": (truth, truth),
        "twins": first + 0.01 * torch.eye(4)[0],
    }


def test_what_moves_with_the_partner_is_specific_and_what_does_not_is_not() -> None:
    model, known = SiameseModel(nn.Identity(), "dot"), two_parts()
    names = ["partner_sensitivity", "partner_contrast", "partner_invariance", "marginal_agreement"]
    right = measure(Oracle(model), metrics=names, **known)
    assert [right[name].mean for name in names] == pytest.approx([1, 1, 1, 1], abs=1e-3)
    blind = measure(Blind(model), metrics=names[:3], **known)
    assert [blind[name].mean for name in names[:3]] == pytest.approx([0, 0, 1], abs=1e-9)


def test_sanity_refuses_an_edge_detector() -> None:
    model, pairs = shipped("planted-patches").model, planted("patches", 3)
    names = ["randomisation", "constant_model", "swap"]
    fake = measure(EdgeDetector(model), pairs, names)
    assert [fake[name].mean for name in names] == pytest.approx([1, 1, 1])
    honest = measure(PairGradCAM(model), pairs, names)
    assert honest["randomisation"].mean < 0.9
    assert [honest[name].mean for name in names[1:]] == pytest.approx([0, 1], abs=1e-4)
    specific = ["partner_sensitivity", "partner_contrast"]
    assert [measure(EdgeDetector(model), pairs, specific)[n].mean for n in specific] == pytest.approx([0, 0], abs=1e-9)


def test_what_is_measured_does_not_depend_on_the_batch_or_the_run() -> None:
    model, pairs = shipped("planted-words").model, planted("words", 3)
    saliency = PairSaliency(model)
    whole = measure(
        saliency,
        pairs,
        [
            "auroc",
            "deletion",
            "keep_top",
            "average_drop",
            "partner_sensitivity",
            "randomisation",
            "noise_stability",
            "max_sensitivity",
            "infidelity",
        ],
    )
    again = measure(saliency, pairs, list(whole))
    for name, one in whole.items():
        assert torch.equal(one.values, again[name].values), name
        for i in range(len(pairs)):
            alone = measure(saliency, pairs[i : i + 1], [name])[name].values
            assert torch.allclose(one.values[i : i + 1], alone, atol=1e-5), name


def test_graphs_are_measured_node_by_node_whatever_else_is_in_the_batch() -> None:
    pytest.importorskip("torch_geometric")
    model, pairs = shipped("planted-motifs").model, planted("motifs", 3)
    saliency = PairSaliency(model)
    whole = measure(saliency, pairs, ["auroc", "deletion", "gini", "partner_contrast"])
    for i in range(3):
        alone = measure(saliency, pairs[i : i + 1], list(whole))
        for name, one in whole.items():
            assert torch.allclose(one.values[i : i + 1], alone[name].values, atol=1e-5), name


def test_aggregating_over_batches_equals_one_run() -> None:
    pytest.importorskip("torchmetrics")
    pairs = scene("words").verification(12)
    saliency = PairSaliency(shipped("planted-words").model)
    for name in ("gini", "verification_deletion"):
        whole = measure(saliency, pairs, [name])[name].mean
        state = over_batches(made(name))
        for part in (pairs[:5], pairs[5:]):
            state.update(batch_of(saliency, part.inputs), saliency.explain(part.inputs), labels=part.alike)
        assert float(state.compute()) == pytest.approx(whole, abs=1e-6)


def test_an_unsigned_map_is_turned_where_what_it_shows_pushes_apart() -> None:
    model = SiameseModel(nn.Identity(), "dot")
    a, b = torch.tensor([[1.0, 1.0, 0.1]]).double(), torch.tensor([[-1.0, -2.0, 0.1]]).double()
    relevance = torch.tensor([[0.5, 1.0, 0.0]]).double()
    batch, explanation = explained(model, (relevance, relevance), (a, b), shows="relevance")
    metric = Deletion(3, filling="zero")
    _, signed = explained(model, (-relevance, -relevance), (a, b))
    assert number(metric.compute(batch, explanation)) < number(metric.compute(batch, signed)) * -1 + 2
    truth = (torch.tensor([[-1, -1, 0]]),) * 2
    assert number(made("auroc").compute(batch, explanation, truth=truth)).tolist() == [1]


def test_blur_keeps_the_mean_of_a_flat_image_and_every_filling_has_its_shape() -> None:
    flat = torch.full((2, 1, 8, 8), 0.3)
    assert torch.allclose(blurred(flat), flat, atol=1e-6)
    model = shipped("planted-patches").model
    pairs = planted("patches", 2)
    batch, _ = explained(model, pairs.inputs, pairs.inputs)
    nothing = [torch.zeros(2, 32 * 32, dtype=torch.bool)]
    for filling in ("zero", "mean", "blur", "noise", "partner", 0.5):
        assert along(batch, (nothing, nothing), filling, 0).shape == (2, 1)
    swapped = along(batch, (nothing, nothing), "partner", 0)[:, 0]
    assert torch.allclose(swapped, model(*pairs.inputs), atol=1e-5)  # all of b in a's place, and the reverse


def test_truths_of_one_kind_have_no_number() -> None:
    """No unit to be found, none that is not, and a pair whose a shares nothing with its second partner."""
    assert math.isnan(average_precision(torch.rand(3), torch.zeros(3)))
    assert math.isnan(average_precision(torch.rand(3), torch.ones(3)))
    pairs = planted("words", 3)
    saliency = PairSaliency(shipped("planted-words").model)
    assert pairs.others is not None
    assert pairs.other_truth is not None
    nothing = pairs.other_truth.clone()
    nothing[1] = 0
    names = ["partner_sensitivity"]
    known = {"truth": pairs.truth, "partners": pairs.others}
    whole = measure(saliency, pairs.inputs, names, partner_truth=pairs.other_truth, **known)[names[0]].values
    found = measure(saliency, pairs.inputs, names, partner_truth=nothing, **known)[names[0]].values
    assert found.isnan().tolist() == [False, True, False]
    assert found[[0, 2]].tolist() == whole[[0, 2]].tolist()


def test_metrics_of_what_a_model_does_not_have() -> None:
    """What encoders share is nothing of two encoders, and other encoders nothing of a joint model: no number, not 0."""
    twin = SiameseModel((nn.Linear(4, 3).double(), nn.Linear(4, 3).double()), "dot").eval()
    joint = Joint(linear(4))
    found = measure(PairSaliency(twin), rows(2, 4), ["swap"])
    assert found["swap"].values.isnan().all()
    found = measure(PairSaliency(joint), rows(2, 4), ["constant_model"])
    assert found["constant_model"].values.isnan().all()


def graph_maps(part: str, count: int) -> tuple[Any, Any, Any]:
    """Two graphs, their model, and maps of one part of them with so many values."""
    explain = pytest.importorskip("torch_geometric.explain")
    model = shipped("planted-motifs").model
    inputs = planted("motifs", 1).inputs
    return model, inputs, tuple(explain.Explanation(**{part: torch.rand(count)}) for _ in range(2))


def test_bad_input_of_metrics_of_graphs_is_named() -> None:
    model, inputs, maps = graph_maps("node_mask", 5)
    nodes = [len(one.x) for one in inputs]
    with pytest.raises(ValueError, match=f"^the map of a has no node_mask for its {nodes[0]} nodes$"):
        values("gini", model, maps, inputs)
    found = PairSaliency(model).attribute(inputs)
    with pytest.raises(ValueError, match=f"^the truth of a has 3 values for {nodes[0]} nodes: one each is needed$"):
        values("auroc", model, found, inputs, truth=(torch.ones(3), torch.ones(3)))
    with pytest.raises(ValueError, match=r"^PairSaliency explained nodes and edges: metrics take one part of a graph$"):
        measure(PairSaliency(model), inputs, ["gini"], parts=("nodes", "edges"))
    with pytest.raises(
        ValueError,
        match=r"^filling='partner' puts the other item's values in: the two must have one shape and order$",
    ):
        measure(PairSaliency(model), inputs, [Deletion(2, filling="partner")])


def test_bad_settings_and_maps_are_named() -> None:
    model, inputs = linear(4), rows(2, 4)
    saliency = PairSaliency(model)
    short = rows(2, 3)
    twice = [DropTop(0.2), DropTop(0.4)]
    recipe = Recipe(saliency)
    for call, says in (
        (lambda: DropTop(1.0), "share=1.0: a number between 0 and 1 is needed"),
        (
            lambda: measure(saliency, inputs, twice),
            "two metrics are called 'drop_top': give one of them a name of its own",
        ),
        (
            lambda: values(Deletion(2, filling="grey"), model, inputs, inputs),
            "filling='grey': 'zero', 'mean', 'blur', 'noise', 'partner' or a number is needed",
        ),
        (
            lambda: values("gini", model, ([inputs[0]], inputs[1]), inputs),
            "told gave several maps for input a: metrics take one; explain one layer or tensor",
        ),
        (
            lambda: values("infidelity", model, short, inputs, explainer=recipe),
            "infidelity takes maps of the inputs' own shape, and told gave others",
        ),
        (lambda: values("matrix_auroc", model, inputs, inputs), "told gives maps and no matrix of parts by parts"),
        (
            lambda: values("block_fit", Joint(model), inputs, inputs),
            "block_fit compares parts of a with parts of b: a SiameseModel is needed",
        ),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(says)}$"):
            call()
    assert made(Gini).name == "gini"  # a class is made


def test_a_metric_of_another_kind_of_input_is_told() -> None:
    class OfImages(Gini):
        """Of images only."""

        name = "of_images"
        kinds = frozenset({"image"})

    with pytest.raises(ValueError, match=r"^of_images is for image, and this is a row$"):
        measure(PairSaliency(linear(4)), rows(2, 4), [OfImages()])


def test_bad_input_is_named() -> None:
    model, inputs = linear(4), rows(2, 4)
    bad = inputs[0].clone()
    bad[1, 2] = math.nan
    with pytest.raises(ValueError, match="NaN or infinite values for input a, row 1"):
        values("gini", model, (bad, inputs[1]), inputs)
    with pytest.raises(ValueError, match=r"map of a has shape \(2, 3\)"):
        values("gini", model, (inputs[0][:, :3], inputs[1]), inputs)
    with pytest.raises(ValueError, match="units of one kind only"):
        values("auroc", model, inputs, inputs, truth=(torch.ones(2, 4), torch.ones(2, 4)))
    with pytest.raises(ValueError, match=r"truth of a has shape \(2, 3\)"):
        values("auroc", model, inputs, inputs, truth=(torch.ones(2, 3), torch.ones(2, 3)))
    with pytest.raises(ValueError, match="did you mean 'auroc'"):
        measure(PairSaliency(model), inputs, ["auroccc"])
    with pytest.raises(ValueError, match="auroc needs truth"):
        measure(PairSaliency(model), inputs, ["auroc"])
    with pytest.raises(ValueError, match="block_fit needs matrix"):
        measure(PairSaliency(model), inputs, ["block_fit"])
    with pytest.raises(ValueError, match="all pairs have one label"):
        measure(PairSaliency(model), inputs, ["verification_deletion"], labels=torch.ones(2))
    with pytest.raises(ValueError, match="holds no pair"):
        measure(PairSaliency(model), (inputs[0][:0], inputs[1][:0]), ["gini"])
    with pytest.raises(ValueError, match="filling='blur' is for items with places"):
        values(Deletion(2, filling="blur"), model, inputs, inputs)
    assert "measure" in dir(xsiamese)


def test_a_constant_map_has_defined_values() -> None:
    pairs = planted("words", 4)
    flat = tuple(torch.ones_like(side) for side in pairs.inputs)
    model = shipped("planted-words").model
    assert values("auroc", model, flat, pairs.inputs, truth=pairs.truth).tolist() == [0.5] * 4
    assert values("pointing_game", model, flat, pairs.inputs, truth=pairs.truth) == pytest.approx(torch.full((4,), 0.1))
    assert bool(torch.isfinite(values("relevance_gain", model, flat, pairs.inputs)).all())


def test_a_layer_map_is_brought_to_the_input() -> None:
    batch, _ = explained(shipped("planted-patches").model, *[planted("patches", 2).inputs] * 2)
    assert units_of(torch.rand(2, 1, 8, 8), batch.a).values.shape == (2, 1024)
    assert units_of(torch.rand(2, 1, 32, 32), batch.a).values.shape == (2, 1024)


def test_a_layer_s_map_of_token_ids_counts_by_token() -> None:
    """s = sum_i sum_j w(a_i) . w(b_j): gradient x activation at the vectors is each token's part, known by hand."""
    torch.manual_seed(0)
    table = nn.Embedding(6, 3).double()

    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = table

        def forward(self, ids: Tensor) -> Tensor:
            found: Tensor = self.table(ids).sum(1)
            return found

    model = SiameseModel(Sum(), "dot").eval()
    ids = torch.tensor([[1, 2, 3, 4]]), torch.tensor([[5, 1, 0, 2]])
    vectors = [table.weight.detach()[i[0]] for i in ids]
    parts = [vectors[0] @ vectors[1].sum(0), vectors[1] @ vectors[0].sum(0)]
    method = xsiamese.explainers()["PairLayerGradientXActivation"](model)
    found = method.explain(ids)
    batch = batch_of(method, ids)
    for value, side, part in zip(found.maps, (batch.a, batch.b), parts, strict=True):
        assert torch.allclose(units_of(value, side).values[0], part, atol=TOLERANCE)
    truth = tuple((part == part.max()).long()[None] for part in parts)
    assert measure(method, ids, ["auroc"], truth=truth)["auroc"].mean == 1.0
    assert math.isfinite(measure(method, ids, ["deletion"])["deletion"].mean)


def test_a_layer_that_is_a_module_is_the_other_models_own() -> None:
    model, other = (SiameseModel(encoder(), "dot") for _ in range(2))
    with torch.no_grad():
        other.encoder[0].weight.mul_(2)
    inputs = pair_items()
    found = Recipe(PairGradCAM(model, model.encoder[3])).explain(inputs, other)
    expected = PairGradCAM(other, "3").explain(inputs)
    for one, two in zip(found.maps, expected.maps, strict=True):
        torch.testing.assert_close(one, two)
    assert not torch.allclose(found.maps[0], PairGradCAM(model, "3").explain(inputs).maps[0])


def test_an_explainer_that_knows_the_truth_knows_it_of_its_own_pairs_only() -> None:
    pairs = planted("words", 2)
    known = Graded(shipped("planted-words").model)
    assert known.of(pairs, 0).explain((pairs.a, pairs.others)).method == GRADES[0]
    alone = known.of(replace(pairs, others=None), 0)
    assert alone.explain(pairs.inputs).method == GRADES[0]
    said = "this explainer knows the truth of its own pairs only, and of their partners"
    with pytest.raises(ValueError, match=f"^{said}$"):
        alone.explain((pairs.a, pairs.others))
