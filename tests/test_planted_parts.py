"""Where it is known which word goes with which, and which motif of a graph: planted in both, and detectors that know
them. What :mod:`test_planted_matches` holds for images.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from xsiamese import PairLayerInteraction, PairMaskRegression, PairMatrix, SiameseModel

pytest.importorskip("torch_geometric")
from torch_geometric.data import Batch, Data
from torch_geometric.nn import MessagePassing, global_add_pool, global_max_pool

KNOWN, PAIRS = 6, 8
NETS = ("sum", "maximum", "head")
WORDS, WIDTH = 9, 16
SMALL = 7  # other nodes of a graph, beside those of its motifs


def head() -> nn.Sequential:
    """Turns that keep angles, with a bend between them, so that unlike detections stay unlike."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        layers = nn.Sequential(nn.Linear(KNOWN, 24, bias=False), nn.Tanh(), nn.Linear(24, 24, bias=False)).double()
        for layer in (layers[0], layers[2]):
            nn.init.orthogonal_(layer.weight)  # type: ignore[arg-type]
    return layers


class Pooled(nn.Module):
    """Detections of each place, (places, known), as one vector of each item."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.head = head() if kind == "head" else nn.Identity()

    def forward(self, found: Tensor, of: Tensor) -> Tensor:
        pool = global_max_pool if self.kind == "maximum" else global_add_pool
        pooled: Tensor = self.head(pool(found, of))
        return pooled


def vectors() -> Tensor:
    """A vector of each known word and of as many others, none of which has anything of another."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.init.orthogonal_(torch.empty(WIDTH, WIDTH, dtype=torch.float64))


class Reader(nn.Module):
    """Finds each known word wherever it stands; all others stay silent."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.detect, self.relu, self.pool = nn.Linear(WIDTH, KNOWN).double(), nn.ReLU(), Pooled(kind)
        with torch.no_grad():
            self.detect.weight.copy_(vectors()[:KNOWN])
            self.detect.bias.fill_(-0.2)

    def forward(self, words: Tensor) -> Tensor:
        found = self.relu(self.detect(words))
        of = torch.arange(len(found)).repeat_interleave(found.shape[1])
        pooled: Tensor = self.pool(found.flatten(0, 1), of)
        return pooled


def sentence(which: list[int], places: list[int], generator: torch.Generator) -> Tensor:
    """Known words at some places among others."""
    words = torch.randint(KNOWN, WIDTH, (WORDS,), generator=generator)
    words[places] = torch.tensor(which)
    noise = 0.02 * torch.randn(1, WORDS, WIDTH, generator=generator, dtype=torch.float64)
    return vectors()[words][None] + noise


class Neighbours(MessagePassing):
    """Finds nodes of one colour beside one of another: what a node is, and what comes to it, both above a bar."""

    def __init__(self) -> None:
        super().__init__(aggr="add")

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        own, beside = x[:, :KNOWN], x[:, KNOWN:]
        come: Tensor = self.propagate(edge_index, x=beside)
        return (own + come - 1.5).relu()


class Chemist(nn.Module):
    """Finds each motif, an edge between the two colours of one number, wherever it is; a colour alone is none."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.detect, self.pool = Neighbours(), Pooled(kind)

    def forward(self, graph: Any) -> Tensor:
        pooled: Tensor = self.pool(self.detect(graph.x, graph.edge_index), graph.batch)
        return pooled


def graph(which: list[int], generator: torch.Generator) -> tuple[Any, list[set[int]]]:
    """A ring of nodes, to which motifs are tied, and the two nodes of each, without either of which it is none.

    Motif k is a node of colour k beside one of colour KNOWN + k; the ring has colours of the first kind only, and of
    the motifs that the graph has not.
    """
    others = [k for k in range(KNOWN) if k not in which]
    colours = [others[int(i)] for i in torch.randint(len(others), (SMALL,), generator=generator)]
    edges = [(i, (i + 1) % SMALL) for i in range(SMALL)]
    motifs = []
    for k in which:
        at = len(colours)
        colours += [k, KNOWN + k]
        edges += [(at, at + 1), (at, int(torch.randint(SMALL, (1,), generator=generator)))]
        motifs.append([at, at + 1])
    order = torch.randperm(len(colours), generator=generator)  # so that a motif stands anywhere in the list
    place = torch.argsort(order)
    x = torch.eye(2 * KNOWN, dtype=torch.float64)[torch.tensor(colours)[order]]
    both = place[torch.tensor(edges + [(j, i) for i, j in edges]).T]
    return Batch.from_data_list([Data(x=x, edge_index=both)]), [set(place[motif].tolist()) for motif in motifs]


Planted = tuple[tuple[Any, Any], list[set[int]], list[set[int]]]


def planted(kind: str, shared: int, seed: int) -> Planted:
    """Two items of two known parts each, of which some are shared and come first, and where they are."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(KNOWN, generator=generator).tolist()
    of_a, of_b = order[:2], order[:shared] + order[2 : 4 - shared]
    if kind == "graph":
        (a, in_a), (b, in_b) = graph(of_a, generator), graph(of_b, generator)
        return (a, b), in_a, in_b
    places = [torch.randperm(WORDS, generator=generator)[:2].tolist() for _ in range(2)]
    pair = sentence(of_a, places[0], generator), sentence(of_b, places[1], generator)
    return pair, [{place} for place in places[0]], [{place} for place in places[1]]


def found(kind: str, method: str, net: str, pair: tuple[Any, Any]) -> PairMatrix:
    encoder = Chemist(net) if kind == "graph" else Reader(net)
    model: Any = SiameseModel(encoder.eval(), "dot" if net == "sum" else "cosine")
    options: dict[str, Any] = {} if kind == "graph" else {"kind": "text"}
    if method == "masks":
        return PairMaskRegression(model).explain(pair, masks=128, **options).matrix
    layer = "detect" if kind == "graph" else "relu"
    # a detector gives zeros for the baselines, where a cosine has no value: its norms stay as they are
    return PairLayerInteraction(model, layer).explain(pair, form="jacobian", **options).matrix


SETTINGS = [(kind, method, net) for kind in ("words", "graph") for method in ("masks", "layer") for net in NETS]


@pytest.mark.parametrize(("kind", "method", "net"), SETTINGS)
def test_the_shared_part_is_matched_on_both_sides(kind: str, method: str, net: str) -> None:
    hits = peaks = 0
    for seed in range(PAIRS):
        pair, in_a, in_b = planted(kind, 1, seed)
        matrix = found(kind, method, net, pair)
        best = matrix.top(1, largest="closer")[0]
        hits += best.of_a[0] in in_a[0] and best.of_b[0] in in_b[0]
        peak_a, peak_b = (int(m.flatten().abs().argmax()) for m in matrix.marginals)
        peaks += peak_a in in_a[0] and peak_b in in_b[0]
    least = 0.95 if method == "layer" else 0.9
    assert hits >= least * PAIRS
    assert peaks >= least * PAIRS


@pytest.mark.parametrize(("kind", "method", "net"), SETTINGS)
def test_right_matches_are_told_from_crossed_ones(kind: str, method: str, net: str) -> None:
    """Both parts shared: the area under the curve of right against crossed places."""
    right, crossed = [], []
    for seed in range(PAIRS):
        pair, in_a, in_b = planted(kind, 2, seed)
        dense = found(kind, method, net, pair).dense()
        for i in (0, 1):
            right.append(float(dense[list(in_a[i])][:, list(in_b[i])].sum()))
            crossed.append(float(dense[list(in_a[i])][:, list(in_b[1 - i])].sum()))
    area = sum(r > c for r in right for c in crossed) / (len(right) * len(crossed))
    assert area >= 0.99


@pytest.mark.parametrize("kind", ["words", "graph"])
def test_the_match_moves_with_the_partner(kind: str) -> None:
    for seed in range(4):
        generator = torch.Generator().manual_seed(seed)
        if kind == "graph":
            a, in_a = graph([0, 1], generator)
            partners = [graph([k, 4], generator) for k in (0, 1)]
        else:
            a, in_a = sentence([0, 1], [2, 6], generator), [{2}, {6}]
            partners = [(sentence([k, 4], [3, 5], generator), [{3}, {5}]) for k in (0, 1)]
        for k, (b, in_b) in enumerate(partners):
            best = found(kind, "masks", "maximum", (a, b)).top(1, largest="closer")[0]
            assert best.of_a[0] in in_a[k]
            assert best.of_b[0] in in_b[0]


def test_the_secant_form_of_a_graph_is_refused() -> None:
    pair, _, _ = planted("graph", 1, 0)
    with pytest.raises(ValueError, match=r"rule='secant' .* and a graph's are its nodes: use 'gauss'"):
        PairLayerInteraction(SiameseModel(Chemist("sum")), "detect").explain(pair, rule="secant")


def test_an_integral_that_misses_what_it_is_of_says_so() -> None:
    """From a baseline of no embedding a cosine is the same all along both paths, and their integral is nothing."""
    pair, _, _ = planted("graph", 1, 0)
    explainer = PairLayerInteraction(SiameseModel(Chemist("maximum")), "detect")
    with pytest.warns(UserWarning, match=r"misses 0\.5 of 0\.5 that both sides give together: .*form='jacobian'"):
        found = explainer.explain(pair)
    assert abs(float(found.matrix.total)) < 1e-9
    assert float(explainer.explain(pair, form="jacobian").matrix.total) == pytest.approx(0.5)
