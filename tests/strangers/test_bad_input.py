"""What bad input gets: one line that names the thing, the value and what to do, before any work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import xsiamese
from tests import problems
from xsiamese import (
    PairGradCAM,
    PairGuidedGradCam,
    PairInputXGradient,
    PairIntegratedGradients,
    PairLayerGradCam,
    PairSaliency,
    SiameseModel,
)


def images() -> tuple[Tensor, Tensor]:
    a, b = torch.randn(2, 2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    return a, b


def encoder(channels: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return make()


def refused(run: Callable[[], Any], said: str, kind: type[Exception] = ValueError) -> None:
    with pytest.raises(kind) as caught:
        run()
    line = str(caught.value)
    assert said in line, line
    assert "\n" not in line


A, B = images()
PICTURE = np.zeros((8, 8, 3), dtype=np.uint8)


@pytest.mark.parametrize("cls", [PairGradCAM, PairIntegratedGradients, PairSaliency])
def test_an_image_without_its_batch_is_shown_with_the_users_shape(cls: Any) -> None:
    said = "an input has the shape (3, 8, 8), without the batch dimension: x[None] makes it (1, 3, 8, 8)"
    refused(lambda: cls(SiameseModel(encoder())).attribute((A[0], B[0])), said)
    said = "an input has the shape (8, 8), without the batch dimension: x[None, None] makes it (1, 1, 8, 8)"
    refused(lambda: cls(SiameseModel(encoder(1))).attribute((A[0, 0], B[0, 0])), said)
    one, all_of_them = (cls(SiameseModel(seeded(encoder))).explain(pair) for pair in ((A[0][None], B[0][None]), (A, B)))
    torch.testing.assert_close(one.scores, all_of_them.scores[:1])  # what is told to do is right
    assert cls(SiameseModel(encoder(1))).explain((A[0, 0][None, None], B[0, 0][None, None])).scores.shape == (1,)


def test_a_list_of_images_is_told_to_be_stacked() -> None:
    said = "a[0] (3, 8, 8) float32, a[1] (3, 8, 8) float32"
    refused(lambda: PairGradCAM(SiameseModel(encoder())).attribute((list(A), list(B))), said)
    refused(lambda: PairGradCAM(SiameseModel(encoder())).attribute((list(A), list(B))), "one argument, torch.stack(a)")
    model = SiameseModel(encoder())
    stacked = PairGradCAM(model).explain((torch.stack(list(A)), torch.stack(list(B))))
    assert torch.equal(stacked.scores, model(A, B).detach())


def test_pictures_arrays_texts_and_numbers_name_the_conversion() -> None:
    image = pytest.importorskip("PIL.Image").fromarray(PICTURE)
    explainer = PairGradCAM(SiameseModel(encoder()))
    for given, what, how in (
        (image, "a Image", "to_tensor(image)[None] makes one of shape (1, channels, height, width)"),
        ([image], "a list of Image", "to_tensor(image)[None] makes one"),
        (PICTURE, "a ndarray", "torch.from_numpy(array) makes one, with pairs first"),
        ([PICTURE], "a list of ndarray", "torch.from_numpy(array) makes one"),
        (["a cat"], "a list of str", "strings are for models of texts: from_transformers"),
        ([[1.0, 2.0]], "a list of list", "torch.tensor(numbers) makes one"),
    ):
        for said in (f"input a is {what}", how):
            refused(lambda given=given: explainer.attribute((given, given)), said, TypeError)  # type: ignore[misc]
            refused(
                lambda given=given: explainer.attribute((A[:1], given)),
                said.replace("input a", "input b"),
                TypeError,
            )  # type: ignore[misc]
    from torchvision.transforms.functional import to_tensor

    for made in (to_tensor(image)[None], torch.from_numpy(PICTURE)[None].movedim(-1, 1).float()):
        assert explainer.explain((made, A[:1])).scores.shape == (1,)


class Unsaid(nn.Module):
    """An encoder whose only argument may be an item or a pair."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = encoder()

    def forward(self, x):  # type: ignore[no-untyped-def]
        return self.inner(x)


@pytest.mark.parametrize("cls", [PairGradCAM, PairIntegratedGradients])
@pytest.mark.parametrize("settings", [{"comparison": "cosine"}, {}])
def test_an_encoder_of_one_item_is_told_to_become_a_model(cls: Any, settings: dict[str, Any]) -> None:
    said = "Unsaid takes one input and was given the pair; if it encodes one item, make a model of it: SiameseModel("
    unsaid = Unsaid()
    refused(lambda: cls(unsaid, **settings).attribute((A, B)), said)
    found, expected = (cls(SiameseModel(one)).explain((A, B)) for one in (unsaid, unsaid.inner))
    assert torch.equal(found.scores, expected.scores)
    assert torch.equal(found.maps[0], expected.maps[0])


@pytest.mark.parametrize("cls", [PairGradCAM, PairIntegratedGradients])
def test_an_encoder_of_one_tensor_beside_a_comparison_is_a_model(cls: Any) -> None:
    for inside in (encoder().train(), nn.Sequential(encoder())):
        found = cls(inside, comparison="euclidean").explain((A, B))
        expected = cls(SiameseModel(inside, "euclidean")).explain((A, B))
        assert not found.higher_is_closer
        assert inside.training
        for x, y in zip((*found.maps, found.scores), (*expected.maps, expected.scores), strict=True):
            assert torch.equal(x, y)
            assert y.any()
    said = (
        "Sequential takes one input and was given the pair; if it encodes one item, make a model of it: SiameseModel("
    )
    refused(lambda: cls(encoder()).attribute((A, B)), said)


@pytest.mark.parametrize("cls", [PairGradCAM, PairLayerGradCam])
def test_settings_and_names_of_other_libraries_get_a_suggestion(cls: Any) -> None:
    for name in ("target_layers", "layers", "layer_", "target_layer"):
        said = f"{cls.__name__} has no setting {name!r}; did you mean layer=?"
        refused(lambda name=name: cls(SiameseModel(encoder()), **{name: "1"}), said, TypeError)  # type: ignore[misc]
    refused(
        lambda: cls(SiameseModel(encoder()), use_cuda=True), "has no setting 'use_cuda'; there are model", TypeError
    )
    model = SiameseModel(seeded(encoder))
    first, second = (cls(model, layer=layer).attribute((A, B))[0] for layer in ("0", "1"))
    assert not torch.equal(first, second)  # the name that is suggested is the one that counts


def test_a_near_name_is_suggested_where_it_is_imported_and_where_it_is_asked_for() -> None:
    for wrong, right in (("PairGradCam", "PairGradCAM"), ("GradCAM", "PairGradCAM"), ("SiamesModel", "SiameseModel")):
        said = f"cannot import name {wrong!r} from 'xsiamese'; did you mean {right!r}?"
        refused(lambda wrong=wrong: exec(f"from xsiamese import {wrong}"), said, ImportError)  # type: ignore[misc]
        refused(lambda wrong=wrong: getattr(xsiamese, wrong), f"did you mean {right!r}?", AttributeError)  # type: ignore[misc]
        assert not hasattr(xsiamese, wrong)
    refused(lambda: exec("from xsiamese import nothing_like_it"), "cannot import name 'nothing_like_it'", ImportError)
    with pytest.raises(ModuleNotFoundError):
        exec("import xsiamese.nothing_like_it")


def test_an_encoder_that_returns_no_known_embedding_is_described() -> None:
    class Parts(nn.Module):
        def forward(self, x: Tensor) -> Any:
            return {"one": x, "two": x.mean(1)}

    said = "the encoder returned 'one' (2, 3, 8, 8), 'two' (2, 8, 8), none of which is known as the embedding"
    refused(lambda: PairSaliency(SiameseModel(Parts())).attribute((A, B)), said)
    refused(
        lambda: PairSaliency(SiameseModel(Parts(), embedding="three")).attribute((A, B)),
        "embedding='three': the encoder",
    )
    found, _ = PairInputXGradient(SiameseModel(Parts(), "dot", embedding="two")).attribute((A, B))
    # of the dot product of the means over channels, x times its gradient is x times b's mean over their number
    torch.testing.assert_close(found, A * B.mean(1, keepdim=True) / A.shape[1])


def test_an_error_of_the_models_own_keeps_its_type_and_text() -> None:
    class Own(nn.Module):
        def __init__(self, error: Exception) -> None:
            super().__init__()
            self.error = error

        def forward(self, x: Tensor) -> Tensor:
            raise self.error

    for error in (AssertionError("I want more"), KeyError("missing"), RuntimeError("no idea"), ZeroDivisionError("oh")):
        with pytest.raises(type(error)) as caught:
            PairSaliency(SiameseModel(Own(error))).attribute(problems.images(2))
        assert caught.value is error


@pytest.mark.parametrize("cls", [PairLayerGradCam, PairGuidedGradCam])
@pytest.mark.parametrize("last", [nn.Flatten(2), nn.Identity()], ids=["tokens", "channels last"])
def test_captums_gradcam_of_channels_that_are_not_the_first_is_refused(cls: Any, last: nn.Module) -> None:
    """It would average each token over all tokens and give a map over the channels, and nothing would say so."""

    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.last, self.norm, self.relu = nn.Conv2d(1, 5, 3), last, nn.LayerNorm(5), nn.ReLU()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            cells = self.norm(self.last(self.conv(x)).movedim(1, -1))
            return self.relu(cells).flatten(1, -2).mean(1)

    a, b = torch.randn(2, 1, 1, 8, 8)
    for layer in ("norm", None):
        with pytest.raises(ValueError, match=r"reads dimension 1 .* dimension (2|3) holds them: PairGradCAM"):
            cls(SiameseModel(Last()), layer).attribute((a, b))
    assert PairGradCAM(SiameseModel(Last()), "norm").attribute((a, b))[0].shape == (1, 1, 6, 6)


FOUND = [cls for cls in xsiamese.explainers().values() if "image" in cls.traits.modalities]


@pytest.mark.parametrize("cls", FOUND, ids=lambda cls: cls.name)
def test_a_model_that_has_come_to_nan_is_named_by_its_weights_and_is_no_match(cls: Any) -> None:
    """A distance of NaN was 0, which is the least there is: two things were called the same."""
    for comparison in ("euclidean", "cosine"):
        model = SiameseModel(seeded(lambda: nn.Sequential(encoder(), nn.Linear(4, 3))), comparison)
        nn.init.constant_(model.encoder[1].bias, torch.nan)
        assert bool(model(A, B).isnan().all())
        made = cls(model, threshold=0.5) if "threshold" in cls.settings() else cls(model)
        options: dict[str, Any] = {"sliding_window_shapes": (3, 4, 4)} if "Occlusion" in cls.__name__ else {}
        options |= {"feature_mask": (torch.zeros(3, 8, 8, dtype=torch.long),) * 2} if "Shapley" in cls.__name__ else {}
        refused(lambda: made.explain((A, B), **options), "is NaN or infinite in ")  # noqa: B023
        with pytest.raises(ValueError, match=r"so is the model's own encoder\.1\.bias"):
            made.explain((A, B), **options)


def test_a_search_names_the_item_whose_score_is_none() -> None:
    class Growing(nn.Module):
        def forward(self, rows: Tensor) -> Tensor:
            return rows.exp()

    items = torch.tensor([[0.0, 1.0], [1.0, 1.0], [1000.0, 0.0]])
    asked = torch.tensor([[1.0, 0.5]])
    for comparison, value in (("cosine", "nan"), ("dot", "inf")):
        model = SiameseModel(Growing(), comparison)
        found = xsiamese.Gallery(PairSaliency(model), items)
        said = f"the score of query 0 with item 2 is {value}: look at what"
        refused(lambda: found.search(asked, k=1), said)  # noqa: B023
        found = xsiamese.Gallery(PairSaliency(model), items[:2])
        assert found.search(asked, k=1).numbers == ((1,),)  # .97 of a cosine against .78, 11.9 of a product against 7.2
