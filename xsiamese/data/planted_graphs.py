"""Planted graphs: two motifs hang on a random tree; all motifs have five nodes and six edges."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from xsiamese.data.planted import Scene

MOTIFS = (
    ((0, 1), (1, 2), (2, 3), (3, 0), (0, 4), (1, 4)),  # a house
    ((0, 1), (1, 2), (2, 0), (0, 3), (3, 4), (4, 0)),  # a bow tie
    ((0, 2), (0, 3), (0, 4), (1, 2), (1, 3), (1, 4)),  # two nodes and three between them
    ((0, 1), (1, 2), (2, 0), (1, 3), (2, 3), (0, 4)),  # a kite: two triangles on one edge, a tail at a corner
    ((0, 1), (1, 2), (2, 0), (1, 3), (2, 3), (1, 4)),  # a dart: the tail at the edge
)


class Motifs(Scene):
    """Two of five motifs on a random tree of eight nodes; nodes have no features of their own.

    Needs torch_geometric.
    """

    name = "motifs"
    things = len(MOTIFS)

    def plain(self, side: Any) -> Tensor:
        nodes, edges = torch.bincount(side.batch), torch.bincount(side.batch[side.edge_index[0]])
        return torch.stack([nodes, edges], 1).float()

    def draw(self, chosen: Tensor, generator: torch.Generator) -> tuple[Any, Tensor]:
        try:
            from torch_geometric.data import Batch, Data
        except ImportError as error:
            raise ImportError('graphs need torch_geometric: pip install "xsiamese[graph]"') from error
        graphs, owners = [], []
        for things in chosen.tolist():
            edges, owner = _graph(things, generator)
            both = torch.cat([edges, edges.flip(0)], 1)
            graphs.append(Data(x=torch.ones(len(owner), 1), edge_index=both))
            owners.append(owner)
        return Batch.from_data_list(graphs), torch.cat(owners)


def _graph(things: list[int], generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Undirected edges once each, and whose motif each node is of; nodes in no order."""
    tree = 8
    edges = [(node, int(torch.randint(node, (1,), generator=generator))) for node in range(1, tree)]
    owner = [-1] * tree
    for k, thing in enumerate(things):
        first = len(owner)
        edges += [(first + u, first + v) for u, v in MOTIFS[thing]]
        owner += [k] * 5
        edges.append((first, int(torch.randint(tree, (1,), generator=generator))))
    order = torch.randperm(len(owner), generator=generator)
    place = order.argsort()  # node i stands at place[i]
    return place[torch.tensor(edges).T], torch.tensor(owner)[order]
