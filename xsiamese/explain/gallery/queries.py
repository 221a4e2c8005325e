"""What is asked of a gallery: items of its own or others, and what is found of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from xsiamese.explain.gallery.between import Between
from xsiamese.explain.gallery.encoded import Encoded
from xsiamese.explain.gallery.explained import Explanations, Pairs
from xsiamese.explain.gallery.given import Beside, Items
from xsiamese.explain.gallery.hits import Hits
from xsiamese.explain.gallery.kept import Keeping
from xsiamese.explain.gallery.meant import Names
from xsiamese.result.explanation import PairExplanation


@dataclass(frozen=True)
class Queries:
    """What may be asked of the items that a gallery holds.

    Attributes:
        held: the items.
        ids: what they are called.
        names: which of them a number or a string means.
    """

    held: Encoded
    ids: Sequence[str]
    names: Names

    def own(self, queries: Any) -> list[int] | None:
        """The numbers of the items that queries mean; None where they are items themselves.

        Raises:
            ValueError: if there is no such item, or none that could stand on the other side.
        """
        found = self.names.asked(queries)
        if found is not None:
            self.check_pairs("queries by number or id", "items of the other side")
        return found

    def check_pairs(self, what: str, instead: str) -> None:
        """Refuses pairs of the items, where they are of one side only.

        Raises:
            ValueError: if they are, naming what there is.
        """
        if self.held.items.beside is not None:
            side = "ab"[self.held.items.beside.side]
            raise ValueError(
                f"{what} would pair items of this gallery with each other, and all of them stand on side {side} of the "
                f"model: {instead} are what it explains"
            )

    def encoded(self, queries: Any) -> Encoded:
        """Items that are no part of the gallery, on its other side, as long as their explanations are wanted."""
        self.held.unchanged()
        items, keeping = self.held.items, Keeping(self.held.keeping.budget, None, self.held.keeping.packing)
        beside = None if items.beside is None else Beside(1 - items.beside.side, items.one(0))
        return Encoded(Items(items.explainer, items.asked, queries, beside=beside), keeping, weights=self.held.weights)

    def hits(
        self, asking: Encoded, own: list[int] | None, numbers: list[list[int]], scores: list[list[float]] | None
    ) -> Hits:
        """What was found of each query, by the numbers of the items."""
        asked = range(len(asking)) if own is None else own
        names = self.ids if own is not None else [f"query {i}" for i in range(len(asking))]
        return Hits(
            tuple(map(tuple, numbers)),
            tuple(tuple(self.ids[i] for i in found) for found in numbers),
            None if scores is None else tuple(map(tuple, scores)),
            lambda pairs: self.explanations(asking, names, [(asked[query], number) for query, number in pairs]),
        )

    def explanations(self, asking: Encoded, names: Sequence[str], pairs: Pairs) -> Explanations:
        """Those of pairs (asked, held), in the order of the model's sides."""
        between, first, second = Between(asking, self.held), names, self.ids
        if self.held.items.places == (0,):
            between, first, second = Between(self.held, asking), self.ids, names
            pairs = [(j, i) for i, j in pairs]

        def make(some: Pairs) -> PairExplanation:
            return between.explain(some, [(first[i], second[j]) for i, j in some])

        return Explanations(pairs, make, between.scores, (between.unit, between.row_unit))
