"""``xsiamese train`` on graphs: what is written, resumed runs, losses and metrics by hand, bad input."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

pytest.importorskip("torch_geometric", reason='graphs need pip install "xsiamese[graph]"')

from torch_geometric.data import Batch, Data

from tests.conftest import Killer
from xsiamese import PairInputXGradient, SiameseModel
from xsiamese.cli import app
from xsiamese.data.ged import graded
from xsiamese.data.graphs import LabelledGraphs
from xsiamese.model.pair import PairModel
from xsiamese.training import losses
from xsiamese.training.inputs import Ready
from xsiamese.training.modality import modality
from xsiamese.training.ranking import precision, rank
from xsiamese.training.run import loaded, train
from xsiamese.training.settings import Settings
from xsiamese.zoo import find_card, load, save
from xsiamese.zoo.encoders import GraphEncoder

WRITTEN = {".safetensors", "-metrics.json", "-metrics.txt", "-stats.png"}
EMBEDDED = {"-training-set-embedding.png", "-testing-set-embedding.png"}


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A TUDataset of rings (class 0) and stars (class 1) of 4 to 7 nodes, and graphs with edit distances."""
    root = tmp_path_factory.mktemp("toys")
    raw = root / "RINGS" / "raw"
    raw.mkdir(parents=True)
    edges, indicator, labels, start = [], [], [], 1
    for i in range(60):
        n = 4 + i // 2 % 4
        pairs = [(j, (j + 1) % n) for j in range(n)] if i % 2 else [(0, j) for j in range(1, n)]
        edges += [f"{start + u}, {start + v}\n{start + v}, {start + u}" for u, v in pairs]
        indicator += [str(i + 1)] * n
        labels.append(str(i % 2))
        start += n
    for key, rows in {"A": edges, "graph_indicator": indicator, "graph_labels": labels}.items():
        (raw / f"RINGS_{key}.txt").write_text("\n".join(rows) + "\n")
    sizes = 2 + np.arange(40) % 5
    for i, n in enumerate(sizes.tolist()):
        folder = root / "LINUX" / ("test" if i >= 30 else "train")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{i}.json").write_text(
            json.dumps({"n": n, "m": n - 1, "labels": None, "graph": [[j, j + 1] for j in range(n - 1)]})
        )
    np.savez(root / "LINUX" / "ged.npz", ids=np.arange(40), ged=(2 * np.abs(sizes[:, None] - sizes)).astype(np.uint8))
    generator = torch.Generator().manual_seed(0)
    own = torch.rand(12, 1, 10, 10, generator=generator) + 0.1 * torch.rand(12, 2, 10, 10, generator=generator)
    for i, matrix in enumerate(((own + own.mT) / 2).flatten(0, 1)):
        (root / "brains").mkdir(exist_ok=True)
        np.savetxt(root / "brains" / f"sub-{i // 2:02}_ses-{i % 2}.txt", matrix)
    return root


def quick(network: str, dataset: str, toys: Path, output: Path) -> Settings:
    given = {"test": 0.3} if dataset == "RINGS" else {}
    return Settings(
        network,
        dataset,
        data=toys,
        output=output,
        epochs=3,
        batch_size=16,
        device="cpu",
        progress=False,
        valid=0.2,
        **given,
    )


def call(*words: str) -> None:
    app(words, result_action="return_value")


@pytest.mark.parametrize("network", ["siamese-gin", "simgnn", "graph-matching"])
def test_same_or_different(network: str, toys: Path, tmp_path: Path) -> None:
    trained = train(
        replace(
            quick(network, "RINGS", toys, tmp_path),
            epochs=8,
            animation=True,
            arguments={"comparison": "euclidean"} if network == "siamese-gin" else {},
        )
    )
    gif = {"-latent-space-development.gif"} if network == "siamese-gin" else set()
    expected = WRITTEN | (set() if network == "graph-matching" else EMBEDDED | {"-latent-space-development.gif"} | gif)
    assert {path.name.removeprefix(f"{network}-RINGS") for path in trained.files} == expected
    metrics = json.loads((tmp_path / f"{network}-RINGS-metrics.json").read_text())
    assert metrics["roc_auc"] > 0.9
    assert metrics["test_graphs"] == 18
    assert metrics["calibration"]["on"] == "validation graphs"
    assert len(metrics["history"]["valid_loss"]) == 8
    found = load(trained.files[0])
    a, b = (
        LabelledGraphs.of(
            [Data(edge_index=torch.tensor([[0, 1], [1, 0]]), num_nodes=n)], torch.zeros(1), ("x",)
        ).gather(torch.tensor([0]))
        for n in (2, 5)
    )
    assert torch.equal(found.model(a, b), trained.model(a, b))
    if network != "simgnn":
        assert found.model.comparison.threshold_ == metrics["threshold"]  # type: ignore[union-attr, attr-defined]
    assert found.about["dataset"] == "RINGS"


@pytest.mark.parametrize("network", ["siamese-gcn", "simgnn", "graph-matching"])
def test_how_alike(network: str, toys: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--epochs", "4", "--batch-size", "64", "--data", str(toys), "--device", "cpu"]
    call("train", network, "LINUX", *words, "--output", str(tmp_path))
    names = {path.name.removeprefix(f"{network}-LINUX") for path in tmp_path.iterdir() if path.is_file()}
    assert names == WRITTEN | {"-similarities.png"} | (set() if network == "graph-matching" else EMBEDDED)
    metrics = json.loads((tmp_path / f"{network}-LINUX-metrics.json").read_text())
    assert (metrics["test_pairs"], metrics["train_graphs"], metrics["valid_graphs"]) == (10 * 22, 22, 8)
    assert -1 <= metrics["spearman"] <= 1
    assert metrics["history"]["train_loss"][-1] < metrics["history"]["train_loss"][0]
    assert "precision at 10" in capsys.readouterr().out


def test_the_training_graphs_say_how_simgnn_starts(toys: Path, tmp_path: Path) -> None:
    settings = quick("simgnn", "LINUX", toys, tmp_path)
    source = loaded(settings)
    n = source.train.sizes.double()
    mean = torch.exp(-4 * (n[:, None] - n).abs() / (n[:, None] + n)).mean()
    assert modality(settings).arguments(source) == {
        "inputs": 1,
        "mean": pytest.approx(float(mean)),
        "standardise": True,
    }
    assert modality(quick("siamese-gcn", "LINUX", toys, tmp_path)).arguments(source) == {"inputs": 1}
    edge = Data(x=torch.eye(2), edge_index=torch.tensor([[0], [1]]))
    equal = graded("equal", [edge] * 4, torch.zeros(4, 4), torch.arange(4) > 2, valid=0.3)
    assert modality(settings).arguments(equal) == {"inputs": 2, "mean": pytest.approx(0.99), "standardise": False}


def test_brains(toys: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "--epochs",
        "4",
        "--batch-size",
        "8",
        "--valid-size",
        "0.2",
        "--test-size",
        "0.3",
        "--neighbours",
        "3",
        "--output",
        str(tmp_path),
    ]
    call("train", "brain-gcn", str(toys / "brains"), *words, "--device", "cpu")
    metrics = json.loads((tmp_path / "brain-gcn-brains-metrics.json").read_text())
    assert metrics["test_graphs"] == 8
    assert metrics["roc_auc"] > 0.9
    found = load(tmp_path / "brain-gcn-brains.safetensors")
    assert found.about["graphs"]["reading"] == {"neighbours": 3}
    assert "roc auc" in capsys.readouterr().out


def test_a_resumed_training_ends_where_an_uninterrupted_one_does(
    toys: Path, tmp_path: Path, killed_in_epoch: Killer
) -> None:
    how = quick("siamese-gin", "RINGS", toys, tmp_path / "whole")
    whole = train(how)
    with killed_in_epoch(2), pytest.raises(RuntimeError, match="killed"):
        train(replace(how, output=tmp_path / "parts"))
    torch.rand(7)
    parts = train(replace(how, output=tmp_path / "parts", resume=True))
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, parts.model.state_dict()[name]), name
    assert whole.metrics == parts.metrics


def test_a_loss_that_is_not_finite_saves_the_graphs(
    toys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses.Graded, "forward", lambda *_: torch.tensor(torch.nan))
    for network, names in (("siamese-gcn", {"inputs.x", "inputs.edge_index"}), ("simgnn", {"a.x", "b.edge_index"})):
        with pytest.raises(FloatingPointError, match="the loss is nan"):
            train(quick(network, "LINUX", toys, tmp_path))
        from safetensors.torch import load_file

        assert names < set(load_file(tmp_path / f"{network}-LINUX-nan-batch.safetensors"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("siamese-gcn", "MUTAGG"), "no set of graphs is called 'MUTAGG' .* did you mean MUTAG"),
        (
            ("brain-gcn", "RINGS"),
            "brain-gcn compares brains region by region, and RINGS has graphs of 4 to 7 nodes: use siamese-gcn",
        ),
        (("siamese-gcn", "RINGS", "--pattern", "x"), "pattern='x' has no meaning for a TUDataset"),
        (
            ("siamese-gcn", "RINGS", "--backbone", "resnet18"),
            "siamese-gcn takes no backbone .* it takes inputs, conv, hidden",
        ),
        (("simgnn", "RINGS", "--readout", "sum"), "simgnn takes no readout .* it takes inputs, bins"),
        (("siamese-gcn", "RINGS", "--comparison", "cosin"), "no comparison is called 'cosin'; did you mean 'cosine'"),
        (
            ("siamese-contrastive", "RINGS", "--density", "0.1"),
            "density=0.1 says how other data are read than siamese-contrastive's images",
        ),
        (
            ("siamese-gin", "LINUX", "--test-size", "0.5"),
            "test_size=0.5 has no meaning for a set whose test graphs are given",
        ),
        (("siamese-gin", "RINGS", "--valid-size", "0.7", "--test-size", "0.6"), "leave nothing to train on"),
    ],
)
def test_bad_words_are_told(words: tuple[str, ...], told: str, toys: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=told) as caught:
        call("train", *words, "--data", str(toys), "--output", str(tmp_path))
    assert "\n" not in str(caught.value)


def test_logistic_by_hand() -> None:
    generator = torch.Generator().manual_seed(0)
    z_a, z_b = torch.randn(2, 3, 4, generator=generator)
    same = torch.tensor([1.0, 0.0, 0.0])
    loss = losses.Logistic(2.0, 0.5)
    for name, sign in (("dot", 1), ("squared_euclidean", -1)):
        model = SiameseModel(nn.Identity(), name)
        chance = torch.sigmoid(2 * sign * model.compare(z_a, z_b) + 0.5)
        by_hand = -(chance[0].log() + (1 - chance[1:]).log().mean()) / 2
        assert float(loss(model, torch.cat([z_a, z_b]), same).detach()) == pytest.approx(float(by_hand), rel=1e-4)
        classes = torch.tensor([0, 1, 1, 0, 2, 1])
        z = torch.cat([z_a, z_b])
        pairs = [(i, j) for i in range(6) for j in range(i)]
        alike = torch.tensor([bool(classes[i] == classes[j]) for i, j in pairs])
        chance = torch.stack(
            [torch.sigmoid(2 * sign * model.compare(z[i : i + 1], z[j : j + 1])[0] + 0.5) for i, j in pairs]
        )
        by_hand = -(chance[alike].log().mean() + (1 - chance[~alike]).log().mean()) / 2
        assert float(loss(model, z, same, classes).detach()) == pytest.approx(float(by_hand), rel=1e-4)


class Sizes(PairModel):
    """Knows the right answer for paths: exp(-2 GED / (n + m)), with GED = 2 |n - m|."""

    def __init__(self, sign: float) -> None:
        super().__init__()
        self.sign = nn.Parameter(torch.tensor(sign))

    def forward(self, a: Data, b: Data, *extra: object) -> Tensor:
        n, m = (torch.bincount(side.batch, minlength=side.num_graphs).float() for side in (a, b))
        return torch.exp(self.sign * 4 * (n - m).abs() / (n + m))


def test_ranking_by_hand() -> None:
    sizes = torch.tensor([2, 3, 4, 5, 6, 7, 8, 9])
    paths = [
        Data(edge_index=torch.stack([torch.arange(n - 1), torch.arange(1, n)]), num_nodes=n) for n in sizes.tolist()
    ]
    source = graded("paths", paths, 2 * (sizes[:, None] - sizes).abs().float(), torch.arange(8) >= 5, valid=0.2)
    right, wrong = (rank(Sizes(sign), source.test, source.train, Ready(), batch=5) for sign in (-1.0, 1.0))
    assert right["spearman"] == pytest.approx(1.0)
    assert right["kendall"] == pytest.approx(1.0)
    assert right["mse"] < 1e-12
    assert right["precision_at_10"] == 1.0
    assert wrong["spearman"] == pytest.approx(-1.0)
    assert right["test_pairs"] == 12
    constant = rank(Sizes(0.0), source.test, source.train, Ready())
    assert (constant["spearman"], constant["kendall"], constant["spearman_of_all"]) == (0.0, 0.0, 0.0)
    found, true = torch.tensor([0.9, 0.8, 0.1, 0.2]), torch.tensor([0.5, 0.1, 0.5, 0.4])
    assert precision(found, true, 2) == 0.5  # the two closest are 0 and 2, found are 0 and 1


def checkpoint(
    path: Path,
    kind: str,
    place: Path,
    name: str = "siamese-gin",
    reading: dict[str, object] | None = None,
    **arguments: int,
) -> Path:
    torch.manual_seed(0)
    card = find_card(name)
    about = {"graphs": {"kind": kind, "place": str(place), "reading": reading or {}}}
    return save(path, card.build(**{**card.defaults, **arguments}), name, arguments, about)


def test_graphs_are_explained_from_the_command_line(
    toys: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("rdkit")
    brain, places = toys / "brains", {"collected": toys / "RINGS", "edited": toys / "LINUX"}
    cases = [
        ("collected", ("0", "3"), {"inputs": 1}),
        ("edited", ("7", str(toys / "LINUX" / "train" / "1.json")), {"inputs": 1}),
    ]
    for kind, words, arguments in cases:
        model = checkpoint(tmp_path / f"{kind}.safetensors", kind, places[kind], **arguments)
        call(
            "explain",
            *words,
            "--model",
            str(model),
            "--method",
            "input_x_gradient",
            "-o",
            str(tmp_path / f"{kind}.png"),
        )
    model = checkpoint(tmp_path / "smiles.safetensors", "smiles", tmp_path, inputs=177)
    call(
        "explain", "CCO", "c1ccccc1O", "--model", str(model), "--method", "saliency", "-o", str(tmp_path / "smiles.png")
    )
    model = checkpoint(
        tmp_path / "matrices.safetensors", "matrices", brain, "brain-gcn", {"neighbours": 3}, inputs=10, regions=10
    )
    scans = str(brain / "sub-00_ses-0.txt"), str(brain / "sub-03_ses-1.txt")
    call(
        "explain",
        *scans,
        "--model",
        str(model),
        "--method",
        "integrated_gradients",
        "-o",
        str(tmp_path / "matrices.png"),
    )
    assert len(list(tmp_path.glob("*.png"))) == 4
    assert "CCO - c1ccccc1O: " in capsys.readouterr().out
    call("explain", *scans, "--model", str(model), "--method", "saliency", "--json")
    printed = json.loads(capsys.readouterr().out)
    assert [len(printed["strongest"][side]) for side in "ab"] == [3, 3]  # saliency has no direction
    assert printed["ids"] == ["sub-00_ses-0.txt", "sub-03_ses-1.txt"]


@pytest.mark.parametrize(
    ("kind", "word", "told"),
    [
        ("collected", "60", "'60': the number of a graph of .*RINGS, 0 to 59, is needed"),
        ("collected", "x", "the number of a graph"),
        ("edited", "x", "x is no JSON file of a graph, and none of .*LINUX is called so"),
        ("smiles", "C1CC", "'C1CC' is no SMILES that RDKit takes"),
        ("matrices", "x.txt", r"x\.txt cannot be read as a matrix"),
    ],
)
def test_graphs_that_are_not_there_are_told(kind: str, word: str, told: str, toys: Path, tmp_path: Path) -> None:
    pytest.importorskip("rdkit")
    model = checkpoint(tmp_path / "m.safetensors", kind, toys / {"edited": "LINUX"}.get(kind, "RINGS"), inputs=1)
    with pytest.raises(ValueError, match=told):
        call("explain", word, word, "--model", str(model), "--method", "saliency")


def test_a_checkpoint_that_says_nothing_of_its_graphs(tmp_path: Path) -> None:
    model = save(tmp_path / "m.safetensors", find_card("siamese-gcn").build(), "siamese-gcn")
    with pytest.raises(ValueError, match="does not say what graphs it was trained on"):
        call("explain", "0", "1", "--model", str(model), "--method", "saliency")
    model = checkpoint(
        tmp_path / "s.safetensors", "matrices", tmp_path, "brain-gcn", {"shared": True}, inputs=10, regions=10
    )
    with pytest.raises(ValueError, match="trained with --shared"):
        call("explain", "a.txt", "b.txt", "--model", str(model), "--method", "saliency")


def test_the_strongest_nodes_and_the_picture_of_several_pairs() -> None:
    rings = [
        Data(x=torch.arange(n).float()[:, None], edge_index=torch.stack([torch.arange(n), (torch.arange(n) + 1) % n]))
        for n in (3, 5)
    ]
    a, b = Batch.from_data_list(rings), Batch.from_data_list(rings[::-1])

    def total(a: Data, b: Data) -> Tensor:
        return torch.zeros(2).index_add(0, a.batch, a.x[:, 0] ** 2) - torch.zeros(2).index_add(0, b.batch, b.x[:, 0])

    why = PairInputXGradient(total).explain((a, b))
    first, second = why.top(2)
    assert [cell.place for cell in first[0]] == [(2,), (1,)]
    assert [cell.value for cell in second[0]] == [32.0, 18.0]
    assert [cell.value for cell in why.top(1, largest="apart")[0][1]] == [-4.0]
    assert len(why.plot().axes) >= 4
    with pytest.raises(ValueError, match="explain the nodes"):
        PairInputXGradient(SiameseModel(GraphEncoder(1))).explain((a, b), parts=("edges",)).top()


@pytest.mark.slow
def test_the_matching_network_learns_edit_distances(real_data: Path, tmp_path: Path) -> None:
    trained = train(
        Settings("graph-matching", "LINUX", data=real_data, output=tmp_path, epochs=1, device="cpu", progress=False)
    )
    assert trained.metrics["spearman"] > 0.9
    assert trained.metrics["mse"] < 5e-3
