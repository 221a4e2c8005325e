"""What the score loses without a node, an edge or a feature."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from tqdm.auto import tqdm

from xsiamese.author import PairAttribution, PairBatch

Unit = Literal["node", "feature", "value"]
_ROWS = 512  # pairs in one pass, where the user gives no number


class PairGraphOcclusion(PairAttribution):
    """What the score loses when one node, edge or feature is replaced by its baseline, one at a time.

    An edge is removed by its gate, or its weight or attributes are replaced. A node keeps its edges and loses all its
    features (``unit="node"``: its loss is shared out equally over its features), a feature is lost by all nodes of the
    graph (``unit="feature"``: shared out over the nodes), or every value is lost by itself (``unit="value"``). A
    factored model encodes the graph that stays whole once.

    Example:
        >>> import torch
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import global_add_pool
        >>> from xsiamese import PairGraphOcclusion, TwoInputModel
        >>> model = TwoInputModel(lambda a, b: (global_add_pool(a.x, a.batch) * global_add_pool(b.x, b.batch)).sum(1))
        >>> graph = Data(x=torch.tensor([[1.0], [2.0]]), edge_index=torch.tensor([[0, 1], [1, 0]]))
        >>> map_a, map_b = PairGraphOcclusion(model).attribute((graph, graph.clone()), parts=("nodes",))
        >>> map_a.node_mask.tolist()  # the score of 9 less 6, and less 3
        [[3.0], [6.0]]
    """

    name = "graph_occlusion"
    formula = r"s(x) - s(x_{\setminus i})"
    reference = ("zeiler2014",)
    modalities: ClassVar[frozenset[str]] = frozenset({"graph"})
    graph_parts: ClassVar[tuple[str, ...]] = ("nodes", "edges")
    uses_gradients = False

    def compute(self, batch: PairBatch, *, unit: Unit = "node") -> tuple[Any, Any]:
        """The losses.

        Args:
            batch: the pairs.
            unit: what of the nodes is removed at a time: a "node", a "feature" of all nodes of a graph, or a single
                "value".
        """
        maps = {}
        for side in batch.objective.moving:
            one = batch.one_sided("first" if side == 0 else "second")
            for i, leaf in enumerate(one.moved):
                maps[side, i] = self._losses(one, i, _units(one, i, unit)).reshape(leaf.shape)
        return batch.maps([maps[key] for key in sorted(maps)])

    def _losses(self, batch: PairBatch, moved: int, units: Tensor) -> Tensor:
        """The share of each value of a leaf in what the score loses without its unit; ``units`` numbers the unit of
        each value.
        """
        side, leaf = batch.place(moved)
        start = (
            batch.moved_baselines[moved].flatten(1)
            if batch.moved[moved].dim() > 1
            else batch.moved_baselines[moved][:, None]
        )
        count = int(units.max()) + 1
        # a unit lies in one pair: whichever of its values writes last, it writes that
        pair_of = torch.zeros(count, dtype=torch.long, device=units.device).index_copy(
            0, units.flatten(), side.pair_of(leaf).repeat_interleave(units.shape[1])
        )
        with torch.no_grad():
            value = batch.value()
            lost = []
            blocks = torch.split(torch.arange(count, device=units.device), batch.rows or _ROWS)
            for block in tqdm(blocks, desc=type(self).__name__) if batch.show_progress else blocks:
                some = batch.select(pair_of[block])
                rows = side.rows(leaf, pair_of[block])
                gone = units[rows] == block[some.place(moved)[0].pair_of(leaf), None]
                whole = some.moved[moved]
                without = torch.where(gone, start[rows], whole.reshape(gone.shape)).reshape(whole.shape)
                lost.append(value[pair_of[block]] - some.value(*some.moved[:moved], without, *some.moved[moved + 1 :]))
        sizes = torch.bincount(units.flatten())
        return (torch.cat(lost) / sizes)[units]


def _units(batch: PairBatch, moved: int, unit: Unit) -> Tensor:
    """The number of the unit that each value of a leaf belongs to, shape (rows, values of a row)."""
    side, leaf = batch.place(moved)
    tensor = batch.moved[moved]
    rows, width = len(tensor), tensor.shape[1:].numel()
    if side.parts[leaf] != "nodes" or unit == "node":
        return torch.arange(rows, device=tensor.device)[:, None].expand(rows, width)
    if unit == "value":
        return torch.arange(rows * width, device=tensor.device).reshape(rows, width)
    # one unit for each pair and feature, shared by all nodes of the graph
    return side.pair_of(leaf)[:, None] * width + torch.arange(width, device=tensor.device)
