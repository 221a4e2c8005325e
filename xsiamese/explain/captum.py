"""Any captum algorithm as a :class:`~xsiamese.explain.attribution.PairAttribution`, right on shared encoders.

This is the only module that knows captum's insides.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar

import torch
from captum._utils.common import _run_forward
from captum.attr import LRP, GradientAttribution
from torch import Tensor, nn

from xsiamese.branches.intact import reseed
from xsiamese.explain.attribution import PairAttribution
from xsiamese.explain.maps import Maps
from xsiamese.explain.per_tensor import per_tensor, spread, total_of_groups
from xsiamese.kinds.side import Side
from xsiamese.model.precision import LOW
from xsiamese.pairs.batch import PairBatch

_OURS = {
    "self",
    "inputs",
    "baselines",
    "target",
    "additional_forward_args",
    "internal_batch_size",
    "perturbations_per_eval",
    "show_progress",
    "return_convergence_delta",
    "return_input_shape",
    "grad_kwargs",
    "kwargs",
    "verbose",
    "forward_func",
    "model",
    "layer",
    "device_ids",
}
_OF_LAYER = ("layer_mask", "layer_baselines")
_CHATTER = (
    r"(?s).*(Setting (forward|backward)|required_grads has been set|[Ii]nternal batch size|Multiple layers provided).*"
)
_DIFFERENTIATES = (
    "{} follows each layer, and the model calls some where their gradient does not come by, as where it takes a "
    "derivative inside its own forward pass: use PairIntegratedGradients, or a method that removes and asks again"
)
_ROWS = 16  # pairs in one pass of a perturbation method, where the user gives no number
# pairs of graphs in one pass of a path, where the user gives no number: all steps at once take three times as long on a
# CPU
_GRAPHS = 256


class Adapted(PairAttribution):
    """A captum algorithm on pairs. A subclass names the algorithm and says what it needs; its options are captum's, by
    captum's names.

    Attributes:
        algorithm: the captum class.
        hooks: whether it hooks the model's modules, so that the two branches must be untied.
        unique: whether it cannot bear any module that is called twice.
        both_layers: whether it takes the layers of both branches at once.
        input_level: for an algorithm with a layer whose maps are of the input.
        separable: whether the map of one side does not depend on the other side's moving: one part moves at a time.
    """

    algorithm: ClassVar[type[Any]]
    hooks: ClassVar[bool] = False
    unique: ClassVar[bool] = False
    both_layers: ClassVar[bool] = False
    input_level: ClassVar[bool] = False
    separable: ClassVar[bool] = False
    same_draws = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if "algorithm" in vars(cls):
            cls.takes_baselines = "baselines" in inspect.signature(cls.algorithm.attribute).parameters
        super().__init_subclass__(**kwargs)

    @classmethod
    def options(cls) -> dict[str, inspect.Parameter]:
        own = {**_parameters(cls.algorithm.__init__), **_parameters(cls.algorithm.attribute)}
        if "feature_mask" in own or cls.apart:
            own["joint"] = inspect.Parameter("joint", inspect.Parameter.KEYWORD_ONLY, default=False)
        return {name: p for name, p in own.items() if name not in _OURS}

    def compute(self, batch: PairBatch, **options: Any) -> Maps:
        if batch.wrt == "both" and not self._together(batch):
            first = self.compute(batch.one_sided("first"), **options)[0]
            if self.stochastic and batch.seed is not None:
                reseed(batch.seed)  # the same draws for both sides, else a map depends on which side an item stands
            return first, self.compute(batch.one_sided("second"), **options)[1]
        if batch.distribution and not self.distribution_baselines:
            mean: Maps = _mean([self.compute(one, **options) for one in batch.from_each_baseline()])
            return mean
        options = {name: value for name, value in options.items() if name != "joint" or batch.wrt == "both"}
        if self.needs_layer:
            try:
                return self._of_layers(batch, options)
            except ValueError:
                if not (batch.a.ragged or batch.b.ragged):
                    _refuse_loops(batch, self.layer)
                raise
        return batch.maps(self._of_inputs(batch, per_tensor(batch, options)))

    def _together(self, batch: PairBatch) -> bool:
        """Whether both sides move at once.

        Raises:
            ValueError: if they are asked to on the way from (b, a) to (a, b), which is its own mirror image.
        """
        if self.apart and not batch.apart and not self.separable and batch.swaps():
            raise ValueError(
                "joint=True from the partner: the way from (b, a) to (a, b) is its own mirror image, and the map of b "
                "is that of a with its sign turned, whatever the model: leave out joint"
            )
        return not batch.apart

    def _of_inputs(self, batch: PairBatch, options: Mapping[str, Any]) -> Sequence[Tensor]:
        objective: nn.Module = batch.objective
        if self.hooks:
            objective = self._views(batch, layered=False)[0]
        found: Sequence[Tensor] = self._run(batch, (objective,), options)
        return found

    def _of_layers(self, batch: PairBatch, options: Mapping[str, Any]) -> Maps:
        objective, layers = self._views(batch, True, bool(options.get("attribute_to_layer_input")))
        moving = batch.objective.moving
        found: list[list[Any]] = [[], []]
        for calls in layers:
            for side, values in enumerate(self._of_calls(batch, objective, calls, options)):
                if side in moving:
                    found[side].append(values[0] if self.input_level else self.of_calls(values))
        if self.input_level:
            return batch.maps([leaf for side in moving for leaf in found[side][0]])
        for side in {0, 1} - set(moving):
            found[side] = self.of_layers(*_held(batch, self.layer, side))
        return (found[0][0], found[1][0]) if len(layers) == 1 else (tuple(found[0]), tuple(found[1]))

    def _of_calls(
        self,
        batch: PairBatch,
        objective: nn.Module,
        calls: Sequence[tuple[nn.Module, nn.Module]],
        options: Mapping[str, Any],
    ) -> tuple[list[Any], list[Any]]:
        """The maps of a layer, for each side one of each of its calls."""
        moving = batch.objective.moving
        if self.input_level and len(calls) > 1:
            raise ValueError(
                f"{type(self).__name__} takes a layer that is called once a side, and this one is called {len(calls)} "
                "times"
            )
        if self.both_layers and (len(moving) == 2 or len(calls) > 1):  # all that move do so at once
            views = [pair[side] for pair in calls for side in moving]
            together = self._at_once(batch, objective, views, options)
            if together:
                sides = [[_single(value) for value in together[i :: len(moving)]] for i in range(len(moving))]
                return (sides[0], sides[-1])
        first, second = (
            [self._of_layer(batch, objective, pair[side], side, options) for pair in calls] if side in moving else []
            for side in (0, 1)
        )
        return first, second

    def _at_once(
        self, batch: PairBatch, objective: nn.Module, views: Sequence[nn.Module], options: Mapping[str, Any]
    ) -> Any:
        """The values of several views at once, or None if the score does not depend on all of them."""
        try:
            return self._run(batch, (objective, list(views)), options, layered=True)
        except RuntimeError as error:
            if _is_unused(error):
                return None
            raise

    def _of_layer(
        self, batch: PairBatch, objective: nn.Module, view: nn.Module, side: int, options: Mapping[str, Any]
    ) -> Any:
        try:
            value = self._run(batch, (objective, view), _for_side(options, side), layered=not self.input_level)
        except RuntimeError as error:
            if not _is_unused(error):
                raise
            if self.input_level:
                return [torch.zeros_like(leaf) for leaf in (batch.a, batch.b)[side].leaves]
            return _held(batch, self.layer, side)[0][0]
        if not self.input_level:
            return _single(value)
        first = len(batch.a.leaves)
        return [m for i, m in zip(batch.objective.moved_at, value, strict=True) if (i >= first) == bool(side)]

    def _views(
        self, batch: PairBatch, layered: bool, of_input: bool = False
    ) -> tuple[nn.Module, list[list[tuple[nn.Module, nn.Module]]]]:
        low = batch.leaves[0].dtype in LOW
        objective, layers = batch.untied(
            self.layer if layered else None,
            layered=layered,
            unique=self.unique,
            tie=not low,
            ports=not of_input,
            compared=self.unique and self.takes_baselines,
        )
        if low:
            objective.in_float32()
        if self.unique and (batch.a.still or batch.b.still):
            for module in objective.modules():  # hooks need a graph, and ids cannot begin one: their vectors do
                if isinstance(module, nn.Embedding):
                    module.register_forward_hook(_begin_graph)
        return objective, layers

    def _run(
        self, batch: PairBatch, subject: tuple[Any, ...], options: Mapping[str, Any], layered: bool = False
    ) -> Any:
        constructor, known = _parameters(self.algorithm.__init__), _parameters(self.algorithm.attribute)
        batch = batch.in_float32() if self.hooks else batch
        moved, baselines, arguments = batch.moved, batch.moved_baselines, batch.arguments
        if self.unique and not batch.create_graph:
            # DeepLIFT's hooks need a graph all the way, also through the side that is held
            moved = tuple(leaf.detach().requires_grad_() for leaf in moved)
            arguments = tuple(
                v.detach().requires_grad_() if isinstance(v, Tensor) and v.is_floating_point() else v for v in arguments
            )
        call = {k: v for k, v in options.items() if k in known}
        ours = {
            "baselines": baselines,
            "additional_forward_args": arguments or None,
            "internal_batch_size": _rows_at_once(batch),
            "perturbations_per_eval": 1 if self.across_pairs else max(1, (batch.rows or _ROWS) // batch.pairs),
            "show_progress": batch.show_progress and batch.pairs == 1,
            "grad_kwargs": {"create_graph": True} if batch.create_graph else None,
        }
        call.update({k: v for k, v in ours.items() if k in known})
        if "stdevs" in call:
            call["stdevs"] = spread(batch, call["stdevs"])
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", _CHATTER)
            method = self.algorithm(*subject, **{k: v for k, v in options.items() if k in constructor})
            if isinstance(method, GradientAttribution) and not layered:
                method.gradient_func = _gradient(batch)
            try:
                value = method.attribute(moved, **call)
            except RuntimeError as error:
                if "does not contain some of the input/output attributes" in str(error):
                    raise ValueError(_DIFFERENTIATES.format(type(self).__name__)) from error
                raise
        return value if isinstance(value, (tuple, list)) or layered else (value,)

    def total(self, maps: Maps, options: Mapping[str, Any], sides: tuple[Side, Side] | None = None) -> Tensor:
        grouped = total_of_groups(maps, options)
        return super().total(maps, options, sides) if grouped is None else grouped


def adapt(algorithm: type[Any], name: str | None = None, **declaration: Any) -> type[PairAttribution]:
    """A captum algorithm class as an explainer of pairs.

    Args:
        algorithm: the captum class.
        name: the name of the new class; "Pair" and the algorithm's own if left out.
        **declaration: class attributes of :class:`Adapted` and :class:`~xsiamese.explain.attribution.PairAttribution`.

    Raises:
        ValueError: if it is captum's LRP, which is not that of a pair's score.

    Example:
        >>> from captum.attr import InputXGradient
        >>> adapt(InputXGradient).__name__
        'PairInputXGradient'
    """
    if issubclass(algorithm, LRP):
        raise ValueError(
            f"captum's {algorithm.__name__} starts from the score times its gradient, which is no relevance of a "
            "comparison: take PairLRP or PairLayerLRP"
        )
    name = name or f"Pair{algorithm.__name__}"
    needs_layer = "layer" in inspect.signature(algorithm.__init__).parameters
    attributes = {
        "algorithm": algorithm,
        "name": algorithm.__name__,
        "needs_layer": needs_layer,
        "hooks": needs_layer,
        "__doc__": f"{algorithm.__name__} on pairs.",
    }
    return type(name, (Adapted,), {**attributes, "__module__": __name__, **declaration})


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(inspect.unwrap(function)).parameters)


def _mean(parts: Sequence[Any]) -> Any:
    """The mean of several pairs of maps, each tensors or nested tuples of them."""
    if isinstance(parts[0], Tensor):
        return torch.stack(list(parts)).mean(0)
    return type(parts[0])(_mean(column) for column in zip(*parts, strict=True))


def _gradient(batch: PairBatch) -> Callable[..., Sequence[Tensor]]:
    """captum's ``compute_gradients``, with zeros for an unused input, and a graph where one is asked for."""

    def gradient(
        forward_fn: Callable[..., Any], inputs: Any, target_ind: Any = None, additional_forward_args: Any = None
    ) -> Sequence[Tensor]:
        with torch.enable_grad():
            value = _run_forward(forward_fn, inputs, target_ind, additional_forward_args)
            return batch.differentiate(value, inputs)

    return gradient


def _held(batch: PairBatch, layer: Any, side: int) -> tuple[list[Tensor], list[int]]:
    """Zeros for each call of each layer on a side that is held, and how often each is called."""
    both = batch.one_sided("both")
    with both.record(layer) as recording, torch.no_grad():
        both.value()
    return [torch.zeros_like(pair[side]) for pair in recording.activations], recording.calls_a_side


def _refuse_loops(batch: PairBatch, layer: Any) -> None:
    """Says of a layer that is called for one item at a time that it is so, which captum's copies of pairs end at."""
    two = batch.one_sided("both").select(torch.zeros(2, dtype=torch.long, device=batch.leaves[0].device))
    calls: list[Tensor] = []
    with suppress(RuntimeError, ValueError):  # what else is wrong is said already
        with two.record(layer) as recording, torch.no_grad():
            two.value()
        calls = [one for pair in recording.activations for one in pair]
    if len(calls) > 2 and all(len(one) == 1 for one in calls):
        raise ValueError(
            "the model calls the layer for one item at a time, and captum's methods put a batch in its place: call it "
            "for all items at once, or explain the inputs, as PairIntegratedGradients and PairOcclusion do"
        )


def _rows_at_once(batch: PairBatch) -> int | None:
    """What captum takes for the number of pairs in a pass: rows of the first tensor, which for graphs are nodes or
    edges.
    """
    if not batch.a.ragged:
        return batch.rows
    return max(1, (batch.rows or _GRAPHS) // batch.pairs) * len(batch.moved[0])


def _begin_graph(module: nn.Module, args: Any, vectors: Tensor) -> Tensor:
    """What an embedding gives, as the leaf of a graph if it has none."""
    return vectors if vectors.requires_grad else vectors.detach().requires_grad_()


def _is_unused(error: RuntimeError) -> bool:
    """Whether autograd complains that the score does not depend on what is explained."""
    return "not have been used" in str(error) or "does not require grad" in str(error)


def _single(value: Any) -> Any:
    return (
        value[0]
        if isinstance(value, (tuple, list)) and len(value) == 1
        else tuple(value)
        if isinstance(value, list)
        else value
    )


def _for_side(options: Mapping[str, Any], side: int) -> dict[str, Any]:
    """Options of a layer that are given for each side, reduced to one side."""
    chosen = dict(options)
    for name in _OF_LAYER:
        value = chosen.get(name)
        if isinstance(value, (tuple, list)) and len(value) == 2:
            chosen[name] = value[side]
    return chosen
