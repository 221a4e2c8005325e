"""Methods that read one run of masks: each weighs the masks by the scores in a way of its own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional

from xsiamese.author import Column, Found, Maps, PairBatch, Parts, ReadOut, softened, wide
from xsiamese_masks.run import MaskRun, movable, parts_of_item

Partner = Literal["whole", "masked"]


class MaskReadOut(ReadOut):
    """A map of each item from its masks M and the scores s under them; signed: positive pulls together."""

    requires = MaskRun
    modalities = frozenset({"image", "row", "series", "volume", "text"})
    uses_gradients = False
    stochastic = True
    fitted = True
    trims = True
    chunk = 1

    def read(
        self,
        batch: PairBatch,
        sample: Mapping[str, Column],
        *,
        partner: Partner = "whole",
        soften: bool | None = None,
    ) -> Maps | Found:
        """The maps.

        Args:
            batch: the pair.
            sample: its run.
            partner: whether a masked item is compared with the "whole" other one, or with the other one "masked" in
                every way, which costs no pass of the encoder either.
            soften: neighbouring cells share their values, 1 : 2 : 1 along each dimension, and the map is linear in
                between: where a thing lies across cells its peak is in its middle, as with RISE's masks, which are
                smooth and shifted. None does so where a cell of an image is more than one pixel.
        """
        # the mean over a thousand masks is lost in eight bits
        whole = wide(batch.closeness(sample["whole_a"][0], sample["whole_b"][0])[0])
        maps, more = [], {}
        for side, name in enumerate("ab"):
            scores = wide(_scores(batch, sample, side, partner))
            found, rest = self.weigh(sample[f"masks_{name}"][0].to(scores), scores, whole)
            parts = parts_of_item(batch, side, movable(batch, side), tuple(sample[f"grid_{name}"][0]))
            soft = parts.coarse if soften is None else soften
            maps.append(_grown(found, parts, batch.sides[side].kind if soft else None))
            if rest is not None:
                grown = _grown(rest, parts, batch.sides[side].kind if soft else None)
                more[f"uncertainty_{name}"] = batch.sides[side].whole(movable(batch, side), grown)
        return Found(batch.maps([maps[side] for side in batch.objective.moving]), whole[None], more)

    @abstractmethod
    def weigh(self, masks: Tensor, scores: Tensor, whole: Tensor) -> tuple[Tensor, Tensor | None]:
        """A value for each part, (parts,), and perhaps how unsure it is.

        Args:
            masks: (masks, parts), 1 where a part stays.
            scores: the closeness under each mask, (masks,).
            whole: that of the pair itself.
        """


class PairRISE(MaskReadOut):
    """RISE for similarities: the mean score of the masks in which a part stays, over the mean of all.

    Example:
        >>> import torch
        >>> from xsiamese import PairRISE, SiameseModel
        >>> model = SiameseModel(torch.nn.Identity(), comparison="dot")
        >>> a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -4.0]])
        >>> map_a, map_b = PairRISE(model).attribute((a, b))
        >>> map_a.sign(), map_b.sign()  # the second feature pushes apart
        (tensor([[ 1., -1.]]), tensor([[ 1., -1.]]))
    """

    name = "rise"
    formula = r"\frac{\sum_t s_t M_t}{\sum_t M_t} - \bar s"
    reference = ("petsiuk2018",)

    def weigh(self, masks: Tensor, scores: Tensor, whole: Tensor) -> tuple[Tensor, None]:
        return _mean(masks, scores) - scores.mean(), None


class PairCorrRISE(MaskReadOut):
    """CorrRISE: the correlation, over the masks, of a part's presence with the rank of the score.

    Example:
        >>> import torch
        >>> from xsiamese import PairCorrRISE, SiameseModel
        >>> model = SiameseModel(torch.nn.Identity(), comparison="dot")
        >>> a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -4.0]])
        >>> map_a, map_b = PairCorrRISE(model).attribute((a, b))
        >>> map_a.sign(), map_b.sign()  # the second feature pushes apart
        (tensor([[ 1., -1.]]), tensor([[ 1., -1.]]))
    """

    name = "corr_rise"
    formula = r"\mathrm{corr}_t(\mathrm{rank}(s_t), M_t)"
    reference = ("lu2024",)

    def weigh(self, masks: Tensor, scores: Tensor, whole: Tensor) -> tuple[Tensor, None]:
        rank = _ranks(scores)
        first, second = masks - masks.mean(0), rank - rank.mean()
        size = first.square().sum(0).sqrt() * second.square().sum().sqrt()
        return (second @ first) / torch.where(size > 0, size, torch.ones_like(size)), None


class PairRELAX(MaskReadOut):
    """RELAX: the mean score with a part, and how unsure it is, the variance of the score with it; less the mean score,
    so that its sign says which way the part pulls. Columns ``uncertainty_a`` and ``uncertainty_b`` hold the variance.

    Example:
        >>> import torch
        >>> from xsiamese import PairRELAX, SiameseModel
        >>> model = SiameseModel(torch.nn.Identity(), comparison="dot")
        >>> a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -4.0]])
        >>> map_a, map_b = PairRELAX(model).attribute((a, b))
        >>> map_a.sign(), map_b.sign()  # the second feature pushes apart
        (tensor([[ 1., -1.]]), tensor([[ 1., -1.]]))
    """

    name = "relax"
    formula = r"\bar s_{M=1} - \bar s, \quad \mathrm{var}(s_t \mid M_t = 1)"
    reference = ("wickstrom2023",)

    def weigh(self, masks: Tensor, scores: Tensor, whole: Tensor) -> tuple[Tensor, Tensor]:
        mean = _mean(masks, scores)
        return mean - scores.mean(), _mean(masks, scores.square()) - mean.square()


class PairSBSM(MaskReadOut):
    """SBSM: what the score loses on average in the masks without a part. The published map drops gains of the score,
    which are kept here as negative values.

    Example:
        >>> import torch
        >>> from xsiamese import PairSBSM, SiameseModel
        >>> model = SiameseModel(torch.nn.Identity(), comparison="dot")
        >>> a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -4.0]])
        >>> map_a, map_b = PairSBSM(model).attribute((a, b))
        >>> map_a.sign(), map_b.sign()  # without the second feature the score rises
        (tensor([[ 1., -1.]]), tensor([[ 1., -1.]]))
    """

    name = "sbsm"
    formula = r"\frac{\sum_t (s - s_t)(1 - M_t)}{\sum_t (1 - M_t)}"
    reference = ("dong2019",)

    def weigh(self, masks: Tensor, scores: Tensor, whole: Tensor) -> tuple[Tensor, None]:
        return _mean(1 - masks, whole - scores), None


class PairXFace(MaskReadOut):
    """xFace: the losses of the score without a part, each over the size of what is masked with it.

    Example:
        >>> import torch
        >>> from xsiamese import PairXFace, SiameseModel
        >>> model = SiameseModel(torch.nn.Identity(), comparison="dot")
        >>> a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -4.0]])
        >>> map_a, map_b = PairXFace(model).attribute((a, b))
        >>> map_a.sign(), map_b.sign()  # the second feature pushes apart
        (tensor([[ 1., -1.]]), tensor([[ 1., -1.]]))
    """

    name = "xface"
    formula = r"\frac1T \sum_t (1 - M_t) \frac{s - s_t}{\sum_i (1 - M_{ti})}"
    reference = ("knoche2023",)

    def weigh(self, masks: Tensor, scores: Tensor, whole: Tensor) -> tuple[Tensor, None]:
        gone = 1 - masks
        return ((whole - scores) / gone.sum(1).clamp_min(1)) @ gone / len(masks), None


class PairDistanceExplainer(MaskReadOut):
    """Distance Explainer: the mean of the tenth of the masks that bring the pair closest, less that of the tenth that
    take it furthest apart.

    Example:
        >>> import torch
        >>> from xsiamese import PairDistanceExplainer, SiameseModel
        >>> model = SiameseModel(torch.nn.Identity(), comparison="dot")
        >>> a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -4.0]])
        >>> map_a, map_b = PairDistanceExplainer(model).attribute((a, b))
        >>> map_a.sign(), map_b.sign()  # the second feature pushes apart
        (tensor([[ 1., -1.]]), tensor([[ 1., -1.]]))
    """

    name = "distance_explainer"
    formula = r"\overline{M}_{\text{closest}} - \overline{M}_{\text{furthest}}"
    reference = ("meijer2025",)
    share: ClassVar[float] = 0.1

    def weigh(self, masks: Tensor, scores: Tensor, whole: Tensor) -> tuple[Tensor, None]:
        if not bool((scores != scores[0]).any()):  # nothing is closer than anything else
            return torch.zeros_like(masks[0]), None
        count = max(1, int(self.share * len(scores)))
        order = scores.argsort(descending=True, stable=True)
        return masks[order[:count]].mean(0) - masks[order[-count:]].mean(0), None


def _grown(values: Tensor, parts: Parts, kind: str | None) -> Tensor:
    """A value for each part as a map of the item's shape; of a kind of input whose parts share theirs, softened."""
    if kind is None:
        return parts.repeated(values)
    mean = values.mean()  # beyond the border is what the parts have in common, and not nothing: it is no loss of theirs
    found = softened((values - mean).reshape(1, 1, *parts.grid), kind) + mean
    if not parts.coarse:
        return parts.repeated(found)
    places = tuple(parts.shape[2:])  # only images are masked by cells
    return functional.interpolate(found, places, mode="bilinear", align_corners=False).expand(parts.shape)


def _scores(batch: PairBatch, sample: Mapping[str, Any], side: int, partner: Partner) -> Tensor:
    """The closeness of one item under each of its masks with the other item, (masks,)."""
    own, other = sample[f"embeddings_{'ab'[side]}"][0], "ba"[side]
    if partner == "whole":
        whole = sample[f"whole_{other}"][0]
        held = whole.expand(len(own), *whole.shape[1:])
        return batch.closeness(own, held) if side == 0 else batch.closeness(held, own)
    others = sample[f"embeddings_{other}"][0]
    found = []
    for z in own:  # one mask with every mask of the other item
        one = z.expand(len(others), *z.shape)
        found.append((batch.closeness(one, others) if side == 0 else batch.closeness(others, one)).mean())
    return torch.stack(found)


def _mean(weights: Tensor, values: Tensor) -> Tensor:
    """The mean of values (masks,) weighted by each part's column of weights, 0 for a part that has none."""
    total = weights.sum(0)
    return (values @ weights) / torch.where(total > 0, total, torch.ones_like(total))


def _ranks(values: Tensor) -> Tensor:
    """Ranks from 0, those of equal values being their mean. Values that differ by rounding only are equal: the same
    mask drawn twice has one rank, however many rows went through the model at once.
    """
    step = 64 * torch.finfo(values.dtype).eps * values.abs().max().clamp_min(torch.finfo(values.dtype).tiny)
    order = values.argsort()
    # in sorted order a new level begins where the value jumps; scattering back gives each value its level
    jumps = torch.cat([values.new_zeros(1), (values[order].diff() > step).to(values)]).cumsum(0)
    place = torch.empty_like(order).scatter_(0, order, jumps.long())
    count = torch.bincount(place)
    last = count.cumsum(0)
    middle: Tensor = last - (count + 1) / 2
    return middle.to(values)[place]
