"""Masks of an item's parts, what fills the gaps, and the regression of embeddings on them in closed form."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from itertools import product
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from xsiamese.author import Parts, wide

Filling = Literal["blur", "mean", "noise", "partner", "baseline"]


@dataclass(frozen=True, eq=False)
class Masks:
    """Masks of one item's parts.

    Attributes:
        keep: shape (masks, parts), 1 where a part stays.
        weight: of each mask, or None where they were drawn and count alike.
        mirrored: whether the second half are the complements of the first.
    """

    keep: Tensor
    weight: Tensor | None = None
    mirrored: bool = False


def draw(parts: int, count: int, p: float, like: Tensor, generator: torch.Generator) -> Masks:
    """Masks that keep each part with probability p; all of them, weighted, where there are no more than asked for.

    For p = 0.5 half of them are the complements of the others, which takes away what any even number of parts does
    together, and the others are :func:`orthogonal` where there are enough of them, so that no part's slope has to be
    told from another's.

    Raises:
        ValueError: if p is not between 0 and 1.
    """
    if not 0 < p < 1:
        raise ValueError(f"p={p}: a probability between 0 and 1 is needed")
    if parts < 31 and 2**parts <= count:
        keep = like.new_tensor(list(product((0.0, 1.0), repeat=parts)))
        kept = keep.sum(1)
        return Masks(keep, p**kept * (1 - p) ** (parts - kept))
    if p != 0.5:
        return Masks((torch.rand(count, parts, generator=generator) < p).to(like))
    half = orthogonal(parts, (count + 1) // 2, generator).to(like)
    return Masks(torch.cat([half, 1 - half]), mirrored=True)


def orthogonal(parts: int, count: int, generator: torch.Generator) -> Tensor:
    """Masks in which each part is kept by half and any two of them by a quarter, shape (count, parts): blocks of a
    Hadamard matrix, each with columns, signs and rows of its own at random (Plackett and Burman 1946).

    Beside plain draws, of 49 parts the slopes are as near with half as many of 128 masks, and with 0.9 of 1,346. Fewer
    than a block's masks are plain draws, since a part of a block may not tell all parts apart.
    """
    block = torch.ones(1, 1)
    while len(block) < parts:
        block = torch.cat([torch.cat([block, block], 1), torch.cat([block, -block], 1)])
    if count < len(block):
        return torch.rand(count, parts, generator=generator) < 0.5

    def shuffled() -> Tensor:
        columns, rows = (torch.randperm(len(block), generator=generator) for _ in range(2))
        signs = torch.randint(2, (parts,), generator=generator) * 2 - 1
        return block[rows][:, columns[:parts]] * signs > 0

    return torch.cat([shuffled() for _ in range(-(-count // len(block)))])[:count]


def generator_of(item: Tensor, seed: int | None) -> torch.Generator:
    """A generator that belongs to an item: the same item gets the same masks, whichever side it stands on."""
    made = torch.Generator()
    if seed is None:
        made.manual_seed(int(torch.randint(2**62, ())))
        return made
    content = item.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return made.manual_seed((seed * 2654435761 + zlib.crc32(content)) % 2**63)


def filled(item: Tensor, filling: Filling, baseline: Tensor, partner: Tensor, parts: Parts) -> Tensor:
    """What shows where a part is masked, of the item's shape (1, ...).

    Raises:
        ValueError: if the filling does not fit the item.
    """
    if filling == "baseline":
        return baseline
    if filling == "partner":
        if partner.shape != item.shape:
            raise ValueError(f"filling='partner': a {tuple(item.shape)} cannot be filled from a {tuple(partner.shape)}")
        return partner
    if filling == "noise":
        spread = item.std() if item.numel() > 1 else item.abs()
        return item.mean() + spread * torch.randn(item.shape, generator=generator_of(item, 1)).to(item)
    if filling == "mean":
        along = tuple(i for i, size in enumerate(parts.number.shape) if size > 1)  # over the places, not the channels
        return item.mean(along, keepdim=True).expand_as(item) if along else item
    if item.dim() != 4:
        raise ValueError(f"filling='blur' is for images, and this is {tuple(item.shape)}: 'baseline' or 'mean' fit")
    return blurred(item)


def blurred(image: Tensor) -> Tensor:
    """The mean over a square of two fifths of the image's smaller side."""
    radius = max(1, min(image.shape[-2:]) // 5)
    return functional.avg_pool2d(functional.pad(image, (radius,) * 4, mode="replicate"), 2 * radius + 1, 1)


@dataclass(frozen=True, eq=False)
class Regression:
    r"""The least squares of anything on one item's masks: :math:`Z_c^+`, of shape (parts, masks).

    Attributes:
        inverse: the pseudo-inverse, with the masks' weights in it.
        masks: the masks.
        leverage: how much each mask pulls its own fit to itself, (masks,).
    """

    inverse: Tensor
    masks: Masks
    leverage: Tensor

    @classmethod
    def of(cls, masks: Masks) -> Regression:
        """The regression on masks.

        Raises:
            ValueError: if they cannot tell the parts apart.
        """
        keep = masks.keep.double()
        count, parts = keep.shape
        weight = torch.full((count,), 1 / count, dtype=keep.dtype, device=keep.device)
        if masks.weight is not None:
            weight = masks.weight.double() / masks.weight.sum()
        root = weight.sqrt()[:, None]
        centred = root * (keep - weight @ keep)
        if masks.mirrored:  # a mask and its complement are one observation, of opposite signs around the centre
            centred, root = centred[: count // 2], root[: count // 2]
        orthogonal, upper = torch.linalg.qr(centred)
        pivots = upper.diagonal().abs()
        if count <= parts or len(pivots) < parts or bool((pivots <= 1e-10 * pivots.max()).any()):
            different = len(torch.unique(keep, dim=0))
            raise ValueError(
                f"more than {parts} different masks are needed, got {different}"
                if different <= parts
                else f"{different} masks do not tell {parts} parts apart: draw more (masks=), or take fewer (cells=)"
            )
        inverse = torch.linalg.solve_triangular(upper, orthogonal.T, upper=True) * root.T
        leverage = orthogonal.square().sum(1)
        if masks.mirrored:
            inverse, leverage = torch.cat([inverse, -inverse], 1) / 2, leverage.repeat(2)
        else:
            leverage = leverage + weight
        like = wide(masks.keep)
        return cls(inverse.to(like), masks, leverage.clamp(max=1 - 1e-9).to(like))

    def slopes(self, values: Tensor) -> Tensor:
        """What each part adds to values (masks, ...), shape (parts, ...)."""
        return self.inverse @ wide(values)

    def mean(self, values: Tensor) -> Tensor:
        """The mean of values (masks, ...) over the masks."""
        weight, values = self.masks.weight, wide(values)
        return values.mean(0) if weight is None else (wide(weight) / weight.sum()) @ values

    @property
    def centre(self) -> Tensor:
        """How often each part stays, (parts,)."""
        return self.mean(self.masks.keep)

    def residuals(self, values: Tensor) -> Tensor:
        """What the fit leaves of values (masks, D), made larger for what each mask pulls its own fit to itself, as
        (draws, D): a mask and its complement are one draw, and where all masks were taken there is none.

        Over 1 - leverage for masks drawn one by one (HC3); over its root for a mask and its complement (HC2), where HC3
        would take intervals for 0.98 that say 0.95 (MacKinnon and White 1985; with a few masks for each part).
        """
        values, keep = wide(values), wide(self.masks.keep)
        if self.masks.weight is not None:
            return values.new_zeros(0, values.shape[1])
        fit = self.mean(values) + (keep - self.centre) @ self.slopes(values)
        left = (values - fit) / (1 - self.leverage)[:, None] ** (0.5 if self.masks.mirrored else 1)
        return left if not self.masks.mirrored else left[: len(left) // 2] - left[len(left) // 2 :]

    @property
    def spread(self) -> Tensor:
        """The squared weight of each draw in each slope, (parts, draws): of squared :meth:`residuals` it makes the
        variance of the slopes.
        """
        draws = len(self.masks.keep) if self.masks.weight is None else 0
        # the pseudo-inverse has opposite signs for a mask and its complement
        return self.inverse[:, : draws // 2 if self.masks.mirrored else draws].square()
