"""The small networks of the planted sets (:mod:`xsiamese.data.planted`): what they should look at is known."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor, nn

from xsiamese.model.pair import SiameseModel
from xsiamese.zoo.cards import ModelCard, Preprocessing


def image_model(widths: tuple[int, int, int] = (8, 16, 32), dimensions: int = 32) -> SiameseModel:
    """Three convolutions, pooled and compared by their cosine: for 32 x 32 grey images."""
    first, second, third = widths
    return SiameseModel(
        nn.Sequential(
            *_convolved(1, first),
            nn.MaxPool2d(2),
            *_convolved(first, second),
            nn.MaxPool2d(2),
            *_convolved(second, third),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(third, dimensions),
        ),
        "cosine",
    )


def sequence_model(
    channels: int = 1, widths: tuple[int, int] = (32, 48), width: int = 7, dimensions: int = 32
) -> SiameseModel:
    """Two convolutions over time, pooled and compared by their cosine: for series and words (items, channels, steps).

    Args:
        channels: of each step.
        widths: channels of the two convolutions.
        width: steps that a convolution sees; 1 looks at each word by itself.
        dimensions: of the embedding.
    """
    first, second = widths
    return SiameseModel(
        nn.Sequential(
            nn.Conv1d(channels, first, width, padding=width // 2),
            nn.BatchNorm1d(first),
            nn.ReLU(),
            nn.Conv1d(first, second, width, padding=width // 2),
            nn.BatchNorm1d(second),
            nn.ReLU(),
            nn.AdaptiveAvgPool1d(1),
            nn.Flatten(),
            nn.Linear(second, dimensions),
        ),
        "cosine",
    )


def row_model(features: int = 10, hidden: int = 64, dimensions: int = 32) -> SiameseModel:
    """Two hidden layers and the cosine, for rows of numbers."""
    return SiameseModel(
        nn.Sequential(
            nn.Linear(features, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, dimensions),
        ),
        "cosine",
    )


class MotifEncoder(nn.Module):
    """A graph isomorphism network, its nodes' mean, and a linear layer: for graphs whose nodes have one feature."""

    def __init__(self, hidden: int, layers: int, dimensions: int) -> None:
        super().__init__()
        from torch_geometric.nn import GIN

        self.gnn = GIN(1, hidden, layers, norm="batch_norm")
        self.linear = nn.Linear(hidden, dimensions)

    def forward(self, graphs: Any) -> Tensor:
        from torch_geometric.nn import global_mean_pool

        nodes = self.gnn(graphs.x, graphs.edge_index)
        found: Tensor = self.linear(global_mean_pool(nodes, graphs.batch, graphs.num_graphs))
        return found


def motif_model(hidden: int = 32, layers: int = 3, dimensions: int = 32) -> SiameseModel:
    """:class:`MotifEncoder` and the cosine."""
    return SiameseModel(MotifEncoder(hidden, layers, dimensions), "cosine")


def _convolved(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()


GREY = Preprocessing((32, 32), 1, (0.0,), (1.0,))
_IMAGE = partial(ModelCard, build=image_model, input=(1, 32, 32), embedding=32, layer="encoder.8", preprocessing=GREY)

CARDS: tuple[ModelCard, ...] = (
    _IMAGE(
        name="planted-patches",
        summary="Planted truth: which of the two textures in an image two images share.",
        weights="planted_patches.safetensors",
    ),
    _IMAGE(
        name="planted-digits",
        summary="Planted truth: which of the two digits in an image two images share.",
        weights="planted_digits.safetensors",
    ),
    ModelCard(
        "planted-rows",
        row_model,
        "Planted truth: which columns of two rows agree, and which do not count.",
        (10,),
        32,
        modality="tabular",
        weights="planted_rows.safetensors",
    ),
    ModelCard(
        "planted-series",
        sequence_model,
        "Planted truth: which of the two waves in a series two series share.",
        (1, 96),
        32,
        layer="encoder.3",
        modality="series",
        weights="planted_series.safetensors",
    ),
    ModelCard(
        "planted-words",
        sequence_model,
        "Planted truth: which words of two sentences mean the same.",
        (16, 10),
        32,
        layer="encoder.3",
        modality="text",
        weights="planted_words.safetensors",
        defaults={"channels": 16, "widths": (48, 48), "width": 1},
    ),
    ModelCard(
        "planted-motifs",
        motif_model,
        "Planted truth: which of the two motifs in a graph two graphs share.",
        (),
        32,
        modality="graph",
        weights="planted_motifs.safetensors",
    ),
)
