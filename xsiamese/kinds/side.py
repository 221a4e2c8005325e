"""One side of a batch of pairs: the tensors that can be explained, and which pair each of their rows belongs to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple, Self

import torch
from torch import Tensor

Wrt = Literal["both", "first", "second"]
Leaves = tuple[Tensor, ...]
SIDES = ("a", "b")


class Side(ABC):
    """One side of a batch of pairs: a structure around tensors, its leaves, and which pair each of their rows belongs
    to.

    A :class:`~xsiamese.kinds.kind.Kind` makes it of what a user gives.

    Attributes:
        leaves: what can be explained.
        pairs: the number of pairs.
        kind: the name of the kind of input, such as "image"; an explainer names those that it explains in its
            ``modalities``.
        parts: the names of the leaves, where they are chosen by name.
        ragged: whether a pair has any number of rows in a leaf, as a graph has of nodes, rather than one. Such a side
            is run in whole copies only.
        still: whether its own numbers cannot move, as those of tokens cannot, so that what is explained is whether
            they are there at all.
        aligned: whether the i-th row of a leaf means the same as the i-th row of the other side's.
        one_tensor: whether the model takes nothing but the one leaf.
    """

    leaves: Leaves
    pairs: int
    kind: str = "tensor"
    parts: tuple[str, ...] = ()
    ragged: ClassVar[bool] = False
    still: bool = False
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

    @property
    def own(self) -> Leaves:
        """The user's tensors among the leaves."""
        return self.leaves

    def suited(self, dtype: torch.dtype) -> Side:
        """This side for a model of this dtype: gates, which are ours, take it."""
        return self

    def is_gate(self, leaf: int) -> bool:
        """Whether a leaf is a gate of ours, 1 where something is there, and no number of the user's."""
        return False

    def missing(self, value: Any, name: str) -> tuple[Side, Any]:
        """This side with a user's baseline taken in where that is what comes in place of something missing, and the
        baseline that is left for the leaves.
        """
        return self, value

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

    def whole(self, leaf: int, found: Tensor, dim: int | None = None) -> Tensor:
        """What was found of the places of a leaf, with zeros at those that are not here, see :meth:`TensorSide.only`.

        Args:
            leaf: the leaf.
            found: a map of it, (rows, ...), or anything with its places along ``dim``.
            dim: that of the leaf's places if left out.
        """
        return found

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
        return value.detach().reshape(len(value), -1).sum(1)
    parts = value.values() if isinstance(value, Mapping) else value
    return torch.stack([row_sums(one) for one in parts]).sum(0)


def ordinary(value: Any) -> Any:
    """A value, or a copy of a tensor that was made inside ``torch.inference_mode``, which could carry no gradient."""
    return value.clone() if isinstance(value, Tensor) and value.is_inference() else value


@dataclass(frozen=True)
class Form:
    """How a user holds the tensors of one input: one tensor, a tuple of them, or a mapping with keys.

    Attributes:
        keys: of a mapping.
        single: whether it is one bare tensor.
    """

    keys: tuple[str, ...] = ()
    single: bool = False

    @classmethod
    def of(cls, item: Any) -> tuple[Form, Leaves]:
        """How an item holds its tensors, and the tensors."""
        if isinstance(item, Tensor):
            return cls(single=True), (ordinary(item),)
        form, tensors = (cls(tuple(item)), item.values()) if isinstance(item, Mapping) else (cls(), item)
        return form, tuple(map(ordinary, tensors))

    def around(self, tensors: Sequence[Tensor]) -> Any:
        """Tensors as the user holds them."""
        if self.keys:
            return dict(zip(self.keys, tensors, strict=True))
        return tensors[0] if self.single else tuple(tensors)


class Some(NamedTuple):
    """Which places of a leaf are here: along dimension ``dim`` those with the numbers ``at`` of ``whole``, (1, ...)."""

    dim: int
    at: Tensor
    whole: Tensor


class TensorSide(Side):
    """A tensor, a tuple of tensors or a mapping of them, whose dimension 0 is the pair.

    Attributes:
        some: of leaves of which only some places are here, which.
    """

    some: Mapping[int, Some] = MappingProxyType({})

    def __init__(self, leaves: Leaves, form: Form, kind: str = "tensor") -> None:
        self.leaves = leaves
        self.form = form
        self.kind = kind
        self.one_tensor = form.single
        self.pairs = leaves[0].shape[0]

    def rebuild(self, leaves: Sequence[Tensor]) -> Any:
        return self.form.around([leaf.clone() for leaf in self.filled(leaves)])  # some models write into their inputs

    def result(self, maps: Sequence[Tensor]) -> Any:
        return self.form.around([self.whole(leaf, found) for leaf, found in enumerate(maps)])

    def only(self, places: Mapping[int, tuple[int, Tensor]]) -> Self:
        """The side of a single pair with only some places of its leaves, so that no method sees the others: these stay
        as they are, and have zeros in maps.

        Args:
            places: for a leaf the dimension and the numbers of its places that are kept.
        """
        other = self.holding(tuple(x.index_select(*places[i]) if i in places else x for i, x in enumerate(self.leaves)))
        other.some = {i: Some(dim, at, self.leaves[i]) for i, (dim, at) in places.items()}
        return other

    def whole(self, leaf: int, found: Tensor, dim: int | None = None) -> Tensor:
        if leaf not in self.some:
            return found
        along, at, whole = self.some[leaf]
        dim, shape = along if dim is None else dim, list(found.shape)
        shape[dim] = whole.shape[along]
        return found.new_zeros(shape).index_copy(dim, at, found)

    def filled(self, leaves: Sequence[Tensor]) -> list[Tensor]:
        """Leaves with all their places."""
        made = list(leaves)
        for i, (dim, at, whole) in self.some.items():
            rows = whole.to(made[i].dtype).expand(len(made[i]), *whole.shape[1:])
            made[i] = rows.index_copy(dim, at, made[i])
        return made

    def holding(self, leaves: Leaves) -> Self:
        other = copy(self)
        other.leaves, other.pairs = leaves, leaves[0].shape[0]
        return other

    def select(self, which: Tensor) -> Self:
        return self.holding(tuple(leaf[which] for leaf in self.leaves))

    def slice(self, start: int, stop: int) -> Self:
        return self.holding(tuple(leaf[start:stop] for leaf in self.leaves))

    def template(self, which: Tensor | None = None) -> Self:
        # its numbers are never read: one stands for all of them
        return self.holding(tuple(leaf.new_zeros(()).expand(1, *leaf.shape[1:]) for leaf in self.leaves))
