"""The layer that is taken if none is named: the last place where cells of the image stand apart and reach the score."""

from __future__ import annotations

import re
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests import problems
from xsiamese import (
    ChannelsLast,
    Gallery,
    PairAblationCAM,
    PairEigenCAM,
    PairGradCAM,
    PairHiResCAM,
    SiameseModel,
    Tokens,
)
from xsiamese.branches.layout import ChannelsFirst, PatchesLast, described, layouts

Block = nn.TransformerEncoderLayer


class Transformer(nn.Module):
    """Patches, some tokens that are none, blocks, and a head that reads the first token or all patches."""

    def __init__(self, prefix: int = 1, read: str = "class", blocks: int = 3) -> None:
        torch.manual_seed(0)
        super().__init__()
        self.patches = nn.Conv2d(1, 8, 4, 4)
        self.prefix = nn.Parameter(torch.randn(1, prefix, 8))
        self.positions = nn.Parameter(torch.randn(1, prefix + 16, 8))
        self.blocks = nn.ModuleList(Block(8, 2, 16, batch_first=True) for _ in range(blocks))
        self.norm = nn.LayerNorm(8)
        self.read = read
        self.double().eval()

    def forward(self, x: Tensor) -> Tensor:
        tokens = torch.cat([self.prefix.expand(len(x), -1, -1), self.patches(x).flatten(2).mT], 1) + self.positions
        for block in self.blocks:
            tokens = block(tokens)
        tokens = self.norm(tokens)
        return tokens[:, 0] if self.read == "class" else tokens[:, self.prefix.shape[1] :].mean(1)


def taken(model: Any, inputs: Any, cls: Any = PairHiResCAM) -> tuple[Any, tuple[Tensor, Tensor]]:
    explainer = cls(model)
    return explainer, explainer.attribute(inputs)


@pytest.mark.parametrize("prefix", [1, 2, 5])
def test_of_a_class_token_the_block_before_is_taken_and_it_is_said(prefix: int) -> None:
    inputs = problems.images(2, size=16)
    explainer, maps = taken(SiameseModel(Transformer(prefix), "dot"), inputs)
    assert explainer.layer_names_ == ["blocks.1"]
    assert maps[0].shape == (2, 1, 4, 4)
    line = explainer.explain(inputs).parameters["taken"]
    assert line.startswith(f"blocks.1: tokens of a 4 x 4 grid after {prefix} that")
    assert "the score reads no place" in line
    given = PairHiResCAM(explainer.model, "blocks.1", layout=Tokens((4, 4), prefix)).attribute(inputs)
    for x, y in zip(maps, given, strict=True):
        torch.testing.assert_close(x, y)
        assert y.any()


@pytest.mark.parametrize("prefix", [1, 4])
def test_of_a_mean_over_patches_the_last_norm_is_taken(prefix: int) -> None:
    explainer, maps = taken(SiameseModel(Transformer(prefix, "mean"), "dot"), problems.images(2, size=16))
    assert explainer.layer_names_ == ["norm"]
    assert maps[0].shape == (2, 1, 4, 4)
    assert "reads no place" not in explainer.explain(problems.images(2, size=16)).parameters["taken"]


def test_a_layer_that_the_user_names_says_nothing_of_what_was_taken() -> None:
    explained = PairGradCAM(SiameseModel(Transformer()), "blocks.0").explain(problems.images(1, size=16))
    assert "taken" not in explained.parameters
    assert explained.maps[0].shape == (1, 1, 4, 4)  # recognised all the same


class LastChannels(nn.Module):
    """A network whose grids have their channels last and as many as rows: only what moves tells."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        super().__init__()
        self.stem, self.mix = nn.Conv2d(1, 4, 4, 4), nn.Linear(4, 4)
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        return self.mix(self.stem(x).movedim(1, 3)).tanh().mean((1, 2))  # type: ignore[no-any-return]


def test_where_the_shape_does_not_tell_a_patch_that_changes_does() -> None:
    inputs = problems.images(2, size=16)
    explainer, maps = taken(SiameseModel(LastChannels(), "dot"), inputs)
    assert explainer.layer_names_ == ["mix"]
    for x, y in zip(maps, PairHiResCAM(explainer.model, "mix", layout=ChannelsLast()).attribute(inputs), strict=True):
        torch.testing.assert_close(x, y)
    ablated = PairAblationCAM(explainer.model).attribute(inputs)
    given = PairAblationCAM(explainer.model, "mix", layout=ChannelsLast()).attribute(inputs)
    for x, y in zip(ablated, given, strict=True):
        torch.testing.assert_close(x, y)


class Relation(nn.Module):
    """A shared encoder, and a network over both its outputs, which are no cells of one image."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        super().__init__()
        self.encoder = problems.conv_encoder()[:5]
        self.relation = nn.Sequential(nn.Conv2d(14, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(6, 1)
        self.double()

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.head(self.relation(torch.cat([self.encoder(a), self.encoder(b)], 1)))  # type: ignore[no-any-return]


def test_what_sees_both_sides_is_passed_by() -> None:
    explainer, maps = taken(Relation(), problems.images(2))
    assert explainer.layer_names_ == ["encoder"]
    assert maps[0].shape == (2, 1, 4, 4)


def test_two_encoders_of_one_module_have_each_their_own_layer() -> None:
    class Towers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = problems.conv_encoder(), problems.conv_encoder(seed=1)

        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return (self.first(a) * self.second(b)).sum(1)  # type: ignore[no-any-return]

    model, inputs = Towers(), problems.images(2)
    explainer, maps = taken(model, inputs)
    assert explainer.layer_names_ == ["first.4 / second.4"]
    given = PairHiResCAM(SiameseModel((model.first, model.second), "dot")).attribute(inputs)
    for x, y in zip(maps, given, strict=True):
        torch.testing.assert_close(x, y)


def test_a_mean_that_was_spread_over_a_grid_has_no_cells() -> None:
    encoder = problems.conv_encoder()
    encoder[5] = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.AdaptiveAvgPool2d(4), nn.AdaptiveAvgPool2d(1))
    explainer, _ = taken(SiameseModel(encoder, "dot"), problems.images(2))
    assert explainer.layer_names_ == ["4"]


def test_a_residual_block_is_taken_and_not_what_lies_in_it() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Conv2d(4, 4, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.inner(x).relu()  # type: ignore[no-any-return]

    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Conv2d(1, 4, 3), Residual(), Residual(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).double()
    explainer, _ = taken(SiameseModel(encoder, "dot"), problems.images(2))
    assert explainer.layer_names_ == ["2"]


class Lanes(nn.Module):
    """Two lanes, of which a block changes the second and hands on the first, and the head reads the second."""

    class Block(nn.Module):
        def __init__(self, shared: nn.Module) -> None:
            super().__init__()
            self.shared, self.inner = shared, nn.Conv2d(4, 4, 1)

        def forward(self, fine: Tensor, coarse: Tensor) -> tuple[Tensor, Tensor]:
            return fine, coarse + self.inner(self.shared(coarse)).tanh()

    def __init__(self) -> None:
        torch.manual_seed(0)
        super().__init__()
        self.fine, self.coarse = nn.Conv2d(1, 4, 2, 2), nn.Conv2d(4, 4, 2, 2)
        shared = nn.Conv2d(4, 4, 1)
        self.blocks = nn.ModuleList(self.Block(shared) for _ in range(2))
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        fine = self.fine(x).tanh()
        coarse = self.coarse(fine)
        for block in self.blocks:
            fine, coarse = block(fine, coarse)
        return coarse.mean((2, 3))  # type: ignore[no-any-return]


def test_what_a_block_hands_on_and_what_is_called_often_is_no_place() -> None:
    explainer, maps = taken(SiameseModel(Lanes(), "dot"), problems.images(2, size=16))
    assert explainer.layer_names_ == ["coarse"]
    assert all(one.any() for one in maps)


class Latents(nn.Module):
    """A Perceiver: learned latents, as many as some grid has cells, each of which gathers from the whole image."""

    def __init__(self, count: int, stem: str = "conv") -> None:
        torch.manual_seed(count)
        super().__init__()
        self.conv, self.lin, self.stem = nn.Conv2d(1, 8, 4, 4), nn.Linear(16, 8), stem
        self.positions, self.latents = nn.Parameter(torch.randn(64, 8)), nn.Parameter(torch.randn(1, count, 8))
        self.looks = nn.ModuleList(nn.MultiheadAttention(8, 2, batch_first=True) for _ in range(2))
        self.blocks = nn.ModuleList(Block(8, 2, 16, batch_first=True) for _ in range(2))
        self.double().eval()

    def forward(self, x: Tensor) -> Tensor:
        patches = x.unfold(2, 4, 4).unfold(3, 4, 4).flatten(1, 3).flatten(2)  # (N, 64, 16), row by row
        seen = {"conv": lambda: self.conv(x).flatten(2).mT, "linear": lambda: self.lin(patches)}
        tokens = (seen[self.stem]() if self.stem in seen else patches[..., :8]) + self.positions
        latents = self.latents.expand(len(x), -1, -1)
        for look, block in zip(self.looks, self.blocks, strict=True):
            latents = block(latents + look(latents, tokens, tokens)[0])
        return latents.mean(1)


@pytest.mark.parametrize("count", [4, 16, 20, 64])
def test_latents_are_no_cells_and_an_earlier_place_is_taken_and_it_is_said(count: int) -> None:
    inputs = problems.images(2, size=32)
    for stem, layer in (("conv", "conv"), ("linear", "lin")):
        explained = PairHiResCAM(SiameseModel(Latents(count, stem), "dot")).explain(inputs)
        assert explained.parameters["layer"] == [layer]
        assert explained.maps[0].shape == (2, 1, 8, 8)
        line = explained.parameters["taken"]
        assert line.endswith(
            "(the tokens of TransformerEncoderLayer, LayerNorm, after it, do not lie as the places of the input)"
        )
    bare = SiameseModel(Latents(count, "none"), "dot")
    with pytest.raises(
        ValueError, match=r"^the tokens of 'blocks.1' do not lie as the places of the input.*explain the in"
    ):
        PairGradCAM(bare).attribute(inputs)


def test_a_layer_of_latents_that_the_user_names_has_a_value_a_latent_and_no_picture() -> None:
    model, inputs = SiameseModel(Latents(16), "dot"), problems.images(2, size=32)
    explained = PairHiResCAM(model, "blocks.1").explain(inputs)
    assert explained.maps[0].shape == (2, 1, 16)
    with pytest.raises(ValueError, match=r"a map of shape .* is no grid .*: if its tokens are cells, layout= says"):
        explained.plot()
    given = PairHiResCAM(model, "blocks.1", layout=Tokens((4, 4), 0)).attribute(inputs)  # the user's word
    torch.testing.assert_close(given[0].flatten(2), explained.maps[0])


class Rows(nn.Module):
    """A recurrent network over the rows of an image, as many as a grid has cells."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        super().__init__()
        self.cells = nn.LSTM(16, 8, batch_first=True)
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        return self.cells(x[:, 0])[0].mean(1)  # type: ignore[no-any-return]


def test_rows_of_an_image_are_no_cells() -> None:
    with pytest.raises(ValueError, match="the tokens of 'cells' do not lie as the places of the input"):
        PairGradCAM(SiameseModel(Rows(), "dot")).attribute(problems.images(2, size=16))


def test_finding_that_latents_are_no_cells_costs_three_passes_of_one_pair_once() -> None:
    encoder, rows = Latents(16), []
    encoder.register_forward_hook(lambda m, args, output: rows.append(len(output)))
    explainer, inputs = PairGradCAM(SiameseModel(encoder, "dot")), problems.images(4, size=32)
    explainer.attribute(inputs)
    assert rows == [1, 1] * 4 + [4, 4]
    rows.clear()
    explainer.attribute(inputs)
    assert rows == [4, 4]
    rows.clear()
    named = PairGradCAM(explainer.model, "blocks.1")
    for _ in range(2):
        named.attribute(inputs)
    assert rows == [4, 4] + [1, 1] * 4 + [4, 4]


def test_layouts_of_shapes() -> None:
    image = (224, 224)
    assert layouts((2, 197, 768), image) == [Tokens((14, 14), 1)]
    assert layouts((2, 201, 768), image) == [Tokens((14, 14), 5)]  # four registers
    assert layouts((2, 7, 7, 768), image) == [ChannelsLast()]
    assert layouts((2, 512, 7, 7), image) == [ChannelsFirst()]
    assert layouts((2, 3, 197, 64), image) == []  # heads of an attention
    assert layouts((2, 300, 49), image) == [PatchesLast((7, 7))]
    assert layouts((2, 99, 31), (112, 224)) == [Tokens((7, 14), 1)]  # half as high as wide
    assert layouts((2, 10), image) == []
    assert layouts((2, 16, 5, 5), image) == [ChannelsFirst()]
    assert layouts((2, 8, 1, 1), image) == []
    assert described(Tokens((14, 14), 5), (2, 201, 768)) == "tokens of a 14 x 14 grid after 5 that are no patch"


def test_a_layout_that_the_layer_does_not_have_is_told() -> None:
    model = SiameseModel(nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)), "dot")
    for layout, said in (
        (ChannelsFirst(), "layout ChannelsFirst needs (N, C, ...), the layer's output is (2, 6)"),
        (PatchesLast((2, 2)), "layout PatchesLast(grid=(2, 2)) does not fit the layer's output, (2, 6)"),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
            PairGradCAM(model, "1", layout=layout).explain((torch.rand(2, 4), torch.rand(2, 4)))


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "resnet18"])
def test_finding_the_layer_costs_one_pass_of_one_pair_once(name: str) -> None:
    timm = pytest.importorskip("timm")
    small = {"depth": 2, "img_size": 64} if name.startswith("vit") else {}
    encoder = timm.create_model(name, num_classes=0, **small).eval()
    rows: list[int] = []
    encoder.register_forward_hook(lambda m, args, output: rows.append(len(output)))
    explainer, inputs = PairGradCAM(SiameseModel(encoder, "dot")), tuple(torch.randn(2, 4, 3, 64, 64))
    explainer.attribute(inputs)
    assert rows == [1, 1, 4, 4]
    rows.clear()
    explainer.attribute(inputs)
    assert rows == [4, 4]


class Still(nn.Module):
    """A score of two images that stands still where they are one, or where the embeddings are near."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        score: Tensor = -(self.encoder(a) - self.encoder(b)).square().sum(1)
        return score


def saturated(z_a: Tensor, z_b: Tensor) -> Tensor:
    return (z_a - z_b).square().sum(1).clamp(1e6)


def test_a_model_has_one_layer_whichever_pair_comes_first() -> None:
    encoder, x = Transformer(), problems.images(3, size=16)[0]
    # by brute force: what is written to the patches behind a module moves the embedding, or does not
    read = dict.fromkeys(("blocks.1", "norm"), False)
    for name in read:
        before = encoder(x)
        hook = encoder.get_submodule(name).register_forward_hook(
            lambda m, args, o: o + torch.randn(17, 8) * (torch.arange(17) > 0)[:, None]
        )
        read[name] = not torch.equal(before, encoder(x))
        hook.remove()
    assert read == {"blocks.1": True, "norm": False}
    same, other = (x[:1], x[:1]), (x[:1], x[1:2])
    for make in (
        lambda: SiameseModel(encoder, "cosine"),
        lambda: SiameseModel(encoder, "squared_euclidean"),
        lambda: SiameseModel(encoder, saturated, higher_is_closer=False),
        lambda: Still(encoder),
    ):
        for first in (same, other):
            explainer = PairGradCAM(make())
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that the map of a pair of one item is zero
                explainer.attribute(first)
            assert explainer.layer_names_[0].removeprefix("encoder.") == "blocks.1"
    for cls in (PairGradCAM, PairHiResCAM, PairEigenCAM):
        found = Gallery(cls(SiameseModel(encoder, "squared_euclidean")), x)
        for one in (found.explain([(0, 1)])[:], found.search(x[2:], k=1).explain()[:]):
            assert one.parameters["layer"] == ["blocks.1"]
        given = cls(SiameseModel(encoder, "squared_euclidean"), "blocks.1").explain(other)
        torch.testing.assert_close(found.explain([(0, 1)])[:].maps, given.maps)
