"""Models whose true attributions are known, and the same scoring model in every form that users write it in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from xsiamese import SiameseModel
from xsiamese.model.comparison import Comparison, Function


def conv_encoder(bias: bool = True, inplace: bool = False, seed: int = 0, channels: int = 1) -> nn.Sequential:
    """A small CNN with a grid, pooling and an embedding of 6; float64."""
    torch.manual_seed(seed)
    return (
        nn.Sequential(
            nn.Conv2d(channels, 5, 3, padding=1, bias=bias),
            nn.ReLU(inplace),
            nn.MaxPool2d(2),
            nn.Conv2d(5, 7, 3, padding=1, bias=bias),
            nn.ReLU(inplace),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(7, 6, bias=bias),
        )
        .double()
        .eval()
    )


def smooth_encoder(seed: int = 0) -> nn.Sequential:
    """A smooth MLP on 5 features, for limits that kinks would spoil; float64."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 4)).double().eval()


def images(pairs: int = 3, seed: int = 1, size: int = 8, channels: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(pairs, channels, size, size, generator=generator, dtype=torch.float64) for _ in range(2))  # type: ignore[return-value]


def vectors(pairs: int = 3, seed: int = 1, size: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(pairs, size, generator=generator, dtype=torch.float64) for _ in range(2))  # type: ignore[return-value]


def tensors(value: Any) -> Iterator[Tensor]:
    """All tensors of maps, however they are nested."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for one in value:
            yield from tensors(one)


class Twin(nn.Module):
    """Two encoders with equal weights that share nothing: what every hook-based tool explains rightly."""

    def __init__(self, encoder: nn.Module, compare: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.second = deepcopy(encoder), deepcopy(encoder)
        self.__dict__["compare"] = compare  # hidden: no layer of the network

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.compare(self.first(a), self.second(b))


class Shared(nn.Module):
    """One encoder, called twice, as most people write it."""

    def __init__(
        self, encoder: nn.Module, compare: Callable[[Tensor, Tensor], Tensor] = functional.cosine_similarity
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.compare = compare

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.compare(self.encoder(a), self.encoder(b))


class Backwards(Shared):
    """One encoder, called for b first."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        z_b = self.encoder(b)
        return self.compare(self.encoder(a), z_b)


class Stacked(Shared):
    """One call with both sides in one batch."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.compare(*self.encoder(torch.cat([a, b])).chunk(2))


class OneTuple(Shared):
    """The pair as one argument."""

    def forward(self, pair: tuple[Tensor, Tensor]) -> Tensor:
        return super().forward(*pair)


class OneDict(Shared):
    """The pair as a dictionary."""

    def forward(self, pair: dict[str, Tensor]) -> Tensor:
        return super().forward(pair["left"], pair["right"])


class Embeddings(Shared):
    """Returns the embeddings instead of a score."""

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return self.encoder(a), self.encoder(b)


class IgnoresB(Shared):
    """Encodes b and forgets it."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        self.encoder(b)
        return self.encoder(a).sum(1)


def gap_dot(seed: int = 0) -> SiameseModel:
    """Bias-free, globally pooled, dot product: Grad-CAM of the last layer sums to the score on each side."""
    torch.manual_seed(seed)
    encoder = nn.Sequential(
        nn.Conv2d(1, 5, 3, bias=False),
        nn.ReLU(),
        nn.Conv2d(5, 7, 3, bias=False),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(7, 6, bias=False),
    )
    return SiameseModel(encoder.double(), "dot")


def linear(comparison: str | Comparison = "dot", seed: int = 0) -> tuple[SiameseModel, Tensor]:
    """A linear encoder z = W x, and W."""
    torch.manual_seed(seed)
    encoder = nn.Linear(5, 3, bias=False).double()
    return SiameseModel(encoder, comparison), encoder.weight.detach()


def planted_patches(
    pairs: int = 20, size: int = 16, patch: int = 4, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Images of faint noise that share one strong patch at different places, and the masks of the patch in
    a and in b.
    """
    generator = torch.Generator().manual_seed(seed)
    a, b = (0.05 * torch.randn(pairs, 1, size, size, generator=generator, dtype=torch.float64) for _ in range(2))
    masks = [torch.zeros(pairs, size, size, dtype=torch.bool) for _ in range(2)]
    for i in range(pairs):
        content = torch.randn(patch, patch, generator=generator, dtype=torch.float64).sign()
        for image, mask in zip((a, b), masks, strict=True):
            row, column = torch.randint(0, size - patch, (2,), generator=generator).tolist()
            image[i, 0, row : row + patch, column : column + patch] = content
            mask[i, row : row + patch, column : column + patch] = True
    return a, b, masks[0], masks[1]


class Gated(nn.Module):
    """Embeds the first ``always`` features as they are and the next ``sometimes`` as 1.5 relu(x - 0.5); the rest is not
    used.
    """

    def __init__(self, always: int = 4, sometimes: int = 6) -> None:
        super().__init__()
        self.always, self.sometimes = always, sometimes

    def forward(self, x: Tensor) -> Tensor:
        end = self.always + self.sometimes
        return torch.cat([x[:, : self.always], 1.5 * (x[:, self.always : end] - 0.5).relu()], 1)


def known_relevance(always: int = 4, sometimes: int = 6, offset: float = 3.0, strength: float = 0.5) -> SiameseModel:
    """A Siamese net whose logit is offset - strength |u - v|^2: which features count is known for every pair, see
    :func:`relevant`.
    """
    return SiameseModel(Gated(always, sometimes), Function(lambda u, v: offset - strength * (u - v).square().sum(1)))


def relevant(query: Tensor, reference: Tensor, always: int = 4, sometimes: int = 6) -> Tensor:
    """Which features count for each pair of :func:`known_relevance`: the first always, the next where one of the two
    exceeds 0.5.
    """
    found = (query > 0.5) | (reference > 0.5)
    found[:, :always], found[:, always + sometimes :] = True, False
    return found
