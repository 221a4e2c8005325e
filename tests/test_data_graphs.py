"""Labelled graphs: batches, pairs, splits, and what every reader does with good and with bad files."""

from __future__ import annotations

import json
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

pytest.importorskip("torch_geometric", reason='graphs need pip install "xsiamese[graph]"')

from torch_geometric.data import Batch, Data

from xsiamese.data.batches import Batches
from xsiamese.data.connectomes import connectome_graphs, load_connectomes, read_matrix, strongest
from xsiamese.data.division import split_classes
from xsiamese.data.ged import from_pyg, graded, graph_of, load_ged
from xsiamese.data.graph_sets import kind_of, load_graphs, read_tu
from xsiamese.data.graphs import GradedPairs, LabelledGraphs
from xsiamese.data.items import split
from xsiamese.data.molecules import molecule, read_smiles


def cycles(count: int = 40, classes: int = 4, attributes: bool = False) -> list[Data]:
    """Cycles whose length tells the class: 3, 4, 5, ... nodes, with random features."""
    generator = torch.Generator().manual_seed(0)
    made = []
    for i in range(count):
        n = 3 + i % classes
        ring = torch.stack([torch.arange(n), (torch.arange(n) + 1) % n])
        graph = Data(x=torch.rand(n, 2, generator=generator), edge_index=torch.cat([ring, ring.flip(0)], 1))
        if attributes:
            graph.edge_attr = torch.rand(2 * n, 3, generator=generator)
            graph.edge_weight = torch.rand(2 * n, generator=generator)
        made.append(graph)
    return made


def labelled(count: int = 40, classes: int = 4, attributes: bool = False) -> LabelledGraphs:
    return LabelledGraphs.of(
        cycles(count, classes, attributes),
        torch.arange(count) % classes,
        tuple("abcdefgh"[:classes]),
        names=tuple(map(str, range(count))),
    )


def test_a_batch_is_what_pyg_makes_and_comes_apart_again() -> None:
    data = cycles(attributes=True)
    graphs = labelled(attributes=True)
    index = torch.tensor([5, 0, 5, 38])
    found, expected = graphs.gather(index), Batch.from_data_list([data[i] for i in index])
    for name in ("x", "edge_index", "edge_attr", "edge_weight", "batch", "ptr"):
        assert torch.equal(found[name], expected[name]), name
    assert found.num_graphs == 4
    for one, other in zip(found.to_data_list(), expected.to_data_list(), strict=True):
        for name in ("x", "edge_index", "edge_attr", "edge_weight"):
            assert torch.equal(one[name], other[name]), name
    taken = graphs.take(index)
    assert torch.equal(taken.gather(torch.arange(4)).edge_index, expected.edge_index)
    assert taken.names == ("5", "0", "5", "38")
    assert taken.sizes.tolist() == [4, 3, 4, 5]


def test_graphs_without_edges_or_features() -> None:
    bare = [
        Data(edge_index=torch.empty(2, 0, dtype=torch.long), num_nodes=2),
        Data(edge_index=torch.tensor([[0], [1]]), num_nodes=3),
    ]
    graphs = LabelledGraphs.of(bare, torch.tensor([0, 1]), ("a", "b"))
    batch = graphs.gather(torch.tensor([0, 1, 0]))
    assert torch.equal(batch.x, torch.ones(7, 1))
    assert batch.edge_index.tolist() == [[2], [3]]


def test_features_that_are_not_finite_are_named() -> None:
    data = cycles(6)
    assert data[4].x is not None
    data[4].x[1, 0] = torch.nan
    with pytest.raises(ValueError, match="graph 4 has features that are NaN"):
        LabelledGraphs.of(data, torch.zeros(6), ("a",))
    with pytest.raises(ValueError, match=r"^there are no graphs$"):
        LabelledGraphs.of([], torch.zeros(0), ())
    with pytest.raises(ValueError, match="5 labels for 6 graphs"):
        LabelledGraphs.of(cycles(6), torch.zeros(5), ("a",))


def test_pairs_of_graphs_are_seeded_balanced_and_gathered() -> None:
    graphs = labelled()
    batches = Batches(graphs, "pairs", 16, seed=3, apart=True)
    sides, same = batches.sampled()
    assert torch.equal(same.bool(), graphs.labels[sides[0]] == graphs.labels[sides[1]])
    assert float(same.mean()) == 0.5
    assert torch.equal(sides, Batches(graphs, "pairs", 16, seed=3).sampled()[0])
    first = next(iter(batches))
    assert torch.equal(first.inputs.a.x, graphs.gather(sides[0][:16]).x)
    assert torch.equal(first.inputs.b.x, graphs.gather(sides[1][:16]).x)
    together = next(iter(Batches(graphs, "pairs", 16, seed=3))).inputs
    assert together.num_graphs == 32


def test_splits_are_by_graph_or_by_class() -> None:
    parts = split(labelled(), 0.1, 0.2, seed=1)
    assert [len(part) for part in parts] == [28, 4, 8]
    assert sorted(name for part in parts for name in part.names) == sorted(map(str, range(40)))
    parts = split_classes(labelled(80, 8), 0.25, 0.25, seed=1)
    seen = [set(part.labels.tolist()) for part in parts]
    assert [len(s) for s in seen] == [4, 2, 2]
    assert set().union(*seen) == set(range(8))
    assert sum(len(part) for part in parts) == 80
    with pytest.raises(ValueError, match="4 classes are too few for 2 to test and 2 to validate on"):
        split_classes(labelled(), 0.3, 0.3)


def test_graded_pairs_are_known_ones() -> None:
    alike = torch.tensor([[1.0, 0.2, torch.nan], [0.2, 1.0, torch.nan], [torch.nan, torch.nan, torch.nan]])
    pairs = GradedPairs(alike).pairs(torch.arange(3).repeat(50), torch.Generator().manual_seed(0))
    assert len(pairs.a) == 100
    assert torch.equal(pairs.same, alike[pairs.a, pairs.b])
    assert 30 < int((pairs.a == pairs.b).sum()) < 70
    with pytest.raises(ValueError, match="none is labelled by how alike"):
        GradedPairs(alike[2:, 2:])


# edit distances


def write_ged(folder: Path, count: int = 12) -> Path:
    for i in range(count):
        part = folder / ("test" if i % 4 == 3 else "train")
        part.mkdir(parents=True, exist_ok=True)
        n = 2 + i % 3
        graph = {"n": n, "m": n - 1, "labels": ["C"] * (n - 1) + ["O"], "graph": [[j, j + 1] for j in range(n - 1)]}
        (part / f"{i}.json").write_text(json.dumps(graph))
    sizes = torch.tensor([2 + i % 3 for i in range(count)])
    np.savez(
        folder / "exact.npz",
        ids=np.array([str(i) for i in range(count)]),
        ged=(2 * (sizes[:, None] - sizes).abs()).numpy().astype(np.uint8),
    )
    return folder


def test_graphs_with_edit_distances(tmp_path: Path) -> None:
    source = load_graphs("AIDS700nef", write_ged(tmp_path / "x" / "AIDS").parents[1], valid=0.3)
    assert (source.name, len(source.train), len(source.valid), len(source.test)) == ("AIDS700nef", 6, 3, 3)
    assert source.train.features == 2
    names = source.test.names
    for i, a in enumerate(source.test.known.tolist()):  # type: ignore[union-attr]
        for j, b in enumerate(source.train.known.tolist()):  # type: ignore[union-attr]
            n, m = (2 + int(name) % 3 for name in (names[i], source.train.names[j]))
            assert float(source.test.alike[a, b]) == pytest.approx(np.exp(-2 * 2 * abs(n - m) / (n + m)))  # type: ignore[index]
    assert source.train.classes == ("2 nodes", "3 nodes", "4 nodes")
    graph = source.test.gather(torch.tensor([0])).to_data_list()[0]
    assert graph.x[-1].tolist() == [0, 1]
    assert graph.is_undirected()


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("train/0.json", '{"n": 2, "labels": ["C"], "graph": []}', "0.json has 1 labels for 2 nodes"),
        (
            "train/0.json",
            '{"n": 2, "labels": null, "graph": [[0, 2]]}',
            "0.json has an edge to node 2, and nodes 0 to 1 only",
        ),
        ("train/0.json", '{"n": 2', "0.json is no graph"),
        ("train/0.json", '{"m": 2}', "0.json is no graph .* KeyError: 'n'"),
        ("train/99.json", '{"n": 1, "labels": ["C"], "graph": []}', "99.json has no edit distances in exact.npz"),
    ],
)
def test_bad_graph_files_are_named(tmp_path: Path, name: str, content: str, told: str) -> None:
    (write_ged(tmp_path) / name).write_text(content)
    with pytest.raises(ValueError, match=told):
        load_ged(tmp_path, "x")


def test_a_table_of_distances_is_needed(tmp_path: Path) -> None:
    np.savez(write_ged(tmp_path) / "more.npz", a=np.ones(1))
    with pytest.raises(ValueError, match=r"has 2 \.npz files"):
        load_ged(tmp_path, "x")
    (tmp_path / "exact.npz").unlink()
    with pytest.raises(ValueError, match=r"more\.npz has no 'ged': ids and ged are needed, found a"):
        load_ged(tmp_path, "x")
    with pytest.raises(ValueError, match="a share between 0 and 1 is needed"):
        graded("x", cycles(4), torch.ones(4, 4), torch.zeros(4, dtype=torch.bool), valid=0.0)


@pytest.mark.parametrize(("kinds", "known"), [(["C", "N"], "C, N"), ([], "no labels")])
def test_a_node_that_the_set_does_not_know_is_named(tmp_path: Path, kinds: list[str], known: str) -> None:
    (tmp_path / "g.json").write_text('{"n": 2, "labels": ["C", "Zn"], "graph": [[0, 1]]}')
    label = "Zn" if kinds else "C"
    with pytest.raises(ValueError) as caught:
        graph_of(tmp_path / "g.json", kinds)
    assert str(caught.value) == f"{tmp_path / 'g.json'} has a node {label!r}, and the set knows {known} only"


def test_the_set_of_pyg_is_taken_as_it_is(tmp_path: Path) -> None:
    """PyG's own reader on hand-made raw files: it knows no distance of two test graphs."""
    networkx = pytest.importorskip("networkx")
    from torch_geometric.datasets import GEDDataset

    raw = tmp_path / "raw" / "LINUX"
    sizes = {i: 2 + i % 3 for i in range(9)}
    for i, n in sizes.items():
        folder = raw / ("test" if i >= 6 else "train")
        folder.mkdir(parents=True, exist_ok=True)
        networkx.write_gexf(networkx.path_graph(n), folder / f"{i}.gexf")
    distances = {(i, j): 2 * abs(sizes[i] - sizes[j]) for i in sizes for j in range(6)}
    (raw / "ged.pickle").write_bytes(pickle.dumps(distances))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        train, test = (GEDDataset(str(tmp_path), "LINUX", train=part) for part in (True, False))
    source = from_pyg(train, test, valid=0.34)
    assert [len(part) for part in (source.train, source.valid, source.test)] == [4, 2, 3]
    assert source.test.alike is not None
    known = source.test.alike[source.test.known]
    assert bool(torch.isfinite(known[:, source.train.known]).all())
    assert bool(torch.isnan(known[:, source.test.known]).all())
    n, m = source.test.sizes[0], source.train.sizes[0]
    assert float(known[0, source.train.known[0]]) == pytest.approx(float(torch.exp(-2 * 2 * (n - m).abs() / (n + m))))


# TUDatasets


def write_tu(folder: Path, name: str, labels: bool = True) -> Path:
    raw = folder / name / "raw"
    raw.mkdir(parents=True)
    sizes = [3, 2, 3, 2]
    start, edges, indicator = 1, [], []
    for i, n in enumerate(sizes, start=1):
        edges += [f"{start + j}, {start + j + 1}\n{start + j + 1}, {start + j}" for j in range(n - 1)]
        indicator += [str(i)] * n
        start += n
    files = {"A": edges, "graph_indicator": indicator, "graph_labels": ["1", "-1", "1", "-1"]}
    for key, rows in (files | ({"node_labels": ["0", "1"] * 5} if labels else {})).items():
        (raw / f"{name}_{key}.txt").write_text("\n".join(rows) + "\n")
    return folder / name


@pytest.mark.parametrize("labels", [True, False])
def test_a_tudataset_is_read_and_nothing_written(tmp_path: Path, labels: bool) -> None:
    folder = write_tu(tmp_path, "TOY", labels)
    before = sorted(tmp_path.rglob("*"))
    graphs = read_tu(folder, "TOY")
    assert graphs.sizes.tolist() == [3, 2, 3, 2]
    assert graphs.features == (2 if labels else 1)
    assert graphs.classes == ("0", "1")  # PyG numbers them anew
    assert graphs.labels.tolist() == [1, 0, 1, 0]
    assert graphs.gather(torch.tensor([2])).edge_index.tolist() == [[0, 1, 1, 2], [1, 0, 2, 1]]
    assert len(load_graphs("TOY", tmp_path, valid=0.0, test=0.5).test) == 2
    assert sorted(tmp_path.rglob("*")) == before


def test_unknown_sets_and_words_are_told(tmp_path: Path) -> None:
    for name, told in (
        ("mutag", "did you mean MUTAG"),
        ("LINUX", "give --data a folder that holds LINUX or Linux"),
        ("zzz", "known: AIDS700nef, LINUX, MUTAG"),
    ):
        with pytest.raises(ValueError, match=told):
            load_graphs(name, tmp_path)
    write_tu(tmp_path, "TOY")
    with pytest.raises(ValueError, match=r"pattern='\*' has no meaning for a TUDataset"):
        load_graphs("TOY", tmp_path, pattern="*")
    write_ged(tmp_path / "AIDS")
    with pytest.raises(ValueError, match=r"test_size=0\.2 has no meaning for a set whose test graphs are given"):
        load_graphs("AIDS700nef", tmp_path, test=0.2)
    told = "^split='classes' has no meaning for AIDS700nef: the set itself says what is held out$"
    with pytest.raises(ValueError, match=told):
        load_graphs("AIDS700nef", tmp_path, split="classes")


def test_a_tudataset_that_is_nowhere_is_downloaded_or_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch_geometric.datasets import TUDataset

    asked: list[tuple[object, ...]] = []

    def get(self: object, *given: object, **options: object) -> None:
        asked.append(given)
        if len(asked) == 1:
            raise OSError("no network")
        write_tu(tmp_path, "MUTAG")

    monkeypatch.setattr(TUDataset, "__init__", get)
    assert kind_of("MUTAG", tmp_path / "none") == ("collected", tmp_path / "none" / "MUTAG")
    told = rf"^MUTAG is not in {tmp_path} and could not be downloaded there \(no network\): give --data the folder"
    with pytest.raises(ValueError, match=told):
        load_graphs("MUTAG", tmp_path)
    assert len(load_graphs("MUTAG", tmp_path, valid=0.0, test=0.5).test) == 2
    assert asked == [(str(tmp_path), "MUTAG")] * 2


def test_a_tudataset_without_classes_is_told(tmp_path: Path) -> None:
    folder = write_tu(tmp_path, "TOY")
    (folder / "raw" / "TOY_graph_labels.txt").unlink()
    with pytest.raises(ValueError, match=r"^TOY has no classes of graphs \(TOY_graph_labels\.txt\)$"):
        read_tu(folder, "TOY")


# molecules


def test_molecules_of_a_table(tmp_path: Path) -> None:
    pytest.importorskip("rdkit")
    table = tmp_path / "m.csv"
    table.write_text(
        "smiles,active,mass\nCCO,yes,46.1\nc1ccccc1,no,78.1\nC1CC,yes,1.0\n,no,2.0\nCC(=O)O,,3.0\nN,no,17.0\n"
    )
    with pytest.warns(UserWarning, match=r"3 of 6 SMILES are left out: line 4: 'C1CC' is no SMILES"):
        graphs = read_smiles(table, "active")
    assert graphs.names == ("CCO", "c1ccccc1", "N")
    assert graphs.sizes.tolist() == [3, 6, 1]
    assert (graphs.classes, graphs.labels.tolist()) == (("no", "yes"), [1, 0, 0])
    assert len(graphs.skipped) == 3
    assert graphs.skipped[2] == "line 6: 'CC(=O)O' has no active"
    ethanol = graphs.gather(torch.tensor([0]))
    assert ethanol.x[:, :119].argmax(1).tolist() == [6, 6, 8]
    assert ethanol.x.sum(1).tolist() == [9.0] * 3
    assert ethanol.edge_attr.sum(1).tolist() == [3.0] * 4
    assert molecule("") is None
    assert molecule("CCO").smiles == "CCO"


@pytest.mark.parametrize(
    ("content", "how", "told"),
    [
        ("smile,y\nC,1\n", {}, "no column 'smiles': .* found smile, y"),
        ("", {}, "found nothing"),
        (
            "smiles,a,b\nC,1,x\nCC,2,y\n",
            {},
            r"which column has the classes\? say it with --target; .* a \(2\), b \(2\)",
        ),
        ("smiles,a,b\nC,1,x\nCC,2,y\n", {"target": "c"}, "no column 'c'; found a, b"),
        (
            "smiles,a\n" + "".join(f"C,{i}\n" for i in range(60)),
            {"target": "a"},
            "'a' has 60 different values in 60 rows: classes are needed",
        ),
        (
            "smiles,a\nC,1\nCC,2\n",
            {"close": -1.0},
            "^close=-1: the largest difference of two targets that count as the same is needed$",
        ),
        ("smiles,a\nX,1\nY,2\n", {}, "none of the 2 SMILES of .* the first: line 2: 'X' is no SMILES"),
    ],
)
def test_bad_tables_of_smiles_are_told(tmp_path: Path, content: str, how: dict[str, Any], told: str) -> None:
    pytest.importorskip("rdkit")
    (tmp_path / "m.csv").write_text(content)
    with pytest.raises(ValueError, match=told):
        read_smiles(tmp_path / "m.csv", **how)


# connectomes


def matrices(subjects: int, scans: int = 2, regions: int = 8, seed: int = 0) -> Tensor:
    """Symmetric matrices, those of one subject alike, shape (subjects x scans, regions, regions)."""
    generator = torch.Generator().manual_seed(seed)
    own = torch.rand(subjects, 1, regions, regions, generator=generator)
    found = (own + 0.02 * torch.rand(subjects, scans, regions, regions, generator=generator)).flatten(0, 1)
    return (found + found.mT) / 2


def write_scans(folder: Path, subjects: int = 8, twice: bool = False) -> Path:
    for i, matrix in enumerate(matrices(subjects)):
        place = folder / f"sub-{i // 2:02}_ses-{i % 2}"
        place.mkdir(parents=True)
        np.savetxt(place / f"sub-{i // 2:02}_ses-{i % 2}_NORM.txt", matrix)
        if twice:
            np.savetxt(place / f"sub-{i // 2:02}_ses-{i % 2}_count.txt", matrix)
    return folder


def test_scans_of_a_person_stay_together(tmp_path: Path) -> None:
    source = load_connectomes(write_scans(tmp_path), test=0.25, valid=0.25, neighbours=3, seed=2)
    parts = (source.train, source.valid, source.test)
    assert [len(part) for part in parts] == [8, 4, 4]
    people = [{name[:6] for name in part.names} for part in parts]
    assert not people[0] & people[1]
    assert not people[0] & people[2]
    assert [part.labels.bincount(minlength=8).unique().tolist() for part in parts] == [[0, 2]] * 3
    assert len(load_connectomes(tmp_path, by="folder", valid=0.0, test=0.0, neighbours=3).train.classes) == 16
    named = load_graphs(str(tmp_path), tmp_path, by="folder", valid=0.0, test=0.0, neighbours=3)  # as a training asks
    assert len(named.train.classes) == 16


def test_folders_of_diagnoses_are_classes(tmp_path: Path) -> None:
    from scipy.io import savemat

    for i, matrix in enumerate(matrices(10, 1)):
        place = tmp_path / "set" / ("control" if i % 2 else "patient")
        place.mkdir(parents=True, exist_ok=True)
        savemat(place / f"sub-{i}.mat", {"data": (matrix - matrix.mean()).numpy()})
    source = load_connectomes(tmp_path, valid=0.2, test=0.2, neighbours=3)
    assert source.train.classes == ("control", "patient")
    assert [part.labels.bincount().tolist() for part in (source.train, source.valid, source.test)] == [
        [3, 3],
        [1, 1],
        [1, 1],
    ]


def test_edges_are_the_strongest_and_features_the_rows() -> None:
    values = matrices(3, 1) - 0.5
    edges, weights, counts = strongest(values, 3)
    size = values.abs() * (1 - torch.eye(8))
    near = torch.zeros_like(size, dtype=torch.bool).scatter_(2, size.topk(3, 2).indices, True)
    assert counts.tolist() == (near | near.mT).sum((1, 2)).tolist()
    starts = torch.cat([torch.zeros(1, dtype=torch.long), counts.cumsum(0)])
    for i in range(3):
        a, b = edges[:, starts[i] : starts[i + 1]]
        assert torch.equal(weights[starts[i] : starts[i + 1]], size[i, a, b])
        assert bool((near | near.mT)[i, a, b].all())
    assert strongest(values, density=0.25)[2].tolist() == [14] * 3  # 7 of 28 connections, in both directions
    graphs = connectome_graphs(values, torch.tensor([0, 0, 1]), ("a", "b"), neighbours=3)
    torch.testing.assert_close(graphs.gather(torch.tensor([1])).x, values[1] * (1 - torch.eye(8)))
    positive = connectome_graphs(values.abs() * 1e5, torch.tensor([0, 0, 1]), ("a", "b"), neighbours=3)
    again = connectome_graphs(values.abs(), torch.tensor([0, 0, 1]), ("a", "b"), neighbours=3)
    torch.testing.assert_close(positive.x, again.x)  # streamlines in any unit


def test_one_graph_for_all_is_that_of_the_mean_training_matrix(tmp_path: Path) -> None:
    source = load_connectomes(write_scans(tmp_path), valid=0.25, test=0.25, neighbours=3, shared=True)
    first, other = source.train.gather(torch.tensor([0])), source.test.gather(torch.tensor([3]))
    assert torch.equal(first.edge_index, other.edge_index)
    assert torch.equal(first.edge_weight, other.edge_weight)
    assert not torch.equal(first.x, other.x)
    mean = torch.stack([read_matrix(next(tmp_path.rglob(name))) for name in source.train.names]).mean(0)
    edges, weight, _ = strongest(mean[None], 3)
    assert torch.equal(first.edge_index, edges)
    torch.testing.assert_close(first.edge_weight.double(), weight)


def test_bad_matrices_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no matrices whose name is like"):
        load_connectomes(tmp_path)
    write_scans(tmp_path, twice=True)
    with pytest.raises(ValueError, match=r"scan sub-00_ses-0 has two files, .*: choose with --pattern"):
        load_connectomes(tmp_path)
    assert len(load_connectomes(tmp_path, pattern="*NORM*", neighbours=3, valid=0.0, test=0.25).train) == 12
    good = matrices(1, 1)[0].numpy()
    for wrong, told in (
        (good[:3], r"shape \(3, 8\): a square matrix"),
        (np.triu(good), "not symmetric"),
        (good * np.nan, "holds 64 values that are NaN"),
    ):
        np.savetxt(tmp_path / "m.txt", wrong)
        with pytest.raises(ValueError, match=told):
            read_matrix(tmp_path / "m.txt")
    (tmp_path / "m.txt").write_text("a b\n")
    with pytest.raises(ValueError, match=r"m\.txt cannot be read as a matrix"):
        read_matrix(tmp_path / "m.txt")
    savemat = pytest.importorskip("scipy.io").savemat
    savemat(tmp_path / "m.mat", {"fc": good, "sc": good, "age": 30})
    with pytest.raises(ValueError, match=r"m\.mat cannot be .*it has 2 square matrices \(fc, sc\): one is"):
        read_matrix(tmp_path / "m.mat")
    savemat(tmp_path / "m.mat", {"fc": good, "age": 30, "sizes": np.ones((1, 8))})  # a row is no matrix
    assert torch.equal(read_matrix(tmp_path / "m.mat"), torch.from_numpy(good))
    with pytest.raises(ValueError, match=r"^by='scan': 'subject' or 'folder' is needed$"):
        load_connectomes(tmp_path, by="scan")  # type: ignore[arg-type]
    np.save(tmp_path / "sub-99_ses-0_NORM.npy", good[:5, :5])
    with pytest.raises(ValueError, match=r"has 5 regions and .* has 8: all must be of one atlas"):
        load_connectomes(tmp_path, pattern="*NORM*", neighbours=3)
    with pytest.raises(ValueError, match="between 1 and 7 are needed for 8 regions"):
        strongest(matrices(1, 1), 8)
    with pytest.raises(ValueError, match="density=2"):
        strongest(matrices(1, 1), density=2.0)


# the sets that are there


@pytest.mark.parametrize(
    ("dataset", "how", "sizes", "features"),
    [
        ("MUTAG", {}, (152, 18, 18), 7),
        ("AIDS700nef", {}, (420, 140, 140), 29),
        ("LINUX", {}, (600, 200, 200), 1),
        ("brain_bnu1_dti", {"pattern": "*NORM*"}, (50, 8, 14), 84),
        ("brain_abide_aal116", {}, (84, 12, 24), 116),
    ],
)
def test_real_sets(real_data: Path, dataset: str, how: dict[str, Any], sizes: tuple[int, ...], features: int) -> None:
    path = real_data / dataset
    source = load_graphs(str(path) if path.is_dir() else dataset, real_data, **how)
    parts = (source.train, source.valid, source.test)
    assert tuple(len(part) for part in parts) == sizes
    assert source.train.features == features
    for part in parts:
        batch = part.gather(torch.arange(len(part)))
        assert batch.validate(raise_on_error=True)
        assert batch.is_undirected()


def test_the_blood_brain_barrier_has_eleven_smiles_that_rdkit_does_not_take(real_data: Path) -> None:
    pytest.importorskip("rdkit")
    with pytest.warns(UserWarning, match="11 of 2050 SMILES are left out"):
        graphs = read_smiles(real_data / "molecules" / "BBBP.csv")
    assert len(graphs) == 2039
    assert len(graphs.skipped) == 11


NUMBERS = "mol,logp,note\n" + "".join(f"{'C' * (i + 1)}O,{i / 10},n\n" for i in range(40))


def test_numbers_are_compared_where_it_is_said_how_close(tmp_path: Path) -> None:
    table = tmp_path / "m.csv"
    table.write_text(NUMBERS)
    graphs = read_smiles(table, "logp", close=0.25)
    assert graphs.names[:2] == ("CO", "CCO")  # the column mol is known by its name
    pairs = graphs.fixed_pairs(400, seed=1)
    assert graphs.numbers is not None
    gap = (graphs.numbers[pairs.a] - graphs.numbers[pairs.b]).abs()
    assert torch.equal(pairs.same, gap <= 0.25)
    assert 0 < int(pairs.same.sum()) < 400
    part = graphs.take([3, 1])
    assert part.numbers is not None
    assert part.numbers.tolist() == [0.3, 0.1]
    source = load_graphs(str(table), tmp_path, target="logp", close=0.25)
    assert len(source.train) + len(source.valid) + len(source.test) == 40
    with pytest.raises(ValueError, match="no classes to hold out"):
        load_graphs(str(table), tmp_path, split="classes", target="logp", close=0.25)
    with pytest.raises(ValueError, match=r"close=1 compares numbers, and column 'note' holds 'n'"):
        read_smiles(table, "note", close=1)


def test_the_column_of_smiles_is_chosen_or_asked_for_with_a_few_names(tmp_path: Path) -> None:
    table = tmp_path / "m.csv"
    many = ",".join(f"d{i}" for i in range(300))
    table.write_text(f"drug,active,{many}\n" + "".join(f"{'C' * i}N,{i % 2},{'0,' * 299}0\n" for i in range(1, 9)))
    with pytest.raises(
        ValueError, match=r"--smiles COLUMN says which; RDKit reads drug; found .* and 294 more"
    ) as told:
        read_smiles(table, "active")
    assert len(str(told.value)) < 400
    assert len(read_smiles(table, "active", "drug")) == 8
    table.write_text("mol,molecule,active\nCO,CN,0\nCC,CCN,1\n")
    with pytest.raises(ValueError, match="RDKit reads mol, molecule"):
        read_smiles(table, "active")
