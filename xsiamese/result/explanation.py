"""The result: scores, both maps on one scale, everything else by name, and all that says where they come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, get_args

import torch
from torch import Tensor

from xsiamese.kinds.catalogue import kind, side
from xsiamese.kinds.kind import Kind
from xsiamese.model.decision import Decision
from xsiamese.plot.notebook import as_html
from xsiamese.plot.shown import Shows as Shows
from xsiamese.result import columns, files, items
from xsiamese.result.cells import Cell as Cell
from xsiamese.result.cells import Largest, folded, grown, refuse_tokens, strongest
from xsiamese.result.columns import Column
from xsiamese.result.indexing import Index, chosen

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SidePair = tuple[Any, Any]


@cache  # reading a distribution's metadata takes as long as a small network's pass
def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def installed_versions() -> dict[str, str]:
    """The versions of the libraries that make an explanation."""
    return {name: _version(name) for name in ("xsiamese", "torch", "captum")}


@dataclass(frozen=True, eq=False, repr=False)
class PairExplanation:
    """Why a model found pairs alike or different.

    What a method finds besides maps stands in :attr:`columns`; a subclass is a *view*: it adds properties, pictures and
    words for its columns, and no fields, so that joining, slicing, saving and loading are written once.

    Attributes:
        maps: the maps of a and of b, each a tensor (pairs, ...), a ``torch_geometric.explain.Explanation`` of all
            graphs, or a tuple of them (several tensors or layers); None for a method that gives none. The values of
            both sides have one unit.
        inputs: the two inputs that were explained.
        scores: the model's own score of each pair, shape (pairs,).
        method: the explainer's class name.
        parameters: how it was called.
        higher_is_closer: whether a higher score means more alike.
        target: what was explained: "closeness" or the target's name.
        ids: two names for each pair, or None.
        seed: the seed of everything random.
        delta: sum of the maps less the change of the value that they should sum to, shape (pairs,), where the method
            claims that.
        shows: what the maps say: "signed", positive pulls the pair together and negative pushes it apart; "magnitude",
            how much and not which way, as the size of a gradient; "relevance", the same in [0, 1].
        threshold: the score at which the model's decision turns, or None where it is not known.
        measure: what the score is called: the comparison's name, or "score".
        columns: all else, by name, one entry a pair: see :mod:`xsiamese.result.columns`.
        kinds: what kind of input each side is, by name; found from the inputs where they are not given.
        citation: BibTeX of the method.
        versions: of the libraries that made it.
    """

    maps: SidePair
    inputs: SidePair
    scores: Tensor
    method: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    higher_is_closer: bool = True
    target: str = "closeness"
    ids: tuple[tuple[str, str], ...] | None = None
    seed: int | None = 0
    delta: Tensor | None = None
    shows: Shows = "signed"
    threshold: float | None = None
    measure: str = "score"
    columns: Mapping[str, Column] = field(default_factory=dict)
    kinds: tuple[str, str] = ("", "")
    citation: str = ""
    versions: Mapping[str, str] = field(default_factory=installed_versions)

    packables: ClassVar[tuple[type[Any], ...]] = ()
    """The types of entries that pack themselves and may stand in the columns: what a file may be made into."""

    def __post_init__(self) -> None:
        if not all(self.kinds) and len(self.inputs) == 2:
            found = tuple(side(item, name).kind for item, name in zip(self.inputs, "ab", strict=True))
            object.__setattr__(self, "kinds", found)  # frozen for everybody else
        self.validate()

    @property
    def _kinds(self) -> tuple[Kind, Kind]:
        return kind(self.kinds[0]), kind(self.kinds[1])

    def __len__(self) -> int:
        return len(self.scores)

    def __repr__(self) -> str:
        sides = [tuple(one.shape) if isinstance(one, Tensor) else type(one).__name__ for one in self.inputs]
        more = f", {', '.join(self.columns)}" if self.columns else ""
        what = f"{self.method} of {self.target}, {len(self)} pairs of {sides[0]} and {sides[1]}"
        return f"{type(self).__name__}({what}{more})"

    def validate(self) -> None:
        """Checks that maps, inputs, scores, columns and ids speak of the same pairs.

        Raises:
            ValueError: naming what does not fit.
        """
        pairs = len(self.scores)
        if self.shows not in get_args(Shows):
            raise ValueError(f"shows={self.shows!r}: {', '.join(get_args(Shows))} is needed")
        for what, sides in (("map", self.maps), ("input", self.inputs)):
            if sides is None:
                continue
            if len(sides) != 2:
                raise ValueError(f"an explanation has two {what}s, not {len(sides)}")
            for name, value, of in zip("ab", sides, self._kinds, strict=True):
                items.check(value, pairs, f"{what} of {name}", of)
        columns.check(self.columns, pairs)
        if self.ids is not None and len(self.ids) != pairs:
            raise ValueError(f"{len(self.ids)} ids for {pairs} pairs")

    def __getitem__(self, index: Index) -> Self:
        """The explanation of some of the pairs, by a number, a slice, a list of numbers or a mask.

        Raises:
            TypeError: if the index is anything else.
            IndexError: if there is no such pair.
        """
        which = chosen(index, len(self))

        def both(sides: SidePair) -> SidePair:
            first, second = (items.take(value, which, of) for value, of in zip(sides, self._kinds, strict=True))
            return first, second

        maps: Any = None if self.maps is None else both(self.maps)
        rows = torch.tensor(which, dtype=torch.long, device=self.scores.device)
        return replace(
            self,
            maps=maps,
            inputs=both(self.inputs),
            scores=self.scores[rows],
            ids=tuple(self.ids[i] for i in which) if self.ids else None,
            delta=None if self.delta is None else self.delta[rows.to(self.delta.device)],
            columns=columns.taken(self.columns, which),
        )

    def __iter__(self) -> Iterator[Self]:
        return (self[i] for i in range(len(self)))

    def upsample(self, size: tuple[int, ...] | None = None) -> Self:
        """Maps over the places of images, series and volumes brought to ``size``, or each to the size of its input,
        linearly in between.

        Values keep their scale: they are densities on the grid, so sums do not carry over.

        Raises:
            ValueError: if the map of an image is one of a layer's tokens and channels, which lie on no grid.
        """
        if self.maps is None:
            return self
        first, second = (
            grown(value, item, size, of)
            for value, item, of in zip(self._cells(), self.inputs, self._kinds, strict=True)
        )
        laid = {name: one for name, one in self.parameters.items() if name != "cells"}
        return replace(self, maps=(first, second), parameters=laid)

    def top(self, k: int = 5, *, largest: Largest = "either") -> list[tuple[list[Cell], list[Cell]]]:
        """The k strongest places of each pair, on side a and on side b; of a graph the strongest nodes, their features
        summed.

        Args:
            k: how many; fewer come back if fewer have the sign that is asked for.
            largest: what pulls "closer", what pushes "apart", or "either", by size.

        Raises:
            ValueError: if maps that do not say which way a feature pulls are asked for it, or those of an image are
                tokens and channels of a layer.
        """
        if self.unsigned and largest in ("closer", "apart"):
            raise ValueError(
                f"largest={largest!r}: the maps of {self.method} are a {self.shows} and do not say which way a feature "
                "pulls: 'either' is needed"
            )
        maps = self._cells()
        for value, item, of in zip(maps, self.inputs, self._kinds, strict=True):
            refuse_tokens(value, item, of)
        first, second = (strongest(value, k, largest, of) for value, of in zip(maps, self._kinds, strict=True))
        return list(zip(first, second, strict=True))

    def _cells(self) -> tuple[Any, Any]:
        """Both maps, those of a layer over the cells of their items where it is known how they lie."""
        first, second = self.parameters.get("cells") or (None, None)
        of_a, of_b = self._maps()
        sized = self.shows == "magnitude"
        return folded(of_a, first, sized=sized), folded(of_b, second, sized=sized)

    def plot(self, pair: int | None = None, **options: Any) -> Figure:
        """Both sides and both maps on one scale, drawn as their kind is: see :func:`xsiamese.plot.picture.picture`.

        Args:
            pair: which pair, or None for the first ones.
            **options: of the picture of that kind.
        """
        self._maps()
        from xsiamese.plot.picture import picture

        return picture(self if pair is None else self[pair], **options)

    def save(self, path: str | Path) -> Path:
        """Writes tensors and metadata as one safetensors file (the metadata as JSON in its header).

        Args:
            path: of a file that ends with .safetensors, or has no ending.

        Raises:
            ValueError: if the ending is another, say a picture's, or there is no such folder.
        """
        return files.save(self, path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Reads what :meth:`save` wrote, as the type that was saved.

        The type is looked up among the results of the installed explainers; a file never names anything that is
        imported. If no plugin brings it, a plain explanation with all columns comes back, and a warning.

        Args:
            path: a file of this edition or the first.

        Raises:
            ValueError: if the file is truncated, no explanation of xsiamese, of a newer format, or not of this type.
        """
        found = files.load(path, PairExplanation)
        if not isinstance(found, cls):
            raise ValueError(f"{path} holds a {type(found).__name__}, no {cls.__name__}: use xsiamese.load(path)")
        return found

    @property
    def unsigned(self) -> bool:
        """Whether the maps do not say which way a feature pulls."""
        return self.shows != "signed"

    @property
    def decision(self) -> Decision | None:
        """Where the model's decision turns, or None where no threshold is known."""
        return None if self.threshold is None else Decision(self.threshold, self.higher_is_closer)

    @property
    def decided(self) -> Tensor:
        """The scores that the threshold is about, shape (pairs,): those of before a clamp or a sigmoid, if the model
        has one.
        """
        unclamped = self.columns.get("unclamped")
        return (unclamped if isinstance(unclamped, Tensor) else self.scores).detach().cpu()

    def verdict(self, pair: int) -> str:
        """What the model makes of a pair: "different: cosine 0.52, alike from 0.74", or only its score."""
        score = float(self.scores[pair])
        told = f"{self.measure if self.target == 'closeness' else self.target} {score:.4g}"
        decision = self.decision
        if decision is None or self.threshold is None:
            return told
        decided = self.decided[pair]
        if "unclamped" in self.columns and float(decided) != score:
            told += f" (unclamped {float(decided):.4g})"
        alike = bool(decision.alike(decision.closeness(decided)))
        bound = f"{'from' if self.higher_is_closer else 'up to'} {self.threshold:.4g}"
        return f"{'alike' if alike else 'different'}: {told}, alike {bound}"

    def summary(self) -> str:
        """One line a pair: ids, score, and what the model makes of it."""
        closer = "higher" if self.higher_is_closer else "lower"
        what = f"{self.target}, {closer} scores are closer" if self.target == "closeness" else self.target
        rows = [f"{self.named(i)}: {self.verdict(i)}" for i in range(len(self))]
        if self.threshold is None and self.target == "closeness":
            rows.append("no threshold is known: xsiamese.calibrate(model, a, b, same) finds one on labelled pairs")
        return f"{self.method} of {what}\n" + "\n".join(rows)

    def named(self, pair: int) -> str:
        """What a pair is called."""
        return " - ".join(self.ids[pair]) if self.ids else f"pair {pair}"

    def _maps(self) -> SidePair:
        if self.maps is None:
            raise ValueError(f"{self.method} gives no maps: what it found is in {', '.join(self.columns) or 'nothing'}")
        return self.maps

    def _repr_html_(self) -> str:
        return as_html(self.summary(), self.plot, self.method)


def load(path: str | Path) -> PairExplanation:
    """Reads an explanation as the type that was saved: see :meth:`PairExplanation.load`.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from xsiamese import PairSaliency, SiameseModel
        >>> explainer = PairSaliency(SiameseModel(torch.nn.Identity(), "dot"))
        >>> explanation = explainer.explain((torch.ones(1, 2), torch.ones(1, 2)))
        >>> with TemporaryDirectory() as folder:
        ...     load(explanation.save(f"{folder}/why.safetensors")).scores
        tensor([2.])
    """
    return PairExplanation.load(path)
