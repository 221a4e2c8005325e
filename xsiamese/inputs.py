"""What of an input can be explained: the tensors of a side, which pair each row belongs to, and the baselines they start from."""

from __future__ import annotations

import numbers
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import singledispatch
from typing import Any, Literal

import torch
from torch import Tensor

Wrt = Literal["both", "first", "second"]
Leaves = tuple[Tensor, ...]
SIDES = ("a", "b")


class Side(ABC):
    """One side of a batch of pairs: a structure around tensors, its leaves.

    A new kind of input (a graph, a text) is one subclass, registered with ``side.register``.
    """

    leaves: Leaves
    pairs: int

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
    def slice(self, start: int, stop: int) -> Side:
        """The pairs from ``start`` to ``stop``."""


class TensorSide(Side):
    """A tensor, or a tuple of tensors, whose dimension 0 is the pair."""

    def __init__(self, leaves: Leaves, single: bool) -> None:
        self.leaves = leaves
        self.single = single
        self.pairs = leaves[0].shape[0]

    def rebuild(self, leaves: Sequence[Tensor]) -> Any:
        return leaves[0] if self.single else tuple(leaves)

    def result(self, maps: Sequence[Tensor]) -> Any:
        return maps[0] if self.single else tuple(maps)

    def holding(self, leaves: Leaves) -> TensorSide:
        return TensorSide(leaves, self.single)

    def slice(self, start: int, stop: int) -> TensorSide:
        return TensorSide(tuple(leaf[start:stop] for leaf in self.leaves), self.single)


@singledispatch
def side(item: Any, name: str) -> Side:
    """The :class:`Side` that an item is; ``name`` is how errors call it."""
    raise TypeError(f"input {name} is a {type(item).__name__}: a tensor or a tuple of tensors is needed")


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
            raise ValueError(f"{name}[{i}] has {len(leaf)} rows and {name}[0] has {len(item[0])}: dimension 0 of all must be the pair")
    return TensorSide(tuple(item), single=False)


def two_sides(inputs: Any) -> tuple[Side, Side]:
    """The two sides of ``inputs``, checked: one batch size, not empty, every number finite.

    Raises:
        TypeError: if they are not two inputs, or not tensors.
        ValueError: if a batch is empty, the batches differ, or a value is NaN or infinite.
    """
    items = tuple(inputs.values()) if isinstance(inputs, Mapping) else inputs
    if isinstance(items, Tensor) or not isinstance(items, (tuple, list)) or len(items) != 2:
        what = f"a tensor of shape {tuple(items.shape)}" if isinstance(items, Tensor) else f"a {type(inputs).__name__}"
        raise TypeError(f"inputs must be the two sides of the pairs, (a, b); got {what}")
    a, b = side(items[0], "a"), side(items[1], "b")
    if a.pairs != b.pairs:
        raise ValueError(
            f"a holds {a.pairs} items (shape {tuple(a.leaves[0].shape)}) and b holds {b.pairs} (shape {tuple(b.leaves[0].shape)}): "
            "a pair needs one of each; repeat the shorter one with .expand or .repeat_interleave"
        )
    return a, b


def baseline_leaves(baselines: Any, a: Side, b: Side, *, distribution: bool = False) -> tuple[Leaves, Leaves]:
    """One baseline tensor for each leaf of each side.

    Args:
        baselines: None (zeros), a number, "partner" (the other side's own values), or a pair of baselines, each None, a number,
            a tensor of one row or one row a pair, or a tuple of those for a side of several tensors.
        distribution: whether a tensor holds samples to draw from, any number of rows, rather than one row a pair.
    """
    if isinstance(baselines, str):
        if baselines != "partner":
            raise ValueError(f"baselines={baselines!r}: a number, a pair of tensors or 'partner' is needed")
        baselines = (b.leaves if len(b.leaves) > 1 else b.leaves[0], a.leaves if len(a.leaves) > 1 else a.leaves[0])
    if baselines is None or isinstance(baselines, numbers.Number):
        baselines = (baselines, baselines)
    if isinstance(baselines, Tensor) or not isinstance(baselines, (tuple, list)) or len(baselines) != 2:
        raise ValueError("baselines must be None, a number, 'partner' or a pair (baseline of a, baseline of b)")
    return _baseline(baselines[0], a, "a", distribution), _baseline(baselines[1], b, "b", distribution)


def _baseline(value: Any, of: Side, name: str, distribution: bool) -> Leaves:
    values = value if isinstance(value, (tuple, list)) else (value,) * (1 if isinstance(value, Tensor) else len(of.leaves))
    if len(values) != len(of.leaves):
        raise ValueError(f"input {name} has {len(of.leaves)} tensors and its baseline {len(values)}")
    made = []
    for one, leaf in zip(values, of.leaves, strict=True):
        if not isinstance(one, Tensor):
            like = leaf[:1].expand(2, *leaf.shape[1:]) if distribution else leaf
            made.append(leaf.new_full((), 0 if one is None else one).expand_as(like))  # takes no memory until it is used
            continue
        if one.shape[1:] != leaf.shape[1:] or not (distribution or one.shape[0] in (1, leaf.shape[0])):
            raise ValueError(f"the baseline of {name} has shape {tuple(one.shape)}: {tuple(leaf.shape)} or one row of it is needed")
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
            raise ValueError(f"input {name}, shape {tuple(leaf.shape)}, holds NaN or infinite values in pair {_some(bad)}: clean or leave out")


def _some(indices: list[int]) -> str:
    return ", ".join(map(str, indices[:8])) + (", ..." if len(indices) > 8 else "")
