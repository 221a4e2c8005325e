"""What an explainer says of itself: declared as class attributes, checked and frozen when the class is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, ClassVar, get_args, get_type_hints

from xsiamese.plot.shown import Shows
from xsiamese.result.explanation import PairExplanation


@dataclass(frozen=True)
class Traits:
    """The traits of an explainer, as ``cls.traits``.

    Attributes:
        name: the name on the command line and in :func:`xsiamese.explainers`.
        formula: what a map is, in LaTeX.
        reference: keys of the sources in the bibliography.
        result: the type of what :meth:`explain` gives, a view of its columns.
        modalities: the kinds of input that it explains, by name: "image", "row", "series", "volume", "text", "graph".
        moves_inputs: whether the numbers of an input must be able to move, as those of an image and unlike the ids of
            tokens; None where gradients of inputs, not of a layer, are taken.
        graph_parts: what of a graph it explains if the user does not say.
        known_parts: what of a graph it can explain.
        needs_layer: whether maps are of a layer's output rather than of the input.
        needs_threshold: whether its maps are about a decision, so that there are none without ``threshold=`` or a
            calibrated comparison.
        takes_target: whether something else than closeness can be explained.
        takes_baselines: whether its maps depend on the baselines; where they do not, ``baselines=`` is answered by a
            warning. What adapts a captum algorithm that has no such argument knows it by itself.
        uses_gradients: whether it differentiates the model.
        complete: whether the maps sum to the change of the value from the baselines to the inputs.
        returns_delta: whether it can say by how much they do not.
        differentiable: whether ``create_graph`` is supported.
        linear: whether the maps of a sum of two values are the sum of their maps, so that ``against=`` is exact.
        stochastic: whether it draws random numbers. What a pair gets follows from the seed and from its items, so that
            a batch equals a loop.
        same_draws: whether all pairs get the same ones instead, so that their maps differ by the pairs alone.
        common_draws: whether ``compute`` sees to that by itself, so that it may take many pairs at once.
        across_pairs: whether a map depends on the other pairs of the batch.
        symmetric: whether swapping the inputs of a symmetric model swaps the maps.
        of_activations: whether a map shows the layer's activations as they are, whatever the score.
        removes: whether parts of graphs are really taken away, so that edges can be explained of any model.
        trims: whether it gets a pair without padding and tokens that are never missing, one pair at a time, so that
            what it draws, and counts its parts by, is the same beside a longer item.
        fitted: whether maps are weights of a regression on samples, so that what is zero is so on average only.
        shows: what a map says: "signed" values pull together or push apart; a "magnitude" says how much, in a unit of
            its own, and not which way; a "relevance" is one in [0, 1].
        unsigned: True is the older way to say ``shows = "relevance"``.
        chunk: the most pairs that ``compute`` takes at once, or None.
        distribution_baselines: whether a baseline tensor holds samples rather than one row a pair.
        apart: whether each side moves alone from its own baseline, with the other one held, unless ``joint=True`` asks
            for one path or one game of both; and whether a ``Pool`` of baselines can be averaged over.
        shares: whether what it needs of an item is prepared once for each, whatever number of pairs it is in: "always"
            (by every run; so it is where there is a ``prepare``), "kept" (only for a gallery, which keeps it, since for
            a single run it costs more than it saves) or "never".
        cost: how many passes of the model a pair takes, in words, where no option says it.
        files: options that the command line takes as files, with what each means; ``from_files`` reads them.
    """

    name: str = ""
    formula: str = ""
    reference: tuple[str, ...] = ()
    result: type[PairExplanation] = PairExplanation
    modalities: frozenset[str] = frozenset({"image", "row", "series", "volume", "text"})
    moves_inputs: bool | None = None
    graph_parts: tuple[str, ...] = ("nodes",)
    known_parts: tuple[str, ...] = ("nodes", "edges", "edge_weight", "edge_attr")
    needs_layer: bool = False
    needs_threshold: bool = False
    takes_target: bool = True
    takes_baselines: bool = True
    uses_gradients: bool = True
    complete: bool = False
    returns_delta: bool = False
    differentiable: bool = True
    linear: bool = False
    stochastic: bool = False
    same_draws: bool = False
    common_draws: bool = False
    across_pairs: bool = False
    symmetric: bool = True
    of_activations: bool = False
    removes: bool = False
    trims: bool = False
    fitted: bool = False
    shows: str = "signed"
    unsigned: bool = False
    chunk: int | None = None
    distribution_baselines: bool = False
    apart: bool = False
    shares: str = "never"
    cost: str = ""
    files: Mapping[str, str] = field(default_factory=dict)


CLAIMS = ("complete", "returns_delta", "symmetric", "differentiable", "linear")
"""What an explainer says it can do more: the contract holds it to these."""

EXEMPTIONS = ("stochastic", "across_pairs", "of_activations", "fitted", "unsigned")
"""What an explainer says it cannot: the contract leaves points out for these, and its report names them."""

SHARES = ("never", "kept", "always")

_DEFAULTS: dict[str, Any] = {f.name: getattr(Traits(), f.name) for f in fields(Traits)}
_PLAIN = (bool, int, float, str, tuple, frozenset, list, set, type(None))


class Declared:
    """A class whose traits are class attributes, compiled to a checked ``traits`` for itself and every subclass."""

    traits: ClassVar[Traits] = Traits()

    name: ClassVar[str] = ""
    formula: ClassVar[str] = ""
    reference: ClassVar[tuple[str, ...]] = ()
    result: ClassVar[type[PairExplanation]] = PairExplanation
    modalities: ClassVar[frozenset[str]] = frozenset({"image", "row", "series", "volume", "text"})
    moves_inputs: ClassVar[bool | None] = None
    graph_parts: ClassVar[tuple[str, ...]] = ("nodes",)
    known_parts: ClassVar[tuple[str, ...]] = ("nodes", "edges", "edge_weight", "edge_attr")
    needs_layer: ClassVar[bool] = False
    needs_threshold: ClassVar[bool] = False
    takes_target: ClassVar[bool] = True
    takes_baselines: ClassVar[bool] = True
    uses_gradients: ClassVar[bool] = True
    complete: ClassVar[bool] = False
    returns_delta: ClassVar[bool] = False
    differentiable: ClassVar[bool] = True
    linear: ClassVar[bool] = False
    stochastic: ClassVar[bool] = False
    same_draws: ClassVar[bool] = False
    common_draws: ClassVar[bool] = False
    across_pairs: ClassVar[bool] = False
    symmetric: ClassVar[bool] = True
    of_activations: ClassVar[bool] = False
    removes: ClassVar[bool] = False
    trims: ClassVar[bool] = False
    fitted: ClassVar[bool] = False
    shows: ClassVar[str] = "signed"
    unsigned: ClassVar[bool] = False
    chunk: ClassVar[int | None] = None
    distribution_baselines: ClassVar[bool] = False
    apart: ClassVar[bool] = False
    shares: ClassVar[str] = "never"
    cost: ClassVar[str] = ""
    files: ClassVar[Mapping[str, str]] = MappingProxyType({})

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.traits = compiled(cls)


def compiled(cls: type[Declared]) -> Traits:
    """The traits of a class.

    Raises:
        TypeError: if a class attribute is no trait, nor declared by the class as one of its own, or has a wrong type.
    """
    own = {name for base in cls.__mro__ for name in vars(base).get("__annotations__", {})}
    for name, value in vars(cls).items():
        if name.startswith("_") or name in own or not isinstance(value, _PLAIN):
            continue
        near = get_close_matches(name, _DEFAULTS)
        hint = f"did you mean {near[0]!r}?" if near else f"if it is the class's own, declare it: {name}: ClassVar[...]"
        raise TypeError(f"{cls.__name__}.{name} is no trait of an explainer; {hint}")
    values = {name: getattr(cls, name) for name in _DEFAULTS}
    for name, wanted in _TYPES.items():
        if isinstance(values[name], property):  # decided by the object
            values[name] = _DEFAULTS[name]
        if not _fits(values[name], wanted):
            raise TypeError(f"{cls.__name__}.{name} is {values[name]!r:.80}: {_told(wanted)} is needed")
    if values["shares"] not in SHARES:
        raise TypeError(f"{cls.__name__}.shares is {values['shares']!r}: {', '.join(SHARES)} is needed")
    values["shows"] = _shown(cls)
    values["unsigned"] = values["shows"] == "relevance"
    return Traits(**values)


def _shown(cls: type[Declared]) -> str:
    """What the nearest class that says it shows."""
    for base in cls.__mro__:
        own = vars(base)
        if own.get("unsigned") is True:
            return "relevance"
        if "shows" in own:
            if own["shows"] not in get_args(Shows):
                raise TypeError(f"{cls.__name__}.shows is {own['shows']!r}: {', '.join(get_args(Shows))} is needed")
            return str(own["shows"])
    return "signed"


_TYPES: dict[str, Any] = get_type_hints(Traits)


def _fits(value: Any, wanted: Any) -> bool:
    if wanted is bool or wanted == bool | None:
        return isinstance(value, bool) or (value is None and wanted is not bool)
    if wanted == int | None:
        return value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0)
    if wanted == type[PairExplanation]:
        return isinstance(value, type) and issubclass(value, PairExplanation)
    if wanted == tuple[str, ...]:
        return isinstance(value, tuple) and all(isinstance(one, str) for one in value)
    if wanted == frozenset[str]:
        return isinstance(value, (frozenset, set)) and all(isinstance(one, str) for one in value)
    if wanted == Mapping[str, str]:
        return isinstance(value, Mapping)
    return isinstance(value, wanted)


def _told(wanted: Any) -> str:
    known: dict[Any, str] = {bool: "True or False", str: "a string", tuple[str, ...]: "a tuple of strings"}
    known |= {
        frozenset[str]: "a set of strings",
        int | None: "a positive number or None",
        bool | None: "True, False or None",
        Mapping[str, str]: "a mapping of strings",
    }
    return known.get(wanted, "a subclass of PairExplanation")
