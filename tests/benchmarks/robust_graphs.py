"""Molecules as PyG graphs for the measurements of robust explanations: masks on the atoms and bonds of the query, the
reference stays whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch_geometric.nn import GCN, global_mean_pool

from tests.benchmarks.robust_rows import DRAWS, Setting
from tests.benchmarks.robust_sets import DATA
from xsiamese import (
    InvarianceLearner,
    PairGraphOcclusion,
    PairInputXGradient,
    PairIntegratedGradients,
    PairNoiseTunnel,
    PairSaliency,
    RobustPairExplainer,
    SiameseModel,
)
from xsiamese.data.graph_sets import read_tu
from xsiamese.data.graphs import LabelledGraphs
from xsiamese.data.pairs import ClassIndex
from xsiamese.kinds.catalogue import side
from xsiamese.model.comparison import Function
from xsiamese_invariance.graph import GraphUnits
from xsiamese_invariance.metrics import mean_cosine
from xsiamese_invariance.options import local_of
from xsiamese_invariance.problem import MaskProblem

PARTS = ("nodes", "edges")
QUERIES, REFERENCES = 3, 8  # a step on graphs takes longer than one on rows


class Molecules:
    """Graphs that are chosen by their numbers, as the rows of a tensor are."""

    def __init__(self, graphs: LabelledGraphs) -> None:
        self.graphs = graphs

    def __len__(self) -> int:
        return len(self.graphs)

    def __getitem__(self, index: Tensor) -> Any:
        return self.graphs.gather(index)


@dataclass(frozen=True)
class MoleculeProblem:
    """Molecules, split, and what makes two of them alike."""

    name: str
    train: Molecules
    test: Molecules
    train_index: ClassIndex
    test_index: ClassIndex
    task: str
    units: tuple[str, ...] = ()
    noise: float = 0.0

    def net(self) -> SiameseModel:
        """An untrained net for it. Its logits are bounded, as molecules without some of their bonds are unlike any that
        it has seen.
        """
        return SiameseModel(Encoder(self.train.graphs.features), Function(logit))


class Encoder(nn.Module):
    """Two graph convolutions of PyG, smooth ones, and the mean over the atoms."""

    def __init__(self, inputs: int, hidden: int = 32, dimensions: int = 8) -> None:
        super().__init__()
        self.network, self.head = GCN(inputs, hidden, 2, act="silu"), nn.Linear(hidden, dimensions)

    def forward(self, batch: Any) -> Tensor:
        embedding: Tensor = self.head(
            global_mean_pool(self.network(batch.x, batch.edge_index), batch.batch, batch.num_graphs)
        )
        return embedding


def logit(u: Tensor, v: Tensor) -> Tensor:
    """From -9 to 3, for embeddings of opposite and of one direction."""
    return 6 * torch.nn.functional.cosine_similarity(u, v) - 3


def mutag(seed: int) -> MoleculeProblem:
    """Molecules, mutagenic or not; the set has no hydrogens."""
    graphs = read_tu(DATA / "tudataset" / "MUTAG", "MUTAG")
    order = torch.randperm(len(graphs), generator=torch.Generator().manual_seed(seed))
    cut = round(0.7 * len(graphs))
    parts = [replace(graphs.take(part), edge_attr=None) for part in (order[:cut], order[cut:])]
    index = [ClassIndex(part.labels) for part in parts]
    return MoleculeProblem("mutag", Molecules(parts[0]), Molecules(parts[1]), *index, "same class (mutagenic or not)")


class GraphSetting(Setting):
    """One run on graphs. A unit is an atom of the query with its features, or a bond."""

    @classmethod
    def of(cls, problem: Any, model: SiameseModel, seed: int) -> Self:
        order = torch.randperm(len(problem.test), generator=torch.Generator().manual_seed(seed))
        queries, references = order[:QUERIES], order[QUERIES : QUERIES + REFERENCES]
        pool = problem.train[torch.randperm(len(problem.train), generator=torch.Generator().manual_seed(seed))[:256]]
        price = {"size": 0.01, "entropy": 0.005}
        invariance = InvarianceLearner(model, parts=PARTS, **price).fit(problem.test[queries], pool, seed=seed)
        rows = torch.arange(QUERIES).repeat_interleave(REFERENCES)
        a, b = problem.test[queries[rows]], problem.test[references.repeat(QUERIES)]
        few = slice(0, 2 * REFERENCES)
        return cls(problem, model, a, b, pool, invariance, rows, 6, (4, 8, 16, 24), price, 8.0, few, seed)

    @cached_property
    def units(self) -> GraphUnits:
        """Those of each pair's query."""
        return GraphUnits(side(self.a, "a").explaining(PARTS, "a"))

    @property
    def sizes(self) -> list[int]:
        found: list[int] = self.invariance.units.valid.sum(1).tolist()
        return found

    @property
    def training(self) -> Any:
        return self.pool

    def pair(self, rows: slice) -> tuple[Any, Any]:
        keep = torch.arange(len(self.rows))[rows]
        return _some(self.a, keep), _some(self.b, keep)

    @cached_property
    def fresh(self) -> MaskProblem:
        """The pairs with draws that no method has seen."""
        with RobustPairExplainer(self.model, coupling="none").prepared(
            (self.a, self.b), wrt="first", seed=10_000 + self.seed
        ) as batch:
            return local_of(
                batch,
                "none",
                None,
                None,
                pool=(self.pool, None),
                shared=False,
                replacement="mixed",
                draws=32,
                prices=(0.0, 0.0),
                divergence="auto",
                held=(0.1, 0.2, 0.05, 4),
                steps=None,
                rule=None,
            ).problem(batch)[0]

    def divergence(self, kept: Tensor) -> float:
        return float(self.fresh.divergence(kept.to(self.fresh.own)).mean())

    def how(self) -> dict[str, Any]:
        return {"wrt": "first", "draws": DRAWS // 2, "pool": (self.pool, None)}

    def of_masks(self, maps: tuple[Any, Any]) -> Tensor:
        units = GraphUnits(side(maps[0], "a").explaining(PARTS, "a"), self.units.count)
        found = torch.zeros(units.side.pairs, units.count)
        for leaf, rows in zip(units.leaves, (maps[0].node_mask[:, 0], maps[0].edge_mask), strict=True):
            found[units.side.pair_of(leaf), units.index[leaf]] = rows
        return found

    def on_units(self, maps: tuple[Any, Any]) -> Tensor:
        return self.units.gather([maps[0].node_mask.abs(), maps[0].edge_mask.abs()])

    def baselines(self) -> dict[str, Callable[[int], Tensor]]:
        pairs, how = (self.a, self.b), {"wrt": "first", "parts": PARTS}
        model = self.model

        def of(cls: Any, **more: Any) -> Tensor:
            return self.on_units(cls(model).attribute(pairs, **how, **more))

        return {
            "random": lambda seed: torch.rand(self.units.valid.shape, generator=torch.Generator().manual_seed(seed)),
            "|grad|": lambda seed: of(PairSaliency),
            "grad x input": lambda seed: of(PairInputXGradient),
            "integrated gradients": lambda seed: of(PairIntegratedGradients, n_steps=20),
            "SmoothGrad": lambda seed: of(PairNoiseTunnel, nt_samples=16, stdevs=0.3, seed=seed),
            "occlusion": lambda seed: of(PairGraphOcclusion),
        }

    def mean_gradient(self) -> Tensor:
        found = []
        for query in range(QUERIES):
            repeated = _some(self.a, torch.full((self.pool.num_graphs,), query * REFERENCES))
            maps = PairSaliency(self.model).attribute((repeated, self.pool), wrt="first", parts=PARTS)
            units = GraphUnits(side(repeated, "a").explaining(PARTS, "a"), self.units.count)
            found.append(units.gather([maps[0].node_mask, maps[0].edge_mask]).mean(0))
        return torch.stack(found)[self.rows]

    def instability(self) -> dict[str, float]:
        """How the gradient of a query's features changes with the reference; there is no closed form for
        graphs here.
        """
        maps = PairSaliency(self.model).attribute((self.a, self.b), wrt="first", abs=False)[0]
        each = [maps.node_mask[maps.batch == i].flatten() for i in range(len(self.rows))]
        cosines = [
            mean_cosine(torch.stack(each[start : start + REFERENCES])) for start in range(0, len(each), REFERENCES)
        ]
        return {"gradient_cosine": sum(cosines) / QUERIES}


def _some(batch: Any, keep: Tensor) -> Any:
    graphs = side(batch, "graphs").select(keep)
    return graphs.rebuild(graphs.leaves)
