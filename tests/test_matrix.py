"""A pair matrix says from its factors what the whole matrix says."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from xsiamese import MatrixExplanation
from xsiamese.result.matches import assigned
from xsiamese.result.matrix import PairMatrix


def random(n: int = 12, m: int = 20, rank: int = 5, seed: int = 0, **known: object) -> PairMatrix:
    generator = torch.Generator().manual_seed(seed)
    left, right, middle = (
        torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((n, rank), (m, 3), (rank, 3))
    )
    return PairMatrix(left, right, middle, **known)  # type: ignore[arg-type]


def whole(matrix: PairMatrix) -> Tensor:
    """The matrix element by element."""
    middle = torch.eye(matrix.left.shape[1]).double() if matrix.middle is None else matrix.middle
    return torch.einsum("ik,kl,jl->ij", matrix.left, middle, matrix.right)


def test_everything_agrees_with_the_dense_matrix() -> None:
    matrix = random(places=((3, 4), (20,)))
    dense = whole(matrix)
    torch.testing.assert_close(matrix.dense(), dense)
    torch.testing.assert_close(matrix.total, dense.sum())
    torch.testing.assert_close(matrix.marginals[0], dense.sum(1).reshape(3, 4))
    torch.testing.assert_close(matrix.marginals[1], dense.sum(0))
    torch.testing.assert_close(matrix.row((1, 2)), dense[6])
    torch.testing.assert_close(matrix.row(6), dense[6])
    torch.testing.assert_close(matrix.column(4), dense[:, 4].reshape(3, 4))
    torch.testing.assert_close(matrix.block(slice(2, 5), torch.tensor([0, 7])), dense[2:5][:, [0, 7]])
    torch.testing.assert_close(matrix.T.dense(), dense.T)
    torch.testing.assert_close((2 * matrix - matrix * 0.5).dense(), 1.5 * dense)


@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 30), m=st.integers(1, 30), k=st.integers(1, 12), seed=st.integers(0, 999))
def test_the_strongest_are_those_of_the_sorted_matrix(n: int, m: int, k: int, seed: int) -> None:
    matrix = random(n, m, seed=seed)
    dense = whole(matrix)
    for largest, sign in (("closer", 1), ("apart", -1)):
        expected = [v for v in (sign * dense).flatten().sort(descending=True).values.tolist()[:k] if v > 0]
        found = matrix.top(k, largest=largest)  # type: ignore[arg-type]
        assert [sign * match.value for match in found] == pytest.approx(expected)
        assert all(float(dense[match.of_a[0], match.of_b[0]]) == pytest.approx(match.value) for match in found)
    both = [abs(match.value) for match in matrix.top(k)]
    assert both == pytest.approx(dense.abs().flatten().sort(descending=True).values[:k].tolist())


def test_blocks_that_cannot_hold_more_are_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    import xsiamese.result.matches as module

    monkeypatch.setattr(module, "BLOCK", 4)
    matrix = random(40, 40, seed=3)
    scale = torch.linspace(3, 0, 40, dtype=torch.float64).exp()[:, None]
    steep = PairMatrix(matrix.left * scale, matrix._folded * scale)
    made: list[int] = []
    signed = module._signed
    monkeypatch.setattr(module, "_signed", lambda values, sign: made.append(1) or signed(values, sign))
    found = steep.top(5)
    assert len(made) < 30  # of a hundred blocks
    assert [abs(m.value) for m in found] == pytest.approx(steep.dense().abs().flatten().topk(5).values.tolist())


def test_matches_are_each_others_best() -> None:
    dense = torch.tensor([[5.0, 1.0, 0.0], [4.0, 2.0, -9.0], [0.0, -9.0, -3.0]])
    matrix = PairMatrix.of(dense)
    assert [(m.of_a, m.of_b, m.value) for m in matrix.matches()] == [((0,), (0,), 5.0)]
    assert [(m.of_a, m.of_b) for m in matrix.matches(assign=True)] == [((0,), (0,)), ((1,), (1,))]
    assert [(m.of_a, m.of_b) for m in matrix.matches(largest="apart")] == [((1,), (2,)), ((2,), (1,))]
    assert [(m.of_a, m.of_b) for m in matrix.matches(largest="either")] == [((1,), (2,)), ((2,), (1,)), ((0,), (0,))]


def test_mutual_matches_are_the_same_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = random(17, 23, seed=5)
    expected = matrix.matches(None)
    monkeypatch.setattr("xsiamese.result.matches.BLOCK", 5)
    assert matrix.matches(None) == expected


def test_the_assignment_is_the_best_of_all() -> None:
    matrix = random(4, 6, seed=2)
    dense = whole(matrix)
    best = max(sum(float(dense[i, j]) for i, j in enumerate(p)) for p in permutations(range(6), 4))
    found = matrix.matches(None, assign=True, largest="either")
    positive = PairMatrix.of(dense - dense.min() + 1).matches(None, assign=True)
    assert sum(float(dense[m.of_a[0], m.of_b[0]]) for m in positive) == pytest.approx(best)
    assert len({m.of_b for m in found}) == len(found) == 4


def test_pooling_adds_up_and_keeps_the_total() -> None:
    matrix = random(12, 20, places=((3, 4), (20,)), alone=(torch.ones(12).double(), torch.ones(20).double()))
    dense = whole(matrix)
    pooled = matrix.pool((3, 2), [j // 7 for j in range(20)])
    expected = dense.reshape(3, 2, 2, 20).sum(2).reshape(6, 20)
    expected = torch.stack([expected[:, :7].sum(1), expected[:, 7:14].sum(1), expected[:, 14:].sum(1)], 1)
    torch.testing.assert_close(pooled.dense(), expected)
    assert pooled.grids == ((3, 2), (3,))
    torch.testing.assert_close(pooled.total, matrix.total)
    torch.testing.assert_close(pooled.value, matrix.value)
    assert pooled.alone is not None
    assert pooled.alone[1].tolist() == [7, 7, 6]


def test_compressing_is_the_best_of_its_rank() -> None:
    matrix = random(30, 20, rank=12)
    matrix = PairMatrix(torch.randn(30, 12).double(), torch.randn(20, 12).double())
    u, size, vh = torch.linalg.svd(whole(matrix), full_matrices=False)
    best = u[:, :3] * size[:3] @ vh[:3]
    torch.testing.assert_close(matrix.compress(3).dense(), best)
    assert matrix.compress(3).left.shape == (30, 3)
    twice = PairMatrix(torch.cat([matrix.left] * 2, 1), torch.cat([matrix.right] * 2, 1))
    assert twice.compress().left.shape[1] == 12
    torch.testing.assert_close(twice.compress().dense(), 2 * whole(matrix))


def test_the_value_is_the_matrix_with_what_stands_alone() -> None:
    alone = torch.arange(3.0), torch.arange(2.0)
    matrix = PairMatrix(torch.ones(3, 1), torch.ones(2, 1), constant=0.5, alone=alone)
    assert float(matrix.value) == 6 + 3 + 1 + 0.5 == float(matrix.dense(alone=True).sum())
    assert matrix.dense(alone=True).shape == (4, 3)
    assert float((-matrix).value) == -float(matrix.value)
    assert float((matrix + matrix).value) == 2 * float(matrix.value)


def test_packed_and_unpacked() -> None:
    matrix = random(6, 4, places=((2, 3), (4,)), constant=0.25, alone=(torch.ones(6).double(), torch.zeros(4).double()))
    tensors, plain = matrix.packed()
    again = PairMatrix.unpacked(tensors, plain)
    assert torch.equal(again.dense(alone=True), matrix.dense(alone=True))
    assert again.grids == matrix.grids
    assert matrix.to(torch.float32).left.dtype == torch.float32


def test_errors_add_as_those_of_independent_samples() -> None:
    one = PairMatrix.of(torch.ones(2, 2), standard_error=torch.full((2, 2), 3.0))
    two = PairMatrix.of(torch.ones(2, 2), standard_error=torch.full((2, 2), 4.0))
    assert (one - two).top(1)[0].error == 5.0
    assert one.pool((1,)).standard_error is None


def several(score: float) -> MatrixExplanation:
    """Two pairs of rows of three numbers: the first numbers of both give 2 together."""
    matrix = PairMatrix.of(torch.diag(torch.tensor([2.0, 1.0, 0.0])))
    rows = torch.ones(2, 3)
    scores = torch.tensor([score, 4.0])
    return MatrixExplanation((rows, rows), (rows, rows), scores, "M", columns={"matrix": [matrix, matrix]})


def test_the_strongest_match_is_said_whatever_the_score() -> None:
    """Also where all matches cancel; of an item without parts there is none."""
    said = several(0.0).summary().split("\n")[1:3]
    assert said == [f"pair {i}: score {s}   (0,) of a with (0,) of b: +2" for i, s in enumerate((0, 4))]
    nothing = replace(several(1.0), columns={"matrix": [PairMatrix.of(torch.zeros(0, 3))] * 2})
    assert nothing.summary().split("\n")[1:3] == ["pair 0: score 1", "pair 1: score 4"]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: PairMatrix(torch.ones(3, 2), torch.ones(3, 4)), r"left \(3, 2\), right \(3, 4\) do not multiply"),
        (lambda: PairMatrix(torch.ones(3, 2), torch.ones(3, 4), torch.ones(4, 2)), r"middle \(4, 2\) do not multiply"),
        (lambda: PairMatrix(torch.ones(3, 1), torch.ones(3, 1), places=((2, 2), (3,))), "places of a are"),
        (lambda: PairMatrix.of(torch.ones(2, 2), standard_error=torch.ones(3)), "standard_error has shape"),
        (lambda: PairMatrix.of(torch.ones(2, 2)) + PairMatrix.of(torch.ones(2, 3)), "no common parts"),
        (lambda: PairMatrix.of(torch.ones(2, 2)).pool((3,)), "no coarser grid"),
        (
            lambda: assigned(torch.ones(100_000, 1), torch.ones(50_000, 1), 1),
            r"^100000 x 50000 parts are too many to assign: pool\(\) them first$",
        ),
        (lambda: several(0.0).matrix, r"^there are 2 pairs: take one, explanation\[0\]\.matrix, or \.matrices$"),
        (
            lambda: several(0.0).by_word(),
            "^the words of the inputs are not known: explain a model of texts, see xsiamese_text$",
        ),
        (lambda: PairMatrix.of(torch.ones(2, 2)).pool([0]), "numbers of new parts for the 2 parts of a"),
    ],
)
def test_what_does_not_fit_is_named(make: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()  # type: ignore[operator]


def test_a_matrix_that_fits_nowhere_is_pooled_first() -> None:
    factor = torch.ones(224 * 224, 2)
    matrix = PairMatrix(factor, factor, places=((224, 224), (224, 224)))
    with pytest.raises(ValueError, match=r"50176 x 50176 cells would take 9.4 GiB: pool them first, .*matches"):
        matrix.dense()
    assert float(matrix.pool((28, 28), (28, 28)).dense()[0, 0]) == 2 * 64 * 64


def test_a_part_that_is_not_there() -> None:
    with pytest.raises(IndexError, match="b has no part"):
        PairMatrix.of(torch.ones(2, 2)).column(2)


@pytest.mark.parametrize("largest", ["closer", "apart", "either"])
@pytest.mark.parametrize("k", [1, 5, 40, None])
def test_matches_are_each_others_best_by_brute_force(
    largest: Any, k: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the strongest cells, looked at first, hold fewer matches than are asked for."""
    from xsiamese.result import matches

    monkeypatch.setattr(matches, "FIRST", 4)
    for most in (2**19, 32, 0):
        monkeypatch.setattr(matches, "MOST", most)
        generator = torch.Generator().manual_seed(3)
        left, right = torch.randn(30, 5, generator=generator), torch.randn(50, 5, generator=generator)
        matrix = PairMatrix(left, right, places=((5, 6), (50,)))
        values = left @ right.T
        strength = {"closer": values, "apart": -values, "either": values.abs()}[largest]
        truth = [
            (float(strength[i, j]), (i // 6, i % 6), (j,))
            for i in range(30)
            for j in range(50)
            if strength[i, j] == strength[i].max() == strength[:, j].max() and strength[i, j] > 0
        ]
        found = matrix.matches(k, largest=largest)
        assert [(m.of_a, m.of_b) for m in found] == [(a, b) for _, a, b in sorted(truth, reverse=True)][:k]
