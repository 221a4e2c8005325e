"""The number of each metric on pairs where it can be worked out by hand, or by numpy."""

from __future__ import annotations

import math
import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xsiamese import PairAttribution, PairExplanation, PairFeatureAblation, PairSaliency, SiameseModel, measure
from xsiamese.data.planted import planted, scene
from xsiamese.metrics.captum import Infidelity, MaxSensitivity
from xsiamese.metrics.catalogue import made
from xsiamese.metrics.measure import batch_of
from xsiamese.metrics.metric import Metric, number
from xsiamese.metrics.robustness import NoiseStability, ReferenceStability, SeedStability
from xsiamese.metrics.sanity import LabelRandomisation
from xsiamese.metrics.states import over_batches
from xsiamese.metrics.surface import Deletion, VerificationDeletion
from xsiamese.metrics.topk import AverageDrop, AverageIncrease, DropTop, KeepTop
from xsiamese.metrics.truth import HitAtK
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
    from xsiamese.metrics.surface import equal_error

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
    from xsiamese.metrics.measure import interval

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
