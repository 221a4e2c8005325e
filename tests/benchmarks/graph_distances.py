"""Graphs with exact edit distances: does the counterfactual need as many deletions as the distance says? The part "ged"
of graph_truth.py.

The question put to the search: what are the fewest deletions, in either graph, after which the two are called the same
    graph? An edge that must be
inserted into a is one that must be deleted from b, so that for unlabelled graphs the exact answer is the edit distance.
For labelled ones it is at
least as large: where the distance changes a label for 1, both nodes and all their edges must go.

Two deciders. "exact": a plain function, 0 where Weisfeiler-Leman cannot tell the graphs apart; what is missed is missed
    by the search.
"trained": a Siamese GIN whose distance was fitted to the edit distance, "same" where it rounds to 0; what is missed is
    mostly missed by the model.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from statistics import mean, pstdev
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data
from torch_geometric.nn import GIN, global_add_pool
from tqdm import tqdm

from xsiamese import SiameseModel
from xsiamese_counterfactual import Counterfactual, PairGraphEdits

VALUES = (1, 2, 3, 4)


def read(folder: Path) -> tuple[list[Data], Tensor, Tensor]:
    """The graphs, the edit distance of all pairs, and which graphs are for training."""
    name = "Linux" if "Linux" in folder.name else "AIDS"
    found = np.load(folder / f"{name}_exact_ged.npz")
    labels = json.loads((folder / "labels.json").read_text()) if name == "AIDS" else {}
    graphs = []
    for stem, split in zip(found["ids"], found["split"], strict=True):
        one = json.loads((folder / str(split) / f"{stem}.json").read_text())
        ends = torch.tensor([*one["graph"], *[[v, u] for u, v in one["graph"]]], dtype=torch.long).reshape(-1, 2).T
        x = torch.ones(one["n"], 1)
        if labels:
            x = nn.functional.one_hot(torch.tensor([labels[symbol] for symbol in one["labels"]]), len(labels)).float()
        graphs.append(Data(x=x, edge_index=ends, num_nodes=one["n"]))
    return (
        graphs,
        torch.from_numpy(found["ged"].astype(np.int64)),
        torch.tensor([str(split) == "train" for split in found["split"]]),
    )


def colour_distance(a: Any, b: Any, rounds: int = 3) -> Tensor:
    """How many node colours of Weisfeiler-Leman the graphs do not share, all rounds added up; 0 where it cannot tell
    them apart.
    """
    pairs = int(a.num_graphs)
    graph = torch.cat([a.batch, b.batch + pairs])
    start, end = torch.cat([a.edge_index, b.edge_index + len(a.batch)], 1)
    colours = torch.unique(torch.cat([a.x, b.x]), dim=0, return_inverse=True)[1]
    table = torch.randint(-(2**40), 2**40, (len(graph),), generator=torch.Generator().manual_seed(0))
    total = torch.zeros(pairs, dtype=torch.long)
    for step in range(rounds + 1):
        if step:
            around = torch.zeros_like(colours).index_add_(0, end, table[colours][start])
            colours = torch.unique(31 * table[colours] + 7 * around, return_inverse=True)[1]
        count = int(colours.max()) + 1
        counts = torch.bincount(
            (graph % pairs) * count + colours, weights=torch.where(graph < pairs, 1.0, -1.0), minlength=pairs * count
        )
        total += counts.reshape(pairs, count).abs().sum(1).long()
    return total.float()


class Encoder(nn.Module):
    """GIN with the sum of all rounds as readout."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.network = GIN(features, 64, 3, jk="cat", norm="batch_norm", out_channels=64)

    def forward(self, batch: Any) -> Tensor:
        pooled: Tensor = global_add_pool(self.network(batch.x, batch.edge_index), batch.batch, batch.num_graphs)
        return pooled


def trained(
    graphs: list[Data], ged: Tensor, train: Tensor, seed: int, steps: int = 500, pairs: int = 128
) -> SiameseModel:
    """A Siamese GIN whose Manhattan distance is fitted to the edit distance, half of the pairs being near ones."""
    torch.manual_seed(seed)
    model = SiameseModel(Encoder(graphs[0].x.shape[1]), "manhattan")
    optimiser = torch.optim.Adam(model.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
    within = train.nonzero().flatten()
    near = ((ged <= 5) & train[:, None] & train[None]).nonzero()
    for _ in tqdm(range(steps), desc="train", leave=False):
        first, second = within[torch.randint(len(within), (2, pairs // 2))]
        close = near[torch.randint(len(near), (pairs // 2,))]
        first, second = torch.cat([first, close[:, 0]]), torch.cat([second, close[:, 1]])
        batches = [Batch.from_data_list([graphs[i] for i in side.tolist()]) for side in (first, second)]
        distance, target = model(*batches), ged[first, second].float()
        loss = ((distance - target) / (1 + 0.25 * target)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    model.eval()
    return model


def chosen(ged: Tensor, train: Tensor, each: int, seed: int) -> list[tuple[int, int, int]]:
    """Pairs with at least one graph that was not trained on: (a, b, edit distance), as many of each distance."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for value in VALUES:
        fitting = ((ged == value) & ~(train[:, None] & train[None])).triu(1).nonzero()
        picked = fitting[torch.randperm(len(fitting), generator=generator)[:each]]
        found += [(int(i), int(j), value) for i, j in picked]
    return found


def whole(graph: Data) -> Any:
    """The graph as networkx has it, labels and all."""
    import networkx as nx

    made = nx.Graph(graph.edge_index.T.tolist())
    made.add_nodes_from((k, {"x": tuple(row)}) for k, row in enumerate(graph.x.tolist()))
    return made


def isomorphic(a: Data, b: Data) -> bool:
    import networkx as nx

    return bool(nx.is_isomorphic(whole(a), whole(b), node_match=lambda u, v: u["x"] == v["x"]))


def deletion_distance(a: Data, b: Data, most: int, seconds: float = 3.0) -> float | None:
    """The edit distance where no label may change, if networkx finds it in time and it is at most ``most``."""
    import networkx as nx

    def changed(u: Any, v: Any) -> float:
        return 0.0 if u["x"] == v["x"] else 2.0 * most

    start = time.perf_counter()
    found = nx.graph_edit_distance(whole(a), whole(b), node_subst_cost=changed, upper_bound=most + 0.5, timeout=seconds)
    return found if found is not None and time.perf_counter() - start < seconds else None


def searched(
    model: Any, pairs: list[tuple[int, int, int]], graphs: list[Data], labelled: bool, most: int = 8
) -> list[dict[str, Any]]:
    """What the search finds for each pair that is called different."""
    explainer = PairGraphEdits(
        model, threshold=0.5, higher_is_closer=None if isinstance(model, SiameseModel) else False
    )
    rows = []
    for i, j, value in tqdm(pairs, desc="pairs", leave=False):
        a, b = Batch.from_data_list([graphs[i]]), Batch.from_data_list([graphs[j]])
        found: Counterfactual = explainer.find((a, b), delete="both", most=most)[0]
        row = {"ged": value, "merged": found.alike_before, "flipped": found.flipped, "count": found.count}
        row["isomorphic"] = found.flipped and isomorphic(*(side.to_data_list()[0] for side in found.edited))
        row["deletions"] = deletion_distance(graphs[i], graphs[j], most) if labelled else value
        rows.append(row)
    return rows


def told(runs: list[list[dict[str, Any]]]) -> dict[str, Any]:
    """Shares of the pairs of each edit distance, and of all: mean and spread over seeds."""
    table: dict[str, Any] = {}
    for value in (*VALUES, "all"):
        of_seeds = []
        for run in runs:
            rows = [row for row in run if value == "all" or row["ged"] == value]
            apart = [row for row in rows if not row["merged"]]
            hit = [row for row in apart if row["flipped"]]
            known = [row for row in apart if row["deletions"] is not None]
            of_seeds.append(
                {
                    "pairs": len(rows),
                    "called_different": share(apart, rows),
                    "flipped": share(hit, apart),
                    "equal": share([row for row in hit if row["count"] == row["ged"]], apart),
                    "fewer": share([row for row in hit if row["count"] < row["ged"]], apart),
                    "more": share([row for row in hit if row["count"] > row["ged"]], apart),
                    "isomorphic": share([row for row in apart if row["isomorphic"]], apart),
                    "deletions_known": share(known, apart),
                    "equal_deletions": share(
                        [row for row in known if row["flipped"] and row["count"] == row["deletions"]], known
                    ),
                }
            )
        table[str(value)] = {key: spread([one[key] for one in of_seeds]) for key in of_seeds[0]}
    return table


def share(some: list[Any], of: list[Any]) -> float:
    return len(some) / max(len(of), 1)


def spread(values: list[float]) -> list[float]:
    """Mean and standard deviation over seeds."""
    return [round(mean(values), 4), round(pstdev(values), 4)]


def distances(data: Path, name: str, decider: str, seeds: int, each: int) -> dict[str, Any]:
    """One set of graphs and one decider."""
    graphs, ged, train = read(data / "graph_ged" / name)
    runs, errors = [], []
    for seed in range(seeds):
        model: Any = colour_distance
        pairs = chosen(ged, train, each, seed)
        if decider == "trained":
            model = trained(graphs, ged, train, seed)
            with torch.no_grad():
                sides = [Batch.from_data_list([graphs[p[k]] for p in pairs]) for k in (0, 1)]
                errors.append(float((model(*sides) - torch.tensor([p[2] for p in pairs])).abs().mean()))
        runs.append(searched(model, pairs, graphs, labelled=name == "AIDS"))
    found = {"seeds": seeds, "each": each, "by_distance": told(runs)}
    return {**found, "error": spread(errors)} if errors else found
