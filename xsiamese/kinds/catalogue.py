"""Every kind of input by its name: ours, and those that plugins bring by the hook ``xsiamese_kinds``."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

from torch import Tensor

from xsiamese.door.registry import registry
from xsiamese.kinds.dense import Tensors
from xsiamese.kinds.graphs.kind import Graphs
from xsiamese.kinds.images import Images
from xsiamese.kinds.kind import Kind
from xsiamese.kinds.rows import Rows
from xsiamese.kinds.series import Series
from xsiamese.kinds.side import Side
from xsiamese.kinds.text import Text
from xsiamese.kinds.volumes import Volumes

# in the order in which they are asked; the last takes any tensor
OURS: Mapping[str, Kind] = MappingProxyType(
    {kind.name: kind for kind in (Graphs(), Text(), Images(), Rows(), Series(), Volumes(), Tensors())}
)
ALIASES = MappingProxyType({"tabular": "row"})


def kinds() -> Mapping[str, Kind]:
    """Every kind of input by its name.

    Example:
        >>> list(kinds())
        ['graph', 'text', 'image', 'row', 'series', 'volume', 'tensor']
    """
    return MappingProxyType({**OURS, **_brought()})


def kind(name: str | Kind) -> Kind:
    """The kind of a name.

    Raises:
        ValueError: if there is none, with the nearest names.
    """
    if isinstance(name, Kind):
        return name
    called = ALIASES.get(name, name)
    found = OURS.get(called) or _brought().get(called)
    if found is None:
        known = [one for one in kinds() if one != "tensor"]
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
        raise ValueError(f"no kind of input is called {name!r}; {hint}")
    return found


def names(some: frozenset[str]) -> frozenset[str]:
    """The kinds' own names for those that an explainer declares: a "tabular" one is a row."""
    return frozenset(ALIASES.get(name, name) for name in some)


def side(item: Any, name: str, of: str | Kind | None = None) -> Side:
    """One side of a batch of pairs, of what a user gives.

    Args:
        item: a tensor, a tuple or a mapping of tensors, a graph, or what a plugin's kind takes.
        name: how errors call it.
        of: the kind, or its name, where the user says it; else the first kind that takes the item. A bare tensor is
            one of ours unless the user says otherwise.

    Raises:
        TypeError: if no kind takes it.
        ValueError: if it cannot be explained.

    Example:
        >>> import torch
        >>> side(torch.zeros(2, 3, 20), "a").kind
        'series'
    """
    if of is not None:
        one = kind(of)
        found = one.side(item, name, asked=True)
        if found is None:
            raise TypeError(f"input {name} is a {type(item).__name__}, which cannot be a {one.name}")
        return found
    brought = {} if isinstance(item, Tensor) else _brought()
    for one in (*brought.values(), *OURS.values()):
        found = one.side(item, name)
        if found is not None:
            return found
    if isinstance(item, (tuple, list, Mapping)):
        inside = item.values() if isinstance(item, Mapping) else item
        what = ", ".join(type(leaf).__name__ for leaf in inside) or "nothing"
        raise TypeError(
            f"input {name} is a {_called(item)} of {what}: every part must be a tensor"
            + next((told for leaf in inside if (told := _conversion(leaf))), "")
        )
    raise TypeError(
        f"input {name} is a {type(item).__name__}: a tensor or a tuple of tensors is needed{_conversion(item)}"
    )


def _conversion(item: Any) -> str:
    """How an array or a picture becomes a tensor, where it is one; known by the module of its class."""
    where = type(item).__module__.partition(".")[0]
    if where == "numpy":
        return "; torch.from_numpy(array) makes one, with pairs first"
    if where == "PIL":
        return (
            "; torchvision.transforms.functional.to_tensor(image)[None] makes one of shape (1, channels, height, "
            "width), and then what the model was trained with (size, mean, standard deviation)"
        )
    if where == "torch_geometric":
        return "; torch_geometric.data.Batch.from_data_list(graphs) makes one side of a list of graphs"
    if isinstance(item, Mapping):
        return "; one mapping a side, each value a tensor with pairs first, torch.stack([one[key] for one in items])"
    if isinstance(item, str):
        return "; strings are for models of texts: from_transformers, from_sentence_transformers"
    if isinstance(item, (list, tuple)) and item and isinstance(item[0], (int, float)):
        return "; torch.tensor(numbers) makes one of lists of numbers"
    return ""


def _called(item: Any) -> str:
    return "mapping" if isinstance(item, Mapping) else type(item).__name__


def _brought() -> Mapping[str, Kind]:
    return registry.collect("xsiamese_kinds", lambda brought: str(brought.name), "kinds of input")
