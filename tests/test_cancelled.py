"""Gradient times activation cancels where a layer is read through a norm alone, and it is told."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests import problems
from xsiamese import Gallery, PairGradCAM, PairHiResCAM, PairLayerGradientXActivation, SiameseModel


class Vision(nn.Module):
    """Patches and a class token, blocks that read them through norms, and a head on the token or on all patches."""

    def __init__(self, read: str = "class") -> None:
        torch.manual_seed(0)
        super().__init__()
        self.patches = nn.Conv2d(1, 16, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, 16))
        self.positions = nn.Parameter(torch.randn(1, 17, 16))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True, norm_first=True) for _ in range(3)
        )
        self.norm = nn.LayerNorm(16)
        self.read = read
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        tokens = torch.cat([self.token.expand(len(x), -1, -1), self.patches(x).flatten(2).mT], 1) + self.positions
        for block in self.blocks:
            tokens = block(tokens)
        tokens = self.norm(tokens)
        return tokens[:, 0] if self.read == "class" else tokens[:, 1:].mean(1)


def told(run: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        run()
    return [str(one.message) for one in seen if "cancels" in str(one.message)]


def pairs() -> tuple[Tensor, Tensor]:
    return tuple(one.float() for one in problems.images(2, size=16))  # type: ignore[return-value]


def size_moves(encoder: Vision, layer: str) -> bool:
    """Whether the embedding moves where the patches behind a layer are three times as large: the oracle."""
    sizes = torch.tensor([1.0] + [3.0] * 16)[:, None]
    before = encoder(pairs()[0])
    handle = encoder.get_submodule(layer).register_forward_hook(lambda m, args, output: output * sizes)
    moved = not torch.allclose(before, encoder(pairs()[0]), rtol=1e-3, atol=1e-4)
    handle.remove()
    return moved


@pytest.mark.parametrize("cls", [PairHiResCAM, PairLayerGradientXActivation])
@pytest.mark.parametrize(("read", "layer"), [("class", "blocks.1"), ("class", "blocks.0"), ("mean", "norm")])
def test_it_is_told_where_sizes_are_not_read_and_only_there(cls: Any, read: str, layer: str) -> None:
    encoder = Vision(read)
    lines = told(lambda: cls(SiameseModel(encoder, "dot"), layer).explain(pairs()))
    assert len(lines) == (0 if size_moves(encoder, layer) else 2)
    assert size_moves(encoder, layer) == (layer != "blocks.1")
    for side, line in zip("ab", lines, strict=False):
        assert f"cancels at the places of '{layer}': what follows reads input {side} there through a norm" in line


def test_it_is_told_of_layers_taken_by_themselves_and_by_galleries_and_not_of_other_methods() -> None:
    model, inputs = SiameseModel(Vision(), "cosine"), pairs()
    assert len(told(lambda: PairHiResCAM(model).attribute(inputs))) == 2
    assert len(told(lambda: PairHiResCAM(model).attribute(inputs, wrt="first"))) == 1
    assert told(lambda: Gallery(PairHiResCAM(model), torch.cat(inputs)).explain([(0, 2)])[:])
    assert not told(lambda: PairGradCAM(model).attribute(inputs))
    assert not told(lambda: Gallery(PairGradCAM(model), torch.cat(inputs)).explain([(0, 2)])[:])
    assert float(PairHiResCAM(model).attribute(inputs)[0].abs().max()) < 1e-3 * float(
        PairGradCAM(model).attribute(inputs)[0].abs().max()
    )
