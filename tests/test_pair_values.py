"""The two halves of a factored model on a batch, and what a method's own passes tell of the score, by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from xsiamese import PairSaliency, SiameseModel
from xsiamese.pairs import embedding
from xsiamese.pairs.split import WHOLE, Split
from xsiamese.pairs.witness import Witness

A = torch.arange(6.0).reshape(3, 2).double()
B = 10 + torch.arange(6.0).reshape(3, 2).double()


def seen(*moved: Tensor, value: Tensor, places: Any = (0, 1), starts: Any = None) -> tuple[Any, Any]:
    witness = Witness((A, B), starts)
    witness.see(places, moved, value)
    return tuple(None if one is None else one.tolist() for one in (witness.value, witness.start))  # type: ignore[return-value]


def test_the_score_is_seen_where_the_pairs_themselves_pass_by() -> None:
    three, six = torch.arange(3.0), torch.arange(6.0)
    assert seen(A, B, value=three) == ([0.0, 1.0, 2.0], None)
    assert seen(A.clone(), B.clone(), value=three)[0] == [0.0, 1.0, 2.0]  # told by their numbers
    assert seen(B, value=three, places=(1,))[0] == [0.0, 1.0, 2.0]  # one side alone
    assert seen(A, B + 1, value=three) == (None, None)
    assert seen(B, A, value=three) == (None, None)
    assert seen(A[:2], B[:2], value=three) == (None, None)
    assert seen(A.float(), B.float(), value=three) == (None, None)
    assert seen(value=three, places=()) == (None, None)
    # copies of all pairs behind each other: the first are the pairs, and the second perhaps their start
    two = torch.cat([A, 0 * A]), torch.cat([B, 0 * B])
    assert seen(*two, value=six) == ([0.0, 1.0, 2.0], None)
    assert seen(*two, value=six, starts=(0 * A, 0 * B)) == ([0.0, 1.0, 2.0], [3.0, 4.0, 5.0])
    assert seen(*two, value=six, starts=(0 * A, 0 * B + 1)) == ([0.0, 1.0, 2.0], None)
    assert seen(torch.cat([0 * A, A]), torch.cat([0 * B, B]), value=six) == (None, None)
    again = Witness((A, B))
    again.see((0, 1), (A, B), three)
    again.see((0, 1), (A, B), 7 + three)
    assert again.value is not None
    assert again.value.tolist() == [0.0, 1.0, 2.0]  # what was seen first is kept


class Squares(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x.square(), x.sum(1, keepdim=True)], 1)


@pytest.mark.parametrize("rows", [None, 1, 2, 3, 4, 6, 7, 100])
@pytest.mark.parametrize("copies", [1, 2, 3])
def test_embeddings_of_any_number_of_copies_in_any_chunks(rows: int | None, copies: int) -> None:
    calls: list[int] = []
    encoder = Squares()
    encoder.register_forward_hook(lambda module, args, output: calls.append(len(output)))
    explainer = PairSaliency(SiameseModel(encoder, "dot"))
    many = torch.cat([A + k for k in range(copies)])
    with explainer.prepared((A, B), internal_batch_size=rows) as batch:
        calls.clear()
        found = embedding.embed(batch, 0, [many])
    assert torch.equal(found, Squares()(many))
    assert sum(calls) == 3 * copies  # each row once
    assert max(calls) <= (rows or 3 * copies) or rows is None


@pytest.mark.parametrize(("comparison", "expected"), [
    ("dot", torch.eye(2)), ("squared_euclidean", 2 * torch.eye(2)), ("additive", torch.zeros(2, 2)),
    ("product", torch.tensor([[3.0 * 5.0, 2.0 * 5.0], [3.0 * 7.0, 2.0 * 7.0]])),
])  # fmt: skip
def test_how_two_embeddings_act_together(comparison: str, expected: Tensor) -> None:
    r"""Second derivatives of u v, of -(u - v)^2, of sum u + sum v, and of u1 u2 v1 v2 at u = (7, 5), v = (2, 3)."""
    known: dict[str, Any] = {
        "additive": lambda u, v: u.sum(1) + v.sum(1),
        "product": lambda u, v: u.prod(1) * v.prod(1),
    }
    model = SiameseModel(nn.Identity(), known.get(comparison, comparison), higher_is_closer=None)
    u, v = torch.tensor([[7.0, 5.0]]).double(), torch.tensor([[2.0, 3.0]]).double()
    with PairSaliency(model).prepared((u, v)) as batch:
        assert embedding.mixed(batch, u, v)[0].tolist() == expected.tolist()
        assert torch.equal(embedding.closeness(batch, u, v), model.closeness(model(u, v)))


def test_models_that_cannot_be_taken_apart_are_named() -> None:
    with (
        PairSaliency(lambda a, b: (a * b).sum(1)).prepared((A, B)) as batch,
        pytest.raises(ValueError, match="is not factored"),
    ):
        embedding.embed(batch, 0)


def test_how_a_split_lies_in_memory() -> None:
    assert Split(None, False, False) == WHOLE
    assert WHOLE.layout is None
    assert Split(channels_last=True).layout is torch.channels_last
