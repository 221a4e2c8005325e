"""Where the nodes of two graphs are drawn: stable, and matched nodes in the same place of both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from xsiamese.kinds.graphs.variants import Variants

if TYPE_CHECKING:
    from torch_geometric.data import Data

LARGE = 120  # nodes beyond which the slower layout by distances is left
SHARED = 0.6  # of the edges of the larger graph


def positions(a: Data, b: Data, match: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Places of the nodes of two graphs, shapes (nodes, 2), such that matched nodes are near each other in both.

    A graph with ``pos`` keeps it. Otherwise the distances in the picture follow the distances in the graph
    (:cite:t:`kamada1989`). Two graphs that share most of their edges are laid out as one, so that matched nodes are in
    the very same place; of others each has a layout of its own, and b is turned and mirrored onto a. The same graphs
    always get the same places.

    Args:
        a, b: two graphs.
        match: which node of a is which of b, shape (matches, 2); None takes :func:`matching`.
    """
    kept = [_given(graph) for graph in (a, b)]
    match = matching(a, b) if match is None else match
    near = [_adjacency(graph) for graph in (a, b)]
    merged, place = _union(near[0], near[1], match)
    shared = float(near[0].sum() + near[1].sum() - merged.sum())
    if kept[0] is None and kept[1] is None and shared >= SHARED * float(torch.maximum(near[0].sum(), near[1].sum())):
        spots = _upright(_spread(merged))
        return spots[: len(near[0])], spots[place]
    first = _upright(_spread(near[0])) if kept[0] is None else kept[0]
    return first, _turned(_spread(near[1]), first, match) if kept[1] is None else kept[1]


def matching(a: Data, b: Data, rounds: int = 10) -> Tensor:
    """Which node of a is which of b: features alike, and neighbours matched to neighbours, shape (matches, 2)."""
    from scipy.optimize import linear_sum_assignment

    near = [_adjacency(graph) for graph in (a, b)]
    signs = [_described(graph, matrix) for graph, matrix in zip((a, b), near, strict=True)]
    if signs[0].shape[1] != signs[1].shape[1]:
        signs = [_described(graph, matrix, features=False) for graph, matrix in zip((a, b), near, strict=True)]
    alike = -torch.cdist(signs[0], signs[1]).numpy()
    rows, columns = linear_sum_assignment(alike, maximize=True)
    first, second = (matrix.numpy() for matrix in near)
    best, found = -np.inf, (rows, columns)
    for _ in range(rounds):
        chosen = np.zeros_like(alike)
        chosen[rows, columns] = 1
        common = float((first @ chosen @ second * chosen).sum())
        if common <= best:
            break
        best, found = common, (rows, columns)
        rows, columns = linear_sum_assignment(alike + first @ chosen @ second, maximize=True)
    return torch.tensor(np.stack(found, 1), dtype=torch.long)


def _given(graph: Data) -> Tensor | None:
    pos = graph.pos if "pos" in graph else None
    return None if pos is None or pos.dim() != 2 or pos.shape[1] < 2 else pos[:, :2].detach().cpu().double()


def _adjacency(graph: Data) -> Tensor:
    parts = Variants(graph)
    near = torch.zeros(parts.nodes, parts.nodes, dtype=torch.float64)
    near[parts.ends[:, 0].cpu(), parts.ends[:, 1].cpu()] = 1
    near = torch.maximum(near, near.T)
    return near.fill_diagonal_(0)


def _described(graph: Data, near: Tensor, features: bool = True, rounds: int = 3) -> Tensor:
    """Each node with its surroundings, further ones counting less."""
    own = near.sum(1, keepdim=True)
    if features and isinstance(graph.x, Tensor) and graph.x.dim() == 2:
        own = torch.cat([own, 2 * graph.x.detach().cpu().double()], 1)
    signs = [own]
    for k in range(1, rounds + 1):
        signs.append(near @ signs[-1] / (k + 1))
    return torch.cat(signs, 1)


def _union(a: Tensor, b: Tensor, match: Tensor) -> tuple[Tensor, Tensor]:
    """The graph of all nodes and edges of both, matched nodes being one, and where b's nodes are in it."""
    place = torch.full((len(b),), -1)
    place[match[:, 1]] = match[:, 0]
    alone = (place < 0).nonzero().flatten()
    place[alone] = len(a) + torch.arange(len(alone))
    merged = torch.zeros(len(a) + len(alone), len(a) + len(alone), dtype=a.dtype)
    merged[: len(a), : len(a)] = a
    merged[place[:, None], place[None]] = torch.maximum(merged[place[:, None], place[None]], b)
    return merged, place


def _spread(near: Tensor) -> Tensor:
    """A layout of each connected part, the parts beside each other."""
    try:
        import networkx as nx
    except ImportError as error:
        raise ImportError('drawing graphs needs networkx: pip install "xsiamese[graph]"') from error
    whole = nx.from_numpy_array(near.numpy())
    placed, right = torch.zeros(len(near), 2, dtype=torch.float64), -0.9
    for part in sorted(nx.connected_components(whole), key=lambda nodes: (-len(nodes), min(nodes))):
        nodes = sorted(part)
        inner = whole.subgraph(nodes)
        found = nx.spring_layout(inner, seed=0, iterations=100) if len(nodes) > LARGE else nx.kamada_kawai_layout(inner)
        spots = _upright(
            torch.tensor(np.stack([found[k] for k in nodes]), dtype=torch.float64) * (len(nodes) - 1) ** 0.5
        )
        spots[:, 0] += right + 0.9 - float(spots[:, 0].min())
        right = float(spots[:, 0].max())
        placed[nodes] = spots
    return placed - placed.mean(0)


def _upright(spots: Tensor) -> Tensor:
    """Turned so that the longest extent lies across, and mirrored to one of four ways."""
    centred = spots - spots.mean(0)
    if len(spots) < 2:
        return centred
    axes = torch.linalg.svd(centred, full_matrices=False).Vh
    turned: Tensor = centred @ axes.T
    signs = torch.where(turned.pow(3).sum(0) < 0, -1.0, 1.0)
    return turned * signs


def _turned(spots: Tensor, first: Tensor, match: Tensor) -> Tensor:
    """Turned, mirrored and moved such that matched nodes come as near to their matches as can be."""
    if len(match) < 2:
        return spots
    here, there = spots[match[:, 1]], first[match[:, 0]]
    centre, goal = here.mean(0), there.mean(0)
    left, _, right = torch.linalg.svd((here - centre).T @ (there - goal))
    turned: Tensor = (spots - centre) @ (left @ right) + goal
    return turned
