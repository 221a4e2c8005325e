"""The scoreboard's sets of real data: pairs of items that no model was trained on, small models trained here in a
minute each, and the truth where there is one.

The data are read from ``XSIAMESE_DATA``, ``../shared/data`` if left out; a set whose folder is not there is left out. A
trained model is kept in ``SCOREBOARD_MODELS``, a folder of the system's temporary files if left out.
"""

from __future__ import annotations

import csv
import os
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import trange

from xsiamese import SiameseModel
from xsiamese.data.planted import PlantedPairs
from xsiamese.data.truths import edge_truth, formula_truth, shared_atoms
from xsiamese.data.typical import typical_rows

DATA = Path(os.environ.get("XSIAMESE_DATA", Path(__file__).parents[3] / "shared" / "data"))
MODELS = Path(os.environ.get("SCOREBOARD_MODELS", Path(tempfile.gettempdir()) / "xsiamese-scoreboard"))
FOLDERS = {
    "mnist": "mnist",
    "faces": "orl_faces",
    "flowers": "flowers",
    "mutagenicity": "tudataset/Mutagenicity/raw",
    "molecules": "molecules",
    "concrete": "tabular_uci/concrete",
    "adsorption": "tabular_adsorption",
    "connectomes": "brain_bnu1_dti",
}
KINDS = {"mutagenicity": "graph", "molecules": "graph", "connectomes": "graph", "concrete": "row", "adsorption": "row"}
TRUE = ("mutagenicity", "molecules", "concrete", "adsorption")  # whose truth is known
STEPS = {"mnist": 300, "faces": 300, "flowers": 400, "mutagenicity": 600, "molecules": 600, "connectomes": 200}
ABRAMS, AGEING = (96.55, 8.2), (4.0, 0.85)  # MPa by water and binder (Abrams 1918), and by days (ACI 209R-92)
MEANS = torch.tensor([281.17, 73.90, 54.19, 181.57, 6.20, 972.92, 773.58, 45.66])  # that the file's columns are without

Take = Callable[[Tensor], Any]


@dataclass(frozen=True)
class Real:
    """One set.

    Attributes:
        take: the items of some indices, as the model takes them.
        alike: how alike two items of these indices should be, shape (n, m).
        train, held: which items train and which are explained.
        encoder: untrained.
        names: what the truth of a pair is looked up by: SMILES, edges, rows.
        truth: of both sides of pairs of indices, or None.
    """

    take: Take
    alike: Callable[[Tensor, Tensor], Tensor]
    train: Tensor
    held: Tensor
    encoder: Callable[[], nn.Module]
    truth: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None
    judged: Tensor | None = None  # what the model is judged by, where that is not what is explained
    kinds: Callable[[Tensor], Tensor] | None = None  # of rows: what an explanation may start from


def here(name: str) -> bool:
    """Whether a set's data are there."""
    return (DATA / FOLDERS[name]).is_dir()


def pairs_of(name: str, count: int, seed: int) -> PlantedPairs:
    """Held-out items, the most alike pairs of a random choice, with an unlike partner of each a as ``twins``."""
    made = real(name)
    generator = torch.Generator().manual_seed(seed)
    middle = len(made.held) // 2  # what settings are chosen on is not what the table shows
    half = made.held[:middle] if seed % 2 else made.held[middle:]
    first = half[torch.randperm(len(half), generator=generator)][: 4 * count]
    near = made.alike(first, half)
    near[first[:, None] == half[None]] = -1.0
    far = torch.where(near < 0, 2.0, near)
    best = near.max(1).values.sort(descending=True, stable=True).indices[:count]
    a, b, other = first[best], half[near.argmax(1)[best]], half[far.argmin(1)[best]]
    if KINDS.get(name) == "row":  # what a formula makes of two rows is a question where it tells them apart
        b = half[torch.randint(len(half), (len(a),), generator=generator)]
    truth = made.truth(a, b) if made.truth else (torch.zeros(0), torch.zeros(0))
    return PlantedPairs(
        made.take(a), made.take(b), truth, torch.ones(len(a), dtype=torch.bool), twins=made.take(other), name=name
    )


@cache
def model_of(name: str) -> SiameseModel:
    """The trained model."""
    made, path = real(name), MODELS / f"{name}.pt"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = SiameseModel(made.encoder(), "cosine")
        made_before = path.is_file()
        if made_before:
            model.load_state_dict(torch.load(path, weights_only=True))
        else:
            _train(model, made, STEPS.get(name, 1500), name)
            MODELS.mkdir(parents=True, exist_ok=True)
            torch.save(model.state_dict(), path)
    if made.kinds is not None:
        model.typical = typical_rows(made.kinds(made.train))
    return model.eval()


def quality(name: str) -> float:
    """How well the model tells alike from unlike pairs of held-out items: the area under the ROC curve."""
    made, model = real(name), model_of(name)
    held = made.judged if made.judged is not None else made.held[:200]
    with torch.no_grad():
        z = nn.functional.normalize(model.encode(made.take(held)), dim=1)
    i, j = torch.combinations(torch.arange(len(held))).T
    score, alike = (z @ z.T)[i, j], made.alike(held, held)[i, j]
    near = alike > 0.5 if bool((alike > 0.5).any()) else alike >= alike.quantile(0.9)
    order = score.argsort().argsort().double()
    n, m = int(near.sum()), int((~near).sum())
    return float((order[near].sum() - n * (n - 1) / 2) / (n * m))


def _train(model: SiameseModel, made: Real, steps: int, name: str) -> None:
    """The cosine of two items learns how alike they are."""
    generator = torch.Generator().manual_seed(0)
    optimiser = torch.optim.Adam(model.train().parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
    size = min(48, len(made.train))
    off = ~torch.eye(size, dtype=torch.bool)
    for _ in trange(steps, desc=name, leave=False):
        chosen = made.train[torch.randperm(len(made.train), generator=generator)[:size]]
        z = nn.functional.normalize(model.encode(made.take(chosen)), dim=1)
        loss = ((z @ z.T - made.alike(chosen, chosen))[off] ** 2).mean()
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        schedule.step()


@cache
def real(name: str) -> Real:
    """A set by its name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found: Real = globals()[f"_{name}"]()
    return found


def _same(labels: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda i, j: (labels[i][:, None] == labels[j][None]).float()


def _convolutions(channels: int, widths: tuple[int, int, int] = (8, 16, 32)) -> nn.Module:
    layers: list[nn.Module] = []
    for inputs, outputs in zip((channels, *widths), widths, strict=False):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers[:-1], nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], 32))


def _mnist() -> Real:
    from torchvision.datasets import MNIST

    parts = [MNIST(DATA / "mnist", train=train, download=False) for train in (True, False)]
    images = torch.cat([part.data[:n] for part, n in zip(parts, (5000, 500), strict=True)])[:, None].float() / 255
    labels = torch.cat([part.targets[:n] for part, n in zip(parts, (5000, 500), strict=True)])
    places = torch.arange(len(labels))
    return Real(images.__getitem__, _same(labels), places[:5000], places[5000:], lambda: _convolutions(1))


def _pictures(folder: str, size: tuple[int, int], channels: int, held: Callable[[Tensor, Tensor], Tensor]) -> Real:
    from xsiamese.data.folders import read_folders
    from xsiamese.zoo import Preprocessing

    one = Preprocessing(size, channels, (0.5,) * channels, (0.25,) * channels)
    found = read_folders(DATA / folder, one)
    images, places = one.normalise(found.images), torch.arange(len(found.labels))
    out = held(found.labels, places)
    return Real(images.__getitem__, _same(found.labels), places[~out], places[out], lambda: _convolutions(channels))


def _faces() -> Real:
    """Ten people are left for the pairs."""
    return _pictures("orl_faces", (56, 46), 1, lambda labels, _: labels >= int(labels.max()) + 1 - 10)


def _flowers() -> Real:
    """Every fourth photograph is left for the pairs."""
    return _pictures("flowers", (64, 64), 3, lambda _, places: places % 4 == 0)


def _graphs(inputs: int, weighted: bool = False) -> Callable[[], nn.Module]:
    from xsiamese.zoo.encoders import GraphEncoder

    return lambda: GraphEncoder(inputs, "gcn" if weighted else "gin", 32, dimensions=32)


def _mutagenicity() -> Real:
    """Mutagenic or not; the pairs are two mutagens, and the truth their nitro and amino groups."""
    from xsiamese.data.graph_sets import read_tu

    folder = DATA / FOLDERS["mutagenicity"]
    graphs, bonds = read_tu(folder.parent, "Mutagenicity"), edge_truth(folder)
    marked = torch.tensor([bool(truth.any()) for _, truth in bonds])
    places = torch.randperm(len(graphs), generator=torch.Generator().manual_seed(0))

    def nodes(chosen: Tensor) -> Tensor:
        found = []
        for i in chosen.tolist():
            edges, truth = bonds[i]
            one = torch.zeros(int(graphs.nodes[i + 1] - graphs.nodes[i]), dtype=torch.long)
            one[edges[:, truth > 0].flatten()] = 1
            found.append(one)
        return torch.cat(found)

    held = places[3000:]
    return Real(
        graphs.gather,
        _same(graphs.labels),
        places[:3000],
        held[marked[held] & (graphs.labels[held] == 0)],
        _graphs(graphs.x.shape[1]),
        lambda a, b: (nodes(a), nodes(b)),
        held[:400],
    )


def _molecules() -> Real:
    """How alike two molecules of ESOL are by their Morgan fingerprints; the truth is their largest common part."""
    from rdkit import Chem, DataStructs
    from rdkit.Chem import rdFingerprintGenerator
    from torch_geometric.data import Batch

    from xsiamese.data.molecules import molecule

    with (DATA / "molecules" / "delaney-processed.csv").open(newline="", encoding="utf-8") as file:
        smiles = [row["smiles"].strip() for row in csv.DictReader(file)]
    graphs = {text: molecule(text) for text in smiles}
    smiles = [text for text in dict.fromkeys(smiles) if graphs[text] is not None and graphs[text].num_nodes >= 8]
    bits = rdFingerprintGenerator.GetMorganGenerator(2, fpSize=1024)
    prints = [bits.GetFingerprint(Chem.MolFromSmiles(text)) for text in smiles]
    alike = torch.tensor([DataStructs.BulkTanimotoSimilarity(one, prints) for one in prints], dtype=torch.float32)
    places = torch.randperm(len(smiles), generator=torch.Generator().manual_seed(0))

    def truth(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        sides = [shared_atoms(smiles[i], smiles[j]) for i, j in zip(a.tolist(), b.tolist(), strict=True)]
        return torch.cat([one for one, _ in sides]), torch.cat([two for _, two in sides])

    return Real(
        lambda chosen: Batch.from_data_list([_plain(graphs[smiles[i]]) for i in chosen.tolist()]),
        lambda i, j: alike[i][:, j].clone(),
        places[: len(places) * 2 // 3],
        places[len(places) * 2 // 3 :],
        _graphs(graphs[smiles[0]].x.shape[1]),
        truth,
    )


def _plain(graph: Any) -> Any:
    """A molecule's atoms and bonds."""
    from torch_geometric.data import Data

    return Data(x=graph.x.float(), edge_index=graph.edge_index)


def _connectomes() -> Real:
    """Whose brain it is; twelve people are left for the pairs."""
    from xsiamese.data.connectomes import load_connectomes

    source = load_connectomes(DATA / "brain_bnu1_dti", pattern="*_FULL_1*", neighbours=10, valid=0.0, test=1 / 3)
    train, test = source.train, source.test

    def take(chosen: Tensor) -> Any:
        known = chosen < len(train)
        return train.gather(chosen) if bool(known.all()) else test.gather(chosen - len(train))

    labels = torch.cat([train.labels, test.labels])
    places = torch.arange(len(labels))
    return Real(
        take, _same(labels), places[: len(train)], places[len(train) :], _graphs(train.x.shape[1], weighted=True)
    )


def _table(rows: Tensor, formula: Callable[[Tensor], Tensor], seed: int = 0) -> Real:
    """How close a formula puts two real rows; the truth is what each column has in that."""
    from xsiamese.zoo.planted import row_model

    mean, spread = rows.mean(0), rows.std(0)
    standard = (rows - mean) / spread
    value = formula(rows)
    value = (value - value.mean()) / value.std()
    places = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))

    def truth(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        parts = formula_truth(formula, rows[a], rows[b])
        least = 0.05 * parts.abs().amax(1, keepdim=True)  # a part that small is none
        signs = torch.where(parts.abs() > least, parts.sign(), 0.0).long()
        return signs, signs

    return Real(
        standard.__getitem__,
        lambda i, j: torch.exp(-2 * (value[i][:, None] - value[j][None]) ** 2),
        places[: len(rows) * 2 // 3],
        places[len(rows) * 2 // 3 :],
        lambda: row_model(rows.shape[1]).encoder,  # type: ignore[return-value]
        truth,
        None,
        standard.__getitem__,
    )


def _concrete() -> Real:
    """Mixtures of UCI's concrete, whose strength is set by Abrams' law of water and binder, and by age."""
    rows = torch.from_numpy(np.loadtxt(DATA / "tabular_uci" / "concrete" / "data.csv.gz", delimiter=",")).float()
    rows = rows[:, :-1] + MEANS

    def strength(rows: Tensor) -> Tensor:
        cement, slag, _, water, _, _, _, days = rows.unbind(1)
        return ABRAMS[0] / ABRAMS[1] ** (water / (cement + slag)) * days / (AGEING[0] + AGEING[1] * days)

    return _table(rows, strength)


def _adsorption() -> Real:
    """Species on platinum, whose binding energy is set by the plane through the measured ones: by their carbons,
    hydrogens and oxygens, and by the site's coordination; the number of the facet and its square do not count.
    """
    path = DATA / "tabular_adsorption" / "gcn_scaling" / "gcn_scaling.csv"
    table = np.genfromtxt(path, delimiter=",", dtype=str, skip_header=1, encoding="utf-8-sig")

    def atoms(species: str, of: str) -> int:
        pieces = species.partition(of)[2]
        return 0 if of not in species else int(pieces[0]) if pieces[:1].isdigit() else 1 + pieces.count(of)

    counts = [[float(atoms(text, of)) for of in "CHO"] for text in table[:, 0]]
    facets = sorted(set(table[:, 1].tolist()))
    facet = torch.tensor([float(facets.index(text)) for text in table[:, 1].tolist()])[:, None]
    site = torch.tensor([float(text) for text in table[:, 2]])[:, None]
    rows = torch.cat([torch.tensor(counts), site, facet, facet**2], 1)
    energy = torch.tensor([float(text) for text in table[:, 3]])
    counting = torch.cat([rows[:, :4], torch.ones(len(rows), 1)], 1)
    plane = torch.linalg.lstsq(counting, energy[:, None]).solution[:, 0]
    return _table(rows, lambda rows: rows[:, :4] @ plane[:4])
