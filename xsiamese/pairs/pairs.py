"""Pairs, checked and ready: their tensors, the value explained of each, and its gradients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor

from xsiamese.kinds.catalogue import kind
from xsiamese.kinds.side import Leaves, Side, TensorSide, Wrt
from xsiamese.model.pair import PairModel, SiameseModel
from xsiamese.pairs.objective import MOVING, Objective, Target, described_as, leaf_names
from xsiamese.pairs.refused import naming
from xsiamese.pairs.split import WHOLE, Split
from xsiamese.pairs.witness import Witness
from xsiamese.result.columns import Column, taken


@dataclass(frozen=True)
class Pairs:
    """Pairs that are checked and ready: their tensors, the value explained and its gradients.

    Attributes:
        model: the model, in evaluation mode.
        a: the first side.
        b: the second side.
        baselines: one tensor for each leaf of each side.
        extra: additional arguments of the model.
        target: what is explained instead of closeness, or None.
        wrt: which sides move.
        rows: the most pairs that one forward pass may hold, or None for any number.
        create_graph: whether the result must be differentiable.
        show_progress: whether to show a progress bar.
        seed: the seed of everything random.
        plans: what is already known of how the model uses its modules.
        distribution: whether the baselines are samples rather than one row a pair.
        apart: whether, where both sides move, each does so alone, from its own baseline to its input.
        first_pair: the place of the first pair in the user's batch.
        split_: how the batch is cut and laid out.
        witness: what sees the pairs' own value pass by.
        given: the tensors and their shapes in the user's batch, of which these are some pairs.
        prepared: what the explainer's ``prepare`` found of each pair's items, (of a, of b), in the order of the pairs.
    """

    model: PairModel
    a: Side
    b: Side
    baselines: tuple[Leaves, Leaves]
    extra: tuple[Any, ...] = ()
    target: Target = None
    wrt: Wrt = "both"
    rows: int | None = None
    create_graph: bool = False
    show_progress: bool = False
    seed: int | None = 0
    plans: dict[Any, Any] | None = None
    distribution: bool = False
    apart: bool = False
    first_pair: int = 0
    split_: Split = WHOLE
    witness: Witness | None = None
    given: str = ""
    prepared: tuple[Mapping[str, Column], Mapping[str, Column]] = ({}, {})

    @property
    def pairs(self) -> int:
        """The number of pairs."""
        return self.a.pairs

    @property
    def sides(self) -> tuple[Side, Side]:
        """Both sides, (a, b)."""
        return self.a, self.b

    @property
    def shapes(self) -> tuple[torch.Size, ...]:
        """The shapes of all tensors of both sides but for their rows."""
        return tuple(leaf.shape[1:] for leaf in (*self.a.leaves, *self.b.leaves))

    @property
    def described(self) -> str:
        """The tensors with the shapes that the user gave, for errors."""
        if self.given:
            return self.given
        leaves, own = (*self.a.leaves, *self.b.leaves), {id(one) for side in self.sides for one in side.own}
        named = zip(leaf_names(self.a, self.b), leaves, strict=True)
        return described_as([(name, leaf) for name, leaf in named if id(leaf) in own])

    @property
    def moving(self) -> tuple[int, ...]:
        """The sides that the explanation is about, by their numbers."""
        return MOVING[self.wrt]

    @cached_property
    def objective(self) -> Objective:
        """The value explained, as a function ``objective(*moved, *arguments)``."""
        return Objective(
            self.model,
            self.a,
            self.b,
            target=self.target,
            wrt=self.wrt,
            split=self.split_,
            first_pair=self.first_pair,
            witness=self.witness,
            described=self.described,
        )

    def naming_inputs(self) -> AbstractContextManager[None]:
        """What the model says against its inputs, as an error that names them by the shapes that the user gave."""
        return naming(self.model, lambda: self.described)

    @cached_property
    def leaves(self) -> Leaves:
        """All tensors of both sides, safe from in-place changes."""
        leaves = (*self.a.leaves, *self.b.leaves)
        if self.split_.stacked and not self.create_graph and self.objective.stacked:
            return tuple(leaf.detach() for leaf in leaves)  # stacking copies them
        return self.safe(leaves)

    def safe(self, leaves: Sequence[Tensor]) -> Leaves:
        """Tensors of the pairs as a model may have them that works on its inputs in place."""
        if self.create_graph:
            return tuple(leaves)
        layout = self.split_.layout or torch.preserve_format
        return tuple(leaf.detach().clone(memory_format=layout) for leaf in leaves)

    @cached_property
    def moved(self) -> Leaves:
        """The tensors that the explanation is about: those of the sides that ``wrt`` names."""
        return tuple(self.leaves[i] for i in self.objective.moved_at)

    @property
    def partners(self) -> Leaves:
        """For each of :attr:`moved` the same tensor of the other side.

        Raises:
            ValueError: if the two sides differ in shape.
        """
        count = len(self.a.leaves)
        other = (*self.leaves[count:], *self.leaves[:count])
        shapes = [tuple(leaf.shape) for leaf in self.leaves]
        if not (self.a.aligned and self.b.aligned):
            raise ValueError("inputs whose rows mean the same are needed: the nodes of two graphs have no common order")
        if shapes[:count] != shapes[count:]:
            raise ValueError(f"inputs of one shape are needed: a is {shapes[0]}, b is {shapes[count]}")
        return tuple(other[i] for i in self.objective.moved_at)

    @cached_property
    def moved_baselines(self) -> Leaves:
        """The baseline of each of :attr:`moved`."""
        both = (*self.baselines[0], *self.baselines[1])
        return tuple(both[i].clone() for i in self.objective.moved_at)

    def from_each_baseline(self) -> Iterator[Self]:
        """The same pairs for each of several baselines: one of both sides at a time."""
        for i in range(len(self.baselines[0][0])):
            first, second = (
                tuple(start[i : i + 1].expand_as(leaf) for start, leaf in zip(starts, side.leaves, strict=True))
                for starts, side in zip(self.baselines, (self.a, self.b), strict=True)
            )
            yield replace(self, baselines=(first, second), distribution=False)

    def start(self) -> Tensor:
        """The value that maps are counted from, shape (pairs,): at the baselines, or its mean over several. Where each
        side moves alone it is F(a0, b) + F(a, b0) - F(a, b), so that both maps sum to F(a, b) less it.
        """
        if self.apart and self.wrt == "both":
            return self.one_sided("first").start() + self.one_sided("second").start() - self.value()
        if not self.distribution:
            return self.value(*self.moved_baselines)
        rows = range(len(self.moved_baselines[0]))
        starts = [
            [t[i : i + 1].expand_as(m) for t, m in zip(self.moved_baselines, self.moved, strict=True)] for i in rows
        ]
        return torch.stack([self.value(*start) for start in starts]).mean(0)

    def swaps(self) -> bool:
        """Whether each side starts from the other."""
        starts, ends = (*self.baselines[0], *self.baselines[1]), (*self.b.leaves, *self.a.leaves)
        return [t.shape for t in starts] == [t.shape for t in ends] and all(
            bool((start == end).all()) for start, end in zip(starts, ends, strict=True)
        )

    @cached_property
    def arguments(self) -> tuple[Any, ...]:
        """What the objective takes besides :attr:`moved`: the embedding of the side held fixed, or its tensors, and
        extra arguments.
        """
        if not self.objective.encodes_held:
            return self._constants
        assert isinstance(self.model, SiameseModel)
        side = 1 - self.objective.moving[0]
        with torch.set_grad_enabled(self.create_graph), self.naming_inputs():
            return (self.model.encode(self._rebuilt(side), side), *self._constants)

    @property
    def _constants(self) -> tuple[Any, ...]:
        held = tuple(self.leaves[i] for i in self.objective.held_at)
        index = (
            (torch.as_tensor(self.target, device=self.leaves[0].device),)
            if isinstance(self.target, (Tensor, list))
            else ()
        )
        return (*held, *self.extra, *index)

    def value(self, *moved: Tensor) -> Tensor:
        """The value explained of each pair, shape (pairs,), at ``moved`` or at the inputs themselves.

        ``moved`` may hold any number of copies of all pairs, one after the other: that many values come back.
        """
        moved = moved or self.moved
        value: Tensor = self.objective(*moved, *self.repeated(self.copies(*moved)))
        return value

    def copies(self, *moved: Tensor) -> int:
        """How many copies of all pairs ``moved`` holds, one after the other."""
        places = [self.place(i) for i in range(len(moved))]
        return (
            max(
                (side.count(leaf, tensor) for (side, leaf), tensor in zip(places, moved, strict=True)),
                default=self.pairs,
            )
            // self.pairs
        )

    def place(self, moved: int) -> tuple[Side, int]:
        """The side that one of :attr:`moved` is of, and its number among the leaves there."""
        i, first = self.objective.moved_at[moved], len(self.a.leaves)
        return (self.a, i) if i < first else (self.b, i - first)

    def gradients(self) -> Leaves:
        """The gradient of the value with respect to each of :attr:`moved`."""
        moved = tuple(leaf if leaf.requires_grad else leaf.detach().requires_grad_() for leaf in self.moved)
        with torch.enable_grad():
            return self.differentiate(self.value(*moved), moved)

    def differentiate(self, value: Tensor, tensors: Sequence[Tensor]) -> Leaves:
        """The gradients of ``value.sum()`` with respect to ``tensors``, zeros where it does not depend on them."""
        found: Sequence[Tensor | None] = [None] * len(tensors)
        if value.requires_grad:
            with torch.enable_grad():  # the user may be in no_grad
                total = value.sum()
            found = torch.autograd.grad(total, list(tensors), create_graph=self.create_graph, allow_unused=True)
        return tuple(torch.zeros_like(t) if g is None else g for t, g in zip(tensors, found, strict=True))

    def maps(self, moved: Sequence[Tensor]) -> tuple[Any, Any]:
        """The two results from one map for each of :attr:`moved`; a side held fixed gets zeros."""
        filled = dict(zip(self.objective.moved_at, moved, strict=True))
        leaves = [filled.get(i, torch.zeros_like(leaf)) for i, leaf in enumerate(self.leaves)]
        first = len(self.a.leaves)
        return self.a.result(leaves[:first]), self.b.result(leaves[first:])

    def one_sided(self, wrt: Wrt) -> Self:
        """The same pairs with only one side moving."""
        return replace(self, wrt=wrt)

    def laid_out(self, split: Split) -> Self:
        """The same pairs, to be run in another way."""
        return replace(self, split_=split)

    def split(self, size: int) -> Iterator[Self]:
        """The same batch in parts of at most ``size`` pairs."""
        if size >= self.pairs:
            yield self
            return
        for start in range(0, self.pairs, size):
            stop = min(start + size, self.pairs)
            yield self._of(
                torch.arange(start, stop, device=self.a.leaves[0].device),
                self.a.slice(start, stop),
                self.b.slice(start, stop),
                self.first_pair + start,
            )

    def select(self, which: Tensor) -> Self:
        """The pairs with these numbers, in their order, some perhaps several times; what is held fixed is not encoded
        again.
        """
        some = self._of(which, self.a.select(which), self.b.select(which), self.first_pair)
        if self.objective.encodes_held:
            some.__dict__["arguments"] = (self.arguments[0][which], *some._constants)
        return some

    @property
    def counted(self) -> list[Mapping[int, tuple[int, Tensor]]]:
        """Of both sides which places are the items' own, see :meth:`Kind.counted <xsiamese.author.Kind.counted>`."""
        return [kind(side.kind).counted(side) for side in self.sides]

    def trimmed(self) -> Self:
        """A single pair with nothing but its items' own places, so that what is drawn and asked of it is the same in a
        batch with longer items: no padding, and no token that is never missing.
        """
        sides, starts = list(self.sides), list(self.baselines)
        for place, (side, counted) in enumerate(zip(self.sides, self.counted, strict=True)):
            own = {i: (dim, one[0].nonzero().flatten()) for i, (dim, one) in counted.items() if bool(one.any())}
            if own and isinstance(side, TensorSide):
                sides[place] = side.only(own)
                starts[place] = tuple(
                    x.index_select(*own[i]) if i in own else x for i, x in enumerate(self.baselines[place])
                )
        if sides == list(self.sides):
            return self
        return replace(self, a=sides[0], b=sides[1], baselines=(starts[0], starts[1]), witness=None)

    def _of(self, which: Tensor, a: Side, b: Side, first_pair: int) -> Self:
        extra = tuple(_rows(value, which, self.pairs) for value in self.extra)
        first, second = (
            tuple(t if self.distribution else taken_rows(t, side.rows(i, which)) for i, t in enumerate(leaves))
            for side, leaves in zip((self.a, self.b), self.baselines, strict=True)
        )
        target = _rows(self.target, which, self.pairs) if isinstance(self.target, (Tensor, list)) else self.target
        numbers = which.tolist() if any(self.prepared) else []
        return replace(
            self,
            a=a,
            b=b,
            baselines=(first, second),
            extra=extra,
            target=target,
            first_pair=first_pair,
            witness=None,  # it watches the whole
            given=self.described,
            prepared=(taken(self.prepared[0], numbers), taken(self.prepared[1], numbers)),
        )

    def repeated(self, copies: int) -> tuple[Any, ...]:
        """:attr:`arguments` for several copies of all pairs."""
        if copies == 1:
            return self.arguments
        held = len(self.objective.held_at) + self.objective.encodes_held  # whose rows may be other than pairs
        return tuple(
            _repeat(t, copies) if i < held or _shape(t)[:1] == (self.pairs,) else t
            for i, t in enumerate(self.arguments)
        )

    def _rebuilt(self, side: int) -> Any:
        first = len(self.a.leaves)
        return self.a.rebuild(self.leaves[:first]) if side == 0 else self.b.rebuild(self.leaves[first:])


def taken_rows(tensor: Tensor, which: Tensor) -> Tensor:
    """Some rows of a tensor; one that repeats a single row takes no memory before and none after."""
    alike = len(tensor) > 0 and tensor.stride(0) == 0
    return tensor[:1].expand(len(which), *tensor.shape[1:]) if alike else tensor[which]


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(value.shape) if isinstance(value, Tensor) else ()


def _repeat(value: Any, copies: int) -> Any:
    if isinstance(value, Mapping):
        return {key: _repeat(one, copies) if _shape(one)[1:] else one for key, one in value.items()}
    if not isinstance(value, Tensor) or not value.dim():
        return value
    return value.expand(copies, *value.shape[1:]) if len(value) == 1 else value.repeat(copies, *[1] * (value.dim() - 1))


def _rows(value: Any, which: Tensor, pairs: int) -> Any:
    if isinstance(value, Mapping):
        return {key: _rows(one, which, pairs) for key, one in value.items()}
    if isinstance(value, list):
        return [value[i] for i in which.tolist()]
    return (
        value[which.to(value.device)]
        if isinstance(value, Tensor) and value.dim() and value.shape[0] == pairs
        else value
    )
