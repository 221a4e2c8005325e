"""A batch of pairs as an explainer gets it: with the layers of the model, recorded, replaced and untied."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self, cast

import torch
from torch import Tensor, nn

from xsiamese.branches.layers import Layer
from xsiamese.branches.layout import Cells, Layout, SideLayout, for_side, recognised
from xsiamese.branches.record import LayerPair, Recording, record, replaced
from xsiamese.branches.relevance import Relevance, propagating
from xsiamese.branches.rules import Rules
from xsiamese.branches.several import views_apart
from xsiamese.branches.untied import Views, one_by_one, outputs_of, untie_repeats, untied, with_ports
from xsiamese.kinds.catalogue import kind
from xsiamese.kinds.places import Places
from xsiamese.kinds.side import Side
from xsiamese.model.pair import PairModel, SiameseModel, TwoInputModel
from xsiamese.pairs import embedding
from xsiamese.pairs.objective import Objective
from xsiamese.pairs.pairs import Pairs
from xsiamese.pairs.refused import refuse_scripted
from xsiamese.pairs.split import Split
from xsiamese.pairs.usage import Plan, find_plan, lies_on_image


@dataclass(frozen=True)
class PairBatch(Pairs):
    """What :meth:`PairAttribution.compute <xsiamese.PairAttribution.compute>` gets:
    :class:`~xsiamese.pairs.pairs.Pairs`, and the model's layers on them.
    """

    def embed(self, side: int, *leaves: Tensor) -> Tensor:
        """The embeddings of items of one side, shape (rows, dimensions), or of whatever shape the comparison takes.

        Args:
            side: 0 for a, 1 for b.
            leaves: what takes the place of the side's leaves, any number of copies of all pairs one after the other;
                the items themselves if left out. At most :attr:`rows` pairs go through the encoder at once.

        Raises:
            ValueError: if the model is not factored into encoder and comparison, or the encoder gives no tensor.
        """
        return embedding.embed(self, side, leaves)

    def closeness(self, z_a: Tensor, z_b: Tensor) -> Tensor:
        """The value explained from rows of embeddings of a and of b, shape (rows,): higher is closer."""
        return embedding.closeness(self, z_a, z_b)

    def mixed(self, z_a: Tensor, z_b: Tensor) -> Tensor:
        r"""How the two embeddings act together, :math:`\partial^2 s / \partial u \, \partial v^\top`.

        Args:
            z_a, z_b: rows of embeddings, of D_a and of D_b numbers each, whatever their shapes.

        Returns:
            Shape (rows, D_a, D_b); the identity for the inner product.
        """
        return embedding.mixed(self, z_a, z_b)

    def tail(self, layer: Layer, side: int, activation: Tensor) -> Tensor:
        """The value of a single pair as a function of a layer's output on one side (0 for a, 1 for b).

        ``activation`` may have any number of rows, and that many values come back. A factored model runs what comes
        before the layer on one row only.
        """
        if self.pairs != 1:
            raise ValueError(f"tail() takes a single pair, not {self.pairs}: use split(1)")
        rows = len(activation)
        one = replace(self, wrt="first" if side == 0 else "second", witness=None)  # its inputs are the pair's own
        arguments = one._repeated(rows)  # before the layer is replaced: the held side passes it too
        copies = tuple(leaf.expand(rows, *leaf.shape[1:]) for leaf in one.moved)

        def run(moved: Sequence[Tensor]) -> Tensor:
            with self._replaced(one, layer, side, activation):
                value: Tensor = one.objective(*moved, *arguments)
            return value

        if not one.objective.encodes_held:
            return run(copies)
        found: Tensor = self._cheapest(("tail", side, str(layer)), rows, lambda: run(one.moved), lambda: run(copies))
        return found

    def _cheapest(self, key: tuple[object, ...], rows: int, once: Callable[[], Any], copied: Callable[[], Any]) -> Any:
        """What comes after a layer, with one row before it, or with as many as after it for a model that reads the
        number of rows from its input.
        """
        plans = self.plans if self.plans is not None else {}
        if rows > 1 and not plans.get(key):
            try:
                found = once()
            except torch.OutOfMemoryError:
                raise
            except (ValueError, RuntimeError):
                found = None
            if isinstance(found, Tensor) and len(found) == rows:
                return found
            plans[key] = True
        return copied() if rows > 1 else once()

    def tail_embedding(
        self,
        layer: Layer,
        side: int,
        activation: Tensor | Callable[[Tensor], Tensor],
        met: Callable[[], None] | None = None,
    ) -> Tensor:
        """The embedding of one side as a function of a layer's output there: :meth:`tail` without the comparison.

        Args:
            layer: the layer.
            side: 0 for a, 1 for b.
            activation: any number of rows in place of its output of a single pair; or what makes them of the output of
                any number of pairs, in the same pass.
            met: called whenever the layer is met.

        Raises:
            ValueError: if the model is not factored into encoder and comparison, or rows are given for several pairs.
        """
        if not isinstance(self.model, SiameseModel) or (isinstance(activation, Tensor) and self.pairs != 1):
            raise ValueError(
                f"tail_embedding() takes a single pair of a SiameseModel, not {self.pairs} of "
                f"{type(self.model).__name__}"
            )
        one = self.one_sided("first" if side == 0 else "second")
        model, of, leaves = self.model, self.sides[side], self.sides[side].leaves

        def put(output: Tensor) -> Tensor:
            if met is not None:
                met()
            return activation if isinstance(activation, Tensor) else activation(output)

        def run(copies: int) -> Tensor:
            item = of.rebuild(leaves if copies == 1 else [leaf.expand(copies, *leaf.shape[1:]) for leaf in leaves])
            with self._replaced(one, layer, side, put):
                embedding: Tensor = model.encode(item, side)
            return embedding

        if not isinstance(activation, Tensor):
            return run(1)
        rows = len(activation)
        found: Tensor = self._cheapest(("tail", side, str(layer)), rows, lambda: run(1), lambda: run(rows))
        return found

    def layer_names(self, layer: Layer) -> list[str]:
        """The names of the layers that ``layer`` means.

        Raises:
            ValueError: if a side that moves has no such layer.
        """
        plan = find_plan(self, layer)
        missing = next((side for side in self.objective.moving if plan.alone is not None and side != plan.alone), None)
        if missing is not None:
            own, other, wrt = (("b", "a", "second"), ("a", "b", "first"))[missing]
            raise ValueError(
                f"the layer {plan.names[0].split(' / ')[1 - missing]!r} is of the encoder of {own} only, and "
                f"{other} is encoded by another: give layer=(of a, of b), or hold {other} with wrt={wrt!r}"
            )
        return plan.names

    def places(
        self, side: int, activation: Tensor, layer: nn.Module | None = None, layout: SideLayout = None
    ) -> Places:
        """How the output of a layer on one side lies: which dimension holds its channels, which its places.

        Args:
            side: 0 for a, 1 for b.
            activation: the output.
            layer: the layer.
            layout: the user's word, one for both sides or a pair, which goes before all else.
        """
        one = (self.a, self.b)[side]
        known = for_side(layout, side) or self._recognised(one, activation, layer)
        return Cells(known) if known else kind(one.kind).places(activation, one, layer)

    def layout(self, layer: Layer, side: int, activation: Tensor, given: SideLayout = None) -> Layout:
        """Where the cells of an image are in the output of a layer on one side; None if it is no grid over it."""
        module = find_plan(self, layer).layers[0][side]
        return for_side(given, side) or self._recognised((self.a, self.b)[side], activation, module)

    def layer_note(self, layer: Layer) -> str | None:
        """One line on the layer that was taken because the user named none: its name, its layout and why."""
        return find_plan(self, layer).note if layer is None else None

    def _recognised(self, one: Side, activation: Tensor, layer: nn.Module | None) -> Layout:
        """Where the cells of an image are: as the probe found, or as the layer's output looks."""
        image = one.leaves[0].shape[2:]
        if layer is None or len(image) != 2 or not one.leaves[0].is_floating_point():
            return None
        plans = [plan for plan in (self.plans or {}).values() if isinstance(plan, Plan)]
        if (
            found := next((t.layout for plan in plans for t in plan.taken if t and t.module is layer), None)
        ) is not None:
            return found
        known = recognised(layer, activation, (int(image[0]), int(image[1])))
        return known if known is None or lies_on_image(self, layer, known) else None

    @contextmanager
    def record(self, layer: Layer) -> Iterator[Recording]:
        """Records the activations of the layers on both sides, in the forward pass that runs inside the block."""
        plan = find_plan(self, layer)
        with (
            torch.enable_grad(),
            record(
                plan.layers,
                plan.names,
                (len(self.a.layer_pairs), len(self.b.layer_pairs)),
                order=plan.layer_order,
                detach=not self.create_graph,
            ) as recording,
        ):
            yield recording

    @staticmethod
    def _replaced(
        one: PairBatch, layer: Layer, side: int, activation: Tensor | Callable[[Tensor], Tensor]
    ) -> AbstractContextManager[None]:
        """Puts ``activation`` in place of a layer's output on one side inside the block."""
        plan = find_plan(one, layer)
        module = plan.layers[0][side]
        if one.objective.encodes_held or not plan.layer_order[0] or not isinstance(activation, Tensor):
            return replaced(module, 0, None, activation)
        rows = len(activation)
        if any(module in set(s.modules()) and stacked for s, stacked in zip(plan.shared, plan.stacked, strict=True)):
            return replaced(module, 0, slice(side * rows, (side + 1) * rows), activation)
        return replaced(module, plan.layer_order[0].index(side), None, activation)

    def untied(
        self, layer: Layer = None, *, layered: bool = False, unique: bool = False, tie: bool = True, ports: bool = True
    ) -> tuple[Objective, list[list[LayerPair]]]:
        """The objective on a copy of the model in which the two sides have modules of their own, and the layers' views
        in it: of each layer one pair (of a, of b) for each of its calls on a side.

        Args:
            layered: whether ``layer`` is needed.
            unique: whether no module at all may be called twice.
            tie: whether the copy shares the parameters.
            ports: whether a layer that returns more than a tensor is stood for by a module that returns its first.
        """
        self._check_modules()
        refuse_scripted(self.model)
        if self.split_.stacked:
            apart = self.laid_out(Split(self.split_.pairs))
            return apart.untied(layer, layered=layered, unique=unique, tie=tie, ports=ports)
        plan = find_plan(self, layer, layered)
        alone = self.objective.encodes_held
        shared = [] if alone else plan.shared
        views = untied(
            self.objective, shared, stacked=[] if alone else plan.stacked, order=[] if alone else plan.order, tie=tie
        )
        assert isinstance(views.model, Objective)
        groups = []
        for pair, name in zip(plan.layers if layered else [], plan.names, strict=False):
            found = views.all_of(pair)
            if found is None:
                raise ValueError(f"layer {name!r} is not a submodule of the model: register it there")
            groups.append(self._of_each_call(views.model, found, name, ports))
        if unique:
            self._take_views_apart(views.model, {module for calls in groups for pair in calls for module in pair})
            untie_repeats(views.model, lambda: views.model(*self.moved, *self.arguments))
        return views.model, groups

    @contextmanager
    def propagating(self, rules: Rules, layer: Layer = None) -> Iterator[tuple[Self, Layer, Relevance]]:
        """These pairs on a copy of the model through which gradients are relevances over values.

        What encodes the two sides propagates relevance; the comparison is differentiated, so that the relevance that
        enters a branch is the embedding times the gradient of the score. Also ``layer`` is given as it is in the copy.
        """
        self._check_modules()
        views = untied(self.model, [])
        model = cast(PairModel, views.model)
        here = replace(self, model=model, plans={}, split_=Split(self.split_.pairs))
        if isinstance(model, SiameseModel):
            roots = list(dict.fromkeys(model.encoders))
        else:
            shared = find_plan(self, None, layered=False).shared
            roots = [_in_copy(module, views) for module in shared] or [
                cast(nn.Module, cast(TwoInputModel, model).model)
            ]
        with propagating(roots, rules, here.moved) as relevance:
            yield here, _in_copy(layer, views), relevance

    def _check_modules(self) -> None:
        """Refuses a model whose modules cannot be seen."""
        if isinstance(self.model, TwoInputModel) and not isinstance(self.model.model, nn.Module):
            raise ValueError(
                "this explainer needs the model's modules, and a plain function hides them: wrap it in an nn.Module, "
                "or use SiameseModel"
            )

    def _take_views_apart(self, views: Objective, layers: Collection[nn.Module]) -> None:
        """Gives each of several views of a side in one call a module of its own, see :func:`views_apart`."""
        if self.a.ragged or self.b.ragged:
            return
        one = next(replace(self, plans={}, witness=None).split(1))
        starts = [m if s.shape != m.shape else s for s, m in zip(one.moved_baselines, one.moved, strict=True)]
        both = [torch.cat(rows) for rows in zip(one.moved, starts, strict=True)]
        runs = (
            partial(views, *one.moved, *one.arguments),
            partial(views, *starts, *one.arguments),
            partial(views, *both, *one._repeated(2)),
        )
        views_apart(views, runs, layers)

    def _of_each_call(
        self, views: Objective, found: tuple[list[nn.Module], list[nn.Module]], name: str, ports: bool
    ) -> list[LayerPair]:
        """A layer's views (of a, of b) in an untied copy, a pair for each of its calls on a side; refuses one that is
        never called, or not as often on either side, before any work is done.
        """
        few = next(replace(self, plans={}, witness=None).split(1))
        run = partial(views, *few.moved, *few.arguments)
        seen = outputs_of(views, run)
        if not all(seen.get(view) for side in self.objective.moving for view in found[side]):
            raise ValueError(f"layer {name!r} is never called in the forward pass: choose one that is")
        if found[0] == found[1] and not self.objective.encodes_held:
            rows = max(len(output) for view in found[0] for output in seen[view])  # of one pair
            raise ValueError(
                f"layer {name!r} gets several views of a side in one call, {rows} rows for one pair, so that which row "
                "is whose cannot be told: call it once for each view"
                if rows > 2 and rows % 2 == 0
                else f"layer {name!r} sees both inputs together and has no map for each: choose a layer inside the "
                "encoder, or layer=(layer_a, layer_b)"
            )
        apart = {view: one_by_one(views, view, run) for view in dict.fromkeys((*found[0], *found[1]))}
        first, second = ([one for view in side for one in apart[view]] for side in found)
        if len(first) != len(second) and len(self.objective.moving) == 2:
            raise ValueError(
                f"layer {name!r} is called {len(first)} times for a and {len(second)} times for b: choose a layer "
                "called as often on either side"
            )
        if len(self.objective.moving) == 1:  # the side that is held has no calls to explain
            first, second = (first, first) if self.objective.moving[0] == 0 else (second, second)
        seen = outputs_of(views, run) if any(len(one) > 1 for one in apart.values()) else seen
        return [with_ports(views, pair, seen) if ports else pair for pair in zip(first, second, strict=True)]


def _in_copy(layer: Any, views: Views) -> Any:
    """What a layer, given in any way, is in a copy of the model."""
    if isinstance(layer, nn.Module):
        found = views.of((layer, layer))
        if found is None:
            raise ValueError(f"layer {type(layer).__name__} is not a submodule of the model: register it there")
        return found[0]
    return type(layer)(_in_copy(one, views) for one in layer) if isinstance(layer, (tuple, list)) else layer
