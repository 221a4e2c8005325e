"""The robust explainer: masks of a pair that are faithful and simple, and respect an invariance."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from tqdm.auto import tqdm

from xsiamese.author import Comparison, Found, PairAttribution, PairBatch, PairExplanation, join
from xsiamese_invariance.descent import Descent
from xsiamese_invariance.diagnostics import Convergence
from xsiamese_invariance.divergence import Divergence
from xsiamese_invariance.explanation import RobustExplanation
from xsiamese_invariance.invariance import Invariance
from xsiamese_invariance.learner import InvarianceLearner
from xsiamese_invariance.local import Coupling, Interruptible
from xsiamese_invariance.options import local_of
from xsiamese_invariance.replacement import Kind


class RobustPairExplainer(PairAttribution):
    r"""Masks of both inputs that keep the score, are simple, and respect an invariance.

    The masks :math:`m = \sigma(\theta)` of each pair minimise the divergence of the score with features replaced from
    the pair's own, plus the masks' price, held to an invariance M in one of three ways: "ball" keeps the divergence of
    their profiles below ``eps``, "order" keeps the order around the ``top`` units (both by gradient descent-ascent),
    "kl" pays ``beta`` for the divergence (by stochastic gradient descent). "none" is the same without an invariance.
    All pairs are optimised at once. After Chen et al. 2021, of which only the framework was available: this is a
    reconstruction.

    A map is a relevance in [0, 1] without a sign. It sums to nothing in particular. What is left of the score under the
    masks is the column ``kept``, and a warning where it is far from the score. A mask that keeps the score of a pair
    cannot tell which of two equal motifs is the shared one.

    Args:
        model, layer, comparison, higher_is_closer, layout: see :class:`~xsiamese.PairAttribution`.
        coupling: "ball", "order", "kl" or "none".

    Example:
        >>> from xsiamese import InvarianceLearner, RobustPairExplainer, SiameseModel
        >>> generator = torch.Generator().manual_seed(0)
        >>> model = SiameseModel(torch.nn.Linear(3, 2, bias=False), "dot")
        >>> model.encoder.weight.data = torch.tensor([[2.0, 0, 0], [0, 2, 0]])  # the third feature is not used
        >>> pool, query, reference = torch.randn(64, 3, generator=generator), torch.ones(1, 3), torch.ones(1, 3)
        >>> invariance = InvarianceLearner(model, steps=300).fit(query, pool)
        >>> explainer = RobustPairExplainer(model, coupling="ball")
        >>> mask_q, mask_r = explainer.attribute((query, reference), invariance=invariance)
        >>> mask_q.shape, mask_q.argmin().item()
        (torch.Size([1, 3]), 2)
    """

    name = "robust"
    formula = (
        r"\min_m\; \mathbb{E}_z\, KL\big(f(q, r) \,\|\, f(q[m], r[m])\big) + \Omega(m) \;\text{s.t.}\; "
        r"KL(p_M \,\|\, p_m) \le \epsilon"
    )
    reference = ("chen2021siamese",)
    modalities: ClassVar[frozenset[str]] = frozenset({"image", "row", "series", "volume", "text", "graph"})
    graph_parts: ClassVar[tuple[str, ...]] = ("nodes", "edges")
    result: ClassVar[type[PairExplanation]] = RobustExplanation
    files: ClassVar[Mapping[str, str]] = {
        "pool": "a table whose rows say what of A counts whatever it is compared with; A and B are left out of it"
    }
    takes_baselines: ClassVar[bool] = False
    differentiable: ClassVar[bool] = False
    stochastic = common_draws = trims = True
    shows = "relevance"

    def __init__(
        self,
        model: Callable[..., Any],
        layer: Any = None,
        *,
        coupling: Coupling = "ball",
        comparison: str | Comparison | Callable[[Tensor, Tensor], Tensor] | None = None,
        higher_is_closer: bool | None = None,
        layout: Any = None,
    ) -> None:
        super().__init__(model, layer, comparison=comparison, higher_is_closer=higher_is_closer, layout=layout)
        self.coupling = coupling

    def attribute(self, inputs: Any, target: Any = None, *, return_convergence: bool = False, **options: Any) -> Any:
        """The two masks of each pair.

        Args:
            inputs, target: see :meth:`PairAttribution.attribute <xsiamese.PairAttribution.attribute>`.
            return_convergence: returns also a :class:`~xsiamese_invariance.diagnostics.Convergence`, as
                ``explain(...).convergence`` does. Ctrl-C then ends with the best masks so far.
            **options: the arguments that all explainers share, and those of :meth:`compute`.
        """
        if not return_convergence:
            return super().attribute(inputs, target, **options)
        found = self.explain(inputs, target, keep_on_interrupt=True, **options)
        return found.maps, found.convergence

    def explain(
        self,
        inputs: Any,
        target: Any = None,
        *,
        return_convergence: bool = True,
        keep_on_interrupt: bool = False,
        **options: Any,
    ) -> RobustExplanation:
        """The masks with all that belongs to them; the convergence always does, as ``explanation.convergence``."""
        if keep_on_interrupt:  # one for all parts of the batch: those after Ctrl-C are not begun
            options["keep_on_interrupt"] = Interruptible()
        found = super().explain(inputs, target, **options)
        assert isinstance(found, RobustExplanation)
        return found

    def from_files(
        self, given: Mapping[str, str], read: Callable[[str], Any], inputs: tuple[Any, Any], seed: int
    ) -> dict[str, Any]:
        """Units of a table's columns, the values of a category as one, and the invariance of A that a pool says."""
        columns = getattr(read, "columns", None)  # a table's reader knows them
        if columns is None:
            if given:
                raise ValueError("--pool is for rows of a table: leave it out")
            return {}
        units = columns.column_of
        if "pool" not in given:
            return {"units": units}
        pool = read.pool(Path(given["pool"]), inputs)  # type: ignore[attr-defined]
        learned = InvarianceLearner(self.model, units=units).fit(inputs[0], pool, seed=seed)
        return {"units": units, "invariance": learned}

    def compute(
        self,
        batch: PairBatch,
        *,
        invariance: Invariance | tuple[Invariance | None, Invariance | None] | None = None,
        units: Any = None,
        pool: Any = None,
        masks: Literal["separate", "shared"] = "separate",
        replacement: Kind = "mixed",
        draws: int = 128,
        eps: float = 0.05,
        beta: float = 0.2,
        xi: float = 0.05,
        top: int = 4,
        size: float = 0.02,
        entropy: float = 0.01,
        divergence: Divergence = "auto",
        steps: int | None = None,
        descent: Descent | None = None,
        keep_on_interrupt: bool | Interruptible = False,
    ) -> Found:
        """The masks.

        Args:
            batch: the pairs.
            invariance: what a's mask is held to, or a pair (for a's, for b's), either of which may be None. One row
                holds all pairs, else a row a pair.
            units: which unit each number belongs to, see :func:`~xsiamese_invariance.units.units_of`; one for both
                sides or a pair. None takes the invariance's. Units of graphs are their nodes and undirected edges.
            pool: items to draw replacements from, for both sides or a pair. None takes the invariance's, else standard
                normal numbers.
            masks: "separate" ones of a and of b, or one "shared" by both, for items whose units mean the same.
            replacement: "mixed", "shared", "independent" or "zeros"; see
                :class:`~xsiamese_invariance.replacement.Replacement`.
            draws: how many draws are averaged; the same for all pairs. "kl" draws 8 afresh in every step instead.
            eps: the ball's radius, in nats. At most a share :math:`\\sqrt{\\epsilon / 2}` of a profile's mass is
                elsewhere than in the invariance's.
            beta: the price of a nat of divergence from the invariance, for "kl".
            xi: the margin of the order.
            top: how many units the order is about.
            size: the price of a unit, in nats. Of many units a nat of divergence counts more, so that at the default
                price all of them cost no more than half of what the empty mask loses: see
                :meth:`~xsiamese_invariance.problem.MaskProblem.balanced`.
            entropy: the price of a nat of indecision.
            divergence: see :class:`~xsiamese_invariance.learner.InvarianceLearner`.
            steps: the most steps; None takes those of ``descent``.
            descent: step sizes and tolerances, :class:`~xsiamese_invariance.descent.Descent`.
            keep_on_interrupt: whether Ctrl-C ends with the best masks so far, of the status "interrupted".
        """
        if any(batch.counted):  # what is given is of all places, so that padding was not left out before
            warnings.warn(
                "padding takes part in masks with invariance=, units= or pool=, which are of all places: a mask is not "
                "the one that its item has alone; give items of one length",
                stacklevel=6,
            )
        local = local_of(
            batch,
            self.coupling,
            invariance,
            units,
            pool=pool,
            shared=masks == "shared",
            replacement=replacement,
            draws=draws,
            prices=(size, entropy),
            divergence=divergence,
            held=(eps, beta, xi, top),
            steps=steps,
            rule=descent,
        )
        chunk = local.pairs_at_once(batch)
        parts = tqdm(
            batch.split(chunk), total=-(-batch.pairs // chunk), desc=self.name, disable=not batch.show_progress
        )
        record: list[Convergence] = []
        keep = Interruptible() if keep_on_interrupt is True else keep_on_interrupt or None
        found = [(part, *local.explained(part, record, keep)) for part in parts]
        maps = [part.maps(masks) for part, masks, _ in found]
        told = [one for part in record for one in part.pairs()]
        kept = torch.cat([kept for _, _, kept in found])
        return Found(join(maps, create_graph=False), columns={"convergence": told, "kept": kept})
