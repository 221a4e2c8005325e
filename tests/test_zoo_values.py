"""Networks and planted data against what their sources say: sizes, starts, and the numbers of a small case by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from xsiamese.data.division import divided
from xsiamese.data.items import LabelledImages
from xsiamese.data.planted_rows import COLUMNS, COUNTING, Rows, _partner
from xsiamese.model.comparison import Learned
from xsiamese.plot.latent import _colours
from xsiamese.zoo.image import VAE, VAEEncoder, embedding_net, fashion_encoder, koch, small_encoder, weighted_l1

# of a convolution of k x k: inputs x outputs x k^2, and outputs more for the bias
SIZES: dict[str, tuple[Any, tuple[int, ...], int, tuple[int, ...]]] = {
    "fashion": (fashion_encoder, (1, 28, 28), 160 + 4640 + 18496 + 1040, (16,)),
    "embedding": (embedding_net, (1, 28, 28), 156 + 1 + 2416 + 1 + 32896 + 1 + 258, (2,)),
    "small": (small_encoder, (1, 28, 28), 144 + 32 + 4608 + 64 + 18432 + 128 + 36864 + 128 + 4160, (64,)),
    "vae": (VAEEncoder, (1, 28, 28), 156 + 1 + 2416 + 1 + 32896 + 1 + 2 * 258, (2,)),
    "koch": (lambda: koch().encoders[0], (1, 105, 105), 6464 + 401536 + 262272 + 524544 + 37752832, (4096,)),
}


@pytest.mark.parametrize("name", SIZES)
def test_networks_have_the_parameters_of_their_sources(name: str) -> None:
    make, shape, parameters, embedding = SIZES[name]
    with torch.device("meta"):  # 38 million numbers are not needed to be counted
        network = make().eval()
        assert sum(p.numel() for p in network.parameters()) == parameters
        assert network(torch.zeros(2, *shape)).shape == (2, *embedding)


def test_the_grids_that_cards_name() -> None:
    for encoder, layer, grid in (
        (fashion_encoder(), 7, (64, 7, 7)),
        (small_encoder(), 13, (64, 7, 7)),
        (embedding_net(), 4, (16, 8, 8)),
    ):
        assert encoder[: layer + 1](torch.zeros(1, 1, 28, 28)).shape[1:] == grid
        assert isinstance(encoder[layer], nn.ReLU | nn.PReLU)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_the_weighted_l1_starts_as_a_distance(sign: float) -> None:
    """Four dimensions of weight 1/2: the logit is 1 less half of the sum of absolute differences."""
    comparison = weighted_l1(4, sign)
    assert isinstance(comparison, Learned)
    u, v = torch.tensor([[1.0, 2.0, 3.0, 4.0]]), torch.tensor([[2.0, 0.0, 3.0, 1.0]])
    assert comparison(u, v).tolist() == pytest.approx([1 + sign * 3.0])
    assert comparison(u, u).tolist() == [1.0]


def test_the_autoencoder_compares_means_and_decodes_to_pixels() -> None:
    model, images = VAE(3).eval(), torch.rand(2, 1, 28, 28)
    mean, log_variance = model.encoder.posterior(images)
    assert torch.equal(model.encoder(images), mean)
    assert mean.shape == log_variance.shape == (2, 3)
    assert not torch.equal(mean, log_variance)
    assert model.decoder(mean).shape == (2, 1, 28, 28)
    assert torch.allclose(model(images[:1], images[1:]), (mean[0] - mean[1]).norm()[None])


def test_regions_are_averaged_and_count_alike_at_first() -> None:
    encoders = pytest.importorskip("xsiamese.zoo.encoders")
    head = encoders.RegionProduct(2)
    assert head(torch.tensor([[1.0, 3.0, 5.0, 11.0]])).tolist() == [[5.0]]  # the mean of 2 and 8
    with torch.no_grad():
        head.weight.weight.copy_(torch.tensor([[10.0, 1.0]]))
    assert head(torch.tensor([[1.0, 3.0, 5.0, 11.0]])).tolist() == [[28.0]]


@pytest.mark.parametrize("mean", [0.1, 0.5, 0.8])
def test_a_score_starts_at_the_mean_that_it_is_told(mean: float) -> None:
    matching = pytest.importorskip("xsiamese.zoo.matching")
    bias = float(matching.SimGNN(3, sizes=(4, 4), mean=mean).head[-1].bias)
    assert 1 / (1 + math.exp(-bias)) == pytest.approx(mean)
    for beyond in (0.0, 1.0):
        with pytest.raises(ValueError, match="between 0 and 1"):
            matching.SimGNN(3, mean=beyond)


def test_attention_to_the_other_graph_by_hand() -> None:
    """Nodes 0 and ln 3 of a ask nodes 1 and 0 of b: equal shares, and three to one; the second pair has a node each."""
    matching = pytest.importorskip("xsiamese.zoo.matching")
    data = pytest.importorskip("torch_geometric.data")

    def graphs(*sizes: int) -> Any:
        empty = torch.zeros(2, 0, dtype=torch.long)
        return data.Batch.from_data_list([data.Data(x=torch.ones(n, 1), edge_index=empty) for n in sizes])

    network = matching.GraphMatching(1)
    h_a, h_b = torch.tensor([[0.0], [math.log(3)], [5.0]]), torch.tensor([[1.0], [0.0], [7.0]])
    to_a, to_b = network.attended(h_a, graphs(2, 1), h_b, graphs(2, 1))
    assert to_a.flatten().tolist() == pytest.approx([0.5, 0.75, 7.0])
    assert to_b.flatten().tolist() == pytest.approx([0.75 * math.log(3), 0.5 * math.log(3), 5.0])


def test_planted_partners_are_near_or_far() -> None:
    generator = torch.Generator().manual_seed(0)
    a = torch.rand(2000, COLUMNS, generator=generator) * 4 - 2
    agrees = torch.rand(2000, COLUMNS, generator=generator) < 0.5
    b = _partner(a, agrees, generator)
    apart = (a - b).abs()
    assert float(apart[agrees].max()) <= 0.1
    assert float((b - a)[agrees].min()) < -0.099  # both ways
    assert float((b - a)[agrees].max()) > 0.099
    assert float(apart[~agrees].min()) >= 1 - 1e-6
    assert float(b[~agrees].abs().max()) <= 2
    # of a value near 0 both ends are left, [-2, -1] and [1, 2], each as often
    middle = b[(a.abs() < 0.05) & ~agrees]
    assert 0.4 < float((middle > 0).double().mean()) < 0.6


def test_planted_pairs_agree_where_the_truth_says_so() -> None:
    pairs = Rows().pairs(500)
    truth, counting = pairs.truth[0], torch.zeros(COLUMNS, dtype=torch.bool)
    counting[list(COUNTING)] = True
    assert bool((truth[:, ~counting] == 0).all())
    apart = (pairs.inputs[0] - pairs.inputs[1]).abs()
    assert float(apart[truth > 0].max()) <= 0.1
    assert float(apart[truth < 0].min()) >= 1 - 1e-6
    numbers = (truth > 0).sum(1)
    assert (int(numbers.min()), int(numbers.max())) == (1, 5)
    rows, alike = Rows().batch(20, torch.Generator().manual_seed(0))
    x, y = rows[3, list(COUNTING)].tolist(), rows[11, list(COUNTING)].tolist()
    assert float(alike[3, 11]) == pytest.approx(sum(math.exp(-2 * (p - q) ** 2) for p, q in zip(x, y, strict=True)) / 6)


@pytest.mark.parametrize(("classes", "single", "whole"), [(10, 0, True), (9, 5, False), (10, 3, True)])
def test_whole_classes_are_held_out_where_ten_have_two_items(classes: int, single: int, whole: bool) -> None:
    labels = torch.cat([torch.arange(classes).repeat(3), classes + torch.arange(single)])
    images = torch.zeros(len(labels), 1, 2, 2, dtype=torch.uint8)
    names = tuple(str(k) for k in range(classes + single))
    made = divided("set", LabelledImages(images, labels, names), 0.2, 0.2, seed=0)
    apart = not set(made.train.labels.tolist()) & set(made.test.labels.tolist())
    assert apart == whole


@pytest.mark.parametrize("count", [2, 10, 11, 20, 21, 40])
def test_every_class_has_a_colour_of_its_own(count: int) -> None:
    assert len({tuple(colour) for colour in _colours(count)}) == count
