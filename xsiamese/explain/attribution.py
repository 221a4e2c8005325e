"""The one interface of every explainer: ``attribute`` gives two maps, ``explain`` a
:class:`~xsiamese.result.explanation.PairExplanation`.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from typing import Any, ClassVar, Self

import torch
from captum.attr import Attribution
from torch import Tensor
from tqdm.auto import tqdm

from xsiamese.branches.intact import intact, reseed
from xsiamese.branches.layers import Layer, Layout
from xsiamese.explain.maps import Maps, check_map, detached, in_dtype, join, warn_identical
from xsiamese.explain.request import BatchSize, Request, chosen_split, without_edges
from xsiamese.kinds.graphs.gates import GateMisfit
from xsiamese.kinds.inputs import Kinds, two_items, two_sides
from xsiamese.kinds.side import Side, Wrt, row_sums
from xsiamese.model.comparison import Comparison
from xsiamese.model.pair import pair_model
from xsiamese.pairs.batch import PairBatch
from xsiamese.pairs.objective import Objective, Target
from xsiamese.pairs.usage import Plan
from xsiamese.result.explanation import PairExplanation, described, target_name


def _unwrappable(function: Callable[..., Any]) -> Callable[..., Any]:
    """Gives ``function`` the ``__wrapped__`` that captum's NoiseTunnel calls."""

    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


class PairAttribution(Attribution, ABC):  # type: ignore[misc]
    r"""Explains the score of a two-input model on both of its inputs.

    To add an explainer, subclass this, fill in the class attributes and write :meth:`compute`. Everything else, from
    checking the
    inputs to leaving the model as it was, is done here, once.

    Maps are about *closeness*: positive pulls the two inputs together, negative pushes them apart, whether the model's
        score is a
    similarity or a distance. With a ``target``, positive raises the target.

    Attributes:
        name: the name on the command line and in :func:`xsiamese.explainers`.
        formula: what a map is, in LaTeX.
        reference: keys of the sources in the bibliography.
        modalities: the kinds of input that it explains, by name: "image", "row", "series", "volume", "text", "graph".
        moves_inputs: whether the numbers of an input must be able to move, as those of an image and unlike the ids of
            tokens; None where gradients of inputs, not of a layer, are taken.
        graph_parts: what of a graph it explains if the user does not say; ``known_parts`` what it can explain.
        needs_layer: whether maps are of a layer's output rather than of the input.
        needs_threshold: whether its maps are about a decision, so that there are none without ``threshold=`` or a
            calibrated comparison.
        uses_gradients: whether it differentiates the model.
        complete: whether the maps sum to the change of the value from the baselines to the inputs.
        returns_delta: whether it can say by how much they do not.
        differentiable: whether ``create_graph`` is supported.
        stochastic: whether it draws random numbers. Every pair gets the same ones, so that a batch equals a loop.
        common_draws: whether :meth:`compute` sees to that by itself, so that it may take many pairs at once.
        across_pairs: whether a map depends on the other pairs of the batch.
        symmetric: whether swapping the inputs of a symmetric model swaps the maps.
        of_activations: whether a map shows the layer's activations as they are, whatever the score.
        removes: whether parts of graphs are really taken away, so that edges can be explained of any model.
        fitted: whether maps are weights of a regression on samples, so that what is zero is so on average only.
        unsigned: whether maps are relevances in [0, 1] that do not say which way a feature pulls.
        chunk: the most pairs that :meth:`compute` takes at once, or None.
        distribution_baselines: whether a baseline tensor holds samples rather than one row a pair.

    Args:
        model: a :class:`~xsiamese.SiameseModel`, or any module or callable of two inputs: ``f(a, b)``, ``f((a, b))``,
            ``f({...})``.
        layer: a dotted name, a module, a tuple (layer of a, layer of b), or a list of several. None takes the last
            spatial one, for graphs the last
            that sends messages.
        comparison: for a model that returns the two embeddings.
        higher_is_closer: False if a callable's score is a distance.
        layout: how a layer's tokens form a grid, :class:`~xsiamese.branches.layers.Tokens` or
            :class:`~xsiamese.branches.layers.ChannelsLast`.
    """

    name: ClassVar[str] = ""
    formula: ClassVar[str] = ""
    reference: ClassVar[tuple[str, ...]] = ()
    modalities: ClassVar[frozenset[str]] = frozenset({"image", "row", "series", "volume", "text"})
    moves_inputs: ClassVar[bool | None] = None
    graph_parts: ClassVar[tuple[str, ...]] = ("nodes",)
    known_parts: ClassVar[tuple[str, ...]] = ("nodes", "edges", "edge_weight", "edge_attr")
    needs_layer: ClassVar[bool] = False
    needs_threshold: ClassVar[bool] = False
    uses_gradients: ClassVar[bool] = True
    complete: ClassVar[bool] = False
    returns_delta: ClassVar[bool] = False
    differentiable: ClassVar[bool] = True
    stochastic: ClassVar[bool] = False
    common_draws: ClassVar[bool] = False
    across_pairs: ClassVar[bool] = False
    symmetric: ClassVar[bool] = True
    of_activations: ClassVar[bool] = False
    removes: ClassVar[bool] = False
    fitted: ClassVar[bool] = False
    unsigned: ClassVar[bool] = False
    chunk: ClassVar[int | None] = None
    distribution_baselines: ClassVar[bool] = False

    def __init__(
        self,
        model: Callable[..., Any],
        layer: Layer = None,
        *,
        comparison: str | Comparison | Callable[[Tensor, Tensor], Tensor] | None = None,
        higher_is_closer: bool | None = None,
        layout: Layout = None,
    ) -> None:
        self.model = pair_model(model, comparison, higher_is_closer)
        self.layer = layer
        self.layout = layout
        self.layer_names_: list[str] = []
        self._plans: dict[Any, Plan] = {}
        super().__init__(self._closeness)

    @abstractmethod
    def compute(self, batch: PairBatch, *args: Any, **options: Any) -> Maps:
        """The maps of one batch of pairs, which is checked and ready; ``options`` are the explainer's own.

        Return ``batch.maps([...])`` for maps of the inputs, or a pair (map of a, map of b) for maps of a layer.
        """

    @_unwrappable
    def attribute(
        self,
        inputs: Sequence[Any] | Mapping[str, Any],
        target: Target = None,
        *,
        baselines: Any = None,
        additional_forward_args: Any = None,
        wrt: Wrt = "both",
        parts: Sequence[str] | None = None,
        kind: Kinds = None,
        internal_batch_size: BatchSize = None,
        show_progress: bool = False,
        return_convergence_delta: bool = False,
        create_graph: bool = False,
        seed: int | None = 0,
        **options: Any,
    ) -> Any:
        """The two maps of a batch of pairs.

        Args:
            inputs: the two sides (a, b), each a tensor of shape (pairs, ...), a tuple of such tensors, or a
                ``torch_geometric`` ``Data`` or ``Batch`` of one
                graph a pair; or a ``PairData``.
            target: None for closeness; an index into the model's output, or one for each pair; or a callable on that
                output.
            baselines: where the path to the inputs starts, or what replaces a removed feature: None (zeros), a number,
                "partner" (the
                other input), or a pair (of a, of b).
            additional_forward_args: further arguments of the model.
            wrt: which sides move. "first" holds b fixed (a factored model encodes it once) and gives it a map of zeros.
            parts: what of a graph is explained: "nodes" (their features), "edges" (a gate of 1 on each edge's
                messages), "edge_weight", "edge_attr", or
                several of these; the nodes, or the explainer's ``graph_parts``, if left out.
            kind: what kind of input it is, or (of a, of b), where that does not show: "text" for embeddings
                (pairs, tokens, dimensions), "series" for (pairs, times).
            internal_batch_size: the most pairs in one forward pass; "auto" measures the fastest once; None is all at
                once, but for the steps of a path over
                graphs, which are taken together for 256 pairs at the most.
            show_progress: shows a bar over the pairs.
            return_convergence_delta: returns also the pair's own delta, sum of both maps less F(a, b) - F(baselines),
                shape (pairs,).
            create_graph: gives maps that can be differentiated again.
            seed: the seed of everything random; None takes the generators as they are.
            **options: the explainer's own, see its :meth:`compute`.

        Returns:
            Two maps (of a, of b) that mirror the two inputs, or ((of a, of b), delta). The map of graphs is a
            ``torch_geometric.explain.Explanation``.

        Raises:
            TypeError: if the inputs are not two, or an option is unknown.
            ValueError: if batch sizes, shapes, dtypes, values, layers or the model's output do not fit.

        Example:
            >>> from xsiamese import PairSaliency, SiameseModel
            >>> model = SiameseModel(torch.nn.Identity(), comparison="dot")
            >>> map_a, map_b = PairSaliency(model).attribute((torch.tensor([[1., 2.]]), torch.tensor([[3., 4.]])))
            >>> map_a, map_b
            (tensor([[3., 4.]]), tensor([[1., 2.]]))
        """
        request = Request(
            inputs,
            target,
            baselines,
            additional_forward_args,
            wrt,
            parts,
            create_graph,
            show_progress,
            seed,
            options,
            self._plans,
            kind=kind,
        )
        batches = request.batch(self)
        if return_convergence_delta and not self.has_convergence_delta():
            raise ValueError(
                f"{type(self).__name__} has no convergence delta: its maps are not claimed to sum to a difference of "
                "scores"
            )
        if self.uses_gradients and not (self.complete or self.unsigned):
            warn_identical(batches)
        with intact(batches.model, seed=seed if self.stochastic else None, freeze=not create_graph):
            try:
                return self._attributed(batches, internal_batch_size, options, return_convergence_delta)
            except GateMisfit as misfit:
                batches = replace(request, parts=without_edges(batches, misfit)).batch(self)
                return self._attributed(batches, internal_batch_size, options, return_convergence_delta)

    def explain(
        self,
        inputs: Sequence[Any] | Mapping[str, Any],
        target: Target = None,
        *,
        ids: Sequence[tuple[str, str]] | None = None,
        **kwargs: Any,
    ) -> PairExplanation:
        """:meth:`attribute` with all that is needed to show, save and defend the result.

        Args:
            inputs: the two sides (a, b).
            target: see :meth:`attribute`.
            ids: two names for each pair.
            **kwargs: see :meth:`attribute`.
        """
        kwargs.pop("return_convergence_delta", None)
        result = self.attribute(inputs, target, return_convergence_delta=self.has_convergence_delta(), **kwargs)
        maps, delta = result if self.has_convergence_delta() else (result, None)
        items = tuple(two_items(inputs))
        return PairExplanation(
            maps=detached(maps),
            inputs=detached(items),
            scores=self.scores(
                inputs,
                target,
                additional_forward_args=kwargs.get("additional_forward_args"),
                kind=kwargs.get("kind"),
            ),
            method=type(self).__name__,
            parameters=described({"layer": self.layer_names_ or None, **kwargs}),
            higher_is_closer=self.model.higher_is_closer if target is None else True,
            target=target_name(target),
            ids=tuple((str(i), str(j)) for i, j in ids) if ids else None,
            seed=kwargs.get("seed", 0),
            delta=delta,
            unsigned=self.unsigned,
            citation=self.citation(),
        )

    def scores(
        self, inputs: Any, target: Target = None, *, additional_forward_args: Any = None, kind: Kinds = None
    ) -> Tensor:
        """The model's own scores of the pairs (or the target's values), shape (pairs,), without gradients."""
        request = Request(inputs, target, extra=additional_forward_args, plans=self._plans, moving=False, kind=kind)
        batch = request.batch(self)
        with intact(batch.model), torch.no_grad():
            return batch.objective.reported(batch.value())

    @contextmanager
    def prepared(
        self,
        inputs: Sequence[Any] | Mapping[str, Any],
        *,
        additional_forward_args: Any = None,
        wrt: Wrt = "both",
        baselines: Any = None,
        internal_batch_size: BatchSize = None,
        show_progress: bool = False,
        seed: int | None = 0,
    ) -> Iterator[PairBatch]:
        """The checked pairs as one batch, for explainers that give more than two maps.

        Inside the block the model is in evaluation mode with frozen parameters; after it everything is as it was.
        """
        batch = Request(
            inputs,
            None,
            baselines,
            additional_forward_args,
            wrt,
            show_progress=show_progress,
            seed=seed,
            plans=self._plans,
        ).batch(self)
        with intact(batch.model, seed=seed):
            yield replace(batch, rows=chosen_split(batch, internal_batch_size).pairs)

    @classmethod
    def needs_motion(cls) -> bool:
        """Whether it needs inputs whose numbers can move."""
        return cls.uses_gradients and not cls.needs_layer if cls.moves_inputs is None else cls.moves_inputs

    @property
    def of_layer(self) -> bool:
        """Whether the maps are of a layer's output."""
        return self.needs_layer

    def has_convergence_delta(self) -> bool:
        """Whether ``return_convergence_delta`` can be asked for."""
        return self.complete or self.returns_delta

    @classmethod
    def options(cls) -> dict[str, inspect.Parameter]:
        """The options that are this explainer's own, with their defaults."""
        parameters = inspect.signature(cls.compute).parameters.values()
        return {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY}

    @classmethod
    def citation(cls) -> str:
        """The BibTeX entries of the method's sources."""
        from xsiamese.result.citations import bibtex

        return bibtex(cls.reference)

    def __repr__(self) -> str:
        settings = {"layer": self.layer_names_ or self.layer, "layout": self.layout}
        shown = "".join(f", {key}={value!r}" for key, value in settings.items() if value is not None)
        return f"{type(self).__name__}({type(self.model).__name__}{shown})"

    def _attributed(self, batches: PairBatch, size: BatchSize, options: Mapping[str, Any], with_delta: bool) -> Any:
        split = chosen_split(batches, size)
        batches = batches.laid_out(split)
        maps = join(
            [self._compute(part, options) for part in self._progress(batches, split.pairs)], batches.create_graph
        )
        result = batches.a.returned(maps[0], self.of_layer), batches.b.returned(maps[1], self.of_layer)
        return (result, self._delta(batches, maps, split.pairs, options)) if with_delta else result

    def _progress(self, batch: PairBatch, size: int | None) -> Iterable[PairBatch]:
        alone = 1 if self.stochastic and not self.common_draws else None
        pairs = batch.pairs if self.across_pairs else min(filter(None, (size, self.chunk, alone)), default=batch.pairs)
        parts = replace(batch, rows=size).split(pairs)
        total = -(-batch.pairs // pairs)
        return tqdm(parts, total=total, desc=type(self).__name__, unit="batch") if batch.show_progress else parts

    def _compute(self, batch: PairBatch, options: Mapping[str, Any]) -> Maps:
        if self.stochastic and batch.seed is not None:
            reseed(batch.seed)
        nothing = (
            not batch.moved and not self.of_layer and not self.removes
        )  # edges were asked for, and these graphs have none
        first, second = batch.maps([]) if nothing else self.compute(batch, **options)
        maps = in_dtype(first, batch.a.leaves[0].dtype), in_dtype(second, batch.b.leaves[0].dtype)
        if self.needs_layer:
            self.layer_names_ = batch.layer_names(self.layer)
        for side in batch.objective.moving:
            check_map(maps[side], "ab"[side], type(self).__name__)
        return maps

    def _delta(self, batches: PairBatch, maps: Maps, size: int | None, options: Mapping[str, Any]) -> Tensor:
        """Sum of both maps less F(inputs) - F(baselines), each on the whole pair."""
        values = []
        with torch.no_grad():
            for part in batches.split(size or batches.pairs):
                rows = len(part.moved_baselines[0]) if part.distribution else 1
                starts = [
                    tuple(
                        t[i : i + 1].expand_as(m) if part.distribution else t
                        for t, m in zip(part.moved_baselines, part.moved, strict=True)
                    )
                    for i in range(rows)
                ]
                values.append(part.value() - torch.stack([part.value(*start) for start in starts]).mean(0))
        return self.total(maps, options, (batches.a, batches.b)) - torch.cat(values)

    def total(self, maps: Maps, options: Mapping[str, Any], sides: tuple[Side, Side] | None = None) -> Tensor:
        """What both maps of each pair sum to, shape (pairs,)."""
        first, second = (row_sums, row_sums) if sides is None else (side.sums for side in sides)
        return first(maps[0]) + second(maps[1])

    def _closeness(self, a: Any, b: Any, *extra: Any) -> Tensor:
        """What captum's metrics call: the value explained, on two tensors."""
        sides = two_sides((a, b))
        value: Tensor = Objective(self.model, *sides)(*sides[0].leaves, *sides[1].leaves, *extra)
        return value

    def copy_for(self, model: Callable[..., Any]) -> Self:
        """The same explainer for another model."""
        twin = type(self).__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin.model = pair_model(model)
        twin._plans = {}
        Attribution.__init__(twin, twin._closeness)
        return twin
