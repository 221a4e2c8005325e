"""What comes in place of the pixels that a mask covers."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from xsiamese.author import Decision, PairBatch

Replacement = Literal["auto", "blur", "mean", "partner", "noise"]


def blurred(image: Tensor) -> Tensor:
    """The image under a Gaussian of an eighth of its size."""
    sigma = max(image.shape[2:]) / 8
    reach = min(int(2 * sigma), min(image.shape[2:]) - 1)
    kernel = torch.exp(
        -torch.arange(-reach, reach + 1, dtype=image.dtype, device=image.device).square() / (2 * sigma**2)
    )
    kernel = (kernel / kernel.sum()).expand(image.shape[1], 1, 1, -1)
    padded = functional.pad(image, (reach, reach, reach, reach), mode="reflect")
    across = functional.conv2d(padded, kernel, groups=image.shape[1])
    return functional.conv2d(across, kernel.transpose(2, 3), groups=image.shape[1])


def replacing(
    one: PairBatch, side: int, kind: Replacement, decision: Decision, *, alike: Tensor, closeness: Any
) -> Tensor:
    """What comes in place of masked pixels, shaped as the images."""
    image = one.moved[0].detach()
    partner = (one.a, one.b)[1 - side].leaves[0]
    if kind == "partner" or (kind == "auto" and not bool(alike.all())):
        if partner.shape != image.shape:
            raise ValueError(
                f"replacement='partner' needs images of one shape: a and b are {tuple(one.a.leaves[0].shape)} and "
                f"{tuple(one.b.leaves[0].shape)}"
            )
        if kind == "partner":
            return partner
    if kind == "blur":
        return blurred(image)
    if kind == "mean":
        return image.mean((2, 3), keepdim=True).expand_as(image)
    noise = torch.randn(image.shape[1:], generator=torch.Generator().manual_seed(one.seed or 0), dtype=image.dtype).to(
        image.device
    )
    made = image.mean((1, 2, 3), keepdim=True) + image.std((1, 2, 3), keepdim=True) * noise
    if kind == "noise":
        return made
    chosen, done = (
        torch.where(alike[:, None, None, None], blurred(image), partner if not bool(alike.all()) else image),
        ~alike,
    )
    with torch.no_grad():
        for candidate in (blurred(image), image.mean((2, 3), keepdim=True).expand_as(image), made):
            flips = decision.flipped(closeness(candidate), alike) & ~done
            chosen, done = torch.where(flips[:, None, None, None], candidate, chosen), done | flips
    return chosen
