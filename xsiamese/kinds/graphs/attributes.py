"""Which rows of an attribute belong to which graph of a batch: where PyG cut it, and not how long it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

Role = Literal["nodes", "edges", "graphs"]
OF_EDGES = ("edge_index", "edge_weight", "edge_attr")


class Cut(NamedTuple):
    """How an attribute of a batch of graphs is cut into those of single graphs.

    Attributes:
        starts: where each graph's rows begin, and the end of the last, shape (graphs + 1,).
        step: by how much its numbers count on from each graph to the next, shape (graphs,): the nodes of each graph for
            numbers of nodes, else 0.
        role: whether it has one row for each of the "nodes" or "edges", or belongs to the "graphs" as wholes.
    """

    starts: Tensor
    step: Tensor
    role: Role

    def rows(self, which: Tensor) -> Tensor:
        """The rows of some of the graphs, one graph after the other."""
        sizes = self.starts.diff()[which]
        # the k-th of all rows taken is the (k - rows before its graph)-th of its graph
        shift = (self.starts[which] - sizes.cumsum(0) + sizes).repeat_interleave(sizes)
        return shift + torch.arange(int(sizes.sum()), device=which.device)

    def select(self, which: Tensor) -> Cut:
        """The cut of these graphs one after the other."""
        return Cut(starts_of(self.starts.diff()[which]), self.step[which], self.role)

    def taken(self, data: Any, key: str, which: Tensor) -> Any:
        """The rows of these graphs, numbers counted anew."""
        value, rows = data[key], self.rows(which)
        if not isinstance(value, Tensor):
            return [value[i] for i in rows.tolist()]
        dim = dimension(data, key, value) or 0
        value = value.index_select(dim, rows)
        if not bool(self.step.any()):
            return value
        # values that count nodes were raised by all graphs before theirs: other graphs come before them now
        moved = starts_of(self.step[which])[:-1] - starts_of(self.step)[:-1][which]
        along = [-1 if i == dim % value.dim() else 1 for i in range(value.dim())]
        return value + moved.repeat_interleave(self.starts.diff()[which]).view(along)


def cuts_of(data: Any, name: str, nodes: Tensor, edges: Tensor, strict: bool = True) -> dict[str, Cut]:
    """The cuts of all attributes of a batch that have rows; those without, such as a number that all graphs share,
    have none.

    Args:
        data: the batch; where PyG's collation made it, it knows where it was cut.
        name: of the input, for messages.
        nodes, edges: where each graph's nodes and edges begin, and the end of the last.
        strict: whether attributes are refused of which it is not known whose they are; else they have no cut.

    Raises:
        ValueError: for an attribute of which it cannot be known whose its rows are.
    """
    pairs, found = len(nodes) - 1, dict[str, Cut]()
    known = {**(getattr(data, "_slice_dict", None) or {}), "x": nodes, **dict.fromkeys(OF_EDGES, edges)}
    for key, value in data.to_dict().items():
        if key in ("batch", "ptr") or not _has_rows(value):
            continue
        length = len(value) if isinstance(value, (list, dict)) else _length(data, key, value, name)
        starts = known.get(key)
        if isinstance(starts, (list, dict)):
            raise ValueError(
                f"{key} of input {name} is nested, and cannot be cut by graph: make it one tensor, or take it off "
                f"with del {name}.{key}"
            )
        if starts is None or len(starts) != pairs + 1 or int(starts[-1]) != length:
            starts = _fitting(key, length, nodes, edges)
        if starts is not None:
            starts = torch.as_tensor(starts, device=nodes.device)
            found[key] = Cut(starts, _step(data, key, nodes, name), _role(key, starts, nodes, edges))
        elif strict:
            raise ValueError(
                f"{key} of input {name} has {length} rows for {int(nodes[-1])} nodes, {int(edges[-1])} edges and "
                f"{pairs} graphs: whose they are cannot be known; make the batch with Batch.from_data_list, or take "
                f"it off with del {name}.{key}"
            )
    return found


def dimension(data: Any, key: str, value: Any) -> int | None:
    """The dimension in which PyG joins an attribute; None where it stacks."""
    found = data.__cat_dim__(key, value)
    return found if found is None else int(found)


def starts_of(sizes: Tensor) -> Tensor:
    """Where parts of these sizes begin one after the other, and the end of the last."""
    return torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])


def _has_rows(value: Any) -> bool:
    return isinstance(value, (list, dict)) or (isinstance(value, Tensor) and value.dim() > 0)


def _length(data: Any, key: str, value: Tensor, name: str) -> int:
    dim = data.__cat_dim__(key, value)
    if value.layout is not torch.strided or not isinstance(dim, (int, type(None))):
        raise ValueError(f"{key} of input {name} is sparse, which is not supported: take it off with del")
    return value.shape[dim or 0]


def _fitting(key: str, length: int, nodes: Tensor, edges: Tensor) -> Tensor | None:
    """The cut that this many rows have, where PyG has not said it; by PyG's rule "edge" in a name tells edges from as
    many nodes.
    """
    pairs = len(nodes) - 1
    of_nodes, of_edges = length == int(nodes[-1]), length == int(edges[-1])
    if of_edges and ("edge" in key or not of_nodes):
        return edges
    if of_nodes:
        return nodes
    if pairs == 1:
        return torch.tensor([0, length])
    return torch.arange(pairs + 1) if length == pairs else None


def _role(key: str, starts: Tensor, nodes: Tensor, edges: Tensor) -> Role:
    of_nodes, of_edges = torch.equal(starts, nodes), torch.equal(starts, edges)
    if of_edges and ("edge" in key or not of_nodes):
        return "edges"
    return "nodes" if of_nodes else "graphs"


def _step(data: Any, key: str, nodes: Tensor, name: str) -> Tensor:
    """By how much the numbers of an attribute count on from graph to graph."""
    value, sizes = data[key], nodes.diff()
    if not isinstance(value, Tensor) or value.is_floating_point() or value.dtype == torch.bool:
        return torch.zeros_like(sizes)
    known = sizes.cumsum(0) - sizes if key == "edge_index" else (getattr(data, "_inc_dict", None) or {}).get(key)
    if isinstance(known, Tensor) and known.shape == sizes.shape and len(sizes) > 1:
        step = torch.as_tensor(known, device=sizes.device).diff()
        counted, all_same = torch.equal(step, sizes[:-1]), not bool(step.any())
    else:
        on = data.__inc__(key, value)
        counted, all_same = isinstance(on, int) and on == int(nodes[-1]), isinstance(on, int) and on == 0
    if counted:
        return sizes
    if all_same:
        return torch.zeros_like(sizes)
    raise ValueError(
        f"{key} of input {name} counts on from graph to graph by something else than nodes (its __inc__): take it off "
        "with del"
    )


def keep_cuts(batch: Any, starts: Mapping[str, Tensor], steps: Mapping[str, Tensor]) -> Any:
    """Tells a batch how it is cut, as ``Batch.from_data_list`` does, so that it can be taken apart again. This is the
    only place that writes the private attributes of torch_geometric's batches.

    Args:
        batch: the batch, with its ``ptr``.
        starts: where the rows of each graph begin in each attribute, and the end of the last, shape (graphs + 1,).
        steps: where the numbers in an attribute begin to count in each graph, shape (graphs,), where they count at all.

    Returns:
        The batch itself.
    """
    count = len(batch.ptr) - 1
    none = torch.zeros(count, dtype=torch.long, device=batch.ptr.device)
    batch._num_graphs, batch._slice_dict = count, dict(starts)
    batch._inc_dict = {key: steps.get(key, none) for key in starts}
    if "num_nodes" in batch.to_dict():
        batch.num_nodes, batch._num_nodes = int(batch.ptr[-1]), batch.ptr.diff().tolist()
    return batch
