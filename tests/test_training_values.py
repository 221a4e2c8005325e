"""What training and its measures give, worked out by hand: one step, one epoch and one pair at a time."""

from __future__ import annotations

import json
import math
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from scipy.stats import kendalltau, spearmanr
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.data import Data

from xsiamese import PairModel, SiameseModel
from xsiamese.data import Augment, LabelledImages
from xsiamese.data.batches import Apart, Batch
from xsiamese.data.graphs import LabelledGraphs
from xsiamese.data.items import Source
from xsiamese.data.omniglot import OneShotRun
from xsiamese.data.pairs import Pairs, fixed_pairs
from xsiamese.data.rows import LabelledRows
from xsiamese.model.decision import Decision
from xsiamese.pairs.calibration import equal_error_rate
from xsiamese.plot.latent import latent_space
from xsiamese.training import artifacts, itemlosses, losses
from xsiamese.training import images as of_images
from xsiamese.training.command import Options, _named
from xsiamese.training.evaluation import Scored, closeness, embeddings, evaluate, pair_scores, support, table
from xsiamese.training.graphs import Training as OfGraphs
from xsiamese.training.inputs import Images, Pixels, Ready
from xsiamese.training.latent import LatentSpace
from xsiamese.training.modality import modality
from xsiamese.training.module import SiameseModule, _tensors
from xsiamese.training.oneshot import one_shot_accuracy, one_shot_scores
from xsiamese.training.quality import auc_interval, decisions, distance_auc, neighbour_accuracy, ranked
from xsiamese.training.ranking import _ordered, precision, rank, similarities
from xsiamese.training.recipes import RECIPES, Task, recipe
from xsiamese.training.resume import FREE, KEY, continued, described
from xsiamese.training.run import batches, loaded, make_module, make_trainer, watched
from xsiamese.training.settings import Settings, sized
from xsiamese.training.tables import Training as OfRows
from xsiamese.training.tables import _neighbour_error
from xsiamese.zoo.cards import Preprocessing

PLAIN = SiameseModel(nn.Identity(), "euclidean")
GENERATOR = torch.Generator().manual_seed(0)


class Mean(losses.Loss):
    """The mean of the inputs times a weight: what every step gives is known by hand."""

    kind = "pairs"

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, model: Any, images: Any, labels: Tensor, classes: Tensor | None = None) -> Tensor:
        return (torch.cat(list(images)) if isinstance(images, Apart) else images).mean() * self.weight


def module(**known: Any) -> SiameseModule:
    """A module whose words are kept in ``said`` instead of going to a trainer."""
    made = SiameseModule(SiameseModel(nn.Linear(1, 1), "euclidean"), Mean(), Ready(), **known)
    said: list[tuple[str, float]] = []
    made.__dict__["said"] = said
    made.__dict__["log"] = lambda name, value, **how: said.append((name, round(float(value), 4)))
    return made


def batch(value: float, rows: int) -> Batch:
    return Batch(torch.full((2 * rows, 1), value), torch.ones(rows))


# ---- the module -----------------------------------------------------------------------------------------------------


def test_losses_of_an_epoch_are_means_over_its_rows() -> None:
    made = module(log_interval=2)
    made.on_train_epoch_start()
    for index, (value, rows) in enumerate([(1.0, 4), (4.0, 2), (7.0, 1)]):
        assert float(made.training_step(batch(value, rows), index)) == value
    made.on_train_epoch_end()
    mean = (1 * 4 + 4 * 2 + 7 * 1) / 7
    assert made.history["train_loss"] == [pytest.approx(mean)]
    # every second batch says the mean so far, and the epoch its own
    assert made.__dict__["said"] == [("loss", 2.0), ("train_loss", round(mean, 4))]
    made.on_train_epoch_start()
    made.training_step(batch(5.0, 1), 0)
    made.on_train_epoch_end()
    assert made.history["train_loss"][1] == 5.0  # nothing of the epoch before; one row is a mean, too


def test_validation_is_a_mean_over_rows_too_and_draws_the_same_each_time() -> None:
    made = module(seed=5)
    made.on_validation_epoch_start()
    drawn = []
    for index, (value, rows) in enumerate([(2.0, 3), (6.0, 1)]):
        made.validation_step(Batch(Apart(*torch.full((2, rows, 1), value)), torch.ones(rows)), index)
        drawn.append(torch.rand(1).item())
    made.on_validation_epoch_end()
    assert made.history["valid_loss"] == [3.0]
    assert made.__dict__["said"] == [("valid_loss", 3.0)]
    torch.manual_seed(5)
    assert drawn == [torch.rand(1).item(), torch.rand(1).item()]  # seeded by the first batch only
    made.on_validation_epoch_start()
    made.on_validation_epoch_end()
    made.on_train_epoch_start()
    made.on_train_epoch_end()
    assert (made.history["valid_loss"], made.history["train_loss"]) == ([3.0, 0.0], [0.0])  # no rows, no division by 0
    made.on_validation_epoch_start()
    made.validation_step(batch(4.0, 1), 0)
    made.on_validation_epoch_end()
    assert made.history["valid_loss"][-1] == 4.0


def test_an_epoch_draws_by_its_seed_and_number() -> None:
    made = module(seed=3)
    made.__dict__["_trainer"] = None
    made.on_train_epoch_start()
    first = torch.rand(2)
    torch.manual_seed(3 * 1_000_003)
    assert torch.equal(first, torch.rand(2))


def test_another_epoch_draws_another_way_and_broken_weights_end_it() -> None:
    made = module(seed=3)
    made.__dict__["_trainer"] = SimpleNamespace(current_epoch=4)
    made.on_train_epoch_start()
    drawn = torch.rand(2)
    torch.manual_seed(3 * 1_000_003 + 4)
    assert torch.equal(drawn, torch.rand(2))
    cast(Any, made.model).encoder.weight.data.fill_(math.nan)
    said = "the weights encoder.weight are not finite after epoch 4, although its losses were; try a smaller lr"
    with pytest.raises(FloatingPointError, match=said):
        made.on_validation_epoch_start()


def test_sides_that_lie_below_each_other_are_augmented_as_such() -> None:
    seen = []

    class Noted(Ready):
        def augmented(self, inputs: Any, sides: int) -> Any:
            seen.append((tuple(inputs.shape), sides))
            return inputs

    made = module()
    made.ready = Noted()
    made.training_step(batch(1.0, 3), 0)
    made.training_step(Batch(Apart(torch.ones(3, 1), torch.ones(3, 1)), torch.ones(3)), 1)
    assert seen == [((6, 1), 2), ((3, 1), 1), ((3, 1), 1)]


def test_a_loss_that_is_not_finite_keeps_its_batch_and_says_what_is_kept(tmp_path: Path) -> None:
    kept = tmp_path / "last.safetensors"
    made = module(lr=0.25, bad_batch=tmp_path / "bad.safetensors", kept=kept)
    made.on_train_epoch_start()
    bad = Batch(Apart(torch.full((2, 1), math.inf), torch.ones(2, 1)), torch.tensor([1.0, 0.0]))
    said = "the loss is inf in epoch 0, batch 7; the batch is in .*bad.safetensors; try a smaller lr .it was 0.25. or"
    with pytest.raises(FloatingPointError, match=said):
        made.training_step(bad, 7)
    found = load_file(tmp_path / "bad.safetensors")
    assert {name: tensor.flatten().tolist() for name, tensor in found.items()} == {
        "a": [math.inf, math.inf], "b": [1.0, 1.0], "labels": [1.0, 0.0]
    }  # fmt: skip
    kept.write_text("")
    with pytest.raises(FloatingPointError, match=r"the network of the last good epoch is in .*last.safetensors: try"):
        made.training_step(bad, 7)
    without = module()
    without.on_train_epoch_start()
    with pytest.raises(FloatingPointError, match=r"the loss is inf in epoch 0, batch 0; try a smaller lr"):
        without.training_step(bad, 0)
    assert set(_tensors(batch(1.0, 2))) == {"images", "labels"}
    graph = Data(x=torch.ones(2, 1), edge_index=torch.tensor([[0], [1]]), name="not a tensor")
    assert set(_tensors(Batch(graph, torch.ones(1)))) == {"inputs.x", "inputs.edge_index", "labels"}


@pytest.mark.parametrize("schedule", ["constant", "onecycle", "plateau"])
def test_optimiser_and_schedule_are_as_asked(schedule: Any) -> None:
    plateau = {"patience": 3, "factor": 0.25, "min_lr": 0.125}
    made = module(lr=0.5, optimizer="SGD", options={"momentum": 0.75}, schedule=schedule, plateau=plateau)
    cast(Any, made.model).encoder.bias.requires_grad = False
    made.__dict__["_trainer"] = SimpleNamespace(estimated_stepping_batches=20)
    found = made.configure_optimizers()
    optimizer = found if schedule == "constant" else found["optimizer"]
    assert isinstance(optimizer, torch.optim.SGD)
    assert len(optimizer.param_groups[0]["params"]) == 2  # the encoder's weight and the loss's, not what is frozen
    # one cycle turns the momentum, too
    assert optimizer.param_groups[0]["momentum"] == (0.75 if schedule != "onecycle" else 0.95)
    if schedule == "constant":
        assert optimizer.param_groups[0]["lr"] == 0.5
    if schedule == "onecycle":
        scheduler, rates = found["lr_scheduler"]["scheduler"], []
        for _ in range(20):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            if len(rates) < 20:
                scheduler.step()
        assert found["lr_scheduler"]["interval"] == "step"
        assert max(rates) == rates[3] == pytest.approx(0.5)  # the peak a fifth of the way
        assert rates[0] == pytest.approx(0.5 / 25)
    if schedule == "plateau":
        told = found["lr_scheduler"]
        assert told["monitor"] == "valid_loss"
        assert (told["scheduler"].patience, told["scheduler"].factor, told["scheduler"].min_lrs) == (3, 0.25, [0.125])


# ---- losses ---------------------------------------------------------------------------------------------------------


def test_the_logistic_loss_by_hand() -> None:
    found = losses.Logistic(2.0, -1.0)
    score, same = torch.tensor([1.0, 0.0, 2.0]), torch.tensor([1.0, 0.0, 0.0])
    chances = [1 / (1 + math.exp(-(2 * s - 1))) for s in score.tolist()]
    by_hand = (-math.log(chances[0]) + (-math.log(1 - chances[1]) - math.log(1 - chances[2])) / 2) / 2
    assert float(found.of(score, same)) == pytest.approx(by_hand, rel=1e-5)
    assert float(found.of(score[:1], same[:1])) == pytest.approx(-math.log(chances[0]), rel=1e-5)  # one kind alone
    z, classes = torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([0, 0, 1])
    every = found.of(-torch.tensor([1.0, 3.0, 2.0]), torch.tensor([1.0, 0.0, 0.0]))  # distances pull apart
    assert float(found(PLAIN, z, torch.zeros(1), classes)) == pytest.approx(float(every))
    given = found.of(-torch.tensor([1.0]), torch.tensor([1.0]))
    assert float(found(PLAIN, z[:2], torch.ones(1))) == pytest.approx(float(given))


class Gap(PairModel):
    """A joint model: the sum of what both sides differ in."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return (a - b).abs().sum(1)

    higher_is_closer = False


def test_losses_of_scores_take_sides_apart() -> None:
    sides = Apart(torch.tensor([[1.0], [5.0]]), torch.tensor([[0.5], [2.0]]))
    labels = torch.tensor([1.0, 0.0])
    by_hand = F.binary_cross_entropy(torch.sigmoid(-torch.tensor([0.5, 3.0])), labels)
    assert float(losses.BinaryCrossEntropy()(Gap(), sides, labels)) == pytest.approx(float(by_hand), rel=1e-5)
    by_hand = (torch.exp(-torch.tensor([0.5, 3.0])) - labels).square().mean()
    assert float(losses.Graded()(Gap(), sides, labels)) == pytest.approx(float(by_hand), rel=1e-5)


def test_losses_that_need_no_embeddings_say_so_and_are_right_to() -> None:
    sides, labels = Apart(torch.tensor([[1.0], [5.0]]), torch.tensor([[0.5], [2.0]])), torch.tensor([1.0, 0.0])
    every: list[losses.Loss] = [
        losses.Contrastive(), losses.BinaryCrossEntropy(), losses.Logistic(), losses.Graded(), losses.AllPairs(),
        losses.Triplet(), losses.Evidence(0, 1), losses.PairLoss(nn.Identity()), itemlosses.Centres(1, 2),
    ]  # fmt: skip
    for loss in every:
        try:
            able = bool(loss(cast(Any, Gap()), sides, labels).isfinite())
        except (AttributeError, TypeError):
            able = False
        assert able is not loss.embeddings, type(loss).__name__
        assert loss.of_classes is isinstance(loss, itemlosses.Centres)
    assert not losses.Triplet().within
    assert not losses.Contrastive().within


def test_a_loss_of_pytorch_metric_learning_gets_both_sides_of_a_batch() -> None:
    class Summed(nn.Module):
        def forward(self, z: Tensor, indices_tuple: Any, ref_emb: Tensor) -> Tensor:
            anchor, positive, other, negative = indices_tuple
            return 100 * (z[anchor] * ref_emb[positive]).sum() + (z[other] * ref_emb[negative]).sum()

    stacked = torch.tensor([[1.0], [2.0], [3.0], [10.0], [20.0], [30.0]])  # a: 1, 2, 3; b: 10, 20, 30
    found = losses.PairLoss(Summed())(PLAIN, stacked, torch.tensor([0.0, 1.0, 0.0]))
    assert float(found) == 100 * 40 + 10 + 90


def test_items_losses_encode_once_and_add_up() -> None:
    z, labels = torch.tensor([[0.0, 0.0], [3.0, 4.0]]), torch.tensor([0, 1])
    one, other = itemlosses.Centres(2, 2), itemlosses.Centres(2, 2, radius=2.0)
    assert torch.allclose(other.centres, torch.tensor([[2.0, 0.0], [-2.0, 0.0]]), atol=1e-6)
    summed = itemlosses.Sum(one, other)
    assert float(summed(PLAIN, z, labels)) == pytest.approx(float(one.of(z, labels) + other.of(z, labels)))
    assert summed.of_classes
    assert not itemlosses.Neighbours().of_classes
    wide = itemlosses.Centres(3, 4, radius=2.0)
    assert wide.centres.shape == (4, 3)
    alone = itemlosses.Neighbours().of(z, labels)  # nobody has a neighbour of its class
    assert float(alone) == 0.0

    class Lengths(nn.Module):
        def forward(self, found: Tensor, of: Tensor) -> Tensor:
            return (found.sum(1) * of).sum()

    assert float(itemlosses.ItemLoss(Lengths()).of(z, labels)) == 7.0


# ---- what scores are worth ------------------------------------------------------------------------------------------


def test_a_distance_of_nan_is_nan_and_has_no_gradient_at_0() -> None:
    z = torch.tensor([[math.nan], [1.0], [2.0]], requires_grad=True)
    found = losses._distance(z, torch.tensor([[0.0], [1.0], [5.0]]))
    assert found.isnan().tolist() == [True, False, False]
    assert found[1:].tolist() == [0.0, 3.0]
    torch.autograd.backward(found[1:].sum())
    assert z.grad is not None
    assert z.grad.flatten()[1:].tolist() == [0.0, -1.0]


def test_decisions_by_hand() -> None:
    score = torch.tensor([5.0, 4.0, 1.0, 0.0, 2.0, 3.0])
    same = torch.tensor([True, True, True, False, False, False])
    found = decisions(score, same, Decision(2.5, higher_is_closer=True))
    # alike at 5, 4 (same) and 3 (different): one of three different ones accepted, one of three same ones rejected
    assert (found["far"], found["frr"], found["accuracy"]) == (1 / 3, 1 / 3, pytest.approx(2 / 3))
    assert found["confusion"] == [[2, 1], [1, 2]]
    assert found["roc_auc"] == pytest.approx(7 / 9)  # 5 and 4 are above all three, 1 above one
    assert found["test_pairs"] == 6
    z = 1.959964
    half = z * math.sqrt(2 / 9 / 3 + z * z / 36)
    low, high = ((1 / 3 + z * z / 6 + sign * half) / (1 + z * z / 3) for sign in (-1, 1))
    assert found["far_interval"] == found["frr_interval"] == (pytest.approx(low), pytest.approx(high))
    unlike = decisions(score, torch.tensor([True, True, False, False, False, False]), Decision(2.5))
    assert (unlike["far"], unlike["frr"], unlike["accuracy"]) == (1 / 4, 0.0, pytest.approx(7 / 8))
    assert (unlike["far_interval"][1] < 0.8, unlike["frr_interval"][0]) == (True, 0.0)
    assert ranked(torch.tensor([3.0, 1.0, 3.0, 9.0])).tolist() == pytest.approx([0.5, 1 / 6, 0.5, 5 / 6])


def test_the_plain_distance_and_neighbours_by_hand() -> None:
    z_a, z_b = torch.zeros(4, 2), torch.tensor([[1.0, 0.0], [0.0, 3.0], [2.0, 0.0], [0.0, 4.0]])
    assert distance_auc(z_a, z_b, torch.tensor([True, True, False, False])) == 0.75  # 1 is nearest, 3 beats 4 only
    train, kinds = torch.tensor([[0.0], [1.0], [2.0], [10.0], [11.0]]), torch.tensor([0, 0, 0, 1, 1])
    tests, truth = torch.tensor([[0.5], [10.5], [3.0]]), torch.tensor([0, 1, 1])
    assert neighbour_accuracy(train, kinds, tests, truth, 1) == pytest.approx(2 / 3)
    assert neighbour_accuracy(train, kinds, tests, truth, 50) == pytest.approx(1 / 3)  # all five vote for 0


def test_the_interval_of_the_auc_by_resamples_one_by_one() -> None:
    """Items are drawn with replacement; a pair counts as often as both of its items were drawn, multiplied."""
    a, b = torch.triu_indices(9, 9, 1)
    generator = torch.Generator().manual_seed(4)
    same = torch.rand(len(a), generator=generator) < 0.4
    score = torch.randn(len(a), generator=generator).double() + same
    found = []
    for drawn in torch.randint(9, (150, 9), generator=torch.Generator().manual_seed(6)).tolist():
        weight = [drawn.count(i) * drawn.count(j) for i, j in zip(a.tolist(), b.tolist(), strict=True)]
        found.append(roc_auc_score(same, score, sample_weight=weight))
    low, high = auc_interval(score, Pairs(a, b, same), seed=6, resamples=150, level=0.6)
    assert (low, high) == pytest.approx(tuple(np.nanquantile(found, [0.2, 0.8])))
    first, second = torch.triu_indices(3, 3, 1)
    two = auc_interval(torch.tensor([1.0, 0.0, 2.0]), Pairs(first, second, torch.tensor([True, False, False])))
    assert all(math.isfinite(limit) for limit in two)  # of resamples with one kind of pairs only there is none


def test_precision_and_rank_correlations_by_hand() -> None:
    true = torch.tensor([0.9, 0.8, 0.5, 0.5, 0.1])
    found = torch.tensor([5.0, 1.0, 4.0, 3.0, 2.0])  # its three closest: the first, the third and the fourth
    assert precision(found, true, 1) == 1.0
    assert precision(found, true, 2) == 0.5
    assert precision(found, true, 3) == 1.0  # the fourth is as close as the third
    assert _ordered(spearmanr, torch.ones(3), true[:3]) == 0.0
    assert _ordered(spearmanr, found, true) == pytest.approx(spearmanr(found, true).statistic)


class Size(nn.Module):
    """A graph's number of nodes."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, graph: Any) -> Tensor:
        sizes: Tensor = torch.bincount(graph.batch, minlength=graph.num_graphs)
        return self.scale * sizes[:, None].float()


class Nodes(PairModel):
    """The same of two sides at once."""

    higher_is_closer = False

    def __init__(self) -> None:
        super().__init__()
        self.size = Size()

    def forward(self, a: Any, b: Any) -> Tensor:
        gap: Tensor = (self.size(a) - self.size(b)).abs().squeeze(1)
        return gap


def graphs(sizes: list[int], known: list[int], alike: Tensor | None) -> LabelledGraphs:
    made = [Data(x=torch.ones(n, 1), edge_index=torch.zeros(2, 0, dtype=torch.long)) for n in sizes]
    more = {} if alike is None else {"alike": alike, "known": torch.tensor(known)}
    return LabelledGraphs.of(made, torch.zeros(len(sizes), dtype=torch.long), ("all",), **more)


@pytest.mark.parametrize("factored", [True, False])
def test_a_ranking_of_graphs_by_hand(factored: bool) -> None:
    model = SiameseModel(Size(), "euclidean") if factored else Nodes()
    alike = torch.rand(6, 6, generator=torch.Generator().manual_seed(3))
    alike[0, 3] = math.nan
    alike[1, 2:] = 0.5  # nothing to order
    queries, base = graphs([2, 5], [0, 1], alike), graphs([1, 2, 4, 8], [2, 3, 4, 5], alike)
    by_hand = torch.tensor([[abs(n - m) for m in (1, 2, 4, 8)] for n in (2, 5)]).float().neg().exp()
    assert torch.allclose(similarities(model, queries, base, Ready(), batch=3), by_hand)
    found = rank(model, queries, base, Ready(), batch=3)
    row, true = by_hand[0, [0, 2, 3]], alike[0, [2, 4, 5]]
    assert found["spearman"] == pytest.approx(spearmanr(row, true).statistic)
    assert found["kendall"] == pytest.approx(kendalltau(row, true).statistic)
    assert (found["precision_at_10"], found["precision_at_20"]) == (1.0, 1.0)
    seen = torch.isfinite(alike[:2, 2:])
    assert found["mse"] == pytest.approx(float((by_hand - alike[:2, 2:])[seen].square().mean()), rel=1e-5)
    assert found["spearman_of_all"] == pytest.approx(spearmanr(by_hand[seen], alike[:2, 2:][seen]).statistic)
    assert (found["test_pairs"], found["test_graphs"], found["base_graphs"]) == (7, 2, 4)


def test_one_shot_by_hand() -> None:
    pixels = Preprocessing((1, 1), 1, (0.0,), (1.0,))
    train = torch.tensor([10, 60, 200], dtype=torch.uint8).view(3, 1, 1, 1)
    test = torch.tensor([50, 12, 180, 120], dtype=torch.uint8).view(4, 1, 1, 1)
    grey = nn.Linear(1, 1)
    nn.init.constant_(grey.weight, 255.0), nn.init.zeros_(grey.bias)
    model = SiameseModel(nn.Sequential(nn.Flatten(), grey), "euclidean")
    run = OneShotRun(train, test, torch.tensor([1, 0, 2, 2]))  # 120 is nearer to 60 than to 200
    scores = one_shot_scores(model, run, pixels)
    assert torch.allclose(scores, -(test.view(4, 1).float() - train.view(1, 3).float()).abs(), atol=1e-3)
    assert one_shot_accuracy(model, [run, OneShotRun(train, test[:2], torch.tensor([1, 1]))], pixels) == 4 / 6


def test_scores_are_larger_for_closer_whatever_the_model_and_its_batches() -> None:
    rows = LabelledRows(torch.tensor([[0.0], [1.0], [4.0]]), torch.tensor([0, 0, 1]), ("x", "y"))
    pairs = Pairs(torch.tensor([0, 1, 0]), torch.tensor([1, 2, 2]), torch.tensor([True, False, False]))

    class Learned(Gap):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

    double = nn.Linear(1, 1)
    nn.init.constant_(double.weight, 2.0), nn.init.zeros_(double.bias)
    model = SiameseModel(double, "euclidean")
    assert pair_scores(Learned(), rows, pairs, Ready(), batch=2).tolist() == [-1.0, -3.0, -4.0]
    assert embeddings(model, rows, Ready(), batch=2).diff(dim=0).flatten().tolist() == [2.0, 6.0]
    scored = Scored(model, Ready())
    assert scored.closeness(rows, pairs).tolist() == pytest.approx([-2.0, -6.0, -8.0])
    found = scored.calibrated(rows, pairs, "rows")
    assert found.threshold == pytest.approx(-4.0)  # half way between -2 and -6; of the distance that is 4
    assert scored.threshold == model.comparison.threshold_ == -found.threshold
    measured = scored.metrics(rows, pairs)
    assert (measured["accuracy"], measured["roc_auc_distance"], measured["threshold"]) == (1.0, 1.0, -found.threshold)
    assert scored.size(rows) == {"dimensions": 1}
    assert scored.nearest(rows, rows, 1) == {"1_nn_accuracy": 1.0}
    apart = Scored(Learned(), Ready())
    assert (apart.size(rows), apart.nearest(rows, rows, 1), apart.interval(rows, pairs, 0)) == ({}, {}, {})
    nn.init.constant_(double.weight, math.nan)
    with pytest.raises(FloatingPointError, match="score is not finite for 3 of 3 pairs: its training has diverged"):
        Scored(model, Ready()).closeness(rows, pairs)
    assert closeness(PLAIN, torch.zeros(5000, 1), torch.ones(5000, 1)).tolist() == [-1.0] * 5000  # two parts of 4096


@pytest.mark.filterwarnings("ignore:the threshold stands on")
def test_what_is_measured_of_whom() -> None:
    """Rows on a line, whose distance is the score: every number again from the pairs that a seed fixes."""
    generator = torch.Generator().manual_seed(2)

    def rows(count: int, classes: int, first: int = 0) -> LabelledRows:
        labels = torch.arange(count) % classes + first
        return LabelledRows(labels[:, None] + torch.randn(count, 1, generator=generator), labels, tuple("abcdef"))

    same = nn.Linear(1, 1)
    nn.init.ones_(same.weight), nn.init.zeros_(same.bias)
    model = SiameseModel(same, "euclidean")
    train, valid, tests, others = rows(40, 3), rows(30, 3), rows(36, 3), rows(24, 3, first=3)

    def gaps(items: LabelledRows, seed: int) -> tuple[Tensor, Tensor]:
        pairs = fixed_pairs(items.labels, 200, seed)
        return (items.rows[pairs.a] - items.rows[pairs.b]).abs().squeeze(1), pairs.same

    def measured(test: LabelledRows, **known: Any) -> dict[str, Any]:
        return evaluate(model, train, test, Ready(), count=200, seed=5, noun="rows", **known)

    found = measured(tests, calibration=valid)
    gap, alike = gaps(valid, 6)
    eer, cut = equal_error_rate(-gap, alike)
    assert found["calibration"]["eer"] == pytest.approx(eer)
    assert found["threshold"] == pytest.approx(-cut, rel=1e-5)
    assert (found["calibration"]["pairs"], found["calibration"]["on"]) == (200, "validation rows")
    assert found["calibration"]["classes"] == 3
    gap, alike = gaps(tests, 7)
    right = (gap <= found["threshold"]) == alike
    assert found["accuracy"] == pytest.approx(float((right[alike].double().mean() + right[~alike].double().mean()) / 2))
    assert (found["test_classes"], found["test_pairs"]) == ("seen in training", 200)
    assert (found["train_rows"], found["test_rows"], found["dimensions"]) == (40, 36, 1)
    assert found["5_nn_accuracy"] == neighbour_accuracy(train.rows, train.labels, tests.rows, tests.labels, 5)
    assert "roc_auc_interval" in found
    assert "seen_classes" not in found
    unseen = measured(others, seen=tests)  # calibrated on the training rows, as there are no others
    assert unseen["calibration"]["on"] == "training rows"
    assert unseen["test_classes"] == "not seen in training"
    assert "5_nn_accuracy" not in unseen
    assert unseen["seen_classes"]["5_nn_accuracy"] == found["5_nn_accuracy"]
    gap, alike = gaps(tests, 8)
    assert unseen["seen_classes"]["roc_auc"] == pytest.approx(roc_auc_score(alike, -gap))
    assert measured(tests, calibration=rows(0, 3))["calibration"]["on"] == "training rows"
    assert "roc_auc_interval" in measured(rows(500, 3))
    assert "roc_auc_interval" not in measured(rows(501, 3))
    given = fixed_pairs(valid.labels, 50, 1), fixed_pairs(tests.labels, 60, 2)
    table_ = measured(tests, calibration=valid, pairs=given)
    assert table_["test_pairs"] == 60
    assert not {"test_classes", "5_nn_accuracy", "roc_auc_interval"} & set(table_)
    assert "classes" not in table_["calibration"]


def test_what_error_rates_few_pairs_support() -> None:
    with pytest.warns(UserWarning, match=r"on 30 different and 1000 same .*rows of 5 classes\): FAR below 10"):
        found = support(SimpleNamespace(different=30, same=1000), "test rows", 5)  # type: ignore[arg-type]
    assert found == {"classes": 5, "least_far": pytest.approx(0.1), "least_frr": pytest.approx(0.003)}
    assert "classes" not in support(SimpleNamespace(different=300, same=300), "rows")  # type: ignore[arg-type]


def test_metrics_as_text() -> None:
    told = {"roc_auc": 0.98765, "far_interval": (0.1, 0.25), "seen_classes": {"eer": 0.5, "pairs": 3}, "on": "rows"}
    assert table(told).splitlines() == [
        "roc auc                 0.9877",
        "far interval            0.1000 to 0.2500",
        "seen classes            eer 0.5000, pairs 3",
        "on                      rows",
    ]


def test_nearest_rows_guess_their_mean() -> None:
    def rows(values: list[float], numbers: list[float]) -> LabelledRows:
        n = len(values)
        return LabelledRows(
            torch.tensor(values).float()[:, None],
            torch.zeros(n, dtype=torch.long),
            ("x",),
            torch.tensor(numbers).float(),
            1.0,
        )

    train = rows([0, 1, 2, 3, 4, 100], [0, 10, 20, 30, 40, 1000])
    source = Source("s", train, train, rows([2.0, 99.0], [25.0, 215.0]))
    same = nn.Linear(1, 1, bias=False)
    nn.init.ones_(same.weight)
    model = SiameseModel(same, "euclidean")
    found = _neighbour_error(model, source, Ready())
    # the five nearest of 2 are 0 to 4, of 99 are 100 and 1 to 4: means of 20 and 220; of all it is 1100 / 6
    assert found == {"5_nn_error": pytest.approx((5 + 5) / 2), "error_of_the_mean": pytest.approx(95.0, rel=1e-5)}


# ---- items and recipes ----------------------------------------------------------------------------------------------


def test_pixels_are_scaled_inverted_and_normalised() -> None:
    pixels = Pixels(Preprocessing((1, 1), 1, (0.25,), (0.5,), invert=True))
    bytes_ = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1)
    assert pixels(bytes_).flatten().tolist() == [0.0, 1.0]
    assert pixels.normalise(pixels(bytes_)).flatten().tolist() == pytest.approx([(1 - 0.25) / 0.5, (0 - 0.25) / 0.5])
    asked: list[int] = []

    class Turned(Augment):
        def __call__(self, images: Tensor, sides: int = 1) -> Tensor:
            asked.append(sides)
            return 1 - images

    made = Images(Preprocessing((1, 1), 1, (0.0,), (1.0,)), Turned())
    assert made(bytes_).flatten().tolist() == [0.0, 1.0]
    assert made.augmented(bytes_, 2).flatten().tolist() == [1.0, 0.0]
    assert asked == [2]


def pictures(count: int, size: int = 4, classes: int = 2) -> LabelledImages:
    images = torch.randint(0, 255, (count, 1, size, size), dtype=torch.uint8, generator=GENERATOR)
    return LabelledImages(images, torch.arange(count) % classes, tuple("abcdefgh"[:classes]))


def test_batches_of_the_second_curve_are_large_where_images_are_small() -> None:
    made = of_images.Training(Settings("siamese-contrastive", "MNIST", device="cpu"))
    assert made.rows(pictures(4), 16) == 256
    assert made.rows(pictures(4), 300) == 300
    assert made.rows(pictures(4, 150), 16) == 16  # 22,500 numbers each
    assert made.rows(pictures(4, 141), 16) == 256  # 19,881
    tabular = Settings("siamese-mlp", "rows.csv", device="cpu")
    assert [modality(tabular).rows(pictures(2), size) for size in (16, 300)] == [256, 300]
    of_graphs = modality(Settings("siamese-gcn", "MUTAG", device="cpu"))
    assert [of_graphs.rows(pictures(2), size) for size in (16, 300)] == [128, 300]


def test_one_shot_runs_are_measured_on_omniglot_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xsiamese.data.omniglot.runs", lambda data, size: [1])
    monkeypatch.setattr("xsiamese.training.oneshot.one_shot_accuracy", lambda model, runs, pixels: 0.5)
    of = {name: of_images.Training(Settings("koch", name, device="cpu")) for name in ("Omniglot", "MNIST")}
    assert of["Omniglot"]._one_shot(PLAIN) == {"one_shot_20_way_accuracy": 0.5}
    assert of["Omniglot"]._one_shot(Gap()) == {}
    assert of["MNIST"]._one_shot(PLAIN) == {}
    monkeypatch.setattr("xsiamese.data.omniglot.runs", lambda data, size: [])
    assert of["Omniglot"]._one_shot(PLAIN) == {}


def source(train: int = 8, valid: int = 4, test: int = 6, **known: Any) -> Source[Any]:
    parts = [pictures(n) if n else pictures(1).take([]) for n in (train, valid, test)]
    return Source("s", parts[0], parts[1], parts[2], **known)


def test_the_second_curve_is_of_what_is_held_out() -> None:
    of_classes = SimpleNamespace(loss=SimpleNamespace(of_classes=True))
    others = SimpleNamespace(loss=SimpleNamespace(of_classes=False))
    seen, held, tested = source(seen=pictures(10)), source(), source(valid=0)
    for made, given, name, items in (
        (of_classes, seen, "seen", seen.seen),
        (others, seen, "valid", seen.valid),
        (of_classes, held, "valid", held.valid),
        (others, tested, "test", tested.test),
    ):
        found = watched(made, given)  # type: ignore[arg-type]
        assert found[0] == name
        assert found[1] is items


def test_the_rule_of_livieris_makes_the_pairs_of_his_network_and_of_no_other() -> None:
    """Each anchor once with a positive and once with a negative: two pairs an image and iteration."""
    rows = {}
    made: Any = SimpleNamespace(
        loss=SimpleNamespace(kind="pairs", of_classes=False), model=SimpleNamespace(factored=True)
    )
    for network, iterations in (("livieris", 1), ("livieris", 3), ("siamese-contrastive", 1)):
        settings = Settings(network, "folder", iterations=iterations, device="cpu")
        made = SimpleNamespace(
            loss=SimpleNamespace(kind="pairs", of_classes=False), model=SimpleNamespace(factored=True)
        )
        train, second = batches(cast(Any, made), settings, source())
        rows[network, iterations] = train.rows, second.rows, train.fixed is not None, second.fixed is not None
    assert rows["livieris", 1] == (16, 8, True, True)
    assert rows["livieris", 3] == (48, 24, True, True)
    assert rows["siamese-contrastive", 1] == (8, 4, False, False)
    # published: Hadsell's loss with margin 2 without the half, batches of 16 with mirrored images
    of = recipe("livieris")
    loss = of.loss(Task(Settings("livieris", "x").card, 2, 2, None))
    assert isinstance(loss, losses.Contrastive)
    assert (loss.margin, loss.factor, loss.within) == (2.0, 1.0, False)
    assert isinstance(recipe("a plugin's").loss(Task(Settings("koch", "x").card, 2, 2, None)), losses.Contrastive)
    assert RECIPES["vae"].loss(
        Task(Settings("vae", "x").card, 2, 2, Preprocessing((1, 1), 1, (0.25,), (0.5,)))
    ).high == pytest.approx(1.5)


def test_given_pairs_of_a_table_are_those_of_the_second_curve_too() -> None:
    pairs = tuple(Pairs(torch.arange(n), torch.arange(n), torch.ones(n, dtype=torch.bool)) for n in (3, 2, 4))
    made: Any = SimpleNamespace(
        loss=SimpleNamespace(kind="pairs", of_classes=False), model=SimpleNamespace(factored=False)
    )
    settings = Settings("siamese-contrastive", "x", device="cpu")
    train, second = batches(made, settings, source(pairs=pairs))
    assert (train.rows, second.rows, train.apart, second.apart, second.shuffle) == (3, 2, True, True, False)
    assert batches(made, settings, source(valid=0, pairs=pairs))[1].rows == 4


def test_what_graphs_tell_a_network() -> None:
    def told(network: str, found: LabelledGraphs) -> dict[str, Any]:
        return OfGraphs(Settings(network, "MUTAG", device="cpu")).arguments(Source("s", found, found, found))

    plain = graphs([3, 3], [], None)
    assert told("siamese-gcn", plain) == {"inputs": 1}
    assert told("brain-gcn", plain) == {"inputs": 1, "regions": 3}
    assert told("simgnn", plain) == {"inputs": 1, "standardise": True}
    alike = torch.tensor([[1.0, 0.25], [0.25, math.nan]])
    assert told("simgnn", graphs([3, 3], [0, 1], alike))["mean"] == pytest.approx(0.5)
    assert told("simgnn", graphs([3, 3], [0, 1], torch.ones(2, 2)))["mean"] == pytest.approx(0.99)
    other = LabelledGraphs.of(
        [Data(x=torch.tensor([[1.0], [2.0]]), edge_index=torch.tensor([[0], [1]]), edge_attr=torch.ones(1, 3))],
        torch.zeros(1, dtype=torch.long),
        ("x",),
    )
    assert told("simgnn", other) == {"inputs": 1, "standardise": False}
    assert told("graph-matching", other) == {"inputs": 1, "attributes": 3}
    assert told("graph-matching", plain) == {"inputs": 1}
    brains = OfGraphs(Settings("brain-gcn", "MUTAG", device="cpu"))
    odd = graphs([3, 5], [], None)
    with pytest.raises(ValueError, match="MUTAG has graphs of 3 to 5 nodes: use siamese-gcn"):
        brains.check(Source("s", odd, odd, odd))


# ---- settings and what is written -----------------------------------------------------------------------------------


def test_sizes_that_a_network_takes() -> None:
    of = Settings("livieris", "x", device="cpu")
    assert sized(of, None) is of
    assert sized(of, 1).pixels.size == (1, 1)
    with pytest.raises(ValueError, match="size=0: a positive number of pixels is needed"):
        sized(of, 0)
    with pytest.raises(ValueError, match="size=8 is for images, and siamese-gcn takes graph data"):
        sized(Settings("siamese-gcn", "x", device="cpu"), 8)
    assert sized(Settings("siamese-contrastive", "x", device="cpu"), 28).pixels.size == (28, 28)


def test_settings_win_over_recipes_and_another_optimiser_takes_none_of_the_old_one_s_options() -> None:
    plain = Settings("siamese-mlp", "x", device="cpu")
    assert plain.recipe == RECIPES["siamese-mlp"]
    changed = plain.changed(lr=0.5, epochs=3)
    assert (changed.recipe.lr, changed.recipe.epochs, changed.recipe.options) == (0.5, 3, {"weight_decay": 1e-2})
    assert plain.changed(optimizer="SGD").recipe.options == {}
    assert plain.changed(optimizer="AdamW").recipe.options == {"weight_decay": 1e-2}
    assert plain.changed(optimizer="SGD", options={"momentum": 0.5}).recipe.options == {"momentum": 0.5}
    digits = Settings("embedding-recommended", "MNIST", device="cpu").recipe
    assert digits.augment is not None
    assert Settings("embedding-recommended", "KMNIST", device="cpu").recipe.augment is None
    assert not plain.needs_validation
    assert plain.changed(patience=3).needs_validation
    assert plain.changed(schedule="plateau").needs_validation
    for name, value, told in (
        ("lr", 0.0, "lr=0.0: a positive number"),
        ("clip", math.inf, "clip=inf: a positive"),
        ("options", {"momentum": -0.5}, "momentum=-0.5: a number from 0 on"),
        ("devices", 0, "devices=0: from 1 to"),
        ("precision", "64-true", "precision='64-true': one of 32-true"),
        ("arguments", {"dimensions": 0}, "dimensions=0: at least 1"),
    ):
        with pytest.raises(ValueError, match=told):
            plain.changed(**{name: value}).check_arguments()
    plain.changed(options={"momentum": 0.0}, arguments={"dimensions": 1}).check_arguments()


def test_a_training_goes_on_only_as_it_began(tmp_path: Path) -> None:
    last, of = tmp_path / "last.ckpt", Settings("siamese-contrastive", "x", device="cpu", resume=True, epochs=5)
    assert continued(last, of, source()) is None
    data = source()

    def state(settings: Settings, epoch: int = 1, items: Source[Any] = data) -> None:
        torch.save({KEY: described(settings, items), "epoch": epoch}, last)

    state(of)
    assert continued(last, of, data) == last
    assert continued(last, of.changed(resume=False), data) is None
    assert continued(last, of.changed(output=tmp_path, device="auto", progress=False), data) == last
    assert {"output", "device", "progress"} <= FREE
    assert continued(last, of.changed(epochs=9), data) == last  # a constant schedule has no end
    with pytest.raises(ValueError, match=r"--resume with epochs=1: 2 are trained already; leave out --resume"):
        continued(last, of.changed(epochs=1), data)
    assert continued(last, of.changed(epochs=2), data) == last
    with pytest.raises(ValueError, match=r"with lr=0.5 \(it was 0.0001\), seed=7 \(it was 0\): the weights so"):
        continued(last, of.changed(seed=7, lr=0.5), data)
    with pytest.raises(ValueError, match=r"data=8, 4 and 5 items \(\w{12}\) \(it was 8, 4 and 6 items"):
        continued(last, of, source(test=5))
    cycle = of.changed(schedule="onecycle")
    state(cycle)
    with pytest.raises(ValueError, match="epochs=9: the one-cycle schedule was laid out for 5 epochs from the start"):
        continued(last, cycle.changed(epochs=9), data)
    torch.save({"epoch": 1}, last)
    with pytest.raises(ValueError, match="does not say with which settings it was made"):
        continued(last, of, data)
    last.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"last.ckpt cannot be read \("):
        continued(last, of, data)


def test_a_checkpoint_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of = Settings("siamese-contrastive", "x", device="cpu")
    path = tmp_path / "model.safetensors"

    def full(partial: Path, *rest: Any) -> None:
        partial.write_bytes(b"half")
        raise OSError("no space")

    with monkeypatch.context() as patch:
        patch.setattr(artifacts, "save", full)
        with pytest.raises(OSError, match="no space"):
            artifacts.keep(path, of.build(), of, {})
    assert not list(tmp_path.iterdir())  # neither it nor half of it
    artifacts.keep(path, of.build(), of, {"epochs": 3})
    assert [one.name for one in tmp_path.iterdir()] == ["model.safetensors"]


def test_which_checkpoint_is_of_a_finished_training(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    assert not artifacts._is_finished(path)
    for about, finished in (
        ({}, False),
        ({"metrics": {"finished": True}}, True),
        ({"metrics": {"finished": False}}, False),
    ):
        save_file({"w": torch.ones(1)}, path, {"xsiamese": json.dumps({"about": about})})
        assert artifacts._is_finished(path) is finished
    path.write_bytes(b"none")
    assert not artifacts._is_finished(path)


def test_an_output_is_made_with_its_parents_and_left_empty(tmp_path: Path) -> None:
    artifacts.writable(tmp_path / "a" / "b")
    artifacts.writable(tmp_path / "a" / "b")
    assert not list((tmp_path / "a" / "b").iterdir())


def test_the_latent_space_is_watched_evenly_and_drawn_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    watching = LatentSpace(pictures(9), most=3)
    assert len(LatentSpace(pictures(9), most=30).items) == 9
    every = pictures(9)
    spread: Any = LatentSpace(every, most=3).items
    assert torch.equal(spread.images, every.images[[0, 4, 8]])
    watching.frames = [torch.tensor([[0.0, 0.0], [1.0, 1.0], [2.0, 0.0]]) + 9 * epoch for epoch in range(5)]
    drawn_on: list[Any] = []

    def drawn(*given: Any, limits: Tensor) -> Any:
        drawn_on.append((given[3], limits))
        return latent_space(*given, limits=limits)

    monkeypatch.setattr("xsiamese.training.latent.latent_space", drawn)
    with Image.open(watching.save(tmp_path / "a.gif", title="t", seconds=0.25)) as image:
        assert (image.n_frames, image.info["loop"], image.info["duration"]) == (5, 0, 250)  # type: ignore[attr-defined]
    low, high = np.quantile(torch.cat(watching.frames[-3:]).numpy(), [0.002, 0.998], axis=0)
    for epoch, (title, limits) in enumerate(drawn_on):  # one scale for all, a little wider than the last three
        assert title == f"t: epoch {epoch}"
        assert limits.numpy() == pytest.approx(np.stack([low - 0.15 * (high - low), high + 0.15 * (high - low)]))
    again = LatentSpace(every, most=3)
    again.load_state_dict(watching.state_dict())
    assert len(again.frames) == 5
    made = SimpleNamespace(
        model=SiameseModel(nn.Sequential(nn.Flatten(), nn.Linear(16, 2)), "euclidean"), ready=Ready()
    )
    made.ready.forward = lambda images: images.float()
    again.on_train_start(cast(Any, None), cast(Any, made))
    assert len(again.frames) == 5  # a resumed one has its first frame
    again.on_train_epoch_end(cast(Any, None), cast(Any, made))
    assert len(again.frames) == 6
    assert again.frames[5].shape == (3, 2)


def test_words_that_are_for_other_data_name_what_is_known() -> None:
    other = Settings("siamese-mlp", "t.csv", device="cpu", reading={"pattern": "x"})
    with pytest.raises(ValueError, match=r"pattern='x' says how other data are read than siamese-mlp's rows; it takes"):
        OfRows(other)
    with pytest.raises(ValueError, match="same_label='yes' is for a table of pairs, and MUTAG is none: leave it out"):
        OfGraphs(Settings("siamese-gcn", "MUTAG", device="cpu", same_label="yes")).load(None)


def test_words_of_the_command_are_the_settings_of_the_same_name(tmp_path: Path) -> None:
    made = _named(
        Options(
            output=tmp_path, lr=0.25, epochs=7, batch_size=5, optimizer="SGD", schedule="plateau", clip=2.0, patience=4,
            valid_size=0.125, test_size=0.25, split="items", seed=9, log_interval=3, logger="csv", animation=True,
            reduction="tsne", device="cpu", precision="bf16-mixed", same_label="yes", resume=True,
            dimensions=3, weight_decay=0.5,
        ),
        "siamese-contrastive",
        "folder",
    )  # fmt: skip
    assert (made.network, made.dataset, made.output, made.data) == (
        "siamese-contrastive", "folder", tmp_path, Path("data")
    )  # fmt: skip
    assert (made.lr, made.epochs, made.batch_size, made.optimizer, made.schedule) == (0.25, 7, 5, "SGD", "plateau")
    assert (made.clip, made.patience, made.valid, made.test, made.split) == (2.0, 4, 0.125, 0.25, "items")
    assert (made.seed, made.log_interval, made.animation, made.reduction, made.resume) == (9, 3, True, "tsne", True)
    assert (made.precision, made.same_label, made.arguments) == ("bf16-mixed", "yes", {"dimensions": 3})
    assert made.recipe.options == {"weight_decay": 0.5}
    usual = _named(Options(), "siamese-contrastive", "folder")
    assert (usual.output, usual.arguments, usual.reading, usual.augment) == (Path("tmp"), {}, {}, None)
    table = _named(Options(target="y", close=0.25, rows="items", without=("z",)), "siamese-mlp", "t.csv")
    assert table.reading == {"target": "y", "close": 0.25, "rows": "items", "without": ("z",)}
    koch = _named(Options(paired_augmentation=True, size=105), "koch", "folder")
    assert koch.augment is not None
    published = recipe("koch").augment
    assert published is not None
    assert (koch.augment.paired, koch.augment.degrees, published.paired) == (True, published.degrees, False)
    for name in {one.name for one in fields(Options)} & {one.name for one in fields(Settings)}:  # one default for both
        if name not in ("lr", "output"):
            assert getattr(Options(), name) == getattr(Settings("koch", "x", device="cpu"), name) or name == "device", (
                name
            )
    for network, dataset in ((None, "x"), ("koch", None)):
        with pytest.raises(ValueError, match="a network and a data set are needed"):
            _named(Options(), network, dataset)
    with pytest.raises(ValueError, match=r"--data there is where a named set lies, and .* is here itself"):
        _named(Options(data=Path("there")), "koch", str(tmp_path))


def test_the_trainer_is_as_the_settings_say(tmp_path: Path) -> None:
    from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, TQDMProgressBar
    from lightning.pytorch.loggers import CSVLogger

    of = Settings(
        "siamese-contrastive", "x", device="cpu", output=tmp_path, epochs=7, clip=2.0, patience=4, min_delta=0.125,
        log_interval=3, precision="bf16-mixed", progress=True,
    )  # fmt: skip
    stem = str(tmp_path / "run")
    old = tmp_path / "run-checkpoints" / "last.ckpt"
    old.parent.mkdir()
    old.write_text("")
    latent = LatentSpace(pictures(2))
    made: Any
    made, last = make_trainer(of.changed(resume=True), stem, latent, validated=True)
    assert last == old
    assert old.exists()  # it is gone on with
    assert (made.max_epochs, made.gradient_clip_val, made.precision, made.log_every_n_steps) == (
        7,
        2.0,
        "bf16-mixed",
        3,
    )
    assert made.num_sanity_val_steps == 0
    keeps = made.checkpoint_callback
    assert isinstance(keeps, ModelCheckpoint)
    assert (keeps.monitor, keeps.save_last, keeps.filename, keeps.dirpath) == (
        "valid_loss",
        True,
        "best",
        str(old.parent),
    )
    assert (keeps._save_on_train_epoch_end, keeps._enable_version_counter) == (False, False)
    stops = next(one for one in made.callbacks if isinstance(one, EarlyStopping))
    assert (stops.monitor, stops.patience, stops.min_delta) == ("valid_loss", 4, -0.125)  # Lightning keeps it negative
    assert next(one for one in made.callbacks if isinstance(one, TQDMProgressBar)).refresh_rate == 3
    assert made.callbacks[0] is latent
    assert isinstance(made.logger, CSVLogger)
    assert Path(made.logger.save_dir, made.logger.name) == tmp_path / "run-logs"
    made, _ = make_trainer(of.changed(patience=None, progress=False), stem)
    assert not old.exists()  # begun anew
    assert (made.checkpoint_callback.monitor, made.checkpoint_callback._save_on_train_epoch_end) == (None, True)
    assert not [one for one in made.callbacks if isinstance(one, (EarlyStopping, TQDMProgressBar, LatentSpace))]


def test_a_module_is_made_of_the_recipe(tmp_path: Path) -> None:
    of = Settings(
        "small", "x", device="cpu", lr=0.25, seed=4, log_interval=9, schedule="plateau", plateau={"patience": 2}
    )
    data = Source("s", pictures(9, 28, 3), pictures(3, 28, 3), pictures(3, 28, 3))
    made = make_module(of.build(), of, data, tmp_path / "bad", tmp_path / "kept")
    assert isinstance(made.loss, itemlosses.Classification)
    assert made.loss.classifier.weight.shape == (3, embeddings(of.build(), data.test, made.ready).shape[1])
    assert (made.lr, made.seed, made.log_interval, made.schedule, made.plateau) == (
        0.25,
        4,
        9,
        "plateau",
        {"patience": 2},
    )
    assert (made.optimizer_name, made.options) == ("AdamW", {"weight_decay": 1e-2})
    assert (made.bad_batch, made.kept) == (tmp_path / "bad", tmp_path / "kept")


def test_a_tenth_is_held_out_where_a_training_depends_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float | None] = []

    def load(self: Any, valid: float | None) -> Source[Any]:
        asked.append(valid)
        return source(valid=0 if valid == 0.0 else 4)

    monkeypatch.setattr(of_images.Training, "load", load)
    of = Settings("siamese-contrastive", "x", device="cpu")
    for settings in (of, of.changed(valid=0.25), of.changed(patience=3), of.changed(patience=3, valid=0.25)):
        loaded(settings)
    assert asked == [None, 0.25, 0.1, 0.25]
    with pytest.raises(ValueError, match=r"valid=0.0: early stopping and the plateau schedule need validation images"):
        loaded(of.changed(patience=3, valid=0.0))
    monkeypatch.setattr(of_images.Training, "load", lambda self, valid: source(test=1))
    with pytest.raises(
        ValueError, match=r"1 test images of x: all 1 items are of one class .* give more images or other"
    ):
        loaded(of)
    monkeypatch.setattr(of_images.Training, "load", lambda self, valid: source(valid=1))
    with pytest.raises(ValueError, match="1 validation images of x: all 1 items are of one class"):
        loaded(of)
    monkeypatch.setattr(of_images.Training, "load", lambda self, valid: source(test=0))
    with pytest.raises(ValueError, match="0 test images of x: there are no items to make pairs of"):
        loaded(of)
    monkeypatch.setattr(of_images.Training, "load", lambda self, valid: source(valid=0))
    assert len(loaded(of).train) == 8  # validation items may be missing
