"""One run of masks: what a model makes of both items with parts of them gone."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from xsiamese.author import Cells, Column, Found, PairBatch, Parts, Sampler, channel_of, parts_of

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
    trims = True
    chunk = 1

    def compute(self, batch: PairBatch, *args: Any, **options: Any) -> Found:
        found = super().compute(batch, *args, **options)
        value = batch.closeness(found.columns["whole_a"][0], found.columns["whole_b"][0])
        return Found(None, value, found.columns)  # the score is known, and costs no pass of its own

    def ask(self, batch: PairBatch, *, masks: int = 1000, cells: Cells = None, p: float = 0.8) -> Mapping[str, Column]:
        """The masks (masks, parts) of both items, the embeddings under them, and those of the whole items.

        Args:
            batch: the pair.
            masks: how many for each item.
            cells: the grid of an image that is masked by cells; None takes 8 x 8, or every pixel of smaller ones.
            p: how often a part stays. With half of them gone hardly anything is left whole: a thing on nine cells in
                one mask of 512, at 0.8 in one of seven.

        Raises:
            ValueError: if p is no probability, masks are fewer than two, or the grid is finer than the image.
        """
        if not 0 < p < 1 or masks < 2:
            raise ValueError(f"masks={masks}, p={p}: two masks at least and a probability between 0 and 1 are needed")
        found: dict[str, Any] = {}
        for side, name in enumerate("ab"):
            leaf = movable(batch, side)
            item, parts = batch.sides[side].leaves[leaf], parts_of_item(batch, side, leaf, cells)
            keep = _drawn(item, masks, parts.count, p, batch.seed)
            with torch.no_grad():
                found[f"whole_{name}"] = [batch.embed(side)]
                found[f"embeddings_{name}"] = [_embedded(batch, side, leaf, keep, parts)]
            found[f"masks_{name}"], found[f"grid_{name}"] = [keep], [list(parts.grid)]
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


def parts_of_item(batch: PairBatch, side: int, leaf: int, cells: Cells) -> Parts:
    """The parts of the item of one side: cells of an image, times of a series, tokens of a text, features of a row.

    Raises:
        ValueError: if the cells are finer than the image.
    """
    item = batch.sides[side].leaves[leaf]
    if batch.sides[side].kind != "image":
        cells = None
    elif cells is None:
        cells = tuple(min(8, size) for size in item.shape[2:])
    return parts_of(item, cells, channel_of(batch, side, item))


def _drawn(item: Tensor, masks: int, parts: int, p: float, seed: int | None) -> Tensor:
    generator = torch.Generator()
    content = item.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
    own = int(torch.randint(2**31, ())) if seed is None else seed
    generator.manual_seed((own * 2654435761 + zlib.crc32(content)) % 2**63)
    return (torch.rand(masks, parts, generator=generator) < p).to(item)


def _embedded(batch: PairBatch, side: int, leaf: int, keep: Tensor, parts: Parts) -> Tensor:
    """The embeddings of one item under each mask, (masks, ...)."""
    own = batch.sides[side].leaves
    item, fill = own[leaf], batch.baselines[side][leaf]
    at_once = max(1, min(batch.rows or ROOM, ROOM // max(1, item.numel())))
    chunks = torch.split(keep, at_once)
    found = []
    for part in tqdm(chunks, desc=f"masks of {'ab'[side]}") if batch.show_progress else chunks:
        masked = fill + parts.kept(part).flatten(0, 1) * (item - fill)
        rest = [one.repeat(len(part), *[1] * (one.dim() - 1)) for one in own]
        found.append(batch.embed(side, *rest[:leaf], masked, *rest[leaf + 1 :]))
    return torch.cat(found)
