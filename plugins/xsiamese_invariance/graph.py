"""What a mask keeps or removes of graphs: nodes with all their features, and undirected edges."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from xsiamese.author import Side, side

DELETED = ("edges", "edge_weight")  # a removed edge is none; a removed node stays and gets other features
ORDER = ("nodes", "edges", "edge_weight", "edge_attr")


@dataclass(frozen=True)
class GraphUnits:
    """Which unit each node and edge belongs to: in each graph first its nodes, then its edges, the two entries of an
    undirected one together.

    Attributes:
        side: the graphs, with the parts that are explained.
        least: how many units there are at least.
        leaves: the leaves that are masked: those that have a row, as graphs may have no edges.
    """

    side: Side
    least: int = 0
    leaves: tuple[int, ...] = ()
    index: tuple[Tensor, ...] = field(init=False)
    count: int = field(init=False)
    valid: Tensor = field(init=False)
    shapes: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        one = self.side
        start = torch.zeros(one.pairs, dtype=torch.long, device=one.leaves[0].device)
        index: dict[int, Tensor] = {}
        for leaf in sorted(range(len(one.leaves)), key=lambda leaf: ORDER.index(one.parts[leaf])):
            pair, unit = one.pair_of(leaf), one.unit_of(leaf)
            # columns of a pair: its nodes, then its edges; the largest number of a unit says where the next begin
            index[leaf] = start[pair] + unit
            start = start + torch.zeros_like(start).scatter_reduce(0, pair, unit + 1, "amax")
        count = max(int(start.max()), self.least)
        object.__setattr__(self, "index", tuple(index[leaf] for leaf in range(len(one.leaves))))
        object.__setattr__(self, "count", count)
        object.__setattr__(
            self, "leaves", self.leaves or tuple(leaf for leaf, tensor in enumerate(one.leaves) if len(tensor))
        )
        object.__setattr__(self, "valid", torch.arange(count, device=start.device) < start[:, None])

    def expand(self, mask: Tensor, fixed: float = 1.0) -> list[Tensor]:
        """A mask (pairs, count) on the rows of each leaf: (nodes, 1) and (edges,)."""
        found = []
        for leaf in self.leaves:
            rows = mask[self.side.pair_of(leaf), self.index[leaf]]
            found.append(rows.reshape(-1, *[1] * (self.side.leaves[leaf].dim() - 1)))
        return found

    def gather(self, slopes: Sequence[Tensor]) -> Tensor:
        """Sums of the numbers of each unit, (pairs, count): what :meth:`expand` does, transposed."""
        found = slopes[0].new_zeros(self.side.pairs * self.count)
        for leaf, slope in zip(self.leaves, slopes, strict=True):
            flat = slope.flatten(1).sum(1) if slope.dim() > 1 else slope
            # row pair, column unit of the flat table
            found.index_add_(0, self.side.pair_of(leaf) * self.count + self.index[leaf], flat)
        return found.view(self.side.pairs, self.count)

    def rows(self, place: int, keep: Tensor) -> Tensor:
        """The rows of the leaf in a place among those masked that belong to some of the pairs."""
        return self.side.rows(self.leaves[place], keep)

    def select(self, keep: Tensor) -> GraphUnits:
        """Those of some of the pairs, on the same leaves."""
        return GraphUnits(self.side.select(keep), self.count, self.leaves)

    def maps(self, mask: Tensor) -> Any:
        """A mask on the graphs, as a ``torch_geometric.explain.Explanation``."""
        rows = dict(zip(self.leaves, self.expand(mask), strict=True))
        return self.side.returned(tuple(rows.get(leaf, tensor) for leaf, tensor in enumerate(self.side.leaves)), False)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Itself as tensors, and as what JSON can hold."""
        graphs = self.maps(torch.zeros_like(self.valid, dtype=self.side.leaves[0].dtype)).to_dict()
        return {key: value for key, value in graphs.items() if isinstance(value, Tensor)}, {
            "parts": self.side.parts,
            "least": self.count,
        }

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> GraphUnits:
        """What :meth:`state` gave."""
        from torch_geometric.data import Data

        graphs = Data(**{key: value for key, value in tensors.items() if not key.endswith("_mask")})
        return cls(side(graphs, "queries").explaining(plain["parts"], "queries", (), False), plain["least"])


def check_same(learned: GraphUnits, own: GraphUnits, first: int, name: str) -> None:
    """Refuses an invariance of other parts, or of graphs of other sizes, than those of the pairs from ``first`` on.

    Raises:
        ValueError: naming them.
    """
    parts = [sorted(units.side.parts, key=ORDER.index) for units in (learned, own)]
    if parts[0] != parts[1]:
        raise ValueError(
            f"the invariance is of {' and '.join(parts[0])} and the masks of {name} of {' and '.join(parts[1])}: use "
            "the same parts="
        )
    theirs, mine = (
        torch.stack(
            [torch.bincount(u.side.pair_of(u.side.parts.index(part)), minlength=u.side.pairs) for part in parts[0]]
        )
        for u in (learned, own)
    )
    theirs = theirs if theirs.shape[1] == 1 else theirs[:, first : first + mine.shape[1]]
    wrong = (theirs != mine).any(0).nonzero().flatten().tolist()
    if wrong:
        raise ValueError(
            f"the invariance of pair {first + wrong[0]} is of a graph with other numbers of nodes and edges than "
            f"that of input {name}"
        )


def graph_marks(graphs: Side) -> list[str]:
    """A short digest of each graph: its nodes' features in their order, and its edges in any."""
    found = []
    for i in range(graphs.pairs):
        one = graphs.slice(i, i + 1)
        data = one.rebuild(one.leaves)
        edges = (data.edge_index[0] * data.num_nodes + data.edge_index[1]).sort().values
        plain = [
            part.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes() for part in (data.x, edges)
        ]
        found.append(hashlib.blake2b(b"|".join(plain), digest_size=8).hexdigest())
    return found
