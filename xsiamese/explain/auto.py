"""The explainer that the scoreboard chose for a kind of input, and why."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from typing import Any, Literal, get_args

from torch import nn

from xsiamese.branches.layers import NoLayerError
from xsiamese.branches.probe import ATTENTION
from xsiamese.door.arguments import shown
from xsiamese.explain.attribution import PairAttribution
from xsiamese.explain.catalogue import explainer
from xsiamese.explain.tried import takes_ids, takes_rows, tried
from xsiamese.kinds.catalogue import kind as kind_named
from xsiamese.kinds.pool import Pool
from xsiamese.model.pair import PairModel, SiameseModel
from xsiamese.model.wrapped import pair_model
from xsiamese.result.explanation import PairExplanation

Budget = Literal["fast", "normal", "thorough"]

ATTENDED = "image, by attention"  # of a model that takes images as tokens

# what a layer of a model shows of its input, in the order in which they are asked
_BUILT_OF: tuple[tuple[str, tuple[type[nn.Module], ...]], ...] = (
    ("text", (nn.Embedding, nn.EmbeddingBag)),
    ("volume", (nn.Conv3d,)),
    ("image", (nn.Conv2d,)),
    ("series", (nn.Conv1d, nn.RNNBase)),
    ("row", (nn.Linear,)),
)


@dataclass(frozen=True)
class Auto:
    """An explainer with the options that were chosen for it.

    Attributes:
        explainer: the explainer, with its model.
        kind: of input that it was chosen for.
        budget: "fast", "normal" or "thorough".
        reason: why it was chosen; results keep it as ``parameters["chosen"]``.
        options: of its :meth:`explain`.
    """

    explainer: PairAttribution
    kind: str
    budget: Budget
    reason: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def explain(self, *inputs: Any, **options: Any) -> PairExplanation:
        """What the explainer's own ``explain`` gives; options that are given go before those that were chosen."""
        try:
            found = self.explainer.explain(*inputs, **{**self.options, **options})
        except NoLayerError:
            return self._of_no_layer().explain(*inputs, **options)
        return replace(found, parameters={**found.parameters, "chosen": str(self)})

    def attribute(self, *inputs: Any, **options: Any) -> Any:
        """The two maps: the explainer's own ``attribute`` with the options that were chosen."""
        try:
            return self.explainer.attribute(*inputs, **{**self.options, **options})
        except NoLayerError:
            return self._of_no_layer().attribute(*inputs, **options)

    def _of_no_layer(self) -> Auto:
        """What explains a model of which no layer has the places of its inputs, which its layers alone do not show."""
        needs = type(self.explainer).__name__
        reason = f"part by part: no layer of the model has the places of these inputs, which {needs} needs"
        return Auto(explainer("PairOcclusion")(self.explainer.model), self.kind, self.budget, reason)

    def __str__(self) -> str:
        return f"{type(self.explainer).__name__} for {self.kind} input, budget {self.budget}: {self.reason}"


def auto(
    model: Callable[..., Any],
    budget: Budget = "normal",
    *,
    kind: str | None = None,
    layer: Any = None,
    items: Any = None,
    **settings: Any,
) -> Auto:
    """The explainer that was best of the scoreboard on the kind of input that a model takes.

    The choices are made by ``tools/choose_defaults.py`` from ``docs/measurements/scoreboard.json``, and for images that
    a model with attention takes as tokens from ``docs/measurements/tokens.json``; where these do not decide, a rule
    does, and the reason says so.

    Args:
        model: of two inputs.
        budget: "fast" is one pass, "normal" about a second on a small network, "thorough" whatever was best.
        kind: of the inputs: "image", "row", "series", "volume", "text" or "graph"; read off the model's layers if left
            out. Two encoders of two kinds are each explained as their own.
        layer: the layer to explain on, for a method that has one.
        items: real rows of a table, shape (items, columns), to start from: what finds the truth of rows best, at
            whatever budget, see :class:`~xsiamese.Pool`. Of rows only; left out, a model that knows rows as it was
            trained on (``model.typical``) starts from these.
        **settings: further arguments of the explainer, as ``higher_is_closer``.

    Raises:
        ValueError: if the budget or the kind is unknown, the layers do not show the kind, or there are ``items`` of
            another kind.

    Example:
        >>> from xsiamese import auto
        >>> from xsiamese.data import fashion_pair
        >>> from xsiamese.zoo import shipped
        >>> chosen = auto(shipped("fashion").model, "fast")
        >>> chosen.kind, chosen.explain(fashion_pair()).parameters["chosen"] == str(chosen)
        ('image', True)
    """
    if budget not in get_args(Budget):
        raise ValueError(f"budget={shown(budget)}: {', '.join(map(repr, get_args(Budget)))} is needed")
    made = {key: settings.pop(key) for key in ("comparison", "higher_is_closer") if key in settings}
    pair = pair_model(model, **made)
    kinds = kinds_of(pair) if kind is None else (kind_named(kind).name,)
    if len(kinds) > 1 and items is None:
        return _of_two_kinds(pair, kinds, budget, layer, settings)
    kind = kinds[0]
    choices = table().get(kind, table()["tensor"])
    if items is not None and "items" not in choices:
        raise ValueError(
            f"items= are rows to start from, and this model takes {kind} inputs: leave it out, or say kind='row'"
        )
    start = Pool(items) if items is not None else "typical" if pair.typical is not None and kind == "row" else None
    if kind == "image" and _attends(pair):
        choices = table()[ATTENDED]
    row = choices[budget if start is None else "items"]
    cls, reason, options = explainer(row["method"]), row["reason"], dict(row.get("options", {}))
    if start is not None:
        options["baselines"] = start
    # a cross-encoder reads both texts at every layer, and there is no cheaper way to them than asking again
    gridded = kind != "graph" and cls.needs_layer and (budget != "fast" or kind == "text")
    if (cls.fitted or gridded) and not isinstance(pair, SiameseModel):
        # its layers may see both inputs, and masks of a times masks of b are hundreds of thousands of questions
        cls, options = explainer("PairOcclusion"), {}
        reason = "part by part: a model that takes both inputs at once may have no layer or embedding of either"
    elif kind == "series" and cls.needs_layer and layer is None and _recurrent(pair):
        cls, options = explainer("PairInputXGradient" if budget == "fast" else "PairOcclusion"), {}
        reason = "of the inputs: a recurrent encoder that hands on its last state has no layer of times"
    elif start is None and layer is None and kind in ("row", "text"):
        why = _unfit(pair, kind, cls)
        if why is not None:
            cls, reason, options = explainer("PairFeatureAblation"), why, {}
    if row.get("detach_norms") and cls.uses_gradients and hasattr(getattr(pair, "comparison", None), "detach_norms"):
        settings, reason = {"detach_norms": True, **settings}, f"{reason}; norms detached"
    chosen = (layer,) if cls.needs_layer else ()
    return Auto(cls(pair, *chosen, **settings), kind, budget, reason, options)


def _of_two_kinds(
    pair: PairModel, kinds: tuple[str, ...], budget: Budget, layer: Any, settings: Mapping[str, Any]
) -> Auto:
    """What explains each side as its own kind.

    Raises:
        ValueError: if one side is a graph.
    """
    if "graph" in kinds:
        raise ValueError(f"a is {kinds[0]} and b is {kinds[1]}, for which no choice was measured: name a method")
    if budget == "fast":
        cls, reason = (
            explainer("PairOcclusion"),
            "part by part, each side as its own kind: no one pass was right of both",
        )
    else:
        cls, reason = (
            explainer("PairRISE"),
            "by masks, each side as its own kind: best of small towers of images and words",
        )
    if layer is not None:
        warnings.warn(f"{cls.__name__} explains no layer: layer= changes nothing", stacklevel=3)
    return Auto(cls(pair, **settings), " and ".join(kinds), budget, reason)


def _unfit(pair: PairModel, kind: str, cls: type[PairAttribution]) -> str | None:
    """Why a method that gives shares along a path, or explains the vectors of tokens, is none for a model; None where
    it is.
    """
    found = tried(pair, kind, cls) if isinstance(pair, SiameseModel) else None
    by = "column by column" if kind == "row" else "token by token"
    if found is None or (found.works and not found.at_nothing):
        return None
    if found.at_nothing:
        return f"{by}: the embedding of nothing is zero, where a cosine has no value, and no path from there has shares"
    return f"{by}: no layer of the model gives each token a place"


def _attends(model: nn.Module) -> bool:
    """Whether a model has attention, so that it takes an image as tokens, each of which it may read through a norm."""
    return any(ATTENTION.search(type(module).__name__) for module in model.modules())


def _recurrent(model: PairModel) -> bool:
    layers = list(model.modules()) if isinstance(model, nn.Module) else []
    return any(isinstance(layer, nn.RNNBase) for layer in layers) and not any(
        isinstance(layer, nn.Conv1d) for layer in layers
    )


@cache
def table() -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    """The choices: by kind of input and budget, or "items" where real ones are given, the method, its options, and the
    reason.
    """
    text = files("xsiamese.explain").joinpath("defaults.json").read_text(encoding="utf-8")
    found: dict[str, dict[str, dict[str, Any]]] = json.loads(text)
    return found


def kinds_of(model: PairModel) -> tuple[str, ...]:
    """The kind of input that a model takes, or of a and of b where its two encoders take two.

    Raises:
        ValueError: if its layers do not show it.
    """
    first, second = model.encoders if isinstance(model, SiameseModel) else (model, model)
    if first is second:
        return (_kind_of(model, first, 0),)
    return tuple(dict.fromkeys(_kind_of(model, one, side) for side, one in enumerate((first, second))))


def _kind_of(model: PairModel, encoder: nn.Module, side: int) -> str:
    """The kind that the layers of an encoder show; whether it takes ids of tokens is tried where they do not."""
    layers = list(encoder.modules())
    if any(hasattr(layer, "propagate") for layer in layers):  # torch_geometric's, which need not be installed
        return "graph"
    shown = [kind for kind, types in _BUILT_OF if any(isinstance(layer, types) for layer in layers)]
    if model.modality != "text":
        # an image model may have a table of positions, and one of ids have none, or one that is no layer
        if shown[:1] == ["text"] and {"image", "volume"} & {*shown} and not takes_ids(model, side):
            shown = shown[1:]
        elif shown[:1] in ([], ["row"]) and takes_ids(model, side) and not takes_rows(model, side):
            shown = ["text"]
    if not shown:
        raise ValueError("the model's layers do not show what it takes: give kind=, as kind='image'")
    return shown[0]


def check_explainer(value: object, *, choices: bool = False) -> None:
    """Refuses what is no explainer.

    Args:
        value: what was given as one.
        choices: whether a choice of :func:`auto` will do.

    Raises:
        TypeError: for a class, a model, a name or anything else, with what is needed.
    """
    if isinstance(value, PairAttribution) or (choices and isinstance(value, Auto)):
        return
    if isinstance(value, Auto):
        raise TypeError("auto(...) is a choice: give its .explainer, and its .options as options")
    if isinstance(value, type) and issubclass(value, PairAttribution):
        raise TypeError(f"{value.__name__} is a class: make an explainer of it with a model, {value.__name__}(model)")
    raise TypeError(f"{shown(value)} is no explainer: one is needed, such as PairSaliency(model)")
