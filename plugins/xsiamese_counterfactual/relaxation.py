"""Smooth masks that flip decisions, by gradient descent, and the smallest cut through each that does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from xsiamese.author import Decision

LEVELS = 24  # shares of an image that are tried from the smallest on, before the cut is halved to a pixel


@dataclass(frozen=True)
class Prices:
    """How masks are found: rows and columns, steps, the prices of area and of total variation, the step size."""

    grid: int | None
    steps: int
    l1: float
    tv: float
    rate: float


def relaxed(
    image: Tensor,
    filling: Tensor,
    alike: Tensor,
    decision: Decision,
    *,
    closeness: Any,
    before: Tensor,
    prices: Prices,
) -> list[Tensor]:
    """Soft masks in [0, 1], (pairs, 1, height, width), half-way and at the end of gradient descent."""
    size = tuple(image.shape[2:])
    cells = prices.grid or max(2, min(14, max(size) // 4))
    logits = torch.zeros(len(image), 1, cells, cells, dtype=image.dtype, device=image.device, requires_grad=True)
    optimiser = torch.optim.Adam([logits], prices.rate)
    scale = (before - decision.cut).abs().clamp_min(1e-6)
    weight = torch.ones_like(before)
    kept = []
    for step in range(prices.steps):
        with torch.enable_grad():
            mask = functional.interpolate(logits, size, mode="bilinear", align_corners=False).sigmoid()
            value = closeness(image + mask * (filling - image))
            ahead = decision.progress(value, alike) / scale
            variation = mask.diff(dim=2).abs().mean((1, 2, 3)) + mask.diff(dim=3).abs().mean((1, 2, 3))
            loss = weight * (0.1 - ahead).relu() + prices.l1 * mask.mean((1, 2, 3)) + prices.tv * variation
            (slope,) = torch.autograd.grad(loss.sum(), logits)
        logits.grad = slope
        optimiser.step()
        if step % 5 == 4:  # the condition's weight follows whether it is met
            weight = torch.where(ahead.detach() > 0, weight * 0.8, weight * 1.3).clamp(0.05, 50)
        if step in (prices.steps // 2, prices.steps - 1):
            kept.append(mask.detach())
    return kept


def hardened(
    soft: Tensor, image: Tensor, filling: Tensor, alike: Tensor, *, decision: Decision, closeness: Any
) -> tuple[Tensor, Tensor]:
    """The smallest cut through each soft mask that flips the decision, or that comes closest to it, and what it costs.

    The cost is the share of the image; where no cut flips, it is 2 plus what is missing to the threshold.
    """
    pairs, pixels = len(soft), soft[0].numel()
    # sorting the order gives each pixel's rank, 0 for the strongest: the first k are a cut through the mask
    rank = soft.flatten(1).argsort(1, descending=True).argsort(1)

    def cut(count: Tensor) -> Tensor:
        return (rank < count[:, None]).reshape(soft.shape)

    def value(count: Tensor) -> Tensor:
        with torch.no_grad():
            found: Tensor = closeness(torch.where(cut(count), filling, image))
        return found

    low, high = (
        torch.zeros(pairs, dtype=torch.long, device=soft.device),
        torch.full((pairs,), pixels + 1, device=soft.device),
    )
    best, nearest = torch.full_like(image[:, 0, 0, 0], -torch.inf), low.clone()
    previous = 0
    for level in range(1, LEVELS + 1):
        count = max(previous + 1, round(pixels * (level / LEVELS) ** 1.5))
        reached = value(torch.full_like(low, min(count, pixels)))
        ahead, found = decision.progress(reached, alike), (high > pixels) & decision.flipped(reached, alike)
        best, nearest = torch.maximum(ahead, best), torch.where(ahead > best, min(count, pixels), nearest)
        high, low = torch.where(found, min(count, pixels), high), torch.where(found, previous, low)
        previous = min(count, pixels)
        if bool((high <= pixels).all()):
            break
    while bool(((high <= pixels) & (high - low > 1)).any()):
        middle = torch.where((high <= pixels) & (high - low > 1), (low + high) // 2, high)
        found = decision.flipped(value(middle), alike) & (high <= pixels)
        low, high = torch.where(found | (middle == high), low, middle), torch.where(found, middle, high)
    done = high <= pixels
    return cut(torch.where(done, high, nearest)), torch.where(done, high.to(soft.dtype) / pixels, 2 - best)


def regions(mask: Tensor) -> int:
    """How many connected regions (4 neighbours) a mask (height, width) has."""
    height, width = mask.shape
    label = torch.where(mask, torch.arange(1, mask.numel() + 1, device=mask.device).reshape(height, width), 0).float()[
        None, None
    ]
    while True:
        across = functional.max_pool2d(label, (1, 3), 1, (0, 1))
        grown = torch.maximum(across, functional.max_pool2d(label, (3, 1), 1, (1, 0))) * mask
        if torch.equal(grown, label):
            return int(torch.unique(label[label > 0]).numel())
        label = grown
