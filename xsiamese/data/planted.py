"""Pairs whose explanation is known: two things in each item, one of them shared, with the places of both.

Nobody had to annotate them. The models that were trained on them are shipped, as
``xsiamese.zoo.shipped("planted-patches")``, and simple statistics of the items do not tell which pairs share something
(:func:`shortcuts`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from importlib import import_module
from typing import Any, ClassVar

import torch
from torch import Tensor

SCENES = {
    "patches": "xsiamese.data.planted_images:Patches",
    "digits": "xsiamese.data.planted_images:Digits",
    "rows": "xsiamese.data.planted_rows:Rows",
    "series": "xsiamese.data.planted_sequences:Series",
    "words": "xsiamese.data.planted_sequences:Words",
    "motifs": "xsiamese.data.planted_graphs:Motifs",
}


@dataclass(frozen=True)
class PlantedPairs:
    """Pairs with the truth of both sides.

    Attributes:
        a, b: the two sides, as a model takes them.
        truth: for each side what its units do, 1 pulls together, -1 pushes apart, 0 nothing, shape (pairs, units...);
            for graphs one value a node; two empty tensors where it is not known.
        alike: which pairs share something, or most of it, shape (pairs,).
        others: other partners of a, which share another part of it; or None.
        other_truth: what a's units do beside ``others``.
        twins: partners that share with a what b shares, and are otherwise drawn again; or None.
        name: of the set.
    """

    a: Any
    b: Any
    truth: tuple[Tensor, Tensor]
    alike: Tensor
    others: Any = None
    other_truth: Tensor | None = None
    twins: Any = None
    name: str = ""

    @property
    def inputs(self) -> tuple[Any, Any]:
        """What an explainer takes."""
        return self.a, self.b

    def __len__(self) -> int:
        return len(self.alike)

    def __getitem__(self, which: slice | Tensor) -> PlantedPairs:
        """Some of the pairs.

        Raises:
            ValueError: if none is left.
        """
        rows = torch.arange(len(self))[which]
        if not len(rows):
            raise ValueError(f"none of the {len(self)} pairs of {self.name!r} is left: at least one is needed")
        first, second = (_owner(side, len(self)) for side in (self.a, self.b))
        return replace(
            self,
            a=_some(self.a, rows),
            b=_some(self.b, rows),
            truth=(_truth(self.truth[0], first, rows), _truth(self.truth[1], second, rows)),
            alike=self.alike[rows],
            others=_some(self.others, rows),
            other_truth=None if self.other_truth is None else _truth(self.other_truth, first, rows),
            twins=_some(self.twins, rows),
        )


class Scene(ABC):
    """Makes the items of one planted set.

    Attributes:
        name: of the set.
        things: how many different things there are.
    """

    name: ClassVar[str]
    things: ClassVar[int] = 8

    def plain(self, side: Any) -> Tensor:
        """The numbers of each item that must not tell which pairs share something, shape (items, numbers)."""
        flat: Tensor = side.flatten(1)
        return flat

    @abstractmethod
    def draw(self, chosen: Tensor, generator: torch.Generator) -> tuple[Any, Tensor]:
        """Items that hold the ``chosen`` things, shape (items, 2), and for each unit which of the two is there: 0, 1,
        or -1 for neither.
        """

    def batch(self, items: int, generator: torch.Generator) -> tuple[Any, Tensor]:
        """Items to learn from, and how alike each two of them are: the share of their things that they have in common,
        shape (items, items).
        """
        chosen = _different(items, 2, self.things, generator)
        held = torch.zeros(items, self.things).scatter_(1, chosen, 1)
        return self.draw(chosen, generator)[0], held @ held.T / 2

    def pairs(self, count: int, seed: int = 0) -> PlantedPairs:
        """Pairs (p, q) and (p, r): the first thing is shared. Their other partners are (q, s), their twins (p, r)."""
        generator = torch.Generator().manual_seed(seed)
        p, q, r, s = _different(count, 4, self.things, generator).unbind(1)
        a, in_a = self.draw(torch.stack([p, q], 1), generator)
        b, in_b = self.draw(torch.stack([p, r], 1), generator)
        others, _ = self.draw(torch.stack([q, s], 1), generator)
        twins, _ = self.draw(torch.stack([p, r], 1), generator)
        truth = (in_a == 0).long(), (in_b == 0).long()
        return PlantedPairs(
            a, b, truth, torch.ones(count, dtype=torch.bool), others, (in_a == 1).long(), twins, self.name
        )

    def verification(self, count: int, seed: int = 0) -> PlantedPairs:
        """Pairs of which every second one shares nothing: what a decision is about."""
        generator = torch.Generator().manual_seed(seed)
        p, q, r, s = _different(count, 4, self.things, generator).unbind(1)
        alike = torch.arange(count) % 2 == 0
        a, in_a = self.draw(torch.stack([p, q], 1), generator)
        b, in_b = self.draw(torch.stack([torch.where(alike, p, s), r], 1), generator)
        same_a, same_b = (alike[_owner(side, count)] for side in (a, b))
        shape_a, shape_b = ([-1] + [1] * (owner.dim() - 1) for owner in (in_a, in_b))
        truth = ((in_a == 0) & same_a.reshape(shape_a)).long(), ((in_b == 0) & same_b.reshape(shape_b)).long()
        return PlantedPairs(a, b, truth, alike, name=self.name)


def scene(name: str) -> Scene:
    """The maker of one planted set.

    Raises:
        ValueError: if there is none of that name.
    """
    if name not in SCENES:
        near = get_close_matches(name, SCENES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(SCENES)}"
        raise ValueError(f"no planted set is called {name!r}; {hint}")
    module, _, made = SCENES[name].partition(":")
    found: Scene = getattr(import_module(module), made)()
    return found


def planted(name: str, count: int = 64, seed: int = 0) -> PlantedPairs:
    """Pairs of a planted set, always the same for one seed.

    Args:
        name: "patches", "digits", "rows", "series", "words" or "motifs".
        count: how many pairs.
        seed: of everything random.

    Raises:
        ValueError: if there is no such set, or no pair is asked for.

    Example:
        >>> pairs = planted("patches", 4)
        >>> pairs.a.shape, pairs.truth[0].shape
        (torch.Size([4, 1, 32, 32]), torch.Size([4, 32, 32]))
    """
    if count < 1:
        raise ValueError(f"count={count}: at least one pair is needed")
    return scene(name).pairs(count, seed)


def shortcuts(pairs: PlantedPairs) -> dict[str, float]:
    """How well simple statistics tell the pairs that share something from those that do not: the area under the ROC
    curve of each, folded to at least 0.5.

    Args:
        pairs: of :meth:`Scene.verification`.

    Raises:
        ValueError: if all pairs are of one class.
    """
    if bool(pairs.alike.all()) or not bool(pairs.alike.any()):
        raise ValueError("all pairs are alike, or none: give those of Scene.verification")
    plain = scene(pairs.name).plain
    flat = tuple(plain(side) for side in pairs.inputs)
    found = {}
    for name, statistic in STATISTICS.items():
        score = statistic(*flat).double()
        higher = (score[pairs.alike][:, None] > score[~pairs.alike][None]).double().mean()
        equal = (score[pairs.alike][:, None] == score[~pairs.alike][None]).double().mean()
        area = float(higher + equal / 2)
        found[name] = max(area, 1 - area)
    return found


STATISTICS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "difference of the means": lambda x, y: (x.mean(1) - y.mean(1)).abs(),
    "difference of the spreads": lambda x, y: (x.std(1) - y.std(1)).abs(),
    "difference of the maxima": lambda x, y: (x.amax(1) - y.amax(1)).abs(),
    "cosine of the raw values": lambda x, y: torch.nn.functional.cosine_similarity(x, y),
    "distance of the sorted values": lambda x, y: (x.sort(1).values - y.sort(1).values).norm(dim=1),
}


def _different(rows: int, count: int, of: int, generator: torch.Generator) -> Tensor:
    """``count`` different numbers below ``of`` in each row."""
    return torch.rand(rows, of, generator=generator).argsort(1)[:, :count]


def _owner(side: Any, count: int) -> Tensor:
    """The pair of each row of a side's truth."""
    return torch.arange(count) if isinstance(side, Tensor) else side.batch


def _some(side: Any, rows: Tensor) -> Any:
    if side is None or isinstance(side, Tensor):
        return None if side is None else side[rows]
    return type(side).from_data_list([side[i] for i in rows.tolist()])


def _truth(truth: Tensor, owner: Tensor, rows: Tensor) -> Tensor:
    return torch.cat([truth[owner == i] for i in rows.tolist()])
