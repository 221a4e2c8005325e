"""The number of each metric on pairs where it can be worked out by hand, or by numpy."""

from __future__ import annotations

import math
import multiprocessing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xsiamese import (
    PairAttribution,
    PairExplanation,
    PairFeatureAblation,
    PairSaliency,
    SiameseModel,
    TwoInputModel,
    measure,
)
from xsiamese.data.planted import planted, scene
from xsiamese.metrics.captum import Infidelity, MaxSensitivity
from xsiamese.metrics.catalogue import chosen, made, metrics
from xsiamese.metrics.measure import batch_of, interval
from xsiamese.metrics.meta import MetaScore, meta_scores
from xsiamese.metrics.metric import Metric, area, number
from xsiamese.metrics.robustness import NoiseStability, ReferenceStability, SeedStability
from xsiamese.metrics.sanity import CascadingRandomisation, LabelRandomisation, _edges, _randomise
from xsiamese.metrics.scored import along, embedded
from xsiamese.metrics.simplicity import _shares
from xsiamese.metrics.specificity import _sum
from xsiamese.metrics.states import over_batches
from xsiamese.metrics.surface import Deletion, VerificationDeletion, _accuracy, equal_error
from xsiamese.metrics.topk import AverageDrop, AverageIncrease, DropTop, KeepTop, _soft
from xsiamese.metrics.truth import HitAtK, auroc, top_share
from xsiamese.metrics.units import Units, default_fillings, fill_in, per_unit
from xsiamese.pairs.labels import pair_labels
from xsiamese.zoo import shipped

A = torch.tensor([[1.0, 2.0, 3.0, 4.0]]).double()
B = torch.tensor([[4.0, -1.0, 2.0, 1.0]]).double()  # a b = 4, -2, 6, 4: 12 in all


def dot() -> SiameseModel:
    return SiameseModel(nn.Identity(), "dot").eval()


def told(metric: Any, maps: tuple[Tensor, Tensor], inputs: tuple[Tensor, Tensor] = (A, B), **needs: Any) -> Tensor:
    """What a metric says of maps that are given."""
    saliency = PairSaliency(dot())
    explanation = PairExplanation(maps=maps, inputs=inputs, scores=saliency.scores(inputs), method="told")
    return number(made(metric).compute(batch_of(saliency, inputs), explanation, **needs))


class _Told(PairAttribution):
    """An explainer whose maps are what a formula says."""

    modalities = frozenset({"row"})
    formula = "by hand"
    uses_gradients = False


class Own(_Told):
    """Each side itself."""

    name = "own"

    def compute(self, batch: Any) -> Any:
        return batch.leaves


class Opposite(_Told):
    """The second map with the other sign."""

    name = "opposite"

    def compute(self, batch: Any) -> Any:
        return batch.leaves[0], -batch.leaves[1]


class Uneven(_Told):
    """A map of a that is not made as that of b: a b, and b b."""

    name = "uneven"

    def compute(self, batch: Any) -> Any:
        return batch.leaves[0] * batch.leaves[1], batch.leaves[1] ** 2


class OfBatch(_Told):
    """Each side less the mean of all pairs: what else is in the batch counts."""

    name = "of_batch"

    def compute(self, batch: Any) -> Any:
        return tuple(x - x.mean(0) for x in batch.leaves)


class Drawn(_Told):
    """Noise of the seed."""

    name = "drawn"
    stochastic = True

    def compute(self, batch: Any) -> Any:
        generator = torch.Generator().manual_seed(batch.seed)
        return tuple(torch.randn(x.shape, generator=generator, dtype=x.dtype) for x in batch.leaves)


def test_what_is_kept_and_what_is_dropped() -> None:
    top = torch.tensor([[9.0, 0.0, 8.0, 1.0]]).double(), torch.tensor([[9.0, 1.0, 8.0, 0.0]]).double()
    assert told(KeepTop(0.5, filling="zero"), top).tolist() == [10]  # columns 0 and 2 on both sides: 4 + 6
    assert told(DropTop(0.5, filling="zero"), top).tolist() == [2]  # 1 and 3: -2 + 4
    other = top[0], top[0].flip(1)  # of b columns 1 and 3: nothing is on both sides
    assert told(KeepTop(0.5, filling="zero"), other).tolist() == [0]


def test_multiplied_with_the_maps() -> None:
    half = torch.tensor([[2.0, -5.0, 1.0, 0.0]]).double()  # scaled: 1, 0, 1/2, 0
    left = 4 * 1 + 6 / 4
    assert told(AverageDrop(filling="zero"), (half, half)).tolist() == pytest.approx([(12 - left) / 12])
    assert told(AverageIncrease(filling="zero"), (half, half)).tolist() == [0]
    harmful = torch.tensor([[1.0, 0.0, 1.0, 1.0]]).double()  # all but what pushes apart: 14 of 12
    assert told(AverageDrop(filling="zero"), (harmful, harmful)).tolist() == [0]
    assert told(AverageIncrease(filling="zero"), (harmful, harmful)).tolist() == [1]
    assert bool(told(AverageDrop(filling="zero"), (half, half), (A, -B)).isnan().all())  # of a score below zero
    flat = torch.ones(1, 4).double()  # all stays: neither a fall nor a rise
    assert told(AverageDrop(filling="zero"), (flat, flat)).tolist() == [0]
    assert told(AverageIncrease(filling="zero"), (flat, flat)).tolist() == [0]


def test_hits_and_overlap() -> None:
    truth = (torch.tensor([[1, 0, 1, 0]]),) * 2
    maps = torch.tensor([[4.0, 3.0, 2.0, 1.0]]).double(), torch.tensor([[1.0, 1.0, 1.0, 0.0]]).double()
    # of a: 1, 1/2, 2/3; of b, whose first three are equal and two of them right: 2/3 whatever k up to 3
    for k, of_a in ((1, 1.0), (2, 1 / 2), (3, 2 / 3)):
        assert told(HitAtK(k), maps, truth=truth).tolist() == pytest.approx([(of_a + 2 / 3) / 2])
    assert told("pointing_game", maps, truth=truth).tolist() == pytest.approx([(1 + 2 / 3) / 2])
    # two of each are taken: 1 right of 3 together; and 4/3 expected of 4 - 4/3
    assert told("iou", maps, truth=truth).tolist() == pytest.approx([(1 / 3 + (4 / 3) / (4 - 4 / 3)) / 2])


def test_what_the_maps_sum_to() -> None:
    for first, second, agree in ((3.0, 1.0, 0.5), (2.0, 2.0, 1.0), (3.0, -1.0, 0.0)):
        maps = torch.tensor([[first, 0, 0, 0]]).double(), torch.tensor([[0, second, 0, 0]]).double()
        assert told("marginal_agreement", maps).tolist() == pytest.approx([agree])


@pytest.mark.parametrize(("b", "sign"), [(B, 1), (-B, -1)])
def test_a_relevance_should_move_the_score_to_where_nothing_is_left(b: Tensor, sign: int) -> None:
    """The score is 12, or -12, and 0 where nothing is left: deleting what carries it lowers or raises it."""
    maps, saliency = (A, A), PairSaliency(dot())
    told_of = [
        PairExplanation(maps=maps, inputs=(A, b), scores=saliency.scores((A, b)), method="told", shows=shows)
        for shows in ("signed", "relevance")
    ]
    signed, relevance = (
        float(Deletion(4, filling="zero").compute(batch_of(saliency, (A, b)), one).number) for one in told_of
    )
    assert signed != 0
    assert relevance == pytest.approx(sign * signed)


def test_how_simple_is_the_mean_of_both_sides() -> None:
    """One unit of four on one side, all alike on the other."""
    single, flat = torch.tensor([[0.0, 0.0, -7.0, 0.0]]).double(), torch.full((1, 4), 3.0).double()
    for maps in ((single, flat), (flat, single)):
        assert told("gini", maps).tolist() == pytest.approx([(3 / 4 + 0) / 2])
        assert told("entropy", maps).tolist() == pytest.approx([(0 + math.log(4)) / 2])
        assert told("effective_size", maps).tolist() == pytest.approx([(1 + 4) / 2])


def test_partly_on_the_right_part() -> None:
    """a's map is itself whatever the partner but for what is shared, which counts three times."""

    class Partly(_Told):
        name = "partly"

        def compute(self, batch: Any) -> Any:
            a, b = batch.leaves
            return a * (1 + 2 * b), b

    a, first = torch.ones(1, 4).double(), torch.tensor([[1.0, 1.0, 0.0, 0.0]]).double()
    known: dict[str, Any] = {"partners": 1 - first, "partner_truth": (1 - first).long(), "truth": (first.long(),) * 2}
    found = measure(Partly(dot()), (a, first), ["partner_contrast", "partner_sensitivity"], **known)
    assert found["partner_contrast"].mean == pytest.approx((3 - 1 + 3 - 1) / (3 + 1 + 3 + 1))
    assert found["partner_sensitivity"].mean == 1
    one, two = torch.tensor([[1.0, 0.0, 0.0, 0.0]]).double(), torch.tensor([[0.0, 0.5, 0.5, 0.0]]).double()
    known = {"partners": two, "partner_truth": (two > 0).long(), "truth": (one.long(),) * 2}
    found = measure(Partly(dot()), (a, one), ["partner_contrast"], **known)  # a mean of one unit, and of two
    assert found["partner_contrast"].mean == pytest.approx((3 - 1 + 2 - 1) / (3 + 1 + 2 + 1))


def test_noise_moves_a_map_that_is_the_input_by_its_own_share() -> None:
    a, b = 3 * torch.randn(2, 2, 20_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = measure(Own(dot()), (a, b), [NoiseStability(0.5, draws=1)])["noise_stability"]
    # corr(x, x + e) = 1 / sqrt(1 + 0.25), with a spread of about 1 / sqrt(20,000)
    assert found.values.tolist() == pytest.approx([1 / math.sqrt(1.25)] * 2, abs=0.02)


def test_each_side_and_each_draw_has_noise_of_its_own() -> None:
    class Asked:
        def explain(self, inputs: Any) -> Any:
            return inputs

    a = torch.ones(1, 4).double()
    metric, batch = NoiseStability(0.5, draws=2), batch_of(PairSaliency(dot()), (a, a))
    asked: Any = Asked()
    explanation: Any = None
    noises = [side for pair in metric.again(batch, explanation, asked) for side in pair]
    assert len({tuple(noise[0].tolist()) for noise in noises}) == 4


def test_seeds_and_references() -> None:
    a, b = torch.randn(2, 3, 400, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    seeds = SeedStability((1, 2))
    assert measure(Own(dot()), (a, b), [seeds])["seed_stability"].values.tolist() == pytest.approx([1] * 3)
    drawn = measure(Drawn(dot()), (a, b), [seeds])["seed_stability"].values
    assert drawn.abs().max() < 5 / math.sqrt(400)
    found = measure(PairFeatureAblation(dot()), (A, B), [ReferenceStability((0.5,))])["reference_stability"].values
    sides = [(A * B, (A - 0.5) * B), (A * B, (B - 0.5) * A)]  # what a column is worth from 0, and from a half
    by_hand = np.mean([np.corrcoef(x[0].numpy(), y[0].numpy())[0, 1] for x, y in sides])
    assert found.tolist() == pytest.approx([by_hand])


def test_what_else_is_in_the_batch() -> None:
    two = torch.cat([A, 3 * A]), torch.cat([B, B])
    assert measure(Own(dot()), two, ["batch_stability"])["batch_stability"].values.tolist() == [0, 0]
    # alone a pair less its own mean is zero: all of the map is of the batch
    assert measure(OfBatch(dot()), two, ["batch_stability"])["batch_stability"].values.tolist() == [1, 1]


def test_an_item_beside_itself_and_the_sides_swapped() -> None:
    found = measure(Own(dot()), (A, B), ["self_pair", "swap"])
    assert [found[name].mean for name in found] == pytest.approx([1, 1])
    assert measure(Opposite(dot()), (A, B), ["self_pair"])["self_pair"].mean == pytest.approx(-1)
    uneven = measure(Uneven(dot()), (A, B), ["swap"])["swap"].mean
    sides = [(A * B, A**2), (B**2, A * B)]
    by_hand = np.mean([np.corrcoef(x[0].numpy(), y[0].numpy())[0, 1] for x, y in sides])
    assert uneven == pytest.approx(by_hand)


def test_a_map_that_turns_round_on_random_weights_has_not_changed() -> None:
    """Its correlation is -1: what it shows is where it was."""

    class Turning(_Told):
        name = "turning"

        def compute(self, batch: Any) -> Any:
            sign = 1 if float(batch.model.encoder.weight[0, 0]) == 5 else -1
            return tuple(sign * leaf for leaf in batch.leaves)

    model = SiameseModel(nn.Linear(4, 4, bias=False).double(), "dot").eval()
    nn.init.constant_(model.encoder.weight, 5.0)  # type: ignore[arg-type]
    nn.init.constant_(model.encoder.weight[1:], 4.0)  # type: ignore[index]
    assert measure(Turning(model), (A, B), ["randomisation"])["randomisation"].mean == pytest.approx(1)


def test_a_model_of_random_labels() -> None:
    torch.manual_seed(0)
    one, other = (SiameseModel(nn.Linear(4, 4, bias=False).double(), "dot").eval() for _ in range(2))

    class Gradient(_Told):
        name = "gradient"

        def compute(self, batch: Any) -> Any:
            weight = batch.model.encoder.weight
            product = (weight.T @ weight).detach()
            return batch.leaves[1] @ product, batch.leaves[0] @ product

    found = measure(Gradient(one), (A, B), [LabelRandomisation(other)])["label_randomisation"].mean
    products = [(m.encoder.weight.T @ m.encoder.weight).detach().numpy() for m in (one, other)]  # type: ignore[operator]
    sides = [[(x.numpy() @ product)[0] for product in products] for x in (B, A)]
    assert found == pytest.approx(abs(np.mean([np.corrcoef(*side)[0, 1] for side in sides])))


def test_infidelity_of_a_dot_product() -> None:
    """I m - (s(x) - s(x - I)) = I_a I_b for the gradient's maps: in the mean of its square scale^4 for each column."""
    found = told_by(_Partner(dot()), Infidelity(0.5, draws=20_000))
    assert found == pytest.approx(4 * 0.5**4, rel=0.1)
    assert told_by(_Partner(dot()), Infidelity(0.0, draws=2)) == 0


class _Partner(_Told):
    """The gradient of a dot product."""

    name = "partner"

    def compute(self, batch: Any) -> Any:
        return batch.leaves[1], batch.leaves[0]


def told_by(explainer: PairAttribution, metric: Metric) -> float:
    (found,) = measure(explainer, (A, B), [metric]).values()
    return found.mean


def test_max_sensitivity_of_a_map_that_is_the_input() -> None:
    """|delta| / |x|, of the worst of many draws nearly the corner of the cube; of one that does not move nothing."""
    size = math.sqrt(float((A**2).sum() + (B**2).sum()))
    found = told_by(Own(dot()), MaxSensitivity(0.1, draws=4000))
    assert 0.7 * 0.1 * math.sqrt(8) / size < found <= 0.1 * math.sqrt(8) / size

    class Still(_Told):
        name = "still"

        def compute(self, batch: Any) -> Any:
            return tuple(torch.ones_like(x) for x in batch.leaves)

    assert told_by(Still(dot()), MaxSensitivity(0.1, draws=4)) == 0


@pytest.mark.parametrize("by", ["accuracy", "eer"])
def test_a_decision_while_places_go(by: Any) -> None:
    """The first column alone decides: it goes first, and nothing is left; last, and all works to the end."""
    a = torch.ones(6, 4).double()
    labels = torch.tensor([1, 1, 1, 0, 0, 0])
    b = torch.cat([labels[:, None].double(), torch.ones(6, 3).double()], 1)
    first = torch.tensor([[4.0, 3.0, 2.0, 1.0]]).double().expand(6, 4)
    metric = VerificationDeletion(4, filling="zero", by=by)
    for maps, steps in ((first, [1.0, 0.5, 0.5, 0.5, 0.5]), (-first, [1.0, 1.0, 1.0, 1.0, 0.5])):
        numbers = told(metric, (maps, maps), (a, b), labels=labels)
        by_hand = np.trapezoid(np.array(steps) - 0.5, dx=1 / 4)
        assert metric.reduce(numbers) == pytest.approx(by_hand)


def test_the_equal_error_rate_is_that_of_the_two_curves() -> None:
    """Against the crossing of both error rates, looked for on a fine grid of thresholds."""
    generator = torch.Generator().manual_seed(4)
    same = torch.arange(400) % 2 == 0
    scores = torch.randn(400, generator=generator, dtype=torch.float64) + 1.3 * same
    grid = np.linspace(-5, 6, 20_001)
    known, other = np.sort(scores[same].numpy()), np.sort(scores[~same].numpy())
    missed, let_in = np.searchsorted(known, grid) / 200, 1 - np.searchsorted(other, grid) / 200
    at = np.abs(missed - let_in).argmin()
    assert float(equal_error(scores, same)) == pytest.approx((missed[at] + let_in[at]) / 2, abs=0.01)


def _part(rank: int, place: str, results: Any) -> None:
    """One of two processes: its half of the pairs, and what both together say."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{place}", rank=rank, world_size=2)
    pairs = scene("words").verification(10)[slice(0, 4) if rank == 0 else slice(4, 10)]
    saliency = PairSaliency(shipped("planted-words").model)
    found = {}
    for name in ("gini", "verification_deletion"):
        state = over_batches(made(name))
        state.update(batch_of(saliency, pairs.inputs), saliency.explain(pairs.inputs), labels=pairs.alike)
        found[name] = float(state.compute())
    results.put(found)
    torch.distributed.destroy_process_group()


def test_two_processes_say_what_one_says(tmp_path: Path) -> None:
    pytest.importorskip("torchmetrics")
    if not torch.distributed.is_gloo_available():
        pytest.skip("torch was built without gloo")
    forking = multiprocessing.get_context("fork")  # what is imported stays imported
    results = forking.Queue()
    place = str(tmp_path / "meeting")
    processes = [forking.Process(target=_part, args=(rank, place, results)) for rank in range(2)]
    for process in processes:
        process.start()
    found = [results.get(timeout=120) for _ in processes]
    for process in processes:
        process.join(60)
    pairs = scene("words").verification(10)
    saliency = PairSaliency(shipped("planted-words").model)
    for name in ("gini", "verification_deletion"):
        whole = measure(saliency, pairs, [name])[name].mean
        assert [one[name] for one in found] == pytest.approx([whole] * 2, abs=1e-6)


def test_the_interval_covers_the_mean_as_often_as_it_says() -> None:
    """Of 300 samples of pairs whose mean is known, nearly 95 % have it within the interval."""
    generator = torch.Generator().manual_seed(0)
    samples = torch.rand(300, 40, generator=generator, dtype=torch.float64)
    limits = [interval(made("gini"), one, 400, seed) for seed, one in enumerate(samples)]
    covered = sum(low <= 0.5 <= high for low, high in limits) / len(limits)
    assert 0.90 < covered <= 0.99


def test_planted_pairs_are_cut_with_all_that_is_known_of_them() -> None:
    pairs = planted("words", 5)
    some = pairs[torch.tensor([3, 1])]
    assert torch.equal(some.truth[0], pairs.truth[0][[3, 1]])
    assert torch.equal(some.twins, pairs.twins[[3, 1]])


@pytest.mark.parametrize(("name", "settings"), [
    ("deletion", "steps=20, part='volume', filling=None, seed=0"), ("keep_top", "share=0.2, filling=None, seed=0"),
    ("insertion", "steps=20, part='volume', filling=None, seed=0"), ("drop_top", "share=0.2, filling=None, seed=0"),
    ("relevance_gain", "steps=20, part='volume', filling=None, seed=0"), ("average_drop", "filling=None, seed=0"),
    ("verification_deletion", "steps=20, part='diagonal', filling=None, seed=0, by='accuracy'"),
    ("hit_at_k", "k=5"), ("pointing_game", "k=1"), ("randomisation", "stages=3, seed=0"),
    ("block_fit", "masks=24, share=0.5, filling=None, seed=1"), ("infidelity", "scale=0.05, draws=10, seed=0"),
    ("max_sensitivity", "radius=0.02, draws=4, seed=0"), ("noise_stability", "scale=0.05, draws=3, seed=0"),
    ("seed_stability", "seeds=(1, 2)"), ("reference_stability", "baselines=(0.25, 0.5)"), ("gini", ""),
])  # fmt: skip
def test_the_settings_that_published_numbers_were_made_with(name: str, settings: str) -> None:
    assert repr(made(name)) == f"{metrics()[name].__name__}({settings})"


LOW = {"completeness", "deletion", "drop_top", "average_drop", "verification_deletion", "randomisation"}
LOW |= {"label_randomisation", "constant_model", "batch_stability", "infidelity", "max_sensitivity"}
UNIT = {"auroc", "auroc_positive", "auroc_magnitude", "average_precision", "hit_at_k", "pointing_game", "iou"}
UNIT |= {"matrix_hit", "matrix_auroc", "one_to_one", "average_increase", "partner_sensitivity", "marginal_agreement"}
UNIT |= {"randomisation", "label_randomisation", "gini"}
SIGNED = {"partner_contrast", "partner_invariance", "self_pair", "swap", "noise_stability", "seed_stability"}
SIGNED |= {"reference_stability"}
FROM_ZERO = {"completeness", "average_drop", "entropy", "constant_model", "batch_stability", "infidelity"}
RANGES = dict.fromkeys(SIGNED, (-1.0, 1.0)) | dict.fromkeys(UNIT, (0.0, 1.0))
RANGES |= dict.fromkeys(FROM_ZERO | {"max_sensitivity"}, (0.0, math.inf))
RANGES |= {"verification_deletion": (0.0, 0.5), "effective_size": (1.0, math.inf), "block_fit": (-math.inf, 1.0)}
CHANCE = {"auroc": 0.5, "auroc_positive": 0.5, "auroc_magnitude": 0.5, "matrix_auroc": 0.5, "relevance_gain": 0.0}
CHANCE |= {"partner_sensitivity": 0.25, "partner_contrast": 0.0, "gini": 0.0}
CHANCE |= {"randomisation": 0.0, "label_randomisation": 0.0}


@pytest.mark.parametrize("name", [*metrics()])
def test_which_way_a_metric_is_good_how_far_it_goes_and_what_chance_has(name: str) -> None:
    """By the formulas: what a table of them says."""
    metric = metrics()[name]
    simple = name in {"gini", "entropy", "effective_size"}
    assert metric.higher_is_better is (None if simple else name not in LOW)
    assert metric.range == RANGES.get(name, (-math.inf, math.inf))
    assert metric.chance == CHANCE.get(name)


def test_two_fillings_are_averaged_where_none_is_named() -> None:
    """Rows of one shape: what the partner has there, and zero."""
    maps = torch.tensor([[4.0, 1.0, 3.0, 2.0]]).double(), torch.tensor([[1.0, 2.0, 3.0, 4.0]]).double()
    for metric, settings in ((Deletion, {"steps": 4}), (KeepTop, {"share": 0.25}), (DropTop, {"share": 0.25})):
        both, partner, zero = (told(metric(**settings, filling=one), maps) for one in (None, "partner", "zero"))
        assert both.tolist() == pytest.approx(((partner + zero) / 2).tolist())
        assert partner.tolist() != zero.tolist()


@pytest.mark.parametrize(("a", "b", "fillings"), [
    ((2, 3), (2, 3), ("partner", "zero")), ((2, 3), (2, 4), ("zero",)),
    ((2, 3, 5), (2, 3, 5), ("mean", "noise")), ((2, 1, 4, 4), (2, 1, 4, 4), ("blur", "mean")),
])  # fmt: skip
def test_what_is_filled_in_if_nothing_is_named(a: Any, b: Any, fillings: tuple[str, ...]) -> None:
    towers = nn.Sequential(nn.Flatten(), nn.LazyLinear(2)), nn.Sequential(nn.Flatten(), nn.LazyLinear(2))
    for tower, shape in zip(towers, (a, b), strict=True):
        tower(torch.rand(shape))
    batch = batch_of(PairSaliency(SiameseModel(towers, "dot")), (torch.rand(a), torch.rand(b)))
    assert default_fillings(batch) == fillings
    (same,) = fill_in(batch, 0, [torch.ones(2, math.prod(a[2:] or a[1:]))], fillings[-1])
    assert torch.equal(same, batch.a.leaves[0])


def test_the_noise_of_each_side_is_its_own() -> None:
    image = torch.rand(1, 2, 4, 4).double()
    batch = batch_of(PairSaliency(SiameseModel(nn.Flatten(), "dot")), (image, image.clone()))
    nothing = [torch.zeros(1, 16)]
    of_a, of_b = (fill_in(batch, side, nothing, "noise", seed=5)[0] for side in (0, 1))
    for found, seed in ((of_a, 5), (of_b, 6)):
        drawn = torch.from_numpy(np.random.default_rng(seed).standard_normal((2, 4, 4)))
        expected = image[0].mean((1, 2), keepdim=True) + drawn * image[0].std((1, 2), keepdim=True)
        torch.testing.assert_close(found[0], expected)


@pytest.mark.parametrize("rows", [1, 2, 3, 6, 100])
def test_how_many_go_at_once_changes_nothing(rows: int) -> None:
    """Of a joint model and of a factored one, two pairs with five masks each."""
    a, b = torch.rand(2, 2, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    keep = [torch.rand(2, 4, generator=torch.Generator().manual_seed(k)) < 0.5 for k in range(10)]
    expected = torch.stack([(a * x * b * y).sum(1) for x, y in zip(keep[:5], keep[5:], strict=True)], 1)
    for model in (dot(), TwoInputModel(lambda u, v: (u * v).sum(1))):
        batch = replace(batch_of(PairSaliency(model), (a, b)), rows=rows)
        assert torch.allclose(along(batch, (keep[:5], keep[5:]), "zero", 0), expected)
    batch = replace(batch_of(PairSaliency(dot()), (a, b)), rows=rows)
    assert torch.allclose(embedded(batch, 1, keep[5:], "zero", 0), torch.stack([b * y for y in keep[5:]]))


def test_decisions_of_few_scores_are_those_of_every_threshold() -> None:
    """Balanced accuracy and equal error rate by trying every threshold, with equal scores and uneven classes."""
    generator = torch.Generator().manual_seed(0)
    for size in (2, 3, 5, 8) * 5:
        scores = torch.randint(4, (size,), generator=generator).double()
        same = torch.rand(size, generator=generator) < 0.4
        same[0], same[1] = True, False
        rates = []
        for threshold in (-1.0, 0.5, 1.5, 2.5, 9.0):
            close = (scores > threshold).tolist()
            missed = sum(s and not c for s, c in zip(same.tolist(), close, strict=True)) / int(same.sum())
            let_in = sum(c and not s for s, c in zip(same.tolist(), close, strict=True)) / int((~same).sum())
            rates.append((missed, let_in))
        assert float(_accuracy(scores, same)) == pytest.approx(max(1 - (m + f) / 2 for m, f in rates))
        nearest = min(abs(m - f) for m, f in rates)
        known = {round((m + f) / 2, 9) for m, f in rates if abs(m - f) < nearest + 1e-12}
        assert round(float(equal_error(scores, same)), 9) in known
    metric = VerificationDeletion(2)
    numbers = torch.tensor([[1.0, 3.0, 2.0, 2.0], [1.0, 4.0, 2.0, 2.0], [0.0, 1.0, 3.0, 2.0]])
    assert metric.reduce(numbers) == pytest.approx((0.5 / 2 + 0.0 + 0.0 / 2) / 2)  # right, wrong way round, all equal
    for one_kind in (numbers[:2], numbers[2:]):
        with pytest.raises(ValueError, match="all pairs have one label"):
            metric.reduce(one_kind)
    with pytest.raises(ValueError, match="by='f1': 'accuracy' or 'eer' is needed"):
        VerificationDeletion(by="f1")  # type: ignore[arg-type]
    assert area(torch.tensor([[0.0, 1.0, 0.0], [2.0, 2.0, 2.0]])).tolist() == [0.5, 2.0]


def test_the_rank_of_three_kinds_of_units_by_all_pairs() -> None:
    generator = torch.Generator().manual_seed(1)
    for _ in range(20):
        m, t = (torch.randint(-1, 2, (9,), generator=generator) for _ in range(2))
        t[:2] = torch.tensor([0, 1])
        pairs = [(i, j) for i in range(9) for j in range(9) if t[i] > t[j]]
        by_hand = sum(1.0 if m[i] > m[j] else 0.5 if m[i] == m[j] else 0.0 for i, j in pairs) / len(pairs)
        assert float(auroc(m.double(), t)) == pytest.approx(by_hand)
    assert math.isnan(float(auroc(torch.ones(3), torch.ones(3))))
    values, right = torch.tensor([5.0, 3.0, 3.0, 3.0, 1.0]), torch.tensor([0, 1, 0, 1, 1])
    # of the first k: none of one, then a share of two thirds of what is taken of the three equal ones
    assert [float(top_share(values, right, k)) for k in (1, 2, 3, 4, 5)] == pytest.approx(
        [0, 2 / 3 / 2, 4 / 3 / 3, 2 / 4, 3 / 5]
    )


def test_a_side_without_two_kinds_of_units_does_not_count() -> None:
    truth = torch.tensor([[1, 0, 0, 0]]), torch.tensor([[0, 0, 0, 0]])
    maps = torch.tensor([[2.0, 3.0, 1.0, 0.0]]).double(), torch.tensor([[1.0, 2.0, 3.0, 4.0]]).double()
    assert told("auroc", maps, truth=truth).tolist() == pytest.approx([2 / 3])
    assert told("average_precision", maps, truth=truth).tolist() == pytest.approx([1 / 2])
    apart = torch.tensor([[-1, 0, 0, 0]]), truth[1]  # the least is to be found
    assert told("pointing_game", maps, truth=apart).tolist() == [0]
    assert told("pointing_game", (-maps[0], maps[1]), truth=apart).tolist() == [0]
    assert told("pointing_game", (maps[0].flip(1), maps[1]), truth=apart).tolist() == [1]
    assert told("auroc", (maps[0].flip(1), maps[1]), truth=apart).tolist() == [1]
    # what is below zero counts as nothing; the size alone counts
    signed = torch.tensor([[-3.0, -1.0, 2.0, 0.0]]).double(), maps[1]
    assert told("auroc_positive", signed, truth=truth).tolist() == pytest.approx([(0.5 + 0 + 0.5) / 3])
    assert told("auroc_magnitude", signed, truth=apart).tolist() == [1]
    assert told(HitAtK(9), maps, truth=truth).tolist() == [1 / 4]  # there are four


@pytest.mark.parametrize(("labels", "said"), [
    ([1, 0], r"shape \(2,\) for 3 pairs: one for each is needed"), ([[1], [0], [1]], r"shape \(3, 1\) for 3 pairs"),
    ([1, 0, 2], "other values than 0 and 1"), ([1, 0, -1], "other values"), ("yes", "labels='yes': True or False"),
    ([0.5, 0, 1], "other values"), ([None, 1, 0], r"for each of the 3 pairs is needed"),
])  # fmt: skip
def test_labels_that_are_none(labels: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        pair_labels("labels", labels, 3)
    assert pair_labels("labels", [True, False, 1], 3).tolist() == [1, 0, 1]


@pytest.mark.parametrize(("names", "known", "said"), [
    ("auroc", {"truth": 3}, "truth=3: two tensors are needed"),
    ("auroc", {"truth": (torch.ones(2, 4),)}, "two tensors are needed"),
    ("auroc", {"truth": (torch.ones(2, 4), [1])}, "two tensors are needed"),
    ("auroc", {"truth": (torch.ones(2, 4), torch.ones(3, 4))}, r"truth of b has shape \(3, 4\) for 2 pairs"),
    ("auroc", {"truth": (torch.full((2, 4), torch.nan), torch.ones(2, 4))}, "the truth of a holds NaN: 1, 0 or -1"),
    ("auroc", {"truth": (torch.ones(2, 4), torch.ones(2, 4))}, "auroc needs units of two kinds"),
    ("partner_sensitivity", {"truth": (torch.eye(2, 4),) * 2, "partners": torch.ones(2, 4)}, "needs partner_truth="),
    ("partner_invariance", {}, "partner_invariance needs twins: give twins=, or planted pairs"),
    ("matrix_auroc", {"truth": (torch.eye(2, 4),) * 2}, "matrix_auroc needs matrix: an explainer that gives one"),
    ("matrix_auroc", {}, "matrix_auroc needs matrix and truth: an explainer that gives one"),
    ("verification_deletion", {"labels": [1, 1]}, "all pairs have one label"),
    (["gini", "gini"], {}, "two metrics are called 'gini'"), ([], {}, "no metric is named"),
    ("ginni", {}, "no metric is called 'ginni'; did you mean 'gini'"), ("xx", {}, "; there are auroc, "),
])  # fmt: skip
def test_what_a_metric_cannot_be_had_of(names: Any, known: dict[str, Any], said: str) -> None:
    pairs = torch.rand(2, 4), torch.rand(2, 4)
    with pytest.raises(ValueError, match=said):
        measure(PairSaliency(dot()), pairs, names, **known)


def test_which_metrics_are_chosen() -> None:
    gini = made("gini")
    assert chosen(gini) == chosen([gini]) == [gini]
    assert [type(one).__name__ for one in chosen(["gini", type(made("entropy"))])] == ["Gini", "Entropy"]
    assert [one.name for one in chosen("all")] == [*metrics()]
    with pytest.raises(TypeError, match="3 is no metric: a name, a Metric or its class"):
        chosen([3])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="3 is no metric"):
        chosen(3)  # type: ignore[arg-type]


def test_intervals_are_percentiles_of_what_is_drawn_anew() -> None:
    values = torch.tensor([0.0, 1.0, 5.0, torch.nan, 2.0]).double()
    drawn = np.random.default_rng(3).integers(5, size=(200, 5))
    means = np.nanmean(values.numpy()[drawn], 1)
    assert interval(made("gini"), values, 200, 3) == pytest.approx(tuple(np.percentile(means, [2.5, 97.5])))
    assert all(map(math.isnan, interval(made("gini"), torch.full((3,), torch.nan).double(), 20)))

    class Largest(type(made("gini"))):  # type: ignore[misc]
        def reduce(self, numbers: Tensor) -> float:
            if float(numbers.nan_to_num(0).max()) < 2:
                raise ValueError("too small")
            return float(numbers.nan_to_num(0).max())

    found = [values.numpy()[rows] for rows in drawn]
    largest = [np.nanmax(rows) for rows in found if np.nanmax(rows) >= 2]
    assert interval(Largest(), values, 200, 3) == pytest.approx(tuple(np.percentile(largest, [2.5, 97.5])))


def test_random_weights_keep_the_mean_and_the_spread_and_go_from_the_last() -> None:
    large, one = torch.randn(300, 300).double() * 3 + 7, torch.tensor([-2.0]).double()
    expected = [float(large.mean()), float(large.std())]
    before = large.clone()
    _randomise(large, torch.Generator().manual_seed(0))
    assert [float(large.mean()), float(large.std())] == pytest.approx(expected, rel=0.02)
    assert float(torch.corrcoef(torch.stack([before.flatten(), large.flatten()]))[0, 1].abs()) < 0.02
    two = torch.tensor([1.0, 3.0]).double()
    drawn = torch.randn(2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    _randomise(two, torch.Generator().manual_seed(0))
    torch.testing.assert_close(two, 2 + math.sqrt(2) * drawn)
    drawn = torch.randn(1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    _randomise(one, torch.Generator().manual_seed(0))
    torch.testing.assert_close(one, -2 + 2 * drawn)  # a single weight's spread is its size
    stages: list[list[bool]] = []
    torch.manual_seed(0)
    encoder = nn.Sequential(*(nn.Linear(4, 4, bias=False) for _ in range(4))).double()
    first = [layer.weight.detach().clone() for layer in encoder]

    class Watching(_Told):
        name = "watching"

        def compute(self, batch: Any) -> Any:
            now = [layer.weight for layer in batch.model.encoder]
            stages.append([not torch.equal(old, new) for old, new in zip(first, now, strict=True)])
            return batch.leaves if sum(stages[-1]) != 3 else tuple(0 * x for x in batch.leaves)

    found = measure(Watching(SiameseModel(encoder, "dot").eval()), (A, B), [CascadingRandomisation(3)])
    assert stages == [[False] * 4, [False] * 3 + [True], [False] + [True] * 3, [True] * 4]  # 4/3, 8/3 and 4 of 4
    assert found["randomisation"].mean == pytest.approx(2 / 3)  # a map of nothing counts as 0


def test_edges_are_scipys() -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    image = torch.rand(2, 3, 6, 7, dtype=torch.float64)
    for one, found in zip(image, _edges(image), strict=True):
        theirs = np.stack([np.hypot(*(ndimage.sobel(c.numpy(), axis, mode="nearest") for axis in (0, 1))) for c in one])
        torch.testing.assert_close(found, torch.from_numpy(theirs / theirs.max()))
    assert not _edges(torch.ones(1, 1, 4, 4)).any()


def test_a_map_that_no_model_changes_is_all_that_a_constant_one_leaves() -> None:
    double = SiameseModel(nn.Linear(4, 4, bias=False).double(), "dot").eval()
    assert measure(Own(double), (A, B), ["constant_model"])["constant_model"].mean == 1
    assert measure(PairSaliency(double), (A, B), ["constant_model"])["constant_model"].mean == 0

    class Embeddings(_Told):
        name = "embeddings"

        def compute(self, batch: Any) -> Any:
            z = [batch.model.encode(x) for x in batch.leaves]
            return z[0].detach(), 3 * z[1].detach()

    plain = SiameseModel(nn.Identity(), "dot")
    # embeddings of ones: 3 of at most 3 * 4
    assert measure(Embeddings(plain), (A, B), ["constant_model"])["constant_model"].mean == pytest.approx(3 / 12)
    joint = TwoInputModel(lambda u, v: (u * v).sum(1))
    assert math.isnan(measure(Own(joint), (A, B), ["constant_model"])["constant_model"].mean)


def test_what_delta_says_is_missing_goes_before_baselines() -> None:
    """Maps that sum to 8: of a change of 10 two are missing; by the batch's zeros 4 of 12."""
    saliency, maps = PairSaliency(dot()), (torch.full((1, 4), 1.0).double(),) * 2
    for delta, expected in ((None, 4 / 12), (torch.tensor([-2.0]), 2 / 10), (torch.tensor([8.0]), math.nan)):
        one = PairExplanation(maps=maps, inputs=(A, B), scores=saliency.scores((A, B)), method="told", delta=delta)
        found = float(made("completeness").compute(batch_of(saliency, (A, B)), one))  # type: ignore[arg-type]
        assert found == pytest.approx(expected, nan_ok=True)
    nothing = tuple(0 * m for m in maps)
    for shows, expected in (("signed", 0.0), ("relevance", math.nan)):
        one = PairExplanation(
            maps=nothing, inputs=(A, 0 * B), scores=torch.zeros(1), method="told", delta=torch.zeros(1), shows=shows
        )
        found = float(made("completeness").compute(batch_of(saliency, (A, 0 * B)), one))  # type: ignore[arg-type]
        assert found == pytest.approx(expected, nan_ok=True)


def test_padding_is_no_unit() -> None:
    real = torch.tensor([[True, True, True, False, False]])
    units = Units(torch.tensor([[3.0, -1.0, 0.0, -torch.inf, -torch.inf]]).double(), real)
    shares = _shares(units)
    assert shares.tolist() == [[0.75, 0.25, 0.0, 0.0, 0.0]]
    assert _shares(Units(torch.zeros(1, 5).double(), real)).tolist() == [pytest.approx([1 / 3] * 3 + [0, 0])]
    by_hand = sum(abs(x - y) for x in (3, 1, 0) for y in (3, 1, 0)) / (2 * 3 * 4)  # the mean difference
    assert made("gini").of(shares, units.counts).tolist() == pytest.approx([by_hand])  # type: ignore[attr-defined]


def test_padding_has_no_part_in_sums_and_in_what_is_multiplied() -> None:
    units = Units(torch.tensor([[3.0, -1.0, 6.0, -torch.inf]]).double(), torch.tensor([[True, True, True, False]]))
    assert _sum(units).tolist() == [8.0]
    assert _soft(units).tolist() == [[0.5, 0.0, 1.0, 0.0]]
    assert _soft(Units(-units.values.clamp(min=0), units.real)).tolist() == [[0.0] * 4]  # nothing positive: nothing


class _Beside(Metric):
    """A metric that needs no explainer to know what the units do beside other partners."""

    name = "beside"
    needs = frozenset({"truth", "partners"})

    def compute(self, batch: Any, explanation: PairExplanation, **options: Any) -> Tensor:
        return options["partner_truth"][0].sum(1)


def test_what_units_do_beside_other_partners_is_asked_for_by_name() -> None:
    pairs = torch.rand(2, 4), torch.rand(2, 4)
    known: dict[str, Any] = {"truth": (torch.eye(2, 4),) * 2, "partners": torch.ones(2, 4)}
    with pytest.raises(ValueError, match="beside needs partner_truth=, what the units of a do beside"):
        measure(PairSaliency(dot()), pairs, _Beside(), **known)


def test_a_grid_of_cells_is_brought_to_pixels_as_torch_does() -> None:
    cells = torch.tensor([[[[1.0, 3.0], [5.0, 7.0]], [[1.0, 1.0], [1.0, 1.0]]]])
    found = per_unit(cells, torch.zeros(1, 3, 4, 4)).reshape(4, 4)
    # the sum of the channels, 2, 4, 6 and 8, half a pixel from the corners on
    assert found[0].tolist() == [2.0, 2.5, 3.5, 4.0]
    assert found[:, 0].tolist() == [2.0, 3.0, 5.0, 6.0]
    assert per_unit(torch.tensor([[[2.0, 4.0]]]), torch.zeros(1, 1, 4)).tolist() == [[2.0, 2.5, 3.5, 4.0]]
    assert per_unit(torch.ones(1, 2, 3, 3, 3), torch.zeros(1, 2, 3, 3, 3)).tolist() == [[2.0] * 27]
    with pytest.raises(ValueError, match=r"map of b has shape \(1, 2, 2, 2\) and its input \(1, 2, 3, 3, 3\)"):
        per_unit(torch.ones(1, 2, 2, 2), torch.zeros(1, 2, 3, 3, 3), "b")


def test_how_good_a_metric_is() -> None:
    assert [MetaScore("x", (), ordered, 3).tells for ordered in (0.949, 0.95, 1.0)] == [False, True, True]
    pairs = planted("words", 6)
    found = meta_scores(shipped("planted-words").model, pairs, ["auroc", "gini", "matrix_auroc"], resamples=20)
    assert found["auroc"].means[0] == 1.0
    assert found["auroc"].means[4] == 0.0
    assert abs(found["auroc"].means[3] - 0.5) < 0.4
    assert (found["auroc"].pairs, found["gini"].pairs) == (6, 6)
    assert found["gini"].error == "gini has no direction"
    assert found["gini"].means == ()
    assert found["matrix_auroc"].error


def test_one_to_one_is_the_best_of_all_assignments() -> None:
    from itertools import permutations

    metric: Any = made("one_to_one")
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        matrix = torch.rand(3, 4, generator=generator)
        right = torch.rand(3, 4, generator=generator) < 0.4
        right[0, 0] = True
        best = max(
            permutations(range(4), 3), key=lambda columns: sum(float(matrix[i, j]) for i, j in enumerate(columns))
        )
        hits = sum(bool(right[i, j]) for i, j in enumerate(best))
        possible = min(int(right.any(1).sum()), int(right.any(0).sum()))
        assert float(metric.of(matrix, right)) == pytest.approx(hits / possible)
    hit: Any = made("matrix_hit")
    tied = torch.tensor([[3.0, 3.0], [1.0, 3.0]])
    assert float(hit.of(tied, torch.tensor([[True, False], [False, False]]))) == pytest.approx(1 / 3)


@pytest.mark.parametrize("part", ["diagonal", "edges"])
def test_sides_of_two_sizes_are_the_same_surface_joint_or_factored(part: Any) -> None:
    """s = sum a sum b: what is left of three columns times what is left of five."""

    class Total(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.sum(1, keepdim=True)

    a, b = torch.tensor([[3.0, 1.0, 2.0]]).double(), torch.tensor([[1.0, 5.0, 2.0, 4.0, 3.0]]).double()
    joint, factored = TwoInputModel(lambda u, v: u.sum(1) * v.sum(1)), SiameseModel(Total(), "dot")
    numbers = []
    for model in (joint, factored):
        saliency = PairSaliency(model)
        explanation = PairExplanation(maps=(a, b), inputs=(a, b), scores=saliency.scores((a, b)), method="told")
        metric = Deletion(15, part=part, filling="zero")
        numbers.append(float(metric.compute(batch_of(saliency, (a, b)), explanation).number))
    assert numbers[0] == pytest.approx(numbers[1])
