"""What of an input can be explained: the tensors of a side, which pair each row belongs to, and the baselines they
start from.
"""

from __future__ import annotations

import numbers
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import singledispatch
from importlib import import_module
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

Wrt = Literal["both", "first", "second"]
Leaves = tuple[Tensor, ...]
SIDES = ("a", "b")


class Side(ABC):
    """One side of a batch of pairs: a structure around tensors, its leaves, and which pair each of their rows belongs
    to.

    A new kind of input (a graph, a text) is one subclass, registered with ``side.register``.

    Attributes:
        leaves: what can be explained.
        pairs: the number of pairs.
        parts: the names of the leaves, where they are chosen by name.
        modality: what an explainer must name in its ``modalities`` to be asked about it; "" is any tensor.
        aligned: whether the i-th row of a leaf means the same as the i-th row of the other side's.
        one_tensor: whether the model takes nothing but the one leaf.
    """

    leaves: Leaves
    pairs: int
    modality: ClassVar[str] = ""
    parts: tuple[str, ...] = ()
    aligned: ClassVar[bool] = True
    one_tensor: bool = False

    @abstractmethod
    def rebuild(self, leaves: Sequence[Tensor]) -> Any:
        """What the model takes, made of other leaves of the same structure (their batch may be longer)."""

    @abstractmethod
    def result(self, maps: Sequence[Tensor]) -> Any:
        """What the user gets back, from one map per leaf."""

    @abstractmethod
    def holding(self, leaves: Leaves) -> Side:
        """This side around other leaves."""

    def detached(self) -> Side:
        """This side around copies of its leaves that know of no gradient."""
        return self.holding(tuple(leaf.detach().clone() for leaf in self.leaves))

    @abstractmethod
    def select(self, which: Tensor) -> Side:
        """The pairs with these numbers, in their order, some perhaps several times."""

    def slice(self, start: int, stop: int) -> Side:
        """The pairs from ``start`` to ``stop``, or to the last."""
        return self.select(torch.arange(start, min(stop, self.pairs), device=self.leaves[0].device))

    def explaining(
        self, parts: Sequence[str] | None, name: str, default: Sequence[str] = (), moving: bool = True
    ) -> Side:
        """This side with its leaves chosen by name, for inputs that have such parts; ``default`` are those of the
        explainer.
        """
        if parts is not None:
            raise ValueError(f"input {name} is no graph and has no parts to choose from: leave out parts={parts!r}")
        return self

    def beside(self, other: Side) -> Side:
        """This side as it must be for the other one."""
        return self

    def template(self, which: Tensor | None = None) -> Side:
        """What is enough of this side to rebuild any number of copies of its pairs, or of some of them; also of a
        template.
        """
        return self.slice(0, 1).detached()

    def names(self, name: str) -> list[str]:
        """What errors call the leaves."""
        return [name] if len(self.leaves) == 1 else [f"{name}[{i}]" for i in range(len(self.leaves))]

    def rows(self, leaf: int, which: Tensor) -> Tensor:
        """The rows of a leaf, or of its map, that belong to the pairs with these numbers."""
        return which

    def pair_of(self, leaf: int) -> Tensor:
        """The pair that each row of a leaf belongs to, shape (rows,)."""
        return torch.arange(self.pairs, device=self.leaves[leaf].device)

    def unit_of(self, leaf: int) -> Tensor:
        """The part of its pair's item that each row of a leaf is of, numbered from 0 in each pair, shape (rows,): a
        node, or an edge with both its rows.
        """
        return torch.zeros_like(self.pair_of(leaf))

    def count(self, leaf: int, tensor: Tensor) -> int:
        """How many pairs a tensor in the place of a leaf holds: it may hold several copies of all pairs, one after the
        other.
        """
        return len(tensor)

    def sums(self, value: Any) -> Tensor:
        """What a result of this side sums to in each pair, shape (pairs,)."""
        return row_sums(value)

    def equals(self, other: Side) -> Tensor:
        """Which pairs have two equal inputs, shape (pairs,)."""
        if [leaf.shape for leaf in self.leaves] != [leaf.shape for leaf in other.leaves]:
            return torch.zeros(self.pairs, dtype=torch.bool)
        return torch.stack(
            [(x == y).reshape(len(x), -1).all(1) for x, y in zip(self.leaves, other.leaves, strict=True)]
        ).all(0)

    @property
    def layer_pairs(self) -> Tensor:
        """The pair that each row of a layer's output belongs to."""
        return torch.arange(self.pairs, device=self.leaves[0].device)

    def returned(self, value: Any, of_layer: bool) -> Any:
        """What the user gets, from :meth:`result` or from the map of a layer."""
        return value

    def unwrapped(self, value: Any, of_layer: bool) -> Any:
        """What :meth:`returned` was given."""
        return value

    def gates(self, leaves: Sequence[Tensor]) -> list[Any]:
        """What multiplies the messages of this side's graphs, see :mod:`xsiamese.kinds.graphs.gates`."""
        return []


def row_sums(value: Any) -> Tensor:
    """The sum of each row of one or several tensors."""
    if isinstance(value, Tensor):
        return value.detach().flatten(1).sum(1)
    return torch.stack([row_sums(v) for v in value]).sum(0)


class TensorSide(Side):
    """A tensor, or a tuple of tensors, whose dimension 0 is the pair."""

    def __init__(self, leaves: Leaves, single: bool) -> None:
        self.leaves = leaves
        self.single = self.one_tensor = single
        self.pairs = leaves[0].shape[0]

    def rebuild(self, leaves: Sequence[Tensor]) -> Any:
        return leaves[0] if self.single else tuple(leaves)

    def result(self, maps: Sequence[Tensor]) -> Any:
        return maps[0] if self.single else tuple(maps)

    def holding(self, leaves: Leaves) -> TensorSide:
        return TensorSide(leaves, self.single)

    def select(self, which: Tensor) -> TensorSide:
        return TensorSide(tuple(leaf[which] for leaf in self.leaves), self.single)

    def slice(self, start: int, stop: int) -> TensorSide:
        return TensorSide(tuple(leaf[start:stop] for leaf in self.leaves), self.single)


@singledispatch
def side(item: Any, name: str) -> Side:
    """The :class:`Side` that an item is; ``name`` is how errors call it."""
    if _graphs_known():
        return side(item, name)
    raise TypeError(f"input {name} is a {type(item).__name__}: a tensor or a tuple of tensors is needed")


@singledispatch
def two_items(inputs: Any) -> Any:
    """The two inputs that an object holds: the values of a mapping, the graphs of a ``PairData``; anything else as it
    is.
    """
    return two_items(inputs) if _graphs_known() else inputs


@two_items.register(Mapping)
def _(inputs: Mapping[str, Any]) -> Any:
    return tuple(inputs.values())


@two_items.register(tuple)
@two_items.register(list)
@two_items.register(Tensor)
def _(inputs: Any) -> Any:
    return inputs


@singledispatch
def how_given(inputs: Any) -> tuple[str, str] | Callable[[Any, Any], Any] | None:
    """How a model of one argument gets the two inputs again as it was given them: keys of a dictionary, or what joins
    them.
    """
    return None


@how_given.register(Mapping)
def _(inputs: Mapping[str, Any]) -> Any:
    return tuple(inputs) if len(inputs) == 2 else None


def _graphs_known() -> bool:
    """Registers graphs when the first one may have come: torch_geometric is imported by whoever makes one."""
    if "torch_geometric" not in sys.modules or "xsiamese.kinds.graphs.side" in sys.modules:
        return False
    import_module("xsiamese.kinds.graphs.side")
    return True


@side.register
def _(item: Tensor, name: str) -> Side:
    _check(item, name)
    return TensorSide((item,), single=True)


@side.register(tuple)
@side.register(list)
def _(item: Sequence[Any], name: str) -> Side:
    if not item or not all(isinstance(leaf, Tensor) for leaf in item):
        kinds = ", ".join(type(leaf).__name__ for leaf in item) or "nothing"
        raise TypeError(f"input {name} is a tuple of {kinds}: every part must be a tensor")
    for i, leaf in enumerate(item):
        _check(leaf, f"{name}[{i}]")
        if len(leaf) != len(item[0]):
            raise ValueError(
                f"{name}[{i}] has {len(leaf)} rows and {name}[0] has {len(item[0])}: dimension 0 of all must be the "
                "pair"
            )
    return TensorSide(tuple(item), single=False)


def two_sides(
    inputs: Any, parts: Sequence[str] | None = None, default: Sequence[str] = ("nodes",), moving: bool = True
) -> tuple[Side, Side]:
    """The two sides of ``inputs``, checked: one batch size, not empty, every number finite.

    Args:
        inputs: the pairs.
        parts: what of a graph is explained, see :class:`xsiamese.kinds.graphs.side.GraphSide`; ``default`` if the user
            does not say.
        moving: whether the parts' values are to be moved, which whole numbers cannot be.

    Raises:
        TypeError: if they are not two inputs, or not tensors.
        ValueError: if a batch is empty, the batches differ, or a value is NaN or infinite.
    """
    items = two_items(inputs)
    if isinstance(items, Tensor) or not isinstance(items, (tuple, list)) or len(items) != 2:
        what = f"a tensor of shape {tuple(items.shape)}" if isinstance(items, Tensor) else f"a {type(inputs).__name__}"
        raise TypeError(f"inputs must be the two sides of the pairs, (a, b); got {what}")
    a, b = (side(item, name).explaining(parts, name, default, moving) for item, name in zip(items, SIDES, strict=True))
    if a.pairs != b.pairs:
        raise ValueError(
            f"a holds {a.pairs} items (shape {tuple(a.leaves[0].shape)}) and b holds {b.pairs} (shape "
            f"{tuple(b.leaves[0].shape)}): "
            "a pair needs one of each; repeat the shorter one with .expand or .repeat_interleave"
        )
    return a, b.beside(a)


def baseline_leaves(baselines: Any, a: Side, b: Side, *, distribution: bool = False) -> tuple[Leaves, Leaves]:
    """One baseline tensor for each leaf of each side.

    Args:
        baselines: None (zeros), a number, "partner" (the other side's own values), or a pair of baselines, each None, a
            number,
            a tensor of one row or one row a pair, or a tuple of those for a side of several tensors.
        distribution: whether a tensor holds samples to draw from, any number of rows, rather than one row a pair.
    """
    if isinstance(baselines, str):
        if baselines != "partner":
            raise ValueError(f"baselines={baselines!r}: a number, a pair of tensors or 'partner' is needed")
        if not (a.aligned and b.aligned):
            raise ValueError(
                "baselines='partner': the nodes of two graphs have no common order; give a number, or tensors (of a, "
                "of b)"
            )
        baselines = (b.leaves if len(b.leaves) > 1 else b.leaves[0], a.leaves if len(a.leaves) > 1 else a.leaves[0])
    if baselines is None or isinstance(baselines, numbers.Number):
        baselines = (baselines, baselines)
    if isinstance(baselines, Tensor) or not isinstance(baselines, (tuple, list)) or len(baselines) != 2:
        raise ValueError("baselines must be None, a number, 'partner' or a pair (baseline of a, baseline of b)")
    return _baseline(baselines[0], a, "a", distribution), _baseline(baselines[1], b, "b", distribution)


def _baseline(value: Any, of: Side, name: str, distribution: bool) -> Leaves:
    values = (
        value if isinstance(value, (tuple, list)) else (value,) * (1 if isinstance(value, Tensor) else len(of.leaves))
    )
    if len(values) != len(of.leaves):
        raise ValueError(f"input {name} has {len(of.leaves)} tensors and its baseline {len(values)}")
    made = []
    for one, leaf in zip(values, of.leaves, strict=True):
        if not isinstance(one, Tensor):
            like = leaf[:1].expand(2, *leaf.shape[1:]) if distribution else leaf
            made.append(
                leaf.new_full((), 0 if one is None else one).expand_as(like)
            )  # takes no memory until it is used
            continue
        if one.shape[1:] != leaf.shape[1:] or not (distribution or one.shape[0] in (1, leaf.shape[0])):
            raise ValueError(
                f"the baseline of {name} has shape {tuple(one.shape)}: {tuple(leaf.shape)} or one row of it is needed"
            )
        one = one.to(leaf)
        made.append(one if distribution else one.expand_as(leaf))
    return tuple(made)


def _check(leaf: Tensor, name: str) -> None:
    if leaf.dim() == 0 or leaf.shape[0] == 0:
        raise ValueError(f"input {name} has shape {tuple(leaf.shape)}: it holds no pair")
    if leaf.is_floating_point() and not leaf.is_meta:
        finite = torch.isfinite(leaf.detach().flatten(1) if leaf.dim() > 1 else leaf.detach()[:, None]).all(1)
        if not bool(finite.all()):
            bad = (~finite).nonzero().flatten().tolist()
            raise ValueError(
                f"input {name}, shape {tuple(leaf.shape)}, holds NaN or infinite values in pair {_some(bad)}: clean "
                "or leave out"
            )


def _some(indices: list[int]) -> str:
    return ", ".join(map(str, indices[:8])) + (", ..." if len(indices) > 8 else "")
