"""A batch of graphs whose nodes and edges are grouped by graph: checked, cut and copied."""

from __future__ import annotations

from copy import copy
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Batch, Data
from torch_geometric.explain import Explanation

from xsiamese.kinds.graphs.attributes import Cut, cuts_of, dimension, keep_cuts, starts_of
from xsiamese.kinds.side import ordinary


class Structure:
    """Graphs as one ``Batch``, edges grouped by graph.

    Attributes:
        data: the batch that the model gets.
        pairs: the number of graphs.
        batch: the graph of each node; ``edge_batch`` that of each edge.
        nodes: where each graph's nodes start, and the number of all, shape (pairs + 1,); ``edges`` the same of edges.
        order: the user's edge of each edge, or None if the order is the user's.
    """

    def __init__(self, data: Any, order: Tensor | None = None, given: dict[str, Tensor] | None = None) -> None:
        self.data = data
        self.order = order
        self.pairs: int = data.num_graphs
        self.batch: Tensor = data.batch
        self.nodes: Tensor = data.ptr
        self._given = given
        self._copies: dict[int, Any] = {1: data}

    @cached_property
    def edge_batch(self) -> Tensor:
        return self.batch[self.data.edge_index[0]]

    @cached_property
    def edges(self) -> Tensor:
        return _starts(self.edge_batch, self.pairs)

    @property
    def node_numbers(self) -> Tensor:
        """The number of each node in its graph."""
        numbers: Tensor = torch.arange(len(self.batch), device=self.batch.device) - self.nodes[self.batch]
        return numbers

    @cached_property
    def edge_numbers(self) -> Tensor:
        """The number in its graph of the edge that each entry of ``edge_index`` belongs to.

        Where every entry of a graph has its reverse, the two are one edge.
        """
        (start, end), nodes = self.data.edge_index, len(self.batch)
        forward = start * nodes + end
        one_way = ~torch.isin(end * nodes + start, forward)
        directed = torch.zeros(self.pairs, dtype=torch.bool, device=start.device).index_fill_(
            0, self.edge_batch[one_way], True
        )
        key = torch.where(
            directed[self.edge_batch], forward, torch.minimum(start, end) * nodes + torch.maximum(start, end)
        )
        edges, place = torch.unique(key, return_inverse=True)  # in the order of their first nodes, so graph by graph
        numbers: Tensor = place - _starts(self.batch[edges // nodes], self.pairs)[self.edge_batch]
        return numbers

    @property
    def given(self) -> dict[str, Tensor]:
        """The graphs as the user gave them, for the result."""
        if self._given is not None:
            return self._given
        keys = ("x", "edge_index", "batch", "ptr", "edge_weight", "edge_attr", "pos")
        return {key: value.detach() for key in keys if isinstance(value := self.data.get(key), Tensor)}

    def as_given(self, value: Tensor) -> Tensor:
        """What belongs to the edges, in the user's order of them."""
        return value if self.order is None else torch.zeros_like(value).index_copy(0, self.order, value)

    def reversed_edges(self) -> Tensor:
        """The edges of each graph backwards."""
        starts, stops = self.edges[:-1][self.edge_batch], self.edges[1:][self.edge_batch]
        return starts + stops - 1 - torch.arange(len(self.edge_batch), device=self.edges.device)

    def ordered(self, order: Tensor) -> Structure:
        """The same graphs with their edges in another order."""
        data = copy(self.data)
        for key, cut in data._cuts.items():
            if cut.role == "edges":
                value = data[key]
                rows = isinstance(value, Tensor)
                data[key] = (
                    value.index_select(dimension(data, key, value) or 0, order)
                    if rows
                    else [value[i] for i in order.tolist()]
                )
        return Structure(data, order if self.order is None else self.order[order], self.given)

    def copied(self, copies: int) -> Any:
        """The graphs several times over, one copy after the other, in a new batch each time."""
        if copies not in self._copies:  # keeps one number: steps of a path come in equal parts
            self._copies = {
                1: self.data,
                copies: self.select(torch.arange(self.pairs, device=self.batch.device).repeat(copies)).data,
            }
        return copy(self._copies[copies])

    def rows(self, role: str, which: Tensor) -> Tensor:
        """The "nodes" or "edges" of some of the graphs, one graph after the other."""
        starts = self.nodes if role == "nodes" else self.edges
        return Cut(starts, torch.zeros_like(starts[1:]), "graphs").rows(which)

    def select(self, which: Tensor) -> Structure:
        """The graphs with these numbers, in their order, some perhaps several times."""
        data = copy(self.data)
        cuts: dict[str, Cut] = self.data._cuts
        for key, cut in cuts.items():
            data[key] = cut.taken(self.data, key, which)
        # each graph's new number, once for each of its nodes
        data.batch = torch.arange(len(which), device=which.device).repeat_interleave(torch.diff(self.nodes)[which])
        return Structure(_finished(data, len(which), {key: cut.select(which) for key, cut in cuts.items()}))

    def equals(self, other: Structure) -> Tensor:
        """Which graphs have the same nodes and edges, in the same order."""
        sizes = [(torch.diff(one.nodes), torch.diff(one.edges)) for one in (self, other)]
        same = (sizes[0][0] == sizes[1][0]) & (sizes[0][1] == sizes[1][1])
        if self.data.x.shape[1:] != other.data.x.shape[1:] or not bool(same.any()):
            return torch.zeros_like(same)
        values = [
            (
                one.data.x[same[one.batch]],
                (one.data.edge_index - one.nodes[one.edge_batch])[:, same[one.edge_batch]].t(),
            )
            for one in (self, other)
        ]
        for mine, theirs, where in zip(
            *values, (self.batch[same[self.batch]], self.edge_batch[same[self.edge_batch]]), strict=True
        ):
            differs = (mine != theirs).flatten(1).any(1)
            same[where[differs]] = False
        return same

    def __deepcopy__(self, memo: dict[int, Any]) -> Structure:
        return self  # never changed


def of_graphs(item: Data, name: str, strict: bool = True) -> Structure:
    """The structure of a user's graph or batch of graphs, checked before any work is done.

    Args:
        item: the graphs.
        name: of the input, for messages.
        strict: whether attributes are refused of which it is not known whose they are; else every graph has them whole.

    Raises:
        ValueError: naming what is missing, empty, outside, or not a number.
    """
    item = copy(item).apply(ordinary)
    x, edge_index = item.get("x"), item.get("edge_index")
    if not isinstance(x, Tensor) or x.dim() != 2:
        given = next((key for key in ("x", "z", "pos") if isinstance(item.get(key), Tensor)), None)
        column = "" if given is None else f"; {name}.x = {name}.{given}{'' if given == 'pos' else '[:, None]'} makes it"
        column = column if given != "x" or x.dim() == 1 else ""
        raise ValueError(f"input {name} needs node features x of shape (nodes, features), not {_shape(x)}{column}")
    if (
        not isinstance(edge_index, Tensor)
        or edge_index.dim() != 2
        or edge_index.shape[0] != 2
        or edge_index.dtype != torch.long
    ):
        raise ValueError(
            f"input {name} needs edge_index of shape (2, edges) in int64, not {_shape(edge_index)}; a sparse adj_t "
            "is not supported, and a graph without edges has torch.empty(2, 0, dtype=torch.long)"
        )
    if not len(x):
        raise ValueError(f"input {name} holds no node: x has shape {tuple(x.shape)}")
    batch = item.get("batch")
    batch = torch.zeros(len(x), dtype=torch.long, device=x.device) if batch is None else batch
    counted = len(batch) and batch.dtype == torch.long  # else refused below
    pairs = (
        item.num_graphs
        if isinstance(item, Batch)
        else int(item.get("num_graphs_") or batch.max() + 1 if counted else 1)
    )
    _check_nodes(x, batch, pairs, name)
    _check_edges(item, edge_index, x, batch, name)
    if isinstance(item, Batch):
        data = copy(item)
    elif item.get("batch") is None:
        data = Batch.from_data_list([item])
    else:
        parts = {key: value for key, value in item.to_dict().items() if key != "num_graphs_"}
        data = Batch(_base_cls=type(item), **parts)
        data._slice_dict, data._inc_dict = (getattr(item, known, {}) for known in ("_slice_dict", "_inc_dict"))
    data.batch = batch
    nodes, edges = (_starts(graph, pairs) for graph in (batch, batch[edge_index[0]]))
    structure = Structure(_finished(data, pairs, cuts_of(data, name, nodes, edges, strict)))
    if len(edge_index[0]) and bool((torch.diff(structure.edge_batch) < 0).any()):
        return structure.ordered(structure.edge_batch.argsort(stable=True))
    return structure


def some_graphs(item: Any, which: Tensor) -> Any:
    """Some graphs of a batch or of an explanation of one."""
    whole = of_graphs(item, "a", strict=False)
    some = whole.select(which.to(whole.batch.device)).data
    return some if isinstance(item, Batch) else graph_of(type(item).__name__, some.to_dict())


def graph_of(kind: str, parts: dict[str, Any]) -> Any:
    """The explanation, the batch or the graph that has these parts."""
    if kind == "Explanation":
        return Explanation(**parts)
    if "batch" not in parts:
        return Data(**parts)
    return of_graphs(Data(**parts), "a", strict=False).data


def _check_nodes(x: Tensor, batch: Tensor, pairs: int, name: str) -> None:
    if batch.shape != (len(x),) or batch.dtype != torch.long or bool((torch.diff(batch) < 0).any()) or batch[0] < 0:
        raise ValueError(
            f"batch of input {name} must give the graph of each of {len(x)} nodes, in ascending order from 0, "
            f"not {_some(batch)}; make it with Batch.from_data_list"
        )
    sizes = torch.bincount(batch, minlength=pairs)
    if not bool(sizes.all()):
        raise ValueError(
            f"the graph of input {name} in pair {_some((sizes == 0).nonzero())} is empty: it has no node; leave that "
            "pair out"
        )
    _check_finite(x, batch, f"x of input {name}, shape {tuple(x.shape)},")


def _check_edges(item: Data, edge_index: Tensor, x: Tensor, batch: Tensor, name: str) -> None:
    if edge_index.device != x.device:
        raise ValueError(
            f"input {name} has x on {x.device} and edge_index on {edge_index.device}: use {name}.to({str(x.device)!r})"
        )
    outside = ((edge_index < 0) | (edge_index >= len(x))).any(0)
    if bool(outside.any()):
        first = int(outside.nonzero()[0])
        raise ValueError(
            f"edge {first} of input {name} is {tuple(edge_index[:, first].tolist())}, and there are {len(x)} nodes: "
            "edge_index points outside"
        )
    across = batch[edge_index[0]] != batch[edge_index[1]]
    if bool(across.any()):
        first = int(across.nonzero()[0])
        raise ValueError(
            f"edge {first} of input {name} joins the graphs of pairs "
            f"{' and '.join(map(str, batch[edge_index[:, first]].tolist()))}"
        )
    for key in ("edge_weight", "edge_attr"):
        value = item.get(key)
        if value is None:
            continue
        if not isinstance(value, Tensor) or len(value) != edge_index.shape[1]:
            raise ValueError(
                f"{key} of input {name} has shape {_shape(value)} for {edge_index.shape[1]} edges: one row for each "
                "is needed"
            )
        _check_finite(value, batch[edge_index[0]], f"{key} of input {name}, shape {tuple(value.shape)},")


def _check_finite(value: Tensor, pair: Tensor, what: str) -> None:
    if value.is_floating_point() and not value.is_meta:
        bad = ~torch.isfinite(value.detach()).flatten(1).all(1) if value.dim() > 1 else ~torch.isfinite(value.detach())
        if bool(bad.any()):
            raise ValueError(
                f"{what} holds NaN or infinite values in pair {_some(torch.unique(pair[bad]))}: clean or leave out"
            )


def _finished(data: Any, pairs: int, cuts: dict[str, Cut]) -> Any:
    """A batch with all that ``Batch.from_data_list`` gives it."""
    data.ptr = _starts(data.batch, pairs)
    data._cuts = cuts
    steps = {key: starts_of(cut.step)[:-1] for key, cut in cuts.items()}
    return keep_cuts(data, {key: cut.starts for key, cut in cuts.items()}, steps)


def _starts(of: Tensor, pairs: int) -> Tensor:
    return starts_of(torch.bincount(of, minlength=pairs))


def _shape(value: Any) -> Any:
    return tuple(value.shape) if isinstance(value, Tensor) else value if value is None else type(value).__name__


def _some(found: Tensor) -> str:
    return ", ".join(map(str, found.flatten().tolist()[:8])) + (", ..." if found.numel() > 8 else "")
