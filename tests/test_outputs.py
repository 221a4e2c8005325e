"""Layers and encoders that return more than a tensor, scores of one pair, and models that read the number of rows."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import xsiamese
from tests import problems
from xsiamese import PairGradCAM, PairSaliency, SiameseModel
from xsiamese.model.embedding import embedding_of

Named = namedtuple("Named", "features extra")


@dataclass
class Held:
    """An output with fields."""

    features: Tensor
    extra: float


KINDS: dict[str, Any] = {
    "tuple": lambda y: (y, None),
    "list": lambda y: [y],
    "dict": lambda y: {"out": y, "aux": y.mean()},
    "ordered": lambda y: OrderedDict(none=None, out=y),
    "named": lambda y: Named(y, 1),
    "dataclass": lambda y: Held(y, 1.0),
    "nested": lambda y: ({"out": y}, 1),
    "a loss first": lambda y: (y.square().mean(), {"aux": y.mean(), "out": y}),
}
LAYERED = (
    "PairGradCAM",
    "PairAblationCAM",
    "PairLayerActivation",
    "PairLayerGradientXActivation",
    "PairLayerIntegratedGradients",
    "PairLayerConductance",
    "PairLayerFeatureAblation",
    "PairLayerDeepLift",
)


class Body(nn.Module):
    """A layer of a shape of output."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.conv, self.act, self.kind = nn.Conv2d(1, 4, 3), nn.ReLU(), kind

    def forward(self, x: Tensor) -> Any:
        y = self.act(self.conv(x))
        return y if self.kind == "tensor" else KINDS[self.kind](y)


class Encoder(nn.Module):
    """An encoder around such a layer."""

    def __init__(self, kind: str) -> None:
        torch.manual_seed(0)
        super().__init__()
        self.body, self.head = Body(kind), nn.Linear(4, 3)
        self.double().eval()

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        while not isinstance(y, Tensor):
            values = list(y.values()) if isinstance(y, dict) else [y.features] if isinstance(y, Held) else list(y)
            y = next(v for v in values if v is not None and not (isinstance(v, Tensor) and not v.dim()))
        return self.head(y.mean((2, 3)))  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", LAYERED)
@pytest.mark.parametrize("kind", KINDS)
def test_the_first_tensor_of_a_layer_is_explained(kind: str, name: str) -> None:
    inputs, cls = problems.images(2, size=6), xsiamese.explainers()[name]
    found = cls(SiameseModel(Encoder(kind), "dot"), "body").attribute(inputs)
    expected = cls(SiameseModel(Encoder("tensor"), "dot"), "body").attribute(inputs)
    for x, y in zip(found, expected, strict=True):
        torch.testing.assert_close(x, y)
        assert y.any()


class Recurrent(nn.Module):
    """A recurrent encoder, whose layer returns (out, (h, c))."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        super().__init__()
        self.lstm, self.head = nn.LSTM(5, 6, batch_first=True), nn.Linear(6, 4)
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x)[0][:, -1])  # type: ignore[no-any-return]


def test_a_module_that_gives_a_number_is_no_layer_with_places() -> None:
    """Its lack of rows ended the search for the default layer with an error of PyTorch's."""

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.conv, self.loss, self.out = nn.Conv2d(1, 4, 3).double(), nn.MSELoss(), nn.Linear(4, 3).double()

        def forward(self, x: Tensor) -> Tensor:
            h = self.conv(x).relu()
            found: Tensor = self.out(h.mean((2, 3))) * (1 + self.loss(h, torch.zeros_like(h)))
            return found

    model, pair = SiameseModel(Scaled(), "dot"), problems.images(2)
    for name in ("PairGradCAM", "PairLayerActivation", "PairLayerIntegratedGradients"):
        found, known = (getattr(xsiamese, name)(model, layer).attribute(pair) for layer in (None, "conv"))
        torch.testing.assert_close(found, known)


def test_an_lstm_is_a_layer_like_any_other() -> None:
    encoder = Recurrent()
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(3, t, 5, dtype=torch.float64, generator=generator) for t in (7, 9))
    found = xsiamese.explainers()["PairLayerGradientXActivation"](SiameseModel(encoder, "dot"), "lstm").attribute(
        (a, b)
    )
    outs = [encoder.lstm(x)[0].detach().requires_grad_() for x in (a, b)]
    (encoder.head(outs[0][:, -1]) * encoder.head(outs[1][:, -1])).sum().backward()
    for x, out in zip(found, outs, strict=True):
        torch.testing.assert_close(x, out * out.grad)


def test_the_embedding_is_known_by_name_or_chosen() -> None:
    z, hidden = torch.ones(2, 3), torch.arange(12.0).reshape(2, 3, 2)
    mask = torch.tensor([[1, 1, 0], [1, 0, 0]])
    assert embedding_of(z) is z
    assert embedding_of({"last_hidden_state": hidden, "pooler_output": z}) is z
    assert embedding_of({"token_embeddings": hidden, "sentence_embedding": z}) is z
    pooled = embedding_of({"last_hidden_state": hidden}, item={"input_ids": mask, "attention_mask": mask})
    assert pooled.tolist() == [[1.0, 2.0], [6.0, 7.0]]
    assert embedding_of({"embedding": z, "aux": None}) is z
    assert embedding_of((hidden, z), 1) is z
    assert embedding_of({"x": hidden, "y": z}, "y") is z
    assert embedding_of({"x": hidden}, lambda output: output["x"][:, 0]).shape == (2, 2)
    assert embedding_of(Named(z, None)) is z
    with pytest.raises(ValueError, match=r"the encoder returned 'x' \(2, 3, 2\), 'y' \(2, 3\), none of which is known"):
        embedding_of({"x": hidden, "y": z})
    with pytest.raises(ValueError, match=r"embedding='z': the encoder returned 'x' \(2, 3, 2\)"):
        embedding_of({"x": hidden}, "z")


def test_an_encoder_that_returns_a_dictionary_gives_the_same_maps() -> None:
    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = problems.conv_encoder()

        def forward(self, x: Tensor) -> Any:
            return {"pooler_output": self.inner(x), "last_hidden_state": x}

    inputs = problems.images(2)
    for cls in (PairSaliency, PairGradCAM):
        found, expected = (
            cls(SiameseModel(encoder)).attribute(inputs) for encoder in (Wrapped(), problems.conv_encoder())
        )
        for x, y in zip(found, expected, strict=True):
            torch.testing.assert_close(x, y)


@pytest.mark.parametrize("name", ["PairGradCAM", "PairSaliency", "PairIntegratedGradients", "PairOcclusion"])
def test_a_squeezed_score_of_one_pair_is_one_score(name: str) -> None:
    class Squeezed(nn.Module):
        def __init__(self, squeeze: bool) -> None:
            torch.manual_seed(0)
            super().__init__()
            self.encoder, self.head, self.squeeze = problems.conv_encoder(), nn.Linear(6, 1).double(), squeeze

        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            score = self.head((self.encoder(a) - self.encoder(b)).abs())
            return score.squeeze() if self.squeeze else score.squeeze(1)  # type: ignore[no-any-return]

    cls = xsiamese.explainers()[name]
    for pairs, size in ((1, None), (3, 2)):  # the last of three, alone
        inputs = problems.images(pairs)
        found = cls(Squeezed(True)).attribute(inputs, internal_batch_size=size)
        for x, y in zip(found, cls(Squeezed(False)).attribute(inputs, internal_batch_size=size), strict=True):
            torch.testing.assert_close(x, y)


class ReadsRows(nn.Module):
    """An encoder that reads the number of rows from its input, before and after its layer."""

    def __init__(self, rows: bool) -> None:
        torch.manual_seed(0)
        super().__init__()
        self.conv, self.head, self.rows = nn.Conv2d(1, 4, 3).double(), nn.Linear(4 * 36, 3).double(), rows

    def forward(self, x: Tensor) -> Tensor:
        n = len(x)
        y = self.conv(x).relu()
        return self.head(y.reshape(n, -1) if self.rows else y.flatten(1))  # type: ignore[no-any-return]


def test_ablation_feeds_a_model_that_reads_the_number_of_rows_as_many_inputs_as_copies() -> None:
    inputs = problems.images(2)
    maps = [xsiamese.explainers()["PairAblationCAM"](SiameseModel(ReadsRows(rows)), "conv") for rows in (True, False)]
    for x, y in zip(maps[0].attribute(inputs), maps[1].attribute(inputs), strict=True):
        torch.testing.assert_close(x, y)
