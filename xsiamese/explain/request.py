"""What a user asks of an explainer: checked before any work is done, then made into a batch of pairs."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any, Literal, Protocol, TypeVar

import torch
from torch import Tensor, nn

from xsiamese.branches.intact import beside, outside_inference
from xsiamese.door.arguments import check
from xsiamese.explain.annotated import check_options
from xsiamese.explain.traits import Traits
from xsiamese.kinds.catalogue import names
from xsiamese.kinds.graphs.gates import GateMisfit
from xsiamese.kinds.inputs import (
    Kinds,
    baseline_leaves,
    how_given,
    pooled,
    two_sides,
    with_background,
    with_typical,
    without_missing,
)
from xsiamese.kinds.side import SIDES, Side, Wrt, ordinary
from xsiamese.model.pair import PairModel
from xsiamese.pairs.batch import PairBatch
from xsiamese.pairs.fastest import fastest_split, fitting
from xsiamese.pairs.objective import Target, check_fit, dtype_of
from xsiamese.pairs.refused import check_target, refuse_inside
from xsiamese.pairs.split import Split
from xsiamese.pairs.usage import Plan, find_plan
from xsiamese.result.matrices import MatrixExplanation

MOVES = {"a": "first", "b": "second"}
# methods that serve every model: they remove parts of the inputs and ask again
_GENERAL = ("PairFeatureAblation", "PairShapleyValueSampling", "PairGraphOcclusion", "PairLeaveOneOut")
BatchSize = int | Literal["auto"] | None
T = TypeVar("T")


class Explaining(Protocol):
    """What a request asks of an explainer: :class:`~xsiamese.PairAttribution` is one."""

    @property
    def model(self) -> PairModel: ...
    @property
    def traits(self) -> Traits: ...
    @property
    def takes_baselines(self) -> bool: ...
    @classmethod
    def options(cls) -> Mapping[str, inspect.Parameter]: ...
    @classmethod
    def needs_motion(cls) -> bool: ...
    def check(self, options: Mapping[str, Any], *, explaining: bool) -> None: ...
    @property
    def attribute(self) -> Any: ...


@dataclass(frozen=True)
class Request:
    """The arguments of :meth:`PairAttribution.attribute <xsiamese.PairAttribution.attribute>`, which says what they
    mean.

    Attributes:
        plans: what the explainer already knows of how its model uses its modules.
        moving: whether anything is to be explained, not only scored.
        size: the most pairs in one forward pass.
        ids: two names for each pair.
        explaining: whether all that can be said is asked for, and not the maps alone.
    """

    inputs: Any
    target: Target = None
    baselines: Any = None
    extra: Any = None
    wrt: Wrt = "both"
    parts: Sequence[str] | None = None
    create_graph: bool = False
    show_progress: bool = False
    seed: int | None = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    plans: dict[Any, Plan] = field(default_factory=dict)
    moving: bool = True
    size: BatchSize = None
    kind: Kinds = None
    ids: Sequence[tuple[str, str]] | None = None
    explaining: bool = False

    def batch(self, explainer: Explaining) -> PairBatch:
        """All pairs as one batch.

        Raises:
            TypeError: if the inputs are not two of a kind that the explainer explains, or an option is unknown.
            ValueError: if a shape, a dtype or a value does not fit.
        """
        refuse_inside()
        with outside_inference(), beside(explainer.model):
            return self._batch(explainer)

    def _batch(self, explainer: Explaining) -> PairBatch:
        self._check_options(explainer)
        if self.target is not None and not explainer.traits.takes_target:
            raise ValueError(f"{type(explainer).__name__} is about the model's decision: leave out target")
        explainer.check(self.options, explaining=self.explaining)
        if self.baselines is not None and not explainer.takes_baselines:
            warnings.warn(
                f"{type(explainer).__name__} starts from no baselines: baselines= changes nothing", stacklevel=2
            )
        model = explainer.model
        check_target(model, self.target)
        if how := how_given(self.inputs):
            model = model.called_with(how)
        parts = (self.parts,) if isinstance(self.parts, str) else self.parts
        a, b = two_sides(
            self.inputs,
            parts,
            explainer.traits.graph_parts if self.moving else ("nodes",),
            self.moving and not explainer.traits.removes,
            self.kind,
        )
        for side, name in zip((a, b), SIDES, strict=True):
            _check_kind(explainer, side, name, side.parts if self.moving else ())
        check_fit(model, (a, b))
        given = with_typical(with_background(self.baselines, a, b, model.background), a, b, model.typical)
        a, b, baselines = without_missing(given, *(side.suited(dtype_of(model)) for side in (a, b)))
        if isinstance(self.target, (Tensor, list)) and len(self.target) != a.pairs:
            raise ValueError(
                f"target holds {len(self.target)} indices for {a.pairs} pairs: give one each, or a single int"
            )
        if self.ids is not None and len(self.ids) != a.pairs:
            raise ValueError(f"ids= holds {len(self.ids)} for {a.pairs} pairs: two names for each pair are needed")
        extra = () if self.extra is None else self.extra if isinstance(self.extra, tuple) else (self.extra,)
        several, traits = pooled(baselines), explainer.traits
        if several and not (traits.apart or traits.distribution_baselines):
            raise ValueError(
                f"{type(explainer).__name__} starts from one baseline: a Pool is averaged over by methods of a path or "
                "a game, such as PairIntegratedGradients and PairShapleyValueSampling"
            )
        batch = PairBatch(
            model=model,
            a=a,
            b=b,
            baselines=baseline_leaves(baselines, a, b, distribution=traits.distribution_baselines),
            extra=tuple(map(ordinary, extra)),
            target=self.target,
            wrt=self.wrt,
            create_graph=self.create_graph,
            show_progress=self.show_progress,
            seed=self.seed,
            plans=self.plans,
            distribution=several or traits.distribution_baselines,
            apart=traits.apart and not self.options.get("joint"),
        )
        for side, name in zip(batch.sides, SIDES, strict=True):
            # a matrix says what the two sides do together, so that a side that is held has a path as well
            on_path = self.wrt in ("both", MOVES[name]) or issubclass(traits.result, MatrixExplanation)
            of_layer = traits.needs_layer and not explainer.takes_baselines
            moves = explainer.needs_motion() or (side.ragged and not (of_layer or traits.removes))
            if self.moving and side.still and moves and on_path:
                raise (ValueError if side.ragged else TypeError)(_still(explainer, batch, side, name))
        return batch

    def on(self, device: torch.device) -> Request:
        """The same with the tensors among the options on a device."""

        def moved(value: Any) -> Any:
            if isinstance(value, Tensor):
                return value.to(device)
            return tuple(map(moved, value)) if type(value) is tuple else value

        return replace(self, options={name: moved(value) for name, value in self.options.items()})

    def names(self, ids: Iterable[tuple[str, str]] | None) -> tuple[tuple[str, str], ...] | None:
        """Two names for each pair, as an explanation keeps them."""
        given = [] if ids is None else list(ids)
        for one in given:
            if isinstance(one, str) or not isinstance(one, Collection) or len(one) != 2:  # "ab" is no two names
                raise ValueError(f"ids= holds {one!r}: two names for each pair, (of a, of b), are needed")
        return tuple((str(i), str(j)) for i, j in given) or None

    def told(self) -> dict[str, Any]:
        """What the user said, for the record: all that is not left as it is by itself, and the options."""
        shared = {
            "baselines": (self.baselines, None),
            "additional_forward_args": (self.extra, None),
            "wrt": (self.wrt, "both"),
            "parts": (self.parts, None),
            "kind": (self.kind, None),
            "internal_batch_size": (self.size, None),
        }
        return {name: said for name, (said, usual) in shared.items() if said is not usual} | dict(self.options)

    def _check_options(self, explainer: Explaining) -> None:
        known = explainer.options()
        for option in self.options:
            if option not in known:
                own = {*known, *inspect.signature(explainer.attribute).parameters} - {option}
                before = {*inspect.signature(type(explainer).__init__).parameters} - own - {"self", "model"}
                near = option if option in before else next(iter(get_close_matches(option, sorted(own | before))), None)
                hint = f"did you mean {near!r}?" if near else f"its own options are {', '.join(known) or 'none'}"
                if near in before:
                    hint = f"{'' if near == option else f'{hint} '}it is said before, "
                    hint += f"{type(explainer).__name__}(model, {near}=...)"
                raise TypeError(f"{type(explainer).__name__}.attribute has no option {option!r}; {hint}")
        check_options(type(explainer), self.options)
        told = {"show_progress": self.show_progress, "create_graph": self.create_graph, "seed": self.seed}
        check(Request, told)
        if self.wrt not in ("both", "first", "second"):
            raise ValueError(f"wrt={self.wrt!r}: 'both', 'first' or 'second' is needed")
        if self.create_graph and not (explainer.traits.uses_gradients and explainer.traits.differentiable):
            raise ValueError(f"{type(explainer).__name__} gives no differentiable maps: leave out create_graph")


def _check_kind(explainer: Explaining, side: Side, name: str, parts: Sequence[str]) -> None:
    """Refuses a kind of input, or parts of graphs, that the explainer does not explain, and says which do."""
    this, kind, known = type(explainer).__name__, side.kind, names(explainer.traits.modalities)
    fits = kind in known or (kind == "tensor" and "row" in known)  # rows are numbers without any order, as it is
    unknown = [part for part in parts if part not in explainer.traits.known_parts]
    if fits and not unknown:
        return
    from xsiamese.door.registry import explainers

    able = {cls: one for cls, one in explainers().items() if kind in names(one.modalities)}
    if not fits:
        raise TypeError(
            f"{this} does not explain {_a(kind)}, and input {name} is one; {_some(list(able), kind)}"
            + ("" if side.ragged else f"; if it is no {kind}, say kind=, one of {', '.join(sorted(known))}")
        )
    these = [cls for cls, one in able.items() if set(unknown) <= set(one.known_parts)]
    raise ValueError(
        f"{this} explains {' and '.join(explainer.traits.known_parts)} of {_a(kind)}, not {' and '.join(unknown)}; "
        f"{_some(these, kind)}"
    )


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def _some(able: Sequence[str], kind: str) -> str:
    """Explainers that do: those that any model suits, else the first three, and where to find the rest."""
    shown = [one for one in _GENERAL if one in able] or [*able[:3]]
    more = len(able) - len(shown)
    rest = f" and {more} more (xsiamese explainers --kind {kind})" if more else ""
    return f"these do: {', '.join(shown)}{rest}" if shown else "no explainer that is installed does"


def _still(explainer: Explaining, batch: PairBatch, side: Side, name: str) -> str:
    """What is said of whole numbers to a method that must move them."""
    this, dtype = type(explainer).__name__, str(next(iter(side.own)).dtype).removeprefix("torch.")
    if side.ragged:
        edges = "parts=('edges',), or the nodes" if "edges" in explainer.traits.known_parts else "its nodes"
        matrix = issubclass(explainer.traits.result, MatrixExplanation)
        by_layer = "PairActivationDecomposition" if matrix else "PairGradCAM"
        return (
            f"x of input {name} is {side.own[0].dtype}: only floating point values can move, and {this} moves what it "
            f"explains; explain {edges} by a layer ({by_layer}) or by removal (PairLeaveOneOut)"
        )
    said = f"{this} moves what it explains, and input {name} is {dtype} ({side.kind}): whole numbers cannot move"
    removing = "use a method that removes and asks again, such as PairFeatureAblation"
    if not any(isinstance(module, (nn.Embedding, nn.EmbeddingBag)) for module in batch.model.modules()):
        # ids index a table or a word of one-hot ones, whatever the module: as floats they would be refused there
        return f"{said}; {removing}" if side.kind == "text" else f"{said}; give {name}.float(), or {removing}"
    try:
        plan = find_plan(batch, None)
    except ValueError:  # no layer is of one text: a cross-encoder's are of both
        return f"{said}; {removing}"
    if not isinstance(plan.layers[0]["ab".index(name)], nn.Embedding):
        return f"{said}; {removing}"
    names = tuple(plan.names[0].split(" / "))
    matrix = issubclass(explainer.traits.result, MatrixExplanation)
    held = f", hold {name} with wrt={MOVES['ba'['ab'.index(name)]]!r}" if len(names) == 2 and not matrix else ""
    method = "PairLayerInteraction" if matrix else "PairLayerIntegratedGradients"
    layer = names if len(names) == 2 else names[0]
    return (
        f"{said}; explain the layer that makes vectors of them, {method}(model, layer={layer!r}){held}, or {removing}"
    )


def chosen_split(batch: PairBatch, size: BatchSize) -> Split:
    """How a batch is cut and laid out, from what the user says.

    Raises:
        ValueError: if that is no number of pairs.
    """
    if size == "auto":
        return fastest_split(batch)
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
        raise ValueError(f"internal_batch_size={size!r}: a positive number of pairs, 'auto' or None is needed")
    return Split(size)


def fitted(batch: PairBatch, size: BatchSize, run: Callable[[Split], T]) -> T:
    """What a run gives of the batch, cut as the user says; "auto" takes less at once until it fits into memory.

    Raises:
        ValueError: see :func:`chosen_split`.
        torch.OutOfMemoryError: if it does not fit, with what to do.
    """
    split = chosen_split(batch, size)
    try:
        return fitting(batch, split, run) if size == "auto" else run(split)
    except torch.OutOfMemoryError as error:
        if size != "auto":
            error.add_note("internal_batch_size='auto' halves what goes through the model at once until it fits")
        raise


def without_edges(batch: PairBatch, misfit: GateMisfit) -> tuple[str, ...]:
    """What to explain instead where edges were to be explained and a layer sends its messages along others, with a
    warning.
    """
    warnings.warn(f"edges cannot be explained, and nodes are instead: {misfit}", stacklevel=4)
    asked = tuple(dict.fromkeys(part for side in (batch.a, batch.b) for part in side.parts))
    return ("nodes", *(part for part in asked if part not in ("nodes", "edges")))


def described(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as JSON can hold them."""

    def plain(value: Any) -> Any:
        if isinstance(value, (str, int, float, bool, type(None))):
            return value
        if isinstance(value, Tensor):
            return f"tensor{tuple(value.shape)}"
        if isinstance(value, (tuple, list)):
            return [plain(v) for v in value]
        return getattr(value, "__name__", None) or repr(value)

    return {key: plain(value) for key, value in parameters.items()}


def target_name(target: Any) -> str:
    """What an explanation calls its target."""
    if target is None:
        return "closeness"
    return str(getattr(target, "__name__", None) or described({"t": target})["t"])
