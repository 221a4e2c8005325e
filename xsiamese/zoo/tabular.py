"""Reference models for rows of tables: an MLP and a logit of the squared distance."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from xsiamese.model.comparison import Learned
from xsiamese.model.pair import SiameseModel
from xsiamese.zoo.cards import ModelCard


class DistanceLogit(nn.Module):
    r"""The logit :math:`\beta - |u - v|^2` of a pair being alike, from :math:`|u - v|`; the bias :math:`\beta` is
    learned, the scale is the encoder's.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.ones(()))

    def forward(self, difference: Tensor) -> Tensor:
        return self.bias - difference.square().sum(1)


def mlp(inputs: int, hidden: int = 32, dimensions: int = 16, layers: int = 1) -> nn.Sequential:
    """A multilayer perceptron on standardised features. SiLU rather than ReLU: its gradients are continuous, as
    optimised explanations want them.
    """
    sizes = [inputs, *([hidden] * layers)]
    blocks = [module for low, high in pairwise(sizes) for module in (nn.Linear(low, high), nn.SiLU())]
    return nn.Sequential(*blocks, nn.Linear(sizes[-1], dimensions))


def siamese_mlp(inputs: int = 8, hidden: int = 32, dimensions: int = 16, layers: int = 1) -> SiameseModel:
    """A shared MLP whose score is the logit of two rows being alike.

    Args:
        inputs: the number of features.
        hidden: units of each hidden layer.
        dimensions: of the embedding.
        layers: how many hidden layers.

    Raises:
        ValueError: if one of them is below 1.

    Example:
        >>> siamese_mlp(inputs=3)(torch.zeros(2, 3), torch.zeros(2, 3)).tolist()
        [1.0, 1.0]
    """
    for name, value in (("inputs", inputs), ("hidden", hidden), ("dimensions", dimensions), ("layers", layers)):
        if value < 1:
            raise ValueError(f"{name}={value}: at least 1 is needed")
    return SiameseModel(mlp(inputs, hidden, dimensions, layers), Learned(DistanceLogit(), "absolute_difference"))


CARDS = (
    ModelCard(
        name="siamese-mlp",
        build=siamese_mlp,
        summary="MLP for rows of a table, logit of the squared distance.",
        embedding=16,
        comparison="learned",
        layer="0",
        modality="tabular",
    ),
)
