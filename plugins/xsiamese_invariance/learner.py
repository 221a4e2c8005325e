"""Learns an invariance from unlabelled pairs: the model's own scores are the labels."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from xsiamese.author import Comparison, Leaves, Side, check, check_fit, intact, pair_model, side
from xsiamese_invariance.divergence import Divergence, kind_for
from xsiamese_invariance.fitting import Fit
from xsiamese_invariance.graph import GraphUnits
from xsiamese_invariance.invariance import FLAT, Invariance, fingerprints
from xsiamese_invariance.masked import masked_leaves
from xsiamese_invariance.replacement import Kind
from xsiamese_invariance.simplicity import Simplicity
from xsiamese_invariance.units import Units, units_of
from xsiamese_invariance.unlabeled import Unlabeled, Weights

Scope = Literal["query", "class", "dataset"]
POOL = 4096


class InvarianceLearner:
    r"""Self-learns what counts whatever the reference is.

    A global mask :math:`M = \sigma(\Theta)` minimises, by stochastic gradient descent over unlabelled pairs and
    replacement draws,

    .. math:: \mathbb{E}_u\, w_u F(M; x_q, x_u) + \Omega(M),

    where F is the divergence of the score with features replaced from the model's own score of the pair. After Chen et
    al. 2021 (:cite:`chen2021siamese`), of which only the framework was available: objective and settings are a
    reconstruction, see the page on robust explanations.

    Args:
        model: see :class:`~xsiamese.PairAttribution`.
        scope: one mask for each "query", one for each "class" of queries, or one for the "dataset". The last two need
            units that mean the same in all queries.
        replacement: what comes in place of removed features, see :class:`~xsiamese_invariance.replacement.Replacement`.
        aligned: whether the mask is laid on both items of a pair, because their units mean the same. None says yes for
            rows of features and matrices of one shape, no for images.
        units: which unit each number of an item belongs to, see :func:`~xsiamese_invariance.units.units_of`. Those of a
            graph are its nodes and edges.
        parts: what of graphs is masked, any of "nodes", "edges", "edge_weight" and "edge_attr"; None takes nodes and
            edges.
        divergence: "kl" if scores are logits, "probability" if they are probabilities, "squared" for distances; "auto"
            decides by the comparison.
        weights: "balanced" draws references that the model calls alike and different equally often; "confident" draws
            those of which it is sure; "uniform" draws all alike.
        confidence: the least :math:`|2 f - 1|` of a confident pair.
        size: the price of a unit.
        entropy: the price of a nat of indecision.
        steps: how many steps.
        batch: how many references, each with a draw of its own, a step takes for each mask.
        rate: the step size on logits, which falls as :math:`1 / (1 + t / 200)`.
        comparison, higher_is_closer: see :class:`~xsiamese.PairAttribution`.

    Example:
        >>> from xsiamese import SiameseModel
        >>> generator = torch.Generator().manual_seed(0)
        >>> model = SiameseModel(torch.nn.Linear(3, 2, bias=False), "dot")
        >>> model.encoder.weight.data = torch.tensor([[2.0, 0, 0], [0, 2, 0]])  # the third feature is not used
        >>> query, pool = torch.ones(1, 3), torch.randn(64, 3, generator=generator)
        >>> invariance = InvarianceLearner(model, steps=300).fit(query, pool)
        >>> invariance.order[0, -1].item()
        2
    """

    def __init__(
        self,
        model: Callable[..., Any],
        *,
        scope: Scope = "query",
        replacement: Kind = "mixed",
        aligned: bool | None = None,
        units: Any = None,
        parts: Sequence[str] | None = None,
        divergence: Divergence = "auto",
        weights: Weights = "balanced",
        confidence: float = 0.5,
        size: float = 0.02,
        entropy: float = 0.01,
        steps: int = 600,
        batch: int = 32,
        rate: float = 2.0,
        comparison: str | Comparison | Callable[[Tensor, Tensor], Tensor] | None = None,
        higher_is_closer: bool | None = None,
    ) -> None:
        given = {
            "scope": scope, "replacement": replacement, "aligned": aligned, "weights": weights,
            "confidence": confidence, "size": size, "entropy": entropy, "steps": steps, "batch": batch, "rate": rate,
        }  # fmt: skip
        check(InvarianceLearner, given)
        if rate <= 0 or not 0 <= confidence < 1:
            raise ValueError(f"rate={rate}, confidence={confidence}: a positive one, and one below 1, are needed")
        self.model = pair_model(model, comparison, higher_is_closer)
        self.kind = kind_for(divergence, self.model)
        self.simplicity = Simplicity(size, entropy)
        self.scope: str = scope
        self.replacement, self.aligned, self.units, self.weights, self.confidence = (
            replacement,
            aligned,
            units,
            weights,
            confidence,
        )
        self.steps, self.batch, self.rate, self.parts = steps, batch, rate, parts

    def fit(
        self,
        queries: Any,
        references: Any,
        *,
        classes: Tensor | None = None,
        pool: Any = None,
        seed: int = 0,
        show_progress: bool = False,
    ) -> Invariance:
        """Learns the invariance of queries from unlabelled references.

        Args:
            queries: items as the model takes them on its first side, shape (queries, ...), or graphs.
            references: items of its second side, shape (references, ...), or graphs, none of which should be explained
                later.
            classes: the class of each query, shape (queries,), for the scope "class".
            pool: items that replacement values are drawn from; None takes the references, or the queries if the
                references have another shape.
            seed: of everything random.
            show_progress: shows a bar over the steps.

        Raises:
            TypeError: if queries or references are no inputs.
            ValueError: if they are empty or not finite, or do not fit the model or the scope.
        """
        sides = (self._side(queries, "queries"), self._side(_not_empty(references), "references"))
        check_fit(self.model, sides)
        groups, names = self._groups(sides[0], classes)
        aligned = self._aligned(sides)
        units = self._units(sides[0])
        rows = _pool(sides, aligned, None if pool is None else self._side(pool, "pool"))
        with intact(self.model):
            unlabeled = Unlabeled.of(self.model, *sides)
            scale = float(unlabeled.scores.std()) if unlabeled.scores.numel() > 1 else 1.0
            run = Fit(self, unlabeled, aligned, units=units, pool=rows, groups=groups, scale=scale)
            theta, trace = run.learned(seed, show_progress)
        own = (
            units
            if self.scope == "query" or isinstance(units, GraphUnits)
            else Units(units.shapes, units.index, units.count)
        )
        mask = theta.sigmoid() if own.valid is None else theta.sigmoid() * own.valid
        found = Invariance(
            mask,
            self.scope,
            own,
            aligned,
            trace,
            tuple(leaf[:POOL].detach().clone() for leaf in rows),
            self.kind,
            scale,
            frozenset(fingerprints(sides[1])),
            names,
        )
        flat = (found.spread < FLAT).nonzero().flatten().tolist()
        if flat:
            warnings.warn(
                f"the invariance of row {', '.join(map(str, flat[:8]))} is flat (all relevances within {FLAT}): the "
                "model's output hardly depends on "
                "which features are kept, and the order of the units means nothing",
                stacklevel=2,
            )
        return found

    def _side(self, items: Any, name: str) -> Side:
        """Items with what of them is masked."""
        return side(items, name).explaining(self.parts, name, ("nodes", "edges"))

    def _units(self, queries: Side) -> Units | GraphUnits:
        """What is kept or removed together."""
        if queries.ragged:
            if self.units is not None or self.scope != "query":
                raise ValueError(
                    f"units={self.units!r}, scope={self.scope!r}: graphs have no units in common; leave out units=, "
                    "and use scope='query'"
                )
            return GraphUnits(queries)
        units = units_of(masked_leaves(queries), self.units)
        if self.scope != "query" and units.index is not None and len(units.index) > 1:
            raise ValueError(f"scope={self.scope!r} needs units that mean the same in all queries, not a map for each")
        return units

    def _groups(self, queries: Side, classes: Tensor | None) -> tuple[list[Tensor], tuple[int, ...]]:
        """The queries of each mask, and the classes."""
        if self.scope == "query":
            return list(torch.arange(queries.pairs)[:, None]), ()
        if self.scope == "dataset":
            return [torch.arange(queries.pairs)], ()
        if classes is None or len(classes) != queries.pairs:
            what = "none" if classes is None else f"{len(classes)}"
            raise ValueError(
                f"scope='class' needs the class of each of the {queries.pairs} queries, fit(..., classes=); {what} "
                "given"
            )
        names = tuple(sorted(set(classes.tolist())))
        return [(classes.cpu() == name).nonzero().flatten() for name in names], names

    def _aligned(self, sides: tuple[Side, Side]) -> bool:
        alike = [leaf.shape[1:] for leaf in sides[0].leaves] == [leaf.shape[1:] for leaf in sides[1].leaves] and sides[
            0
        ].aligned
        if self.aligned and not sides[0].aligned:
            raise ValueError(
                "aligned=True: the nodes of two graphs have no common order; graphs that have one can be given as "
                "matrices, see edge_units"
            )
        if self.aligned and not alike:
            raise ValueError(
                f"aligned=True needs items of one shape: {tuple(sides[0].leaves[0].shape[1:])} and "
                f"{tuple(sides[1].leaves[0].shape[1:])}"
            )
        return alike and all(leaf.dim() <= 3 for leaf in sides[0].leaves) if self.aligned is None else self.aligned


def _not_empty(references: Any) -> Any:
    if not isinstance(references, Tensor) or len(references):
        return references
    raise ValueError(
        f"the pool of references is empty, shape {tuple(references.shape)}: an invariance is learned from unlabelled "
        "references"
    )


def _pool(sides: tuple[Side, Side], aligned: bool, given: Side | None) -> Leaves:
    """The rows that replacement values of the query are drawn from."""
    query, reference = (masked_leaves(one) for one in sides)
    wanted = [leaf.shape[1:] for leaf in query]
    if given is not None:
        if [leaf.shape[1:] for leaf in given.leaves] != wanted:
            raise ValueError(
                f"the pool holds items of shape {tuple(given.leaves[0].shape[1:])}, the queries are {tuple(wanted[0])}"
            )
        return masked_leaves(given)
    return reference if [leaf.shape[1:] for leaf in reference] == wanted else query
