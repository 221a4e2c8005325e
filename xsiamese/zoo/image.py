"""Reference models for images."""

from __future__ import annotations

from torch import nn

from xsiamese.model import SiameseModel
from xsiamese.zoo.cards import ModelCard, Preprocessing


def fashion_encoder(dimensions: int = 16) -> nn.Sequential:
    """A small CNN for 28 x 28 grey images: a 7 x 7 grid of 64 channels, pooled by its mean, then linear. 25,000 parameters."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, dimensions),
    )  # fmt: skip


def fashion(dimensions: int = 16) -> SiameseModel:
    """The embedded default: cosine similarity of two clothes."""
    return SiameseModel(fashion_encoder(dimensions), "cosine")


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
)
