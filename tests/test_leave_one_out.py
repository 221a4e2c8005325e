"""Leave one out: RDKit's similarity maps exactly, closed forms, and any function of two things."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from rdkit import Chem, DataStructs
from rdkit.Chem.Draw import SimilarityMaps
from torch_geometric.data import Batch, Data

from tests.graphs import Convolved, edge_count, graph, one, random_graph, without
from xsiamese import PairSaliency, SiameseModel
from xsiamese_graph.leave_one_out import PairLeaveOneOut, fingerprint_atoms, leave_one_out

FINGERPRINTS: dict[str, Callable[..., Any]] = {
    "morgan bits": SimilarityMaps.GetMorganFingerprint,
    "morgan counts": lambda mol, atom=-1: SimilarityMaps.GetMorganFingerprint(mol, atom, radius=1, fpType="count"),
    "atom pairs": SimilarityMaps.GetAPFingerprint,
    "torsions": SimilarityMaps.GetTTFingerprint,
    "paths": SimilarityMaps.GetRDKFingerprint,
}
PAIRS = [
    ("c1ccccc1", "c1ccncc1"),
    ("CC(=O)Oc1ccccc1C(=O)O", "COC(=O)c1ccccc1O"),
    ("CN1CCC23C4Oc5c2c(CC1C3C=CC4O)ccc5O", "CN1CCC23C4Oc5c2c(CC1C3C=CC4O)ccc5OC"),
]


@pytest.mark.parametrize(
    "metric", [DataStructs.DiceSimilarity, DataStructs.TanimotoSimilarity], ids=["dice", "tanimoto"]
)
@pytest.mark.parametrize("name", FINGERPRINTS)
@pytest.mark.parametrize("pair", PAIRS, ids=["rings", "aspirin", "codeine"])
def test_similarity_maps_of_rdkit_are_the_special_case(pair: tuple[str, str], name: str, metric: Any) -> None:
    a, b = (Chem.MolFromSmiles(smiles) for smiles in pair)
    first, second = fingerprint_atoms(a, b, FINGERPRINTS[name], metric)
    assert not hasattr(a, "_fpInfo")
    assert not hasattr(b, "_fpInfo")
    assert second.tolist() == list(SimilarityMaps.GetAtomicWeightsForFingerprint(a, b, FINGERPRINTS[name], metric))
    assert first.tolist() == list(SimilarityMaps.GetAtomicWeightsForFingerprint(b, a, FINGERPRINTS[name], metric))


def test_numbers_that_rdkit_tests_itself_with() -> None:
    benzene, pyridine = Chem.MolFromSmiles("c1ccccc1"), Chem.MolFromSmiles("c1ccncc1")
    found = fingerprint_atoms(
        benzene,
        pyridine,
        lambda mol, atom: SimilarityMaps.GetMorganFingerprint(mol, atom, 2, "bv"),
        DataStructs.DiceSimilarity,
    )
    assert torch.allclose(found[1], torch.tensor([0.5, 0.5, 0.5, -0.5, 0.5, 0.5], dtype=torch.float64))


def test_a_fingerprint_cached_by_others_is_not_believed() -> None:
    a, b = Chem.MolFromSmiles("CCO"), Chem.MolFromSmiles("CCN")
    expected = fingerprint_atoms(a, b)
    SimilarityMaps.GetMorganFingerprint(b, -1, radius=0)  # leaves bits of another radius on the molecule
    assert fingerprint_atoms(a, b)[1].tolist() == expected[1].tolist()


def shorter(word: str, i: int) -> str:
    return word if i < 0 else word[:i] + word[i + 1 :]


def test_an_additive_score_gives_back_its_terms() -> None:
    weights = {"a": 0.5, "b": -2.0, "c": 3.0}
    first, second = leave_one_out(
        lambda x, y: sum(weights[k] for k in x) + 10 * sum(weights[k] for k in y), ("abc", "ca"), shorter, len
    )
    assert first.tolist() == pytest.approx([0.5, -2.0, 3.0])
    assert second.tolist() == pytest.approx([30.0, 5.0])


def test_a_distance_is_turned_into_closeness() -> None:
    near = leave_one_out(lambda x, y: -abs(len(x) - len(y)), ("aaa", "b"), shorter, len)
    far = leave_one_out(lambda x, y: abs(len(x) - len(y)), ("aaa", "b"), shorter, len, higher_is_closer=False)
    assert near[0].tolist() == far[0].tolist() == [-1.0, -1.0, -1.0]
    assert near[1].tolist() == far[1].tolist() == [1.0]


def test_sides_of_two_kinds() -> None:
    first, second = leave_one_out(
        lambda word, number: number - len(word),
        ("ab", 3),
        (lambda w, i: w if i < 0 else w[1:], lambda n, i: n if i < 0 else n - 1),
        lambda item: 2,
    )
    assert first.tolist() == [-1.0, -1.0]
    assert second.tolist() == [1.0, 1.0]


def by_hand(model: Callable[..., Any], a: Data, b: Data, gone: list[set[tuple[int, ...]]]) -> list[float]:
    """What is lost without each of these, on graphs that torch_geometric cut."""
    whole = float(model(one(a), one(b)).detach())
    return [whole - float(model(one(without(a, part)), one(b)).detach()) for part in gone]


@pytest.mark.parametrize("comparison", ["cosine", "euclidean"])
def test_graphs_lose_each_node_and_each_edge_for_real(comparison: str) -> None:
    model = SiameseModel(Convolved(2), comparison)
    a, b = random_graph(6, 8, 0), random_graph(5, 5, 1)
    sign = 1 if model.higher_is_closer else -1
    first, second = PairLeaveOneOut(model).attribute((one(a), one(b)))
    assert first.node_mask.flatten().tolist() == pytest.approx(
        [sign * v for v in by_hand(model, a, b, [{(k,)} for k in range(6)])], abs=1e-12
    )
    assert second.node_mask.shape == (5, 1)
    first, _ = PairLeaveOneOut(model).attribute((one(a), one(b)), parts="edges")
    ends = [(int(u), int(v)) for u, v in a.edge_index.T]
    expected = [sign * v / 2 for v in by_hand(model, a, b, [{pair} for pair in ends])]
    assert first.edge_mask.tolist() == pytest.approx(expected, abs=1e-12)


def test_what_does_not_factor_and_targets_give_the_same() -> None:
    model = SiameseModel(Convolved(2), "euclidean")
    a, b = (Batch.from_data_list([random_graph(n, n + 1, n + k) for n in (4, 6, 5)]) for k in (0, 9))
    first, second = PairLeaveOneOut(model).attribute((a, b), parts=("nodes", "edges"))
    plain = PairLeaveOneOut(lambda x, y: model(x, y), higher_is_closer=False)
    for other in (
        plain.attribute((a, b), parts=("nodes", "edges")),
        plain.attribute((a, b), lambda out: -out, parts=("nodes", "edges"), internal_batch_size=3),
    ):
        for mine, theirs in zip((first, second), other, strict=True):
            assert torch.allclose(mine.node_mask, theirs.node_mask, atol=1e-12)
            assert torch.allclose(mine.edge_mask, theirs.edge_mask, atol=1e-12)
    held = plain.attribute((a, b), wrt="first")
    assert torch.allclose(held[0].node_mask, first.node_mask, atol=1e-12)
    assert not held[1].node_mask.any()


def test_a_score_that_adds_over_edges_gives_each_its_share() -> None:
    a, b = one(random_graph(6, 8, 0)), one(random_graph(5, 5, 1))
    first, second = PairLeaveOneOut(lambda x, y: edge_count(x) + 3 * edge_count(y)).attribute((a, b), parts="edges")
    assert first.edge_mask.tolist() == [0.5] * 16
    assert second.edge_mask.tolist() == [1.5] * 10
    nodes = PairLeaveOneOut(lambda x, y: edge_count(x) + 3 * edge_count(y)).attribute((a, b))[0].node_mask.flatten()
    assert nodes.tolist() == torch.bincount(a.edge_index[0], minlength=6).double().tolist()


def test_whole_numbers_as_features_are_no_obstacle() -> None:
    a = one(graph([(0, 1), (1, 2)], 3, torch.tensor([[1], [2], [1]])))
    explanation = PairLeaveOneOut(lambda x, y: edge_count(x) * edge_count(y)).explain((a, a))
    assert explanation.maps[0].node_mask.flatten().tolist() == [2.0, 4.0, 2.0]
    with pytest.raises(ValueError, match="only floating point values can move"):
        PairSaliency(lambda x, y: edge_count(x) * edge_count(y)).attribute((a, a))


def test_the_only_node_cannot_be_left_out() -> None:
    a = Batch.from_data_list([random_graph(3, 2, 0), random_graph(1, 0, 0)])
    with pytest.raises(ValueError, match=r"input a in pair 1 has a single node"):
        PairLeaveOneOut(SiameseModel(Convolved(0))).attribute((a, a))


def test_other_parts_cannot_be_left_out() -> None:
    a = one(random_graph(3, 2, 0))
    a.edge_weight = torch.ones(4).double()
    with pytest.raises(ValueError, match="PairLeaveOneOut explains nodes and edges of a graph, not edge_weight"):
        PairLeaveOneOut(SiameseModel(Convolved(0))).attribute((a, a), parts="edge_weight")
