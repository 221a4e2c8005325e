"""How one request becomes one result: the batch is checked, cut, explained part by part, and told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from xsiamese.branches.derivative import one_explanation
from xsiamese.branches.intact import intact
from xsiamese.explain.beside import MANY
from xsiamese.explain.explainer import Explainer
from xsiamese.explain.found import Found
from xsiamese.explain.maps import Maps, detached, warn_cancelled, warn_held, warn_identical, warn_missed
from xsiamese.explain.per_tensor import masks_at, masks_differ
from xsiamese.explain.prepare import prepared
from xsiamese.explain.request import Request, described, fitted, target_name, without_edges
from xsiamese.explain.run import run
from xsiamese.kinds.graphs.gates import GateMisfit
from xsiamese.kinds.inputs import two_items
from xsiamese.pairs.batch import PairBatch
from xsiamese.pairs.silence import naming_the_cut
from xsiamese.pairs.split import Split
from xsiamese.pairs.witness import Rest
from xsiamese.result import columns
from xsiamese.result.explanation import PairExplanation

OF_ALL_PLACES = ("feature_mask", "units", "invariance", "pool")  # options beside which nothing is left out of an item


class Runner(Explainer):
    """An explainer that is run."""

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
        with (
            intact(batch.model, seed=asked.seed if self.stochastic else None),
            naming_the_cut(batch, gradients=self.uses_gradients),
        ):
            found = self.__computed(batch, asked.options)
        return self._outcome(found, batch, asked, ids, layers)

    def _outcome(
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
        scores = batch.objective.reported(value)
        if target is None and not scores.equal(unclamped := self.model.closeness(value)):
            more["unclamped"] = unclamped  # what the threshold is about
        return self.result(
            maps=detached(found.maps),
            inputs=detached(tuple(two_items(asked.inputs))),
            scores=scores,
            method=type(self).__name__,
            parameters=described({**layers, **self.cells_told(batch, found.maps), **asked.told()}),
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

    def _found(self, asked: Request) -> tuple[Found, PairBatch]:
        """What one run finds of all pairs, its maps as the user gets them, and the batch that was explained."""
        with one_explanation():
            return self.__of(asked.batch(self), asked)

    def __of(self, batch: PairBatch, asked: Request) -> tuple[Found, PairBatch]:
        asked = asked.on(batch.a.leaves[0].device)
        if self.uses_gradients and not (self.complete or self.traits.unsigned):
            warn_identical(batch)
        if not self.needs_layer:
            warn_held(batch)
        with (
            intact(batch.model, seed=asked.seed if self.stochastic else None, freeze=not asked.create_graph),
            naming_the_cut(batch, gradients=self.uses_gradients),
        ):
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
        rest = Rest(batch.model, batch.a.leaves[0].device)
        self.layer_names_ = self.layer_names(batch)  # for the user to see; nothing here reads it again
        if self.traits.shares == "always" and batch.target is None:  # an output that was asked for is the pair's
            batch = prepared(batch, lambda items: self.prepare(items, **asked.options))
            rest.drew_before, rest.asked = rest.drew(), MANY if self.traits.stochastic else 0
        return self.__computed(batch, asked.options, rest), batch

    def __computed(self, batch: PairBatch, options: Mapping[str, Any], rest: Rest | None = None) -> Found:
        """What one run finds of all pairs of a batch, its maps as the user gets them."""
        own = masks_differ(options, (batch.a, batch.b))
        found = run(
            batch,
            lambda which, part: self.__part(part, masks_at(options, which) if own else options),
            self.traits,
            type(self).__name__,
            alone=own,
            trims=self.traits.trims and all(options.get(name) is None for name in OF_ALL_PLACES),
            rest=rest or Rest(batch.model, batch.a.leaves[0].device),
        )
        more, maps = dict(found.columns), found.maps
        start, missed = more.pop("_start", None), False
        if maps is not None and isinstance(start, Tensor) and found.value is not None:
            total = self.total(maps, options, (batch.a, batch.b))
            more["_delta"] = total - (found.value - start)
            # a slope is no share, and what several layers give is counted several times
            if self.uses_gradients and options.get("multiply_by_inputs", True) and not isinstance(self.layer, list):
                integral = self.complete and not self.detach_norms and self.layer is None
                missed = warn_missed(batch, total.detach(), found.value, start, integral=integral)
        if maps is not None and not missed:
            warn_cancelled(batch, maps)
        if maps is not None:
            maps = batch.a.returned(maps[0], self.of_layer), batch.b.returned(maps[1], self.of_layer)
        return Found(maps, found.value, more)

    def __part(self, part: PairBatch, options: Mapping[str, Any]) -> Maps | Found:
        # edges were asked for, and these graphs have none
        nothing = not (self.of_layer or self.removes or part.moved)
        return part.maps([]) if nothing else self.compute(part, **options)
