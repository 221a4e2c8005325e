"""The one interface of every explainer: ``explain`` is the run and gives a
:class:`~xsiamese.result.explanation.PairExplanation`, ``attribute`` gives its two maps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from typing import Any

from torch import Tensor

from xsiamese.branches.intact import intact
from xsiamese.door.registry import explainers
from xsiamese.explain.foil import against as difference
from xsiamese.explain.foil import triplet
from xsiamese.explain.request import BatchSize, Request, chosen_split
from xsiamese.explain.run import valued
from xsiamese.explain.runner import Runner
from xsiamese.kinds.inputs import Kinds, refuse_unsplit, two_items
from xsiamese.kinds.side import Wrt
from xsiamese.pairs.batch import PairBatch
from xsiamese.pairs.objective import Target
from xsiamese.result.explanation import PairExplanation


def _unwrappable(function: Callable[..., Any]) -> Callable[..., Any]:
    """Gives ``function`` the ``__wrapped__`` that captum's NoiseTunnel calls."""

    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


class PairAttribution(Runner):
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
        TypeError: if ``layout`` is none.
        ValueError: if the model has a comparison of its own and is given another, ``calls`` is none of these, or there
            are no norms to detach.
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
        inputs = self.__taken(inputs, target)
        asked = Request(
            inputs, target, baselines, additional_forward_args, wrt, parts, create_graph, show_progress, seed, options,
            self._plans, size=internal_batch_size, kind=kind,
        )  # fmt: skip
        found, _ = self._found(asked)
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
        refuse_unsplit(inputs, target)
        inputs, against = triplet(inputs, against)
        if against is not None:
            shared = {
                "target": target, "ids": ids, "baselines": baselines, "wrt": wrt, "parts": parts, "kind": kind,
                "additional_forward_args": additional_forward_args, "internal_batch_size": internal_batch_size,
                "show_progress": show_progress, "seed": seed,
            }  # fmt: skip
            return self.__against(inputs, against, **shared, **options)
        inputs = self.__taken(inputs)
        asked = Request(
            inputs, target, baselines, additional_forward_args, wrt, parts, False, show_progress, seed, options,
            self._plans, size=internal_batch_size, kind=kind,
        )  # fmt: skip
        names = asked.names(ids)
        found, batch = self._found(replace(asked, ids=names, explaining=True))
        return self._outcome(found, batch, asked, names, self.layers_told(batch))

    def scores(
        self, inputs: Any, target: Target = None, *, additional_forward_args: Any = None, kind: Kinds = None
    ) -> Tensor:
        """The model's own scores of the pairs (or the target's values), shape (pairs,), without gradients."""
        inputs = self.__taken(inputs, target)
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
        inputs = self.__taken(inputs)
        batch = Request(
            inputs, None, baselines, additional_forward_args, wrt, show_progress=show_progress, seed=seed,
            plans=self._plans,
        ).batch(self)  # fmt: skip
        with intact(batch.model, seed=seed):
            yield replace(batch, rows=chosen_split(batch, internal_batch_size).pairs)

    def __taken(self, inputs: Any, target: Target = None) -> Any:
        refuse_unsplit(inputs, target)
        return self.model.taken(inputs)

    def __against(self, inputs: Any, foil: Any, **arguments: Any) -> PairExplanation:
        if not self.linear:
            able = ", ".join(name for name, cls in explainers().items() if cls.traits.linear)
            raise ValueError(
                f"{type(self).__name__} is not linear in the value explained, so that against= would not be exact; "
                f"these are: {able}"
            )
        a, positive = two_items(inputs)
        return difference(self.explain((a, positive), **arguments), self.explain((a, foil), **arguments))
