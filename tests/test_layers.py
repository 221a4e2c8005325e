"""Layers by name, by module or by themselves, and transformers' token grids."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import xsiamese
from tests import problems
from xsiamese import (
    ChannelsLast,
    PairGradCAM,
    PairLayerConductance,
    PairLayerInteraction,
    PairRegionSwap,
    PairSaliency,
    SiameseModel,
    Tokens,
)
from xsiamese.branches.layers import ChannelsFirst, PatchesLast, as_grid, find_layers, names_of

NAMED = ("PairGradCAM", "PairAblationCAM", "PairLayerGradCam")


def named() -> nn.Sequential:
    """An encoder whose layers have names."""
    from collections import OrderedDict

    names = ("stem", "act1", "pool", "layer4", "act2", "gap", "flatten", "head")
    return nn.Sequential(OrderedDict(zip(names, problems.conv_encoder(), strict=True)))


@pytest.mark.parametrize("cls", [PairGradCAM, PairLayerConductance])
def test_a_layer_by_name_by_full_name_by_module_and_by_pair_is_one_layer(cls: Any) -> None:
    model, inputs = SiameseModel(named()), problems.images(2)
    expected = cls(model, "layer4").attribute(inputs)
    for layer in (
        "encoder.layer4",
        model.encoder.layer4,
        ("layer4", "layer4"),
        ("layer4", model.encoder.layer4),
        ["layer4"],
    ):
        explainer = cls(model, layer)
        for x, y in zip(explainer.attribute(inputs), expected, strict=True):
            assert torch.equal(x, y)
        assert explainer.layer_names_ == ["layer4"]


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("layer3", "no layer is called 'layer3'; did you mean 'layer4'"),
        ("Layer4", "no layer is called 'Layer4'; did you mean 'layer4'"),
        ("zzzz", "no layer is called 'zzzz'; there are .*stem.*layer4"),
        ("", "no layer is called ''"),
    ],
)
def test_unknown_names_come_with_the_nearest(layer: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PairGradCAM(SiameseModel(named()), layer).attribute(problems.images(1))


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("kind", ["siamese", "shared", "stacked", "pseudo"])
def test_no_layer_picks_the_last_grid_and_says_which(name: str, kind: str) -> None:
    encoder = named()
    model: Any = {
        "siamese": lambda: SiameseModel(encoder, "dot"),
        "shared": lambda: problems.Shared(encoder, lambda u, v: (u * v).sum(1)),
        "stacked": lambda: problems.Stacked(encoder, lambda u, v: (u * v).sum(1)),
        "pseudo": lambda: SiameseModel((encoder, named()), "dot"),
    }[kind]()
    prefix = "" if kind in ("siamese", "pseudo") else "encoder."
    explainer = xsiamese.explainers()[name](model)
    found = explainer.attribute(problems.images(2))
    assert explainer.layer_names_ == [f"{prefix}act2"]
    assert f"{prefix}act2" in repr(explainer)
    given = xsiamese.explainers()[name](model, ("act2", "act2") if kind == "pseudo" else f"{prefix}act2").attribute(
        problems.images(2)
    )
    for x, y in zip(found, given, strict=True):
        torch.testing.assert_close(x, y)
    assert explainer.explain(problems.images(2)).parameters["layer"] == [f"{prefix}act2"]


def test_without_a_grid_a_layer_must_be_given() -> None:
    with pytest.raises(
        ValueError,
        match=r"no layer has a spatial grid \(N, C, H, W\) to explain on: give layer=, and layout= for tokens",
    ):
        PairGradCAM(SiameseModel(problems.smooth_encoder())).attribute(problems.vectors())


def test_a_vector_layer_has_one_place() -> None:
    map_a, _ = PairGradCAM(SiameseModel(problems.smooth_encoder()), "0").attribute(problems.vectors())
    assert map_a.shape == (3, 1)


def test_names_of_a_list() -> None:
    model = SiameseModel(named())
    pairs = find_layers(model, ["act1", ("pool", "layer4")])
    assert names_of(model, pairs) == ["act1", "pool / layer4"]
    assert pairs[1] == (model.encoder.pool, model.encoder.layer4)


def test_layouts() -> None:
    tokens = torch.arange(2 * 5 * 3.0).reshape(2, 5, 3)
    grid = Tokens()(tokens)
    assert grid.shape == (2, 3, 2, 2)
    assert torch.equal(grid[0, :, 0, 1], tokens[0, 2])
    assert Tokens(grid=(1, 5), prefix=0)(tokens).shape == (2, 3, 1, 5)
    assert torch.equal(ChannelsLast()(torch.ones(2, 4, 5, 3)), torch.ones(2, 3, 4, 5))
    assert as_grid(tokens, None).shape == (2, 3, 5)
    assert ChannelsFirst()(torch.ones(2, 3, 4)).shape == (2, 3, 4)
    assert torch.equal(PatchesLast((2, 2))(tokens[:, 1:].mT), grid)
    with pytest.raises(ValueError, match=r"5 tokens less 0 are not a 2 x 2 grid: give Tokens\(grid=..., p"):
        Tokens(prefix=0)(tokens)
    with pytest.raises(ValueError, match=r"layout Tokens needs \(N, tokens, C\), the layer's output is \(2, 3\)"):
        Tokens()(torch.ones(2, 3))
    with pytest.raises(ValueError, match=r"layout ChannelsLast needs \(N, H, W, C\)"):
        ChannelsLast()(tokens)


def vision_transformer() -> nn.Module:
    models = pytest.importorskip("torchvision.models")
    torch.manual_seed(0)
    transformer = models.VisionTransformer(
        image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=8, mlp_dim=16, num_classes=4
    )
    nn.init.normal_(transformer.heads.head.weight)  # it starts at zero
    return transformer.double()  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", ["PairGradCAM", "PairHiResCAM", "PairAblationCAM", "PairEigenCAM"])
def test_a_vision_transformer(name: str) -> None:
    model = SiameseModel(vision_transformer(), "dot")
    inputs = problems.images(2, size=32, channels=3)
    cls = xsiamese.explainers()[name]
    layer = "encoder.layers.encoder_layer_1.ln_1"
    grid = cls(model, layer, layout=Tokens()).attribute(inputs)
    tokens = cls(model, layer, layout=Tokens(grid=(1, 17), prefix=0)).attribute(inputs)
    for x, y in zip(grid, cls(model, layer).attribute(inputs), strict=True):
        torch.testing.assert_close(x, y)  # known by itself
    for x, y in zip(grid, tokens, strict=True):
        assert x.shape == (2, 1, 4, 4)
        assert y.shape == (2, 1, 1, 17)
        assert x.any()
    if name == "PairHiResCAM":
        torch.testing.assert_close(grid[0].flatten(1), tokens[0][:, 0, 0, 1:])
    assert cls(model, layer, layout=Tokens()).explain(inputs).upsample().maps[0].shape == (2, 1, 32, 32)


def test_hirescam_of_a_swin_transformer_is_exact_on_its_last_norm() -> None:
    models = pytest.importorskip("torchvision.models")
    torch.manual_seed(0)
    swin = models.SwinTransformer(
        patch_size=[4, 4], embed_dim=8, depths=[1, 1], num_heads=[2, 2], window_size=[2, 2], num_classes=4
    ).double()
    nn.init.zeros_(swin.head.bias)
    model, inputs = SiameseModel(swin, "dot"), problems.images(2, size=32, channels=3)
    maps = xsiamese.explainers()["PairHiResCAM"](model, "norm", layout=ChannelsLast()).attribute(inputs)
    for value in maps:
        assert value.shape == (2, 1, 4, 4)
        torch.testing.assert_close(
            value.flatten(1).sum(1), model.eval()(*inputs).detach()
        )  # mean pooled and linear: complete


@pytest.mark.parametrize("cls", [PairGradCAM, PairLayerInteraction, PairRegionSwap])
@pytest.mark.parametrize(("layout", "said"), [
    ("channels_last", "layout='channels_last'"), (ChannelsLast, "layout=ChannelsLast"), (3, "layout=3"),
    ((Tokens(), "tokens"), r"layout=\(Tokens\(grid=None, prefix=1, suffix=0\), 'tokens'\)"),
    ((None,) * 3, r"layout=\(None, None, "),
])  # fmt: skip
def test_a_layout_that_is_none_is_refused_before_it_is_taken_for_one(cls: Any, layout: Any, said: str) -> None:
    """A name of a layout was taken for channels first by some methods, in silence."""
    with pytest.raises(
        TypeError, match=rf"^{said}.*: Tokens\(grid=\(rows, columns\), prefix=1, suffix=0\), ChannelsLast\(\), "
    ):
        cls(SiameseModel(nn.Conv2d(1, 2, 3)), "encoder", layout=layout)


@pytest.mark.parametrize(("known", "said"), [
    ({"grid": 7}, r"grid=7\): \(rows, columns\)"), ({"grid": (7, 7, 7)}, r"grid=\(7, 7, 7\)\)"),
    ({"grid": (0, 7)}, r"grid=\(0, 7\)\)"), ({"grid": (2.5, 2)}, r"grid=\(2.5, 2\)\)"),
    ({"prefix": -1}, r"prefix=-1\): a whole number from 0 on"), ({"prefix": True}, "prefix=True"),
])  # fmt: skip
def test_tokens_that_are_no_grid(known: Any, said: str) -> None:
    with pytest.raises(ValueError, match=rf"^Tokens\({said}"):
        Tokens(**known)


def test_a_layer_for_a_method_that_explains_none_is_told() -> None:
    with pytest.warns(UserWarning, match=r"^PairSaliency explains no layer: layer= changes nothing$"):
        PairSaliency(SiameseModel(nn.Conv2d(1, 2, 3)), "encoder")
    with pytest.warns(UserWarning, match=r"^PairSaliency explains no layer: layout= changes nothing$"):
        PairSaliency(SiameseModel(nn.Conv2d(1, 2, 3)), layout=Tokens((2, 2)))


class TurnsFirst(nn.Module):
    """A model of two images with a score of its own, which may turn them before anything else."""

    def __init__(self, turn: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.turn = turn
        self.conv, self.head = nn.Conv2d(1, 6, 3, padding=1), nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(384, 4))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        first, second = (self.head(self.conv(self.turn(x))) for x in (a, b))
        return (first * second).sum(1)


TURNS: dict[str, tuple[Callable[[Tensor], Tensor], bool]] = {
    "as it is": (lambda x: x, False), "scaled": (lambda x: (x - 0.5) / 0.2, False),
    "twice": (lambda x: x.mT.mT, False), "there and back": (lambda x: x.flip(3).flip(3), False),
    "mirrored": (lambda x: x.flip(3), True), "transposed": (lambda x: x.mT, True),
    "permuted": (lambda x: x.permute(0, 1, 3, 2), True),
}  # fmt: skip


@pytest.mark.parametrize("turn", TURNS)
def test_a_named_layer_of_a_turned_image_is_told_without_a_pass_more(turn: str) -> None:
    """Only where something is turned is it asked, by three passes, whether the places lie elsewhere."""
    torch.manual_seed(0)
    made, says = TURNS[turn]
    model, passes = TurnsFirst(made).double(), []
    model.register_forward_hook(lambda *_: passes.append(1))
    a, b = torch.randn(2, 2, 1, 8, 8, dtype=torch.float64)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        PairGradCAM(model, layer="conv").attribute((a, b))
    told = [str(one.message) for one in caught if "turns its input" in str(one.message)]
    assert len(told) == says
    assert all("before 'conv', whose places do not lie as those of the input" in line for line in told)
    if made(a) is a or turn == "scaled":
        plain: list[int] = []
        other = TurnsFirst(lambda x: x).double()
        other.register_forward_hook(lambda *_: plain.append(1))
        PairGradCAM(other, layer="conv").attribute((a, b))
        assert len(passes) == len(plain) == 2  # one that is watched, and one that is explained
