"""One run of masks: what a model makes of both items with parts of them gone."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from xsiamese.author import Column, Found, PairBatch, Sampler

ROOM = 2**22  # numbers of masked items in one pass, where the user gives no number of pairs


class MaskRun(Sampler):
    r"""The embeddings of both items under random masks: one run, read by RISE, CorrRISE, RELAX, SBSM, xFace and the
    distance explainer without asking the model again.

    Images are masked by cells, rows by features, series by times, texts by tokens; masks are drawn for each item by
    itself, the same on either side.

    Example:
        >>> from xsiamese import MaskRun, PairCorrRISE, PairRISE, SiameseModel
        >>> model = SiameseModel(torch.nn.Flatten())
        >>> pair = torch.rand(1, 1, 8, 8), torch.rand(1, 1, 8, 8)
        >>> run = MaskRun(model).sample(pair, masks=64, cells=(2, 2))
        >>> maps = [one(model).attribute(pair, sample=run, masks=64, cells=(2, 2)) for one in (PairRISE, PairCorrRISE)]
        >>> [tuple(a.shape) for a, b in maps]
        [(1, 1, 8, 8), (1, 1, 8, 8)]
    """

    name = "mask_run"
    formula = r"u_t = f(x \odot M_t + \phi\,(1 - M_t))"
    reference = ("petsiuk2018",)
    modalities = frozenset({"image", "row", "series", "volume", "text"})
    uses_gradients = False
    stochastic = True
    chunk = 1

    def compute(self, batch: PairBatch, *args: Any, **options: Any) -> Found:
        found = super().compute(batch, *args, **options)
        value = batch.closeness(found.columns["whole_a"][0], found.columns["whole_b"][0])
        return Found(None, value, found.columns)  # the score is known, and costs no pass of its own

    def ask(
        self, batch: PairBatch, *, masks: int = 1000, cells: tuple[int, ...] | None = None, p: float = 0.5
    ) -> Mapping[str, Column]:
        """The masks (masks, parts) of both items, the embeddings under them, and those of the whole items.

        Args:
            batch: the pair.
            masks: how many for each item.
            cells: the grid of an image that is masked by cells; None takes 8 x 8, or every pixel of smaller ones.
            p: how often a part stays.

        Raises:
            ValueError: if p is no probability, masks are fewer than two, or the grid is finer than the image.
        """
        if not 0 < p < 1 or masks < 2:
            raise ValueError(f"masks={masks}, p={p}: two masks at least and a probability between 0 and 1 are needed")
        found: dict[str, Any] = {}
        for side, name in enumerate("ab"):
            leaf = movable(batch, side)
            item = batch.sides[side].leaves[leaf]
            grid = grid_of(item, cells)
            keep = _drawn(item, masks, math.prod(grid), p, batch.seed)
            with torch.no_grad():
                found[f"whole_{name}"] = [batch.embed(side)]
                found[f"embeddings_{name}"] = [_embedded(batch, side, leaf, keep, grid)]
            found[f"masks_{name}"], found[f"grid_{name}"] = [keep], [list(grid)]
        return found


def movable(batch: PairBatch, side: int) -> int:
    """The number of the one tensor of a side that can be masked.

    Raises:
        ValueError: if there are several.
    """
    found = [i for i, leaf in enumerate(batch.sides[side].leaves) if leaf.is_floating_point()]
    if len(found) != 1:
        raise ValueError(f"one tensor of each side can be masked, and {len(found)} of {'ab'[side]} could move")
    return found[0]


def grid_of(item: Tensor, cells: tuple[int, ...] | None) -> tuple[int, ...]:
    """How the parts of an item lie: cells of an image, places of a series or a volume, features of a row.

    Raises:
        ValueError: if the cells are finer than the image.
    """
    places = tuple(item.shape[2:]) if item.dim() > 2 else tuple(item.shape[1:])
    if item.dim() != 4:
        return places
    grid = tuple(min(8, size) for size in places) if cells is None else tuple(cells)
    if len(grid) != len(places) or any(not 0 < new <= old for new, old in zip(grid, places, strict=False)):
        raise ValueError(f"cells={cells}: a grid no finer than {places} is needed")
    return grid


def numbers(item: Tensor, grid: tuple[int, ...]) -> Tensor:
    """The part of each place of an item, broadcast to its shape (1, ...)."""
    places = item.shape[2:] if item.dim() > 2 else item.shape[1:]
    number = torch.zeros((), dtype=torch.long, device=item.device)
    for new, old in zip(grid, places, strict=True):
        # place i of `old` is in cell i * new // old of `new`
        number = number[..., None] * new + torch.arange(old, device=item.device) * new // old
    return number[None, None] if item.dim() > 2 else number[None]


def _drawn(item: Tensor, masks: int, parts: int, p: float, seed: int | None) -> Tensor:
    generator = torch.Generator()
    content = item.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
    own = int(torch.randint(2**31, ())) if seed is None else seed
    generator.manual_seed((own * 2654435761 + zlib.crc32(content)) % 2**63)
    return (torch.rand(masks, parts, generator=generator) < p).to(item)


def _embedded(batch: PairBatch, side: int, leaf: int, keep: Tensor, grid: tuple[int, ...]) -> Tensor:
    """The embeddings of one item under each mask, (masks, D)."""
    own = batch.sides[side].leaves
    item, fill = own[leaf], batch.baselines[side][leaf]
    number = numbers(item, grid)
    at_once = max(1, min(batch.rows or ROOM, ROOM // max(1, item.numel())))
    chunks = torch.split(keep, at_once)
    found = []
    for part in tqdm(chunks, desc=f"masks of {'ab'[side]}") if batch.show_progress else chunks:
        kept = part[:, number.flatten()].reshape(len(part), *number.shape[1:])
        masked = fill + kept * (item - fill)
        rest = [one.repeat(len(part), *[1] * (one.dim() - 1)) for one in own]
        found.append(batch.embed(side, *rest[:leaf], masked, *rest[leaf + 1 :]).flatten(1))
    return torch.cat(found)
