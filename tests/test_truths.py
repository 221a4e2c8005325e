"""Real truths: what two molecules share, what an edit leaves, what a formula is made of, which bonds decide."""

from __future__ import annotations

from functools import cache
from itertools import permutations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from xsiamese.data.truths import edge_truth, edit_truth, formula_truth, group_atoms, shared_atoms


def test_the_atoms_that_two_molecules_share(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rdkit")
    pytest.importorskip("torch_geometric")
    aspirin, salicylic = "CC(=O)Oc1ccccc1C(=O)O", "O=C(O)c1ccccc1O"
    a, b = shared_atoms(aspirin, salicylic)
    assert a.tolist() == [0, 0, 0, *[1] * 10]  # all but the acetyl group, of which the ester's oxygen is the phenol's
    assert b.tolist() == [1] * 10
    ring, chain = shared_atoms("c1ccccc1", "CCCCCC")  # a ring is none of a chain
    assert ring.sum() == chain.sum() == 0
    with pytest.raises(ValueError, match="'C1CC' is no SMILES"):
        shared_atoms("C1CC", "C")
    from rdkit.Chem import rdFMCS

    given: list[int] = []

    def late(molecules: object, *, timeout: int, **how: object) -> SimpleNamespace:
        given.append(timeout)
        return SimpleNamespace(canceled=True)

    monkeypatch.setattr(rdFMCS, "FindMCS", late)
    with pytest.raises(ValueError, match=r"^CO and CN: their common part was not found in 3 s: give more seconds=$"):
        shared_atoms("CO", "CN", seconds=3)
    assert given == [3]


def test_nitro_and_amino_groups_and_what_is_none() -> None:
    pytest.importorskip("rdkit")
    pytest.importorskip("torch_geometric")
    assert group_atoms("O=[N+]([O-])c1ccccc1").tolist() == [1, 1, 1, *[0] * 6]
    assert group_atoms("CN(C)c1ccccc1").sum() == 0  # no hydrogen
    assert group_atoms("NCCN").tolist() == [1, 0, 0, 1]
    with pytest.raises(ValueError, match="is no SMARTS"):
        group_atoms("C", ["[["])


def test_an_edit_by_all_its_shortest_ways() -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(60):
        first, second = (tuple(torch.randint(3, (n,), generator=generator).tolist()) for n in (4, 3))
        found = edit_truth(first, second)
        ways = shortest_edits(first, second)
        for side, (sequence, truth) in enumerate(zip((first, second), found, strict=True)):
            left = torch.tensor([[any(pair[side] == i for pair in way) for i in range(len(sequence))] for way in ways])
            by_hand = torch.where(left.all(0), 1, torch.where(~left.any(0), -1, 0))
            assert torch.equal(truth, by_hand), (first, second)
    assert [len(side) for side in edit_truth((), ("a",))] == [0, 1]


def shortest_edits(first: tuple[int, ...], second: tuple[int, ...]) -> list[frozenset[tuple[int, int]]]:
    """Every shortest edit as the pairs that it leaves, by trying all."""

    @cache
    def ways(i: int, j: int) -> tuple[int, frozenset[frozenset[tuple[int, int]]]]:
        if i == len(first) and j == len(second):
            return 0, frozenset({frozenset()})
        steps: list[tuple[int, frozenset[Any]]] = []
        if i < len(first):
            cost, more = ways(i + 1, j)
            steps.append((cost + 1, more))
        if j < len(second):
            cost, more = ways(i, j + 1)
            steps.append((cost + 1, more))
        if i < len(first) and j < len(second):
            cost, more = ways(i + 1, j + 1)
            same = first[i] == second[j]
            steps.append((cost + (not same), frozenset(way | {(i, j)} for way in more) if same else more))
        least = min(cost for cost, _ in steps)
        return least, frozenset().union(*(more for cost, more in steps if cost == least))

    return list(ways(0, 0)[1])


def test_the_part_of_each_column_in_a_formula() -> None:
    """Against the mean over all orders in which the columns of b come in."""
    a, b = torch.rand(2, 4, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def langmuir(rows: torch.Tensor) -> torch.Tensor:
        most, affinity, pressure = rows.unbind(1)
        return most * affinity * pressure / (1 + affinity * pressure)

    found = formula_truth(langmuir, a, b)
    mean = torch.zeros_like(a)
    for order in permutations(range(3)):
        now = a.clone()
        for k in order:
            before = -(langmuir(a) - langmuir(now)).abs()
            now[:, k] = b[:, k]
            mean[:, k] += (-(langmuir(a) - langmuir(now)).abs() - before) / 6
    assert torch.allclose(found, mean, atol=1e-12)
    assert torch.allclose(found.sum(1), -(langmuir(a) - langmuir(b)).abs(), atol=1e-12)
    with pytest.raises(ValueError, match="17 columns"):
        formula_truth(lambda rows: rows.sum(1), torch.ones(1, 17), torch.ones(1, 17))


def test_bonds_of_a_set_with_its_truth(tmp_path: Path) -> None:
    files = {
        "A": "1, 2\n2, 1\n4, 5\n5, 4\n2, 3",
        "graph_indicator": "1\n1\n1\n2\n2",
        "edge_gt": "1\n1\n0\n0\n1",
    }
    for what, text in files.items():
        (tmp_path / f"Tiny_{what}.txt").write_text(text + "\n")
    (edges, truth), (others, none) = edge_truth(tmp_path)
    assert edges.tolist() == [[0, 1, 1], [1, 0, 2]]
    assert truth.tolist() == [1, 1, 1]
    assert others.tolist() == [[0, 1], [1, 0]]
    assert none.tolist() == [0, 0]
    (tmp_path / "Tiny_edge_gt.txt").write_text("1\n")
    with pytest.raises(ValueError, match="1 lines for 5 edges"):
        edge_truth(tmp_path)
    (tmp_path / "Tiny_edge_gt.txt").unlink()
    with pytest.raises(ValueError, match="has 0 files"):
        edge_truth(tmp_path)


def test_the_nitro_and_amino_groups_of_mutagenicity(real_data: Path) -> None:
    """The counts that its page gives: 3,540 N-O and 3,812 N-H entries, in 1,015 + 341 molecules."""
    found = edge_truth(real_data / "tudataset" / "Mutagenicity" / "raw")
    assert len(found) == 4337
    assert sum(int(truth.sum()) for _, truth in found) == 7352
    assert sum(bool(truth.any()) for _, truth in found) == 1356
