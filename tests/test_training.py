"""Training: losses by hand, resumed and interrupted runs, bad input, and what is written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.conftest import Killer
from tests.figures import bars, write_folders
from xsiamese import PairGradCAM, SiameseModel
from xsiamese.data import Augment
from xsiamese.data.batches import Apart
from xsiamese.data.pairs import fixed_pairs
from xsiamese.model.pair import PairModel
from xsiamese.training import itemlosses, losses
from xsiamese.training.evaluation import evaluate
from xsiamese.training.inputs import Pixels
from xsiamese.training.module import SiameseModule
from xsiamese.training.quality import _weighted_auc, auc_interval, ranked
from xsiamese.training.recipes import RECIPES
from xsiamese.training.run import batches, fit, loaded, make_module, make_trainer, train
from xsiamese.training.settings import Settings, sized
from xsiamese.zoo import CARDS as ALL_CARDS
from xsiamese.zoo import load
from xsiamese.zoo.backbones import backbone_features
from xsiamese.zoo.cards import Preprocessing
from xsiamese.zoo.image import CARDS, VAE, koch, livieris, siamese_bce


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folders(tmp_path_factory.mktemp("data") / "bars", bars(60))


@pytest.fixture
def quick(folders: Path, tmp_path: Path) -> Settings:
    return Settings(
        "siamese-contrastive",
        str(folders),
        output=tmp_path / "out",
        lr=3e-3,
        epochs=2,
        batch_size=16,
        valid=0.1,
        test=0.2,
        device="cpu",
        progress=False,
    )


def embeddings() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return (
        torch.randn(6, 3, generator=generator),
        torch.randn(6, 3, generator=generator),
        torch.tensor([1.0, 0, 1, 0, 0, 1]),
    )


def test_contrastive_is_hadsell_and_finite_for_equal_pairs() -> None:
    z_a, z_b, same = embeddings()
    model = SiameseModel(nn.Identity(), "euclidean")
    d = (z_a - z_b).norm(dim=1)
    by_hand = (
        sum((0.5 * float(x) ** 2 if y else 0.5 * max(0.0, 2 - float(x)) ** 2) for x, y in zip(d, same, strict=True)) / 6
    )
    assert float(losses.Contrastive(2.0)(model, torch.cat([z_a, z_b]), same)) == pytest.approx(by_hand)
    z = torch.zeros(4, 2, requires_grad=True)
    losses.Contrastive()(model, z, torch.tensor([1.0, 0.0])).backward()
    assert z.grad is not None
    assert bool(torch.isfinite(z.grad).all())


def test_pair_loss_gives_pytorch_metric_learning_the_given_pairs() -> None:
    from pytorch_metric_learning.distances import LpDistance
    from pytorch_metric_learning.losses import ContrastiveLoss
    from pytorch_metric_learning.reducers import MeanReducer

    z_a, z_b, same = embeddings()
    theirs = ContrastiveLoss(
        pos_margin=0, neg_margin=2, distance=LpDistance(normalize_embeddings=False), reducer=MeanReducer()
    )
    d = (z_a - z_b).norm(dim=1)
    by_hand = d[same == 1].mean() + F.relu(2 - d[same == 0]).mean()
    assert float(losses.PairLoss(theirs).of(z_a, z_b, same)) == pytest.approx(float(by_hand), rel=1e-5)


def test_the_other_losses_by_hand() -> None:
    z_a, z_b, same = embeddings()
    stacked = torch.cat([z_a, z_b])
    bce = SiameseModel(nn.Identity(), siamese_bce(3).comparison)
    p = torch.sigmoid(bce.compare(z_a, z_b))
    assert float(losses.BinaryCrossEntropy()(bce, stacked, same)) == pytest.approx(
        float(F.binary_cross_entropy(p, same)), rel=1e-5
    )
    plain = SiameseModel(nn.Identity(), "euclidean")
    a, p, n = stacked.split(4)
    by_hand = F.relu((a - p + 1e-6).norm(dim=1) - (a - n + 1e-6).norm(dim=1) + 0.7).mean()
    assert float(losses.Triplet(0.7)(plain, stacked, same)) == pytest.approx(float(by_hand), rel=1e-5)
    centres = itemlosses.Centres(3, 4)
    labels = torch.tensor([0, 1, 2, 3, 0, 1])
    odds = torch.softmax(-torch.cdist(z_a, centres.centres).square(), 1)[torch.arange(6), labels]
    assert float(centres(plain, z_a, labels)) == pytest.approx(float(-odds.log().mean()), rel=1e-4)
    pairs = [(i, j) for i in range(6) for j in range(i)]
    logits = torch.stack([bce.compare(z_a[i : i + 1], z_a[j : j + 1])[0] for i, j in pairs])
    alike = torch.tensor([labels[i] == labels[j] for i, j in pairs])
    chance = torch.softmax(torch.where(torch.eye(6) > 0, -torch.inf, -torch.cdist(z_a, z_a).square()), 1)
    own = torch.stack([chance[i][(labels == labels[i]) & (torch.arange(6) != i)].sum() for i in (0, 1, 4, 5)])
    assert float(itemlosses.Neighbours().of(z_a, labels)) == pytest.approx(float(-own.log().mean()), rel=1e-4)
    d = torch.tensor([float((z_a[i] - z_a[j]).norm()) for i, j in pairs])
    within = 0.5 * (0.5 * d[alike].square().mean() + 0.5 * F.relu(2 - d[~alike]).square().mean())
    assert float(losses.Contrastive(2.0, within=True)(plain, z_a, same[:3], labels)) == pytest.approx(
        float(within), rel=1e-4
    )
    triples = [
        (i, j, k)
        for i in range(6)
        for j in range(6)
        for k in range(6)
        if i != j and labels[i] == labels[j] and labels[i] != labels[k]
    ]
    d = torch.cdist(z_a, z_a)
    by_hand = torch.stack([F.relu(d[i, j] - d[i, k] + 0.7) for i, j, k in triples]).mean()
    assert float(losses.Triplet(0.7, within=True)(plain, z_a, labels[:2], labels)) == pytest.approx(
        float(by_hand), rel=1e-4
    )
    z, kinds = torch.randn(120, 3, generator=torch.Generator().manual_seed(1)), torch.arange(120) % 7
    rows, loss = torch.arange(120).view(3, 40), losses.Triplet(0.7, within=True)
    groups = [rows[:, :32].flatten(), rows[:, 32:].flatten()]
    by_hand = sum(float(loss.among(z[group], kinds[group])) * len(group) for group in groups) / 120
    assert float(loss(plain, z, kinds[:40], kinds)) == pytest.approx(by_hand, rel=1e-5)
    by_hand = (F.softplus(-logits[alike]).mean() + F.softplus(logits[~alike]).mean()) / 2
    assert float(losses.AllPairs()(bce, z_a, labels)) == pytest.approx(float(by_hand), rel=1e-5)


def test_a_classifier_may_start_with_even_directions_of_classes_in_their_order() -> None:
    order = torch.tensor([2, 0, 1])
    weight = itemlosses.Classification(2, 3, radius=5.0, order=order).classifier.weight[order]
    assert weight.norm(dim=1).tolist() == pytest.approx([5.0] * 3)
    turned = torch.atan2(weight[:, 1], weight[:, 0]).rad2deg() % 360
    assert turned.tolist() == pytest.approx([0, 120, 240], abs=1e-3)
    longer = itemlosses.Classification(4, 3, radius=5.0).classifier
    assert not longer.bias.any()
    assert sorted(longer.weight[:, :2].norm(dim=1).tolist()) == pytest.approx([5.0] * 3)


def test_evidence_is_reconstruction_and_divergence() -> None:
    torch.manual_seed(0)
    model = VAE()
    pixels = Preprocessing((28, 28), 1, (0.2,), (0.5,))
    images = torch.rand(5, 1, 28, 28)
    inputs = (images - 0.2) / 0.5
    low, high = -0.4, 1.6
    torch.manual_seed(1)
    value = float(losses.Evidence(low, high)(model, inputs, torch.zeros(5)))
    mean, log_variance = model.encoder.posterior(inputs)
    normal = torch.distributions.Normal(mean, (log_variance / 2).exp())
    divergence = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0)).sum()
    torch.manual_seed(1)
    code = mean + torch.randn_like(mean) * normal.stddev
    seen = F.binary_cross_entropy(torch.sigmoid(model.decoder(code)), images, reduction="sum")
    assert value == pytest.approx(float((divergence + seen) / 5), rel=1e-4)
    assert torch.equal(model.encode(inputs), mean)
    assert Pixels(pixels).normalise(images).allclose(inputs)


def test_training_pixels_are_those_of_the_card() -> None:
    from torchvision.transforms.v2.functional import to_pil_image

    for card in CARDS:
        pixels = card.preprocessing
        assert pixels is not None
        image = torch.randint(
            0, 256, (pixels.channels, *pixels.size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
        )
        module = Pixels(pixels)
        torch.testing.assert_close(
            module.normalise(module(image[None]))[0], pixels(to_pil_image(image)), atol=1e-5, rtol=1e-5
        )


@pytest.mark.parametrize("card", [card for card in CARDS if card.name != "koch"], ids=lambda card: card.name)
def test_every_network_is_explained_on_its_own_layer(card: Any) -> None:
    torch.manual_seed(0)
    model = card.build(**card.defaults).eval()
    size = (64, 64) if card.name == "livieris" else card.input[1:]
    a, b = torch.rand(2, 2, card.input[0], *size)
    assert model.encode(a).shape == (2, card.embedding)
    first, second = PairGradCAM(model, card.layer).attribute((a, b))
    assert first.shape == second.shape
    assert min(first.shape[2:]) >= 2
    assert bool(torch.isfinite(first).all())


def test_koch_is_as_published() -> None:
    model = koch(published_start=True)
    sizes = [tuple(p.shape) for p in model.encoder.parameters() if p.dim() > 1]
    assert sizes == [(64, 1, 10, 10), (128, 64, 7, 7), (128, 128, 4, 4), (256, 128, 4, 4), (4096, 9216)]
    assert float(model.encoder[0].bias.mean()) == pytest.approx(0.5, abs=0.01)
    assert float(model.encoder[0].weight.std()) == pytest.approx(0.01, rel=0.1)


def test_backbones_by_name() -> None:
    for name, channels in (("MobileNet", 1280), ("resnet18", 512), ("timm/resnet10t", 512)):
        features, found = backbone_features(name)
        assert found == channels
        assert features(torch.zeros(1, 3, 64, 64)).shape[1:] == (channels, 2, 2)
    with pytest.raises(ValueError, match="did you mean 'resnet18'"):
        livieris("resnet_18")
    with pytest.raises(ValueError, match="timm has no backbone"):
        livieris("timm/nothing")


def test_what_a_training_writes(quick: Settings) -> None:
    trained = train(replace(quick, animation=True, epochs=4))
    assert trained.finished
    assert {path.name.removeprefix("siamese-contrastive-bars") for path in trained.files} == {
        ".safetensors",
        "-metrics.json",
        "-metrics.txt",
        "-stats.png",
        "-training-set-embedding.png",
        "-testing-set-embedding.png",
        "-latent-space-development.gif",
    }
    assert all(path.stat().st_size > 0 for path in trained.files)
    metrics = json.loads((quick.output / "siamese-contrastive-bars-metrics.json").read_text())
    assert metrics["roc_auc"] > 0.8  # the centres are far apart, but not by the same distance
    assert len(metrics["history"]["train_loss"]) == len(metrics["history"]["valid_loss"]) == 4
    assert sum(map(sum, metrics["confusion"])) == metrics["test_pairs"] == 12 * 11 // 2
    from PIL import Image

    with Image.open(quick.output / "siamese-contrastive-bars-latent-space-development.gif") as animation:
        assert animation.n_frames == 5  # type: ignore[attr-defined]
    found = load(trained.files[0])
    assert found.model.comparison.threshold_ == metrics["threshold"]  # type: ignore[attr-defined, union-attr]
    assert found.about["dataset"] == quick.dataset
    x = torch.rand(3, 1, 28, 28)
    assert torch.equal(found.model(x, x.flip(0)), trained.model(x, x.flip(0)))


def test_a_resumed_training_ends_where_an_uninterrupted_one_does(
    quick: Settings, tmp_path: Path, killed_in_epoch: Killer
) -> None:
    how = replace(quick, network="embedding-recommended", epochs=4, augment=Augment(degrees=10, shift=0.1), valid=0.0)
    whole = train(replace(how, output=tmp_path / "whole"))
    with killed_in_epoch(2), pytest.raises(RuntimeError, match="killed"):
        train(replace(how, output=tmp_path / "parts"))
    torch.rand(7)  # other random numbers than in the whole run
    parts = train(replace(how, output=tmp_path / "parts", resume=True))
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, parts.model.state_dict()[name]), name
    assert whole.metrics == parts.metrics


def test_ctrl_c_writes_what_there_is(quick: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    start = SiameseModule.on_train_epoch_start

    def pressed(module: SiameseModule) -> None:
        start(module)
        if module.current_epoch == 1:
            raise KeyboardInterrupt

    import signal

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(SiameseModule, "on_train_epoch_start", pressed)
    trained = train(replace(quick, animation=True))
    assert signal.getsignal(signal.SIGINT) == before
    assert not trained.finished
    assert trained.metrics["epochs"] == 1
    assert all(path.is_file() for path in trained.files)
    assert load(trained.files[0]).about["epochs"] == 1


def test_a_loss_that_is_not_finite_stops_and_keeps(quick: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    forward = losses.Contrastive.of
    calls: list[int] = []

    def broken(loss: losses.Contrastive, distance: torch.Tensor, same: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return forward(loss, distance, same) * (float("nan") if len(calls) > 6 else 1)

    monkeypatch.setattr(losses.Contrastive, "of", broken)
    with pytest.raises(
        FloatingPointError, match=r"the loss is nan in epoch 1, batch .*nan-batch\.safetensors.*smaller lr"
    ):
        train(quick)
    from safetensors.torch import load_file

    batch = load_file(quick.output / "siamese-contrastive-bars-nan-batch.safetensors")
    assert batch["images"].shape[1:] == (1, 28, 28)
    kept = load(quick.output / "siamese-contrastive-bars-last-epoch.safetensors")
    assert kept.about["epochs"] == 1
    assert not (quick.output / "siamese-contrastive-bars.safetensors").exists()


def test_early_stopping_and_the_plateau_schedule(quick: Settings) -> None:
    trained = train(
        replace(
            quick,
            lr=1e-12,
            epochs=9,
            patience=2,
            min_delta=1e-3,
            schedule="plateau",
            plateau={"patience": 0},
            clip=1.0,
            optimizer="SGD",
            valid=None,
        )
    )
    assert trained.metrics["epochs"] == 3
    assert trained.metrics["calibration"]["on"] == "validation images"


def test_a_model_that_is_not_factored_gets_its_sides_apart(quick: Settings) -> None:
    class Joint(PairModel):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(nn.Flatten(), nn.Linear(784, 1))

        def forward(self, a: Any, b: Any, *extra: Any) -> Any:
            return 3 - self.net((a - b).abs())[:, 0]

    source, settings = loaded(quick), quick
    module = make_module(Joint(), replace(settings, network="siamese-binary-cross-entropy"), source)
    batch = next(iter(batches(module, settings, source)[0]))
    assert isinstance(batch.inputs, Apart)
    a, b = (module.ready(side) for side in batch.inputs)
    by_hand = F.binary_cross_entropy_with_logits(module.model(a, b), batch.labels)
    assert float(module.loss(module.model, Apart(a, b), batch.labels)) == pytest.approx(float(by_hand))
    trainer, _ = make_trainer(settings, str(quick.output / "run"))
    assert fit(trainer, module, settings, source)
    metrics = evaluate(module.model.eval(), source.train, source.test, module.ready)
    assert metrics["roc_auc"] > 0.9
    assert metrics["test_images"] == len(source.test)
    with pytest.raises(ValueError, match="Contrastive compares embeddings"):
        make_module(Joint(), settings, source)


def test_graded_pairs_by_hand() -> None:
    z_a, z_b, _ = embeddings()
    how_alike = torch.linspace(0, 1, 6)
    for name, value in (
        ("dot", lambda d: (z_a * z_b).sum(1)),
        ("euclidean", lambda d: torch.exp(-(z_a - z_b).norm(dim=1))),
    ):
        found = losses.Graded()(SiameseModel(nn.Identity(), name), torch.cat([z_a, z_b]), how_alike)
        assert float(found) == pytest.approx(float((value(0) - how_alike).square().mean()), rel=1e-5)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"network": "siamese-contrast"}, "did you mean 'siamese-contrastive'"),
        ({"lr": -1.0}, "lr=-1.0"),
        ({"epochs": 0}, "epochs=0"),
        ({"device": "cuda"}, "no CUDA device"),
        ({"logger": "wandb"}, "logger='wandb'"),
    ],
)
def test_bad_settings_are_told_at_once(quick: Settings, wrong: dict[str, Any], told: str) -> None:
    if wrong.get("device") == "cuda" and torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(ValueError, match=told):
        replace(quick, **wrong)


def test_words_for_other_data_and_other_networks_are_told(quick: Settings) -> None:
    with pytest.raises(
        ValueError, match=r"pattern='\*' says how other data are read than siamese-contrastive's images; it takes none"
    ):
        train(replace(quick, reading={"pattern": "*"}))
    with pytest.raises(ValueError, match=r"siamese-contrastive takes no backbone .*; it takes dimensions"):
        train(replace(quick, arguments={"backbone": "resnet18"}))


def test_an_output_that_cannot_be_written_is_told_at_once(quick: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot be written"):
        train(replace(quick, output=tmp_path / "file" / "out"))


def test_the_misspelt_names_and_the_recipes() -> None:
    assert Settings("tripet-loss-net", "MNIST").network == "triplet-loss-net"
    assert Settings("siamese-constrastive", "MNIST").network == "siamese-contrastive"
    trained = {card.name for card in ALL_CARDS if not card.name.startswith("planted-")}  # those have a script of theirs
    assert set(RECIPES) == trained - {"fashion"}
    with pytest.raises(ValueError, match="28 x 28 only"):
        sized(Settings("triplet-loss-net", "MNIST"), 64)
    assert sized(Settings("livieris", "MNIST"), 64).pixels.size == (64, 64)


def test_metrics_by_hand() -> None:
    large = torch.tensor([100.0, 101.0, 102.0])
    assert ranked(large).diff().gt(0).all()


def test_the_interval_of_the_auc_is_the_quantile_of_weighted_ones() -> None:
    from sklearn.metrics import roc_auc_score

    generator = torch.Generator().manual_seed(0)
    pairs = fixed_pairs(torch.arange(12) % 3, 100)
    score = torch.randint(0, 9, (len(pairs.a),), generator=generator).double() + pairs.same
    times = torch.randint(0, 3, (4, len(pairs.a)), generator=generator)
    for found, weight in zip(_weighted_auc(score, pairs.same, times), times, strict=True):
        assert float(found) == pytest.approx(roc_auc_score(pairs.same, score, sample_weight=weight))
    low, high = auc_interval(score, pairs)
    assert low < roc_auc_score(pairs.same, score) < high


@pytest.mark.slow
def test_the_recommended_recipe_learns_digits_in_the_plane(real_data: Path, tmp_path: Path) -> None:
    settings = Settings(
        "embedding-recommended", "MNIST", data=real_data, output=tmp_path, epochs=4, device="cpu", progress=False
    )
    whole = loaded(settings)
    source = replace(whole, train=whole.train.take(range(10_000)), test=whole.test.take(range(2_000)))
    module = make_module(settings.build(), settings, source)
    trainer, _ = make_trainer(settings, str(tmp_path / "run"))
    assert fit(trainer, module, settings, source)
    metrics = evaluate(module.model.eval(), source.train, source.test, settings.pixels, count=4000)
    assert metrics["5_nn_accuracy"] > 0.9
    assert metrics["roc_auc"] > 0.8  # the centres are far apart, but not by the same distance


def test_tensorboard_and_mixed_precision(quick: Settings) -> None:
    train(replace(quick, logger="tensorboard", precision="bf16-mixed"))
    assert list(quick.output.rglob("events.out.tfevents*"))
    found = json.loads((quick.output / "siamese-contrastive-bars-metrics.json").read_text())
    assert 0.5 <= found["roc_auc"] <= 1
