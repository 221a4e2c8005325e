"""A model card with weights and a comparison, as a plugin in one file: ``xsiamese explain A B --model stamps``.

The weights lie beside this file; ``python stamps.py`` writes them anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor, nn

from xsiamese import Comparison, SiameseModel, hookimpl
from xsiamese.author import ModelCard, Preprocessing

WEIGHTS = Path(__file__).with_name("stamps.safetensors")


class Overlap(Comparison):
    """Sum of the smaller of each two coordinates: how much two histograms share."""

    name = "overlap"

    def forward(self, z_a: Tensor, z_b: Tensor) -> Tensor:
        return z_a.minimum(z_b).sum(1)


def build() -> SiameseModel:
    """Edges in four directions, how often each is met."""
    layers = [nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return SiameseModel(nn.Sequential(*layers), Overlap())


def edges() -> SiameseModel:
    """The model with its weights: Sobel's filters and their negatives."""
    model = build()
    across = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
    with torch.no_grad():
        model.encoder[0].weight.copy_(torch.stack([across, -across, across.T, -across.T])[:, None])
        model.encoder[0].bias.zero_()
    model.comparison.threshold_ = 0.5
    return model.eval()


CARD = ModelCard(
    name="stamps",
    build=build,
    summary="edges of grey pictures, compared by what they share",
    input=(1, 16, 16),
    embedding=4,
    comparison="overlap",
    layer="0",
    preprocessing=Preprocessing((16, 16), channels=1, mean=(0.0,), std=(1.0,)),
    weights=WEIGHTS,
)


@hookimpl
def xsiamese_models() -> Iterable[ModelCard]:
    """The card."""
    return [CARD]


@hookimpl
def xsiamese_comparisons() -> Iterable[type[Comparison]]:
    """The comparison, ``SiameseModel(encoder, "overlap")``."""
    return [Overlap]


if __name__ == "__main__":
    from xsiamese.zoo import save

    print(save(WEIGHTS, edges(), CARD.name))
