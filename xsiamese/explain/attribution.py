"""The one interface of every explainer: ``explain`` is the run and gives a
:class:`~xsiamese.result.explanation.PairExplanation`, ``attribute`` gives its two maps.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from difflib import get_close_matches
from functools import wraps
from typing import Any, Literal, Self, cast

from captum.attr import Attribution
from torch import Tensor

from xsiamese.branches.intact import intact
from xsiamese.branches.layers import Layer
from xsiamese.branches.layout import SideLayout
from xsiamese.door.registry import explainers
from xsiamese.explain.foil import against as difference
from xsiamese.explain.foil import triplet
from xsiamese.explain.found import Found
from xsiamese.explain.layered import Layered
from xsiamese.explain.maps import Maps, detached, warn_identical
from xsiamese.explain.prepare import ItemBatch, prepared
from xsiamese.explain.request import BatchSize, Request, chosen_split, described, fitted, target_name, without_edges
from xsiamese.explain.run import run, valued
from xsiamese.kinds.graphs.gates import GateMisfit
from xsiamese.kinds.inputs import Kinds, two_items, two_sides
from xsiamese.kinds.side import Side, Wrt, row_sums
from xsiamese.model.comparison import Comparison
from xsiamese.model.norms import norms_detached
from xsiamese.model.pair import PairModel, pair_model
from xsiamese.pairs.batch import PairBatch
from xsiamese.pairs.objective import Objective, Target
from xsiamese.pairs.split import Split
from xsiamese.plot.shown import Shows
from xsiamese.result import columns
from xsiamese.result.columns import Column
from xsiamese.result.explanation import PairExplanation

_ELSEWHERE = {"target_layers": "layer", "target_layer": "layer", "layers": "layer", "forward_func": "model"}
"""What other libraries call the settings of ours."""


def _unwrappable(function: Callable[..., Any]) -> Callable[..., Any]:
    """Gives ``function`` the ``__wrapped__`` that captum's NoiseTunnel calls."""

    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


class PairAttribution(Layered, Attribution, ABC):
    r"""Explains the score of a two-input model on both of its inputs.

    To add an explainer, subclass this, declare its traits as class attributes
    (:class:`~xsiamese.explain.traits.Traits`) and write :meth:`compute`. Everything else, from checking the inputs to
    leaving the model as it was, is done here, once. A trait that is misspelt or of a wrong type is an error when the
    class is made.

    Maps are about *closeness*: positive pulls the two inputs together, negative pushes them apart, whether the model's
    score is a similarity or a distance. With a ``target``, positive raises the target.

    Args:
        model: a :class:`~xsiamese.SiameseModel`, or any module or callable of two inputs: ``f(a, b)``, ``f((a, b))``,
            ``f({...})``.
        layer: a dotted name, a module, a tuple (layer of a, layer of b), or a list of several. None takes the last
            spatial one, for graphs the last that sends messages.
        comparison: for a model that returns the two embeddings.
        higher_is_closer: False if a callable's score is a distance.
        layout: how a layer's output lies, :class:`~xsiamese.Tokens`, :class:`~xsiamese.ChannelsLast` or
            :class:`~xsiamese.ChannelsFirst`, or a pair of them; recognised if left out.
        calls: what becomes of the maps of a layer that is called several times a side, as for several views of an item:
            "sum" adds them, which is right where all calls see the item as it lies; "all" gives a tuple, a map a call.
            None adds them and says so.
        detach_norms: whether the norms of a cosine are constants to the gradient
            (:func:`~xsiamese.model.norms.norms_detached`), for a method that takes gradients.

    Raises:
        ValueError: if the model has a comparison of its own and is given another, ``calls`` is none of these, or there
            are no norms to detach.
    """

    def __init__(
        self,
        model: Callable[..., Any],
        layer: Layer = None,
        *,
        comparison: str | Comparison | Callable[[Tensor, Tensor], Tensor] | None = None,
        higher_is_closer: bool | None = None,
        layout: SideLayout = None,
        calls: Literal["sum", "all"] | None = None,
        detach_norms: bool = False,
    ) -> None:
        if calls not in ("sum", "all", None):
            raise ValueError(f"calls={calls!r}: 'sum', 'all' or None is needed")
        if detach_norms and not self.uses_gradients:
            raise ValueError(f"{type(self).__name__} takes no gradients: detach_norms= changes nothing, leave it out")
        self.calls, self.detach_norms = calls, detach_norms
        self.model = self.__taken_as(pair_model(model, comparison, higher_is_closer))
        self.layer = layer
        self.layout = layout
        self.layer_names_: list[str] = []
        self._plans: dict[Any, Any] = {}
        super().__init__(self._closeness)

    def __new__(cls, *args: Any, **settings: Any) -> Self:
        known = inspect.signature(cls.__init__).parameters
        unknown = next((name for name in settings if name not in known), None)
        if unknown is not None and not any(p.kind is p.VAR_KEYWORD for p in known.values()):
            near = get_close_matches(_ELSEWHERE.get(unknown, unknown), known, n=1)
            hint = f"did you mean {near[0]}=?" if near else f"there are {', '.join(list(known)[1:])}"
            raise TypeError(f"{cls.__name__} has no setting {unknown!r}; {hint}")
        made: Self = super().__new__(cls)
        return made

    @abstractmethod
    def compute(self, batch: PairBatch, *args: Any, **options: Any) -> Maps | Found:
        """What is found of one batch of pairs, which is checked and ready; ``options`` are the explainer's own.

        Return ``batch.maps([...])`` for maps of the inputs, a pair (map of a, map of b) for maps of a layer, or a
        :class:`~xsiamese.explain.found.Found` with more than maps. Keep nothing on ``self``.
        """

    def prepare(self, items: ItemBatch, *args: Any, **options: Any) -> Mapping[str, Column] | None:
        """What :meth:`compute` needs of each item, once for each different one: columns with one entry an item.

        It finds them as ``batch.prepared``, (of a, of b), in the order of the pairs. What is drawn for an item must
        come from ``items.seeds``, so that it is the same on either side. A column called "embedding" is what a gallery
        searches by; the entries of a list are the items' own, the same object in all of an item's pairs.

        With the trait ``shares = "kept"`` only a gallery asks, which keeps what it gets; otherwise every run does. None
        says that nothing can be prepared of this model.
        """
        return None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if "prepare" in vars(cls) and "shares" not in vars(cls):
            cls.shares = "always"
        super().__init_subclass__(**kwargs)

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
        """The two maps of a batch of pairs: those of :meth:`explain`, which is the same run.

        Args:
            inputs: the two sides (a, b), each a tensor of shape (pairs, ...), a tuple of such tensors, or a
                ``torch_geometric`` ``Data`` or ``Batch`` of one graph a pair; or a ``PairData``.
            target: None for closeness; an index into the model's output, or one for each pair; or a callable on that
                output.
            baselines: where the path to the inputs starts, or what replaces a removed feature: None (zeros), a number,
                "partner" (the other input), "background" (of images: where they show nothing, as the model's card
                says; 0 is a grey after normalisation), "typical" (of rows: the mean over some as the model was trained
                on), a :class:`~xsiamese.Pool` of real items to average over, or a pair (of a, of b).
            additional_forward_args: further arguments of the model.
            wrt: which sides move. "first" holds b fixed (a factored model encodes it once) and gives it a map of zeros.
            parts: what of a graph is explained: "nodes" (their features), "edges" (a gate of 1 on each edge's
                messages), "edge_weight", "edge_attr", or several of these; the nodes, or the explainer's
                ``graph_parts``, if left out.
            kind: what kind of input it is, or (of a, of b), where that does not show: "text" for embeddings
                (pairs, tokens, dimensions), "series" for (pairs, times).
            internal_batch_size: the most pairs in one forward pass; "auto" measures the fastest once; None is all at
                once, but for the steps of a path over graphs, which are taken together for 256 pairs at the most.
            show_progress: shows a bar over the pairs.
            return_convergence_delta: returns also the pair's own delta, sum of both maps less what they should sum to,
                shape (pairs,).
            create_graph: gives maps that can be differentiated again.
            seed: the seed of everything random; None takes the generators as they are.
            **options: the explainer's own, see its :meth:`compute`.

        Returns:
            Two maps (of a, of b) that mirror the two inputs, or ((of a, of b), delta). The map of graphs is a
            ``torch_geometric.explain.Explanation``.

        Raises:
            TypeError: if the inputs are not two, or an option is unknown.
            ValueError: if batch sizes, shapes, dtypes, values, layers or the model's output do not fit, or the method
                gives no maps.

        Example:
            >>> from xsiamese import PairSaliency, SiameseModel
            >>> model = SiameseModel(torch.nn.Identity(), comparison="dot")
            >>> map_a, map_b = PairSaliency(model).attribute((torch.tensor([[1., 2.]]), torch.tensor([[3., 4.]])))
            >>> map_a, map_b
            (tensor([[3., 4.]]), tensor([[1., 2.]]))
        """
        if return_convergence_delta and not self.has_convergence_delta():
            raise ValueError(
                f"{type(self).__name__} has no convergence delta: its maps are not claimed to sum to a difference of "
                "scores"
            )
        inputs = self.model.taken(inputs)
        asked = Request(
            inputs, target, baselines, additional_forward_args, wrt, parts, create_graph, show_progress, seed, options,
            self._plans, size=internal_batch_size, kind=kind,
        )  # fmt: skip
        found, _ = self.__found(asked)
        if found.maps is None:
            raise ValueError(f"{type(self).__name__} gives no maps: use explain, whose result has what it found")
        return (found.maps, found.columns["_delta"]) if return_convergence_delta else found.maps

    def explain(
        self,
        inputs: Sequence[Any] | Mapping[str, Any],
        target: Target = None,
        *,
        ids: Sequence[tuple[str, str]] | None = None,
        against: Any = None,
        baselines: Any = None,
        additional_forward_args: Any = None,
        wrt: Wrt = "both",
        parts: Sequence[str] | None = None,
        kind: Kinds = None,
        internal_batch_size: BatchSize = None,
        show_progress: bool = False,
        seed: int | None = 0,
        **options: Any,
    ) -> PairExplanation:
        """Maps, scores, and all that is needed to show, save and defend the result, from one run.

        Args:
            inputs: the two sides (a, b); or a triplet (a, p, n), which is the pair (a, p) against n.
            target: see :meth:`attribute`, as for all that is not named here.
            ids: two names for each pair.
            against: foils n, one for each pair (a, p): the value explained is then s(a, p) - s(a, n), exact by two runs
                for the methods that are linear in the value (``cls.traits.linear``).

        Returns:
            An explanation of the type that the explainer names as its ``result``; with ``against``, a
            :class:`~xsiamese.explain.foil.FoilExplanation` with maps of a, p and n.
        """
        inputs, against = triplet(inputs, against)
        if against is not None:
            shared = {
                "target": target, "ids": ids, "baselines": baselines, "wrt": wrt, "parts": parts, "kind": kind,
                "additional_forward_args": additional_forward_args, "internal_batch_size": internal_batch_size,
                "show_progress": show_progress, "seed": seed,
            }  # fmt: skip
            return self.__against(inputs, against, **shared, **options)
        inputs = self.model.taken(inputs)
        asked = Request(
            inputs, target, baselines, additional_forward_args, wrt, parts, False, show_progress, seed, options,
            self._plans, size=internal_batch_size, kind=kind,
        )  # fmt: skip
        names = asked.names(ids)
        found, batch = self.__found(asked)
        return self.__outcome(found, batch, asked, names, self.layers_told(batch))

    def of_prepared(
        self, batch: PairBatch, asked: Request, *, ids: tuple[tuple[str, str], ...] | None, layers: Mapping[str, Any]
    ) -> PairExplanation:
        """The explanation of pairs whose items were prepared before, as a gallery keeps them.

        Args:
            batch: the pairs, with what is ``prepared`` of their items.
            asked: how the items were asked about; its inputs are the two sides as the user holds them.
            ids: two names for each pair.
            layers: what :meth:`layers_told` says of the items.
        """
        with intact(batch.model, seed=asked.seed if self.stochastic else None):
            found = self.__computed(batch, asked.options)
        return self.__outcome(found, batch, asked, ids, layers)

    def __outcome(
        self,
        found: Found,
        batch: PairBatch,
        asked: Request,
        ids: tuple[tuple[str, str], ...] | None,
        layers: Mapping[str, Any],
    ) -> PairExplanation:
        """All that was found of a batch, with what is needed to show, save and defend it."""
        target, more = asked.target, dict(found.columns)
        delta, value = more.pop("_delta", None), found.value
        assert value is not None
        assert delta is None or isinstance(delta, Tensor)
        return self.result(
            maps=detached(found.maps),
            inputs=detached(tuple(two_items(asked.inputs))),
            scores=batch.objective.reported(value),
            method=type(self).__name__,
            parameters=described({**layers, **asked.told()}),
            higher_is_closer=self.model.higher_is_closer if target is None else True,
            target=target_name(target),
            ids=ids,
            seed=asked.seed,
            delta=delta,
            shows=self.showing(asked.options),
            threshold=self.known_threshold() if target is None else None,
            measure=str(getattr(getattr(self.model, "comparison", None), "name", "score")),
            columns=columns.detached(more),
            kinds=(batch.a.kind, batch.b.kind),
            citation=self.citation(),
        )

    def scores(
        self, inputs: Any, target: Target = None, *, additional_forward_args: Any = None, kind: Kinds = None
    ) -> Tensor:
        """The model's own scores of the pairs (or the target's values), shape (pairs,), without gradients."""
        inputs = self.model.taken(inputs)
        asked = Request(inputs, target, extra=additional_forward_args, plans=self._plans, moving=False, kind=kind)
        batch = asked.batch(self)
        with intact(batch.model):
            return batch.objective.reported(valued(batch))

    @contextmanager
    def prepared(
        self, inputs: Sequence[Any] | Mapping[str, Any], *, additional_forward_args: Any = None, wrt: Wrt = "both",
        baselines: Any = None, internal_batch_size: BatchSize = None, show_progress: bool = False, seed: int | None = 0,
    ) -> Iterator[PairBatch]:  # fmt: skip
        """The checked pairs as one batch, to look at a model with: in evaluation mode with frozen parameters inside the
        block, and as it was after it.
        """
        inputs = self.model.taken(inputs)
        batch = Request(
            inputs, None, baselines, additional_forward_args, wrt, show_progress=show_progress, seed=seed,
            plans=self._plans,
        ).batch(self)  # fmt: skip
        with intact(batch.model, seed=seed):
            yield replace(batch, rows=chosen_split(batch, internal_batch_size).pairs)

    @classmethod
    def needs_motion(cls) -> bool:
        """Whether it needs inputs whose numbers can move."""
        return cls.uses_gradients and not cls.needs_layer if cls.moves_inputs is None else cls.moves_inputs

    def showing(self, options: Mapping[str, Any]) -> Shows:
        """What maps made with these options say: the trait ``shows``, unless an explainer knows better."""
        return cast(Shows, self.traits.shows)

    def known_threshold(self) -> float | None:
        """The score at which the decision turns: the explainer's own, else the one that the comparison has."""
        own = getattr(self, "threshold", None)
        known = getattr(getattr(self.model, "comparison", None), "threshold_", None) if own is None else own
        return None if known is None else float(known)

    def has_convergence_delta(self) -> bool:
        """Whether ``return_convergence_delta`` can be asked for."""
        return self.complete or self.returns_delta

    @classmethod
    def settings(cls) -> dict[str, inspect.Parameter]:
        """The arguments of its making that are this explainer's own, or its kind's, with their defaults."""
        gradients = {"detach_norms"} if cls.uses_gradients else set()  # a switch of every method that takes them
        shared = set(inspect.signature(PairAttribution.__init__).parameters) - gradients
        own = inspect.signature(cls.__init__).parameters.values()
        return {p.name: p for p in own if p.kind is p.KEYWORD_ONLY and p.name not in shared}

    def from_files(
        self, given: Mapping[str, str], read: Callable[[str], Any], inputs: tuple[Any, Any], seed: int
    ) -> dict[str, Any]:
        """The options that a command line gives as files (:attr:`files`), and what follows from what the inputs are.

        Args:
            given: what was typed for each.
            read: reads one item as the model takes it.
            inputs: the pair.
            seed: the seed of everything random.
        """
        return {name.replace("-", "_"): read(text) for name, text in given.items()}

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
        norms = self.detach_norms or None
        settings = {"layer": self.layer_names_ or self.layer, "layout": self.layout, "detach_norms": norms}
        shown = "".join(f", {key}={value!r}" for key, value in settings.items() if value is not None)
        return f"{type(self).__name__}({type(self.model).__name__}{shown})"

    def __taken_as(self, model: PairModel) -> PairModel:
        """The model that is explained: its norms are constants where that was asked for."""
        return norms_detached(model) if self.detach_norms else model

    def __against(self, inputs: Any, foil: Any, **arguments: Any) -> PairExplanation:
        if not self.linear:
            able = ", ".join(name for name, cls in explainers().items() if cls.traits.linear)
            raise ValueError(
                f"{type(self).__name__} is not linear in the value explained, so that against= would not be exact; "
                f"these are: {able}"
            )
        a, positive = two_items(inputs)
        return difference(self.explain((a, positive), **arguments), self.explain((a, foil), **arguments))

    def __found(self, asked: Request) -> tuple[Found, PairBatch]:
        """What one run finds of all pairs, its maps as the user gets them, and the batch that was explained."""
        batch = asked.batch(self)
        asked = asked.on(batch.a.leaves[0].device)
        if self.uses_gradients and not (self.complete or self.traits.unsigned):
            warn_identical(batch)
        with intact(batch.model, seed=asked.seed if self.stochastic else None, freeze=not asked.create_graph):
            try:
                return self.__all(batch, asked)
            except GateMisfit as misfit:
                if asked.parts is not None:  # an order is kept or refused; only what was nobody's wish may fall back
                    raise GateMisfit(
                        f"{misfit}, so that its edges cannot be explained: ask for parts=('nodes',)"
                    ) from None
                return self.__all(replace(asked, parts=without_edges(batch, misfit)).batch(self), asked)

    def __all(self, batch: PairBatch, asked: Request) -> tuple[Found, PairBatch]:
        return fitted(batch, asked.size, lambda split: self.__cut(batch, split, asked))

    def __cut(self, batch: PairBatch, split: Split, asked: Request) -> tuple[Found, PairBatch]:
        batch = replace(batch.laid_out(split), rows=split.pairs)
        self.layer_names_ = self.layer_names(batch)  # for the user to see; nothing here reads it again
        if self.traits.shares == "always" and batch.target is None:  # an output that was asked for is the pair's
            batch = prepared(batch, lambda items: self.prepare(items, **asked.options))
        return self.__computed(batch, asked.options), batch

    def __computed(self, batch: PairBatch, options: Mapping[str, Any]) -> Found:
        """What one run finds of all pairs of a batch, its maps as the user gets them."""
        found = run(batch, lambda part: self.__part(part, options), self.traits, type(self).__name__)
        more, maps = dict(found.columns), found.maps
        start = more.pop("_start", None)
        if maps is not None and isinstance(start, Tensor) and found.value is not None:
            total = self.total(maps, options, (batch.a, batch.b))
            more["_delta"] = total - (found.value - start)
        if maps is not None:
            maps = batch.a.returned(maps[0], self.of_layer), batch.b.returned(maps[1], self.of_layer)
        return Found(maps, found.value, more)

    def __part(self, part: PairBatch, options: Mapping[str, Any]) -> Maps | Found:
        # edges were asked for, and these graphs have none
        nothing = not (self.of_layer or self.removes or part.moved)
        return part.maps([]) if nothing else self.compute(part, **options)

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
        twin.model = self.__taken_as(pair_model(model))
        twin._plans = {}
        Attribution.__init__(twin, twin._closeness)
        return twin
