"""Real data for the measurements of robust explanations: tables, and connectomes as aligned edges, each with a small
Siamese net of its own.
"""

from __future__ import annotations

import gzip
import os
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import torch
from torch import Tensor

from xsiamese import SiameseModel
from xsiamese.data.columns import Columns
from xsiamese.data.pairs import ClassIndex
from xsiamese.data.tabular import Table
from xsiamese.data.targets import CloseIndex, closeness_width, target_of
from xsiamese.zoo.tabular import siamese_mlp

DATA = Path(os.environ.get("XSIAMESE_DATA", Path(__file__).parents[3] / "shared" / "data"))
UCI = {
    "wine": (
        "fixed acidity",
        "volatile acidity",
        "citric acid",
        "residual sugar",
        "chlorides",
        "free SO2",
        "total SO2",
        "density",
        "pH",
        "sulphates",
        "quality",
        "alcohol",
    ),
    "concrete": (
        "cement",
        "slag",
        "fly ash",
        "water",
        "superplasticizer",
        "coarse aggregate",
        "fine aggregate",
        "age",
        "strength",
    ),
}
Index = ClassIndex | CloseIndex


@dataclass(frozen=True)
class Problem:
    """Rows of a set, split, and what makes two of them alike.

    Attributes:
        name: of the set.
        units: the names of the features.
        train, test: standardised rows, shape (rows, units).
        train_index, test_index: which rows are alike.
        task: in words.
        noise: the standard deviation of what is added to training rows, for sets with more features than rows.
    """

    name: str
    units: tuple[str, ...]
    train: Tensor
    test: Tensor
    train_index: Index
    test_index: Index
    task: str
    noise: float = 0.0

    def net(self) -> SiameseModel:
        """An untrained net for it."""
        return siamese_mlp(len(self.units), hidden=32, dimensions=8)


def uci(name: str) -> Table:
    """A table of UCI with its names (the files have none, and their columns are centred)."""
    path = DATA / "tabular_uci" / name / "data.csv.gz"
    with gzip.open(path, "rt") as file:
        rows = [line.strip().split(",") for line in file]
    return Table(
        path,
        {column: tuple(row[i] for row in rows) for i, column in enumerate(UCI[name])},
        tuple(range(1, len(rows) + 1)),
    )


def adsorption() -> Table:
    """The first sheet of the adsorption energies: 295 species on platinum facets."""
    path = DATA / "tabular_adsorption" / "Dataset.xlsx"
    space = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    with zipfile.ZipFile(path) as file:
        shared = [
            "".join(t.text or "" for t in item.iter(f"{space}t"))
            for item in ElementTree.fromstring(file.read("xl/sharedStrings.xml"))
        ]
        sheet = ElementTree.fromstring(file.read("xl/worksheets/sheet1.xml"))

    def text(cell: ElementTree.Element) -> str:
        value = cell.findtext(f"{space}v") or ""
        return shared[int(value)] if cell.get("t") == "s" else value

    head, *rows = [[text(cell) for cell in row] for row in sheet.iter(f"{space}row")]
    rows = [row for row in rows if len(row) == len(head) and all(row)]
    return Table(
        path, {name: tuple(row[i] for row in rows) for i, name in enumerate(head)}, tuple(range(2, len(rows) + 2))
    )


def of_table(name: str, table: Table, target: str, seed: int, close: float = 0.2) -> Problem:
    """Rows of a table; 30 % of them are for testing."""
    order = torch.randperm(len(table), generator=torch.Generator().manual_seed(seed)).tolist()
    cut = round(0.7 * len(order))
    found = target_of(table, target)
    features = table.without([target])
    columns = Columns.of_table(features.take(order[:cut]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parts = [columns(features.take(part)) for part in (order[:cut], order[cut:])]
        if found.numbers is None:
            index: list[Index] = [ClassIndex(found.labels[part]) for part in (order[:cut], order[cut:])]
            task = f"same {target} ({len(found.classes)} classes)"
        else:
            width = closeness_width(found.numbers[order[:cut]], close)
            index = [CloseIndex(found.numbers[part], width) for part in (order[:cut], order[cut:])]
            task = f"{target} within {width:.3g} (the closest {close:.0%} of pairs)"
    return Problem(name, columns.features, parts[0], parts[1], index[0], index[1], task)


def of_edges(
    name: str,
    matrices: Tensor,
    labels: Tensor,
    groups: Tensor,
    task: str,
    seed: int,
    most: int = 60,
    noise: float = 0.0,
) -> Problem:
    """Connectomes as the edges that differ most between training subjects, or between their classes where there are
    two; subjects are split as a whole.

    Args:
        name, task: of the set.
        matrices: shape (subjects, regions, regions), symmetric.
        labels: what makes two alike, shape (subjects,).
        groups: who must not be on both sides of the split, shape (subjects,).
        seed: of the split.
        most: how many edges are taken.
        noise: see :class:`Problem`.
    """
    i, j = torch.triu_indices(matrices.shape[1], matrices.shape[1], 1)
    edges = matrices[:, i, j]
    who = torch.unique(groups)
    kept = who[torch.randperm(len(who), generator=torch.Generator().manual_seed(seed))][: round(0.65 * len(who))]
    train = torch.isin(groups, kept)
    worth = edges[train].var(0)
    if len(torch.unique(labels)) == 2:
        worth = (edges[train & (labels == 1)].mean(0) - edges[train & (labels == 0)].mean(0)).abs() / edges[train].std(
            0
        )
    chosen = worth.nan_to_num().argsort(descending=True, stable=True)[:most].sort().values
    mean, std = edges[train][:, chosen].mean(0), edges[train][:, chosen].std(0)
    rows = ((edges[:, chosen] - mean) / std).float()
    names = tuple(f"{int(i[e])}-{int(j[e])}" for e in chosen)
    index = [ClassIndex(labels[part]) for part in (train, ~train)]
    return Problem(name, names, rows[train], rows[~train], index[0], index[1], task, noise)


def abide(seed: int) -> Problem:
    """Children with and without autism: Fisher's z of the correlations of 116 regions."""
    from scipy.io import loadmat

    files = sorted((DATA / "brain_abide_aal116").rglob("*.mat"))
    matrices = torch.stack([torch.from_numpy(loadmat(f)["data"]).double() for f in files])
    labels = torch.tensor([int("patient" in f.name) for f in files])
    return of_edges(
        "abide",
        torch.atanh(matrices.nan_to_num().clamp(-0.999, 0.999)),
        labels,
        torch.arange(len(files)),
        "same diagnosis",
        seed,
        noise=2.0,
    )


def dti(seed: int) -> Problem:
    """People scanned twice: the logarithm of the numbers of streamlines between 84 regions."""
    import numpy as np

    files = sorted(f for f in (DATA / "brain_bnu1_dti").rglob("*_FULL_*.txt") if "NORM" not in f.name)
    matrices = torch.stack([torch.from_numpy(np.loadtxt(f)) for f in files])
    people = sorted({f.parts[-3].split("_")[0] for f in files})
    labels = torch.tensor([people.index(f.parts[-3].split("_")[0]) for f in files])
    return of_edges("dti", matrices.log1p(), labels, labels, "same person", seed)


PROBLEMS: dict[str, Callable[[int], Problem]] = {
    "wine": lambda seed: of_table("wine", uci("wine"), "alcohol", seed),
    "concrete": lambda seed: of_table("concrete", uci("concrete"), "strength", seed),
    "adsorption": lambda seed: of_table("adsorption", adsorption().without(["E_ads", "Adsorbate"]), "E_bind", seed),
    "abide": abide,
    "dti": dti,
}


def trained(
    problem: Any, seed: int, steps: int = 800, rows: int = 128, weight_decay: float = 1e-2, rate: float = 5e-3
) -> SiameseModel:
    """A small Siamese net for rows or graphs, trained on fresh pairs for seconds."""
    torch.manual_seed(seed)
    model = problem.net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        anchors = torch.randint(len(problem.train), (rows,), generator=generator)
        a, b, same = problem.train_index.pairs(anchors, generator)
        sides = [problem.train[side] for side in (a, b)]
        if problem.noise:
            sides = [side + problem.noise * torch.randn(side.shape, generator=generator) for side in sides]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(*sides), same.float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval()


def auc_of(problem: Any, model: SiameseModel, pairs: int = 4000) -> float:
    """The ROC-AUC of the model on test pairs, half of them same."""
    from sklearn.metrics import roc_auc_score

    generator = torch.Generator().manual_seed(0)
    a, b, same = problem.test_index.pairs(torch.randint(len(problem.test), (pairs,), generator=generator), generator)
    with torch.no_grad():
        return float(roc_auc_score(same.numpy(), model(problem.test[a], problem.test[b]).numpy()))
