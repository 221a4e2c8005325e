"""What is taken by itself for models of texts and rows, and of two kinds, against the models' own scores."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from xsiamese import (
    PairHiResCAM,
    PairIntegratedGradients,
    PairLayerIntegratedGradients,
    SiameseModel,
    auto,
)
from xsiamese.explain.tried import takes_ids, takes_rows

V, D = 12, 6


class Bag(nn.Module):
    """Ids to one vector at once."""

    def __init__(self) -> None:
        super().__init__()
        self.bag, self.head = nn.EmbeddingBag(V, D), nn.Linear(D, 4)

    def forward(self, ids: Tensor) -> Tensor:
        found: Tensor = self.head(self.bag(ids))
        return found


class TimesFirst(nn.Module):
    """Ids turned to (times, pairs) before their vectors are read."""

    def __init__(self) -> None:
        super().__init__()
        self.vectors, self.gru = nn.Embedding(V, D), nn.GRU(D, 5)

    def forward(self, ids: Tensor) -> Tensor:
        found: Tensor = self.gru(self.vectors(ids.T))[1][0]
        return found


class OneByOne(nn.Module):
    """A cell that reads a token after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.vectors, self.cell = nn.Embedding(V, D), nn.GRUCell(D, 5)

    def forward(self, ids: Tensor) -> Tensor:
        state = torch.zeros(len(ids), 5)
        for token in ids.T:
            state = self.cell(self.vectors(token), state)
        return state


class Table(nn.Module):
    """Vectors in a parameter that is of no embedding layer."""

    def __init__(self, *, head: bool) -> None:
        super().__init__()
        self.table, self.head = nn.Parameter(torch.randn(V, D)), nn.Linear(D, 4) if head else None

    def forward(self, ids: Tensor) -> Tensor:
        mean = functional.embedding(ids, self.table).mean(1)
        return mean if self.head is None else self.head(mean)


class OneHot(nn.Module):
    """A linear layer of one-hot ids."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(V, D)

    def forward(self, ids: Tensor) -> Tensor:
        found: Tensor = self.first(functional.one_hot(ids, V).float()).mean(1)
        return found


class Words(nn.Module):
    """The mean of vectors, of which that of id 0 is zero where ``nothing`` is 0; of ids alone or with their mask."""

    def __init__(self, nothing: int | None = 0, bias: bool = False) -> None:
        super().__init__()
        self.vectors = nn.Embedding(V, D, padding_idx=nothing)
        self.head = nn.Linear(D, 4, bias=bias)

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        own = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        found: Tensor = self.head((self.vectors(input_ids) * own[..., None]).sum(1) / own.sum(1, keepdim=True))
        return found


class Positioned(nn.Module):
    """Patches of an image with a table of positions."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.places, self.head = nn.Conv2d(3, D, 4, 4), nn.Embedding(16, D), nn.Linear(D, 4)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.patches(images) + self.places.weight.T.reshape(1, D, 4, 4)
        found: Tensor = self.head(tokens.relu().mean((2, 3)))
        return found


class Turned(nn.Module):
    """Tokens and channels exchanged."""

    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2)


class First(nn.Module):
    """A token before the others."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, 1, D))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.token.expand(len(x), -1, -1), x], 1)


class Last(nn.Module):
    """Channels put last."""

    def forward(self, x: Tensor) -> Tensor:
        return x.movedim(1, -1)


class Pooled(nn.Module):
    """The cosine of the means over what is last."""

    def forward(self, z_a: Tensor, z_b: Tensor) -> Tensor:
        return functional.cosine_similarity(z_a.mean(2), z_b.mean(2))


def ids() -> tuple[Tensor, Tensor]:
    drawn = torch.Generator().manual_seed(4)
    first, second = (torch.randint(1, V, (3, 5), generator=drawn) for _ in "ab")
    return first, second


def removed(model: SiameseModel, inputs: tuple[Tensor, Tensor], nothing: float = 0) -> tuple[Tensor, Tensor]:
    """What the score loses without each number of either side, asked of the model one by one."""
    maps = []
    with torch.no_grad():
        whole = model(*inputs)
        for side in (0, 1):
            lost = torch.zeros(inputs[side].shape)
            for i in range(inputs[side].shape[1]):
                other = [one.clone() for one in inputs]
                other[side][:, i] = nothing
                lost[:, i] = whole - model(*other)
            maps.append(lost)
    return maps[0], maps[1]


@pytest.mark.parametrize("budget", ["fast", "normal", "thorough"])
@pytest.mark.parametrize("make", [Bag, TimesFirst, OneByOne, lambda: Table(head=True), lambda: Table(head=False)])
def test_texts_of_which_no_layer_has_places_are_asked_token_by_token(make: Any, budget: Any) -> None:
    torch.manual_seed(0)
    model, inputs = SiameseModel(make()), ids()
    chosen = auto(model, budget)
    assert chosen.kind == "text"
    assert "no layer of the model gives each token a place" in chosen.reason
    for found, wanted in zip(chosen.explain(inputs).maps, removed(model, inputs), strict=True):
        assert torch.allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("budget", ["fast", "normal", "thorough"])
def test_where_the_embedding_of_nothing_is_zero_a_cosine_is_asked_part_by_part(budget: Any) -> None:
    torch.manual_seed(0)
    words, inputs = SiameseModel(Words()), ids()
    rows, numbers = SiameseModel(nn.Linear(D, 4, bias=False)), (torch.randn(3, D), torch.randn(3, D))
    for model, given, by in ((words, inputs, "token by token"), (rows, numbers, "column by column")):
        chosen = auto(model, budget)
        assert chosen.reason.startswith(by)
        assert "the embedding of nothing is zero" in chosen.reason
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            maps = chosen.explain(given).maps
        for found, wanted in zip(maps, removed(model, given), strict=True):
            assert torch.allclose(found, wanted, atol=1e-5)
    mapped = tuple({"input_ids": one, "attention_mask": torch.ones_like(one)} for one in inputs)
    assert torch.allclose(auto(words, budget).explain(mapped).maps[0], removed(words, inputs)[0], atol=1e-5)


def test_what_the_scoreboard_chose_stays_where_it_says_something() -> None:
    for model in (
        SiameseModel(Words(nothing=None)),
        SiameseModel(Words(bias=True)),
        SiameseModel(Words(), "euclidean"),
    ):
        assert type(auto(model).explainer).__name__ == "PairLayerIntegratedGradients"
    assert type(auto(SiameseModel(OneHot())).explainer).__name__ == "PairLayerIntegratedGradients"  # of its layer
    for encoder, comparison in ((nn.Linear(D, 4), "cosine"), (nn.Linear(D, 4, bias=False), "euclidean")):
        assert type(auto(SiameseModel(encoder, comparison)).explainer).__name__ == "PairIntegratedGradients"
    model = SiameseModel(Words())
    assert type(auto(model, layer="vectors").explainer).__name__ == "PairLayerIntegratedGradients"  # which was named
    assert model.training  # as it was


def test_two_kinds_are_each_explained_as_their_own() -> None:
    torch.manual_seed(0)
    towers = Positioned(), Words(nothing=None, bias=True)
    images, words = torch.rand(3, 3, 16, 16), ids()[0]
    for model, given, kind in (
        (SiameseModel(towers), (images, words), "image and text"),
        (SiameseModel(towers[::-1]), (words, images), "text and image"),
    ):
        for budget in ("fast", "normal", "thorough"):
            chosen = auto(model, budget)
            found = chosen.explain(given)
            assert chosen.kind == kind
            of_image, of_text = found.maps if kind == "image and text" else found.maps[::-1]
            assert of_image.shape[2:] == (16, 16)
            assert of_text.shape == (3, 5)
            assert len(found.plot().axes) > 2
    assert auto(SiameseModel(towers[0])).kind == "image"  # whose table is of positions
    rows = SiameseModel((nn.Linear(D, 4), Positioned()))
    for budget in ("fast", "normal"):
        maps = auto(rows, budget).explain((torch.rand(3, D), images)).maps  # type: ignore[arg-type]
        assert maps[0].shape == (3, D)
        assert maps[1].shape[2:] == (16, 16)
    with pytest.warns(UserWarning, match="PairRISE explains no layer"):
        auto(rows, layer="patches")


def test_refusals_of_layers_and_motion_speak_of_ids() -> None:
    for make in (TimesFirst, lambda: Table(head=False)):
        with pytest.raises(
            ValueError, match=r"no layer gives each token a place.*explain the ids, PairFeatureAblation"
        ):
            PairLayerIntegratedGradients(SiameseModel(make())).explain(ids())
    with pytest.raises(TypeError, match="whole numbers cannot move; use a method that removes") as told:
        PairIntegratedGradients(SiameseModel(OneHot())).explain(ids())
    assert "float" not in str(told.value)


def test_tokens_of_a_layer_are_looked_at_over_their_image() -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(D, 2, 8, batch_first=True)
    encoder = nn.Sequential(nn.Conv2d(3, D, 4, 4), nn.Flatten(2), Turned(), First(), layer, Turned())
    model = SiameseModel(nn.Sequential(*encoder, nn.Flatten(), nn.Linear(17 * D, 5)))
    images = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16)
    for name in (None, "4"):
        found = PairLayerIntegratedGradients(model, name).explain(images)
        assert found.maps[0].shape == (2, 17, D)  # which sum to the change of the score
        for side, seen in enumerate(found.upsample((4, 4)).maps):
            assert torch.allclose(seen, found.maps[side][:, 1:].sum(2).reshape(2, 1, 4, 4))
        cells = found.maps[0][0, 1:].sum(1)
        assert found.top(1)[0][0][0].place == (0, int(cells.abs().argmax()) // 4, int(cells.abs().argmax()) % 4)
        assert found[1].upsample().maps[1].shape == (1, 1, 16, 16)
        assert len(found.plot().axes) > 3
    unknown = replace(found, parameters={})
    for ask in (unknown.upsample, unknown.top, unknown.plot):
        with pytest.raises(
            ValueError, match=r"\(2, 17, 6\) is no grid .* to lay over the image: if its tokens are cells, layout="
        ):
            ask()
    towers = SiameseModel((encoder, nn.Sequential(nn.Embedding(V, D), Turned())), Pooled())
    mixed = PairLayerIntegratedGradients(towers, ("4", "0")).explain((images[0], ids()[0][:2]))
    assert mixed.upsample().maps[0].shape == (2, 1, 16, 16)
    assert mixed.upsample().maps[1].shape == (2, 5, D)
    assert len(mixed.top(1)[0][0][0].place) == 3
    assert len(mixed.plot().axes) > 2


def test_channels_that_are_last_are_looked_at_over_their_image() -> None:
    torch.manual_seed(0)
    encoder = nn.Sequential(
        nn.Conv2d(3, D, 4, 4), Last(), nn.LayerNorm(D), nn.ReLU(), nn.Flatten(), nn.Linear(16 * D, 5)
    )
    model, images = SiameseModel(encoder), (torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16))
    found = PairLayerIntegratedGradients(model, "3").explain(images)
    assert found.maps[0].shape == (2, 4, 4, D)
    assert torch.allclose(found.upsample((4, 4)).maps[0], found.maps[0].sum(3)[:, None])
    first = PairLayerIntegratedGradients(model, "0").explain(images)
    assert torch.equal(first.upsample((4, 4)).maps[0], first.maps[0])
    cam = PairHiResCAM(model, "3").explain(images)
    assert torch.equal(cam.upsample((4, 4)).maps[0], cam.maps[0])


def test_what_an_encoder_takes_is_tried() -> None:
    assert takes_ids(SiameseModel(Words()))
    assert not takes_rows(SiameseModel(Words()))
    assert takes_rows(SiameseModel(nn.Linear(4, 2)))
    assert not takes_ids(SiameseModel(nn.Linear(4, 2)))
    assert not takes_ids(SiameseModel(Positioned()))
    both = SiameseModel((nn.Linear(4, 2), Words()))
    assert (takes_rows(both, 0), takes_rows(both, 1), takes_ids(both, 0), takes_ids(both, 1)) == (1, 0, 0, 1)
