"""What a method of one's own returns: two maps of tensors, a row a pair, or one line that says so."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from xsiamese import PairAttribution, SiameseModel
from xsiamese.author import Found

A, B = torch.randn(2, 8, 6, generator=torch.Generator().manual_seed(1))


def returning(made: Callable[[Any], Any], **traits: Any) -> PairAttribution:
    def compute(self: Any, batch: Any) -> Any:
        return made(batch)

    own = {"name": "own", "compute": compute, "uses_gradients": False, **traits}
    explainer: PairAttribution = type("Own", (PairAttribution,), own)(SiameseModel(nn.Identity(), "dot"))
    return explainer


TWO = "two maps are needed, (of a, of b)"
BAD: dict[str, tuple[Callable[[Any], Any], str]] = {
    "one tensor": (lambda batch: batch.moved[0] * 1, f"returned Tensor(8, 6): {TWO}"),
    "a tuple of one": (lambda batch: (batch.moved[0],), f"returned a tuple of 1: {TWO}"),
    "a tuple of three": (lambda batch: (*batch.moved, batch.moved[0]), f"returned a tuple of 3: {TWO}"),
    "nothing": (lambda batch: None, f"returned None: {TWO}"),
    "maps by name": (lambda batch: dict(zip("ab", batch.moved, strict=True)), TWO),
    "a generator": (lambda batch: (one for one in batch.moved), TWO),
    "arrays": (lambda batch: tuple(one.numpy() for one in batch.moved), "a tensor is needed, torch.from_numpy"),
    "lists": (lambda batch: tuple(one.tolist() for one in batch.moved), "a float for the map of a: a tensor is needed"),
    "one map": (lambda batch: (batch.moved[0], None), "a NoneType for the map of b: a tensor is needed"),
    "numbers": (lambda batch: tuple(one.sum() for one in batch.moved), "of shape () for 8 pairs"),
    "means": (lambda batch: tuple(one.mean(0) for one in batch.moved), "a map of a of shape (6,) for 8 pairs"),
    "one for all": (lambda batch: (batch.moved[0], batch.moved[1][:1]), "a map of b of shape (1, 6) for 8 pairs"),
    "found arrays": (
        lambda batch: Found((batch.moved[0].numpy(), batch.moved[1])),
        "Own.compute returned ndarray(8, 6)",
    ),
    "one value": (
        lambda batch: Found(batch.maps(batch.moved), batch.value().sum()),
        "a tensor of shape (8,) is needed",
    ),
    "a list of values": (
        lambda batch: Found(value=batch.value().tolist()),
        "found a list as the value: a tensor of shape (8,) is needed",
    ),
}


@pytest.mark.parametrize("what", BAD)
@pytest.mark.parametrize("call", ["attribute", "explain"])
def test_what_is_no_two_maps_is_told_in_one_line(call: str, what: str) -> None:
    made, said = BAD[what]
    with pytest.raises((TypeError, ValueError), match=re.escape(said)) as told:
        getattr(returning(made), call)((A, B))
    assert str(told.value).startswith("Own.compute ")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("made", [
    lambda batch: batch.maps([2 * one for one in batch.moved]), lambda batch: [2 * one for one in batch.moved],
    lambda batch: Found(tuple(2 * one for one in batch.moved), batch.value()),
])  # fmt: skip
def test_two_maps_are_what_was_returned(made: Callable[[Any], Any]) -> None:
    for size in (None, 3):
        found = returning(made).attribute((A, B), internal_batch_size=size)
        assert all(map(torch.equal, found, (2 * A, 2 * B)))


def test_maps_of_parts_have_other_sizes_than_the_inputs() -> None:
    map_a, map_b = returning(lambda batch: tuple(one.sum(1, keepdim=True) for one in batch.moved)).attribute((A, B))
    assert torch.equal(torch.cat([map_a, map_b]), torch.cat([A, B]).sum(1, keepdim=True))


def test_several_tensors_a_side() -> None:
    def score(a: Any, b: Any) -> Tensor:
        product: Tensor = a[0] * b[0] * a[1] * b[1]
        return product.sum(1)

    explainer = returning(lambda batch: batch.maps(batch.moved)).copy_for(score)
    (first, second), _ = explainer.attribute(((A, B), (B, A)))
    assert torch.equal(first, A)
    assert torch.equal(second, B)
