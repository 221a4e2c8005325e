"""Reference models for images: each is an encoder and a comparison, so that every explainer takes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from xsiamese.model.comparison import ClampedEuclidean, Learned
from xsiamese.model.pair import SiameseModel
from xsiamese.zoo.backbones import backbone_features
from xsiamese.zoo.cards import ModelCard, Preprocessing


def fashion_encoder(dimensions: int = 16) -> nn.Sequential:
    """A small CNN for 28 x 28 grey images: a 7 x 7 grid of 64 channels, pooled by its mean, then linear. 25,000
    parameters.
    """
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, dimensions),
    )


def fashion(dimensions: int = 16) -> SiameseModel:
    """The embedded default: cosine similarity of two clothes."""
    return SiameseModel(fashion_encoder(dimensions), "cosine")


def embedding_net(dimensions: int = 2) -> nn.Sequential:
    """The EmbeddingNet of "Siamese networks and Friends" for 28 x 28 grey images: two 5 x 5 convolutions, PReLU, a
    hidden layer of 128.
    """
    return nn.Sequential(
        nn.Conv2d(1, 6, 5),
        nn.PReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.PReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(256, 128),
        nn.PReLU(),
        nn.Linear(128, dimensions),
    )


def embedded(dimensions: int = 2) -> SiameseModel:
    """EmbeddingNet and the Euclidean distance."""
    return SiameseModel(embedding_net(dimensions), "euclidean")


def weighted_l1(dimensions: int, sign: float = -1.0) -> Learned:
    r"""The comparison of Koch et al. 2015 (:cite:`koch2015`): the logit :math:`\sum_k w_k |u_k - v_k| + b`, starting
    with all :math:`w_k` negative.
    """
    head = nn.Linear(dimensions, 1)
    nn.init.constant_(head.weight, sign / dimensions**0.5)
    nn.init.constant_(head.bias, 1.0)
    return Learned(head, "absolute_difference")


def siamese_bce(dimensions: int = 2) -> SiameseModel:
    """EmbeddingNet and the weighted L1 distance: the logit of two images being of one class."""
    return SiameseModel(embedding_net(dimensions), weighted_l1(dimensions))


def small_encoder(dimensions: int = 64, channels: int = 16) -> nn.Sequential:
    """The recommended encoder for 28 x 28 grey images: four 3 x 3 convolutions with batch norm on grids of 14 x 14 and
    7 x 7.
    """

    def block(inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
        return [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]

    return nn.Sequential(
        *block(1, channels),
        nn.MaxPool2d(2),
        *block(channels, 2 * channels),
        nn.MaxPool2d(2),
        *block(2 * channels, 4 * channels),
        *block(4 * channels, 4 * channels),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4 * channels, dimensions),
    )


def small(dimensions: int = 64, channels: int = 16) -> SiameseModel:
    """The recommended encoder and the cosine similarity."""
    return SiameseModel(small_encoder(dimensions, channels), "cosine")


class VAEEncoder(nn.Module):
    """EmbeddingNet up to its hidden layer, then the mean and the logarithm of the variance of the code. The mean is the
    embedding.
    """

    def __init__(self, dimensions: int = 2) -> None:
        super().__init__()
        self.body = embedding_net()[:-1]
        self.mean = nn.Linear(128, dimensions)
        self.log_variance = nn.Linear(128, dimensions)

    def forward(self, images: Tensor) -> Tensor:
        mean: Tensor = self.mean(self.body(images))
        return mean

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the code, shape (items, dimensions) each."""
        hidden = self.body(images)
        return self.mean(hidden), self.log_variance(hidden)


class VAE(SiameseModel):
    """A variational autoencoder (:cite:`kingma2014`) whose pairs are compared by the distance of their codes' means.

    Attributes:
        decoder: from codes (items, dimensions) to the logits of the pixels (items, 1, 28, 28).
    """

    encoder: VAEEncoder

    def __init__(self, dimensions: int = 2) -> None:
        super().__init__(VAEEncoder(dimensions), "euclidean")
        self.decoder = nn.Sequential(
            nn.Linear(dimensions, 128),
            nn.ReLU(),
            nn.Linear(128, 32 * 49),
            nn.ReLU(),
            nn.Unflatten(1, (32, 7, 7)),
            nn.ConvTranspose2d(32, 16, 4, 2, 1),
            nn.ReLU(),
            nn.ConvTranspose2d(16, 1, 4, 2, 1),
        )


def koch(published_start: bool = False) -> SiameseModel:
    """The one-shot network of Koch et al. 2015 (:cite:`koch2015`) for 105 x 105 drawings: four convolutions, 4096
    sigmoids, weighted L1.

    Args:
        published_start: the initialisation of the paper instead of PyTorch's, which learns sooner with Adam.
    """
    encoder = nn.Sequential(
        nn.Conv2d(1, 64, 10),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(64, 128, 7),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(128, 128, 4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(128, 256, 4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(9216, 4096),
        nn.Sigmoid(),
    )
    model = SiameseModel(encoder, weighted_l1(4096))
    if published_start:
        for module in model.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.normal_(module.weight, std=0.01 if isinstance(module, nn.Conv2d) else 0.2)
                nn.init.normal_(module.bias, mean=0.5, std=0.01)  # type: ignore[arg-type]
    return model


def livieris(backbone: str = "MobileNet", weights: Any = None, dimensions: int = 2, limit: float = 1.0) -> SiameseModel:
    """The network of Livieris et al. 2023 (:cite:`livieris2023`): a backbone, pooled, 256 hidden units, 2 dimensions,
    distance clamped at 1.

    Args:
        backbone: "MobileNet", "ResNet50", the name of any torchvision classifier ("resnet18"), or "timm/NAME".
        weights: given to torchvision (for example "DEFAULT") or, as ``pretrained``, to timm. None starts from nothing.
        dimensions: of the embedding.
        limit: where the distance is clamped.

    Raises:
        ValueError: if no backbone has that name, with the nearest ones.
    """
    features, channels = backbone_features(backbone, weights)
    head = nn.Sequential(nn.Linear(channels, 256), nn.ReLU(), nn.Linear(256, dimensions))
    encoder = nn.Sequential()
    for name, module in (
        ("features", features),
        ("pool", nn.AdaptiveAvgPool2d(1)),
        ("flatten", nn.Flatten()),
        ("head", head),
    ):
        encoder.add_module(name, module)
    return SiameseModel(encoder, ClampedEuclidean(limit))


MNIST = Preprocessing((28, 28), channels=1, mean=(0.1307,), std=(0.3081,))
OMNIGLOT = Preprocessing((105, 105), channels=1, mean=(0.08,), std=(0.27,), invert=True)


def _grey(
    name: str,
    build: Callable[..., SiameseModel],
    summary: str,
    *,
    embedding: int = 2,
    comparison: str = "euclidean",
    layer: str = "4",
    paper: tuple[str, ...] = (),
) -> ModelCard:
    """A card of a network for 28 x 28 grey images."""
    return ModelCard(name, build, summary, (1, 28, 28), embedding, comparison, layer, MNIST, paper=paper)


CARDS = (
    ModelCard(
        name="fashion",
        build=fashion,
        summary="Small CNN for 28 x 28 clothes, cosine; trained on Fashion-MNIST and shipped.",
        input=(1, 28, 28),
        embedding=16,
        layer="7",
        preprocessing=Preprocessing((28, 28), channels=1, mean=(0.286,), std=(0.353,)),
        licence="BSD-3-Clause (weights), MIT (Fashion-MNIST)",
        paper=("xiao2017",),
        weights="fashion.safetensors",
    ),
    _grey("embedding-classification", embedded, "EmbeddingNet (2-d) trained to classify, Euclidean distance."),
    _grey(
        "siamese-contrastive",
        embedded,
        "EmbeddingNet (2-d), contrastive loss of Hadsell et al. 2006.",
        paper=("hadsell2006",),
    ),
    _grey(
        "siamese-binary-cross-entropy",
        siamese_bce,
        "EmbeddingNet (2-d), weighted L1 and sigmoid (Koch 2015).",
        comparison="learned",
        paper=("koch2015",),
    ),
    _grey(
        "triplet-loss-net", embedded, "EmbeddingNet (2-d), triplet loss of Schroff et al. 2015.", paper=("schroff2015",)
    ),
    _grey(
        "vae",
        VAE,
        "Variational autoencoder on EmbeddingNet (2-d), distance of the codes' means.",
        layer="body.3",
        paper=("kingma2014",),
    ),
    _grey(
        "embedding-recommended",
        embedded,
        "EmbeddingNet (2-d) with the recommended recipe: learned class centres in the plane.",
        paper=("snell2017",),
    ),
    _grey(
        "small",
        small,
        "Recommended small CNN for 28 x 28 images, cosine.",
        embedding=64,
        comparison="cosine",
        layer="13",
    ),
    ModelCard(
        name="koch",
        build=koch,
        summary="The one-shot network of Koch et al. 2015 for 105 x 105 Omniglot drawings.",
        input=(1, 105, 105),
        embedding=4096,
        comparison="learned",
        layer="9",
        preprocessing=OMNIGLOT,
        paper=("koch2015", "lake2015"),
    ),
    ModelCard(
        name="livieris",
        build=livieris,
        summary="Backbone + 256 + 2, clamped Euclidean distance: Livieris et al. 2023.",
        input=(3, 224, 224),
        embedding=2,
        comparison="clamped_euclidean",
        layer="features",
        preprocessing=Preprocessing((224, 224)),
        paper=("livieris2023",),
    ),
)
