"""Encoders of texts as people write them themselves: packed by a mask or by lengths, attending under a mask, reading a
whole mapping, and inside a wrapper that hands on all that it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any

import pytest
import torch
from captum.attr import LayerGradientXActivation, LayerIntegratedGradients
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence
from torch.optim.swa_utils import AveragedModel

from xsiamese import (
    PairInteraction,
    PairLayerActivation,
    PairLayerDeepLift,
    PairLayerGradientXActivation,
    PairLayerIntegratedGradients,
    PairRISE,
    PairSaliency,
    SiameseModel,
)

IDS = torch.tensor([[4, 7, 9, 12, 3, 0], [5, 6, 0, 0, 0, 0]]), torch.tensor([[8, 4, 9, 0, 0], [3, 11, 14, 15, 6]])


class Own(nn.Module):
    """Vectors of tokens, and what makes an embedding of them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.emb, self.out = nn.Embedding(30, 8, padding_idx=0), nn.Linear(8, 6)

    def pooled(self, vectors: Tensor, mask: Tensor) -> Tensor:
        weight = mask[..., None].to(vectors.dtype)
        found: Tensor = self.out((vectors * weight).sum(1) / weight.sum(1))
        return found


class Packed(Own):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(8, 8, batch_first=True)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        lengths = mask.sum(1) if mask.dim() == 2 else mask
        packed = pack_padded_sequence(self.emb(ids), lengths, batch_first=True, enforce_sorted=False)
        found: Tensor = self.out(self.rnn(packed)[1][0][-1])
        return found


class Attending(Own):
    def __init__(self) -> None:
        super().__init__()
        self.position = nn.Embedding(9, 8)
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        vectors = self.emb(ids) + self.position(torch.arange(ids.shape[1]))
        return self.pooled(self.encoder(vectors, src_key_padding_mask=mask == 0), mask)


class Whole(Own):
    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        return self.pooled(self.emb(batch["input_ids"]).tanh(), batch["attention_mask"])


def by_mask(ids: Tensor) -> Any:
    return ids, (ids != 0).long()


def by_length(ids: Tensor) -> Any:
    return ids, (ids != 0).sum(1)


def by_name(ids: Tensor) -> Any:
    return {"input_ids": ids, "attention_mask": (ids != 0).long()}


def averaged() -> nn.Module:
    return AveragedModel(Whole())


KINDS: dict[str, tuple[Callable[[], nn.Module], Callable[[Tensor], Any]]] = {
    "packed by a mask": (Packed, by_mask),
    "packed by lengths": (Packed, by_length),
    "attending": (Attending, by_mask),
    "a mapping": (Whole, by_name),
    "a mapping, averaged": (averaged, by_name),
}


def one_side(encoder: nn.Module, sided: Callable[[Tensor], Any], side: int) -> Callable[[Tensor], Tensor]:
    """The closeness to the other text, which another encoder of the same weights has read."""
    told = sided(IDS[side])
    rest = {k: v for k, v in told.items() if k != "input_ids"} if isinstance(told, dict) else told[1:]

    def embedded(net: nn.Module, ids: Tensor, rest: Any) -> Tensor:
        found: Tensor = net({"input_ids": ids, **rest}) if isinstance(rest, dict) else net(ids, *rest)
        return found

    other = sided(IDS[1 - side])
    held = embedded(
        deepcopy(encoder),
        IDS[1 - side],
        {k: v for k, v in other.items() if k != "input_ids"} if isinstance(other, dict) else other[1:],
    ).detach()

    def closeness(ids: Tensor) -> Tensor:
        copies = len(ids) // len(held)
        more = {k: v.repeat(copies, 1) for k, v in rest.items()} if isinstance(rest, dict) else None
        if more is None:
            more = [v.repeat(copies, *[1] * (v.dim() - 1)) for v in rest]
        return functional.cosine_similarity(embedded(encoder, ids, more), held.repeat(copies, 1))

    return closeness


@pytest.mark.parametrize("kind", KINDS)
def test_layers_of_encoders_of_ones_own_equal_captum_on_one_side(kind: str) -> None:
    """A mask of nothing was asked for, which packing refuses; nested tensors were compared; a copy's stand-in was asked
    for the names of its arguments.
    """
    make, sided = KINDS[kind]
    encoder = make().double().eval()
    inputs = sided(IDS[0]), sided(IDS[1])
    model = SiameseModel(encoder, "cosine")
    layer = next(m for m in encoder.modules() if isinstance(m, nn.Embedding))
    path = PairLayerIntegratedGradients(model, layer).attribute(inputs, n_steps=20)
    slope = PairLayerGradientXActivation(model, layer).attribute(inputs)
    for side in (0, 1):
        closeness = one_side(encoder, sided, side)
        base = torch.zeros_like(IDS[side])
        known = LayerIntegratedGradients(closeness, layer).attribute(IDS[side], base, n_steps=20, internal_batch_size=2)
        torch.testing.assert_close(path[side], known.detach(), rtol=1e-6, atol=1e-10)
        known = LayerGradientXActivation(closeness, layer).attribute(IDS[side])
        torch.testing.assert_close(slope[side], known.detach(), rtol=1e-6, atol=1e-10)
        assert known.any()


@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_move_is_told_by_its_layer(kind: str) -> None:
    make, sided = KINDS[kind]
    model = SiameseModel(make().double().eval(), "cosine")
    inputs = sided(IDS[0]), sided(IDS[1])
    with pytest.raises(TypeError, match=r"whole numbers cannot move; explain the layer that makes vectors of them"):
        PairSaliency(model).attribute(inputs)
    assert [len(one) for one in PairLayerActivation(model).attribute(inputs)] == [2, 2]
    if kind != "attending":
        assert all(bool(one.any()) for one in PairLayerDeepLift(model).attribute(inputs))


def test_a_wrapper_of_a_model_of_two_takes_what_the_model_takes() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Linear(3, 2)

        def forward(self, pair: tuple[Tensor, Tensor]) -> Tensor:
            return (self.net(pair[0]) * self.net(pair[1])).sum(1)

    torch.manual_seed(0)
    two, (a, b) = Two(), torch.randn(2, 4, 3)
    found = PairSaliency(AveragedModel(two).eval()).attribute((a, b), abs=False)
    torch.testing.assert_close(found[0], two.net(b).detach() @ two.net.weight.detach())


@pytest.mark.parametrize("wrap", [AveragedModel, partial, lambda one: nn.DataParallel(AveragedModel(one))])
def test_a_wrapper_of_a_siamese_model_is_one(wrap: Callable[[nn.Module], Any]) -> None:
    """Methods that take the encoder asked for a SiameseModel, which it was."""
    torch.manual_seed(0)
    model = SiameseModel(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).eval(), "dot")
    inputs, other = torch.randn(2, 2, 3).unbind(), wrap(model)
    for cls in (PairRISE, PairInteraction):
        found, known = (cls(one).explain(inputs, seed=1).maps for one in (other, model))
        torch.testing.assert_close(found, known)
