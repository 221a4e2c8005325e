"""A gate on every edge of a graph: messages are multiplied by it, in each branch by its own, for as long as a block
runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from threading import get_ident
from typing import Any

import torch
from torch import Tensor, nn


class GateMisfit(ValueError):
    """A layer sends messages along edges that are not the graphs' own; the message names the layer."""


@dataclass
class Gate:
    """The gate of one branch.

    Attributes:
        edge_index: the edges of the branch, (2, edges).
        values: what multiplies their messages, (edges,).
        nodes: the number of nodes.
        calls: how many times messages were multiplied.
    """

    edge_index: Tensor
    values: Tensor
    nodes: int
    calls: int = field(default=0)


@contextmanager
def gated(model: nn.Module, gates: Sequence[Gate]) -> Iterator[None]:
    """Multiplies the messages of every ``MessagePassing`` layer by the gate of their edge inside the block; nothing
    stays on the model.

    Which gate belongs to a call is told by the edges that the layer is given, so that one layer may serve several
    branches, or both at once (the edges of a and then those of b). Self-loops that a layer adds are its own and are not
    gated; a loop of the graph that the layer replaces by its own has no gate either.

    Raises:
        GateMisfit: from within the block, if a layer is given other edges, as after a pooling layer that drops nodes.
    """
    if not gates:
        yield
        return
    from torch_geometric.nn import MessagePassing

    current: dict[nn.Module, Tensor] = {}
    seen: Counter[nn.Module] = Counter()
    thread = get_ident()  # others may serve the same model at the same time
    names = {module: name for name, module in model.named_modules() if isinstance(module, MessagePassing)}

    def note(module: nn.Module, args: Any) -> None:
        if get_ident() != thread:
            return
        values = _lined_up(args[0], gates, seen[module])
        if values is None:
            raise GateMisfit(
                f"layer {names[module]!r} ({type(module).__name__}) sends messages along {_count(args[0])} edges "
                "that are not those of the graph"
            )
        seen[module] += 1
        current[module] = values

    def multiply(module: nn.Module, args: Any, output: Any) -> Tensor | None:
        if get_ident() != thread:
            return None
        values = current[module]
        where = module.node_dim % output.dim() if isinstance(output, Tensor) else 0  # type: ignore[operator]
        if not isinstance(output, Tensor) or output.shape[where] != len(values):
            raise GateMisfit(
                f"layer {names[module]!r} ({type(module).__name__}) does not send one message along each of its "
                f"{len(values)} edges"
            )
        return output * values.to(output.dtype).view([-1 if i == where else 1 for i in range(output.dim())])

    with ExitStack() as stack:
        for module in names:
            stack.callback(module.register_propagate_forward_pre_hook(note).remove)
            stack.callback(module.register_message_forward_hook(multiply).remove)
        yield
    if not any(gate.calls for gate in gates):
        raise GateMisfit(
            "no layer of the model is a MessagePassing layer of torch_geometric that sends messages along the "
            "graph's edges"
        )


def _lined_up(edges: Any, gates: Sequence[Gate], call: int) -> Tensor | None:
    """The values of the gates for the edges that a layer is given."""
    if not isinstance(edges, Tensor) or edges.layout is not torch.strided:
        return None
    found = [(gate, values) for gate in gates if (values := _along(edges, gate)) is not None]
    if len(found) > 1:  # two branches with the same edges: the tensor itself tells, or else the order of the calls
        same = [one for one in found if one[0].edge_index.data_ptr() == edges.data_ptr()]
        found = [same[0] if len(same) == 1 else found[call % len(found)]]
    if not found and len(gates) > 1:
        first, second = gates
        shifted = torch.cat([first.edge_index, second.edge_index + first.nodes], 1)
        both = Gate(shifted, torch.cat([first.values, second.values]), first.nodes + second.nodes)
        if (values := _along(edges, both)) is not None:
            first.calls, second.calls = first.calls + 1, second.calls + 1
            return values
    for gate, values in found:
        gate.calls += 1
        return values
    return None


def _along(edges: Tensor, gate: Gate) -> Tensor | None:
    """The gate's values along edges that are its own, alone or followed by a loop at each node; None if they are
    others.
    """
    own, values = gate.edge_index, gate.values
    if edges is own or torch.equal(edges, own):
        return values
    kept = own[0] != own[1]
    for where in (slice(None), kept):
        some = own[:, where]
        rest = edges[:, some.shape[1] :]
        if (
            rest.shape[1] == gate.nodes
            and torch.equal(edges[:, : some.shape[1]], some)
            and torch.equal(rest[0], rest[1])
        ):
            return torch.cat([values[where], values.new_ones(gate.nodes)])
    without = own[:, kept]
    return values[kept] if without.shape == edges.shape and torch.equal(edges, without) else None


def _count(edges: Any) -> Any:
    return edges.shape[1] if isinstance(edges, Tensor) and edges.layout is torch.strided else "a sparse matrix of"
