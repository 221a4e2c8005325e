"""A batch of pairs as an explainer gets it: with the layers of the model, recorded, replaced and untied."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from xsiamese.branches.layers import Layer
from xsiamese.branches.layout import Cells, ChannelsFirst, InOrder, Layout, SideLayout, for_side
from xsiamese.branches.record import LayerPair, Recording, record
from xsiamese.branches.relevance import Relevance
from xsiamese.branches.rules import Rules
from xsiamese.kinds.catalogue import kind
from xsiamese.kinds.dense import Dense
from xsiamese.kinds.places import Padded, Places
from xsiamese.kinds.side import Side, TensorSide
from xsiamese.model.embedding import frames_of
from xsiamese.model.pair import SiameseModel
from xsiamese.pairs import apart, embedding, rows, tails
from xsiamese.pairs.named import layout_of_named
from xsiamese.pairs.objective import Objective
from xsiamese.pairs.pairs import Pairs
from xsiamese.pairs.silence import warn_cancelled
from xsiamese.pairs.usage import Plan, find_plan


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
        return tails.tail(self, layer, side, activation)

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
        return tails.tail_embedding(self, layer, side, activation, met)

    def layer_names(self, layer: Layer) -> list[str]:
        """The names of the layers that ``layer`` means.

        Raises:
            ValueError: if a side that moves has no such layer.
        """
        plan = find_plan(self, layer)
        missing = next((side for side in self.objective.moving if plan.alone is not None and side != plan.alone), None)
        if missing is not None:
            own, other, wrt = (("b", "a", "second"), ("a", "b", "first"))[missing]
            if layer is None:
                raise ValueError(
                    f"the encoder of {other} ({self.sides[missing].kind}) has no layer with places, and that of {own} "
                    f"has: explain {own} alone, wrt={wrt!r}, name two, layer=(of a, of b), or explain the inputs, such "
                    "as by PairFeatureAblation"
                )
            raise ValueError(
                f"the layer {plan.names[0].split(' / ')[1 - missing]!r} is of the encoder of {own} only, and "
                f"{other} is encoded by another: give layer=(of a, of b), or hold {other} with wrt={wrt!r}"
            )
        return plan.names

    def tell_cancelled(self, side: int, product: Tensor, names: Sequence[str]) -> None:
        """Warns if the sum over channels of gradient times activation is rounding, as behind a layer that only a norm
        reads.

        Args:
            side: 0 for a, 1 for b.
            product: gradients times activations, shape (pairs, channels, ...).
            names: of the layers.
        """
        warn_cancelled(product, side, names)

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
        whole = _whole(known, activation)
        if known and whole is None:
            return Cells(known, activation.dim())
        found = whole or kind(one.kind).places(activation, one, layer)
        return found if isinstance(found, Padded) else self._own(side, found, activation)

    def _own(self, side: int, found: Places, activation: Tensor) -> Places:
        """Places some of which are padding by a mask of as many; or of samples, where the encoder tells its frames."""
        one, of = self.sides[side], kind(self.sides[side].kind)
        if activation.dim() != 3 or not isinstance(one, TensorSide) or not isinstance(of, Dense):
            return found
        mask, many = of.mask(one.form.keys, one.own), found.first(activation).shape[2]
        if mask is None or mask.dim() != 2 or len(mask) != len(activation):
            return found
        encoder = self.model.encoders[side] if isinstance(self.model, SiameseModel) else None
        own = mask != 0 if mask.shape[1] == many else frames_of(encoder, mask, many)
        return found if own is None or bool(own.all()) else Padded(found.name, found.channel, mask=own.bool())

    def check_rows(self, layer: Layer, outputs: Sequence[Tensor] = ()) -> None:
        """Refuses a layer of which a row is no pair: it gets something else in one call with the items, such as a bank
        of prototypes, or items in pieces, or times come first.

        Args:
            layer: the layer.
            outputs: what it gave on either side; the model is asked again only where they leave that open.

        Raises:
            ValueError: if rows are not those of the pairs.
        """
        if not outputs:
            rows.check_rows(self, layer)
        plans = {} if self.plans is None else self.plans
        key = ("rows", str(layer), *(leaf.shape[1:] for leaf in self.leaves))
        for output in (one for side, one in zip(self.sides, outputs, strict=False) if not side.ragged):
            many = len(output)
            # as many times as pairs do not show which of them come first
            if many != self.pairs or (many > 1 and many in output.shape[1:] and key not in plans):
                rows.check_rows(self, layer)
                plans[key] = True
            if many != self.pairs:
                raise ValueError(
                    f"the layer's output has {many} rows for {self.pairs} pairs: dimension 0 of a layer's output must "
                    "be the pair; make the model with batch_first=True, choose a layer that does not cut its input to "
                    "pieces, or explain the inputs"
                )

    def layout(self, layer: Layer, side: int, activation: Tensor, given: SideLayout = None) -> Layout:
        """Where the cells of an image are in the output of a layer on one side; None if it is no grid over it."""
        module = find_plan(self, layer).layers[0][side]
        return for_side(given, side) or self._recognised((self.a, self.b)[side], activation, module)

    def layer_note(self, layer: Layer) -> str | None:
        """One line on the layer that was taken because the user named none: its name, its layout and why."""
        return find_plan(self, layer).note if layer is None else None

    def _recognised(self, one: Side, activation: Tensor, layer: nn.Module | None) -> Layout:
        """Where the cells of an image are: as the probe found, or as the named layer's output tells."""
        if layer is None or not one.leaves[0].is_floating_point():
            return None
        # that of items of another length has other places
        plans = [(key, plan) for key, plan in (self.plans or {}).items() if isinstance(plan, Plan)]
        taken = [one for _, plan in sorted(plans, key=lambda pair: self.shapes not in pair[0]) for one in plan.taken]
        found = next((one for one in taken if one and one.module is layer), None)
        if found is not None:
            return found.layout
        return layout_of_named(self, one, layer, activation)

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

    def untied(
        self,
        layer: Layer = None,
        *,
        layered: bool = False,
        unique: bool = False,
        tie: bool = True,
        ports: bool = True,
        compared: bool = False,
    ) -> tuple[Objective, list[list[LayerPair]]]:
        """The objective on a copy of the model in which the two sides have modules of their own, and the layers' views
        in it: of each layer one pair (of a, of b) for each of its calls on a side.

        Args:
            layered: whether ``layer`` is needed.
            unique: whether no module at all may be called twice.
            tie: whether the copy shares the parameters.
            ports: whether a layer that returns more than a tensor is stood for by a module that returns its first.
            compared: whether what each module gives for the pairs is compared with what it gives for their baselines.
        """
        return apart.untied(self, layer, layered=layered, unique=unique, tie=tie, ports=ports, compared=compared)

    def in_float32(self) -> Self:
        """These pairs on a copy of the model in float32, where they or it are of half precision; these, if not.

        For what adds up shares of numbers that differ by little, of which bfloat16 leaves nothing.
        """
        return apart.in_float32(self)

    def propagating(self, rules: Rules, layer: Layer = None) -> AbstractContextManager[tuple[Self, Layer, Relevance]]:
        """These pairs on a copy of the model through which gradients are relevances over values.

        What encodes the two sides propagates relevance; the comparison is differentiated, so that the relevance that
        enters a branch is the embedding times the gradient of the score. Also ``layer`` is given as it is in the copy.
        """
        return apart.propagating(self, rules, layer)


def _whole(layout: Layout, activation: Tensor) -> Places | None:
    """The places of a layout (N, tokens, C) or (N, C, times) that has no others."""
    if isinstance(layout, InOrder) and (layout.first, layout.count) == (0, activation.shape[1]):
        return Places("tokens", 2)
    return Places("time") if isinstance(layout, ChannelsFirst) and activation.dim() == 3 else None
