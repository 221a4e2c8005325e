"""What an explainer is made of, what its author writes, and what it says of itself; the calls are
:class:`~xsiamese.explain.attribution.PairAttribution`'s.
"""

from __future__ import annotations

import inspect
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, Literal, Self, cast

from torch import Tensor

from xsiamese.branches.layers import Layer
from xsiamese.branches.layout import SideLayout, check_layout
from xsiamese.explain.annotated import check_options
from xsiamese.explain.deferred import Attribution
from xsiamese.explain.found import Found
from xsiamese.explain.layered import Layered
from xsiamese.explain.maps import Maps
from xsiamese.explain.prepare import ItemBatch
from xsiamese.kinds.inputs import two_sides
from xsiamese.kinds.side import Side, row_sums
from xsiamese.model.comparison import Comparison
from xsiamese.model.norms import norms_detached
from xsiamese.model.pair import PairModel
from xsiamese.model.wrapped import pair_model
from xsiamese.pairs.batch import PairBatch
from xsiamese.pairs.objective import Objective
from xsiamese.plot.shown import Shows
from xsiamese.result.columns import Column

_ELSEWHERE = {"target_layers": "layer", "target_layer": "layer", "layers": "layer", "forward_func": "model"}
"""What other libraries call the settings of ours."""


class Explainer(Layered, Attribution, ABC):
    """A method for one model: its settings, its traits, and the two functions that its author writes."""

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
        check_layout(layout)
        for name, given in (("layer", layer), ("layout", layout)):
            if given is not None and not self.needs_layer:
                warnings.warn(f"{type(self).__name__} explains no layer: {name}= changes nothing", stacklevel=2)
        self.calls, self.detach_norms = calls, detach_norms
        self.model = self._taken_as(pair_model(model, comparison, higher_is_closer))
        self.layer = layer
        self.layout = layout
        self.layer_names_: list[str] = []
        self._plans: dict[Any, Any] = {}
        super().__init__(self._closeness)

    def __new__(cls, *args: Any, **settings: Any) -> Self:
        known = inspect.signature(cls.__init__).parameters
        wraps = any(p.kind is p.VAR_KEYWORD for p in known.values())  # an explainer that takes the others
        for name in (one for one in settings if one not in known):
            if name in (later := cls._said_with_pairs()):
                hint = f"it is said with the pairs, {cls.__name__}(model).{later[name]}(pairs, {name}=...)"
            elif wraps:
                continue
            else:
                near = get_close_matches(_ELSEWHERE.get(name, name), known)
                hint = f"did you mean {near[0]}=?" if near else f"there are {', '.join(list(known)[1:])}"
            raise TypeError(f"{cls.__name__} has no setting {name!r}; {hint}")
        check_options(cls, {name: value for name, value in settings.items() if name in cls.settings()})
        made: Self = super().__new__(cls)
        return made

    def check(self, options: Mapping[str, Any], *, explaining: bool) -> None:
        """Refuses what cannot be done, before any work; by then options are known ones, with values of their types.

        Args:
            options: the explainer's own, as far as they are given.
            explaining: whether an explanation is made, and not maps alone.
        """

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

    def total(self, maps: Maps, options: Mapping[str, Any], sides: tuple[Side, Side] | None = None) -> Tensor:
        """What both maps of each pair sum to, shape (pairs,)."""
        first, second = (row_sums, row_sums) if sides is None else (side.sums for side in sides)
        return first(maps[0]) + second(maps[1])

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
        shared = set(inspect.signature(Explainer.__init__).parameters) - gradients
        own = inspect.signature(cls.__init__).parameters.values()
        return {p.name: p for p in own if p.kind is p.KEYWORD_ONLY and p.name not in shared}

    @classmethod
    def for_kind(cls, kind: str | None) -> type[Self]:
        """What the command line means by this explainer's name where the inputs are of a kind, or of two kinds (None):
        itself, unless it leaves the kind to another one.
        """
        return cls

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
    def _said_with_pairs(cls) -> dict[str, str]:
        """What is no setting but an argument of a call, and of which."""
        found = dict.fromkeys(cls.options(), "explain")
        for base in reversed(cls.__mro__):  # one that says **options leaves the others to those before it
            for call in [one for one in ("attribute", "explain") if one in vars(base)]:
                own = inspect.signature(vars(base)[call]).parameters.values()
                found |= {p.name: call for p in own if p.kind is p.KEYWORD_ONLY or p.name == "target"}
        return found

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

    def _taken_as(self, model: PairModel) -> PairModel:
        """The model that is explained: its norms are constants where that was asked for."""
        return norms_detached(model) if self.detach_norms else model

    def _closeness(self, a: Any, b: Any, *extra: Any) -> Tensor:
        """What captum's metrics call: the value explained, on two tensors."""
        sides = two_sides((a, b))
        value: Tensor = Objective(self.model, *sides)(*sides[0].leaves, *sides[1].leaves, *extra)
        return value

    def copy_for(self, model: Callable[..., Any]) -> Self:
        """The same explainer for another model."""
        twin = type(self).__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin.model = self._taken_as(pair_model(model))
        twin._plans = {}
        Attribution.__init__(twin, twin._closeness)
        return twin
