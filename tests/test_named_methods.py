"""What an error names as the way out works on the model that got the error."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests import problems
from tests.strangers.test_wrapped import encoder, images
from tests.test_probe import Latents, Rows
from xsiamese import SiameseModel, TwoInputModel
from xsiamese.door.registry import explainers

SAMPLES = {"PairShapleyValueSampling": {"n_samples": 1}, "PairMaskRegression": {"masks": 64, "max_passes": 4096}}
ASKED = (
    "PairIntegratedGradients", "PairSaliency", "PairLRP", "PairDeconvolution", "PairGuidedGradCam", "PairGradCAM",
    "PairAblationCAM", "PairLayerConductance", "PairLayerDeepLift", "PairLayerInteraction",
    "PairActivationDecomposition", "PairShapleyValues", "PairGNNExplainer",
)  # fmt: skip
Subject = tuple[Any, tuple[Any, Any]]


class Words(nn.Module):
    """An encoder of ids, with more positions than words."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        super().__init__()
        self.positions, self.words = nn.Embedding(40, 6), nn.Embedding(20, 6)
        self.block = nn.TransformerEncoderLayer(6, 2, 8, batch_first=True)
        self.double().eval()

    def forward(self, ids: Tensor) -> Tensor:
        found: Tensor = self.block(self.words(ids) + self.positions(torch.arange(ids.shape[1]))).mean(1)
        return found


class CrossWords(Words):
    """The same, which reads both texts at once."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(torch.cat([a, b], 1)).sum(1)


class Together(nn.Module):
    """A network that looks at both images at once from its first layer on."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        super().__init__()
        self.inner = problems.conv_encoder(channels=2)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        found: Tensor = self.inner(torch.cat([a, b], 1))
        return found[:, 0]


class Cut(nn.Module):
    """An encoder whose graph is cut."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = problems.conv_encoder()

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.inner(x)
        return found


def ids() -> tuple[Tensor, Tensor]:
    a, b = torch.randint(1, 20, (2, 2, 5), generator=torch.Generator().manual_seed(0))
    return a, b


def towers() -> Subject:
    image = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).double()
    return SiameseModel((image, Words()), "dot"), (problems.images(2)[0], ids()[1])


def traced() -> Subject:
    inputs = problems.images(2)
    return SiameseModel(torch.jit.trace(problems.conv_encoder(), inputs[0]), "dot"), inputs


SUBJECTS: dict[str, Callable[[], Subject]] = {
    "ids": lambda: (SiameseModel(Words(), "dot"), ids()),
    "ids, both at once": lambda: (TwoInputModel(CrossWords()), ids()),
    "image and ids": towers,
    "images, both at once": lambda: (TwoInputModel(Together()), problems.images(2)),
    "a graph that is cut": lambda: (SiameseModel(Cut(), "dot"), problems.images(2)),
    "a function": lambda: (TwoInputModel(lambda a, b: (a * b).flatten(1).sum(1)), problems.images(2)),
    "latents": lambda: (SiameseModel(Latents(16, "none"), "dot"), problems.images(2, size=32)),
    "rows of an image": lambda: (SiameseModel(Rows(), "dot"), problems.images(2, size=16)),
    "traced": traced,
    "rows, both at once": lambda: (
        TwoInputModel(nn.Bilinear(3, 3, 1).double()),
        torch.randn(2, 2, 3).double().unbind(),
    ),
}


@cache
def refused(subject: str, name: str, layer: str | None = None) -> str | None:
    """What a method says of a model that it does not explain, or None."""
    model, inputs = SUBJECTS[subject]()
    made = explainers()[name]
    try:
        made(model, *(() if layer is None else (eval(layer),))).explain(inputs, **SAMPLES.get(name, {}))
    except (ValueError, TypeError) as error:
        return str(error)
    return None


@pytest.mark.parametrize("subject", SUBJECTS)
def test_methods_that_an_error_names_explain_the_same_model(subject: str) -> None:
    known, told = explainers(), 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for asked in ASKED:
            said = refused(subject, asked)
            if said is None:
                continue
            told += 1
            assert len(said) < 700
            assert "\n" not in said
            layer = re.search(r"layer=('[^']+'|\('[^)]+\))", said)
            for name in dict.fromkeys(re.findall(r"\bPair[A-Z]\w+", said)):
                if name in known and name != asked:
                    given = layer[1] if layer and name.startswith("PairLayer") else None
                    assert refused(subject, name, given) is None, (asked, said, name, refused(subject, name, given))
    assert told > 1


def test_a_model_that_reads_both_texts_at_once_has_no_layer_of_one() -> None:
    said = refused("ids, both at once", "PairIntegratedGradients")
    assert said is not None
    assert said.endswith(
        "whole numbers cannot move; use a method that removes and asks again, such as PairFeatureAblation"
    )
    for name in ("PairLayerGradientXActivation", "PairGradCAM", "PairAblationCAM"):
        assert str(refused("ids, both at once", name)).startswith("every layer of this model sees both inputs together")
    assert "layer='words'" in str(refused("ids", "PairIntegratedGradients"))
    assert "layer=('1', 'words'))" in str(refused("image and ids", "PairIntegratedGradients"))


class Views(nn.Module):
    """Both sides and their mirror images in one call."""

    def __init__(self) -> None:
        super().__init__()
        self.enc = encoder()

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        u, flipped_u, v, flipped_v = self.enc(torch.cat([a, a.flip(-1), b, b.flip(-1)])).chunk(4)
        return (u * v + flipped_u * flipped_v).sum(1)  # type: ignore[no-any-return]


class Once(nn.Module):
    """Both sides in one call."""

    def __init__(self) -> None:
        super().__init__()
        self.enc = encoder()

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        u, v = self.enc(torch.cat([a, b])).chunk(2)
        return (u * v).sum(1)  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", ["PairLayerConductance", "PairLayerDeepLift", "PairInternalInfluence"])
def test_a_layer_that_gets_both_sides_in_one_call_is_explained_and_several_views_are_told(name: str) -> None:
    made = explainers()[name]
    for rows in (1, 2):
        inputs = tuple(x[:rows] for x in images())
        expected = made(SiameseModel(encoder(), "dot"), "3").attribute(inputs)
        for x, y in zip(made(Once(), "enc.3").attribute(inputs), expected, strict=True):
            torch.testing.assert_close(x, y, rtol=1e-9, atol=1e-12)
            assert y.any()
        with pytest.raises(
            ValueError, match=r"layer 'enc.3' gets several views of a side in one call, 4 rows for one p"
        ):
            made(Views(), "enc.3").attribute(inputs)
