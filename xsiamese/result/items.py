"""The maps and the inputs of an explanation, taken apart by pairs and for files: tensors here, all else by its kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from xsiamese.kinds.kind import Kind


def parts(value: Any) -> tuple[Any, ...]:
    """The tensors, graphs or mappings that an item or a map is made of."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def check(value: Any, pairs: int, what: str, kind: Kind) -> None:
    """Refuses an item or a map that is of other than ``pairs`` pairs."""
    for item in parts(value):
        if isinstance(item, Tensor):
            if item.shape[:1] != (pairs,):
                raise ValueError(f"the {what} has shape {tuple(item.shape)} for {pairs} scores")
        elif kind.count(item) != pairs:
            raise ValueError(f"the {what} is of {kind.count(item)} {kind.name}s for {pairs} scores")


def take(value: Any, which: Sequence[int], kind: Kind) -> Any:
    """An item or a map of some of the pairs."""
    if isinstance(value, (tuple, list)):
        return type(value)(take(item, which, kind) for item in value)
    rows = torch.as_tensor(which, dtype=torch.long)
    return value[rows.to(value.device)] if isinstance(value, Tensor) else kind.take(value, rows)


def joined(items: Sequence[Any]) -> Any:
    """Items that were got one by one, tensors of one pair, texts or graphs, as one batch."""
    first = items[0]
    if isinstance(first, Tensor):
        return torch.cat(list(items))
    if isinstance(first, (str, list)):
        return [text for item in items for text in ([item] if isinstance(item, str) else item)]
    from torch_geometric.data import Batch

    # a reader gives batches of one graph
    whole = [item.to_data_list() if hasattr(item, "num_graphs") else [item] for item in items]
    return Batch.from_data_list([graph for graphs in whole for graph in graphs])


def pack(name: str, value: Any, kind: Kind) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of an item or a map by name, and how it is to be put together again."""
    tensors: dict[str, Tensor] = {}
    shape: dict[str, Any] = {name: len(value) if isinstance(value, (tuple, list)) else None}
    for i, item in enumerate(parts(value)):
        key = f"{name}.{i}"
        if isinstance(item, Tensor):
            tensors[key] = item
            continue
        found, shape[key] = kind.pack(item)
        tensors.update({f"{key}.{part}": tensor for part, tensor in found.items()})
    return tensors, shape


def unpack(name: str, tensors: Mapping[str, Tensor], shape: Mapping[str, Any], kind: Kind) -> Any:
    """What :func:`pack` took apart."""

    def item(key: str) -> Any:
        if key not in shape:
            return tensors[key]
        own = {part.removeprefix(f"{key}."): t for part, t in tensors.items() if part.startswith(f"{key}.")}
        return kind.unpack(own, shape[key])

    count = shape[name]
    return item(f"{name}.0") if count is None else tuple(item(f"{name}.{i}") for i in range(count))
