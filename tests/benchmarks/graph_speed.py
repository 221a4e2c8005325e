"""Explaining 256 pairs of Mutagenicity graphs against the passes that it needs. Writes
docs/measurements/graph_speed.json.

``python tests/benchmarks/graph_speed.py`` runs on one thread. Time is that of the processor, so that other work on the
machine counts little. The network
is a Siamese GIN of three layers. The floor is a forward and a backward pass of all pairs in one batch, without
gradients of the parameters, as often as the
method has steps: once, 50 times or 100 times. Where edges are explained, the floor is a GIN whose messages are
    multiplied by a weight in the layer itself,
so that nothing of ours is in it. A method and its floor take turns; a ratio is the median over the rounds. PyG's
``Explainer`` knows one graph: it is called
twice a pair, with the other embedding held.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
import warnings
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from statistics import median
from typing import Any

import torch
from graph_motifs import Branch, Encoder, read
from torch import Tensor, nn
from torch_geometric.data import Batch, Data
from torch_geometric.explain import CaptumExplainer, Explainer, GNNExplainer
from torch_geometric.nn import GIN, MessagePassing, global_add_pool
from tqdm import tqdm

from xsiamese import PairGNNExplainer, PairInputXGradient, PairIntegratedGradients, PairSaliency, SiameseModel

ROOT = Path(__file__).parents[2]
OUT = ROOT / "docs" / "measurements" / "graph_speed.json"
DATA = Path(os.environ.get("XSIAMESE_DATA", ROOT.parent / "shared" / "data"))
OURS = {
    PairSaliency: 1,
    PairInputXGradient: 1,
    PairIntegratedGradients: 50,
    PairGNNExplainer: 100,
}  # and how many passes each needs
THEIRS: dict[str, Callable[[], Any]] = {
    "CaptumExplainer('Saliency')": lambda: CaptumExplainer("Saliency"),
    "CaptumExplainer('IntegratedGradients')": lambda: CaptumExplainer("IntegratedGradients", n_steps=50),
    "GNNExplainer": lambda: GNNExplainer(epochs=100),
}
PARTS = {"nodes": ("nodes",), "edges": ("edges",), "nodes and edges": ("nodes", "edges")}


class WeightedConv(MessagePassing):
    """A GIN layer whose messages have weights. (GINConv itself has made its ``propagate`` for messages without.)"""

    def __init__(self, network: nn.Module) -> None:
        super().__init__(aggr="add")
        self.nn = network
        self.register_buffer("eps", torch.zeros(1))

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        found: Tensor = self.nn((1 + self.eps) * x + self.propagate(edge_index, x=x, edge_weight=edge_weight))
        return found

    def message(self, x_j: Tensor, edge_weight: Tensor) -> Tensor:
        return x_j * edge_weight[:, None]


class WeightedGIN(GIN):
    """PyG's GIN of such layers."""

    supports_edge_weight = True

    def init_conv(self, in_channels: int, out_channels: int, **kwargs: Any) -> WeightedConv:
        return WeightedConv(super().init_conv(in_channels, out_channels, **kwargs).nn)


def weighted(model: SiameseModel) -> SiameseModel:
    """The same model of such layers."""
    twin = Encoder()
    twin.network = WeightedGIN(14, 48, 3, norm="batch_norm")
    twin.load_state_dict(model.encoder.state_dict())
    return SiameseModel(twin, model.comparison).eval().requires_grad_(False)


def passes(model: SiameseModel, sides: tuple[Batch, Batch], parts: tuple[str, ...], count: int) -> list[Tensor]:
    """The floor: the gradients of the score in what is explained, ``count`` times over."""
    encoder = model.encoder
    for _ in range(count):
        x = [side.x.detach().requires_grad_("nodes" in parts) for side in sides]
        weight = [torch.ones(side.num_edges, requires_grad=True) for side in sides] if "edges" in parts else []
        embeddings = []
        for i, side in enumerate(sides):
            nodes = encoder.network(x[i], side.edge_index, **({"edge_weight": weight[i]} if weight else {}))
            embeddings.append(encoder.head(global_add_pool(nodes, side.batch, side.num_graphs)))
        gradients = torch.autograd.grad(model.compare(*embeddings).sum(), (x if "nodes" in parts else []) + weight)
    return list(gradients)


def timed(run: Callable[[], Any], repeats: int) -> float:
    """Seconds of the processor that one run takes."""
    start = time.process_time()
    for _ in range(repeats):
        run()
    return (time.process_time() - start) / repeats


def ours(
    model: SiameseModel, sides: tuple[Batch, Batch], explainer: type[Any], part: str, rounds: int
) -> dict[str, Any]:
    """One explainer on one part of the graphs, and its floor."""
    count, parts = OURS[explainer], PARTS[part]
    plain = weighted(model) if "edges" in parts else deepcopy(model).requires_grad_(False)
    if explainer is PairSaliency:  # the floor does the same work
        for gradient, one in zip(
            passes(plain, sides, parts, 1), PairSaliency(model).attribute(sides, parts=parts), strict=True
        ):
            torch.testing.assert_close(
                gradient.abs(), one.node_mask if "nodes" in parts else one.edge_mask, rtol=1e-3, atol=1e-6
            )

    def explain() -> Any:
        return explainer(model).attribute(sides, parts=parts)

    def floor() -> Any:
        return passes(plain, sides, parts, count)

    repeats = 10 if count == 1 else 1
    explain(), floor()
    times = [
        (timed(floor, repeats), timed(explain, repeats))
        for _ in tqdm(range(rounds), desc=f"{explainer.__name__}, {part}", leave=False)
    ]
    pairs, each = sides[0].num_graphs, [round(taken / least, 3) for least, taken in times]
    return {
        "explainer": explainer.__name__,
        "part": part,
        "passes": count,
        "ratio": round(median(each), 3),
        "ratios": each,
        "floor_ms_a_pair": round(median(least for least, _ in times) / pairs * 1e3, 3),
        "ms_a_pair": round(median(t for _, t in times) / pairs * 1e3, 3),
    }


def theirs(model: SiameseModel, graphs: list[tuple[Data, Data]], name: str, part: str) -> dict[str, Any]:
    """PyG's Explainer, twice a pair."""
    config = {"mode": "regression", "task_level": "graph", "return_type": "raw"}
    masks = {
        "node_mask_type": "attributes" if "nodes" in part else None,
        "edge_mask_type": "object" if "edges" in part else None,
    }

    def explain(pairs: list[tuple[Data, Data]] = graphs) -> None:
        for pair in pairs:
            for graph, other in (pair, pair[::-1]):
                with torch.no_grad():
                    held = model.encode(Batch.from_data_list([other]))
                Explainer(Branch(model, held), THEIRS[name](), explanation_type="model", model_config=config, **masks)(
                    graph.x, graph.edge_index
                )

    explain(graphs[:1])
    return {
        "explainer": f"PyG {name}",
        "part": part,
        "pairs": len(graphs),
        "ms_a_pair": round(timed(explain, 1) / len(graphs) * 1e3, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--pairs", type=int, default=256)
    parser.add_argument("--alone", type=int, default=16, help="pairs that PyG's Explainer is timed on; 0 leaves it out")
    parser.add_argument(
        "--only", nargs="+", choices=[cls.__name__ for cls in OURS], default=[cls.__name__ for cls in OURS]
    )
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    model = SiameseModel(Encoder(), "cosine").eval()
    graphs, _ = read(DATA / "tudataset" / "Mutagenicity" / "raw")
    chosen = torch.randperm(len(graphs))[: 2 * options.pairs].tolist()
    pairs = [(graphs[i], graphs[j]) for i, j in zip(chosen[::2], chosen[1::2], strict=True)]
    sides = tuple(Batch.from_data_list([pair[k] for pair in pairs]) for k in (0, 1))
    rows = []
    for explainer in OURS:
        for part in PARTS if explainer is PairGNNExplainer else ("nodes", "edges"):
            if explainer.__name__ in options.only:
                rows.append(ours(model, sides, explainer, part, options.rounds))
                print(rows[-1], flush=True)
    for name in THEIRS if options.alone else ():
        for part in PARTS if name == "GNNExplainer" else ("nodes", "edges"):
            rows.append(theirs(model, pairs[: options.alone], name, part))
            print(rows[-1], flush=True)
    found = {
        "torch": torch.__version__,
        "machine": platform.machine(),
        "threads": 1,
        "rounds": options.rounds,
        "pairs": options.pairs,
        "nodes": sides[0].num_nodes + sides[1].num_nodes,
        "edges": sides[0].num_edges + sides[1].num_edges,
    }
    head = ", ".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in found.items())
    options.out.write_text(f'{{{head}, "rows": [\n' + ",\n".join(json.dumps(row) for row in rows) + "\n]}\n")


if __name__ == "__main__":
    main()
