"""Maps that need no gradient: from the activations alone, or by asking the model again."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional

from xsiamese.author import Column, Found, ItemBatch, PairBatch, Places
from xsiamese_gradcam.cam import PairBlackBoxCAM, PairCAM, finished


class PairEigenCAM(PairCAM):
    """Eigen-CAM: the activations projected on their first principal direction. Says where the features are, not which
    way they pull.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from xsiamese import PairEigenCAM, SiameseModel
        >>> encoder = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> model, pair = SiameseModel(encoder, "dot"), (torch.rand(2, 1, 8, 8), torch.rand(2, 1, 8, 8))
        >>> map_a, map_b = PairEigenCAM(model, layer="1").attribute(pair)
        >>> map_a.shape, map_b.shape
        (torch.Size([2, 1, 6, 6]), torch.Size([2, 1, 6, 6]))
    """

    name = "eigencam"
    formula = r"(A - \bar A)\, v_1"
    shows = "magnitude"
    reference = ("muhammad2020",)
    modalities = frozenset({"image", "series", "volume", "text"})
    uses_gradients = False
    of_activations = True
    shares = "kept"

    def prepare(self, items: ItemBatch, *, relu: bool = False, soften: bool = False) -> dict[str, Column]:
        """The maps of the items, which are of no pair."""
        found, embeddings = items.recorded(self.layer)
        columns: dict[str, Column] = {"embedding": embeddings.detach()}
        for i, (output, layer) in enumerate(found):
            places = items.pairs.places(items.place, output, layer, self.layout)
            activation = places.real(places.first(output.detach()))
            made = self.combine(activation, activation, places)
            columns[f"map_{i}"] = finished(items.pairs, items.place, made, relu, soften)
        return columns

    def compute(self, batch: PairBatch, *, relu: bool = False, soften: bool = False) -> tuple[Any, Any] | Found:
        """The maps.

        Args:
            batch: the pairs.
            relu: keeps only what is strong.
            soften: neighbouring places of a grid share their values, see :meth:`PairCAM.compute`.
        """
        if not batch.prepared[0]:
            return super().compute(batch, relu=relu, soften=soften)
        z_a, z_b = (cast(Tensor, side["embedding"]) for side in batch.prepared)
        sides = [
            tuple(cast(Tensor, column) for name, column in side.items() if name.startswith("map_"))
            for side in batch.prepared
        ]
        first, second = (maps[0] if len(maps) == 1 else maps for maps in sides)
        return Found((first, second), batch.closeness(z_a, z_b))

    def combine(self, activation: Tensor, gradient: Tensor, places: Places) -> Tensor:
        flat = activation.flatten(2)
        cells, centred = (one.transpose(1, 2) for one in (flat, places.real(flat - places.mean(flat))))
        direction = torch.linalg.svd(centred.double(), full_matrices=False).Vh[:, 0].to(activation.dtype)
        found = torch.einsum("npc,nc->np", centred, direction)
        # a principal direction has no sign of its own: positive is where the activation is strong, and behind a norm,
        # where all sums are zero but for rounding, where a few places stand out
        strong, most = ((found * cells.sum(2)).sum(1, True), (found.abs() * cells.abs().sum(2)).sum(1, True))
        sign = torch.where(strong.abs() > 1e-4 * most, strong, found.pow(3).sum(1, True)).sign()
        return (found * torch.where(sign == 0, 1, sign)).reshape(activation[:, :1].shape)


class PairAblationCAM(PairBlackBoxCAM):
    """Ablation-CAM: each channel counts by what the score loses without it.

    The published weight is divided by the score, which would turn the signs of a negative one; here it stays in the
    score's units.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from xsiamese import PairAblationCAM, SiameseModel
        >>> encoder = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> model, pair = SiameseModel(encoder, "dot"), (torch.rand(2, 1, 8, 8), torch.rand(2, 1, 8, 8))
        >>> map_a, map_b = PairAblationCAM(model, layer="1").attribute(pair)
        >>> map_a.shape, map_b.shape
        (torch.Size([2, 1, 6, 6]), torch.Size([2, 1, 6, 6]))
    """

    name = "ablationcam"
    formula = r"\sum_k (s - s_{A_k = 0})\, A_k"
    reference = ("ramaswamy2020",)

    def weigh(
        self, batch: PairBatch, side: int, raw: Tensor, *, activation: Tensor, value: Tensor, places: Places
    ) -> Tensor:
        channel = places.channel
        lost = []
        for channels in torch.split(torch.arange(raw.shape[channel], device=raw.device), batch.rows or self.rows):
            without = raw.repeat(len(channels), *[1] * (raw.dim() - 1)).transpose(1, channel)
            without[torch.arange(len(channels)), channels] = 0
            with torch.no_grad():
                lost.append(value - batch.tail(self.layer, side, without.transpose(1, channel)))
        return torch.cat(lost)


class PairScoreCAM(PairBlackBoxCAM):
    """Score-CAM: each channel counts by the score of the image masked with it, over that of the blank image.

    The published weights are the softmax of these (``softmax=True``): all positive, and equal where the score does not
    change.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from xsiamese import PairScoreCAM, SiameseModel
        >>> encoder = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> model, pair = SiameseModel(encoder, "dot"), (torch.rand(2, 1, 8, 8), torch.rand(2, 1, 8, 8))
        >>> map_a, map_b = PairScoreCAM(model, layer="1").attribute(pair)
        >>> map_a.shape, map_b.shape
        (torch.Size([2, 1, 6, 6]), torch.Size([2, 1, 6, 6]))
    """

    name = "scorecam"
    formula = r"\sum_k \big(s(x \odot \uparrow\! \hat A_k) - s(0)\big) A_k"
    reference = ("wang2020",)
    modalities = frozenset({"image"})

    def compute(
        self, batch: PairBatch, *, relu: bool = False, soften: bool = False, softmax: bool = False
    ) -> tuple[Any, Any]:
        """The maps.

        Args:
            batch: the pairs.
            relu: keeps only what pulls together.
            soften: neighbouring places of a grid share their values, see :meth:`PairCAM.compute`.
            softmax: takes the published weights, the softmax over the channels.
        """
        return self.weighed(batch, relu, soften, partial(torch.softmax, dim=0) if softmax else None)

    def weigh(
        self, batch: PairBatch, side: int, raw: Tensor, *, activation: Tensor, value: Tensor, places: Places
    ) -> Tensor:
        one = batch.one_sided("first" if side == 0 else "second")
        image = one.moved[0]
        if len(one.moved) != 1 or image.dim() != 4 or activation.dim() != 4:
            raise ValueError(
                f"PairScoreCAM masks images (pairs, channels, h, w) by a grid; the input of {'ab'[side]} is "
                f"{tuple(image.shape)}"
            )
        low, high = activation.flatten(2).min(2).values, activation.flatten(2).max(2).values
        scale = torch.where(high > low, high - low, 1)
        masks = functional.interpolate(
            (activation - low[..., None, None]) / scale[..., None, None],
            image.shape[-2:],
            mode="bilinear",
            align_corners=False,
        )
        with torch.no_grad():
            scores = torch.cat(
                [one.value(image * part) for part in torch.split(masks[0][:, None], batch.rows or self.rows)]
            )
            gain = scores - one.value(torch.zeros_like(image))
        return gain
