"""Explainers of edges against the NO2 and NH2 groups of Mutagenicity. The part "motifs" of graph_truth.py.

A Siamese GIN learns which molecules are of one class. In a pair of two mutagens with such a group, the group is what
should pull them together; in a
pair of a mutagen with and a nonmutagen without one, it is what should push them apart. So edges are ranked by their
value in the first kind and by its
negative in the second ("signed"), or by its size in both ("size"), and the ranking is compared with the ground truth:
the area under the ROC curve on
the mutagens, a mean over graphs. The truth is what chemists hold to be the cause; that the model has learned it too is
an assumption.
"""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from statistics import mean, pstdev
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch_geometric.data import Batch, Data
from torch_geometric.explain import Explainer, GNNExplainer
from torch_geometric.nn import GIN, global_add_pool
from tqdm import tqdm

import xsiamese
from xsiamese import SiameseModel
from xsiamese.data.truths import edge_truth

Pair = tuple[int, int]
PEERS = ("PyG GNNExplainer, features and edges", "PyG GNNExplainer, edges")


def read(folder: Path) -> tuple[list[Data], Tensor]:
    """The molecules with ``truth`` on their edges, and which are mutagens."""

    def column(name: str) -> np.ndarray[Any, Any]:
        return np.loadtxt(folder / f"Mutagenicity_{name}.txt", delimiter=",", dtype=np.int64)

    owner, labels = torch.from_numpy(column("graph_indicator")) - 1, torch.from_numpy(column("node_labels"))
    mutagen = torch.from_numpy(column("graph_labels")) == 0
    nodes = nn.functional.one_hot(labels, 14).float().split(torch.bincount(owner).tolist())
    known = edge_truth(folder)
    graphs = [Data(x=x, edge_index=edges, truth=truth.bool()) for x, (edges, truth) in zip(nodes, known, strict=True)]
    return graphs, mutagen


class Encoder(nn.Module):
    """GIN, sum over the nodes, one linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.network = GIN(14, 48, 3, norm="batch_norm")
        self.head = nn.Linear(48, 32)

    def forward(self, batch: Any) -> Tensor:
        found: Tensor = self.head(
            global_add_pool(self.network(batch.x, batch.edge_index), batch.batch, batch.num_graphs)
        )
        return found


def trained(graphs: list[Data], mutagen: Tensor, train: list[int], seed: int, epochs: int = 25) -> SiameseModel:
    """A Siamese GIN whose scaled cosine says whether two molecules are of one class: the cross-entropy over all pairs
    of a batch.
    """
    torch.manual_seed(seed)
    model, scale = SiameseModel(Encoder(), "cosine"), nn.Parameter(torch.tensor([5.0, 0.0]))
    optimiser = torch.optim.Adam([*model.parameters(), scale], 3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 5e-3, total_steps=epochs * (len(train) // 128))
    for _ in tqdm(range(epochs), desc="train", leave=False):
        order = torch.tensor(train)[torch.randperm(len(train))]
        for chosen in order.split(128)[: len(train) // 128]:
            z = nn.functional.normalize(model.encode(Batch.from_data_list([graphs[i] for i in chosen.tolist()])))
            same = (mutagen[chosen][:, None] == mutagen[chosen][None]).float()
            off = ~torch.eye(len(chosen), dtype=torch.bool)
            loss = nn.functional.binary_cross_entropy_with_logits((scale[0] * (z @ z.T) + scale[1])[off], same[off])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return model.eval()


def on_edges() -> dict[str, Any]:
    """Every registered explainer that can explain edges of a graph without a layer."""
    return {
        name: cls
        for name, cls in xsiamese.explainers().items()
        if "graph" in cls.modalities and not cls.needs_layer and not cls.needs_threshold and not cls.stochastic
    }


class Branch(nn.Module):
    """One branch as PyG's Explainer takes it: the score with the other embedding held."""

    def __init__(self, model: SiameseModel, other: Tensor) -> None:
        super().__init__()
        self.model, self.other = model, other

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        z = self.model.encode(
            SimpleNamespace(x=x, edge_index=edge_index, batch=torch.zeros(len(x), dtype=torch.long), num_graphs=1)
        )
        return self.model.compare(z, self.other)[:, None]


def by_hand(model: SiameseModel, graph: Data, other: Data, features: bool, epochs: int = 100) -> Tensor:
    """PyG's GNNExplainer on one branch, with a mask of the features beside that of the edges or without."""
    with torch.no_grad():
        held = model.encode(Batch.from_data_list([other]))
    config = {"mode": "regression", "task_level": "graph", "return_type": "raw"}
    explainer = Explainer(
        Branch(model, held),
        GNNExplainer(epochs=epochs),
        explanation_type="model",
        node_mask_type="attributes" if features else None,
        edge_mask_type="object",
        model_config=config,
    )
    mask: Tensor = explainer(graph.x, graph.edge_index).edge_mask
    return mask


def area(values: Tensor, graph: Data) -> float:
    """Area under the ROC curve of one graph's edges, both directions of an edge having their sum."""
    count = int(graph.num_nodes or 0)
    key = graph.edge_index.min(0).values * count + graph.edge_index.max(0).values
    edges, place = torch.unique(key, return_inverse=True)
    total = torch.zeros(len(edges), dtype=torch.float64).index_add_(0, place, values.detach().double().flatten())
    truth = torch.zeros(len(edges)).index_reduce_(0, place, graph.truth.float(), "amax")
    return float(roc_auc_score(truth.numpy(), total.numpy()))


def areas(values: list[tuple[Tensor, Data]], sign: int) -> dict[str, float]:
    return {"signed": mean(area(sign * v, g) for v, g in values), "size": mean(area(v.abs(), g) for v, g in values)}


def explained(name: str, model: SiameseModel, graphs: list[Data], pairs: list[Pair]) -> list[tuple[Tensor, Tensor]]:
    """The edge values of both sides of each pair."""
    if name == "random":
        generator = torch.Generator().manual_seed(0)
        return [
            (torch.rand(graphs[i].num_edges, generator=generator), torch.rand(graphs[j].num_edges, generator=generator))
            for i, j in pairs
        ]
    if name in PEERS:
        features = name == PEERS[0]
        bar = tqdm(pairs, desc=name, leave=False)
        return [
            (by_hand(model, graphs[i], graphs[j], features), by_hand(model, graphs[j], graphs[i], features))
            for i, j in bar
        ]
    sides = tuple(Batch.from_data_list([graphs[pair[k]] for pair in pairs]) for k in (0, 1))
    found = on_edges()[name](model).attribute(sides, parts="edges")
    cut = [
        torch.split(one.edge_mask.detach(), [graphs[pair[k]].num_edges for pair in pairs])
        for k, one in enumerate(found)
    ]
    return list(zip(*cut, strict=True))


def motifs(data: Path, seeds: int, count: int) -> dict[str, Any]:
    """The table: for each explainer and each kind of pair the areas, mean and spread over seeds."""
    graphs, mutagen = read(data / "tudataset" / "Mutagenicity" / "raw")
    some = torch.tensor([bool(g.truth.any()) and not bool(g.truth.all()) for g in graphs])
    plain = torch.tensor([not bool(g.truth.any()) for g in graphs])
    runs: dict[str, list[dict[str, Any]]] = {}
    quality = []
    for seed in range(seeds):
        order = torch.randperm(len(graphs), generator=torch.Generator().manual_seed(seed))
        train, test = order[: len(order) * 3 // 4].tolist(), order[len(order) * 3 // 4 :]
        model = trained(graphs, mutagen, train, seed)
        with torch.no_grad():
            z = nn.functional.normalize(model.encode(Batch.from_data_list([graphs[i] for i in test.tolist()])))
        u, v = torch.triu_indices(len(test), len(test), 1)
        quality.append(float(roc_auc_score((mutagen[test][u] == mutagen[test][v]).numpy(), (z @ z.T)[u, v].numpy())))
        toxic, safe = test[(mutagen & some)[test]].tolist(), test[(~mutagen & plain)[test]].tolist()
        kinds = {
            "alike": list(zip(toxic[:count], toxic[count : 2 * count], strict=False)),
            "different": list(zip(toxic[:count], safe[:count], strict=False)),
        }
        for name in ("random", *PEERS, *on_edges()):
            row: dict[str, Any] = {}
            start = time.process_time()
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    for kind, pairs in kinds.items():
                        found = explained(name, model, graphs, pairs)
                        values = [(a, graphs[i]) for (a, _), (i, _) in zip(found, pairs, strict=True)]
                        values += (
                            [(b, graphs[j]) for (_, b), (_, j) in zip(found, pairs, strict=True)]
                            if kind == "alike"
                            else []
                        )
                        unsigned = name.startswith(("PyG", "random")) or on_edges()[name].traits.unsigned
                        row[kind] = areas(values, 1 if kind == "alike" or unsigned else -1)
            except (TypeError, ValueError, RuntimeError, AttributeError) as error:
                print(f"{name} leaves out edges: {error}")
                continue
            row["seconds"] = time.process_time() - start
            runs.setdefault(name, []).append(row)
            print(seed, name, row, flush=True)

    def spread(values: list[float]) -> list[float]:
        return [round(mean(values), 4), round(pstdev(values), 4)]

    table = {
        name: {
            **{
                f"{kind} {how}": spread([row[kind][how] for row in rows])
                for kind in ("alike", "different")
                for how in ("signed", "size")
            },
            "seconds": spread([row["seconds"] for row in rows]),
        }
        for name, rows in runs.items()
    }
    return {"seeds": seeds, "pairs": count, "pair_auc": spread(quality), "explainers": table}
