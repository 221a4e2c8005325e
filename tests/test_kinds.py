"""Kinds of input: which one an item is, what is explained of it, and that it comes back from files and in parts."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import xsiamese
from xsiamese import (
    PairFeatureAblation,
    PairGradCAM,
    PairHiResCAM,
    PairLayerFeatureAblation,
    PairLayerGradCam,
    SiameseModel,
)
from xsiamese.kinds.catalogue import OURS, kind, kinds, side
from xsiamese.kinds.inputs import two_sides
from xsiamese.kinds.places import Nodes, Places, of_tensor
from xsiamese.kinds.text import Text

IDS = torch.tensor([[1, 5, 7, 2], [1, 6, 2, 0]])
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
ITEMS: dict[str, Any] = {
    "image": torch.rand(2, 3, 4, 5),
    "row": torch.rand(2, 6),
    "series": torch.rand(2, 3, 20),
    "volume": torch.rand(2, 1, 3, 4, 5),
    "text": IDS,
    "tensor": torch.rand(2, 1, 2, 2, 2, 2),
}


def graphs() -> Any:
    data = pytest.importorskip("torch_geometric.data")
    edges = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    return data.Batch.from_data_list([data.Data(x=torch.rand(3, 2), edge_index=edges) for _ in range(2)])


@pytest.mark.parametrize("name", [*ITEMS, "graph"])
def test_an_item_tells_its_kind_and_comes_back_in_parts_and_from_a_file(name: str) -> None:
    item = graphs() if name == "graph" else ITEMS[name]
    one, of = side(item, "a"), kind(name)
    assert (one.kind, one.pairs, of.count(item)) == (name, 2, 2)
    tensors, about = of.pack(item)
    back, second = of.unpack(dict(tensors), about), of.take(item, torch.tensor([1]))
    assert of.count(second) == 1
    if name == "graph":
        assert torch.equal(back.x, item.x)
        assert torch.equal(back.edge_index, item.edge_index)
        assert torch.equal(second.x, item.x[3:])
    else:
        assert torch.equal(back, item)
        assert torch.equal(second, item[1:])


@pytest.mark.parametrize("item", [(IDS, MASK), {"attention_mask": MASK, "input_ids": IDS}], ids=["tuple", "mapping"])
def test_several_tensors_of_one_item_keep_their_form(item: Any) -> None:
    of = kind("text")
    assert side(item, "a").kind == "text"
    for found in (of.unpack(*of.pack(item)), of.take(item, torch.tensor([0, 1]))):
        assert type(found) is type(item)
        pairs = zip(found.values(), item.values()) if isinstance(item, dict) else zip(found, item)  # noqa: B905
        assert all(torch.equal(x, y) for x, y in pairs)


def test_the_user_has_the_last_word() -> None:
    assert side(torch.rand(2, 7, 4), "a", "text").kind == "text"
    assert side(torch.rand(2, 400), "a", "series").kind == "series"
    assert side(IDS, "a", "tabular").kind == "row"
    a, b = two_sides((torch.rand(2, 7, 4), torch.rand(2, 3, 8, 8)), kind=("text", None))
    assert (a.kind, b.kind) == ("text", "image")
    with pytest.raises(ValueError, match=r"input a has shape \(2, 6\) and cannot be a volume, \(pairs, channels"):
        side(ITEMS["row"], "a", "volume")
    with pytest.raises(ValueError, match="no kind of input is called 'imgae'; did you mean 'image'"):
        side(ITEMS["image"], "a", "imgae")
    with pytest.raises(TypeError, match="input a is a Tensor, which cannot be a graph"):
        side(ITEMS["image"], "a", "graph")


def test_a_kind_comes_by_the_door(monkeypatch: pytest.MonkeyPatch) -> None:
    class Words(Text):
        name = "words"

        def side(self, item: Any, name: str, *, asked: bool = False) -> Any:
            if not isinstance(item, list) or not isinstance(item[0], str):
                return None
            return super().side(torch.tensor([[len(word) for word in text.split()] for text in item]), name, asked=True)

    from xsiamese.kinds import catalogue

    monkeypatch.setattr(catalogue.registry, "collect", lambda *_: {"words": Words()})
    assert list(kinds())[-1] == "words"
    found = side(["a small cat", "the big dog"], "a")
    assert found.kind == "words"
    assert found.own[0].tolist() == [[1, 5, 3], [3, 3, 3]]
    assert side(torch.rand(2, 3), "a").kind == "row"


def test_places_by_the_layer_and_by_the_kind() -> None:
    three = torch.rand(2, 8, 47)
    assert of_tensor(three, nn.Conv1d(1, 8, 3), "tokens") == Places("time")
    assert of_tensor(three, nn.Linear(3, 47), "time") == Places("tokens", 2)
    assert of_tensor(three, nn.Sequential(nn.ReLU(), nn.LayerNorm(47)), "time") == Places("tokens", 2)
    expected = {"series": "time", "row": "time", "image": "tokens", "text": "tokens", "volume": "tokens"}
    for name, places in expected.items():
        assert OURS[name].places(three, side(ITEMS[name], "a"), nn.ReLU()).name == places
    dims = {2: "features", 4: "grid", 5: "volume"}
    for dim, places in dims.items():
        assert of_tensor(torch.rand(*[2] * dim), None, "tokens") == Places(places)
    tokens = Places("tokens", 2)
    assert torch.equal(tokens.given(tokens.first(three)), three)
    assert torch.allclose(tokens.mean(tokens.first(three))[:, :, 0], three.mean(1))


def test_means_over_the_nodes_of_each_graph() -> None:
    values = torch.tensor([[1.0], [3.0], [10.0]])
    places = Nodes(pair_of=torch.tensor([0, 0, 1]))
    assert places.mean(values).flatten().tolist() == [2, 2, 10]
    assert places.total(values).flatten().tolist() == [4, 4, 10]


class Pooled(nn.Module):
    """The mean of what is no padding, of a convolution over a series or of the embeddings of ids."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, values: Tensor, attention_mask: Tensor) -> Tensor:
        found: Tensor = self.layers(values)
        found = found if found.shape[2] == attention_mask.shape[1] else found.transpose(1, 2)
        mean: Tensor = (found * attention_mask[:, None]).sum(2) / attention_mask.sum(1, keepdim=True)
        return mean.tanh()


@pytest.mark.filterwarnings("ignore:.*shares nothing between the pairs")
@pytest.mark.parametrize("name", ["GradCAM", "GradCAMPlusPlus", "XGradCAM", "EigenCAM", "AblationCAM"])
@pytest.mark.parametrize("form", ["ids", "series"])
def test_padding_of_ids_and_of_series_has_no_part_in_maps(name: str, form: str) -> None:
    torch.manual_seed(0)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    if form == "ids":
        encoder, values = Pooled(nn.Embedding(9, 6)), torch.tensor([[1, 5, 7, 2, 8], [3, 4, 2, 0, 0]])
        item, short = (values, mask), (values[1:, :3], mask[1:, :3])
    else:
        encoder, values = Pooled(nn.Conv1d(2, 6, 1)), torch.rand(2, 2, 5).double()
        item = {"values": values, "attention_mask": mask}
        short = {"values": values[1:, :, :3], "attention_mask": mask[1:, :3]}
    method = getattr(xsiamese, f"Pair{name}")(SiameseModel(encoder.double(), "cosine"), layer="layers.0")
    other = OURS["text"].take(item, torch.tensor([1, 0]))
    beside = OURS["text"].take(item, torch.tensor([0]))
    whole, alone = method.attribute((item, other))[0], method.attribute((short, beside))[0]
    assert alone.any()
    torch.testing.assert_close(whole[1:, :, :3], alone, rtol=1e-10, atol=1e-12)
    assert not whole[1, :, 3:].any()


class Drawn(nn.Module):
    """The same of vectors, bent before the mean, with the mask beside them."""

    def __init__(self, layer: nn.Module, tokens: int) -> None:
        super().__init__()
        self.layer, self.tokens = layer, tokens

    def forward(self, values: Tensor, attention_mask: Tensor) -> Tensor:
        found, mask = self.layer(values), attention_mask.unsqueeze(3 - self.tokens)
        mean: Tensor = (found.tanh() * mask).sum(self.tokens) / mask.sum(self.tokens)
        return mean


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("form", ["text", "series", "ids"])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("PairRISE", {"masks": 30}), ("PairXFace", {"masks": 30}), ("PairMaskRegression", {"masks": 60}),
        ("PairKernelShap", {"n_samples": 60}), ("PairLime", {"n_samples": 60}), ("PairOcclusion", {}),
        ("PairShapleyValueSampling", {"n_samples": 2}), ("PairNoiseTunnel", {}), ("Lift", {"masks": 60}),
        ("PairGradientShap", {"n_samples": 4, "stdevs": 0.2}),
        ("RobustPairExplainer", {"steps": 40}),
    ],
)  # fmt: skip
def test_padding_on_either_side_changes_no_draw(name: str, options: dict[str, Any], form: str, left: bool) -> None:
    """Of numbers that move, whether their places come before the channels or after, and of plain ids."""
    torch.manual_seed(0)
    layer = {"text": nn.Linear(3, 4), "series": nn.Conv1d(3, 4, 1), "ids": nn.Embedding(9, 4)}[form]
    tokens = 2 if form == "series" else 1
    model = SiameseModel(Drawn(layer, tokens).double(), "cosine")
    cls = getattr(xsiamese, name)
    if form == "ids" and cls.needs_motion():
        pytest.skip("ids do not move")
    shape = (2, 1, 3, 5) if form == "series" else (2, 1, 5, 3)
    values = torch.randint(1, 9, (2, 1, 5)) if form == "ids" else torch.randn(shape, dtype=torch.float64)
    around = (6, 0) if left else (0, 6)
    fill = 0 if form == "ids" else 5.0
    longer = nn.functional.pad(values, around if form != "text" else (0, 0, *around), value=fill)
    mask = torch.ones(1, 5, dtype=torch.long)
    kind = "series" if form == "series" else "text"
    made = cls(model, coupling="none") if name == "RobustPairExplainer" else cls(model)
    maps = [
        made.explain(tuple({"values": x, "attention_mask": m} for x in both), kind=kind, **options).maps
        for both, m in ((values, mask), (longer, nn.functional.pad(mask, around)))
    ]
    for short, long in zip(*maps, strict=True):
        one, many = (x["values"] if isinstance(x, Mapping) else x for x in (short, long))
        start, stop = (6, 11) if left else (0, 5)
        at = [slice(None)] * many.dim()
        at[tokens] = slice(start, stop)
        torch.testing.assert_close(many[tuple(at)], one, rtol=1e-9, atol=1e-12)
        many[tuple(at)] = 0
        assert not many.any()
        assert one.any()


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("name", ["PairLayerGradCam", "PairGuidedGradCam"])
def test_padding_has_no_part_in_grad_cam_of_captum(name: str, left: bool) -> None:
    """Which averages the gradient over all places; each pair is padded by another number of places."""
    torch.manual_seed(3)
    inner = nn.Sequential(nn.Conv1d(3, 6, 1), nn.ReLU(), nn.Conv1d(6, 4, 1))
    method = getattr(xsiamese, name)(SiameseModel(Drawn(inner, 2).double(), "cosine"), layer="layer.1")
    values = [torch.randn(2, 3, size, dtype=torch.float64) for size in (5, 3)]
    alone = [
        method.attribute(tuple({"values": x[None], "attention_mask": torch.ones(1, x.shape[1]).long()} for x in both))
        for both in values
    ]
    around = [(9 - x.shape[2], 0) if left else (0, 9 - x.shape[2]) for x in values]
    longer = [nn.functional.pad(x, by, value=5.0) for x, by in zip(values, around, strict=True)]
    masks = [nn.functional.pad(torch.ones(x.shape[2]).long(), by) for x, by in zip(values, around, strict=True)]
    mask = torch.stack(masks)
    maps = method.attribute(
        tuple({"values": torch.stack([x[s] for x in longer]), "attention_mask": mask} for s in (0, 1))
    )
    for whole, *shorts in zip(maps, *alone, strict=True):
        many = whole["values"] if isinstance(whole, Mapping) else whole
        for row, short, own in zip(many, shorts, mask, strict=True):
            one = short["values"] if isinstance(short, Mapping) else short
            torch.testing.assert_close(row[:, own > 0], one[0], rtol=1e-9, atol=1e-12)
            assert not row[:, own == 0].any()
        assert any((short["values"] if isinstance(short, Mapping) else short).any() for short in shorts)


def test_robust_masks_that_are_held_to_what_is_of_all_places_are_told_of_padding() -> None:
    torch.manual_seed(0)
    model, values = SiameseModel(Drawn(nn.Linear(3, 4), 1).double(), "cosine"), torch.randn(2, 1, 5, 3).double()
    mask = torch.tensor([[1, 1, 1, 0, 0]])
    pair = tuple({"values": x, "attention_mask": mask} for x in values)
    explainer = xsiamese.RobustPairExplainer(model, coupling="none")
    said = r"^padding takes part in masks with invariance=, units= or pool=, which are of all places"
    units = torch.arange(5)[:, None].expand(5, 3)
    with pytest.warns(UserWarning, match=said):
        explainer.explain(pair, kind="text", units=units, steps=5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        explainer.explain(pair, kind="text", steps=40)


def conv(dims: int) -> tuple[nn.Sequential, tuple[Tensor, Tensor]]:
    """A linear head on the mean over all places: the Grad-CAM of a dot product sums to the score."""
    torch.manual_seed(0)
    made = {1: nn.Conv1d, 3: nn.Conv3d}[dims](1, 4, 3)
    pool = {1: nn.AdaptiveAvgPool1d, 3: nn.AdaptiveAvgPool3d}[dims](1)
    size = {1: (31,), 3: (5, 6, 7)}[dims]
    a, b = torch.randn(2, 3, 1, *size, dtype=torch.float64)
    return nn.Sequential(made, nn.ReLU(), pool, nn.Flatten()).double(), (a, b)


@pytest.mark.parametrize("dims", [1, 3])
@pytest.mark.parametrize("cls", [PairGradCAM, PairHiResCAM, PairLayerGradCam])
def test_maps_of_series_and_volumes_lie_over_their_places(cls: Any, dims: int) -> None:
    encoder, (a, b) = conv(dims)
    model = SiameseModel(encoder, "dot")
    map_a, _ = cls(model, layer="1").attribute((a, b))
    activation = encoder[:2](a)
    assert map_a.shape == (3, 1, *activation.shape[2:])
    # the mean of each channel times the other side's embedding, place by place
    over = activation.shape[2:].numel()
    other = model.encode(b, 1).reshape(3, 4, *[1] * dims)
    assert torch.allclose(map_a, (activation * other / over).sum(1, keepdim=True))


def bag() -> SiameseModel:
    """The sum of the vectors of the tokens: leaving one out takes its vector's part of the score."""

    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(9, 3).double()
            with torch.no_grad():
                self.words.weight[0] = 0

        def forward(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
            if isinstance(ids, tuple):
                ids, mask = ids
            vectors = self.words(ids)
            return (vectors if mask is None else vectors * mask[..., None]).sum(1)

    torch.manual_seed(1)
    return SiameseModel(Sum(), "dot")


def test_a_missing_token_is_worth_its_part_of_the_score() -> None:
    model = bag()
    other = IDS.flip(1)
    map_a, map_b = PairFeatureAblation(model).attribute((IDS, other))
    vectors = model.encoders[0].words
    assert map_a.dtype == torch.float64
    assert torch.allclose(map_a, torch.einsum("ntd,nd->nt", vectors(IDS), vectors(other).sum(1)))
    assert torch.allclose(map_b, torch.einsum("ntd,nd->nt", vectors(other), vectors(IDS).sum(1)))
    # another id comes in place of what is missing
    instead, _ = PairFeatureAblation(model).attribute((IDS, other), baselines=5)
    lost = vectors(IDS) - vectors(torch.tensor(5))
    assert torch.allclose(instead, torch.einsum("ntd,nd->nt", lost, vectors(other).sum(1)))
    assert instead[0, 1] == 0


def test_padding_and_specials_are_never_missing() -> None:
    model = bag()
    text = Text(missing=8, special=(1, 2))
    inputs = ((IDS, MASK), (IDS.flip(0), MASK.flip(0)))
    (map_a, _) = PairFeatureAblation(model).attribute(inputs, kind=text)
    there = torch.tensor([[0, 1, 1, 0], [0, 1, 0, 0]], dtype=torch.bool)
    assert bool((map_a[there] != 0).all())
    assert not bool(map_a[~there].any())
    assert torch.equal(PairFeatureAblation(model).attribute(inputs, kind=text, internal_batch_size=1)[0], map_a)


def test_ids_cannot_move_and_the_layer_to_explain_is_named() -> None:
    model = bag()
    with pytest.raises(TypeError, match=r"PairSaliency moves .* a is int64 \(text\).*layer='words'"):
        xsiamese.PairSaliency(model).attribute((IDS, IDS))
    with pytest.raises(TypeError, match=r"a is int64 \(row\): whole numbers cannot move; give a.float\(\)"):
        xsiamese.PairIntegratedGradients(SiameseModel(nn.Identity())).attribute((IDS, IDS), kind="row")
    with pytest.raises(ValueError, match=r"the baseline of b is \(2, 4\) torch.float32, and its input holds whole"):
        PairFeatureAblation(model).attribute((IDS, IDS), baselines=(0, torch.zeros(2, 4)))
    with pytest.raises(ValueError, match="the tokens of two texts have no common order"):
        PairFeatureAblation(model).attribute((IDS, IDS), baselines="partner")
    with pytest.raises(ValueError, match=r"^the baseline of a has 3 rows for 2 pairs: 1 or one each$"):
        PairFeatureAblation(model).attribute((IDS, IDS), baselines=(torch.zeros(3, IDS.shape[1]).long(), 0))
    each = torch.full_like(IDS, 5)  # one for each place is what the number is for all
    torch.testing.assert_close(
        PairFeatureAblation(model).attribute((IDS, IDS.flip(1)), baselines=(each, each[:1])),
        PairFeatureAblation(model).attribute((IDS, IDS.flip(1)), baselines=5),
    )


def test_the_embedding_layer_of_ids_is_explained_from_padding() -> None:
    model = bag()
    other = IDS.flip(1)
    map_a, map_b = xsiamese.PairLayerIntegratedGradients(model, layer="words").attribute((IDS, other), n_steps=8)
    assert map_a.shape == (2, 4, 3)
    # each side from padding, whose vector is zero, with the other held: F(a, b) - F(a0, b) is the score
    assert torch.allclose(map_a.flatten(1).sum(1), model(IDS, other))
    assert torch.allclose(map_b.flatten(1).sum(1), model(IDS, other))


def test_an_explainer_that_does_not_explain_a_kind_says_so() -> None:
    model = SiameseModel(nn.Flatten(), "dot")
    with pytest.raises(TypeError, match=r"PairScoreCAM does not explain a series, .*say kind=, one of image"):
        xsiamese.PairScoreCAM(model, layer="").attribute((ITEMS["series"], ITEMS["series"]))


@pytest.mark.parametrize("name", ["series", "volume", "text", "mixed"])
def test_each_kind_draws_itself_and_keeps_its_kind_in_a_file(name: str, tmp_path: Any) -> None:
    pytest.importorskip("matplotlib")
    if name in ("series", "volume"):
        encoder, inputs = conv({"series": 1, "volume": 3}[name])
        explanation = PairGradCAM(SiameseModel(encoder, "dot"), layer="1").explain(inputs)
        expected = (name, name)
    else:
        pixels = torch.rand(2, 1, 3, dtype=torch.float64)[..., None]
        model = SiameseModel((nn.Flatten() if name == "mixed" else bag().encoders[0], bag().encoders[0]), "dot")
        explanation = PairFeatureAblation(model).explain((pixels if name == "mixed" else IDS, IDS))
        expected = ("image" if name == "mixed" else "text", "text")
    assert explanation.kinds == expected
    back = xsiamese.load(explanation.save(tmp_path / "why.safetensors"))
    assert back.kinds == expected
    assert back[1].kinds == expected
    assert torch.equal(back[1].maps[1], explanation.maps[1][1:2])
    figure = explanation.plot(pair=0)
    assert len(figure.axes) >= 3  # a, b and the scale
    if name == "text":
        assert [word.get_text() for word in figure.axes[0].texts][:4] == ["1", "5", "7", "2"]
    if name == "series":  # one strip under the curve, grown to the times of the input
        assert figure.axes[0].images[0].get_array().shape == (1, inputs[0].shape[-1])


def test_a_strip_under_each_channel_and_the_strongest_slices() -> None:
    figures = pytest.importorskip("matplotlib.figure")
    from xsiamese.plot.picture import DRAWINGS
    from xsiamese.plot.scale import Scale

    axes = figures.Figure().subplots()
    spots = DRAWINGS["series"](axes, torch.rand(2, 9), torch.rand(2, 9), Scale())
    assert len(axes.images) == 2
    assert set(spots) == {(t,) for t in range(9)}
    bands, grown = torch.arange(12.0)[:, None] * torch.arange(9.0), torch.rand(1, 9)
    axes = figures.Figure().subplots()
    assert DRAWINGS["series"](axes, bands, grown, Scale())[8,] == (8.0, 5.5)  # all of many channels, one picture
    grey, colours = (image.get_array() for image in axes.images)
    assert grey[11].tolist() == pytest.approx([1 - 0.28 * t / 8 for t in range(9)])  # each from its lowest value, white
    assert torch.equal(torch.tensor(colours), grown.double().expand(12, 9))
    assert axes.get_ylim()[0] < axes.get_ylim()[1]  # channel 0 below
    values = torch.zeros(1, 7, 2, 2)
    values[0, 2], values[0, 5], values[0, 6] = 1, -3, 2
    spots = DRAWINGS["volume"](figures.Figure().subplots(), torch.rand(1, 7, 2, 2), values, Scale())
    assert {place[0] for place in spots} == {2, 5, 6}


def test_a_kind_that_the_contract_has_no_pairs_of_is_a_failure() -> None:
    from xsiamese.testing import check_explainer

    class Ours(xsiamese.PairSaliency):
        modalities = frozenset({"image", "smell"})

    with pytest.raises(ValueError, match="Ours explains smell, and the contract has no pairs of it"):
        check_explainer(Ours, only="1 two results")


def test_a_layers_channels_are_drawn_as_one_strip() -> None:
    """They are others than the input's, so that only their sum has a place under the curves."""
    plt = pytest.importorskip("matplotlib.pyplot")
    from xsiamese.plot.scale import Scale
    from xsiamese.plot.series import draw_series

    values = torch.randn(48, 10, generator=torch.Generator().manual_seed(0))
    for channels in (3, 16):
        item = torch.randn(channels, 10, generator=torch.Generator().manual_seed(1))
        drawn = []
        for given in (values, values.sum(0, keepdim=True)):
            figure, axes = plt.subplots()
            draw_series(axes, item, given, Scale(20.0))
            figure.canvas.draw()
            drawn.append(bytes(figure.canvas.buffer_rgba()))
            plt.close(figure)
        assert drawn[0] == drawn[1]


class User(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.user, self.out = nn.Embedding(10, 4), nn.Linear(7, 6)

    def forward(self, user: Tensor, dense: Tensor) -> Tensor:
        found: Tensor = self.out(torch.cat([self.user(user), dense], 1))
        return found


class Item(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.enter, self.out = nn.Linear(2, 4), nn.Linear(4, 6)

    def forward(self, price: Tensor) -> Tensor:
        found: Tensor = self.out(self.enter(price))
        return found


def test_ids_beside_numbers_are_told_to_be_held_and_their_layers_explain_them() -> None:
    """Their map of zeros was taken for what they give."""
    model = SiameseModel((User().double().eval(), Item().double().eval()), "dot")
    dense, price = torch.randn(2, 3, dtype=torch.float64), torch.randn(2, 2, dtype=torch.float64)
    pair = {"user": torch.tensor([1, 2]), "dense": dense}, {"price": price}
    explainer = PairFeatureAblation(model)
    with pytest.warns(
        UserWarning, match=r"^input a holds whole numbers beside others, 'user': they are held, as masks"
    ):
        found = explainer.explain(pair).maps[0]
    assert not found["user"].any()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # once is enough, and what is no id of a table needs none
        explainer.explain(pair)
        PairFeatureAblation(SiameseModel((nn.Flatten(), nn.Flatten()), "dot")).attribute((price, price))
        units = PairLayerFeatureAblation(model, ("user", "enter")).attribute(pair)[0]
    weights = dict(model.encoders[0].named_parameters())
    slopes = model.encode(pair[1], 1) @ weights["out.weight"][:, :4]
    torch.testing.assert_close(units, (weights["user.weight"][[1, 2]] * slopes).detach())
