"""The first mistakes of all, each told in one line that names the fix."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from xsiamese import PairFeatureAblation, PairGradCAM, PairMaskRegression, PairSaliency, SiameseModel

ROWS = SiameseModel(nn.Linear(6, 4), "cosine")
A, B = torch.randn(2, 3, 6, generator=torch.Generator().manual_seed(1))
IMAGES = torch.rand(4, 28, 28, generator=torch.Generator().manual_seed(1))


def grey() -> SiameseModel:
    return SiameseModel(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()), "cosine")


def told(ask: Callable[[], Any]) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises((TypeError, ValueError)) as error:
            ask()
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400
    return str(error.value)


@pytest.mark.parametrize("call", ["explain", "attribute", "scores"])
@pytest.mark.parametrize("model", [ROWS, lambda a, b: (a * b).sum(1)])
def test_two_sides_as_two_arguments(model: Any, call: str) -> None:
    said = told(lambda: getattr(PairSaliency(model), call)(A, B))
    assert said == (
        "the two sides are one argument, ((a, b)), and the second one is the target: got Tensor(3, 6) and "
        "target=Tensor(3, 6)"
    )


def test_two_lists_of_texts_as_two_arguments() -> None:
    assert "the two sides are one argument" in told(lambda: PairSaliency(ROWS).explain(["a cat"], ["a dog"]))  # type: ignore[arg-type]


def test_no_tensor_is_printed_as_a_target() -> None:
    assert "target=Tensor(3,) picks one" in told(lambda: PairSaliency(ROWS).explain((A, B), torch.tensor([0, 1, 0])))


@pytest.mark.parametrize("many", [3, 4])
def test_a_list_of_pairs(many: int) -> None:
    pairs = [(A[i % 3], B[i % 3]) for i in range(many)]
    if many == 3:
        pairs = [*pairs, *pairs]
    said = told(lambda: PairSaliency(ROWS).explain(pairs))
    assert "a list of pairs becomes two sides by tuple(map(torch.stack, zip(*pairs)))" in said
    sides = tuple(map(torch.stack, zip(*pairs, strict=True)))
    assert torch.equal(sides[0][:3], A)
    PairSaliency(ROWS).explain(sides)


def test_images_without_their_one_channel_are_told_what_works() -> None:
    said = told(lambda: PairGradCAM(grey()).explain((IMAGES, IMAGES.flip(0))))
    fix = re.search(r"(x\[.*\]) makes it (\(.*?\))", said)
    assert fix is not None
    made = eval(fix[1], {"x": IMAGES})
    assert str(tuple(made.shape)) == fix[2]
    PairGradCAM(grey()).explain((made, made.flip(0)))


class Encoder(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


@pytest.mark.parametrize("asked", [
    lambda: SiameseModel(Encoder), lambda: SiameseModel((Encoder(), Encoder)), lambda: SiameseModel(Encoder(), Encoder),
    lambda: PairSaliency(Encoder),
])  # fmt: skip
def test_a_class_is_no_module(asked: Callable[[], Any]) -> None:
    assert re.match(r"Encoder is a class: make the \w+ of it first, Encoder\(\.\.\.\)$", told(asked))


@pytest.mark.parametrize("cls", [PairSaliency, PairFeatureAblation, PairMaskRegression])
@pytest.mark.parametrize(("compared", "said"), [
    (nn.MSELoss(), "score"), (lambda x, y: (x * y).sum(), "score"), (lambda x, y: None, "returned"),
    (lambda x, y: (x, y), "returned"), (lambda x, y: [1.0], "returned"), (lambda x, y: {"s": 1.0}, "returned"),
])  # fmt: skip
def test_a_comparison_that_gives_no_score_a_pair(cls: Any, compared: Any, said: str) -> None:
    assert said in told(lambda: cls(SiameseModel(nn.Identity(), compared)).explain((A, B)))


@pytest.mark.parametrize("decides", [lambda x, y: (x * y).sum(1) > 0, lambda x, y: (x * y).sum(1).round().long()])
def test_decisions_are_explained_by_removal(decides: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        by_hand = SiameseModel(nn.Identity(), lambda x, y: decides(x, y).float())
        for cls in (PairFeatureAblation, PairMaskRegression):
            found = [cls(one).attribute((A, B)) for one in (SiameseModel(nn.Identity(), decides), by_hand)]
            assert all(map(torch.equal, *found))
    assert "gradient" in told(lambda: PairSaliency(SiameseModel(nn.Identity(), decides)).explain((A, B)))
