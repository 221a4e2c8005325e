"""Pairs of graphs: what of a ``torch_geometric`` graph is explained, which pair each node and edge belongs to, and what
comes back.

Nothing imports this module until the first graph is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from xsiamese.kinds.graphs.gates import Gate, GateMisfit
from xsiamese.kinds.graphs.structure import Structure, of_graphs
from xsiamese.kinds.side import SIDES, Leaves, Side

try:
    from torch_geometric.data import Data
    from torch_geometric.explain import Explanation
except ImportError as error:
    raise ImportError('graphs need torch_geometric: pip install "xsiamese[graph]"') from error

PARTS = {"nodes": "x", "edges": "", "edge_weight": "edge_weight", "edge_attr": "edge_attr"}
_MASKS = {"nodes": "node_mask", "edge_attr": "edge_attr_mask"}


class GraphSide(Side):
    """One graph (``Data``), or one graph a pair (``Batch``). What is explained is chosen with ``parts``.

    Args:
        structure: the graphs.
        parts: any of "nodes" (the features ``x``), "edges" (a gate of 1 on every edge, which multiplies its messages in
            all layers), and, where the graphs have them, "edge_weight" and "edge_attr".
        leaves: their values.
    """

    kind = "graph"
    ragged: ClassVar[bool] = True
    aligned: ClassVar[bool] = False

    def __init__(self, structure: Structure, parts: tuple[str, ...], leaves: Leaves) -> None:
        self.structure = structure
        self.parts = parts
        self.leaves = leaves
        self.pairs = structure.pairs
        self.still = not all(leaf.is_floating_point() for leaf in leaves)

    def explaining(
        self, parts: Sequence[str] | None, name: str, default: Sequence[str] = ("nodes",), moving: bool = True
    ) -> GraphSide:
        chosen = tuple(dict.fromkeys(default if parts is None else parts))
        if not chosen or set(chosen) - set(PARTS):
            raise ValueError(f"parts={parts!r}: one or several of {', '.join(PARTS)} are needed")
        if {"edges", "edge_weight"} <= set(chosen):
            raise ValueError('parts: "edges" and "edge_weight" both make the edge mask; ask for one of them')
        leaves = {}
        for part in chosen:
            leaf = self._gate() if part == "edges" else self.structure.data.get(PARTS[part])
            if leaf is None:
                raise ValueError(f"the graphs of input {name} have no {part}: leave it out of parts")
            if moving and part != "nodes" and not leaf.is_floating_point():  # nodes: a layer has numbers that move
                raise ValueError(
                    f"{PARTS[part]} of input {name} is {leaf.dtype}: only floating point values can move; explain "
                    "parts=('edges',)"
                )
            leaves[part] = leaf
        if not any(map(len, leaves.values())):
            raise ValueError(
                f"the graphs of input {name} have no edges, and only {' and '.join(chosen)} were to be explained: "
                "explain parts=('nodes',)"
            )
        return GraphSide(self.structure, chosen, tuple(leaves.values()))

    def _gate(self) -> Tensor:
        data = self.structure.data
        like = data.x if data.x.is_floating_point() else data.get("edge_weight")
        dtype = like.dtype if like is not None and like.is_floating_point() else torch.get_default_dtype()
        return torch.ones(data.edge_index.shape[1], dtype=dtype, device=data.x.device)

    def beside(self, other: Side) -> GraphSide:
        """This side with its edges in another order if the other side's are equal, so that a layer's edges tell the
        sides apart.
        """
        if not isinstance(other, GraphSide):
            return self
        _check_alike(other, self)
        mine, theirs = self.structure.data.edge_index, other.structure.data.edge_index
        if "edges" not in self.parts or mine.shape != theirs.shape or not torch.equal(mine, theirs):
            return self
        order = self.structure.reversed_edges()
        leaves = tuple(t if part == "nodes" else t[order] for part, t in zip(self.parts, self.leaves, strict=True))
        return GraphSide(self.structure.ordered(order), self.parts, leaves)

    def rebuild(self, leaves: Sequence[Tensor]) -> Any:
        data = self.structure.copied(self._copies(leaves))
        for part, leaf in zip(self.parts, leaves, strict=True):
            if part != "edges":
                data[PARTS[part]] = leaf
        return data

    def gates(self, leaves: Sequence[Tensor]) -> list[Gate]:
        if "edges" not in self.parts:
            return []
        data = self.structure.copied(self._copies(leaves))
        return [Gate(data.edge_index, leaves[self.parts.index("edges")], data.num_nodes)]

    def _copies(self, leaves: Sequence[Tensor]) -> int:
        # whole copies stand one behind the other, so the lengths tell how many; an empty leaf tells nothing
        return next((len(leaf) // len(own) for leaf, own in zip(leaves, self.leaves, strict=True) if len(own)), 1)

    def result(self, maps: Sequence[Tensor]) -> Any:
        return tuple(maps)

    def holding(self, leaves: Leaves) -> GraphSide:
        copies = self._copies(leaves)
        return GraphSide(
            self.structure if copies == 1 else Structure(self.structure.copied(copies)), self.parts, leaves
        )

    def select(self, which: Tensor) -> GraphSide:
        which = which.to(self.structure.batch.device)
        leaves = tuple(leaf[self.rows(i, which)] for i, leaf in enumerate(self.leaves))
        return GraphSide(self.structure.select(which), self.parts, leaves)

    def template(self, which: Tensor | None = None) -> GraphSide:
        some = self if which is None else self.select(which)
        return GraphSide(some.structure, some.parts, tuple(leaf.detach() for leaf in some.leaves))

    def is_gate(self, leaf: int) -> bool:
        return self.parts[leaf] == "edges"

    def names(self, name: str) -> list[str]:
        return [f"{name}.{PARTS[part] or part}" for part in self.parts]

    def rows(self, leaf: int, which: Tensor) -> Tensor:
        return self.structure.rows("nodes" if self.parts[leaf] == "nodes" else "edges", which)

    def pair_of(self, leaf: int) -> Tensor:
        return self.structure.batch if self.parts[leaf] == "nodes" else self.structure.edge_batch

    def unit_of(self, leaf: int) -> Tensor:
        structure = self.structure
        return structure.node_numbers if self.parts[leaf] == "nodes" else structure.edge_numbers

    def count(self, leaf: int, tensor: Tensor) -> int:
        return self.pairs * (len(tensor) // len(self.leaves[leaf])) if len(self.leaves[leaf]) else 0

    def sums(self, value: Any) -> Tensor:
        values = (value,) if isinstance(value, Tensor) else value
        total = self.leaves[0].new_zeros(self.pairs)
        for i, one in enumerate(values):
            where = self.structure.batch if isinstance(value, Tensor) else self.pair_of(i)
            total = total.index_add(0, where, one.detach().flatten(1).sum(1) if one.dim() > 1 else one.detach())
        return total

    def equals(self, other: Side) -> Tensor:
        if not isinstance(other, GraphSide):
            return torch.zeros(self.pairs, dtype=torch.bool)
        return self.structure.equals(other.structure)

    @property
    def layer_pairs(self) -> Tensor:
        return self.structure.batch

    def returned(self, value: Any, of_layer: bool) -> Any:
        if of_layer:
            return tuple(self._of_nodes(v) for v in value) if isinstance(value, tuple) else self._of_nodes(value)
        masks = {}
        for part, one in zip(self.parts, value, strict=True):
            masks[_MASKS.get(part, "edge_mask")] = one if part == "nodes" else self.structure.as_given(one)
        return self._explanation(masks)

    def unwrapped(self, value: Any, of_layer: bool) -> Any:
        if of_layer:
            return tuple(v.node_mask for v in value) if isinstance(value, tuple) else value.node_mask
        if "edges" in self.parts and "edge_mask" not in value:
            raise GateMisfit("the explainer inside found no edges of its own to explain")
        return tuple(value[_MASKS.get(part, "edge_mask")] for part in self.parts)

    def _of_nodes(self, value: Tensor) -> Any:
        return self._explanation({"node_mask": value})

    def _explanation(self, masks: dict[str, Tensor]) -> Any:
        found = Explanation(**self.structure.given, **masks)
        found._model_args = [key for key in ("batch", "edge_weight", "edge_attr") if key in found]
        found.validate(raise_on_error=True)
        return found


def collate_pairs(items: Sequence[Sequence[Any]]) -> tuple[Any, ...]:
    """A batch of pairs of graphs, for ``torch.utils.data.DataLoader(pairs, collate_fn=collate_pairs)``.

    Args:
        items: (graph a, graph b) or (graph a, graph b, label, ...) of each pair, graphs of any size.

    Returns:
        (Batch of a, Batch of b), and what else a pair holds, each as one batch.

    Example:
        >>> from torch_geometric.data import Data
        >>> graph = Data(x=torch.ones(3, 2), edge_index=torch.tensor([[0, 1], [1, 2]]))
        >>> batch_a, batch_b, same = collate_pairs([(graph, graph, True), (graph, graph, False)])
        >>> batch_a.num_graphs, batch_a.x.shape, same
        (2, torch.Size([6, 2]), tensor([1, 0]))
    """
    from torch_geometric.loader.dataloader import Collater

    return tuple(Collater([])([tuple(int(v) if isinstance(v, bool) else v for v in item) for item in items]))


def graph_side(item: Any, name: str) -> GraphSide:
    """The side of a user's graph or batch of graphs, checked.

    Raises:
        TypeError: if nodes or edges are of several types.
    """
    if not isinstance(item, Data):
        raise TypeError(
            f"input {name} is a {type(item).__name__}: heterogeneous graphs are not supported yet; "
            "item.to_homogeneous() makes one kind of node of them"
        )
    structure = of_graphs(item, name)
    return GraphSide(structure, ("nodes",), (structure.data.x,))


def two_graphs(pair: Any) -> tuple[Any, Any] | None:
    """The two graphs of a ``PairData``, or None if it is none."""
    suffixes = _suffixes(pair) if isinstance(pair, Data) else None
    return None if suffixes is None else (_one(pair, suffixes[0]), _one(pair, suffixes[1]))


def joined_graphs(pair: Any) -> Callable[[Any, Any], Any] | None:
    """What makes a ``PairData`` like this one of two graphs, or None if it is none."""
    suffixes = _suffixes(pair) if isinstance(pair, Data) else None
    if suffixes is None:
        return None

    def join(a: Any, b: Any) -> Any:
        joined = type(pair)()
        for suffix, graph in zip(suffixes, (a, b), strict=True):
            for key, value in graph.to_dict().items():
                joined[f"x_{suffix}_{key}" if key in ("batch", "ptr") else f"{key}_{suffix}"] = value
        return joined

    return join


def _suffixes(pair: Data) -> tuple[str, str] | None:
    """The endings of the two graphs' keys in a ``PairData``: ("s", "t") for x_s and x_t."""
    found = [
        key.removeprefix("x_")
        for key in pair.to_dict()
        if key.startswith("x_") and f"edge_index_{key.removeprefix('x_')}" in pair
    ]
    return (found[0], found[1]) if len(found) == 2 and "edge_index" not in pair else None


def _one(pair: Data, suffix: str) -> Data:
    keys = {
        key.removesuffix(f"_{suffix}"): value for key, value in pair.to_dict().items() if key.endswith(f"_{suffix}")
    }
    graph = Data(**keys)
    if f"x_{suffix}_batch" in pair:
        graph.batch = pair[f"x_{suffix}_batch"]
    elif getattr(pair, "num_graphs", 1) > 1:
        raise ValueError(
            "the batch of pairs does not say which pair a node belongs to: DataLoader(..., "
            f"follow_batch=['x_{suffix}', ...])"
        )
    for cut in ("_slice_dict", "_inc_dict"):  # where PyG's collation has cut the pairs
        if known := getattr(pair, cut, None):
            ours = {key.removesuffix(f"_{suffix}"): one for key, one in known.items() if key.endswith(f"_{suffix}")}
            setattr(graph, cut, ours)
    if (pairs := getattr(pair, "num_graphs", None)) is not None:
        graph.num_graphs_ = pairs
    return graph


def _check_alike(a: Side, b: Side) -> None:
    """Refuses pairs of which only one side has edge weights or edge attributes."""
    if not (isinstance(a, GraphSide) and isinstance(b, GraphSide)):
        return
    for key in ("edge_weight", "edge_attr"):
        has = [key in one.structure.data for one in (a, b)]
        if has[0] != has[1]:
            given, other = (SIDES[i] for i in (has.index(True), has.index(False)))
            raise ValueError(
                f"the graphs of input {given} have {key} and those of input {other} have none: give it to both, or "
                "take it off with del"
            )
