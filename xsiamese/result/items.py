"""The maps and the inputs of an explanation: tensors, tuples of them, or graphs, taken apart by pairs and for files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


def is_graph(value: Any) -> bool:
    return hasattr(value, "edge_index")


def parts(value: Any) -> tuple[Any, ...]:
    """The tensors or graphs that an item or a map is made of."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def check(value: Any, pairs: int, what: str) -> None:
    """Refuses an item or a map that is of other than ``pairs`` pairs."""
    for item in parts(value):
        if is_graph(item):
            graphs = 1 if item.get("batch") is None else int(item.batch.max()) + 1
            if graphs != pairs:
                raise ValueError(f"the {what} is of {graphs} graphs for {pairs} scores")
        elif item.shape[:1] != (pairs,):
            raise ValueError(f"the {what} has shape {tuple(item.shape)} for {pairs} scores")


def take(value: Any, which: Sequence[int]) -> Any:
    """An item or a map of some of the pairs."""
    if is_graph(value):
        from xsiamese.kinds.graphs.structure import some_graphs

        return some_graphs(value, torch.as_tensor(which, dtype=torch.long))
    if isinstance(value, Tensor):
        return value[torch.as_tensor(which, dtype=torch.long, device=value.device)]
    return type(value)(take(item, which) for item in value) if isinstance(value, (tuple, list)) else value


def pack(name: str, value: Any) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of an item or a map by name, and how it is to be put together again."""
    tensors: dict[str, Tensor] = {}
    shape: dict[str, Any] = {name: len(value) if isinstance(value, (tuple, list)) else None}
    for i, item in enumerate(parts(value)):
        key = f"{name}.{i}"
        if is_graph(item):
            shape[key] = type(item).__name__
            tensors.update({f"{key}.{k}": v for k, v in item.to_dict().items() if isinstance(v, Tensor)})
        else:
            tensors[key] = item
    return tensors, shape


def unpack(name: str, tensors: Mapping[str, Tensor], shape: Mapping[str, Any]) -> Any:
    """What :func:`pack` took apart."""

    def item(key: str) -> Any:
        if key not in shape:
            return tensors[key]
        from xsiamese.kinds.graphs.structure import graph_of

        return graph_of(
            shape[key], {k.removeprefix(f"{key}."): v for k, v in tensors.items() if k.startswith(f"{key}.")}
        )

    count = shape[name]
    return item(f"{name}.0") if count is None else tuple(item(f"{name}.{i}") for i in range(count))
